/* The references of batch normalisation. Scratch holds a lamina_moments (forward) or lamina_gradient_sums (backward) for
 * each channel; the error bounds are derived there. */
#include "ops/batch_norm.h"

#include "ops/norm_ref.h"

enum { MOMENTS = sizeof(lamina_moments) / sizeof(double), SUMS = sizeof(lamina_gradient_sums) / sizeof(double) };
_Static_assert((int)MOMENTS >= (int)SUMS, "scratch has room for either");

int64_t lamina_batch_norm_scratch(const lamina_problem *p) { return p->arg[LAMINA_BN_X].dims[1] * MOMENTS; }

/* Place of element i of channel c. */
static int64_t at(const void *shape, int64_t c, int64_t i) {
  const lamina_bn_shape *s = shape;
  return (i / s->area * s->C + c) * s->area + i % s->area;
}

static int64_t channel_of(const lamina_reference *ref, int64_t index) {
  const lamina_bn_shape s = lamina_bn_shape_of(ref->problem);
  return index / s.area % s.C;
}

/* The weight of a channel; its bias. */
static double number(const lamina_reference *ref, int arg, int64_t c, double absent) {
  return ref->x[arg] ? ref->x[arg][c] : absent;
}

/* ---- Forward ---------------------------------------------------------------------------------------------------- */

lamina_status lamina_batch_norm_forward_prepare(const lamina_reference *ref) {
  const lamina_bn_shape s = lamina_bn_shape_of(ref->problem);
  const lamina_batch_norm *bn = ref->attr;
  lamina_moments *m = (lamina_moments *)ref->scratch;
  for (int64_t c = 0; c < s.C; c++) lamina_moments_of(&m[c], ref->x[LAMINA_BN_X], &s, c, s.N * s.area, at, bn->epsilon);
  return LAMINA_OK;
}

/* (1 - momentum) * old + momentum * now: both factors and products round, and the sum. */
static void blend(lamina_expected *e, double old, double momentum, double now, double now_error) {
  const double a = (1 - momentum) * old, b = momentum * now;
  *e = (lamina_expected){.value = a + b, .q = 2 * (fabs(a) + fabs(b)) + momentum * now_error + fabs(a + b)};
}

void lamina_batch_norm_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_batch_norm *bn = ref->attr;
  const lamina_moments *all = (const lamina_moments *)ref->scratch;
  const lamina_moments *m = &all[arg == LAMINA_BN_Y ? channel_of(ref, index) : index];
  const double unbias = m->n / (m->n - 1),
               old = arg < LAMINA_BN_NEW_MEAN ? 0 : ref->x[arg - (LAMINA_BN_NEW_MEAN - LAMINA_BN_RUNNING_MEAN)][index];
  switch (arg) {
  case LAMINA_BN_Y:
    lamina_normalised(e, m, ref->x[LAMINA_BN_X][index], number(ref, LAMINA_BN_W, m - all, 1),
                      number(ref, LAMINA_BN_B, m - all, 0));
    return;
  case LAMINA_BN_MEAN: *e = (lamina_expected){.value = m->mean, .q = m->mean_q, .terms = (int64_t)m->n}; return;
  case LAMINA_BN_DEVIATION: *e = (lamina_expected){.value = m->deviation, .q = m->deviation_error}; return;
  case LAMINA_BN_NEW_MEAN:
    if (m->n > 0)
      blend(e, old, bn->momentum, m->mean, m->mean_error);
    else
      *e = (lamina_expected){.value = old, .terms = -1};
    return;
  default:
    if (m->n > 1)
      blend(e, old, bn->momentum, m->variance * unbias, m->variance_error * unbias);
    else
      *e = (lamina_expected){.value = old, .terms = -1};
  }
}

/* The same with given moments: x - mean may be taken apart, x * s - mean * s, so that the mean's product rounds, too. */
void lamina_batch_norm_inference_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg;
  const int64_t c = channel_of(ref, index);
  lamina_moments m = {.mean = ref->x[LAMINA_BN_RUNNING_MEAN][c], .variance = ref->x[LAMINA_BN_RUNNING_VARIANCE][c]};
  m.mean_error = 2 * fabs(m.mean);
  lamina_moments_deviate(&m, ((const lamina_batch_norm *)ref->attr)->epsilon);
  lamina_normalised(e, &m, ref->x[LAMINA_BN_X][index], number(ref, LAMINA_BN_W, c, 1), number(ref, LAMINA_BN_B, c, 0));
}

/* ---- Backward --------------------------------------------------------------------------------------------------- */

lamina_status lamina_batch_norm_backward_prepare(const lamina_reference *ref) {
  const lamina_bn_shape s = lamina_bn_shape_of(ref->problem);
  lamina_gradient_sums *sums = (lamina_gradient_sums *)ref->scratch;
  for (int64_t c = 0; c < s.C; c++) {
    lamina_gradient_sums *sum = &sums[c];
    *sum = (lamina_gradient_sums){.n = (double)(s.N * s.area)};
    for (int64_t i = 0; i < s.N * s.area; i++) {
      const double dy = ref->x[LAMINA_BN_BACK_DY][at(&s, c, i)];
      const double p = dy * (ref->x[LAMINA_BN_BACK_X][at(&s, c, i)] - ref->x[LAMINA_BN_BACK_MEAN][c]);
      sum->plain += dy, sum->plain_error += dy * dy;
      sum->moment += p, sum->moment_error += p * p;
    }
    lamina_gradient_sums_end(sum);
  }
  return LAMINA_OK;
}

/* db and dw are sums of products; dx is w times what the sums give for dy alone. */
void lamina_batch_norm_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const int64_t c = arg == LAMINA_BN_BACK_DX ? channel_of(ref, index) : index;
  const lamina_gradient_sums *s = (const lamina_gradient_sums *)ref->scratch + c;
  const double r = ref->x[LAMINA_BN_BACK_DEVIATION][c], w = number(ref, LAMINA_BN_BACK_W, c, 1);
  if (arg == LAMINA_BN_BACK_DB) {
    *e = (lamina_expected){.value = s->plain, .q = s->plain_error};
  } else if (arg == LAMINA_BN_BACK_DW) {
    *e = (lamina_expected){.value = r * s->moment, .q = fabs(r) * (s->moment_error + fabs(s->moment))};
  } else {
    lamina_normalised_backward(e, s, ref->x[LAMINA_BN_BACK_DY][index],
                               ref->x[LAMINA_BN_BACK_X][index] - ref->x[LAMINA_BN_BACK_MEAN][c], r);
    e->q = fabs(w) * (e->q + fabs(e->value)); /* the product rounds */
    e->value *= w;
  }
}
