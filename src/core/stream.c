/* Streams and events, memory and copies: what the module does, behind checks. */
#include <time.h>

#include "core/device.h"

/* ---- Streams ---------------------------------------------------------------------------------------------------- */

void lamina_stream_drop_workspace(lamina_stream *stream) {
  lamina_memory_free(stream->device, stream->workspace, stream->workspace_size);
  stream->workspace = NULL;
  stream->workspace_size = 0;
}

/* `native`: the program's own stream, or NULL for a new one. */
static lamina_status open_stream(lamina_device *device, void *native, lamina_stream **out) {
  const lamina_module *module = &device->module;
  lamina_stream *stream = lamina_alloc_zero(&device->allocator, sizeof *stream);
  if (!stream) return LAMINA_OUT_OF_MEMORY;
  stream->device = device;
  const lamina_status status = native ? module->stream_wrap(device->state, native, &stream->state)
                                      : module->stream_open(device->state, &stream->state);
  if (status)
    lamina_free(&device->allocator, stream);
  else
    *out = stream;
  return status;
}

lamina_status lamina_stream_open(lamina_device *device, lamina_stream **out) {
  LAMINA_NOT_NULL(out, "stream");
  *out = NULL;
  LAMINA_NOT_NULL(device, "device");
  return open_stream(device, NULL, out);
}

lamina_status lamina_stream_wrap(lamina_device *device, void *native, lamina_stream **out) {
  LAMINA_NOT_NULL(out, "stream");
  *out = NULL;
  LAMINA_NOT_NULL(device, "device");
  LAMINA_NOT_NULL(native, "native");
  if (!device->module.stream_wrap)
    return lamina_error(LAMINA_UNSUPPORTED, "lamina_stream_wrap: %s has no streams that a program could have opened",
                        device->name);
  return open_stream(device, native, out);
}

void lamina_stream_close(lamina_stream *stream) {
  if (!stream) return;
  lamina_device *device = stream->device;
  lamina_stream_drop_workspace(stream);
  device->module.stream_close(device->state, stream->state);
  lamina_free(&device->allocator, stream);
}

lamina_status lamina_stream_check(const lamina_device *device, const lamina_stream *stream, const char *who) {
  if (!stream || stream->device == device) return LAMINA_OK;
  return lamina_error(LAMINA_INVALID, "%s: stream is one of another device than %s", who, device->name);
}

lamina_status lamina_stream_sync(lamina_device *device, lamina_stream *stream) {
  LAMINA_NOT_NULL(device, "device");
  LAMINA_TRY(lamina_stream_check(device, stream, __func__));
  if (!stream) stream = &device->stream;
  return device->module.stream_sync(device->state, stream->state);
}

/* ---- Events ----------------------------------------------------------------------------------------------------- */

struct lamina_event {
  lamina_device *device;
  void *state; /* the module's; NULL where events have always come */
  bool timed, recorded;
  double at; /* seconds of the host's clock, where `state` is NULL */
};

static lamina_status open_event(lamina_device *device, bool timed, lamina_event **out) {
  lamina_status (*open)(void *, void **) = timed ? device->module.event_open_timed : device->module.event_open;
  lamina_event *event = lamina_alloc_zero(&device->allocator, sizeof *event);
  if (!event) return LAMINA_OUT_OF_MEMORY;
  event->device = device;
  event->timed = timed;
  const lamina_status status = open ? open(device->state, &event->state) : LAMINA_OK;
  if (status)
    lamina_free(&device->allocator, event);
  else
    *out = event;
  return status;
}

lamina_status lamina_event_open(lamina_device *device, lamina_event **out) {
  LAMINA_NOT_NULL(out, "event");
  *out = NULL;
  LAMINA_NOT_NULL(device, "device");
  return open_event(device, false, out);
}

lamina_status lamina_event_open_timed(lamina_device *device, lamina_event **out) {
  LAMINA_NOT_NULL(out, "event");
  *out = NULL;
  LAMINA_NOT_NULL(device, "device");
  if (device->module.event_open && !device->module.event_open_timed)
    return lamina_error(LAMINA_UNSUPPORTED, "the events of %s have no times", device->name);
  return open_event(device, true, out);
}

void lamina_event_close(lamina_event *event) {
  if (!event) return;
  lamina_device *device = event->device;
  if (event->state) device->module.event_close(device->state, event->state);
  lamina_free(&device->allocator, event);
}

