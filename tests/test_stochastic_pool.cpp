// Stochastic pooling through its typed calls: what must be drawn, what is drawn of two, and the averages of inference.
#include <cmath>

#include "kernels/philox.h"
#include "on_engine.h"
#include "values.h"

namespace {

using Values = Tensor::Values;
const double inf = INFINITY;

class StochasticPool : public OnEngine {
protected:
  StochasticPool() : OnEngine("stochastic_pool") {}

  static lamina_stochastic_pool window(int64_t kernel, int64_t stride = 0) {
    lamina_stochastic_pool pool = {};
    pool.window.kernel[0] = kernel, pool.window.stride[0] = stride;
    return pool;
  }
  static Tensor row(const Values &v) { return Tensor(LAMINA_F32, {1, 1, static_cast<int64_t>(v.size())}, v); }

  Values draw(const lamina_stochastic_pool &pool, const Values &x, int64_t count, Values *indices, int64_t seed = 1,
              int64_t step = 2) {
    Tensor xs = row(x), rng(LAMINA_I64, {2}), y(LAMINA_F32, {1, 1, count}), index(LAMINA_I32, {1, 1, count});
    static_cast<int64_t *>(rng.data())[0] = seed, static_cast<int64_t *>(rng.data())[1] = step;
    const lamina_tensor xt = xs.view(), rt = rng.view(), yt = y.view(), it = index.view();
    EXPECT_OK(lamina_stochastic_pool_forward(device, &pool, &xt, &rt, &yt, &it, nullptr));
    *indices = index.values();
    return y.values();
  }
  Values average(const lamina_stochastic_pool &pool, const Values &x, int64_t count) {
    Tensor xs = row(x), y(LAMINA_F32, {1, 1, count});
    const lamina_tensor xt = xs.view(), yt = y.view();
    EXPECT_OK(lamina_stochastic_pool_inference(device, &pool, &xt, &yt, nullptr));
    return y.values();
  }
};

// With one positive element there is no choice; without any it is the first of the largest.
TEST_P(StochasticPool, WhatIsDrawnForSure) {
  const Values x = {0, 0, 5, 0, -1, -7, 3, -9, -4, -2, -3, -2, 0, 0, 0, 0};
  Values indices;
  for (int64_t seed = 0; seed < 20; seed++) {
    EXPECT_EQ(draw(window(4), x, 4, &indices, seed), (Values{5, 3, -2, 0}));
    EXPECT_EQ(indices, (Values{2, 6, 9, 12}));
  }
  EXPECT_EQ(average(window(4), x, 4), (Values{5, 3, -2, 0}));
}

TEST_P(StochasticPool, NanAndInfinityAreTaken) {
  const Values x = {1, NAN, NAN, inf, 2, inf, inf, 3, -inf, -inf, -inf, -inf, -inf, 2, -inf, 0};
  Values indices;
  const Values y = draw(window(4), x, 4, &indices), mean = average(window(4), x, 4);
  for (const Values &v : {y, mean}) {
    EXPECT_TRUE(std::isnan(v[0]));
    EXPECT_EQ(v[1], inf);
    EXPECT_EQ(v[2], -inf);
    EXPECT_EQ(v[3], 2);
  }
  EXPECT_EQ(indices, (Values{1, 5, 8, 13}));
}

TEST_P(StochasticPool, PaddingIsNeverDrawn) {
  lamina_stochastic_pool pool = window(3, 2);
  pool.window.pad[0][0] = 2, pool.window.pad[0][1] = 2;
  Values indices;
  EXPECT_EQ(draw(pool, {-1, 0, 0, 0, 7}, 4, &indices), (Values{-1, 0, 7, 7}));
  EXPECT_EQ(indices, (Values{0, 1, 4, 4}));
  EXPECT_EQ(average(pool, {-1, 0, 0, 0, 7}, 4), (Values{-1, 0, 7, 7}));
}

// Of {1, -2, 3} the first is drawn where u < 1/4. The numbers are dropout's.
TEST_P(StochasticPool, DrawsInProportion) {
  const int64_t count = 1001;
  lamina_stochastic_pool pool = window(3);
  pool.stream = 5;
  Values x, indices, other;
  for (int64_t i = 0; i < count; i++) x.insert(x.end(), {1, -2, 3});
  const Values y = draw(pool, x, count, &indices, 12345678901, 9);
  int first = 0;
  for (int64_t o = 0; o < count; o++) {
    const double u = static_cast<double>(philox_unit(philox_word(12345678901, static_cast<uint64_t>(o), 5, 9)));
    const int64_t want = u < 0.25 ? 0 : 2;
    first += want == 0;
    ASSERT_EQ(indices[static_cast<size_t>(o)], static_cast<double>(3 * o + want)) << o;
    ASSERT_EQ(y[static_cast<size_t>(o)], want + 1.0) << o;
  }
  EXPECT_NEAR(first, 250, 4 * std::sqrt(1001 * 0.25 * 0.75));
  draw(pool, x, count, &other, 12345678901, 10);
  EXPECT_NE(indices, other) << "another step draws others";
  pool.stream = 6;
  draw(pool, x, count, &other, 12345678901, 9);
  EXPECT_NE(indices, other) << "another stream draws others";
}

// Of {k, 2^24 - k} the first ends at k/2^24 exactly: where u is that, it isn't drawn any more.
TEST_P(StochasticPool, TheBorderBelongsToTheNext) {
  Values x, indices;
  for (uint64_t o = 0; o < 20; o++) {
    const double k = philox_word(1, o, 0, 2) >> 8;
    x.insert(x.end(), {0, k, 0x1p24 - k});
  }
  draw(window(3), x, 20, &indices);
  for (size_t o = 0; o < 20; o++) EXPECT_EQ(indices[o], static_cast<double>(3 * o + 2)) << o;
}

TEST_P(StochasticPool, InferenceAveragesByProbability) {
  EXPECT_EQ(average(window(2), {1, 3, 4, 4, 0, 6, -5, 2}, 4), (Values{2.5, 4, 6, 2}));
  EXPECT_EQ(average(window(3, 1), {1, 1, 6, -9, 2, 0}, 4), (Values{38.0 / 8, static_cast<double>(37.0f / 7), 5, 2}));
}

TEST_P(StochasticPool, BackwardGoesToTheIndices) {
  const lamina_stochastic_pool pool = window(2, 1);
  Tensor dy = row({1, 10, 100, 1000}), index(LAMINA_I32, {1, 1, 4}, {1, 1, 4, -7}), dx = row({9, 9, 9, 9, 9});
  const lamina_tensor dyt = dy.view(), it = index.view(), dxt = dx.view();
  EXPECT_OK(lamina_stochastic_pool_backward(device, &pool, &dyt, &it, &dxt, nullptr));
  EXPECT_EQ(dx.values(), (Values{0, 11, 0, 0, 100}));
}

INSTANTIATE_TEST_SUITE_P(Engines, StochasticPool, testing::Values("loop", "ref"));

} // namespace
