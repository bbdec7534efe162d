/* Convolution straight from its formula: any problem. */
#ifndef KERNEL_CONV_DIRECT_H
#define KERNEL_CONV_DIRECT_H

#include "conv.h"

/* y [N, K, y…] from x [N, C, x…] and w. */
KERNEL_API int kernel_conv_direct_forward(const kernel_conv *c, const void *x, const void *w,
                                          const kernel_conv_after *after, void *y, kernel_stream stream);
/* x [N, C, x…] from y [N, K, y…] and w. */
KERNEL_API int kernel_conv_direct_data(const kernel_conv *c, const void *y, const void *w,
                                       const kernel_conv_after *after, void *x, kernel_stream stream);
/* Into how many parts the sum over images and positions is split, on a device of so many multiprocessors. */
KERNEL_API int kernel_conv_direct_weights_parts(const kernel_conv *c, int multiprocessors);
/* w from x and y; part: f32 [parts, elements of w], where there is more than one. */
KERNEL_API int kernel_conv_direct_weights(const kernel_conv *c, const void *x, const void *y, void *w, int parts,
                                          float *part, kernel_stream stream);

typedef struct kernel_channel_sum {
  kernel_type type;
  int64_t N, C, area; /* N*area is less than 2^31 */
} kernel_channel_sum;

KERNEL_API int kernel_channel_sum_parts(const kernel_channel_sum *s, int multiprocessors);
/* sum [C] of x [N, C, area]; part: f32 [parts, C], where there is more than one. */
KERNEL_API int kernel_channel_sum_of(const kernel_channel_sum *s, const void *x, void *sum, int parts, float *part,
                                     kernel_stream stream);

#endif
