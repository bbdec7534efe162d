/* Devices, streams and memory.
 *
 * A device is where ops run: "cpu", "cuda:0" … It owns its engines, its plan cache and the workspace of the simple
 * path. Work on a device is asynchronous in the order of a stream; lamina_stream_sync or lamina_copy waits for it.
 * The CPU runs in the caller's thread, so there it is done when the call returns.
 *
 * Where a call takes a stream, NULL is the device's own.
 * Thread-safety: a device may be used from many threads; one stream, also the device's own, and one event from one at a
 * time. */
#ifndef LAMINA_DEVICE_H
#define LAMINA_DEVICE_H

#include "lamina/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/** An open device. */
typedef struct lamina_device lamina_device;
/** A queue of work on a device: what is put into it is done in that order. */
typedef struct lamina_stream lamina_stream;

/** Host memory of the library. Both calls may come from many threads. */
typedef struct lamina_allocator {
  void *(*alloc)(void *user, size_t size, size_t align); /**< at a multiple of `align`, a power of two; or NULL */
  void (*free)(void *user, void *memory, size_t size);   /**< what `alloc` gave, and how large it was */
  void *user;                                            /**< given to both */
} lamina_allocator;

/** How much a message matters. */
typedef enum lamina_log_level {
  LAMINA_LOG_INFO,   /**< good to know */
  LAMINA_LOG_WARNING /**< something is not as it should be, and goes on all the same */
} lamina_log_level;
/** Gets what a device has to say, a sentence without a newline: what it is, when it is opened, and what its module
 *  reports. `message` lives until the call returns. May be called from any thread that uses the device. */
typedef void lamina_log_fn(void *user, lamina_log_level level, const char *message);

/** What the core offers to a module; lamina/module.h. */
typedef struct lamina_host lamina_host;
/** What a kind of device is; lamina/module.h. */
typedef struct lamina_module lamina_module;
/** The entry of a module: checks host->abi, fills *module; lamina/module.h. */
typedef lamina_status lamina_module_open_fn(const lamina_host *host, lamina_module *module);

/** All zero: the defaults. */
typedef struct lamina_device_options {
  int threads; /**< CPU threads an op may use; 0: LAMINA_THREADS, else all that the process may use */
  const lamina_allocator *allocator; /**< copied; NULL: malloc */
  lamina_log_fn *log;                /**< NULL: silent */
  void *log_user;                    /**< given to `log` */
  const char *engine;                /**< as LAMINA_ENGINE: "conv/forward:onednn,fc:ref"; NULL: read LAMINA_ENGINE */
  int plan_cache;                    /**< plans kept for the simple path; 0: 256 */
  lamina_module_open_fn *module;     /**< the entry of a module that is linked into the program; NULL: see below */
  const char *tune_cache;            /**< the file of what tuning found out; "": none; NULL: see below */
  bool tune;                         /**< times the candidates of problems that the file doesn't know, and adds them */
  double tune_seconds;               /**< that timing the candidates of one problem takes, about; 0: 0.25 */
} lamina_device_options;

/** Opens "cpu", or "KIND:INDEX" through options->module, which must be of that kind, else through the module
 *  liblamina-KIND.so, which is looked for in $LAMINA_MODULE_PATH, beside liblamina and in the loader's path.
 *  Environment variables are read here, once; one that can't be understood is INVALID and the sentence lists the
 *  choices. Only an engine in LAMINA_ENGINE that nobody has is said by the first plan: it may still be registered.
 *  Without a name in `tune_cache` it is LAMINA_TUNE_CACHE's (lamina/tune.h), else there is none. What can't be read is an
 *  error, and with `tune` what can't be written.
 *  Errors: INVALID for a name or a variable that can't be understood; DEVICE where there is no such module (the
 *  sentence lists the paths tried), it is of another ABI, or there is no such device; OUT_OF_MEMORY. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_device_open(const char *name, const lamina_device_options *options,
                                                             lamina_device **device);
/** Plans, nets and streams of the device must be closed before. NULL is fine. */
LAMINA_API void lamina_device_close(lamina_device *device);

/** What it was opened as: "cpu", "cuda:0". It and lamina_device_about live as long as the device. */
LAMINA_API const char *lamina_device_name(const lamina_device *device);
/** One line for people: "2 threads, AVX-512, oneDNN 2.6.3". */
LAMINA_API const char *lamina_device_about(const lamina_device *device);
/** What a device's clocks and widths come to, and how large its memories are; 0: not known, as all of it for the CPU. What
 *  is reached is less. */
