// Dropout: the mask is the one that the header's formula gives, whatever the shape, strides, type and engine.
#include <cmath>
#include <vector>

#include "kernels/philox.h"
#include "on_engine.h"

namespace {

using Values = std::vector<float>;

class Dropout : public OnEngine {
protected:
  Dropout() : OnEngine("dropout") {}

  static lamina_dropout make(double p, int64_t channels = 0, int64_t stream = 0) {
    lamina_dropout dropout = {};
    dropout.p = p, dropout.channels = channels, dropout.stream = stream;
    return dropout;
  }

  Values forward(const lamina_dropout &dropout, Values x, std::vector<int64_t> dims = {}) {
    Values y(x.size(), -99);
    if (dims.empty()) dims = {static_cast<int64_t>(x.size())};
    const lamina_desc desc = lamina_dense(LAMINA_F32, static_cast<int>(dims.size()), dims.data());
    const lamina_tensor xt = lamina_tensor_of(desc, x.data()), rt = lamina_vector(LAMINA_I64, 2, rng),
                        yt = lamina_tensor_of(desc, y.data());
    EXPECT_OK(lamina_dropout_forward(device, &dropout, &xt, &rt, &yt, nullptr));
    return y;
  }

  // The header's formula.
  float kept(const lamina_dropout &dropout, size_t i) const {
    const philox_words words =
        philox4x32({{static_cast<uint32_t>(i / 4), static_cast<uint32_t>(static_cast<uint64_t>(i / 4) >> 32),
                     static_cast<uint32_t>(dropout.stream), static_cast<uint32_t>(rng[1])}},
                   static_cast<uint32_t>(rng[0]), static_cast<uint32_t>(static_cast<uint64_t>(rng[0]) >> 32));
    return (words.v[i % 4] >> 8) * 0x1p-24 < dropout.p ? 0.0f : static_cast<float>(1 / (1 - dropout.p));
  }

