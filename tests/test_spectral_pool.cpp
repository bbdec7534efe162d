// Spectral pooling through its typed calls: waves that stay and waves that go, and what an even size does.
#include <cmath>

#include "on_engine.h"
#include "values.h"

namespace {

using Values = Tensor::Values;
const double pi = 3.14159265358979323846;

class SpectralPool : public OnEngine {
protected:
  SpectralPool() : OnEngine("spectral_pool") {}

  Values forward(Tensor x, Tensor::Dims y_dims) {
    Tensor y(LAMINA_F32, y_dims);
    lamina_spectral_pool pool = {};
    for (size_t a = 2; a < y_dims.size(); a++) pool.size[a - 2] = y_dims[a];
    const lamina_tensor xt = x.view(), yt = y.view();
    EXPECT_OK(lamina_spectral_pool_forward(device, &pool, &xt, &yt, nullptr));
    return y.values();
  }
  Values row(const Values &x, int64_t size) {
    return forward(Tensor(LAMINA_F32, {1, 1, static_cast<int64_t>(x.size())}, x), {1, 1, size});
  }
};

// Sums of n products of numbers of some 1 in f32 are off by less.
void expect_near(const Values &got, const Values &want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); i++) EXPECT_NEAR(got[i], want[i], 2e-6) << i;
}

// cos(2 pi k h/n + phase)
Values wave(int64_t n, double k, double phase = 0) {
  Values v;
  for (int64_t h = 0; h < n; h++)
    v.push_back(std::cos(2 * pi * k * static_cast<double>(h) / static_cast<double>(n) + phase));
  return v;
}
Values times(double factor, Values v) {
  for (double &x : v) x *= factor;
  return v;
}

TEST_P(SpectralPool, TheWholeSizeChangesNothing) {
  for (const Values &x : {Values{3}, Values{1, -2}, Values{4, 0, -1}, Values{1, 2, 3, -7, 5, 0.5}})
    expect_near(row(x, static_cast<int64_t>(x.size())), x);
}

TEST_P(SpectralPool, ByHand) {
  const double r = std::sqrt(2.0);
  expect_near(row({1, 3}, 1), {2 * r}); // the mean, times sqrt(2/1)
  // Of 4 to 2: the sum 10 and, of the frequency 1, its real part 1 - 3 with either sign; over sqrt(8).
  expect_near(row({1, 2, 3, 4}, 2), {2 * r, 3 * r});
  expect_near(row({1, 2, 3, 4, 5, 6, 7, 8, 9}, 1), {5 * 3});
}

// A wave below the cut is the same wave on the coarser grid, times sqrt(n/m); one above it is gone.
TEST_P(SpectralPool, LowWavesStayAndHighOnesGo) {
  expect_near(row(wave(12, 2, 0.4), 9), times(std::sqrt(12.0 / 9), wave(9, 2, 0.4)));
  expect_near(row(wave(12, 3, 1.1), 7), times(std::sqrt(12.0 / 7), wave(7, 3, 1.1)));
  expect_near(row(wave(12, 4, 1.1), 7), Values(7, 0));
  expect_near(row(wave(16, 5, 0.2), 8), Values(8, 0));
}

// Of the frequency m/2 an even size keeps the cosine, at half its height (one of its two partners), and no sine.
TEST_P(SpectralPool, AnEvenSizeKeepsHalfOfItsHighestFrequency) {
  expect_near(row(wave(12, 3), 6), times(std::sqrt(2.0) / 2, wave(6, 3)));
  expect_near(row(wave(12, 3, -pi / 2), 6), Values(6, 0));
}

// In two dimensions, where both indices are m/2: cos(a + b) is its own partner, cos(a - b) lies at a frequency that was cut.
TEST_P(SpectralPool, CornersOfEvenSizes) {
  Values plus, minus, chess;
  for (int h = 0; h < 8; h++)
    for (int w = 0; w < 6; w++) {
      const double a = 2 * pi * 2 * h / 8, b = 2 * pi * 1 * w / 6;
      plus.push_back(std::cos(a + b));
      minus.push_back(std::cos(a - b));
    }
  for (int h = 0; h < 4; h++)
    for (int w = 0; w < 2; w++) chess.push_back((h + w) % 2 ? -1 : 1);
  expect_near(forward(Tensor(LAMINA_F32, {1, 1, 8, 6}, plus), {1, 1, 4, 2}), times(std::sqrt(6.0) / 2, chess));
  expect_near(forward(Tensor(LAMINA_F32, {1, 1, 8, 6}, minus), {1, 1, 4, 2}), Values(8, 0));
}

TEST_P(SpectralPool, BackwardIsTheTranspose) {
  lamina_spectral_pool pool = {};
  pool.size[0] = 4, pool.size[1] = pool.size[2] = 2; // each loses the partner of its highest frequency
  const Tensor::Dims wide = {1, 1, 6, 5, 4}, narrow = {1, 1, 4, 2, 2};
  Values x(120), dy(16);
  for (size_t i = 0; i < x.size(); i++) x[i] = 1 + std::sin(static_cast<double>(3 * i + 1));
  for (size_t i = 0; i < dy.size(); i++) dy[i] = 1 + std::cos(static_cast<double>(5 * i));
  Tensor dyt_of(LAMINA_F32, narrow, dy), dx(LAMINA_F32, wide);
  const lamina_tensor dyt = dyt_of.view(), dxt = dx.view();
  EXPECT_OK(lamina_spectral_pool_backward(device, &pool, &dyt, &dxt, nullptr));
  const Values y = forward(Tensor(LAMINA_F32, wide, x), narrow), back = dx.values();
  double left = 0, right = 0;
  for (size_t i = 0; i < dy.size(); i++) left += dy[i] * y[i];
  for (size_t i = 0; i < x.size(); i++) right += x[i] * back[i];
  EXPECT_GT(left, 1);
  EXPECT_NEAR(left, right, 1e-4);
}

TEST_P(SpectralPool, RefusesSizesThatCantBe) {
  Tensor x(LAMINA_F32, {1, 1, 5}), y(LAMINA_F32, {1, 1, 6});
  const lamina_tensor xt = x.view(), yt = y.view();
  lamina_spectral_pool pool = {};
  EXPECT_INVALID(lamina_spectral_pool_forward(device, &pool, &xt, &yt, nullptr),
                 "spectral_pool/forward: size is missing for spatial axis 0");
  pool.size[0] = 6;
  EXPECT_INVALID(lamina_spectral_pool_forward(device, &pool, &xt, &yt, nullptr),
                 "spectral_pool/forward: x is f32[1,1,5]; expected spatial axis 0 to be at least size, which is 6");
}

INSTANTIATE_TEST_SUITE_P(Engines, SpectralPool, testing::Values("loop", "ref"));

} // namespace
