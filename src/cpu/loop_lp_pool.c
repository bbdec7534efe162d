/* Lp pooling on the CPU. Sums are in f64, in whose range every f32 stays up to its 6th power.
 *
 * forward   separable (loop_pool.h): each element of an input row is raised to p once, the row gives each window's sum
 *           along it, an output row adds such rows up and takes the root.
 * backward  dy * y^(1-p) once for each window; each row of dx collects those of the windows that cover it, phase by
 *           phase, and multiplies by sign(x) |x|^(p-1).
 * Larger powers, and windows that a row has few of, are taken one by one, over their largest magnitude. */
#include <math.h>

#include "cpu/loop_pool.h"
#include "lamina/lp_pool.h"

enum { HIGHEST_POWER = 6 };

/* What p is; a constant where it is inlined. */
typedef enum power { FIRST, SECOND, OTHER } power;

static double p_of(const lamina_plan *plan) { return ((const lamina_lp_pool *)lamina_attr(&plan->problem))->p; }
static power power_of(double p) { return p == 1 ? FIRST : p == 2 ? SECOND : OTHER; }

LAMINA_INLINE void raise(power kind, double p, int64_t n, const float *restrict x, double *restrict y) {
  n &= -LAMINA_LOOP_VECTOR;
  for (int64_t i = 0; i < n; i++) {
    const double v = fabs((double)x[i]);
    y[i] = kind == FIRST ? v : kind == SECOND ? v * v : pow(v, p);
  }
}

LAMINA_INLINE double root(power kind, double p, double sum) {
  return kind == FIRST ? sum : kind == SECOND ? sqrt(sum) : pow(sum, 1 / p);
}

LAMINA_INLINE void add_row(int64_t n, const double *restrict x, double *restrict sum) {
  n &= -LAMINA_LOOP_VECTOR;
  for (int64_t o = 0; o < n; o++) sum[o] += x[o];
}

/* ---- Forward ---------------------------------------------------------------------------------------------------- */

enum { X, Y };

/* What a thread works with. */
typedef struct scratch {
  lamina_loop_line line;
  double *powers;     /* [phases][phase_room] */
  double *rows;       /* [kernel[0]][ring][width] sums of input rows */
  double *sum;        /* [width] of the output row */
  float *out;         /* [width] */
  uint16_t *bf16;     /* [width] */
  const double **row; /* [kernel[0]*kernel[1]] those of `rows` that the output row is made of */
} scratch;

static scratch scratch_of(const lamina_loop_pool *s, lamina_loop_room *room) {
  scratch m = {.line = lamina_loop_line_at(s, lamina_loop_part(room, 1, lamina_loop_line_size(s)))};
  m.powers = lamina_loop_part(room, s->phases * s->phase_room, sizeof(double));
  m.rows = lamina_loop_part(room, s->kernel[0] * s->ring * s->width, sizeof(double));
  m.sum = lamina_loop_part(room, s->width, sizeof(double));
  m.out = lamina_loop_part(room, s->width, sizeof(float));
  m.bf16 = lamina_loop_part(room, s->width, sizeof(uint16_t));
  m.row = lamina_loop_part(room, s->kernel[0] * s->kernel[1], sizeof(double *));
  return m;
}

/* Sums the rows that are new and lists all; returns how many. */
LAMINA_INLINE int64_t sum_rows(const lamina_loop_pool *s, lamina_loop_reach *r, const void *x, const scratch *m,
                               power kind, double p, bool bf16) {
  int64_t taps = 0;
  for (int64_t d = r->d0; d < r->d1; d++)
    for (int64_t h = r->h0; h < r->h1; h++) {
      double *sum = m->rows + ((d - r->d0) * s->ring + (h & (s->ring - 1))) * s->width;
      m->row[taps++] = sum;
      if (h < r->next) continue;
      const void *row = lamina_loop_at(x, (d * s->x[1] + h) * s->x[2], bf16);
      raise(kind, p, s->phases * s->phase_room, lamina_loop_line_read(s, &m->line, row, bf16), m->powers);
      memset(sum, 0, (size_t)s->width * sizeof *sum);
      for (int64_t c = 0; c < s->kernel[2]; c++) add_row(s->width, m->powers + s->column[c], sum);
    }
  r->next = r->h1;
  return taps;
}

