/* Drawing test cases: what an op's `sample` is written with.
 *
 *   const int64_t n = LAMINA_PICK(draw, "batch", 1, 2, 3, 0), c = LAMINA_PICK(draw, "channels", 1, 3, 16, 17);
 *   problem->arg[X] = lamina_draw_shape(draw, 2, (int64_t[]){n, c});
 *
 * Each pick is a factor of the test plan: over the cases of one op, pairs of values of any two factors come up as early
 * as can be. A case that the op refuses, or one with more than some million operations, is drawn again. */
#ifndef LAMINA_CORE_DRAW_H
#define LAMINA_CORE_DRAW_H

#include "core/base.h"

/* One of `values`. A name that is picked twice makes two factors. */
int64_t lamina_pick(lamina_draw *draw, const char *name, size_t count, const int64_t *values);
#define LAMINA_PICK(draw, name, ...)                                                                                   \
  lamina_pick(draw, name, LAMINA_COUNT_OF(((const int64_t[]){__VA_ARGS__})), (const int64_t[]){__VA_ARGS__})

/* The same shape for every input that isn't integer: what a row without `sample` gets. Some are long, some empty. */
void lamina_draw_alike(lamina_problem *problem, lamina_draw *draw);

/* A dense shape of the element type that this case has for floating arguments. */
lamina_desc lamina_draw_shape(const lamina_draw *draw, int rank, const int64_t *dims);

#endif
