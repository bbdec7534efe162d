/* Engines of batch normalisation: a set for each channel, a run for each example. */
#include "lamina/batch_norm.h"

#include "cuda/norm.h"

enum { X, W, B, RUNNING_MEAN, RUNNING_VARIANCE, Y, MEAN, DEVIATION, NEW_MEAN, NEW_VARIANCE }; /* forward, inference */
enum { BACK_X, BACK_W, BACK_MEAN, BACK_DEVIATION, BACK_DY, BACK_DX, BACK_DW, BACK_DB };

static kernel_norm channels_of(const lamina_problem *problem) {
  const lamina_desc *x = &problem->arg[X];
  const lamina_batch_norm *bn = cuda_attr(problem);
  return (kernel_norm){.type = cuda_type(x),
                       .runs = x->dims[0],
                       .sets = x->dims[1],
                       .length = cuda_span(x, 2, x->rank),
                       .by_set = true,
                       .mean_each = 1,
                       .epsilon = (float)bn->epsilon,
                       .keep = (float)(1 - bn->momentum),
                       .momentum = (float)bn->momentum};
}

static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  const bool statistics = strcmp(cuda_host->op_at(problem->op)->name, "batch_norm/inference") != 0;
  const kernel_norm n = channels_of(problem);
  (void)engine;
  cuda_norm_candidates(device, problem, &n, statistics, each, context);
}

static lamina_status prepare(lamina_plan *plan) {
  kernel_norm *n = cuda_state(plan, sizeof *n);
  if (!n) return LAMINA_OUT_OF_MEMORY;
  *n = channels_of(&plan->problem);
  n->split = strcmp(plan->variant, "whole") != 0;
  plan->workspace = kernel_norm_plan(n);
  return LAMINA_OK;
}

static lamina_status run_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  const kernel_norm_forward_numbers numbers = {.w = cuda_numbers(plan, args, W),
                                               .b = cuda_numbers(plan, args, B),
                                               .running_mean = cuda_numbers(plan, args, RUNNING_MEAN),
                                               .running_variance = cuda_numbers(plan, args, RUNNING_VARIANCE),
                                               .mean = cuda_numbers(plan, args, MEAN),
                                               .deviation = cuda_numbers(plan, args, DEVIATION),
                                               .new_mean = cuda_numbers(plan, args, NEW_MEAN),
                                               .new_variance = cuda_numbers(plan, args, NEW_VARIANCE)};
  return cuda_launched(
      plan, kernel_norm_forward(plan->state, args->p[X], args->p[Y], &numbers, workspace, cuda_stream_of(stream)));
}

static lamina_status run_inference(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                   lamina_stream *stream) {
  const kernel_norm_forward_numbers numbers = {.w = cuda_numbers(plan, args, W),
                                               .b = cuda_numbers(plan, args, B),
                                               .running_mean = cuda_numbers(plan, args, RUNNING_MEAN),
                                               .running_variance = cuda_numbers(plan, args, RUNNING_VARIANCE)};
  return cuda_launched(
      plan, kernel_norm_inference(plan->state, args->p[X], args->p[Y], &numbers, workspace, cuda_stream_of(stream)));
}

static lamina_status run_backward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                  lamina_stream *stream) {
  const kernel_norm_backward_numbers numbers = {.w = cuda_numbers(plan, args, BACK_W),
                                                .mean = cuda_numbers(plan, args, BACK_MEAN),
                                                .deviation = cuda_numbers(plan, args, BACK_DEVIATION),
                                                .dw = cuda_numbers(plan, args, BACK_DW),
                                                .db = cuda_numbers(plan, args, BACK_DB)};
  return cuda_launched(plan, kernel_norm_backward(plan->state, args->p[BACK_X], args->p[BACK_DY], args->p[BACK_DX],
                                                  &numbers, workspace, cuda_stream_of(stream)));
}

#define ENGINE(pass)                                                                                                   \
  CUDA_ENGINE("kernel", "batch_norm/" #pass, LAMINA_STRIDES_DENSE), .candidates = candidates, .prepare = prepare,      \
                                                                    .run = run_##pass, .release = cuda_release
const lamina_engine lamina_cuda_batch_norm_forward = {ENGINE(forward)};
const lamina_engine lamina_cuda_batch_norm_inference = {ENGINE(inference)};
const lamina_engine lamina_cuda_batch_norm_backward = {ENGINE(backward)};