LAMINA_INLINE void forward_rows(const lamina_loop_pool *s, const lamina_loop_task *t, power kind, double p, bool bf16) {
  const int64_t n = s->width & -LAMINA_LOOP_VECTOR;
  const scratch m = scratch_of(s, &(lamina_loop_room){t->scratch, 0});
  double *restrict sum = m.sum;
  float *restrict out = m.out;
  lamina_loop_reach r = {0};
  lamina_loop_line_clear(s, &m.line, 0, bf16);
  lamina_loop_window(s, 0, t->d, &r.d0, &r.d1);
  for (int64_t oh = t->h; oh < t->end; oh++) {
    lamina_loop_window(s, 1, oh, &r.h0, &r.h1);
    const int64_t taps = sum_rows(s, &r, t->from, &m, kind, p, bf16);
    memset(sum, 0, (size_t)n * sizeof *sum);
    for (int64_t i = 0; i < taps; i++) add_row(n, m.row[i], sum);
    for (int64_t o = 0; o < n; o++) out[o] = (float)root(kind, p, sum[o]);
    if (bf16) lamina_bf16_write(n, out, m.bf16);
    memcpy(lamina_loop_to(t->to, (t->d * s->y[1] + oh) * s->y[2], bf16), bf16 ? (void *)m.bf16 : out,
           (size_t)s->y[2] * (bf16 ? 2 : 4));
  }
}

/* One window, over its largest magnitude. */
LAMINA_INLINE void forward_window(const lamina_loop_pool *s, int64_t od, int64_t oh, int64_t ow, const void *x, void *y,
                                  double p, bool bf16) {
  int64_t d0, d1, h0, h1, w0, w1;
  double most = 0, sum = 0;
  lamina_loop_window(s, 0, od, &d0, &d1);
  lamina_loop_window(s, 1, oh, &h0, &h1);
  lamina_loop_window(s, 2, ow, &w0, &w1);
  for (int64_t d = d0; d < d1; d++)
    for (int64_t h = h0; h < h1; h++)
      for (int64_t i = (d * s->x[1] + h) * s->x[2] + w0, end = i + w1 - w0; i < end; i++) {
        const double v = fabs((double)lamina_loop_get(x, i, bf16));
        if (!(v <= most) && most == most) most = v;
      }
  for (int64_t d = d0; d < d1 && most > 0 && most < (double)INFINITY; d++)
    for (int64_t h = h0; h < h1; h++)
      for (int64_t i = (d * s->x[1] + h) * s->x[2] + w0, end = i + w1 - w0; i < end; i++) {
        const double v = fabs((double)lamina_loop_get(x, i, bf16)) / most;
        sum += p == 2 ? v * v : pow(v, p);
      }
  const double norm = sum > 0 ? most * root(power_of(p), p, sum) : most;
  lamina_loop_set(y, (od * s->y[1] + oh) * s->y[2] + ow, (float)norm, bf16);
}

#define FORWARD(type, bf16)                                                                                            \
  LAMINA_CLONES static void forward_##type(const lamina_loop_pool *s, const lamina_loop_task *t) {                     \
    const double p = *(const double *)t->user;                                                                         \
    if (p == 1)                                                                                                        \
      forward_rows(s, t, FIRST, p, bf16);                                                                              \
    else if (p == 2)                                                                                                   \
      forward_rows(s, t, SECOND, p, bf16);                                                                             \
    else                                                                                                               \
      forward_rows(s, t, OTHER, p, bf16);                                                                              \
  }                                                                                                                    \
  static void forward_direct_##type(const lamina_loop_pool *s, const lamina_loop_task *t) {                            \
    const double p = *(const double *)t->user;                                                                         \
    for (int64_t oh = t->h; oh < t->end; oh++)                                                                         \
      for (int64_t ow = 0; ow < s->y[2]; ow++) forward_window(s, t->d, oh, ow, t->from, t->to, p, bf16);               \
  }
FORWARD(f32, false)
FORWARD(bf16, true)

static lamina_status open_pool(lamina_plan *plan, int x, int y) {
  LAMINA_TRY(lamina_loop_pool_open(plan, x, y, false));
  lamina_loop_pool *s = plan->state;
  s->direct = s->direct || p_of(plan) > HIGHEST_POWER;
  plan->numerics.u_acc = lamina_dtype_roundoff(LAMINA_F64);
  return LAMINA_OK;
}

