/* Sums, means and maxima over some axes of a dense tensor, as lamina/reduce.h says, and their gradients.
 *
 * Neighbouring axes that are reduced, or kept, together are merged, so that groups of both kinds alternate. There are at
 * most 2^31 - 1 elements. */
#ifndef KERNEL_REDUCE_H
#define KERNEL_REDUCE_H

#include "launch.h"

/* Groups, the innermost first: element number i of them, row-major, lies at the sum of its coordinates' strides. */
typedef struct kernel_groups {
  int64_t count, dims[KERNEL_MAX_RANK], strides[KERNEL_MAX_RANK];
} kernel_groups;

typedef struct kernel_reduce {
  int64_t length;        /* of the last group: elements side by side */
  kernel_groups kept;    /* all that are kept but the last group */
  kernel_groups reduced; /* all that are reduced but the last group */
  int64_t outputs;       /* results */
  int64_t members;       /* elements of each */
  int64_t chunks;        /* into which the members are cut; 1: no workspace */
  kernel_type type;
  float divisor;   /* of a sum */
  int32_t largest; /* the maximum; else the sum */
  int32_t rows;    /* the last group is reduced; else it is kept */
} kernel_reduce;

/* Sets `chunks` so that the device is busy, and returns the bytes of workspace. */
KERNEL_API size_t kernel_reduce_plan(kernel_reduce *r);
/* x: as the struct says; y: [outputs], indices: i32 [outputs], of a maximum only, or NULL. */
KERNEL_API int kernel_reduce_forward(const kernel_reduce *r, const void *x, void *y, int32_t *indices, void *workspace,
                                     kernel_stream stream);

typedef struct kernel_spread {
  int64_t n;                        /* elements of dx */
  int64_t count;                    /* groups of dx, the innermost first */
  int64_t dims[KERNEL_MAX_RANK];    /* of each group */
  int64_t outputs[KERNEL_MAX_RANK]; /* its stride among the elements of dy; 0: it was reduced */
  int64_t members[KERNEL_MAX_RANK]; /* its stride among the elements that became one; 0: it was kept */
  kernel_type type;
  float factor; /* dx = dy * factor; 1 where there are indices */
} kernel_spread;

/* dy: [outputs]; indices: i32 [outputs], of a maximum, whose gradient goes to that element alone, else NULL; dx: [n]. */
KERNEL_API int kernel_reduce_backward(const kernel_spread *s, const void *dy, const int32_t *indices, void *dx,
                                      kernel_stream stream);

#endif
