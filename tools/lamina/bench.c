/* lamina bench: how long each candidate takes for one case, against its work, and whether its result is right.
 *
 * Each candidate is warmed up; then they take turns, a sample each (as many runs as take 5 ms), until each has been
 * timed for `seconds`. The inputs are reset before every sample, outside of its time; caches are warm, as they are in a
 * network. Time is the median of the samples, spread half the distance between their quartiles. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "progress.h"

enum { MOST_SAMPLES = 4096, LEAST_SAMPLES = 3, SAMPLED = 1024 };
#define SAMPLE_SECONDS 5e-3
#define ORACLE_SECONDS 0.2 /* above this the oracle looks at chosen elements only */
#define REF_SECONDS    5.0 /* what is slower than this is only run when asked for by name */

typedef struct entry {
  const char *engine, *variant;
  char name[144];
  lamina_plan *plan;
  void *workspace;
  long repeats;
  double sample[MOST_SAMPLES]; /* seconds a run */
  int samples;
  double spent, median, spread;
  char checked[96]; /* "exact, full", or what is wrong */
  bool wrong;
  char skipped[128]; /* why it was not run; "": it was */
} entry;

typedef struct bench {
  const cli_command *self;
  lamina_device *device;
  lamina_case c;
  const char *engine;
  const char *seconds_text;
  double seconds, flops, bytes;
  bool json;
  cli_place place;
  lamina_candidate *candidates;
  entry **list; /* those that can run */
  int count, candidate_count;
  lamina_data *data;
} bench;

/* ---- Candidates ---------------------------------------------------------------------------------------------------- */

static lamina_status find_candidates(bench *b) {
  const lamina_plan_options options = {.engine = b->engine ? b->engine : ""};
  int room = 0;
  lamina_status status = lamina_candidates(b->device, &b->c.problem, &options, NULL, &room);
  if (status) return status;
  b->candidates = calloc((size_t)room + 1, sizeof *b->candidates);
  b->list = calloc((size_t)room + 1, sizeof *b->list);
  if (!b->candidates || !b->list) return lamina_error(LAMINA_OUT_OF_MEMORY, "no memory for %d candidates", room);
  b->candidate_count = room;
  return lamina_candidates(b->device, &b->c.problem, &options, b->candidates, &b->candidate_count);
}

static double reference_seconds(const bench *b) {
  for (int i = 0; i < b->candidate_count; i++)
    if (strcmp(b->candidates[i].engine, "ref") == 0) return b->candidates[i].seconds;
  return b->flops / 1e8;
}

static lamina_status plan_entry(bench *b, entry *e) {
  const lamina_plan_options options = {.engine = e->name};
  lamina_status status = lamina_plan_open(b->device, &b->c.problem, &options, &e->plan);
  if (!status) status = lamina_memory_alloc(b->device, lamina_plan_workspace(e->plan), &e->workspace);
  if (status) snprintf(e->skipped, sizeof e->skipped, "%s", lamina_last_error());
  return status == LAMINA_UNSUPPORTED ? LAMINA_OK : status;
}

static lamina_status open_entries(bench *b) {
  for (int i = 0; i < b->candidate_count; i++) {
    const lamina_candidate *candidate = &b->candidates[i];
    if (candidate->seconds < 0) continue;
    entry *e = b->list[b->count] = calloc(1, sizeof *e);
    if (!e) return lamina_error(LAMINA_OUT_OF_MEMORY, "no memory for another candidate");
    b->count++;
    e->engine = candidate->engine, e->variant = candidate->variant;
    snprintf(e->name, sizeof e->name, "%s%s%s", e->engine, *e->variant ? "/" : "", e->variant);
    if (!b->engine && candidate->seconds > REF_SECONDS) {
      snprintf(e->skipped, sizeof e->skipped, "about %.0f s a run; --engine %s runs it all the same",
               candidate->seconds, e->engine);
      continue;
    }
    const lamina_status status = plan_entry(b, e);
    if (status) return status;
  }
  return LAMINA_OK;
}

static void close_all(bench *b) {
  for (int i = 0; i < b->count; i++) {
    entry *e = b->list[i];
    if (e->plan) lamina_memory_free(b->device, e->workspace, lamina_plan_workspace(e->plan));
    lamina_plan_close(e->plan);
    free(e);
  }
  free(b->list);
  free(b->candidates);
  lamina_data_close(b->data);
  lamina_device_close(b->device);
}

/* ---- Checking ------------------------------------------------------------------------------------------------------ */

