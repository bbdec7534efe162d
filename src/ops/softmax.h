/* Places of softmax's arguments, and what its references are made of. */
#ifndef LAMINA_OPS_SOFTMAX_H
#define LAMINA_OPS_SOFTMAX_H

#include "core/problem.h"
#include "lamina/softmax.h"

enum { LAMINA_SOFTMAX_FORWARD_X, LAMINA_SOFTMAX_FORWARD_Y };
enum { LAMINA_SOFTMAX_BACKWARD_Y, LAMINA_SOFTMAX_BACKWARD_DY, LAMINA_SOFTMAX_BACKWARD_DX };

/* What the elements of a row share is computed once for each row. */
int64_t lamina_softmax_scratch(const lamina_problem *p);
lamina_status lamina_softmax_forward_prepare(const lamina_reference *ref); /* also log_softmax's */
lamina_status lamina_softmax_backward_prepare(const lamina_reference *ref);
lamina_status lamina_log_softmax_backward_prepare(const lamina_reference *ref);
void lamina_softmax_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_softmax_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_log_softmax_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_log_softmax_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);

#endif
