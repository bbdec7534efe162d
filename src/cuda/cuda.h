/* The CUDA module, as its files see each other.
 *
 *   module.c    the one entry; opening and closing a device
 *   memory.c    device memory, copies
 *   stream.c    streams and events; what went wrong, and in which op
 *   capture.c   work that is recorded and done again
 *   engine.c    what engines share: candidates, plan states
 *   FAMILY.c    the engines of a family of ops: rows that call the launchers of kernels/FAMILY.h
 *
 * The module links no object of the core; what it needs comes through `cuda_host` and the inline functions below. */
#ifndef LAMINA_CUDA_CUDA_H
#define LAMINA_CUDA_CUDA_H

#include <cuda_runtime_api.h>
#include <stdatomic.h>
#include <string.h>

#include "kernels/cast.h"
#include "kernels/launch.h"
#include "lamina/module.h"

/* What the core offers; set when the module is opened, and the same for as long as it is loaded. */
extern const lamina_host *cuda_host;

/* ---- Devices and streams ---------------------------------------------------------------------------------------- */

typedef struct cuda_device {
  lamina_device *device;
  int index;
  int multiprocessors;
  size_t shared_memory;      /* bytes that a block may have, with opting in */
  double bandwidth, flops;   /* bytes and f32 operations per second, from the device's clocks */
  bool synchronous;          /* LAMINA_CUDA_SYNC: every op is waited for, so that an error names it */
  cudaMemPool_t pool;        /* where device memory comes from */
  cudaStream_t memory;       /* what is allocated and freed is in its order */
  _Atomic(cudaError_t) lost; /* an error that stays: everything is refused from then on */
} cuda_device;

typedef struct cuda_stream {
  cuda_device *device;
  cudaStream_t stream;
  bool wrapped;             /* the program's own */
  const char *first, *last; /* the ops since it was last waited for */
  int64_t ops;
} cuda_stream;

static inline cuda_device *cuda_device_of(const lamina_device *device) { return cuda_host->device_state(device); }
/* The CUDA stream that an engine's `run` queues its work on. */
static inline cudaStream_t cuda_stream_of(const lamina_stream *stream) {
  return ((const cuda_stream *)cuda_host->stream_state(stream))->stream;
}

/* Makes the device current for this thread. DEVICE where it is lost. */
lamina_status cuda_enter(cuda_device *device);
/* OK for cudaSuccess; else the status and the sentence "WHAT: CUDA's own words". Remembers an error that stays. */
lamina_status cuda_check(cuda_device *device, cudaError_t error, const char *what);

lamina_status cuda_memory_open(cuda_device *device);
void cuda_memory_close(cuda_device *device);

/* The module's entry where it is linked into a program, as liblamina-cuda.a; entry.c has it for the shared library. */
LAMINA_API lamina_module_open_fn lamina_cuda_module_open;

/* The functions of lamina_module. */
lamina_status cuda_alloc(void *state, size_t size, void **memory);
void cuda_free(void *state, void *memory, size_t size);
lamina_status cuda_copy(void *state, void *stream, void *to, const void *from, size_t size);
lamina_status cuda_copy_async(void *state, void *stream, void *to, const void *from, size_t size);
lamina_status cuda_pinned_alloc(void *state, size_t size, void **memory);
void cuda_pinned_free(void *state, void *memory, size_t size);
lamina_status cuda_memory_left(void *state, size_t *left);
lamina_status cuda_memory_of(void *state, const void *pointer, lamina_memory *memory);
lamina_status cuda_stream_open(void *state, void **stream);
lamina_status cuda_stream_wrap(void *state, void *native, void **stream);
void cuda_stream_close(void *state, void *stream);
lamina_status cuda_stream_sync(void *state, void *stream);
lamina_status cuda_run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream);
lamina_status cuda_event_open(void *state, void **event);
void cuda_event_close(void *state, void *event);
lamina_status cuda_event_record(void *state, void *event, void *stream);
lamina_status cuda_event_wait(void *state, void *stream, void *event);
lamina_status cuda_event_sync(void *state, void *event);
lamina_status cuda_event_done(void *state, void *event, bool *done);
lamina_status cuda_event_open_timed(void *state, void **event);
lamina_status cuda_event_seconds(void *state, void *from, void *to, double *seconds);
lamina_status cuda_capture_begin(void *state, void *stream);
lamina_status cuda_capture_end(void *state, void *stream, void **capture);
lamina_status cuda_capture_run(void *state, void *stream, void *capture);
void cuda_capture_close(void *state, void *capture);

