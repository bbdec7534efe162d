/* Streams, running, and what went wrong.
 *
 * CUDA tells of an error of a kernel at some later call. So a stream notes the first and the last op that were put into it
 * since it was waited for, and an error that shows then names that range. With LAMINA_CUDA_SYNC=1 every op is waited for. */
#include <stdio.h>

#include "cuda/cuda.h"

/* Errors after which the device's context is of no more use, by CUDA's own description of each. */
static bool stays(cudaError_t error) {
  switch (error) {
  case cudaErrorIllegalAddress:
  case cudaErrorIllegalInstruction:
  case cudaErrorMisalignedAddress:
  case cudaErrorInvalidAddressSpace:
  case cudaErrorInvalidPc:
  case cudaErrorHardwareStackError:
  case cudaErrorLaunchFailure:
  case cudaErrorLaunchTimeout:
  case cudaErrorAssert:
  case cudaErrorECCUncorrectable:
  case cudaErrorDevicesUnavailable:
  case cudaErrorNoDevice:
  case cudaErrorContained:
  case cudaErrorMpsClientTerminated: return true;
  default: return false;
  }
}

lamina_status cuda_check(cuda_device *device, cudaError_t error, const char *what) {
  if (error == cudaSuccess) return LAMINA_OK;
  (void)cudaGetLastError(); /* one that doesn't stay is told once */
  if (stays(error)) atomic_store(&device->lost, error);
  return cuda_host->error(error == cudaErrorMemoryAllocation ? LAMINA_OUT_OF_MEMORY : LAMINA_DEVICE, "cuda:%d: %s: %s",
                          device->index, what, cudaGetErrorString(error));
}

lamina_status cuda_enter(cuda_device *device) {
  const cudaError_t lost = atomic_load(&device->lost);
  if (lost)
    return cuda_host->error(LAMINA_DEVICE, "cuda:%d is lost since an error that stays: %s; close it and open it again",
                            device->index, cudaGetErrorString(lost));
  return cuda_check(device, cudaSetDevice(device->index), "making it this thread's device");
}

/* `native` NULL: a new stream. */
static lamina_status open_stream(cuda_device *device, cudaStream_t native, void **out) {
  const lamina_status status = cuda_enter(device);
  if (status) return status;
  cuda_stream *stream = cuda_host->alloc(device->device, sizeof *stream);
  if (!stream) return LAMINA_OUT_OF_MEMORY;
  *stream = (cuda_stream){.device = device, .stream = native, .wrapped = native != NULL};
  const cudaError_t error = native ? cudaSuccess : cudaStreamCreateWithFlags(&stream->stream, cudaStreamNonBlocking);
  if (error) {
    cuda_host->free(device->device, stream, sizeof *stream);
    return cuda_check(device, error, "opening a stream");
  }
  *out = stream;
  return LAMINA_OK;
}

lamina_status cuda_stream_open(void *state, void **stream) { return open_stream(state, NULL, stream); }
lamina_status cuda_stream_wrap(void *state, void *native, void **stream) { return open_stream(state, native, stream); }

void cuda_stream_close(void *state, void *stream_) {
  cuda_device *device = state;
  cuda_stream *stream = stream_;
  (void)cudaSetDevice(device->index);
  if (!stream->wrapped) (void)cudaStreamDestroy(stream->stream);
  cuda_host->free(device->device, stream, sizeof *stream);
}

/* "conv/forward", or "one of the 12 ops since it was last waited for, conv/forward … sgd/update". */
static void say_range(const cuda_stream *stream, char *text, size_t size) {
  if (stream->ops == 0)
    snprintf(text, size, "waiting for a stream");
  else if (stream->ops == 1)
    snprintf(text, size, "%s", stream->last);
  else
    snprintf(text, size, "one of the %lld ops from %s to %s (LAMINA_CUDA_SYNC=1 tells which)", (long long)stream->ops,
             stream->first, stream->last);
}

static lamina_status wait_for(cuda_stream *stream) {
  char what[200];
  const cudaError_t error = cudaStreamSynchronize(stream->stream);
  if (error) say_range(stream, what, sizeof what);
  stream->ops = 0;
  return error ? cuda_check(stream->device, error, what) : LAMINA_OK;
}

