/* Max, min and average pooling, and max pooling behind a ReLU: rows, validation, shapes and the typed calls. The
 * references are in pool_ref.c. */
#include "ops/pool.h"

#include "core/draw.h"
#include "core/plan.h"

static const lamina_attr_def extreme_attrs[] = {LAMINA_POOL_ATTRS,
                                                {.name = "dilation",
                                                 .type = LAMINA_ATTR_AXES,
                                                 .offset = offsetof(lamina_pool, dilation),
                                                 .preset = 1,
                                                 .least = 1,
                                                 .most = 0x1p31},
                                                {0}};
static const lamina_attr_def avg_attrs[] = {LAMINA_POOL_ATTRS, LAMINA_POOL_COUNT_PAD, {0}};

static const lamina_arg_def max_pool_forward_args[] = {{"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                                       {"y", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                                       {"indices", LAMINA_SAVED, true, LAMINA_INTEGER, NULL},
                                                       {0}};
static const lamina_arg_def max_pool_backward_args[] = {{"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                                        {"indices", LAMINA_IN, false, LAMINA_INTEGER, NULL},
                                                        {"dx", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                                        {0}};
static const lamina_arg_def relu_max_pool_backward_args[] = {{"y", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                                             {"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                                             {"indices", LAMINA_IN, false, LAMINA_INTEGER, NULL},
                                                             {"dx", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                                             {0}};
static const lamina_arg_def avg_pool_forward_args[] = {
    {"x", LAMINA_IN, false, LAMINA_FLOATING, NULL}, {"y", LAMINA_OUT, false, LAMINA_FLOATING, NULL}, {0}};
static const lamina_arg_def avg_pool_backward_args[] = {
    {"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL}, {"dx", LAMINA_OUT, false, LAMINA_FLOATING, NULL}, {0}};

LAMINA_CHECK_ARGS(max_pool_forward, max_pool_forward_args);
LAMINA_CHECK_ARGS(max_pool_backward, max_pool_backward_args);
LAMINA_CHECK_ARGS(min_pool_forward, max_pool_forward_args);
LAMINA_CHECK_ARGS(min_pool_backward, max_pool_backward_args);
LAMINA_CHECK_ARGS(relu_max_pool_forward, max_pool_forward_args);
LAMINA_CHECK_ARGS(relu_max_pool_backward, relu_max_pool_backward_args);
LAMINA_CHECK_ARGS(avg_pool_forward, avg_pool_forward_args);
LAMINA_CHECK_ARGS(avg_pool_backward, avg_pool_backward_args);

/* ---- Shapes ----------------------------------------------------------------------------------------------------- */

/* A global pool becomes the window that it means, so that equal problems are equal bytes. */
static lamina_status expand_global(lamina_problem *p, lamina_pool *pool, const int64_t *size, int axes) {
  for (int a = 0; a < 3; a++)
    if (pool->kernel[a] || pool->stride[a] || pool->pad[a][0] || pool->pad[a][1] || pool->dilation[a] > 1)
      return lamina_error(LAMINA_INVALID, "%s: a global pool takes no kernel, stride, pad or dilation",
                          lamina_op_at(p->op)->name);
  for (int a = 0; a < axes; a++) pool->kernel[a] = size[a];
  pool->global = 0;
  return LAMINA_OK;
}

/* Does every one of `count` windows meet the input? Those that start before it might step over it. */
static bool all_meet(const lamina_pool *pool, int a, int64_t size, int64_t count) {
  const int64_t dilation = pool->dilation[a];
  if (size >= dilation) return true;
  for (int64_t o = 0; o < count && o < dilation; o++) {
    const int64_t first = o * pool->stride[a] - pool->pad[a][0];
    if (first >= 0) break;
    if (first + (dilation - 1 - first) / dilation * dilation >= size) return false;
  }
  return true;
}

/* Checks one axis of the window and gives how many windows there are. */
static lamina_status windows(const lamina_problem *p, int x, lamina_pool *pool, int a, int64_t *count) {
  const char *op = lamina_op_at(p->op)->name;
  const int64_t size = p->arg[x].dims[2 + a], before = pool->pad[a][0];
  const int64_t extent = (pool->kernel[a] - 1) * pool->dilation[a] + 1;
  int64_t padded;
  if (!pool->kernel[a]) return lamina_error(LAMINA_INVALID, "%s: kernel is missing for spatial axis %d", op, a);
  if (!pool->stride[a]) pool->stride[a] = pool->kernel[a];
  for (int side = 0; side < 2; side++)
    if (pool->pad[a][side] >= extent)
      return lamina_error(LAMINA_INVALID,
                          "%s: pad is %lld %s spatial axis %d; expected less than the window's extent, which is %lld",
                          op, (long long)pool->pad[a][side], side ? "after" : "before", a, (long long)extent);
  if (size < 1) return lamina_problem_error(p, x, "expected at least 1 on every spatial axis");
  if (!lamina_sum(size, before + pool->pad[a][1], &padded))
    return lamina_problem_error(p, x, "its size overflows with padding");
  if (padded < extent)
    return lamina_problem_error(p, x, "with padding its spatial axis %d has %lld elements, but the window needs %lld",
                                a, (long long)padded, (long long)extent);
  int64_t steps = (padded - extent) / pool->stride[a];
  if (pool->ceil_mode && (padded - extent) % pool->stride[a] &&
      steps + 1 <= (padded - pool->pad[a][1] - 1) / pool->stride[a])
    steps++; /* the one more window starts inside the input or the padding before it */
  *count = steps + 1;
  if (!all_meet(pool, a, size, *count))
    return lamina_problem_error(p, x, "a dilation of %lld makes a window step over all of its spatial axis %d",
                                (long long)pool->dilation[a], a);
  return LAMINA_OK;
}

static bool has_attr(const lamina_problem *p, const char *name) {
  for (const lamina_attr_def *attr = lamina_op_at(p->op)->attrs; attr->name; attr++)
    if (strcmp(attr->name, name) == 0) return true;
  return false;
}

lamina_status lamina_pool_output_dims(lamina_problem *p, int x, int64_t *y) {
  const lamina_desc *in = &p->arg[x];
  lamina_pool pool;
  LAMINA_TRY(lamina_want_rank(p, x, 3, 5));
  const int axes = in->rank - 2;
  LAMINA_TRY(lamina_trim_axes(p, axes));
  memcpy(&pool, p->attr, sizeof pool);
  if (!has_attr(p, "count_pad")) pool.count_pad = 0;
  for (int a = 0; a < 3 && !has_attr(p, "dilation"); a++) {
    if (pool.dilation[a] != 0 && pool.dilation[a] != 1)
      return lamina_error(LAMINA_INVALID, "%s: dilation is %lld; this pool takes none", lamina_op_at(p->op)->name,
                          (long long)pool.dilation[a]);
    pool.dilation[a] = a < axes;
  }
  if (pool.global) LAMINA_TRY(expand_global(p, &pool, &in->dims[2], axes));
  y[0] = in->dims[0], y[1] = in->dims[1];
  for (int a = 0; a < axes; a++) LAMINA_TRY(windows(p, x, &pool, a, &y[2 + a]));
  memcpy(p->attr, &pool, sizeof pool);
  return LAMINA_OK;
}

lamina_status lamina_pool_check_indices(const lamina_problem *p, int x, int indices) {
  int64_t plane = 1;
  if (!lamina_present(&p->arg[indices])) return LAMINA_OK;
  if (p->arg[indices].dtype != LAMINA_I32) return lamina_problem_error(p, indices, "expected i32");
  for (int d = 2; d < p->arg[x].rank; d++)
    if (!lamina_mul(plane, p->arg[x].dims[d], &plane) || plane > INT32_MAX)
      return lamina_problem_error(p, x, "its planes are too large for indices of 32 bits");
  return LAMINA_OK;
}

static lamina_status infer_max_forward(lamina_problem *p) {
  const lamina_desc *x = &p->arg[LAMINA_MAX_POOL_FORWARD_X];
  int64_t y[LAMINA_MAX_RANK];
  LAMINA_TRY(lamina_pool_output_dims(p, LAMINA_MAX_POOL_FORWARD_X, y));
  LAMINA_TRY(lamina_set_output(p, LAMINA_MAX_POOL_FORWARD_INDICES, LAMINA_I32, x->rank, y));
  LAMINA_TRY(lamina_pool_check_indices(p, LAMINA_MAX_POOL_FORWARD_X, LAMINA_MAX_POOL_FORWARD_INDICES));
  return lamina_set_output(p, LAMINA_MAX_POOL_FORWARD_Y, (lamina_dtype)x->dtype, x->rank, y);
}

static lamina_status infer_max_backward(lamina_problem *p) {
  int64_t y[LAMINA_MAX_RANK];
  LAMINA_TRY(lamina_want_shape(p, LAMINA_MAX_POOL_BACKWARD_DX));
  LAMINA_TRY(lamina_pool_output_dims(p, LAMINA_MAX_POOL_BACKWARD_DX, y));
  LAMINA_TRY(lamina_want_dims(p, LAMINA_MAX_POOL_BACKWARD_DY, p->arg[LAMINA_MAX_POOL_BACKWARD_DX].rank, y));
  LAMINA_TRY(lamina_want_dims(p, LAMINA_MAX_POOL_BACKWARD_INDICES, p->arg[LAMINA_MAX_POOL_BACKWARD_DX].rank, y));
  return lamina_pool_check_indices(p, LAMINA_MAX_POOL_BACKWARD_DX, LAMINA_MAX_POOL_BACKWARD_INDICES);
}

static lamina_status infer_gated(lamina_problem *p) {
  const int rank = p->arg[LAMINA_GATED_POOL_DX].rank;
  int64_t y[LAMINA_MAX_RANK];
  LAMINA_TRY(lamina_want_shape(p, LAMINA_GATED_POOL_DX));
  LAMINA_TRY(lamina_pool_output_dims(p, LAMINA_GATED_POOL_DX, y));
  for (int i = LAMINA_GATED_POOL_Y; i < LAMINA_GATED_POOL_DX; i++) LAMINA_TRY(lamina_want_dims(p, i, rank, y));
  return lamina_pool_check_indices(p, LAMINA_GATED_POOL_DX, LAMINA_GATED_POOL_INDICES);
}

static lamina_status infer_avg_forward(lamina_problem *p) {
  const lamina_desc *x = &p->arg[LAMINA_AVG_POOL_FORWARD_X];
  int64_t y[LAMINA_MAX_RANK];
  LAMINA_TRY(lamina_pool_output_dims(p, LAMINA_AVG_POOL_FORWARD_X, y));
  return lamina_set_output(p, LAMINA_AVG_POOL_FORWARD_Y, (lamina_dtype)x->dtype, x->rank, y);
}

static lamina_status infer_avg_backward(lamina_problem *p) {
  int64_t y[LAMINA_MAX_RANK];
  LAMINA_TRY(lamina_want_shape(p, LAMINA_AVG_POOL_BACKWARD_DX));
  LAMINA_TRY(lamina_pool_output_dims(p, LAMINA_AVG_POOL_BACKWARD_DX, y));
  return lamina_want_dims(p, LAMINA_AVG_POOL_BACKWARD_DY, p->arg[LAMINA_AVG_POOL_BACKWARD_DX].rank, y);
}

/* ---- Tests and figures ------------------------------------------------------------------------------------------ */

int64_t lamina_pool_count(const lamina_pool *pool, int axis, int64_t size, int64_t o) {
  int64_t first = o * pool->stride[axis] - pool->pad[axis][0], end = first + pool->kernel[axis];
  if (pool->count_pad) size += pool->pad[axis][1];
  if (end > size) end = size;
  if (first < 0 && !pool->count_pad) first = 0;
  return end - first;
}

lamina_fill_def lamina_pool_fill_indices(const lamina_problem *p, int x) {
  const lamina_desc *desc = &p->arg[x];
  double plane = 1;
  for (int d = 2; d < desc->rank; d++) plane *= (double)desc->dims[d];
  return (lamina_fill_def){.kind = LAMINA_FILL_INTEGERS, .low = 0, .high = plane - 1};
}

/* Few different integers, so that ties are common. */
static bool fills_max_forward(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  if (exact) lamina_fill_integers(p, fill, -3, 3);
  return true;
}

static bool fills_max_backward(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  if (exact) lamina_fill_integers(p, fill, -2, 2);
  fill[LAMINA_MAX_POOL_BACKWARD_INDICES] = lamina_pool_fill_indices(p, LAMINA_MAX_POOL_BACKWARD_DX);
  return true;
}

static bool fills_gated(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  if (exact) lamina_fill_integers(p, fill, -2, 2);
  fill[LAMINA_GATED_POOL_INDICES] = lamina_pool_fill_indices(p, LAMINA_GATED_POOL_DX);
  return true;
}

bool lamina_pool_counts_a_power_of_two(const lamina_problem *p, int x, int y) {
  const lamina_pool *pool = lamina_attr(p);
  const lamina_desc *dx = &p->arg[x], *dy = &p->arg[y];
  int64_t volume = 1;
  for (int a = 0; a < dx->rank - 2; a++) {
    const int64_t count = lamina_pool_count(pool, a, dx->dims[2 + a], 0);
    for (int64_t o = 1; o < dy->dims[2 + a]; o++)
      if (lamina_pool_count(pool, a, dx->dims[2 + a], o) != count) return false;
    volume *= count;
  }
  return (volume & (volume - 1)) == 0;
}

static bool fills_avg_forward(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  if (exact) lamina_fill_integers(p, fill, -8, 8);
  return lamina_pool_counts_a_power_of_two(p, LAMINA_AVG_POOL_FORWARD_X, LAMINA_AVG_POOL_FORWARD_Y);
}

static bool fills_avg_backward(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  if (exact) lamina_fill_integers(p, fill, -8, 8);
  return lamina_pool_counts_a_power_of_two(p, LAMINA_AVG_POOL_BACKWARD_DX, LAMINA_AVG_POOL_BACKWARD_DY);
}

double lamina_pool_flops(const lamina_problem *p, int y) {
  const lamina_pool *pool = lamina_attr(p);
  double flops = (double)lamina_desc_count(&p->arg[y]);
  for (int a = 0; a < p->arg[y].rank - 2; a++) flops *= (double)pool->kernel[a];
  return flops;
}
static double flops_avg_forward(const lamina_problem *p) { return lamina_pool_flops(p, LAMINA_AVG_POOL_FORWARD_Y); }
static double flops_avg_backward(const lamina_problem *p) { return lamina_pool_flops(p, LAMINA_AVG_POOL_BACKWARD_DY); }

void lamina_pool_sample(lamina_problem *p, lamina_draw *draw, lamina_pool *pool) {
  const int axes = (int)LAMINA_PICK(draw, "axes", 1, 2, 2, 3);
  int64_t x[5] = {LAMINA_PICK(draw, "batch", 1, 2, 3, 0), LAMINA_PICK(draw, "channels", 1, 3, 5, 16, 17)};
  *pool = (lamina_pool){.global = LAMINA_PICK(draw, "global", 0, 0, 0, 0, 1)};
  for (int a = 0; a < axes; a++) {
    x[2 + a] = LAMINA_PICK(draw, "size", 1, 2, 3, 5, 7, 12);
    if (pool->global) continue;
    pool->kernel[a] = LAMINA_PICK(draw, "kernel", 1, 2, 2, 3, 4);
    pool->stride[a] = LAMINA_PICK(draw, "stride", 0, 1, 2, 3);
    for (int side = 0; side < 2; side++) pool->pad[a][side] = LAMINA_PICK(draw, "pad", 0, 0, 1, 2);
    if (has_attr(p, "dilation")) pool->dilation[a] = LAMINA_PICK(draw, "dilation", 1, 1, 1, 2, 3);
  }
  pool->ceil_mode = LAMINA_PICK(draw, "ceil_mode", 0, 1);
  if (has_attr(p, "count_pad")) pool->count_pad = LAMINA_PICK(draw, "count_pad", 0, 1);
  p->arg[0] = lamina_draw_shape(draw, 2 + axes, x);
}

static void sample(lamina_problem *p, lamina_draw *draw) {
  lamina_pool pool;
  lamina_pool_sample(p, draw, &pool);
  memcpy(p->attr, &pool, sizeof pool);
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

#define EXTREME(family)                                                                                                \
  {.name = #family "/forward",                                                                                         \
   .by_example = true,                                                                                                 \
   .args = max_pool_forward_args,                                                                                      \
   .attrs = extreme_attrs,                                                                                             \
   .attr_size = sizeof(lamina_pool),                                                                                   \
   .infer = infer_max_forward,                                                                                         \
   .element = lamina_##family##_forward_element,                                                                       \
   .fills = fills_max_forward,                                                                                         \
   .sample = sample},                                                                                                  \
  {                                                                                                                    \
    .name = #family "/backward", .by_example = true, .args = max_pool_backward_args, .attrs = extreme_attrs,           \
    .attr_size = sizeof(lamina_pool), .infer = infer_max_backward, .scratch = lamina_pool_scatter_scratch,             \
    .prepare = lamina_pool_scatter_prepare, .element = lamina_pool_scatter_element, .fills = fills_max_backward        \
  }
const lamina_op_def lamina_ops_max_pool[] = {EXTREME(max_pool), {0}};
const lamina_op_def lamina_ops_min_pool[] = {EXTREME(min_pool), {0}};

const lamina_op_def lamina_ops_relu_max_pool[] = {
    {.name = "relu_max_pool/forward",
     .parts = (const char *const[]){"relu/forward", "max_pool/forward", NULL},
     .args = max_pool_forward_args,
     .attrs = extreme_attrs,
     .attr_size = sizeof(lamina_pool),
     .infer = infer_max_forward,
     .element = lamina_relu_max_pool_forward_element,
     .fills = fills_max_forward,
     .sample = sample},
    {.name = "relu_max_pool/backward",
     .parts = (const char *const[]){"relu/backward", "max_pool/backward", NULL},
     .args = relu_max_pool_backward_args,
     .attrs = extreme_attrs,
     .attr_size = sizeof(lamina_pool),
     .infer = infer_gated,
     .scratch = lamina_pool_gated_scratch,
     .prepare = lamina_pool_gated_prepare,
     .element = lamina_pool_scatter_element,
     .fills = fills_gated},
    {0}};
const lamina_op_def lamina_ops_avg_pool[] = {{.name = "avg_pool/forward",
                                              .by_example = true,
                                              .args = avg_pool_forward_args,
                                              .attrs = avg_attrs,
                                              .attr_size = sizeof(lamina_pool),
                                              .infer = infer_avg_forward,
                                              .element = lamina_avg_pool_forward_element,
                                              .fills = fills_avg_forward,
                                              .sample = sample,
                                              .flops = flops_avg_forward},
                                             {.name = "avg_pool/backward",
                                              .by_example = true,
                                              .args = avg_pool_backward_args,
                                              .attrs = avg_attrs,
                                              .attr_size = sizeof(lamina_pool),
                                              .infer = infer_avg_backward,
                                              .element = lamina_avg_pool_backward_element,
                                              .fills = fills_avg_backward,
                                              .flops = flops_avg_backward},
                                             {0}};

LAMINA_DEFINE_CALLS(max_pool_forward, "max_pool/forward", pool, (x, y, indices), const lamina_pool *pool,
                    const lamina_tensor *x, const lamina_tensor *y, const lamina_tensor *indices)
LAMINA_DEFINE_CALLS(max_pool_backward, "max_pool/backward", pool, (dy, indices, dx), const lamina_pool *pool,
                    const lamina_tensor *dy, const lamina_tensor *indices, const lamina_tensor *dx)
LAMINA_DEFINE_CALLS(min_pool_forward, "min_pool/forward", pool, (x, y, indices), const lamina_pool *pool,
                    const lamina_tensor *x, const lamina_tensor *y, const lamina_tensor *indices)
LAMINA_DEFINE_CALLS(min_pool_backward, "min_pool/backward", pool, (dy, indices, dx), const lamina_pool *pool,
                    const lamina_tensor *dy, const lamina_tensor *indices, const lamina_tensor *dx)
LAMINA_DEFINE_CALLS(relu_max_pool_forward, "relu_max_pool/forward", pool, (x, y, indices), const lamina_pool *pool,
                    const lamina_tensor *x, const lamina_tensor *y, const lamina_tensor *indices)
LAMINA_DEFINE_CALLS(relu_max_pool_backward, "relu_max_pool/backward", pool, (y, dy, indices, dx),
                    const lamina_pool *pool, const lamina_tensor *y, const lamina_tensor *dy,
                    const lamina_tensor *indices, const lamina_tensor *dx)
LAMINA_DEFINE_CALLS(avg_pool_forward, "avg_pool/forward", pool, (x, y), const lamina_pool *pool, const lamina_tensor *x,
                    const lamina_tensor *y)
LAMINA_DEFINE_CALLS(avg_pool_backward, "avg_pool/backward", pool, (dy, dx), const lamina_pool *pool,
                    const lamina_tensor *dy, const lamina_tensor *dx)