typedef struct lamina_limits {
  double flops;      /**< f32 operations a second; a multiply-add is two */
  double flops_tf32; /**< operations a second of products of tf32 factors */
  double flops_half; /**< operations a second of products of bf16 or f16 factors, added in f32 */
  double bandwidth;  /**< bytes a second from and to the device's memory */
  size_t cache;      /**< bytes of the last cache before that memory */
  size_t memory;     /**< bytes of that memory */
} lamina_limits;
/** Fills *limits. */
LAMINA_API void lamina_device_limits(const lamina_device *device, lamina_limits *limits);
/** CPU threads that an op on the device may use. */
LAMINA_API int lamina_device_threads(const lamina_device *device);

/** A stream beside the device's own, with workspace of its own. OUT_OF_MEMORY, DEVICE. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_stream_open(lamina_device *device, lamina_stream **stream);
/** Its work must be done: lamina_stream_sync. NULL is fine. */
LAMINA_API void lamina_stream_close(lamina_stream *stream);
/** Waits for all work on the stream. DEVICE when some of it failed. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_stream_sync(lamina_device *device, lamina_stream *stream);

/** A stream of the program's own, as the device's library has them (a cudaStream_t), as one of ours: what ops put into it
 *  is in order with the program's own work. Closing it leaves the program's stream. UNSUPPORTED on devices without such
 *  streams (the CPU); OUT_OF_MEMORY, DEVICE. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_stream_wrap(lamina_device *device, void *native,
                                                             lamina_stream **stream);

/** A place in the work of a stream, that other streams and the host can wait for. */
typedef struct lamina_event lamina_event;
/** An event that has come. OUT_OF_MEMORY, DEVICE. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_event_open(lamina_device *device, lamina_event **event);
/** No stream may still wait for it. NULL is fine. */
LAMINA_API void lamina_event_close(lamina_event *event);
/** It comes (again) when all work that is in the stream now is done. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_event_record(lamina_event *event, lamina_stream *stream);
/** What is put into the stream from now on waits for the event; the host doesn't. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_event_wait(lamina_event *event, lamina_stream *stream);
/** The host waits for it. DEVICE when some of the work before it failed. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_event_sync(lamina_event *event);
/** Whether it has come; doesn't wait. DEVICE as above. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_event_done(lamina_event *event, bool *done);

/** An event that keeps the time at which it comes, by the device's own clock; what an ordinary one does it does, a little
 *  slower. UNSUPPORTED where the device's events have no times; OUT_OF_MEMORY, DEVICE. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_event_open_timed(lamina_device *device, lamina_event **event);
/** The seconds from one timed event to another of the same device; both have come: lamina_event_sync. INVALID for events
 *  that have no times, weren't recorded or are of two devices; DEVICE. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_event_seconds(const lamina_event *from, const lamina_event *to,
                                                               double *seconds);

/** Memory of the device (of the CPU: from its allocator), 64-byte aligned, uninitialised. size 0 gives NULL. From any
 *  thread. OUT_OF_MEMORY, DEVICE. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_memory_alloc(lamina_device *device, size_t size, void **memory);
/** Gives it back, with the size that was asked for; no stream may still use it. NULL is fine. */
LAMINA_API void lamina_memory_free(lamina_device *device, void *memory, size_t size);
/** Copies in stream order between any two kinds of memory, which must not overlap; returns when the bytes have arrived.
 *  INVALID for NULL with a size, DEVICE. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_copy(lamina_device *device, void *to, const void *from, size_t size,
                                                      lamina_stream *stream);
/** Host memory that stays in place, so that the device's copies needn't wait for the host (on the CPU: from its allocator,
 *  like all other). Its tensors are LAMINA_MEMORY_PINNED. size 0 gives NULL. OUT_OF_MEMORY, DEVICE. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_pinned_alloc(lamina_device *device, size_t size, void **memory);
/** Gives it back, with the size that was asked for; no copy may still use it. NULL is fine. */
LAMINA_API void lamina_pinned_free(lamina_device *device, void *memory, size_t size);
/** As lamina_copy, but only queues the copy: host memory must be lamina_pinned_alloc's, and stay as it is until the copy is
 *  done. (On the CPU it is done at return.) */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_copy_async(lamina_device *device, void *to, const void *from,
                                                            size_t size, lamina_stream *stream);
/** Bytes that lamina_memory_alloc has handed out now, and at most at one time since the device was opened. NULL is fine
 *  for either. */
LAMINA_API void lamina_memory_used(const lamina_device *device, size_t *now, size_t *most);

#ifdef __cplusplus
}
#endif
#endif
