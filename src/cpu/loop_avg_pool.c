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

static scratch scratch_of(const lamina_loop_pool *s, bool forward, lamina_loop_room *room) {
  scratch m = {.line = lamina_loop_line_at(s, lamina_loop_part(room, 1, lamina_loop_line_size(s)))};
  if (forward) m.rows = lamina_loop_part(room, s->kernel[0] * s->ring * s->width, sizeof(float));
  m.sum = lamina_loop_part(room, s->width, sizeof(float));
  m.bf16 = lamina_loop_part(room, s->width, sizeof(uint16_t));
  if (forward) m.row = lamina_loop_part(room, s->kernel[0] * s->kernel[1], sizeof(float *));
  return m;
}

/* ---- Forward ---------------------------------------------------------------------------------------------------- */

enum { X, Y };

/* Sums the rows that are new and lists all; returns how many. */
LAMINA_INLINE int64_t sum_rows(const lamina_loop_pool *s, lamina_loop_reach *r, const void *x, const scratch *m,
                               bool bf16) {
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

LAMINA_INLINE void forward_rows(const lamina_loop_pool *s, const lamina_loop_task *t, bool bf16) {
  const int64_t n = s->width & -LAMINA_LOOP_VECTOR;
  const scratch m = scratch_of(s, true, &(lamina_loop_room){t->scratch, 0});
  lamina_loop_reach r = {0};
  lamina_loop_line_clear(s, &m.line, 0, bf16);
  lamina_loop_window(s, 0, t->d, &r.d0, &r.d1);
  for (int64_t oh = t->h; oh < t->end; oh++) {
    const float count = (float)(lamina_loop_count(s, 0, t->d) * lamina_loop_count(s, 1, oh));
    void *to = lamina_loop_to(t->to, (t->d * s->y[1] + oh) * s->y[2], bf16);
    lamina_loop_window(s, 1, oh, &r.h0, &r.h1);
    const int64_t taps = sum_rows(s, &r, t->from, &m, bf16);
    memset(m.sum, 0, (size_t)n * sizeof(float));
    for (int64_t i = 0; i < taps; i++) lamina_loop_add_row(n, m.row[i], m.sum);
#pragma GCC ivdep
    for (int64_t o = 0; o < n; o++) m.sum[o] /= count * s->count[o];
    if (bf16) lamina_bf16_write(n, m.sum, m.bf16);
    memcpy(to, bf16 ? (void *)m.bf16 : m.sum, (size_t)s->y[2] * (bf16 ? 2 : 4));
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

#define FORWARD(type, bf16)                                                                                            \
  LAMINA_CLONES static void forward_##type(const lamina_loop_pool *s, const lamina_loop_task *t) {                     \
    forward_rows(s, t, bf16);                                                                                          \
  }                                                                                                                    \
  LAMINA_CLONES static void forward_direct_##type(const lamina_loop_pool *s, const lamina_loop_task *t) {              \
    for (int64_t oh = t->h; oh < t->end; oh++)                                                                         \
      for (int64_t ow = 0; ow < s->y[2]; ow++) forward_window(s, t->d, oh, ow, t->from, t->to, bf16);                  \
  }
FORWARD(f32, false)
FORWARD(bf16, true)

static lamina_status prepare_forward(lamina_plan *plan) {
  LAMINA_TRY(lamina_loop_pool_open(plan, X, Y, false));
  const lamina_loop_pool *s = plan->state;
  lamina_loop_room room = {0};
  if (!s->direct) scratch_of(s, true, &room);
  lamina_loop_pool_scratch(plan, room.used);
  return LAMINA_OK;
}

static lamina_status run_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  static lamina_loop_task_fn *const tasks[2][2] = {{forward_f32, forward_bf16},
                                                   {forward_direct_f32, forward_direct_bf16}};
  const lamina_loop_pool *s = plan->state;
  const lamina_loop_pass pass = {.from = args->p[X], .to = args->p[Y]};
  (void)stream;
  return lamina_loop_pool_run(plan, &pass, tasks[s->direct][lamina_loop_is_bf16(plan, X)], workspace);
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

/* Rows of dx. */
LAMINA_INLINE void backward_rows(const lamina_loop_pool *s, const lamina_loop_task *t, bool bf16) {
  const size_t element = bf16 ? 2 : 4;
  const scratch m = scratch_of(s, false, &(lamina_loop_room){t->scratch, 0});
  int64_t od0, od1, oh0, oh1;
  lamina_loop_line_clear(s, &m.line, 0, bf16);
  memset(m.sum, 0, (size_t)s->width * 4);
  memset(m.bf16, 0, (size_t)s->width * 2);
  lamina_loop_windows_over(s, 0, t->d, &od0, &od1);
  for (int64_t h = t->h; h < t->end; h++) {
    char *to = lamina_loop_to(t->to, (t->d * s->x[1] + h) * s->x[2], bf16);
    memset(m.line.phase, 0, (size_t)(s->phases * s->phase_room) * 4);
    lamina_loop_windows_over(s, 1, h, &oh0, &oh1);
    for (int64_t od = od0; od < od1; od++)
      for (int64_t oh = oh0; oh < oh1; oh++) {
        const float count = (float)(lamina_loop_count(s, 0, od) * lamina_loop_count(s, 1, oh));
        read_shares(s, lamina_loop_at(t->from, (od * s->y[1] + oh) * s->y[2], bf16), count, &m, bf16);
        for (int64_t c = 0; c < s->kernel[2]; c++) lamina_loop_add_row(s->width, m.sum, m.line.phase + s->column[c]);
      }
    lamina_loop_merge(s, &m.line);
    if (bf16) lamina_bf16_write(s->line_room, m.line.line, m.line.bf16);
    memcpy(to, bf16 ? (void *)(m.line.bf16 + s->pad[2]) : m.line.line + s->pad[2], (size_t)s->line_copy * element);
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
  LAMINA_CLONES static void backward_##type(const lamina_loop_pool *s, const lamina_loop_task *t) {                    \
    backward_rows(s, t, bf16);                                                                                         \
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
  LAMINA_TRY(lamina_loop_pool_open(plan, DX, DY, false));
  const lamina_loop_pool *s = plan->state;
  lamina_loop_room room = {0};
  if (!s->direct)
    scratch_of(s, false, &room);
  else if (lamina_loop_is_bf16(plan, DY))
    room.used = (size_t)s->x_plane * sizeof(float);
  lamina_loop_pool_scratch(plan, room.used);
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
  const lamina_loop_pass pass = {.from = args->p[DY], .to = args->p[DX], .backward = true};
  (void)stream;
  if (!s->direct) return lamina_loop_pool_run(plan, &pass, bf16 ? backward_bf16 : backward_f32, workspace);
  run_backward_direct(s, args, workspace, bf16);
  return LAMINA_OK;
}

const lamina_engine lamina_cpu_loop_avg_pool_backward = {
    LAMINA_LOOP_ENGINE("avg_pool/backward", LAMINA_STRIDES_DENSE),
    .candidates = lamina_loop_candidates,
    .prepare = prepare_backward,
    .run = run_backward,
    .release = lamina_loop_pool_close,
};
