/* Fully connected layers on oneDNN's inner product.
 *
 * plain    x and y row-major, w as it is given
 * blocked  oneDNN chooses: w in blocks for its batch-reduced gemm
 */
#include "cpu/onednn_base.h"

/* Places in the rows: x, w, b, y | dy, w, dx | x, dy, dw. */
static dnnl_status_t describe_forward(lamina_onednn_setup *s) {
  return dnnl_inner_product_forward_desc_init(&s->ask.fc, dnnl_forward_training, &s->wanted[0], &s->wanted[1],
                                              s->wanted[2].ndims ? &s->wanted[2] : NULL, &s->wanted[3]);
}
static dnnl_status_t describe_backward_data(lamina_onednn_setup *s) {
  return dnnl_inner_product_backward_data_desc_init(&s->ask.fc, &s->wanted[2], &s->wanted[1], &s->wanted[0]);
}
static dnnl_status_t describe_backward_weights(lamina_onednn_setup *s) {
  return dnnl_inner_product_backward_weights_desc_init(&s->ask.fc, &s->wanted[0], &s->wanted[2], NULL, &s->wanted[1]);
}

static double seconds(const lamina_onednn_setup *s) {
  double flops, bytes;
  lamina_problem_work(s->problem, &flops, &bytes);
  return flops / lamina_onednn_rate(s) + lamina_onednn_moving(s, bytes);
}

#define LAYOUTS                                                                                                        \
  .layouts = {{"plain", LAMINA_ONEDNN_PLAIN, LAMINA_ONEDNN_GIVEN}, {"blocked", LAMINA_ONEDNN_FREE, LAMINA_ONEDNN_FREE}}

static const lamina_onednn_recipe fc_forward = {.bind = {{DNNL_ARG_SRC, LAMINA_ONEDNN_DATA},
                                                         {DNNL_ARG_WEIGHTS, LAMINA_ONEDNN_FILTER},
                                                         {DNNL_ARG_BIAS, LAMINA_ONEDNN_BIAS},
                                                         {DNNL_ARG_DST, LAMINA_ONEDNN_DATA}},
                                                LAYOUTS,
                                                .describe = describe_forward,
                                                .seconds = seconds};
static const lamina_onednn_recipe fc_backward_data = {.bind = {{DNNL_ARG_DIFF_DST, LAMINA_ONEDNN_DATA},
                                                               {DNNL_ARG_WEIGHTS, LAMINA_ONEDNN_FILTER},
                                                               {DNNL_ARG_DIFF_SRC, LAMINA_ONEDNN_DATA}},
                                                      LAYOUTS,
                                                      .describe = describe_backward_data,
                                                      .seconds = seconds};
static const lamina_onednn_recipe fc_backward_weights = {.bind = {{DNNL_ARG_SRC, LAMINA_ONEDNN_DATA},
                                                                  {DNNL_ARG_DIFF_DST, LAMINA_ONEDNN_DATA},
                                                                  {DNNL_ARG_DIFF_WEIGHTS, LAMINA_ONEDNN_FILTER}},
                                                         LAYOUTS,
                                                         .describe = describe_backward_weights,
                                                         .seconds = seconds};

const lamina_engine lamina_cpu_onednn_fc_forward = {
    LAMINA_ONEDNN_ENGINE("fc/forward", fc_forward, LAMINA_STRIDES_BLOCKED)};
const lamina_engine lamina_cpu_onednn_fc_backward_data = {
    LAMINA_ONEDNN_ENGINE("fc/backward_data", fc_backward_data, LAMINA_STRIDES_BLOCKED)};
const lamina_engine lamina_cpu_onednn_fc_backward_weights = {
    LAMINA_ONEDNN_ENGINE("fc/backward_weights", fc_backward_weights, LAMINA_STRIDES_BLOCKED)};
