// The CUDA kernel language for the CPU. kernels/dev.h includes this where the compiler is not nvcc.
//
// Every CUDA thread is a fiber; one host thread runs them, block after block (a cooperative launch: all blocks together),
// and switches where a thread waits. Shared memory is an arena that each block gets fresh, full of NaN.
//
//   simt.h        launches, built-in variables, barriers, warp operations, atomics
//   simt_math.h   arithmetic intrinsics             simt_ptx.h   the wrappers of dev.h around PTX
//
// What a kernel does wrong throws simt::Error: by way of LAUNCH it becomes a report of the emulated device.
#ifndef SIMT_H
#define SIMT_H

#ifdef __CUDACC__
#error "simt.h is for the host's compiler; include dev.h"
#endif

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>

#undef __global__
#undef __device__
#undef __host__
#undef __shared__
#undef __constant__
#undef __launch_bounds__
#undef __forceinline__
#undef __grid_constant__
#define __global__
#define __device__
#define __host__
#define __constant__    static const
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
// A stack array would silently be each thread's own.
#define __shared__ static_assert(false, "use SHARED(name, type) or DYN_SHARED(T, name)");

#define SIMT_LOC const char *simt_file = __builtin_FILE(), int simt_line = __builtin_LINE()
// Not instrumented by the race build: what it reads and writes is the emulation's own.
#define SIMT_OWN __attribute__((no_sanitize("thread")))
// One dlopened library holds all users, so the fast access to thread-local variables is fine.
#define SIMT_TLS __thread __attribute__((tls_model("initial-exec")))

namespace simt {

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Block;
struct Fiber;

// One CUDA thread.
struct Thread {
  uint3 tid, bid;
  unsigned rank, lane, warp, state;
  Block *block;
  Fiber *fiber;
  const char *what, *file; // what it waits for, for the report of a deadlock
  int line;
  uint32_t group; // of cp.async: how many were committed
};
struct Dims {
  dim3 block, grid;
};
extern SIMT_TLS Thread *current; // NULL outside of kernels
extern SIMT_TLS Dims *dims;

enum class Order { forward, reverse, random }; // of threads between the points where they wait, and of blocks
enum class Async { late, early, random };      // when cp.async, TMA and wgmma take effect
struct Config {
  Order order = Order::forward;
  Async async = Async::late;
  unsigned seed = 1;
  bool small_grids = true; // so that small shapes step over them
};
extern Config config;

// Runs a kernel at once. Throws Error.
void run(dim3 grid, dim3 block, size_t smem, bool cooperative, void (*kernel)(const void *), const void *args,
         const char *name);
template <class... P, class... A>
void run(const char *name, dim3 grid, dim3 block, size_t smem, bool cooperative, void (*kernel)(P...), A... args) {
  struct Call {
    void (*kernel)(P...);
    std::tuple<P...> args;
  } const call{kernel, {static_cast<P>(args)...}};
  run(
      grid, block, smem, cooperative,
      [](const void *c) { std::apply(static_cast<const Call *>(c)->kernel, static_cast<const Call *>(c)->args); },
      &call, name);
}
// Ends the kernel: Error with the sentence and the thread that said it.
[[noreturn]] void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Whether this is the build that tells races.
bool detects_races();

void *shared_static(const void *tag, size_t size, const char *name);
void *shared_dynamic();
uint32_t shared_offset(const void *p);
void *shared_at(uint32_t offset);

enum class Vote { none, any, all, count };
int sync_threads(Vote vote, bool yes, const char *file, int line);
void sync_grid(const char *file, int line);
void sync_warp(unsigned mask, const char *file, int line);

// The one operation of warps: every lane of the mask hands in its operand, and the last to arrive calls `all` for the
// whole warp. Shuffles, votes and mma are made of it. NULL for `all`: a barrier that orders memory.
using WarpFn = void (*)(void *const *lanes, unsigned mask);
void warp_op(unsigned mask, const char *what, void *operand, WarpFn all, const char *file, int line);

enum class Shuffle { index, xor_, up, down };
struct ShuffleArg {
  uint64_t in, out;
  int lane, width;
  Shuffle how;
};
void shuffle_lanes(void *const *lanes, unsigned mask);
unsigned ballot(unsigned mask, bool yes, const char *what, const char *file, int line);
enum class Reduce { add, min, max, and_, or_, xor_ };
uint32_t reduce(unsigned mask, Reduce how, bool is_signed, uint32_t value, const char *file, int line);

template <class T> constexpr bool is_16_bit = std::is_same_v<T, __half> || std::is_same_v<T, __nv_bfloat16>;
template <class T> constexpr bool is_pair_of_16_bit = std::is_same_v<T, __half2> || std::is_same_v<T, __nv_bfloat162>;
template <class T>
SIMT_OWN inline T shuffle(Shuffle how, unsigned mask, T value, int lane, int width, const char *file, int line) {
  static_assert((std::is_arithmetic_v<T> && sizeof(T) >= 4 && sizeof(T) <= 8) || is_16_bit<T> || is_pair_of_16_bit<T>,
                "CUDA shuffles int, long, float, double, half and bfloat16");
  ShuffleArg arg{0, 0, lane, width, how};
  memcpy(&arg.in, &value, sizeof value);
  warp_op(mask, "__shfl_sync", &arg, shuffle_lanes, file, line);
  memcpy(static_cast<void *>(&value), &arg.out, sizeof value);
  return value;
}

// For the race detector, where it is linked.
enum class Access { read, write, atomic };
void note(const void *p, size_t size, Access access, const void *pc);
// Memory as atomics see it: not seen by the race detector a second time.
void load(void *to, const void *from, size_t size);
void store(void *to, const void *from, size_t size);

template <class T, class Op> SIMT_OWN inline T atomic(T *p, Op op) {
  note(p, sizeof(T), Access::atomic, __builtin_return_address(0));
  T old;
  load(&old, p, sizeof old);
  const T now = op(old);
  store(p, &now, sizeof now);
  return old;
}

template <class T> struct Same { using type = T; };
template <class T> using same = typename Same<T>::type;
template <class T>
constexpr bool is_word = std::is_same_v<T, int> || std::is_same_v<T, unsigned> || std::is_same_v<T, unsigned long long>;
template <class T>
constexpr bool is_number =
    is_word<T> || std::is_same_v<T, long long> || std::is_same_v<T, float> || std::is_same_v<T, double>;

} // namespace simt

