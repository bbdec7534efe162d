/* Activations on the CPU: one pass over memory. y may lie on x, dx on dy: elements don't meet.
 *
 * Each is a function of one element and of p, what its descriptor holds: slope, alpha, beta. Infinities would meet 0
 * where a tail is x times something that vanishes, so x is held in a range there beyond which nothing changes. */
#include "cpu/exp.h"
#include "cpu/loop.h"
#include "lamina/activation.h"

/* ---- One element ------------------------------------------------------------------------------------------------ */

LAMINA_INLINE float relu_forward(float x, float p) { return (void)p, x <= 0 ? 0 : x; } /* NaN passes */
LAMINA_INLINE float relu_backward(float y, float dy, float p) { return (void)p, y > 0 ? dy : 0; }

LAMINA_INLINE float leaky_relu_forward(float x, float p) { return x > 0 ? x : x * p; }
LAMINA_INLINE float leaky_relu_backward(float y, float dy, float p) { return y > 0 ? dy : dy * p; }

LAMINA_INLINE float sigmoid(float x) {
  const float t = lamina_exp_f32(x < 0 ? x : -x), high = 1 / (1 + t);
  return x < 0 ? t * high : high;
}
LAMINA_INLINE float sigmoid_forward(float x, float p) { return (void)p, sigmoid(x); }
LAMINA_INLINE float sigmoid_backward(float y, float dy, float p) { return (void)p, dy * y * (1 - y); }

LAMINA_INLINE float tanh_forward(float x, float p) { return (void)p, lamina_tanh_f32(x); }
LAMINA_INLINE float tanh_backward(float y, float dy, float p) { return (void)p, dy * (1 - y * y); }

LAMINA_INLINE float elu_forward(float x, float p) {
  const float low = p * lamina_expm1_f32(x);
  return x > 0 ? x : low;
}
LAMINA_INLINE float elu_backward(float y, float dy, float p) { return y > 0 ? dy : dy * (y + p); }

static const float selu_scale = 1.0507009873554805f, selu_low = 1.7580993408473768f; /* scale, scale * alpha */
LAMINA_INLINE float selu_forward(float x, float p) {
  const float low = selu_low * lamina_expm1_f32(x);
  return (void)p, x > 0 ? selu_scale * x : low;
}
LAMINA_INLINE float selu_backward(float y, float dy, float p) {
  return (void)p, dy * (y > 0 ? selu_scale : y + selu_low);
}

LAMINA_INLINE float at_least(float x, float low) { return x < low ? low : x; } /* NaN passes */
LAMINA_INLINE float at_most(float x, float high) { return x > high ? high : x; }

/* exp(-x^2/2) is 0 from 14.5 on, and 1 + erf(-x/sqrt(2)) from 5.7 on. */
enum { GELU_RANGE = 16 };
static const float sqrt_half = 0.70710678f, gelu_k = 0.79788456f, gelu_cube = 0.044715f;
LAMINA_INLINE float gelu_erf_forward(float x, float p) {
  x = at_least(x, -GELU_RANGE);
  return (void)p, 0.5f * x * (1 + lamina_erf_f32(x * sqrt_half));
}
LAMINA_INLINE float gelu_erf_backward(float x, float dy, float p) {
  x = at_most(at_least(x, -GELU_RANGE), GELU_RANGE);
  const float density = 0.39894228f * lamina_exp_f32(-0.5f * x * x);
  return (void)p, dy * (0.5f * (1 + lamina_erf_f32(x * sqrt_half)) + x * density);
}
LAMINA_INLINE float gelu_tanh_forward(float x, float p) {
  x = at_least(x, -GELU_RANGE);
  return (void)p, 0.5f * x * (1 + lamina_tanh_f32(gelu_k * (x + gelu_cube * x * x * x)));
}
LAMINA_INLINE float gelu_tanh_backward(float x, float dy, float p) {
  x = at_most(at_least(x, -GELU_RANGE), GELU_RANGE);
  const float t = lamina_tanh_f32(gelu_k * (x + gelu_cube * x * x * x));
  return (void)p, dy * (0.5f * (1 + t) + 0.5f * x * (1 - t * t) * (gelu_k * (1 + 3 * gelu_cube * x * x)));
}

