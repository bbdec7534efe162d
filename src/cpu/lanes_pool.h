/* Pools whose planes have elements of several lanes: numbers that lie side by side and are pooled alike.
 *
 *   channels last         [N][spatial…][C]          lanes: the C channels
 *   channels in blocks    [N][C/16][spatial…][16]   lanes: 16 channels
 *   examples in blocks    [N/16][C][spatial…][16]   lanes: 16 examples
 *
 * So x is [planes][x0][x1][x2][lanes] and y [planes][y0][y1][y2][lanes], and a window is read as vectors whatever its
 * kernel, stride and padding are. */
#ifndef LAMINA_CPU_LANES_POOL_H
#define LAMINA_CPU_LANES_POOL_H

#include "cpu/loop_pool.h"

/* A row of y, to be pooled. */
typedef struct lamina_pool_row {
  const lamina_loop_pool *pool;
  int64_t lanes;    /* at least the kernel's width */
  int64_t d, h;     /* which row */
  const void *x;    /* the plane, whole */
  void *y;          /* [y2][lanes] */
  int32_t *indices; /* [y2][lanes]; NULL: not wanted */
  bool min, relu;   /* minima in place of maxima; maxima behind a ReLU */
} lamina_pool_row;

typedef void lamina_pool_row_fn(const lamina_pool_row *row);

/* What a row of windows hands to dx, each lane where its index says. */
typedef struct lamina_pool_scatter {
  const void *dy, *gate; /* gate: NULL for none */
  const int32_t *indices;
  int64_t width, lanes;                        /* windows; lanes, a multiple of the kernel's width */
  int64_t dy_place, gate_place, indices_place; /* elements from one window to the next */
  int64_t dy_lane, gate_lane, indices_lane;    /* and from one lane to the next: 1 in bf16 */
  float *sum;                                  /* [plane][step], so far [cleared][step] */
  int64_t step, cleared, plane;                /* plane * step fits 31 bits, as 16 lanes do */
  bool bf16;
} lamina_pool_scatter;

/* False, with nothing added, where an index is beyond what is cleared. */
typedef bool lamina_pool_scatter_fn(const lamina_pool_scatter *row);

/* The widest that this machine has: for 16 lanes; NULL: none. */
lamina_pool_scatter_fn *lamina_pool_scatter_kernel(void);

/* Do the windows tile their plane, with nothing between them and nothing twice? Elements behind the last may be left. */
bool lamina_pool_tiles(const lamina_loop_pool *pool);
/* What a row of such windows, the first of which begins at place `first`, hands to dx: all of it is written. lanes is a
 * multiple of 16, and they lie side by side; `cleared` and `plane` don't matter. False where an index is beyond its own
 * window: then what was written is of no use. */
typedef bool lamina_pool_fill_fn(const lamina_pool_scatter *row, const lamina_loop_pool *pool, int64_t first);
/* Number `index` of those that this machine has, the widest first; NULL past the last. */
lamina_pool_fill_fn *lamina_pool_fill_at(int index);

/* How rows are pooled with one instruction set. */
typedef struct lamina_pool_kernel {
  const char *name;
  int width;                      /* floats of a vector */
  double share;                   /* of the peak's operations: elements of windows that it takes */
  lamina_pool_row_fn *extreme[2]; /* of f32, of bf16 */
  lamina_pool_row_fn *average[2];
} lamina_pool_kernel;

/* Number `index` of those that this machine has, the widest first; NULL past the last. */
const lamina_pool_kernel *lamina_pool_kernel_at(int index);

#endif
