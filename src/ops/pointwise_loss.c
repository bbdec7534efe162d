/* Losses of one number against another: rows, shapes and the typed calls. */
#include "ops/pointwise_loss.h"

#include "core/draw.h"
#include "core/plan.h"

static const lamina_arg_def forward_args[] = {{"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                              {"target", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                              {"weights", LAMINA_IN, true, LAMINA_FLOATING, NULL},
                                              {"y", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                              {0}};
static const lamina_arg_def backward_args[] = {
    {"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},      {"target", LAMINA_IN, false, LAMINA_FLOATING, NULL},
    {"weights", LAMINA_IN, true, LAMINA_FLOATING, NULL}, {"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},
    {"dx", LAMINA_OUT, false, LAMINA_FLOATING, "x"},     {0}};

static lamina_status check_inputs(const lamina_problem *p, int64_t dims[LAMINA_MAX_RANK], int *rank) {
  const lamina_desc *x = &p->arg[LAMINA_PL_X];
  LAMINA_TRY(lamina_want_dims(p, LAMINA_PL_TARGET, x->rank, x->dims));
  LAMINA_TRY(lamina_want_dims(p, LAMINA_PL_WEIGHTS, x->rank, x->dims));
  *rank = lamina_loss_dims(p, x->rank, x->dims, dims);
  return LAMINA_OK;
}

static lamina_status infer_forward(lamina_problem *p) {
  int64_t dims[LAMINA_MAX_RANK];
  int rank;
  LAMINA_TRY(check_inputs(p, dims, &rank));
  return lamina_set_output(p, LAMINA_PL_Y, (lamina_dtype)p->arg[LAMINA_PL_X].dtype, rank, dims);
}

static lamina_status infer_backward(lamina_problem *p) {
  const lamina_desc *x = &p->arg[LAMINA_PL_X];
  int64_t dims[LAMINA_MAX_RANK];
  int rank;
  LAMINA_TRY(check_inputs(p, dims, &rank));
  LAMINA_TRY(lamina_want_dims(p, LAMINA_PL_DY, rank, dims));
  return lamina_set_output(p, LAMINA_PL_DX, (lamina_dtype)x->dtype, x->rank, x->dims);
}

/* ---- Attributes ------------------------------------------------------------------------------------------------- */

static const lamina_attr_def binary_cross_entropy_attrs[] = {
    LAMINA_REDUCTION_ATTR(lamina_binary_cross_entropy),
    {.name = "positive",
     .type = LAMINA_ATTR_REAL,
     .offset = offsetof(lamina_binary_cross_entropy, positive),
     .preset = 1,
     .has = offsetof(lamina_binary_cross_entropy, has_positive),
     .most = 1e6},
    {0}};
static const lamina_attr_def mse_attrs[] = {LAMINA_REDUCTION_ATTR(lamina_mse), {0}};
static const lamina_attr_def l1_attrs[] = {LAMINA_REDUCTION_ATTR(lamina_l1), {0}};
static const lamina_attr_def huber_attrs[] = {LAMINA_REDUCTION_ATTR(lamina_huber),
                                              {.name = "delta",
                                               .type = LAMINA_ATTR_REAL,
                                               .offset = offsetof(lamina_huber, delta),
                                               .preset = 1,
                                               .least = 1e-6,
                                               .most = 1e6},
                                              {0}};
static const lamina_attr_def binary_hinge_attrs[] = {LAMINA_REDUCTION_ATTR(lamina_binary_hinge),
                                                     {.name = "margin",
                                                      .type = LAMINA_ATTR_REAL,
                                                      .offset = offsetof(lamina_binary_hinge, margin),
                                                      .preset = 1,
                                                      .has = offsetof(lamina_binary_hinge, has_margin),
                                                      .least = -1e6,
                                                      .most = 1e6},
                                                     {.name = "power",
                                                      .type = LAMINA_ATTR_INT,
                                                      .offset = offsetof(lamina_binary_hinge, power),
                                                      .preset = 1,
                                                      .least = 1,
                                                      .most = 2},
                                                     {0}};

/* ---- Test cases ------------------------------------------------------------------------------------------------- */

/* Sums of integers are exact, and their mean where it divides by a power of two. */
static bool is_exact(const lamina_problem *p) {
  const int64_t count = lamina_desc_count(&p->arg[LAMINA_PL_X]);
  return lamina_reduction_of(lamina_attr(p)) != LAMINA_REDUCTION_MEAN || (count & (count - 1)) == 0;
}

static bool fills_differences(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  fill[LAMINA_PL_WEIGHTS] = (lamina_fill_def){.kind = LAMINA_FILL_UNIFORM, .low = 0.1, .high = 2};
  if (exact) lamina_fill_integers(p, fill, -4, 4);
  return !exact || is_exact(p);
}

/* Nothing is exact: a logarithm; halves of odd squares. */
static bool fills_logits(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  fills_differences(p, false, fill);
  fill[LAMINA_PL_TARGET] = (lamina_fill_def){.kind = LAMINA_FILL_UNIFORM, .low = 0, .high = 1};
  return !exact;
}
static bool fills_huber(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  return fills_differences(p, false, fill) && !exact;
}

/* Targets are whole, so that t x isn't rounded: beside the kink a rounded one could fall on its other side. */
static bool fills_hinge(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  const double margin = ((const lamina_binary_hinge *)lamina_attr(p))->margin;
  const bool can = fills_differences(p, exact, fill);
  fill[LAMINA_PL_TARGET] = (lamina_fill_def){.kind = LAMINA_FILL_INTEGERS, .low = -1, .high = 1};
  return can && (!exact || margin == nearbyint(margin));
}

/* x, target, weights; the reduction. */
static int64_t sample_inputs(lamina_problem *p, lamina_draw *draw) {
  lamina_draw_alike(p, draw);
  if (!LAMINA_PICK(draw, "weights", 0, 1)) p->arg[LAMINA_PL_WEIGHTS] = (lamina_desc){0};
  return LAMINA_PICK(draw, "reduction", 0, 1, 2);
}
static void sample(lamina_problem *p, lamina_draw *draw) {
  const int64_t reduction = sample_inputs(p, draw);
  memcpy(p->attr, &reduction, sizeof reduction);
}
static void sample_logits(lamina_problem *p, lamina_draw *draw) {
  const lamina_binary_cross_entropy loss = {.reduction = sample_inputs(p, draw),
                                            .positive = (double)LAMINA_PICK(draw, "positive", 0, 4, 10) / 4,
                                            .has_positive = 1};
  memcpy(p->attr, &loss, sizeof loss);
}
static void sample_huber(lamina_problem *p, lamina_draw *draw) {
  const lamina_huber loss = {.reduction = sample_inputs(p, draw),
                             .delta = (double)LAMINA_PICK(draw, "delta", 1, 10, 23) / 10};
  memcpy(p->attr, &loss, sizeof loss);
}
static void sample_hinge(lamina_problem *p, lamina_draw *draw) {
  const lamina_binary_hinge loss = {.reduction = sample_inputs(p, draw),
                                    .margin = (double)LAMINA_PICK(draw, "margin", 0, 2, 1, -2) / 2,
                                    .has_margin = 1,
                                    .power = LAMINA_PICK(draw, "power", 1, 2)};
  memcpy(p->attr, &loss, sizeof loss);
}

static double flops_few(const lamina_problem *p) { return 4 * (double)lamina_desc_count(&p->arg[LAMINA_PL_X]); }
static double flops_many(const lamina_problem *p) { return 20 * (double)lamina_desc_count(&p->arg[LAMINA_PL_X]); }

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

#define ROW(family, pass, fill, work)                                                                                  \
  .name = #family "/" #pass, .args = pass##_args, .attrs = family##_attrs, .attr_size = sizeof(lamina_##family),       \
  .infer = infer_##pass, .fills = fill, .flops = work
#define ROWS(family, draw, fill, work)                                                                                 \
  {ROW(family, forward, fill, work), .scratch = lamina_pointwise_loss_scratch, .prepare = lamina_##family##_prepare,   \
   .element = lamina_##family##_forward_element, .sample = draw},                                                      \
  {                                                                                                                    \
    ROW(family, backward, fill, work), .element = lamina_##family##_backward_element                                   \
  }
const lamina_op_def lamina_ops_binary_cross_entropy[] = {
    ROWS(binary_cross_entropy, sample_logits, fills_logits, flops_many), {0}};
const lamina_op_def lamina_ops_mse[] = {ROWS(mse, sample, fills_differences, flops_few), {0}};
const lamina_op_def lamina_ops_l1[] = {ROWS(l1, sample, fills_differences, flops_few), {0}};
const lamina_op_def lamina_ops_huber[] = {ROWS(huber, sample_huber, fills_huber, flops_few), {0}};
const lamina_op_def lamina_ops_binary_hinge[] = {ROWS(binary_hinge, sample_hinge, fills_hinge, flops_few), {0}};

#define CALLS(family)                                                                                                  \
  LAMINA_CHECK_ARGS(family##_forward, forward_args);                                                                   \
  LAMINA_CHECK_ARGS(family##_backward, backward_args);                                                                 \
  LAMINA_DEFINE_CALLS(family##_forward, #family "/forward", loss, (x, target, weights, y),                             \
                      const lamina_##family *loss, const lamina_tensor *x, const lamina_tensor *target,                \
                      const lamina_tensor *weights, const lamina_tensor *y)                                            \
  LAMINA_DEFINE_CALLS(family##_backward, #family "/backward", loss, (x, target, weights, dy, dx),                      \
                      const lamina_##family *loss, const lamina_tensor *x, const lamina_tensor *target,                \
                      const lamina_tensor *weights, const lamina_tensor *dy, const lamina_tensor *dx)
CALLS(binary_cross_entropy)
CALLS(mse)
CALLS(l1)
CALLS(huber)
CALLS(binary_hinge)
