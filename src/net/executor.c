/* Executors: the net's graph built for one mode and batch, planned, and run in the net's shared blocks. */
#include <stdio.h>

#include "core/device.h"
#include "core/problem.h"
#include "lamina/gather.h"
#include "lamina/metric.h"
#include "net/parts.h"
#include "net/trace.h"

/* ---- Building --------------------------------------------------------------------------------------------------- */

static lamina_status expand_layers(lamina_net *net, lamina_executor *executor) {
  lamina_graph *graph = &executor->graph;
  const int first = graph->x;
  LAMINA_TRY(lamina_net_check_layers(net));
  for (int i = 0; i < net->layer_count; i++) {
    const lamina_layer *layer = &net->layers[i];
    int input[LAMINA_MAX_INPUTS];
    for (int k = 0; k < layer->from_count; k++)
      input[k] = layer->from[k] < 0 ? first : executor->layer_output[layer->from[k]];
    graph->layer = i;
    const lamina_status status = lamina_layer_expand(graph, layer, input);
    if (status) return lamina_error_at(status, "%s at a batch of %lld: ", layer->name, (long long)graph->batch);
    executor->layer_output[i] = graph->x;
  }
  graph->layer = -1;
  return LAMINA_OK;
}

lamina_status lamina_step_value(lamina_graph *graph, const char *name, lamina_dtype dtype, int64_t count, size_t offset,
                                int *value) {
  const lamina_desc desc = lamina_dense(dtype, 1, &count);
  return lamina_graph_value(graph, name, &desc, LAMINA_BUFFER_STEP, offset, value);
}

lamina_status lamina_result_value(lamina_graph *graph, const char *name, lamina_dtype dtype, size_t offset,
                                  int *value) {
  const int64_t one = 1;
  lamina_desc desc = lamina_dense(dtype, 1, &one);
  desc.align = 64;
  return lamina_graph_value(graph, name, &desc, LAMINA_BUFFER_RESULT, offset, value);
}

/* What the loss holds the output against: the labels, or, for a loss of numbers, 1 for the class of the label and 0 for
 * all others. */
static lamina_status add_target(lamina_executor *executor, const lamina_op_def *op, int *arg) {
  lamina_graph *graph = &executor->graph;
  const lamina_desc scores = graph->values[graph->x].desc;
  const lamina_one_hot one_hot = {.classes = scores.dims[1]};
  const int labels = lamina_op_arg(op, "labels"), target = lamina_op_arg(op, "target");
  int hot[] = {executor->labels, LAMINA_ABSENT};
  if (labels >= 0) {
    arg[labels] = executor->labels;
    return LAMINA_OK;
  }
  if (scores.rank != 2)
    return lamina_error(LAMINA_UNSUPPORTED, "%s of labels expects [N, classes], but the net's output has %d axes",
                        executor->criterion.family, scores.rank);
  LAMINA_TRY(lamina_graph_value(graph, "target", &scores, LAMINA_BUFFER_ARENA, 0, &hot[1]));
  arg[target] = hot[1];
  return lamina_graph_emit(graph, "one_hot/forward", &one_hot, hot);
}

/* The net's class weights, where it has some. */
static lamina_status add_weights(const lamina_net *net, lamina_graph *graph, const lamina_op_def *op, int *arg) {
  const int64_t classes = graph->values[graph->x].desc.dims[1];
  const lamina_desc desc = lamina_dense(LAMINA_F32, 1, &classes);
  const int weights = lamina_op_arg(op, "weights");
  if (!net->block[LAMINA_BUFFER_CLASS_WEIGHTS]) return LAMINA_OK;
  if (weights < 0) return lamina_error(LAMINA_INVALID, "%s takes no class weights, but the net has some", op->name);
  return lamina_graph_value(graph, "weights", &desc, LAMINA_BUFFER_CLASS_WEIGHTS, 0, &arg[weights]);
}

