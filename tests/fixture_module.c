/* A device module for tests: "fixture:0" and "fixture:1", memory of its own, one engine. It links nothing of Lamina, as
 * a real module must not. FIXTURE_ABI set to another number makes it one of a different release. */
#include <stdlib.h>
#include <string.h>

#include "lamina/module.h"

static const lamina_host *host;

typedef struct fixture {
  lamina_device *device;
  int index;
  long runs;
} fixture;

static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  (void)device, (void)engine;
  if (problem->arg[0].dtype == LAMINA_F32)
    each(context, "memcpy", 1e-6, "");
  else
    each(context, NULL, 0, "the fixture copies f32 only");
}

/* Dense on both sides: the row asks for that. */
static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  (void)workspace;
  fixture *self = host->device_state(plan->device);
  if (host->stream_state(stream) != self) return host->error(LAMINA_INTERNAL, "the stream is another device's");
  size_t bytes = sizeof(float);
  for (int d = 0; d < plan->problem.arg[0].rank; d++) bytes *= (size_t)plan->problem.arg[0].dims[d];
  memcpy(args->p[1], args->p[0], bytes);
  self->runs++;
  return LAMINA_OK;
}

static const lamina_engine copy_engine = {.size = sizeof(lamina_engine),
                                          .abi = LAMINA_ENGINE_ABI,
                                          .device = "fixture",
                                          .name = "fixture",
                                          .op = "copy/forward",
                                          .strides = LAMINA_STRIDES_DENSE,
                                          .candidates = candidates,
                                          .run = run};
static const lamina_engine *const engines[] = {&copy_engine, NULL};

static lamina_status open_device(lamina_device *device, int index, void **state, char *about, size_t about_size) {
  if (index > 1) return host->error(LAMINA_DEVICE, "there is no fixture:%d; there are fixture:0 and fixture:1", index);
  fixture *self = host->alloc(device, sizeof *self);
  if (!self) return LAMINA_OUT_OF_MEMORY;
  *self = (fixture){.device = device, .index = index};
  *state = self;
  strncpy(about, "a device for tests", about_size - 1);
  host->log(device, LAMINA_LOG_INFO, "fixture opened");
  return LAMINA_OK;
}

static void close_device(void *state) {
  fixture *self = state;
  host->free(self->device, self, sizeof *self);
}

static lamina_status alloc(void *state, size_t size, void **memory) {
  (void)state;
  *memory = malloc(size);
  return *memory ? LAMINA_OK : host->error(LAMINA_OUT_OF_MEMORY, "the fixture has no %zu bytes", size);
}

static void release(void *state, void *memory, size_t size) {
  (void)state, (void)size;
  free(memory);
}

static lamina_status copy(void *state, void *stream, void *to, const void *from, size_t size) {
  (void)state, (void)stream;
  memcpy(to, from, size);
  return LAMINA_OK;
}

static lamina_status stream_open(void *state, void **stream) {
  *stream = state;
  return LAMINA_OK;
}
static void stream_close(void *state, void *stream) { (void)state, (void)stream; }
static lamina_status stream_sync(void *state, void *stream) {
  (void)state, (void)stream;
  return LAMINA_OK;
}

static lamina_status run_plan(const lamina_plan *plan, const lamina_args *args, void *workspace,
                              lamina_stream *stream) {
  return plan->engine->run(plan, args, workspace, stream);
}

LAMINA_API lamina_module_open_fn lamina_module_open;
lamina_status lamina_module_open(const lamina_host *core, lamina_module *module) {
  const char *abi = getenv("FIXTURE_ABI");
  host = core;
  *module = (lamina_module){.size = sizeof *module,
                            .abi = abi ? (uint32_t)atoi(abi) : LAMINA_MODULE_ABI,
                            .kind = "fixture",
                            .memory = LAMINA_MEMORY_DEVICE,
                            .engines = engines,
                            .open = open_device,
                            .close = close_device,
                            .alloc = alloc,
                            .free = release,
                            .copy = copy,
                            .stream_open = stream_open,
                            .stream_close = stream_close,
                            .stream_sync = stream_sync,
                            .run = run_plan};
  return LAMINA_OK;
}
