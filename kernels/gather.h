/* Gather and embedding, as lamina/gather.h says: slices of x that indices name, and their gradient. */
#ifndef KERNEL_GATHER_H
#define KERNEL_GATHER_H

#include "launch.h"

typedef struct kernel_gather {
  kernel_type type;
  int index_size;  /* bytes of an index: 8 and 4 are signed, 1 is not */
  int64_t outer;   /* slices' axes before the one that is indexed */
  int64_t size;    /* of the indexed axis, up to 2^31 - 1 */
  int64_t inner;   /* axes behind it */
  int64_t count;   /* indices */
  int64_t padding; /* this one has no gradient; below 0: none is so */
} kernel_gather;

/* x: [outer, size, inner], indices: [count], y: [outer, count, inner], of up to 2^31 - 1 elements. An index that names
 * nothing gives NaN. */
KERNEL_API int kernel_gather_forward(const kernel_gather *g, const void *x, const void *indices, void *y,
                                     kernel_stream stream);
/* dy: as y, dx: as x; the workspace is on 64 bytes. What one slice of dx gets is added up in a fixed order. */
KERNEL_API int kernel_gather_backward(const kernel_gather *g, const void *indices, const void *dy, void *dx,
                                      void *workspace, kernel_stream stream);
/* Bytes of workspace of kernel_gather_backward. */
KERNEL_API size_t kernel_gather_workspace(const kernel_gather *g);

#endif
