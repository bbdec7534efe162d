/* Engines of local response normalisation. */
#include "lamina/lrn.h"

#include "cuda/cuda.h"
#include "kernels/lrn.h"

static kernel_lrn lrn_of(const lamina_problem *problem) {
  const lamina_lrn *lrn = cuda_attr(problem);
  const lamina_desc *x = &problem->arg[0];
  kernel_lrn l = {.type = cuda_type(x),
                  .count = (int)cuda_count(x),
                  .back = (int)((lrn->size - 1) / 2),
                  .ahead = (int)(lrn->size / 2),
                  .k = (float)lrn->k,
                  .beta = (float)lrn->beta,
                  .in_place = problem->aliased != 0};
  double elements = 1;
  for (int a = lrn->within ? 2 : 1; a < (lrn->within ? x->rank : 2); a++) {
    l.n[l.axes] = (int)x->dims[a], l.inner[l.axes++] = (int)cuda_span(x, a + 1, x->rank);
    elements *= (double)lrn->size;
  }
  l.scale = (float)(lrn->alpha / elements);
  return l;
}

static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  const bool backward = strcmp(engine->op, "lrn/backward") == 0;
  if (!cuda_takes_small(problem, each, context)) return;
  const kernel_lrn l = lrn_of(problem); /* what is in the workspace is written and read */
  each(context, "",
       cuda_seconds(device, 0, cuda_bytes(problem) + (2.0 + l.axes) * (double)kernel_lrn_workspace(&l, backward)), "");
}

#define PASS(pass, backward, ...)                                                                                      \
  static lamina_status prepare_##pass(lamina_plan *plan) {                                                             \
    const kernel_lrn l = lrn_of(&plan->problem);                                                                       \
    plan->workspace = kernel_lrn_workspace(&l, backward);                                                              \
    return LAMINA_OK;                                                                                                  \
  }                                                                                                                    \
  static lamina_status run_##pass(const lamina_plan *plan, const lamina_args *args, void *workspace,                   \
                                  lamina_stream *stream) {                                                             \
    const kernel_lrn l = lrn_of(&plan->problem);                                                                       \
    return cuda_launched(plan, kernel_lrn_##pass(&l, __VA_ARGS__, workspace, cuda_stream_of(stream)));                 \
  }
PASS(forward, false, args->p[0], args->p[1])
PASS(backward, true, args->p[0], args->p[1], args->p[2])

#define ENGINE(pass)                                                                                                   \
  CUDA_ENGINE("kernel", "lrn/" #pass, LAMINA_STRIDES_DENSE), .candidates = candidates, .prepare = prepare_##pass,      \
                                                             .run = run_##pass
const lamina_engine lamina_cuda_lrn_forward = {ENGINE(forward)};
const lamina_engine lamina_cuda_lrn_backward = {ENGINE(backward)};
