// The hand-worked examples of the lectures that this library comes from, as literal values. All results are small
// integers, exact in every element type and in every order of summation (averages apart), so they must be met to the
// bit: by the reference, and by the engine that the device chooses.
#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "lamina/lamina.h"
#include "values.h"

namespace {

using Values = Tensor::Values;

class Worked : public testing::TestWithParam<std::tuple<const char *, lamina_dtype>> {
protected:
  void SetUp() override {
    lamina_device_options options = {};
    options.engine = std::get<0>(GetParam());
    ASSERT_EQ(lamina_device_open("cpu", &options, &device), LAMINA_OK) << lamina_last_error();
  }
  void TearDown() override { lamina_device_close(device); }

  lamina_dtype dtype() const { return std::get<1>(GetParam()); }
  Tensor picture(int64_t c, int64_t h, int64_t w, const Values &v) { return Tensor(dtype(), {1, c, h, w}, v); }
  Tensor filters(int64_t k, int64_t r, int64_t s, const Values &v) { return Tensor(dtype(), {k, 1, r, s}, v); }

  // Cross-correlation with `pad` on every side, as [1, K, out, out]; flipped: true convolution.
  Tensor conv(Tensor x, Tensor w, int64_t pad = 0, int64_t stride = 1, bool flip = false) {
    lamina_conv conv = {};
    conv.flip = flip;
    for (int a = 0; a < 2; a++) conv.pad[a][0] = conv.pad[a][1] = pad, conv.stride[a] = stride;
    const int64_t *xd = x.desc().dims, *wd = w.desc().dims;
    Tensor y(dtype(), {1, wd[0], (xd[2] + 2 * pad - wd[2]) / stride + 1, (xd[3] + 2 * pad - wd[3]) / stride + 1});
    const lamina_tensor xt = x.view(), wt = w.view(), yt = y.view();
    EXPECT_EQ(lamina_conv_forward(device, &conv, &xt, &wt, nullptr, &yt, nullptr), LAMINA_OK) << lamina_last_error();
    return y;
  }

  Tensor relu(Tensor x) {
    const lamina_tensor t = x.view();
    EXPECT_EQ(lamina_relu_forward(device, &t, &t, nullptr), LAMINA_OK) << lamina_last_error();
    return x;
  }

  template <class Call>
  Tensor pool(Call call, Tensor x, int64_t kernel, int64_t stride, bool ceil, int64_t h, int64_t w) {
    lamina_pool pool = {};
    for (int a = 0; a < 2; a++) pool.kernel[a] = kernel, pool.stride[a] = stride;
    pool.ceil_mode = ceil;
    Tensor y(dtype(), {1, x.desc().dims[1], h, w});
    const lamina_tensor xt = x.view(), yt = y.view();
    EXPECT_EQ(call(pool, xt, yt), LAMINA_OK) << lamina_last_error();
    return y;
  }
  Tensor max_pool(Tensor x, int64_t kernel, int64_t stride, bool ceil, int64_t h, int64_t w) {
    const auto call = [this](const lamina_pool &p, const lamina_tensor &xt, const lamina_tensor &yt) {
      return lamina_max_pool_forward(device, &p, &xt, &yt, nullptr, nullptr);
    };
    return pool(call, std::move(x), kernel, stride, ceil, h, w);
  }
  Tensor avg_pool(Tensor x, int64_t kernel, int64_t stride, int64_t h, int64_t w) {
    const auto call = [this](const lamina_pool &p, const lamina_tensor &xt, const lamina_tensor &yt) {
      return lamina_avg_pool_forward(device, &p, &xt, &yt, nullptr);
    };
    return pool(call, std::move(x), kernel, stride, false, h, w);
  }

