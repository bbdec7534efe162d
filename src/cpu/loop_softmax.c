/* Softmax and log-softmax on the CPU, along any axis of [outer, n, inner].
 *
 * inner = 1: rows lie in one piece; sums along them are 16 running sums.
 * inner > 1: a strip of neighbouring rows at a time, side by side.
 *
 * y may lie on x and dx on dy: an element is read before it is written, and what a whole row must give first has been
 * taken from it by then. Exponentials of f32 are kept in y between the sum and the division; of bf16 they would be
 * rounded, so they are computed again. */
#include <math.h>

#include "cpu/exp.h"
#include "cpu/loop.h"
#include "lamina/softmax.h"

enum { LANES = 16, BLOCK = 4096, STRIP = 64 }; /* running sums; elements that they add up in f32; rows side by side */

typedef struct shape {
  int64_t outer, n, inner;
} shape;

static shape shape_of(const lamina_problem *p) {
  const lamina_desc *desc = &p->arg[0]; /* all arguments are alike */
  const lamina_softmax *softmax = (const void *)p->attr;
  shape s = {1, desc->dims[softmax->axis], 1};
  for (int d = 0; d < desc->rank; d++)
    if (d < softmax->axis)
      s.outer *= desc->dims[d];
    else if (d > softmax->axis)
      s.inner *= desc->dims[d];
  return s;
}

/* A NaN may be passed over: it makes the sum of exponentials NaN, and with that the row. */
LAMINA_INLINE float larger(float max, float x) { return x > max ? x : max; }

/* ---- Rows in one piece ------------------------------------------------------------------------------------------ */

LAMINA_INLINE float row_max(int64_t n, const void *x, bool bf16) {
  float lane[LANES], max = -INFINITY;
  int64_t i = 0;
  for (int j = 0; j < LANES; j++) lane[j] = -INFINITY;
  for (; i + LANES <= n; i += LANES)
    for (int j = 0; j < LANES; j++) lane[j] = larger(lane[j], lamina_loop_get(x, i + j, bf16));
  for (; i < n; i++) max = larger(max, lamina_loop_get(x, i, bf16));
  for (int j = 0; j < LANES; j++) max = larger(max, lane[j]);
  return max;
}

/* The sum of exp(x - max); `e` receives the exponentials unless it is NULL. */
LAMINA_INLINE double row_exp(int64_t n, const void *x, float max, float *e, bool bf16) {
  double total = 0;
  for (int64_t i = 0; i < n;) {
    const int64_t end = n - i < BLOCK ? n : i + BLOCK;
    float lane[LANES] = {0}, rest[LANES];
    for (; i + LANES <= end; i += LANES)
#pragma GCC ivdep
      for (int j = 0; j < LANES; j++) {
        const float v = lamina_exp_f32(lamina_loop_get(x, i + j, bf16) - max);
        lane[j] += v;
        if (e) e[i + j] = v;
      }
    const int left = (int)(end - i);
    for (int j = 0; j < LANES; j++) rest[j] = -INFINITY;
    for (int j = 0; j < left; j++) rest[j] = lamina_loop_get(x, i + j, bf16);
    for (int j = 0; j < LANES; j++) rest[j] = lamina_exp_f32(rest[j] - max);
    for (int j = 0; j < left; j++) {
      lane[j] += rest[j];
      if (e) e[i + j] = rest[j];
    }
    for (int j = 0; j < LANES; j++) total += (double)lane[j];
    i = end;
  }
  return total;
}

LAMINA_INLINE void forward_row(int64_t n, const void *x, void *y, bool bf16, bool logarithm) {
  const float max = row_max(n, x, bf16);
  const double sum = row_exp(n, x, max, bf16 || logarithm ? NULL : y, bf16);
  const float less = (float)log(sum), over = (float)sum;
#pragma GCC ivdep
  for (int64_t i = 0; i < n; i++) {
    const float d = lamina_loop_get(bf16 || logarithm ? x : y, i, bf16) - (bf16 || logarithm ? max : 0);
    lamina_loop_set(y, i, logarithm ? d - less : (bf16 ? lamina_exp_f32(d) : d) / over, bf16);
  }
}

