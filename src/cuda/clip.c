/* Engines of norms and clipping. */
#include "lamina/clip.h"

#include "cuda/array.h"
#include "kernels/clip.h"

static lamina_status norm2_prepare(lamina_plan *plan) {
  plan->workspace = KERNEL_NORM2_WORKSPACE;
  return LAMINA_OK;
}

static lamina_status norm2_run(const lamina_plan *plan, const lamina_args *args, void *workspace,
                               lamina_stream *stream) {
  enum { X, Y };
  return cuda_launched(plan, kernel_norm2(cuda_count(&plan->problem.arg[X]), cuda_array(plan, args, X),
                                          cuda_array(plan, args, Y), workspace, cuda_stream_of(stream)));
}

const lamina_engine lamina_cuda_norm2_forward = {
    CUDA_ENGINE("kernel", "norm2/forward", LAMINA_STRIDES_DENSE),
    .candidates = cuda_arrays_candidates,
    .prepare = norm2_prepare,
    .run = norm2_run,
};

static lamina_status clip_norm_run(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                   lamina_stream *stream) {
  enum { X, NORM, GATE, Y };
  const kernel_clip clip = {.x = cuda_array(plan, args, X),
                            .y = cuda_array(plan, args, Y),
                            .norm = cuda_array(plan, args, NORM),
                            .gate = cuda_array(plan, args, GATE),
                            .n = cuda_count(&plan->problem.arg[X]),
                            .most = ((const lamina_clip_norm *)cuda_attr(&plan->problem))->max};
  (void)workspace;
  return cuda_launched(plan, kernel_clip_norm(&clip, cuda_stream_of(stream)));
}

static lamina_status clip_value_run(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                    lamina_stream *stream) {
  enum { X, Y };
  const kernel_clip clip = {.x = cuda_array(plan, args, X),
                            .y = cuda_array(plan, args, Y),
                            .n = cuda_count(&plan->problem.arg[X]),
                            .most = ((const lamina_clip_value *)cuda_attr(&plan->problem))->max};
  (void)workspace;
  return cuda_launched(plan, kernel_clip_value(&clip, cuda_stream_of(stream)));
}

#define ENGINE(family)                                                                                                 \
  CUDA_ENGINE("kernel", #family "/forward", LAMINA_STRIDES_SAME), .candidates = cuda_arrays_candidates,                \
                                                                  .run = family##_run
const lamina_engine lamina_cuda_clip_norm_forward = {ENGINE(clip_norm)};
const lamina_engine lamina_cuda_clip_value_forward = {ENGINE(clip_value)};
