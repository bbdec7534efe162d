// Activations and softmax through their typed calls: what is known exactly, NaN and infinity, wide ranges, aliasing, and
// what bad shapes are told.
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "on_engine.h"
#include "values.h"

namespace {

using Values = Tensor::Values;
const double inf = INFINITY;

class Activation : public OnEngine {
protected:
  Activation()
      : OnEngine("relu,leaky_relu,sigmoid,tanh,elu,selu,gelu,silu,softplus,hard_sigmoid,softsign,softmax,log_softmax") {
  }

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

// ---- Functions with a formula in f64: where, how near, and what stands at both ends ----

using Call = std::function<lamina_status(lamina_device *, const lamina_tensor *, const lamina_tensor *)>;
using Formula = std::function<double(double)>;

// Over `from` to `to`, in f32; errors are counted in units of 2^-24, of the value and of `scale`, which is what the
// formula cancels from.
struct Curve {
  const char *name;
  Call forward;
  Formula y, slope, scale; // slope: dx for dy = 1
  double below, above;     // at -inf and inf
  double slope_below, slope_above;
  std::function<lamina_status(lamina_device *, const lamina_tensor *, const lamina_tensor *, const lamina_tensor *)>
      backward;
  bool from_x;
};

template <class Attr, class Forward, class Backward>
void with(Curve &curve, const Attr &attr, Forward forward, Backward backward) {
  curve.forward = [=](lamina_device *d, const lamina_tensor *x, const lamina_tensor *y) {
    return forward(d, &attr, x, y, nullptr);
  };
  curve.backward = [=](lamina_device *d, const lamina_tensor *v, const lamina_tensor *dy, const lamina_tensor *dx) {
    return backward(d, &attr, v, dy, dx, nullptr);
  };
}
template <class Forward, class Backward> void without(Curve &curve, Forward forward, Backward backward) {
  curve.forward = [=](lamina_device *d, const lamina_tensor *x, const lamina_tensor *y) {
    return forward(d, x, y, nullptr);
  };
  curve.backward = [=](lamina_device *d, const lamina_tensor *v, const lamina_tensor *dy, const lamina_tensor *dx) {
    return backward(d, v, dy, dx, nullptr);
  };
}

Curve make(const char *name, Formula y, Formula slope, Formula scale, double below, double above, double slope_below,
           double slope_above, bool from_x = false) {
  return {name, nullptr, y, slope, scale, below, above, slope_below, slope_above, nullptr, from_x};
}

std::vector<Curve> curves() {
  const auto none = [](double) { return 0.0; };
  const auto size = [](double x) { return std::fabs(x); };
  const auto density = [](double x) { return std::exp(-x * x / 2) / std::sqrt(2 * M_PI); };
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  const auto z = [](double x) { return std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x); };
  const double l = 1.0507009873554805, a = 1.6732632423543772;
  std::vector<Curve> all;
  all.push_back(make(
      "leaky_relu", [](double x) { return x > 0 ? x : 0.25 * x; }, [](double x) { return x > 0 ? 1 : 0.25; }, none,
      -inf, inf, 0.25, 1));
  with(all.back(), lamina_leaky_relu{0.25, 0}, lamina_leaky_relu_forward, lamina_leaky_relu_backward);
  all.push_back(make(
      "elu", [](double x) { return x > 0 ? x : 2 * std::expm1(x); },
      [](double x) { return x > 0 ? 1 : 2 * std::exp(x); }, [](double) { return 2.0; }, -2, inf, 0, 1));
  with(all.back(), lamina_elu{2, 0}, lamina_elu_forward, lamina_elu_backward);
  all.push_back(make(
      "selu", [=](double x) { return l * (x > 0 ? x : a * std::expm1(x)); },
      [=](double x) { return l * (x > 0 ? 1 : a * std::exp(x)); }, [](double) { return 2.0; }, -l * a, inf, 0, l));
  without(all.back(), lamina_selu_forward, lamina_selu_backward);
  all.push_back(make(
      "gelu", [](double x) { return x / 2 * std::erfc(-x / M_SQRT2); },
      [=](double x) { return std::erfc(-x / M_SQRT2) / 2 + x * density(x); }, size, 0, inf, 0, 1, true));
  with(all.back(), lamina_gelu{LAMINA_GELU_ERF}, lamina_gelu_forward, lamina_gelu_backward);
  all.push_back(make(
      "gelu_tanh", [=](double x) { return x / (1 + std::exp(-2 * z(x))); },
      [=](double x) {
        const double c = 1 / std::cosh(z(x)), dz = std::sqrt(2 / M_PI) * (1 + 0.134145 * x * x);
        return 1 / (1 + std::exp(-2 * z(x))) + x / 2 * c * c * dz;
      },
      [](double x) { return 1 + 3 * std::fabs(x); }, 0, inf, 0, 1, true));
  with(all.back(), lamina_gelu{LAMINA_GELU_TANH}, lamina_gelu_forward, lamina_gelu_backward);
  all.push_back(make(
      "silu", [=](double x) { return x * sigmoid(x); }, [=](double x) { return sigmoid(x) * (1 + x * sigmoid(-x)); },
      none, 0, inf, 0, 1, true));
  without(all.back(), lamina_silu_forward, lamina_silu_backward);
  all.push_back(make(
      "softplus", [](double x) { return (std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(2 * x))) / 2); },
      [=](double x) { return sigmoid(2 * x); }, none, 0, inf, 0, 1));
  with(all.back(), lamina_softplus{2}, lamina_softplus_forward, lamina_softplus_backward);
  all.push_back(make(
      "hard_sigmoid", [](double x) { return std::min(std::max(x + 3, 0.0), 6.0) / 6; },
      [](double x) { return x > -3 && x < 3 ? 1.0 / 6 : 0; }, none, 0, 1, 0, 0, true));
  without(all.back(), lamina_hard_sigmoid_forward, lamina_hard_sigmoid_backward);
  all.push_back(make(
      "softsign", [](double x) { return x / (1 + std::fabs(x)); },
      [](double x) { return 1 / ((1 + std::fabs(x)) * (1 + std::fabs(x))); }, [](double) { return 1.0; }, -1, 1, 0, 0));
  without(all.back(), lamina_softsign_forward, lamina_softsign_backward);
  return all;
}

