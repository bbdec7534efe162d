/* Recipes: the YAML file that decides a run. Keys are checked one by one; layers, optimizers and rates are read by their
 * tables of attributes. */
#include <float.h>
#include <stdio.h>

#include "core/device.h"
#include "core/problem.h"
#include "net/attributes.h"
#include "net/recipe.h"
#include "net/trainer.h"

const char *const lamina_math_names[] = {"default", "strict", "tf32", "bf16", "f16", NULL};

/* What is read before there is a net; the net takes it over. */
typedef struct outline {
  const lamina_load_options *load;
  const lamina_allocator *allocator;
  lamina_net_options options;
  lamina_defaults defaults;
  char *recipe;
  lamina_dataset *train; /* opened to tell the input's shape, or NULL */
} outline;

/* The sentence of a failure as one about this node. */
static lamina_status blame_node(const lamina_node *node, lamina_status status) {
  char sentence[1024];
  if (status != LAMINA_INVALID) return status;
  snprintf(sentence, sizeof sentence, "%s", lamina_last_error());
  return lamina_node_error(node, "%s", sentence);
}

static lamina_status read_integer(const lamina_node *map, const char *key, int64_t least, int64_t most,
                                  int64_t *value) {
  const lamina_node *node = lamina_node_find(map, key);
  return node ? lamina_node_int(node, least, most, value) : LAMINA_OK;
}

/* ---- Layers ----------------------------------------------------------------------------------------------------- */

/* The names of the layers that a layer takes: one, or a list. A single name for a layer that joins several is that of the
 * one beside the layer before. */
static lamina_status read_from(const lamina_node *node, const lamina_net *net, bool joins,
                               const char *from[LAMINA_MAX_INPUTS + 2]) {
  int count = 0;
  if (node->kind == LAMINA_NODE_MAP) return lamina_node_error(node, "expected the name of a layer, or a list of names");
  if (node->kind == LAMINA_NODE_SCALAR && joins)
    from[count++] = net->layer_count ? net->layers[net->layer_count - 1].name : "input";
  const lamina_node *name = node->kind == LAMINA_NODE_LIST ? node->first : node;
  for (; name && count <= LAMINA_MAX_INPUTS; name = node->kind == LAMINA_NODE_LIST ? name->next : NULL)
    LAMINA_TRY(lamina_node_text(name, &from[count++]));
  from[count] = NULL;
  return LAMINA_OK;
}

/* `relu`, `conv: {filters: 6, kernel: 3, name: stem, from: input}`, `add: [left, right]`. */
static lamina_status read_layer(const lamina_node *node, lamina_net *net) {
  static const char *const also[] = {"name", "from", NULL};
  const char *kind, *from[LAMINA_MAX_INPUTS + 2] = {NULL};
  const lamina_node *value, *name, *source;
  lamina_layer_options options = {0};
  lamina_layer layer = {0};
  LAMINA_TRY(lamina_node_named(node, &kind, &value));
  const lamina_layer_def *def = lamina_layer_find(kind);
  const bool joins = def && def->inputs > 1, map = value && value->kind == LAMINA_NODE_MAP;
  if ((name = map ? lamina_node_find(value, "name") : NULL)) LAMINA_TRY(lamina_node_text(name, &options.name));
  source = map ? lamina_node_find(value, "from") : joins && value && !lamina_node_is_null(value) ? value : NULL;
  if (source) {
    LAMINA_TRY(read_from(source, net, joins, from));
    options.from = from;
  }
  uint8_t attr[LAMINA_ATTR_BYTES] = {0};
  if (joins && map) LAMINA_TRY(lamina_node_attrs(value, def->attrs, 0, also, attr));
  LAMINA_TRY(blame_node(node, lamina_layer_open(net, kind, &options, &layer)));
  if (!joins) LAMINA_TRY(lamina_node_attrs(value, def->attrs, lamina_layer_axes(&layer), also, attr));
  return blame_node(node, lamina_net_add_layer(net, kind, attr, &options));
}

