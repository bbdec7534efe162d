/* Finding the fastest engine for a problem.
 *
 *   candidates ── those that may win: estimated within a factor of the best
 *              ── each is held against the oracle, on exact numbers where there are any and on normal ones; the wrong ones
 *                 are out and are told of
 *              ── the others are timed in turns, on the same tensors with red zones around: medians, and how they scatter
 *              ── the winner is held against the oracle once more: it was right when it was run often, too
 *
 * *Why the oracle and not one another:* the fastest would be compared with whatever ran first, which may be what is wrong. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/tuning.h"
#include "core/verify.h"

#define LIKELY   4    /* so many times the best estimate is too much to win */
#define HOPELESS 2    /* so many times the fastest one's first runs, too */
#define SAMPLE   1e-3 /* seconds that one sample takes at least */
#define ORACLE   3e7  /* operations that the oracle may take for one check */
enum { MOST = 12, ROUNDS = 31, LEAST_ROUNDS = 5, MOST_RUNS = 1000, LEAST_ELEMENTS = 64, MOST_ELEMENTS = 1024 };

typedef struct entry {
  char name[144];
  lamina_plan *plan;
  long runs; /* in a sample */
  int samples;
  double sample[ROUNDS], worst;
  int64_t elements;
  bool out; /* wrong, or too slow to win */
} entry;

typedef struct tuning {
  lamina_device *device;
  lamina_case c[2]; /* in normal numbers, and in exact ones */
  lamina_data *data[2];
  lamina_check *check[2];
  bool sampled;
  entry *list;
  int count;
  void *workspace;
  size_t workspace_size;
  lamina_event *from, *to;
  lamina_wrong_fn *wrong;
  void *user;
} tuning;

/* ---- Who may win --------------------------------------------------------------------------------------------------------- */

static lamina_status open_entry(tuning *t, const lamina_problem *problem, const lamina_choice *choice) {
  entry *e = &t->list[t->count];
  *e = (entry){.runs = 1};
  snprintf(e->name, sizeof e->name, "%s%s%s", choice->engine->name, *choice->variant ? "/" : "", choice->variant);
  const lamina_status status =
      lamina_plan_open(t->device, problem, &(lamina_plan_options){.engine = e->name}, &e->plan);
  if (status) return status == LAMINA_UNSUPPORTED ? LAMINA_OK : status; /* its engine still refused */
  const bool same = e->plan->engine == choice->engine && strcmp(e->plan->variant, choice->variant) == 0;
  if (!same) {
    lamina_plan_close(e->plan);
    return LAMINA_OK;
  }
  const size_t needs = lamina_plan_workspace(e->plan);
  if (needs > t->workspace_size) t->workspace_size = needs;
  t->count++;
  return LAMINA_OK;
}

/* The reference takes part only where there is nothing else. */
static lamina_status open_entries(tuning *t, const lamina_problem *problem, const lamina_choices *choices) {
  t->list = lamina_alloc(&t->device->allocator, MOST * sizeof *t->list);
  if (!t->list) return LAMINA_OUT_OF_MEMORY;
  for (int i = 0; i < choices->count && t->count < MOST; i++) {
    const lamina_choice *choice = &choices->list[i];
    if (choice->seconds < 0 || choice->seconds > LIKELY * choices->list[0].seconds) break;
    if (t->count && strcmp(choice->engine->name, "ref") == 0) continue;
    LAMINA_TRY(open_entry(t, problem, choice));
  }
  return LAMINA_OK;
}

/* ---- Who is right -------------------------------------------------------------------------------------------------------- */

/* How many elements of each output the oracle can do in its time; 0: all of them. */
static int64_t elements_for(const lamina_problem *problem) {
  const lamina_op_def *op = lamina_op_at(problem->op);
  double flops, bytes, outputs = 0;
  lamina_problem_work(problem, &flops, &bytes);
  if (flops + bytes <= ORACLE) return 0;
  for (int i = 0; op->args[i].name; i++)
    if (op->args[i].role != LAMINA_IN && problem->arg[i].dtype) outputs += (double)lamina_desc_count(&problem->arg[i]);
  const double each = ORACLE / ((flops + bytes) / outputs);
  return each < LEAST_ELEMENTS ? LEAST_ELEMENTS : each > MOST_ELEMENTS ? MOST_ELEMENTS : (int64_t)each;
}

