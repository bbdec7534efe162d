/* Steps in flight: a device works on one while the host prepares the next.
 *
 *   host     batch k → upload ┐         batch k+1 → upload ┐              batch k+2: waits for step k, whose slot it takes
 *   device                    step k → loss ┐              step k+1 → loss ┐
 *   host                                    collected when it is there
 *
 * All that changes from step to step is in a slot's memory, so that a step is captured once for each slot and then is one
 * call. On a device that works in the host's memory nothing is copied, and a step is done when it was queued. */
#include <math.h>

#include "core/device.h"
#include "net/trainer.h"

static void *pinned_alloc(void *user, size_t size, size_t align) {
  void *memory;
  (void)align;
  return lamina_pinned_alloc(user, size, &memory) ? NULL : memory;
}
static void pinned_free(void *user, void *memory, size_t size) { lamina_pinned_free(user, memory, size); }

lamina_allocator lamina_pinned_allocator(lamina_device *device) {
  return (lamina_allocator){.alloc = pinned_alloc, .free = pinned_free, .user = device};
}

/* ---- Opening ---------------------------------------------------------------------------------------------------- */

static lamina_status slot_open(lamina_trainer *t, lamina_slot *slot) {
  lamina_net *net = t->net;
  lamina_device *device = net->device;
  void *block, *result;
  LAMINA_TRY(lamina_feed_open(net, t->executor, &slot->feed));
  LAMINA_TRY(lamina_pinned_alloc(device, sizeof *slot->block, &block));
  slot->block = block;
  LAMINA_TRY(lamina_pinned_alloc(device, LAMINA_RESULT_BYTES, &result));
  slot->result = result;
  slot->room_size = lamina_net_input_room(net, t->settings.options.batch);
  LAMINA_TRY(lamina_pinned_alloc(device, slot->room_size, &slot->room));
  if (!lamina_net_on_host(net)) LAMINA_TRY(lamina_memory_alloc(device, sizeof *slot->block, &slot->own_step));
  slot->feed.step = slot->own_step ? slot->own_step : block;
  LAMINA_TRY(lamina_event_open(device, &slot->uploaded));
  return lamina_event_open(device, &slot->done);
}

lamina_status lamina_slots_open(lamina_trainer *t) {
  t->plain = !lamina_captures(t->net->device);
  LAMINA_TRY(lamina_stream_open(t->net->device, &t->upload));
  for (int i = 0; i < LAMINA_SLOTS; i++) LAMINA_TRY(slot_open(t, &t->slots[i]));
  return lamina_slots_reset(t);
}

static void slot_close(lamina_trainer *t, lamina_slot *slot) {
  lamina_device *device = t->net->device;
  lamina_capture_close(device, slot->capture);
  lamina_event_close(slot->uploaded);
  lamina_event_close(slot->done);
  lamina_memory_free(device, slot->own_step, sizeof *slot->block);
  lamina_pinned_free(device, slot->room, slot->room_size);
  lamina_pinned_free(device, slot->result, LAMINA_RESULT_BYTES);
  lamina_pinned_free(device, slot->block, sizeof *slot->block);
  lamina_feed_close(t->net, &slot->feed);
}

void lamina_slots_wait(lamina_trainer *t) {
  if (t->upload) (void)!lamina_stream_sync(t->net->device, t->upload);
  (void)!lamina_stream_sync(t->net->device, NULL);
}

/* Steps may still be under way; whatever comes of them, nothing may be freed before. */
void lamina_slots_close(lamina_trainer *t) {
  lamina_slots_wait(t);
  for (int i = 0; i < LAMINA_SLOTS; i++) slot_close(t, &t->slots[i]);
  lamina_stream_close(t->upload);
}

lamina_status lamina_slots_reset(lamina_trainer *t) {
  static const char zeros[LAMINA_RESULT_BYTES];
  return lamina_copy(t->net->device, t->net->block[LAMINA_BUFFER_RESULT], zeros, sizeof zeros, NULL);
}

/* ---- Queueing --------------------------------------------------------------------------------------------------- */

static lamina_status upload(lamina_trainer *t, lamina_slot *slot, const lamina_batch *batch) {
  lamina_net *net = t->net;
  const void *x = lamina_net_as_input(net, batch->n, batch->x, slot->room);
  *slot->block = (lamina_step_block){.rate = (float)t->now.rate,
                                     .loss_gradient = 1,
                                     .step = t->now.total + 1,
                                     .rng = {(int64_t)t->settings.options.seed, t->now.total}};
  if (slot->given)
    LAMINA_TRY(lamina_feed_put(net, &slot->feed, x, batch->label, t->upload));
  else
    LAMINA_TRY(lamina_feed_queue(net, &slot->feed, x, batch->label, t->upload));
  if (slot->own_step)
    LAMINA_TRY(lamina_copy_async(net->device, slot->own_step, slot->block, sizeof *slot->block, t->upload));
  return lamina_event_record(slot->uploaded, t->upload);
}

