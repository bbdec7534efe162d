/* Which layouts there are to choose from: the variables of a graph, what each may be, and the way back into the graph. */
#include "net/layout.h"

#include "core/device.h"
#include "core/problem.h"

/* ---- What a value may be ---------------------------------------------------------------------------------------- */

static bool same_dims(const lamina_desc *a, const lamina_desc *b) {
  return a->rank == b->rank && memcmp(a->dims, b->dims, sizeof a->dims) == 0;
}

static lamina_desc in_order(const lamina_desc *value, lamina_order order) {
  const lamina_dtype dtype = (lamina_dtype)value->dtype;
  lamina_desc desc = lamina_dense(dtype, value->rank, value->dims);
  int64_t step = value->dims[1];
  switch (order) {
  case LAMINA_ORDER_LAST:
    for (int d = value->rank - 1; d >= 0; d--) {
      if (d == 1) continue;
      desc.strides[d] = step;
      step *= value->dims[d];
    }
    desc.strides[1] = 1;
    break;
  case LAMINA_ORDER_BLOCK16: desc = lamina_blocked(dtype, value->rank, value->dims, LAMINA_BLOCK(1, 4)); break;
  case LAMINA_ORDER_BLOCK8: desc = lamina_blocked(dtype, value->rank, value->dims, LAMINA_BLOCK(1, 3)); break;
  case LAMINA_ORDER_LANES: desc = lamina_blocked(dtype, value->rank, value->dims, LAMINA_BLOCK(0, 4)); break;
  default: break;
  }
  desc.align = value->align;
  return desc;
}

enum { ONLY_PLAIN = 1 << LAMINA_ORDER_PLAIN };

/* The orders that tell apart what row-major doesn't. */
static unsigned orders_of(const lamina_desc *desc) {
  unsigned orders = ONLY_PLAIN;
  const int64_t count = lamina_desc_count(desc);
  if (desc->rank >= 2 && count > 0 && desc->dims[0] % 16 == 0) orders |= 1u << LAMINA_ORDER_LANES;
  if (desc->rank < 3 || count <= 0) return orders;
  if (desc->dims[1] > 1 && count > desc->dims[0] * desc->dims[1]) orders |= 1u << LAMINA_ORDER_LAST;
  if (desc->dims[1] % 16 == 0) orders |= 1u << LAMINA_ORDER_BLOCK16;
  if (desc->dims[1] % 8 == 0) orders |= 1u << LAMINA_ORDER_BLOCK8;
  return orders;
}

/* What it may be where it is also seen as `view`: examples stay side by side however one of them is seen. */
static unsigned seen_as(const lamina_desc *desc, const lamina_desc *view) {
  if (same_dims(desc, view)) return ~0u;
  const bool examples = desc->rank > 0 && view->rank > 1 && desc->dims[0] == view->dims[0];
  return examples ? ONLY_PLAIN | 1u << LAMINA_ORDER_LANES : ONLY_PLAIN;
}

/* ---- Variables -------------------------------------------------------------------------------------------------- */

static int top_of(const lamina_layouts *l, int variable) {
  while (l->variables[variable].joined != variable) variable = l->variables[variable].joined;
  return variable;
}

lamina_layout_variable *lamina_layout_variable_of(const lamina_layouts *l, int value) {
  return &l->variables[top_of(l, l->variable_of[l->graph->values[value].root])];
}

bool lamina_layout_touches(const lamina_layouts *l, int node, const lamina_layout_variable *variable) {
  const lamina_node_op *n = &l->graph->nodes[node];
  if (n->op < 0) return false;
  for (int i = 0; i < LAMINA_MAX_ARGS; i++)
    if (n->arg[i] >= 0 && lamina_layout_variable_of(l, n->arg[i]) == variable) return true;
  return false;
}

lamina_desc lamina_layout_desc(const lamina_layouts *l, int value) {
  const lamina_layout_variable *variable = lamina_layout_variable_of(l, value);
  lamina_desc desc = l->graph->values[value].desc;
  if (variable->param < 0) return in_order(&desc, (lamina_order)variable->choice);
  if (variable->choice != LAMINA_WEIGHT_ANY) return l->weights[variable->param].list[variable->choice];
  return lamina_blocked((lamina_dtype)desc.dtype, desc.rank, desc.dims, LAMINA_LAYOUT_ANY);
}