static lamina_status open_checks(tuning *t, const lamina_problem *problem) {
  const int64_t elements = elements_for(problem);
  t->sampled = elements > 0;
  for (int i = 0; i < 2; i++) {
    t->c[i] = (lamina_case){.problem = *problem, .exact = i == 1, .seed = 1};
    if (i == 1 && !lamina_case_can_be_exact(&t->c[i])) break;
    LAMINA_TRY(lamina_data_open(t->device, &t->c[i], &t->data[i]));
    LAMINA_TRY(lamina_check_open(t->data[i], elements, &t->check[i]));
  }
  return LAMINA_OK;
}

static lamina_status check(tuning *t, entry *e) {
  lamina_verdict v = {.status = LAMINA_OK};
  for (int i = 1; i >= 0 && !e->out; i--) {
    if (!t->check[i]) continue;
    const lamina_status status = lamina_check_run(t->check[i], e->plan, &v);
    if (status == LAMINA_OUT_OF_MEMORY || status == LAMINA_DEVICE) return status;
    if (v.worst > e->worst) e->worst = v.worst;
    e->elements += v.elements;
    if (!status) continue;
    char reason[1400];
    snprintf(reason, sizeof reason, "%s; %s", v.reason, v.repeat);
    e->out = true;
    LAMINA_TRY(t->wrong(t->user, e->name, reason));
  }
  return LAMINA_OK;
}

/* ---- Who is fast --------------------------------------------------------------------------------------------------------- */

/* Where a run changes what the next one reads, everything is brought back before each. */
static bool changes_inputs(const lamina_problem *problem) {
  const lamina_op_def *op = lamina_op_at(problem->op);
  for (int i = 0; op->args[i].name; i++)
    if (problem->arg[i].dtype && (op->args[i].role == LAMINA_INOUT || lamina_alias_of(problem, i) >= 0)) return true;
  return false;
}

static lamina_status time_entry(tuning *t, entry *e, long runs, double *seconds) {
  if (changes_inputs(&t->c[0].problem)) LAMINA_TRY(lamina_data_reset(t->data[0]));
  LAMINA_TRY(lamina_stream_sync(t->device, NULL));
  LAMINA_TRY(lamina_event_record(t->from, NULL));
  for (long i = 0; i < runs; i++)
    LAMINA_TRY(lamina_plan_run(e->plan, lamina_data_args(t->data[0]), t->workspace, NULL));
  LAMINA_TRY(lamina_event_record(t->to, NULL));
  LAMINA_TRY(lamina_event_sync(t->to));
  LAMINA_TRY(lamina_event_seconds(t->from, t->to, seconds));
  *seconds /= (double)runs;
  return LAMINA_OK;
}

/* Finds out how many runs a sample is, and who is too slow: the least of a few, in turns, since others may be at work. */
static lamina_status warm_up(tuning *t) {
  double fastest = INFINITY, took[MOST];
  const bool single = changes_inputs(&t->c[0].problem);
  for (int i = 0; i < t->count; i++) took[i] = INFINITY;
  for (int n = 0; n < 3; n++)
    for (int i = 0; i < t->count; i++) {
      double seconds;
      if (t->list[i].out) continue;
      LAMINA_TRY(time_entry(t, &t->list[i], 1, &seconds));
      took[i] = fmin(took[i], seconds);
      fastest = fmin(fastest, took[i]);
    }
  for (int i = 0; i < t->count; i++) {
    entry *e = &t->list[i];
    if (!e->out) e->out = took[i] > HOPELESS * fastest + 5e-6;
    if (!e->out && !single) e->runs = (long)fmin(fmax(SAMPLE / fmax(took[i], 1e-9), 1), MOST_RUNS);
  }
  return LAMINA_OK;
}

static double now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (double)at.tv_sec + 1e-9 * (double)at.tv_nsec;
}

