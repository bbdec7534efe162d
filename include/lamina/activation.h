/* Activations, element by element.
 *
 *   relu          y = max(x, 0)                        dx = y > 0 ? dy : 0
 *   leaky_relu    y = x > 0 ? x : slope*x              dx = y > 0 ? dy : slope*dy
 *   sigmoid       y = 1 / (1 + exp(-x))                dx = dy * y * (1 - y)
 *   tanh          y = tanh(x)                          dx = dy * (1 - y^2)
 *   elu           y = x > 0 ? x : alpha*(exp(x) - 1)   dx = y > 0 ? dy : dy * (y + alpha)
 *   selu          y = l * elu(x), alpha = a            dx = y > 0 ? l*dy : dy * (y + l*a)
 *   gelu, erf     y = x/2 * (1 + erf(x/sqrt(2)))       dx = dy * ((1 + erf(x/sqrt(2)))/2 + x*exp(-x^2/2)/sqrt(2 pi))
 *   gelu, tanh    y = x/2 * (1 + t), t = tanh(z),      dx = dy * ((1 + t)/2 + x/2 * (1 - t^2) * z'(x))
 *                 z = sqrt(2/pi) * (x + 0.044715 x^3)
 *   silu          y = x * s, s = sigmoid(x)            dx = dy * s * (1 + x*(1 - s))
 *   softplus      y = log(1 + exp(beta*x)) / beta      dx = dy * (1 - exp(-beta*y))
 *   hard_sigmoid  y = min(max(x + 3, 0), 6) / 6        dx = -3 < x < 3 ? dy/6 : 0
 *   softsign      y = x / (1 + |x|)                    dx = dy * (1 - |y|)^2
 *
 * with l = 1.0507009873554805 and a = 1.6732632423543772. prelu, whose slope is trained, is in lamina/prelu.h.
 *
 * Sources: Goodfellow, Bengio and Courville, "Deep Learning", 2016, sections 6.2 and 6.3; Maas et al. (leaky ReLU), ICML
 * 2013; Clevert et al. (ELU), ICLR 2016; Klambauer et al. (SELU), NIPS 2017; Hendrycks and Gimpel (GELU), 2016; Elfwing
 * et al. (SiLU), 2018; Howard et al. (hard sigmoid), ICCV 2019. As cudnnActivationForward and cudnnActivationBackward,
 * which relu, sigmoid, tanh and elu mirror, and as the functions of these names in PyTorch.
 *
 * Shapes   x, y, dy and dx alike, any rank
 * Dtypes   f64, f32, f16, bf16, mixed as you like on `ref`; computed in f32 or better (f64 in f64)
 * Strides  any; an input may overlap itself
 * Aliasing forward: y may be x; backward: dx may be dy (same shape, type and strides)
 * Backward takes y where y tells the slope, so that forward may run in place and x need not be kept. It takes x for
 *          gelu and silu, which fall and rise, so that two x have one y; and for hard_sigmoid, whose y may round to 0
 *          or 1 before the ramp ends. Nothing else is saved. Gradients overwrite, they don't accumulate.
 * NaN      NaN gives NaN in every forward pass. Backward, where x or y is NaN: relu and hard_sigmoid give 0, leaky_relu
 *          slope*dy, the others NaN.
 * Infinity limits are reached exactly, also where the formula has inf * 0 or inf / inf: gelu(-inf) = silu(-inf) = 0,
 *          softsign(inf) = 1. The gradient there is the limit, too: 0 on a level (selu: but for rounding), 1, slope or l
 *          where y follows x; times dy, so NaN where dy is infinite and it is 0. A 0 may come out of either sign.
 * At 0     relu, leaky_relu, elu and selu take 0 for negative.
 * Small    results below the smallest normal number may become 0
 * softplus is computed as max(x, 0) + log(1 + exp(-|beta*x|)) / beta, which neither overflows nor cancels. PyTorch gives
 *          x itself where beta*x > 20, up to 2e-9 / beta less.
 * Empty    nothing happens
 * Workspace as the plan says (packing of strides that differ); the simple calls take the device's. Work is in stream
 * order; on the CPU it is done at return. Bitwise deterministic. Thread-safe.
 * Errors   INVALID: shapes that differ, an attribute out of its range, with the sentence naming it; UNSUPPORTED: no
 * engine; OUT_OF_MEMORY; DEVICE. */
