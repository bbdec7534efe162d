/* Where an element of a resized axis comes from: for the reference and for engines, so that both mean the same. */
#ifndef LAMINA_CORE_RESIZE_H
#define LAMINA_CORE_RESIZE_H

#include "lamina/resize.h"

/* Element `low` and, where weight isn't 0, the one after it. */
typedef struct lamina_tap {
  int64_t low;
  double weight; /* of the element after it; that of `low` is 1 - weight */
} lamina_tap;

/* Of element `o`; quotients of integers, so that nothing is rounded but the weight. Sizes are at most 2^30. */
static inline lamina_tap lamina_tap_of(const lamina_resize *resize, int64_t in, int64_t out, int64_t o) {
  int64_t above, below = 1; /* s = above / below */
  if (resize->mode == LAMINA_RESIZE_NEAREST) return (lamina_tap){o * in / out, 0};
  if (resize->align_corners)
    above = out > 1 ? o * (in - 1) : 0, below = out > 1 ? out - 1 : 1;
  else
    above = (2 * o + 1) * in - out, below = 2 * out;
  if (above < 0) above = 0;
  const int64_t low = above / below;
  if (low >= in - 1) return (lamina_tap){in - 1, 0};
  return (lamina_tap){low, (double)(above % below) / (double)below};
}

#endif
