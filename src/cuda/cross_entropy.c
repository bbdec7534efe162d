/* Engines of softmax cross-entropy, against labels and against targets. */
#include "kernels/cross_entropy.h"
#include "cuda/array.h"

enum { SCORES, TARGET, WEIGHTS, Y, PROB, DY = Y, DX = PROB };

static kernel_cross_entropy loss_of(const lamina_plan *plan, const lamina_args *args) {
  const lamina_softmax_cross_entropy *label = cuda_attr(&plan->problem);
  const lamina_softmax_cross_entropy_target *target = cuda_attr(&plan->problem);
  const bool labels = plan->op->args[TARGET].type == LAMINA_INTEGER;
  const kernel_array what = cuda_array(plan, args, TARGET), none = {0};
  const kernel_classes k = cuda_classes(&plan->problem.arg[SCORES]);
  const double smoothing = labels ? label->label_smoothing : target->label_smoothing;
  return (kernel_cross_entropy){.k = k,
                                .scores = cuda_array(plan, args, SCORES),
                                .labels = labels ? what : none,
                                .targets = labels ? none : what,
                                .weights = cuda_array(plan, args, WEIGHTS),
                                .ignore = labels ? label->ignore : INT64_MIN,
                                .keep = (float)(1 - smoothing),
                                .share = (float)(smoothing / (double)k.C),
                                .spread = !labels || smoothing != 0,
                                .reduction = cuda_reduction(plan)};
}

static lamina_status forward(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  const kernel_cross_entropy loss = loss_of(plan, args);
  return cuda_launched(plan,
                       kernel_cross_entropy_forward(&loss, cuda_array(plan, args, Y), cuda_array(plan, args, PROB),
                                                    workspace, cuda_stream_of(stream)));
}

static lamina_status backward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                              lamina_stream *stream) {
  const kernel_cross_entropy loss = loss_of(plan, args);
  return cuda_launched(plan,
                       kernel_cross_entropy_backward(&loss, cuda_array(plan, args, DY), cuda_array(plan, args, DX),
                                                     workspace, cuda_stream_of(stream)));
}

#define ENGINE(family, pass)                                                                                           \
  CUDA_ENGINE("kernel", #family "/" #pass, LAMINA_STRIDES_DENSE), .candidates = cuda_arrays_candidates,                \
                                                                  .prepare = cuda_loss_prepare, .run = pass
const lamina_engine lamina_cuda_softmax_cross_entropy_forward = {ENGINE(softmax_cross_entropy, forward)};
const lamina_engine lamina_cuda_softmax_cross_entropy_backward = {ENGINE(softmax_cross_entropy, backward)};
const lamina_engine lamina_cuda_softmax_cross_entropy_target_forward = {ENGINE(softmax_cross_entropy_target, forward)};
const lamina_engine lamina_cuda_softmax_cross_entropy_target_backward = {
    ENGINE(softmax_cross_entropy_target, backward)};
