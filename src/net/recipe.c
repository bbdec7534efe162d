/* Recipes: the YAML file that decides a run. Keys are checked one by one; layers are read by their attribute tables. */
#include <stdio.h>

#include "core/document.h"
#include "core/problem.h"
#include "net/recipe.h"
#include "net/trainer.h"

/* ---- Attributes ------------------------------------------------------------------------------------------------- */

static const double BOUND = 0x1p53; /* integers that f64 has, too */

static void put(uint8_t *descriptor, size_t offset, int64_t value) {
  memcpy(descriptor + offset, &value, sizeof value);
}

static lamina_status read_reals(const lamina_node *node, const lamina_attr_def *attr, uint8_t *descriptor) {
  double value;
  const bool bounded = attr->least != 0 || attr->most != 0;
  LAMINA_TRY(lamina_node_real(node, bounded ? attr->least : -1e300, bounded ? attr->most : 1e300, &value));
  memcpy(descriptor + attr->offset, &value, sizeof value);
  return LAMINA_OK;
}

static void integer_range(const lamina_attr_def *attr, int64_t *least, int64_t *most) {
  const bool bounded = attr->least != 0 || attr->most != 0;
  *least = bounded ? (int64_t)attr->least : -(int64_t)BOUND;
  *most = bounded ? (int64_t)attr->most : (int64_t)BOUND;
}

/* One number for every axis, or a list of them. */
static lamina_status read_axes(const lamina_node *node, const lamina_attr_def *attr, int axes, uint8_t *descriptor) {
  int64_t value[3] = {0}, least, most;
  int count;
  integer_range(attr, &least, &most);
  LAMINA_TRY(lamina_node_ints(node, least, most, 3, value, &count));
  const bool one = node->kind == LAMINA_NODE_SCALAR;
  for (int a = 0; a < (one ? axes : count); a++) put(descriptor, attr->offset + 8 * (size_t)a, value[one ? 0 : a]);
  return LAMINA_OK;
}

/* One number, one for each axis, or a pair (before, after) for each axis. */
static lamina_status read_pads(const lamina_node *node, const lamina_attr_def *attr, int axes, uint8_t *descriptor) {
  int64_t value[3] = {0};
  int count;
  if (node->kind != LAMINA_NODE_LIST || !node->first || node->first->kind != LAMINA_NODE_LIST) {
    LAMINA_TRY(lamina_node_ints(node, 0, (int64_t)attr->most, 3, value, &count));
    const bool one = node->kind == LAMINA_NODE_SCALAR;
    for (int n = 0; n < 2 * (one ? axes : count); n++)
      put(descriptor, attr->offset + 8 * (size_t)n, value[one ? 0 : n / 2]);
    return LAMINA_OK;
  }
  if (node->count > 3) return lamina_node_error(node, "expected at most 3 pairs");
  for (int a = 0; a < node->count; a++) {
    const lamina_node *pair = lamina_node_at(node, a);
    LAMINA_TRY(lamina_node_ints(pair, 0, (int64_t)attr->most, 2, value, &count));
    if (count != 2) return lamina_node_error(pair, "expected two numbers, before and after");
    for (int side = 0; side < 2; side++) put(descriptor, attr->offset + 8 * (size_t)(2 * a + side), value[side]);
  }
  return LAMINA_OK;
}

static lamina_status read_attr(const lamina_node *node, const lamina_attr_def *attr, int axes, uint8_t *descriptor) {
  int64_t integer = 0, least, most;
  bool truth;
  int choice;
  if (attr->has) put(descriptor, attr->has, 1);
  switch (attr->type) {
  case LAMINA_ATTR_REAL: return read_reals(node, attr, descriptor);
  case LAMINA_ATTR_AXES: return read_axes(node, attr, axes, descriptor);
  case LAMINA_ATTR_PADS: return read_pads(node, attr, axes, descriptor);
  case LAMINA_ATTR_INT:
    integer_range(attr, &least, &most);
    LAMINA_TRY(lamina_node_int(node, least, most, &integer));
    break;
  case LAMINA_ATTR_BOOL:
    LAMINA_TRY(lamina_node_bool(node, &truth));
    integer = truth;
    break;
  case LAMINA_ATTR_ENUM:
    LAMINA_TRY(lamina_node_choice(node, attr->choices, &choice));
    integer = choice;
    break;
  }
  put(descriptor, attr->offset, integer);
  return LAMINA_OK;
}

