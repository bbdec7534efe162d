/* Transposed convolution on oneDNN's deconvolution, which runs its convolutions the other way round. Layouts are as in
 * onednn_conv.c. */
#include "cpu/onednn_base.h"
#include "lamina/conv_transpose.h"

/* Places in the rows: x, w, b, y | dy, w, dx | x, dy, dw. */
typedef struct places {
  int x, w, b, y; /* b: -1 where the pass has none */
} places;
static const places forward_places = {0, 1, 2, 3}, data_places = {2, 1, -1, 0}, weights_places = {0, 2, -1, 1};

static const places *places_of(const lamina_problem *problem) {
  const char *op = lamina_op_at(problem->op)->name;
  return strcmp(op, "conv_transpose/forward") == 0         ? &forward_places
         : strcmp(op, "conv_transpose/backward_data") == 0 ? &data_places
                                                           : &weights_places;
}

static const char *refuse(const lamina_problem *problem) {
  const places *at = places_of(problem);
  const lamina_desc *y = &problem->arg[at->y], *w = &problem->arg[at->w];
  const lamina_conv_transpose *conv = lamina_attr(problem);
  for (int a = 0; a < y->rank - 2; a++) {
    if (conv->output_pad[a] > conv->pad[a][1]) return "oneDNN takes no output_pad larger than the padding after";
    if (y->dims[2 + a] + conv->pad[a][0] + conv->pad[a][1] > INT32_MAX || conv->stride[a] > INT32_MAX ||
        w->dims[2 + a] * conv->dilation[a] > INT32_MAX)
      return "an axis is longer than 2^31 - 1 with its padding, and oneDNN's kernels count in 32 bits";
  }
  return NULL;
}

static void swap_axes(lamina_desc *desc, int a, int b) {
  const int64_t dim = desc->dims[a], stride = desc->strides[a];
  desc->dims[a] = desc->dims[b], desc->strides[a] = desc->strides[b];
  desc->dims[b] = dim, desc->strides[b] = stride;
}

/* w [C, K/groups, filter…] is [groups, K/groups, C/groups, filter…] to oneDNN. */
static void view(const lamina_problem *problem, int arg, lamina_desc *desc) {
  const lamina_conv_transpose *conv = lamina_attr(problem);
  if (arg != places_of(problem)->w) return;
  if (conv->groups == 1) {
    swap_axes(desc, 0, 1);
    return;
  }
  const int64_t each = desc->dims[0] / conv->groups;
  for (int d = desc->rank++; d > 0; d--) desc->dims[d] = desc->dims[d - 1], desc->strides[d] = desc->strides[d - 1];
  desc->dims[0] = conv->groups;
  desc->dims[1] = each;
  desc->strides[0] = each * desc->strides[1];
  swap_axes(desc, 1, 2);
}

static dnnl_status_t describe(lamina_onednn_setup *s) {
  const lamina_conv_transpose *conv = lamina_attr(s->problem);
  const places *at = places_of(s->problem);
  dnnl_memory_desc_t *x = &s->wanted[at->x], *w = &s->wanted[at->w], *y = &s->wanted[at->y];
  dnnl_memory_desc_t *b = at->b >= 0 && s->wanted[at->b].ndims ? &s->wanted[at->b] : NULL;
  dnnl_dims_t stride = {0}, dilation = {0}, before = {0}, after = {0};
  for (int a = 0; a < x->ndims - 2; a++) {
    stride[a] = conv->stride[a];
    dilation[a] = conv->dilation[a] - 1; /* oneDNN counts the gaps */
    before[a] = conv->pad[a][0], after[a] = conv->pad[a][1] - conv->output_pad[a];
  }
  const dnnl_alg_kind_t direct = dnnl_deconvolution_direct;
  if (at == &forward_places)
    return dnnl_dilated_deconvolution_forward_desc_init(&s->ask.deconv, dnnl_forward_training, direct, x, w, b, y,
                                                        stride, dilation, before, after);
  if (at == &data_places)
    return dnnl_dilated_deconvolution_backward_data_desc_init(&s->ask.deconv, direct, x, w, y, stride, dilation, before,
                                                              after);
  if (x->data_type == dnnl_bf16) return dnnl_unimplemented; /* see onednn_conv.c: wrong for some geometries */
  return dnnl_dilated_deconvolution_backward_weights_desc_init(&s->ask.deconv, direct, x, w, NULL, y, stride, dilation,
                                                               before, after);
}

/* Lanes that hold nothing cost as much as those that do. */
static double lanes(int64_t channels) { return (double)((channels + 15) / 16 * 16) / (double)channels; }

static double seconds(const lamina_onednn_setup *s) {
  const places *at = places_of(s->problem);
  const int64_t C = s->wanted[at->x].dims[1], K = s->wanted[at->y].dims[1],
                groups = ((const lamina_conv_transpose *)lamina_attr(s->problem))->groups;
  double flops, bytes;
  lamina_problem_work(s->problem, &flops, &bytes);
  if (groups == 1 || groups != C) flops *= lanes(C / groups) * lanes(K / groups);
  return lamina_onednn_moving(s, bytes) + flops / lamina_onednn_rate(s);
}

#define LAYOUTS                                                                                                        \
  .layouts = {{"blocked", LAMINA_ONEDNN_FREE, LAMINA_ONEDNN_FREE},                                                     \
              {"channels_last", LAMINA_ONEDNN_LAST, LAMINA_ONEDNN_FREE},                                               \
              {"plain", LAMINA_ONEDNN_PLAIN, LAMINA_ONEDNN_FREE}},                                                     \
  .refuse = refuse, .view = view, .describe = describe, .seconds = seconds

static const lamina_onednn_recipe conv_transpose_forward = {.bind = {{DNNL_ARG_SRC, LAMINA_ONEDNN_DATA},
                                                                     {DNNL_ARG_WEIGHTS, LAMINA_ONEDNN_FILTER},
                                                                     {DNNL_ARG_BIAS, LAMINA_ONEDNN_BIAS},
                                                                     {DNNL_ARG_DST, LAMINA_ONEDNN_DATA}},
                                                            LAYOUTS};
static const lamina_onednn_recipe conv_transpose_backward_data = {.bind = {{DNNL_ARG_DIFF_DST, LAMINA_ONEDNN_DATA},
                                                                           {DNNL_ARG_WEIGHTS, LAMINA_ONEDNN_FILTER},
                                                                           {DNNL_ARG_DIFF_SRC, LAMINA_ONEDNN_DATA}},
                                                                  LAYOUTS};
static const lamina_onednn_recipe conv_transpose_backward_weights = {
    .bind = {{DNNL_ARG_SRC, LAMINA_ONEDNN_DATA},
             {DNNL_ARG_DIFF_DST, LAMINA_ONEDNN_DATA},
             {DNNL_ARG_DIFF_WEIGHTS, LAMINA_ONEDNN_FILTER}},
    LAYOUTS};

const lamina_engine lamina_cpu_onednn_conv_transpose_forward = {
    LAMINA_ONEDNN_ENGINE("conv_transpose/forward", conv_transpose_forward, LAMINA_STRIDES_ANY)};
const lamina_engine lamina_cpu_onednn_conv_transpose_backward_data = {
    LAMINA_ONEDNN_ENGINE("conv_transpose/backward_data", conv_transpose_backward_data, LAMINA_STRIDES_ANY)};
const lamina_engine lamina_cpu_onednn_conv_transpose_backward_weights = {
    LAMINA_ONEDNN_ENGINE("conv_transpose/backward_weights", conv_transpose_backward_weights, LAMINA_STRIDES_ANY)};
