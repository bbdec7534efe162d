// Activations and softmax through their typed calls: what is known exactly, NaN and infinity, wide ranges, aliasing, and
// what bad shapes are told.
#include <cmath>

#include "on_engine.h"
#include "values.h"

namespace {

using Values = Tensor::Values;
const double inf = INFINITY;

class Activation : public OnEngine {
protected:
  Activation() : OnEngine("relu,sigmoid,tanh,softmax,log_softmax") {}

  // In place, as nets run them.
  template <class Call> Values forward(Call call, const Values &x) {
    Tensor t(LAMINA_F32, {1, static_cast<int64_t>(x.size())}, x);
    const lamina_tensor v = t.view();
    EXPECT_OK(call(device, &v, &v, nullptr));
    return t.values();
  }
  template <class Call> Values backward(Call call, const Values &y, const Values &dy) {
    Tensor yt(LAMINA_F32, {1, static_cast<int64_t>(y.size())}, y),
        dyt(LAMINA_F32, {1, static_cast<int64_t>(y.size())}, dy);
    const lamina_tensor yv = yt.view(), v = dyt.view();
    EXPECT_OK(call(device, &yv, &v, &v, nullptr));
    return dyt.values();
  }
};

void expect_near(const Values &got, const Values &want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); i++) {
    if (std::isnan(want[i]))
      EXPECT_TRUE(std::isnan(got[i])) << i;
    else if (std::isinf(want[i]))
      EXPECT_EQ(got[i], want[i]) << i;
    else
      EXPECT_NEAR(got[i], want[i], 4e-7 * std::fabs(want[i]) + 1e-37) << i;
  }
}

TEST_P(Activation, Relu) {
  expect_near(forward(lamina_relu_forward, {-2, -0.0, 0, 3, inf, -inf, NAN}), {0, 0, 0, 3, inf, 0, NAN});
  EXPECT_EQ(backward(lamina_relu_backward, {0, 2, NAN, inf}, {5, 6, 7, 8}), (Values{0, 6, 0, 8}));
}

TEST_P(Activation, Sigmoid) {
  Values x, y;
  for (double v = -100; v <= 100; v += 0.37) {
    x.push_back(static_cast<double>(static_cast<float>(v)));
    y.push_back(1 / (1 + std::exp(-x.back())));
  }
  x.insert(x.end(), {inf, -inf, NAN, 0}), y.insert(y.end(), {1, 0, NAN, 0.5});
  expect_near(forward(lamina_sigmoid_forward, x), y);
  EXPECT_EQ(backward(lamina_sigmoid_backward, {0, 1, 0.5, 0.25}, {3, 3, 4, 16}), (Values{0, 0, 1, 3}));
}

TEST_P(Activation, Tanh) {
  Values x, y;
  for (double v = -12; v <= 12; v += 0.043) {
    x.push_back(static_cast<double>(static_cast<float>(v)));
    y.push_back(std::tanh(x.back()));
  }
  x.insert(x.end(), {inf, -inf, NAN, 0, 0x1p-100, 1000}), y.insert(y.end(), {1, -1, NAN, 0, 0x1p-100, 1});
  expect_near(forward(lamina_tanh_forward, x), y);
  EXPECT_EQ(backward(lamina_tanh_backward, {0, 1, -0.5}, {3, 3, 4}), (Values{3, 0, 3}));
}

TEST_P(Activation, SoftmaxOfWideRanges) {
  const auto softmax = [](lamina_device *d, const lamina_tensor *x, const lamina_tensor *y, lamina_stream *s) {
    return lamina_softmax_forward(d, nullptr, x, y, s);
  };
  expect_near(forward(softmax, {0, 0, 0, 0}), {0.25, 0.25, 0.25, 0.25});
  expect_near(forward(softmax, {1000, 1000, -1000}), {0.5, 0.5, 0});
  expect_near(forward(softmax, {-3e38, 3e38}), {0, 1});
  expect_near(forward(softmax, {-inf, 5, -inf}), {0, 1, 0});
  expect_near(forward(softmax, {5}), {1});
  for (const Values &x : {Values{1, inf, 2}, Values{-inf, -inf, -inf}, Values{1, 2, NAN}})
    expect_near(forward(softmax, x), {NAN, NAN, NAN});
}

