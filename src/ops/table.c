/* Every op family, from a list that is made of what this folder's files define (cmake/rows.cmake). */
#include "core/base.h"

#define ROW(family) extern const lamina_op_def family[];
#include "ops/families.inc"
#undef ROW

static const lamina_op_def *const families[] = {
#define ROW(family) family,
#include "ops/families.inc"
#undef ROW
};

const lamina_op_def *lamina_op_at(int id) {
  if (id < 0) return NULL;
  for (size_t f = 0; f < LAMINA_COUNT_OF(families); f++)
    for (const lamina_op_def *op = families[f]; op->name; op++)
      if (id-- == 0) return op;
  return NULL;
}

int lamina_op_find(const char *name) {
  int id = 0;
  for (size_t f = 0; name && f < LAMINA_COUNT_OF(families); f++)
    for (const lamina_op_def *op = families[f]; op->name; op++, id++)
      if (strcmp(op->name, name) == 0) return id;
  return -1;
}

int lamina_op_arg_count(const lamina_op_def *op) {
  int count = 0;
  while (op && op->args[count].name) count++;
  return count;
}

int lamina_op_arg(const lamina_op_def *op, const char *name) {
  for (int i = 0; op && name && op->args[i].name; i++)
    if (strcmp(op->args[i].name, name) == 0) return i;
  return -1;
}
