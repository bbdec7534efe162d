/* Scale and fill on the CPU: one pass over memory. y may lie on x: elements don't meet. */
#include <float.h>
#include <math.h>

#include "cpu/rows.h"
#include "lamina/arithmetic.h"
#include "lamina/fill.h"

/* ---- Scale ------------------------------------------------------------------------------------------------------ */

LAMINA_CLONES static void scale_row(int64_t n, float factor, const float *x, float *y) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; i++) y[i] = factor * x[i];
}

static void scale_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                             lamina_candidate_fn *each, void *context) {
  const double size = fabs(((const lamina_scale *)lamina_attr(problem))->factor);
  if (size != 0 && (size < (double)FLT_MIN || size > (double)FLT_MAX))
    each(context, NULL, 0, "it computes in f32, which can't hold this factor");
  else
    lamina_row_candidates(device, problem, engine, each, context);
}

/* Both passes. */
static lamina_status scale(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  enum { X, Y };
  (void)workspace, (void)stream;
  const lamina_desc *arg = plan->problem.arg;
  const int64_t count = lamina_desc_count(&arg[Y]);
  const float factor = (float)((const lamina_scale *)lamina_attr(&plan->problem))->factor;
#pragma omp parallel for schedule(static) if (count >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < count; i += LAMINA_ROW) {
    float xs[LAMINA_ROW], ys[LAMINA_ROW];
    const int64_t n = lamina_row_size(count, i);
    float *y = lamina_row_for(arg[Y].dtype, args->p[Y], i, ys);
    scale_row(n, factor, lamina_row_read(arg[X].dtype, args->p[X], i, n, xs), y);
    lamina_row_write(arg[Y].dtype, args->p[Y], i, n, y);
  }
  return LAMINA_OK;
}

#define SCALE(pass)                                                                                                    \
  LAMINA_LOOP_ENGINE("scale/" #pass, LAMINA_STRIDES_SAME), .candidates = scale_candidates, .run = scale
const lamina_engine lamina_cpu_loop_scale_forward = {SCALE(forward)};
const lamina_engine lamina_cpu_loop_scale_backward = {SCALE(backward)};

/* ---- Fill ------------------------------------------------------------------------------------------------------- */

/* n elements of `size` bytes each like the first `size` of `value`. */
static void fill_row(size_t size, int64_t n, const uint64_t *value, void *y) {
  uint32_t v4;
  uint16_t v2;
  memcpy(&v4, value, sizeof v4);
  memcpy(&v2, value, sizeof v2);
  switch (size) {
  case 1: memset(y, *(const uint8_t *)value, (size_t)n); break;
  case 2:
    for (int64_t i = 0; i < n; i++) ((uint16_t *)y)[i] = v2;
    break;
  case 4:
    for (int64_t i = 0; i < n; i++) ((uint32_t *)y)[i] = v4;
    break;
  default:
    for (int64_t i = 0; i < n; i++) ((uint64_t *)y)[i] = *value;
    break;
  }
}

static void fill_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                            lamina_candidate_fn *each, void *context) {
  (void)engine;
  lamina_row_offer(device, problem, each, context);
}

static lamina_status fill(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  (void)workspace, (void)stream;
  const lamina_desc *y = &plan->problem.arg[0];
  const size_t size = lamina_dtype_size((lamina_dtype)y->dtype);
  const int64_t count = lamina_desc_count(y);
  uint64_t value = 0;
  lamina_store((lamina_dtype)y->dtype, &value, 0, ((const lamina_fill *)lamina_attr(&plan->problem))->value);
#pragma omp parallel for schedule(static) if (count >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < count; i += LAMINA_ROW)
    fill_row(size, lamina_row_size(count, i), &value, (char *)args->p[0] + i * (int64_t)size);
  return LAMINA_OK;
}

const lamina_engine lamina_cpu_loop_fill = {
    LAMINA_LOOP_ENGINE("fill/forward", LAMINA_STRIDES_SAME),
    .candidates = fill_candidates,
    .run = fill,
};
