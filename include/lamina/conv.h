/* Convolution in one to three dimensions: as deep learning means it, cross-correlation, where the filter is not flipped;
 * with `flip` as mathematics means it.
 *
 *   y[n,k,o] = b[k] + sum over c, r of x[n, g*C' + c, o*stride - pad + r*dilation] * w[k, c, r']
 *
 * with x = 0 outside, C' = C/groups, g = k / (K/groups), and o, r one index for each spatial axis. r' is r; with `flip`
 * it is filter - 1 - r on every spatial axis, in the gradients, too. (Without dilation, padding filter - 1 on both sides
 * then gives the full convolution, sum over s of x[s] * w[o - s].)
 * Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016; as cuDNN's
 * CUDNN_CROSS_CORRELATION and, flipped, CUDNN_CONVOLUTION.
 *
 * Shapes   x [N, C, spatial…], w [K, C/groups, filter…], b [K] (may be absent), y [N, K, out…] with
 *          out = floor((size + pad before + pad after - dilation*(filter - 1) - 1) / stride) + 1, at least 1
 * Dtypes   f64, f32, f16, bf16, mixed as you like on `ref`; sums in f32 or better (f64 in f64). On CUDA factors of f32 may
 *          be rounded to TF32 (10 bits of fraction) unless the plan or net says math=strict
 * Strides  any; an input may overlap itself, nothing may overlap an output but where a pass says so
 * Backward needs x and w; nothing else is saved. Gradients overwrite, they don't accumulate.
 * Empty    N = 0: y is empty, dw and db are 0
 * Workspace as the plan says; the simple calls take the device's. Work is in stream order; on the CPU it is done at
 * return. Bitwise deterministic at a fixed thread count unless the plan's note says otherwise. Thread-safe.
 * Errors   INVALID: shapes that don't fit, with the sentence naming the argument; UNSUPPORTED: no engine;
 * OUT_OF_MEMORY; DEVICE. */
#ifndef LAMINA_CONV_H
#define LAMINA_CONV_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** All zero: no padding, stride 1, dilation 1, one group, not flipped. Spatial axes in order, first axis first. */
typedef struct lamina_conv {
  int64_t pad[3][2];   /**< zeros before and after */
  int64_t stride[3];   /**< 0: 1 */
  int64_t dilation[3]; /**< 0: 1 */
  int64_t groups;      /**< 0: 1; divides C and K */
  int64_t flip;        /**< 1: the filter is flipped on every spatial axis, true convolution */
} lamina_conv;

/** y = conv(x, w) + b. Mirrors cudnnConvolutionForward. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_conv_forward(lamina_device *device, const lamina_conv *conv,
                                                              const lamina_tensor *x, const lamina_tensor *w,
                                                              const lamina_tensor *b, const lamina_tensor *y,
                                                              lamina_stream *stream);

/** dx from dy and w: dx[n,c,i] = sum over k, r with o*stride - pad + r*dilation = i of dy[n,k,o] * w[k,c,r'].
 *  The shape of dx must be given: with a stride it doesn't follow. Mirrors cudnnConvolutionBackwardData. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_conv_backward_data(lamina_device *device, const lamina_conv *conv,
                                                                    const lamina_tensor *dy, const lamina_tensor *w,
                                                                    const lamina_tensor *dx, lamina_stream *stream);

/** dw from x and dy: dw[k,c,r'] = sum over n, o of dy[n,k,o] * x[n, c, o*stride - pad + r*dilation].
 *  The shape of dw must be given. Mirrors cudnnConvolutionBackwardFilter. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_conv_backward_weights(lamina_device *device, const lamina_conv *conv,
                                                                       const lamina_tensor *x, const lamina_tensor *dy,
                                                                       const lamina_tensor *dw, lamina_stream *stream);

/** db[k] = sum over n, o of dy[n,k,o]. Mirrors cudnnConvolutionBackwardBias. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_conv_backward_bias(lamina_device *device, const lamina_conv *conv,
                                                                    const lamina_tensor *dy, const lamina_tensor *db,
                                                                    lamina_stream *stream);

/** y = max(conv(x, w) + b, 0): conv/forward and relu/forward in one, without rounding between; NaN passes. Mirrors
 *  cudnnConvolutionBiasActivationForward. For its backward pass gate dy by y with relu/backward, then take conv's. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_conv_relu_forward(lamina_device *device, const lamina_conv *conv,
                                                                   const lamina_tensor *x, const lamina_tensor *w,
                                                                   const lamina_tensor *b, const lamina_tensor *y,
                                                                   lamina_stream *stream);

/** dx = conv's dx where x > 0, else 0: the gradient of y = conv(max(x, 0), w), a ReLU followed by a convolution:
 *  conv/backward_data and relu/backward in one, without rounding between. So its family is relu_conv, in the order of the
 *  forward pass, and x is what the ReLU took; what it gave does as well, since both are above 0 in the same places. Where
 *  x is NaN dx is 0, as relu/backward has it. x as in forward, which is dx's shape, too; dx may be x (same type and
 *  strides). As the fused pattern dgrad + dReLU of cuDNN. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_relu_conv_backward_data(lamina_device *device, const lamina_conv *conv,
                                                                         const lamina_tensor *dy,
                                                                         const lamina_tensor *w, const lamina_tensor *x,
                                                                         const lamina_tensor *dx,
                                                                         lamina_stream *stream);

/** A convolution over inputs of one spatial shape. */
typedef struct lamina_conv_matrix_desc {
  lamina_conv conv; /**< stride, pad, dilation, groups, flip */
  int64_t size[3];  /**< the input's spatial shape; must be given */
} lamina_conv_matrix_desc;