// ---- Built-in variables, shared memory, launches --------------------------------------------------------------------
#define threadIdx (::simt::current->tid)
#define blockIdx  (::simt::current->bid)
#define blockDim  (::simt::dims->block)
#define gridDim   (::simt::dims->grid)
#ifndef warpSize
static constexpr int warpSize = 32;
#endif

#define SHARED(name, ...)                                                                                              \
  static const char simt_tag_##name = 0;                                                                               \
  auto &name = *static_cast<::simt::same<__VA_ARGS__> *>(                                                              \
      ::simt::shared_static(&simt_tag_##name, sizeof(::simt::same<__VA_ARGS__>), #name))
#define DYN_SHARED(T, name) T *name = static_cast<T *>(::simt::shared_dynamic())
template <class T> constexpr T scaled(T, int emulated) { return emulated; }
inline int64_t grid_limit(int64_t on_gpu) { return ::simt::config.small_grids ? 3 : on_gpu; }
#define LAUNCH(kernel, ...)      (::emulated::launch(#kernel, false, kernel, __VA_ARGS__))
#define LAUNCH_COOP(kernel, ...) (::emulated::launch(#kernel, true, kernel, __VA_ARGS__))

// ---- Barriers and warps ---------------------------------------------------------------------------------------------
inline void __syncthreads(SIMT_LOC) { simt::sync_threads(simt::Vote::none, false, simt_file, simt_line); }
inline int __syncthreads_or(int p, SIMT_LOC) { return simt::sync_threads(simt::Vote::any, p, simt_file, simt_line); }
inline int __syncthreads_and(int p, SIMT_LOC) { return simt::sync_threads(simt::Vote::all, p, simt_file, simt_line); }
inline int __syncthreads_count(int p, SIMT_LOC) {
  return simt::sync_threads(simt::Vote::count, p, simt_file, simt_line);
}
inline void __syncwarp(unsigned mask = ~0u, SIMT_LOC) { simt::sync_warp(mask, simt_file, simt_line); }
inline void grid_sync(SIMT_LOC) { simt::sync_grid(simt_file, simt_line); }
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}

template <class T> inline T __shfl_sync(unsigned mask, T v, int lane, int width = 32, SIMT_LOC) {
  return simt::shuffle(simt::Shuffle::index, mask, v, lane, width, simt_file, simt_line);
}
template <class T> inline T __shfl_xor_sync(unsigned mask, T v, int lanes, int width = 32, SIMT_LOC) {
  return simt::shuffle(simt::Shuffle::xor_, mask, v, lanes, width, simt_file, simt_line);
}
template <class T> inline T __shfl_up_sync(unsigned mask, T v, unsigned by, int width = 32, SIMT_LOC) {
  return simt::shuffle(simt::Shuffle::up, mask, v, static_cast<int>(by), width, simt_file, simt_line);
}
template <class T> inline T __shfl_down_sync(unsigned mask, T v, unsigned by, int width = 32, SIMT_LOC) {
  return simt::shuffle(simt::Shuffle::down, mask, v, static_cast<int>(by), width, simt_file, simt_line);
}
inline unsigned __ballot_sync(unsigned mask, int p, SIMT_LOC) {
  return simt::ballot(mask, p, "__ballot_sync", simt_file, simt_line);
}
inline int __any_sync(unsigned mask, int p, SIMT_LOC) {
  return simt::ballot(mask, p, "__any_sync", simt_file, simt_line) != 0;
}
inline int __all_sync(unsigned mask, int p, SIMT_LOC) {
  return simt::ballot(mask, p, "__all_sync", simt_file, simt_line) == mask;
}
#define SIMT_REDUCE(name, how, T)                                                                                      \
  inline T name(unsigned mask, T v, SIMT_LOC) {                                                                        \
    return static_cast<T>(                                                                                             \
        simt::reduce(mask, simt::Reduce::how, std::is_signed_v<T>, static_cast<uint32_t>(v), simt_file, simt_line));   \
  }
SIMT_REDUCE(__reduce_add_sync, add, int)
SIMT_REDUCE(__reduce_add_sync, add, unsigned)
SIMT_REDUCE(__reduce_min_sync, min, int)
SIMT_REDUCE(__reduce_min_sync, min, unsigned)
SIMT_REDUCE(__reduce_max_sync, max, int)
SIMT_REDUCE(__reduce_max_sync, max, unsigned)
SIMT_REDUCE(__reduce_and_sync, and_, unsigned)
SIMT_REDUCE(__reduce_or_sync, or_, unsigned)
SIMT_REDUCE(__reduce_xor_sync, xor_, unsigned)
#undef SIMT_REDUCE

// ---- Atomics --------------------------------------------------------------------------------------------------------
template <class T> inline T atomicAdd(T *p, simt::same<T> v) {
  static_assert((simt::is_number<T> && !std::is_same_v<T, long long>) || simt::is_16_bit<T>,
                "CUDA has no such atomicAdd");
  return simt::atomic(p, [=](T old) -> T { return old + v; });
}
template <class T> inline T atomicSub(T *p, simt::same<T> v) {
  static_assert(std::is_same_v<T, int> || std::is_same_v<T, unsigned>, "CUDA has no such atomicSub");
  return simt::atomic(p, [=](T old) { return old - v; });
}
template <class T> inline T atomicMax(T *p, simt::same<T> v) {
  static_assert(simt::is_word<T> || std::is_same_v<T, long long>, "CUDA has no such atomicMax");
  return simt::atomic(p, [=](T old) { return old < v ? v : old; });
}
template <class T> inline T atomicMin(T *p, simt::same<T> v) {
  static_assert(simt::is_word<T> || std::is_same_v<T, long long>, "CUDA has no such atomicMin");
  return simt::atomic(p, [=](T old) { return v < old ? v : old; });
}
template <class T> inline T atomicExch(T *p, simt::same<T> v) {
  static_assert(simt::is_word<T> || std::is_same_v<T, float>, "CUDA has no such atomicExch");
  return simt::atomic(p, [=](T) { return v; });
}
template <class T> inline T atomicCAS(T *p, simt::same<T> expected, simt::same<T> v) {
  static_assert(simt::is_word<T> || std::is_same_v<T, unsigned short>, "CUDA has no such atomicCAS");
  return simt::atomic(p, [=](T old) { return old == expected ? v : old; });
}
template <class T> inline T atomicAnd(T *p, simt::same<T> v) {
  static_assert(simt::is_word<T>, "CUDA has no such atomicAnd");
  return simt::atomic(p, [=](T old) { return old & v; });
}
template <class T> inline T atomicOr(T *p, simt::same<T> v) {
  static_assert(simt::is_word<T>, "CUDA has no such atomicOr");
  return simt::atomic(p, [=](T old) { return old | v; });
}
template <class T> inline T atomicXor(T *p, simt::same<T> v) {
  static_assert(simt::is_word<T>, "CUDA has no such atomicXor");
  return simt::atomic(p, [=](T old) { return old ^ v; });
}

#include "simt_math.h"
#include "simt_ptx.h"

#endif
