/* Negative log-likelihood and the hinge of many classes, as lamina/label_loss.h says; and one-hot labels. */
#ifndef KERNEL_LABEL_LOSS_H
#define KERNEL_LABEL_LOSS_H

#include "classes.h"
#include "loss.h"

typedef struct kernel_label_loss {
  kernel_classes k;
  kernel_array scores;  /* [N, C, S]; nll's backward pass takes none */
  kernel_array labels;  /* [N, S], integers */
  kernel_array weights; /* [C], or none: all 1 */
  int64_t ignore;       /* the label that doesn't count; INT64_MIN: there is none */
  double margin;        /* of the hinge */
  int32_t power;        /* of the hinge: 1 or 2; 0: nll */
  kernel_reduction reduction;
} kernel_label_loss;

/* y: [1], or [N, S] without reduction. Workspace: KERNEL_LOSS_WORKSPACE bytes. */
KERNEL_API int kernel_label_loss_forward(const kernel_label_loss *loss, kernel_array y, void *workspace,
                                         kernel_stream stream);
/* dy: as y; dx: [N, C, S]. The same workspace. */
KERNEL_API int kernel_label_loss_backward(const kernel_label_loss *loss, kernel_array dy, kernel_array dx,
                                          void *workspace, kernel_stream stream);
/* labels: [N, S], integers; y: [N, C, S]: 1 at the label, 0 elsewhere. */
KERNEL_API int kernel_one_hot(kernel_classes k, kernel_array labels, kernel_array y, kernel_stream stream);

#endif
