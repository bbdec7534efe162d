// Convolution through its typed calls: what bad shapes are told. Its values are in test_worked_examples.cpp.
#include <gtest/gtest.h>

#include <vector>

#include "lamina/conv.h"

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

} // namespace