/* ---- data ------------------------------------------------------------------------------------------------------- */

static lamina_status read_text(const outline *o, const lamina_node *map, const char *key, char **to) {
  const lamina_node *node = lamina_node_find(map, key);
  const char *text;
  if (!node) return LAMINA_OK;
  LAMINA_TRY(lamina_node_text(node, &text));
  *to = lamina_copy_text(o->allocator, text);
  return *to ? LAMINA_OK : LAMINA_OUT_OF_MEMORY;
}

/* A number, or a list with one for each channel. */
static lamina_status read_channels(const lamina_node *map, const char *key, int *count, float *values) {
  const lamina_node *node = lamina_node_find(map, key);
  double value;
  if (!node) return LAMINA_OK;
  const bool list = node->kind == LAMINA_NODE_LIST;
  if (list && (node->count < 1 || node->count > LAMINA_MAX_CHANNELS))
    return lamina_node_error(node, "expected 1 to %d numbers, got %d", LAMINA_MAX_CHANNELS, node->count);
  *count = list ? node->count : 1;
  for (int i = 0; i < *count; i++) {
    LAMINA_TRY(lamina_node_real(list ? lamina_node_at(node, i) : node, -1e30, 1e30, &value));
    values[i] = (float)value;
  }
  return LAMINA_OK;
}

static lamina_status read_data(const lamina_node *data, outline *o) {
  static const char *const known[] = {"train", "test", "shift", "normalise", "threads", NULL};
  static const char *const norm_known[] = {"mean", "deviation", NULL};
  lamina_defaults *d = &o->defaults;
  int64_t threads = 0;
  if (!data) return LAMINA_OK;
  LAMINA_TRY(lamina_node_is_map(data, known));
  LAMINA_TRY(read_text(o, data, "train", &d->train));
  LAMINA_TRY(read_text(o, data, "test", &d->test));
  LAMINA_TRY(read_integer(data, "shift", 0, 1 << 20, &d->training.shift));
  LAMINA_TRY(read_integer(data, "threads", 0, 64, &threads));
  if (lamina_node_find(data, "threads")) d->training.threads = threads ? (int)threads : -1;
  const lamina_node *normalise = lamina_node_find(data, "normalise");
  if (!normalise) return LAMINA_OK;
  LAMINA_TRY(lamina_node_is_map(normalise, norm_known));
  LAMINA_TRY(read_channels(normalise, "mean", &d->normalise.means, d->normalise.mean));
  return read_channels(normalise, "deviation", &d->normalise.deviations, d->normalise.deviation);
}

static lamina_status open_data(const lamina_defaults *defaults, const lamina_allocator *allocator, const char *spec,
                               lamina_dataset **dataset) {
  const lamina_dataset_options options = {
      .root = defaults->root, .normalise = defaults->normalise, .allocator = allocator};
  return lamina_dataset_open(spec, &options, dataset);
}

lamina_status lamina_net_data(lamina_net *net, const lamina_dataset **train, const lamina_dataset **test) {
  LAMINA_NOT_NULL(net, "net");
  const lamina_defaults *d = &net->defaults;
  if (!d->train) return lamina_error(LAMINA_INVALID, "the net has no recipe that names training data");
  if (train && !net->train) LAMINA_TRY(open_data(d, net->allocator, d->train, &net->train));
  if (test && d->test && !net->test) LAMINA_TRY(open_data(d, net->allocator, d->test, &net->test));
  if (train) *train = net->train;
  if (test) *test = net->test;
  return LAMINA_OK;
}

/* ---- train ------------------------------------------------------------------------------------------------------ */

