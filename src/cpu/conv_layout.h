/* What our engines of convolution forward with channels out in the lanes share: where their tensors may lie, how weights
 * come into blocks of 16 channels out, and how rows of such blocks leave. */
#ifndef LAMINA_CPU_CONV_LAYOUT_H
#define LAMINA_CPU_CONV_LAYOUT_H

#include "core/blocks.h"
#include "cpu/lanes_kernel.h"
#include "cpu/loop_conv.h"

enum { LAMINA_CONV_BLOCK = 16 };
enum { LAMINA_CONV_X, LAMINA_CONV_W, LAMINA_CONV_B, LAMINA_CONV_Y }; /* places in the rows */

/* Puts layouts in place of those left open: blocks of channels where there are whole ones; weights in blocks of channels
 * out; else row-major. */
void lamina_conv_settle(lamina_problem *problem);
/* Why a settled problem's layouts can't be taken; NULL: they can. */
const char *lamina_conv_layouts_refusal(const lamina_problem *problem);

/* Where a tensor's elements lie: steps over images, channels, rows and columns; over blocks of channels and inside. */
typedef struct lamina_conv_side {
  int64_t image, block, inner, row, column, size; /* size: channels of a block */
  bool bf16;
} lamina_conv_side;

lamina_conv_side lamina_conv_side_of(const lamina_desc *desc);
static inline int64_t lamina_conv_channel_at(const lamina_conv_side *s, int64_t c) {
  return c / s->size * s->block + c % s->size * s->inner;
}

/* n elements of bf16 from number `at` on. */
void lamina_conv_widen(int64_t n, const void *x, int64_t at, float *to);
/* Rows i … i + n - 1 of block `block` of strided w [K][C * taps], to [K/16][C * taps][16] in f32; lanes without a channel
 * become 0. */
void lamina_conv_pack(const lamina_desc *desc, const lamina_lanes_kernel *lanes, const void *w, int64_t block,
                      int64_t i, int64_t n, float *to);
/* `from` [columns][16], of which the first `channels` are there, to columns j … of row h of channels k … of image n. */
void lamina_conv_leave(const lamina_conv_side *side, const lamina_lanes_kernel *lanes, const float *from, int64_t n,
                       int64_t k, int64_t channels, int64_t h, int64_t j, int64_t columns, void *y);

#endif
