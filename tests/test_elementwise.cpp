// Ops that treat every element by itself: hand-worked values in all element types, and what bad arguments are told.
#include <cmath>
#include <limits>
#include <vector>

#include "on_engine.h"

namespace {

using Values = std::vector<float>;

constexpr double inf = std::numeric_limits<double>::infinity();

lamina_tensor tensor(Values &v) { return lamina_vector(LAMINA_F32, static_cast<int64_t>(v.size()), v.data()); }

class Fill : public OnEngine {
protected:
  Fill() : OnEngine("fill") {}

  // `value` as each element of a [2, 2] view with a gap, as f64; what lies in the gap must stay.
  double filled(lamina_dtype dtype, double value) {
    alignas(8) unsigned char bytes[6 * 8];
    for (unsigned char &byte : bytes) byte = 7;
    const int64_t dims[] = {2, 2}, strides[] = {3, 1};
    const lamina_fill fill = {value};
    const lamina_tensor y = lamina_tensor_of(lamina_strided(dtype, 2, dims, strides), bytes);
    EXPECT_OK(lamina_fill_forward(device, &fill, &y, nullptr));
    const size_t size = lamina_dtype_size(dtype);
    for (size_t i = 0; i < size; i++) EXPECT_EQ(bytes[2 * size + i], 7) << "the gap was written";
    for (const int64_t at : {1, 3, 4}) EXPECT_EQ(lamina_load(dtype, bytes, at), lamina_load(dtype, bytes, 0));
    return lamina_load(dtype, bytes, 0);
  }
};

TEST_P(Fill, EveryType) {
  EXPECT_EQ(filled(LAMINA_F64, 0.1), 0.1);
  EXPECT_EQ(filled(LAMINA_F32, 0.1), 0.1f);
  EXPECT_EQ(filled(LAMINA_F16, 1 + 0x1p-11), 1); // half way: to even
  EXPECT_EQ(filled(LAMINA_BF16, 1 + 3 * 0x1p-8), 1 + 0x1p-6);
  EXPECT_EQ(filled(LAMINA_F16, 1e9), inf);
  EXPECT_EQ(filled(LAMINA_I64, -2.5), -2);
  EXPECT_EQ(filled(LAMINA_I32, 1e12), INT32_MAX);
  EXPECT_EQ(filled(LAMINA_U8, -3), 0);
  EXPECT_EQ(filled(LAMINA_U8, 300), 255);
  EXPECT_EQ(filled(LAMINA_U8, inf), 255);
}

TEST_P(Fill, WhatItRefuses) {
  float data[2];
  const lamina_fill nan = {std::numeric_limits<double>::quiet_NaN()};
  const lamina_tensor y = lamina_vector(LAMINA_F32, 2, data),
                      unknown = lamina_tensor_of(lamina_infer(LAMINA_F32), data);
  EXPECT_INVALID(lamina_fill_forward(device, &nan, &y, nullptr), "fill/forward: value is not a number");
  EXPECT_INVALID(lamina_fill_forward(device, nullptr, &unknown, nullptr),
                 "fill/forward: the shape of y doesn't follow from the others, so it must be given");
  EXPECT_INVALID(lamina_fill_forward(device, nullptr, nullptr, nullptr), "fill/forward: y is missing");
}

INSTANTIATE_TEST_SUITE_P(Engines, Fill, testing::Values("ref", "loop"));

// ---- Add and scale -------------------------------------------------------------------------------------------------

class Arithmetic : public OnEngine {
protected:
  Arithmetic() : OnEngine("add,multiply,scale") {}
};

TEST_P(Arithmetic, Add) {
  Values a = {1, -2, 3.5f}, b = {10, 20, -3.5f}, y(3);
  const lamina_tensor at = tensor(a), bt = tensor(b), yt = tensor(y);
  EXPECT_OK(lamina_add_forward(device, &at, &bt, &yt, nullptr));
  EXPECT_EQ(y, (Values{11, 18, 0}));
  EXPECT_OK(lamina_add_forward(device, &at, &bt, &at, nullptr));
  EXPECT_EQ(a, (Values{11, 18, 0}));
  EXPECT_INVALID(lamina_add_forward(device, &yt, &bt, &bt, nullptr), "add/forward: y overlaps b in memory");
}

TEST_P(Arithmetic, AddBackward) {
  Values dy = {1, -2, 3}, da(3), db(3), other(3);
  const lamina_tensor dyt = tensor(dy), dat = tensor(da), dbt = tensor(db), ot = tensor(other);
  EXPECT_OK(lamina_add_backward(device, &dyt, &dat, &dbt, nullptr));
  EXPECT_EQ(da, dy);
  EXPECT_EQ(db, dy);
  EXPECT_OK(lamina_add_backward(device, &dyt, nullptr, &ot, nullptr));
  EXPECT_EQ(other, dy);
  EXPECT_OK(lamina_add_backward(device, &dyt, &dyt, &dbt, nullptr));
  EXPECT_EQ(dy, (Values{1, -2, 3}));
}

TEST_P(Arithmetic, Multiply) {
  Values a = {1, -2, 3.5f}, b = {10, 20, -2}, y(3), dy = {1, 0.5f, -1}, db(3);
  const lamina_tensor at = tensor(a), bt = tensor(b), yt = tensor(y), dyt = tensor(dy), dbt = tensor(db);
  EXPECT_OK(lamina_multiply_forward(device, &at, &bt, &yt, nullptr));
  EXPECT_EQ(y, (Values{10, -40, -7}));
  EXPECT_OK(lamina_multiply_backward(device, &at, &bt, &dyt, &dyt, &dbt, nullptr)); // da on dy
  EXPECT_EQ(dy, (Values{10, 10, 2}));
  EXPECT_EQ(db, (Values{1, -1, -3.5f}));
  EXPECT_OK(lamina_multiply_forward(device, &at, &bt, &at, nullptr));
  EXPECT_EQ(a, y);
  EXPECT_INVALID(lamina_multiply_forward(device, &yt, &bt, &bt, nullptr), "multiply/forward: y overlaps b in memory");
}

// a [2, 3, 2] and a b of one number for each channel, of sizes of 1, and of one number.
TEST_P(Arithmetic, TheSecondMayRepeat) {
  Values a = {1, 2, 3, 4, 5, 6, /* */ 7, 8, 9, 10, 11, 12}, y(12), channels = {10, 20, 30}, db(3), column(2);
  const int64_t dims[] = {2, 3, 2}, last[] = {1, 1, 2};
  const auto cube = [&](Values &v) { return lamina_tensor_of(lamina_dense(LAMINA_F32, 3, dims), v.data()); };
  const lamina_tensor at = cube(a), yt = cube(y), ct = tensor(channels), dbt = tensor(db),
                      lt = lamina_tensor_of(lamina_dense(LAMINA_F32, 3, last), column.data());
  EXPECT_OK(lamina_add_forward(device, &at, &ct, &yt, nullptr));
  EXPECT_EQ(y, (Values{11, 12, 23, 24, 35, 36, /* */ 17, 18, 29, 30, 41, 42}));
  EXPECT_OK(lamina_multiply_forward(device, &at, &ct, &yt, nullptr));
  EXPECT_EQ(y, (Values{10, 20, 60, 80, 150, 180, /* */ 70, 80, 180, 200, 330, 360}));
  EXPECT_OK(lamina_add_backward(device, &at, nullptr, &dbt, nullptr));
  EXPECT_EQ(db, (Values{1 + 2 + 7 + 8, 3 + 4 + 9 + 10, 5 + 6 + 11 + 12}));
  EXPECT_OK(lamina_multiply_backward(device, &at, &ct, &yt, nullptr, &dbt, nullptr));
  EXPECT_EQ(db, (Values{10 + 40 + 490 + 640, 180 + 320 + 1620 + 2000, 750 + 1080 + 3630 + 4320}));
  EXPECT_OK(lamina_add_backward(device, &at, nullptr, &lt, nullptr));
  EXPECT_EQ(column, (Values{1 + 3 + 5 + 7 + 9 + 11, 2 + 4 + 6 + 8 + 10 + 12}));
  Values one = {3}, sum(1);
  const lamina_tensor ot = tensor(one), st = tensor(sum);
  EXPECT_OK(lamina_multiply_forward(device, &at, &ot, &yt, nullptr));
  EXPECT_EQ(y[11], 36);
  EXPECT_OK(lamina_add_backward(device, &at, nullptr, &st, nullptr));
  EXPECT_EQ(sum[0], 78);
}

TEST_P(Arithmetic, WhatMayNotRepeat) {
  Values a(6), b(6), y(6), db(2);
  const lamina_tensor two = lamina_matrix(LAMINA_F32, 2, 3, a.data()), yt = lamina_matrix(LAMINA_F32, 2, 3, y.data()),
                      wrong = lamina_vector(LAMINA_F32, 2, b.data()), one = lamina_matrix(LAMINA_F32, 1, 3, b.data()),
                      longer = lamina_ncw(LAMINA_F32, 1, 2, 3, b.data()), dbt = tensor(db);
  EXPECT_INVALID(lamina_add_forward(device, &two, &wrong, &yt, nullptr),
                 "add/forward: b is f32[2]; expected f32[2,3], or 1 in place of any size, or one number for each "
                 "channel");
  EXPECT_INVALID(lamina_multiply_forward(device, &two, &longer, &yt, nullptr),
                 "multiply/forward: b is f32[1,2,3]; expected f32[2,3], or 1 in place of any size, or one number for "
                 "each channel");
  EXPECT_INVALID(lamina_add_forward(device, &one, &two, &yt, nullptr),
                 "add/forward: b is f32[2,3]; expected f32[1,3], or 1 in place of any size, or one number for each "
                 "channel");
  EXPECT_INVALID(lamina_multiply_backward(device, &two, &one, &yt, nullptr, &dbt, nullptr),
                 "multiply/backward: db is f32[2]; expected f32[1,3]");
}

// Long enough for several blocks: every element is 1 except a last one that a lost tail would hide.
TEST_P(Arithmetic, LongSumsLoseNothing) {
  for (const int64_t n : {1000, 70001, 200003}) {
    Values dy(static_cast<size_t>(n), 1), db(1);
    dy.back() = 5;
    const lamina_tensor dyt = tensor(dy), dbt = tensor(db);
    EXPECT_OK(lamina_add_backward(device, &dyt, nullptr, &dbt, nullptr));
    EXPECT_EQ(db[0], static_cast<float>(n + 4));
  }
}

TEST_P(Arithmetic, AddRoundsOnceToBf16) {
  uint16_t a[] = {0x3F80, 0x3F80}, b[] = {0x3B80, 0x3BC0}, y[2]; // 1 + 2^-8: half way, to even; 1 + 1.5 * 2^-8: up
  const lamina_tensor at = lamina_vector(LAMINA_BF16, 2, a), bt = lamina_vector(LAMINA_BF16, 2, b),
                      yt = lamina_vector(LAMINA_BF16, 2, y);
  EXPECT_OK(lamina_add_forward(device, &at, &bt, &yt, nullptr));
  EXPECT_EQ(y[0], 0x3F80);
  EXPECT_EQ(y[1], 0x3F81);
}

TEST_P(Arithmetic, Scale) {
  Values x = {1, -2, 3}, y(3);
  const lamina_tensor xt = tensor(x), yt = tensor(y);
  lamina_scale scale = {-2.5, 0};
  EXPECT_OK(lamina_scale_forward(device, &scale, &xt, &yt, nullptr));
  EXPECT_EQ(y, (Values{-2.5f, 5, -7.5f}));
  EXPECT_OK(lamina_scale_forward(device, nullptr, &xt, &yt, nullptr));
  EXPECT_EQ(y, x);
  EXPECT_OK(lamina_scale_backward(device, &scale, &xt, &xt, nullptr));
  EXPECT_EQ(x, (Values{-2.5f, 5, -7.5f}));
  scale = {0, 1};
  EXPECT_OK(lamina_scale_forward(device, &scale, &xt, &yt, nullptr));
  EXPECT_EQ(y, (Values{0, 0, 0}));
}

INSTANTIATE_TEST_SUITE_P(Engines, Arithmetic, testing::Values("ref", "loop"));

// ---- Cast ----------------------------------------------------------------------------------------------------------

const lamina_dtype types[] = {LAMINA_F64, LAMINA_F32, LAMINA_F16, LAMINA_BF16, LAMINA_I64, LAMINA_I32, LAMINA_U8};

class Cast : public OnEngine {
protected:
  Cast() : OnEngine("cast") {}

