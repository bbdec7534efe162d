#include "run_folder.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static lamina_status system_error(const char *path, const char *what) {
  return lamina_error(LAMINA_IO, "%s: %s: %s", path, what, strerror(errno));
}

static void path_of(const run_folder *run, const char *name, char *path, size_t size) {
  snprintf(path, size, "%s/%s", run->path, name);
}

/* ---- The folder --------------------------------------------------------------------------------------------------- */

static lamina_status make(const char *path, bool parents) {
  char part[RUN_PATH];
  struct stat s;
  if (stat(path, &s) == 0)
    return S_ISDIR(s.st_mode) ? LAMINA_OK : lamina_error(LAMINA_IO, "%s: it is a file; expected a folder", path);
  const char *slash = parents ? strchr(path + 1, '/') : NULL;
  for (; slash; slash = strchr(slash + 1, '/')) {
    snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
    if (mkdir(part, 0777) && errno != EEXIST) return system_error(part, "can't make this folder");
  }
  if (mkdir(path, 0777) == 0) return LAMINA_OK;
  const char *last = strrchr(path, '/');
  if (errno == ENOENT && last && last != path)
    return lamina_error(LAMINA_IO, "%s: can't make this output folder; there is no folder %.*s to make it in", path,
                        (int)(last - path), path);
  return system_error(path, "can't make this output folder");
}

/* Asking for permission isn't enough: a file system may be read-only, or full. */
static lamina_status try_to_write(const char *folder) {
  char path[RUN_PATH + 32];
  snprintf(path, sizeof path, "%s/.lamina-XXXXXX", folder);
  const int fd = mkstemp(path);
  if (fd < 0) return system_error(folder, "can't write into this output folder");
  close(fd);
  unlink(path);
  return LAMINA_OK;
}

lamina_status run_folder_open(run_folder *run, const char *path, run_make how) {
  *run = (run_folder){0};
  if (!*path || strlen(path) >= RUN_PATH)
    return lamina_error(LAMINA_INVALID, "the output folder's name has %zu characters; expected 1 to %d", strlen(path),
                        RUN_PATH - 1);
  snprintf(run->path, sizeof run->path, "%s", path);
  for (size_t n = strlen(run->path); n > 1 && run->path[n - 1] == '/'; n--) run->path[n - 1] = 0;
  path_of(run, "checkpoint.safetensors", run->checkpoint, sizeof run->checkpoint);
  if (how == RUN_THERE) return LAMINA_OK;
  const lamina_status status = make(run->path, how == RUN_MAKE_PARENTS);
  return status ? status : try_to_write(run->path);
}

void run_folder_close(run_folder *run) {
  if (run->metrics) fclose(run->metrics);
  free(run->loss.x), free(run->loss.y);
  free(run->accuracy.x), free(run->accuracy.y);
  *run = (run_folder){0};
}

/* Whole or not at all: a run that goes on writes it again, and may be killed. */
static lamina_status write_recipe(const run_folder *run, const char *name, const char *recipe) {
  char path[RUN_PATH + 32], temporary[RUN_PATH + 32];
  path_of(run, "recipe.yaml", path, sizeof path);
  path_of(run, "recipe.yaml.tmp", temporary, sizeof temporary);
  FILE *file = fopen(temporary, "we");
  if (!file) return system_error(path, "can't write");
  bool bad =
      fprintf(file, "# %.*s\n%s", (int)strcspn(name, "\n"), name, recipe) < 0 || fflush(file) || fsync(fileno(file));
  bad |= fclose(file) != 0;
  if (!bad && rename(temporary, path) == 0) return LAMINA_OK;
  const lamina_status status = system_error(path, "can't write");
  unlink(temporary);
  return status;
}

static lamina_status open_metrics(run_folder *run, const char *mode) {
  char path[RUN_PATH + 32];
  path_of(run, "metrics.jsonl", path, sizeof path);
  run->metrics = fopen(path, mode);
  return run->metrics ? LAMINA_OK : system_error(path, "can't write");
}

void run_folder_name(const char *recipe, char *name, size_t size) {
  char *line = NULL;
  size_t room = 0;
  FILE *file = fopen(recipe, "re");
  const ssize_t n = file ? getline(&line, &room, file) : 0;
  if (n > 3 && strncmp(line, "# ", 2) == 0) snprintf(name, size, "%.*s", (int)(n - 3), line + 2);
  free(line);
  if (file) fclose(file);
}

lamina_status run_folder_begin(run_folder *run, const char *name, const char *recipe) {
  char previous[RUN_PATH + 32];
  path_of(run, "previous.safetensors", previous, sizeof previous);
  run->kept = rename(run->checkpoint, previous) == 0;
  if (!run->kept && errno != ENOENT) return system_error(run->checkpoint, "can't rename");
  lamina_status status = recipe ? write_recipe(run, name, recipe) : LAMINA_OK;
  return status ? status : open_metrics(run, "we");
}

/* ---- Metrics ------------------------------------------------------------------------------------------------------ */

static lamina_status add_point(run_line *line, double x, double y) {
  if (line->count == line->room) {
    const size_t room = line->room ? 2 * line->room : 256;
    double *xs = realloc(line->x, room * sizeof *xs);
    if (xs) line->x = xs;
    double *ys = xs ? realloc(line->y, room * sizeof *ys) : NULL;
    if (!ys) return lamina_error(LAMINA_OUT_OF_MEMORY, "no memory for %zu points of the loss", room);
    line->y = ys;
    line->room = room;
  }
  line->x[line->count] = x;
  line->y[line->count++] = y;
  return LAMINA_OK;
}

