/* A net on a whole dataset, batch by batch, the last one smaller: loss and hits, and the confusion matrix. */
#include <math.h>

#include "core/device.h"
#include "net/trainer.h"

/* ---- What both read from ---------------------------------------------------------------------------------------- */

static int64_t batch_or_preset(const lamina_net *net, int64_t batch) {
  return batch ? batch : net->defaults.training.batch ? net->defaults.training.batch : 64;
}

static lamina_loader_options loader_of(const lamina_net *net, int64_t batch) {
  return (lamina_loader_options){.batch = batch,
                                 .partial = true,
                                 .threads = 1,
                                 .ahead = lamina_net_ahead(net, batch),
                                 .epochs = 1,
                                 .hold = lamina_net_on_host(net) ? 1 : LAMINA_SLOTS,
                                 .allocator = net->allocator};
}

/* ---- Loss and hits ---------------------------------------------------------------------------------------------- */

int64_t lamina_evaluation_memory(const lamina_net *net, const lamina_dataset *dataset, int64_t batch) {
  const lamina_loader_options options = loader_of(net, batch);
  const int64_t room = (int64_t)lamina_net_input_room(net, batch);
  int64_t sum = lamina_loader_memory(dataset, &options);
  for (int i = 0; i < LAMINA_SLOTS && sum >= 0; i++)
    if (!lamina_sum(sum, room, &sum)) sum = -1;
  return sum;
}

/* A batch in flight. */
typedef struct flight {
  lamina_feed feed;
  int64_t n;    /* examples */
  char *result; /* what it left behind: LAMINA_RESULT_BYTES, in pinned memory as is the next */
  void *room;   /* of the batch as the net takes it, where that isn't as the loader gives it */
  lamina_event *uploaded, *done;
} flight;

/* As a training's steps (slot.c), batches are copied in while the device is at the one before, and what they leave is
 * read when it is there. Only loss and counts come back, and nothing is allocated from batch to batch. */
typedef struct evaluator {
  lamina_net *net;
  const lamina_criterion *loss;
  int64_t k;
  lamina_allocator pinned; /* of the loader's batches */
  lamina_loader *loader;
  lamina_executor *executor; /* of the batches in flight */
  lamina_stream *upload;
  size_t room_size;
  flight flights[LAMINA_SLOTS];
  int64_t queued, collected; /* batches */
  lamina_evaluation sum;     /* its loss: the sum over examples */
} evaluator;

static void close_feeds(evaluator *v) {
  for (int i = 0; i < LAMINA_SLOTS; i++) {
    lamina_feed_close(v->net, &v->flights[i].feed);
    v->flights[i].feed = (lamina_feed){0};
  }
}

/* Some batches may still be under way; whatever comes of them, nothing may be freed before. */
static void evaluator_close(evaluator *v) {
  lamina_device *device = v->net->device;
  if (v->upload) (void)!lamina_stream_sync(device, v->upload);
  (void)!lamina_stream_sync(device, NULL);
  close_feeds(v);
  for (int i = 0; i < LAMINA_SLOTS; i++) {
    flight *f = &v->flights[i];
    lamina_event_close(f->uploaded);
    lamina_event_close(f->done);
    lamina_pinned_free(device, f->room, v->room_size);
    lamina_pinned_free(device, f->result, LAMINA_RESULT_BYTES);
  }
  lamina_loader_close(v->loader);
  lamina_stream_close(v->upload);
}

static lamina_status evaluator_open(evaluator *v, const lamina_dataset *dataset, int64_t batch) {
  lamina_device *device = v->net->device;
  const int64_t examples = lamina_dataset_info_of(dataset)->count;
  lamina_loader_options options = loader_of(v->net, batch);
  v->pinned = lamina_pinned_allocator(device);
  v->room_size = lamina_net_input_room(v->net, batch < examples ? batch : examples);
  if (!lamina_net_on_host(v->net)) options.buffers = &v->pinned;
  LAMINA_TRY(lamina_loader_open(dataset, &options, &v->loader));
  LAMINA_TRY(lamina_stream_open(device, &v->upload));
  for (int i = 0; i < LAMINA_SLOTS; i++) {
    flight *f = &v->flights[i];
    void *result;
    LAMINA_TRY(lamina_pinned_alloc(device, LAMINA_RESULT_BYTES, &result));
    f->result = result;
    LAMINA_TRY(lamina_pinned_alloc(device, v->room_size, &f->room));
    LAMINA_TRY(lamina_event_open(device, &f->uploaded));
    LAMINA_TRY(lamina_event_open(device, &f->done));
  }
  return LAMINA_OK;
}

