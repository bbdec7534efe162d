/* What engines share whose kernels take any mix of types. */
#include "cuda/array.h"

void cuda_array_candidates(lamina_device *device, const lamina_problem *problem, int last, lamina_candidate_fn *each,
                           void *context) {
  const lamina_op_def *op = cuda_host->op_at(problem->op);
  for (int i = 0; i <= last && op->args[i].name; i++) {
    const int32_t dtype = problem->arg[i].dtype;
    if (op->args[i].type != LAMINA_FLOATING || dtype == LAMINA_NONE || dtype == LAMINA_F32 || dtype == LAMINA_BF16 ||
        dtype == LAMINA_F16)
      continue;
    each(context, NULL, 0, "it takes f32, bf16 and f16");
    return;
  }
  each(context, "", cuda_seconds(device, 0, cuda_bytes(problem)), "");
}

void cuda_arrays_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                            lamina_candidate_fn *each, void *context) {
  (void)engine;
  cuda_array_candidates(device, problem, LAMINA_MAX_ARGS - 1, each, context);
}

lamina_status cuda_loss_prepare(lamina_plan *plan) {
  plan->workspace = KERNEL_LOSS_WORKSPACE;
  return LAMINA_OK;
}
