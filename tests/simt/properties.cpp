// Errors by name, devices and their properties: an H100's.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "device.h"

using namespace emulated;

namespace {

const struct {
  cudaError_t error;
  const char *name, *text;
} errors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInitializationError, "cudaErrorInitializationError", "initialization error"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {cudaErrorInvalidMemcpyDirection, "cudaErrorInvalidMemcpyDirection", "invalid copy direction for memcpy"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction", "invalid device function"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorLaunchOutOfResources, "cudaErrorLaunchOutOfResources", "too many resources requested for launch"},
    {cudaErrorCooperativeLaunchTooLarge, "cudaErrorCooperativeLaunchTooLarge", "too many blocks in cooperative launch"},
    {cudaErrorPeerAccessAlreadyEnabled, "cudaErrorPeerAccessAlreadyEnabled", "peer access is already enabled"},
    {cudaErrorPeerAccessNotEnabled, "cudaErrorPeerAccessNotEnabled", "peer access has not been enabled"},
    {cudaErrorHostMemoryAlreadyRegistered, "cudaErrorHostMemoryAlreadyRegistered",
     "part or all of the requested memory range is already mapped"},
    {cudaErrorHostMemoryNotRegistered, "cudaErrorHostMemoryNotRegistered",
     "pointer does not correspond to a registered memory region"},
    {cudaErrorNotPermitted, "cudaErrorNotPermitted", "operation not permitted"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    {cudaErrorIllegalState, "cudaErrorIllegalState", "the operation cannot be performed in the present state"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorStreamCaptureMerge, "cudaErrorStreamCaptureMerge",
     "operation would result in a merge of separate capture sequences"},
    {cudaErrorStreamCaptureUnmatched, "cudaErrorStreamCaptureUnmatched",
     "capture was not ended in the same stream as it began"},
    {cudaErrorStreamCaptureUnjoined, "cudaErrorStreamCaptureUnjoined", "capturing stream has unjoined work"},
    {cudaErrorStreamCaptureIsolation, "cudaErrorStreamCaptureIsolation",
     "dependency created on uncaptured work in another stream"},
    {cudaErrorGraphExecUpdateFailure, "cudaErrorGraphExecUpdateFailure", "the graph update was not performed"},
    {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
};

} // namespace

const char *cudaGetErrorName(cudaError_t e) {
  for (const auto &row : errors)
    if (row.error == e) return row.name;
  return "unrecognized error code";
}
const char *cudaGetErrorString(cudaError_t e) {
  for (const auto &row : errors)
    if (row.error == e) return row.text;
  return "unrecognized error code";
}

// EMULATED_DRIVER: the CUDA version of the driver, 12040; 0: there is none.
static int driver_version() {
  const char *text = getenv("EMULATED_DRIVER");
  return text ? atoi(text) : CUDART_VERSION;
}
// EMULATED_CLOCKS=0: a device that keeps its clocks to itself, as some do.
static bool tells_clocks() {
  const char *text = getenv("EMULATED_CLOCKS");
  return !text || atoi(text);
}
cudaError_t cudaGetDeviceCount(int *n) {
  Api api;
  if (driver_version() < CUDART_VERSION) return done(cudaErrorInsufficientDriver);
  *n = static_cast<int>(S->devices.size());
  return done(*n ? cudaSuccess : cudaErrorNoDevice);
}
cudaError_t cudaSetDevice(int d) {
  Api api;
  if (d < 0 || static_cast<size_t>(d) >= S->devices.size()) return done(cudaErrorInvalidDevice);
  current_device = d;
  return done(device_now().sticky);
}
cudaError_t cudaGetDevice(int *d) {
  Api api;
  *d = current_device;
  return done(cudaSuccess);
}
cudaError_t cudaDeviceReset(void) { // does not revive a device: the process has to end
  Api api;
  if (!device_now().sticky) report("cudaDeviceReset is not modelled");
  return done(device_now().sticky ? device_now().sticky : cudaErrorNotSupported);
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int d) {
  Api api;
  if (!p) return done(cudaErrorInvalidValue);
  if (d < 0 || static_cast<size_t>(d) >= S->devices.size()) return done(cudaErrorInvalidDevice);
  memset(p, 0, sizeof *p);
  strcpy(p->name, "NVIDIA H100 (emulated)");
  p->totalGlobalMem = S->memory;
  p->sharedMemPerBlock = 48 << 10;
  p->sharedMemPerBlockOptin = 227 << 10;
  p->sharedMemPerMultiprocessor = 228 << 10;
  p->reservedSharedMemPerBlock = 1 << 10;
  p->regsPerBlock = p->regsPerMultiprocessor = 65536;
  p->warpSize = 32;
  p->memPitch = 2147483647;
  p->maxThreadsPerBlock = p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024;
  p->maxThreadsDim[2] = 64;
  p->maxGridSize[0] = 2147483647;
  p->maxGridSize[1] = p->maxGridSize[2] = 65535;
  p->totalConstMem = 64 << 10;
  p->major = 9;
  p->textureAlignment = 512;
  p->texturePitchAlignment = 32;
  p->multiProcessorCount = 132;
  p->canMapHostMemory = p->concurrentKernels = p->unifiedAddressing = p->ECCEnabled = 1;
  p->asyncEngineCount = 3;
  p->memoryBusWidth = 5120;
  p->l2CacheSize = 50 << 20;
  p->maxThreadsPerMultiProcessor = 2048;
  p->maxBlocksPerMultiProcessor = 32;
  p->streamPrioritiesSupported = p->globalL1CacheSupported = p->localL1CacheSupported = 1;
  p->cooperativeLaunch = p->hostRegisterSupported = p->memoryPoolsSupported = p->clusterLaunch = 1;
  p->computePreemptionSupported = p->canUseHostPointerForRegisteredMem = 1;
  p->pciBusID = d + 1;
  return done(cudaSuccess);
}
cudaError_t cudaDeviceGetAttribute(int *v, cudaDeviceAttr a, int d) {
  Api api;
  cudaDeviceProp p;
  if (!v) return done(cudaErrorInvalidValue);
  if (const cudaError_t e = cudaGetDeviceProperties(&p, d)) return e;
  switch (a) {
  case cudaDevAttrMaxThreadsPerBlock: *v = p.maxThreadsPerBlock; break;
  case cudaDevAttrMaxBlockDimX: *v = p.maxThreadsDim[0]; break;
  case cudaDevAttrMaxBlockDimY: *v = p.maxThreadsDim[1]; break;
  case cudaDevAttrMaxBlockDimZ: *v = p.maxThreadsDim[2]; break;
  case cudaDevAttrMaxGridDimX: *v = p.maxGridSize[0]; break;
  case cudaDevAttrMaxGridDimY: *v = p.maxGridSize[1]; break;
  case cudaDevAttrMaxGridDimZ: *v = p.maxGridSize[2]; break;
  case cudaDevAttrMaxSharedMemoryPerBlock: *v = static_cast<int>(p.sharedMemPerBlock); break;
  case cudaDevAttrMaxSharedMemoryPerBlockOptin: *v = static_cast<int>(p.sharedMemPerBlockOptin); break;
  case cudaDevAttrMaxSharedMemoryPerMultiprocessor: *v = static_cast<int>(p.sharedMemPerMultiprocessor); break;
  case cudaDevAttrReservedSharedMemoryPerBlock: *v = static_cast<int>(p.reservedSharedMemPerBlock); break;
  case cudaDevAttrMaxRegistersPerBlock: *v = p.regsPerBlock; break;
  case cudaDevAttrMaxRegistersPerMultiprocessor: *v = p.regsPerMultiprocessor; break;
  case cudaDevAttrWarpSize: *v = p.warpSize; break;
  case cudaDevAttrMultiProcessorCount: *v = p.multiProcessorCount; break;
  case cudaDevAttrMaxThreadsPerMultiProcessor: *v = p.maxThreadsPerMultiProcessor; break;
  case cudaDevAttrMaxBlocksPerMultiprocessor: *v = p.maxBlocksPerMultiProcessor; break;
  case cudaDevAttrComputeCapabilityMajor: *v = p.major; break;
  case cudaDevAttrComputeCapabilityMinor: *v = p.minor; break;
  case cudaDevAttrL2CacheSize: *v = p.l2CacheSize; break;
  case cudaDevAttrClockRate: *v = tells_clocks() ? 1980000 : 0; break;
  case cudaDevAttrMemoryClockRate: *v = tells_clocks() ? 2619000 : 0; break;
  case cudaDevAttrGlobalMemoryBusWidth: *v = p.memoryBusWidth; break;
  case cudaDevAttrAsyncEngineCount: *v = p.asyncEngineCount; break;
  case cudaDevAttrConcurrentKernels:
  case cudaDevAttrUnifiedAddressing:
  case cudaDevAttrCooperativeLaunch:
  case cudaDevAttrMemoryPoolsSupported:
  case cudaDevAttrHostRegisterSupported:
  case cudaDevAttrClusterLaunch: *v = 1; break;
  case cudaDevAttrIntegrated:
  case cudaDevAttrManagedMemory:
  case cudaDevAttrPageableMemoryAccess:
  case cudaDevAttrConcurrentManagedAccess: *v = 0; break;
  case cudaDevAttrPciBusId: *v = p.pciBusID; break;
  default:
    report("cudaDeviceGetAttribute(%d) is not modelled", static_cast<int>(a));
    return done(cudaErrorNotSupported);
  }
  return done(cudaSuccess);
}
cudaError_t cudaDriverGetVersion(int *v) {
  *v = driver_version();
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int *v) {
  *v = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest) {
  if (least) *least = 0;
  if (greatest) *greatest = -5;
  return cudaSuccess;
}
cudaError_t cudaDeviceCanAccessPeer(int *can, int a, int b) {
  Api api;
  if (a < 0 || b < 0 || static_cast<size_t>(std::max(a, b)) >= S->devices.size()) return done(cudaErrorInvalidDevice);
  *can = a != b;
  return done(cudaSuccess);
}
cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags) {
  ENTER();
  if (flags) return done(cudaErrorInvalidValue);
  if (peer < 0 || static_cast<size_t>(peer) >= S->devices.size() || peer == current_device)
    return done(cudaErrorInvalidDevice);
  return done(device_now().peers.insert(peer).second ? cudaSuccess : cudaErrorPeerAccessAlreadyEnabled);
}
cudaError_t cudaDeviceDisablePeerAccess(int peer) {
  ENTER();
  return done(device_now().peers.erase(peer) ? cudaSuccess : cudaErrorPeerAccessNotEnabled);
}
