/* Engines for tensors with the batch in the lanes: 16 examples of one channel and place lie side by side, layout 0x04,
 *
 *   [N/16][C][D][H][W][16]                      of a fully connected layer: [N/16][C][16]
 *
 * so that nets with few channels and small planes fill vectors of any width, and no border costs anything: what is read
 * and written for a vector is the same place of 16 examples. Weights, biases and their gradients are plain.
 *
 * Convolution and fully connected layers are one here, as in loop_conv.h; a tensor of theirs that is plain (the net's
 * input, scores) is taken or left 16 examples at a time, transposed in the cache, and its batch may be any.
 *
 *   tile     rows x 4 sums in vectors: rows channels out, at 4 places (2 x 2 of a plane, 4 of a row, or those of up to
 *            4 blocks of the batch); each tap is 4 loads, a weight for each row in all lanes, 4 x rows multiply-adds
 *   filter   rows x TAPS sums in vectors: rows filters, some taps of any channels; along the places of a block of the
 *            batch; the lanes are added at the end */
#ifndef LAMINA_CPU_LANES_H
#define LAMINA_CPU_LANES_H

#include "cpu/loop_conv.h"

enum { LAMINA_LANES = 16, LAMINA_LANES_PLACES = 4, LAMINA_LANES_TAPS = 5 };
/* The batch in the lanes: the layout of a desc. */
enum { LAMINA_LANES_LAYOUT = 0x04 };

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
  double rate;      /* FLOP/s of a thread, for estimates */
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
/* By the name of an engine's variant. */
const lamina_lanes_kernel *lamina_lanes_kernel_of(const char *name);

/* A tensor [N, C, places]: with the batch in the lanes or plain, for a group of channels with a border of zeros. */
typedef struct lamina_lanes_side {
  int64_t N, C, size[3]; /* C: of all groups */
  int64_t lo[3], hi[3];  /* the border */
  int64_t area, padded;  /* places without it and with it */
  bool lanes;            /* as it lies in memory */
} lamina_lanes_side;

lamina_lanes_side lamina_lanes_side_of(const lamina_desc *desc, int64_t N, int64_t C, const int64_t *size);
/* May it be read and written where it lies? */
bool lamina_lanes_in_place(const lamina_lanes_side *side);
/* Floats of a block of 16 examples with `channels` channels and the border. */
int64_t lamina_lanes_block(const lamina_lanes_side *side, int64_t channels);
/* Channels c … c + channels - 1 of block n: their place in memory, or a copy in `room`. */
const float *lamina_lanes_read(const lamina_lanes_side *side, const lamina_lanes_kernel *kernel, const float *x,
                               int64_t n, int64_t c, int64_t channels, float *room);
/* Where to leave a block that has no border, and then, if that was `room`, to where it belongs. */
float *lamina_lanes_for(const lamina_lanes_side *side, float *y, int64_t n, int64_t c, float *room);
void lamina_lanes_write(const lamina_lanes_side *side, const lamina_lanes_kernel *kernel, float *y, int64_t n,
                        int64_t c, int64_t channels, const float *room);

/* For candidates: layouts that were left open become the batch in the lanes where its size allows; refuses what is
 * neither that nor plain, and all but f32. `data`: the arguments that may have the layout, -1 ends. */
bool lamina_lanes_takes(const lamina_problem *problem, const int *data, lamina_candidate_fn *each, void *context);

#define LAMINA_LANES_ENGINE(op_)                                                                                       \
  .size = sizeof(lamina_engine), .abi = LAMINA_ENGINE_ABI, .device = "cpu", .name = "lanes", .op = (op_),              \
  .strides = LAMINA_LANES_STRIDES
#define LAMINA_LANES_STRIDES LAMINA_STRIDES_DENSE

#endif
