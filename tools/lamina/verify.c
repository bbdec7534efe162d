/* lamina verify: every engine against the oracle, on one case or on generated ones. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "progress.h"

enum { MOST_ENGINES = 32, MOST_VERDICTS = 64, MOST_SAID = 3 };

/* What came out for one engine of one op. */
typedef struct tally {
  char engine[64];
  long long runs, exact, elements, wrong;
  double worst;
} tally;

typedef struct verify {
  const cli_command *self;
  lamina_device *device;
  cli_place place;
  const char *engine;
  long long cases, seed;
  lamina_dtype dtype;
  bool json;
  progress bar;
  tally tally[MOST_ENGINES];
  int engines;
  /* of all ops */
  long long all_cases, all_runs, all_wrong;
} verify;

static bool is_wrong(const lamina_verdict *v) { return v->status && v->status != LAMINA_UNSUPPORTED; }

static const char *name_of(const lamina_verdict *v, char *name, size_t size) {
  snprintf(name, size, "%s%s%s", v->engine, *v->variant ? "/" : "", v->variant);
  return name;
}

/* ---- One case ---------------------------------------------------------------------------------------------------- */

static void print_verdict(const lamina_verdict *v) {
  char name[144], elements[32];
  printf("%-44s ", name_of(v, name, sizeof name));
  if (v->status == LAMINA_UNSUPPORTED)
    printf("refused  %s\n", v->reason);
  else if (v->status)
    printf("WRONG    %s\n%s\n", v->reason, v->repeat);
  else
    printf("ok       %s, %s elements, worst error %.2g of its tolerance\n", lamina_tier_name(v->tier),
           cli_count(v->elements, elements, sizeof elements), v->worst);
}

static lamina_status print_verdict_json(const lamina_verdict *v) {
  lamina_json *json;
  const char *line;
  lamina_status status = lamina_json_open(NULL, &json);
  if (status) return status;
  lamina_json_text(json, "engine", v->engine);
  lamina_json_text(json, "variant", v->variant);
  lamina_json_text(json, "status", lamina_status_name(v->status));
  lamina_json_text(json, "tier", lamina_tier_name(v->tier));
  lamina_json_int(json, "elements", v->elements);
  lamina_json_real(json, "worst", v->worst);
  lamina_json_text(json, "reason", v->reason);
  lamina_json_text(json, "repeat", v->repeat);
  if (!(status = lamina_json_line(json, &line))) printf("%s\n", line);
  lamina_json_close(json);
  return status;
}

static int verify_one(verify *t, int count, char **words) {
  lamina_case c;
  static lamina_verdict list[MOST_VERDICTS];
  int found = MOST_VERDICTS;
  lamina_status status = lamina_case_parse(count, (const char *const *)words, NULL, &c);
  if (status) return cli_failed(t->self, status);
  const lamina_status all = lamina_verify(t->device, &c, &(lamina_verify_options){.engine = t->engine}, list, &found);
  if (found > MOST_VERDICTS) found = MOST_VERDICTS;
  for (int i = 0; i < found; i++) {
    if (!t->json)
      print_verdict(&list[i]);
    else if ((status = print_verdict_json(&list[i])))
      return cli_failed(t->self, status);
  }
  return all ? cli_failed(t->self, all) : 0;
}

/* ---- Generated cases ---------------------------------------------------------------------------------------------- */

static tally *tally_of(verify *t, const char *engine) {
  for (int i = 0; i < t->engines; i++)
    if (strcmp(t->tally[i].engine, engine) == 0) return &t->tally[i];
  if (t->engines == MOST_ENGINES) return &t->tally[MOST_ENGINES - 1];
  tally *fresh = &t->tally[t->engines++];
  *fresh = (tally){0};
  snprintf(fresh->engine, sizeof fresh->engine, "%s", engine);
  return fresh;
}

static void count_verdict(verify *t, const char *op, const lamina_verdict *v) {
  char name[144];
  if (v->status == LAMINA_UNSUPPORTED) return;
  tally *sum = tally_of(t, v->engine);
  sum->runs++;
  sum->exact += v->tier == LAMINA_TIER_EXACT;
  sum->elements += v->elements;
  if (v->worst > sum->worst) sum->worst = v->worst;
  t->all_runs++;
  if (!is_wrong(v)) return;
  t->all_wrong++;
  if (sum->wrong++ >= MOST_SAID) return; /* the rest is counted */
  progress_end(&t->bar);
  fflush(stdout);
  fprintf(stderr, "%s by %s: %s\n  %s\n", op, name_of(v, name, sizeof name), v->reason, v->repeat);
}

/* A failure that no verdict tells of is the call's own. */
static lamina_status verify_case(verify *t, const char *op, const lamina_case *c) {
  static lamina_verdict list[MOST_VERDICTS];
  int found = MOST_VERDICTS;
  const lamina_status status = lamina_verify(t->device, c, &(lamina_verify_options){.engine = t->engine}, list, &found);
  if (found > MOST_VERDICTS) found = MOST_VERDICTS;
  for (int i = 0; i < found; i++) count_verdict(t, op, &list[i]);
  return found || status == LAMINA_UNSUPPORTED ? LAMINA_OK : status;
}

static lamina_status verify_cases(verify *t, const char *op, lamina_cases *cases) {
  for (long long i = 0; i < t->cases; i++) {
    lamina_case c;
    lamina_status status = lamina_cases_next(cases, &c);
    if (!status) status = verify_case(t, op, &c);
    c.exact = true;
    if (!status && lamina_case_can_be_exact(&c)) status = verify_case(t, op, &c);
    if (status) return status;
    t->all_cases++;
    if (!t->json && progress_due(&t->bar)) progress_draw(&t->bar, (double)(i + 1) / (double)t->cases, op, "");
  }
  return LAMINA_OK;
}

