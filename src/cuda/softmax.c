/* Engines of softmax and log-softmax. */
#include "lamina/softmax.h"

#include "cuda/array.h"
#include "kernels/softmax.h"

enum { X, Y };
enum { B_Y, B_DY, B_DX };

static kernel_classes classes_of(const lamina_plan *plan) {
  const lamina_softmax *softmax = cuda_attr(&plan->problem);
  return cuda_classes_along(&plan->problem.arg[0], (int)softmax->axis);
}

static lamina_status forward(const lamina_plan *plan, const lamina_args *args, lamina_stream *stream, bool logarithm) {
  return cuda_launched(plan, kernel_softmax_forward(classes_of(plan), logarithm, cuda_array(plan, args, X),
                                                    cuda_array(plan, args, Y), cuda_stream_of(stream)));
}

static lamina_status backward(const lamina_plan *plan, const lamina_args *args, lamina_stream *stream, bool logarithm) {
  return cuda_launched(plan, kernel_softmax_backward(classes_of(plan), logarithm, cuda_array(plan, args, B_Y),
                                                     cuda_array(plan, args, B_DY), cuda_array(plan, args, B_DX),
                                                     cuda_stream_of(stream)));
}

#define RUN(family, pass, logarithm)                                                                                   \
  static lamina_status family##_##pass(const lamina_plan *plan, const lamina_args *args, void *workspace,              \
                                       lamina_stream *stream) {                                                        \
    (void)workspace;                                                                                                   \
    return pass(plan, args, stream, logarithm);                                                                        \
  }
RUN(softmax, forward, false)
RUN(softmax, backward, false)
RUN(log_softmax, forward, true)
RUN(log_softmax, backward, true)

#define ENGINE(family, pass)                                                                                           \
  CUDA_ENGINE("kernel", #family "/" #pass, LAMINA_STRIDES_DENSE), .candidates = cuda_arrays_candidates,                \
                                                                  .run = family##_##pass
const lamina_engine lamina_cuda_softmax_forward = {ENGINE(softmax, forward)};
const lamina_engine lamina_cuda_softmax_backward = {ENGINE(softmax, backward)};
const lamina_engine lamina_cuda_log_softmax_forward = {ENGINE(log_softmax, forward)};
const lamina_engine lamina_cuda_log_softmax_backward = {ENGINE(log_softmax, backward)};
