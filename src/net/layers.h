/* What the rooms of layers share. A room, layers_NAME.c, holds the rows of some kinds of layer: their attributes, their
 * parameters and the nodes that they are made of. Its list goes into the table in layers.c. */
#ifndef LAMINA_NET_LAYERS_H
#define LAMINA_NET_LAYERS_H

#include "core/problem.h"
#include "net/graph.h"

#define LAMINA_FIELD(layer, field) .name = #field, .offset = offsetof(layer, field)
#define LAMINA_AT_LEAST_ONE        .least = 1, .most = 0x1p31 /* of something that must be there */
#define LAMINA_INIT_ATTR(layer)                                                                                        \
  { LAMINA_FIELD(layer, init), .type = LAMINA_ATTR_ENUM, .choices = lamina_initialisers }
#define LAMINA_BIAS_ATTR(layer)                                                                                        \
  { LAMINA_FIELD(layer, bias), .type = LAMINA_ATTR_BOOL, .preset = 1, .has = offsetof(layer, has_bias) }

extern const char *const lamina_initialisers[];
extern const lamina_attr_def lamina_no_attrs[];
extern const lamina_param_def lamina_no_params[];
extern const lamina_param_def lamina_weights_and_bias[]; /* w, b */

/* One node from the current value to the next: x → y. */
lamina_status lamina_emit_unary(lamina_graph *graph, const char *op, const void *attr);
/* The spatial axes of the current value [N, C, spatial…]: 1 to 3, or an error. */
lamina_status lamina_layer_spatial(const lamina_graph *graph, int *axes);
/* Numbers of spatial axes: an axis that isn't given is as the first one; none may be given that there isn't. */
lamina_status lamina_layer_spread(const char *name, int64_t out[3], const int64_t in[3], int axes);
lamina_status lamina_layer_pads(int64_t out[3][2], const int64_t in[3][2], int axes);
/* All axes but the first as one. */
lamina_status lamina_layer_flatten(lamina_graph *graph);

#endif
