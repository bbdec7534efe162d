/* What the loop engines share: plain C that the compiler vectorises, several times over for several instruction sets,
 * run by an OpenMP team whose width the device has set. They take f32 or bf16 and compute in f32. */
#ifndef LAMINA_CPU_LOOP_H
#define LAMINA_CPU_LOOP_H

#ifdef _OPENMP
#include <omp.h>
#endif

#include "cpu/bf16.h"
#include "cpu/cpu.h"

/* Before a hot function: it is compiled for AVX-512, for AVX2 and for the baseline, and the loader picks. What it calls
 * must be inlined to profit: LAMINA_INLINE. Without contraction into fused operations (ISO C's rule, which we build by)
 * all clones give the same bits. ThreadSanitizer isn't up yet when the loader picks; to AddressSanitizer clones are the
 * same reads and writes, and compiling it thrice takes minutes. */
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__) &&                       \
    !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define LAMINA_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define LAMINA_CLONES
#endif
#define LAMINA_INLINE static inline __attribute__((always_inline))

/* Fewer elements than this aren't worth waking a team for. */
enum { LAMINA_LOOP_PARALLEL = 32768 };

/* Element i of f32 or bf16 data; `bf16` is a constant where these are inlined. */
LAMINA_INLINE float lamina_loop_get(const void *x, int64_t i, bool bf16) {
  return bf16 ? lamina_bf16_to_f32(((const uint16_t *)x)[i]) : ((const float *)x)[i];
}
LAMINA_INLINE void lamina_loop_set(void *y, int64_t i, float v, bool bf16) {
  if (bf16)
    ((uint16_t *)y)[i] = lamina_bf16_from_f32(v);
  else
    ((float *)y)[i] = v;
}
/* x + i elements. */
LAMINA_INLINE const void *lamina_loop_at(const void *x, int64_t i, bool bf16) {
  return (const char *)x + i * (bf16 ? 2 : 4);
}
LAMINA_INLINE void *lamina_loop_to(void *y, int64_t i, bool bf16) { return (char *)y + i * (bf16 ? 2 : 4); }

/* The sum of n elements: 16 running sums in f32 over some thousand, those in f64. */
LAMINA_INLINE double lamina_loop_sum(int64_t n, const void *x, bool bf16) {
  double total = 0;
  for (int64_t i = 0; i < n;) {
    const int64_t end = n - i < 4096 ? n : i + 4096;
    float lane[16] = {0};
    for (; i + 64 <= end; i += 64)
      for (int64_t j = i; j < i + 16; j++)
        lane[j - i] += (lamina_loop_get(x, j, bf16) + lamina_loop_get(x, j + 16, bf16)) +
                       (lamina_loop_get(x, j + 32, bf16) + lamina_loop_get(x, j + 48, bf16));
    for (; i + 16 <= end; i += 16)
      for (int64_t j = 0; j < 16; j++) lane[j] += lamina_loop_get(x, i + j, bf16);
    for (int64_t j = 0; i < end; i++, j++) lane[j] += lamina_loop_get(x, i, bf16);
    for (int64_t j = 0; j < 16; j++) total += (double)lane[j];
  }
  return total;
}

/* The number of the calling thread in its team. */
static inline int lamina_loop_thread(void) {
#ifdef _OPENMP
  return omp_get_thread_num();
#else
  return 0;
#endif
}

static inline bool lamina_loop_is_bf16(const lamina_plan *plan, int arg) {
  return plan->problem.arg[arg].dtype == LAMINA_BF16;
}

/* The candidates of an engine that takes floating arguments that are all f32 or all bf16 and is bound by memory. */
void lamina_loop_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                            lamina_candidate_fn *each, void *context);

/* An engine's row; then .run and what else it has. */
#define LAMINA_LOOP_ENGINE(op_, strides_)                                                                              \
  .size = sizeof(lamina_engine), .abi = LAMINA_ENGINE_ABI, .device = "cpu", .name = "loop", .op = (op_),               \
  .strides = (strides_)

#endif