/* The mean loss of the net's output, [N, classes, …], against labels [N, …]. */
static lamina_status add_loss(const lamina_net *net, lamina_executor *executor) {
  lamina_graph *graph = &executor->graph;
  const lamina_desc scores = graph->values[graph->x].desc;
  char name[64];
  int64_t dims[LAMINA_MAX_RANK] = {scores.dims[0]};
  if (scores.rank < 2)
    return lamina_error(LAMINA_INVALID, "the loss expects [N, classes], but the net's output has %d axes", scores.rank);
  for (int a = 2; a < scores.rank; a++) dims[a - 1] = scores.dims[a];
  const lamina_desc labels = lamina_dense(LAMINA_I32, scores.rank - 1, dims);
  snprintf(name, sizeof name, "%s/forward", executor->criterion.family);
  const lamina_op_def *op = lamina_op_at(lamina_op_find(name));
  const int x = lamina_op_arg(op, "x"), y = lamina_op_arg(op, "y");
  int arg[LAMINA_MAX_ARGS];
  for (int i = 0; i < LAMINA_MAX_ARGS; i++) arg[i] = LAMINA_ABSENT;
  for (int i = 0; op->args[i].name; i++)
    if (op->args[i].role == LAMINA_SAVED && executor->mode >= LAMINA_MODE_GRADIENTS) arg[i] = LAMINA_FRESH;
  graph->layer_name = "loss";
  LAMINA_TRY(lamina_graph_value(graph, "labels", &labels, LAMINA_BUFFER_LABELS, 0, &executor->labels));
  LAMINA_TRY(add_target(executor, op, arg));
  arg[x] = graph->x, arg[y] = LAMINA_FRESH;
  LAMINA_TRY(lamina_result_value(graph, "loss", lamina_wide(graph->dtype), LAMINA_RESULT_LOSS, &arg[y]));
  LAMINA_TRY(add_weights(net, graph, op, arg));
  LAMINA_TRY(lamina_graph_emit(graph, name, executor->criterion.attr, arg));
  executor->loss = arg[y];
  graph->values[executor->loss].varies = true;
  return LAMINA_OK;
}

/* In training the best score alone, and where it is one of [N, classes]; in evaluation the k best, too. */
static lamina_status add_hits(lamina_executor *executor) {
  const bool training = executor->mode >= LAMINA_MODE_GRADIENTS;
  lamina_graph *graph = &executor->graph;
  const lamina_desc scores = graph->values[graph->x].desc;
  if (training && scores.rank != 2) return LAMINA_OK;
  if (scores.rank != 2)
    return lamina_error(LAMINA_INVALID, "accuracy is counted over [N, classes], but the net's output has %d axes",
                        scores.rank);
  for (int i = 0; i < (training ? 1 : 2); i++) {
    const lamina_top_k top_k = {.k = i ? executor->k : 1};
    LAMINA_TRY(lamina_result_value(graph, "hits", LAMINA_I64, LAMINA_RESULT_HITS + 64 * (size_t)i, &executor->hits[i]));
    int arg[] = {graph->x, executor->labels, executor->hits[i]};
    LAMINA_TRY(lamina_graph_emit(graph, "top_k/forward", &top_k, arg));
  }
  return LAMINA_OK;
}

/* What loss and hits are taken of. */
static lamina_status widen_scores(lamina_graph *graph) {
  const lamina_dtype dtype = (lamina_dtype)graph->values[graph->x].desc.dtype;
  const int scores = graph->x;
  return lamina_is_narrow(dtype) ? lamina_graph_cast(graph, scores, "scores", LAMINA_F32, &graph->x) : LAMINA_OK;
}

