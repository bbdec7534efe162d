/* The references of softmax and log-softmax, with the first-order error bounds of the usual f32 formulas, per unit
 * roundoff u. d[i] = x[i] - m rounds once, so e[i] = exp(d[i]) is off by (|d[i]| + 2) u of itself: the argument's error
 * and a faithful exp. The sum s of n of them is off by
 *   S = sum over j of y[j] * (|d[j]| + 2)  +  sqrt(n)          (rounding errors of n additions, as random as in any sum)
 * of itself. The same sqrt(n) goes with every other sum along a row. What falls below f32's smallest normal number may
 * become 0: UNDERFLOW_BOUND u. */
#include "ops/softmax.h"

#include <math.h>

static const double UNDERFLOW_BOUND = 0x1p-102;

/* A tensor as [outer, n, inner]; scratch holds EACH numbers for each of its outer * inner rows. */
typedef struct shape {
  int64_t outer, n, inner;
} shape;

enum { MAX, SUM, SUM_ERROR };      /* forward */
enum { DOT, DOT_ERROR, EACH = 3 }; /* backward: sum of y*dy (of dy for log_softmax), and its error bound */

static shape shape_of(const lamina_problem *p) {
  const lamina_desc *desc = &p->arg[0]; /* all arguments are alike */
  const lamina_softmax *softmax = lamina_attr(p);
  shape s = {1, desc->dims[softmax->axis], 1};
  for (int d = 0; d < desc->rank; d++)
    if (d < softmax->axis)
      s.outer *= desc->dims[d];
    else if (d > softmax->axis)
      s.inner *= desc->dims[d];
  return s;
}

int64_t lamina_softmax_scratch(const lamina_problem *p) {
  const shape s = shape_of(p);
  return EACH * s.outer * s.inner;
}

/* First element of row `r`. */
static int64_t start_of(shape s, int64_t r) { return r / s.inner * s.n * s.inner + r % s.inner; }

/* The scratch of the row that element `index` lies in. */
static const double *row_of(const lamina_reference *ref, int64_t index) {
  const shape s = shape_of(ref->problem);
  return ref->scratch + EACH * (index / (s.n * s.inner) * s.inner + index % s.inner);
}

/* A bound only where there is a number to bound. */
static void bounded(lamina_expected *e, double value, double bound) {
  *e = (lamina_expected){.value = value, .q = isfinite(value) ? bound + UNDERFLOW_BOUND : 0, .terms = 0};
}

/* ---- Forward ---------------------------------------------------------------------------------------------------- */

lamina_status lamina_softmax_forward_prepare(const lamina_reference *ref) {
  const shape s = shape_of(ref->problem);
  for (int64_t r = 0; r < s.outer * s.inner; r++) {
    const double *x = ref->x[LAMINA_SOFTMAX_FORWARD_X] + start_of(s, r);
    double *row = ref->scratch + EACH * r, sum = 0, error = 0, max = s.n ? x[0] : 0;
    for (int64_t i = 1; i < s.n; i++)
      if (x[i * s.inner] > max || isnan(x[i * s.inner])) max = x[i * s.inner];
    for (int64_t i = 0; i < s.n; i++) {
      const double d = x[i * s.inner] - max, e = exp(d);
      sum += e;
      if (e > 0) error += e * (fabs(d) + 2);
    }
    row[MAX] = max;
    row[SUM] = sum;
    row[SUM_ERROR] = error / sum + sqrt((double)s.n);
  }
  return LAMINA_OK;
}

/* e[i] / s: both errors, and the quotient's. */
void lamina_softmax_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg;
  const double *row = row_of(ref, index), d = ref->x[LAMINA_SOFTMAX_FORWARD_X][index] - row[MAX];
  const double y = exp(d) / row[SUM];
  bounded(e, y, y > 0 ? y * (fabs(d) + 2 + row[SUM_ERROR] + 1) : 0);
}

/* d - log(s): d's rounding, s's error (a relative one becomes absolute), the logarithm's and the difference's. */
void lamina_log_softmax_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg;
  const double *row = row_of(ref, index), d = ref->x[LAMINA_SOFTMAX_FORWARD_X][index] - row[MAX];
  const double logarithm = log(row[SUM]), y = d - logarithm;
  bounded(e, y, fabs(d) + row[SUM_ERROR] + 2 * logarithm + fabs(y));
}

/* ---- Backward --------------------------------------------------------------------------------------------------- */

/* Sums y*dy, or dy alone where y is NULL, along each row. */
static void sum_rows(const lamina_reference *ref, const double *y) {
  const shape s = shape_of(ref->problem);
  for (int64_t r = 0; r < s.outer * s.inner; r++) {
    const int64_t start = start_of(s, r);
    double *row = ref->scratch + EACH * r, sum = 0, squares = 0;
    for (int64_t i = start; i < start + s.n * s.inner; i += s.inner) {
      const double product = ref->x[LAMINA_SOFTMAX_BACKWARD_DY][i] * (y ? y[i] : 1);
      sum += product;
      squares += product * product;
    }
    row[DOT] = sum;
    row[DOT_ERROR] = sqrt((double)s.n) * (sqrt(squares) + fabs(sum));
  }
}

lamina_status lamina_softmax_backward_prepare(const lamina_reference *ref) {
  sum_rows(ref, ref->x[LAMINA_SOFTMAX_BACKWARD_Y]);
  return LAMINA_OK;
}

lamina_status lamina_log_softmax_backward_prepare(const lamina_reference *ref) {
  sum_rows(ref, NULL);
  return LAMINA_OK;
}

/* y * (dy - dot): the sum's error, a difference and a product. */
void lamina_softmax_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg;
  const double *row = row_of(ref, index), y = ref->x[LAMINA_SOFTMAX_BACKWARD_Y][index];
  const double dx = y * (ref->x[LAMINA_SOFTMAX_BACKWARD_DY][index] - row[DOT]);
  bounded(e, dx, fabs(y) * row[DOT_ERROR] + 2 * fabs(dx));
}

/* dy - exp(y) * sum: the sum's error, exp's, a product and a difference. */
void lamina_log_softmax_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg;
  const double *row = row_of(ref, index), y = ref->x[LAMINA_SOFTMAX_BACKWARD_Y][index];
  const double p = exp(y), dx = ref->x[LAMINA_SOFTMAX_BACKWARD_DY][index] - p * row[DOT];
  bounded(e, dx, (p > 0 ? p * (row[DOT_ERROR] + (fabs(y) + 3) * fabs(row[DOT])) : 0) + fabs(dx));
}
