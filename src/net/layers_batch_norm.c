/* Batch normalisation, whose running statistics are states of the net. */
#include "lamina/batch_norm.h"
#include "net/layers.h"

static const lamina_attr_def batch_norm_attrs[] = {
    {LAMINA_FIELD(lamina_batch_norm_layer, epsilon), .type = LAMINA_ATTR_REAL, .preset = 1e-5,
     .has = offsetof(lamina_batch_norm_layer, has_epsilon), .most = 1},
    {LAMINA_FIELD(lamina_batch_norm_layer, momentum), .type = LAMINA_ATTR_REAL, .preset = 0.1,
     .has = offsetof(lamina_batch_norm_layer, has_momentum), .most = 1},
    {LAMINA_FIELD(lamina_batch_norm_layer, affine), .type = LAMINA_ATTR_BOOL, .preset = 1,
     .has = offsetof(lamina_batch_norm_layer, has_affine)},
    {0}};

enum { W, B, RUNNING_MEAN, RUNNING_VARIANCE, PARAMS };
static const lamina_param_def batch_norm_params[] = {
    {.name = "w", .constant = true, .value = 1},
    {.name = "b", .constant = true},
    {.name = "running_mean", .constant = true, .state = true},
    {.name = "running_variance", .constant = true, .value = 1, .state = true},
    {0}};

static lamina_status infer(lamina_graph *graph, const lamina_batch_norm *norm, const int *p) {
  int arg[] = {graph->x, p[W], p[B], p[RUNNING_MEAN], p[RUNNING_VARIANCE], LAMINA_FRESH};
  LAMINA_TRY(lamina_graph_emit(graph, "batch_norm/inference", norm, arg));
  graph->x = arg[5];
  return LAMINA_OK;
}

static lamina_status train(lamina_graph *graph, const lamina_batch_norm *norm, const int *p) {
  enum { X, Y = 5, MEAN, DEVIATION, NEW_MEAN, NEW_VARIANCE, ARGS };
  int arg[ARGS] = {graph->x, p[W], p[B], p[RUNNING_MEAN], p[RUNNING_VARIANCE]};
  for (int i = Y; i < ARGS; i++) arg[i] = LAMINA_FRESH;
  LAMINA_TRY(lamina_graph_emit(graph, "batch_norm/forward", norm, arg));
  lamina_graph_next_state(graph, p[RUNNING_MEAN], arg[NEW_MEAN]);
  lamina_graph_next_state(graph, p[RUNNING_VARIANCE], arg[NEW_VARIANCE]);
  graph->x = arg[Y];
  return LAMINA_OK;
}

static lamina_status expand_batch_norm(lamina_graph *graph, const lamina_layer *layer) {
  const lamina_batch_norm_layer *l = (const void *)layer->attr;
  const lamina_batch_norm norm = {.epsilon = l->epsilon, .momentum = l->momentum, .has_epsilon = 1, .has_momentum = 1};
  const lamina_desc in = graph->values[graph->x].desc;
  int p[PARAMS] = {LAMINA_ABSENT, LAMINA_ABSENT};
  if (in.rank < 2) return lamina_error(LAMINA_INVALID, "its input has %d axes; expected [N, C, …]", in.rank);
  for (int i = l->affine ? W : RUNNING_MEAN; i < PARAMS; i++)
    LAMINA_TRY(lamina_graph_param(graph, layer, i, 1, &in.dims[1], 0, 0, &p[i]));
  return graph->training ? train(graph, &norm, p) : infer(graph, &norm, p);
}

const lamina_layer_def lamina_layers_batch_norm[] = {{.name = "batch_norm",
                                                      .about = "channels to mean 0 and variance 1 over the batch",
                                                      .attrs = batch_norm_attrs,
                                                      .attr_size = sizeof(lamina_batch_norm_layer),
                                                      .params = batch_norm_params,
                                                      .expand = expand_batch_norm},
                                                     {0}};
