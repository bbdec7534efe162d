/* Losses of one number against another, element by element; d = x - t, t the target.
 *
 *   binary_cross_entropy   l = (1 - t) * x + (1 + (q - 1) * t) * (log(1 + exp(-|x|)) + max(-x, 0))
 *                            = -(q * t * log p + (1 - t) * log(1 - p)),  p = 1 / (1 + exp(-x)): x is a logit
 *   mse                    l = d^2                    (no half)
 *   l1                     l = |d|
 *   huber                  l = d^2 / 2                where |d| <= delta
 *                              delta * (|d| - delta / 2)   elsewhere
 *   binary_hinge           l = max(0, margin - t * x)^power, with targets -1 and 1
 *
 *   y = mean of w * l, or their sum, or w * l itself
 *
 * with w the weights, all 1 where none are given. The mean divides by the number of elements, whatever w.
 * Source: as PyTorch's binary_cross_entropy_with_logits (q is its pos_weight), mse_loss, l1_loss and huber_loss; Huber,
 * "Robust Estimation of a Location Parameter", 1964; Cortes and Vapnik, "Support-Vector Networks", 1995.
 * Smooth L1 with its beta is huber with delta = beta, divided by beta (they are one for 1). A weight q for each class
 * is a weight for each element: q[c] where t is 1, 1 where it is 0.
 *
 * Shapes   x of any rank, target and weights as x, y [1], or as x without reduction
 * Targets  any numbers; nothing asks that they are probabilities, or -1 and 1
 * Dtypes   f64, f32, f16, bf16, mixed as you like on `ref`; computed in f32 or better (f64 in f64), sums in f64
 * Strides  any: weights for each column are a view with a stride of 0 along the rows. An input may overlap itself,
 *          nothing may overlap an output but dx may be x (same shape, type, strides)
 * Backward dx = w * l' * dy, l' the slope of l, dy being dy[0] divided by the number of elements (mean), dy[0] (sum) or
 *          each its own (none). It needs x, target and the weights. At the kinks (d = 0 of l1, t * x = margin of
 *          binary_hinge) the gradient is 0. Gradients overwrite, they don't accumulate. There is none for target and
 *          weights: mse's, l1's and huber's for target is -dx.
 * NaN      stays NaN. An infinite logit follows the formula, so 0 * inf is NaN.
 * Empty    the mean is NaN, the sum 0
 * Workspace as the plan says; the simple calls take the device's. Work is in stream order; on the CPU it is done at
 * return. Bitwise deterministic, whatever the number of threads. Thread-safe.
 * Errors   INVALID: shapes that don't fit, with the sentence naming the argument; UNSUPPORTED: no engine;
 * OUT_OF_MEMORY; DEVICE. */
#ifndef LAMINA_POINTWISE_LOSS_H
#define LAMINA_POINTWISE_LOSS_H

#include "lamina/loss.h"