static lamina_status with_stream(lamina_event *event, lamina_stream **stream, const char *who) {
  if (!event) return lamina_error(LAMINA_INVALID, "%s: event is NULL", who);
  LAMINA_TRY(lamina_stream_check(event->device, *stream, who));
  if (!*stream) *stream = &event->device->stream;
  return LAMINA_OK;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

lamina_status lamina_event_record(lamina_event *event, lamina_stream *stream) {
  LAMINA_TRY(with_stream(event, &stream, __func__));
  lamina_device *device = event->device;
  if (event->state)
    LAMINA_TRY(device->module.event_record(device->state, event->state, stream->state));
  else if (event->timed)
    event->at = now();
  event->recorded = true;
  return LAMINA_OK;
}

lamina_status lamina_event_wait(lamina_event *event, lamina_stream *stream) {
  LAMINA_TRY(with_stream(event, &stream, __func__));
  lamina_device *device = event->device;
  return event->state ? device->module.event_wait(device->state, stream->state, event->state) : LAMINA_OK;
}

lamina_status lamina_event_sync(lamina_event *event) {
  LAMINA_NOT_NULL(event, "event");
  return event->state ? event->device->module.event_sync(event->device->state, event->state) : LAMINA_OK;
}

lamina_status lamina_event_seconds(const lamina_event *from, const lamina_event *to, double *seconds) {
  LAMINA_NOT_NULL(seconds, "seconds");
  *seconds = 0;
  LAMINA_NOT_NULL(from, "from");
  LAMINA_NOT_NULL(to, "to");
  if (from->device != to->device)
    return lamina_error(LAMINA_INVALID, "lamina_event_seconds: the events are of two devices, %s and %s",
                        from->device->name, to->device->name);
  if (!from->timed || !to->timed || !from->recorded || !to->recorded)
    return lamina_error(LAMINA_INVALID, "lamina_event_seconds: %s %s; expected a timed event that was recorded",
                        from->timed && from->recorded ? "to" : "from",
                        !from->timed || (from->recorded && !to->timed) ? "has no time" : "was not recorded");
  if (from->state) return from->device->module.event_seconds(from->device->state, from->state, to->state, seconds);
  *seconds = to->at - from->at;
  return LAMINA_OK;
}

lamina_status lamina_event_done(lamina_event *event, bool *done) {
  LAMINA_NOT_NULL(done, "done");
  *done = true;
  LAMINA_NOT_NULL(event, "event");
  return event->state ? event->device->module.event_done(event->device->state, event->state, done) : LAMINA_OK;
}

/* ---- Memory ----------------------------------------------------------------------------------------------------- */

lamina_status lamina_memory_alloc(lamina_device *device, size_t size, void **memory) {
  LAMINA_NOT_NULL(memory, "memory");
  *memory = NULL;
  LAMINA_NOT_NULL(device, "device");
  if (size == 0) return LAMINA_OK;
  LAMINA_TRY(device->module.alloc(device->state, size, memory));
  const size_t now = atomic_fetch_add(&device->memory_now, size) + size;
  size_t most = atomic_load(&device->memory_most);
  while (now > most && !atomic_compare_exchange_weak(&device->memory_most, &most, now)) {}
  return LAMINA_OK;
}

void lamina_memory_free(lamina_device *device, void *memory, size_t size) {
  if (!device || !memory) return;
  device->module.free(device->state, memory, size);
  atomic_fetch_sub(&device->memory_now, size);
}

void lamina_memory_used(const lamina_device *device, size_t *now, size_t *most) {
  if (now) *now = device ? atomic_load(&device->memory_now) : 0;
  if (most) *most = device ? atomic_load(&device->memory_most) : 0;
}

lamina_status lamina_pinned_alloc(lamina_device *device, size_t size, void **memory) {
  LAMINA_NOT_NULL(memory, "memory");
  *memory = NULL;
  LAMINA_NOT_NULL(device, "device");
  if (size == 0) return LAMINA_OK;
  if (device->module.pinned_alloc) return device->module.pinned_alloc(device->state, size, memory);
  *memory = lamina_alloc(&device->allocator, size);
  return *memory ? LAMINA_OK : LAMINA_OUT_OF_MEMORY;
}

void lamina_pinned_free(lamina_device *device, void *memory, size_t size) {
  if (!device || !memory) return;
  if (device->module.pinned_free)
    device->module.pinned_free(device->state, memory, size);
  else
    lamina_free(&device->allocator, memory);
}

typedef lamina_status copy_fn(void *state, void *stream, void *to, const void *from, size_t size);

static lamina_status copy_by(copy_fn *copy, lamina_device *device, void *to, const void *from, size_t size,
                             lamina_stream *stream, const char *who) {
  LAMINA_TRY(lamina_stream_check(device, stream, who));
  if (!stream) stream = &device->stream;
  if (size == 0) return LAMINA_OK;
  if (!to || !from) return lamina_error(LAMINA_INVALID, "%s: %s is NULL", who, to ? "from" : "to");
  return copy(device->state, stream->state, to, from, size);
}

lamina_status lamina_copy(lamina_device *device, void *to, const void *from, size_t size, lamina_stream *stream) {
  LAMINA_NOT_NULL(device, "device");
  return copy_by(device->module.copy, device, to, from, size, stream, __func__);
}

lamina_status lamina_copy_async(lamina_device *device, void *to, const void *from, size_t size, lamina_stream *stream) {
  LAMINA_NOT_NULL(device, "device");
  copy_fn *copy = device->module.copy_async ? device->module.copy_async : device->module.copy;
  return copy_by(copy, device, to, from, size, stream, __func__);
}

/* ---- Captures --------------------------------------------------------------------------------------------------- */

bool lamina_captures(const lamina_device *device) { return device->module.capture_begin != NULL; }

lamina_status lamina_capture_begin(lamina_device *device) {
  return device->module.capture_begin(device->state, device->stream.state);
}

lamina_status lamina_capture_end(lamina_device *device, void **capture) {
  return device->module.capture_end(device->state, device->stream.state, capture);
}

lamina_status lamina_capture_run(lamina_device *device, void *capture) {
  return device->module.capture_run(device->state, device->stream.state, capture);
}

void lamina_capture_close(lamina_device *device, void *capture) {
  if (capture) device->module.capture_close(device->state, capture);
}
