/* Nets: a graph of layers with its parameters, on one device.
 *
 *   lamina_net *net;                                                        or lamina_net_load
 *   lamina_net_open(dev, &(lamina_net_options){.rank = 3, .dims = {1, 28, 28}}, &net);
 *   lamina_net_add(net, "conv", &(lamina_conv_layer){.filters = 6, .kernel = {5}, .pad = {{2, 2}, {2, 2}}});
 *   lamina_net_add(net, "relu", NULL);
 *   lamina_net_add(net, "fc", &(lamina_fc_layer){.units = 10});
 *
 * A net is a static graph of ops. Shapes are inferred as layers are added. For each batch size, and for training and
 * inference apart, it is planned once: every op gets its engine, and every activation, gradient and workspace its place
 * in one arena, where tensors that don't live at the same time share memory. Parameters lie in one flat arena, in the
 * order of the layers. Memory is taken when parameters are first set or used, and can be predicted before.
 *
 * A layer takes the output of the one before it, or of others that it names, so a net is any graph without a cycle.
 * Layers are named by place and kind, "0.conv", or as you wish; parameters "0.conv.w".
 * Numbers: what ops read and write is of one floating type, f32 unless the options say otherwise. In a net of 16-bit
 * numbers, bf16 or f16, the input is f32 and cast by the first layer, losses are taken in f32, and parameters are f32
 * from outside: where they are set, read, initialised and saved. Until the net is trained it holds them rounded, and gives
 * them so; a trainer keeps them in f32 beside that ("masters", lamina/train.h), and from then on they are exact.
 * Thread-safety: a net belongs to one thread at a time. Only lamina_net_forward and lamina_net_predict may be called from
 * many threads at once, beside nothing else; they take turns. Nets that
 * shall run at the same time in several threads have a device each, since a net works on its device's own stream:
 * examples/predict.c. Host pointers are ordinary memory; calls that take or give them return when the bytes have
 * arrived. */
#ifndef LAMINA_NET_H
#define LAMINA_NET_H

#include "lamina/data.h"
#include "lamina/layers.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A net and its parameters. */
typedef struct lamina_net lamina_net;

/** All zero but rank and dims. */
typedef struct lamina_net_options {
  int rank;                          /**< axes of one example, without the batch: 1 … 7 */
  int64_t dims[LAMINA_MAX_RANK - 1]; /**< C H W for pictures */
  lamina_dtype dtype;                /**< of what ops read and write; 0: f32 */
  lamina_dtype input_dtype;          /**< of the input; 0: as dtype, but f32 where that has 16 bits; LAMINA_I32:
                                      *   integers, the numbers of words, say, which an embedding takes. A dataset's f32
                                      *   numbers are rounded to it */
  lamina_math math;                  /**< what engines may round to */
  size_t memory_limit; /**< bytes that the net and its trainer may take; 0: what the machine has available */
} lamina_net_options;

/** A net without layers for inputs of one shape. Errors: INVALID, OUT_OF_MEMORY. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_net_open(lamina_device *device, const lamina_net_options *options,
                                                          lamina_net **net);
/** Adds a layer at the end; `descriptor` is the kind's struct of layers.h, or NULL for all defaults.
 *  INVALID, naming the layer and the one before it, where it doesn't fit; the net is then as before. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_net_add(lamina_net *net, const char *kind, const void *descriptor);

/** All zero: the defaults. */
typedef struct lamina_layer_options {
  const char *name; /**< a letter, then letters, digits, _ and -, 31 at most; default its place and kind, "3.conv" */
  const char *const *from; /**< NULL-terminated: the names of the layers whose outputs it takes, "input" for the net's
                            *   input; default the layer before it */
} lamina_layer_options;

/** As lamina_net_add, for a layer with a name or one that takes other outputs than that of the layer before: so a net
 *  may branch, and "add", "multiply" and "concat" join branches again. Every output but the last layer's, which is the
 *  net's, must be taken by a later layer; that is asked when the net is planned. INVALID also for a name that is taken,
 *  and for one that no earlier layer has. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_net_add_layer(lamina_net *net, const char *kind,
                                                               const void *descriptor,
                                                               const lamina_layer_options *options);
/** Trainers of the net must be closed before. NULL is fine. */
LAMINA_API void lamina_net_close(lamina_net *net);

/** All zero: the defaults. */
typedef struct lamina_load_options {
  const char *const *set; /**< NULL-terminated assignments to the recipe: "train.epochs=3", "net[0].conv.filters=8" */
  const char *root;       /**< the folder that relative data files start from; NULL: $LAMINA_DATA */
  size_t memory_limit;    /**< as in lamina_net_options */
} lamina_load_options;

