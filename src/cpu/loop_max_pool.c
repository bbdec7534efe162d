/* Max and min pooling on the CPU, and max pooling behind a ReLU.
 *
 * forward   separable (loop_pool.h): a row of the input gives, for each window, its maximum and how far in the window
 *           that lies, the first of equals; an output row takes the first of equals of such rows. That is the first in
 *           row-major order. Windows that a row has few of are read one by one. A minimum is the same with the
 *           comparison turned, chosen when this is compiled. With a ReLU a window starts with the 0 that its first
 *           element would be, and what isn't above it doesn't win.
 *           Planes whose rows are short lie side by side.
 * backward  loop_pool_indices.c */
#include <math.h>

#include "cpu/loop_pool.h"

enum { X, Y, INDICES };

/* What a thread works with. */
typedef struct scratch {
  lamina_loop_line line;
  float *rows;           /* [kernel[0]][ring][width] maxima of input rows */
  int32_t *places;       /* like rows: how far in its window each lies */
  int64_t *pooled;       /* [kernel[0]][ring] which row of the input `rows` holds; -1: none */
  float *best;           /* [width] of the output row */
  int32_t *index;        /* [width] */
  uint16_t *bf16;        /* [width] */
  const float **row;     /* [kernel[0]*kernel[1]] those of `rows` that the output row is made of, */
  const int32_t **place; /* their places, */
  int32_t *offset;       /* and the index of their first element less the padding */
} scratch;

static scratch scratch_of(const lamina_loop_pool *s, lamina_loop_room *room) {
  const int64_t kept = s->kernel[0] * s->ring, taps = s->kernel[0] * s->kernel[1];
  scratch m = {.line = lamina_loop_line_at(s, lamina_loop_part(room, 1, lamina_loop_line_size(s)))};
  m.rows = lamina_loop_part(room, kept * s->width, sizeof(float));
  m.places = lamina_loop_part(room, kept * s->width, sizeof(int32_t));
  m.pooled = lamina_loop_part(room, kept, sizeof(int64_t));
  m.best = lamina_loop_part(room, s->width, sizeof(float));
  m.index = lamina_loop_part(room, s->width, sizeof(int32_t));
  m.bf16 = lamina_loop_part(room, s->width, sizeof(uint16_t));
  m.row = lamina_loop_part(room, taps, sizeof(float *));
  m.place = lamina_loop_part(room, taps, sizeof(int32_t *));
  m.offset = lamina_loop_part(room, taps, sizeof(int32_t));
  return m;
}

/* ---- Rows of windows -------------------------------------------------------------------------------------------- */

/* Pools the input row at x along itself. Where no element beats the padding, the first one wins. */
LAMINA_INLINE void pool_row(const lamina_loop_pool *s, const void *x, int64_t lanes, const lamina_loop_line *line,
                            float *best, int32_t *place, bool bf16, bool indices, bool min, float start) {
  const int64_t n = s->width & -LAMINA_LOOP_VECTOR;
  const float *phases = lamina_loop_lanes_read(s, line, x, lanes, bf16);
  for (int64_t o = 0; o < n; o++) best[o] = start;
  if (indices)
    for (int64_t o = 0; o < n; o++) place[o] = s->first[o];
  for (int64_t c = 0; c < s->kernel[2]; c++)
    lamina_loop_take(n, phases + s->column[c], NULL, (int32_t)(c * s->dilation[2]), best, place, indices, min);
}

/* Pools the rows that are new and lists all in row-major order; returns how many. */
LAMINA_INLINE int64_t pool_rows(const lamina_loop_pool *s, const lamina_loop_reach *r, const void *x, int64_t lanes,
                                const scratch *m, bool bf16, bool indices, bool min, float start) {
  int64_t taps = 0, slice = 0;
  for (int64_t d = r->d0; d < r->d1; d += s->dilation[0], slice++)
    for (int64_t h = r->h0; h < r->h1; h += s->dilation[1], taps++) {
      const int64_t slot = slice * s->ring + (h & (s->ring - 1)), at = slot * s->width;
      const int64_t from = (d * s->x[1] + h) * s->x[2];
      if (m->pooled[slot] != h)
        pool_row(s, lamina_loop_at(x, from, bf16), lanes, &m->line, m->rows + at, m->places + at, bf16, indices, min,
                 start);
      m->pooled[slot] = h;
      m->row[taps] = m->rows + at, m->place[taps] = m->places + at;
      m->offset[taps] = (int32_t)(from - s->pad[2]);
    }
  return taps;
}

