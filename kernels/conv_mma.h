// The tiles of convolution's implicit product on tensor cores, for both of its files.
#pragma once

#include "conv_implicit.h"
#include "conv_job.h"
#include "gemm_mma.h"

template <class T> using conv_mma_tile_0 = mma_tile<T, 128, 128, 64, 64, 32, 4, 1>;
template <class T> using conv_mma_tile_1 = mma_tile<T, 64, 64, 64, 32, 32, 4, 3>;
#define X(place, rows, columns)                                                                                        \
  static_assert(conv_mma_tile_##place<bf16>::BM == rows && conv_mma_tile_##place<bf16>::BN == columns,                 \
                "as the table says");
KERNEL_CONV_TILES(X)
#undef X
