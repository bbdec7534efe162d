// Optimizers: steps worked by hand, segments and their weight decay, and what bad arguments are told.
#include <cmath>
#include <vector>

#include "on_engine.h"

namespace {

using Values = std::vector<float>;

class Sgd : public OnEngine {
protected:
  Sgd() : OnEngine("sgd") {}

  // One step with rate 0.5; m, segments, decay and gate are left out where they are empty.
  void step(lamina_sgd sgd, Values &w, Values g, Values &m, std::vector<int64_t> segments = {}, Values decay = {},
            Values gate = {}) {
    float rate = 0.5f;
    const auto vector = [](Values &v) { return lamina_vector(LAMINA_F32, static_cast<int64_t>(v.size()), v.data()); };
    const lamina_tensor wt = vector(w), gt = vector(g), mt = vector(m), rt = lamina_vector(LAMINA_F32, 1, &rate),
                        st = lamina_vector(LAMINA_I64, static_cast<int64_t>(segments.size()), segments.data()),
                        dt = vector(decay), kt = vector(gate);
    EXPECT_OK(lamina_sgd_update(device, &sgd, &wt, &gt, m.empty() ? nullptr : &mt, &rt,
                                segments.empty() ? nullptr : &st, decay.empty() ? nullptr : &dt,
                                gate.empty() ? nullptr : &kt, nullptr, nullptr));
  }
};

TEST_P(Sgd, Plain) {
  Values w = {1, 2, 3}, none;
  step({}, w, {2, 0, -4}, none);
  EXPECT_EQ(w, (Values{0, 2, 5}));
}

TEST_P(Sgd, MomentumOverTwoSteps) {
  Values w = {1, 2}, m = {0, 0};
  const lamina_sgd sgd = {0.5, 0};
  step(sgd, w, {2, -4}, m); // m = 2, -4
  EXPECT_EQ(w, (Values{0, 4}));
  EXPECT_EQ(m, (Values{2, -4}));
  step(sgd, w, {1, 8}, m); // m = 1 + 1, -2 + 8
  EXPECT_EQ(w, (Values{-1, 1}));
  EXPECT_EQ(m, (Values{2, 6}));
}

TEST_P(Sgd, Nesterov) {
  Values w = {1, 2}, m = {4, -2};
  step({0.5, 1}, w, {2, -4}, m); // m = 4, -5; step = 2 + 2, -4 - 2.5
  EXPECT_EQ(m, (Values{4, -5}));
  EXPECT_EQ(w, (Values{-1, 5.25f}));
}

TEST_P(Sgd, WithoutMomentumTheOldMIsNotRead) {
  Values w = {1}, m = {__builtin_nanf("")};
  step({}, w, {2}, m);
  EXPECT_EQ(w, (Values{0}));
  EXPECT_EQ(m, (Values{2}));
}

TEST_P(Sgd, EachSegmentHasItsDecay) {
  const Values g = {0, 0, 0, 0, 0, 1};
  Values w = {4, 8, 4, 8, 4, 8}, none;
  step({}, w, g, none, {2, 3, 6}, {1, 0, 0.5f});
  EXPECT_EQ(w, (Values{2, 4, 4, 6, 3, 5.5f}));
  w = {4, 8, 4, 8, 4, 8};
  step({}, w, g, none, {}, {1});
  EXPECT_EQ(w, (Values{2, 4, 2, 4, 2, 3.5f}));
  w = {4, 8, 4, 8, 4, 8};
  step({}, w, g, none, {2, 3, 6});
  EXPECT_EQ(w, (Values{4, 8, 4, 8, 4, 7.5f}));
}

// What the header promises for segments that don't ascend to the end: the first that reaches an element counts, what
// lies past all of them has no decay, and nothing outside of w is touched.
TEST_P(Sgd, StraySegmentsStayInside) {
  const Values g = {0, 0, 0, 0};
  Values w = {4, 8, 4, 8}, none;
  step({}, w, g, none, {1, INT64_MIN, 3}, {1, 1, 0.5f});
  EXPECT_EQ(w, (Values{2, 6, 3, 8}));
  w = {4, 8, 4, 8};
  step({}, w, g, none, {-5, 2, 1, INT64_MAX}, {1, 1, 1, 0.5f});
  EXPECT_EQ(w, (Values{2, 4, 3, 6}));
}

TEST_P(Sgd, MomentumNeedsM) {
  Values w(3), g(3);
  float rate = 1;
  const lamina_sgd sgd = {0.9, 0}, wild = {1.5, 0};
  const lamina_tensor wt = lamina_vector(LAMINA_F32, 3, w.data()), gt = lamina_vector(LAMINA_F32, 3, g.data()),
                      rt = lamina_vector(LAMINA_F32, 1, &rate);
  EXPECT_INVALID(lamina_sgd_update(device, &sgd, &wt, &gt, nullptr, &rt, nullptr, nullptr, nullptr, nullptr, nullptr),
                 "sgd/update: a momentum of 0.9 needs m, which is missing");
  EXPECT_INVALID(lamina_sgd_update(device, &wild, &wt, &gt, nullptr, &rt, nullptr, nullptr, nullptr, nullptr, nullptr),
                 "sgd/update: momentum is 1.5; expected 0 to 1");
}

TEST_P(Sgd, WrongShapesAreNamed) {
  Values w(3), g(3), decay(2);
  std::vector<int64_t> ends(3);
  float rate = 1;
  const lamina_tensor wt = lamina_vector(LAMINA_F32, 3, w.data()), gt = lamina_vector(LAMINA_F32, 3, g.data()),
                      few = lamina_vector(LAMINA_F32, 2, g.data()), rt = lamina_vector(LAMINA_F32, 1, &rate),
                      st = lamina_vector(LAMINA_I64, 3, ends.data()), si = lamina_vector(LAMINA_I32, 3, ends.data()),
                      dt = lamina_vector(LAMINA_F32, 2, decay.data());
  EXPECT_INVALID(
      lamina_sgd_update(device, nullptr, &wt, &few, nullptr, &rt, nullptr, nullptr, nullptr, nullptr, nullptr),
      "sgd/update: g is f32[2]; expected f32[3]");
  EXPECT_INVALID(
      lamina_sgd_update(device, nullptr, &wt, &gt, nullptr, &gt, nullptr, nullptr, nullptr, nullptr, nullptr),
      "sgd/update: rate is f32[3]; expected f32[1]");
  EXPECT_INVALID(lamina_sgd_update(device, nullptr, &wt, &gt, nullptr, &rt, &st, &dt, nullptr, nullptr, nullptr),
                 "sgd/update: decay is f32[2]; expected f32[3]");
  EXPECT_INVALID(lamina_sgd_update(device, nullptr, &wt, &gt, nullptr, &rt, nullptr, &dt, nullptr, nullptr, nullptr),
                 "sgd/update: decay is f32[2]; expected f32[1]");
  EXPECT_INVALID(lamina_sgd_update(device, nullptr, &wt, &gt, nullptr, &rt, &si, &dt, nullptr, nullptr, nullptr),
                 "sgd/update: segments is i32[3]; expected i64");
  EXPECT_INVALID(
      lamina_sgd_update(device, nullptr, &wt, &wt, nullptr, &rt, nullptr, nullptr, nullptr, nullptr, nullptr),
      "sgd/update: w overlaps g in memory");
}

INSTANTIATE_TEST_SUITE_P(Engines, Sgd, testing::Values("ref", "loop"));

// ---- Adam ----------------------------------------------------------------------------------------------------------

TEST_P(Sgd, AGateThatIsNotFiniteIsShut) {
  for (const float shut : {NAN, INFINITY, -INFINITY}) {
    Values w = {1, 2}, m = {3, 4};
    step({0.5, 0}, w, {NAN, -4}, m, {}, {}, {shut});
    EXPECT_EQ(w, (Values{1, 2}));
    EXPECT_EQ(m, (Values{3, 4}));
  }
  Values w = {1, 2}, m = {0, 0};
  step({0.5, 0}, w, {2, -4}, m, {}, {}, {1e30f});
  EXPECT_EQ(w, (Values{0, 4}));
}

class Adam : public OnEngine {
protected:
  Adam() : OnEngine("adam") {}

