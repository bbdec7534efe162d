/* Nets: their life, their parameters and how these start. Layers are added in build.c. */
#include "net/trace.h"

#include <math.h>
#include <stdio.h>

#include "core/device.h"
#include "core/problem.h"
#include "kernels/philox.h"

lamina_device *lamina_net_device(const lamina_net *net) { return net ? net->device : NULL; }
const char *lamina_net_recipe(const lamina_net *net) { return net ? net->recipe : NULL; }
int lamina_net_layer_count(const lamina_net *net) { return net ? net->layer_count : 0; }
int lamina_net_parameter_count(const lamina_net *net) { return net ? net->params.count : 0; }

lamina_desc lamina_example_of(const lamina_desc *desc) {
  return lamina_dense((lamina_dtype)desc->dtype, desc->rank > 0 ? desc->rank - 1 : 0, &desc->dims[1]);
}
lamina_desc lamina_net_input(const lamina_net *net) { return net ? lamina_example_of(&net->input) : (lamina_desc){0}; }
lamina_desc lamina_net_output(const lamina_net *net) {
  if (!net) return (lamina_desc){0};
  return lamina_example_of(&net->shape.values[net->shape.x].desc);
}

int lamina_net_ahead(const lamina_net *net, int64_t batch) {
  static const int64_t large = (int64_t)16 << 20; /* bytes */
  return lamina_net_on_host(net) && batch > large / 4 / (lamina_desc_count(&net->input) + 1) ? 1 : 0;
}

bool lamina_net_on_host(const lamina_net *net) { return net->device->module.memory != LAMINA_MEMORY_DEVICE; }

bool lamina_net_on_own_engines(const lamina_net *net) {
  const lamina_device *device = net->device;
  return strcmp(device->module.kind, "cpu") == 0 && device->engine_count == device->own_engines;
}

/* ---- Life ------------------------------------------------------------------------------------------------------- */

static lamina_status check_options(const lamina_net_options *o) {
  if (o->rank < 1 || o->rank >= LAMINA_MAX_RANK)
    return lamina_error(LAMINA_INVALID, "a net's input has %d axes; expected 1 to %d", o->rank, LAMINA_MAX_RANK - 1);
  for (int i = 0; i < o->rank; i++)
    if (o->dims[i] < 1)
      return lamina_error(LAMINA_INVALID, "axis %d of a net's input is %lld; expected at least 1", i,
                          (long long)o->dims[i]);
  if (o->dtype && !lamina_dtype_is_floating(o->dtype))
    return lamina_error(LAMINA_INVALID, "a net of dtype %s; expected a floating type", lamina_dtype_name(o->dtype));
  const lamina_dtype dtype = o->dtype ? o->dtype : LAMINA_F32, input = o->input_dtype;
  const bool wide = input == LAMINA_F32 && lamina_is_narrow(dtype);
  if (input && input != LAMINA_I32 && input != dtype && !wide)
    return lamina_error(LAMINA_INVALID, "a net with an input of dtype %s; expected i32, or the net's own%s",
                        lamina_dtype_name(input), lamina_is_narrow(dtype) ? ", or f32" : "");
  if (o->math < LAMINA_MATH_DEFAULT || o->math > LAMINA_MATH_F16)
    return lamina_error(LAMINA_INVALID, "a net with math %d; expected a lamina_math", (int)o->math);
  return LAMINA_OK;
}

lamina_status lamina_net_open(lamina_device *device, const lamina_net_options *options, lamina_net **out) {
  int64_t dims[LAMINA_MAX_RANK] = {1};
  LAMINA_NOT_NULL(out, "net");
  *out = NULL;
  LAMINA_NOT_NULL(device, "device");
  LAMINA_NOT_NULL(options, "options");
  LAMINA_TRY(check_options(options));
  const lamina_allocator *allocator = lamina_device_allocator(device);
  lamina_net *net = lamina_alloc_zero(allocator, sizeof *net);
  if (!net) return LAMINA_OUT_OF_MEMORY;
  memcpy(&dims[1], options->dims, sizeof options->dims);
  pthread_mutex_init(&net->turn, NULL);
  net->device = device;
  net->allocator = allocator;
  net->options = *options;
  const lamina_dtype dtype = options->dtype ? options->dtype : LAMINA_F32;
  net->input = lamina_dense(options->input_dtype ? options->input_dtype : lamina_wide(dtype), options->rank + 1, dims);
  net->shape = (lamina_graph){.allocator = allocator,
                              .dtype = dtype,
                              .math = options->math,
                              .batch = 1,
                              .params = &net->params,
                              .rng = LAMINA_ABSENT,
                              .layer_name = "input"};
  lamina_status status = lamina_desc_bytes(&net->input) < 0
                             ? lamina_error(LAMINA_INVALID, "the size of the net's input overflows")
                             : LAMINA_OK;
  if (!status) status = lamina_graph_input(&net->shape, &net->input);
  net->first = net->shape.x;
  if (status)
    lamina_net_close(net);
  else
    *out = net;
  return status;
}