  int64_t rng[2] = {0x123456789abcdef, 77};
};

TEST_P(Dropout, TheMaskIsTheFormulas) {
  for (const size_t n : {1u, 3u, 4u, 5u, 63u, 64u, 65u, 5000u})
    for (const double p : {0.5, 0.1, 0.75}) {
      const lamina_dropout dropout = make(p, 0, 0xfffffffe);
      const Values y = forward(dropout, Values(n, 1));
      for (size_t i = 0; i < n; i++) ASSERT_FLOAT_EQ(y[i], kept(dropout, i)) << "element " << i << " of " << n;
    }
}

TEST_P(Dropout, PIsComparedExactly) {
  const double u = philox_unit(philox_word(static_cast<uint64_t>(rng[0]), 2, 0, 77));
  EXPECT_NE(forward(make(u), Values(4, 1))[2], 0); // u < u is false
  EXPECT_EQ(forward(make(u + 0x1p-40), Values(4, 1))[2], 0);
}

TEST_P(Dropout, NothingAndEverything) {
  const float nan = std::nanf("");
  EXPECT_EQ(forward(make(0), {1, -2, 3, 4, 5}), (Values{1, -2, 3, 4, 5}));
  EXPECT_EQ(forward(make(1), {1, -2, nan, INFINITY, 5}), (Values{0, 0, 0, 0, 0}));
}

TEST_P(Dropout, TheShareOfPIsDropped) {
  const Values y = forward(make(0.3), Values(20000, 1));
  int dropped = 0;
  for (const float v : y) dropped += v == 0;
  EXPECT_NEAR(dropped, 6000, 5 * std::sqrt(20000 * 0.3 * 0.7));
}

TEST_P(Dropout, SeedStepAndStreamEachChangeTheMask) {
  const Values x(256, 1), y = forward(make(0.5), x);
  EXPECT_EQ(forward(make(0.5), x), y);
  EXPECT_NE(forward(make(0.5, 0, 1), x), y);
  rng[1]++;
  EXPECT_NE(forward(make(0.5), x), y);
  rng[1]--, rng[0] ^= int64_t{1} << 60;
  EXPECT_NE(forward(make(0.5), x), y);
}

TEST_P(Dropout, ChannelsDropWhole) {
  const lamina_dropout dropout = make(0.5, 1);
  Values x(3 * 5 * 6);
  for (size_t i = 0; i < x.size(); i++) x[i] = static_cast<float>(i + 1);
  const Values y = forward(dropout, x, {3, 5, 2, 3});
  for (size_t i = 0; i < x.size(); i++) EXPECT_EQ(y[i], x[i] * kept(dropout, i / 6)) << i;
  const Values flat = forward(dropout, x, {9, 10}); // no spatial axes: as for elements
  for (size_t i = 0; i < x.size(); i++) EXPECT_EQ(flat[i], x[i] * kept(dropout, i)) << i;
}

// [3, 70] with axes swapped in memory: elements count in logical order.
TEST_P(Dropout, StridesDontMatter) {
  const lamina_dropout dropout = make(0.5);
  Values x(210, 1), y(210);
  const int64_t dims[] = {3, 70}, strides[] = {1, 3};
  const lamina_tensor xt = lamina_matrix(LAMINA_F32, 3, 70, x.data()), rt = lamina_vector(LAMINA_I64, 2, rng),
                      yt = lamina_tensor_of(lamina_strided(LAMINA_F32, 2, dims, strides), y.data());
  EXPECT_OK(lamina_dropout_forward(device, &dropout, &xt, &rt, &yt, nullptr));
  for (size_t i = 0; i < 210; i++) EXPECT_EQ(y[i % 70 * 3 + i / 70], kept(dropout, i)) << i;
  const lamina_tensor same = lamina_tensor_of(yt.desc, x.data());
  EXPECT_OK(lamina_dropout_forward(device, &dropout, &same, &rt, &yt, nullptr));
  for (size_t i = 0; i < 210; i++) EXPECT_EQ(y[i % 70 * 3 + i / 70], kept(dropout, i)) << i;
}

TEST_P(Dropout, InPlaceAndBackwardAndBf16) {
  const lamina_dropout dropout = make(0.5, 0, 3);
  Values x(99, 1);
  std::vector<uint16_t> h(99, 0x3F80), dh(99);
  const lamina_tensor xt = lamina_vector(LAMINA_F32, 99, x.data()), rt = lamina_vector(LAMINA_I64, 2, rng),
                      ht = lamina_vector(LAMINA_BF16, 99, h.data()), dht = lamina_vector(LAMINA_BF16, 99, dh.data());
  EXPECT_OK(lamina_dropout_forward(device, &dropout, &xt, &rt, &xt, nullptr));
  EXPECT_OK(lamina_dropout_backward(device, &dropout, &ht, &rt, &dht, nullptr));
  for (size_t i = 0; i < 99; i++) {
    EXPECT_EQ(x[i], kept(dropout, i));
    EXPECT_EQ(dh[i], x[i] == 0 ? 0 : 0x4000); // 2 in bf16
  }
}

TEST_P(Dropout, WhatItRefuses) {
  Values x(3), y(3);
  int32_t narrow[2] = {};
  const lamina_dropout likely = make(1.5), channels = make(0.5, 1);
  const lamina_tensor xt = lamina_vector(LAMINA_F32, 3, x.data()), rt = lamina_vector(LAMINA_I64, 2, rng),
                      few = lamina_vector(LAMINA_I64, 1, rng), nt = lamina_vector(LAMINA_I32, 2, narrow),
                      yt = lamina_vector(LAMINA_F32, 3, y.data());
  EXPECT_INVALID(lamina_dropout_forward(device, &likely, &xt, &rt, &yt, nullptr),
                 "dropout/forward: p is 1.5; expected 0 to 1");
  EXPECT_INVALID(lamina_dropout_forward(device, &channels, &xt, &rt, &yt, nullptr),
                 "dropout/forward: x is f32[3]; expected 2 to 8 axes");
  EXPECT_INVALID(lamina_dropout_forward(device, nullptr, &xt, &few, &yt, nullptr),
                 "dropout/forward: rng is i64[1]; expected i64[2]");
  EXPECT_INVALID(lamina_dropout_forward(device, nullptr, &xt, &nt, &yt, nullptr),
                 "dropout/forward: rng is i32[2]; expected i64");
}

INSTANTIATE_TEST_SUITE_P(Engines, Dropout, testing::Values("ref", "loop"));

} // namespace
