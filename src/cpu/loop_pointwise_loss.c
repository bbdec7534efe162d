/* The pointwise losses on the CPU: rows through the L1 cache. Forward leaves the sum of each row behind; they are added up
 * in order: the same bits whatever the number of threads.
 *   workspace of forward: [ the sum of each row, f64 ] */
#include <math.h>

#include "cpu/exp.h"
#include "cpu/rows.h"
#include "lamina/pointwise_loss.h"

/* Places in the rows. */
enum { X, TARGET, WEIGHTS, Y };
enum { DY = Y, DX };

/* The losses of a row, or their slopes; out may be x. `a` is the loss's own number, `square` its power 2. */
typedef void row_fn(int64_t n, float a, bool square, const float *x, const float *t, float *out);
typedef struct kind {
  row_fn *loss, *slope;
  void (*numbers)(const void *attr, double *a, bool *square);
} kind;

#define DEFINE_ROW(name, expression)                                                                                   \
  LAMINA_CLONES static void name(int64_t n, float a, bool square, const float *x, const float *t, float *out) {        \
    (void)a, (void)square;                                                                                             \
    _Pragma("GCC ivdep") for (int64_t i = 0; i < n; i++) out[i] = (expression)(a, square, x[i], t[i]);                 \
  }

LAMINA_INLINE float cross_entropy(float a, bool square, float x, float t) {
  (void)square;
  const float size = x < 0 ? -x : x, soft = lamina_log1p_f32(lamina_exp_f32(-size)) + (x < 0 ? -x : 0);
  return (1 - t) * x + (1 + (a - 1) * t) * soft;
}
LAMINA_INLINE float cross_entropy_slope(float a, bool square, float x, float t) {
  (void)square;
  const float size = x < 0 ? -x : x, e = lamina_exp_f32(-size), sigmoid = (x < 0 ? 1 : e) / (1 + e);
  return (1 - t) - (1 + (a - 1) * t) * sigmoid;
}
LAMINA_INLINE float squared(float a, bool square, float x, float t) {
  (void)a, (void)square;
  return (x - t) * (x - t);
}
LAMINA_INLINE float twice(float a, bool square, float x, float t) {
  (void)a, (void)square;
  return 2 * (x - t);
}
LAMINA_INLINE float absolute(float a, bool square, float x, float t) {
  (void)a, (void)square;
  const float d = x - t;
  return d < 0 ? -d : d;
}
LAMINA_INLINE float sign(float a, bool square, float x, float t) {
  (void)a, (void)square;
  const float d = x - t, one = d > 0 ? 1 : d < 0 ? -1.0f : d;
  return one;
}
LAMINA_INLINE float huber(float a, bool square, float x, float t) {
  (void)square;
  const float d = x - t, size = d < 0 ? -d : d, far = a * (size - 0.5f * a), near = 0.5f * d * d;
  return size > a ? far : near;
}
LAMINA_INLINE float clamped(float a, bool square, float x, float t) {
  (void)square;
  const float d = x - t, low = d < -a ? -a : d;
  return low > a ? a : low;
}
LAMINA_INLINE float hinge(float a, bool square, float x, float t) {
  const float z = a - t * x, h = z <= 0 ? 0 : z;
  return square ? h * h : h;
}
LAMINA_INLINE float hinge_slope(float a, bool square, float x, float t) {
  const float z = a - t * x, s = square ? -2 * t * z : -t;
  return z <= 0 ? 0 : z > 0 ? s : z; /* NaN stays NaN */
}
DEFINE_ROW(cross_entropy_row, cross_entropy)
DEFINE_ROW(cross_entropy_slope_row, cross_entropy_slope)
DEFINE_ROW(squared_row, squared)
DEFINE_ROW(twice_row, twice)
DEFINE_ROW(absolute_row, absolute)
DEFINE_ROW(sign_row, sign)
DEFINE_ROW(huber_row, huber)
DEFINE_ROW(clamped_row, clamped)
DEFINE_ROW(hinge_row, hinge)
DEFINE_ROW(hinge_slope_row, hinge_slope)

static void positive_of(const void *attr, double *a, bool *square) {
  *a = ((const lamina_binary_cross_entropy *)attr)->positive, *square = false;
}
static void delta_of(const void *attr, double *a, bool *square) {
  *a = ((const lamina_huber *)attr)->delta, *square = false;
}
static void margin_of(const void *attr, double *a, bool *square) {
  const lamina_binary_hinge *own = attr;
  *a = own->margin, *square = own->power == 2;
}
static void nothing_of(const void *attr, double *a, bool *square) { (void)attr, *a = 0, *square = false; }

LAMINA_CLONES static void multiply(int64_t n, const float *by, float *row) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; i++) row[i] *= by[i];
}
LAMINA_CLONES static void scale(int64_t n, float by, float *row) {
  for (int64_t i = 0; i < n; i++) row[i] *= by;
}
LAMINA_CLONES static double sum_row(int64_t n, const float *row) { return lamina_loop_sum(n, row, false); }

