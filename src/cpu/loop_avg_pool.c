/* Average pooling on the CPU.
 *
 * forward   separable (loop_pool.h): a row of the input gives each window's sum along it, an output row adds such rows
 *           up and divides by the count. Windows that a row has few of are read one by one.
 * backward  the reverse: each row of dx collects dy / count from the output rows whose windows cover it, phase by
 *           phase. Where a row has few windows, each spreads its share over its part of the plane. */
#include "cpu/loop_pool.h"

/* What a thread works with. */
typedef struct scratch {
  lamina_loop_line line;
  float *rows;       /* forward: [kernel[0]][ring][width] sums of input rows */
  float *sum;        /* [width] forward: of the output row; backward: a row of dy / count */
  uint16_t *bf16;    /* [width] */
  const float **row; /* forward: [kernel[0]*kernel[1]] those of `rows` that the output row is made of */
} scratch;

enum { PARTS = 5 };

/* Bytes of it; `at` receives where its parts lie. */
static size_t scratch_size(const lamina_loop_pool *s, bool forward, size_t at[PARTS]) {
  const size_t width = (size_t)s->width, rows = forward ? (size_t)(s->kernel[0] * s->ring) * width : 0;
  const size_t taps = forward ? (size_t)(s->kernel[0] * s->kernel[1]) : 0;
  const size_t size[PARTS] = {lamina_loop_line_size(s), rows * 4, width * 4, width * 2, taps * sizeof(float *)};
  size_t total = 0;
  for (int i = 0; i < PARTS; i++) {
    at[i] = total;
    total += lamina_align_up(size[i], 64);
  }
  return total;
}

/* The calling thread's; all NULL where there is no workspace. */
static scratch scratch_of(const lamina_loop_pool *s, bool forward, void *workspace) {
  size_t at[PARTS];
  const size_t size = scratch_size(s, forward, at);
  if (!workspace) return (scratch){0};
  char *mine = (char *)workspace + (size_t)lamina_loop_thread() * size;
  return (scratch){.line = lamina_loop_line_at(s, mine + at[0]),
                   .rows = (void *)(mine + at[1]),
                   .sum = (void *)(mine + at[2]),
                   .bf16 = (void *)(mine + at[3]),
                   .row = (void *)(mine + at[4])};
}

/* ---- Forward ---------------------------------------------------------------------------------------------------- */

enum { X, Y };

/* The slices and rows of the input that an output row is made of, and the first row that isn't summed yet. */
typedef struct reach {
  int64_t d0, d1, h0, h1, next;
} reach;

/* Sums the rows that are new and lists all; returns how many. */
LAMINA_INLINE int64_t sum_rows(const lamina_loop_pool *s, reach *r, const void *x, const scratch *m, bool bf16) {
  int64_t taps = 0;
  for (int64_t d = r->d0; d < r->d1; d++)
    for (int64_t h = r->h0; h < r->h1; h++) {
      float *sum = m->rows + ((d - r->d0) * s->ring + (h & (s->ring - 1))) * s->width;
      m->row[taps++] = sum;
      if (h < r->next) continue;
      const void *row = lamina_loop_at(x, (d * s->x[1] + h) * s->x[2], bf16);
      const float *phases = lamina_loop_line_read(s, &m->line, row, bf16);
      memset(sum, 0, (size_t)s->width * sizeof *sum);
      for (int64_t c = 0; c < s->kernel[2]; c++) lamina_loop_add_row(s->width, phases + s->column[c], sum);
    }
  r->next = r->h1;
  return taps;
}