/* Two variables become one, which may be what both may be. Parameters of which one is to lie as another are row-major. */
static void join(lamina_layouts *l, int a, int b) {
  a = top_of(l, a), b = top_of(l, b);
  if (a == b) return;
  lamina_layout_variable *to = &l->variables[a < b ? a : b], *from = &l->variables[a < b ? b : a];
  const bool fixed = (to->allowed == ONLY_PLAIN && to->param < 0) || (from->allowed == ONLY_PLAIN && from->param < 0);
  from->joined = a < b ? a : b;
  to->allowed &= from->allowed;
  if (fixed || (to->param >= 0 && from->param >= 0 && to->param != from->param))
    to->param = -1, to->allowed = ONLY_PLAIN;
  else if (from->param >= 0)
    to->param = from->param;
}

/* Variable v is that of value v; what isn't in the arena, and what is read outside of the graph, stays as it is. */
static void make_variables(lamina_layouts *l) {
  const lamina_graph *graph = l->graph;
  l->count = graph->value_count;
  for (int v = 0; v < graph->value_count; v++) {
    const lamina_value *value = &graph->values[v];
    const bool inner = value->buffer == LAMINA_BUFFER_ARENA && value->root == v;
    l->variable_of[v] = v;
    l->variables[v] = (lamina_layout_variable){
        .joined = v, .param = -1, .allowed = inner ? (uint8_t)orders_of(&value->desc) : ONLY_PLAIN};
  }
  for (int v = 0; v < graph->value_count; v++) {
    const lamina_value *value = &graph->values[v];
    lamina_layout_variable *root = &l->variables[value->root];
    root->allowed &= (uint8_t)seen_as(&graph->values[value->root].desc, &value->desc);
    if (value->kept) root->allowed = ONLY_PLAIN;
    if (value->next >= 0) l->variables[graph->values[value->next].root].allowed = ONLY_PLAIN;
  }
}

static bool seen_otherwise(const lamina_graph *graph, int root) {
  for (int v = 0; v < graph->value_count; v++)
    if (graph->values[v].root == root && !same_dims(&graph->values[v].desc, &graph->values[root].desc)) return true;
  return false;
}

/* Is this value the same parameter's in another of the blocks that lie as parameters do: its gradient or a moment? */
static bool is_beside(const lamina_value *value, const lamina_value *parameter) {
  const bool has_places = value->buffer == LAMINA_BUFFER_GRADIENTS || value->buffer == LAMINA_BUFFER_MOMENT1 ||
                          value->buffer == LAMINA_BUFFER_MOMENT2;
  return has_places && value->offset == parameter->offset && same_dims(&value->desc, &parameter->desc);
}

/* A parameter, its gradient and its moments are one variable. */
static void make_parameters(lamina_layouts *l) {
  const lamina_graph *graph = l->graph;
  for (int v = 0; v < graph->value_count; v++) {
    const lamina_value *value = &graph->values[v];
    if (value->parameter < 0 || value->root != v || value->desc.rank < 2 || seen_otherwise(graph, v)) continue;
    const int gradient = value->gradient >= 0 ? graph->values[value->gradient].root : v;
    if (seen_otherwise(graph, gradient) || graph->values[gradient].kept) continue;
    l->variables[v].param = value->parameter;
    for (int u = 0; u < graph->value_count; u++) {
      if (u != gradient && !(graph->values[u].root == u && is_beside(&graph->values[u], value))) continue;
      l->variables[u].param = value->parameter;
      join(l, v, u);
    }
  }
}

/* Does an engine of the device take the op's arguments as flat memory where they all lie alike? */
static bool is_flat(const lamina_layouts *l, const lamina_op_def *op) {
  for (int i = 0; i < l->device->engine_count; i++)
    if (strcmp(l->device->engines[i]->op, op->name) == 0 && l->device->engines[i]->strides == LAMINA_STRIDES_SAME)
      return true;
  return false;
}

/* What goes element by element joins its arguments of more than one element. */
static void join_flat(lamina_layouts *l) {
  const lamina_graph *graph = l->graph;
  for (int n = 0; n < graph->node_count; n++) {
    const lamina_node_op *node = &graph->nodes[n];
    int first = -1;
    bool alike = node->op >= 0 && is_flat(l, lamina_op_at(node->op));
    for (int i = 0; alike && i < LAMINA_MAX_ARGS; i++) {
      if (node->arg[i] < 0 || lamina_desc_count(&graph->values[node->arg[i]].desc) <= 1) continue;
      if (first < 0) first = node->arg[i];
      alike = same_dims(&graph->values[first].desc, &graph->values[node->arg[i]].desc);
    }
    for (int i = 0; alike && i < LAMINA_MAX_ARGS; i++)
      if (node->arg[i] >= 0 && lamina_desc_count(&graph->values[node->arg[i]].desc) > 1)
        join(l, graph->values[first].root, graph->values[node->arg[i]].root);
  }
}

