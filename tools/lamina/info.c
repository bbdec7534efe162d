/* lamina info: ops, engines and numerics of this build; with a recipe or checkpoint, that network. */
#include <string.h>

#include "cli.h"

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

int run_info(const cli_command *self, int argc, char **argv) {
  bool engines = false;
  const char *name = NULL;
  lamina_device *device = NULL;
  const cli_option options[] = {{.name = "engines", .help = "the engines of every op", .flag = &engines},
                                {.name = "device", .value = "D", .help = "of this device; cpu", .text = &name},
                                {0}};
  int error = cli_options(self, options, &argc, argv);
  if (error) return error < 0 ? 0 : error;
  if (argc > 1) return cli_usage(self, "\"%s\" is one word too many", argv[2]);
  if (argc == 1 && lamina_op_find(argv[1]) >= 0) {
    print_op(lamina_op_at(lamina_op_find(argv[1])));
    return 0;
  }
  if ((error = cli_device(self, name, NULL, &device))) return error;
  printf("lamina %s\n%s: %s\n", LAMINA_VERSION, lamina_device_name(device), lamina_device_about(device));
  if (engines) print_engines(device);
  lamina_device_close(device);
  return 0;
}
