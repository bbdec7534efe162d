/* A net on a whole dataset: loss and hits, batch by batch, the last one smaller. */
#include "net/net.h"

typedef struct totals {
  double loss;
  int64_t hits, hits_k, examples;
} totals;

static lamina_status add_batch(lamina_net *net, const lamina_executor *e, lamina_feed *feed, const lamina_batch *batch,
                               totals *sum) {
  float loss = 0;
  int64_t hits = 0, hits_k = 0;
  LAMINA_TRY(lamina_feed_put(net, feed, batch->x, batch->label));
  LAMINA_TRY(lamina_executor_run(net, e, 0, e->graph.node_count, feed));
  LAMINA_TRY(lamina_executor_read(net, e, e->loss, feed, &loss));
  LAMINA_TRY(lamina_executor_read(net, e, e->hits[0], feed, &hits));
  LAMINA_TRY(lamina_executor_read(net, e, e->hits[1], feed, &hits_k));
  sum->loss += (double)loss, sum->hits += hits, sum->hits_k += hits_k, sum->examples += batch->n;
  return LAMINA_OK;
}

static lamina_status run_batch(lamina_net *net, const char *loss, int64_t k, const lamina_batch *batch, totals *sum) {
  lamina_executor *e;
  lamina_feed feed;
  LAMINA_TRY(lamina_net_executor(net, LAMINA_MODE_EVALUATE, batch->n, loss, k, &e));
  LAMINA_TRY(lamina_net_take(net, e));
  lamina_status status = lamina_feed_open(net, e, &feed);
  if (!status) status = add_batch(net, e, &feed, batch, sum);
  lamina_feed_close(net, &feed);
  return status;
}

lamina_status lamina_net_evaluate(lamina_net *net, const lamina_dataset *dataset, const char *loss, int64_t batch_size,
                                  int64_t k, lamina_evaluation *evaluation) {
  lamina_loader_options options = {
      .batch = batch_size, .partial = true, .threads = 1, .epochs = 1, .allocator = net->allocator};
  const lamina_desc out = lamina_net_output(net);
  lamina_loader *loader;
  lamina_batch batch;
  totals sum = {0};
  if (out.rank != 1)
    return lamina_error(LAMINA_INVALID, "the net's output has %d axes; expected one of classes", out.rank);
  LAMINA_TRY(lamina_dataset_check_classes(dataset, out.dims[0]));
  if (!options.batch) options.batch = net->defaults.training.batch ? net->defaults.training.batch : 64;
  if (!loss) loss = net->defaults.training.loss ? net->defaults.training.loss : "softmax_cross_entropy";
  if (k < 1) k = 5;
  if (k > out.dims[0]) k = out.dims[0];
  LAMINA_TRY(lamina_loader_open(dataset, &options, &loader));
  lamina_status status = lamina_loader_next(loader, &batch);
  while (!status && batch.n > 0) {
    status = run_batch(net, loss, k, &batch, &sum);
    if (!status) status = lamina_loader_next(loader, &batch);
  }
  lamina_loader_close(loader);
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
