#include "simple.h"

#include "grid.h"

namespace {

__device__ int element() { return static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x); }

__global__ void fill_kernel(float *y, float v, int n) {
  if (element() < n) y[element()] = v;
}
__global__ void add_kernel(float *y, int n) {
  if (element() < n) y[element()] += 1;
}
template <class V> __global__ void view_kernel(V from, V to) {
  if (element() < to.n) to.p[element()] = from.p[element()];
}
__global__ void past_kernel(float *y, int at) {
  if (threadIdx.x == 0) y[at] = 1;
}
__global__ void scale_kernel(float *y, float v, int n) {
  DYN_SHARED(float, room); // whatever the launch gives it
  if (n < 0) room[0] = v;
  if (element() < n) y[element()] *= v;
}
__global__ void shared_kernel(float *y) {
  DYN_SHARED(float, s);
  s[threadIdx.x] = static_cast<float>(threadIdx.x);
  __syncthreads();
  y[threadIdx.x] = s[31 - threadIdx.x];
}
__global__ void divergent_kernel(float *y) {
  if (threadIdx.x < 16)
    __syncthreads();
  else { __syncthreads(); }
  y[0] = 1;
}
// y: [blocks, 32]; each block adds 1 to what the next one wrote.
__global__ void rotate_kernel(float *y) {
  y[element()] = static_cast<float>(blockIdx.x);
  grid_sync();
  y[(blockIdx.x + 1) % gridDim.x * blockDim.x + threadIdx.x] += 1;
}
__global__ void nothing_kernel() {}

dim3 blocks(int n) { return dim3(static_cast<unsigned>(n + 63) / 64); }

} // namespace

int fill_value(float *y, float v, int n, cudaStream_t s) { return LAUNCH(fill_kernel, blocks(n), 64, 0, s, y, v, n); }
int add_one(float *y, int n, cudaStream_t s) { return LAUNCH(add_kernel, blocks(n), 64, 0, s, y, n); }
int copy_view(View from, View to, cudaStream_t s) {
  return LAUNCH(view_kernel<View>, blocks(to.n), 64, 0, s, from, to);
}
int copy_long_view(LongView from, LongView to, cudaStream_t s) {
  return LAUNCH(view_kernel<LongView>, blocks(static_cast<int>(to.n)), 64, 0, s, from, to);
}
int write_past(float *y, int at, cudaStream_t s) { return LAUNCH(past_kernel, 1, 32, 0, s, y, at); }
int reverse_shared(float *y, size_t smem, cudaStream_t s) { return LAUNCH(shared_kernel, 1, 32, smem, s, y); }
int bad_grid(float *y, cudaStream_t s) { return LAUNCH(add_kernel, 0, 64, 0, s, y, 1); }
int divergent(float *y, cudaStream_t s) { return LAUNCH(divergent_kernel, 1, 32, 0, s, y); }
int rotate_blocks(float *y, int n, cudaStream_t s) { return LAUNCH_COOP(rotate_kernel, n, 32, 0, s, y); }
int half_a_warp(cudaStream_t s) { return LAUNCH(nothing_kernel, 1, 48, 0, s); }
int nothing(cudaStream_t s) { return LAUNCH(nothing_kernel, 1, 32, 0, s); }
const void *scale_kernel_address() { return reinterpret_cast<const void *>(scale_kernel); }
cudaError_t launch_scale(float *y, float v, int n, size_t smem, cudaStream_t s) {
  void *args[] = {&y, &v, &n};
  return cudaLaunchKernel(scale_kernel, blocks(n), dim3(64), args, smem, s);
}
