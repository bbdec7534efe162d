/* The reference of softmax cross-entropy.
 *
 * First-order error bounds, per unit roundoff, with d = x - m:
 *   exp(d)  relative |d| (d itself was rounded) + 4 (a good exp)
 *   S       their sum over C classes: the mean of these, weighted by p, + sqrt(C) for the summation
 *   p       relative: exp's + S's + 2 (reciprocal, product); exp may underflow to 0 below 2^-126 = 2^-102 u
 *   log p   S's relative error (log turns it into an absolute one) + 2|log S| + |d| + |log p|
 *   f       relative 5: 1 - e, its product, e / C, the sum, the product with w
 *   l       log p's, times |f|; where f isn't 1 at the label and 0 elsewhere, also f's, and sqrt(C) for the sums of
 *           f log S and of f d, which may be taken apart
 *   sum l   the sum of these + sqrt(M)|sum| for the summation; the mean 2 more for the division, and sqrt(M) for the sum
 *           of weights that it divides by
 *   dx      dy (p F - f), F the sum of f: 4 for each of the two, sqrt(C) + 5 for F, 5 for f; where f is 1 or 0, p - 1 is
 *           rounded once, and 4|dx| is the whole */
#include "ops/softmax_cross_entropy.h"

/* What the descriptors say, and which kind they are of. */
typedef struct factors {
  const lamina_reference *ref;
  lamina_classes k;
  int64_t ignore;
  double smoothing;
  bool labels, plain; /* plain: f is 1 at the label and 0 elsewhere */
} factors;

static factors factors_of(const lamina_reference *ref) {
  factors f = {.ref = ref, .k = lamina_classes_of(&ref->problem->arg[XE_X]), .labels = ref->i[XE_TARGET] != NULL};
  if (f.labels) {
    const lamina_softmax_cross_entropy *loss = ref->attr;
    f.ignore = loss->ignore, f.smoothing = loss->label_smoothing;
    f.plain = !ref->x[XE_WEIGHTS] && f.smoothing == 0;
  } else {
    f.smoothing = ((const lamina_softmax_cross_entropy_target *)ref->attr)->label_smoothing;
  }
  return f;
}

static double weight_of(const factors *f, int64_t c) { return f->ref->x[XE_WEIGHTS] ? f->ref->x[XE_WEIGHTS][c] : 1; }

/* The class of example m, BAD or IGNORED; against a target 0. */
static int64_t class_of(const factors *f, int64_t m) {
  return f->labels ? lamina_label_class(f->ref->i[XE_TARGET][m], f->k.C, f->ignore) : 0;
}

/* f of class c of example m, whose label is `label`. */
static double factor_of(const factors *f, int64_t m, int64_t label, int64_t c) {
  const double t = f->labels ? c == label : f->ref->x[XE_TARGET][lamina_classes_at(&f->k, m) + c * f->k.S];
  return weight_of(f, c) * ((1 - f->smoothing) * t + f->smoothing / (double)f->k.C);
}

/* What a mean divides by. */
static void divisor_of(const factors *f, lamina_total *total) {
  double by = 0, size = 0;
  for (int64_t m = 0; m < f->k.M; m++) {
    const int64_t label = class_of(f, m);
    const double w = label == LAMINA_LABEL_IGNORED ? 0 : label < 0 || !f->labels ? 1 : weight_of(f, label);
    by += w, size += fabs(w);
  }
  total->by = by;
  total->by_bound = f->labels && f->ref->x[XE_WEIGHTS] ? sqrt((double)f->k.M) * size / fabs(by) : 0;
}

/* ---- Forward ---------------------------------------------------------------------------------------------------- */

typedef struct example {
  double max, sum, spread; /* m, S and S's relative error */
  double loss, bound;
} example;

/* scratch: [a lamina_total | an `example` for each label] */
enum { TOTAL = sizeof(lamina_total) / sizeof(double), EXAMPLE = sizeof(example) / sizeof(double) };
_Static_assert(sizeof(lamina_total) % sizeof(double) == 0 && sizeof(example) % sizeof(double) == 0,
               "they lie in an array of doubles");

int64_t lamina_cross_entropy_forward_scratch(const lamina_problem *p) {
  return TOTAL + lamina_classes_of(&p->arg[XE_X]).M * EXAMPLE;
}

static example *examples_of(const lamina_reference *ref) { return (example *)(void *)(ref->scratch + TOTAL); }

