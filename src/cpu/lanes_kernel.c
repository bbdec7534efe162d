/* The kernels with the batch in the lanes, for each instruction set (lanes_isa.h), and their transposition.
 *
 *   kernel  tile                        filter
 *   avx512  6 x 4 sums, 4 of x          4 x 5 sums, 5 of x
 *   avx2    3 x 4 sums, x from memory   2 x 5 sums, 5 of x
 *   plain   3 x 4 sums of 4 floats      2 x 5 sums of 4 floats
 *
 * What bounds them: the multipliers; with less than 3 rows the loads. */
#include "cpu/lanes_kernel.h"

#include <string.h>

#include "cpu/isa.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define X86 1
#endif

#define UNROLL _Pragma("GCC unroll 16")

#ifdef X86
#define AVX512 __attribute__((target("avx512f")))
#define AVX2   __attribute__((target("avx2,fma")))

#define NAME(x)      avx512_##x
#define TARGET       AVX512
#define VEC          __m512
#define WIDTH        16
#define ROWS         6
#define FILTERS      4
#define LOAD         _mm512_loadu_ps
#define STORE        _mm512_storeu_ps
#define SPREAD       _mm512_set1_ps
#define MULTIPLY_ADD _mm512_fmadd_ps
#define HELD(v)      _mm512_max_ps(_mm512_setzero_ps(), v) /* of a NaN and a number the second is taken */
#define LET(gate, v) _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(gate, _mm512_setzero_ps(), _CMP_GT_OQ), v)
#include "cpu/lanes_isa.h"

#define NAME(x)      avx2_##x
#define TARGET       AVX2
#define VEC          __m256
#define WIDTH        8
#define ROWS         3
#define FILTERS      2
#define LOAD         _mm256_loadu_ps
#define STORE        _mm256_storeu_ps
#define SPREAD       _mm256_set1_ps
#define MULTIPLY_ADD _mm256_fmadd_ps
#define HELD(v)      _mm256_max_ps(_mm256_setzero_ps(), v)
#define LET(gate, v) _mm256_and_ps(_mm256_cmp_ps(gate, _mm256_setzero_ps(), _CMP_GT_OQ), v)
#include "cpu/lanes_isa.h"
#endif

/* Vectors of any machine, as GCC and Clang have them. */
typedef float floats __attribute__((vector_size(16)));
typedef int32_t masks __attribute__((vector_size(16)));
static inline __attribute__((always_inline)) floats load(const float *x) {
  floats v;
  memcpy(&v, x, sizeof v);
  return v;
}
static inline __attribute__((always_inline)) void store(float *y, floats v) { memcpy(y, &v, sizeof v); }
static inline __attribute__((always_inline)) floats masked(masks keep, floats v) { return (floats)(keep & (masks)v); }

#define NAME(x) plain_##x
#define TARGET
#define VEC     floats
#define WIDTH   4
#define ROWS    3
#define FILTERS 2
#define LOAD    load
#define STORE   store
#define SPREAD(s)                                                                                                      \
  (floats) { s, s, s, s }
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#define HELD(v)               masked(~((v) <= (floats){0}), v) /* NaN is not below */
#define LET(gate, v)          masked((gate) > (floats){0}, v)
#include "cpu/lanes_isa.h"

/* ---- Transposition ---------------------------------------------------------------------------------------------- */

static void plain_transpose(int rows, int columns, const float *from, int64_t from_row, float *to, int64_t to_row,
                            int width) {
  for (int j = 0; j < columns; j++) {
    for (int i = 0; i < rows; i++) to[j * to_row + i] = from[i * from_row + j];
    for (int i = rows; i < width; i++) to[j * to_row + i] = 0;
  }
}

#ifdef X86
/* In four rounds, each of which swaps the off-diagonal quarters of squares: of 2 and 4 elements within 128 bits, then of
 * 8 and 16 across them. */
