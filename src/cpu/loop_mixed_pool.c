/* Mixed pooling on the CPU.
 *
 * forward   separable (loop_pool.h): a row of the input gives each window's maximum, how far in the window that lies,
 *           and its sum along the row; an output row takes the first of equals, adds the sums up, and blends. Maxima are
 *           padded with -infinity and sums with 0, so there are two lines. Windows that a row has few of are read one by
 *           one.
 * backward  plane by plane: each row of dx collects (1 - share) dy / count from the windows that cover it, then each
 *           share * dy goes to its index. */
#include "cpu/loop_pool.h"
#include "lamina/mixed_pool.h"

/* How much of the maximum and of the average y has. */
typedef struct blend {
  float share, rest;
} blend;

static blend blend_of(const lamina_plan *plan) {
  const double share = ((const lamina_mixed_pool *)lamina_attr(&plan->problem))->max_share;
  return (blend){(float)share, (float)(1 - share)};
}

/* ---- Forward ---------------------------------------------------------------------------------------------------- */

enum { X, Y, INDICES };

/* What a thread works with. */
typedef struct scratch {
  lamina_loop_line for_max, for_sum;
  float *rows;     /* [kernel[0]][ring][width] maxima of input rows */
  float *sums;     /* like rows: sums */
  int32_t *places; /* like rows: how far in its window each maximum lies */
  float *best;     /* [width] of the output row */
  float *sum;      /* [width] */
  int32_t *index;  /* [width] */
  uint16_t *bf16;  /* [width] */
} scratch;

static scratch scratch_of(const lamina_loop_pool *s, lamina_loop_room *room) {
  const int64_t rows = s->kernel[0] * s->ring * s->width;
  scratch m = {.for_max = lamina_loop_line_at(s, lamina_loop_part(room, 1, lamina_loop_line_size(s)))};
  m.for_sum = lamina_loop_line_at(s, lamina_loop_part(room, 1, lamina_loop_line_size(s)));
  m.rows = lamina_loop_part(room, rows, sizeof(float));
  m.sums = lamina_loop_part(room, rows, sizeof(float));
  m.places = lamina_loop_part(room, rows, sizeof(int32_t));
  m.best = lamina_loop_part(room, s->width, sizeof(float));
  m.sum = lamina_loop_part(room, s->width, sizeof(float));
  m.index = lamina_loop_part(room, s->width, sizeof(int32_t));
  m.bf16 = lamina_loop_part(room, s->width, sizeof(uint16_t));
  return m;
}

/* Pools the input row at x along itself, into the rows at `at`. Where all are -inf, the first one wins. */
LAMINA_INLINE void pool_row(const lamina_loop_pool *s, const void *x, const scratch *m, int64_t at, bool bf16,
                            bool indices) {
  const int64_t n = s->width & -LAMINA_LOOP_VECTOR;
  const float *phases = lamina_loop_line_read(s, &m->for_max, x, bf16);
  float *best = m->rows + at, *sum = m->sums + at;
  int32_t *place = m->places + at;
  for (int64_t o = 0; o < n; o++) best[o] = -INFINITY, sum[o] = 0;
  if (indices)
    for (int64_t o = 0; o < n; o++) place[o] = s->first[o];
  for (int64_t c = 0; c < s->kernel[2]; c++)
    lamina_loop_take(n, phases + s->column[c], NULL, (int32_t)c, best, place, indices, false);
  phases = lamina_loop_line_read(s, &m->for_sum, x, bf16);
  for (int64_t c = 0; c < s->kernel[2]; c++) lamina_loop_add_row(n, phases + s->column[c], sum);
}

/* Takes a pooled row into the output row. */
LAMINA_INLINE void join_row(const lamina_loop_pool *s, const scratch *m, int64_t at, int32_t offset, bool first,
                            bool indices) {
  const int64_t n = s->width & -LAMINA_LOOP_VECTOR;
  const float *x = m->rows + at;
  const int32_t *place = m->places + at;
  float *restrict best = m->best, *restrict sum = m->sum;
  int32_t *restrict index = m->index;
  for (int64_t o = 0; o < n && first; o++) best[o] = x[o], sum[o] = 0;
  for (int64_t o = 0; o < n && first && indices; o++) index[o] = place[o] + offset;
  if (!first) lamina_loop_take(n, x, place, offset, best, index, indices, false);
  lamina_loop_add_row(n, m->sums + at, sum);
}

