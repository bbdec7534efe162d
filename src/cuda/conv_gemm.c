/* Convolutions that are plain matrix products: filters of one tap, stride 1, no padding. Each position is one of a pixel's
 * channels times the filter; the filter's gradient is a sum over images. */
#include "cuda/conv.h"
#include "cuda/gemm.h"

static bool fits(const kernel_conv *c) {
  bool same = c->groups == 1;
  for (int a = 0; a < 3; a++) same = same && c->w[a] == 1 && c->stride[a] == 1 && c->pad[a] == 0 && c->x[a] == c->y[a];
  return same;
}

/* From x to y, or from y to x: out[n] = w in[n], or w' in[n]. */
static kernel_gemm way_of(const kernel_conv *c, const cuda_conv_row *row, bool forward) {
  const int64_t area = kernel_conv_area(c->x);
  const kernel_gemm_steps x = {.row = area, .column = 1, .batch = {c->C * area}};
  const kernel_gemm_steps y = {.row = area, .column = 1, .batch = {c->K * area}};
  return (kernel_gemm){.type = c->type,
                       .M = (int)(forward ? c->K : c->C),
                       .N = (int)area,
                       .K = (int)(forward ? c->C : c->K),
                       .kept = 1,
                       .size = {c->N},
                       .a = {.row = forward ? c->C : 1, .column = forward ? 1 : c->C},
                       .b = forward ? x : y,
                       .c = forward ? y : x,
                       .bias_row = 1,
                       .relu = row->relu,
                       .splits = 1};
}

static kernel_gemm weights_of(const kernel_conv *c, const cuda_conv_row *row) {
  (void)row;
  const int64_t area = kernel_conv_area(c->x);
  return (kernel_gemm){.type = c->type,
                       .M = (int)c->K,
                       .N = (int)c->C,
                       .K = (int)area,
                       .summed = 1,
                       .size = {c->N},
                       .a = {.row = area, .column = 1, .batch = {c->K * area}},
                       .b = {.row = 1, .column = area, .batch = {c->C * area}},
                       .c = {.row = c->C, .column = 1},
                       .splits = 1};
}

static kernel_gemm forward_of(const kernel_conv *c, const cuda_conv_row *row) { return way_of(c, row, true); }
static kernel_gemm data_of(const kernel_conv *c, const cuda_conv_row *row) { return way_of(c, row, false); }

#define OF(arg) args->p[((const cuda_conv_row *)plan->engine->user)->arg]
#define PASS(pass, a_, b_, c_)                                                                                         \
  static void candidates_##pass(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,     \
                                lamina_candidate_fn *each, void *context) {                                            \
    if (!cuda_conv_takes(problem, engine->user, each, context)) return;                                                \
    const kernel_conv c = cuda_conv_of(problem, engine->user);                                                         \
    const kernel_gemm gemm = pass##_of(&c, engine->user);                                                              \
    if (fits(&c))                                                                                                      \
      cuda_gemm_candidates(device, problem, engine, &gemm, true, each, context);                                       \
    else                                                                                                               \
      each(context, NULL, 0, "it takes filters of one tap in one group, stride 1, no padding");                        \
  }                                                                                                                    \
  static lamina_status prepare_##pass(lamina_plan *plan) {                                                             \
    const kernel_conv c = cuda_conv_of(&plan->problem, plan->engine->user);                                            \
    const kernel_gemm gemm = pass##_of(&c, plan->engine->user);                                                        \
    return cuda_gemm_prepare(plan, &gemm);                                                                             \
  }                                                                                                                    \
  static lamina_status run_##pass(const lamina_plan *plan, const lamina_args *args, void *workspace,                   \
                                  lamina_stream *stream) {                                                             \
    const kernel_conv_after after = cuda_conv_after(plan->engine->user, args);                                         \
    const kernel_gemm_pointers p = {.a = a_, .b = b_, .bias = after.bias, .gate = after.gate, .c = c_};                \
    return cuda_gemm_run(plan, &p, workspace, stream);                                                                 \
  }
PASS(forward, OF(w), OF(x), OF(y))
PASS(data, OF(w), OF(y), OF(x))
PASS(weights, OF(y), OF(x), OF(w))

#define ENGINE(name, op, row, pass)                                                                                    \
  CUDA_ENGINE(name, op, LAMINA_STRIDES_DENSE), .user = (void *)&row, .candidates = candidates_##pass,                  \
                                               .prepare = prepare_##pass, .run = run_##pass, .release = cuda_release
const lamina_engine lamina_cuda_conv_gemm_forward = {ENGINE("kernel/gemm", "conv/forward", cuda_conv_forward, forward)};
const lamina_engine lamina_cuda_conv_mma_forward = {
    ENGINE("kernel/gemm_mma", "conv/forward", cuda_conv_forward, forward)};
const lamina_engine lamina_cuda_conv_gemm_data = {ENGINE("kernel/gemm", "conv/backward_data", cuda_conv_data, data)};
const lamina_engine lamina_cuda_conv_mma_data = {ENGINE("kernel/gemm_mma", "conv/backward_data", cuda_conv_data, data)};
const lamina_engine lamina_cuda_conv_relu_gemm = {ENGINE("kernel/gemm", "conv_relu/forward", cuda_conv_relu, forward)};
const lamina_engine lamina_cuda_conv_relu_mma = {
    ENGINE("kernel/gemm_mma", "conv_relu/forward", cuda_conv_relu, forward)};
const lamina_engine lamina_cuda_relu_conv_gemm = {
    ENGINE("kernel/gemm", "relu_conv/backward_data", cuda_relu_conv, data)};
const lamina_engine lamina_cuda_relu_conv_mma = {
    ENGINE("kernel/gemm_mma", "relu_conv/backward_data", cuda_relu_conv, data)};
const lamina_engine lamina_cuda_conv_gemm_weights = {
    ENGINE("kernel/gemm", "conv/backward_weights", cuda_conv_weights, weights)};
const lamina_engine lamina_cuda_conv_mma_weights = {
    ENGINE("kernel/gemm_mma", "conv/backward_weights", cuda_conv_weights, weights)};
