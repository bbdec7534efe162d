/* The kernels of lanes_kernel.h for one instruction set: included by lanes_kernel.c once for each, with
 *
 *   NAME(x)  the function's name             VEC, WIDTH  a vector, and its floats: 16 lanes are 16 / WIDTH passes
 *   TARGET   what it is compiled for         ROWS        channels of a tile, so that its sums fit the registers
 *                                                   FILTERS     those of a filter's gradient
 *   LOAD, STORE, SPREAD, MULTIPLY_ADD        HELD(v)     v, or 0 where v <= 0; NaN stays
 *   LET(gate, v)                             v where gate > 0, else 0
 */
TARGET static inline __attribute__((always_inline)) void NAME(tile_rows)(const int rows, const lamina_lanes_tile *t,
                                                                         const float *x, const float *w, const float *b,
                                                                         const float *gate, float *y) {
  const int64_t n = t->count[3], dx = t->x[3], dw = t->w[3], row = t->w_row;
  VEC sum[ROWS][4];
  UNROLL for (int r = 0; r < rows; r++) UNROLL for (int p = 0; p < 4; p++) sum[r][p] = b ? SPREAD(b[r]) : SPREAD(0);
  for (int64_t i = 0; i < t->count[0]; i++)
    for (int64_t j = 0; j < t->count[1]; j++)
      for (int64_t k = 0; k < t->count[2]; k++) {
        const float *from = x + i * t->x[0] + j * t->x[1] + k * t->x[2];
        const float *factor = w + i * t->w[0] + j * t->w[1] + k * t->w[2];
        const float *x0 = from + t->at[0], *x1 = from + t->at[1], *x2 = from + t->at[2], *x3 = from + t->at[3];
        for (int64_t l = 0; l < n; l++, factor += dw, x0 += dx, x1 += dx, x2 += dx, x3 += dx) {
          const VEC v0 = LOAD(x0), v1 = LOAD(x1), v2 = LOAD(x2), v3 = LOAD(x3);
          UNROLL for (int r = 0; r < rows; r++) {
            const VEC u = SPREAD(factor[r * row]);
            sum[r][0] = MULTIPLY_ADD(v0, u, sum[r][0]);
            sum[r][1] = MULTIPLY_ADD(v1, u, sum[r][1]);
            sum[r][2] = MULTIPLY_ADD(v2, u, sum[r][2]);
            sum[r][3] = MULTIPLY_ADD(v3, u, sum[r][3]);
          }
        }
      }
  UNROLL for (int r = 0; r < rows; r++, y += t->y_row, gate += gate ? t->y_row : 0) {
    if (t->relu) UNROLL for (int p = 0; p < 4; p++) sum[r][p] = HELD(sum[r][p]);
    if (gate) UNROLL for (int p = 0; p < 4; p++) sum[r][p] = LET(LOAD(gate + t->to[p]), sum[r][p]);
    UNROLL for (int p = 0; p < 4; p++) STORE(y + t->to[p], sum[r][p]);
  }
}

#define CASE(r)                                                                                                        \
  case r: NAME(tile_rows)(r, t, x + l, w, b, gate ? gate + l : NULL, y + l); break;
TARGET static void NAME(tile)(int rows, const lamina_lanes_tile *t, const float *x, const float *w, const float *b,
                              const float *gate, float *y) {
  for (int l = 0; l < LAMINA_LANES; l += WIDTH) switch (rows) {
      CASE(1)
      CASE(2)
      CASE(3)
#if ROWS > 3
      CASE(4)
      CASE(5)
      CASE(6)
#endif
    }
}
#undef CASE

TARGET static inline __attribute__((always_inline)) void NAME(filter_rows)(const int rows, const lamina_lanes_places *s,
                                                                           const float *x, const int64_t *tap,
                                                                           const float *dy, float *sums,
                                                                           int64_t sum_row, bool add) {
  const int64_t n = s->count[2], dx = s->x[2], step = s->dy[2], row = s->dy_row;
  VEC sum[FILTERS][LAMINA_LANES_TAPS];
  UNROLL for (int r = 0; r < rows; r++) UNROLL for (int p = 0; p < LAMINA_LANES_TAPS; p++) sum[r][p] =
      add ? LOAD(sums + r * sum_row + p * LAMINA_LANES) : SPREAD(0);
  for (int64_t i = 0; i < s->count[0]; i++)
    for (int64_t j = 0; j < s->count[1]; j++) {
      const float *from = x + i * s->x[0] + j * s->x[1], *d = dy + i * s->dy[0] + j * s->dy[1];
      for (int64_t k = 0; k < n; k++, from += dx, d += step) {
        VEC v[LAMINA_LANES_TAPS];
        UNROLL for (int p = 0; p < LAMINA_LANES_TAPS; p++) v[p] = LOAD(from + tap[p]);
        UNROLL for (int r = 0; r < rows; r++) {
          const VEC u = LOAD(d + r * row);
          UNROLL for (int p = 0; p < LAMINA_LANES_TAPS; p++) sum[r][p] = MULTIPLY_ADD(v[p], u, sum[r][p]);
        }
      }
    }
  UNROLL for (int r = 0; r < rows; r++) UNROLL for (int p = 0; p < LAMINA_LANES_TAPS; p++)
      STORE(sums + r * sum_row + p * LAMINA_LANES, sum[r][p]);
}

#define CASE(r)                                                                                                        \
  case r: NAME(filter_rows)(r, s, x + l, tap, dy + l, sum + l, sum_row, add); break;
TARGET static void NAME(filter)(int rows, const lamina_lanes_places *s, const float *x, const int64_t *tap,
                                const float *dy, float *sum, int64_t sum_row, bool add) {
  for (int l = 0; l < LAMINA_LANES; l += WIDTH) switch (rows) {
      CASE(1)
      CASE(2)
#if FILTERS > 2
      CASE(3)
      CASE(4)
#endif
    }
}
#undef CASE

#undef NAME
#undef TARGET
#undef VEC
#undef WIDTH
#undef ROWS
#undef FILTERS
#undef LOAD
#undef STORE
#undef SPREAD
#undef MULTIPLY_ADD
#undef HELD
#undef LET
