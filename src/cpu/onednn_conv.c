/* Convolution on oneDNN, all three passes with one description.
 *
 * blocked        oneDNN chooses: 16 channels in the lanes, plain x where there are few of them. The fastest, apart
 *                from reordering at the border
 * channels_last  no reordering where tensors are NHWC; forward is as fast as blocked, backward slower
 * winograd       3x3 filters with stride 1 of 16 channels and more: a quarter of the products, other rounding
 * plain          im2col and gemm: for 1x1 filters, which need no im2col, and where reordering costs more than it gains
 */
#include "cpu/onednn_base.h"
#include "cpu/onednn_layout.h"
#include "lamina/conv.h"

/* Places in the rows: x, w, b, y | dy, w, dx | x, dy, dw. */
typedef struct places {
  int x, w, b, y; /* b: -1 where the pass has none */
} places;
static const places forward_places = {0, 1, 2, 3}, data_places = {2, 1, -1, 0}, weights_places = {0, 2, -1, 1};

static const places *places_of(const lamina_problem *problem) {
  const char *op = lamina_op_at(problem->op)->name;
  return strcmp(op, "conv/forward") == 0         ? &forward_places
         : strcmp(op, "conv/backward_data") == 0 ? &data_places
                                                 : &weights_places;
}

/* Beyond these, found by fuzzing, a plan takes gigabytes or minutes before anything runs. */
enum { LONGEST = 1 << 20, WIDEST = 1024 };

static const char *refuse(const lamina_problem *problem) {
  const places *at = places_of(problem);
  const lamina_desc *x = &problem->arg[at->x], *w = &problem->arg[at->w];
  const lamina_conv *conv = lamina_attr(problem);
  const int64_t each = w->dims[0] / conv->groups;
  if (each > 1 && each % lamina_block_of(w->layout, 0) != 0) return "a block of w reaches over two groups";
  for (int a = 0; a < x->rank - 2; a++) {
    const int64_t padded = x->dims[2 + a] + conv->pad[a][0] + conv->pad[a][1];
    if (padded > LONGEST || conv->stride[a] > INT32_MAX || w->dims[2 + a] * conv->dilation[a] > INT32_MAX)
      return "an axis is longer than 2^20 with its padding, and oneDNN prepares something for each place of it";
    if (conv->pad[a][0] > WIDEST || conv->pad[a][1] > WIDEST)
      return "a padding is wider than 1024, and oneDNN writes code for each place of it";
  }
  return NULL;
}

/* w [K, C/groups, filter…] is [groups, K/groups, C/groups, filter…] to oneDNN. */
static void view(const lamina_problem *problem, int arg, lamina_desc *desc) {
  const lamina_conv *conv = lamina_attr(problem);
  if (arg != places_of(problem)->w || conv->groups == 1) return;
  const int64_t each = desc->dims[0] / conv->groups;
  for (int d = desc->rank++; d > 0; d--) desc->dims[d] = desc->dims[d - 1], desc->strides[d] = desc->strides[d - 1];
  desc->dims[0] = conv->groups;
  desc->dims[1] = each;
  if (desc->layout > 0) desc->layout = lamina_onednn_move_blocks(desc->layout, each == 1 ? 1 : 0, 1);
  desc->strides[0] = each == 1 ? desc->strides[1] : each / lamina_block_of(desc->layout, 1) * desc->strides[1];
}

static bool unview(const lamina_problem *problem, int arg, lamina_desc *desc) {
  if (arg != places_of(problem)->w || ((const lamina_conv *)lamina_attr(problem))->groups == 1) return true;
  const int64_t groups = desc->dims[0], each = desc->dims[1], blocks = each / lamina_block_of(desc->layout, 1);
  if (each > 1 && (lamina_block_of(desc->layout, 0) > 1 || desc->strides[0] != blocks * desc->strides[1])) return false;
  desc->layout = lamina_onednn_move_blocks(desc->layout, 1, -1); /* those of the groups themselves stay */
  desc->rank--;
  if (each == 1) desc->strides[1] = desc->strides[0];
  for (int d = 0; d < desc->rank; d++) desc->dims[d] = desc->dims[d + 1], desc->strides[d] = desc->strides[d + 1];
  desc->dims[0] = groups * each;
  return true;
}

static bool flipped(const lamina_problem *problem, int arg) {
  return arg == places_of(problem)->w && ((const lamina_conv *)lamina_attr(problem))->flip;
}

/* 2.6's bf16 backward weights reads outside of x, or gives wrong sums, for some odd geometries (seen with strides beyond
 * the filter, and with groups of three-dimensional filters); it is used for the ordinary ones only. */
