/* Copies between strided views.
 *
 *   y[i] = x[i]
 *
 * Source: mirrors cudnnTransformTensor with alpha 1 and beta 0.
 *
 * Shapes   x and y alike, any rank
 * Dtypes   any; x and y alike (lamina/cast.h converts)
 * Strides  any; an axis of x may have stride 0 (broadcast); y may not overlap itself or x
 * No workspace, nothing saved. Bitwise exact. Thread-safe. Stream order; on the CPU done at return.
 * Errors   INVALID: shapes or types that differ, an overlap; UNSUPPORTED: no engine; DEVICE. */
#ifndef LAMINA_COPY_H
#define LAMINA_COPY_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** y = x. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_copy_forward(lamina_device *device, const lamina_tensor *x,
                                                              const lamina_tensor *y, lamina_stream *stream);

/** Data pointers, in the order of the op's row. */
typedef struct lamina_copy_forward_args {
  const void *x;
  void *y;
} lamina_copy_forward_args;

LAMINA_PLANNED(copy_forward, const lamina_tensor *x, const lamina_tensor *y);

#ifdef __cplusplus
}
#endif
#endif
