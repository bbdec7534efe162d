/* The table of all kinds of layer, and what their rooms share. A new room adds its name here. */
#include "net/layers.h"

#define ROOMS(X)                                                                                                       \
  X(conv)                                                                                                              \
  X(fc)                                                                                                                \
  X(pool)                                                                                                              \
  X(activation)                                                                                                        \
  X(shape)                                                                                                             \
  X(batch_norm)                                                                                                        \
  X(norm)                                                                                                              \
  X(join)                                                                                                              \
  X(embedding)

#define X(room) extern const lamina_layer_def lamina_layers_##room[];
ROOMS(X)
#undef X

static const lamina_layer_def *const rooms[] = {
#define X(room) lamina_layers_##room,
    ROOMS(X)
#undef X
};

const lamina_layer_def *lamina_layer_at(int index) {
  if (index < 0) return NULL;
  for (size_t r = 0; r < LAMINA_COUNT_OF(rooms); r++)
    for (const lamina_layer_def *layer = rooms[r]; layer->name; layer++)
      if (index-- == 0) return layer;
  return NULL;
}

const lamina_layer_def *lamina_layer_find(const char *name) {
  for (int i = 0; name && lamina_layer_at(i); i++)
    if (strcmp(lamina_layer_at(i)->name, name) == 0) return lamina_layer_at(i);
  return NULL;
}

lamina_status lamina_layer_expand(lamina_graph *graph, const lamina_layer *layer, const int *input) {
  graph->layer_name = layer->name;
  graph->x = input[0];
  graph->input_count = layer->from_count;
  memcpy(graph->input, input, (size_t)layer->from_count * sizeof *input);
  const lamina_status status =
      layer->def->expand ? layer->def->expand(graph, layer) : lamina_emit_unary(graph, layer->def->op, layer->attr);
  graph->layer_name = "net"; /* the name above may move */
  return status;
}

/* ---- What rooms share ------------------------------------------------------------------------------------------- */

_Static_assert(offsetof(lamina_layer, attr) % _Alignof(lamina_conv_layer) == 0, "descriptors are read where they lie");

const char *const lamina_initialisers[] = {"default",        "he_normal", "he_uniform", "xavier_normal",
                                           "xavier_uniform", "zero",      NULL};
const lamina_attr_def lamina_no_attrs[] = {{0}};
const lamina_param_def lamina_no_params[] = {{0}};
const lamina_param_def lamina_weights_and_bias[] = {{.name = "w", .decay = true}, {.name = "b", .constant = true}, {0}};

lamina_status lamina_emit_unary(lamina_graph *graph, const char *op, const void *attr) {
  int arg[] = {graph->x, LAMINA_FRESH};
  LAMINA_TRY(lamina_graph_emit(graph, op, attr, arg));
  graph->x = arg[1];
  return LAMINA_OK;
}

static lamina_status too_many_axes(const char *name, int given, int axes) {
  return lamina_error(LAMINA_INVALID, "%s is given for %d axes, but its input has %d spatial ax%s", name, given, axes,
                      axes == 1 ? "is" : "es");
}

lamina_status lamina_layer_spread(const char *name, int64_t out[3], const int64_t in[3], int axes) {
  for (int a = 0; a < axes; a++) out[a] = in[a] ? in[a] : in[0];
  for (int a = axes; a < 3; a++)
    if (in[a]) return too_many_axes(name, a + 1, axes);
  return LAMINA_OK;
}

lamina_status lamina_layer_pads(int64_t out[3][2], const int64_t in[3][2], int axes) {
  for (int a = axes; a < 3; a++)
    if (in[a][0] || in[a][1]) return too_many_axes("pad", a + 1, axes);
  memcpy(out, in, 6 * sizeof in[0][0]);
  return LAMINA_OK;
}

lamina_status lamina_layer_spatial(const lamina_graph *graph, int *axes) {
  *axes = graph->values[graph->x].desc.rank - 2;
  if (*axes >= 1 && *axes <= 3) return LAMINA_OK;
  return lamina_error(LAMINA_INVALID, "its input has %d axes; expected [N, C] and 1 to 3 spatial axes", *axes + 2);
}
