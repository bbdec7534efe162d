/* Moving elements between strided views.
 *
 * The axes are sorted by how y steps through them and merged where both sides allow. What is left is cut into tiles of
 * two axes, which the team shares: y's fastest axis, and either the one outside it or, where x runs fastest along
 * another axis, that one. Then every cache line that a tile touches, on either side, is used up while it is near. */
#include "cpu/move.h"

#include <stdlib.h>

#include "core/blocks.h"
#include "cpu/rows.h"

typedef struct loops {
  int rank;
  int64_t dims[LAMINA_MAX_AXES], from[LAMINA_MAX_AXES], to[LAMINA_MAX_AXES];
} loops;

static void put(loops *s, int at, int64_t dim, int64_t from, int64_t to) {
  s->dims[at] = dim, s->from[at] = from, s->to[at] = to;
}

static loops arrange(int rank, const int64_t *dims, const int64_t *from, const int64_t *to) {
  loops s = {0}, merged = {0};
  for (int d = 0; d < rank; d++) {
    if (dims[d] == 1) continue;
    int at = s.rank++;
    for (; at > 0 && llabs(s.to[at - 1]) < llabs(to[d]); at--)
      put(&s, at, s.dims[at - 1], s.from[at - 1], s.to[at - 1]);
    put(&s, at, dims[d], from[d], to[d]);
  }
  for (int d = 0; d < s.rank; d++) {
    const int last = merged.rank - 1;
    if (last >= 0 && merged.from[last] == s.from[d] * s.dims[d] && merged.to[last] == s.to[d] * s.dims[d])
      put(&merged, last, merged.dims[last] * s.dims[d], s.from[d], s.to[d]);
    else
      put(&merged, merged.rank++, s.dims[d], s.from[d], s.to[d]);
  }
  while (merged.rank < 2) { /* tiles have two axes */
    for (int d = merged.rank++; d > 0; d--) put(&merged, d, merged.dims[d - 1], merged.from[d - 1], merged.to[d - 1]);
    put(&merged, 0, 1, 0, 0);
  }
  return merged;
}

/* The axis other than the last along which x runs faster than along the last; -1: none. */
static int faster_in_x(const loops *s) {
  int best = s->rank - 1;
  if (s->from[best] == 0) return -1;
  for (int d = s->rank - 2; d >= 0; d--)
    if (s->from[d] != 0 && llabs(s->from[d]) < llabs(s->from[best])) best = d;
  return best == s->rank - 1 ? -1 : best;
}

/* ---- One tile: nk x nl elements --------------------------------------------------------------------------------- */

typedef struct tile {
  int64_t nk, nl, from_k, from_l, to_k, to_l;
} tile;

/* y[i * yi + j] = x[j * xj + i] for i < n, j < m: rows become columns, four by four in registers. False: it has no way
 * to do that faster. */
typedef uint32_t four __attribute__((vector_size(16)));

static bool lamina_transpose_uint32_t(int64_t n, int64_t m, const uint32_t *x, int64_t xj, uint32_t *y, int64_t yi) {
  const int64_t n4 = n & ~(int64_t)3, m4 = m & ~(int64_t)3;
  for (int64_t i = 0; i < n4; i += 4)
    for (int64_t j = 0; j < m4; j += 4) {
      four a, b, c, d;
      const uint32_t *from = x + j * xj + i;
      memcpy(&a, from, sizeof a), memcpy(&b, from + xj, sizeof b);
      memcpy(&c, from + 2 * xj, sizeof c), memcpy(&d, from + 3 * xj, sizeof d);
      const four low = __builtin_shuffle(a, b, (four){0, 4, 1, 5}), low2 = __builtin_shuffle(c, d, (four){0, 4, 1, 5});
      const four high = __builtin_shuffle(a, b, (four){2, 6, 3, 7});
      const four high2 = __builtin_shuffle(c, d, (four){2, 6, 3, 7});
      const four rows[4] = {
          __builtin_shuffle(low, low2, (four){0, 1, 4, 5}), __builtin_shuffle(low, low2, (four){2, 3, 6, 7}),
          __builtin_shuffle(high, high2, (four){0, 1, 4, 5}), __builtin_shuffle(high, high2, (four){2, 3, 6, 7})};
      for (int64_t r = 0; r < 4; r++) memcpy(y + (i + r) * yi + j, &rows[r], sizeof rows[r]);
    }
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = i < n4 ? m4 : 0; j < m; j++) y[i * yi + j] = x[j * xj + i];
  return true;
}
#define NO_TRANSPOSE(type)                                                                                             \
  static bool lamina_transpose_##type(int64_t n, int64_t m, const type *x, int64_t xj, type *y, int64_t yi) {          \
    (void)n, (void)m, (void)x, (void)xj, (void)y, (void)yi;                                                            \
    return false;                                                                                                      \
  }
NO_TRANSPOSE(uint8_t)
NO_TRANSPOSE(uint16_t)
NO_TRANSPOSE(uint64_t)

