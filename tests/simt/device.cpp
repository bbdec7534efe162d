// The process's one emulated device: its state, errors, reports, faults on demand, and what a test may ask of it.
#include "device.h"

#include <unistd.h>

#include <cstdarg>
#include <cstdlib>
#include <cstring>

#include "scheduler.h"

namespace emulated {

State *S;
__thread int current_device;
__thread bool in_host_function;

namespace {

__thread cudaError_t last_error;
bool attended; // a test asks for the reports itself

std::recursive_mutex &mutex() {
  static auto *m = new std::recursive_mutex; // outlives every static object that may still call
  return *m;
}

const char *env(const char *name, const char *preset) {
  const char *value = getenv(name);
  return value ? value : preset;
}

void fail(emulated_fault fault, unsigned n) {
  S->fault = fault;
  S->fault_in = n;
}

void fault_from_env() {
  const char *text = env("EMULATED_FAIL", ""), *colon = strchr(text, ':');
  if (!colon) return;
  const char *const names[] = {"alloc", "launch", "copy", "run", "lost"};
  for (int i = 0; i < 5; i++)
    if (!strncmp(text, names[i], static_cast<size_t>(colon - text)))
      fail(static_cast<emulated_fault>(i), static_cast<unsigned>(atoi(colon + 1)));
}

void reset(unsigned seed, int devices, size_t memory) {
  if (S) {
    memory_reset();
    delete S;
  }
  simt::race_forget();
  S = new State;
  S->seed = seed;
  S->memory = memory;
  S->verbose = atoi(env("EMULATED_VERBOSE", "0")) != 0;
  S->devices.resize(static_cast<size_t>(devices));
  S->random = 0x9E3779B97F4A7C15ull * (seed + 1);
  simt::config.order = static_cast<simt::Order>(seed % 3);
  simt::config.async = static_cast<simt::Async>(seed % 3);
  simt::config.seed = seed;
  simt::config.small_grids = true;
  current_device = 0;
  last_error = cudaSuccess;
}

std::vector<std::string> leaks() {
  std::vector<std::string> v;
  bool lost = false; // a lost device takes its queue along
  for (const Device &d : S->devices) lost = lost || d.sticky;
  memory_leaks(v);
  const auto count = [&](const char *what, size_t n) {
    if (n) v.push_back(std::to_string(n) + " " + what);
  };
  size_t pools = S->pools.size();
  for (const Device &d : S->devices) pools -= d.pool != nullptr;
  count("memory pool(s)", pools);
  count("stream(s)", S->streams.size());
  count("event(s)", S->events.size());
  count("graph(s)", S->graphs.size());
  count("executable graph(s)", S->execs.size());
  if (!lost) count("queued operation(s) that nothing waited for", S->pending.size());
  return v;
}

void at_exit() {
  int status = 0;
  for (const std::string &text : S->reports) {
    if (attended) fprintf(stderr, "emulated: %s\n", text.c_str());
    status = 86;
  }
  if (atoi(env("EMULATED_LEAKS", "1")))
    for (const std::string &leak : leaks()) {
      fprintf(stderr, "emulated: leak: %s\n", leak.c_str());
      if (!status) status = 87;
    }
  if (atoi(env("EMULATED_COUNTS", "0"))) {
    const emulated_counts &c = S->counts;
    fprintf(stderr, "emulated: allocs=%ju launches=%ju copies=%ju runs=%ju struck=%d\n", uintmax_t{c.allocs},
            uintmax_t{c.launches}, uintmax_t{c.copies}, uintmax_t{c.runs}, S->struck);
  }
  fflush(nullptr);
  if (status) _exit(status);
}

void start() {
  if (S) return;
  reset(static_cast<unsigned>(atoi(env("EMULATED_SEED", "0"))), atoi(env("EMULATED_DEVICES", "1")),
        strtoull(env("EMULATED_MEMORY", "2147483648"), nullptr, 10));
  fault_from_env();
  atexit(at_exit);
}

} // namespace

Policy policy() {
  switch (S->seed) {
  case 0: return Policy::latest;
  case 1: return Policy::earliest;
  case 2:
  case 3: return Policy::stream_first;
  default: return Policy::random;
  }
}

uint64_t next_random() {
  uint64_t &x = S->random;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return x >> 16;
}

Api::Api() : lock(mutex()) { start(); }
Api::~Api() { memory_close(); }

cudaError_t done(cudaError_t e) {
  if (e) last_error = e;
  return e;
}

cudaError_t refuse(cudaError_t e, const char *format, ...) {
  if (S->verbose) {
    va_list list;
    va_start(list, format);
    fprintf(stderr, "emulated: %s: ", cudaGetErrorName(e));
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
  }
  return done(e);
}

void report(const char *format, ...) {
  char text[2000];
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  if (!attended || S->verbose) fprintf(stderr, "emulated: %s\n", text);
  S->reports.push_back(text);
}

cudaError_t not_in_host_function(const char *function) {
  report("%s called inside a host function", function);
  return done(cudaErrorNotPermitted);
}

bool strike(emulated_fault kind) {
  switch (kind) {
  case EMULATED_ALLOC: S->counts.allocs++; break;
  case EMULATED_LAUNCH: S->counts.launches++; break;
  case EMULATED_COPY: S->counts.copies++; break;
  case EMULATED_RUN: S->counts.runs++; break;
  case EMULATED_LOST: break; // counted as a run
  }
  if (!S->fault_in || S->fault != kind || --S->fault_in) return false;
  return S->struck = true;
}

// ---- The control interface ------------------------------------------------------------------------------------------
namespace {

const char *lines(const std::vector<std::string> &list) {
  static std::string text;
  text.clear();
  for (const std::string &line : list) text += line + "\n";
  return text.c_str();
}

const emulated_control control = {
    sizeof(emulated_control),
    [](unsigned seed, int devices, size_t memory) {
      Api api;
      reset(seed, devices, memory);
      attended = true;
    },
    [](emulated_fault fault, unsigned n) {
      Api api;
      fail(fault, n);
    },
    [] {
      Api api;
      return static_cast<int>(S->struck);
    },
    [] {
      Api api;
      return S->counts;
    },
    [] {
      Api api;
      std::vector<std::string> taken;
      taken.swap(S->reports);
      return lines(taken);
    },
    [] {
      Api api;
      return lines(leaks());
    },
    [](int yes) {
      Api api;
      S->free_waits = yes != 0;
    },
    [] { return static_cast<int>(simt::detects_races()); },
    [] {
      Api api;
      S->recording = true;
      simt::config.small_grids = false;
    },
    [] {
      Api api;
      std::vector<std::string> taken;
      taken.swap(S->records);
      return lines(taken);
    },
};

} // namespace
} // namespace emulated

using namespace emulated;

extern "C" __attribute__((visibility("default"))) const emulated_control *emulated_device_control(void) {
  return &control;
}

cudaError_t cudaGetLastError(void) {
  Api api;
  if (!S->devices.empty() && device_now().sticky) return device_now().sticky; // can't be cleared
  const cudaError_t e = last_error;
  last_error = cudaSuccess;
  return e;
}
cudaError_t cudaPeekAtLastError(void) {
  Api api;
  return device_now().sticky ? device_now().sticky : last_error;
}
