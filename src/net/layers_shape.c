/* Layers that see or move data another way. */
#include "net/layers.h"

lamina_status lamina_layer_flatten(lamina_graph *graph) {
  const lamina_desc in = graph->values[graph->x].desc;
  int64_t features = 1;
  for (int a = 1; a < in.rank; a++)
    if (!lamina_mul(features, in.dims[a], &features))
      return lamina_error(LAMINA_INVALID, "the size of its input overflows");
  if (in.rank == 2) return LAMINA_OK;
  return lamina_graph_view(graph, graph->x, 2, (int64_t[]){in.dims[0], features}, &graph->x);
}

static lamina_status expand_flatten(lamina_graph *graph, const lamina_layer *layer) {
  (void)layer;
  return lamina_layer_flatten(graph);
}

static const lamina_attr_def reshape_attrs[] = {
    {LAMINA_FIELD(lamina_reshape_layer, shape), .type = LAMINA_ATTR_AXES, .most = 0x1p31}, {0}};

static lamina_status expand_reshape(lamina_graph *graph, const lamina_layer *layer) {
  const lamina_reshape_layer *l = (const void *)layer->attr;
  const lamina_desc in = graph->values[graph->x].desc;
  int64_t dims[LAMINA_MAX_RANK] = {in.dims[0]};
  int rank = 1;
  char have[128], want[128];
  while (rank < 4 && l->shape[rank - 1]) dims[rank] = l->shape[rank - 1], rank++;
  const lamina_desc out = lamina_dense(graph->dtype, rank, dims);
  if (lamina_desc_count(&out) != lamina_desc_count(&in))
    return lamina_error(LAMINA_INVALID, "%s can't become %s: the number of elements differs",
                        lamina_desc_text(&in, have, sizeof have), lamina_desc_text(&out, want, sizeof want));
  return lamina_graph_view(graph, graph->x, rank, dims, &graph->x);
}

const lamina_layer_def lamina_layers_shape[] = {{.name = "flatten",
                                                 .about = "all axes but the first as one",
                                                 .attrs = lamina_no_attrs,
                                                 .params = lamina_no_params,
                                                 .expand = expand_flatten},
                                                {.name = "reshape",
                                                 .about = "other axes after the first",
                                                 .attrs = reshape_attrs,
                                                 .attr_size = sizeof(lamina_reshape_layer),
                                                 .params = lamina_no_params,
                                                 .expand = expand_reshape},
                                                {0}};
