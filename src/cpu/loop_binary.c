/* Sums and products of two tensors on the CPU, the second of which may repeat along some axes: then its gradient is a
 * sum over these. One pass over memory for each output, which may lie on the first one: elements don't meet. */
#include "core/problem.h"
#include "cpu/reduce.h"
#include "lamina/arithmetic.h"

/* The axes of `large`, those along which `small` repeats being reduced. Both are dense, or their elements pair up in the
 * order in which they lie, or small has but one. */
static lamina_reduction repeats(const lamina_desc *large, const lamina_desc *small) {
  const int64_t count = lamina_desc_count(large), ones = lamina_desc_count(small);
  int64_t dims[LAMINA_MAX_RANK];
  unsigned axes = 0;
  if (ones == count || ones == 1) return lamina_reduction_of(1, &count, ones != count);
  lamina_broadcast_dims(large, small, dims);
  for (int d = 0; d < large->rank; d++)
    if (dims[d] != large->dims[d]) axes |= 1u << d;
  return lamina_reduction_of(large->rank, large->dims, axes);
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

#define ROWS(name, op)                                                                                                 \
  LAMINA_CLONES static void name##_row(int64_t n, const float *a, const float *b, float *y) {                          \
    _Pragma("GCC ivdep") for (int64_t i = 0; i < n; i++) y[i] = a[i] op b[i];                                          \
  }                                                                                                                    \
  LAMINA_CLONES static void name##_one(int64_t n, const float *a, float b, float *y) {                                 \
    _Pragma("GCC ivdep") for (int64_t i = 0; i < n; i++) y[i] = a[i] op b;                                             \
  }
ROWS(add, +)
ROWS(multiply, *)

typedef struct binary {
  void (*row)(int64_t n, const float *a, const float *b, float *y);
  void (*one)(int64_t n, const float *a, float b, float *y);
} binary;
static const binary add = {add_row, add_one}, multiply = {multiply_row, multiply_one};

/* y = a op b, b repeating as it may. */
static void combine(const binary *op, const lamina_desc *ad, const void *a, const lamina_desc *bd, const void *b,
                    const lamina_desc *yd, void *y) {
  const lamina_reduction r = repeats(ad, bd);
  const int64_t count = lamina_desc_count(ad), cuts = (r.length + LAMINA_ROW - 1) / LAMINA_ROW;
  const int64_t pieces = count / r.length * cuts;
#pragma omp parallel for schedule(static) if (count >= LAMINA_LOOP_PARALLEL)
  for (int64_t p = 0; p < pieces; p++) {
    float as[LAMINA_ROW], bs[LAMINA_ROW], ys[LAMINA_ROW];
    const int64_t first = p % cuts * LAMINA_ROW, n = lamina_row_size(r.length, first);
    const int64_t i = p / cuts * r.length + first, at = lamina_reduction_row(&r, p / cuts);
    const float *from = lamina_row_read(ad->dtype, a, i, n, as);
    float *to = lamina_row_for(yd->dtype, y, i, ys);
    if (r.reduced[r.groups - 1])
      op->one(n, from, *lamina_row_read(bd->dtype, b, at, 1, bs), to);
    else
      op->row(n, from, lamina_row_read(bd->dtype, b, at + first, n, bs), to);
    lamina_row_write(yd->dtype, y, i, n, to);
  }
}

/* ---- Sums ------------------------------------------------------------------------------------------------------- */

static lamina_status add_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  enum { A, B, Y };
  (void)workspace, (void)stream;
  const lamina_desc *arg = plan->problem.arg;
  combine(&add, &arg[A], args->p[A], &arg[B], args->p[B], &arg[Y], args->p[Y]);
  return LAMINA_OK;
}

/* dy, and for the gradient of a factor what it was multiplied with. */
typedef struct terms {
  const void *dy, *a;
  int32_t dy_type, a_type;
} terms;

static const float *read_dy(const void *context, int64_t i, int64_t n, float *buffer) {
  const terms *t = context;
  return lamina_row_read(t->dy_type, t->dy, i, n, buffer);
}

static const float *read_products(const void *context, int64_t i, int64_t n, float *buffer) {
  const terms *t = context;
  float dys[LAMINA_ROW], as[LAMINA_ROW];
  multiply_row(n, lamina_row_read(t->dy_type, t->dy, i, n, dys), lamina_row_read(t->a_type, t->a, i, n, as), buffer);
  return buffer;
}

