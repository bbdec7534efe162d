// Losses of class scores and top-k: hand-worked values, labels that lie, and what bad shapes are told.
#include <cmath>
#include <limits>
#include <vector>

#include "on_engine.h"

namespace {

using Values = std::vector<float>;
using Labels = std::vector<int64_t>;

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

class Loss : public OnEngine {
protected:
  Loss() : OnEngine("softmax_cross_entropy,softmax_cross_entropy_target") {}

  static lamina_softmax_cross_entropy how(lamina_reduction reduction, double label_smoothing = 0) {
    return {reduction, 0, 0, label_smoothing};
  }
  static lamina_softmax_cross_entropy ignoring(lamina_reduction reduction, int64_t label, double label_smoothing = 0) {
    return {reduction, label, 1, label_smoothing};
  }

  Values forward(const lamina_softmax_cross_entropy &loss, Values x, Labels labels, Values *prob = nullptr,
                 Values weights = {}) {
    const int64_t n = static_cast<int64_t>(labels.size()), c = static_cast<int64_t>(x.size()) / n;
    Values y(loss.reduction == LAMINA_REDUCTION_NONE ? labels.size() : 1, -99);
    if (prob) prob->assign(x.size(), -99);
    const lamina_tensor xt = lamina_matrix(LAMINA_F32, n, c, x.data()),
                        lt = lamina_vector(LAMINA_I64, n, labels.data()),
                        wt = lamina_vector(LAMINA_F32, c, weights.data()),
                        yt = lamina_vector(LAMINA_F32, static_cast<int64_t>(y.size()), y.data()),
                        pt = lamina_matrix(LAMINA_F32, n, c, prob ? prob->data() : nullptr);
    EXPECT_OK(lamina_softmax_cross_entropy_forward(device, &loss, &xt, &lt, weights.empty() ? nullptr : &wt, &yt,
                                                   prob ? &pt : nullptr, nullptr));
    return y;
  }
  Values forward(lamina_reduction reduction, Values x, Labels labels, Values *prob = nullptr) {
    return forward(how(reduction), std::move(x), std::move(labels), prob);
  }

  Values backward(const lamina_softmax_cross_entropy &loss, Values prob, Labels labels, Values dy,
                  bool in_place = false, Values weights = {}) {
    const int64_t n = static_cast<int64_t>(labels.size()), c = static_cast<int64_t>(prob.size()) / n;
    Values dx(prob.size(), -99);
    const lamina_tensor pt = lamina_matrix(LAMINA_F32, n, c, prob.data()),
                        lt = lamina_vector(LAMINA_I64, n, labels.data()),
                        wt = lamina_vector(LAMINA_F32, c, weights.data()),
                        dyt = lamina_vector(LAMINA_F32, static_cast<int64_t>(dy.size()), dy.data()),
                        dxt = lamina_matrix(LAMINA_F32, n, c, in_place ? prob.data() : dx.data());
    EXPECT_OK(lamina_softmax_cross_entropy_backward(device, &loss, &pt, &lt, weights.empty() ? nullptr : &wt, &dyt,
                                                    &dxt, nullptr));
    return in_place ? prob : dx;
  }
  Values backward(lamina_reduction reduction, Values prob, Labels labels, Values dy, bool in_place = false) {
    return backward(how(reduction), std::move(prob), std::move(labels), std::move(dy), in_place);
  }

