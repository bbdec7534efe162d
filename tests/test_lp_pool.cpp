// Lp pooling through its typed calls: norms by hand, numbers whose powers overflow, and what is refused.
#include <cmath>

#include "on_engine.h"
#include "values.h"

namespace {

using Values = Tensor::Values;
const double inf = INFINITY;

class LpPool : public OnEngine {
protected:
  LpPool() : OnEngine("lp_pool") {}

  static lamina_lp_pool window(double p, int64_t kernel, int64_t stride = 0) {
    lamina_lp_pool pool = {};
    pool.p = p, pool.window.kernel[0] = kernel, pool.window.stride[0] = stride;
    return pool;
  }
  static Tensor row(const Values &v) { return Tensor(LAMINA_F32, {1, 1, static_cast<int64_t>(v.size())}, v); }

  Values forward(const lamina_lp_pool &pool, const Values &x, int64_t count) {
    Tensor xs = row(x), y(LAMINA_F32, {1, 1, count});
    const lamina_tensor xt = xs.view(), yt = y.view();
    EXPECT_OK(lamina_lp_pool_forward(device, &pool, &xt, &yt, nullptr));
    return y.values();
  }
  // dx, from the y that forward gives.
  Values backward(const lamina_lp_pool &pool, const Values &x, const Values &dy) {
    Tensor xs = row(x), ys = row(forward(pool, x, static_cast<int64_t>(dy.size()))), dys = row(dy),
           dx(LAMINA_F32, {1, 1, static_cast<int64_t>(x.size())});
    const lamina_tensor xt = xs.view(), yt = ys.view(), dyt = dys.view(), dxt = dx.view();
    EXPECT_OK(lamina_lp_pool_backward(device, &pool, &xt, &yt, &dyt, &dxt, nullptr));
    return dx.values();
  }
};

TEST_P(LpPool, NormsByHand) {
  const Values x = {3, -4, 0, 0, -1, 0, 6, 8};
  EXPECT_EQ(forward(window(0, 2), x, 4), (Values{5, 0, 1, 10})); // p is 2 unless given
  EXPECT_EQ(forward(window(1, 2), x, 4), (Values{7, 0, 1, 14}));
  EXPECT_EQ(forward(window(3, 3), {3, -4, 5, 0, 0, -2}, 2), (Values{6, 2})); // 27 + 64 + 125 = 6^3
  EXPECT_EQ(forward(window(2, 2, 1), {3, 4, 3, 4, -3}, 4), (Values{5, 5, 5, 5}));
}

TEST_P(LpPool, GradientsByHand) {
  EXPECT_EQ(backward(window(2, 2, 1), {3, 4, -3}, {5, 10}), (Values{3, 12, -6}));
  EXPECT_EQ(backward(window(1, 2), {3, -4, 0, 2}, {7, 5}), (Values{7, -7, 0, 5}));
  EXPECT_EQ(backward(window(3, 3), {3, -4, 5}, {36}), (Values{9, -16, 25}));
  EXPECT_EQ(backward(window(2, 2), {0, 0, 3, 4}, {9, 5}), (Values{0, 0, 3, 4})); // y is 0: no gradient
  EXPECT_EQ(backward(window(2, 2, 3), {3, 4, 9, 6, 8, 9}, {5, 10}), (Values{3, 4, 0, 6, 8, 0}));
}

// Rows of more windows, which engines take side by side.
TEST_P(LpPool, GradientsOfRows) {
  const Values x = {3, 4, 0, 0, -6, 8, 0, -5, 0, 0}, dy = {5, 9, 10, 2, 9};
  EXPECT_EQ(backward(window(2, 2), x, dy), (Values{3, 4, 0, 0, -6, 8, 0, -2, 0, 0}));
  EXPECT_EQ(backward(window(1, 2), x, dy), (Values{5, 5, 0, 0, -10, 10, 0, -2, 0, 0}));
  EXPECT_EQ(backward(window(3, 3, 2), {3, -4, 5, 0, 0, -2, 0, 0, 0}, {36, 125, 8, 8}),
            (Values{9, -16, 25 + 125, 0, 0, -8, 0, 0, 0}));
}

TEST_P(LpPool, PaddingAddsNothing) {
  lamina_lp_pool pool = window(2, 3, 2);
  pool.window.pad[0][0] = 2, pool.window.pad[0][1] = 1, pool.window.ceil_mode = 1;
  EXPECT_EQ(forward(pool, {3, 4, 0, 12, 5, 12}, 4), (Values{3, 5, 13, 13}));
}

// In f32 the square of 3e30 is infinite, and that of 3e-30 is 0.
TEST_P(LpPool, PowersNeitherOverflowNorVanish) {
  for (const double scale : {1e30, 1e-30})
    for (const double y :
         forward(window(2, 2), {3 * scale, 4 * scale, 4 * scale, -3 * scale, 0, 5 * scale, 3 * scale, 4 * scale}, 4))
      EXPECT_NEAR(y / scale, 5, 5 * 0x1p-23);
  const double large[] = {4, 6, 7.5, 40, 1000};
  for (const double p : large)
    for (const double y : forward(window(p, 2), {2e38, 0, 2e-38, 2e-38, 1, 1, 0, -2e38}, 4))
      EXPECT_TRUE(std::isfinite(y) && y > 1e-38) << p;
  EXPECT_EQ(forward(window(1000, 2), {2, 1, 1, 0, 3, 0, 0, -7}, 4), (Values{2, 1, 3, 7}));
  EXPECT_EQ(backward(window(1000, 2), {2, 1, 1, 0, 3, 0, 0, -7}, {1, 2, 3, 4}), (Values{1, 0, 2, 0, 3, 0, 0, -4}));
}

TEST_P(LpPool, InfinityAndNan) {
  for (const double p : {1.0, 2.0, 3.0, 9.0}) {
    const Values y = forward(window(p, 2), {inf, 1, NAN, 2, -inf, NAN, 2, -inf}, 4);
    EXPECT_EQ(y[0], inf);
    EXPECT_TRUE(std::isnan(y[1])) << p;
    EXPECT_TRUE(std::isnan(y[2])) << p;
    EXPECT_EQ(y[3], inf);
  }
}

TEST_P(LpPool, RefusesWhatIsNoNorm) {
  Tensor x = row({1, 2, 3, 4}), y = row({0, 0});
  const lamina_tensor xt = x.view(), yt = y.view();
  lamina_lp_pool pool = window(0.5, 2);
  EXPECT_INVALID(lamina_lp_pool_forward(device, &pool, &xt, &yt, nullptr),
                 "lp_pool/forward: p is 0.5; expected 1 to 1000");
  pool = window(2, 2);
  pool.window.dilation[0] = 3;
  EXPECT_INVALID(lamina_lp_pool_forward(device, &pool, &xt, &yt, nullptr),
                 "lp_pool/forward: dilation is 3; this pool takes none");
}

INSTANTIATE_TEST_SUITE_P(Engines, LpPool, testing::Values("loop", "ref"));

} // namespace
