/* Captures: the work that is put into a stream becomes a CUDA graph, and one call does all of it again.
 *
 * What changes from run to run lies in device memory, so a graph never has to be changed. */
#include "cuda/cuda.h"

typedef struct capture {
  cudaGraphExec_t graph;
  const char *first, *last; /* its ops, for the sentence about an error */
  int64_t ops;
} capture;

lamina_status cuda_capture_begin(void *state, void *stream_) {
  cuda_device *device = state;
  cuda_stream *stream = stream_;
  if (device->synchronous)
    return cuda_host->error(LAMINA_UNSUPPORTED, "LAMINA_CUDA_SYNC=1 waits for every op, so nothing is captured");
  /* What went before is over, so that an error of it doesn't look like one of the capture's. */
  const lamina_status status = cuda_stream_sync(device, stream);
  if (status) return status;
  return cuda_check(device, cudaStreamBeginCapture(stream->stream, cudaStreamCaptureModeThreadLocal),
                    "beginning a capture");
}

static lamina_status instantiate(cuda_device *device, cudaGraph_t graph, const cuda_stream *stream, void **out) {
  capture *c = cuda_host->alloc(device->device, sizeof *c);
  if (!c) return LAMINA_OUT_OF_MEMORY;
  *c = (capture){.first = stream->first, .last = stream->last, .ops = stream->ops};
  const lamina_status status =
      cuda_check(device, cudaGraphInstantiate(&c->graph, graph, 0), "making a graph of what was captured");
  if (status)
    cuda_host->free(device->device, c, sizeof *c);
  else
    *out = c;
  return status;
}

lamina_status cuda_capture_end(void *state, void *stream_, void **out) {
  cuda_device *device = state;
  cuda_stream *stream = stream_;
  cudaGraph_t graph = NULL;
  (void)cudaSetDevice(device->index);
  const cudaError_t error = cudaStreamEndCapture(stream->stream, &graph);
  lamina_status status = LAMINA_OK;
  if (!out)
    (void)cudaGetLastError(); /* whatever broke it was told */
  else if (error || !graph)
    status = cuda_check(device, error ? error : cudaErrorStreamCaptureInvalidated, "ending a capture");
  else
    status = instantiate(device, graph, stream, out);
  if (graph) (void)cudaGraphDestroy(graph);
  stream->ops = 0; /* none of it was done */
  return status;
}

lamina_status cuda_capture_run(void *state, void *stream_, void *capture_) {
  cuda_stream *stream = stream_;
  const capture *c = capture_;
  const lamina_status status = cuda_enter(state);
  if (status) return status;
  if (stream->ops == 0) stream->first = c->first;
  stream->ops += c->ops;
  stream->last = c->last;
  return cuda_check(state, cudaGraphLaunch(c->graph, stream->stream), "running a captured graph");
}

void cuda_capture_close(void *state, void *capture_) {
  cuda_device *device = state;
  capture *c = capture_;
  (void)cudaSetDevice(device->index);
  (void)cudaGraphExecDestroy(c->graph);
  cuda_host->free(device->device, c, sizeof *c);
}
