/* The references of the activations. ReLU is exact; the others come with the first-order error bound of the usual f32
 * formula, per unit roundoff u:
 *   exp       relative |argument| + 2: a faithful exp of an argument that was itself rounded, or scaled by log2(e)
 *   expm1     of a negative argument z: |z| exp(z) from its reduction, and a relative 3
 *   log1p, erf, tanh  relative 2, 2 and 4, and what the argument's error moves them by
 *   + * /     relative 1 each; so does an attribute or a constant that has to be rounded to f32
 *   UNDERFLOW what falls below f32's smallest normal number may become 0, 2^-126 = 2^-102 u */
#include "ops/activation.h"

#include <math.h>

static const double UNDERFLOW_BOUND = 0x1p-102;

static void bounded(lamina_expected *e, double value, double bound) {
  *e = (lamina_expected){.value = value, .q = bound + UNDERFLOW_BOUND, .terms = 0};
}
static void exact(lamina_expected *e, double value) { *e = (lamina_expected){.value = value, .terms = -1}; }

/* z * exp(-z), for z >= 0, also where z is infinite. */
static double fading(double z) { return isinf(z) ? 0 : z * exp(-z); }

#define X     (ref->x[LAMINA_ACTIVATION_FORWARD_X][index])
#define SAVED (ref->x[LAMINA_ACTIVATION_BACKWARD_SAVED][index])
#define DY    (ref->x[LAMINA_ACTIVATION_BACKWARD_DY][index])
#define ELEMENT(name)                                                                                                  \
  void lamina_##name##_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e)

ELEMENT(relu_forward) {
  (void)arg;
  exact(e, X > 0 || isnan(X) ? X : 0);
}

ELEMENT(relu_backward) {
  (void)arg;
  exact(e, SAVED > 0 ? DY : 0);
}

/* The slope rounds, and the product. */
ELEMENT(leaky_relu_forward) {
  (void)arg;
  const double low = X * ((const lamina_leaky_relu *)ref->attr)->slope;
  X > 0 ? exact(e, X) : bounded(e, low, 2 * fabs(low));
}

ELEMENT(leaky_relu_backward) {
  (void)arg;
  const double low = DY * ((const lamina_leaky_relu *)ref->attr)->slope;
  SAVED > 0 ? exact(e, DY) : bounded(e, low, 2 * fabs(low));
}

/* s = 1 / (1 + t), t = exp(-|x|), gives s for -|x| (low) and |x| (high). t's relative error moves both by low*high of
 * it; the sum and the quotient round. */
typedef struct sigmoids {
  double of_x, of_minus_x, error, minus_error;
} sigmoids;
static sigmoids sigmoids_of(double x) {
  const double t = exp(-fabs(x)), low = t / (1 + t), high = 1 / (1 + t);
  const double move = isinf(x) ? 0 : low * high * (fabs(x) + 2);
  const double y = x < 0 ? low : high, minus = x < 0 ? high : low;
  return (sigmoids){y, minus, move + 2 * y, move + 2 * minus};
}

ELEMENT(sigmoid_forward) {
  (void)arg;
  const sigmoids s = sigmoids_of(X);
  bounded(e, s.of_x, s.error);
}

/* Three factors, two products and a difference. */
ELEMENT(sigmoid_backward) {
  (void)arg;
  const double dx = DY * SAVED * (1 - SAVED);
  bounded(e, dx, 3 * fabs(dx));
}

/* y = (1 - t) / (1 + t), t = exp(-2|x|): t's error moves y by (1-y^2)/2 of it. Near 0 that form cancels, and what is
 * used instead there (a series, expm1) has a relative error of a few roundings. */
ELEMENT(tanh_forward) {
  (void)arg;
  const double y = tanh(X), move = isinf(X) ? 0 : (1 - y * y) / 2 * fabs(X);
  bounded(e, y, move + 4 * fabs(y));
}

/* dy * (1 - y*y): the square's rounding survives the difference whole; difference and product round. */
ELEMENT(tanh_backward) {
  (void)arg;
  const double y = SAVED, dx = DY * (1 - y * y);
  bounded(e, dx, fabs(DY) * y * y + 2 * fabs(dx));
}