  // Casts the numbers, as `from` can hold them, and compares each with lamina_store's rounding.
  void check(lamina_dtype from, lamina_dtype to, const std::vector<double> &numbers) {
    const int64_t n = static_cast<int64_t>(numbers.size());
    std::vector<double> x(numbers.size()), y(numbers.size());
    for (int64_t i = 0; i < n; i++) lamina_store(from, x.data(), i, numbers[static_cast<size_t>(i)]);
    const lamina_tensor xt = lamina_vector(from, n, x.data()), yt = lamina_vector(to, n, y.data());
    EXPECT_OK(lamina_cast_forward(device, &xt, &yt, nullptr));
    for (int64_t i = 0; i < n; i++) {
      const double had = lamina_load(from, x.data(), i), want = lamina_round(to, had),
                   got = lamina_load(to, y.data(), i);
      if (std::isnan(want) ? !std::isnan(got) : got != want || std::signbit(got) != std::signbit(want))
        ADD_FAILURE() << lamina_dtype_name(from) << " " << had << " became " << lamina_dtype_name(to) << " " << got
                      << ", expected " << want;
    }
  }
};

TEST_P(Cast, EveryPairOfTypes) {
  std::vector<double> numbers = {0.0,
                                 -0.0,
                                 1,
                                 -1,
                                 0.5,
                                 1.5,
                                 2.5,
                                 -0.5,
                                 -1.5,
                                 254.5,
                                 255.5,
                                 256,
                                 65504,
                                 65519,
                                 65520,
                                 -7e4,
                                 1e-5,
                                 3e-8,
                                 2.9e-8,
                                 6e-8,
                                 1e-40,
                                 1e-46,
                                 3.4e38,
                                 3.5e38,
                                 -1e39,
                                 1e308,
                                 2e9,
                                 -3e9,
                                 2147483647,
                                 2147483648.,
                                 -2147483648.5,
                                 9e18,
                                 1e19,
                                 -1e19,
                                 inf,
                                 -inf,
                                 std::nan(""),
                                 1 + 0x1p-8,
                                 1 + 3 * 0x1p-8,
                                 1 + 0x1p-11,
                                 1 + 0x1p-24,
                                 1 + 0x1p-8 + 0x1p-40,
                                 1 + 0x1p-11 + 0x1p-40,
                                 0x1p-133,
                                 0x1.8p-133,
                                 0x1p-134,
                                 0x1p-25};
  while (numbers.size() % 67) numbers.push_back(static_cast<double>(numbers.size()));
  for (const lamina_dtype from : types)
    for (const lamina_dtype to : types) check(from, to, numbers);
}

TEST_P(Cast, EveryF16AndBf16ToF32AndBack) {
  for (const lamina_dtype half : {LAMINA_F16, LAMINA_BF16}) {
    std::vector<uint16_t> x(65536), back(65536);
    Values y(65536);
    for (size_t i = 0; i < x.size(); i++) x[i] = static_cast<uint16_t>(i);
    const lamina_tensor xt = lamina_vector(half, 65536, x.data()), yt = tensor(y),
                        bt = lamina_vector(half, 65536, back.data());
    EXPECT_OK(lamina_cast_forward(device, &xt, &yt, nullptr));
    EXPECT_OK(lamina_cast_backward(device, &yt, &bt, nullptr));
    for (size_t i = 0; i < x.size(); i++) {
      const double want = lamina_load(half, x.data(), static_cast<int64_t>(i));
      if (std::isnan(want)) {
        ASSERT_TRUE(std::isnan(y[i]) && std::isnan(lamina_load(half, back.data(), static_cast<int64_t>(i))));
        continue;
      }
      ASSERT_EQ(y[i], want);
      ASSERT_EQ(back[i], x[i]);
    }
  }
}

// Around every f16 and half way between each two, one f32 step to both sides.
TEST_P(Cast, F32ToF16AtEveryTie) {
  std::vector<double> numbers;
  for (int64_t i = 0; i < 0x7C00; i++) {
    const uint16_t two[] = {static_cast<uint16_t>(i), static_cast<uint16_t>(i + 1)};
    const double low = lamina_load(LAMINA_F16, two, 0),
                 high = i + 1 == 0x7C00 ? 65536 : lamina_load(LAMINA_F16, two, 1);
    const float tie = static_cast<float>((low + high) / 2);
    for (const float x : {std::nextafter(tie, 0.0f), tie, std::nextafter(tie, 1e9f)}) numbers.push_back(i % 2 ? x : -x);
  }
  check(LAMINA_F32, LAMINA_F16, numbers);
}

TEST_P(Cast, WhatItRefuses) {
  Values x(3), y(3);
  std::vector<int32_t> i(3);
  const lamina_tensor xt = tensor(x), it = lamina_vector(LAMINA_I32, 3, i.data()),
                      few = lamina_vector(LAMINA_F32, 2, y.data());
  EXPECT_INVALID(lamina_cast_forward(device, &xt, &few, nullptr), "cast/forward: y is f32[2]; expected f32[3]");
  EXPECT_INVALID(lamina_cast_backward(device, &xt, &it, nullptr),
                 "cast/backward: dx is i32[3]; expected f64, f32, f16 or bf16");
  EXPECT_INVALID(lamina_cast_forward(device, &xt, &xt, nullptr), "cast/forward: y overlaps x in memory");
}

INSTANTIATE_TEST_SUITE_P(Engines, Cast, testing::Values("ref", "loop"));

} // namespace
