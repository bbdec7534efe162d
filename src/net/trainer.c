/* The training loop: batch, step block, forward, backward, update; and the test at the end of an epoch. */
#include "net/trainer.h"

#include <math.h>
#include <stdio.h>

#include "core/device.h"

/* ---- Opening ---------------------------------------------------------------------------------------------------- */

static lamina_status need_at(void *user, int64_t batch, lamina_memory_need *need) {
  const lamina_trainer *t = user;
  lamina_settings settings = t->settings;
  settings.options.batch = batch;
  return lamina_training_need(t->net, &settings, need);
}

static lamina_status open_in(lamina_trainer *t, const lamina_training *training) {
  lamina_net *net = t->net;
  LAMINA_TRY(lamina_training_settle(net, training, &t->settings));
  const lamina_training *o = &t->settings.options;
  lamina_net_unsettle(net);
  LAMINA_TRY(lamina_net_check_memory(net, o->batch, need_at, t));
  LAMINA_TRY(lamina_training_update(net, &t->settings, &net->update));
  LAMINA_TRY(lamina_net_remember(net, lamina_dataset_info_of(o->train)));
  LAMINA_TRY(lamina_net_take_masters(net)); /* before they are set, so that they start unrounded */
  if (!net->set) LAMINA_TRY(lamina_net_init(net, o->seed));
  LAMINA_TRY(lamina_net_executor(net, LAMINA_MODE_TRAIN, o->batch, &t->settings.loss, 0, &t->executor));
  t->executor->held = true;
  LAMINA_TRY(lamina_net_take(net, t->executor));
  LAMINA_TRY(lamina_slots_open(t));
  lamina_loader_options loader = lamina_training_loader(net, o);
  t->pinned = lamina_pinned_allocator(net->device);
  if (!lamina_net_on_host(net)) loader.buffers = &t->pinned;
  LAMINA_TRY(lamina_loader_open(o->train, &loader, &t->loader));
  t->now = (lamina_progress){.epochs = o->epochs,
                             .steps = lamina_loader_batches(t->loader),
                             .loss = (double)NAN,
                             .mean_loss = (double)NAN,
                             .accuracy = (double)NAN,
                             .grad_norm = (double)NAN};
  return LAMINA_OK;
}

lamina_status lamina_trainer_open(lamina_net *net, const lamina_training *training, lamina_trainer **out) {
  LAMINA_NOT_NULL(out, "trainer");
  *out = NULL;
  LAMINA_NOT_NULL(net, "net");
  if (net->training) return lamina_error(LAMINA_INVALID, "the net has a trainer already; close that first");
  lamina_trainer *t = lamina_alloc_zero(net->allocator, sizeof *t);
  if (!t) return LAMINA_OUT_OF_MEMORY;
  t->net = net;
  net->training = true;
  const lamina_status status = open_in(t, training);
  if (status)
    lamina_trainer_close(t);
  else
    *out = t;
  return status;
}

void lamina_trainer_close(lamina_trainer *t) {
  if (!t) return;
  lamina_slots_close(t);
  lamina_loader_close(t->loader);
  if (t->executor) t->executor->held = false;
  t->net->training = false;
  lamina_free(t->net->allocator, t);
}

bool lamina_trainer_done(const lamina_trainer *t) { return !t || (t->now.epoch >= t->now.epochs && !t->ends); }
void lamina_trainer_progress(const lamina_trainer *t, lamina_progress *progress) {
  if (progress) *progress = t ? t->now : (lamina_progress){0};
}
const lamina_training *lamina_trainer_training(const lamina_trainer *t) { return t ? &t->settings.options : NULL; }

/* ---- Stepping --------------------------------------------------------------------------------------------------- */

/* What is in flight is given up: the next step is the one of this slot, again. */
static lamina_status go_back(lamina_trainer *t, const lamina_slot *slot) {
  const lamina_progress known = t->now;
  t->collected = t->queued;
  t->now = slot->before;
  t->now.loss = known.loss, t->now.mean_loss = known.mean_loss;
  t->now.accuracy = known.accuracy, t->now.grad_norm = known.grad_norm;
  t->ends = false;
  return lamina_loader_seek(t->loader, slot->before.epoch, slot->before.step);
}

/* What isn't finite has held back its step's update and all after it. That step runs again, watched. */
static lamina_status look_for_the_cause(lamina_trainer *t, lamina_slot *slot, const lamina_step_result *result) {
  lamina_batch batch;
  LAMINA_TRY(lamina_stream_sync(t->net->device, NULL));
  LAMINA_TRY(go_back(t, slot));
  LAMINA_TRY(lamina_slots_reset(t));
  if (!slot->given) { /* (the caller's is still where it was put) */
    LAMINA_TRY(lamina_loader_next(t->loader, &batch));
    LAMINA_TRY(lamina_slots_feed(t, slot, &batch));
  }
  const char *what = isfinite(result->loss) ? "the norm of the gradients" : "the loss";
  const lamina_status status = lamina_trainer_blame(t, slot, what);
  LAMINA_TRY(lamina_loader_seek(t->loader, t->now.epoch, t->now.step));
  return status;
}

void lamina_trainer_means(lamina_trainer *t, int64_t steps) {
  t->now.mean_loss = steps ? t->loss_sum / (double)steps : (double)NAN;
  t->now.accuracy = steps ? t->hits / (double)(steps * t->settings.options.batch) : (double)NAN;
}

