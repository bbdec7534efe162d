/* Fusing: two nodes become one where an op's row has them as its parts and nobody else reads what is between.
 *
 *   conv ─ t ─ relu ─ y        conv_relu ─ t ─ (seen as y)
 *
 * Patterns come from the rows alone (lamina_op_def.parts): a fused op takes the inputs of its parts in their order, without
 * what one hands to the next, and its descriptor is that of the part which has one. The first node becomes the fused one
 * and the second one a view, so that places in the list stay as they are. Where the estimates say that the parts are
 * faster, or no engine takes the fused op, or an engine was asked for by name for one of them, they stay. */
#include "core/candidates.h"
#include "core/plan.h"
#include "core/problem.h"
#include "net/graph.h"

/* Two nodes, by their places, and the fused op that they are the parts of. */
typedef struct pair {
  const lamina_op_def *fused;
  int first, second;
  int link;   /* the value between them */
  int linked; /* the argument of the second that takes it */
} pair;

static int root_of(const lamina_graph *graph, int value) { return graph->values[value].root; }

static int output_of(const lamina_op_def *op) {
  int i = 0;
  while (op->args[i].name && op->args[i].role == LAMINA_IN) i++;
  return i;
}

/* ---- What fits -------------------------------------------------------------------------------------------------- */

/* The one node that reads memory `root`; -1 for none or several, or one that reads it twice. */
static int only_reader(const lamina_graph *graph, int root) {
  int reader = -1, reads = 0;
  for (int n = 0; n < graph->node_count; n++) {
    const lamina_node_op *node = &graph->nodes[n];
    const lamina_op_def *op = lamina_op_at(node->op); /* NULL: a view */
    for (int i = 0; op && op->args[i].name; i++)
      if (op->args[i].role != LAMINA_OUT && op->args[i].role != LAMINA_SAVED && node->arg[i] >= 0 &&
          root_of(graph, node->arg[i]) == root)
        reader = n, reads++;
  }
  return reads == 1 ? reader : -1;
}

/* Is the memory of `value` written by node `before` or a later one? */
static bool written_from(const lamina_graph *graph, int value, int before) {
  for (int n = before; n < graph->node_count; n++) {
    const lamina_op_def *op = lamina_op_at(graph->nodes[n].op);
    for (int i = 0; op && op->args[i].name; i++)
      if (op->args[i].role != LAMINA_IN && graph->nodes[n].arg[i] >= 0 &&
          root_of(graph, graph->nodes[n].arg[i]) == root_of(graph, value))
        return true;
  }
  return false;
}

/* Is it in the arena, seen by nobody outside of the graph's nodes? */
static bool is_inner(const lamina_graph *graph, int value) {
  const int root = root_of(graph, value);
  bool inner = graph->values[root].buffer == LAMINA_BUFFER_ARENA;
  for (int v = 0; v < graph->value_count; v++) {
    const int next = graph->values[v].next;
    inner &= !(graph->values[v].kept && root_of(graph, v) == root) && !(next >= 0 && root_of(graph, next) == root);
  }
  return inner;
}

/* The second node goes element by element: what it takes and gives has the shape of `link` and lies as it does, and what
 * else it takes is there before the first one runs. */
static bool takes_alike(const lamina_graph *graph, const pair *p) {
  const lamina_node_op *node = &graph->nodes[p->second];
  const lamina_op_def *op = lamina_op_at(node->op);
  const lamina_desc *link = &graph->values[node->arg[p->linked]].desc;
  for (int i = 0; op->args[i].name; i++) {
    if (node->arg[i] < 0) return false;
    const lamina_desc *desc = &graph->values[node->arg[i]].desc;
    if (desc->rank != link->rank || memcmp(desc->dims, link->dims, sizeof desc->dims) != 0 ||
        desc->layout != link->layout || memcmp(desc->strides, link->strides, sizeof desc->strides) != 0)
      return false;
    if (i != p->linked && op->args[i].role == LAMINA_IN && written_from(graph, node->arg[i], p->first)) return false;
  }
  return true;
}

/* Fills in *p where node `first` begins a pair that is the parts of `fused`. */
static bool find_pair(const lamina_graph *graph, const lamina_op_def *fused, int first, pair *p) {
  const lamina_node_op *node = &graph->nodes[first];
  const lamina_op_def *op = lamina_op_at(node->op);
  if (!op || strcmp(op->name, fused->parts[0]) != 0) return false;
  *p = (pair){.fused = fused, .first = first, .link = node->arg[output_of(op)]};
  if (p->link < 0 || root_of(graph, p->link) != p->link || !is_inner(graph, p->link)) return false;
  p->second = only_reader(graph, p->link);
  if (p->second <= first) return false;
  const lamina_node_op *then = &graph->nodes[p->second];
  const lamina_op_def *second = lamina_op_at(then->op);
  const int out = output_of(second), y = then->arg[out];
  if (strcmp(second->name, fused->parts[1]) != 0) return false;
  p->linked = lamina_op_arg(second, second->args[out].name[0] == 'd' ? "dy" : "x"); /* what passes hand on */
  return p->linked >= 0 && then->arg[p->linked] >= 0 && root_of(graph, then->arg[p->linked]) == p->link && y >= 0 &&
         root_of(graph, y) == y && graph->values[y].buffer == LAMINA_BUFFER_ARENA &&
         graph->values[y].desc.dtype == graph->values[p->link].desc.dtype && takes_alike(graph, p);
}

