// The API's functions for memory.
#include <algorithm>

#include "device.h"

using namespace emulated;

cudaError_t cudaMalloc(void **p, size_t n) {
  ENTER();
  NOT_WHILE_CAPTURING("cudaMalloc");
  if (!p) return done(cudaErrorInvalidValue);
  return done(device_alloc(p, n, false, __builtin_return_address(0), nullptr));
}
cudaError_t cudaFree(void *p) {
  Api api;
  if (in_host_function) return not_in_host_function("cudaFree");
  if (!p) return done(device_now().sticky);
  AllocP a = find_base(p, true);
  if (device_now().sticky) { // the error stays, but the owner has done its part
    if (a && a->life != Life::dead) kill(a);
    return done(device_now().sticky);
  }
  NOT_WHILE_CAPTURING("cudaFree");
  if (!a || a->life == Life::dead) {
    report("cudaFree of %s", a ? describe(*a).c_str() : "a pointer that no allocation has");
    return done(cudaErrorInvalidValue);
  }
  if (S->free_waits) wait_device(a->device);
  kill(a);
  return done(device_now().sticky);
}
cudaError_t cudaHostAlloc(void **p, size_t n, unsigned flags) {
  ENTER();
  NOT_WHILE_CAPTURING("cudaHostAlloc");
  return p ? done(host_alloc(p, n, flags, __builtin_return_address(0))) : done(cudaErrorInvalidValue);
}
cudaError_t cudaMallocHost(void **p, size_t n) {
  ENTER();
  NOT_WHILE_CAPTURING("cudaMallocHost");
  return p ? done(host_alloc(p, n, 0, __builtin_return_address(0))) : done(cudaErrorInvalidValue);
}
cudaError_t cudaFreeHost(void *p) {
  Api api;
  if (!p) return done(device_now().sticky);
  AllocP a = find_base(p, false);
  if (!device_now().sticky) NOT_WHILE_CAPTURING("cudaFreeHost");
  if (!a || a->life == Life::dead || a->registered) {
    report("cudaFreeHost of %s", a ? describe(*a).c_str() : "memory that is not pinned");
    return done(cudaErrorInvalidValue);
  }
  kill(a);
  return done(device_now().sticky);
}
cudaError_t cudaHostRegister(void *p, size_t n, unsigned flags) {
  ENTER();
  NOT_WHILE_CAPTURING("cudaHostRegister");
  if (!p || !n) return done(cudaErrorInvalidValue);
  return done(host_register(p, n, flags, __builtin_return_address(0)));
}
cudaError_t cudaHostUnregister(void *p) {
  Api api;
  AllocP a = find_base(p, false);
  if (!a || !a->registered) return refuse(cudaErrorHostMemoryNotRegistered, "cudaHostUnregister");
  kill(a);
  return done(device_now().sticky);
}
cudaError_t cudaHostGetDevicePointer(void **out, void *p, unsigned) {
  ENTER();
  if (!out || where(p, 0).kind != Where::pinned) return done(cudaErrorInvalidValue);
  *out = p;
  return done(cudaSuccess);
}
cudaError_t cudaMallocAsync(void **p, size_t n, cudaStream_t stream) {
  ENTER();
  cudaStream_t s;
  if (cudaError_t e = get_stream(stream, &s)) return e;
  if (!p) return done(cudaErrorInvalidValue);
  if (s->capture) return refuse(cudaErrorNotSupported, "cudaMallocAsync in a capture: memory nodes are not modelled");
  AllocP a;
  if (cudaError_t e = device_alloc(p, n, true, __builtin_return_address(0), &a)) return done(e);
  if (!a) return done(cudaSuccess);
  const WorkP w = make_work("cudaMallocAsync", 1);
  w->run = [a] {
    if (a->life == Life::reserved) {
      a->life = Life::live;
      fill_fresh(*a);
    }
  };
  return done(enqueue(s, w));
}
cudaError_t cudaFreeAsync(void *p, cudaStream_t stream) {
  Api api;
  AllocP a = find_base(p, true);
  if (device_now().sticky) {
    if (a && a->life != Life::dead) kill(a);
    return done(device_now().sticky);
  }
  cudaStream_t s;
  if (cudaError_t e = get_stream(stream, &s)) return e;
  if (!p) return done(cudaSuccess);
  if (!a || a->life == Life::dead) {
    report("cudaFreeAsync of %s", a ? describe(*a).c_str() : "a pointer that no allocation has");
    return done(cudaErrorInvalidValue);
  }
  if (s->capture) return refuse(cudaErrorNotSupported, "cudaFreeAsync in a capture: memory nodes are not modelled");
  const WorkP w = make_work("cudaFreeAsync", 1);
  w->uses = {a}; // freed twice, or before it was allocated: reported there
  w->frees = true;
  w->run = [a] {
    if (a->life != Life::dead) kill(a);
  };
  return done(enqueue(s, w));
}
cudaError_t cudaMemGetInfo(size_t *free_, size_t *total) {
  ENTER();
  if (!free_ || !total) return done(cudaErrorInvalidValue);
  *total = S->memory;
  *free_ = S->memory - std::min(S->memory, device_now().used);
  return done(cudaSuccess);
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *out, const void *p) {
  ENTER();
  if (!out) return done(cudaErrorInvalidValue);
  *out = cudaPointerAttributes{};
  const Where w = where(p, 0);
  out->device = -2;
  out->type = cudaMemoryTypeUnregistered;
  if (w.kind == Where::device) {
    out->type = cudaMemoryTypeDevice;
    out->device = w.alloc->device;
    out->devicePointer = const_cast<void *>(p);
  } else if (w.kind == Where::pinned) {
    out->type = cudaMemoryTypeHost;
    out->device = current_device;
    out->devicePointer = out->hostPointer = const_cast<void *>(p);
  }
  return done(cudaSuccess);
}

