/* What the loops of convolution and its relatives share: one description of a problem, whatever family it comes from.
 *
 * `x` is the side that filters slide over, [N, C, x…], `y` the other one, [N, K, y…], and
 *   y[n,k,o] = sum over c, r of x[n, c, o*stride - pad + r*dilation] * w[k, c, r]
 * links them: the forward pass goes from x to y, the data's gradient from y to x, the filter's takes both. A transposed
 * convolution's x is our y; a fully connected layer has one position. 1-D and 2-D problems are 3-D ones with axes of
 * size 1 in front. */
#ifndef LAMINA_CPU_LOOP_CONV_H
#define LAMINA_CPU_LOOP_CONV_H

#include "cpu/loop.h"
#include "lamina/conv.h"

/* Where the tensors of a row are, and what it asks for: an engine row's `user`. */
typedef struct lamina_loop_conv_row {
  int x, w, b, y; /* b: -1 for none */
  bool relu;      /* the output is held above 0 */
  int gate;       /* what lets the output through where it is above 0, of the output's shape; 0, the input: none */
  /* The attributes as a convolution's. NULL: they are one. */
  void (*attributes)(const lamina_problem *problem, lamina_conv *conv);
} lamina_loop_conv_row;

typedef struct lamina_loop_conv {
  int64_t N, C, K, groups;
  int64_t x[3], w[3], y[3], stride[3], dilation[3], pad[3];
  int64_t x_area, w_area, y_area;
  bool flip;
  bool same; /* each position of y sees the one of x with its number, and no other: all axes are made one then */
} lamina_loop_conv;

/* The attributes of a transposed convolution as those of the convolution that it turns around; of a fully connected
 * layer, none. */
void lamina_loop_conv_transposed(const lamina_problem *problem, lamina_conv *conv);
void lamina_loop_conv_fc(const lamina_problem *problem, lamina_conv *conv);

lamina_loop_conv lamina_loop_conv_of(const lamina_problem *problem, const lamina_loop_conv_row *row);

/* Refuses other types than f32 and bf16, in any mix. */
bool lamina_loop_conv_takes(const lamina_problem *problem, lamina_candidate_fn *each, void *context);

/* Is it depthwise: every group with one channel of x? Then there is a loop of its own for it. */
static inline bool lamina_loop_conv_is_depthwise(const lamina_loop_conv *s) {
  return s->groups > 1 && s->groups == s->C;
}

/* A sum on its way out. */
LAMINA_INLINE float lamina_loop_held(float v, bool relu) { return relu && v <= 0 ? 0 : v; } /* NaN passes */

/* The part [lo, hi) of n places, `first` and every `step` from there on, that lies in 0 … size - 1. */
LAMINA_INLINE void lamina_loop_inside(int64_t first, int64_t step, int64_t n, int64_t size, int64_t *lo, int64_t *hi) {
  *lo = first >= 0 ? 0 : step == 1 ? -first : (step - 1 - first) / step;
  *hi = first >= size ? 0 : step == 1 ? size - first : (size - 1 - first) / step + 1;
  if (*lo > n) *lo = n;
  if (*hi > n) *hi = n;
  if (*hi < *lo) *hi = *lo;
}

/* The way from x to y (forward), or from y to x (the data's gradient), of both the same thing: for each position a sum
 * over taps of the input.
 *
 *   out[n, m, first + i*every] = b[m] + sum over c, taps of in[n, c, i*step + tap.offset] * w[m, c, tap.r]
 *
 *                  step     every   positions by phases                   taps
 *   forward        stride   1       one phase, all                        offset = r*dilation - pad
 *   data           1        stride  a phase for each first = 0 … stride-1 those r with first + pad - r*dilation divisible
 *                                                                         by the stride; the quotient is the offset
 *
 * So a stride costs the gradient nothing: each tap belongs to one phase of each axis. */
typedef struct lamina_loop_tap {
  int64_t r, offset;
} lamina_loop_tap;

typedef struct lamina_loop_phase {
  int64_t first, count, taps;
  const lamina_loop_tap *tap;
} lamina_loop_phase;

typedef struct lamina_loop_axis {
  int64_t in, out, step, every, phases;
  lamina_loop_phase *phase;
} lamina_loop_axis;

int64_t lamina_loop_phases(const lamina_loop_conv *c, int axis, bool forward);
/* The three axes; `memory` is for their tables. */
size_t lamina_loop_axes_size(const lamina_loop_conv *c, bool forward);
void lamina_loop_axes_open(lamina_loop_axis axis[3], const lamina_loop_conv *c, bool forward, void *memory);

/* n elements side by side as f32; and n zeros. There are few as a rule, too few for a call of memcpy. */
LAMINA_INLINE void lamina_loop_copy(float *restrict to, const void *restrict from, int64_t i, int64_t n, bool bf16) {
  int64_t j = 0;
  for (; j + 16 <= n; j += 16)
    for (int64_t lane = 0; lane < 16; lane++) to[j + lane] = lamina_loop_get(from, i + j + lane, bf16);
  if (n & 8) {
    for (int64_t lane = 0; lane < 8; lane++) to[j + lane] = lamina_loop_get(from, i + j + lane, bf16);
    j += 8;
  }
  if (n & 4) {
    for (int64_t lane = 0; lane < 4; lane++) to[j + lane] = lamina_loop_get(from, i + j + lane, bf16);
    j += 4;
  }
  if (n & 2) to[j] = lamina_loop_get(from, i + j, bf16), to[j + 1] = lamina_loop_get(from, i + j + 1, bf16), j += 2;
  if (n & 1) to[j] = lamina_loop_get(from, i + j, bf16);
}
LAMINA_INLINE void lamina_loop_zero(float *to, int64_t n) {
  int64_t j = 0;
  for (; j + 4 <= n; j += 4) to[j] = to[j + 1] = to[j + 2] = to[j + 3] = 0;
  if (n & 2) to[j] = to[j + 1] = 0, j += 2;
  if (n & 1) to[j] = 0;
}

#endif
