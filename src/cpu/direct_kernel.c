/* The kernels of direct convolution, for each instruction set (direct_isa.h).
 *
 *   kernel  tile                    registers of it
 *   avx512  2 blocks x 14 columns   28 sums, 2 of w, 1 of x
 *   avx2    1 block x 6 columns     12 sums, 2 of w, 1 of x
 *   plain   1 block x 2 columns     8 sums, 4 of w, as the compiler likes
 *
 * What bounds them: the multipliers (avx512: 130 GFLOP/s of one thread's 151 on a Xeon of 2.5 GHz, 3 x 3 of AlexNet);
 * beside a busy hyperthread the instructions and the loads, between which the columns of SPREADS are shared out. */
#include "cpu/direct_kernel.h"

#include <stddef.h>
#include <string.h>

#include "cpu/isa.h"
#include "cpu/unroll.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define X86 1
#endif

#define TO_L2 2 /* of __builtin_prefetch */

#define CASES_2(blocks) CASE(blocks, 1) CASE(blocks, 2)
#define CASES_6(blocks) CASES_2(blocks) CASE(blocks, 3) CASE(blocks, 4) CASE(blocks, 5) CASE(blocks, 6)
#define CASES_14(blocks)                                                                                               \
  CASES_6(blocks)                                                                                                      \
  CASE(blocks, 7)                                                                                                      \
  CASE(blocks, 8)                                                                                                      \
  CASE(blocks, 9) CASE(blocks, 10) CASE(blocks, 11) CASE(blocks, 12) CASE(blocks, 13) CASE(blocks, 14)

#ifdef X86
#define AVX512 __attribute__((target("avx512f")))
#define AVX2   __attribute__((target("avx2,fma")))

AVX512 INLINE __m512 widen_avx512(const uint16_t *w) {
  return _mm512_castsi512_ps(
      _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)w)), 16));
}
/* By its load, once for all multiplications: the compiler would rather spread it in each of them. */
AVX512 INLINE __m512 spread_avx512(const float *x) {
  __m512 v = _mm512_set1_ps(*x);
  __asm__("" : "+v"(v));
  return v;
}

#define NAME(x)      avx512_##x
#define TARGET       AVX512
#define VEC          __m512
#define WIDTH        16
#define BLOCKS       2
#define COLUMNS      14
#define CASES        CASES_14(1) CASES_14(2)
#define LOAD         _mm512_loadu_ps
#define STORE        _mm512_storeu_ps
#define SPREAD       spread_avx512
#define MULTIPLY_ADD _mm512_fmadd_ps
#define HELD(v)      _mm512_max_ps(_mm512_setzero_ps(), v) /* of a NaN and a number the second is taken */
#define WIDEN        widen_avx512
#define SPREADS      10
#define SPREAD_AND_ADD(x, w, sum)                                                                                      \
  __asm__("vfmadd231ps %1%{1to16%}, %2, %0" : "+v"(sum) : "m"(*(x)), "v"(w)) /* (the compiler wouldn't, for two) */
#include "cpu/direct_isa.h"

AVX2 INLINE __m256 widen_avx2(const uint16_t *w) {
  return _mm256_castsi256_ps(
      _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)w)), 16));
}

#define NAME(x)                   avx2_##x
#define TARGET                    AVX2
#define VEC                       __m256
#define WIDTH                     8
#define BLOCKS                    1
#define COLUMNS                   6
#define CASES                     CASES_6(1)
#define LOAD                      _mm256_loadu_ps
#define STORE                     _mm256_storeu_ps
#define SPREAD                    _mm256_broadcast_ss
#define MULTIPLY_ADD              _mm256_fmadd_ps
#define HELD(v)                   _mm256_max_ps(_mm256_setzero_ps(), v)
#define WIDEN                     widen_avx2
#define SPREADS                   COLUMNS
#define SPREAD_AND_ADD(x, w, sum) (void)0
#include "cpu/direct_isa.h"

#endif

/* Vectors of any machine, as GCC and Clang have them. */
typedef float floats __attribute__((vector_size(16)));
typedef int32_t masks __attribute__((vector_size(16)));
INLINE floats load(const float *x) {
  floats v;
  memcpy(&v, x, sizeof v);
  return v;
}
INLINE void store(float *y, floats v) { memcpy(y, &v, sizeof v); }
INLINE floats spread(const float *x) { return (floats){*x, *x, *x, *x}; }
INLINE floats held(floats v) { return (floats)(~(v <= (floats){0}) & (masks)v); }
INLINE floats widen(const uint16_t *w) { return (floats)((masks){w[0], w[1], w[2], w[3]} << 16); }

#define NAME(x) plain_##x
#define TARGET
#define VEC                       floats
#define WIDTH                     4
#define BLOCKS                    1
#define COLUMNS                   2
#define CASES                     CASES_2(1)
#define LOAD                      load
#define STORE                     store
#define SPREAD                    spread
#define MULTIPLY_ADD(a, b, c)     ((a) * (b) + (c))
#define HELD                      held
#define WIDEN                     widen
#define SPREADS                   COLUMNS
#define SPREAD_AND_ADD(x, w, sum) (void)0
#include "cpu/direct_isa.h"

static const lamina_direct_kernel kernels[LAMINA_ISAS] = {
#ifdef X86
    [LAMINA_AVX512] = {"avx512", 2, 14, 0.62, avx512_tile, avx512_tile_bf16},
    [LAMINA_AVX2] = {"avx2", 1, 6, 0.43, avx2_tile, avx2_tile_bf16},
#endif
    [LAMINA_PLAIN] = {"plain", 1, 2, 0.25, plain_tile, plain_tile_bf16},
};

const lamina_direct_kernel *lamina_direct_kernel_at(int index) {
  const lamina_isa isa = lamina_isa_at(index);
  return isa == LAMINA_ISAS ? NULL : &kernels[isa];
}
