// The one header that a .cu file includes for the machine: nvcc gets CUDA and its PTX; any other compiler gets simt.h, the
// emulation in tests/simt/, under the same names.
#pragma once

#ifndef __CUDACC__
#include "simt.h"
#else
#include <cooperative_groups.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

namespace dev {
template <class T> struct ident { using type = T; };

// Queues a kernel; arguments are converted to its parameters' types. More than 48 KiB of shared memory is asked for.
template <class... P, class... A>
inline int launch(bool cooperative, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, cudaStream_t stream,
                  A &&...argument) {
  const void *function = reinterpret_cast<const void *>(kernel);
  if (shared > 48 * 1024) {
    const cudaError_t error =
        cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared));
    if (error) return error;
  }
  const auto queue = [&](std::decay_t<P>... parameter) {
    void *parameters[] = {static_cast<void *>(&parameter)...};
    return cooperative ? cudaLaunchCooperativeKernel(function, grid, block, parameters, shared, stream)
                       : cudaLaunchKernel(function, grid, block, parameters, shared, stream);
  };
  return queue(static_cast<A &&>(argument)...);
}
} // namespace dev

// Static shared memory, and a kernel's dynamic one: SHARED(tile, float[16][16]); DYN_SHARED(float, rows);
#define SHARED(name, ...) __shared__ __align__(16) typename ::dev::ident<__VA_ARGS__>::type name
#define DYN_SHARED(T, name)                                                                                            \
  extern __shared__ __align__(128) unsigned char dev_dynamic_shared[];                                                 \
  T *name = reinterpret_cast<T *>(dev_dynamic_shared)
// Expressions: the cudaError_t as int. LAUNCH_COOP's blocks may meet in grid_sync.
#define LAUNCH(kernel, grid, block, shared, stream, ...)                                                               \
  ::dev::launch(false, kernel, grid, block, shared, stream, __VA_ARGS__)
#define LAUNCH_COOP(kernel, grid, block, shared, stream, ...)                                                          \
  ::dev::launch(true, kernel, grid, block, shared, stream, __VA_ARGS__)

__device__ __forceinline__ void grid_sync() { cooperative_groups::this_grid().sync(); }

__device__ __forceinline__ uint32_t smem_u32(const void *p) { return uint32_t(__cvta_generic_to_shared(p)); }
template <int BYTES> __device__ __forceinline__ void cp_async(void *dst, const void *src, int src_bytes = BYTES) {
  if constexpr (BYTES == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(smem_u32(dst)), "l"(src), "r"(src_bytes)
                 : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(smem_u32(dst)), "l"(src), "n"(BYTES),
                 "r"(src_bytes)
                 : "memory");
}
__device__ __forceinline__ void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int KEEP> __device__ __forceinline__ void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(KEEP) : "memory");
}
__device__ __forceinline__ void ldmatrix_x4(uint32_t (&r)[4], const void *p) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(smem_u32(p))
               : "memory");
}
__device__ __forceinline__ void ldmatrix_x2(uint32_t (&r)[2], const void *p) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(smem_u32(p))
               : "memory");
}
__device__ __forceinline__ void ldmatrix_x4_trans(uint32_t (&r)[4], const void *p) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(smem_u32(p))
               : "memory");
}
__device__ __forceinline__ void ldmatrix_x2_trans(uint32_t (&r)[2], const void *p) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(smem_u32(p))
               : "memory");
}
__device__ __forceinline__ void mma_bf16_16816(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                                               const float (&c)[4]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%11,%12,%13};"
      : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(c[0]), "f"(c[1]), "f"(c[2]), "f"(c[3]));
}
__device__ __forceinline__ void mma_tf32_1688(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                                              const float (&c)[4]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%11,%12,%13};"
      : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(c[0]), "f"(c[1]), "f"(c[2]), "f"(c[3]));
}
__device__ __forceinline__ uint32_t to_tf32(float x) {
  uint32_t u;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(u) : "f"(x));
  return u;
}
#endif
