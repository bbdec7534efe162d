// What a .cu file includes, and nothing else of CUDA. nvcc gets CUDA itself and wrappers around PTX; every other compiler
// gets the emulation of tests/simt, which runs the same source on the CPU (docs/emulation.md has the conventions).
//
//   SHARED(tile, float[2][16][64]);     static shared memory, 16-byte aligned
//   DYN_SHARED(float, buffer);          float *buffer, the launch's dynamic shared memory, 128-byte aligned
//   LAUNCH(kernel, grid, block, smem, stream, args…)        an expression: the cudaError_t of the launch as int, 0 is fine
//   LAUNCH_COOP(…)                                          likewise; the kernel may call grid_sync(), of grid.h
//   scaled(on_gpu, emulated)            a limit that the emulation lowers, so that its small shapes go beyond it, too
//   grid_limit(on_gpu)                  of a grid's blocks, likewise
//
// A launch evaluates its arguments once and converts them to the kernel's parameter types; above 48 KiB of dynamic shared
// memory it opts in first. A kernel name with commas goes into parentheses: LAUNCH((tile<64, 32>), …).
//
// One function per PTX instruction, only in the shapes that our kernels use:
//   cp_async<16>(shared, global, bytes)   copies `bytes` of 4, 8 or 16 and zeroes the rest; cp_async_commit(),
//   cp_async_wait<N>()                    … until all but the last N groups have arrived (for this thread: then a barrier)
//   ldmatrix_x4(r, row) …                 8x8 matrices of 16 bits, a row's address per lane, 16-byte aligned
//   mma_bf16_16816(d, a, b, c) …          d = a·b + c, sums in f32; lanes hold what the PTX ISA says
#ifndef DEV_H
#define DEV_H

#ifndef __CUDACC__
#include "simt.h"
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <stdint.h>

namespace dev {

template <class T> struct Same { using type = T; };

template <bool cooperative, class... P, class... A>
inline int launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t smem, cudaStream_t stream, A... args) {
  const void *const entry = reinterpret_cast<const void *>(kernel);
  if (smem > 48 * 1024) {
    const cudaError_t refused =
        cudaFuncSetAttribute(entry, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(smem));
    if (refused != cudaSuccess) return refused;
  }
  const auto go = [&](P... p) -> int {
    void *values[] = {&p..., nullptr};
    return cooperative ? cudaLaunchCooperativeKernel(entry, grid, block, values, smem, stream)
                       : cudaLaunchKernel(entry, grid, block, values, smem, stream);
  };
  return go(args...);
}

} // namespace dev

#define SHARED(name, ...) __shared__ __align__(16) typename ::dev::Same<__VA_ARGS__>::type name
#define DYN_SHARED(T, name)                                                                                            \
  extern __shared__ __align__(128) unsigned char dev_dynamic_shared[];                                                 \
  T *name = reinterpret_cast<T *>(dev_dynamic_shared)
template <class T> constexpr T scaled(T on_gpu, int) { return on_gpu; }
inline int64_t grid_limit(int64_t on_gpu) { return on_gpu; }
#define LAUNCH(kernel, ...)      (::dev::launch<false>(kernel, __VA_ARGS__))
#define LAUNCH_COOP(kernel, ...) (::dev::launch<true>(kernel, __VA_ARGS__))

#define DEV_FN __device__ __forceinline__

// The address of shared memory as PTX wants it.
DEV_FN uint32_t smem_u32(const void *p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }

template <int BYTES> DEV_FN void cp_async(void *to, const void *from, int bytes = BYTES) {
  static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16, "cp.async copies 4, 8 or 16 bytes");
  if constexpr (BYTES == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(smem_u32(to)), "l"(from), "r"(bytes) : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(smem_u32(to)), "l"(from), "n"(BYTES), "r"(bytes)
                 : "memory");
}
DEV_FN void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int KEEP> DEV_FN void cp_async_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(KEEP) : "memory"); }

#define DEV_LDMATRIX_X4(name, how)                                                                                     \
  DEV_FN void name(uint32_t(&r)[4], const void *row) {                                                                 \
    asm volatile("ldmatrix.sync.aligned.m8n8.x4." how ".b16 {%0,%1,%2,%3}, [%4];"                                      \
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])                                                      \
                 : "r"(smem_u32(row))                                                                                  \
                 : "memory");                                                                                          \
  }
#define DEV_LDMATRIX_X2(name, how)                                                                                     \
  DEV_FN void name(uint32_t(&r)[2], const void *row) {                                                                 \
    asm volatile("ldmatrix.sync.aligned.m8n8.x2." how ".b16 {%0,%1}, [%2];"                                            \
                 : "=r"(r[0]), "=r"(r[1])                                                                              \
                 : "r"(smem_u32(row))                                                                                  \
                 : "memory");                                                                                          \
  }
DEV_LDMATRIX_X4(ldmatrix_x4, "shared")
DEV_LDMATRIX_X2(ldmatrix_x2, "shared")
DEV_LDMATRIX_X4(ldmatrix_x4_trans, "trans.shared")
DEV_LDMATRIX_X2(ldmatrix_x2_trans, "trans.shared")

#define DEV_MMA(name, shape)                                                                                           \
  DEV_FN void name(float(&d)[4], const uint32_t(&a)[4], const uint32_t(&b)[2], const float(&c)[4]) {                   \
    asm volatile("mma.sync.aligned." shape " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%11,%12,%13};"                \
                 : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])                                                      \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(c[0]), "f"(c[1]), "f"(c[2]),  \
                   "f"(c[3]));                                                                                         \
  }
DEV_MMA(mma_bf16_16816, "m16n8k16.row.col.f32.bf16.bf16.f32")
DEV_MMA(mma_f16_16816, "m16n8k16.row.col.f32.f16.f16.f32")
DEV_MMA(mma_tf32_1688, "m16n8k8.row.col.f32.tf32.tf32.f32")

// To nearest, ties away from zero: the operand of mma_tf32.
DEV_FN uint32_t to_tf32(float x) {
  uint32_t u;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(u) : "f"(x));
  return u;
}

#undef DEV_LDMATRIX_X4
#undef DEV_LDMATRIX_X2
#undef DEV_MMA
#undef DEV_FN
#endif
#endif
