/* Clipping of gradients: the norm of a vector, and the vector made no longer than it may be.
 *
 *   norm2        y = sqrt(sum of x^2)                           over all of x, whatever its shape
 *   clip_norm    y = x * min(1, max / (norm + 1e-6))            so that the norm becomes max at most
 *   clip_value   y = min(max(x, -limit), limit)                 element by element; limit is the attribute `max`
 *
 * A net keeps the gradients of all its parameters in one vector, so that its norm is that of them together.
 * Source: torch.nn.utils.clip_grad_norm_ (norm_type 2) and clip_grad_value_; Pascanu, Mikolov and Bengio, "On the
 * difficulty of training recurrent neural networks", ICML 2013, section 3.2.
 *
 * Shapes   x and y alike, any rank; norm [1], gate [1], and so is the y of norm2
 * Gate     where it is NaN or infinite, clip_norm gives y = x: a trainer's step that is held back (lamina/optimizer.h)
 *          spoils no gradients either
 * Dtypes   f64, f32, f16, bf16, mixed as you like on `ref`. Squares are added up in f64, so that a norm overflows where
 *          its own type does and not before; the factor of clip_norm and its products are in f64, too, and round once
 * Strides  any; an input may overlap itself
 * Aliasing the y of clip_norm and clip_value may be x (same shape, type and strides)
 * NaN      As in PyTorch without error_if_nonfinite: a NaN in x is a NaN of the norm, and so of all that clip_norm makes
 *          of it; a norm of infinity makes 0 of what is finite and NaN of what isn't. clip_value keeps a NaN, and takes
 *          infinities to the limits. The norm stays on the device; who wants an error looks at it (lamina/train.h does)
 * Empty    the norm of nothing is 0
 * Nothing saved, and there is no backward pass. Workspace as the plan says (partial sums; packing of strides that differ);
 * the simple calls take the device's. Work is in stream order; on the CPU it is done at return. Bitwise deterministic,
 * whatever the number of threads. Thread-safe.
 * Errors   INVALID: shapes that don't fit, with the sentence naming the argument; a negative `max`; UNSUPPORTED: no
 * engine; OUT_OF_MEMORY; DEVICE. */
#ifndef LAMINA_CLIP_H
#define LAMINA_CLIP_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** y[0] = the Euclidean norm of x. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_norm2_forward(lamina_device *device, const lamina_tensor *x,
                                                               const lamina_tensor *y, lamina_stream *stream);

/** All zero: a norm of 1. */
typedef struct lamina_clip_norm {
  double max; /**< the largest norm that there may be, above 0; 0: 1 */
} lamina_clip_norm;

/** y = x * min(1, max / (norm + 1e-6)), with the norm that norm2 gave; gate may be NULL. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_clip_norm_forward(lamina_device *device,
                                                                   const lamina_clip_norm *clip_norm,
                                                                   const lamina_tensor *x, const lamina_tensor *norm,
                                                                   const lamina_tensor *gate, const lamina_tensor *y,
                                                                   lamina_stream *stream);

/** All zero: -1 … 1. */
typedef struct lamina_clip_value {
  double max; /**< the largest size that an element may have, above 0; 0: 1 */
} lamina_clip_value;

/** y = x, but max where it is larger, and -max where it is less than that. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_clip_value_forward(lamina_device *device,
                                                                    const lamina_clip_value *clip_value,
                                                                    const lamina_tensor *x, const lamina_tensor *y,
                                                                    lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_norm2_forward_args {
  const void *x;
  void *y;
} lamina_norm2_forward_args;
typedef struct lamina_clip_norm_forward_args {
  const void *x, *norm, *gate;
  void *y;
} lamina_clip_norm_forward_args;
typedef struct lamina_clip_value_forward_args {
  const void *x;
  void *y;
} lamina_clip_value_forward_args;

/** The same planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(norm2_forward, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(clip_norm_forward, const lamina_clip_norm *clip_norm, const lamina_tensor *x, const lamina_tensor *norm,
               const lamina_tensor *gate, const lamina_tensor *y);
LAMINA_PLANNED(clip_value_forward, const lamina_clip_value *clip_value, const lamina_tensor *x, const lamina_tensor *y);

#ifdef __cplusplus
}
#endif
#endif
