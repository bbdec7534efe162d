/* Layers that keep the shape: activations, dropout, scale. Where a layer is an op, its descriptor is the op's. */
#include "lamina/arithmetic.h"
#include "lamina/dropout.h"
#include "lamina/softmax.h"
#include "net/layers.h"

static const lamina_attr_def leaky_relu_attrs[] = {{LAMINA_FIELD(lamina_leaky_relu, slope), .type = LAMINA_ATTR_REAL,
                                                    .preset = 0.01, .has = offsetof(lamina_leaky_relu, has_slope),
                                                    .most = 1e6},
                                                   {0}};
static const lamina_attr_def elu_attrs[] = {{LAMINA_FIELD(lamina_elu, alpha), .type = LAMINA_ATTR_REAL, .preset = 1,
                                             .has = offsetof(lamina_elu, has_alpha), .most = 1e6},
                                            {0}};
static const char *const gelu_forms[] = {"erf", "tanh", NULL};
static const lamina_attr_def gelu_attrs[] = {
    {LAMINA_FIELD(lamina_gelu, form), .type = LAMINA_ATTR_ENUM, .choices = gelu_forms}, {0}};
static const lamina_attr_def softplus_attrs[] = {
    {LAMINA_FIELD(lamina_softplus, beta), .type = LAMINA_ATTR_REAL, .preset = 1, .least = 1e-6, .most = 1e6}, {0}};

static const lamina_attr_def prelu_attrs[] = {{LAMINA_FIELD(lamina_prelu_layer, shared), .type = LAMINA_ATTR_BOOL},
                                              {0}};
static const lamina_param_def prelu_params[] = {{.name = "slope", .constant = true, .value = 0.25}, {0}};

static lamina_status expand_prelu(lamina_graph *graph, const lamina_layer *layer) {
  const lamina_prelu_layer *l = (const void *)layer->attr;
  const lamina_desc in = graph->values[graph->x].desc;
  const int64_t one = 1;
  int arg[] = {graph->x, LAMINA_ABSENT, LAMINA_FRESH};
  if (!l->shared && in.rank < 2)
    return lamina_error(LAMINA_INVALID, "its input has %d axes; expected [N, C, …]", in.rank);
  LAMINA_TRY(lamina_graph_param(graph, layer, 0, 1, l->shared ? &one : &in.dims[1], 0, 0, &arg[1]));
  LAMINA_TRY(lamina_graph_emit(graph, "prelu/forward", NULL, arg));
  graph->x = arg[2];
  return LAMINA_OK;
}

static const lamina_attr_def softmax_attrs[] = {{LAMINA_FIELD(lamina_softmax_layer, axis), .type = LAMINA_ATTR_INT,
                                                 .preset = 1, .has = offsetof(lamina_softmax_layer, has_axis),
                                                 .least = -7, .most = 7},
                                                {0}};

_Static_assert(sizeof(lamina_softmax_layer) == sizeof(lamina_softmax), "the layer's descriptor is the op's");

static const lamina_attr_def dropout_attrs[] = {
    {LAMINA_FIELD(lamina_dropout_layer, p), .type = LAMINA_ATTR_REAL, .preset = 0.5,
     .has = offsetof(lamina_dropout_layer, has_p), .most = 1},
    {LAMINA_FIELD(lamina_dropout_layer, channels), .type = LAMINA_ATTR_BOOL},
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

static const lamina_attr_def scale_attrs[] = {{LAMINA_FIELD(lamina_scale_layer, factor), .type = LAMINA_ATTR_REAL,
                                               .preset = 1, .has = offsetof(lamina_scale_layer, has_factor)},
                                              {0}};

_Static_assert(sizeof(lamina_scale_layer) == sizeof(lamina_scale), "the layer's descriptor is the op's");

#define PLAIN(kind, what)                                                                                              \
  { .name = #kind, .about = what, .attrs = lamina_no_attrs, .params = lamina_no_params, .op = #kind "/forward" }
#define WITH_ATTRS(kind, what)                                                                                         \
  {                                                                                                                    \
    .name = #kind, .about = what, .attrs = kind##_attrs, .attr_size = sizeof(lamina_##kind),                           \
    .params = lamina_no_params, .op = #kind "/forward"                                                                 \
  }

const lamina_layer_def lamina_layers_activation[] = {
    PLAIN(relu, "max(x, 0)"),
    WITH_ATTRS(leaky_relu, "x, times a slope below 0"),
    {.name = "prelu",
     .about = "x, times a trained slope below 0",
     .attrs = prelu_attrs,
     .attr_size = sizeof(lamina_prelu_layer),
     .params = prelu_params,
     .expand = expand_prelu},
    PLAIN(sigmoid, "1 / (1 + exp(-x))"),
    PLAIN(tanh, "hyperbolic tangent"),
    WITH_ATTRS(elu, "x, and exp(x) - 1 below 0"),
    PLAIN(selu, "an elu that keeps mean 0 and variance 1"),
    WITH_ATTRS(gelu, "x times the normal distribution function"),
    PLAIN(silu, "x times sigmoid"),
    WITH_ATTRS(softplus, "log(1 + exp(x))"),
    PLAIN(hard_sigmoid, "a ramp from 0 to 1"),
    PLAIN(softsign, "x / (1 + |x|)"),
    {.name = "softmax",
     .about = "probabilities along an axis",
     .attrs = softmax_attrs,
     .attr_size = sizeof(lamina_softmax_layer),
     .params = lamina_no_params,
     .op = "softmax/forward"},
    {.name = "log_softmax",
     .about = "logarithms of softmax",
     .attrs = softmax_attrs,
     .attr_size = sizeof(lamina_softmax_layer),
     .params = lamina_no_params,
     .op = "log_softmax/forward"},
    {.name = "dropout",
     .about = "drops elements in training",
     .attrs = dropout_attrs,
     .attr_size = sizeof(lamina_dropout_layer),
     .params = lamina_no_params,
     .expand = expand_dropout},
    {.name = "scale",
     .about = "times a number",
     .attrs = scale_attrs,
     .attr_size = sizeof(lamina_scale_layer),
     .params = lamina_no_params,
     .op = "scale/forward"},
    {0},
};
