/* Layers: what a net is made of, one descriptor struct a kind.
 *
 * A field that is 0 means its default; where 0 itself is useful, has_FIELD = 1 says that it is meant. In a recipe a
 * layer is `- relu`, `- max_pool: 2` or `- conv: {filters: 6, kernel: 5, pad: 2}`: the keys are the fields below, and a
 * plain value is the first of them. A number given for kernel, stride, dilation or pad counts for every spatial axis; a
 * list names one for each axis (pad also a pair, before and after, for each axis); `pad: same` is `same: true`.
 *
 * A layer takes the output of the one before it. `name: stem` gives it a name, and `from: stem` takes the output of
 * another layer, or the net's `input`: `- conv: {filters: 8, kernel: 1, from: stem}`. Layers that join several name them:
 * `- add: [left, right]`, or `- add: {from: [left, right], name: sum}`; `- add: stem` joins stem and the layer before.
 *
 * x is the layer's input with the batch as its first axis, y its output. Parameters are named LAYER.w and LAYER.b,
 * LAYER being the place in the net and the kind: "0.conv". Weight decay reaches w and not b.
 *
 * Initialisers (attribute `init`), with fan_in and fan_out the products that reach one output and leave one input:
 *   he_normal       N(0, 2 / fan_in)                    He et al., "Delving Deep into Rectifiers", 2015
 *   he_uniform      U(-a, a), a = sqrt(6 / fan_in)
 *   xavier_normal   N(0, 2 / (fan_in + fan_out))        Glorot and Bengio, AISTATS 2010
 *   xavier_uniform  U(-a, a), a = sqrt(6 / (fan_in + fan_out))
 * The default is he_normal where a rectifier (relu, leaky_relu, prelu, elu, gelu, silu) follows before the next layer
 * with an initialiser, else xavier_uniform. Biases start at 0. Element i of parameter number p is drawn from word i % 4
 * (uniform), or from words i % 4 and its neighbour in their pair (normal, by Box and Muller), of Philox 4x32-10 with
 * key = seed and counter = low and high half of i / 4, 0x494E4954, p: so it is the same on every device. */
#ifndef LAMINA_LAYERS_H
#define LAMINA_LAYERS_H

#include "lamina/activation.h"
#include "lamina/lrn.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How a parameter starts: the table above. */
typedef enum lamina_initialiser {
  LAMINA_INIT_DEFAULT,        /**< he_normal before a relu, else xavier_uniform */
  LAMINA_INIT_HE_NORMAL,      /**< N(0, 2 / fan_in) */
  LAMINA_INIT_HE_UNIFORM,     /**< U(-a, a), a = sqrt(6 / fan_in) */
  LAMINA_INIT_XAVIER_NORMAL,  /**< N(0, 2 / (fan_in + fan_out)) */
  LAMINA_INIT_XAVIER_UNIFORM, /**< U(-a, a), a = sqrt(6 / (fan_in + fan_out)) */
  LAMINA_INIT_ZERO            /**< 0 */
} lamina_initialiser;

/** "conv": x [N, C, spatial…] with 1 to 3 spatial axes, as lamina/conv.h; w [filters, C/groups, kernel…], b [filters].
 *  kernel, stride and dilation: an axis that is 0 is as the first one. */
typedef struct lamina_conv_layer {
  int64_t filters;     /**< must be given */
  int64_t kernel[3];   /**< must be given */
  int64_t stride[3];   /**< 0: 1 */
  int64_t pad[3][2];   /**< zeros before and after, for each axis */
  int64_t same;        /**< 1: pad so that stride 1 keeps the size; an odd zero comes after. pad must be 0 then */
  int64_t dilation[3]; /**< 0: 1 */
  int64_t groups;      /**< 0: 1 */
  int64_t bias;        /**< default 1 */
  int64_t has_bias;    /**< 1: a bias of 0 is meant */
  int64_t init;        /**< a lamina_initialiser, for w */
  int64_t flip;        /**< 1: true convolution */
} lamina_conv_layer;

