/* Every kind of layer: its attributes and the nodes that it is made of. A new kind is a row here. */
#include "core/problem.h"
#include "lamina/arithmetic.h"
#include "lamina/conv.h"
#include "lamina/dropout.h"
#include "lamina/pool.h"
#include "lamina/softmax.h"
#include "net/graph.h"

static const char *const inits[] = {"default",        "he_normal", "he_uniform", "xavier_normal",
                                    "xavier_uniform", "zero",      NULL};
_Static_assert(offsetof(lamina_layer, attr) % _Alignof(lamina_conv_layer) == 0, "descriptors are read where they lie");
static const lamina_attr_def no_attrs[] = {{0}};
static const lamina_param_def no_params[] = {{0}};
static const lamina_param_def weights_and_bias[] = {{"w", false, true}, {"b", true, false}, {0}};

#define FIELD(type, field) .name = #field, .offset = offsetof(type, field)
#define COUNT              .least = 1, .most = 0x1p31 /* of something that must be there */

static lamina_status emit_unary(lamina_graph *graph, const char *op, const void *attr) {
  int arg[] = {graph->x, LAMINA_FRESH};
  LAMINA_TRY(lamina_graph_emit(graph, op, attr, arg));
  graph->x = arg[1];
  return LAMINA_OK;
}

static lamina_status too_many_axes(const char *name, int given, int axes) {
  return lamina_error(LAMINA_INVALID, "%s is given for %d axes, but its input has %d spatial ax%s", name, given, axes,
                      axes == 1 ? "is" : "es");
}

/* An axis that isn't given is as the first one; none may be given that there isn't. */
static lamina_status spread(const char *name, int64_t out[3], const int64_t in[3], int axes) {
  for (int a = 0; a < axes; a++) out[a] = in[a] ? in[a] : in[0];
  for (int a = axes; a < 3; a++)
    if (in[a]) return too_many_axes(name, a + 1, axes);
  return LAMINA_OK;
}

static lamina_status copy_pads(int64_t out[3][2], const int64_t in[3][2], int axes) {
  for (int a = axes; a < 3; a++)
    if (in[a][0] || in[a][1]) return too_many_axes("pad", a + 1, axes);
  memcpy(out, in, 6 * sizeof in[0][0]);
  return LAMINA_OK;
}

/* ---- conv ------------------------------------------------------------------------------------------------------- */

static const lamina_attr_def conv_attrs[] = {
    {FIELD(lamina_conv_layer, filters), .type = LAMINA_ATTR_INT, COUNT},
    {FIELD(lamina_conv_layer, kernel), .type = LAMINA_ATTR_AXES, .most = 0x1p31},
    {FIELD(lamina_conv_layer, stride), .type = LAMINA_ATTR_AXES, .most = 0x1p31},
    {FIELD(lamina_conv_layer, pad), .type = LAMINA_ATTR_PADS, .most = 0x1p31},
    {FIELD(lamina_conv_layer, same), .type = LAMINA_ATTR_BOOL},
    {FIELD(lamina_conv_layer, dilation), .type = LAMINA_ATTR_AXES, .most = 0x1p31},
    {FIELD(lamina_conv_layer, groups), .type = LAMINA_ATTR_INT, .preset = 1, COUNT},
    {FIELD(lamina_conv_layer, bias), .type = LAMINA_ATTR_BOOL, .preset = 1,
     .has = offsetof(lamina_conv_layer, has_bias)},
    {FIELD(lamina_conv_layer, init), .type = LAMINA_ATTR_ENUM, .choices = inits},
    {0}};

