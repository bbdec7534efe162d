/* The module's one entry, and opening and closing a device. */
#include <stdio.h>
#include <stdlib.h>

#include "cuda/cuda.h"

const lamina_host *cuda_host;

/* Every engine of the module, from a list that is made of what this folder's files define (cmake/rows.cmake). */
#define ROW(name) extern const lamina_engine name;
#include "cuda/engines.inc"
#undef ROW

static const lamina_engine *const engines[] = {
#define ROW(name) &name,
#include "cuda/engines.inc"
#undef ROW
    NULL};

/* Why there is no device at all: no GPU, no driver, too old a driver are sentences of their own. */
static lamina_status no_device(cudaError_t error) {
  int driver = 0;
  (void)cudaGetLastError();
  (void)cudaDriverGetVersion(&driver);
  switch (error) {
  case cudaErrorInsufficientDriver:
    if (driver == 0)
      return cuda_host->error(LAMINA_DEVICE, "there is no NVIDIA driver (libcuda.so.1); install it, or use cpu");
    return cuda_host->error(LAMINA_DEVICE,
                            "the NVIDIA driver is too old: it has CUDA %d.%d, this module was built with %d.%d",
                            driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
  case cudaSuccess:
  case cudaErrorNoDevice:
    return cuda_host->error(LAMINA_DEVICE, "there is an NVIDIA driver, but no GPU that it can use");
  default: return cuda_host->error(LAMINA_DEVICE, "CUDA can't be used: %s", cudaGetErrorString(error));
  }
}

static lamina_status check_index(int index) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error || count == 0) return no_device(error);
  if (index < count) return LAMINA_OK;
  if (count == 1) return cuda_host->error(LAMINA_INVALID, "there is no cuda:%d; there is cuda:0", index);
  return cuda_host->error(LAMINA_INVALID, "there is no cuda:%d; there are cuda:0 to cuda:%d", index, count - 1);
}

static lamina_status read_environment(cuda_device *device) {
  const char *text = getenv("LAMINA_CUDA_SYNC");
  if (!text || !*text || strcmp(text, "0") == 0) return LAMINA_OK;
  if (strcmp(text, "1") != 0)
    return cuda_host->error(LAMINA_INVALID, "LAMINA_CUDA_SYNC is \"%s\"; expected 0 or 1", text);
  device->synchronous = true;
  return LAMINA_OK;
}

static int attribute(const cuda_device *device, enum cudaDeviceAttr which) {
  int value = 0;
  return cudaDeviceGetAttribute(&value, which, device->index) ? 0 : value;
}

/* Clocks times widths. A multiprocessor does 128 f32 multiply-adds a clock (64 on 8.0); its tensor cores do, with factors
 * in tf32, 512 on 8.0 and 1024 on 9.0, and twice that with 16 bits. */
static void cuda_limits(void *state, lamina_limits *limits) {
  const cuda_device *device = state;
  const double clocks = 1e3 * attribute(device, cudaDevAttrClockRate) * device->multiprocessors;
  const int capability =
      10 * attribute(device, cudaDevAttrComputeCapabilityMajor) + attribute(device, cudaDevAttrComputeCapabilityMinor);
  const int tf32 = capability == 80 ? 512 : capability == 90 ? 1024 : 0;
  struct cudaDeviceProp properties;
  limits->flops = 2 * (capability == 80 ? 64 : 128) * clocks;
  limits->flops_tf32 = 2 * tf32 * clocks;
  limits->flops_half = 2 * limits->flops_tf32;
  limits->bandwidth =
      2e3 * attribute(device, cudaDevAttrMemoryClockRate) * (attribute(device, cudaDevAttrGlobalMemoryBusWidth) / 8.0);
  limits->cache = (size_t)attribute(device, cudaDevAttrL2CacheSize);
  if (cudaGetDeviceProperties(&properties, device->index) == cudaSuccess) limits->memory = properties.totalGlobalMem;
}

