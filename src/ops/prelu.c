/* PReLU: rows, reference and the typed calls. */
#include "lamina/prelu.h"

#include <math.h>

#include "core/draw.h"
#include "core/plan.h"
#include "core/problem.h"

enum { X, SLOPE, Y };
enum { DY = 2, DX, DSLOPE }; /* backward */
static const lamina_arg_def forward_args[] = {{"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                              {"slope", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                              {"y", LAMINA_OUT, false, LAMINA_FLOATING, "x"},
                                              {0}};
static const lamina_arg_def backward_args[] = {
    {"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},      {"slope", LAMINA_IN, false, LAMINA_FLOATING, NULL},
    {"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},     {"dx", LAMINA_OUT, false, LAMINA_FLOATING, "dy"},
    {"dslope", LAMINA_OUT, true, LAMINA_FLOATING, NULL}, {0}};
LAMINA_CHECK_ARGS(prelu_forward, forward_args);
LAMINA_CHECK_ARGS(prelu_backward, backward_args);

static const lamina_attr_def attrs[] = {{0}};

static lamina_status want_slope(lamina_problem *p) {
  const lamina_desc *x = &p->arg[X], *slope = &p->arg[SLOPE];
  if (slope->rank == 1 && slope->dims[0] == 1) return lamina_want_rank(p, X, 1, LAMINA_MAX_RANK);
  LAMINA_TRY(lamina_want_rank(p, X, 2, LAMINA_MAX_RANK));
  return lamina_want_dims(p, SLOPE, 1, &x->dims[1]);
}

static lamina_status infer_forward(lamina_problem *p) {
  const lamina_desc *x = &p->arg[X];
  LAMINA_TRY(want_slope(p));
  return lamina_set_output(p, Y, (lamina_dtype)x->dtype, x->rank, x->dims);
}

static lamina_status infer_backward(lamina_problem *p) {
  const lamina_desc *x = &p->arg[X], *slope = &p->arg[SLOPE];
  LAMINA_TRY(want_slope(p));
  LAMINA_TRY(lamina_want_dims(p, DY, x->rank, x->dims));
  LAMINA_TRY(lamina_set_output(p, DX, (lamina_dtype)p->arg[DY].dtype, x->rank, x->dims));
  if (!lamina_present(&p->arg[DSLOPE])) return LAMINA_OK;
  return lamina_set_output(p, DSLOPE, (lamina_dtype)slope->dtype, 1, slope->dims);
}

/* ---- Reference -------------------------------------------------------------------------------------------------- */

/* [N, C, area] as the slope sees it; one slope has one channel. */
typedef struct shape {
  int64_t N, C, area;
} shape;
static shape shape_of(const lamina_problem *p) {
  const lamina_desc *x = &p->arg[X];
  shape s = {1, p->arg[SLOPE].dims[0], 1};
  if (s.C == 1) {
    s.area = lamina_desc_count(x);
    return s;
  }
  s.N = x->dims[0];
  for (int d = 2; d < x->rank; d++) s.area *= x->dims[d];
  return s;
}

/* A product where x is not positive, whose factors are x or dy, and the slope. */
static void product(const lamina_reference *ref, int factor, int64_t index, lamina_expected *e) {
  const shape s = shape_of(ref->problem);
  const double v = ref->x[factor][index], y = v * ref->x[SLOPE][index / s.area % s.C];
  if (ref->x[X][index] > 0)
    *e = (lamina_expected){.value = v, .terms = -1};
  else
    *e = (lamina_expected){.value = y, .q = fabs(y), .terms = 1};
}

static void forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg;
  product(ref, X, index, e);
}

static void backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  if (arg == DX) {
    product(ref, DY, index, e);
    return;
  }
  const shape s = shape_of(ref->problem);
  double sum = 0, squares = 0;
  for (int64_t n = 0; n < s.N; n++)
    for (int64_t i = (n * s.C + index) * s.area; i < (n * s.C + index + 1) * s.area; i++) {
      const double p = ref->x[X][i] > 0 ? 0 : ref->x[X][i] * ref->x[DY][i];
      sum += p, squares += p * p;
    }
  *e = (lamina_expected){.value = sum, .q = sqrt(squares), .terms = s.N * s.area};
}

/* ---- Test cases ------------------------------------------------------------------------------------------------- */

static bool fills(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  if (exact) lamina_fill_integers(p, fill, -3, 3);
  return true;
}

static void sample(lamina_problem *p, lamina_draw *draw) {
  const int spatial = (int)LAMINA_PICK(draw, "spatial", 0, 0, 1, 2, 3);
  const bool many = LAMINA_PICK(draw, "many", 0, 0, 0, 0, 1);
  int64_t dims[5] = {LAMINA_PICK(draw, "batch", 1, 2, 3, 17, 0), LAMINA_PICK(draw, "channels", 1, 2, 3, 16, 70)};
  for (int d = 0; d < spatial; d++) dims[2 + d] = LAMINA_PICK(draw, "size", 1, 2, 5, 9);
  if (many) dims[spatial ? 2 : 0] = spatial ? 3001 / dims[1] : 2011;
  p->arg[X] = lamina_draw_shape(draw, 2 + spatial, dims);
  p->arg[SLOPE] = lamina_draw_shape(draw, 1, LAMINA_PICK(draw, "shared", 0, 0, 1) ? (int64_t[]){1} : &dims[1]);
}

static double flops(const lamina_problem *p) { return (double)lamina_desc_count(&p->arg[X]); }

#define ROW(pass)                                                                                                      \
  .name = "prelu/" #pass, .by_example = true, .args = pass##_args, .attrs = attrs, .infer = infer_##pass,              \
  .element = pass##_element, .fills = fills, .flops = flops
const lamina_op_def lamina_ops_prelu[] = {{ROW(forward), .sample = sample}, {ROW(backward)}, {0}};

LAMINA_DEFINE_CALLS(prelu_forward, "prelu/forward", NULL, (x, slope, y), const lamina_tensor *x,
                    const lamina_tensor *slope, const lamina_tensor *y)
LAMINA_DEFINE_CALLS(prelu_backward, "prelu/backward", NULL, (x, slope, dy, dx, dslope), const lamina_tensor *x,
                    const lamina_tensor *slope, const lamina_tensor *dy, const lamina_tensor *dx,
                    const lamina_tensor *dslope)
