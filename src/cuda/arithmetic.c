/* Engines of sums, products, PReLU and multiples. */
#include "kernels/arithmetic.h"

#include <float.h>
#include <math.h>

#include "cuda/cuda.h"
#include "lamina/arithmetic.h"

/* ---- Shapes ----------------------------------------------------------------------------------------------------- */

/* Do small's elements follow each other as large's do, or is there but one? Then strides don't matter. */
static bool one_axis(const lamina_desc *large, const lamina_desc *small) {
  const int64_t ones = cuda_count(small);
  return ones == 1 || ones == cuda_count(large);
}

/* Two arguments, of which the second may repeat. */
static kernel_binary shape_of(const lamina_plan *plan, kernel_function function, int large, int small) {
  const lamina_desc *arg = plan->problem.arg, *a = &arg[large], *b = &arg[small];
  kernel_binary s = {.function = function, .type = cuda_type(a), .rank = a->rank, .aligned = true};
  for (int i = 0; i < LAMINA_MAX_ARGS; i++) s.aligned &= !cuda_present(&arg[i]) || arg[i].align >= 16;
  if (one_axis(a, b)) {
    s.rank = 1, s.dims[0] = cuda_count(a), s.repeats[0] = cuda_count(b) == 1;
    return s;
  }
  for (int d = 0; d < a->rank; d++) { /* small: large's axes, or one number for each channel */
    const int64_t size = b->rank == a->rank ? b->dims[d] : d == 1 ? b->dims[0] : 1;
    s.dims[d] = a->dims[d], s.repeats[d] = size != a->dims[d];
  }
  return s;
}

/* Arguments 0 and `small` are the two. */
static void offer(lamina_device *device, const lamina_problem *problem, int small, lamina_candidate_fn *each,
                  void *context) {
  const lamina_desc *arg = problem->arg;
  if (!cuda_takes(problem, each, context)) return;
  if (cuda_present(&arg[small]) && cuda_count(&arg[0]) > INT32_MAX && !one_axis(&arg[0], &arg[small]))
    each(context, NULL, 0, "it takes up to 2^31 - 1 elements where the second argument repeats");
  else
    each(context, "", cuda_seconds(device, 0, cuda_bytes(problem)), "");
}

static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  (void)engine;
  offer(device, problem, 1, each, context);
}

/* ---- Forward ---------------------------------------------------------------------------------------------------- */

/* y = f(a, b). */
static lamina_status run_forward(const lamina_plan *plan, const lamina_args *args, kernel_function function,
                                 lamina_stream *stream) {
  enum { A, B, Y };
  const kernel_binary s = shape_of(plan, function, A, B);
  return cuda_launched(plan, kernel_binary_run(&s, args->p[A], NULL, args->p[B], args->p[Y], cuda_stream_of(stream)));
}

#define FORWARD(family, function)                                                                                      \
  static lamina_status family##_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,             \
                                        lamina_stream *stream) {                                                       \
    (void)workspace;                                                                                                   \
    return run_forward(plan, args, function, stream);                                                                  \
  }
FORWARD(add, KERNEL_ADD)
FORWARD(multiply, KERNEL_MULTIPLY)
FORWARD(prelu, KERNEL_PRELU)

/* ---- Backward --------------------------------------------------------------------------------------------------- */

/* Room for the sums of `small`, unless it is absent or alike. */
static lamina_status prepare_sums(lamina_plan *plan, kernel_function function, int small) {
  const lamina_desc *arg = plan->problem.arg;
  if (!cuda_present(&arg[small]) || cuda_count(&arg[small]) == cuda_count(&arg[0])) return LAMINA_OK;
  const kernel_binary s = shape_of(plan, function, 0, small);
  plan->workspace = kernel_binary_workspace(&s);
  return LAMINA_OK;
}

static void add_backward_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                                    lamina_candidate_fn *each, void *context) {
  (void)engine;
  offer(device, problem, 2, each, context);
}

static lamina_status add_backward_prepare(lamina_plan *plan) { return prepare_sums(plan, KERNEL_ADD, 2); }

static lamina_status add_backward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                  lamina_stream *stream) {
  enum { DY, DA, DB };
  const lamina_desc *arg = plan->problem.arg;
  const cudaStream_t queue = cuda_stream_of(stream);
  const size_t bytes = (size_t)cuda_count(&arg[DY]) * cuda_size_of(arg[DY].dtype);
  int error = 0;
  if (cuda_present(&arg[DB])) {
    const kernel_binary s = shape_of(plan, KERNEL_ADD, DY, DB);
    error = cuda_count(&arg[DB]) == cuda_count(&arg[DY])
                ? (int)cudaMemcpyAsync(args->p[DB], args->p[DY], bytes, cudaMemcpyDeviceToDevice, queue)
                : kernel_binary_collect(&s, args->p[DY], NULL, args->p[DB], workspace, queue);
  }
  if (!error && cuda_present(&arg[DA]) && args->p[DA] != args->p[DY])
    error = (int)cudaMemcpyAsync(args->p[DA], args->p[DY], bytes, cudaMemcpyDeviceToDevice, queue);
  return cuda_launched(plan, error);
}

