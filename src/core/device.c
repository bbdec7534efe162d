/* Opening and closing devices: options, environment, modules. */
#include "core/device.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/plan.h"
#include "core/reference.h"
#include "core/tuning.h"

const lamina_allocator *lamina_device_allocator(const lamina_device *device) { return &device->allocator; }
const char *lamina_device_name(const lamina_device *device) { return device ? device->name : ""; }
const char *lamina_device_about(const lamina_device *device) { return device ? device->about : ""; }
void lamina_device_limits(const lamina_device *device, lamina_limits *limits) {
  if (!limits) return;
  *limits = (lamina_limits){0};
  if (device && device->module.limits) device->module.limits(device->state, limits);
}
void lamina_device_roofline(const lamina_device *device, lamina_roofline *roofline) {
  if (roofline) *roofline = device ? device->roofline : (lamina_roofline){0};
}
lamina_status lamina_roofline_measure(lamina_device *device, lamina_roofline *roofline) {
  lamina_roofline measured;
  LAMINA_NOT_NULL(device, "device");
  if (atomic_load(&device->settled))
    return lamina_error(LAMINA_INVALID, "lamina_roofline_measure: %s has made plans; it is measured before the first",
                        device->name);
  if (!device->module.measure)
    return lamina_error(LAMINA_UNSUPPORTED, "%s isn't measured: it knows its limits (lamina_device_limits)",
                        device->name);
  LAMINA_TRY(device->module.measure(device->state, &measured));
  memcpy(measured.cpu, device->roofline.cpu, sizeof measured.cpu);
  device->roofline = measured;
  const lamina_status status = lamina_tuning_measured(device);
  if (roofline) *roofline = device->roofline;
  return status;
}
int lamina_device_threads(const lamina_device *device) { return device ? device->threads : 0; }

void *lamina_host_alloc(lamina_device *device, size_t size) {
  if (device) return lamina_alloc(&device->allocator, size);
  (void)lamina_error(LAMINA_INVALID, "lamina_host_alloc: device is NULL");
  return NULL;
}

void lamina_host_free(lamina_device *device, void *memory, size_t size) {
  (void)size;
  if (device) lamina_free(&device->allocator, memory);
}

void lamina_log(lamina_device *device, lamina_log_level level, const char *format, ...) {
  char text[1024];
  va_list list;
  if (!device->log) return;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  device->log(device->log_user, level, text);
}

static void host_log(lamina_device *device, lamina_log_level level, const char *message) {
  lamina_log(device, level, "%s", message);
}
static void *host_device_state(const lamina_device *device) { return device->state; }
static void *host_stream_state(const lamina_stream *stream) { return stream->state; }

const lamina_host lamina_core_host = {
    .size = sizeof(lamina_host),
    .abi = LAMINA_MODULE_ABI,
    .error = lamina_error,
    .log = host_log,
    .alloc = lamina_host_alloc,
    .free = lamina_host_free,
    .device_state = host_device_state,
    .stream_state = host_stream_state,
    .op_at = lamina_op_at,
    .engine_register = lamina_engine_register,
};

/* ---- Modules ---------------------------------------------------------------------------------------------------- */

/* Tries PATH/liblamina-KIND.so and adds the reason of a failure to `tried`. */
static void *load(const char *folder, const char *kind, char *tried, size_t size) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s%sliblamina-%s.so", folder, *folder ? "/" : "", kind);
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) lamina_append(tried, size, "\n  %s", dlerror());
  return library;
}

static lamina_status module_load(lamina_device *device, const char *kind, lamina_module_open_fn **entry) {
  char tried[1200] = "", folder[PATH_MAX] = "";
  const char *path = getenv("LAMINA_MODULE_PATH");
  Dl_info self;
  if (path && *path) device->library = load(path, kind, tried, sizeof tried);
  if (!device->library && dladdr(&lamina_core_host, &self) && strchr(self.dli_fname, '/')) {
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(self.dli_fname, '/') - self.dli_fname), self.dli_fname);
    device->library = load(folder, kind, tried, sizeof tried);
  }
  if (!device->library) device->library = load("", kind, tried, sizeof tried);
  if (!device->library)
    return lamina_error(LAMINA_DEVICE, "device %s: there is no module for \"%s\" devices; tried%s", device->name, kind,
                        tried);
  void *symbol = dlsym(device->library, "lamina_module_open");
  memcpy(entry, &symbol, sizeof symbol); /* POSIX allows it, ISO C has no cast for it */
  if (!symbol)
    return lamina_error(LAMINA_DEVICE, "device %s: liblamina-%s.so has no lamina_module_open", device->name, kind);
  return LAMINA_OK;
}

/* By the entry that the program gave, or that of the module that is loaded. */
static lamina_status module_open(lamina_device *device, const char *kind, lamina_module_open_fn *entry) {
  if (!entry) LAMINA_TRY(module_load(device, kind, &entry));
  LAMINA_TRY(entry(&lamina_core_host, &device->module));
  if (device->module.size != sizeof(lamina_module) || device->module.abi != LAMINA_MODULE_ABI)
    return lamina_error(LAMINA_DEVICE, "device %s: its module was built for ABI %u, this library has %u", device->name,
                        device->module.abi, LAMINA_MODULE_ABI);
  if (strcmp(device->module.kind, kind) != 0)
    return lamina_error(LAMINA_INVALID, "device %s: its module is one for \"%s\" devices", device->name,
                        device->module.kind);
  return LAMINA_OK;
}

