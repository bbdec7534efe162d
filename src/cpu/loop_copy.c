/* Strided copy on the CPU. */
#include "cpu/move.h"

static void candidates(lamina_device *device, const lamina_problem *p, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  double flops, bytes;
  (void)device, (void)engine;
  lamina_problem_work(p, &flops, &bytes);
  each(context, "", bytes / 5e9, "");
}

static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  const lamina_desc *x = &plan->problem.arg[0], *y = &plan->problem.arg[1];
  (void)workspace, (void)stream;
  lamina_cpu_move(lamina_dtype_size((lamina_dtype)x->dtype), x->rank, x->dims, args->p[0], x->strides, args->p[1],
                  y->strides);
  return LAMINA_OK;
}

const lamina_engine lamina_cpu_loop_copy = {
    LAMINA_LOOP_ENGINE("copy/forward", LAMINA_STRIDES_ANY),
    .candidates = candidates,
    .run = run,
};
