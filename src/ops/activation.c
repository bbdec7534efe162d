/* ReLU, sigmoid and tanh: rows, shapes and the typed calls. The references are in activation_ref.c. */
#include "ops/activation.h"

#include "core/plan.h"

static const lamina_attr_def attrs[] = {{0}};
static const lamina_arg_def forward_args[] = {
    {"x", LAMINA_IN, false, LAMINA_FLOATING, NULL}, {"y", LAMINA_OUT, false, LAMINA_FLOATING, "x"}, {0}};
static const lamina_arg_def backward_args[] = {{"y", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                               {"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                               {"dx", LAMINA_OUT, false, LAMINA_FLOATING, "dy"},
                                               {0}};
LAMINA_CHECK_ARGS(relu_forward, forward_args);
LAMINA_CHECK_ARGS(relu_backward, backward_args);

static lamina_status infer_forward(lamina_problem *p) {
  const lamina_desc *x = &p->arg[LAMINA_ACTIVATION_FORWARD_X];
  return lamina_set_output(p, LAMINA_ACTIVATION_FORWARD_Y, (lamina_dtype)x->dtype, x->rank, x->dims);
}

static lamina_status infer_backward(lamina_problem *p) {
  const lamina_desc *y = &p->arg[LAMINA_ACTIVATION_BACKWARD_Y], *dy = &p->arg[LAMINA_ACTIVATION_BACKWARD_DY];
  LAMINA_TRY(lamina_want_dims(p, LAMINA_ACTIVATION_BACKWARD_DY, y->rank, y->dims));
  return lamina_set_output(p, LAMINA_ACTIVATION_BACKWARD_DX, (lamina_dtype)dy->dtype, y->rank, y->dims);
}

/* ReLU passes integers through, and about half of them become 0; the others round. */
static bool fills_relu(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  if (exact) lamina_fill_integers(p, fill, -5, 5);
  return true;
}

#define ROWS(family, exact)                                                                                            \
  const lamina_op_def lamina_ops_##family[] = {{.name = #family "/forward",                                            \
                                                .args = forward_args,                                                  \
                                                .attrs = attrs,                                                        \
                                                .infer = infer_forward,                                                \
                                                .element = lamina_##family##_forward_element,                          \
                                                .fills = exact},                                                       \
                                               {.name = #family "/backward",                                           \
                                                .args = backward_args,                                                 \
                                                .attrs = attrs,                                                        \
                                                .infer = infer_backward,                                               \
                                                .element = lamina_##family##_backward_element,                         \
                                                .fills = exact},                                                       \
                                               {0}};                                                                   \
  LAMINA_DEFINE_CALLS(family##_forward, #family "/forward", NULL, (x, y), const lamina_tensor *x,                      \
                      const lamina_tensor *y)                                                                          \
  LAMINA_DEFINE_CALLS(family##_backward, #family "/backward", NULL, (y, dy, dx), const lamina_tensor *y,               \
                      const lamina_tensor *dy, const lamina_tensor *dx)

ROWS(relu, fills_relu)
ROWS(sigmoid, NULL)
ROWS(tanh, NULL)
