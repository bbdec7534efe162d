/* Layers that keep the shape: activations, dropout, scale. */
#include "lamina/arithmetic.h"
#include "lamina/dropout.h"
#include "lamina/softmax.h"
#include "net/layers.h"

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

const lamina_layer_def lamina_layers_activation[] = {
    {.name = "relu", .about = "max(x, 0)", .attrs = lamina_no_attrs, .params = lamina_no_params, .op = "relu/forward"},
    {.name = "sigmoid",
     .about = "1 / (1 + exp(-x))",
     .attrs = lamina_no_attrs,
     .params = lamina_no_params,
     .op = "sigmoid/forward"},
    {.name = "tanh",
     .about = "hyperbolic tangent",
     .attrs = lamina_no_attrs,
     .params = lamina_no_params,
     .op = "tanh/forward"},
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
    {0}};