  lamina_device *device = nullptr;
};

// ---- A: Bucharest ----

const Values a_x = {4, 1, 0, 2, 5, 1, -1, 6, -2, 4, -3, 4, 1, 3, 2, 0, -3, 0, 5, -1};
const Values a_filter = {6, 2, 1, 0, -2, 3, 2, -1, -4};
const Values a_turned = {-4, -1, 2, 3, -2, 0, 1, 2, 6};
const Values a_same = {-2, -23, 6, 9, -18, -9, 32, -15, 16, 18, 31, 8, -15, 35, 3, -11, -3, 44, 1, 24};

TEST_P(Worked, BucharestConv) {
  const Tensor x = picture(1, 4, 5, a_x), w = filters(1, 3, 3, a_filter);
  EXPECT_EQ(conv(x, w).values(), (Values{32, -15, 16, 8, -15, 35}));
  EXPECT_EQ(conv(x, filters(1, 3, 3, a_turned)).values(), (Values{-1, 9, 49, -14, 31, -13}));
  EXPECT_EQ(conv(x, w, 0, 1, true).values(), (Values{-1, 9, 49, -14, 31, -13}));
  EXPECT_EQ(conv(x, filters(1, 3, 3, a_turned), 0, 1, true).values(), (Values{32, -15, 16, 8, -15, 35}));
  EXPECT_EQ(conv(x, w, 1).values(), a_same);
  EXPECT_EQ(conv(x, w, 2).values(),
            (Values{-16, -8, 7, -6,  -22, -1, 10, 8,  -2,  -23, 6,  9, -18, 8,  19, -9, 32, -15, 16, 18, 34,
                    -8,  31, 8, -15, 35,  3,  22, -3, -11, -3,  44, 1, 24,  12, 0,  -3, -6, -13, 9,  28, -6}));
}

TEST_P(Worked, BucharestStridedConv) {
  Values x = a_x;
  x.insert(x.end(), {5, 2, -2, 1, 0});
  EXPECT_EQ(conv(picture(1, 5, 5, x), filters(1, 3, 3, a_filter), 1, 2).values(),
            (Values{-2, 6, -18, 31, -15, 3, -7, -6, 28}));
}

TEST_P(Worked, BucharestPools) {
  const Tensor r = picture(1, 4, 5, a_same);
  EXPECT_EQ(max_pool(r, 2, 1, false, 3, 4).values(), (Values{32, 32, 16, 18, 32, 32, 35, 35, 31, 44, 44, 35}));
  const Values sums = {13, 53, 39, 62, 103, 111};
  const Tensor y = avg_pool(r, 3, 1, 2, 3);
  for (int64_t i = 0; i < 6; i++) {
    const double want = sums[static_cast<size_t>(i)] / 9;
    EXPECT_NEAR(y.at(i), want, 2 * lamina_dtype_roundoff(dtype()) * want) << i;
  }
}

// ---- B: Padua ----

const Values b_x = {1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0,
                    1, 0, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0};
const Values b_filters = {1, -1, -1, -1, 1, -1, -1, -1, 1, -1, 1, -1, -1, 1, -1, -1, 1, -1};
const Values b_maps = {3,  -1, -3, -1, -3, 1,  0,  -3, -3, -3, 0,  1, 3,  -2, -2, -1,
                       -1, -1, -1, -1, -1, -1, -2, 1,  -1, -1, -2, 1, -1, 0,  -4, 3};

TEST_P(Worked, Padua) {
  const Tensor maps = conv(picture(1, 6, 6, b_x), filters(2, 3, 3, b_filters));
  EXPECT_EQ(maps.values(), b_maps);
  EXPECT_EQ(max_pool(maps, 2, 2, false, 2, 2).values(), (Values{3, 0, 3, 1, -1, 1, 0, 3}));
  const Tensor strided = conv(picture(1, 6, 6, b_x), filters(2, 3, 3, b_filters), 0, 2);
  EXPECT_EQ(strided.at(0), 3);
  EXPECT_EQ(strided.at(1), -3);
}

// ---- C: Session 07, an X through convolution, ReLU and a pool in ceil mode; everything in ninths ----

Values cross() {
  Values x(81, -1);
  for (size_t i = 1; i <= 7; i++) x[i * 9 + i] = x[i * 9 + 8 - i] = 1;
  return x;
}

const Values c_filters = {1,  -1, -1, -1, 1,  -1, -1, -1, 1, 1,  -1, 1,  -1, 1,
                          -1, 1,  -1, 1,  -1, -1, 1,  -1, 1, -1, 1,  -1, -1};
const Values c_f1 = {7,  -1, 1, 3, 5,  -1, 3,  -1, 9,  -1, 3,  -1, 1,  -1, 1,  -1, 9,  -3, 1,  -1, 5, 3, 3,  -3, 5,
                     -3, 3,  3, 5, -1, 1,  -3, 9,  -1, 1,  -1, 1,  -1, 3,  -1, 9,  -1, 3,  -1, 5,  3, 1, -1, 7};
const Values c_f2 = {3,  -5, 1,  -1, 1,  -5, 3,  -5, 5,  -5, 3,  -5, 5,  -5, 1,  -5, 5,  -7, 5,  -5, 1,  -1, 3,  -7, 9,
                     -7, 3,  -1, 1,  -5, 5,  -7, 5,  -5, 1,  -5, 5,  -5, 3,  -5, 5,  -5, 3,  -5, 1,  -1, 1,  -5, 3};

TEST_P(Worked, Session07Chain) {
  Values want = c_f1;
  want.insert(want.end(), c_f2.begin(), c_f2.end());
  for (size_t h = 0; h < 7; h++) /* f3 is f1 mirrored, and so is its map */
    for (size_t w = 0; w < 7; w++) want.push_back(c_f1[h * 7 + 6 - w]);
  const Tensor maps = conv(picture(1, 9, 9, cross()), filters(3, 3, 3, c_filters));
  EXPECT_EQ(maps.values(), want);
  EXPECT_EQ(max_pool(relu(maps), 2, 2, true, 4, 4).values(),
            (Values{9, 3, 5, 3, 3, 9, 3, 5, 5, 3, 9, 1, 3, 5, 1, 7, /* */
                    5, 3, 5, 3, 3, 9, 5, 1, 5, 5, 5, 1, 3, 1, 1, 3, /* */
                    3, 5, 9, 7, 5, 5, 9, 3, 9, 9, 1, 5, 7, 3, 5, 3}));
}

// ---- D: Session 07 ----

TEST_P(Worked, Session07Conv) {
  const Tensor x = picture(1, 4, 4, {5, 2, 3, 4, 6, 7, 8, 5, 4, 5, 4, 5, 1, 0, 2, 3});
  const Tensor w = filters(1, 2, 2, {1, 0, 1, -1});
  EXPECT_EQ(conv(x, w).values(), (Values{4, 1, 6, 5, 8, 7, 5, 3, 3}));
  EXPECT_EQ(conv(x, w, 0, 2).values(), (Values{4, 6, 5, 3}));
  EXPECT_EQ(conv(x, w, 1).values(),
            (Values{-5, 3, -1, -1, 4, -6, 4, 1, 6, 9, -4, 5, 8, 7, 10, -1, 5, 3, 3, 8, 0, 1, 0, 2, 3}));
}

INSTANTIATE_TEST_SUITE_P(Engines, Worked,
                         testing::Combine(testing::Values("", "conv:ref,relu:ref,max_pool:ref,avg_pool:ref"),
                                          testing::Values(LAMINA_F64, LAMINA_F32, LAMINA_F16, LAMINA_BF16)),
                         [](const auto &info) {
                           return std::string(*std::get<0>(info.param) ? "ref_" : "chosen_") +
                                  lamina_dtype_name(std::get<1>(info.param));
                         });

} // namespace
