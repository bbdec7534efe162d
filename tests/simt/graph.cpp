// Captures and graphs. A graph is the queued work with what it depends on; a launch queues a copy of it, so nodes that
// nothing orders run in an adversarial order, as streams do.
#include <algorithm>

#include "device.h"

namespace emulated {
void invalidate(const CaptureP &c) { c->invalid = true; }
cudaError_t refuse_if_capturing(const char *what) {
  cudaError_t e = cudaSuccess;
  for (const CaptureP &c : S->captures)
    if (c->mode == cudaStreamCaptureModeGlobal ||
        (c->mode == cudaStreamCaptureModeThreadLocal && c->thread == std::this_thread::get_id())) {
      invalidate(c);
      e = cudaErrorStreamCaptureUnsupported;
    }
  return e ? refuse(e, "%s during a capture", what) : e;
}
cudaError_t capture_add(cudaStream_t s, WorkP w) {
  auto &nodes = s->capture->graph->nodes;
  nodes.push_back(std::make_unique<CUgraphNode_st>(CUgraphNode_st{w, s->tail, s->id, 0}));
  s->tail = {nodes.size() - 1};
  return cudaSuccess;
}

// Whether every node precedes where the origin stream stands.
static bool all_joined(const CUgraph_st &graph, std::vector<size_t> todo) {
  std::vector<bool> joined(graph.nodes.size());
  while (!todo.empty()) {
    const size_t i = todo.back();
    todo.pop_back();
    if (joined[i]) continue;
    joined[i] = true;
    todo.insert(todo.end(), graph.nodes[i]->deps.begin(), graph.nodes[i]->deps.end());
  }
  return std::find(joined.begin(), joined.end(), false) == joined.end();
}

static cudaError_t end_capture(cudaStream_t s, cudaGraph_t *out) {
  const CaptureP c = s->capture;
  if (!c) return refuse(cudaErrorIllegalState, "the stream is not being captured");
  if (c->origin != s) return refuse(cudaErrorStreamCaptureUnmatched, "the capture began on another stream");
  if (c->mode != cudaStreamCaptureModeRelaxed && c->thread != std::this_thread::get_id())
    return refuse(cudaErrorStreamCaptureWrongThread, "the capture began on another thread");
  const bool joined = all_joined(*c->graph, s->tail);
  for (auto *streams : {&S->streams, &S->dead_streams})
    for (const auto &[handle, other] : *streams)
      if (other->capture == c) {
        other->capture = nullptr;
        other->tail.clear();
      }
  S->captures.erase(std::find(S->captures.begin(), S->captures.end(), c));
  if (!c->invalid && joined) {
    *out = c->graph;
    return cudaSuccess;
  }
  retire(S->graphs, S->dead_graphs, c->graph);
  return c->invalid ? refuse(cudaErrorStreamCaptureInvalidated, "a call during the capture invalidated it")
                    : refuse(cudaErrorStreamCaptureUnjoined, "a forked stream was not joined");
}

// Puts an executable graph's nodes behind what the capture has.
static void capture_graph(cudaStream_t s, const CUgraphExec_st &x) {
  auto &nodes = s->capture->graph->nodes;
  const size_t base = nodes.size();
  std::vector<bool> leaf(x.nodes.size(), true);
  for (const CUgraphNode_st &node : x.nodes) {
    CUgraphNode_st copy = node;
    for (size_t &d : copy.deps) {
      leaf[d] = false;
      d += base;
    }
    if (copy.deps.empty()) copy.deps = s->tail;
    nodes.push_back(std::make_unique<CUgraphNode_st>(copy));
  }
  if (!x.nodes.empty()) s->tail.clear();
  for (size_t i = 0; i < leaf.size(); i++)
    if (leaf[i]) s->tail.push_back(base + i);
}

// Gives each node its chain: that of a node which it follows and no other has continued, else one of its own. Replays
// follow each other, so chains go on from one to the next. Returns how many there are.
static int make_chains(std::vector<CUgraphNode_st> &nodes) {
  int chains = 0;
  std::vector<bool> continued(nodes.size());
  for (CUgraphNode_st &node : nodes) {
    const auto free = std::find_if(node.deps.begin(), node.deps.end(), [&](size_t d) { return !continued[d]; });
    if (free == node.deps.end()) {
      node.chain = chains++;
    } else {
      node.chain = nodes[*free].chain;
      continued[*free] = true;
    }
  }
  return chains;
}

} // namespace emulated

