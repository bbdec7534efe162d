/* Engines of the activations. */
#include "lamina/activation.h"

#include "cuda/cuda.h"
#include "kernels/activation.h"

#define RUN(family, pass, function_, p_, ...)                                                                          \
  static lamina_status run_##family##_##pass(const lamina_plan *plan, const lamina_args *args, void *workspace,        \
                                             lamina_stream *stream) {                                                  \
    const kernel_activation a = {.function = (function_),                                                              \
                                 .type = cuda_type(&plan->problem.arg[0]),                                             \
                                 .n = cuda_count(&plan->problem.arg[0]),                                               \
                                 .p = (float)(p_)};                                                                    \
    (void)workspace;                                                                                                   \
    return cuda_launched(plan, kernel_activation_##pass(&a, __VA_ARGS__, cuda_stream_of(stream)));                     \
  }
#define RUNS(family, function, p_)                                                                                     \
  RUN(family, forward, function, p_, args->p[0], args->p[1])                                                           \
  RUN(family, backward, function, p_, args->p[0], args->p[1], args->p[2])
#define ATTR(family) ((const lamina_##family *)cuda_attr(&plan->problem))

RUNS(relu, KERNEL_relu, 0)
RUNS(leaky_relu, KERNEL_leaky_relu, ATTR(leaky_relu)->slope)
RUNS(sigmoid, KERNEL_sigmoid, 0)
RUNS(tanh, KERNEL_tanh, 0)
RUNS(elu, KERNEL_elu, ATTR(elu)->alpha)
RUNS(selu, KERNEL_selu, 0)
RUNS(gelu, ATTR(gelu)->form == LAMINA_GELU_TANH ? KERNEL_gelu_tanh : KERNEL_gelu_erf, 0)
RUNS(silu, KERNEL_silu, 0)
RUNS(softplus, KERNEL_softplus, ATTR(softplus)->beta)
RUNS(hard_sigmoid, KERNEL_hard_sigmoid, 0)
RUNS(softsign, KERNEL_softsign, 0)

#define ENGINE(family, pass)                                                                                           \
  CUDA_ENGINE("kernel", #family "/" #pass, LAMINA_STRIDES_SAME), .candidates = cuda_candidates,                        \
                                                                 .run = run_##family##_##pass
const lamina_engine lamina_cuda_relu_forward = {ENGINE(relu, forward)};
const lamina_engine lamina_cuda_relu_backward = {ENGINE(relu, backward)};
const lamina_engine lamina_cuda_leaky_relu_forward = {ENGINE(leaky_relu, forward)};
const lamina_engine lamina_cuda_leaky_relu_backward = {ENGINE(leaky_relu, backward)};
const lamina_engine lamina_cuda_sigmoid_forward = {ENGINE(sigmoid, forward)};
const lamina_engine lamina_cuda_sigmoid_backward = {ENGINE(sigmoid, backward)};
const lamina_engine lamina_cuda_tanh_forward = {ENGINE(tanh, forward)};
const lamina_engine lamina_cuda_tanh_backward = {ENGINE(tanh, backward)};
const lamina_engine lamina_cuda_elu_forward = {ENGINE(elu, forward)};
const lamina_engine lamina_cuda_elu_backward = {ENGINE(elu, backward)};
const lamina_engine lamina_cuda_selu_forward = {ENGINE(selu, forward)};
const lamina_engine lamina_cuda_selu_backward = {ENGINE(selu, backward)};
const lamina_engine lamina_cuda_gelu_forward = {ENGINE(gelu, forward)};
const lamina_engine lamina_cuda_gelu_backward = {ENGINE(gelu, backward)};
const lamina_engine lamina_cuda_silu_forward = {ENGINE(silu, forward)};
const lamina_engine lamina_cuda_silu_backward = {ENGINE(silu, backward)};
const lamina_engine lamina_cuda_softplus_forward = {ENGINE(softplus, forward)};
const lamina_engine lamina_cuda_softplus_backward = {ENGINE(softplus, backward)};
const lamina_engine lamina_cuda_hard_sigmoid_forward = {ENGINE(hard_sigmoid, forward)};
const lamina_engine lamina_cuda_hard_sigmoid_backward = {ENGINE(hard_sigmoid, backward)};
const lamina_engine lamina_cuda_softsign_forward = {ENGINE(softsign, forward)};
const lamina_engine lamina_cuda_softsign_backward = {ENGINE(softsign, backward)};
