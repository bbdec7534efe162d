/* Batch normalisation on the CPU, over [N, C, area].
 *
 * The batch is cut into chunks, and each chunk gives partial moments, or sums, [chunks][C] in f64: their number depends
 * on the shape alone, so the result does not on the number of threads. Where a plane has one element, channels are
 * taken side by side; else plane by plane. Then one more pass over memory writes y, or dx, from a table with four
 * numbers a channel. y may lie on x, dx on dy.
 *
 * oneDNN's batch normalisation is not offered: it saves the variance, where lamina/batch_norm.h says r. */
#include <math.h>

#include "cpu/loop_norm.h"
#include "lamina/batch_norm.h"

enum { X, W, B, RUNNING_MEAN, RUNNING_VARIANCE, Y, MEAN, DEVIATION, NEW_MEAN, NEW_VARIANCE }; /* forward, inference */
enum { BACK_X, BACK_W, BACK_MEAN, BACK_DEVIATION, BACK_DY, BACK_DX, BACK_DW, BACK_DB };
enum { STRIP = 64, ROWS = 64 }; /* channels side by side; rows of them that stay in the cache */

typedef struct sizes {
  int64_t N, C, area, chunks, rows; /* rows of the batch in a chunk */
  int64_t parts;                    /* of the channels, that are taken one by one: strips, or each channel */
} sizes;

static sizes sizes_of(const lamina_problem *p) {
  const lamina_desc *x = &p->arg[X];
  sizes s = {.N = x->dims[0], .C = x->dims[1], .area = 1};
  for (int d = 2; d < x->rank; d++) s.area *= x->dims[d];
  const int64_t elements = s.N * s.C * s.area, least = (elements + LAMINA_LOOP_PARALLEL - 1) / LAMINA_LOOP_PARALLEL;
  s.chunks = least < 32 ? least : 32;
  if (s.chunks > s.N) s.chunks = s.N;
  s.rows = (s.N + s.chunks - 1) / s.chunks;
  s.chunks = (s.N + s.rows - 1) / s.rows;
  s.parts = s.area == 1 ? (s.C + STRIP - 1) / STRIP : s.C;
  return s;
}

/* What y and dx are made from, [C] each: y = ((x - high) - low) * scale + shift, and
 * dx = ((dy - shift) - ((x - high) - low) * tilt) * scale. */
typedef struct table {
  float *high, *low, *scale, *shift, *tilt;
} table;

static table table_in(void *workspace, const sizes *s) {
  float *t = workspace;
  return (table){t, t + s->C, t + 2 * s->C, t + 3 * s->C, t + 4 * s->C};
}
static size_t table_bytes(const sizes *s) { return ((size_t)(5 * s->C) * sizeof(float) + 63) / 64 * 64; }

/* ---- Moments and sums of rows n … n + rows - 1: of channel c, or of `width` channels from c on ------------------- */

LAMINA_INLINE void moments_of_plane(const sizes *s, int64_t n, int64_t rows, int64_t c, const void *x,
                                    lamina_loop_moments *m, bool bf16) {
  *m = (lamina_loop_moments){0};
  for (int64_t i = n; i < n + rows; i++)
    lamina_loop_moments_run(m, s->area, lamina_loop_at(x, (i * s->C + c) * s->area, bf16), bf16);
}

LAMINA_INLINE void moments_of_strip(const sizes *s, int64_t n, int64_t rows, int64_t c, int64_t width, const void *x,
                                    lamina_loop_moments *m, bool bf16) {
  double mean[STRIP], square[STRIP];
  for (int64_t j = 0; j < width; j++) m[j] = (lamina_loop_moments){0};
  for (int64_t first = n; first < n + rows; first += ROWS) {
    const int64_t end = n + rows - first < ROWS ? n + rows : first + ROWS;
    for (int64_t j = 0; j < width; j++) mean[j] = square[j] = 0;
    for (int64_t i = first; i < end; i++)
      for (int64_t j = 0; j < width; j++) mean[j] += (double)lamina_loop_get(x, i * s->C + c + j, bf16);
    for (int64_t j = 0; j < width; j++) mean[j] /= (double)(end - first);
    for (int64_t i = first; i < end; i++)
      for (int64_t j = 0; j < width; j++) {
        const double d = (double)lamina_loop_get(x, i * s->C + c + j, bf16) - mean[j];
        square[j] += d * d;
      }
    for (int64_t j = 0; j < width; j++)
      lamina_loop_merge(&m[j], &(lamina_loop_moments){(double)(end - first), mean[j], square[j]});
  }
}

