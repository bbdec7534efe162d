/* The engine of commits. */
#include "kernels/commit.h"

#include "cuda/cuda.h"

enum { X, GATE, Y };

static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  if (problem->arg[GATE].dtype == LAMINA_F64)
    each(context, NULL, 0, "it takes a gate of f32, bf16 or f16");
  else
    cuda_move_candidates(device, problem, engine, each, context);
}

static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  const lamina_desc *x = &plan->problem.arg[X];
  const int64_t bytes = cuda_count(x) * (int64_t)cuda_size_of(x->dtype);
  (void)workspace;
  return cuda_launched(plan, kernel_commit(cuda_type(&plan->problem.arg[GATE]), bytes, args->p[X], args->p[GATE],
                                           args->p[Y], cuda_stream_of(stream)));
}

const lamina_engine lamina_cuda_commit = {
    CUDA_ENGINE("kernel", "commit/forward", LAMINA_STRIDES_DENSE),
    .candidates = candidates,
    .run = run,
};
