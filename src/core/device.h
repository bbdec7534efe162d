/* Devices and streams, as the core sees them.
 *
 *   lamina_device ── module: what kind of device it is (memory, streams, how to run)
 *                 ├─ engines: built-in rows, then registered ones
 *                 ├─ overrides: what LAMINA_ENGINE asks for
 *                 ├─ plans: the bounded cache (plan.c)
 *                 └─ stream: its own; each stream owns the workspace of the simple path */
#ifndef LAMINA_CORE_DEVICE_H
#define LAMINA_CORE_DEVICE_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/base.h"
#include "lamina/module.h"

struct lamina_stream {
  lamina_device *device;
  void *state; /* the module's */
  atomic_flag busy;
  void *workspace;
  size_t workspace_size;
};

/* "conv/forward:onednn": what LAMINA_ENGINE asks for, by prefix of whole parts. */
typedef struct lamina_override {
  char op[64], engine[64];
} lamina_override;

struct lamina_device {
  char name[32], about[192];
  lamina_module module;
  void *library; /* of a loaded module */
  void *state;   /* the module's */
  lamina_allocator allocator;
  lamina_log_fn *log;
  void *log_user;
  int threads;
  const lamina_engine **engines;
  int engine_count;
  lamina_override *overrides;
  int override_count;
  lamina_stream stream;
  atomic_size_t memory_now, memory_most;
  struct lamina_plan_cache *plans;
};

/* The built-in CPU module. */
lamina_status lamina_cpu_module(const lamina_host *host, lamina_module *module);

const lamina_allocator *lamina_device_allocator(const lamina_device *device);
void lamina_log(lamina_device *device, lamina_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Is `prefix` equal to `name`, or to its first parts ("conv" of "conv/forward")? */
bool lamina_part_of(const char *prefix, const char *name);

#endif
