// Layer and group normalisation through their typed calls: by hand, what they must not lose, and bad shapes.
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

class LayerNorm : public OnEngine {
protected:
  LayerNorm() : OnEngine("layer_norm,group_norm") {}

  // The last axis, or all from `axis` on.
  Values layer(const Tensor::Dims &dims, const Values &x, const lamina_layer_norm &attr = {}) {
    Tensor t(LAMINA_F32, dims, x);
    const lamina_tensor v = t.view();
    EXPECT_OK(lamina_layer_norm_forward(device, &attr, &v, nullptr, nullptr, &v, nullptr, nullptr, nullptr));
    return t.values();
  }
  Values group(const Tensor::Dims &dims, int64_t groups, const Values &x) {
    Tensor t(LAMINA_F32, dims, x);
    const lamina_tensor v = t.view();
    const lamina_group_norm attr = {groups, 1, 0};
    EXPECT_OK(lamina_group_norm_forward(device, &attr, &v, nullptr, nullptr, &v, nullptr, nullptr, nullptr));
    return t.values();
  }
};

// Rows {1, 3, 5, 7}: mean 4, variance 5, and {2, 2, 2, 6}: mean 3, variance 3. epsilon 1: r = 1/sqrt(6) and 1/2.
TEST_P(LayerNorm, ByHand) {
  Tensor x(LAMINA_F32, {2, 4}, {1, 3, 5, 7, 2, 2, 2, 6}), w(LAMINA_F32, {4}, {1, 2, 1, -1}),
      b(LAMINA_F32, {4}, {0, 10, 0, 0}), y(LAMINA_F32, {2, 4}), mean(LAMINA_F32, {2}), deviation(LAMINA_F32, {2});
  const lamina_tensor xv = x.view(), wv = w.view(), bv = b.view(), yv = y.view(), mv = mean.view(),
                      dv = deviation.view();
  const lamina_layer_norm attr = {0, 1, 0, 0};
  EXPECT_OK(lamina_layer_norm_forward(device, &attr, &xv, &wv, &bv, &yv, &mv, &dv, nullptr));
  const double r = 1 / std::sqrt(6);
  expect_near(y.values(), {-3 * r, 10 - 2 * r, r, -3 * r, -0.5, 9, -0.5, -1.5});
  expect_near(mean.values(), {4, 3});
  expect_near(deviation.values(), {r, 0.5});

  // Second row: g = dy * w = {0, 4, 0, 0}, mean 1; h = {-1, -1, -1, 3}/2, mean of g*h -1/2.
  Tensor dy(LAMINA_F32, {2, 4}, {0, 0, 0, 0, 0, 2, 0, 0}), dw(LAMINA_F32, {4}), db(LAMINA_F32, {4});
  const lamina_tensor g = dy.view(), dwv = dw.view(), dbv = db.view();
  EXPECT_OK(lamina_layer_norm_backward(device, &attr, &xv, &wv, &mv, &dv, &g, &g, &dwv, &dbv, nullptr)); // dx on dy
  expect_near(dy.values(), {0, 0, 0, 0, 0.5 * (-1 - 0.25), 0.5 * (3 - 0.25), 0.5 * (-1 - 0.25), 0.5 * (-1 + 0.75)});
  expect_near(dw.values(), {0, -1, 0, 0});
  expect_near(db.values(), {0, 2, 0, 0});
}

TEST_P(LayerNorm, FromAnAxisOn) {
  const Values x = {1, 3, 5, 7, 2, 2, 2, 6};
  const double r = 1 / std::sqrt(6), all = 1 / std::sqrt(4.25 + 1); // mean 3.5
  expect_near(layer({2, 2, 2}, x, {1, 1, 0, 0}), {-3 * r, -r, r, 3 * r, -0.5, -0.5, -0.5, 1.5});
  expect_near(layer({2, 2, 2}, x, {-2, 1, 0, 0}), {-3 * r, -r, r, 3 * r, -0.5, -0.5, -0.5, 1.5});
  expect_near(layer({2, 2, 2}, x, {0, 1, 1, 0}),
              {-2.5 * all, -0.5 * all, 1.5 * all, 3.5 * all, -1.5 * all, -1.5 * all, -1.5 * all, 2.5 * all});
  const double one = 1 / std::sqrt(2), two = 2 / std::sqrt(5);
  expect_near(layer({2, 2, 2}, x, {0, 1, 0, 0}), {-one, one, -one, one, 0, 0, -two, two}); // the last
}

