/* lamina doctor: what this machine offers, what is missing, and why; each finding is a sentence. */
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"

typedef struct report {
  lamina_json *json; /* NULL: for people */
  bool no_cpu;       /* without it nothing works */
} report;

static void say(report *r, bool good, const char *what, const char *sentence) {
  if (!r->json) {
    printf("%-4s %-8s %s\n", good ? "ok" : "--", what, sentence);
    return;
  }
  lamina_json_object(r->json, NULL);
  lamina_json_text(r->json, "check", what);
  lamina_json_bool(r->json, "ok", good);
  lamina_json_text(r->json, "says", sentence);
  lamina_json_end(r->json);
}

/* "160 GFLOP/s", "16.2 GB/s". */
static const char *rate(double value, const char *unit, char *text, size_t size) {
  const bool tera = value >= 1e12;
  snprintf(text, size, "%.3g %c%s", value / (tera ? 1e12 : 1e9), tera ? 'T' : 'G', unit);
  return text;
}

static void say_roofline(report *r, lamina_device *cpu) {
  char flops[32], half[32], read[32], copy[32], region[32], text[320];
  lamina_roofline most;
  lamina_device_roofline(cpu, &most);
  snprintf(text, sizeof text, "%s%s%s%s%s, reads %s, copies %s, starts its threads in %s: %s", most.cpu,
           *most.cpu ? ": " : "", rate(most.flops, "FLOP/s", flops, sizeof flops),
           most.flops_half > 0 ? ", in bf16 " : "",
           most.flops_half > 0 ? rate(most.flops_half, "FLOP/s", half, sizeof half) : "",
           rate(most.read, "B/s", read, sizeof read), rate(most.copy, "B/s", copy, sizeof copy),
           cli_seconds(most.region, region, sizeof region),
           most.measured ? "measured" : "reckoned from what the CPU says of itself; lamina tune measures");
  say(r, true, "roofline", text);
  if (!r->json) return;
  lamina_json_object(r->json, NULL); /* the same in numbers */
  lamina_json_text(r->json, "check", "rates");
  lamina_json_bool(r->json, "ok", true);
  lamina_json_bool(r->json, "measured", most.measured);
  lamina_json_real(r->json, "flops", most.flops);
  lamina_json_real(r->json, "flops_half", most.flops_half);
  lamina_json_real(r->json, "read", most.read);
  lamina_json_real(r->json, "copy", most.copy);
  lamina_json_real(r->json, "region", most.region);
  lamina_json_end(r->json);
}

static void check_cpu(report *r, bool measure) {
  lamina_device *cpu = NULL;
  char cache[CLI_PATH];
  const cli_place here = {.tune_cache = measure ? "" : NULL}; /* what others plan by stays as it is */
  const lamina_device_options options = {.tune_cache = cli_tune_cache(&here, cache, sizeof cache)};
  if (lamina_device_open("cpu", &options, &cpu)) {
    say(r, false, "cpu", lamina_last_error());
    r->no_cpu = true;
    return;
  }
  say(r, true, "cpu", lamina_device_about(cpu));
  if (measure && lamina_roofline_measure(cpu, NULL))
    say(r, false, "roofline", lamina_last_error());
  else
    say_roofline(r, cpu);
  lamina_device_close(cpu);
}

static void check_cuda(report *r) {
  lamina_device *gpu = NULL;
  void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (driver) dlclose(driver);
  say(r, driver, "driver",
      driver ? "NVIDIA's driver library is here" : "no libcuda.so.1: this machine has no NVIDIA driver");
  if (lamina_device_open("cuda:0", NULL, &gpu)) {
    say(r, false, "cuda", lamina_last_error());
    return;
  }
  say(r, true, "cuda", lamina_device_about(gpu));
  lamina_device_close(gpu);
}

static void check_data(report *r) {
  char text[512];
  const char *root = getenv("LAMINA_DATA");
  if (!root || !*root) {
    say(r, true, "data", "LAMINA_DATA is not set; recipes with built-in data need none");
    return;
  }
  const bool there = access(root, R_OK | X_OK) == 0;
  snprintf(text, sizeof text, "LAMINA_DATA is %s%s", root, there ? "" : ", which can't be read");
  say(r, there, "data", text);
}

static void check_all(report *r, bool measure) {
  check_cpu(r, measure);
  check_cuda(r);
  check_data(r);
}

static int print_json(const cli_command *self, bool measure) {
  report r = {0};
  const char *line;
  lamina_status status = lamina_json_open(NULL, &r.json);
  if (status) return cli_failed(self, status);
  lamina_json_array(r.json, "checks");
  check_all(&r, measure);
  if (!(status = lamina_json_line(r.json, &line))) puts(line);
  lamina_json_close(r.json);
  return status ? cli_failed(self, status) : r.no_cpu ? EXIT_FAILED : 0;
}

int run_doctor(const cli_command *self, int argc, char **argv) {
  bool json = false, measure = false;
  const cli_option options[] = {{.name = "measure", .help = "measures what the CPU does at best", .flag = &measure},
                                {.name = "json", .help = "one JSON object, for machines", .flag = &json},
                                {0}};
  const int error = cli_options(self, options, &argc, argv);
  if (error) return error < 0 ? 0 : error;
  if (argc) return cli_usage(self, "\"%s\" is one word too many", argv[1]);
  if (json) return print_json(self, measure);
  report r = {0};
  check_all(&r, measure);
  return r.no_cpu ? EXIT_FAILED : 0;
}
