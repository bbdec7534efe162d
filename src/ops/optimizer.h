/* What the rows of the optimizers share. */
#ifndef LAMINA_OPS_OPTIMIZER_H
#define LAMINA_OPS_OPTIMIZER_H

#include <math.h>

#include "core/draw.h"
#include "core/problem.h"
#include "lamina/optimizer.h"

/* An argument that is one number. */
static inline lamina_status lamina_want_one(const lamina_problem *p, int arg) {
  return lamina_want_dims(p, arg, 1, (int64_t[]){1});
}

/* Segment ends and the decay that goes with them: both, either or neither. */
static inline lamina_status lamina_want_segments(const lamina_problem *p, int segments, int decay) {
  const bool split = lamina_present(&p->arg[segments]);
  LAMINA_TRY(lamina_want_dtype(p, segments, LAMINA_I64));
  if (split) LAMINA_TRY(lamina_want_rank(p, segments, 1, 1));
  return lamina_want_dims(p, decay, 1, split ? p->arg[segments].dims : (int64_t[]){1});
}

/* The weight decay of element `index`. */
static inline double lamina_decay_of(const lamina_reference *ref, int segments, int decay, int64_t index) {
  if (!ref->x[decay]) return 0;
  if (!ref->i[segments]) return ref->x[decay][0];
  for (int64_t s = 0; s < ref->problem->arg[segments].dims[0]; s++)
    if (index < ref->i[segments][s]) return ref->x[decay][s];
  return 0;
}

/* Segments that end where w does. */
static inline void lamina_fill_segments(const lamina_problem *p, int w, int segments, lamina_fill_def *fill) {
  fill[segments] =
      (lamina_fill_def){.kind = LAMINA_FILL_ASCENDING, .low = 0, .high = (double)lamina_desc_count(&p->arg[w])};
}

/* Is the gate there and not finite? Then nothing is updated. */
static inline bool lamina_gate_shut(const lamina_reference *ref, int gate) {
  return ref->x[gate] && !isfinite(ref->x[gate][0]);
}

/* Weights and their gradient: any shape. */
static inline void lamina_draw_weights(lamina_problem *p, lamina_draw *draw, int w, int g) {
  const int rank = (int)LAMINA_PICK(draw, "rank", 1, 1, 2);
  const int64_t dims[] = {LAMINA_PICK(draw, "size", 1, 2, 17, 1000, 40009, 0), LAMINA_PICK(draw, "columns", 1, 3)};
  p->arg[w] = p->arg[g] = lamina_draw_shape(draw, rank, dims);
}

/* The rate, decay for some segments or for all, and now and then a gate. */
static inline void lamina_draw_rates(lamina_problem *p, lamina_draw *draw, int rate, int segments, int decay,
                                     int gate) {
  const int64_t S = LAMINA_PICK(draw, "segments", 0, 1, 2, 5), one = 1;
  p->arg[rate] = lamina_dense((lamina_dtype)LAMINA_PICK(draw, "rate", LAMINA_F32, LAMINA_F64), 1, &one);
  if (S) p->arg[segments] = lamina_dense(LAMINA_I64, 1, &S);
  p->arg[decay] = lamina_draw_shape(draw, 1, S ? &S : &one);
  if (LAMINA_PICK(draw, "gate", 0, 1)) p->arg[gate] = lamina_dense(LAMINA_F32, 1, &one);
}

#endif
