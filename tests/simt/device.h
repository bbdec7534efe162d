// The state of the emulated device, shared by device.cpp, properties.cpp, memory.cpp, queue.cpp, streams.cpp, work.cpp
// and graph.cpp.
#ifndef EMULATED_DEVICE_H
#define EMULATED_DEVICE_H

#include <cuda_runtime.h>
#include <stdint.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "emulated.h"

namespace emulated {

// ---- Memory ---------------------------------------------------------------------------------------------------------
enum class Life { reserved, live, dead }; // reserved: cudaMallocAsync that has not run yet
struct Alloc {
  uintptr_t base;
  size_t size;
  int device; // -1: pinned host memory
  unsigned flags;
  uint64_t serial;
  Life life;
  bool registered; // cudaHostRegister: not ours to free
  const void *site;
};
using AllocP = std::shared_ptr<Alloc>;
struct Where {
  enum Kind { device, pinned, pageable, bad } kind;
  AllocP alloc;    // of bad: the one beside it, if any
  std::string why; // of bad
};
Where where(const void *p, size_t size);
// Lets kernels and copies in, and shuts the host out again.
void memory_open();
void memory_close();
bool memory_is_open();
void memory_reset();
cudaError_t device_alloc(void **p, size_t size, bool async, const void *site, AllocP *out);
cudaError_t host_alloc(void **p, size_t size, unsigned flags, const void *site);
cudaError_t host_register(void *p, size_t size, unsigned flags, const void *site);
void fill_fresh(const Alloc &alloc);
void kill(const AllocP &alloc);
std::string describe(const Alloc &alloc);
std::string broken_red_zone(const Alloc &alloc); // empty when intact
bool looks_like_host(const void *p);
AllocP find_base(const void *p, bool device);
void memory_leaks(std::vector<std::string> &leaks);

// ---- The queue ------------------------------------------------------------------------------------------------------
// What one operation does. The nodes of a graph and their replays share it.
struct Work {
  std::string name;
  bool host_function = false, frees = false;
  std::vector<AllocP> uses;
  std::function<void()> run; // empty: records, waits, joins
  double cost_us = 1;
  int device = 0;
};
using WorkP = std::shared_ptr<Work>;
WorkP make_work(const char *name, double cost_us);
struct Op;
using OpP = std::shared_ptr<Op>;
struct Op {
  WorkP work;
  uint64_t id = 0;
  int stream = 0;
  unsigned unmet = 0;
  std::vector<OpP> out; // who waits for this one
  std::vector<std::weak_ptr<Op>> deps;
  int chain = 0;                 // operations of one chain follow each other
  std::map<int, uint64_t> known; // of each chain: up to which operation it is over before this one
  bool done = false;
  double end_us = 0; // on the device's own clock
};
struct Capture {
  uint64_t id;
  cudaGraph_t graph;
  cudaStream_t origin;
  cudaStreamCaptureMode mode;
  std::thread::id thread;
  bool invalid = false;
};
using CaptureP = std::shared_ptr<Capture>;

} // namespace emulated

// CUDA's opaque handles. They live until the reset, so that a stale one is an error and no crash.
struct CUstream_st {
  int id = 0, device = 0;
  unsigned flags = 0;
  bool legacy = false;
  emulated::OpP last;
  emulated::CaptureP capture;
  std::vector<size_t> tail; // while capturing: nodes that the next one depends on
};
struct CUevent_st {
  int device = 0;
  unsigned flags = 0;
  emulated::OpP op;        // its last record
  uint64_t capture_id = 0; // … or the last one inside a capture
  std::vector<size_t> tail;
};
struct CUgraphNode_st {
  emulated::WorkP work;
  std::vector<size_t> deps;
  int stream, chain;
};
struct CUgraph_st {
  std::vector<std::unique_ptr<CUgraphNode_st>> nodes;
};
struct CUgraphExec_st {
  std::vector<CUgraphNode_st> nodes;
  emulated::OpP last;
  int device, first_chain;
};
struct CUmemPoolHandle_st {
  int device = 0;
  uint64_t release_threshold = 0;
};

