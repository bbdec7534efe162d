/* What the rows of the optimizers share. */
#ifndef LAMINA_OPS_OPTIMIZER_H
#define LAMINA_OPS_OPTIMIZER_H

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

#endif
