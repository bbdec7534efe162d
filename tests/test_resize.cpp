// Resizing: hand-worked rows and pictures in both modes, infinite neighbours, and what is refused.
#include <cmath>

#include "on_engine.h"
#include "values.h"

namespace {

using Values = Tensor::Values;
using Dims = Tensor::Dims;

class Resize : public OnEngine {
protected:
  Resize() : OnEngine("resize") {}

  Values run(const lamina_resize &resize, Tensor x, Dims dims) {
    Tensor y(static_cast<lamina_dtype>(x.desc().dtype), dims);
    const lamina_tensor xt = x.view(), yt = y.view();
    EXPECT_OK(lamina_resize_forward(device, &resize, &xt, &yt, nullptr));
    return y.values();
  }
  Values gradient(const lamina_resize &resize, Tensor dy, Dims dims) {
    Tensor dx(LAMINA_F32, dims);
    const lamina_tensor dyt = dy.view(), dxt = dx.view();
    EXPECT_OK(lamina_resize_backward(device, &resize, &dyt, &dxt, nullptr));
    return dx.values();
  }
};

lamina_resize to(int64_t size, lamina_resize_mode mode, int64_t corners = 0) {
  lamina_resize resize = {};
  resize.size[0] = size, resize.mode = mode, resize.align_corners = corners;
  return resize;
}
Tensor row(const Values &v) { return Tensor(LAMINA_F32, {1, 1, static_cast<int64_t>(v.size())}, v); }

TEST_P(Resize, NearestByHand) {
  EXPECT_EQ(run(to(6, LAMINA_RESIZE_NEAREST), row({1, 2, 3}), {1, 1, 6}), (Values{1, 1, 2, 2, 3, 3}));
  EXPECT_EQ(run(to(5, LAMINA_RESIZE_NEAREST), row({1, 2, 3}), {1, 1, 5}), (Values{1, 1, 2, 2, 3}));
  EXPECT_EQ(run(to(2, LAMINA_RESIZE_NEAREST), row({1, 2, 3}), {1, 1, 2}), (Values{1, 2}));
  EXPECT_EQ(gradient(to(5, LAMINA_RESIZE_NEAREST), row({1, 2, 3, 4, 5}), {1, 1, 3}), (Values{3, 7, 5}));
  EXPECT_EQ(gradient(to(2, LAMINA_RESIZE_NEAREST), row({1, 2}), {1, 1, 3}), (Values{1, 2, 0}));
}

TEST_P(Resize, LinearByHand) {
  EXPECT_EQ(run(to(4, LAMINA_RESIZE_LINEAR), row({0, 8}), {1, 1, 4}), (Values{0, 2, 6, 8}));
  EXPECT_EQ(run(to(5, LAMINA_RESIZE_LINEAR, 1), row({0, 8}), {1, 1, 5}), (Values{0, 2, 4, 6, 8}));
  EXPECT_EQ(run(to(1, LAMINA_RESIZE_LINEAR), row({1, 2, 6}), {1, 1, 1}), (Values{2}));    // the middle
  EXPECT_EQ(run(to(1, LAMINA_RESIZE_LINEAR, 1), row({1, 2, 6}), {1, 1, 1}), (Values{1})); // the first corner
  EXPECT_EQ(gradient(to(4, LAMINA_RESIZE_LINEAR), row({4, 4, 8, 8}), {1, 1, 2}), (Values{9, 15}));
  EXPECT_EQ(gradient(to(1, LAMINA_RESIZE_LINEAR), row({4}), {1, 1, 4}), (Values{0, 2, 2, 0}));
}

TEST_P(Resize, APictureTwiceAsLarge) {
  lamina_resize twice = {};
  twice.scale = 2, twice.mode = LAMINA_RESIZE_LINEAR;
  const Tensor x(LAMINA_BF16, {1, 1, 2, 2}, {0, 16, 32, 48});
  EXPECT_EQ(run(twice, x, {1, 1, 4, 4}), (Values{0, 4, 12, 16, 8, 12, 20, 24, 24, 28, 36, 40, 32, 36, 44, 48}));
  twice.mode = LAMINA_RESIZE_NEAREST;
  EXPECT_EQ(run(twice, x, {1, 1, 4, 4}), (Values{0, 0, 16, 16, 0, 0, 16, 16, 32, 32, 48, 48, 32, 32, 48, 48}));
}

// What has no weight isn't taken: infinity times 0 would be NaN.
TEST_P(Resize, AnInfiniteNeighbourStaysAway) {
  const double inf = INFINITY;
  EXPECT_EQ(run(to(3, LAMINA_RESIZE_LINEAR, 1), row({1, 2, inf}), {1, 1, 3}), (Values{1, 2, inf}));
  EXPECT_EQ(run(to(2, LAMINA_RESIZE_LINEAR), row({1, inf}), {1, 1, 2}), (Values{1, inf}));
}

TEST_P(Resize, WhatItRefuses) {
  Tensor x = row({1, 2, 3}), y(LAMINA_F32, {1, 1, 6}), flat(LAMINA_F32, {3});
  const lamina_tensor xt = x.view(), yt = y.view(), ft = flat.view();
  const auto resize = [&](const lamina_resize &r) { return lamina_resize_forward(device, &r, &xt, &yt, nullptr); };
  lamina_resize both = to(6, LAMINA_RESIZE_NEAREST), tiny = {}, more = both;
  both.scale = 2, tiny.scale = 0.1, more.size[1] = 2;
  EXPECT_INVALID(resize({}), "resize/forward: size is missing for spatial axis 0");
  EXPECT_INVALID(resize(both), "resize/forward: size and scale are given; expected one of them");
  EXPECT_INVALID(resize(tiny),
                 "resize/forward: x is f32[1,1,3]; scale makes 0 elements of its spatial axis 0; expected "
                 "1 to 2^30");
  EXPECT_INVALID(resize(more), "resize/forward: size is given for 2 axes, but there are 1 spatial axes");
  EXPECT_INVALID(resize(to(6, LAMINA_RESIZE_NEAREST, 1)), "resize/forward: align_corners needs mode=linear");
  EXPECT_INVALID(resize(to(5, LAMINA_RESIZE_NEAREST)), "resize/forward: y is f32[1,1,6]; expected f32[1,1,5]");
  EXPECT_INVALID(lamina_resize_forward(device, &both, &ft, &yt, nullptr),
                 "resize/forward: x is f32[3]; expected 3 to 5 axes");
}

INSTANTIATE_TEST_SUITE_P(Engines, Resize, testing::Values("ref", "loop"));

} // namespace
