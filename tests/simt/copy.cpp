// Copies and fills: the checks when they are queued, and the API's functions.
#include <cstring>

#include "device.h"
#include "scheduler.h"

using namespace emulated;

namespace {

struct Box {
  size_t width, height;
};
size_t extent(size_t pitch, Box box) { return box.height ? (box.height - 1) * pitch + box.width : 0; }
void copy_rows(void *to, size_t to_pitch, const void *from, size_t from_pitch, Box box) {
  for (size_t i = 0; i < box.height; i++)
    memmove(static_cast<char *>(to) + i * to_pitch, static_cast<const char *>(from) + i * from_pitch, box.width);
}
// For the race detector: each row of what the operation reads or writes.
void note_rows(const void *p, size_t pitch, Box box, simt::Access access) {
  for (size_t i = 0; i < box.height; i++)
    simt::race_access(static_cast<const char *>(p) + i * pitch, box.width, access);
}
bool is_host(const Where &w) { return w.kind == Where::pinned || w.kind == Where::pageable; }

// What is wrong with a copy from one to the other; cudaSuccess: nothing. Out of range is reported, too: a host that ignores
// the status would go unnoticed.
cudaError_t check_copy(const Where &to, const Where &from, cudaMemcpyKind kind, const char *name) {
  for (const Where *w : {&to, &from})
    if (w->kind == Where::bad) {
      report("%s %s: %s", name, w == &to ? "to" : "from", w->why.c_str());
      return done(cudaErrorInvalidValue);
    }
  const auto side = [](bool host) { return host ? "host" : "device"; };
  const bool said_to = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyHostToHost;
  const bool said_from = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyHostToHost;
  if (kind == cudaMemcpyDefault || (is_host(to) == said_to && is_host(from) == said_from)) return cudaSuccess;
  return refuse(cudaErrorInvalidValue, "%s: the direction says %s to %s, the pointers say %s to %s", name,
                side(said_from), side(said_to), side(is_host(from)), side(is_host(to)));
}

cudaError_t copy(void *to, size_t to_pitch, const void *from, size_t from_pitch, Box box, cudaMemcpyKind kind,
                 cudaStream_t stream, bool async, const char *name) {
  cudaStream_t s;
  if (const cudaError_t e = get_stream(stream, &s)) return e;
  if (static_cast<unsigned>(kind) > cudaMemcpyDefault) return done(cudaErrorInvalidMemcpyDirection);
  if (box.height > 1 && (to_pitch < box.width || from_pitch < box.width))
    return refuse(cudaErrorInvalidValue, "%s: a pitch below the width", name);
  if (!box.width || !box.height) return done(cudaSuccess);
  if (strike(EMULATED_COPY)) return refuse(cudaErrorUnknown, "%s", name);
  if (S->recording) {
    S->records.push_back("copy " + std::to_string(box.width * box.height));
    return cudaSuccess;
  }
  if (!to || !from) return refuse(cudaErrorInvalidValue, "%s: a null pointer", name);
  const Where w_to = where(to, extent(to_pitch, box)), w_from = where(from, extent(from_pitch, box));
  if (const cudaError_t e = check_copy(w_to, w_from, kind, name)) return e;
  const bool pageable = w_from.kind == Where::pageable || w_to.kind == Where::pageable;
  if (s->capture && (pageable || !async)) {
    invalidate(s->capture);
    return refuse(cudaErrorStreamCaptureUnsupported, "%s of pageable memory in a capture", name);
  }
  if (!async) NOT_WHILE_CAPTURING(name);

  const WorkP w = make_work(name, 1 + static_cast<double>(box.width * box.height) * 2e-5); // about 50 GB/s
  for (const Where *x : {&w_to, &w_from})
    if (x->alloc) w->uses.push_back(x->alloc);
  bool wait = false;
  if (w_from.kind == Where::pageable && !is_host(w_to)) {
    // Staged: the source may be used again when the call returns, but the data need not have arrived.
    if (!async && s->last) S->counts.waits++, wait_for({s->last});
    const auto stage = std::make_shared<std::vector<char>>(box.width * box.height);
    copy_rows(stage->data(), box.width, from, from_pitch, box);
    w->run = [=] {
      simt::race_launch(name);
      note_rows(to, to_pitch, box, simt::Access::write);
      copy_rows(to, to_pitch, stage->data(), box.width, box);
      simt::race_finish(name);
    };
  } else {
    const bool ours_from = w_from.kind != Where::pageable, ours_to = w_to.kind != Where::pageable;
    w->run = [=] {
      simt::race_launch(name);
      if (ours_from) note_rows(from, from_pitch, box, simt::Access::read);
      if (ours_to) note_rows(to, to_pitch, box, simt::Access::write);
      copy_rows(to, to_pitch, from, from_pitch, box);
      simt::race_finish(name);
    };
    // Device to device never waits, not even cudaMemcpy.
    wait = pageable || (!async && (is_host(w_to) || is_host(w_from)));
  }
  OpP op;
  if (const cudaError_t e = enqueue(s, w, &op)) return e;
  if (wait) S->counts.waits++, wait_for({op});
  return done(device_at(s->device).sticky);
}

cudaError_t set(void *p, int value, size_t n, cudaStream_t stream, bool async, const char *name) {
  cudaStream_t s;
  if (const cudaError_t e = get_stream(stream, &s)) return e;
  if (!n) return done(cudaSuccess);
  if (strike(EMULATED_COPY)) return refuse(cudaErrorUnknown, "%s", name);
  if (S->recording) {
    S->records.push_back("fill " + std::to_string(n));
    return cudaSuccess;
  }
  if (!async)
    if (const cudaError_t e = refuse_if_capturing(name)) return e;
  const Where w = where(p, n);
  if (w.kind == Where::bad) {
    report("%s: %s", name, w.why.c_str());
    return done(cudaErrorInvalidValue);
  }
  if (w.kind == Where::pageable) return refuse(cudaErrorInvalidValue, "%s of host memory", name);
  const WorkP work = make_work(name, 1);
  work->uses = {w.alloc};
  work->run = [=] {
    simt::race_launch(name);
    simt::race_access(p, n, simt::Access::write);
    memset(p, value, n);
    simt::race_finish(name);
  };
  OpP op;
  if (const cudaError_t e = enqueue(s, work, &op)) return e;
  if (!async && w.kind == Where::pinned) S->counts.waits++, wait_for({op}); // device memory: asynchronous, says CUDA
  return done(device_at(s->device).sticky);
}

} // namespace

