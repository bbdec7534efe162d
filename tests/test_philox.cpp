// Philox 4x32-10 against the known answers that its authors publish (Random123, tests/kat_vectors), and Lamina's use.
#include <gtest/gtest.h>

#include "kernels/philox.h"

namespace {

void expect_words(const philox_words &words, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  EXPECT_EQ(words.v[0], a);
  EXPECT_EQ(words.v[1], b);
  EXPECT_EQ(words.v[2], c);
  EXPECT_EQ(words.v[3], d);
}

TEST(Philox, KnownAnswers) {
  expect_words(philox4x32({{0, 0, 0, 0}}, 0, 0), 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8);
  const uint32_t f = 0xffffffff;
  expect_words(philox4x32({{f, f, f, f}}, f, f), 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd);
  expect_words(philox4x32({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0), 0xd16cfe09,
               0x94fdcceb, 0x5001e420, 0x24126ea1);
}

TEST(Philox, BlocksPlaceSeedBlockStreamAndStep) {
  const philox_words want = philox4x32({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0);
  const philox_words got = philox_block(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x13198a2e, 0x03707344);
  for (int i = 0; i < 4; i++) {
    EXPECT_EQ(got.v[i], want.v[i]);
    EXPECT_EQ(philox_word(0x299f31d0a4093822, 4 * 0x05a308d3243f6a88 + i, 7, 9),
              philox_block(0x299f31d0a4093822, 0x05a308d3243f6a88, 7, 9).v[i]);
  }
}

TEST(Philox, UnitsLieInZeroToOne) {
  EXPECT_EQ(philox_unit(0), 0.0f);
  EXPECT_EQ(philox_unit(0xff), 0.0f);
  EXPECT_EQ(philox_unit(0x100), 0x1p-24f);
  EXPECT_EQ(philox_unit(0x80000000), 0.5f);
  EXPECT_EQ(philox_unit(0xffffffff), 1 - 0x1p-24f);
}

} // namespace
