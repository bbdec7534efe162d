/* Engines that are matrix products: what kernels/gemm.h needs of a problem, and the choice of its tile and splits.
 *
 * An engine describes its problem as a kernel_gemm (all but tile and splits); the rest is here:
 *
 *   candidates   cuda_gemm_candidates: a variant for each tile, "128x128" ("tf32_128x128", "bf16_…" on
 *                tensor cores), and "128x128_split" where the sum is long
 *                enough to be shared by several blocks
 *   prepare      cuda_gemm_prepare: the plan's state, workspace and numerics
 *   run          cuda_gemm_run, and cuda_release */
#ifndef LAMINA_CUDA_GEMM_H
#define LAMINA_CUDA_GEMM_H

#include "cuda/cuda.h"
#include "kernels/gemm.h"

/* The view of a matrix: its last two axes, from the batch axes on. `swap`: as its transpose. */
typedef struct cuda_gemm_view {
  int64_t rows, columns;
  kernel_gemm_steps steps; /* batch axes: last one first, as many as the tensor has */
} cuda_gemm_view;
cuda_gemm_view cuda_gemm_view_of(const lamina_desc *desc, bool swap);

/* Of the engine "kernel/gemm" or "kernel/gemm_mma". tf32: what math=default means for f32. */
void cuda_gemm_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                          const kernel_gemm *gemm, bool tf32, lamina_candidate_fn *each, void *context);
lamina_status cuda_gemm_prepare(lamina_plan *plan, const kernel_gemm *gemm);
/* p->partial is set from the workspace. */
lamina_status cuda_gemm_run(const lamina_plan *plan, const kernel_gemm_pointers *p, void *workspace,
                            lamina_stream *stream);

#endif
