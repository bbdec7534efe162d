/* Spectral pooling, as lamina/spectral_pool.h says, along each of up to three axes.
 * from: [planes, in[0], in[1], in[2]]; to: [planes, out[0], out[1], out[2]]. Fewer axes: sizes of 1 in front. */
#ifndef KERNEL_SPECTRAL_POOL_H
#define KERNEL_SPECTRAL_POOL_H

#include "launch.h"

/* Each tensor has up to 2^31 - 1 elements, each axis up to 2^20. */
typedef struct kernel_spectral_pool {
  kernel_type type;
  int planes;
  int in[3], out[3];
  bool backward; /* from dy, which is smaller, to dx: the same map turned round */
} kernel_spectral_pool;

KERNEL_API int kernel_spectral_pool_run(const kernel_spectral_pool *p, const void *from, void *to, void *workspace,
                                        kernel_stream stream);
/* Bytes of workspace that it takes. */
KERNEL_API size_t kernel_spectral_pool_workspace(const kernel_spectral_pool *p);

#endif
