// Mixed pooling through its typed calls: blends by hand.
#include "on_engine.h"
#include "values.h"

namespace {

using Values = Tensor::Values;

class MixedPool : public OnEngine {
protected:
  MixedPool() : OnEngine("mixed_pool") {}

  static lamina_mixed_pool share(double of_max, int64_t kernel, int64_t stride = 0) {
    lamina_mixed_pool pool = {};
    pool.max_share = of_max, pool.has_max_share = 1;
    pool.window.kernel[0] = kernel, pool.window.stride[0] = stride;
    return pool;
  }
  static Tensor row(const Values &v) { return Tensor(LAMINA_F32, {1, 1, static_cast<int64_t>(v.size())}, v); }

  Values forward(const lamina_mixed_pool &pool, const Values &x, int64_t count, Values *indices = nullptr) {
    Tensor xs = row(x), y(LAMINA_F32, {1, 1, count}), index(LAMINA_I32, {1, 1, count});
    const lamina_tensor xt = xs.view(), yt = y.view(), it = index.view();
    EXPECT_OK(lamina_mixed_pool_forward(device, &pool, &xt, &yt, indices ? &it : nullptr, nullptr));
    if (indices) *indices = index.values();
    return y.values();
  }
};

TEST_P(MixedPool, BlendsMaximumAndAverage) {
  const Values x = {1, 5, 3, -1, 8, 8, -2, -4};
  Values indices;
  EXPECT_EQ(forward(share(0.25, 2), x, 4, &indices), (Values{3.5, 1.5, 8, -2.75}));
  EXPECT_EQ(indices, (Values{1, 2, 4, 6}));
  EXPECT_EQ(forward(share(0, 2), x, 4), (Values{3, 1, 8, -3}));
  EXPECT_EQ(forward(share(1, 2), x, 4), (Values{5, 3, 8, -2}));
  lamina_mixed_pool half = share(0, 2);
  half.has_max_share = 0;
  EXPECT_EQ(forward(half, x, 4), (Values{4, 2, 8, -2.5}));
  EXPECT_EQ(forward(share(0.5, 2, 1), {4, 2, 6, 6, -2}, 4), (Values{3.5, 5, 6, 4}));
}

TEST_P(MixedPool, PaddingIsNoMaximumAndCountsAsSaid) {
  lamina_mixed_pool pool = share(0.5, 2, 1);
  pool.window.pad[0][0] = pool.window.pad[0][1] = 1;
  Values indices;
  EXPECT_EQ(forward(pool, {-4, -2, -8}, 4, &indices), (Values{-4, -2.5, -3.5, -8}));
  EXPECT_EQ(indices, (Values{0, 1, 1, 2}));
  pool.window.count_pad = 1;
  EXPECT_EQ(forward(pool, {-4, -2, -8}, 4), (Values{-3, -2.5, -3.5, -6}));
}

TEST_P(MixedPool, GradientGoesBothWays) {
  const lamina_mixed_pool pool = share(0.25, 2, 1);
  Tensor dy = row({8, 16, 24, 32}), index(LAMINA_I32, {1, 1, 4}, {1, 1, 2, -9}), dx = row({9, 9, 9, 9, 9});
  const lamina_tensor dyt = dy.view(), it = index.view(), dxt = dx.view();
  EXPECT_OK(lamina_mixed_pool_backward(device, &pool, &dyt, &it, &dxt, nullptr));
  EXPECT_EQ(dx.values(), (Values{3, 9 + 6, 15 + 6, 21, 12}));
}

INSTANTIATE_TEST_SUITE_P(Engines, MixedPool, testing::Values("loop", "ref"));

} // namespace