  // One step with rate 0.5.
  void update(lamina_adam adam, int64_t step, Values &w, Values g, Values &m, Values &v,
              std::vector<int64_t> segments = {}, Values decay = {}, Values gate = {}) {
    float rate = 0.5f;
    const auto vector = [](Values &x) { return lamina_vector(LAMINA_F32, static_cast<int64_t>(x.size()), x.data()); };
    const lamina_tensor wt = vector(w), gt = vector(g), mt = vector(m), vt = vector(v),
                        rt = lamina_vector(LAMINA_F32, 1, &rate), tt = lamina_vector(LAMINA_I64, 1, &step),
                        st = lamina_vector(LAMINA_I64, static_cast<int64_t>(segments.size()), segments.data()),
                        dt = vector(decay), kt = vector(gate);
    EXPECT_OK(lamina_adam_update(device, &adam, &wt, &gt, &mt, &vt, &rt, &tt, segments.empty() ? nullptr : &st,
                                 decay.empty() ? nullptr : &dt, gate.empty() ? nullptr : &kt, nullptr, nullptr));
  }
};

lamina_adam dyadic() {
  lamina_adam adam = {};
  adam.beta1 = 0.5, adam.beta2 = 0.75, adam.epsilon = 2;
  return adam;
}

void expect_near(const Values &got, const Values &want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); i++) EXPECT_NEAR(got[i], want[i], 4e-7f * (1 + std::fabs(want[i]))) << i;
}

