/* Arrays whose element type a kernel learns when it runs: for kernels that are bound by memory and take any mix of
 * types, each argument its own. The type is the same for all threads, so that asking for it costs next to nothing. */
#ifndef KERNEL_ARRAY_H
#define KERNEL_ARRAY_H

#include "cast.h"

typedef struct kernel_array {
  void *data; /* NULL: there is none */
  kernel_element type;
  int32_t zero; /* no padding: every byte of a kernel's argument is set */
} kernel_array;

#endif