/* low * expm1(x): expm1, the constant, the product. */
static void below_zero(lamina_expected *e, double x, double low) {
  const double y = low * expm1(x);
  bounded(e, y, low * fading(-x) + 5 * fabs(y));
}
/* dy * (y + low): the constant, the sum, the product. */
static void slope_below_zero(lamina_expected *e, double y, double dy, double low) {
  const double dx = dy * (y + low);
  bounded(e, dx, fabs(dy) * low + 2 * fabs(dx));
}

ELEMENT(elu_forward) {
  (void)arg;
  X > 0 ? exact(e, X) : below_zero(e, X, ((const lamina_elu *)ref->attr)->alpha);
}

ELEMENT(elu_backward) {
  (void)arg;
  SAVED > 0 ? exact(e, DY) : slope_below_zero(e, SAVED, DY, ((const lamina_elu *)ref->attr)->alpha);
}

static const double SELU_SCALE = 1.0507009873554804934193349852946, SELU_ALPHA = 1.6732632423543772848170429916717;

ELEMENT(selu_forward) {
  (void)arg;
  X > 0 ? bounded(e, SELU_SCALE * X, 2 * SELU_SCALE * X) : below_zero(e, X, SELU_SCALE * SELU_ALPHA);
}

ELEMENT(selu_backward) {
  (void)arg;
  SAVED > 0 ? bounded(e, SELU_SCALE * DY, 2 * SELU_SCALE * fabs(DY))
            : slope_below_zero(e, SAVED, DY, SELU_SCALE * SELU_ALPHA);
}

/* The normal distribution: x phi(x), which vanishes in both tails. */
static double x_density(double x) { return isinf(x) ? 0 : x * exp(-x * x / 2) * (M_SQRT1_2 * M_2_SQRTPI / 2); }

/* x/2 * (1 + F): for x below 0, where 1 + F cancels, F's errors are left over; `error` bounds them. The sum and the
 * product round. */
static void gelu_bounded(lamina_expected *e, double x, double y, double error) {
  bounded(e, y, isinf(x) ? 0 : fabs(x) / 2 * error + 2 * fabs(y));
}

/* F = erf(z), z = x/sqrt(2): z is off by 2 of itself (the constant, the product), which moves erf by 2 z erf'(z). */
static double erf_error(double x) { return 2 * fabs(erf(x * M_SQRT1_2)) + 4 * fabs(x_density(x)); }
static double gelu_erf(double x) { return x < 0 && isinf(x) ? 0 : x / 2 * erfc(-x * M_SQRT1_2); }

/* F = tanh(z), z = k*(x + c*x^3): the cube's three products, c, the sum, k and its product. dz is z's derivative. */
static const double GELU_K = M_2_SQRTPI * M_SQRT1_2, GELU_C = 0.044715;
static double gelu_z(double x) { return GELU_K * (x + GELU_C * x * x * x); }
static double gelu_dz(double x) { return GELU_K * (1 + 3 * GELU_C * x * x); }
static double tanh_error(double x) { /* 1 - t^2 = 4 t' (1 - t'), t' the sigmoid of 2z: it does not cancel */
  const double z = fabs(gelu_z(x)), t = tanh(z), low = exp(-2 * z), rest = 4 * low / ((1 + low) * (1 + low));
  return (isinf(z) ? 0 : rest * z * 7.5) + 4 * t;
}
static double gelu_tanh(double x) { /* (1 + tanh(z)) / 2 = 1 / (1 + exp(-2z)) */
  return x < 0 && isinf(x) ? 0 : x / (1 + exp(-2 * gelu_z(x)));
}

ELEMENT(gelu_forward) {
  (void)arg;
  if (((const lamina_gelu *)ref->attr)->form == LAMINA_GELU_ERF)
    gelu_bounded(e, X, gelu_erf(X), erf_error(X));
  else
    gelu_bounded(e, X, gelu_tanh(X), tanh_error(X));
}

/* dy * (Phi + x phi): Phi as above; phi is an exponential of -x^2/2, whose square and half round; x, the constant and
 * two products. */
static void gelu_erf_backward(double x, double dy, lamina_expected *e) {
  const double phi = erfc(-x * M_SQRT1_2) / 2, tail = x_density(x), dx = dy * (phi + tail);
  const double move = isinf(x) ? 0 : fabs(tail) * (x * x + 6);
  bounded(e, dx, fabs(dy) * (erf_error(x) / 2 + phi + move) + 2 * fabs(dx));
}

