/* The references of the fully connected product, straight from the formulas in lamina/fc.h. */
#include "ops/fc.h"

#include <math.h>

#include "ops/activation.h"

/* sum over i of a[i*step_a] * b[i*step_b]; b NULL: ones; `e` may hold a first term already. */
static void dot(lamina_expected *e, int64_t n, const double *a, int64_t step_a, const double *b, int64_t step_b) {
  double squares = e->q * e->q;
  for (int64_t i = 0; i < n; i++) {
    const double product = a[i * step_a] * (b ? b[i * step_b] : 1);
    e->value += product;
    squares += product * product;
  }
  e->q = sqrt(squares);
  e->terms += n;
}

void lamina_fc_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg;
  const int64_t *w = ref->problem->arg[LAMINA_FC_FORWARD_W].dims, O = w[0], K = w[1], n = index / O, o = index % O;
  const double *b = ref->x[LAMINA_FC_FORWARD_B];
  if (b) *e = (lamina_expected){.value = b[o], .q = fabs(b[o]), .terms = 1};
  dot(e, K, ref->x[LAMINA_FC_FORWARD_X] + n * K, 1, ref->x[LAMINA_FC_FORWARD_W] + o * K, 1);
}

void lamina_fc_backward_data_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg;
  const int64_t *w = ref->problem->arg[LAMINA_FC_DATA_W].dims, O = w[0], K = w[1], n = index / K, k = index % K;
  dot(e, O, ref->x[LAMINA_FC_DATA_DY] + n * O, 1, ref->x[LAMINA_FC_DATA_W] + k, K);
}

void lamina_fc_relu_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  lamina_fc_forward_element(ref, arg, index, e);
  lamina_expected_relu(e);
}

void lamina_relu_fc_backward_data_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  lamina_fc_backward_data_element(ref, arg, index, e);
  lamina_expected_gate(e, ref->x[LAMINA_FC_GATED_X][index]);
}

void lamina_fc_backward_weights_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const int64_t *dw = ref->problem->arg[arg].dims, O = dw[0], K = dw[1], o = index / K, k = index % K;
  const int64_t N = ref->problem->arg[LAMINA_FC_WEIGHTS_X].dims[0];
  dot(e, N, ref->x[LAMINA_FC_WEIGHTS_DY] + o, O, ref->x[LAMINA_FC_WEIGHTS_X] + k, K);
}

void lamina_fc_backward_bias_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg;
  const int64_t *dy = ref->problem->arg[LAMINA_FC_BIAS_DY].dims;
  dot(e, dy[0], ref->x[LAMINA_FC_BIAS_DY] + index, dy[1], NULL, 0);
}