#ifndef LAMINA_ACTIVATION_H
#define LAMINA_ACTIVATION_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** All zero: slope 0.01. */
typedef struct lamina_leaky_relu {
  double slope;      /**< 0 … 10^6: a negative one would hide the sign of x, that backward takes from y */
  int64_t has_slope; /**< 1: a slope of 0 is meant */
} lamina_leaky_relu;

/** All zero: alpha 1. */
typedef struct lamina_elu {
  double alpha;      /**< 0 … 10^6 */
  int64_t has_alpha; /**< 1: an alpha of 0 is meant */
} lamina_elu;

/** Which of the two formulas. */
typedef enum lamina_gelu_form {
  LAMINA_GELU_ERF, /**< the exact one */
  LAMINA_GELU_TANH /**< an approximation, up to 5e-4 off, that many trained networks were made with */
} lamina_gelu_form;

/** All zero: the exact form. */
typedef struct lamina_gelu {
  int64_t form; /**< a lamina_gelu_form: erf or tanh */
} lamina_gelu;

/** All zero: beta 1. */
typedef struct lamina_softplus {
  double beta; /**< 10^-6 … 10^6; 0 means 1 */
} lamina_softplus;

/** y = max(x, 0). */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_relu_forward(lamina_device *device, const lamina_tensor *x,
                                                              const lamina_tensor *y, lamina_stream *stream);
/** dx = y > 0 ? dy : 0. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_relu_backward(lamina_device *device, const lamina_tensor *y,
                                                               const lamina_tensor *dy, const lamina_tensor *dx,
                                                               lamina_stream *stream);
/** y = x > 0 ? x : slope*x. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_leaky_relu_forward(lamina_device *device,
                                                                    const lamina_leaky_relu *leaky_relu,
                                                                    const lamina_tensor *x, const lamina_tensor *y,
                                                                    lamina_stream *stream);
/** dx = y > 0 ? dy : slope*dy. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_leaky_relu_backward(lamina_device *device,
                                                                     const lamina_leaky_relu *leaky_relu,
                                                                     const lamina_tensor *y, const lamina_tensor *dy,
                                                                     const lamina_tensor *dx, lamina_stream *stream);
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
/** y = x > 0 ? x : alpha*(exp(x) - 1). */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_elu_forward(lamina_device *device, const lamina_elu *elu,
                                                             const lamina_tensor *x, const lamina_tensor *y,
                                                             lamina_stream *stream);
/** dx = y > 0 ? dy : dy * (y + alpha). */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_elu_backward(lamina_device *device, const lamina_elu *elu,
                                                              const lamina_tensor *y, const lamina_tensor *dy,
                                                              const lamina_tensor *dx, lamina_stream *stream);
/** y = l * (x > 0 ? x : a*(exp(x) - 1)). */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_selu_forward(lamina_device *device, const lamina_tensor *x,
                                                              const lamina_tensor *y, lamina_stream *stream);
/** dx = y > 0 ? l*dy : dy * (y + l*a). */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_selu_backward(lamina_device *device, const lamina_tensor *y,
                                                               const lamina_tensor *dy, const lamina_tensor *dx,
                                                               lamina_stream *stream);
/** y = x times the normal distribution function of x. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_gelu_forward(lamina_device *device, const lamina_gelu *gelu,
                                                              const lamina_tensor *x, const lamina_tensor *y,
                                                              lamina_stream *stream);
/** dx = dy * y'(x), from x. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_gelu_backward(lamina_device *device, const lamina_gelu *gelu,
                                                               const lamina_tensor *x, const lamina_tensor *dy,
                                                               const lamina_tensor *dx, lamina_stream *stream);
/** y = x * sigmoid(x). */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_silu_forward(lamina_device *device, const lamina_tensor *x,
                                                              const lamina_tensor *y, lamina_stream *stream);
/** dx = dy * s * (1 + x*(1 - s)), s = sigmoid(x). */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_silu_backward(lamina_device *device, const lamina_tensor *x,
                                                               const lamina_tensor *dy, const lamina_tensor *dx,
                                                               lamina_stream *stream);
/** y = log(1 + exp(beta*x)) / beta. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_softplus_forward(lamina_device *device,
                                                                  const lamina_softplus *softplus,
                                                                  const lamina_tensor *x, const lamina_tensor *y,
                                                                  lamina_stream *stream);
/** dx = dy * (1 - exp(-beta*y)). */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_softplus_backward(lamina_device *device,
                                                                   const lamina_softplus *softplus,
                                                                   const lamina_tensor *y, const lamina_tensor *dy,
                                                                   const lamina_tensor *dx, lamina_stream *stream);
