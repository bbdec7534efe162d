/* Layer and group normalisation: numbers of one example to mean 0 and variance 1, then scaled.
 *
 *   with n elements x that are normalised together:
 *     m = sum x / n      v = sum (x - m)^2 / n      r = 1 / sqrt(v + epsilon)      y = (x - m) * r * w + b
 *   backward, with h = (x - m) * r and g = dy * w:
 *     dx = r * (g - sum g / n - h * sum (g * h) / n)      db = sum dy      dw = sum dy * h
 *
 *   layer_norm  all elements from axis `axis` on, by default those of the last axis; w and b have a number for each of
 *               them
 *   group_norm  the channels of [N, C, spatial…] in `groups` groups of C / groups neighbours, each with all of its
 *               positions; w and b have a number for each channel. One channel a group is instance normalisation, one
 *               group for all is layer normalisation but for w and b.
 *
 * Sources: Ba, Kiros and Hinton, "Layer normalization", 2016; Wu and He, "Group normalization", ECCV 2018; Ulyanov,
 * Vedaldi and Lempitsky, "Instance normalization", 2016. As PyTorch's LayerNorm (whose normalized_shape are the axes from
 * `axis` on), GroupNorm and InstanceNorm (without running statistics).
 *
 * Shapes   layer_norm: x [outer…, inner…], w and b [inner…], mean and deviation [outer…], `axis` being the first inner
 *          axis; group_norm: x [N, C, spatial…], w and b [C], mean and deviation [N, groups]. y, dy and dx as x, dw and
 *          db as w. w absent: 1; b absent: 0
 * Dtypes   f64, f32, f16, bf16, mixed as you like on `ref`; fast engines take x, y, dy and dx of one type, all others
 *          each in f32 or bf16. Where they are to be inferred, mean and deviation are f32, of an f64 x f64.
 * Sums     in f64 on the CPU. Variances are sums of squared distances from the mean, never differences of large sums, so
 *          an offset costs nothing but what x itself has lost.
 * Strides  any; an input may overlap itself
 * Aliasing forward: y may be x; backward: dx may be dy (same shape, type and strides)
 * Saved    mean and deviation: m and r, the inverse deviation. Backward takes x, not y.
 * NaN      a NaN or an infinity makes NaN of all y, dx, m and r that are normalised with it, and what follows from these
 * One element has variance 0: y is b
 * Empty    no elements: m is 0, r = 1/sqrt(epsilon), dw and db are 0
 * Workspace as the plan says; the simple calls take the device's. Work is in stream order; on the CPU it is done at
 * return. Bitwise deterministic, whatever the number of threads. Thread-safe.
 * Errors   INVALID: shapes that don't fit, an axis that there isn't, groups that don't divide the channels, with the
 * sentence naming it; UNSUPPORTED: no engine; OUT_OF_MEMORY; DEVICE. */
#ifndef LAMINA_LAYER_NORM_H
#define LAMINA_LAYER_NORM_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** All zero: the last axis, epsilon 1e-5. */
typedef struct lamina_layer_norm {
  int64_t axis;        /**< the first axis of those that are normalised together; negative counts from the end; 0: -1,
                        *   unless has_axis */
  double epsilon;      /**< 0: 1e-5, unless has_epsilon */
  int64_t has_axis;    /**< 1: an axis of 0, the whole tensor, is meant */
  int64_t has_epsilon; /**< 1: an epsilon of 0 is meant; equal numbers are NaN then */
} lamina_layer_norm;

/** All zero but groups: epsilon 1e-5. */
typedef struct lamina_group_norm {
  int64_t groups;      /**< must be given; divides the channels */
  double epsilon;      /**< 0: 1e-5, unless has_epsilon */
  int64_t has_epsilon; /**< 1: an epsilon of 0 is meant; equal numbers are NaN then */
} lamina_group_norm;

/** y, and what backward takes; w, b, mean and deviation may be NULL. */
LAMINA_API LAMINA_NODISCARD lamina_status
lamina_layer_norm_forward(lamina_device *device, const lamina_layer_norm *layer_norm, const lamina_tensor *x,
                          const lamina_tensor *w, const lamina_tensor *b, const lamina_tensor *y,
                          const lamina_tensor *mean, const lamina_tensor *deviation, lamina_stream *stream);
/** dx, dw and db from x, w, dy and what forward saved; w, dw and db may be NULL. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_layer_norm_backward(
    lamina_device *device, const lamina_layer_norm *layer_norm, const lamina_tensor *x, const lamina_tensor *w,
    const lamina_tensor *mean, const lamina_tensor *deviation, const lamina_tensor *dy, const lamina_tensor *dx,
    const lamina_tensor *dw, const lamina_tensor *db, lamina_stream *stream);
/** y, and what backward takes; w, b, mean and deviation may be NULL. */
LAMINA_API LAMINA_NODISCARD lamina_status
lamina_group_norm_forward(lamina_device *device, const lamina_group_norm *group_norm, const lamina_tensor *x,
                          const lamina_tensor *w, const lamina_tensor *b, const lamina_tensor *y,
                          const lamina_tensor *mean, const lamina_tensor *deviation, lamina_stream *stream);
/** dx, dw and db from x, w, dy and what forward saved; w, dw and db may be NULL. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_group_norm_backward(
    lamina_device *device, const lamina_group_norm *group_norm, const lamina_tensor *x, const lamina_tensor *w,
    const lamina_tensor *mean, const lamina_tensor *deviation, const lamina_tensor *dy, const lamina_tensor *dx,
    const lamina_tensor *dw, const lamina_tensor *db, lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_layer_norm_forward_args {
  const void *x, *w, *b;
  void *y, *mean, *deviation;
} lamina_layer_norm_forward_args;
typedef struct lamina_layer_norm_backward_args {
  const void *x, *w, *mean, *deviation, *dy;
  void *dx, *dw, *db;
} lamina_layer_norm_backward_args;
typedef lamina_layer_norm_forward_args lamina_group_norm_forward_args;
typedef lamina_layer_norm_backward_args lamina_group_norm_backward_args;

/** The same passes planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(layer_norm_forward, const lamina_layer_norm *layer_norm, const lamina_tensor *x, const lamina_tensor *w,
               const lamina_tensor *b, const lamina_tensor *y, const lamina_tensor *mean,
               const lamina_tensor *deviation);
LAMINA_PLANNED(layer_norm_backward, const lamina_layer_norm *layer_norm, const lamina_tensor *x, const lamina_tensor *w,
               const lamina_tensor *mean, const lamina_tensor *deviation, const lamina_tensor *dy,
               const lamina_tensor *dx, const lamina_tensor *dw, const lamina_tensor *db);
LAMINA_PLANNED(group_norm_forward, const lamina_group_norm *group_norm, const lamina_tensor *x, const lamina_tensor *w,
               const lamina_tensor *b, const lamina_tensor *y, const lamina_tensor *mean,
               const lamina_tensor *deviation);
LAMINA_PLANNED(group_norm_backward, const lamina_group_norm *group_norm, const lamina_tensor *x, const lamina_tensor *w,
               const lamina_tensor *mean, const lamina_tensor *deviation, const lamina_tensor *dy,
               const lamina_tensor *dx, const lamina_tensor *dw, const lamina_tensor *db);

#ifdef __cplusplus
}
#endif
#endif
