/* The direct engines of convolution and transposed convolution: any problem. */
#include "kernels/conv_direct.h"
#include "cuda/conv.h"

/* Of the f32 rate that the device has: what loads and addresses leave for arithmetic. */
static const double gather_share = 0.15, weights_share = 0.06;

static double whole(int64_t n, int64_t size) { return (double)((n + size - 1) / size * size); }

/* `rate`: the share of the device's, less what whole tiles do in vain. */
static void candidates(lamina_device *device, const lamina_problem *problem, const kernel_conv *c, double rate,
                       lamina_candidate_fn *each, void *context) {
  each(context, "", cuda_seconds(device, cuda_conv_flops(c) / rate, cuda_bytes(problem)), "");
}

/* ---- From one side to the other ---------------------------------------------------------------------------------- */

static void gather_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                              bool forward, lamina_candidate_fn *each, void *context) {
  const cuda_conv_row *row = engine->user;
  if (!cuda_conv_takes(problem, row, each, context)) return;
  const kernel_conv c = cuda_conv_of(problem, row);
  const int64_t rows = (forward ? c.K : c.C) / c.groups;
  candidates(device, problem, &c, gather_share * (double)rows / whole(rows, rows > 4 ? 8 : 4), each, context);
}

static void forward_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                               lamina_candidate_fn *each, void *context) {
  gather_candidates(device, problem, engine, true, each, context);
}

static void data_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                            lamina_candidate_fn *each, void *context) {
  gather_candidates(device, problem, engine, false, each, context);
}

static lamina_status run_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  (void)workspace;
  return cuda_conv_run(plan, args, stream, true, kernel_conv_direct_forward);
}
static lamina_status run_data(const lamina_plan *plan, const lamina_args *args, void *workspace,
                              lamina_stream *stream) {
  (void)workspace;
  return cuda_conv_run(plan, args, stream, false, kernel_conv_direct_data);
}

/* ---- The filter's gradient --------------------------------------------------------------------------------------- */

static void weights_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                               lamina_candidate_fn *each, void *context) {
  const cuda_conv_row *row = engine->user;
  if (!cuda_conv_takes(problem, row, each, context)) return;
  const kernel_conv c = cuda_conv_of(problem, row);
  const int64_t filters = c.K / c.groups, entries = c.C / c.groups * kernel_conv_area(c.w);
  const double done = filters == 1 ? whole(entries, 9) : whole(filters, 4) * whole(entries, 8);
  candidates(device, problem, &c, weights_share * (double)(filters * entries) / done, each, context);
}

static int weights_parts(const lamina_plan *plan, const kernel_conv *c) {
  return kernel_conv_direct_weights_parts(c, cuda_device_of(plan->device)->multiprocessors);
}

static lamina_status prepare_weights(lamina_plan *plan) {
  const kernel_conv c = cuda_conv_of(&plan->problem, plan->engine->user);
  const int parts = weights_parts(plan, &c);
  if (parts > 1) plan->workspace = (size_t)(parts * cuda_conv_weights_count(&c)) * sizeof(float);
  return LAMINA_OK;
}

static lamina_status run_weights(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  const cuda_conv_row *row = plan->engine->user;
  const kernel_conv c = cuda_conv_of(&plan->problem, row);
  return cuda_launched(plan, kernel_conv_direct_weights(&c, args->p[row->x], args->p[row->y], args->p[row->w],
                                                        weights_parts(plan, &c), workspace, cuda_stream_of(stream)));
}

/* ---- The bias's gradient ----------------------------------------------------------------------------------------- */

enum { DY, DB };

static kernel_channel_sum sum_of(const lamina_problem *problem) {
  const lamina_desc *dy = &problem->arg[DY];
  return (kernel_channel_sum){
      .type = cuda_type(dy), .N = dy->dims[0], .C = dy->dims[1], .area = cuda_span(dy, 2, dy->rank)};
}

static int sum_parts(const lamina_plan *plan, const kernel_channel_sum *s) {
  return kernel_channel_sum_parts(s, cuda_device_of(plan->device)->multiprocessors);
}

static void bias_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                            lamina_candidate_fn *each, void *context) {
  const kernel_channel_sum s = sum_of(problem);
  if (s.N * s.area > INT32_MAX || s.C > INT32_MAX) {
    each(context, NULL, 0, "it takes channels, and planes of all images, of less than 2^31 elements");
    return;
  }
  cuda_candidates(device, problem, engine, each, context);
}

static lamina_status prepare_bias(lamina_plan *plan) {
  const kernel_channel_sum s = sum_of(&plan->problem);
  const int parts = sum_parts(plan, &s);
  if (parts > 1) plan->workspace = (size_t)(parts * s.C) * sizeof(float);
  return LAMINA_OK;
}

static lamina_status run_bias(const lamina_plan *plan, const lamina_args *args, void *workspace,
                              lamina_stream *stream) {
  const kernel_channel_sum s = sum_of(&plan->problem);
  return cuda_launched(plan, kernel_channel_sum_of(&s, args->p[DY], args->p[DB], sum_parts(plan, &s), workspace,
                                                   cuda_stream_of(stream)));
}

#define GATHER(op, row, way)                                                                                           \
  CUDA_ENGINE("kernel/direct", op, LAMINA_STRIDES_DENSE), .user = (void *)&row, .candidates = way##_candidates,        \
                                                          .run = run_##way
#define WEIGHTS(op, row)                                                                                               \
  CUDA_ENGINE("kernel/direct", op, LAMINA_STRIDES_DENSE), .user = (void *)&row, .candidates = weights_candidates,      \
                                                          .prepare = prepare_weights, .run = run_weights
#define BIAS(op)                                                                                                       \
  CUDA_ENGINE("kernel/direct", op, LAMINA_STRIDES_DENSE), .candidates = bias_candidates, .prepare = prepare_bias,      \
                                                          .run = run_bias
const lamina_engine lamina_cuda_conv_direct_forward = {GATHER("conv/forward", cuda_conv_forward, forward)};
const lamina_engine lamina_cuda_conv_direct_data = {GATHER("conv/backward_data", cuda_conv_data, data)};
const lamina_engine lamina_cuda_conv_relu_direct = {GATHER("conv_relu/forward", cuda_conv_relu, forward)};
const lamina_engine lamina_cuda_relu_conv_direct = {GATHER("relu_conv/backward_data", cuda_relu_conv, data)};
const lamina_engine lamina_cuda_conv_direct_weights = {WEIGHTS("conv/backward_weights", cuda_conv_weights)};
const lamina_engine lamina_cuda_conv_bias = {BIAS("conv/backward_bias")};
const lamina_engine lamina_cuda_conv_transpose_direct_forward = {
    GATHER("conv_transpose/forward", cuda_conv_transpose_forward, data)};
const lamina_engine lamina_cuda_conv_transpose_direct_data = {
    GATHER("conv_transpose/backward_data", cuda_conv_transpose_data, forward)};
const lamina_engine lamina_cuda_conv_transpose_direct_weights = {
    WEIGHTS("conv_transpose/backward_weights", cuda_conv_transpose_weights)};
const lamina_engine lamina_cuda_conv_transpose_bias = {BIAS("conv_transpose/backward_bias")};
