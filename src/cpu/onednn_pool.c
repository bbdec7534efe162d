/* Average pooling on oneDNN. Its max pooling is not offered: it passes over NaN and answers -3.4e38 for a window of
 * -inf, where lamina/pool.h says NaN and -inf.
 *
 * plain          x and y row-major
 * channels_last  channels in the lanes
 */
#include "cpu/onednn_base.h"
#include "lamina/pool.h"

/* What oneDNN must be told to pad after the input, so that its windows are ours. */
static int64_t pad_after(const lamina_pool *pool, int axis, int64_t x, int64_t y) {
  const int64_t reach = (y - 1) * pool->stride[axis] + pool->kernel[axis] - pool->pad[axis][0] - x;
  return reach > pool->pad[axis][1] ? reach : pool->pad[axis][1];
}

/* Of `problem`, the wider and the pooled tensor: x, y | dx, dy. */
static void shapes_of(const lamina_problem *problem, const lamina_desc **x, const lamina_desc **y) {
  const bool forward = strcmp(lamina_op_at(problem->op)->name, "avg_pool/forward") == 0;
  *x = &problem->arg[forward ? 0 : 1], *y = &problem->arg[forward ? 1 : 0];
}

static const char *refuse(const lamina_problem *problem) {
  const lamina_pool *pool = lamina_attr(problem);
  const lamina_desc *x, *y;
  shapes_of(problem, &x, &y);
  for (int a = 0; a < x->rank - 2; a++) {
    const int64_t after = pad_after(pool, a, x->dims[2 + a], y->dims[2 + a]);
    if (pool->count_pad && after > pool->pad[a][1])
      return "with count_pad oneDNN also counts what lies beyond the padding in ceil mode";
    if (pool->stride[a] > INT32_MAX || x->dims[2 + a] + pool->pad[a][0] + after > INT32_MAX)
      return "an axis is longer than 2^31 - 1 with its padding, and oneDNN's kernels count in 32 bits";
  }
  return NULL;
}

static dnnl_status_t describe_pass(lamina_onednn_setup *s, const dnnl_memory_desc_t *x, const dnnl_memory_desc_t *y,
                                   bool forward) {
  const lamina_pool *pool = lamina_attr(s->problem);
  const dnnl_alg_kind_t average = pool->count_pad ? dnnl_pooling_avg_include_padding : dnnl_pooling_avg_exclude_padding;
  dnnl_dims_t stride = {0}, kernel = {0}, before = {0}, after = {0};
  for (int a = 0; a < x->ndims - 2; a++) {
    stride[a] = pool->stride[a], kernel[a] = pool->kernel[a];
    before[a] = pool->pad[a][0], after[a] = pad_after(pool, a, x->dims[2 + a], y->dims[2 + a]);
  }
  if (!forward) return dnnl_pooling_backward_desc_init(&s->ask.pool, average, x, y, stride, kernel, before, after);
  return dnnl_pooling_forward_desc_init(&s->ask.pool, dnnl_forward_training, average, x, y, stride, kernel, before,
                                        after);
}

static dnnl_status_t describe_forward(lamina_onednn_setup *s) {
  return describe_pass(s, &s->wanted[0], &s->wanted[1], true);
}

/* oneDNN's bf16 kernel rounds to bf16 after each window that it adds. */
static bool adds_in_bf16(const lamina_onednn_setup *s) {
  const lamina_pool *pool = lamina_attr(s->problem);
  bool overlap = false;
  for (int a = 0; a < s->wanted[1].ndims - 2; a++) overlap |= pool->stride[a] < pool->kernel[a];
  return overlap && s->wanted[1].data_type == dnnl_bf16;
}

static dnnl_status_t describe_backward(lamina_onednn_setup *s) {
  if (adds_in_bf16(s)) return dnnl_unimplemented;
  dnnl_status_t status = describe_pass(s, &s->wanted[1], &s->wanted[0], true);
  if (!status) status = dnnl_primitive_desc_create(&s->hint, &s->ask.pool, s->attr, s->engine, NULL);
  return status ? status : describe_pass(s, &s->wanted[1], &s->wanted[0], false);
}

static double seconds(const lamina_onednn_setup *s) {
  double flops, bytes;
  lamina_problem_work(s->problem, &flops, &bytes);
  return lamina_onednn_moving(s, bytes) + lamina_cpu_computing(s->device, flops, strstr(s->impl, "jit") ? 0.05 : 0.006);
}

#define LAYOUTS                                                                                                        \
  .layouts = {{"plain", LAMINA_ONEDNN_PLAIN, LAMINA_ONEDNN_PLAIN},                                                     \
              {"channels_last", LAMINA_ONEDNN_LAST, LAMINA_ONEDNN_PLAIN}},                                             \
  .refuse = refuse, .seconds = seconds

static const lamina_onednn_recipe avg_pool_forward = {
    .bind = {{DNNL_ARG_SRC, LAMINA_ONEDNN_DATA}, {DNNL_ARG_DST, LAMINA_ONEDNN_DATA}},
    LAYOUTS,
    .describe = describe_forward};
static const lamina_onednn_recipe avg_pool_backward = {
    .bind = {{DNNL_ARG_DIFF_DST, LAMINA_ONEDNN_DATA}, {DNNL_ARG_DIFF_SRC, LAMINA_ONEDNN_DATA}},
    LAYOUTS,
    .describe = describe_backward};

const lamina_engine lamina_cpu_onednn_avg_pool_forward = {
    LAMINA_ONEDNN_ENGINE("avg_pool/forward", avg_pool_forward, LAMINA_STRIDES_ANY)};
const lamina_engine lamina_cpu_onednn_avg_pool_backward = {
    LAMINA_ONEDNN_ENGINE("avg_pool/backward", avg_pool_backward, LAMINA_STRIDES_ANY)};
