/* Casts between the types of elements, as lamina/cast.h says: to floating types rounded to nearest even, to integers
 * rounded likewise and held in their range; NaN becomes 0. */
#ifndef KERNEL_CAST_H
#define KERNEL_CAST_H

#include "launch.h"

/* X(name): every type of an element. */
#define KERNEL_ELEMENTS(X)                                                                                             \
  X(F64)                                                                                                               \
  X(F32)                                                                                                               \
  X(F16)                                                                                                               \
  X(BF16)                                                                                                              \
  X(I64)                                                                                                               \
  X(I32)                                                                                                               \
  X(U8)

typedef enum kernel_element {
#define X(name) KERNEL_ELEMENT_##name,
  KERNEL_ELEMENTS(X)
#undef X
} kernel_element;

typedef struct kernel_cast {
  kernel_element from, to;
  int64_t n; /* elements */
} kernel_cast;

/* x, y: [n]. */
KERNEL_API int kernel_cast_run(const kernel_cast *c, const void *x, void *y, kernel_stream stream);

/* The element that `value` becomes, as the first bytes of the result; on the host. */
KERNEL_API uint64_t kernel_element_of(kernel_element type, double value);

#endif
