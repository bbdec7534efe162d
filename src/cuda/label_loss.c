/* Engines of nll, the hinge of many classes, and one-hot labels. */
#include "lamina/label_loss.h"

#include "cuda/array.h"
#include "kernels/label_loss.h"
#include "lamina/gather.h"

enum { X, LABELS, WEIGHTS, Y, DY = Y, DX };       /* all passes but nll's backward */
enum { NLL_LABELS, NLL_WEIGHTS, NLL_DY, NLL_DX }; /* that one: it takes no x */

static kernel_label_loss nll_of(const lamina_plan *plan, const lamina_args *args, int labels, int weights) {
  const lamina_nll *nll = cuda_attr(&plan->problem);
  return (kernel_label_loss){.labels = cuda_array(plan, args, labels),
                             .weights = cuda_array(plan, args, weights),
                             .ignore = nll->ignore,
                             .reduction = cuda_reduction(plan)};
}

static kernel_label_loss hinge_of(const lamina_plan *plan, const lamina_args *args) {
  const lamina_hinge *hinge = cuda_attr(&plan->problem);
  return (kernel_label_loss){.k = cuda_classes(&plan->problem.arg[X]),
                             .scores = cuda_array(plan, args, X),
                             .labels = cuda_array(plan, args, LABELS),
                             .weights = cuda_array(plan, args, WEIGHTS),
                             .ignore = INT64_MIN,
                             .margin = hinge->margin,
                             .power = (int32_t)hinge->power,
                             .reduction = cuda_reduction(plan)};
}

static lamina_status nll_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  kernel_label_loss loss = nll_of(plan, args, LABELS, WEIGHTS);
  loss.k = cuda_classes(&plan->problem.arg[X]);
  loss.scores = cuda_array(plan, args, X);
  return cuda_launched(plan,
                       kernel_label_loss_forward(&loss, cuda_array(plan, args, Y), workspace, cuda_stream_of(stream)));
}

static lamina_status nll_backward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                  lamina_stream *stream) {
  kernel_label_loss loss = nll_of(plan, args, NLL_LABELS, NLL_WEIGHTS);
  loss.k = cuda_classes(&plan->problem.arg[NLL_DX]);
  return cuda_launched(plan,
                       kernel_label_loss_backward(&loss, cuda_array(plan, args, NLL_DY), cuda_array(plan, args, NLL_DX),
                                                  workspace, cuda_stream_of(stream)));
}

static lamina_status hinge_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                   lamina_stream *stream) {
  const kernel_label_loss loss = hinge_of(plan, args);
  return cuda_launched(plan,
                       kernel_label_loss_forward(&loss, cuda_array(plan, args, Y), workspace, cuda_stream_of(stream)));
}

static lamina_status hinge_backward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                    lamina_stream *stream) {
  const kernel_label_loss loss = hinge_of(plan, args);
  return cuda_launched(plan, kernel_label_loss_backward(&loss, cuda_array(plan, args, DY), cuda_array(plan, args, DX),
                                                        workspace, cuda_stream_of(stream)));
}

static lamina_status one_hot_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                     lamina_stream *stream) {
  enum { INDICES, HOT };
  (void)workspace;
  return cuda_launched(plan, kernel_one_hot(cuda_classes(&plan->problem.arg[HOT]), cuda_array(plan, args, INDICES),
                                            cuda_array(plan, args, HOT), cuda_stream_of(stream)));
}

#define ENGINE(family, pass)                                                                                           \
  CUDA_ENGINE("kernel", #family "/" #pass, LAMINA_STRIDES_DENSE), .candidates = cuda_arrays_candidates,                \
                                                                  .run = family##_##pass
const lamina_engine lamina_cuda_nll_forward = {ENGINE(nll, forward), .prepare = cuda_loss_prepare};
const lamina_engine lamina_cuda_nll_backward = {ENGINE(nll, backward), .prepare = cuda_loss_prepare};
const lamina_engine lamina_cuda_hinge_forward = {ENGINE(hinge, forward), .prepare = cuda_loss_prepare};
const lamina_engine lamina_cuda_hinge_backward = {ENGINE(hinge, backward)};
const lamina_engine lamina_cuda_one_hot_forward = {ENGINE(one_hot, forward)};