/* The number behind a key of a line that run_record_line wrote; NaN where it isn't there or null. */
static double number_of(const char *line, const char *key) {
  char quoted[64], *end;
  snprintf(quoted, sizeof quoted, "\"%s\":", key);
  const char *at = strstr(line, quoted);
  if (!at) return (double)NAN;
  const double value = strtod(at + strlen(quoted), &end);
  return end > at + strlen(quoted) ? value : (double)NAN;
}

static lamina_status read_line(run_folder *run, const char *line, int64_t steps) {
  const double epoch = number_of(line, "step") / (double)steps, accuracy = number_of(line, "test_accuracy"),
               seconds = number_of(line, "seconds");
  lamina_status status = LAMINA_OK;
  if (isfinite(seconds)) run->seconds = seconds;
  if (strstr(line, "\"event\":\"step\"")) status = add_point(&run->loss, epoch, number_of(line, "loss"));
  if (!status && isfinite(accuracy)) status = add_point(&run->accuracy, epoch, 100 * accuracy);
  return status;
}

lamina_status run_folder_resume(run_folder *run, const char *name, const char *recipe, int64_t total, int64_t steps) {
  char *line = NULL;
  size_t room = 0;
  long whole = 0; /* bytes that stay */
  lamina_status status = recipe ? write_recipe(run, name, recipe) : LAMINA_OK;
  if (!status) status = open_metrics(run, "a+e");
  if (status) return status;
  rewind(run->metrics);
  for (ssize_t n; !status && (n = getline(&line, &room, run->metrics)) > 0; whole += n) {
    const double step = number_of(line, "step");
    if (line[n - 1] != '\n' || !(step <= (double)total)) break;
    status = read_line(run, line, steps);
  }
  free(line);
  if (!status && ftruncate(fileno(run->metrics), whole)) status = system_error(run->path, "can't cut metrics.jsonl");
  fseek(run->metrics, 0, SEEK_END);
  return status;
}

lamina_status run_record_line(lamina_json *json, const run_record *r, const char **line) {
  lamina_json_text(json, "event", r->epoch ? "epoch" : "step");
  lamina_json_int(json, "step", r->at.total);
  lamina_json_int(json, "epoch", r->epoch ? r->at.epoch : r->at.epoch + (r->at.step < r->at.steps));
  lamina_json_real(json, "loss", r->epoch ? r->at.mean_loss : r->at.loss);
  if (r->epoch && !isnan(r->at.accuracy)) lamina_json_real(json, "accuracy", r->at.accuracy);
  if (!r->epoch && !isnan(r->at.grad_norm)) lamina_json_real(json, "grad_norm", r->at.grad_norm);
  lamina_json_real(json, "rate", r->at.rate);
  if (r->test) {
    lamina_json_real(json, "test_loss", r->test->loss);
    lamina_json_real(json, "test_accuracy", r->test->accuracy);
    lamina_json_int(json, "k", r->test->k);
    lamina_json_real(json, "test_accuracy_k", r->test->accuracy_k);
  }
  lamina_json_real(json, "images_per_second", r->images_per_second);
  lamina_json_real(json, "seconds", r->seconds);
  return lamina_json_line(json, line);
}

lamina_status run_folder_add(run_folder *run, const run_record *r, const char *line) {
  const double epoch = (double)r->at.total / (double)r->at.steps;
  lamina_status status = LAMINA_OK;
  if (fprintf(run->metrics, "%s\n", line) < 0 || fflush(run->metrics))
    return system_error(run->path, "can't write metrics.jsonl");
  if (!r->epoch) status = add_point(&run->loss, epoch, r->at.loss);
  if (!status && r->test) status = add_point(&run->accuracy, epoch, 100 * r->test->accuracy);
  return status;
}

/* ---- The chart ---------------------------------------------------------------------------------------------------- */

static lamina_chart chart_of(const run_folder *run, const char *title, lamina_series *series) {
  series[0] = (lamina_series){
      .name = "training loss", .count = run->loss.count, .x = run->loss.x, .y = run->loss.y, .smooth = true};
  series[1] = (lamina_series){.name = "test accuracy, %",
                              .count = run->accuracy.count,
                              .x = run->accuracy.x,
                              .y = run->accuracy.y,
                              .right = true};
  return (lamina_chart){.title = title,
                        .x_label = "epoch",
                        .left_label = "loss",
                        .right_label = run->accuracy.count ? "%" : NULL,
                        .series = series,
                        .count = run->accuracy.count ? 2 : 1,
                        .log_left = true};
}

lamina_status run_folder_draw(run_folder *run, const char *title) {
  char path[RUN_PATH + 32];
  lamina_series series[2];
  path_of(run, "loss.svg", path, sizeof path);
  const lamina_chart chart = chart_of(run, title, series);
  return lamina_chart_svg(&chart, path, NULL);
}

lamina_status run_folder_draw_confusion(run_folder *run, const lamina_confusion *matrix) {
  char path[RUN_PATH + 32];
  path_of(run, "confusion.svg", path, sizeof path);
  return lamina_confusion_svg(matrix, path, NULL);
}

lamina_status run_folder_print(const run_folder *run, int columns, bool colour, FILE *to) {
  enum { ROWS = 14, MOST = 100, LEAST = 24 };
  static char text[(size_t)ROWS * MOST * 24 + 1];
  lamina_series series[2];
  const lamina_chart chart = chart_of(run, NULL, series);
  if (columns < LEAST || !run->loss.count) return LAMINA_OK;
  const lamina_status status =
      lamina_chart_text(&chart, columns > MOST ? MOST : columns, ROWS, colour, text, sizeof text);
  if (!status) fprintf(to, "%s", text);
  return status;
}
