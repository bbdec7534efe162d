/* A net on a whole dataset, batch by batch, the last one smaller: loss and hits, and the confusion matrix. */
#include <math.h>

#include "net/trainer.h"

typedef struct totals {
  double loss;
  int64_t hits, hits_k, examples;
} totals;

static lamina_status add_batch(lamina_net *net, const lamina_executor *e, lamina_feed *feed, const lamina_batch *batch,
                               void *room, totals *sum) {
  float loss = 0;
  int64_t hits = 0, hits_k = 0;
  LAMINA_TRY(lamina_feed_put(net, feed, lamina_net_as_input(net, batch->n, batch->x, room), batch->label));
  LAMINA_TRY(lamina_executor_run(net, e, 0, e->graph.node_count, feed));
  LAMINA_TRY(lamina_executor_read(net, e, e->loss, feed, &loss));
  LAMINA_TRY(lamina_executor_read(net, e, e->hits[0], feed, &hits));
  LAMINA_TRY(lamina_executor_read(net, e, e->hits[1], feed, &hits_k));
  sum->loss += (double)loss * (double)batch->n, sum->hits += hits, sum->hits_k += hits_k, sum->examples += batch->n;
  return LAMINA_OK;
}

static lamina_status run_batch(lamina_net *net, const lamina_criterion *loss, int64_t k, const lamina_batch *batch,
                               void *room, totals *sum) {
  lamina_executor *e;
  lamina_feed feed;
  LAMINA_TRY(lamina_net_ready(net, LAMINA_MODE_EVALUATE, batch->n, loss, k, &e));
  lamina_status status = lamina_feed_open(net, e, &feed);
  if (!status) status = add_batch(net, e, &feed, batch, room, sum);
  lamina_feed_close(net, &feed);
  return status;
}

static int64_t batch_or_preset(const lamina_net *net, int64_t batch) {
  return batch ? batch : net->defaults.training.batch ? net->defaults.training.batch : 64;
}

static lamina_loader_options loader_of(const lamina_net *net, int64_t batch) {
  return (lamina_loader_options){
      .batch = batch, .partial = true, .threads = 1, .epochs = 1, .allocator = net->allocator};
}

int64_t lamina_evaluation_memory(const lamina_net *net, const lamina_dataset *dataset, int64_t batch) {
  const lamina_loader_options options = loader_of(net, batch);
  const int64_t loader = lamina_loader_memory(dataset, &options), room = (int64_t)lamina_net_input_room(net, batch);
  int64_t sum;
  return loader < 0 || !lamina_sum(loader, room, &sum) ? -1 : sum;
}

/* Reads the dataset in batches, and room for one as the net takes it. */
typedef struct reader {
  lamina_loader *loader;
  void *room;
} reader;

static void reader_close(const lamina_net *net, reader *r) {
  lamina_loader_close(r->loader);
  lamina_free(net->allocator, r->room);
}

static lamina_status reader_open(const lamina_net *net, const lamina_dataset *dataset, int64_t batch, reader *r) {
  const int64_t examples = lamina_dataset_info_of(dataset)->count;
  const lamina_loader_options options = loader_of(net, batch);
  *r = (reader){0};
  LAMINA_TRY(lamina_loader_open(dataset, &options, &r->loader));
  const size_t room = lamina_net_input_room(net, batch < examples ? batch : examples);
  if (!room || (r->room = lamina_alloc(net->allocator, room))) return LAMINA_OK;
  reader_close(net, r);
  return LAMINA_OUT_OF_MEMORY;
}

lamina_status lamina_net_evaluate_by(lamina_net *net, const lamina_dataset *dataset, const lamina_criterion *loss,
                                     int64_t batch_size, int64_t k, lamina_evaluation *evaluation) {
  reader from;
  lamina_batch batch;
  totals sum = {0};
  LAMINA_TRY(lamina_net_check_data(net, dataset));
  const int64_t classes = lamina_net_output(net).dims[0];
  if (k < 1) k = 5;
  if (k > classes) k = classes;
  LAMINA_TRY(reader_open(net, dataset, batch_or_preset(net, batch_size), &from));
  lamina_status status = lamina_loader_next(from.loader, &batch);
  while (!status && batch.n > 0) {
    status = run_batch(net, loss, k, &batch, from.room, &sum);
    if (!status) status = lamina_loader_next(from.loader, &batch);
  }
  reader_close(net, &from);
  if (status) return status;
  const double n = (double)sum.examples;
  *evaluation = (lamina_evaluation){.examples = sum.examples,
                                    .hits = sum.hits,
                                    .k = k,
                                    .hits_k = sum.hits_k,
                                    .accuracy = (double)sum.hits / n,
                                    .accuracy_k = (double)sum.hits_k / n,
                                    .loss = sum.loss / n};
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

/* The largest score's place, the first of equals; -1 when all are NaN. */
static int64_t answer_of(const float *scores, int64_t classes) {
  int64_t best = -1;
  for (int64_t c = 0; c < classes; c++)
    if (!isnan(scores[c]) && (best < 0 || scores[c] > scores[best])) best = c;
  return best;
}

static lamina_status count_batches(lamina_net *net, const reader *from, int64_t classes, float *scores,
                                   int64_t *counts) {
  lamina_batch batch;
  LAMINA_TRY(lamina_loader_next(from->loader, &batch));
  while (batch.n > 0) {
    LAMINA_TRY(lamina_net_forward(net, batch.n, lamina_net_as_input(net, batch.n, batch.x, from->room), scores));
    for (int64_t i = 0; i < batch.n; i++) {
      const int64_t answer = answer_of(scores + i * classes, classes);
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
  float *scores = lamina_alloc(net->allocator, (size_t)(most * classes) * sizeof *scores);
  memset(counts, 0, (size_t)(classes * classes) * sizeof *counts);
  const lamina_status status = scores ? count_batches(net, &from, classes, scores, counts) : LAMINA_OUT_OF_MEMORY;
  lamina_free(net->allocator, scores);
  reader_close(net, &from);
  return status;
}
