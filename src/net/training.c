/* What training uses: the caller's options, else the recipe's, else the defaults; and the memory it takes. */
#include <stdio.h>

#include "core/problem.h"
#include "net/trainer.h"

static const char default_optimizer[] = "sgd";

static lamina_status take_name(char to[48], const char *given, const char *recipe, const char *preset) {
  const char *name = given ? given : recipe[0] ? recipe : preset;
  if (snprintf(to, 48, "%s", name) < 48) return LAMINA_OK;
  return lamina_error(LAMINA_INVALID, "the name \"%.60s…\" is too long", name);
}

/* The optimizer's own options come from where its name comes from. */
static lamina_status take_optimizer(const lamina_defaults *recipe, lamina_settings *s) {
  lamina_training *o = &s->options;
  char op[64];
  LAMINA_TRY(take_name(s->optimizer, o->optimizer, recipe->optimizer, default_optimizer));
  LAMINA_TRY(lamina_optimizer_check(s->optimizer));
  snprintf(op, sizeof op, "%s/update", s->optimizer);
  const lamina_op_def *def = lamina_op_at(lamina_op_find(op));
  if (o->optimizer && o->optimizer_attrs) memcpy(s->optimizer_attrs, o->optimizer_attrs, def->attr_size);
  if (!o->optimizer && recipe->optimizer[0]) {
    memcpy(s->optimizer_attrs, recipe->optimizer_attrs, def->attr_size);
    o->decay = recipe->training.decay;
  }
  o->optimizer = s->optimizer;
  o->optimizer_attrs = s->optimizer_attrs;
  return lamina_attrs_check(op, def->attrs, s->optimizer_attrs);
}

#define TAKE(field, preset) o->field = o->field ? o->field : recipe->field ? recipe->field : (preset)

static lamina_status fill_in(const lamina_net *net, lamina_settings *s) {
  const lamina_defaults *defaults = &net->defaults;
  const lamina_training *recipe = &defaults->training;
  lamina_training *o = &s->options;
  LAMINA_TRY(take_optimizer(defaults, s));
  LAMINA_TRY(lamina_net_criterion(net, o->loss, o->loss_attrs, &s->loss));
  o->loss = s->loss.family;
  o->loss_attrs = s->loss.attr;
  TAKE(batch, 64);
  TAKE(epochs, 10);
  TAKE(seed, 1);
  TAKE(top_k, 5);
  TAKE(shift, 0);
  TAKE(evaluate, 1);
  TAKE(clip_norm, 0);
  TAKE(clip_value, 0);
  TAKE(threads, 1);
  if (o->rate.rate == 0) o->rate = recipe->rate;
  if (o->rate.rate == 0) o->rate = (lamina_rate){.kind = LAMINA_RATE_CONSTANT, .rate = 0.01};
  return LAMINA_OK;
}

static lamina_status check_clip(const char *name, double most) {
  if (most <= 1e300) return LAMINA_OK;
  return lamina_error(LAMINA_INVALID, "%s is %g; expected a number of at most 1e300, or less than 0 for none", name,
                      most);
}

static lamina_status check(const lamina_training *o) {
  if (o->batch < 1)
    return lamina_error(LAMINA_INVALID, "a batch of %lld examples; expected at least 1", (long long)o->batch);
  if (o->epochs < 1) return lamina_error(LAMINA_INVALID, "%lld epochs; expected at least 1", (long long)o->epochs);
  if (o->top_k < 1) return lamina_error(LAMINA_INVALID, "top_k is %lld; expected at least 1", (long long)o->top_k);
  if (o->shift < 0)
    return lamina_error(LAMINA_INVALID, "a shift of %lld pixels; expected 0 or more", (long long)o->shift);
  if (!(o->decay >= 0)) return lamina_error(LAMINA_INVALID, "the weight decay is %g; expected 0 or more", o->decay);
  LAMINA_TRY(check_clip("clip_norm", o->clip_norm));
  LAMINA_TRY(check_clip("clip_value", o->clip_value));
  return lamina_rate_check(&o->rate);
}

lamina_status lamina_net_check_data(const lamina_net *net, const lamina_dataset *dataset) {
  const lamina_dataset_info *info = lamina_dataset_info_of(dataset);
  const lamina_desc in = lamina_net_input(net), out = lamina_net_output(net);
  const int64_t dims[LAMINA_MAX_RANK] = {info->channels, info->height, info->width};
  char shape[128];
  if (in.rank != 3 || memcmp(in.dims, dims, sizeof dims) != 0)
    return lamina_error(LAMINA_INVALID,
                        "%s has pictures of %lld channel%s, %lld rows and %lld columns, but the net's input is %s",
                        info->name, (long long)dims[0], dims[0] == 1 ? "" : "s", (long long)dims[1], (long long)dims[2],
                        lamina_desc_text(&in, shape, sizeof shape));
  if (lamina_net_wide(net) != LAMINA_F32)
    return lamina_error(LAMINA_INVALID, "the net's numbers are %s; a dataset's are f32",
                        lamina_dtype_name(net->shape.dtype));
  if (out.rank != 1)
    return lamina_error(LAMINA_INVALID, "the net's output is %s; expected one number for each class",
                        lamina_desc_text(&out, shape, sizeof shape));
  return lamina_dataset_check_classes(dataset, out.dims[0]);
}