// m = 1, then 1.5; v = 1, then 1.75; without their bias 2 and 4 both times, so w moves by 0.5 * 2 / (2 + 2).
TEST_P(Adam, AGateThatIsNotFiniteIsShut) {
  Values w = {1, 2}, m = {3, 4}, v = {5, 6};
  update({}, 1, w, {NAN, -4}, m, v, {}, {}, {NAN});
  EXPECT_EQ(w, (Values{1, 2}));
  EXPECT_EQ(m, (Values{3, 4}));
  EXPECT_EQ(v, (Values{5, 6}));
}

TEST_P(Adam, TwoSteps) {
  Values w = {1}, m = {0}, v = {0};
  update(dyadic(), 1, w, {2}, m, v);
  expect_near(w, {0.75f});
  expect_near(m, {1});
  expect_near(v, {1});
  update(dyadic(), 2, w, {2}, m, v);
  expect_near(w, {0.5f});
  expect_near(m, {1.5f});
  expect_near(v, {1.75f});
}

TEST_P(Adam, ADifferentSecondStep) {
  Values w = {1}, m = {1}, v = {1}; // m = -0.5, over 0.75: -2/3; v = 1.75, over 0.4375: 4
  update(dyadic(), 2, w, {-2}, m, v);
  expect_near(w, {1 + 0.5f * (2.0f / 3) / 4});
}

// The defaults: m = 0.1 g, v = 0.001 g^2, and both are g without their bias; epsilon counts where g is as small.
TEST_P(Adam, Defaults) {
  Values w = {1, 1}, m = {0, 0}, v = {0, 0};
  update({}, 1, w, {4, -1e-8f}, m, v);
  expect_near(m, {0.4f, -1e-9f});
  EXPECT_NEAR(v[0], 0.016f, 1e-8f);
  expect_near(w, {0.5f, 1.25f});
}

TEST_P(Adam, ZeroCanBeMeant) {
  lamina_adam adam = {};
  adam.has_beta1 = adam.has_beta2 = adam.has_epsilon = 1;
  Values w = {1}, m = {7}, v = {7};
  update(adam, 5, w, {-3}, m, v); // the sign of g
  expect_near(m, {-3});
  expect_near(v, {9});
  expect_near(w, {1.5f});
}

TEST_P(Adam, DecayIsPartOfTheGradientOrDecoupled) {
  lamina_adam adam = dyadic();
  const Values g = {1, 2, 2};
  Values w = {2, 2, 2}, m(3), v(3);
  update(adam, 1, w, g, m, v, {1, 2}, {0.5f, 0}); // g' = 1 + 1, 2, 2
  expect_near(w, {1.75f, 1.75f, 1.75f});
  w = {2, 2, 2}, m = {0, 0, 0}, v = {0, 0, 0};
  adam.decoupled = 1;
  update(adam, 1, w, {2, 2, 2}, m, v, {1, 2}, {0.5f, 0});
  expect_near(w, {1.25f, 1.75f, 1.75f});
}

