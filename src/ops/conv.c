/* Convolution, alone and with a ReLU: rows, validation, shapes and the typed calls. The references are in conv_ref.c. */
#include "ops/conv.h"

#include "core/draw.h"
#include "core/plan.h"
#include "ops/conv_args.h"

static const lamina_attr_def attrs[] = {
    {.name = "pad", .type = LAMINA_ATTR_PADS, .offset = offsetof(lamina_conv, pad), .most = 0x1p31},
    {.name = "stride",
     .type = LAMINA_ATTR_AXES,
     .offset = offsetof(lamina_conv, stride),
     .preset = 1,
     .least = 1,
     .most = 0x1p31},
    {.name = "dilation",
     .type = LAMINA_ATTR_AXES,
     .offset = offsetof(lamina_conv, dilation),
     .preset = 1,
     .least = 1,
     .most = 0x1p31},
    {.name = "groups",
     .type = LAMINA_ATTR_INT,
     .offset = offsetof(lamina_conv, groups),
     .preset = 1,
     .least = 1,
     .most = 0x1p31},
    {.name = "flip", .type = LAMINA_ATTR_BOOL, .offset = offsetof(lamina_conv, flip)},
    {0}};

static const lamina_arg_def gated_args[] = {{"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                            {"w", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                            {"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                            {"dx", LAMINA_OUT, false, LAMINA_FLOATING, "x"},
                                            {0}};

LAMINA_CHECK_ARGS(conv_forward, forward_args);
LAMINA_CHECK_ARGS(conv_backward_data, backward_data_args);
LAMINA_CHECK_ARGS(conv_backward_weights, backward_weights_args);
LAMINA_CHECK_ARGS(conv_backward_bias, backward_bias_args);
LAMINA_CHECK_ARGS(conv_relu_forward, forward_args);
LAMINA_CHECK_ARGS(relu_conv_backward_data, gated_args);

lamina_status lamina_conv_output(const lamina_problem *p, int x, int w, int a, int64_t filter, const lamina_conv *conv,
                                 int64_t *y) {
  int64_t padded, reach;
  if (filter < 1) return lamina_problem_error(p, w, "expected at least 1 on every spatial axis");
  if (!lamina_sum(p->arg[x].dims[2 + a], conv->pad[a][0] + conv->pad[a][1], &padded) ||
      !lamina_mul(filter - 1, conv->dilation[a], &reach))
    return lamina_problem_error(p, x, "its size overflows with padding and dilation");
  if (padded <= reach)
    return lamina_problem_error(p, x, "with padding its spatial axis %d has %lld elements, but the filter needs %lld",
                                a, (long long)padded, (long long)reach + 1);
  *y = (padded - reach - 1) / conv->stride[a] + 1;
  return LAMINA_OK;
}

/* Checks input x [N, C, spatial…] against filter w [K, C/groups, filter…] and gives the dims of y. */
static lamina_status output_dims(lamina_problem *p, int x, int w, int64_t *y) {
  const lamina_desc *in = &p->arg[x], *filter = &p->arg[w];
  const lamina_conv *conv = lamina_attr(p);
  const int axes = in->rank - 2;
  LAMINA_TRY(lamina_want_rank(p, x, 3, 5));
  LAMINA_TRY(lamina_want_rank(p, w, in->rank, in->rank));
  LAMINA_TRY(lamina_trim_axes(p, axes));
  if (in->dims[1] % conv->groups || in->dims[1] / conv->groups != filter->dims[1])
    return lamina_problem_error(p, w, "expected axis 1 to be the input's %lld channels over %lld groups",
                                (long long)in->dims[1], (long long)conv->groups);
  if (filter->dims[0] % conv->groups)
    return lamina_problem_error(p, w, "its %lld filters can't be split into %lld groups", (long long)filter->dims[0],
                                (long long)conv->groups);
  y[0] = in->dims[0];
  y[1] = filter->dims[0];
  for (int a = 0; a < axes; a++) LAMINA_TRY(lamina_conv_output(p, x, w, a, filter->dims[2 + a], conv, &y[2 + a]));
  return LAMINA_OK;
}

static lamina_status infer_forward(lamina_problem *p) {
  const lamina_desc *x = &p->arg[LAMINA_CONV_FORWARD_X];
  int64_t y[LAMINA_MAX_RANK];
  LAMINA_TRY(output_dims(p, LAMINA_CONV_FORWARD_X, LAMINA_CONV_FORWARD_W, y));
  LAMINA_TRY(lamina_want_dims(p, LAMINA_CONV_FORWARD_B, 1, &y[1]));
  return lamina_set_output(p, LAMINA_CONV_FORWARD_Y, (lamina_dtype)x->dtype, x->rank, y);
}

static lamina_status infer_backward_data(lamina_problem *p) {
  int64_t y[LAMINA_MAX_RANK];
  LAMINA_TRY(lamina_want_shape(p, LAMINA_CONV_DATA_DX));
  LAMINA_TRY(output_dims(p, LAMINA_CONV_DATA_DX, LAMINA_CONV_DATA_W, y));
  return lamina_want_dims(p, LAMINA_CONV_DATA_DY, p->arg[LAMINA_CONV_DATA_DX].rank, y);
}

static lamina_status infer_gated(lamina_problem *p) {
  const lamina_desc *x = &p->arg[LAMINA_CONV_GATED_X];
  int64_t y[LAMINA_MAX_RANK];
  LAMINA_TRY(output_dims(p, LAMINA_CONV_GATED_X, LAMINA_CONV_DATA_W, y));
  LAMINA_TRY(lamina_want_dims(p, LAMINA_CONV_DATA_DY, x->rank, y));
  return lamina_set_output(p, LAMINA_CONV_GATED_DX, (lamina_dtype)p->arg[LAMINA_CONV_DATA_DY].dtype, x->rank, x->dims);
}

static lamina_status infer_backward_weights(lamina_problem *p) {
  int64_t y[LAMINA_MAX_RANK];
  LAMINA_TRY(lamina_want_shape(p, LAMINA_CONV_WEIGHTS_DW));
  LAMINA_TRY(output_dims(p, LAMINA_CONV_WEIGHTS_X, LAMINA_CONV_WEIGHTS_DW, y));
  return lamina_want_dims(p, LAMINA_CONV_WEIGHTS_DY, p->arg[LAMINA_CONV_WEIGHTS_X].rank, y);
}

static lamina_status infer_backward_bias(lamina_problem *p) {
  const lamina_desc *dy = &p->arg[LAMINA_CONV_BIAS_DY];
  LAMINA_TRY(lamina_want_rank(p, LAMINA_CONV_BIAS_DY, 3, 5));
  memset(p->attr, 0, sizeof p->attr); /* a sum over dy, however it came about */
  return lamina_set_output(p, LAMINA_CONV_BIAS_DB, (lamina_dtype)dy->dtype, 1, &dy->dims[1]);
}

/* 2 operations for each output element and filter tap; padded taps count too, as the field counts them. */
static double flops_of(const lamina_desc *y, const lamina_desc *w) {
  return w->dims[0] ? 2.0 * (double)lamina_desc_count(y) * (double)lamina_desc_count(w) / (double)w->dims[0] : 0;
}
static double flops_forward(const lamina_problem *p) {
  return flops_of(&p->arg[LAMINA_CONV_FORWARD_Y], &p->arg[LAMINA_CONV_FORWARD_W]);
}
static double flops_backward_data(const lamina_problem *p) {
  return flops_of(&p->arg[LAMINA_CONV_DATA_DY], &p->arg[LAMINA_CONV_DATA_W]);
}
static double flops_backward_weights(const lamina_problem *p) {
  return flops_of(&p->arg[LAMINA_CONV_WEIGHTS_DY], &p->arg[LAMINA_CONV_WEIGHTS_DW]);
}
static double flops_backward_bias(const lamina_problem *p) {
  return (double)lamina_desc_count(&p->arg[LAMINA_CONV_BIAS_DY]);
}

/* Products of integers up to 2: sums stay exact in f32 for K up to 2^22. */
static bool fills(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  if (exact) lamina_fill_integers(p, fill, -2, 2);
  return true;
}

static void sample(lamina_problem *p, lamina_draw *draw) {
  lamina_conv conv = {.groups = LAMINA_PICK(draw, "groups", 1, 1, 2, 3), .flip = LAMINA_PICK(draw, "flip", 0, 0, 1)};
  const int axes = (int)LAMINA_PICK(draw, "axes", 1, 2, 2, 3);
  const int64_t C = LAMINA_PICK(draw, "channels", 1, 2, 3, 5, 8, 16, 17, 32); /* of a group; 1: depthwise */
  const int64_t K = conv.groups * LAMINA_PICK(draw, "filters", 1, 2, 3, 5, 16, 17, 32);
  int64_t x[5] = {LAMINA_PICK(draw, "batch", 1, 2, 3, 5, 16, 0), C * conv.groups}, w[5] = {K, C};
  for (int a = 0; a < axes; a++) {
    x[2 + a] = LAMINA_PICK(draw, "size", 1, 2, 3, 5, 7, 11, 16);
    w[2 + a] = LAMINA_PICK(draw, "filter", 1, 2, 3, 5);
    conv.stride[a] = LAMINA_PICK(draw, "stride", 1, 1, 2, 3);
    conv.dilation[a] = LAMINA_PICK(draw, "dilation", 1, 1, 2);
    for (int side = 0; side < 2; side++) conv.pad[a][side] = LAMINA_PICK(draw, "pad", 0, 1, 2, 3);
  }
  memcpy(p->attr, &conv, sizeof conv);
  p->arg[LAMINA_CONV_FORWARD_X] = lamina_draw_shape(draw, 2 + axes, x);
  p->arg[LAMINA_CONV_FORWARD_W] = lamina_draw_shape(draw, 2 + axes, w);
  p->arg[LAMINA_CONV_FORWARD_B] = lamina_draw_shape(draw, 1, &K);
}

/* dy's shape is the one that the forward pass gives. */
static void sample_gated(lamina_problem *p, lamina_draw *draw) {
  lamina_problem forward = {.op = lamina_op_find("conv/forward")};
  sample(&forward, draw);
  forward.arg[LAMINA_CONV_FORWARD_Y] = lamina_infer(LAMINA_NONE);
  memcpy(p->attr, forward.attr, sizeof p->attr);
  p->arg[LAMINA_CONV_DATA_W] = forward.arg[LAMINA_CONV_FORWARD_W];
  p->arg[LAMINA_CONV_GATED_X] = forward.arg[LAMINA_CONV_FORWARD_X];
  if (lamina_problem_infer(&forward)) return; /* then this case isn't one, either */
  const lamina_desc *y = &forward.arg[LAMINA_CONV_FORWARD_Y];
  p->arg[LAMINA_CONV_DATA_DY] = lamina_draw_shape(draw, y->rank, y->dims);
}

#define ROW(pass)                                                                                                      \
  .name = "conv/" #pass, .by_example = true, .args = pass##_args, .attrs = attrs, .attr_size = sizeof(lamina_conv),    \
  .infer = infer_##pass, .element = lamina_conv_##pass##_element, .fills = fills, .flops = flops_##pass
const lamina_op_def lamina_ops_conv[] = {
    {ROW(forward), .sample = sample}, {ROW(backward_data)}, {ROW(backward_weights)}, {ROW(backward_bias)}, {0}};

const lamina_op_def lamina_ops_conv_relu[] = {{.name = "conv_relu/forward",
                                               .parts = (const char *const[]){"conv/forward", "relu/forward", NULL},
                                               .args = forward_args,
                                               .attrs = attrs,
                                               .attr_size = sizeof(lamina_conv),
                                               .infer = infer_forward,
                                               .element = lamina_conv_relu_forward_element,
                                               .fills = fills,
                                               .sample = sample,
                                               .flops = flops_forward},
                                              {0}};
const lamina_op_def lamina_ops_relu_conv[] = {
    {.name = "relu_conv/backward_data",
     .parts = (const char *const[]){"conv/backward_data", "relu/backward", NULL},
     .args = gated_args,
     .attrs = attrs,
     .attr_size = sizeof(lamina_conv),
     .infer = infer_gated,
     .element = lamina_relu_conv_backward_data_element,
     .fills = fills,
     .sample = sample_gated,
     .flops = flops_backward_data},
    {0}};

LAMINA_DEFINE_CALLS(conv_forward, "conv/forward", conv, (x, w, b, y), const lamina_conv *conv, const lamina_tensor *x,
                    const lamina_tensor *w, const lamina_tensor *b, const lamina_tensor *y)
LAMINA_DEFINE_CALLS(conv_backward_data, "conv/backward_data", conv, (dy, w, dx), const lamina_conv *conv,
                    const lamina_tensor *dy, const lamina_tensor *w, const lamina_tensor *dx)
LAMINA_DEFINE_CALLS(conv_backward_weights, "conv/backward_weights", conv, (x, dy, dw), const lamina_conv *conv,
                    const lamina_tensor *x, const lamina_tensor *dy, const lamina_tensor *dw)
LAMINA_DEFINE_CALLS(conv_relu_forward, "conv_relu/forward", conv, (x, w, b, y), const lamina_conv *conv,
                    const lamina_tensor *x, const lamina_tensor *w, const lamina_tensor *b, const lamina_tensor *y)
LAMINA_DEFINE_CALLS(relu_conv_backward_data, "relu_conv/backward_data", conv, (dy, w, x, dx), const lamina_conv *conv,
                    const lamina_tensor *dy, const lamina_tensor *w, const lamina_tensor *x, const lamina_tensor *dx)
LAMINA_DEFINE_CALLS(conv_backward_bias, "conv/backward_bias", conv, (dy, db), const lamina_conv *conv,
                    const lamina_tensor *dy, const lamina_tensor *db)
