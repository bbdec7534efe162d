/* Softmax cross-entropy against labels and against targets, as lamina/loss.h says: f = w (keep t + share). */
#ifndef KERNEL_CROSS_ENTROPY_H
#define KERNEL_CROSS_ENTROPY_H

#include "classes.h"
#include "loss.h"

typedef struct kernel_cross_entropy {
  kernel_classes k;
  kernel_array scores;  /* [N, C, S]: x, or prob in the backward pass; dx may be prob */
  kernel_array labels;  /* [N, S], integers; or none, and then */
  kernel_array targets; /* [N, C, S] */
  kernel_array weights; /* [C], or none: all 1 */
  int64_t ignore;       /* the label that doesn't count; INT64_MIN: there is none */
  float keep, share;    /* 1 and 0 without label smoothing */
  int32_t spread;       /* 0: labels without smoothing, so that of an example's factors one isn't 0 */
  kernel_reduction reduction;
} kernel_cross_entropy;

/* y: [1], or [N, S] without reduction; prob: [N, C, S], or none. Workspace: KERNEL_LOSS_WORKSPACE bytes. */
KERNEL_API int kernel_cross_entropy_forward(const kernel_cross_entropy *loss, kernel_array y, kernel_array prob,
                                            void *workspace, kernel_stream stream);
/* dy: as y; dx: [N, C, S]. The same workspace. */
KERNEL_API int kernel_cross_entropy_backward(const kernel_cross_entropy *loss, kernel_array dy, kernel_array dx,
                                             void *workspace, kernel_stream stream);

#endif
