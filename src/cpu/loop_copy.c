/* Copy on the CPU, between any two layouts. */
#include "cpu/move.h"

static void candidates(lamina_device *device, const lamina_problem *p, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  double flops, bytes;
  (void)engine;
  lamina_problem_work(p, &flops, &bytes);
  each(context, "", 2 * lamina_loop_moving(device, bytes), "");
}

static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  (void)workspace, (void)stream;
  lamina_cpu_convert(&plan->problem.arg[0], args->p[0], &plan->problem.arg[1], args->p[1]);
  return LAMINA_OK;
}

const lamina_engine lamina_cpu_loop_copy = {
    LAMINA_LOOP_ENGINE("copy/forward", LAMINA_STRIDES_BLOCKED),
    .candidates = candidates,
    .run = run,
};