TEST_P(Activation, LogSoftmaxOfWideRanges) {
  const auto softmax = [](lamina_device *d, const lamina_tensor *x, const lamina_tensor *y, lamina_stream *s) {
    return lamina_log_softmax_forward(d, nullptr, x, y, s);
  };
  expect_near(forward(softmax, {0, 0, 0, 0}), Values(4, -std::log(4)));
  expect_near(forward(softmax, {1000, 0}), {0, -1000});
  expect_near(forward(softmax, {-inf, 5, -inf}), {-inf, 0, -inf});
  for (const Values &x : {Values{1, inf, 2}, Values{-inf, -inf, -inf}, Values{1, 2, NAN}})
    expect_near(forward(softmax, x), {NAN, NAN, NAN});
}

TEST_P(Activation, SoftmaxBackward) {
  const auto plain = [](lamina_device *d, const lamina_tensor *y, const lamina_tensor *dy, const lamina_tensor *dx,
                        lamina_stream *s) { return lamina_softmax_backward(d, nullptr, y, dy, dx, s); };
  const auto logarithm = [](lamina_device *d, const lamina_tensor *y, const lamina_tensor *dy, const lamina_tensor *dx,
                            lamina_stream *s) { return lamina_log_softmax_backward(d, nullptr, y, dy, dx, s); };
  EXPECT_EQ(backward(plain, {0.5, 0.25, 0.25}, {4, 8, -8}), (Values{1, 1.5, -2.5}));
  EXPECT_EQ(backward(logarithm, {0, -inf}, {3, 5}), (Values{-5, 5}));
}

TEST_P(Activation, SoftmaxAlongEachAxis) {
  const Values x = {0, 1, 2, 3, 4, 5, 6, 7};
  for (int64_t axis = -3; axis < 3; axis++) {
    const lamina_softmax attr = {axis, 1};
    const int64_t step = int64_t{4} >> ((axis + 3) % 3);
    Tensor xt(LAMINA_F32, {2, 2, 2}, x), yt(LAMINA_F32, {2, 2, 2});
    const lamina_tensor xv = xt.view(), yv = yt.view();
    EXPECT_OK(lamina_softmax_forward(device, &attr, &xv, &yv, nullptr));
    for (int64_t i = 0; i < 8; i++) {
      const double sign = i & step ? -1 : 1;
      EXPECT_NEAR(yt.at(i), 1 / (1 + std::exp(sign * static_cast<double>(step))), 1e-6) << axis << " " << i;
    }
  }
}

TEST_P(Activation, ErrorsAreSentences) {
  Tensor a(LAMINA_F32, {2, 3}), b(LAMINA_F32, {3, 2}), c(LAMINA_F32, {2, 3}), d(LAMINA_I32, {2, 3}),
      number(LAMINA_F32, {});
  const lamina_tensor at = a.view(), bt = b.view(), ct = c.view(), dt = d.view(), nt = number.view();
  EXPECT_INVALID(lamina_relu_forward(device, &at, &bt, nullptr), "relu/forward: y is f32[3,2]; expected f32[2,3]");
  EXPECT_INVALID(lamina_tanh_backward(device, &at, &bt, &ct, nullptr),
                 "tanh/backward: dy is f32[3,2]; expected f32[2,3]");
  EXPECT_INVALID(lamina_sigmoid_forward(device, &dt, &at, nullptr),
                 "sigmoid/forward: x is i32[2,3]; expected f64, f32, f16 or bf16");
  EXPECT_INVALID(lamina_relu_backward(device, &at, &bt, &at, nullptr), "relu/backward: dx overlaps y in memory");
  const lamina_softmax last = {2, 0}, before = {-3, 0};
  EXPECT_INVALID(lamina_softmax_forward(device, &last, &at, &ct, nullptr),
                 "softmax/forward: x is f32[2,3]; axis is 2; expected -2 to 1");
  EXPECT_INVALID(lamina_softmax_backward(device, &before, &at, &bt, &ct, nullptr),
                 "softmax/backward: y is f32[2,3]; axis is -3; expected -2 to 1");
  EXPECT_INVALID(lamina_log_softmax_forward(device, nullptr, &nt, &ct, nullptr),
                 "log_softmax/forward: x is f32[]; expected at least 1 axis");
}

INSTANTIATE_TEST_SUITE_P(Engines, Activation, testing::Values("loop", "ref"));

} // namespace
