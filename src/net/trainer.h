/* A trainer inside the library. */
#ifndef LAMINA_NET_TRAINER_H
#define LAMINA_NET_TRAINER_H

#include "net/net.h"

struct lamina_trainer {
  lamina_net *net;
  lamina_training options; /* after recipe and defaults */
  uint8_t optimizer_attrs[LAMINA_ATTR_BYTES];
  lamina_loader *loader;
  lamina_executor *executor;
  lamina_feed feed;
  lamina_progress now;
  double loss_sum; /* over the epoch's steps */
};

lamina_status lamina_rate_check(const lamina_rate *rate);
/* The rate of step `step` (from 0) of `steps`. */
double lamina_rate_at(const lamina_rate *rate, int64_t step, int64_t steps, int64_t steps_of_epoch);

/* Options with the recipe's and the defaults filled in; attrs receives the optimizer's struct. */
lamina_status lamina_training_resolve(lamina_net *net, const lamina_training *given, lamina_training *options,
                                      uint8_t *attrs);
/* The update that the options ask for. */
lamina_status lamina_training_update(const lamina_training *options, lamina_update *update);
lamina_loader_options lamina_training_loader(const lamina_net *net, const lamina_training *options);

/* NOT_FINITE with the first layer that makes it, found by running the step again node by node. */
lamina_status lamina_trainer_blame(const lamina_trainer *trainer);

#endif
