/* Looking for the cheapest layouts: the sum of all nodes' estimates, brought down one variable at a time.
 *
 *   row-major, all in one order …, a mixture of what suits each best ─ the two cheapest, brought down ─ the cheaper
 *
 * One variable alone seldom gains, since what it saves in one node it costs in the next, so the search starts where all
 * have one order, and weights lie as each node likes best. An order is dropped for a variable where no node of it gains by
 * it there. Nothing here is random, and of two that cost the same the first is taken. A graph whose ops take little more than
 * it takes to start them stays as it is. */
#include "net/layout.h"

/* What another layout must gain, so that row-major data isn't left for nothing. */
static const double least_share = 0.004, least_seconds = 4e-6;
/* What an op takes however its tensors lie; and what all must take above that for a search of some milliseconds to be paid
 * back within a thousand runs. */
static const double least_op = 2e-6, worth_looking = 10e-6;

static bool is_free(const lamina_layouts *l, int v) {
  const lamina_layout_variable *variable = &l->variables[v];
  if (variable->joined != v) return false;
  if (variable->param >= 0) return !l->graph->settled;
  return variable->allowed != 1u << LAMINA_ORDER_PLAIN;
}

static lamina_status total(lamina_layouts *l, double *seconds) {
  *seconds = 0;
  for (int n = 0; n < l->graph->node_count; n++) {
    double node;
    LAMINA_TRY(lamina_layout_seconds(l, n, &node));
    *seconds += node;
  }
  return LAMINA_OK;
}

/* Could another choice for all of them gain enough? */
static lamina_status could_gain(lamina_layouts *l, bool *gain) {
  double above = 0, node;
  for (int n = 0; n < l->graph->node_count; n++) {
    LAMINA_TRY(lamina_layout_seconds(l, n, &node));
    if (node > least_op) above += node - least_op;
  }
  *gain = above > worth_looking;
  return LAMINA_OK;
}

/* Of the nodes that have an argument of the variable. */
static lamina_status around(lamina_layouts *l, const lamina_layout_variable *variable, double *seconds) {
  *seconds = 0;
  for (int n = 0; n < l->graph->node_count; n++) {
    double node;
    if (!lamina_layout_touches(l, n, variable)) continue;
    LAMINA_TRY(lamina_layout_seconds(l, n, &node));
    *seconds += node;
  }
  return LAMINA_OK;
}

/* ---- Bringing down ---------------------------------------------------------------------------------------------- */

static lamina_status improve(lamina_layouts *l, lamina_layout_variable *variable, bool *changed) {
  const uint8_t before = variable->choice;
  const int choices = variable->param >= 0 ? l->weights[variable->param].count : LAMINA_ORDERS;
  uint8_t best = before;
  double least, seconds;
  LAMINA_TRY(around(l, variable, &least));
  for (int c = 0; c < choices; c++) {
    if (c == before || (variable->param < 0 && !(variable->allowed & 1u << c))) continue;
    variable->choice = (uint8_t)c;
    LAMINA_TRY(around(l, variable, &seconds));
    if (seconds < least * (1 - 1e-9)) least = seconds, best = (uint8_t)c;
  }
  variable->choice = best;
  *changed |= best != before;
  return LAMINA_OK;
}

static lamina_status ask_all(lamina_layouts *l) {
  for (int v = 0; v < l->count; v++)
    if (is_free(l, v) && l->variables[v].param >= 0) LAMINA_TRY(lamina_layout_ask(l, &l->variables[v]));
  return LAMINA_OK;
}

/* Weights have a layout of their list from here on. */
static void settle_weights(lamina_layouts *l) {
  for (int v = 0; v < l->count; v++)
    if (l->variables[v].param >= 0 && l->variables[v].choice == LAMINA_WEIGHT_ANY) l->variables[v].choice = 0;
}

static lamina_status bring_down(lamina_layouts *l) {
  enum { SWEEPS = 8 };
  bool changed = true;
  settle_weights(l);
  for (int sweep = 0; sweep < SWEEPS && changed; sweep++) {
    changed = false;
    if (sweep < 2) LAMINA_TRY(ask_all(l));
    for (int weights = 1; weights >= 0; weights--)
      for (int v = 0; v < l->count; v++)
        if (is_free(l, v) && (l->variables[v].param >= 0) == (weights == 1))
          LAMINA_TRY(improve(l, &l->variables[v], &changed));
  }
  return LAMINA_OK;
}

/* ---- Starts ----------------------------------------------------------------------------------------------------- */

/* All data in one order where they may have it, weights as each node likes best. */
static void all_in(lamina_layouts *l, int order) {
  for (int v = 0; v < l->count; v++) {
    lamina_layout_variable *variable = &l->variables[v];
    if (!is_free(l, v)) continue;
    variable->choice = variable->param >= 0              ? LAMINA_WEIGHT_ANY
                       : variable->allowed & 1u << order ? (uint8_t)order
                                                         : LAMINA_ORDER_PLAIN;
  }
}

/* What every node costs with all data in an order. */
typedef double node_seconds[LAMINA_ORDERS];

/* Where a node gains by 16 channels side by side, 8 are only for what isn't a multiple of 16. */
static void leave_narrow(lamina_layouts *l, node_seconds *node) {
  const unsigned wide = 1u << LAMINA_ORDER_BLOCK16, narrow = 1u << LAMINA_ORDER_BLOCK8;
  bool gains = false;
  for (int n = 0; n < l->graph->node_count; n++)
    gains |= node[n][LAMINA_ORDER_BLOCK16] < node[n][LAMINA_ORDER_PLAIN] * (1 - 1e-9);
  for (int v = 0; v < l->count && gains; v++)
    if (l->variables[v].allowed & wide) l->variables[v].allowed &= (uint8_t)~narrow;
}

