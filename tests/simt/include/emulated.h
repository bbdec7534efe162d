/* What a test may ask of the emulated device. Code under test never includes this.
 *
 *   const emulated_control *device = emulated_device_control();      // linked in, or by dlsym from liblamina-cuda.so
 *   device->reset(seed, 1, 64 << 20);
 *   device->fail(EMULATED_ALLOC, 3);                                 // the third allocation from now on
 *   … run …
 *   EXPECT_STREQ(device->take_reports(), "");
 *   EXPECT_STREQ(device->leaks(), "");
 *
 * A process that never asks is told on stderr. It exits with 86 where something was reported that nobody took, and with 87
 * where something leaked. The environment: EMULATED_SEED, EMULATED_DEVICES, EMULATED_MEMORY (bytes), EMULATED_FAIL
 * (alloc:3), EMULATED_DRIVER (its CUDA version, 12040; 0: none), EMULATED_CLOCKS=0 (which it doesn't tell),
 * EMULATED_VERBOSE=1 (why a call was refused), EMULATED_LEAKS=0, EMULATED_COUNTS=1 (at exit). */
#ifndef EMULATED_H
#define EMULATED_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum emulated_fault {
  EMULATED_ALLOC,  /* an allocation of device or pinned memory, or a graph's instantiation: out of memory */
  EMULATED_LAUNCH, /* a launch: an error of the call */
  EMULATED_COPY,   /* a copy or memset: an error of the call */
  EMULATED_RUN,    /* an operation, when it runs: an illegal access, which stays */
  EMULATED_LOST    /* an operation, when it runs: the device goes, for good */
} emulated_fault;

/* How many of each there were since the last reset. waits: of the host for a stream, the device, or a copy that it asked to
 * wait for; events, by which it can wait for older work, are not among them. */
typedef struct emulated_counts {
  uint64_t allocs, launches, copies, runs, waits;
} emulated_counts;

typedef struct emulated_control {
  uint32_t size; /* sizeof(emulated_control) */
  /* Forgets everything (memory, streams, errors, faults, reports) and starts anew. The order in which queued work runs
   * respects streams and events and nothing else. Seed 0: only what is waited for, as late as possible. 1: at once. 2, 3:
   * one stream after another, and reversed. From 4 on: a random ranking of the streams, which changes now and then; even
   * seeds run nothing before they must. */
  void (*reset)(unsigned seed, int devices, size_t memory);
  /* The n-th event of that kind from now on fails; 0: none does. */
  void (*fail)(emulated_fault fault, unsigned n);
  int (*fault_struck)(void); /* whether that has happened */
  emulated_counts (*counts)(void);
  /* Wrong uses that were noticed since they were last taken, a line each. Valid until the next call. */
  const char *(*take_reports)(void);
  /* Live memory, streams, events and graphs, and queued work that nobody waited for, a line each. Likewise. */
  const char *(*leaks)(void);
  /* Whether cudaFree waits for the device first, as drivers do and nobody promises. Off. */
  void (*free_waits)(int yes);
  /* Whether kernels' races are told: only the library that was built for it can. */
  int (*detects_races)(void);
  /* From now on, until the next reset, launches, copies and fills are only written down: they may name any address, and
   * nothing runs. Grids are as large as on the GPU. */
  void (*only_record)(void);
  /* What was written down since it was last taken, a line each: "scatter<T> <<<12x3, 256, 4096>>>(128, 5, {3f0c11ab})",
   * with those arguments that are integers and digests of structs of integers, "copy 4096", "fill 64". Valid until the next
   * call. */
  const char *(*take_records)(void);
} emulated_control;

const emulated_control *emulated_device_control(void);

#ifdef __cplusplus
}
#endif
#endif