static const lamina_attr_def *find_attr(const lamina_attr_def *attrs, const char *name) {
  for (; attrs->name; attrs++)
    if (strcmp(attrs->name, name) == 0) return attrs;
  return NULL;
}

/* `value`: NULL or null (nothing), a plain value (the first attribute), or a map of attributes. `also`: a key that the
 * caller reads itself, or NULL. */
static lamina_status read_attrs(const lamina_node *value, const lamina_attr_def *attrs, int axes, const char *also,
                                uint8_t *descriptor) {
  const char *known[32] = {NULL};
  int count = 0;
  if (!value || lamina_node_is_null(value)) return LAMINA_OK;
  for (int i = 0; attrs[i].name; i++) known[count++] = attrs[i].name;
  if (also) known[count++] = also;
  if (value->kind != LAMINA_NODE_MAP) {
    if (!attrs[0].name) return lamina_node_error(value, "it takes no value");
    return read_attr(value, &attrs[0], axes, descriptor);
  }
  LAMINA_TRY(lamina_node_is_map(value, known));
  for (const lamina_node *child = value->first; child; child = child->next) {
    const lamina_attr_def *attr = find_attr(attrs, child->key), *same = find_attr(attrs, "same");
    if (!attr) continue;
    if (same && attr->type == LAMINA_ATTR_PADS && child->kind == LAMINA_NODE_SCALAR && strcmp(child->text, "same") == 0)
      put(descriptor, same->offset, 1);
    else
      LAMINA_TRY(read_attr(child, attr, axes, descriptor));
  }
  return LAMINA_OK;
}

/* ---- Layers ----------------------------------------------------------------------------------------------------- */

static lamina_status read_layer(const lamina_node *node, lamina_net *net) {
  const char *name;
  const lamina_node *value;
  uint8_t descriptor[LAMINA_ATTR_BYTES] = {0};
  LAMINA_TRY(lamina_node_named(node, &name, &value));
  const lamina_layer_def *def = lamina_layer_find(name);
  const int spatial = lamina_net_output(net).rank - 1, axes = spatial < 1 ? 1 : spatial > 3 ? 3 : spatial;
  if (def) LAMINA_TRY(read_attrs(value, def->attrs, axes, NULL, descriptor));
  const lamina_status status = lamina_net_add(net, name, descriptor);
  if (!status) return LAMINA_OK;
  char sentence[1500];
  snprintf(sentence, sizeof sentence, "%s", lamina_last_error());
  if (status == LAMINA_INVALID) return lamina_node_error(node, "%s", sentence);
  return status;
}

/* ---- data ------------------------------------------------------------------------------------------------------- */

static lamina_status copy_text(const lamina_net *net, const lamina_node *map, const char *key, char **to) {
  const lamina_node *node = lamina_node_find(map, key);
  const char *text;
  if (!node) return LAMINA_OK;
  LAMINA_TRY(lamina_node_text(node, &text));
  lamina_free(net->allocator, *to);
  *to = lamina_copy_text(net->allocator, text);
  return *to ? LAMINA_OK : LAMINA_OUT_OF_MEMORY;
}

static lamina_status read_reals_of(const lamina_node *map, const char *key, int *count, float *values) {
  const lamina_node *node = lamina_node_find(map, key);
  double value;
  if (!node) return LAMINA_OK;
  const bool list = node->kind == LAMINA_NODE_LIST;
  if (list && (node->count < 1 || node->count > LAMINA_MAX_CHANNELS))
    return lamina_node_error(node, "expected 1 to %d numbers", LAMINA_MAX_CHANNELS);
  *count = list ? node->count : 1;
  for (int i = 0; i < *count; i++) {
    LAMINA_TRY(lamina_node_real(list ? lamina_node_at(node, i) : node, -1e30, 1e30, &value));
    values[i] = (float)value;
  }
  return LAMINA_OK;
}