lamina_status lamina_training_settle(lamina_net *net, const lamina_training *given, lamina_settings *s) {
  *s = (lamina_settings){.options = given ? *given : (lamina_training){0}};
  lamina_training *o = &s->options;
  LAMINA_TRY(fill_in(net, s));
  LAMINA_TRY(check(o));
  if (net->shape.dtype == LAMINA_F16)
    return lamina_error(LAMINA_UNSUPPORTED, "training in f16: small gradients would become 0, since nothing scales the "
                                            "loss; expected a net of f32, or of bf16, which has its range");
  if (!o->train) LAMINA_TRY(lamina_net_data(net, &o->train, o->test ? NULL : &o->test));
  LAMINA_TRY(lamina_net_check_data(net, o->train));
  if (o->test) LAMINA_TRY(lamina_net_check_data(net, o->test));
  const int64_t classes = lamina_net_output(net).dims[0], count = lamina_dataset_info_of(o->train)->count;
  if (o->top_k > classes) o->top_k = classes;
  if (o->batch > count) o->batch = count; /* a dataset smaller than one batch is one */
  return LAMINA_OK;
}

/* Can the op do without its optional arguments? Then so it shall. */
static bool does_without(const lamina_net *net, const lamina_op_def *op, const uint8_t *attr) {
  const int64_t one = 1;
  const lamina_desc number = lamina_dense(net->shape.dtype, 1, &one), integer = lamina_dense(LAMINA_I64, 1, &one);
  const lamina_desc *shape[LAMINA_MAX_ARGS] = {NULL};
  lamina_problem problem;
  for (int i = 0; op->args[i].name; i++)
    if (!op->args[i].optional) shape[i] = op->args[i].type == LAMINA_INTEGER ? &integer : &number;
  return lamina_problem_init(&problem, lamina_op_find(op->name), attr, shape) == LAMINA_OK &&
         lamina_problem_infer(&problem) == LAMINA_OK;
}

lamina_status lamina_training_update(const lamina_net *net, const lamina_settings *s, lamina_update *update) {
  const lamina_training *o = &s->options;
  *update = (lamina_update){.decay = o->decay,
                            .clip_norm = o->clip_norm > 0 ? o->clip_norm : 0,
                            .clip_value = o->clip_value > 0 ? o->clip_value : 0,
                            .keeps = o->keep_gradients};
  snprintf(update->op, sizeof update->op, "%s/update", s->optimizer);
  memcpy(update->attr, s->optimizer_attrs, sizeof update->attr);
  const lamina_op_def *op = lamina_op_at(lamina_op_find(update->op));
  const bool without = does_without(net, op, update->attr);
  for (int i = 0; op->args[i].name; i++) /* w is in place, too */
    update->moments +=
        op->args[i].role == LAMINA_INOUT && strcmp(op->args[i].name, "w") != 0 && !(op->args[i].optional && without);
  return LAMINA_OK;
}

lamina_loader_options lamina_training_loader(const lamina_net *net, const lamina_training *o) {
  return (lamina_loader_options){.batch = o->batch,
                                 .shuffle = true,
                                 .shift = (int)o->shift,
                                 .seed = o->seed,
                                 .threads = o->threads < 0 ? 0 : o->threads,
                                 .ahead = lamina_net_ahead(net, o->batch),
                                 .hold = lamina_net_on_host(net) ? 1 : LAMINA_SLOTS,
                                 .allocator = net->allocator};
}

lamina_status lamina_training_need(lamina_net *net, const lamina_settings *s, lamina_memory_need *need) {
  const lamina_training *o = &s->options;
  const lamina_update before = net->update;
  lamina_executor *executor;
  LAMINA_TRY(lamina_training_update(net, s, &net->update));
  const lamina_status status = lamina_net_executor(net, LAMINA_MODE_TRAIN, o->batch, &s->loss, 0, &executor);
  net->update = before;
  if (status) return status;
  lamina_executor_need(net, executor, need);
  const lamina_loader_options loader = lamina_training_loader(net, o);
  const int64_t bytes = lamina_loader_memory(o->train, &loader);
  const int64_t test = o->test && o->evaluate > 0 ? lamina_evaluation_memory(net, o->test, o->batch) : 0;
  int64_t sum;
  if (bytes < 0 || test < 0 || !lamina_sum(bytes, test, &sum))
    return lamina_error(LAMINA_INVALID, "batches of %lld examples overflow", (long long)o->batch);
  need->loader = (size_t)sum + lamina_net_input_room(net, o->batch);
  need->total = need->device + need->loader;
  return LAMINA_OK;
}

lamina_status lamina_training_memory(lamina_net *net, const lamina_training *given, lamina_memory_need *need) {
  lamina_settings settings;
  LAMINA_NOT_NULL(net, "net");
  LAMINA_NOT_NULL(need, "need");
  LAMINA_TRY(lamina_training_settle(net, given, &settings));
  return lamina_training_need(net, &settings, need);
}

const lamina_training *lamina_net_training(const lamina_net *net) { return net ? &net->defaults.training : NULL; }
