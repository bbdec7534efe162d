// Local response normalisation through its typed calls: by hand, where windows end, other conventions, and bad shapes.
#include <cmath>

#include "on_engine.h"
#include "values.h"

namespace {

using Values = Tensor::Values;

void expect_near(const Values &got, const Values &want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); i++) {
    if (std::isnan(want[i]))
      EXPECT_TRUE(std::isnan(got[i])) << i << ": " << got[i];
    else
      EXPECT_NEAR(got[i], want[i], 2e-6 * std::max(1.0, std::fabs(want[i]))) << i;
  }
}

class Lrn : public OnEngine {
protected:
  Lrn() : OnEngine("lrn") {}

  Values forward(const Tensor::Dims &dims, const lamina_lrn &attr, const Values &x) {
    Tensor t(LAMINA_F32, dims, x);
    const lamina_tensor v = t.view();
    EXPECT_OK(lamina_lrn_forward(device, &attr, &v, &v, nullptr)); // in place
    return t.values();
  }
};

// beta 1 and alpha = n: y = x / (k + the sum of squares around it).
TEST_P(Lrn, AcrossChannels) {
  const Values x = {1, 2, 3, 4};
  expect_near(forward({1, 4}, {3, 3, 1, 1, 0}, x), {1 / 6.0, 2 / 15.0, 3 / 30.0, 4 / 26.0});
  expect_near(forward({1, 4}, {2, 2, 1, 1, 0}, x), {1 / 6.0, 2 / 14.0, 3 / 26.0, 4 / 17.0}); // one more ahead
  expect_near(forward({1, 4}, {1, 1, 1, 2, 0}, x), {1 / 3.0, 2 / 6.0, 3 / 11.0, 4 / 18.0});
  expect_near(forward({1, 4}, {99, 99, 1, 1, 0}, x), {1 / 31.0, 2 / 31.0, 3 / 31.0, 4 / 31.0});
  // The same with two positions, which don't see each other.
  expect_near(forward({1, 2, 2}, {3, 3, 1, 1, 0}, x), {1 / 11.0, 2 / 21.0, 3 / 11.0, 4 / 21.0});
  // And the paper's: its alpha 1e-4 is 5e-4 here.
  const double s = 2 + 1e-4 * (1 + 4 + 9);
  EXPECT_NEAR(forward({1, 4}, {5, 5e-4, 0.75, 2, 0}, x)[0], std::pow(s, -0.75), 1e-7);
}

TEST_P(Lrn, WithinChannels) {
  const Values x = {1, 2, 3, 4};
  expect_near(forward({1, 1, 4}, {3, 3, 1, 1, 1}, x), {1 / 6.0, 2 / 15.0, 3 / 30.0, 4 / 26.0});
  expect_near(forward({1, 4, 1}, {3, 3, 1, 1, 1}, x), {1 / 2.0, 2 / 5.0, 3 / 10.0, 4 / 17.0});
  expect_near(forward({1, 1, 2, 2}, {3, 9, 1, 1, 1}, x), {1 / 31.0, 2 / 31.0, 3 / 31.0, 4 / 31.0});
  // The divisor is size^axes, whatever lies outside.
  expect_near(forward({1, 1, 2, 2}, {2, 4, 1, 1, 1}, x), {1 / 31.0, 2 / 21.0, 3 / 26.0, 4 / 17.0});
  expect_near(forward({1, 1, 1, 2, 2}, {3, 27, 1, 1, 1}, x), {1 / 31.0, 2 / 31.0, 3 / 31.0, 4 / 31.0});
}

TEST_P(Lrn, Powers) {
  const double s = 1 + 0.5 * 9;
  for (const double beta : {0.5, 0.75, 1.0, 0.3, 2.0})
    EXPECT_NEAR(forward({1, 1}, {1, 0.5, beta, 1, 0}, {3})[0], 3 * std::pow(s, -beta), 1e-6) << beta;
  EXPECT_NEAR(forward({1, 1}, {}, {100})[0], 100 * std::pow(1 + 1e-4 / 5 * 1e4, -0.75), 1e-5);
}