namespace emulated {

struct Device {
  cudaError_t sticky = cudaSuccess;
  size_t used = 0;              // bytes of live allocations
  uintptr_t arena = 0, top = 0; // the mapping, and its first unused byte
  std::unique_ptr<CUstream_st> legacy;
  cudaMemPool_t pool = nullptr; // the default one, when it was asked for
  std::set<int> peers;
};
struct Kernel {
  int max_dynamic = 48 * 1024, carveout = -1;
};
enum class Policy { latest, earliest, stream_first, random };
struct State {
  unsigned seed = 0;
  size_t memory = size_t{2} << 30; // of each device
  bool free_waits = false, verbose = false;
  std::vector<Device> devices;
  std::vector<OpP> ready;           // can run now
  std::unordered_set<Op *> pending; // all that has not run
  std::vector<CaptureP> captures;
  uint64_t next_op = 1, next_capture = 1, next_alloc = 1, random = 1, epoch = 0;
  int next_stream = 1, next_graph_chain = 1 << 24;
  std::map<int, uint64_t> known; // what is over, as far as the host has waited
  emulated_counts counts{};
  emulated_fault fault = EMULATED_ALLOC;
  unsigned fault_in = 0; // events; 0: none
  bool struck = false;
  std::vector<std::string> reports, records;
  bool recording = false;
  std::map<const void *, Kernel> kernels;
  const Work *running = nullptr;
  template <class T> using Handles = std::map<T *, std::unique_ptr<T>>;
  Handles<CUstream_st> streams, dead_streams;
  Handles<CUevent_st> events, dead_events;
  Handles<CUgraph_st> graphs, dead_graphs;
  Handles<CUgraphExec_st> execs, dead_execs;
  Handles<CUmemPoolHandle_st> pools;
};
extern State *S;
extern __thread int current_device;
extern __thread bool in_host_function; // of cudaLaunchHostFunc

// Every function of the API starts with one: it takes the lock, and on leaving the host is shut out again.
class Api {
public:
  Api();
  ~Api();

private:
  std::unique_lock<std::recursive_mutex> lock;
};
cudaError_t done(cudaError_t e); // remembers it for cudaGetLastError
cudaError_t refuse(cudaError_t e, const char *format, ...) __attribute__((format(printf, 2, 3)));
void report(const char *format, ...) __attribute__((format(printf, 1, 2)));
cudaError_t not_in_host_function(const char *function); // reported: on a device it may hang, too
bool strike(emulated_fault kind);                       // counts; true when the planted fault is due
inline Device &device_at(int d) { return S->devices[static_cast<size_t>(d)]; }
inline Device &device_now() { return device_at(current_device); }
uint64_t next_random();
Policy policy();

#define ENTER()                                                                                                        \
  ::emulated::Api api;                                                                                                 \
  if (::emulated::in_host_function) return ::emulated::not_in_host_function(__func__);                                 \
  if (::emulated::device_now().sticky) return ::emulated::done(::emulated::device_now().sticky)
// For what the unsafe modes of capture forbid.
#define NOT_WHILE_CAPTURING(name)                                                                                      \
  if (const cudaError_t forbidden = ::emulated::refuse_if_capturing(name)) return forbidden

// NULL and cudaStreamLegacy become the legacy stream.
cudaError_t get_stream(cudaStream_t s, cudaStream_t *out);
cudaError_t enqueue(cudaStream_t s, WorkP w, OpP *out = nullptr, OpP extra = nullptr);
cudaError_t enqueue_graph(cudaStream_t s, CUgraphExec_st &x);
void wait_for(const std::vector<OpP> &ops);
void wait_device(int d);
void poke(const OpP &op); // a query: lets a little work happen
void saw_done(const OpP &op);
cudaError_t refuse_if_capturing(const char *what);
void invalidate(const CaptureP &capture);
cudaError_t capture_add(cudaStream_t s, WorkP w);
template <class T> bool known(const State::Handles<T> &handles, T *h) { return handles.count(h) != 0; }
template <class T> void retire(State::Handles<T> &from, State::Handles<T> &to, T *h) {
  to[h] = std::move(from[h]);
  from.erase(h);
}

} // namespace emulated
#endif