static lamina_status read_loss(const lamina_node *node, lamina_defaults *d) {
  static const char *const also[] = {"weights", NULL}; /* read_class_weights, when there is a net */
  const char *name;
  const lamina_node *value;
  char op[64];
  if (!node) return LAMINA_OK;
  LAMINA_TRY(lamina_node_named(node, &name, &value));
  LAMINA_TRY(blame_node(node, lamina_loss_check(name)));
  snprintf(d->loss.family, sizeof d->loss.family, "%s", name);
  snprintf(op, sizeof op, "%.40s/forward", name);
  const lamina_op_def *def = lamina_op_at(lamina_op_find(op));
  LAMINA_TRY(lamina_node_attrs(value, def->attrs, 0, also, d->loss.attr));
  uint8_t checked[LAMINA_ATTR_BYTES];
  memcpy(checked, d->loss.attr, sizeof checked);
  return blame_node(node, lamina_attrs_check(name, def->attrs, checked));
}

static lamina_status read_optimizer(const lamina_node *node, lamina_defaults *d) {
  const char *name;
  const lamina_node *value;
  char op[64];
  if (!node) return LAMINA_OK;
  LAMINA_TRY(lamina_node_named(node, &name, &value));
  LAMINA_TRY(blame_node(node, lamina_optimizer_check(name)));
  snprintf(d->optimizer, sizeof d->optimizer, "%s", name);
  snprintf(op, sizeof op, "%.40s/update", name);
  const lamina_op_def *def = lamina_op_at(lamina_op_find(op));
  const lamina_node *decay = value ? lamina_node_find(value, "decay") : NULL;
  static const char *const also[] = {"decay", NULL};
  LAMINA_TRY(lamina_node_attrs(value, def->attrs, 0, also, d->optimizer_attrs));
  if (decay) LAMINA_TRY(lamina_node_real(decay, 0, DBL_MAX, &d->training.decay));
  uint8_t checked[LAMINA_ATTR_BYTES];
  memcpy(checked, d->optimizer_attrs, sizeof checked);
  return blame_node(node, lamina_attrs_check(name, def->attrs, checked));
}

