/* Losses of one number against another, as lamina/pointwise_loss.h says. */
#ifndef KERNEL_POINTWISE_LOSS_H
#define KERNEL_POINTWISE_LOSS_H

#include "array.h"
#include "loss.h"

/* X(name): every loss. */
#define KERNEL_POINTWISE_LOSSES(X)                                                                                     \
  X(binary_cross_entropy)                                                                                              \
  X(mse)                                                                                                               \
  X(l1)                                                                                                                \
  X(huber)                                                                                                             \
  X(binary_hinge)

typedef enum kernel_pointwise_loss_name {
#define X(name) KERNEL_##name,
  KERNEL_POINTWISE_LOSSES(X)
#undef X
} kernel_pointwise_loss_name;

typedef struct kernel_pointwise_loss {
  kernel_pointwise_loss_name name;
  kernel_reduction reduction;
  kernel_array x, target, weights; /* [n]; weights may be none */
  int64_t n;
  float a;       /* the loss's own number: positive, delta or margin */
  int32_t power; /* of the hinge: 1 or 2 */
} kernel_pointwise_loss;

/* y: [1], or [n] without reduction. Workspace: KERNEL_LOSS_WORKSPACE bytes. */
KERNEL_API int kernel_pointwise_loss_forward(const kernel_pointwise_loss *loss, kernel_array y, void *workspace,
                                             kernel_stream stream);
/* dy: as y; dx: [n], which may be x. */
KERNEL_API int kernel_pointwise_loss_backward(const kernel_pointwise_loss *loss, kernel_array dy, kernel_array dx,
                                              kernel_stream stream);

#endif
