/* Engines of gather and embedding. */
#include "kernels/gather.h"

#include "cuda/cuda.h"
#include "lamina/gather.h"

/* Of argument `x`, which is indexed (or its gradient), and the indices. */
static kernel_gather gather_of(const lamina_problem *problem, int64_t axis, int64_t padding, int x, int indices) {
  const lamina_desc *desc = &problem->arg[x], *by = &problem->arg[indices];
  return (kernel_gather){.type = cuda_type(desc),
                         .index_size = (int)cuda_size_of(by->dtype),
                         .outer = cuda_span(desc, 0, (int)axis),
                         .size = desc->dims[axis],
                         .inner = cuda_span(desc, (int)axis + 1, desc->rank),
                         .count = cuda_count(by),
                         .padding = padding};
}

/* Gather takes x, indices, y, or indices, dy, dx; embedding indices, w, y, or indices, dy, dw. */
static kernel_gather gather_forward_of(const lamina_problem *p) {
  return gather_of(p, ((const lamina_gather *)cuda_attr(p))->axis, INT64_MIN, 0, 1);
}
static kernel_gather gather_backward_of(const lamina_problem *p) {
  return gather_of(p, ((const lamina_gather *)cuda_attr(p))->axis, INT64_MIN, 2, 0);
}
static kernel_gather embedding_forward_of(const lamina_problem *p) { return gather_of(p, 0, INT64_MIN, 1, 0); }
static kernel_gather embedding_backward_of(const lamina_problem *p) {
  return gather_of(p, 0, ((const lamina_embedding *)cuda_attr(p))->padding, 2, 0);
}

static lamina_status gather_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                    lamina_stream *stream) {
  const kernel_gather g = gather_forward_of(&plan->problem);
  (void)workspace;
  return cuda_launched(plan, kernel_gather_forward(&g, args->p[0], args->p[1], args->p[2], cuda_stream_of(stream)));
}

static lamina_status embedding_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                       lamina_stream *stream) {
  const kernel_gather g = embedding_forward_of(&plan->problem);
  (void)workspace;
  return cuda_launched(plan, kernel_gather_forward(&g, args->p[1], args->p[0], args->p[2], cuda_stream_of(stream)));
}

#define BACKWARD(family)                                                                                               \
  static lamina_status family##_backward_prepare(lamina_plan *plan) {                                                  \
    const kernel_gather g = family##_backward_of(&plan->problem);                                                      \
    plan->workspace = kernel_gather_workspace(&g);                                                                     \
    return LAMINA_OK;                                                                                                  \
  }                                                                                                                    \
  static lamina_status family##_backward(const lamina_plan *plan, const lamina_args *args, void *workspace,            \
                                         lamina_stream *stream) {                                                      \
    const kernel_gather g = family##_backward_of(&plan->problem);                                                      \
    return cuda_launched(                                                                                              \
        plan, kernel_gather_backward(&g, args->p[0], args->p[1], args->p[2], workspace, cuda_stream_of(stream)));      \
  }
BACKWARD(gather)
BACKWARD(embedding)

/* Argument `picked` is what the indices pick, or its gradient. */
static void offer(lamina_device *device, const lamina_problem *problem, int picked, int x, int64_t axis,
                  lamina_candidate_fn *each, void *context) {
  if (!cuda_takes(problem, each, context)) return;
  if (cuda_count(&problem->arg[picked]) > INT32_MAX || problem->arg[x].dims[axis] > INT32_MAX - 1)
    each(context, NULL, 0, "it picks up to 2^31 - 1 elements, from an axis of up to 2^31 - 2");
  else
    each(context, "", cuda_seconds(device, 0, cuda_bytes(problem)), "");
}

#define CANDIDATES(name, picked, x, axis)                                                                              \
  static void name##_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,     \
                                lamina_candidate_fn *each, void *context) {                                            \
    (void)engine;                                                                                                      \
    offer(device, problem, (picked), (x), (axis), each, context);                                                      \
  }
CANDIDATES(gather_forward, 2, 0, ((const lamina_gather *)cuda_attr(problem))->axis)
CANDIDATES(gather_backward, 1, 2, ((const lamina_gather *)cuda_attr(problem))->axis)
CANDIDATES(embedding_forward, 2, 1, 0)
CANDIDATES(embedding_backward, 1, 2, 0)

#define FORWARD_ENGINE(family)                                                                                         \
  CUDA_ENGINE("kernel", #family "/forward", LAMINA_STRIDES_DENSE), .candidates = family##_forward_candidates,          \
                                                                   .run = family##_forward
#define BACKWARD_ENGINE(family)                                                                                        \
  CUDA_ENGINE("kernel", #family "/backward", LAMINA_STRIDES_DENSE),                                                    \
      .candidates = family##_backward_candidates, .prepare = family##_backward_prepare, .run = family##_backward
const lamina_engine lamina_cuda_gather_forward = {FORWARD_ENGINE(gather)};
const lamina_engine lamina_cuda_gather_backward = {BACKWARD_ENGINE(gather)};
const lamina_engine lamina_cuda_embedding_forward = {FORWARD_ENGINE(embedding)};
const lamina_engine lamina_cuda_embedding_backward = {BACKWARD_ENGINE(embedding)};