#define RATE_REAL(field)                                                                                               \
  { .name = #field, .type = LAMINA_ATTR_REAL, .offset = offsetof(lamina_rate, field) }
#define RATE_EPOCHS(field)                                                                                             \
  { .name = #field, .type = LAMINA_ATTR_INT, .offset = offsetof(lamina_rate, field), .most = INT32_MAX }

static const lamina_attr_def constant_attrs[] = {RATE_REAL(rate), RATE_EPOCHS(warmup), {0}};
static const lamina_attr_def step_attrs[] = {
    RATE_REAL(rate), RATE_EPOCHS(every), RATE_REAL(factor), RATE_EPOCHS(warmup), {0}};
static const lamina_attr_def cosine_attrs[] = {RATE_REAL(rate), RATE_REAL(final), RATE_EPOCHS(warmup), {0}};

static const char *const rate_kinds[] = {"constant", "step", "cosine", NULL}; /* as lamina_rate_kind */
static const lamina_attr_def *const rate_attrs[] = {constant_attrs, step_attrs, cosine_attrs};

/* `0.1` or `cosine: 0.1` or `step: {rate: 0.1, every: 30}`. */
static lamina_status read_rate(const lamina_node *node, lamina_defaults *d) {
  lamina_rate rate = {.kind = LAMINA_RATE_CONSTANT};
  const char *name;
  const lamina_node *value = node;
  if (!node) return LAMINA_OK;
  if (node->kind != LAMINA_NODE_SCALAR) {
    LAMINA_TRY(lamina_node_is_map(node, rate_kinds));
    LAMINA_TRY(lamina_node_named(node, &name, &value));
    while (strcmp(rate_kinds[rate.kind], name) != 0) rate.kind++;
  }
  LAMINA_TRY(lamina_node_attrs(value, rate_attrs[rate.kind], 0, NULL, (uint8_t *)&rate));
  d->training.rate = rate;
  return blame_node(node, lamina_rate_check(&rate));
}

static lamina_status read_clip(const lamina_node *train, const char *key, double *most) {
  const lamina_node *node = lamina_node_find(train, key);
  return node ? lamina_node_real(node, 0, 1e300, most) : LAMINA_OK;
}

static lamina_status read_train(const lamina_node *train, lamina_defaults *d) {
  static const char *const known[] = {"loss",  "batch",    "epochs",    "optimizer",  "rate", "seed",
                                      "top_k", "evaluate", "clip_norm", "clip_value", NULL};
  lamina_training *t = &d->training;
  int64_t seed = 0;
  if (!train) return LAMINA_OK;
  LAMINA_TRY(lamina_node_is_map(train, known));
  LAMINA_TRY(read_loss(lamina_node_find(train, "loss"), d));
  LAMINA_TRY(read_integer(train, "batch", 1, INT32_MAX, &t->batch));
  LAMINA_TRY(read_integer(train, "epochs", 1, INT32_MAX, &t->epochs));
  LAMINA_TRY(read_integer(train, "seed", 1, INT64_MAX, &seed));
  LAMINA_TRY(read_integer(train, "top_k", 1, INT32_MAX, &t->top_k));
  LAMINA_TRY(read_integer(train, "evaluate", -1, INT32_MAX, &t->evaluate));
  t->seed = (uint64_t)seed;
  LAMINA_TRY(read_clip(train, "clip_norm", &t->clip_norm));
  LAMINA_TRY(read_clip(train, "clip_value", &t->clip_value));
  LAMINA_TRY(read_optimizer(lamina_node_find(train, "optimizer"), d));
  return read_rate(lamina_node_find(train, "rate"), d);
}

/* ---- The whole -------------------------------------------------------------------------------------------------- */

static lamina_status keep_recipe(outline *o, const lamina_document *document) {
  lamina_text text = {.allocator = o->allocator};
  const lamina_status status = lamina_yaml_print(document, &text);
  o->recipe = text.data;
  return status;
}

static lamina_status read_types(const lamina_node *root, lamina_net_options *options) {
  static const lamina_dtype types[] = {LAMINA_F32, LAMINA_BF16, LAMINA_F16, LAMINA_F64};
  const char *names[LAMINA_COUNT_OF(types) + 1] = {NULL};
  static const lamina_dtype input_types[] = {LAMINA_I32, LAMINA_BF16, LAMINA_F16};
  static const char *const input_names[] = {"i32", "bf16", "f16", NULL};
  const lamina_node *dtype = lamina_node_find(root, "dtype"), *math = lamina_node_find(root, "math");
  const lamina_node *input = lamina_node_find(root, "input_dtype");
  int choice;
  for (size_t i = 0; i < LAMINA_COUNT_OF(types); i++) names[i] = lamina_dtype_name(types[i]);
  if (dtype) {
    LAMINA_TRY(lamina_node_choice(dtype, names, &choice));
    options->dtype = types[choice];
  }
  if (input) {
    LAMINA_TRY(lamina_node_choice(input, input_names, &choice));
    options->input_dtype = input_types[choice];
  }
  if (math) {
    LAMINA_TRY(lamina_node_choice(math, lamina_math_names, &choice));
    options->math = (lamina_math)choice;
  }
  return LAMINA_OK;
}

/* The shape of one example: as the recipe says, or as the training data has it. Then the recipe that is kept says it,
 * too, so that a checkpoint needs no data. */
static lamina_status read_input(lamina_document *document, outline *o) {
  const lamina_node *root = lamina_document_root(document), *input = lamina_node_find(root, "input");
  char text[96];
  if (input) return lamina_node_ints(input, 1, INT32_MAX, LAMINA_MAX_RANK - 1, o->options.dims, &o->options.rank);
  if (!o->defaults.train)
    return lamina_node_error(root, "expected `input:`, the shape of one example, or `data:` with `train:`");
  LAMINA_TRY(open_data(&o->defaults, o->allocator, o->defaults.train, &o->train));
  const lamina_dataset_info *info = lamina_dataset_info_of(o->train);
  const int64_t dims[] = {info->channels, info->height, info->width};
  memcpy(o->options.dims, dims, sizeof dims);
  o->options.rank = 3;
  snprintf(text, sizeof text, "input=[%lld, %lld, %lld]", (long long)dims[0], (long long)dims[1], (long long)dims[2]);
  return lamina_document_set(document, text);
}

static lamina_status read_outline(lamina_document *document, outline *o) {
  static const char *const known[] = {"input", "dtype", "input_dtype", "math", "data", "net", "train", NULL};
  const lamina_node *root = lamina_document_root(document), *layers;
  o->options.memory_limit = o->load ? o->load->memory_limit : 0;
  LAMINA_TRY(lamina_node_is_map(root, known));
  LAMINA_TRY(lamina_node_need(root, "net", &layers));
  LAMINA_TRY(lamina_node_is_list(layers));
  if (o->load && o->load->root) {
    o->defaults.root = lamina_copy_text(o->allocator, o->load->root);
    if (!o->defaults.root) return LAMINA_OUT_OF_MEMORY;
  }
  LAMINA_TRY(read_types(root, &o->options));
  LAMINA_TRY(read_data(lamina_node_find(root, "data"), o));
  LAMINA_TRY(read_train(lamina_node_find(root, "train"), &o->defaults));
  LAMINA_TRY(read_input(document, o));
  return keep_recipe(o, document);
}

/* `loss: {FAMILY: {weights: [1, 2, 0.5]}}`: a number for each class. */
static lamina_status read_class_weights(const lamina_node *root, lamina_net *net) {
  const lamina_node *train = lamina_node_find(root, "train"), *loss = train ? lamina_node_find(train, "loss") : NULL;
  const lamina_node *family = loss && loss->kind == LAMINA_NODE_MAP ? loss->first : NULL;
  const lamina_node *node = family ? lamina_node_find(family, "weights") : NULL;
  if (!node) return LAMINA_OK;
  LAMINA_TRY(lamina_node_is_list(node));
  float *weights = lamina_alloc(net->allocator, ((size_t)node->count + 1) * sizeof *weights);
  lamina_status status = weights ? LAMINA_OK : LAMINA_OUT_OF_MEMORY;
  int64_t n = 0;
  for (const lamina_node *child = node->first; child && !status; child = child->next) {
    double value = 0;
    status = lamina_node_real(child, 0, FLT_MAX, &value);
    weights[n++] = (float)value;
  }
  if (!status) status = blame_node(node, lamina_net_class_weights(net, n, weights));
  lamina_free(net->allocator, weights);
  return status;
}

static void outline_close(outline *o) {
  lamina_dataset_close(o->train);
  lamina_free(o->allocator, o->recipe);
  lamina_free(o->allocator, o->defaults.train);
  lamina_free(o->allocator, o->defaults.test);
  lamina_free(o->allocator, o->defaults.root);
}

static lamina_status open_net(lamina_device *device, const lamina_node *root, const lamina_net_options *options,
                              lamina_net **net) {
  const lamina_node *input = lamina_node_find(root, "input");
  const lamina_status status = lamina_net_open(device, options, net);
  return input ? blame_node(input, status) : status;
}

static lamina_status build(lamina_device *device, lamina_document *document, const lamina_load_options *load,
                           lamina_net **out) {
  outline o = {.load = load, .allocator = lamina_device_allocator(device)};
  lamina_net *net = NULL;
  lamina_status status = read_outline(document, &o);
  if (!status) status = open_net(device, lamina_document_root(document), &o.options, &net);
  if (status) {
    outline_close(&o);
    return status;
  }
  net->recipe = o.recipe;
  net->defaults = o.defaults;
  net->train = o.train;
  const lamina_node *layers = lamina_node_find(lamina_document_root(document), "net");
  for (const lamina_node *layer = layers->first; layer && !status; layer = layer->next) status = read_layer(layer, net);
  if (!status) status = read_class_weights(lamina_document_root(document), net);
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
