/* What a training step does to the net: the gate, clipping, updates and next states, behind the forward pass and the loss.
 *
 *   at the end   … loss ─ backward of all layers ─ sum, the gate ─ clipping ─ one update of all parameters
 *   early        … loss ─ sum, the gate ─ backward of a layer ─ update of its parameters ─ backward of the layer before …
 *
 * At the end gradients lie in a block as large as the parameters, and the update is one op. Early, each gradient lives in
 * the arena from the op that makes it to its parameter's own update, which comes when all have run that still read the
 * parameter's old value, as the gradient of the layer's input does. Of a large one a few rows are made and used at a time,
 * so that it never exists whole.
 *
 * Early is for the built-in CPU with engines of its own. A step that fails in the middle has updated some parameters then
 * and others not, and parameters must be those before a step or after it. On the CPU an op that was planned fails by
 * pointers that don't fit its plan, and those of a net's are checked when it is planned, and where oneDNN can't have the
 * few hundred bytes of its handles; after such a failure the trainer refuses to go on (slot.c). What kernels on another
 * device fail by, or a plug-in's engines, is not ours to know. (There one update is also one launch, not one for each
 * parameter.) */
#include "core/blocks.h"
#include "core/device.h"
#include "core/problem.h"
#include "lamina/arithmetic.h"
#include "lamina/clip.h"
#include "net/net.h"

/* ---- Constants: where segments end, and each one's weight decay ------------------------------------------------- */

static size_t decays_at(const lamina_net *net) {
  return lamina_align_up((size_t)net->params.trained * sizeof(int64_t), 64);
}

size_t lamina_constants_size(const lamina_net *net) {
  return net->params.trained ? decays_at(net) + (size_t)net->params.trained * sizeof(float) : 0;
}

lamina_status lamina_constants_write(const lamina_net *net) {
  char *host = lamina_alloc_zero(net->allocator, lamina_constants_size(net));
  if (!host) return LAMINA_OUT_OF_MEMORY;
  int64_t *ends = (int64_t *)(void *)host;
  float *decays = (float *)(void *)(host + decays_at(net));
  size_t end = net->params.bytes; /* a segment reaches to the next parameter's start */
  for (int i = net->params.count - 1, at = net->params.trained - 1; i >= 0; i--) {
    const lamina_param *p = &net->params.list[i];
    if (p->state) continue;
    ends[at] = (int64_t)(end / lamina_element(net));
    decays[at--] = p->decay ? (float)net->update.decay : 0;
    end = p->offset;
  }
  const lamina_status status =
      lamina_copy(net->device, net->block[LAMINA_BUFFER_CONSTANTS], host, lamina_constants_size(net), NULL);
  lamina_free(net->allocator, host);
  return status;
}

/* Where the weight decay of parameter `index` lies. */
static size_t decay_of(const lamina_net *net, int index) {
  size_t at = decays_at(net);
  for (int i = 0; i < index; i++) at += net->params.list[i].state ? 0 : sizeof(float);
  return at;
}

/* ---- Updates ---------------------------------------------------------------------------------------------------- */

/* A piece of the parameters' block that is updated at once, and its gradient. */
typedef struct target {
  lamina_desc desc;    /* of w and the moments */
  size_t offset;       /* in the parameters' block, bytes */
  int w, g;            /* values */
  int segments, decay; /* values, or LAMINA_ABSENT */
  int shadow;          /* w as ops read it, where they read another one; or LAMINA_ABSENT */
} target;