static lamina_status check_as(const bench *b, entry *e, bool exact) {
  lamina_case c = b->c;
  lamina_verdict verdict = {0};
  int count = 1;
  c.exact = exact;
  if (exact && !lamina_case_can_be_exact(&c)) return LAMINA_OK;
  const lamina_verify_options options = {.engine = e->name,
                                         .sample = reference_seconds(b) > ORACLE_SECONDS ? SAMPLED : 0};
  const lamina_status status = lamina_verify(b->device, &c, &options, &verdict, &count);
  const size_t used = strlen(e->checked);
  if (!status) {
    const char *tier = lamina_tier_name(verdict.tier);
    if (exact && verdict.tier == LAMINA_TIER_SAMPLE) tier = "exact sample";
    if (!strstr(e->checked, tier))
      snprintf(e->checked + used, sizeof e->checked - used, "%s%s", used ? ", " : "", tier);
    return LAMINA_OK;
  }
  if (count < 1) return status;
  e->wrong = true;
  snprintf(e->checked, sizeof e->checked, "WRONG");
  fprintf(stderr, "%s: %s\n  %s\n", e->name, verdict.reason, verdict.repeat);
  return LAMINA_OK;
}

static lamina_status check(const bench *b, entry *e) {
  bool files = false;
  for (int i = 0; i < LAMINA_MAX_ARGS; i++) files |= b->c.file[i] != NULL;
  lamina_status status = files ? LAMINA_OK : check_as(b, e, true);
  if (!status && !e->wrong) status = check_as(b, e, false);
  return status;
}

/* ---- Timing -------------------------------------------------------------------------------------------------------- */

static lamina_status time_runs(bench *b, const entry *e, long runs, double *seconds) {
  lamina_status status = lamina_data_reset(b->data);
  if (!status) status = lamina_stream_sync(b->device, NULL);
  const double start = progress_now();
  for (long i = 0; i < runs && !status; i++)
    status = lamina_plan_run(e->plan, lamina_data_args(b->data), e->workspace, NULL);
  if (!status) status = lamina_stream_sync(b->device, NULL);
  *seconds = progress_now() - start;
  return status;
}

/* Warms up, and finds out how many runs make a sample. */
static lamina_status calibrate(bench *b, entry *e) {
  double seconds = 0;
  e->repeats = 1;
  lamina_status status = time_runs(b, e, 1, &seconds);
  while (!status && seconds < SAMPLE_SECONDS / 2) {
    e->repeats = seconds > 0 ? (long)ceil((double)e->repeats * fmin(SAMPLE_SECONDS / seconds, 16)) : 16 * e->repeats;
    status = time_runs(b, e, e->repeats, &seconds);
  }
  return status;
}

static lamina_status time_all(bench *b) {
  for (bool any = true; any;) {
    any = false;
    for (int i = 0; i < b->count; i++) {
      entry *e = b->list[i];
      double seconds;
      if (*e->skipped || e->samples == MOST_SAMPLES || (e->spent >= b->seconds && e->samples >= LEAST_SAMPLES))
        continue;
      const lamina_status status = time_runs(b, e, e->repeats, &seconds);
      if (status) return status;
      e->sample[e->samples++] = seconds / (double)e->repeats;
      e->spent += seconds;
      any = true;
    }
  }
  return LAMINA_OK;
}

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static void summarise(entry *e) {
  if (!e->samples) return;
  qsort(e->sample, (size_t)e->samples, sizeof *e->sample, by_value);
  e->median = (e->sample[(e->samples - 1) / 2] + e->sample[e->samples / 2]) / 2;
  e->spread = (e->sample[e->samples - 1 - (e->samples - 1) / 4] - e->sample[(e->samples - 1) / 4]) / 2 / e->median;
}

static int by_time(const void *a, const void *b) {
  const entry *x = *(entry *const *)a, *y = *(entry *const *)b;
  if (!x->samples || !y->samples) return (x->samples == 0) - (y->samples == 0);
  return x->median < y->median ? -1 : x->median > y->median;
}

static lamina_status measure(bench *b) {
  lamina_status status = lamina_data_open(b->device, &b->c, &b->data);
  for (int i = 0; i < b->count && !status; i++) {
    if (*b->list[i]->skipped) continue;
    status = check(b, b->list[i]);
    if (!status) status = calibrate(b, b->list[i]);
  }
  if (!status) status = time_all(b);
  for (int i = 0; i < b->count; i++) summarise(b->list[i]);
  qsort(b->list, (size_t)b->count, sizeof *b->list, by_time);
  return status;
}

/* ---- Telling ------------------------------------------------------------------------------------------------------- */

