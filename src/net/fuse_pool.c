/* Max pools that take the ReLU before them, in the forward graph, before there is a backward graph:
 *
 *   x ─ relu ─ t ─ max_pool ─ y, indices        x ─ (seen as t)    x ─ relu_max_pool ─ y, indices
 *
 * Then the gradient of x comes from the fused op's own backward pass, at once: neither what the ReLU gives nor its gradient
 * is anywhere, and x needn't be kept for it. The parts stay where somebody else reads t, where an engine was asked for by
 * name for one of them, or where the estimates of both passes together say that they are faster. */
#include "core/candidates.h"
#include "core/plan.h"
#include "core/problem.h"
#include "net/graph.h"

static bool is_op(const lamina_node_op *node, const char *name) {
  return node->op >= 0 && strcmp(lamina_op_at(node->op)->name, name) == 0;
}

/* The one node that takes what node `maker` gives, where its row takes x; -1 where there is none, or there are others. */
static int only_taker(const lamina_graph *graph, int maker) {
  const int value = graph->nodes[maker].arg[1];
  int taker = -1;
  for (int n = maker + 1; n < graph->node_count; n++)
    for (int i = 0; i < LAMINA_MAX_ARGS; i++) {
      if (graph->nodes[n].arg[i] != value) continue;
      if (taker >= 0 || i != 0) return -1;
      taker = n;
    }
  return graph->values[value].kept ? -1 : taker;
}

/* ---- Estimates -------------------------------------------------------------------------------------------------- */

/* Adds what the device's engines estimate for an op with these arguments; below 0 where none takes it. */
static lamina_status add_estimate(lamina_device *device, const lamina_graph *graph, const char *op, const void *attr,
                                  const lamina_desc *const *arg, double *seconds) {
  lamina_problem problem;
  double more;
  LAMINA_TRY(lamina_problem_init(&problem, lamina_op_find(op), attr, arg));
  problem.math = (int32_t)graph->math;
  LAMINA_TRY(lamina_estimate(device, &problem, NULL, &more));
  *seconds = more < 0 || *seconds < 0 ? -1 : *seconds + more;
  return LAMINA_OK;
}

static lamina_status is_no_slower(const lamina_graph *graph, lamina_device *device, const lamina_node_op *relu,
                                  const lamina_node_op *pool, bool *take) {
  const lamina_desc *x = &graph->values[relu->arg[0]].desc, *y = &graph->values[pool->arg[1]].desc;
  const lamina_desc *indices = pool->arg[2] >= 0 ? &graph->values[pool->arg[2]].desc : NULL;
  double whole = 0, parts = 0;
#define ADD(op, attr, sum, ...)                                                                                        \
  add_estimate(device, graph, op, attr, (const lamina_desc * [3 + 1]){__VA_ARGS__}, &(sum))
  LAMINA_TRY(ADD("relu_max_pool/forward", pool->attr, whole, x, y, indices));
  LAMINA_TRY(ADD("relu/forward", relu->attr, parts, x, x));
  LAMINA_TRY(ADD("max_pool/forward", pool->attr, parts, x, y, indices));
  if (graph->training && graph->values[relu->arg[0]].varies && indices) {
    LAMINA_TRY(ADD("relu_max_pool/backward", pool->attr, whole, y, y, indices, x));
    LAMINA_TRY(ADD("relu/backward", relu->attr, parts, x, x, x));
    LAMINA_TRY(ADD("max_pool/backward", pool->attr, parts, y, indices, x));
  }
#undef ADD
  *take = whole >= 0 && (parts < 0 || whole <= parts);
  return LAMINA_OK;
}

/* Is the same engine asked for by name, or none, for the ops of all three families? */
static bool asked_alike(const lamina_device *device) {
  static const char *const passes[2][3] = {{"relu_max_pool/forward", "relu/forward", "max_pool/forward"},
                                           {"relu_max_pool/backward", "relu/backward", "max_pool/backward"}};
  for (int pass = 0; pass < 2; pass++) {
    const char *wanted[3];
    for (int i = 0; i < 3; i++) {
      const lamina_problem problem = {.op = lamina_op_find(passes[pass][i])};
      wanted[i] = lamina_engine_wanted(device, &problem, NULL);
    }
    if (strcmp(wanted[0], wanted[1]) != 0 || strcmp(wanted[0], wanted[2]) != 0) return false;
  }
  return true;
}

/* ---- Fusing ----------------------------------------------------------------------------------------------------- */

lamina_status lamina_graph_fuse_pools(lamina_graph *graph, lamina_device *device) {
  if (!asked_alike(device)) return LAMINA_OK;
  for (int n = 0; n < graph->node_count; n++) {
    lamina_node_op *relu = &graph->nodes[n];
    bool take = false;
    if (!is_op(relu, "relu/forward")) continue;
    const int x = relu->arg[0], t = relu->arg[1], taker = only_taker(graph, n);
    if (taker < 0 || !is_op(&graph->nodes[taker], "max_pool/forward")) continue;
    lamina_node_op *pool = &graph->nodes[taker];
    graph->layer = pool->layer; /* who an error is about */
    LAMINA_TRY(is_no_slower(graph, device, relu, pool, &take));
    if (!take) continue;
    pool->op = lamina_op_find("relu_max_pool/forward");
    pool->arg[0] = x;
    *relu = (lamina_node_op){.op = -1, .arg = {x, t}, .layer = relu->layer};
    graph->values[t].root = graph->values[x].root, graph->values[t].buffer = graph->values[x].buffer;
  }
  graph->layer = -1;
  return LAMINA_OK;
}
