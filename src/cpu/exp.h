/* exp and its relatives of an f32 in plain C that vectorises: gradual underflow, exact limits (exp(-inf) = 0,
 * exp(inf) = inf, erf(inf) = 1), NaN stays NaN. Errors are the largest that were seen against f64.
 *
 *   exp      1.0 units in the last place
 *   expm1    of x <= 0: 0.9
 *   log1p    of x in 0 … 1: 2.0
 *   erf      1.4
 *   tanh     1.5
 *
 *   exp(x) = 2^n * exp(r),  n = round(x / ln 2),  r = x - n*ln 2 in two parts, |r| <= ln(2)/2
 *
 * with exp(r) by the minimax polynomial of Cephes (expf.c, S. Moshier), as tanh's. Those of log1p and erf are minimax
 * polynomials of our own (Remez). */
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

/* exp(r) - 1, and n. */
static inline float lamina_exp_reduced(float x, int32_t *n) {
  const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
  const float shifted = x * 1.44269504f + magic, rounded = shifted - magic;
  memcpy(n, &shifted, sizeof *n);
  *n -= 0x4B400000;
  const float r = (x - rounded * 0.693359375f) + rounded * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  return p * (r * r) + r;
}

static inline float lamina_exp_f32(float x) {
  x = x < -104.0f ? -104.0f : x; /* 0 and infinity from here on; NaN passes through */
  x = x > 89.0f ? 89.0f : x;
  int32_t n;
  const float p = lamina_exp_reduced(x, &n) + 1.0f;
  const int32_t half = n >> 1; /* in two steps, so that neither leaves the range */
  return p * lamina_power_of_two(half) * lamina_power_of_two(n - half);
}

/* exp(x) - 1 for x <= 0, without cancellation near 0. */
static inline float lamina_expm1_f32(float x) {
  x = x < -20.0f ? -20.0f : x; /* -1 from here on */
  x = x > 0.0f ? 0.0f : x;
  int32_t n;
  const float p = lamina_exp_reduced(x, &n), two = lamina_power_of_two(n);
  return p * two + (two - 1.0f);
}

/* log(1 + x) for 0 <= x <= 1: 2 artanh(s), s = x / (2 + x). */
static inline float lamina_log1p_f32(float x) {
  const float s = x / (2.0f + x), z = s * s;
  float p = 1.401222949e-1f;
  p = p * z + 1.399957052e-1f;
  p = p * z + 2.001084953e-1f;
  p = p * z + 3.333320657e-1f;
  return 2.0f * (p * z * s + s);
}

/* Up to 1 an odd polynomial, beyond 1 - exp(-|x| q(|x|)). */
static inline float lamina_erf_f32(float x) {
  const float size = x < 0 ? -x : x, z = x * x, t = size > 4.0f ? 4.0f : size; /* erf(4) is 1 */
  float p = 7.85386118e-5f, q = 1.413384572e-5f;
  p = p * z - 8.010193569e-4f;
  p = p * z + 5.188327679e-3f;
  p = p * z - 2.685381193e-2f;
  p = p * z + 1.128358515e-1f;
  p = p * z - 3.761262582e-1f;
  p = p * z + 1.283791657e-1f;
  q = q * t - 3.523323013e-4f;
  q = q * t + 3.764661025e-3f;
  q = q * t - 2.402551132e-2f;
  q = q * t + 1.065491069e-1f;
  q = q * t + 6.349582947e-1f;
  q = q * t + 1.128697159f;
  const float near = p * x + x, far = 1.0f - lamina_exp_f32(-t * q), signed_far = x < 0 ? -far : far;
  return size < 1.0f ? near : signed_far;
}

/* Near 0 an odd polynomial, beyond 1 - 2 / (exp(2|x|) + 1). */
static inline float lamina_tanh_f32(float x) {
  const float size = x < 0 ? -x : x, z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const float near = p * z * x + x, t = lamina_exp_f32(-2 * size);
  const float far = (1 - t) / (1 + t), signed_far = x < 0 ? -far : far;
  return size < 0.625f ? near : signed_far;
}

#endif
