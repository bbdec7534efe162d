/* Max unpooling: puts each element back where a pool took it from, and zeros elsewhere, in one to three dimensions.
 *
 *   y[n,c,i]  = sum over the o with indices[n,c,o] = i of x[n,c,o]           0 where there is none
 *   dx[n,c,o] = dy[n,c, indices[n,c,o]]                                      0 for an index outside the plane
 *
 * Indices are those of lamina/pool.h (or of mixed or stochastic pooling): i32, row-major in a plane of y; any that lie
 * in the plane will do, one outside it adds nothing. Where windows overlap an index may come more than once; its
 * elements then add up, so that unpooling is linear in x and deterministic. (PyTorch's nn.MaxUnpool2d leaves open which
 * one stays.)
 * Source: Zeiler and Fergus, "Visualizing and understanding convolutional networks", ECCV 2014, section 2.1;
 * Badrinarayanan, Kendall, Cipolla, "SegNet", 2015.
 *
 * Shapes   x, indices, dx [N, C, spatial…]; y, dy [N, C, spatial…] of any spatial size: the shape of y must be given
 * Dtypes   f64, f32, f16, bf16, mixed as you like on `ref`; sums in f32 or better (f64 in f64)
 * Strides  any; an input may overlap itself, nothing may overlap an output
 * Backward needs indices and dy. Gradients overwrite.
 * Workspace as the plan says; the simple calls take the device's. Work is in stream order; on the CPU it is done at
 * return. Bitwise deterministic. Thread-safe.
 * Errors   INVALID: a plane of y of more than 2^31 - 1 elements, shapes that don't fit; UNSUPPORTED: no engine;
 * OUT_OF_MEMORY; DEVICE. */
#ifndef LAMINA_UNPOOL_H
#define LAMINA_UNPOOL_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** y = x at its indices. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_max_unpool_forward(lamina_device *device, const lamina_tensor *x,
                                                                    const lamina_tensor *indices,
                                                                    const lamina_tensor *y, lamina_stream *stream);
/** dx = dy at the indices. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_max_unpool_backward(lamina_device *device, const lamina_tensor *dy,
                                                                     const lamina_tensor *indices,
                                                                     const lamina_tensor *dx, lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_max_unpool_forward_args {
  const void *x, *indices;
  void *y;
} lamina_max_unpool_forward_args;
typedef struct lamina_max_unpool_backward_args {
  const void *dy, *indices;
  void *dx;
} lamina_max_unpool_backward_args;

/** The same passes planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(max_unpool_forward, const lamina_tensor *x, const lamina_tensor *indices, const lamina_tensor *y);
LAMINA_PLANNED(max_unpool_backward, const lamina_tensor *dy, const lamina_tensor *indices, const lamina_tensor *dx);

#ifdef __cplusplus
}
#endif
#endif
