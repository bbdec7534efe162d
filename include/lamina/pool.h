/* Max (with a ReLU before it or without), min and average pooling in one to three dimensions. lp_pool.h, mixed_pool.h
 * and stochastic_pool.h have others over the same windows.
 *
 *   max_pool  y[n,c,o] = max over r of x[n, c, o*stride - pad + r*dilation]  r in the window, inside the input
 *   min_pool  the same with min
 *   avg_pool  y[n,c,o] = 1/count(o) * sum over r of x[n, c, o*stride - pad + r]
 *   relu_max_pool  max_pool of max(x, 0)
 *
 * with o, r one index for each spatial axis. Padding is never a maximum or minimum and adds 0 to an average. count(o) is
 * how many elements of the input the window covers; with count_pad those of the padding count, too, but never what lies
 * beyond the padding (in ceil mode).
 * Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016, section 3; ceil mode and
 * dilation as PyTorch's nn.MaxPool2d; mirrors cudnnPoolingForward and cudnnPoolingBackward (MAX_DETERMINISTIC,
 * AVERAGE_COUNT_INCLUDE_PADDING, AVERAGE_COUNT_EXCLUDE_PADDING).
 *
 * Shapes   x, dx [N, C, spatial…], y, dy, indices [N, C, out…] with
 *          out = floor((size + pad before + pad after - extent) / stride) + 1, where a window's extent is
 *          (kernel - 1)*dilation + 1. In ceil mode the division rounds up, but a last window that would start beyond
 *          the input and the padding before it is left out.
 * Indices  i32: where in its plane of x a maximum or minimum lies, row-major (for 2-D: h*W + w). Of equal ones (-0
 *          equals 0) the first in row-major order counts; a NaN in the window is its maximum and its minimum, the first
 *          one if there are several.
 * Dtypes   f64, f32, f16, bf16, mixed as you like on `ref`; maxima and minima are exact; sums in f32 or better (f64 in f64)
 * Strides  any; an input may overlap itself, nothing may overlap an output
 * Backward max, min: indices, saved by forward when it is asked to; avg: nothing is saved. Gradients overwrite.
 * Empty    N = 0 or C = 0: nothing happens
 * Workspace as the plan says; the simple calls take the device's. Work is in stream order; on the CPU it is done at
 * return. Bitwise deterministic. Thread-safe.
 * Errors   INVALID: a padding that is not smaller than the window's extent, an input smaller than the extent, a window
 * that meets no element of the input (which only a dilation larger than the input can make), a plane of more than
 * 2^31 - 1 elements with indices, shapes that don't fit; UNSUPPORTED: no engine; OUT_OF_MEMORY; DEVICE. */
#ifndef LAMINA_POOL_H
#define LAMINA_POOL_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Spatial axes in order, first axis first. */
typedef struct lamina_pool {
  int64_t kernel[3];   /**< elements of the window; must be given unless global */
  int64_t pad[3][2];   /**< before and after; smaller than the window's extent */
  int64_t stride[3];   /**< 0: as the kernel */
  int64_t ceil_mode;   /**< 1: a partial last window counts */
  int64_t count_pad;   /**< 1: padding counts in an average; other pools ignore it */
  int64_t global;      /**< 1: one window, the whole spatial extent; kernel, pad, stride and dilation must be 0 */
  int64_t dilation[3]; /**< from one element of the window to the next; 0: 1. Other pools than max and min: 1 */
} lamina_pool;

