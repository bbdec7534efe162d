// Kernels with planted bugs, and some that look like them, for test_simt.
#ifndef PLANTED_H
#define PLANTED_H

#include "dev.h"

// Noticed in every build.
__global__ void divergent(int *p);
__global__ void half_barrier(int *p);
__global__ void exited_lane(int *p);
__global__ void mask_lacks_caller(int *p);
__global__ void lanes_disagree(int *p);
__global__ void partial_warp(float *p);
__global__ void nothing(int);
__global__ void too_much_static(float *p);
__global__ void never_waited(const float *from);
__global__ void grid_sync_alone(int);
__global__ void host_as_shared(uint32_t *p);
__global__ void uninitialised(float *p);

// AddressSanitizer's and UndefinedBehaviorSanitizer's.
__global__ void past_static(float *p, int by);
__global__ void past_inner(float *p, int by);
__global__ void past_dynamic(float *p);
__global__ void misaligned(const float *from, float *to);
__global__ void past_ldmatrix(uint32_t *p);
__global__ void past_local(float *p, int at);
__global__ void deep(int *p, int n);

// The race detector's.
__global__ void no_syncwarp(float *p);
__global__ void with_syncwarp(float *p);
__global__ void syncwarp_across_warps(float *p);
__global__ void between_blocks(float *p);
__global__ void atomics(float *p);
__global__ void atomic_against_store(float *p);
__global__ void write_after_read(float *p);
__global__ void neighbours(unsigned char *p);
__global__ void over_the_grid(float *p);
__global__ void over_the_grid_unordered(float *p);
__global__ void copy_without_barrier(const float *from, float *to);

#endif
