/* What the pools share: places of arguments, windows, and what the references of those with windows are made of. */
#ifndef LAMINA_OPS_POOL_H
#define LAMINA_OPS_POOL_H

#include "core/problem.h"
#include "lamina/pool.h"

enum { LAMINA_MAX_POOL_FORWARD_X, LAMINA_MAX_POOL_FORWARD_Y, LAMINA_MAX_POOL_FORWARD_INDICES };
enum { LAMINA_MAX_POOL_BACKWARD_DY, LAMINA_MAX_POOL_BACKWARD_INDICES, LAMINA_MAX_POOL_BACKWARD_DX };
enum { LAMINA_GATED_POOL_Y, LAMINA_GATED_POOL_DY, LAMINA_GATED_POOL_INDICES, LAMINA_GATED_POOL_DX };
enum { LAMINA_AVG_POOL_FORWARD_X, LAMINA_AVG_POOL_FORWARD_Y };
enum { LAMINA_AVG_POOL_BACKWARD_DY, LAMINA_AVG_POOL_BACKWARD_DX };

/* ---- For rows whose descriptor begins with a lamina_pool -------------------------------------------------------- */

#define LAMINA_POOL_ATTRS                                                                                              \
  {.name = "kernel", .type = LAMINA_ATTR_AXES, .offset = offsetof(lamina_pool, kernel), .most = 0x1p31},               \
      {.name = "pad", .type = LAMINA_ATTR_PADS, .offset = offsetof(lamina_pool, pad), .most = 0x1p31},                 \
      {.name = "stride", .type = LAMINA_ATTR_AXES, .offset = offsetof(lamina_pool, stride), .most = 0x1p31},           \
      {.name = "ceil_mode", .type = LAMINA_ATTR_BOOL, .offset = offsetof(lamina_pool, ceil_mode)}, {                   \
    .name = "global", .type = LAMINA_ATTR_BOOL, .offset = offsetof(lamina_pool, global)                                \
  }
#define LAMINA_POOL_COUNT_PAD                                                                                          \
  { .name = "count_pad", .type = LAMINA_ATTR_BOOL, .offset = offsetof(lamina_pool, count_pad) }

/* Normalises the windows for argument x [N, C, spatial…] and gives the dims of y. What the row has no attribute for is
 * forgotten (count_pad) or refused (dilation). */
lamina_status lamina_pool_output_dims(lamina_problem *p, int x, int64_t *y);
/* Indices (absent: fine) are i32, and argument `x` has planes that they can name. */
lamina_status lamina_pool_check_indices(const lamina_problem *p, int x, int indices);
/* Draws windows and the shape of argument 0. */
void lamina_pool_sample(lamina_problem *p, lamina_draw *draw, lamina_pool *pool);
/* An operation for each element of each window of argument y. */
double lamina_pool_flops(const lamina_problem *p, int y);
/* Indices in the planes of argument `x`, for a test. */
lamina_fill_def lamina_pool_fill_indices(const lamina_problem *p, int x);
/* Does every window count the same power of two? Averages of integers are exact then, in any order. */
bool lamina_pool_counts_a_power_of_two(const lamina_problem *p, int x, int y);

/* How many elements window `o` of an axis counts in an average; `size` is the input's. */
int64_t lamina_pool_count(const lamina_pool *pool, int axis, int64_t size, int64_t o);

/* ---- For references --------------------------------------------------------------------------------------------- */

/* One- and two-dimensional problems are three-dimensional ones with axes of size 1 in front. */
typedef struct lamina_pool_sizes {
  int64_t x[3], y[3], x_plane, y_plane;
  lamina_pool pool; /* its axes moved to the back */
} lamina_pool_sizes;

lamina_pool_sizes lamina_pool_sizes_of(const lamina_reference *ref, int x, int y);
/* Splits a flat index of a plane into one index for each axis. */
void lamina_pool_split(int64_t index, const int64_t size[3], int64_t at[3]);
/* The part of window `o` that lies inside the input; its elements are a dilation apart. */
void lamina_pool_window(const lamina_pool_sizes *s, const int64_t o[3], int64_t first[3], int64_t end[3]);
/* The windows without dilation that cover position `i` of an axis. */
void lamina_pool_windows_over(const lamina_pool_sizes *s, int axis, int64_t i, int64_t *first, int64_t *end);
/* How many elements window `o` counts in an average. */
double lamina_pool_count_of(const lamina_pool_sizes *s, const int64_t o[3]);
/* Where in its plane at x the maximum of window `o` lies (sign 1), or the minimum (sign -1). */
int64_t lamina_pool_extreme(const lamina_pool_sizes *s, const double *x, const int64_t o[3], double sign);

/* Runs body(i) for each flat index i of the part of a window that lies inside the input, in row-major order. */
#define LAMINA_POOL_EACH(s, first, end, i)                                                                             \
  for (int64_t d_ = (first)[0]; d_ < (end)[0]; d_ += (s)->pool.dilation[0])                                            \
    for (int64_t h_ = (first)[1]; h_ < (end)[1]; h_ += (s)->pool.dilation[1])                                          \
      for (int64_t i = (d_ * (s)->x[1] + h_) * (s)->x[2] + (first)[2],                                                 \
                   end_ = (d_ * (s)->x[1] + h_) * (s)->x[2] + (end)[2];                                                \
           i < end_; i += (s)->pool.dilation[2])

/* The reference of every pass dy, indices → dx. */
int64_t lamina_pool_scatter_scratch(const lamina_problem *p);
lamina_status lamina_pool_scatter_prepare(const lamina_reference *ref);
void lamina_pool_scatter_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);

/* The same of relu_max_pool/backward. */
int64_t lamina_pool_gated_scratch(const lamina_problem *p);
lamina_status lamina_pool_gated_prepare(const lamina_reference *ref);

void lamina_max_pool_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_min_pool_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_relu_max_pool_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_avg_pool_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_avg_pool_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);

#endif
