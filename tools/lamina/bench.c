/* lamina bench: how long each candidate takes, against what the device can do, and whether its result is right. One problem,
 * or a file of them within a time; or a whole net. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "progress.h"
#include "shapes.h"

enum { MOST_FILTERS = 8, MOST_SETS = 64 };
#define CANDIDATE_SECONDS 0.3
#define NET_SECONDS       3.0 /* each of training and inference */

typedef struct bench {
  const cli_command *self;
  cli_place place;
  const char *engine, *seconds_text, *file, *dtype, *csv, *json;
  const char *filter[MOST_FILTERS];
  int filters;
  double seconds; /* < 0: not said */
  bool warm, compare;
  /* of a net */
  const char *sets[MOST_SETS + 1], *trace;
  int set_count;
  long long batch;
  bool training, inference, turns, profile;
  lamina_device *device;
  bench_clock *clock;
  bench_report report;
  bench_peaks peaks;
  lamina_case c;
  shapes list;
} bench;

static void add_filter(void *user, const char *text) {
  bench *b = user;
  if (b->filters < MOST_FILTERS) b->filter[b->filters] = text;
  b->filters++;
}

static void add_set(void *user, const char *text) {
  bench *b = user;
  if (b->set_count < MOST_SETS) b->sets[b->set_count] = text;
  b->set_count++;
}

static lamina_status found(void *user, const bench_peak *peak) {
  bench *b = user;
  return bench_report_peak(&b->report, peak);
}

static bench_how how(bench *b) {
  return (bench_how){.device = b->device,
                     .clock = b->clock,
                     .peaks = &b->peaks,
                     .engine = b->engine,
                     .seconds = CANDIDATE_SECONDS,
                     .report = &b->report};
}

static int one_problem(bench *b) {
  bench_how h = how(b);
  bool wrong = false;
  if (b->seconds >= 0) h.seconds = b->seconds;
  const lamina_status status = bench_case(&h, "", &b->c, &wrong);
  return status ? cli_failed(b->self, status) : wrong ? EXIT_FAILED : 0;
}

/* Says which problem of the file it is that failed; the others are run all the same. */
static int failed(const bench *b, const shapes_line *line) {
  fflush(stdout);
  fprintf(stderr, "lamina %s: %s:%d: %s\n", b->self->name, b->file, line->number, lamina_last_error());
  return EXIT_FAILED;
}

/* Each problem may take its share of the time that is left; without a time, and in no time, all are run. */
static int whole_file(bench *b) {
  const double start = progress_now();
  int error = 0, done = 0;
  for (; done < b->list.count; done++) {
    const shapes_line *line = &b->list.line[done];
    const double left = start + b->seconds - progress_now();
    bench_how h = how(b);
    bool wrong = false;
    h.brief = true;
    if (b->seconds > 0 && left <= 0 && done) break;
    if (b->seconds > 0) h.deadline = progress_now() + left / (b->list.count - done);
    if (b->seconds >= 0 && b->seconds < h.seconds) h.seconds = b->seconds;
    if (bench_case(&h, line->name, &line->c, &wrong)) error = failed(b, line);
    if (wrong) error = EXIT_FAILED;
  }
  if (done < b->list.count)
    fprintf(stderr,
            "lamina %s: %s: the time was enough for %d of %d problems; the first that is left out is in line %d\n",
            b->self->name, b->file, done, b->list.count, b->list.line[done].number);
  return error;
}

/* A net is named by one word, which no op is. */
static bool is_net(const bench *b, int argc, char **argv) {
  return !b->file && argc == 1 && lamina_op_find(argv[1]) < 0;
}

static int one_net(bench *b, const char *word) {
  char path[1024];
  const int error = cli_recipe(b->self, word, path, sizeof path);
  if (error) return error;
  const bench_net how = {.device = b->device,
                         .peaks = &b->peaks,
                         .report = &b->report,
                         .path = path,
                         .name = word,
                         .sets = b->sets,
                         .batch = b->batch,
                         .seconds = b->seconds < 0 ? NET_SECONDS : b->seconds,
                         .inference = b->inference || !b->training,
                         .training = b->training || !b->inference,
                         .turns = b->turns,
                         .profile = b->profile,
                         .trace = b->trace};
  const lamina_status status = bench_run_net(&how);
  return status ? cli_failed(b->self, status) : 0;
}

/* What only a net takes, and what it doesn't. */
static int check_net(const bench *b, bool net) {
  const char *const alien = b->set_count   ? "set"
                            : b->training  ? "training"
                            : b->inference ? "inference"
                            : b->batch     ? "batch"
                            : b->turns     ? "turns"
                            : b->profile   ? "profile"
                                           : NULL;
  if (!net && alien) return cli_usage(b->self, "--%s is for a RECIPE", alien);
  if (net && b->engine) return cli_usage(b->self, "--engine is for ops; a net takes LAMINA_ENGINE");
  if (b->set_count > MOST_SETS) return cli_usage(b->self, "--set came %d times; at most %d", b->set_count, MOST_SETS);
  if (b->trace && b->training == b->inference)
    return cli_usage(b->self, "--profile=FILE is of one of --training and --inference; say which");
  if (b->turns && b->training == b->inference)
    return cli_usage(b->self, "--turns is for one of --training and --inference; say which");
  return 0;
}

