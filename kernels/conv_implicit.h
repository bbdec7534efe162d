/* Convolution as a matrix product: on the CUDA cores, f32; on tensor cores, f32 rounded to tf32, bf16 and f16. Tensors have
 * less than 2^31 elements. */
#ifndef KERNEL_CONV_IMPLICIT_H
#define KERNEL_CONV_IMPLICIT_H

#include "conv.h"

/* X(place, rows, columns of a tile of the product), on both. */
#define KERNEL_CONV_TILES(X)                                                                                           \
  X(0, 128, 128)                                                                                                       \
  X(1, 64, 64)

/* Elements of the filter as the way from y to x wants it: a row for each channel of x and phase. */
KERNEL_API int64_t kernel_conv_packed_filter(const kernel_conv *c);
KERNEL_API int kernel_conv_pack_filter(const kernel_conv *c, const void *w, void *packed, kernel_stream stream);

/* y [N, K, y…] from x [N, C, x…] and w; or x from y and the packed filter. */
typedef int kernel_conv_way_fn(const kernel_conv *c, bool forward, int tile, const void *in, const void *filter,
                               const kernel_conv_after *after, void *out, kernel_stream stream);
KERNEL_API kernel_conv_way_fn kernel_conv_way_simt;
KERNEL_API kernel_conv_way_fn kernel_conv_way_mma;

/* w from x and y; part: f32 [parts, elements of w], where there is more than one. */
typedef int kernel_conv_weights_fn(const kernel_conv *c, int tile, const void *x, const void *y, void *w, int parts,
                                   float *part, kernel_stream stream);
KERNEL_API kernel_conv_weights_fn kernel_conv_weights_simt;
KERNEL_API kernel_conv_weights_fn kernel_conv_weights_mma;

#endif
