/* One problem: each candidate is checked and warmed up; then they take turns, a sample each, until each has been timed
 * for its time. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "progress.h"

enum { SAMPLED = 1024 };
#define ORACLE_SECONDS 0.2 /* above this the oracle looks at chosen elements only */
#define SLOW_SECONDS   5.0 /* what is slower than this is only run when asked for by name */
#define SHORT_SECONDS  0.01
#define FAR_BEHIND     10 /* in a file: nor what is estimated to take so many times what the first takes */

typedef struct entry {
  const char *engine, *variant;
  char name[144];
  double estimate;
  lamina_plan *plan;
  void *workspace;
  bench_samples time;
  char checked[96];
  bool wrong, chosen;
  char skipped[192]; /* why it was not run; "": it was */
} entry;

typedef struct problem {
  const bench_how *how;
  const lamina_case *c;
  lamina_candidate *candidates;
  entry **list; /* those that can run */
  int count, candidate_count;
  lamina_data *data;
  lamina_check *oracle; /* of `data`, where there is but one check */
  bool changes;
} problem;

/* ---- Candidates ---------------------------------------------------------------------------------------------------- */

static lamina_status find_candidates(problem *p) {
  const lamina_plan_options options = {.engine = p->how->engine ? p->how->engine : ""};
  int room = 0;
  lamina_status status = lamina_candidates(p->how->device, &p->c->problem, &options, NULL, &room);
  if (status) return status;
  p->candidates = calloc((size_t)room + 1, sizeof *p->candidates);
  p->list = calloc((size_t)room + 1, sizeof *p->list);
  if (!p->candidates || !p->list) return lamina_error(LAMINA_OUT_OF_MEMORY, "no memory for %d candidates", room);
  p->candidate_count = room;
  return lamina_candidates(p->how->device, &p->c->problem, &options, p->candidates, &p->candidate_count);
}

static double reference_seconds(const problem *p) {
  double flops, bytes;
  for (int i = 0; i < p->candidate_count; i++)
    if (strcmp(p->candidates[i].engine, "ref") == 0 && p->candidates[i].seconds >= 0) return p->candidates[i].seconds;
  lamina_problem_work(&p->c->problem, &flops, &bytes);
  return flops / 2e8 + bytes / 4e8;
}

static bool too_slow(const problem *p, const lamina_candidate *candidate) {
  if (p->how->engine) return false;
  return candidate->seconds > SLOW_SECONDS || (p->how->brief && candidate->seconds > SHORT_SECONDS &&
                                               candidate->seconds > FAR_BEHIND * p->candidates[0].seconds);
}

static lamina_status plan_entry(problem *p, entry *e) {
  lamina_device *device = p->how->device;
  lamina_status status = lamina_plan_open(device, &p->c->problem, &(lamina_plan_options){.engine = e->name}, &e->plan);
  if (!status) status = lamina_memory_alloc(device, lamina_plan_workspace(e->plan), &e->workspace);
  if (status) snprintf(e->skipped, sizeof e->skipped, "%s", lamina_last_error());
  return status == LAMINA_UNSUPPORTED ? LAMINA_OK : status;
}

static lamina_status open_entries(problem *p) {
  bool chosen = false;
  for (int i = 0; i < p->candidate_count; i++) {
    const lamina_candidate *candidate = &p->candidates[i];
    if (candidate->seconds < 0) continue;
    entry *e = p->list[p->count] = calloc(1, sizeof *e);
    if (!e) return lamina_error(LAMINA_OUT_OF_MEMORY, "no memory for another candidate");
    p->count++;
    e->engine = candidate->engine, e->variant = candidate->variant, e->estimate = candidate->seconds;
    snprintf(e->name, sizeof e->name, "%s%s%s", e->engine, *e->variant ? "/" : "", e->variant);
    if (too_slow(p, candidate)) {
      snprintf(e->skipped, sizeof e->skipped, "about %.2g s a run; --engine %s runs it all the same",
               candidate->seconds, e->engine);
      continue;
    }
    const lamina_status status = plan_entry(p, e);
    if (status) return status;
    if (!chosen && e->plan) chosen = e->chosen = true;
  }
  return LAMINA_OK;
}

