/* Other sizes of pictures, signals and volumes, by the nearest element or by linear interpolation.
 *
 *   nearest  y[o] = x[floor(o * in / out)]
 *   linear   y[o] = (1 - w) * x[i] + w * x[min(i + 1, in - 1)],   i = floor(s), w = s - i
 *            s = max(0, (o + 1/2) * in / out - 1/2)               elements are areas; the ends are repeated
 *            s = o * (in - 1) / (out - 1)                         with align_corners: the first and the last ones meet
 *
 * along each spatial axis (bilinear for two, trilinear for three), in and out being its sizes in x and y.
 * backward is the adjoint: dx[i] = sum over the o that took from x[i] of its weight * dy[o].
 * Source: PyTorch's F.interpolate (nearest, linear, bilinear, trilinear), with scale_factor only as a way to say the size
 * (recompute_scale_factor). Sizes are exact quotients here, where PyTorch rounds in / out first.
 *
 * Shapes   x, dx [N, C, spatial…], y, dy [N, C, size…], 1 to 3 spatial axes of 1 … 2^30 elements
 * Dtypes   f64, f32, f16, bf16, mixed as you like on `ref`; weights and sums in f32 or better (f64 in f64); a nearest
 *          element is exact
 * Strides  any; an input may overlap itself, nothing may overlap an output
 * Backward needs nothing of the forward pass but the shape of dx, which must be given. Gradients overwrite.
 * Empty    N = 0 or C = 0: nothing happens
 * Workspace as the plan says; the simple calls take the device's. Stream order; on the CPU done at return. Bitwise
 * deterministic, whatever the number of threads. Thread-safe.
 * Errors   INVALID: neither or both of size and scale, shapes that don't fit; UNSUPPORTED: no engine; OUT_OF_MEMORY;
 * DEVICE. */
#ifndef LAMINA_RESIZE_H
#define LAMINA_RESIZE_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How elements between those of x are made: lamina_resize.mode. */
typedef enum lamina_resize_mode {
  LAMINA_RESIZE_NEAREST, /**< one of them is taken */
  LAMINA_RESIZE_LINEAR   /**< the two next to it along each axis are mixed */
} lamina_resize_mode;

/** Give `size` or `scale`. */
typedef struct lamina_resize {
  int64_t size[3];       /**< of y, for every spatial axis */
  double scale;          /**< or: floor(scale * in) along each axis */
  int64_t mode;          /**< a lamina_resize_mode */
  int64_t align_corners; /**< of linear: 1: the first and last elements of x and y coincide */
} lamina_resize;

/** y = x in another size. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_resize_forward(lamina_device *device, const lamina_resize *resize,
                                                                const lamina_tensor *x, const lamina_tensor *y,
                                                                lamina_stream *stream);
/** dx = dy, each element given back to those that it was made of. The shape of dx must be given. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_resize_backward(lamina_device *device, const lamina_resize *resize,
                                                                 const lamina_tensor *dy, const lamina_tensor *dx,
                                                                 lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_resize_forward_args {
  const void *x;
  void *y;
} lamina_resize_forward_args;
typedef struct lamina_resize_backward_args {
  const void *dy;
  void *dx;
} lamina_resize_backward_args;

/** The same passes planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(resize_forward, const lamina_resize *resize, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(resize_backward, const lamina_resize *resize, const lamina_tensor *dy, const lamina_tensor *dx);

#ifdef __cplusplus
}
#endif
#endif
