#include "planted.h"

__global__ void divergent(int *p) {
  if (threadIdx.x < 16) {
    __syncthreads();
    p[0] = 1;
  } else {
    __syncthreads();
    p[1] = 1;
  }
}

__global__ void half_barrier(int *p) {
  if (threadIdx.x < 16) {
    __syncthreads();
  } else {
    __syncwarp(0xffff0000u);
    p[0] = __shfl_sync(~0u, 1, 0);
  }
}

__global__ void exited_lane(int *p) {
  if (threadIdx.x == 5) return;
  p[threadIdx.x] = __shfl_xor_sync(~0u, 1, 1);
}

__global__ void mask_lacks_caller(int *p) { p[threadIdx.x] = __shfl_sync(0xfffffffeu, 1, 1); }

__global__ void lanes_disagree(int *p) {
  if (threadIdx.x < 7)
    p[threadIdx.x] = __shfl_sync(~0u, 1, 1);
  else
    p[threadIdx.x] = __shfl_sync(~0u, 2, 1);
}

__global__ void partial_warp(float *p) { p[threadIdx.x] = __shfl_xor_sync(~0u, static_cast<float>(threadIdx.x), 1); }

__global__ void nothing(int) {}

__global__ void too_much_static(float *p) {
  SHARED(s, float[13000]);
  s[0] = 1;
  p[0] = s[0];
}

__global__ void never_waited(const float *from) {
  SHARED(s, float[32]);
  cp_async<4>(&s[threadIdx.x], from + threadIdx.x);
  cp_async_commit();
}

__global__ void grid_sync_alone(int) { grid_sync(); }

__global__ void host_as_shared(uint32_t *p) { *p = smem_u32(p); }

__global__ void uninitialised(float *p) {
  SHARED(s, float[32]);
  if (threadIdx.x < 31) s[threadIdx.x] = 1;
  __syncthreads();
  p[threadIdx.x] = s[threadIdx.x];
}

__global__ void past_static(float *p, int by) {
  SHARED(s, float[32]);
  SHARED(t, float[32]);
  float *q = s;
  q[static_cast<int>(threadIdx.x) + by] = 1;
  __syncthreads();
  t[0] = 0;
  p[threadIdx.x] = q[threadIdx.x];
}

__global__ void past_inner(float *p, int by) {
  SHARED(s, float[8][8]);
  s[0][threadIdx.x + by] = 1;
  __syncthreads();
  p[0] = s[1][0];
}

__global__ void past_dynamic(float *p) {
  DYN_SHARED(float, s);
  s[threadIdx.x] = 1;
  __syncthreads();
  p[threadIdx.x] = s[threadIdx.x];
}

__global__ void misaligned(const float *from, float *to) {
  const float4 v = *reinterpret_cast<const float4 *>(from + threadIdx.x);
  to[threadIdx.x] = v.x;
}

__global__ void past_ldmatrix(uint32_t *p) {
  SHARED(s, unsigned short[8 * 8]);
  s[threadIdx.x] = 0;
  s[threadIdx.x + 32] = 0;
  __syncthreads();
  uint32_t r[4];
  ldmatrix_x4(r, &s[0] + threadIdx.x * 8);
  p[threadIdx.x] = r[0];
}

__global__ void past_local(float *p, int at) {
  float a[4] = {};
  a[at] = p[threadIdx.x];
  p[threadIdx.x] = a[0] + a[3];
}

__device__ void go_deep(int *p, int n) {
  volatile char big[1000];
  big[n % 1000] = 1;
  p[0] += big[0];
  if (n > 0) go_deep(p, n - 1);
  p[0] += big[n % 1000];
}
__global__ void deep(int *p, int n) { go_deep(p, n); }

__global__ void no_syncwarp(float *p) {
  SHARED(s, float[32]);
  s[threadIdx.x] = threadIdx.x;
  p[threadIdx.x] = s[threadIdx.x ^ 1];
}

__global__ void with_syncwarp(float *p) {
  SHARED(s, float[64]);
  s[threadIdx.x] = threadIdx.x;
  __syncwarp();
  p[threadIdx.x] = s[threadIdx.x ^ 1];
  __syncwarp();
  s[threadIdx.x ^ 3] = 2;
}

__global__ void syncwarp_across_warps(float *p) {
  SHARED(s, float[64]);
  s[threadIdx.x] = threadIdx.x;
  __syncwarp();
  p[threadIdx.x] = s[threadIdx.x ^ 32];
}

__global__ void between_blocks(float *p) {
  if (threadIdx.x == 0) p[0] += 1;
}

__global__ void atomics(float *p) { atomicAdd(p, 1.0f); }

__global__ void atomic_against_store(float *p) {
  atomicAdd(p, 1.0f);
  if (threadIdx.x == 0 && blockIdx.x == 1) p[0] = 0;
}

__global__ void write_after_read(float *p) {
  SHARED(s, float[64]);
  s[threadIdx.x] = threadIdx.x;
  __syncthreads();
  p[threadIdx.x] = s[63 - threadIdx.x];
  s[threadIdx.x] = 0;
}

__global__ void neighbours(unsigned char *p) { p[threadIdx.x] = 1; }

__global__ void over_the_grid(float *p) {
  p[blockIdx.x * 32 + threadIdx.x] = 1;
  grid_sync();
  p[(blockIdx.x + 1) % 4 * 32 + threadIdx.x] += 1;
}

__global__ void over_the_grid_unordered(float *p) {
  p[blockIdx.x * 32 + threadIdx.x] = 1;
  __syncthreads();
  p[(blockIdx.x + 1) % 4 * 32 + threadIdx.x] += 1;
}

__global__ void copy_without_barrier(const float *from, float *to) {
  SHARED(s, float[64]);
  cp_async<4>(&s[threadIdx.x], from + threadIdx.x);
  cp_async_commit();
  cp_async_wait<0>();
  to[threadIdx.x] = s[threadIdx.x ^ 1];
}
