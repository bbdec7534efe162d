/* Places of the activations' arguments, and the elements of their references. */
#ifndef LAMINA_OPS_ACTIVATION_H
#define LAMINA_OPS_ACTIVATION_H

#include "core/problem.h"
#include "lamina/activation.h"

enum { LAMINA_ACTIVATION_FORWARD_X, LAMINA_ACTIVATION_FORWARD_Y };
enum { LAMINA_ACTIVATION_BACKWARD_Y, LAMINA_ACTIVATION_BACKWARD_DY, LAMINA_ACTIVATION_BACKWARD_DX };

void lamina_relu_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_relu_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_sigmoid_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_sigmoid_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_tanh_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_tanh_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);

#endif
