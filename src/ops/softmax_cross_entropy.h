/* What the rows of softmax cross-entropy, against labels and against targets, share with their reference. */
#ifndef LAMINA_OPS_SOFTMAX_CROSS_ENTROPY_H
#define LAMINA_OPS_SOFTMAX_CROSS_ENTROPY_H

#include "core/classes.h"
#include "ops/loss.h"

/* Places in the rows; the same against labels and against a target. */
enum { XE_X, XE_TARGET, XE_WEIGHTS, XE_Y, XE_PROB };
enum { XE_B_PROB, XE_B_TARGET, XE_B_WEIGHTS, XE_B_DY, XE_B_DX };

int64_t lamina_cross_entropy_forward_scratch(const lamina_problem *p);
int64_t lamina_cross_entropy_backward_scratch(const lamina_problem *p);
lamina_status lamina_cross_entropy_forward_prepare(const lamina_reference *ref);
lamina_status lamina_cross_entropy_backward_prepare(const lamina_reference *ref);
void lamina_cross_entropy_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_cross_entropy_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);

#endif
