/* Embeddings: from integers to rows of a table. */
#include "lamina/gather.h"
#include "net/layers.h"

static const lamina_attr_def embedding_attrs[] = {
    {LAMINA_FIELD(lamina_embedding_layer, count), .type = LAMINA_ATTR_INT, LAMINA_AT_LEAST_ONE},
    {LAMINA_FIELD(lamina_embedding_layer, dim), .type = LAMINA_ATTR_INT, LAMINA_AT_LEAST_ONE},
    LAMINA_INIT_ATTR(lamina_embedding_layer),
    {0}};

static const lamina_param_def embedding_params[] = {{.name = "w", .decay = true}, {0}};

static lamina_status expand_embedding(lamina_graph *graph, const lamina_layer *layer) {
  const lamina_embedding_layer *l = (const void *)layer->attr;
  const int64_t w[] = {l->count, l->dim};
  int arg[] = {graph->x, LAMINA_ABSENT, LAMINA_FRESH};
  LAMINA_TRY(lamina_graph_param(graph, layer, 0, 2, w, 1, (double)l->dim, &arg[1]));
  LAMINA_TRY(lamina_graph_emit(graph, "embedding/forward", &(lamina_embedding){0}, arg));
  graph->x = arg[2];
  return LAMINA_OK;
}

const lamina_layer_def lamina_layers_embedding[] = {{.name = "embedding",
                                                     .about = "rows of a table, by integers",
                                                     .attrs = embedding_attrs,
                                                     .attr_size = sizeof(lamina_embedding_layer),
                                                     .params = embedding_params,
                                                     .expand = expand_embedding},
                                                    {0}};
