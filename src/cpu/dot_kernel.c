/* The kernels of dot products that read much and reckon little, for each instruction set.
 *
 *   kernel  tile               registers of it          bound by the memory
 *   avx512  6 rows x 4         24 sums, 4 of x, 1 of w  up to 6 examples
 *   avx2    6 rows x 2         12 sums, 2 of x, 1 of w  up to 3
 *   plain   6 rows x 2, of 4   as the compiler likes    of one
 *
 * On two cores of a Xeon at 2.5 GHz the memory is 25 GB/s for six or eight rows at once of which lines are asked for 0.5
 * to 1 KiB ahead, 23 if they are not, 18 to 20 for one row at a time. */
#include "cpu/dot_kernel.h"

#include <stddef.h>
#include <string.h>

#include "cpu/bf16.h"
#include "cpu/isa.h"
#include "cpu/unroll.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define X86 1
#endif

#define TO_L1 3 /* of __builtin_prefetch */

/* Defines NAME, with all loops over registers unrolled where rows and examples are constants. READ and PART read a vector
 * of w, PART its first elements and zeros. */
#define KERNEL(name, target, VECTOR, WIDTH, EXAMPLES, ELEMENT, READ, PART, LOAD, LOAD_PART, STORE, ZERO, MULTIPLY_ADD) \
  target INLINE void name##_step(const int rows, const int examples, const lamina_dot_tile *t, const ELEMENT *w,       \
                                 const float *x, const int part, VECTOR(*sum)[EXAMPLES]) {                             \
    VECTOR right[EXAMPLES];                                                                                            \
    UNROLL for (int n = 0; n < examples; n++) right[n] =                                                               \
        part ? LOAD_PART(x + n * t->ldx, part) : LOAD(x + n * t->ldx);                                                 \
    UNROLL for (int i = 0; i < rows; i++) {                                                                            \
      const VECTOR left = part ? PART(w + i * t->ldw, part) : READ(w + i * t->ldw);                                    \
      UNROLL for (int n = 0; n < examples; n++) sum[i][n] = MULTIPLY_ADD(left, right[n], sum[i][n]);                   \
    }                                                                                                                  \
  }                                                                                                                    \
  target INLINE void name##_sums(const int rows, const int examples, const lamina_dot_tile *t, const ELEMENT *w,       \
                                 const float *x, float *sums) {                                                        \
    enum { LINE = LAMINA_DOT_LINE / sizeof(ELEMENT) };                                                                 \
    VECTOR sum[LAMINA_DOT_ROWS][EXAMPLES];                                                                             \
    int64_t l = 0;                                                                                                     \
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int n = 0; n < examples; n++) sum[i][n] =                        \
        t->add ? LOAD(sums + (i * examples + n) * WIDTH) : ZERO();                                                     \
    while (l + LINE <= t->k) {                                                                                         \
      for (int i = t->ahead_from; i < t->ahead_to; i++)                                                                \
        __builtin_prefetch((const char *)(w + i * t->ldw + l) + t->ahead, 0, TO_L1);                                   \
      UNROLL for (int v = 0; v < LINE; v += WIDTH, l += WIDTH) name##_step(rows, examples, t, w + l, x + l, 0, sum);   \
    }                                                                                                                  \
    for (; l + WIDTH <= t->k; l += WIDTH) name##_step(rows, examples, t, w + l, x + l, 0, sum);                        \
    if (l < t->k) name##_step(rows, examples, t, w + l, x + l, (int)(t->k - l), sum);                                  \
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int n = 0; n < examples; n++)                                    \
        STORE(sums + (i * examples + n) * WIDTH, sum[i][n]);                                                           \
  }

#define CASE(name, rows, examples)                                                                                     \
  case (rows)*8 + (examples):                                                                                          \
    name##_sums(rows, examples, t, w, x, sums);                                                                        \
    break;
#define CASES(name, examples)                                                                                          \
  CASE(name, 1, examples)                                                                                              \
  CASE(name, 2, examples)                                                                                              \
  CASE(name, 3, examples)                                                                                              \
  CASE(name, 4, examples)                                                                                              \
  CASE(name, 5, examples)                                                                                              \
  CASE(name, 6, examples)
#define TILE(name, target, CASES_OF_ALL)                                                                               \
  target static void name##_tile(int rows, int examples, const lamina_dot_tile *t, const void *w, const float *x,      \
                                 float *sums) {                                                                        \
    switch (rows * 8 + examples) { CASES_OF_ALL }                                                                      \
  }
#define TWO(name)  CASES(name, 1) CASES(name, 2)
#define FOUR(name) TWO(name) CASES(name, 3) CASES(name, 4)

/* The first `part` of up to 16 numbers, widened, and zeros. (Ends only; inlined, it is what takes most time to compile.) */
static __attribute__((noinline)) void first_f32(const float *x, int part, float *all) {
  for (int i = 0; i < LAMINA_DOT_LANES; i++) all[i] = i < part ? x[i] : 0;
}
static __attribute__((noinline)) void first_bf16(const uint16_t *x, int part, float *all) {
  for (int i = 0; i < LAMINA_DOT_LANES; i++) all[i] = i < part ? lamina_bf16_to_f32(x[i]) : 0;
}
/* Defines the two as vectors. */
#define PARTS(name, target, VECTOR, LOAD)                                                                              \
  target INLINE VECTOR name##_part_f32(const float *x, int part) {                                                     \
    float all[LAMINA_DOT_LANES];                                                                                       \
    first_f32(x, part, all);                                                                                           \
    return LOAD(all);                                                                                                  \
  }                                                                                                                    \
  target INLINE VECTOR name##_part_bf16(const uint16_t *x, int part) {                                                 \
    float all[LAMINA_DOT_LANES];                                                                                       \
    first_bf16(x, part, all);                                                                                          \
    return LOAD(all);                                                                                                  \
  }

