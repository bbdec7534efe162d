/* Sums and maxima over some axes of a dense tensor.
 *
 * Rows are summed in 16 lanes of f32 over at most 1024 elements, all else in f64. The work is cut in the same way
 * whatever the number of threads, and partial sums are added in order, so that the results are, too. */
#ifndef LAMINA_CPU_REDUCE_H
#define LAMINA_CPU_REDUCE_H

#include "cpu/rows.h"

/* The axes with neighbours merged that are summed over, or kept, together. */
typedef struct lamina_reduction {
  int groups;
  int64_t dims[LAMINA_MAX_RANK], strides[LAMINA_MAX_RANK];
  bool reduced[LAMINA_MAX_RANK];
  int64_t kept, outer; /* combinations of the groups that are kept but for the last group, and of those reduced but for
                          the last one of these */
  int64_t length;      /* of the last group: a row */
  int64_t near;        /* of the last reduced group: as `length`, or how many rows lie side by side */
  int64_t unit;        /* of `near`, how much is read at once */
  int64_t units;       /* reads to sum one output, or a row of them */
  int64_t width;       /* outputs side by side that are summed together */
  int64_t lanes;       /* such sets of outputs */
  int64_t blocks;      /* parts that the units are cut into */
} lamina_reduction;

/* n elements of x from flat index i on, which may come in `buffer`. */
typedef const float *lamina_reduce_fn(const void *context, int64_t i, int64_t n, float *buffer);

/* Of a dense tensor of at least one element, over the axes whose bits are set. */
lamina_reduction lamina_reduction_of(int rank, const int64_t *dims, unsigned axes);
size_t lamina_reduction_workspace(const lamina_reduction *r);
/* y[i] = the sum / divisor, for every output in row-major order of the kept axes. */
void lamina_reduce_sum(const lamina_reduction *r, lamina_reduce_fn *read, const void *context, double divisor,
                       void *workspace, int32_t dtype, void *y);

/* y[i] = the largest element, indices[i] (may be NULL) which of its elements that is; the first of equal ones, NaN being
 * the largest. */
void lamina_reduce_max(const lamina_reduction *r, int32_t x_type, const void *x, int32_t y_type, void *y,
                       int32_t *indices);

/* The other way round: where row number `row` of the tensor, `length` elements, begins in the outputs. */
int64_t lamina_reduction_row(const lamina_reduction *r, int64_t row);

#endif
