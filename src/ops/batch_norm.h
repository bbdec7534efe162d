/* Places of batch normalisation's arguments, and its references. */
#ifndef LAMINA_OPS_BATCH_NORM_H
#define LAMINA_OPS_BATCH_NORM_H

#include "core/problem.h"
#include "lamina/batch_norm.h"

enum { /* forward; inference ends with y */
       LAMINA_BN_X,
       LAMINA_BN_W,
       LAMINA_BN_B,
       LAMINA_BN_RUNNING_MEAN,
       LAMINA_BN_RUNNING_VARIANCE,
       LAMINA_BN_Y,
       LAMINA_BN_MEAN,
       LAMINA_BN_DEVIATION,
       LAMINA_BN_NEW_MEAN,
       LAMINA_BN_NEW_VARIANCE
};
enum {
  LAMINA_BN_BACK_X,
  LAMINA_BN_BACK_W,
  LAMINA_BN_BACK_MEAN,
  LAMINA_BN_BACK_DEVIATION,
  LAMINA_BN_BACK_DY,
  LAMINA_BN_BACK_DX,
  LAMINA_BN_BACK_DW,
  LAMINA_BN_BACK_DB
};

/* [N, C, area]: the same for every pass, from its first argument. */
typedef struct lamina_bn_shape {
  int64_t N, C, area;
} lamina_bn_shape;

static inline lamina_bn_shape lamina_bn_shape_of(const lamina_problem *p) {
  const lamina_desc *x = &p->arg[LAMINA_BN_X];
  lamina_bn_shape s = {x->dims[0], x->dims[1], 1};
  for (int d = 2; d < x->rank; d++) s.area *= x->dims[d];
  return s;
}

int64_t lamina_batch_norm_scratch(const lamina_problem *p);
lamina_status lamina_batch_norm_forward_prepare(const lamina_reference *ref);
lamina_status lamina_batch_norm_backward_prepare(const lamina_reference *ref);
void lamina_batch_norm_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_batch_norm_inference_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_batch_norm_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);

#endif
