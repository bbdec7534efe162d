/* Multiples: rows, reference and the typed calls. Both passes are the same function of their first argument. */
#include <math.h>

#include "core/draw.h"
#include "core/plan.h"
#include "core/problem.h"
#include "lamina/arithmetic.h"

enum { X, Y };
static const lamina_arg_def forward_args[] = {
    {"x", LAMINA_IN, false, LAMINA_FLOATING, NULL}, {"y", LAMINA_OUT, false, LAMINA_FLOATING, "x"}, {0}};
static const lamina_arg_def backward_args[] = {
    {"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL}, {"dx", LAMINA_OUT, false, LAMINA_FLOATING, "dy"}, {0}};
LAMINA_CHECK_ARGS(scale_forward, forward_args);
LAMINA_CHECK_ARGS(scale_backward, backward_args);

static const lamina_attr_def attrs[] = {{.name = "factor",
                                         .type = LAMINA_ATTR_REAL,
                                         .offset = offsetof(lamina_scale, factor),
                                         .preset = 1,
                                         .has = offsetof(lamina_scale, has_factor)},
                                        {0}};

static lamina_status infer(lamina_problem *p) {
  const lamina_desc *x = &p->arg[X];
  return lamina_set_output(p, Y, (lamina_dtype)x->dtype, x->rank, x->dims);
}

/* The factor rounds, and the product. */
static void element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg;
  const double y = ((const lamina_scale *)ref->attr)->factor * ref->x[X][index];
  *e = (lamina_expected){.value = y, .q = 2 * fabs(y)};
}

/* Exact for factors that are a small whole number of eighths. */
static bool fills(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  const double eighths = 8 * ((const lamina_scale *)lamina_attr(p))->factor;
  if (exact) lamina_fill_integers(p, fill, -9, 9);
  return !exact || (eighths == nearbyint(eighths) && fabs(eighths) <= 0x1p16);
}

static double flops(const lamina_problem *p) { return (double)lamina_desc_count(&p->arg[X]); }

static void sample(lamina_problem *p, lamina_draw *draw) {
  const lamina_scale scale = {.factor = (double)LAMINA_PICK(draw, "factor", 0, 1, -3, 16, 7) / 8, .has_factor = 1};
  lamina_draw_alike(p, draw);
  memcpy(p->attr, &scale, sizeof scale);
}

#define ROW(pass)                                                                                                      \
  .name = "scale/" #pass, .args = pass##_args, .attrs = attrs, .attr_size = sizeof(lamina_scale), .infer = infer,      \
  .element = element, .fills = fills, .flops = flops
const lamina_op_def lamina_ops_scale[] = {{ROW(forward), .sample = sample}, {ROW(backward)}, {0}};

LAMINA_DEFINE_CALLS(scale_forward, "scale/forward", scale, (x, y), const lamina_scale *scale, const lamina_tensor *x,
                    const lamina_tensor *y)
LAMINA_DEFINE_CALLS(scale_backward, "scale/backward", scale, (dy, dx), const lamina_scale *scale,
                    const lamina_tensor *dy, const lamina_tensor *dx)
