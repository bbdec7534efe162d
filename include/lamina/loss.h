/* Losses: softmax and cross-entropy in one, against class indices.
 *
 *   p[n,c,i] = exp(x[n,c,i] - m) / sum over k of exp(x[n,k,i] - m),   m = max over k of x[n,k,i]
 *   l[n,i]   = -log p[n,t,i] = log(sum over k of exp(x[n,k,i] - m)) - (x[n,t,i] - m),   t = labels[n,i]
 *   y        = mean over n, i of l, or their sum, or l itself
 *
 * so nothing overflows whatever the size of x.
 * Source: Goodfellow, Bengio and Courville, "Deep Learning", 2016, sections 4.1 and 6.2.2.3; as PyTorch's cross_entropy.
 *
 * Shapes   x [N, C, spatial…] with C at least 1 and any number of spatial axes, labels [N, spatial…],
 *          prob as x, y [1], or [N, spatial…] without reduction
 * Labels   0 … C-1, i64, i32 or u8. A label outside that range is never used as an index: it makes the loss of its
 *          example NaN (and with it the mean or sum), and its gradient NaN for every class.
 * Dtypes   x, prob, y, dy, dx f64, f32, f16, bf16, mixed as you like on `ref`; exponentials and sums in f32 or better
 *          (f64 in f64)
 * Strides  any; an input may overlap itself, nothing may overlap an output but dx may be prob (same shape, type, strides)
 * Backward needs prob and labels: forward gives prob (the softmax), where it is asked for; x is not needed.
 *          Gradients overwrite, they don't accumulate.
 * NaN      in x: NaN in l and in prob. x = -inf: probability 0. x = +inf, or -inf for every class: NaN.
 * Empty    N = 0, or an empty spatial axis: the mean is NaN, the sum 0
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
  LAMINA_REDUCTION_MEAN, /**< the mean over all labels, N times the spatial axes */
  LAMINA_REDUCTION_SUM,  /**< the sum over them */
  LAMINA_REDUCTION_NONE  /**< each for itself */
} lamina_reduction;

/** All zero: the mean. */
typedef struct lamina_softmax_cross_entropy {
  int64_t reduction; /**< a lamina_reduction */
} lamina_softmax_cross_entropy;

/** y from x and labels; prob, the softmax of x over axis 1, is saved for the backward pass (NULL: not wanted). */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_softmax_cross_entropy_forward(
    lamina_device *device, const lamina_softmax_cross_entropy *loss, const lamina_tensor *x,
    const lamina_tensor *labels, const lamina_tensor *y, const lamina_tensor *prob, lamina_stream *stream);

/** dx from prob, labels and dy: dx[n,c,i] = (prob[n,c,i] - [c = labels[n,i]]) * dy, where dy is dy[0] divided by the
 *  number of labels (mean), dy[0] (sum) or dy[n,i] (none). */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_softmax_cross_entropy_backward(
    lamina_device *device, const lamina_softmax_cross_entropy *loss, const lamina_tensor *prob,
    const lamina_tensor *labels, const lamina_tensor *dy, const lamina_tensor *dx, lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_softmax_cross_entropy_forward_args {
  const void *x, *labels;
  void *y, *prob;
} lamina_softmax_cross_entropy_forward_args;
typedef struct lamina_softmax_cross_entropy_backward_args {
  const void *prob, *labels, *dy;
  void *dx;
} lamina_softmax_cross_entropy_backward_args;

/** The same passes planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(softmax_cross_entropy_forward, const lamina_softmax_cross_entropy *loss, const lamina_tensor *x,
               const lamina_tensor *labels, const lamina_tensor *y, const lamina_tensor *prob);
LAMINA_PLANNED(softmax_cross_entropy_backward, const lamina_softmax_cross_entropy *loss, const lamina_tensor *prob,
               const lamina_tensor *labels, const lamina_tensor *dy, const lamina_tensor *dx);

#ifdef __cplusplus
}
#endif
#endif
