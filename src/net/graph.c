/* Building a graph: values, views, parameters, nodes. */
#include "net/graph.h"

#include <stdio.h>

#include "core/problem.h"

void lamina_graph_close(lamina_graph *graph) {
  for (int n = 0; n < graph->node_count; n++) lamina_plan_close(graph->nodes[n].plan);
  lamina_free(graph->allocator, graph->values);
  lamina_free(graph->allocator, graph->nodes);
  graph->values = NULL, graph->nodes = NULL;
  graph->value_count = graph->value_room = graph->node_count = graph->node_room = 0;
}

lamina_graph_mark lamina_graph_here(const lamina_graph *graph) {
  return (lamina_graph_mark){graph->value_count, graph->node_count, graph->param_next, *graph->params};
}

void lamina_graph_back(lamina_graph *graph, lamina_graph_mark mark) {
  graph->value_count = mark.values;
  graph->node_count = mark.nodes;
  graph->params->count = mark.params.count, graph->params->trained = mark.params.trained;
  graph->params->bytes = mark.params.bytes, graph->params->state_bytes = mark.params.state_bytes;
  graph->param_next = mark.param_next;
}

/* Room for one more element in a list that doubles. */
static lamina_status grow(const lamina_allocator *allocator, void **list, int count, int *room, size_t size) {
  if (count < *room) return LAMINA_OK;
  const int wanted = *room ? 2 * *room : 32;
  void *grown = lamina_grow(allocator, *list, (size_t)wanted * size);
  if (!grown) return LAMINA_OUT_OF_MEMORY;
  *list = grown;
  *room = wanted;
  return LAMINA_OK;
}

lamina_status lamina_graph_value(lamina_graph *graph, const char *name, const lamina_desc *desc, lamina_buffer buffer,
                                 size_t offset, int *value) {
  void *list = graph->values;
  LAMINA_TRY(grow(graph->allocator, &list, graph->value_count, &graph->value_room, sizeof *graph->values));
  graph->values = list;
  *value = graph->value_count++;
  lamina_value *v = &graph->values[*value];
  *v = (lamina_value){.desc = *desc,
                      .buffer = buffer,
                      .offset = offset,
                      .root = *value,
                      .gradient = LAMINA_ABSENT,
                      .parameter = -1,
                      .next = LAMINA_ABSENT};
  snprintf(v->name, sizeof v->name, "%s", name);
  return LAMINA_OK;
}

static lamina_status append_node(lamina_graph *graph, const lamina_node_op *node) {
  void *list = graph->nodes;
  LAMINA_TRY(grow(graph->allocator, &list, graph->node_count, &graph->node_room, sizeof *graph->nodes));
  graph->nodes = list;
  graph->nodes[graph->node_count] = *node;
  graph->nodes[graph->node_count++].layer = graph->layer;
  return LAMINA_OK;
}

lamina_status lamina_graph_view(lamina_graph *graph, int value, int rank, const int64_t *dims, int *view) {
  const lamina_value from = graph->values[value];
  const lamina_desc desc = lamina_dense((lamina_dtype)from.desc.dtype, rank, dims);
  if (!lamina_desc_is_dense(&from.desc) || lamina_desc_count(&desc) != lamina_desc_count(&from.desc))
    return lamina_error(LAMINA_INTERNAL, "%s can't be seen with other dims", from.name);
  LAMINA_TRY(lamina_graph_value(graph, from.name, &desc, from.buffer, from.offset, view));
  graph->values[*view].root = from.root;
  graph->values[*view].varies = from.varies;
  return append_node(graph, &(lamina_node_op){.op = -1, .arg = {value, *view}});
}

/* Parameters start at multiples of 64 bytes, so that engines may take them as aligned. */
enum { ALIGN = 64 };

static lamina_status add_param(lamina_graph *graph, const lamina_param *param) {
  lamina_params *params = graph->params;
  void *list = params->list;
  LAMINA_TRY(grow(graph->allocator, &list, params->count, &params->room, sizeof *params->list));
  params->list = list;
  const int64_t bytes = lamina_desc_bytes(&param->plain), most = lamina_desc_bytes(&param->desc);
  size_t *block = param->state ? &params->state_bytes : &params->bytes;
  if (most < 0 || *block > (size_t)(INT64_MAX / 4) - (size_t)bytes) /* masters take twice as much */
    return lamina_error(LAMINA_INVALID, "the size of %s overflows", param->name);
  lamina_param *added = &params->list[params->count++];
  *added = *param;
  added->settled = added->held = param->plain;
  added->offset = *block;
  *block += lamina_align_up((size_t)bytes, ALIGN);
  params->trained += !param->state;
  return LAMINA_OK;
}