LAMINA_INLINE void forward_rows(const lamina_loop_pool *s, const lamina_loop_task *t, bool bf16, bool indices) {
  const int64_t n = s->width & -LAMINA_LOOP_VECTOR;
  const scratch m = scratch_of(s, &(lamina_loop_room){t->scratch, 0});
  const blend by = *(const blend *)t->user;
  lamina_loop_reach r = {0};
  lamina_loop_line_clear(s, &m.for_max, -INFINITY, bf16);
  lamina_loop_line_clear(s, &m.for_sum, 0, bf16);
  lamina_loop_window(s, 0, t->d, &r.d0, &r.d1);
  for (int64_t oh = t->h; oh < t->end; oh++) {
    const int64_t to = (t->d * s->y[1] + oh) * s->y[2];
    const float count = (float)(lamina_loop_count(s, 0, t->d) * lamina_loop_count(s, 1, oh));
    lamina_loop_window(s, 1, oh, &r.h0, &r.h1);
    for (int64_t d = r.d0; d < r.d1; d++)
      for (int64_t h = r.h0; h < r.h1; h++) {
        const int64_t at = ((d - r.d0) * s->ring + (h & (s->ring - 1))) * s->width, from = (d * s->x[1] + h) * s->x[2];
        if (h >= r.next) pool_row(s, lamina_loop_at(t->from, from, bf16), &m, at, bf16, indices);
        join_row(s, &m, at, (int32_t)(from - s->pad[2]), d == r.d0 && h == r.h0, indices);
      }
    r.next = r.h1;
#pragma GCC ivdep
    for (int64_t o = 0; o < n; o++) m.sum[o] = by.share * m.best[o] + by.rest * (m.sum[o] / (count * s->count[o]));
    if (bf16) lamina_bf16_write(n, m.sum, m.bf16);
    memcpy(lamina_loop_to(t->to, to, bf16), bf16 ? (void *)m.bf16 : m.sum, (size_t)s->y[2] * (bf16 ? 2 : 4));
    for (int32_t o = 0; o < (int32_t)s->y[2] && indices; o++)
      t->indices[to + o] = m.index[o] + o * (int32_t)s->stride[2];
  }
}

LAMINA_INLINE void forward_window(const lamina_loop_pool *s, const lamina_loop_task *t, int64_t oh, int64_t ow,
                                  bool bf16) {
  const blend by = *(const blend *)t->user;
  int64_t d0, d1, h0, h1, w0, w1;
  lamina_loop_window(s, 0, t->d, &d0, &d1);
  lamina_loop_window(s, 1, oh, &h0, &h1);
  lamina_loop_window(s, 2, ow, &w0, &w1);
  int64_t at = (d0 * s->x[1] + h0) * s->x[2] + w0;
  float best = -INFINITY;
  double sum = 0;
  for (int64_t d = d0; d < d1; d++)
    for (int64_t h = h0; h < h1; h++)
      for (int64_t i = (d * s->x[1] + h) * s->x[2] + w0, end = i + w1 - w0; i < end; i++) {
        const float v = lamina_loop_get(t->from, i, bf16);
        if (!(v <= best) && best == best) best = v, at = i;
        sum += (double)v;
      }
  const int64_t o = (t->d * s->y[1] + oh) * s->y[2] + ow;
  const int64_t count = lamina_loop_count(s, 0, t->d) * lamina_loop_count(s, 1, oh) * lamina_loop_count(s, 2, ow);
  lamina_loop_set(t->to, o, by.share * best + by.rest * (float)(sum / (double)count), bf16);
  if (t->indices) t->indices[o] = (int32_t)at;
}

#define FORWARD(type, bf16)                                                                                            \
  LAMINA_CLONES static void forward_##type(const lamina_loop_pool *s, const lamina_loop_task *t) {                     \
    if (t->indices)                                                                                                    \
      forward_rows(s, t, bf16, true);                                                                                  \
    else                                                                                                               \
      forward_rows(s, t, bf16, false);                                                                                 \
  }                                                                                                                    \
  static void forward_direct_##type(const lamina_loop_pool *s, const lamina_loop_task *t) {                            \
    for (int64_t oh = t->h; oh < t->end; oh++)                                                                         \
      for (int64_t ow = 0; ow < s->y[2]; ow++) forward_window(s, t, oh, ow, bf16);                                     \
  }