/** Opens a net from a recipe (YAML; parameters are not set yet) or from a checkpoint (safetensors; with its parameters
 *  and the recipe that it was trained by, so nothing else is needed; told by lamina_safetensors_is). The net remembers
 *  its recipe, and a trainer takes from it what its options leave open.
 *
 *    input: [1, 28, 28]                   shape of one example; without it the training data is opened to tell
 *    dtype: f32                           of what ops read and write: f32, bf16, f16, f64; training takes f32 and bf16
 *    input_dtype: i32                     of the input, where it is of integers, for an embedding; bf16 and f16: as dtype,
 *                                         where that would be cast from f32
 *    math: default                        default, strict, tf32, bf16, f16, as lamina_math
 *    data: {train: SPEC, test: SPEC, shift: 2, normalise: {mean: 0.13, deviation: 0.31}, threads: 1}
 *    net: [LAYER…]                        see layers.h
 *    train: {loss: softmax_cross_entropy, batch: 128, epochs: 12, optimizer: {sgd: {momentum: 0.9, decay: 5e-4}},
 *            rate: {cosine: 0.05}, seed: 1, top_k: 5}         see train.h
 *
 *  Errors: IO; INVALID with file, line and column for what the recipe gets wrong, and the nearest known key; CORRUPT for
 *  YAML that isn't, and for a checkpoint that was cut or altered; the errors of lamina_dataset_open. A checkpoint may be
 *  loaded in another type than it was written in, by assignment: "dtype=bf16". */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_net_load(lamina_device *device, const char *path,
                                                          const lamina_load_options *options, lamina_net **net);
/** Writes a checkpoint that lamina_net_load opens: parameters, input shape, and the recipe or the layers as a recipe. Those
 *  of 16-bit numbers are written in f32, but as they are where nobody trained them. A trainer's lamina_trainer_save
 *  writes what training needs as well. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_net_save(lamina_net *net, const char *path);

/* ---- What it is -------------------------------------------------------------------------------------------------- */

/** The device that it was opened on. */
LAMINA_API lamina_device *lamina_net_device(const lamina_net *net);
/** The recipe after assignments, as YAML; NULL for a net that was built in C. Lives as long as the net. */
LAMINA_API const char *lamina_net_recipe(const lamina_net *net);
/** One example of the input, without the batch axis. */
LAMINA_API lamina_desc lamina_net_input(const lamina_net *net);
/** One example of the output, without the batch axis (rank 0 where it is a single number). */
LAMINA_API lamina_desc lamina_net_output(const lamina_net *net);
/** What class number `index` is called; NULL: it has a number only. Known after training on, or loading from, data that
 *  names its classes. */
LAMINA_API const char *lamina_net_class_name(const lamina_net *net, int64_t index);

/** One layer, planned for a batch. */
typedef struct lamina_layer_info {
  const char *name;                    /**< "0.conv" */
  const lamina_layer_def *kind;        /**< its row */
  int inputs, from[LAMINA_MAX_INPUTS]; /**< the layers whose outputs it takes; -1: the net's input */
  lamina_desc output;                  /**< with the batch axis */
  int64_t parameters;                  /**< numbers */
  double flops;                        /**< of its forward ops */
  int64_t activation_bytes;            /**< of its forward ops' outputs; 0 for a view and what works in place */
} lamina_layer_info;

/** How many layers it has. */
LAMINA_API int lamina_net_layer_count(const lamina_net *net);
/** Tells of layer `index`, planned for inference with this batch; what it names lives as long as the net. INVALID for a
 *  layer that there isn't; the errors of planning. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_net_layer(lamina_net *net, int index, int64_t batch,
                                                           lamina_layer_info *info);
/** A table for people: layer, output shape, parameters, MFLOP forward, activation memory; totals. Lives until the next
 *  call or until the net is closed. The errors of planning. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_net_summary(lamina_net *net, int64_t batch, const char **text);
/** For each op of the net, planned for this batch, the engine that runs it: a line each. As above. Where a fused op
 *  (conv_relu/forward …) does the work of two, it is listed with the first one's layer (relu_max_pool with the pool); a net
 *  takes it where its engine's estimate is less than that of its parts, unless an engine is asked for by name
 *  (LAMINA_ENGINE) for one of them only. An output that doesn't lie row-major is named with its shape and layout, "y
 *  f32[64,96,27,27]_1x16": a net chooses what the engines together take least time for, by their estimates; its input,
 *  its output and what this interface shows of it are row-major whatever it holds. Of a small net that the CPU trains in
 *  parts, side by side, the engines are those of the largest part, as the first line says, and those of the update. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_net_explain(lamina_net *net, int64_t batch, bool training,
                                                             const char **text);

/** Bytes that a net takes, each beside the others. */
typedef struct lamina_memory_need {
  size_t parameters;  /**< all of them, and running statistics */
  size_t gradients;   /**< of parameters */
  size_t optimizer;   /**< momentum and the like, and the f32 parameters of a bf16 net */
  size_t activations; /**< one arena: activations, their gradients, workspace */
  size_t input;       /**< a copy of the batch in the device's memory; 0 where the device works in host memory */
  size_t other;       /**< tables and counters */
  size_t device;      /**< the sum: what lamina_memory_used will say at most */
  size_t loader;      /**< host memory of batches made ahead */
  size_t total;       /**< device + loader */
  size_t workspace;   /**< of the activations' arena: the largest workspace of an op */
  const char *widest; /**< the layer ("3.conv") at one of whose ops most of the arena is in use, or "the loss and the
                           update"; as long as the net is */
} lamina_memory_need;

