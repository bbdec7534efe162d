/* Casts on the CPU: one pass over memory, row by row through the L1 cache.
 *
 *   between f32, bf16 and f16, and from u8     by way of f32, vectorised
 *   all others                                 by way of f64, which holds every number but those of i64 beyond 2^53 */
#include <math.h>

#include "cpu/rows.h"

/* ---- By way of f32 ---------------------------------------------------------------------------------------------- */

LAMINA_CLONES static void read_bytes(int64_t n, const uint8_t *restrict x, float *restrict y) {
  for (int64_t i = 0; i < n; i++) y[i] = (float)x[i];
}

static void cast_f32(int32_t from, const void *x, int32_t to, void *y, int64_t i, int64_t n) {
  float buffer[LAMINA_ROW], *const between = lamina_row_for(to, y, i, buffer); /* of f32 there is none */
  const float *row = between;
  if (from == LAMINA_U8)
    read_bytes(n, (const uint8_t *)x + i, between);
  else
    row = lamina_row_read(from, x, i, n, between);
  lamina_row_write(to, y, i, n, row);
}

/* ---- By way of f64 ---------------------------------------------------------------------------------------------- */

LAMINA_INLINE int64_t nearest(double v, double least, double most, int64_t highest) {
  const double r = nearbyint(v); /* NaN fails both comparisons, and the third */
  return r <= least ? (int64_t)least : r >= most ? highest : r == r ? (int64_t)r : 0;
}

#define ROWS(name, type, value)                                                                                        \
  LAMINA_CLONES static void read_##name(int64_t n, const void *from, double *restrict to) {                            \
    const type *restrict x = from;                                                                                     \
    for (int64_t i = 0; i < n; i++) to[i] = (double)x[i];                                                              \
  }                                                                                                                    \
  LAMINA_CLONES static void write_##name(int64_t n, const double *restrict from, void *to) {                           \
    type *restrict y = to;                                                                                             \
    for (int64_t i = 0; i < n; i++) {                                                                                  \
      const double v = from[i];                                                                                        \
      y[i] = (type)(value);                                                                                            \
    }                                                                                                                  \
  }
ROWS(f64, double, v)
ROWS(f32, float, v)
ROWS(i64, int64_t, nearest(v, (double)INT64_MIN, 0x1p63, INT64_MAX))
ROWS(i32, int32_t, nearest(v, INT32_MIN, INT32_MAX, INT32_MAX))
ROWS(u8, uint8_t, nearest(v, 0, UINT8_MAX, UINT8_MAX))

static void read_f64_row(int32_t dtype, const void *x, int64_t i, int64_t n, double *to) {
  const char *at = (const char *)x + i * (int64_t)lamina_dtype_size((lamina_dtype)dtype);
  switch (dtype) {
  case LAMINA_F64: read_f64(n, at, to); break;
  case LAMINA_F32: read_f32(n, at, to); break;
  case LAMINA_I64: read_i64(n, at, to); break;
  case LAMINA_I32: read_i32(n, at, to); break;
  case LAMINA_U8: read_u8(n, at, to); break;
  default: {
    float buffer[LAMINA_ROW];
    read_f32(n, lamina_row_read(dtype, x, i, n, buffer), to);
  }
  }
}

static void write_f64_row(int32_t dtype, void *y, int64_t i, int64_t n, const double *from) {
  char *at = (char *)y + i * (int64_t)lamina_dtype_size((lamina_dtype)dtype);
  switch (dtype) {
  case LAMINA_F64: write_f64(n, from, at); break;
  case LAMINA_F32: write_f32(n, from, at); break;
  case LAMINA_I64: write_i64(n, from, at); break;
  case LAMINA_I32: write_i32(n, from, at); break;
  case LAMINA_U8: write_u8(n, from, at); break;
  default: /* by way of f32 they would be rounded twice */
    for (int64_t k = 0; k < n; k++) lamina_store((lamina_dtype)dtype, at, k, from[k]);
  }
}

/* ---- Engines ---------------------------------------------------------------------------------------------------- */

static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  (void)engine;
  lamina_row_offer(device, problem, each, context);
}

/* Both passes. */
static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  (void)workspace, (void)stream;
  const int32_t from = plan->problem.arg[0].dtype, to = plan->problem.arg[1].dtype;
  const int64_t count = lamina_desc_count(&plan->problem.arg[0]);
  const bool short_way = lamina_row_type(to) && (lamina_row_type(from) || from == LAMINA_U8);
#pragma omp parallel for schedule(static) if (count >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < count; i += LAMINA_ROW) {
    const int64_t n = lamina_row_size(count, i);
    if (short_way) {
      cast_f32(from, args->p[0], to, args->p[1], i, n);
    } else {
      double buffer[LAMINA_ROW];
      read_f64_row(from, args->p[0], i, n, buffer);
      write_f64_row(to, args->p[1], i, n, buffer);
    }
  }
  return LAMINA_OK;
}

#define ENGINE(pass) LAMINA_LOOP_ENGINE("cast/" #pass, LAMINA_STRIDES_SAME), .candidates = candidates, .run = run
const lamina_engine lamina_cpu_loop_cast_forward = {ENGINE(forward)};
const lamina_engine lamina_cpu_loop_cast_backward = {ENGINE(backward)};
