/* Rows of pools over several lanes, with vectors of the machine's width.
 *
 *   kernel  lanes at a time  an element of a window is
 *   avx512  16               a load, two comparisons into masks, two moves
 *   avx2    8                a load, two comparisons, two blends
 *   plain   1                read by itself: for what has few lanes, and for other machines
 *
 * What bounds them is memory. The last lanes are done once more with some before them where they don't fill a vector. */
#include "cpu/isa.h"
#include "cpu/lanes_pool.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define X86 1
#endif

enum { BLOCK = 64 }; /* elements of an average that are added up in one go */

/* Calls its body for each element `i` of the plane in the window, in row-major order. */
#define EACH_OF_WINDOW(s, w0, w1)                                                                                      \
  for (int64_t d_ = d0; d_ < d1; d_ += (s)->dilation[0])                                                               \
    for (int64_t h_ = h0; h_ < h1; h_ += (s)->dilation[1])                                                             \
      for (int64_t row_ = (d_ * (s)->x[1] + h_) * (s)->x[2], i = row_ + (w0); i < row_ + (w1); i += (s)->dilation[2])

enum { SMALL = 16 };
#define ROLLED _Pragma("GCC unroll 1") /* else all that SMALL elements need is made ready for each window */

/* The elements of a window of a plane that is wholly inside, from its first one, where there are few; else 0. */
LAMINA_INLINE int64_t list_window(const lamina_loop_pool *s, int64_t at[SMALL]) {
  int64_t count = 0;
  if (s->kernel[0] > 1 || s->kernel[1] > SMALL || s->kernel[2] > SMALL || s->kernel[1] * s->kernel[2] > SMALL) return 0;
  for (int64_t h = 0; h < s->kernel[1]; h++)
    for (int64_t w = 0; w < s->kernel[2]; w++) at[count++] = h * s->dilation[1] * s->x[2] + w * s->dilation[2];
  return count;
}

/* Defines NAME_extreme_TYPE and NAME_average_TYPE from what NAME_load … do with a vector. */
#define KERNEL(name, TARGET, FLOATS, WIDTH)                                                                            \
  TARGET LAMINA_INLINE void name##_extreme(const lamina_pool_row *r, const bool bf16, const bool indices) {            \
    const lamina_loop_pool *s = r->pool;                                                                               \
    const float worst = r->relu ? 0 : -INFINITY;                                                                       \
    int64_t d0, d1, h0, h1, w0, w1, at[SMALL];                                                                         \
    lamina_loop_window(s, 0, r->d, &d0, &d1);                                                                          \
    lamina_loop_window(s, 1, r->h, &h0, &h1);                                                                          \
    const bool whole = d1 > d0 && h1 - h0 > (s->kernel[1] - 1) * s->dilation[1];                                       \
    const int64_t small = whole ? list_window(s, at) : 0;                                                              \
    for (int64_t w = 0; w < s->y[2]; w++) {                                                                            \
      lamina_loop_window(s, 2, w, &w0, &w1);                                                                           \
      const int64_t first = (d0 * s->x[1] + h0) * s->x[2] + w0;                                                        \
      const int64_t count = w1 - w0 > (s->kernel[2] - 1) * s->dilation[2] ? small : 0;                                 \
      for (int64_t l = 0; l < r->lanes; l += WIDTH) {                                                                  \
        const int64_t lane = l + WIDTH <= r->lanes ? l : r->lanes - WIDTH;                                             \
        name##_best best = name##_start(worst, first);                                                                 \
        ROLLED for (int64_t e = 0; e < count; e++) best =                                                              \
            name##_take(best, name##_turn(name##_load(r->x, (first + at[e]) * r->lanes + lane, bf16), r->min),         \
                        first + at[e], indices);                                                                       \
        if (!count) EACH_OF_WINDOW(s, w0, w1)                                                                          \
        best = name##_take(best, name##_turn(name##_load(r->x, i * r->lanes + lane, bf16), r->min), i, indices);       \
        name##_store(r->y, w * r->lanes + lane, name##_turn(best.v, r->min), bf16);                                    \
        if (indices) name##_store_indices(r->indices + w * r->lanes + lane, best);                                     \
      }                                                                                                                \
    }                                                                                                                  \
  }                                                                                                                    \
  TARGET LAMINA_INLINE void name##_average(const lamina_pool_row *r, const bool bf16) {                                \
    const lamina_loop_pool *s = r->pool;                                                                               \
    int64_t d0, d1, h0, h1, w0, w1;                                                                                    \
    lamina_loop_window(s, 0, r->d, &d0, &d1);                                                                          \
    lamina_loop_window(s, 1, r->h, &h0, &h1);                                                                          \
    const int64_t area = lamina_loop_count(s, 0, r->d) * lamina_loop_count(s, 1, r->h);                                \
    for (int64_t w = 0; w < s->y[2]; w++) {                                                                            \
      lamina_loop_window(s, 2, w, &w0, &w1);                                                                           \
      for (int64_t l = 0; l < r->lanes; l += WIDTH) {                                                                  \
        const int64_t lane = l + WIDTH <= r->lanes ? l : r->lanes - WIDTH;                                             \
        FLOATS sum = name##_spread(0), part = sum;                                                                     \
        int64_t n = 0;                                                                                                 \
        EACH_OF_WINDOW(s, w0, w1) {                                                                                    \
          part += name##_load(r->x, i * r->lanes + lane, bf16);                                                        \
          if (++n % BLOCK == 0) sum += part, part = name##_spread(0);                                                  \
        }                                                                                                              \
        sum = (sum + part) / name##_spread((float)(area * lamina_loop_count(s, 2, w)));                                \
        name##_store(r->y, w * r->lanes + lane, sum, bf16);                                                            \
      }                                                                                                                \
    }                                                                                                                  \
  }                                                                                                                    \
  TYPE(name, TARGET, f32, false)                                                                                       \
  TYPE(name, TARGET, bf16, true)

