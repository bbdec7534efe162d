/* Writing a case as words; grammar.c reads them. */
#include <stdio.h>

#include "core/text.h"
#include "core/verify.h"

/* The type that dtype= names: that of the first argument that is floating by its row. */
static lamina_dtype common_type(const lamina_problem *problem) {
  const lamina_op_def *op = lamina_op_at(problem->op);
  for (int i = 0; op->args[i].name; i++)
    if (op->args[i].type == LAMINA_FLOATING && problem->arg[i].dtype) return (lamina_dtype)problem->arg[i].dtype;
  return LAMINA_F32;
}

static void put_shape(lamina_text *text, const lamina_desc *desc, int64_t offset, lamina_dtype preset) {
  char layout[256];
  if (desc->rank < 0 || desc->rank > LAMINA_MAX_RANK) { /* not inferred yet */
    lamina_text_put(text, "?");
    return;
  }
  if (desc->rank == 0) lamina_text_put(text, "0d");
  for (int d = 0; d < desc->rank; d++) lamina_text_print(text, "%s%lld", d ? "x" : "", (long long)desc->dims[d]);
  lamina_layout_text(desc, layout, sizeof layout);
  lamina_text_put(text, layout);
  if (offset) lamina_text_print(text, "+%lld", (long long)offset);
  if (desc->dtype != (int32_t)preset) lamina_text_print(text, ":%s", lamina_dtype_name((lamina_dtype)desc->dtype));
}

static int64_t int_at(const lamina_problem *problem, size_t offset) {
  int64_t value;
  memcpy(&value, problem->attr + offset, sizeof value);
  return value;
}

/* Zero is the preset where nothing says that zero is meant. */
static bool is_preset(const lamina_problem *problem, const lamina_attr_def *attr, double value) {
  return !(value != attr->preset) || (!(value != 0) && !(attr->has && int_at(problem, attr->has)));
}

static void put_axes(lamina_text *text, const lamina_problem *problem, const lamina_attr_def *attr) {
  const bool pads = attr->type == LAMINA_ATTR_PADS;
  const int axes = lamina_spatial_axes(problem);
  bool preset = true;
  for (int n = 0; n < axes * (1 + pads); n++)
    preset &= is_preset(problem, attr, (double)int_at(problem, attr->offset + 8 * (size_t)n));
  if (preset) return;
  lamina_text_print(text, " %s=", attr->name);
  for (int a = 0; a < axes; a++) {
    const size_t at = attr->offset + (pads ? 16 : 8) * (size_t)a;
    lamina_text_print(text, "%s%lld", a ? "," : "", (long long)int_at(problem, at));
    if (pads && int_at(problem, at + 8) != int_at(problem, at))
      lamina_text_print(text, ":%lld", (long long)int_at(problem, at + 8));
  }
}

/* The numbers of every axis of the first argument, and at least to the last one that isn't 0. */
static void put_list(lamina_text *text, const lamina_problem *problem, const lamina_attr_def *attr) {
  int count = LAMINA_MAX_RANK;
  while (count > 0 && !int_at(problem, attr->offset + 8 * (size_t)(count - 1))) count--;
  if (!count) return;
  if (count < problem->arg[0].rank) count = problem->arg[0].rank;
  lamina_text_print(text, " %s=", attr->name);
  for (int n = 0; n < count; n++)
    lamina_text_print(text, "%s%lld", n ? "," : "", (long long)int_at(problem, attr->offset + 8 * (size_t)n));
}

static bool is_choice(const lamina_attr_def *attr, int64_t value) {
  int64_t count = 0;
  while (attr->choices[count]) count++;
  return value >= 0 && value < count;
}

static void put_attr(lamina_text *text, const lamina_problem *problem, const lamina_attr_def *attr) {
  if (attr->type == LAMINA_ATTR_AXES || attr->type == LAMINA_ATTR_PADS) {
    put_axes(text, problem, attr);
    return;
  }
  if (attr->type == LAMINA_ATTR_LIST) {
    put_list(text, problem, attr);
    return;
  }
  const int64_t integer = int_at(problem, attr->offset);
  double value = (double)integer;
  if (attr->type == LAMINA_ATTR_REAL) memcpy(&value, problem->attr + attr->offset, sizeof value);
  if (is_preset(problem, attr, value)) return;
  lamina_text_print(text, " %s=", attr->name);
  if (attr->type == LAMINA_ATTR_REAL)
    lamina_text_real(text, value);
  else if (attr->type == LAMINA_ATTR_ENUM && is_choice(attr, integer))
    lamina_text_put(text, attr->choices[integer]);
  else if (attr->type == LAMINA_ATTR_SET)
    lamina_text_axes(text, integer, ",");
  else
    lamina_text_print(text, "%lld", (long long)integer);
}

static void put_args(lamina_text *text, const lamina_case *c) {
  const lamina_op_def *op = lamina_op_at(c->problem.op);
  const lamina_dtype common = common_type(&c->problem);
  for (int i = 0; op->args[i].name; i++) {
    const int alias = lamina_alias_of(&c->problem, i);
    if (!lamina_present(&c->problem.arg[i])) continue;
    lamina_text_print(text, " %s=", op->args[i].name);
    if (alias >= 0)
      lamina_text_print(text, "@%s", op->args[alias].name);
    else if (c->file[i])
      lamina_text_put(text, c->file[i]);
    else
      put_shape(text, &c->problem.arg[i], c->offset[i], op->args[i].type == LAMINA_INTEGER ? LAMINA_I64 : common);
  }
}

const char *lamina_case_text(const lamina_case *c, char *buffer, size_t size) {
  static const char *const maths[] = {"default", "strict", "tf32", "bf16", "f16"};
  const lamina_op_def *op = c ? lamina_op_at(c->problem.op) : NULL;
  lamina_text text = {0};
  if (!buffer || !size) return buffer;
  buffer[0] = 0;
  if (!op) return buffer;
  lamina_text_put(&text, op->name);
  put_args(&text, c);
  for (const lamina_attr_def *attr = op->attrs; attr->name; attr++) put_attr(&text, &c->problem, attr);
  if (common_type(&c->problem) != LAMINA_F32)
    lamina_text_print(&text, " dtype=%s", lamina_dtype_name(common_type(&c->problem)));
  if (c->problem.math > 0 && (size_t)c->problem.math < LAMINA_COUNT_OF(maths))
    lamina_text_print(&text, " math=%s", maths[c->problem.math]);
  if (c->problem.flags & LAMINA_DETERMINISTIC) lamina_text_put(&text, " deterministic=1");
  if (c->exact) lamina_text_put(&text, " fill=exact");
  if (c->seed) lamina_text_print(&text, " seed=%llu", (unsigned long long)c->seed);
  if (!text.failed) snprintf(buffer, size, "%s", text.data);
  lamina_text_free(&text);
  return buffer;
}

const char *lamina_problem_text(const lamina_problem *problem, char *buffer, size_t size) {
  lamina_case c = {0};
  if (problem) c.problem = *problem;
  return lamina_case_text(problem ? &c : NULL, buffer, size);
}
