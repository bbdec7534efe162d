/* Norms and clipping, as lamina/clip.h says. */
#ifndef KERNEL_CLIP_H
#define KERNEL_CLIP_H

#include "array.h"

/* Blocks that leave their share of a norm behind, and the bytes of workspace that they do it in. */
enum { KERNEL_NORM2_BLOCKS = 1024, KERNEL_NORM2_WORKSPACE = 8 * KERNEL_NORM2_BLOCKS };

typedef struct kernel_clip {
  kernel_array x, y; /* [n], may be the same */
  kernel_array norm; /* [1]; of kernel_clip_norm only, as is the next */
  kernel_array gate; /* [1], or none: where it isn't finite, y = x */
  int64_t n;
  double most;
} kernel_clip;

/* x: [n]; y: [1]. */
KERNEL_API int kernel_norm2(int64_t n, kernel_array x, kernel_array y, void *workspace, kernel_stream stream);
KERNEL_API int kernel_clip_norm(const kernel_clip *clip, kernel_stream stream);
KERNEL_API int kernel_clip_value(const kernel_clip *clip, kernel_stream stream);

#endif
