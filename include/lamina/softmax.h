/* Softmax and its logarithm along one axis.
 *
 *   softmax      y[i] = exp(x[i] - m) / s                m = max over j of x[j], s = sum over j of exp(x[j] - m)
 *                dx[i] = y[i] * (dy[i] - sum over j of y[j] * dy[j])
 *   log_softmax  y[i] = x[i] - m - log(s)
 *                dx[i] = dy[i] - exp(y[i]) * sum over j of dy[j]
 *
 * with i, j along the axis, everything else fixed. Subtracting the maximum changes nothing but keeps exp in range.
 * Source: Goodfellow, Bengio and Courville, "Deep Learning", 2016, sections 4.1 and 6.2.2.3; mirrors
 * cudnnSoftmaxForward and cudnnSoftmaxBackward (CUDNN_SOFTMAX_ACCURATE, CUDNN_SOFTMAX_LOG).
 *
 * Shapes   x, y, dy and dx alike, any rank from 1
 * Dtypes   f64, f32, f16, bf16, mixed as you like on `ref`; computed in f32 or better (f64 in f64)
 * Strides  any; an input may overlap itself
 * Aliasing forward: y may be x; backward: dx may be dy (same shape, type and strides)
 * Backward needs y, never x; nothing else is saved. Gradients overwrite, they don't accumulate.
 * NaN      one NaN along the axis, a +inf, or nothing but -inf makes the whole row NaN (inf - inf), as in PyTorch; beside
 *          a finite maximum -inf gives probability 0, logarithm -inf.
 * Small    probabilities below the smallest normal number may become 0
 * Empty    nothing happens
 * Workspace as the plan says; the simple calls take the device's. Work is in stream order; on the CPU it is done at
 * return. Bitwise deterministic. Thread-safe.
 * Errors   INVALID: shapes that differ, an axis that there isn't; UNSUPPORTED: no engine; OUT_OF_MEMORY; DEVICE. */
#ifndef LAMINA_SOFTMAX_H
#define LAMINA_SOFTMAX_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** All zero: axis 1, the channels. */
typedef struct lamina_softmax {
  int64_t axis;     /**< the axis that sums to 1; negative counts from the end; 0 and not has_axis: 1 */
  int64_t has_axis; /**< 1: an axis of 0 is meant */
} lamina_softmax;

/** y = softmax(x). */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_softmax_forward(lamina_device *device, const lamina_softmax *softmax,
                                                                 const lamina_tensor *x, const lamina_tensor *y,
                                                                 lamina_stream *stream);
/** dx from y and dy. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_softmax_backward(lamina_device *device, const lamina_softmax *softmax,
                                                                  const lamina_tensor *y, const lamina_tensor *dy,
                                                                  const lamina_tensor *dx, lamina_stream *stream);
/** y = log(softmax(x)). */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_log_softmax_forward(lamina_device *device,
                                                                     const lamina_softmax *softmax,
                                                                     const lamina_tensor *x, const lamina_tensor *y,
                                                                     lamina_stream *stream);
/** dx from y, the logarithms, and dy. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_log_softmax_backward(lamina_device *device,
                                                                      const lamina_softmax *softmax,
                                                                      const lamina_tensor *y, const lamina_tensor *dy,
                                                                      const lamina_tensor *dx, lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_softmax_forward_args {
  const void *x;
  void *y;
} lamina_softmax_forward_args;
typedef struct lamina_softmax_backward_args {
  const void *y, *dy;
  void *dx;
} lamina_softmax_backward_args;
typedef lamina_softmax_forward_args lamina_log_softmax_forward_args;
typedef lamina_softmax_backward_args lamina_log_softmax_backward_args;

/** The same passes planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(softmax_forward, const lamina_softmax *softmax, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(softmax_backward, const lamina_softmax *softmax, const lamina_tensor *y, const lamina_tensor *dy,
               const lamina_tensor *dx);
LAMINA_PLANNED(log_softmax_forward, const lamina_softmax *softmax, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(log_softmax_backward, const lamina_softmax *softmax, const lamina_tensor *y, const lamina_tensor *dy,
               const lamina_tensor *dx);

#ifdef __cplusplus
}
#endif
#endif
