/* Places of fc's arguments, and the elements of its references. */
#ifndef LAMINA_OPS_FC_H
#define LAMINA_OPS_FC_H

#include "core/problem.h"
#include "lamina/fc.h"

enum { LAMINA_FC_FORWARD_X, LAMINA_FC_FORWARD_W, LAMINA_FC_FORWARD_B, LAMINA_FC_FORWARD_Y };
enum { LAMINA_FC_DATA_DY, LAMINA_FC_DATA_W, LAMINA_FC_DATA_DX };
enum { LAMINA_FC_WEIGHTS_X, LAMINA_FC_WEIGHTS_DY, LAMINA_FC_WEIGHTS_DW };
enum { LAMINA_FC_BIAS_DY, LAMINA_FC_BIAS_DB };
enum { LAMINA_FC_GATED_X = 2, LAMINA_FC_GATED_DX }; /* relu_fc/backward_data, after dy and w */

void lamina_fc_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_fc_backward_data_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_fc_backward_weights_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_fc_backward_bias_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_fc_relu_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_relu_fc_backward_data_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);

#endif
