/* Fully connected layers. */
#include "net/layers.h"

static const lamina_attr_def fc_attrs[] = {
    {LAMINA_FIELD(lamina_fc_layer, units), .type = LAMINA_ATTR_INT, LAMINA_AT_LEAST_ONE},
    LAMINA_BIAS_ATTR(lamina_fc_layer),
    LAMINA_INIT_ATTR(lamina_fc_layer),
    {0}};

static lamina_status expand_fc(lamina_graph *graph, const lamina_layer *layer) {
  const lamina_fc_layer *l = (const void *)layer->attr;
  LAMINA_TRY(lamina_layer_flatten(graph));
  const int64_t w[] = {l->units, graph->values[graph->x].desc.dims[1]};
  int arg[] = {graph->x, LAMINA_ABSENT, LAMINA_ABSENT, LAMINA_FRESH};
  LAMINA_TRY(lamina_graph_param(graph, layer, 0, 2, w, (double)w[1], (double)w[0], &arg[1]));
  if (l->bias) LAMINA_TRY(lamina_graph_param(graph, layer, 1, 1, w, 0, 0, &arg[2]));
  LAMINA_TRY(lamina_graph_emit(graph, "fc/forward", NULL, arg));
  graph->x = arg[3];
  return LAMINA_OK;
}

const lamina_layer_def lamina_layers_fc[] = {{.name = "fc",
                                              .about = "fully connected",
                                              .attrs = fc_attrs,
                                              .attr_size = sizeof(lamina_fc_layer),
                                              .params = lamina_weights_and_bias,
                                              .expand = expand_fc},
                                             {0}};
