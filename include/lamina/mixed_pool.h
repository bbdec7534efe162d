/* Mixed pooling: a blend of the maximum and the average of each window, in one to three dimensions.
 *
 *   y  = max_share * max_pool(x) + (1 - max_share) * avg_pool(x)
 *   dx = max_share * max_pool/backward(dy, indices) + (1 - max_share) * avg_pool/backward(dy)
 *
 * Source: Lee, Gallagher, Tu, "Generalizing pooling functions in convolutional neural networks: mixed, gated, and
 * tree", AISTATS 2016, section 3.1, with a share that isn't learned; Yu et al., "Mixed pooling for convolutional neural
 * networks", RSKT 2014, draw the share instead.
 *
 * Windows, shapes, indices (ties, NaN), dtypes, strides and errors are those of lamina/pool.h, without dilation;
 * count_pad is that of the average.
 * Backward needs indices, saved by forward when it is asked to, and dy. Gradients overwrite.
 * Workspace as the plan says; the simple calls take the device's. Work is in stream order; on the CPU it is done at
 * return. Bitwise deterministic. Thread-safe. */
#ifndef LAMINA_MIXED_POOL_H
#define LAMINA_MIXED_POOL_H

#include "lamina/pool.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The windows, and the blend. */
typedef struct lamina_mixed_pool {
  lamina_pool window;    /**< without dilation */
  double max_share;      /**< of the maximum, 0 … 1; the rest is the mean's. Default 0.5 */
  int64_t has_max_share; /**< 1: a max_share of 0 is meant */
} lamina_mixed_pool;

/** y = the blend; indices (may be NULL), of the maxima, is what backward needs. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_mixed_pool_forward(lamina_device *device,
                                                                    const lamina_mixed_pool *pool,
                                                                    const lamina_tensor *x, const lamina_tensor *y,
                                                                    const lamina_tensor *indices,
                                                                    lamina_stream *stream);
/** The shape of dx must be given. An index outside the plane adds nothing. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_mixed_pool_backward(lamina_device *device,
                                                                     const lamina_mixed_pool *pool,
                                                                     const lamina_tensor *dy,
                                                                     const lamina_tensor *indices,
                                                                     const lamina_tensor *dx, lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef lamina_max_pool_forward_args lamina_mixed_pool_forward_args;
typedef lamina_max_pool_backward_args lamina_mixed_pool_backward_args;

/** The same passes planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(mixed_pool_forward, const lamina_mixed_pool *pool, const lamina_tensor *x, const lamina_tensor *y,
               const lamina_tensor *indices);
LAMINA_PLANNED(mixed_pool_backward, const lamina_mixed_pool *pool, const lamina_tensor *dy,
               const lamina_tensor *indices, const lamina_tensor *dx);

#ifdef __cplusplus
}
#endif
#endif
