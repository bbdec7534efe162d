/* Local response normalisation, as lamina/lrn.h says. x, y, dy, dx: [count] elements, of which windows are along up to
 * three axes. */
#ifndef KERNEL_LRN_H
#define KERNEL_LRN_H

#include "launch.h"

typedef struct kernel_lrn {
  kernel_type type;
  int count; /* elements */
  int axes;
  int n[3], inner[3]; /* of each axis: its size; elements from one to the next along it */
  int back, ahead;    /* how far a window reaches, both less than 2^20 */
  float scale;        /* alpha by the window's elements */
  float k, beta;
  bool in_place; /* y is x; dx is dy */
} kernel_lrn;

KERNEL_API int kernel_lrn_forward(const kernel_lrn *l, const void *x, void *y, float *workspace, kernel_stream stream);
KERNEL_API int kernel_lrn_backward(const kernel_lrn *l, const void *x, const void *dy, void *dx, float *workspace,
                                   kernel_stream stream);
/* Bytes of workspace that they take. */
KERNEL_API size_t kernel_lrn_workspace(const kernel_lrn *l, bool backward);

#endif
