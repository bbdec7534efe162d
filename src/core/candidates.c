/* Asking every engine what it can do with a problem. */
#include "core/candidates.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/blocks.h"
#include "core/problem.h"

const char *lamina_engine_wanted(const lamina_device *device, const lamina_problem *problem,
                                 const lamina_plan_options *options) {
  if (options && options->engine) return options->engine;
  for (int i = device->override_count - 1; i >= 0; i--) /* the last word counts */
    if (lamina_part_of(device->overrides[i].op, lamina_op_at(problem->op)->name)) return device->overrides[i].engine;
  return "";
}

/* ---- Strides that an engine takes ------------------------------------------------------------------------------- */

/* Without gaps in some order of the axes, or of their blocks. */
static bool dense_in_some_order(const lamina_desc *desc) {
  int64_t step = lamina_block_elements(desc->layout);
  for (int n = 0; n < desc->rank; n++) {
    int next = -1;
    int64_t blocks = 1;
    for (int d = 0; d < desc->rank && next < 0; d++) {
      blocks = desc->dims[d] / lamina_block_of(desc->layout, d);
      if (blocks > 1 && desc->strides[d] == step) next = d;
    }
    if (next < 0) break;
    step *= blocks;
  }
  return step == lamina_desc_count(desc);
}

static bool lie_alike(const lamina_desc *a, const lamina_desc *b) {
  return a->rank == b->rank && a->layout == b->layout && memcmp(a->strides, b->strides, sizeof a->strides) == 0 &&
         memcmp(a->dims, b->dims, sizeof a->dims) == 0;
}

/* The first argument that decides in which order the others must be; NULL: there is none. */
static const lamina_desc *first_order(const lamina_problem *problem) {
  for (int i = 0; i < LAMINA_MAX_ARGS; i++) {
    const lamina_desc *desc = &problem->arg[i];
    if (desc->dtype != LAMINA_NONE && desc->layout != LAMINA_LAYOUT_ANY && lamina_desc_count(desc) > 1) return desc;
  }
  return NULL;
}

/* May all arguments stay as they are? Those of one element fit any order. */
static bool same_order(const lamina_problem *problem) {
  const lamina_desc *first = first_order(problem);
  for (int i = 0; i < LAMINA_MAX_ARGS; i++) {
    const lamina_desc *desc = &problem->arg[i];
    if (desc->dtype == LAMINA_NONE || lamina_desc_count(desc) <= 1) continue;
    if (!dense_in_some_order(desc) || !lie_alike(desc, first)) return false;
  }
  return true;
}

/* `problem` with the strides and layouts that the engine takes; returns the bytes that must be packed. */
static double packed(const lamina_engine *engine, const lamina_problem *problem, lamina_problem *to) {
  double bytes = 0;
  *to = *problem;
  if (engine->strides == LAMINA_STRIDES_BLOCKED) return 0;
  if (engine->strides == LAMINA_STRIDES_SAME) {
    for (int i = 0; i < LAMINA_MAX_ARGS; i++) lamina_desc_settle(&to->arg[i], first_order(problem));
    if (same_order(to)) return 0;
  }
  for (int i = 0; i < LAMINA_MAX_ARGS; i++) {
    const lamina_desc *desc = &problem->arg[i];
    to->arg[i] = *desc;
    lamina_desc_settle(&to->arg[i], NULL);
    if (desc->dtype == LAMINA_NONE || lamina_desc_is_dense(&to->arg[i])) continue;
    if (engine->strides == LAMINA_STRIDES_ANY && desc->layout == 0) continue;
    to->arg[i] = lamina_dense((lamina_dtype)desc->dtype, desc->rank, desc->dims);
    to->arg[i].align = 64;
    bytes += (double)lamina_desc_bytes(&to->arg[i]);
  }
  return bytes;
}

/* ---- Listing ---------------------------------------------------------------------------------------------------- */

typedef struct asking {
  lamina_device *device;
  lamina_choices *choices;
  const lamina_engine *engine;
  lamina_problem problem;
  double packing; /* seconds */
  const char *wanted;
} asking;