static lamina_status build(lamina_net *net, lamina_device *device, lamina_executor *executor, bool apart) {
  lamina_graph *graph = &executor->graph;
  const bool training = executor->mode >= LAMINA_MODE_GRADIENTS;
  int64_t dims[LAMINA_MAX_RANK];
  memcpy(dims, net->input.dims, sizeof dims);
  dims[0] = graph->batch;
  const lamina_desc input = lamina_dense((lamina_dtype)net->input.dtype, net->input.rank, dims);
  if (lamina_desc_bytes(&input) < 0)
    return lamina_error(LAMINA_INVALID, "a batch of %lld examples overflows", (long long)graph->batch);
  LAMINA_TRY(lamina_graph_input(graph, &input));
  if (training)
    LAMINA_TRY(lamina_step_value(graph, "rng", LAMINA_I64, 2, offsetof(lamina_step_block, rng), &graph->rng));
  LAMINA_TRY(expand_layers(net, executor));
  executor->output = graph->x;
  graph->values[graph->x].kept = executor->mode == LAMINA_MODE_INFER;
  if (executor->mode != LAMINA_MODE_INFER) LAMINA_TRY(widen_scores(graph));
  if (executor->mode != LAMINA_MODE_INFER) LAMINA_TRY(add_loss(net, executor));
  if (executor->mode != LAMINA_MODE_INFER) LAMINA_TRY(add_hits(executor));
  executor->update = graph->node_count;
  lamina_status status = lamina_graph_fuse_pools(graph, device);
  if (!status && training) status = lamina_executor_add_training(net, executor, apart);
  if (!status) status = lamina_graph_arrange(graph, device);
  if (!status && executor->early) status = lamina_executor_update_early(net, executor);
  if (!status) status = lamina_graph_place(graph, device);
  if (status && graph->layer >= 0) return lamina_error_at(status, "%s: ", net->layers[graph->layer].name);
  return status;
}

void lamina_executor_close(lamina_net *net, lamina_executor *executor) {
  lamina_parts_close(net, executor->parts);
  if (net->settler == executor) net->settler = NULL;
  lamina_graph_close(&executor->graph);
  lamina_free(net->allocator, executor->layer_output);
  lamina_free(net->allocator, executor);
}

/* Does the executor that is planned next choose the parameters' layouts? The first one does, and the first that trains. */
static bool chooses(const lamina_net *net, lamina_mode mode) {
  for (const lamina_executor *e = net->executors; e; e = e->next)
    if (e->held) return false;
  return net->settled == LAMINA_SETTLED_NONE ||
         (net->settled == LAMINA_SETTLED_EARLIER && mode >= LAMINA_MODE_GRADIENTS);
}

/* Its choice counts from now on: graphs that were planned with another one are forgotten. */
static void settle(lamina_net *net, const lamina_executor *executor) {
  const lamina_graph *graph = &executor->graph;
  bool changed = false;
  for (int v = 0; v < graph->value_count; v++) {
    const lamina_value *value = &graph->values[v];
    if (value->parameter < 0) continue;
    lamina_desc *settled = &net->params.list[value->parameter].settled;
    changed |= memcmp(settled, &value->desc, sizeof *settled) != 0;
    *settled = value->desc;
  }
  if (changed) lamina_net_forget(net);
  net->settled = executor->mode >= LAMINA_MODE_GRADIENTS ? LAMINA_SETTLED_TRAINING : LAMINA_SETTLED_EARLIER;
  net->settler = executor;
}

void lamina_net_unsettle(lamina_net *net) {
  for (lamina_executor **at = &net->executors; *at;) {
    lamina_executor *executor = *at;
    if (executor->mode < LAMINA_MODE_GRADIENTS || executor == net->settler) {
      at = &executor->next;
      continue;
    }
    *at = executor->next;
    lamina_executor_close(net, executor);
  }
  if (net->settled) net->settled = LAMINA_SETTLED_EARLIER;
}

lamina_status lamina_executor_open(lamina_net *net, lamina_device *device, lamina_mode mode, int64_t batch,
                                   const lamina_criterion *loss, int64_t k, bool apart, lamina_executor **out) {
  lamina_executor *executor = lamina_alloc_zero(net->allocator, sizeof *executor);
  if (!executor) return LAMINA_OUT_OF_MEMORY;
  executor->mode = mode;
  executor->k = k;
  if (mode == LAMINA_MODE_TRAIN) executor->applied = net->update;
  executor->criterion = *loss;
  executor->labels = executor->loss = executor->sum = executor->norm = LAMINA_ABSENT;
  executor->hits[0] = executor->hits[1] = LAMINA_ABSENT;
  executor->graph = (lamina_graph){.allocator = net->allocator,
                                   .dtype = net->shape.dtype,
                                   .math = net->options.math,
                                   .batch = batch,
                                   .training = mode >= LAMINA_MODE_GRADIENTS,
                                   .settled = device != net->device || !chooses(net, mode),
                                   .params = &net->params,
                                   .rng = LAMINA_ABSENT};
  executor->layer_output = lamina_alloc(net->allocator, (size_t)net->layer_count * sizeof(int));
  const lamina_status status = executor->layer_output ? build(net, device, executor, apart) : LAMINA_OUT_OF_MEMORY;
  if (status)
    lamina_executor_close(net, executor);
  else
    *out = executor;
  return status;
}

