/* Modules: a kind of device that is loaded at run time, liblamina-KIND.so.
 *
 * A module exports one function, lamina_module_open, and links no object of the core: what it needs comes through
 * lamina_host, what it gives is a lamina_module. The built-in CPU device fills in the same struct. */
#ifndef LAMINA_MODULE_H
#define LAMINA_MODULE_H

#include "lamina/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LAMINA_MODULE_ABI 1u

/** What the core offers to a module. */
typedef struct lamina_host {
  uint32_t size, abi; /**< sizeof(lamina_host), LAMINA_MODULE_ABI */
  lamina_status (*error)(lamina_status status, const char *format, ...);
  void (*log)(lamina_device *device, lamina_log_level level, const char *message);
  void *(*alloc)(lamina_device *device, size_t size);
  void (*free)(lamina_device *device, void *memory, size_t size);
  void *(*device_state)(const lamina_device *device); /**< what the module's `open` gave */
  void *(*stream_state)(const lamina_stream *stream); /**< what the module's `stream_open` gave */
  const lamina_op_def *(*op_at)(int id);
} lamina_host;

/** What a kind of device is. `state` is what `open` gave; streams likewise. */
typedef struct lamina_module {
  uint32_t size, abi;
  const char *kind;                    /**< "cpu", "cuda" */
  lamina_memory memory;                /**< what its tensors lie in */
  const lamina_engine *const *engines; /**< NULL-terminated */
  /** Opens device `index`; `about` is one line for people. */
  lamina_status (*open)(lamina_device *device, int index, void **state, char *about, size_t about_size);
  void (*close)(void *state);
  lamina_status (*alloc)(void *state, size_t size, void **memory);
  void (*free)(void *state, void *memory, size_t size);
  lamina_status (*copy)(void *state, void *stream, void *to, const void *from, size_t size);
  lamina_status (*stream_open)(void *state, void **stream);
  void (*stream_close)(void *state, void *stream);
  lamina_status (*stream_sync)(void *state, void *stream);
  /** Runs plan->engine->run with the device made current for this thread. */
  lamina_status (*run)(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream);
} lamina_module;

/** The one symbol of a module: checks host->abi, fills *module. */
typedef lamina_status lamina_module_open_fn(const lamina_host *host, lamina_module *module);

#ifdef __cplusplus
}
#endif
#endif
