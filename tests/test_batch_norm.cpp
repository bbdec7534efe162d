// Batch normalisation through its typed calls: by hand, what it remembers, what it must not lose, and bad shapes.
#include <cmath>

#include "on_engine.h"
#include "values.h"

namespace {

using Values = Tensor::Values;

void expect_near(const Values &got, const Values &want, double tolerance = 2e-6) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); i++) {
    if (std::isnan(want[i]))
      EXPECT_TRUE(std::isnan(got[i])) << i << ": " << got[i];
    else
      EXPECT_NEAR(got[i], want[i], tolerance * std::max(1.0, std::fabs(want[i]))) << i;
  }
}

class BatchNorm : public OnEngine {
protected:
  BatchNorm() : OnEngine("batch_norm") {}

  struct Result {
    Values y, mean, deviation, running_mean, running_variance;
  };
  Result forward(const Tensor::Dims &dims, const Values &x, const lamina_batch_norm &attr = {}) {
    const Tensor::Dims c = {dims[1]};
    Tensor xt(LAMINA_F32, dims, x), y(LAMINA_F32, dims), mean(LAMINA_F32, c), deviation(LAMINA_F32, c),
        old_mean(LAMINA_F32, c, 10.0), old_variance(LAMINA_F32, c, 20.0), new_mean(LAMINA_F32, c),
        new_variance(LAMINA_F32, c);
    const lamina_tensor xv = xt.view(), yv = y.view(), mv = mean.view(), dv = deviation.view(), om = old_mean.view(),
                        ov = old_variance.view(), nm = new_mean.view(), nv = new_variance.view();
    EXPECT_OK(
        lamina_batch_norm_forward(device, &attr, &xv, nullptr, nullptr, &om, &ov, &yv, &mv, &dv, &nm, &nv, nullptr));
    return {y.values(), mean.values(), deviation.values(), new_mean.values(), new_variance.values()};
  }
};

// Channel 0 is {1, 3, 5, 7}: mean 4, variance 5, unbiased 20/3. Channel 1 is {2, 2, 2, 6}: mean 3, variance 3, unbiased 4.
TEST_P(BatchNorm, ByHand) {
  Tensor x(LAMINA_F32, {2, 2, 2}, {1, 3, 2, 2, 5, 7, 2, 6}), w(LAMINA_F32, {2}, {2, -1}), b(LAMINA_F32, {2}, {100, 0}),
      y(LAMINA_F32, {2, 2, 2}), mean(LAMINA_F32, {2}), deviation(LAMINA_F32, {2}), rm(LAMINA_F32, {2}, {1, 1}),
      rv(LAMINA_F32, {2}, {2, 2});
  const lamina_tensor xv = x.view(), wv = w.view(), bv = b.view(), yv = y.view(), mv = mean.view(),
                      dv = deviation.view(), rmv = rm.view(), rvv = rv.view();
  const lamina_batch_norm attr = {1, 0.25, 0, 0}; // r = 1/sqrt(6), 1/2
  EXPECT_OK(lamina_batch_norm_forward(device, &attr, &xv, &wv, &bv, &rmv, &rvv, &yv, &mv, &dv, &rmv, &rvv, nullptr));
  const double r = 1 / std::sqrt(6);
  expect_near(y.values(), {100 - 6 * r, 100 - 2 * r, 0.5, 0.5, 100 + 2 * r, 100 + 6 * r, 0.5, -1.5});
  expect_near(mean.values(), {4, 3});
  expect_near(deviation.values(), {r, 0.5});
  expect_near(rm.values(), {0.75 + 1, 0.75 + 0.75});               // in place
  expect_near(rv.values(), {1.5 + 0.25 * 20 / 3, 1.5 + 0.25 * 4}); // the unbiased ones

  // dy of channel 1 is {1, 0, 0, 1}: db 2, h = {-1, -1, -1, 3}/2, dw = 1.
  Tensor dy(LAMINA_F32, {2, 2, 2}, {0, 0, 1, 0, 0, 6, 0, 1}), dw(LAMINA_F32, {2}), db(LAMINA_F32, {2});
  const lamina_tensor g = dy.view(), dwv = dw.view(), dbv = db.view();
  EXPECT_OK(lamina_batch_norm_backward(device, &attr, &xv, &wv, &mv, &dv, &g, &g, &dwv, &dbv, nullptr)); // dx on dy
  expect_near(dw.values(), {18 * r, 1});
  expect_near(db.values(), {6, 2});
  // dx = w r (dy - db/4 - h dw/4): channel 0: 2r({0,0,0,6} - 1.5 - {-3,-1,1,3} * 0.75)
  expect_near(dy.values(), {2 * r * 0.75, 2 * r * -0.75, -0.5 * (0.5 + 0.125), -0.5 * (-0.5 + 0.125), 2 * r * -2.25,
                            2 * r * 2.25, -0.5 * (-0.5 + 0.125), -0.5 * (0.5 - 0.375)});
}

