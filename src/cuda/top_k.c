/* The engine of the top-k metric. */
#include "kernels/top_k.h"
#include "cuda/array.h"
#include "lamina/metric.h"

static lamina_status forward(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  enum { X, LABELS, HITS };
  const lamina_top_k *top = cuda_attr(&plan->problem);
  return cuda_launched(plan, kernel_top_k(cuda_classes(&plan->problem.arg[X]), top->k, cuda_array(plan, args, X),
                                          cuda_array(plan, args, LABELS), cuda_array(plan, args, HITS), workspace,
                                          cuda_stream_of(stream)));
}

const lamina_engine lamina_cuda_top_k_forward = {
    CUDA_ENGINE("kernel", "top_k/forward", LAMINA_STRIDES_DENSE),
    .candidates = cuda_arrays_candidates,
    .prepare = cuda_loss_prepare,
    .run = forward,
};
