/* lamina train: a recipe becomes a trained network, with what it is doing on the screen and in its folder. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "confusion.h"
#include "profile.h"
#include "progress.h"
#include "run_folder.h"
#include "stop.h"

enum { STEP_LINES = 100, MOST_SETS = 64 }; /* lines of metrics.jsonl for the steps of an epoch */

typedef struct train_options {
  const char *sets[MOST_SETS + 1];
  int set_count;
  char epochs_text[64], seed_text[64];
  const char *out, *trace; /* the trace's file; NULL: DIR/trace.json */
  cli_place place;
  long long epochs, seed;
  bool resume, json, quiet, profile;
} train_options;

/* The command while it runs; what the trainer's callbacks get. */
typedef struct train {
  const cli_command *self;
  const train_options *options;
  char recipe[1024], name[128];
  cli_net on;
  lamina_trainer *trainer;
  lamina_json *json;
  profile *seen; /* NULL: not asked for */
  run_folder run;
  progress bar;
  lamina_evaluation test; /* the last one */
  bool tested;
  /* clocks */
  double started;      /* the training */
  double epoch_from;   /* the first step of the epoch that this process does */
  double said;         /* the last plain line */
  double test_seconds; /* of the last evaluation */
  double steps_done;   /* when the epoch's last step was done */
  int64_t epoch_first; /* steps of the epoch that were done before epoch_from */
} train;

/* ---- Words for people ------------------------------------------------------------------------------------------- */

static bool is_plain(const train *t) { return !t->options->json && !t->options->quiet; }

static void print_memory(const lamina_memory_need *need) {
  const double mib = 0x1p20;
  printf("memory   %.1f MiB: activations %.1f, parameters %.1f, gradients %.1f, optimizer %.1f,\n"
         "         batches made ahead %.1f\n",
         (double)need->total / mib, (double)need->activations / mib, (double)need->parameters / mib,
         (double)need->gradients / mib, (double)need->optimizer / mib, (double)need->loader / mib);
  fflush(stdout);
}

/* Before the trainer takes its memory, so that a net too large is seen, too. */
static lamina_status print_net(const train *t) {
  const char *table;
  lamina_memory_need need;
  lamina_status status = lamina_training_memory(t->on.net, NULL, &need);
  if (!status) status = lamina_net_summary(t->on.net, 1, &table);
  if (status) return status;
  printf("recipe   %s\ndevice   %s: %s\n\n%s\n", t->recipe, lamina_device_name(t->on.device),
         lamina_device_about(t->on.device), table);
  print_memory(&need);
  return LAMINA_OK;
}

static void print_run(const train *t) {
  static const char *const rates[] = {"constant", "step", "cosine"};
  const lamina_training *o = lamina_trainer_training(t->trainer);
  const lamina_dataset_info *data = lamina_dataset_info_of(o->train);
  char count[32];
  lamina_progress now;
  lamina_trainer_progress(t->trainer, &now);
  printf("data     %s: %s examples of %lld classes", data->name, cli_count(data->count, count, sizeof count),
         (long long)data->classes);
  if (o->test) {
    data = lamina_dataset_info_of(o->test);
    printf("; test %s: %s", data->name, cli_count(data->count, count, sizeof count));
  }
  printf("\ntrain    %lld epoch%s of %lld steps, batch %lld, %s, %s rate %g, seed %llu\n", (long long)now.epochs,
         now.epochs == 1 ? "" : "s", (long long)now.steps, (long long)o->batch, o->optimizer, rates[o->rate.kind],
         o->rate.rate, (unsigned long long)o->seed);
  printf("out      %s%s\n", t->run.path,
         t->run.kept ? " (the checkpoint that was there is now previous.safetensors)" : "");
  if (now.total) printf("resumed  after step %lld, in epoch %lld\n", (long long)now.total, (long long)now.epoch + 1);
  printf("\n");
  fflush(stdout);
}