/* "cpu" is device 0 of kind "cpu", "cuda:1" device 1 of kind "cuda". */
static lamina_status parse_name(const char *name, char *kind, size_t size, int *index) {
  const char *colon = strchr(name, ':');
  const size_t length = colon ? (size_t)(colon - name) : strlen(name);
  char *end = NULL;
  *index = 0;
  if (length == 0 || length >= size || length != strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_"))
    return lamina_error(LAMINA_INVALID, "\"%s\" names no device; expected cpu, or KIND:INDEX such as cuda:0", name);
  snprintf(kind, size, "%.*s", (int)length, name);
  if (!colon) return LAMINA_OK;
  errno = 0;
  const long value = strtol(colon + 1, &end, 10);
  if (end == colon + 1 || *end || errno || value < 0 || value > 1023)
    return lamina_error(LAMINA_INVALID, "\"%s\" names no device; expected a number from 0 after the colon", name);
  *index = (int)value;
  return LAMINA_OK;
}

/* ---- Life ------------------------------------------------------------------------------------------------------- */

enum { MOST_THREADS = 4096, MOST_PLANS = 1 << 20 };

static lamina_status read_threads(lamina_device *device, int wanted) {
  const char *text = getenv("LAMINA_THREADS");
  cpu_set_t usable;
  const int cores = sched_getaffinity(0, sizeof usable, &usable) == 0 ? CPU_COUNT(&usable) : 1;
  device->threads = wanted > 0 ? wanted : cores;
  if (wanted > 0 || !text || !*text) return LAMINA_OK;
  char *end = NULL;
  const long value = strtol(text, &end, 10);
  if (*end || value < 1 || value > MOST_THREADS)
    return lamina_error(LAMINA_INVALID, "LAMINA_THREADS is \"%s\"; expected a number from 1 to %d", text, MOST_THREADS);
  device->threads = (int)value;
  return LAMINA_OK;
}

static lamina_status open_in(lamina_device *device, const char *name, const lamina_device_options *options) {
  char kind[24];
  int index;
  LAMINA_TRY(parse_name(name, kind, sizeof kind, &index));
  snprintf(device->name, sizeof device->name, "%s", name);
  LAMINA_TRY(read_threads(device, options->threads));
  if (strcmp(kind, "cpu") == 0)
    LAMINA_TRY(lamina_cpu_module(&lamina_core_host, &device->module));
  else
    LAMINA_TRY(module_open(device, kind, options->module));
  LAMINA_TRY(device->module.open(device, index, &device->state, device->about, sizeof device->about));
  if (device->module.reckon) device->module.reckon(device->state, &device->roofline);
  const char *cache = options->tune_cache ? options->tune_cache : getenv("LAMINA_TUNE_CACHE");
  LAMINA_TRY(lamina_tuning_open(device, cache, options->tune, options->tune_seconds));
  device->plans = lamina_plan_cache_open(&device->allocator, options->plan_cache > 0 ? options->plan_cache : 256);
  if (!device->plans) return LAMINA_OUT_OF_MEMORY;
  for (int i = 0; device->module.engines[i]; i++) LAMINA_TRY(lamina_engine_register(device, device->module.engines[i]));
  if (device->module.memory == LAMINA_MEMORY_DEVICE)
    LAMINA_TRY(lamina_engine_register(device, &lamina_ref_elsewhere_engine));
  device->own_engines = device->engine_count;
  const char *engine = options->engine ? options->engine : getenv("LAMINA_ENGINE");
  if (engine && *engine) LAMINA_TRY(lamina_engines_override(device, engine));
  device->stream.device = device;
  return device->module.stream_open(device->state, &device->stream.state);
}

static lamina_status check_options(const lamina_device_options *options) {
  LAMINA_TRY(lamina_allocator_check(options->allocator, "lamina_device_open"));
  if (options->threads < 0 || options->threads > MOST_THREADS)
    return lamina_error(LAMINA_INVALID, "lamina_device_open: options.threads is %d; expected 0 to %d", options->threads,
                        MOST_THREADS);
  if (options->plan_cache < 0 || options->plan_cache > MOST_PLANS)
    return lamina_error(LAMINA_INVALID, "lamina_device_open: options.plan_cache is %d; expected 0 to %d",
                        options->plan_cache, MOST_PLANS);
  if (!(options->tune_seconds >= 0 && options->tune_seconds <= 3600))
    return lamina_error(LAMINA_INVALID, "lamina_device_open: options.tune_seconds is %g; expected 0 to 3600",
                        options->tune_seconds);
  return LAMINA_OK;
}

lamina_status lamina_device_open(const char *name, const lamina_device_options *options, lamina_device **out) {
  static const lamina_device_options none;
  LAMINA_NOT_NULL(out, "device");
  *out = NULL;
  LAMINA_NOT_NULL(name, "name");
  if (!options) options = &none;
  LAMINA_TRY(check_options(options));
  lamina_device *device = lamina_alloc_zero(options->allocator, sizeof *device);
  if (!device) return LAMINA_OUT_OF_MEMORY;
  device->allocator = options->allocator ? *options->allocator : lamina_malloc;
  device->log = options->log;
  device->log_user = options->log_user;
  const lamina_status status = open_in(device, name, options);
  if (status) {
    lamina_device_close(device);
    return status;
  }
  lamina_log(device, LAMINA_LOG_INFO, "%s: %s", device->name, device->about);
  *out = device;
  return LAMINA_OK;
}

void lamina_device_close(lamina_device *device) {
  if (!device) return;
  const lamina_allocator allocator = device->allocator;
  lamina_plan_cache_close(device->plans);
  lamina_tuning_close(device);
  if (device->stream.device) lamina_stream_drop_workspace(&device->stream);
  if (device->stream.state) device->module.stream_close(device->state, device->stream.state);
  if (device->state) device->module.close(device->state);
  lamina_engines_close(device);
  if (device->library) dlclose(device->library);
  lamina_free(&allocator, device);
}
