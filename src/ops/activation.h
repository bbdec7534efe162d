/* Places of the activations' arguments, and the elements of their references. */
#ifndef LAMINA_OPS_ACTIVATION_H
#define LAMINA_OPS_ACTIVATION_H

#include "core/problem.h"
#include "lamina/activation.h"

enum { LAMINA_ACTIVATION_FORWARD_X, LAMINA_ACTIVATION_FORWARD_Y };
/* For references of what fuses a ReLU: what it makes of a sum, whose error it doesn't enlarge; and of a gradient, where
 * `x` is what it took or gave. */
static inline void lamina_expected_relu(lamina_expected *e) {
  if (e->value <= 0) e->value = 0; /* NaN passes */
}
static inline void lamina_expected_gate(lamina_expected *e, double x) {
  if (!(x > 0)) *e = (lamina_expected){.terms = -1};
}

enum { LAMINA_ACTIVATION_BACKWARD_SAVED, LAMINA_ACTIVATION_BACKWARD_DY, LAMINA_ACTIVATION_BACKWARD_DX }; /* x or y */

void lamina_relu_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_relu_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_leaky_relu_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_leaky_relu_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_sigmoid_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_sigmoid_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_tanh_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_tanh_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_elu_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_elu_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_selu_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_selu_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_gelu_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_gelu_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_silu_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_silu_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_softplus_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_softplus_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_hard_sigmoid_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_hard_sigmoid_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_softsign_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_softsign_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);

#endif