// What an engine may be off by: a few roundings, and |x| of them where exp's argument rounds.
void expect_on(const Values &got, const Values &x, const Formula &want, const Formula &scale, const char *what) {
  for (size_t i = 0; i < x.size(); i++) {
    const double w = want(x[i]);
    ASSERT_NEAR(got[i], w, 0x1p-24 * ((12 + 6 * std::fabs(x[i])) * std::fabs(w) + 4 * scale(x[i])) + 1e-37)
        << what << " of " << x[i];
  }
}

TEST_P(Activation, CurvesOverAWideRange) {
  Values x = {0, 0x1p-30, -0x1p-30, 1e-20, -1e-20};
  for (double v = -30; v <= 30; v += 0.0173) x.push_back(static_cast<double>(static_cast<float>(v)));
  const int64_t n = static_cast<int64_t>(x.size());
  for (const Curve &curve : curves()) {
    SCOPED_TRACE(curve.name);
    Tensor xt(LAMINA_F32, {n}, x), yt(LAMINA_F32, {n}), dy(LAMINA_F32, {n}, 1.0);
    const lamina_tensor xv = xt.view(), yv = yt.view(), dyv = dy.view();
    EXPECT_OK(curve.forward(device, &xv, &yv));
    expect_on(yt.values(), x, curve.y, curve.scale, "y");
    EXPECT_OK(curve.backward(device, curve.from_x ? &xv : &yv, &dyv, &dyv));
    expect_on(
        dy.values(), x, curve.slope, [&](double v) { return curve.scale(v) + (curve.from_x ? 1 : 0); }, "dx");
  }
}

