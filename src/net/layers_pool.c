/* Layers of pooling. */
#include "lamina/lp_pool.h"
#include "lamina/mixed_pool.h"
#include "lamina/stochastic_pool.h"
#include "net/layers.h"

#define POOL_ATTRS                                                                                                     \
  {LAMINA_FIELD(lamina_pool_layer, kernel), .type = LAMINA_ATTR_AXES, .most = 0x1p31},                                 \
      {LAMINA_FIELD(lamina_pool_layer, stride), .type = LAMINA_ATTR_AXES, .most = 0x1p31},                             \
      {LAMINA_FIELD(lamina_pool_layer, pad), .type = LAMINA_ATTR_PADS, .most = 0x1p31},                                \
      {LAMINA_FIELD(lamina_pool_layer, ceil), .type = LAMINA_ATTR_BOOL}, {                                             \
    LAMINA_FIELD(lamina_pool_layer, global), .type = LAMINA_ATTR_BOOL                                                  \
  }
static const lamina_attr_def extreme_attrs[] = {
    POOL_ATTRS, {LAMINA_FIELD(lamina_pool_layer, dilation), .type = LAMINA_ATTR_AXES, .most = 0x1p31}, {0}};
static const lamina_attr_def avg_pool_attrs[] = {
    POOL_ATTRS, {LAMINA_FIELD(lamina_pool_layer, count_pad), .type = LAMINA_ATTR_BOOL}, {0}};
static const lamina_attr_def lp_pool_attrs[] = {
    POOL_ATTRS,
    {LAMINA_FIELD(lamina_lp_pool_layer, p), .type = LAMINA_ATTR_REAL, .preset = 2, .least = 1, .most = 1000},
    {0}};
static const lamina_attr_def mixed_pool_attrs[] = {
    POOL_ATTRS,
    {LAMINA_FIELD(lamina_pool_layer, count_pad), .type = LAMINA_ATTR_BOOL},
    {LAMINA_FIELD(lamina_mixed_pool_layer, max_share), .type = LAMINA_ATTR_REAL, .preset = 0.5,
     .has = offsetof(lamina_mixed_pool_layer, has_max_share), .most = 1},
    {0}};
static const lamina_attr_def stochastic_pool_attrs[] = {POOL_ATTRS, {0}};

static lamina_status pool_of(const lamina_graph *graph, const lamina_pool_layer *l, lamina_pool *pool) {
  int axes;
  LAMINA_TRY(lamina_layer_spatial(graph, &axes));
  if (!l->kernel[0] && !l->global) return lamina_error(LAMINA_INVALID, "kernel is missing");
  *pool = (lamina_pool){.ceil_mode = l->ceil, .global = l->global, .count_pad = l->count_pad};
  LAMINA_TRY(lamina_layer_pads(pool->pad, l->pad, axes));
  LAMINA_TRY(lamina_layer_spread("kernel", pool->kernel, l->kernel, axes));
  LAMINA_TRY(lamina_layer_spread("dilation", pool->dilation, l->dilation, axes));
  return lamina_layer_spread("stride", pool->stride, l->stride, axes);
}

/* x → y, and indices, which the backward pass wants. */
static lamina_status emit_extreme(lamina_graph *graph, const char *op, const void *pool) {
  int arg[] = {graph->x, LAMINA_FRESH, graph->training ? LAMINA_FRESH : LAMINA_ABSENT};
  LAMINA_TRY(lamina_graph_emit(graph, op, pool, arg));
  graph->x = arg[1];
  return LAMINA_OK;
}

static lamina_status expand_max_pool(lamina_graph *graph, const lamina_layer *layer) {
  lamina_pool pool;
  LAMINA_TRY(pool_of(graph, (const void *)layer->attr, &pool));
  return emit_extreme(graph, "max_pool/forward", &pool);
}

static lamina_status expand_min_pool(lamina_graph *graph, const lamina_layer *layer) {
  lamina_pool pool;
  LAMINA_TRY(pool_of(graph, (const void *)layer->attr, &pool));
  return emit_extreme(graph, "min_pool/forward", &pool);
}

static lamina_status expand_avg_pool(lamina_graph *graph, const lamina_layer *layer) {
  lamina_pool pool;
  LAMINA_TRY(pool_of(graph, (const void *)layer->attr, &pool));
  return lamina_emit_unary(graph, "avg_pool/forward", &pool);
}

static lamina_status expand_global_max_pool(lamina_graph *graph, const lamina_layer *layer) {
  (void)layer;
  return emit_extreme(graph, "max_pool/forward", &(lamina_pool){.global = 1});
}

static lamina_status expand_global_avg_pool(lamina_graph *graph, const lamina_layer *layer) {
  (void)layer;
  return lamina_emit_unary(graph, "avg_pool/forward", &(lamina_pool){.global = 1});
}

static lamina_status expand_lp_pool(lamina_graph *graph, const lamina_layer *layer) {
  const lamina_lp_pool_layer *l = (const void *)layer->attr;
  lamina_lp_pool pool = {.p = l->p};
  LAMINA_TRY(pool_of(graph, &l->window, &pool.window));
  return lamina_emit_unary(graph, "lp_pool/forward", &pool);
}

static lamina_status expand_mixed_pool(lamina_graph *graph, const lamina_layer *layer) {
  const lamina_mixed_pool_layer *l = (const void *)layer->attr;
  lamina_mixed_pool pool = {.max_share = l->max_share, .has_max_share = 1};
  LAMINA_TRY(pool_of(graph, &l->window, &pool.window));
  return emit_extreme(graph, "mixed_pool/forward", &pool);
}

static lamina_status expand_stochastic_pool(lamina_graph *graph, const lamina_layer *layer) {
  lamina_stochastic_pool pool = {.stream = graph->layer};
  int arg[] = {graph->x, graph->rng, LAMINA_FRESH, LAMINA_FRESH};
  LAMINA_TRY(pool_of(graph, (const void *)layer->attr, &pool.window));
  if (!graph->training) return lamina_emit_unary(graph, "stochastic_pool/inference", &pool);
  LAMINA_TRY(lamina_graph_emit(graph, "stochastic_pool/forward", &pool, arg));
  graph->x = arg[2];
  return LAMINA_OK;
}

#define ROW(layer, text, attrs_, size)                                                                                 \
  {                                                                                                                    \
    .name = #layer, .about = (text), .attrs = (attrs_), .attr_size = (size), .params = lamina_no_params,               \
    .expand = expand_##layer                                                                                           \
  }
const lamina_layer_def lamina_layers_pool[] = {
    ROW(max_pool, "the largest of each window", extreme_attrs, sizeof(lamina_pool_layer)),
    ROW(min_pool, "the smallest of each window", extreme_attrs, sizeof(lamina_pool_layer)),
    ROW(avg_pool, "the mean of each window", avg_pool_attrs, sizeof(lamina_pool_layer)),
    ROW(lp_pool, "the norm of each window", lp_pool_attrs, sizeof(lamina_lp_pool_layer)),
    ROW(mixed_pool, "a blend of maximum and mean", mixed_pool_attrs, sizeof(lamina_mixed_pool_layer)),
    ROW(stochastic_pool, "draws an element of each window", stochastic_pool_attrs, sizeof(lamina_pool_layer)),
    ROW(global_max_pool, "the largest of each channel", lamina_no_attrs, 0),
    ROW(global_avg_pool, "the mean of each channel", lamina_no_attrs, 0),
    {0}};
