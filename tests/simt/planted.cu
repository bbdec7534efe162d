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

__global__ void warp_values(int *p) {
  const int lane = threadIdx.x, at = lane * 8;
  p[at] = __shfl_sync(~0u, lane * 10, 35);       // lane 3's
  p[at + 1] = __shfl_sync(~0u, lane * 10, 5, 8); // of each eight the fifth's
  p[at + 2] = __shfl_up_sync(~0u, lane, 3u, 16); // the first three keep theirs
  p[at + 3] = __shfl_down_sync(~0u, lane, 3u);   // the last three keep theirs
  p[at + 4] = __shfl_xor_sync(~0u, lane, 5);
  p[at + 5] = static_cast<int>(__shfl_sync(~0u, 1e300 * lane, 2) / 1e300);
  p[at + 6] = __reduce_add_sync(~0u, lane - 16);
  p[at + 7] = __reduce_min_sync(~0u, lane - 16);
}

__global__ void votes(int *p) {
  const int lane = threadIdx.x;
  p[lane * 4] = static_cast<int>(__ballot_sync(~0u, lane % 3 == 0));
  p[lane * 4 + 1] = __any_sync(~0u, lane == 31);
  p[lane * 4 + 2] = __all_sync(~0u, lane != 31);
  p[lane * 4 + 3] = lane < 8 ? __popc(__ballot_sync(0xffu, 1)) : 0;
}

__global__ void barrier_votes(int *p) {
  const int i = threadIdx.x;
  const int count = __syncthreads_count(i % 4 == 0);
  const int any = __syncthreads_or(i == 77);
  const int all = __syncthreads_and(i != 77);
  p[i] = count * 100 + any * 10 + all;
}

__global__ void coordinates(int *p) {
  const int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  atomicAdd(&p[block * blockDim.x * blockDim.y * blockDim.z + thread], 1);
}

__global__ void reverse_by_copy(const float *from, float *to) {
  SHARED(s, float[2][128]);
  const int i = threadIdx.x;
  cp_async<4>(&s[0][i], from + i);
  cp_async_commit();
  cp_async<4>(&s[1][i], from + i, i % 2 ? 4 : 0);
  cp_async_commit();
  cp_async_wait<1>();
  __syncthreads();
  to[i] = s[0][127 - i];
  cp_async_wait<0>();
  __syncthreads();
  to[128 + i] = s[1][i];
}

__global__ void multiply_fragments(const uint32_t *a, const uint32_t *b, float *d, int kind) {
  uint32_t fa[4], fb[2];
  float fd[4] = {};
  for (int i = 0; i < 4; i++) fa[i] = a[threadIdx.x * 4 + i];
  for (int i = 0; i < 2; i++) fb[i] = b[threadIdx.x * 2 + i];
  if (kind == 0)
    mma_bf16_16816(fd, fa, fb, fd);
  else if (kind == 1)
    mma_f16_16816(fd, fa, fb, fd);
  else
    mma_tf32_1688(fd, fa, fb, fd);
  for (int i = 0; i < 4; i++) d[threadIdx.x * 4 + i] = fd[i];
}

__global__ void load_matrices(const uint16_t *from, uint32_t *to, int transposed) {
  SHARED(s, uint16_t[32][8]);
  for (int i = 0; i < 8; i++) s[threadIdx.x][i] = from[threadIdx.x * 8 + i];
  __syncwarp();
  uint32_t r[4], pair[2];
  if (transposed) {
    ldmatrix_x4_trans(r, s[threadIdx.x]);
    ldmatrix_x2_trans(pair, s[threadIdx.x]);
  } else {
    ldmatrix_x4(r, s[threadIdx.x]);
    ldmatrix_x2(pair, s[threadIdx.x]);
  }
  for (int i = 0; i < 4; i++) to[threadIdx.x * 6 + i] = r[i];
  for (int i = 0; i < 2; i++) to[threadIdx.x * 6 + 4 + i] = pair[i];
}

__global__ void conversions(float *to) {
  to[0] = __bfloat162float(__float2bfloat16_rn(1.00390625f)); // a tie, to even
  to[1] = __half2float(__float2half_rn(65520.0f));            // a tie beyond the largest
  to[2] = __uint_as_float(to_tf32(1.00048828125f));           // a tie, away from zero
  to[3] = static_cast<float>(__float2int_rn(2.5f));
  to[4] = static_cast<float>(__float2int_rz(-2.9f));
  to[5] = static_cast<float>(__float2int_rz(NAN));
  to[6] = __int2float_rn(__float2int_rn(1e20f));
  to[7] = __saturatef(NAN);
  to[8] = max(NAN, 3.0f);
  to[9] = static_cast<float>(__clz(1) + __brev(1) / 0x80000000u + __umulhi(0x80000000u, 6));
  to[10] = static_cast<float>(__byte_perm(0x03020100u, 0x07060504u, 0x7531u) == 0x07050301u);
  to[11] = static_cast<float>(__funnelshift_l(0x80000000u, 1u, 1));
}

__global__ void all_atomics(int *i, unsigned long long *u, float *f, double *d) {
  const int t = threadIdx.x;
  atomicAdd(&i[0], t);
  atomicMax(&i[1], t);
  atomicMin(&i[2], -t);
  atomicOr(&i[3], 1 << t % 31);
  atomicSub(&i[4], 1);
  atomicExch(&i[5], 7);
  if (atomicCAS(&i[6], 0, t + 1) == 0) i[7] = t + 1;
  atomicAdd(u, static_cast<unsigned long long>(t) << 32);
  atomicAdd(f, 0.5f);
  atomicAdd(d, 0.25);
}