static void add_choice(void *context, const char *variant, double seconds, const char *reason) {
  asking *ask = context;
  if (variant && strlen(variant) >= sizeof((lamina_choice *)0)->variant) /* it couldn't be asked for by name */
    variant = NULL, reason = "the name of its variant is longer than 63 characters";
  if (variant && !(seconds >= 0 && seconds <= DBL_MAX))
    variant = NULL, reason = "its estimate is not a number of seconds from 0";
  lamina_choices *choices = ask->choices;
  char name[160];
  snprintf(name, sizeof name, "%s%s%s", ask->engine->name, variant && *variant ? "/" : "", variant ? variant : "");
  if (*ask->wanted && !lamina_part_of(ask->wanted, name) &&
      (variant || !lamina_part_of(ask->engine->name, ask->wanted)))
    return;
  if (choices->count == choices->room) {
    const int room = choices->room ? 2 * choices->room : 8;
    lamina_choice *grown = lamina_grow(&ask->device->allocator, choices->list, (size_t)room * sizeof *grown);
    if (!grown) {
      choices->lost = true;
      return;
    }
    choices->list = grown;
    choices->room = room;
  }
  lamina_choice *choice = &choices->list[choices->count++];
  *choice = (lamina_choice){.engine = ask->engine,
                            .problem = ask->problem,
                            .seconds = variant ? seconds + ask->packing : -1,
                            .offered = choices->count};
  snprintf(choice->variant, sizeof choice->variant, "%s", variant ? variant : "");
  snprintf(choice->reason, sizeof choice->reason, "%s", reason ? reason : "");
}

/* Those that can't are last; of equal estimates, the first that was offered is first. */
static int by_seconds(const void *a, const void *b) {
  const lamina_choice *x = a, *y = b;
  if ((x->seconds < 0) != (y->seconds < 0)) return x->seconds < 0 ? 1 : -1;
  if (x->seconds >= 0 && x->seconds != y->seconds) return x->seconds < y->seconds ? -1 : 1;
  return x->offered - y->offered;
}

bool lamina_has_empty_input(const lamina_problem *problem) {
  const lamina_op_def *op = lamina_op_at(problem->op);
  for (int i = 0; op->args[i].name; i++)
    if (lamina_is_input(&op->args[i]) && problem->arg[i].dtype && lamina_desc_count(&problem->arg[i]) == 0) return true;
  return false;
}

/* Bytes a second that arguments are packed at, read and written: pieces keep memory from its best. */
static double packing_rate(const lamina_device *device) {
  return device->roofline.copy > 0 ? device->roofline.copy / 3.2 : 5e9;
}

lamina_status lamina_choices_of(lamina_device *device, const lamina_problem *problem, const char *engine,
                                lamina_choices *choices) {
  const char *op = lamina_op_at(problem->op)->name;
  const bool empty = lamina_has_empty_input(problem);
  asking ask = {.device = device, .choices = choices, .wanted = empty ? "ref" : engine};
  for (int i = 0; i < device->engine_count; i++) {
    ask.engine = device->engines[i];
    if (strcmp(ask.engine->op, "*") != 0 && strcmp(ask.engine->op, op) != 0) continue;
    if (empty && strcmp(ask.engine->name, "ref") != 0) continue;
    ask.packing = 2 * packed(ask.engine, problem, &ask.problem) / packing_rate(device);
    if (ask.packing > 0 && strcmp(op, "copy/forward") == 0) {
      add_choice(&ask, NULL, 0, "it copies only dense tensors, and packing others is itself a copy");
      continue;
    }
    ask.engine->candidates(device, &ask.problem, ask.engine, add_choice, &ask);
  }
  if (choices->lost) return LAMINA_OUT_OF_MEMORY;
  if (choices->count) qsort(choices->list, (size_t)choices->count, sizeof *choices->list, by_seconds);
  return LAMINA_OK;
}

void lamina_choices_close(lamina_device *device, lamina_choices *choices) {
  lamina_free(&device->allocator, choices->list);
}