static void print_tally(verify *t, const char *op) {
  char left[64], right[160], elements[32];
  if (!t->engines) progress_keep(&t->bar, op, " no engine can do these cases");
  for (int i = 0; i < t->engines; i++) {
    const tally *sum = &t->tally[i];
    char wrong[48] = "ok";
    if (sum->wrong) snprintf(wrong, sizeof wrong, "%lld WRONG", sum->wrong);
    snprintf(left, sizeof left, "%-30s", i ? "" : op);
    snprintf(right, sizeof right, "%-8s %6lld %7lld %12s  %5.2f  %s", sum->engine, sum->runs, sum->exact,
             cli_count(sum->elements, elements, sizeof elements), sum->worst, wrong);
    progress_keep(&t->bar, left, right);
  }
}

static lamina_status print_tally_json(const verify *t, const char *op) {
  lamina_json *json;
  const char *line;
  lamina_status status = lamina_json_open(NULL, &json);
  for (int i = 0; i < t->engines && !status; i++) {
    const tally *sum = &t->tally[i];
    lamina_json_text(json, "op", op);
    lamina_json_text(json, "engine", sum->engine);
    lamina_json_int(json, "runs", sum->runs);
    lamina_json_int(json, "exact", sum->exact);
    lamina_json_int(json, "elements", sum->elements);
    lamina_json_real(json, "worst", sum->worst);
    lamina_json_int(json, "wrong", sum->wrong);
    if (!(status = lamina_json_line(json, &line))) printf("%s\n", line), fflush(stdout);
  }
  lamina_json_close(json);
  return status;
}

static lamina_status verify_op(verify *t, int id) {
  const char *op = lamina_op_at(id)->name;
  lamina_cases *cases;
  t->engines = 0;
  lamina_status status = lamina_cases_open(id, t->dtype, (uint64_t)t->seed, NULL, &cases);
  if (status) return status;
  status = verify_cases(t, op, cases);
  lamina_cases_close(cases);
  if (status) return status;
  if (t->json) return print_tally_json(t, op);
  print_tally(t, op);
  return LAMINA_OK;
}

/* An op or a family; -1 in front of the first. Returns the next id that fits, or -1. */
static int next_op(const char *word, int after) {
  const size_t length = strlen(word);
  for (int id = after + 1; lamina_op_at(id); id++) {
    const char *name = lamina_op_at(id)->name;
    if (!*word || strcmp(name, word) == 0 || (strncmp(name, word, length) == 0 && name[length] == '/')) return id;
  }
  return -1;
}

static int verify_words(verify *t, int count, char **words) {
  char all[] = "", *everything[] = {all};
  if (!count) count = 1, words = everything;
  if (!t->json) printf("%-30s  %-8s %6s %7s %12s  %5s\n", "op", "engine", "runs", "exact", "elements", "worst");
  for (int w = 0; w < count; w++)
    for (int id = next_op(words[w], -1); id >= 0; id = next_op(words[w], id)) {
      const lamina_status status = verify_op(t, id);
      progress_end(&t->bar);
      if (status) return cli_failed(t->self, status);
    }
  if (!t->json)
    printf("%lld cases, %lld runs against the oracle: %s\n", t->all_cases, t->all_runs,
           !t->all_runs   ? "no engine can do any"
           : t->all_wrong ? "SOME ARE WRONG"
                          : "all agree");
  return t->all_wrong || !t->all_runs ? EXIT_FAILED : 0;
}

/* Takes dtype= out of the words; the others are ops, or one op and its case. */
static int check_words(verify *t, int *count, char **words) {
  int kept = 0;
  for (int i = 0; i < *count; i++) {
    if (strncmp(words[i], "dtype=", 6) != 0) {
      if (next_op(words[i], -1) < 0) { /* the sentence names the nearest */
        lamina_case c;
        return cli_failed(t->self, lamina_case_parse(1, (const char *const *)&words[i], NULL, &c));
      }
      words[kept++] = words[i];
    } else if (!(t->dtype = lamina_dtype_find(words[i] + 6))) {
      return cli_usage(t->self, "%s: expected f64, f32, f16 or bf16", words[i]);
    }
  }
  *count = kept;
  return 0;
}

static bool is_case(int count, char **words) {
  for (int i = 1; i < count; i++)
    if (strchr(words[i], '=') && strncmp(words[i], "dtype=", 6) != 0) return true;
  return false;
}

int run_verify(const cli_command *self, int argc, char **argv) {
  verify t = {.self = self, .cases = 20, .seed = 1, .bar = progress_start(stdout)};
  const cli_option options[] = {
      {.name = "engine", .value = "E", .help = "only this one: onednn, or ENGINE/VARIANT", .text = &t.engine},
      {.name = "cases", .value = "N", .help = "generated cases of each op; 20", .number = &t.cases, .least = 1},
      {.name = "seed", .value = "S", .help = "of the generated cases; 1", .number = &t.seed},
      CLI_PLACE_OPTIONS(t.place),
      {.name = "json", .help = "JSON lines, for machines", .flag = &t.json},
      {0}};
  int error = cli_options(self, options, &argc, argv);
  if (error) return error < 0 ? 0 : error;
  if (t.seed < 0) return cli_usage(self, "--seed is %lld; expected 0 or more", t.seed);
  const bool one = is_case(argc, argv + 1);
  if (!one && (error = check_words(&t, &argc, argv + 1))) return error;
  if ((error = cli_device(self, &t.place, &t.device))) return error;
  error = one ? verify_one(&t, argc, argv + 1) : verify_words(&t, argc, argv + 1);
  lamina_device_close(t.device);
  return error;
}
