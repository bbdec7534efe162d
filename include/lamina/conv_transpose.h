/* Transposed convolution in one to three dimensions, also called deconvolution: the data's gradient of a convolution as
 * a forward pass. Each input element is spread over the outputs that the filter reaches.
 *
 *   y[n,k,o] = b[k] + sum over c, i, r with i*stride - pad + r*dilation = o of x[n, g*C' + c, i] * w[g*C' + c, k', r]
 *
 * with C' = C/groups, g = k / (K/groups), k' = k % (K/groups), and i, r, o one index for each spatial axis.
 * Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016, chapter 4; as PyTorch's
 * ConvTranspose, and cudnnConvolutionBackwardData with the filter's first axis being x's channels.
 *
 * Shapes   x [N, C, spatial…], w [C, K/groups, filter…], b [K] (may be absent), y [N, K, out…] with
 *          out = (size - 1)*stride - pad before - pad after + dilation*(filter - 1) + 1 + output_pad, at least 1
 * Padding  cuts outputs off, before and after; output_pad adds some after: of the sizes that a convolution with this
 *          stride takes to `size` it chooses one. Less than the stride or less than the dilation, as in PyTorch.
 * Dtypes   f64, f32, f16, bf16, mixed as you like on `ref`; sums in f32 or better (f64 in f64). On CUDA factors of f32 may
 *          be rounded to TF32 (10 bits of fraction) unless the plan or net says math=strict
 * Strides  any; an input may overlap itself, nothing may overlap an output
 * Backward needs x and w; nothing else is saved. Gradients overwrite, they don't accumulate.
 * Empty    N = 0: y is empty, dw and db are 0. An output that no input reaches is b[k].
 * Workspace as the plan says; the simple calls take the device's. Work is in stream order; on the CPU it is done at
 * return. Bitwise deterministic at a fixed thread count unless the plan's note says otherwise. Thread-safe.
 * Errors   INVALID: shapes that don't fit, with the sentence naming the argument; UNSUPPORTED: no engine;
 * OUT_OF_MEMORY; DEVICE. */
#ifndef LAMINA_CONV_TRANSPOSE_H
#define LAMINA_CONV_TRANSPOSE_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** All zero: no padding, stride 1, dilation 1, one group. Spatial axes in order, first axis first. */
typedef struct lamina_conv_transpose {
  int64_t pad[3][2];     /**< outputs that are cut off, before and after */
  int64_t stride[3];     /**< 0: 1 */
  int64_t dilation[3];   /**< 0: 1 */
  int64_t output_pad[3]; /**< outputs that are added after */
  int64_t groups;        /**< 0: 1; divides C and K */
} lamina_conv_transpose;

/** y = conv_transpose(x, w) + b. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_conv_transpose_forward(lamina_device *device,
                                                                        const lamina_conv_transpose *conv,
                                                                        const lamina_tensor *x, const lamina_tensor *w,
                                                                        const lamina_tensor *b, const lamina_tensor *y,
                                                                        lamina_stream *stream);

/** dx from dy and w: dx[n,c,i] = sum over k', r of dy[n, g*K/groups + k', i*stride - pad + r*dilation] * w[c,k',r], with
 *  dy = 0 outside and g = c / C': a convolution of dy. */
LAMINA_API LAMINA_NODISCARD lamina_status
lamina_conv_transpose_backward_data(lamina_device *device, const lamina_conv_transpose *conv, const lamina_tensor *dy,
                                    const lamina_tensor *w, const lamina_tensor *dx, lamina_stream *stream);

/** dw from x and dy: dw[c,k',r] = sum over n, i of x[n,c,i] * dy[n, g*K/groups + k', i*stride - pad + r*dilation].
 *  The shape of dw must be given. */
LAMINA_API LAMINA_NODISCARD lamina_status
lamina_conv_transpose_backward_weights(lamina_device *device, const lamina_conv_transpose *conv, const lamina_tensor *x,
                                       const lamina_tensor *dy, const lamina_tensor *dw, lamina_stream *stream);

/** db[k] = sum over n, o of dy[n,k,o]. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_conv_transpose_backward_bias(lamina_device *device,
                                                                              const lamina_conv_transpose *conv,
                                                                              const lamina_tensor *dy,
                                                                              const lamina_tensor *db,
                                                                              lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_conv_transpose_forward_args {
  const void *x, *w, *b;
  void *y;
} lamina_conv_transpose_forward_args;
typedef struct lamina_conv_transpose_backward_data_args {
  const void *dy, *w;
  void *dx;
} lamina_conv_transpose_backward_data_args;
typedef struct lamina_conv_transpose_backward_weights_args {
  const void *x, *dy;
  void *dw;
} lamina_conv_transpose_backward_weights_args;
typedef struct lamina_conv_transpose_backward_bias_args {
  const void *dy;
  void *db;
} lamina_conv_transpose_backward_bias_args;

/** The same passes planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(conv_transpose_forward, const lamina_conv_transpose *conv, const lamina_tensor *x,
               const lamina_tensor *w, const lamina_tensor *b, const lamina_tensor *y);
LAMINA_PLANNED(conv_transpose_backward_data, const lamina_conv_transpose *conv, const lamina_tensor *dy,
               const lamina_tensor *w, const lamina_tensor *dx);
LAMINA_PLANNED(conv_transpose_backward_weights, const lamina_conv_transpose *conv, const lamina_tensor *x,
               const lamina_tensor *dy, const lamina_tensor *dw);
LAMINA_PLANNED(conv_transpose_backward_bias, const lamina_conv_transpose *conv, const lamina_tensor *dy,
               const lamina_tensor *db);

#ifdef __cplusplus
}
#endif
#endif
