/* ReLU, sigmoid and tanh on the CPU: one pass over memory. y may lie on x, dx on dy: elements don't meet. */
#include "cpu/exp.h"
#include "cpu/loop.h"

/* ---- One element ------------------------------------------------------------------------------------------------ */

LAMINA_INLINE float relu_forward(float x) { return x <= 0 ? 0 : x; } /* NaN passes */
LAMINA_INLINE float relu_backward(float y, float dy) { return y > 0 ? dy : 0; }

LAMINA_INLINE float sigmoid_forward(float x) {
  const float t = lamina_exp_f32(x < 0 ? x : -x), high = 1 / (1 + t);
  return x < 0 ? t * high : high;
}
LAMINA_INLINE float sigmoid_backward(float y, float dy) { return dy * y * (1 - y); }

/* Near 0 the odd polynomial of Cephes (tanhf.c, S. Moshier), beyond 1 - 2 / (exp(2|x|) + 1). */
LAMINA_INLINE float tanh_forward(float x) {
  const float size = x < 0 ? -x : x, z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const float near = p * z * x + x, t = lamina_exp_f32(-2 * size);
  const float far = (1 - t) / (1 + t), signed_far = x < 0 ? -far : far;
  return size < 0.625f ? near : signed_far;
}
LAMINA_INLINE float tanh_backward(float y, float dy) { return dy * (1 - y * y); }

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

typedef void forward_row(int64_t n, const void *x, void *y);
typedef void backward_row(int64_t n, const void *y, const void *dy, void *dx);

#define ROWS(name, type, bf16)                                                                                         \
  LAMINA_CLONES static void name##_forward_##type(int64_t n, const void *x, void *y) {                                 \
    _Pragma("GCC ivdep") for (int64_t i = 0; i < n; i++)                                                               \
        lamina_loop_set(y, i, name##_forward(lamina_loop_get(x, i, bf16)), bf16);                                      \
  }                                                                                                                    \
  LAMINA_CLONES static void name##_backward_##type(int64_t n, const void *y, const void *dy, void *dx) {               \
    _Pragma("GCC ivdep") for (int64_t i = 0; i < n; i++)                                                               \
        lamina_loop_set(dx, i, name##_backward(lamina_loop_get(y, i, bf16), lamina_loop_get(dy, i, bf16)), bf16);      \
  }

/* ---- Engines ---------------------------------------------------------------------------------------------------- */

enum { CHUNK = 16384 };

static lamina_status run_forward(const lamina_plan *plan, const lamina_args *args, forward_row *const row[2]) {
  const int64_t n = lamina_desc_count(&plan->problem.arg[0]);
  const bool bf16 = lamina_loop_is_bf16(plan, 0);
#pragma omp parallel for schedule(static) if (n >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < n; i += CHUNK)
    row[bf16](n - i < CHUNK ? n - i : CHUNK, lamina_loop_at(args->p[0], i, bf16), lamina_loop_to(args->p[1], i, bf16));
  return LAMINA_OK;
}

static lamina_status run_backward(const lamina_plan *plan, const lamina_args *args, backward_row *const row[2]) {
  const int64_t n = lamina_desc_count(&plan->problem.arg[0]);
  const bool bf16 = lamina_loop_is_bf16(plan, 0);
#pragma omp parallel for schedule(static) if (n >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < n; i += CHUNK)
    row[bf16](n - i < CHUNK ? n - i : CHUNK, lamina_loop_at(args->p[0], i, bf16), lamina_loop_at(args->p[1], i, bf16),
              lamina_loop_to(args->p[2], i, bf16));
  return LAMINA_OK;
}

#define ENGINE(name, pass)                                                                                             \
  static lamina_status run_##name##_##pass(const lamina_plan *plan, const lamina_args *args, void *workspace,          \
                                           lamina_stream *stream) {                                                    \
    (void)workspace, (void)stream;                                                                                     \
    return run_##pass(plan, args, (pass##_row *const[]){name##_##pass##_f32, name##_##pass##_bf16});                   \
  }                                                                                                                    \
  const lamina_engine lamina_cpu_loop_##name##_##pass = {                                                              \
      LAMINA_LOOP_ENGINE(#name "/" #pass, LAMINA_STRIDES_SAME),                                                        \
      .candidates = lamina_loop_candidates,                                                                            \
      .run = run_##name##_##pass,                                                                                      \
  };

#define FAMILY(name)                                                                                                   \
  ROWS(name, f32, false)                                                                                               \
  ROWS(name, bf16, true)                                                                                               \
  ENGINE(name, forward)                                                                                                \
  ENGINE(name, backward)

FAMILY(relu)
FAMILY(sigmoid)
FAMILY(tanh)