/** "conv_transpose": x [N, C, spatial…] with 1 to 3 spatial axes, as lamina/conv_transpose.h; w [C, filters/groups,
 *  kernel…], b [filters]. kernel, stride and dilation: an axis that is 0 is as the first one. For `init` fan_in is the
 *  mean over outputs: C/groups * taps / strides. */
typedef struct lamina_conv_transpose_layer {
  int64_t filters;       /**< must be given */
  int64_t kernel[3];     /**< must be given */
  int64_t stride[3];     /**< 0: 1 */
  int64_t pad[3][2];     /**< outputs that are cut off before and after, for each axis */
  int64_t output_pad[3]; /**< outputs that are added after; one that is 0 is 0 */
  int64_t dilation[3];   /**< 0: 1 */
  int64_t groups;        /**< 0: 1 */
  int64_t bias;          /**< default 1 */
  int64_t has_bias;      /**< 1: a bias of 0 is meant */
  int64_t init;          /**< a lamina_initialiser, for w */
} lamina_conv_transpose_layer;

/** "local_conv": x [N, C, spatial…] with 1 to 3 spatial axes, as lamina/local_conv.h; w [out…, filters, C/groups,
 *  kernel…], b [filters, out…]. kernel, stride and dilation: an axis that is 0 is as the first one. */
typedef struct lamina_local_conv_layer {
  int64_t filters;     /**< must be given */
  int64_t kernel[3];   /**< must be given */
  int64_t stride[3];   /**< 0: 1 */
  int64_t pad[3][2];   /**< zeros before and after, for each axis */
  int64_t dilation[3]; /**< 0: 1 */
  int64_t groups;      /**< 0: 1 */
  int64_t bias;        /**< default 1 */
  int64_t has_bias;    /**< 1: a bias of 0 is meant */
  int64_t init;        /**< a lamina_initialiser, for w */
} lamina_local_conv_layer;

/** "fc": y = x wT + b. All axes of x but the first are flattened; w [units, K], b [units], y [N, units]. */
typedef struct lamina_fc_layer {
  int64_t units;    /**< must be given */
  int64_t bias;     /**< default 1 */
  int64_t has_bias; /**< 1: a bias of 0 is meant */
  int64_t init;     /**< a lamina_initialiser, for w */
} lamina_fc_layer;

/** "embedding": y[…, d] = w[x[…], d], rows of a table, as lamina/gather.h; x of integers 0 … count-1 (the net's input, with
 *  `input_dtype: i32`, or what only changes its shape), w [count, dim], y [x's axes, dim]. An integer outside has a row of
 *  NaN. fan_in is 1, fan_out dim. */
typedef struct lamina_embedding_layer {
  int64_t count; /**< rows: must be given */
  int64_t dim;   /**< numbers in a row: must be given */
  int64_t init;  /**< a lamina_initialiser, for w */
} lamina_embedding_layer;

/** "max_pool", "min_pool" and "avg_pool": as lamina/pool.h. kernel, stride and dilation: an axis that is 0 is as the
 *  first one; stride 0: as the kernel. count_pad is avg_pool's, dilation that of the others.
 *  "stochastic_pool": as lamina/stochastic_pool.h, a draw in training and the average by probability otherwise; without
 *  dilation and count_pad. What is drawn depends on the seed, the step and the layer's place.
 *  "global_max_pool" and "global_avg_pool" (no fields): with global. */
typedef struct lamina_pool_layer {
  int64_t kernel[3];   /**< must be given unless global */
  int64_t stride[3];   /**< 0: as the kernel */
  int64_t pad[3][2];   /**< before and after, for each axis */
  int64_t ceil;        /**< 1: a partial last window counts */
  int64_t global;      /**< 1: one window, the whole spatial extent */
  int64_t count_pad;   /**< 1: padding counts in an average */
  int64_t dilation[3]; /**< from one element of a window to the next; 0: 1 */
} lamina_pool_layer;

/** "lp_pool": as lamina/lp_pool.h, without dilation and count_pad. */
typedef struct lamina_lp_pool_layer {
  lamina_pool_layer window; /**< as max_pool's; its fields are keys of their own in a recipe */
  double p;                 /**< default 2 */
} lamina_lp_pool_layer;

