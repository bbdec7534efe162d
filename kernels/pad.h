/* Padding, as lamina/pad.h says, and its reverse; with steps it also is what lies between the elements of a slice. */
#ifndef KERNEL_PAD_H
#define KERNEL_PAD_H

#include "launch.h"

typedef enum kernel_pad_mode { KERNEL_PAD_CONSTANT, KERNEL_PAD_EDGE, KERNEL_PAD_REFLECT } kernel_pad_mode;

typedef struct kernel_pad {
  kernel_pad_mode mode;
  int size; /* bytes of an element: 1, 2, 4, 8 */
  int rank;
  uint64_t value;                                     /* of constant padding: the element's bytes come first */
  int64_t outer[KERNEL_MAX_RANK];                     /* y's sizes */
  int64_t inner[KERNEL_MAX_RANK];                     /* x's sizes */
  int64_t before[KERNEL_MAX_RANK];                    /* where x's first element goes */
  int64_t step[KERNEL_MAX_RANK];                      /* from there to the next one; 1 unless padding is constant */
  int64_t from[KERNEL_MAX_RANK], to[KERNEL_MAX_RANK]; /* strides of x and y, in elements */
} kernel_pad;

/* y[before + j * step] = x[j], and the rest of y, which has up to 2^31 - 1 elements, by the mode. */
KERNEL_API int kernel_pad_forward(const kernel_pad *p, const void *x, void *y, kernel_stream stream);
/* dx[j] = the sum of all of dy that came from x[j], for the modes edge and reflect and steps of 1; both are dense, and
 * strides and size not looked at. */
KERNEL_API int kernel_pad_backward(const kernel_pad *p, kernel_type type, const void *dy, void *dx,
                                   kernel_stream stream);

#endif
