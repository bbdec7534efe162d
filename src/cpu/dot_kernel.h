/* The kernel of dot products that read much and reckon little (dot_fc.c), on raw pointers. It knows nothing of Lamina.
 *
 *   sums [rows, examples] (+)= w [rows, k] * x [examples, k]
 *
 * Rows lie from one end to the other. Several of w's are read at once, each in order, which keeps more of the memory's
 * lanes busy than one after the other would; and lines of them are asked for some steps before they are read. Each sum is
 * one vector, whose lane l has the products l, l + lanes, l + 2 lanes …, whatever else the tile holds and wherever k is
 * cut; `total` adds the lanes. */
#ifndef LAMINA_CPU_DOT_KERNEL_H
#define LAMINA_CPU_DOT_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus /* for tests */
extern "C" {
#endif

enum {
  LAMINA_DOT_ROWS = 6,
  LAMINA_DOT_LANES = 16, /* of the kernel that has the most */
  LAMINA_DOT_LINE = 64   /* bytes: where k is cut, it is after a multiple of them */
};

typedef struct lamina_dot_tile {
  int64_t k, ldw, ldx;      /* elements: of a row here, and from one row to the next */
  bool add;                 /* to what sums hold */
  int ahead_from, ahead_to; /* rows of w of which lines are asked for */
  int64_t ahead;            /* bytes from what is read to what is asked for */
} lamina_dot_tile;

/* `sums` are vectors, [rows][examples]; at most LAMINA_DOT_ROWS and the kernel's examples. */
typedef void lamina_dot_fn(int rows, int examples, const lamina_dot_tile *tile, const void *w, const float *x,
                           float *sums);

typedef struct lamina_dot_kernel {
  const char *name;
  int examples, lanes; /* examples: of a tile, at most */
  double share; /* of what multiply-adds can be where its vectors are the widest, in whole tiles, for estimates */
  lamina_dot_fn *f32, *bf16; /* by w's type */
  void (*total)(int64_t count, const float *sums, float *totals);
} lamina_dot_kernel;

/* Those that this machine runs, the best one first; NULL past the last. */
const lamina_dot_kernel *lamina_dot_kernel_at(int index);

#ifdef __cplusplus
}
#endif

#endif
