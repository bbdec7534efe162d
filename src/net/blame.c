/* Who made the NaN: the step again, node by node, until a value is not finite. */
#include <math.h>

#include "core/device.h"
#include "net/trainer.h"

/* Is every element of this value finite? Integers always are. */
static lamina_status all_finite(const lamina_trainer *t, const lamina_slot *slot, int value, bool *finite) {
  const lamina_desc *desc = &t->executor->graph.values[value].desc;
  const size_t bytes = (size_t)lamina_desc_bytes(desc);
  *finite = true;
  if (!lamina_dtype_is_floating((lamina_dtype)desc->dtype)) return LAMINA_OK;
  char *host = lamina_alloc(t->net->allocator, bytes);
  if (!host) return LAMINA_OUT_OF_MEMORY;
  const lamina_status status =
      lamina_copy(t->net->device, host, lamina_executor_at(t->net, t->executor, value, &slot->feed), bytes, NULL);
  const int64_t count = lamina_desc_count(desc);
  for (int64_t i = 0; i < count && *finite && !status; i++)
    *finite = isfinite(lamina_load((lamina_dtype)desc->dtype, host, i));
  lamina_free(t->net->allocator, host);
  return status;
}

/* What the step is about, `what` isn't finite there, and who made it so. */
typedef struct blame {
  const lamina_trainer *trainer;
  const char *what;
} blame;

static lamina_status found(const blame *b, const char *who, const char *name) {
  return lamina_error(LAMINA_NOT_FINITE, "step %lld: %s is not finite; the first to make it so is %s %s",
                      (long long)b->trainer->now.total + 1, b->what, who, name);
}

/* What a node reads: the batch and the parameters; what other nodes gave was seen there. */
static lamina_status check_inputs(const blame *b, const lamina_slot *slot, const lamina_node_op *node) {
  const lamina_trainer *t = b->trainer;
  const lamina_op_def *op = lamina_op_at(node->op);
  for (int i = 0; op->args[i].name; i++) {
    bool finite = true;
    if (node->arg[i] < 0) continue;
    const lamina_value *value = &t->executor->graph.values[node->arg[i]];
    if (value->buffer != LAMINA_BUFFER_INPUT && value->buffer != LAMINA_BUFFER_PARAMETERS) continue;
    LAMINA_TRY(all_finite(t, slot, node->arg[i], &finite));
    if (!finite)
      return value->buffer == LAMINA_BUFFER_INPUT ? found(b, "the batch:", "its pictures")
                                                  : found(b, "the parameter", value->name);
  }
  return LAMINA_OK;
}

lamina_status lamina_trainer_blame(const lamina_trainer *t, const lamina_slot *slot, const char *what) {
  const lamina_graph *graph = &t->executor->graph;
  const blame b = {t, what};
  for (int n = 0; n < t->executor->update; n++) {
    const lamina_node_op *node = &graph->nodes[n];
    if (node->op < 0) continue;
    const lamina_op_def *op = lamina_op_at(node->op);
    LAMINA_TRY(check_inputs(&b, slot, node));
    LAMINA_TRY(lamina_executor_run(t->net, t->executor, n, n + 1, &slot->feed));
    for (int i = 0; op->args[i].name; i++) {
      bool finite = true;
      if (op->args[i].role == LAMINA_IN || node->arg[i] < 0) continue;
      LAMINA_TRY(all_finite(t, slot, node->arg[i], &finite));
      if (!finite)
        return found(&b, node->layer >= 0 ? "layer" : "the",
                     node->layer >= 0 ? t->net->layers[node->layer].name : "loss");
    }
  }
  return lamina_error(LAMINA_NOT_FINITE,
                      "step %lld: %s is not finite, but all that it is made of was when the step ran again",
                      (long long)t->now.total + 1, what);
}
