/* Dropout, as lamina/dropout.h says: y = x / (1 - p) where it is kept, else 0. Both passes are the same function. */
#ifndef KERNEL_DROPOUT_H
#define KERNEL_DROPOUT_H

#include "launch.h"

typedef struct kernel_dropout {
  kernel_type type;
  uint32_t stream;
  uint32_t threshold; /* an element is dropped whose upper 24 bits are below it */
  float scale;        /* of those that are kept */
  int64_t n;          /* elements */
  int64_t area;       /* elements that share a draw */
} kernel_dropout;

/* x, y: [n]; y may be x. rng: [2]: seed, step. */
KERNEL_API int kernel_dropout_run(const kernel_dropout *d, const void *x, const int64_t *rng, void *y,
                                  kernel_stream stream);

#endif
