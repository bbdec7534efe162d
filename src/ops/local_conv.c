/* Locally connected layers: rows, validation, shapes, the references and the typed calls. */
#include "lamina/local_conv.h"

#include <math.h>

#include "core/draw.h"
#include "core/plan.h"
#include "ops/conv.h"
#include "ops/conv_args.h"

enum { FORWARD_X, FORWARD_W, FORWARD_B, FORWARD_Y };
enum { DATA_DY, DATA_W, DATA_DX };
enum { WEIGHTS_X, WEIGHTS_DY, WEIGHTS_DW };
enum { BIAS_DY, BIAS_DB };

#define AXES(field)                                                                                                    \
  {                                                                                                                    \
    .name = #field, .type = LAMINA_ATTR_AXES, .offset = offsetof(lamina_local_conv, field), .preset = 1, .least = 1,   \
    .most = 0x1p31                                                                                                     \
  }
static const lamina_attr_def attrs[] = {
    {.name = "pad", .type = LAMINA_ATTR_PADS, .offset = offsetof(lamina_local_conv, pad), .most = 0x1p31},
    AXES(stride),
    AXES(dilation),
    {.name = "groups",
     .type = LAMINA_ATTR_INT,
     .offset = offsetof(lamina_local_conv, groups),
     .preset = 1,
     .least = 1,
     .most = 0x1p31},
    {0}};

LAMINA_CHECK_ARGS(local_conv_forward, forward_args);
LAMINA_CHECK_ARGS(local_conv_backward_data, backward_data_args);
LAMINA_CHECK_ARGS(local_conv_backward_weights, backward_weights_args);
LAMINA_CHECK_ARGS(local_conv_backward_bias, backward_bias_args);

static lamina_conv conv_of(const void *attr) {
  const lamina_local_conv *from = attr;
  lamina_conv conv = {.groups = from->groups};
  memcpy(conv.pad, from->pad, sizeof conv.pad);
  memcpy(conv.stride, from->stride, sizeof conv.stride);
  memcpy(conv.dilation, from->dilation, sizeof conv.dilation);
  return conv;
}

/* ---- Shapes ----------------------------------------------------------------------------------------------------- */

/* Checks input x [N, C, spatial…] against w [out…, K, C/groups, filter…] and gives the dims of y. */
static lamina_status output_dims(lamina_problem *p, int x, int w, int64_t *y) {
  const lamina_desc *in = &p->arg[x], *filter = &p->arg[w];
  const int axes = in->rank - 2;
  LAMINA_TRY(lamina_want_rank(p, x, 3, 5));
  LAMINA_TRY(lamina_want_rank(p, w, 2 + 2 * axes, 2 + 2 * axes));
  LAMINA_TRY(lamina_trim_axes(p, axes));
  const lamina_conv conv = conv_of(lamina_attr(p));
  const int64_t K = filter->dims[axes];
  if (in->dims[1] % conv.groups || in->dims[1] / conv.groups != filter->dims[axes + 1])
    return lamina_problem_error(p, w, "expected axis %d to be the input's %lld channels over %lld groups", axes + 1,
                                (long long)in->dims[1], (long long)conv.groups);
  if (K % conv.groups)
    return lamina_problem_error(p, w, "its %lld filters can't be split into %lld groups", (long long)K,
                                (long long)conv.groups);
  y[0] = in->dims[0], y[1] = K;
  for (int a = 0; a < axes; a++) {
    LAMINA_TRY(lamina_conv_output(p, x, w, a, filter->dims[axes + 2 + a], &conv, &y[2 + a]));
    if (filter->dims[a] != y[2 + a])
      return lamina_problem_error(p, w, "expected axis %d to be the %lld output positions", a, (long long)y[2 + a]);
  }
  return LAMINA_OK;
}

static lamina_status infer_forward(lamina_problem *p) {
  const lamina_desc *x = &p->arg[FORWARD_X];
  int64_t y[LAMINA_MAX_RANK];
  LAMINA_TRY(output_dims(p, FORWARD_X, FORWARD_W, y));
  LAMINA_TRY(lamina_want_dims(p, FORWARD_B, x->rank - 1, &y[1]));
  return lamina_set_output(p, FORWARD_Y, (lamina_dtype)x->dtype, x->rank, y);
}

static lamina_status infer_backward_data(lamina_problem *p) {
  int64_t y[LAMINA_MAX_RANK];
  LAMINA_TRY(lamina_want_shape(p, DATA_DX));
  LAMINA_TRY(output_dims(p, DATA_DX, DATA_W, y));
  return lamina_want_dims(p, DATA_DY, p->arg[DATA_DX].rank, y);
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
  return lamina_set_output(p, BIAS_DB, (lamina_dtype)dy->dtype, dy->rank - 1, &dy->dims[1]);
}