using namespace emulated;

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  ENTER();
  cudaStream_t s;
  if (const cudaError_t e = get_stream(stream, &s)) return e;
  if (s->legacy) return refuse(cudaErrorStreamCaptureUnsupported, "the legacy stream cannot be captured");
  if (s->capture) return refuse(cudaErrorIllegalState, "the stream is being captured already");
  auto g = std::make_unique<CUgraph_st>();
  s->capture =
      std::make_shared<Capture>(Capture{S->next_capture++, g.get(), s, mode, std::this_thread::get_id(), false});
  s->tail.clear();
  S->captures.push_back(s->capture);
  S->graphs[g.get()] = std::move(g);
  return done(cudaSuccess);
}
cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *out) {
  Api api;
  if (!out) return done(cudaErrorInvalidValue);
  *out = nullptr;
  if (!known(S->streams, s)) return refuse(cudaErrorInvalidResourceHandle, "not a stream");
  return done(end_capture(s, out));
}
cudaError_t cudaStreamIsCapturing(cudaStream_t s, cudaStreamCaptureStatus *out) {
  ENTER();
  if (!out || (s && !known(S->streams, s))) return done(cudaErrorInvalidValue);
  *out = !s || !s->capture     ? cudaStreamCaptureStatusNone
         : s->capture->invalid ? cudaStreamCaptureStatusInvalidated
                               : cudaStreamCaptureStatusActive;
  return done(cudaSuccess);
}
cudaError_t cudaGraphGetNodes(cudaGraph_t g, cudaGraphNode_t *out, size_t *n) {
  ENTER();
  if (!known(S->graphs, g) || !n) return done(cudaErrorInvalidValue);
  if (out)
    for (size_t i = 0; i < std::min(*n, g->nodes.size()); i++) out[i] = g->nodes[i].get();
  *n = g->nodes.size();
  return done(cudaSuccess);
}
cudaError_t cudaGraphDestroy(cudaGraph_t g) {
  Api api;
  if (!known(S->graphs, g)) {
    report("cudaGraphDestroy of something that is no live graph");
    return done(cudaErrorInvalidValue);
  }
  retire(S->graphs, S->dead_graphs, g);
  return done(device_now().sticky);
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *out, cudaGraph_t g, unsigned long long) {
  ENTER();
  if (!out || !known(S->graphs, g)) return done(cudaErrorInvalidValue);
  *out = nullptr;
  if (strike(EMULATED_ALLOC)) return refuse(cudaErrorMemoryAllocation, "cudaGraphInstantiate");
  auto x = std::make_unique<CUgraphExec_st>();
  for (const auto &node : g->nodes) x->nodes.push_back(*node);
  x->device = current_device;
  x->first_chain = S->next_graph_chain;
  S->next_graph_chain += make_chains(x->nodes);
  *out = x.get();
  S->execs[*out] = std::move(x);
  return done(cudaSuccess);
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t x) {
  Api api;
  if (!known(S->execs, x)) {
    report("cudaGraphExecDestroy of something that is no live executable graph");
    return done(cudaErrorInvalidValue);
  }
  retire(S->execs, S->dead_execs, x);
  return done(device_now().sticky);
}
cudaError_t cudaGraphUpload(cudaGraphExec_t x, cudaStream_t) {
  ENTER();
  return done(known(S->execs, x) ? cudaSuccess : cudaErrorInvalidValue);
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t x, cudaStream_t stream) {
  ENTER();
  if (!known(S->execs, x)) return refuse(cudaErrorInvalidValue, "not a live executable graph");
  cudaStream_t s;
  if (const cudaError_t e = get_stream(stream, &s)) return e;
  if (strike(EMULATED_LAUNCH)) return refuse(cudaErrorLaunchOutOfResources, "cudaGraphLaunch");
  if (s->capture) {
    capture_graph(s, *x);
    return done(cudaSuccess);
  }
  return done(enqueue_graph(s, *x));
}
cudaError_t cudaGraphExecUpdate(cudaGraphExec_t x, cudaGraph_t g, cudaGraphExecUpdateResultInfo *info) {
  ENTER();
  if (!known(S->execs, x) || !known(S->graphs, g)) return done(cudaErrorInvalidValue);
  if (info) {
    *info = cudaGraphExecUpdateResultInfo{};
    info->result = cudaGraphExecUpdateErrorNotSupported;
  }
  return refuse(cudaErrorGraphExecUpdateFailure, "updates of executable graphs are not modelled: instantiate again");
}