FORWARD(f32, false)
FORWARD(bf16, true)

static lamina_status prepare_forward(lamina_plan *plan) {
  LAMINA_TRY(lamina_loop_pool_open(plan, X, Y, false));
  const lamina_loop_pool *s = plan->state;
  lamina_loop_room room = {0};
  if (!s->direct) scratch_of(s, &room);
  lamina_loop_pool_scratch(plan, room.used);
  return LAMINA_OK;
}

static lamina_status run_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  static lamina_loop_task_fn *const tasks[2][2] = {{forward_f32, forward_bf16},
                                                   {forward_direct_f32, forward_direct_bf16}};
  const lamina_loop_pool *s = plan->state;
  const blend by = blend_of(plan);
  const lamina_loop_pass pass = {.from = args->p[X], .to = args->p[Y], .indices = args->p[INDICES], .user = &by};
  (void)stream;
  return lamina_loop_pool_run(plan, &pass, tasks[s->direct][lamina_loop_is_bf16(plan, X)], workspace);
}

const lamina_engine lamina_cpu_loop_mixed_pool_forward = {
    LAMINA_LOOP_ENGINE("mixed_pool/forward", LAMINA_STRIDES_DENSE),
    .candidates = lamina_loop_candidates,
    .prepare = prepare_forward,
    .run = run_forward,
    .release = lamina_loop_pool_close,
};

/* ---- Backward --------------------------------------------------------------------------------------------------- */

enum { DY, DY_INDICES, DX };

/* What a thread works with. */
typedef struct collector {
  lamina_loop_line line;
  float *each; /* [y[0]*y[1]][width] rest * dy / count of each window; 0 beyond a row */
  float *sum;  /* [x_plane] dx, where it isn't f32 */
} collector;

static collector collector_of(const lamina_loop_pool *s, bool bf16, lamina_loop_room *room) {
  collector m = {.each = NULL};
  if (!s->direct) m.line = lamina_loop_line_at(s, lamina_loop_part(room, 1, lamina_loop_line_size(s)));
  if (!s->direct) m.each = lamina_loop_part(room, s->y[0] * s->y[1] * s->width, sizeof(float));
  if (bf16) m.sum = lamina_loop_part(room, s->x_plane, sizeof(float));
  return m;
}

LAMINA_INLINE void fill_each(const lamina_loop_pool *s, const void *dy, const collector *m, float rest, bool bf16) {
  for (int64_t r = 0; r < s->y[0] * s->y[1]; r++) {
    float *restrict each = m->each + r * s->width;
    const float count = (float)(lamina_loop_count(s, 0, r / s->y[1]) * lamina_loop_count(s, 1, r % s->y[1]));
    memset(each, 0, (size_t)s->width * sizeof *each);
    for (int64_t o = 0; o < s->y[2]; o++)
      each[o] = rest * (lamina_loop_get(dy, r * s->y[2] + o, bf16) / (count * s->count[o]));
  }
}

/* The average's part of a plane of dx, row by row. */
LAMINA_INLINE void collect_rows(const lamina_loop_pool *s, const collector *m, float *dx) {
  int64_t od0, od1, oh0, oh1;
  lamina_loop_line_clear(s, &m->line, 0, false);
  for (int64_t r = 0; r < s->x[0] * s->x[1]; r++, dx += s->x[2]) {
    memset(m->line.phase, 0, (size_t)(s->phases * s->phase_room) * sizeof(float));
    lamina_loop_windows_over(s, 0, r / s->x[1], &od0, &od1);
    lamina_loop_windows_over(s, 1, r % s->x[1], &oh0, &oh1);
    for (int64_t od = od0; od < od1; od++)
      for (int64_t oh = oh0; oh < oh1; oh++)
        for (int64_t c = 0; c < s->kernel[2]; c++)
          lamina_loop_add_row(s->width, m->each + (od * s->y[1] + oh) * s->width, m->line.phase + s->column[c]);
    lamina_loop_merge(s, &m->line);
    memcpy(dx, m->line.line + s->pad[2], (size_t)s->line_copy * sizeof(float));
    memset(dx + s->line_copy, 0, (size_t)(s->x[2] - s->line_copy) * sizeof(float));
  }
}

