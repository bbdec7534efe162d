/* Local response normalisation on the CPU, in passes over whole tensors in f32:
 *
 *   squares of x  → sums over windows, along one axis after the other → y = x * s^-beta
 *   backward also: t = dy * x * s^(-beta-1) → sums over the windows turned round → dx
 *
 * A sum along an axis of [outer, n, inner] is one of shifted runs: element i takes i + w * inner for each w of the window,
 * for a block of elements that stay in the cache. It is summed afresh for every element, since a running sum would
 * keep the rounding errors of large neighbours. y may lie on x, dx on dy: sums are made before anything is written. */
#include <math.h>

#include "cpu/loop.h"
#include "lamina/lrn.h"

enum { X, Y };
enum { DY = 1, DX };   /* backward */
enum { BLOCK = 1024 }; /* elements that are summed, or normalised, together */

/* One axis. */
typedef struct axis {
  int64_t outer, n, inner, back, ahead;
} axis;

typedef struct sizes {
  axis along[3];
  int axes;
  int64_t count;
  float scale, k, beta; /* scale: alpha / n */
} sizes;

static sizes sizes_of(const lamina_problem *p) {
  const lamina_desc *x = &p->arg[X];
  const lamina_lrn *lrn = lamina_attr(p);
  sizes s = {.count = lamina_desc_count(x), .k = (float)lrn->k, .beta = (float)lrn->beta};
  double elements = 1;
  for (int a = lrn->within ? 2 : 1; a < (lrn->within ? x->rank : 2); a++) {
    axis *along = &s.along[s.axes++];
    *along = (axis){1, x->dims[a], 1, (lrn->size - 1) / 2, lrn->size / 2};
    for (int d = 0; d < a; d++) along->outer *= x->dims[d];
    for (int d = a + 1; d < x->rank; d++) along->inner *= x->dims[d];
    elements *= (double)lrn->size;
  }
  s.scale = (float)(lrn->alpha / elements);
  return s;
}

/* ---- Sums along one axis ---------------------------------------------------------------------------------------- */

/* Elements first … first + width - 1 of plane `at` (n * inner elements). */
LAMINA_INLINE void sum_block(const axis *a, const void *x, int64_t first, int64_t width, float *y, bool square,
                             bool bf16) {
  float sum[BLOCK];
  for (int64_t i = 0; i < width; i++) sum[i] = 0;
  const int64_t back = a->back < a->n ? a->back : a->n - 1, ahead = a->ahead < a->n ? a->ahead : a->n - 1;
  for (int64_t w = -back; w <= ahead; w++) {
    const int64_t low = (w < 0 ? -w : 0) * a->inner, high = (w > 0 ? a->n - w : a->n) * a->inner;
    const int64_t from = low > first ? low - first : 0, to = high < first + width ? high - first : width;
    const int64_t shift = first + w * a->inner;
    for (int64_t i = from; i < to; i++) {
      const float v = lamina_loop_get(x, shift + i, bf16);
      sum[i] += square ? v * v : v;
    }
  }
  for (int64_t i = 0; i < width; i++) y[first + i] = sum[i];
}

#define SUM(name, square, bf16)                                                                                        \
  LAMINA_CLONES static void name(const axis *a, const void *x, int64_t first, int64_t width, float *y) {               \
    sum_block(a, x, first, width, y, square, bf16);                                                                    \
  }
SUM(sum_squares_f32, true, false)
SUM(sum_squares_bf16, true, true)
SUM(sum_f32, false, false)
typedef void sum_fn(const axis *a, const void *x, int64_t first, int64_t width, float *y);

static void sum_along(const axis *a, sum_fn *sum, const void *x, bool bf16, float *y) {
  const int64_t plane = a->n * a->inner, blocks = (plane + BLOCK - 1) / BLOCK;
#pragma omp parallel for schedule(static) if (a->outer * plane >= LAMINA_LOOP_PARALLEL)
  for (int64_t t = 0; t < a->outer * blocks; t++) {
    const int64_t start = t / blocks * plane, first = t % blocks * BLOCK;
    sum(a, lamina_loop_at(x, start, bf16), first, plane - first < BLOCK ? plane - first : BLOCK, y + start);
  }
}

/* The sums over whole windows of x, or of its squares: in `y`, or in `other` where false comes back. */
static bool sum_windows(const sizes *s, sum_fn *first, const void *x, bool bf16, float *y, float *other) {
  sum_along(&s->along[0], first, x, bf16, y);
  for (int a = 1; a < s->axes; a++) sum_along(&s->along[a], sum_f32, a % 2 ? y : other, false, a % 2 ? other : y);
  return s->axes % 2;
}

/* ---- Powers, y and dx of a block -------------------------------------------------------------------------------- */

/* p = s^-beta, s = k + scale * sum; the common powers are roots. */
LAMINA_INLINE void powers(const sizes *s, int64_t n, const float *sum, float *p, float *base) {
  for (int64_t i = 0; i < n; i++) base[i] = s->k + s->scale * sum[i];
  if (s->beta == 0.75f) {
    for (int64_t i = 0; i < n; i++) {
      const float r = 1 / sqrtf(base[i]);
      p[i] = r * sqrtf(r);
    }
  } else if (s->beta == 0.5f) {
    for (int64_t i = 0; i < n; i++) p[i] = 1 / sqrtf(base[i]);
  } else if (s->beta == 1.0f) {
    for (int64_t i = 0; i < n; i++) p[i] = 1 / base[i];
  } else {
    for (int64_t i = 0; i < n; i++) p[i] = powf(base[i], -s->beta);
  }
}

