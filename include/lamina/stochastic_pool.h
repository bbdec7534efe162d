/* Stochastic pooling: one element of each window, drawn in proportion to its value, in one to three dimensions.
 *
 *   forward    y[o] = x[indices[o]], where i is drawn with probability w[i] / S;  w = max(x, 0), S = its sum over the
 *              window's part inside the input
 *   inference  y[o] = sum of w[i] * x[i] / S, the average by those probabilities
 *   backward   dx[i] = sum over the o with indices[o] = i of dy[o]
 *
 * So negative elements are never drawn. Where S is 0 (no element is positive) or not finite (NaN, infinity), forward and
 * inference take the window's maximum, as lamina/pool.h has it: 0 for a window of zeros, which draws its first one.
 * The draw, the same on every device and engine: with u(o) in [0, 1) as lamina/dropout.h has it (the upper 24 bits of
 * a word of Philox 4x32-10; o counts elements of y in row-major order), drawn is the first element in row-major order
 * at which the running sum of w, in f64, exceeds u * S; S is that sum at the window's end.
 * Source: Zeiler and Fergus, "Stochastic pooling for regularization of deep convolutional neural networks", ICLR 2013;
 * they pool after a ReLU, where w = x.
 *
 * Windows, shapes and errors are those of lamina/pool.h, without dilation and count_pad; rng i64 [2]: seed and step, as
 * lamina/dropout.h. Give each layer a stream of its own, and count the step up between runs.
 * Indices  i32: where in its plane of x the drawn element lies, row-major
 * Dtypes   f64, f32, f16, bf16, mixed as you like on `ref`; what is drawn is exact; inference sums in f32 or better
 * Strides  any; an input may overlap itself, nothing may overlap an output
 * Backward needs indices, saved by forward when it is asked to. Gradients overwrite.
 * Workspace as the plan says; the simple calls take the device's. Work is in stream order; on the CPU it is done at
 * return. Bitwise deterministic, whatever the number of threads. Thread-safe. */
#ifndef LAMINA_STOCHASTIC_POOL_H
#define LAMINA_STOCHASTIC_POOL_H

#include "lamina/pool.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The windows, and the random numbers. */
typedef struct lamina_stochastic_pool {
  lamina_pool window; /**< without dilation and count_pad */
  int64_t stream;     /**< 0 … 2^32 - 1: which of the seed's streams of random numbers */
} lamina_stochastic_pool;

/** y = an element of each window; indices (may be NULL) is what backward needs. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_stochastic_pool_forward(
    lamina_device *device, const lamina_stochastic_pool *pool, const lamina_tensor *x, const lamina_tensor *rng,
    const lamina_tensor *y, const lamina_tensor *indices, lamina_stream *stream);
/** y = the average of each window, weighted by the probabilities. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_stochastic_pool_inference(lamina_device *device,
                                                                           const lamina_stochastic_pool *pool,
                                                                           const lamina_tensor *x,
                                                                           const lamina_tensor *y,
                                                                           lamina_stream *stream);
/** As lamina_max_pool_backward. */
LAMINA_API LAMINA_NODISCARD lamina_status
lamina_stochastic_pool_backward(lamina_device *device, const lamina_stochastic_pool *pool, const lamina_tensor *dy,
                                const lamina_tensor *indices, const lamina_tensor *dx, lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_stochastic_pool_forward_args {
  const void *x, *rng;
  void *y, *indices;
} lamina_stochastic_pool_forward_args;
typedef struct lamina_stochastic_pool_inference_args {
  const void *x;
  void *y;
} lamina_stochastic_pool_inference_args;
typedef lamina_max_pool_backward_args lamina_stochastic_pool_backward_args;

/** The same passes planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(stochastic_pool_forward, const lamina_stochastic_pool *pool, const lamina_tensor *x,
               const lamina_tensor *rng, const lamina_tensor *y, const lamina_tensor *indices);
LAMINA_PLANNED(stochastic_pool_inference, const lamina_stochastic_pool *pool, const lamina_tensor *x,
               const lamina_tensor *y);
LAMINA_PLANNED(stochastic_pool_backward, const lamina_stochastic_pool *pool, const lamina_tensor *dy,
               const lamina_tensor *indices, const lamina_tensor *dx);

#ifdef __cplusplus
}
#endif
#endif
