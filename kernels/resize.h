/* Resizing, as lamina/resize.h says, by the nearest element or by linear interpolation along each of up to three axes.
 * x, dx: [planes, in[0], in[1], in[2]]; y, dy: [planes, out[0], out[1], out[2]]. Fewer axes: sizes of 1 in front. */
#ifndef KERNEL_RESIZE_H
#define KERNEL_RESIZE_H

#include "launch.h"

/* Each tensor has up to 2^31 - 1 elements, each axis up to 2^30. */
typedef struct kernel_resize {
  kernel_type type;
  int planes;
  int in[3], out[3];
  bool linear, align_corners;
} kernel_resize;

KERNEL_API int kernel_resize_forward(const kernel_resize *r, const void *x, void *y, kernel_stream stream);
/* dx: each element of dy given back to those that it was made of. */
KERNEL_API int kernel_resize_backward(const kernel_resize *r, const void *dy, void *dx, kernel_stream stream);

#endif