/* Pools the listed rows into best, and the index in the plane: of the window's first element, plus the place. */
LAMINA_INLINE void join_rows(const lamina_loop_pool *s, int64_t taps, const scratch *m, bool indices, bool min) {
  const int64_t n = s->width & -LAMINA_LOOP_VECTOR;
  const float *x = m->row[0];
  const int32_t *restrict base = s->base;
  const int32_t *place = m->place[0], offset = m->offset[0];
  float *restrict best = m->best;
  int32_t *restrict index = m->index;
  for (int64_t o = 0; o < n; o++) best[o] = x[o];
  if (indices)
    for (int64_t o = 0; o < n; o++) index[o] = place[o] + offset;
  for (int64_t t = 1; t < taps; t++)
    lamina_loop_take(n, m->row[t], m->place[t], m->offset[t], best, index, indices, min);
  if (indices)
    for (int64_t o = 0; o < n; o++) index[o] += base[o];
}

LAMINA_INLINE void forward_rows(const lamina_loop_pool *s, const lamina_loop_task *t, bool bf16, bool indices, bool min,
                                float start) {
  const scratch m = scratch_of(s, &(lamina_loop_room){t->scratch, 0});
  lamina_loop_reach r = {0};
  lamina_loop_line_clear(s, &m.line, lamina_loop_worst(min), bf16);
  for (int64_t i = 0; i < s->kernel[0] * s->ring; i++) m.pooled[i] = -1;
  lamina_loop_window(s, 0, t->d, &r.d0, &r.d1);
  for (int64_t oh = t->h; oh < t->end; oh++) {
    const int64_t at = (t->d * s->y[1] + oh) * s->y[2];
    lamina_loop_window(s, 1, oh, &r.h0, &r.h1);
    const int64_t taps = pool_rows(s, &r, t->from, t->lanes, &m, bf16, indices, min, start);
    join_rows(s, taps, &m, indices, min);
    if (bf16) lamina_bf16_write(s->width, m.best, m.bf16);
    for (int64_t p = 0; p < t->lanes; p++)
      memcpy(lamina_loop_to(t->to, at + p * s->y_plane, bf16),
             lamina_loop_at(bf16 ? (void *)m.bf16 : m.best, p * s->segment, bf16), (size_t)s->y[2] * (bf16 ? 2 : 4));
    for (int64_t p = 0; p < t->lanes && indices; p++)
      memcpy(t->indices + at + p * s->y_plane, m.index + p * s->segment, (size_t)s->y[2] * sizeof *m.index);
  }
}

/* ---- One window at a time --------------------------------------------------------------------------------------- */

LAMINA_INLINE void forward_window(const lamina_loop_pool *s, const lamina_loop_task *t, int64_t oh, int64_t ow,
                                  bool bf16, bool min, float start) {
  int64_t d0, d1, h0, h1, w0, w1;
  lamina_loop_window(s, 0, t->d, &d0, &d1);
  lamina_loop_window(s, 1, oh, &h0, &h1);
  lamina_loop_window(s, 2, ow, &w0, &w1);
  int64_t at = (d0 * s->x[1] + h0) * s->x[2] + w0;
  float best = start;
  for (int64_t d = d0; d < d1; d += s->dilation[0])
    for (int64_t h = h0; h < h1; h += s->dilation[1])
      for (int64_t i = (d * s->x[1] + h) * s->x[2] + w0, end = i + w1 - w0; i < end; i += s->dilation[2]) {
        const float v = lamina_loop_get(t->from, i, bf16);
        if ((min ? !(v >= best) : !(v <= best)) && best == best) best = v, at = i;
      }
  const int64_t o = (t->d * s->y[1] + oh) * s->y[2] + ow;
  lamina_loop_set(t->to, o, best, bf16);
  if (t->indices) t->indices[o] = (int32_t)at;
}

/* ---- Forward ---------------------------------------------------------------------------------------------------- */

