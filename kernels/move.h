/* Moving elements between strided views, of any type: what copies, cuts, joins and transposes of tensors are made of. */
#ifndef KERNEL_MOVE_H
#define KERNEL_MOVE_H

#include "launch.h"

/* How it is moved. */
typedef enum kernel_move_way { KERNEL_MOVE_STRAIGHT, KERNEL_MOVE_ROWS, KERNEL_MOVE_TILES } kernel_move_way;

/* A move as kernel_move_plan arranged it: axes of size 1 dropped, the others sorted, and merged where both sides allow. */
typedef struct kernel_move {
  kernel_move_way way;
  int size;                                                                  /* bytes of an element: 1, 2, 4, 8 */
  int unit;                                                                  /* bytes that may be moved at once */
  int rank;                                                                  /* 1 … KERNEL_MAX_RANK */
  int64_t dims[KERNEL_MAX_RANK], from[KERNEL_MAX_RANK], to[KERNEL_MAX_RANK]; /* strides in elements */
} kernel_move;

/* For y[i] = x[i], every index i of `dims`, none of which is 0. x may repeat itself (strides of 0); y overlaps neither
 * itself nor x. Pure, on the host. */
KERNEL_API kernel_move kernel_move_plan(int size, int rank, const int64_t *dims, const int64_t *from,
                                        const int64_t *to);
/* x and y: where index 0 lies. */
KERNEL_API int kernel_move_run(const kernel_move *move, const void *x, void *y, kernel_stream stream);

/* y[i] = the first `size` bytes of *value, for n elements. */
KERNEL_API int kernel_fill(int size, int64_t n, const void *value, void *y, kernel_stream stream);

#endif
