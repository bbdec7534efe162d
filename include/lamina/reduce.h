/* Sums, means and maxima over a set of axes.
 *
 *   sum    y = sum of x            dx = dy
 *   mean   y = sum of x / n        dx = dy / n
 *   max    y = largest of x        dx = dy where indices points, else 0
 *
 * over all elements that differ only in the axes of the set; n is how many these are.
 * Source: mirrors cudnnReduceTensor (CUDNN_REDUCE_TENSOR_ADD, AVG, MAX) and cudnnGetReductionIndicesSize.
 *
 * Shapes   x any rank; y has 1 along the axes of the set (keep), or these axes are left out; without any y is a scalar of
 *          rank 0
 * Indices  i32: which of its n elements the maximum is, counted row-major over the axes of the set. Of equal maxima (-0
 *          equals 0) the first counts; a NaN is the maximum, the first one if there are several.
 * Dtypes   f64, f32, f16, bf16, mixed as you like on `ref`. Sums in f32 over at most 64 elements, in f64 above that (f64
 *          in f64); a maximum is exact
 * Strides  any; an input may overlap itself, nothing may overlap an output
 * Backward sum, mean: nothing of the forward pass but the shape of dx, which must be given; max: indices, too, saved by
 *          forward when it is asked to. Gradients overwrite, they don't accumulate.
 * Empty    over nothing a sum is 0, a mean NaN, a maximum -inf with index -1
 * Workspace as the plan says (partial sums); the simple calls take the device's. Stream order; on the CPU done at return.
 * Bitwise deterministic, whatever the number of threads. Thread-safe.
 * Errors   INVALID: an axis that there isn't, shapes that don't fit, more than 2^31 - 1 elements under one index;
 * UNSUPPORTED: no engine; OUT_OF_MEMORY; DEVICE. */
#ifndef LAMINA_REDUCE_H
#define LAMINA_REDUCE_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** All zero: over all axes. */
typedef struct lamina_reduce {
  int64_t axes; /**< a set: the sum of their LAMINA_AXIS; 0: all */
  int64_t keep; /**< 1: they stay, with size 1 */
} lamina_reduce;

/** y = the sum of x over the axes. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_sum_forward(lamina_device *device, const lamina_reduce *reduce,
                                                             const lamina_tensor *x, const lamina_tensor *y,
                                                             lamina_stream *stream);
/** dx = dy, repeated along the axes. The shape of dx must be given. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_sum_backward(lamina_device *device, const lamina_reduce *reduce,
                                                              const lamina_tensor *dy, const lamina_tensor *dx,
                                                              lamina_stream *stream);
/** y = the mean of x over the axes. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_mean_forward(lamina_device *device, const lamina_reduce *reduce,
                                                              const lamina_tensor *x, const lamina_tensor *y,
                                                              lamina_stream *stream);
/** dx = dy / n, repeated along the axes. The shape of dx must be given. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_mean_backward(lamina_device *device, const lamina_reduce *reduce,
                                                               const lamina_tensor *dy, const lamina_tensor *dx,
                                                               lamina_stream *stream);
/** y = the largest of x over the axes; indices (may be NULL) is what backward needs. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_max_forward(lamina_device *device, const lamina_reduce *reduce,
                                                             const lamina_tensor *x, const lamina_tensor *y,
                                                             const lamina_tensor *indices, lamina_stream *stream);
/** dx = dy where indices points, else 0. The shape of dx must be given; an index of no element adds nothing. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_max_backward(lamina_device *device, const lamina_reduce *reduce,
                                                              const lamina_tensor *dy, const lamina_tensor *indices,
                                                              const lamina_tensor *dx, lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_sum_forward_args {
  const void *x;
  void *y;
} lamina_sum_forward_args;
typedef struct lamina_sum_backward_args {
  const void *dy;
  void *dx;
} lamina_sum_backward_args;
typedef struct lamina_mean_forward_args {
  const void *x;
  void *y;
} lamina_mean_forward_args;
typedef struct lamina_mean_backward_args {
  const void *dy;
  void *dx;
} lamina_mean_backward_args;
typedef struct lamina_max_forward_args {
  const void *x;
  void *y, *indices;
} lamina_max_forward_args;
typedef struct lamina_max_backward_args {
  const void *dy, *indices;
  void *dx;
} lamina_max_backward_args;

/** The same passes planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(sum_forward, const lamina_reduce *reduce, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(sum_backward, const lamina_reduce *reduce, const lamina_tensor *dy, const lamina_tensor *dx);
LAMINA_PLANNED(mean_forward, const lamina_reduce *reduce, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(mean_backward, const lamina_reduce *reduce, const lamina_tensor *dy, const lamina_tensor *dx);
LAMINA_PLANNED(max_forward, const lamina_reduce *reduce, const lamina_tensor *x, const lamina_tensor *y,
               const lamina_tensor *indices);
LAMINA_PLANNED(max_backward, const lamina_reduce *reduce, const lamina_tensor *dy, const lamina_tensor *indices,
               const lamina_tensor *dx);

#ifdef __cplusplus
}
#endif
#endif
