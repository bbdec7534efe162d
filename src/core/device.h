/* Devices and streams, as the core sees them.
 *
 *   lamina_device ── module: what kind of device it is (memory, streams, how to run)
 *                 ├─ engines: built-in rows, then registered ones (engines.c)
 *                 ├─ plug-ins: the libraries that brought some of them
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

typedef struct lamina_plugin {
  void *library;
  char *path;       /* as it was given */
  int first, count; /* its engines in the device's table */
} lamina_plugin;

struct lamina_device {
  char name[32], about[192];
  lamina_module module;
  void *library; /* of a loaded module */
  void *state;   /* the module's */
  lamina_allocator allocator;
  lamina_log_fn *log;
  void *log_user;
  int threads;
  lamina_roofline roofline; /* what estimates are shares of; all zero where nobody knows */
  const lamina_engine **engines;
  int engine_count, own_engines; /* of them so many came with the device */
  lamina_plugin *plugins;
  int plugin_count;
  lamina_override *overrides;
  int override_count;
  atomic_bool settled; /* plans were made: engines and overrides stay as they are */
  lamina_stream stream;
  atomic_size_t memory_now, memory_most;
  struct lamina_tuning *tuning; /* what is known of problems that were timed; NULL: nothing */
  struct lamina_plan_cache *plans;
};

/* What modules and plug-ins get. */
extern const lamina_host lamina_core_host;

/* The built-in CPU module. */
lamina_status lamina_cpu_module(const lamina_host *host, lamina_module *module);

/* INVALID, naming the function `who`, for a stream of another device; NULL is fine. */
lamina_status lamina_stream_check(const lamina_device *device, const lamina_stream *stream, const char *who);
/* Its work must be done. */
void lamina_stream_drop_workspace(lamina_stream *stream);

/* Captures: the work that is put into the device's own stream between begin and end is recorded; a capture does all of it
 * again. What was captured must stay: plans, memory. Only where lamina_captures says that the device can. */
bool lamina_captures(const lamina_device *device);
lamina_status lamina_capture_begin(lamina_device *device);
/* `capture` NULL: drops what was recorded. */
lamina_status lamina_capture_end(lamina_device *device, void **capture);
lamina_status lamina_capture_run(lamina_device *device, void *capture);
void lamina_capture_close(lamina_device *device, void *capture); /* NULL is fine */

const lamina_allocator *lamina_device_allocator(const lamina_device *device);
void lamina_log(lamina_device *device, lamina_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Takes "conv/forward:onednn,fc:ref" apart. Ops must exist; engines may still come until the table is settled. */
lamina_status lamina_engines_override(lamina_device *device, const char *text);
/* Before a device's first plan: the overrides name engines that are there, and from now on no engine may come. */
lamina_status lamina_engines_settle(lamina_device *device);
/* The plug-in that brought the engine of this name for this op; NULL: it came another way. */
const char *lamina_engines_plugin(const lamina_device *device, const char *name, const char *op);
void lamina_engines_close(lamina_device *device);

/* Is `prefix` equal to `name`, or to its first parts ("conv" of "conv/forward")? */
bool lamina_part_of(const char *prefix, const char *name);

#endif
