// The race detector. Kernels are compiled with -fsanitize=thread, but its library is not linked: the entry points are at
// the end of this file, so every load and store of a kernel comes here. What happens before what is told by intervals: a
// launch's, a phase between grid barriers, between a block's barriers, between __syncwarps. Memory is watched by the byte.
#include <dlfcn.h>

#include <map>
#include <unordered_map>

#include "scheduler.h"

namespace simt {
namespace {

// The widest circle of threads that read a byte in one interval.
enum Scope : uint8_t { THREAD, WARP, BLOCK, GRID };
// What is known of one byte: its last write, its last reads.
struct Cell {
  uint32_t write_interval, write_pc, read_interval, read_pc;
  uint16_t writer, write_epoch, reader, read_epoch;
  uint8_t atomic, scope;
};
struct Interval {
  uint32_t block, phase;
};
struct Report {
  std::string text;
  unsigned times = 0;
};
constexpr size_t page_size = 4096;
struct Page {
  Cell cells[page_size];
};

std::vector<Interval> intervals{{0, 0}}; // number 0: never
uint32_t phase, block_uid;
std::unordered_map<uintptr_t, Page *> pages;
uintptr_t last_key = UINTPTR_MAX;
Page *last_page;
uintptr_t stacks_from, stacks_to;
std::map<std::pair<uint32_t, uint32_t>, Report> reports; // by the two places

const char anchor = 0;
const Dl_info &image() {
  static const Dl_info info = [] {
    Dl_info i;
    dladdr(&anchor, &i);
    return i;
  }();
  return info;
}

std::string place(uint32_t pc) {
  char command[600], line[512] = "?";
  snprintf(command, sizeof command, "addr2line -s -e '%s' 0x%x 2>/dev/null", image().dli_fname, pc - 1);
  if (FILE *p = popen(command, "r")) {
    if (!fgets(line, sizeof line, p)) strcpy(line, "?");
    pclose(p);
  }
  std::string text = line;
  text.erase(text.find_last_not_of('\n') + 1);
  return text;
}

Cell &cell(uintptr_t address) {
  const uintptr_t key = address / page_size;
  if (key != last_key) {
    Page *&page = pages[key];
    if (!page) page = static_cast<Page *>(calloc(1, sizeof(Page)));
    last_key = key;
    last_page = page;
  }
  return last_page->cells[address % page_size];
}

// The access that happens.
struct Point {
  uint32_t interval, pc;
  unsigned rank, warp;
  uint16_t epoch;
};

// Whether an access, of an interval, a thread and an epoch of its warp, is ordered before this one.
bool ordered(uint32_t interval, unsigned thread, uint16_t epoch, const Point &now) {
  if (interval == now.interval) return thread == now.rank || (thread / 32 == now.warp && epoch != now.epoch);
  const Interval &a = intervals[interval], &b = intervals[now.interval];
  return a.block == b.block || a.phase != b.phase;
}

void report(const char *kind, uintptr_t address, size_t size, uint32_t old_pc, uint32_t old_interval,
            unsigned old_thread, const Point &now) {
  Report &r = reports[{old_pc, now.pc}];
  if (r.times++) return;
  char where[200], text[900];
  size_t offset = 0;
  if (const char *name = shared_name(reinterpret_cast<const void *>(address), &offset))
    snprintf(where, sizeof where, "'%s' byte %zu", name, offset);
  else
    snprintf(where, sizeof where, "global memory at %#zx", static_cast<size_t>(address));
  const bool same_block = intervals[old_interval].block == block().race.uid;
  const uint3 b = current->bid;
  snprintf(text, sizeof text,
           "%s race on %s (%zu bytes): thread %u of %s at %s, then thread %u of block (%u,%u,%u) at %s", kind, where,
           size, old_thread, same_block ? "the same block" : "another block", place(old_pc).c_str(), now.rank, b.x, b.y,
           b.z, place(now.pc).c_str());
  r.text = text;
}

void saw_read(Cell &c, const Point &now) {
  if (c.read_interval &&
      !ordered(c.read_interval, c.reader, c.read_epoch, now)) { // readers at the same time: a wider circle
    const Scope scope = intervals[c.read_interval].block != intervals[now.interval].block ? GRID
                        : c.reader / 32 != now.warp                                       ? BLOCK
                                                                                          : WARP;
    if (c.scope < scope) c.scope = scope;
  } else if (c.read_interval != now.interval ||
             (c.scope <= WARP && (c.reader != now.rank || c.read_epoch != now.epoch))) {
    c.scope = THREAD;
  }
  if (c.scope == GRID && c.read_interval) return;
  c.read_interval = now.interval;
  c.reader = static_cast<uint16_t>(now.rank);
  c.read_epoch = now.epoch;
  c.read_pc = now.pc;
}

bool races_with_reads(const Cell &c, const Point &now) {
  if (!c.read_interval) return false;
  if (!ordered(c.read_interval, c.reader, c.read_epoch, now)) return true;
  if (c.scope == GRID) return intervals[c.read_interval].phase == intervals[now.interval].phase;
  if (c.read_interval != now.interval) return false;
  return c.scope == BLOCK || (c.scope == WARP && c.read_epoch == now.epoch);
}

void saw(uintptr_t address, size_t size, Access access, const void *pc) {
  if (!current || (address >= stacks_from && address < stacks_to)) return; // a thread's own
  const Point now{
      block().race.interval,
      static_cast<uint32_t>(reinterpret_cast<uintptr_t>(pc) - reinterpret_cast<uintptr_t>(image().dli_fbase)),
      current->rank, current->warp, static_cast<uint16_t>(warp_epoch())};
  for (size_t i = 0; i < size; i++) {
    Cell &c = cell(address + i);
    const bool unordered = c.write_interval && !ordered(c.write_interval, c.writer, c.write_epoch, now);
    if (access == Access::read) {
      if (unordered && i == 0) report("write-read", address, size, c.write_pc, c.write_interval, c.writer, now);
      saw_read(c, now);
      continue;
    }
    const bool atomic = access == Access::atomic;
    if (unordered && !(atomic && c.atomic) && i == 0)
      report("write-write", address, size, c.write_pc, c.write_interval, c.writer, now);
    if (i == 0 && races_with_reads(c, now))
      report("read-write", address, size, c.read_pc, c.read_interval, c.reader, now);
    c.write_interval = now.interval;
    c.writer = static_cast<uint16_t>(now.rank);
    c.write_epoch = now.epoch;
    c.write_pc = now.pc;
    c.atomic = atomic;
  }
}

void new_interval(BlockRace &b) {
  b.interval = static_cast<uint32_t>(intervals.size());
  intervals.push_back({b.uid, phase});
}

} // namespace

bool detects_races() { return true; }
void race_launch(const char *) { phase++; }
void race_block_start(BlockRace &b, const void *arena, size_t size) {
  b.uid = ++block_uid;
  new_interval(b);
  const uintptr_t from = reinterpret_cast<uintptr_t>(arena); // every block's shared memory is fresh
  for (uintptr_t key = from / page_size; key <= (from + size - 1) / page_size; key++) {
    const auto found = pages.find(key);
    if (found != pages.end()) memset(static_cast<void *>(found->second), 0, sizeof(Page));
  }
}
void race_block_barrier(BlockRace &b) { new_interval(b); }
void race_grid_barrier() { phase++; }
void race_ignore(const void *p, size_t size) {
  stacks_from = reinterpret_cast<uintptr_t>(p);
  stacks_to = stacks_from + size;
}
void race_finish(const char *kernel) {
  if (reports.empty()) return;
  std::string text = std::string(kernel) + ": " + std::to_string(reports.size()) + " race(s)";
  int shown = 0;
  for (const auto &[places, r] : reports)
    if (shown++ < 8) text += "\n  " + r.text + " [" + std::to_string(r.times) + " times]";
  reports.clear();
  throw Error(text);
}
void note(const void *p, size_t size, Access access, const void *pc) {
  saw(reinterpret_cast<uintptr_t>(p), size, access, pc);
}

} // namespace simt

