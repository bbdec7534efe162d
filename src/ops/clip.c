/* Norms and clipping: rows, reference and typed calls. */
#include "lamina/clip.h"

#include <math.h>

#include "core/draw.h"
#include "core/plan.h"
#include "core/problem.h"

/* ---- The norm --------------------------------------------------------------------------------------------------- */

enum { X, NORM2_Y, NORM = 1, VALUE_Y = 1, GATE, CLIPPED };
static const lamina_arg_def norm2_args[] = {
    {"x", LAMINA_IN, false, LAMINA_FLOATING, NULL}, {"y", LAMINA_OUT, false, LAMINA_FLOATING, NULL}, {0}};
static const lamina_attr_def norm2_attrs[] = {{0}};
LAMINA_CHECK_ARGS(norm2_forward, norm2_args);

static lamina_status norm2_infer(lamina_problem *p) {
  return lamina_set_output(p, NORM2_Y, (lamina_dtype)p->arg[X].dtype, 1, (int64_t[]){1});
}

/* The sum is in f64, so that the root's rounding is all that counts, and the bound has room for it. Whole numbers are
 * exact: root and store round the same number alike. */
static void norm2_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const int64_t count = lamina_desc_count(&ref->problem->arg[X]);
  double sum = 0;
  (void)arg, (void)index;
  for (int64_t i = 0; i < count; i++) sum += ref->x[X][i] * ref->x[X][i];
  *e = (lamina_expected){.value = sqrt(sum), .q = sqrt(sum)};
}

static bool norm2_fills(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  if (exact) lamina_fill_integers(p, fill, -9, 9);
  return true;
}

static void norm2_sample(lamina_problem *p, lamina_draw *draw) {
  const int rank = (int)LAMINA_PICK(draw, "rank", 1, 1, 2, 3);
  const int64_t dims[] = {LAMINA_PICK(draw, "size", 1, 2, 3, 255, 1025, 70001, 0),
                          LAMINA_PICK(draw, "columns", 1, 3, 8), 2};
  p->arg[X] = lamina_draw_shape(draw, rank, dims);
}

static double norm2_flops(const lamina_problem *p) { return 2 * (double)lamina_desc_count(&p->arg[X]); }

/* ---- No longer than `max` --------------------------------------------------------------------------------------- */

