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

struct lamina_trainer {
  lamina_net *net;
  lamina_settings settings;
  lamina_loader *loader;
  lamina_executor *executor;
  lamina_feed feed;
  void *room; /* for a batch as the net takes it, where that isn't f32 */
  lamina_progress now;
  double loss_sum; /* over the epoch's steps */
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
/* Bytes of the loader of an evaluation; -1 where they overflow. */
/* lamina_net_evaluate with a loss that is settled. */
lamina_status lamina_net_evaluate_by(lamina_net *net, const lamina_dataset *dataset, const lamina_criterion *loss,
                                     int64_t batch, int64_t k, lamina_evaluation *evaluation);
int64_t lamina_evaluation_memory(const lamina_net *net, const lamina_dataset *dataset, int64_t batch);
/* describe.c: what a run can't change in the middle, a line each: "batch 64\nseed 1\n…". */
lamina_status lamina_training_describe(const lamina_training *options, lamina_text *text);
lamina_loader_options lamina_training_loader(const lamina_net *net, const lamina_training *options);

/* NOT_FINITE with the first layer that makes it, found by running the step again node by node. */
lamina_status lamina_trainer_blame(const lamina_trainer *trainer);

#ifdef __cplusplus
}
#endif

#endif
