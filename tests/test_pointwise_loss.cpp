// The losses of one number against another: hand-worked values, kinks, and what bad shapes are told.
#include <cmath>
#include <limits>
#include <vector>

#include "on_engine.h"

namespace {

using Values = std::vector<float>;

constexpr float inf = std::numeric_limits<float>::infinity();
const float nan_ = std::nanf("");

void expect_near(const Values &got, const Values &want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); i++) {
    if (std::isnan(want[i]))
      EXPECT_TRUE(std::isnan(got[i])) << "element " << i << " is " << got[i];
    else if (std::isinf(want[i]))
      EXPECT_EQ(got[i], want[i]) << "element " << i;
    else
      EXPECT_NEAR(got[i], want[i], 1e-6f * (1 + std::fabs(want[i]))) << "element " << i;
  }
}

// By name, as all five have the same arguments.
class PointwiseLoss : public OnEngine {
protected:
  PointwiseLoss() : OnEngine("binary_cross_entropy,mse,l1,huber,binary_hinge") {}

  template <class T> Values forward(const char *family, const T &loss, Values x, Values target, Values weights = {}) {
    Values y(loss.reduction == LAMINA_REDUCTION_NONE ? x.size() : 1, -99);
    const int64_t n = static_cast<int64_t>(x.size());
    const lamina_tensor xt = lamina_vector(LAMINA_F32, n, x.data()), tt = lamina_vector(LAMINA_F32, n, target.data()),
                        wt = lamina_vector(LAMINA_F32, n, weights.data()),
                        yt = lamina_vector(LAMINA_F32, static_cast<int64_t>(y.size()), y.data());
    const lamina_tensor *all[] = {&xt, &tt, weights.empty() ? nullptr : &wt, &yt};
    EXPECT_OK(lamina_op_run(device, (std::string(family) + "/forward").c_str(), &loss, all, nullptr));
    return y;
  }
  template <class T>
  Values backward(const char *family, const T &loss, Values x, Values target, Values dy, Values weights = {}) {
    Values dx(x.size(), -99);
    const int64_t n = static_cast<int64_t>(x.size());
    const lamina_tensor xt = lamina_vector(LAMINA_F32, n, x.data()), tt = lamina_vector(LAMINA_F32, n, target.data()),
                        wt = lamina_vector(LAMINA_F32, n, weights.data()),
                        dyt = lamina_vector(LAMINA_F32, static_cast<int64_t>(dy.size()), dy.data()),
                        dxt = lamina_vector(LAMINA_F32, n, dx.data());
    const lamina_tensor *all[] = {&xt, &tt, weights.empty() ? nullptr : &wt, &dyt, &dxt};
    EXPECT_OK(lamina_op_run(device, (std::string(family) + "/backward").c_str(), &loss, all, nullptr));
    const Values apart = dx;
    const lamina_tensor *in_place[] = {&xt, &tt, all[2], &dyt, &xt};
    EXPECT_OK(lamina_op_run(device, (std::string(family) + "/backward").c_str(), &loss, in_place, nullptr));
    expect_near(x, apart);
    return apart;
  }
};

TEST_P(PointwiseLoss, Squared) {
  const lamina_mse mean = {}, sum = {LAMINA_REDUCTION_SUM}, each = {LAMINA_REDUCTION_NONE};
  expect_near(forward("mse", each, {1, 2, -3}, {3, 2, 0}), {4, 0, 9});
  expect_near(forward("mse", sum, {1, 2, -3}, {3, 2, 0}), {13});
  expect_near(forward("mse", mean, {1, 2, -3}, {3, 2, 0}), {13.0f / 3});
  expect_near(forward("mse", mean, {1, 2, -3}, {3, 2, 0}, {2, 5, 1}), {17.0f / 3}); // not divided by the weights
  expect_near(backward("mse", each, {1, 2, -3}, {3, 2, 0}, {1, 1, 0.5f}), {-4, 0, -3});
  expect_near(backward("mse", sum, {1, 2, -3}, {3, 2, 0}, {0.5f}, {2, 5, 1}), {-4, 0, -3});
  expect_near(backward("mse", mean, {1, 2, -3}, {3, 2, 0}, {3}), {-4, 0, -6});
}

TEST_P(PointwiseLoss, Absolute) {
  const lamina_l1 mean = {}, each = {LAMINA_REDUCTION_NONE};
  expect_near(forward("l1", each, {1, 2, -3}, {3, 2, -4}), {2, 0, 1});
  expect_near(forward("l1", mean, {1, 2, -3}, {3, 2, -4}, {1, 1, 4}), {2});
  expect_near(backward("l1", each, {1, 2, -3}, {3, 2, -4}, {1, 1, 0.5f}), {-1, 0, 0.5f});
  expect_near(backward("l1", mean, {1, 2, -3}, {3, 2, -4}, {3}, {1, 1, 4}), {-1, 0, 4});
  expect_near(backward("l1", each, {nan_, inf}, {0, inf}, {1, 1}), {nan_, nan_});
}