lamina_status lamina_graph_param(lamina_graph *graph, const lamina_layer *layer, int index, int rank,
                                 const int64_t *dims, double fan_in, double fan_out, int *value) {
  const lamina_param_def *def = &layer->def->params[index];
  const lamina_dtype wide = lamina_wide(graph->dtype);
  lamina_param param = {.desc = lamina_dense(wide, rank, dims),
                        .plain = lamina_dense(def->state ? wide : graph->dtype, rank, dims),
                        .layer = graph->layer,
                        .fan_in = fan_in,
                        .fan_out = fan_out,
                        .constant = def->constant,
                        .value = def->value,
                        .decay = def->decay,
                        .state = def->state};
  snprintf(param.name, sizeof param.name, "%s.%s", layer->name, def->name);
  param.desc.align = param.plain.align = ALIGN;
  if (graph->param_next == graph->params->count) LAMINA_TRY(add_param(graph, &param));
  const int number = graph->param_next++;
  const lamina_param *p = &graph->params->list[number];
  LAMINA_TRY(lamina_graph_value(graph, p->name, &p->plain, lamina_param_buffer(p), p->offset, value));
  graph->values[*value].varies = !p->state;
  graph->values[*value].parameter = p->state ? -1 : number;
  return LAMINA_OK;
}

void lamina_graph_next_state(lamina_graph *graph, int state, int next) { graph->values[state].next = next; }

/* ---- Nodes ------------------------------------------------------------------------------------------------------ */

lamina_status lamina_graph_problem(const lamina_graph *graph, const lamina_node_op *node, lamina_problem *problem) {
  const lamina_op_def *op = lamina_op_at(node->op);
  const lamina_desc *shape[LAMINA_MAX_ARGS] = {NULL}, fresh = lamina_infer(LAMINA_NONE);
  for (int i = 0; op->args[i].name; i++)
    shape[i] = node->arg[i] == LAMINA_FRESH ? &fresh : node->arg[i] >= 0 ? &graph->values[node->arg[i]].desc : NULL;
  LAMINA_TRY(lamina_problem_init(problem, node->op, node->attr, shape));
  problem->aliased = node->aliased;
  problem->math = (int32_t)graph->math;
  return lamina_problem_infer(problem);
}

lamina_status lamina_graph_emit(lamina_graph *graph, const char *op_name, const void *attr, int *arg) {
  lamina_node_op node = {.op = lamina_op_find(op_name)};
  const lamina_op_def *op = lamina_op_at(node.op);
  lamina_problem problem;
  bool varies = false;
  if (!op) return lamina_error(LAMINA_INTERNAL, "there is no op %s", op_name);
  if (attr) memcpy(node.attr, attr, op->attr_size);
  for (int i = 0; i < LAMINA_MAX_ARGS; i++) node.arg[i] = LAMINA_ABSENT;
  for (int i = 0; op->args[i].name; i++) {
    node.arg[i] = arg[i];
    if (arg[i] >= 0) varies |= graph->values[arg[i]].varies;
  }
  LAMINA_TRY(lamina_graph_problem(graph, &node, &problem));
  memcpy(node.attr, problem.attr, op->attr_size); /* what follows from the shapes, the backward pass may need */
  for (int i = 0; op->args[i].name; i++) {
    char name[64];
    if (arg[i] != LAMINA_FRESH) continue;
    snprintf(name, sizeof name, "%.40s.%s", graph->layer_name, op->args[i].name);
    lamina_desc desc = problem.arg[i];
    desc.align = ALIGN;
    LAMINA_TRY(lamina_graph_value(graph, name, &desc, LAMINA_BUFFER_ARENA, 0, &arg[i]));
    graph->values[arg[i]].varies = varies && lamina_dtype_is_floating((lamina_dtype)desc.dtype);
    node.arg[i] = arg[i];
  }
  return append_node(graph, &node);
}

lamina_status lamina_graph_cast(lamina_graph *graph, int value, const char *name, lamina_dtype dtype, int *cast) {
  const lamina_value from = graph->values[value];
  lamina_desc desc = lamina_dense(dtype, from.desc.rank, from.desc.dims);
  desc.align = ALIGN;
  LAMINA_TRY(lamina_graph_value(graph, name, &desc, LAMINA_BUFFER_ARENA, 0, cast));
  graph->values[*cast].varies = from.varies;
  return lamina_graph_emit(graph, "cast/forward", NULL, (int[]){value, *cast});
}

lamina_status lamina_graph_input(lamina_graph *graph, const lamina_desc *desc) {
  const lamina_dtype dtype = (lamina_dtype)desc->dtype;
  int input;
  LAMINA_TRY(lamina_graph_value(graph, "input", desc, LAMINA_BUFFER_INPUT, 0, &input));
  graph->x = input;
  if (dtype == graph->dtype || !lamina_dtype_is_floating(dtype)) return LAMINA_OK;
  return lamina_graph_cast(graph, input, "input", graph->dtype, &graph->x);
}
