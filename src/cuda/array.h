/* Engines whose kernels learn the element types when they run, and take any mix of them. */
#ifndef LAMINA_CUDA_ARRAY_H
#define LAMINA_CUDA_ARRAY_H

#include "cuda/cuda.h"
#include "kernels/classes.h"
#include "kernels/loss.h"
#include "lamina/loss.h"

/* Argument i; without data where it is absent. */
static inline kernel_array cuda_array(const lamina_plan *plan, const lamina_args *args, int i) {
  const lamina_desc *desc = &plan->problem.arg[i];
  return cuda_present(desc) ? (kernel_array){.data = args->p[i], .type = cuda_element(desc)} : (kernel_array){0};
}

/* A tensor's elements along one of its axes. */
static inline kernel_classes cuda_classes_along(const lamina_desc *x, int axis) {
  const int64_t behind = cuda_span(x, axis + 1, x->rank);
  return (kernel_classes){.C = x->dims[axis], .S = behind, .M = cuda_span(x, 0, axis) * behind};
}
/* Scores [N, C, spatial…]. */
static inline kernel_classes cuda_classes(const lamina_desc *x) { return cuda_classes_along(x, 1); }

/* Every loss's descriptor begins with its lamina_reduction. */
static inline kernel_reduction cuda_reduction(const lamina_plan *plan) {
  const int64_t reduction = *(const int64_t *)cuda_attr(&plan->problem);
  return reduction == LAMINA_REDUCTION_MEAN  ? KERNEL_MEAN
         : reduction == LAMINA_REDUCTION_SUM ? KERNEL_SUM
                                             : KERNEL_NONE;
}

/* The one candidate, "", of an engine that is bound by memory and takes arguments 0 … last where they are integers, or
 * f32, bf16 or f16, each its own; the arguments behind them may have any type of their row. */
void cuda_array_candidates(lamina_device *device, const lamina_problem *problem, int last, lamina_candidate_fn *each,
                           void *context);
/* The same for all arguments, as an engine's row has it. */
void cuda_arrays_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                            lamina_candidate_fn *each, void *context);

/* An engine's prepare, where the kernels add up losses in workspace. */
lamina_status cuda_loss_prepare(lamina_plan *plan);

#endif
