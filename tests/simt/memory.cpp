// Device memory as another world.
//
//   the arena of a device:  | red | allocation 1 | slack, red | allocation 2 | slack, red | … untouched →
//
// Addresses are never used twice, so a stale pointer is always recognised. The arena is PROT_NONE except while operations
// run: page protection keeps the host out in every build, libraries that nobody instrumented as well, and costs two system
// calls a synchronisation. ASan poisons red zones and freed blocks, for which pages are too coarse; a build without it
// checks the pattern that fills them.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <deque>

#include "device.h"
#include "scheduler.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define POISON(p, n)   __asan_poison_memory_region(reinterpret_cast<void *>(p), n)
#define UNPOISON(p, n) __asan_unpoison_memory_region(reinterpret_cast<void *>(p), n)
#define HAVE_ASAN      1
#else
#define POISON(p, n)   ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#define HAVE_ASAN      0
#endif

namespace emulated {
namespace {

constexpr size_t arena_size = size_t{1} << 40, red_zone = 256, page = 4096, huge_page = size_t{2} << 20,
                 quarantine_size = size_t{256} << 20;
// Where arenas are asked to lie, the same in every run: two ints side by side that look like one of their addresses, of
// which the upper would have to be 23101, do so always or never.
constexpr uintptr_t first_arena = 0x5a3d00000000;
// NaN in every format, and out of range as an index. Three shades tell where it came from.
constexpr uint16_t fresh_fill = 0x7fff, freed_fill = 0x7ffd, red_fill = 0x7ffe;
std::map<uintptr_t, AllocP> table; // device and pinned, live and dead, by address
std::deque<AllocP> quarantine;
size_t quarantined;
bool open_now;
struct sigaction old_segv, old_bus;

uintptr_t address(const void *p) { return reinterpret_cast<uintptr_t>(p); }
uintptr_t round_up(uintptr_t x, size_t a) { return (x + a - 1) & ~(a - 1); }
void fill16(uintptr_t p, size_t n, uint16_t v) {
  auto *q = reinterpret_cast<unsigned char *>(p);
  size_t i = 0;
  const uint64_t four = v * 0x0001000100010001ull;
  if (p % 2 == 0)
    for (; i + 8 <= n; i += 8) memcpy(q + i, &four, 8);
  for (; i < n; ++i) q[i] = static_cast<unsigned char>(i & 1 ? v >> 8 : v & 0xff);
}
int device_of(uintptr_t p) {
  for (size_t d = 0; S && d < S->devices.size(); d++)
    if (S->devices[d].arena && p >= S->devices[d].arena && p < S->devices[d].arena + arena_size)
      return static_cast<int>(d);
  return -1;
}
// The allocation that starts at or before p.
AllocP nearest(uintptr_t p) {
  const auto i = table.upper_bound(p);
  return i == table.begin() ? nullptr : std::prev(i)->second;
}
void on_fault(int sig, siginfo_t *info, void *) {
  const uintptr_t p = address(info->si_addr);
  if (device_of(p) >= 0) {
    const AllocP a = nearest(p);
    const char *who = open_now && S->running ? S->running->name.c_str() : "host code";
    fprintf(stderr, "emulated: %s touched device memory at %p", who, info->si_addr);
    if (a) fprintf(stderr, " (%s, byte %zu)", describe(*a).c_str(), static_cast<size_t>(p - a->base));
    fprintf(stderr, open_now ? ", outside of every allocation\n" : ": copy it to the host first\n");
  }
  // Returning repeats the access: what comes is ASan's report, or a core.
  sigaction(sig, sig == SIGSEGV ? &old_segv : &old_bus, nullptr);
}
void map_arena(Device &d) {
  static bool handler = [] {
    struct sigaction a {};
    a.sa_sigaction = on_fault;
    a.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &a, &old_segv);
    sigaction(SIGBUS, &a, &old_bus);
    return true;
  }();
  (void)handler;
  const uintptr_t wish = first_arena + static_cast<size_t>(&d - S->devices.data()) * 2 * arena_size;
  void *p = mmap(reinterpret_cast<void *>(wish), arena_size + huge_page, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) {
    perror("emulated: cannot reserve device memory");
    abort();
  }
  d.arena = round_up(address(p), huge_page);
  // Opening and closing is paid by the page: huge ones make 1 GiB as cheap as 2 MiB. The first 2 MiB stay small, so that
  // a small test need not clear a huge one.
  madvise(reinterpret_cast<void *>(d.arena + huge_page), arena_size - huge_page, MADV_HUGEPAGE);
  d.top = d.arena + page;
}
void protect(int prot) {
  for (Device &d : S->devices)
    if (d.arena) {
      const size_t used = d.top - d.arena;
      if (mprotect(reinterpret_cast<void *>(d.arena), round_up(used, used > huge_page ? huge_page : page), prot)) {
        perror("emulated: mprotect");
        abort();
      }
    }
}
} // namespace

