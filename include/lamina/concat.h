/* Joining tensors along an axis, and splitting one.
 *
 *   concat   y = x0, x1, … one after the other along the axis       dx0, dx1, … = dy, split
 *   split    y0, y1, … = x, cut along the axis                       dx = dy0, dy1, … one after the other
 *
 * Source: as numpy's concatenate and split.
 *
 * Shapes   all alike but along the axis, any rank from 1; along it y (or x) has as much as the parts together. A part
 *          may have 0. At most LAMINA_PARTS parts; a concatenation of more is one of concatenations.
 * Absent   an x that isn't there is left out, in the middle, too. A dx or a y that isn't there isn't written. A dy of a
 *          split that isn't there counts as zeros.
 * Dtypes   any; all alike (lamina/cast.h converts)
 * Strides  any; an input may overlap itself, nothing may overlap an output
 * Backward needs nothing of the forward pass but `sizes`: how much each part has along the axis. concat/backward takes
 *          them from the dx where all of them are given; where one is left out, `sizes` must be given.
 * Gradients overwrite, they don't accumulate. No workspace, nothing saved. Bitwise exact. Thread-safe. Stream order; on
 * the CPU done at return.
 * Errors   INVALID: shapes, types or sizes that don't fit, an axis that there isn't; UNSUPPORTED: no engine; DEVICE. */
#ifndef LAMINA_CONCAT_H
#define LAMINA_CONCAT_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The most tensors that are joined, or that one is split into. */
#define LAMINA_PARTS 8

/** All zero: along axis 1, the channels. */
typedef struct lamina_concat {
  int64_t axis;                /**< negative counts from the end; 0 and not has_axis: 1 */
  int64_t has_axis;            /**< 1: an axis of 0 is meant */
  int64_t sizes[LAMINA_PARTS]; /**< along the axis, of each part; all 0: as the parts are. 0 for a part left out */
} lamina_concat;

/** x: LAMINA_PARTS pointers; x[0] and x[1] must be there, the others may be NULL. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_concat_forward(lamina_device *device, const lamina_concat *concat,
                                                                const lamina_tensor *const *x, const lamina_tensor *y,
                                                                lamina_stream *stream);
/** dx: LAMINA_PARTS pointers, each of which may be NULL. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_concat_backward(lamina_device *device, const lamina_concat *concat,
                                                                 const lamina_tensor *dy,
                                                                 const lamina_tensor *const *dx, lamina_stream *stream);

/** Give `parts` or `sizes`. All else zero: along axis 1, the channels. */
typedef struct lamina_split {
  int64_t axis;                /**< negative counts from the end; 0 and not has_axis: 1 */
  int64_t has_axis;            /**< 1: an axis of 0 is meant */
  int64_t parts;               /**< so many equal parts, 1 … LAMINA_PARTS; 0: `sizes` says */
  int64_t sizes[LAMINA_PARTS]; /**< along the axis, of each part; they add up to what x has */
} lamina_split;

/** y: LAMINA_PARTS pointers, each of which may be NULL. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_split_forward(lamina_device *device, const lamina_split *split,
                                                               const lamina_tensor *x, const lamina_tensor *const *y,
                                                               lamina_stream *stream);
/** dy: LAMINA_PARTS pointers, each of which may be NULL: zeros. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_split_backward(lamina_device *device, const lamina_split *split,
                                                                const lamina_tensor *const *dy, const lamina_tensor *dx,
                                                                lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row: x0 … x7, y and so on. */
typedef struct lamina_concat_forward_args {
  const void *x[LAMINA_PARTS];
  void *y;
} lamina_concat_forward_args;
typedef struct lamina_concat_backward_args {
  const void *dy;
  void *dx[LAMINA_PARTS];
} lamina_concat_backward_args;
typedef struct lamina_split_forward_args {
  const void *x;
  void *y[LAMINA_PARTS];
} lamina_split_forward_args;
typedef struct lamina_split_backward_args {
  const void *dy[LAMINA_PARTS];
  void *dx;
} lamina_split_backward_args;

/** The same passes planned once, and run on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(concat_forward, const lamina_concat *concat, const lamina_tensor *const *x, const lamina_tensor *y);
LAMINA_PLANNED(concat_backward, const lamina_concat *concat, const lamina_tensor *dy, const lamina_tensor *const *dx);
LAMINA_PLANNED(split_forward, const lamina_split *split, const lamina_tensor *x, const lamina_tensor *const *y);
LAMINA_PLANNED(split_backward, const lamina_split *split, const lamina_tensor *const *dy, const lamina_tensor *dx);

#ifdef __cplusplus
}
#endif
#endif