#define BLOCKS(type, bf16)                                                                                             \
  LAMINA_CLONES static void y_##type(const sizes *s, int64_t n, const void *x, const float *sum, void *y) {            \
    float p[BLOCK], base[BLOCK];                                                                                       \
    powers(s, n, sum, p, base);                                                                                        \
    _Pragma("GCC ivdep") for (int64_t i = 0; i < n; i++)                                                               \
        lamina_loop_set(y, i, lamina_loop_get(x, i, bf16) * p[i], bf16);                                               \
  }                                                                                                                    \
  /* sum becomes s^-beta, term dy * x * s^(-beta-1) */                                                                 \
  LAMINA_CLONES static void term_##type(const sizes *s, int64_t n, const void *x, const void *dy, float *sum,          \
                                        float *term) {                                                                 \
    float p[BLOCK], base[BLOCK];                                                                                       \
    powers(s, n, sum, p, base);                                                                                        \
    for (int64_t i = 0; i < n; i++) {                                                                                  \
      term[i] = lamina_loop_get(dy, i, bf16) * (lamina_loop_get(x, i, bf16) * (p[i] / base[i]));                       \
      sum[i] = p[i];                                                                                                   \
    }                                                                                                                  \
  }                                                                                                                    \
  LAMINA_CLONES static void dx_##type(const sizes *s, int64_t n, const void *x, const void *dy, const float *p,        \
                                      const float *term, void *dx) {                                                   \
    const float c = 2 * s->scale * s->beta;                                                                            \
    _Pragma("GCC ivdep") for (int64_t i = 0; i < n; i++)                                                               \
        lamina_loop_set(dx, i, lamina_loop_get(dy, i, bf16) * p[i] - c * lamina_loop_get(x, i, bf16) * term[i], bf16); \
  }
BLOCKS(f32, false)
BLOCKS(bf16, true)

/* ---- Engines ---------------------------------------------------------------------------------------------------- */

static size_t buffer_elements(const sizes *s) { return ((size_t)s->count + 15) / 16 * 16; }

static lamina_status prepare_forward(lamina_plan *plan) {
  const sizes s = sizes_of(&plan->problem);
  plan->workspace = (s.axes > 1 ? 2 : 1) * buffer_elements(&s) * sizeof(float);
  return LAMINA_OK;
}

static lamina_status run_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  const sizes s = sizes_of(&plan->problem);
  const bool bf16 = lamina_loop_is_bf16(plan, X);
  float *sum = workspace, *other = s.axes > 1 ? sum + buffer_elements(&s) : NULL;
  (void)stream;
  if (!sum_windows(&s, bf16 ? sum_squares_bf16 : sum_squares_f32, args->p[X], bf16, sum, other)) sum = other;
#pragma omp parallel for schedule(static) if (s.count >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < s.count; i += BLOCK)
    (bf16 ? y_bf16 : y_f32)(&s, s.count - i < BLOCK ? s.count - i : BLOCK, lamina_loop_at(args->p[X], i, bf16), sum + i,
                            lamina_loop_to(args->p[Y], i, bf16));
  return LAMINA_OK;
}

static lamina_status prepare_backward(lamina_plan *plan) {
  const sizes s = sizes_of(&plan->problem);
  plan->workspace = 3 * buffer_elements(&s) * sizeof(float);
  return LAMINA_OK;
}

static lamina_status run_backward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                  lamina_stream *stream) {
  sizes s = sizes_of(&plan->problem);
  const bool bf16 = lamina_loop_is_bf16(plan, X);
  float *power = workspace, *term = power + buffer_elements(&s), *other = term + buffer_elements(&s);
  (void)stream;
  if (!sum_windows(&s, bf16 ? sum_squares_bf16 : sum_squares_f32, args->p[X], bf16, power, term)) {
    float *swap = power;
    power = term, term = swap;
  }
#pragma omp parallel for schedule(static) if (s.count >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < s.count; i += BLOCK)
    (bf16 ? term_bf16 : term_f32)(&s, s.count - i < BLOCK ? s.count - i : BLOCK, lamina_loop_at(args->p[X], i, bf16),
                                  lamina_loop_at(args->p[DY], i, bf16), power + i, term + i);
  for (int a = 0; a < s.axes; a++) { /* the windows that an element is in */
    const int64_t back = s.along[a].back;
    s.along[a].back = s.along[a].ahead, s.along[a].ahead = back;
  }
  const float *sums = sum_windows(&s, sum_f32, term, false, other, term) ? other : term;
#pragma omp parallel for schedule(static) if (s.count >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < s.count; i += BLOCK)
    (bf16 ? dx_bf16 : dx_f32)(&s, s.count - i < BLOCK ? s.count - i : BLOCK, lamina_loop_at(args->p[X], i, bf16),
                              lamina_loop_at(args->p[DY], i, bf16), power + i, sums + i,
                              lamina_loop_to(args->p[DX], i, bf16));
  return LAMINA_OK;
}

#define ENGINE(pass)                                                                                                   \
  LAMINA_LOOP_ENGINE("lrn/" #pass, LAMINA_STRIDES_DENSE), .candidates = lamina_loop_candidates,                        \
                                                          .prepare = prepare_##pass, .run = run_##pass
const lamina_engine lamina_cpu_loop_lrn_forward = {ENGINE(forward)};
const lamina_engine lamina_cpu_loop_lrn_backward = {ENGINE(backward)};