static lamina_status emit_update(const lamina_net *net, lamina_executor *executor, const target *t) {
  lamina_graph *graph = &executor->graph;
  const lamina_update *update = &executor->applied;
  const lamina_op_def *op = lamina_op_at(lamina_op_find(update->op));
  const int rate = lamina_op_arg(op, "rate"), step = lamina_op_arg(op, "step"), m = lamina_op_arg(op, "m"),
            v = lamina_op_arg(op, "v");
  const struct {
    const char *name;
    int value;
  } given[] = {{"w", t->w},         {"g", t->g},           {"segments", t->segments},
               {"decay", t->decay}, {"shadow", t->shadow}, {"gate", executor->sum}};
  const size_t offset = lamina_block_offset(net, LAMINA_BUFFER_MOMENT1, t->offset);
  int arg[LAMINA_MAX_ARGS];
  for (int i = 0; i < LAMINA_MAX_ARGS; i++) arg[i] = LAMINA_ABSENT;
  for (size_t i = 0; i < LAMINA_COUNT_OF(given); i++) {
    const int at = lamina_op_arg(op, given[i].name);
    if (at >= 0) arg[at] = given[i].value;
  }
  if (m >= 0 && update->moments > 0)
    LAMINA_TRY(lamina_graph_value(graph, "m", &t->desc, LAMINA_BUFFER_MOMENT1, offset, &arg[m]));
  if (v >= 0 && update->moments > 1)
    LAMINA_TRY(lamina_graph_value(graph, "v", &t->desc, LAMINA_BUFFER_MOMENT2, offset, &arg[v]));
  if (rate >= 0)
    LAMINA_TRY(lamina_step_value(graph, "rate", LAMINA_F32, 1, offsetof(lamina_step_block, rate), &arg[rate]));
  if (step >= 0)
    LAMINA_TRY(lamina_step_value(graph, "step", LAMINA_I64, 1, offsetof(lamina_step_block, step), &arg[step]));
  return lamina_graph_emit(graph, update->op, update->attr, arg);
}

/* In a narrow net the master of w is updated, and w is its shadow. */
static lamina_status take_master(const lamina_net *net, lamina_graph *graph, target *t) {
  if (!lamina_is_narrow(graph->dtype)) return LAMINA_OK;
  const size_t offset = lamina_block_offset(net, LAMINA_BUFFER_MASTERS, t->offset);
  t->shadow = t->w;
  return lamina_graph_value(graph, "master", &t->desc, LAMINA_BUFFER_MASTERS, offset, &t->w);
}

/* One op over all parameters at once: their block, seen as one vector. */
static lamina_status update_all(const lamina_net *net, lamina_executor *executor) {
  lamina_graph *graph = &executor->graph;
  const int64_t numbers = (int64_t)(net->params.bytes / lamina_element(net)), segments = net->params.trained;
  const lamina_desc ends = lamina_dense(LAMINA_I64, 1, &segments), decays = lamina_dense(LAMINA_F32, 1, &segments);
  const lamina_desc read = lamina_dense(graph->dtype, 1, &numbers);
  target all = {.desc = lamina_dense(lamina_wide(graph->dtype), 1, &numbers),
                .segments = LAMINA_ABSENT,
                .decay = LAMINA_ABSENT,
                .shadow = LAMINA_ABSENT};
  LAMINA_TRY(lamina_graph_value(graph, "w", &read, LAMINA_BUFFER_PARAMETERS, 0, &all.w));
  LAMINA_TRY(lamina_graph_value(graph, "g", &read, LAMINA_BUFFER_GRADIENTS, 0, &all.g));
  LAMINA_TRY(take_master(net, graph, &all));
  if (executor->applied.decay != 0) {
    LAMINA_TRY(lamina_graph_value(graph, "segments", &ends, LAMINA_BUFFER_CONSTANTS, 0, &all.segments));
    LAMINA_TRY(lamina_graph_value(graph, "decay", &decays, LAMINA_BUFFER_CONSTANTS, decays_at(net), &all.decay));
  }
  graph->layer = LAMINA_OF_UPDATE;
  graph->layer_name = "update";
  return emit_update(net, executor, &all);
}

/* ---- Early updates ---------------------------------------------------------------------------------------------- */

static bool is_early(const lamina_net *net, const lamina_update *update) {
  return lamina_net_on_own_engines(net) && !update->keeps && !(update->clip_norm > 0) && !(update->clip_value > 0);
}

/* The last node that touches the memory of either value; -1: none does. */
static int last_touch(const lamina_graph *graph, int a, int b) {
  for (int n = graph->node_count - 1; n >= 0; n--)
    for (int i = 0; graph->nodes[n].op >= 0 && i < LAMINA_MAX_ARGS; i++) {
      const int arg = graph->nodes[n].arg[i], root = arg >= 0 ? graph->values[arg].root : -1;
      if (root >= 0 && (root == graph->values[a].root || root == graph->values[b].root)) return n;
    }
  return -1;
}

/* The last node of the list comes to place `to`. */
static void move_last(lamina_graph *graph, int to) {
  const lamina_node_op node = graph->nodes[graph->node_count - 1];
  memmove(&graph->nodes[to + 1], &graph->nodes[to], (size_t)(graph->node_count - 1 - to) * sizeof node);
  graph->nodes[to] = node;
}

