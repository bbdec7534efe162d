/* Batch normalisation: rows, shapes and the typed calls. The references are in batch_norm_ref.c. */
#include "ops/batch_norm.h"

#include "core/draw.h"
#include "core/plan.h"

static const lamina_attr_def attrs[] = {{.name = "epsilon",
                                         .type = LAMINA_ATTR_REAL,
                                         .offset = offsetof(lamina_batch_norm, epsilon),
                                         .preset = 1e-5,
                                         .has = offsetof(lamina_batch_norm, has_epsilon),
                                         .most = 1},
                                        {.name = "momentum",
                                         .type = LAMINA_ATTR_REAL,
                                         .offset = offsetof(lamina_batch_norm, momentum),
                                         .preset = 0.1,
                                         .has = offsetof(lamina_batch_norm, has_momentum),
                                         .most = 1},
                                        {0}};
static const lamina_arg_def forward_args[] = {
    {"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},
    {"w", LAMINA_IN, true, LAMINA_FLOATING, NULL},
    {"b", LAMINA_IN, true, LAMINA_FLOATING, NULL},
    {"running_mean", LAMINA_IN, true, LAMINA_FLOATING, NULL},
    {"running_variance", LAMINA_IN, true, LAMINA_FLOATING, NULL},
    {"y", LAMINA_OUT, false, LAMINA_FLOATING, "x"},
    {"mean", LAMINA_SAVED, true, LAMINA_FLOATING, NULL},
    {"deviation", LAMINA_SAVED, true, LAMINA_FLOATING, NULL},
    {"new_running_mean", LAMINA_OUT, true, LAMINA_FLOATING, "running_mean"},
    {"new_running_variance", LAMINA_OUT, true, LAMINA_FLOATING, "running_variance"},
    {0}};
static const lamina_arg_def inference_args[] = {{"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                                {"w", LAMINA_IN, true, LAMINA_FLOATING, NULL},
                                                {"b", LAMINA_IN, true, LAMINA_FLOATING, NULL},
                                                {"running_mean", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                                {"running_variance", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                                {"y", LAMINA_OUT, false, LAMINA_FLOATING, "x"},
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
LAMINA_CHECK_ARGS(batch_norm_forward, forward_args);
LAMINA_CHECK_ARGS(batch_norm_inference, inference_args);
LAMINA_CHECK_ARGS(batch_norm_backward, backward_args);

/* An optional output of one number a channel. */
static lamina_status set_statistic(lamina_problem *p, int arg, lamina_dtype dtype) {
  if (!lamina_present(&p->arg[arg])) return LAMINA_OK;
  return lamina_set_output(p, arg, dtype, 1, &p->arg[LAMINA_BN_X].dims[1]);
}

/* Inputs `first` … `last` have one number a channel. */
static lamina_status want_channels(lamina_problem *p, int first, int last) {
  LAMINA_TRY(lamina_want_rank(p, LAMINA_BN_X, 2, LAMINA_MAX_RANK));
  for (int i = first; i <= last; i++) LAMINA_TRY(lamina_want_dims(p, i, 1, &p->arg[LAMINA_BN_X].dims[1]));
  return LAMINA_OK;
}

static lamina_status infer_y(lamina_problem *p) {
  const lamina_desc *x = &p->arg[LAMINA_BN_X];
  LAMINA_TRY(want_channels(p, LAMINA_BN_W, LAMINA_BN_RUNNING_VARIANCE));
  return lamina_set_output(p, LAMINA_BN_Y, (lamina_dtype)x->dtype, x->rank, x->dims);
}

static lamina_status infer_forward(lamina_problem *p) {
  const lamina_dtype statistics = p->arg[LAMINA_BN_X].dtype == LAMINA_F64 ? LAMINA_F64 : LAMINA_F32;
  LAMINA_TRY(infer_y(p));
  LAMINA_TRY(set_statistic(p, LAMINA_BN_MEAN, statistics));
  LAMINA_TRY(set_statistic(p, LAMINA_BN_DEVIATION, statistics));
  for (int i = 0; i < 2; i++) {
    const int now = LAMINA_BN_RUNNING_MEAN + i, next = LAMINA_BN_NEW_MEAN + i;
    if (lamina_present(&p->arg[next]) && !lamina_present(&p->arg[now]))
      return lamina_error(LAMINA_INVALID, "batch_norm/forward: %s is given without %s, which it is made from",
                          forward_args[next].name, forward_args[now].name);
    LAMINA_TRY(set_statistic(p, next, (lamina_dtype)p->arg[now].dtype));
  }
  return LAMINA_OK;
}

static lamina_status infer_backward(lamina_problem *p) {
  const lamina_desc *x = &p->arg[LAMINA_BN_BACK_X], *w = &p->arg[LAMINA_BN_BACK_W];
  const lamina_dtype dtype = (lamina_dtype)(lamina_present(w) ? w->dtype : x->dtype);
  LAMINA_TRY(want_channels(p, LAMINA_BN_BACK_W, LAMINA_BN_BACK_DEVIATION));
  LAMINA_TRY(lamina_want_dims(p, LAMINA_BN_BACK_DY, x->rank, x->dims));
  LAMINA_TRY(lamina_set_output(p, LAMINA_BN_BACK_DX, (lamina_dtype)p->arg[LAMINA_BN_BACK_DY].dtype, x->rank, x->dims));
  LAMINA_TRY(set_statistic(p, LAMINA_BN_BACK_DW, dtype));
  return set_statistic(p, LAMINA_BN_BACK_DB, dtype);
}

/* Variances are positive; nothing is exact. */
static bool fills(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  const int variance = lamina_op_arg(lamina_op_at(p->op), "running_variance");
  if (variance >= 0) fill[variance] = (lamina_fill_def){.kind = LAMINA_FILL_UNIFORM, .low = 0.25, .high = 4};
  return !exact;
}

static void sample(lamina_problem *p, lamina_draw *draw) {
  const int spatial = (int)LAMINA_PICK(draw, "spatial", 0, 0, 1, 2, 3);
  const bool many = LAMINA_PICK(draw, "many", 0, 0, 0, 0, 1); /* of rows, of positions: several chunks */
  int64_t dims[5] = {LAMINA_PICK(draw, "batch", 1, 2, 3, 17, 0), LAMINA_PICK(draw, "channels", 1, 2, 3, 16, 70)};
  for (int d = 0; d < spatial; d++) dims[2 + d] = LAMINA_PICK(draw, "size", 1, 2, 5, 9);
  if (many && spatial == 0) dims[0] = 2011;
  if (many && spatial > 0) dims[2] = 5003 / (dims[1] < 4 ? 1 : dims[1] / 2);
  if (spatial == 2 && LAMINA_PICK(draw, "empty", 0, 0, 0, 0, 1)) dims[3] = 0;
  const lamina_batch_norm batch_norm = {.epsilon = LAMINA_PICK(draw, "epsilon", 0, 1) ? 1e-3 : 1e-5,
                                        .momentum = (double)LAMINA_PICK(draw, "momentum", 0, 1, 9, 10) / 10,
                                        .has_momentum = 1};
  memcpy(p->attr, &batch_norm, sizeof batch_norm);
  p->arg[LAMINA_BN_X] = lamina_draw_shape(draw, 2 + spatial, dims);
  for (int i = LAMINA_BN_W; i <= LAMINA_BN_RUNNING_VARIANCE; i++) p->arg[i] = lamina_draw_shape(draw, 1, &dims[1]);
}

/* Sums of x and of squared distances, and y; sums of dy and dy*x, and dx. */
static double flops(const lamina_problem *p) { return 7 * (double)lamina_desc_count(&p->arg[LAMINA_BN_X]); }
static double inference_flops(const lamina_problem *p) { return 3 * (double)lamina_desc_count(&p->arg[LAMINA_BN_X]); }

#define ROW(pass)                                                                                                      \
  .name = "batch_norm/" #pass, .args = pass##_args, .attrs = attrs, .attr_size = sizeof(lamina_batch_norm),            \
  .element = lamina_batch_norm_##pass##_element, .fills = fills
const lamina_op_def lamina_ops_batch_norm[] = {
    {ROW(forward), .infer = infer_forward, .flops = flops, .sample = sample, .scratch = lamina_batch_norm_scratch,
     .prepare = lamina_batch_norm_forward_prepare},
    {ROW(inference), .infer = infer_y, .flops = inference_flops},
    {ROW(backward), .infer = infer_backward, .flops = flops, .scratch = lamina_batch_norm_scratch,
     .prepare = lamina_batch_norm_backward_prepare},
    {0}};

LAMINA_DEFINE_CALLS(batch_norm_forward, "batch_norm/forward", batch_norm,
                    (x, w, b, running_mean, running_variance, y, mean, deviation, new_running_mean,
                     new_running_variance),
                    const lamina_batch_norm *batch_norm, const lamina_tensor *x, const lamina_tensor *w,
                    const lamina_tensor *b, const lamina_tensor *running_mean, const lamina_tensor *running_variance,
                    const lamina_tensor *y, const lamina_tensor *mean, const lamina_tensor *deviation,
                    const lamina_tensor *new_running_mean, const lamina_tensor *new_running_variance)
LAMINA_DEFINE_CALLS(batch_norm_inference, "batch_norm/inference", batch_norm,
                    (x, w, b, running_mean, running_variance, y), const lamina_batch_norm *batch_norm,
                    const lamina_tensor *x, const lamina_tensor *w, const lamina_tensor *b,
                    const lamina_tensor *running_mean, const lamina_tensor *running_variance, const lamina_tensor *y)
LAMINA_DEFINE_CALLS(batch_norm_backward, "batch_norm/backward", batch_norm, (x, w, mean, deviation, dy, dx, dw, db),
                    const lamina_batch_norm *batch_norm, const lamina_tensor *x, const lamina_tensor *w,
                    const lamina_tensor *mean, const lamina_tensor *deviation, const lamina_tensor *dy,
                    const lamina_tensor *dx, const lamina_tensor *dw, const lamina_tensor *db)