/* "loss 0.0512  test 98.71%  41,310 images/s  eta 9 s". A device that works beside the host tells a loss steps later. */
static void describe(const train *t, double loss, double speed, const char *what, double seconds, char *text,
                     size_t size) {
  char count[32], time[32];
  const bool percent = t->tested;
  int used = isfinite(loss) ? snprintf(text, size, "loss %.4f  ", loss) : 0;
  if (percent) used += snprintf(text + used, size - (size_t)used, "test %.2f%%  ", 100 * t->test.accuracy);
  snprintf(time, sizeof time, seconds < 99.5 ? "%.0f s" : "%.0f min", seconds < 99.5 ? seconds : seconds / 60);
  snprintf(text + used, size - (size_t)used, "%s images/s%s%s",
           cli_count((long long)(speed + 0.5), count, sizeof count), what, what[0] ? time : "");
}

static void epoch_label(const lamina_progress *at, int64_t epoch, char *text, size_t size) {
  char epochs[32];
  const int width = snprintf(epochs, sizeof epochs, "%lld", (long long)at->epochs);
  snprintf(text, size, "epoch %*lld/%s", width + 1, (long long)epoch, epochs);
}

/* ---- While it trains -------------------------------------------------------------------------------------------- */

static double images_per_second(const train *t, const lamina_progress *at, double now) {
  const double images = (double)(at->step - t->epoch_first) * (double)lamina_trainer_training(t->trainer)->batch;
  return now > t->epoch_from ? images / (now - t->epoch_from) : 0;
}

/* A line of metrics.jsonl, and on standard output with --json. */
static lamina_status record(train *t, const lamina_progress *at, const lamina_evaluation *test, bool epoch,
                            double speed) {
  const char *line;
  const run_record r = {.at = *at,
                        .epoch = epoch,
                        .test = test,
                        .images_per_second = speed,
                        .seconds = t->run.seconds + progress_now() - t->started};
  lamina_status status = run_record_line(t->json, &r, &line);
  if (!status && t->options->json) printf("%s\n", line), fflush(stdout);
  return status ? status : run_folder_add(&t->run, &r, line);
}

static void show(train *t, const lamina_progress *at, double now, double speed) {
  char left[64], right[256];
  const double done = (double)at->step / (double)at->steps;
  const double seconds_a_step = (now - t->epoch_from) / (double)(at->step - t->epoch_first);
  const double eta = seconds_a_step * (double)(at->steps * at->epochs - at->total) +
                     t->test_seconds * (double)(at->epochs - at->epoch);
  epoch_label(at, at->epoch + (at->step < at->steps), left, sizeof left);
  describe(t, at->mean_loss, speed, "  eta ", eta, right, sizeof right);
  if (t->bar.terminal) {
    progress_draw(&t->bar, done, left, right);
  } else {
    char label[96];
    snprintf(label, sizeof label, "%s  %3.0f%%", left, 100 * done);
    progress_keep(&t->bar, label, right);
    t->said = now;
  }
}

static lamina_status on_step(void *user, const lamina_progress *at) {
  train *t = user;
  const double now = t->steps_done = progress_now();
  const double speed = images_per_second(t, at, now);
  const int64_t every = at->steps > STEP_LINES ? at->steps / STEP_LINES : 1;
  const bool last = at->step == at->steps;
  lamina_status status = LAMINA_OK;
  if (at->step % every == 0 || last) status = record(t, at, NULL, false, speed);
  if (is_plain(t) && (progress_due(&t->bar) || (!t->bar.terminal && now - t->said > 10 && !last)))
    show(t, at, now, speed);
  if (!status && stop_wanted() && !last) status = lamina_error(LAMINA_INTERRUPTED, "stopped on request");
  return status; /* after an epoch's last step its test comes first */
}