enum { SILU_RANGE = 110 }; /* exp(-x) is 0 there */
LAMINA_INLINE float silu_forward(float x, float p) {
  x = at_least(x, -SILU_RANGE);
  return (void)p, x * sigmoid(x);
}
LAMINA_INLINE float silu_backward(float x, float dy, float p) {
  x = at_most(at_least(x, -SILU_RANGE), SILU_RANGE);
  return (void)p, dy * (sigmoid(x) * (1 + x * sigmoid(-x)));
}

LAMINA_INLINE float softplus_forward(float x, float p) {
  const float z = p * x, tail = lamina_log1p_f32(lamina_exp_f32(z < 0 ? z : -z)) / p;
  return x > 0 ? x + tail : tail;
}
LAMINA_INLINE float softplus_backward(float y, float dy, float p) { return -dy * lamina_expm1_f32(-p * y); }

LAMINA_INLINE float hard_sigmoid_forward(float x, float p) { return (void)p, at_most(at_least(x + 3, 0), 6) / 6; }
LAMINA_INLINE float hard_sigmoid_backward(float x, float dy, float p) { return (void)p, x > -3 && x < 3 ? dy / 6 : 0; }

LAMINA_INLINE float softsign_forward(float x, float p) {
  const float size = x < 0 ? -x : x, r = 1 / (1 + size), far = x < 0 ? r - 1 : 1 - r;
  return (void)p, size > 1 ? far : x * r;
}
LAMINA_INLINE float softsign_backward(float y, float dy, float p) {
  const float left = 1 - (y < 0 ? -y : y);
  return (void)p, dy * (left * left);
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

typedef void forward_row(int64_t n, const void *x, void *y, float p);
typedef void backward_row(int64_t n, const void *saved, const void *dy, void *dx, float p); /* saved: x or y */

#define ROWS(name, type, bf16)                                                                                         \
  LAMINA_CLONES static void name##_forward_##type(int64_t n, const void *x, void *y, float p) {                        \
    _Pragma("GCC ivdep") for (int64_t i = 0; i < n; i++)                                                               \
        lamina_loop_set(y, i, name##_forward(lamina_loop_get(x, i, bf16), p), bf16);                                   \
  }                                                                                                                    \
  LAMINA_CLONES static void name##_backward_##type(int64_t n, const void *saved, const void *dy, void *dx, float p) {  \
    _Pragma("GCC ivdep") for (int64_t i = 0; i < n; i++) lamina_loop_set(                                              \
        dx, i, name##_backward(lamina_loop_get(saved, i, bf16), lamina_loop_get(dy, i, bf16), p), bf16);               \
  }
#define FAMILY_ROWS(name)                                                                                              \
  ROWS(name, f32, false)                                                                                               \
  ROWS(name, bf16, true)

FAMILY_ROWS(relu)
FAMILY_ROWS(leaky_relu)
FAMILY_ROWS(sigmoid)
FAMILY_ROWS(tanh)
FAMILY_ROWS(elu)
FAMILY_ROWS(selu)
FAMILY_ROWS(gelu_erf)
FAMILY_ROWS(gelu_tanh)
FAMILY_ROWS(silu)
FAMILY_ROWS(softplus)
FAMILY_ROWS(hard_sigmoid)
FAMILY_ROWS(softsign)

/* ---- Engines ---------------------------------------------------------------------------------------------------- */

enum { CHUNK = 16384 };

static lamina_status run_forward(const lamina_plan *plan, const lamina_args *args, forward_row *const row[2], float p) {
  const int64_t n = lamina_desc_count(&plan->problem.arg[0]);
  const bool bf16 = lamina_loop_is_bf16(plan, 0);
#pragma omp parallel for schedule(static) if (n >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < n; i += CHUNK)
    row[bf16](n - i < CHUNK ? n - i : CHUNK, lamina_loop_at(args->p[0], i, bf16), lamina_loop_to(args->p[1], i, bf16),
              p);
  return LAMINA_OK;
}

static lamina_status run_backward(const lamina_plan *plan, const lamina_args *args, backward_row *const row[2],
                                  float p) {
  const int64_t n = lamina_desc_count(&plan->problem.arg[0]);
  const bool bf16 = lamina_loop_is_bf16(plan, 0);
#pragma omp parallel for schedule(static) if (n >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < n; i += CHUNK)
    row[bf16](n - i < CHUNK ? n - i : CHUNK, lamina_loop_at(args->p[0], i, bf16), lamina_loop_at(args->p[1], i, bf16),
              lamina_loop_to(args->p[2], i, bf16), p);
  return LAMINA_OK;
}

/* How a family's pass runs: the rows, for f32 and bf16, of each form that it has. */
#define RUN(family, pass, form, p, ...)                                                                                \
  static lamina_status run_##family##_##pass(const lamina_plan *plan, const lamina_args *args, void *workspace,        \
                                             lamina_stream *stream) {                                                  \
    static pass##_row *const rows[][2] = {__VA_ARGS__};                                                                \
    (void)workspace, (void)stream;                                                                                     \
    return run_##pass(plan, args, rows[form], (float)(p));                                                             \
  }

