/* Sums, means and maxima over axes: rows, references and the typed calls. */
#include "lamina/reduce.h"

#include <math.h>

#include "core/plan.h"
#include "ops/shape.h"

static const lamina_attr_def attrs[] = {
    {.name = "axes", .type = LAMINA_ATTR_SET, .offset = offsetof(lamina_reduce, axes)},
    {.name = "keep", .type = LAMINA_ATTR_BOOL, .offset = offsetof(lamina_reduce, keep)},
    {0}};
enum { X, Y, INDICES, DY = 0, DX, MAX_INDICES = 1, MAX_DX };
static const lamina_arg_def forward_args[] = {
    {"x", LAMINA_IN, false, LAMINA_FLOATING, NULL}, {"y", LAMINA_OUT, false, LAMINA_FLOATING, NULL}, {0}};
static const lamina_arg_def backward_args[] = {
    {"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL}, {"dx", LAMINA_OUT, false, LAMINA_FLOATING, NULL}, {0}};
static const lamina_arg_def max_forward_args[] = {{"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                                  {"y", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                                  {"indices", LAMINA_SAVED, true, LAMINA_INTEGER, NULL},
                                                  {0}};
static const lamina_arg_def max_backward_args[] = {{"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                                   {"indices", LAMINA_IN, false, LAMINA_INTEGER, NULL},
                                                   {"dx", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                                   {0}};
LAMINA_CHECK_ARGS(sum_forward, forward_args);
LAMINA_CHECK_ARGS(sum_backward, backward_args);
LAMINA_CHECK_ARGS(mean_forward, forward_args);
LAMINA_CHECK_ARGS(mean_backward, backward_args);
LAMINA_CHECK_ARGS(max_forward, max_forward_args);
LAMINA_CHECK_ARGS(max_backward, max_backward_args);

/* ---- Shapes ----------------------------------------------------------------------------------------------------- */

static bool reduced(const lamina_problem *p, int d) { return ((const lamina_reduce *)lamina_attr(p))->axes >> d & 1; }

/* How many elements of argument `x` become one. */
static int64_t members(const lamina_problem *p, int x) {
  int64_t count = 1;
  for (int d = 0; d < p->arg[x].rank; d++)
    if (reduced(p, d)) count *= p->arg[x].dims[d];
  return count;
}

/* Names all axes that are reduced, and gives the dims of y for argument `x`. */
static lamina_status normalise(lamina_problem *p, int x, int *rank, int64_t *dims) {
  const lamina_desc *desc = &p->arg[x];
  lamina_reduce r;
  memcpy(&r, p->attr, sizeof r);
  LAMINA_TRY(lamina_axis_set(p, r.axes, desc->rank, &r.axes));
  if (!r.axes) r.axes = (INT64_C(1) << desc->rank) - 1;
  memcpy(p->attr, &r, sizeof r);
  *rank = 0;
  for (int d = 0; d < desc->rank; d++)
    if (!reduced(p, d))
      dims[(*rank)++] = desc->dims[d];
    else if (r.keep)
      dims[(*rank)++] = 1;
  return LAMINA_OK;
}

static lamina_status infer_forward(lamina_problem *p) {
  int64_t dims[LAMINA_MAX_RANK];
  int rank;
  LAMINA_TRY(normalise(p, X, &rank, dims));
  return lamina_set_output(p, Y, (lamina_dtype)p->arg[X].dtype, rank, dims);
}

static lamina_status infer_backward(lamina_problem *p) {
  int64_t dims[LAMINA_MAX_RANK];
  int rank;
  LAMINA_TRY(lamina_want_shape(p, DX));
  LAMINA_TRY(normalise(p, DX, &rank, dims));
  return lamina_want_dims(p, DY, rank, dims);
}

static lamina_status check_indices(const lamina_problem *p, int x, int indices) {
  if (!lamina_present(&p->arg[indices])) return LAMINA_OK;
  LAMINA_TRY(lamina_want_dtype(p, indices, LAMINA_I32));
  if (lamina_desc_count(&p->arg[x]) && members(p, x) > INT32_MAX)
    return lamina_problem_error(p, x, "its axes are too large for indices of 32 bits");
  return LAMINA_OK;
}

static lamina_status infer_max_forward(lamina_problem *p) {
  int64_t dims[LAMINA_MAX_RANK];
  int rank;
  LAMINA_TRY(normalise(p, X, &rank, dims));
  LAMINA_TRY(lamina_set_output(p, Y, (lamina_dtype)p->arg[X].dtype, rank, dims));
  LAMINA_TRY(lamina_set_output(p, INDICES, LAMINA_I32, rank, dims));
  return check_indices(p, X, INDICES);
}

static lamina_status infer_max_backward(lamina_problem *p) {
  int64_t dims[LAMINA_MAX_RANK];
  int rank;
  LAMINA_TRY(lamina_want_shape(p, MAX_DX));
  LAMINA_TRY(normalise(p, MAX_DX, &rank, dims));
  LAMINA_TRY(lamina_want_dims(p, DY, rank, dims));
  LAMINA_TRY(lamina_want_dims(p, MAX_INDICES, rank, dims));
  return check_indices(p, MAX_DX, MAX_INDICES);
}

/* ---- References ------------------------------------------------------------------------------------------------- */

/* Member number n of those that became output `index`. */
static int64_t member(const lamina_problem *p, const lamina_desc *x, int64_t index, int64_t n) {
  int64_t at = 0, stride = 1;
  for (int d = x->rank - 1; d >= 0; d--) {
    int64_t *from = reduced(p, d) ? &n : &index;
    at += *from % x->dims[d] * stride;
    *from /= x->dims[d], stride *= x->dims[d];
  }
  return at;
}

/* The output that element `at` went into, and which of its members it is. */
static int64_t output_of(const lamina_problem *p, const lamina_desc *x, int64_t at, int64_t *n) {
  int64_t output = 0, stride = 1, others = 1;
  *n = 0;
  for (int d = x->rank - 1; d >= 0; at /= x->dims[d], d--)
    if (reduced(p, d))
      *n += at % x->dims[d] * others, others *= x->dims[d];
    else
      output += at % x->dims[d] * stride, stride *= x->dims[d];
  return output;
}

static void sum_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_desc *x = &ref->problem->arg[X];
  const int64_t count = members(ref->problem, X);
  double squares = 0;
  (void)arg;
  for (int64_t n = 0; n < count; n++) {
    const double term = ref->x[X][member(ref->problem, x, index, n)];
    e->value += term, squares += term * term;
  }
  e->q = sqrt(squares), e->terms = count ? count : -1;
}

static void mean_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const double count = (double)members(ref->problem, X);
  sum_element(ref, arg, index, e);
  e->value /= count, e->q /= count;
}

static void sum_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  int64_t n;
  *e = (lamina_expected){.value = ref->x[DY][output_of(ref->problem, &ref->problem->arg[arg], index, &n)], .terms = -1};
}

/* A quotient, or a product with the rounded 1 / n: two roundings. */
static void mean_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  sum_backward_element(ref, arg, index, e);
  e->value /= (double)members(ref->problem, arg);
  e->q = 2 * fabs(e->value), e->terms = 0;
}

static void max_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_desc *x = &ref->problem->arg[X];
  const int64_t count = members(ref->problem, X);
  int64_t best = -1;
  double value = -(double)INFINITY;
  for (int64_t n = 0; n < count; n++) {
    const double v = ref->x[X][member(ref->problem, x, index, n)];
    if (best < 0 || v > value || (isnan(v) && !isnan(value))) best = n, value = v;
  }
  *e = (lamina_expected){.value = arg == INDICES ? (double)best : value, .terms = -1};
}

