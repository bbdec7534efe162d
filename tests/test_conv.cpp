// Convolution through its typed calls: hand-worked values, and what bad shapes are told.
#include <gtest/gtest.h>

#include <vector>

#include "lamina/conv.h"

namespace {

using Values = std::vector<float>;

class Conv : public testing::Test {
protected:
  void SetUp() override { ASSERT_EQ(lamina_device_open("cpu", nullptr, &device), LAMINA_OK) << lamina_last_error(); }
  void TearDown() override { lamina_device_close(device); }

  Values forward(const lamina_conv &conv, Values x, int64_t h, int64_t w, Values filter, int64_t r, int64_t s,
                 int64_t oh, int64_t ow) {
    Values y(static_cast<size_t>(oh * ow), -99);
    const lamina_tensor xt = lamina_nchw(LAMINA_F32, 1, 1, h, w, x.data());
    const lamina_tensor wt = lamina_nchw(LAMINA_F32, 1, 1, r, s, filter.data());
    const lamina_tensor yt = lamina_nchw(LAMINA_F32, 1, 1, oh, ow, y.data());
    EXPECT_EQ(lamina_conv_forward(device, &conv, &xt, &wt, nullptr, &yt, nullptr), LAMINA_OK) << lamina_last_error();
    return y;
  }

  lamina_device *device = nullptr;
};

const Values bucharest = {4, 1, 0, 2, 5, 1, -1, 6, -2, 4, -3, 4, 1, 3, 2, 0, -3, 0, 5, -1};
const Values filter = {6, 2, 1, 0, -2, 3, 2, -1, -4};

TEST_F(Conv, ValidOfTheLecture) {
  EXPECT_EQ(forward({}, bucharest, 4, 5, filter, 3, 3, 2, 3), (Values{32, -15, 16, 8, -15, 35}));
}

TEST_F(Conv, SameOfTheLecture) {
  lamina_conv conv = {};
  for (int a = 0; a < 2; a++) conv.pad[a][0] = conv.pad[a][1] = 1;
  EXPECT_EQ(forward(conv, bucharest, 4, 5, filter, 3, 3, 4, 5),
            (Values{-2, -23, 6, 9, -18, -9, 32, -15, 16, 18, 31, 8, -15, 35, 3, -11, -3, 44, 1, 24}));
}

TEST_F(Conv, StridedOfTheLecture) {
  Values x = bucharest;
  x.insert(x.end(), {5, 2, -2, 1, 0});
  lamina_conv conv = {};
  for (int a = 0; a < 2; a++) conv.pad[a][0] = conv.pad[a][1] = 1, conv.stride[a] = 2;
  EXPECT_EQ(forward(conv, x, 5, 5, filter, 3, 3, 3, 3), (Values{-2, 6, -18, 31, -15, 3, -7, -6, 28}));
}

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