static void print(const bench *b) {
  char text[1024], time[32], rate[32];
  printf("%s\n%s: %s\n\n", lamina_case_text(&b->c, text, sizeof text), lamina_device_name(b->device),
         lamina_device_about(b->device));
  int width = 6;
  for (int i = 0; i < b->count; i++)
    width = (int)strlen(b->list[i]->name) > width ? (int)strlen(b->list[i]->name) : width;
  printf("%-*s %10s  %7s  %9s  %7s  %s\n", width, "engine", "time", "spread", "GFLOP/s", "GB/s", "checked");
  for (int i = 0; i < b->count; i++) {
    const entry *e = b->list[i];
    printf("%-*s ", width, e->name);
    if (*e->skipped) {
      printf("not run: %s\n", e->skipped);
      continue;
    }
    snprintf(rate, sizeof rate, b->flops > 0 ? "%.4g" : "-", b->flops / e->median / 1e9);
    printf("%10s  ±%5.1f%%  %9s  %7.4g  %s\n", cli_seconds(e->median, time, sizeof time), 100 * e->spread, rate,
           b->bytes / e->median / 1e9, e->checked);
  }
}

static void add_entry(const bench *b, const entry *e, lamina_json *json) {
  char text[1024];
  lamina_json_text(json, "case", lamina_case_text(&b->c, text, sizeof text));
  lamina_json_text(json, "device", lamina_device_name(b->device));
  lamina_json_text(json, "engine", e->engine);
  lamina_json_text(json, "variant", e->variant);
  if (*e->skipped) {
    lamina_json_text(json, "skipped", e->skipped);
    return;
  }
  lamina_json_real(json, "seconds", e->median);
  lamina_json_real(json, "spread", e->spread);
  lamina_json_int(json, "samples", e->samples);
  lamina_json_real(json, "gflops", b->flops / e->median / 1e9);
  lamina_json_real(json, "gbytes", b->bytes / e->median / 1e9);
  lamina_json_int(json, "workspace", (int64_t)lamina_plan_workspace(e->plan));
  lamina_json_text(json, "checked", e->checked);
}

static lamina_status print_json(const bench *b) {
  lamina_json *json;
  const char *line;
  lamina_status status = lamina_json_open(NULL, &json);
  for (int i = 0; i < b->count && !status; i++) {
    add_entry(b, b->list[i], json);
    if (!(status = lamina_json_line(json, &line))) printf("%s\n", line);
  }
  lamina_json_close(json);
  return status;
}

static lamina_status bench_case(bench *b) {
  lamina_problem_work(&b->c.problem, &b->flops, &b->bytes);
  lamina_status status = find_candidates(b);
  if (!status) status = open_entries(b);
  if (!status && !b->count)
    status = lamina_error(LAMINA_UNSUPPORTED, "no engine%s%s can do this; lamina op --explain says why",
                          b->engine ? " named " : "", b->engine ? b->engine : "");
  if (!status) status = measure(b);
  if (status) return status;
  if (b->json) return print_json(b);
  print(b);
  return LAMINA_OK;
}

static int check_seconds(bench *b) {
  char *end;
  if (!b->seconds_text) return 0;
  b->seconds = strtod(b->seconds_text, &end);
  if (end != b->seconds_text && !*end && b->seconds >= 0 && b->seconds <= 3600) return 0;
  return cli_usage(b->self, "--seconds is \"%s\"; expected 0 to 3600", b->seconds_text);
}

int run_bench(const cli_command *self, int argc, char **argv) {
  bench b = {.self = self, .seconds = 0.3};
  const cli_option options[] = {
      {.name = "engine", .value = "E", .help = "only this one: onednn, or ENGINE/VARIANT", .text = &b.engine},
      {.name = "seconds", .value = "T", .help = "how long each candidate is timed; 0.3", .text = &b.seconds_text},
      CLI_PLACE_OPTIONS(b.place),
      {.name = "json", .help = "a JSON object a candidate, for machines", .flag = &b.json},
      {0}};
  int error = cli_options(self, options, &argc, argv);
  if (error) return error < 0 ? 0 : error;
  if ((error = check_seconds(&b))) return error;
  if (argc < 1) return cli_usage(self, "it needs an OP and its tensors; lamina info --engines lists the ops");
  lamina_status status = lamina_case_parse(argc, (const char *const *)(argv + 1), NULL, &b.c);
  if (status) return cli_failed(self, status);
  if ((error = cli_device(self, &b.place, &b.device))) return error;
  status = bench_case(&b);
  if (status) error = cli_failed(self, status);
  for (int i = 0; i < b.count; i++)
    if (b.list[i]->wrong) error = EXIT_FAILED;
  close_all(&b);
  return error;
}