// Groups are neighbouring channels: one for all, halves, and each channel by itself.
TEST_P(LayerNorm, Groups) {
  const Values x = {1, 3, 5, 7, 2, 2, 2, 6};
  const double r = 1 / std::sqrt(6), all = 1 / std::sqrt(4.25 + 1), one = 1 / std::sqrt(2), two = 2 / std::sqrt(5);
  expect_near(group({1, 4, 2}, 1, x),
              {-2.5 * all, -0.5 * all, 1.5 * all, 3.5 * all, -1.5 * all, -1.5 * all, -1.5 * all, 2.5 * all});
  expect_near(group({1, 4, 2}, 2, x), {-3 * r, -r, r, 3 * r, -0.5, -0.5, -0.5, 1.5});
  expect_near(group({2, 4}, 1, x), {-3 * r, -r, r, 3 * r, -0.5, -0.5, -0.5, 1.5});
  expect_near(group({1, 4, 2}, 4, x), {-one, one, -one, one, 0, 0, -two, two});
  expect_near(group({2, 4}, 4, x), Values(8, 0)); // one element each
}

// w and b are those of the channels, whatever the group.
TEST_P(LayerNorm, WeightsOfGroups) {
  Tensor x(LAMINA_F32, {2, 4, 1, 2}, {-1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1}),
      w(LAMINA_F32, {4}, {1, 2, 3, 4}), b(LAMINA_F32, {4}, {10, 20, 30, 40}), mean(LAMINA_F32, {2, 2}),
      deviation(LAMINA_F32, {2, 2});
  const lamina_tensor xv = x.view(), wv = w.view(), bv = b.view(), mv = mean.view(), dv = deviation.view();
  const lamina_group_norm attr = {2, 0, 1};
  Tensor y(LAMINA_F32, {2, 4, 1, 2});
  const lamina_tensor yv = y.view();
  EXPECT_OK(lamina_group_norm_forward(device, &attr, &xv, &wv, &bv, &yv, &mv, &dv, nullptr));
  expect_near(y.values(), {9, 11, 18, 22, 27, 33, 36, 44, 9, 11, 18, 22, 27, 33, 36, 44});
  Tensor dy(LAMINA_F32, {2, 4, 1, 2}, Values{0, 1, 0, 2, 0, 3, 0, 4, 1, 0, 1, 0, 1, 0, 1, 0}), dw(LAMINA_F32, {4}),
      db(LAMINA_F32, {4});
  const lamina_tensor g = dy.view(), dwv = dw.view(), dbv = db.view();
  EXPECT_OK(lamina_group_norm_backward(device, &attr, &xv, &wv, &mv, &dv, &g, &yv, &dwv, &dbv, nullptr));
  expect_near(dw.values(), {0, 1, 2, 3});
  expect_near(db.values(), {2, 3, 4, 5});
}

// Equal numbers have variance 0 exactly, however large; one element is such a number.
TEST_P(LayerNorm, ConstantRows) {
  for (const double value : {0.0, -3e7, 1e6 + 0.0625, 16777213.0})
    for (const int64_t n : {1, 3, 1000, 5001}) {
      const Values x(static_cast<size_t>(2 * n), value), zero(x.size(), 0);
      EXPECT_EQ(layer({2, n}, x), zero) << value << " " << n;
      EXPECT_EQ(group({1, 2, n}, 2, x), zero) << value << " " << n;
      EXPECT_EQ(group({2, n}, 1, x), zero) << value << " " << n;
    }
}

TEST_P(LayerNorm, AHugeOffset) {
  Values x, far;
  for (int i = 0; i < 3 * 4000; i++) {
    x.push_back(std::floor(std::sin(i * 1.7) * 8) / 16); // sixteenths: 10^6 has room for them
    far.push_back(x.back() + 1e6);
  }
  expect_near(layer({3, 4000}, far), layer({3, 4000}, x), 1e-5);
  expect_near(group({3, 4, 1000}, 2, far), group({3, 4, 1000}, 2, x), 1e-5);
}

