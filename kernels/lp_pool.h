/* Lp pooling, as lamina/lp_pool.h says. The windows and sizes are those of kernels/pool.h. */
#ifndef KERNEL_LP_POOL_H
#define KERNEL_LP_POOL_H

#include "pool.h"

/* power: the p of the norm, at least 1. x, dx as x there; y, dy as y. */
KERNEL_API int kernel_lp_pool_forward(const kernel_pool *p, float power, const void *x, void *y, kernel_stream stream);
KERNEL_API int kernel_lp_pool_backward(const kernel_pool *p, float power, const void *x, const void *y, const void *dy,
                                       void *dx, kernel_stream stream);

#endif
