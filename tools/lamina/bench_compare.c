/* lamina bench --compare: two files of results, row by row.
 *
 * The rule: B is faster or slower where the medians differ by more than 1% and the middle halves of the two sets of samples,
 * median ± spread, don't overlap; else it is the same. With fewer than 3 samples on a side nothing is said. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define LEAST_DIFFERENCE 0.01

typedef struct result {
  char problem[1024], name[128], engine[144];
  double seconds, spread;
  double samples;
  bool wrong, matched;
} result;

typedef struct results {
  const char *path;
  char device[256]; /* of the file's first line */
  result *row;
  int count;
} results;

/* ---- Reading: an object a line, of texts, numbers and true, false, null ------------------------------------------------ */

static const char *skip(const char *at) { return at + strspn(at, " \t\r\n"); }

static void put(char **to, const char *end, unsigned c) {
  if (*to < end) *(*to)++ = (char)c;
}

/* A code unit as UTF-8. */
static void put_unit(char **to, const char *end, unsigned code) {
  if (code >= 0x800) put(to, end, 0xe0 | code >> 12);
  if (code >= 0x80) put(to, end, code >= 0x800 ? 0x80 | (code >> 6 & 0x3f) : 0xc0 | code >> 6);
  put(to, end, code >= 0x80 ? 0x80 | (code & 0x3f) : code);
}

/* The text that begins at the quote `at`, cut to `size`; returns what follows it, NULL where it has no end. */
static const char *read_text(const char *at, char *text, size_t size) {
  static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
  char *put_at = text;
  const char *const end = text + size - 1;
  for (at++; *at && *at != '"'; at++) {
    unsigned code;
    if (*at != '\\') {
      put(&put_at, end, (unsigned char)*at);
    } else if (*++at == 'u') {
      if (sscanf(at + 1, "%4x", &code) != 1 || strspn(at + 1, "0123456789abcdefABCDEF") < 4) return NULL;
      put_unit(&put_at, end, code);
      at += 4;
    } else {
      const char *known = *at ? strchr(from, *at) : NULL;
      if (!*at) return NULL;
      put(&put_at, end, (unsigned char)(known ? to[known - from] : *at));
    }
  }
  *put_at = 0;
  return *at ? at + 1 : NULL;
}

/* A key and its value, from `at`; numbers are texts, too. Returns what follows, NULL where it is none of these. */
static const char *read_pair(const char *at, char *key, size_t key_size, char *value, size_t size) {
  if (*(at = skip(at)) != '"' || !(at = read_text(at, key, key_size))) return NULL;
  if (*(at = skip(at)) != ':') return NULL;
  at = skip(at + 1);
  if (*at == '"') return read_text(at, value, size);
  const size_t length = strspn(at, "+-.0123456789abcdefghijklmnopqrstuvwxyzE");
  snprintf(value, size, "%.*s", (int)length, at);
  return length ? at + length : NULL;
}

/* `from`, cut to `size`. */
static void keep(char *to, size_t size, const char *from) {
  const size_t length = strnlen(from, size - 1);
  memcpy(to, from, length);
  to[length] = 0;
}

static void take(result *row, results *all, const char *key, const char *value) {
  const size_t used = strlen(row->engine);
  if (strcmp(key, "case") == 0) keep(row->problem, sizeof row->problem, value);
  if (strcmp(key, "name") == 0) keep(row->name, sizeof row->name, value);
  if (strcmp(key, "engine") == 0) keep(row->engine, sizeof row->engine, value);
  if (strcmp(key, "variant") == 0 && *value && used < sizeof row->engine - 2) {
    row->engine[used] = '/';
    keep(row->engine + used + 1, sizeof row->engine - used - 1, value);
  }
  if (strcmp(key, "seconds") == 0) row->seconds = atof(value);
  if (strcmp(key, "spread") == 0) row->spread = atof(value);
  if (strcmp(key, "samples") == 0) row->samples = atof(value);
  if (strcmp(key, "checked") == 0) row->wrong = strcmp(value, "WRONG") == 0;
  if (strcmp(key, "about") == 0 && !*all->device) keep(all->device, sizeof all->device, value);
}

/* False where the line is no object of plain values. */
static bool read_line(const char *line, results *all, result *row) {
  char key[64], value[1024];
  const char *at = skip(line);
  *row = (result){.wrong = false};
  if (*at++ != '{') return false;
  for (at = skip(at); *at != '}'; at = skip(at + (*at == ','))) {
    if (!(at = read_pair(at, key, sizeof key, value, sizeof value))) return false;
    take(row, all, key, value);
    at = skip(at);
    if (*at != ',' && *at != '}') return false;
  }
  return !*skip(at + 1);
}

static bool add(results *all, const result *row) {
  if (!(all->count & (all->count - 1))) { /* a power of two, or none: it is full */
    result *more = realloc(all->row, sizeof *more * (size_t)(all->count ? 2 * all->count : 1));
    if (!more) return false;
    all->row = more;
  }
  all->row[all->count++] = *row;
  return true;
}

static int bad(const cli_command *self, const char *path, int number, const char *reason) {
  fprintf(stderr, "lamina %s: %s:%d: %s\n", self->name, path, number, reason);
  return EXIT_FAILED;
}

