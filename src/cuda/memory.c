/* Device memory and copies.
 *
 * Memory comes from a pool of the driver's (cudaMallocAsync) that keeps what is freed. Allocations are in the order of a
 * stream of their own, which has nothing else in it and is waited for, so that every stream may use what it gives; what is
 * freed is in use by no stream, as lamina_memory_free asks. */
#include <stdio.h>

#include "cuda/cuda.h"

lamina_status cuda_memory_open(cuda_device *device) {
  const struct cudaMemPoolProps properties = {.allocType = cudaMemAllocationTypePinned,
                                       .location = {.type = cudaMemLocationTypeDevice, .id = device->index}};
  uint64_t keep = UINT64_MAX;
  lamina_status status = cuda_check(device, cudaMemPoolCreate(&device->pool, &properties), "opening a memory pool");
  if (!status)
    status = cuda_check(device, cudaMemPoolSetAttribute(device->pool, cudaMemPoolAttrReleaseThreshold, &keep),
                        "setting up a memory pool");
  if (!status)
    status = cuda_check(device, cudaStreamCreateWithFlags(&device->memory, cudaStreamNonBlocking), "opening a stream");
  return status;
}

void cuda_memory_close(cuda_device *device) {
  if (device->memory) {
    (void)cudaStreamSynchronize(device->memory);
    (void)cudaStreamDestroy(device->memory);
  }
  if (device->pool) (void)cudaMemPoolDestroy(device->pool);
}

static lamina_status out_of_memory(const cuda_device *device, size_t size) {
  size_t left = 0, all = 0;
  (void)cudaGetLastError();
  (void)cudaMemGetInfo(&left, &all);
  return cuda_host->error(LAMINA_OUT_OF_MEMORY, "cuda:%d: out of memory: %zu bytes were wanted, %zu of %zu are free",
                          device->index, size, left, all);
}

lamina_status cuda_alloc(void *state, size_t size, void **memory) {
  cuda_device *device = state;
  const lamina_status status = cuda_enter(device);
  if (status) return status;
  void *at = NULL;
  cudaError_t error = cudaMallocFromPoolAsync(&at, size, device->pool, device->memory);
  if (!error) {
    error = cudaStreamSynchronize(device->memory);
    if (error) (void)cudaFreeAsync(at, device->memory);
  }
  if (error == cudaErrorMemoryAllocation) return out_of_memory(device, size);
  if (!error) *memory = at;
  return cuda_check(device, error, "allocating device memory");
}

void cuda_free(void *state, void *memory, size_t size) {
  cuda_device *device = state;
  (void)size;
  (void)cudaSetDevice(device->index);
  (void)cudaFreeAsync(memory, device->memory);
}

lamina_status cuda_copy(void *state, void *stream_, void *to, const void *from, size_t size) {
  cuda_device *device = state;
  const cuda_stream *stream = stream_;
  const lamina_status status = cuda_enter(device);
  if (status) return status;
  const cudaError_t error = cudaMemcpyAsync(to, from, size, cudaMemcpyDefault, stream->stream);
  if (error) return cuda_check(device, error, "copying");
  return cuda_stream_sync(device, stream_);
}
