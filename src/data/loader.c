/* The loader: a ring of batches that threads fill ahead of the caller.
 *
 *   batch number   0 ─────── taken - hold ───────── taken ─────────────── opened ──────────────→
 *                  free again │ the caller's (hold) │ full, or being filled │ not begun: taken + ahead is the limit
 *
 * Batch number t = epoch * batches + index lies in slot t % slots, slots = hold + ahead. Batches are opened in order;
 * an open batch has its example numbers, and is filled a chunk of examples at a time by whoever asks for work next: a
 * thread, or the caller itself while it waits. What a chunk holds depends on (seed, epoch, example) alone, so it does
 * not matter who fills it. Everything but the filling itself happens under the lock. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "data/dataset.h"
#include "kernels/philox.h"

enum { SHIFT_STREAM = 0x53484654 /* "SHFT" */, MOST_THREADS = 256, MOST_SLOTS = 4096, ALIGN = 64 };

typedef struct slot {
  float *x;         /* [batch, C, H, W] */
  int32_t *label;   /* [batch], in the block of x */
  int64_t *example; /* [batch] */
  int64_t number;   /* of the batch in it */
  int64_t n, left;  /* examples, and those not yet filled */
  int64_t failed;   /* the first example that failed; status says whether there is one */
  lamina_status status;
  char error[1024];
} slot;

struct lamina_loader {
  const lamina_dataset *dataset;
  lamina_loader_options options;
  lamina_allocator allocator, buffers;
  int64_t values;            /* of a picture */
  int64_t capacity, batches; /* examples in a batch, batches in an epoch */
  int64_t end;               /* batch number after the last */
  int64_t chunk;
  float *black; /* [C], normalised */
  int slots;
  slot *slot;
  int32_t *order; /* [count], of epoch order_epoch; NULL: as they come */
  int64_t order_epoch;

  pthread_mutex_t lock;
  pthread_cond_t work, done; /* something to fill, or to stop for; a batch is full, or a thread at rest */
  int64_t taken;             /* the batch number that the caller gets next */
  int64_t limit;             /* batches below it may be opened */
  int64_t opened, unclaimed; /* the next batch to open; examples of the last opened one that nobody fills yet */
  int busy;                  /* chunks being filled */
  bool closing;
  atomic_bool cancel; /* chunks shall end early: what they fill is not wanted any more */
  int threads;
  pthread_t *thread;
};

/* ---- Filling ---- */

static void shift_example(const lamina_loader *loader, int64_t epoch, int64_t example, float *x) {
  const lamina_dataset_info *info = lamina_dataset_info_of(loader->dataset);
  const uint64_t span = 2 * (uint64_t)loader->options.shift + 1;
  const philox_words words = philox_block(loader->options.seed, (uint64_t)example, SHIFT_STREAM, (uint32_t)epoch);
  const int64_t down = (int64_t)(words.v[0] * span >> 32) - loader->options.shift;
  const int64_t right = (int64_t)(words.v[1] * span >> 32) - loader->options.shift;
  lamina_shift_picture(x, info->channels, info->height, info->width, down, right, loader->black);
}

/* Examples from … to - 1 of the slot's batch. On failure *at is the one. */
static lamina_status fill(lamina_loader *loader, const slot *s, int64_t from, int64_t to, int64_t *at) {
  for (*at = from; *at < to && !atomic_load_explicit(&loader->cancel, memory_order_relaxed); ++*at) {
    float *x = s->x + *at * loader->values;
    LAMINA_TRY(lamina_dataset_read(loader->dataset, 1, s->example + *at, x, s->label + *at));
    if (loader->options.shift) shift_example(loader, s->number / loader->batches, s->example[*at], x);
  }
  return LAMINA_OK;
}

/* ---- Under the lock ---- */

/* Gives the next batch its slot and its examples. */
static void open_batch(lamina_loader *loader) {
  const int64_t number = loader->opened, epoch = number / loader->batches;
  const int64_t first = number % loader->batches * loader->capacity;
  const int64_t count = lamina_dataset_info_of(loader->dataset)->count;
  slot *s = &loader->slot[number % loader->slots];
  s->number = number;
  s->n = s->left = count - first < loader->capacity ? count - first : loader->capacity;
  s->status = LAMINA_OK;
  if (loader->order && loader->order_epoch != epoch) {
    lamina_permutation(loader->options.seed, epoch, (int32_t)count, loader->order);
    loader->order_epoch = epoch;
  }
  for (int64_t i = 0; i < s->n; i++) s->example[i] = loader->order ? loader->order[first + i] : first + i;
  loader->unclaimed = s->n;
  loader->opened++;
}

