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

static float share_of(const lamina_plan *plan) {
  return (float)((const lamina_mixed_pool *)lamina_attr(&plan->problem))->max_share;
}
static float rest_of(const lamina_plan *plan) {
  return (float)(1 - ((const lamina_mixed_pool *)lamina_attr(&plan->problem))->max_share);
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

enum { PARTS = 9 };

/* Bytes of it; `at` receives where its parts lie. */
static size_t scratch_size(const lamina_loop_pool *s, size_t at[PARTS]) {
  const size_t width = (size_t)s->width, rows = (size_t)(s->kernel[0] * s->ring) * width;
  const size_t line = lamina_loop_line_size(s);
  const size_t size[PARTS] = {line, line, rows * 4, rows * 4, rows * 4, width * 4, width * 4, width * 4, width * 2};
  size_t total = 0;
  for (int i = 0; i < PARTS; i++) {
    at[i] = total;
    total += lamina_align_up(size[i], 64);
  }
  return total;
}

/* The calling thread's; all NULL where there is no workspace. */
static scratch scratch_of(const lamina_loop_pool *s, void *workspace) {
  size_t at[PARTS];
  const size_t size = scratch_size(s, at);
  if (!workspace) return (scratch){0};
  char *mine = (char *)workspace + (size_t)lamina_loop_thread() * size;
  return (scratch){.for_max = lamina_loop_line_at(s, mine + at[0]),
                   .for_sum = lamina_loop_line_at(s, mine + at[1]),
                   .rows = (void *)(mine + at[2]),
                   .sums = (void *)(mine + at[3]),
                   .places = (void *)(mine + at[4]),
                   .best = (void *)(mine + at[5]),
                   .sum = (void *)(mine + at[6]),
                   .index = (void *)(mine + at[7]),
                   .bf16 = (void *)(mine + at[8])};
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

/* Output rows [oh, end) of slice od: x is the input's plane, y and index the output's. */
LAMINA_INLINE void forward_rows(const lamina_loop_pool *s, int64_t od, int64_t oh, int64_t end, const void *x, void *y,
                                int32_t *index, const scratch *m, float share, float rest, bool bf16, bool indices) {
  const int64_t n = s->width & -LAMINA_LOOP_VECTOR;
  int64_t d0, d1, h0, h1, next = 0;
  lamina_loop_line_clear(s, &m->for_max, -INFINITY, bf16);
  lamina_loop_line_clear(s, &m->for_sum, 0, bf16);
  lamina_loop_window(s, 0, od, &d0, &d1);
  for (; oh < end; oh++) {
    const int64_t to = (od * s->y[1] + oh) * s->y[2];
    const float count = (float)(lamina_loop_count(s, 0, od) * lamina_loop_count(s, 1, oh));
    lamina_loop_window(s, 1, oh, &h0, &h1);
    for (int64_t d = d0; d < d1; d++)
      for (int64_t h = h0; h < h1; h++) {
        const int64_t at = ((d - d0) * s->ring + (h & (s->ring - 1))) * s->width, from = (d * s->x[1] + h) * s->x[2];
        if (h >= next) pool_row(s, lamina_loop_at(x, from, bf16), m, at, bf16, indices);
        join_row(s, m, at, (int32_t)(from - s->pad[2]), d == d0 && h == h0, indices);
      }
    next = h1;
#pragma GCC ivdep
    for (int64_t o = 0; o < n; o++) m->sum[o] = share * m->best[o] + rest * (m->sum[o] / (count * s->count[o]));
    if (bf16) lamina_bf16_write(n, m->sum, m->bf16);
    memcpy(lamina_loop_to(y, to, bf16), bf16 ? (void *)m->bf16 : m->sum, (size_t)s->y[2] * (bf16 ? 2 : 4));
    for (int32_t o = 0; o < (int32_t)s->y[2] && indices; o++) index[to + o] = m->index[o] + o * (int32_t)s->stride[2];
  }
}

LAMINA_INLINE void forward_window(const lamina_loop_pool *s, int64_t od, int64_t oh, int64_t ow, const void *x, void *y,
                                  int32_t *index, float share, float rest, bool bf16) {
  int64_t d0, d1, h0, h1, w0, w1;
  lamina_loop_window(s, 0, od, &d0, &d1);
  lamina_loop_window(s, 1, oh, &h0, &h1);
  lamina_loop_window(s, 2, ow, &w0, &w1);
  int64_t at = (d0 * s->x[1] + h0) * s->x[2] + w0;
  float best = -INFINITY;
  double sum = 0;
  for (int64_t d = d0; d < d1; d++)
    for (int64_t h = h0; h < h1; h++)
      for (int64_t i = (d * s->x[1] + h) * s->x[2] + w0, end = i + w1 - w0; i < end; i++) {
        const float v = lamina_loop_get(x, i, bf16);
        if (!(v <= best) && best == best) best = v, at = i;
        sum += (double)v;
      }
  const int64_t o = (od * s->y[1] + oh) * s->y[2] + ow;
  const int64_t count = lamina_loop_count(s, 0, od) * lamina_loop_count(s, 1, oh) * lamina_loop_count(s, 2, ow);
  lamina_loop_set(y, o, share * best + rest * (float)(sum / (double)count), bf16);
  if (index) index[o] = (int32_t)at;
}

typedef void forward_task(const lamina_loop_pool *s, int64_t od, int64_t oh, int64_t end, const void *x, void *y,
                          int32_t *index, const scratch *m, float share, float rest);

#define FORWARD(type, bf16)                                                                                            \
  LAMINA_CLONES static void forward_##type(const lamina_loop_pool *s, int64_t od, int64_t oh, int64_t end,             \
                                           const void *x, void *y, int32_t *index, const scratch *m, float share,      \
                                           float rest) {                                                               \
    if (index)                                                                                                         \
      forward_rows(s, od, oh, end, x, y, index, m, share, rest, bf16, true);                                           \
    else                                                                                                               \
      forward_rows(s, od, oh, end, x, y, NULL, m, share, rest, bf16, false);                                           \
  }                                                                                                                    \
  static void forward_direct_##type(const lamina_loop_pool *s, int64_t od, int64_t oh, int64_t end, const void *x,     \
                                    void *y, int32_t *index, const scratch *m, float share, float rest) {              \
    (void)m;                                                                                                           \
    for (; oh < end; oh++)                                                                                             \
      for (int64_t ow = 0; ow < s->y[2]; ow++) forward_window(s, od, oh, ow, x, y, index, share, rest, bf16);          \
  }