#define TILE(type)                                                                                                     \
  static void tile_##type(const tile *t, const void *from, void *to) {                                                 \
    const type *restrict x = from;                                                                                     \
    type *restrict y = to;                                                                                             \
    const bool k_inside = t->nk > t->nl && !(t->from_l == 1 && t->to_l == 1);                                          \
    const int64_t n = k_inside ? t->nl : t->nk, m = k_inside ? t->nk : t->nl;                                          \
    const int64_t fn = k_inside ? t->from_l : t->from_k, fm = k_inside ? t->from_k : t->from_l;                        \
    const int64_t tn = k_inside ? t->to_l : t->to_k, tm = k_inside ? t->to_k : t->to_l;                                \
    if (fm == 1 && tm == 1 && m * (int64_t)sizeof(type) >= 64)                                                         \
      for (int64_t i = 0; i < n; i++) memcpy(y + i * tn, x + i * fn, (size_t)m * sizeof(type));                        \
    else if (fm == 0 && tm == 1)                                                                                       \
      for (int64_t i = 0; i < n; i++)                                                                                  \
        for (int64_t j = 0; j < m; j++) y[i * tn + j] = x[i * fn];                                                     \
    else if (tm == 1 && fn == 1 && lamina_transpose_##type(n, m, x, fm, y, tn))                                        \
      return;                                                                                                          \
    else if (fm == 1 && tn == 1 && lamina_transpose_##type(m, n, x, fn, y, tm))                                        \
      return;                                                                                                          \
    else if (tm == 1)                                                                                                  \
      for (int64_t i = 0; i < n; i++)                                                                                  \
        for (int64_t j = 0; j < m; j++) y[i * tn + j] = x[i * fn + j * fm];                                            \
    else                                                                                                               \
      for (int64_t i = 0; i < n; i++)                                                                                  \
        for (int64_t j = 0; j < m; j++) y[i * tn + j * tm] = x[i * fn + j * fm];                                       \
  }
TILE(uint8_t)
TILE(uint16_t)
TILE(uint32_t)
TILE(uint64_t)

typedef void tile_fn(const tile *t, const void *from, void *to);
static tile_fn *tile_of(size_t size) {
  return size == 1 ? tile_uint8_t : size == 2 ? tile_uint16_t : size == 4 ? tile_uint32_t : tile_uint64_t;
}

/* ---- All tiles -------------------------------------------------------------------------------------------------- */

enum { SQUARE = 32, ROW = 16384 }; /* elements: a side where the two sides run differently; a tile where they don't */

static int64_t at_most(int64_t n, int64_t most) { return n < most ? n : most; }

void lamina_cpu_move(size_t size, int rank, const int64_t *dims, const void *x, const int64_t *from, void *y,
                     const int64_t *to) {
  for (int d = 0; d < rank; d++)
    if (dims[d] == 0) return;
  const loops s = arrange(rank, dims, from, to);
  const int l = s.rank - 1, faster = faster_in_x(&s), k = faster < 0 ? l - 1 : faster;
  const int64_t tile_l = at_most(s.dims[l], faster < 0 ? ROW : SQUARE);
  const int64_t tile_k = at_most(s.dims[k], faster < 0 ? (ROW + tile_l - 1) / tile_l : SQUARE);
  const int64_t cuts_l = (s.dims[l] + tile_l - 1) / tile_l, cuts_k = (s.dims[k] + tile_k - 1) / tile_k;
  const int64_t bytes = (int64_t)size;
  tile_fn *const run = tile_of(size);
  int64_t tiles = cuts_l * cuts_k, elements = s.dims[l] * s.dims[k];
  for (int d = 0; d < l; d++)
    if (d != k) tiles *= s.dims[d], elements *= s.dims[d];
#pragma omp parallel for schedule(static) if (tiles > 1 && elements >= LAMINA_LOOP_PARALLEL)
  for (int64_t n = 0; n < tiles; n++) {
    const int64_t first_l = n % cuts_l * tile_l, first_k = n / cuts_l % cuts_k * tile_k;
    const tile t = {at_most(s.dims[k] - first_k, tile_k),
                    at_most(s.dims[l] - first_l, tile_l),
                    s.from[k],
                    s.from[l],
                    s.to[k],
                    s.to[l]};
    int64_t in = first_k * s.from[k] + first_l * s.from[l], out = first_k * s.to[k] + first_l * s.to[l];
    int64_t index = n / cuts_l / cuts_k;
    for (int d = l - 1; d >= 0; d--) {
      if (d == k) continue;
      in += index % s.dims[d] * s.from[d], out += index % s.dims[d] * s.to[d];
      index /= s.dims[d];
    }
    run(&t, (const char *)x + in * bytes, (char *)y + out * bytes);
  }
}

void lamina_cpu_convert(const lamina_desc *x, const void *from, const lamina_desc *y, void *to) {
  if (lamina_desc_count(x) == 0) return;
  const lamina_axes axes = lamina_axes_of(x, y);
  lamina_cpu_move(lamina_dtype_size((lamina_dtype)x->dtype), axes.rank, axes.dims, from, axes.x, to, axes.y);
}

void lamina_cpu_set(size_t size, int rank, const int64_t *dims, const void *value, void *y, const int64_t *to) {
  static const int64_t still[LAMINA_MAX_RANK] = {0};
  lamina_cpu_move(size, rank, dims, value, still, y, to);
}

/* For each axis what lies before the box and behind it, inside the box along the axes that were done. */
void lamina_cpu_set_around(const lamina_desc *whole, const int64_t *dims, const int64_t *first, const void *value,
                           void *y) {
  const size_t size = lamina_dtype_size((lamina_dtype)whole->dtype);
  int64_t left[LAMINA_MAX_RANK], offset = 0;
  memcpy(left, whole->dims, sizeof left);
  for (int d = 0; d < whole->rank; d++) {
    const int64_t end = first[d] + dims[d];
    left[d] = first[d];
    lamina_cpu_set(size, whole->rank, left, value, lamina_element_to(whole, y, offset), whole->strides);
    left[d] = whole->dims[d] - end;
    lamina_cpu_set(size, whole->rank, left, value, lamina_element_to(whole, y, offset + end * whole->strides[d]),
                   whole->strides);
    left[d] = dims[d];
    offset += first[d] * whole->strides[d];
  }
}

void lamina_move_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                            lamina_candidate_fn *each, void *context) {
  (void)engine;
  lamina_row_offer(device, problem, each, context);
}