  // Against targets, n examples.
  Values toward(const lamina_softmax_cross_entropy_target &loss, int64_t n, Values x, Values target,
                Values weights = {}) {
    const int64_t c = static_cast<int64_t>(x.size()) / n;
    Values y(loss.reduction == LAMINA_REDUCTION_NONE ? static_cast<size_t>(n) : 1, -99);
    const lamina_tensor xt = lamina_matrix(LAMINA_F32, n, c, x.data()),
                        tt = lamina_matrix(LAMINA_F32, n, c, target.data()),
                        wt = lamina_vector(LAMINA_F32, c, weights.data()),
                        yt = lamina_vector(LAMINA_F32, static_cast<int64_t>(y.size()), y.data());
    EXPECT_OK(lamina_softmax_cross_entropy_target_forward(device, &loss, &xt, &tt, weights.empty() ? nullptr : &wt, &yt,
                                                          nullptr, nullptr));
    return y;
  }
  Values back_from(const lamina_softmax_cross_entropy_target &loss, int64_t n, Values prob, Values target, Values dy,
                   Values weights = {}) {
    const int64_t c = static_cast<int64_t>(prob.size()) / n;
    Values dx(prob.size(), -99);
    const lamina_tensor pt = lamina_matrix(LAMINA_F32, n, c, prob.data()),
                        tt = lamina_matrix(LAMINA_F32, n, c, target.data()),
                        wt = lamina_vector(LAMINA_F32, c, weights.data()),
                        dyt = lamina_vector(LAMINA_F32, static_cast<int64_t>(dy.size()), dy.data()),
                        dxt = lamina_matrix(LAMINA_F32, n, c, dx.data());
    EXPECT_OK(lamina_softmax_cross_entropy_target_backward(device, &loss, &pt, &tt, weights.empty() ? nullptr : &wt,
                                                           &dyt, &dxt, nullptr));
    return dx;
  }
};

const float ln2 = std::log(2.0f), ln3 = std::log(3.0f), ln4 = std::log(4.0f), ln5 = std::log(5.0f), ln8 = 3 * ln2;
const Values scores = {0, ln2, ln5, 7, 7, 7}; // probabilities 1/8, 2/8, 5/8 and thirds
const float third = 1.0f / 3;

TEST_P(Loss, Forward) {
  Values prob;
  expect_near(forward(LAMINA_REDUCTION_NONE, scores, {1, 0}, &prob), {ln4, ln3});
  expect_near(prob, {0.125f, 0.25f, 0.625f, third, third, third});
  expect_near(forward(LAMINA_REDUCTION_MEAN, scores, {1, 0}), {(ln4 + ln3) / 2});
  expect_near(forward(LAMINA_REDUCTION_SUM, scores, {1, 0}), {ln4 + ln3});
}

TEST_P(Loss, Backward) {
  const Values prob = {0.125f, 0.25f, 0.625f, 0.5f, 0.25f, 0.25f};
  expect_near(backward(LAMINA_REDUCTION_SUM, prob, {1, 0}, {2}), {0.25f, -1.5f, 1.25f, -1, 0.5f, 0.5f});
  expect_near(backward(LAMINA_REDUCTION_MEAN, prob, {1, 0}, {2}), {0.125f, -0.75f, 0.625f, -0.5f, 0.25f, 0.25f});
  expect_near(backward(LAMINA_REDUCTION_NONE, prob, {2, 0}, {8, -4}), {1, 2, -3, 2, -1, -1});
  expect_near(backward(LAMINA_REDUCTION_NONE, prob, {2, 0}, {8, -4}, true), {1, 2, -3, 2, -1, -1});
}

TEST_P(Loss, ClassWeights) {
  const Values w = {1, 2, 4}, prob = {0.125f, 0.25f, 0.625f, 0.5f, 0.25f, 0.25f};
  expect_near(forward(how(LAMINA_REDUCTION_NONE), scores, {1, 0}, nullptr, w), {2 * ln4, ln3});
  expect_near(forward(how(LAMINA_REDUCTION_SUM), scores, {1, 0}, nullptr, w), {2 * ln4 + ln3});
  expect_near(forward(how(LAMINA_REDUCTION_MEAN), scores, {1, 0}, nullptr, w), {(2 * ln4 + ln3) / 3});
  expect_near(backward(how(LAMINA_REDUCTION_SUM), prob, {1, 0}, {1}, false, w),
              {0.25f, -1.5f, 1.25f, -0.5f, 0.25f, 0.25f});
  expect_near(backward(how(LAMINA_REDUCTION_MEAN), prob, {1, 0}, {3}, true, w),
              {0.25f, -1.5f, 1.25f, -0.5f, 0.25f, 0.25f});
}

TEST_P(Loss, AnIgnoredLabelDoesNotCount) {
  const Values prob = {0.125f, 0.25f, 0.625f, nan_, 0.25f, 0.25f};
  for (const int64_t label : {int64_t{0}, int64_t{-100}, INT64_MAX}) {
    expect_near(forward(ignoring(LAMINA_REDUCTION_NONE, label), scores, {1, label}), {ln4, 0});
    expect_near(forward(ignoring(LAMINA_REDUCTION_MEAN, label), scores, {1, label}), {ln4});
    expect_near(forward(ignoring(LAMINA_REDUCTION_MEAN, label), scores, {label, label}), {nan_});
    expect_near(forward(ignoring(LAMINA_REDUCTION_SUM, label), scores, {label, label}), {0});
    expect_near(forward(ignoring(LAMINA_REDUCTION_NONE, label), {0, 0, 0, nan_, 0, inf}, {1, label}), {ln3, 0});
    expect_near(backward(ignoring(LAMINA_REDUCTION_MEAN, label), prob, {1, label}, {1}),
                {0.125f, -0.75f, 0.625f, 0, 0, 0});
    expect_near(backward(ignoring(LAMINA_REDUCTION_MEAN, label, 0.3), prob, {1, label}, {1}),
                {0.025f, -0.55f, 0.525f, 0, 0, 0});
    expect_near(forward(ignoring(LAMINA_REDUCTION_MEAN, label), scores, {7, label}), {nan_});
  }
  // A field that is set needs no flag; one that isn't ignores no label.
  expect_near(forward({LAMINA_REDUCTION_NONE, 2, 0, 0}, scores, {1, 2}), {ln4, 0});
  expect_near(forward({LAMINA_REDUCTION_NONE, 0, 0, 0}, scores, {1, 0}), {ln4, ln3});
}

// With weights only those of labels that count divide the mean, and the label that lies has weight 1.
TEST_P(Loss, TheMeansDivisor) {
  const Values w = {1, 2, 4}, prob(9, 0.5f);
  expect_near(forward(ignoring(LAMINA_REDUCTION_MEAN, 0), scores, {1, 0}, nullptr, w), {ln4});
  expect_near(backward(ignoring(LAMINA_REDUCTION_MEAN, 0), prob, {1, 0, 2}, {6}, false, w),
              {1, -1, 1, 0, 0, 0, 2, 2, -2});
  expect_near(backward(ignoring(LAMINA_REDUCTION_MEAN, 0), prob, {1, 0, 9}, {3}, false, w),
              {1, -1, 1, 0, 0, 0, nan_, nan_, nan_});
  expect_near(backward(ignoring(LAMINA_REDUCTION_MEAN, 0), prob, {1, 0, 9}, {2}),
              {0.5f, -0.5f, 0.5f, 0, 0, 0, nan_, nan_, nan_});
}

TEST_P(Loss, LabelSmoothing) {
  const float smooth = 0.1f * ln8 + 0.8f * ln4 + 0.1f * (ln8 - ln5);
  const Values prob = {0.125f, 0.25f, 0.625f, third, third, third}, w = {1, 2, 4};
  expect_near(forward(how(LAMINA_REDUCTION_NONE, 0.3), scores, {1, 0}), {smooth, ln3});
  expect_near(forward(how(LAMINA_REDUCTION_MEAN, 0.3), scores, {1, 0}), {(smooth + ln3) / 2});
  expect_near(backward(how(LAMINA_REDUCTION_SUM, 0.3), prob, {1, 0}, {1}),
              {0.025f, -0.55f, 0.525f, third - 0.8f, third - 0.1f, third - 0.1f});
  // Weights are those of the classes that the label is spread over; the mean divides by those of the labels.
  const float weighted = 0.1f * ln8 + 1.6f * ln4 + 0.4f * (ln8 - ln5), flat = (0.8f + 0.2f + 0.4f) * ln3;
  expect_near(forward(how(LAMINA_REDUCTION_NONE, 0.3), scores, {1, 0}, nullptr, w), {weighted, flat});
  expect_near(forward(how(LAMINA_REDUCTION_MEAN, 0.3), scores, {1, 0}, nullptr, w), {(weighted + flat) / 3});
  expect_near(
      backward(how(LAMINA_REDUCTION_SUM, 0.3), prob, {1, 0}, {1}, false, w),
      {2.1f / 8 - 0.1f, 2.1f / 4 - 1.6f, 2.1f * 0.625f - 0.4f, 1.4f / 3 - 0.8f, 1.4f / 3 - 0.2f, 1.4f / 3 - 0.4f});
  // A label that lies stays one.
  expect_near(forward(how(LAMINA_REDUCTION_NONE, 0.3), scores, {3, 0}), {nan_, ln3});
  expect_near(backward(how(LAMINA_REDUCTION_SUM, 1), prob, {-1, 0}, {1}), {nan_, nan_, nan_, 0, 0, 0});
}

TEST_P(Loss, Targets) {
  const lamina_softmax_cross_entropy_target each = {LAMINA_REDUCTION_NONE, 0}, mean = {LAMINA_REDUCTION_MEAN, 0},
                                            sum = {LAMINA_REDUCTION_SUM, 0}, smooth = {LAMINA_REDUCTION_NONE, 0.3};
  const Values target = {0.5f, 0.5f, 0, 0, 2, 0}, w = {1, 2, 4}, prob = {0.125f, 0.25f, 0.625f, 0.5f, 0.25f, 0.25f};
  const float first = (ln8 + ln4) / 2, second = 2 * ln3;
  expect_near(toward(each, 2, scores, target), {first, second});
  expect_near(toward(sum, 2, scores, target), {first + second});
  expect_near(toward(mean, 2, scores, target), {(first + second) / 2});
  expect_near(toward(each, 2, scores, target, w), {ln8 / 2 + ln4, 2 * second});
  expect_near(toward(mean, 2, scores, target, w), {(ln8 / 2 + ln4 + 2 * second) / 2});
  expect_near(toward(smooth, 2, scores, target), {0.45f * ln8 + 0.45f * ln4 + 0.1f * (ln8 - ln5), 1.7f * ln3});
  expect_near(back_from(sum, 2, prob, target, {1}), {0.125f - 0.5f, 0.25f - 0.5f, 0.625f, 1, -1.5f, 0.5f});
  expect_near(back_from(mean, 2, prob, target, {2}, w), {-0.3125f, -0.625f, 0.9375f, 2, -3, 1});
  expect_near(back_from(each, 2, prob, target, {2, 0.5f}), {-0.75f, -0.5f, 1.25f, 0.5f, -0.75f, 0.25f});
  expect_near(back_from(smooth, 2, prob, target, {1, 1}),
              {0.125f - 0.45f, 0.25f - 0.45f, 0.625f - 0.1f, 0.75f, 0.425f - 1.5f, 0.325f});
}

TEST_P(Loss, AOneAmongZerosIsALabel) {
  const Values x = {0, ln2, -inf, 1000, 7, -1000, -inf, 3, -inf}, target = {0, 1, 0, 1, 0, 0, 0, 0, 1};
  const lamina_softmax_cross_entropy_target each = {LAMINA_REDUCTION_NONE, 0};
  expect_near(toward(each, 3, x, target), {ln3 - ln2, 0, inf});
  expect_near(forward(LAMINA_REDUCTION_NONE, x, {1, 0, 2}), {ln3 - ln2, 0, inf});
  expect_near(toward(each, 1, {nan_, 1, 2}, {0, 0, 0}), {nan_});
  expect_near(toward(each, 1, {0, 1, 2}, {0, 0, 0}), {0});
}

TEST_P(Loss, LargeScoresNeitherOverflowNorVanish) {
  Values prob;
  expect_near(forward(LAMINA_REDUCTION_NONE, {1000, 0, -1000, -1000, -1000, -1000}, {1, 2}, &prob), {1000, ln3});
  expect_near(prob, {1, 0, 0, third, third, third});
  expect_near(forward(LAMINA_REDUCTION_NONE, {-inf, 0, 0, -inf, 0, 0}, {1, 0}, &prob), {ln2, inf});
  expect_near(prob, {0, 0.5f, 0.5f, 0, 0.5f, 0.5f});
}

TEST_P(Loss, NanStaysInItsExample) {
  Values prob;
  expect_near(forward(LAMINA_REDUCTION_NONE, {0, nan_, 0, 0, 0, 0, inf, 0, 0, -inf, -inf, -inf}, {0, 0, 0, 0}, &prob),
              {nan_, ln3, nan_, nan_});
  EXPECT_TRUE(std::isnan(prob[0]) && std::isnan(prob[1]) && std::isnan(prob[6]) && std::isnan(prob[9]));
  EXPECT_NEAR(prob[3], third, 1e-6f);
}

TEST_P(Loss, ALabelOutOfRangeGivesNan) {
  Values prob;
  for (const int64_t lie : {int64_t{3}, int64_t{-1}, INT64_MAX, INT64_MIN, int64_t{1} << 32}) {
    expect_near(forward(LAMINA_REDUCTION_NONE, scores, {lie, 0}, &prob), {nan_, ln3});
    expect_near(prob, {0.125f, 0.25f, 0.625f, third, third, third});
    expect_near(forward(LAMINA_REDUCTION_MEAN, scores, {lie, 0}), {nan_});
    expect_near(backward(LAMINA_REDUCTION_SUM, {0.5f, 0.5f, 0, 0.5f, 0.5f, 0}, {lie, 0}, {1}),
                {nan_, nan_, nan_, -0.5f, 0.5f, 0});
  }
}

TEST_P(Loss, NothingHasAMeanOfNan) {
  float y[2] = {-99, -99};
  const lamina_tensor x = lamina_matrix(LAMINA_F32, 0, 3, nullptr), labels = lamina_vector(LAMINA_I32, 0, nullptr),
                      mean = lamina_vector(LAMINA_F32, 1, &y[0]), sum = lamina_vector(LAMINA_F32, 1, &y[1]);
  const lamina_softmax_cross_entropy summed = how(LAMINA_REDUCTION_SUM);
  EXPECT_OK(lamina_softmax_cross_entropy_forward(device, nullptr, &x, &labels, nullptr, &mean, nullptr, nullptr));
  EXPECT_OK(lamina_softmax_cross_entropy_forward(device, &summed, &x, &labels, nullptr, &sum, nullptr, nullptr));
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_EQ(y[1], 0);
}

// One picture of two classes and 1 x 3 positions: the class axis lies outside of the positions.
TEST_P(Loss, Spatial) {
  Values x = {0, 0, ln4, ln3, 0, 0}, y(3), prob(6), dx(6), dy = {1};
  std::vector<uint8_t> labels = {0, 1, 1};
  const lamina_softmax_cross_entropy none = how(LAMINA_REDUCTION_NONE);
  const int64_t dims[] = {1, 1, 3};
  const lamina_tensor xt = lamina_nchw(LAMINA_F32, 1, 2, 1, 3, x.data()),
                      lt = lamina_tensor_of(lamina_dense(LAMINA_U8, 3, dims), labels.data()),
                      yt = lamina_tensor_of(lamina_dense(LAMINA_F32, 3, dims), y.data()),
                      pt = lamina_nchw(LAMINA_F32, 1, 2, 1, 3, prob.data()),
                      dyt = lamina_vector(LAMINA_F32, 1, dy.data()),
                      dxt = lamina_nchw(LAMINA_F32, 1, 2, 1, 3, dx.data());
  EXPECT_OK(lamina_softmax_cross_entropy_forward(device, &none, &xt, &lt, nullptr, &yt, &pt, nullptr));
  expect_near(y, {ln4, ln2, ln5});
  expect_near(prob, {0.25f, 0.5f, 0.8f, 0.75f, 0.5f, 0.2f});
  EXPECT_OK(lamina_softmax_cross_entropy_backward(device, nullptr, &pt, &lt, nullptr, &dyt, &dxt, nullptr));
  expect_near(dx, {-0.25f, 0.5f / 3, 0.8f / 3, 0.25f, -0.5f / 3, -0.8f / 3});
}

TEST_P(Loss, WrongShapesAreNamed) {
  Values data(12), out(12);
  Labels indices(4);
  const lamina_tensor x = lamina_matrix(LAMINA_F32, 4, 3, data.data()), y = lamina_vector(LAMINA_F32, 1, out.data());
  const lamina_tensor few = lamina_vector(LAMINA_I64, 3, indices.data()),
                      labels = lamina_vector(LAMINA_I64, 4, indices.data()),
                      none = lamina_matrix(LAMINA_F32, 4, 0, data.data()),
                      floats = lamina_vector(LAMINA_F32, 4, data.data());
  const lamina_softmax_cross_entropy each = how(LAMINA_REDUCTION_NONE), unknown = how(static_cast<lamina_reduction>(3)),
                                     smooth = how(LAMINA_REDUCTION_MEAN, 1.5);
  EXPECT_INVALID(lamina_softmax_cross_entropy_forward(device, nullptr, &x, &few, nullptr, &y, nullptr, nullptr),
                 "softmax_cross_entropy/forward: labels is i64[3]; expected i64[4]");
  EXPECT_INVALID(lamina_softmax_cross_entropy_forward(device, nullptr, &x, &floats, nullptr, &y, nullptr, nullptr),
                 "softmax_cross_entropy/forward: labels is f32[4]; expected i64, i32 or u8");
  EXPECT_INVALID(lamina_softmax_cross_entropy_forward(device, &each, &x, &labels, nullptr, &y, nullptr, nullptr),
                 "softmax_cross_entropy/forward: y is f32[1]; expected f32[4]");
  EXPECT_INVALID(lamina_softmax_cross_entropy_forward(device, nullptr, &none, &labels, nullptr, &y, nullptr, nullptr),
                 "softmax_cross_entropy/forward: x is f32[4,0]; expected at least one class on axis 1");
  EXPECT_INVALID(lamina_softmax_cross_entropy_forward(device, nullptr, &floats, &labels, nullptr, &y, nullptr, nullptr),
                 "softmax_cross_entropy/forward: x is f32[4]; expected 2 to 8 axes");
  EXPECT_INVALID(lamina_softmax_cross_entropy_forward(device, &unknown, &x, &labels, nullptr, &y, nullptr, nullptr),
                 "softmax_cross_entropy/forward: reduction is 3; expected one of mean, sum, none");
  EXPECT_INVALID(lamina_softmax_cross_entropy_forward(device, &smooth, &x, &labels, nullptr, &y, nullptr, nullptr),
                 "softmax_cross_entropy/forward: label_smoothing is 1.5; expected 0 to 1");
  EXPECT_INVALID(lamina_softmax_cross_entropy_forward(device, nullptr, &x, &labels, &floats, &y, nullptr, nullptr),
                 "softmax_cross_entropy/forward: weights is f32[4]; expected f32[3]");
  EXPECT_INVALID(
      lamina_softmax_cross_entropy_target_forward(device, nullptr, &x, &floats, nullptr, &y, nullptr, nullptr),
      "softmax_cross_entropy_target/forward: target is f32[4]; expected f32[4,3]");
}

INSTANTIATE_TEST_SUITE_P(Engines, Loss, testing::Values("ref", "loop"));

class TopK : public OnEngine {
protected:
  TopK() : OnEngine("top_k") {}

