/* PReLU on the CPU, over [rows][each][area]: `each` slopes follow each other `area` elements apart, row after row.
 *
 *   [N, C, spatial…] with a slope a channel   rows N, each C, area the positions
 *   one slope for all                         rows of CHUNK elements, each 1: the last row is shorter
 *
 * dslope: each row gives partial sums [rows][each] in f64, or, where an area is one element, each chunk of rows does:
 * their number depends on the shape alone, so the result does not on the number of threads. y may lie on x, dx on dy. */
#include "cpu/loop_norm.h"
#include "lamina/prelu.h"

enum { X, SLOPE, Y };
enum { DY = 2, DX, DSLOPE }; /* backward */
enum { CHUNK = 8192, ROWS = 256 };

typedef struct sizes {
  int64_t rows, each, area, count; /* count: all elements */
  int64_t parts;                   /* partial sums of each slope */
} sizes;

static sizes sizes_of(const lamina_problem *p) {
  const lamina_desc *x = &p->arg[X];
  sizes s = {.rows = x->dims[0], .each = p->arg[SLOPE].dims[0], .area = 1, .count = lamina_desc_count(x)};
  if (s.each == 1) {
    s.area = CHUNK, s.rows = (s.count + CHUNK - 1) / CHUNK;
  } else {
    for (int d = 2; d < x->rank; d++) s.area *= x->dims[d];
  }
  s.parts = s.area == 1 ? (s.rows + ROWS - 1) / ROWS : s.rows;
  return s;
}

/* ---- One run of elements with one slope, or one row of slopes side by side ----------------------------------------- */

LAMINA_INLINE float forward(float x, float slope) { return x > 0 ? x : x * slope; }
LAMINA_INLINE float backward(float x, float dy, float slope) { return x > 0 ? dy : dy * slope; }
LAMINA_INLINE double part_of(float x, float dy) { return x > 0 ? 0 : (double)x * (double)dy; }

#define RUNS(type, bf16)                                                                                               \
  LAMINA_CLONES static void forward_run_##type(int64_t n, const void *x, float slope, void *y) {                       \
    _Pragma("GCC ivdep") for (int64_t i = 0; i < n; i++)                                                               \
        lamina_loop_set(y, i, forward(lamina_loop_get(x, i, bf16), slope), bf16);                                      \
  }                                                                                                                    \
  LAMINA_CLONES static void forward_row_##type(int64_t n, const void *x, const float *slope, void *y) {                \
    _Pragma("GCC ivdep") for (int64_t i = 0; i < n; i++)                                                               \
        lamina_loop_set(y, i, forward(lamina_loop_get(x, i, bf16), slope[i]), bf16);                                   \
  }                                                                                                                    \
  LAMINA_CLONES static void backward_run_##type(int64_t n, const void *x, float slope, const void *dy, void *dx,       \
                                                double *sum) {                                                         \
    double lane[LAMINA_NORM_LANES] = {0};                                                                              \
    int64_t i = 0;                                                                                                     \
    for (; i + LAMINA_NORM_LANES <= n; i += LAMINA_NORM_LANES)                                                         \
      for (int64_t j = 0; j < LAMINA_NORM_LANES; j++)                                                                  \
        lane[j] += part_of(lamina_loop_get(x, i + j, bf16), lamina_loop_get(dy, i + j, bf16));                         \
    for (int64_t j = 0; i + j < n; j++)                                                                                \
      lane[j] += part_of(lamina_loop_get(x, i + j, bf16), lamina_loop_get(dy, i + j, bf16));                           \
    *sum = lamina_loop_lanes(lane);                                                                                    \
    _Pragma("GCC ivdep") for (i = 0; i < n; i++)                                                                       \
        lamina_loop_set(dx, i, backward(lamina_loop_get(x, i, bf16), lamina_loop_get(dy, i, bf16), slope), bf16);      \
  }                                                                                                                    \
  LAMINA_CLONES static void backward_row_##type(int64_t n, const void *x, const float *slope, const void *dy,          \
                                                void *dx, double *restrict sum) {                                      \
    for (int64_t i = 0; i < n; i++) sum[i] += part_of(lamina_loop_get(x, i, bf16), lamina_loop_get(dy, i, bf16));      \
    _Pragma("GCC ivdep") for (int64_t i = 0; i < n; i++)                                                               \
        lamina_loop_set(dx, i, backward(lamina_loop_get(x, i, bf16), lamina_loop_get(dy, i, bf16), slope[i]), bf16);   \
  }
RUNS(f32, false)
RUNS(bf16, true)

