/* Pooling: maxima, minima, averages and their mixtures over windows, as lamina/pool.h and lamina/mixed_pool.h say, and
 * moving by the indices that pools save.
 * Planes have three axes; those of fewer have axes of size 1 in front. x, dx: [planes, x[0], x[1], x[2]]; y, dy, indices
 * (i32, where in its plane of x): [planes, y[0], y[1], y[2]]. */
#ifndef KERNEL_POOL_H
#define KERNEL_POOL_H

#include "launch.h"

/* Each tensor has up to 2^31 - 1 elements, each axis with its padding up to 2^30. */
typedef struct kernel_pool {
  kernel_type type;
  int planes; /* N*C */
  int x[3], y[3], kernel[3], stride[3], pad[3], pad_after[3], dilation[3];
  bool count_pad; /* padding counts in an average */
  bool min;       /* minima in place of maxima */
  bool relu;      /* maxima of max(x, 0) */
  float share;    /* of the maximum in a mixture */
} kernel_pool;

/* Of an average over one window only those elements count that are in the input, or in the padding with count_pad.
 * indices may be NULL. */
KERNEL_API int kernel_pool_extreme(const kernel_pool *p, const void *x, void *y, int32_t *indices,
                                   kernel_stream stream);
KERNEL_API int kernel_pool_average(const kernel_pool *p, const void *x, void *y, kernel_stream stream);
KERNEL_API int kernel_pool_mixed(const kernel_pool *p, const void *x, void *y, int32_t *indices, kernel_stream stream);
KERNEL_API int kernel_pool_average_backward(const kernel_pool *p, const void *dy, void *dx, kernel_stream stream);

/* dx[i] = sum of the dy[o] with indices[o] = i, in the order of o; what isn't in the plane adds nothing. `windows`: the
 * indices are expected to lie each in its window, which is faster; those that don't still count. Without them `kernel`,
 * `stride`, `pad` and `dilation` mean nothing. `gate` (as y; NULL: none): a dy[o] counts as 0 unless gate[o] > 0. */
KERNEL_API int kernel_pool_scatter(const kernel_pool *p, bool windows, const void *gate, const void *dy,
                                   const int32_t *indices, void *dx, uint32_t *workspace, kernel_stream stream);
/* The same for a mixture: share * that sum + (1 - share) * the average's gradient. */
KERNEL_API int kernel_pool_mixed_backward(const kernel_pool *p, const void *dy, const int32_t *indices, void *dx,
                                          uint32_t *workspace, kernel_stream stream);
/* Bytes of workspace that the two above take. */
KERNEL_API size_t kernel_pool_scatter_workspace(const kernel_pool *p);
/* to[o] = from[indices[o]], 0 where that isn't in the plane. from: as x, to: as y. */
KERNEL_API int kernel_pool_gather(const kernel_pool *p, const void *from, const int32_t *indices, void *to,
                                  kernel_stream stream);

#endif
