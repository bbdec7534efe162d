// Sums, means and maxima over axes: hand-worked cases, ties, NaN, nothing at all, long sums, and what is refused.
#include <cmath>

#include "on_engine.h"
#include "values.h"

namespace {

using Values = Tensor::Values;
using Dims = Tensor::Dims;

constexpr double inf = INFINITY;

class Reduce : public OnEngine {
protected:
  Reduce() : OnEngine("sum,mean,max") {}

  using Unary = lamina_status(lamina_device *, const lamina_reduce *, const lamina_tensor *, const lamina_tensor *,
                              lamina_stream *);
  Values run(Unary *op, const lamina_reduce &reduce, Tensor from, Dims dims) {
    Tensor to(LAMINA_F32, dims);
    const lamina_tensor ft = from.view(), tt = to.view();
    EXPECT_OK(op(device, &reduce, &ft, &tt, nullptr));
    return to.values();
  }
  Values max(const lamina_reduce &reduce, Tensor x, Dims dims, Values *indices) {
    Tensor y(LAMINA_F32, dims), index(LAMINA_I32, dims);
    const lamina_tensor xt = x.view(), yt = y.view(), it = index.view();
    EXPECT_OK(lamina_max_forward(device, &reduce, &xt, &yt, indices ? &it : nullptr, nullptr));
    if (indices) *indices = index.values();
    return y.values();
  }
};

const lamina_reduce all = {}, first = {LAMINA_AXIS(0), 0}, last = {LAMINA_AXIS(-1), 0}, kept = {LAMINA_AXIS(1), 1},
                    ends = {LAMINA_AXIS(0) | LAMINA_AXIS(-1), 0};

Tensor cube() { return Tensor(LAMINA_F32, {2, 3, 2}, {1, 2, 3, 4, 5, 6, /* */ 70, 80, 90, 100, 110, 120}); }

TEST_P(Reduce, SumsByHand) {
  EXPECT_EQ(run(lamina_sum_forward, all, cube(), {}), (Values{591}));
  EXPECT_EQ(run(lamina_sum_forward, first, cube(), {3, 2}), (Values{71, 82, 93, 104, 115, 126}));
  EXPECT_EQ(run(lamina_sum_forward, last, cube(), {2, 3}), (Values{3, 7, 11, 150, 190, 230}));
  EXPECT_EQ(run(lamina_sum_forward, kept, cube(), {2, 1, 2}), (Values{9, 12, 270, 300}));
  EXPECT_EQ(run(lamina_sum_forward, ends, cube(), {3}), (Values{153, 197, 241}));
}

TEST_P(Reduce, MeansByHand) {
  EXPECT_EQ(run(lamina_mean_forward, all, cube(), {}), (Values{49.25}));
  EXPECT_EQ(run(lamina_mean_forward, last, cube(), {2, 3}), (Values{1.5, 3.5, 5.5, 75, 95, 115}));
  EXPECT_EQ(run(lamina_mean_forward, kept, cube(), {2, 1, 2}), (Values{3, 4, 90, 100}));
}

TEST_P(Reduce, GradientsGoToAllThatWasSummed) {
  const Tensor dy(LAMINA_F32, {2, 1, 2}, {3, 6, 9, 12});
  EXPECT_EQ(run(lamina_sum_backward, kept, dy, {2, 3, 2}), (Values{3, 6, 3, 6, 3, 6, 9, 12, 9, 12, 9, 12}));
  EXPECT_EQ(run(lamina_mean_backward, kept, dy, {2, 3, 2}), (Values{1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4}));
  EXPECT_EQ(run(lamina_mean_backward, all, Tensor(LAMINA_F32, {}, Values{8}), {2, 2}), (Values{2, 2, 2, 2}));
}

TEST_P(Reduce, TheFirstOfEqualMaxima) {
  Values indices;
  const Tensor x(LAMINA_F32, {2, 4}, {1, 7, 7, 2, /* */ 7, -1, 0, 7});
  EXPECT_EQ(max(last, x, {2}, &indices), (Values{7, 7}));
  EXPECT_EQ(indices, (Values{1, 0}));
  EXPECT_EQ(max(first, x, {4}, &indices), (Values{7, 7, 7, 7}));
  EXPECT_EQ(indices, (Values{1, 0, 0, 1}));
  EXPECT_EQ(max(all, x, {}, &indices), (Values{7}));
  EXPECT_EQ(indices, (Values{1}));
  EXPECT_EQ(max(ends, Tensor(LAMINA_F32, {2, 2, 2}, {1, 2, 9, 4, /* */ 8, 6, 9, 9}), {2}, &indices), (Values{8, 9}));
  EXPECT_EQ(indices, (Values{2, 0})); // counted over both axes: [0,·,0] [0,·,1] [1,·,0] [1,·,1]
}

TEST_P(Reduce, NanIsTheMaximum) {
  Values indices;
  const Tensor x(LAMINA_F32, {3, 3}, {-inf, -inf, -inf, /* */ 1, NAN, NAN, /* */ NAN, inf, 2});
  Values y = max(last, x, {3}, &indices);
  EXPECT_EQ(y[0], -inf);
  EXPECT_TRUE(std::isnan(y[1]) && std::isnan(y[2]));
  EXPECT_EQ(indices, (Values{0, 1, 0}));
  y = max(first, x, {3}, &indices);
  EXPECT_TRUE(std::isnan(y[0]) && std::isnan(y[1]) && std::isnan(y[2]));
  EXPECT_EQ(indices, (Values{2, 1, 1}));
}

TEST_P(Reduce, MaxBackwardGoesToTheIndices) {
  Tensor dy(LAMINA_F32, {3}, {1, 10, 100}), index(LAMINA_I32, {3}, {1, 0, -1}), dx(LAMINA_F32, {2, 3});
  const lamina_tensor dyt = dy.view(), it = index.view(), dxt = dx.view();
  EXPECT_OK(lamina_max_backward(device, &first, &dyt, &it, &dxt, nullptr));
  EXPECT_EQ(dx.values(), (Values{0, 10, 0, 1, 0, 0})); // an index of no element adds nothing
}

// Odd lengths, along rows and along columns: each row is cut, each cut must count.
TEST_P(Reduce, LongOnesLoseNothing) {
  for (const int64_t n : {1000, 1025, 70001}) {
    Values ones(static_cast<size_t>(2 * n), 1), indices;
    ones[static_cast<size_t>(n) - 1] = 4, ones.back() = 7;
    const Tensor rows(LAMINA_F32, {2, n}, ones);
    EXPECT_EQ(run(lamina_sum_forward, last, rows, {2}), (Values{double(n) + 3, double(n) + 6})) << n;
    EXPECT_EQ(run(lamina_sum_forward, all, rows, {}), (Values{double(2 * n) + 9})) << n;
    EXPECT_EQ(max(last, rows, {2}, &indices), (Values{4, 7}));
    EXPECT_EQ(indices, (Values(2, double(n - 1)))) << n;
    const Tensor columns(LAMINA_F32, {n, 2}, ones);
    const Values sums = run(lamina_sum_forward, first, columns, {2});
    EXPECT_EQ(sums[0] + sums[1], double(2 * n) + 9) << n;
    EXPECT_EQ(max(first, columns, {2}, &indices)[1], 7);
    EXPECT_EQ(indices[1], double(n - 1)) << n;
  }
}

TEST_P(Reduce, OverNothing) {
  Values indices;
  const Tensor none(LAMINA_F32, {2, 0});
  EXPECT_EQ(run(lamina_sum_forward, last, none, {2}), (Values{0, 0}));
  EXPECT_EQ(run(lamina_sum_forward, first, none, {0}), (Values{}));
  EXPECT_TRUE(std::isnan(run(lamina_mean_forward, last, none, {2})[1]));
  EXPECT_EQ(max(last, none, {2}, &indices), (Values{-inf, -inf}));
  EXPECT_EQ(indices, (Values{-1, -1}));
}

INSTANTIATE_TEST_SUITE_P(Engines, Reduce, testing::Values("ref", "loop"));

class ReduceErrors : public OnEngine {
protected:
  ReduceErrors() : OnEngine("max") {}
};

TEST_P(ReduceErrors, AreSentences) {
  Tensor x = cube(), y(LAMINA_F32, {2, 3}), wide(LAMINA_I64, {2, 3});
  const lamina_tensor xt = x.view(), yt = y.view(), wt = wide.view();
  const lamina_reduce none = {LAMINA_AXIS(3), 0}, wrong = {LAMINA_AXIS(0), 0}, two = {LAMINA_AXIS(2), 2};
  EXPECT_INVALID(lamina_sum_forward(device, &none, &xt, &yt, nullptr),
                 "sum/forward: axes names axis 3; expected -3 to 2");
  EXPECT_INVALID(lamina_sum_forward(device, &wrong, &xt, &yt, nullptr),
                 "sum/forward: y is f32[2,3]; expected f32[3,2]");
  EXPECT_INVALID(lamina_mean_forward(device, &two, &xt, &yt, nullptr), "mean/forward: keep is 2; expected 0 or 1");
  EXPECT_INVALID(lamina_mean_backward(device, &wrong, &yt, &xt, nullptr),
                 "mean/backward: dy is f32[2,3]; expected f32[3,2]");
  EXPECT_INVALID(lamina_max_forward(device, &last, &xt, &yt, &wt, nullptr),
                 "max/forward: indices is i64[2,3]; expected i32");
  lamina_tensor unknown = lamina_tensor_of(lamina_infer(LAMINA_F32), y.data());
  EXPECT_INVALID(lamina_sum_backward(device, &last, &yt, &unknown, nullptr),
                 "sum/backward: the shape of dx doesn't follow from the others, so it must be given");
}

INSTANTIATE_TEST_SUITE_P(Engines, ReduceErrors, testing::Values("ref"));

} // namespace