static int check_options(bench *b, int argc) {
  char *end;
  b->seconds = -1;
  if (b->filters > MOST_FILTERS)
    return cli_usage(b->self, "--filter came %d times; at most %d", b->filters, MOST_FILTERS);
  if (b->file && argc > 0) return cli_usage(b->self, "there are both --shapes and an op; expected one of them");
  if (!b->file && argc < 1)
    return cli_usage(b->self,
                     "it needs an OP and its tensors, --shapes, or a RECIPE; lamina info --engines lists the ops");
  if (!b->file && (b->dtype || b->filters))
    return cli_usage(b->self, "--%s is for --shapes; one problem says %s", b->dtype ? "dtype" : "filter",
                     b->dtype ? "dtype=T itself" : "all itself");
  if (!b->seconds_text) return 0;
  b->seconds = strtod(b->seconds_text, &end);
  if (end != b->seconds_text && !*end && b->seconds >= 0 && b->seconds <= 86400) return 0;
  return cli_usage(b->self, "--seconds is \"%s\"; expected 0 to 86400", b->seconds_text);
}

static int compare(const bench *b, int argc, char **argv) {
  const bool more = b->file || b->filters || b->dtype || b->engine || b->seconds_text || b->warm || b->set_count ||
                    b->training || b->inference || b->batch || b->turns || b->profile || b->csv || b->json;
  if (argc != 2) return cli_usage(b->self, "--compare got %d files; expected two, A.json B.json", argc);
  if (more) return cli_usage(b->self, "--compare measures nothing; expected two files and no other option");
  return bench_compare(b->self, argv[1], argv[2]);
}

static int run(bench *b, int argc, char **argv) {
  if (b->compare) return compare(b, argc, argv);
  const bool net = is_net(b, argc, argv);
  int error = check_options(b, argc);
  if (!error) error = check_net(b, net);
  if (error) return error;
  if (net)
    error = 0;
  else if (b->file)
    error = shapes_read(b->self, b->file, b->dtype, b->filter, b->filters, &b->list);
  else if (lamina_case_parse(argc, (const char *const *)(argv + 1), NULL, &b->c))
    error = cli_failed(b->self, LAMINA_INVALID);
  if (!error) error = bench_report_open(b->self, b->csv, b->json, &b->report);
  if (!error && cli_output(b->trace)) error = cli_failed(b->self, LAMINA_IO);
  if (!error) error = cli_device(b->self, &b->place, &b->device);
  if (error) return error;
  if (bench_clock_open(b->device, b->warm, &b->clock)) return cli_failed(b->self, LAMINA_DEVICE);
  bench_report_device(&b->report, b->device, bench_clock_cold(b->clock));
  b->peaks =
      (bench_peaks){.device = b->device, .clock = b->clock, .seconds = CANDIDATE_SECONDS, .found = found, .user = b};
  if (b->seconds_text && !(b->seconds > 0)) b->peaks.seconds = 0;
  return net ? one_net(b, argv[1]) : b->file ? whole_file(b) : one_problem(b);
}

int run_bench(const cli_command *self, int argc, char **argv) {
  bench b = {.self = self};
  const cli_option options[] = {
      {.name = "shapes", .value = "FILE", .help = "the problems of a file, one a line", .text = &b.file},
      {.name = "filter",
       .value = "TEXT",
       .help = "of a file: the lines with it; may come often",
       .each = add_filter,
       .user = &b},
      {.name = "dtype", .value = "T", .help = "of a file: for lines without a dtype", .text = &b.dtype},
      {.name = "engine", .value = "E", .help = "only this one: onednn, or ENGINE/VARIANT", .text = &b.engine},
      {.name = "seconds",
       .value = "T",
       .help = "how long each candidate is timed, 0.3; a net, 3; for all of a file",
       .text = &b.seconds_text},
      {.name = "warm", .help = "a device's cache isn't emptied before every run", .flag = &b.warm},
      {.name = "training", .help = "of a net: only a step of training", .flag = &b.training},
      {.name = "inference", .help = "of a net: only inference", .flag = &b.inference},
      {.name = "batch",
       .value = "N",
       .help = "of a net: examples; the recipe's",
       .number = &b.batch,
       .least = 1,
       .most = INT32_MAX},
      {.name = "set",
       .value = "KEY=VALUE",
       .help = "of a net: changes the recipe, as for train; may come often",
       .each = add_set,
       .user = &b},
      {.name = "profile",
       .value = "FILE",
       .help = "of a net: time by op, and a trace for Chrome in FILE",
       .flag = &b.profile,
       .text = &b.trace},
      {.name = "turns", .help = "of a net: some steps for each line of standard input", .flag = &b.turns},
      CLI_PLACE_OPTIONS(b.place),
      {.name = "compare",
       .help = "two JSON files, A.json B.json: what is faster, slower, the same",
       .flag = &b.compare},
      {.name = "csv", .value = "FILE", .help = "a row a candidate; - for standard output", .text = &b.csv},
      {.name = "json",
       .value = "FILE",
       .help = "a JSON object a candidate, in lines; - for standard output",
       .text = &b.json},
      {0}};
  int error = cli_options(self, options, &argc, argv);
  if (error) return error < 0 ? 0 : error;
  error = run(&b, argc, argv);
  const int unwritten = bench_report_close(self, &b.report);
  shapes_close(&b.list);
  bench_clock_close(b.clock);
  lamina_device_close(b.device);
  return error ? error : unwritten;
}