/* What its estimates rest on. */
static void measure(cuda_device *device) {
  lamina_limits limits = {0};
  device->multiprocessors = attribute(device, cudaDevAttrMultiProcessorCount);
  device->shared_memory = (size_t)attribute(device, cudaDevAttrMaxSharedMemoryPerBlockOptin);
  cuda_limits(device, &limits);
  device->bandwidth = limits.bandwidth ? limits.bandwidth : 1e12; /* a device that keeps it to itself */
  device->flops = limits.flops ? limits.flops : 1e13;
}

static lamina_status describe(const cuda_device *device, char *about, size_t size) {
  struct cudaDeviceProp properties;
  int runtime = 0;
  const lamina_status status = cuda_check((cuda_device *)(uintptr_t)device,
                                          cudaGetDeviceProperties(&properties, device->index), "looking at it");
  if (status) return status;
  (void)cudaRuntimeGetVersion(&runtime);
  snprintf(about, size, "%s, %.0f GiB, compute capability %d.%d, CUDA %d.%d", properties.name,
           (double)properties.totalGlobalMem / (1 << 30), properties.major, properties.minor, runtime / 1000,
           runtime % 1000 / 10);
  return LAMINA_OK;
}

static void cuda_close(void *state) {
  cuda_device *device = state;
  (void)cudaSetDevice(device->index);
  cuda_memory_close(device);
  cuda_host->free(device->device, device, sizeof *device);
}

static lamina_status open_in(cuda_device *device, char *about, size_t about_size) {
  lamina_status status = check_index(device->index);
  if (!status) status = read_environment(device);
  if (!status) status = cuda_enter(device);
  if (!status) status = describe(device, about, about_size);
  if (!status) status = cuda_memory_open(device);
  if (!status) measure(device);
  return status;
}

static lamina_status cuda_open(lamina_device *device, int index, void **state, char *about, size_t about_size) {
  cuda_device *cuda = cuda_host->alloc(device, sizeof *cuda);
  if (!cuda) return LAMINA_OUT_OF_MEMORY;
  *cuda = (cuda_device){.device = device, .index = index};
  const lamina_status status = open_in(cuda, about, about_size);
  if (status)
    cuda_close(cuda);
  else
    *state = cuda;
  return status;
}

lamina_status lamina_cuda_module_open(const lamina_host *host, lamina_module *module) {
  if (host->abi != LAMINA_MODULE_ABI || host->size < sizeof *host)
    return host->error(LAMINA_DEVICE, "the CUDA module was built for ABI %u, this library has %u", LAMINA_MODULE_ABI,
                       host->abi);
  cuda_host = host;
  *module = (lamina_module){.size = sizeof *module,
                            .abi = LAMINA_MODULE_ABI,
                            .kind = "cuda",
                            .memory = LAMINA_MEMORY_DEVICE,
                            .engines = engines,
                            .open = cuda_open,
                            .close = cuda_close,
                            .alloc = cuda_alloc,
                            .free = cuda_free,
                            .copy = cuda_copy,
                            .copy_async = cuda_copy_async,
                            .pinned_alloc = cuda_pinned_alloc,
                            .pinned_free = cuda_pinned_free,
                            .memory_of = cuda_memory_of,
                            .stream_open = cuda_stream_open,
                            .stream_wrap = cuda_stream_wrap,
                            .stream_close = cuda_stream_close,
                            .stream_sync = cuda_stream_sync,
                            .event_open = cuda_event_open,
                            .event_close = cuda_event_close,
                            .event_record = cuda_event_record,
                            .event_wait = cuda_event_wait,
                            .event_sync = cuda_event_sync,
                            .event_done = cuda_event_done,
                            .limits = cuda_limits,
                            .event_open_timed = cuda_event_open_timed,
                            .event_seconds = cuda_event_seconds,
                            .capture_begin = cuda_capture_begin,
                            .capture_end = cuda_capture_end,
                            .capture_run = cuda_capture_run,
                            .capture_close = cuda_capture_close,
                            .memory_left = cuda_memory_left,
                            .run = cuda_run};
  return LAMINA_OK;
}