#define TYPE(name, TARGET, type, bf16)                                                                                 \
  TARGET static void name##_extreme_##type(const lamina_pool_row *r) {                                                 \
    if (r->indices)                                                                                                    \
      name##_extreme(r, bf16, true);                                                                                   \
    else                                                                                                               \
      name##_extreme(r, bf16, false);                                                                                  \
  }                                                                                                                    \
  TARGET static void name##_average_##type(const lamina_pool_row *r) { name##_average(r, bf16); }

/* Each instruction set has a vector of the largest so far and where they are. `open`: those that aren't NaN, which stays.
 * `turn`: the sign changed, for minima; `spread`: one number in all lanes. */

#ifdef X86
/* ---- AVX-512 ---------------------------------------------------------------------------------------------------- */

#define AVX512 __attribute__((target("avx512f")))
#if defined __GNUC__ && !defined __clang__
/* Without optimisation GCC's gathers and scatters are macros, whose masks lose their sign in here. */
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif

typedef struct avx512_best {
  __m512 v;
  __m512i at;
  __mmask16 open;
} avx512_best;

AVX512 LAMINA_INLINE __m512 avx512_spread(float v) { return _mm512_set1_ps(v); }
AVX512 LAMINA_INLINE __m512 avx512_load(const void *x, int64_t i, bool bf16) {
  if (!bf16) return _mm512_loadu_ps((const float *)x + i);
  const __m256i half = _mm256_loadu_si256((const void *)((const uint16_t *)x + i));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}
AVX512 LAMINA_INLINE void avx512_store(void *y, int64_t i, __m512 v, bool bf16) {
  if (!bf16) {
    _mm512_storeu_ps((float *)y + i, v);
    return;
  }
  const __m512i bits = _mm512_castps_si512(v),
                odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i even = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
  const __m512i nan = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
  const __m512i rounded = _mm512_mask_mov_epi32(even, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), nan);
  _mm256_storeu_si256((void *)((uint16_t *)y + i), _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16)));
}
AVX512 LAMINA_INLINE __m512 avx512_turn(__m512 v, bool min) {
  const __m512i sign = _mm512_set1_epi32(min ? INT32_MIN : 0);
  return _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(v), sign));
}
AVX512 LAMINA_INLINE avx512_best avx512_start(float worst, int64_t at) {
  return (avx512_best){_mm512_set1_ps(worst), _mm512_set1_epi32((int32_t)at), 0xffff};
}
AVX512 LAMINA_INLINE avx512_best avx512_take(avx512_best b, __m512 v, int64_t i, bool indices) {
  const __mmask16 wins = _mm512_mask_cmp_ps_mask(b.open, v, b.v, _CMP_NLE_UQ);
  b.v = _mm512_mask_mov_ps(b.v, wins, v);
  if (indices) b.at = _mm512_mask_mov_epi32(b.at, wins, _mm512_set1_epi32((int32_t)i));
  b.open &= _mm512_cmp_ps_mask(v, v, _CMP_ORD_Q);
  return b;
}
AVX512 LAMINA_INLINE void avx512_store_indices(int32_t *to, avx512_best b) { _mm512_storeu_si512(to, b.at); }