static void forget_classes(lamina_net *net) {
  for (int64_t i = 0; net->class_names && i < net->class_count; i++) lamina_free(net->allocator, net->class_names[i]);
  lamina_free(net->allocator, net->class_names);
  net->class_names = NULL;
  net->class_count = 0;
}

void lamina_net_close(lamina_net *net) {
  if (!net) return;
  lamina_trace_drop(net);
  lamina_net_forget(net);
  for (int b = 0; b < LAMINA_BUFFERS; b++) lamina_memory_free(net->device, net->block[b], net->size[b]);
  lamina_memory_free(net->device, net->parts_block, net->parts_size);
  lamina_device_close(net->solo);
  lamina_graph_close(&net->shape);
  lamina_dataset_close(net->train);
  lamina_dataset_close(net->test);
  forget_classes(net);
  lamina_free(net->allocator, net->defaults.train);
  lamina_free(net->allocator, net->defaults.test);
  lamina_free(net->allocator, net->defaults.root);
  lamina_free(net->allocator, net->recipe);
  lamina_free(net->allocator, net->text);
  lamina_free(net->allocator, net->layers);
  lamina_free(net->allocator, net->params.list);
  pthread_mutex_destroy(&net->turn);
  lamina_free(net->allocator, net);
}

lamina_status lamina_net_remember(lamina_net *net, const lamina_dataset_info *info) {
  net->low = info->low, net->high = info->high;
  forget_classes(net);
  if (!info->class_names) return LAMINA_OK;
  net->class_names = lamina_alloc_zero(net->allocator, (size_t)info->classes * sizeof *net->class_names);
  if (!net->class_names) return LAMINA_OUT_OF_MEMORY;
  net->class_count = info->classes;
  for (int64_t i = 0; i < info->classes; i++)
    if (!(net->class_names[i] = lamina_copy_text(net->allocator, info->class_names[i]))) return LAMINA_OUT_OF_MEMORY;
  return LAMINA_OK;
}

const char *lamina_net_class_name(const lamina_net *net, int64_t index) {
  return net && net->class_names && index >= 0 && index < net->class_count ? net->class_names[index] : NULL;
}

/* ---- Parameters ------------------------------------------------------------------------------------------------- */

int64_t lamina_net_parameter_total(const lamina_net *net) {
  int64_t total = 0;
  for (int i = 0; net && i < net->params.count; i++)
    if (!net->params.list[i].state) total += lamina_desc_count(&net->params.list[i].desc);
  return total;
}

static lamina_status check_index(const lamina_net *net, int index) {
  if (index >= 0 && index < net->params.count) return LAMINA_OK;
  return lamina_error(LAMINA_INVALID, "there is no parameter %d; the net has %d", index, net->params.count);
}

lamina_status lamina_net_parameter(const lamina_net *net, int index, lamina_parameter *parameter) {
  LAMINA_NOT_NULL(net, "net");
  LAMINA_NOT_NULL(parameter, "parameter");
  LAMINA_TRY(check_index(net, index));
  const lamina_param *p = &net->params.list[index];
  *parameter = (lamina_parameter){.name = p->name,
                                  .desc = p->desc,
                                  .layer = p->layer,
                                  .offset = (int64_t)(p->offset / lamina_element(net)),
                                  .decay = p->decay,
                                  .state = p->state};
  return LAMINA_OK;
}

int lamina_net_parameter_find(const lamina_net *net, const char *name) {
  for (int i = 0; net && name && i < net->params.count; i++)
    if (strcmp(net->params.list[i].name, name) == 0) return i;
  return -1;
}

/* Zeros, so that the gaps between parameters are numbers, too. */
static lamina_status take_block(lamina_net *net, lamina_buffer buffer, size_t bytes) {
  if (net->block[buffer] || !bytes) return LAMINA_OK;
  LAMINA_TRY(lamina_memory_alloc(net->device, bytes, &net->block[buffer]));
  net->size[buffer] = bytes;
  lamina_tensor all = lamina_vector(LAMINA_U8, (int64_t)bytes, net->block[buffer]);
  all.memory = net->device->module.memory;
  return lamina_op_run(net->device, "fill/forward", NULL, (const lamina_tensor *[]){&all}, NULL);
}

