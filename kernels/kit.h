// What kernels are made of: element types, 16-byte vectors, grid-stride loops, warp and block reductions, and the choice
// of a template by element type. Only .cu files include it.
#pragma once

#include "dev.h"
#include "launch.h"

using bf16 = __nv_bfloat16;
using f16 = __half;

// ---- Elements -----------------------------------------------------------------------------------------------------

__device__ __forceinline__ float to_f32(float x) { return x; }
__device__ __forceinline__ float to_f32(bf16 x) { return __bfloat162float(x); }
__device__ __forceinline__ float to_f32(f16 x) { return __half2float(x); }

template <class T> struct type_of { using type = T; };
__host__ __device__ __forceinline__ float from_f32(type_of<float>, float x) { return x; }
__host__ __device__ __forceinline__ bf16 from_f32(type_of<bf16>, float x) { return __float2bfloat16_rn(x); }
__host__ __device__ __forceinline__ f16 from_f32(type_of<f16>, float x) { return __float2half_rn(x); }
// Rounds to nearest even.
template <class T> __host__ __device__ __forceinline__ T as(float x) { return from_f32(type_of<T>{}, x); }

// Neighbours that are loaded and stored at once: 16 bytes of them where nothing else is said.
template <class T, int N = 16 / sizeof(T)> struct alignas(N * sizeof(T)) vector {
  static constexpr int width = N;
  T v[N];
};

// Calls f with a value of the element type; its type is what matters.
template <class F> int by_type(kernel_type type, F f) {
  switch (type) {
  case KERNEL_F32: return f(float{});
  case KERNEL_BF16: return f(bf16{});
  case KERNEL_F16: return f(f16{});
  }
  return cudaErrorInvalidValue;
}

// One element of a type that only the launch knows: for the few numbers that go with a large tensor.
__device__ __forceinline__ float load_as(kernel_type type, const void *p, int64_t i) {
  if (type == KERNEL_F32) return static_cast<const float *>(p)[i];
  return type == KERNEL_BF16 ? to_f32(static_cast<const bf16 *>(p)[i]) : to_f32(static_cast<const f16 *>(p)[i]);
}
__device__ __forceinline__ void store_as(kernel_type type, void *p, int64_t i, float x) {
  if (type == KERNEL_F32)
    static_cast<float *>(p)[i] = x;
  else if (type == KERNEL_BF16)
    static_cast<bf16 *>(p)[i] = as<bf16>(x);
  else
    static_cast<f16 *>(p)[i] = as<f16>(x);
}

// Are all addresses multiples of 16 bytes?
template <class... P> inline bool on_vectors(const P *...p) {
  return ((reinterpret_cast<uintptr_t>(p) % 16 == 0) && ...);
}

// ---- Threads ------------------------------------------------------------------------------------------------------

constexpr int block_size = 256; // of kernels whose threads don't talk

template <class T> __host__ __device__ constexpr T lesser(T a, T b) { return b < a ? b : a; }

// As many blocks of a grid-stride loop as are wanted, up to `most`.
inline dim3 grid_of(int64_t wanted, int64_t most = 1 << 20) {
  return dim3(unsigned(lesser(wanted, grid_limit(most)))); // few where kernels are emulated
}
// Blocks for n threads' worth of work in such a loop: enough to fill the largest GPUs several times over.
inline dim3 blocks_for(int64_t n, int per_block = block_size) { return grid_of((n + per_block - 1) / per_block, 8192); }

// for (int64_t i = first_of_grid(); i < n; i += size_of_grid())
__device__ __forceinline__ int64_t first_of_grid() { return int64_t(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ __forceinline__ int64_t size_of_grid() { return int64_t(gridDim.x) * blockDim.x; }

// ---- Indices ------------------------------------------------------------------------------------------------------

// Division by a number that the host knows, of values below 2^31, as a multiplication and a shift.
// Source: Granlund, Montgomery, "Division by invariant integers using multiplication", PLDI 1994, figure 4.1.
struct divider {
  uint32_t size = 1, factor = 1, shift = 0;

  divider() = default;
  __host__ __device__ explicit divider(int64_t size_) : size(uint32_t(size_)) { // 1 … 2^31 - 1
    while ((uint64_t(1) << shift) < size) shift++;
    factor = uint32_t(((((uint64_t(1) << shift) - size) << 32) / size) + 1);
  }
  __host__ __device__ uint32_t quotient(uint32_t n) const {
    return (uint32_t((uint64_t(n) * factor) >> 32) + n) >> shift;
  }
  // Returns n % size; n becomes n / size.
  __host__ __device__ uint32_t take(uint32_t &n) const {
    const uint32_t before = n;
    n = quotient(n);
    return before - n * size;
  }
};

// ---- Reductions ---------------------------------------------------------------------------------------------------

struct add {
  template <class A> __device__ A operator()(A a, A b) const { return a + b; }
};
// A NaN on either side is the result.
struct greatest {
  __device__ float operator()(float a, float b) const { return a > b || a != a ? a : b; }
};

// The value of the lane whose number differs in the bits of `lane`. A struct that is reduced brings its own.
template <class A> __device__ __forceinline__ A across(A value, int lane) {
  return __shfl_xor_sync(0xffffffffu, value, lane);
}

// Of the 32 values of a warp, all of whose lanes call it; each lane gets the result, the same bits where op(a, b) is
// op(b, a).
template <class A, class Op> __device__ __forceinline__ A reduce_warp(A value, Op op) {
#pragma unroll
  for (int lane = 16; lane > 0; lane /= 2) value = op(value, across(value, lane));
  return value;
}

// Of the values of a block of THREADS (a multiple of 32, up to 1024), all of which call it; each thread gets the result,
// whose order of summation is fixed, as reduce_warp gives it. `identity` changes nothing when it joins.
template <int THREADS, class A, class Op> __device__ __forceinline__ A reduce_block(A value, A identity, Op op) {
  static_assert(THREADS % 32 == 0 && THREADS <= 1024, "whole warps, of which one can reduce the others' results");
  SHARED(of_warp, A[THREADS / 32]);
  value = reduce_warp(value, op);
  __syncthreads(); // the last use of of_warp is over
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
  __syncthreads();
  value = threadIdx.x % 32 < THREADS / 32 ? of_warp[threadIdx.x % 32] : identity;
  return reduce_warp(value, op);
}