TEST_P(PointwiseLoss, Huber) {
  const lamina_huber one = {LAMINA_REDUCTION_NONE, 0}, two = {LAMINA_REDUCTION_NONE, 2};
  expect_near(forward("huber", one, {0.5f, 1, -3, 0}, {0, 0, 0, 0}), {0.125f, 0.5f, 2.5f, 0});
  expect_near(forward("huber", two, {0.5f, 2, -3, inf}, {0, 0, 0, 0}), {0.125f, 2, 4, inf});
  expect_near(backward("huber", one, {0.5f, 1, -3, nan_}, {0, 0, 0, 0}, {2, 2, 2, 2}), {1, 2, -2, nan_});
  expect_near(backward("huber", two, {0.5f, 5, -3, 0}, {0, 1, 0, 0}, {2, 2, 2, 2}), {1, 4, -4, 0});
}

TEST_P(PointwiseLoss, BinaryCrossEntropy) {
  const float ln2 = std::log(2.0f), ln3 = std::log(3.0f), ln4 = std::log(4.0f);
  const lamina_binary_cross_entropy each = {LAMINA_REDUCTION_NONE, 0, 0}, heavy = {LAMINA_REDUCTION_NONE, 3, 0},
                                    deaf = {LAMINA_REDUCTION_NONE, 0, 1}, mean = {};
  // p = 1/2, 3/4, 1/4
  expect_near(forward("binary_cross_entropy", each, {0, ln3, -ln3, ln3}, {1, 1, 1, 0}), {ln2, ln4 - ln3, ln4, ln4});
  expect_near(forward("binary_cross_entropy", mean, {0, ln3}, {1, 1}), {(ln2 + ln4 - ln3) / 2});
  expect_near(forward("binary_cross_entropy", mean, {0, ln3}, {1, 1}, {1, 3}), {(ln2 + 3 * (ln4 - ln3)) / 2});
  expect_near(forward("binary_cross_entropy", each, {0, -ln3}, {0.5f, 0.25f}),
              {ln2, 0.25f * ln4 + 0.75f * (ln4 - ln3)});
  expect_near(forward("binary_cross_entropy", heavy, {-ln3, ln3}, {1, 0}), {3 * ln4, ln4});
  expect_near(forward("binary_cross_entropy", deaf, {-ln3, ln3}, {1, 0}), {0, ln4});
  expect_near(backward("binary_cross_entropy", each, {0, ln3, -ln3, ln3}, {1, 1, 1, 0}, {1, 1, 1, 2}),
              {-0.5f, -0.25f, -0.75f, 1.5f});
  expect_near(backward("binary_cross_entropy", heavy, {-ln3, ln3}, {1, 0}, {1, 1}), {-2.25f, 0.75f});
  // Nothing overflows, and what is small keeps its digits.
  expect_near(forward("binary_cross_entropy", each, {1000, -1000, 1000, -1000}, {0, 1, 1, 0}), {1000, 1000, 0, 0});
  expect_near(backward("binary_cross_entropy", each, {1000, -1000, 1000, -1000}, {0, 1, 1, 0}, {1, 1, 1, 1}),
              {1, -1, 0, 0});
  const float small = forward("binary_cross_entropy", each, {20}, {1})[0];
  EXPECT_NEAR(small, 2.0611536e-9f, 1e-15f);
}

TEST_P(PointwiseLoss, BinaryHinge) {
  const lamina_binary_hinge each = {LAMINA_REDUCTION_NONE, 0, 0, 0}, square = {LAMINA_REDUCTION_NONE, 2, 0, 2},
                            sharp = {LAMINA_REDUCTION_NONE, 0, 1, 1};
  expect_near(forward("binary_hinge", each, {0.5f, 0.5f, 2, 1}, {1, -1, 1, 1}), {0.5f, 1.5f, 0, 0});
  expect_near(forward("binary_hinge", square, {0.5f, 0.5f, 2, 3}, {1, -1, 1, 1}), {2.25f, 6.25f, 0, 0});
  expect_near(forward("binary_hinge", sharp, {0.5f, 0.5f, 0, nan_}, {1, -1, 1, 1}), {0, 0.5f, 0, nan_});
  expect_near(backward("binary_hinge", each, {0.5f, 0.5f, 2, 1}, {1, -1, 1, 1}, {2, 2, 2, 2}), {-2, 2, 0, 0});
  expect_near(backward("binary_hinge", square, {0.5f, 0.5f, 2, 3}, {1, -1, 1, 1}, {1, 1, 1, 1}), {-3, 5, 0, 0});
  expect_near(backward("binary_hinge", each, {nan_, -inf, inf}, {1, 1, 1}, {1, 1, 1}), {nan_, -1, 0});
}