static lamina_status read_integer(const lamina_node *map, const char *key, int64_t least, int64_t most,
                                  int64_t *value) {
  const lamina_node *node = lamina_node_find(map, key);
  return node ? lamina_node_int(node, least, most, value) : LAMINA_OK;
}

static lamina_status read_data(const lamina_node *data, lamina_net *net) {
  static const char *const known[] = {"train", "test", "shift", "normalise", "threads", NULL};
  static const char *const norm_known[] = {"mean", "deviation", NULL};
  lamina_defaults *d = &net->defaults;
  int64_t threads = 0;
  if (!data) return LAMINA_OK;
  LAMINA_TRY(lamina_node_is_map(data, known));
  LAMINA_TRY(copy_text(net, data, "train", &d->train));
  LAMINA_TRY(copy_text(net, data, "test", &d->test));
  LAMINA_TRY(read_integer(data, "shift", 0, 1 << 20, &d->training.shift));
  LAMINA_TRY(read_integer(data, "threads", 0, 64, &threads));
  const lamina_node *normalise = lamina_node_find(data, "normalise");
  if (lamina_node_find(data, "threads")) d->training.threads = threads ? (int)threads : -1;
  if (!normalise) return LAMINA_OK;
  LAMINA_TRY(lamina_node_is_map(normalise, norm_known));
  LAMINA_TRY(read_reals_of(normalise, "mean", &d->normalise.means, d->normalise.mean));
  return read_reals_of(normalise, "deviation", &d->normalise.deviations, d->normalise.deviation);
}

/* ---- train ------------------------------------------------------------------------------------------------------ */

static lamina_status read_optimizer(const lamina_node *node, lamina_net *net) {
  lamina_defaults *d = &net->defaults;
  const char *name, *names[16] = {NULL};
  const lamina_node *value;
  int count = 0;
  if (!node) return LAMINA_OK;
  LAMINA_TRY(lamina_node_named(node, &name, &value));
  for (int id = 0; lamina_op_at(id); id++) { /* every family that has an update */
    const lamina_op_def *op = lamina_op_at(id);
    const char *slash = strrchr(op->name, '/');
    if (strcmp(slash, "/update") != 0 || count == 15) continue;
    if (strlen(name) == (size_t)(slash - op->name) && strncmp(name, op->name, strlen(name)) == 0) {
      d->training.optimizer = strcmp(name, "sgd") == 0 ? "sgd" : "adam";
      if (value && value->kind == LAMINA_NODE_MAP && lamina_node_find(value, "decay"))
        LAMINA_TRY(lamina_node_real(lamina_node_find(value, "decay"), 0, 1e30, &d->training.decay));
      return read_attrs(value, op->attrs, 1, "decay", d->optimizer_attrs);
    }
    names[count++] = strcmp(op->name, "sgd/update") == 0 ? "sgd" : "adam";
  }
  const char *near = lamina_nearest(name, names);
  return lamina_node_error(node, "there is no optimizer \"%s\"; %s%s%s", name,
                           near ? "did you mean \"" : "expected sgd or adam", near ? near : "", near ? "\"?" : "");
}

static const lamina_attr_def rate_attrs[] = {
    {.name = "rate", .type = LAMINA_ATTR_REAL, .offset = offsetof(lamina_rate, rate)},
    {.name = "warmup", .type = LAMINA_ATTR_INT, .offset = offsetof(lamina_rate, warmup), .most = 0x1p31},
    {.name = "every", .type = LAMINA_ATTR_INT, .offset = offsetof(lamina_rate, every), .most = 0x1p31},
    {.name = "factor", .type = LAMINA_ATTR_REAL, .offset = offsetof(lamina_rate, factor)},
    {.name = "final", .type = LAMINA_ATTR_REAL, .offset = offsetof(lamina_rate, final)},
    {0}};