static void max_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  int64_t n;
  const int64_t output = output_of(ref->problem, &ref->problem->arg[arg], index, &n);
  *e = (lamina_expected){.value = ref->i[MAX_INDICES][output] == n ? ref->x[DY][output] : 0, .terms = -1};
}

/* ---- Tests ------------------------------------------------------------------------------------------------------ */

static bool power_of_two(int64_t n) { return n > 0 && (n & (n - 1)) == 0; }

static bool fills_sum(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  if (exact) lamina_fill_integers(p, fill, -9, 9);
  return true;
}
static bool fills_mean_forward(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  return (!exact || power_of_two(members(p, X))) && fills_sum(p, exact, fill);
}
static bool fills_mean_backward(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  return (!exact || power_of_two(members(p, DX))) && fills_sum(p, exact, fill);
}
/* Few different integers, so that ties are common. */
static bool fills_max_forward(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  if (exact) lamina_fill_integers(p, fill, -3, 3);
  return true;
}
static bool fills_max_backward(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  const int64_t count = members(p, MAX_DX);
  if (exact) lamina_fill_integers(p, fill, -9, 9);
  fill[MAX_INDICES] =
      (lamina_fill_def){.kind = LAMINA_FILL_INTEGERS, .low = count ? 0 : -1, .high = count ? (double)(count - 1) : -1};
  return true;
}

