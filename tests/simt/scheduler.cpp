// Launches, the scheduler, barriers. Which thread runs next is decided wherever one waits, in the order that
// config.order says: what depends on an order that CUDA doesn't promise shows in one of them.
#include "scheduler.h"

#include <cstdarg>
#include <memory>

namespace simt {

SIMT_TLS Thread *current;
SIMT_TLS Dims *dims;
Config config;

namespace {

// The launch that runs; there is one at a time.
struct Run {
  std::vector<Thread> threads;
  std::vector<uint64_t> ready; // a bit each
  std::vector<Block> blocks;
  std::vector<char *> arenas;
  unsigned done = 0, at_grid_barrier = 0;
  bool cooperative = false, uses_dynamic = false; // shared memory
  uint64_t random = 1;
  void (*kernel)(const void *) = nullptr;
  const void *args = nullptr;
  std::string error;
};
Run *now; // made by the first launch; never freed, since fibers are suspended in it

int lowest(uint64_t bits, size_t word) { return static_cast<int>(word * 64) + __builtin_ctzll(bits); }

// Takes a thread that can run; -1 where there is none.
int pick() {
  std::vector<uint64_t> &ready = now->ready;
  const size_t words = ready.size();
  int found = -1;
  if (config.order == Order::reverse) {
    for (size_t w = words; w-- > 0 && found < 0;)
      if (ready[w]) found = static_cast<int>(w * 64) + 63 - __builtin_clzll(ready[w]);
  } else if (config.order == Order::random) {
    const size_t start = (next_random() >> 11) % (words * 64);
    uint64_t bits = ready[start / 64] & ~0ull << start % 64;
    for (size_t k = 0, w = start / 64; k <= words && found < 0; k++) {
      if (bits) found = lowest(bits, w);
      w = w + 1 == words ? 0 : w + 1;
      bits = ready[w];
    }
  } else {
    for (size_t w = 0; w < words && found < 0; w++)
      if (ready[w]) found = lowest(ready[w], w);
  }
  if (found >= 0) ready[static_cast<size_t>(found) / 64] &= ~(1ull << found % 64);
  return found;
}

void set_current(Thread *t) {
  current = t;
  dims = t ? &t->block->dims : nullptr;
}

std::string where(const Thread &t) {
  char text[160];
  snprintf(text, sizeof text, "block (%u,%u,%u) thread (%u,%u,%u)", t.bid.x, t.bid.y, t.bid.z, t.tid.x, t.tid.y,
           t.tid.z);
  return text;
}

[[noreturn]] void deadlock() {
  {
    std::string e = "deadlock: no thread can run;";
    int shown = 0;
    for (const Thread &t : now->threads) {
      if (t.state != BLOCKED || shown++ >= 6) continue;
      e += "\n  " + where(t) + " waits in " + t.what + " at " + t.file + ":" + std::to_string(t.line);
    }
    e += "\n  (" + std::to_string(now->threads.size() - now->done) + " wait, " + std::to_string(now->done) +
         " are done)";
    now->error.swap(e);
  }
  abandon(); // nothing on this stack owns memory by now
}

void wake(std::vector<unsigned> &threads) {
  for (const unsigned thread : threads) make_ready(thread);
  threads.clear();
}

void release(Block &b) {
  b.yes = b.votes;
  b.voters = b.arrived;
  b.arrived = b.votes = 0;
  race_block_barrier(b.race);
  wake(b.waiting);
}

void release_grid_if_all_are_there() {
  if (!now->at_grid_barrier || now->at_grid_barrier != now->threads.size() - now->done) return;
  now->at_grid_barrier = 0;
  race_grid_barrier();
  for (Block &b : now->blocks) {
    race_block_barrier(b.race);
    wake(b.waiting);
  }
}

void thread_exit(Thread *t) {
  Block &b = *t->block;
  for (const CopyInFlight &c : b.copies[t->rank])
    if (!c.done) fail("the thread ends with a cp.async that was never waited for");
  b.copies[t->rank].clear();
  t->state = DONE;
  now->done++;
  b.live--;
  b.warps[t->warp].live &= ~(1u << t->lane);
  if (b.live && b.arrived == b.live) release(b);
  release_grid_if_all_are_there();
}

// One fiber runs one CUDA thread after another, as long as the next is a new one.
void fiber_body() {
  entered();
  Fiber *self = current->fiber;
  for (;;) {
    now->kernel(now->args);
    thread_exit(current);
    const int n = pick();
    if (n < 0) {
      if (now->done != now->threads.size()) deadlock();
      give_back(self);
      set_current(nullptr);
      jump(self, host_fiber());
      continue; // a later launch took it
    }
    Thread *t = &now->threads[static_cast<size_t>(n)];
    set_current(t);
    if (t->state == NEW) {
      t->state = READY;
      t->fiber = self;
      continue;
    }
    give_back(self);
    jump(self, t->fiber);
  }
}

void start_warps(Block &b) {
  b.warps.resize((b.threads + 31) / 32);
  for (size_t w = 0; w < b.warps.size(); w++) {
    const unsigned lanes = b.threads - static_cast<unsigned>(w) * 32;
    b.warps[w].live = lanes >= 32 ? ~0u : (1u << lanes) - 1;
    b.warps[w].epoch = 0;
    for (Collective &c : b.warps[w].collective) c.have = 0;
  }
}

void start_block(Block &b, uint3 bid, const Dims &shape, Thread *threads, size_t smem, char *arena) {
  const dim3 d = shape.block;
  b.dims = shape;
  b.threads = b.live = d.x * d.y * d.z;
  b.arrived = b.votes = 0;
  b.waiting.clear();
  start_shared(b, arena, smem);
  start_warps(b);
  b.copies.resize(b.threads);
  for (unsigned i = 0; i < b.threads; i++) {
    const uint3 tid = {i % d.x, i / d.x % d.y, i / (d.x * d.y)};
    threads[i] = {tid, bid, i, i % 32, i / 32, NEW, &b, nullptr, nullptr, nullptr, 0, 0};
    b.copies[i].clear();
  }
  race_block_start(b.race, arena, arena_size);
}

void run_started_blocks() {
  now->done = now->at_grid_barrier = 0;
  now->ready.assign((now->threads.size() + 63) / 64, 0);
  for (unsigned i = 0; i < now->threads.size(); i++) now->ready[i / 64] |= 1ull << i % 64;
  Thread *t = &now->threads[static_cast<size_t>(pick())];
  t->state = READY;
  t->fiber = take_fiber(fiber_body);
  set_current(t);
  jump(host_fiber(), t->fiber);
  set_current(nullptr);
  if (now->error.empty()) return;
  drop_fibers();
  std::string e;
  e.swap(now->error);
  throw Error(e);
}

void check_shape(dim3 g, dim3 d, size_t smem) {
  const uint64_t threads = uint64_t{d.x} * d.y * d.z, blocks = uint64_t{g.x} * g.y * g.z;
  if (!threads || threads > 1024 || d.z > 64) fail("bad block (%u,%u,%u)", d.x, d.y, d.z);
  if (!blocks || g.x > 2147483647u || g.y > 65535 || g.z > 65535) fail("bad grid (%u,%u,%u)", g.x, g.y, g.z);
  if (smem > 227 * 1024) fail("%zu bytes of dynamic shared memory", smem);
}

void run_all(const Dims &shape, size_t smem, bool cooperative) {
  const dim3 g = shape.grid, d = shape.block;
  const uint64_t blocks = uint64_t{g.x} * g.y * g.z;
  const size_t each = size_t{d.x} * d.y * d.z, together = cooperative ? blocks : 1;
  now->threads.resize(each * together);
  now->blocks.resize(together);
  while (now->arenas.size() < together) now->arenas.push_back(new_arena());
  for (uint64_t i = 0; i < blocks; i += together) {
    for (size_t k = 0; k < together; k++) {
      const uint64_t j = config.order == Order::reverse ? blocks - 1 - i - k : i + k;
      const uint3 bid = {static_cast<unsigned>(j % g.x), static_cast<unsigned>(j / g.x % g.y),
                         static_cast<unsigned>(j / g.x / g.y)};
      start_block(now->blocks[k], bid, shape, &now->threads[k * each], smem, now->arenas[k]);
    }
    run_started_blocks();
  }
}

} // namespace

uint64_t next_random() {
  uint64_t &x = now->random;
  x ^= x << 13;
  x ^= x >> 7;
  return x ^= x << 17;
}

unsigned index_of(const Thread *thread) { return static_cast<unsigned>(thread - now->threads.data()); }

void make_ready(unsigned thread) {
  if (now->threads[thread].state != NEW) now->threads[thread].state = READY;
  now->ready[thread / 64] |= 1ull << thread % 64;
}

void wait_here(const char *what, const char *file, int line) {
  Thread *me = current;
  me->what = what;
  me->file = file;
  me->line = line;
  const int n = pick();
  if (n < 0) deadlock();
  Thread *t = &now->threads[static_cast<size_t>(n)];
  set_current(t);
  if (t == me) return;
  if (t->state == NEW) {
    t->state = READY;
    t->fiber = take_fiber(fiber_body);
  }
  jump(me->fiber, t->fiber);
}

void fail(const char *format, ...) {
  char text[1024];
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  if (!current) throw Error(text);
  now->error = std::string(text) + ", in " + where(*current);
  abandon();
}

void *shared_dynamic() {
  now->uses_dynamic = true;
  return block().dynamic;
}

int sync_threads(Vote vote, bool yes, const char *file, int line) {
  Block &b = block();
  if (!b.arrived) {
    b.barrier_file = file;
    b.barrier_line = line;
  } else if (b.barrier_line != line || strcmp(b.barrier_file, file)) {
    fail("divergent __syncthreads: this thread is at %s:%d, others wait at %s:%d", file, line, b.barrier_file,
         b.barrier_line);
  }
  b.votes += yes;
  current->state = BLOCKED;
  b.waiting.push_back(index_of(current));
  if (++b.arrived == b.live) release(b);
  wait_here("__syncthreads", file, line);
  switch (vote) {
  case Vote::any: return b.yes != 0;
  case Vote::all: return b.yes == b.voters;
  case Vote::count: return static_cast<int>(b.yes);
  case Vote::none: break;
  }
  return 0;
}

void sync_grid(const char *file, int line) {
  if (!now->cooperative) fail("grid_sync() in a kernel that was not launched with LAUNCH_COOP, at %s:%d", file, line);
  current->state = BLOCKED;
  block().waiting.push_back(index_of(current));
  now->at_grid_barrier++;
  release_grid_if_all_are_there();
  wait_here("grid_sync", file, line);
}

void run(dim3 grid, dim3 block, size_t smem, bool cooperative, void (*kernel)(const void *), const void *args,
         const char *name) {
  if (current) fail("%s is launched from a kernel", name);
  if (!now) now = new Run;
  now->kernel = kernel;
  now->args = args;
  now->cooperative = cooperative;
  now->random = 0x9E3779B97F4A7C15ull * (config.seed + 1);
  try {
    check_shape(grid, block, smem);
    race_launch(name);
    now->uses_dynamic = smem == 0;
    run_all({block, grid}, smem, cooperative);
    if (!now->uses_dynamic) fail("%zu bytes of dynamic shared memory are asked for, and not used", smem);
  } catch (const Error &e) { throw Error(std::string(name) + ": " + e.what()); }
  race_finish(name);
}

} // namespace simt
