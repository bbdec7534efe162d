/* What layouts cost: the estimates of engines, which contain what they reorder inside and what the core packs. Each is
 * asked for once. */
#include "core/candidates.h"
#include "core/problem.h"
#include "net/layout.h"

/* A node and the choices of its arguments' variables, and what came of asking. `op` tells it from what it was before it
 * was fused; -1: the place is open. */
typedef struct known_key {
  int32_t node, op;
  uint8_t choice[LAMINA_MAX_ARGS];
} known_key;
struct lamina_layout_cost {
  known_key key;
  double seconds;
};

/* What no engine takes costs more than any sum of what some do. */
static const double impossible = 1e9;

/* ---- The table -------------------------------------------------------------------------------------------------- */

/* FNV-1a (Fowler, Noll and Vo). */
static uint32_t hash(const known_key *key) {
  uint32_t sum = 2166136261u;
  for (size_t i = 0; i < sizeof *key; i++) sum = (sum ^ ((const uint8_t *)key)[i]) * 16777619u;
  return sum;
}

/* The place of the key, or the open one where it belongs. */
static lamina_layout_cost *find(lamina_layout_cost *table, int room, const known_key *key) {
  uint32_t at = hash(key) & (uint32_t)(room - 1);
  while (table[at].key.op >= 0 && memcmp(&table[at].key, key, sizeof *key) != 0) at = (at + 1) & (uint32_t)(room - 1);
  return &table[at];
}

static lamina_status room_for_one(lamina_layouts *l) {
  if (2 * l->known_count < l->known_room) return LAMINA_OK;
  const int room = l->known_room ? 2 * l->known_room : 256;
  lamina_layout_cost *grown = lamina_alloc(l->graph->allocator, (size_t)room * sizeof *grown);
  if (!grown) return LAMINA_OUT_OF_MEMORY;
  for (int i = 0; i < room; i++) grown[i].key.op = -1;
  for (int i = 0; i < l->known_room; i++)
    if (l->known[i].key.op >= 0) *find(grown, room, &l->known[i].key) = l->known[i];
  lamina_free(l->graph->allocator, l->known);
  l->known = grown;
  l->known_room = room;
  return LAMINA_OK;
}

/* ---- Asking ----------------------------------------------------------------------------------------------------- */

static lamina_status problem_of(const lamina_layouts *l, const lamina_node_op *node, lamina_problem *problem) {
  lamina_desc desc[LAMINA_MAX_ARGS];
  const lamina_desc *shape[LAMINA_MAX_ARGS] = {NULL};
  for (int i = 0; i < LAMINA_MAX_ARGS; i++) {
    if (node->arg[i] < 0) continue;
    desc[i] = lamina_layout_desc(l, node->arg[i]);
    shape[i] = &desc[i];
  }
  LAMINA_TRY(lamina_problem_init(problem, node->op, node->attr, shape));
  problem->aliased = node->aliased;
  problem->math = (int32_t)l->graph->math;
  return lamina_problem_infer(problem);
}

static bool is_refusal(lamina_status status) { return status == LAMINA_UNSUPPORTED || status == LAMINA_INVALID; }

lamina_status lamina_layout_seconds(lamina_layouts *l, int n, double *seconds) {
  const lamina_node_op *node = &l->graph->nodes[n];
  known_key key;
  lamina_problem problem;
  *seconds = 0;
  if (node->op < 0) return LAMINA_OK;
  memset(&key, 0, sizeof key);
  key.node = n, key.op = node->op;
  for (int i = 0; i < LAMINA_MAX_ARGS; i++)
    if (node->arg[i] >= 0) key.choice[i] = lamina_layout_variable_of(l, node->arg[i])->choice;
  LAMINA_TRY(room_for_one(l));
  lamina_layout_cost *known = find(l->known, l->known_room, &key);
  if (known->key.op < 0) {
    lamina_status status = problem_of(l, node, &problem);
    if (!status) status = lamina_estimate(l->device, &problem, NULL, &known->seconds);
    if (status && !is_refusal(status)) return status;
    if (status || known->seconds < 0) known->seconds = impossible;
    known->key = key;
    l->known_count++;
  }
  *seconds = known->seconds;
  return LAMINA_OK;
}

/* ---- What engines choose for weights ---------------------------------------------------------------------------- */

static void add_to_list(lamina_layout_weights *weights, lamina_desc desc) {
  if (lamina_desc_is_dense(&desc)) return;
  desc.align = weights->list[0].align;
  for (int c = 0; c < weights->count; c++)
    if (memcmp(&weights->list[c], &desc, sizeof desc) == 0) return;
  if (weights->count < LAMINA_WEIGHT_LAYOUTS) weights->list[weights->count++] = desc;
}

static lamina_status ask_at(lamina_layouts *l, const lamina_node_op *node, const lamina_layout_variable *variable) {
  lamina_layout_weights *weights = &l->weights[variable->param];
  lamina_problem problem;
  lamina_plan *plan;
  lamina_status status = problem_of(l, node, &problem);
  if (!status) status = lamina_plan_open(l->device, &problem, NULL, &plan);
  if (status) return is_refusal(status) ? LAMINA_OK : status;
  for (int i = 0; i < LAMINA_MAX_ARGS; i++)
    if (node->arg[i] >= 0 && lamina_layout_variable_of(l, node->arg[i]) == variable)
      add_to_list(weights, lamina_plan_problem(plan)->arg[i]);
  lamina_plan_close(plan);
  return LAMINA_OK;
}

lamina_status lamina_layout_ask(lamina_layouts *l, const lamina_layout_variable *given) {
  lamina_layout_variable *variable = &l->variables[given - l->variables];
  const uint8_t before = variable->choice;
  lamina_status status = LAMINA_OK;
  if (l->graph->settled) return LAMINA_OK;
  for (int n = 0; n < l->graph->node_count && !status; n++) {
    if (!lamina_layout_touches(l, n, variable)) continue;
    variable->choice = LAMINA_WEIGHT_ANY;
    status = ask_at(l, &l->graph->nodes[n], variable);
    variable->choice = before;
  }
  return status;
}