/** "mixed_pool": as lamina/mixed_pool.h, without dilation. */
typedef struct lamina_mixed_pool_layer {
  lamina_pool_layer window; /**< as avg_pool's */
  double max_share;         /**< of the maximum; the rest is the mean's. Default 0.5 */
  int64_t has_max_share;    /**< 1: a max_share of 0 is meant */
} lamina_mixed_pool_layer;

/** "spectral_pool": as lamina/spectral_pool.h. */
typedef struct lamina_spectral_pool_layer {
  int64_t size[3]; /**< of its output; must be given; an axis that is 0 is as the first one */
} lamina_spectral_pool_layer;

/** "dropout": in training each element (or each channel of each example) is 0 with probability p, else scaled by
 *  1 / (1 - p); otherwise nothing happens. The mask depends on the seed, the step and the layer's place. */
typedef struct lamina_dropout_layer {
  double p;         /**< default 0.5 */
  int64_t has_p;    /**< 1: a p of 0 is meant */
  int64_t channels; /**< 1: whole channels */
} lamina_dropout_layer;

/** "softmax" and "log_softmax", along an axis: as lamina/softmax.h. */
typedef struct lamina_softmax_layer {
  int64_t axis;     /**< default 1, the channels or classes */
  int64_t has_axis; /**< 1: an axis of 0 is meant */
} lamina_softmax_layer;

/** "scale": y = factor * x. */
typedef struct lamina_scale_layer {
  double factor;      /**< default 1 */
  int64_t has_factor; /**< 1: a factor of 0 is meant */
} lamina_scale_layer;

/** "reshape": the axes after the first become these, a view. "flatten" (no fields) makes them one. */
typedef struct lamina_reshape_layer {
  int64_t shape[3]; /**< up to three axes; the first 0 ends them */
} lamina_reshape_layer;

/* "slice", "pad" and "transpose" take the op's descriptor, as lamina/slice.h, lamina/pad.h and lamina/transpose.h have
 * it. Their numbers are for every axis, the batch first, which must stay as it is: 0 for slice and pad, and a perm that
 * starts with 0.
 *
 * "resize" takes lamina_resize of lamina/resize.h: `- resize: [14, 14]`, `- resize: {scale: 2, mode: linear}`.
 *
 * "sum", "mean" and "max" take lamina_reduce of lamina/reduce.h; without axes, over all but the batch. */

/* "leaky_relu", "elu", "gelu" and "softplus" take the descriptors of lamina/activation.h: lamina_leaky_relu (slope),
 * lamina_elu (alpha), lamina_gelu (form: erf or tanh) and lamina_softplus (beta); "lrn" takes lamina_lrn of lamina/lrn.h.
 * "relu", "sigmoid", "tanh", "selu", "silu", "hard_sigmoid", "softsign", "flatten": no fields; give NULL.
 * "add", "multiply" (no fields): the sum, the product of 2 to 8 layers; those after the first may have axes of size 1
 * where it has more, as lamina/arithmetic.h says. */

/** "batch_norm": every channel to mean 0 and variance 1, over the batch and all positions in training, by the running
 *  statistics else; then times w plus b, both [C]; as lamina/batch_norm.h. The running statistics are the states
 *  running_mean (from 0) and running_variance (from 1). Weight decay reaches neither w nor b. */
typedef struct lamina_batch_norm_layer {
  double epsilon;       /**< default 1e-5 */
  double momentum;      /**< 0 … 1, the weight of the new in the running statistics; default 0.1 */
  int64_t has_epsilon;  /**< 1: an epsilon of 0 is meant */
  int64_t has_momentum; /**< 1: a momentum of 0 is meant */
  int64_t affine;       /**< default 1; 0 and has_affine: without w and b */
  int64_t has_affine;   /**< 1: affine is meant, though it is 0 */
} lamina_batch_norm_layer;

/** "layer_norm": all of an example from an axis on to mean 0 and variance 1, then times w plus b, both with a number for
 *  each element of these axes; as lamina/layer_norm.h. w starts at 1, b at 0; weight decay reaches neither. */
