/* lamina info: ops, engines and numerics of this build; with a recipe or checkpoint, that network. */
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "info_net.h"

static const char *class_name(const lamina_arg_def *arg) {
  return arg->type == LAMINA_FLOATING ? "floating" : arg->type == LAMINA_INTEGER ? "integer" : "any";
}

static void print_op(const lamina_op_def *op) {
  static const char *const roles[] = {"in", "out", "inout", "saved"};
  printf("%s\n", op->name);
  for (const lamina_arg_def *arg = op->args; arg->name; arg++)
    printf("  %-10s %-5s %s%s%s%s\n", arg->name, roles[arg->role], class_name(arg), arg->optional ? ", optional" : "",
           arg->alias ? ", may share memory with " : "", arg->alias ? arg->alias : "");
  for (const lamina_attr_def *attr = op->attrs; attr->name; attr++) {
    printf("  %-10s ", attr->name);
    if (attr->type == LAMINA_ATTR_ENUM)
      for (int c = 0; attr->choices[c]; c++) printf("%s%s", c ? " | " : "", attr->choices[c]);
    else
      printf("%s", attr->type == LAMINA_ATTR_REAL   ? "number"
                   : attr->type == LAMINA_ATTR_BOOL ? "0 | 1"
                   : attr->type == LAMINA_ATTR_AXES ? "whole number for each spatial axis"
                   : attr->type == LAMINA_ATTR_PADS ? "before:after for each spatial axis"
                   : attr->type == LAMINA_ATTR_LIST ? "whole number for each axis"
                   : attr->type == LAMINA_ATTR_SET  ? "axes"
                                                    : "whole number");
    if (attr->type == LAMINA_ATTR_ENUM)
      printf(", preset %s\n", attr->choices[(int)attr->preset]);
    else
      printf(", preset %g\n", attr->preset);
  }
}

/* A line an op, with the engines that the device has for it. */
static void print_engines(lamina_device *device) {
  for (int id = 0; lamina_op_at(id); id++) {
    const char *op = lamina_op_at(id)->name;
    printf("%-32s", op);
    for (int i = 0; lamina_engine_at(device, i); i++) {
      const lamina_engine *engine = lamina_engine_at(device, i);
      if (strcmp(engine->op, "*") == 0 || strcmp(engine->op, op) == 0) printf(" %s", engine->name);
    }
    printf("\n");
  }
}

static void print_build(lamina_device *device, bool engines) {
  printf("lamina %s\n%s: %s\n", LAMINA_VERSION, lamina_device_name(device), lamina_device_about(device));
  if (strncmp(lamina_device_name(device), "cuda:", 5) == 0)
    printf(
        "numbers: sums in f32; convolution and fully connected layers may round factors of f32 to TF32 (math=tf32),\n"
        "         unless math=strict says otherwise; all other products are in f32;\n");
  else
    printf("numbers: products and sums in f32 for f32 and bf16 tensors (math=strict), f64 tensors in f64 by the "
           "reference;\n");
  printf("         results are rounded once, to nearest even, when they are stored\n");
  if (engines)
    print_engines(device);
  else
    printf("lamina info --engines lists the ops and what runs them\n");
}

/* An op, or every op of a family; returns how many there were. */
static int print_ops(const char *word) {
  const size_t length = strlen(word);
  int count = 0;
  for (int id = 0; lamina_op_at(id); id++) {
    const lamina_op_def *op = lamina_op_at(id);
    const bool family = strncmp(op->name, word, length) == 0 && op->name[length] == '/';
    if (!family && strcmp(op->name, word) != 0) continue;
    if (count++) printf("\n");
    print_op(op);
  }
  return count;
}

/* "conv/foward" is rather an op than a file that isn't there. */
static int check_word(const cli_command *self, const char *word) {
  const char *names[256] = {NULL};
  if (!strchr(word, '/') || access(word, F_OK) == 0) return 0;
  for (int id = 0; lamina_op_at(id) && id < 255; id++) names[id] = lamina_op_at(id)->name;
  const char *near = cli_nearest(word, names);
  if (!near) return 0;
  fprintf(stderr, "lamina %s: there is no file or op \"%s\"; did you mean %s?\n", self->name, word, near);
  return EXIT_FAILED;
}

int run_info(const cli_command *self, int argc, char **argv) {
  bool engines = false, json = false;
  long long batch = 0;
  cli_place place = {0};
  lamina_device *device = NULL;
  const cli_option options[] = {
      {.name = "engines", .help = "which engine runs each op", .flag = &engines},
      {.name = "batch",
       .value = "N",
       .help = "a network's memory and engines for this batch; 1",
       .number = &batch,
       .least = 1,
       .most = INT32_MAX},
      CLI_PLACE_OPTIONS(place),
      {.name = "json", .help = "one JSON object about a network, for machines", .flag = &json},
      {0}};
  int error = cli_options(self, options, &argc, argv);
  if (error) return error < 0 ? 0 : error;
  if (argc > 1) return cli_usage(self, "\"%s\" is one word too many", argv[2]);
  if (argc == 1 && print_ops(argv[1])) return 0;
  if (argc == 1 && (error = check_word(self, argv[1]))) return error;
  if (argc == 1) return info_net(self, argv[1], &place, batch ? batch : 1, engines, json);
  if (json) return cli_usage(self, "--json needs a network");
  if ((error = cli_device(self, &place, &device))) return error;
  print_build(device, engines);
  lamina_device_close(device);
  return 0;
}