LAMINA_INLINE void sums_of_plane(const sizes *s, int64_t n, int64_t rows, int64_t c, const void *x, const void *dy,
                                 double mean, lamina_loop_sums *sums, bool bf16) {
  *sums = (lamina_loop_sums){0};
  for (int64_t i = n; i < n + rows; i++) {
    const int64_t at = (i * s->C + c) * s->area;
    lamina_loop_sums_run(sums, s->area, lamina_loop_at(x, at, bf16), lamina_loop_at(dy, at, bf16), mean, bf16);
  }
}

LAMINA_INLINE void sums_of_strip(const sizes *s, int64_t n, int64_t rows, int64_t c, int64_t width, const void *x,
                                 const void *dy, const float *mean, lamina_loop_sums *sums, bool bf16) {
  double plain[STRIP], moment[STRIP];
  for (int64_t j = 0; j < width; j++) plain[j] = moment[j] = 0;
  for (int64_t i = n; i < n + rows; i++)
    for (int64_t j = 0; j < width; j++) {
      const double g = (double)lamina_loop_get(dy, i * s->C + c + j, bf16);
      plain[j] += g, moment[j] += g * (double)(lamina_loop_get(x, i * s->C + c + j, bf16) - mean[j]);
    }
  for (int64_t j = 0; j < width; j++) sums[j] = (lamina_loop_sums){plain[j], moment[j]};
}

/* ---- y and dx of row n: of channel c's plane, or of all channels of a row ------------------------------------------ */

LAMINA_INLINE void write_y(const sizes *s, const table *t, int64_t at, const void *x, void *y, bool bf16) {
  const int64_t c = at % s->C;
  const float high = t->high[c], low = t->low[c], scale = t->scale[c], shift = t->shift[c];
#pragma GCC ivdep
  for (int64_t i = at * s->area; i < (at + 1) * s->area; i++)
    lamina_loop_set(y, i, ((lamina_loop_get(x, i, bf16) - high) - low) * scale + shift, bf16);
}

LAMINA_INLINE void write_y_row(const sizes *s, const table *t, int64_t n, const void *x, void *y, bool bf16) {
#pragma GCC ivdep
  for (int64_t c = 0; c < s->C; c++)
    lamina_loop_set(y, n * s->C + c,
                    ((lamina_loop_get(x, n * s->C + c, bf16) - t->high[c]) - t->low[c]) * t->scale[c] + t->shift[c],
                    bf16);
}

LAMINA_INLINE void write_dx(const sizes *s, const table *t, int64_t at, const void *x, const void *dy, void *dx,
                            bool bf16) {
  const int64_t c = at % s->C;
  const float mean = t->high[c], scale = t->scale[c], shift = t->shift[c], tilt = t->tilt[c];
#pragma GCC ivdep
  for (int64_t i = at * s->area; i < (at + 1) * s->area; i++) {
    const float d = lamina_loop_get(x, i, bf16) - mean;
    lamina_loop_set(dx, i, ((lamina_loop_get(dy, i, bf16) - shift) - d * tilt) * scale, bf16);
  }
}

LAMINA_INLINE void write_dx_row(const sizes *s, const table *t, int64_t n, const void *x, const void *dy, void *dx,
                                bool bf16) {
#pragma GCC ivdep
  for (int64_t c = 0; c < s->C; c++) {
    const int64_t i = n * s->C + c;
    const float d = lamina_loop_get(x, i, bf16) - t->high[c];
    lamina_loop_set(dx, i, ((lamina_loop_get(dy, i, bf16) - t->shift[c]) - d * t->tilt[c]) * t->scale[c], bf16);
  }
}

/* ---- Tasks: part `p` of chunk `k`; row or plane number `at` -------------------------------------------------------- */

/* Rows of chunk k, and the channels of part p. */
typedef struct task {
  int64_t n, rows, c, width;
} task;
LAMINA_INLINE task task_of(const sizes *s, int64_t k, int64_t p) {
  const int64_t n = k * s->rows, each = s->area == 1 ? STRIP : 1, c = p * each;
  return (task){n, s->N - n < s->rows ? s->N - n : s->rows, c, s->C - c < each ? s->C - c : each};
}