cudaError_t cudaMemcpy(void *d, const void *s, size_t n, cudaMemcpyKind k) {
  ENTER();
  return copy(d, n, s, n, {n, 1}, k, nullptr, false, "cudaMemcpy");
}
cudaError_t cudaMemcpyAsync(void *d, const void *s, size_t n, cudaMemcpyKind k, cudaStream_t st) {
  ENTER();
  return copy(d, n, s, n, {n, 1}, k, st, true, "cudaMemcpyAsync");
}
cudaError_t cudaMemcpy2D(void *d, size_t dp, const void *s, size_t sp, size_t w, size_t h, cudaMemcpyKind k) {
  ENTER();
  return copy(d, dp, s, sp, {w, h}, k, nullptr, false, "cudaMemcpy2D");
}
cudaError_t cudaMemcpy2DAsync(void *d, size_t dp, const void *s, size_t sp, size_t w, size_t h, cudaMemcpyKind k,
                              cudaStream_t st) {
  ENTER();
  return copy(d, dp, s, sp, {w, h}, k, st, true, "cudaMemcpy2DAsync");
}
cudaError_t cudaMemcpyPeerAsync(void *d, int, const void *s, int, size_t n, cudaStream_t st) {
  ENTER();
  return copy(d, n, s, n, {n, 1}, cudaMemcpyDeviceToDevice, st, true, "cudaMemcpyPeerAsync");
}
cudaError_t cudaMemset(void *p, int v, size_t n) {
  ENTER();
  return set(p, v, n, nullptr, false, "cudaMemset");
}
cudaError_t cudaMemsetAsync(void *p, int v, size_t n, cudaStream_t s) {
  ENTER();
  return set(p, v, n, s, true, "cudaMemsetAsync");
}