TEST_P(Activation, CurvesAtTheirEnds) {
  for (const Curve &curve : curves()) {
    SCOPED_TRACE(curve.name);
    for (const double big : {100.0, 1e10, 3e38, inf}) { /* nothing overflows on the way */
      Tensor xt(LAMINA_F32, {3}, {-big, big, NAN}), yt(LAMINA_F32, {3}), dy(LAMINA_F32, {3}, {1, 1, 1});
      const lamina_tensor xv = xt.view(), yv = yt.view(), dyv = dy.view();
      EXPECT_OK(curve.forward(device, &xv, &yv));
      EXPECT_OK(curve.backward(device, curve.from_x ? &xv : &yv, &dyv, &dyv));
      const double below = std::isinf(curve.below) ? curve.y(-big) : curve.below;
      const double above = std::isinf(curve.above) ? big : curve.above;
      const double reach = std::string(curve.name) == "softsign" ? 1 / (1 + big) : 0; /* slow */
      expect_near({yt.at(0) - reach, yt.at(2)}, {below, NAN});
      if (std::string(curve.name) == "selu")
        expect_near({yt.at(1)}, {1.0507009873554805 * big});
      else
        expect_near({yt.at(1) + reach}, {above});
      EXPECT_NEAR(dy.at(0), curve.slope_below + reach * reach, 2e-7);
      EXPECT_NEAR(dy.at(1), curve.slope_above + reach * reach, 2e-7);
    }
  }
}

TEST_P(Activation, WhereRampsEnd) {
  Tensor x(LAMINA_F32, {5}, {-3, -2.5, 0, 3, NAN}), dx(LAMINA_F32, {5}, {6, 6, 6, 6, 6}), y(LAMINA_F32, {5});
  const lamina_tensor xv = x.view(), dxv = dx.view(), yv = y.view();
  EXPECT_OK(lamina_hard_sigmoid_forward(device, &xv, &yv, nullptr));
  expect_near(y.values(), {0, 0.5 / 6, 0.5, 1, NAN});
  EXPECT_OK(lamina_hard_sigmoid_backward(device, &xv, &dxv, &dxv, nullptr));
  EXPECT_EQ(dx.values(), (Values{0, 1, 1, 0, 0}));
  Tensor leaky(LAMINA_F32, {4}, {-0.0, 0, -4, 8});
  const lamina_tensor lv = leaky.view();
  const lamina_leaky_relu attr = {0, 1};
  EXPECT_OK(lamina_leaky_relu_forward(device, &attr, &lv, &lv, nullptr));
  EXPECT_EQ(leaky.values(), (Values{0, 0, 0, 8}));
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
  const lamina_leaky_relu negative = {-0.5, 0};
  const lamina_elu hollow = {-1, 0};
  const lamina_softplus flat = {-2};
  const lamina_gelu other = {2};
  EXPECT_INVALID(lamina_leaky_relu_forward(device, &negative, &at, &ct, nullptr),
                 "leaky_relu/forward: slope is -0.5; expected 0 to 1000000");
  EXPECT_INVALID(lamina_elu_forward(device, &hollow, &at, &ct, nullptr),
                 "elu/forward: alpha is -1; expected 0 to 1000000");
  EXPECT_INVALID(lamina_softplus_backward(device, &flat, &at, &bt, &ct, nullptr),
                 "softplus/backward: beta is -2; expected 1e-06 to 1000000");
  EXPECT_INVALID(lamina_gelu_forward(device, &other, &at, &ct, nullptr),
                 "gelu/forward: form is 2; expected one of erf, tanh");
}

INSTANTIATE_TEST_SUITE_P(Engines, Activation, testing::Values("loop", "ref"));

} // namespace
