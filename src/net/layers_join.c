/* Layers that join the outputs of two or more others. */
#include "lamina/arithmetic.h"
#include "net/layers.h"

static lamina_status fold(lamina_graph *graph, const char *op) {
  for (int i = 1; i < graph->input_count; i++) {
    int arg[] = {graph->x, graph->input[i], LAMINA_FRESH};
    LAMINA_TRY(lamina_graph_emit(graph, op, NULL, arg));
    graph->x = arg[2];
  }
  return LAMINA_OK;
}

static lamina_status expand_add(lamina_graph *graph, const lamina_layer *layer) {
  (void)layer;
  return fold(graph, "add/forward");
}

const lamina_layer_def lamina_layers_join[] = {{.name = "add",
                                                .about = "the sum of two or more layers",
                                                .attrs = lamina_no_attrs,
                                                .inputs = LAMINA_MAX_INPUTS,
                                                .params = lamina_no_params,
                                                .expand = expand_add},
                                               {0}};
