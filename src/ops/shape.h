/* What the ops share that move elements and compute nothing. */
#ifndef LAMINA_OPS_SHAPE_H
#define LAMINA_OPS_SHAPE_H

#include "core/draw.h"
#include "core/problem.h"

/* Every argument that is there has the element type of argument `arg`. */
lamina_status lamina_want_alike(const lamina_problem *problem, int arg);
/* An attribute that names an axis of argument `arg`: a negative one counts from the end. */
lamina_status lamina_want_axis(const lamina_problem *problem, int arg, int64_t *axis);
/* A LIST attribute of argument `arg`: what lies past its axes must be 0. */
lamina_status lamina_want_list(const lamina_problem *problem, int arg, const char *name, const int64_t *list);

/* The product of dims[first] … dims[end - 1]. */
static inline int64_t lamina_product(const int64_t *dims, int first, int end) {
  int64_t product = 1;
  for (int d = first; d < end; d++) product *= dims[d];
  return product;
}

/* Fills for elements that are only moved; for sums of them, too. */
bool lamina_shape_fills(const lamina_problem *problem, bool exact, lamina_fill_def *fill);
/* Dims of `rank` axes for a test, now and then long or empty. */
void lamina_draw_dims(lamina_draw *draw, int rank, int64_t *dims);
/* The element type of a case: now and then of integers. */
lamina_dtype lamina_draw_any(lamina_draw *draw);

#endif