lamina_status cuda_stream_sync(void *state, void *stream) {
  const lamina_status status = cuda_enter(state);
  return status ? status : wait_for(stream);
}

/* What a plan is run on is not asked about, which would take longer than many an op; only where each is waited for. */
static lamina_status check_args(const lamina_plan *plan, const lamina_args *args) {
  static const char *const names[] = {"host", "pinned host", "device"};
  cuda_device *device = cuda_device_of(plan->device);
  for (int i = 0; plan->op->args[i].name; i++) {
    lamina_memory memory = LAMINA_MEMORY_DEVICE;
    if (!args->p[i] || !cuda_present(&plan->problem.arg[i])) continue;
    const lamina_status status = cuda_memory_of(device, args->p[i], &memory);
    if (status) return status;
    if (memory != LAMINA_MEMORY_DEVICE)
      return cuda_host->error(LAMINA_INVALID, "%s: %s lies in %s memory, but cuda:%d works in device memory",
                              plan->op->name, plan->op->args[i].name, names[memory], device->index);
  }
  return LAMINA_OK;
}

lamina_status cuda_run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  cuda_stream *cuda = cuda_host->stream_state(stream);
  lamina_status status = cuda_enter(cuda->device);
  if (!status && cuda->device->synchronous) status = check_args(plan, args);
  if (status) return status;
  if (cuda->ops++ == 0) cuda->first = plan->op->name;
  cuda->last = plan->op->name;
  status = plan->engine->run(plan, args, workspace, stream);
  if (status || !cuda->device->synchronous) return status;
  cuda->first = plan->op->name;
  cuda->ops = 1;
  return wait_for(cuda);
}

/* ---- Events ----------------------------------------------------------------------------------------------------- */

static lamina_status open_event(void *state, unsigned flags, void **out) {
  cudaEvent_t event = NULL;
  lamina_status status = cuda_enter(state);
  if (!status) status = cuda_check(state, cudaEventCreateWithFlags(&event, flags), "opening an event");
  if (!status) *out = event;
  return status;
}

lamina_status cuda_event_open(void *state, void **out) { return open_event(state, cudaEventDisableTiming, out); }
lamina_status cuda_event_open_timed(void *state, void **out) { return open_event(state, cudaEventDefault, out); }

void cuda_event_close(void *state, void *event) {
  (void)cudaSetDevice(((cuda_device *)state)->index);
  (void)cudaEventDestroy(event);
}

lamina_status cuda_event_record(void *state, void *event, void *stream) {
  const lamina_status status = cuda_enter(state);
  return status ? status
                : cuda_check(state, cudaEventRecord(event, ((cuda_stream *)stream)->stream), "recording an event");
}

lamina_status cuda_event_wait(void *state, void *stream, void *event) {
  const lamina_status status = cuda_enter(state);
  return status ? status
                : cuda_check(state, cudaStreamWaitEvent(((cuda_stream *)stream)->stream, event, 0),
                             "making a stream wait for an event");
}

lamina_status cuda_event_sync(void *state, void *event) {
  const lamina_status status = cuda_enter(state);
  return status ? status : cuda_check(state, cudaEventSynchronize(event), "the work before an event");
}

lamina_status cuda_event_done(void *state, void *event, bool *done) {
  const lamina_status status = cuda_enter(state);
  if (status) return status;
  const cudaError_t error = cudaEventQuery(event);
  *done = error == cudaSuccess;
  if (error != cudaErrorNotReady) return cuda_check(state, error, "the work before an event");
  (void)cudaGetLastError();
  return LAMINA_OK;
}

lamina_status cuda_event_seconds(void *state, void *from, void *to, double *seconds) {
  float milliseconds = 0;
  lamina_status status = cuda_enter(state);
  if (!status) status = cuda_check(state, cudaEventElapsedTime(&milliseconds, from, to), "the time between two events");
  *seconds = 1e-3 * (double)milliseconds;
  return status;
}
