// Shared memory, and cp.async into it. A block's arena is poisoned but for its variables, which have red zones between
// them (a static array in a template would get none from the compiler) and start as NaN.
#include "scheduler.h"

#include <cstdlib>

namespace simt {
namespace {

constexpr size_t red_zone = 64, static_limit = 48 * 1024, limit = 227 * 1024;

char *take(Block &b, size_t size) {
  char *p = b.arena + b.used;
  const size_t room = (size + red_zone + 127) & ~size_t{127};
  if (b.used + room > arena_size) fail("the emulation's arena for shared memory is full");
  b.used += room;
#ifdef SIMT_ASAN
  __asan_unpoison_memory_region(p, size);
#endif
  memset(p, 0xff, size);
  return p;
}

} // namespace

char *new_arena() { return static_cast<char *>(aligned_alloc(1024, arena_size)); }

void start_shared(Block &b, char *arena, size_t dynamic_size) {
  b.arena = arena;
  b.vars.clear();
  b.static_size = 0;
  b.dynamic_size = dynamic_size;
  b.used = 128; // 128-byte alignment is what dynamic shared memory is promised, and gets no more
#ifdef SIMT_ASAN
  __asan_poison_memory_region(arena, arena_size);
#endif
  b.dynamic = dynamic_size ? take(b, dynamic_size) : nullptr;
}

void *shared_static(const void *tag, size_t size, const char *name) {
  Block &b = block();
  for (const StaticVar &v : b.vars)
    if (v.tag == tag) return v.p;
  b.static_size += size;
  if (b.static_size > static_limit)
    fail("%zu bytes of static shared memory at '%s': 48 KiB are the most", b.static_size, name);
  if (b.static_size + b.dynamic_size > limit)
    fail("%zu bytes of shared memory at '%s': 227 KiB are the most", b.static_size + b.dynamic_size, name);
  b.vars.push_back({tag, take(b, size), size, name});
  return b.vars.back().p;
}

uint32_t shared_offset(const void *p) {
  const Block &b = block();
  const char *c = static_cast<const char *>(p);
  if (c < b.arena || c >= b.arena + arena_size) fail("%p is not an address of shared memory", p);
  return static_cast<uint32_t>(c - b.arena);
}

void *shared_at(uint32_t offset) { return block().arena + offset; }

const char *shared_name(const void *p, size_t *offset) {
  if (!current) return nullptr;
  const Block &b = block();
  const char *c = static_cast<const char *>(p);
  for (const StaticVar &v : b.vars)
    if (c >= v.p && c < v.p + v.size) {
      *offset = static_cast<size_t>(c - v.p);
      return v.name;
    }
  if (!b.dynamic || c < b.dynamic || c >= b.dynamic + b.dynamic_size) return nullptr;
  *offset = static_cast<size_t>(c - b.dynamic);
  return "dynamic shared memory";
}

// A copy takes effect at the wait, at once, or by a toss of a coin.
void cp_async(void *to, const void *from, unsigned size, unsigned bytes, const char *file, int line) {
  if ((reinterpret_cast<uintptr_t>(to) | (bytes ? reinterpret_cast<uintptr_t>(from) : 0)) & (size - 1))
    fail("cp.async at %s:%d: an address is not aligned to %u bytes", file, line, size);
  if (bytes > size) fail("cp.async at %s:%d: %u of %u bytes", file, line, bytes, size);
  shared_offset(to);
  const void *pc = __builtin_return_address(0);
  CopyInFlight copy{to, current->group, static_cast<uint8_t>(size), false, {}};
  if (bytes) {
    note(from, bytes, Access::read, pc);
    memcpy(copy.data, from, bytes);
  }
  unsigned char probe[16]; // so that ASan sees a destination out of bounds here
  memcpy(probe, to, size);
  asm volatile("" ::"r"(probe) : "memory");
  note(to, size, Access::write, pc);
  if (config.async == Async::early || (config.async == Async::random && (next_random() >> 20 & 1))) {
    memcpy(to, copy.data, size);
    copy.done = true;
  }
  block().copies[current->rank].push_back(copy);
}

void cp_async_commit() { current->group++; }

void cp_async_wait(unsigned keep) {
  std::vector<CopyInFlight> &copies = block().copies[current->rank];
  size_t kept = 0;
  for (const CopyInFlight &c : copies) {
    if (c.group + keep >= current->group) {
      copies[kept++] = c;
    } else if (!c.done) {
      note(c.to, c.size, Access::write, __builtin_return_address(0));
      memcpy(c.to, c.data, c.size);
    }
  }
  copies.resize(kept);
}

void load(void *to, const void *from, size_t size) { memcpy(to, from, size); }
void store(void *to, const void *from, size_t size) { memcpy(to, from, size); }

} // namespace simt