/** What inference with batches of this size takes, without taking it. lamina_training_memory is for training. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_net_memory(lamina_net *net, int64_t batch, lamina_memory_need *need);

/* ---- Parameters -------------------------------------------------------------------------------------------------- */

/** One parameter of a net. */
typedef struct lamina_parameter {
  const char *name; /**< "0.conv.w" */
  lamina_desc desc; /**< dense; f32 where the net's numbers have 16 bits */
  int layer;        /**< number of the layer that it belongs to */
  int64_t offset;   /**< in the flat arena, in elements */
  bool decay;       /**< weight decay reaches it */
  bool state;       /**< not trained, without a gradient and in an arena of its own: running statistics */
} lamina_parameter;

/** How many parameters (tensors) it has. */
LAMINA_API int lamina_net_parameter_count(const lamina_net *net);
/** Number of all trained parameters' elements: 61,706 for LeNet-5. */
LAMINA_API int64_t lamina_net_parameter_total(const lamina_net *net);
/** Tells of parameter `index`; its name lives as long as the net. INVALID for one that there isn't. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_net_parameter(const lamina_net *net, int index,
                                                               lamina_parameter *parameter);
/** By name; -1 when there is none. */
LAMINA_API int lamina_net_parameter_find(const lamina_net *net, const char *name);
/** Sets every parameter by its initialiser, a function of the seed: see layers.h. OUT_OF_MEMORY, DEVICE. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_net_init(lamina_net *net, uint64_t seed);
/** Copies a parameter to dense host memory of its shape and type, both as lamina_parameter.desc says. INVALID before
 *  parameters are set. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_net_parameter_read(lamina_net *net, int index, void *to);
/** Copies it from there. Once one is written all count as set; those that were not are 0. Before the first trainer a net
 *  of 16-bit numbers rounds it, and it stays rounded. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_net_parameter_write(lamina_net *net, int index, const void *from);
/** The gradient that lamina_net_gradients left, or a step of a trainer that keeps them (lamina_training.keep_gradients),
 *  there clipped where a run asks for that, of the parameter's shape and type. INVALID before, and after a step that
 *  didn't keep them. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_net_gradient_read(lamina_net *net, int index, void *to);

/** Gives the classes weights in the loss, for losses that take some (lamina/loss.h): n numbers from 0, one for each class,
 *  which are copied; n 0: none. In a recipe: `loss: {softmax_cross_entropy: {weights: [1, 2, 0.5]}}`. INVALID where the
 *  net doesn't give n scores, for numbers below 0 or not finite, and while a trainer is open. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_net_class_weights(lamina_net *net, int64_t n, const float *weights);

/* ---- Running ----------------------------------------------------------------------------------------------------- */

/** y: [n, output…] = net(x: [n, input…]), in host memory, of the net's type, x of the input's; inference (no dropout).
 *  n = 0 does nothing. The first call with a new n plans it; plans of a few n are kept. Errors: INVALID before
 *  parameters are set; OUT_OF_MEMORY, which says what is needed, what there is and the largest batch that fits; those
 *  of the ops. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_net_forward(lamina_net *net, int64_t n, const void *x, void *y);
/** prob: [n, classes] = softmax of the output (or the output, where the net ends in softmax); the net's output must be a
 *  vector. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_net_predict(lamina_net *net, int64_t n, const float *x, float *prob);
/** Turns a picture (0 black, 1 white) into one input x, as the training data was: its black and white, its
 *  normalisation. Grey becomes three equal colours and colours become grey (0.299 R + 0.587 G + 0.114 B, ITU-R BT.601)
 *  where the net takes the other. INVALID, naming both sizes, where the picture's differs from the input's. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_net_picture(const lamina_net *net, const lamina_image *image,
                                                             float *x);
/** Forward and backward of a training step on one batch with the loss NAME ("softmax_cross_entropy"; NULL: it), without
 *  an update: *loss, and the gradients for lamina_net_gradient_read. Dropout takes (seed, step). */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_net_gradients(lamina_net *net, const char *name, int64_t n,
                                                               const void *x, const int32_t *labels, uint64_t seed,
                                                               int64_t step, double *loss);

#ifdef __cplusplus
}
#endif
#endif
