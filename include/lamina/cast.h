/* Casts: the same numbers in another element type.
 *
 *   y[i] = x[i]                     dx[i] = dy[i]
 *
 * Source: as PyTorch's Tensor.to between floating types; to integers it saturates, where C leaves open what comes out.
 *
 * Shapes   x and y alike, any rank; the type of y is given with it (that of x where it isn't)
 * Dtypes   forward: any to any. To a floating type: to nearest even, too large becomes infinity, NaN stays NaN. To an
 *          integer: to nearest even, too large or small saturates, NaN becomes 0. i64 beyond 2^53 becomes the nearest
 *          f64 on the way, to i64 too.
 *          backward: floating types only, since integers have no gradient
 * Strides  any; an input may overlap itself; nothing may overlap an output
 * Backward needs nothing of the forward pass. Gradients overwrite, they don't accumulate.
 * Bitwise exact. Workspace as the plan says (packing of strides that differ); the simple calls take the device's. Work
 * is in stream order; on the CPU it is done at return. Thread-safe.
 * Errors   INVALID: shapes that differ, with the sentence naming the argument; UNSUPPORTED: no engine; OUT_OF_MEMORY;
 * DEVICE. */
#ifndef LAMINA_CAST_H
#define LAMINA_CAST_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** y = x in the type of y. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_cast_forward(lamina_device *device, const lamina_tensor *x,
                                                              const lamina_tensor *y, lamina_stream *stream);
/** dx = dy in the type of dx. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_cast_backward(lamina_device *device, const lamina_tensor *dy,
                                                               const lamina_tensor *dx, lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_cast_forward_args {
  const void *x;
  void *y;
} lamina_cast_forward_args;
typedef struct lamina_cast_backward_args {
  const void *dy;
  void *dx;
} lamina_cast_backward_args;

/** The same passes planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(cast_forward, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(cast_backward, const lamina_tensor *dy, const lamina_tensor *dx);

#ifdef __cplusplus
}
#endif
#endif
