/* The backward graph, made from the op rows alone: names bind within a family, so the pass of F that writes dx gives
 * the gradient of F/forward's x, and its arguments are the forward pass's values and their gradients. */
#include <stdio.h>

#include "core/problem.h"
#include "net/graph.h"

static const char forward_pass[] = "/forward";

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

/* Emits one pass when it gives a gradient that is wanted. */
static lamina_status emit_pass(lamina_graph *graph, const lamina_node_op *node, const lamina_op_def *pass) {
  const lamina_op_def *forward = lamina_op_at(node->op);
  int arg[LAMINA_MAX_ARGS], of[LAMINA_MAX_ARGS];
  bool wanted = false;
  for (int i = 0; pass->args[i].name; i++) {
    const lamina_arg_def *a = &pass->args[i];
    of[i] = LAMINA_ABSENT;
    if (a->role == LAMINA_IN) {
      arg[i] = bind(graph, node, a->name);
      if (arg[i] == LAMINA_ABSENT && !a->optional) return LAMINA_OK; /* what it needs doesn't flow here */
      continue;
    }
    const int input = lamina_op_arg(forward, a->name + 1); /* "dx" is of x */
    const int value = input >= 0 ? node->arg[input] : LAMINA_ABSENT;
    const bool want = value >= 0 && graph->values[value].varies;
    if (want || (value >= 0 && !a->optional)) of[i] = value;
    arg[i] = LAMINA_ABSENT;
    wanted |= want;
  }
  if (!wanted) return LAMINA_OK;
  for (int i = 0; pass->args[i].name; i++)
    if (of[i] >= 0) LAMINA_TRY(fresh_gradient(graph, of[i], &arg[i]));
  LAMINA_TRY(lamina_graph_emit(graph, pass->name, node->attr, arg));
  for (int i = 0; pass->args[i].name; i++)
    if (of[i] >= 0 && graph->values[of[i]].varies) LAMINA_TRY(add_gradient(graph, of[i], arg[i]));
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
    const char *name = lamina_op_at(node.op)->name, *slash = strrchr(name, '/');
    if (strcmp(slash, forward_pass) != 0) continue;
    for (int id = 0; lamina_op_at(id); id++) {
      const lamina_op_def *pass = lamina_op_at(id);
      if (strncmp(pass->name, name, (size_t)(slash - name)) == 0 &&
          strncmp(pass->name + (slash - name), "/backward", 9) == 0)
        LAMINA_TRY(emit_pass(graph, &node, pass));
    }
  }
  return LAMINA_OK;
}
