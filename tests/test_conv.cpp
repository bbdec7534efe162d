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

} // namespace