static int read_results(const cli_command *self, results *all) {
  char *line = NULL;
  size_t room = 0;
  int error = 0;
  result row;
  errno = 0;
  FILE *file = fopen(all->path, "r");
  for (int number = 1; file && !error && getline(&line, &room, file) >= 0; number++) {
    if (!*skip(line)) continue;
    if (!read_line(line, all, &row))
      error = bad(self, all->path, number, "expected a line that lamina bench --json wrote");
    else if (*row.problem && row.seconds > 0 && !add(all, &row))
      error = bad(self, all->path, number, "out of memory");
  }
  if (!file || ferror(file)) {
    fprintf(stderr, "lamina %s: %s: %s\n", self->name, all->path, strerror(errno));
    error = EXIT_FAILED;
  }
  if (file) fclose(file);
  free(line);
  if (error || all->count) return error;
  fprintf(stderr, "lamina %s: %s: there are no times in it; expected what lamina bench --json wrote\n", self->name,
          all->path);
  return EXIT_FAILED;
}

/* ---- Comparing ------------------------------------------------------------------------------------------------------- */

enum { SAME, FASTER, SLOWER, UNSURE, VERDICTS };

static const char *const verdict_names[VERDICTS] = {"same", "faster", "slower", "too few samples"};

static int judge(const result *a, const result *b) {
  if (a->samples < BENCH_LEAST_SAMPLES || b->samples < BENCH_LEAST_SAMPLES) return UNSURE;
  if (fabs(b->seconds - a->seconds) <= LEAST_DIFFERENCE * a->seconds) return SAME;
  if (b->seconds * (1 + b->spread) < a->seconds * (1 - a->spread)) return FASTER;
  return b->seconds * (1 - b->spread) > a->seconds * (1 + a->spread) ? SLOWER : SAME;
}

static result *find(results *all, const result *like) {
  for (int i = 0; i < all->count; i++)
    if (!all->row[i].matched && strcmp(all->row[i].problem, like->problem) == 0 &&
        strcmp(all->row[i].engine, like->engine) == 0)
      return &all->row[i];
  return NULL;
}

/* The least seconds of a problem, INFINITY where it isn't there. */
static double best(const results *all, const char *problem) {
  double least = INFINITY;
  for (int i = 0; i < all->count; i++)
    if (strcmp(all->row[i].problem, problem) == 0) least = fmin(least, all->row[i].seconds);
  return least;
}

static void print_best(const results *a, const results *b) {
  double logs = 0;
  int problems = 0;
  for (int i = 0; i < a->count; i++) {
    const char *problem = a->row[i].problem;
    const double of_b = best(b, problem);
    if ((i && strcmp(problem, a->row[i - 1].problem) == 0) || !(of_b < INFINITY)) continue;
    logs += log(of_b / best(a, problem));
    problems++;
  }
  if (problems)
    printf("the best engines of %d problems take %.4g of A's time in B (geometric mean)\n", problems,
           exp(logs / problems));
}

static void print_only(const results *all, const char *side, int *wrong) {
  for (int i = 0; i < all->count; i++) {
    const result *row = &all->row[i];
    if (!row->matched) printf("only in %s: %s by %s\n", side, row->problem, row->engine);
    *wrong += row->wrong;
  }
}

static int compare(results *a, results *b) {
  int count[VERDICTS] = {0}, wrong = 0, wrong_before = 0;
  char before[32], after[32];
  printf("A: %s: %s\nB: %s: %s\n", a->path, a->device, b->path, b->device);
  for (int i = 0; i < a->count; i++) {
    result *of_a = &a->row[i], *of_b = find(b, of_a);
    if (!of_b) continue;
    if (!i || strcmp(of_a->problem, a->row[i - 1].problem) != 0)
      printf("\n%s%s%s\n%-44s %10s %10s  %6s\n", of_a->name, *of_a->name ? ": " : "", of_a->problem, "engine", "A", "B",
             "B/A");
    const int verdict = judge(of_a, of_b);
    of_a->matched = of_b->matched = true;
    count[verdict]++;
    printf("%-44s %10s %10s  %6.3f  %s%s\n", of_a->engine, cli_seconds(of_a->seconds, before, sizeof before),
           cli_seconds(of_b->seconds, after, sizeof after), of_b->seconds / of_a->seconds, verdict_names[verdict],
           of_b->wrong ? ", WRONG" : "");
  }
  printf("\n");
  print_only(a, "A", &wrong_before);
  print_only(b, "B", &wrong);
  print_best(a, b);
  printf("B: %d faster, %d slower, %d the same, %d unsure%s\n", count[FASTER], count[SLOWER], count[SAME],
         count[UNSURE], wrong ? "; SOME RESULTS ARE WRONG" : "");
  return count[SLOWER] || wrong ? EXIT_FAILED : 0;
}

int bench_compare(const cli_command *self, const char *a_path, const char *b_path) {
  results a = {.path = a_path}, b = {.path = b_path};
  int error = read_results(self, &a);
  if (!error) error = read_results(self, &b);
  if (!error) error = compare(&a, &b);
  free(a.row);
  free(b.row);
  return error;
}
