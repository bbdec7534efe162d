/* f16 on the CPU: stored in 16 bits, computed with as f32. Inline, without branches, so that loops around these
 * vectorise. */
#ifndef LAMINA_CPU_F16_H
#define LAMINA_CPU_F16_H

#include <stdint.h>
#include <string.h>

static inline float lamina_f16_bits_f32(uint32_t bits) {
  float f;
  memcpy(&f, &bits, sizeof f);
  return f;
}
static inline uint32_t lamina_f16_f32_bits(float f) {
  uint32_t bits;
  memcpy(&bits, &f, sizeof bits);
  return bits;
}

/* The exponent moves from bias 15 to 127; what is below the smallest normal f16 gets its value by a subtraction. */
static inline float lamina_f16_to_f32(uint16_t x) {
  const uint32_t sign = (uint32_t)(x & 0x8000u) << 16, magnitude = (uint32_t)(x & 0x7fffu) << 13;
  const uint32_t normal = magnitude + (112u << 23), special = magnitude | 0x7f800000u;
  const uint32_t small = lamina_f16_f32_bits(lamina_f16_bits_f32(normal + (1u << 23)) - 0x1p-14f);
  const uint32_t bits = magnitude < (1u << 23) ? small : magnitude < (31u << 23) ? normal : special;
  return lamina_f16_bits_f32(sign | bits);
}

/* To nearest even; NaN stays NaN (made quiet, its sign kept), too large becomes infinity. Below the smallest normal f16
 * an addition of 0.5 leaves the rounded bits at the end of the sum. */
static inline uint16_t lamina_f16_from_f32(float x) {
  const uint32_t bits = lamina_f16_f32_bits(x), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
  const uint32_t normal = (magnitude - (112u << 23) + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
  const uint32_t small = lamina_f16_f32_bits(lamina_f16_bits_f32(magnitude) + 0.5f) - 0x3f000000u;
  const uint32_t special = magnitude > 0x7f800000u ? 0x7e00u | (magnitude >> 13 & 0x3ffu) : 0x7c00u;
  const uint32_t half = magnitude < (113u << 23) ? small : magnitude < 0x47800000u ? normal : special;
  return (uint16_t)(sign | half);
}

#endif