/** y = the largest of each window; indices (may be NULL) is what backward needs. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_max_pool_forward(lamina_device *device, const lamina_pool *pool,
                                                                  const lamina_tensor *x, const lamina_tensor *y,
                                                                  const lamina_tensor *indices, lamina_stream *stream);

/** dx[n,c,i] = sum over the o with indices[n,c,o] = i of dy[n,c,o]. The shape of dx must be given. Any index in the
 *  plane will do, wherever its window lies; one outside the plane adds nothing. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_max_pool_backward(lamina_device *device, const lamina_pool *pool,
                                                                   const lamina_tensor *dy,
                                                                   const lamina_tensor *indices,
                                                                   const lamina_tensor *dx, lamina_stream *stream);

/** y = the smallest of each window; indices (may be NULL) is what backward needs. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_min_pool_forward(lamina_device *device, const lamina_pool *pool,
                                                                  const lamina_tensor *x, const lamina_tensor *y,
                                                                  const lamina_tensor *indices, lamina_stream *stream);

/** As lamina_max_pool_backward. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_min_pool_backward(lamina_device *device, const lamina_pool *pool,
                                                                   const lamina_tensor *dy,
                                                                   const lamina_tensor *indices,
                                                                   const lamina_tensor *dx, lamina_stream *stream);

/** y = the largest of max(x, 0) in each window: relu/forward and max_pool/forward in one. So a NaN in the window is y, and
 *  the index of a window with nothing above 0 is that of its first element. indices (may be NULL) is what backward
 *  needs, with y. As cudnnActivationForward and cudnnPoolingForward one after the other. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_relu_max_pool_forward(lamina_device *device, const lamina_pool *pool,
                                                                       const lamina_tensor *x, const lamina_tensor *y,
                                                                       const lamina_tensor *indices,
                                                                       lamina_stream *stream);

/** dx[n,c,i] = sum over the o with indices[n,c,o] = i and y[n,c,o] > 0 of dy[n,c,o]: relu/backward of what was pooled, then
 *  max_pool/backward. The ReLU's own output isn't needed, since it is y where y comes from; a NaN of y gives no
 *  gradient, as relu/backward has it. Indices as in lamina_max_pool_backward; the shape of dx must be given. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_relu_max_pool_backward(lamina_device *device, const lamina_pool *pool,
                                                                        const lamina_tensor *y, const lamina_tensor *dy,
                                                                        const lamina_tensor *indices,
                                                                        const lamina_tensor *dx, lamina_stream *stream);

/** y = the average of each window. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_avg_pool_forward(lamina_device *device, const lamina_pool *pool,
                                                                  const lamina_tensor *x, const lamina_tensor *y,
                                                                  lamina_stream *stream);

/** dx[n,c,i] = sum over the windows o that cover i of dy[n,c,o] / count(o). The shape of dx must be given. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_avg_pool_backward(lamina_device *device, const lamina_pool *pool,
                                                                   const lamina_tensor *dy, const lamina_tensor *dx,
                                                                   lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_max_pool_forward_args {
  const void *x;
  void *y, *indices;
} lamina_max_pool_forward_args;
typedef struct lamina_max_pool_backward_args {
  const void *dy, *indices;
  void *dx;
} lamina_max_pool_backward_args;
typedef lamina_max_pool_forward_args lamina_min_pool_forward_args;
typedef lamina_max_pool_backward_args lamina_min_pool_backward_args;
typedef lamina_max_pool_forward_args lamina_relu_max_pool_forward_args;
typedef struct lamina_relu_max_pool_backward_args {
  const void *y, *dy, *indices;
  void *dx;
} lamina_relu_max_pool_backward_args;
typedef struct lamina_avg_pool_forward_args {
  const void *x;
  void *y;
} lamina_avg_pool_forward_args;
typedef struct lamina_avg_pool_backward_args {
  const void *dy;
  void *dx;
} lamina_avg_pool_backward_args;

/** The same passes planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(max_pool_forward, const lamina_pool *pool, const lamina_tensor *x, const lamina_tensor *y,
               const lamina_tensor *indices);
LAMINA_PLANNED(max_pool_backward, const lamina_pool *pool, const lamina_tensor *dy, const lamina_tensor *indices,
               const lamina_tensor *dx);
LAMINA_PLANNED(min_pool_forward, const lamina_pool *pool, const lamina_tensor *x, const lamina_tensor *y,
               const lamina_tensor *indices);
LAMINA_PLANNED(min_pool_backward, const lamina_pool *pool, const lamina_tensor *dy, const lamina_tensor *indices,
               const lamina_tensor *dx);
LAMINA_PLANNED(relu_max_pool_forward, const lamina_pool *pool, const lamina_tensor *x, const lamina_tensor *y,
               const lamina_tensor *indices);
LAMINA_PLANNED(relu_max_pool_backward, const lamina_pool *pool, const lamina_tensor *y, const lamina_tensor *dy,
               const lamina_tensor *indices, const lamina_tensor *dx);
LAMINA_PLANNED(avg_pool_forward, const lamina_pool *pool, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(avg_pool_backward, const lamina_pool *pool, const lamina_tensor *dy, const lamina_tensor *dx);

#ifdef __cplusplus
}
#endif
#endif
