/* The CPU as a device: memory of the host, streams that are always done, engines from the table below. */
#include "cpu/cpu.h"

#include <stdio.h>
#ifdef LAMINA_ONEDNN
#include <oneapi/dnnl/dnnl.h>
#endif

#include "core/reference.h"

/* Every engine of the CPU, from a list that is made of what this folder's files define (cmake/rows.cmake). */
#define ROW(name) extern const lamina_engine name;
#include "cpu/engines.inc"
#undef ROW

static const lamina_engine *const engines[] = {
#define ROW(name) &name,
#include "cpu/engines.inc"
#undef ROW
    &lamina_ref_engine, NULL};

static lamina_status cpu_open(lamina_device *device, int index, void **state, char *about, size_t about_size) {
  if (index != 0) return lamina_error(LAMINA_INVALID, "there is no cpu:%d; the CPU is one device, cpu", index);
  *state = device;
  const char *simd = __builtin_cpu_supports("avx512f") ? "AVX-512"
                     : __builtin_cpu_supports("avx2")  ? "AVX2"
                                                       : "baseline SIMD";
  snprintf(about, about_size, "%d thread%s, %s", device->threads, device->threads == 1 ? "" : "s", simd);
#ifdef LAMINA_ONEDNN
  const dnnl_version_t *v = dnnl_version();
  lamina_append(about, about_size, ", oneDNN %d.%d.%d", v->major, v->minor, v->patch);
#endif
  return LAMINA_OK;
}

static void cpu_reckon(void *state, lamina_roofline *roofline) {
  lamina_cpu_reckon(((lamina_device *)state)->threads, roofline);
}

static void cpu_close(void *state) { (void)state; }

static lamina_status cpu_alloc(void *state, size_t size, void **memory) {
  lamina_device *device = state;
  *memory = device->allocator.alloc(device->allocator.user, size, 64);
  return *memory ? LAMINA_OK : lamina_error(LAMINA_OUT_OF_MEMORY, "out of memory: %zu bytes were wanted", size);
}

static void cpu_free(void *state, void *memory, size_t size) {
  lamina_device *device = state;
  device->allocator.free(device->allocator.user, memory, size);
}

static lamina_status cpu_copy(void *state, void *stream, void *to, const void *from, size_t size) {
  (void)state, (void)stream;
  memmove(to, from, size);
  return LAMINA_OK;
}

static lamina_status cpu_stream_open(void *state, void **stream) {
  *stream = state; /* nothing is ever pending */
  return LAMINA_OK;
}
static void cpu_stream_close(void *state, void *stream) { (void)state, (void)stream; }
static lamina_status cpu_stream_sync(void *state, void *stream) {
  (void)state, (void)stream;
  return LAMINA_OK;
}

/* oneDNN and our loops take their team's width from the calling thread's setting, which is the caller's to keep. */
static lamina_status cpu_run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  const int before = lamina_cpu_width(plan->threads);
  const lamina_status status = plan->engine->run(plan, args, workspace, stream);
  lamina_cpu_width(before);
  return status;
}

lamina_status lamina_cpu_module(const lamina_host *host, lamina_module *module) {
  (void)host;
  *module = (lamina_module){
      .size = sizeof *module,
      .abi = LAMINA_MODULE_ABI,
      .kind = "cpu",
      .memory = LAMINA_MEMORY_HOST,
      .engines = engines,
      .open = cpu_open,
      .close = cpu_close,
      .alloc = cpu_alloc,
      .free = cpu_free,
      .copy = cpu_copy,
      .stream_open = cpu_stream_open,
      .stream_close = cpu_stream_close,
      .stream_sync = cpu_stream_sync,
      .run = cpu_run,
      .reckon = cpu_reckon,
      .measure = lamina_cpu_measure,
  };
  return LAMINA_OK;
}
