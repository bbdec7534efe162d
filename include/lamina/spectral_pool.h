/* Spectral pooling: keeps the low frequencies of a picture, in one to three dimensions.
 *
 *   X = DFT(x)      X[k] = 1/sqrt(n) * sum over h of x[h] * exp(-2 pi i * k*h/n)        along each spatial axis, size n
 *   Y = the frequencies -floor(m/2) … ceil(m/2) - 1 of X along each axis                m = size, m <= n
 *   y = the real part of the inverse DFT of Y, with 1/sqrt(m)
 *
 * so y is a linear map of x, and backward is its transpose: dx = the same map turned around, of dy.
 * An odd m keeps a frequency's conjugate partner with it. An even m < n keeps -m/2 and drops m/2. The real part makes
 * good for that: there it takes the mean of Y[k] and of the conjugate of Y[-k], and where k is its own partner (every
 * axis at 0 or m/2) it drops the imaginary part: the corner cases that the paper treats so. With m = n nothing changes.
 * Both transforms are unitary, as the paper's: a picture of one value c becomes sqrt(n/m) * c for each axis; scale y by
 * sqrt(m/n) where its mean shall stay.
 * Source: Rippel, Snoek, Adams, "Spectral representations for convolutional neural networks", NIPS 2015, section 4 and
 * its supplement.
 *
 * Shapes   x, dx [N, C, spatial…], y, dy [N, C, size…]
 * Dtypes   f64, f32, f16, bf16, mixed as you like on `ref`; sums in f32 or better (f64 in f64)
 * Strides  any; an input may overlap itself, nothing may overlap an output
 * Backward needs dy alone. Gradients overwrite.
 * Cost     one small matrix product an axis, with tables of size * n numbers that the plan holds
 * Workspace as the plan says; the simple calls take the device's. Work is in stream order; on the CPU it is done at
 * return. Bitwise deterministic. Thread-safe.
 * Errors   INVALID: a size that is missing or larger than the input's, shapes that don't fit; UNSUPPORTED: no engine;
 * OUT_OF_MEMORY; DEVICE. */
#ifndef LAMINA_SPECTRAL_POOL_H
#define LAMINA_SPECTRAL_POOL_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How much is kept. */
typedef struct lamina_spectral_pool {
  int64_t size[3]; /**< of y along each spatial axis, first axis first; must be given */
} lamina_spectral_pool;

/** y = x with the high frequencies cut off. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_spectral_pool_forward(lamina_device *device,
                                                                       const lamina_spectral_pool *pool,
                                                                       const lamina_tensor *x, const lamina_tensor *y,
                                                                       lamina_stream *stream);
/** dx of dy. The shape of dx must be given. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_spectral_pool_backward(lamina_device *device,
                                                                        const lamina_spectral_pool *pool,
                                                                        const lamina_tensor *dy,
                                                                        const lamina_tensor *dx, lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_spectral_pool_forward_args {
  const void *x;
  void *y;
} lamina_spectral_pool_forward_args;
typedef struct lamina_spectral_pool_backward_args {
  const void *dy;
  void *dx;
} lamina_spectral_pool_backward_args;

/** The same passes planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(spectral_pool_forward, const lamina_spectral_pool *pool, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(spectral_pool_backward, const lamina_spectral_pool *pool, const lamina_tensor *dy,
               const lamina_tensor *dx);

#ifdef __cplusplus
}
#endif
#endif