FORWARD(f32, false)
FORWARD(bf16, true)

static lamina_status prepare_forward(lamina_plan *plan) {
  size_t at[PARTS];
  LAMINA_TRY(lamina_loop_pool_open(plan, X, Y, false));
  const lamina_loop_pool *s = plan->state;
  if (!s->direct) plan->workspace = (size_t)plan->threads * scratch_size(s, at);
  return LAMINA_OK;
}

static lamina_status run_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  static forward_task *const tasks_of[2][2] = {{forward_f32, forward_bf16}, {forward_direct_f32, forward_direct_bf16}};
  const lamina_loop_pool *s = plan->state;
  const bool bf16 = lamina_loop_is_bf16(plan, X);
  const float share = share_of(plan), rest = rest_of(plan);
  forward_task *const task = tasks_of[s->direct][bf16];
  const lamina_loop_tasks t = lamina_loop_tasks_of(s->planes * s->y[0], s->y[1], plan->threads);
  int32_t *indices = args->p[INDICES];
  (void)stream;
#pragma omp parallel if (s->planes * s->x_plane >= LAMINA_LOOP_PARALLEL)
  {
    const scratch m = scratch_of(s, workspace);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < t.count; i++) {
      const int64_t slice = i / t.blocks, plane = slice / s->y[0], oh = i % t.blocks * t.rows;
      const int64_t end = oh + t.rows < s->y[1] ? oh + t.rows : s->y[1];
      task(s, slice % s->y[0], oh, end, lamina_loop_at(args->p[X], plane * s->x_plane, bf16),
           lamina_loop_to(args->p[Y], plane * s->y_plane, bf16), indices ? indices + plane * s->y_plane : NULL, &m,
           share, rest);
    }
  }
  return LAMINA_OK;
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

