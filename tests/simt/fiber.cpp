// Fibers: stacks with a guard page each, and a switch of 3.6 ns. They are kept for the next launch.
#include <sys/mman.h>

#include "scheduler.h"

#if !defined(__x86_64__)
#error "simt_switch has to be ported to this CPU: it saves what the ABI says a function keeps, and changes stacks"
#endif

extern "C" {
void simt_switch(void **save, void *to) __attribute__((visibility("hidden")));
}
asm(R"(.text
.globl simt_switch
.hidden simt_switch
.type simt_switch,@function
simt_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp,(%rdi)
  movq %rsi,%rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  popq %rdx
  jmp *%rdx
.size simt_switch,.-simt_switch
)");

namespace simt {
namespace {

constexpr size_t max_fibers = 8192, page = 4096;
#ifdef SIMT_ASAN
constexpr size_t stack_size = 256 * 1024; // its frames are several times larger
#else
constexpr size_t stack_size = 64 * 1024;
#endif

char *slab;
size_t made;
Fiber host;
struct Pool {
  std::vector<Fiber *> all, parked;
};
Pool &pool() {
  static Pool *const p = new Pool; // stays until the process ends, as its stacks do
  return *p;
}

} // namespace

Fiber *host_fiber() { return &host; }

void give_back(Fiber *fiber) { pool().parked.push_back(fiber); }

Fiber *take_fiber(void (*entry)()) {
  std::vector<Fiber *> &parked = pool().parked;
  if (!parked.empty()) {
    Fiber *f = parked.back();
    parked.pop_back();
    return f;
  }
  if (!slab) {
    void *p = mmap(nullptr, max_fibers * stack_size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) fail("there is no room for the stacks of %zu threads", max_fibers);
    slab = static_cast<char *>(p);
    race_ignore(slab, max_fibers * stack_size);
  }
  if (made == max_fibers) fail("more than %zu threads wait at once", max_fibers);
  char *bottom = slab + made * stack_size;
  mprotect(bottom, page, PROT_NONE);
  const size_t colour = made % 64 * 64; // spreads the tops over the sets of the cache
  made++;
  void **top = reinterpret_cast<void **>(bottom + stack_size - 64 - colour);
  *--top = nullptr; // where `entry` would return to
  *--top = reinterpret_cast<void *>(entry);
  for (int i = 0; i < 6; i++) *--top = nullptr;
  pool().all.push_back(new Fiber{top, bottom, stack_size, nullptr});
  return pool().all.back();
}

// ASan wants to know every switch, and tells where we came from: of the host's stack only that way do we learn the size.
static void arrived([[maybe_unused]] Fiber *self) {
#ifdef SIMT_ASAN
  const void *bottom;
  size_t size;
  __sanitizer_finish_switch_fiber(self ? self->fake : nullptr, &bottom, &size);
  const char *b = static_cast<const char *>(bottom);
  if (b < slab || b >= slab + max_fibers * stack_size) {
    host.bottom = b;
    host.size = size;
  }
#endif
}

void entered() { arrived(nullptr); }

void jump(Fiber *from, Fiber *to) {
#ifdef SIMT_ASAN
  __sanitizer_start_switch_fiber(&from->fake, to->bottom, to->size);
#endif
  simt_switch(&from->sp, to->sp);
  arrived(from);
}

void abandon() {
  Fiber dead;
#ifdef SIMT_ASAN
  __sanitizer_start_switch_fiber(nullptr, host.bottom, host.size);
#endif
  simt_switch(&dead.sp, host.sp);
  __builtin_unreachable();
}

void drop_fibers() {
#ifdef SIMT_ASAN
  if (slab) __asan_unpoison_memory_region(slab, made * stack_size);
#endif
  for (Fiber *f : pool().all) delete f;
  pool().all.clear();
  pool().parked.clear();
  made = 0;
}

} // namespace simt