/* Takes the oldest step in flight into account. */
static lamina_status collect(lamina_trainer *t) {
  lamina_slot *slot = &t->slots[t->collected % LAMINA_SLOTS];
  lamina_step_result result;
  const lamina_status status = lamina_slots_collect(t, &result);
  if (status) {
    (void)!go_back(t, slot);
    return status;
  }
  if (!result.finite) return look_for_the_cause(t, slot, &result);
  t->net->gradients = t->executor->applied.keeps;
  t->loss_sum += result.loss;
  t->now.loss = result.loss;
  t->now.grad_norm = result.grad_norm;
  t->hits += (double)result.hits;
  lamina_trainer_means(t, slot->before.step + 1);
  return LAMINA_OK;
}

lamina_status lamina_trainer_check(const lamina_trainer *t) {
  if (!t->torn) return LAMINA_OK;
  return lamina_error(LAMINA_INTERNAL,
                      "a step failed when some of the parameters were updated already, so they are of no "
                      "step; resume from a checkpoint");
}

lamina_status lamina_trainer_settle(lamina_trainer *t) {
  while (t->collected < t->queued) LAMINA_TRY(collect(t));
  return LAMINA_OK;
}

static lamina_status next_batch(lamina_trainer *t, lamina_batch *batch) {
  if (t->astray) LAMINA_TRY(lamina_loader_seek(t->loader, t->now.epoch, t->now.step));
  t->astray = false;
  return lamina_loader_next(t->loader, batch);
}

/* The step of the next batch, or of the one that is given, is put into the queue; before it, those are waited for whose
 * place it takes. */
static lamina_status queue_step(lamina_trainer *t, const lamina_batch *given) {
  lamina_batch batch;
  while (t->queued - t->collected >= LAMINA_SLOTS) LAMINA_TRY(collect(t));
  lamina_status status = given ? LAMINA_OK : next_batch(t, &batch);
  if (!status) status = lamina_slots_queue(t, given ? given : &batch, given != NULL);
  if (!status && given) t->astray = true;
  if (!status) return LAMINA_OK;
  char sentence[1024]; /* the step isn't done: its batch comes again */
  snprintf(sentence, sizeof sentence, "%s", lamina_last_error());
  LAMINA_TRY(lamina_trainer_settle(t));
  lamina_slots_wait(t); /* a part of it may be under way, in the slot that is taken next */
  LAMINA_TRY(lamina_loader_seek(t->loader, t->now.epoch, t->now.step));
  return lamina_error(status, "%s", sentence);
}

static lamina_status end_epoch(lamina_trainer *t) {
  const lamina_training *o = &t->settings.options;
  const bool test = o->test && o->evaluate > 0 && (t->now.epoch % o->evaluate == 0 || t->now.epoch == t->now.epochs);
  lamina_evaluation result;
  if (test) LAMINA_TRY(lamina_net_evaluate_by(t->net, o->test, &t->settings.loss, o->batch, o->top_k, &result));
  t->ends = false;
  return o->on_epoch ? o->on_epoch(o->user, &t->now, test ? &result : NULL) : LAMINA_OK;
}

static lamina_status step(lamina_trainer *t, const lamina_batch *given) {
  const lamina_training *o = &t->settings.options;
  lamina_progress *now = &t->now;
  LAMINA_TRY(lamina_trainer_check(t));
  if (lamina_trainer_done(t)) return lamina_error(LAMINA_INVALID, "all %lld epochs are done", (long long)now->epochs);
  if (t->ends) LAMINA_TRY(end_epoch(t));
  if (lamina_trainer_done(t)) return LAMINA_OK;
  if (now->step == now->steps || now->step == 0) now->step = 0, t->loss_sum = t->hits = 0;
  now->rate = lamina_rate_at(&o->rate, now->total, now->steps * now->epochs, now->steps);
  LAMINA_TRY(queue_step(t, given));
  now->step++;
  now->total++;
  now->examples += o->batch;
  t->ends = now->step == now->steps;
  now->epoch += t->ends;
  while (t->ends ? t->collected < t->queued : lamina_slots_ready(t)) LAMINA_TRY(collect(t));
  lamina_status status = o->on_step ? o->on_step(o->user, now) : LAMINA_OK;
  if (!status && t->ends) status = end_epoch(t);
  return status;
}

lamina_status lamina_trainer_step(lamina_trainer *t) {
  LAMINA_NOT_NULL(t, "trainer");
  return step(t, NULL);
}

lamina_status lamina_trainer_step_on(lamina_trainer *t, const float *x, const int32_t *labels) {
  LAMINA_NOT_NULL(t, "trainer");
  LAMINA_NOT_NULL(x, "x");
  LAMINA_NOT_NULL(labels, "labels");
  const int64_t classes = lamina_net_output(t->net).dims[0];
  const lamina_batch batch = {.n = t->settings.options.batch, .x = x, .label = labels};
  for (int64_t i = 0; i < batch.n; i++)
    if (labels[i] < 0 || labels[i] >= classes)
      return lamina_error(LAMINA_INVALID, "label %lld of the batch is %d; expected 0 to %lld", (long long)i, labels[i],
                          (long long)classes - 1);
  return step(t, &batch);
}

lamina_status lamina_trainer_run(lamina_trainer *t) {
  LAMINA_NOT_NULL(t, "trainer");
  while (!lamina_trainer_done(t)) LAMINA_TRY(lamina_trainer_step(t));
  return LAMINA_OK;
}
