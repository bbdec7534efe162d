/* Stochastic pooling, as lamina/stochastic_pool.h says; its backward pass is kernel_pool_scatter. The windows and sizes are
 * those of kernels/pool.h. */
#ifndef KERNEL_STOCHASTIC_POOL_H
#define KERNEL_STOCHASTIC_POOL_H

#include "pool.h"

/* random_stream: which of the seed's; rng: seed and step, in device memory. indices may be NULL. */
KERNEL_API int kernel_stochastic_pool_forward(const kernel_pool *p, uint32_t random_stream, const void *x,
                                              const int64_t *rng, void *y, int32_t *indices, kernel_stream stream);
KERNEL_API int kernel_stochastic_pool_inference(const kernel_pool *p, const void *x, void *y, kernel_stream stream);

#endif
