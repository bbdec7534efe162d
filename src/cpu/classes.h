/* Class scores x [N, C, spatial…] and labels [N, spatial…] as the CPU's engines see them: dense. */
#ifndef LAMINA_CPU_CLASSES_H
#define LAMINA_CPU_CLASSES_H

#include "cpu/cpu.h"

/* Classes, positions behind the class axis, examples. */
typedef struct sizes {
  int64_t C, S, M;
} sizes;

static inline sizes sizes_of(const lamina_desc *x) {
  sizes s = {.C = x->dims[1], .S = 1};
  for (int d = 2; d < x->rank; d++) s.S *= x->dims[d];
  s.M = x->dims[0] * s.S;
  return s;
}

/* Where example m has its first score; the others follow at steps of S. */
static inline int64_t first_score(const sizes *s, int64_t m) { return m / s->S * s->C * s->S + m % s->S; }

/* Integer m. */
static inline int64_t integer_at(const lamina_desc *desc, const void *data, int64_t m) {
  return desc->dtype == LAMINA_I64   ? ((const int64_t *)data)[m]
         : desc->dtype == LAMINA_I32 ? ((const int32_t *)data)[m]
                                     : ((const uint8_t *)data)[m];
}

/* The label of example m; LABEL_BAD where it is out of range, LABEL_IGNORED where it doesn't count. `ignore` INT64_MIN:
 * all count. */
enum { LABEL_BAD = -1, LABEL_IGNORED = -2 };
static inline int64_t label_at(const lamina_desc *desc, const void *labels, int64_t m, int64_t C, int64_t ignore) {
  const int64_t label = integer_at(desc, labels, m);
  if (label == ignore && ignore != INT64_MIN) return LABEL_IGNORED;
  return label >= 0 && label < C ? label : LABEL_BAD;
}

#endif
