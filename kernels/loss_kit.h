// What kernels of losses share: the deterministic sum, or mean, of all examples' losses. Each block leaves its sum behind,
// and a last block adds them up in order; a block that is alone does that at once.
#pragma once

#include "array_kit.h"
#include "loss.h"

// A block's share of the sum, and of what a mean divides by.
struct partial {
  double sum, by;
};
static_assert(sizeof(partial) * KERNEL_LOSS_BLOCKS == KERNEL_LOSS_WORKSPACE,
              "the launchers' callers make room for them");

// Sums over all threads of the block, of 256, all of whom call it.
__device__ __forceinline__ partial add_threads(partial mine) {
  return {reduce_block<256>(mine.sum, 0.0, add{}), reduce_block<256>(mine.by, 0.0, add{})};
}

// What each block of 256 does at its end, with each thread's share.
__device__ __forceinline__ void leave(partial mine, bool mean, const kernel_array &y, partial *partials) {
  const partial all = add_threads(mine);
  if (threadIdx.x != 0) return;
  if (gridDim.x > 1)
    partials[blockIdx.x] = all;
  else
    put_number(y, 0, mean ? all.sum / all.by : all.sum);
}

// The last block: `count` partials.
static __global__ void close_loss(unsigned count, bool mean, kernel_array y, const partial *partials) {
  partial mine = {0, 0};
  for (unsigned i = threadIdx.x; i < count; i += blockDim.x) mine.sum += partials[i].sum, mine.by += partials[i].by;
  const partial all = add_threads(mine);
  if (threadIdx.x == 0) put_number(y, 0, mean ? all.sum / all.by : all.sum);
}

// After a launch of `blocks` blocks that left their partials behind and gave `error`.
inline int finish_loss(int error, unsigned blocks, bool mean, const kernel_array &y, const partial *partials,
                       kernel_stream stream) {
  return error || blocks == 1 ? error : LAUNCH(close_loss, dim3(1), dim3(256), 0, stream, blocks, mean, y, partials);
}