// y[i] = x[i] / s, s = 1 + the squares of both: dx[0] = dy[0]/s - 2 x[0] * (dy[0] x[0] + dy[1] x[1]) / s^2.
TEST_P(Lrn, BackwardByHand) {
  Tensor x(LAMINA_F32, {1, 2}, {1, 2}), dy(LAMINA_F32, {1, 2}, {3, -1});
  const lamina_tensor xv = x.view(), g = dy.view();
  const lamina_lrn attr = {3, 3, 1, 1, 0}, even = {2, 2, 1, 1, 0};
  EXPECT_OK(lamina_lrn_backward(device, &attr, &xv, &g, &g, nullptr)); // dx on dy
  expect_near(dy.values(), {3 / 6.0 - 2 * 1 / 36.0, -1 / 6.0 - 4 * 1 / 36.0});
  // Size 2: s[0] = 6 sees both, s[1] = 5 itself alone, so dx[0] has nothing of dy[1].
  Tensor other(LAMINA_F32, {1, 2}, {3, -1});
  const lamina_tensor o = other.view();
  EXPECT_OK(lamina_lrn_backward(device, &even, &xv, &o, &o, nullptr));
  expect_near(other.values(), {3 / 6.0 - 2 * 3 / 36.0, -1 / 5.0 - 4 * (3 / 36.0 - 2 / 25.0)});
}

TEST_P(Lrn, NanAndInfinityReachTheirWindows) {
  expect_near(forward({1, 6}, {3, 3, 1, 1, 0}, {1, 2, NAN, 4, 0, 0}), {1 / 6.0, NAN, NAN, NAN, 0, 0});
  expect_near(forward({1, 6}, {3, 3, 1, 1, 0}, {1, 2, INFINITY, 4, 0, 0}), {1 / 6.0, 0, NAN, 0, 0, 0});
  Values x(3 * 700, 1);
  x[700 + 350] = NAN;
  const Values y = forward({3, 1, 700}, {5, 1, 0.75, 1, 1}, x);
  for (size_t i = 0; i < x.size(); i++) EXPECT_EQ(std::isnan(y[i]), i >= 1048 && i <= 1052) << i;
}

// A running sum would keep the rounding errors of a large neighbour.
TEST_P(Lrn, SmallNumbersAfterALargeOne) {
  Values x(64, 1e-3);
  x[10] = 1e6;
  const Values y = forward({1, 64}, {3, 3, 1, 1e-5, 0}, x);
  for (size_t i = 13; i < 63; i++) EXPECT_NEAR(y[i], 1e-3 / (1e-5 + 3e-6), 1e-3);
}

TEST_P(Lrn, ErrorsAreSentences) {
  Tensor x(LAMINA_F32, {2, 3}), y(LAMINA_F32, {3, 2}), line(LAMINA_F32, {4});
  const lamina_tensor xv = x.view(), yv = y.view(), lv = line.view();
  const lamina_lrn within = {0, 0, 0, 0, 1}, size = {-1, 0, 0, 0, 0}, alpha = {0, -1, 0, 0, 0}, k = {0, 0, 0, -1, 0};
  EXPECT_INVALID(lamina_lrn_forward(device, nullptr, &xv, &yv, nullptr),
                 "lrn/forward: y is f32[3,2]; expected f32[2,3]");
  EXPECT_INVALID(lamina_lrn_backward(device, nullptr, &xv, &yv, &yv, nullptr),
                 "lrn/backward: dy is f32[3,2]; expected f32[2,3]");
  EXPECT_INVALID(lamina_lrn_forward(device, nullptr, &lv, &lv, nullptr),
                 "lrn/forward: x is f32[4]; expected 2 to 8 axes");
  EXPECT_INVALID(lamina_lrn_forward(device, &within, &xv, &xv, nullptr),
                 "lrn/forward: x is f32[2,3]; expected 3 to 5 axes");
  EXPECT_INVALID(lamina_lrn_forward(device, &size, &xv, &xv, nullptr),
                 "lrn/forward: size is -1; expected 1 to 1048576");
  EXPECT_INVALID(lamina_lrn_forward(device, &alpha, &xv, &xv, nullptr),
                 "lrn/forward: alpha is -1; expected 1e-12 to 1000000");
  EXPECT_INVALID(lamina_lrn_forward(device, &k, &xv, &xv, nullptr), "lrn/forward: k is -1; expected 1e-05 to 100000");
}

INSTANTIATE_TEST_SUITE_P(Engines, Lrn, testing::Values("loop", "ref"));

} // namespace
