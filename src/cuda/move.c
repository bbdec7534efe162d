/* Engines that move elements: copy and fill. */
#include "kernels/move.h"

#include <stdio.h>

#include "core/blocks.h"
#include "cuda/cuda.h"
#include "kernels/cast.h"
#include "lamina/fill.h"

static lamina_status prepare_copy(lamina_plan *plan) {
  lamina_desc *x = &plan->problem.arg[0], *y = &plan->problem.arg[1];
  lamina_desc_settle(x, NULL), lamina_desc_settle(y, NULL);
  const lamina_axes whole = lamina_axes_of(x, y), axes = lamina_axes_merged(&whole);
  if (axes.rank > KERNEL_MAX_RANK)
    return cuda_host->error(LAMINA_UNSUPPORTED, "with its blocks as axes it has %d; the kernel takes up to %d",
                            axes.rank, KERNEL_MAX_RANK);
  kernel_move *move = cuda_state(plan, sizeof *move);
  if (!move) return LAMINA_OUT_OF_MEMORY;
  *move = kernel_move_plan((int)cuda_size_of(x->dtype), axes.rank, axes.dims, axes.x, axes.y);
  snprintf(plan->note, sizeof plan->note, "%s, %d bytes at once",
           move->way == KERNEL_MOVE_TILES  ? "in tiles"
           : move->way == KERNEL_MOVE_ROWS ? "in rows"
                                           : "straight",
           move->way == KERNEL_MOVE_STRAIGHT ? 16 : move->unit);
  return LAMINA_OK;
}

static lamina_status run_copy(const lamina_plan *plan, const lamina_args *args, void *workspace,
                              lamina_stream *stream) {
  (void)workspace;
  return cuda_launched(plan, kernel_move_run(plan->state, args->p[0], args->p[1], cuda_stream_of(stream)));
}

const lamina_engine lamina_cuda_copy = {
    CUDA_ENGINE("kernel", "copy/forward", LAMINA_STRIDES_BLOCKED),
    .candidates = cuda_move_candidates,
    .prepare = prepare_copy,
    .run = run_copy,
    .release = cuda_release,
};

static lamina_status run_fill(const lamina_plan *plan, const lamina_args *args, void *workspace,
                              lamina_stream *stream) {
  const lamina_desc *y = &plan->problem.arg[0];
  const double value = ((const lamina_fill *)cuda_attr(&plan->problem))->value;
  const uint64_t element = kernel_element_of(cuda_element(y), value);
  (void)workspace;
  return cuda_launched(
      plan, kernel_fill((int)cuda_size_of(y->dtype), cuda_count(y), &element, args->p[0], cuda_stream_of(stream)));
}

const lamina_engine lamina_cuda_fill = {
    CUDA_ENGINE("kernel", "fill/forward", LAMINA_STRIDES_SAME),
    .candidates = cuda_move_candidates,
    .run = run_fill,
};
