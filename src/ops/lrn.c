/* Local response normalisation: rows, shapes and the typed calls. The references are in lrn_ref.c. */
#include "ops/lrn.h"

#include "core/draw.h"
#include "core/plan.h"

static const lamina_attr_def attrs[] = {
    {.name = "size",
     .type = LAMINA_ATTR_INT,
     .offset = offsetof(lamina_lrn, size),
     .preset = 5,
     .least = 1,
     .most = 0x1p20},
    {.name = "alpha",
     .type = LAMINA_ATTR_REAL,
     .offset = offsetof(lamina_lrn, alpha),
     .preset = 1e-4,
     .least = 1e-12,
     .most = 1e6},
    {.name = "beta",
     .type = LAMINA_ATTR_REAL,
     .offset = offsetof(lamina_lrn, beta),
     .preset = 0.75,
     .least = 0.01,
     .most = 10},
    {.name = "k", .type = LAMINA_ATTR_REAL, .offset = offsetof(lamina_lrn, k), .preset = 1, .least = 1e-5, .most = 1e5},
    {.name = "within", .type = LAMINA_ATTR_BOOL, .offset = offsetof(lamina_lrn, within)},
    {0}};
static const lamina_arg_def forward_args[] = {
    {"x", LAMINA_IN, false, LAMINA_FLOATING, NULL}, {"y", LAMINA_OUT, false, LAMINA_FLOATING, "x"}, {0}};
static const lamina_arg_def backward_args[] = {{"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                               {"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                               {"dx", LAMINA_OUT, false, LAMINA_FLOATING, "dy"},
                                               {0}};
LAMINA_CHECK_ARGS(lrn_forward, forward_args);
LAMINA_CHECK_ARGS(lrn_backward, backward_args);

static lamina_status want_axes(const lamina_problem *p) {
  const bool within = ((const lamina_lrn *)lamina_attr(p))->within;
  return lamina_want_rank(p, LAMINA_LRN_X, within ? 3 : 2, within ? 5 : LAMINA_MAX_RANK);
}

static lamina_status infer_forward(lamina_problem *p) {
  const lamina_desc *x = &p->arg[LAMINA_LRN_X];
  LAMINA_TRY(want_axes(p));
  return lamina_set_output(p, LAMINA_LRN_Y, (lamina_dtype)x->dtype, x->rank, x->dims);
}

static lamina_status infer_backward(lamina_problem *p) {
  const lamina_desc *x = &p->arg[LAMINA_LRN_X], *dy = &p->arg[LAMINA_LRN_DY];
  LAMINA_TRY(want_axes(p));
  LAMINA_TRY(lamina_want_dims(p, LAMINA_LRN_DY, x->rank, x->dims));
  return lamina_set_output(p, LAMINA_LRN_DX, (lamina_dtype)dy->dtype, x->rank, x->dims);
}

/* Large alphas, so that much happens. */
static void sample(lamina_problem *p, lamina_draw *draw) {
  const bool within = LAMINA_PICK(draw, "within", 0, 1);
  const int spatial = (int)LAMINA_PICK(draw, "spatial", 0, 1, 2, 3);
  const lamina_lrn lrn = {.size = LAMINA_PICK(draw, "window", 1, 2, 3, 5, 12),
                          .alpha = (double)LAMINA_PICK(draw, "alpha", 1, 10, 50) / 10,
                          .beta = (double)LAMINA_PICK(draw, "beta", 2, 3, 4, 7) / 4,
                          .k = (double)LAMINA_PICK(draw, "k", 1, 4, 8) / 4,
                          .within = within};
  int64_t dims[5] = {LAMINA_PICK(draw, "batch", 1, 2, 3, 0), LAMINA_PICK(draw, "channels", 1, 3, 4, 16, 33)};
  for (int d = 0; d < spatial; d++) dims[2 + d] = LAMINA_PICK(draw, "size", 1, 2, 5, 9);
  if (spatial > 0 && LAMINA_PICK(draw, "many", 0, 0, 0, 1)) dims[1 + spatial] = 5003 / dims[1];
  memcpy(p->attr, &lrn, sizeof lrn);
  p->arg[LAMINA_LRN_X] = lamina_draw_shape(draw, 2 + spatial, dims);
}

/* The window's sum, and some for the power. */
static double flops(const lamina_problem *p) {
  const lamina_lrn *lrn = lamina_attr(p);
  const double axes = lrn->within ? p->arg[LAMINA_LRN_X].rank - 2 : 1;
  return ((double)lrn->size * axes + 8) * (double)lamina_desc_count(&p->arg[LAMINA_LRN_X]);
}
static double backward_flops(const lamina_problem *p) { return 2 * flops(p); }

#define ROW(pass)                                                                                                      \
  .name = "lrn/" #pass, .by_example = true, .args = pass##_args, .attrs = attrs, .attr_size = sizeof(lamina_lrn),      \
  .infer = infer_##pass, .scratch = lamina_lrn_##pass##_scratch, .prepare = lamina_lrn_##pass##_prepare,               \
  .element = lamina_lrn_##pass##_element
const lamina_op_def lamina_ops_lrn[] = {
    {ROW(forward), .flops = flops, .sample = sample}, {ROW(backward), .flops = backward_flops}, {0}};

LAMINA_DEFINE_CALLS(lrn_forward, "lrn/forward", lrn, (x, y), const lamina_lrn *lrn, const lamina_tensor *x,
                    const lamina_tensor *y)
LAMINA_DEFINE_CALLS(lrn_backward, "lrn/backward", lrn, (x, dy, dx), const lamina_lrn *lrn, const lamina_tensor *x,
                    const lamina_tensor *dy, const lamina_tensor *dx)