KERNEL(avx512, AVX512, __m512, 16)

/* 16 lanes from lane `l` of window `w` on. */
AVX512 LAMINA_INLINE __m512i avx512_lanes(int64_t step) {
  const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  return _mm512_mullo_epi32(lane, _mm512_set1_epi32((int32_t)step));
}
AVX512 LAMINA_INLINE __m512i avx512_indices(const lamina_pool_scatter *r, int64_t w, int64_t l) {
  const int32_t *at = r->indices + w * r->indices_place + l * r->indices_lane;
  if (r->indices_lane == 1) return _mm512_loadu_si512(at);
  return _mm512_i32gather_epi32(avx512_lanes(r->indices_lane), (const void *)at, 4);
}
AVX512 LAMINA_INLINE __m512 avx512_numbers(const void *x, int64_t i, int64_t step, bool bf16) {
  if (step == 1) return avx512_load(x, i, bf16);
  return _mm512_i32gather_ps(avx512_lanes(step), (const void *)((const float *)x + i), 4);
}

AVX512 LAMINA_INLINE bool avx512_scatter(const lamina_pool_scatter *r, const bool bf16) {
  const __m512i plane = _mm512_set1_epi32((int32_t)r->plane), cleared = _mm512_set1_epi32((int32_t)r->cleared);
  const __m512i step = _mm512_set1_epi32((int32_t)r->step), lane = avx512_lanes(1);
  for (int64_t l = 0; l < r->lanes; l += 16)
    for (int64_t w = 0; w < r->width; w++) {
      const __m512i at = avx512_indices(r, w, l);
      if (_mm512_mask_cmp_epu32_mask(_mm512_cmp_epu32_mask(at, plane, _MM_CMPINT_LT), at, cleared, _MM_CMPINT_NLT))
        return false;
    }
  for (int64_t l = 0; l < r->lanes; l += 16)
    for (int64_t w = 0; w < r->width; w++) {
      const __m512i at = avx512_indices(r, w, l), to = _mm512_add_epi32(_mm512_mullo_epi32(at, step), lane);
      const __m512 dy = avx512_numbers(r->dy, w * r->dy_place + l * r->dy_lane, r->dy_lane, bf16);
      __mmask16 open = _mm512_cmp_epu32_mask(at, plane, _MM_CMPINT_LT);
      if (r->gate) {
        const __m512 gate = avx512_numbers(r->gate, w * r->gate_place + l * r->gate_lane, r->gate_lane, bf16);
        open = _mm512_mask_cmp_ps_mask(open, gate, _mm512_setzero_ps(), _CMP_GT_OQ);
      }
      const __m512 sum = _mm512_mask_i32gather_ps(dy, open, to, r->sum + l, 4);
      _mm512_mask_i32scatter_ps(r->sum + l, open, to, _mm512_add_ps(sum, dy), 4);
    }
  return true;
}
AVX512 static bool avx512_scatter_row(const lamina_pool_scatter *r) {
  return r->bf16 ? avx512_scatter(r, true) : avx512_scatter(r, false);
}

/* ---- AVX2 ------------------------------------------------------------------------------------------------------- */

#define AVX2 __attribute__((target("avx2")))

typedef struct avx2_best {
  __m256 v, open;
  __m256i at;
} avx2_best;

AVX2 LAMINA_INLINE __m256 avx2_spread(float v) { return _mm256_set1_ps(v); }
AVX2 LAMINA_INLINE __m256 avx2_load(const void *x, int64_t i, bool bf16) {
  if (!bf16) return _mm256_loadu_ps((const float *)x + i);
  const __m128i half = _mm_loadu_si128((const void *)((const uint16_t *)x + i));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}
