// The API's functions for memory.
#include <algorithm>

#include "device.h"
#include "scheduler.h"

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
// (Of the current device, whichever pool it is: pools of other devices are refused.)
static cudaError_t alloc_async(void **p, size_t n, cudaStream_t stream, const char *name, const void *site) {
  cudaStream_t s;
  if (const cudaError_t e = get_stream(stream, &s)) return e;
  if (!p) return done(cudaErrorInvalidValue);
  if (s->capture) return refuse(cudaErrorNotSupported, "%s in a capture: memory nodes are not modelled", name);
  AllocP a;
  if (const cudaError_t e = device_alloc(p, n, true, site, &a)) return done(e);
  if (!a) return done(cudaSuccess);
  const WorkP w = make_work(name, 1);
  w->run = [a] {
    if (a->life != Life::reserved) return;
    a->life = Life::live;
    fill_fresh(*a);
  };
  return done(enqueue(s, w));
}
cudaError_t cudaMallocAsync(void **p, size_t n, cudaStream_t stream) {
  ENTER();
  return alloc_async(p, n, stream, "cudaMallocAsync", __builtin_return_address(0));
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
    if (a->life == Life::dead) return;
    kill(a);
    if (device_at(a->device).sticky) return; // nothing but its account is of interest
    simt::race_launch("cudaFreeAsync");
    simt::race_release(reinterpret_cast<const void *>(a->base), a->size);
    simt::race_finish("cudaFreeAsync");
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

// ---- Pools: what is set is remembered. Freed memory goes back at once, so there is nothing to trim. --------------------
static cudaMemPool_t new_pool(int d) {
  auto pool = std::make_unique<CUmemPoolHandle_st>();
  pool->device = d;
  const cudaMemPool_t handle = pool.get();
  S->pools[handle] = std::move(pool);
  return handle;
}
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t *pool, int d) {
  ENTER();
  if (!pool) return done(cudaErrorInvalidValue);
  if (d < 0 || static_cast<size_t>(d) >= S->devices.size()) return done(cudaErrorInvalidDevice);
  if (!device_at(d).pool) device_at(d).pool = new_pool(d);
  *pool = device_at(d).pool;
  return done(cudaSuccess);
}
cudaError_t cudaDeviceGetMemPool(cudaMemPool_t *pool, int d) { return cudaDeviceGetDefaultMemPool(pool, d); }
cudaError_t cudaMemPoolCreate(cudaMemPool_t *pool, const cudaMemPoolProps *properties) {
  ENTER();
  if (!pool || !properties) return done(cudaErrorInvalidValue);
  const int d = properties->location.id;
  if (properties->allocType != cudaMemAllocationTypePinned || properties->location.type != cudaMemLocationTypeDevice)
    return refuse(cudaErrorInvalidValue, "cudaMemPoolCreate: only pinned memory of a device");
  if (d < 0 || static_cast<size_t>(d) >= S->devices.size()) return done(cudaErrorInvalidDevice);
  if (strike(EMULATED_ALLOC)) return refuse(cudaErrorMemoryAllocation, "cudaMemPoolCreate");
  *pool = new_pool(d);
  return done(cudaSuccess);
}
cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool) { // what it gave stays until it is freed
  Api api;
  if (!known(S->pools, pool) || device_at(pool->device).pool == pool) {
    report("cudaMemPoolDestroy of something that is no pool of the caller's");
    return done(cudaErrorInvalidValue);
  }
  S->pools.erase(pool);
  return done(device_now().sticky);
}
cudaError_t cudaMallocFromPoolAsync(void **p, size_t n, cudaMemPool_t pool, cudaStream_t stream) {
  ENTER();
  if (!known(S->pools, pool)) return done(cudaErrorInvalidValue);
  if (pool->device != current_device)
    return refuse(cudaErrorInvalidValue, "cudaMallocFromPoolAsync: the pool belongs to device %d", pool->device);
  return alloc_async(p, n, stream, "cudaMallocFromPoolAsync", __builtin_return_address(0));
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void *value) {
  ENTER();
  if (!known(S->pools, pool) || !value) return done(cudaErrorInvalidValue);
  if (attribute != cudaMemPoolAttrReleaseThreshold)
    return refuse(cudaErrorNotSupported, "cudaMemPoolSetAttribute: only the release threshold is modelled");
  pool->release_threshold = *static_cast<const uint64_t *>(value);
  return done(cudaSuccess);
}
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void *value) {
  ENTER();
  if (!known(S->pools, pool) || !value) return done(cudaErrorInvalidValue);
  uint64_t &to = *static_cast<uint64_t *>(value);
  switch (attribute) {
  case cudaMemPoolAttrReleaseThreshold: to = pool->release_threshold; break;
  case cudaMemPoolAttrReservedMemCurrent: // (a pool here keeps nothing of what is freed)
  case cudaMemPoolAttrUsedMemCurrent: to = device_now().used; break;
  default:
    return refuse(cudaErrorNotSupported,
                  "cudaMemPoolGetAttribute: the release threshold and current sizes are modelled");
  }
  return done(cudaSuccess);
}
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, size_t) {
  ENTER();
  return done(known(S->pools, pool) ? cudaSuccess : cudaErrorInvalidValue);
}