// Many rows, more than one thread: 40000 elements, of which each says what it must be.
TEST_P(PointwiseLoss, LongOnes) {
  Values x, target, want;
  for (int i = 0; i < 40000; i++) {
    x.push_back(static_cast<float>(i % 7)), target.push_back(static_cast<float>(i % 5));
    want.push_back(2 * (x.back() - target.back()) * 0.5f);
  }
  double sum = 0;
  for (size_t i = 0; i < x.size(); i++) sum += static_cast<double>((x[i] - target[i]) * (x[i] - target[i]));
  const lamina_mse summed = {LAMINA_REDUCTION_SUM}, each = {LAMINA_REDUCTION_NONE};
  EXPECT_EQ(forward("mse", summed, x, target)[0], static_cast<float>(sum));
  EXPECT_EQ(backward("mse", summed, x, target, {0.5f}), want);
  EXPECT_EQ(backward("mse", each, x, target, Values(x.size(), 0.5f)), want);
}

// Weights of each column, as a view that repeats a row.
TEST_P(PointwiseLoss, WeightsAreBroadcastByStrides) {
  Values x = {1, 2, 3, 4, 5, 6}, target(6, 0), w = {1, 10, 100}, y(1), dx(6), dy = {1};
  const int64_t dims[] = {2, 3}, strides[] = {0, 1};
  lamina_tensor wt = lamina_tensor_of(lamina_dense(LAMINA_F32, 2, dims), w.data());
  for (int d = 0; d < 2; d++) wt.desc.strides[d] = strides[d];
  const lamina_tensor xt = lamina_matrix(LAMINA_F32, 2, 3, x.data()),
                      tt = lamina_matrix(LAMINA_F32, 2, 3, target.data()), yt = lamina_vector(LAMINA_F32, 1, y.data()),
                      dyt = lamina_vector(LAMINA_F32, 1, dy.data()), dxt = lamina_matrix(LAMINA_F32, 2, 3, dx.data());
  const lamina_l1 sum = {LAMINA_REDUCTION_SUM};
  EXPECT_OK(lamina_l1_forward(device, &sum, &xt, &tt, &wt, &yt, nullptr));
  EXPECT_EQ(y[0], 975);
  EXPECT_OK(lamina_l1_backward(device, &sum, &xt, &tt, &wt, &dyt, &dxt, nullptr));
  EXPECT_EQ(dx, (Values{1, 10, 100, 1, 10, 100}));
}

TEST_P(PointwiseLoss, NothingHasAMeanOfNan) {
  const lamina_mse mean = {}, sum = {LAMINA_REDUCTION_SUM};
  expect_near(forward("mse", mean, {}, {}), {nan_});
  expect_near(forward("mse", sum, {}, {}), {0});
}

TEST_P(PointwiseLoss, WrongShapesAreNamed) {
  Values data(12), out(12);
  const lamina_tensor x = lamina_matrix(LAMINA_F32, 4, 3, data.data()), few = lamina_vector(LAMINA_F32, 3, data.data()),
                      y = lamina_vector(LAMINA_F32, 1, out.data());
  const lamina_mse each = {LAMINA_REDUCTION_NONE};
  const lamina_huber flat = {LAMINA_REDUCTION_MEAN, -1};
  const lamina_binary_hinge cubic = {LAMINA_REDUCTION_MEAN, 0, 0, 3};
  EXPECT_INVALID(lamina_mse_forward(device, nullptr, &x, &few, nullptr, &y, nullptr),
                 "mse/forward: target is f32[3]; expected f32[4,3]");
  EXPECT_INVALID(lamina_mse_forward(device, nullptr, &x, &x, &few, &y, nullptr),
                 "mse/forward: weights is f32[3]; expected f32[4,3]");
  EXPECT_INVALID(lamina_mse_forward(device, &each, &x, &x, nullptr, &y, nullptr),
                 "mse/forward: y is f32[1]; expected f32[4,3]");
  EXPECT_INVALID(lamina_huber_forward(device, &flat, &x, &x, nullptr, &y, nullptr),
                 "huber/forward: delta is -1; expected 1e-06 to 1000000");
  EXPECT_INVALID(lamina_binary_hinge_forward(device, &cubic, &x, &x, nullptr, &y, nullptr),
                 "binary_hinge/forward: power is 3; expected 1 to 2");
  EXPECT_INVALID(lamina_l1_backward(device, nullptr, &x, &x, nullptr, &few, &y, nullptr),
                 "l1/backward: dy is f32[3]; expected f32[1]");
}

INSTANTIATE_TEST_SUITE_P(Engines, PointwiseLoss, testing::Values("ref", "loop"));

} // namespace