AVX2 LAMINA_INLINE void avx2_store(void *y, int64_t i, __m256 v, bool bf16) {
  if (!bf16) {
    _mm256_storeu_ps((float *)y + i, v);
    return;
  }
  const __m256i bits = _mm256_castps_si256(v),
                odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i even = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
  const __m256i nan = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
  const __m256i upper = _mm256_srli_epi32(_mm256_blendv_epi8(even, nan, is_nan), 16);
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(upper, upper), 0x08);
  _mm_storeu_si128((void *)((uint16_t *)y + i), _mm256_castsi256_si128(packed));
}
AVX2 LAMINA_INLINE __m256 avx2_turn(__m256 v, bool min) { return _mm256_xor_ps(v, _mm256_set1_ps(min ? -0.0f : 0.0f)); }
AVX2 LAMINA_INLINE avx2_best avx2_start(float worst, int64_t at) {
  const __m256 all = _mm256_castsi256_ps(_mm256_set1_epi32(-1));
  return (avx2_best){_mm256_set1_ps(worst), all, _mm256_set1_epi32((int32_t)at)};
}
AVX2 LAMINA_INLINE avx2_best avx2_take(avx2_best b, __m256 v, int64_t i, bool indices) {
  const __m256 wins = _mm256_and_ps(b.open, _mm256_cmp_ps(v, b.v, _CMP_NLE_UQ));
  b.v = _mm256_blendv_ps(b.v, v, wins);
  if (indices) b.at = _mm256_blendv_epi8(b.at, _mm256_set1_epi32((int32_t)i), _mm256_castps_si256(wins));
  b.open = _mm256_and_ps(b.open, _mm256_cmp_ps(v, v, _CMP_ORD_Q));
  return b;
}
AVX2 LAMINA_INLINE void avx2_store_indices(int32_t *to, avx2_best b) { _mm256_storeu_si256((void *)to, b.at); }

KERNEL(avx2, AVX2, __m256, 8)
#endif

/* ---- Plain C ---------------------------------------------------------------------------------------------------- */

typedef struct plain_best {
  float v;
  int32_t at;
} plain_best;

LAMINA_INLINE float plain_spread(float v) { return v; }
LAMINA_INLINE float plain_load(const void *x, int64_t i, bool bf16) { return lamina_loop_get(x, i, bf16); }
LAMINA_INLINE void plain_store(void *y, int64_t i, float v, bool bf16) { lamina_loop_set(y, i, v, bf16); }
LAMINA_INLINE float plain_turn(float v, bool min) { return min ? -v : v; }
LAMINA_INLINE plain_best plain_start(float worst, int64_t at) { return (plain_best){worst, (int32_t)at}; }
LAMINA_INLINE plain_best plain_take(plain_best b, float v, int64_t i, bool indices) {
  if (v <= b.v || b.v != b.v) return b;
  b.v = v;
  if (indices) b.at = (int32_t)i;
  return b;
}
LAMINA_INLINE void plain_store_indices(int32_t *to, plain_best b) { *to = b.at; }

KERNEL(plain, , float, 1)

#define ROW(isa, name, width, share)                                                                                   \
  [isa] = {#name, width, share, {name##_extreme_f32, name##_extreme_bf16}, {name##_average_f32, name##_average_bf16}}
static const lamina_pool_kernel kernels[LAMINA_ISAS] = {
#ifdef X86
    ROW(LAMINA_AVX512, avx512, 16, 0.05),
    ROW(LAMINA_AVX2, avx2, 8, 0.025),
#endif
    ROW(LAMINA_PLAIN, plain, 1, 0.0025),
};

const lamina_pool_kernel *lamina_pool_kernel_at(int index) {
  const lamina_isa isa = lamina_isa_at(index);
  return isa == LAMINA_ISAS ? NULL : &kernels[isa];
}

lamina_pool_scatter_fn *lamina_pool_scatter_kernel(void) {
#ifdef X86
  if (__builtin_cpu_supports("avx512f")) return avx512_scatter_row;
#endif
  return NULL;
}
