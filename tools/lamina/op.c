/* lamina op: one op on NPY files or on generated numbers, by the engine that would run it in a network. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { MOST_WRITES = LAMINA_MAX_ARGS };

typedef struct op_options {
  const char *engine;
  cli_place place;
  bool explain;
  const char *write[MOST_WRITES]; /* NAME=FILE.npy */
  int writes;
} op_options;

static bool is_output(const lamina_arg_def *arg) { return arg->role != LAMINA_IN; }

static void print_tensor(const char *name, const lamina_tensor *tensor, const char *file) {
  char shape[192];
  const lamina_dtype dtype = (lamina_dtype)tensor->desc.dtype;
  const int64_t count = lamina_desc_count(&tensor->desc);
  double least = (double)INFINITY, most = -(double)INFINITY, sum = 0;
  int64_t bad = 0;
  printf("%-8s %-24s", name, lamina_desc_text(&tensor->desc, shape, sizeof shape));
  for (int64_t i = 0; i < count; i++) {
    const double value = lamina_load(dtype, tensor->data, lamina_desc_offset(&tensor->desc, i));
    bad += !isfinite(value);
    if (!isfinite(value)) continue;
    least = fmin(least, value), most = fmax(most, value);
    sum += value;
  }
  if (count > bad) printf("  min %.6g  max %.6g  mean %.6g", least, most, sum / (double)(count - bad));
  if (bad) printf("  %lld NaN or infinite", (long long)bad);
  if (!count) printf("  empty");
  if (file) printf("  written to %s", file);
  printf("\n");
}

/* The file that argument `arg` goes to: its own, when it is only an output, or that of --write. */
static const char *file_of(const lamina_case *c, const op_options *o, const lamina_op_def *op, int arg) {
  const size_t length = strlen(op->args[arg].name);
  for (int i = 0; i < o->writes; i++)
    if (strncmp(o->write[i], op->args[arg].name, length) == 0 && o->write[i][length] == '=')
      return o->write[i] + length + 1;
  return op->args[arg].role == LAMINA_INOUT ? NULL : c->file[arg];
}

static lamina_status write_outputs(const lamina_case *c, const op_options *o, const lamina_data *data) {
  const lamina_op_def *op = lamina_op_at(c->problem.op);
  for (int i = 0; op->args[i].name; i++) {
    const lamina_tensor *tensor = lamina_data_tensor(data, i);
    if (!tensor || !is_output(&op->args[i])) continue;
    const char *file = file_of(c, o, op, i);
    const lamina_status status = file ? lamina_npy_write(file, tensor, NULL) : LAMINA_OK;
    if (status) return status;
    print_tensor(op->args[i].name, tensor, file);
  }
  return LAMINA_OK;
}

static lamina_status run_plan(lamina_device *device, const lamina_plan *plan, lamina_data *data) {
  const size_t size = lamina_plan_workspace(plan);
  void *workspace = NULL;
  lamina_status status = lamina_memory_alloc(device, size, &workspace);
  if (!status) status = lamina_plan_run(plan, lamina_data_args(data), workspace, NULL);
  if (!status) status = lamina_data_fetch(data);
  lamina_memory_free(device, workspace, size);
  return status;
}

static lamina_status run_case(lamina_device *device, const lamina_case *c, const op_options *o) {
  const lamina_plan_options options = {.engine = o->engine};
  lamina_plan *plan = NULL;
  lamina_data *data = NULL;
  lamina_status status = lamina_plan_open(device, &c->problem, &options, &plan);
  if (!status) status = lamina_data_open(device, c, &data);
  if (!status) status = run_plan(device, plan, data);
  if (!status) status = write_outputs(c, o, data);
  if (!status && o->explain) printf("%s", lamina_plan_explain(plan));
  if (!status && !o->explain)
    printf("%-8s %s%s%s\n", "engine", lamina_plan_engine(plan), *lamina_plan_variant(plan) ? "/" : "",
           lamina_plan_variant(plan));
  lamina_data_close(data);
  lamina_plan_close(plan);
  return status;
}

static void add_write(void *user, const char *value) {
  op_options *o = user;
  if (o->writes < MOST_WRITES) o->write[o->writes++] = value;
}

/* Each --write names an output of the op. */
static int check_writes(const cli_command *self, const op_options *o, const lamina_op_def *op) {
  for (int i = 0; i < o->writes; i++) {
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(o->write[i], "="), o->write[i]);
    const int arg = lamina_op_arg(op, name);
    if (!strchr(o->write[i], '=')) return cli_usage(self, "--write is \"%s\"; expected NAME=FILE.npy", o->write[i]);
    if (arg < 0 || !is_output(&op->args[arg]))
      return cli_usage(self, "--write %s: %s has no output \"%s\"", o->write[i], op->name, name);
  }
  return 0;
}

int run_op(const cli_command *self, int argc, char **argv) {
  op_options o = {0};
  lamina_case c;
  lamina_device *device = NULL;
  const cli_option options[] = {
      {.name = "engine", .value = "E", .help = "ref, loop, onednn or ENGINE/VARIANT; the fastest", .text = &o.engine},
      {.name = "explain", .help = "every candidate, its estimate, and why others refused", .flag = &o.explain},
      {.name = "write",
       .value = "NAME=FILE",
       .help = "writes an output, also of what is in and out",
       .each = add_write,
       .user = &o},
      CLI_PLACE_OPTIONS(o.place),
      {0}};
  int error = cli_options(self, options, &argc, argv);
  if (error) return error < 0 ? 0 : error;
  if (argc < 1) return cli_usage(self, "it needs an OP; lamina info --engines lists them");
  lamina_status status = lamina_case_parse(argc, (const char *const *)(argv + 1), NULL, &c);
  if (status) return cli_failed(self, status);
  if ((error = check_writes(self, &o, lamina_op_at(c.problem.op)))) return error;
  if ((error = cli_device(self, &o.place, &device))) return error;
  status = run_case(device, &c, &o);
  lamina_device_close(device);
  return status ? cli_failed(self, status) : 0;
}
