/* Where everything lies: what can run in place does, then values and workspaces share one arena by lifetime.
 *
 *   node    0 1 2 3 4 5          arena
 *   y1      ├───────┤            0 ┌──────────┐
 *   y2          ├─────┤            │ y1       │ largest first, each in the smallest gap that it fits
 *   ws of 2     ┼                  ├──┬───────┤ among all that is alive at the same time
 *   dy1             ├─┤            │y2│dy1    │ */
#include <stdlib.h>

#include "core/problem.h"
#include "net/graph.h"

typedef struct item {
  size_t size, offset;
  int first, last;
  int value, node; /* whose it is; the other is -1 */
} item;

static void find_lifetimes(lamina_graph *graph) {
  for (int v = 0; v < graph->value_count; v++) graph->values[v].first = graph->node_count, graph->values[v].last = -1;
  for (int n = 0; n < graph->node_count; n++) {
    if (graph->nodes[n].op < 0) continue; /* a view touches nothing */
    for (int i = 0; i < LAMINA_MAX_ARGS; i++) {
      if (graph->nodes[n].arg[i] < 0) continue;
      lamina_value *root = &graph->values[graph->values[graph->nodes[n].arg[i]].root];
      if (n < root->first) root->first = n;
      if (n > root->last) root->last = n;
    }
  }
  for (int v = 0; v < graph->value_count; v++)
    if (graph->values[v].kept) graph->values[graph->values[v].root].last = graph->node_count;
}

/* All of `from`'s values get `to`'s memory. */
static void merge(lamina_graph *graph, int from, int to) {
  if (graph->values[from].last > graph->values[to].last) graph->values[to].last = graph->values[from].last;
  for (int v = 0; v < graph->value_count; v++)
    if (graph->values[v].root == from) graph->values[v].root = to;
}

/* Does another argument of the node share the memory of argument `with`? */
static bool read_twice(const lamina_graph *graph, const lamina_node_op *node, int with) {
  for (int i = 0; i < LAMINA_MAX_ARGS; i++)
    if (i != with && node->arg[i] >= 0 && graph->values[node->arg[i]].root == graph->values[node->arg[with]].root)
      return true;
  return false;
}

/* An output may take its input's memory when the row allows it and nobody reads the input afterwards. */
static void run_in_place(lamina_graph *graph) {
  for (int n = 0; n < graph->node_count; n++) {
    lamina_node_op *node = &graph->nodes[n];
    const lamina_op_def *op = node->op < 0 ? NULL : lamina_op_at(node->op);
    for (int i = 0; op && op->args[i].name; i++) {
      const int with = op->args[i].alias ? lamina_op_arg(op, op->args[i].alias) : -1;
      if (with < 0 || node->arg[i] < 0 || node->arg[with] < 0) continue;
      const lamina_value *out = &graph->values[node->arg[i]], *in = &graph->values[node->arg[with]];
      const lamina_value *root = &graph->values[in->root];
      if (out->buffer != LAMINA_BUFFER_ARENA || in->buffer != LAMINA_BUFFER_ARENA || out->root != node->arg[i] ||
          in->root == out->root || root->last > n || read_twice(graph, node, with) ||
          out->desc.dtype != in->desc.dtype || lamina_desc_bytes(&out->desc) != lamina_desc_bytes(&root->desc) ||
          out->desc.layout != in->desc.layout ||
          memcmp(out->desc.strides, in->desc.strides, sizeof in->desc.strides) != 0)
        continue;
      merge(graph, node->arg[i], in->root);
      node->aliased |= 1u << i;
    }
  }
}

/* ---- Places ----------------------------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b) {
  const item *x = a, *y = b;
  if (x->size != y->size) return x->size < y->size ? 1 : -1;
  if (x->first != y->first) return x->first - y->first;
  return x->value != y->value ? x->value - y->value : x->node - y->node; /* the same with every qsort */
}

/* The start of the smallest gap between placed items that live when `it` does; else the end of the highest of them. */
static void place(item *it, item *const *placed, int count) {
  size_t top = 0, least = SIZE_MAX;
  it->offset = SIZE_MAX;
  for (int i = 0; i < count; i++) { /* placed[] is in order of offsets */
    const item *other = placed[i];
    if (other->last < it->first || other->first > it->last) continue;
    if (other->offset >= top && other->offset - top >= it->size && other->offset - top < least)
      it->offset = top, least = other->offset - top;
    if (other->offset + other->size > top) top = other->offset + other->size;
  }
  if (it->offset == SIZE_MAX) it->offset = top;
}

