/* Resizing: rows, references and the typed calls. */
#include <math.h>

#include "core/draw.h"
#include "core/plan.h"
#include "core/problem.h"
#include "core/resize.h"

static const char *const modes[] = {"nearest", "linear", NULL};
static const lamina_attr_def attrs[] = {
    {.name = "size", .type = LAMINA_ATTR_AXES, .offset = offsetof(lamina_resize, size), .most = 0x1p30},
    {.name = "scale", .type = LAMINA_ATTR_REAL, .offset = offsetof(lamina_resize, scale), .most = 0x1p30},
    {.name = "mode", .type = LAMINA_ATTR_ENUM, .offset = offsetof(lamina_resize, mode), .choices = modes},
    {.name = "align_corners", .type = LAMINA_ATTR_BOOL, .offset = offsetof(lamina_resize, align_corners)},
    {0}};
enum { X, Y, DY = 0, DX };
static const lamina_arg_def forward_args[] = {
    {"x", LAMINA_IN, false, LAMINA_FLOATING, NULL}, {"y", LAMINA_OUT, false, LAMINA_FLOATING, NULL}, {0}};
static const lamina_arg_def backward_args[] = {
    {"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL}, {"dx", LAMINA_OUT, false, LAMINA_FLOATING, NULL}, {0}};
LAMINA_CHECK_ARGS(resize_forward, forward_args);
LAMINA_CHECK_ARGS(resize_backward, backward_args);

/* ---- Shapes ----------------------------------------------------------------------------------------------------- */

/* Names the size of every axis, and gives the dims of y for argument `x`. */
static lamina_status normalise(lamina_problem *p, int x, int64_t *dims) {
  const char *op = lamina_op_at(p->op)->name;
  const lamina_desc *desc = &p->arg[x];
  lamina_resize r;
  LAMINA_TRY(lamina_want_rank(p, x, 3, 5));
  LAMINA_TRY(lamina_trim_axes(p, desc->rank - 2));
  memcpy(&r, p->attr, sizeof r);
  memcpy(dims, desc->dims, sizeof desc->dims);
  if (r.mode == LAMINA_RESIZE_NEAREST && r.align_corners)
    return lamina_error(LAMINA_INVALID, "%s: align_corners needs mode=linear", op);
  for (int a = 0; a < desc->rank - 2; a++) {
    const int64_t in = desc->dims[2 + a];
    if (in < 1 || in > 1 << 30) return lamina_problem_error(p, x, "expected 1 to 2^30 on every spatial axis");
    if (r.size[a] && r.scale != 0)
      return lamina_error(LAMINA_INVALID, "%s: size and scale are given; expected one of them", op);
    if (!r.size[a] && r.scale == 0)
      return lamina_error(LAMINA_INVALID, "%s: size is missing for spatial axis %d", op, a);
    const double scaled = floor(r.scale * (double)in);
    if (!r.size[a] && !(scaled >= 1 && scaled <= 0x1p30))
      return lamina_problem_error(p, x, "scale makes %g elements of its spatial axis %d; expected 1 to 2^30", scaled,
                                  a);
    if (r.scale == 0) dims[2 + a] = r.size[a];
    if (r.scale != 0) dims[2 + a] = (int64_t)scaled;
  }
  for (int a = 0; a < desc->rank - 2; a++) r.size[a] = dims[2 + a];
  r.scale = 0;
  memcpy(p->attr, &r, sizeof r);
  return LAMINA_OK;
}

static lamina_status infer_forward(lamina_problem *p) {
  int64_t dims[LAMINA_MAX_RANK];
  LAMINA_TRY(normalise(p, X, dims));
  return lamina_set_output(p, Y, (lamina_dtype)p->arg[X].dtype, p->arg[X].rank, dims);
}

static lamina_status infer_backward(lamina_problem *p) {
  int64_t dims[LAMINA_MAX_RANK];
  LAMINA_TRY(lamina_want_shape(p, DX));
  LAMINA_TRY(normalise(p, DX, dims));
  return lamina_want_dims(p, DY, p->arg[DX].rank, dims);
}

/* ---- References ------------------------------------------------------------------------------------------------- */

/* Every product of weights and x that makes element `o` of y, along axis d and those after it. An axis costs the
 * rounding of its weight, of a product and of a sum, so that q is three times as many sizes of products as axes. */
static void gather(const lamina_reference *ref, const int64_t *o, int d, int64_t offset, double weight,
                   lamina_expected *e) {
  const lamina_desc *x = &ref->problem->arg[X], *y = &ref->problem->arg[Y];
  if (d == x->rank) {
    const double product = weight * ref->x[X][offset];
    e->value += product, e->q += fabs(product);
    return;
  }
  const lamina_tap tap = d < 2 ? (lamina_tap){o[d], 0} : lamina_tap_of(ref->attr, x->dims[d], y->dims[d], o[d]);
  gather(ref, o, d + 1, offset * x->dims[d] + tap.low, weight * (1 - tap.weight), e);
  if (tap.weight > 0) gather(ref, o, d + 1, offset * x->dims[d] + tap.low + 1, weight * tap.weight, e);
}

static void element_forward(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_desc *y = &ref->problem->arg[arg];
  int64_t o[LAMINA_MAX_RANK];
  for (int d = y->rank - 1; d >= 0; d--) o[d] = index % y->dims[d], index /= y->dims[d];
  gather(ref, o, 0, 0, 1, e);
  e->q *= 3 * (y->rank - 2);
  if (((const lamina_resize *)ref->attr)->mode == LAMINA_RESIZE_NEAREST) e->terms = -1;
}

/* Every product of weights and dy that element `i` of x gets back. e->q is the sum of their squares until the end. */
static void collect(const lamina_reference *ref, const int64_t *i, int d, int64_t offset, double weight,
                    lamina_expected *e) {
  const lamina_desc *dy = &ref->problem->arg[DY], *dx = &ref->problem->arg[DX];
  if (d == dx->rank) {
    const double product = weight * ref->x[DY][offset];
    e->value += product, e->q += product * product, e->terms++;
    return;
  }
  for (int64_t o = d < 2 ? i[d] : 0; o < (d < 2 ? i[d] + 1 : dy->dims[d]); o++) {
    const lamina_tap tap = d < 2 ? (lamina_tap){o, 0} : lamina_tap_of(ref->attr, dx->dims[d], dy->dims[d], o);
    const double part = tap.low == i[d] ? 1 - tap.weight : tap.low == i[d] - 1 ? tap.weight : 0;
    if (part > 0) collect(ref, i, d + 1, offset * dy->dims[d] + o, weight * part, e);
  }
}

static void element_backward(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_desc *dx = &ref->problem->arg[arg];
  int64_t i[LAMINA_MAX_RANK];
  for (int d = dx->rank - 1; d >= 0; d--) i[d] = index % dx->dims[d], index /= dx->dims[d];
  collect(ref, i, 0, 0, 1, e);
  e->q = sqrt(e->q);
  if (e->terms == 0) e->terms = -1; /* nothing took from it */
}

/* ---- Tests and figures ------------------------------------------------------------------------------------------ */

static bool fills(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  if (exact) lamina_fill_integers(p, fill, -9, 9);
  return !exact || ((const lamina_resize *)lamina_attr(p))->mode == LAMINA_RESIZE_NEAREST;
}

/* A weight times an element, and a sum, for each of the two along each axis. */
static double flops(const lamina_problem *p, const lamina_desc *y) {
  if (((const lamina_resize *)lamina_attr(p))->mode == LAMINA_RESIZE_NEAREST) return 0;
  return (double)lamina_desc_count(y) * 2 * (1 << (y->rank - 2));
}
static double flops_forward(const lamina_problem *p) { return flops(p, &p->arg[Y]); }
static double flops_backward(const lamina_problem *p) { return flops(p, &p->arg[DY]); }

static void sample(lamina_problem *p, lamina_draw *draw) {
  lamina_resize r = {.mode = LAMINA_PICK(draw, "mode", LAMINA_RESIZE_NEAREST, LAMINA_RESIZE_LINEAR)};
  const int axes = (int)LAMINA_PICK(draw, "axes", 1, 2, 2, 3);
  int64_t x[5] = {LAMINA_PICK(draw, "batch", 1, 2, 0), LAMINA_PICK(draw, "channels", 1, 3, 17)};
  if (r.mode == LAMINA_RESIZE_LINEAR) r.align_corners = LAMINA_PICK(draw, "align_corners", 0, 1);
  r.scale = LAMINA_PICK(draw, "scale", 0, 0, 1) ? 0.5 * (double)LAMINA_PICK(draw, "halves", 1, 3, 4, 6) : 0;
  for (int a = 0; a < axes; a++) {
    x[2 + a] = LAMINA_PICK(draw, "in", 1, 2, 3, 5, 8, 13);
    if (r.scale == 0) r.size[a] = LAMINA_PICK(draw, "out", 1, 2, 3, 4, 7, 11, 30);
  }
  memcpy(p->attr, &r, sizeof r);
  p->arg[X] = lamina_draw_shape(draw, 2 + axes, x);
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

const lamina_op_def lamina_ops_resize[] = {{.name = "resize/forward",
                                            .args = forward_args,
                                            .attrs = attrs,
                                            .attr_size = sizeof(lamina_resize),
                                            .infer = infer_forward,
                                            .element = element_forward,
                                            .fills = fills,
                                            .sample = sample,
                                            .flops = flops_forward},
                                           {.name = "resize/backward",
                                            .args = backward_args,
                                            .attrs = attrs,
                                            .attr_size = sizeof(lamina_resize),
                                            .infer = infer_backward,
                                            .element = element_backward,
                                            .fills = fills,
                                            .flops = flops_backward},
                                           {0}};

LAMINA_DEFINE_CALLS(resize_forward, "resize/forward", resize, (x, y), const lamina_resize *resize,
                    const lamina_tensor *x, const lamina_tensor *y)
LAMINA_DEFINE_CALLS(resize_backward, "resize/backward", resize, (dy, dx), const lamina_resize *resize,
                    const lamina_tensor *dy, const lamina_tensor *dx)
