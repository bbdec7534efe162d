/* Picking by index: slices of a tensor, rows of a table, and the way back from a label to a vector.
 *
 *   gather      y[…, j…, …] = x[…, indices[j…], …]        along one axis of x, which j… replaces
 *   embedding   y[j…, d]    = w[indices[j…], d]
 *   one_hot     y[n,c,i]    = 1 where labels[n,i] = c, 0 elsewhere
 *
 * Source: gather as numpy.take and torch.index_select; embedding as torch.nn.functional.embedding; one_hot as the scores
 * of lamina/loss.h lie, with the classes on axis 1.
 *
 * Shapes   gather     x of 1 to 8 axes, indices of any rank, y x's axes with indices' in the place of `axis`: at most 8
 *          embedding  w [V, D], indices of any rank up to 7, y [indices…, D]
 *          one_hot    labels [N, spatial…], y [N, classes, spatial…]
 * Indices  i64, i32 or u8; one may come up as often as it likes. One outside of the axis (a negative one, too) is never
 *          used: its slice of y is NaN, and it adds to no gradient. A label outside 0 … classes-1 has zeros only.
 * Dtypes   x, w, y and their gradients f64, f32, f16, bf16, mixed as you like on `ref`; copies are exact, gradients are
 *          summed in f32 or better (f64 in f64). one_hot's y is f32 where it is to be inferred.
 * Strides  any; an input may overlap itself, nothing may overlap an output
 * Backward needs the indices, and the shape of dx or dw. What no index names has a gradient of 0. Gradients overwrite,
 *          they don't accumulate. one_hot has none.
 * Workspace as the plan says; the simple calls take the device's. Work is in stream order; on the CPU it is done at
 * return. Bitwise deterministic, whatever the number of threads: gradients are added in the order of the indices.
 * Thread-safe.
 * Errors   INVALID: shapes that don't fit, with the sentence naming the argument; UNSUPPORTED: no engine;
 * OUT_OF_MEMORY; DEVICE. */
#ifndef LAMINA_GATHER_H
#define LAMINA_GATHER_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** All zero: the first axis. */
typedef struct lamina_gather {
  int64_t axis; /**< of x, from the end where it is negative */
} lamina_gather;

/** y: the slices of x that indices name. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_gather_forward(lamina_device *device, const lamina_gather *gather,
                                                                const lamina_tensor *x, const lamina_tensor *indices,
                                                                const lamina_tensor *y, lamina_stream *stream);
/** dx: each slice the sum of the slices of dy that were picked from it. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_gather_backward(lamina_device *device, const lamina_gather *gather,
                                                                 const lamina_tensor *indices, const lamina_tensor *dy,
                                                                 const lamina_tensor *dx, lamina_stream *stream);

/** All zero: no padding. */
typedef struct lamina_embedding {
  int64_t padding;     /**< the index whose row of dw is 0; 0: there is none, unless has_padding (INT64_MIN: none) */
  int64_t has_padding; /**< 1: padding is meant, though it is 0 */
} lamina_embedding;

/** y: the rows of w that indices name. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_embedding_forward(lamina_device *device,
                                                                   const lamina_embedding *embedding,
                                                                   const lamina_tensor *indices, const lamina_tensor *w,
                                                                   const lamina_tensor *y, lamina_stream *stream);
/** dw: each row the sum of the rows of dy that were picked from it; that of `padding` is 0. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_embedding_backward(lamina_device *device,
                                                                    const lamina_embedding *embedding,
                                                                    const lamina_tensor *indices,
                                                                    const lamina_tensor *dy, const lamina_tensor *dw,
                                                                    lamina_stream *stream);

/** How many classes there are must be given. */
typedef struct lamina_one_hot {
  int64_t classes; /**< at least 1 */
} lamina_one_hot;

/** y: a one at each label, among zeros. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_one_hot_forward(lamina_device *device, const lamina_one_hot *one_hot,
                                                                 const lamina_tensor *labels, const lamina_tensor *y,
                                                                 lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_gather_forward_args {
  const void *x, *indices;
  void *y;
} lamina_gather_forward_args;
typedef struct lamina_gather_backward_args {
  const void *indices, *dy;
  void *dx;
} lamina_gather_backward_args;
typedef struct lamina_embedding_forward_args {
  const void *indices, *w;
  void *y;
} lamina_embedding_forward_args;
typedef struct lamina_embedding_backward_args {
  const void *indices, *dy;
  void *dw;
} lamina_embedding_backward_args;
typedef struct lamina_one_hot_forward_args {
  const void *labels;
  void *y;
} lamina_one_hot_forward_args;

/** The same passes planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(gather_forward, const lamina_gather *gather, const lamina_tensor *x, const lamina_tensor *indices,
               const lamina_tensor *y);
LAMINA_PLANNED(gather_backward, const lamina_gather *gather, const lamina_tensor *indices, const lamina_tensor *dy,
               const lamina_tensor *dx);
LAMINA_PLANNED(embedding_forward, const lamina_embedding *embedding, const lamina_tensor *indices,
               const lamina_tensor *w, const lamina_tensor *y);
LAMINA_PLANNED(embedding_backward, const lamina_embedding *embedding, const lamina_tensor *indices,
               const lamina_tensor *dy, const lamina_tensor *dw);
LAMINA_PLANNED(one_hot_forward, const lamina_one_hot *one_hot, const lamina_tensor *labels, const lamina_tensor *y);

#ifdef __cplusplus
}
#endif
#endif
