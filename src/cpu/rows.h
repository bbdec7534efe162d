/* Rows of f32 out of memory that holds f32, bf16 or f16: where they lie, or converted piece by piece through a buffer
 * that stays in the L1 cache. So a loop is written once, for f32, and takes any mix of the three in one pass over
 * memory.
 *
 *   float xs[LAMINA_ROW], ys[LAMINA_ROW];
 *   const float *x = lamina_row_read(x_type, args->p[X], i, n, xs);    n elements from i on
 *   float *y = lamina_row_for(y_type, args->p[Y], i, ys);              where to leave the results
 *   …                                                                  x and y may be the same memory
 *   lamina_row_write(y_type, args->p[Y], i, n, y); */
#ifndef LAMINA_CPU_ROWS_H
#define LAMINA_CPU_ROWS_H

#include "cpu/loop.h"

enum { LAMINA_ROW = 1024 };

const float *lamina_row_read(int32_t dtype, const void *x, int64_t i, int64_t n, float *buffer);
float *lamina_row_for(int32_t dtype, void *y, int64_t i, float *buffer);
/* Read, to be written again. */
float *lamina_row_in_place(int32_t dtype, void *y, int64_t i, int64_t n, float *buffer);
/* Nothing is moved where `row` already lies in y. */
void lamina_row_write(int32_t dtype, void *y, int64_t i, int64_t n, const float *row);

/* The size of the row at `i` of `count` elements, for loops like
 *   #pragma omp parallel for schedule(static) if (count >= LAMINA_LOOP_PARALLEL)
 *   for (int64_t i = 0; i < count; i += LAMINA_ROW) */
static inline int64_t lamina_row_size(int64_t count, int64_t i) {
  return count - i < LAMINA_ROW ? count - i : LAMINA_ROW;
}

/* Is it a type that rows can be read from? */
static inline bool lamina_row_type(int32_t dtype) {
  return dtype == LAMINA_F32 || dtype == LAMINA_BF16 || dtype == LAMINA_F16;
}
/* The candidates of an engine whose floating arguments are all rows, each of a type of its own, and which is bound by
 * memory. */
void lamina_row_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                           lamina_candidate_fn *each, void *context);
/* Their parts: the refusal of another type, and the offer. */
#define LAMINA_ROW_REFUSAL "it takes f32, bf16 and f16"
void lamina_row_offer(const lamina_device *device, const lamina_problem *problem, lamina_candidate_fn *each,
                      void *context);

#endif
