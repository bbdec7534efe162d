/* The way back through windows that tile their plane, as most pools' do: each writes all of its own elements at once, dy
 * where a lane's index says and 0 elsewhere, so that dx is neither cleared before nor read.
 *
 *   kernel  lanes at a time  an element of a window is
 *   avx512  16               a comparison into a mask, a masked move, a store
 *   avx2    8                a comparison, two and's, a store
 *   plain   1                written by itself
 *
 * What bounds them is the stores. */
#include "cpu/isa.h"
#include "cpu/lanes_pool.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define X86 1
#endif

bool lamina_pool_tiles(const lamina_loop_pool *s) {
  bool tiles = s->kernel[0] == 1 && s->x[0] == s->y[0];
  for (int a = 0; a < 3; a++)
    tiles &= s->stride[a] == s->kernel[a] && s->dilation[a] == 1 && s->pad[a] == 0 && s->y[a] * s->kernel[a] <= s->x[a];
  return tiles;
}

/* Defines NAME_fill from what NAME_open, NAME_write and NAME_all do with a vector of lanes: of a window its dy, 0 where
 * the gate is shut, and its indices; and which lanes have found their element. */
#define KERNEL(name, TARGET, WIDTH)                                                                                    \
  TARGET LAMINA_INLINE bool name##_rows(const lamina_pool_scatter *r, const lamina_loop_pool *s, int64_t first,        \
                                        bool bf16) {                                                                   \
    bool all = true;                                                                                                   \
    for (int64_t w = 0; w < r->width; w++)                                                                             \
      for (int64_t l = 0; l < r->lanes; l += WIDTH) {                                                                  \
        name##_window window = name##_open(r, w, l, bf16);                                                             \
        for (int64_t h = 0; h < s->kernel[1]; h++) {                                                                   \
          const int64_t place = first + h * s->x[2] + w * s->kernel[2];                                                \
          float *to = r->sum + place * r->step + l;                                                                    \
          for (int64_t k = 0; k < s->kernel[2]; k++, to += r->step) name##_write(&window, (int32_t)(place + k), to);   \
        }                                                                                                              \
        all &= name##_all(&window);                                                                                    \
      }                                                                                                                \
    for (int64_t h = 0; h < s->kernel[1]; h++) /* what no window covers */                                             \
      for (int64_t k = r->width * s->kernel[2]; k < s->x[2]; k++)                                                      \
        memset(r->sum + (first + h * s->x[2] + k) * r->step, 0, (size_t)r->lanes * sizeof *r->sum);                    \
    return all;                                                                                                        \
  }                                                                                                                    \
  TARGET static bool name##_fill(const lamina_pool_scatter *r, const lamina_loop_pool *s, int64_t first) {             \
    return r->bf16 ? name##_rows(r, s, first, true) : name##_rows(r, s, first, false);                                 \
  }

#ifdef X86
/* ---- AVX-512 ---------------------------------------------------------------------------------------------------- */

#define AVX512 __attribute__((target("avx512f")))

typedef struct avx512_window {
  __m512 dy;
  __m512i at;
  __mmask16 found;
} avx512_window;

AVX512 LAMINA_INLINE __m512 avx512_load(const void *x, int64_t i, bool bf16) {
  if (!bf16) return _mm512_loadu_ps((const float *)x + i);
  const __m256i half = _mm256_loadu_si256((const void *)((const uint16_t *)x + i));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}
AVX512 LAMINA_INLINE avx512_window avx512_open(const lamina_pool_scatter *r, int64_t w, int64_t l, bool bf16) {
  avx512_window window = {avx512_load(r->dy, w * r->dy_place + l, bf16),
                          _mm512_loadu_si512(r->indices + w * r->indices_place + l), 0};
  if (!r->gate) return window;
  const __m512 gate = avx512_load(r->gate, w * r->gate_place + l, bf16);
  window.dy = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(gate, _mm512_setzero_ps(), _CMP_GT_OQ), window.dy);
  return window;
}
AVX512 LAMINA_INLINE void avx512_write(avx512_window *window, int32_t place, float *to) {
  const __mmask16 here = _mm512_cmpeq_epi32_mask(window->at, _mm512_set1_epi32(place));
  _mm512_storeu_ps(to, _mm512_maskz_mov_ps(here, window->dy));
  window->found |= here;
}
AVX512 LAMINA_INLINE bool avx512_all(const avx512_window *window) { return window->found == 0xffff; }

KERNEL(avx512, AVX512, 16)

/* ---- AVX2 ------------------------------------------------------------------------------------------------------- */

#define AVX2 __attribute__((target("avx2")))

typedef struct avx2_window {
  __m256 dy, found;
  __m256i at;
} avx2_window;

AVX2 LAMINA_INLINE __m256 avx2_load(const void *x, int64_t i, bool bf16) {
  if (!bf16) return _mm256_loadu_ps((const float *)x + i);
  const __m128i half = _mm_loadu_si128((const void *)((const uint16_t *)x + i));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}
AVX2 LAMINA_INLINE avx2_window avx2_open(const lamina_pool_scatter *r, int64_t w, int64_t l, bool bf16) {
  avx2_window window = {avx2_load(r->dy, w * r->dy_place + l, bf16), _mm256_setzero_ps(),
                        _mm256_loadu_si256((const void *)(r->indices + w * r->indices_place + l))};
  if (!r->gate) return window;
  const __m256 gate = avx2_load(r->gate, w * r->gate_place + l, bf16);
  window.dy = _mm256_and_ps(_mm256_cmp_ps(gate, _mm256_setzero_ps(), _CMP_GT_OQ), window.dy);
  return window;
}
AVX2 LAMINA_INLINE void avx2_write(avx2_window *window, int32_t place, float *to) {
  const __m256 here = _mm256_castsi256_ps(_mm256_cmpeq_epi32(window->at, _mm256_set1_epi32(place)));
  _mm256_storeu_ps(to, _mm256_and_ps(here, window->dy));
  window->found = _mm256_or_ps(window->found, here);
}
AVX2 LAMINA_INLINE bool avx2_all(const avx2_window *window) { return _mm256_movemask_ps(window->found) == 0xff; }

KERNEL(avx2, AVX2, 8)
#endif

/* ---- Plain C ---------------------------------------------------------------------------------------------------- */

typedef struct plain_window {
  float dy;
  int32_t at;
  bool found;
} plain_window;

LAMINA_INLINE plain_window plain_open(const lamina_pool_scatter *r, int64_t w, int64_t l, bool bf16) {
  const float dy = lamina_loop_get(r->dy, w * r->dy_place + l, bf16);
  const bool open = !r->gate || lamina_loop_get(r->gate, w * r->gate_place + l, bf16) > 0;
  return (plain_window){open ? dy : 0, r->indices[w * r->indices_place + l], false};
}
LAMINA_INLINE void plain_write(plain_window *window, int32_t place, float *to) {
  const bool here = window->at == place;
  *to = here ? window->dy : 0;
  window->found |= here;
}
LAMINA_INLINE bool plain_all(const plain_window *window) { return window->found; }

KERNEL(plain, , 1)

lamina_pool_fill_fn *lamina_pool_fill_at(int index) {
  static lamina_pool_fill_fn *const kernels[LAMINA_ISAS] = {
#ifdef X86
      [LAMINA_AVX512] = avx512_fill,
      [LAMINA_AVX2] = avx2_fill,
#endif
      [LAMINA_PLAIN] = plain_fill,
  };
  const lamina_isa isa = lamina_isa_at(index);
  return isa == LAMINA_ISAS ? NULL : kernels[isa];
}
