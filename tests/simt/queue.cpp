// Lazy streams: every call queues an operation, with those that it must follow. Nothing runs until something waits, and
// then in the least convenient order that is permitted.
#include <algorithm>

#include "device.h"
#include "scheduler.h"

namespace emulated {
namespace {

// What is over before an operation is needed by the race detector alone.
void learn(simt::Known &known, const simt::Known &more) {
  if (!simt::detects_races()) return;
  for (const auto &[chain, number] : more) known[chain] = std::max(known[chain], number);
}

void follow(const OpP &op, const OpP &before) {
  if (!before || before == op) return;
  learn(op->known, before->known);
  op->end_us = std::max(op->end_us, before->end_us);
  if (before->done) return;
  before->out.push_back(op);
  op->deps.push_back(before);
  op->unmet++;
}

void make_sticky(int d, cudaError_t e) {
  if (!device_at(d).sticky) device_at(d).sticky = e;
}

void run_on_device(Work &w) {
  memory_open();
  try {
    w.run();
  } catch (const simt::Error &e) {
    report("%s", e.what()); // it names the kernel
    make_sticky(w.device, cudaErrorLaunchFailure);
  }
  for (const AllocP &a : w.uses) {
    const std::string broken = a->life == Life::live ? broken_red_zone(*a) : "";
    if (broken.empty()) continue;
    report("%s: %s", w.name.c_str(), broken.c_str());
    make_sticky(w.device, cudaErrorIllegalAddress);
  }
}

void run_on_host(Work &w) {
  memory_close();
  in_host_function = true;
  w.run();
  in_host_function = false;
}

void run(Work &w) {
  const Device &d = device_at(w.device);
  if (d.sticky) {
    if (w.frees) w.run(); // nothing else runs on a dead device
    return;
  }
  const bool lost = strike(EMULATED_LOST), bad = strike(EMULATED_RUN);
  if (lost || bad) {
    make_sticky(w.device, lost ? cudaErrorUnknown : cudaErrorIllegalAddress);
    if (w.frees) w.run();
    return;
  }
  for (const AllocP &a : w.uses)
    if (a->life != Life::live) {
      report("%s runs on %s", w.name.c_str(), describe(*a).c_str());
      make_sticky(w.device, cudaErrorIllegalAddress);
    }
  if (d.sticky) return;
  S->running = &w;
  if (w.host_function)
    run_on_host(w);
  else
    run_on_device(w);
  S->running = nullptr;
}

void execute(const OpP &op) {
  simt::race_place({op->chain, op->id, &op->known});
  if (op->work->run) run(*op->work);
  simt::race_place({});
  op->end_us += op->work->cost_us;
  op->done = true;
  S->pending.erase(op.get());
  for (const OpP &next : op->out) {
    next->end_us = std::max(next->end_us, op->end_us);
    if (--next->unmet == 0) S->ready.push_back(next);
  }
  op->out.clear();
}

uint64_t rank(int stream) {
  uint64_t x = (S->epoch * 1000003 + static_cast<uint64_t>(stream) + 1) * 0x9E3779B97F4A7C15ull;
  x ^= S->seed * 0xD6E8FEB86659FD93ull;
  x ^= x >> 32;
  x *= 0xD6E8FEB86659FD93ull;
  return x ^ x >> 29;
}

// Whether a runs before b, of two that could.
bool before(const Op &a, const Op &b) {
  const bool earlier = a.id < b.id;
  switch (policy()) {
  case Policy::latest: return !earlier; // what was needed last runs first, so that others lag as far as they may
  case Policy::earliest: return earlier;
  case Policy::stream_first:
    if (a.stream == b.stream) return earlier;
    return S->seed == 3 ? a.stream > b.stream : a.stream < b.stream;
  case Policy::random: break;
  }
  // A uniform choice would hardly ever let one stream fall far behind.
  return a.stream == b.stream ? earlier : rank(a.stream) > rank(b.stream);
}

// Takes the next operation; `needed` is what the caller waits for, with all that precedes it. NULL: nothing.
OpP pick(const std::unordered_set<Op *> &needed) {
  std::vector<OpP> &ready = S->ready;
  if (policy() == Policy::random && next_random() % 32 == 0) S->epoch++;
  size_t best = ready.size();
  for (size_t i = 0; i < ready.size(); i++) {
    if (policy() == Policy::latest && !needed.count(ready[i].get())) continue;
    if (best == ready.size() || before(*ready[i], *ready[best])) best = i;
  }
  if (best == ready.size()) return nullptr;
  const OpP op = ready[best];
  ready.erase(ready.begin() + static_cast<ptrdiff_t>(best));
  return op;
}

// The operations, and all that has to run before them.
std::unordered_set<Op *> closure(const std::vector<OpP> &ops) {
  std::unordered_set<Op *> seen;
  std::vector<OpP> todo = ops;
  while (!todo.empty()) {
    const OpP op = todo.back();
    todo.pop_back();
    if (!op || op->done || !seen.insert(op.get()).second) continue;
    for (const std::weak_ptr<Op> &d : op->deps)
      if (const OpP p = d.lock()) todo.push_back(p);
  }
  return seen;
}

// What runs right when it is queued.
void after_enqueue() {
  uint64_t some = 0;
  if (policy() == Policy::earliest)
    some = UINT64_MAX;
  else if (policy() == Policy::random && S->seed % 2)
    some = next_random() % 3;
  for (; some; some--) {
    const OpP op = pick({});
    if (!op) return;
    execute(op);
  }
}

// Once it follows all that it must.
void add(const OpP &op) {
  op->known[op->chain] = op->id;
  S->pending.insert(op.get());
  if (!op->unmet) S->ready.push_back(op);
}

OpP make_op(WorkP w, int stream, int chain) {
  const OpP op = std::make_shared<Op>();
  op->work = std::move(w);
  op->id = S->next_op++;
  op->stream = stream;
  op->chain = chain;
  learn(op->known, S->known); // the host queues it after what it has waited for
  return op;
}

// (The legacy streams of all devices are number 0.)
int chain_of(const CUstream_st &s) { return s.legacy ? 1 << 30 | s.device : s.id; }

// Calls `each` with every blocking stream of a device, destroyed ones with work left as well.
template <class Each> void for_blocking_streams(int d, Each each) {
  for (auto *streams : {&S->streams, &S->dead_streams})
    for (const auto &[handle, s] : *streams)
      if (s->device == d && !(s->flags & cudaStreamNonBlocking)) each(*s);
}

} // namespace

WorkP make_work(const char *name, double cost_us) {
  const WorkP w = std::make_shared<Work>();
  w->name = name;
  w->cost_us = cost_us;
  return w;
}

void saw_done(const OpP &op) {
  if (op) learn(S->known, op->known);
}

void wait_for(const std::vector<OpP> &ops) {
  const auto all_done = [&] { return std::all_of(ops.begin(), ops.end(), [](const OpP &o) { return !o || o->done; }); };
  if (!all_done()) {
    const std::unordered_set<Op *> needed = closure(ops);
    while (!all_done()) execute(pick(needed));
  }
  for (const OpP &op : ops) saw_done(op);
}

void wait_device(int d) {
  std::vector<OpP> all;
  for (auto *streams : {&S->streams, &S->dead_streams})
    for (const auto &[handle, s] : *streams)
      if (s->device == d) all.push_back(s->last);
  if (device_at(d).legacy) all.push_back(device_at(d).legacy->last);
  wait_for(all);
}

void poke(const OpP &op) {
  if (!op || op->done) return;
  if (const OpP p = pick(closure({op}))) execute(p);
}

cudaError_t get_stream(cudaStream_t s, cudaStream_t *out) {
  if (s == cudaStreamPerThread) {
    report("cudaStreamPerThread is not modelled");
    return done(cudaErrorNotSupported);
  }
  if (!s || s == cudaStreamLegacy) {
    std::unique_ptr<CUstream_st> &legacy = device_now().legacy;
    if (!legacy) {
      legacy = std::make_unique<CUstream_st>();
      legacy->device = current_device;
      legacy->legacy = true;
    }
    *out = legacy.get();
    return cudaSuccess;
  }
  if (!known(S->streams, s))
    return refuse(cudaErrorInvalidResourceHandle, "%s",
                  S->dead_streams.count(s) ? "the stream was destroyed" : "not a stream");
  if (s->capture && s->capture->invalid)
    return refuse(cudaErrorStreamCaptureInvalidated, "the capture was invalidated before");
  *out = s;
  return cudaSuccess;
}

cudaError_t enqueue(cudaStream_t s, WorkP w, OpP *out, OpP extra) {
  w->device = s->device;
  if (s->capture) return capture_add(s, w);
  if (s->legacy) // using it would synchronise with a stream that is being captured
    for (const CaptureP &c : S->captures)
      if (c->origin->device == s->device && !(c->origin->flags & cudaStreamNonBlocking)) {
        invalidate(c);
        return refuse(cudaErrorStreamCaptureImplicit, "%s on the legacy stream during a capture", w->name.c_str());
      }
  const OpP op = make_op(std::move(w), s->id, chain_of(*s));
  follow(op, s->last);
  follow(op, extra);
  if (s->legacy)
    for_blocking_streams(s->device, [&](const CUstream_st &other) { follow(op, other.last); });
  else if (!(s->flags & cudaStreamNonBlocking) && device_at(s->device).legacy)
    follow(op, device_at(s->device).legacy->last);
  s->last = op;
  add(op);
  if (out) *out = op;
  after_enqueue();
  return cudaSuccess;
}

// A replay: `first` follows the stream and the last replay of the same graph; `last` is where the stream stands then.
cudaError_t enqueue_graph(cudaStream_t s, CUgraphExec_st &x) {
  OpP first;
  if (const cudaError_t e = enqueue(s, make_work("graph begins", 1), &first, x.last)) return e;
  std::vector<OpP> ops;
  std::vector<bool> leaf(x.nodes.size(), true);
  for (const CUgraphNode_st &node : x.nodes) {
    // Streams of the capture: its branches compete as streams do.
    const OpP op = make_op(node.work, node.stream, x.first_chain + node.chain);
    if (node.deps.empty()) follow(op, first);
    for (size_t d : node.deps) {
      follow(op, ops[d]);
      leaf[d] = false;
    }
    add(op);
    ops.push_back(op);
  }
  const OpP last = make_op(make_work("graph ends", 1), s->id, chain_of(*s));
  last->work->device = s->device;
  follow(last, first);
  for (size_t i = 0; i < ops.size(); i++)
    if (leaf[i]) follow(last, ops[i]);
  add(last);
  s->last = x.last = last;
  after_enqueue();
  return cudaSuccess;
}

} // namespace emulated