/* n losses or slopes from element i on, times their weights, into `out`. */
static void make_row(const lamina_plan *plan, const lamina_args *args, bool slope, int64_t i, int64_t n, float *out) {
  const lamina_desc *arg = plan->problem.arg;
  const kind *own = plan->engine->user;
  float xs[LAMINA_ROW], ts[LAMINA_ROW];
  double a;
  bool square;
  own->numbers(lamina_attr(&plan->problem), &a, &square);
  const float *x = lamina_row_read(arg[X].dtype, args->p[X], i, n, xs);
  const float *t = lamina_row_read(arg[TARGET].dtype, args->p[TARGET], i, n, ts);
  (slope ? own->slope : own->loss)(n, (float)a, square, x, t, out);
  if (args->p[WEIGHTS]) multiply(n, lamina_row_read(arg[WEIGHTS].dtype, args->p[WEIGHTS], i, n, ts), out);
}

/* Every descriptor begins with its reduction. */
static lamina_reduction reduction_of(const lamina_plan *plan) {
  return (lamina_reduction) * (const int64_t *)lamina_attr(&plan->problem);
}

static lamina_status forward_prepare(lamina_plan *plan) {
  const int64_t count = lamina_desc_count(&plan->problem.arg[X]);
  plan->workspace = (size_t)((count + LAMINA_ROW - 1) / LAMINA_ROW) * sizeof(double);
  return LAMINA_OK;
}

static lamina_status forward_run(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  (void)stream;
  const lamina_desc *y = &plan->problem.arg[Y];
  const lamina_reduction reduction = reduction_of(plan);
  const int64_t count = lamina_desc_count(&plan->problem.arg[X]);
  double *const partial = workspace, total = 0;
#pragma omp parallel for schedule(static) if (count >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < count; i += LAMINA_ROW) {
    float buffer[LAMINA_ROW];
    const int64_t n = lamina_row_size(count, i);
    const bool none = reduction == LAMINA_REDUCTION_NONE;
    float *row = none ? lamina_row_for(y->dtype, args->p[Y], i, buffer) : buffer;
    make_row(plan, args, false, i, n, row);
    if (none)
      lamina_row_write(y->dtype, args->p[Y], i, n, row);
    else
      partial[i / LAMINA_ROW] = sum_row(n, row);
  }
  if (reduction == LAMINA_REDUCTION_NONE) return LAMINA_OK;
  for (int64_t r = 0; r < (count + LAMINA_ROW - 1) / LAMINA_ROW; r++) total += partial[r];
  lamina_store((lamina_dtype)y->dtype, args->p[Y], 0,
               reduction == LAMINA_REDUCTION_MEAN ? total / (double)count : total);
  return LAMINA_OK;
}

static lamina_status backward_run(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                  lamina_stream *stream) {
  (void)workspace, (void)stream;
  const lamina_desc *dx = &plan->problem.arg[DX], *dy = &plan->problem.arg[DY];
  const lamina_reduction reduction = reduction_of(plan);
  const int64_t count = lamina_desc_count(dx);
  const double first = lamina_load((lamina_dtype)dy->dtype, args->p[DY], 0);
  const float by = (float)(reduction == LAMINA_REDUCTION_MEAN ? first / (double)count : first);
#pragma omp parallel for schedule(static) if (count >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < count; i += LAMINA_ROW) {
    float buffer[LAMINA_ROW], dys[LAMINA_ROW];
    const int64_t n = lamina_row_size(count, i);
    float *row = lamina_row_for(dx->dtype, args->p[DX], i, buffer);
    make_row(plan, args, true, i, n, row);
    if (reduction == LAMINA_REDUCTION_NONE)
      multiply(n, lamina_row_read(dy->dtype, args->p[DY], i, n, dys), row);
    else
      scale(n, by, row);
    lamina_row_write(dx->dtype, args->p[DX], i, n, row);
  }
  return LAMINA_OK;
}

static const kind binary_cross_entropy_kind = {cross_entropy_row, cross_entropy_slope_row, positive_of};
static const kind mse_kind = {squared_row, twice_row, nothing_of};
static const kind l1_kind = {absolute_row, sign_row, nothing_of};
static const kind huber_kind = {huber_row, clamped_row, delta_of};
static const kind binary_hinge_kind = {hinge_row, hinge_slope_row, margin_of};

#define FORWARD(family)                                                                                                \
  LAMINA_LOOP_ENGINE(#family "/forward", LAMINA_STRIDES_SAME),                                                         \
      .user = (void *)&family##_kind, .candidates = lamina_row_candidates, .prepare = forward_prepare,                 \
      .run = forward_run
#define BACKWARD(family)                                                                                               \
  LAMINA_LOOP_ENGINE(#family "/backward", LAMINA_STRIDES_SAME),                                                        \
      .user = (void *)&family##_kind, .candidates = lamina_row_candidates, .run = backward_run
const lamina_engine lamina_cpu_loop_binary_cross_entropy_forward = {FORWARD(binary_cross_entropy)};
const lamina_engine lamina_cpu_loop_binary_cross_entropy_backward = {BACKWARD(binary_cross_entropy)};
const lamina_engine lamina_cpu_loop_mse_forward = {FORWARD(mse)};
const lamina_engine lamina_cpu_loop_mse_backward = {BACKWARD(mse)};
const lamina_engine lamina_cpu_loop_l1_forward = {FORWARD(l1)};
const lamina_engine lamina_cpu_loop_l1_backward = {BACKWARD(l1)};
const lamina_engine lamina_cpu_loop_huber_forward = {FORWARD(huber)};
const lamina_engine lamina_cpu_loop_huber_backward = {BACKWARD(huber)};
const lamina_engine lamina_cpu_loop_binary_hinge_forward = {FORWARD(binary_hinge)};
const lamina_engine lamina_cpu_loop_binary_hinge_backward = {BACKWARD(binary_hinge)};
