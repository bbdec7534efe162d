/* Adding layers to a net: what they are called, and whose outputs they take.
 *
 *   input ─ stem ─┬─ 1.conv ─ 2.relu ─┬─ 4.add ─ …       a layer takes the one before it, or those that it names;
 *                 └─ 3.conv ──────────┘                  only earlier ones, so the order of layers is one to run them */
#include <stdio.h>

#include "core/problem.h"
#include "net/net.h"

static lamina_status unknown_kind(const char *kind) {
  const char *names[128] = {NULL};
  for (int i = 0; i < 127 && lamina_layer_at(i); i++) names[i] = lamina_layer_at(i)->name;
  const char *near = lamina_nearest(kind, names);
  char all[768] = "";
  if (near) return lamina_error(LAMINA_INVALID, "there is no layer \"%.40s\"; did you mean \"%s\"?", kind, near);
  for (int i = 0; names[i]; i++) lamina_append(all, sizeof all, "%s%s", i ? ", " : "", names[i]);
  return lamina_error(LAMINA_INVALID, "there is no layer \"%.40s\"; there are %s", kind, all);
}

/* ---- Names ------------------------------------------------------------------------------------------------------ */

static const char input_name[] = "input";

/* The layer called so, -1 for the input; -2 when there is none. */
static int find_layer(const lamina_net *net, const char *name) {
  if (strcmp(name, input_name) == 0) return -1;
  for (int i = 0; i < net->layer_count; i++)
    if (strcmp(net->layers[i].name, name) == 0) return i;
  return -2;
}

/* Letters, digits, - and _, from a letter on: so no name looks like a place and a kind, or like a parameter's. */
static lamina_status check_name(const lamina_net *net, const char *name) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", others[] = "0123456789_-";
  char all[sizeof letters + sizeof others];
  snprintf(all, sizeof all, "%s%s", letters, others);
  const size_t length = strlen(name);
  if (length > 31 || !strspn(name, letters) || strspn(name, all) != length)
    return lamina_error(LAMINA_INVALID,
                        "\"%.40s\" can't name a layer; expected a letter, then letters, digits, _ and -, 31 at most",
                        name);
  if (find_layer(net, name) != -2) return lamina_error(LAMINA_INVALID, "the name \"%s\" is taken", name);
  return LAMINA_OK;
}

