/* Times of a net's ops: an event before the first op of a run and one after each, read when the run is done. */
#include "net/trace.h"

#include <string.h>

struct lamina_trace {
  lamina_trace_fn *tell;
  void *user;
  lamina_event *origin;
  lamina_event **events; /* marks + 1 of a run */
  int *nodes;            /* [i]: the node that ran between events i and i + 1 */
  int room, marks;
  int64_t runs;
};

static void trace_close(const lamina_net *net, lamina_trace *trace) {
  if (!trace) return;
  for (int i = 0; i < trace->room; i++) lamina_event_close(trace->events[i]);
  lamina_event_close(trace->origin);
  lamina_free(net->allocator, trace->events);
  lamina_free(net->allocator, trace->nodes);
  lamina_free(net->allocator, trace);
}

static lamina_status trace_open(const lamina_net *net, lamina_trace *trace) {
  LAMINA_TRY(lamina_event_open_timed(net->device, &trace->origin));
  return lamina_event_record(trace->origin, NULL);
}

lamina_status lamina_net_trace(lamina_net *net, lamina_trace_fn *tell, void *user) {
  LAMINA_NOT_NULL(net, "net");
  lamina_trace *trace = tell ? lamina_alloc_zero(net->allocator, sizeof *trace) : NULL;
  if (tell && !trace) return LAMINA_OUT_OF_MEMORY;
  const lamina_status status = tell ? trace_open(net, trace) : LAMINA_OK;
  if (status) {
    trace_close(net, trace);
    return status;
  }
  if (trace) trace->tell = tell, trace->user = user;
  trace_close(net, net->trace);
  net->trace = trace;
  return LAMINA_OK;
}

void lamina_trace_drop(lamina_net *net) {
  trace_close(net, net->trace);
  net->trace = NULL;
}

/* Room for so many events. */
static lamina_status make_room(const lamina_net *net, lamina_trace *trace, int count) {
  if (trace->room >= count) return LAMINA_OK;
  lamina_event **events = lamina_grow(net->allocator, trace->events, (size_t)count * sizeof *events);
  if (!events) return LAMINA_OUT_OF_MEMORY;
  trace->events = events;
  int *nodes = lamina_grow(net->allocator, trace->nodes, (size_t)count * sizeof *nodes);
  if (!nodes) return LAMINA_OUT_OF_MEMORY;
  trace->nodes = nodes;
  for (; trace->room < count; trace->room++)
    LAMINA_TRY(lamina_event_open_timed(net->device, &trace->events[trace->room]));
  return LAMINA_OK;
}

lamina_status lamina_trace_begin(const lamina_net *net, int most) {
  lamina_trace *trace = net->trace;
  LAMINA_TRY(make_room(net, trace, most + 1));
  trace->marks = 0;
  return lamina_event_record(trace->events[0], NULL);
}

lamina_status lamina_trace_mark(const lamina_net *net, int node) {
  lamina_trace *trace = net->trace;
  trace->nodes[trace->marks++] = node;
  return lamina_event_record(trace->events[trace->marks], NULL);
}

static const char *layer_of(const lamina_net *net, const lamina_executor *executor, int node) {
  const int layer = executor->graph.nodes[node].layer;
  return layer >= 0 ? net->layers[layer].name : layer == LAMINA_OF_UPDATE ? "update" : "loss";
}

lamina_status lamina_trace_end(const lamina_net *net, const lamina_executor *executor) {
  static const lamina_run runs[] = {[LAMINA_MODE_INFER] = LAMINA_RUN_INFERENCE,
                                    [LAMINA_MODE_EVALUATE] = LAMINA_RUN_EVALUATION,
                                    [LAMINA_MODE_GRADIENTS] = LAMINA_RUN_TRAINING,
                                    [LAMINA_MODE_TRAIN] = LAMINA_RUN_TRAINING};
  lamina_trace *trace = net->trace;
  lamina_op_trace op = {
      .run = runs[executor->mode], .number = trace->runs++, .batch = executor->graph.batch, .count = trace->marks};
  LAMINA_TRY(lamina_event_sync(trace->events[trace->marks]));
  for (int i = 0; i < trace->marks; i++) {
    const int node = trace->nodes[i];
    LAMINA_TRY(lamina_event_seconds(trace->origin, trace->events[i], &op.start));
    LAMINA_TRY(lamina_event_seconds(trace->events[i], trace->events[i + 1], &op.seconds));
    op.index = i;
    op.layer = layer_of(net, executor, node);
    op.plan = executor->graph.nodes[node].plan;
    trace->tell(trace->user, &op);
  }
  return LAMINA_OK;
}
