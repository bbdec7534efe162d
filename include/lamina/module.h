/* Modules and plug-ins: what is loaded at run time.
 *
 * A module brings a kind of device, liblamina-KIND.so, with one function, lamina_module_open. A plug-in brings engines
 * to a device that is there, with one function, lamina_plugin_open; lamina_plugin_load and `--plugin my.so` load it.
 * Neither links an object of the core: what they need comes through lamina_host. What a module gives is a lamina_module;
 * the built-in CPU device fills in the same struct. */
#ifndef LAMINA_MODULE_H
#define LAMINA_MODULE_H

#include "lamina/engine.h"
#include "lamina/tune.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The number of this interface: what lamina_host.abi and lamina_module.abi say. */
#define LAMINA_MODULE_ABI 1u

/** What the core offers to a module or plug-in. It grows at its end: check that abi is LAMINA_MODULE_ABI and that size is
 *  at least sizeof(lamina_host). size, abi and error stay where they are in every ABI. */
struct lamina_host {
  uint32_t size, abi; /**< sizeof(lamina_host), LAMINA_MODULE_ABI of the library */
  /** lamina_error: sets the thread's error sentence and returns the status. */
  lamina_status (*error)(lamina_status status, const char *format, ...);
  /** Tells the log function in the device's options, if there is one. */
  void (*log)(lamina_device *device, lamina_log_level level, const char *message);
  void *(*alloc)(lamina_device *device, size_t size);             /**< lamina_host_alloc */
  void (*free)(lamina_device *device, void *memory, size_t size); /**< lamina_host_free */
  void *(*device_state)(const lamina_device *device);             /**< what the module's `open` gave */
  void *(*stream_state)(const lamina_stream *stream);             /**< what the module's `stream_open` gave */
  const lamina_op_def *(*op_at)(int id);                          /**< lamina_op_at */
  /** lamina_engine_register */
  lamina_status (*engine_register)(lamina_device *device, const lamina_engine *engine);
};

/** What a kind of device is. `state` is what `open` gave; streams likewise. */
struct lamina_module {
  uint32_t size, abi;                  /**< sizeof(lamina_module), LAMINA_MODULE_ABI of the module */
  const char *kind;                    /**< "cpu", "cuda" */
  lamina_memory memory;                /**< what its tensors lie in */
  const lamina_engine *const *engines; /**< NULL-terminated */
  /** Opens device `index`; `about` is one line for people. */
  lamina_status (*open)(lamina_device *device, int index, void **state, char *about, size_t about_size);
  void (*close)(void *state);                                      /**< after all that was opened on it */
  lamina_status (*alloc)(void *state, size_t size, void **memory); /**< of the device; 64-byte aligned, size above 0 */
  void (*free)(void *state, void *memory, size_t size);            /**< what `alloc` gave, and how large it was */
  /** Between any two kinds of memory, in stream order; returns when the bytes have arrived. */
  lamina_status (*copy)(void *state, void *stream, void *to, const void *from, size_t size);
  lamina_status (*stream_open)(void *state, void **stream); /**< *stream is what the calls below get */
  void (*stream_close)(void *state, void *stream);          /**< its work is done */
  lamina_status (*stream_sync)(void *state, void *stream);  /**< waits until its work is done */
  /** Runs plan->engine->run with the device made current for this thread. */
  lamina_status (*run)(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream);

  /* For devices that work beside the host. Where these are NULL, copies are done at return, memory of the host is as good
   * as pinned, and events have always come. */
  lamina_status (*pinned_alloc)(void *state, size_t size, void **memory); /**< host memory that copies read in place */
  void (*pinned_free)(void *state, void *memory, size_t size);            /**< what pinned_alloc gave */
  /** Queues a copy; pinned memory is the queue's until it is done. */
  lamina_status (*copy_async)(void *state, void *stream, void *to, const void *from, size_t size);
  /** `pointer` points into memory of this kind; of what it doesn't know it says HOST. */
  lamina_status (*memory_of)(void *state, const void *pointer, lamina_memory *memory);
  lamina_status (*stream_wrap)(void *state, void *native,
                               void **stream);            /**< a stream of the program's; closed: not freed */
  lamina_status (*event_open)(void *state, void **event); /**< one that has come */
  void (*event_close)(void *state, void *event);          /**< nobody waits for it */
  lamina_status (*event_record)(void *state, void *event,
                                void *stream); /**< it comes when what is in the stream is done */
  lamina_status (*event_wait)(void *state, void *stream, void *event); /**< what comes into the stream waits for it */
  lamina_status (*event_sync)(void *state, void *event);               /**< the host waits for it */
  lamina_status (*event_done)(void *state, void *event, bool *done);   /**< has it come? doesn't wait */

  /* What is NULL here isn't known, or there is none of it. Times of a device without events are those of the host's clock. */
  void (*limits)(void *state, lamina_limits *limits);           /**< fills in what it knows of a struct of zeros */
  lamina_status (*event_open_timed)(void *state, void **event); /**< for event_seconds; else as event_open's */
  /** Between two that have come. */
  lamina_status (*event_seconds)(void *state, void *from, void *to, double *seconds);

  /* For devices that can record the work that is put into a stream and do all of it again at one call; else NULL. */
  lamina_status (*capture_begin)(void *state, void *stream); /**< what follows is recorded, not done */
  /** Ends it and gives what was recorded; *capture NULL: drops it. */
  lamina_status (*capture_end)(void *state, void *stream, void **capture);
  lamina_status (*capture_run)(void *state, void *stream, void *capture); /**< queues all of it */
  void (*capture_close)(void *state, void *capture);                      /**< no run of it is pending */

  /** Bytes of its memory that alloc could still give, all together. NULL: nobody knows. */
  lamina_status (*memory_left)(void *state, size_t *left);

  /* What the device does at best, for estimates; NULL: nobody knows. */
  void (*reckon)(void *state, lamina_roofline *roofline);           /**< from what it says of itself */
  lamina_status (*measure)(void *state, lamina_roofline *roofline); /**< measured, in a moment */
};

/* The one symbol of a module is lamina_module_open, a lamina_module_open_fn: checks host->abi, fills *module. A module can
 * be linked into a program, too, which then gives the entry to lamina_device_open in its options. That of our CUDA module
 * is in liblamina-cuda.a (pkg-config lamina-cuda, Lamina::lamina_cuda_static), by another name since programs may link
 * several:
 *
 *   extern lamina_module_open_fn lamina_cuda_module_open;
 *   lamina_device_options options = {.module = lamina_cuda_module_open};
 *   lamina_device_open("cuda:0", &options, &device); */

/** The one symbol of a plug-in: checks host->abi and host->size and registers its engines for `device`. What it may keep
 *  is `host`. A status that is not OK, with its sentence by host->error, is a refusal: nothing of it stays. */
typedef lamina_status lamina_plugin_open_fn(const lamina_host *host, lamina_device *device);

#ifdef __cplusplus
}
#endif
#endif
