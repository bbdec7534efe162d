/* The kernels of products with a thin side, for each instruction set.
 *
 *   kernel  tile             registers of it           GFLOP/s of one thread out of L1: 4, 2, 1 vectors (Xeon, 2.5 GHz)
 *   avx512  6 x 4 vectors    24 sums, 4 of b, 1 of a   135, 124, 92
 *   avx2    6 x 2 vectors    12 sums, 2 of b, 1 of a   -, 76, 50
 *   plain   4 x 2 of 4       as the compiler likes     -, 22, 17
 *
 * What bounds them: the multipliers; with one vector the loads of a. */
#include "cpu/thin_kernel.h"

#include <stddef.h>
#include <string.h>

#include "cpu/isa.h"
#include "cpu/unroll.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define X86 1
#endif

#define TO_L2 2 /* of __builtin_prefetch */

/* Defines NAME_sums, with all loops over registers unrolled where rows and vectors are constants. */
#define KERNEL(name, target, VECTOR, WIDTH, ROWS, VECTORS, LOAD, STORE, SPREAD, MULTIPLY_ADD)                          \
  target INLINE void name##_sums(const int rows, const int vectors, const lamina_thin_tile *t, const float *a,         \
                                 const float *b, float *c, const char *ahead) {                                        \
    VECTOR sum[ROWS][VECTORS], right[VECTORS];                                                                         \
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int v = 0; v < vectors; v++) sum[i][v] =                         \
        t->add ? LOAD(c + i * t->ldc + v * WIDTH) : SPREAD(0);                                                         \
    for (int64_t l = 0; l < t->k;) {                                                                                   \
      const int64_t end = t->k - l < LAMINA_THIN_LINE ? t->k : l + LAMINA_THIN_LINE;                                   \
      for (int i = 0; i < t->ahead_rows; i++) __builtin_prefetch(ahead + i * t->ahead_row + 4 * l, 0, TO_L2);          \
      for (; l < end; l++, b += vectors * WIDTH) {                                                                     \
        UNROLL for (int v = 0; v < vectors; v++) right[v] = LOAD(b + v * WIDTH);                                       \
        UNROLL for (int i = 0; i < rows; i++) {                                                                        \
          const VECTOR factor = SPREAD(a[i * t->lda + l]);                                                             \
          UNROLL for (int v = 0; v < vectors; v++) sum[i][v] = MULTIPLY_ADD(factor, right[v], sum[i][v]);              \
        }                                                                                                              \
      }                                                                                                                \
    }                                                                                                                  \
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int v = 0; v < vectors; v++)                                     \
        STORE(c + i * t->ldc + v * WIDTH, sum[i][v]);                                                                  \
  }

#define CASE(name, rows, vectors)                                                                                      \
  case (rows)*8 + (vectors):                                                                                           \
    name##_sums(rows, vectors, t, a, b, c, ahead);                                                                     \
    break;
#define CASES(name, vectors)                                                                                           \
  CASE(name, 1, vectors)                                                                                               \
  CASE(name, 2, vectors)                                                                                               \
  CASE(name, 3, vectors)                                                                                               \
  CASE(name, 4, vectors)                                                                                               \
  CASE(name, 5, vectors)                                                                                               \
  CASE(name, 6, vectors)

#ifdef X86
#define AVX512 __attribute__((target("avx512f")))
#define AVX2   __attribute__((target("avx2,fma")))

KERNEL(avx512, AVX512, __m512, 16, 6, 4, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_set1_ps, _mm512_fmadd_ps)
KERNEL(avx2, AVX2, __m256, 8, 6, 2, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_set1_ps, _mm256_fmadd_ps)

AVX512 static void avx512_tile(int rows, int vectors, const lamina_thin_tile *t, const float *a, const float *b,
                               float *c, const char *ahead) {
  switch (rows * 8 + vectors) {
    CASES(avx512, 1)
    CASES(avx512, 2)
    CASES(avx512, 3)
    CASES(avx512, 4)
  }
}

AVX2 static void avx2_tile(int rows, int vectors, const lamina_thin_tile *t, const float *a, const float *b, float *c,
                           const char *ahead) {
  switch (rows * 8 + vectors) {
    CASES(avx2, 1)
    CASES(avx2, 2)
  }
}

#endif

/* Vectors of any machine, as GCC and Clang have them. */
typedef float floats __attribute__((vector_size(16)));
INLINE floats load(const float *x) {
  floats v;
  memcpy(&v, x, sizeof v);
  return v;
}
INLINE void store(float *y, floats v) { memcpy(y, &v, sizeof v); }
INLINE floats spread(float s) { return (floats){s, s, s, s}; }
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))

KERNEL(plain, , floats, 4, 4, 2, load, store, spread, MULTIPLY_ADD)

static void plain_tile(int rows, int vectors, const lamina_thin_tile *t, const float *a, const float *b, float *c,
                       const char *ahead) {
  switch (rows * 8 + vectors) {
    CASE(plain, 1, 1)
    CASE(plain, 2, 1)
    CASE(plain, 3, 1)
    CASE(plain, 4, 1)
    CASE(plain, 1, 2)
    CASE(plain, 2, 2)
    CASE(plain, 3, 2)
    CASE(plain, 4, 2)
  }
}

static const lamina_thin_kernel kernels[LAMINA_ISAS] = {
#ifdef X86
    [LAMINA_AVX512] = {"avx512", 6, 4, 16, 0.8, avx512_tile},
    [LAMINA_AVX2] = {"avx2", 6, 2, 8, 0.85, avx2_tile},
#endif
    [LAMINA_PLAIN] = {"plain", 4, 2, 4, 0.5, plain_tile},
};

const lamina_thin_kernel *lamina_thin_kernel_at(int index) {
  const lamina_isa isa = lamina_isa_at(index);
  return isa == LAMINA_ISAS ? NULL : &kernels[isa];
}