/* `start`: what a window starts with, as its first element. */
#define FORWARD(name, type, bf16, min)                                                                                 \
  LAMINA_CLONES static void name##_rows_##type(const lamina_loop_pool *s, const lamina_loop_task *t, float start) {    \
    if (t->indices)                                                                                                    \
      forward_rows(s, t, bf16, true, min, start);                                                                      \
    else                                                                                                               \
      forward_rows(s, t, bf16, false, min, start);                                                                     \
  }                                                                                                                    \
  static void name##_windows_##type(const lamina_loop_pool *s, const lamina_loop_task *t, float start) {               \
    for (int64_t oh = t->h; oh < t->end; oh++)                                                                         \
      for (int64_t ow = 0; ow < s->y[2]; ow++) forward_window(s, t, oh, ow, bf16, min, start);                         \
  }
FORWARD(max, f32, false, false)
FORWARD(max, bf16, true, false)
FORWARD(min, f32, false, true)
FORWARD(min, bf16, true, true)

/* A minimum, a maximum, and a maximum behind a ReLU: as tasks. */
#define TASK(name, way, type, of, start)                                                                               \
  static void name##_##way##_##type(const lamina_loop_pool *s, const lamina_loop_task *t) {                            \
    of##_##way##_##type(s, t, start);                                                                                  \
  }
#define TASKS(name, of, start)                                                                                         \
  TASK(name, rows, f32, of, start)                                                                                     \
  TASK(name, rows, bf16, of, start)                                                                                    \
  TASK(name, windows, f32, of, start)                                                                                  \
  TASK(name, windows, bf16, of, start)
TASKS(max_pool, max, lamina_loop_worst(false))
TASKS(min_pool, min, lamina_loop_worst(true))
TASKS(relu_max_pool, max, 0)

/* Takes what the loops offer, and adds the comparisons: a line is read, split and pooled, and rows of such are joined. */
typedef struct offer {
  const lamina_device *device;
  const lamina_problem *problem;
  lamina_candidate_fn *each;
  void *context;
} offer;

static void add_work(void *context, const char *variant, double seconds, const char *reason) {
  const offer *o = context;
  const double elements = lamina_loop_pool_elements(o->problem, Y);
  o->each(o->context, variant, seconds + lamina_cpu_computing(o->device, elements, 0.008), reason);
}

static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  offer o = {device, problem, each, context};
  lamina_loop_candidates(device, problem, engine, add_work, &o);
}

static lamina_status prepare_forward(lamina_plan *plan) {
  LAMINA_TRY(lamina_loop_pool_open(plan, X, Y, true));
  const lamina_loop_pool *s = plan->state;
  lamina_loop_room room = {0};
  if (!s->direct) scratch_of(s, &room);
  lamina_loop_pool_scratch(plan, room.used);
  return LAMINA_OK;
}

#define RUN(name)                                                                                                      \
  static lamina_status run_##name(const lamina_plan *plan, const lamina_args *args, void *workspace,                   \
                                  lamina_stream *stream) {                                                             \
    static lamina_loop_task_fn *const tasks[2][2] = {{name##_rows_f32, name##_rows_bf16},                              \
                                                     {name##_windows_f32, name##_windows_bf16}};                       \
    const lamina_loop_pool *s = plan->state;                                                                           \
    const lamina_loop_pass pass = {.from = args->p[X], .to = args->p[Y], .indices = args->p[INDICES]};                 \
    (void)stream;                                                                                                      \
    return lamina_loop_pool_run(plan, &pass, tasks[s->direct][lamina_loop_is_bf16(plan, X)], workspace);               \
  }
RUN(max_pool)
RUN(min_pool)
RUN(relu_max_pool)

#define FORWARD_ENGINE(op, name)                                                                                       \
  LAMINA_LOOP_ENGINE(op, LAMINA_STRIDES_DENSE), .candidates = candidates, .prepare = prepare_forward,                  \
                                                .run = run_##name, .release = lamina_loop_pool_close
const lamina_engine lamina_cpu_loop_max_pool_forward = {FORWARD_ENGINE("max_pool/forward", max_pool)};
const lamina_engine lamina_cpu_loop_min_pool_forward = {FORWARD_ENGINE("min_pool/forward", min_pool)};
const lamina_engine lamina_cpu_loop_relu_max_pool_forward = {FORWARD_ENGINE("relu_max_pool/forward", relu_max_pool)};
