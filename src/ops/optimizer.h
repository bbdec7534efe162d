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

/* Generated gates are open, but those in f64: so that shut ones are drawn, too. */
static inline void lamina_fill_gate(const lamina_problem *p, int gate, lamina_fill_def *fill) {
  if (p->arg[gate].dtype == LAMINA_F64)
    fill[gate] = (lamina_fill_def){.kind = LAMINA_FILL_UNIFORM, .low = NAN, .high = NAN};
}

/* Is the gate there and not finite? Then nothing is updated. */
static inline bool lamina_gate_shut(const lamina_reference *ref, int gate) {
  return ref->x[gate] && !isfinite(ref->x[gate][0]);
}

/* The narrow copy has the shape of w, and its type where none is given. */
static inline lamina_status lamina_set_shadow(lamina_problem *p, int w, int shadow) {
  const lamina_desc *like = &p->arg[w];
  return lamina_set_output(p, shadow, (lamina_dtype)like->dtype, like->rank, like->dims);
}

/* Where the gate is shut: everything as it was, and of the narrow copy what w is. */
static inline lamina_expected lamina_unchanged(const lamina_reference *ref, int arg, int w, int shadow, int64_t index) {
  return (lamina_expected){.value = ref->x[arg == shadow ? w : arg][index], .terms = -1};
}

/* Weights and their gradient, now and then in fewer bits: any shape. */
static inline void lamina_draw_weights(lamina_problem *p, lamina_draw *draw, int w, int g) {
  const int rank = (int)LAMINA_PICK(draw, "rank", 1, 1, 2);
  const int64_t dims[] = {LAMINA_PICK(draw, "size", 1, 2, 17, 1000, 40009, 0), LAMINA_PICK(draw, "columns", 1, 3)};
  p->arg[w] = p->arg[g] = lamina_draw_shape(draw, rank, dims);
  if (LAMINA_PICK(draw, "narrow gradient", 0, 0, 1)) p->arg[g].dtype = LAMINA_BF16;
}

/* A narrow copy of w, or one that isn't narrow. */
static inline void lamina_draw_shadow(lamina_problem *p, lamina_draw *draw, int w, int shadow) {
  const int64_t dtype = LAMINA_PICK(draw, "shadow's type", LAMINA_BF16, LAMINA_BF16, LAMINA_F16, LAMINA_F32);
  p->arg[shadow] = lamina_dense((lamina_dtype)dtype, p->arg[w].rank, p->arg[w].dims);
}

/* The rate, decay for some segments or for all, and now and then a gate. */
static inline void lamina_draw_rates(lamina_problem *p, lamina_draw *draw, int rate, int segments, int decay,
                                     int gate) {
  const int64_t S = LAMINA_PICK(draw, "segments", 0, 1, 2, 5), one = 1;
  p->arg[rate] = lamina_dense((lamina_dtype)LAMINA_PICK(draw, "rate", LAMINA_F32, LAMINA_F64), 1, &one);
  if (S) p->arg[segments] = lamina_dense(LAMINA_I64, 1, &S);
  p->arg[decay] = lamina_draw_shape(draw, 1, S ? &S : &one);
  const lamina_dtype type = (lamina_dtype)LAMINA_PICK(draw, "gate", LAMINA_NONE, LAMINA_F32, LAMINA_F32, LAMINA_F64);
  if (type) p->arg[gate] = lamina_dense(type, 1, &one);
}

#endif