TEST_P(LayerNorm, NanAndInfinityStayInTheirRow) {
  for (const double bad : {static_cast<double>(NAN), static_cast<double>(INFINITY), -static_cast<double>(INFINITY)})
    for (const size_t place : {0u, 20u, 41u}) {
      Values x(42, 1);
      for (size_t i = 0; i < x.size(); i += 2) x[i] = -1;
      x[place] = bad;
      const Values rows = layer({6, 7}, x), groups = group({1, 6, 7}, 3, x);
      for (size_t i = 0; i < x.size(); i++) {
        EXPECT_EQ(std::isnan(rows[i]), i / 7 == place / 7) << place << " " << i;
        EXPECT_EQ(std::isnan(groups[i]), i / 14 == place / 14) << place << " " << i;
      }
    }
}

TEST_P(LayerNorm, NoElements) {
  Tensor x(LAMINA_F32, {2, 0}), w(LAMINA_F32, {0}), mean(LAMINA_F32, {2}), deviation(LAMINA_F32, {2});
  const lamina_tensor xv = x.view(), wv = w.view(), mv = mean.view(), dv = deviation.view();
  EXPECT_OK(lamina_layer_norm_forward(device, nullptr, &xv, &wv, nullptr, &xv, &mv, &dv, nullptr));
  EXPECT_EQ(mean.values(), (Values{0, 0}));
  expect_near(deviation.values(), Values(2, 1 / std::sqrt(1e-5)));
  Tensor none(LAMINA_F32, {0, 3}), dw(LAMINA_F32, {3}), empty(LAMINA_F32, {0});
  const lamina_tensor nv = none.view(), dwv = dw.view(), ev = empty.view();
  EXPECT_OK(lamina_layer_norm_backward(device, nullptr, &nv, nullptr, &ev, &ev, &nv, &nv, &dwv, nullptr, nullptr));
  EXPECT_EQ(dw.values(), (Values{0, 0, 0}));
}

TEST_P(LayerNorm, ErrorsAreSentences) {
  Tensor x(LAMINA_F32, {2, 6, 4}), y(LAMINA_F32, {2, 6, 4}), w(LAMINA_F32, {6}), m(LAMINA_F32, {2, 6});
  const lamina_tensor xv = x.view(), yv = y.view(), wv = w.view(), mv = m.view();
  const lamina_layer_norm far = {3, 0, 0, 0}, epsilon = {0, 2, 0, 0};
  const lamina_group_norm none = {0, 0, 0}, four = {4, 0, 0}, three = {3, 0, 0};
  EXPECT_INVALID(lamina_layer_norm_forward(device, nullptr, &xv, &wv, nullptr, &yv, nullptr, nullptr, nullptr),
                 "layer_norm/forward: w is f32[6]; expected f32[4]");
  EXPECT_INVALID(lamina_layer_norm_forward(device, &far, &xv, nullptr, nullptr, &yv, nullptr, nullptr, nullptr),
                 "layer_norm/forward: x is f32[2,6,4]; axis is 3; expected -3 to 2");
  EXPECT_INVALID(lamina_layer_norm_forward(device, &epsilon, &xv, nullptr, nullptr, &yv, nullptr, nullptr, nullptr),
                 "layer_norm/forward: epsilon is 2; expected 0 to 1");
  EXPECT_INVALID(lamina_layer_norm_forward(device, nullptr, &xv, nullptr, nullptr, &yv, &wv, nullptr, nullptr),
                 "layer_norm/forward: mean is f32[6]; expected f32[2,6]");
  EXPECT_INVALID(lamina_group_norm_forward(device, &none, &xv, nullptr, nullptr, &yv, nullptr, nullptr, nullptr),
                 "group_norm/forward: groups is missing; expected 1 to 2147483648");
  EXPECT_INVALID(lamina_group_norm_forward(device, &four, &xv, nullptr, nullptr, &yv, nullptr, nullptr, nullptr),
                 "group_norm/forward: x is f32[2,6,4]; its 6 channels don't make 4 groups");
  EXPECT_INVALID(lamina_group_norm_forward(device, &three, &wv, nullptr, nullptr, &wv, nullptr, nullptr, nullptr),
                 "group_norm/forward: x is f32[6]; expected 2 to 8 axes");
  EXPECT_INVALID(
      lamina_group_norm_backward(device, &three, &xv, nullptr, &mv, &mv, &yv, &yv, nullptr, nullptr, nullptr),
      "group_norm/backward: mean is f32[2,6]; expected f32[2,3]");
}

INSTANTIATE_TEST_SUITE_P(Engines, LayerNorm, testing::Values("loop", "ref"));

} // namespace
