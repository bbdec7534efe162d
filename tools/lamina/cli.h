/* What the commands share: options, errors, the terminal. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped. */
#ifndef LAMINA_TOOL_CLI_H
#define LAMINA_TOOL_CLI_H

#include <stdbool.h>
#include <stdio.h>

#include "lamina/lamina.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_STOPPED = 130 };

/* A command's option. `--name` sets *flag, `--name V` or `--name=V` sets *text or *number; `each` may come often. With a
 * flag and a value, the value may be left out: `--name` or `--name=V`. A number is from `least` to `most` (0: any). */
typedef struct cli_option {
  const char *name;  /* without the dashes; NULL ends the list */
  const char *value; /* what stands for the value in the help; NULL for a flag */
  const char *help;
  bool *flag;
  const char **text;
  long long *number, least, most;
  void (*each)(void *user, const char *value);
  void *user;
} cli_option;

typedef struct cli_command {
  const char *name, *usage, *summary;
  const char *more; /* the rest of the help: details and examples, in lines; NULL: none */
  int (*run)(const struct cli_command *self, int argc, char **argv);
} cli_command;

/* Takes the options out of argv (argv[0] is the command's name) and leaves the other words in order, *argc of them
 * after the name. Returns 0, or the exit code to leave with: -1 after --help, EXIT_USAGE after an error, which is said.
 */
int cli_options(const cli_command *self, const cli_option *options, int *argc, char **argv);

/* "lamina train: " and the message on standard error; returns EXIT_USAGE. */
int cli_usage(const cli_command *self, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The library's last error sentence on standard error; returns EXIT_FAILED, or EXIT_STOPPED for INTERRUPTED. */
int cli_failed(const cli_command *self, lamina_status status);

/* The name nearest to `word` in a NULL-terminated list, or NULL where none is near enough to be meant. */
const char *cli_nearest(const char *word, const char *const *names);

/* Where a recipe is: `word` itself where that is a file, that of the run where it is a run's folder, else WORD.yaml in
 * ./recipes, in a folder `recipes` beside the command, and in the installed one (share/lamina/recipes). Returns 0 or an
 * exit code; the reason is said. */
int cli_recipe(const cli_command *self, const char *word, char *path, size_t size);

/* A network and the device that it is on. */
typedef struct cli_net {
  lamina_device *device;
  lamina_net *net;
} cli_net;

enum { CLI_MOST_PLUGINS = 16 };

/* What every command that opens a device takes; `threads` 0: the default. */
typedef struct cli_place {
  const char *device;
  long long threads;
  const char *plugin[CLI_MOST_PLUGINS];
  int plugins; /* how many were given, which may be more */
  bool tune;
  const char *tune_cache; /* NULL: $LAMINA_TUNE_CACHE, else the user's own */
} cli_place;

/* Takes a --plugin. */
void cli_add_plugin(void *place, const char *path);

#define CLI_PLACE_OPTIONS(place)                                                                                       \
  {.name = "device", .value = "D", .help = "where it runs; cpu", .text = &(place).device},                             \
      {.name = "threads",                                                                                              \
       .value = "N",                                                                                                   \
       .help = "CPU threads; $LAMINA_THREADS, else all",                                                               \
       .number = &(place).threads,                                                                                     \
       .least = 1,                                                                                                     \
       .most = 4096},                                                                                                  \
      {.name = "plugin",                                                                                               \
       .value = "FILE",                                                                                                \
       .help = "loads engines of your own; may come often",                                                            \
       .each = cli_add_plugin,                                                                                         \
       .user = &(place)},                                                                                              \
      {.name = "tune",                                                                                                 \
       .help = "times the engines of each problem first, and keeps which is the fastest",                              \
       .flag = &(place).tune},                                                                                         \
  {                                                                                                                    \
    .name = "tune-cache", .value = "FILE", .help = "where that is kept; ~/.cache/lamina/tune-v1.txt; \"\": nowhere",   \
    .text = &(place).tune_cache                                                                                        \
  }

enum { CLI_PATH = 1024 };

/* Can a file be written at `path` (NULL and "-": nothing to write)? IO, with the reason, where not. Leaves what is there
 * as it is, and nothing where nothing was. */
lamina_status cli_output(const char *path);

/* The tuning cache for lamina_device_options; its folders are made where it will be written. The user's own is left out
 * where it can't be used, with a warning where it is to be tuned; of one that was named the device says so. */
const char *cli_tune_cache(const cli_place *place, char *path, size_t size);

/* Opens the device and loads the plug-ins; with `tune` it is measured, where its cache doesn't know it. Returns 0 or an
 * exit code; the reason is said. */
int cli_device(const cli_command *self, const cli_place *place, lamina_device **device);
/* The same, and the network of a recipe or checkpoint (by path or name). Returns 0 or an exit code; the reason
 * is said. Close it in either case. */
int cli_net_open(const cli_command *self, const char *word, const cli_place *place, const char *const *sets,
                 cli_net *opened);
/* The same for a checkpoint, or the folder of one. */
int cli_checkpoint_open(const cli_command *self, const char *word, const cli_place *place, const char *const *sets,
                        cli_net *opened);
void cli_net_close(cli_net *opened);

/* "1.23 ms", "45.6 us", "3.2 s". Returns buffer. */
const char *cli_seconds(double seconds, char *buffer, size_t size);
/* "61,100,840". Returns buffer. */
const char *cli_count(long long count, char *buffer, size_t size);

/* Sets how OpenMP's threads wait, unless the user has; starts the command again for that. Call it first in main. */
void cli_wait_politely(char **argv);

int run_train(const cli_command *self, int argc, char **argv);
int run_eval(const cli_command *self, int argc, char **argv);
int run_predict(const cli_command *self, int argc, char **argv);
int run_op(const cli_command *self, int argc, char **argv);
int run_verify(const cli_command *self, int argc, char **argv);
int run_bench(const cli_command *self, int argc, char **argv);
int run_info(const cli_command *self, int argc, char **argv);
int run_tune(const cli_command *self, int argc, char **argv);
int run_doctor(const cli_command *self, int argc, char **argv);

#endif