/* Waits for the oldest batch in flight and counts it. */
static lamina_status collect(evaluator *v) {
  const flight *f = &v->flights[v->collected % LAMINA_SLOTS];
  LAMINA_TRY(lamina_event_sync(f->done));
  v->collected++;
  v->sum.examples += f->n;
  v->sum.loss += lamina_load(lamina_net_wide(v->net), f->result + LAMINA_RESULT_LOSS, 0) * (double)f->n;
  v->sum.hits += *(const int64_t *)(const void *)(f->result + LAMINA_RESULT_HITS);
  v->sum.hits_k += *(const int64_t *)(const void *)(f->result + LAMINA_RESULT_HITS + 64);
  return LAMINA_OK;
}

/* The last batch may be smaller, and then has an executor of its own: nothing may be under way when it takes memory. */
static lamina_status prepare_for(evaluator *v, int64_t n) {
  if (v->executor && v->executor->graph.batch == n) return LAMINA_OK;
  while (v->collected < v->queued) LAMINA_TRY(collect(v));
  close_feeds(v);
  LAMINA_TRY(lamina_net_ready(v->net, LAMINA_MODE_EVALUATE, n, v->loss, v->k, &v->executor));
  for (int i = 0; i < LAMINA_SLOTS; i++) LAMINA_TRY(lamina_feed_open(v->net, v->executor, &v->flights[i].feed));
  return LAMINA_OK;
}

static lamina_status queue(evaluator *v, const lamina_batch *batch) {
  lamina_net *net = v->net;
  int reached;
  LAMINA_TRY(prepare_for(v, batch->n));
  flight *f = &v->flights[v->queued % LAMINA_SLOTS];
  const void *x = lamina_net_as_input(net, batch->n, batch->x, f->room);
  f->n = batch->n;
  LAMINA_TRY(lamina_feed_queue(net, &f->feed, x, batch->label, v->upload));
  LAMINA_TRY(lamina_event_record(f->uploaded, v->upload));
  LAMINA_TRY(lamina_event_wait(f->uploaded, NULL));
  LAMINA_TRY(lamina_executor_step(net, v->executor, &f->feed, &reached));
  LAMINA_TRY(lamina_copy_async(net->device, f->result, net->block[LAMINA_BUFFER_RESULT], LAMINA_RESULT_BYTES, NULL));
  LAMINA_TRY(lamina_event_record(f->done, NULL));
  v->queued++;
  return LAMINA_OK;
}

static lamina_status run_batches(evaluator *v) {
  for (lamina_batch batch;;) {
    while (v->queued - v->collected >= LAMINA_SLOTS) LAMINA_TRY(collect(v));
    LAMINA_TRY(lamina_loader_next(v->loader, &batch));
    if (batch.n == 0) break;
    LAMINA_TRY(queue(v, &batch));
  }
  while (v->collected < v->queued) LAMINA_TRY(collect(v));
  return LAMINA_OK;
}

lamina_status lamina_net_evaluate_by(lamina_net *net, const lamina_dataset *dataset, const lamina_criterion *loss,
                                     int64_t batch_size, int64_t k, lamina_evaluation *evaluation) {
  LAMINA_TRY(lamina_net_check_data(net, dataset));
  const int64_t classes = lamina_net_output(net).dims[0];
  if (k < 1) k = 5;
  if (k > classes) k = classes;
  evaluator v = {.net = net, .loss = loss, .k = k};
  lamina_status status = evaluator_open(&v, dataset, batch_or_preset(net, batch_size));
  if (!status) status = run_batches(&v);
  evaluator_close(&v);
  if (status) return status;
  const double n = (double)v.sum.examples;
  *evaluation = v.sum;
  evaluation->k = k;
  evaluation->accuracy = (double)v.sum.hits / n;
  evaluation->accuracy_k = (double)v.sum.hits_k / n;
  evaluation->loss = v.sum.loss / n;
  return LAMINA_OK;
}