static lamina_status on_epoch(void *user, const lamina_progress *at, const lamina_evaluation *test) {
  train *t = user;
  char left[64], right[256];
  const double speed = images_per_second(t, at, t->steps_done), now = progress_now();
  t->test_seconds = now - t->steps_done;
  if (test) t->test = *test, t->tested = true;
  lamina_status status = record(t, at, test, true, speed);
  if (!status) status = lamina_trainer_save(t->trainer, t->run.checkpoint);
  if (!status) status = run_folder_draw(&t->run, t->name);
  if (status) return status;
  epoch_label(at, at->epoch, left, sizeof left);
  describe(t, at->mean_loss, speed, "  ", now - t->epoch_from, right, sizeof right);
  if (is_plain(t)) progress_keep(&t->bar, left, right);
  t->epoch_from = t->said = progress_now();
  t->epoch_first = 0;
  if (stop_wanted() && at->epoch < at->epochs) return lamina_error(LAMINA_INTERRUPTED, "stopped on request");
  return LAMINA_OK;
}

/* ---- The end ---------------------------------------------------------------------------------------------------- */

static int stopped(train *t) {
  lamina_progress now;
  lamina_trainer_progress(t->trainer, &now);
  progress_end(&t->bar);
  lamina_status status = lamina_trainer_save(t->trainer, t->run.checkpoint);
  if (!status) status = run_folder_draw(&t->run, t->name);
  if (status) return cli_failed(t->self, status);
  fprintf(stderr,
          "lamina train: stopped after step %lld of %lld; saved in %s. To go on: lamina train --out %s --resume\n",
          (long long)now.total, (long long)(now.steps * now.epochs), t->run.checkpoint, t->run.path);
  return EXIT_STOPPED;
}

static lamina_status end_json(const train *t) {
  const char *line;
  lamina_progress now;
  lamina_trainer_progress(t->trainer, &now);
  lamina_json_text(t->json, "event", "end");
  lamina_json_int(t->json, "step", now.total);
  lamina_json_real(t->json, "loss", now.mean_loss);
  lamina_json_real(t->json, "test_loss", t->tested ? t->test.loss : (double)NAN);
  lamina_json_real(t->json, "test_accuracy", t->tested ? t->test.accuracy : (double)NAN);
  lamina_json_text(t->json, "checkpoint", t->run.checkpoint);
  const lamina_status status = lamina_json_line(t->json, &line);
  if (!status) printf("%s\n", line);
  return status;
}

/* Which class was taken for which, at the end. */
static lamina_status draw_confusion(train *t) {
  const lamina_training *o = lamina_trainer_training(t->trainer);
  confusion matrix;
  if (!o->test || lamina_net_output(t->on.net).dims[0] > LAMINA_CONFUSION_CLASSES) return LAMINA_OK;
  lamina_status status = confusion_open(&matrix, t->on.net, o->test, o->batch);
  matrix.matrix.title = t->name;
  if (!status) status = run_folder_draw_confusion(&t->run, &matrix.matrix);
  confusion_close(&matrix);
  return status;
}

static lamina_status end(train *t) {
  lamina_progress now;
  lamina_trainer_progress(t->trainer, &now);
  if (t->options->json) return end_json(t);
  if (is_plain(t)) {
    printf("\n");
    const lamina_status status =
        run_folder_print(&t->run, t->bar.width, t->bar.terminal && !getenv("NO_COLOR"), stdout);
    if (status) return status;
    printf("\nsaved    %s, metrics.jsonl, loss.svg%s\n", t->run.checkpoint, t->tested ? ", confusion.svg" : "");
  }
  if (t->tested)
    printf("test accuracy %.2f%%\n", 100 * t->test.accuracy);
  else
    printf("no test data; training loss %.4f\n", now.mean_loss);
  return LAMINA_OK;
}

/* A run that was finished before it was resumed has not been tested by this process. */
static lamina_status test_now(train *t) {
  const lamina_training *o = lamina_trainer_training(t->trainer);
  if (t->tested || !o->test) return LAMINA_OK;
  t->tested = true;
  return lamina_net_evaluate(t->on.net, o->test, o->loss, o->batch, o->top_k, &t->test);
}

