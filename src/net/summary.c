/* Nets for people: a table of layers, and which engine runs each op. */
#include "core/problem.h"
#include "core/text.h"
#include "net/parts.h"

/* Only the arena's own values take memory: views and what works in place lie on others. */
static int64_t own_bytes(const lamina_graph *graph, const lamina_node_op *node) {
  const lamina_op_def *op = lamina_op_at(node->op);
  int64_t bytes = 0;
  for (int i = 0; op->args[i].name; i++)
    if (lamina_is_output(&op->args[i]) && node->arg[i] >= 0 && graph->values[node->arg[i]].root == node->arg[i])
      bytes += lamina_desc_bytes(&graph->values[node->arg[i]].desc);
  return bytes;
}

lamina_status lamina_net_layer(lamina_net *net, int index, int64_t batch, lamina_layer_info *info) {
  lamina_executor *executor;
  LAMINA_NOT_NULL(net, "net");
  LAMINA_NOT_NULL(info, "info");
  if (index < 0 || index >= net->layer_count)
    return lamina_error(LAMINA_INVALID, "there is no layer %d; the net has %d", index, net->layer_count);
  LAMINA_TRY(lamina_net_executor(net, LAMINA_MODE_INFER, batch, NULL, 0, &executor));
  const lamina_graph *graph = &executor->graph;
  const lamina_desc *output = &graph->values[executor->layer_output[index]].desc;
  *info = (lamina_layer_info){.name = net->layers[index].name,
                              .kind = net->layers[index].def,
                              .inputs = net->layers[index].from_count,
                              .output = lamina_dense((lamina_dtype)output->dtype, output->rank, output->dims)};
  memcpy(info->from, net->layers[index].from, sizeof info->from);
  for (int p = 0; p < net->params.count; p++)
    if (net->params.list[p].layer == index && !net->params.list[p].state)
      info->parameters += lamina_desc_count(&net->params.list[p].desc);
  for (int n = 0; n < graph->node_count; n++) {
    double flops, bytes;
    lamina_problem problem;
    if (graph->nodes[n].layer != index || graph->nodes[n].op < 0) continue;
    LAMINA_TRY(lamina_graph_problem(graph, &graph->nodes[n], &problem));
    lamina_problem_work(&problem, &flops, &bytes);
    info->flops += flops;
    info->activation_bytes += own_bytes(graph, &graph->nodes[n]);
  }
  return LAMINA_OK;
}

/* Hands the finished text to the net, which keeps it until the next one. */
static lamina_status keep_text(lamina_net *net, lamina_text *built, const char **text) {
  const lamina_status status = lamina_text_status(built);
  if (status) {
    lamina_text_free(built);
    return status;
  }
  lamina_free(net->allocator, net->text);
  net->text = built->data;
  *text = net->text;
  return LAMINA_OK;
}

static bool is_chain(const lamina_net *net) {
  for (int i = 0; i < net->layer_count; i++)
    if (net->layers[i].from_count != 1 || net->layers[i].from[0] != i - 1) return false;
  return true;
}

/* "  stem, 2.conv": what a layer of a net with branches takes. */
static void put_inputs(lamina_text *text, const lamina_net *net, int index) {
  const lamina_layer *layer = &net->layers[index];
  for (int i = 0; i < layer->from_count; i++)
    lamina_text_print(text, "%s%s", i ? ", " : "  ", layer->from[i] < 0 ? "input" : net->layers[layer->from[i]].name);
}

lamina_status lamina_net_summary(lamina_net *net, int64_t batch, const char **text) {
  LAMINA_NOT_NULL(net, "net");
  LAMINA_NOT_NULL(text, "text");
  lamina_text table = {.allocator = net->allocator};
  double flops = 0;
  int64_t bytes = 0;
  char shape[128];
  lamina_status status = LAMINA_OK;
  const bool chain = is_chain(net);
  lamina_text_print(&table, "%-16s %-22s %14s %12s %12s%s\n", "layer", "output", "parameters", "MFLOP", "KiB",
                    chain ? "" : "  takes");
  for (int i = 0; i < net->layer_count && !status; i++) {
    lamina_layer_info info;
    status = lamina_net_layer(net, i, batch, &info);
    if (status) break;
    lamina_text_print(&table, "%-16s %-22s %14lld %12.2f %12.1f", info.name,
                      lamina_desc_text(&info.output, shape, sizeof shape), (long long)info.parameters, info.flops / 1e6,
                      (double)info.activation_bytes / 1024);
    if (!chain) put_inputs(&table, net, i);
    lamina_text_put(&table, "\n");
    flops += info.flops;
    bytes += info.activation_bytes;
  }
  lamina_text_print(&table, "%-39s %14lld %12.2f %12.1f\n", "total", (long long)lamina_net_parameter_total(net),
                    flops / 1e6, (double)bytes / 1024);
  if (!status) return keep_text(net, &table, text);
  lamina_text_free(&table);
  return status;
}

/* "; y f32[64,96,27,27]_1x16": outputs that don't lie row-major. */
static void put_layouts(lamina_text *text, const lamina_graph *graph, const lamina_node_op *node) {
  const lamina_op_def *op = lamina_op_at(node->op);
  for (int i = 0; op->args[i].name; i++) {
    char shape[192];
    if (!lamina_is_output(&op->args[i]) || node->arg[i] < 0) continue;
    const lamina_desc *desc = &graph->values[node->arg[i]].desc;
    if (!lamina_desc_is_dense(desc))
      lamina_text_print(text, "; %s %s", op->args[i].name, lamina_desc_text(desc, shape, sizeof shape));
  }
}

/* A line for each op from node `first` on. */
static void put_engines(lamina_text *text, const lamina_net *net, const lamina_graph *graph, int first) {
  for (int n = first; n < graph->node_count; n++) {
    const lamina_node_op *node = &graph->nodes[n];
    if (node->op < 0) continue;
    const char *why = lamina_plan_explain(node->plan);
    lamina_text_print(text, "%-16s %-32s %.*s", node->layer >= 0 ? net->layers[node->layer].name : "-",
                      lamina_op_at(node->op)->name, (int)strcspn(why, "\n"), why);
    put_layouts(text, graph, node);
    lamina_text_put(text, "\n");
  }
}

/* A batch in parts goes by the parts' own plans up to the update. */
static void put_parts(lamina_text *text, const lamina_net *net, const lamina_executor *executor) {
  int count;
  const lamina_graph *part = &lamina_parts_larger(executor->parts, &count)->graph;
  lamina_text_print(text, "in %d parts, each on a thread of its own; of %lld examples:\n", count,
                    (long long)part->batch);
  put_engines(text, net, part, 0);
  lamina_text_put(text, "all together:\n");
  put_engines(text, net, &executor->graph, executor->update);
}

lamina_status lamina_net_explain(lamina_net *net, int64_t batch, bool training, const char **text) {
  LAMINA_NOT_NULL(net, "net");
  LAMINA_NOT_NULL(text, "text");
  lamina_text lines = {.allocator = net->allocator};
  lamina_executor *executor;
  lamina_criterion criterion;
  LAMINA_TRY(lamina_net_criterion(net, NULL, NULL, &criterion));
  LAMINA_TRY(
      lamina_net_executor(net, training ? LAMINA_MODE_TRAIN : LAMINA_MODE_INFER, batch, &criterion, 0, &executor));
  if (executor->parts)
    put_parts(&lines, net, executor);
  else
    put_engines(&lines, net, &executor->graph, 0);
  return keep_text(net, &lines, text);
}
