/* What the references of the normalisations share: moments of a set of numbers, and the first-order error bounds, per
 * unit roundoff u, of what is made from them. A sum of K terms p is off by sqrt(K) * (sqrt(sum p^2) + |sum|) as
 * everywhere. */
#ifndef LAMINA_OPS_NORM_REF_H
#define LAMINA_OPS_NORM_REF_H

#include <math.h>

#include "core/base.h"

typedef struct lamina_moments {
  double n, mean, variance;          /* v, of all elements */
  double deviation;                  /* r = 1 / sqrt(v + epsilon) */
  double mean_q;                     /* sqrt(sum of (x/n)^2) */
  double mean_error, variance_error; /* bounds */
  double deviation_error;
} lamina_moments;

/* The bound of r, made from v:
 *   v + epsilon rounds, epsilon too; dr = r^3/2 dv; the root and the quotient round. */
static inline void lamina_moments_deviate(lamina_moments *m, double epsilon) {
  const double sum = m->variance + epsilon, r = 1 / sqrt(sum);
  m->deviation = r;
  m->deviation_error = r * r * r / 2 * (m->variance_error + sum + epsilon) + 2 * r;
}

/* Of `count` numbers, x[at(i)], i = 0 …: */
typedef int64_t lamina_moments_at(const void *shape, int64_t set, int64_t i);

/* Two passes. The mean is a sum that is rounded, maybe to f32. The squares of the differences, which round, are summed;
 * a mean that is off by d adds d^2, which is of second order but no less than the first where x is far from 0: with 4 u
 * times its bound for d, and u that of f32, it is 4 u^2 * bound^2. No numbers have mean and variance 0. */
static inline void lamina_moments_of(lamina_moments *m, const double *x, const void *shape, int64_t set, int64_t count,
                                     lamina_moments_at *at, double epsilon) {
  double sum = 0, squares = 0, variance = 0, fourth = 0;
  const double n = m->n = (double)count, u = 0x1p-24;
  for (int64_t i = 0; i < count; i++) {
    const double v = x[at(shape, set, i)];
    sum += v, squares += v * v;
  }
  m->mean = count ? sum / n : 0;
  if (isinf(m->mean)) m->mean = (double)NAN;
  for (int64_t i = 0; i < count; i++) {
    const double d = x[at(shape, set, i)] - m->mean;
    variance += d * d, fourth += d * d * d * d;
  }
  m->variance = count ? variance / n : 0;
  m->mean_q = count ? sqrt(squares) / n : 0;
  m->mean_error = sqrt(n) * (m->mean_q + fabs(m->mean)) + fabs(m->mean);
  m->variance_error = count ? sqrt(n) * (sqrt(fourth) + variance) / n + 3 * m->variance : 0;
  m->variance_error += 4 * u * m->mean_error * m->mean_error;
  lamina_moments_deviate(m, epsilon);
}

/* (x - mean) * r * w + b: mean and difference, r, w or two products, the sum. */
static inline void lamina_normalised(lamina_expected *e, const lamina_moments *m, double x, double w, double b) {
  const double d = x - m->mean, y = d * m->deviation * w + b;
  e->value = y, e->terms = 0;
  e->q = fabs(w) * (m->deviation * (m->mean_error + 3 * fabs(d)) + fabs(d) * m->deviation_error) + fabs(y) + 0x1p-102;
}

/* ---- Backward: sums of dy and dy * (x - mean) of a set that is normalised together ---- */

typedef struct lamina_gradient_sums {
  double n, plain, plain_error, moment, moment_error;
} lamina_gradient_sums;

/* After n terms: sums in plain and moment, sums of their squares in the errors, which become bounds. */
static inline void lamina_gradient_sums_end(lamina_gradient_sums *s) {
  const double plain = sqrt(s->plain_error), moment = sqrt(s->moment_error), K = sqrt(s->n);
  s->plain_error = K * (plain + fabs(s->plain));
  s->moment_error = K * (moment + fabs(s->moment)) + moment;
}

/* dx = r * (g - plain/n - d * r^2 * moment / n), g = dy * w and d = x - mean. */
static inline void lamina_normalised_backward(lamina_expected *e, const lamina_gradient_sums *s, double g, double d,
                                              double r) {
  const double level = s->plain / s->n, tilt = d * r * r * s->moment / s->n, inner = g - level, all = inner - tilt;
  const double error = (s->plain_error + fabs(s->plain)) / s->n + fabs(d) * r * r * s->moment_error / s->n;
  e->value = r * all, e->terms = 0;
  e->q = fabs(r) * (error + fabs(g) + 6 * fabs(tilt) + fabs(inner) + 2 * fabs(all)) + 0x1p-102;
}

#endif