static lamina_status expand_conv(lamina_graph *graph, const lamina_layer *layer) {
  const lamina_conv_layer *l = (const void *)layer->attr;
  const lamina_desc in = graph->values[graph->x].desc;
  const int axes = in.rank - 2;
  if (axes < 1 || axes > 3)
    return lamina_error(LAMINA_INVALID, "its input has %d axes; expected [N, C] and 1 to 3 spatial axes", in.rank);
  if (!l->kernel[0]) return lamina_error(LAMINA_INVALID, "kernel is missing");
  if (in.dims[1] % l->groups)
    return lamina_error(LAMINA_INVALID, "the %lld channels of its input can't be split into %lld groups",
                        (long long)in.dims[1], (long long)l->groups);
  lamina_conv conv = {.groups = l->groups};
  int64_t w[LAMINA_MAX_RANK] = {l->filters, in.dims[1] / l->groups};
  double taps = 1;
  LAMINA_TRY(spread("kernel", &w[2], l->kernel, axes));
  LAMINA_TRY(spread("stride", conv.stride, l->stride, axes));
  LAMINA_TRY(spread("dilation", conv.dilation, l->dilation, axes));
  LAMINA_TRY(copy_pads(conv.pad, l->pad, axes));
  for (int a = 0; a < axes; a++) {
    const int64_t reach = (w[2 + a] - 1) * (conv.dilation[a] ? conv.dilation[a] : 1);
    if (l->same && (l->pad[a][0] || l->pad[a][1]))
      return lamina_error(LAMINA_INVALID, "pad is given beside `same`; expected one of them");
    if (l->same) conv.pad[a][0] = reach / 2, conv.pad[a][1] = reach - reach / 2;
    taps *= (double)w[2 + a];
  }
  int arg[] = {graph->x, LAMINA_ABSENT, LAMINA_ABSENT, LAMINA_FRESH};
  LAMINA_TRY(
      lamina_graph_param(graph, layer, 0, in.rank, w, (double)w[1] * taps, (double)(w[0] / l->groups) * taps, &arg[1]));
  if (l->bias) LAMINA_TRY(lamina_graph_param(graph, layer, 1, 1, w, 0, 0, &arg[2]));
  LAMINA_TRY(lamina_graph_emit(graph, "conv/forward", &conv, arg));
  graph->x = arg[3];
  return LAMINA_OK;
}

/* ---- fc, flatten, reshape --------------------------------------------------------------------------------------- */

static const lamina_attr_def fc_attrs[] = {
    {FIELD(lamina_fc_layer, units), .type = LAMINA_ATTR_INT, COUNT},
    {FIELD(lamina_fc_layer, bias), .type = LAMINA_ATTR_BOOL, .preset = 1, .has = offsetof(lamina_fc_layer, has_bias)},
    {FIELD(lamina_fc_layer, init), .type = LAMINA_ATTR_ENUM, .choices = inits},
    {0}};

static lamina_status expand_flatten(lamina_graph *graph, const lamina_layer *layer) {
  const lamina_desc in = graph->values[graph->x].desc;
  int64_t features = 1;
  (void)layer;
  for (int a = 1; a < in.rank; a++)
    if (!lamina_mul(features, in.dims[a], &features))
      return lamina_error(LAMINA_INVALID, "the size of its input overflows");
  if (in.rank == 2) return LAMINA_OK;
  return lamina_graph_view(graph, graph->x, 2, (int64_t[]){in.dims[0], features}, &graph->x);
}

static lamina_status expand_fc(lamina_graph *graph, const lamina_layer *layer) {
  const lamina_fc_layer *l = (const void *)layer->attr;
  LAMINA_TRY(expand_flatten(graph, layer));
  const int64_t w[] = {l->units, graph->values[graph->x].desc.dims[1]};
  int arg[] = {graph->x, LAMINA_ABSENT, LAMINA_ABSENT, LAMINA_FRESH};
  LAMINA_TRY(lamina_graph_param(graph, layer, 0, 2, w, (double)w[1], (double)w[0], &arg[1]));
  if (l->bias) LAMINA_TRY(lamina_graph_param(graph, layer, 1, 1, w, 0, 0, &arg[2]));
  LAMINA_TRY(lamina_graph_emit(graph, "fc/forward", NULL, arg));
  graph->x = arg[3];
  return LAMINA_OK;
}

static const lamina_attr_def reshape_attrs[] = {
    {FIELD(lamina_reshape_layer, shape), .type = LAMINA_ATTR_AXES, .most = 0x1p31}, {0}};

