/* The reference of layer and group normalisation. Both are rows of neighbouring elements, row after row:
 *
 *   [rows][each][area], w and b [groups * each], row r takes those from r % groups * each on
 *
 * layer_norm has one group, and each element is a channel of area 1. Scratch holds a lamina_moments (forward) or
 * lamina_gradient_sums (backward) for each row; the error bounds are derived there. */
#include "ops/layer_norm.h"

#include "ops/norm_ref.h"

typedef struct shape {
  int64_t rows, groups, each, area;
} shape;

static bool by_groups(const lamina_problem *p) { return lamina_op_at(p->op)->name[0] == 'g'; }

static shape shape_of(const lamina_problem *p) {
  const lamina_desc *x = &p->arg[LAMINA_LN_X];
  shape s = {1, 1, 1, 1};
  if (by_groups(p)) {
    s.groups = ((const lamina_group_norm *)lamina_attr(p))->groups;
    s.rows = x->dims[0] * s.groups, s.each = x->dims[1] / s.groups;
    for (int d = 2; d < x->rank; d++) s.area *= x->dims[d];
  } else {
    const int64_t axis = ((const lamina_layer_norm *)lamina_attr(p))->axis;
    for (int d = 0; d < x->rank; d++) *(d < axis ? &s.rows : &s.each) *= x->dims[d];
  }
  return s;
}

static double epsilon_of(const lamina_reference *ref) {
  return by_groups(ref->problem) ? ((const lamina_group_norm *)ref->attr)->epsilon
                                 : ((const lamina_layer_norm *)ref->attr)->epsilon;
}

enum { MOMENTS = sizeof(lamina_moments) / sizeof(double), SUMS = sizeof(lamina_gradient_sums) / sizeof(double) };
_Static_assert((int)MOMENTS >= (int)SUMS, "scratch has room for either");

int64_t lamina_layer_norm_scratch(const lamina_problem *p) { return shape_of(p).rows * MOMENTS; }

/* Place of element i of row r. */
static int64_t at(const void *of, int64_t r, int64_t i) {
  const shape *s = of;
  return r * s->each * s->area + i;
}

static int64_t row_of(const shape *s, int64_t index) { return index / (s->each * s->area); }
static int64_t channel_of(const shape *s, int64_t index) {
  return row_of(s, index) % s->groups * s->each + index / s->area % s->each;
}

static double number(const lamina_reference *ref, int arg, int64_t channel, double absent) {
  return ref->x[arg] ? ref->x[arg][channel] : absent;
}

/* ---- Forward ---------------------------------------------------------------------------------------------------- */

lamina_status lamina_layer_norm_forward_prepare(const lamina_reference *ref) {
  const shape s = shape_of(ref->problem);
  lamina_moments *m = (lamina_moments *)ref->scratch;
  for (int64_t r = 0; r < s.rows; r++)
    lamina_moments_of(&m[r], ref->x[LAMINA_LN_X], &s, r, s.each * s.area, at, epsilon_of(ref));
  return LAMINA_OK;
}

void lamina_layer_norm_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const shape s = shape_of(ref->problem);
  const lamina_moments *m = (const lamina_moments *)ref->scratch + (arg == LAMINA_LN_Y ? row_of(&s, index) : index);
  if (arg == LAMINA_LN_Y)
    lamina_normalised(e, m, ref->x[LAMINA_LN_X][index], number(ref, LAMINA_LN_W, channel_of(&s, index), 1),
                      number(ref, LAMINA_LN_B, channel_of(&s, index), 0));
  else if (arg == LAMINA_LN_MEAN)
    *e = (lamina_expected){.value = m->mean, .q = m->mean_q, .terms = (int64_t)m->n};
  else
    *e = (lamina_expected){.value = m->deviation, .q = m->deviation_error};
}

/* ---- Backward --------------------------------------------------------------------------------------------------- */

lamina_status lamina_layer_norm_backward_prepare(const lamina_reference *ref) {
  const shape s = shape_of(ref->problem);
  const int64_t n = s.each * s.area;
  for (int64_t r = 0; r < s.rows; r++) {
    lamina_gradient_sums *sum = (lamina_gradient_sums *)ref->scratch + r;
    *sum = (lamina_gradient_sums){.n = (double)n};
    for (int64_t i = r * n; i < (r + 1) * n; i++) {
      const double g = ref->x[LAMINA_LN_BACK_DY][i] * number(ref, LAMINA_LN_BACK_W, channel_of(&s, i), 1);
      const double p = g * (ref->x[LAMINA_LN_BACK_X][i] - ref->x[LAMINA_LN_BACK_MEAN][r]);
      sum->plain += g, sum->plain_error += g * g;
      sum->moment += p, sum->moment_error += p * p;
    }
    lamina_gradient_sums_end(sum);
  }
  return LAMINA_OK;
}

/* dw or db of a channel: a sum over the rows of its group. */
static void parameter(const lamina_reference *ref, bool weight, int64_t channel, lamina_expected *e) {
  const shape s = shape_of(ref->problem);
  double sum = 0, squares = 0;
  int64_t terms = 0;
  for (int64_t r = channel / s.each; r < s.rows; r += s.groups)
    for (int64_t a = 0; a < s.area; a++, terms++) {
      const int64_t i = (r * s.each + channel % s.each) * s.area + a;
      const double d = ref->x[LAMINA_LN_BACK_X][i] - ref->x[LAMINA_LN_BACK_MEAN][r];
      const double p = ref->x[LAMINA_LN_BACK_DY][i] * (weight ? d * ref->x[LAMINA_LN_BACK_DEVIATION][r] : 1);
      sum += p, squares += p * p;
    }
  *e = (lamina_expected){.value = sum, .q = sqrt(squares), .terms = terms};
}

void lamina_layer_norm_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const shape s = shape_of(ref->problem);
  if (arg != LAMINA_LN_BACK_DX) {
    parameter(ref, arg == LAMINA_LN_BACK_DW, index, e);
    return;
  }
  const int64_t r = row_of(&s, index);
  const double w = number(ref, LAMINA_LN_BACK_W, channel_of(&s, index), 1);
  lamina_normalised_backward(e, (const lamina_gradient_sums *)ref->scratch + r, ref->x[LAMINA_LN_BACK_DY][index] * w,
                             ref->x[LAMINA_LN_BACK_X][index] - ref->x[LAMINA_LN_BACK_MEAN][r],
                             ref->x[LAMINA_LN_BACK_DEVIATION][r]);
}
