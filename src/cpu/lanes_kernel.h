/* The kernels of the engines with the batch in the lanes (lanes.h), on raw pointers. They know nothing of Lamina.
 *
 *   tile     rows x 4 sums in vectors: rows channels out, at 4 places (2 x 2 of a plane, 4 of a row, or those of up to
 *            4 blocks of the batch); each tap is 4 loads, a weight for each row in all lanes, 4 x rows multiply-adds
 *   filter   rows x TAPS sums in vectors: rows filters, some taps of any channels; along the places of a block of the
 *            batch; the lanes are added at the end */
#ifndef LAMINA_CPU_LANES_KERNEL_H
#define LAMINA_CPU_LANES_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus /* for tests */
extern "C" {
#endif

enum { LAMINA_LANES = 16, LAMINA_LANES_PLACES = 4, LAMINA_LANES_TAPS = 5 };

/* The sums of a tile: four nested loops over taps (steps in floats; of a loop of one round, none). */
typedef struct lamina_lanes_tile {
  int64_t count[4], x[4], w[4];    /* the innermost loop is the last */
  int64_t at[LAMINA_LANES_PLACES]; /* of the places in x */
  int64_t to[LAMINA_LANES_PLACES]; /* and in y and gate; places may be the same */
  int64_t w_row, y_row;            /* from one row of the tile to the next */
  bool relu;
} lamina_lanes_tile;

/* The places of a block for a filter's gradient: three nested loops. */
typedef struct lamina_lanes_places {
  int64_t count[3], x[3], dy[3];
  int64_t dy_row; /* from one filter to the next */
} lamina_lanes_places;

typedef struct lamina_lanes_kernel {
  const char *name; /* "avx512" */
  int rows;         /* channels of a tile, at most */
  int filters;      /* of a filter's gradient at once */
  double share;     /* of what multiply-adds can be where its vectors are the widest, for estimates */
  /* y = sums + b (NULL: none), held above 0 where the tile says so; 0 where gate (NULL: none) isn't above 0. */
  void (*tile)(int rows, const lamina_lanes_tile *tile, const float *x, const float *w, const float *b,
               const float *gate, float *y);
  /* sum [rows][sum_row], [LAMINA_LANES_TAPS][16] of each, of x at `tap` times dy; `add`: to what it holds. */
  void (*filter)(int rows, const lamina_lanes_places *places, const float *x, const int64_t *tap, const float *dy,
                 float *sum, int64_t sum_row, bool add);
  /* to [columns][to_row] of from [rows][from_row], transposed; rows and columns are at most 16. Columns of `to` from
   * `rows` to `width` become 0. */
  void (*transpose)(int rows, int columns, const float *from, int64_t from_row, float *to, int64_t to_row, int width);
} lamina_lanes_kernel;

/* Those that this machine runs, the best one first; NULL past the last. */
const lamina_lanes_kernel *lamina_lanes_kernel_at(int index);

#ifdef __cplusplus
}
#endif

#endif