// ---- What -fsanitize=thread calls -----------------------------------------------------------------------------------
using simt::Access;
#define PC __builtin_return_address(0)
#define ENTRY(name, size, access)                                                                                      \
  void __tsan_##name##size(void *p) { simt::note(p, size, Access::access, PC); }                                       \
  void __tsan_unaligned_##name##size(void *p) { simt::note(p, size, Access::access, PC); }                             \
  void __tsan_volatile_##name##size(void *p) { simt::note(p, size, Access::access, PC); }
#define ENTRIES(size) ENTRY(read, size, read) ENTRY(write, size, write)

extern "C" {
ENTRIES(1)
ENTRIES(2)
ENTRIES(4)
ENTRIES(8)
ENTRIES(16)
void __tsan_read_range(void *p, unsigned long size) { simt::note(p, size, Access::read, PC); }
void __tsan_write_range(void *p, unsigned long size) { simt::note(p, size, Access::write, PC); }
void __tsan_init() {}
void __tsan_func_entry(void *) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void **, void *) {}
void __tsan_vptr_read(void **) {}
void *__tsan_memcpy(void *to, const void *from, unsigned long size) {
  simt::note(from, size, Access::read, PC);
  simt::note(to, size, Access::write, PC);
  return memcpy(to, from, size);
}
void *__tsan_memmove(void *to, const void *from, unsigned long size) {
  simt::note(from, size, Access::read, PC);
  simt::note(to, size, Access::write, PC);
  return memmove(to, from, size);
}
void *__tsan_memset(void *to, int value, unsigned long size) {
  simt::note(to, size, Access::write, PC);
  return memset(to, value, size);
}
}
