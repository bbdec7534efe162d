/* The reference of the pointwise losses. Each has a function that gives of one element the loss, or its slope, and the
 * first-order error bound per unit roundoff: a rounding for each operation, carried through to the result. The weight is
 * one rounding more, and in the slope dy two (it may be divided by the count). */
#include "ops/pointwise_loss.h"

typedef struct term {
  double value, bound;
} term;
typedef term term_fn(const void *attr, double x, double t);

/* 1 - t; its product with x; a = 1 + (q - 1) t in three roundings; exp relative 4, log1p 4 more, their sum with
 * max(-x, 0) 1; the product with a, the sum of both 1. exp may underflow to 0 below 2^-126 = 2^-102 u. The slope has
 * the same exp in a sum, a quotient and a product. */
static double positive_share(const void *attr, double t, double *bound) {
  const double q = ((const lamina_binary_cross_entropy *)attr)->positive;
  *bound = 3 * (1 + fabs(t) * (1 + q));
  return 1 + (q - 1) * t;
}
static term binary_cross_entropy_loss(const void *attr, double x, double t) {
  double share_bound;
  const double share = positive_share(attr, t, &share_bound), small = log1p(exp(-fabs(x)));
  const double soft = small + (x < 0 ? -x : 0), l = (1 - t) * x + share * soft;
  return (term){l,
                2 * fabs((1 - t) * x) + share_bound * soft + fabs(share) * (9 * small + 2 * soft + 0x1p-102) + fabs(l)};
}
static term binary_cross_entropy_slope(const void *attr, double x, double t) {
  double share_bound;
  const double share = positive_share(attr, t, &share_bound), e = exp(-fabs(x));
  const double sigmoid = (x < 0 ? 1 : e) / (1 + e), s = 1 - t - share * sigmoid; /* of -x */
  return (term){s, fabs(1 - t) + (share_bound + 8 * fabs(share)) * sigmoid + fabs(share) * 0x1p-102 + fabs(s)};
}

static term mse_loss(const void *attr, double x, double t) {
  (void)attr;
  const double l = (x - t) * (x - t);
  return (term){l, 3 * l}; /* the difference counts twice */
}
static term mse_slope(const void *attr, double x, double t) {
  (void)attr;
  return (term){2 * (x - t), 2 * fabs(x - t)};
}

static term l1_loss(const void *attr, double x, double t) {
  (void)attr;
  return (term){fabs(x - t), fabs(x - t)};
}
static term l1_slope(const void *attr, double x, double t) {
  (void)attr;
  const double d = x - t;
  return (term){isnan(d) ? d : (d > 0) - (d < 0), 0};
}

/* Where they meet, both branches have one value and one slope. */
static term huber_loss(const void *attr, double x, double t) {
  const double delta = ((const lamina_huber *)attr)->delta, d = fabs(x - t);
  if (d > delta) return (term){delta * (d - delta / 2), 4 * delta * (d + delta)};
  return (term){d * d / 2, 2 * d * d};
}
static term huber_slope(const void *attr, double x, double t) {
  const double delta = ((const lamina_huber *)attr)->delta, d = x - t, s = d > delta ? delta : d < -delta ? -delta : d;
  return (term){s, fabs(s)};
}

/* margin - t x: the product, the margin's own rounding, the difference. */
static term binary_hinge_loss(const void *attr, double x, double t) {
  const lamina_binary_hinge *loss = attr;
  const double z = loss->margin - t * x, bound = fabs(t * x) + fabs(loss->margin) + fabs(z);
  if (z <= 0) return (term){0, loss->power == 1 ? bound : 0};
  return loss->power == 1 ? (term){z, bound} : (term){z * z, 2 * z * bound + z * z};
}
static term binary_hinge_slope(const void *attr, double x, double t) {
  const lamina_binary_hinge *loss = attr;
  const double z = loss->margin - t * x, bound = fabs(t * x) + fabs(loss->margin) + fabs(z);
  if (z <= 0) return (term){0, loss->power == 1 ? 0 : 2 * fabs(t) * bound};
  if (isnan(z)) return (term){z, 0};
  return loss->power == 1 ? (term){-t, 0} : (term){-2 * t * z, 2 * fabs(t) * (bound + z)};
}

/* ---- All alike -------------------------------------------------------------------------------------------------- */

static term weighted(const lamina_reference *ref, term_fn *of, int64_t i) {
  const double w = ref->x[LAMINA_PL_WEIGHTS] ? ref->x[LAMINA_PL_WEIGHTS][i] : 1;
  const term l = of(ref->attr, ref->x[LAMINA_PL_X][i], ref->x[LAMINA_PL_TARGET][i]);
  return (term){w * l.value, fabs(w) * (l.bound + fabs(l.value))};
}

/* scratch: a lamina_total */
_Static_assert(sizeof(lamina_total) % sizeof(double) == 0, "it lies in an array of doubles");
int64_t lamina_pointwise_loss_scratch(const lamina_problem *p) {
  (void)p;
  return sizeof(lamina_total) / sizeof(double);
}

static lamina_status prepare(const lamina_reference *ref, term_fn *of) {
  lamina_total *total = (lamina_total *)(void *)ref->scratch;
  const int64_t count = lamina_desc_count(&ref->problem->arg[LAMINA_PL_X]);
  *total = (lamina_total){.by = (double)count};
  for (int64_t i = 0; i < count && lamina_reduction_of(ref->attr) != LAMINA_REDUCTION_NONE; i++) {
    const term l = weighted(ref, of, i);
    lamina_total_add(total, l.value, l.bound);
  }
  return LAMINA_OK;
}

static void element_forward(const lamina_reference *ref, term_fn *of, int64_t index, lamina_expected *e) {
  const lamina_reduction reduction = lamina_reduction_of(ref->attr);
  const int64_t count = lamina_desc_count(&ref->problem->arg[LAMINA_PL_X]);
  if (reduction == LAMINA_REDUCTION_NONE) {
    const term l = weighted(ref, of, index);
    *e = (lamina_expected){.value = l.value, .q = l.bound};
  } else {
    *e = lamina_total_expected((const lamina_total *)(const void *)ref->scratch, count, reduction);
  }
}

static void element_backward(const lamina_reference *ref, term_fn *of, int64_t index, lamina_expected *e) {
  const lamina_reduction reduction = lamina_reduction_of(ref->attr);
  const double count = (double)lamina_desc_count(&ref->problem->arg[LAMINA_PL_X]);
  const double dy = ref->x[LAMINA_PL_DY][lamina_loss_dy(ref->attr, index)];
  const double by = reduction == LAMINA_REDUCTION_MEAN ? dy / count : dy;
  const term s = weighted(ref, of, index);
  *e = (lamina_expected){.value = s.value * by, .q = fabs(by) * (s.bound + 3 * fabs(s.value))};
}

#define DEFINE(family)                                                                                                 \
  lamina_status lamina_##family##_prepare(const lamina_reference *ref) { return prepare(ref, family##_loss); }         \
  void lamina_##family##_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {    \
    (void)arg;                                                                                                         \
    element_forward(ref, family##_loss, index, e);                                                                     \
  }                                                                                                                    \
  void lamina_##family##_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {   \
    (void)arg;                                                                                                         \
    element_backward(ref, family##_slope, index, e);                                                                   \
  }
DEFINE(binary_cross_entropy)
DEFINE(mse)
DEFINE(l1)
DEFINE(huber)
DEFINE(binary_hinge)