static lamina_status prepare_forward(lamina_plan *plan) {
  LAMINA_TRY(open_pool(plan, X, Y));
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
  const double p = p_of(plan);
  const lamina_loop_pass pass = {.from = args->p[X], .to = args->p[Y], .user = &p};
  (void)stream;
  return lamina_loop_pool_run(plan, &pass, tasks[s->direct][lamina_loop_is_bf16(plan, X)], workspace);
}

const lamina_engine lamina_cpu_loop_lp_pool_forward = {
    LAMINA_LOOP_ENGINE("lp_pool/forward", LAMINA_STRIDES_DENSE),
    .candidates = lamina_loop_candidates,
    .prepare = prepare_forward,
    .run = run_forward,
    .release = lamina_loop_pool_close,
};

/* ---- Backward --------------------------------------------------------------------------------------------------- */

enum { BACKWARD_X, BACKWARD_Y, DY, DX };

/* A plane's arguments. */
typedef struct plane {
  const void *x, *y, *dy;
  void *dx;
} plane;

/* What a thread works with where windows aren't taken one by one. */
typedef struct collector {
  double *share; /* [y[0]*y[1]][width] dy * y^(1-p) of each window; 0 beyond a row */
  double *phase; /* [phases][phase_room] */
  double *line;  /* [line_room] */
} collector;

/* Doubles of it. */
static int64_t collector_size(const lamina_loop_pool *s) {
  return s->y[0] * s->y[1] * s->width + s->phases * s->phase_room + s->line_room;
}

static collector collector_at(const lamina_loop_pool *s, double *memory) {
  double *phase = memory + s->y[0] * s->y[1] * s->width;
  return (collector){.share = memory, .phase = phase, .line = phase + s->phases * s->phase_room};
}

LAMINA_INLINE void fill_shares(const lamina_loop_pool *s, const plane *at, const collector *m, power kind, double p,
                               bool bf16) {
  for (int64_t r = 0; r < s->y[0] * s->y[1]; r++) {
    double *restrict share = m->share + r * s->width;
    memset(share, 0, (size_t)s->width * sizeof *share);
    for (int64_t o = 0; o < s->y[2]; o++) {
      const double y = (double)lamina_loop_get(at->y, r * s->y[2] + o, bf16);
      const double dy = (double)lamina_loop_get(at->dy, r * s->y[2] + o, bf16);
      const double each = kind == FIRST ? dy : kind == SECOND ? dy / y : dy * pow(y, 1 - p);
      share[o] = y == 0 ? 0 : each;
    }
  }
}

/* Merges the phases into the line; what no window covers stays 0. */
LAMINA_INLINE void merge(const lamina_loop_pool *s, const collector *m) {
  const int64_t n = s->phase_room & -LAMINA_LOOP_VECTOR;
  for (int64_t p = 0; p < s->phases; p++)
    for (int64_t j = 0; j < n; j++) m->line[s->stride[2] * j + p] = m->phase[p * n + j];
}

LAMINA_INLINE double slope(power kind, double p, double x) {
  const double sign = x > 0 ? 1 : x < 0 ? -1 : x;
  return kind == FIRST ? sign : kind == SECOND ? x : sign * pow(fabs(x), p - 1);
}

LAMINA_INLINE void backward_plane(const lamina_loop_pool *s, const plane *at, const collector *m, power kind, double p,
                                  bool bf16) {
  int64_t od0, od1, oh0, oh1;
  fill_shares(s, at, m, kind, p, bf16);
  memset(m->line, 0, (size_t)s->line_room * sizeof(double));
  for (int64_t r = 0; r < s->x[0] * s->x[1]; r++) {
    memset(m->phase, 0, (size_t)(s->phases * s->phase_room) * sizeof(double));
    lamina_loop_windows_over(s, 0, r / s->x[1], &od0, &od1);
    lamina_loop_windows_over(s, 1, r % s->x[1], &oh0, &oh1);
    for (int64_t od = od0; od < od1; od++)
      for (int64_t oh = oh0; oh < oh1; oh++)
        for (int64_t c = 0; c < s->kernel[2]; c++)
          add_row(s->width, m->share + (od * s->y[1] + oh) * s->width, m->phase + s->column[c]);
    merge(s, m);
    for (int64_t w = 0; w < s->x[2]; w++) {
      const int64_t i = r * s->x[2] + w;
      const double sum = w < s->line_copy ? m->line[s->pad[2] + w] : 0;
      lamina_loop_set(at->dx, i, (float)(sum * slope(kind, p, (double)lamina_loop_get(at->x, i, bf16))), bf16);
    }
  }
}

