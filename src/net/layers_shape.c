/* Layers that see or move data another way. */
#include "lamina/pad.h"
#include "lamina/reduce.h"
#include "lamina/resize.h"
#include "lamina/slice.h"
#include "lamina/transpose.h"
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

/* ---- Layers that are an op, and leave the batch as it is ---------------------------------------------------------- */

static const lamina_attr_def slice_attrs[] = {{LAMINA_FIELD(lamina_slice, start), .type = LAMINA_ATTR_LIST},
                                              {LAMINA_FIELD(lamina_slice, stop), .type = LAMINA_ATTR_LIST},
                                              {LAMINA_FIELD(lamina_slice, step), .type = LAMINA_ATTR_LIST},
                                              {0}};
static const char *const pad_modes[] = {"constant", "edge", "reflect", NULL};
static const lamina_attr_def pad_attrs[] = {
    {LAMINA_FIELD(lamina_pad, before), .type = LAMINA_ATTR_LIST, .most = 0x1p31},
    {LAMINA_FIELD(lamina_pad, after), .type = LAMINA_ATTR_LIST, .most = 0x1p31},
    {LAMINA_FIELD(lamina_pad, mode), .type = LAMINA_ATTR_ENUM, .choices = pad_modes},
    {LAMINA_FIELD(lamina_pad, value), .type = LAMINA_ATTR_REAL},
    {0}};
static const lamina_attr_def transpose_attrs[] = {{LAMINA_FIELD(lamina_transpose, perm), .type = LAMINA_ATTR_LIST,
                                                   .least = -LAMINA_MAX_RANK, .most = LAMINA_MAX_RANK - 1},
                                                  {0}};
static const char *const resize_modes[] = {"nearest", "linear", NULL};
static const lamina_attr_def resize_attrs[] = {
    {LAMINA_FIELD(lamina_resize, size), .type = LAMINA_ATTR_AXES, .most = 0x1p30},
    {LAMINA_FIELD(lamina_resize, scale), .type = LAMINA_ATTR_REAL, .most = 0x1p30},
    {LAMINA_FIELD(lamina_resize, mode), .type = LAMINA_ATTR_ENUM, .choices = resize_modes},
    {LAMINA_FIELD(lamina_resize, align_corners), .type = LAMINA_ATTR_BOOL},
    {0}};
static const lamina_attr_def reduce_attrs[] = {{LAMINA_FIELD(lamina_reduce, axes), .type = LAMINA_ATTR_SET},
                                               {LAMINA_FIELD(lamina_reduce, keep), .type = LAMINA_ATTR_BOOL},
                                               {0}};

static lamina_status touches_batch(const char *name, const char *expected) {
  return lamina_error(LAMINA_INVALID, "%s names axis 0, the batch; expected %s", name, expected);
}

static lamina_status expand_slice(lamina_graph *graph, const lamina_layer *layer) {
  const lamina_slice *slice = (const void *)layer->attr;
  if (slice->start[0]) return touches_batch("start", "0 there");
  if (slice->stop[0]) return touches_batch("stop", "0 there");
  if (slice->step[0] && slice->step[0] != 1) return touches_batch("step", "0 there");
  return lamina_emit_unary(graph, "slice/forward", slice);
}

static lamina_status expand_pad(lamina_graph *graph, const lamina_layer *layer) {
  const lamina_pad *pad = (const void *)layer->attr;
  if (pad->before[0]) return touches_batch("before", "0 there");
  if (pad->after[0]) return touches_batch("after", "0 there");
  return lamina_emit_unary(graph, "pad/forward", pad);
}

static lamina_status expand_transpose(lamina_graph *graph, const lamina_layer *layer) {
  const lamina_transpose *transpose = (const void *)layer->attr;
  const int rank = graph->values[graph->x].desc.rank;
  if (rank > 1 && (transpose->perm[0] || !transpose->perm[1]))
    return lamina_error(LAMINA_INVALID, "perm must start with 0, the batch, and name every other axis after it");
  return lamina_emit_unary(graph, "transpose/forward", transpose);
}

/* Over all axes but the first where none is named. */
static lamina_status reduce_of(const lamina_graph *graph, const lamina_layer *layer, lamina_reduce *reduce) {
  const int rank = graph->values[graph->x].desc.rank;
  *reduce = *(const lamina_reduce *)(const void *)layer->attr;
  if (reduce->axes & (LAMINA_AXIS(0) | LAMINA_AXIS(-rank))) return touches_batch("axes", "others");
  for (int d = 1; d < rank && !((const lamina_reduce *)(const void *)layer->attr)->axes; d++)
    reduce->axes |= LAMINA_AXIS(d);
  return rank > 1 ? LAMINA_OK : lamina_error(LAMINA_INVALID, "its input has no axis but the batch");
}
static lamina_status expand_sum(lamina_graph *graph, const lamina_layer *layer) {
  lamina_reduce reduce;
  LAMINA_TRY(reduce_of(graph, layer, &reduce));
  return lamina_emit_unary(graph, "sum/forward", &reduce);
}
static lamina_status expand_mean(lamina_graph *graph, const lamina_layer *layer) {
  lamina_reduce reduce;
  LAMINA_TRY(reduce_of(graph, layer, &reduce));
  return lamina_emit_unary(graph, "mean/forward", &reduce);
}
static lamina_status expand_max(lamina_graph *graph, const lamina_layer *layer) {
  lamina_reduce reduce;
  LAMINA_TRY(reduce_of(graph, layer, &reduce));
  int arg[] = {graph->x, LAMINA_FRESH, graph->training ? LAMINA_FRESH : LAMINA_ABSENT}; /* for the backward pass */
  LAMINA_TRY(lamina_graph_emit(graph, "max/forward", &reduce, arg));
  graph->x = arg[1];
  return LAMINA_OK;
}

#define OF_OP(kind, what, attrs_, descriptor)                                                                          \
  {                                                                                                                    \
    .name = #kind, .about = what, .attrs = attrs_, .attr_size = sizeof(descriptor), .params = lamina_no_params,        \
    .expand = expand_##kind                                                                                            \
  }

const lamina_layer_def lamina_layers_shape[] = {
    {.name = "flatten",
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
    OF_OP(slice, "every step-th element from start to stop", slice_attrs, lamina_slice),
    OF_OP(pad, "more elements before and after", pad_attrs, lamina_pad),
    OF_OP(transpose, "another order of the axes", transpose_attrs, lamina_transpose),
    {.name = "resize",
     .about = "another size, by the nearest element or linearly",
     .attrs = resize_attrs,
     .attr_size = sizeof(lamina_resize),
     .params = lamina_no_params,
     .op = "resize/forward"},
    OF_OP(sum, "the sum over axes", reduce_attrs, lamina_reduce),
    OF_OP(mean, "the mean over axes", reduce_attrs, lamina_reduce),
    OF_OP(max, "the largest over axes", reduce_attrs, lamina_reduce),
    {0}};
