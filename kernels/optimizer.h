/* SGD and Adam, as lamina/optimizer.h says: one step over all parameters, in place. */
#ifndef KERNEL_OPTIMIZER_H
#define KERNEL_OPTIMIZER_H

#include "array.h"

/* The weight decay of each parameter. */
typedef struct kernel_segments {
  const int64_t
      *ends; /* [count], increasing: the first segment that ends behind a parameter is its; NULL: one for all */
  kernel_array decay; /* [count], or [1], of any floating type; none: no decay */
  int64_t count;
} kernel_segments;

typedef struct kernel_sgd {
  kernel_segments segments;
  kernel_array w, g, m; /* [n]; m may be none without momentum */
  kernel_array rate;    /* [1], of any floating type */
  kernel_array gate;    /* likewise, or none: where it isn't finite, nothing is updated */
  kernel_array shadow;  /* [n], or none: w, rounded to its type, whatever the gate */
  int64_t n;
  float momentum;
  int32_t nesterov;
} kernel_sgd;

typedef struct kernel_adam {
  kernel_segments segments;
  kernel_array w, g, m, v; /* [n] */
  kernel_array rate;       /* [1], of any floating type */
  kernel_array gate;       /* likewise, or none: where it isn't finite, nothing is updated */
  kernel_array shadow;     /* [n], or none: w, rounded to its type, whatever the gate */
  const int64_t *step;     /* [1] */
  int64_t n;
  float beta1, rest1, log1; /* beta1, 1 - beta1, log(beta1) */
  float beta2, rest2, log2;
  float epsilon;
  int32_t decoupled;
} kernel_adam;

KERNEL_API int kernel_sgd_update(const kernel_sgd *sgd, kernel_stream stream);
KERNEL_API int kernel_adam_update(const kernel_adam *adam, kernel_stream stream);

#endif
