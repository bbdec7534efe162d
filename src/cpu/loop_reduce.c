/* Sums, means and maxima over axes on the CPU: the geometry and the sums are in cpu/reduce.c. */
#include "cpu/move.h"
#include "cpu/reduce.h"
#include "lamina/reduce.h"

static lamina_reduction reduction_of(const lamina_plan *plan, int x) {
  const lamina_desc *desc = &plan->problem.arg[x];
  return lamina_reduction_of(desc->rank, desc->dims,
                             (unsigned)((const lamina_reduce *)lamina_attr(&plan->problem))->axes);
}

/* How many elements of argument x become one. */
static double members(const lamina_plan *plan, int x, int y) {
  return (double)lamina_desc_count(&plan->problem.arg[x]) / (double)lamina_desc_count(&plan->problem.arg[y]);
}

static bool is_mean(const lamina_plan *plan) { return strncmp(plan->op->name, "mean/", 5) == 0; }

/* ---- Sums and means --------------------------------------------------------------------------------------------- */

typedef struct source {
  int32_t dtype;
  const void *x;
} source;

static const float *read(const void *context, int64_t i, int64_t n, float *buffer) {
  const source *s = context;
  return lamina_row_read(s->dtype, s->x, i, n, buffer);
}

static lamina_status prepare_sum(lamina_plan *plan) {
  const lamina_reduction r = reduction_of(plan, 0);
  plan->workspace = lamina_reduction_workspace(&r);
  return LAMINA_OK;
}

static lamina_status sum_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  enum { X, Y };
  const lamina_desc *arg = plan->problem.arg;
  const lamina_reduction r = reduction_of(plan, X);
  const source s = {arg[X].dtype, args->p[X]};
  (void)stream;
  lamina_reduce_sum(&r, read, &s, is_mean(plan) ? members(plan, X, Y) : 1, workspace, arg[Y].dtype, args->p[Y]);
  return LAMINA_OK;
}

LAMINA_CLONES static void scale_row(int64_t n, float factor, const float *x, float *y) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; i++) y[i] = factor * x[i];
}
LAMINA_CLONES static void fill_row(int64_t n, float value, float *y) {
  for (int64_t i = 0; i < n; i++) y[i] = value;
}

static lamina_status sum_backward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                  lamina_stream *stream) {
  enum { DY, DX };
  const lamina_desc *dy = &plan->problem.arg[DY], *dx = &plan->problem.arg[DX];
  const lamina_reduction r = reduction_of(plan, DX);
  const float factor = is_mean(plan) ? (float)(1 / members(plan, DX, DY)) : 1;
  const int64_t count = lamina_desc_count(dx), cuts = (r.length + LAMINA_ROW - 1) / LAMINA_ROW;
  const int64_t pieces = count / r.length * cuts;
  (void)workspace, (void)stream;
#pragma omp parallel for schedule(static) if (count >= LAMINA_LOOP_PARALLEL)
  for (int64_t p = 0; p < pieces; p++) {
    float dys[LAMINA_ROW], dxs[LAMINA_ROW];
    const int64_t first = p % cuts * LAMINA_ROW, n = lamina_row_size(r.length, first);
    const int64_t i = p / cuts * r.length + first, at = lamina_reduction_row(&r, p / cuts);
    float *to = lamina_row_for(dx->dtype, args->p[DX], i, dxs);
    if (r.reduced[r.groups - 1])
      fill_row(n, factor * *lamina_row_read(dy->dtype, args->p[DY], at, 1, dys), to);
    else
      scale_row(n, factor, lamina_row_read(dy->dtype, args->p[DY], at + first, n, dys), to);
    lamina_row_write(dx->dtype, args->p[DX], i, n, to);
  }
  return LAMINA_OK;
}

/* ---- Maxima ----------------------------------------------------------------------------------------------------- */

static lamina_status max_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  enum { X, Y, INDICES };
  const lamina_desc *arg = plan->problem.arg;
  const lamina_reduction r = reduction_of(plan, X);
  (void)workspace, (void)stream;
  lamina_reduce_max(&r, arg[X].dtype, args->p[X], arg[Y].dtype, args->p[Y],
                    arg[INDICES].dtype ? args->p[INDICES] : NULL);
  return LAMINA_OK;
}

/* It counts even where nobody asks for indices. */
static void max_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                           lamina_candidate_fn *each, void *context) {
  enum { X, Y };
  if (lamina_desc_count(&problem->arg[X]) / lamina_desc_count(&problem->arg[Y]) > INT32_MAX)
    each(context, NULL, 0, "it counts the elements of a maximum in 32 bits");
  else
    lamina_row_candidates(device, problem, engine, each, context);
}

static lamina_status max_backward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                  lamina_stream *stream) {
  enum { DY, INDICES, DX };
  const lamina_desc *dy = &plan->problem.arg[DY], *dx = &plan->problem.arg[DX];
  const int64_t axes = ((const lamina_reduce *)lamina_attr(&plan->problem))->axes;
  const int64_t outputs = lamina_desc_count(dy), count = lamina_desc_count(dx) / outputs;
  const int32_t *indices = args->p[INDICES];
  static const uint64_t zero = 0;
  (void)workspace, (void)stream;
  lamina_cpu_set(lamina_dtype_size((lamina_dtype)dx->dtype), dx->rank, dx->dims, &zero, args->p[DX], dx->strides);
#pragma omp parallel for schedule(static) if (outputs >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < outputs; i += LAMINA_ROW) {
    float dys[LAMINA_ROW];
    const int64_t n = lamina_row_size(outputs, i);
    const float *row = lamina_row_read(dy->dtype, args->p[DY], i, n, dys);
    for (int64_t j = 0; j < n; j++) {
      int64_t output = i + j, member = indices[i + j], offset = 0;
      if (member < 0 || member >= count) continue;
      for (int d = dx->rank - 1; d >= 0; d--) {
        int64_t *from = axes >> d & 1 ? &member : &output;
        offset += *from % dx->dims[d] * dx->strides[d];
        *from /= dx->dims[d];
      }
      lamina_row_write(dx->dtype, args->p[DX], offset, 1, &row[j]);
    }
  }
  return LAMINA_OK;
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

#define ENGINE(op_, candidates_, prepare_, run_)                                                                       \
  LAMINA_LOOP_ENGINE(op_, LAMINA_STRIDES_DENSE), .candidates = (candidates_), .prepare = (prepare_), .run = (run_)
const lamina_engine lamina_cpu_loop_sum_forward = {
    ENGINE("sum/forward", lamina_row_candidates, prepare_sum, sum_forward)};
const lamina_engine lamina_cpu_loop_sum_backward = {ENGINE("sum/backward", lamina_row_candidates, NULL, sum_backward)};
const lamina_engine lamina_cpu_loop_mean_forward = {
    ENGINE("mean/forward", lamina_row_candidates, prepare_sum, sum_forward)};
const lamina_engine lamina_cpu_loop_mean_backward = {
    ENGINE("mean/backward", lamina_row_candidates, NULL, sum_backward)};
const lamina_engine lamina_cpu_loop_max_forward = {ENGINE("max/forward", max_candidates, NULL, max_forward)};
const lamina_engine lamina_cpu_loop_max_backward = {ENGINE("max/backward", lamina_row_candidates, NULL, max_backward)};