/* The sum of y * dy; of dy alone for the logarithm. */
LAMINA_INLINE double row_dot(int64_t n, const void *y, const void *dy, bool bf16, bool logarithm) {
  double total = 0;
  for (int64_t i = 0; i < n;) {
    const int64_t end = n - i < BLOCK ? n : i + BLOCK;
    float lane[LANES] = {0};
    for (; i + LANES <= end; i += LANES)
      for (int j = 0; j < LANES; j++)
        lane[j] += lamina_loop_get(dy, i + j, bf16) * (logarithm ? 1 : lamina_loop_get(y, i + j, bf16));
    for (int j = 0; i < end; i++, j++)
      lane[j] += lamina_loop_get(dy, i, bf16) * (logarithm ? 1 : lamina_loop_get(y, i, bf16));
    for (int j = 0; j < LANES; j++) total += (double)lane[j];
  }
  return total;
}

LAMINA_INLINE float gradient(float y, float dy, float dot, bool logarithm) {
  return logarithm ? dy - lamina_exp_f32(y) * dot : y * (dy - dot);
}

LAMINA_INLINE void backward_row(int64_t n, const void *y, const void *dy, void *dx, bool bf16, bool logarithm) {
  const float dot = (float)row_dot(n, y, dy, bf16, logarithm);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; i++)
    lamina_loop_set(dx, i, gradient(lamina_loop_get(y, i, bf16), lamina_loop_get(dy, i, bf16), dot, logarithm), bf16);
}

/* ---- Rows side by side: `width` of them, elements `step` apart --------------------------------------------------- */

LAMINA_INLINE void forward_strip(int64_t n, int64_t step, int64_t width, const void *x, void *y, bool bf16,
                                 bool logarithm) {
  float max[STRIP], sum[STRIP];
  for (int64_t j = 0; j < width; j++) max[j] = -INFINITY, sum[j] = 0;
  for (int64_t i = 0; i < n * step; i += step)
    for (int64_t j = 0; j < width; j++) max[j] = larger(max[j], lamina_loop_get(x, i + j, bf16));
  for (int64_t i = 0; i < n * step; i += step)
#pragma GCC ivdep
    for (int64_t j = 0; j < width; j++) {
      const float e = lamina_exp_f32(lamina_loop_get(x, i + j, bf16) - max[j]);
      sum[j] += e;
      if (!bf16 && !logarithm) lamina_loop_set(y, i + j, e, bf16);
    }
  for (int64_t j = 0; j < width && logarithm; j++) sum[j] = logf(sum[j]);
  for (int64_t i = 0; i < n * step; i += step)
#pragma GCC ivdep
    for (int64_t j = 0; j < width; j++) {
      if (!bf16 && !logarithm) {
        lamina_loop_set(y, i + j, lamina_loop_get(y, i + j, bf16) / sum[j], bf16);
        continue;
      }
      const float d = lamina_loop_get(x, i + j, bf16) - max[j];
      lamina_loop_set(y, i + j, logarithm ? d - sum[j] : lamina_exp_f32(d) / sum[j], bf16);
    }
}

LAMINA_INLINE void backward_strip(int64_t n, int64_t step, int64_t width, const void *y, const void *dy, void *dx,
                                  bool bf16, bool logarithm) {
  float dot[STRIP];
  for (int64_t j = 0; j < width; j++) dot[j] = 0;
  for (int64_t i = 0; i < n * step; i += step)
    for (int64_t j = 0; j < width; j++)
      dot[j] += lamina_loop_get(dy, i + j, bf16) * (logarithm ? 1 : lamina_loop_get(y, i + j, bf16));
  for (int64_t i = 0; i < n * step; i += step)
#pragma GCC ivdep
    for (int64_t j = 0; j < width; j++)
      lamina_loop_set(dx, i + j,
                      gradient(lamina_loop_get(y, i + j, bf16), lamina_loop_get(dy, i + j, bf16), dot[j], logarithm),
                      bf16);
}

/* ---- Engines ---------------------------------------------------------------------------------------------------- */

typedef void forward_task(const shape *s, int64_t width, const void *x, void *y);
typedef void backward_task(const shape *s, int64_t width, const void *y, const void *dy, void *dx);