#define TYPES(name, pass)                                                                                              \
  { name##_##pass##_f32, name##_##pass##_bf16 }
#define RUNS(name, p)                                                                                                  \
  RUN(name, forward, 0, p, TYPES(name, forward))                                                                       \
  RUN(name, backward, 0, p, TYPES(name, backward))
#define ATTR(family) ((const lamina_##family *)lamina_attr(&plan->problem))

RUNS(relu, 0)
RUNS(leaky_relu, ATTR(leaky_relu)->slope)
RUNS(sigmoid, 0)
RUNS(tanh, 0)
RUNS(elu, ATTR(elu)->alpha)
RUNS(selu, 0)
RUN(gelu, forward, ATTR(gelu)->form, 0, TYPES(gelu_erf, forward), TYPES(gelu_tanh, forward))
RUN(gelu, backward, ATTR(gelu)->form, 0, TYPES(gelu_erf, backward), TYPES(gelu_tanh, backward))
RUNS(silu, 0)
RUNS(softplus, ATTR(softplus)->beta)
RUNS(hard_sigmoid, 0)
RUNS(softsign, 0)

#define ENGINE(family, pass)                                                                                           \
  LAMINA_LOOP_ENGINE(#family "/" #pass, LAMINA_STRIDES_SAME), .candidates = lamina_loop_candidates,                    \
                                                              .run = run_##family##_##pass
const lamina_engine lamina_cpu_loop_relu_forward = {ENGINE(relu, forward)};
const lamina_engine lamina_cpu_loop_relu_backward = {ENGINE(relu, backward)};
const lamina_engine lamina_cpu_loop_leaky_relu_forward = {ENGINE(leaky_relu, forward)};
const lamina_engine lamina_cpu_loop_leaky_relu_backward = {ENGINE(leaky_relu, backward)};
const lamina_engine lamina_cpu_loop_sigmoid_forward = {ENGINE(sigmoid, forward)};
const lamina_engine lamina_cpu_loop_sigmoid_backward = {ENGINE(sigmoid, backward)};
const lamina_engine lamina_cpu_loop_tanh_forward = {ENGINE(tanh, forward)};
const lamina_engine lamina_cpu_loop_tanh_backward = {ENGINE(tanh, backward)};
const lamina_engine lamina_cpu_loop_elu_forward = {ENGINE(elu, forward)};
const lamina_engine lamina_cpu_loop_elu_backward = {ENGINE(elu, backward)};
const lamina_engine lamina_cpu_loop_selu_forward = {ENGINE(selu, forward)};
const lamina_engine lamina_cpu_loop_selu_backward = {ENGINE(selu, backward)};
const lamina_engine lamina_cpu_loop_gelu_forward = {ENGINE(gelu, forward)};
const lamina_engine lamina_cpu_loop_gelu_backward = {ENGINE(gelu, backward)};
const lamina_engine lamina_cpu_loop_silu_forward = {ENGINE(silu, forward)};
const lamina_engine lamina_cpu_loop_silu_backward = {ENGINE(silu, backward)};
const lamina_engine lamina_cpu_loop_softplus_forward = {ENGINE(softplus, forward)};
const lamina_engine lamina_cpu_loop_softplus_backward = {ENGINE(softplus, backward)};
const lamina_engine lamina_cpu_loop_hard_sigmoid_forward = {ENGINE(hard_sigmoid, forward)};
const lamina_engine lamina_cpu_loop_hard_sigmoid_backward = {ENGINE(hard_sigmoid, backward)};
const lamina_engine lamina_cpu_loop_softsign_forward = {ENGINE(softsign, forward)};
const lamina_engine lamina_cpu_loop_softsign_backward = {ENGINE(softsign, backward)};
