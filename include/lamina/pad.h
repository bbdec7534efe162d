/* Padding: more elements before and after, along each axis.
 *
 *   forward    y[i, …] = x[i - before, …]      inside x; outside, by `mode`:
 *                constant   value
 *                edge       the nearest element of x:             a b c  ->  a a [a b c] c c
 *                reflect    x mirrored at its first or last one:  a b c  ->  c b [a b c] b a
 *   backward   dx[j, …] = sum of dy over all that x[j, …] went to
 *
 * along each axis. Source: numpy.pad (modes constant, edge, reflect); PyTorch's F.pad calls edge "replicate".
 *
 * Shapes   x any rank; y has before + size + after along each axis; reflect: before and after less than the size; edge:
 *          none where the size is 0
 * Dtypes   forward: any, x and y alike (lamina/cast.h converts). backward: f64, f32, f16, bf16, mixed as you like on
 *          `ref`; summed in f32 or better (f64 in f64)
 * Strides  any; an input may overlap itself, nothing may overlap an output
 * Backward needs nothing of the forward pass. Gradients overwrite, they don't accumulate.
 * Workspace as the plan says (edge and reflect: a copy of dy); the simple calls take the device's. Stream order; on the
 * CPU done at return. Forward and constant are bitwise exact, all is bitwise deterministic. Thread-safe.
 * Errors   INVALID: numbers for more axes than x has, shapes that don't fit; UNSUPPORTED: no engine; OUT_OF_MEMORY;
 * DEVICE. */
#ifndef LAMINA_PAD_H
#define LAMINA_PAD_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What lies outside: lamina_pad.mode. */
typedef enum lamina_pad_mode {
  LAMINA_PAD_CONSTANT, /**< one value */
  LAMINA_PAD_EDGE,     /**< the nearest element */
  LAMINA_PAD_REFLECT   /**< a mirror image without the edge itself */
} lamina_pad_mode;

/** All zero: nothing is added. One number for each axis; those not given are 0. */
typedef struct lamina_pad {
  int64_t before[LAMINA_MAX_RANK]; /**< elements before the first one */
  int64_t after[LAMINA_MAX_RANK];  /**< elements after the last one */
  int64_t mode;                    /**< a lamina_pad_mode */
  double value;                    /**< of constant padding, rounded to the type of y */
} lamina_pad;

/** y = x with more around it. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_pad_forward(lamina_device *device, const lamina_pad *pad,
                                                             const lamina_tensor *x, const lamina_tensor *y,
                                                             lamina_stream *stream);
/** dx = dy, with what lies outside added to where it came from. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_pad_backward(lamina_device *device, const lamina_pad *pad,
                                                              const lamina_tensor *dy, const lamina_tensor *dx,
                                                              lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_pad_forward_args {
  const void *x;
  void *y;
} lamina_pad_forward_args;
typedef struct lamina_pad_backward_args {
  const void *dy;
  void *dx;
} lamina_pad_backward_args;

/** The same passes planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(pad_forward, const lamina_pad *pad, const lamina_tensor *x, const lamina_tensor *y);
LAMINA_PLANNED(pad_backward, const lamina_pad *pad, const lamina_tensor *dy, const lamina_tensor *dx);

#ifdef __cplusplus
}
#endif
#endif
