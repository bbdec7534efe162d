/* Convolution where a group has few channels on both sides: nothing to be shared between channels. */
#ifndef KERNEL_CONV_DEPTHWISE_H
#define KERNEL_CONV_DEPTHWISE_H

#include "conv.h"

/* As kernel_conv_direct_forward and kernel_conv_direct_data. */
KERNEL_API int kernel_conv_depthwise_forward(const kernel_conv *c, const void *x, const void *w,
                                             const kernel_conv_after *after, void *y, kernel_stream stream);
KERNEL_API int kernel_conv_depthwise_data(const kernel_conv *c, const void *y, const void *w,
                                          const kernel_conv_after *after, void *x, kernel_stream stream);

#endif
