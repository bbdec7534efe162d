/* Options, errors and numbers of the command line. */
#include "cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int cli_usage(const cli_command *self, const char *format, ...) {
  va_list list;
  fprintf(stderr, "lamina %s: ", self->name);
  va_start(list, format);
  vfprintf(stderr, format, list);
  va_end(list);
  fprintf(stderr, "\nusage: lamina %s %s\n", self->name, self->usage);
  return EXIT_USAGE;
}

int cli_failed(const cli_command *self, lamina_status status) {
  fflush(stdout);
  fprintf(stderr, "lamina %s: %s\n", self->name, lamina_last_error());
  return status == LAMINA_INTERRUPTED ? EXIT_STOPPED : EXIT_FAILED;
}

static void help(const cli_command *self, const cli_option *options) {
  printf("lamina %s %s\n\n%s\n", self->name, self->usage, self->summary);
  printf("\n");
  for (const cli_option *o = options; o->name; o++) {
    char left[64];
    const bool may = o->flag && o->value;
    snprintf(left, sizeof left, "--%s%s%s%s", o->name,
             may        ? "[="
             : o->value ? " "
                        : "",
             o->value ? o->value : "", may ? "]" : "");
    printf("  %-18s %s\n", left, o->help);
  }
  if (self->more) printf("\n%s", self->more);
}

static int set_option(const cli_command *self, const cli_option *option, const char *value) {
  char *end = NULL;
  if (option->flag) *option->flag = true;
  if (option->text && value) *option->text = value;
  if (option->each) option->each(option->user, value);
  if (!option->number) return 0;
  errno = 0;
  *option->number = strtoll(value, &end, 10);
  if (end == value || *end || errno)
    return cli_usage(self, "--%s is \"%s\"; expected a whole number", option->name, value);
  if (*option->number >= option->least && (!option->most || *option->number <= option->most)) return 0;
  if (option->most)
    return cli_usage(self, "--%s is %lld; expected %lld to %lld", option->name, *option->number, option->least,
                     option->most);
  return cli_usage(self, "--%s is %lld; expected at least %lld", option->name, *option->number, option->least);
}

static int unknown_option(const cli_command *self, const cli_option *options, const char *word) {
  enum { MOST = 32 };
  const char *names[MOST] = {"help"};
  char known[512] = "--help";
  int count = 1;
  for (const cli_option *o = options; o->name && count < MOST - 1; o++) {
    const size_t used = strlen(known);
    snprintf(known + used, sizeof known - used, ", --%s", o->name);
    names[count++] = o->name;
  }
  const char *near = cli_nearest(word + 2, names);
  if (near) return cli_usage(self, "there is no option %s; did you mean --%s?", word, near);
  return cli_usage(self, "there is no option %s; there are %s", word, known);
}

/* Sets the option in argv[i]; returns how many words it took, or minus the exit code. */
static int take_option(const cli_command *self, const cli_option *options, int argc, char **argv, int i) {
  const char *name = argv[i] + 2;
  const size_t length = strcspn(name, "=");
  for (const cli_option *o = options; o->name; o++) {
    if (strlen(o->name) != length || strncmp(o->name, name, length) != 0) continue;
    const bool attached = name[length] == '=', apart = o->value && !o->flag && !attached;
    if (!o->value && attached) return -cli_usage(self, "--%s takes no value", o->name);
    if (apart && i + 1 >= argc) return -cli_usage(self, "--%s needs a value: %s", o->name, o->value);
    const int error = set_option(self, o, attached ? name + length + 1 : apart ? argv[i + 1] : NULL);
    return error ? -error : apart ? 2 : 1;
  }
  return -unknown_option(self, options, argv[i]);
}

int cli_options(const cli_command *self, const cli_option *options, int *argc, char **argv) {
  int kept = 1;
  for (int i = 1; i < *argc;) {
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
      help(self, options);
      return -1;
    }
    if (strncmp(argv[i], "--", 2) != 0 || !argv[i][2]) {
      argv[kept++] = argv[i++];
      continue;
    }
    const int taken = take_option(self, options, *argc, argv, i);
    if (taken < 0) return -taken;
    i += taken;
  }
  *argc = kept - 1;
  return 0;
}

void cli_add_plugin(void *place, const char *path) {
  cli_place *to = place;
  if (to->plugins < CLI_MOST_PLUGINS) to->plugin[to->plugins] = path;
  to->plugins++;
}

/* Makes the folders that a file is in, as far as they can be made. */
static void make_folders(char *path) {
  for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    (void)mkdir(path, 0777); /* what comes of it, writing the file says */
    *slash = '/';
  }
}

/* Nobody asked for the user's own cache: without it there are estimates. */
static bool is_usable(const char *path, bool tune) {
  struct stat s;
  const bool there = stat(path, &s) == 0, none = !there && errno == ENOENT;
  if (!none && !(there && S_ISREG(s.st_mode) && access(path, R_OK) == 0)) {
    if (tune) fprintf(stderr, "the tuning cache is left out: %s: it can't be read\n", path);
    return false;
  }
  if (!tune || !cli_output(path)) return true;
  fprintf(stderr, "what tuning finds isn't kept: %s\n", lamina_last_error());
  return false;
}

const char *cli_tune_cache(const cli_place *place, char *path, size_t size) {
  const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME"), *given = getenv("LAMINA_TUNE_CACHE");
  if (place->tune_cache || given) return place->tune_cache; /* the library reads the variable */
  if (cache && *cache == '/')
    snprintf(path, size, "%s/lamina/tune-v1.txt", cache);
  else if (home && *home)
    snprintf(path, size, "%s/.cache/lamina/tune-v1.txt", home);
  else
    return "";
  if (place->tune) make_folders(path);
  return is_usable(path, place->tune) ? path : "";
}