/* Output rows [oh, end) of slice od: x is the input's plane, y the output's. */
LAMINA_INLINE void forward_rows(const lamina_loop_pool *s, int64_t od, int64_t oh, int64_t end, const void *x, void *y,
                                const scratch *m, bool bf16) {
  const int64_t n = s->width & -LAMINA_LOOP_VECTOR;
  reach r = {0};
  lamina_loop_line_clear(s, &m->line, 0, bf16);
  lamina_loop_window(s, 0, od, &r.d0, &r.d1);
  for (; oh < end; oh++) {
    const float count = (float)(lamina_loop_count(s, 0, od) * lamina_loop_count(s, 1, oh));
    void *to = lamina_loop_to(y, (od * s->y[1] + oh) * s->y[2], bf16);
    lamina_loop_window(s, 1, oh, &r.h0, &r.h1);
    const int64_t taps = sum_rows(s, &r, x, m, bf16);
    memset(m->sum, 0, (size_t)n * sizeof(float));
    for (int64_t t = 0; t < taps; t++) lamina_loop_add_row(n, m->row[t], m->sum);
#pragma GCC ivdep
    for (int64_t o = 0; o < n; o++) m->sum[o] /= count * s->count[o];
    if (bf16) lamina_bf16_write(n, m->sum, m->bf16);
    memcpy(to, bf16 ? (void *)m->bf16 : m->sum, (size_t)s->y[2] * (bf16 ? 2 : 4));
  }
}

/* One window; rows that lie one after the other are one row. */
LAMINA_INLINE void forward_window(const lamina_loop_pool *s, int64_t od, int64_t oh, int64_t ow, const void *x, void *y,
                                  bool bf16) {
  int64_t d0, d1, h0, h1, w0, w1;
  double sum = 0;
  lamina_loop_window(s, 0, od, &d0, &d1);
  lamina_loop_window(s, 1, oh, &h0, &h1);
  lamina_loop_window(s, 2, ow, &w0, &w1);
  const bool whole = w1 - w0 == s->x[2];
  for (int64_t d = d0; d < d1; d++)
    for (int64_t h = h0; h < (whole ? h0 + 1 : h1); h++)
      sum += lamina_loop_sum(whole ? (h1 - h0) * s->x[2] : w1 - w0,
                             lamina_loop_at(x, (d * s->x[1] + h) * s->x[2] + w0, bf16), bf16);
  const int64_t count = lamina_loop_count(s, 0, od) * lamina_loop_count(s, 1, oh) * lamina_loop_count(s, 2, ow);
  lamina_loop_set(y, (od * s->y[1] + oh) * s->y[2] + ow, (float)(sum / (double)count), bf16);
}

typedef void forward_task(const lamina_loop_pool *s, int64_t od, int64_t oh, int64_t end, const void *x, void *y,
                          const scratch *m);

#define FORWARD(type, bf16)                                                                                            \
  LAMINA_CLONES static void forward_##type(const lamina_loop_pool *s, int64_t od, int64_t oh, int64_t end,             \
                                           const void *x, void *y, const scratch *m) {                                 \
    forward_rows(s, od, oh, end, x, y, m, bf16);                                                                       \
  }                                                                                                                    \
  LAMINA_CLONES static void forward_direct_##type(const lamina_loop_pool *s, int64_t od, int64_t oh, int64_t end,      \
                                                  const void *x, void *y, const scratch *m) {                          \
    (void)m;                                                                                                           \
    for (; oh < end; oh++)                                                                                             \
      for (int64_t ow = 0; ow < s->y[2]; ow++) forward_window(s, od, oh, ow, x, y, bf16);                              \
  }
FORWARD(f32, false)
FORWARD(bf16, true)

static lamina_status prepare_forward(lamina_plan *plan) {
  size_t at[PARTS];
  LAMINA_TRY(lamina_loop_pool_open(plan, X, Y, false));
  const lamina_loop_pool *s = plan->state;
  if (!s->direct) plan->workspace = (size_t)plan->threads * scratch_size(s, true, at);
  return LAMINA_OK;
}

static lamina_status run_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  static forward_task *const tasks_of[2][2] = {{forward_f32, forward_bf16}, {forward_direct_f32, forward_direct_bf16}};
  const lamina_loop_pool *s = plan->state;
  const bool bf16 = lamina_loop_is_bf16(plan, X);
  forward_task *const task = tasks_of[s->direct][bf16];
  const lamina_loop_tasks t = lamina_loop_tasks_of(s->planes * s->y[0], s->y[1], plan->threads);
  (void)stream;
