/* Engines of sums, means and maxima over axes. */
#include "lamina/reduce.h"

#include "cuda/cuda.h"
#include "kernels/reduce.h"

static bool is_max(const lamina_plan *plan) { return strncmp(plan->op->name, "max/", 4) == 0; }
static bool is_mean(const lamina_plan *plan) { return strncmp(plan->op->name, "mean/", 5) == 0; }

static bool reduced(const lamina_problem *problem, int d) {
  return ((const lamina_reduce *)cuda_attr(problem))->axes >> d & 1;
}

/* The axes of a dense tensor, the innermost first, with neighbours of one kind merged and those of size 1 left out. At
 * least one group. */
typedef struct groups {
  int count;
  int64_t dims[LAMINA_MAX_RANK], strides[LAMINA_MAX_RANK];
  bool reduced[LAMINA_MAX_RANK];
} groups;

static groups groups_of(const lamina_problem *problem, const lamina_desc *x) {
  groups g = {0};
  int64_t stride = 1;
  for (int d = x->rank - 1; d >= 0; d--) {
    const bool is_reduced = reduced(problem, d);
    if (x->dims[d] == 1) continue;
    if (g.count && g.reduced[g.count - 1] == is_reduced) {
      g.dims[g.count - 1] *= x->dims[d];
    } else {
      g.dims[g.count] = x->dims[d], g.strides[g.count] = stride, g.reduced[g.count] = is_reduced;
      g.count++;
    }
    stride *= x->dims[d];
  }
  if (!g.count) g = (groups){.count = 1, .dims = {1}, .strides = {1}, .reduced = {true}};
  return g;
}

/* The groups of one kind, from number `first` on. */
static kernel_groups of_kind(const groups *g, bool kind, int first) {
  kernel_groups some = {0};
  for (int k = first; k < g->count; k++) {
    if (g->reduced[k] != kind) continue;
    some.dims[some.count] = g->dims[k], some.strides[some.count] = g->strides[k];
    some.count++;
  }
  return some;
}

static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  if (cuda_small(problem, each, context)) cuda_candidates(device, problem, engine, each, context);
}

/* ---- Forward ---------------------------------------------------------------------------------------------------- */

static lamina_status prepare_forward(lamina_plan *plan) {
  enum { X, Y };
  const lamina_desc *x = &plan->problem.arg[X], *y = &plan->problem.arg[Y];
  const groups g = groups_of(&plan->problem, x);
  kernel_reduce *r = cuda_state(plan, sizeof *r);
  if (!r) return LAMINA_OUT_OF_MEMORY;
  *r = (kernel_reduce){.type = cuda_type(x),
                       .largest = is_max(plan),
                       .rows = g.reduced[0],
                       .length = g.dims[0],
                       .kept = of_kind(&g, false, g.reduced[0] ? 0 : 1),
                       .reduced = of_kind(&g, true, g.reduced[0] ? 1 : 0),
                       .outputs = cuda_count(y),
                       .members = cuda_count(x) / cuda_count(y)};
  r->divisor = is_mean(plan) ? (float)r->members : 1;
  plan->workspace = kernel_reduce_plan(r);
  return LAMINA_OK;
}

static lamina_status run_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  enum { X, Y, INDICES };
  return cuda_launched(plan, kernel_reduce_forward(plan->state, args->p[X], args->p[Y],
                                                   is_max(plan) ? args->p[INDICES] : NULL, workspace,
                                                   cuda_stream_of(stream)));
}

/* ---- Backward --------------------------------------------------------------------------------------------------- */

static lamina_status prepare_backward(lamina_plan *plan) {
  const lamina_desc *dy = &plan->problem.arg[0], *dx = &plan->problem.arg[is_max(plan) ? 2 : 1];
  const groups g = groups_of(&plan->problem, dx);
  int64_t outputs = 1, members = 1;
  kernel_spread *s = cuda_state(plan, sizeof *s);
  if (!s) return LAMINA_OUT_OF_MEMORY;
  *s = (kernel_spread){.type = cuda_type(dx), .n = cuda_count(dx), .count = g.count, .factor = 1};
  for (int k = 0; k < g.count; k++) {
    s->dims[k] = g.dims[k];
    if (g.reduced[k])
      s->members[k] = members, members *= g.dims[k];
    else
      s->outputs[k] = outputs, outputs *= g.dims[k];
  }
  if (is_mean(plan)) s->factor = (float)((double)cuda_count(dy) / (double)s->n);
  return LAMINA_OK;
}

static lamina_status run_backward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                  lamina_stream *stream) {
  const bool max = is_max(plan);
  (void)workspace;
  return cuda_launched(plan, kernel_reduce_backward(plan->state, args->p[0], max ? args->p[1] : NULL,
                                                    args->p[max ? 2 : 1], cuda_stream_of(stream)));
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

#define ENGINE(op_, pass)                                                                                              \
  CUDA_ENGINE("kernel", op_, LAMINA_STRIDES_DENSE), .candidates = candidates, .prepare = prepare_##pass,               \
                                                    .run = run_##pass, .release = cuda_release
const lamina_engine lamina_cuda_sum_forward = {ENGINE("sum/forward", forward)};
const lamina_engine lamina_cuda_sum_backward = {ENGINE("sum/backward", backward)};
const lamina_engine lamina_cuda_mean_forward = {ENGINE("mean/forward", forward)};
const lamina_engine lamina_cuda_mean_backward = {ENGINE("mean/backward", backward)};
const lamina_engine lamina_cuda_max_forward = {ENGINE("max/forward", forward)};
const lamina_engine lamina_cuda_max_backward = {ENGINE("max/backward", backward)};