/* Bytes of its parts. */
static void collector_sizes(const lamina_loop_pool *s, bool bf16, size_t size[3]) {
  size[0] = s->direct ? 0 : lamina_align_up(lamina_loop_line_size(s), 64);
  size[1] = s->direct ? 0 : (size_t)(s->y[0] * s->y[1] * s->width) * sizeof(float);
  size[2] = bf16 ? lamina_align_up((size_t)s->x_plane * sizeof(float), 64) : 0;
}

static size_t collector_size(const lamina_loop_pool *s, bool bf16) {
  size_t size[3];
  collector_sizes(s, bf16, size);
  return size[0] + size[1] + size[2];
}

/* The calling thread's. */
static collector collector_of(const lamina_loop_pool *s, void *workspace, bool bf16) {
  size_t size[3];
  collector_sizes(s, bf16, size);
  char *mine = (char *)workspace + (size_t)lamina_loop_thread() * collector_size(s, bf16);
  collector m = {.each = (void *)(mine + size[0]), .sum = (void *)(mine + size[0] + size[1])};
  if (!s->direct) m.line = lamina_loop_line_at(s, mine);
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
                                  const collector *m, float share, float rest, bool bf16) {
  float *sum = bf16 ? m->sum : dx;
  if (s->direct) {
    collect_windows(s, dy, rest, sum, bf16);
  } else {
    fill_each(s, dy, m, rest, bf16);
    collect_rows(s, m, sum);
  }
  for (int64_t o = 0; o < s->y_plane; o++)
    if ((uint32_t)index[o] < (uint32_t)s->x_plane) sum[index[o]] += share * lamina_loop_get(dy, o, bf16);
  if (bf16) lamina_bf16_write(s->x_plane, sum, dx);
}

typedef void backward_task(const lamina_loop_pool *s, const void *dy, const int32_t *index, void *dx,
                           const collector *m, float share, float rest);

#define BACKWARD(type, bf16)                                                                                           \
  LAMINA_CLONES static void backward_##type(const lamina_loop_pool *s, const void *dy, const int32_t *index, void *dx, \
                                            const collector *m, float share, float rest) {                             \
    backward_plane(s, dy, index, dx, m, share, rest, bf16);                                                            \
  }
BACKWARD(f32, false)
BACKWARD(bf16, true)

static lamina_status prepare_backward(lamina_plan *plan) {
  LAMINA_TRY(lamina_loop_pool_open(plan, DX, DY, false));
  plan->workspace = (size_t)plan->threads * collector_size(plan->state, lamina_loop_is_bf16(plan, DY));
  return LAMINA_OK;
}

static lamina_status run_backward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                  lamina_stream *stream) {
  const lamina_loop_pool *s = plan->state;
  const bool bf16 = lamina_loop_is_bf16(plan, DY);
  const float share = share_of(plan), rest = rest_of(plan);
  backward_task *const task = bf16 ? backward_bf16 : backward_f32;
  (void)stream;
#pragma omp parallel if (s->planes * s->x_plane >= LAMINA_LOOP_PARALLEL)
  {
    const collector m = workspace ? collector_of(s, workspace, bf16) : (collector){.each = NULL};
#pragma omp for schedule(static)
    for (int64_t i = 0; i < s->planes; i++)
      task(s, lamina_loop_at(args->p[DY], i * s->y_plane, bf16), (const int32_t *)args->p[DY_INDICES] + i * s->y_plane,
           lamina_loop_to(args->p[DX], i * s->x_plane, bf16), &m, share, rest);
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