#ifdef __cplusplus
extern "C" {
#endif

/** All zero: the mean, positives as heavy as negatives. */
typedef struct lamina_binary_cross_entropy {
  int64_t reduction;    /**< a lamina_reduction */
  double positive;      /**< the weight q of t's share, at least 0; 0: 1, unless has_positive */
  int64_t has_positive; /**< 1: positive is meant, though it is 0 */
} lamina_binary_cross_entropy;

/** y from x, target and weights (NULL: all 1): the binary cross-entropy of the logits x. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_binary_cross_entropy_forward(
    lamina_device *device, const lamina_binary_cross_entropy *loss, const lamina_tensor *x, const lamina_tensor *target,
    const lamina_tensor *weights, const lamina_tensor *y, lamina_stream *stream);
/** dx = w * dy * ((1 - t) - (1 + (q - 1) * t) / (1 + exp(x))). */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_binary_cross_entropy_backward(
    lamina_device *device, const lamina_binary_cross_entropy *loss, const lamina_tensor *x, const lamina_tensor *target,
    const lamina_tensor *weights, const lamina_tensor *dy, const lamina_tensor *dx, lamina_stream *stream);

/** All zero: the mean. */
typedef struct lamina_mse {
  int64_t reduction; /**< a lamina_reduction */
} lamina_mse;

/** y from x, target and weights (NULL: all 1): the squared difference of x and target. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_mse_forward(lamina_device *device, const lamina_mse *loss,
                                                             const lamina_tensor *x, const lamina_tensor *target,
                                                             const lamina_tensor *weights, const lamina_tensor *y,
                                                             lamina_stream *stream);
/** dx = w * dy * 2 * d. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_mse_backward(lamina_device *device, const lamina_mse *loss,
                                                              const lamina_tensor *x, const lamina_tensor *target,
                                                              const lamina_tensor *weights, const lamina_tensor *dy,
                                                              const lamina_tensor *dx, lamina_stream *stream);

/** All zero: the mean. */
typedef struct lamina_l1 {
  int64_t reduction; /**< a lamina_reduction */
} lamina_l1;

/** y from x, target and weights (NULL: all 1): the absolute difference of x and target. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_l1_forward(lamina_device *device, const lamina_l1 *loss,
                                                            const lamina_tensor *x, const lamina_tensor *target,
                                                            const lamina_tensor *weights, const lamina_tensor *y,
                                                            lamina_stream *stream);
/** dx = w * dy * s, s the sign of d. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_l1_backward(lamina_device *device, const lamina_l1 *loss,
                                                             const lamina_tensor *x, const lamina_tensor *target,
                                                             const lamina_tensor *weights, const lamina_tensor *dy,
                                                             const lamina_tensor *dx, lamina_stream *stream);

/** All zero: the mean, with a delta of 1. */
typedef struct lamina_huber {
  int64_t reduction; /**< a lamina_reduction */
  double delta;      /**< where the parabola turns into a line, above 0; 0: 1 */
} lamina_huber;

/** y from x, target and weights (NULL: all 1): Huber's loss of x and target. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_huber_forward(lamina_device *device, const lamina_huber *loss,
                                                               const lamina_tensor *x, const lamina_tensor *target,
                                                               const lamina_tensor *weights, const lamina_tensor *y,
                                                               lamina_stream *stream);
/** dx = w * dy * s, s = d, clamped to -delta … delta. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_huber_backward(lamina_device *device, const lamina_huber *loss,
                                                                const lamina_tensor *x, const lamina_tensor *target,
                                                                const lamina_tensor *weights, const lamina_tensor *dy,
                                                                const lamina_tensor *dx, lamina_stream *stream);

/** All zero: the mean, with a margin of 1. */
typedef struct lamina_binary_hinge {
  int64_t reduction;  /**< a lamina_reduction */
  double margin;      /**< 0: 1, unless has_margin */
  int64_t has_margin; /**< 1: margin is meant, though it is 0 */
  int64_t power;      /**< 1 or 2; 0: 1 */
} lamina_binary_hinge;

/** y from x, target and weights (NULL: all 1): the hinge loss of the scores x. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_binary_hinge_forward(
    lamina_device *device, const lamina_binary_hinge *loss, const lamina_tensor *x, const lamina_tensor *target,
    const lamina_tensor *weights, const lamina_tensor *y, lamina_stream *stream);
/** dx = w * dy * s, s = -t where t * x < margin (with power 2: -2 * t * (margin - t * x)), else 0. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_binary_hinge_backward(
    lamina_device *device, const lamina_binary_hinge *loss, const lamina_tensor *x, const lamina_tensor *target,
    const lamina_tensor *weights, const lamina_tensor *dy, const lamina_tensor *dx, lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_binary_cross_entropy_forward_args {
  const void *x, *target, *weights;
  void *y;
} lamina_binary_cross_entropy_forward_args;
typedef struct lamina_binary_cross_entropy_backward_args {
  const void *x, *target, *weights, *dy;
  void *dx;
} lamina_binary_cross_entropy_backward_args;
typedef struct lamina_mse_forward_args {
  const void *x, *target, *weights;
  void *y;
} lamina_mse_forward_args;
typedef struct lamina_mse_backward_args {
  const void *x, *target, *weights, *dy;
  void *dx;
} lamina_mse_backward_args;
typedef struct lamina_l1_forward_args {
  const void *x, *target, *weights;
  void *y;
} lamina_l1_forward_args;
typedef struct lamina_l1_backward_args {
  const void *x, *target, *weights, *dy;
  void *dx;
} lamina_l1_backward_args;
typedef struct lamina_huber_forward_args {
  const void *x, *target, *weights;
  void *y;
} lamina_huber_forward_args;
typedef struct lamina_huber_backward_args {
  const void *x, *target, *weights, *dy;
  void *dx;
} lamina_huber_backward_args;
typedef struct lamina_binary_hinge_forward_args {
  const void *x, *target, *weights;
  void *y;
} lamina_binary_hinge_forward_args;
typedef struct lamina_binary_hinge_backward_args {
  const void *x, *target, *weights, *dy;
  void *dx;
} lamina_binary_hinge_backward_args;

/** The same passes planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(binary_cross_entropy_forward, const lamina_binary_cross_entropy *loss, const lamina_tensor *x,
               const lamina_tensor *target, const lamina_tensor *weights, const lamina_tensor *y);
LAMINA_PLANNED(binary_cross_entropy_backward, const lamina_binary_cross_entropy *loss, const lamina_tensor *x,
               const lamina_tensor *target, const lamina_tensor *weights, const lamina_tensor *dy,
               const lamina_tensor *dx);
LAMINA_PLANNED(mse_forward, const lamina_mse *loss, const lamina_tensor *x, const lamina_tensor *target,
               const lamina_tensor *weights, const lamina_tensor *y);
LAMINA_PLANNED(mse_backward, const lamina_mse *loss, const lamina_tensor *x, const lamina_tensor *target,
               const lamina_tensor *weights, const lamina_tensor *dy, const lamina_tensor *dx);
LAMINA_PLANNED(l1_forward, const lamina_l1 *loss, const lamina_tensor *x, const lamina_tensor *target,
               const lamina_tensor *weights, const lamina_tensor *y);
LAMINA_PLANNED(l1_backward, const lamina_l1 *loss, const lamina_tensor *x, const lamina_tensor *target,
               const lamina_tensor *weights, const lamina_tensor *dy, const lamina_tensor *dx);
LAMINA_PLANNED(huber_forward, const lamina_huber *loss, const lamina_tensor *x, const lamina_tensor *target,
               const lamina_tensor *weights, const lamina_tensor *y);
LAMINA_PLANNED(huber_backward, const lamina_huber *loss, const lamina_tensor *x, const lamina_tensor *target,
               const lamina_tensor *weights, const lamina_tensor *dy, const lamina_tensor *dx);
LAMINA_PLANNED(binary_hinge_forward, const lamina_binary_hinge *loss, const lamina_tensor *x,
               const lamina_tensor *target, const lamina_tensor *weights, const lamina_tensor *y);
LAMINA_PLANNED(binary_hinge_backward, const lamina_binary_hinge *loss, const lamina_tensor *x,
               const lamina_tensor *target, const lamina_tensor *weights, const lamina_tensor *dy,
               const lamina_tensor *dx);

#ifdef __cplusplus
}
#endif
#endif
