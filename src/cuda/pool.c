/* Engines of max (behind a ReLU, too), min, average and mixed pooling, of unpooling, and of what moves by saved indices.
 *
 * The candidates of a pool are those of any engine that is bound by memory, where 32 bits are enough to count in. */
#include "cuda/pool.h"

#include "kernels/lp_pool.h"
#include "kernels/stochastic_pool.h"
#include "lamina/lp_pool.h"
#include "lamina/mixed_pool.h"
#include "lamina/stochastic_pool.h"

/* ---- For all pools ----------------------------------------------------------------------------------------------- */

bool cuda_pool_takes(const lamina_problem *problem, int x, lamina_candidate_fn *each, void *context) {
  const lamina_pool *pool = cuda_attr(problem);
  if (!cuda_takes_small(problem, each, context)) return false;
  for (int a = 0; a < problem->arg[x].rank - 2; a++)
    if (problem->arg[x].dims[2 + a] + pool->pad[a][0] + pool->pad[a][1] > INT32_C(1) << 30) {
      each(context, NULL, 0, "it takes up to 2^30 elements along an axis, with padding");
      return false;
    }
  return true;
}

/* A stride beyond the axis, or a dilation without a second element, is as good as a smaller one. */
static int at_most(int64_t n, int64_t most) { return (int)(n < most ? n : most); }

kernel_pool cuda_pool_of(const lamina_problem *problem, int x, int y, bool windows) {
  const lamina_pool *pool = cuda_attr(problem);
  const lamina_desc *wide = &problem->arg[x], *narrow = &problem->arg[y];
  const int axes = wide->rank - 2;
  kernel_pool p = {.type = cuda_type(narrow), .planes = (int)(wide->dims[0] * wide->dims[1])};
  for (int a = 0; a < 3; a++) p.x[a] = p.y[a] = p.kernel[a] = p.stride[a] = p.dilation[a] = 1;
  for (int a = 0; a < axes; a++) {
    const int to = 3 - axes + a;
    p.x[to] = (int)wide->dims[2 + a], p.y[to] = (int)narrow->dims[2 + a];
    if (!windows) continue;
    p.kernel[to] = (int)pool->kernel[a];
    p.pad[to] = (int)pool->pad[a][0], p.pad_after[to] = (int)pool->pad[a][1];
    p.stride[to] = at_most(pool->stride[a], p.x[to] + p.pad[to] + p.pad_after[to]);
    p.dilation[to] = pool->kernel[a] > 1 ? (int)pool->dilation[a] : 1;
  }
  p.count_pad = windows && pool->count_pad;
  return p;
}

/* ---- Pools ------------------------------------------------------------------------------------------------------- */

#define CANDIDATES(name, takes)                                                                                        \
  static void name##_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,     \
                                lamina_candidate_fn *each, void *context) {                                            \
    (void)engine;                                                                                                      \
    if (takes) each(context, "", cuda_seconds(device, 0, cuda_bytes(problem)), "");                                    \
  }
CANDIDATES(forward, cuda_pool_takes(problem, 0, each, context)) /* and what else has windows over its first argument */
CANDIDATES(avg_backward, cuda_pool_takes(problem, 1, each, context))
CANDIDATES(scatter, cuda_pool_takes(problem, 2, each, context))
CANDIDATES(gated, cuda_pool_takes(problem, 3, each, context))
CANDIDATES(unpool, cuda_takes_small(problem, each, context))

/* `set` are statements about `p`. */
#define RUN(name, wide, narrow, windows, set, launch)                                                                  \
  static lamina_status run_##name(const lamina_plan *plan, const lamina_args *args, void *workspace,                   \
                                  lamina_stream *stream) {                                                             \
    kernel_pool p = cuda_pool_of(&plan->problem, wide, narrow, windows);                                               \
    const kernel_stream queue = cuda_stream_of(stream);                                                                \
    void *const *at = args->p;                                                                                         \
    (void)workspace;                                                                                                   \
    set;                                                                                                               \
    return cuda_launched(plan, launch);                                                                                \
  }
