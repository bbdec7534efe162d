/* Layer and group normalisation: rows, shapes and the typed calls. The reference of both is in layer_norm_ref.c. */
#include "ops/layer_norm.h"

#include "core/draw.h"
#include "core/plan.h"

#define EPSILON(family)                                                                                                \
  {                                                                                                                    \
    .name = "epsilon", .type = LAMINA_ATTR_REAL, .offset = offsetof(lamina_##family, epsilon), .preset = 1e-5,         \
    .has = offsetof(lamina_##family, has_epsilon), .most = 1                                                           \
  }
static const lamina_attr_def layer_norm_attrs[] = {{.name = "axis",
                                                    .type = LAMINA_ATTR_INT,
                                                    .offset = offsetof(lamina_layer_norm, axis),
                                                    .preset = -1,
                                                    .has = offsetof(lamina_layer_norm, has_axis)},
                                                   EPSILON(layer_norm),
                                                   {0}};
static const lamina_attr_def group_norm_attrs[] = {{.name = "groups",
                                                    .type = LAMINA_ATTR_INT,
                                                    .offset = offsetof(lamina_group_norm, groups),
                                                    .least = 1,
                                                    .most = 0x1p31},
                                                   EPSILON(group_norm),
                                                   {0}};

static const lamina_arg_def forward_args[] = {{"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                              {"w", LAMINA_IN, true, LAMINA_FLOATING, NULL},
                                              {"b", LAMINA_IN, true, LAMINA_FLOATING, NULL},
                                              {"y", LAMINA_OUT, false, LAMINA_FLOATING, "x"},
                                              {"mean", LAMINA_SAVED, true, LAMINA_FLOATING, NULL},
                                              {"deviation", LAMINA_SAVED, true, LAMINA_FLOATING, NULL},
                                              {0}};
static const lamina_arg_def backward_args[] = {{"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                               {"w", LAMINA_IN, true, LAMINA_FLOATING, NULL},
                                               {"mean", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                               {"deviation", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                               {"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                               {"dx", LAMINA_OUT, false, LAMINA_FLOATING, "dy"},
                                               {"dw", LAMINA_OUT, true, LAMINA_FLOATING, NULL},
                                               {"db", LAMINA_OUT, true, LAMINA_FLOATING, NULL},
                                               {0}};
LAMINA_CHECK_ARGS(layer_norm_forward, forward_args);
LAMINA_CHECK_ARGS(layer_norm_backward, backward_args);

/* ---- Shapes ----------------------------------------------------------------------------------------------------- */

/* The shapes of w and b, and of mean and deviation; no types. */
typedef struct shapes {
  lamina_desc w, mean;
} shapes;

/* Counts a negative axis from the end, so that equal problems are equal bytes. */
static lamina_status layer_shapes(lamina_problem *p, shapes *s) {
  const lamina_desc *x = &p->arg[LAMINA_LN_X];
  lamina_layer_norm norm;
  memcpy(&norm, p->attr, sizeof norm);
  LAMINA_TRY(lamina_want_rank(p, LAMINA_LN_X, 1, LAMINA_MAX_RANK));
  if (norm.axis < -x->rank || norm.axis >= x->rank)
    return lamina_problem_error(p, LAMINA_LN_X, "axis is %lld; expected %d to %d", (long long)norm.axis, -x->rank,
                                x->rank - 1);
  if (norm.axis < 0) norm.axis += x->rank;
  memcpy(p->attr, &norm, sizeof norm);
  *s = (shapes){lamina_dense(LAMINA_NONE, x->rank - (int)norm.axis, x->dims + norm.axis),
                lamina_dense(LAMINA_NONE, (int)norm.axis, x->dims)};
  return LAMINA_OK;
}

static lamina_status group_shapes(lamina_problem *p, shapes *s) {
  const lamina_desc *x = &p->arg[LAMINA_LN_X];
  const lamina_group_norm *norm = lamina_attr(p);
  LAMINA_TRY(lamina_want_rank(p, LAMINA_LN_X, 2, LAMINA_MAX_RANK));
  if (x->dims[1] % norm->groups)
    return lamina_problem_error(p, LAMINA_LN_X, "its %lld channels don't make %lld groups", (long long)x->dims[1],
                                (long long)norm->groups);
  *s = (shapes){lamina_dense(LAMINA_NONE, 1, &x->dims[1]),
                lamina_dense(LAMINA_NONE, 2, (int64_t[]){x->dims[0], norm->groups})};
  return LAMINA_OK;
}

static lamina_status set_optional(lamina_problem *p, int arg, lamina_dtype dtype, const lamina_desc *shape) {
  return lamina_present(&p->arg[arg]) ? lamina_set_output(p, arg, dtype, shape->rank, shape->dims) : LAMINA_OK;
}

static lamina_status infer_forward(lamina_problem *p, const shapes *s) {
  const lamina_desc *x = &p->arg[LAMINA_LN_X];
  const lamina_dtype statistics = x->dtype == LAMINA_F64 ? LAMINA_F64 : LAMINA_F32;
  LAMINA_TRY(lamina_want_dims(p, LAMINA_LN_W, s->w.rank, s->w.dims));
  LAMINA_TRY(lamina_want_dims(p, LAMINA_LN_B, s->w.rank, s->w.dims));
  LAMINA_TRY(lamina_set_output(p, LAMINA_LN_Y, (lamina_dtype)x->dtype, x->rank, x->dims));
  LAMINA_TRY(set_optional(p, LAMINA_LN_MEAN, statistics, &s->mean));
  return set_optional(p, LAMINA_LN_DEVIATION, statistics, &s->mean);
}

static lamina_status infer_backward(lamina_problem *p, const shapes *s) {
  const lamina_desc *x = &p->arg[LAMINA_LN_BACK_X], *w = &p->arg[LAMINA_LN_BACK_W], *dy = &p->arg[LAMINA_LN_BACK_DY];
  const lamina_dtype dtype = (lamina_dtype)(lamina_present(w) ? w->dtype : x->dtype);
  LAMINA_TRY(lamina_want_dims(p, LAMINA_LN_BACK_W, s->w.rank, s->w.dims));
  LAMINA_TRY(lamina_want_dims(p, LAMINA_LN_BACK_MEAN, s->mean.rank, s->mean.dims));
  LAMINA_TRY(lamina_want_dims(p, LAMINA_LN_BACK_DEVIATION, s->mean.rank, s->mean.dims));
  LAMINA_TRY(lamina_want_dims(p, LAMINA_LN_BACK_DY, x->rank, x->dims));
  LAMINA_TRY(lamina_set_output(p, LAMINA_LN_BACK_DX, (lamina_dtype)dy->dtype, x->rank, x->dims));
  LAMINA_TRY(set_optional(p, LAMINA_LN_BACK_DW, dtype, &s->w));
  return set_optional(p, LAMINA_LN_BACK_DB, dtype, &s->w);
}

#define INFER(kind, pass)                                                                                              \
  static lamina_status infer_##kind##_##pass(lamina_problem *p) {                                                      \
    shapes s;                                                                                                          \
    LAMINA_TRY(kind##_shapes(p, &s));                                                                                  \
    return infer_##pass(p, &s);                                                                                        \
  }
INFER(layer, forward)
INFER(layer, backward)
INFER(group, forward)
INFER(group, backward)

/* ---- Test cases ------------------------------------------------------------------------------------------------- */

static void sample_layer(lamina_problem *p, lamina_draw *draw) {
  const int rank = (int)LAMINA_PICK(draw, "rank", 1, 2, 3, 4), axis = (int)LAMINA_PICK(draw, "axis", 0, 1, 2, -1, -2);
  const bool is_long = LAMINA_PICK(draw, "long", 0, 0, 0, 0, 1);
  const lamina_layer_norm norm = {
      .axis = axis, .has_axis = 1, .epsilon = LAMINA_PICK(draw, "epsilon", 0, 1) ? 1e-3 : 1e-5};
  const int first = axis < 0 ? axis + rank : axis;
  int64_t dims[4];
  for (int d = 0; d < rank; d++) dims[d] = LAMINA_PICK(draw, "size", 1, 2, 3, 17, 33);
  if (is_long) dims[LAMINA_PICK(draw, "which", 0, 1) ? 0 : rank - 1] = rank < 3 ? 3001 : 90;
  if (LAMINA_PICK(draw, "empty", 0, 0, 0, 0, 0, 0, 1)) dims[rank - 1] = 0;
  memcpy(p->attr, &norm, sizeof norm);
  p->arg[LAMINA_LN_X] = lamina_draw_shape(draw, rank, dims);
  if (first < 0 || first >= rank) return; /* it is refused */
  for (int i = LAMINA_LN_W; i <= LAMINA_LN_B; i++) p->arg[i] = lamina_draw_shape(draw, rank - first, dims + first);
}

static void sample_group(lamina_problem *p, lamina_draw *draw) {
  const int spatial = (int)LAMINA_PICK(draw, "spatial", 0, 1, 2, 3);
  const int64_t groups = LAMINA_PICK(draw, "groups", 1, 2, 3, 8), each = LAMINA_PICK(draw, "each", 1, 2, 5, 17);
  const lamina_group_norm norm = {.groups = groups, .epsilon = LAMINA_PICK(draw, "epsilon", 0, 1) ? 1e-3 : 1e-5};
  int64_t dims[5] = {LAMINA_PICK(draw, "batch", 1, 2, 3, 40, 0), groups * each};
  for (int d = 0; d < spatial; d++) dims[2 + d] = LAMINA_PICK(draw, "size", 1, 2, 5, 9);
  if (spatial > 0 && LAMINA_PICK(draw, "many", 0, 0, 0, 1)) dims[2] = 5003 / (groups * each);
  memcpy(p->attr, &norm, sizeof norm);
  p->arg[LAMINA_LN_X] = lamina_draw_shape(draw, 2 + spatial, dims);
  for (int i = LAMINA_LN_W; i <= LAMINA_LN_B; i++) p->arg[i] = lamina_draw_shape(draw, 1, &dims[1]);
}

/* Sums of x and of squared distances, and y; sums of g and g*x, and dx. */
static double flops(const lamina_problem *p) { return 8 * (double)lamina_desc_count(&p->arg[LAMINA_LN_X]); }

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

#define ROW(kind, pass)                                                                                                \
  .name = #kind "_norm/" #pass, .args = pass##_args, .attrs = kind##_norm_attrs,                                       \
  .attr_size = sizeof(lamina_##kind##_norm), .infer = infer_##kind##_##pass, .flops = flops,                           \
  .scratch = lamina_layer_norm_scratch, .prepare = lamina_layer_norm_##pass##_prepare,                                 \
  .element = lamina_layer_norm_##pass##_element
const lamina_op_def lamina_ops_layer_norm[] = {
    {ROW(layer, forward), .sample = sample_layer}, {ROW(layer, backward)}, {0}};
const lamina_op_def lamina_ops_group_norm[] = {
    {ROW(group, forward), .sample = sample_group}, {ROW(group, backward)}, {0}};

#define CALLS(kind)                                                                                                    \
  LAMINA_DEFINE_CALLS(kind##_norm_forward, #kind "_norm/forward", kind##_norm, (x, w, b, y, mean, deviation),          \
                      const lamina_##kind##_norm *kind##_norm, const lamina_tensor *x, const lamina_tensor *w,         \
                      const lamina_tensor *b, const lamina_tensor *y, const lamina_tensor *mean,                       \
                      const lamina_tensor *deviation)                                                                  \
  LAMINA_DEFINE_CALLS(kind##_norm_backward, #kind "_norm/backward", kind##_norm,                                       \
                      (x, w, mean, deviation, dy, dx, dw, db), const lamina_##kind##_norm *kind##_norm,                \
                      const lamina_tensor *x, const lamina_tensor *w, const lamina_tensor *mean,                       \
                      const lamina_tensor *deviation, const lamina_tensor *dy, const lamina_tensor *dx,                \
                      const lamina_tensor *dw, const lamina_tensor *db)
CALLS(layer)
CALLS(group)
