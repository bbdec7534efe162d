/* The training loop: batch, step block, forward, backward, update; and the test at the end of an epoch. */
#include "net/trainer.h"

#include <math.h>

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
  LAMINA_TRY(lamina_net_check_memory(net, o->batch, need_at, t));
  LAMINA_TRY(lamina_training_update(net, &t->settings, &net->update));
  LAMINA_TRY(lamina_net_remember(net, lamina_dataset_info_of(o->train)));
  if (!net->set) LAMINA_TRY(lamina_net_init(net, o->seed));
  LAMINA_TRY(lamina_net_executor(net, LAMINA_MODE_TRAIN, o->batch, &t->settings.loss, 0, &t->executor));
  t->executor->held = true;
  LAMINA_TRY(lamina_net_take(net, t->executor));
  LAMINA_TRY(lamina_feed_open(net, t->executor, &t->feed));
  const size_t room = lamina_net_input_room(net, o->batch);
  if (room && !(t->room = lamina_alloc(net->allocator, room))) return LAMINA_OUT_OF_MEMORY;
  const lamina_loader_options loader = lamina_training_loader(net, o);
  LAMINA_TRY(lamina_loader_open(o->train, &loader, &t->loader));
  t->now = (lamina_progress){
      .epochs = o->epochs, .steps = lamina_loader_batches(t->loader), .loss = (double)NAN, .mean_loss = (double)NAN};
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
  lamina_loader_close(t->loader);
  lamina_feed_close(t->net, &t->feed);
  lamina_free(t->net->allocator, t->room);
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

static lamina_status run_step(lamina_trainer *t, const lamina_batch *batch) {
  const lamina_executor *e = t->executor;
  const lamina_step_block block = {.rate = (float)t->now.rate,
                                   .loss_gradient = 1,
                                   .step = t->now.total + 1,
                                   .rng = {(int64_t)t->settings.options.seed, t->now.total}};
  float loss;
  const void *x = lamina_net_as_input(t->net, batch->n, batch->x, t->room);
  LAMINA_TRY(lamina_feed_put(t->net, &t->feed, x, batch->label));
  LAMINA_TRY(lamina_net_write_step(t->net, &block));
  LAMINA_TRY(lamina_executor_run(t->net, e, 0, e->update, &t->feed));
  LAMINA_TRY(lamina_executor_read(t->net, e, e->loss, &t->feed, &loss));
  if (!isfinite(loss)) return lamina_trainer_blame(t);
  LAMINA_TRY(lamina_executor_run(t->net, e, e->update, e->graph.node_count, &t->feed));
  t->net->gradients = true;
  t->now.loss = (double)loss;
  return LAMINA_OK;
}

static lamina_status end_epoch(lamina_trainer *t) {
  const lamina_training *o = &t->settings.options;
  const bool test = o->test && o->evaluate > 0 && (t->now.epoch % o->evaluate == 0 || t->now.epoch == t->now.epochs);
  lamina_evaluation result;
  if (test) LAMINA_TRY(lamina_net_evaluate_by(t->net, o->test, &t->settings.loss, o->batch, o->top_k, &result));
  t->ends = false;
  return o->on_epoch ? o->on_epoch(o->user, &t->now, test ? &result : NULL) : LAMINA_OK;
}

lamina_status lamina_trainer_step(lamina_trainer *t) {
  LAMINA_NOT_NULL(t, "trainer");
  const lamina_training *o = &t->settings.options;
  lamina_progress *now = &t->now;
  lamina_batch batch;
  if (lamina_trainer_done(t)) return lamina_error(LAMINA_INVALID, "all %lld epochs are done", (long long)now->epochs);
  if (t->ends) LAMINA_TRY(end_epoch(t));
  if (lamina_trainer_done(t)) return LAMINA_OK;
  if (now->step == now->steps || now->step == 0) now->step = 0, t->loss_sum = 0;
  now->rate = lamina_rate_at(&o->rate, now->total, now->steps * now->epochs, now->steps);
  lamina_status status = lamina_loader_next(t->loader, &batch);
  if (!status) status = run_step(t, &batch);
  if (status) { /* the step isn't done: its batch comes again */
    LAMINA_TRY(lamina_loader_seek(t->loader, now->epoch, now->step));
    return status;
  }
  now->step++;
  now->total++;
  now->examples += batch.n;
  t->loss_sum += now->loss;
  now->mean_loss = t->loss_sum / (double)now->step;
  t->ends = now->step == now->steps;
  now->epoch += t->ends;
  if (o->on_step) status = o->on_step(o->user, now);
  if (!status && t->ends) status = end_epoch(t);
  return status;
}

lamina_status lamina_trainer_run(lamina_trainer *t) {
  LAMINA_NOT_NULL(t, "trainer");
  while (!lamina_trainer_done(t)) LAMINA_TRY(lamina_trainer_step(t));
  return LAMINA_OK;
}
