// Convolution through its typed calls: what bad shapes are told. Its values are in test_worked_examples.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "lamina/conv.h"
#include "values.h"

namespace {

using Values = std::vector<float>;

class Conv : public testing::Test {
protected:
  void SetUp() override { ASSERT_EQ(lamina_device_open("cpu", nullptr, &device), LAMINA_OK) << lamina_last_error(); }
  void TearDown() override { lamina_device_close(device); }

  lamina_device *device = nullptr;
};

TEST_F(Conv, TooSmallAnInputIsNamed) {
  Values data(16);
  const lamina_tensor x = lamina_nchw(LAMINA_F32, 1, 1, 2, 4, data.data());
  const lamina_tensor w = lamina_nchw(LAMINA_F32, 1, 1, 3, 3, data.data());
  const lamina_tensor y = lamina_nchw(LAMINA_F32, 1, 1, 1, 2, data.data());
  EXPECT_EQ(lamina_conv_forward(device, nullptr, &x, &w, nullptr, &y, nullptr), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "conv/forward: y overlaps x in memory");
  Values out(16);
  const lamina_tensor apart = lamina_nchw(LAMINA_F32, 1, 1, 1, 2, out.data());
  EXPECT_EQ(lamina_conv_forward(device, nullptr, &x, &w, nullptr, &apart, nullptr), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "conv/forward: x is f32[1,1,2,4]; with padding its spatial axis 0 has 2 elements, "
                                    "but the filter needs 3");
}

// Flipped, with the filter's size less 1 around it: the product of polynomials, 1 + 2t + 3t^2 times 4 + 5t.
TEST_F(Conv, FlippedAndFullIsTheProductOfPolynomials) {
  Values x = {1, 2, 3}, w = {4, 5}, y(4);
  const int64_t of_x[] = {1, 1, 3}, of_w[] = {1, 1, 2}, of_y[] = {1, 1, 4};
  const lamina_tensor tx = lamina_tensor_of(lamina_dense(LAMINA_F32, 3, of_x), x.data());
  const lamina_tensor tw = lamina_tensor_of(lamina_dense(LAMINA_F32, 3, of_w), w.data());
  const lamina_tensor ty = lamina_tensor_of(lamina_dense(LAMINA_F32, 3, of_y), y.data());
  lamina_conv conv = {};
  conv.pad[0][0] = conv.pad[0][1] = 1;
  conv.flip = 1;
  EXPECT_EQ(lamina_conv_forward(device, &conv, &tx, &tw, nullptr, &ty, nullptr), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(y, (Values{4, 13, 22, 15}));
  // Its gradients are correlations: of w with dy, and of x with dy, turned back.
  Values dx(3), dw(2);
  const lamina_tensor tdx = lamina_tensor_of(tx.desc, dx.data()), tdw = lamina_tensor_of(tw.desc, dw.data());
  y = {1, 0, 0, 2};
  EXPECT_EQ(lamina_conv_backward_data(device, &conv, &ty, &tw, &tdx, nullptr), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(dx, (Values{4, 0, 10}));
  EXPECT_EQ(lamina_conv_backward_weights(device, &conv, &tx, &ty, &tdw, nullptr), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(dw, (Values{1, 6}));
}

// ---- conv/matrix ----

struct Matrix {
  int64_t height, width;
  Tensor values, columns, rows;

  Tensor::Values times(const Tensor::Values &x) const {
    Tensor::Values y(static_cast<size_t>(height));
    for (int64_t i = 0; i < height; i++)
      for (auto e = static_cast<int64_t>(rows.at(i)); e < static_cast<int64_t>(rows.at(i + 1)); e++)
        y[static_cast<size_t>(i)] += values.at(e) * x[static_cast<size_t>(columns.at(e))];
    return y;
  }
  // Row after row, zeros and all.
  Tensor::Values dense() const {
    Tensor::Values all;
    for (int64_t i = 0; i < height; i++)
      for (int64_t j = 0; j < width; j++) {
        double value = 0;
        for (auto e = static_cast<int64_t>(rows.at(i)); e < static_cast<int64_t>(rows.at(i + 1)); e++)
          if (static_cast<int64_t>(columns.at(e)) == j) value = values.at(e);
        all.push_back(value);
      }
    return all;
  }
};

class ConvMatrix : public testing::TestWithParam<const char *> {
protected:
  void SetUp() override {
    lamina_device_options options = {};
    options.engine = GetParam();
    ASSERT_EQ(lamina_device_open("cpu", &options, &device), LAMINA_OK) << lamina_last_error();
  }
  void TearDown() override { lamina_device_close(device); }

  // `index`: the type of columns and rows.
  Matrix matrix(const lamina_conv_matrix_desc &conv, Tensor w, lamina_dtype index = LAMINA_I64) {
    const int op = lamina_op_find("conv/matrix");
    const lamina_desc wd = w.desc(), infer = lamina_infer(LAMINA_NONE);
    const lamina_desc *const args[] = {&wd, &infer, &infer, &infer};
    lamina_problem problem;
    EXPECT_EQ(lamina_problem_init(&problem, op, &conv, args), LAMINA_OK);
    EXPECT_EQ(lamina_problem_infer(&problem), LAMINA_OK) << lamina_last_error();
    const int64_t stored = problem.arg[1].dims[0], rows = problem.arg[3].dims[0];
    int64_t width = wd.dims[1] * std::max<int64_t>(1, conv.conv.groups);
    for (int a = 0; a < wd.rank - 2; a++) width *= conv.size[a];
    Matrix m = {rows - 1, width, Tensor(LAMINA_F32, {stored}), Tensor(index, {stored}), Tensor(index, {rows})};
    const lamina_tensor wt = w.view(), v = m.values.view(), c = m.columns.view(), r = m.rows.view();
    EXPECT_EQ(lamina_conv_matrix(device, &conv, &wt, &v, &c, &r, nullptr), LAMINA_OK) << lamina_last_error();
    return m;
  }

  lamina_device *device = nullptr;
};

// A filter along a line is a Toeplitz matrix; over a picture a Toeplitz matrix of such.
TEST_P(ConvMatrix, IsToeplitz) {
  lamina_conv_matrix_desc line = {};
  line.size[0] = 4;
  const Matrix m = matrix(line, Tensor(LAMINA_F32, {1, 1, 3}, {1, 2, 3}));
  EXPECT_EQ(m.values.values(), (Tensor::Values{1, 2, 3, 1, 2, 3}));
  EXPECT_EQ(m.columns.values(), (Tensor::Values{0, 1, 2, 1, 2, 3}));
  EXPECT_EQ(m.rows.values(), (Tensor::Values{0, 3, 6}));
  lamina_conv_matrix_desc picture = {};
  picture.size[0] = picture.size[1] = 3;
  EXPECT_EQ(matrix(picture, Tensor(LAMINA_F32, {1, 1, 2, 2}, {1, 2, 3, 4})).dense(),
            (Tensor::Values{1, 2, 0, 3, 4, 0, 0, 0, 0, 0, 1, 2, 0, 3, 4, 0, 0, 0,
                            0, 0, 0, 1, 2, 0, 3, 4, 0, 0, 0, 0, 0, 1, 2, 0, 3, 4}));
  picture.conv.flip = 1, picture.conv.stride[0] = picture.conv.stride[1] = 2, picture.conv.pad[0][0] = 1;
  EXPECT_EQ(matrix(picture, Tensor(LAMINA_F32, {1, 1, 2, 2}, {1, 2, 3, 4}), LAMINA_I32).dense(),
            (Tensor::Values{2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 3, 0, 2, 1, 0}));
}

// Times x it is the convolution, to the bit: all numbers are small integers.
TEST_P(ConvMatrix, TimesXIsTheConvolution) {
  lamina_conv_matrix_desc of = {};
  of.size[0] = 6, of.size[1] = 7;
  of.conv.groups = 2, of.conv.stride[0] = 1, of.conv.stride[1] = 2, of.conv.dilation[0] = 2, of.conv.dilation[1] = 1;
  of.conv.pad[0][0] = 3, of.conv.pad[0][1] = of.conv.pad[1][1] = 1;
  for (const int64_t flip : {0, 1}) {
    of.conv.flip = flip;
    Tensor::Values weights, pixels;
    for (int i = 0; i < 6 * 2 * 3 * 2; i++) weights.push_back(i * 5 % 7 - 3);
    for (int i = 0; i < 4 * 6 * 7; i++) pixels.push_back(i * 7 % 11 - 5);
    Tensor w(LAMINA_F32, {6, 2, 3, 2}, weights), x(LAMINA_F32, {1, 4, 6, 7}, pixels), y(LAMINA_F32, {1, 6, 6, 4});
    const lamina_tensor wt = w.view(), xt = x.view(), yt = y.view();
    ASSERT_EQ(lamina_conv_forward(device, &of.conv, &xt, &wt, nullptr, &yt, nullptr), LAMINA_OK) << lamina_last_error();
    const Matrix m = matrix(of, w);
    EXPECT_EQ(m.times(pixels), y.values());
    EXPECT_LT(m.values.count(), 6 * 6 * 4 * 12); // taps that fall into padding aren't stored
  }
}

TEST_P(ConvMatrix, WhatIsMissingIsNamed) {
  Tensor w(LAMINA_F32, {1, 1, 3}), v(LAMINA_F32, {3}), c(LAMINA_U8, {3}), r(LAMINA_I64, {2});
  const lamina_tensor wt = w.view(), vt = v.view(), ct = c.view(), rt = r.view();
  EXPECT_EQ(lamina_conv_matrix(device, nullptr, &wt, &vt, &ct, &rt, nullptr), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(),
               "conv/matrix: w is f32[1,1,3]; size, the input's spatial shape, is missing on spatial axis 0");
  lamina_conv_matrix_desc conv = {};
  conv.size[0] = 3;
  EXPECT_EQ(lamina_conv_matrix(device, &conv, &wt, &vt, &ct, &rt, nullptr), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "conv/matrix: columns is u8[3]; expected i64 or i32");
}

INSTANTIATE_TEST_SUITE_P(Engines, ConvMatrix, testing::Values("", "conv:ref"),
                         [](const auto &info) { return std::string(*info.param ? "ref" : "chosen"); });

} // namespace
