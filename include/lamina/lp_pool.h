/* Lp pooling: the norm of each window, in one to three dimensions. p = 2 is L2 pooling, p = 1 a sum of magnitudes.
 *
 *   y[n,c,o]  = (sum over r of |x[n, c, o*stride - pad + r]|^p)^(1/p)        r in the window, inside the input
 *   dx[n,c,i] = sign(x[i]) * sum over the windows o that cover i of dy[o] * (|x[i]| / y[o])^(p-1)
 *
 * Where y is 0 no gradient is defined; it gives 0. Padding adds 0.
 * Source: Sermanet, Chintala, LeCun, "Convolutional neural networks applied to house numbers digit classification",
 * ICPR 2012, without their Gaussian weights; Gulcehre et al., "Learned-norm pooling for deep feedforward and recurrent
 * neural networks", 2014.
 * PyTorch's nn.LPPool2d raises x itself, not its magnitude: the same where p is even or x is not negative; elsewhere
 * it sums with signs (p = 1), or is NaN (an odd p and a negative sum, a p that isn't whole and a negative x). In
 * ceil mode it scales a partial last window up to a whole one; here a window has the elements that it has.
 *
 * Windows, shapes and errors are those of lamina/pool.h, without dilation and count_pad.
 * Dtypes   f64, f32, f16, bf16, mixed as you like on `ref`; sums in f32 or better (f64 in f64). Neither large nor small
 *          numbers overflow or vanish in a power on the way.
 * Strides  any; an input may overlap itself, nothing may overlap an output
 * Backward needs x, y and dy. Gradients overwrite.
 * Workspace as the plan says; the simple calls take the device's. Work is in stream order; on the CPU it is done at
 * return. Bitwise deterministic. Thread-safe. */
#ifndef LAMINA_LP_POOL_H
#define LAMINA_LP_POOL_H

#include "lamina/pool.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The windows, and the norm. */
typedef struct lamina_lp_pool {
  lamina_pool window; /**< without dilation and count_pad */
  double p;           /**< 1 … 1000; default 2 */
} lamina_lp_pool;

/** y = the norm of each window. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_lp_pool_forward(lamina_device *device, const lamina_lp_pool *pool,
                                                                 const lamina_tensor *x, const lamina_tensor *y,
                                                                 lamina_stream *stream);
/** dx from what forward took and gave. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_lp_pool_backward(lamina_device *device, const lamina_lp_pool *pool,
                                                                  const lamina_tensor *x, const lamina_tensor *y,
                                                                  const lamina_tensor *dy, const lamina_tensor *dx,
                                                                  lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_lp_pool_forward_args {
  const void *x;
  void *y;
} lamina_lp_pool_forward_args;
typedef struct lamina_lp_pool_backward_args {
  const void *x, *y, *dy;
  void *dx;
} lamina_lp_pool_backward_args;

/** The same passes planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(lp_pool_forward, const lamina_lp_pool *pool, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(lp_pool_backward, const lamina_lp_pool *pool, const lamina_tensor *x, const lamina_tensor *y,
               const lamina_tensor *dy, const lamina_tensor *dx);

#ifdef __cplusplus
}
#endif
#endif
