// Kernel launches: the checks when they are queued, attributes and occupancy.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "device.h"
#include "simt.h"

namespace emulated {
namespace {

// What is wrong with the memory that an argument points to, for a kernel; "" for nothing.
std::string complaint(const Where &w, int device) {
  if (w.kind == Where::pageable) return "is a host pointer";
  if (w.kind == Where::bad) return w.why;
  if (w.kind == Where::device && w.alloc->device != device && !device_at(device).peers.count(w.alloc->device))
    return "lies on another device: " + describe(*w.alloc);
  return "";
}

// Which allocation one word of an argument names; false, with the reason, where it is no pointer for a kernel. In a struct,
// a word that falls into an allocation, or looks much like a pointer of the host's, is taken for one; numbers and padding,
// which has what the stack had, must not be.
bool check_word(const void *p, bool pointer, int device, std::vector<AllocP> &uses, std::string &why) {
  if (!p || (!pointer && reinterpret_cast<uintptr_t>(p) < 4096)) return true;
  const Where w = where(p, 0);
  if (!pointer && (w.kind == Where::pageable ? !looks_like_host(p) : w.kind == Where::bad && !w.alloc)) return true;
  why = complaint(w, device);
  if (!why.empty()) return false;
  uses.push_back(w.alloc);
  return true;
}

bool check_args(const Launch &l, int device, std::vector<AllocP> &uses, std::string &why) {
  for (size_t i = 0; i < l.arg_count; i++) {
    const Arg &a = l.args[i];
    for (size_t byte = 0; byte + sizeof(void *) <= a.size; byte += sizeof(void *)) {
      const void *p;
      memcpy(&p, static_cast<const char *>(a.at) + byte, sizeof p);
      if (check_word(p, a.pointer, device, uses, why)) continue;
      why = "argument " + std::to_string(i + 1) + (a.pointer ? " " : " (byte " + std::to_string(byte) + ") ") + why;
      return false;
    }
  }
  return true;
}

constexpr int multiprocessors = 132;

// Of a multiprocessor, with 64 registers a thread.
int max_blocks(int threads, size_t smem) {
  if (threads < 1 || threads > 1024) return 0;
  const int warps = (threads + 31) / 32, by_threads = 64 / warps, by_registers = 65536 / (64 * 32 * warps);
  const int by_smem = static_cast<int>((228u << 10) / (smem + 1024));
  return std::min({32, by_threads, by_registers, by_smem});
}

cudaError_t check_shape(const Launch &l) {
  const dim3 g = l.grid, b = l.block;
  const uint64_t threads = uint64_t{b.x} * b.y * b.z, blocks = uint64_t{g.x} * g.y * g.z;
  if (!threads || threads > 1024 || b.z > 64 || !blocks || g.x > 2147483647u || g.y > 65535 || g.z > 65535)
    return refuse(cudaErrorInvalidConfiguration, "%s: grid (%u,%u,%u), block (%u,%u,%u)", l.name, g.x, g.y, g.z, b.x,
                  b.y, b.z);
  if (l.smem > static_cast<size_t>(S->kernels[l.kernel].max_dynamic))
    return refuse(cudaErrorInvalidValue, "%s: %zu bytes of dynamic shared memory without the attribute", l.name,
                  l.smem);
  const int resident = max_blocks(static_cast<int>(threads), l.smem) * multiprocessors;
  if (l.cooperative && blocks > static_cast<uint64_t>(resident))
    return refuse(cudaErrorCooperativeLaunchTooLarge, "%s: %d blocks are resident at most", l.name, resident);
  return cudaSuccess;
}

// Differs where a struct does; addresses in it are what only_record() is given.
std::string digest_of(const Arg &a) {
  uint32_t hash = 2166136261u; // FNV-1a
  for (size_t i = 0; i < a.size; i++) hash = (hash ^ static_cast<const uint8_t *>(a.at)[i]) * 16777619u;
  char text[12];
  snprintf(text, sizeof text, "{%08x}", hash);
  return text;
}

// "name <<<grid, block, shared memory>>>(integers, {digests of structs of integers})".
std::string text_of(const Launch &l) {
  const auto size = [](dim3 d) {
    std::string text = std::to_string(d.x);
    if (d.y > 1 || d.z > 1) text += "x" + std::to_string(d.y);
    return d.z > 1 ? text + "x" + std::to_string(d.z) : text;
  };
  const auto value = [](const Arg &a) {
    int64_t integer = 0;
    memcpy(&integer, a.at, a.size);
    return std::to_string(a.size == 4 ? static_cast<int32_t>(integer) : integer);
  };
  std::string name = l.name, args;
  if (name[0] == '(') name = name.substr(1, name.size() - 2);
  for (const Arg *a = l.args; a < l.args + l.arg_count; a++)
    if (a->integer || a->integers) args += (args.empty() ? "" : ", ") + (a->integers ? digest_of(*a) : value(*a));
  return name + " <<<" + size(l.grid) + ", " + size(l.block) + ", " + std::to_string(l.smem) + ">>>(" + args + ")";
}

cudaError_t queue_launch(const Launch &l, std::shared_ptr<void> call) {
  ENTER();
  cudaStream_t s;
  if (const cudaError_t e = get_stream(l.stream, &s)) return e;
  if (s->device != current_device)
    return refuse(cudaErrorInvalidResourceHandle, "%s: the stream belongs to device %d, the current one is %d", l.name,
                  s->device, current_device);
  if (const cudaError_t e = check_shape(l)) return e;
  const unsigned threads = l.block.x * l.block.y * l.block.z;
  if (threads > 1 && threads % 32) report("%s: %u threads are not made of whole warps", l.name, threads);
  if (strike(EMULATED_LAUNCH)) return refuse(cudaErrorLaunchOutOfResources, "%s", l.name);
  if (S->recording) {
    S->records.push_back(text_of(l));
    return cudaSuccess;
  }
  const WorkP w = make_work(l.name, 3);
  std::string why;
  if (check_args(l, s->device, w->uses, why)) {
    w->run = [l, call] { simt::run(l.grid, l.block, l.smem, l.cooperative, l.run, call.get(), l.name); };
  } else {
    report("%s: %s", l.name, why.c_str());
    w->uses.clear();
    w->run = [d = s->device] { device_at(d).sticky = cudaErrorIllegalAddress; }; // as on a device, when it runs
  }
  return done(enqueue(s, w));
}

} // namespace

int submit(const Launch &l) { return queue_launch(l, std::shared_ptr<void>(l.call, l.forget)); }

int want_shared(const void *kernel, size_t smem) {
  if (smem <= 48 * 1024) return cudaSuccess;
  return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(smem));
}

} // namespace emulated

