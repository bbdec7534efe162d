// Fully connected through its typed calls: hand-worked values, empty sums, and what bad shapes are told.
#include "on_engine.h"
#include "values.h"

namespace {

using Values = Tensor::Values;

class Fc : public testing::TestWithParam<const char *> {
protected:
  void SetUp() override {
    lamina_device_options options = {};
    options.engine = GetParam();
    ASSERT_EQ(lamina_device_open("cpu", &options, &device), LAMINA_OK) << lamina_last_error();
  }
  void TearDown() override { lamina_device_close(device); }

  lamina_device *device = nullptr;
};

TEST_P(Fc, AllPasses) {
  Tensor x(LAMINA_F32, {2, 3}, Values{1, 2, 3, -1, 0, 4}), w(LAMINA_F32, {2, 3}, Values{1, 0, -1, 2, 1, 3});
  Tensor b(LAMINA_F32, {2}, Values{10, 20}), y(LAMINA_F32, {2, 2});
  const lamina_tensor xt = x.view(), wt = w.view(), bt = b.view(), yt = y.view();
  EXPECT_OK(lamina_fc_forward(device, &xt, &wt, &bt, &yt, nullptr));
  EXPECT_EQ(y.values(), (Values{8, 33, 5, 30}));
  EXPECT_OK(lamina_fc_forward(device, &xt, &wt, nullptr, &yt, nullptr));
  EXPECT_EQ(y.values(), (Values{-2, 13, -5, 10}));

  Tensor dy(LAMINA_F32, {2, 2}, Values{1, 2, 3, -1}), dx(LAMINA_F32, {2, 3}), dw(LAMINA_F32, {2, 3}),
      db(LAMINA_F32, {2});
  const lamina_tensor dyt = dy.view(), dxt = dx.view(), dwt = dw.view(), dbt = db.view();
  EXPECT_OK(lamina_fc_backward_data(device, &dyt, &wt, &dxt, nullptr));
  EXPECT_EQ(dx.values(), (Values{5, 2, 5, 1, -1, -6}));
  EXPECT_OK(lamina_fc_backward_weights(device, &xt, &dyt, &dwt, nullptr));
  EXPECT_EQ(dw.values(), (Values{-2, 2, 15, 3, 4, 2}));
  EXPECT_OK(lamina_fc_backward_bias(device, &dyt, &dbt, nullptr));
  EXPECT_EQ(db.values(), (Values{4, 1}));
}

TEST_P(Fc, EmptySumsAreZero) {
  Tensor x(LAMINA_F32, {2, 0}), w(LAMINA_F32, {2, 0}), b(LAMINA_F32, {2}, Values{1, 2}), y(LAMINA_F32, {2, 2});
  const lamina_tensor xt = x.view(), wt = w.view(), bt = b.view(), yt = y.view();
  EXPECT_OK(lamina_fc_forward(device, &xt, &wt, &bt, &yt, nullptr));
  EXPECT_EQ(y.values(), (Values{1, 2, 1, 2}));
  Tensor none(LAMINA_F32, {0, 2}), dw(LAMINA_F32, {2, 2}), db(LAMINA_F32, {2});
  const lamina_tensor nt = none.view(), dwt = dw.view(), dbt = db.view();
  EXPECT_OK(lamina_fc_backward_weights(device, &nt, &nt, &dwt, nullptr));
  EXPECT_EQ(dw.values(), Values(4, 0));
  EXPECT_OK(lamina_fc_backward_bias(device, &nt, &dbt, nullptr));
  EXPECT_EQ(db.values(), Values(2, 0));
}

TEST_P(Fc, ErrorsAreSentences) {
  Tensor x(LAMINA_F32, {2, 3}), w(LAMINA_F32, {4, 5}), b(LAMINA_F32, {3}), fit(LAMINA_F32, {4, 3}),
      y(LAMINA_F32, {2, 4});
  Tensor cube(LAMINA_F32, {2, 3, 1});
  const lamina_tensor xt = x.view(), wt = w.view(), bt = b.view(), ft = fit.view(), yt = y.view(), ct = cube.view();
  EXPECT_INVALID(lamina_fc_forward(device, &xt, &wt, nullptr, &yt, nullptr),
                 "fc/forward: w is f32[4,5]; expected f32[4,3]");
  EXPECT_INVALID(lamina_fc_forward(device, &xt, &ft, &bt, &yt, nullptr), "fc/forward: b is f32[3]; expected f32[4]");
  EXPECT_INVALID(lamina_fc_forward(device, &ct, &ft, nullptr, &yt, nullptr),
                 "fc/forward: x is f32[2,3,1]; expected 2 axes");
  EXPECT_INVALID(lamina_fc_backward_weights(device, &xt, &wt, &ft, nullptr),
                 "fc/backward_weights: dy is f32[4,5]; expected f32[2,5]");
}

INSTANTIATE_TEST_SUITE_P(Engines, Fc, testing::Values("", "fc:ref")); // the device's choice, and the reference

} // namespace