#pragma omp parallel if (s->planes * s->x_plane >= LAMINA_LOOP_PARALLEL)
  {
    const scratch m = scratch_of(s, true, workspace);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < t.count; i++) {
      const int64_t slice = i / t.blocks, plane = slice / s->y[0], oh = i % t.blocks * t.rows;
      const int64_t end = oh + t.rows < s->y[1] ? oh + t.rows : s->y[1];
      task(s, slice % s->y[0], oh, end, lamina_loop_at(args->p[X], plane * s->x_plane, bf16),
           lamina_loop_to(args->p[Y], plane * s->y_plane, bf16), &m);
    }
  }
  return LAMINA_OK;
}

const lamina_engine lamina_cpu_loop_avg_pool_forward = {
    LAMINA_LOOP_ENGINE("avg_pool/forward", LAMINA_STRIDES_DENSE),
    .candidates = lamina_loop_candidates,
    .prepare = prepare_forward,
    .run = run_forward,
    .release = lamina_loop_pool_close,
};

/* ---- Backward --------------------------------------------------------------------------------------------------- */

enum { DY, DX };

/* m->sum = the row of dy over the count of each window; 0 beyond the row. */
LAMINA_INLINE void read_shares(const lamina_loop_pool *s, const void *dy, float count, const scratch *m, bool bf16) {
  const int64_t n = s->width & -LAMINA_LOOP_VECTOR;
  memcpy(bf16 ? (void *)m->bf16 : m->sum, dy, (size_t)s->y[2] * (bf16 ? 2 : 4));
  if (bf16) lamina_bf16_read(n, m->bf16, m->sum);
#pragma GCC ivdep
  for (int64_t o = 0; o < n; o++) m->sum[o] /= count * s->count[o];
}

/* Rows [h, end) of slice d: dy is the output's plane, dx the input's. */
LAMINA_INLINE void backward_rows(const lamina_loop_pool *s, int64_t d, int64_t h, int64_t end, const void *dy, void *dx,
                                 const scratch *m, bool bf16) {
  const size_t element = bf16 ? 2 : 4;
  int64_t od0, od1, oh0, oh1;
  lamina_loop_line_clear(s, &m->line, 0, bf16);
  memset(m->sum, 0, (size_t)s->width * 4);
  memset(m->bf16, 0, (size_t)s->width * 2);
  lamina_loop_windows_over(s, 0, d, &od0, &od1);
  for (; h < end; h++) {
    char *to = lamina_loop_to(dx, (d * s->x[1] + h) * s->x[2], bf16);
    memset(m->line.phase, 0, (size_t)(s->phases * s->phase_room) * 4);
    lamina_loop_windows_over(s, 1, h, &oh0, &oh1);
    for (int64_t od = od0; od < od1; od++)
      for (int64_t oh = oh0; oh < oh1; oh++) {
        const float count = (float)(lamina_loop_count(s, 0, od) * lamina_loop_count(s, 1, oh));
        read_shares(s, lamina_loop_at(dy, (od * s->y[1] + oh) * s->y[2], bf16), count, m, bf16);
        for (int64_t c = 0; c < s->kernel[2]; c++) lamina_loop_add_row(s->width, m->sum, m->line.phase + s->column[c]);
      }
    lamina_loop_merge(s, &m->line);
    if (bf16) lamina_bf16_write(s->line_room, m->line.line, m->line.bf16);
    memcpy(to, bf16 ? (void *)(m->line.bf16 + s->pad[2]) : m->line.line + s->pad[2], (size_t)s->line_copy * element);
    memset(to + (size_t)s->line_copy * element, 0, (size_t)(s->x[2] - s->line_copy) * element);
  }
}

