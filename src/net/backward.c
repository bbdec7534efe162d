/* The backward graph, made from the op rows alone: names bind within a family, so the pass of F that writes dx gives
 * the gradient of F/forward's x, and its arguments are the forward pass's values and their gradients. */
#include <stdio.h>

#include "core/problem.h"
#include "net/graph.h"

/* The value that argument `name` of a backward pass means at this node: LAMINA_ABSENT when there is none. */
static int bind(const lamina_graph *graph, const lamina_node_op *node, const char *name) {
  const lamina_op_def *op = lamina_op_at(node->op);
  const int same = lamina_op_arg(op, name);
  if (same >= 0) return node->arg[same];
  const int of = name[0] == 'd' ? lamina_op_arg(op, name + 1) : -1;
  return of >= 0 && node->arg[of] >= 0 ? graph->values[node->arg[of]].gradient : LAMINA_ABSENT;
}

/* Where the gradient of `value` goes: a parameter's has its place in the gradients' block. */
static lamina_status fresh_gradient(lamina_graph *graph, int value, int *gradient) {
  const lamina_value of = graph->values[value];
  char name[64];
  snprintf(name, sizeof name, "d%.62s", of.name);
  const bool first = of.gradient == LAMINA_ABSENT;
  const lamina_desc desc = of.desc;
  return lamina_graph_value(graph, name, &desc,
                            of.parameter >= 0 && first ? LAMINA_BUFFER_GRADIENTS : LAMINA_BUFFER_ARENA,
                            of.parameter >= 0 && first ? of.offset : 0, gradient);
}

/* Takes a new gradient of `value`; where branches meet, the sum of both. */
static lamina_status add_gradient(lamina_graph *graph, int value, int gradient) {
  const int before = graph->values[value].gradient;
  if (before == LAMINA_ABSENT) {
    graph->values[value].gradient = gradient;
    return LAMINA_OK;
  }
  int sum;
  LAMINA_TRY(fresh_gradient(graph, value, &sum));
  if (graph->values[value].parameter >= 0) { /* the sum belongs where the first one was */
    const lamina_value place = graph->values[before];
    graph->values[before].buffer = LAMINA_BUFFER_ARENA;
    graph->values[sum].buffer = place.buffer, graph->values[sum].offset = place.offset;
  }
  LAMINA_TRY(lamina_graph_emit(graph, "add/forward", NULL, (int[]){before, gradient, sum}));
  graph->values[value].gradient = sum;
  return LAMINA_OK;
}

/* The pass of a forward op's family that gives the gradient of its input `x`; -1 when there is none. */
static int pass_for(const lamina_op_def *forward, const char *x) {
  const size_t family = (size_t)(strchr(forward->name, '/') - forward->name);
  char gradient[64];
  snprintf(gradient, sizeof gradient, "d%s", x);
  for (int id = 0; lamina_op_at(id); id++) {
    const lamina_op_def *pass = lamina_op_at(id);
    const int at = lamina_op_arg(pass, gradient);
    if (at >= 0 && pass->args[at].role == LAMINA_OUT && strncmp(pass->name, forward->name, family) == 0 &&
        strncmp(pass->name + family, "/backward", 9) == 0)
      return id;
  }
  return -1;
}

/* Emits one pass. An argument that isn't there is said to be missing by the op. */
static lamina_status emit_pass(lamina_graph *graph, const lamina_node_op *node, const lamina_op_def *pass) {
  const lamina_op_def *forward = lamina_op_at(node->op);
  int arg[LAMINA_MAX_ARGS], of[LAMINA_MAX_ARGS];
  for (int i = 0; pass->args[i].name; i++) {
    const lamina_arg_def *a = &pass->args[i];
    of[i] = LAMINA_ABSENT;
    arg[i] = a->role == LAMINA_IN ? bind(graph, node, a->name) : LAMINA_ABSENT;
    if (a->role == LAMINA_IN) continue;
    const int input = lamina_op_arg(forward, a->name + 1); /* "dx" is of x */
    const int value = input >= 0 ? node->arg[input] : LAMINA_ABSENT;
    if (value >= 0 && (graph->values[value].varies || !a->optional)) of[i] = value;
  }
  for (int i = 0; pass->args[i].name; i++)
    if (of[i] >= 0) LAMINA_TRY(fresh_gradient(graph, of[i], &arg[i]));
  LAMINA_TRY(lamina_graph_emit(graph, pass->name, node->attr, arg));
  for (int i = 0; pass->args[i].name; i++)
    if (of[i] >= 0 && graph->values[of[i]].varies) LAMINA_TRY(add_gradient(graph, of[i], arg[i]));
  return LAMINA_OK;
}

/* Every pass of a forward node that gives a gradient which is wanted: those of parameters first, so that the node's
 * input may leave its memory to the input's gradient. */
static lamina_status emit_passes(lamina_graph *graph, const lamina_node_op *node) {
  const lamina_op_def *op = lamina_op_at(node->op);
  int done[LAMINA_MAX_ARGS], count = 0;
  bool reached = false;
  for (int i = 0; op->args[i].name; i++)
    reached |= op->args[i].role != LAMINA_IN && node->arg[i] >= 0 && graph->values[node->arg[i]].gradient >= 0;
  for (int parameters = 1; reached && parameters >= 0; parameters--)
    for (int i = 0; op->args[i].name; i++) {
      if (op->args[i].role != LAMINA_IN || node->arg[i] < 0) continue;
      const lamina_value *x = &graph->values[node->arg[i]];
      if (!x->varies || (x->parameter >= 0) != (parameters == 1)) continue;
      const int id = pass_for(op, op->args[i].name);
      if (id < 0) return lamina_error(LAMINA_UNSUPPORTED, "%s has no gradient of its %s", op->name, op->args[i].name);
      bool seen = false; /* one pass may give several gradients */
      for (int d = 0; d < count; d++) seen |= done[d] == id;
      if (seen) continue;
      done[count++] = id;
      LAMINA_TRY(emit_pass(graph, node, lamina_op_at(id)));
    }
  return LAMINA_OK;
}

static lamina_status emit_view(lamina_graph *graph, const lamina_node_op *node) {
  const int from = node->arg[0], gradient = graph->values[node->arg[1]].gradient;
  int view;
  if (gradient == LAMINA_ABSENT || !graph->values[from].varies) return LAMINA_OK;
  const lamina_desc desc = graph->values[from].desc;
  LAMINA_TRY(lamina_graph_view(graph, gradient, desc.rank, desc.dims, &view));
  return add_gradient(graph, from, view);
}

lamina_status lamina_graph_backward(lamina_graph *graph) {
  for (int n = graph->node_count - 1; n >= 0; n--) {
    const lamina_node_op node = graph->nodes[n]; /* a copy: the list grows */
    graph->layer = node.layer;
    if (node.op < 0) {
      LAMINA_TRY(emit_view(graph, &node));
      continue;
    }
    LAMINA_TRY(emit_passes(graph, &node));
  }
  return LAMINA_OK;
}
