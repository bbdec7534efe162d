/* The order of an epoch. */
#include "kernels/philox.h"
#include "lamina/data.h"

enum { ORDER_STREAM = 0x4F524452 }; /* "ORDR" */

/* floor(r * n / 2^64) for n <= 2^32, from the halves of r. */
static uint32_t scale(uint32_t low, uint32_t high, uint64_t n) {
  return (uint32_t)((high * n + (low * n >> 32)) >> 32);
}

void lamina_permutation(uint64_t seed, int64_t epoch, int32_t n, int32_t *order) {
  if (!order) return;
  for (int32_t i = 0; i < n; i++) order[i] = i;
  philox_words words = {{0}};
  for (int32_t i = n - 1, block = -1; i > 0; i--) {
    if (i / 2 != block) words = philox_block(seed, (uint64_t)(block = i / 2), ORDER_STREAM, (uint32_t)epoch);
    const uint32_t j = scale(words.v[2 * (i % 2)], words.v[2 * (i % 2) + 1], (uint64_t)i + 1);
    const int32_t kept = order[i];
    order[i] = order[j];
    order[j] = kept;
  }
}
