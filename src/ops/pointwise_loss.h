/* What the rows of the pointwise losses share with their reference. */
#ifndef LAMINA_OPS_POINTWISE_LOSS_H
#define LAMINA_OPS_POINTWISE_LOSS_H

#include "lamina/pointwise_loss.h"
#include "ops/loss.h"

enum { LAMINA_PL_X, LAMINA_PL_TARGET, LAMINA_PL_WEIGHTS, LAMINA_PL_Y };
enum { LAMINA_PL_DY = LAMINA_PL_Y, LAMINA_PL_DX };

int64_t lamina_pointwise_loss_scratch(const lamina_problem *p);
#define LAMINA_PL_DECLARE(family)                                                                                      \
  lamina_status lamina_##family##_prepare(const lamina_reference *ref);                                                \
  void lamina_##family##_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);     \
  void lamina_##family##_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e)
LAMINA_PL_DECLARE(binary_cross_entropy);
LAMINA_PL_DECLARE(mse);
LAMINA_PL_DECLARE(l1);
LAMINA_PL_DECLARE(huber);
LAMINA_PL_DECLARE(binary_hinge);
#undef LAMINA_PL_DECLARE

#endif
