/* A convolution's sizes, read once from its problem, and the elements of its references. */
#ifndef LAMINA_OPS_CONV_H
#define LAMINA_OPS_CONV_H

#include "core/problem.h"
#include "lamina/conv.h"

enum { LAMINA_CONV_FORWARD_X, LAMINA_CONV_FORWARD_W, LAMINA_CONV_FORWARD_B, LAMINA_CONV_FORWARD_Y };
enum { LAMINA_CONV_DATA_DY, LAMINA_CONV_DATA_W, LAMINA_CONV_DATA_DX };
enum { LAMINA_CONV_WEIGHTS_X, LAMINA_CONV_WEIGHTS_DY, LAMINA_CONV_WEIGHTS_DW };
enum { LAMINA_CONV_BIAS_DY, LAMINA_CONV_BIAS_DB };

void lamina_conv_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_conv_backward_data_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_conv_backward_weights_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_conv_backward_bias_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);

#endif
