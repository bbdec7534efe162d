/* A trained net in several threads: each loads the checkpoint that train.c wrote and takes its share of the test data.
 *
 *   cc predict.c $(pkg-config --cflags --libs lamina) -o predict && ./train xo.safetensors && ./predict xo.safetensors */
#include <stdio.h>
#include <threads.h>

#include <lamina/lamina.h>

enum { THREADS = 4, BATCH = 10, PIXELS = 9 * 9, CLASSES = 2 };

typedef struct worker {
  const lamina_dataset *data; /* shared: an open dataset may be read from many threads */
  const char *checkpoint;
  int number, right;
  lamina_status status;
  char reason[512]; /* the error sentence is the thread's own, so it is copied before the thread ends */
} worker;

/* Batches number, number + THREADS, …; what is left over after the last whole batch is not looked at. */
static lamina_status work(worker *me, lamina_net *net) {
  const int64_t count = lamina_dataset_info_of(me->data)->count;
  for (int64_t first = (int64_t)me->number * BATCH; first + BATCH <= count; first += (int64_t)THREADS * BATCH) {
    int64_t index[BATCH];
    int32_t label[BATCH];
    float x[BATCH * PIXELS], prob[BATCH * CLASSES];
    for (int i = 0; i < BATCH; i++) index[i] = first + i;
    lamina_status status = lamina_dataset_read(me->data, BATCH, index, x, label);
    if (!status) status = lamina_net_predict(net, BATCH, x, prob);
    if (status) return status;
    for (int i = 0; i < BATCH; i++) me->right += (prob[2 * i + 1] > prob[2 * i]) == label[i];
  }
  return LAMINA_OK;
}

/* A net that threads share lets them predict in turns; to do so at the same time each has its own, and a device. */
static int start(void *user) {
  worker *me = user;
  const lamina_device_options options = {.threads = 1}; /* for an op: there are enough threads already */
  lamina_device *device = NULL;
  lamina_net *net = NULL;
  me->status = lamina_device_open("cpu", &options, &device);
  if (!me->status) me->status = lamina_net_load(device, me->checkpoint, NULL, &net);
  if (!me->status) me->status = work(me, net);
  if (me->status) snprintf(me->reason, sizeof me->reason, "%s", lamina_last_error());
  lamina_net_close(net);
  lamina_device_close(device);
  return 0;
}

static lamina_status predict(const lamina_dataset *data, const char *checkpoint) {
  worker workers[THREADS];
  thrd_t threads[THREADS];
  int started = 0, right = 0;
  lamina_status status = LAMINA_OK;
  for (; started < THREADS; started++) {
    workers[started] = (worker){.data = data, .checkpoint = checkpoint, .number = started};
    if (thrd_create(&threads[started], start, &workers[started]) != thrd_success) break;
  }
  for (int t = 0; t < started; t++) {
    (void)thrd_join(threads[t], NULL);
    right += workers[t].right;
    if (workers[t].status) fprintf(stderr, "thread %d: %s\n", t, workers[t].reason), status = workers[t].status;
  }
  if (started < THREADS) fprintf(stderr, "thread %d did not start\n", started), status = LAMINA_INTERNAL;
  if (!status) printf("%d right, by %d threads\n", right, THREADS);
  return status;
}

int main(int argc, char **argv) {
  if (argc != 2) return fprintf(stderr, "usage: predict CHECKPOINT\n"), 2;
  lamina_dataset *data = NULL;
  lamina_status status = lamina_dataset_open("xo:test", NULL, &data);
  if (status)
    fprintf(stderr, "%s\n", lamina_last_error());
  else
    status = predict(data, argv[1]);
  lamina_dataset_close(data);
  return status ? 1 : 0;
}
