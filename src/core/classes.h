/* Class scores x [N, C, spatial…] with one label for each [N, spatial…]: what losses and metrics share, their engines
 * too. */
#ifndef LAMINA_CORE_CLASSES_H
#define LAMINA_CORE_CLASSES_H

#include "core/problem.h"

typedef struct lamina_classes {
  int64_t C, S, M; /* classes; spatial positions; labels: N times S */
} lamina_classes;

static inline lamina_classes lamina_classes_of(const lamina_desc *x) {
  lamina_classes k = {.C = x->dims[1], .S = 1};
  for (int d = 2; d < x->rank; d++) k.S *= x->dims[d];
  k.M = x->dims[0] * k.S;
  return k;
}

/* Where example `m` of 0 … M-1 has its first score; the others follow at steps of S. */
static inline int64_t lamina_classes_at(const lamina_classes *k, int64_t m) {
  return m / k->S * k->C * k->S + m % k->S;
}

/* The dims of the labels of x; returns how many. */
static inline int lamina_label_dims(const lamina_desc *x, int64_t dims[LAMINA_MAX_RANK]) {
  dims[0] = x->dims[0];
  for (int d = 2; d < x->rank; d++) dims[d - 1] = x->dims[d];
  return x->rank - 1;
}

/* Checks scores `x`; their labels. */
static inline lamina_status lamina_want_scores(const lamina_problem *p, int x) {
  LAMINA_TRY(lamina_want_rank(p, x, 2, LAMINA_MAX_RANK));
  if (p->arg[x].dims[1] < 1) return lamina_problem_error(p, x, "expected at least one class on axis 1");
  return LAMINA_OK;
}
static inline lamina_status lamina_want_labels(const lamina_problem *p, int x, int labels) {
  int64_t dims[LAMINA_MAX_RANK];
  return lamina_want_dims(p, labels, lamina_label_dims(&p->arg[x], dims), dims);
}
static inline lamina_status lamina_want_classes(const lamina_problem *p, int x, int labels) {
  LAMINA_TRY(lamina_want_scores(p, x));
  return lamina_want_labels(p, x, labels);
}

/* A label's class; BAD where it is out of range, IGNORED where it doesn't count (`ignore` INT64_MIN: all count). */
enum { LAMINA_LABEL_BAD = -1, LAMINA_LABEL_IGNORED = -2 };
static inline int64_t lamina_label_class(int64_t label, int64_t C, int64_t ignore) {
  if (label == ignore && ignore != INT64_MIN) return LAMINA_LABEL_IGNORED;
  return label >= 0 && label < C ? label : LAMINA_LABEL_BAD;
}

/* Integer i of a dense tensor. */
static inline int64_t lamina_integer_at(const lamina_desc *desc, const void *data, int64_t i) {
  return desc->dtype == LAMINA_I64   ? ((const int64_t *)data)[i]
         : desc->dtype == LAMINA_I32 ? ((const int32_t *)data)[i]
                                     : ((const uint8_t *)data)[i];
}
/* The class of label m of a dense tensor. */
static inline int64_t lamina_label_at(const lamina_desc *desc, const void *labels, int64_t m, int64_t C,
                                      int64_t ignore) {
  return lamina_label_class(lamina_integer_at(desc, labels, m), C, ignore);
}

#endif