// Pools: what is set is remembered. Freed memory goes back at once, so there is nothing to trim.
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t *pool, int d) {
  ENTER();
  if (!pool) return done(cudaErrorInvalidValue);
  if (d < 0 || static_cast<size_t>(d) >= S->devices.size()) return done(cudaErrorInvalidDevice);
  std::unique_ptr<CUmemPoolHandle_st> &own = device_at(d).pool;
  if (!own) own = std::make_unique<CUmemPoolHandle_st>();
  *pool = own.get();
  return done(cudaSuccess);
}
cudaError_t cudaDeviceGetMemPool(cudaMemPool_t *pool, int d) { return cudaDeviceGetDefaultMemPool(pool, d); }
static bool is_pool(cudaMemPool_t pool) {
  return pool &&
         std::any_of(S->devices.begin(), S->devices.end(), [=](const Device &d) { return d.pool.get() == pool; });
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void *value) {
  ENTER();
  if (!is_pool(pool) || !value) return done(cudaErrorInvalidValue);
  if (attribute != cudaMemPoolAttrReleaseThreshold)
    return refuse(cudaErrorNotSupported, "cudaMemPoolSetAttribute: only the release threshold is modelled");
  pool->release_threshold = *static_cast<const uint64_t *>(value);
  return done(cudaSuccess);
}
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void *value) {
  ENTER();
  if (!is_pool(pool) || !value) return done(cudaErrorInvalidValue);
  if (attribute != cudaMemPoolAttrReleaseThreshold)
    return refuse(cudaErrorNotSupported, "cudaMemPoolGetAttribute: only the release threshold is modelled");
  *static_cast<uint64_t *>(value) = pool->release_threshold;
  return done(cudaSuccess);
}
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, size_t) {
  ENTER();
  return done(is_pool(pool) ? cudaSuccess : cudaErrorInvalidValue);
}