static lamina_status expand_reshape(lamina_graph *graph, const lamina_layer *layer) {
  const lamina_reshape_layer *l = (const void *)layer->attr;
  const lamina_desc in = graph->values[graph->x].desc;
  int64_t dims[LAMINA_MAX_RANK] = {in.dims[0]};
  int rank = 1;
  char have[128], want[128];
  while (rank < 4 && l->shape[rank - 1]) dims[rank] = l->shape[rank - 1], rank++;
  const lamina_desc out = lamina_dense(graph->dtype, rank, dims);
  if (lamina_desc_count(&out) != lamina_desc_count(&in))
    return lamina_error(LAMINA_INVALID, "%s can't become %s: the number of elements differs",
                        lamina_desc_text(&in, have, sizeof have), lamina_desc_text(&out, want, sizeof want));
  return lamina_graph_view(graph, graph->x, rank, dims, &graph->x);
}

/* ---- Pools ------------------------------------------------------------------------------------------------------ */

#define POOL_ATTRS                                                                                                     \
  {FIELD(lamina_pool_layer, kernel), .type = LAMINA_ATTR_AXES, .most = 0x1p31},                                        \
      {FIELD(lamina_pool_layer, stride), .type = LAMINA_ATTR_AXES, .most = 0x1p31},                                    \
      {FIELD(lamina_pool_layer, pad), .type = LAMINA_ATTR_PADS, .most = 0x1p31},                                       \
      {FIELD(lamina_pool_layer, ceil), .type = LAMINA_ATTR_BOOL}, {                                                    \
    FIELD(lamina_pool_layer, global), .type = LAMINA_ATTR_BOOL                                                         \
  }
static const lamina_attr_def max_pool_attrs[] = {POOL_ATTRS, {0}};
static const lamina_attr_def avg_pool_attrs[] = {
    POOL_ATTRS, {FIELD(lamina_pool_layer, count_pad), .type = LAMINA_ATTR_BOOL}, {0}};

static lamina_status pool_of(const lamina_graph *graph, const lamina_layer *layer, lamina_pool *pool) {
  const lamina_pool_layer *l = (const void *)layer->attr;
  const int axes = graph->values[graph->x].desc.rank - 2;
  if (axes < 1 || axes > 3)
    return lamina_error(LAMINA_INVALID, "its input has %d axes; expected [N, C] and 1 to 3 spatial axes", axes + 2);
  if (!l->kernel[0] && !l->global) return lamina_error(LAMINA_INVALID, "kernel is missing");
  *pool = (lamina_pool){.ceil_mode = l->ceil, .global = l->global, .count_pad = l->count_pad};
  LAMINA_TRY(copy_pads(pool->pad, l->pad, axes));
  LAMINA_TRY(spread("kernel", pool->kernel, l->kernel, axes));
  return spread("stride", pool->stride, l->stride, axes);
}

static lamina_status expand_max_pool(lamina_graph *graph, const lamina_layer *layer) {
  lamina_pool pool;
  LAMINA_TRY(pool_of(graph, layer, &pool));
  int arg[] = {graph->x, LAMINA_FRESH,
               graph->training ? LAMINA_FRESH : LAMINA_ABSENT}; /* indices: for the backward pass */
  LAMINA_TRY(lamina_graph_emit(graph, "max_pool/forward", &pool, arg));
  graph->x = arg[1];
  return LAMINA_OK;
}

static lamina_status expand_avg_pool(lamina_graph *graph, const lamina_layer *layer) {
  lamina_pool pool;
  LAMINA_TRY(pool_of(graph, layer, &pool));
  return emit_unary(graph, "avg_pool/forward", &pool);
}

/* ---- Activations, dropout, scale -------------------------------------------------------------------------------- */

static lamina_status expand_relu(lamina_graph *graph, const lamina_layer *layer) {
  (void)layer;
  return emit_unary(graph, "relu/forward", NULL);
}
static lamina_status expand_sigmoid(lamina_graph *graph, const lamina_layer *layer) {
  (void)layer;
  return emit_unary(graph, "sigmoid/forward", NULL);
}
static lamina_status expand_tanh(lamina_graph *graph, const lamina_layer *layer) {
  (void)layer;
  return emit_unary(graph, "tanh/forward", NULL);
}

static const lamina_attr_def softmax_attrs[] = {{FIELD(lamina_softmax_layer, axis), .type = LAMINA_ATTR_INT,
                                                 .preset = 1, .has = offsetof(lamina_softmax_layer, has_axis),
                                                 .least = -7, .most = 7},
                                                {0}};

