/* Negative log-likelihood and the hinge of many classes: rows, shapes, references and the typed calls. */
#include "lamina/label_loss.h"

#include "core/classes.h"
#include "core/draw.h"
#include "core/plan.h"
#include "ops/loss.h"

static const lamina_attr_def nll_attrs[] = {LAMINA_REDUCTION_ATTR(lamina_nll),
                                            {.name = "ignore",
                                             .type = LAMINA_ATTR_INT,
                                             .offset = offsetof(lamina_nll, ignore),
                                             .preset = -0x1p63,
                                             .has = offsetof(lamina_nll, has_ignore)},
                                            {0}};
static const lamina_attr_def hinge_attrs[] = {LAMINA_REDUCTION_ATTR(lamina_hinge),
                                              {.name = "margin",
                                               .type = LAMINA_ATTR_REAL,
                                               .offset = offsetof(lamina_hinge, margin),
                                               .preset = 1,
                                               .has = offsetof(lamina_hinge, has_margin),
                                               .least = -1e6,
                                               .most = 1e6},
                                              {.name = "power",
                                               .type = LAMINA_ATTR_INT,
                                               .offset = offsetof(lamina_hinge, power),
                                               .preset = 1,
                                               .least = 1,
                                               .most = 2},
                                              {0}};

enum { X, LABELS, WEIGHTS, Y, DY = Y, DX };       /* all passes but nll's backward */
enum { NLL_LABELS, NLL_WEIGHTS, NLL_DY, NLL_DX }; /* that one: it takes no x */
static const lamina_arg_def forward_args[] = {{"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                              {"labels", LAMINA_IN, false, LAMINA_INTEGER, NULL},
                                              {"weights", LAMINA_IN, true, LAMINA_FLOATING, NULL},
                                              {"y", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                              {0}};
static const lamina_arg_def nll_backward_args[] = {{"labels", LAMINA_IN, false, LAMINA_INTEGER, NULL},
                                                   {"weights", LAMINA_IN, true, LAMINA_FLOATING, NULL},
                                                   {"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                                   {"dx", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                                   {0}};
static const lamina_arg_def hinge_backward_args[] = {
    {"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},      {"labels", LAMINA_IN, false, LAMINA_INTEGER, NULL},
    {"weights", LAMINA_IN, true, LAMINA_FLOATING, NULL}, {"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},
    {"dx", LAMINA_OUT, false, LAMINA_FLOATING, NULL},    {0}};
LAMINA_CHECK_ARGS(nll_forward, forward_args);
LAMINA_CHECK_ARGS(nll_backward, nll_backward_args);
LAMINA_CHECK_ARGS(hinge_forward, forward_args);
LAMINA_CHECK_ARGS(hinge_backward, hinge_backward_args);

/* ---- Shapes ----------------------------------------------------------------------------------------------------- */

/* Checks scores and what goes with them; gives the dims of y (and dy). */
static lamina_status check(const lamina_problem *p, int x, int labels, int weights, int64_t dims[LAMINA_MAX_RANK],
                           int *rank) {
  int64_t each[LAMINA_MAX_RANK];
  LAMINA_TRY(lamina_want_classes(p, x, labels));
  LAMINA_TRY(lamina_want_dims(p, weights, 1, &p->arg[x].dims[1]));
  *rank = lamina_loss_dims(p, lamina_label_dims(&p->arg[x], each), each, dims);
  return LAMINA_OK;
}

static lamina_status infer_forward(lamina_problem *p) {
  int64_t dims[LAMINA_MAX_RANK];
  int rank;
  LAMINA_TRY(check(p, X, LABELS, WEIGHTS, dims, &rank));
  return lamina_set_output(p, Y, (lamina_dtype)p->arg[X].dtype, rank, dims);
}

static lamina_status infer_nll_backward(lamina_problem *p) {
  int64_t dims[LAMINA_MAX_RANK];
  int rank;
  LAMINA_TRY(lamina_want_shape(p, NLL_DX));
  LAMINA_TRY(check(p, NLL_DX, NLL_LABELS, NLL_WEIGHTS, dims, &rank));
  return lamina_want_dims(p, NLL_DY, rank, dims);
}

static lamina_status infer_hinge_backward(lamina_problem *p) {
  const lamina_desc *x = &p->arg[X];
  int64_t dims[LAMINA_MAX_RANK];
  int rank;
  LAMINA_TRY(check(p, X, LABELS, WEIGHTS, dims, &rank));
  LAMINA_TRY(lamina_want_dims(p, DY, rank, dims));
  return lamina_set_output(p, DX, (lamina_dtype)x->dtype, x->rank, x->dims);
}

/* ---- References -------------------------------------------------------------------------------------------------- *
 * Error bounds per unit roundoff: a product rounds once; z = margin - x[t] + x[c] is off by its terms' and its own
 * rounding; the sum over C terms by sqrt(C) of their sizes. */
typedef struct term {
  double value, bound;
} term;

static double weight_of(const double *weights, int64_t label) { return weights ? weights[label] : 1; }

/* max(0, z)^power and its slope. Where z is 0 but for its rounding, the loss of power 1 may be as large as that. */
static term hinge_loss(const lamina_hinge *loss, double mine, double other) {
  const double z = loss->margin - mine + other, bound = fabs(loss->margin) + 2 * fabs(mine) + 2 * fabs(other) + fabs(z);
  if (z <= 0) return (term){0, loss->power == 1 ? bound : 0};
  return loss->power == 1 ? (term){z, bound} : (term){z * z, 2 * z * bound + z * z};
}
static term hinge_slope(const lamina_hinge *loss, double mine, double other) {
  const double z = loss->margin - mine + other, bound = fabs(loss->margin) + 2 * fabs(mine) + 2 * fabs(other) + fabs(z);
  if (z <= 0) return (term){0, loss->power == 1 ? 0 : 2 * bound};
  if (isnan(z)) return (term){z, 0};
  return loss->power == 1 ? (term){1, 0} : (term){2 * z, 2 * (bound + z)};
}

/* The sum of `of` over the classes but the label's. */
static term sum_others(const lamina_hinge *loss, const lamina_classes *k, const double *x, int64_t label,
                       term (*of)(const lamina_hinge *, double, double)) {
  term sum = {0, 0};
  double size = 0;
  for (int64_t c = 0; c < k->C; c++) {
    if (c == label) continue;
    const term t = of(loss, x[label * k->S], x[c * k->S]);
    sum.value += t.value, sum.bound += t.bound, size += fabs(t.value);
  }
  return (term){sum.value, sum.bound + sqrt((double)k->C) * size};
}

static bool is_nll(const lamina_reference *ref) {
  return strncmp(lamina_op_at(ref->problem->op)->name, "nll/", 4) == 0;
}
static int64_t ignore_of(const lamina_reference *ref) {
  return is_nll(ref) ? ((const lamina_nll *)ref->attr)->ignore : INT64_MIN;
}

static term loss_of(const lamina_reference *ref, const lamina_classes *k, int64_t m) {
  const int64_t label = lamina_label_class(ref->i[LABELS][m], k->C, ignore_of(ref));
  const double *x = ref->x[X] + lamina_classes_at(k, m);
  if (label < 0) return (term){label == LAMINA_LABEL_BAD ? (double)NAN : 0, 0};
  const double w = weight_of(ref->x[WEIGHTS], label);
  if (is_nll(ref)) return (term){-w * x[label * k->S], fabs(w * x[label * k->S])};
  const term sum = sum_others(ref->attr, k, x, label, hinge_loss);
  const double factor = w / (double)k->C;
  return (term){factor * sum.value, fabs(factor) * (sum.bound + 3 * fabs(sum.value))};
}

/* What a mean divides by, and the bound of its relative error. */
static void set_divisor(const lamina_reference *ref, const lamina_classes *k, const int64_t *labels,
                        const double *weights, lamina_total *total) {
  double by = 0, size = 0;
  for (int64_t m = 0; m < k->M; m++) {
    const int64_t label = lamina_label_class(labels[m], k->C, ignore_of(ref));
    by += label >= 0 && is_nll(ref) ? weight_of(weights, label) : label != LAMINA_LABEL_IGNORED;
    size += label >= 0 && is_nll(ref) ? fabs(weight_of(weights, label)) : 1;
  }
  total->by = by;
  total->by_bound = is_nll(ref) && weights ? sqrt((double)k->M) * size / fabs(by) : 0;
}

/* scratch: a lamina_total */
_Static_assert(sizeof(lamina_total) % sizeof(double) == 0, "it lies in an array of doubles");
static int64_t scratch(const lamina_problem *p) {
  (void)p;
  return sizeof(lamina_total) / sizeof(double);
}
static lamina_total *total_of(const lamina_reference *ref) { return (lamina_total *)(void *)ref->scratch; }

static lamina_status prepare_forward(const lamina_reference *ref) {
  const lamina_classes k = lamina_classes_of(&ref->problem->arg[X]);
  *total_of(ref) = (lamina_total){0};
  set_divisor(ref, &k, ref->i[LABELS], ref->x[WEIGHTS], total_of(ref));
  for (int64_t m = 0; m < k.M && lamina_reduction_of(ref->attr) != LAMINA_REDUCTION_NONE; m++) {
    const term l = loss_of(ref, &k, m);
    lamina_total_add(total_of(ref), l.value, l.bound);
  }
  return LAMINA_OK;
}

static void element_forward(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_classes k = lamina_classes_of(&ref->problem->arg[X]);
  const lamina_reduction reduction = lamina_reduction_of(ref->attr);
  (void)arg;
  if (reduction == LAMINA_REDUCTION_NONE) {
    const term l = loss_of(ref, &k, index);
    *e = (lamina_expected){.value = l.value, .q = l.bound};
  } else {
    *e = lamina_total_expected(total_of(ref), k.M, reduction);
  }
}

static lamina_status prepare_nll_backward(const lamina_reference *ref) {
  const lamina_classes k = lamina_classes_of(&ref->problem->arg[NLL_DX]);
  set_divisor(ref, &k, ref->i[NLL_LABELS], ref->x[NLL_WEIGHTS], total_of(ref));
  return LAMINA_OK;
}
static lamina_status prepare_hinge_backward(const lamina_reference *ref) {
  const lamina_classes k = lamina_classes_of(&ref->problem->arg[X]);
  set_divisor(ref, &k, ref->i[LABELS], ref->x[WEIGHTS], total_of(ref));
  return LAMINA_OK;
}

/* slope * dy, with what the mean divides by: a product and a quotient more. */
static lamina_expected gradient(const lamina_reference *ref, const double *dy, int64_t m, term slope) {
  const bool mean = lamina_reduction_of(ref->attr) == LAMINA_REDUCTION_MEAN;
  const lamina_total *total = total_of(ref);
  const double by = dy[lamina_loss_dy(ref->attr, m)] / (mean ? total->by : 1), dx = slope.value * by;
  return (lamina_expected){
      .value = dx, .q = fabs(by) * (slope.bound + 3 * fabs(slope.value)) + (mean ? total->by_bound * fabs(dx) : 0)};
}

/* Element `index` of dx is class c of example m. */
static int64_t example_of(const lamina_classes *k, int64_t index, int64_t *c) {
  *c = index / k->S % k->C;
  return index / (k->C * k->S) * k->S + index % k->S;
}

static void element_nll_backward(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_classes k = lamina_classes_of(&ref->problem->arg[arg]);
  int64_t c;
  const int64_t m = example_of(&k, index, &c), label = lamina_label_class(ref->i[NLL_LABELS][m], k.C, ignore_of(ref));
  if (label == LAMINA_LABEL_BAD)
    *e = (lamina_expected){.value = (double)NAN};
  else if (label != c)
    *e = (lamina_expected){.terms = -1};
  else
    *e = gradient(ref, ref->x[NLL_DY], m, (term){-weight_of(ref->x[NLL_WEIGHTS], c), 0});
}

static void element_hinge_backward(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_classes k = lamina_classes_of(&ref->problem->arg[arg]);
  int64_t c;
  const int64_t m = example_of(&k, index, &c), label = lamina_label_class(ref->i[LABELS][m], k.C, INT64_MIN);
  if (label == LAMINA_LABEL_BAD) {
    *e = (lamina_expected){.value = (double)NAN};
    return;
  }
  const double *x = ref->x[X] + lamina_classes_at(&k, m), w = weight_of(ref->x[WEIGHTS], label) / (double)k.C;
  const term s = c == label ? sum_others(ref->attr, &k, x, label, hinge_slope)
                            : hinge_slope(ref->attr, x[label * k.S], x[c * k.S]);
  *e = gradient(ref, ref->x[DY], m, (term){(c == label ? -w : w) * s.value, fabs(w) * (s.bound + 2 * fabs(s.value))});
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

static void fill_labels(lamina_fill_def *fill, const lamina_desc *x, int64_t least) {
  *fill = (lamina_fill_def){.kind = LAMINA_FILL_INTEGERS, .low = (double)least, .high = (double)x->dims[1] - 1};
}

/* Integers stay whole but in a mean. The label -1 comes up where it is ignored. */
static bool fills_nll(const lamina_problem *p, bool exact, lamina_fill_def *fill, int x, int labels, int weights) {
  const lamina_nll *loss = lamina_attr(p);
  if (exact) lamina_fill_integers(p, fill, -4, 4);
  if (!exact) fill[weights] = (lamina_fill_def){.kind = LAMINA_FILL_UNIFORM, .low = 0.1, .high = 2};
  fill_labels(&fill[labels], &p->arg[x], loss->ignore == -1 ? -1 : 0);
  return !exact || loss->reduction != LAMINA_REDUCTION_MEAN;
}
static bool fills_nll_forward(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  return fills_nll(p, exact, fill, X, LABELS, WEIGHTS);
}
static bool fills_nll_backward(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  return fills_nll(p, exact, fill, NLL_DX, NLL_LABELS, NLL_WEIGHTS);
}

/* Divided by C, integers are whole no more. */
static bool fills_hinge(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  fill[WEIGHTS] = (lamina_fill_def){.kind = LAMINA_FILL_UNIFORM, .low = 0.1, .high = 2};
  fill_labels(&fill[LABELS], &p->arg[X], 0);
  return !exact;
}

static void sample_inputs(lamina_problem *p, lamina_draw *draw, int64_t batch) {
  const int rank = (int)LAMINA_PICK(draw, "rank", 2, 2, 3, 4);
  int64_t x[LAMINA_MAX_RANK] = {batch}, labels[LAMINA_MAX_RANK];
  x[1] = LAMINA_PICK(draw, "classes", 1, 2, 10, 17, 101);
  for (int d = 2; d < rank; d++) x[d] = LAMINA_PICK(draw, "size", 1, 2, 3, 5);
  p->arg[X] = lamina_draw_shape(draw, rank, x);
  lamina_label_dims(&p->arg[X], labels);
  p->arg[LABELS] = lamina_dense((lamina_dtype)LAMINA_PICK(draw, "labels", LAMINA_I32, LAMINA_I64), rank - 1, labels);
  if (LAMINA_PICK(draw, "weights", 0, 1)) p->arg[WEIGHTS] = lamina_draw_shape(draw, 1, &x[1]);
}

/* Where a label may be ignored there are many, and at least two classes, so that some count. */
static void sample_nll(lamina_problem *p, lamina_draw *draw) {
  lamina_nll loss = {.reduction = LAMINA_PICK(draw, "reduction", 0, 1, 2)};
  const int64_t batch = LAMINA_PICK(draw, "batch", 1, 2, 5, 33, 0);
  loss.has_ignore = LAMINA_PICK(draw, "ignore", 0, 1) && (batch == 33 || loss.reduction != LAMINA_REDUCTION_MEAN);
  if (loss.has_ignore) loss.ignore = -1;
  sample_inputs(p, draw, batch);
  if (loss.reduction == LAMINA_REDUCTION_MEAN && p->arg[X].dims[1] == 1) loss.has_ignore = 0, loss.ignore = 0;
  memcpy(p->attr, &loss, sizeof loss);
}

static void sample_hinge(lamina_problem *p, lamina_draw *draw) {
  const lamina_hinge loss = {.reduction = LAMINA_PICK(draw, "reduction", 0, 1, 2),
                             .margin = (double)LAMINA_PICK(draw, "margin", 0, 2, 1, -1) / 2,
                             .has_margin = 1,
                             .power = LAMINA_PICK(draw, "power", 1, 2)};
  sample_inputs(p, draw, LAMINA_PICK(draw, "batch", 1, 2, 5, 33, 0));
  memcpy(p->attr, &loss, sizeof loss);
}

static double flops_hinge(const lamina_problem *p) { return 4 * (double)lamina_desc_count(&p->arg[X]); }

const lamina_op_def lamina_ops_nll[] = {{.name = "nll/forward",
                                         .args = forward_args,
                                         .attrs = nll_attrs,
                                         .attr_size = sizeof(lamina_nll),
                                         .infer = infer_forward,
                                         .scratch = scratch,
                                         .prepare = prepare_forward,
                                         .element = element_forward,
                                         .fills = fills_nll_forward,
                                         .sample = sample_nll},
                                        {.name = "nll/backward",
                                         .args = nll_backward_args,
                                         .attrs = nll_attrs,
                                         .attr_size = sizeof(lamina_nll),
                                         .infer = infer_nll_backward,
                                         .scratch = scratch,
                                         .prepare = prepare_nll_backward,
                                         .element = element_nll_backward,
                                         .fills = fills_nll_backward},
                                        {0}};

const lamina_op_def lamina_ops_hinge[] = {{.name = "hinge/forward",
                                           .args = forward_args,
                                           .attrs = hinge_attrs,
                                           .attr_size = sizeof(lamina_hinge),
                                           .infer = infer_forward,
                                           .scratch = scratch,
                                           .prepare = prepare_forward,
                                           .element = element_forward,
                                           .fills = fills_hinge,
                                           .sample = sample_hinge,
                                           .flops = flops_hinge},
                                          {.name = "hinge/backward",
                                           .args = hinge_backward_args,
                                           .attrs = hinge_attrs,
                                           .attr_size = sizeof(lamina_hinge),
                                           .infer = infer_hinge_backward,
                                           .scratch = scratch,
                                           .prepare = prepare_hinge_backward,
                                           .element = element_hinge_backward,
                                           .fills = fills_hinge,
                                           .flops = flops_hinge},
                                          {0}};

LAMINA_DEFINE_CALLS(nll_forward, "nll/forward", loss, (x, labels, weights, y), const lamina_nll *loss,
                    const lamina_tensor *x, const lamina_tensor *labels, const lamina_tensor *weights,
                    const lamina_tensor *y)
LAMINA_DEFINE_CALLS(nll_backward, "nll/backward", loss, (labels, weights, dy, dx), const lamina_nll *loss,
                    const lamina_tensor *labels, const lamina_tensor *weights, const lamina_tensor *dy,
                    const lamina_tensor *dx)
LAMINA_DEFINE_CALLS(hinge_forward, "hinge/forward", loss, (x, labels, weights, y), const lamina_hinge *loss,
                    const lamina_tensor *x, const lamina_tensor *labels, const lamina_tensor *weights,
                    const lamina_tensor *y)
LAMINA_DEFINE_CALLS(hinge_backward, "hinge/backward", loss, (x, labels, weights, dy, dx), const lamina_hinge *loss,
                    const lamina_tensor *x, const lamina_tensor *labels, const lamina_tensor *weights,
                    const lamina_tensor *dy, const lamina_tensor *dx)