/* A value with another description, in the memory of `value` from byte `from` on. */
static lamina_status view_of(lamina_graph *graph, int value, const lamina_desc *desc, size_t from, int *view) {
  const lamina_value of = graph->values[value];
  LAMINA_TRY(lamina_graph_value(graph, of.name, desc, of.buffer, of.offset + from, view));
  graph->values[*view].root = of.root;
  graph->values[*view].within = of.within + from;
  return LAMINA_OK;
}

/* Rows first … first + rows - 1 of a parameter; all of them where it has no rows that lie one behind the other. */
typedef struct piece {
  int64_t first, rows;
  lamina_desc desc; /* of the gradient's piece */
  size_t offset;    /* of the parameter's, in its block */
} piece;

/* Updates a piece of the parameter that is value `w` from the value g, behind node `after`. Whatever the layout, memory is
 * taken as a vector: an update goes element by element, and a parameter, its gradient and its moments lie alike. */
static lamina_status update_piece(const lamina_net *net, lamina_executor *executor, int w, int g, const piece *p,
                                  int after) {
  lamina_graph *graph = &executor->graph;
  const int number = graph->values[w].parameter;
  const lamina_param *param = &net->params.list[number];
  const int64_t count = lamina_desc_count(&p->desc), one = 1;
  const lamina_desc single = lamina_dense(LAMINA_F32, 1, &one);
  lamina_desc read = lamina_dense(graph->dtype, 1, &count);
  target t = {.desc = lamina_dense(lamina_wide(graph->dtype), 1, &count), .offset = p->offset};
  read.align = t.desc.align = param->desc.align;
  t.segments = t.decay = t.shadow = LAMINA_ABSENT;
  if (executor->applied.decay != 0 && param->decay)
    LAMINA_TRY(lamina_graph_value(graph, "decay", &single, LAMINA_BUFFER_CONSTANTS, decay_of(net, number), &t.decay));
  LAMINA_TRY(view_of(graph, w, &read, p->offset - param->offset, &t.w));
  LAMINA_TRY(view_of(graph, g, &read, 0, &t.g));
  LAMINA_TRY(take_master(net, graph, &t));
  graph->layer = LAMINA_OF_UPDATE;
  graph->layer_name = param->name;
  LAMINA_TRY(emit_update(net, executor, &t));
  move_last(graph, after + 1);
  return LAMINA_OK;
}

/* ---- Gradients in slices ---------------------------------------------------------------------------------------- */

/* A gradient of more bytes is made and used slice by slice: small enough for the last cache, large enough for whoever
 * computes it. (fc6 of AlexNet, 151 MB: in eight slices it takes some 0.8 of the time that it takes as a whole.) */
static const size_t slice_most = (size_t)16 << 20;

/* Rows are cut at multiples of what layouts have in a block, so that pieces start at multiples of 64 bytes. */
enum { ROWS = 64 };

/* The one node that makes the value, where it is a product of which rows can be had; -1: it isn't. */
static int sliceable(const lamina_graph *graph, int g) {
  const lamina_desc *desc = &graph->values[g].desc;
  int maker = -1, touches = 0;
  for (int n = 0; n < graph->node_count; n++)
    for (int i = 0; graph->nodes[n].op >= 0 && i < LAMINA_MAX_ARGS; i++)
      if (graph->nodes[n].arg[i] >= 0 && graph->values[graph->nodes[n].arg[i]].root == graph->values[g].root)
        maker = n, touches++;
  if (touches != 1 || (size_t)lamina_desc_bytes(desc) <= slice_most || desc->dims[0] <= ROWS) return -1;
  if (strcmp(lamina_op_at(graph->nodes[maker].op)->name, "fc/backward_weights") != 0) return -1;
  const int64_t blocks = desc->dims[0] / lamina_block_of(desc->layout, 0);
  const lamina_desc *dy = &graph->values[graph->nodes[maker].arg[1]].desc;
  const bool cut = ROWS % lamina_block_of(desc->layout, 0) == 0 && ROWS % lamina_block_of(dy->layout, 1) == 0;
  return cut && desc->strides[0] * blocks == lamina_desc_count(desc) ? maker : -1; /* rows are outermost */
}

/* Columns first … of dy as a view. */
static lamina_status columns_of(lamina_graph *graph, int dy, const piece *p, int *view) {
  lamina_desc desc = graph->values[dy].desc;
  const int64_t before = p->first / lamina_block_of(desc.layout, 1) * desc.strides[1];
  const size_t bytes = (size_t)before * lamina_dtype_size((lamina_dtype)desc.dtype);
  desc.dims[1] = p->rows;
  while (bytes % (size_t)desc.align) desc.align /= 2;
  return view_of(graph, dy, &desc, bytes, view);
}