TEST_P(BatchNorm, Inference) {
  Tensor x(LAMINA_F32, {1, 2, 3}, {1, 2, 3, 4, 5, NAN}), rm(LAMINA_F32, {2}, {2, 3}), rv(LAMINA_F32, {2}, {3, 15}),
      w(LAMINA_F32, {2}, {4, 8}), b(LAMINA_F32, {2}, {1, -1});
  const lamina_tensor xv = x.view(), rmv = rm.view(), rvv = rv.view(), wv = w.view(), bv = b.view();
  const lamina_batch_norm attr = {1, 0, 0, 0};
  EXPECT_OK(lamina_batch_norm_inference(device, &attr, &xv, &wv, &bv, &rmv, &rvv, &xv, nullptr)); // in place
  expect_near(x.values(), {-1, 1, 3, 1, 3, NAN});
}

// Equal numbers have variance 0 exactly, however large and however many: y is 0, not noise times 1/sqrt(epsilon).
TEST_P(BatchNorm, AConstantChannel) {
  for (const double value : {0.0, 1.0, -3e7, 1e6 + 0.0625, 16777213.0})
    for (const int64_t area : {1, 7, 1000, 40001}) {
      const Result r = forward({3, 1, area}, Values(static_cast<size_t>(3 * area), value));
      for (const double y : r.y) ASSERT_EQ(y, 0) << value << " " << area;
      EXPECT_EQ(r.mean[0], value);
      EXPECT_NEAR(r.deviation[0], 1 / std::sqrt(1e-5), 1e-4);
      EXPECT_NEAR(r.running_variance[0], 0.9 * 20, 1e-5);
    }
}

// x and x + 10^6 normalise alike, in planes and side by side, as long as the offset loses no bits of x.
TEST_P(BatchNorm, AHugeOffset) {
  for (const Tensor::Dims &dims : {Tensor::Dims{2, 3, 5003}, Tensor::Dims{10006, 3}}) {
    Values x, far;
    for (int i = 0; i < 2 * 3 * 5003; i++) {
      x.push_back(std::floor(std::sin(i * 1.7) * 8) / 16); // sixteenths: 10^6 has room for them
      far.push_back(x.back() + 1e6);
    }
    const Result near = forward(dims, x), offset = forward(dims, far);
    expect_near(offset.y, near.y, 1e-5);
    expect_near(offset.deviation, near.deviation, 1e-6);
  }
}

TEST_P(BatchNorm, OneElement) {
  const Result r = forward({1, 2}, {7, -1e6});
  EXPECT_EQ(r.y, (Values{0, 0}));
  EXPECT_EQ(r.mean, (Values{7, -1e6}));
  expect_near(r.running_mean, {9.7, 9 - 1e5});
  EXPECT_EQ(r.running_variance, (Values{20, 20})); // no estimate, no change
}

TEST_P(BatchNorm, NoElements) {
  const Result r = forward({0, 2, 3}, {});
  EXPECT_EQ(r.mean, (Values{0, 0}));
  expect_near(r.deviation, Values(2, 1 / std::sqrt(1e-5)));
  EXPECT_EQ(r.running_mean, (Values{10, 10}));
  EXPECT_EQ(r.running_variance, (Values{20, 20}));
}

TEST_P(BatchNorm, NanAndInfinityStayInTheirChannel) {
  for (const double bad : {static_cast<double>(NAN), static_cast<double>(INFINITY), -static_cast<double>(INFINITY)})
    for (const size_t place : {0u, 20u, 41u}) {
      Values x(2 * 3 * 7, 1);
      for (size_t i = 0; i < x.size(); i += 2) x[i] = -1;
      x[place] = bad;
      const Result r = forward({2, 3, 7}, x);
      const size_t channel = place / 7 % 3;
      for (size_t i = 0; i < x.size(); i++) EXPECT_EQ(std::isnan(r.y[i]), i / 7 % 3 == channel) << place << " " << i;
      for (size_t c = 0; c < 3; c++) {
        EXPECT_EQ(std::isnan(r.mean[c]), c == channel);
        EXPECT_EQ(std::isnan(r.deviation[c]), c == channel);
        EXPECT_EQ(std::isnan(r.running_mean[c]), c == channel);
        EXPECT_EQ(std::isnan(r.running_variance[c]), c == channel);
      }
    }
}