#define TASKS(name, type, bf16, logarithm)                                                                             \
  LAMINA_CLONES static void name##_forward_##type(const shape *s, int64_t width, const void *x, void *y) {             \
    if (s->inner == 1)                                                                                                 \
      forward_row(s->n, x, y, bf16, logarithm);                                                                        \
    else                                                                                                               \
      forward_strip(s->n, s->inner, width, x, y, bf16, logarithm);                                                     \
  }                                                                                                                    \
  LAMINA_CLONES static void name##_backward_##type(const shape *s, int64_t width, const void *y, const void *dy,       \
                                                   void *dx) {                                                         \
    if (s->inner == 1)                                                                                                 \
      backward_row(s->n, y, dy, dx, bf16, logarithm);                                                                  \
    else                                                                                                               \
      backward_strip(s->n, s->inner, width, y, dy, dx, bf16, logarithm);                                               \
  }

/* Where task `t` of s starts, and how many rows it has. */
static int64_t task_at(const shape *s, int64_t t, int64_t *width) {
  const int64_t strips = (s->inner + STRIP - 1) / STRIP, first = t % strips * STRIP;
  *width = s->inner - first < STRIP ? s->inner - first : STRIP;
  return t / strips * s->n * s->inner + first;
}

static lamina_status run_forward(const lamina_plan *plan, const lamina_args *args, forward_task *const task[2]) {
  const shape s = shape_of(&plan->problem);
  const bool bf16 = lamina_loop_is_bf16(plan, 0);
  const int64_t tasks = s.outer * ((s.inner + STRIP - 1) / STRIP);
#pragma omp parallel for schedule(static) if (tasks > 1 && s.outer * s.n * s.inner >= LAMINA_LOOP_PARALLEL / 4)
  for (int64_t t = 0; t < tasks; t++) {
    int64_t width;
    const int64_t at = task_at(&s, t, &width);
    task[bf16](&s, width, lamina_loop_at(args->p[0], at, bf16), lamina_loop_to(args->p[1], at, bf16));
  }
  return LAMINA_OK;
}

static lamina_status run_backward(const lamina_plan *plan, const lamina_args *args, backward_task *const task[2]) {
  const shape s = shape_of(&plan->problem);
  const bool bf16 = lamina_loop_is_bf16(plan, 0);
  const int64_t tasks = s.outer * ((s.inner + STRIP - 1) / STRIP);
#pragma omp parallel for schedule(static) if (tasks > 1 && s.outer * s.n * s.inner >= LAMINA_LOOP_PARALLEL / 4)
  for (int64_t t = 0; t < tasks; t++) {
    int64_t width;
    const int64_t at = task_at(&s, t, &width);
    task[bf16](&s, width, lamina_loop_at(args->p[0], at, bf16), lamina_loop_at(args->p[1], at, bf16),
               lamina_loop_to(args->p[2], at, bf16));
  }
  return LAMINA_OK;
}

#define RUN(name, pass)                                                                                                \
  static lamina_status run_##name##_##pass(const lamina_plan *plan, const lamina_args *args, void *workspace,          \
                                           lamina_stream *stream) {                                                    \
    (void)workspace, (void)stream;                                                                                     \
    return run_##pass(plan, args, (pass##_task *const[]){name##_##pass##_f32, name##_##pass##_bf16});                  \
  }

#define FAMILY(name, logarithm)                                                                                        \
  TASKS(name, f32, false, logarithm)                                                                                   \
  TASKS(name, bf16, true, logarithm)                                                                                   \
  RUN(name, forward)                                                                                                   \
  RUN(name, backward)

FAMILY(softmax, false)
FAMILY(log_softmax, true)

#define ENGINE(name, pass)                                                                                             \
  LAMINA_LOOP_ENGINE(#name "/" #pass, LAMINA_STRIDES_DENSE), .candidates = lamina_loop_candidates,                     \
                                                             .run = run_##name##_##pass
const lamina_engine lamina_cpu_loop_softmax_forward = {ENGINE(softmax, forward)};
const lamina_engine lamina_cpu_loop_softmax_backward = {ENGINE(softmax, backward)};
const lamina_engine lamina_cpu_loop_log_softmax_forward = {ENGINE(log_softmax, forward)};
const lamina_engine lamina_cpu_loop_log_softmax_backward = {ENGINE(log_softmax, backward)};
