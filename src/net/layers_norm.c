/* Normalisations of one example: layer, group and instance norm, and local response normalisation. */
#include "lamina/layer_norm.h"
#include "lamina/lrn.h"
#include "net/layers.h"

#define EPSILON(layer)                                                                                                 \
  {                                                                                                                    \
    LAMINA_FIELD(layer, epsilon), .type = LAMINA_ATTR_REAL, .preset = 1e-5, .has = offsetof(layer, has_epsilon),       \
                                  .most = 1                                                                            \
  }
#define AFFINE(layer)                                                                                                  \
  { LAMINA_FIELD(layer, affine), .type = LAMINA_ATTR_BOOL, .preset = 1, .has = offsetof(layer, has_affine) }

static const lamina_attr_def layer_norm_attrs[] = {
    {LAMINA_FIELD(lamina_layer_norm_layer, axis), .type = LAMINA_ATTR_INT, .preset = -1, .least = -7, .most = 7},
    EPSILON(lamina_layer_norm_layer),
    AFFINE(lamina_layer_norm_layer),
    {0}};
static const lamina_attr_def group_norm_attrs[] = {
    {LAMINA_FIELD(lamina_group_norm_layer, groups), .type = LAMINA_ATTR_INT, LAMINA_AT_LEAST_ONE},
    EPSILON(lamina_group_norm_layer),
    AFFINE(lamina_group_norm_layer),
    {0}};
static const lamina_attr_def instance_norm_attrs[] = {
    EPSILON(lamina_instance_norm_layer), AFFINE(lamina_instance_norm_layer), {0}};
static const lamina_attr_def lrn_attrs[] = {
    {LAMINA_FIELD(lamina_lrn, size), .type = LAMINA_ATTR_INT, .preset = 5, .least = 1, .most = 0x1p20},
    {LAMINA_FIELD(lamina_lrn, alpha), .type = LAMINA_ATTR_REAL, .preset = 1e-4, .least = 1e-12, .most = 1e6},
    {LAMINA_FIELD(lamina_lrn, beta), .type = LAMINA_ATTR_REAL, .preset = 0.75, .least = 0.01, .most = 10},
    {LAMINA_FIELD(lamina_lrn, k), .type = LAMINA_ATTR_REAL, .preset = 1, .least = 1e-5, .most = 1e5},
    {LAMINA_FIELD(lamina_lrn, within), .type = LAMINA_ATTR_BOOL},
    {0}};

static const lamina_param_def norm_params[] = {
    {.name = "w", .constant = true, .value = 1}, {.name = "b", .constant = true}, {0}};

/* What both ops take: x, w, b → y, and what backward needs. */
static lamina_status emit_norm(lamina_graph *graph, const lamina_layer *layer, const char *op, const void *norm,
                               bool affine, int rank, const int64_t *dims) {
  enum { X, W, B, Y, MEAN, DEVIATION };
  const int saved = graph->training ? LAMINA_FRESH : LAMINA_ABSENT;
  int arg[] = {graph->x, LAMINA_ABSENT, LAMINA_ABSENT, LAMINA_FRESH, saved, saved};
  for (int i = W; i <= B && affine; i++) LAMINA_TRY(lamina_graph_param(graph, layer, i - W, rank, dims, 0, 0, &arg[i]));
  LAMINA_TRY(lamina_graph_emit(graph, op, norm, arg));
  graph->x = arg[Y];
  return LAMINA_OK;
}

/* The batch's axis is no part of an example. */
static lamina_status expand_layer_norm(lamina_graph *graph, const lamina_layer *layer) {
  const lamina_layer_norm_layer *l = (const void *)layer->attr;
  const lamina_desc in = graph->values[graph->x].desc;
  const int64_t axis = l->axis < 0 ? l->axis + in.rank : l->axis;
  if (axis < 1 || axis >= in.rank)
    return lamina_error(LAMINA_INVALID, "axis is %lld, but its input has %d axes, the first of them the batch's",
                        (long long)l->axis, in.rank);
  const lamina_layer_norm norm = {.axis = axis, .epsilon = l->epsilon, .has_axis = 1, .has_epsilon = 1};
  return emit_norm(graph, layer, "layer_norm/forward", &norm, l->affine, in.rank - (int)axis, in.dims + axis);
}

static lamina_status emit_groups(lamina_graph *graph, const lamina_layer *layer, int64_t groups, double epsilon,
                                 bool affine) {
  const lamina_desc in = graph->values[graph->x].desc;
  const lamina_group_norm norm = {.groups = groups ? groups : in.dims[1], .epsilon = epsilon, .has_epsilon = 1};
  if (in.rank < 2) return lamina_error(LAMINA_INVALID, "its input has %d axes; expected [N, C, …]", in.rank);
  return emit_norm(graph, layer, "group_norm/forward", &norm, affine, 1, &in.dims[1]);
}

static lamina_status expand_group_norm(lamina_graph *graph, const lamina_layer *layer) {
  const lamina_group_norm_layer *l = (const void *)layer->attr;
  return emit_groups(graph, layer, l->groups, l->epsilon, l->affine);
}

static lamina_status expand_instance_norm(lamina_graph *graph, const lamina_layer *layer) {
  const lamina_instance_norm_layer *l = (const void *)layer->attr;
  return emit_groups(graph, layer, 0, l->epsilon, l->affine);
}

#define NORM(kind, what)                                                                                               \
  {                                                                                                                    \
    .name = #kind, .about = what, .attrs = kind##_attrs, .attr_size = sizeof(lamina_##kind##_layer),                   \
    .params = norm_params, .expand = expand_##kind                                                                     \
  }
const lamina_layer_def lamina_layers_norm[] = {
    NORM(layer_norm, "each example to mean 0 and variance 1 along its last axes"),
    NORM(group_norm, "groups of channels of each example to mean 0 and variance 1"),
    NORM(instance_norm, "each channel of each example to mean 0 and variance 1"),
    {.name = "lrn",
     .about = "divides by a power of the mean square of neighbours",
     .attrs = lrn_attrs,
     .attr_size = sizeof(lamina_lrn),
     .params = lamina_no_params,
     .op = "lrn/forward"},
    {0},
};