static bool same_update(const lamina_update *a, const lamina_update *b) {
  return strcmp(a->op, b->op) == 0 && memcmp(a->attr, b->attr, sizeof a->attr) == 0 && !(a->decay != b->decay) &&
         !(a->clip_norm != b->clip_norm) && !(a->clip_value != b->clip_value) && a->moments == b->moments &&
         a->keeps == b->keeps;
}

static bool same_criterion(const lamina_criterion *a, const lamina_criterion *b) {
  return strcmp(a->family, b->family) == 0 && memcmp(a->attr, b->attr, sizeof a->attr) == 0;
}

/* Takes the executor that was asked for longest ago out of the list when it is long, so that a program that asks for
 * ever new batches doesn't fill the memory. */
static void forget_oldest(lamina_net *net) {
  enum { MOST = 8 };
  lamina_executor **oldest = NULL;
  int count = 0;
  for (lamina_executor **at = &net->executors; *at; at = &(*at)->next, count++)
    if (!(*at)->held) oldest = at;
  if (count < MOST || !oldest) return;
  lamina_executor *executor = *oldest;
  *oldest = executor->next;
  lamina_executor_close(net, executor);
}

/* Cuts its batch into parts, where that is faster: then all gradients are there before any update. */
static lamina_status divide(lamina_net *net, lamina_executor **executor) {
  lamina_executor *whole = *executor, *late;
  LAMINA_TRY(lamina_parts_open(net, whole, &whole->parts));
  if (!whole->parts || !whole->early) return LAMINA_OK;
  const bool settler = net->settler == whole;
  LAMINA_TRY(lamina_executor_open(net, net->device, whole->mode, whole->graph.batch, &whole->criterion, whole->k, true,
                                  &late));
  late->parts = whole->parts;
  whole->parts = NULL;
  lamina_executor_close(net, whole);
  if (settler) net->settler = late;
  *executor = late;
  return LAMINA_OK;
}

lamina_status lamina_net_executor(lamina_net *net, lamina_mode mode, int64_t batch, const lamina_criterion *loss,
                                  int64_t k, lamina_executor **out) {
  static const lamina_criterion none;
  if (!loss || mode == LAMINA_MODE_INFER) loss = &none;
  for (lamina_executor **at = &net->executors; *at; at = &(*at)->next) {
    lamina_executor *e = *at;
    if (e->mode != mode || e->graph.batch != batch || e->k != k || !same_criterion(&e->criterion, loss) ||
        (mode == LAMINA_MODE_TRAIN && !same_update(&e->applied, &net->update)))
      continue;
    *at = e->next;
    e->next = net->executors;
    net->executors = *out = e;
    return LAMINA_OK;
  }
  if (batch < 1) return lamina_error(LAMINA_INVALID, "a batch of %lld examples; expected at least 1", (long long)batch);
  if (!net->layer_count) return lamina_error(LAMINA_INVALID, "the net has no layers");
  forget_oldest(net);
  LAMINA_TRY(lamina_executor_open(net, net->device, mode, batch, loss, k, false, out));
  if (!(*out)->graph.settled) settle(net, *out);
  const lamina_status status = divide(net, out);
  if (status) {
    lamina_executor_close(net, *out);
    return status;
  }
  (*out)->next = net->executors;
  net->executors = *out;
  return LAMINA_OK;
}