static lamina_status unknown_layer(const lamina_net *net, const char *name) {
  const char *names[64] = {input_name};
  for (int i = 0; i < net->layer_count && i < 62; i++) names[i + 1] = net->layers[i].name;
  const char *near = lamina_nearest(name, names);
  return lamina_error(LAMINA_INVALID, "there is no layer \"%.40s\" before this one%s%s%s", name,
                      near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static lamina_status find_inputs(const lamina_net *net, const char *const *from, lamina_layer *layer) {
  const int most = layer->def->inputs ? layer->def->inputs : 1;
  layer->from_count = 0;
  for (int i = 0; from && from[i]; i++) {
    if (i == most)
      return lamina_error(LAMINA_INVALID, "%s takes %s%d input%s", layer->def->name, most > 1 ? "at most " : "", most,
                          most > 1 ? "s" : "");
    layer->from[i] = find_layer(net, from[i]);
    if (layer->from[i] == -2) return unknown_layer(net, from[i]);
    layer->from_count++;
  }
  if (!layer->from_count) layer->from[layer->from_count++] = net->layer_count - 1;
  if (most > 1 && layer->from_count < 2)
    return lamina_error(LAMINA_INVALID, "%s joins two or more layers; expected their names", layer->def->name);
  return LAMINA_OK;
}

/* ---- Layers ------------------------------------------------------------------------------------------------------ */

int lamina_layer_axes(const lamina_layer *layer) {
  for (const lamina_attr_def *attr = layer->def->attrs; attr->name; attr++)
    if (strcmp(attr->name, "kernel") == 0) return layer->axes;
  return 0;
}

/* The value that layer `from` gives in the net's shape graph. */
static int shape_of(const lamina_net *net, int from) { return from < 0 ? net->first : net->layers[from].shape; }

lamina_status lamina_layer_open(const lamina_net *net, const char *kind, const lamina_layer_options *options,
                                lamina_layer *layer) {
  memset(layer, 0, sizeof *layer);
  layer->def = lamina_layer_find(kind);
  if (!layer->def) return unknown_kind(kind);
  if (options && options->name) LAMINA_TRY(check_name(net, options->name));
  if (options && options->name)
    snprintf(layer->name, sizeof layer->name, "%s", options->name);
  else
    snprintf(layer->name, sizeof layer->name, "%d.%s", net->layer_count, kind);
  LAMINA_TRY(find_inputs(net, options ? options->from : NULL, layer));
  const int axes = net->shape.values[shape_of(net, layer->from[0])].desc.rank - 2;
  layer->axes = axes >= 1 && axes <= 3 ? axes : 0;
  return LAMINA_OK;
}

static lamina_status room_for_layer(lamina_net *net) {
  if (net->layer_count < net->layer_room) return LAMINA_OK;
  const int room = net->layer_room ? 2 * net->layer_room : 16;
  lamina_layer *grown = lamina_grow(net->allocator, net->layers, (size_t)room * sizeof *grown);
  if (!grown) return LAMINA_OUT_OF_MEMORY;
  net->layers = grown;
  net->layer_room = room;
  return LAMINA_OK;
}

/* "2.conv: …; before it comes 1.relu, which gives f32[6,28,28]" */
static lamina_status blame_layer(const lamina_net *net, const lamina_layer *layer, lamina_status status) {
  char shape[128], sentence[1024], before[640] = "";
  snprintf(sentence, sizeof sentence, "%s", lamina_last_error());
  for (int i = 0; i < layer->from_count; i++) {
    const int from = layer->from[i];
    const lamina_desc desc = lamina_example_of(&net->shape.values[shape_of(net, from)].desc);
    lamina_append(before, sizeof before, "%s%s, which gives %s", i ? ", and " : "",
                  from < 0 ? "the input" : net->layers[from].name, lamina_desc_text(&desc, shape, sizeof shape));
  }
  return lamina_error(status, "%s: %s; before it comes %s", layer->name, sentence, before);
}

lamina_status lamina_net_add_layer(lamina_net *net, const char *kind, const void *descriptor,
                                   const lamina_layer_options *options) {
  lamina_layer layer;
  if (!net || !kind) return lamina_error(LAMINA_INVALID, "lamina_net_add: %s is NULL", net ? "kind" : "net");
  LAMINA_TRY(lamina_layer_open(net, kind, options, &layer));
  if (net->block[LAMINA_BUFFER_PARAMETERS] || net->training)
    return lamina_error(LAMINA_INVALID, "a net takes no more layers once it has parameters or a trainer");
  if (descriptor) memcpy(layer.attr, descriptor, layer.def->attr_size);
  LAMINA_TRY(lamina_attrs_check(layer.name, layer.def->attrs, layer.attr));
  LAMINA_TRY(room_for_layer(net));
  const lamina_graph_mark mark = lamina_graph_here(&net->shape);
  int input[LAMINA_MAX_INPUTS];
  for (int i = 0; i < layer.from_count; i++) input[i] = shape_of(net, layer.from[i]);
  net->shape.layer = net->layer_count;
  const lamina_status status = lamina_layer_expand(&net->shape, &layer, input);
  if (status) {
    lamina_graph_back(&net->shape, mark);
    net->shape.x = shape_of(net, net->layer_count - 1);
    return blame_layer(net, &layer, status);
  }
  lamina_net_forget(net);
  layer.shape = net->shape.x;
  net->layers[net->layer_count++] = layer;
  return LAMINA_OK;
}

lamina_status lamina_net_add(lamina_net *net, const char *kind, const void *descriptor) {
  return lamina_net_add_layer(net, kind, descriptor, NULL);
}

lamina_status lamina_net_check_layers(const lamina_net *net) {
  for (int i = 0; i + 1 < net->layer_count; i++) {
    bool taken = false;
    for (int j = i + 1; j < net->layer_count && !taken; j++)
      for (int k = 0; k < net->layers[j].from_count; k++) taken |= net->layers[j].from[k] == i;
    if (!taken)
      return lamina_error(LAMINA_INVALID,
                          "%s: no layer takes its output; the net's output is that of the last layer, %s",
                          net->layers[i].name, net->layers[net->layer_count - 1].name);
  }
  return LAMINA_OK;
}
