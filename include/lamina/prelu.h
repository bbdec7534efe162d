/* PReLU: a leaky ReLU whose slope is trained, one for each channel or one for all.
 *
 *   y = x > 0 ? x : slope*x      dx = x > 0 ? dy : slope*dy      dslope = sum of dy*x over the x of the slope that are not > 0
 *
 * Source: He et al., "Delving deep into rectifiers", ICCV 2015; as PyTorch's PReLU.
 *
 * Shapes   x, y, dy and dx alike, [N, C, spatial…]; slope and dslope [C], or [1] for all channels, and then x of any rank
 *          from 1
 * Dtypes   f64, f32, f16, bf16, mixed as you like on `ref`; fast engines take x, y, dy and dx of one type, slope and
 *          dslope each in f32 or bf16. Sums in f32 or better, on the CPU in f64
 * Strides  any; an input may overlap itself
 * Aliasing forward: y may be x; backward: dx may be dy (same shape, type and strides)
 * Backward takes x, not y: the slope may become negative, and y then hides the sign of x. Nothing is saved. Gradients
 *          overwrite, they don't accumulate.
 * NaN      y is NaN where x is, or where x is not > 0 and the slope is; dx takes a NaN for not positive, dslope is NaN
 * Empty    dslope is 0
 * Workspace as the plan says; the simple calls take the device's. Work is in stream order; on the CPU it is done at
 * return. Bitwise deterministic, whatever the number of threads. Thread-safe.
 * Errors   INVALID: shapes that don't fit, with the sentence naming the argument; UNSUPPORTED: no engine;
 * OUT_OF_MEMORY; DEVICE. */
#ifndef LAMINA_PRELU_H
#define LAMINA_PRELU_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** y = x > 0 ? x : slope*x. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_prelu_forward(lamina_device *device, const lamina_tensor *x,
                                                               const lamina_tensor *slope, const lamina_tensor *y,
                                                               lamina_stream *stream);
/** dx and dslope; dslope may be NULL. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_prelu_backward(lamina_device *device, const lamina_tensor *x,
                                                                const lamina_tensor *slope, const lamina_tensor *dy,
                                                                const lamina_tensor *dx, const lamina_tensor *dslope,
                                                                lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_prelu_forward_args {
  const void *x, *slope;
  void *y;
} lamina_prelu_forward_args;
typedef struct lamina_prelu_backward_args {
  const void *x, *slope, *dy;
  void *dx, *dslope;
} lamina_prelu_backward_args;

/** The same passes planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(prelu_forward, const lamina_tensor *x, const lamina_tensor *slope, const lamina_tensor *y);
LAMINA_PLANNED(prelu_backward, const lamina_tensor *x, const lamina_tensor *slope, const lamina_tensor *dy,
               const lamina_tensor *dx, const lamina_tensor *dslope);

#ifdef __cplusplus
}
#endif
#endif