void lamina_net_forget(lamina_net *net) {
  while (net->executors) {
    lamina_executor *next = net->executors->next;
    lamina_executor_close(net, net->executors);
    net->executors = next;
  }
}

/* ---- Memory ----------------------------------------------------------------------------------------------------- */

/* Bytes of the gradients' block that an executor wants. */
static size_t gradients_size(const lamina_net *net, const lamina_executor *e) {
  return e->early ? 0 : lamina_block_size(net, LAMINA_BUFFER_GRADIENTS);
}

void lamina_executor_need(const lamina_net *net, const lamina_executor *e, lamina_memory_need *need) {
  *need =
      (lamina_memory_need){.parameters = net->params.bytes + net->params.state_bytes, .activations = e->graph.arena};
  for (int n = 0; n < e->graph.node_count; n++) {
    const size_t workspace = e->graph.nodes[n].plan ? lamina_plan_workspace(e->graph.nodes[n].plan) : 0;
    if (workspace > need->workspace) need->workspace = workspace;
  }
  const int widest = lamina_graph_widest(&e->graph);
  need->widest = widest < 0 || e->graph.nodes[widest].layer < 0 ? "the loss and the update"
                                                                : net->layers[e->graph.nodes[widest].layer].name;
  const bool training = e->mode >= LAMINA_MODE_GRADIENTS;
  if (!lamina_net_on_host(net)) {
    need->input = (size_t)lamina_desc_bytes(&e->graph.values[0].desc);
    if (e->labels >= 0) need->input += (size_t)lamina_desc_bytes(&e->graph.values[e->labels].desc);
    if (training) need->input += sizeof(lamina_step_block);
    if (e->mode != LAMINA_MODE_INFER) need->input *= LAMINA_SLOTS;
  }
  if (e->mode != LAMINA_MODE_INFER) need->other = LAMINA_RESULT_BYTES;
  if (training) {
    need->gradients = gradients_size(net, e);
    need->optimizer = (size_t)e->applied.moments * lamina_block_size(net, LAMINA_BUFFER_MOMENT1);
    if (e->mode == LAMINA_MODE_TRAIN && lamina_is_narrow(e->graph.dtype))
      need->optimizer += lamina_block_size(net, LAMINA_BUFFER_MASTERS);
    need->other += sizeof(lamina_step_block) + (e->mode == LAMINA_MODE_TRAIN ? lamina_constants_size(net) : 0);
  }
  need->other += net->size[LAMINA_BUFFER_CLASS_WEIGHTS] + lamina_parts_size(e->parts);
  need->device = need->parameters + need->gradients + need->optimizer + need->activations + need->input + need->other;
  need->total = need->device;
}

static void drop(lamina_net *net, lamina_buffer buffer) {
  lamina_memory_free(net->device, net->block[buffer], net->size[buffer]);
  net->block[buffer] = NULL, net->size[buffer] = 0;
}

/* Makes a block at least this large; its content is lost when it grows. Steps in flight may still use the old one. */
static lamina_status take(lamina_net *net, lamina_buffer buffer, size_t size, bool zero) {
  if (net->size[buffer] >= size) return LAMINA_OK;
  if (net->block[buffer]) LAMINA_TRY(lamina_stream_sync(net->device, NULL));
  drop(net, buffer);
  LAMINA_TRY(lamina_memory_alloc(net->device, size, &net->block[buffer]));
  net->size[buffer] = size;
  if (!zero) return LAMINA_OK;
  lamina_tensor all = lamina_vector(LAMINA_U8, (int64_t)size, net->block[buffer]);
  all.memory = net->device->module.memory;
  const lamina_status status = lamina_op_run(net->device, "fill/forward", NULL, (const lamina_tensor *[]){&all}, NULL);
  if (status) drop(net, buffer); /* so that the next try fills it */
  return status;
}

