/* Layer and group normalisation on the CPU. Both are rows of neighbouring elements, row after row:
 *
 *   [rows][each][area], w and b [groups * each], row r takes those from r % groups * each on
 *
 * layer_norm has one group and an area of 1. A row is read for its moments, or its sums, and again for y, or dx; y may
 * lie on x, dx on dy. Backward, the rows are cut into chunks, and each gives partial sums of dw and db, [chunks][channels]
 * in f64: their number depends on the shape alone, so the result does not on the number of threads. */
#include <math.h>

#include "cpu/loop_norm.h"
#include "lamina/layer_norm.h"

enum { X, W, B, Y, MEAN, DEVIATION };
enum { BACK_X, BACK_W, BACK_MEAN, BACK_DEVIATION, BACK_DY, BACK_DX, BACK_DW, BACK_DB };

typedef struct sizes {
  int64_t rows, groups, each, area;
  int64_t chunks, part; /* rows in a chunk */
  double epsilon;
} sizes;

static sizes sizes_of(const lamina_problem *p) {
  const lamina_desc *x = &p->arg[X];
  sizes s = {.rows = 1, .groups = 1, .each = 1, .area = 1};
  if (lamina_op_at(p->op)->name[0] == 'g') {
    const lamina_group_norm *norm = lamina_attr(p);
    s.groups = norm->groups, s.epsilon = norm->epsilon;
    s.rows = x->dims[0] * s.groups, s.each = x->dims[1] / s.groups;
    for (int d = 2; d < x->rank; d++) s.area *= x->dims[d];
  } else {
    const lamina_layer_norm *norm = lamina_attr(p);
    s.epsilon = norm->epsilon;
    for (int d = 0; d < x->rank; d++) *(d < norm->axis ? &s.rows : &s.each) *= x->dims[d];
  }
  const int64_t elements = s.rows * s.each * s.area;
  const int64_t least = (elements + LAMINA_LOOP_PARALLEL - 1) / LAMINA_LOOP_PARALLEL;
  s.chunks = least < 32 ? least : 32;
  if (s.chunks > s.rows) s.chunks = s.rows;
  s.part = (s.rows + s.chunks - 1) / s.chunks;
  s.chunks = (s.rows + s.part - 1) / s.part;
  return s;
}

static int64_t channels(const sizes *s) { return s->groups * s->each; }
static bool is_large(const sizes *s) { return s->rows * s->each * s->area >= LAMINA_LOOP_PARALLEL; }

/* w, or b, of all channels as f32. */
static void read_numbers(const lamina_plan *plan, const lamina_args *args, int arg, int64_t n, float absent,
                         float *out) {
  for (int64_t i = 0; i < n; i++) out[i] = (float)lamina_loop_number(plan, args, arg, i, (double)absent);
}

/* ---- Forward: one row ------------------------------------------------------------------------------------------- */

/* A number that row r has for all. */
typedef struct row_numbers {
  float high, low, deviation; /* the mean in two parts */
} row_numbers;

/* y = ((x - high) - low) * deviation * w + b */
LAMINA_INLINE void write_y(const sizes *s, row_numbers m, const float *w, const float *b, const void *x, void *y,
                           bool bf16) {
  if (s->area == 1) {
#pragma GCC ivdep
    for (int64_t i = 0; i < s->each; i++)
      lamina_loop_set(y, i, ((lamina_loop_get(x, i, bf16) - m.high) - m.low) * (m.deviation * w[i]) + b[i], bf16);
    return;
  }
  for (int64_t c = 0; c < s->each; c++) {
    const float scale = m.deviation * w[c], shift = b[c];
#pragma GCC ivdep
    for (int64_t i = c * s->area; i < (c + 1) * s->area; i++)
      lamina_loop_set(y, i, ((lamina_loop_get(x, i, bf16) - m.high) - m.low) * scale + shift, bf16);
  }
}

/* ---- Backward: one row ------------------------------------------------------------------------------------------ */

