/* What training uses: the caller's options, else the recipe's, else the defaults; and the memory it takes. */
#include <stdio.h>

#include "core/problem.h"
#include "lamina/optimizer.h"
#include "net/trainer.h"

#define ELSE(field)                                                                                                    \
  if (!o->field) o->field = recipe->field

static void fill_in(const lamina_defaults *defaults, lamina_training *o) {
  const lamina_training *recipe = &defaults->training;
  if (!o->optimizer) {
    o->optimizer = recipe->optimizer;
    o->optimizer_attrs = recipe->optimizer ? defaults->optimizer_attrs : NULL;
    o->decay = recipe->decay;
  }
  if (o->rate.rate == 0) o->rate = recipe->rate;
  ELSE(loss);
  ELSE(batch);
  ELSE(epochs);
  ELSE(seed);
  ELSE(top_k);
  ELSE(shift);
  ELSE(evaluate);
  ELSE(threads);
  if (!o->loss) o->loss = "softmax_cross_entropy";
  if (!o->optimizer) o->optimizer = "sgd";
  if (o->rate.rate == 0) o->rate = (lamina_rate){.kind = LAMINA_RATE_CONSTANT, .rate = 0.01};
  if (!o->batch) o->batch = 64;
  if (!o->epochs) o->epochs = 10;
  if (!o->seed) o->seed = 1;
  if (!o->top_k) o->top_k = 5;
  if (!o->evaluate) o->evaluate = 1;
  if (!o->threads) o->threads = 1;
}

static lamina_status check(const lamina_training *o) {
  if (o->batch < 1)
    return lamina_error(LAMINA_INVALID, "a batch of %lld examples; expected at least 1", (long long)o->batch);
  if (o->epochs < 1) return lamina_error(LAMINA_INVALID, "%lld epochs; expected at least 1", (long long)o->epochs);
  if (o->top_k < 1) return lamina_error(LAMINA_INVALID, "top_k is %lld; expected at least 1", (long long)o->top_k);
  if (o->shift < 0)
    return lamina_error(LAMINA_INVALID, "a shift of %lld pixels; expected 0 or more", (long long)o->shift);
  if (!(o->decay >= 0)) return lamina_error(LAMINA_INVALID, "the weight decay is %g; expected 0 or more", o->decay);
  return lamina_rate_check(&o->rate);
}

static lamina_status check_data(const lamina_net *net, const lamina_dataset *dataset) {
  const lamina_dataset_info *info = lamina_dataset_info_of(dataset);
  const lamina_desc in = lamina_net_input(net), out = lamina_net_output(net);
  const int64_t dims[] = {info->channels, info->height, info->width};
  char shape[128];
  if (in.rank != 3 || memcmp(in.dims, dims, sizeof dims) != 0)
    return lamina_error(LAMINA_INVALID,
                        "%s has pictures of %lld channels, %lld rows and %lld columns, but the net's input is %s",
                        info->name, (long long)dims[0], (long long)dims[1], (long long)dims[2],
                        lamina_desc_text(&in, shape, sizeof shape));
  if (in.dtype != LAMINA_F32)
    return lamina_error(LAMINA_INVALID, "the net's numbers are %s; training from datasets expects f32",
                        lamina_dtype_name((lamina_dtype)in.dtype));
  if (out.rank != 1)
    return lamina_error(LAMINA_INVALID, "the net's output is %s; training expects one number for each class",
                        lamina_desc_text(&out, shape, sizeof shape));
  return lamina_dataset_check_classes(dataset, out.dims[0]);
}

lamina_status lamina_training_resolve(lamina_net *net, const lamina_training *given, lamina_training *o,
                                      uint8_t *attrs) {
  *o = given ? *given : (lamina_training){0};
  fill_in(&net->defaults, o);
  LAMINA_TRY(check(o));
  if (!o->train) LAMINA_TRY(lamina_net_data(net, &o->train, o->test ? NULL : &o->test));
  LAMINA_TRY(check_data(net, o->train));
  if (o->test) LAMINA_TRY(check_data(net, o->test));
  const lamina_desc out = lamina_net_output(net);
  const int64_t count = lamina_dataset_info_of(o->train)->count;
  if (o->top_k > out.dims[0]) o->top_k = out.dims[0];
  if (o->batch > count) o->batch = count; /* a dataset smaller than one batch is one */
  char op[64];
  snprintf(op, sizeof op, "%s/update", o->optimizer);
  const lamina_op_def *def = lamina_op_at(lamina_op_find(op));
  if (!def) return lamina_error(LAMINA_INVALID, "there is no optimizer \"%s\"; there are sgd and adam", o->optimizer);
  memset(attrs, 0, LAMINA_ATTR_BYTES);
  if (o->optimizer_attrs) memcpy(attrs, o->optimizer_attrs, def->attr_size);
  o->optimizer_attrs = attrs;
  return lamina_attrs_check(op, def->attrs, attrs);
}

lamina_status lamina_training_update(const lamina_training *o, lamina_update *update) {
  *update = (lamina_update){.decay = o->decay};
  snprintf(update->op, sizeof update->op, "%s/update", o->optimizer);
  memcpy(update->attr, o->optimizer_attrs, LAMINA_ATTR_BYTES);
  const lamina_op_def *op = lamina_op_at(lamina_op_find(update->op));
  for (int i = 0; op->args[i].name; i++) /* w is in place, too */
    update->moments += op->args[i].role == LAMINA_INOUT && strcmp(op->args[i].name, "w") != 0;
  if (strcmp(o->optimizer, "sgd") == 0 && ((const lamina_sgd *)o->optimizer_attrs)->momentum == 0) update->moments = 0;
  return LAMINA_OK;
}

lamina_loader_options lamina_training_loader(const lamina_net *net, const lamina_training *o) {
  return (lamina_loader_options){.batch = o->batch,
                                 .shuffle = true,
                                 .shift = (int)o->shift,
                                 .seed = o->seed,
                                 .threads = o->threads < 0 ? 0 : o->threads,
                                 .allocator = net->allocator};
}

lamina_status lamina_training_memory(lamina_net *net, const lamina_training *given, lamina_memory_need *need) {
  lamina_training o;
  uint8_t attrs[LAMINA_ATTR_BYTES];
  lamina_executor *executor;
  LAMINA_TRY(lamina_training_resolve(net, given, &o, attrs));
  const lamina_update before = net->update;
  LAMINA_TRY(lamina_training_update(&o, &net->update));
  if (memcmp(&before, &net->update, sizeof before) != 0) lamina_net_forget(net);
  LAMINA_TRY(lamina_net_executor(net, LAMINA_MODE_TRAIN, o.batch, o.loss, 0, &executor));
  lamina_executor_need(net, executor, need);
  const lamina_loader_options loader = lamina_training_loader(net, &o);
  const int64_t bytes = lamina_loader_memory(o.train, &loader);
  if (bytes < 0) return lamina_error(LAMINA_INVALID, "batches of %lld examples overflow", (long long)o.batch);
  need->loader = (size_t)bytes;
  need->total = need->device + need->loader;
  return LAMINA_OK;
}