/* A whole plane of few windows; `sum` is dx for f32. */
LAMINA_INLINE void backward_plane(const lamina_loop_pool *s, const void *dy, float *sum, bool bf16) {
  memset(sum, 0, (size_t)s->x_plane * sizeof *sum);
  for (int64_t o = 0; o < s->y_plane; o++) {
    const int64_t at[3] = {o / (s->y[1] * s->y[2]), o / s->y[2] % s->y[1], o % s->y[2]};
    int64_t first[3], end[3], count = 1;
    for (int a = 0; a < 3; a++) {
      lamina_loop_window(s, a, at[a], &first[a], &end[a]);
      count *= lamina_loop_count(s, a, at[a]);
    }
    const float share = lamina_loop_get(dy, o, bf16) / (float)count;
    for (int64_t d = first[0]; d < end[0]; d++)
      for (int64_t h = first[1]; h < end[1]; h++) {
        float *row = sum + (d * s->x[1] + h) * s->x[2];
        for (int64_t w = first[2]; w < end[2]; w++) row[w] += share;
      }
  }
}

#define BACKWARD(type, bf16)                                                                                           \
  LAMINA_CLONES static void backward_##type(const lamina_loop_pool *s, int64_t d, int64_t h, int64_t end,              \
                                            const void *dy, void *dx, const scratch *m) {                              \
    backward_rows(s, d, h, end, dy, dx, m, bf16);                                                                      \
  }
BACKWARD(f32, false)
BACKWARD(bf16, true)

LAMINA_CLONES static void backward_direct_f32(const lamina_loop_pool *s, const void *dy, float *dx) {
  backward_plane(s, dy, dx, false);
}
LAMINA_CLONES static void backward_direct_bf16(const lamina_loop_pool *s, const void *dy, uint16_t *dx, float *sum) {
  backward_plane(s, dy, sum, true);
  lamina_bf16_write(s->x_plane, sum, dx);
}

static lamina_status prepare_backward(lamina_plan *plan) {
  size_t at[PARTS], each;
  LAMINA_TRY(lamina_loop_pool_open(plan, DX, DY, false));
  const lamina_loop_pool *s = plan->state;
  if (!s->direct)
    each = scratch_size(s, false, at);
  else
    each = lamina_loop_is_bf16(plan, DY) ? (size_t)s->x_plane * sizeof(float) : 0;
  plan->workspace = (size_t)plan->threads * each;
  return LAMINA_OK;
}

static void run_backward_direct(const lamina_loop_pool *s, const lamina_args *args, float *workspace, bool bf16) {
#pragma omp parallel for schedule(static) if (s->planes * s->x_plane >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < s->planes; i++) {
    const void *dy = lamina_loop_at(args->p[DY], i * s->y_plane, bf16);
    void *dx = lamina_loop_to(args->p[DX], i * s->x_plane, bf16);
    if (bf16)
      backward_direct_bf16(s, dy, dx, workspace + lamina_loop_thread() * s->x_plane);
    else
      backward_direct_f32(s, dy, dx);
  }
}

static lamina_status run_backward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                  lamina_stream *stream) {
  const lamina_loop_pool *s = plan->state;
  const bool bf16 = lamina_loop_is_bf16(plan, DY);
  const lamina_loop_tasks t = lamina_loop_tasks_of(s->planes * s->x[0], s->x[1], plan->threads);
  (void)stream;
  if (s->direct) {
    run_backward_direct(s, args, workspace, bf16);
    return LAMINA_OK;
  }
#pragma omp parallel if (s->planes * s->x_plane >= LAMINA_LOOP_PARALLEL)
  {
    const scratch m = scratch_of(s, false, workspace);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < t.count; i++) {
      const int64_t slice = i / t.blocks, plane = slice / s->x[0], h = i % t.blocks * t.rows;
      const int64_t end = h + t.rows < s->x[1] ? h + t.rows : s->x[1];
      (bf16 ? backward_bf16 : backward_f32)(s, slice % s->x[0], h, end,
                                            lamina_loop_at(args->p[DY], plane * s->y_plane, bf16),
                                            lamina_loop_to(args->p[DX], plane * s->x_plane, bf16), &m);
    }
  }
  return LAMINA_OK;
}

const lamina_engine lamina_cpu_loop_avg_pool_backward = {
    LAMINA_LOOP_ENGINE("avg_pool/backward", LAMINA_STRIDES_DENSE),
    .candidates = lamina_loop_candidates,
    .prepare = prepare_backward,
    .run = run_backward,
    .release = lamina_loop_pool_close,
};
