/* Transposed convolution: rows, validation, shapes, the typed calls, and the references, which are convolution's with
 * the sides changed: our y is the side that the filter slides over. */
#include "lamina/conv_transpose.h"

#include <math.h>

#include "core/draw.h"
#include "core/plan.h"
#include "ops/conv.h"
#include "ops/conv_args.h"

enum { FORWARD_X, FORWARD_W, FORWARD_B, FORWARD_Y };
enum { DATA_DY, DATA_W, DATA_DX };
enum { WEIGHTS_X, WEIGHTS_DY, WEIGHTS_DW };
enum { BIAS_DY, BIAS_DB };

#define AXES(field, preset_, least_)                                                                                   \
  {                                                                                                                    \
    .name = #field, .type = LAMINA_ATTR_AXES, .offset = offsetof(lamina_conv_transpose, field), .preset = preset_,     \
    .least = least_, .most = 0x1p31                                                                                    \
  }
static const lamina_attr_def attrs[] = {
    {.name = "pad", .type = LAMINA_ATTR_PADS, .offset = offsetof(lamina_conv_transpose, pad), .most = 0x1p31},
    AXES(stride, 1, 1),
    AXES(dilation, 1, 1),
    AXES(output_pad, 0, 0),
    {.name = "groups",
     .type = LAMINA_ATTR_INT,
     .offset = offsetof(lamina_conv_transpose, groups),
     .preset = 1,
     .least = 1,
     .most = 0x1p31},
    {0}};

LAMINA_CHECK_ARGS(conv_transpose_forward, forward_args);
LAMINA_CHECK_ARGS(conv_transpose_backward_data, backward_data_args);
LAMINA_CHECK_ARGS(conv_transpose_backward_weights, backward_weights_args);
LAMINA_CHECK_ARGS(conv_transpose_backward_bias, backward_bias_args);

/* ---- Shapes ----------------------------------------------------------------------------------------------------- */

/* What `size` inputs reach along an axis before padding cuts: (size - 1)*stride + dilation*(filter - 1) + 1 +
 * output_pad; -1: more than can be counted. */
static int64_t reached(const lamina_conv_transpose *conv, int a, int64_t size, int64_t filter) {
  int64_t steps, reach, sum;
  if (!lamina_mul(size - 1, conv->stride[a], &steps) || !lamina_mul(filter - 1, conv->dilation[a], &reach) ||
      !lamina_sum(steps, reach, &sum) || !lamina_sum(sum, conv->output_pad[a] + 1, &sum))
    return -1;
  return sum;
}

/* Checks input x [N, C, spatial…] against filter w [C, K/groups, filter…] and gives the dims of y. */
static lamina_status output_dims(lamina_problem *p, int x, int w, int64_t *y) {
  const lamina_desc *in = &p->arg[x], *filter = &p->arg[w];
  const lamina_conv_transpose *conv = lamina_attr(p);
  const int axes = in->rank - 2;
  LAMINA_TRY(lamina_want_rank(p, x, 3, 5));
  LAMINA_TRY(lamina_want_rank(p, w, in->rank, in->rank));
  LAMINA_TRY(lamina_trim_axes(p, axes));
  if (in->dims[1] != filter->dims[0])
    return lamina_problem_error(p, w, "expected axis 0 to be the input's %lld channels", (long long)in->dims[1]);
  if (in->dims[1] % conv->groups)
    return lamina_problem_error(p, x, "its %lld channels can't be split into %lld groups", (long long)in->dims[1],
                                (long long)conv->groups);
  y[0] = in->dims[0];
  if (!lamina_mul(filter->dims[1], conv->groups, &y[1]))
    return lamina_problem_error(p, w, "its channels overflow with %lld groups", (long long)conv->groups);
  for (int a = 0; a < axes; a++) {
    if (filter->dims[2 + a] < 1) return lamina_problem_error(p, w, "expected at least 1 on every spatial axis");
    if (in->dims[2 + a] < 1) return lamina_problem_error(p, x, "expected at least 1 on every spatial axis");
    if (conv->output_pad[a] && conv->output_pad[a] >= conv->stride[a] && conv->output_pad[a] >= conv->dilation[a])
      return lamina_problem_error(p, x,
                                  "output_pad is %lld on spatial axis %d; expected less than the stride or the "
                                  "dilation",
                                  (long long)conv->output_pad[a], a);
    const int64_t all = reached(conv, a, in->dims[2 + a], filter->dims[2 + a]), cut = conv->pad[a][0] + conv->pad[a][1];
    if (all < 0) return lamina_problem_error(p, x, "its size overflows with stride and dilation");
    if (all <= cut)
      return lamina_problem_error(p, x, "on spatial axis %d it reaches %lld outputs, and padding cuts %lld off", a,
                                  (long long)all, (long long)cut);
    y[2 + a] = all - cut;
  }
  return LAMINA_OK;
}