/* Once for each cache: what is measured again is another number, and may be another choice. */
static lamina_status measure(lamina_device *device) {
  lamina_roofline roofline;
  lamina_device_roofline(device, &roofline);
  if (roofline.measured || !(roofline.flops > 0)) return LAMINA_OK; /* or a device that knows its limits */
  return lamina_roofline_measure(device, NULL);
}

/* What tuning finds; the device's own line is said by those who want it. */
static void say_tuned(void *user, lamina_log_level level, const char *message) {
  (void)user;
  if (level == LAMINA_LOG_WARNING || strncmp(message, "tuned ", 6) == 0) fprintf(stderr, "%s\n", message);
}

int cli_device(const cli_command *self, const cli_place *place, lamina_device **device) {
  *device = NULL;
  if (place->plugins > CLI_MOST_PLUGINS)
    return cli_usage(self, "--plugin came %d times; at most %d are loaded", place->plugins, CLI_MOST_PLUGINS);
  char cache[CLI_PATH];
  const lamina_device_options options = {.threads = (int)place->threads,
                                         .tune = place->tune,
                                         .tune_cache = cli_tune_cache(place, cache, sizeof cache),
                                         .log = place->tune ? say_tuned : NULL};
  lamina_status status = lamina_device_open(place->device ? place->device : "cpu", &options, device);
  for (int i = 0; i < place->plugins && !status; i++) status = lamina_plugin_load(*device, place->plugin[i]);
  if (!status && place->tune) status = measure(*device);
  if (!status) return 0;
  lamina_device_close(*device);
  *device = NULL;
  return cli_failed(self, status);
}

static int load(const cli_command *self, const char *path, const cli_place *place, const char *const *sets,
                cli_net *opened) {
  const int error = cli_device(self, place, &opened->device);
  if (error) return error;
  const lamina_load_options options = {.set = sets};
  const lamina_status status = lamina_net_load(opened->device, path, &options, &opened->net);
  return status ? cli_failed(self, status) : 0;
}

int cli_net_open(const cli_command *self, const char *word, const cli_place *place, const char *const *sets,
                 cli_net *opened) {
  char path[1024];
  *opened = (cli_net){0};
  const int error = cli_recipe(self, word, path, sizeof path);
  return error ? error : load(self, path, place, sets, opened);
}

int cli_checkpoint_open(const cli_command *self, const char *word, const cli_place *place, const char *const *sets,
                        cli_net *opened) {
  char path[1024];
  struct stat s;
  *opened = (cli_net){0};
  const bool folder = stat(word, &s) == 0 && S_ISDIR(s.st_mode);
  snprintf(path, sizeof path, "%s%s", word, folder ? "/checkpoint.safetensors" : "");
  if (lamina_safetensors_is(path)) return load(self, path, place, sets, opened);
  fprintf(stderr, "lamina %s: %s: it is no checkpoint; expected a file that lamina train wrote, or its folder\n",
          self->name, path);
  return EXIT_FAILED;
}

void cli_net_close(cli_net *opened) {
  lamina_net_close(opened->net);
  lamina_device_close(opened->device);
}

/* Edits (insert, drop, replace, swap neighbours) that turn one word into the other: Damerau and Levenshtein, restricted;
 * words longer than the table count by their beginning. */
static int edits(const char *a, const char *b) {
  enum { MOST = 32 };
  int table[MOST + 1][MOST + 1];
  const int m = (int)strnlen(a, MOST), n = (int)strnlen(b, MOST);
  for (int i = 0; i <= m; i++) table[i][0] = i;
  for (int j = 0; j <= n; j++) table[0][j] = j;
  for (int i = 1; i <= m; i++)
    for (int j = 1; j <= n; j++) {
      int best = table[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
      if (table[i - 1][j] + 1 < best) best = table[i - 1][j] + 1;
      if (table[i][j - 1] + 1 < best) best = table[i][j - 1] + 1;
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped && table[i - 2][j - 2] + 1 < best) best = table[i - 2][j - 2] + 1;
      table[i][j] = best;
    }
  return table[m][n];
}

const char *cli_nearest(const char *word, const char *const *names) {
  const char *best = NULL;
  int least = (int)strlen(word) / 2 + 1; /* more than that is another word */
  for (; *names; names++) {
    const bool begins = word[0] && word[1] && strncmp(*names, word, strlen(word)) == 0;
    const int distance = begins ? 1 : edits(word, *names);
    if (distance < least) least = distance, best = *names;
  }
  return best;
}

const char *cli_seconds(double seconds, char *buffer, size_t size) {
  if (seconds < 1e-3)
    snprintf(buffer, size, "%.3g us", seconds * 1e6);
  else if (seconds < 1)
    snprintf(buffer, size, "%.3g ms", seconds * 1e3);
  else
    snprintf(buffer, size, "%.3g s", seconds);
  return buffer;
}

const char *cli_count(long long count, char *buffer, size_t size) {
  char digits[32];
  const int length = snprintf(digits, sizeof digits, "%lld", count < 0 ? -count : count);
  size_t used = 0;
  if (size) buffer[0] = 0;
  if (count < 0 && used + 1 < size) buffer[used++] = '-';
  for (int i = 0; i < length && used + 2 < size; i++) {
    if (i && (length - i) % 3 == 0) buffer[used++] = ',';
    buffer[used++] = digits[i];
  }
  if (size) buffer[used] = 0;
  return buffer;
}