AVX512 static void avx512_transpose(int rows, int columns, const float *from, int64_t from_row, float *to,
                                    int64_t to_row, int width) {
  const __mmask16 in = (__mmask16)((1u << columns) - 1), out = (__mmask16)((1u << width) - 1);
  __m512 a[16], b[16];
  UNROLL for (int i = 0; i < 16; i++) a[i] =
      i < rows ? _mm512_maskz_loadu_ps(in, from + i * from_row) : _mm512_setzero_ps();
  UNROLL for (int i = 0; i < 16; i += 2) {
    b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]);
    b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
  }
  UNROLL for (int i = 0; i < 16; i += 4) {
    a[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(b[i]), _mm512_castps_pd(b[i + 2])));
    a[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(b[i]), _mm512_castps_pd(b[i + 2])));
    a[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(b[i + 1]), _mm512_castps_pd(b[i + 3])));
    a[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(b[i + 1]), _mm512_castps_pd(b[i + 3])));
  }
  /* a[4 * q + s], 128 bits p of it: rows 4q … 4q + 3 of column 4p + s */
  UNROLL for (int s = 0; s < 4; s++) {
    b[s] = _mm512_shuffle_f32x4(a[s], a[4 + s], 0x88);
    b[4 + s] = _mm512_shuffle_f32x4(a[s], a[4 + s], 0xdd);
    b[8 + s] = _mm512_shuffle_f32x4(a[8 + s], a[12 + s], 0x88);
    b[12 + s] = _mm512_shuffle_f32x4(a[8 + s], a[12 + s], 0xdd);
  }
  UNROLL for (int s = 0; s < 4; s++) {
    a[s] = _mm512_shuffle_f32x4(b[s], b[8 + s], 0x88);
    a[8 + s] = _mm512_shuffle_f32x4(b[s], b[8 + s], 0xdd);
    a[4 + s] = _mm512_shuffle_f32x4(b[4 + s], b[12 + s], 0x88);
    a[12 + s] = _mm512_shuffle_f32x4(b[4 + s], b[12 + s], 0xdd);
  }
  UNROLL for (int j = 0; j < 16; j++) if (j < columns) _mm512_mask_storeu_ps(to + j * to_row, out, a[j]);
}

AVX2 static void square(const float *from, int64_t from_row, float *to, int64_t to_row) {
  __m256 a[8], b[8];
  UNROLL for (int i = 0; i < 8; i++) a[i] = _mm256_loadu_ps(from + i * from_row);
  UNROLL for (int i = 0; i < 8; i += 2) {
    b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
    b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
  }
  UNROLL for (int i = 0; i < 8; i += 4) {
    a[i] = _mm256_shuffle_ps(b[i], b[i + 2], 0x44);
    a[i + 1] = _mm256_shuffle_ps(b[i], b[i + 2], 0xee);
    a[i + 2] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0x44);
    a[i + 3] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0xee);
  }
  UNROLL for (int s = 0; s < 4; s++) {
    _mm256_storeu_ps(to + s * to_row, _mm256_permute2f128_ps(a[s], a[4 + s], 0x20));
    _mm256_storeu_ps(to + (4 + s) * to_row, _mm256_permute2f128_ps(a[s], a[4 + s], 0x31));
  }
}

/* Whole squares of 8; the rest an element at a time. */
AVX2 static void avx2_transpose(int rows, int columns, const float *from, int64_t from_row, float *to, int64_t to_row,
                                int width) {
  const int squares = columns / 8 * 8;
  int i = 0;
  for (; i + 8 <= rows; i += 8) {
    for (int j = 0; j < squares; j += 8) square(from + i * from_row + j, from_row, to + j * to_row + i, to_row);
    plain_transpose(8, columns - squares, from + i * from_row + squares, from_row, to + squares * to_row + i, to_row,
                    8);
  }
  plain_transpose(rows - i, columns, from + i * from_row, from_row, to + i, to_row, width - i);
}

#endif

static const lamina_lanes_kernel kernels[LAMINA_ISAS] = {
#ifdef X86
    [LAMINA_AVX512] = {"avx512", 6, 4, 0.9, avx512_tile, avx512_filter, avx512_transpose},
    [LAMINA_AVX2] = {"avx2", 3, 2, 0.85, avx2_tile, avx2_filter, avx2_transpose},
#endif
    [LAMINA_PLAIN] = {"plain", 3, 2, 0.5, plain_tile, plain_filter, plain_transpose},
};

const lamina_lanes_kernel *lamina_lanes_kernel_at(int index) {
  const lamina_isa isa = lamina_isa_at(index);
  return isa == LAMINA_ISAS ? NULL : &kernels[isa];
}
