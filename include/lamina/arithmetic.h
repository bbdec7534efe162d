/* Arithmetic on whole tensors: a sum or product of two, and a multiple of one.
 *
 *   add       y = a + b              da = dy, db = dy summed up
 *   multiply  y = a * b              da = dy * b, db = dy * a summed up
 *   scale     y = factor * x         dx = factor * dy
 *
 * element by element. The second argument may repeat ("broadcasting"), the first one not: b has as many axes as a, each
 * of a's size or of 1; or, beside an a of two or more axes, b is [C], one number for each channel (axis 1), or [1]. db
 * is the sum over all elements that an element of b met.
 *
 * Source: mirrors cudnnOpTensor (CUDNN_OP_TENSOR_ADD and CUDNN_OP_TENSOR_MUL) and cudnnScaleTensor.
 *
 * Shapes   y and dy as a, db as b, any rank; dx as x
 * Dtypes   f64, f32, f16, bf16, mixed as you like on `ref`; computed in f32 or better (f64 in f64). db is summed in f32
 *          over at most 64 elements, in f64 above that
 * Strides  any; an input may overlap itself
 * Aliasing y may be a (or x), da may be dy, dx may be dy (same shape, type and strides)
 * Backward of add and scale needs nothing of the forward pass; that of multiply takes a and b. Gradients overwrite, they
 * don't accumulate; those of add and multiply are both optional. add's db is as dy where no shape is given.
 * Workspace as the plan says (packing of strides that differ, partial sums); the simple calls take the device's. Work is
 * in stream order; on the CPU it is done at return. Bitwise deterministic, whatever the number of threads. Thread-safe.
 * Errors   INVALID: shapes that don't fit, with the sentence naming the argument; UNSUPPORTED: no engine; OUT_OF_MEMORY;
 * DEVICE. */
#ifndef LAMINA_ARITHMETIC_H
#define LAMINA_ARITHMETIC_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** y = a + b. Mirrors cudnnOpTensor (CUDNN_OP_TENSOR_ADD). */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_add_forward(lamina_device *device, const lamina_tensor *a,
                                                             const lamina_tensor *b, const lamina_tensor *y,
                                                             lamina_stream *stream);
/** da = dy and db = dy summed up, in their own types; either may be NULL. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_add_backward(lamina_device *device, const lamina_tensor *dy,
                                                              const lamina_tensor *da, const lamina_tensor *db,
                                                              lamina_stream *stream);

/** y = a * b. Mirrors cudnnOpTensor (CUDNN_OP_TENSOR_MUL). */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_multiply_forward(lamina_device *device, const lamina_tensor *a,
                                                                  const lamina_tensor *b, const lamina_tensor *y,
                                                                  lamina_stream *stream);
/** da = dy * b, db = dy * a summed up; either may be NULL. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_multiply_backward(lamina_device *device, const lamina_tensor *a,
                                                                   const lamina_tensor *b, const lamina_tensor *dy,
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
typedef struct lamina_multiply_forward_args {
  const void *a, *b;
  void *y;
} lamina_multiply_forward_args;
typedef struct lamina_multiply_backward_args {
  const void *a, *b, *dy;
  void *da, *db;
} lamina_multiply_backward_args;
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
LAMINA_PLANNED(multiply_forward, const lamina_tensor *a, const lamina_tensor *b, const lamina_tensor *y);
LAMINA_PLANNED(multiply_backward, const lamina_tensor *a, const lamina_tensor *b, const lamina_tensor *dy,
               const lamina_tensor *da, const lamina_tensor *db);
LAMINA_PLANNED(scale_forward, const lamina_scale *scale, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(scale_backward, const lamina_scale *scale, const lamina_tensor *dy, const lamina_tensor *dx);

#ifdef __cplusplus
}
#endif
#endif
