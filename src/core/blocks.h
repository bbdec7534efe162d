/* Blocked layouts, taken apart: an axis that is cut into blocks is two axes or more, each with a stride of its own.
 *
 *   f32[2,32,5,7] in nChw16c (axis 1, 16)     axes of memory: 2, 32/16, 16, 5, 7 with strides 1120, 560, 1, 112, 16
 *
 * The axes come out in the order of the tensor's own, so going through them row-major goes through its elements
 * row-major. Inline, for device modules link nothing of the core. */
#ifndef LAMINA_CORE_BLOCKS_H
#define LAMINA_CORE_BLOCKS_H

#include "lamina/tensor.h"

enum {
  LAMINA_MAX_BLOCKS = 4,                                    /* a byte each */
  LAMINA_MAX_AXES = LAMINA_MAX_RANK + 2 * LAMINA_MAX_BLOCKS /* of two tensors, cut where either is */
};

/* Inner block number n of a layout, from the innermost; false past the outermost. */
static inline bool lamina_block_at(int32_t layout, int n, int *axis, int64_t *size) {
  const int32_t block = layout > 0 && n < LAMINA_MAX_BLOCKS ? layout >> 8 * n : 0;
  if (!block) return false;
  *axis = block >> 4 & 15;
  *size = INT64_C(1) << (block & 15);
  return true;
}

/* What an axis is a multiple of: the product of its blocks. */
static inline int64_t lamina_block_of(int32_t layout, int axis) {
  int64_t size, product = 1;
  for (int n = 0, a; lamina_block_at(layout, n, &a, &size); n++)
    if (a == axis) product *= size;
  return product;
}

/* Elements of one block of all axes. */
static inline int64_t lamina_block_elements(int32_t layout) {
  int64_t size, product = 1;
  for (int n = 0, a; lamina_block_at(layout, n, &a, &size); n++) product *= size;
  return product;
}

/* Is it 0, ANY, or a list of blocks of axes that are there, which they divide? */
static inline bool lamina_layout_fits(const lamina_desc *desc) {
  int64_t size;
  if (desc->layout == 0 || desc->layout == LAMINA_LAYOUT_ANY) return true;
  if (desc->layout < 0) return false;
  for (int n = 0, a; lamina_block_at(desc->layout, n, &a, &size); n++)
    if (size == 1 || a >= desc->rank || desc->dims[a] % lamina_block_of(desc->layout, a) != 0) return false;
  return true;
}

/* Elements from the lowest to element 0, where strides are negative. */
static inline int64_t lamina_desc_below(const lamina_desc *desc) {
  int64_t below = 0;
  for (int d = 0; d < desc->rank; d++)
    if (desc->strides[d] < 0) below -= (desc->dims[d] / lamina_block_of(desc->layout, d) - 1) * desc->strides[d];
  return below;
}

/* A layout that was left open becomes that of `like` (where it is not NULL and has the same dims), or row-major. */
static inline void lamina_desc_settle(lamina_desc *desc, const lamina_desc *like) {
  int64_t step = 1;
  if (desc->layout != LAMINA_LAYOUT_ANY) return;
  bool same = like && like->rank == desc->rank;
  for (int d = 0; d < desc->rank && same; d++) same = like->dims[d] == desc->dims[d];
  desc->layout = same ? like->layout : 0;
  for (int d = desc->rank - 1; d >= 0; step *= desc->dims[d--]) desc->strides[d] = same ? like->strides[d] : step;
}

/* The axes of memory of two tensors with the same dims, cut where either of them is. */
typedef struct lamina_axes {
  int rank;
  int64_t dims[LAMINA_MAX_AXES], x[LAMINA_MAX_AXES], y[LAMINA_MAX_AXES];
} lamina_axes;

/* The stride of the part of axis `axis` that begins at `at`, 1 being its finest; and where the next cut above is. */
static inline int64_t lamina_axis_part(const lamina_desc *desc, int axis, int64_t at, int64_t *next) {
  int64_t size, cut = 1, step = 1; /* the axis' blocks so far; elements of all blocks so far */
  for (int n = 0, a; lamina_block_at(desc->layout, n, &a, &size); n++) {
    if (a == axis && at < cut * size) {
      *next = cut * size;
      return step * (at / cut);
    }
    if (a == axis) cut *= size;
    step *= size;
  }
  *next = desc->dims[axis];
  return desc->strides[axis] * (at / cut);
}

/* Both have no ANY, layouts that fit, the same dims, none of which is 0. Blocks are powers of two, so the cuts nest. */
static inline lamina_axes lamina_axes_of(const lamina_desc *x, const lamina_desc *y) {
  lamina_axes axes;
  axes.rank = 0;
  for (int d = 0; d < x->rank; d++) {
    const int first = axes.rank;
    int64_t at = 1;
    do { /* from the finest part of the axis to its coarsest, which is put before the others */
      int64_t next_x, next_y;
      const int64_t step_x = lamina_axis_part(x, d, at, &next_x), step_y = lamina_axis_part(y, d, at, &next_y);
      const int64_t next = next_x < next_y ? next_x : next_y;
      for (int a = axes.rank; a > first; a--) {
        axes.dims[a] = axes.dims[a - 1];
        axes.x[a] = axes.x[a - 1], axes.y[a] = axes.y[a - 1];
      }
      axes.dims[first] = next / at;
      axes.x[first] = step_x, axes.y[first] = step_y;
      axes.rank++;
      at = next;
    } while (at < x->dims[d]);
  }
  return axes;
}

/* Strides that neighbours have in common are those of one axis: fewer, for whoever has room for few. */
static inline lamina_axes lamina_axes_merged(const lamina_axes *axes) {
  lamina_axes merged;
  merged.rank = 0;
  for (int d = 0; d < axes->rank; d++) {
    const int last = merged.rank - 1;
    if (axes->dims[d] == 1) continue;
    const bool joins =
        last >= 0 && merged.x[last] == axes->x[d] * axes->dims[d] && merged.y[last] == axes->y[d] * axes->dims[d];
    const int at = joins ? last : merged.rank++;
    merged.dims[at] = joins ? merged.dims[at] * axes->dims[d] : axes->dims[d];
    merged.x[at] = axes->x[d], merged.y[at] = axes->y[d];
  }
  return merged;
}

#endif
