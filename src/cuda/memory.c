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

/* What the device has, and what the pool keeps of what was freed and isn't on its way. */
static cudaError_t memory_left(const cuda_device *device, size_t *left, size_t *all) {
  uint64_t kept = 0, used = 0;
  cudaError_t error = cudaStreamSynchronize(device->memory);
  if (!error) error = cudaMemGetInfo(left, all);
  if (!error) error = cudaMemPoolGetAttribute(device->pool, cudaMemPoolAttrReservedMemCurrent, &kept);
  if (!error) error = cudaMemPoolGetAttribute(device->pool, cudaMemPoolAttrUsedMemCurrent, &used);
  if (!error && kept > used) *left += (size_t)(kept - used);
  return error;
}

lamina_status cuda_memory_left(void *state, size_t *left) {
  cuda_device *device = state;
  size_t all;
  const lamina_status status = cuda_enter(device);
  return status ? status : cuda_check(device, memory_left(device, left, &all), "asking how much memory is free");
}

static lamina_status out_of_memory(const cuda_device *device, size_t size) {
  size_t left = 0, all = 0;
  (void)cudaGetLastError();
  (void)memory_left(device, &left, &all);
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

lamina_status cuda_copy_async(void *state, void *stream, void *to, const void *from, size_t size) {
  cuda_device *device = state;
  const lamina_status status = cuda_enter(device);
  if (status) return status;
  return cuda_check(device, cudaMemcpyAsync(to, from, size, cudaMemcpyDefault, ((cuda_stream *)stream)->stream),
                    "queueing a copy");
}

lamina_status cuda_copy(void *state, void *stream, void *to, const void *from, size_t size) {
  const lamina_status status = cuda_copy_async(state, stream, to, from, size);
  return status ? status : cuda_stream_sync(state, stream);
}

lamina_status cuda_pinned_alloc(void *state, size_t size, void **memory) {
  cuda_device *device = state;
  const lamina_status status = cuda_enter(device);
  if (status) return status;
  void *at = NULL;
  const cudaError_t error = cudaHostAlloc(&at, size, cudaHostAllocPortable);
  if (!error) *memory = at;
  if (error != cudaErrorMemoryAllocation) return cuda_check(device, error, "allocating pinned memory");
  (void)cudaGetLastError();
  return cuda_host->error(LAMINA_OUT_OF_MEMORY, "cuda:%d: out of pinned memory: %zu bytes were wanted", device->index,
                          size);
}

void cuda_pinned_free(void *state, void *memory, size_t size) {
  cuda_device *device = state;
  (void)size;
  (void)cudaSetDevice(device->index);
  (void)cudaFreeHost(memory);
}

lamina_status cuda_memory_of(void *state, const void *pointer, lamina_memory *memory) {
  cuda_device *device = state;
  struct cudaPointerAttributes attributes;
  lamina_status status = cuda_enter(device);
  if (!status)
    status = cuda_check(device, cudaPointerGetAttributes(&attributes, pointer), "asking where a pointer points to");
  if (status) return status;
  switch (attributes.type) {
  case cudaMemoryTypeDevice:
  case cudaMemoryTypeManaged: *memory = LAMINA_MEMORY_DEVICE; break;
  case cudaMemoryTypeHost: *memory = LAMINA_MEMORY_PINNED; break;
  default: *memory = LAMINA_MEMORY_HOST;
  }
  if (attributes.type != cudaMemoryTypeDevice || attributes.device == device->index) return LAMINA_OK;
  return cuda_host->error(LAMINA_INVALID, "memory of cuda:%d was given to cuda:%d", attributes.device, device->index);
}
