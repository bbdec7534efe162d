/* What the loop engines offer. */
#include "cpu/loop.h"

void lamina_loop_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                            lamina_candidate_fn *each, void *context) {
  const lamina_op_def *op = lamina_op_at(problem->op);
  double flops, bytes;
  int32_t dtype = LAMINA_NONE;
  (void)engine;
  for (int i = 0; op->args[i].name; i++) {
    const int32_t have = problem->arg[i].dtype;
    if (op->args[i].type != LAMINA_FLOATING || have == LAMINA_NONE) continue;
    if (have != LAMINA_F32 && have != LAMINA_BF16) {
      each(context, NULL, 0, "it takes f32 and bf16");
      return;
    }
    if (dtype != LAMINA_NONE && have != dtype) {
      each(context, NULL, 0, "it takes one type for all, f32 or bf16");
      return;
    }
    dtype = have;
  }
  lamina_problem_work(problem, &flops, &bytes);
  each(context, "", lamina_loop_moving(device, bytes) + lamina_cpu_computing(device, flops, 0.03) + 1e-6, "");
}
