/* exp of an f32 in plain C that vectorises: within 1 unit in the last place, gradual underflow,
 * exact limits (exp(-inf) = 0, exp(inf) = inf), NaN stays NaN.
 *
 *   exp(x) = 2^n * exp(r),  n = round(x / ln 2),  r = x - n*ln 2 in two parts, |r| <= ln(2)/2
 *
 * with exp(r) by the minimax polynomial of Cephes (expf.c, S. Moshier). */
#ifndef LAMINA_CPU_EXP_H
#define LAMINA_CPU_EXP_H

#include <stdint.h>
#include <string.h>

/* 2^n for -126 <= n <= 127. */
static inline float lamina_power_of_two(int32_t n) {
  const uint32_t bits = (uint32_t)(n + 127) << 23;
  float f;
  memcpy(&f, &bits, sizeof f);
  return f;
}

static inline float lamina_exp_f32(float x) {
  x = x < -104.0f ? -104.0f : x; /* 0 and infinity from here on; NaN passes through */
  x = x > 89.0f ? 89.0f : x;
  const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
  const float shifted = x * 1.44269504f + magic, rounded = shifted - magic;
  int32_t n;
  memcpy(&n, &shifted, sizeof n);
  n -= 0x4B400000;
  const float r = (x - rounded * 0.693359375f) + rounded * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = (p * (r * r) + r) + 1.0f;
  const int32_t half = n >> 1; /* in two steps, so that neither leaves the range */
  return p * lamina_power_of_two(half) * lamina_power_of_two(n - half);
}

#endif