/* ---- The fused node --------------------------------------------------------------------------------------------- */

/* The value that is `value` with the dims of `like`: itself, or a view that there is. -1 for none. */
static int seen_as(const lamina_graph *graph, int value, int like) {
  const lamina_value *of = &graph->values[value];
  const lamina_desc *dims = &graph->values[like].desc;
  for (int v = 0; v < graph->value_count; v++) {
    const lamina_desc *desc = &graph->values[v].desc;
    if (graph->values[v].root == of->root && desc->dtype == of->desc.dtype && desc->rank == dims->rank &&
        memcmp(desc->dims, dims->dims, sizeof desc->dims) == 0)
      return v;
  }
  return -1;
}

/* False where an argument can't be seen as the fused op takes it. */
static bool make_node(const lamina_graph *graph, const pair *p, lamina_node_op *node) {
  const lamina_node_op first = graph->nodes[p->first], second = graph->nodes[p->second];
  const lamina_op_def *op = lamina_op_at(first.op), *then = lamina_op_at(second.op);
  int next = 0;
  *node = first;
  node->op = lamina_op_find(p->fused->name);
  if (!op->attr_size) memcpy(node->attr, second.attr, sizeof node->attr);
  for (int i = 0; i < LAMINA_MAX_ARGS; i++) node->arg[i] = LAMINA_ABSENT;
  for (int i = 0; op->args[i].name; i++)
    if (op->args[i].role == LAMINA_IN) node->arg[next++] = first.arg[i];
  for (int i = 0; then->args[i].name; i++)
    if (then->args[i].role == LAMINA_IN && i != p->linked)
      if ((node->arg[next++] = seen_as(graph, second.arg[i], p->link)) < 0) return false;
  node->arg[next] = p->link;
  return true;
}

/* What an engine estimates for the node; below 0 where none takes it. */
static lamina_status estimate(const lamina_graph *graph, lamina_device *device, const lamina_node_op *node,
                              double *seconds) {
  lamina_problem problem;
  lamina_plan *plan;
  LAMINA_TRY(lamina_graph_problem(graph, node, &problem));
  const lamina_status status = lamina_plan_open(device, &problem, NULL, &plan);
  *seconds = status ? -1 : lamina_plan_seconds(plan);
  if (!status) lamina_plan_close(plan);
  return status == LAMINA_UNSUPPORTED ? LAMINA_OK : status;
}

/* Is an engine asked for by name for some of them, and not the same for all? */
static bool asked_apart(const lamina_graph *graph, const lamina_device *device, const pair *p) {
  const lamina_problem fused = {.op = lamina_op_find(p->fused->name)}, first = {.op = graph->nodes[p->first].op},
                       second = {.op = graph->nodes[p->second].op};
  const char *wanted = lamina_engine_wanted(device, &fused, NULL);
  return strcmp(wanted, lamina_engine_wanted(device, &first, NULL)) != 0 ||
         strcmp(wanted, lamina_engine_wanted(device, &second, NULL)) != 0;
}

static lamina_status is_faster(const lamina_graph *graph, lamina_device *device, const pair *p,
                               const lamina_node_op *node, bool *faster) {
  double whole, first, second;
  *faster = false;
  if (asked_apart(graph, device, p)) return LAMINA_OK;
  LAMINA_TRY(estimate(graph, device, node, &whole));
  if (whole < 0) return LAMINA_OK;
  LAMINA_TRY(estimate(graph, device, &graph->nodes[p->first], &first));
  LAMINA_TRY(estimate(graph, device, &graph->nodes[p->second], &second));
  *faster = first < 0 || second < 0 || whole < first + second;
  return LAMINA_OK;
}

/* ---- Fusing ----------------------------------------------------------------------------------------------------- */

static lamina_status fuse(lamina_graph *graph, lamina_device *device, const pair *p) {
  lamina_node_op node;
  bool faster;
  if (!make_node(graph, p, &node)) return LAMINA_OK;
  graph->layer = graph->nodes[p->first].layer; /* who an error is about */
  LAMINA_TRY(is_faster(graph, device, p, &node, &faster));
  if (!faster) return LAMINA_OK;
  lamina_node_op *then = &graph->nodes[p->second];
  const lamina_op_def *second = lamina_op_at(then->op);
  const int seen = then->arg[p->linked], y = then->arg[output_of(second)];
  graph->nodes[p->first] = node;
  *then = (lamina_node_op){.op = -1, .arg = {seen, y}, .layer = then->layer};
  for (int v = 0; v < graph->value_count; v++)
    if (graph->values[v].root == y) graph->values[v].root = p->link;
  return LAMINA_OK;
}

lamina_status lamina_graph_fuse(lamina_graph *graph, lamina_device *device) {
  for (int id = 0; lamina_op_at(id); id++) {
    const lamina_op_def *fused = lamina_op_at(id);
    for (int n = 0; fused->parts && !fused->parts[2] && n < graph->node_count; n++) {
      pair p;
      if (find_pair(graph, fused, n, &p)) LAMINA_TRY(fuse(graph, device, &p));
    }
  }
  graph->layer = -1;
  return LAMINA_OK;
}