void memory_open() {
  if (!open_now) {
    open_now = true;
    protect(PROT_READ | PROT_WRITE);
  }
}
bool memory_is_open() { return open_now; }
void memory_close() {
  if (open_now) {
    open_now = false;
    protect(PROT_NONE);
  }
}

std::string describe(const Alloc &a) {
  const std::string life = a.life == Life::dead ? "freed " : a.life == Life::reserved ? "not yet allocated " : "";
  const std::string kind = a.device < 0 ? "pinned" : a.device ? "device " + std::to_string(a.device) : "device";
  return life + kind + " allocation #" + std::to_string(a.serial) + " of " + std::to_string(a.size) + " bytes";
}

Where where(const void *ptr, size_t n) {
  const uintptr_t p = address(ptr);
  const int d = device_of(p);
  AllocP a = nearest(p);
  const size_t off = a ? p - a->base : 0;
  char b[300];
  if (d < 0) {
    if (!a || a->device >= 0 || off >= a->size + (a->size == 0) || a->life == Life::dead)
      return {Where::pageable, nullptr, ""};
    if (off + n <= a->size) return {Where::pinned, a, ""};
  } else {
    const bool near = a && a->device == d && off < a->size + 2 * red_zone;
    if (!near) {
      snprintf(b, sizeof b, "%p is in no allocation of device %d", ptr, d);
      return {Where::bad, nullptr, b};
    }
    if (a->life == Life::dead) {
      snprintf(b, sizeof b, "%p is byte %zu of %s", ptr, off, describe(*a).c_str());
      return {Where::bad, a, b};
    }
    if (off <= a->size && off + n <= a->size) return {Where::device, a, ""};
  }
  snprintf(b, sizeof b, "bytes %zu..%zu of %s", off, off + n, describe(*a).c_str());
  return {Where::bad, a, b};
}

std::string name_of(const void *p) {
  const AllocP a = nearest(address(p));
  const size_t byte = a ? address(p) - a->base : 0;
  if (a && byte < a->size) return "byte " + std::to_string(byte) + " of " + describe(*a);
  char text[32];
  snprintf(text, sizeof text, "memory at %p", p);
  return text;
}

// Whether a word of a struct looks like a pointer to host memory: only where programs, heaps and stacks lie on x86-64
// Linux, not where a number lies below what padding happened to have, and only if it is mapped.
bool looks_like_host(const void *p) {
  const uintptr_t a = address(p);
  return a >= 0x500000000000 && a < 0x7ffffffff000 && a % 4 == 0 && (a & 0xffffffff) >= 1 << 24 &&
         msync(reinterpret_cast<void *>(a & ~(page - 1)), page, MS_ASYNC) == 0;
}
AllocP find_base(const void *p, bool device) {
  auto i = table.find(address(p));
  return i == table.end() || (i->second->device >= 0) != device ? nullptr : i->second;
}

static void fill(const Alloc &a, uint16_t with) {
  if (a.device >= 0) memory_open();
  UNPOISON(a.base, a.size);
  fill16(a.base, a.size, with);
}
void fill_fresh(const Alloc &a) { fill(a, fresh_fill); }

cudaError_t device_alloc(void **out, size_t n, bool async, const void *site, AllocP *handle) {
  Device &d = device_now();
  *out = nullptr;
  if (handle) *handle = nullptr;
  if (n > S->memory - std::min(S->memory, d.used) || strike(EMULATED_ALLOC))
    return refuse(cudaErrorMemoryAllocation, "%zu bytes asked, %zu of %zu in use", n, d.used, S->memory);
  if (!n) return cudaSuccess; // CUDA: null pointer, no error
  if (!d.arena) map_arena(d);
  memory_close(); // so that opening covers the new top
  const uintptr_t base = d.top + red_zone;
  d.top = round_up(base + n, red_zone) + red_zone;
  memory_open();
  fill16(base - red_zone, red_zone, red_fill);
  fill16(base + n, d.top - base - n, red_fill);
  POISON(base - red_zone, d.top - base + red_zone);
  d.used += n;
  auto a = std::make_shared<Alloc>(
      Alloc{base, n, current_device, 0, S->next_alloc++, async ? Life::reserved : Life::live, false, site});
  table[base] = a;
  if (!async) fill_fresh(*a);
  if (handle) *handle = a;
  *out = reinterpret_cast<void *>(base);
  return cudaSuccess;
}