lamina_status lamina_net_take_parameters(lamina_net *net) {
  LAMINA_TRY(take_block(net, LAMINA_BUFFER_PARAMETERS, net->params.bytes));
  return take_block(net, LAMINA_BUFFER_STATE, net->params.state_bytes);
}

lamina_status lamina_net_class_weights(lamina_net *net, int64_t n, const float *weights) {
  LAMINA_NOT_NULL(net, "net");
  if (n) LAMINA_NOT_NULL(weights, "weights");
  const lamina_desc out = lamina_net_output(net);
  if (net->training) return lamina_error(LAMINA_INVALID, "class weights can't change while a trainer is open");
  if (n && (out.rank < 1 || n != out.dims[0]))
    return lamina_error(LAMINA_INVALID, "%lld class weights; the net has %lld classes", (long long)n,
                        (long long)(out.rank < 1 ? 0 : out.dims[0]));
  for (int64_t i = 0; i < n; i++)
    if (!(weights[i] >= 0) || isinf(weights[i]))
      return lamina_error(LAMINA_INVALID, "the weight of class %lld is %g; expected a number from 0", (long long)i,
                          (double)weights[i]);
  const size_t bytes = (size_t)n * sizeof *weights;
  void *block = NULL;
  if (n) LAMINA_TRY(lamina_memory_alloc(net->device, bytes, &block));
  const lamina_status status = n ? lamina_copy(net->device, block, weights, bytes, NULL) : LAMINA_OK;
  if (status) {
    lamina_memory_free(net->device, block, bytes);
    return status;
  }
  lamina_net_forget(net); /* losses were planned without them, or with them */
  lamina_memory_free(net->device, net->block[LAMINA_BUFFER_CLASS_WEIGHTS], net->size[LAMINA_BUFFER_CLASS_WEIGHTS]);
  net->block[LAMINA_BUFFER_CLASS_WEIGHTS] = block;
  net->size[LAMINA_BUFFER_CLASS_WEIGHTS] = bytes;
  return LAMINA_OK;
}

lamina_status lamina_net_parameter_read(lamina_net *net, int index, void *to) {
  LAMINA_NOT_NULL(net, "net");
  LAMINA_NOT_NULL(to, "to");
  LAMINA_TRY(check_index(net, index));
  if (!net->set) return lamina_error(LAMINA_INVALID, "the net's parameters are not set; lamina_net_init does that");
  return lamina_net_fetch(net, lamina_param_best(net, &net->params.list[index]), index, to);
}

lamina_status lamina_net_gradient_read(lamina_net *net, int index, void *to) {
  LAMINA_NOT_NULL(net, "net");
  LAMINA_NOT_NULL(to, "to");
  LAMINA_TRY(check_index(net, index));
  if (net->params.list[index].state)
    return lamina_error(LAMINA_INVALID, "%s has no gradient: it isn't trained", net->params.list[index].name);
  if (!net->gradients)
    return lamina_error(LAMINA_INVALID,
                        "the net has no gradients; lamina_net_gradients computes some, and a trainer keeps "
                        "its own with keep_gradients");
  return lamina_net_fetch(net, LAMINA_BUFFER_GRADIENTS, index, to);
}

lamina_status lamina_net_parameter_write(lamina_net *net, int index, const void *from) {
  LAMINA_NOT_NULL(net, "net");
  LAMINA_NOT_NULL(from, "from");
  LAMINA_TRY(check_index(net, index));
  LAMINA_TRY(lamina_net_take_parameters(net));
  net->set = true;
  return lamina_net_store(net, index, from);
}

static bool takes_from(const lamina_layer *layer, int from) {
  for (int i = 0; i < layer->from_count; i++)
    if (layer->from[i] == from) return true;
  return false;
}

static const lamina_attr_def *init_of(const lamina_layer *layer) {
  for (const lamina_attr_def *attr = layer->def->attrs; attr->name; attr++)
    if (strcmp(attr->name, "init") == 0) return attr;
  return NULL;
}

/* About half of what goes into these comes out. */
static bool is_rectifier(const lamina_layer *layer) {
  static const char *const kinds[] = {"relu", "leaky_relu", "prelu", "elu", "gelu", "silu"};
  for (size_t i = 0; i < LAMINA_COUNT_OF(kinds); i++)
    if (strcmp(layer->def->name, kinds[i]) == 0) return true;
  return false;
}

