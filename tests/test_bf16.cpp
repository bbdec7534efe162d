// The CPU engines' bf16 helpers against the core's conversions, which round from f64.
#define restrict __restrict
#include "cpu/bf16.h"
#undef restrict

#include <gtest/gtest.h>

#include <cmath>

#include "lamina/tensor.h"

namespace {

float from_bits(uint32_t bits) {
  float f;
  memcpy(&f, &bits, sizeof f);
  return f;
}

TEST(Bf16, EveryNumberSurvivesARoundTrip) {
  for (uint32_t bits = 0; bits <= 0xffff; bits++) {
    const float f = lamina_bf16_to_f32(static_cast<uint16_t>(bits));
    const uint16_t back = lamina_bf16_from_f32(f);
    if (std::isnan(f))
      EXPECT_TRUE(std::isnan(lamina_bf16_to_f32(back))) << std::hex << bits;
    else
      EXPECT_EQ(back, bits) << std::hex << bits;
  }
}

TEST(Bf16, RoundsAsTheCoreDoes) {
  for (uint32_t upper = 0; upper <= 0xffff; upper += 3)
    for (const uint32_t lower : {0u, 1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      const float f = from_bits(upper << 16 | lower);
      uint16_t core;
      lamina_store(LAMINA_BF16, &core, 0, static_cast<double>(f));
      const uint16_t here = lamina_bf16_from_f32(f);
      if (std::isnan(f))
        EXPECT_TRUE(std::isnan(lamina_bf16_to_f32(here))) << std::hex << upper << " " << lower;
      else
        EXPECT_EQ(here, core) << std::hex << upper << " " << lower;
    }
}

} // namespace
