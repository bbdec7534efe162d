/* Softmax cross-entropy against labels and against targets: rows, shapes and the typed calls. */
#include "ops/softmax_cross_entropy.h"

#include "core/draw.h"
#include "core/plan.h"

static const lamina_attr_def label_attrs[] = {LAMINA_REDUCTION_ATTR(lamina_softmax_cross_entropy),
                                              {.name = "ignore",
                                               .type = LAMINA_ATTR_INT,
                                               .offset = offsetof(lamina_softmax_cross_entropy, ignore),
                                               .preset = -0x1p63,
                                               .has = offsetof(lamina_softmax_cross_entropy, has_ignore)},
                                              {.name = "label_smoothing",
                                               .type = LAMINA_ATTR_REAL,
                                               .offset = offsetof(lamina_softmax_cross_entropy, label_smoothing),
                                               .most = 1},
                                              {0}};
static const lamina_attr_def target_attrs[] = {
    LAMINA_REDUCTION_ATTR(lamina_softmax_cross_entropy_target),
    {.name = "label_smoothing",
     .type = LAMINA_ATTR_REAL,
     .offset = offsetof(lamina_softmax_cross_entropy_target, label_smoothing),
     .most = 1},
    {0}};

static const lamina_arg_def label_forward_args[] = {
    {"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},      {"labels", LAMINA_IN, false, LAMINA_INTEGER, NULL},
    {"weights", LAMINA_IN, true, LAMINA_FLOATING, NULL}, {"y", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
    {"prob", LAMINA_SAVED, true, LAMINA_FLOATING, NULL}, {0}};
static const lamina_arg_def label_backward_args[] = {
    {"prob", LAMINA_IN, false, LAMINA_FLOATING, NULL},   {"labels", LAMINA_IN, false, LAMINA_INTEGER, NULL},
    {"weights", LAMINA_IN, true, LAMINA_FLOATING, NULL}, {"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},
    {"dx", LAMINA_OUT, false, LAMINA_FLOATING, "prob"},  {0}};
static const lamina_arg_def target_forward_args[] = {
    {"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},      {"target", LAMINA_IN, false, LAMINA_FLOATING, NULL},
    {"weights", LAMINA_IN, true, LAMINA_FLOATING, NULL}, {"y", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
    {"prob", LAMINA_SAVED, true, LAMINA_FLOATING, NULL}, {0}};
static const lamina_arg_def target_backward_args[] = {
    {"prob", LAMINA_IN, false, LAMINA_FLOATING, NULL},   {"target", LAMINA_IN, false, LAMINA_FLOATING, NULL},
    {"weights", LAMINA_IN, true, LAMINA_FLOATING, NULL}, {"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},
    {"dx", LAMINA_OUT, false, LAMINA_FLOATING, "prob"},  {0}};
LAMINA_CHECK_ARGS(softmax_cross_entropy_forward, label_forward_args);
LAMINA_CHECK_ARGS(softmax_cross_entropy_backward, label_backward_args);
LAMINA_CHECK_ARGS(softmax_cross_entropy_target_forward, target_forward_args);
LAMINA_CHECK_ARGS(softmax_cross_entropy_target_backward, target_backward_args);

static bool has_labels(const lamina_problem *p) { return lamina_op_at(p->op)->args[XE_TARGET].type == LAMINA_INTEGER; }

/* Scores (or prob), labels or target, weights; and the dims of y. */
static lamina_status check_inputs(const lamina_problem *p, int64_t dims[LAMINA_MAX_RANK], int *rank) {
  const lamina_desc *x = &p->arg[XE_X];
  int64_t each[LAMINA_MAX_RANK];
  LAMINA_TRY(lamina_want_scores(p, XE_X));
  if (has_labels(p))
    LAMINA_TRY(lamina_want_labels(p, XE_X, XE_TARGET));
  else
    LAMINA_TRY(lamina_want_dims(p, XE_TARGET, x->rank, x->dims));
  LAMINA_TRY(lamina_want_dims(p, XE_WEIGHTS, 1, &x->dims[1]));
  *rank = lamina_loss_dims(p, lamina_label_dims(x, each), each, dims);
  return LAMINA_OK;
}

static lamina_status infer_forward(lamina_problem *p) {
  const lamina_desc *x = &p->arg[XE_X];
  int64_t dims[LAMINA_MAX_RANK];
  int rank;
  LAMINA_TRY(check_inputs(p, dims, &rank));
  LAMINA_TRY(lamina_set_output(p, XE_Y, (lamina_dtype)x->dtype, rank, dims));
  return lamina_set_output(p, XE_PROB, (lamina_dtype)x->dtype, x->rank, x->dims);
}

static lamina_status infer_backward(lamina_problem *p) {
  const lamina_desc *prob = &p->arg[XE_B_PROB];
  int64_t dims[LAMINA_MAX_RANK];
  int rank;
  LAMINA_TRY(check_inputs(p, dims, &rank));
  LAMINA_TRY(lamina_want_dims(p, XE_B_DY, rank, dims));
  return lamina_set_output(p, XE_B_DX, (lamina_dtype)prob->dtype, prob->rank, prob->dims);
}

/* Nothing here stays an integer: neither the logarithm of the forward pass, nor prob, which the backward pass gets.
 * The label -1 comes up where it is ignored. */
static bool fills(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  fill[XE_WEIGHTS] = (lamina_fill_def){.kind = LAMINA_FILL_UNIFORM, .low = 0.1, .high = 2};
  fill[XE_TARGET] = (lamina_fill_def){.kind = LAMINA_FILL_UNIFORM, .low = 0, .high = 1};
  if (has_labels(p))
    fill[XE_TARGET] = (lamina_fill_def){
        .kind = LAMINA_FILL_INTEGERS,
        .low = ((const lamina_softmax_cross_entropy *)lamina_attr(p))->ignore == -1 ? -1 : 0,
        .high = (double)p->arg[XE_X].dims[1] - 1,
    };
  return !exact;
}

/* x and the weights; returns whether the mean may be over nothing. */
static void sample_scores(lamina_problem *p, lamina_draw *draw) {
  const int rank = (int)LAMINA_PICK(draw, "rank", 2, 2, 3, 4);
  int64_t x[LAMINA_MAX_RANK];
  x[0] = LAMINA_PICK(draw, "batch", 1, 2, 5, 33, 0);
  x[1] = LAMINA_PICK(draw, "classes", 1, 2, 10, 17, 101);
  for (int d = 2; d < rank; d++) x[d] = LAMINA_PICK(draw, "size", 1, 2, 3, 5);
  p->arg[XE_X] = lamina_draw_shape(draw, rank, x);
  if (LAMINA_PICK(draw, "weights", 0, 1)) p->arg[XE_WEIGHTS] = lamina_draw_shape(draw, 1, &x[1]);
}

/* A mean of labels of which some are ignored is one of many, so that some count. */
static void sample_labels(lamina_problem *p, lamina_draw *draw) {
  lamina_softmax_cross_entropy loss = {.reduction = LAMINA_PICK(draw, "reduction", 0, 1, 2),
                                       .label_smoothing = (double)LAMINA_PICK(draw, "smoothing", 0, 1, 4) / 4};
  const int64_t ignore = LAMINA_PICK(draw, "ignore", 0, 1, 2);
  int64_t labels[LAMINA_MAX_RANK];
  sample_scores(p, draw);
  lamina_desc *x = &p->arg[XE_X];
  if (ignore) loss.has_ignore = 1, loss.ignore = ignore == 1 ? 0 : -1;
  if (ignore && x->dims[0] > 0 && x->dims[1] > 1 && loss.reduction == LAMINA_REDUCTION_MEAN) {
    x->dims[0] = 33;
    *x = lamina_draw_shape(draw, x->rank, x->dims);
  } else if (ignore && x->dims[1] == 1) {
    loss.reduction = LAMINA_REDUCTION_SUM;
  }
  memcpy(p->attr, &loss, sizeof loss);
  const int rank = lamina_label_dims(x, labels);
  p->arg[XE_TARGET] = lamina_dense((lamina_dtype)LAMINA_PICK(draw, "labels", LAMINA_I32, LAMINA_I64), rank, labels);
}

static void sample_target(lamina_problem *p, lamina_draw *draw) {
  const lamina_softmax_cross_entropy_target loss = {.reduction = LAMINA_PICK(draw, "reduction", 0, 1, 2),
                                                    .label_smoothing =
                                                        (double)LAMINA_PICK(draw, "smoothing", 0, 1, 4) / 4};
  sample_scores(p, draw);
  memcpy(p->attr, &loss, sizeof loss);
  p->arg[XE_TARGET] = lamina_draw_shape(draw, p->arg[XE_X].rank, p->arg[XE_X].dims);
}

/* A difference, an exponential, a sum and a product for each score. */
static double flops_forward(const lamina_problem *p) { return 4 * (double)lamina_desc_count(&p->arg[XE_X]); }
static double flops_backward(const lamina_problem *p) { return (double)lamina_desc_count(&p->arg[XE_B_PROB]); }

#define ROW(family, kind, pass)                                                                                        \
  .name = #family "/" #pass, .args = kind##_##pass##_args, .attrs = kind##_attrs,                                      \
  .attr_size = sizeof(lamina_##family), .infer = infer_##pass, .scratch = lamina_cross_entropy_##pass##_scratch,       \
  .prepare = lamina_cross_entropy_##pass##_prepare, .element = lamina_cross_entropy_##pass##_element, .fills = fills,  \
  .flops = flops_##pass
const lamina_op_def lamina_ops_softmax_cross_entropy[] = {
    {ROW(softmax_cross_entropy, label, forward), .sample = sample_labels},
    {ROW(softmax_cross_entropy, label, backward)},
    {0}};
const lamina_op_def lamina_ops_softmax_cross_entropy_target[] = {
    {ROW(softmax_cross_entropy_target, target, forward), .sample = sample_target},
    {ROW(softmax_cross_entropy_target, target, backward)},
    {0}};

LAMINA_DEFINE_CALLS(softmax_cross_entropy_forward, "softmax_cross_entropy/forward", loss, (x, labels, weights, y, prob),
                    const lamina_softmax_cross_entropy *loss, const lamina_tensor *x, const lamina_tensor *labels,
                    const lamina_tensor *weights, const lamina_tensor *y, const lamina_tensor *prob)
LAMINA_DEFINE_CALLS(softmax_cross_entropy_backward, "softmax_cross_entropy/backward", loss,
                    (prob, labels, weights, dy, dx), const lamina_softmax_cross_entropy *loss,
                    const lamina_tensor *prob, const lamina_tensor *labels, const lamina_tensor *weights,
                    const lamina_tensor *dy, const lamina_tensor *dx)
LAMINA_DEFINE_CALLS(softmax_cross_entropy_target_forward, "softmax_cross_entropy_target/forward", loss,
                    (x, target, weights, y, prob), const lamina_softmax_cross_entropy_target *loss,
                    const lamina_tensor *x, const lamina_tensor *target, const lamina_tensor *weights,
                    const lamina_tensor *y, const lamina_tensor *prob)
LAMINA_DEFINE_CALLS(softmax_cross_entropy_target_backward, "softmax_cross_entropy_target/backward", loss,
                    (prob, target, weights, dy, dx), const lamina_softmax_cross_entropy_target *loss,
                    const lamina_tensor *prob, const lamina_tensor *target, const lamina_tensor *weights,
                    const lamina_tensor *dy, const lamina_tensor *dx)