static double flops_forward(const lamina_problem *p) { return (double)lamina_desc_count(&p->arg[X]); }

static void sample(lamina_problem *p, lamina_draw *draw) {
  lamina_reduce r = {.keep = LAMINA_PICK(draw, "keep", 0, 1)};
  int64_t dims[LAMINA_MAX_RANK];
  const int rank = (int)LAMINA_PICK(draw, "rank", 1, 2, 3, 4, 4, 8, 0);
  lamina_draw_dims(draw, rank, dims);
  for (int d = 0; d < rank; d++) {
    if (LAMINA_PICK(draw, "reduced", 0, 1) == 0) continue;
    const int64_t most = LAMINA_PICK(draw, "most", 2, 3, 20000);
    r.axes |= LAMINA_PICK(draw, "back", 0, 1) ? LAMINA_AXIS(d - rank) : LAMINA_AXIS(d);
    if (dims[d] > most) dims[d] = most;
  }
  p->arg[X] = lamina_draw_shape(draw, rank, dims);
  memcpy(p->attr, &r, sizeof r);
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

#define ROW(op, args_, infer_, element_, fills_)                                                                       \
  .name = (op), .args = (args_), .attrs = attrs, .attr_size = sizeof(lamina_reduce), .infer = (infer_),                \
  .element = (element_), .fills = (fills_)

const lamina_op_def lamina_ops_sum[] = {
    {ROW("sum/forward", forward_args, infer_forward, sum_element, fills_sum), .sample = sample, .flops = flops_forward},
    {ROW("sum/backward", backward_args, infer_backward, sum_backward_element, fills_sum)},
    {0}};

const lamina_op_def lamina_ops_mean[] = {
    {ROW("mean/forward", forward_args, infer_forward, mean_element, fills_mean_forward), .sample = sample,
     .flops = flops_forward},
    {ROW("mean/backward", backward_args, infer_backward, mean_backward_element, fills_mean_backward)},
    {0}};

const lamina_op_def lamina_ops_max[] = {
    {ROW("max/forward", max_forward_args, infer_max_forward, max_element, fills_max_forward), .sample = sample},
    {ROW("max/backward", max_backward_args, infer_max_backward, max_backward_element, fills_max_backward)},
    {0}};

#define CALLS(family)                                                                                                  \
  LAMINA_DEFINE_CALLS(family##_forward, #family "/forward", reduce, (x, y), const lamina_reduce *reduce,               \
                      const lamina_tensor *x, const lamina_tensor *y)                                                  \
  LAMINA_DEFINE_CALLS(family##_backward, #family "/backward", reduce, (dy, dx), const lamina_reduce *reduce,           \
                      const lamina_tensor *dy, const lamina_tensor *dx)
CALLS(sum)
CALLS(mean)
LAMINA_DEFINE_CALLS(max_forward, "max/forward", reduce, (x, y, indices), const lamina_reduce *reduce,
                    const lamina_tensor *x, const lamina_tensor *y, const lamina_tensor *indices)
LAMINA_DEFINE_CALLS(max_backward, "max/backward", reduce, (dy, indices, dx), const lamina_reduce *reduce,
                    const lamina_tensor *dy, const lamina_tensor *indices, const lamina_tensor *dx)
