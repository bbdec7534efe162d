/* Rows as a table for people, as CSV, and as JSON: an object a line, written as soon as it is known, so that what was
 * measured before the power failed is there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

/* ---- Files --------------------------------------------------------------------------------------------------------- */

int bench_report_open(const cli_command *self, const char *csv, const char *json, bench_report *report) {
  *report = (bench_report){.csv_path = csv, .json_path = json};
  if (csv && json && strcmp(csv, json) == 0)
    return cli_usage(self, "--csv and --json are both \"%s\"; expected two files", csv);
  if (cli_output(csv) || cli_output(json)) return cli_failed(self, LAMINA_IO);
  report->table = !(csv && strcmp(csv, "-") == 0) && !(json && strcmp(json, "-") == 0);
  return 0;
}

static lamina_status open_one(const char *path, FILE **file) {
  if (!path) return LAMINA_OK;
  *file = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
  return *file ? LAMINA_OK : lamina_error(LAMINA_IO, "%s: %s", path, strerror(errno));
}

static int close_one(const cli_command *self, FILE *file) {
  if (!file) return 0;
  const bool bad = fflush(file) || ferror(file);
  if (bad) fprintf(stderr, "lamina %s: not all could be written: %s\n", self->name, strerror(errno));
  if (file != stdout) fclose(file);
  return bad ? EXIT_FAILED : 0;
}

int bench_report_close(const cli_command *self, bench_report *report) {
  const int csv = close_one(self, report->csv), json = close_one(self, report->json);
  *report = (bench_report){0};
  return csv ? csv : json;
}

/* ---- The table ------------------------------------------------------------------------------------------------------ */

static const char *name_of(const bench_row *row, char *name, size_t size) {
  snprintf(name, size, "%s%s%s%s", row->engine, *row->variant ? "/" : "", row->variant, row->chosen ? "*" : "");
  return name;
}

static void print_net(const bench_row *row) {
  char time[32], share[48] = "-";
  if (*row->bound) snprintf(share, sizeof share, "%3.0f%% %s", 100 * row->least / row->seconds, row->bound);
  printf("\n%s\n%10s  %7s  %9s  %9s  %7s  %-14s  %s\n", row->problem, "time", "spread", "images/s", "GFLOP/s", "GB/s",
         "of the bound", "memory");
  printf("%10s  ±%5.1f%%  %9.5g  %9.4g  %7.4g  %-14s  %.0f MiB resident, %.0f MiB of the device\n",
         cli_seconds(row->seconds, time, sizeof time), 100 * row->spread, row->images / row->seconds,
         row->flops / row->seconds / 1e9, row->bytes / row->seconds / 1e9, share, (double)row->memory / 0x1p20,
         (double)row->workspace / 0x1p20);
}

static void print_rows(const bench_row *rows, int count) {
  char name[160], time[32], flops[32], share[48];
  int width = 6;
  if (rows->images > 0) {
    print_net(rows);
    return;
  }
  for (int i = 0; i < count; i++) {
    const int length = (int)strlen(name_of(&rows[i], name, sizeof name));
    width = length > width ? length : width;
  }
  printf("\n%s%s%s\n", rows->name, *rows->name ? ": " : "", rows->problem);
  printf("%-*s %10s  %7s  %9s  %7s  %-14s  %s\n", width, "engine", "time", "spread", "GFLOP/s", "GB/s", "of the bound",
         "checked");
  for (int i = 0; i < count; i++) {
    const bench_row *row = &rows[i];
    printf("%-*s ", width, name_of(row, name, sizeof name));
    if (*row->skipped) {
      printf("not run: %s\n", row->skipped);
      continue;
    }
    snprintf(flops, sizeof flops, row->flops > 0 ? "%.4g" : "-", row->flops / row->seconds / 1e9);
    snprintf(share, sizeof share, "%3.0f%% %s", 100 * row->least / row->seconds, row->bound);
    printf("%10s  ±%5.1f%%  %9s  %7.4g  %-14s  %s\n", cli_seconds(row->seconds, time, sizeof time), 100 * row->spread,
           flops, row->bytes / row->seconds / 1e9, share, row->checked);
  }
}

