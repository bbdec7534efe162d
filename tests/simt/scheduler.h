// What the parts of the SIMT emulation share: the state of the launch that runs.
#ifndef SIMT_SCHEDULER_H
#define SIMT_SCHEDULER_H

#include <map>
#include <string>
#include <vector>

#include "simt.h"
#undef threadIdx
#undef blockIdx
#undef blockDim
#undef gridDim

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define SIMT_ASAN 1
#endif

namespace simt {

// ---- Fibers (fiber.cpp) ---------------------------------------------------------------------------------------------
struct Fiber {
  void *sp = nullptr;
  const char *bottom = nullptr;
  size_t size = 0;
  void *fake = nullptr; // ASan's fake stack while switched out
};
// A fiber that starts in `entry`, or one that was given back, which goes on where it was.
Fiber *take_fiber(void (*entry)());
void give_back(Fiber *fiber);
void jump(Fiber *from, Fiber *to);
// First thing in `entry`.
void entered();
// From a fiber whose frames nobody will return to.
[[noreturn]] void abandon();
// After that: the stacks are not usable as they are.
void drop_fibers();
Fiber *host_fiber();

// ---- Blocks ---------------------------------------------------------------------------------------------------------
enum State : unsigned { NEW, READY, BLOCKED, DONE };

struct CopyInFlight {
  void *to;
  uint32_t group;
  uint8_t size;
  bool done;
  unsigned char data[16];
};
struct Collective {
  unsigned mask, have;
  const char *what, *file;
  int line;
  void *lane[32];
  WarpFn all;
};
struct Warp {
  Collective collective[32]; // by the lowest lane of the mask
  unsigned live, epoch;      // epoch: barriers of the whole warp so far
};
struct StaticVar {
  const void *tag;
  char *p;
  size_t size;
  const char *name;
};
struct BlockRace {
  uint32_t interval = 0, uid = 0;
};
struct Block {
  Dims dims;
  BlockRace race;
  unsigned threads = 0, live = 0, arrived = 0;
  unsigned votes = 0, yes = 0, voters = 0; // of the barrier that gathers, and of the last one
  const char *barrier_file = nullptr;
  int barrier_line = 0;
  std::vector<Warp> warps;
  std::vector<unsigned> waiting;                 // threads, by index
  std::vector<std::vector<CopyInFlight>> copies; // by thread
  std::vector<StaticVar> vars;
  char *arena = nullptr, *dynamic = nullptr;
  size_t used = 0, dynamic_size = 0, static_size = 0;
};

// ---- The scheduler (scheduler.cpp) ----------------------------------------------------------------------------------
uint64_t next_random();
// The current thread waits; others run.
void wait_here(const char *what, const char *file, int line);
void make_ready(unsigned thread);
unsigned index_of(const Thread *thread);
inline Block &block() { return *current->block; }

// ---- Shared memory (shared.cpp) -------------------------------------------------------------------------------------
constexpr size_t arena_size = 256 * 1024 + 16 * 1024; // 227 KiB and red zones
char *new_arena();
void start_shared(Block &b, char *arena, size_t dynamic_size);
// What lies there, for reports; NULL where nothing does.
const char *shared_name(const void *p, size_t *offset);

// ---- The race detector (race.cpp, or no_race.cpp) -------------------------------------------------------------------
// Where an operation stands in a queue. Operations of one chain follow each other; `known` says of each chain up to which
// number it is over by then. Outside of a queue (no chain) everything before is over.
using Known = std::map<int, uint64_t>;
struct QueuePlace {
  int chain = -1;
  uint64_t number = 0;
  const Known *known = nullptr;
};
void race_place(const QueuePlace &place); // of what runs next
void race_launch(const char *name);       // a kernel, or a copy, begins
void race_block_start(BlockRace &b, const void *arena, size_t size);
void race_block_barrier(BlockRace &b);
void race_grid_barrier();
void race_access(const void *p, size_t size, Access access); // by what is no kernel
void race_release(const void *p, size_t size);               // whose use must be over, and which is never used again
void race_finish(const char *name);                          // throws Error when there were races
void race_ignore(const void *p, size_t size);
void race_forget(); // all memory is new
inline unsigned warp_epoch() { return block().warps[current->warp].epoch; }

} // namespace simt

namespace emulated {
// "byte 8 of device allocation #3 of 32 bytes", for reports.
std::string name_of(const void *p);
} // namespace emulated
#endif
