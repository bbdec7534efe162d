/* Activations, element by element.
 *
 *   relu      y = max(x, 0)              dx = y > 0 ? dy : 0
 *   sigmoid   y = 1 / (1 + exp(-x))      dx = dy * y * (1 - y)
 *   tanh      y = tanh(x)                dx = dy * (1 - y^2)
 *
 * Source: Goodfellow, Bengio and Courville, "Deep Learning", 2016, sections 6.2 and 6.3; as cudnnActivationForward and
 * cudnnActivationBackward, which these mirror.
 *
 * Shapes   x, y, dy and dx alike, any rank
 * Dtypes   f64, f32, f16, bf16, mixed as you like on `ref`; computed in f32 or better (f64 in f64)
 * Strides  any; an input may overlap itself
 * Aliasing forward: y may be x; backward: dx may be dy (same shape, type and strides)
 * Backward needs y, never x; nothing else is saved. Gradients overwrite, they don't accumulate.
 * NaN      relu(NaN) = sigmoid(NaN) = tanh(NaN) = NaN; relu backward gives 0 where y is NaN.
 * Infinity relu(inf) = inf, relu(-inf) = 0; sigmoid and tanh reach their limits exactly, with a gradient of 0 there
 *          (times dy: NaN where dy is infinite). relu(-0) is 0 of either sign.
 * Empty    nothing happens
 * Workspace as the plan says (packing of strides that differ); the simple calls take the device's. Work is in stream
 * order; on the CPU it is done at return. Bitwise deterministic. Thread-safe.
 * Errors   INVALID: shapes that differ, with the sentence naming the argument; UNSUPPORTED: no engine; OUT_OF_MEMORY;
 * DEVICE. */
#ifndef LAMINA_ACTIVATION_H
#define LAMINA_ACTIVATION_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** y = max(x, 0). */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_relu_forward(lamina_device *device, const lamina_tensor *x,
                                                              const lamina_tensor *y, lamina_stream *stream);
/** dx = y > 0 ? dy : 0. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_relu_backward(lamina_device *device, const lamina_tensor *y,
                                                               const lamina_tensor *dy, const lamina_tensor *dx,
                                                               lamina_stream *stream);
/** y = 1 / (1 + exp(-x)). Results below the smallest normal number may become 0. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_sigmoid_forward(lamina_device *device, const lamina_tensor *x,
                                                                 const lamina_tensor *y, lamina_stream *stream);
/** dx = dy * y * (1 - y). */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_sigmoid_backward(lamina_device *device, const lamina_tensor *y,
                                                                  const lamina_tensor *dy, const lamina_tensor *dx,
                                                                  lamina_stream *stream);
/** y = tanh(x). */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_tanh_forward(lamina_device *device, const lamina_tensor *x,
                                                              const lamina_tensor *y, lamina_stream *stream);
/** dx = dy * (1 - y^2). */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_tanh_backward(lamina_device *device, const lamina_tensor *y,
                                                               const lamina_tensor *dy, const lamina_tensor *dx,
                                                               lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_relu_forward_args {
  const void *x;
  void *y;
} lamina_relu_forward_args;
typedef struct lamina_relu_backward_args {
  const void *y, *dy;
  void *dx;
} lamina_relu_backward_args;
typedef lamina_relu_forward_args lamina_sigmoid_forward_args;
typedef lamina_relu_backward_args lamina_sigmoid_backward_args;
typedef lamina_relu_forward_args lamina_tanh_forward_args;
typedef lamina_relu_backward_args lamina_tanh_backward_args;

/** The same passes planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(relu_forward, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(relu_backward, const lamina_tensor *y, const lamina_tensor *dy, const lamina_tensor *dx);
LAMINA_PLANNED(sigmoid_forward, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(sigmoid_backward, const lamina_tensor *y, const lamina_tensor *dy, const lamina_tensor *dx);
LAMINA_PLANNED(tanh_forward, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(tanh_backward, const lamina_tensor *y, const lamina_tensor *dy, const lamina_tensor *dx);

#ifdef __cplusplus
}
#endif
#endif