/* ---- CSV ------------------------------------------------------------------------------------------------------------ */

static void put_text(FILE *to, const char *text) {
  if (!text[strcspn(text, ",\"\r\n")]) {
    fputs(text, to);
    return;
  }
  fputc('"', to);
  for (; *text; text++) {
    if (*text == '"') fputc('"', to);
    fputc(*text, to);
  }
  fputc('"', to);
}

static void put_row(FILE *to, const bench_row *row) {
  const char *const texts[] = {row->name, row->problem, row->device, row->engine, row->variant};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    put_text(to, texts[i]);
    fputc(',', to);
  }
  fprintf(to, "%d,", row->chosen);
  if (*row->skipped)
    fputs(",,,,,,,", to);
  else
    fprintf(to, "%.9g,%.4g,%d,%.6g,%.6g,%s,%.4g,", row->seconds, row->spread, row->samples,
            row->flops / row->seconds / 1e9, row->bytes / row->seconds / 1e9, row->bound, row->least / row->seconds);
  fprintf(to, "%.4g,%zu,", row->estimate, row->workspace);
  put_text(to, row->checked);
  fputc(',', to);
  put_text(to, row->skipped);
  if (row->images > 0)
    fprintf(to, ",%.6g,%zu\n", row->images / row->seconds, row->memory);
  else
    fputs(",,\n", to);
}

/* ---- JSON ----------------------------------------------------------------------------------------------------------- */

static lamina_status write_line(FILE *to, lamina_json *json) {
  const char *line;
  const lamina_status status = lamina_json_line(json, &line);
  if (!status) fprintf(to, "%s\n", line);
  return status;
}

static void add_row(lamina_json *json, const bench_row *row) {
  lamina_json_text(json, "case", row->problem);
  if (*row->name) lamina_json_text(json, "name", row->name);
  lamina_json_text(json, "device", row->device);
  lamina_json_text(json, "engine", row->engine);
  lamina_json_text(json, "variant", row->variant);
  if (*row->skipped) {
    lamina_json_text(json, "skipped", row->skipped);
    return;
  }
  lamina_json_real(json, "seconds", row->seconds);
  lamina_json_real(json, "spread", row->spread);
  lamina_json_int(json, "samples", row->samples);
  lamina_json_real(json, "gflops", row->flops / row->seconds / 1e9);
  lamina_json_real(json, "gbytes", row->bytes / row->seconds / 1e9);
  if (*row->bound) {
    lamina_json_text(json, "bound", row->bound);
    lamina_json_real(json, "share", row->least / row->seconds);
  }
  if (row->images > 0) {
    lamina_json_real(json, "images", row->images / row->seconds);
    lamina_json_int(json, "memory", (int64_t)row->memory);
    lamina_json_real(json, "flops", row->flops);
    lamina_json_real(json, "bytes", row->bytes);
  } else {
    lamina_json_real(json, "estimate", row->estimate);
  }
  lamina_json_bool(json, "chosen", row->chosen);
  lamina_json_int(json, "workspace", (int64_t)row->workspace);
  lamina_json_text(json, "checked", row->checked);
}

/* ---- All of them ---------------------------------------------------------------------------------------------------- */

/* "48.6 TFLOP/s". */
static const char *rate_text(double rate, const char *unit, char *text, size_t size) {
  const bool tera = rate >= 1e12;
  snprintf(text, size, "%.4g %c%s", rate / (tera ? 1e12 : 1e9), tera ? 'T' : 'G', unit);
  return text;
}