static lamina_status take_all(lamina_net *net, const lamina_executor *executor) {
  if (!net->set && net->params.count)
    return lamina_error(LAMINA_INVALID, "the net's parameters are not set; lamina_net_init does that");
  LAMINA_TRY(take(net, LAMINA_BUFFER_ARENA, executor->graph.arena, false));
  LAMINA_TRY(lamina_net_hold(net));
  LAMINA_TRY(lamina_parts_take(net, executor->parts));
  if (executor->mode != LAMINA_MODE_INFER) LAMINA_TRY(take(net, LAMINA_BUFFER_RESULT, LAMINA_RESULT_BYTES, true));
  if (executor->mode < LAMINA_MODE_GRADIENTS) return LAMINA_OK;
  LAMINA_TRY(take(net, LAMINA_BUFFER_STEP, sizeof(lamina_step_block), false));
  LAMINA_TRY(take(net, LAMINA_BUFFER_GRADIENTS, gradients_size(net, executor), true)); /* zeros: the gaps */
  const size_t moment = lamina_block_size(net, LAMINA_BUFFER_MOMENT1);
  if (executor->applied.moments > 0) LAMINA_TRY(take(net, LAMINA_BUFFER_MOMENT1, moment, true));
  if (executor->applied.moments > 1) LAMINA_TRY(take(net, LAMINA_BUFFER_MOMENT2, moment, true));
  if (!net->params.trained || executor->mode != LAMINA_MODE_TRAIN) return LAMINA_OK;
  LAMINA_TRY(take(net, LAMINA_BUFFER_CONSTANTS, lamina_constants_size(net), false));
  return lamina_constants_write(net);
}

lamina_status lamina_net_take(lamina_net *net, const lamina_executor *executor) {
  lamina_memory_need need;
  const lamina_status status = take_all(net, executor);
  if (status != LAMINA_OUT_OF_MEMORY) return status;
  lamina_executor_need(net, executor, &need);
  return lamina_error_at(
      status, "a batch of %lld, of which most at a time is for %s: ", (long long)executor->graph.batch, need.widest);
}

typedef struct wish {
  lamina_net *net;
  lamina_mode mode;
  const lamina_criterion *loss;
  int64_t k;
} wish;

static lamina_status wished_need(void *user, int64_t batch, lamina_memory_need *need) {
  const wish *w = user;
  lamina_executor *executor;
  LAMINA_TRY(lamina_net_executor(w->net, w->mode, batch, w->loss, w->k, &executor));
  lamina_executor_need(w->net, executor, need);
  return LAMINA_OK;
}

lamina_status lamina_net_ready(lamina_net *net, lamina_mode mode, int64_t batch, const lamina_criterion *loss,
                               int64_t k, lamina_executor **out) {
  wish w = {net, mode, loss, k};
  LAMINA_TRY(lamina_net_executor(net, mode, batch, loss, k, out));
  if ((*out)->graph.arena > net->size[LAMINA_BUFFER_ARENA]) {
    LAMINA_TRY(lamina_net_check_memory(net, batch, wished_need, &w));
    LAMINA_TRY(lamina_net_executor(net, mode, batch, loss, k, out));
  }
  return lamina_net_take(net, *out);
}

/* ---- Batches and running ---------------------------------------------------------------------------------------- */

lamina_status lamina_feed_open(lamina_net *net, const lamina_executor *executor, lamina_feed *feed) {
  *feed = (lamina_feed){0};
  if (lamina_net_on_host(net)) return LAMINA_OK;
  const lamina_graph *graph = &executor->graph;
  feed->x_size = (size_t)lamina_desc_bytes(&graph->values[0].desc);
  for (int v = 0; v < graph->value_count; v++)
    if (graph->values[v].buffer == LAMINA_BUFFER_LABELS)
      feed->labels_size = (size_t)lamina_desc_bytes(&graph->values[v].desc);
  LAMINA_TRY(lamina_memory_alloc(net->device, feed->x_size, &feed->own_x));
  return lamina_memory_alloc(net->device, feed->labels_size, &feed->own_labels);
}

typedef lamina_status copy_fn(lamina_device *device, void *to, const void *from, size_t size, lamina_stream *stream);

