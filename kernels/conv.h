/* Convolution: one description of a problem for all its kernels, whatever family it comes from.
 *
 * `x` is the side that filters slide over, [N, C, x…], `y` the other one, [N, K, y…], w [K, C/groups, w…], and
 *   y[n,k,o] = sum over c, r of x[n, g*C' + c, o*stride - pad + r*dilation] * w[k, c, r]
 * links them: the forward pass goes from x to y, the data's gradient from y to x, the filter's takes both. A transposed
 * convolution is the one that it turns around: its x is our y. 1-D and 2-D problems are 3-D ones with axes of size 1 in
 * front. */
#ifndef KERNEL_CONV_H
#define KERNEL_CONV_H

#include "launch.h"

typedef struct kernel_conv {
  int64_t N, C, K, groups;
  /* Less than 2^31 are: w's elements; N times a plane; (y - 1)*stride + (w - 1)*dilation + pad + x on every axis. */
  int32_t x[3], w[3], y[3], stride[3], dilation[3], pad[3];
  int32_t flip; /* 1: tap r has the weight w - 1 - r, on every axis; else 0 */
  kernel_type type;
} kernel_conv;

/* What follows a sum on its way out: the bias is added, relu holds it above 0, and it is 0 where the gate isn't above 0.
 * The output may lie on the gate. */
typedef struct kernel_conv_after {
  const void *bias; /* [channels out]; NULL: none */
  const void *gate; /* of the output's shape; NULL: none */
  int64_t relu;     /* 0 or 1 */
} kernel_conv_after;

static inline int64_t kernel_conv_area(const int32_t size[3]) { return (int64_t)size[0] * size[1] * size[2]; }

#endif
