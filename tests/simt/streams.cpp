// The API's functions for streams and events.
#include <algorithm>

#include "device.h"

using namespace emulated;

#define LIVE_EVENT(e)                                                                                                  \
  if (!known(S->events, e)) return refuse(cudaErrorInvalidResourceHandle, "%s: not a live event", __func__)

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *out, unsigned flags, int) {
  ENTER();
  if (!out || flags & ~static_cast<unsigned>(cudaStreamNonBlocking)) return done(cudaErrorInvalidValue);
  auto s = std::make_unique<CUstream_st>();
  s->id = S->next_stream++;
  s->device = current_device;
  s->flags = flags;
  *out = s.get();
  S->streams[*out] = std::move(s);
  return done(cudaSuccess);
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags) {
  return cudaStreamCreateWithPriority(out, flags, 0);
}
cudaError_t cudaStreamCreate(cudaStream_t *out) { return cudaStreamCreateWithPriority(out, 0, 0); }
cudaError_t cudaStreamDestroy(cudaStream_t s) {
  Api api;
  if (!known(S->streams, s)) {
    report("cudaStreamDestroy of %s", S->dead_streams.count(s) ? "a destroyed stream" : "something else");
    return done(cudaErrorInvalidResourceHandle);
  }
  retire(S->streams, S->dead_streams, s); // queued work still runs
  return done(device_now().sticky);
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  ENTER();
  cudaStream_t s;
  if (const cudaError_t e = get_stream(stream, &s)) return e;
  if (s->capture) {
    invalidate(s->capture);
    return refuse(cudaErrorStreamCaptureUnsupported, "synchronising a stream that is being captured");
  }
  std::vector<OpP> last{s->last};
  if (s->legacy) // waits for blocking streams as well
    for (const auto &[handle, other] : S->streams)
      if (other->device == s->device && !(other->flags & cudaStreamNonBlocking)) last.push_back(other->last);
  S->counts.waits++;
  wait_for(last);
  return done(device_at(s->device).sticky);
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  ENTER();
  cudaStream_t s;
  if (const cudaError_t e = get_stream(stream, &s)) return e;
  if (s->capture) {
    invalidate(s->capture);
    return refuse(cudaErrorStreamCaptureUnsupported, "querying a stream that is being captured");
  }
  const bool ready = !s->last || s->last->done;
  if (ready)
    saw_done(s->last);
  else
    poke(s->last); // not ready this time, even if that was the last one
  return done(device_at(s->device).sticky ? device_at(s->device).sticky : ready ? cudaSuccess : cudaErrorNotReady);
}
cudaError_t cudaDeviceSynchronize(void) {
  ENTER();
  for (const CaptureP &c : S->captures)
    if (c->origin->device == current_device) {
      invalidate(c);
      return refuse(cudaErrorStreamCaptureUnsupported, "cudaDeviceSynchronize during a capture");
    }
  S->counts.waits++;
  wait_device(current_device);
  return done(device_now().sticky);
}
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t fn, void *data) {
  ENTER();
  cudaStream_t s;
  if (const cudaError_t e = get_stream(stream, &s)) return e;
  if (!fn) return done(cudaErrorInvalidValue);
  const WorkP w = make_work("host function", 0.5);
  w->host_function = true;
  w->run = [=] { fn(data); };
  return done(enqueue(s, w));
}
cudaError_t cudaStreamGetFlags(cudaStream_t stream, unsigned *flags) {
  ENTER();
  cudaStream_t s;
  if (const cudaError_t e = get_stream(stream, &s)) return e;
  *flags = s->flags;
  return done(cudaSuccess);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned flags) {
  ENTER();
  if (!out || flags & ~static_cast<unsigned>(cudaEventBlockingSync | cudaEventDisableTiming | cudaEventInterprocess))
    return done(cudaErrorInvalidValue);
  auto e = std::make_unique<CUevent_st>();
  e->device = current_device;
  e->flags = flags;
  *out = e.get();
  S->events[*out] = std::move(e);
  return done(cudaSuccess);
}
cudaError_t cudaEventCreate(cudaEvent_t *out) { return cudaEventCreateWithFlags(out, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t e) {
  Api api;
  if (!known(S->events, e)) {
    report("cudaEventDestroy of %s", S->dead_events.count(e) ? "a destroyed event" : "something else");
    return done(cudaErrorInvalidResourceHandle);
  }
  retire(S->events, S->dead_events, e);
  return done(device_now().sticky);
}
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t stream) {
  ENTER();
  LIVE_EVENT(e);
  cudaStream_t s;
  if (const cudaError_t err = get_stream(stream, &s)) return err;
  if (e->device != s->device)
    return refuse(cudaErrorInvalidResourceHandle, "event and stream belong to different devices");
  if (s->capture) {
    e->capture_id = s->capture->id;
    e->tail = s->tail;
    return done(cudaSuccess);
  }
  e->capture_id = 0;
  return done(enqueue(s, make_work("cudaEventRecord", 0.5), &e->op));
}
static CaptureP capture_of(cudaEvent_t e) {
  for (const CaptureP &c : S->captures)
    if (c->id == e->capture_id) return c;
  return nullptr;
}
// Joins the stream to the event's capture, or two branches of it.
static cudaError_t join(cudaStream_t s, cudaEvent_t e) {
  const CaptureP c = capture_of(e);
  if (!c) return refuse(cudaErrorCapturedEvent, "the event was recorded in a capture that has ended");
  if (s->legacy) {
    invalidate(c);
    return refuse(cudaErrorStreamCaptureImplicit, "the legacy stream can't join a capture");
  }
  if (s->capture && s->capture != c) {
    invalidate(c);
    invalidate(s->capture);
    return refuse(cudaErrorStreamCaptureMerge, "an event of another capture");
  }
  if (!s->capture) {
    s->capture = c;
    s->tail.clear();
  }
  for (size_t node : e->tail)
    if (std::find(s->tail.begin(), s->tail.end(), node) == s->tail.end()) s->tail.push_back(node);
  return done(cudaSuccess);
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t e, unsigned) {
  ENTER();
  LIVE_EVENT(e);
  cudaStream_t s;
  if (const cudaError_t err = get_stream(stream, &s)) return err;
  if (e->capture_id) return join(s, e);
  if (!e->op) return done(cudaSuccess); // never recorded: CUDA waits for nothing
  if (s->capture) {
    invalidate(s->capture);
    return refuse(cudaErrorStreamCaptureIsolation, "a capture cannot wait for work outside of it");
  }
  return done(enqueue(s, make_work("cudaStreamWaitEvent", 0.5), nullptr, e->op));
}
static cudaError_t captured(cudaEvent_t e) {
  if (!e->capture_id) return cudaSuccess;
  if (const CaptureP c = capture_of(e)) invalidate(c);
  return refuse(cudaErrorCapturedEvent, "the event was recorded in a capture");
}
cudaError_t cudaEventSynchronize(cudaEvent_t e) {
  ENTER();
  LIVE_EVENT(e);
  if (const cudaError_t err = captured(e)) return err;
  wait_for({e->op});
  return done(device_at(e->device).sticky);
}
cudaError_t cudaEventQuery(cudaEvent_t e) {
  ENTER();
  LIVE_EVENT(e);
  if (const cudaError_t err = captured(e)) return err;
  if (const cudaError_t err = refuse_if_capturing("cudaEventQuery")) return err;
  const bool ready = !e->op || e->op->done;
  if (ready)
    saw_done(e->op);
  else
    poke(e->op);
  return done(device_at(e->device).sticky ? device_at(e->device).sticky : ready ? cudaSuccess : cudaErrorNotReady);
}
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t a, cudaEvent_t b) {
  ENTER();
  LIVE_EVENT(a);
  LIVE_EVENT(b);
  if (!ms) return done(cudaErrorInvalidValue);
  if (!a->op || !b->op || a->capture_id || b->capture_id || (a->flags | b->flags) & cudaEventDisableTiming)
    return refuse(cudaErrorInvalidResourceHandle, "cudaEventElapsedTime: an event without a time");
  if (!a->op->done || !b->op->done) return done(cudaErrorNotReady);
  *ms = static_cast<float>((b->op->end_us - a->op->end_us) * 1e-3);
  return done(cudaSuccess);
}
