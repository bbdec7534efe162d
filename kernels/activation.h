/* Activations: y = f(x), and dx = f'(…) dy, as lamina/activation.h says. */
#ifndef KERNEL_ACTIVATION_H
#define KERNEL_ACTIVATION_H

#include "launch.h"

/* X(name): every function. p is its slope, alpha or beta. */
#define KERNEL_ACTIVATIONS(X)                                                                                          \
  X(relu)                                                                                                              \
  X(leaky_relu)                                                                                                        \
  X(sigmoid)                                                                                                           \
  X(tanh)                                                                                                              \
  X(elu)                                                                                                               \
  X(selu)                                                                                                              \
  X(gelu_erf)                                                                                                          \
  X(gelu_tanh)                                                                                                         \
  X(silu)                                                                                                              \
  X(softplus)                                                                                                          \
  X(hard_sigmoid)                                                                                                      \
  X(softsign)

typedef enum kernel_activation_function {
#define X(name) KERNEL_##name,
  KERNEL_ACTIVATIONS(X)
#undef X
} kernel_activation_function;

typedef struct kernel_activation {
  kernel_activation_function function;
  kernel_type type;
  int64_t n; /* elements */
  float p;
} kernel_activation;

/* x, y: [n]; y may be x. */
KERNEL_API int kernel_activation_forward(const kernel_activation *a, const void *x, void *y, kernel_stream stream);
/* saved (y, or x for gelu, silu and hard_sigmoid), dy, dx: [n]; dx may be dy. */
KERNEL_API int kernel_activation_backward(const kernel_activation *a, const void *saved, const void *dy, void *dx,
                                          kernel_stream stream);

#endif
