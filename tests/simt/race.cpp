// The race detector. Kernels are compiled with -fsanitize=thread, but its library is not linked: the entry points are at
// the end of this file, so every load and store of a kernel comes here, and every copy besides. Memory is watched by the
// byte. What happens before what is told, within a launch, by intervals: phases between grid barriers, between a block's
// barriers, between __syncwarps; among launches and copies by the queue: streams, events and synchronisations, so that a
// missing wait is named in whatever order things ran.
#include <dlfcn.h>

#include <algorithm>
#include <map>
#include <unordered_map>

#include "scheduler.h"

namespace simt {
namespace {

// The widest circle of threads that read a byte in one interval.
enum Scope : uint8_t { THREAD, WARP, BLOCK, GRID };
// What is known of one byte: its last write, its last reads, and reads that nothing orders against those.
struct Cell {
  uint32_t write_interval, write_pc, read_interval, read_pc, other_interval, other_pc;
  uint16_t writer, write_epoch, reader, read_epoch, other_reader;
  uint8_t atomic, scope;
};
struct Interval {
  uint32_t block, phase, launch;
};
struct Launch {
  const char *name;
  int chain;
  uint64_t number;
};
struct Report {
  std::string text;
  unsigned times = 0;
};
constexpr size_t page_size = 4096;
struct Page {
  Cell cells[page_size];
};

std::vector<Interval> intervals{{0, 0, 0}}; // number 0: never
std::vector<Launch> launches{{"", -1, 0}};  // the last one runs
QueuePlace current_place;
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
  text.erase(text.find_first_of(" \n")); // without its "(discriminator 3)"
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

uint32_t launch_now() { return static_cast<uint32_t>(launches.size()) - 1; }

// Whether a launch is over before the one that runs.
bool over(uint32_t launch) {
  if (launch == launch_now()) return false;
  const Launch &l = launches[launch];
  if (l.chain < 0 || !current_place.known) return true;
  const auto known = current_place.known->find(l.chain);
  return known != current_place.known->end() && known->second >= l.number;
}

// Whether an access, of an interval, a thread and an epoch of its warp, is ordered before this one.
bool ordered(uint32_t interval, unsigned thread, uint16_t epoch, const Point &now) {
  if (interval == now.interval) return thread == now.rank || (thread / 32 == now.warp && epoch != now.epoch);
  const Interval &a = intervals[interval], &b = intervals[now.interval];
  if (a.launch != b.launch) return over(a.launch);
  return a.block == b.block || a.phase != b.phase;
}

// "thread 3 of the same block at sum.cu:12", "cudaMemcpyAsync"
std::string who(uint32_t interval, unsigned thread, uint32_t pc, const Point &now) {
  const Interval &a = intervals[interval];
  if (!pc) return launches[a.launch].name;
  std::string text = "thread " + std::to_string(thread);
  if (a.launch != launch_now())
    text += std::string(" of ") + launches[a.launch].name;
  else
    text += a.block == intervals[now.interval].block ? " of the same block" : " of another block";
  return text + " at " + place(pc);
}

void report(const char *kind, uintptr_t address, size_t size, uint32_t old_interval, unsigned old_thread,
            uint32_t old_pc, const Point &now) {
  Report &r = reports[{old_pc, now.pc}];
  if (r.times++) return;
  const void *p = reinterpret_cast<const void *>(address);
  size_t offset = 0;
  const char *shared = shared_name(p, &offset);
  r.text = std::string(kind) + " race on " +
           (shared ? "'" + std::string(shared) + "' byte " + std::to_string(offset) : emulated::name_of(p)) + " (" +
           std::to_string(size) + " bytes): " + who(old_interval, old_thread, old_pc, now) + ", then ";
  if (current) {
    const uint3 b = current->bid;
    r.text += "thread " + std::to_string(now.rank) + " of block (" + std::to_string(b.x) + "," + std::to_string(b.y) +
              "," + std::to_string(b.z) + ") at " + place(now.pc);
  } else {
    r.text += launches.back().name;
  }
  if (intervals[old_interval].launch != launch_now()) r.text += ", which nothing in the queue orders";
}

void saw_read(Cell &c, const Point &now) {
  if (c.read_interval && !ordered(c.read_interval, c.reader, c.read_epoch, now)) { // at the same time: a wider circle
    const Interval &last = intervals[c.read_interval];
    if (last.launch != launch_now()) {
      c.other_interval = c.read_interval;
      c.other_reader = c.reader;
      c.other_pc = c.read_pc;
      c.scope = THREAD;
    } else {
      const Scope scope = last.block != intervals[now.interval].block ? GRID : c.reader / 32 != now.warp ? BLOCK : WARP;
      if (c.scope < scope) c.scope = scope;
    }
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

// One byte; `tell`: the first of an access, which stands for all.
void saw_byte(uintptr_t address, size_t size, bool tell, Access access, const Point &now) {
  Cell &c = cell(address);
  const bool atomic = access == Access::atomic;
  const bool unordered = c.write_interval && !ordered(c.write_interval, c.writer, c.write_epoch, now);
  if (tell && unordered && !(atomic && c.atomic))
    report(access == Access::read ? "write-read" : "write-write", address, size, c.write_interval, c.writer, c.write_pc,
           now);
  if (access == Access::read) return saw_read(c, now);
  if (tell && races_with_reads(c, now)) report("read-write", address, size, c.read_interval, c.reader, c.read_pc, now);
  if (tell && c.other_interval && !ordered(c.other_interval, c.other_reader, 0, now))
    report("read-write", address, size, c.other_interval, c.other_reader, c.other_pc, now);
  c.write_interval = now.interval;
  c.writer = static_cast<uint16_t>(now.rank);
  c.write_epoch = now.epoch;
  c.write_pc = now.pc;
  c.atomic = atomic;
}

void new_interval(BlockRace &b) {
  b.interval = static_cast<uint32_t>(intervals.size());
  intervals.push_back({b.uid, phase, launch_now()});
}

} // namespace

bool detects_races() { return true; }
void race_place(const QueuePlace &p) { current_place = p; }
void race_launch(const char *name) {
  launches.push_back({name, current_place.chain, current_place.number});
  phase++;
}
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
void race_forget() {
  for (const auto &[key, page] : pages) free(page);
  pages.clear();
  last_key = UINTPTR_MAX;
  intervals.resize(1);
  launches.resize(1);
  current_place = {};
}
void race_access(const void *p, size_t size, Access access) {
  BlockRace own{0, ++block_uid};
  new_interval(own);
  const uintptr_t address = reinterpret_cast<uintptr_t>(p);
  for (size_t i = 0; i < size; i++) saw_byte(address + i, size, true, access, {own.interval, 0, 0, 0, 0});
}
void race_release(const void *p, size_t size) {
  BlockRace own{0, ++block_uid};
  new_interval(own);
  const uintptr_t from = reinterpret_cast<uintptr_t>(p), to = from + size;
  for (uintptr_t key = from / page_size; key * page_size < to; key++) {
    const auto page = pages.find(key);
    if (page == pages.end()) continue; // never touched
    const uintptr_t first = std::max(from, key * page_size), past = std::min(to, (key + 1) * page_size);
    for (uintptr_t address = first; address < past; address++)
      saw_byte(address, size, true, Access::write, {own.interval, 0, 0, 0, 0});
    if (past - first < page_size) continue;
    free(page->second);
    pages.erase(page);
    last_key = UINTPTR_MAX;
  }
}
void note(const void *p, size_t size, Access access, const void *pc) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(p);
  if (!current || (address >= stacks_from && address < stacks_to)) return; // a thread's own
  const uintptr_t image_pc = reinterpret_cast<uintptr_t>(pc) - reinterpret_cast<uintptr_t>(image().dli_fbase);
  const Point now{block().race.interval, static_cast<uint32_t>(image_pc), current->rank, current->warp,
                  static_cast<uint16_t>(warp_epoch())};
  for (size_t i = 0; i < size; i++) saw_byte(address + i, size, i == 0, access, now);
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
