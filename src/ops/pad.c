/* Padding: rows, references and the typed calls. */
#include "lamina/pad.h"

#include <math.h>

#include "core/plan.h"
#include "ops/shape.h"

static const char *const modes[] = {"constant", "edge", "reflect", NULL};
static const lamina_attr_def attrs[] = {
    {.name = "before", .type = LAMINA_ATTR_LIST, .offset = offsetof(lamina_pad, before), .most = 0x1p63},
    {.name = "after", .type = LAMINA_ATTR_LIST, .offset = offsetof(lamina_pad, after), .most = 0x1p63},
    {.name = "mode", .type = LAMINA_ATTR_ENUM, .offset = offsetof(lamina_pad, mode), .choices = modes},
    {.name = "value", .type = LAMINA_ATTR_REAL, .offset = offsetof(lamina_pad, value)},
    {0}};
enum { X, Y, DY = 0, DX };
static const lamina_arg_def forward_args[] = {
    {"x", LAMINA_IN, false, LAMINA_ANY, NULL}, {"y", LAMINA_OUT, false, LAMINA_ANY, NULL}, {0}};
static const lamina_arg_def backward_args[] = {
    {"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL}, {"dx", LAMINA_OUT, false, LAMINA_FLOATING, NULL}, {0}};
LAMINA_CHECK_ARGS(pad_forward, forward_args);
LAMINA_CHECK_ARGS(pad_backward, backward_args);

/* ---- Shapes ----------------------------------------------------------------------------------------------------- */

/* Checks the lists of argument `arg`, and drops a value that is nowhere: equal problems, equal bytes. */
static lamina_status normalise(lamina_problem *p, int arg, lamina_pad *pad) {
  bool any = false;
  memcpy(pad, p->attr, sizeof *pad);
  LAMINA_TRY(lamina_want_list(p, arg, "before", pad->before));
  LAMINA_TRY(lamina_want_list(p, arg, "after", pad->after));
  for (int d = 0; d < LAMINA_MAX_RANK; d++) any |= pad->before[d] || pad->after[d];
  if (!any) pad->mode = LAMINA_PAD_CONSTANT;
  if (!any || pad->mode != LAMINA_PAD_CONSTANT) pad->value = 0;
  memcpy(p->attr, pad, sizeof *pad);
  return LAMINA_OK;
}

/* Does x, whose axis d has `size` elements, have what the mode takes from it? */
static lamina_status check_axis(const lamina_problem *p, const lamina_pad *pad, int arg, int d, int64_t size) {
  const int64_t most = pad->before[d] > pad->after[d] ? pad->before[d] : pad->after[d];
  if (pad->mode == LAMINA_PAD_REFLECT && most > 0 && most >= size)
    return lamina_problem_error(p, arg,
                                "reflect can't add %lld along axis %d of %lld elements; expected less than that",
                                (long long)most, d, (long long)size);
  if (pad->mode == LAMINA_PAD_EDGE && most > 0 && size == 0)
    return lamina_problem_error(p, arg, "axis %d has no edge to repeat", d);
  return LAMINA_OK;
}

static lamina_status infer_forward(lamina_problem *p) {
  const lamina_desc *x = &p->arg[X];
  int64_t dims[LAMINA_MAX_RANK];
  lamina_pad pad;
  LAMINA_TRY(normalise(p, X, &pad));
  for (int d = 0; d < x->rank; d++) {
    LAMINA_TRY(check_axis(p, &pad, X, d, x->dims[d]));
    if (!lamina_sum(x->dims[d], pad.before[d], &dims[d]) || !lamina_sum(dims[d], pad.after[d], &dims[d]))
      return lamina_problem_error(p, X, "its size overflows with padding");
  }
  LAMINA_TRY(lamina_set_output(p, Y, (lamina_dtype)x->dtype, x->rank, dims));
  return lamina_want_alike(p, X);
}

static lamina_status infer_backward(lamina_problem *p) {
  const lamina_desc *dy = &p->arg[DY];
  int64_t dims[LAMINA_MAX_RANK], padding;
  lamina_pad pad;
  LAMINA_TRY(normalise(p, DY, &pad));
  for (int d = 0; d < dy->rank; d++) {
    if (!lamina_sum(pad.before[d], pad.after[d], &padding) || padding > dy->dims[d])
      return lamina_problem_error(p, DY, "its axis %d has fewer elements than before and after add", d);
    dims[d] = dy->dims[d] - padding;
    LAMINA_TRY(check_axis(p, &pad, DY, d, dims[d]));
  }
  return lamina_set_output(p, DX, (lamina_dtype)dy->dtype, dy->rank, dims);
}

/* ---- References ------------------------------------------------------------------------------------------------- */

/* The element of x that element i of y comes from along axis d; -1: none. */
static int64_t source(const lamina_pad *pad, int d, int64_t size, int64_t i) {
  i -= pad->before[d];
  if (i >= 0 && i < size) return i;
  if (pad->mode == LAMINA_PAD_EDGE) return i < 0 ? 0 : size - 1;
  if (pad->mode == LAMINA_PAD_REFLECT) return i < 0 ? -i : 2 * (size - 1) - i;
  return -1;
}

static void element_forward(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_pad *pad = ref->attr;
  const lamina_desc *x = &ref->problem->arg[X], *y = &ref->problem->arg[arg];
  int64_t at = 0, stride = 1;
  *e = (lamina_expected){.value = lamina_round((lamina_dtype)y->dtype, pad->value), .terms = -1};
  for (int d = x->rank - 1; d >= 0; d--) {
    const int64_t from = source(pad, d, x->dims[d], index % y->dims[d]);
    if (from < 0) return;
    at += from * stride;
    index /= y->dims[d], stride *= x->dims[d];
  }
  e->value = ref->x[X][at];
}

/* Adds what came from element `at` of x, along axis d and those after it, `offset` into dy so far. */
static void gather(const lamina_reference *ref, const int64_t *at, int d, int64_t offset, lamina_expected *e) {
  const lamina_pad *pad = ref->attr;
  const lamina_desc *dy = &ref->problem->arg[DY], *dx = &ref->problem->arg[DX];
  if (d == dy->rank) {
    e->value += ref->x[DY][offset], e->q += ref->x[DY][offset] * ref->x[DY][offset], e->terms++;
    return;
  }
  const int64_t size = dx->dims[d], own = pad->before[d] + at[d];
  const bool edge = pad->mode == LAMINA_PAD_EDGE, reflect = pad->mode == LAMINA_PAD_REFLECT;
  const int64_t first = edge && at[d] == 0 ? 0 : own, last = edge && at[d] == size - 1 ? dy->dims[d] - 1 : own;
  const int64_t before = own - 2 * at[d], after = own + 2 * (size - 1 - at[d]); /* mirrored */
  for (int64_t i = first; i <= last; i++) gather(ref, at, d + 1, offset * dy->dims[d] + i, e);
  if (reflect && at[d] > 0 && before >= 0) gather(ref, at, d + 1, offset * dy->dims[d] + before, e);
  if (reflect && at[d] < size - 1 && after < dy->dims[d]) gather(ref, at, d + 1, offset * dy->dims[d] + after, e);
}

static void element_backward(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_desc *dx = &ref->problem->arg[arg];
  int64_t at[LAMINA_MAX_RANK];
  for (int d = dx->rank - 1; d >= 0; d--) at[d] = index % dx->dims[d], index /= dx->dims[d];
  gather(ref, at, 0, 0, e);
  e->q = sqrt(e->q);
  if (e->terms == 1) e->terms = -1; /* moved as it is */
}

/* ---- Tests ------------------------------------------------------------------------------------------------------ */

static void sample(lamina_problem *p, lamina_draw *draw) {
  lamina_pad pad = {.mode = LAMINA_PICK(draw, "mode", LAMINA_PAD_CONSTANT, LAMINA_PAD_EDGE, LAMINA_PAD_REFLECT)};
  int64_t dims[LAMINA_MAX_RANK];
  const int rank = (int)LAMINA_PICK(draw, "rank", 1, 2, 3, 4, 4, 8, 0);
  lamina_draw_dims(draw, rank, dims);
  for (int d = 0; d < rank; d++) {
    if (LAMINA_PICK(draw, "kept", 0, 1)) continue;
    pad.before[d] = LAMINA_PICK(draw, "before", 0, 1, 1, 2, 4);
    pad.after[d] = LAMINA_PICK(draw, "after", 0, 1, 1, 2, 5);
  }
  pad.value = (double)LAMINA_PICK(draw, "value", 0, 3);
  p->arg[X] = lamina_dense(lamina_draw_any(draw), rank, dims);
  memcpy(p->attr, &pad, sizeof pad);
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

static double flops_backward(const lamina_problem *p) {
  return (double)(lamina_desc_count(&p->arg[DY]) - lamina_desc_count(&p->arg[DX]));
}

const lamina_op_def lamina_ops_pad[] = {{.name = "pad/forward",
                                         .args = forward_args,
                                         .attrs = attrs,
                                         .attr_size = sizeof(lamina_pad),
                                         .infer = infer_forward,
                                         .element = element_forward,
                                         .fills = lamina_shape_fills,
                                         .sample = sample},
                                        {.name = "pad/backward",
                                         .args = backward_args,
                                         .attrs = attrs,
                                         .attr_size = sizeof(lamina_pad),
                                         .infer = infer_backward,
                                         .element = element_backward,
                                         .fills = lamina_shape_fills,
                                         .flops = flops_backward},
                                        {0}};

LAMINA_DEFINE_CALLS(pad_forward, "pad/forward", pad, (x, y), const lamina_pad *pad, const lamina_tensor *x,
                    const lamina_tensor *y)
LAMINA_DEFINE_CALLS(pad_backward, "pad/backward", pad, (dy, dx), const lamina_pad *pad, const lamina_tensor *dy,
                    const lamina_tensor *dx)
