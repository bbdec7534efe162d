/* A net as a recipe: what a checkpoint carries of a net that was built in C, and what tells two nets apart. Beside it the
 * same of a training run. */
#include "core/problem.h"
#include "core/text.h"
#include "net/recipe.h"
#include "net/trainer.h"

static int64_t integer_at(const uint8_t *descriptor, size_t offset, int index) {
  int64_t value;
  memcpy(&value, descriptor + offset + sizeof value * (size_t)index, sizeof value);
  return value;
}

/* Numbers first … first + count - 1 as "[1, 2]". */
static void put_list(lamina_text *text, const uint8_t *descriptor, size_t offset, int first, int count) {
  for (int i = 0; i < count; i++)
    lamina_text_print(text, "%s%lld", i ? ", " : "[", (long long)integer_at(descriptor, offset, first + i));
  lamina_text_put(text, "]");
}

/* An axis that isn't given is as the first one. */
static void put_axes(lamina_text *text, const uint8_t *descriptor, size_t offset, int count) {
  for (int a = 0; a < count; a++) {
    const int64_t value = integer_at(descriptor, offset, a);
    lamina_text_print(text, "%s%lld", a ? ", " : "[", (long long)(value ? value : integer_at(descriptor, offset, 0)));
  }
  lamina_text_put(text, "]");
}

/* How many numbers the attribute has to give: none when all are 0 and mean nothing; else, for spatial axes, those of
 * every axis that there is, since a recipe's list names each. */
static int said(const lamina_attr_def *attr, const uint8_t *descriptor, int axes) {
  const int each = attr->type == LAMINA_ATTR_PADS ? 2 : 1;
  int count = lamina_attr_numbers(attr->type);
  while (count > 0 && integer_at(descriptor, attr->offset, count - 1) == 0) count--;
  if (!count) return attr->has ? 1 : 0;
  const bool spatial = attr->type == LAMINA_ATTR_PADS || attr->type == LAMINA_ATTR_AXES;
  return spatial && count < each * axes ? each * axes : count;
}

static void put_value(lamina_text *text, const lamina_attr_def *attr, const uint8_t *descriptor, int count) {
  double real;
  switch (attr->type) {
  case LAMINA_ATTR_REAL:
    memcpy(&real, descriptor + attr->offset, sizeof real);
    lamina_text_real(text, real);
    return;
  case LAMINA_ATTR_AXES: put_axes(text, descriptor, attr->offset, count); return;
  case LAMINA_ATTR_PADS:
    for (int i = 0; i < count; i += 2) {
      lamina_text_put(text, i ? ", " : "[");
      put_list(text, descriptor, attr->offset, i, 2);
    }
    lamina_text_put(text, "]");
    return;
  case LAMINA_ATTR_BOOL: lamina_text_put(text, integer_at(descriptor, attr->offset, 0) ? "true" : "false"); return;
  case LAMINA_ATTR_ENUM: lamina_text_put(text, attr->choices[integer_at(descriptor, attr->offset, 0)]); return;
  case LAMINA_ATTR_LIST: put_list(text, descriptor, attr->offset, 0, count); return;
  case LAMINA_ATTR_SET:
    lamina_text_put(text, "[");
    lamina_text_axes(text, integer_at(descriptor, attr->offset, 0), ", ");
    lamina_text_put(text, "]");
    return;
  case LAMINA_ATTR_INT: lamina_text_print(text, "%lld", (long long)integer_at(descriptor, attr->offset, 0)); return;
  }
}

/* A name of its own, and inputs other than the layer before. */
static void put_links(lamina_text *text, const lamina_net *net, int index, bool *any) {
  const lamina_layer *layer = &net->layers[index];
  if (layer->name[0] > '9') {
    lamina_text_print(text, "%sname: %s", *any ? ", " : ": {", layer->name);
    *any = true;
  }
  if (layer->from_count == 1 && layer->from[0] == index - 1) return;
  for (int i = 0; i < layer->from_count; i++)
    lamina_text_print(text, "%s%s",
                      i      ? ", "
                      : *any ? ", from: ["
                             : ": {from: [",
                      layer->from[i] < 0 ? "input" : net->layers[layer->from[i]].name);
  lamina_text_put(text, "]");
  *any = true;
}

