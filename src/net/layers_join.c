/* Layers that join the outputs of two or more others. */
#include "lamina/concat.h"
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

static lamina_status expand_multiply(lamina_graph *graph, const lamina_layer *layer) {
  (void)layer;
  return fold(graph, "multiply/forward");
}

static const lamina_attr_def concat_attrs[] = {
    {LAMINA_FIELD(lamina_concat_layer, axis), .type = LAMINA_ATTR_INT, .preset = 1, .least = -7, .most = 7}, {0}};

_Static_assert(LAMINA_MAX_INPUTS == LAMINA_PARTS, "a layer joins as much as the op does");

static lamina_status expand_concat(lamina_graph *graph, const lamina_layer *layer) {
  const lamina_concat_layer *l = (const void *)layer->attr;
  const lamina_concat concat = {.axis = l->axis};
  int arg[LAMINA_PARTS + 1];
  for (int i = 0; i < LAMINA_PARTS; i++) arg[i] = i < graph->input_count ? graph->input[i] : LAMINA_ABSENT;
  arg[LAMINA_PARTS] = LAMINA_FRESH;
  LAMINA_TRY(lamina_graph_emit(graph, "concat/forward", &concat, arg));
  graph->x = arg[LAMINA_PARTS];
  return LAMINA_OK;
}

const lamina_layer_def lamina_layers_join[] = {{.name = "add",
                                                .about = "the sum of two or more layers",
                                                .attrs = lamina_no_attrs,
                                                .inputs = LAMINA_MAX_INPUTS,
                                                .params = lamina_no_params,
                                                .expand = expand_add},
                                               {.name = "multiply",
                                                .about = "the product of two or more layers",
                                                .attrs = lamina_no_attrs,
                                                .inputs = LAMINA_MAX_INPUTS,
                                                .params = lamina_no_params,
                                                .expand = expand_multiply},
                                               {.name = "concat",
                                                .about = "two or more layers, one behind the other along an axis",
                                                .attrs = concat_attrs,
                                                .attr_size = sizeof(lamina_concat_layer),
                                                .inputs = LAMINA_MAX_INPUTS,
                                                .params = lamina_no_params,
                                                .expand = expand_concat},
                                               {0}};
