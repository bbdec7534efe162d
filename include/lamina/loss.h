/* Losses of class scores: softmax and cross-entropy in one, against class indices or against probabilities.
 *
 *   p[n,c,i] = exp(x[n,c,i] - m) / sum over k of exp(x[n,k,i] - m),   m = max over k of x[n,k,i]
 *   l[n,i]   = - sum over c of f[n,c,i] * log p[n,c,i],               f[n,c,i] = w[c] * ((1 - e) * t[n,c,i] + e / C)
 *   y        = mean over n, i of l, or their sum, or l itself
 *
 * with t the target, or 1 at the label and 0 elsewhere; w the weights of the classes, all 1 where none are given; e the
 * label smoothing. Without either, against a label, l = -log p of the label. Nothing overflows whatever the size of x.
 * A class with f = 0 takes no part, though its p be 0: a target of zeros and a one is that label, always.
 * Source: Goodfellow, Bengio and Courville, "Deep Learning", 2016, sections 4.1 and 6.2.2.3; Szegedy et al.,
 * arXiv 1512.00567, section 7 (smoothing); as PyTorch's cross_entropy.
 *
 * The mean  against labels divides by the sum of w[label] over the labels that count (without weights: by how many
 *           count); against targets by the number of examples, N times the spatial axes, whatever w
 * Shapes   x [N, C, spatial…] with C at least 1 and any number of spatial axes, labels [N, spatial…], target as x,
 *          weights [C], prob as x, y [1], or [N, spatial…] without reduction
 * Labels   0 … C-1, i64, i32 or u8. The label `ignore` doesn't count: its example's loss and gradient are 0, whatever
 *          its scores. Any other outside that range is never used as an index: it makes the loss of its example NaN (and
 *          with it the mean or sum), and its gradient NaN for every class; a mean divides by 1 more for it.
 * Targets  any numbers; nothing asks that they are probabilities
 * Dtypes   x, target, weights, prob, y, dy, dx f64, f32, f16, bf16, mixed as you like on `ref`; exponentials and sums in
 *          f32 or better (f64 in f64)
 * Strides  any; an input may overlap itself, nothing may overlap an output but dx may be prob (same shape, type, strides)
 * Backward needs prob, the labels or target, and the weights: forward gives prob (the softmax), where it is asked for; x
 *          is not needed. Gradients overwrite, they don't accumulate. There is none for target and weights.
 * NaN      in x: NaN in l and in prob. x = -inf: probability 0. x = +inf, or -inf for every class: NaN.
 * Empty    N = 0, an empty spatial axis, or no label that counts: the mean is NaN, the sum 0
 * Workspace as the plan says; the simple calls take the device's. Work is in stream order; on the CPU it is done at
 * return. Bitwise deterministic at a fixed thread count. Thread-safe.
 * Errors   INVALID: shapes that don't fit, with the sentence naming the argument; UNSUPPORTED: no engine;
 * OUT_OF_MEMORY; DEVICE. */
#ifndef LAMINA_LOSS_H
#define LAMINA_LOSS_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What becomes of the examples' losses. */
typedef enum lamina_reduction {
  LAMINA_REDUCTION_MEAN, /**< their mean, NaN where there are none */
  LAMINA_REDUCTION_SUM,  /**< their sum */
  LAMINA_REDUCTION_NONE  /**< each for itself */
} lamina_reduction;

/** All zero: the mean over all labels. */
typedef struct lamina_softmax_cross_entropy {
  int64_t reduction;      /**< a lamina_reduction */
  int64_t ignore;         /**< the label that doesn't count; 0: there is none, unless has_ignore (INT64_MIN: none) */
  int64_t has_ignore;     /**< 1: ignore is meant, though it is 0 */
  double label_smoothing; /**< 0 … 1: how much of each label is spread over all classes */
} lamina_softmax_cross_entropy;