/* Claims the next chunk, of a batch below `limit`; false when there is none to be filled now. */
static bool claim(lamina_loader *loader, int64_t limit, slot **s, int64_t *from, int64_t *to) {
  if (loader->cancel) return false;
  if (loader->unclaimed) {
    if (loader->opened > limit) return false;
  } else {
    if (loader->opened >= limit || loader->opened >= loader->end) return false;
    open_batch(loader);
  }
  *s = &loader->slot[(loader->opened - 1) % loader->slots];
  *from = (*s)->n - loader->unclaimed;
  *to = loader->unclaimed < loader->chunk ? (*s)->n : *from + loader->chunk;
  loader->unclaimed -= *to - *from;
  return true;
}

/* Fills a claimed chunk; the lock is given back meanwhile. Of several failures in a batch the first example's counts,
 * whoever met it. */
static void work(lamina_loader *loader, slot *s, int64_t from, int64_t to) {
  loader->busy++;
  pthread_mutex_unlock(&loader->lock);
  int64_t at;
  const lamina_status status = fill(loader, s, from, to, &at);
  pthread_mutex_lock(&loader->lock);
  if (status && (!s->status || at < s->failed)) {
    s->status = status;
    s->failed = at;
    *s->error = '\0';
    lamina_append(s->error, sizeof s->error, "%s", lamina_last_error());
  }
  s->left -= to - from;
  loader->busy--;
  if (!s->left || !loader->busy) pthread_cond_broadcast(&loader->done);
}

/* Ends all filling: when it returns nobody is at work, and nobody begins before `cancel` is taken back. */
static void cancel(lamina_loader *loader) {
  loader->cancel = true;
  while (loader->busy) pthread_cond_wait(&loader->done, &loader->lock);
}

static void *thread_main(void *argument) {
  lamina_loader *loader = argument;
  pthread_mutex_lock(&loader->lock);
  while (!loader->closing) {
    slot *s;
    int64_t from, to;
    if (claim(loader, loader->limit, &s, &from, &to))
      work(loader, s, from, to);
    else
      pthread_cond_wait(&loader->work, &loader->lock);
  }
  pthread_mutex_unlock(&loader->lock);
  return NULL;
}

/* ---- Opening and closing ---- */

/* Sizes that follow from the options; bytes: all that lamina_loader_open takes. */
typedef struct layout {
  int64_t values, capacity, batches, slots;
  int64_t x, block; /* bytes of a slot's pictures, and of these with its labels */
  int64_t bytes;
} layout;

static lamina_status check_options(const lamina_dataset_info *info, const lamina_loader_options *options) {
  if (options->batch < 1)
    return lamina_error(LAMINA_INVALID, "loader: batch is %lld, expected at least 1", (long long)options->batch);
  if (!options->partial && options->batch > info->count)
    return lamina_error(LAMINA_INVALID, "loader: a batch of %lld is more than dataset \"%s\" has, %lld examples",
                        (long long)options->batch, info->name, (long long)info->count);
  if (options->shift < 0 || options->threads < 0 || options->threads > MOST_THREADS || options->ahead < 0 ||
      options->hold < 0 || (int64_t)options->ahead + options->hold > MOST_SLOTS - 3 || options->epochs < 0 ||
      options->epochs > UINT32_MAX)
    return lamina_error(
        LAMINA_INVALID,
        "loader: shift %d, threads %d, ahead %d, hold %d, epochs %lld: expected none negative, at most %d "
        "threads, %d batches, and 2^32 - 1 epochs",
        options->shift, options->threads, options->ahead, options->hold, (long long)options->epochs, MOST_THREADS,
        MOST_SLOTS - 3);
  return LAMINA_OK;
}

static int ahead_of(const lamina_loader_options *options) {
  return !options->threads ? 0 : options->ahead ? options->ahead : 2;
}

static int hold_of(const lamina_loader_options *options) { return options->hold ? options->hold : 1; }

