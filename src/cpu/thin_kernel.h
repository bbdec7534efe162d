/* The kernel of products with a thin side (thin_fc.c), on raw pointers. It knows nothing of Lamina.
 *
 *   c [rows, n] = a [rows, k] * b [k, n]              all f32; n: some vectors
 *
 * a's rows lie as they like, lda elements apart, and each element is spread over a vector; b is a panel, from one end to
 * the other; c stays in registers meanwhile. Beside it the kernel asks for lines of memory that will be read soon, a few
 * every 16 steps, so that what streams by is there when its turn comes. */
#ifndef LAMINA_CPU_THIN_KERNEL_H
#define LAMINA_CPU_THIN_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus /* for tests */
extern "C" {
#endif

/* Steps in which one line of each row is asked for. */
enum { LAMINA_THIN_LINE = 16 };

typedef struct lamina_thin_tile {
  int64_t k, lda, ldc;
  bool add;          /* to what c holds */
  int ahead_rows;    /* rows of which lines are asked for; 0: none */
  int64_t ahead_row; /* bytes from one to the next */
} lamina_thin_tile;

typedef struct lamina_thin_kernel {
  const char *name;  /* "avx512", as that of the kernel with lanes that goes with it */
  int rows, vectors; /* of a tile, at most */
  int lanes;         /* floats of a vector */
  double share;      /* of what multiply-adds can be where its vectors are the widest, in whole tiles, for estimates */
  void (*tile)(int rows, int vectors, const lamina_thin_tile *tile, const float *a, const float *b, float *c,
               const char *ahead);
} lamina_thin_kernel;

/* Those that this machine runs, the best one first; NULL past the last. */
const lamina_thin_kernel *lamina_thin_kernel_at(int index);

#ifdef __cplusplus
}
#endif

#endif