static example example_of(const factors *f, int64_t m) {
  const double *x = f->ref->x[XE_X] + lamina_classes_at(&f->k, m);
  const int64_t S = f->k.S, C = f->k.C, label = class_of(f, m);
  example e = {.max = -(double)INFINITY};
  for (int64_t c = 0; c < C; c++)
    if (x[c * S] > e.max) e.max = x[c * S];
  for (int64_t c = 0; c < C; c++) {
    const double d = x[c * S] - e.max, t = exp(d);
    e.sum += t;
    if (t > 0) e.spread += t * (fabs(d) + 4);
  }
  e.spread = e.spread / e.sum + sqrt((double)C);
  const double log_sum = log(e.sum), sums = f->plain ? 0 : sqrt((double)C) + 5;
  if (label == LAMINA_LABEL_BAD) e.loss = (double)NAN;
  if (label < 0) return e;
  for (int64_t c = 0; c < C; c++) {
    const double by = factor_of(f, m, label, c), d = x[c * S] - e.max, l = log_sum - d;
    if (by == 0) continue;
    e.loss += by * l;
    e.bound += fabs(by) * (e.spread + 2 * log_sum + fabs(d) + fabs(l) + sums * (log_sum + fabs(d)));
  }
  if (isnan(e.sum)) e.loss = (double)NAN; /* though every factor be 0 */
  return e;
}

lamina_status lamina_cross_entropy_forward_prepare(const lamina_reference *ref) {
  const factors f = factors_of(ref);
  lamina_total *total = (lamina_total *)(void *)ref->scratch;
  *total = (lamina_total){0};
  for (int64_t m = 0; m < f.k.M; m++) {
    const example e = example_of(&f, m);
    examples_of(ref)[m] = e;
    lamina_total_add(total, e.loss, e.bound);
  }
  divisor_of(&f, total);
  return LAMINA_OK;
}

void lamina_cross_entropy_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_classes k = lamina_classes_of(&ref->problem->arg[XE_X]);
  const lamina_reduction reduction = lamina_reduction_of(ref->attr);
  if (arg == XE_PROB) {
    const example *at = &examples_of(ref)[index / (k.C * k.S) * k.S + index % k.S];
    const double d = ref->x[XE_X][index] - at->max, p = exp(d) / at->sum;
    *e = (lamina_expected){.value = p, .q = p == 0 ? 0x1p-102 : p * (fabs(d) + at->spread + 6) + 0x1p-102};
  } else if (reduction == LAMINA_REDUCTION_NONE) {
    *e = (lamina_expected){.value = examples_of(ref)[index].loss, .q = examples_of(ref)[index].bound};
  } else {
    *e = lamina_total_expected((const lamina_total *)(const void *)ref->scratch, k.M, reduction);
  }
}

/* ---- Backward --------------------------------------------------------------------------------------------------- */

/* scratch: [a lamina_total | for each example F and the sum of |f|] */
int64_t lamina_cross_entropy_backward_scratch(const lamina_problem *p) {
  return TOTAL + 2 * lamina_classes_of(&p->arg[XE_B_PROB]).M;
}

lamina_status lamina_cross_entropy_backward_prepare(const lamina_reference *ref) {
  const factors f = factors_of(ref);
  lamina_total *total = (lamina_total *)(void *)ref->scratch;
  *total = (lamina_total){0};
  divisor_of(&f, total);
  for (int64_t m = 0; m < f.k.M; m++) {
    double *sums = ref->scratch + TOTAL + 2 * m;
    const int64_t label = class_of(&f, m);
    sums[0] = sums[1] = 0;
    for (int64_t c = 0; c < f.k.C && label >= 0; c++) {
      const double by = factor_of(&f, m, label, c);
      sums[0] += by, sums[1] += fabs(by);
    }
  }
  return LAMINA_OK;
}

void lamina_cross_entropy_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg;
  const factors f = factors_of(ref);
  const lamina_total *total = (const lamina_total *)(const void *)ref->scratch;
  const int64_t S = f.k.S, C = f.k.C, m = index / (C * S) * S + index % S, label = class_of(&f, m);
  const bool mean = lamina_reduction_of(ref->attr) == LAMINA_REDUCTION_MEAN;
  if (label < 0) {
    *e = (lamina_expected){.value = label == LAMINA_LABEL_BAD ? (double)NAN : 0, .terms = -1};
    return;
  }
  const double *sums = ref->scratch + TOTAL + 2 * m, by = factor_of(&f, m, label, index / S % C);
  const double dy = ref->x[XE_B_DY][lamina_loss_dy(ref->attr, m)] / (mean ? total->by : 1);
  const double p = ref->x[XE_B_PROB][index], dx = dy * (p * sums[0] - by);
  e->value = dx, e->terms = 0;
  e->q = 4 * fabs(dx);
  if (!f.plain) e->q += fabs(dy) * (p * sums[1] * (sqrt((double)C) + 9) + 9 * fabs(by));
  if (mean) e->q += total->by_bound * fabs(dx);
}
