/* Numbers for tests: a function of seed, stream and element alone, so that any part can be repeated by itself. */
#include <math.h>

#include "core/verify.h"
#include "kernels/philox.h"

enum { PART = 1 << 16 }; /* elements that one thread fills in one go */

/* In [0, 1), with 53 bits, from the first or second half of a block. */
static double unit(const philox_words *w, int half) {
  return (double)((uint64_t)w->v[2 * half] << 21 ^ w->v[2 * half + 1] >> 11) * 0x1p-53;
}

static double integer(double low, double high, double u) {
  const double value = low + floor(u * (high - low + 1));
  return value > high ? high : value;
}

/* Box and Muller, "A note on the generation of random normal deviates", 1958. */
static double normal(const philox_words *w) { return sqrt(-2 * log(1 - unit(w, 0))) * cos(2 * M_PI * unit(w, 1)); }

static double value_of(const lamina_fill_def *fill, const philox_words *w, int64_t i, int64_t count) {
  switch (fill->kind) {
  case LAMINA_FILL_NORMAL: return normal(w);
  case LAMINA_FILL_INTEGERS:
    return fill->density > 0 && unit(w, 1) >= fill->density ? 0 : integer(fill->low, fill->high, unit(w, 0));
  case LAMINA_FILL_UNIFORM: return fill->low + unit(w, 0) * (fill->high - fill->low);
  case LAMINA_FILL_ASCENDING:
    return i == count - 1 ? fill->high
                          : fill->low + floor((fill->high - fill->low) * ((double)i + unit(w, 0)) / (double)count);
  case LAMINA_FILL_SEED: return i == 0 ? floor(unit(w, 0) * 0x1p53) : integer(0, 1000, unit(w, 0));
  }
  return 0;
}

void lamina_fill_values(const lamina_desc *desc, void *data, const lamina_fill_def *fill, uint64_t seed,
                        uint32_t stream, int threads) {
  const int64_t count = lamina_desc_count(desc);
  (void)threads;
#pragma omp parallel for num_threads(threads) if (threads > 1 && count > PART)
  for (int64_t first = 0; first < count; first += PART) {
    lamina_walk walk = lamina_walk_from(desc, first);
    for (int64_t i = first; i < first + PART && i < count; i++, lamina_walk_on(&walk)) {
      const philox_words w = philox_block(seed, (uint64_t)i, stream, 0);
      lamina_store((lamina_dtype)desc->dtype, data, walk.offset, value_of(fill, &w, i, count));
    }
  }
}