static bool is_ordinary(const lamina_problem *problem, const places *at) {
  const lamina_desc *w = &problem->arg[at->w];
  const lamina_conv *conv = lamina_attr(problem);
  if (conv->groups > 1 || w->rank > 4) return false;
  for (int a = 0; a < w->rank - 2; a++)
    if (conv->dilation[a] > 1 || conv->stride[a] > w->dims[2 + a] || conv->pad[a][0] >= w->dims[2 + a] ||
        conv->pad[a][1] >= w->dims[2 + a])
      return false;
  return true;
}

static dnnl_status_t describe(lamina_onednn_setup *s) {
  const lamina_conv *conv = lamina_attr(s->problem);
  const places *at = places_of(s->problem);
  dnnl_memory_desc_t *x = &s->wanted[at->x], *w = &s->wanted[at->w], *y = &s->wanted[at->y];
  dnnl_memory_desc_t *b = at->b >= 0 && s->wanted[at->b].ndims ? &s->wanted[at->b] : NULL;
  dnnl_dims_t stride = {0}, dilation = {0}, before = {0}, after = {0};
  for (int a = 0; a < x->ndims - 2; a++) {
    stride[a] = conv->stride[a];
    dilation[a] = conv->dilation[a] - 1; /* oneDNN counts the gaps */
    before[a] = conv->pad[a][0], after[a] = conv->pad[a][1];
  }
  if (at == &weights_places && x->data_type == dnnl_bf16) {
    if (!is_ordinary(s->problem, at)) return dnnl_unimplemented;
    s->clear_scratchpad = true; /* zeros that pad dy are multiplied by scratchpad that was never written */
  }
  if (s->layout->winograd && (x->dims[1] < 16 || y->dims[1] < 16)) return dnnl_unimplemented; /* see numerics */
  const dnnl_alg_kind_t direct = s->layout->winograd ? dnnl_convolution_winograd : dnnl_convolution_direct;
  if (at == &forward_places)
    return dnnl_dilated_convolution_forward_desc_init(&s->ask.conv, dnnl_forward_training, direct, x, w, b, y, stride,
                                                      dilation, before, after);
  if (at == &data_places)
    return dnnl_dilated_convolution_backward_data_desc_init(&s->ask.conv, direct, x, w, y, stride, dilation, before,
                                                            after);
  return dnnl_dilated_convolution_backward_weights_desc_init(&s->ask.conv, direct, x, w, NULL, y, stride, dilation,
                                                             before, after);
}

/* Lanes that hold nothing cost as much as those that do. */
static double lanes(int64_t channels, int64_t padded, bool vector) {
  const int64_t used = vector ? (channels + 15) / 16 * 16 : channels;
  return (double)(padded > used ? padded : used) / (double)channels;
}

/* Elements that im2col writes; 0 where gemm can do without. */
static double columns(const lamina_problem *problem, const places *at) {
  const lamina_desc *x = &problem->arg[at->x], *w = &problem->arg[at->w], *y = &problem->arg[at->y];
  const lamina_conv *conv = lamina_attr(problem);
  double count = (double)lamina_desc_count(y) / (double)y->dims[1] * (double)x->dims[1];
  bool needed = false;
  for (int a = 0; a < w->rank - 2; a++) {
    needed |= w->dims[2 + a] > 1 || conv->stride[a] > 1 || conv->pad[a][0] || conv->pad[a][1];
    count *= (double)w->dims[2 + a];
  }
  return needed ? count : 0;
}

/* The products of the transformed tiles, 6 x 6 for 4 x 4 places each, and moving those. */
static double winograd_seconds(const lamina_onednn_setup *s, const places *at, double rate) {
  const dnnl_memory_desc_t *x = &s->wanted[at->x], *y = &s->wanted[at->y];
  const double C = (double)x->padded_dims[1], K = (double)y->padded_dims[1];
  const double tiles = (double)(y->dims[0] * ((y->dims[2] + 3) / 4) * ((y->dims[3] + 3) / 4));
  return 36 * 2 * tiles * C * K / (0.85 * rate) + lamina_onednn_moving(s, 8 * 36 * (tiles * (C + K) + C * K));
}

/* Winograd's algorithm (Lavin and Gray, "Fast algorithms for convolutional neural networks", 2015) in one dimension is
 * y = A'((G w) * (B' x)). Places of what is between are larger than y, and cancel: with x and w of variance 1, place i of
 * the product has variance |G_i|^2 |B_i|^2, and y_a takes A_ia of it, so that rounding it adds to y_a the variance
 *   sum over i of A_ia^2 |G_i|^2 |B_i|^2,     where a direct sum of three products has 3.
 * Scaling rows of the three changes nothing, so their ratio depends on the algorithm's points alone. oneDNN's F(4, 3) has
 * 0, 5/8, -5/8, 3/2, -3/2 and infinity: at most 8.18, for y_0 (a smaller tile has less). In two dimensions variances
 * multiply, so that this is the ratio of the deviations. The gradient of the filter is the same with w in the place of y:
 * sum over i of G_ia^2 |A_i|^2 |B_i|^2, where a direct sum has 4: at most 6.56. A tile reaches beyond an output's own
 * window, so windows must be alike, not one of few channels that are all 0: from 16 channels on. */