/* Where the time went, of what was done until now. */
static lamina_status tell_profile(train *t) {
  char path[RUN_PATH + 32];
  int64_t runs;
  if (!t->seen) return LAMINA_OK;
  snprintf(path, sizeof path, "%s/trace.json", t->run.path);
  const char *trace = t->options->trace ? t->options->trace : path;
  lamina_status status = profile_stop(t->seen);
  progress_end(&t->bar);
  if (!status && is_plain(t)) status = profile_print(t->seen, stdout);
  if (!status) status = profile_write(t->seen, trace, &runs);
  if (!status && is_plain(t))
    printf("\ntrace    %s: the first %lld runs, for chrome://tracing or ui.perfetto.dev\n", trace, (long long)runs);
  return status;
}

static int run_to_the_end(train *t) {
  lamina_progress now;
  lamina_trainer_progress(t->trainer, &now);
  stop_watch();
  t->started = t->epoch_from = t->said = progress_now();
  t->epoch_first = now.step;
  lamina_status status = lamina_trainer_run(t->trainer);
  if (status == LAMINA_INTERRUPTED) {
    const int code = stopped(t);
    return (status = tell_profile(t)) ? cli_failed(t->self, status) : code;
  }
  if (!status) status = tell_profile(t);
  if (!status) status = test_now(t);
  if (!status) status = run_folder_draw(&t->run, t->name); /* it may have been killed behind its last checkpoint */
  if (!status) status = draw_confusion(t);
  if (!status) status = end(t);
  progress_end(&t->bar);
  return status ? cli_failed(t->self, status) : 0;
}

/* ---- The beginning ---------------------------------------------------------------------------------------------- */

/* The folder of the run, or a file in it. */
static void path_of(const train *t, const char *file, char *path, size_t size) {
  const char *out = t->options->out;
  snprintf(path, size, "%s%s%s%s", out ? out : "runs/", out ? "" : t->name, *file ? "/" : "", file);
}

static lamina_status start_folder(train *t) {
  const char *recipe = lamina_net_recipe(t->on.net);
  char path[RUN_PATH];
  lamina_progress now;
  path_of(t, "", path, sizeof path);
  lamina_status status = run_folder_open(&t->run, path,
                                         t->options->resume ? RUN_THERE
                                         : t->options->out  ? RUN_MAKE
                                                            : RUN_MAKE_PARENTS);
  if (!status) status = cli_output(t->options->trace); /* it may be in the folder */
  if (!status && t->options->resume) status = lamina_trainer_resume(t->trainer, t->run.checkpoint);
  if (status) return status;
  lamina_trainer_progress(t->trainer, &now);
  return t->options->resume ? run_folder_resume(&t->run, t->name, recipe, now.total, now.steps)
                            : run_folder_begin(&t->run, t->name, recipe);
}

/* A run goes on with the engines that it began with, whatever has been tuned since: its folder keeps what the choice of
 * them rests on. */
static int open_all(train *t) {
  const train_options *o = t->options;
  cli_place place = o->place;
  char tuned[RUN_PATH + 16];
  path_of(t, "tune.txt", tuned, sizeof tuned);
  if (o->resume) place.tune_cache = tuned;
  const lamina_training training = {.on_step = on_step, .on_epoch = on_epoch, .user = t};
  const int error = cli_net_open(t->self, t->recipe, &place, o->sets, &t->on);
  if (error) return error;
  lamina_status status = lamina_json_open(NULL, &t->json);
  if (!status && is_plain(t)) status = print_net(t);
  if (!status) status = lamina_trainer_open(t->on.net, &training, &t->trainer);
  if (!status) status = start_folder(t);
  if (!status && !o->resume) status = lamina_tune_save(t->on.device, tuned);
  if (!status && o->profile) status = profile_open(t->on.net, &t->seen);
  if (status) return cli_failed(t->self, status);
  if (is_plain(t)) print_run(t);
  return 0;
}

static void close_all(train *t) {
  profile_close(t->seen);
  run_folder_close(&t->run);
  lamina_json_close(t->json);
  lamina_trainer_close(t->trainer);
  cli_net_close(&t->on);
}