/* The same, window by window. */
LAMINA_INLINE void collect_windows(const lamina_loop_pool *s, const void *dy, float rest, float *dx, bool bf16) {
  memset(dx, 0, (size_t)s->x_plane * sizeof *dx);
  for (int64_t o = 0; o < s->y_plane; o++) {
    const int64_t at[3] = {o / (s->y[1] * s->y[2]), o / s->y[2] % s->y[1], o % s->y[2]};
    int64_t first[3], end[3], count = 1;
    for (int a = 0; a < 3; a++) {
      lamina_loop_window(s, a, at[a], &first[a], &end[a]);
      count *= lamina_loop_count(s, a, at[a]);
    }
    const float each = rest * (lamina_loop_get(dy, o, bf16) / (float)count);
    for (int64_t d = first[0]; d < end[0]; d++)
      for (int64_t h = first[1]; h < end[1]; h++) {
        float *row = dx + (d * s->x[1] + h) * s->x[2];
        for (int64_t w = first[2]; w < end[2]; w++) row[w] += each;
      }
  }
}

LAMINA_INLINE void backward_plane(const lamina_loop_pool *s, const void *dy, const int32_t *index, void *dx,
                                  const collector *m, blend by, bool bf16) {
  float *sum = bf16 ? m->sum : dx;
  if (s->direct) {
    collect_windows(s, dy, by.rest, sum, bf16);
  } else {
    fill_each(s, dy, m, by.rest, bf16);
    collect_rows(s, m, sum);
  }
  for (int64_t o = 0; o < s->y_plane; o++)
    if ((uint32_t)index[o] < (uint32_t)s->x_plane) sum[index[o]] += by.share * lamina_loop_get(dy, o, bf16);
  if (bf16) lamina_bf16_write(s->x_plane, sum, dx);
}

typedef void backward_task(const lamina_loop_pool *s, const void *dy, const int32_t *index, void *dx,
                           const collector *m, blend by);

#define BACKWARD(type, bf16)                                                                                           \
  LAMINA_CLONES static void backward_##type(const lamina_loop_pool *s, const void *dy, const int32_t *index, void *dx, \
                                            const collector *m, blend by) {                                            \
    backward_plane(s, dy, index, dx, m, by, bf16);                                                                     \
  }
BACKWARD(f32, false)
BACKWARD(bf16, true)

static lamina_status prepare_backward(lamina_plan *plan) {
  LAMINA_TRY(lamina_loop_pool_open(plan, DX, DY, false));
  lamina_loop_room room = {0};
  collector_of(plan->state, lamina_loop_is_bf16(plan, DY), &room);
  lamina_loop_pool_scratch(plan, room.used);
  return LAMINA_OK;
}

static lamina_status run_backward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                  lamina_stream *stream) {
  const lamina_loop_pool *s = plan->state;
  const bool bf16 = lamina_loop_is_bf16(plan, DY);
  const blend by = blend_of(plan);
  backward_task *const task = bf16 ? backward_bf16 : backward_f32;
  (void)stream;
#pragma omp parallel if (s->planes * s->x_plane >= s->alone)
  {
    lamina_loop_room room = {.memory = workspace};
    if (workspace) room.memory += (size_t)lamina_loop_thread() * s->scratch;
    const collector m = collector_of(s, bf16, &room);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < s->planes; i++)
      task(s, lamina_loop_at(args->p[DY], i * s->y_plane, bf16), (const int32_t *)args->p[DY_INDICES] + i * s->y_plane,
           lamina_loop_to(args->p[DX], i * s->x_plane, bf16), &m, by);
  }
  return LAMINA_OK;
}

const lamina_engine lamina_cpu_loop_mixed_pool_backward = {
    LAMINA_LOOP_ENGINE("mixed_pool/backward", LAMINA_STRIDES_DENSE),
    .candidates = lamina_loop_candidates,
    .prepare = prepare_backward,
    .run = run_backward,
    .release = lamina_loop_pool_close,
};
