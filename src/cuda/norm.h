/* What the engines of normalisations share. */
#ifndef LAMINA_CUDA_NORM_H
#define LAMINA_CUDA_NORM_H

#include "cuda/cuda.h"
#include "kernels/norm.h"

/* One candidate, "", or two, "whole" and "split": see kernels/norm_forward.cu. x, y, dy and dx have one type, the numbers
 * that go with them one each. Of *n the sizes are looked at. */
void cuda_norm_candidates(lamina_device *device, const lamina_problem *problem, const kernel_norm *n, bool variants,
                          lamina_candidate_fn *each, void *context);

/* Argument `arg` with its type; absent where the caller has none. */
static inline kernel_numbers cuda_numbers(const lamina_plan *plan, const lamina_args *args, int arg) {
  return (kernel_numbers){.p = args->p[arg], .type = cuda_type(&plan->problem.arg[arg])};
}

#endif