static void add_set(void *user, const char *value) {
  train_options *o = user;
  if (o->set_count < MOST_SETS) o->sets[o->set_count] = value;
  o->set_count++;
}

/* The numbers become assignments, which come last and so win. */
static int check_options(const cli_command *self, train_options *o) {
  if (o->epochs != -1) {
    snprintf(o->epochs_text, sizeof o->epochs_text, "train.epochs=%lld", o->epochs);
    add_set(o, o->epochs_text);
  }
  if (o->seed != -1) {
    snprintf(o->seed_text, sizeof o->seed_text, "train.seed=%lld", o->seed);
    add_set(o, o->seed_text);
  }
  if (o->set_count > MOST_SETS)
    return cli_usage(self, "%d assignments are too many; expected at most 60", o->set_count);
  if (o->resume && (o->place.tune || o->place.tune_cache))
    return cli_usage(self, "--%s is for a run that begins; --resume goes on with the engines that it began with",
                     o->place.tune ? "tune" : "tune-cache");
  return 0;
}

/* "recipes/lenet5-mnist.yaml" is called lenet5-mnist, and "runs/x/recipe.yaml" x. */
static void name_of(const char *path, char *name, size_t size) {
  const char *slash = strrchr(path, '/'), *from = slash ? slash + 1 : path, *dot = strrchr(from, '.');
  snprintf(name, size, "%.*s", (int)(dot && dot != from ? dot - from : (long)strlen(from)), from);
  if (!slash || strcmp(from, "recipe.yaml") != 0) return;
  while (slash > path && slash[-1] == '/') slash--;
  for (from = slash; from > path && from[-1] != '/';) from--;
  if (from < slash && *from != '.') snprintf(name, size, "%.*s", (int)(slash - from), from);
}

static int find_recipe(train *t, int argc, char **argv) {
  const train_options *o = t->options;
  if (argc > 1) return cli_usage(t->self, "\"%s\" is one word too many", argv[2]);
  if (argc == 1) {
    const int error = cli_recipe(t->self, argv[1], t->recipe, sizeof t->recipe);
    name_of(t->recipe, t->name, sizeof t->name);
    return error;
  }
  if (!o->resume || !o->out) return cli_usage(t->self, "it needs a RECIPE; or --out DIR --resume to go on");
  snprintf(t->recipe, sizeof t->recipe, "%s/recipe.yaml", o->out);
  name_of(t->recipe, t->name, sizeof t->name);
  run_folder_name(t->recipe, t->name, sizeof t->name);
  return 0;
}

int run_train(const cli_command *self, int argc, char **argv) {
  train_options o = {.epochs = -1, .seed = -1};
  const cli_option options[] = {
      {.name = "set",
       .value = "KEY=VALUE",
       .help = "changes the recipe: train.batch=32; may come often",
       .each = add_set,
       .user = &o},
      {.name = "epochs", .value = "N", .help = "the same as --set train.epochs=N", .number = &o.epochs, .least = 1},
      {.name = "seed", .value = "S", .help = "the same as --set train.seed=S", .number = &o.seed},
      {.name = "out", .value = "DIR", .help = "output folder; runs/NAME", .text = &o.out},
      {.name = "resume", .help = "go on from DIR/checkpoint.safetensors", .flag = &o.resume},
      {.name = "profile",
       .value = "FILE",
       .help = "the time of each op; a trace in FILE, DIR/trace.json",
       .flag = &o.profile,
       .text = &o.trace},
      CLI_PLACE_OPTIONS(o.place),
      {.name = "json", .help = "JSON lines on standard output instead of words", .flag = &o.json},
      {.name = "quiet", .help = "only the last line", .flag = &o.quiet},
      {0}};
  train t = {.self = self, .options = &o, .bar = progress_start(stdout)};
  int error = cli_options(self, options, &argc, argv);
  if (error) return error < 0 ? 0 : error;
  if ((error = check_options(self, &o))) return error;
  if ((error = find_recipe(&t, argc, argv))) return error;
  if (!(error = open_all(&t))) error = run_to_the_end(&t);
  close_all(&t);
  return error;
}
