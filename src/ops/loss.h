/* What all losses share: the reduction, and how the errors of the examples' losses add up in their sum or mean. */
#ifndef LAMINA_OPS_LOSS_H
#define LAMINA_OPS_LOSS_H

#include <math.h>

#include "core/problem.h"
#include "lamina/loss.h"

extern const char *const lamina_reductions[];

/* Every loss's descriptor begins with its reduction. */
#define LAMINA_REDUCTION_ATTR(descriptor)                                                                              \
  {                                                                                                                    \
    .name = "reduction", .type = LAMINA_ATTR_ENUM, .offset = offsetof(descriptor, reduction),                          \
    .choices = lamina_reductions                                                                                       \
  }

static inline lamina_reduction lamina_reduction_of(const void *attr) {
  return (lamina_reduction) * (const int64_t *)attr;
}

/* The losses' sum, its first-order error bound (per unit roundoff, without the summation's own), the sum of their
 * sizes; what a mean divides by, and the bound of that number's relative error. */
typedef struct lamina_total {
  double sum, bound, size, by, by_bound;
} lamina_total;

static inline void lamina_total_add(lamina_total *total, double loss, double bound) {
  total->sum += loss, total->bound += bound, total->size += fabs(loss);
}

/* The reduced loss of `count` examples: sqrt(count) for a sum in any order, 2 for the division. */
static inline lamina_expected lamina_total_expected(const lamina_total *total, int64_t count, lamina_reduction how) {
  const double by = how == LAMINA_REDUCTION_MEAN ? total->by : 1, y = total->sum / by;
  const double q = (total->bound + (sqrt((double)count) + 2) * total->size) / fabs(by);
  return (lamina_expected){.value = y, .q = q + (how == LAMINA_REDUCTION_MEAN ? total->by_bound * fabs(y) : 0)};
}

/* The dims of y: [1], or `each`, those of the examples, without reduction. Returns how many. */
static inline int lamina_loss_dims(const lamina_problem *p, int rank, const int64_t *each,
                                   int64_t dims[LAMINA_MAX_RANK]) {
  const bool none = lamina_reduction_of(lamina_attr(p)) == LAMINA_REDUCTION_NONE;
  if (!none) dims[0] = 1;
  for (int d = 0; d < rank && none; d++) dims[d] = each[d];
  return none ? rank : 1;
}

/* Where the dy of example m lies. */
static inline int64_t lamina_loss_dy(const void *attr, int64_t m) {
  return lamina_reduction_of(attr) == LAMINA_REDUCTION_NONE ? m : 0;
}

#endif