lamina_status lamina_net_evaluate(lamina_net *net, const lamina_dataset *dataset, const char *loss, int64_t batch,
                                  int64_t k, lamina_evaluation *evaluation) {
  lamina_criterion criterion;
  LAMINA_NOT_NULL(net, "net");
  LAMINA_NOT_NULL(dataset, "dataset");
  LAMINA_NOT_NULL(evaluation, "evaluation");
  LAMINA_TRY(lamina_net_criterion(net, loss, NULL, &criterion));
  return lamina_net_evaluate_by(net, dataset, &criterion, batch, k, evaluation);
}

/* ---- The confusion matrix ----------------------------------------------------------------------------------------- */

/* Reads the dataset in batches, and room for one as the net takes it. */
typedef struct reader {
  lamina_loader *loader;
  void *room;
  lamina_kept_feed kept;
} reader;

static void reader_close(lamina_net *net, reader *r) {
  lamina_feed_close(net, &r->kept.feed);
  lamina_loader_close(r->loader);
  lamina_free(net->allocator, r->room);
}

static lamina_status reader_open(lamina_net *net, const lamina_dataset *dataset, int64_t batch, reader *r) {
  const int64_t examples = lamina_dataset_info_of(dataset)->count;
  const lamina_loader_options options = loader_of(net, batch);
  *r = (reader){0};
  LAMINA_TRY(lamina_loader_open(dataset, &options, &r->loader));
  const size_t room = lamina_net_input_room(net, batch < examples ? batch : examples);
  if (!room || (r->room = lamina_alloc(net->allocator, room))) return LAMINA_OK;
  reader_close(net, r);
  return LAMINA_OUT_OF_MEMORY;
}

/* The largest score's place, the first of equals; -1 when all are NaN. */
static int64_t answer_of(lamina_dtype dtype, const void *scores, int64_t first, int64_t classes) {
  double most = 0;
  int64_t best = -1;
  for (int64_t c = 0; c < classes; c++) {
    const double score = lamina_load(dtype, scores, first + c);
    if (!isnan(score) && (best < 0 || score > most)) most = score, best = c;
  }
  return best;
}

static lamina_status count_batches(lamina_net *net, reader *from, int64_t classes, void *scores, int64_t *counts) {
  const lamina_dtype dtype = (lamina_dtype)lamina_net_output(net).dtype;
  lamina_batch batch;
  LAMINA_TRY(lamina_loader_next(from->loader, &batch));
  while (batch.n > 0) {
    const void *x = lamina_net_as_input(net, batch.n, batch.x, from->room);
    LAMINA_TRY(lamina_net_forward_from(net, batch.n, x, &from->kept, scores));
    for (int64_t i = 0; i < batch.n; i++) {
      const int64_t answer = answer_of(dtype, scores, i * classes, classes);
      if (answer >= 0) counts[batch.label[i] * classes + answer]++;
    }
    LAMINA_TRY(lamina_loader_next(from->loader, &batch));
  }
  return LAMINA_OK;
}

lamina_status lamina_net_confusion(lamina_net *net, const lamina_dataset *dataset, int64_t batch, int64_t *counts) {
  reader from;
  LAMINA_NOT_NULL(net, "net");
  LAMINA_NOT_NULL(dataset, "dataset");
  LAMINA_NOT_NULL(counts, "counts");
  LAMINA_TRY(lamina_net_check_data(net, dataset));
  const int64_t classes = lamina_net_output(net).dims[0];
  const int64_t examples = lamina_dataset_info_of(dataset)->count, wanted = batch_or_preset(net, batch);
  const int64_t most = wanted < examples ? wanted : examples;
  LAMINA_TRY(reader_open(net, dataset, most, &from));
  void *scores = lamina_alloc(net->allocator, (size_t)(most * classes) * lamina_element(net));
  memset(counts, 0, (size_t)(classes * classes) * sizeof *counts);
  const lamina_status status = scores ? count_batches(net, &from, classes, scores, counts) : LAMINA_OUT_OF_MEMORY;
  lamina_free(net->allocator, scores);
  reader_close(net, &from);
  return status;
}
