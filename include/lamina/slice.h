/* Slices: every step-th element from start to stop, along each axis.
 *
 *   forward    y[i, …] = x[start + i * step, …]
 *   backward   dx = 0, but dx[start + i * step, …] = dy[i, …]
 *
 * Source: as Python's x[start:stop:step] along each axis, with one difference: 0 is every number's default, so that
 * element 0 is written as -size where 0 would be taken for the default.
 *   step   0: 1. Negative: backwards
 *   start  0: the first element (backwards: the last)
 *   stop   the first element that isn't taken any more. 0: none, that is, up to the end (backwards: down to element 0)
 * A start or stop below 0 counts from the end: -1 is the last element, -size the first. One beyond either end of the
 * axis is as if it were at that end. Where nothing lies between start and stop, y is empty.
 *
 * Shapes   x any rank; y has ceil((stop - start) / step) along each axis
 * Dtypes   any; x and y alike (lamina/cast.h converts)
 * Strides  any; an input may overlap itself, nothing may overlap an output. Elements are moved: a view of x with other
 *          strides costs nothing, where that is enough.
 * Backward needs nothing of the forward pass but the shape of dx, which must be given. Gradients overwrite.
 * No workspace, nothing saved. Bitwise exact. Thread-safe. Stream order; on the CPU done at return.
 * Errors   INVALID: numbers for more axes than x has, shapes or types that don't fit; UNSUPPORTED: no engine; DEVICE. */
#ifndef LAMINA_SLICE_H
#define LAMINA_SLICE_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** All zero: everything. One number for each axis; those not given are 0. */
typedef struct lamina_slice {
  int64_t start[LAMINA_MAX_RANK]; /**< 0: the first element, or the last where step is negative */
  int64_t stop[LAMINA_MAX_RANK];  /**< not taken any more; 0: to the end, or down to element 0 */
  int64_t step[LAMINA_MAX_RANK];  /**< 0: 1 */
} lamina_slice;

/** y = the slice of x. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_slice_forward(lamina_device *device, const lamina_slice *slice,
                                                               const lamina_tensor *x, const lamina_tensor *y,
                                                               lamina_stream *stream);
/** dx = dy where it came from, and 0 elsewhere. The shape of dx must be given. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_slice_backward(lamina_device *device, const lamina_slice *slice,
                                                                const lamina_tensor *dy, const lamina_tensor *dx,
                                                                lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_slice_forward_args {
  const void *x;
  void *y;
} lamina_slice_forward_args;
typedef struct lamina_slice_backward_args {
  const void *dy;
  void *dx;
} lamina_slice_backward_args;

/** The same passes planned once, and run on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(slice_forward, const lamina_slice *slice, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(slice_backward, const lamina_slice *slice, const lamina_tensor *dy, const lamina_tensor *dx);

#ifdef __cplusplus
}
#endif
#endif