static lamina_status infer_forward(lamina_problem *p) {
  const lamina_desc *x = &p->arg[FORWARD_X];
  int64_t y[LAMINA_MAX_RANK];
  LAMINA_TRY(output_dims(p, FORWARD_X, FORWARD_W, y));
  LAMINA_TRY(lamina_want_dims(p, FORWARD_B, 1, &y[1]));
  return lamina_set_output(p, FORWARD_Y, (lamina_dtype)x->dtype, x->rank, y);
}

/* dx follows from dy: output_pad says which size it was. */
static lamina_status infer_backward_data(lamina_problem *p) {
  const lamina_desc *dy = &p->arg[DATA_DY], *w = &p->arg[DATA_W];
  const lamina_conv_transpose *conv = lamina_attr(p);
  int64_t x[LAMINA_MAX_RANK], y[LAMINA_MAX_RANK];
  LAMINA_TRY(lamina_want_rank(p, DATA_DY, 3, 5));
  LAMINA_TRY(lamina_want_rank(p, DATA_W, dy->rank, dy->rank));
  LAMINA_TRY(lamina_trim_axes(p, dy->rank - 2));
  x[0] = dy->dims[0], x[1] = w->dims[0];
  for (int a = 0; a < dy->rank - 2; a++) {
    const int64_t least = w->dims[2 + a] > 0 ? reached(conv, a, 1, w->dims[2 + a]) : -1;
    int64_t all;
    if (!lamina_sum(dy->dims[2 + a], conv->pad[a][0] + conv->pad[a][1], &all) || least < 0 || all < least ||
        (all - least) % conv->stride[a])
      return lamina_problem_error(p, DATA_DY, "no input gives its %lld elements on spatial axis %d",
                                  (long long)dy->dims[2 + a], a);
    x[2 + a] = (all - least) / conv->stride[a] + 1;
  }
  LAMINA_TRY(lamina_set_output(p, DATA_DX, (lamina_dtype)dy->dtype, dy->rank, x));
  LAMINA_TRY(output_dims(p, DATA_DX, DATA_W, y));
  return lamina_want_dims(p, DATA_DY, dy->rank, y);
}

static lamina_status infer_backward_weights(lamina_problem *p) {
  int64_t y[LAMINA_MAX_RANK];
  LAMINA_TRY(lamina_want_shape(p, WEIGHTS_DW));
  LAMINA_TRY(output_dims(p, WEIGHTS_X, WEIGHTS_DW, y));
  return lamina_want_dims(p, WEIGHTS_DY, p->arg[WEIGHTS_X].rank, y);
}

static lamina_status infer_backward_bias(lamina_problem *p) {
  const lamina_desc *dy = &p->arg[BIAS_DY];
  LAMINA_TRY(lamina_want_rank(p, BIAS_DY, 3, 5));
  memset(p->attr, 0, sizeof p->attr); /* a sum over dy, however it came about */
  return lamina_set_output(p, BIAS_DB, (lamina_dtype)dy->dtype, 1, &dy->dims[1]);
}

/* ---- References ------------------------------------------------------------------------------------------------- */

static lamina_conv_sizes sizes_of(const lamina_reference *ref, int x, int w, int y) {
  const lamina_conv_transpose *attr = ref->attr;
  lamina_conv conv = {.groups = attr->groups};
  memcpy(conv.pad, attr->pad, sizeof conv.pad);
  memcpy(conv.stride, attr->stride, sizeof conv.stride);
  memcpy(conv.dilation, attr->dilation, sizeof conv.dilation);
  const lamina_desc *arg = ref->problem->arg;
  return lamina_conv_sizes_of(&conv, &arg[y], &arg[w], &arg[x]);
}

static void forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_conv_sizes s = sizes_of(ref, FORWARD_X, FORWARD_W, arg);
  lamina_conv_sum_data(&s, ref->x[FORWARD_X], ref->x[FORWARD_W], index, e);
  if (ref->x[FORWARD_B]) {
    const double b = ref->x[FORWARD_B][index / (s.x[0] * s.x[1] * s.x[2]) % s.C];
    e->value += b, e->q += b * b, e->terms++;
  }
  e->q = sqrt(e->q);
}

static void backward_data_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_conv_sizes s = sizes_of(ref, arg, DATA_W, DATA_DY);
  lamina_conv_sum_forward(&s, ref->x[DATA_DY], ref->x[DATA_W], index, e);
  e->q = sqrt(e->q);
}

static void backward_weights_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_conv_sizes s = sizes_of(ref, WEIGHTS_X, arg, WEIGHTS_DY);
  lamina_conv_sum_weights(&s, ref->x[WEIGHTS_DY], ref->x[WEIGHTS_X], index, e);
  e->q = sqrt(e->q);
}

