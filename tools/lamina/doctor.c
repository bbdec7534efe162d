/* lamina doctor: what this machine offers, what is missing, and why; each finding is a sentence. */
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"

typedef struct report {
  bool json;
  int findings, problems;
} report;

static void say(report *r, bool good, const char *what, const char *sentence) {
  if (r->json) {
    printf("%s\n  {\"check\": ", r->findings ? "," : "");
    cli_json_text(stdout, what);
    printf(", \"ok\": %s, \"says\": ", good ? "true" : "false");
    cli_json_text(stdout, sentence);
    printf("}");
  } else {
    printf("%-4s %-8s %s\n", good ? "ok" : "--", what, sentence);
  }
  r->findings++;
  r->problems += !good;
}

static void check_cpu(report *r) {
  lamina_device *cpu = NULL;
  if (lamina_device_open("cpu", NULL, &cpu)) {
    say(r, false, "cpu", lamina_last_error());
    return;
  }
  say(r, true, "cpu", lamina_device_about(cpu));
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

int run_doctor(const cli_command *self, int argc, char **argv) {
  report r = {0};
  const cli_option options[] = {{.name = "json", .help = "for machines", .flag = &r.json}, {0}};
  const int error = cli_options(self, options, &argc, argv);
  if (error) return error < 0 ? 0 : error;
  if (argc) return cli_usage(self, "\"%s\" is one word too many", argv[1]);
  if (r.json) printf("[");
  check_cpu(&r);
  check_cuda(&r);
  check_data(&r);
  if (r.json) printf("\n]\n");
  return 0;
}