/* ---- For engines ------------------------------------------------------------------------------------------------ */

/* An engine's row, of our kernels; then .candidates, .run and what else it has. */
#define CUDA_ENGINE(name_, op_, strides_)                                                                              \
  .size = sizeof(lamina_engine), .abi = LAMINA_ENGINE_ABI, .device = "cuda", .name = (name_), .op = (op_),             \
  .strides = (strides_)

/* The one candidate, "", of an engine that is bound by memory and takes floating arguments that are all f32, all bf16 or
 * all f16, and any integers that its row takes. */
void cuda_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                     lamina_candidate_fn *each, void *context);
/* The same for an engine that moves elements of any type. */
void cuda_move_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                          lamina_candidate_fn *each, void *context);
/* Are the floating arguments one of the types that kernels take? If not, tells `each` why. */
bool cuda_takes(const lamina_problem *problem, lamina_candidate_fn *each, void *context);
/* Has every argument up to 2^31 - 1 elements? If not, tells `each` why. */
bool cuda_small(const lamina_problem *problem, lamina_candidate_fn *each, void *context);
/* Both. */
bool cuda_takes_small(const lamina_problem *problem, lamina_candidate_fn *each, void *context);
/* Seconds for this much work on the device: what takes longest, and the launch. */
double cuda_seconds(lamina_device *device, double flops, double bytes);
/* Bytes of all arguments. */
double cuda_bytes(const lamina_problem *problem);

/* What a launcher returned, as a status: the op and CUDA's own words. */
lamina_status cuda_launched(const lamina_plan *plan, int error);

/* A state of `size` bytes for the plan, zeroed, which cuda_release frees. */
void *cuda_state(lamina_plan *plan, size_t size);
void cuda_release(lamina_plan *plan);

/* ---- What the core has as functions, for a module that doesn't link it -------------------------------------------- */

static inline const void *cuda_attr(const lamina_problem *problem) { return problem->attr; }

static inline size_t cuda_size_of(int32_t dtype) {
  switch (dtype) {
#define X(name, bytes, floating, u)                                                                                    \
  case LAMINA_##name: return bytes;
    LAMINA_DTYPE_MAP(X)
#undef X
  }
  return 0;
}

static inline int64_t cuda_count(const lamina_desc *desc) {
  int64_t count = 1;
  for (int d = 0; d < desc->rank; d++) count *= desc->dims[d];
  return count;
}

/* The product of dims first … last - 1. */
static inline int64_t cuda_span(const lamina_desc *desc, int first, int last) {
  int64_t count = 1;
  for (int d = first; d < last; d++) count *= desc->dims[d];
  return count;
}

static inline bool cuda_present(const lamina_desc *desc) { return desc->dtype != LAMINA_NONE; }

/* Of any type. */
static inline kernel_element cuda_element(const lamina_desc *desc) {
  switch (desc->dtype) {
#define X(name)                                                                                                        \
  case LAMINA_##name: return KERNEL_ELEMENT_##name;
    KERNEL_ELEMENTS(X)
#undef X
  }
  return KERNEL_ELEMENT_F32;
}

/* For one of the types that cuda_takes lets through. */
static inline kernel_type cuda_type(const lamina_desc *desc) {
  return desc->dtype == LAMINA_BF16 ? KERNEL_BF16 : desc->dtype == LAMINA_F16 ? KERNEL_F16 : KERNEL_F32;
}

#endif