/** All zero: the mean over all examples. */
typedef struct lamina_softmax_cross_entropy_target {
  int64_t reduction;      /**< a lamina_reduction */
  double label_smoothing; /**< 0 … 1: how much of each target is replaced by 1/C for every class */
} lamina_softmax_cross_entropy_target;

/** y from x, labels and weights (NULL: all 1); prob, the softmax of x over axis 1, is saved for the backward pass (NULL:
 *  not wanted). */
LAMINA_API LAMINA_NODISCARD lamina_status
lamina_softmax_cross_entropy_forward(lamina_device *device, const lamina_softmax_cross_entropy *loss,
                                     const lamina_tensor *x, const lamina_tensor *labels, const lamina_tensor *weights,
                                     const lamina_tensor *y, const lamina_tensor *prob, lamina_stream *stream);

/** dx from prob, labels, weights and dy: dx[n,c,i] = (prob[n,c,i] * (sum over k of f[n,k,i]) - f[n,c,i]) * dy, where dy
 *  is dy[0] divided by what the mean divides by, dy[0] (sum) or dy[n,i] (none). Without weights and smoothing that is
 *  (prob[n,c,i] - [c = labels[n,i]]) * dy. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_softmax_cross_entropy_backward(
    lamina_device *device, const lamina_softmax_cross_entropy *loss, const lamina_tensor *prob,
    const lamina_tensor *labels, const lamina_tensor *weights, const lamina_tensor *dy, const lamina_tensor *dx,
    lamina_stream *stream);

/** The same against target, a probability (or any factor) for each class of each example. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_softmax_cross_entropy_target_forward(
    lamina_device *device, const lamina_softmax_cross_entropy_target *loss, const lamina_tensor *x,
    const lamina_tensor *target, const lamina_tensor *weights, const lamina_tensor *y, const lamina_tensor *prob,
    lamina_stream *stream);
/** dx as against labels, from prob, target, weights and dy. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_softmax_cross_entropy_target_backward(
    lamina_device *device, const lamina_softmax_cross_entropy_target *loss, const lamina_tensor *prob,
    const lamina_tensor *target, const lamina_tensor *weights, const lamina_tensor *dy, const lamina_tensor *dx,
    lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_softmax_cross_entropy_forward_args {
  const void *x, *labels, *weights;
  void *y, *prob;
} lamina_softmax_cross_entropy_forward_args;
typedef struct lamina_softmax_cross_entropy_backward_args {
  const void *prob, *labels, *weights, *dy;
  void *dx;
} lamina_softmax_cross_entropy_backward_args;
typedef struct lamina_softmax_cross_entropy_target_forward_args {
  const void *x, *target, *weights;
  void *y, *prob;
} lamina_softmax_cross_entropy_target_forward_args;
typedef struct lamina_softmax_cross_entropy_target_backward_args {
  const void *prob, *target, *weights, *dy;
  void *dx;
} lamina_softmax_cross_entropy_target_backward_args;

/** The same passes planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(softmax_cross_entropy_forward, const lamina_softmax_cross_entropy *loss, const lamina_tensor *x,
               const lamina_tensor *labels, const lamina_tensor *weights, const lamina_tensor *y,
               const lamina_tensor *prob);
LAMINA_PLANNED(softmax_cross_entropy_backward, const lamina_softmax_cross_entropy *loss, const lamina_tensor *prob,
               const lamina_tensor *labels, const lamina_tensor *weights, const lamina_tensor *dy,
               const lamina_tensor *dx);
LAMINA_PLANNED(softmax_cross_entropy_target_forward, const lamina_softmax_cross_entropy_target *loss,
               const lamina_tensor *x, const lamina_tensor *target, const lamina_tensor *weights,
               const lamina_tensor *y, const lamina_tensor *prob);
LAMINA_PLANNED(softmax_cross_entropy_target_backward, const lamina_softmax_cross_entropy_target *loss,
               const lamina_tensor *prob, const lamina_tensor *target, const lamina_tensor *weights,
               const lamina_tensor *dy, const lamina_tensor *dx);

#ifdef __cplusplus
}
#endif
#endif
