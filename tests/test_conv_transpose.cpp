// Transposed convolution: what shapes it gives and refuses, and cases worked by hand.
#include <gtest/gtest.h>

#include "lamina/lamina.h"
#include "values.h"

namespace {

class ConvTranspose : public testing::Test {
protected:
  void SetUp() override { ASSERT_EQ(lamina_device_open("cpu", nullptr, &device), LAMINA_OK) << lamina_last_error(); }
  void TearDown() override { lamina_device_close(device); }

  // Empty when it was refused.
  Tensor::Dims infer(const char *op, const lamina_conv_transpose &conv, Tensor::Dims first, Tensor::Dims second) {
    const lamina_desc a = lamina_dense(LAMINA_F32, static_cast<int>(first.size()), first.data());
    const lamina_desc b = lamina_dense(LAMINA_F32, static_cast<int>(second.size()), second.data());
    const lamina_desc out = lamina_infer(LAMINA_NONE);
    const bool forward = std::string(op) == "conv_transpose/forward";
    const lamina_desc *const args[] = {&a, &b, forward ? nullptr : &out, &out};
    lamina_problem problem;
    EXPECT_EQ(lamina_problem_init(&problem, lamina_op_find(op), &conv, args), LAMINA_OK);
    if (lamina_problem_infer(&problem)) return {};
    const lamina_desc &y = problem.arg[forward ? 3 : 2];
    return Tensor::Dims(y.dims, y.dims + y.rank);
  }

  lamina_device *device = nullptr;
};

TEST_F(ConvTranspose, ShapesAreThoseOfPyTorch) {
  lamina_conv_transpose conv = {};
  EXPECT_EQ(infer("conv_transpose/forward", conv, {2, 3, 5}, {3, 4, 3}), (Tensor::Dims{2, 4, 7}));
  conv.stride[0] = 2, conv.pad[0][0] = conv.pad[0][1] = 1;
  EXPECT_EQ(infer("conv_transpose/forward", conv, {2, 3, 5}, {3, 4, 3}), (Tensor::Dims{2, 4, 9}));
  conv.output_pad[0] = 1, conv.groups = 3;
  EXPECT_EQ(infer("conv_transpose/forward", conv, {2, 3, 5}, {3, 4, 3}), (Tensor::Dims{2, 12, 10}));
  EXPECT_EQ(infer("conv_transpose/backward_data", conv, {2, 12, 10}, {3, 4, 3}), (Tensor::Dims{2, 3, 5}));
}

TEST_F(ConvTranspose, WhatDoesNotFitIsNamed) {
  lamina_conv_transpose conv = {};
  const char *const forward = "conv_transpose/forward";
  EXPECT_TRUE(infer(forward, conv, {1, 3, 5}, {2, 4, 3}).empty());
  EXPECT_STREQ(lamina_last_error(),
               "conv_transpose/forward: w is f32[2,4,3]; expected axis 0 to be the input's 3 channels");
  conv.groups = 2;
  EXPECT_TRUE(infer(forward, conv, {1, 3, 5}, {3, 4, 3}).empty());
  EXPECT_STREQ(lamina_last_error(),
               "conv_transpose/forward: x is f32[1,3,5]; its 3 channels can't be split into 2 groups");
  conv.groups = 1, conv.stride[0] = 2, conv.output_pad[0] = 2;
  EXPECT_TRUE(infer(forward, conv, {1, 3, 5}, {3, 4, 3}).empty());
  EXPECT_STREQ(lamina_last_error(), "conv_transpose/forward: x is f32[1,3,5]; output_pad is 2 on spatial axis 0; "
                                    "expected less than the stride or the dilation");
  conv.output_pad[0] = 0, conv.pad[0][0] = 3;
  EXPECT_TRUE(infer(forward, conv, {1, 3, 1}, {3, 4, 3}).empty());
  EXPECT_STREQ(lamina_last_error(), "conv_transpose/forward: x is f32[1,3,1]; on spatial axis 0 it reaches 3 outputs, "
                                    "and padding cuts 3 off");
  conv.pad[0][0] = 0;
  EXPECT_TRUE(infer("conv_transpose/backward_data", conv, {1, 4, 6}, {3, 4, 3}).empty());
  EXPECT_STREQ(lamina_last_error(), "conv_transpose/backward_data: dy is f32[1,4,6]; no input gives its 6 elements on "
                                    "spatial axis 0");
}

// Every pass of one case, on every engine that the device offers for it: x = 1 2 spread by 1 10 100 with stride 2.
TEST_F(ConvTranspose, WorkedByHand) {
  lamina_conv_transpose conv = {};
  conv.stride[0] = 2;
  Tensor x(LAMINA_F32, {1, 1, 2}, {1, 2}), w(LAMINA_F32, {1, 1, 3}, {1, 10, 100}), b(LAMINA_F32, {1}, {1000}),
      y(LAMINA_F32, {1, 1, 5}), dx(LAMINA_F32, {1, 1, 2}), dw(LAMINA_F32, {1, 1, 3}), db(LAMINA_F32, {1});
  const lamina_tensor tx = x.view(), tw = w.view(), tb = b.view(), ty = y.view(), tdx = dx.view(), tdw = dw.view(),
                      tdb = db.view();
  EXPECT_EQ(lamina_conv_transpose_forward(device, &conv, &tx, &tw, &tb, &ty, nullptr), LAMINA_OK)
      << lamina_last_error();
  EXPECT_EQ(y.values(), (Tensor::Values{1001, 1010, 1102, 1020, 1200}));
  y = Tensor(LAMINA_F32, {1, 1, 5}, {1, 2, 3, 4, 5});
  const lamina_tensor tdy = y.view();
  EXPECT_EQ(lamina_conv_transpose_backward_data(device, &conv, &tdy, &tw, &tdx, nullptr), LAMINA_OK);
  EXPECT_EQ(dx.values(), (Tensor::Values{321, 543}));
  EXPECT_EQ(lamina_conv_transpose_backward_weights(device, &conv, &tx, &tdy, &tdw, nullptr), LAMINA_OK);
  EXPECT_EQ(dw.values(), (Tensor::Values{1 + 2 * 3, 2 + 2 * 4, 3 + 2 * 5}));
  EXPECT_EQ(lamina_conv_transpose_backward_bias(device, &conv, &tdy, &tdb, nullptr), LAMINA_OK);
  EXPECT_EQ(db.at(0), 15);
}

} // namespace
