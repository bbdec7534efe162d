/* Layers of pooling. */
#include "lamina/lp_pool.h"
#include "lamina/mixed_pool.h"
#include "lamina/spectral_pool.h"
#include "lamina/stochastic_pool.h"
#include "lamina/unpool.h"
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

static const lamina_attr_def spectral_pool_attrs[] = {
    {LAMINA_FIELD(lamina_spectral_pool_layer, size), .type = LAMINA_ATTR_AXES, .most = 0x1p31}, {0}};

static lamina_status expand_spectral_pool(lamina_graph *graph, const lamina_layer *layer) {
  const lamina_spectral_pool_layer *l = (const void *)layer->attr;
  lamina_spectral_pool pool = {{0}};
  int axes;
  LAMINA_TRY(lamina_layer_spatial(graph, &axes));
  if (!l->size[0]) return lamina_error(LAMINA_INVALID, "size is missing");
  LAMINA_TRY(lamina_layer_spread("size", pool.size, l->size, axes));
  return lamina_emit_unary(graph, "spectral_pool/forward", &pool);
}

/* The node that gives a value together with indices; -1 when there is none. */
static int pool_that_gives(const lamina_graph *graph, int value, int *indices) {
  for (int n = 0; n < graph->node_count; n++) {
    const lamina_op_def *op = graph->nodes[n].op < 0 ? NULL : lamina_op_at(graph->nodes[n].op);
    *indices = op ? lamina_op_arg(op, "indices") : -1;
    if (*indices >= 0 && op->args[*indices].role == LAMINA_SAVED &&
        graph->nodes[n].arg[lamina_op_arg(op, "y")] == value)
      return n;
  }
  return -1;
}

/* The second input is the pool's output; what is taken of it are the indices, which the pool saves for it if it doesn't
 * yet, and the shape that it pooled. */
static lamina_status expand_max_unpool(lamina_graph *graph, const lamina_layer *layer) {
  int at;
  (void)layer;
  const int pool = pool_that_gives(graph, graph->input[1], &at);
  if (pool < 0)
    return lamina_error(LAMINA_INVALID, "the second layer that it takes must be a pool with indices: a max_pool, "
                                        "min_pool, mixed_pool or, in training, stochastic_pool");
  const lamina_desc out = graph->values[graph->nodes[pool].arg[0]].desc, from = graph->values[graph->input[1]].desc;
  int arg[] = {graph->x, graph->nodes[pool].arg[at], LAMINA_ABSENT};
  if (arg[1] == LAMINA_ABSENT) {
    const lamina_desc desc = lamina_dense(LAMINA_I32, from.rank, from.dims);
    LAMINA_TRY(lamina_graph_value(graph, "indices", &desc, LAMINA_BUFFER_ARENA, 0, &arg[1]));
  }
  const lamina_desc y = lamina_dense(graph->dtype, out.rank, out.dims);
  LAMINA_TRY(lamina_graph_value(graph, "y", &y, LAMINA_BUFFER_ARENA, 0, &arg[2]));
  LAMINA_TRY(lamina_graph_emit(graph, "max_unpool/forward", NULL, arg));
  graph->values[arg[2]].varies = graph->values[arg[0]].varies;
  graph->nodes[pool].arg[at] = arg[1];
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
    ROW(spectral_pool, "the low frequencies", spectral_pool_attrs, sizeof(lamina_spectral_pool_layer)),
    ROW(global_max_pool, "the largest of each channel", lamina_no_attrs, 0),
    ROW(global_avg_pool, "the mean of each channel", lamina_no_attrs, 0),
    {.name = "max_unpool",
     .about = "puts a layer back where a pool took from",
     .attrs = lamina_no_attrs,
     .inputs = 2,
     .params = lamina_no_params,
     .expand = expand_max_unpool},
    {0}};
