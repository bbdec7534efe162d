/* Convolution of few channels: the first layer of a net that sees pictures. Forward only. */
#ifndef KERNEL_CONV_FEW_CHANNELS_H
#define KERNEL_CONV_FEW_CHANNELS_H

#include "conv.h"

/* Positions of a block, and filters: twice as many where there are more than these. */
enum { KERNEL_FEW_ROWS = 8, KERNEL_FEW_COLUMNS = 32, KERNEL_FEW_FILTERS = 8 };

/* Bytes of shared memory that a block needs, of which it may have up to a device's limit. */
KERNEL_API size_t kernel_conv_few_channels_shared(const kernel_conv *c);
/* y [N, K, y…] from x [N, C, x…] and w [K, C, w…]; axis 0 has size 1 in x, w and y, and there is one group. */
KERNEL_API int kernel_conv_few_channels(const kernel_conv *c, const void *x, const void *w,
                                        const kernel_conv_after *after, void *y, kernel_stream stream);

#endif