typedef struct lamina_layer_norm_layer {
  int64_t axis;        /**< of x with the batch, which is axis 0 and no part of it; 0: -1, the last axis alone */
  double epsilon;      /**< default 1e-5 */
  int64_t affine;      /**< default 1; 0 and has_affine: without w and b */
  int64_t has_epsilon; /**< 1: an epsilon of 0 is meant */
  int64_t has_affine;  /**< 1: affine is meant, though it is 0 */
} lamina_layer_norm_layer;

/** "group_norm": the channels of an example in groups, each to mean 0 and variance 1, then times w plus b, both [C]; as
 *  lamina/layer_norm.h. w starts at 1, b at 0; weight decay reaches neither. */
typedef struct lamina_group_norm_layer {
  int64_t groups;      /**< must be given; divides the channels */
  double epsilon;      /**< default 1e-5 */
  int64_t affine;      /**< default 1; 0 and has_affine: without w and b */
  int64_t has_epsilon; /**< 1: an epsilon of 0 is meant */
  int64_t has_affine;  /**< 1: affine is meant, though it is 0 */
} lamina_group_norm_layer;

/** "instance_norm": group_norm with one channel a group. */
typedef struct lamina_instance_norm_layer {
  double epsilon;      /**< default 1e-5 */
  int64_t affine;      /**< default 1; 0 and has_affine: without w and b */
  int64_t has_epsilon; /**< 1: an epsilon of 0 is meant */
  int64_t has_affine;  /**< 1: affine is meant, though it is 0 */
} lamina_instance_norm_layer;

/** "prelu": y = x > 0 ? x : slope*x, as lamina/prelu.h; slope [C], or [1], starts at 0.25; weight decay doesn't reach
 *  it. */
typedef struct lamina_prelu_layer {
  int64_t shared; /**< 1: one slope for all channels */
} lamina_prelu_layer;

/** "concat": 2 to 8 layers, one behind the other along an axis, as lamina/concat.h. */
typedef struct lamina_concat_layer {
  int64_t axis; /**< 0: 1, the channels (axis 0 is the batch); negative counts from the end */
} lamina_concat_layer;

/** Outputs of other layers that a layer may join. */
#define LAMINA_MAX_INPUTS 8

/** The ops that a net is made of: for the rows of src/net/. */
typedef struct lamina_graph lamina_graph;
/** One layer of a net: for the rows of src/net/. */
typedef struct lamina_layer lamina_layer;

/** A parameter of a kind of layer. */
typedef struct lamina_param_def {
  const char *name; /**< "w"; NULL ends the list */
  bool constant;    /**< starts at `value` everywhere, whatever `init` says */
  double value;     /**< that a constant one starts at */
  bool decay;       /**< weight decay reaches it */
  bool state;       /**< not trained: an op of the layer updates it (running statistics); f32, in a net of f64 f64 */
} lamina_param_def;

/** What a layer is: one row a kind, in src/net/layers_*.c. */
typedef struct lamina_layer_def {
  const char *name;             /**< "conv" */
  const char *about;            /**< one line */
  const lamina_attr_def *attrs; /**< of the descriptor struct; a plain value in a recipe is the first */
  size_t attr_size;             /**< of the descriptor struct */
  int inputs;                   /**< it joins two or more outputs of other layers, this many at most; 0: it takes one */
  const lamina_param_def *params; /**< in the order that `expand` asks for them */
  /** Emits the op nodes of the layer from graph's current value to its next one. NULL: the layer is the op `op`, x → y,
   *  and its descriptor is the op's. */
  lamina_status (*expand)(lamina_graph *graph, const lamina_layer *layer);
  const char *op; /**< "relu/forward"; only without `expand` */
} lamina_layer_def;

/** Kind number `index`, 0 …; NULL past the last. */
LAMINA_API const lamina_layer_def *lamina_layer_at(int index);
/** By name; NULL when there is none. */
LAMINA_API const lamina_layer_def *lamina_layer_find(const char *name);

#ifdef __cplusplus
}
#endif
#endif