static void numerics(const lamina_onednn_setup *s, lamina_numerics *n) {
  if (!s->layout->winograd) return;
  n->u_acc = lamina_dtype_roundoff(LAMINA_F32) * (places_of(s->problem) == &weights_places ? 6.6 : 8.2);
  n->inexact_integers = true;
}

static double seconds(const lamina_onednn_setup *s) {
  const places *at = places_of(s->problem);
  const dnnl_memory_desc_t *x = &s->wanted[at->x], *y = &s->wanted[at->y];
  const int64_t C = x->dims[1], K = y->dims[1], groups = ((const lamina_conv *)lamina_attr(s->problem))->groups;
  double flops, bytes;
  lamina_problem_work(s->problem, &flops, &bytes);
  const double seconds = lamina_onednn_moving(s, bytes), rate = lamina_onednn_rate(s);
  if (s->layout->winograd) return seconds + winograd_seconds(s, at, rate);
  if (strstr(s->impl, "gemm"))
    return seconds + flops * lanes(K / groups, 0, true) * (1 + 32.0 * (double)groups / (double)K) / rate +
           lamina_onednn_moving(s, 12 * columns(s->problem, at));
  if (groups > 1 && groups == C) return seconds + flops / rate; /* depthwise: lanes hold groups */
  flops *= lanes(C, x->padded_dims[1], at == &data_places) * lanes(K, y->padded_dims[1], at != &data_places);
  if (strstr(s->impl, "brg"))
    flops *= (double)(C + 4) / (double)C; /* sums over a tap's channels alone: short where there are few */
  else if (s->layout->data == LAMINA_ONEDNN_LAST && C >= 16 && K >= 16)
    flops *= 1.2;
  return seconds + flops / rate;
}

#define LAYOUTS                                                                                                        \
  .layouts = {{"blocked", LAMINA_ONEDNN_FREE, LAMINA_ONEDNN_FREE},                                                     \
              {"channels_last", LAMINA_ONEDNN_LAST, LAMINA_ONEDNN_FREE},                                               \
              {"plain", LAMINA_ONEDNN_PLAIN, LAMINA_ONEDNN_FREE},                                                      \
              {.name = "winograd", .data = LAMINA_ONEDNN_FREE, .filter = LAMINA_ONEDNN_FREE, .winograd = true}},       \
  .numerics = numerics, .refuse = refuse, .flipped = flipped, .view = view, .unview = unview, .describe = describe,    \
  .seconds = seconds

static const lamina_onednn_recipe conv_forward = {.bind = {{DNNL_ARG_SRC, LAMINA_ONEDNN_DATA},
                                                           {DNNL_ARG_WEIGHTS, LAMINA_ONEDNN_FILTER},
                                                           {DNNL_ARG_BIAS, LAMINA_ONEDNN_BIAS},
                                                           {DNNL_ARG_DST, LAMINA_ONEDNN_DATA}},
                                                  LAYOUTS};
static const lamina_onednn_recipe conv_backward_data = {.bind = {{DNNL_ARG_DIFF_DST, LAMINA_ONEDNN_DATA},
                                                                 {DNNL_ARG_WEIGHTS, LAMINA_ONEDNN_FILTER},
                                                                 {DNNL_ARG_DIFF_SRC, LAMINA_ONEDNN_DATA}},
                                                        LAYOUTS};
static const lamina_onednn_recipe conv_backward_weights = {.bind = {{DNNL_ARG_SRC, LAMINA_ONEDNN_DATA},
                                                                    {DNNL_ARG_DIFF_DST, LAMINA_ONEDNN_DATA},
                                                                    {DNNL_ARG_DIFF_WEIGHTS, LAMINA_ONEDNN_FILTER}},
                                                           LAYOUTS};

const lamina_engine lamina_cpu_onednn_conv_forward = {
    LAMINA_ONEDNN_ENGINE("conv/forward", conv_forward, LAMINA_STRIDES_BLOCKED)};
const lamina_engine lamina_cpu_onednn_conv_backward_data = {
    LAMINA_ONEDNN_ENGINE("conv/backward_data", conv_backward_data, LAMINA_STRIDES_BLOCKED)};
const lamina_engine lamina_cpu_onednn_conv_backward_weights = {
    LAMINA_ONEDNN_ENGINE("conv/backward_weights", conv_backward_weights, LAMINA_STRIDES_BLOCKED)};
