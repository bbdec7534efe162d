// Element types and views: conversions over their whole range, sizes that overflow, strides.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "core/verify.h"
#include "lamina/tensor.h"

namespace {

const double infinity = std::numeric_limits<double>::infinity();

TEST(Dtype, NamesAndSizesAgree) {
  const struct {
    lamina_dtype dtype;
    const char *name;
    size_t size;
  } rows[] = {{LAMINA_F64, "f64", 8}, {LAMINA_F32, "f32", 4}, {LAMINA_F16, "f16", 2}, {LAMINA_BF16, "bf16", 2},
              {LAMINA_I64, "i64", 8}, {LAMINA_I32, "i32", 4}, {LAMINA_U8, "u8", 1}};
  for (const auto &row : rows) {
    EXPECT_STREQ(lamina_dtype_name(row.dtype), row.name);
    EXPECT_EQ(lamina_dtype_find(row.name), row.dtype);
    EXPECT_EQ(lamina_dtype_size(row.dtype), row.size);
  }
  EXPECT_EQ(lamina_dtype_find("float"), LAMINA_NONE);
  EXPECT_EQ(lamina_dtype_size(static_cast<lamina_dtype>(99)), 0u);
}

// Every 16-bit pattern that is no NaN comes back as itself.
TEST(Dtype, HalvesRoundTrip) {
  for (const lamina_dtype dtype : {LAMINA_F16, LAMINA_BF16})
    for (uint32_t bits = 0; bits < 65536; bits++) {
      const uint16_t in = static_cast<uint16_t>(bits);
      uint16_t out = 0;
      const double value = lamina_load(dtype, &in, 0);
      lamina_store(dtype, &out, 0, value);
      if (std::isnan(value))
        EXPECT_TRUE(std::isnan(lamina_load(dtype, &out, 0)));
      else
        ASSERT_EQ(in, out) << lamina_dtype_name(dtype) << " " << bits;
    }
}

// Between two neighbours: the middle goes to the even one, a little more or less to the nearer one.
TEST(Dtype, HalvesRoundToNearestEven) {
  for (const lamina_dtype dtype : {LAMINA_F16, LAMINA_BF16}) {
    const uint32_t last = dtype == LAMINA_F16 ? 0x7BFF : 0x7F7F;
    for (uint32_t bits = 0; bits < last; bits++) {
      const uint16_t low = static_cast<uint16_t>(bits), high = static_cast<uint16_t>(bits + 1);
      const double a = lamina_load(dtype, &low, 0), b = lamina_load(dtype, &high, 0), middle = (a + b) / 2;
      ASSERT_EQ(lamina_round(dtype, middle), bits % 2 ? b : a) << bits;
      ASSERT_EQ(lamina_round(dtype, std::nextafter(middle, a)), a) << bits;
      ASSERT_EQ(lamina_round(dtype, std::nextafter(middle, b)), b) << bits;
      ASSERT_EQ(lamina_round(dtype, -middle), -(bits % 2 ? b : a)) << bits;
    }
    EXPECT_EQ(lamina_round(dtype, 1e300), infinity);
    EXPECT_EQ(lamina_round(dtype, -1e300), -infinity);
  }
  EXPECT_EQ(lamina_round(LAMINA_F16, 65519.99), 65504.0);
  EXPECT_EQ(lamina_round(LAMINA_F16, 65520.0), infinity);
}

TEST(Dtype, IntegersSaturateAndRoundToEven) {
  EXPECT_EQ(lamina_round(LAMINA_U8, -3), 0);
  EXPECT_EQ(lamina_round(LAMINA_U8, 300), 255);
  EXPECT_EQ(lamina_round(LAMINA_U8, 2.5), 2);
  EXPECT_EQ(lamina_round(LAMINA_I32, 3e9), 2147483647.0);
  EXPECT_EQ(lamina_round(LAMINA_I32, -infinity), -2147483648.0);
  EXPECT_EQ(lamina_round(LAMINA_I32, NAN), 0);
  int64_t big = 0;
  lamina_store(LAMINA_I64, &big, 0, 1e30);
  EXPECT_EQ(big, std::numeric_limits<int64_t>::max());
}

TEST(Desc, CountsAndBytesNeverOverflow) {
  const int64_t huge[] = {int64_t{1} << 40, int64_t{1} << 40};
  const lamina_desc over = lamina_dense(LAMINA_F32, 2, huge);
  EXPECT_EQ(lamina_desc_count(&over), -1);
  EXPECT_EQ(lamina_desc_bytes(&over), -1);
  const int64_t empty[] = {int64_t{1} << 40, int64_t{1} << 40, 0};
  const lamina_desc none = lamina_dense(LAMINA_F32, 3, empty);
  EXPECT_EQ(lamina_desc_count(&none), 0);
  EXPECT_EQ(lamina_desc_bytes(&none), 0);
  const int64_t pair[] = {2}, farthest[] = {std::numeric_limits<int64_t>::min()};
  const lamina_desc apart = lamina_strided(LAMINA_F32, 1, pair, farthest);
  EXPECT_EQ(lamina_desc_bytes(&apart), -1);
  const int64_t negative[] = {2, -1};
  const lamina_desc minus = lamina_dense(LAMINA_F32, 2, negative);
  EXPECT_EQ(lamina_desc_count(&minus), -1);
  EXPECT_EQ(lamina_dense(LAMINA_F32, 9, huge).dtype, LAMINA_NONE);
  const lamina_desc scalar = lamina_dense(LAMINA_F64, 0, nullptr);
  EXPECT_EQ(lamina_desc_count(&scalar), 1);
  EXPECT_EQ(lamina_desc_bytes(&scalar), 8);
}

TEST(Desc, OffsetsFollowStrides) {
  const lamina_tensor x = lamina_nhwc(LAMINA_F32, 2, 3, 4, 5, nullptr);
  EXPECT_FALSE(lamina_desc_is_dense(&x.desc));
  for (int64_t n = 0, i = 0; n < 2; n++)
    for (int64_t c = 0; c < 3; c++)
      for (int64_t h = 0; h < 4; h++)
        for (int64_t w = 0; w < 5; w++, i++) EXPECT_EQ(lamina_desc_offset(&x.desc, i), ((n * 4 + h) * 5 + w) * 3 + c);
  char text[64];
  EXPECT_STREQ(lamina_desc_text(&x.desc, text, sizeof text), "f32[2,3,4,5]/60,1,15,3");
  const lamina_tensor y = lamina_nchw(LAMINA_BF16, 2, 3, 4, 5, nullptr);
  EXPECT_TRUE(lamina_desc_is_dense(&y.desc));
  EXPECT_STREQ(lamina_desc_text(&y.desc, text, sizeof text), "bf16[2,3,4,5]");
  const lamina_tensor one = lamina_nhwc(LAMINA_F32, 1, 1, 4, 5, nullptr);
  EXPECT_TRUE(lamina_desc_is_dense(&one.desc)) << "axes of size 1 may have any stride";
}

// Where every element of a blocked tensor lies, from the definition; gaps between blocks; walks find the same.
TEST(Desc, OffsetsFollowBlocks) {
  const int64_t dims[] = {16, 32, 3, 2};
  const lamina_desc channels = lamina_blocked(LAMINA_F32, 4, dims, LAMINA_BLOCK(1, 4));
  const lamina_desc lanes = lamina_blocked(LAMINA_F32, 4, dims, LAMINA_BLOCK(0, 3));
  const lamina_desc both = lamina_blocked(LAMINA_F32, 4, dims, LAMINA_BLOCK(1, 4) << 8 | LAMINA_BLOCK(0, 3));
  const int32_t twice = LAMINA_BLOCK(1, 3) << 16 | LAMINA_BLOCK(0, 4) << 8 | LAMINA_BLOCK(1, 1);
  lamina_desc apart = lamina_blocked(LAMINA_F32, 4, dims, twice);
  apart.strides[1] += 1000, apart.strides[2] = -apart.strides[2];
  for (int64_t n = 0, i = 0; n < 16; n++)
    for (int64_t c = 0; c < 32; c++)
      for (int64_t h = 0; h < 3; h++)
        for (int64_t w = 0; w < 2; w++, i++) {
          ASSERT_EQ(lamina_desc_offset(&channels, i), (((n * 2 + c / 16) * 3 + h) * 2 + w) * 16 + c % 16);
          ASSERT_EQ(lamina_desc_offset(&lanes, i), (((n / 8 * 32 + c) * 3 + h) * 2 + w) * 8 + n % 8);
          ASSERT_EQ(lamina_desc_offset(&both, i), ((((n / 8 * 2 + c / 16) * 3 + h) * 2 + w) * 16 + c % 16) * 8 + n % 8);
          ASSERT_EQ(lamina_desc_offset(&apart, i),
                    c / 16 * (6 * 256 + 1000) - h * 2 * 256 + w * 256 + c % 16 / 2 * 32 + n % 16 * 2 + c % 2);
        }
  for (const lamina_desc &each : {channels, lanes, both, apart}) {
    const lamina_desc *desc = &each;
    const int64_t from = 777;
    lamina_walk walk = lamina_walk_from(desc, from);
    for (int64_t i = from; i < lamina_desc_count(desc); i++, lamina_walk_on(&walk))
      ASSERT_EQ(walk.offset, lamina_desc_offset(desc, i));
    EXPECT_FALSE(lamina_desc_is_dense(desc));
  }
  EXPECT_EQ(lamina_desc_bytes(&both), 4 * 16 * 32 * 3 * 2);
  EXPECT_EQ(lamina_desc_bytes(&apart), 4 * (6 * 256 + 1000 + 6 * 256));
  EXPECT_EQ(lamina_desc_below(&apart), 2 * 2 * 256);
}

TEST(Desc, BlocksAsText) {
  const int64_t dims[] = {16, 32, 3, 2};
  char text[96];
  lamina_desc desc = lamina_blocked(LAMINA_F32, 4, dims, LAMINA_BLOCK(1, 4) << 8 | LAMINA_BLOCK(0, 3));
  EXPECT_STREQ(lamina_desc_text(&desc, text, sizeof text), "f32[16,32,3,2]_1x16_0x8");
  desc.strides[0] = 5000;
  EXPECT_STREQ(lamina_desc_text(&desc, text, sizeof text), "f32[16,32,3,2]/5000,768,256,128_1x16_0x8");
  desc = lamina_blocked(LAMINA_BF16, 4, dims, LAMINA_LAYOUT_ANY);
  EXPECT_STREQ(lamina_desc_text(&desc, text, sizeof text), "bf16[16,32,3,2]_any");
  EXPECT_EQ(lamina_desc_bytes(&desc), 2 * 16 * 32 * 3 * 2);
  EXPECT_EQ(lamina_desc_offset(&desc, 99), 99);
}

// Whatever the layout is, nothing is divided by zero and nothing is read past the axes.
TEST(Desc, LayoutsThatDoNotFitHaveNoSize) {
  const int64_t dims[] = {16, 30};
  char text[96];
  for (const int32_t layout : {LAMINA_BLOCK(1, 4), LAMINA_BLOCK(2, 4), LAMINA_BLOCK(1, 0), 0x7F7F7F7F, 0x140014, -2,
                               std::numeric_limits<int32_t>::min()}) {
    const lamina_desc desc = lamina_blocked(LAMINA_F32, 2, dims, layout);
    EXPECT_EQ(lamina_desc_bytes(&desc), -1) << layout;
    EXPECT_EQ(lamina_desc_offset(&desc, 7), 0) << layout;
    EXPECT_FALSE(lamina_desc_is_dense(&desc)) << layout;
    EXPECT_NE(std::string(lamina_desc_text(&desc, text, sizeof text)), "f32[16,30]") << layout;
  }
  EXPECT_EQ(lamina_blocked(LAMINA_F32, 9, dims, LAMINA_BLOCK(0, 4)).dtype, LAMINA_NONE);
}

TEST(Status, NamesAndSentences) {
  EXPECT_STREQ(lamina_status_name(LAMINA_MISMATCH), "MISMATCH");
  EXPECT_STREQ(lamina_status_meaning(LAMINA_OK), "success");
  EXPECT_STREQ(lamina_status_name(static_cast<lamina_status>(99)), "?");
  EXPECT_EQ(lamina_error(LAMINA_IO, "%s: gone", "a.npy"), LAMINA_IO);
  EXPECT_EQ(lamina_error_at(LAMINA_IO, "layer %d: ", 3), LAMINA_IO);
  EXPECT_STREQ(lamina_last_error(), "layer 3: a.npy: gone");
  EXPECT_EQ(lamina_error(LAMINA_IO, "%s", std::string(5000, 'x').c_str()), LAMINA_IO);
  EXPECT_EQ(std::string(lamina_last_error()), std::string(2047, 'x'));
}

TEST(Text, NearestIsWhatWasMeant) {
  const char *const choices[] = {"filters", "kernel", "stride", "pad", nullptr};
  EXPECT_STREQ(lamina_nearest("fliters", choices), "filters");
  EXPECT_STREQ(lamina_nearest("strides", choices), "stride");
  EXPECT_STREQ(lamina_nearest("kernal", choices), "kernel");
  EXPECT_EQ(lamina_nearest("momentum", choices), nullptr);
}

} // namespace