static lamina_status plan(const lamina_dataset_info *info, const lamina_loader_options *options, layout *l) {
  LAMINA_TRY(check_options(info, options));
  l->values = info->channels * info->height * info->width;
  l->capacity = options->batch < info->count ? options->batch : info->count;
  l->batches = options->partial ? (info->count + l->capacity - 1) / l->capacity : info->count / l->capacity;
  l->slots = ahead_of(options) + hold_of(options);
  int64_t all;
  if (!lamina_mul(l->values * (int64_t)sizeof(float), l->capacity, &l->x) || l->x > INT64_MAX / 4 ||
      !lamina_mul(l->x + l->capacity * 16, l->slots, &all) || all > INT64_MAX / 4)
    return lamina_error(LAMINA_INVALID, "loader: %lld batches of %lld pictures of %lld values are too large to address",
                        (long long)l->slots, (long long)l->capacity, (long long)l->values);
  l->x = (int64_t)lamina_align_up((size_t)l->x, ALIGN);
  l->block = l->x + l->capacity * (int64_t)sizeof(int32_t);
  l->bytes = l->slots * (l->block + l->capacity * (int64_t)sizeof(int64_t) + (int64_t)sizeof(slot)) +
             (int64_t)sizeof(lamina_loader) + info->channels * (int64_t)sizeof(float) +
             options->threads * (int64_t)sizeof(pthread_t) +
             (options->shuffle ? info->count * (int64_t)sizeof(int32_t) : 0);
  return LAMINA_OK;
}

int64_t lamina_loader_memory(const lamina_dataset *dataset, const lamina_loader_options *options) {
  layout l;
  return !dataset || !options || plan(lamina_dataset_info_of(dataset), options, &l) ? -1 : l.bytes;
}

static lamina_status alloc_ring(lamina_loader *loader, const layout *l) {
  const lamina_dataset_info *info = lamina_dataset_info_of(loader->dataset);
  const lamina_allocator *allocator = &loader->allocator;
  loader->slot = lamina_alloc_zero(allocator, (size_t)l->slots * sizeof *loader->slot);
  loader->black = lamina_alloc(allocator, (size_t)info->channels * sizeof *loader->black);
  loader->thread = lamina_alloc(allocator, (size_t)loader->options.threads * sizeof *loader->thread);
  if (!loader->slot || !loader->black || !loader->thread) return LAMINA_OUT_OF_MEMORY;
  loader->slots = (int)l->slots;
  for (int i = 0; i < loader->slots; i++) {
    slot *s = &loader->slot[i];
    s->x = lamina_alloc(&loader->buffers, (size_t)l->block);
    s->example = lamina_alloc(allocator, (size_t)l->capacity * sizeof *s->example);
    if (!s->x || !s->example) return LAMINA_OUT_OF_MEMORY;
    s->label = (int32_t *)(void *)((char *)s->x + l->x);
  }
  if (!loader->options.shuffle) return LAMINA_OK;
  loader->order = lamina_alloc(allocator, (size_t)info->count * sizeof *loader->order);
  loader->order_epoch = -1;
  return loader->order ? LAMINA_OK : LAMINA_OUT_OF_MEMORY;
}

/* The threads take no signals: those are the program's. */
static lamina_status start_threads(lamina_loader *loader) {
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  int failure = 0;
  for (; loader->threads < loader->options.threads; loader->threads++) {
    failure = pthread_create(&loader->thread[loader->threads], NULL, thread_main, loader);
    if (failure) break;
  }
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  if (!failure) return LAMINA_OK;
  return lamina_error(LAMINA_OUT_OF_MEMORY, "loader: thread %d of %d could not be started: %s", loader->threads + 1,
                      loader->options.threads, strerror(failure));
}

lamina_status lamina_loader_open(const lamina_dataset *dataset, const lamina_loader_options *options,
                                 lamina_loader **loader) {
  LAMINA_NOT_NULL(loader, "loader");
  *loader = NULL;
  LAMINA_NOT_NULL(dataset, "dataset");
  LAMINA_NOT_NULL(options, "options");
  LAMINA_TRY(lamina_allocator_check(options->allocator, __func__));
  LAMINA_TRY(lamina_allocator_check(options->buffers, __func__));
  const lamina_dataset_info *info = lamina_dataset_info_of(dataset);
  layout l;
  LAMINA_TRY(plan(info, options, &l));
  lamina_loader *made = lamina_alloc_zero(options->allocator, sizeof *made);
  if (!made) return LAMINA_OUT_OF_MEMORY;
  made->dataset = dataset;
  made->options = *options;
  made->options.hold = hold_of(options);
  made->options.ahead = ahead_of(options);
  made->allocator = options->allocator ? *options->allocator : lamina_malloc;
  made->buffers = options->buffers ? *options->buffers : made->allocator;
  made->values = l.values;
  made->capacity = l.capacity;
  made->batches = l.batches;
  made->end = options->epochs ? options->epochs * l.batches : INT64_MAX;
  made->chunk = options->threads ? (l.capacity + 4 * options->threads) / (4 * (options->threads + 1)) + 1 : l.capacity;
  made->limit = made->options.ahead;
  pthread_mutex_init(&made->lock, NULL);
  pthread_cond_init(&made->work, NULL);
  pthread_cond_init(&made->done, NULL);
  lamina_status status = alloc_ring(made, &l);
  if (!status) {
    for (int64_t c = 0; c < info->channels; c++)
      made->black[c] =
          (info->low - lamina_channel_mean(&dataset->normalise, c)) / lamina_channel_deviation(&dataset->normalise, c);
    status = start_threads(made);
  }
  if (status) return lamina_loader_close(made), status;
  *loader = made;
  return LAMINA_OK;
}

