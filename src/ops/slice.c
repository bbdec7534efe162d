/* Slices: rows, references and the typed calls. */
#include "lamina/slice.h"

#include "core/plan.h"
#include "ops/shape.h"

#define LIST(name_)                                                                                                    \
  { .name = #name_, .type = LAMINA_ATTR_LIST, .offset = offsetof(lamina_slice, name_) }
static const lamina_attr_def attrs[] = {LIST(start), LIST(stop), LIST(step), {0}};
enum { X, Y, DY = 0, DX };
static const lamina_arg_def forward_args[] = {
    {"x", LAMINA_IN, false, LAMINA_ANY, NULL}, {"y", LAMINA_OUT, false, LAMINA_ANY, NULL}, {0}};
static const lamina_arg_def backward_args[] = {
    {"dy", LAMINA_IN, false, LAMINA_ANY, NULL}, {"dx", LAMINA_OUT, false, LAMINA_ANY, NULL}, {0}};
LAMINA_CHECK_ARGS(slice_forward, forward_args);
LAMINA_CHECK_ARGS(slice_backward, backward_args);

/* ---- Shapes ----------------------------------------------------------------------------------------------------- */

static int64_t clamp(int64_t value, int64_t least, int64_t most) {
  return value < least ? least : value > most ? most : value;
}

/* The normal form of one axis, and how many elements it takes. In the normal form `start` is the first element itself
 * (counted from the end where step is negative, so that it is never 0 then) and `stop` is next to the last one taken. */
static int64_t normalise_axis(lamina_slice *s, int d, int64_t size) {
  int64_t start = s->start[d], stop = s->stop[d], step = clamp(s->step[d], -INT64_MAX, INT64_MAX), count = 0;
  if (step == 0) step = 1;
  if (step > 0) {
    start = clamp(start < 0 ? start + size : start, 0, size);
    stop = stop == 0 ? size : clamp(stop < 0 ? stop + size : stop, 0, size);
    if (start < stop) count = (stop - start - 1) / step + 1;
  } else {
    start = start == 0 ? size - 1 : clamp(start < 0 ? start + size : start, -1, size - 1);
    stop = stop == 0 ? -1 : clamp(stop < 0 ? stop + size : stop, -1, size - 1);
    if (start > stop) count = (start - stop - 1) / -step + 1;
  }
  if (count <= 1) step = 1;
  if (count == 0) start = 0, stop = -size;
  if (count > 0 && step > 0) stop = start + (count - 1) * step + 1;
  if (count > 0 && step < 0) {
    const int64_t last = start + (count - 1) * step;
    start -= size, stop = last == 0 ? 0 : last - 1 - size;
  }
  s->start[d] = start, s->stop[d] = stop, s->step[d] = step;
  return count;
}

/* Brings the attributes to their normal form for the whole `x`, and gives the dims of the slice. */
static lamina_status normalise(lamina_problem *p, int x, int64_t *dims) {
  lamina_slice s;
  memcpy(&s, p->attr, sizeof s);
  LAMINA_TRY(lamina_want_list(p, x, "start", s.start));
  LAMINA_TRY(lamina_want_list(p, x, "stop", s.stop));
  LAMINA_TRY(lamina_want_list(p, x, "step", s.step));
  for (int d = 0; d < p->arg[x].rank; d++) dims[d] = normalise_axis(&s, d, p->arg[x].dims[d]);
  memcpy(p->attr, &s, sizeof s);
  return LAMINA_OK;
}

static lamina_status infer_forward(lamina_problem *p) {
  int64_t dims[LAMINA_MAX_RANK];
  LAMINA_TRY(normalise(p, X, dims));
  LAMINA_TRY(lamina_set_output(p, Y, (lamina_dtype)p->arg[X].dtype, p->arg[X].rank, dims));
  return lamina_want_alike(p, X);
}

static lamina_status infer_backward(lamina_problem *p) {
  int64_t dims[LAMINA_MAX_RANK];
  LAMINA_TRY(lamina_want_shape(p, DX));
  LAMINA_TRY(normalise(p, DX, dims));
  LAMINA_TRY(lamina_want_dims(p, DY, p->arg[DX].rank, dims));
  return lamina_want_alike(p, DY);
}

/* ---- References ------------------------------------------------------------------------------------------------- */

static int64_t first_of(const lamina_slice *s, int d, int64_t size) {
  return s->start[d] + (s->start[d] < 0 ? size : 0);
}

static void element_forward(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_slice *s = ref->attr;
  const lamina_desc *x = &ref->problem->arg[X], *y = &ref->problem->arg[arg];
  int64_t source = 0, stride = 1;
  for (int d = x->rank - 1; d >= 0; d--) {
    source += (first_of(s, d, x->dims[d]) + index % y->dims[d] * s->step[d]) * stride;
    index /= y->dims[d], stride *= x->dims[d];
  }
  *e = (lamina_expected){.value = ref->x[X][source], .terms = -1};
}

static void element_backward(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_slice *s = ref->attr;
  const lamina_desc *dy = &ref->problem->arg[DY], *dx = &ref->problem->arg[arg];
  int64_t source = 0, stride = 1;
  *e = (lamina_expected){.terms = -1};
  for (int d = dx->rank - 1; d >= 0; d--) {
    const int64_t past = index % dx->dims[d] - first_of(s, d, dx->dims[d]);
    if (past % s->step[d] || past / s->step[d] < 0 || past / s->step[d] >= dy->dims[d]) return;
    source += past / s->step[d] * stride;
    index /= dx->dims[d], stride *= dy->dims[d];
  }
  e->value = ref->x[DY][source];
}

/* ---- Tests ------------------------------------------------------------------------------------------------------ */

static void sample(lamina_problem *p, lamina_draw *draw) {
  lamina_slice s = {{0}, {0}, {0}};
  int64_t dims[LAMINA_MAX_RANK];
  const int rank = (int)LAMINA_PICK(draw, "rank", 1, 2, 3, 4, 8, 0);
  lamina_draw_dims(draw, rank, dims);
  for (int d = 0; d < rank; d++) {
    if (LAMINA_PICK(draw, "whole", 0, 0, 1)) continue;
    s.start[d] = LAMINA_PICK(draw, "start", 0, 0, 1, 2, -1, -2, -100, 100);
    s.stop[d] = LAMINA_PICK(draw, "stop", 0, 0, 0, 3, -1, -100, 100);
    s.step[d] = LAMINA_PICK(draw, "step", 0, 1, 2, 3, -1, -2);
  }
  p->arg[X] = lamina_dense(lamina_draw_any(draw), rank, dims);
  memcpy(p->attr, &s, sizeof s);
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

const lamina_op_def lamina_ops_slice[] = {{.name = "slice/forward",
                                           .args = forward_args,
                                           .attrs = attrs,
                                           .attr_size = sizeof(lamina_slice),
                                           .infer = infer_forward,
                                           .element = element_forward,
                                           .fills = lamina_shape_fills,
                                           .sample = sample},
                                          {.name = "slice/backward",
                                           .args = backward_args,
                                           .attrs = attrs,
                                           .attr_size = sizeof(lamina_slice),
                                           .infer = infer_backward,
                                           .element = element_backward,
                                           .fills = lamina_shape_fills},
                                          {0}};

LAMINA_DEFINE_CALLS(slice_forward, "slice/forward", slice, (x, y), const lamina_slice *slice, const lamina_tensor *x,
                    const lamina_tensor *y)
LAMINA_DEFINE_CALLS(slice_backward, "slice/backward", slice, (dy, dx), const lamina_slice *slice,
                    const lamina_tensor *dy, const lamina_tensor *dx)
