/* The candidates of a problem: what every engine offers, packed for it, best first. */
#ifndef LAMINA_CORE_CANDIDATES_H
#define LAMINA_CORE_CANDIDATES_H

#include "core/device.h"

typedef struct lamina_choice {
  const lamina_engine *engine;
  lamina_problem problem; /* as this engine sees it */
  char variant[64];
  double seconds; /* < 0: refused */
  int offered;    /* as which, from 0 */
  char tuned[64]; /* "1.23 ms ±2%, exact+full": it was timed; else "" */
  char reason[192];
} lamina_choice;

typedef struct lamina_choices {
  lamina_choice *list;
  int count, room;
  bool lost; /* memory ran out while listing */
} lamina_choices;

/* The engine that options or LAMINA_ENGINE ask for; "" for none. */
const char *lamina_engine_wanted(const lamina_device *device, const lamina_problem *problem,
                                 const lamina_plan_options *options);
/* `problem` is inferred; `engine` as lamina_engine_wanted gives it. Close the choices whatever the status. */
lamina_status lamina_choices_of(lamina_device *device, const lamina_problem *problem, const char *engine,
                                lamina_choices *choices);
void lamina_choices_close(lamina_device *device, lamina_choices *choices);
/* What the best candidate estimates, packing included, without preparing anything; below 0 where none takes the problem.
 * Layouts may be LAMINA_LAYOUT_ANY. The errors of lamina_problem_infer; OUT_OF_MEMORY. */
lamina_status lamina_estimate(lamina_device *device, const lamina_problem *problem, const lamina_plan_options *options,
                              double *seconds);
/* UNSUPPORTED with every reason. */
lamina_status lamina_choices_error(const lamina_choices *choices, const lamina_problem *problem, const char *engine);
/* For people, the chosen one first; NULL when memory runs out. */
char *lamina_choices_text(lamina_device *device, const lamina_choices *choices, int chosen, const char *note,
                          int packed);
/* Options that belong to the problem, then infer. */
lamina_status lamina_plan_key_problem(lamina_problem *problem, const lamina_plan_options *options);

/* A sum over nothing is an identity that the reference writes; no other engine needs to know about empty inputs. */
bool lamina_has_empty_input(const lamina_problem *problem);

#endif
