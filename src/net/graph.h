/* The graph: op nodes in the order they run, and the values between them, for one batch size.
 *
 *   forward          loss            backward                update
 *   x ─conv─relu─… ─ cross-entropy ─ … relu'─conv' (dw, dx) ─ sgd over all parameters
 *
 * A value lives in one of the net's buffers at an offset; activations share the arena, where memory.c places them by
 * lifetime. A view is a value whose root is another one; what is read and written in place has one root, too. */
#ifndef LAMINA_NET_GRAPH_H
#define LAMINA_NET_GRAPH_H

#include "core/base.h"
#include "lamina/layers.h"

#ifdef __cplusplus /* for tests */
extern "C" {
#endif

typedef enum lamina_buffer {
  LAMINA_BUFFER_ARENA,
  LAMINA_BUFFER_INPUT,  /* the examples, the caller's */
  LAMINA_BUFFER_LABELS, /* the caller's */
  LAMINA_BUFFER_PARAMETERS,
  LAMINA_BUFFER_STATE, /* parameters that aren't trained */
  LAMINA_BUFFER_GRADIENTS,
  LAMINA_BUFFER_MOMENT1,
  LAMINA_BUFFER_MOMENT2,
  LAMINA_BUFFER_MASTERS, /* parameters in f32, of which a narrow net's ops read roundings; while it is trained and after */
  LAMINA_BUFFER_STEP,    /* the step block: all that changes from step to step */
  LAMINA_BUFFER_RESULT, /* what a batch leaves for the host */
  LAMINA_BUFFER_CONSTANTS,
  LAMINA_BUFFER_CLASS_WEIGHTS, /* of the loss */
  LAMINA_BUFFERS
} lamina_buffer;

enum { LAMINA_OF_UPDATE = -2 };                 /* in a layer's place; -1: of the loss */
enum { LAMINA_ABSENT = -1, LAMINA_FRESH = -2 }; /* in an argument's place: none; make the inferred output */

typedef struct lamina_value {
  char name[64];
  lamina_desc desc;
  lamina_buffer buffer;
  size_t offset;
  size_t within;   /* of a view of a part: bytes from its root's start */
  int root;        /* the value whose memory this is; its own index: its own */
  bool varies;     /* depends on a parameter, so it has a gradient */
  int gradient;    /* the value that holds it; LAMINA_ABSENT: none yet */
  int parameter;   /* index of the net's parameter, or -1 */
  int next;        /* of a state: the value that takes its place when the step is done, or LAMINA_ABSENT */
  bool kept;       /* read after the run: it lives to the end */
  int first, last; /* the nodes that it lives through; of roots */
} lamina_value;

typedef struct lamina_node_op { /* a node */
  int op;                       /* -1: a view, arg[0] seen as arg[1] */
  uint8_t attr[LAMINA_ATTR_BYTES];
  int arg[LAMINA_MAX_ARGS];
  int layer; /* index of the layer that it came from; below 0: loss or update */
  uint32_t aliased;
  lamina_plan *plan;
  size_t workspace_offset; /* in the arena */
} lamina_node_op;

/* The type of what a net keeps wide, whatever its own: parameters seen from outside, their masters and moments, states,
 * losses and norms. */
static inline lamina_dtype lamina_wide(lamina_dtype dtype) { return dtype == LAMINA_F64 ? LAMINA_F64 : LAMINA_F32; }
/* Is a net of this type one of narrow numbers, whose parameters are wide from outside? */
static inline bool lamina_is_narrow(lamina_dtype dtype) { return dtype == LAMINA_BF16 || dtype == LAMINA_F16; }

/* A parameter of the net, before any memory. */
typedef struct lamina_param {
  char name[64];
  lamina_desc desc;    /* row-major and wide: as all see it from outside */
  lamina_desc plain;   /* row-major, of the type that ops read */
  lamina_desc settled; /* as the net's planned graphs have it */
  lamina_desc held;    /* as it lies in the net's blocks, where those of masters and moments are wide */
  int layer;
  double fan_in, fan_out;
  bool constant, decay, state; /* as in lamina_param_def */
  double value;
  size_t offset; /* bytes in its block, that of parameters or that of states */
} lamina_param;

typedef struct lamina_params {
  lamina_param *list;
  int count, room;
  int trained;               /* how many are no states */
  size_t bytes, state_bytes; /* of the two blocks */
} lamina_params;

static inline lamina_buffer lamina_param_buffer(const lamina_param *param) {
  return param->state ? LAMINA_BUFFER_STATE : LAMINA_BUFFER_PARAMETERS;
}

struct lamina_layer {
  const lamina_layer_def *def;
  uint8_t attr[LAMINA_ATTR_BYTES]; /* its descriptor, right behind a pointer so that it is aligned as one */
  char name[40];                   /* "0.conv" */
  int axes;                        /* spatial axes of its first input: 0 to 3 */
  int from[LAMINA_MAX_INPUTS];     /* the layers whose outputs it takes; -1: the net's input */
  int from_count;
  int shape; /* the value of its output in the net's shape graph */
};

struct lamina_graph {
  const lamina_allocator *allocator;
  lamina_dtype dtype;
  lamina_math math;
  int64_t batch;
  bool training;
  bool settled; /* the parameters' layouts are; else planning chooses them, too */
  lamina_value *values;
  int value_count, value_room;
  lamina_node_op *nodes;
  int node_count, node_room;
  lamina_params *params;
  int param_next;               /* the next parameter that a layer asks for */
  int rng;                      /* the value of the step block that dropout reads; LAMINA_ABSENT in inference */
  int layer;                    /* being expanded */
  const char *layer_name;       /* of it */
  int x;                        /* the value that the layer takes, then the one that it gives */
  int input[LAMINA_MAX_INPUTS]; /* all values that it takes; the first is x */
  int input_count;
  size_t arena; /* bytes */
};

void lamina_graph_close(lamina_graph *graph);
/* What is in the graph now, to come back to when a layer fails. */
typedef struct lamina_graph_mark {
  int values, nodes, param_next;
  lamina_params params;
} lamina_graph_mark;
lamina_graph_mark lamina_graph_here(const lamina_graph *graph);
void lamina_graph_back(lamina_graph *graph, lamina_graph_mark mark);

lamina_status lamina_graph_value(lamina_graph *graph, const char *name, const lamina_desc *desc, lamina_buffer buffer,
                                 size_t offset, int *value);
/* A dense value seen with other dims. */
lamina_status lamina_graph_view(lamina_graph *graph, int value, int rank, const int64_t *dims, int *view);
/* Parameter `index` of the layer's row; made when the graph is built for the first time, found again later. */
lamina_status lamina_graph_param(lamina_graph *graph, const lamina_layer *layer, int index, int rank,
                                 const int64_t *dims, double fan_in, double fan_out, int *value);
/* The state `state` becomes `next` when a training step is done; a step that fails leaves it as it is. */
void lamina_graph_next_state(lamina_graph *graph, int state, int next);
/* Emits the layer's nodes: from the values `input`, as many as it takes, to graph->x. */
lamina_status lamina_layer_expand(lamina_graph *graph, const lamina_layer *layer, const int *input);
/* `value` in another type: a new one. */
lamina_status lamina_graph_cast(lamina_graph *graph, int value, const char *name, lamina_dtype dtype, int *cast);
/* The input, of this shape and type, and behind it, where these aren't the graph's numbers, its cast, which the first layer
 * is said to do; graph->x is what layers take. */
lamina_status lamina_graph_input(lamina_graph *graph, const lamina_desc *desc);
/* Appends a node. arg[i]: a value, LAMINA_ABSENT or LAMINA_FRESH, which becomes the new value. */
lamina_status lamina_graph_emit(lamina_graph *graph, const char *op, const void *attr, int *arg);
/* The problem of a node, inferred. */
lamina_status lamina_graph_problem(const lamina_graph *graph, const lamina_node_op *node, lamina_problem *problem);

/* backward.c: appends what computes the gradient of every parameter. values[loss].gradient must be set. */
lamina_status lamina_graph_backward(lamina_graph *graph);
/* fuse_pool.c: makes one node of a relu and the max pool that takes it. Before the backward pass is appended. */
lamina_status lamina_graph_fuse_pools(lamina_graph *graph, lamina_device *device);
/* layout.c: chooses how values lie in memory, fuse.c: makes one node of two where a fused op has an engine that is faster.
 * Behind all that emits nodes. */
lamina_status lamina_graph_arrange(lamina_graph *graph, lamina_device *device);
lamina_status lamina_graph_fuse(lamina_graph *graph, lamina_device *device);
/* memory.c: runs in place what can be, plans every node on the device and gives every value and workspace its place. */
lamina_status lamina_graph_place(lamina_graph *graph, lamina_device *device);
/* Arranges, then places. */
lamina_status lamina_graph_plan(lamina_graph *graph, lamina_device *device);
/* The node at which most of the arena is in use; -1: none uses any. */
int lamina_graph_widest(const lamina_graph *graph);

#ifdef __cplusplus
}
#endif

#endif