/* ---- References: one output element at a time, as three-dimensional problems --------------------------------------- */

/* The sizes of the convolution that shares the geometry: w is seen as [K, C/groups, filter…]. */
static lamina_conv_sizes sizes_of(const lamina_reference *ref, int x, int w, int y) {
  const lamina_conv conv = conv_of(ref->attr);
  const lamina_desc *arg = ref->problem->arg;
  const int axes = arg[x].rank - 2;
  const lamina_desc filter = lamina_dense(LAMINA_F64, 2 + axes, &arg[w].dims[axes]);
  return lamina_conv_sizes_of(&conv, &arg[x], &filter, &arg[y]);
}

/* Splits a flat index over three axes. */
static void split(int64_t index, const int64_t s[3], int64_t at[3]) {
  for (int a = 2; a >= 0; a--) at[a] = index % s[a], index /= s[a];
}
static int64_t flat(const int64_t at[3], const int64_t s[3]) { return (at[0] * s[1] + at[1]) * s[2] + at[2]; }
static int64_t area(const int64_t s[3]) { return s[0] * s[1] * s[2]; }

/* The input position under tap r of output position o, flat; -1: outside. */
static int64_t input_of(const lamina_conv_sizes *s, const int64_t o[3], const int64_t r[3]) {
  int64_t i[3];
  for (int a = 0; a < 3; a++) {
    i[a] = o[a] * s->stride[a] - s->pad[a] + r[a] * s->dilation[a];
    if (i[a] < 0 || i[a] >= s->x[a]) return -1;
  }
  return flat(i, s->x);
}

static void add(lamina_expected *e, double product) {
  e->value += product;
  e->q += product * product;
  e->terms++;
}

static void forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_conv_sizes s = sizes_of(ref, FORWARD_X, FORWARD_W, arg);
  const int64_t P = area(s.y), R = area(s.w), Cg = s.C / s.groups;
  const int64_t o = index % P, k = index / P % s.K, n = index / P / s.K, g = k / (s.K / s.groups);
  int64_t at[3], r[3];
  split(o, s.y, at);
  for (int64_t t = 0; t < R; t++) {
    split(t, s.w, r);
    const int64_t i = input_of(&s, at, r);
    for (int64_t c = 0; i >= 0 && c < Cg; c++)
      add(e, ref->x[FORWARD_X][(n * s.C + g * Cg + c) * area(s.x) + i] *
                 ref->x[FORWARD_W][((o * s.K + k) * Cg + c) * R + t]);
  }
  if (ref->x[FORWARD_B]) add(e, ref->x[FORWARD_B][k * P + o]);
  e->q = sqrt(e->q);
}

static void backward_data_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_conv_sizes s = sizes_of(ref, arg, DATA_W, DATA_DY);
  const int64_t P = area(s.y), R = area(s.w), Cg = s.C / s.groups, Kg = s.K / s.groups, X = area(s.x);
  const int64_t i = index % X, channel = index / X % s.C, n = index / X / s.C, g = channel / Cg, c = channel % Cg;
  int64_t at[3], r[3];
  split(i, s.x, at);
  for (int64_t t = 0; t < R; t++) {
    int64_t o[3];
    bool reached = true;
    split(t, s.w, r);
    for (int a = 0; a < 3; a++) {
      const int64_t from = at[a] + s.pad[a] - r[a] * s.dilation[a];
      o[a] = from / s.stride[a];
      reached &= from >= 0 && from % s.stride[a] == 0 && o[a] < s.y[a];
    }
    const int64_t place = flat(o, s.y);
    for (int64_t k = g * Kg; reached && k < (g + 1) * Kg; k++)
      add(e, ref->x[DATA_DY][(n * s.K + k) * P + place] * ref->x[DATA_W][((place * s.K + k) * Cg + c) * R + t]);
  }
  e->q = sqrt(e->q);
}

