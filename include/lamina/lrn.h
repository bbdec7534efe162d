/* Local response normalisation: each number divided by a power of the mean square around it.
 *
 *   s[i]  = k + alpha / n * sum over j in window(i) of x[j]^2
 *   y[i]  = x[i] * s[i]^-beta
 *   dx[i] = dy[i] * s[i]^-beta - 2 * alpha * beta / n * x[i] * sum over j with i in window(j) of dy[j] * x[j] * s[j]^(-beta-1)
 *
 * across channels: window(i) is `size` neighbouring channels at the same position, n = size. Within a channel: a window
 * of `size` along each spatial axis, n = size^axes. It reaches (size - 1) / 2 elements back and size / 2 ahead; what lies
 * outside counts as 0, and n stays the same.
 *
 * Source: Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural networks", NIPS 2012,
 * section 3.3. Conventions differ, and this one divides alpha by n:
 *
 *                     alpha         k        window of an even size     within a channel
 *   here              alpha / n     free     one more ahead             alpha / size^axes
 *   cuDNN, oneDNN     alpha / n     free     one more ahead             oneDNN: as here
 *   PyTorch           alpha / n     free     one more back              none
 *   Caffe             alpha / n     1 (free  refuses it                 as here, k = 1
 *                                   across)
 *   the paper         alpha         free     symmetric: size is odd     none
 *   TensorFlow        alpha         "bias"   symmetric: depth_radius    none
 *
 * so the paper's net has size 5, alpha 5e-4 here, beta 0.75, k 2; Caffe's AlexNet size 5, alpha 1e-4, beta 0.75, k 1.
 *
 * Shapes   x, y, dy and dx alike: [N, C, spatial…]; within: one to three spatial axes, across any number
 * Dtypes   f64, f32, f16, bf16, mixed as you like on `ref`; computed in f32 or better (f64 in f64)
 * Strides  any; an input may overlap itself
 * Aliasing forward: y may be x; backward: dx may be dy (same shape, type and strides)
 * Backward takes x; nothing is saved, s is computed again. Gradients overwrite, they don't accumulate.
 * NaN      a NaN makes NaN of every y whose window it is in, and of every dx that one of those reaches
 * Infinity is NaN itself; the other y whose window it is in are 0. Squares beyond the accumulator's range are infinite.
 * Empty    nothing happens
 * Workspace as the plan says; the simple calls take the device's. Work is in stream order; on the CPU it is done at
 * return. Bitwise deterministic, whatever the number of threads. Thread-safe.
 * Errors   INVALID: shapes that don't fit, an attribute out of its range, with the sentence naming it; UNSUPPORTED: no
 * engine; OUT_OF_MEMORY; DEVICE. */
#ifndef LAMINA_LRN_H
#define LAMINA_LRN_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** All zero: across channels, size 5, alpha 1e-4, beta 0.75, k 1, as PyTorch's and Caffe's. */
typedef struct lamina_lrn {
  int64_t size;   /**< 0: 5 */
  double alpha;   /**< > 0; it is divided by the elements of a window. 0: 1e-4 */
  double beta;    /**< > 0; 0: 0.75 */
  double k;       /**< > 0; 0: 1 */
  int64_t within; /**< 1: within each channel, along its spatial axes */
} lamina_lrn;

/** y from x. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_lrn_forward(lamina_device *device, const lamina_lrn *lrn,
                                                             const lamina_tensor *x, const lamina_tensor *y,
                                                             lamina_stream *stream);
/** dx from x and dy. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_lrn_backward(lamina_device *device, const lamina_lrn *lrn,
                                                              const lamina_tensor *x, const lamina_tensor *dy,
                                                              const lamina_tensor *dx, lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_lrn_forward_args {
  const void *x;
  void *y;
} lamina_lrn_forward_args;
typedef struct lamina_lrn_backward_args {
  const void *x, *dy;
  void *dx;
} lamina_lrn_backward_args;

/** The same passes planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(lrn_forward, const lamina_lrn *lrn, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(lrn_backward, const lamina_lrn *lrn, const lamina_tensor *x, const lamina_tensor *dy,
               const lamina_tensor *dx);

#ifdef __cplusplus
}
#endif
#endif