static lamina_softmax softmax_of(const lamina_layer *layer) {
  const lamina_softmax_layer *l = (const void *)layer->attr;
  return (lamina_softmax){.axis = l->axis, .has_axis = 1};
}
static lamina_status expand_softmax(lamina_graph *graph, const lamina_layer *layer) {
  const lamina_softmax softmax = softmax_of(layer);
  return emit_unary(graph, "softmax/forward", &softmax);
}
static lamina_status expand_log_softmax(lamina_graph *graph, const lamina_layer *layer) {
  const lamina_softmax softmax = softmax_of(layer);
  return emit_unary(graph, "log_softmax/forward", &softmax);
}

static const lamina_attr_def dropout_attrs[] = {{FIELD(lamina_dropout_layer, p), .type = LAMINA_ATTR_REAL,
                                                 .preset = 0.5, .has = offsetof(lamina_dropout_layer, has_p),
                                                 .most = 1},
                                                {FIELD(lamina_dropout_layer, channels), .type = LAMINA_ATTR_BOOL},
                                                {0}};

static lamina_status expand_dropout(lamina_graph *graph, const lamina_layer *layer) {
  const lamina_dropout_layer *l = (const void *)layer->attr;
  const lamina_dropout dropout = {.p = l->p, .channels = l->channels, .stream = graph->layer};
  int arg[] = {graph->x, graph->rng, LAMINA_FRESH};
  if (!graph->training) return LAMINA_OK;
  LAMINA_TRY(lamina_graph_emit(graph, "dropout/forward", &dropout, arg));
  graph->x = arg[2];
  return LAMINA_OK;
}

static const lamina_attr_def scale_attrs[] = {{FIELD(lamina_scale_layer, factor), .type = LAMINA_ATTR_REAL, .preset = 1,
                                               .has = offsetof(lamina_scale_layer, has_factor)},
                                              {0}};

static lamina_status expand_scale(lamina_graph *graph, const lamina_layer *layer) {
  const lamina_scale_layer *l = (const void *)layer->attr;
  const lamina_scale scale = {.factor = l->factor, .has_factor = 1};
  return emit_unary(graph, "scale/forward", &scale);
}

/* ---- The table -------------------------------------------------------------------------------------------------- */

static const lamina_layer_def layers[] = {
    {"conv", "convolution over 1 to 3 spatial axes", conv_attrs, sizeof(lamina_conv_layer), weights_and_bias,
     expand_conv},
    {"fc", "fully connected", fc_attrs, sizeof(lamina_fc_layer), weights_and_bias, expand_fc},
    {"relu", "max(x, 0)", no_attrs, 0, no_params, expand_relu},
    {"sigmoid", "1 / (1 + exp(-x))", no_attrs, 0, no_params, expand_sigmoid},
    {"tanh", "hyperbolic tangent", no_attrs, 0, no_params, expand_tanh},
    {"max_pool", "the largest of each window", max_pool_attrs, sizeof(lamina_pool_layer), no_params, expand_max_pool},
    {"avg_pool", "the mean of each window", avg_pool_attrs, sizeof(lamina_pool_layer), no_params, expand_avg_pool},
    {"dropout", "drops elements in training", dropout_attrs, sizeof(lamina_dropout_layer), no_params, expand_dropout},
    {"softmax", "probabilities along an axis", softmax_attrs, sizeof(lamina_softmax_layer), no_params, expand_softmax},
    {"log_softmax", "logarithms of softmax", softmax_attrs, sizeof(lamina_softmax_layer), no_params,
     expand_log_softmax},
    {"scale", "times a number", scale_attrs, sizeof(lamina_scale_layer), no_params, expand_scale},
    {"flatten", "all axes but the first as one", no_attrs, 0, no_params, expand_flatten},
    {"reshape", "other axes after the first", reshape_attrs, sizeof(lamina_reshape_layer), no_params, expand_reshape},
};

const lamina_layer_def *lamina_layer_at(int index) {
  return index >= 0 && (size_t)index < LAMINA_COUNT_OF(layers) ? &layers[index] : NULL;
}

const lamina_layer_def *lamina_layer_find(const char *name) {
  for (size_t i = 0; i < LAMINA_COUNT_OF(layers); i++)
    if (strcmp(layers[i].name, name) == 0) return &layers[i];
  return NULL;
}