/* In turns, so that what disturbs disturbs all; there and back, so that nobody always comes after the same one. */
static lamina_status time_all(tuning *t, double seconds) {
  const double start = now();
  for (int round = 0; round < ROUNDS; round++) {
    const double spent = now() - start;
    if (spent > seconds && (round >= LEAST_ROUNDS || (round >= 3 && spent > 4 * seconds))) break;
    for (int n = 0; n < t->count; n++) {
      entry *e = &t->list[round % 2 ? t->count - 1 - n : n];
      if (!e->out) LAMINA_TRY(time_entry(t, e, e->runs, &e->sample[e->samples++]));
    }
  }
  return LAMINA_OK;
}

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static void summarise(entry *e, double *median, double *spread) {
  const int quarter = (e->samples - 1) / 4;
  qsort(e->sample, (size_t)e->samples, sizeof *e->sample, by_value);
  *median = (e->sample[(e->samples - 1) / 2] + e->sample[e->samples / 2]) / 2;
  *spread = *median > 0 ? (e->sample[e->samples - 1 - quarter] - e->sample[quarter]) / 2 / *median : 0;
}

/* The one with the best estimate stays where nobody is faster by more than both scatter: on a busy machine the choice isn't
 * left to chance. */
static entry *fastest(tuning *t, lamina_tuned *tuned) {
  entry *best = NULL;
  double first = 0, scatter = 0;
  for (int i = 0; i < t->count; i++) {
    double median, spread;
    entry *e = &t->list[i];
    if (e->out || !e->samples) continue;
    summarise(e, &median, &spread);
    if (!best) first = median, scatter = spread;
    const bool clear = best && median * (1 + spread) < first * (1 - scatter);
    if (best && !(clear && median < tuned->seconds)) continue;
    best = e;
    tuned->seconds = median, tuned->spread = spread;
  }
  return best;
}

/* The winner is checked again; one that is wrong now gives way to the next. */
static lamina_status find_winner(tuning *t, lamina_tuned *tuned) {
  for (;;) {
    entry *best = fastest(t, tuned);
    if (!best) return LAMINA_OK;
    best->elements = 0;
    LAMINA_TRY(check(t, best));
    if (best->out) continue;
    snprintf(tuned->engine, sizeof tuned->engine, "%s", best->name);
    snprintf(tuned->proof, sizeof tuned->proof, "%s%s", t->check[1] ? "exact+" : "", t->sampled ? "sample" : "full");
    tuned->elements = best->elements, tuned->worst = best->worst;
    for (int i = 0; i < t->count; i++) tuned->timed += t->list[i].samples > 0;
    return LAMINA_OK;
  }
}

static lamina_status run(tuning *t, const lamina_problem *problem, const lamina_choices *choices, double seconds,
                         lamina_tuned *tuned) {
  LAMINA_TRY(open_entries(t, problem, choices));
  if (!t->count) return LAMINA_OK;
  LAMINA_TRY(lamina_memory_alloc(t->device, t->workspace_size, &t->workspace));
  LAMINA_TRY(lamina_event_open_timed(t->device, &t->from));
  LAMINA_TRY(lamina_event_open_timed(t->device, &t->to));
  LAMINA_TRY(open_checks(t, problem));
  for (int i = 0; i < t->count; i++) LAMINA_TRY(check(t, &t->list[i]));
  LAMINA_TRY(warm_up(t));
  LAMINA_TRY(time_all(t, seconds));
  return find_winner(t, tuned);
}

lamina_status lamina_tune_problem(lamina_device *device, const lamina_problem *problem, const lamina_choices *choices,
                                  double seconds, lamina_wrong_fn *wrong, void *user, lamina_tuned *tuned) {
  tuning t = {.device = device, .wrong = wrong, .user = user};
  *tuned = (lamina_tuned){.timed = 0};
  const lamina_status status = run(&t, problem, choices, seconds, tuned);
  for (int i = 0; i < 2; i++) {
    lamina_check_close(t.check[i]);
    lamina_data_close(t.data[i]);
  }
  lamina_event_close(t.from);
  lamina_event_close(t.to);
  lamina_memory_free(device, t.workspace, t.workspace_size);
  for (int i = 0; i < t.count; i++) lamina_plan_close(t.list[i].plan);
  lamina_free(&device->allocator, t.list);
  return status;
}