/* ---- AVX-512 and AVX2 ------------------------------------------------------------------------------------------- */

#ifdef X86
#define AVX512 __attribute__((target("avx512f")))
#define AVX2   __attribute__((target("avx2,fma")))

AVX512 INLINE __m512 avx512_read_bf16(const uint16_t *x) {
  return _mm512_castsi512_ps(
      _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)x)), 16));
}
AVX512 INLINE __m512 avx512_part_f32(const float *x, int part) {
  return _mm512_maskz_loadu_ps((__mmask16)((1u << part) - 1), x);
}
AVX512 INLINE __m512 avx512_part_bf16(const uint16_t *x, int part) {
  float all[LAMINA_DOT_LANES];
  first_bf16(x, part, all);
  return _mm512_loadu_ps(all);
}
KERNEL(avx512_f32, AVX512, __m512, 16, 4, float, _mm512_loadu_ps, avx512_part_f32, _mm512_loadu_ps, avx512_part_f32,
       _mm512_storeu_ps, _mm512_setzero_ps, _mm512_fmadd_ps)
KERNEL(avx512_bf16, AVX512, __m512, 16, 4, uint16_t, avx512_read_bf16, avx512_part_bf16, _mm512_loadu_ps,
       avx512_part_f32, _mm512_storeu_ps, _mm512_setzero_ps, _mm512_fmadd_ps)
TILE(avx512_f32, AVX512, FOUR(avx512_f32))
TILE(avx512_bf16, AVX512, FOUR(avx512_bf16))
AVX512 static void avx512_total(int64_t count, const float *sums, float *totals) {
  for (int64_t i = 0; i < count; i++) totals[i] = _mm512_reduce_add_ps(_mm512_loadu_ps(sums + 16 * i));
}

AVX2 INLINE __m256 avx2_read_bf16(const uint16_t *x) {
  return _mm256_castsi256_ps(
      _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)x)), 16));
}
PARTS(avx2, AVX2, __m256, _mm256_loadu_ps)
KERNEL(avx2_f32, AVX2, __m256, 8, 2, float, _mm256_loadu_ps, avx2_part_f32, _mm256_loadu_ps, avx2_part_f32,
       _mm256_storeu_ps, _mm256_setzero_ps, _mm256_fmadd_ps)
KERNEL(avx2_bf16, AVX2, __m256, 8, 2, uint16_t, avx2_read_bf16, avx2_part_bf16, _mm256_loadu_ps, avx2_part_f32,
       _mm256_storeu_ps, _mm256_setzero_ps, _mm256_fmadd_ps)
TILE(avx2_f32, AVX2, TWO(avx2_f32))
TILE(avx2_bf16, AVX2, TWO(avx2_bf16))
AVX2 static void avx2_total(int64_t count, const float *sums, float *totals) {
  for (int64_t i = 0; i < count; i++) {
    const __m256 all = _mm256_loadu_ps(sums + 8 * i);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    totals[i] = _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
}
#endif

/* ---- Any machine, with vectors as GCC and Clang have them -------------------------------------------------------- */

typedef float floats __attribute__((vector_size(16)));
typedef uint32_t words __attribute__((vector_size(16)));
INLINE floats load(const float *x) {
  floats v;
  memcpy(&v, x, sizeof v);
  return v;
}
INLINE void store(float *y, floats v) { memcpy(y, &v, sizeof v); }
INLINE floats zero(void) { return (floats){0, 0, 0, 0}; }
INLINE floats read_bf16(const uint16_t *x) {
  uint16_t narrow __attribute__((vector_size(8)));
  memcpy(&narrow, x, sizeof narrow);
  return (floats)(__builtin_convertvector(narrow, words) << 16);
}
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))

PARTS(plain, , floats, load)
KERNEL(plain_f32, , floats, 4, 2, float, load, plain_part_f32, load, plain_part_f32, store, zero, MULTIPLY_ADD)
KERNEL(plain_bf16, , floats, 4, 2, uint16_t, read_bf16, plain_part_bf16, load, plain_part_f32, store, zero,
       MULTIPLY_ADD)
TILE(plain_f32, , TWO(plain_f32))
TILE(plain_bf16, , TWO(plain_bf16))
static void plain_total(int64_t count, const float *sums, float *totals) {
  for (int64_t i = 0; i < count; i++, sums += 4) totals[i] = (sums[0] + sums[2]) + (sums[1] + sums[3]);
}

static const lamina_dot_kernel kernels[LAMINA_ISAS] = {
#ifdef X86
    [LAMINA_AVX512] = {"avx512", 4, 16, 0.32, avx512_f32_tile, avx512_bf16_tile, avx512_total},
    [LAMINA_AVX2] = {"avx2", 2, 8, 0.4, avx2_f32_tile, avx2_bf16_tile, avx2_total},
#endif
    [LAMINA_PLAIN] = {"plain", 2, 4, 0.4, plain_f32_tile, plain_bf16_tile, plain_total},
};

const lamina_dot_kernel *lamina_dot_kernel_at(int index) {
  const lamina_isa isa = lamina_isa_at(index);
  return isa == LAMINA_ISAS ? NULL : &kernels[isa];
}