lamina_status lamina_candidates(lamina_device *device, const lamina_problem *problem,
                                const lamina_plan_options *options, lamina_candidate *list, int *count) {
  LAMINA_NOT_NULL(device, "device");
  LAMINA_NOT_NULL(problem, "problem");
  LAMINA_NOT_NULL(count, "count");
  lamina_problem inferred = *problem;
  lamina_choices choices = {0};
  const int room = list ? *count : 0;
  *count = 0;
  LAMINA_TRY(lamina_engines_settle(device));
  LAMINA_TRY(lamina_plan_key_problem(&inferred, options));
  const lamina_status status =
      lamina_choices_of(device, &inferred, lamina_engine_wanted(device, &inferred, options), &choices);
  if (!status) *count = choices.count;
  for (int i = 0; !status && i < choices.count && i < room; i++) {
    const lamina_choice *from = &choices.list[i];
    snprintf(list[i].engine, sizeof list[i].engine, "%s", from->engine->name);
    snprintf(list[i].variant, sizeof list[i].variant, "%s", from->variant);
    snprintf(list[i].reason, sizeof list[i].reason, "%s", from->reason);
    list[i].seconds = from->seconds;
  }
  lamina_choices_close(device, &choices);
  return status;
}

lamina_status lamina_estimate(lamina_device *device, const lamina_problem *problem, const lamina_plan_options *options,
                              double *seconds) {
  lamina_problem inferred = *problem;
  lamina_choices choices = {0};
  *seconds = -1;
  LAMINA_TRY(lamina_engines_settle(device));
  LAMINA_TRY(lamina_plan_key_problem(&inferred, options));
  const lamina_status status =
      lamina_choices_of(device, &inferred, lamina_engine_wanted(device, &inferred, options), &choices);
  if (!status && choices.count) *seconds = choices.list[0].seconds; /* refusals have -1 */
  lamina_choices_close(device, &choices);
  return status;
}

/* ---- For people ------------------------------------------------------------------------------------------------- */

static void append_choice(const lamina_choice *choice, char *text, size_t size) {
  lamina_append(text, size, "%s%s%s", choice->engine->name, *choice->variant ? "/" : "", choice->variant);
  if (choice->seconds < 0)
    lamina_append(text, size, ": no, %s", *choice->reason ? choice->reason : "it gave no reason");
  else if (*choice->tuned)
    lamina_append(text, size, ": tuned: %s", choice->tuned);
  else
    lamina_append(text, size, ": estimated %.3g ms", choice->seconds * 1e3);
}

lamina_status lamina_choices_error(const lamina_choices *choices, const lamina_problem *problem, const char *engine) {
  char text[1600] = "";
  const char *op = lamina_op_at(problem->op)->name;
  for (int i = 0; i < choices->count; i++) {
    lamina_append(text, sizeof text, "\n  ");
    append_choice(&choices->list[i], text, sizeof text);
  }
  if (*engine && !choices->count)
    return lamina_error(LAMINA_UNSUPPORTED, "%s: there is no engine \"%s\" for it", op, engine);
  return lamina_error(LAMINA_UNSUPPORTED, "%s: no engine can run it:%s", op, text);
}

char *lamina_choices_text(lamina_device *device, const lamina_choices *choices, int chosen, const char *note,
                          int packed_args) {
  const size_t size = (size_t)(choices->count + 1) * 480;
  char *text = lamina_alloc(&device->allocator, size);
  if (!text) return NULL;
  text[0] = 0;
  for (int n = -1; n < choices->count; n++) {
    if (n == chosen) continue;
    const lamina_choice *choice = &choices->list[n < 0 ? chosen : n];
    append_choice(choice, text, size);
    if (choice->seconds < 0) {
      lamina_append(text, size, "\n");
      continue;
    }
    if (n < 0) lamina_append(text, size, ", chosen");
    if (n < 0 && *note) lamina_append(text, size, "; %s", note);
    if (n < 0 && packed_args)
      lamina_append(text, size, "; %d argument%s packed", packed_args, packed_args == 1 ? "" : "s");
    if (*choice->reason) lamina_append(text, size, "; %s", choice->reason);
    lamina_append(text, size, "\n");
  }
  return text;
}
