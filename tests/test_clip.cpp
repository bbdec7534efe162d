// Norms and clipping: cases by hand, what isn't finite, and errors.
#include <cmath>
#include <limits>
#include <vector>

#include "lamina/clip.h"
#include "on_engine.h"

namespace {

using Values = std::vector<float>;

class Clip : public OnEngine {
protected:
  Clip() : OnEngine("norm2,clip_norm,clip_value") {}

  float norm(Values x) {
    float y = -1;
    const lamina_tensor xt = lamina_vector(LAMINA_F32, static_cast<int64_t>(x.size()), x.data()),
                        yt = lamina_vector(LAMINA_F32, 1, &y);
    EXPECT_OK(lamina_norm2_forward(device, &xt, &yt, nullptr));
    return y;
  }
  // In place.
  Values by_norm(Values x, double max, float norm, const float *gate = nullptr) {
    const lamina_clip_norm clip = {max};
    const lamina_tensor xt = lamina_vector(LAMINA_F32, static_cast<int64_t>(x.size()), x.data()),
                        nt = lamina_vector(LAMINA_F32, 1, &norm),
                        gt = lamina_vector(LAMINA_F32, 1, const_cast<float *>(gate));
    EXPECT_OK(lamina_clip_norm_forward(device, &clip, &xt, &nt, gate ? &gt : nullptr, &xt, nullptr));
    return x;
  }
  Values by_value(Values x, double max) {
    const lamina_clip_value clip = {max};
    const lamina_tensor xt = lamina_vector(LAMINA_F32, static_cast<int64_t>(x.size()), x.data());
    EXPECT_OK(lamina_clip_value_forward(device, &clip, &xt, &xt, nullptr));
    return x;
  }
};

const float infinity = std::numeric_limits<float>::infinity();

TEST_P(Clip, NormsByHand) {
  EXPECT_EQ(norm({3, -4}), 5);
  EXPECT_EQ(norm({2, 3, 6, 0, 0, 0, 0, 0, 24}), 25); // 4 + 9 + 36 + 576
  EXPECT_EQ(norm({-0.25f}), 0.25f);
  EXPECT_EQ(norm({}), 0);
  EXPECT_EQ(norm(Values(1 << 20, 0.5f)), 512); // sqrt(2^20 / 4)
}

// The squares of these leave f32 on both sides.
TEST_P(Clip, NormsOfAnySize) {
  EXPECT_EQ(norm({0x3p90f, -0x4p90f}), 0x5p90f);
  EXPECT_EQ(norm({0x3p-100f, 0x4p-100f}), 0x5p-100f);
  EXPECT_EQ(norm({3e38f, 3e38f}), infinity); // 4.2e38
}

// 1 / (5 + 1e-6) = 0.19999996…
TEST_P(Clip, ClipsByTheNorm) {
  EXPECT_EQ(by_norm({3, -4}, 1, 5), (Values{0.59999988f, -0.79999984f}));
  EXPECT_EQ(by_norm({3, -4}, 0, 5), (Values{0.59999988f, -0.79999984f})); // 0: 1
  EXPECT_EQ(by_norm({3, -4}, 10, 5), (Values{3, -4}));
  EXPECT_EQ(by_norm({3, -4}, 5, 5), (Values{2.9999994f, -3.9999992f})); // 5 / 5.000001 is less than 1
  EXPECT_EQ(by_norm({0, 0}, 1, 0), (Values{0, 0}));
}

TEST_P(Clip, ClipsByValue) {
  EXPECT_EQ(by_value({3, -4, 0.5f, -0.25f, 2}, 2), (Values{2, -2, 0.5f, -0.25f, 2}));
  EXPECT_EQ(by_value({3, -0.5f}, 0), (Values{1, -0.5f}));
}

// As torch.nn.utils has it.
TEST_P(Clip, WhatIsNotFinite) {
  EXPECT_TRUE(std::isnan(norm({1, NAN, 2})));
  EXPECT_TRUE(std::isnan(norm({infinity, NAN})));
  EXPECT_EQ(norm({1, -infinity, 2}), infinity);
  for (const float y : by_norm({1, -2, infinity}, 1, NAN)) EXPECT_TRUE(std::isnan(y));
  const Values y = by_norm({1, -2, -infinity}, 1, infinity);
  EXPECT_EQ(y[0], 0);
  EXPECT_EQ(y[1], 0);
  EXPECT_TRUE(std::isnan(y[2]));
  const Values z = by_value({infinity, -infinity, NAN}, 2);
  EXPECT_EQ(z[0], 2);
  EXPECT_EQ(z[1], -2);
  EXPECT_TRUE(std::isnan(z[2]));
}

TEST_P(Clip, AShutGateLeavesX) {
  for (const float gate : {0.0f, -3.5f, 3e38f, static_cast<float>(NAN), infinity, -infinity})
    for (const float norm : {4.0f, static_cast<float>(NAN), infinity}) {
      const Values y = by_norm({8, 0}, 1, norm, &gate);
      if (!std::isfinite(gate))
        EXPECT_EQ(y, (Values{8, 0})) << gate << " " << norm;
      else if (std::isnan(norm))
        EXPECT_TRUE(std::isnan(y[0]) && std::isnan(y[1]));
      else
        EXPECT_LT(y[0], 2) << gate << " " << norm;
    }
}

TEST_P(Clip, ErrorsNameTheArgument) {
  Values x(3), y(3), n(2);
  const lamina_tensor xt = lamina_vector(LAMINA_F32, 3, x.data()), yt = lamina_vector(LAMINA_F32, 3, y.data()),
                      one = lamina_vector(LAMINA_F32, 1, n.data()), two = lamina_vector(LAMINA_F32, 2, n.data()),
                      few = lamina_vector(LAMINA_F32, 2, y.data());
  const lamina_clip_norm norm = {-1};
  const lamina_clip_value value = {-0.5};
  EXPECT_INVALID(lamina_norm2_forward(device, &xt, &two, nullptr), "norm2/forward: y is f32[2]; expected f32[1]");
  EXPECT_INVALID(lamina_clip_norm_forward(device, nullptr, &xt, &two, nullptr, &yt, nullptr),
                 "clip_norm/forward: norm is f32[2]; expected f32[1]");
  EXPECT_INVALID(lamina_clip_norm_forward(device, nullptr, &xt, &one, nullptr, &few, nullptr),
                 "clip_norm/forward: y is f32[2]; expected f32[3]");
  EXPECT_INVALID(lamina_clip_norm_forward(device, nullptr, &xt, &one, &two, &yt, nullptr),
                 "clip_norm/forward: gate is f32[2]; expected f32[1]");
  EXPECT_INVALID(lamina_clip_norm_forward(device, &norm, &xt, &one, nullptr, &yt, nullptr),
                 "clip_norm/forward: max is -1; expected at least 0");
  EXPECT_INVALID(lamina_clip_value_forward(device, &value, &xt, &yt, nullptr),
                 "clip_value/forward: max is -0.5; expected at least 0");
}

INSTANTIATE_TEST_SUITE_P(Engines, Clip, testing::Values("ref", "loop"));

} // namespace
