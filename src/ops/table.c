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
  if (!name) return -1;
  for (int id = 0;; id++) {
    const lamina_op_def *op = lamina_op_at(id);
    if (!op) return -1;
    if (strcmp(op->name, name) == 0) return id;
  }
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
