#include "lanes.h"

#include "grid.h"

namespace {

__global__ void shuffles(int *to) {
  const int lane = threadIdx.x;
  int *p = to + lane * 8;
  p[0] = __shfl_sync(~0u, lane * 10, 35);
  p[1] = __shfl_sync(~0u, lane * 10, 5, 8);
  p[2] = __shfl_up_sync(~0u, lane, 3u, 16);
  p[3] = __shfl_down_sync(~0u, lane, 3u);
  p[4] = __shfl_down_sync(~0u, lane, 1u, 4);
  p[5] = __shfl_xor_sync(~0u, lane, 5);
  p[6] = __shfl_xor_sync(~0u, lane, 1, 2);
  p[7] = lane < 8 ? __shfl_sync(0xffu, lane, 7 - lane) : -1;
}

__global__ void shuffled_types(double *to) {
  const int lane = threadIdx.x;
  double *p = to + lane * 5;
  p[0] = __shfl_sync(~0u, 1e300 * lane, 2);
  p[1] = static_cast<double>(__shfl_xor_sync(~0u, static_cast<long long>(lane) << 40, 1));
  p[2] = __shfl_sync(~0u, 0.5f * static_cast<float>(lane), 31);
  p[3] = __half2float(__shfl_sync(~0u, __float2half_rn(static_cast<float>(lane)), 9));
  p[4] = __bfloat162float(__shfl_sync(~0u, __float2bfloat16_rn(static_cast<float>(lane)), 8));
}

__global__ void votes(int *to) {
  const int lane = threadIdx.x;
  int *p = to + lane * 4;
  p[0] = static_cast<int>(__ballot_sync(~0u, lane % 3 == 0));
  p[1] = __any_sync(~0u, lane == 31);
  p[2] = __all_sync(~0u, lane != 31);
  p[3] = lane < 8 ? __popc(__ballot_sync(0xffu, 1)) : 0;
}

__global__ void reductions(int *to) {
  const int lane = threadIdx.x;
  const unsigned u = threadIdx.x;
  int *p = to + lane * 7;
  p[0] = __reduce_add_sync(~0u, lane - 16);
  p[1] = __reduce_min_sync(~0u, lane - 16);
  p[2] = __reduce_max_sync(~0u, lane - 16);
  p[3] = static_cast<int>(__reduce_max_sync(~0u, u ^ 0x80000000u) >> 1);
  p[4] = static_cast<int>(__reduce_and_sync(~0u, u | 0x40u));
  p[5] = static_cast<int>(__reduce_or_sync(~0u, u));
  p[6] = static_cast<int>(__reduce_xor_sync(~0u, u + 1));
}

__global__ void barrier_votes(int *to) {
  const int i = threadIdx.x;
  const int count = __syncthreads_count(i % 4 == 0);
  const int any = __syncthreads_or(i == 77);
  const int all = __syncthreads_and(i != 77);
  to[i] = count * 100 + any * 10 + all;
}

__global__ void coordinates(int *to) {
  const int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  atomicAdd(&to[block * blockDim.x * blockDim.y * blockDim.z + thread], 1);
}

__global__ void shared_memory(int *to) {
  SHARED(one, char);
  SHARED(many, float[3][5]);
  DYN_SHARED(float, dynamic);
  one = 1;
  many[2][4] = 2;
  dynamic[99] = 3;
  to[0] = static_cast<int>(reinterpret_cast<size_t>(&one) % 16 + reinterpret_cast<size_t>(many) % 16);
  to[1] = static_cast<int>(reinterpret_cast<size_t>(dynamic) % 128);
  to[2] = static_cast<int>(sizeof many);
  to[3] = one + static_cast<int>(many[2][4] + dynamic[99]);
}

__global__ void atomics(int *i, unsigned long long *u, float *f, double *d) {
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

__global__ void numbers(float *to) {
  to[0] = __bfloat162float(__float2bfloat16_rn(1.00390625f)); // a tie, to even
  to[1] = __bfloat162float(__float2bfloat16_rn(1.01171875f)); // likewise, upwards
  to[2] = __half2float(__float2half_rn(65520.0f));            // a tie beyond the largest
  to[3] = __half2float(__float2half_rn(1e-8f));
  to[4] = __uint_as_float(to_tf32(1.00048828125f) & 0xffffe000u);  // a tie, away from zero
  to[5] = __uint_as_float(to_tf32(-1.00048828125f) & 0xffffe000u); // likewise
  to[6] = static_cast<float>(__float2int_rn(2.5f));
  to[7] = static_cast<float>(__float2int_rz(-2.9f));
  to[8] = static_cast<float>(__float2int_rd(-2.1f));
  to[9] = static_cast<float>(__float2int_ru(2.1f));
  to[10] = static_cast<float>(__float2int_rz(NAN));
  to[11] = __int2float_rn(__float2int_rn(1e20f));
  to[12] = __uint2float_rn(__float2uint_rz(-3.0f));
  to[13] = __saturatef(NAN);
  to[14] = max(NAN, 3.0f);
  to[15] = min(-1.0f, NAN);
  to[16] = static_cast<float>(__clz(1) + __ffs(8) + __popc(0xf0u));
  to[17] = static_cast<float>(__brev(1) >> 31);
  to[18] = static_cast<float>(__umulhi(0x80000000u, 6));
  to[19] = static_cast<float>(__mulhi(-0x40000000, 8));
  to[20] = static_cast<float>(__byte_perm(0x03020100u, 0x07060504u, 0x7531u) == 0x07050301u);
  to[21] = static_cast<float>(__funnelshift_l(0x80000000u, 1u, 1));
  to[22] = __int_as_float(__float_as_int(-0.0f));
  to[23] = rsqrtf(0.0f);
}

// to: [4, 128]: the first group reversed, the second with every other copy of nothing, 16 bytes and 8 bytes at once.
__global__ void copies(const float *from, float *to) {
  SHARED(s, float[4][128]);
  const int i = threadIdx.x;
  cp_async<4>(&s[0][i], from + i);
  cp_async_commit();
  cp_async<4>(&s[1][i], from + i, i % 2 ? 4 : 0);
  if (i < 32) cp_async<16>(&s[2][4 * i], from + 4 * i, i % 4 * 4); // the first 0, 4, 8, 12 bytes, then zeros
  if (i < 64) cp_async<8>(&s[3][2 * i], from + 2 * i, i % 3 * 4);
  cp_async_commit();
  cp_async_wait<1>();
  __syncthreads();
  to[i] = s[0][127 - i];
  cp_async_wait<0>();
  __syncthreads();
  to[128 + i] = s[1][i];
  to[256 + i] = s[2][i];
  to[384 + i] = s[3][i];
}

__global__ void matrices(const uint16_t *from, uint32_t *to, int transposed) {
  SHARED(s, uint16_t[32][8]);
  for (int i = 0; i < 8; i++) s[threadIdx.x][i] = from[threadIdx.x * 8 + i];
  __syncwarp();
  uint32_t four[4], two[2];
  if (transposed) {
    ldmatrix_x4_trans(four, s[threadIdx.x]);
    ldmatrix_x2_trans(two, s[threadIdx.x]);
  } else {
    ldmatrix_x4(four, s[threadIdx.x]);
    ldmatrix_x2(two, s[threadIdx.x]);
  }
  for (int i = 0; i < 4; i++) to[threadIdx.x * 6 + i] = four[i];
  for (int i = 0; i < 2; i++) to[threadIdx.x * 6 + 4 + i] = two[i];
}

__global__ void products(const uint32_t *a, const uint32_t *b, const float *c, float *d, int kind) {
  uint32_t fa[4], fb[2];
  float fc[4], fd[4];
  for (int i = 0; i < 4; i++) fa[i] = a[threadIdx.x * 4 + i];
  for (int i = 0; i < 2; i++) fb[i] = b[threadIdx.x * 2 + i];
  for (int i = 0; i < 4; i++) fc[i] = c[threadIdx.x * 4 + i];
  if (kind == 0)
    mma_bf16_16816(fd, fa, fb, fc);
  else if (kind == 1)
    mma_f16_16816(fd, fa, fb, fc);
  else
    mma_tf32_1688(fd, fa, fb, fc);
  for (int i = 0; i < 4; i++) d[threadIdx.x * 4 + i] = fd[i];
}

// Each block adds 1 to what the next one wrote.
__global__ void over_the_grid(float *to) {
  to[blockIdx.x * blockDim.x + threadIdx.x] = static_cast<float>(blockIdx.x);
  grid_sync();
  to[(blockIdx.x + 1) % gridDim.x * blockDim.x + threadIdx.x] += 1;
}

} // namespace

int lanes_shuffles(int *to) { return LAUNCH(shuffles, 1, 32, 0, nullptr, to); }
int lanes_shuffled_types(double *to) { return LAUNCH(shuffled_types, 1, 32, 0, nullptr, to); }
int lanes_votes(int *to) { return LAUNCH(votes, 1, 32, 0, nullptr, to); }
int lanes_reductions(int *to) { return LAUNCH(reductions, 1, 32, 0, nullptr, to); }
int lanes_barrier_votes(int *to) { return LAUNCH(barrier_votes, 1, 128, 0, nullptr, to); }
int lanes_coordinates(int *to, dim3 grid, dim3 block) { return LAUNCH(coordinates, grid, block, 0, nullptr, to); }
int lanes_shared(int *to) { return LAUNCH(shared_memory, 1, 1, 100 * sizeof(float), nullptr, to); }
int lanes_atomics(int *i, unsigned long long *u, float *f, double *d) {
  return LAUNCH(atomics, 2, 64, 0, nullptr, i, u, f, d);
}
int lanes_numbers(float *to) { return LAUNCH(numbers, 1, 1, 0, nullptr, to); }
int lanes_copies(const float *from, float *to) { return LAUNCH(copies, 1, 128, 0, nullptr, from, to); }
int lanes_matrices(const uint16_t *from, uint32_t *to, int transposed) {
  return LAUNCH(matrices, 1, 32, 0, nullptr, from, to, transposed);
}
int lanes_products(const uint32_t *a, const uint32_t *b, const float *c, float *d, int kind) {
  return LAUNCH(products, 1, 32, 0, nullptr, a, b, c, d, kind);
}
int lanes_grid(float *to, int blocks) { return LAUNCH_COOP(over_the_grid, blocks, 32, 0, nullptr, to); }
