// PReLU through its typed calls: by hand, a slope for each channel and one for all, and bad shapes.
#include <cmath>

#include "on_engine.h"
#include "values.h"

namespace {

using Values = Tensor::Values;

class Prelu : public OnEngine {
protected:
  Prelu() : OnEngine("prelu") {}
};

TEST_P(Prelu, ByHand) {
  Tensor x(LAMINA_F32, {2, 2, 3}, {1, -2, 0, -4, 5, -6, -1, 2, 3, 4, -8, 1}), slope(LAMINA_F32, {2}, {0.5, -2}),
      dy(LAMINA_F32, {2, 2, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3}), y(LAMINA_F32, {2, 2, 3}),
      dslope(LAMINA_F32, {2});
  const lamina_tensor xv = x.view(), sv = slope.view(), g = dy.view(), yv = y.view(), dv = dslope.view();
  EXPECT_OK(lamina_prelu_forward(device, &xv, &sv, &yv, nullptr));
  EXPECT_EQ(y.values(), (Values{1, -1, 0, 8, 5, 12, -0.5, 2, 3, 4, 16, 1}));
  EXPECT_OK(lamina_prelu_backward(device, &xv, &sv, &g, &g, &dv, nullptr)); // dx on dy
  EXPECT_EQ(dy.values(), (Values{1, 1, 1.5, -8, 5, -12, 3.5, 8, 9, 1, -4, 3}));
  EXPECT_EQ(dslope.values(), (Values{-2 * 2 + -1 * 7, -4 * 4 + -6 * 6 + -8 * 2}));
}

TEST_P(Prelu, OneSlopeForAll) {
  for (const Tensor::Dims &dims : {Tensor::Dims{4}, Tensor::Dims{2, 2}, Tensor::Dims{1, 2, 1, 2}}) {
    Tensor x(LAMINA_F32, dims, {1, -2, 3, -4}), slope(LAMINA_F32, {1}, {0.25}), dy(LAMINA_F32, dims, {1, 2, 3, 4}),
        dslope(LAMINA_F32, {1});
    const lamina_tensor xv = x.view(), sv = slope.view(), g = dy.view(), dv = dslope.view();
    EXPECT_OK(lamina_prelu_backward(device, &xv, &sv, &g, &g, &dv, nullptr));
    EXPECT_EQ(dy.values(), (Values{1, 0.5, 3, 1}));
    EXPECT_EQ(dslope.at(0), -20);
    EXPECT_OK(lamina_prelu_forward(device, &xv, &sv, &xv, nullptr));
    EXPECT_EQ(x.values(), (Values{1, -0.5, 3, -1}));
  }
}

// More than one part of partial sums, in rows and in runs; small whole numbers stay exact.
TEST_P(Prelu, LongSums) {
  for (const Tensor::Dims &dims : {Tensor::Dims{20000, 2}, Tensor::Dims{2, 2, 10000}, Tensor::Dims{40000}}) {
    Tensor x(LAMINA_F32, dims, -1.0), dy(LAMINA_F32, dims, 3.0), dx(LAMINA_F32, dims);
    const int64_t slopes = dims.size() > 1 ? 2 : 1;
    Tensor slope(LAMINA_F32, {slopes}, 0.5), dslope(LAMINA_F32, {slopes});
    const lamina_tensor xv = x.view(), sv = slope.view(), g = dy.view(), dxv = dx.view(), dv = dslope.view();
    EXPECT_OK(lamina_prelu_backward(device, &xv, &sv, &g, &dxv, &dv, nullptr));
    for (const double v : dslope.values()) EXPECT_EQ(v, -3.0 * 40000 / static_cast<double>(slopes));
    for (const double v : dx.values()) ASSERT_EQ(v, 1.5);
  }
}

TEST_P(Prelu, NanIsNotPositive) {
  Tensor x(LAMINA_F32, {1, 2}, {NAN, 2}), slope(LAMINA_F32, {2}, {0.5, NAN}), dy(LAMINA_F32, {1, 2}, {4, 6}),
      y(LAMINA_F32, {1, 2}), dslope(LAMINA_F32, {2});
  const lamina_tensor xv = x.view(), sv = slope.view(), g = dy.view(), yv = y.view(), dv = dslope.view();
  EXPECT_OK(lamina_prelu_forward(device, &xv, &sv, &yv, nullptr));
  EXPECT_TRUE(std::isnan(y.at(0)));
  EXPECT_EQ(y.at(1), 2);
  EXPECT_OK(lamina_prelu_backward(device, &xv, &sv, &g, &g, &dv, nullptr));
  EXPECT_EQ(dy.values(), (Values{2, 6}));
  EXPECT_TRUE(std::isnan(dslope.at(0)));
  EXPECT_EQ(dslope.at(1), 0);
}

TEST_P(Prelu, ErrorsAreSentences) {
  Tensor x(LAMINA_F32, {2, 3}), y(LAMINA_F32, {3, 2}), two(LAMINA_F32, {2}), three(LAMINA_F32, {3}),
      line(LAMINA_F32, {3});
  const lamina_tensor xv = x.view(), yv = y.view(), bad = two.view(), good = three.view(), lv = line.view();
  EXPECT_INVALID(lamina_prelu_forward(device, &xv, &bad, &xv, nullptr),
                 "prelu/forward: slope is f32[2]; expected f32[3]");
  EXPECT_INVALID(lamina_prelu_forward(device, &lv, &good, &lv, nullptr),
                 "prelu/forward: x is f32[3]; expected 2 to 8 axes");
  EXPECT_INVALID(lamina_prelu_backward(device, &xv, &good, &yv, &yv, nullptr, nullptr),
                 "prelu/backward: dy is f32[3,2]; expected f32[2,3]");
}

INSTANTIATE_TEST_SUITE_P(Engines, Prelu, testing::Values("loop", "ref"));

} // namespace
