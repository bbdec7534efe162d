/* Layers of pooling. */
#include "lamina/pool.h"
#include "net/layers.h"

#define POOL_ATTRS                                                                                                     \
  {LAMINA_FIELD(lamina_pool_layer, kernel), .type = LAMINA_ATTR_AXES, .most = 0x1p31},                                 \
      {LAMINA_FIELD(lamina_pool_layer, stride), .type = LAMINA_ATTR_AXES, .most = 0x1p31},                             \
      {LAMINA_FIELD(lamina_pool_layer, pad), .type = LAMINA_ATTR_PADS, .most = 0x1p31},                                \
      {LAMINA_FIELD(lamina_pool_layer, ceil), .type = LAMINA_ATTR_BOOL}, {                                             \
    LAMINA_FIELD(lamina_pool_layer, global), .type = LAMINA_ATTR_BOOL                                                  \
  }
static const lamina_attr_def max_pool_attrs[] = {POOL_ATTRS, {0}};
static const lamina_attr_def avg_pool_attrs[] = {
    POOL_ATTRS, {LAMINA_FIELD(lamina_pool_layer, count_pad), .type = LAMINA_ATTR_BOOL}, {0}};

static lamina_status pool_of(const lamina_graph *graph, const lamina_layer *layer, lamina_pool *pool) {
  const lamina_pool_layer *l = (const void *)layer->attr;
  int axes;
  LAMINA_TRY(lamina_layer_spatial(graph, &axes));
  if (!l->kernel[0] && !l->global) return lamina_error(LAMINA_INVALID, "kernel is missing");
  *pool = (lamina_pool){.ceil_mode = l->ceil, .global = l->global, .count_pad = l->count_pad};
  LAMINA_TRY(lamina_layer_pads(pool->pad, l->pad, axes));
  LAMINA_TRY(lamina_layer_spread("kernel", pool->kernel, l->kernel, axes));
  return lamina_layer_spread("stride", pool->stride, l->stride, axes);
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
  return lamina_emit_unary(graph, "avg_pool/forward", &pool);
}

const lamina_layer_def lamina_layers_pool[] = {{.name = "max_pool",
                                                .about = "the largest of each window",
                                                .attrs = max_pool_attrs,
                                                .attr_size = sizeof(lamina_pool_layer),
                                                .params = lamina_no_params,
                                                .expand = expand_max_pool},
                                               {.name = "avg_pool",
                                                .about = "the mean of each window",
                                                .attrs = avg_pool_attrs,
                                                .attr_size = sizeof(lamina_pool_layer),
                                                .params = lamina_no_params,
                                                .expand = expand_avg_pool},
                                               {0}};
