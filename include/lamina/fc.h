/* Fully connected: a matrix product.
 *
 *   y[n,o] = b[o] + sum over k of x[n,k] * w[o,k]
 *
 * Source: Goodfellow, Bengio and Courville, "Deep Learning", 2016, section 6.1; the shape of w is that of PyTorch's
 * nn.Linear; mirrors cublasGemmEx, with the bias as its epilogue.
 *
 * Shapes   x [N, K], w [O, K], b [O] (may be absent), y [N, O]
 * Dtypes   f64, f32, f16, bf16, mixed as you like on `ref`; sums in f32 or better (f64 in f64). On CUDA factors of f32 may
 *          be rounded to TF32 (10 bits of fraction) unless the plan or net says math=strict
 * Strides  any; an input may overlap itself, nothing may overlap an output but where a pass says so
 * Backward needs x and w; nothing else is saved. Gradients overwrite, they don't accumulate.
 * Empty    K = 0: y is b, or 0; N = 0: y is empty, dw and db are 0
 * Workspace as the plan says; the simple calls take the device's. Work is in stream order; on the CPU it is done at
 * return. Bitwise deterministic at a fixed thread count unless the plan's note says otherwise. Thread-safe.
 * Errors   INVALID: shapes that don't fit, with the sentence naming the argument; UNSUPPORTED: no engine;
 * OUT_OF_MEMORY; DEVICE. */
#ifndef LAMINA_FC_H
#define LAMINA_FC_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** y = x wᵀ + b. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_fc_forward(lamina_device *device, const lamina_tensor *x,
                                                            const lamina_tensor *w, const lamina_tensor *b,
                                                            const lamina_tensor *y, lamina_stream *stream);
/** dx = dy w: dx[n,k] = sum over o of dy[n,o] * w[o,k]. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_fc_backward_data(lamina_device *device, const lamina_tensor *dy,
                                                                  const lamina_tensor *w, const lamina_tensor *dx,
                                                                  lamina_stream *stream);
/** dw = dyᵀ x: dw[o,k] = sum over n of dy[n,o] * x[n,k]. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_fc_backward_weights(lamina_device *device, const lamina_tensor *x,
                                                                     const lamina_tensor *dy, const lamina_tensor *dw,
                                                                     lamina_stream *stream);
/** db[o] = sum over n of dy[n,o]. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_fc_backward_bias(lamina_device *device, const lamina_tensor *dy,
                                                                  const lamina_tensor *db, lamina_stream *stream);

/** y = max(x wᵀ + b, 0): fc/forward and relu/forward in one, without rounding between; NaN passes. Mirrors cuBLASLt's
 *  epilogues RELU and RELU_BIAS. For its backward pass gate dy by y with relu/backward, then take fc's. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_fc_relu_forward(lamina_device *device, const lamina_tensor *x,
                                                                 const lamina_tensor *w, const lamina_tensor *b,
                                                                 const lamina_tensor *y, lamina_stream *stream);
/** dx[n,k] = x[n,k] > 0 ? sum over o of dy[n,o] * w[o,k] : 0: the gradient of y = max(x, 0) wᵀ + b, a ReLU followed by fc:
 *  fc/backward_data and relu/backward in one, without rounding between. So its family is relu_fc, in the order of the
 *  forward pass, and x is what the ReLU took; what it gave does as well, since both are above 0 in the same places. Where
 *  x is NaN dx is 0, as relu/backward has it. x [N, K]; dx may be x (same type and strides). Mirrors cuBLASLt's epilogue
 *  DRELU. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_relu_fc_backward_data(lamina_device *device, const lamina_tensor *dy,
                                                                       const lamina_tensor *w, const lamina_tensor *x,
                                                                       const lamina_tensor *dx, lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_fc_forward_args {
  const void *x, *w, *b;
  void *y;
} lamina_fc_forward_args;
typedef struct lamina_fc_backward_data_args {
  const void *dy, *w;
  void *dx;
} lamina_fc_backward_data_args;
typedef struct lamina_fc_backward_weights_args {
  const void *x, *dy;
  void *dw;
} lamina_fc_backward_weights_args;
typedef struct lamina_fc_backward_bias_args {
  const void *dy;
  void *db;
} lamina_fc_backward_bias_args;
typedef struct lamina_fc_relu_forward_args {
  const void *x, *w, *b;
  void *y;
} lamina_fc_relu_forward_args;
typedef struct lamina_relu_fc_backward_data_args {
  const void *dy, *w, *x;
  void *dx;
} lamina_relu_fc_backward_data_args;

/** The same passes planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(fc_forward, const lamina_tensor *x, const lamina_tensor *w, const lamina_tensor *b,
               const lamina_tensor *y);
LAMINA_PLANNED(fc_backward_data, const lamina_tensor *dy, const lamina_tensor *w, const lamina_tensor *dx);
LAMINA_PLANNED(fc_backward_weights, const lamina_tensor *x, const lamina_tensor *dy, const lamina_tensor *dw);
LAMINA_PLANNED(fc_backward_bias, const lamina_tensor *dy, const lamina_tensor *db);
LAMINA_PLANNED(fc_relu_forward, const lamina_tensor *x, const lamina_tensor *w, const lamina_tensor *b,
               const lamina_tensor *y);
LAMINA_PLANNED(relu_fc_backward_data, const lamina_tensor *dy, const lamina_tensor *w, const lamina_tensor *x,
               const lamina_tensor *dx);

#ifdef __cplusplus
}
#endif
#endif