// The first byte of [from, to) that the red zone's pattern doesn't have; `to` when all do.
static uintptr_t first_broken(uintptr_t from, uintptr_t to) {
  for (uintptr_t p = from; p < to; p++)
    if (*reinterpret_cast<const unsigned char *>(p) != ((p - from) & 1 ? red_fill >> 8 : red_fill & 0xff)) return p;
  return to;
}

std::string broken_red_zone(const Alloc &a) {
  if (HAVE_ASAN || a.registered) return "";
  if (a.device >= 0) memory_open();
  const uintptr_t end = a.base + a.size, stop = round_up(end, red_zone) + red_zone;
  const uintptr_t before = first_broken(a.base - red_zone, a.base), past = first_broken(end, stop);
  if (before < a.base) return "a write " + std::to_string(a.base - before) + " bytes before " + describe(a);
  if (past < stop) return "a write " + std::to_string(past - end + 1) + " bytes past the end of " + describe(a);
  return "";
}

void kill(const AllocP &a) {
  const std::string broken = broken_red_zone(*a);
  if (!broken.empty()) report("%s, found when it was freed", broken.c_str());
  if (a->life == Life::live && !a->registered) {
    fill(*a, freed_fill);
    POISON(a->base, a->size);
  }
  a->life = Life::dead;
  if (a->registered) {
    table.erase(a->base);
    return;
  }
  if (a->device >= 0) device_at(a->device).used -= a->size;
  quarantine.push_back(a);
  // The oldest give their pages back, and keep their addresses.
  for (quarantined += a->size; quarantined > quarantine_size; quarantine.pop_front()) {
    const Alloc &q = *quarantine.front();
    quarantined -= q.size;
    const uintptr_t lo = round_up(q.base, page), hi = (q.base + q.size) & ~(page - 1);
    if (hi > lo) madvise(reinterpret_cast<void *>(lo), hi - lo, MADV_DONTNEED);
  }
}

void memory_leaks(std::vector<std::string> &leaks) {
  for (const auto &[base, a] : table)
    if (a->life != Life::dead) {
      char site[64];
      snprintf(site, sizeof site, " (made at %p)", a->site);
      leaks.push_back(describe(*a) + site);
    }
}

void memory_reset() {
  for (const Device &d : S->devices)
    if (d.arena) {
      UNPOISON(d.arena, d.top - d.arena);
      munmap(reinterpret_cast<void *>(d.arena),
             arena_size); // (what alignment cut off stays reserved and costs nothing)
    }
  for (const auto &[base, a] : table)
    if (a->device < 0 && !a->registered) {
      const uintptr_t low = (base - red_zone) & ~(page - 1);
      const uintptr_t high = round_up(round_up(base + a->size, red_zone) + red_zone, page);
      UNPOISON(low, high - low);
      munmap(reinterpret_cast<void *>(low), high - low);
    }
  table.clear();
  quarantine.clear();
  quarantined = 0;
  open_now = false;
}

// Pinned memory has pages of its own.
cudaError_t host_alloc(void **out, size_t n, unsigned flags, const void *site) {
  *out = nullptr;
  if (strike(EMULATED_ALLOC)) return refuse(cudaErrorMemoryAllocation, "%zu bytes of pinned memory", n);
  if (!n) return cudaSuccess;
  const size_t room = round_up(red_zone + round_up(n, red_zone) + red_zone, page);
  void *m = mmap(nullptr, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (m == MAP_FAILED) return refuse(cudaErrorMemoryAllocation, "mmap");
  const uintptr_t base = uintptr_t(m) + red_zone;
  fill16(base - red_zone, red_zone, red_fill);
  fill16(base + n, round_up(base + n, red_zone) + red_zone - base - n, red_fill);
  POISON(base - red_zone, room);
  auto a = std::make_shared<Alloc>(Alloc{base, n, -1, flags, S->next_alloc++, Life::live, false, site});
  table[base] = a;
  fill_fresh(*a);
  *out = reinterpret_cast<void *>(base);
  return cudaSuccess;
}

cudaError_t host_register(void *p, size_t n, unsigned flags, const void *site) {
  if (where(p, 1).kind != Where::pageable) return refuse(cudaErrorHostMemoryAlreadyRegistered, "cudaHostRegister");
  table[address(p)] = std::make_shared<Alloc>(Alloc{address(p), n, -1, flags, S->next_alloc++, Life::live, true, site});
  return cudaSuccess;
}

} // namespace emulated