static void backward_weights_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_conv_sizes s = sizes_of(ref, WEIGHTS_X, arg, WEIGHTS_DY);
  const int64_t P = area(s.y), R = area(s.w), Cg = s.C / s.groups;
  const int64_t t = index % R, c = index / R % Cg, k = index / R / Cg % s.K, o = index / R / Cg / s.K;
  int64_t at[3], r[3];
  split(o, s.y, at);
  split(t, s.w, r);
  const int64_t i = input_of(&s, at, r), channel = k / (s.K / s.groups) * Cg + c;
  for (int64_t n = 0; i >= 0 && n < s.N; n++)
    add(e, ref->x[WEIGHTS_X][(n * s.C + channel) * area(s.x) + i] * ref->x[WEIGHTS_DY][(n * s.K + k) * P + o]);
  e->q = sqrt(e->q);
}

static void backward_bias_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const int64_t each = lamina_desc_count(&ref->problem->arg[arg]);
  for (int64_t n = 0; n < ref->problem->arg[BIAS_DY].dims[0]; n++) add(e, ref->x[BIAS_DY][n * each + index]);
  e->q = sqrt(e->q);
}

/* ---- Work and test cases ---------------------------------------------------------------------------------------- */

/* 2 operations for each weight and image; padded taps count too. */
static double flops_of(const lamina_desc *x, const lamina_desc *w) {
  return 2.0 * (double)x->dims[0] * (double)lamina_desc_count(w);
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
  lamina_local_conv conv = {.groups = LAMINA_PICK(draw, "groups", 1, 1, 2, 3)};
  const int axes = (int)LAMINA_PICK(draw, "axes", 1, 2, 2, 3);
  const int64_t C = LAMINA_PICK(draw, "channels", 1, 2, 3, 7, 17);
  const int64_t K = conv.groups * LAMINA_PICK(draw, "filters", 1, 2, 3, 5, 9);
  int64_t x[5] = {LAMINA_PICK(draw, "batch", 1, 2, 3, 5, 9, 0), C * conv.groups}, w[8], b[4] = {K};
  w[axes] = K, w[axes + 1] = C;
  for (int a = 0; a < axes; a++) {
    x[2 + a] = LAMINA_PICK(draw, "size", 1, 2, 3, 5, 7);
    w[axes + 2 + a] = LAMINA_PICK(draw, "filter", 1, 2, 3, 5);
    conv.stride[a] = LAMINA_PICK(draw, "stride", 1, 1, 2, 3);
    conv.dilation[a] = LAMINA_PICK(draw, "dilation", 1, 1, 2);
    for (int side = 0; side < 2; side++) conv.pad[a][side] = LAMINA_PICK(draw, "pad", 0, 1, 2);
    const int64_t room = x[2 + a] + conv.pad[a][0] + conv.pad[a][1] - conv.dilation[a] * (w[axes + 2 + a] - 1) - 1;
    w[a] = b[1 + a] = room < 0 ? 1 : room / conv.stride[a] + 1; /* where nothing fits, the case is drawn again */
  }
  memcpy(p->attr, &conv, sizeof conv);
  p->arg[FORWARD_X] = lamina_draw_shape(draw, 2 + axes, x);
  p->arg[FORWARD_W] = lamina_draw_shape(draw, 2 + 2 * axes, w);
  p->arg[FORWARD_B] = lamina_draw_shape(draw, 1 + axes, b);
}

#define ROW(pass)                                                                                                      \
  .name = "local_conv/" #pass, .by_example = true, .args = pass##_args, .attrs = attrs,                                \
  .attr_size = sizeof(lamina_local_conv), .infer = infer_##pass, .element = pass##_element, .fills = fills,            \
  .flops = flops_##pass
const lamina_op_def lamina_ops_local_conv[] = {
    {ROW(forward), .sample = sample}, {ROW(backward_data)}, {ROW(backward_weights)}, {ROW(backward_bias)}, {0}};

LAMINA_DEFINE_CALLS(local_conv_forward, "local_conv/forward", conv, (x, w, b, y), const lamina_local_conv *conv,
                    const lamina_tensor *x, const lamina_tensor *w, const lamina_tensor *b, const lamina_tensor *y)
LAMINA_DEFINE_CALLS(local_conv_backward_data, "local_conv/backward_data", conv, (dy, w, dx),
                    const lamina_local_conv *conv, const lamina_tensor *dy, const lamina_tensor *w,
                    const lamina_tensor *dx)
LAMINA_DEFINE_CALLS(local_conv_backward_weights, "local_conv/backward_weights", conv, (x, dy, dw),
                    const lamina_local_conv *conv, const lamina_tensor *x, const lamina_tensor *dy,
                    const lamina_tensor *dw)
LAMINA_DEFINE_CALLS(local_conv_backward_bias, "local_conv/backward_bias", conv, (dy, db), const lamina_local_conv *conv,
                    const lamina_tensor *dy, const lamina_tensor *db)
