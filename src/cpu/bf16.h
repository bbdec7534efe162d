/* bf16 on the CPU: stored as the upper half of an f32, computed with as f32. Inline, without branches, so that loops
 * around these vectorise. */
#ifndef LAMINA_CPU_BF16_H
#define LAMINA_CPU_BF16_H

#include <stdint.h>
#include <string.h>

static inline float lamina_bf16_to_f32(uint16_t x) {
  const uint32_t bits = (uint32_t)x << 16;
  float f;
  memcpy(&f, &bits, sizeof f);
  return f;
}

/* To nearest even; NaN stays NaN (made quiet, its sign kept), too large becomes infinity. */
static inline uint16_t lamina_bf16_from_f32(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  const uint32_t nan = (bits & 0x7fffffffu) > 0x7f800000u;
  const uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
  return (uint16_t)(nan ? (bits >> 16 | 0x40u) : rounded);
}

/* Rows. */
static inline void lamina_bf16_read(int64_t n, const uint16_t *restrict x, float *restrict y) {
  for (int64_t i = 0; i < n; i++) y[i] = lamina_bf16_to_f32(x[i]);
}
static inline void lamina_bf16_write(int64_t n, const float *restrict x, uint16_t *restrict y) {
  for (int64_t i = 0; i < n; i++) y[i] = lamina_bf16_from_f32(x[i]);
}

#endif