#define TASKS(type, bf16)                                                                                              \
  LAMINA_CLONES static void moments_##type(const sizes *s, int64_t k, int64_t p, const void *x,                        \
                                           lamina_loop_moments *part) {                                                \
    const task t = task_of(s, k, p);                                                                                   \
    if (s->area == 1)                                                                                                  \
      moments_of_strip(s, t.n, t.rows, t.c, t.width, x, part + k * s->C + t.c, bf16);                                  \
    else                                                                                                               \
      moments_of_plane(s, t.n, t.rows, t.c, x, part + k * s->C + t.c, bf16);                                           \
  }                                                                                                                    \
  LAMINA_CLONES static void sums_##type(const sizes *s, int64_t k, int64_t p, const void *x, const void *dy,           \
                                        const float *mean, lamina_loop_sums *part) {                                   \
    const task t = task_of(s, k, p);                                                                                   \
    if (s->area == 1)                                                                                                  \
      sums_of_strip(s, t.n, t.rows, t.c, t.width, x, dy, mean + t.c, part + k * s->C + t.c, bf16);                     \
    else                                                                                                               \
      sums_of_plane(s, t.n, t.rows, t.c, x, dy, (double)mean[t.c], part + k * s->C + t.c, bf16);                       \
  }                                                                                                                    \
  LAMINA_CLONES static void y_##type(const sizes *s, const table *t, int64_t at, const void *x, void *y) {             \
    if (s->area == 1)                                                                                                  \
      write_y_row(s, t, at, x, y, bf16);                                                                               \
    else                                                                                                               \
      write_y(s, t, at, x, y, bf16);                                                                                   \
  }                                                                                                                    \
  LAMINA_CLONES static void dx_##type(const sizes *s, const table *t, int64_t at, const void *x, const void *dy,       \
                                      void *dx) {                                                                      \
    if (s->area == 1)                                                                                                  \
      write_dx_row(s, t, at, x, dy, dx, bf16);                                                                         \
    else                                                                                                               \
      write_dx(s, t, at, x, dy, dx, bf16);                                                                             \
  }
TASKS(f32, false)
TASKS(bf16, true)

/* ---- Engines ---------------------------------------------------------------------------------------------------- */

static int64_t elements(const sizes *s) { return s->N * s->C * s->area; }

static void write_all_y(const lamina_plan *plan, const lamina_args *args, const sizes *s, const table *t) {
  const bool bf16 = lamina_loop_is_bf16(plan, X);
  const int64_t count = s->area == 1 ? s->N : s->N * s->C;
#pragma omp parallel for schedule(static) if (elements(s) >= LAMINA_LOOP_PARALLEL)
  for (int64_t at = 0; at < count; at++) (bf16 ? y_bf16 : y_f32)(s, t, at, args->p[X], args->p[Y]);
}

/* Row c of the table for y, from the moments of its channel. */
static void set_row(const lamina_plan *plan, const lamina_args *args, const table *t, int64_t c, double mean,
                    double deviation) {
  lamina_loop_split(mean, &t->high[c], &t->low[c]);
  t->scale[c] = (float)(deviation * lamina_loop_number(plan, args, W, c, 1));
  t->shift[c] = (float)lamina_loop_number(plan, args, B, c, 0);
}

static double blend(double old, double now, double momentum) { return (1 - momentum) * old + momentum * now; }

/* The statistics of channel c go where they are wanted. */
static void finish_channel(const lamina_plan *plan, const lamina_args *args, const table *t, int64_t c,
                           const lamina_loop_moments *m) {
  const lamina_batch_norm *bn = lamina_attr(&plan->problem);
  const double mean = isinf(m->mean) ? (double)NAN : m->mean, deviation = 1 / sqrt(m->squares / m->n + bn->epsilon);
  set_row(plan, args, t, c, mean, deviation);
  lamina_loop_put(plan, args, MEAN, c, mean);
  lamina_loop_put(plan, args, DEVIATION, c, deviation);
  if (args->p[NEW_MEAN])
    lamina_loop_put(plan, args, NEW_MEAN, c,
                    blend(lamina_loop_number(plan, args, RUNNING_MEAN, c, 0), mean, bn->momentum));
  if (args->p[NEW_VARIANCE]) {
    const double old = lamina_loop_number(plan, args, RUNNING_VARIANCE, c, 0);
    lamina_loop_put(plan, args, NEW_VARIANCE, c, m->n > 1 ? blend(old, m->squares / (m->n - 1), bn->momentum) : old);
  }
}

static lamina_status prepare_forward(lamina_plan *plan) {
  const sizes s = sizes_of(&plan->problem);
  plan->workspace = table_bytes(&s) + (size_t)(s.chunks * s.C) * sizeof(lamina_loop_moments);
  return LAMINA_OK;
}

static lamina_status run_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  const sizes s = sizes_of(&plan->problem);
  const table t = table_in(workspace, &s);
  const bool bf16 = lamina_loop_is_bf16(plan, X);
  lamina_loop_moments *part = (void *)((char *)workspace + table_bytes(&s)); /* [chunks, C] */
  (void)stream;
