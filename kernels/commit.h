/* Taking over new values, unless something went wrong: y = gate is finite ? x : y. */
#ifndef KERNEL_COMMIT_H
#define KERNEL_COMMIT_H

#include "launch.h"

/* x, y: `bytes` bytes, which don't overlap; gate: [1]. */
KERNEL_API int kernel_commit(kernel_type gate_type, int64_t bytes, const void *x, const void *gate, void *y,
                             kernel_stream stream);

#endif