/* Adds r's part to dw and db, and gives the sums of g = dy * w and of g * (x - mean). */
LAMINA_INLINE lamina_loop_sums sums_of(const sizes *s, double mean, double deviation, const float *w, const void *x,
                                       const void *dy, double *restrict dw, double *restrict db, bool bf16) {
  lamina_loop_sums sums = {0};
  double plain[LAMINA_NORM_LANES] = {0}, moment[LAMINA_NORM_LANES] = {0};
  if (s->area == 1) {
    int64_t i = 0;
    for (; i + LAMINA_NORM_LANES <= s->each; i += LAMINA_NORM_LANES)
      for (int64_t j = 0; j < LAMINA_NORM_LANES; j++) {
        const double g = (double)lamina_loop_get(dy, i + j, bf16),
                     p = g * ((double)lamina_loop_get(x, i + j, bf16) - mean);
        db[i + j] += g, dw[i + j] += p * deviation;
        plain[j] += g * (double)w[i + j], moment[j] += p * (double)w[i + j];
      }
    for (int64_t j = 0; i + j < s->each; j++) {
      const double g = (double)lamina_loop_get(dy, i + j, bf16),
                   p = g * ((double)lamina_loop_get(x, i + j, bf16) - mean);
      db[i + j] += g, dw[i + j] += p * deviation;
      plain[j] += g * (double)w[i + j], moment[j] += p * (double)w[i + j];
    }
    return (lamina_loop_sums){lamina_loop_lanes(plain), lamina_loop_lanes(moment)};
  }
  for (int64_t c = 0; c < s->each; c++) {
    lamina_loop_sums of = {0};
    lamina_loop_sums_run(&of, s->area, lamina_loop_at(x, c * s->area, bf16), lamina_loop_at(dy, c * s->area, bf16),
                         mean, bf16);
    db[c] += of.plain, dw[c] += of.moment * deviation;
    sums.plain += of.plain * (double)w[c], sums.moment += of.moment * (double)w[c];
  }
  return sums;
}

/* dx = (dy * w - level - (x - mean) * tilt) * deviation */
LAMINA_INLINE void write_dx(const sizes *s, float mean, float deviation, float level, float tilt, const float *w,
                            const void *x, const void *dy, void *dx, bool bf16) {
  if (s->area == 1) {
#pragma GCC ivdep
    for (int64_t i = 0; i < s->each; i++) {
      const float d = lamina_loop_get(x, i, bf16) - mean, g = lamina_loop_get(dy, i, bf16) * w[i];
      lamina_loop_set(dx, i, ((g - level) - d * tilt) * deviation, bf16);
    }
    return;
  }
  for (int64_t c = 0; c < s->each; c++) {
    const float scale = w[c];
#pragma GCC ivdep
    for (int64_t i = c * s->area; i < (c + 1) * s->area; i++) {
      const float d = lamina_loop_get(x, i, bf16) - mean, g = lamina_loop_get(dy, i, bf16) * scale;
      lamina_loop_set(dx, i, ((g - level) - d * tilt) * deviation, bf16);
    }
  }
}

LAMINA_INLINE void backward_row(const sizes *s, double mean, double deviation, const float *w, const void *x,
                                const void *dy, void *dx, double *dw, double *db, bool bf16) {
  const double n = (double)(s->each * s->area);
  const lamina_loop_sums sums = sums_of(s, mean, deviation, w, x, dy, dw, db, bf16);
  write_dx(s, (float)mean, (float)deviation, (float)(sums.plain / n), (float)(deviation * deviation * sums.moment / n),
           w, x, dy, dx, bf16);
}

#define ROWS(type, bf16)                                                                                               \
  LAMINA_CLONES static void moments_##type(const sizes *s, const void *x, lamina_loop_moments *m) {                    \
    lamina_loop_moments_run(m, s->each * s->area, x, bf16);                                                            \
  }                                                                                                                    \
  LAMINA_CLONES static void y_##type(const sizes *s, row_numbers m, const float *w, const float *b, const void *x,     \
                                     void *y) {                                                                        \
    write_y(s, m, w, b, x, y, bf16);                                                                                   \
  }                                                                                                                    \
  LAMINA_CLONES static void backward_##type(const sizes *s, double mean, double deviation, const float *w,             \
                                            const void *x, const void *dy, void *dx, double *dw, double *db) {         \
    backward_row(s, mean, deviation, w, x, dy, dx, dw, db, bf16);                                                      \
  }
ROWS(f32, false)
ROWS(bf16, true)

/* ---- Engines ---------------------------------------------------------------------------------------------------- */

static lamina_status prepare_forward(lamina_plan *plan) {
  const sizes s = sizes_of(&plan->problem);
  plan->workspace = 2 * (size_t)channels(&s) * sizeof(float);
  return LAMINA_OK;
}