#pragma omp parallel for schedule(static) collapse(2) if (elements(&s) >= LAMINA_LOOP_PARALLEL)
  for (int64_t k = 0; k < s.chunks; k++)
    for (int64_t p = 0; p < s.parts; p++) (bf16 ? moments_bf16 : moments_f32)(&s, k, p, args->p[X], part);
  for (int64_t c = 0; c < s.C; c++) {
    for (int64_t k = 1; k < s.chunks; k++) lamina_loop_merge(&part[c], &part[k * s.C + c]);
    finish_channel(plan, args, &t, c, &part[c]);
  }
  write_all_y(plan, args, &s, &t);
  return LAMINA_OK;
}

static lamina_status prepare_inference(lamina_plan *plan) {
  const sizes s = sizes_of(&plan->problem);
  plan->workspace = table_bytes(&s);
  return LAMINA_OK;
}

static lamina_status run_inference(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                   lamina_stream *stream) {
  const lamina_batch_norm *bn = lamina_attr(&plan->problem);
  const sizes s = sizes_of(&plan->problem);
  const table t = table_in(workspace, &s);
  (void)stream;
  for (int64_t c = 0; c < s.C; c++) {
    const double variance = lamina_loop_number(plan, args, RUNNING_VARIANCE, c, 0);
    set_row(plan, args, &t, c, lamina_loop_number(plan, args, RUNNING_MEAN, c, 0), 1 / sqrt(variance + bn->epsilon));
  }
  write_all_y(plan, args, &s, &t);
  return LAMINA_OK;
}

static lamina_status prepare_backward(lamina_plan *plan) {
  const sizes s = sizes_of(&plan->problem);
  plan->workspace = table_bytes(&s) + (size_t)(s.chunks * s.C) * sizeof(lamina_loop_sums);
  return LAMINA_OK;
}

static lamina_status run_backward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                  lamina_stream *stream) {
  const sizes s = sizes_of(&plan->problem);
  const table t = table_in(workspace, &s);
  const bool bf16 = lamina_loop_is_bf16(plan, BACK_X);
  const double n = (double)(s.N * s.area);
  const int64_t count = s.area == 1 ? s.N : s.N * s.C;
  lamina_loop_sums *part = (void *)((char *)workspace + table_bytes(&s)); /* [chunks, C] */
  (void)stream;
  for (int64_t c = 0; c < s.C; c++) t.high[c] = (float)lamina_loop_number(plan, args, BACK_MEAN, c, 0);
#pragma omp parallel for schedule(static) collapse(2) if (elements(&s) >= LAMINA_LOOP_PARALLEL)
  for (int64_t k = 0; k < s.chunks; k++)
    for (int64_t p = 0; p < s.parts; p++)
      (bf16 ? sums_bf16 : sums_f32)(&s, k, p, args->p[BACK_X], args->p[BACK_DY], t.high, part);
  for (int64_t c = 0; c < s.C; c++) {
    const double r = lamina_loop_number(plan, args, BACK_DEVIATION, c, 0);
    lamina_loop_sums sum = {0};
    for (int64_t k = 0; k < s.chunks; k++) sum.plain += part[k * s.C + c].plain, sum.moment += part[k * s.C + c].moment;
    lamina_loop_put(plan, args, BACK_DB, c, sum.plain);
    lamina_loop_put(plan, args, BACK_DW, c, r * sum.moment);
    t.scale[c] = (float)(r * lamina_loop_number(plan, args, BACK_W, c, 1));
    t.shift[c] = (float)(sum.plain / n);
    t.tilt[c] = (float)(r * r * sum.moment / n);
  }
#pragma omp parallel for schedule(static) if (elements(&s) >= LAMINA_LOOP_PARALLEL)
  for (int64_t at = 0; at < count; at++)
    (bf16 ? dx_bf16 : dx_f32)(&s, &t, at, args->p[BACK_X], args->p[BACK_DY], args->p[BACK_DX]);
  return LAMINA_OK;
}

#define ENGINE(pass)                                                                                                   \
  LAMINA_LOOP_ENGINE("batch_norm/" #pass, LAMINA_STRIDES_DENSE), .candidates = lamina_loop_norm_candidates,            \
                                                                 .prepare = prepare_##pass, .run = run_##pass
const lamina_engine lamina_cpu_loop_batch_norm_forward = {ENGINE(forward)};
const lamina_engine lamina_cpu_loop_batch_norm_inference = {ENGINE(inference)};
const lamina_engine lamina_cpu_loop_batch_norm_backward = {ENGINE(backward)};