static lamina_status read_rate(const lamina_node *node, lamina_net *net) {
  static const char *const kinds[] = {"constant", "step", "cosine", NULL};
  lamina_rate *rate = &net->defaults.training.rate;
  const char *name;
  const lamina_node *value;
  uint8_t *bytes = (uint8_t *)rate;
  if (!node) return LAMINA_OK;
  if (node->kind == LAMINA_NODE_SCALAR) {
    LAMINA_TRY(read_attrs(node, rate_attrs, 1, NULL, bytes)); /* rate: 0.1 */
  } else {
    int kind = 0;
    LAMINA_TRY(lamina_node_named(node, &name, &value));
    while (kinds[kind] && strcmp(kinds[kind], name) != 0) kind++;
    if (!kinds[kind])
      return lamina_node_error(node, "there is no rate \"%s\"; expected constant, step or cosine", name);
    rate->kind = kind;
    LAMINA_TRY(read_attrs(value, rate_attrs, 1, NULL, bytes));
  }
  if (!lamina_rate_check(rate)) return LAMINA_OK;
  char sentence[512];
  snprintf(sentence, sizeof sentence, "%s", lamina_last_error());
  return lamina_node_error(node, "%s", sentence);
}

static lamina_status read_train(const lamina_node *train, lamina_net *net) {
  static const char *const known[] = {"loss", "batch", "epochs",   "optimizer", "rate",
                                      "seed", "top_k", "evaluate", NULL};
  static const char *const losses[] = {"softmax_cross_entropy", NULL};
  lamina_training *t = &net->defaults.training;
  int loss;
  int64_t seed = 1;
  if (!train) return LAMINA_OK;
  LAMINA_TRY(lamina_node_is_map(train, known));
  if (lamina_node_find(train, "loss")) {
    LAMINA_TRY(lamina_node_choice(lamina_node_find(train, "loss"), losses, &loss));
    t->loss = losses[loss];
  }
  LAMINA_TRY(read_integer(train, "batch", 1, INT32_MAX, &t->batch));
  LAMINA_TRY(read_integer(train, "epochs", 1, INT32_MAX, &t->epochs));
  LAMINA_TRY(read_integer(train, "seed", 1, INT64_MAX, &seed));
  LAMINA_TRY(read_integer(train, "top_k", 1, INT32_MAX, &t->top_k));
  LAMINA_TRY(read_integer(train, "evaluate", -1, INT32_MAX, &t->evaluate));
  t->seed = (uint64_t)seed;
  LAMINA_TRY(read_optimizer(lamina_node_find(train, "optimizer"), net));
  return read_rate(lamina_node_find(train, "rate"), net);
}

/* ---- The whole -------------------------------------------------------------------------------------------------- */

static lamina_status open_data(const lamina_net *net, const char *spec, lamina_dataset **dataset) {
  const lamina_dataset_options options = {
      .root = net->defaults.root, .normalise = net->defaults.normalise, .allocator = net->allocator};
  return lamina_dataset_open(spec, &options, dataset);
}

lamina_status lamina_net_data(lamina_net *net, const lamina_dataset **train, const lamina_dataset **test) {
  const lamina_defaults *d = &net->defaults;
  if (!d->train) return lamina_error(LAMINA_INVALID, "the net has no recipe that names training data");
  if (train && !net->train) LAMINA_TRY(open_data(net, d->train, &net->train));
  if (test && d->test && !net->test) LAMINA_TRY(open_data(net, d->test, &net->test));
  if (train) *train = net->train;
  if (test) *test = net->test;
  return LAMINA_OK;
}

/* The shape of one example: as the recipe says, or as the training data has it. */
static lamina_status read_input(lamina_device *device, const lamina_node *root, const lamina_load_options *load,
                                lamina_net *with_data, lamina_net_options *options) {
  const lamina_node *input = lamina_node_find(root, "input");
  int count = 0;
  (void)device;
  options->memory_limit = load ? load->memory_limit : 0;
  if (input) {
    LAMINA_TRY(lamina_node_ints(input, 1, INT32_MAX, LAMINA_MAX_RANK - 1, options->dims, &count));
    options->rank = count;
    return LAMINA_OK;
  }
  if (!with_data->defaults.train)
    return lamina_node_error(root, "expected `input:`, the shape of one example, or `data:` with `train:`");
  const lamina_dataset *train;
  LAMINA_TRY(lamina_net_data(with_data, &train, NULL));
  const lamina_dataset_info *info = lamina_dataset_info_of(train);
  *options = (lamina_net_options){
      .rank = 3, .dims = {info->channels, info->height, info->width}, .memory_limit = options->memory_limit};
  return LAMINA_OK;
}

