/* Convolution with filters of 3 x 3 by Winograd's F(2x2, 3x3): tiles of 4 x 4 inputs and 2 x 2 outputs, 16 products for
 * 36. The products are matrix products, one for each of the 16 places of a tile (gemm.h). */
#ifndef KERNEL_CONV_WINOGRAD_H
#define KERNEL_CONV_WINOGRAD_H

#include "conv.h"

enum { KERNEL_WINOGRAD_PLACES = 16 };

/* One way: f32, one group, filters of 3 x 3 on axes 1 and 2, stride and dilation 1. */
typedef struct kernel_winograd {
  int64_t N, C, M;       /* images; channels in, out */
  int32_t in[2], out[2]; /* planes */
  int32_t before[2];     /* zeros before the input; fewer than 0: inputs that are left out */
  int32_t w_m, w_c;      /* from a channel out, in of the filter to the next */
  int32_t turned;        /* 1: tap r has the weight 2 - r, on both axes */
  int32_t tiles[2];      /* of a plane */
  int64_t columns, row;  /* tiles of all images, and that in whole vectors */
} kernel_winograd;

/* u: [16, M, C] from the filter w. */
KERNEL_API int kernel_winograd_filter(const kernel_winograd *s, const void *w, float *u, kernel_stream stream);
/* v: [16, C, row] from in [N, C, in…]. */
KERNEL_API int kernel_winograd_input(const kernel_winograd *s, const void *in, float *v, kernel_stream stream);
/* out [N, M, out…] from the products [16, M, row]. */
KERNEL_API int kernel_winograd_output(const kernel_winograd *s, const float *products, const kernel_conv_after *after,
                                      void *out, kernel_stream stream);

#endif
