// Ops that treat every element by itself: hand-worked values in all element types, and what bad arguments are told.
#include <limits>
#include <vector>

#include "on_engine.h"

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

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

INSTANTIATE_TEST_SUITE_P(Engines, Fill, testing::Values("ref"));

} // namespace
