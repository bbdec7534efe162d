/* Other orders of the axes.
 *
 *   forward    y[i0, i1, …] = x[…], where axis d of y is axis perm[d] of x
 *   backward   dx from dy, the other way round
 *
 * Source: as numpy's transpose; mirrors cudnnTransformTensor.
 *
 * Shapes   y has x.dims[perm[d]] along axis d; any rank
 * Dtypes   any; x and y alike (lamina/cast.h converts)
 * Strides  any; an input may overlap itself, nothing may overlap an output. Elements are moved: a view of x with other
 *          strides costs nothing, where that is enough.
 * No workspace, nothing saved. Bitwise exact. Thread-safe. Stream order; on the CPU done at return.
 * Errors   INVALID: a perm that doesn't name every axis once, shapes or types that don't fit; UNSUPPORTED: no engine;
 * DEVICE. */
#ifndef LAMINA_TRANSPOSE_H
#define LAMINA_TRANSPOSE_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** All zero: the axes in reverse. */
typedef struct lamina_transpose {
  int64_t perm[LAMINA_MAX_RANK]; /**< every axis of x once; negative ones count from the end */
} lamina_transpose;

/** y = x with its axes in the order of perm. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_transpose_forward(lamina_device *device,
                                                                   const lamina_transpose *transpose,
                                                                   const lamina_tensor *x, const lamina_tensor *y,
                                                                   lamina_stream *stream);
/** dx = dy with its axes where they were; perm is that of the forward pass. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_transpose_backward(lamina_device *device,
                                                                    const lamina_transpose *transpose,
                                                                    const lamina_tensor *dy, const lamina_tensor *dx,
                                                                    lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_transpose_forward_args {
  const void *x;
  void *y;
} lamina_transpose_forward_args;
typedef struct lamina_transpose_backward_args {
  const void *dy;
  void *dx;
} lamina_transpose_backward_args;

/** The same passes planned once, and run on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(transpose_forward, const lamina_transpose *transpose, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(transpose_backward, const lamina_transpose *transpose, const lamina_tensor *dy, const lamina_tensor *dx);

#ifdef __cplusplus
}
#endif
#endif