/* The product for the piece's rows at place `at`, and the update behind it. */
static lamina_status make_slice(const lamina_net *net, lamina_executor *executor, int w, const lamina_node_op *maker,
                                const piece *p, int at) {
  lamina_graph *graph = &executor->graph;
  int arg[LAMINA_MAX_ARGS] = {maker->arg[0]};
  LAMINA_TRY(columns_of(graph, maker->arg[1], p, &arg[1]));
  const lamina_value whole = graph->values[maker->arg[2]]; /* a copy: the list grows */
  LAMINA_TRY(lamina_graph_value(graph, whole.name, &p->desc, LAMINA_BUFFER_ARENA, 0, &arg[2]));
  graph->layer = maker->layer; /* who an error is about */
  LAMINA_TRY(lamina_graph_emit(graph, "fc/backward_weights", maker->attr, arg));
  move_last(graph, at);
  return update_piece(net, executor, w, arg[2], p, at);
}

/* Takes the node that makes the gradient out, and puts slices of it behind the last one that reads the parameter. */
static lamina_status update_sliced(const lamina_net *net, lamina_executor *executor, int w, int maker) {
  lamina_graph *graph = &executor->graph;
  const lamina_node_op whole = graph->nodes[maker];
  const lamina_param *param = &net->params.list[graph->values[w].parameter];
  const lamina_desc all = graph->values[whole.arg[2]].desc;
  const int64_t O = all.dims[0], bytes = lamina_desc_bytes(&all);
  const int64_t slices = (bytes + (int64_t)slice_most - 1) / (int64_t)slice_most;
  const int64_t rows = (int64_t)lamina_align_up((size_t)((O + slices - 1) / slices), ROWS);
  memmove(&graph->nodes[maker], &graph->nodes[maker + 1],
          (size_t)(graph->node_count - maker - 1) * sizeof *graph->nodes);
  graph->node_count--;
  int at = last_touch(graph, w, w) + 1;
  if (at < maker) at = maker;
  for (int64_t first = 0; first < O; first += rows, at += 2) {
    piece p = {.first = first, .rows = O - first < rows ? O - first : rows, .desc = all};
    p.offset = param->offset + (size_t)(bytes / O * first);
    p.desc.dims[0] = p.rows;
    LAMINA_TRY(make_slice(net, executor, w, &whole, &p, at));
  }
  return LAMINA_OK;
}

/* Updates the parameter that is value `w` behind the last node that reads it or makes its gradient. */
static lamina_status update_one(const lamina_net *net, lamina_executor *executor, int w) {
  lamina_graph *graph = &executor->graph;
  const int g = graph->values[w].gradient;
  const lamina_param *param = &net->params.list[graph->values[w].parameter];
  if (g < 0) return lamina_error(LAMINA_INTERNAL, "%s has no gradient", param->name);
  for (int v = 0; v < graph->value_count; v++)
    if (graph->values[v].root == graph->values[g].root) graph->values[v].buffer = LAMINA_BUFFER_ARENA;
  const int after = last_touch(graph, w, g), maker = sliceable(graph, g);
  if (maker >= 0) return update_sliced(net, executor, w, maker);
  const piece all = {.desc = graph->values[g].desc, .offset = param->offset};
  return update_piece(net, executor, w, g, &all, after);
}

lamina_status lamina_executor_update_early(const lamina_net *net, lamina_executor *executor) {
  for (int v = 0, count = executor->graph.value_count; v < count; v++)
    if (executor->graph.values[v].parameter >= 0) LAMINA_TRY(update_one(net, executor, v));
  executor->graph.layer = LAMINA_OF_UPDATE;
  return LAMINA_OK;
}

/* ---- The gate and clipping -------------------------------------------------------------------------------------- */

/* An op whose y is its first argument, in place. */
static lamina_status emit_in_place(lamina_graph *graph, const char *name, const void *attr, int *arg) {
  const int y = lamina_op_arg(lamina_op_at(lamina_op_find(name)), "y");
  arg[y] = arg[0];
  LAMINA_TRY(lamina_graph_emit(graph, name, attr, arg));
  graph->nodes[graph->node_count - 1].aliased |= 1u << y;
  return LAMINA_OK;
}

static lamina_status add_to_sum(lamina_executor *executor, int value) {
  return emit_in_place(&executor->graph, "add/forward", NULL, (int[]){executor->sum, value, LAMINA_ABSENT});
}