static lamina_status measure(lamina_layouts *l, node_seconds *node) {
  for (int order = 0; order < LAMINA_ORDERS; order++) {
    if (order == LAMINA_ORDER_BLOCK8) leave_narrow(l, node);
    all_in(l, order);
    for (int n = 0; n < l->graph->node_count; n++) LAMINA_TRY(lamina_layout_seconds(l, n, &node[n][order]));
  }
  return LAMINA_OK;
}

static void drop_useless(lamina_layouts *l, node_seconds *node) {
  for (int v = 0; v < l->count; v++) {
    lamina_layout_variable *variable = &l->variables[v];
    unsigned useful = 1u << LAMINA_ORDER_PLAIN;
    if (!is_free(l, v) || variable->param >= 0) continue;
    for (int n = 0; n < l->graph->node_count; n++)
      for (int order = 1; order < LAMINA_ORDERS && lamina_layout_touches(l, n, variable); order++)
        if (node[n][order] < node[n][0] * (1 - 1e-9)) useful |= 1u << order;
    variable->allowed &= (uint8_t)useful;
    variable->choice = LAMINA_ORDER_PLAIN;
  }
}

static int cheapest(const lamina_layouts *l, node_seconds *node) {
  double least = 0;
  int best = 0;
  for (int order = 0; order < LAMINA_ORDERS; order++) {
    double sum = 0;
    for (int n = 0; n < l->graph->node_count; n++) sum += node[n][order];
    if (order == 0 || sum < least) least = sum, best = order;
  }
  return best;
}

/* Each variable in the order in which the nodes around it cost least. */
static void mix(lamina_layouts *l, node_seconds *node) {
  all_in(l, LAMINA_ORDER_PLAIN);
  for (int v = 0; v < l->count; v++) {
    lamina_layout_variable *variable = &l->variables[v];
    node_seconds sum = {0};
    if (!is_free(l, v) || variable->param >= 0) continue;
    for (int n = 0; n < l->graph->node_count; n++)
      for (int order = 0; order < LAMINA_ORDERS && lamina_layout_touches(l, n, variable); order++)
        sum[order] += node[n][order];
    for (int order = 1; order < LAMINA_ORDERS; order++)
      if (variable->allowed & 1u << order && sum[order] < sum[variable->choice] * (1 - 1e-9))
        variable->choice = (uint8_t)order;
  }
}

static void copy_choices(const lamina_layouts *l, uint8_t *to) {
  for (int v = 0; v < l->count; v++) to[v] = l->variables[v].choice;
}
static void take_choices(lamina_layouts *l, const uint8_t *from) {
  for (int v = 0; v < l->count; v++) l->variables[v].choice = from[v];
}

/* Keeps the cheaper of what `best` holds and what the variables are now. */
static lamina_status keep_better(lamina_layouts *l, uint8_t *best, double *least) {
  double seconds;
  LAMINA_TRY(bring_down(l));
  LAMINA_TRY(total(l, &seconds));
  if (seconds < *least) *least = seconds, copy_choices(l, best);
  return LAMINA_OK;
}

/* What another layout must be below, where this is what there is. */
static double bar(double seconds) {
  return seconds - (seconds * least_share > least_seconds ? seconds * least_share : least_seconds);
}

static lamina_status start_anew(lamina_layouts *l, node_seconds *node, uint8_t *best) {
  double plain;
  bool gain;
  all_in(l, LAMINA_ORDER_PLAIN);
  settle_weights(l);
  copy_choices(l, best);
  LAMINA_TRY(could_gain(l, &gain));
  if (!gain) return LAMINA_OK;
  LAMINA_TRY(total(l, &plain));
  double least = bar(plain);
  LAMINA_TRY(measure(l, node));
  const int order = cheapest(l, node);
  drop_useless(l, node);
  all_in(l, order);
  LAMINA_TRY(keep_better(l, best, &least));
  mix(l, node);
  return keep_better(l, best, &least);
}

static lamina_status go_on(lamina_layouts *l, uint8_t *best) {
  double least;
  bool gain;
  copy_choices(l, best);
  LAMINA_TRY(could_gain(l, &gain));
  if (!gain) return LAMINA_OK;
  LAMINA_TRY(total(l, &least));
  least = bar(least);
  return keep_better(l, best, &least);
}

lamina_status lamina_layout_search(lamina_layouts *l, bool anew) {
  const lamina_allocator *allocator = l->graph->allocator;
  bool any = false;
  for (int v = 0; v < l->count; v++) any |= is_free(l, v);
  if (!any) return LAMINA_OK;
  node_seconds *node = lamina_alloc_zero(allocator, ((size_t)l->graph->node_count + 1) * sizeof *node);
  uint8_t *best = lamina_alloc_zero(allocator, (size_t)l->count);
  lamina_status status = node && best ? LAMINA_OK : LAMINA_OUT_OF_MEMORY;
  if (!status) status = anew ? start_anew(l, node, best) : go_on(l, best);
  if (!status) take_choices(l, best);
  lamina_free(allocator, node);
  lamina_free(allocator, best);
  return status;
}