static void print_device(const lamina_device *device, const lamina_limits *limits, bool cold) {
  char text[32];
  printf("%s: %s\n", lamina_device_name(device), lamina_device_about(device));
  if (limits->bandwidth > 0) {
    printf("by its clocks %s in f32", rate_text(limits->flops, "FLOP/s", text, sizeof text));
    if (limits->flops_tf32 > 0) printf(", %s of tf32", rate_text(limits->flops_tf32, "FLOP/s", text, sizeof text));
    if (limits->flops_half > 0) printf(", %s of 16 bits", rate_text(limits->flops_half, "FLOP/s", text, sizeof text));
    printf(", %s\n", rate_text(limits->bandwidth, "B/s", text, sizeof text));
  }
  if (cold)
    printf("its cache of %.0f MB is emptied before every run\n", (double)limits->cache / 1e6);
  else
    printf("caches are warm\n");
}

static lamina_status put_device(const bench_report *report) {
  lamina_json *json = NULL;
  lamina_limits limits;
  lamina_device_limits(report->device, &limits);
  lamina_status status = lamina_json_open(NULL, &json);
  if (status) return status;
  lamina_json_text(json, "device", lamina_device_name(report->device));
  lamina_json_text(json, "about", lamina_device_about(report->device));
  lamina_json_text(json, "cache", report->cold ? "cold" : "warm");
  const double rates[] = {limits.flops, limits.flops_tf32, limits.flops_half, limits.bandwidth};
  const char *const names[] = {"nominal_flops", "nominal_flops_tf32", "nominal_flops_half", "nominal_bandwidth"};
  for (int i = 0; i < 4; i++)
    if (rates[i] > 0) lamina_json_real(json, names[i], rates[i]);
  status = write_line(report->json, json);
  lamina_json_close(json);
  return status;
}

/* Before the first that is written: both files are opened, and begin with what goes before all rows. */
static lamina_status begin(bench_report *report) {
  if (report->csv || report->json) return LAMINA_OK;
  lamina_status status = open_one(report->csv_path, &report->csv);
  if (!status) status = open_one(report->json_path, &report->json);
  if (!status && report->csv)
    fprintf(report->csv, "name,case,device,engine,variant,chosen,seconds,spread,samples,gflops,gbytes,bound,share,"
                         "estimate,workspace,checked,skipped,images,memory\n");
  return !status && report->json ? put_device(report) : status;
}

void bench_report_device(bench_report *report, const lamina_device *device, bool cold) {
  lamina_limits limits;
  lamina_device_limits(device, &limits);
  if (report->table) print_device(device, &limits, cold);
  report->device = device, report->cold = cold;
}

lamina_status bench_report_peak(bench_report *report, const bench_peak *peak) {
  char text[32];
  lamina_json *json = NULL;
  if (report->table) printf("peak %s: %s\n", rate_text(peak->rate, peak->unit, text, sizeof text), peak->of);
  lamina_status status = begin(report);
  if (!status && report->json) status = lamina_json_open(NULL, &json);
  if (status || !json) return status;
  lamina_json_text(json, "peak", peak->of);
  lamina_json_text(json, "device", lamina_device_name(report->device));
  lamina_json_text(json, "unit", peak->unit);
  lamina_json_real(json, "rate", peak->rate);
  status = write_line(report->json, json);
  lamina_json_close(json);
  return status;
}

lamina_status bench_report_rows(bench_report *report, const bench_row *rows, int count) {
  lamina_json *json = NULL;
  lamina_status status = begin(report);
  if (!status && report->json) status = lamina_json_open(NULL, &json);
  for (int i = 0; i < count && !status; i++) {
    if (report->csv) put_row(report->csv, &rows[i]);
    if (!report->json) continue;
    add_row(json, &rows[i]);
    status = write_line(report->json, json);
  }
  lamina_json_close(json);
  if (report->table) print_rows(rows, count), fflush(stdout);
  if (report->csv) fflush(report->csv);
  if (report->json) fflush(report->json);
  return status;
}