/** The matrix that a filter w [K, C/groups, filter…] is: M [K*out, C*size] with M · x = conv(x, w), x and y being one
 *  image each, flattened in row-major order. (In one dimension it is a Toeplitz matrix, in two a doubly blocked one.) It
 *  comes in compressed sparse rows, as SciPy's csr_matrix takes it: row i has the entries rows[i] … rows[i + 1] - 1, each
 *  values[e] in column columns[e], columns ascending. Every tap that lies on the input is stored, be its weight 0 or not,
 *  and none that falls into padding: so the sizes depend on shapes and attributes alone.
 *  values [stored] of any floating type, columns [stored] and rows [K*out + 1] of i64 or, where the numbers fit, i32.
 *  Values are copied; nothing is computed, and there is no gradient. Source: Dumoulin and Visin, section 4.1. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_conv_matrix(lamina_device *device, const lamina_conv_matrix_desc *conv,
                                                             const lamina_tensor *w, const lamina_tensor *values,
                                                             const lamina_tensor *columns, const lamina_tensor *rows,
                                                             lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_conv_forward_args {
  const void *x, *w, *b;
  void *y;
} lamina_conv_forward_args;
typedef struct lamina_conv_backward_data_args {
  const void *dy, *w;
  void *dx;
} lamina_conv_backward_data_args;
typedef struct lamina_conv_backward_weights_args {
  const void *x, *dy;
  void *dw;
} lamina_conv_backward_weights_args;
typedef struct lamina_conv_backward_bias_args {
  const void *dy;
  void *db;
} lamina_conv_backward_bias_args;
typedef struct lamina_conv_relu_forward_args {
  const void *x, *w, *b;
  void *y;
} lamina_conv_relu_forward_args;
typedef struct lamina_relu_conv_backward_data_args {
  const void *dy, *w, *x;
  void *dx;
} lamina_relu_conv_backward_data_args;
typedef struct lamina_conv_matrix_args {
  const void *w;
  void *values, *columns, *rows;
} lamina_conv_matrix_args;

/** The same passes planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(conv_forward, const lamina_conv *conv, const lamina_tensor *x, const lamina_tensor *w,
               const lamina_tensor *b, const lamina_tensor *y);
LAMINA_PLANNED(conv_backward_data, const lamina_conv *conv, const lamina_tensor *dy, const lamina_tensor *w,
               const lamina_tensor *dx);
LAMINA_PLANNED(conv_backward_weights, const lamina_conv *conv, const lamina_tensor *x, const lamina_tensor *dy,
               const lamina_tensor *dw);
LAMINA_PLANNED(conv_backward_bias, const lamina_conv *conv, const lamina_tensor *dy, const lamina_tensor *db);
LAMINA_PLANNED(conv_relu_forward, const lamina_conv *conv, const lamina_tensor *x, const lamina_tensor *w,
               const lamina_tensor *b, const lamina_tensor *y);
LAMINA_PLANNED(relu_conv_backward_data, const lamina_conv *conv, const lamina_tensor *dy, const lamina_tensor *w,
               const lamina_tensor *x, const lamina_tensor *dx);
LAMINA_PLANNED(conv_matrix, const lamina_conv_matrix_desc *conv, const lamina_tensor *w, const lamina_tensor *values,
               const lamina_tensor *columns, const lamina_tensor *rows);

#ifdef __cplusplus
}
#endif
#endif
