/* What the engines of pools share. */
#ifndef LAMINA_CUDA_POOL_H
#define LAMINA_CUDA_POOL_H

#include "cuda/cuda.h"
#include "kernels/pool.h"

/* Is the problem, with windows over argument x, one that kernels have numbers for? If not, tells `each` why.
 * Its descriptor begins with a lamina_pool. */
bool cuda_pool_takes(const lamina_problem *problem, int x, lamina_candidate_fn *each, void *context);
/* The planes of arguments x and y, and the windows. */
kernel_pool cuda_pool_of(const lamina_problem *problem, int x, int y, bool windows);

#endif