#define SHARE  p.share = (float)((const lamina_mixed_pool *)cuda_attr(&plan->problem))->max_share
#define POWER  const float power = (float)((const lamina_lp_pool *)cuda_attr(&plan->problem))->p
#define STREAM const uint32_t words = (uint32_t)((const lamina_stochastic_pool *)cuda_attr(&plan->problem))->stream
RUN(max, 0, 1, true, p.min = false, kernel_pool_extreme(&p, at[0], at[1], at[2], queue))
RUN(min, 0, 1, true, p.min = true, kernel_pool_extreme(&p, at[0], at[1], at[2], queue))
RUN(relu_max, 0, 1, true, p.relu = true, kernel_pool_extreme(&p, at[0], at[1], at[2], queue))
RUN(avg, 0, 1, true, , kernel_pool_average(&p, at[0], at[1], queue))
RUN(avg_backward, 1, 0, true, , kernel_pool_average_backward(&p, at[0], at[1], queue))
RUN(mixed, 0, 1, true, SHARE, kernel_pool_mixed(&p, at[0], at[1], at[2], queue))
RUN(lp, 0, 1, true, POWER, kernel_lp_pool_forward(&p, power, at[0], at[1], queue))
RUN(lp_backward, 0, 1, true, POWER, kernel_lp_pool_backward(&p, power, at[0], at[1], at[2], at[3], queue))
RUN(stochastic, 0, 2, true, STREAM, kernel_stochastic_pool_forward(&p, words, at[0], at[1], at[2], at[3], queue))
RUN(stochastic_inference, 0, 1, true, , kernel_stochastic_pool_inference(&p, at[0], at[1], queue))
RUN(scatter, 2, 0, true, , kernel_pool_scatter(&p, true, NULL, at[0], at[1], at[2], workspace, queue))
RUN(gated, 3, 1, true, , kernel_pool_scatter(&p, true, at[0], at[1], at[2], at[3], workspace, queue))
RUN(mixed_backward, 2, 0, true, SHARE, kernel_pool_mixed_backward(&p, at[0], at[1], at[2], workspace, queue))
RUN(unpool, 2, 0, false, , kernel_pool_scatter(&p, false, NULL, at[0], at[1], at[2], NULL, queue))
RUN(unpool_backward, 0, 2, false, , kernel_pool_gather(&p, at[0], at[1], at[2], queue))

static lamina_status prepare_scatter(lamina_plan *plan) {
  const kernel_pool p = cuda_pool_of(&plan->problem, 2, 0, true);
  plan->workspace = kernel_pool_scatter_workspace(&p);
  return LAMINA_OK;
}

static lamina_status prepare_gated(lamina_plan *plan) {
  const kernel_pool p = cuda_pool_of(&plan->problem, 3, 1, true);
  plan->workspace = kernel_pool_scatter_workspace(&p);
  return LAMINA_OK;
}

#define ENGINE(op, takes, does)                                                                                        \
  CUDA_ENGINE("kernel", op, LAMINA_STRIDES_DENSE), .candidates = takes##_candidates, .run = run_##does
#define SCATTER(op, run) ENGINE(op, scatter, run), .prepare = prepare_scatter
const lamina_engine lamina_cuda_max_pool_forward = {ENGINE("max_pool/forward", forward, max)};
const lamina_engine lamina_cuda_max_pool_backward = {SCATTER("max_pool/backward", scatter)};
const lamina_engine lamina_cuda_min_pool_forward = {ENGINE("min_pool/forward", forward, min)};
const lamina_engine lamina_cuda_min_pool_backward = {SCATTER("min_pool/backward", scatter)};
const lamina_engine lamina_cuda_relu_max_pool_forward = {ENGINE("relu_max_pool/forward", forward, relu_max)};
const lamina_engine lamina_cuda_relu_max_pool_backward = {ENGINE("relu_max_pool/backward", gated, gated),
                                                          .prepare = prepare_gated};
const lamina_engine lamina_cuda_avg_pool_forward = {ENGINE("avg_pool/forward", forward, avg)};
const lamina_engine lamina_cuda_avg_pool_backward = {ENGINE("avg_pool/backward", avg_backward, avg_backward)};
const lamina_engine lamina_cuda_mixed_pool_forward = {ENGINE("mixed_pool/forward", forward, mixed)};
const lamina_engine lamina_cuda_mixed_pool_backward = {SCATTER("mixed_pool/backward", mixed_backward)};
const lamina_engine lamina_cuda_lp_pool_forward = {ENGINE("lp_pool/forward", forward, lp)};
const lamina_engine lamina_cuda_lp_pool_backward = {ENGINE("lp_pool/backward", forward, lp_backward)};
const lamina_engine lamina_cuda_stochastic_pool_forward = {ENGINE("stochastic_pool/forward", forward, stochastic)};
const lamina_engine lamina_cuda_stochastic_pool_inference = {
    ENGINE("stochastic_pool/inference", forward, stochastic_inference)};
const lamina_engine lamina_cuda_stochastic_pool_backward = {SCATTER("stochastic_pool/backward", scatter)};
const lamina_engine lamina_cuda_max_unpool_forward = {ENGINE("max_unpool/forward", unpool, unpool)};
const lamina_engine lamina_cuda_max_unpool_backward = {ENGINE("max_unpool/backward", unpool, unpool_backward)};
