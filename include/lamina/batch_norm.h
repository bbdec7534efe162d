/* Batch normalisation: every channel to mean 0 and variance 1 over the batch and all positions, then scaled.
 *
 *   forward, for training, with n elements x in a channel:
 *     m = sum x / n      v = sum (x - m)^2 / n      r = 1 / sqrt(v + epsilon)
 *     y = (x - m) * r * w + b
 *     new_running_mean     = (1 - momentum) * running_mean     + momentum * m
 *     new_running_variance = (1 - momentum) * running_variance + momentum * v * n / (n - 1)
 *   inference:
 *     y = (x - running_mean) / sqrt(running_variance + epsilon) * w + b
 *   backward of forward, with h = (x - m) * r:
 *     db = sum dy      dw = sum dy * h      dx = w * r * (dy - db / n - h * dw / n)
 *
 * Source: Ioffe and Szegedy, "Batch normalization", ICML 2015, algorithm 1; as PyTorch's BatchNorm, also in the momentum
 * (the weight of the new) and the unbiased running variance; cudnnBatchNormalizationForwardTraining (SPATIAL) with
 * exponentialAverageFactor = momentum.
 *
 * Shapes   x, y, dy and dx [N, C, spatial…], any number of spatial axes, also none; all others [C]. w absent: 1; b
 *          absent: 0
 * Dtypes   f64, f32, f16, bf16, mixed as you like on `ref`; fast engines take x, y, dy and dx of one type, the numbers of
 *          a channel each in f32 or bf16. Where they are to be inferred, mean and deviation are f32, of an f64 x f64: 8
 *          bits would not do.
 * Sums     in f64 on the CPU. Variances are sums of squared distances from the mean, never differences of large sums, so
 *          an offset costs nothing but what x itself has lost: 10^6 + x normalises as x does, as far as 10^6 + x is x.
 * Strides  any; an input may overlap itself
 * Aliasing forward and inference: y may be x, new_running_mean running_mean, new_running_variance running_variance;
 *          backward: dx may be dy (same shape, type and strides)
 * Saved    mean and deviation: m and r, the inverse deviation, of each channel. Backward takes x, not y. A mean that was
 *          rounded to f32 is what backward reckons with.
 * Running  momentum 0 keeps them, 1 takes the new. A new one without its old one is an error. One element has no
 *          unbiased variance: running_variance stays then, as both do without any. (PyTorch refuses to train on one
 *          element.)
 * NaN      a NaN or an infinity in a channel makes all of its y, dx, m and r NaN, and what follows from these. No other
 *          channel knows.
 * Empty    no elements in a channel: m is 0, r = 1/sqrt(epsilon), dw and db are 0
 * Workspace as the plan says; the simple calls take the device's. Work is in stream order; on the CPU it is done at
 * return. Bitwise deterministic, whatever the number of threads. Thread-safe.
 * Errors   INVALID: shapes that don't fit, with the sentence naming the argument; UNSUPPORTED: no engine;
 * OUT_OF_MEMORY; DEVICE. */
#ifndef LAMINA_BATCH_NORM_H
#define LAMINA_BATCH_NORM_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** All zero: epsilon 1e-5, momentum 0.1. */
typedef struct lamina_batch_norm {
  double epsilon;       /**< 0: 1e-5, unless has_epsilon */
  double momentum;      /**< 0 … 1; 0: 0.1, unless has_momentum. Only forward reads it */
  int64_t has_epsilon;  /**< 1: an epsilon of 0 is meant; a constant channel is NaN then */
  int64_t has_momentum; /**< 1: a momentum of 0 is meant */
} lamina_batch_norm;

/** y, and what backward and inference take; all but x and y may be NULL, new ones need the old ones. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_batch_norm_forward(
    lamina_device *device, const lamina_batch_norm *batch_norm, const lamina_tensor *x, const lamina_tensor *w,
    const lamina_tensor *b, const lamina_tensor *running_mean, const lamina_tensor *running_variance,
    const lamina_tensor *y, const lamina_tensor *mean, const lamina_tensor *deviation,
    const lamina_tensor *new_running_mean, const lamina_tensor *new_running_variance, lamina_stream *stream);
/** y from the running statistics; w and b may be NULL. */
LAMINA_API LAMINA_NODISCARD lamina_status
lamina_batch_norm_inference(lamina_device *device, const lamina_batch_norm *batch_norm, const lamina_tensor *x,
                            const lamina_tensor *w, const lamina_tensor *b, const lamina_tensor *running_mean,
                            const lamina_tensor *running_variance, const lamina_tensor *y, lamina_stream *stream);
/** dx, dw and db from x, w, dy and what forward saved; w, dw and db may be NULL. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_batch_norm_backward(
    lamina_device *device, const lamina_batch_norm *batch_norm, const lamina_tensor *x, const lamina_tensor *w,
    const lamina_tensor *mean, const lamina_tensor *deviation, const lamina_tensor *dy, const lamina_tensor *dx,
    const lamina_tensor *dw, const lamina_tensor *db, lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_batch_norm_forward_args {
  const void *x, *w, *b, *running_mean, *running_variance;
  void *y, *mean, *deviation, *new_running_mean, *new_running_variance;
} lamina_batch_norm_forward_args;
typedef struct lamina_batch_norm_inference_args {
  const void *x, *w, *b, *running_mean, *running_variance;
  void *y;
} lamina_batch_norm_inference_args;
typedef struct lamina_batch_norm_backward_args {
  const void *x, *w, *mean, *deviation, *dy;
  void *dx, *dw, *db;
} lamina_batch_norm_backward_args;

/** The same passes planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(batch_norm_forward, const lamina_batch_norm *batch_norm, const lamina_tensor *x, const lamina_tensor *w,
               const lamina_tensor *b, const lamina_tensor *running_mean, const lamina_tensor *running_variance,
               const lamina_tensor *y, const lamina_tensor *mean, const lamina_tensor *deviation,
               const lamina_tensor *new_running_mean, const lamina_tensor *new_running_variance);
LAMINA_PLANNED(batch_norm_inference, const lamina_batch_norm *batch_norm, const lamina_tensor *x,
               const lamina_tensor *w, const lamina_tensor *b, const lamina_tensor *running_mean,
               const lamina_tensor *running_variance, const lamina_tensor *y);
LAMINA_PLANNED(batch_norm_backward, const lamina_batch_norm *batch_norm, const lamina_tensor *x, const lamina_tensor *w,
               const lamina_tensor *mean, const lamina_tensor *deviation, const lamina_tensor *dy,
               const lamina_tensor *dx, const lamina_tensor *dw, const lamina_tensor *db);

#ifdef __cplusplus
}
#endif
#endif
