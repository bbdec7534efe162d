/* Layouts: how each value of a graph lies in memory. What is chosen is in the values' descriptions.
 *
 *   conv ─ t ─ relu ─ y ─ pool ─ p ─ conv          one variable for t and y, which relu goes through element by element,
 *    w                                w            one for p, one for each w and the gradient of it
 *
 * layout.c says what may be chosen, layout_cost.c what a choice costs, layout_search.c looks for the cheapest. */
#ifndef LAMINA_NET_LAYOUT_H
#define LAMINA_NET_LAYOUT_H

#include "net/graph.h"

/* How the data of a net may lie. */
typedef enum lamina_order {
  LAMINA_ORDER_PLAIN,   /* row-major */
  LAMINA_ORDER_LAST,    /* channels last */
  LAMINA_ORDER_BLOCK16, /* 16 channels side by side */
  LAMINA_ORDER_BLOCK8,
  LAMINA_ORDER_LANES, /* 16 examples side by side */
  LAMINA_ORDERS
} lamina_order;

enum {
  LAMINA_WEIGHT_LAYOUTS = 8, /* of a parameter, among which is chosen; the first is row-major */
  LAMINA_WEIGHT_ANY = 255    /* in the place of a number of theirs: what suits each node best */
};

/* What lies alike. */
typedef struct lamina_layout_variable {
  int joined;      /* the variable that this one is a part of, or itself */
  int param;       /* it is this parameter of the net and its gradient; -1: data */
  uint8_t allowed; /* data: the set of orders that it may have */
  uint8_t choice;  /* an order, or a number in the parameter's list */
} lamina_layout_variable;

typedef struct lamina_layout_weights {
  lamina_desc list[LAMINA_WEIGHT_LAYOUTS];
  int count;
} lamina_layout_weights;

typedef struct lamina_layout_cost lamina_layout_cost; /* what is known of a node */

typedef struct lamina_layouts {
  lamina_graph *graph;
  lamina_device *device;
  lamina_layout_variable *variables;
  int count;
  int *variable_of;               /* [values]: the variable of a value that is a root */
  lamina_layout_weights *weights; /* [parameters] */
  lamina_layout_cost *known;      /* a table with open places, of known_room, a power of two */
  int known_count, known_room;
} lamina_layouts;

/* layout.c */
lamina_status lamina_layouts_open(lamina_layouts *layouts, lamina_graph *graph, lamina_device *device);
void lamina_layouts_close(lamina_layouts *layouts);
/* Chooses, and says so in the graph's values. Again after nodes were fused: then what was chosen is where it starts. */
lamina_status lamina_layouts_choose(lamina_layouts *layouts);
/* The variable of a value; NULL: it is what it is. */
lamina_layout_variable *lamina_layout_variable_of(const lamina_layouts *layouts, int value);
/* The description of a value as its variable's choice has it. */
lamina_desc lamina_layout_desc(const lamina_layouts *layouts, int value);
/* Does the node have an argument of this variable? */
bool lamina_layout_touches(const lamina_layouts *layouts, int node, const lamina_layout_variable *variable);

/* layout_cost.c: what the node's best engine estimates, under the present choices; many where none takes it. */
lamina_status lamina_layout_seconds(lamina_layouts *layouts, int node, double *seconds);
/* Adds what engines choose for the parameter, at the nodes that take it or give its gradient, to its list. */
lamina_status lamina_layout_ask(lamina_layouts *layouts, const lamina_layout_variable *variable);

/* layout_search.c: sets the choices of all variables. `anew`: not from where they are. */
lamina_status lamina_layout_search(lamina_layouts *layouts, bool anew);

#endif