static lamina_status feed_by(copy_fn *copy, lamina_net *net, lamina_feed *feed, const void *x, const int32_t *labels,
                             lamina_stream *stream) {
  feed->x = feed->own_x ? feed->own_x : x;
  feed->labels = feed->own_labels ? feed->own_labels : labels;
  if (feed->own_x) LAMINA_TRY(copy(net->device, feed->own_x, x, feed->x_size, stream));
  return feed->own_labels ? copy(net->device, feed->own_labels, labels, feed->labels_size, stream) : LAMINA_OK;
}

lamina_status lamina_feed_put(lamina_net *net, lamina_feed *feed, const void *x, const int32_t *labels,
                              lamina_stream *stream) {
  return feed_by(lamina_copy, net, feed, x, labels, stream);
}

lamina_status lamina_feed_queue(lamina_net *net, lamina_feed *feed, const void *x, const int32_t *labels,
                                lamina_stream *stream) {
  return feed_by(lamina_copy_async, net, feed, x, labels, stream);
}

void lamina_feed_close(lamina_net *net, lamina_feed *feed) {
  lamina_memory_free(net->device, feed->own_x, feed->x_size);
  lamina_memory_free(net->device, feed->own_labels, feed->labels_size);
}

lamina_status lamina_net_write_step(const lamina_net *net, const lamina_step_block *block) {
  return lamina_copy(net->device, net->block[LAMINA_BUFFER_STEP], block, sizeof *block, NULL);
}

void *lamina_executor_at(const lamina_net *net, const lamina_executor *executor, int value, const lamina_feed *feed) {
  const lamina_value *v = &executor->graph.values[value];
  const char *base = v->buffer == LAMINA_BUFFER_INPUT                ? feed->x
                     : v->buffer == LAMINA_BUFFER_LABELS             ? feed->labels
                     : v->buffer == LAMINA_BUFFER_STEP && feed->step ? feed->step
                                                                     : net->block[v->buffer];
  return (void *)(uintptr_t)(base + v->offset);
}

lamina_status lamina_executor_read(const lamina_net *net, const lamina_executor *executor, int value,
                                   const lamina_feed *feed, void *to) {
  const size_t bytes = (size_t)lamina_desc_bytes(&executor->graph.values[value].desc);
  return lamina_copy(net->device, to, lamina_executor_at(net, executor, value, feed), bytes, NULL);
}

lamina_status lamina_executor_run(const lamina_net *net, const lamina_executor *executor, int first, int last,
                                  const lamina_feed *feed) {
  int reached;
  return lamina_executor_run_to(net, executor, first, last, feed, &reached);
}

lamina_status lamina_executor_step(const lamina_net *net, const lamina_executor *executor, const lamina_feed *feed,
                                   int *reached) {
  const int last = executor->graph.node_count;
  const bool whole = !executor->parts || net->trace; /* who wants to be told of each op, sees them run one by one */
  *reached = 0;
  if (!whole) LAMINA_TRY(lamina_parts_run(net, executor->parts, feed));
  return lamina_executor_run_to(net, executor, whole ? 0 : executor->update, last, feed, reached);
}

lamina_status lamina_executor_run_to(const lamina_net *net, const lamina_executor *executor, int first, int last,
                                     const lamina_feed *feed, int *reached) {
  *reached = first;
  if (net->trace) LAMINA_TRY(lamina_trace_begin(net, last - first));
  for (int n = first; n < last; n++) {
    const lamina_node_op *node = &executor->graph.nodes[n];
    lamina_args args = {{NULL}};
    if (node->op < 0) continue;
    *reached = n;
    for (int i = 0; i < LAMINA_MAX_ARGS; i++)
      if (node->arg[i] >= 0) args.p[i] = lamina_executor_at(net, executor, node->arg[i], feed);
    const lamina_status status =
        lamina_plan_run(node->plan, &args, (char *)net->block[LAMINA_BUFFER_ARENA] + node->workspace_offset, NULL);
    if (status)
      return lamina_error_at(status, "%s: ", node->layer >= 0 ? net->layers[node->layer].name : "loss or update");
    if (net->trace) LAMINA_TRY(lamina_trace_mark(net, n));
  }
  return net->trace ? lamina_trace_end(net, executor) : LAMINA_OK;
}
