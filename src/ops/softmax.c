/* Softmax and log-softmax: rows, shapes and the typed calls. The references are in softmax_ref.c. */
#include "ops/softmax.h"

#include "core/draw.h"
#include "core/plan.h"

static const lamina_attr_def attrs[] = {{.name = "axis",
                                         .type = LAMINA_ATTR_INT,
                                         .offset = offsetof(lamina_softmax, axis),
                                         .preset = 1,
                                         .has = offsetof(lamina_softmax, has_axis)},
                                        {0}};
static const lamina_arg_def forward_args[] = {
    {"x", LAMINA_IN, false, LAMINA_FLOATING, NULL}, {"y", LAMINA_OUT, false, LAMINA_FLOATING, "x"}, {0}};
static const lamina_arg_def backward_args[] = {{"y", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                               {"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                               {"dx", LAMINA_OUT, false, LAMINA_FLOATING, "dy"},
                                               {0}};
LAMINA_CHECK_ARGS(softmax_forward, forward_args);
LAMINA_CHECK_ARGS(softmax_backward, backward_args);

/* Counts a negative axis from the end, so that equal problems are equal bytes. */
static lamina_status normalise_axis(lamina_problem *p, int arg) {
  lamina_softmax softmax;
  const int rank = p->arg[arg].rank;
  memcpy(&softmax, p->attr, sizeof softmax);
  if (softmax.axis < -rank || softmax.axis >= rank)
    return rank == 0 ? lamina_problem_error(p, arg, "expected at least 1 axis")
                     : lamina_problem_error(p, arg, "axis is %lld; expected %d to %d", (long long)softmax.axis, -rank,
                                            rank - 1);
  if (softmax.axis < 0) softmax.axis += rank;
  memcpy(p->attr, &softmax, sizeof softmax);
  return LAMINA_OK;
}

static lamina_status infer_forward(lamina_problem *p) {
  const lamina_desc *x = &p->arg[LAMINA_SOFTMAX_FORWARD_X];
  LAMINA_TRY(normalise_axis(p, LAMINA_SOFTMAX_FORWARD_X));
  return lamina_set_output(p, LAMINA_SOFTMAX_FORWARD_Y, (lamina_dtype)x->dtype, x->rank, x->dims);
}

static lamina_status infer_backward(lamina_problem *p) {
  const lamina_desc *y = &p->arg[LAMINA_SOFTMAX_BACKWARD_Y], *dy = &p->arg[LAMINA_SOFTMAX_BACKWARD_DY];
  LAMINA_TRY(normalise_axis(p, LAMINA_SOFTMAX_BACKWARD_Y));
  LAMINA_TRY(lamina_want_dims(p, LAMINA_SOFTMAX_BACKWARD_DY, y->rank, y->dims));
  return lamina_set_output(p, LAMINA_SOFTMAX_BACKWARD_DX, (lamina_dtype)dy->dtype, y->rank, y->dims);
}

static void sample(lamina_problem *p, lamina_draw *draw) {
  const lamina_softmax softmax = {.axis = LAMINA_PICK(draw, "axis", 0, 1, 1, 2, -1), .has_axis = 1};
  memcpy(p->attr, &softmax, sizeof softmax);
  lamina_draw_alike(p, draw);
}

#define ROWS(family)                                                                                                   \
  {.name = #family "/forward",                                                                                         \
   .args = forward_args,                                                                                               \
   .attrs = attrs,                                                                                                     \
   .attr_size = sizeof(lamina_softmax),                                                                                \
   .infer = infer_forward,                                                                                             \
   .scratch = lamina_softmax_scratch,                                                                                  \
   .prepare = lamina_softmax_forward_prepare,                                                                          \
   .element = lamina_##family##_forward_element,                                                                       \
   .sample = sample},                                                                                                  \
  {                                                                                                                    \
    .name = #family "/backward", .args = backward_args, .attrs = attrs, .attr_size = sizeof(lamina_softmax),           \
    .infer = infer_backward, .scratch = lamina_softmax_scratch, .prepare = lamina_##family##_backward_prepare,         \
    .element = lamina_##family##_backward_element                                                                      \
  }
const lamina_op_def lamina_ops_softmax[] = {ROWS(softmax), {0}};
const lamina_op_def lamina_ops_log_softmax[] = {ROWS(log_softmax), {0}};

#define CALLS(family)                                                                                                  \
  LAMINA_DEFINE_CALLS(family##_forward, #family "/forward", softmax, (x, y), const lamina_softmax *softmax,            \
                      const lamina_tensor *x, const lamina_tensor *y)                                                  \
  LAMINA_DEFINE_CALLS(family##_backward, #family "/backward", softmax, (y, dy, dx), const lamina_softmax *softmax,     \
                      const lamina_tensor *y, const lamina_tensor *dy, const lamina_tensor *dx)
CALLS(softmax)
CALLS(log_softmax)
