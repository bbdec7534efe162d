/* Activations: rows, shapes and the typed calls. The references are in activation_ref.c. */
#include "ops/activation.h"

#include <math.h>

#include "core/draw.h"
#include "core/plan.h"

static const lamina_arg_def forward_args[] = {
    {"x", LAMINA_IN, false, LAMINA_FLOATING, NULL}, {"y", LAMINA_OUT, false, LAMINA_FLOATING, "x"}, {0}};
#define BACKWARD_ARGS(saved)                                                                                           \
  {                                                                                                                    \
    {#saved, LAMINA_IN, false, LAMINA_FLOATING, NULL}, {"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},                \
        {"dx", LAMINA_OUT, false, LAMINA_FLOATING, "dy"}, {                                                            \
      0                                                                                                                \
    }                                                                                                                  \
  }
static const lamina_arg_def backward_args_y[] = BACKWARD_ARGS(y), backward_args_x[] = BACKWARD_ARGS(x);
LAMINA_CHECK_ARGS(relu_forward, forward_args);
LAMINA_CHECK_ARGS(relu_backward, backward_args_y);
LAMINA_CHECK_ARGS(gelu_backward, backward_args_x);

static lamina_status infer_forward(lamina_problem *p) {
  const lamina_desc *x = &p->arg[LAMINA_ACTIVATION_FORWARD_X];
  return lamina_set_output(p, LAMINA_ACTIVATION_FORWARD_Y, (lamina_dtype)x->dtype, x->rank, x->dims);
}

static lamina_status infer_backward(lamina_problem *p) {
  const lamina_desc *saved = &p->arg[LAMINA_ACTIVATION_BACKWARD_SAVED], *dy = &p->arg[LAMINA_ACTIVATION_BACKWARD_DY];
  LAMINA_TRY(lamina_want_dims(p, LAMINA_ACTIVATION_BACKWARD_DY, saved->rank, saved->dims));
  return lamina_set_output(p, LAMINA_ACTIVATION_BACKWARD_DX, (lamina_dtype)dy->dtype, saved->rank, saved->dims);
}

/* ---- Attributes ------------------------------------------------------------------------------------------------- */

static const lamina_attr_def no_attrs[] = {{0}};
static const lamina_attr_def leaky_relu_attrs[] = {{.name = "slope",
                                                    .type = LAMINA_ATTR_REAL,
                                                    .offset = offsetof(lamina_leaky_relu, slope),
                                                    .preset = 0.01,
                                                    .has = offsetof(lamina_leaky_relu, has_slope),
                                                    .most = 1e6},
                                                   {0}};
static const lamina_attr_def elu_attrs[] = {{.name = "alpha",
                                             .type = LAMINA_ATTR_REAL,
                                             .offset = offsetof(lamina_elu, alpha),
                                             .preset = 1,
                                             .has = offsetof(lamina_elu, has_alpha),
                                             .most = 1e6},
                                            {0}};
static const char *const gelu_forms[] = {"erf", "tanh", NULL};
static const lamina_attr_def gelu_attrs[] = {
    {.name = "form", .type = LAMINA_ATTR_ENUM, .offset = offsetof(lamina_gelu, form), .choices = gelu_forms}, {0}};
static const lamina_attr_def softplus_attrs[] = {{.name = "beta",
                                                  .type = LAMINA_ATTR_REAL,
                                                  .offset = offsetof(lamina_softplus, beta),
                                                  .preset = 1,
                                                  .least = 1e-6,
                                                  .most = 1e6},
                                                 {0}};

/* ---- Test cases ------------------------------------------------------------------------------------------------- */

/* ReLU passes integers through, and about half of them become 0; most others round. */
static bool fills_relu(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  if (exact) lamina_fill_integers(p, fill, -5, 5);
  return true;
}

/* Exact for slopes that are a small whole number of eighths. */
static bool fills_leaky_relu(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  const double eighths = 8 * ((const lamina_leaky_relu *)lamina_attr(p))->slope;
  if (exact) lamina_fill_integers(p, fill, -9, 9);
  return !exact || (eighths == nearbyint(eighths) && eighths <= 0x1p16);
}

static void sample_leaky_relu(lamina_problem *p, lamina_draw *draw) {
  const lamina_leaky_relu leaky = {.slope = (double)LAMINA_PICK(draw, "slope", 0, 1, 25, 50, 100, 200) / 100,
                                   .has_slope = 1};
  lamina_draw_alike(p, draw);
  memcpy(p->attr, &leaky, sizeof leaky);
}

static void sample_elu(lamina_problem *p, lamina_draw *draw) {
  const lamina_elu elu = {.alpha = (double)LAMINA_PICK(draw, "alpha", 0, 1, 3, 10, 25) / 10, .has_alpha = 1};
  lamina_draw_alike(p, draw);
  memcpy(p->attr, &elu, sizeof elu);
}

static void sample_gelu(lamina_problem *p, lamina_draw *draw) {
  const lamina_gelu gelu = {.form = LAMINA_PICK(draw, "form", LAMINA_GELU_ERF, LAMINA_GELU_TANH)};
  lamina_draw_alike(p, draw);
  memcpy(p->attr, &gelu, sizeof gelu);
}

static void sample_softplus(lamina_problem *p, lamina_draw *draw) {
  const lamina_softplus softplus = {.beta = (double)LAMINA_PICK(draw, "beta", 1, 10, 17, 400) / 10};
  lamina_draw_alike(p, draw);
  memcpy(p->attr, &softplus, sizeof softplus);
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

/* `saved`: what backward takes, x or y; then further fields of both rows, and of the first. */
#define ROWS(family, saved, fields, ...)                                                                               \
  {.name = #family "/forward",                                                                                         \
   .by_example = true,                                                                                                 \
   .args = forward_args,                                                                                               \
   .infer = infer_forward,                                                                                             \
   .element = lamina_##family##_forward_element,                                                                       \
   LAMINA_UNPACK fields,                                                                                               \
   __VA_ARGS__},                                                                                                       \
  {                                                                                                                    \
    .name = #family "/backward", .by_example = true, .args = backward_args_##saved, .infer = infer_backward,           \
    .element = lamina_##family##_backward_element, LAMINA_UNPACK fields                                                \
  }
#define PLAIN(family, saved, fills_) ROWS(family, saved, (.attrs = no_attrs, .fills = fills_), .sample = NULL)
#define WITH_ATTRS(family, saved, fills_)                                                                              \
  ROWS(family, saved, (.attrs = family##_attrs, .attr_size = sizeof(lamina_##family), .fills = fills_),                \
       .sample = sample_##family)

const lamina_op_def lamina_ops_relu[] = {PLAIN(relu, y, fills_relu), {0}};
const lamina_op_def lamina_ops_leaky_relu[] = {WITH_ATTRS(leaky_relu, y, fills_leaky_relu), {0}};
const lamina_op_def lamina_ops_sigmoid[] = {PLAIN(sigmoid, y, NULL), {0}};
const lamina_op_def lamina_ops_tanh[] = {PLAIN(tanh, y, NULL), {0}};
const lamina_op_def lamina_ops_elu[] = {WITH_ATTRS(elu, y, NULL), {0}};
const lamina_op_def lamina_ops_selu[] = {PLAIN(selu, y, NULL), {0}};
const lamina_op_def lamina_ops_gelu[] = {WITH_ATTRS(gelu, x, NULL), {0}};
const lamina_op_def lamina_ops_silu[] = {PLAIN(silu, x, NULL), {0}};
const lamina_op_def lamina_ops_softplus[] = {WITH_ATTRS(softplus, y, NULL), {0}};
const lamina_op_def lamina_ops_hard_sigmoid[] = {PLAIN(hard_sigmoid, x, NULL), {0}};
const lamina_op_def lamina_ops_softsign[] = {PLAIN(softsign, y, NULL), {0}};

#define CALLS_PLAIN(family, saved)                                                                                     \
  LAMINA_DEFINE_CALLS(family##_forward, #family "/forward", NULL, (x, y), const lamina_tensor *x,                      \
                      const lamina_tensor *y)                                                                          \
  LAMINA_DEFINE_CALLS(family##_backward, #family "/backward", NULL, (saved, dy, dx), const lamina_tensor *saved,       \
                      const lamina_tensor *dy, const lamina_tensor *dx)
#define CALLS_WITH_ATTRS(family, saved)                                                                                \
  LAMINA_DEFINE_CALLS(family##_forward, #family "/forward", family, (x, y), const lamina_##family *family,             \
                      const lamina_tensor *x, const lamina_tensor *y)                                                  \
  LAMINA_DEFINE_CALLS(family##_backward, #family "/backward", family, (saved, dy, dx), const lamina_##family *family,  \
                      const lamina_tensor *saved, const lamina_tensor *dy, const lamina_tensor *dx)

CALLS_PLAIN(relu, y)
CALLS_WITH_ATTRS(leaky_relu, y)
CALLS_PLAIN(sigmoid, y)
CALLS_PLAIN(tanh, y)
CALLS_WITH_ATTRS(elu, y)
CALLS_PLAIN(selu, y)
CALLS_WITH_ATTRS(gelu, x)
CALLS_PLAIN(silu, x)
CALLS_WITH_ATTRS(softplus, y)
CALLS_PLAIN(hard_sigmoid, x)
CALLS_PLAIN(softsign, y)
