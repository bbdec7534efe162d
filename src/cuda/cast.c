/* Engines of the casts: both passes are the same function of their first argument. */
#include "kernels/cast.h"

#include "cuda/cuda.h"

static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  const lamina_desc *x = &plan->problem.arg[0], *y = &plan->problem.arg[1];
  const kernel_cast cast = {.from = cuda_element(x), .to = cuda_element(y), .n = cuda_count(x)};
  (void)workspace;
  return cuda_launched(plan, kernel_cast_run(&cast, args->p[0], args->p[1], cuda_stream_of(stream)));
}

#define ENGINE(pass)                                                                                                   \
  CUDA_ENGINE("kernel", "cast/" #pass, LAMINA_STRIDES_SAME), .candidates = cuda_move_candidates, .run = run
const lamina_engine lamina_cuda_cast_forward = {ENGINE(forward)};
const lamina_engine lamina_cuda_cast_backward = {ENGINE(backward)};
