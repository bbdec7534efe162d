// Pooling through its typed calls: shapes, ties, NaN and padding by hand, and what bad shapes are told.
#include <cmath>

#include "on_engine.h"
#include "values.h"

namespace {

using Values = Tensor::Values;
const double inf = INFINITY;

class Pool : public OnEngine {
protected:
  Pool() : OnEngine("max_pool,min_pool,avg_pool") {}

  // Pools the row or picture x of one channel; y (and index) have the shape that is expected.
  Values max(const lamina_pool &pool, Tensor x, Tensor::Dims y_dims, Values *indices = nullptr) {
    Tensor y(LAMINA_F32, y_dims), index(LAMINA_I32, y_dims);
    const lamina_tensor xt = x.view(), yt = y.view(), it = index.view();
    EXPECT_OK(lamina_max_pool_forward(device, &pool, &xt, &yt, indices ? &it : nullptr, nullptr));
    if (indices) *indices = index.values();
    return y.values();
  }
  Values min(const lamina_pool &pool, Tensor x, Tensor::Dims y_dims, Values *indices = nullptr) {
    Tensor y(LAMINA_F32, y_dims), index(LAMINA_I32, y_dims);
    const lamina_tensor xt = x.view(), yt = y.view(), it = index.view();
    EXPECT_OK(lamina_min_pool_forward(device, &pool, &xt, &yt, indices ? &it : nullptr, nullptr));
    if (indices) *indices = index.values();
    return y.values();
  }
  Values avg(const lamina_pool &pool, Tensor x, Tensor::Dims y_dims) {
    Tensor y(LAMINA_F32, y_dims);
    const lamina_tensor xt = x.view(), yt = y.view();
    EXPECT_OK(lamina_avg_pool_forward(device, &pool, &xt, &yt, nullptr));
    return y.values();
  }
  Values avg_backward(const lamina_pool &pool, Tensor dy, Tensor::Dims x_dims) {
    Tensor dx(LAMINA_F32, x_dims);
    const lamina_tensor dyt = dy.view(), dxt = dx.view();
    EXPECT_OK(lamina_avg_pool_backward(device, &pool, &dyt, &dxt, nullptr));
    return dx.values();
  }
};

lamina_pool window(int64_t kernel, int64_t stride, int64_t before = 0, int64_t after = 0) {
  lamina_pool pool = {};
  pool.kernel[0] = kernel, pool.stride[0] = stride;
  pool.pad[0][0] = before, pool.pad[0][1] = after;
  return pool;
}

Tensor row(const Values &v) { return Tensor(LAMINA_F32, {1, 1, static_cast<int64_t>(v.size())}, v); }

TEST_P(Pool, FirstOfEqualsInRowMajorOrder) {
  lamina_pool pool = {};
  pool.kernel[0] = pool.kernel[1] = 2;
  pool.stride[0] = pool.stride[1] = 1;
  Values indices;
  const Tensor x(LAMINA_F32, {1, 1, 3, 5}, {1, 2, 2, 0, 5, /* */ 2, 1, 2, 5, 5, /* */ -0.0, 0, 5, 5, 1});
  EXPECT_EQ(max(pool, x, {1, 1, 2, 4}, &indices), (Values{2, 2, 5, 5, 2, 5, 5, 5}));
  EXPECT_EQ(indices, (Values{1, 1, 8, 4, 5, 12, 8, 8}));
}

TEST_P(Pool, NanIsTheMaximumAndInfinityAlmost) {
  Values indices;
  const Values y = max(window(3, 1), row({1, NAN, inf, NAN, -inf, -inf, -inf, 2}), {1, 1, 6}, &indices);
  for (int i = 0; i < 4; i++) EXPECT_TRUE(std::isnan(y[static_cast<size_t>(i)])) << i;
  EXPECT_EQ(y[4], -inf);
  EXPECT_EQ(y[5], 2);
  EXPECT_EQ(indices, (Values{1, 1, 3, 3, 4, 7}));
}

TEST_P(Pool, PaddingIsNeverTheMaximum) {
  Values indices;
  EXPECT_EQ(max(window(3, 2, 2, 2), row({-inf, -7, -8, -inf, -inf}), {1, 1, 4}, &indices),
            (Values{-inf, -7, -8, -inf}));
  EXPECT_EQ(indices, (Values{0, 1, 2, 4}));
}

TEST_P(Pool, MinIsTheFirstOfTheSmallest) {
  lamina_pool pool = {};
  pool.kernel[0] = pool.kernel[1] = 2;
  pool.stride[0] = pool.stride[1] = 1;
  Values indices;
  const Tensor x(LAMINA_F32, {1, 1, 3, 5}, {1, 2, 2, 0, 5, /* */ 2, 1, 2, 5, 5, /* */ -0.0, 0, 5, 5, 1});
  EXPECT_EQ(min(pool, x, {1, 1, 2, 4}, &indices), (Values{1, 1, 0, 0, 0, 0, 2, 1}));
  EXPECT_EQ(indices, (Values{0, 6, 3, 3, 10, 11, 7, 14}));
  const Values y = min(window(3, 1), row({1, NAN, -inf, NAN, inf, inf, inf, 2}), {1, 1, 6}, &indices);
  for (int i = 0; i < 4; i++) EXPECT_TRUE(std::isnan(y[static_cast<size_t>(i)])) << i;
  EXPECT_EQ(y[4], inf);
  EXPECT_EQ(y[5], 2);
  EXPECT_EQ(indices, (Values{1, 1, 3, 3, 4, 7}));
  EXPECT_EQ(min(window(3, 2, 2, 2), row({inf, 7, 8, inf, inf}), {1, 1, 4}, &indices), (Values{inf, 7, 8, inf}));
  EXPECT_EQ(indices, (Values{0, 1, 2, 4}));
}

TEST_P(Pool, MinBackwardGoesToTheIndices) {
  const lamina_pool pool = window(2, 1);
  Tensor dy = row({1, 10, 100, 1000}), index(LAMINA_I32, {1, 1, 4}, {1, 1, 4, -7}), dx = row({9, 9, 9, 9, 9});
  const lamina_tensor dyt = dy.view(), it = index.view(), dxt = dx.view();
  EXPECT_OK(lamina_min_pool_backward(device, &pool, &dyt, &it, &dxt, nullptr));
  EXPECT_EQ(dx.values(), (Values{0, 11, 0, 0, 100}));
}

// Windows of elements 0, 3, 6 and 1, 4, 7 …; before the first element there are two of padding.
TEST_P(Pool, DilationSkipsElements) {
  lamina_pool pool = window(3, 1, 2, 0);
  pool.dilation[0] = 3;
  Values indices;
  const Values x = {7, 1, 2, 9, 8, 3, 6, 5, 4, 0, -1, -2};
  EXPECT_EQ(max(pool, row(x), {1, 1, 8}, &indices), (Values{8, 3, 9, 8, 4, 9, 8, 4}));
  EXPECT_EQ(indices, (Values{4, 5, 3, 4, 8, 3, 4, 8}));
  EXPECT_EQ(min(pool, row(x), {1, 1, 8}, &indices), (Values{1, 2, 6, 1, 2, 0, -1, -2}));
  EXPECT_EQ(indices, (Values{1, 2, 6, 1, 2, 9, 10, 11}));
}

TEST_P(Pool, DilationOfRows) {
  lamina_pool pool = {};
  pool.kernel[0] = pool.kernel[1] = 2, pool.stride[0] = pool.stride[1] = 1;
  pool.dilation[0] = 2, pool.dilation[1] = 1;
  Values indices;
  const Tensor x(LAMINA_F32, {1, 1, 4, 5},
                 {1, 2, 3, 4, 0, /* */ 9, 0, 0, 0, 0, /* */ 0, 0, 5, 0, 6, /* */ 0, 8, 0, 0, 7});
  EXPECT_EQ(max(pool, x, {1, 1, 2, 4}, &indices), (Values{2, 5, 5, 6, 9, 8, 0, 7}));
  EXPECT_EQ(indices, (Values{1, 12, 12, 14, 5, 16, 7, 19}));
}

TEST_P(Pool, CeilModeAddsAWindowThatStartsInside) {
  lamina_pool pool = window(2, 2);
  EXPECT_EQ(max(pool, row({1, 2, 3, 4, 5}), {1, 1, 2}), (Values{2, 4}));
  pool.ceil_mode = 1;
  EXPECT_EQ(max(pool, row({1, 2, 3, 4, 5}), {1, 1, 3}), (Values{2, 4, 5}));
  pool = window(2, 3, 1, 1); // rounded up there were 3, but the third would start at 5, past the end
  pool.ceil_mode = 1;
  EXPECT_EQ(max(pool, row({1, 2, 3, 4, 5}), {1, 1, 2}), (Values{1, 4}));
}

TEST_P(Pool, GlobalIsOneWindow) {
  lamina_pool pool = {};
  pool.global = 1;
  Values indices;
  const Tensor x(LAMINA_F32, {1, 2, 2, 2}, {1, 2, 4, 1, -4, -3, -2, -1});
  EXPECT_EQ(max(pool, x, {1, 2, 1, 1}, &indices), (Values{4, -1}));
  EXPECT_EQ(indices, (Values{2, 3}));
  EXPECT_EQ(avg(pool, x, {1, 2, 1, 1}), (Values{2, -2.5}));
  const Values y = max(pool, Tensor(LAMINA_F32, {1, 2, 1, 3}, {-inf, -inf, -inf, 7, NAN, NAN}), {1, 2, 1, 1}, &indices);
  EXPECT_EQ(y[0], -inf);
  EXPECT_TRUE(std::isnan(y[1]));
  EXPECT_EQ(indices, (Values{0, 1}));
}

TEST_P(Pool, MaxBackwardGoesToTheIndices) {
  const lamina_pool pool = window(2, 1);
  Tensor dy = row({1, 10, 100, 1000}), index(LAMINA_I32, {1, 1, 4}, {1, 1, 4, -7}), dx = row({9, 9, 9, 9, 9});
  const lamina_tensor dyt = dy.view(), it = index.view(), dxt = dx.view();
  EXPECT_OK(lamina_max_pool_backward(device, &pool, &dyt, &it, &dxt, nullptr));
  EXPECT_EQ(dx.values(), (Values{0, 11, 0, 0, 100})); // an index outside adds nothing
}

TEST_P(Pool, AveragesCountTheInputOrThePaddingToo) {
  lamina_pool pool = window(4, 2, 2, 1);
  pool.ceil_mode = 1; // the last window reaches one past the padding, which never counts
  const Tensor x = row({4, 8, 12, 24, 36});
  EXPECT_EQ(avg(pool, x, {1, 1, 3}), (Values{6, 12, 24}));
  pool.count_pad = 1;
  EXPECT_EQ(avg(pool, x, {1, 1, 3}), (Values{3, 12, 18}));
}

TEST_P(Pool, AvgBackwardSharesWhatItCounted) {
  lamina_pool pool = window(4, 2, 2, 1);
  pool.ceil_mode = 1;
  EXPECT_EQ(avg_backward(pool, row({2, 4, 6}), {1, 1, 5}), (Values{2, 2, 3, 3, 2}));
  pool.count_pad = 1;
  EXPECT_EQ(avg_backward(pool, row({4, 4, 8}), {1, 1, 5}), (Values{2, 2, 3, 3, 2}));
}

TEST_P(Pool, WhatNoWindowCoversGetsNothing) {
  EXPECT_EQ(avg_backward(window(1, 3), row({1, 2}), {1, 1, 6}), (Values{1, 0, 0, 2, 0, 0}));
}

INSTANTIATE_TEST_SUITE_P(Engines, Pool, testing::Values("loop", "ref"));

// ---- What bad shapes are told ----

class PoolErrors : public OnEngine {
protected:
  PoolErrors() : OnEngine("max_pool") {}
  lamina_status pool(const lamina_pool &pool, Tensor::Dims x_dims, Tensor::Dims y_dims,
                     lamina_dtype index = LAMINA_I32) {
    Tensor x(LAMINA_F32, x_dims), y(LAMINA_F32, y_dims), indices(index, y_dims);
    const lamina_tensor xt = x.view(), yt = y.view(), it = indices.view();
    return lamina_max_pool_forward(device, &pool, &xt, &yt, &it, nullptr);
  }
};

TEST_P(PoolErrors, AreSentences) {
  EXPECT_INVALID(pool({}, {1, 1, 5}, {1, 1, 2}), "max_pool/forward: kernel is missing for spatial axis 0");
  EXPECT_INVALID(
      pool(window(2, 2, 2), {1, 1, 5}, {1, 1, 2}),
      "max_pool/forward: pad is 2 before spatial axis 0; expected less than the window's extent, which is 2");
  EXPECT_INVALID(pool(window(2, 2, 0, 3), {1, 1, 5}, {1, 1, 2}),
                 "max_pool/forward: pad is 3 after spatial axis 0; expected less than the window's extent, which is 2");
  EXPECT_INVALID(pool(window(6, 1), {1, 1, 5}, {1, 1, 1}),
                 "max_pool/forward: x is f32[1,1,5]; with padding its spatial axis 0 has 5 elements, but the window "
                 "needs 6");
  EXPECT_INVALID(pool(window(2, 1), {1, 1, 0}, {1, 1, 1}),
                 "max_pool/forward: x is f32[1,1,0]; expected at least 1 on every spatial axis");
  EXPECT_INVALID(pool(window(2, 2), {1, 1, 5}, {1, 1, 3}),
                 "max_pool/forward: indices is i32[1,1,3]; expected i32[1,1,2]");
  EXPECT_INVALID(pool(window(2, 2), {1, 1, 5}, {1, 1, 2}, LAMINA_I64),
                 "max_pool/forward: indices is i64[1,1,2]; expected i32");
  EXPECT_INVALID(pool(window(2, 2), {5}, {2}), "max_pool/forward: x is f32[5]; expected 3 to 5 axes");
  lamina_pool apart = window(2, 1, 2, 2);
  apart.dilation[0] = 2;
  EXPECT_INVALID(
      pool(apart, {1, 1, 1}, {1, 1, 3}),
      "max_pool/forward: x is f32[1,1,1]; a dilation of 2 makes a window step over all of its spatial axis 0");
  apart.pad[0][1] = 3;
  EXPECT_INVALID(pool(apart, {1, 1, 5}, {1, 1, 3}),
                 "max_pool/forward: pad is 3 after spatial axis 0; expected less than the window's extent, which is 3");
  Tensor x(LAMINA_F32, {1, 1, 5}), y(LAMINA_F32, {1, 1, 3});
  const lamina_tensor xt = x.view(), yt = y.view();
  EXPECT_INVALID(lamina_avg_pool_forward(device, &apart, &xt, &yt, nullptr),
                 "avg_pool/forward: dilation is 2; this pool takes none");
  lamina_pool global = window(2, 0);
  global.global = 1;
  EXPECT_INVALID(pool(global, {1, 1, 5}, {1, 1, 1}),
                 "max_pool/forward: a global pool takes no kernel, stride, pad or dilation");
}

TEST_P(PoolErrors, IndicesCantNameALargerPlane) {
  const int64_t dims[] = {1, 1, int64_t{1} << 31};
  const lamina_desc x = lamina_dense(LAMINA_F32, 3, dims), y = lamina_infer(LAMINA_NONE), index = y;
  const lamina_pool two = window(2, 2);
  lamina_problem problem;
  const lamina_desc *with[] = {&x, &y, &index}, *without[] = {&x, &y, nullptr};
  EXPECT_OK(lamina_problem_init(&problem, lamina_op_find("max_pool/forward"), &two, with));
  EXPECT_INVALID(lamina_problem_infer(&problem), "max_pool/forward: x is f32[1,1,2147483648]; its planes are too large "
                                                 "for indices of 32 bits");
  EXPECT_OK(lamina_problem_init(&problem, lamina_op_find("max_pool/forward"), &two, without));
  EXPECT_OK(lamina_problem_infer(&problem));
  EXPECT_EQ(problem.arg[1].dims[2], int64_t{1} << 30);
}

INSTANTIATE_TEST_SUITE_P(Engines, PoolErrors, testing::Values("ref"));

} // namespace