TEST_P(BatchNorm, EdgesOfMomentumAndEpsilon) {
  const Values x = {1, 3};
  const Result keep = forward({2, 1}, x, {0, 0, 0, 1}), take = forward({2, 1}, x, {0, 1, 0, 0});
  EXPECT_EQ(keep.running_mean[0], 10);
  EXPECT_EQ(keep.running_variance[0], 20);
  EXPECT_EQ(take.running_mean[0], 2);
  EXPECT_EQ(take.running_variance[0], 2);
  EXPECT_EQ(forward({2, 1}, x, {0, 0, 1, 0}).y, (Values{-1, 1}));
  EXPECT_TRUE(std::isnan(forward({2, 1}, {3, 3}, {0, 0, 1, 0}).y[0]));
}

TEST_P(BatchNorm, Bf16WithStatisticsInF32) {
  Tensor x(LAMINA_BF16, {4, 1}, {1000, 1004, 1008, 1004}), y(LAMINA_BF16, {4, 1}), mean(LAMINA_F32, {1}),
      deviation(LAMINA_F32, {1});
  const lamina_tensor xv = x.view(), yv = y.view(), mv = mean.view(), dv = deviation.view();
  EXPECT_OK(lamina_batch_norm_forward(device, nullptr, &xv, nullptr, nullptr, nullptr, nullptr, &yv, &mv, &dv, nullptr,
                                      nullptr, nullptr));
  EXPECT_EQ(mean.at(0), 1004);
  EXPECT_NEAR(deviation.at(0), 1 / std::sqrt(8 + 1e-5), 1e-7);
  expect_near(y.values(), {-std::sqrt(2), 0, std::sqrt(2), 0}, 4e-3);
}

TEST_P(BatchNorm, ErrorsAreSentences) {
  Tensor x(LAMINA_F32, {2, 3, 4}), y(LAMINA_F32, {2, 3, 4}), c(LAMINA_F32, {3}), n(LAMINA_F32, {2}),
      flat(LAMINA_F32, {3}), more(LAMINA_F32, {3});
  const lamina_tensor xv = x.view(), yv = y.view(), cv = c.view(), nv = n.view(), fv = flat.view(), mv = more.view();
  EXPECT_INVALID(lamina_batch_norm_forward(device, nullptr, &xv, &nv, nullptr, nullptr, nullptr, &yv, nullptr, nullptr,
                                           nullptr, nullptr, nullptr),
                 "batch_norm/forward: w is f32[2]; expected f32[3]");
  EXPECT_INVALID(lamina_batch_norm_forward(device, nullptr, &fv, nullptr, nullptr, nullptr, nullptr, &cv, nullptr,
                                           nullptr, nullptr, nullptr, nullptr),
                 "batch_norm/forward: x is f32[3]; expected 2 to 8 axes");
  EXPECT_INVALID(lamina_batch_norm_forward(device, nullptr, &xv, nullptr, nullptr, nullptr, nullptr, &yv, nullptr,
                                           nullptr, &cv, nullptr, nullptr),
                 "batch_norm/forward: new_running_mean is given without running_mean, which it is made from");
  EXPECT_INVALID(lamina_batch_norm_inference(device, nullptr, &xv, nullptr, nullptr, nullptr, &cv, &yv, nullptr),
                 "batch_norm/inference: running_mean is missing");
  EXPECT_INVALID(
      lamina_batch_norm_backward(device, nullptr, &xv, nullptr, &cv, &cv, &cv, &yv, nullptr, nullptr, nullptr),
      "batch_norm/backward: dy is f32[3]; expected f32[2,3,4]");
  const lamina_batch_norm momentum = {0, 1.5, 0, 0}, epsilon = {-1, 0, 0, 0};
  EXPECT_INVALID(lamina_batch_norm_inference(device, &momentum, &xv, nullptr, nullptr, &cv, &mv, &yv, nullptr),
                 "batch_norm/inference: momentum is 1.5; expected 0 to 1");
  EXPECT_INVALID(lamina_batch_norm_inference(device, &epsilon, &xv, nullptr, nullptr, &cv, &mv, &yv, nullptr),
                 "batch_norm/inference: epsilon is -1; expected 0 to 1");
}

INSTANTIATE_TEST_SUITE_P(Engines, BatchNorm, testing::Values("loop", "ref"));

} // namespace
