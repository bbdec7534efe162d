/* Norms and clipping on the CPU: one pass over memory each. y may lie on x: elements don't meet. */
#include <math.h>

#include "cpu/rows.h"
#include "lamina/clip.h"

/* ---- The norm --------------------------------------------------------------------------------------------------- */

enum { BLOCK = 64 * LAMINA_ROW }; /* elements under one partial sum, whatever the number of threads */

static int64_t blocks_of(const lamina_plan *plan) {
  return (lamina_desc_count(&plan->problem.arg[0]) + BLOCK - 1) / BLOCK;
}

LAMINA_CLONES static double squares_of(int64_t n, const float *x) {
  double lane[8] = {0}, sum = 0;
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int64_t j = 0; j < 8; j++) lane[j] += (double)x[i + j] * (double)x[i + j];
  for (int64_t j = 0; j < 8; j++) sum += lane[j];
  for (; i < n; i++) sum += (double)x[i] * (double)x[i];
  return sum;
}

static lamina_status norm2_prepare(lamina_plan *plan) {
  plan->workspace = (size_t)blocks_of(plan) * sizeof(double);
  return LAMINA_OK;
}

static lamina_status norm2_run(const lamina_plan *plan, const lamina_args *args, void *workspace,
                               lamina_stream *stream) {
  enum { X, Y };
  const lamina_desc *arg = plan->problem.arg;
  const int64_t count = lamina_desc_count(&arg[X]), blocks = blocks_of(plan);
  double *const partial = workspace, sum = 0;
  (void)stream;
#pragma omp parallel for schedule(static) if (count >= LAMINA_LOOP_PARALLEL)
  for (int64_t b = 0; b < blocks; b++) {
    float xs[LAMINA_ROW];
    const int64_t end = count < (b + 1) * BLOCK ? count : (b + 1) * BLOCK;
    partial[b] = 0;
    for (int64_t i = b * BLOCK; i < end; i += LAMINA_ROW) {
      const int64_t n = lamina_row_size(end, i);
      partial[b] += squares_of(n, lamina_row_read(arg[X].dtype, args->p[X], i, n, xs));
    }
  }
  for (int64_t b = 0; b < blocks; b++) sum += partial[b];
  lamina_store((lamina_dtype)arg[Y].dtype, args->p[Y], 0, sqrt(sum));
  return LAMINA_OK;
}

const lamina_engine lamina_cpu_loop_norm2 = {
    LAMINA_LOOP_ENGINE("norm2/forward", LAMINA_STRIDES_DENSE),
    .candidates = lamina_row_candidates,
    .prepare = norm2_prepare,
    .run = norm2_run,
};

/* ---- Clipping --------------------------------------------------------------------------------------------------- */

LAMINA_CLONES static void scale_row(int64_t n, double factor, const float *x, float *y) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; i++) y[i] = (float)((double)x[i] * factor);
}
LAMINA_CLONES static void clamp_row(int64_t n, double most, const float *x, float *y) {
  const float limit = (float)most;
#pragma GCC ivdep
  for (int64_t i = 0; i < n; i++) y[i] = x[i] > limit ? limit : x[i] < -limit ? -limit : x[i];
}

typedef void row_fn(int64_t n, double number, const float *x, float *y);

static void each_row(const lamina_plan *plan, const lamina_args *args, int to, row_fn *row, double number) {
  enum { X };
  const lamina_desc *arg = plan->problem.arg;
  const int64_t count = lamina_desc_count(&arg[X]);
#pragma omp parallel for schedule(static) if (count >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < count; i += LAMINA_ROW) {
    float xs[LAMINA_ROW], ys[LAMINA_ROW];
    const int64_t n = lamina_row_size(count, i);
    float *y = lamina_row_for(arg[to].dtype, args->p[to], i, ys);
    row(n, number, lamina_row_read(arg[X].dtype, args->p[X], i, n, xs), y);
    lamina_row_write(arg[to].dtype, args->p[to], i, n, y);
  }
}

static lamina_status clip_norm_run(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                   lamina_stream *stream) {
  enum { X, NORM, GATE, Y };
  const lamina_desc *arg = plan->problem.arg;
  const double max = ((const lamina_clip_norm *)lamina_attr(&plan->problem))->max;
  const double factor = max / (lamina_load((lamina_dtype)arg[NORM].dtype, args->p[NORM], 0) + 1e-6);
  const bool shut = arg[GATE].dtype && !isfinite(lamina_load((lamina_dtype)arg[GATE].dtype, args->p[GATE], 0));
  (void)workspace, (void)stream;
  each_row(plan, args, Y, scale_row, shut || factor >= 1 ? 1 : factor); /* NaN stays one */
  return LAMINA_OK;
}

static lamina_status clip_value_run(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                    lamina_stream *stream) {
  enum { X, Y };
  (void)workspace, (void)stream;
  each_row(plan, args, Y, clamp_row, ((const lamina_clip_value *)lamina_attr(&plan->problem))->max);
  return LAMINA_OK;
}

#define ENGINE(family)                                                                                                 \
  LAMINA_LOOP_ENGINE(#family "/forward", LAMINA_STRIDES_SAME), .candidates = lamina_row_candidates, .run = family##_run
const lamina_engine lamina_cpu_loop_clip_norm = {ENGINE(clip_norm)};
const lamina_engine lamina_cpu_loop_clip_value = {ENGINE(clip_value)};
