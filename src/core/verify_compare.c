/* How far a result may be from the oracle's, and whether it is. The rule is in lamina/verify.h. */
#include <math.h>

#include "core/verify.h"

/* The least normal number: an engine may flush what is smaller. */
static double least_normal(lamina_dtype dtype) {
  return dtype == LAMINA_F64 ? 0x1p-1022 : dtype == LAMINA_F16 ? 0x1p-14 : 0x1p-126;
}

double lamina_tolerance(const lamina_expected *e, lamina_dtype dtype, const lamina_numerics *numerics, bool all_f64) {
  if (e->terms < 0 || !lamina_dtype_is_floating(dtype)) return 0;
  const double r = fabs(e->value), K = (double)e->terms, q = e->q;
  const double u_out = lamina_dtype_roundoff(dtype), u_in = numerics->u_in;
  const double u_acc = numerics->u_acc > 0 ? numerics->u_acc : lamina_dtype_roundoff(all_f64 ? LAMINA_F64 : LAMINA_F32);
  const double sums = e->terms ? (numerics->linear ? K : sqrt(K)) * (q + r) : q;
  const double inputs = e->terms ? M_SQRT2 * q + r : q;
  return u_out * r + 4 * (u_acc * sums + u_in * inputs) + least_normal(dtype);
}

bool lamina_agrees(const lamina_expected *e, double got, lamina_dtype dtype, double tolerance, double *share) {
  *share = 0;
  if (isnan(e->value)) return isnan(got);
  if (isinf(e->value) || !(tolerance > 0)) return got == lamina_round(dtype, e->value);
  if (isinf(got)) /* it may overflow where the rounded result is about to */
    return got == lamina_round(dtype, e->value + copysign(tolerance, e->value));
  const double error = fabs(got - e->value);
  *share = isnan(error) ? (double)INFINITY : error / tolerance;
  return error <= tolerance;
}
