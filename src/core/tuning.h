/* Tuning inside the core: what is known of problems that were timed, and how it is come by.
 *
 *   lamina_device ── tuning ── records: a line of the cache file each
 *
 *   plan: candidates ── lamina_tuning_apply: known? ── yes: the winner first, the wrong ones out
 *                                              └─ no, and it may tune: lamina_tune_problem, then the same */
#ifndef LAMINA_CORE_TUNING_H
#define LAMINA_CORE_TUNING_H

#include "core/candidates.h"
#include "core/records.h"

/* ---- A device's ---------------------------------------------------------------------------------------------------- */

/* Opens device->tuning, where there is a file or tuning is wanted, and takes the roofline from there. Warns in the log of a
 * file that can't be read. */
lamina_status lamina_tuning_open(lamina_device *device, const char *path, bool tune, double seconds);
/* The device, of fewer threads, takes what `with` knows and adds to it what it finds; `with` is closed behind it. */
lamina_status lamina_tuning_share(lamina_device *device, const lamina_device *with);
void lamina_tuning_close(lamina_device *device);
/* The roofline has been measured. */
lamina_status lamina_tuning_measured(lamina_device *device);
/* Puts the candidate that is known to be the fastest first and takes out those that are known to be wrong; finds out
 * before, where that is wanted. */
lamina_status lamina_tuning_apply(lamina_device *device, const lamina_problem *problem, lamina_choices *choices);

/* What came out for the winner of a problem. */
typedef struct lamina_tuned {
  char engine[144]; /* ENGINE/VARIANT */
  double seconds, spread;
  char proof[32]; /* "exact+full" */
  int64_t elements;
  double worst;
  int timed; /* candidates */
} lamina_tuned;
/* Is told of each candidate that doesn't agree with the oracle. */
typedef lamina_status lamina_wrong_fn(void *user, const char *engine, const char *reason);

/* Times the candidates that may win within `seconds`, after each has been held against the oracle. tuned->timed 0: none
 * could be. */
lamina_status lamina_tune_problem(lamina_device *device, const lamina_problem *problem, const lamina_choices *choices,
                                  double seconds, lamina_wrong_fn *wrong, void *user, lamina_tuned *tuned);

#endif
