/* Losses of class scores against labels, beside softmax cross-entropy (lamina/loss.h): negative log-likelihood and the
 * hinge of many classes.
 *
 *   nll     l[n,i] = - w[t] * x[n,t,i],                                        t = labels[n,i]; x log-probabilities
 *   hinge   l[n,i] = w[t] / C * sum over c != t of max(0, margin - x[n,t,i] + x[n,c,i])^power
 *   y       = mean over n, i of l, or their sum, or l itself
 *
 *   nll     dx[n,c,i] = - w[t] * dy where c = t, else 0
 *   hinge   dx[n,c,i] = w[t] / C * power * max(0, margin - x[n,t,i] + x[n,c,i])^(power-1) * dy for c != t, 0 where the
 *           maximum is 0; dx[n,t,i] = - sum of those
 *
 * where dy is dy[0] divided by what the mean divides by, dy[0] (sum) or dy[n,i] (none).
 * Source: Goodfellow, Bengio and Courville, "Deep Learning", 2016, section 5.5 (nll); Crammer and Singer, "On the
 * algorithmic implementation of multiclass kernel-based vector machines", JMLR 2001, with the sum in place of the
 * maximum; as PyTorch's nll_loss and multi_margin_loss.
 *
 * The mean  of nll divides by the sum of w[label] over the labels that count (without weights: by how many count); that
 *           of hinge by the number of examples, N times the spatial axes, whatever w
 * Shapes   x [N, C, spatial…] with C at least 1 and any number of spatial axes, labels [N, spatial…], weights [C], y [1],
 *          or [N, spatial…] without reduction. nll's backward pass takes no x, so the shape of dx must be given.
 * Labels   0 … C-1, i64, i32 or u8. nll's label `ignore` doesn't count: its example's loss and gradient are 0. Any other
 *          outside that range is never used as an index: it makes the loss of its example NaN (and with it the mean or
 *          sum), and its gradient NaN for every class; a mean divides by 1 more for it.
 * Dtypes   x, weights, y, dy, dx f64, f32, f16, bf16, mixed as you like on `ref`; computed in f32 or better (f64 in f64)
 * Strides  any; an input may overlap itself, nothing may overlap an output
 * Backward needs the labels and weights, hinge also x. Gradients overwrite, they don't accumulate.
 * NaN      in x: NaN in the losses that read it
 * Empty    N = 0, an empty spatial axis, or no label that counts: the mean is NaN, the sum 0
 * Workspace as the plan says; the simple calls take the device's. Work is in stream order; on the CPU it is done at
 * return. Bitwise deterministic, whatever the number of threads. Thread-safe.
 * Errors   INVALID: shapes that don't fit, with the sentence naming the argument; UNSUPPORTED: no engine;
 * OUT_OF_MEMORY; DEVICE. */
#ifndef LAMINA_LABEL_LOSS_H
#define LAMINA_LABEL_LOSS_H

#include "lamina/loss.h"

#ifdef __cplusplus
extern "C" {
#endif

/** All zero: the mean over all labels. */
typedef struct lamina_nll {
  int64_t reduction;  /**< a lamina_reduction */
  int64_t ignore;     /**< the label that doesn't count; 0: there is none, unless has_ignore (INT64_MIN: none) */
  int64_t has_ignore; /**< 1: ignore is meant, though it is 0 */
} lamina_nll;

/** All zero: the mean, a margin of 1, power 1. */
typedef struct lamina_hinge {
  int64_t reduction;  /**< a lamina_reduction */
  double margin;      /**< 0: 1, unless has_margin */
  int64_t has_margin; /**< 1: a margin of 0 is meant */
  int64_t power;      /**< 1 or 2; 0: 1 */
} lamina_hinge;

/** y from x (log-probabilities), labels and weights (NULL: all 1). */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_nll_forward(lamina_device *device, const lamina_nll *loss,
                                                             const lamina_tensor *x, const lamina_tensor *labels,
                                                             const lamina_tensor *weights, const lamina_tensor *y,
                                                             lamina_stream *stream);
/** dx from labels, weights and dy. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_nll_backward(lamina_device *device, const lamina_nll *loss,
                                                              const lamina_tensor *labels, const lamina_tensor *weights,
                                                              const lamina_tensor *dy, const lamina_tensor *dx,
                                                              lamina_stream *stream);
/** y from x, labels and weights (NULL: all 1). */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_hinge_forward(lamina_device *device, const lamina_hinge *loss,
                                                               const lamina_tensor *x, const lamina_tensor *labels,
                                                               const lamina_tensor *weights, const lamina_tensor *y,
                                                               lamina_stream *stream);
/** dx from x, labels, weights and dy. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_hinge_backward(lamina_device *device, const lamina_hinge *loss,
                                                                const lamina_tensor *x, const lamina_tensor *labels,
                                                                const lamina_tensor *weights, const lamina_tensor *dy,
                                                                const lamina_tensor *dx, lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_nll_forward_args {
  const void *x, *labels, *weights;
  void *y;
} lamina_nll_forward_args;
typedef struct lamina_nll_backward_args {
  const void *labels, *weights, *dy;
  void *dx;
} lamina_nll_backward_args;
typedef lamina_nll_forward_args lamina_hinge_forward_args;
typedef struct lamina_hinge_backward_args {
  const void *x, *labels, *weights, *dy;
  void *dx;
} lamina_hinge_backward_args;

/** The same passes planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(nll_forward, const lamina_nll *loss, const lamina_tensor *x, const lamina_tensor *labels,
               const lamina_tensor *weights, const lamina_tensor *y);
LAMINA_PLANNED(nll_backward, const lamina_nll *loss, const lamina_tensor *labels, const lamina_tensor *weights,
               const lamina_tensor *dy, const lamina_tensor *dx);
LAMINA_PLANNED(hinge_forward, const lamina_hinge *loss, const lamina_tensor *x, const lamina_tensor *labels,
               const lamina_tensor *weights, const lamina_tensor *y);
LAMINA_PLANNED(hinge_backward, const lamina_hinge *loss, const lamina_tensor *x, const lamina_tensor *labels,
               const lamina_tensor *weights, const lamina_tensor *dy, const lamina_tensor *dx);

#ifdef __cplusplus
}
#endif
#endif
