/* Philox 4x32-10: counter-based random numbers, the same on the CPU and the GPU.
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 4.3.
 *
 * A stream of numbers needs no state: element i is word i % 4 of philox(counter(i / 4, stream, step), key = seed). */
#ifndef LAMINA_PHILOX_H
#define LAMINA_PHILOX_H

#include <stdint.h>

#ifdef __CUDACC__
#define PHILOX_FN static __host__ __device__ inline
#else
#define PHILOX_FN static inline
#endif

typedef struct philox_words {
  uint32_t v[4];
} philox_words;

/* Ten rounds over a 128-bit counter with a 64-bit key. */
PHILOX_FN philox_words philox4x32(philox_words counter, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; round++) {
    const uint64_t a = (uint64_t)0xD2511F53u * counter.v[0];
    const uint64_t b = (uint64_t)0xCD9E8D57u * counter.v[2];
    const philox_words next = {{(uint32_t)(b >> 32) ^ counter.v[1] ^ key0, (uint32_t)b,
                                (uint32_t)(a >> 32) ^ counter.v[3] ^ key1, (uint32_t)a}};
    counter = next;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

/* The four words that hold elements 4*block … 4*block + 3 of `stream` at `step`. */
PHILOX_FN philox_words philox_block(uint64_t seed, uint64_t block, uint32_t stream, uint32_t step) {
  const philox_words counter = {{(uint32_t)block, (uint32_t)(block >> 32), stream, step}};
  return philox4x32(counter, (uint32_t)seed, (uint32_t)(seed >> 32));
}

/* One element's word. (Chosen, not indexed: a GPU's registers have no index.) */
PHILOX_FN uint32_t philox_word(uint64_t seed, uint64_t element, uint32_t stream, uint32_t step) {
  const philox_words words = philox_block(seed, element / 4, stream, step);
  const uint32_t low = element % 2 ? words.v[1] : words.v[0], high = element % 2 ? words.v[3] : words.v[2];
  return element % 4 < 2 ? low : high;
}

/* A word as a number in [0, 1), exact in f32: its upper 24 bits. */
PHILOX_FN float philox_unit(uint32_t word) { return (float)(word >> 8) * 0x1p-24f; }

#endif