/* ---- There and back --------------------------------------------------------------------------------------------- */

/* The choice that the graph's values show. */
static void read_choices(lamina_layouts *l) {
  const lamina_graph *graph = l->graph;
  for (int v = 0; v < graph->value_count; v++) {
    lamina_layout_variable *variable = &l->variables[v];
    const lamina_desc *is = &graph->values[v].desc;
    if (variable->joined != v) continue;
    if (variable->param >= 0) {
      const lamina_layout_weights *weights = &l->weights[variable->param];
      for (int c = 0; c < weights->count; c++)
        if (memcmp(&weights->list[c], is, sizeof *is) == 0) variable->choice = (uint8_t)c;
    } else
      for (int o = 0; o < LAMINA_ORDERS; o++)
        if (variable->allowed & 1u << o) {
          const lamina_desc would = in_order(is, (lamina_order)o);
          if (memcmp(&would, is, sizeof would) == 0) variable->choice = (uint8_t)o;
        }
  }
}

static void write_choices(lamina_layouts *l) {
  for (int v = 0; v < l->graph->value_count; v++)
    if (l->graph->values[v].buffer == LAMINA_BUFFER_ARENA || lamina_layout_variable_of(l, v)->param >= 0)
      l->graph->values[v].desc = lamina_layout_desc(l, v);
}

/* Is there an engine that takes anything but what every engine takes? */
static bool is_worth_looking(const lamina_layouts *l) {
  for (int n = 0; n < l->graph->node_count; n++) {
    const lamina_op_def *op = lamina_op_at(l->graph->nodes[n].op);
    for (int i = 0; op && i < l->device->engine_count; i++)
      if (strcmp(l->device->engines[i]->op, op->name) == 0 && l->device->engines[i]->strides == LAMINA_STRIDES_BLOCKED)
        return true;
  }
  return false;
}

lamina_status lamina_layouts_open(lamina_layouts *l, lamina_graph *graph, lamina_device *device) {
  const lamina_allocator *allocator = graph->allocator;
  const size_t values = (size_t)graph->value_count + 1, params = (size_t)graph->params->count + 1;
  *l = (lamina_layouts){.graph = graph, .device = device};
  l->variables = lamina_alloc_zero(allocator, values * sizeof *l->variables);
  l->variable_of = lamina_alloc_zero(allocator, values * sizeof *l->variable_of);
  l->weights = lamina_alloc_zero(allocator, params * sizeof *l->weights);
  if (!l->variables || !l->variable_of || !l->weights) return LAMINA_OUT_OF_MEMORY;
  for (int p = 0; p < graph->params->count; p++) {
    const lamina_param *param = &graph->params->list[p];
    l->weights[p].list[0] = graph->settled ? param->settled : param->plain;
    l->weights[p].count = 1;
  }
  return LAMINA_OK;
}

void lamina_layouts_close(lamina_layouts *l) {
  lamina_free(l->graph->allocator, l->variables);
  lamina_free(l->graph->allocator, l->variable_of);
  lamina_free(l->graph->allocator, l->weights);
  lamina_free(l->graph->allocator, l->known);
}

lamina_status lamina_layouts_choose(lamina_layouts *l) {
  const bool anew = !l->count;
  make_variables(l);
  make_parameters(l);
  join_flat(l);
  read_choices(l);
  if (is_worth_looking(l)) LAMINA_TRY(lamina_layout_search(l, anew));
  write_choices(l);
  return LAMINA_OK;
}

lamina_status lamina_graph_arrange(lamina_graph *graph, lamina_device *device) {
  lamina_layouts layouts;
  lamina_status status = lamina_layouts_open(&layouts, graph, device);
  if (!status) status = lamina_layouts_choose(&layouts);
  if (!status) status = lamina_graph_fuse(graph, device);
  if (!status) status = lamina_layouts_choose(&layouts);
  lamina_layouts_close(&layouts);
  return status;
}
