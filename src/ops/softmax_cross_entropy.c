/* Softmax cross-entropy: rows, shapes, reference and the typed calls. */
#include <math.h>

#include "core/draw.h"
#include "core/plan.h"
#include "lamina/loss.h"
#include "ops/classes.h"

static const char *const reductions[] = {"mean", "sum", "none", NULL};
static const lamina_attr_def attrs[] = {{.name = "reduction",
                                         .type = LAMINA_ATTR_ENUM,
                                         .offset = offsetof(lamina_softmax_cross_entropy, reduction),
                                         .choices = reductions},
                                        {0}};

enum { X, LABELS, Y, PROB };
static const lamina_arg_def forward_args[] = {{"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                              {"labels", LAMINA_IN, false, LAMINA_INTEGER, NULL},
                                              {"y", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                              {"prob", LAMINA_SAVED, true, LAMINA_FLOATING, NULL},
                                              {0}};
enum { B_PROB, B_LABELS, B_DY, B_DX };
static const lamina_arg_def backward_args[] = {{"prob", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                               {"labels", LAMINA_IN, false, LAMINA_INTEGER, NULL},
                                               {"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                               {"dx", LAMINA_OUT, false, LAMINA_FLOATING, "prob"},
                                               {0}};
LAMINA_CHECK_ARGS(softmax_cross_entropy_forward, forward_args);
LAMINA_CHECK_ARGS(softmax_cross_entropy_backward, backward_args);

static lamina_reduction reduction_of(const void *attr) {
  return (lamina_reduction)((const lamina_softmax_cross_entropy *)attr)->reduction;
}

/* The dims of y (and dy); returns how many. */
static int loss_dims(const lamina_problem *p, const lamina_desc *x, int64_t dims[LAMINA_MAX_RANK]) {
  if (reduction_of(lamina_attr(p)) == LAMINA_REDUCTION_NONE) return lamina_label_dims(x, dims);
  dims[0] = 1;
  return 1;
}

static lamina_status infer_forward(lamina_problem *p) {
  const lamina_desc *x = &p->arg[X];
  int64_t dims[LAMINA_MAX_RANK];
  LAMINA_TRY(lamina_want_classes(p, X, LABELS));
  LAMINA_TRY(lamina_set_output(p, Y, (lamina_dtype)x->dtype, loss_dims(p, x, dims), dims));
  return lamina_set_output(p, PROB, (lamina_dtype)x->dtype, x->rank, x->dims);
}

static lamina_status infer_backward(lamina_problem *p) {
  const lamina_desc *prob = &p->arg[B_PROB];
  int64_t dims[LAMINA_MAX_RANK];
  LAMINA_TRY(lamina_want_classes(p, B_PROB, B_LABELS));
  LAMINA_TRY(lamina_want_dims(p, B_DY, loss_dims(p, prob, dims), dims));
  return lamina_set_output(p, B_DX, (lamina_dtype)prob->dtype, prob->rank, prob->dims);
}

/* ---- The reference ---------------------------------------------------------------------------------------------- *
 * First-order error bounds, per unit roundoff, with d = x - m:
 *   exp(d)  relative |d| (d itself was rounded) + 4 (a good exp)
 *   S       their sum over C classes: the mean of these, weighted by p, + sqrt(C) for the summation
 *   p       relative: exp's + S's + 2 (reciprocal, product); exp may underflow to 0 below 2^-126 = 2^-102 u
 *   l       S's relative error (log turns it into an absolute one) + 2|log S| + |d| of the label + |l|
 *   sum l   the sum of these + sqrt(M)|sum| for the summation; the mean 2 more for the division */
typedef struct example {
  double max, sum, spread; /* m, S and S's relative error */
  double loss, bound;
} example;

/* scratch: [sum of the losses, sum of their bounds, sum of their sizes | an `example` for each label] */
enum { TOTAL, BOUND, SIZE, EXAMPLES };
_Static_assert(sizeof(example) % sizeof(double) == 0, "examples lie in an array of doubles");

static int64_t scratch(const lamina_problem *p) {
  return EXAMPLES + lamina_classes_of(&p->arg[X]).M * (int64_t)(sizeof(example) / sizeof(double));
}

static example *examples_of(const lamina_reference *ref) { return (example *)(void *)(ref->scratch + EXAMPLES); }

static example example_of(const double *x, const lamina_classes *k, int64_t label) {
  example e = {.max = -(double)INFINITY};
  for (int64_t c = 0; c < k->C; c++)
    if (x[c * k->S] > e.max) e.max = x[c * k->S];
  for (int64_t c = 0; c < k->C; c++) {
    const double d = x[c * k->S] - e.max, t = exp(d);
    e.sum += t;
    if (t > 0) e.spread += t * (fabs(d) + 4);
  }
  e.spread = e.spread / e.sum + sqrt((double)k->C);
  const bool valid = label >= 0 && label < k->C;
  const double d = valid ? x[label * k->S] - e.max : (double)NAN;
  e.loss = log(e.sum) - d;
  e.bound = e.spread + 2 * log(e.sum) + fabs(d) + fabs(e.loss);
  return e;
}

static lamina_status prepare(const lamina_reference *ref) {
  const lamina_classes k = lamina_classes_of(&ref->problem->arg[X]);
  double *s = ref->scratch;
  s[TOTAL] = s[BOUND] = s[SIZE] = 0;
  for (int64_t m = 0; m < k.M; m++) {
    const example e = example_of(ref->x[X] + lamina_classes_at(&k, m), &k, ref->i[LABELS][m]);
    examples_of(ref)[m] = e;
    s[TOTAL] += e.loss, s[BOUND] += e.bound, s[SIZE] += fabs(e.loss);
  }
  return LAMINA_OK;
}

static void element_forward(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_classes k = lamina_classes_of(&ref->problem->arg[X]);
  const double *s = ref->scratch;
  const lamina_reduction reduction = reduction_of(ref->attr);
  if (arg == PROB) {
    const example *at = &examples_of(ref)[index / (k.C * k.S) * k.S + index % k.S];
    const double d = ref->x[X][index] - at->max, p = exp(d) / at->sum;
    *e = (lamina_expected){.value = p, .q = p == 0 ? 0x1p-102 : p * (fabs(d) + at->spread + 6) + 0x1p-102};
  } else if (reduction == LAMINA_REDUCTION_NONE) {
    *e = (lamina_expected){.value = examples_of(ref)[index].loss, .q = examples_of(ref)[index].bound};
  } else {
    const double by = reduction == LAMINA_REDUCTION_MEAN ? (double)k.M : 1;
    *e = (lamina_expected){.value = s[TOTAL] / by, .q = (s[BOUND] + (sqrt((double)k.M) + 2) * s[SIZE]) / by};
  }
}

/* (p - 1 or 0) * (dy / M): a difference, a quotient that may be a product with a rounded reciprocal, a product. */
static void element_backward(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg;
  const lamina_classes k = lamina_classes_of(&ref->problem->arg[B_PROB]);
  const lamina_reduction reduction = reduction_of(ref->attr);
  const int64_t m = index / (k.C * k.S) * k.S + index % k.S, label = ref->i[B_LABELS][m];
  const double dy = ref->x[B_DY][reduction == LAMINA_REDUCTION_NONE ? m : 0];
  const double p = ref->x[B_PROB][index] - (index / k.S % k.C == label);
  const double dx = p * dy / (reduction == LAMINA_REDUCTION_MEAN ? (double)k.M : 1);
  if (label < 0 || label >= k.C)
    *e = (lamina_expected){.value = (double)NAN};
  else
    *e = (lamina_expected){.value = dx, .q = 4 * fabs(dx)};
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

/* Nothing here stays an integer: neither the logarithm of the forward pass, nor prob, which the backward pass gets. */
static bool fill_labels(const lamina_desc *x, bool exact, lamina_fill_def *fill) {
  *fill = (lamina_fill_def){.kind = LAMINA_FILL_INTEGERS, .low = 0, .high = (double)x->dims[1] - 1};
  return !exact;
}
static bool fills_forward(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  return fill_labels(&p->arg[X], exact, &fill[LABELS]);
}
static bool fills_backward(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  return fill_labels(&p->arg[B_PROB], exact, &fill[B_LABELS]);
}

static void sample(lamina_problem *p, lamina_draw *draw) {
  const lamina_softmax_cross_entropy loss = {.reduction = LAMINA_PICK(draw, "reduction", 0, 1, 2)};
  const int rank = (int)LAMINA_PICK(draw, "rank", 2, 2, 3, 4);
  int64_t x[LAMINA_MAX_RANK], labels[LAMINA_MAX_RANK];
  x[0] = LAMINA_PICK(draw, "batch", 1, 2, 5, 33, 0);
  x[1] = LAMINA_PICK(draw, "classes", 1, 2, 10, 17, 101);
  for (int d = 2; d < rank; d++) x[d] = LAMINA_PICK(draw, "size", 1, 2, 3, 5);
  memcpy(p->attr, &loss, sizeof loss);
  p->arg[X] = lamina_draw_shape(draw, rank, x);
  lamina_label_dims(&p->arg[X], labels);
  p->arg[LABELS] = lamina_dense((lamina_dtype)LAMINA_PICK(draw, "labels", LAMINA_I32, LAMINA_I64), rank - 1, labels);
}

/* A difference, an exponential, a sum and a product for each score. */
static double flops_forward(const lamina_problem *p) { return 4 * (double)lamina_desc_count(&p->arg[X]); }
static double flops_backward(const lamina_problem *p) { return (double)lamina_desc_count(&p->arg[B_PROB]); }

const lamina_op_def lamina_ops_softmax_cross_entropy[] = {{.name = "softmax_cross_entropy/forward",
                                                           .args = forward_args,
                                                           .attrs = attrs,
                                                           .attr_size = sizeof(lamina_softmax_cross_entropy),
                                                           .infer = infer_forward,
                                                           .scratch = scratch,
                                                           .prepare = prepare,
                                                           .element = element_forward,
                                                           .fills = fills_forward,
                                                           .sample = sample,
                                                           .flops = flops_forward},
                                                          {.name = "softmax_cross_entropy/backward",
                                                           .args = backward_args,
                                                           .attrs = attrs,
                                                           .attr_size = sizeof(lamina_softmax_cross_entropy),
                                                           .infer = infer_backward,
                                                           .element = element_backward,
                                                           .fills = fills_backward,
                                                           .flops = flops_backward},
                                                          {0}};

LAMINA_DEFINE_CALLS(softmax_cross_entropy_forward, "softmax_cross_entropy/forward", loss, (x, labels, y, prob),
                    const lamina_softmax_cross_entropy *loss, const lamina_tensor *x, const lamina_tensor *labels,
                    const lamina_tensor *y, const lamina_tensor *prob)
LAMINA_DEFINE_CALLS(softmax_cross_entropy_backward, "softmax_cross_entropy/backward", loss, (prob, labels, dy, dx),
                    const lamina_softmax_cross_entropy *loss, const lamina_tensor *prob, const lamina_tensor *labels,
                    const lamina_tensor *dy, const lamina_tensor *dx)