/* A plane, one window at a time; `sum` [x_plane]. */
LAMINA_INLINE void backward_windows(const lamina_loop_pool *s, const plane *at, double *sum, double p, bool bf16) {
  memset(sum, 0, (size_t)s->x_plane * sizeof *sum);
  for (int64_t o = 0; o < s->y_plane; o++) {
    const int64_t window[3] = {o / (s->y[1] * s->y[2]), o / s->y[2] % s->y[1], o % s->y[2]};
    const double y = (double)lamina_loop_get(at->y, o, bf16), dy = (double)lamina_loop_get(at->dy, o, bf16);
    int64_t first[3], end[3];
    if (y == 0) continue;
    for (int a = 0; a < 3; a++) lamina_loop_window(s, a, window[a], &first[a], &end[a]);
    for (int64_t d = first[0]; d < end[0]; d++)
      for (int64_t h = first[1]; h < end[1]; h++)
        for (int64_t w = first[2]; w < end[2]; w++) {
          const int64_t i = (d * s->x[1] + h) * s->x[2] + w;
          sum[i] += dy * slope(power_of(p), p, (double)lamina_loop_get(at->x, i, bf16) / y);
        }
  }
  for (int64_t i = 0; i < s->x_plane; i++) lamina_loop_set(at->dx, i, (float)sum[i], bf16);
}

typedef void backward_task(const lamina_loop_pool *s, const plane *at, double *memory, double p);

#define BACKWARD(type, bf16)                                                                                           \
  LAMINA_CLONES static void backward_##type(const lamina_loop_pool *s, const plane *at, double *memory, double p) {    \
    const collector m = collector_at(s, memory);                                                                       \
    if (p == 1)                                                                                                        \
      backward_plane(s, at, &m, FIRST, p, bf16);                                                                       \
    else if (p == 2)                                                                                                   \
      backward_plane(s, at, &m, SECOND, p, bf16);                                                                      \
    else                                                                                                               \
      backward_plane(s, at, &m, OTHER, p, bf16);                                                                       \
  }                                                                                                                    \
  static void backward_direct_##type(const lamina_loop_pool *s, const plane *at, double *memory, double p) {           \
    backward_windows(s, at, memory, p, bf16);                                                                          \
  }
BACKWARD(f32, false)
BACKWARD(bf16, true)

static lamina_status prepare_backward(lamina_plan *plan) {
  LAMINA_TRY(open_pool(plan, DX, DY));
  const lamina_loop_pool *s = plan->state;
  lamina_loop_pool_scratch(plan, (size_t)(s->direct ? s->x_plane : collector_size(s)) * sizeof(double));
  return LAMINA_OK;
}

static lamina_status run_backward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                  lamina_stream *stream) {
  static backward_task *const tasks_of[2][2] = {{backward_f32, backward_bf16},
                                                {backward_direct_f32, backward_direct_bf16}};
  const lamina_loop_pool *s = plan->state;
  const double p = p_of(plan);
  const bool bf16 = lamina_loop_is_bf16(plan, DX);
  backward_task *const task = tasks_of[s->direct][bf16];
  (void)stream;
#pragma omp parallel for schedule(static) if (s->planes * s->x_plane >= s->alone)
  for (int64_t i = 0; i < s->planes; i++) {
    const plane at = {lamina_loop_at(args->p[BACKWARD_X], i * s->x_plane, bf16),
                      lamina_loop_at(args->p[BACKWARD_Y], i * s->y_plane, bf16),
                      lamina_loop_at(args->p[DY], i * s->y_plane, bf16),
                      lamina_loop_to(args->p[DX], i * s->x_plane, bf16)};
    task(s, &at, (double *)((char *)workspace + (size_t)lamina_loop_thread() * s->scratch), p);
  }
  return LAMINA_OK;
}

const lamina_engine lamina_cpu_loop_lp_pool_backward = {
    LAMINA_LOOP_ENGINE("lp_pool/backward", LAMINA_STRIDES_DENSE),
    .candidates = lamina_loop_candidates,
    .prepare = prepare_backward,
    .run = run_backward,
    .release = lamina_loop_pool_close,
};
