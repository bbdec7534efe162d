/* Arithmetic on whole tensors: a sum of two, and a multiple of one.
 *
 *   add      y = a + b              da = dy, db = dy
 *   scale    y = factor * x         dx = factor * dy
 *
 * Source: mirrors cudnnOpTensor (CUDNN_OP_TENSOR_ADD) and cudnnScaleTensor.
 *
 * Shapes   all alike, any rank; nothing is broadcast but through strides of 0
 * Dtypes   f64, f32, f16, bf16, mixed as you like on `ref`; computed in f32 or better (f64 in f64)
 * Strides  any; an input may overlap itself
 * Aliasing y may be a (or x), da may be dy, dx may be dy (same shape, type and strides)
 * Backward needs nothing of the forward pass. Gradients overwrite, they don't accumulate; add's are both optional.
 * Workspace as the plan says (packing of strides that differ); the simple calls take the device's. Work is in stream
 * order; on the CPU it is done at return. Bitwise deterministic, whatever the number of threads. Thread-safe.
 * Errors   INVALID: shapes that differ, with the sentence naming the argument; UNSUPPORTED: no engine; OUT_OF_MEMORY;
 * DEVICE. */
#ifndef LAMINA_ARITHMETIC_H
#define LAMINA_ARITHMETIC_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** y = a + b. Mirrors cudnnAddTensor with alpha = beta = 1. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_add_forward(lamina_device *device, const lamina_tensor *a,
                                                             const lamina_tensor *b, const lamina_tensor *y,
                                                             lamina_stream *stream);
/** da = dy and db = dy, in their own types; either may be NULL. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_add_backward(lamina_device *device, const lamina_tensor *dy,
                                                              const lamina_tensor *da, const lamina_tensor *db,
                                                              lamina_stream *stream);

/** All zero: a factor of 1. */
typedef struct lamina_scale {
  double factor;      /**< 0: 1, unless has_factor */
  int64_t has_factor; /**< 1: factor is meant, though it is 0 */
} lamina_scale;

/** y = factor * x. Mirrors cudnnScaleTensor. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_scale_forward(lamina_device *device, const lamina_scale *scale,
                                                               const lamina_tensor *x, const lamina_tensor *y,
                                                               lamina_stream *stream);
/** dx = factor * dy. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_scale_backward(lamina_device *device, const lamina_scale *scale,
                                                                const lamina_tensor *dy, const lamina_tensor *dx,
                                                                lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_add_forward_args {
  const void *a, *b;
  void *y;
} lamina_add_forward_args;
typedef struct lamina_add_backward_args {
  const void *dy;
  void *da, *db;
} lamina_add_backward_args;
typedef struct lamina_scale_forward_args {
  const void *x;
  void *y;
} lamina_scale_forward_args;
typedef struct lamina_scale_backward_args {
  const void *dy;
  void *dx;
} lamina_scale_backward_args;

/** The same passes planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(add_forward, const lamina_tensor *a, const lamina_tensor *b, const lamina_tensor *y);
LAMINA_PLANNED(add_backward, const lamina_tensor *dy, const lamina_tensor *da, const lamina_tensor *db);
LAMINA_PLANNED(scale_forward, const lamina_scale *scale, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(scale_backward, const lamina_scale *scale, const lamina_tensor *dy, const lamina_tensor *dx);

#ifdef __cplusplus
}
#endif
#endif