TEST_P(Adam, WhatItRefuses) {
  Values data(3), more(3), m(3), v(3);
  float rate = 1;
  int32_t narrow = 1;
  int64_t step = 1;
  lamina_adam adam = {};
  const lamina_tensor w = lamina_vector(LAMINA_F32, 3, data.data()), g = lamina_vector(LAMINA_F32, 3, more.data()),
                      mt = lamina_vector(LAMINA_F32, 3, m.data()), vt = lamina_vector(LAMINA_F32, 3, v.data()),
                      few = lamina_vector(LAMINA_F32, 2, v.data()), rt = lamina_vector(LAMINA_F32, 1, &rate),
                      st = lamina_vector(LAMINA_I64, 1, &step), nt = lamina_vector(LAMINA_I32, 1, &narrow);
  adam.beta1 = 1;
  EXPECT_INVALID(
      lamina_adam_update(device, &adam, &w, &g, &mt, &vt, &rt, &st, nullptr, nullptr, nullptr, nullptr, nullptr),
      "adam/update: beta1 is 1; expected less");
  EXPECT_INVALID(
      lamina_adam_update(device, nullptr, &w, &g, &mt, &vt, &rt, &nt, nullptr, nullptr, nullptr, nullptr, nullptr),
      "adam/update: step is i32[1]; expected i64");
  EXPECT_INVALID(
      lamina_adam_update(device, nullptr, &w, &g, &mt, &few, &rt, &st, nullptr, nullptr, nullptr, nullptr, nullptr),
      "adam/update: v is f32[2]; expected f32[3]");
  EXPECT_INVALID(
      lamina_adam_update(device, nullptr, &w, &g, &mt, nullptr, &rt, &st, nullptr, nullptr, nullptr, nullptr, nullptr),
      "adam/update: v is missing");
}

INSTANTIATE_TEST_SUITE_P(Engines, Adam, testing::Values("ref", "loop"));

// ---- The narrow copy of w ------------------------------------------------------------------------------------------

using Bits = std::vector<uint16_t>;

class Shadow : public OnEngine {
protected:
  Shadow() : OnEngine("sgd,adam") {}

  // A tensor of `type` with these values.
  struct Array {
    Array(lamina_dtype type, const Values &values) : bytes(values.size() * lamina_dtype_size(type)) {
      for (size_t i = 0; i < values.size(); i++)
        lamina_store(type, bytes.data(), static_cast<int64_t>(i), static_cast<double>(values[i]));
      tensor = lamina_vector(type, static_cast<int64_t>(values.size()), bytes.data());
    }
    Array(const Array &) = delete;
    Array &operator=(const Array &) = delete;
    double operator[](int64_t i) const {
      return lamina_load(static_cast<lamina_dtype>(tensor.desc.dtype), bytes.data(), i);
    }
    std::vector<unsigned char> bytes;
    lamina_tensor tensor = {};
  };

  // One step of SGD with momentum 0.5, or of Adam, and rate 0.5. `shadow` may be null.
  void step(bool adam, Array &w, const Array &g, Array &m, Array &v, float gate, Array *shadow) {
    float rate = 0.5f;
    int64_t number = 3;
    const lamina_sgd sgd = {0.5, 0};
    const lamina_tensor rt = lamina_vector(LAMINA_F32, 1, &rate), nt = lamina_vector(LAMINA_I64, 1, &number),
                        kt = lamina_vector(LAMINA_F32, 1, &gate), *st = shadow ? &shadow->tensor : nullptr;
    if (adam)
      EXPECT_OK(lamina_adam_update(device, nullptr, &w.tensor, &g.tensor, &m.tensor, &v.tensor, &rt, &nt, nullptr,
                                   nullptr, &kt, st, nullptr));
    else
      EXPECT_OK(
          lamina_sgd_update(device, &sgd, &w.tensor, &g.tensor, &m.tensor, &rt, nullptr, nullptr, &kt, st, nullptr));
  }

  static Bits bits(const Array &a) {
    Bits bits(a.bytes.size() / 2);
    memcpy(bits.data(), a.bytes.data(), a.bytes.size());
    return bits;
  }
};

// bf16 has steps of 2^-7 between 1 and 2. w moves by 0.5 * (0.5 * 2 + 1) = 1 to: the middle of 1 and 1 + 2^-7, which goes
// to the even 1; the middle of 1 + 2^-7 and 1 + 2^-6, which goes up to the even one; a little more than the first middle;
// the first below 0; a number that fits.
TEST_P(Shadow, IsRoundedToNearestEven) {
  Array w(LAMINA_F32, {2 + 0x1p-8f, 2 + 0x3p-8f, 2 + 0x1p-8f + 0x1p-20f, -0x1p-8f, 4}), v(LAMINA_F32, {1});
  Array m(LAMINA_F32, {2, 2, 2, 2, 2}), shadow(LAMINA_BF16, {9, 9, 9, 9, 9});
  const Array g(LAMINA_BF16, {1, 1, 1, 1, 1});
  step(false, w, g, m, v, 0, &shadow);
  EXPECT_EQ(w[0], 1 + 0x1p-8);
  EXPECT_EQ(w[2], 1 + 0x1p-8 + 0x1p-20);
  EXPECT_EQ(m[4], 2);
  EXPECT_EQ(bits(shadow), (Bits{0x3f80, 0x3f82, 0x3f81, 0xbf80, 0x4040}));
}