/* dy * ((1 + t)/2 + x/2 * (1 - t^2) * z'): t as above; its error moves 1 - t^2 by 2|t| of it, and the square's
 * rounding survives the difference; z' has four roundings, the products three. */
static void gelu_tanh_backward(double x, double dy, lamina_expected *e) {
  const double z = gelu_z(x), s = 1 / (1 + exp(-2 * z)), t = tanh(z), low = exp(-2 * fabs(z));
  const double rest = 4 * low / ((1 + low) * (1 + low)), error = tanh_error(x); /* 1 - t^2 */
  const double slope = isinf(x) || rest == 0 ? 0 : x / 2 * gelu_dz(x), tail = slope * rest, dx = dy * (s + tail);
  bounded(e, dx,
          fabs(dy) * (error / 2 + s + fabs(slope) * (2 * fabs(t) * error + t * t) + 8 * fabs(tail)) + 2 * fabs(dx));
}

ELEMENT(gelu_backward) {
  (void)arg;
  if (((const lamina_gelu *)ref->attr)->form == LAMINA_GELU_ERF)
    gelu_erf_backward(SAVED, DY, e);
  else
    gelu_tanh_backward(SAVED, DY, e);
}

/* x * s. */
ELEMENT(silu_forward) {
  (void)arg;
  const sigmoids s = sigmoids_of(X);
  const double y = X < 0 && isinf(X) ? 0 : X * s.of_x;
  bounded(e, y, isinf(X) ? 0 : fabs(X) * s.error + fabs(y));
}

/* dy * (s * (1 + x*(1-s))), 1-s the sigmoid of -x or a difference. */
ELEMENT(silu_backward) {
  (void)arg;
  const double x = SAVED;
  const sigmoids s = sigmoids_of(x);
  const double tail = isinf(x) ? 0 : x * s.of_minus_x, factor = 1 + tail, dx = DY * (s.of_x * factor);
  const double tail_error = isinf(x) ? 0 : fabs(x) * (s.minus_error + s.error) + fabs(tail);
  bounded(e, dx, fabs(DY) * (s.of_x * (tail_error + fabs(factor)) + fabs(factor) * s.error) + 2 * fabs(dx));
}

/* max(x, 0) + log1p(t)/beta, t = exp(-|z|), z = beta*x: beta, the product and exp move t by 2|z| + 2 of itself; then
 * log1p's 2, beta, the quotient and the sum. */
ELEMENT(softplus_forward) {
  (void)arg;
  const double beta = ((const lamina_softplus *)ref->attr)->beta, z = beta * fabs(X), t = exp(-z), tail = log1p(t);
  const double y = (X > 0 || isnan(X) ? X : 0) + tail / beta;
  bounded(e, y, ((2 * fading(z) + 2 * t) / (1 + t) + 4 * tail) / beta + (isinf(y) ? 0 : fabs(y)));
}

/* -dy * expm1(-z), z = beta*y: beta and the product move it by 2 z exp(-z). */
ELEMENT(softplus_backward) {
  (void)arg;
  const double z = ((const lamina_softplus *)ref->attr)->beta * SAVED, rise = -expm1(-z), dx = DY * rise;
  bounded(e, dx, fabs(DY) * (3 * fabs(fading(z)) + 3 * fabs(rise)) + fabs(dx));
}

/* The sum and the quotient, which may be a product with a rounded 1/6. */
ELEMENT(hard_sigmoid_forward) {
  (void)arg;
  const double y = (X + 3) / 6;
  if (y <= 0 || y >= 1)
    exact(e, y <= 0 ? 0 : 1);
  else
    bounded(e, y, 3 * y);
}

ELEMENT(hard_sigmoid_backward) {
  (void)arg;
  if (SAVED > -3 && SAVED < 3)
    bounded(e, DY / 6, fabs(DY) / 3);
  else
    exact(e, 0);
}

/* x / (1 + |x|): the sum and the quotient, and one more where it is done as 1 - 1/(1 + |x|). */
ELEMENT(softsign_forward) {
  (void)arg;
  const double y = isinf(X) ? copysign(1, X) : X / (1 + fabs(X));
  bounded(e, y, 3 * fabs(y));
}

/* dy * (1 - |y|)^2: the difference counts twice; two products. */
ELEMENT(softsign_backward) {
  (void)arg;
  const double left = 1 - fabs(SAVED), dx = DY * left * left;
  bounded(e, dx, 4 * fabs(dx));
}
