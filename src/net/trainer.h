/* A trainer inside the library. */
#ifndef LAMINA_NET_TRAINER_H
#define LAMINA_NET_TRAINER_H

#include "core/text.h"
#include "net/net.h"

#ifdef __cplusplus /* for tests */
extern "C" {
#endif

/* Options with the recipe's and the defaults filled in, and what they point to. Not to be copied. */
typedef struct lamina_settings {
  lamina_training options;
  lamina_criterion loss;
  char optimizer[48];
  uint8_t optimizer_attrs[LAMINA_ATTR_BYTES];
} lamina_settings;

/* A step in flight: its batch where the device can read it, its numbers, and what came of it. */
typedef struct lamina_slot {
  lamina_feed feed;
  void *own_step;           /* the step block, where the device has memory of its own */
  lamina_step_block *block; /* the host's, in pinned memory as are the next two */
  char *result;             /* what the step left behind: LAMINA_RESULT_BYTES */
  void *room;               /* of the batch as the net takes it, where that isn't as the loader gives it */
  size_t room_size;
  lamina_event *uploaded, *done;
  bool given;                   /* the batch is the caller's, not the loader's */
  void *capture;                /* of the whole step; NULL: none yet */
  void *blocks[LAMINA_BUFFERS]; /* the net's when it was captured */
  lamina_progress before;       /* where the trainer was */
} lamina_slot;

/* What is known of a step that is done. */
typedef struct lamina_step_result {
  double loss;
  double grad_norm; /* NaN where gradients aren't clipped by it */
  int64_t hits;     /* labels that scored highest */
  bool finite;
} lamina_step_result;

struct lamina_trainer {
  lamina_net *net;
  lamina_settings settings;
  lamina_allocator pinned; /* of the loader's batches */
  lamina_loader *loader;
  lamina_executor *executor;
  lamina_slot slots[LAMINA_SLOTS];
  int64_t queued, collected; /* steps: put into the device's queue, known to be done */
  lamina_stream *upload;     /* copies run beside the steps */
  bool plain;                /* steps are not captured */
  bool astray;               /* the loader isn't at the next step: a batch was given in the place of its own */
  void *room;                /* for a batch as the net takes it, where that isn't f32 */
  lamina_progress now;
  double loss_sum; /* over the epoch's steps */
  double hits;     /* likewise; NaN where a checkpoint didn't know it */
  bool torn;       /* a step failed between updates: the parameters are those of no step */
  bool ends;       /* an epoch's last step is done; its evaluation and on_epoch are still to come */
};

lamina_status lamina_rate_check(const lamina_rate *rate);
/* The rate of step `step` (from 0) of `steps`. */
double lamina_rate_at(const lamina_rate *rate, int64_t step, int64_t steps, int64_t steps_of_epoch);

/* Fills in and checks; opens the recipe's data where no other is given. */
lamina_status lamina_training_settle(lamina_net *net, const lamina_training *given, lamina_settings *settings);
/* The update that the settings ask for. */
lamina_status lamina_training_update(const lamina_net *net, const lamina_settings *settings, lamina_update *update);
/* What training with them takes. */
lamina_status lamina_training_need(lamina_net *net, const lamina_settings *settings, lamina_memory_need *need);
/* lamina_net_evaluate with a loss that is settled. */
lamina_status lamina_net_evaluate_by(lamina_net *net, const lamina_dataset *dataset, const lamina_criterion *loss,
                                     int64_t batch, int64_t k, lamina_evaluation *evaluation);
/* Bytes of host memory that an evaluation takes; -1 where they overflow. */
int64_t lamina_evaluation_memory(const lamina_net *net, const lamina_dataset *dataset, int64_t batch);
/* describe.c: what a run can't change in the middle, a line each: "batch 64\nseed 1\n…". */
lamina_status lamina_training_describe(const lamina_training *options, lamina_text *text);
lamina_loader_options lamina_training_loader(const lamina_net *net, const lamina_training *options);

/* slot.c: the device's pinned memory as an allocator, whose blocks start at pages. */
lamina_allocator lamina_pinned_allocator(lamina_device *device);
/* Steps in flight. */
lamina_status lamina_slots_open(lamina_trainer *trainer);
void lamina_slots_close(lamina_trainer *trainer);
/* Puts a step into the device's queue, in the next slot, which must be free. `given`: the batch lies in the caller's
 * memory, which may be any of the host's; it is read before this returns, or, on a device that works there, by the step. */
lamina_status lamina_slots_queue(lamina_trainer *trainer, const lamina_batch *batch, bool given);
/* Waits for the oldest step in flight, and tells what came of it. */
lamina_status lamina_slots_collect(lamina_trainer *trainer, lamina_step_result *result);
/* Is the oldest step in flight done? False where there is none. */
bool lamina_slots_ready(const lamina_trainer *trainer);
/* Puts a batch where the device can read it, and waits until it is there. */
lamina_status lamina_slots_feed(lamina_trainer *trainer, lamina_slot *slot, const lamina_batch *batch);
/* Waits for all that was queued, whatever comes of it. */
void lamina_slots_wait(lamina_trainer *trainer);
/* The sum of losses starts anew. */
lamina_status lamina_slots_reset(lamina_trainer *trainer);

/* The means of progress over so many steps of the epoch; NaN for 0. */
void lamina_trainer_means(lamina_trainer *trainer, int64_t steps);
/* INTERNAL where a step was left half done. */
lamina_status lamina_trainer_check(const lamina_trainer *trainer);
/* Waits for all steps in flight: progress then says how they went. */
lamina_status lamina_trainer_settle(lamina_trainer *trainer);

/* NOT_FINITE with the first layer that makes it, found by running the slot's step again node by node. `what` isn't:
 * "the loss". */
lamina_status lamina_trainer_blame(const lamina_trainer *trainer, const lamina_slot *slot, const char *what);

#ifdef __cplusplus
}
#endif

#endif