  int64_t hits(int64_t k, Values x, Labels labels) {
    const int64_t n = static_cast<int64_t>(labels.size()), c = static_cast<int64_t>(x.size()) / n;
    const lamina_top_k top_k = {k};
    int64_t count = -99;
    const lamina_tensor xt = lamina_matrix(LAMINA_F32, n, c, x.data()),
                        lt = lamina_vector(LAMINA_I64, n, labels.data()), ht = lamina_vector(LAMINA_I64, 1, &count);
    EXPECT_OK(lamina_top_k_forward(device, &top_k, &xt, &lt, &ht, nullptr));
    return count;
  }
};

TEST_P(TopK, CountsLabelsAmongTheKBest) {
  const Values x = {1, 3, 2, /**/ 5, -1, 0, /**/ -2, -3, -1};
  EXPECT_EQ(hits(0, x, {1, 0, 2}), 3); // 0 means 1
  EXPECT_EQ(hits(1, x, {2, 0, 0}), 1);
  EXPECT_EQ(hits(2, x, {2, 0, 0}), 3);
  EXPECT_EQ(hits(2, x, {0, 1, 1}), 0);
  EXPECT_EQ(hits(3, x, {0, 1, 1}), 3);
  EXPECT_EQ(hits(9, x, {0, 1, 1}), 3);
}

TEST_P(TopK, TheLowerClassWinsATie) {
  const Values x = {2, 2, 1, 2};
  EXPECT_EQ(hits(1, x, {0}), 1);
  EXPECT_EQ(hits(1, x, {1}), 0);
  EXPECT_EQ(hits(2, x, {1}), 1);
  EXPECT_EQ(hits(2, x, {3}), 0);
  EXPECT_EQ(hits(3, x, {3}), 1);
}

TEST_P(TopK, NanAndStrangeLabelsNeverHit) {
  const Values x = {nan_, 1, nan_};
  EXPECT_EQ(hits(1, x, {1}), 1);
  EXPECT_EQ(hits(3, x, {0}), 0);
  EXPECT_EQ(hits(3, x, {3}), 0);
  EXPECT_EQ(hits(3, x, {-1}), 0);
  EXPECT_EQ(hits(3, x, {INT64_MAX}), 0);
}

INSTANTIATE_TEST_SUITE_P(Engines, TopK, testing::Values("ref", "loop"));

} // namespace
