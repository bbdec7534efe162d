/* Engines of dropout: both passes are the same function of their first argument. */
#include "lamina/dropout.h"

#include <math.h>

#include "cuda/cuda.h"
#include "kernels/dropout.h"

/* u < p is word >> 8 < ceil(p * 2^24), u being a multiple of 2^-24. */
static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  const lamina_dropout *dropout = cuda_attr(&plan->problem);
  const lamina_desc *x = &plan->problem.arg[0];
  const kernel_dropout d = {.type = cuda_type(x),
                            .stream = (uint32_t)dropout->stream,
                            .threshold = (uint32_t)ceil(dropout->p * 0x1p24),
                            .scale = dropout->p < 1 ? (float)(1 / (1 - dropout->p)) : 0,
                            .n = cuda_count(x),
                            .area = dropout->channels ? cuda_span(x, 2, x->rank) : 1};
  (void)workspace;
  return cuda_launched(plan, kernel_dropout_run(&d, args->p[0], args->p[1], args->p[2], cuda_stream_of(stream)));
}

#define ENGINE(pass)                                                                                                   \
  CUDA_ENGINE("kernel", "dropout/" #pass, LAMINA_STRIDES_DENSE), .candidates = cuda_candidates, .run = run
const lamina_engine lamina_cuda_dropout_forward = {ENGINE(forward)};
const lamina_engine lamina_cuda_dropout_backward = {ENGINE(backward)};