/* ---- Engines ---------------------------------------------------------------------------------------------------- */

static size_t slope_bytes(const sizes *s) { return ((size_t)s->each * sizeof(float) + 63) / 64 * 64; }

static lamina_status prepare_forward(lamina_plan *plan) {
  const sizes s = sizes_of(&plan->problem);
  plan->workspace = slope_bytes(&s);
  return LAMINA_OK;
}

static void read_slopes(const lamina_plan *plan, const lamina_args *args, const sizes *s, float *slope) {
  for (int64_t c = 0; c < s->each; c++) slope[c] = (float)lamina_loop_number(plan, args, SLOPE, c, 0);
}

/* Elements of the run from `at` on. */
static int64_t run_length(const sizes *s, int64_t at) { return s->count - at < s->area ? s->count - at : s->area; }

static lamina_status run_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  const sizes s = sizes_of(&plan->problem);
  const bool bf16 = lamina_loop_is_bf16(plan, X), side_by_side = s.area == 1;
  float *slope = workspace;
  (void)stream;
  read_slopes(plan, args, &s, slope);
#pragma omp parallel for schedule(static) if (s.count >= LAMINA_LOOP_PARALLEL)
  for (int64_t run = 0; run < (side_by_side ? s.rows : s.rows * s.each); run++) {
    const int64_t at = run * (side_by_side ? s.each : s.area);
    const void *x = lamina_loop_at(args->p[X], at, bf16);
    void *y = lamina_loop_to(args->p[Y], at, bf16);
    if (side_by_side)
      (bf16 ? forward_row_bf16 : forward_row_f32)(s.each, x, slope, y);
    else
      (bf16 ? forward_run_bf16 : forward_run_f32)(run_length(&s, at), x, slope[run % s.each], y);
  }
  return LAMINA_OK;
}

static lamina_status prepare_backward(lamina_plan *plan) {
  const sizes s = sizes_of(&plan->problem);
  plan->workspace = slope_bytes(&s) + (size_t)(s.parts * s.each) * sizeof(double);
  return LAMINA_OK;
}

/* Part k of the rows, which may be one row. */
static void backward_part(const lamina_plan *plan, const lamina_args *args, const sizes *s, int64_t k,
                          const float *slope, double *sum) {
  const bool bf16 = lamina_loop_is_bf16(plan, X);
  if (s->area > 1) {
    for (int64_t c = 0; c < s->each; c++) {
      const int64_t at = (k * s->each + c) * s->area;
      (bf16 ? backward_run_bf16 : backward_run_f32)(run_length(s, at), lamina_loop_at(args->p[X], at, bf16), slope[c],
                                                    lamina_loop_at(args->p[DY], at, bf16),
                                                    lamina_loop_to(args->p[DX], at, bf16), &sum[c]);
    }
    return;
  }
  memset(sum, 0, (size_t)s->each * sizeof *sum);
  for (int64_t row = k * ROWS; row < s->rows && row < (k + 1) * ROWS; row++)
    (bf16 ? backward_row_bf16 : backward_row_f32)(s->each, lamina_loop_at(args->p[X], row * s->each, bf16), slope,
                                                  lamina_loop_at(args->p[DY], row * s->each, bf16),
                                                  lamina_loop_to(args->p[DX], row * s->each, bf16), sum);
}

static lamina_status run_backward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                  lamina_stream *stream) {
  const sizes s = sizes_of(&plan->problem);
  float *slope = workspace;
  double *sum = (void *)((char *)workspace + slope_bytes(&s)); /* [parts, each] */
  (void)stream;
  read_slopes(plan, args, &s, slope);
#pragma omp parallel for schedule(static) if (s.count >= LAMINA_LOOP_PARALLEL)
  for (int64_t k = 0; k < s.parts; k++) backward_part(plan, args, &s, k, slope, sum + k * s.each);
  for (int64_t c = 0; c < s.each; c++) {
    double total = 0;
    for (int64_t k = 0; k < s.parts; k++) total += sum[k * s.each + c];
    lamina_loop_put(plan, args, DSLOPE, c, total);
  }
  return LAMINA_OK;
}

#define ENGINE(pass)                                                                                                   \
  LAMINA_LOOP_ENGINE("prelu/" #pass, LAMINA_STRIDES_DENSE), .candidates = lamina_loop_norm_candidates,                 \
                                                            .prepare = prepare_##pass, .run = run_##pass
const lamina_engine lamina_cpu_loop_prelu_forward = {ENGINE(forward)};
const lamina_engine lamina_cpu_loop_prelu_backward = {ENGINE(backward)};