static const lamina_arg_def clip_norm_args[] = {{"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                                {"norm", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                                {"gate", LAMINA_IN, true, LAMINA_FLOATING, NULL},
                                                {"y", LAMINA_OUT, false, LAMINA_FLOATING, "x"},
                                                {0}};
LAMINA_CHECK_ARGS(clip_norm_forward, clip_norm_args);

#define MAX(family)                                                                                                    \
  { .name = "max", .type = LAMINA_ATTR_REAL, .offset = offsetof(lamina_##family, max), .preset = 1, .most = 1e300 }
static const lamina_attr_def clip_norm_attrs[] = {MAX(clip_norm), {0}};
static const lamina_attr_def clip_value_attrs[] = {MAX(clip_value), {0}};

static lamina_status clip_norm_infer(lamina_problem *p) {
  const lamina_desc *x = &p->arg[X];
  LAMINA_TRY(lamina_want_dims(p, NORM, 1, (int64_t[]){1}));
  LAMINA_TRY(lamina_want_dims(p, GATE, 1, (int64_t[]){1}));
  return lamina_set_output(p, CLIPPED, (lamina_dtype)x->dtype, x->rank, x->dims);
}

/* A NaN is no factor of 1. */
static double factor_of(double max, double norm) {
  const double factor = max / (norm + 1e-6);
  return factor >= 1 ? 1 : factor;
}

static void clip_norm_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const bool shut = ref->x[GATE] && !isfinite(ref->x[GATE][0]);
  const double factor = shut ? 1 : factor_of(((const lamina_clip_norm *)ref->attr)->max, ref->x[NORM][0]);
  const double y = ref->x[X][index] * factor;
  (void)arg;
  *e = (lamina_expected){.value = y, .q = fabs(y)};
}

/* Norms on both sides of the largest. */
static bool clip_norm_fills(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  fill[NORM] =
      (lamina_fill_def){.kind = LAMINA_FILL_UNIFORM, .high = 2 * ((const lamina_clip_norm *)lamina_attr(p))->max};
  return !exact;
}

static void clip_norm_sample(lamina_problem *p, lamina_draw *draw) {
  const lamina_clip_norm clip = {(double)LAMINA_PICK(draw, "max", 0, 1, 20, 700) / 8};
  const int64_t one = 1;
  lamina_draw_alike(p, draw);
  p->arg[NORM] = lamina_draw_shape(draw, 1, &one);
  if (LAMINA_PICK(draw, "gate", 0, 1)) p->arg[GATE] = lamina_draw_shape(draw, 1, &one);
  memcpy(p->attr, &clip, sizeof clip);
}

static double clip_norm_flops(const lamina_problem *p) { return (double)lamina_desc_count(&p->arg[X]); }

/* ---- No element larger than `max` ------------------------------------------------------------------------------- */

static const lamina_arg_def clip_value_args[] = {
    {"x", LAMINA_IN, false, LAMINA_FLOATING, NULL}, {"y", LAMINA_OUT, false, LAMINA_FLOATING, "x"}, {0}};
LAMINA_CHECK_ARGS(clip_value_forward, clip_value_args);

static lamina_status clip_value_infer(lamina_problem *p) {
  const lamina_desc *x = &p->arg[X];
  return lamina_set_output(p, VALUE_Y, (lamina_dtype)x->dtype, x->rank, x->dims);
}

/* The limit may round before the store does. */
static void clip_value_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const double x = ref->x[X][index], max = ((const lamina_clip_value *)ref->attr)->max;
  const double y = x > max ? max : x < -max ? -max : x;
  (void)arg;
  *e = (lamina_expected){.value = y, .q = fabs(y)};
}

/* Exact for limits that are a small whole number of eighths. */
static bool clip_value_fills(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  const double eighths = 8 * ((const lamina_clip_value *)lamina_attr(p))->max;
  if (exact) lamina_fill_integers(p, fill, -9, 9);
  return !exact || (eighths == nearbyint(eighths) && eighths <= 0x1p7);
}

static void clip_value_sample(lamina_problem *p, lamina_draw *draw) {
  const lamina_clip_value clip = {(double)LAMINA_PICK(draw, "max", 0, 1, 20, 7) / 8};
  lamina_draw_alike(p, draw);
  memcpy(p->attr, &clip, sizeof clip);
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

#define ROW(family)                                                                                                    \
  .name = #family "/forward", .args = family##_args, .attrs = family##_attrs, .infer = family##_infer,                 \
  .element = family##_element, .fills = family##_fills, .sample = family##_sample

const lamina_op_def lamina_ops_norm2[] = {{ROW(norm2), .flops = norm2_flops}, {0}};
const lamina_op_def lamina_ops_clip_norm[] = {
    {ROW(clip_norm), .attr_size = sizeof(lamina_clip_norm), .flops = clip_norm_flops}, {0}};
const lamina_op_def lamina_ops_clip_value[] = {{ROW(clip_value), .attr_size = sizeof(lamina_clip_value)}, {0}};

LAMINA_DEFINE_CALLS(norm2_forward, "norm2/forward", NULL, (x, y), const lamina_tensor *x, const lamina_tensor *y)
LAMINA_DEFINE_CALLS(clip_norm_forward, "clip_norm/forward", clip_norm, (x, norm, gate, y),
                    const lamina_clip_norm *clip_norm, const lamina_tensor *x, const lamina_tensor *norm,
                    const lamina_tensor *gate, const lamina_tensor *y)
LAMINA_DEFINE_CALLS(clip_value_forward, "clip_value/forward", clip_value, (x, y), const lamina_clip_value *clip_value,
                    const lamina_tensor *x, const lamina_tensor *y)
