/* The matrix product's kernels, one for each instruction set, and the loop over panels.
 *
 *   kernel  tile     registers of it             GFLOP/s of one thread, m and n 24 to 256, k 256 (Zen 5)
 *   avx512  12 x 32  24 sums, 2 of b, 1 of a     130
 *   avx2    6 x 16   12 sums, 2 of b, 1 of a     75
 *   plain   4 x 8    as the compiler likes, SSE2  15
 *
 * What bounds them: the multipliers, from 8 rows on; below, the loads of b. */
#include "cpu/gemm_kernel.h"

#include <stddef.h>

#include "cpu/isa.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define X86 1
#endif

/* Defines NAME_tile: VECTOR holds WIDTH floats, a tile has MR rows and 2 * WIDTH columns. Each number of rows is a
 * function of its own with all loops over registers unrolled. */
#define KERNEL(name, target, VECTOR, WIDTH, MR, LOAD, STORE, SPREAD, MULTIPLY_ADD)                                     \
  target static inline __attribute__((always_inline)) void name##_rows(                                                \
      const int rows, int64_t k, const float *a, const float *b, float *c, int64_t ldc, bool add) {                    \
    VECTOR sum[MR][2];                                                                                                 \
    _Pragma("GCC unroll 16") for (int i = 0; i < rows; i++) { sum[i][0] = sum[i][1] = SPREAD(0); }                     \
    for (int64_t l = 0; l < k; l++, a += MR, b += 2 * WIDTH) {                                                         \
      const VECTOR left = LOAD(b), right = LOAD(b + WIDTH);                                                            \
      _Pragma("GCC unroll 16") for (int i = 0; i < rows; i++) {                                                        \
        const VECTOR factor = SPREAD(a[i]);                                                                            \
        sum[i][0] = MULTIPLY_ADD(factor, left, sum[i][0]);                                                             \
        sum[i][1] = MULTIPLY_ADD(factor, right, sum[i][1]);                                                            \
      }                                                                                                                \
    }                                                                                                                  \
    _Pragma("GCC unroll 16") for (int i = 0; i < rows; i++) {                                                          \
      if (add) sum[i][0] += LOAD(c + i * ldc), sum[i][1] += LOAD(c + i * ldc + WIDTH);                                 \
      STORE(c + i * ldc, sum[i][0]);                                                                                   \
      STORE(c + i * ldc + WIDTH, sum[i][1]);                                                                           \
    }                                                                                                                  \
  }

#define CASE(name, rows)                                                                                               \
  case rows:                                                                                                           \
    name##_rows(rows, k, a, b, c, ldc, add);                                                                           \
    break;

#ifdef X86
#define AVX512 __attribute__((target("avx512f")))
#define AVX2   __attribute__((target("avx2,fma")))

KERNEL(avx512, AVX512, __m512, 16, 12, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_set1_ps, _mm512_fmadd_ps)
KERNEL(avx2, AVX2, __m256, 8, 6, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_set1_ps, _mm256_fmadd_ps)

AVX512 static void avx512_tile(int rows, int64_t k, const float *a, const float *b, float *c, int64_t ldc, bool add) {
  switch (rows) {
    CASE(avx512, 1)
    CASE(avx512, 2)
    CASE(avx512, 3)
    CASE(avx512, 4)
    CASE(avx512, 5)
    CASE(avx512, 6)
    CASE(avx512, 7)
    CASE(avx512, 8)
    CASE(avx512, 9)
    CASE(avx512, 10)
    CASE(avx512, 11)
    CASE(avx512, 12)
  }
}

AVX2 static void avx2_tile(int rows, int64_t k, const float *a, const float *b, float *c, int64_t ldc, bool add) {
  switch (rows) {
    CASE(avx2, 1)
    CASE(avx2, 2)
    CASE(avx2, 3)
    CASE(avx2, 4)
    CASE(avx2, 5)
    CASE(avx2, 6)
  }
}
#endif

/* Whole tiles, in plain C. */
static void plain_tile(int rows, int64_t k, const float *a, const float *b, float *c, int64_t ldc, bool add) {
  float sum[4][8];
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 8; j++) sum[i][j] = 0;
  for (int64_t l = 0; l < k; l++, a += 4, b += 8)
    for (int i = 0; i < 4; i++)
      for (int j = 0; j < 8; j++) sum[i][j] += a[i] * b[j];
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < 8; j++) c[i * ldc + j] = add ? c[i * ldc + j] + sum[i][j] : sum[i][j];
}

static const lamina_gemm_kernel kernels[LAMINA_ISAS] = {
#ifdef X86
    [LAMINA_AVX512] = {.mr = 12, .nr = 32, .share = 0.69, .tile = avx512_tile},
    [LAMINA_AVX2] = {.mr = 6, .nr = 16, .share = 0.65, .tile = avx2_tile},
#endif
    [LAMINA_PLAIN] = {.mr = 4, .nr = 8, .share = 0.5, .tile = plain_tile},
};

const lamina_gemm_kernel *lamina_gemm_kernel_at(int index) {
  const lamina_isa isa = lamina_isa_at(index);
  return isa == LAMINA_ISAS ? NULL : &kernels[isa];
}

void lamina_gemm_panels(const lamina_gemm_kernel *kernel, int64_t m, int64_t n, int64_t k, const float *a,
                        const float *b, float *c, int64_t ldc, bool add) {
  for (int64_t j = 0; j < n; j += kernel->nr)
    for (int64_t i = 0; i < m; i += kernel->mr) {
      const int rows = m - i < kernel->mr ? (int)(m - i) : kernel->mr;
      kernel->tile(rows, k, a + i * k, b + j * k, c + i * ldc + j, ldc, add);
    }
}