/* ---- Work and test cases ---------------------------------------------------------------------------------------- */

/* 2 operations for each input element and filter tap; those that are cut off count too. */
static double flops_of(const lamina_desc *x, const lamina_desc *w) {
  return w->dims[0] ? 2.0 * (double)lamina_desc_count(x) * (double)lamina_desc_count(w) / (double)w->dims[0] : 0;
}
static double flops_forward(const lamina_problem *p) { return flops_of(&p->arg[FORWARD_X], &p->arg[FORWARD_W]); }
static double flops_backward_data(const lamina_problem *p) { return flops_of(&p->arg[DATA_DX], &p->arg[DATA_W]); }
static double flops_backward_weights(const lamina_problem *p) {
  return flops_of(&p->arg[WEIGHTS_X], &p->arg[WEIGHTS_DW]);
}
static double flops_backward_bias(const lamina_problem *p) { return (double)lamina_desc_count(&p->arg[BIAS_DY]); }

/* Products of integers up to 2: sums stay exact in f32 for K up to 2^22. */
static bool fills(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  if (exact) lamina_fill_integers(p, fill, -2, 2);
  return true;
}

static void sample(lamina_problem *p, lamina_draw *draw) {
  lamina_conv_transpose conv = {.groups = LAMINA_PICK(draw, "groups", 1, 1, 2, 3)};
  const int axes = (int)LAMINA_PICK(draw, "axes", 1, 2, 2, 3);
  const int64_t C = conv.groups * LAMINA_PICK(draw, "channels", 1, 2, 3, 5, 8, 16, 17);
  const int64_t each = LAMINA_PICK(draw, "filters", 1, 2, 3, 5, 16, 17), K = each * conv.groups;
  int64_t x[5] = {LAMINA_PICK(draw, "batch", 1, 2, 3, 5, 0), C}, w[5] = {C, each};
  for (int a = 0; a < axes; a++) {
    x[2 + a] = LAMINA_PICK(draw, "size", 1, 2, 3, 5, 7, 11);
    w[2 + a] = LAMINA_PICK(draw, "filter", 1, 2, 3, 5);
    conv.stride[a] = LAMINA_PICK(draw, "stride", 1, 1, 2, 3);
    conv.dilation[a] = LAMINA_PICK(draw, "dilation", 1, 1, 2);
    conv.output_pad[a] = LAMINA_PICK(draw, "output_pad", 0, 0, 1);
    for (int side = 0; side < 2; side++) conv.pad[a][side] = LAMINA_PICK(draw, "pad", 0, 0, 1, 2);
  }
  memcpy(p->attr, &conv, sizeof conv);
  p->arg[FORWARD_X] = lamina_draw_shape(draw, 2 + axes, x);
  p->arg[FORWARD_W] = lamina_draw_shape(draw, 2 + axes, w);
  p->arg[FORWARD_B] = lamina_draw_shape(draw, 1, &K);
}

#define ROW(pass)                                                                                                      \
  .name = "conv_transpose/" #pass, .by_example = true, .args = pass##_args, .attrs = attrs,                            \
  .attr_size = sizeof(lamina_conv_transpose), .infer = infer_##pass, .fills = fills, .flops = flops_##pass
const lamina_op_def lamina_ops_conv_transpose[] = {{ROW(forward), .element = forward_element, .sample = sample},
                                                   {ROW(backward_data), .element = backward_data_element},
                                                   {ROW(backward_weights), .element = backward_weights_element},
                                                   {ROW(backward_bias), .element = lamina_conv_backward_bias_element},
                                                   {0}};

LAMINA_DEFINE_CALLS(conv_transpose_forward, "conv_transpose/forward", conv, (x, w, b, y),
                    const lamina_conv_transpose *conv, const lamina_tensor *x, const lamina_tensor *w,
                    const lamina_tensor *b, const lamina_tensor *y)
LAMINA_DEFINE_CALLS(conv_transpose_backward_data, "conv_transpose/backward_data", conv, (dy, w, dx),
                    const lamina_conv_transpose *conv, const lamina_tensor *dy, const lamina_tensor *w,
                    const lamina_tensor *dx)
LAMINA_DEFINE_CALLS(conv_transpose_backward_weights, "conv_transpose/backward_weights", conv, (x, dy, dw),
                    const lamina_conv_transpose *conv, const lamina_tensor *x, const lamina_tensor *dy,
                    const lamina_tensor *dw)
LAMINA_DEFINE_CALLS(conv_transpose_backward_bias, "conv_transpose/backward_bias", conv, (dy, db),
                    const lamina_conv_transpose *conv, const lamina_tensor *dy, const lamina_tensor *db)
