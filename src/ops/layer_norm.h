/* Places of layer and group normalisation's arguments, and their references. */
#ifndef LAMINA_OPS_LAYER_NORM_H
#define LAMINA_OPS_LAYER_NORM_H

#include "core/problem.h"
#include "lamina/layer_norm.h"

enum { LAMINA_LN_X, LAMINA_LN_W, LAMINA_LN_B, LAMINA_LN_Y, LAMINA_LN_MEAN, LAMINA_LN_DEVIATION };
enum {
  LAMINA_LN_BACK_X,
  LAMINA_LN_BACK_W,
  LAMINA_LN_BACK_MEAN,
  LAMINA_LN_BACK_DEVIATION,
  LAMINA_LN_BACK_DY,
  LAMINA_LN_BACK_DX,
  LAMINA_LN_BACK_DW,
  LAMINA_LN_BACK_DB
};

int64_t lamina_layer_norm_scratch(const lamina_problem *p); /* also group_norm's, as all that follows */
lamina_status lamina_layer_norm_forward_prepare(const lamina_reference *ref);
lamina_status lamina_layer_norm_backward_prepare(const lamina_reference *ref);
void lamina_layer_norm_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_layer_norm_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);

#endif