TEST_P(Shadow, IsRoundedOnceWhateverWIsStoredIn) {
  Array w(LAMINA_BF16, {2}), m(LAMINA_F32, {0}), v(LAMINA_F32, {0}), shadow(LAMINA_F32, {9});
  step(false, w, Array(LAMINA_F32, {2 - 0x1p-10f}), m, v, 0, &shadow);
  EXPECT_EQ(w[0], 1);
  EXPECT_EQ(shadow[0], 1 + 0x1p-11);
}

TEST_P(Shadow, IsWAsItWasWhereTheGateIsShut) {
  for (const bool adam : {false, true})
    for (const float shut : {NAN, INFINITY}) {
      Array w(LAMINA_F32, {1 + 0x1p-8f, 1 + 0x3p-8f, -3}), m(LAMINA_F32, {3, 4, 5}), v(LAMINA_F32, {3, 4, 5}),
          shadow(LAMINA_BF16, {9, 9, 9});
      step(adam, w, Array(LAMINA_BF16, {NAN, 1, 1}), m, v, shut, &shadow);
      EXPECT_EQ(w[0], 1 + 0x1p-8);
      EXPECT_EQ(m[0], 3);
      EXPECT_EQ(v[0], 3);
      EXPECT_EQ(bits(shadow), (Bits{0x3f80, 0x3f82, 0xc040}));
    }
}

// With and without it everything else has the same bits; in the type of w it has those of w, in another those of w
// rounded. Over more than one row of the loops, with a rest.
TEST_P(Shadow, ChangesNothingElse) {
  Values from(2500), gradient(2500), one(2500, 1), none(2500);
  for (size_t i = 0; i < from.size(); i++)
    from[i] = std::sin(static_cast<float>(i)), gradient[i] = std::cos(3 * static_cast<float>(i));
  for (const bool adam : {false, true})
    for (const lamina_dtype wide : {LAMINA_F32, LAMINA_BF16})
      for (const lamina_dtype type : {LAMINA_F32, LAMINA_BF16, LAMINA_F16}) {
        const Array g(LAMINA_BF16, gradient);
        Array w(wide, from), m(LAMINA_F32, one), v(LAMINA_F32, one), shadow(type, none);
        Array w0(wide, from), m0(LAMINA_F32, one), v0(LAMINA_F32, one);
        step(adam, w, g, m, v, 0, &shadow);
        step(adam, w0, g, m0, v0, 0, nullptr);
        EXPECT_EQ(w.bytes, w0.bytes);
        EXPECT_EQ(m.bytes, m0.bytes);
        EXPECT_EQ(v.bytes, v0.bytes);
        EXPECT_EQ(type == wide, shadow.bytes == w.bytes);
        if (wide != LAMINA_F32) continue;
        for (int64_t i = 0; i < 2500; i++) ASSERT_EQ(shadow[i], lamina_round(type, w[i])) << i;
      }
}

TEST_P(Shadow, WhatItRefuses) {
  Values data(3), more(3), narrow(3);
  float rate = 1;
  const lamina_tensor w = lamina_vector(LAMINA_F32, 3, data.data()), g = lamina_vector(LAMINA_F32, 3, more.data()),
                      rt = lamina_vector(LAMINA_F32, 1, &rate), few = lamina_vector(LAMINA_BF16, 2, narrow.data()),
                      whole = lamina_vector(LAMINA_I32, 3, narrow.data());
  EXPECT_INVALID(lamina_sgd_update(device, nullptr, &w, &g, nullptr, &rt, nullptr, nullptr, nullptr, &few, nullptr),
                 "sgd/update: shadow is bf16[2]; expected bf16[3]");
  EXPECT_INVALID(lamina_sgd_update(device, nullptr, &w, &g, nullptr, &rt, nullptr, nullptr, nullptr, &whole, nullptr),
                 "sgd/update: shadow is i32[3]; expected f64, f32, f16 or bf16");
  EXPECT_INVALID(lamina_sgd_update(device, nullptr, &w, &g, nullptr, &rt, nullptr, nullptr, nullptr, &w, nullptr),
                 "sgd/update: shadow overlaps w in memory");
}

INSTANTIATE_TEST_SUITE_P(Engines, Shadow, testing::Values("ref", "loop"));

} // namespace
