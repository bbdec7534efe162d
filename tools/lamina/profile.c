/* What lamina_net_trace tells is added up by op and kept, op by op, for a trace file. */
#include "profile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { MOST_EVENTS = 50000 }; /* of the trace file: some 10 MB */

typedef struct event {
  int row;
  int64_t run;
  double start, seconds;
} event;

struct profile {
  lamina_net *net; /* NULL: it was stopped */
  profile_row *rows;
  event *events;
  int row_count, event_count;
  bool lost, full; /* no memory; no more events are kept */
};

static const char *const run_names[] = {
    [LAMINA_RUN_INFERENCE] = "inference", [LAMINA_RUN_EVALUATION] = "evaluation", [LAMINA_RUN_TRAINING] = "training"};

/* ---- Watching ------------------------------------------------------------------------------------------------------ */

/* Room for one more in a list that grows by doubling; NULL: there is none. */
static void *room_for(void *list, int count, size_t size) {
  const bool full = !(count & (count - 1)); /* a power of two, or none */
  return full ? realloc(list, size * (size_t)(count ? 2 * count : 1)) : list;
}

/* "onednn/blocked/jit:avx512_core; x reordered": the note is what the plan says behind "chosen". */
static void describe(const lamina_plan *plan, char *text, size_t size) {
  const char *line = lamina_plan_explain(plan), *variant = lamina_plan_variant(plan);
  const size_t end = strcspn(line, "\n");
  const char *note = strstr(line, "; ");
  if (note && note > line + end) note = NULL;
  snprintf(text, size, "%s%s%s%.*s", lamina_plan_engine(plan), *variant ? "/" : "", variant,
           note ? (int)(line + end - note) : 0, note ? note : "");
}

static int find(profile *p, const lamina_op_trace *op) {
  for (int i = 0; i < p->row_count; i++)
    if (p->rows[i].run == op->run && p->rows[i].batch == op->batch && p->rows[i].index == op->index) return i;
  profile_row *rows = room_for(p->rows, p->row_count, sizeof *rows);
  if (!rows) return -1;
  p->rows = rows;
  profile_row *row = &rows[p->row_count];
  *row = (profile_row){.run = op->run,
                       .batch = op->batch,
                       .index = op->index,
                       .problem = *lamina_plan_problem(op->plan),
                       .first_run = op->seconds};
  snprintf(row->layer, sizeof row->layer, "%s", op->layer);
  describe(op->plan, row->engine, sizeof row->engine);
  lamina_problem_work(&row->problem, &row->flops, &row->bytes);
  return p->row_count++;
}

/* Only whole runs are kept. */
static bool keeps(profile *p, const lamina_op_trace *op) {
  if (op->index == 0 && p->event_count + op->count > MOST_EVENTS) p->full = true;
  return !p->full;
}

static void seen(void *user, const lamina_op_trace *op) {
  profile *p = user;
  const int row = find(p, op);
  p->lost |= row < 0;
  if (p->lost) return;
  p->rows[row].seconds += op->seconds;
  p->rows[row].runs++;
  if (!keeps(p, op)) return;
  event *events = room_for(p->events, p->event_count, sizeof *events);
  p->lost = !events;
  if (p->lost) return;
  p->events = events;
  events[p->event_count++] = (event){row, op->number, op->start, op->seconds};
}

lamina_status profile_open(lamina_net *net, profile **out) {
  profile *p = *out = calloc(1, sizeof *p);
  if (!p) return lamina_error(LAMINA_OUT_OF_MEMORY, "no memory for a profile");
  p->net = net;
  return lamina_net_trace(net, seen, p);
}

lamina_status profile_stop(profile *p) {
  const lamina_status status = p->net ? lamina_net_trace(p->net, NULL, NULL) : LAMINA_OK;
  p->net = NULL;
  if (!status && p->lost) return lamina_error(LAMINA_OUT_OF_MEMORY, "no memory for what the profile saw");
  return status;
}

void profile_close(profile *p) {
  if (!p) return;
  (void)!profile_stop(p);
  free(p->rows);
  free(p->events);
  free(p);
}

const profile_row *profile_at(const profile *p, int index) {
  return index >= 0 && index < p->row_count ? &p->rows[index] : NULL;
}

double profile_seconds(const profile_row *row) {
  return row->runs > 1 ? (row->seconds - row->first_run) / (double)(row->runs - 1) : row->seconds;
}

/* ---- The table ------------------------------------------------------------------------------------------------------ */

static int by_time(const void *a, const void *b) {
  const profile_row *x = *(const profile_row *const *)a, *y = *(const profile_row *const *)b;
  const double x_seconds = profile_seconds(x), y_seconds = profile_seconds(y);
  if (x_seconds < y_seconds || x_seconds > y_seconds) return x_seconds < y_seconds ? 1 : -1;
  return x->index - y->index;
}

static void print_row(FILE *to, const profile_row *row, double all) {
  char time[32], flops[32];
  const double seconds = profile_seconds(row);
  snprintf(flops, sizeof flops, row->flops > 0 && seconds > 0 ? "%.1f" : "-", row->flops / seconds / 1e9);
  fprintf(to, "%-16s %-32s %9s  %5.1f%%  %8s  %8.3g  %7.3g  %s\n", row->layer, lamina_op_at(row->problem.op)->name,
          cli_seconds(seconds, time, sizeof time), all > 0 ? 100 * seconds / all : 0, flops, row->bytes / 1e6,
          seconds > 0 ? row->bytes / seconds / 1e9 : 0, row->engine);
}

