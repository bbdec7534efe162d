/* The kernel of direct convolution (direct_conv.c), on raw pointers. It knows nothing of Lamina.
 *
 *   y [blocks][columns][16] = sum over channels, taps of x [channel][tap's offset + column] * w [block][channel][tap][16]
 *
 * Channels out are in the lanes, 16 to a block. Columns lie side by side in x, whatever the stride is: who calls has
 * sorted them (direct_conv.c). Sums stay in registers; what doesn't fit a call goes on from y in the next one. */
#ifndef LAMINA_CPU_DIRECT_KERNEL_H
#define LAMINA_CPU_DIRECT_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus /* for tests */
extern "C" {
#endif

enum { LAMINA_DIRECT_BLOCK = 16 };

typedef struct lamina_direct_tile {
  int64_t channels, taps;
  const int32_t *tap;         /* where each of them sees x, */
  int64_t at;                 /* from here on */
  int64_t x_channel;          /* from one channel of x to the next */
  int64_t w_channel, w_block; /* elements of w from one channel, one block to the next */
  int64_t y_block;
  const float *b; /* [blocks][16], what sums begin with; NULL: with what y holds */
  bool relu;
  int lines;         /* lines of memory that are asked for with each channel, since they will be read soon */
  const char *ahead; /* where they lie */
} lamina_direct_tile;

typedef struct lamina_direct_kernel {
  const char *name;    /* "avx512", as that of the kernel with lanes that goes with it */
  int blocks, columns; /* of a tile, at most */
  double share; /* of what multiply-adds can be where its vectors are the widest, in whole tiles, for estimates */
  void (*tile)(int blocks, int columns, const lamina_direct_tile *tile, const float *x, const float *w, float *y);
  /* The same with bf16 weights. */
  void (*tile_bf16)(int blocks, int columns, const lamina_direct_tile *tile, const float *x, const uint16_t *w,
                    float *y);
} lamina_direct_kernel;

/* Those that this machine runs, the best one first; NULL past the last. */
const lamina_direct_kernel *lamina_direct_kernel_at(int index);

#ifdef __cplusplus
}
#endif

#endif
