/* What the kernels of class scores share: dense scores [N, C, spatial…] and labels [N, spatial…]. Any tensor is such
 * scores along one of its axes. */
#ifndef KERNEL_CLASSES_H
#define KERNEL_CLASSES_H

#include "array.h"

/* C classes, S positions behind the class axis, M = N S examples. */
typedef struct kernel_classes {
  int64_t C, S, M;
} kernel_classes;

#endif