/** y = min(max(x + 3, 0), 6) / 6. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_hard_sigmoid_forward(lamina_device *device, const lamina_tensor *x,
                                                                      const lamina_tensor *y, lamina_stream *stream);
/** dx = -3 < x < 3 ? dy/6 : 0. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_hard_sigmoid_backward(lamina_device *device, const lamina_tensor *x,
                                                                       const lamina_tensor *dy, const lamina_tensor *dx,
                                                                       lamina_stream *stream);
/** y = x / (1 + |x|). */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_softsign_forward(lamina_device *device, const lamina_tensor *x,
                                                                  const lamina_tensor *y, lamina_stream *stream);
/** dx = dy * (1 - |y|)^2. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_softsign_backward(lamina_device *device, const lamina_tensor *y,
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
typedef struct lamina_gelu_backward_args {
  const void *x, *dy;
  void *dx;
} lamina_gelu_backward_args;
typedef lamina_relu_forward_args lamina_leaky_relu_forward_args;
typedef lamina_relu_backward_args lamina_leaky_relu_backward_args;
typedef lamina_relu_forward_args lamina_sigmoid_forward_args;
typedef lamina_relu_backward_args lamina_sigmoid_backward_args;
typedef lamina_relu_forward_args lamina_tanh_forward_args;
typedef lamina_relu_backward_args lamina_tanh_backward_args;
typedef lamina_relu_forward_args lamina_elu_forward_args;
typedef lamina_relu_backward_args lamina_elu_backward_args;
typedef lamina_relu_forward_args lamina_selu_forward_args;
typedef lamina_relu_backward_args lamina_selu_backward_args;
typedef lamina_relu_forward_args lamina_gelu_forward_args;
typedef lamina_relu_forward_args lamina_silu_forward_args;
typedef lamina_gelu_backward_args lamina_silu_backward_args;
typedef lamina_relu_forward_args lamina_softplus_forward_args;
typedef lamina_relu_backward_args lamina_softplus_backward_args;
typedef lamina_relu_forward_args lamina_hard_sigmoid_forward_args;
typedef lamina_gelu_backward_args lamina_hard_sigmoid_backward_args;
typedef lamina_relu_forward_args lamina_softsign_forward_args;
typedef lamina_relu_backward_args lamina_softsign_backward_args;

/** The same passes planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(relu_forward, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(relu_backward, const lamina_tensor *y, const lamina_tensor *dy, const lamina_tensor *dx);
LAMINA_PLANNED(leaky_relu_forward, const lamina_leaky_relu *leaky_relu, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(leaky_relu_backward, const lamina_leaky_relu *leaky_relu, const lamina_tensor *y,
               const lamina_tensor *dy, const lamina_tensor *dx);
LAMINA_PLANNED(sigmoid_forward, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(sigmoid_backward, const lamina_tensor *y, const lamina_tensor *dy, const lamina_tensor *dx);
LAMINA_PLANNED(tanh_forward, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(tanh_backward, const lamina_tensor *y, const lamina_tensor *dy, const lamina_tensor *dx);
LAMINA_PLANNED(elu_forward, const lamina_elu *elu, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(elu_backward, const lamina_elu *elu, const lamina_tensor *y, const lamina_tensor *dy,
               const lamina_tensor *dx);
LAMINA_PLANNED(selu_forward, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(selu_backward, const lamina_tensor *y, const lamina_tensor *dy, const lamina_tensor *dx);
LAMINA_PLANNED(gelu_forward, const lamina_gelu *gelu, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(gelu_backward, const lamina_gelu *gelu, const lamina_tensor *x, const lamina_tensor *dy,
               const lamina_tensor *dx);
LAMINA_PLANNED(silu_forward, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(silu_backward, const lamina_tensor *x, const lamina_tensor *dy, const lamina_tensor *dx);
LAMINA_PLANNED(softplus_forward, const lamina_softplus *softplus, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(softplus_backward, const lamina_softplus *softplus, const lamina_tensor *y, const lamina_tensor *dy,
               const lamina_tensor *dx);
LAMINA_PLANNED(hard_sigmoid_forward, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(hard_sigmoid_backward, const lamina_tensor *x, const lamina_tensor *dy, const lamina_tensor *dx);
LAMINA_PLANNED(softsign_forward, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(softsign_backward, const lamina_tensor *y, const lamina_tensor *dy, const lamina_tensor *dx);

#ifdef __cplusplus
}
#endif
#endif