static lamina_status multiply_backward_prepare(lamina_plan *plan) { return prepare_sums(plan, KERNEL_MULTIPLY, 1); }

/* db before da, which may lie on dy. */
static lamina_status multiply_backward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                       lamina_stream *stream) {
  enum { A, B, DY, DA, DB };
  const lamina_desc *arg = plan->problem.arg;
  const cudaStream_t queue = cuda_stream_of(stream);
  const kernel_binary s = shape_of(plan, KERNEL_MULTIPLY, A, B);
  int error = 0;
  if (cuda_present(&arg[DB]))
    error = cuda_count(&arg[B]) == cuda_count(&arg[A])
                ? kernel_binary_run(&s, args->p[DY], NULL, args->p[A], args->p[DB], queue)
                : kernel_binary_collect(&s, args->p[DY], args->p[A], args->p[DB], workspace, queue);
  if (!error && cuda_present(&arg[DA]))
    error = kernel_binary_run(&s, args->p[DY], NULL, args->p[B], args->p[DA], queue);
  return cuda_launched(plan, error);
}

static lamina_status prelu_backward_prepare(lamina_plan *plan) {
  const kernel_binary s = shape_of(plan, KERNEL_PRELU_GRADIENT, 0, 1);
  plan->workspace = kernel_binary_workspace(&s);
  return LAMINA_OK;
}

/* dslope before dx, which may lie on dy. */
static lamina_status prelu_backward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                    lamina_stream *stream) {
  enum { X, SLOPE, DY, DX, DSLOPE };
  const cudaStream_t queue = cuda_stream_of(stream);
  const kernel_binary s = shape_of(plan, KERNEL_PRELU_GRADIENT, X, SLOPE);
  int error = 0;
  if (cuda_present(&plan->problem.arg[DSLOPE]))
    error = kernel_binary_collect(&s, args->p[DY], args->p[X], args->p[DSLOPE], workspace, queue);
  if (!error) error = kernel_binary_run(&s, args->p[DY], args->p[X], args->p[SLOPE], args->p[DX], queue);
  return cuda_launched(plan, error);
}

/* ---- Scale ------------------------------------------------------------------------------------------------------ */

static void scale_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                             lamina_candidate_fn *each, void *context) {
  const double size = fabs(((const lamina_scale *)cuda_attr(problem))->factor);
  if (size != 0 && (size < (double)FLT_MIN || size > (double)FLT_MAX))
    each(context, NULL, 0, "it computes in f32, which can't hold this factor");
  else
    cuda_candidates(device, problem, engine, each, context);
}

/* Both passes. */
static lamina_status scale(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  const lamina_desc *x = &plan->problem.arg[0];
  const kernel_scale s = {.type = cuda_type(x),
                          .n = cuda_count(x),
                          .factor = (float)((const lamina_scale *)cuda_attr(&plan->problem))->factor};
  (void)workspace;
  return cuda_launched(plan, kernel_scale_run(&s, args->p[0], args->p[1], cuda_stream_of(stream)));
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

#define FORWARD_ENGINE(family, strides)                                                                                \
  CUDA_ENGINE("kernel", #family "/forward", LAMINA_STRIDES_##strides), .candidates = candidates, .run = family##_forward
#define BACKWARD_ENGINE(family, strides, candidates_)                                                                  \
  CUDA_ENGINE("kernel", #family "/backward", LAMINA_STRIDES_##strides),                                                \
      .candidates = (candidates_), .prepare = family##_backward_prepare, .run = family##_backward
const lamina_engine lamina_cuda_add_forward = {FORWARD_ENGINE(add, SAME)};
const lamina_engine lamina_cuda_add_backward = {BACKWARD_ENGINE(add, SAME, add_backward_candidates)};
const lamina_engine lamina_cuda_multiply_forward = {FORWARD_ENGINE(multiply, SAME)};
const lamina_engine lamina_cuda_multiply_backward = {BACKWARD_ENGINE(multiply, SAME, candidates)};
const lamina_engine lamina_cuda_prelu_forward = {FORWARD_ENGINE(prelu, DENSE)};
const lamina_engine lamina_cuda_prelu_backward = {BACKWARD_ENGINE(prelu, DENSE, candidates)};
#define SCALE(pass)                                                                                                    \
  CUDA_ENGINE("kernel", "scale/" #pass, LAMINA_STRIDES_SAME), .candidates = scale_candidates, .run = scale
const lamina_engine lamina_cuda_scale_forward = {SCALE(forward)};
const lamina_engine lamina_cuda_scale_backward = {SCALE(backward)};