/* All items beside each other must have addresses: then no sum of offsets and sizes overflows. */
static lamina_status check_sum(const item *items, int count) {
  int64_t sum = 0;
  for (int i = 0; i < count; i++)
    if (items[i].size > INT64_MAX || !lamina_sum(sum, (int64_t)items[i].size, &sum))
      return lamina_error(LAMINA_INVALID, "the size of all activations together overflows");
  return LAMINA_OK;
}

static lamina_status place_all(lamina_graph *graph, item *items, int count) {
  LAMINA_TRY(check_sum(items, count));
  item **placed = lamina_alloc(graph->allocator, ((size_t)count + 1) * sizeof *placed);
  if (!placed) return LAMINA_OUT_OF_MEMORY;
  if (count) qsort(items, (size_t)count, sizeof *items, by_size);
  graph->arena = 0;
  for (int i = 0; i < count; i++) {
    place(&items[i], placed, i);
    int at = i;
    for (; at > 0 && placed[at - 1]->offset > items[i].offset; at--) placed[at] = placed[at - 1];
    placed[at] = &items[i];
    if (items[i].offset + items[i].size > graph->arena) graph->arena = items[i].offset + items[i].size;
    if (items[i].value >= 0)
      graph->values[items[i].value].offset = items[i].offset;
    else
      graph->nodes[items[i].node].workspace_offset = items[i].offset;
  }
  lamina_free(graph->allocator, placed);
  return LAMINA_OK;
}

static lamina_status place_arena(lamina_graph *graph) {
  item *items = lamina_alloc(graph->allocator, (size_t)(graph->value_count + graph->node_count + 1) * sizeof *items);
  int count = 0;
  if (!items) return LAMINA_OUT_OF_MEMORY;
  for (int v = 0; v < graph->value_count; v++) {
    const lamina_value *value = &graph->values[v];
    if (value->buffer == LAMINA_BUFFER_ARENA && value->root == v && value->last >= 0)
      items[count++] = (item){.size = lamina_align_up((size_t)lamina_desc_bytes(&value->desc), 64),
                              .first = value->first,
                              .last = value->last,
                              .value = v,
                              .node = -1};
  }
  for (int n = 0; n < graph->node_count; n++) {
    const size_t size = graph->nodes[n].plan ? lamina_plan_workspace(graph->nodes[n].plan) : 0;
    if (size) items[count++] = (item){.size = lamina_align_up(size, 64), .first = n, .last = n, .value = -1, .node = n};
  }
  const lamina_status status = place_all(graph, items, count);
  lamina_free(graph->allocator, items);
  for (int v = 0; v < graph->value_count; v++)
    if (graph->values[v].buffer == LAMINA_BUFFER_ARENA)
      graph->values[v].offset = graph->values[graph->values[v].root].offset + graph->values[v].within;
  return status;
}

int lamina_graph_widest(const lamina_graph *graph) {
  size_t most = 0;
  int widest = -1;
  for (int n = 0; n < graph->node_count; n++) {
    size_t used = graph->nodes[n].plan ? lamina_plan_workspace(graph->nodes[n].plan) : 0;
    for (int v = 0; v < graph->value_count; v++) {
      const lamina_value *value = &graph->values[v];
      if (value->buffer == LAMINA_BUFFER_ARENA && value->root == v && value->first <= n && value->last >= n)
        used += (size_t)lamina_desc_bytes(&value->desc);
    }
    if (used > most) most = used, widest = n;
  }
  return widest;
}

lamina_status lamina_graph_plan(lamina_graph *graph, lamina_device *device) {
  LAMINA_TRY(lamina_graph_arrange(graph, device));
  return lamina_graph_place(graph, device);
}

lamina_status lamina_graph_place(lamina_graph *graph, lamina_device *device) {
  find_lifetimes(graph);
  run_in_place(graph);
  for (int n = 0; n < graph->node_count; n++) {
    lamina_problem problem;
    if (graph->nodes[n].op < 0) continue;
    graph->layer = graph->nodes[n].layer; /* who an error is about */
    LAMINA_TRY(lamina_graph_problem(graph, &graph->nodes[n], &problem));
    LAMINA_TRY(lamina_plan_open(device, &problem, NULL, &graph->nodes[n].plan));
  }
  graph->layer = -1;
  return place_arena(graph);
}
