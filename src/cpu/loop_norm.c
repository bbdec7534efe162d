/* What the normalisations' engines offer. */
#include "cpu/loop_norm.h"

void lamina_loop_norm_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                                 lamina_candidate_fn *each, void *context) {
  const lamina_op_def *op = lamina_op_at(problem->op);
  double flops, bytes;
  (void)engine;
  for (int i = 0; op->args[i].name; i++) {
    const int32_t have = problem->arg[i].dtype;
    if (have == LAMINA_NONE) continue;
    if (have != LAMINA_F32 && have != LAMINA_BF16) {
      each(context, NULL, 0, "it takes f32 and bf16");
      return;
    }
    const size_t name = strlen(op->args[i].name);
    const char last = op->args[i].name[name - 1];
    if (name <= 2 && (last == 'x' || last == 'y') && have != problem->arg[0].dtype) {
      each(context, NULL, 0, "it takes one type, f32 or bf16, for x, y, dy and dx");
      return;
    }
  }
  lamina_problem_work(problem, &flops, &bytes);
  each(context, "", lamina_loop_moving(device, bytes) + lamina_cpu_computing(device, flops, 0.03) + 1e-6, "");
}
