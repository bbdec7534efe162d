/* Arithmetic on whole tensors, as lamina/arithmetic.h and lamina/prelu.h say: sums, products and PReLU, whose second
 * argument may repeat, and multiples. */
#ifndef KERNEL_ARITHMETIC_H
#define KERNEL_ARITHMETIC_H

#include "launch.h"

/* y = f(a, b), or f(a, c, b), element by element; and db, the sum over all elements that one of b meets. */
typedef enum kernel_function {
  KERNEL_ADD,           /* a + b           db = sum a */
  KERNEL_MULTIPLY,      /* a * b           db = sum c * a */
  KERNEL_PRELU,         /* a > 0 ? a : a * b */
  KERNEL_PRELU_GRADIENT /* c > 0 ? a : a * b           db = sum c > 0 ? 0 : c * a */
} kernel_function;

/* a, c and y are dense tensors of this shape (or lie in memory in one order where b has one element, or as many); b
 * lacks the axes along which it repeats. */
typedef struct kernel_binary {
  kernel_function function;
  kernel_type type;
  int rank;
  bool aligned; /* for sums: are all addresses multiples of 16 bytes, each time? */
  int64_t dims[KERNEL_MAX_RANK];
  bool repeats[KERNEL_MAX_RANK];
} kernel_binary;

/* y may be a or c. c is NULL where f has no c. Up to 2^31 - 1 elements, unless b has one or as many. */
KERNEL_API int kernel_binary_run(const kernel_binary *s, const void *a, const void *c, const void *b, void *y,
                                 kernel_stream stream);
/* db: as b. */
KERNEL_API int kernel_binary_collect(const kernel_binary *s, const void *a, const void *c, void *db, void *workspace,
                                     kernel_stream stream);
/* Bytes of workspace of kernel_binary_collect. */
KERNEL_API size_t kernel_binary_workspace(const kernel_binary *s);

typedef struct kernel_scale {
  kernel_type type;
  int64_t n; /* elements */
  float factor;
} kernel_scale;

/* x, y: [n]; y = factor * x; y may be x. */
KERNEL_API int kernel_scale_run(const kernel_scale *s, const void *x, void *y, kernel_stream stream);

#endif
