/* The kernels of direct_kernel.h for one instruction set: included by direct_kernel.c once for each, with
 *
 *   NAME(x)  the function's name             VEC, WIDTH  a vector, and its floats: a block is 16 / WIDTH vectors
 *   TARGET   what it is compiled for         BLOCKS, COLUMNS  of a tile, so that its sums fit the registers
 *   LOAD, STORE, SPREAD, MULTIPLY_ADD        HELD(v)     v, or 0 where v <= 0; NaN stays
 *   WIDEN(w)                                 a vector of bf16
 *   SPREADS                                  columns of a tile that are spread into a register; the others are by each
 *   SPREAD_AND_ADD(x, w, sum)                of these, sum += *x * w, which loads more and takes fewer instructions
 *   CASES(blocks)                            CASE(blocks, columns) for all columns
 */
#define VECTORS (LAMINA_DIRECT_BLOCK / WIDTH)

TARGET INLINE void NAME(sums)(const int blocks, const int columns, const bool bf16, const lamina_direct_tile *t,
                              const float *x, const void *w, float *y) {
  const int vectors = blocks * VECTORS;
  const int32_t *const tap = t->tap;
  const int64_t taps = t->taps, size = bf16 ? 2 : 4;
  const char *ahead = t->ahead;
  VEC sum[BLOCKS * VECTORS][COLUMNS];
  UNROLL for (int v = 0; v < vectors; v++) UNROLL for (int j = 0; j < columns; j++) sum[v][j] =
      LOAD(t->b ? t->b + v * WIDTH : y + v / VECTORS * t->y_block + j * LAMINA_DIRECT_BLOCK + v % VECTORS * WIDTH);
  for (int64_t c = 0; c < t->channels; c++) {
    const char *at = (const char *)w + c * t->w_channel * size;
    for (int l = 0; l < t->lines; l++, ahead += 64) __builtin_prefetch(ahead, 0, TO_L2);
    for (int64_t k = 0; k < taps; k++, at += LAMINA_DIRECT_BLOCK * size) {
      const float *from = x + (t->at + tap[k]);
      VEC factor[BLOCKS * VECTORS];
      UNROLL for (int v = 0; v < vectors; v++) {
        const void *here = at + (v / VECTORS * t->w_block + v % VECTORS * WIDTH) * size;
        factor[v] = bf16 ? WIDEN((const uint16_t *)here) : LOAD((const float *)here);
      }
      UNROLL for (int j = 0; j < columns; j++) {
        if (j >= SPREADS) {
          UNROLL for (int v = 0; v < vectors; v++) SPREAD_AND_ADD(from + j, factor[v], sum[v][j]);
          continue;
        }
        const VEC one = SPREAD(from + j);
        UNROLL for (int v = 0; v < vectors; v++) sum[v][j] = MULTIPLY_ADD(one, factor[v], sum[v][j]);
      }
    }
    x += t->x_channel;
  }
  UNROLL for (int v = 0; v < vectors; v++) UNROLL for (int j = 0; j < columns; j++) {
    float *to = y + v / VECTORS * t->y_block + j * LAMINA_DIRECT_BLOCK + v % VECTORS * WIDTH;
    STORE(to, t->relu ? HELD(sum[v][j]) : sum[v][j]);
  }
}

#define CASE(blocks, columns)                                                                                          \
  case (blocks)*16 + (columns):                                                                                        \
    NAME(sums)(blocks, columns, BF16, t, x, w, y);                                                                     \
    break;

#define BF16 false
TARGET static void NAME(tile)(int blocks, int columns, const lamina_direct_tile *t, const float *x, const float *w,
                              float *y) {
  switch (blocks * 16 + columns) { CASES }
}
#undef BF16
#define BF16 true
TARGET static void NAME(tile_bf16)(int blocks, int columns, const lamina_direct_tile *t, const float *x,
                                   const uint16_t *w, float *y) {
  switch (blocks * 16 + columns) { CASES }
}
#undef BF16

#undef CASE
#undef VECTORS
#undef NAME
#undef TARGET
#undef VEC
#undef WIDTH
#undef BLOCKS
#undef COLUMNS
#undef LOAD
#undef STORE
#undef SPREAD
#undef MULTIPLY_ADD
#undef HELD
#undef WIDEN
#undef SPREADS
#undef SPREAD_AND_ADD
#undef CASES
