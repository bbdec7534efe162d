/* Places of local response normalisation's arguments, and its references. */
#ifndef LAMINA_OPS_LRN_H
#define LAMINA_OPS_LRN_H

#include "core/problem.h"
#include "lamina/lrn.h"

enum { LAMINA_LRN_X, LAMINA_LRN_Y };                      /* forward */
enum { LAMINA_LRN_DY = LAMINA_LRN_X + 1, LAMINA_LRN_DX }; /* backward, after x */

int64_t lamina_lrn_forward_scratch(const lamina_problem *p);
int64_t lamina_lrn_backward_scratch(const lamina_problem *p);
lamina_status lamina_lrn_forward_prepare(const lamina_reference *ref);
lamina_status lamina_lrn_backward_prepare(const lamina_reference *ref);
void lamina_lrn_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_lrn_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);

#endif
