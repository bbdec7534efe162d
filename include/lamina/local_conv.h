/* Locally connected layers in one to three dimensions: convolution whose filters aren't shared. Every output position
 * has filters and biases of its own.
 *
 *   y[n,k,o] = b[k,o] + sum over c, r of x[n, g*C' + c, o*stride - pad + r*dilation] * w[o, k, c, r]
 *
 * with x = 0 outside, C' = C/groups, g = k / (K/groups), and o, r one index for each spatial axis. It is a
 * cross-correlation, as lamina/conv.h has it without `flip`.
 * Source: LeCun, "Generalization and network design strategies", 1989; as Keras's LocallyConnected layers.
 *
 * Shapes   x [N, C, spatial…], w [out…, K, C/groups, filter…], b [K, out…] (may be absent), y [N, K, out…] with
 *          out = floor((size + pad before + pad after - dilation*(filter - 1) - 1) / stride) + 1, at least 1. The
 *          weights of one position lie together, so that each is read once, in order, for the whole batch.
 * Dtypes   f64, f32, f16, bf16, mixed as you like on `ref`; sums in f32 or better (f64 in f64)
 * Strides  any; an input may overlap itself, nothing may overlap an output
 * Backward needs x and w; nothing else is saved. Gradients overwrite, they don't accumulate.
 * Empty    N = 0: y is empty, dw and db are 0
 * Workspace as the plan says; the simple calls take the device's. Work is in stream order; on the CPU it is done at
 * return. Bitwise deterministic at a fixed thread count unless the plan's note says otherwise. Thread-safe.
 * Errors   INVALID: shapes that don't fit, with the sentence naming the argument; UNSUPPORTED: no engine;
 * OUT_OF_MEMORY; DEVICE. */
#ifndef LAMINA_LOCAL_CONV_H
#define LAMINA_LOCAL_CONV_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** All zero: no padding, stride 1, dilation 1, one group. Spatial axes in order, first axis first. */
typedef struct lamina_local_conv {
  int64_t pad[3][2];   /**< zeros before and after */
  int64_t stride[3];   /**< 0: 1 */
  int64_t dilation[3]; /**< 0: 1 */
  int64_t groups;      /**< 0: 1; divides C and K */
} lamina_local_conv;

/** y = local_conv(x, w) + b. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_local_conv_forward(lamina_device *device,
                                                                    const lamina_local_conv *conv,
                                                                    const lamina_tensor *x, const lamina_tensor *w,
                                                                    const lamina_tensor *b, const lamina_tensor *y,
                                                                    lamina_stream *stream);

/** dx from dy and w: dx[n,c,i] = sum over k, o, r with o*stride - pad + r*dilation = i of dy[n,k,o] * w[o,k,c,r].
 *  The shape of dx must be given: with a stride it doesn't follow. */
LAMINA_API LAMINA_NODISCARD lamina_status
lamina_local_conv_backward_data(lamina_device *device, const lamina_local_conv *conv, const lamina_tensor *dy,
                                const lamina_tensor *w, const lamina_tensor *dx, lamina_stream *stream);

/** dw from x and dy: dw[o,k,c,r] = sum over n of dy[n,k,o] * x[n, g*C' + c, o*stride - pad + r*dilation].
 *  The shape of dw must be given. */
LAMINA_API LAMINA_NODISCARD lamina_status
lamina_local_conv_backward_weights(lamina_device *device, const lamina_local_conv *conv, const lamina_tensor *x,
                                   const lamina_tensor *dy, const lamina_tensor *dw, lamina_stream *stream);

/** db[k,o] = sum over n of dy[n,k,o]. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_local_conv_backward_bias(lamina_device *device,
                                                                          const lamina_local_conv *conv,
                                                                          const lamina_tensor *dy,
                                                                          const lamina_tensor *db,
                                                                          lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_local_conv_forward_args {
  const void *x, *w, *b;
  void *y;
} lamina_local_conv_forward_args;
typedef struct lamina_local_conv_backward_data_args {
  const void *dy, *w;
  void *dx;
} lamina_local_conv_backward_data_args;
typedef struct lamina_local_conv_backward_weights_args {
  const void *x, *dy;
  void *dw;
} lamina_local_conv_backward_weights_args;
typedef struct lamina_local_conv_backward_bias_args {
  const void *dy;
  void *db;
} lamina_local_conv_backward_bias_args;

/** The same passes planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(local_conv_forward, const lamina_local_conv *conv, const lamina_tensor *x, const lamina_tensor *w,
               const lamina_tensor *b, const lamina_tensor *y);
LAMINA_PLANNED(local_conv_backward_data, const lamina_local_conv *conv, const lamina_tensor *dy, const lamina_tensor *w,
               const lamina_tensor *dx);
LAMINA_PLANNED(local_conv_backward_weights, const lamina_local_conv *conv, const lamina_tensor *x,
               const lamina_tensor *dy, const lamina_tensor *dw);
LAMINA_PLANNED(local_conv_backward_bias, const lamina_local_conv *conv, const lamina_tensor *dy,
               const lamina_tensor *db);

#ifdef __cplusplus
}
#endif
#endif