/* From here on the step changes the net. */
static lamina_status add_sum(lamina_executor *executor) {
  lamina_graph *graph = &executor->graph;
  executor->update = graph->node_count;
  graph->layer = LAMINA_OF_UPDATE;
  graph->layer_name = "update";
  LAMINA_TRY(lamina_result_value(graph, "loss_sum", lamina_wide(graph->dtype), LAMINA_RESULT_SUM, &executor->sum));
  return add_to_sum(executor, executor->loss);
}

/* Clips the block of all gradients, in place. A norm that isn't finite shuts the gate as a loss does: 0 times it is
 * added to the sum, which stays what it was where the norm is finite. */
static lamina_status add_clip(const lamina_net *net, lamina_executor *executor) {
  lamina_graph *graph = &executor->graph;
  const lamina_clip_norm by_norm = {executor->applied.clip_norm};
  const lamina_clip_value by_value = {executor->applied.clip_value};
  const lamina_scale nothing = {.has_factor = 1};
  const int64_t numbers = (int64_t)(net->params.bytes / lamina_element(net));
  const lamina_desc all = lamina_dense(graph->dtype, 1, &numbers);
  int g;
  LAMINA_TRY(lamina_graph_value(graph, "g", &all, LAMINA_BUFFER_GRADIENTS, 0, &g));
  if (by_value.max > 0) LAMINA_TRY(emit_in_place(graph, "clip_value/forward", &by_value, (int[]){g, LAMINA_ABSENT}));
  if (!(by_norm.max > 0)) return LAMINA_OK;
  LAMINA_TRY(lamina_result_value(graph, "grad_norm", lamina_wide(graph->dtype), LAMINA_RESULT_NORM, &executor->norm));
  LAMINA_TRY(lamina_graph_emit(graph, "norm2/forward", NULL, (int[]){g, executor->norm}));
  int zero[] = {executor->norm, LAMINA_FRESH};
  LAMINA_TRY(lamina_graph_emit(graph, "scale/forward", &nothing, zero));
  LAMINA_TRY(add_to_sum(executor, zero[1]));
  return emit_in_place(graph, "clip_norm/forward", &by_norm, (int[]){g, executor->norm, executor->sum, LAMINA_ABSENT});
}

/* States take their next values with the update, so that a step that fails before leaves them. */
static lamina_status add_states(lamina_executor *executor) {
  lamina_graph *graph = &executor->graph;
  for (int v = 0, count = graph->value_count; v < count; v++) {
    int arg[] = {graph->values[v].next, executor->sum, v};
    if (arg[0] >= 0) LAMINA_TRY(lamina_graph_emit(graph, "commit/forward", NULL, arg));
  }
  return LAMINA_OK;
}

/* ---- All of it --------------------------------------------------------------------------------------------------- */

static lamina_status add_at_end(const lamina_net *net, lamina_executor *executor) {
  const bool updates = net->params.trained && executor->applied.op[0];
  LAMINA_TRY(lamina_graph_backward(&executor->graph));
  LAMINA_TRY(add_sum(executor));
  if (updates) LAMINA_TRY(add_clip(net, executor));
  LAMINA_TRY(add_states(executor)); /* the gate is complete */
  return updates ? update_all(net, executor) : LAMINA_OK;
}

/* The loss is all that the gate waits for. Updates come when the graph is arranged. */
static lamina_status add_early(lamina_executor *executor) {
  LAMINA_TRY(add_sum(executor));
  LAMINA_TRY(lamina_graph_backward(&executor->graph));
  executor->graph.layer = LAMINA_OF_UPDATE;
  executor->graph.layer_name = "update";
  return add_states(executor);
}

lamina_status lamina_executor_add_training(const lamina_net *net, lamina_executor *executor, bool apart) {
  lamina_graph *graph = &executor->graph;
  int one;
  LAMINA_TRY(
      lamina_step_value(graph, "loss_gradient", LAMINA_F32, 1, offsetof(lamina_step_block, loss_gradient), &one));
  graph->values[executor->loss].gradient = one;
  if (executor->mode == LAMINA_MODE_GRADIENTS) {
    const lamina_status status = lamina_graph_backward(graph);
    executor->update = graph->node_count;
    return status;
  }
  executor->early = net->params.trained && executor->applied.op[0] && !apart && is_early(net, &executor->applied);
  return executor->early ? add_early(executor) : add_at_end(net, executor);
}