/* Does a rectifier follow before the next layer with weights? Of branches, the first one counts. */
static bool rectifier_follows(const lamina_net *net, int layer) {
  for (int i = layer + 1; i < net->layer_count; i++) {
    if (!takes_from(&net->layers[i], layer)) continue;
    if (is_rectifier(&net->layers[i])) return true;
    if (init_of(&net->layers[i])) return false;
    layer = i;
  }
  return false;
}

/* The initialiser of a parameter's layer, with the default resolved. */
static lamina_initialiser initialiser_of(const lamina_net *net, const lamina_param *p) {
  const lamina_layer *layer = &net->layers[p->layer];
  const lamina_attr_def *attr = init_of(layer);
  int64_t init = LAMINA_INIT_ZERO;
  if (attr && !p->constant) memcpy(&init, layer->attr + attr->offset, sizeof init);
  if (init != LAMINA_INIT_DEFAULT) return (lamina_initialiser)init;
  return rectifier_follows(net, p->layer) ? LAMINA_INIT_HE_NORMAL : LAMINA_INIT_XAVIER_UNIFORM;
}

/* Four numbers of mean 0 and variance 1 from the four words of Philox's block: uniform, a word each, or normal, two from
 * two words by Box and Muller ("A note on the generation of random normal deviates", 1958). */
static void draw_units(const philox_words *words, bool normal, double unit[4]) {
  for (int i = 0; i < 4; i += 2) {
    const double u = ((double)words->v[i] + 0.5) * 0x1p-32, v = ((double)words->v[i + 1] + 0.5) * 0x1p-32;
    const double radius = normal ? sqrt(-2 * log(u)) : 0, angle = 6.283185307179586 * v;
    unit[i] = normal ? radius * cos(angle) : sqrt(3.0) * (2 * u - 1);
    unit[i + 1] = normal ? radius * sin(angle) : sqrt(3.0) * (2 * v - 1);
  }
}

/* Element i is number i % 4 of block i / 4. */
static void start(const lamina_param *p, lamina_initialiser init, uint64_t seed, uint32_t index, void *to) {
  enum { STREAM = 0x494E4954 }; /* "INIT" */
  const int64_t count = lamina_desc_count(&p->desc);
  const bool he = init == LAMINA_INIT_HE_NORMAL || init == LAMINA_INIT_HE_UNIFORM;
  const bool normal = init == LAMINA_INIT_HE_NORMAL || init == LAMINA_INIT_XAVIER_NORMAL;
  const double mean = p->constant ? p->value : 0;
  const double deviation = init == LAMINA_INIT_ZERO ? 0 : sqrt(2 / (he ? p->fan_in : p->fan_in + p->fan_out));
  for (int64_t i = 0; i < count; i += 4) {
    const philox_words words = philox_block(seed, (uint64_t)i / 4, STREAM, index);
    double unit[4] = {0};
    if (deviation > 0) draw_units(&words, normal, unit);
    for (int64_t k = i; k < i + 4 && k < count; k++)
      lamina_store((lamina_dtype)p->desc.dtype, to, k, mean + deviation * unit[k - i]);
  }
}

lamina_status lamina_net_init(lamina_net *net, uint64_t seed) {
  LAMINA_NOT_NULL(net, "net");
  size_t most = 0; /* bytes that aren't written where they belong */
  for (int i = 0; i < net->params.count; i++) {
    const lamina_param *p = &net->params.list[i];
    const size_t bytes = (size_t)lamina_desc_bytes(&p->desc);
    if (bytes > most && !(lamina_net_on_host(net) && lamina_param_is_plain(p))) most = bytes;
  }
  LAMINA_TRY(lamina_net_take_parameters(net));
  char *values = most ? lamina_alloc(net->allocator, most) : NULL;
  if (most && !values) return LAMINA_OUT_OF_MEMORY;
  lamina_status status = LAMINA_OK;
  for (int i = 0; i < net->params.count && !status; i++) {
    const lamina_param *p = &net->params.list[i];
    const bool direct = lamina_net_on_host(net) && lamina_param_is_plain(p);
    start(p, initialiser_of(net, p), seed, (uint32_t)i,
          direct ? (char *)net->block[lamina_param_buffer(p)] + p->offset : values);
    if (!direct) status = lamina_net_parameter_write(net, i, values);
  }
  lamina_free(net->allocator, values);
  net->set = !status;
  return status;
}
