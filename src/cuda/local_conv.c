/* Engines of locally connected layers. */
#include "kernels/local_conv.h"

#include "cuda/conv.h"

static const cuda_conv_row forward = {CUDA_LOCAL_CONV, .x = 0, .w = 1, .b = 2, .y = 3},
                           data = {CUDA_LOCAL_CONV, .y = 0, .w = 1, .b = -1, .x = 2},
                           weights = {CUDA_LOCAL_CONV, .x = 0, .y = 1, .b = -1, .w = 2};

#define OF(arg) args->p[((const cuda_conv_row *)plan->engine->user)->arg]
#define RUN(pass, ...)                                                                                                 \
  static lamina_status run_##pass(const lamina_plan *plan, const lamina_args *args, void *workspace,                   \
                                  lamina_stream *stream) {                                                             \
    const kernel_conv c = cuda_conv_of(&plan->problem, plan->engine->user);                                            \
    (void)workspace;                                                                                                   \
    return cuda_launched(plan, kernel_local_conv_##pass(&c, __VA_ARGS__, cuda_stream_of(stream)));                     \
  }
RUN(forward, OF(x), OF(w), OF(b), OF(y))
RUN(data, OF(y), OF(w), OF(x))
RUN(weights, OF(x), OF(y), OF(w))

static lamina_status run_bias(const lamina_plan *plan, const lamina_args *args, void *workspace,
                              lamina_stream *stream) {
  enum { DY, DB };
  const lamina_desc *dy = &plan->problem.arg[DY], *db = &plan->problem.arg[DB];
  (void)workspace;
  return cuda_launched(plan, kernel_local_conv_bias(cuda_type(dy), dy->dims[0], cuda_count(db), args->p[DY],
                                                    args->p[DB], cuda_stream_of(stream)));
}

static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  const cuda_conv_row *row = engine->user;
  if (!cuda_conv_takes(problem, row, each, context)) return;
  const kernel_conv c = cuda_conv_of(problem, row);
  each(context, "", cuda_seconds(device, 10 * cuda_conv_flops(&c), cuda_bytes(problem)), "");
}

#define ENGINE(pass, row)                                                                                              \
  CUDA_ENGINE("kernel", "local_conv/" #pass, LAMINA_STRIDES_DENSE), .user = (void *)&row, .candidates = candidates,    \
                                                                    .run = run_##row
const lamina_engine lamina_cuda_local_conv_forward = {ENGINE(forward, forward)};
const lamina_engine lamina_cuda_local_conv_backward_data = {ENGINE(backward_data, data)};
const lamina_engine lamina_cuda_local_conv_backward_weights = {ENGINE(backward_weights, weights)};
const lamina_engine lamina_cuda_local_conv_backward_bias = {
    CUDA_ENGINE("kernel", "local_conv/backward_bias", LAMINA_STRIDES_DENSE),
    .candidates = cuda_candidates,
    .run = run_bias,
};