using namespace emulated;

cudaError_t cudaFuncSetAttribute(const void *kernel, cudaFuncAttribute attribute, int value) {
  ENTER();
  if (!kernel) return done(cudaErrorInvalidDeviceFunction);
  if (attribute == cudaFuncAttributeMaxDynamicSharedMemorySize) {
    if (value < 0 || value > 227 * 1024)
      return refuse(cudaErrorInvalidValue, "cudaFuncSetAttribute: %d bytes of shared memory", value);
    S->kernels[kernel].max_dynamic = value;
  } else if (attribute == cudaFuncAttributePreferredSharedMemoryCarveout) {
    S->kernels[kernel].carveout = value;
  } else {
    return done(cudaErrorNotSupported);
  }
  return done(cudaSuccess);
}
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *out, const void *kernel) {
  ENTER();
  if (!out || !kernel) return done(cudaErrorInvalidValue);
  *out = cudaFuncAttributes{};
  out->maxThreadsPerBlock = 1024;
  out->numRegs = 64; // a stand-in: the CPU's compiler doesn't know
  out->binaryVersion = out->ptxVersion = 90;
  out->maxDynamicSharedSizeBytes = S->kernels[kernel].max_dynamic;
  out->preferredShmemCarveout = S->kernels[kernel].carveout;
  return done(cudaSuccess);
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, const void *kernel, int threads, size_t smem) {
  ENTER();
  if (!blocks || !kernel || threads < 1) return done(cudaErrorInvalidValue);
  *blocks = max_blocks(threads, smem);
  return done(cudaSuccess);
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, const void *kernel, int threads,
                                                                   size_t smem, unsigned) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessor(blocks, kernel, threads, smem);
}
