/* Taking over new values on the CPU. */
#include <math.h>

#include "cpu/move.h"

static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  const lamina_desc *x = &plan->problem.arg[0], *y = &plan->problem.arg[2];
  const double gate = lamina_load((lamina_dtype)plan->problem.arg[1].dtype, args->p[1], 0);
  (void)workspace, (void)stream;
  if (isfinite(gate))
    lamina_cpu_move(lamina_dtype_size((lamina_dtype)x->dtype), x->rank, x->dims, args->p[0], x->strides, args->p[2],
                    y->strides);
  return LAMINA_OK;
}

const lamina_engine lamina_cpu_loop_commit = {
    LAMINA_LOOP_ENGINE("commit/forward", LAMINA_STRIDES_ANY),
    .candidates = lamina_move_candidates,
    .run = run,
};
