/* The engines of convolution where a group has few channels on both sides. */
#include "kernels/conv_depthwise.h"
#include "cuda/conv.h"

enum { MOST = 8 }; /* channels of a group, on both sides */

static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  const cuda_conv_row *row = engine->user;
  if (!cuda_conv_takes(problem, row, each, context)) return;
  const kernel_conv c = cuda_conv_of(problem, row);
  if (c.C / c.groups > MOST || c.K / c.groups > MOST) {
    each(context, NULL, 0, "it takes groups of up to 8 channels on both sides");
    return;
  }
  each(context, "", cuda_seconds(device, 8 * cuda_conv_flops(&c), cuda_bytes(problem)), "");
}

static lamina_status run_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  (void)workspace;
  return cuda_conv_run(plan, args, stream, true, kernel_conv_depthwise_forward);
}
static lamina_status run_data(const lamina_plan *plan, const lamina_args *args, void *workspace,
                              lamina_stream *stream) {
  (void)workspace;
  return cuda_conv_run(plan, args, stream, false, kernel_conv_depthwise_data);
}

#define ENGINE(op, row, run_)                                                                                          \
  CUDA_ENGINE("kernel/depthwise", op, LAMINA_STRIDES_DENSE), .user = (void *)&row, .candidates = candidates, .run = run_
const lamina_engine lamina_cuda_conv_depthwise_forward = {ENGINE("conv/forward", cuda_conv_forward, run_forward)};
const lamina_engine lamina_cuda_conv_depthwise_data = {ENGINE("conv/backward_data", cuda_conv_data, run_data)};
const lamina_engine lamina_cuda_conv_relu_depthwise = {ENGINE("conv_relu/forward", cuda_conv_relu, run_forward)};
const lamina_engine lamina_cuda_relu_conv_depthwise = {ENGINE("relu_conv/backward_data", cuda_relu_conv, run_data)};
const lamina_engine lamina_cuda_conv_transpose_depthwise_forward = {
    ENGINE("conv_transpose/forward", cuda_conv_transpose_forward, run_data)};
const lamina_engine lamina_cuda_conv_transpose_depthwise_data = {
    ENGINE("conv_transpose/backward_data", cuda_conv_transpose_data, run_forward)};
