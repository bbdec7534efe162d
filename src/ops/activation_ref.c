/* The references of the activations. ReLU is exact; the others come with the first-order error bound of the usual f32
 * formula, per unit roundoff u:
 *   exp       relative |argument| + 2: a faithful exp of an argument that was itself rounded, or scaled by log2(e)
 *   + * /     relative 1 each
 *   UNDERFLOW what falls below f32's smallest normal number may become 0, 2^-126 = 2^-102 u */
#include "ops/activation.h"

#include <math.h>

static const double UNDERFLOW_BOUND = 0x1p-102;

static void bounded(lamina_expected *e, double value, double bound) {
  *e = (lamina_expected){.value = value, .q = bound + UNDERFLOW_BOUND, .terms = 0};
}

void lamina_relu_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg;
  const double x = ref->x[LAMINA_ACTIVATION_FORWARD_X][index];
  *e = (lamina_expected){.value = x > 0 || isnan(x) ? x : 0, .terms = -1};
}

void lamina_relu_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg;
  const double y = ref->x[LAMINA_ACTIVATION_BACKWARD_Y][index], dy = ref->x[LAMINA_ACTIVATION_BACKWARD_DY][index];
  *e = (lamina_expected){.value = y > 0 ? dy : 0, .terms = -1};
}

/* y = 1 / (1 + t), t = exp(-x): t's relative error moves y by y*(1-y) of it; the sum and the quotient round. */
void lamina_sigmoid_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg;
  const double x = ref->x[LAMINA_ACTIVATION_FORWARD_X][index];
  const double t = exp(-fabs(x)), low = t / (1 + t), high = 1 / (1 + t); /* low = sigmoid(-|x|) */
  const double y = x < 0 ? low : high, move = isinf(x) ? 0 : low * high * (fabs(x) + 2);
  bounded(e, y, move + 2 * y);
}

/* Three factors, two products and a difference. */
void lamina_sigmoid_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg;
  const double y = ref->x[LAMINA_ACTIVATION_BACKWARD_Y][index], dy = ref->x[LAMINA_ACTIVATION_BACKWARD_DY][index];
  const double dx = dy * y * (1 - y);
  bounded(e, dx, 3 * fabs(dx));
}

/* y = (1 - t) / (1 + t), t = exp(-2|x|): t's error moves y by (1-y^2)/2 of it. Near 0 that form cancels, and what is
 * used instead there (a series, expm1) has a relative error of a few roundings. */
void lamina_tanh_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg;
  const double x = ref->x[LAMINA_ACTIVATION_FORWARD_X][index], y = tanh(x);
  const double move = isinf(x) ? 0 : (1 - y * y) / 2 * fabs(x);
  bounded(e, y, move + 4 * fabs(y));
}

/* dy * (1 - y*y): the square's rounding survives the difference whole; difference and product round. */
void lamina_tanh_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg;
  const double y = ref->x[LAMINA_ACTIVATION_BACKWARD_Y][index], dy = ref->x[LAMINA_ACTIVATION_BACKWARD_DY][index];
  const double dx = dy * (1 - y * y);
  bounded(e, dx, fabs(dy) * y * y + 2 * fabs(dx));
}