/* dx = dy in another type. */
static void convert(const lamina_desc *dyd, const void *dy, const lamina_desc *dxd, void *dx) {
  const int64_t count = lamina_desc_count(dyd);
#pragma omp parallel for schedule(static) if (count >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < count; i += LAMINA_ROW) {
    float dys[LAMINA_ROW];
    const int64_t n = lamina_row_size(count, i);
    lamina_row_write(dxd->dtype, dx, i, n, lamina_row_read(dyd->dtype, dy, i, n, dys));
  }
}

static lamina_status prepare_sum(lamina_plan *plan, int dy, int db) {
  const lamina_desc *arg = plan->problem.arg;
  if (!arg[db].dtype || lamina_desc_count(&arg[db]) == lamina_desc_count(&arg[dy])) return LAMINA_OK;
  const lamina_reduction r = repeats(&arg[dy], &arg[db]);
  plan->workspace = lamina_reduction_workspace(&r);
  return LAMINA_OK;
}

static lamina_status add_backward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                  lamina_stream *stream) {
  enum { DY, DA, DB };
  (void)stream;
  const lamina_desc *arg = plan->problem.arg;
  const bool alike = lamina_desc_count(&arg[DB]) == lamina_desc_count(&arg[DY]);
  if (arg[DB].dtype && alike) convert(&arg[DY], args->p[DY], &arg[DB], args->p[DB]);
  if (arg[DB].dtype && !alike) {
    const lamina_reduction r = repeats(&arg[DY], &arg[DB]);
    const terms t = {.dy = args->p[DY], .dy_type = arg[DY].dtype};
    lamina_reduce_sum(&r, read_dy, &t, 1, workspace, arg[DB].dtype, args->p[DB]);
  }
  if (arg[DA].dtype) convert(&arg[DY], args->p[DY], &arg[DA], args->p[DA]);
  return LAMINA_OK;
}
static lamina_status prepare_add_backward(lamina_plan *plan) { return prepare_sum(plan, 0, 2); }

/* ---- Products --------------------------------------------------------------------------------------------------- */

static lamina_status multiply_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                      lamina_stream *stream) {
  enum { A, B, Y };
  (void)workspace, (void)stream;
  const lamina_desc *arg = plan->problem.arg;
  combine(&multiply, &arg[A], args->p[A], &arg[B], args->p[B], &arg[Y], args->p[Y]);
  return LAMINA_OK;
}

/* db before da, which may lie on dy. */
static lamina_status multiply_backward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                       lamina_stream *stream) {
  enum { A, B, DY, DA, DB };
  (void)stream;
  const lamina_desc *arg = plan->problem.arg;
  const bool alike = lamina_desc_count(&arg[DB]) == lamina_desc_count(&arg[DY]);
  if (arg[DB].dtype && alike) combine(&multiply, &arg[DY], args->p[DY], &arg[A], args->p[A], &arg[DB], args->p[DB]);
  if (arg[DB].dtype && !alike) {
    const lamina_reduction r = repeats(&arg[DY], &arg[DB]);
    const terms t = {args->p[DY], args->p[A], arg[DY].dtype, arg[A].dtype};
    lamina_reduce_sum(&r, read_products, &t, 1, workspace, arg[DB].dtype, args->p[DB]);
  }
  if (arg[DA].dtype) combine(&multiply, &arg[DY], args->p[DY], &arg[B], args->p[B], &arg[DA], args->p[DA]);
  return LAMINA_OK;
}
static lamina_status prepare_multiply_backward(lamina_plan *plan) { return prepare_sum(plan, 2, 4); }

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

#define ENGINE(name, op_, prepare_)                                                                                    \
  LAMINA_LOOP_ENGINE(op_, LAMINA_STRIDES_SAME), .candidates = lamina_row_candidates, .prepare = (prepare_), .run = name
const lamina_engine lamina_cpu_loop_add_forward = {ENGINE(add_forward, "add/forward", NULL)};
const lamina_engine lamina_cpu_loop_add_backward = {ENGINE(add_backward, "add/backward", prepare_add_backward)};
const lamina_engine lamina_cpu_loop_multiply_forward = {ENGINE(multiply_forward, "multiply/forward", NULL)};
const lamina_engine lamina_cpu_loop_multiply_backward = {
    ENGINE(multiply_backward, "multiply/backward", prepare_multiply_backward)};