static void close_all(problem *p) {
  for (int i = 0; i < p->count; i++) {
    entry *e = p->list[i];
    if (e->workspace) lamina_memory_free(p->how->device, e->workspace, lamina_plan_workspace(e->plan));
    lamina_plan_close(e->plan);
    free(e);
  }
  free(p->list);
  free(p->candidates);
  lamina_check_close(p->oracle);
  lamina_data_close(p->data);
}

/* ---- Checking ------------------------------------------------------------------------------------------------------ */

static void add_tier(entry *e, const char *tier) {
  const size_t used = strlen(e->checked);
  if (!strstr(e->checked, tier)) snprintf(e->checked + used, sizeof e->checked - used, "%s%s", used ? ", " : "", tier);
}

static void say_wrong(entry *e, const lamina_verdict *verdict) {
  e->wrong = true;
  snprintf(e->checked, sizeof e->checked, "WRONG");
  fprintf(stderr, "%s: %s\n  %s\n", e->name, verdict->reason, verdict->repeat);
}

static int64_t sample_of(const problem *p) { return reference_seconds(p) > ORACLE_SECONDS ? SAMPLED : 0; }

static lamina_status check_as(const problem *p, entry *e, bool exact) {
  lamina_case c = *p->c;
  lamina_verdict verdict = {0};
  int count = 1;
  c.exact = exact;
  if (exact && !lamina_case_can_be_exact(&c)) return LAMINA_OK;
  const lamina_verify_options options = {.engine = e->name, .sample = sample_of(p)};
  const lamina_status status = lamina_verify(p->how->device, &c, &options, &verdict, &count);
  if (!status)
    add_tier(e, exact && verdict.tier == LAMINA_TIER_SAMPLE ? "exact sample" : lamina_tier_name(verdict.tier));
  else if (count < 1)
    return status;
  else
    say_wrong(e, &verdict);
  return LAMINA_OK;
}

/* With small integers, where there are any, and with normal numbers, each time on memory of its own. */
static lamina_status check_twice(const problem *p, entry *e) {
  bool files = false;
  for (int i = 0; i < LAMINA_MAX_ARGS; i++) files |= p->c->file[i] != NULL;
  lamina_status status = files ? LAMINA_OK : check_as(p, e, true);
  if (!status && !e->wrong) status = check_as(p, e, false);
  return status;
}

/* On the data that are timed; the oracle is asked once for all candidates. */
static lamina_status check_once(problem *p, entry *e) {
  lamina_verdict verdict;
  lamina_status status = p->oracle ? LAMINA_OK : lamina_check_open(p->data, sample_of(p), &p->oracle);
  if (status) return status;
  status = lamina_check_run(p->oracle, e->plan, &verdict);
  if (!status)
    add_tier(e, lamina_tier_name(verdict.tier));
  else if (status != LAMINA_MISMATCH)
    return status;
  else
    say_wrong(e, &verdict);
  return LAMINA_OK;
}

/* ---- Timing -------------------------------------------------------------------------------------------------------- */

static bench_job job_of(const problem *p, const entry *e) {
  return (bench_job){.device = p->how->device,
                     .clock = p->how->clock,
                     .plan = e->plan,
                     .args = lamina_data_args(p->data),
                     .workspace = e->workspace,
                     .reset = p->changes ? p->data : NULL};
}

static bool changes_inputs(const lamina_problem *problem) {
  const lamina_op_def *op = lamina_op_at(problem->op);
  for (int i = 0; op->args[i].name; i++)
    if (op->args[i].role == LAMINA_INOUT && problem->arg[i].dtype != LAMINA_NONE) return true;
  return problem->aliased != 0;
}

