// grid_sync(), for kernels that LAUNCH_COOP launches: a barrier of all threads of the grid. A header of its own, since what
// it takes from CUDA is longer than all that other kernels need.
#ifndef GRID_H
#define GRID_H

#include "dev.h"

#ifdef __CUDACC__
#include <cooperative_groups.h>

__device__ __forceinline__ void grid_sync() { cooperative_groups::this_grid().sync(); }
#endif
#endif