void lamina_loader_close(lamina_loader *loader) {
  if (!loader) return;
  pthread_mutex_lock(&loader->lock);
  loader->closing = true;
  loader->cancel = true;
  pthread_cond_broadcast(&loader->work);
  pthread_mutex_unlock(&loader->lock);
  for (int i = 0; i < loader->threads; i++) pthread_join(loader->thread[i], NULL);
  pthread_cond_destroy(&loader->done);
  pthread_cond_destroy(&loader->work);
  pthread_mutex_destroy(&loader->lock);

  const lamina_allocator allocator = loader->allocator;
  for (int i = 0; i < loader->slots; i++) {
    lamina_free(&loader->buffers, loader->slot[i].x);
    lamina_free(&allocator, loader->slot[i].example);
  }
  lamina_free(&allocator, loader->order);
  lamina_free(&allocator, loader->thread);
  lamina_free(&allocator, loader->black);
  lamina_free(&allocator, loader->slot);
  lamina_free(&allocator, loader);
}

/* ---- Batches ---- */

int64_t lamina_loader_batches(const lamina_loader *loader) { return loader ? loader->batches : 0; }

int64_t lamina_loader_examples(const lamina_loader *loader) {
  if (!loader) return 0;
  const int64_t count = lamina_dataset_info_of(loader->dataset)->count;
  return loader->options.partial ? count : loader->batches * loader->capacity;
}

lamina_status lamina_loader_next(lamina_loader *loader, lamina_batch *batch) {
  LAMINA_NOT_NULL(loader, "loader");
  LAMINA_NOT_NULL(batch, "batch");
  const int64_t wanted = loader->taken;
  *batch = (lamina_batch){.epoch = wanted / loader->batches, .index = wanted % loader->batches};
  if (wanted == loader->end) return LAMINA_OK;

  slot *s = &loader->slot[wanted % loader->slots];
  pthread_mutex_lock(&loader->lock);
  loader->limit = wanted + 1 + loader->options.ahead; /* the oldest batch that the caller held is free now */
  pthread_cond_broadcast(&loader->work);
  while (loader->opened <= wanted || s->left) {
    slot *mine;
    int64_t from, to;
    if (claim(loader, wanted + 1, &mine, &from, &to))
      work(loader, mine, from, to);
    else
      pthread_cond_wait(&loader->done, &loader->lock);
  }
  pthread_mutex_unlock(&loader->lock);
  if (s->status) return lamina_error(s->status, "%s", s->error);
  batch->n = s->n;
  batch->x = s->x;
  batch->label = s->label;
  batch->example = s->example;
  loader->taken = wanted + 1;
  return LAMINA_OK;
}

lamina_status lamina_loader_seek(lamina_loader *loader, int64_t epoch, int64_t batch) {
  LAMINA_NOT_NULL(loader, "loader");
  int64_t number;
  if (epoch < 0 || epoch > UINT32_MAX || batch < 0 || batch > loader->batches ||
      !lamina_mul(epoch, loader->batches, &number) || !lamina_sum(number, batch, &number) || number > loader->end)
    return lamina_error(LAMINA_INVALID, "loader: there is no batch %lld in epoch %lld; an epoch has %lld batches",
                        (long long)batch, (long long)epoch, (long long)loader->batches);
  pthread_mutex_lock(&loader->lock);
  cancel(loader);
  loader->taken = loader->opened = number;
  loader->limit = number + loader->options.ahead;
  loader->unclaimed = 0;
  loader->cancel = false;
  pthread_cond_broadcast(&loader->work);
  pthread_mutex_unlock(&loader->lock);
  return LAMINA_OK;
}