/* ": {filters: 6, kernel: [5, 5]", without the end; false, and nothing, where none is to be said. */
static bool put_attrs(lamina_text *text, const lamina_attr_def *attr, const uint8_t *descriptor, int axes) {
  bool any = false;
  for (; attr->name; attr++) {
    const int count = said(attr, descriptor, axes);
    if (!count) continue;
    lamina_text_print(text, "%s%s: ", any ? ", " : ": {", attr->name);
    put_value(text, attr, descriptor, count);
    any = true;
  }
  return any;
}

static void put_layer(lamina_text *text, const lamina_net *net, int index) {
  const lamina_layer *layer = &net->layers[index];
  lamina_text_print(text, "  - %s", layer->def->name);
  bool any = put_attrs(text, layer->def->attrs, layer->attr, lamina_layer_axes(layer));
  put_links(text, net, index, &any);
  lamina_text_put(text, any ? "}\n" : "\n");
}

lamina_status lamina_net_describe(const lamina_net *net, lamina_text *text) {
  const lamina_desc input = lamina_net_input(net);
  lamina_text_put(text, "input: ");
  for (int a = 0; a < input.rank; a++) lamina_text_print(text, "%s%lld", a ? ", " : "[", (long long)input.dims[a]);
  lamina_text_put(text, "]\n");
  const lamina_dtype dtype = net->shape.dtype, input_dtype = (lamina_dtype)input.dtype;
  if (dtype != LAMINA_F32) lamina_text_print(text, "dtype: %s\n", lamina_dtype_name(dtype));
  if (input_dtype != lamina_wide(dtype)) lamina_text_print(text, "input_dtype: %s\n", lamina_dtype_name(input_dtype));
  if (net->options.math) lamina_text_print(text, "math: %s\n", lamina_math_names[net->options.math]);
  lamina_text_put(text, "net:\n");
  for (int i = 0; i < net->layer_count; i++) put_layer(text, net, i);
  return lamina_text_status(text);
}

static void put_real(lamina_text *text, const char *name, double value) {
  lamina_text_put(text, name);
  lamina_text_real(text, value);
}

static void put_rate(lamina_text *text, const lamina_rate *rate) {
  static const char *const kinds[] = {"constant", "step", "cosine"};
  put_real(text, "rate ", rate->rate);
  lamina_text_print(text, " %s", kinds[rate->kind]);
  if (rate->warmup) lamina_text_print(text, ", warmup %lld", (long long)rate->warmup);
  if (rate->kind == LAMINA_RATE_STEP) {
    lamina_text_print(text, ", every %lld", (long long)rate->every);
    put_real(text, ", factor ", rate->factor);
  }
  if (rate->kind == LAMINA_RATE_COSINE) put_real(text, ", final ", rate->final);
  lamina_text_put(text, "\n");
}

/* "adam {decay: 0.1}": a family and the attributes of its op FAMILY/PASS. */
static void put_op(lamina_text *text, const char *family, const char *pass, const void *attr) {
  char op[64];
  lamina_format(op, sizeof op, "%s/%s", family, pass);
  lamina_text_put(text, family);
  if (put_attrs(text, lamina_op_at(lamina_op_find(op))->attrs, attr, 0)) lamina_text_put(text, "}");
}

lamina_status lamina_training_describe(const lamina_training *o, lamina_text *text) {
  lamina_text_print(text, "batch %lld\nseed %llu\nexamples %lld\nshift %lld\nloss ", (long long)o->batch,
                    (unsigned long long)o->seed, (long long)lamina_dataset_info_of(o->train)->count,
                    (long long)o->shift);
  put_op(text, o->loss, "forward", o->loss_attrs);
  lamina_text_put(text, "\noptimizer ");
  put_op(text, o->optimizer, "update", o->optimizer_attrs);
  put_real(text, "\ndecay ", o->decay);
  if (o->clip_value > 0) put_real(text, ", clip_value ", o->clip_value);
  if (o->clip_norm > 0) put_real(text, ", clip_norm ", o->clip_norm);
  lamina_text_put(text, "\n");
  put_rate(text, &o->rate);
  return lamina_text_status(text);
}