/* The rows of one kind of run, `count` of them. */
static void print_kind(FILE *to, const profile_row **rows, int count) {
  char time[32], flops[32];
  profile_row sum = {.runs = 1};
  qsort(rows, (size_t)count, sizeof *rows, by_time);
  for (int i = 0; i < count; i++) {
    sum.seconds += profile_seconds(rows[i]);
    sum.flops += rows[i]->flops, sum.bytes += rows[i]->bytes;
  }
  const int64_t runs = rows[0]->runs;
  fprintf(to, "\n%s, batch %lld: the mean of %lld run%s%s\n", run_names[rows[0]->run], (long long)rows[0]->batch,
          (long long)(runs > 1 ? runs - 1 : runs), runs == 2 || runs == 1 ? "" : "s",
          runs > 1 ? ", without the first" : "");
  fprintf(to, "%-16s %-32s %9s  %6s  %8s  %8s  %7s  %s\n", "layer", "op", "time", "share", "GFLOP/s", "MB", "GB/s",
          "engine");
  for (int i = 0; i < count; i++) print_row(to, rows[i], sum.seconds);
  snprintf(flops, sizeof flops, sum.seconds > 0 ? "%.1f" : "-", sum.flops / sum.seconds / 1e9);
  fprintf(to, "%-16s %-32s %9s  %6s  %8s  %8.3g  %7.3g\n", "all ops", "", cli_seconds(sum.seconds, time, sizeof time),
          "", flops, sum.bytes / 1e6, sum.seconds > 0 ? sum.bytes / sum.seconds / 1e9 : 0);
}

lamina_status profile_print(const profile *p, FILE *to) {
  const profile_row **rows = calloc((size_t)p->row_count + 1, sizeof *rows);
  bool *done = calloc((size_t)p->row_count + 1, sizeof *done);
  const bool there = rows && done;
  for (int i = 0; there && i < p->row_count; i++) {
    int count = 0;
    for (int k = i; k < p->row_count; k++) {
      const profile_row *row = &p->rows[k];
      if (done[k] || row->run != p->rows[i].run || row->batch != p->rows[i].batch) continue;
      rows[count++] = row;
      done[k] = true;
    }
    if (count) print_kind(to, rows, count);
  }
  free(rows);
  free(done);
  return there ? LAMINA_OK : lamina_error(LAMINA_OUT_OF_MEMORY, "no memory for a table of %d ops", p->row_count);
}

/* ---- The trace file -------------------------------------------------------------------------------------------------- */

static void add_times(lamina_json *json, double start, double seconds, int row) {
  lamina_json_text(json, "ph", "X");
  lamina_json_real(json, "ts", 1e6 * start);
  lamina_json_real(json, "dur", 1e6 * seconds);
  lamina_json_int(json, "pid", 1);
  lamina_json_int(json, "tid", row);
}

static void add_op(lamina_json *json, const profile_row *row, const event *e) {
  lamina_json_text(json, "name", lamina_op_at(row->problem.op)->name);
  lamina_json_text(json, "cat", run_names[row->run]);
  add_times(json, e->start, e->seconds, 1);
  lamina_json_object(json, "args");
  lamina_json_text(json, "layer", row->layer);
  lamina_json_text(json, "engine", row->engine);
  if (e->seconds > 0) lamina_json_real(json, "GFLOP/s", row->flops / e->seconds / 1e9);
  lamina_json_real(json, "bytes", row->bytes);
  lamina_json_end(json);
}

/* Around the ops of a run that begins with event `first`; returns the event behind the run. */
static int add_run(lamina_json *json, const profile *p, int first) {
  char name[64];
  const event *from = &p->events[first];
  const profile_row *row = &p->rows[from->row];
  int end = first;
  while (end < p->event_count && p->events[end].run == from->run) end++;
  const event *to = &p->events[end - 1];
  snprintf(name, sizeof name, "%s, batch %lld", run_names[row->run], (long long)row->batch);
  lamina_json_text(json, "name", name);
  lamina_json_text(json, "cat", run_names[row->run]);
  add_times(json, from->start, to->start + to->seconds - from->start, 1);
  return end;
}

static lamina_status put_line(FILE *to, lamina_json *json, bool more) {
  const char *line;
  const lamina_status status = lamina_json_line(json, &line);
  if (!status) fprintf(to, "%s%s\n", line, more ? "," : "");
  return status;
}

static lamina_status put_all(FILE *to, lamina_json *json, const profile *p, int64_t *runs) {
  lamina_status status = LAMINA_OK;
  fprintf(to, "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n");
  for (int i = 0, end = 0; i < p->event_count && !status; i++) {
    if (i == end) {
      end = add_run(json, p, i);
      ++*runs;
      if ((status = put_line(to, json, true))) break;
    }
    add_op(json, &p->rows[p->events[i].row], &p->events[i]);
    status = put_line(to, json, i + 1 < p->event_count);
  }
  fprintf(to, "]}\n");
  return status;
}

lamina_status profile_write(const profile *p, const char *path, int64_t *runs) {
  lamina_json *json = NULL;
  *runs = 0;
  FILE *to = fopen(path, "w");
  if (!to) return lamina_error(LAMINA_IO, "%s: %s", path, strerror(errno));
  lamina_status status = lamina_json_open(NULL, &json);
  if (!status) status = put_all(to, json, p, runs);
  lamina_json_close(json);
  const bool bad = fflush(to) || ferror(to);
  if (bad && !status) status = lamina_error(LAMINA_IO, "%s: not all could be written: %s", path, strerror(errno));
  fclose(to);
  return status;
}
