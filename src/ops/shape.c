/* Checks and test data of the ops that move elements. */
#include "ops/shape.h"

lamina_status lamina_want_alike(const lamina_problem *p, int arg) {
  const lamina_op_def *op = lamina_op_at(p->op);
  const lamina_dtype dtype = (lamina_dtype)p->arg[arg].dtype;
  for (int i = 0; op->args[i].name; i++)
    if (p->arg[i].dtype && p->arg[i].dtype != (int32_t)dtype)
      return lamina_problem_error(p, i, "expected %s, as %s is", lamina_dtype_name(dtype), op->args[arg].name);
  return LAMINA_OK;
}

lamina_status lamina_want_axis(const lamina_problem *p, int arg, int64_t *axis) {
  const int rank = p->arg[arg].rank;
  if (rank == 0) return lamina_problem_error(p, arg, "expected at least 1 axis");
  if (*axis < -rank || *axis >= rank)
    return lamina_problem_error(p, arg, "axis is %lld; expected %d to %d", (long long)*axis, -rank, rank - 1);
  if (*axis < 0) *axis += rank;
  return LAMINA_OK;
}

lamina_status lamina_want_list(const lamina_problem *p, int arg, const char *name, const int64_t *list) {
  const int rank = p->arg[arg].rank;
  for (int d = LAMINA_MAX_RANK - 1; d >= rank; d--)
    if (list[d]) return lamina_problem_error(p, arg, "%s is given for %d axes; expected at most %d", name, d + 1, rank);
  return LAMINA_OK;
}

bool lamina_shape_fills(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  const lamina_op_def *op = lamina_op_at(p->op);
  for (int i = 0; op->args[i].name; i++) {
    const bool integers = p->arg[i].dtype && !lamina_dtype_is_floating((lamina_dtype)p->arg[i].dtype);
    if (exact || integers) fill[i] = (lamina_fill_def){.kind = LAMINA_FILL_INTEGERS, .low = 0, .high = 100};
  }
  return true;
}

void lamina_draw_dims(lamina_draw *draw, int rank, int64_t *dims) {
  static const int64_t most[] = {0, 17, 17, 7, 5, 3, 3, 2, 2};
  for (int d = 0; d < rank; d++) {
    dims[d] = LAMINA_PICK(draw, "size", 1, 2, 3, 5, 7, 17);
    if (dims[d] > most[rank]) dims[d] = most[rank];
  }
  if (rank > 0 && LAMINA_PICK(draw, "long", 0, 0, 0, 0, 0, 1)) { /* reaches the paths that run in parallel */
    for (int d = 0; d < rank; d++) dims[d] = 2;
    dims[0] = 3, dims[rank - 1] = 40009 / lamina_product(dims, 0, rank - 1);
  }
  if (rank > 0 && LAMINA_PICK(draw, "empty", 0, 0, 0, 0, 0, 0, 0, 1)) dims[rank - 1] = 0;
}

lamina_dtype lamina_draw_any(lamina_draw *draw) {
  const int64_t type = LAMINA_PICK(draw, "integers", 0, 0, 0, 0, 0, 0, LAMINA_I64, LAMINA_I32, LAMINA_U8);
  return type ? (lamina_dtype)type : (lamina_dtype)lamina_draw_shape(draw, 0, NULL).dtype;
}
