/* Fully connected, alone and with a ReLU: rows, shapes and the typed calls. The references are in fc_ref.c. */
#include "ops/fc.h"

#include "core/draw.h"
#include "core/plan.h"

static const lamina_attr_def attrs[] = {{0}};
static const lamina_arg_def forward_args[] = {{"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                              {"w", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                              {"b", LAMINA_IN, true, LAMINA_FLOATING, NULL},
                                              {"y", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                              {0}};
static const lamina_arg_def backward_data_args[] = {{"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                                    {"w", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                                    {"dx", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                                    {0}};
static const lamina_arg_def backward_weights_args[] = {{"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                                       {"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                                       {"dw", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                                       {0}};
static const lamina_arg_def backward_bias_args[] = {
    {"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL}, {"db", LAMINA_OUT, false, LAMINA_FLOATING, NULL}, {0}};

static const lamina_arg_def gated_args[] = {{"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                            {"w", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                            {"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                            {"dx", LAMINA_OUT, false, LAMINA_FLOATING, "x"},
                                            {0}};

LAMINA_CHECK_ARGS(fc_forward, forward_args);
LAMINA_CHECK_ARGS(fc_backward_data, backward_data_args);
LAMINA_CHECK_ARGS(fc_backward_weights, backward_weights_args);
LAMINA_CHECK_ARGS(fc_backward_bias, backward_bias_args);
LAMINA_CHECK_ARGS(fc_relu_forward, forward_args);
LAMINA_CHECK_ARGS(relu_fc_backward_data, gated_args);

static lamina_status infer_forward(lamina_problem *p) {
  const lamina_desc *x = &p->arg[LAMINA_FC_FORWARD_X], *w = &p->arg[LAMINA_FC_FORWARD_W];
  LAMINA_TRY(lamina_want_rank(p, LAMINA_FC_FORWARD_X, 2, 2));
  LAMINA_TRY(lamina_want_rank(p, LAMINA_FC_FORWARD_W, 2, 2));
  LAMINA_TRY(lamina_want_dims(p, LAMINA_FC_FORWARD_W, 2, (int64_t[]){w->dims[0], x->dims[1]}));
  LAMINA_TRY(lamina_want_dims(p, LAMINA_FC_FORWARD_B, 1, w->dims));
  return lamina_set_output(p, LAMINA_FC_FORWARD_Y, (lamina_dtype)x->dtype, 2, (int64_t[]){x->dims[0], w->dims[0]});
}

static lamina_status infer_data(lamina_problem *p, int gate, int dx) {
  const lamina_desc *dy = &p->arg[LAMINA_FC_DATA_DY], *w = &p->arg[LAMINA_FC_DATA_W];
  LAMINA_TRY(lamina_want_rank(p, LAMINA_FC_DATA_DY, 2, 2));
  LAMINA_TRY(lamina_want_rank(p, LAMINA_FC_DATA_W, 2, 2));
  LAMINA_TRY(lamina_want_dims(p, LAMINA_FC_DATA_W, 2, (int64_t[]){dy->dims[1], w->dims[1]}));
  const int64_t dims[] = {dy->dims[0], w->dims[1]};
  if (gate >= 0) LAMINA_TRY(lamina_want_dims(p, gate, 2, dims));
  return lamina_set_output(p, dx, (lamina_dtype)dy->dtype, 2, dims);
}
static lamina_status infer_backward_data(lamina_problem *p) { return infer_data(p, -1, LAMINA_FC_DATA_DX); }
static lamina_status infer_gated(lamina_problem *p) { return infer_data(p, LAMINA_FC_GATED_X, LAMINA_FC_GATED_DX); }

static lamina_status infer_backward_weights(lamina_problem *p) {
  const lamina_desc *x = &p->arg[LAMINA_FC_WEIGHTS_X], *dy = &p->arg[LAMINA_FC_WEIGHTS_DY];
  LAMINA_TRY(lamina_want_rank(p, LAMINA_FC_WEIGHTS_X, 2, 2));
  LAMINA_TRY(lamina_want_rank(p, LAMINA_FC_WEIGHTS_DY, 2, 2));
  LAMINA_TRY(lamina_want_dims(p, LAMINA_FC_WEIGHTS_DY, 2, (int64_t[]){x->dims[0], dy->dims[1]}));
  return lamina_set_output(p, LAMINA_FC_WEIGHTS_DW, (lamina_dtype)x->dtype, 2, (int64_t[]){dy->dims[1], x->dims[1]});
}

static lamina_status infer_backward_bias(lamina_problem *p) {
  const lamina_desc *dy = &p->arg[LAMINA_FC_BIAS_DY];
  LAMINA_TRY(lamina_want_rank(p, LAMINA_FC_BIAS_DY, 2, 2));
  return lamina_set_output(p, LAMINA_FC_BIAS_DB, (lamina_dtype)dy->dtype, 1, &dy->dims[1]);
}

/* 2 operations for each product: rows of the left matrix, times the elements of w or dw. */
static double flops_of(const lamina_desc *left, const lamina_desc *w) {
  return 2.0 * (double)left->dims[0] * (double)lamina_desc_count(w);
}
static double flops_forward(const lamina_problem *p) {
  return flops_of(&p->arg[LAMINA_FC_FORWARD_X], &p->arg[LAMINA_FC_FORWARD_W]);
}
static double flops_backward_data(const lamina_problem *p) {
  return flops_of(&p->arg[LAMINA_FC_DATA_DY], &p->arg[LAMINA_FC_DATA_W]);
}
static double flops_backward_weights(const lamina_problem *p) {
  return flops_of(&p->arg[LAMINA_FC_WEIGHTS_X], &p->arg[LAMINA_FC_WEIGHTS_DW]);
}
static double flops_backward_bias(const lamina_problem *p) {
  return (double)lamina_desc_count(&p->arg[LAMINA_FC_BIAS_DY]);
}

/* Products of integers up to 2: sums stay exact in f32 for K up to 2^22. */
static bool fills(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  if (exact) lamina_fill_integers(p, fill, -2, 2);
  return true;
}

static void sample(lamina_problem *p, lamina_draw *draw) {
  const int64_t N = LAMINA_PICK(draw, "batch", 1, 2, 3, 7, 33, 0);
  const int64_t K = LAMINA_PICK(draw, "inputs", 1, 2, 3, 7, 16, 65, 257, 0);
  const int64_t O = LAMINA_PICK(draw, "outputs", 1, 2, 3, 10, 16, 67);
  p->arg[LAMINA_FC_FORWARD_X] = lamina_draw_shape(draw, 2, (int64_t[]){N, K});
  p->arg[LAMINA_FC_FORWARD_W] = lamina_draw_shape(draw, 2, (int64_t[]){O, K});
  p->arg[LAMINA_FC_FORWARD_B] = lamina_draw_shape(draw, 1, &O);
}

static void sample_gated(lamina_problem *p, lamina_draw *draw) {
  lamina_problem forward = {0};
  sample(&forward, draw);
  const int64_t *x = forward.arg[LAMINA_FC_FORWARD_X].dims, *w = forward.arg[LAMINA_FC_FORWARD_W].dims;
  p->arg[LAMINA_FC_DATA_DY] = lamina_draw_shape(draw, 2, (int64_t[]){x[0], w[0]});
  p->arg[LAMINA_FC_DATA_W] = forward.arg[LAMINA_FC_FORWARD_W];
  p->arg[LAMINA_FC_GATED_X] = forward.arg[LAMINA_FC_FORWARD_X];
}

#define ROW(pass)                                                                                                      \
  .name = "fc/" #pass, .by_example = true, .args = pass##_args, .attrs = attrs, .infer = infer_##pass,                 \
  .element = lamina_fc_##pass##_element, .fills = fills, .flops = flops_##pass
const lamina_op_def lamina_ops_fc[] = {
    {ROW(forward), .sample = sample}, {ROW(backward_data)}, {ROW(backward_weights)}, {ROW(backward_bias)}, {0}};

const lamina_op_def lamina_ops_fc_relu[] = {{.name = "fc_relu/forward",
                                             .parts = (const char *const[]){"fc/forward", "relu/forward", NULL},
                                             .args = forward_args,
                                             .attrs = attrs,
                                             .infer = infer_forward,
                                             .element = lamina_fc_relu_forward_element,
                                             .fills = fills,
                                             .sample = sample,
                                             .flops = flops_forward},
                                            {0}};
const lamina_op_def lamina_ops_relu_fc[] = {{.name = "relu_fc/backward_data",
                                             .parts = (const char *const[]){"fc/backward_data", "relu/backward", NULL},
                                             .args = gated_args,
                                             .attrs = attrs,
                                             .infer = infer_gated,
                                             .element = lamina_relu_fc_backward_data_element,
                                             .fills = fills,
                                             .sample = sample_gated,
                                             .flops = flops_backward_data},
                                            {0}};

LAMINA_DEFINE_CALLS(fc_forward, "fc/forward", NULL, (x, w, b, y), const lamina_tensor *x, const lamina_tensor *w,
                    const lamina_tensor *b, const lamina_tensor *y)
LAMINA_DEFINE_CALLS(fc_backward_data, "fc/backward_data", NULL, (dy, w, dx), const lamina_tensor *dy,
                    const lamina_tensor *w, const lamina_tensor *dx)
LAMINA_DEFINE_CALLS(fc_backward_weights, "fc/backward_weights", NULL, (x, dy, dw), const lamina_tensor *x,
                    const lamina_tensor *dy, const lamina_tensor *dw)
LAMINA_DEFINE_CALLS(fc_relu_forward, "fc_relu/forward", NULL, (x, w, b, y), const lamina_tensor *x,
                    const lamina_tensor *w, const lamina_tensor *b, const lamina_tensor *y)
LAMINA_DEFINE_CALLS(relu_fc_backward_data, "relu_fc/backward_data", NULL, (dy, w, x, dx), const lamina_tensor *dy,
                    const lamina_tensor *w, const lamina_tensor *x, const lamina_tensor *dx)
LAMINA_DEFINE_CALLS(fc_backward_bias, "fc/backward_bias", NULL, (dy, db), const lamina_tensor *dy,
                    const lamina_tensor *db)
