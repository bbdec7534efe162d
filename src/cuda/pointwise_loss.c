/* Engines of the pointwise losses. */
#include "lamina/pointwise_loss.h"

#include "cuda/array.h"
#include "kernels/pointwise_loss.h"

enum { X, TARGET, WEIGHTS, Y, DY = Y, DX };

static kernel_pointwise_loss loss_of(const lamina_plan *plan, const lamina_args *args, kernel_pointwise_loss_name name,
                                     double a, int64_t power) {
  return (kernel_pointwise_loss){.name = name,
                                 .x = cuda_array(plan, args, X),
                                 .target = cuda_array(plan, args, TARGET),
                                 .weights = cuda_array(plan, args, WEIGHTS),
                                 .n = cuda_count(&plan->problem.arg[X]),
                                 .a = (float)a,
                                 .power = (int32_t)power,
                                 .reduction = cuda_reduction(plan)};
}

#define RUNS(family, a, power)                                                                                         \
  static lamina_status family##_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,             \
                                        lamina_stream *stream) {                                                       \
    const kernel_pointwise_loss loss = loss_of(plan, args, KERNEL_##family, a, power);                                 \
    return cuda_launched(                                                                                              \
        plan, kernel_pointwise_loss_forward(&loss, cuda_array(plan, args, Y), workspace, cuda_stream_of(stream)));     \
  }                                                                                                                    \
  static lamina_status family##_backward(const lamina_plan *plan, const lamina_args *args, void *workspace,            \
                                         lamina_stream *stream) {                                                      \
    const kernel_pointwise_loss loss = loss_of(plan, args, KERNEL_##family, a, power);                                 \
    (void)workspace;                                                                                                   \
    return cuda_launched(plan, kernel_pointwise_loss_backward(&loss, cuda_array(plan, args, DY),                       \
                                                              cuda_array(plan, args, DX), cuda_stream_of(stream)));    \
  }
#define ATTR(family) ((const lamina_##family *)cuda_attr(&plan->problem))

RUNS(binary_cross_entropy, ATTR(binary_cross_entropy)->positive, 1)
RUNS(mse, 0, 1)
RUNS(l1, 0, 1)
RUNS(huber, ATTR(huber)->delta, 1)
RUNS(binary_hinge, ATTR(binary_hinge)->margin, ATTR(binary_hinge)->power)

#define ENGINE(family, pass)                                                                                           \
  CUDA_ENGINE("kernel", #family "/" #pass, LAMINA_STRIDES_SAME), .candidates = cuda_arrays_candidates,                 \
                                                                 .run = family##_##pass
const lamina_engine lamina_cuda_binary_cross_entropy_forward = {ENGINE(binary_cross_entropy, forward),
                                                                .prepare = cuda_loss_prepare};
const lamina_engine lamina_cuda_binary_cross_entropy_backward = {ENGINE(binary_cross_entropy, backward)};
const lamina_engine lamina_cuda_mse_forward = {ENGINE(mse, forward), .prepare = cuda_loss_prepare};
const lamina_engine lamina_cuda_mse_backward = {ENGINE(mse, backward)};
const lamina_engine lamina_cuda_l1_forward = {ENGINE(l1, forward), .prepare = cuda_loss_prepare};
const lamina_engine lamina_cuda_l1_backward = {ENGINE(l1, backward)};
const lamina_engine lamina_cuda_huber_forward = {ENGINE(huber, forward), .prepare = cuda_loss_prepare};
const lamina_engine lamina_cuda_huber_backward = {ENGINE(huber, backward)};
const lamina_engine lamina_cuda_binary_hinge_forward = {ENGINE(binary_hinge, forward), .prepare = cuda_loss_prepare};
const lamina_engine lamina_cuda_binary_hinge_backward = {ENGINE(binary_hinge, backward)};