lamina_status lamina_slots_feed(lamina_trainer *t, lamina_slot *slot, const lamina_batch *batch) {
  LAMINA_TRY(upload(t, slot, batch));
  return lamina_stream_sync(t->net->device, t->upload);
}

/* A step that fails among early updates has made some of them. */
static lamina_status run_nodes(lamina_trainer *t, const lamina_slot *slot) {
  const lamina_executor *e = t->executor;
  int reached;
  const lamina_status status = lamina_executor_step(t->net, e, &slot->feed, &reached);
  t->torn |= status && e->early && reached >= e->update;
  return status;
}

/* Records the step. Where that can't be, the ops are launched one by one from now on, and the log says why. */
static void capture(lamina_trainer *t, lamina_slot *slot) {
  lamina_device *device = t->net->device;
  lamina_status status = lamina_capture_begin(device);
  if (!status) {
    status = run_nodes(t, slot);
    if (status)
      (void)!lamina_capture_end(device, NULL);
    else
      status = lamina_capture_end(device, &slot->capture);
  }
  if (!status) {
    memcpy(slot->blocks, t->net->block, sizeof slot->blocks);
    return;
  }
  t->plain = true;
  lamina_log(device, status == LAMINA_UNSUPPORTED ? LAMINA_LOG_INFO : LAMINA_LOG_WARNING,
             "training steps are not captured, their ops are launched one by one: %s", lamina_last_error());
}

static lamina_status run(lamina_trainer *t, lamina_slot *slot) {
  if (t->net->trace) return run_nodes(t, slot);
  if (slot->capture && memcmp(slot->blocks, t->net->block, sizeof slot->blocks) != 0) { /* an evaluation moved them */
    lamina_capture_close(t->net->device, slot->capture);
    slot->capture = NULL;
  }
  if (!slot->capture && !t->plain) capture(t, slot);
  return slot->capture ? lamina_capture_run(t->net->device, slot->capture) : run_nodes(t, slot);
}

lamina_status lamina_slots_queue(lamina_trainer *t, const lamina_batch *batch, bool given) {
  lamina_net *net = t->net;
  lamina_slot *slot = &t->slots[t->queued % LAMINA_SLOTS];
  slot->before = t->now;
  slot->given = given;
  LAMINA_TRY(upload(t, slot, batch));
  LAMINA_TRY(lamina_event_wait(slot->uploaded, NULL));
  LAMINA_TRY(run(t, slot));
  const void *result = net->block[LAMINA_BUFFER_RESULT];
  /* The step is under way and will have been done, so what fails from here on is tried again by waiting. */
  if (lamina_copy_async(net->device, slot->result, result, LAMINA_RESULT_BYTES, NULL))
    LAMINA_TRY(lamina_copy(net->device, slot->result, result, LAMINA_RESULT_BYTES, NULL));
  if (lamina_event_record(slot->done, NULL)) LAMINA_TRY(lamina_stream_sync(net->device, NULL));
  t->queued++;
  return LAMINA_OK;
}

bool lamina_slots_ready(const lamina_trainer *t) {
  bool done = false;
  if (t->collected == t->queued) return false;
  const lamina_slot *slot = &t->slots[t->collected % LAMINA_SLOTS];
  return lamina_event_done(slot->done, &done) != LAMINA_OK || done; /* what failed is told when it is collected */
}

lamina_status lamina_slots_collect(lamina_trainer *t, lamina_step_result *result) {
  const lamina_slot *slot = &t->slots[t->collected % LAMINA_SLOTS];
  const lamina_dtype dtype = lamina_net_wide(t->net);
  const bool clipped = t->executor->norm >= 0;
  LAMINA_TRY(lamina_event_sync(slot->done));
  t->collected++;
  result->loss = lamina_load(dtype, slot->result + LAMINA_RESULT_LOSS, 0);
  result->grad_norm = clipped ? lamina_load(dtype, slot->result + LAMINA_RESULT_NORM, 0) : (double)NAN;
  result->hits = *(const int64_t *)(const void *)(slot->result + LAMINA_RESULT_HITS);
  result->finite = isfinite(result->loss) && (!clipped || isfinite(result->grad_norm));
  return LAMINA_OK;
}