/* The time of each candidate that is to be run: what was asked for, or its share of what is left. */
static double seconds_each(const problem *p) {
  int runs = 0;
  for (int i = 0; i < p->count; i++) runs += !*p->list[i]->skipped;
  if (p->how->deadline <= 0 || !runs) return p->how->seconds;
  const double share = (p->how->deadline - progress_now()) / runs;
  return share < 0 ? 0 : share < p->how->seconds ? share : p->how->seconds;
}

static lamina_status take_turns(problem *p) {
  const double seconds = seconds_each(p);
  for (bool any = true; any;) {
    any = false;
    for (int i = 0; i < p->count; i++) {
      entry *e = p->list[i];
      if (*e->skipped || bench_enough(&e->time, seconds)) continue;
      const bench_job job = job_of(p, e);
      const lamina_status status = bench_sample(&job, &e->time);
      if (status) return status;
      any = true;
    }
  }
  return LAMINA_OK;
}

static int by_time(const void *a, const void *b) {
  const entry *x = *(entry *const *)a, *y = *(entry *const *)b;
  if (!x->time.count || !y->time.count) return (x->time.count == 0) - (y->time.count == 0);
  return x->time.median < y->time.median ? -1 : x->time.median > y->time.median;
}

static lamina_status measure(problem *p) {
  p->changes = changes_inputs(&p->c->problem);
  lamina_status status = lamina_data_open(p->how->device, p->c, &p->data);
  for (int i = 0; i < p->count && !status; i++) {
    entry *e = p->list[i];
    if (*e->skipped) continue;
    const bench_job job = job_of(p, e);
    status = p->how->brief ? check_once(p, e) : check_twice(p, e);
    if (!status) status = bench_calibrate(&job, &e->time);
  }
  if (!status) status = take_turns(p);
  for (int i = 0; i < p->count; i++) bench_summarise(&p->list[i]->time);
  qsort(p->list, (size_t)p->count, sizeof *p->list, by_time);
  return status;
}

/* ---- Rows ---------------------------------------------------------------------------------------------------------- */

static lamina_status report(const problem *p, const char *name) {
  char text[1024];
  bool compute = false;
  bench_row row = {
      .name = name, .problem = lamina_case_text(p->c, text, sizeof text), .device = lamina_device_name(p->how->device)};
  lamina_problem_work(&p->c->problem, &row.flops, &row.bytes);
  lamina_status status = bench_bound(p->how->peaks, &p->c->problem, &row.least, &compute);
  row.bound = compute ? "compute" : "memory";
  bench_row *rows = calloc((size_t)p->count, sizeof *rows);
  if (!rows) return lamina_error(LAMINA_OUT_OF_MEMORY, "no memory for %d rows", p->count);
  for (int i = 0; i < p->count; i++) {
    const entry *e = p->list[i];
    rows[i] = row;
    rows[i].engine = e->engine, rows[i].variant = e->variant, rows[i].estimate = e->estimate;
    rows[i].skipped = e->skipped, rows[i].checked = e->checked, rows[i].chosen = e->chosen;
    rows[i].samples = e->time.count, rows[i].seconds = e->time.median, rows[i].spread = e->time.spread;
    rows[i].workspace = lamina_plan_workspace(e->plan);
  }
  if (!status) status = bench_report_rows(p->how->report, rows, p->count);
  free(rows);
  return status;
}

lamina_status bench_case(const bench_how *how, const char *name, const lamina_case *c, bool *wrong) {
  problem p = {.how = how, .c = c};
  lamina_status status = find_candidates(&p);
  if (!status) status = open_entries(&p);
  if (!status && !p.count)
    status =
        lamina_error(LAMINA_UNSUPPORTED, "%s: no engine%s%s can do this; lamina op --explain says why",
                     lamina_op_at(c->problem.op)->name, how->engine ? " named " : "", how->engine ? how->engine : "");
  if (!status) status = measure(&p);
  if (!status) status = report(&p, name);
  for (int i = 0; i < p.count; i++) *wrong |= p.list[i]->wrong;
  close_all(&p);
  return status;
}
