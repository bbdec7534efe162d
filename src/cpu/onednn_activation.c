/* Sigmoid and tanh on oneDNN's eltwise. Its ReLU is not offered: it turns NaN into 0, and its gradient takes a NaN for
 * positive, where lamina/activation.h says NaN and 0. */
#include "cpu/onednn_base.h"
#include "lamina/activation.h"

/* All arguments lie alike and without gaps: one long vector. */
static void view(const lamina_problem *problem, int arg, lamina_desc *desc) {
  (void)arg;
  const int64_t count = lamina_desc_count(&problem->arg[0]);
  *desc = lamina_dense((lamina_dtype)desc->dtype, 1, &count);
}

static dnnl_status_t forward(lamina_onednn_setup *s, dnnl_alg_kind_t algorithm) {
  return dnnl_eltwise_forward_desc_init(&s->ask.eltwise, dnnl_forward_training, algorithm, &s->wanted[0], 0, 0);
}

/* From y, as our rows have it. */
static dnnl_status_t backward(lamina_onednn_setup *s, dnnl_alg_kind_t algorithm) {
  dnnl_status_t status = forward(s, algorithm);
  if (!status) status = dnnl_primitive_desc_create(&s->hint, &s->ask.eltwise, s->attr, s->engine, NULL);
  return status ? status
                : dnnl_eltwise_backward_desc_init(&s->ask.eltwise, algorithm, &s->wanted[1], &s->wanted[0], 0, 0);
}

static dnnl_status_t sigmoid_forward_describe(lamina_onednn_setup *s) { return forward(s, dnnl_eltwise_logistic); }
static dnnl_status_t sigmoid_backward_describe(lamina_onednn_setup *s) {
  return backward(s, dnnl_eltwise_logistic_use_dst_for_bwd);
}
static dnnl_status_t tanh_forward_describe(lamina_onednn_setup *s) { return forward(s, dnnl_eltwise_tanh); }
static dnnl_status_t tanh_backward_describe(lamina_onednn_setup *s) {
  return backward(s, dnnl_eltwise_tanh_use_dst_for_bwd);
}

/* Bound by memory, as the loop engines reckon it; forward, oneDNN's exp and tanh take some 0.6 of the loops' time. */
static double seconds(const lamina_onednn_setup *s) {
  double flops, bytes;
  lamina_problem_work(s->problem, &flops, &bytes);
  return lamina_onednn_moving(s, bytes) / (s->hint ? 0.6 : 1);
}

#define PASS(name, ...)                                                                                                \
  static const lamina_onednn_recipe name = {.bind = {__VA_ARGS__},                                                     \
                                            .layouts = {{"plain", LAMINA_ONEDNN_PLAIN, LAMINA_ONEDNN_PLAIN}},          \
                                            .view = view,                                                              \
                                            .describe = name##_describe,                                               \
                                            .seconds = seconds}
#define FAMILY(name)                                                                                                   \
  PASS(name##_forward, {DNNL_ARG_SRC, LAMINA_ONEDNN_DATA}, {DNNL_ARG_DST, LAMINA_ONEDNN_DATA});                        \
  PASS(name##_backward, {DNNL_ARG_DST, LAMINA_ONEDNN_DATA}, {DNNL_ARG_DIFF_DST, LAMINA_ONEDNN_DATA},                   \
       {DNNL_ARG_DIFF_SRC, LAMINA_ONEDNN_DATA})

FAMILY(sigmoid);
FAMILY(tanh);

const lamina_engine lamina_cpu_onednn_sigmoid_forward = {
    LAMINA_ONEDNN_ENGINE("sigmoid/forward", sigmoid_forward, LAMINA_STRIDES_SAME)};
const lamina_engine lamina_cpu_onednn_sigmoid_backward = {
    LAMINA_ONEDNN_ENGINE("sigmoid/backward", sigmoid_backward, LAMINA_STRIDES_SAME)};
const lamina_engine lamina_cpu_onednn_tanh_forward = {
    LAMINA_ONEDNN_ENGINE("tanh/forward", tanh_forward, LAMINA_STRIDES_SAME)};
const lamina_engine lamina_cpu_onednn_tanh_backward = {
    LAMINA_ONEDNN_ENGINE("tanh/backward", tanh_backward, LAMINA_STRIDES_SAME)};
