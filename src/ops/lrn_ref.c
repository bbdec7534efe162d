/* The references of local response normalisation, with first-order error bounds per unit roundoff u.
 *
 * With a = alpha/n and S the sum of squares in a window of K elements, s = k + a*S is off by
 *   s_error = a * (sqrt(K) * (sqrt(sum x^4) + S) + 3 S) + k + s: the sum as any sum, a, its product, k and the sum round.
 * s^-p may be exp(-p log s): off by p s_error/s of itself, by 3 |p log s| for the logarithm, p and the product, by 4 for
 * exp. */
#include "ops/lrn.h"

#include <math.h>

/* Scratch: planes of one number for each element. */
enum { SQUARES, FOURTH, FORWARD_PLANES };
enum { TERM = FORWARD_PLANES, TERM_SQUARE, TERM_ERROR, BACKWARD_PLANES };

static int64_t count_of(const lamina_problem *p) { return lamina_desc_count(&p->arg[LAMINA_LRN_X]); }
/* And one more line of numbers, along the longest axis. */
static int64_t longest(const lamina_problem *p) {
  int64_t most = 1;
  for (int d = 1; d < p->arg[LAMINA_LRN_X].rank; d++)
    if (p->arg[LAMINA_LRN_X].dims[d] > most) most = p->arg[LAMINA_LRN_X].dims[d];
  return most;
}
int64_t lamina_lrn_forward_scratch(const lamina_problem *p) { return FORWARD_PLANES * count_of(p) + longest(p); }
int64_t lamina_lrn_backward_scratch(const lamina_problem *p) { return BACKWARD_PLANES * count_of(p) + longest(p); }

static double *plane(const lamina_reference *ref, int which) { return ref->scratch + which * count_of(ref->problem); }

/* The elements of a window. */
static double window_of(const lamina_problem *p) {
  const lamina_lrn *lrn = lamina_attr(p);
  return lrn->within ? pow((double)lrn->size, p->arg[LAMINA_LRN_X].rank - 2) : (double)lrn->size;
}

/* Every element becomes the sum over its window, along one axis after the other; `line` holds one line. */
static void sum_windows(const lamina_problem *p, double *v, double *line, int64_t back, int64_t ahead) {
  const lamina_desc *x = &p->arg[LAMINA_LRN_X];
  const bool within = ((const lamina_lrn *)lamina_attr(p))->within;
  for (int axis = within ? 2 : 1; axis < (within ? x->rank : 2); axis++) {
    const int64_t n = x->dims[axis];
    int64_t inner = 1;
    for (int d = axis + 1; d < x->rank; d++) inner *= x->dims[d];
    for (int64_t start = 0; start < count_of(p); start += start % inner == inner - 1 ? (n - 1) * inner + 1 : 1) {
      for (int64_t i = 0; i < n; i++) {
        line[i] = 0;
        for (int64_t j = i - back < 0 ? 0 : i - back; j < n && j <= i + ahead; j++) line[i] += v[start + j * inner];
      }
      for (int64_t i = 0; i < n; i++) v[start + i * inner] = line[i];
    }
  }
}

lamina_status lamina_lrn_forward_prepare(const lamina_reference *ref) {
  const lamina_problem *p = ref->problem;
  const lamina_lrn *lrn = ref->attr;
  double *squares = plane(ref, SQUARES), *fourth = plane(ref, FOURTH);
  double *line =
      ref->scratch + (p->op == lamina_op_find("lrn/forward") ? FORWARD_PLANES : BACKWARD_PLANES) * count_of(p);
  for (int64_t i = 0; i < count_of(p); i++) {
    squares[i] = ref->x[LAMINA_LRN_X][i] * ref->x[LAMINA_LRN_X][i];
    fourth[i] = squares[i] * squares[i];
  }
  sum_windows(p, squares, line, (lrn->size - 1) / 2, lrn->size / 2);
  sum_windows(p, fourth, line, (lrn->size - 1) / 2, lrn->size / 2);
  return LAMINA_OK;
}

/* s^-p of an element, and the bound of its relative error. */
typedef struct power {
  double s, value, error;
} power;
static power power_of(const lamina_reference *ref, int64_t i, double p) {
  const lamina_lrn *lrn = ref->attr;
  const double K = window_of(ref->problem), a = lrn->alpha / K, S = plane(ref, SQUARES)[i];
  const double s = lrn->k + a * S, error = a * (sqrt(K) * (sqrt(plane(ref, FOURTH)[i]) + S) + 3 * S) + lrn->k + s;
  return (power){s, pow(s, -p), p * error / s + 3 * p * fabs(log(s)) + 4};
}

void lamina_lrn_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg;
  const power p = power_of(ref, index, ((const lamina_lrn *)ref->attr)->beta);
  const double y = ref->x[LAMINA_LRN_X][index] * p.value;
  *e = (lamina_expected){.value = y, .q = isfinite(p.s) ? fabs(y) * (p.error + 1) + 0x1p-102 : 0};
}

/* t = dy * x * s^(-beta-1), and its sum over the windows that an element is in. */
lamina_status lamina_lrn_backward_prepare(const lamina_reference *ref) {
  const lamina_problem *p = ref->problem;
  const lamina_lrn *lrn = ref->attr;
  double *term = plane(ref, TERM), *square = plane(ref, TERM_SQUARE), *error = plane(ref, TERM_ERROR);
  double *line = ref->scratch + BACKWARD_PLANES * count_of(p);
  LAMINA_TRY(lamina_lrn_forward_prepare(ref));
  for (int64_t i = 0; i < count_of(p); i++) {
    const power of = power_of(ref, i, lrn->beta + 1);
    term[i] = ref->x[LAMINA_LRN_DY][i] * ref->x[LAMINA_LRN_X][i] * of.value;
    square[i] = term[i] * term[i];
    error[i] = fabs(term[i]) * (of.error + 3);
  }
  for (int which = TERM; which <= TERM_ERROR; which++)
    sum_windows(p, plane(ref, which), line, lrn->size / 2, (lrn->size - 1) / 2);
  return LAMINA_OK;
}

/* dy * s^-beta - c * x * T: the sum T, c's three factors, and two products; a product; the difference. */
void lamina_lrn_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg;
  const lamina_lrn *lrn = ref->attr;
  const double K = window_of(ref->problem), T = plane(ref, TERM)[index];
  const double cx = 2 * lrn->alpha * lrn->beta / K * ref->x[LAMINA_LRN_X][index];
  const double T_error = sqrt(K) * (sqrt(plane(ref, TERM_SQUARE)[index]) + fabs(T)) + plane(ref, TERM_ERROR)[index];
  const power p = power_of(ref, index, lrn->beta);
  const double direct = ref->x[LAMINA_LRN_DY][index] * p.value, dx = direct - cx * T;
  const double bound = fabs(direct) * (p.error + 1) + fabs(cx) * (T_error + 5 * fabs(T)) + fabs(dx);
  *e = (lamina_expected){.value = dx, .q = isfinite(bound) ? bound + 0x1p-102 : 0};
}