static lamina_status keep_recipe(lamina_net *net, const lamina_document *document, const lamina_load_options *load) {
  lamina_text text = {.allocator = net->allocator};
  LAMINA_TRY(lamina_yaml_print(document, &text));
  net->recipe = text.data;
  if (!load || !load->root) return LAMINA_OK;
  net->defaults.root = lamina_copy_text(net->allocator, load->root);
  return net->defaults.root ? LAMINA_OK : LAMINA_OUT_OF_MEMORY;
}

static lamina_status open_net(lamina_device *device, const lamina_node *root, const lamina_net_options *options,
                              lamina_net **net) {
  const lamina_node *input = lamina_node_find(root, "input");
  const lamina_status status = lamina_net_open(device, options, net);
  char sentence[256];
  if (status != LAMINA_INVALID || !input) return status;
  snprintf(sentence, sizeof sentence, "%s", lamina_last_error());
  return lamina_node_error(input, "%s", sentence);
}

/* A net of one example axis holds the data's defaults until the input's shape is known. */
static lamina_status build(lamina_device *device, const lamina_document *document, const lamina_load_options *load,
                           lamina_net **out) {
  static const char *const known[] = {"input", "data", "net", "train", NULL};
  const lamina_node *root = lamina_document_root(document), *layers;
  lamina_net_options options = {.rank = 1, .dims = {1}};
  lamina_net *net = NULL;
  LAMINA_TRY(lamina_node_is_map(root, known));
  LAMINA_TRY(lamina_node_need(root, "net", &layers));
  LAMINA_TRY(lamina_node_is_list(layers));
  lamina_net *data = NULL;
  LAMINA_TRY(lamina_net_open(device, &options, &data));
  lamina_status status = keep_recipe(data, document, load);
  if (!status) status = read_data(lamina_node_find(root, "data"), data);
  if (!status) status = read_input(device, root, load, data, &options);
  if (!status) status = open_net(device, root, &options, &net);
  if (!status) { /* the settled net takes over what was read */
    net->recipe = data->recipe, data->recipe = NULL;
    net->defaults = data->defaults, data->defaults = (lamina_defaults){0};
    net->train = data->train, data->train = NULL;
  }
  lamina_net_close(data);
  for (const lamina_node *layer = layers->first; layer && !status; layer = layer->next) status = read_layer(layer, net);
  if (!status) status = read_train(lamina_node_find(root, "train"), net);
  if (status)
    lamina_net_close(net);
  else
    *out = net;
  return status;
}

static lamina_status build_with(lamina_device *device, lamina_document *document, const lamina_load_options *load,
                                lamina_net **net) {
  for (int i = 0; load && load->set && load->set[i]; i++) LAMINA_TRY(lamina_document_set(document, load->set[i]));
  return build(device, document, load, net);
}

lamina_status lamina_recipe_parse(lamina_device *device, const char *name, const char *text,
                                  const lamina_load_options *load, lamina_net **net) {
  lamina_document *document;
  LAMINA_TRY(lamina_yaml_parse(name, text, strlen(text), lamina_device_allocator(device), &document));
  const lamina_status status = build_with(device, document, load, net);
  lamina_document_close(document);
  return status;
}

lamina_status lamina_recipe_read(lamina_device *device, const char *path, const lamina_load_options *load,
                                 lamina_net **net) {
  lamina_document *document;
  LAMINA_TRY(lamina_yaml_read(path, lamina_device_allocator(device), &document));
  const lamina_status status = build_with(device, document, load, net);
  lamina_document_close(document);
  return status;
}