static lamina_status run_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  const sizes s = sizes_of(&plan->problem);
  const bool bf16 = lamina_loop_is_bf16(plan, X);
  float *w = workspace, *b = w + channels(&s);
  (void)stream;
  read_numbers(plan, args, W, channels(&s), 1, w);
  read_numbers(plan, args, B, channels(&s), 0, b);
#pragma omp parallel for schedule(static) if (is_large(&s))
  for (int64_t r = 0; r < s.rows; r++) {
    const int64_t at = r * s.each * s.area, channel = r % s.groups * s.each;
    const void *x = lamina_loop_at(args->p[X], at, bf16);
    void *y = lamina_loop_to(args->p[Y], at, bf16);
    lamina_loop_moments m = {0};
    (bf16 ? moments_bf16 : moments_f32)(&s, x, &m);
    const double mean = isinf(m.mean) ? (double)NAN : m.mean, deviation = 1 / sqrt(m.squares / m.n + s.epsilon);
    row_numbers numbers = {.deviation = (float)deviation};
    lamina_loop_split(mean, &numbers.high, &numbers.low);
    (bf16 ? y_bf16 : y_f32)(&s, numbers, w + channel, b + channel, x, y);
    lamina_loop_put(plan, args, MEAN, r, mean);
    lamina_loop_put(plan, args, DEVIATION, r, deviation);
  }
  return LAMINA_OK;
}

static size_t partial_bytes(const sizes *s) { return (size_t)(s->chunks * channels(s)) * sizeof(double); }

static lamina_status prepare_backward(lamina_plan *plan) {
  const sizes s = sizes_of(&plan->problem);
  plan->workspace = 2 * partial_bytes(&s) + (size_t)channels(&s) * sizeof(float);
  return LAMINA_OK;
}

static lamina_status run_backward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                  lamina_stream *stream) {
  const sizes s = sizes_of(&plan->problem);
  const bool bf16 = lamina_loop_is_bf16(plan, BACK_X);
  double *dw = workspace, *db = dw + s.chunks * channels(&s); /* [chunks, channels] */
  float *w = (void *)(db + s.chunks * channels(&s));
  (void)stream;
  memset(workspace, 0, 2 * partial_bytes(&s));
  read_numbers(plan, args, BACK_W, channels(&s), 1, w);
#pragma omp parallel for schedule(static) if (s.chunks > 1)
  for (int64_t k = 0; k < s.chunks; k++)
    for (int64_t r = k * s.part; r < s.rows && r < (k + 1) * s.part; r++) {
      const int64_t at = r * s.each * s.area, channel = r % s.groups * s.each, part = k * channels(&s) + channel;
      (bf16 ? backward_bf16 : backward_f32)(
          &s, lamina_loop_number(plan, args, BACK_MEAN, r, 0), lamina_loop_number(plan, args, BACK_DEVIATION, r, 0),
          w + channel, lamina_loop_at(args->p[BACK_X], at, bf16), lamina_loop_at(args->p[BACK_DY], at, bf16),
          lamina_loop_to(args->p[BACK_DX], at, bf16), dw + part, db + part);
    }
  for (int64_t c = 0; c < channels(&s); c++) {
    double weight = 0, bias = 0;
    for (int64_t k = 0; k < s.chunks; k++) weight += dw[k * channels(&s) + c], bias += db[k * channels(&s) + c];
    lamina_loop_put(plan, args, BACK_DW, c, weight);
    lamina_loop_put(plan, args, BACK_DB, c, bias);
  }
  return LAMINA_OK;
}

#define ENGINE(family, pass)                                                                                           \
  LAMINA_LOOP_ENGINE(#family "/" #pass, LAMINA_STRIDES_DENSE), .candidates = lamina_loop_norm_candidates,              \
                                                               .prepare = prepare_##pass, .run = run_##pass
const lamina_engine lamina_cpu_loop_layer_norm_forward = {ENGINE(layer_norm, forward)};
const lamina_engine lamina_cpu_loop_layer_norm_backward = {ENGINE(layer_norm, backward)};
const lamina_engine lamina_cpu_loop_group_norm_forward = {ENGINE(group_norm, forward)};
const lamina_engine lamina_cpu_loop_group_norm_backward = {ENGINE(group_norm, backward)};
