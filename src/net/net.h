/* A net inside the library: layers, parameters, and the graphs that were planned for it.
 *
 *   lamina_net ─ layers ─ params ─ blocks (parameters, masters, gradients, moments, step, constants, arena)
 *             ├─ executors: one for each (mode, batch): a planned graph with its own values in the shared blocks
 *             └─ defaults: what the recipe says about training and data (recipe.c) */
#ifndef LAMINA_NET_NET_H
#define LAMINA_NET_NET_H

#include <pthread.h>

#include "lamina/profile.h"
#include "lamina/train.h"
#include "net/graph.h"

#ifdef __cplusplus /* for tests */
extern "C" {
#endif

/* The step block, in the device's memory: what changes from step to step and is read by ops. */
typedef struct lamina_step_block {
  float rate;          /* of the optimizer */
  float loss_gradient; /* dy of the loss */
  int64_t step;        /* 1 at the first update */
  int64_t rng[2];      /* seed, step from 0 */
} lamina_step_block;

/* What a batch leaves behind, in the device's memory: wide numbers, and counts in i64. The sum of all losses
 * since the trainer was opened stops being finite with the first that isn't, or with the first norm of gradients that
 * isn't, and holds back all updates from there on. */
enum {
  LAMINA_RESULT_LOSS = 0,
  LAMINA_RESULT_SUM = 64,
  LAMINA_RESULT_NORM = 128,
  LAMINA_RESULT_HITS = 192, /* two, 64 bytes apart */
  LAMINA_RESULT_BYTES = 320
};

/* Batches that may be in flight at once, in training and in evaluation, on a device that works beside the host. */
enum { LAMINA_SLOTS = 2 };

typedef enum lamina_mode {
  LAMINA_MODE_INFER,
  LAMINA_MODE_EVALUATE,  /* mean loss, and hits */
  LAMINA_MODE_GRADIENTS, /* mean loss, hits, gradients in their block */
  LAMINA_MODE_TRAIN      /* mean loss, hits, update */
} lamina_mode;

/* What the update of a training graph does. */
typedef struct lamina_update {
  char op[64]; /* "sgd/update"; "": none */
  uint8_t attr[LAMINA_ATTR_BYTES];
  double decay;                 /* weight decay of parameters that take it */
  double clip_norm, clip_value; /* what gradients are clipped to before it; 0: they aren't */
  int moments;                  /* vectors of state: 0 to 2 */
  bool keeps;                   /* gradients are there after a step */
} lamina_update;

/* A loss: the family of its ops and their descriptor, which begins with the reduction. Family "": none. */
typedef struct lamina_criterion {
  char family[48];
  uint8_t attr[LAMINA_ATTR_BYTES];
} lamina_criterion;

/* A batch cut into parts, one to a thread: parts.c. */
typedef struct lamina_parts lamina_parts;

typedef struct lamina_executor {
  lamina_graph graph;
  lamina_mode mode;
  lamina_criterion criterion;
  int64_t k;
  lamina_update applied;                  /* what the update nodes do */
  bool held;                              /* by a trainer, so it stays */
  int output, labels, loss, sum, hits[2]; /* values; sum: of all losses */
  int norm;                               /* of all gradients, where they are clipped by it */
  int update;                             /* the first node that changes the net; node_count without one */
  lamina_parts *parts;                    /* what runs in the place of all nodes before the update; NULL: they do */
  bool early;                             /* each parameter is updated behind its gradient: update.c */
  int *layer_output;                      /* [layers]: the value that each gives */
  struct lamina_executor *next;           /* asked for longer ago */
} lamina_executor;

/* Whose graph the parameters' layouts were chosen for. */
typedef enum lamina_settled {
  LAMINA_SETTLED_NONE,
  LAMINA_SETTLED_EARLIER, /* one that doesn't train, or isn't that of the trainer that is opening: training chooses anew */
  LAMINA_SETTLED_TRAINING
} lamina_settled;

/* What a recipe says beside the layers; all zero without one. Strings are the net's. */
typedef struct lamina_defaults {
  lamina_training training; /* without datasets, callbacks and pointers */
  lamina_criterion loss;
  char optimizer[48]; /* family; "": it doesn't say */
  uint8_t optimizer_attrs[LAMINA_ATTR_BYTES];
  char *train, *test, *root; /* of the data */
  lamina_normalisation normalise;
} lamina_defaults;

/* Who is told of the ops that run: trace.c. */
typedef struct lamina_trace lamina_trace;

struct lamina_net {
  pthread_mutex_t turn; /* of lamina_net_forward: all threads that call it share the arena */
  lamina_device *device;
  lamina_device *solo; /* the same for one thread, where batches are cut into parts; else NULL */
  const lamina_allocator *allocator;
  lamina_net_options options;
  lamina_desc input; /* with a batch of 1 */
  lamina_layer *layers;
  int layer_count, layer_room;
  lamina_params params;
  lamina_graph shape;     /* batch 1, inference, not planned: what lamina_net_add works on */
  int first;              /* its value of the input as layers take it */
  lamina_update update;   /* of the trainer, or of the last one */
  bool training;          /* a trainer is open */
  lamina_settled settled; /* who chose the parameters' layouts */
  const lamina_executor *settler;
  lamina_executor *executors; /* a few, the last one asked for first */
  void *block[LAMINA_BUFFERS];
  size_t size[LAMINA_BUFFERS];
  void *parts_block; /* of what executors cut into parts use, one at a time */
  size_t parts_size;
  bool set;       /* the parameters have values */
  bool gradients; /* the gradients' block holds some */
  char *text;     /* of summary and explain */
  char *recipe;
  lamina_defaults defaults;
  lamina_dataset *train, *test; /* of the recipe, once opened */
  char **class_names;           /* [classes], or NULL */
  int64_t class_count;
  float low, high;     /* black and white of the training data; both 0: 0 and 1 */
  lamina_trace *trace; /* NULL: nobody */
};

static inline size_t lamina_element(const lamina_net *net) { return lamina_dtype_size(net->shape.dtype); }
/* Of losses, norms, masters and moments. */
static inline lamina_dtype lamina_net_wide(const lamina_net *net) { return lamina_wide(net->shape.dtype); }

/* n examples of f32 numbers as the net takes them: x itself, or copies in `room`, which is so many bytes; 0: x itself. */
size_t lamina_net_input_room(const lamina_net *net, int64_t n);
const void *lamina_net_as_input(const lamina_net *net, int64_t n, const float *x, void *room);

/* Batches that a loader makes ahead: one where it is large and lies in the net's own memory, since the step on it takes
 * long enough to make the next; 0: the loader's preset. */
int lamina_net_ahead(const lamina_net *net, int64_t batch);

/* A shape without its batch axis. */
lamina_desc lamina_example_of(const lamina_desc *desc);
/* build.c: a layer that could be added next, with its name, its inputs and their axes; its descriptor is still 0. */
lamina_status lamina_layer_open(const lamina_net *net, const char *kind, const lamina_layer_options *options,
                                lamina_layer *layer);
/* INVALID, naming it, where there is a layer whose output nobody takes. */
lamina_status lamina_net_check_layers(const lamina_net *net);
/* For how many spatial axes a layer's lists give a number each; 0: its lists are of other things. */
int lamina_layer_axes(const lamina_layer *layer);

/* Is the device's memory the host's? Then a batch needs no copy. */
bool lamina_net_on_host(const lamina_net *net);
/* Is it on the built-in CPU, with no engine but its own? What these fail by once they are planned is known, they may run
 * in several threads at once, and a second device is opened that has the same; of a module's or a plug-in's it isn't
 * known. */
bool lamina_net_on_own_engines(const lamina_net *net);
/* The executor of this mode and batch; planned when it is asked for first. Its memory is not yet taken. `loss`: NULL in
 * inference; `k`: of the second count of hits. It stays until a few others were asked for. */
lamina_status lamina_net_executor(lamina_net *net, lamina_mode mode, int64_t batch, const lamina_criterion *loss,
                                  int64_t k, lamina_executor **executor);
/* The values of the step block and of what a batch leaves. */
lamina_status lamina_step_value(lamina_graph *graph, const char *name, lamina_dtype dtype, int64_t count, size_t offset,
                                int *value);
lamina_status lamina_result_value(lamina_graph *graph, const char *name, lamina_dtype dtype, size_t offset, int *value);
/* update.c: all that comes behind the loss in training. */
lamina_status lamina_executor_add_training(const lamina_net *net, lamina_executor *executor, bool apart);
/* Puts each parameter's update behind its gradient, in a graph that is arranged. */
lamina_status lamina_executor_update_early(const lamina_net *net, lamina_executor *executor);
/* The block of what updates take that doesn't change. */
size_t lamina_constants_size(const lamina_net *net);
lamina_status lamina_constants_write(const lamina_net *net);
/* A new executor, planned on `device`: the net's, or the one for a single thread, where parameters lie as is settled.
 * `apart`: its update comes at the end, from the gradients' block. */
lamina_status lamina_executor_open(lamina_net *net, lamina_device *device, lamina_mode mode, int64_t batch,
                                   const lamina_criterion *loss, int64_t k, bool apart, lamina_executor **executor);
void lamina_executor_close(lamina_net *net, lamina_executor *executor);
/* Takes what memory the executor still lacks. */
lamina_status lamina_net_take(lamina_net *net, const lamina_executor *executor);
/* Both, and between them a look at whether there is as much memory as that. */
lamina_status lamina_net_ready(lamina_net *net, lamina_mode mode, int64_t batch, const lamina_criterion *loss,
                               int64_t k, lamina_executor **executor);
lamina_status lamina_net_take_parameters(lamina_net *net);
/* Before a trainer opens: its executor chooses the layouts of parameters, whatever was planned before, so that equal
 * trainings are equal. */
void lamina_net_unsettle(lamina_net *net);

/* masters.c: the blocks with a place for each parameter. The type of their elements; byte `offset` of the parameters' own
 * block in bytes of this one; its size. */
lamina_dtype lamina_block_dtype(const lamina_net *net, lamina_buffer buffer);
size_t lamina_block_offset(const lamina_net *net, lamina_buffer buffer, size_t offset);
size_t lamina_block_size(const lamina_net *net, lamina_buffer buffer);
/* The block that holds a parameter most exactly. */
lamina_buffer lamina_param_best(const lamina_net *net, const lamina_param *param);
/* How a parameter, or what belongs to it, lies in a block, which begins at `base`. */
lamina_tensor lamina_param_in(const lamina_net *net, const lamina_param *param, lamina_buffer buffer, void *base);
/* Before a narrow net is trained: its masters, from what the parameters are. Nothing for others. */
lamina_status lamina_net_take_masters(lamina_net *net);
/* Parameters become their masters, rounded; nothing where there are none. */
lamina_status lamina_net_round_masters(lamina_net *net);

/* held.c: parameter `index`, or its gradient, from and to host memory: wide and row-major. */
lamina_status lamina_net_fetch(lamina_net *net, lamina_buffer buffer, int index, void *to);
lamina_status lamina_net_store(lamina_net *net, int index, const void *from);
/* Does it lie as it is seen from outside? */
bool lamina_param_is_plain(const lamina_param *param);
/* Brings parameters, their masters, gradients and moments into the layouts that are settled. The net is as it was where
 * memory lacks. */
lamina_status lamina_net_hold(lamina_net *net);

/* Forgets all planned graphs: before a layer comes. No trainer may be open. */
void lamina_net_forget(lamina_net *net);
/* The bytes that an executor takes, itself and all that it needs. */
void lamina_executor_need(const lamina_net *net, const lamina_executor *executor, lamina_memory_need *need);

/* A batch where the device can read it. */
typedef struct lamina_feed {
  const void *x, *labels, *step; /* step NULL: the net's step block */
  void *own_x, *own_labels;      /* copies, where the device has memory of its own */
  size_t x_size, labels_size;
} lamina_feed;
lamina_status lamina_feed_open(lamina_net *net, const lamina_executor *executor, lamina_feed *feed);
lamina_status lamina_feed_put(lamina_net *net, lamina_feed *feed, const void *x, const int32_t *labels,
                              lamina_stream *stream);
/* The same without waiting: where a batch is copied, it lies in pinned memory and stays as it is until it is there. */
lamina_status lamina_feed_queue(lamina_net *net, lamina_feed *feed, const void *x, const int32_t *labels,
                                lamina_stream *stream);
void lamina_feed_close(lamina_net *net, lamina_feed *feed);
/* One that batches of n examples take turns with: opened by the first, and anew for another n; closed by the caller. */
typedef struct lamina_kept_feed {
  lamina_feed feed;
  int64_t n;
} lamina_kept_feed;
/* lamina_net_forward by way of it. */
lamina_status lamina_net_forward_from(lamina_net *net, int64_t n, const void *x, lamina_kept_feed *kept, void *y);

/* Runs nodes first … last - 1, and tells the net's trace of them. */
lamina_status lamina_executor_run(const lamina_net *net, const lamina_executor *executor, int first, int last,
                                  const lamina_feed *feed);
/* All of it, in parts where it is cut into some; *reached as below. */
lamina_status lamina_executor_step(const lamina_net *net, const lamina_executor *executor, const lamina_feed *feed,
                                   int *reached);
/* As lamina_executor_run; *reached is the last node that was begun. */
lamina_status lamina_executor_run_to(const lamina_net *net, const lamina_executor *executor, int first, int last,
                                     const lamina_feed *feed, int *reached);
/* The address of a value, and a copy of a small one to the host. */
void *lamina_executor_at(const lamina_net *net, const lamina_executor *executor, int value, const lamina_feed *feed);
lamina_status lamina_executor_read(const lamina_net *net, const lamina_executor *executor, int value,
                                   const lamina_feed *feed, void *to);
lamina_status lamina_net_write_step(const lamina_net *net, const lamina_step_block *block);

/* families.c: INVALID, with the nearest known one, when there is no such loss or optimizer. */
lamina_status lamina_loss_check(const char *family);
/* The loss that is meant by a family (NULL: the recipe's, else softmax cross-entropy) and its descriptor (NULL: that of
 * the recipe where the family is the recipe's, else all zero). */
lamina_status lamina_net_criterion(const lamina_net *net, const char *family, const void *attrs,
                                   lamina_criterion *criterion);
lamina_status lamina_optimizer_check(const char *family);
/* INVALID when the data's examples don't fit the net's input, or it can't be trained on or tested with data at all. */
lamina_status lamina_net_check_data(const lamina_net *net, const lamina_dataset *dataset);
/* Remembers what the data's classes are called and what its black and white are. */
lamina_status lamina_net_remember(lamina_net *net, const lamina_dataset_info *info);

/* machine.c: bytes that this process may still take; 0 where that can't be told. `root` comes before the names of the
 * kernel's files; "". */
size_t lamina_machine_memory(const char *root);

/* OUT_OF_MEMORY with what is needed, what there is and the largest batch that fits, when `need` is too much. `batch_of`
 * predicts another batch. */
typedef lamina_status lamina_need_fn(void *user, int64_t batch, lamina_memory_need *need);
lamina_status lamina_net_check_memory(lamina_net *net, int64_t batch, lamina_need_fn *need_of, void *user);

#ifdef __cplusplus
}
#endif

#endif
