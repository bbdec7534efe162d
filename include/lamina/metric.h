/* Metrics: how many of a batch's labels are among the k best scores.
 *
 *   hits = number of n, i with rank(n, i) < k
 *   rank(n, i) = number of classes c with x[n,c,i] > x[n,t,i], or x[n,c,i] = x[n,t,i] and c < t,   t = labels[n,i]
 *
 * so of equal scores the lower class comes first, and k = 1 counts where the label is the first maximum.
 * Source: as torch.topk and numpy's stable argsort count; divide by the number of labels for the accuracy.
 *
 * Shapes   x [N, C, spatial…] with C at least 1, labels [N, spatial…], hits [1]. k may be larger than C.
 * Labels   i64, i32 or u8; one outside 0 … C-1 never hits, and is never used as an index
 * Dtypes   x f64, f32, f16, bf16; hits i64 (inferred), i32 or u8, which saturates
 * Strides  any; an input may overlap itself, nothing may overlap hits
 * NaN      A NaN score never hits, and never pushes another one out.
 * Empty    0 hits
 * Nothing saved. Exact. Workspace as the plan says; the simple calls take the device's. Work is in stream order; on the
 * CPU it is done at return. Thread-safe.
 * Errors   INVALID: shapes that don't fit, with the sentence naming the argument; UNSUPPORTED: no engine;
 * OUT_OF_MEMORY; DEVICE. */
#ifndef LAMINA_METRIC_H
#define LAMINA_METRIC_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** All zero: k = 1. */
typedef struct lamina_top_k {
  int64_t k; /**< how many of the largest scores count; 0: 1 */
} lamina_top_k;

/** hits[0] = how many labels are among the k largest scores of their example. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_top_k_forward(lamina_device *device, const lamina_top_k *top_k,
                                                               const lamina_tensor *x, const lamina_tensor *labels,
                                                               const lamina_tensor *hits, lamina_stream *stream);

/** Data pointers, in the order of the op's row. */
typedef struct lamina_top_k_forward_args {
  const void *x, *labels;
  void *hits;
} lamina_top_k_forward_args;

/** The same planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(top_k_forward, const lamina_top_k *top_k, const lamina_tensor *x, const lamina_tensor *labels,
               const lamina_tensor *hits);

#ifdef __cplusplus
}
#endif
#endif
