/* Locally connected layers, as lamina/local_conv.h says: every output position has filters and biases of its own. */
#ifndef KERNEL_LOCAL_CONV_H
#define KERNEL_LOCAL_CONV_H

#include "conv.h"

/* y [N, K, y…] from x [N, C, x…], w [y…, K, C/groups, w…] and b [K, y…], which may be NULL. c->flip is false. */
KERNEL_API int kernel_local_conv_forward(const kernel_conv *c, const void *x, const void *w, const void *b, void *y,
                                         kernel_stream stream);
KERNEL_API int kernel_local_conv_data(const kernel_conv *c, const void *dy, const void *w, void *dx,
                                      kernel_stream stream);
KERNEL_API int kernel_local_conv_weights(const kernel_conv *c, const void *x, const void *dy, void *dw,
                                         kernel_stream stream);

/* sum [n] of x [N, n], over N. */
KERNEL_API int kernel_local_conv_bias(kernel_type type, int64_t N, int64_t n, const void *x, void *sum,
                                      kernel_stream stream);

#endif
