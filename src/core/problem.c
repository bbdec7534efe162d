/* A problem's life: init takes what the user gave, infer makes it whole, checks it and brings it to its normal form. */
#include "core/problem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/blocks.h"

lamina_status lamina_problem_error(const lamina_problem *problem, int arg, const char *format, ...) {
  const lamina_op_def *op = lamina_op_at(problem->op);
  char text[512], shape[256];
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  return lamina_error(LAMINA_INVALID, "%s: %s is %s; %s", op->name, op->args[arg].name,
                      lamina_desc_text(&problem->arg[arg], shape, sizeof shape), text);
}

lamina_status lamina_want_rank(const lamina_problem *problem, int arg, int rank, int most) {
  const int have = problem->arg[arg].rank;
  if (have >= rank && have <= most) return LAMINA_OK;
  if (rank == most) return lamina_problem_error(problem, arg, "expected %d axes", rank);
  return lamina_problem_error(problem, arg, "expected %d to %d axes", rank, most);
}

lamina_status lamina_want_dims(const lamina_problem *problem, int arg, int rank, const int64_t *dims) {
  const lamina_desc *desc = &problem->arg[arg];
  if (!lamina_present(desc)) return LAMINA_OK;
  bool same = desc->rank == rank;
  for (int i = 0; i < rank && same; i++) same = desc->dims[i] == dims[i];
  if (same) return LAMINA_OK;
  char shape[256];
  const lamina_desc want = lamina_dense((lamina_dtype)desc->dtype, rank, dims);
  return lamina_problem_error(problem, arg, "expected %s", lamina_desc_text(&want, shape, sizeof shape));
}

lamina_status lamina_want_dtype(const lamina_problem *problem, int arg, lamina_dtype dtype) {
  const lamina_desc *desc = &problem->arg[arg];
  if (!lamina_present(desc) || desc->dtype == (int32_t)dtype) return LAMINA_OK;
  return lamina_problem_error(problem, arg, "expected %s", lamina_dtype_name(dtype));
}

lamina_status lamina_set_output(lamina_problem *problem, int arg, lamina_dtype dtype, int rank, const int64_t *dims) {
  lamina_desc *desc = &problem->arg[arg];
  if (desc->rank != LAMINA_RANK_INFER) return lamina_want_dims(problem, arg, rank, dims);
  const int32_t align = desc->align;
  *desc = lamina_blocked(desc->dtype ? (lamina_dtype)desc->dtype : dtype, rank, dims, desc->layout);
  desc->align = align;
  return LAMINA_OK;
}

void lamina_broadcast_dims(const lamina_desc *large, const lamina_desc *small, int64_t dims[LAMINA_MAX_RANK]) {
  const bool channels = small->rank == 1 && large->rank > 1;
  for (int d = 0; d < large->rank; d++) dims[d] = !channels ? small->dims[d] : d == 1 ? small->dims[0] : 1;
}

lamina_status lamina_want_broadcast(const lamina_problem *problem, int large, int small) {
  const lamina_desc *a = &problem->arg[large], *b = &problem->arg[small];
  const bool channels = b->rank == 1 && a->rank > 1;
  bool fits = b->rank == a->rank || channels;
  int64_t dims[LAMINA_MAX_RANK];
  char shape[256];
  if (!lamina_present(b)) return LAMINA_OK;
  if (fits) lamina_broadcast_dims(a, b, dims);
  for (int d = 0; d < a->rank && fits; d++) fits = dims[d] == a->dims[d] || dims[d] == 1;
  if (fits) return LAMINA_OK;
  const lamina_desc want = lamina_dense((lamina_dtype)b->dtype, a->rank, a->dims);
  return lamina_problem_error(problem, small, "expected %s, or 1 in place of any size, or one number for each channel",
                              lamina_desc_text(&want, shape, sizeof shape));
}

lamina_status lamina_want_layouts(const lamina_problem *problem) {
  const lamina_op_def *op = lamina_op_at(problem->op);
  for (int i = 0; op->args[i].name; i++)
    if (lamina_present(&problem->arg[i]) && problem->arg[i].layout == LAMINA_LAYOUT_ANY)
      return lamina_problem_error(problem, i, "its layout is LAMINA_LAYOUT_ANY, which only a plan can choose");
  return LAMINA_OK;
}

lamina_status lamina_want_shape(const lamina_problem *problem, int arg) {
  const lamina_op_def *op = lamina_op_at(problem->op);
  if (problem->arg[arg].rank != LAMINA_RANK_INFER) return LAMINA_OK;
  return lamina_error(LAMINA_INVALID, "%s: the shape of %s doesn't follow from the others, so it must be given",
                      op->name, op->args[arg].name);
}

void lamina_fill_integers(const lamina_problem *problem, lamina_fill_def *fill, double low, double high) {
  const lamina_op_def *op = lamina_op_at(problem->op);
  for (int i = 0; op->args[i].name; i++)
    if (op->args[i].type == LAMINA_FLOATING)
      fill[i] = (lamina_fill_def){.kind = LAMINA_FILL_INTEGERS, .low = low, .high = high};
}

void lamina_problem_work(const lamina_problem *problem, double *flops, double *bytes) {
  const lamina_op_def *op = problem ? lamina_op_at(problem->op) : NULL;
  double ignored;
  if (!flops) flops = &ignored;
  if (!bytes) bytes = &ignored;
  *flops = op && op->flops ? op->flops(problem) : 0;
  *bytes = 0;
  if (!op) return;
  for (int i = 0; op->args[i].name; i++)
    if (problem->arg[i].dtype != LAMINA_NONE)
      *bytes += (op->args[i].role == LAMINA_INOUT ? 2 : 1) * (double)lamina_desc_count(&problem->arg[i]) *
                (double)lamina_dtype_size((lamina_dtype)problem->arg[i].dtype);
}

lamina_status lamina_problem_init(lamina_problem *problem, int op_id, const void *descriptor,
                                  const lamina_desc *const *arg) {
  LAMINA_NOT_NULL(problem, "problem");
  const lamina_op_def *op = lamina_op_at(op_id);
  memset(problem, 0, sizeof *problem);
  if (!op) return lamina_error(LAMINA_INVALID, "there is no op number %d", op_id);
  LAMINA_NOT_NULL(arg, "arg");
  problem->op = op_id;
  if (descriptor) memcpy(problem->attr, descriptor, op->attr_size);
  for (int i = 0; op->args[i].name; i++) {
    if (!arg[i]) continue;
    const lamina_desc *from = arg[i];
    lamina_desc *to = &problem->arg[i];
    to->dtype = from->dtype, to->rank = from->rank, to->layout = from->layout, to->align = from->align;
    for (int d = 0; d < from->rank && d < LAMINA_MAX_RANK;
         d++) /* axes beyond the rank stay 0: equal problems, equal bytes */
      to->dims[d] = from->dims[d], to->strides[d] = from->strides[d];
  }
  return LAMINA_OK;
}

/* ---- Attributes ------------------------------------------------------------------------------------------------ */

int lamina_attr_numbers(lamina_attr_type type) {
  return type == LAMINA_ATTR_LIST ? LAMINA_MAX_RANK : type == LAMINA_ATTR_PADS ? 6 : type == LAMINA_ATTR_AXES ? 3 : 1;
}

static lamina_status range_error(const char *who, const lamina_attr_def *attr, double value) {
  if (attr->type == LAMINA_ATTR_BOOL)
    return lamina_error(LAMINA_INVALID, "%s: %s is %g; expected 0 or 1", who, attr->name, value);
  if (attr->type == LAMINA_ATTR_ENUM) {
    char choices[256] = "";
    for (int c = 0; attr->choices[c]; c++)
      lamina_append(choices, sizeof choices, "%s%s", c ? ", " : "", attr->choices[c]);
    return lamina_error(LAMINA_INVALID, "%s: %s is %g; expected one of %s", who, attr->name, value, choices);
  }
  if (attr->most >= (double)INT64_MAX)
    return lamina_error(LAMINA_INVALID, "%s: %s is %g; expected at least %g", who, attr->name, value, attr->least);
  if (value == 0 && attr->type == LAMINA_ATTR_INT)
    return lamina_error(LAMINA_INVALID, "%s: %s is missing; expected %.10g to %.10g", who, attr->name, attr->least,
                        attr->most);
  return lamina_error(LAMINA_INVALID, "%s: %s is %g; expected %.10g to %.10g", who, attr->name, value, attr->least,
                      attr->most);
}

/* Fills in the preset of a zero field and checks the range. */
static lamina_status check_attr(const char *who, const lamina_attr_def *attr, uint8_t *bytes) {
  double most = attr->most;
  const bool bounded =
      attr->least != 0 || attr->most != 0 || attr->type == LAMINA_ATTR_BOOL || attr->type == LAMINA_ATTR_ENUM;
  int64_t has = 0;
  if (attr->has) memcpy(&has, bytes + attr->has, sizeof has);
  if (attr->type == LAMINA_ATTR_BOOL) most = 1;
  if (attr->type == LAMINA_ATTR_ENUM)
    for (most = -1; attr->choices[(int)most + 1]; most++) {}
  for (int n = 0; n < lamina_attr_numbers(attr->type); n++) {
    uint8_t *at = bytes + attr->offset + (size_t)n * 8;
    double value;
    int64_t integer = 0;
    if (attr->type == LAMINA_ATTR_REAL) {
      memcpy(&value, at, sizeof value);
      if (value == 0 && !has) value = attr->preset;
      memcpy(at, &value, sizeof value);
    } else {
      memcpy(&integer, at, sizeof integer);
      if (integer == 0 && !has) integer = (int64_t)attr->preset;
      memcpy(at, &integer, sizeof integer);
      value = (double)integer;
    }
    if (bounded && !(value >= attr->least && value <= most)) return range_error(who, attr, value);
    if (isnan(value)) return lamina_error(LAMINA_INVALID, "%s: %s is not a number", who, attr->name);
  }
  if (attr->has) { /* the presets are in place now: equal problems, equal bytes */
    has = 1;
    memcpy(bytes + attr->has, &has, sizeof has);
  }
  return LAMINA_OK;
}

lamina_status lamina_attrs_check(const char *who, const lamina_attr_def *attrs, void *descriptor) {
  for (const lamina_attr_def *attr = attrs; attr->name; attr++) LAMINA_TRY(check_attr(who, attr, descriptor));
  return LAMINA_OK;
}

lamina_status lamina_trim_axes(lamina_problem *problem, int axes) {
  const lamina_op_def *op = lamina_op_at(problem->op);
  for (const lamina_attr_def *attr = op->attrs; attr->name; attr++) {
    if (attr->type != LAMINA_ATTR_AXES && attr->type != LAMINA_ATTR_PADS) continue;
    const int each = lamina_attr_numbers(attr->type) / 3;
    for (int n = axes * each; n < 3 * each; n++) {
      uint8_t *at = problem->attr + attr->offset + (size_t)n * 8;
      int64_t value;
      memcpy(&value, at, sizeof value);
      if (value != 0 && value != (int64_t)attr->preset)
        return lamina_error(LAMINA_INVALID, "%s: %s is given for %d axes, but there are %d spatial axes", op->name,
                            attr->name, n / each + 1, axes);
      memset(at, 0, sizeof value);
    }
  }
  return LAMINA_OK;
}

lamina_status lamina_axis_set(const lamina_problem *problem, int64_t set, int rank, int64_t *normal) {
  *normal = 0;
  for (int bit = 0; bit < 64; bit++) {
    const int axis = bit < LAMINA_MAX_RANK ? bit : bit - 16 + rank; /* bits 8 … 15 count from the back */
    if (!((uint64_t)set >> bit & 1)) continue;
    if (bit >= 16 || axis < 0 || axis >= rank)
      return lamina_error(LAMINA_INVALID, "%s: axes names axis %d; expected %d to %d", lamina_op_at(problem->op)->name,
                          bit < LAMINA_MAX_RANK ? bit : bit - 16, -rank, rank - 1);
    *normal |= INT64_C(1) << axis;
  }
  return LAMINA_OK;
}

/* ---- Arguments ------------------------------------------------------------------------------------------------- */

/* Blocks of axes that are there, which they divide. */
static lamina_status check_blocks(const lamina_problem *problem, int i) {
  const lamina_desc *desc = &problem->arg[i];
  int64_t size;
  if (lamina_layout_fits(desc)) return LAMINA_OK;
  for (int n = 0, axis; lamina_block_at(desc->layout, n, &axis, &size); n++) {
    if (size == 1)
      return lamina_problem_error(problem, i, "its layout 0x%x has a block of one element", (unsigned)desc->layout);
    if (axis >= desc->rank)
      return lamina_problem_error(problem, i, "its layout 0x%x has blocks along axis %d; expected axes 0 to %d",
                                  (unsigned)desc->layout, axis, desc->rank - 1);
    const int64_t block = lamina_block_of(desc->layout, axis);
    if (desc->dims[axis] % block != 0)
      return lamina_problem_error(problem, i, "axis %d is no multiple of its blocks of %lld", axis, (long long)block);
  }
  return LAMINA_OK;
}

static lamina_status check_arg(const lamina_problem *problem, int i) {
  const lamina_arg_def *arg = &lamina_op_at(problem->op)->args[i];
  const lamina_desc *desc = &problem->arg[i];
  const char *op = lamina_op_at(problem->op)->name;
  if (!lamina_present(desc))
    return arg->optional ? LAMINA_OK : lamina_error(LAMINA_INVALID, "%s: %s is missing", op, arg->name);
  if (desc->rank < LAMINA_RANK_INFER || desc->rank > LAMINA_MAX_RANK)
    return lamina_error(LAMINA_INVALID, "%s: %s has %d axes; expected 0 to %d", op, arg->name, desc->rank,
                        LAMINA_MAX_RANK);
  const lamina_dtype dtype = (lamina_dtype)desc->dtype;
  if (desc->dtype < 0 || (desc->dtype && !lamina_dtype_size(dtype)))
    return lamina_error(LAMINA_INVALID, "%s: %s has the unknown element type %d", op, arg->name, desc->dtype);
  if (desc->dtype && arg->type != LAMINA_ANY && lamina_dtype_is_floating(dtype) != (arg->type == LAMINA_FLOATING))
    return lamina_problem_error(problem, i, "expected %s",
                                arg->type == LAMINA_FLOATING ? "f64, f32, f16 or bf16" : "i64, i32 or u8");
  if (desc->align < 0 || desc->align & (desc->align - 1))
    return lamina_problem_error(problem, i, "its alignment of %d bytes is no power of two", desc->align);
  if (desc->layout < LAMINA_LAYOUT_ANY)
    return lamina_problem_error(problem, i, "its layout is %d; expected 0, LAMINA_BLOCKs or LAMINA_LAYOUT_ANY",
                                desc->layout);
  if (desc->rank == LAMINA_RANK_INFER)
    return arg->role == LAMINA_IN ? lamina_problem_error(problem, i, "an input needs a shape") : LAMINA_OK;
  for (int d = 0; d < desc->rank; d++)
    if (desc->dims[d] < 0) return lamina_problem_error(problem, i, "no axis may be negative");
  LAMINA_TRY(check_blocks(problem, i));
  if (lamina_desc_count(desc) < 0 || lamina_desc_bytes(desc) < 0)
    return lamina_problem_error(problem, i, "its size overflows");
  return LAMINA_OK;
}

static int64_t blocks_along(const lamina_desc *desc, int axis) {
  return desc->dims[axis] / lamina_block_of(desc->layout, axis);
}

/* Two elements of an output must not share an address: sorted by stride, each axis must step over the ones within. */
static bool overlaps_itself(const lamina_desc *desc) {
  int64_t span = lamina_block_elements(desc->layout), blocks[LAMINA_MAX_RANK]; /* span: what the axes so far reach */
  bool used[LAMINA_MAX_RANK] = {false};
  if (lamina_desc_count(desc) == 0 || desc->layout < 0) return false;
  for (int d = 0; d < desc->rank; d++) blocks[d] = blocks_along(desc, d);
  for (int n = 0; n < desc->rank; n++) {
    int best = -1;
    for (int d = 0; d < desc->rank; d++)
      if (!used[d] && blocks[d] > 1 && (best < 0 || llabs(desc->strides[d]) < llabs(desc->strides[best]))) best = d;
    if (best < 0) return false;
    used[best] = true;
    if (llabs(desc->strides[best]) < span) return true;
    span += (blocks[best] - 1) * llabs(desc->strides[best]);
  }
  return false;
}

static lamina_status normalise_arg(lamina_problem *problem, int i) {
  const lamina_arg_def *arg = &lamina_op_at(problem->op)->args[i];
  lamina_desc *desc = &problem->arg[i];
  if (!lamina_present(desc)) {
    *desc = (lamina_desc){0};
    return LAMINA_OK;
  }
  if (desc->rank == LAMINA_RANK_INFER)
    return lamina_error(LAMINA_INTERNAL, "%s: the shape of %s was not inferred", lamina_op_at(problem->op)->name,
                        arg->name);
  LAMINA_TRY(check_arg(problem, i)); /* again: inferred shapes may overflow */
  const int element = (int)lamina_dtype_size((lamina_dtype)desc->dtype);
  desc->align = desc->align < element ? element : desc->align > 64 ? 64 : desc->align;
  if (lamina_desc_count(desc) == 0) { /* nothing is there: strides mean nothing */
    const int32_t align = desc->align;
    *desc = lamina_dense((lamina_dtype)desc->dtype, desc->rank, desc->dims);
    desc->align = align;
    return LAMINA_OK;
  }
  if (desc->layout == LAMINA_LAYOUT_ANY) memset(desc->strides, 0, sizeof desc->strides);
  for (int d = desc->rank - 1; d >= 0 && desc->layout >= 0;
       d--)                         /* what an axis of one block steps over means nothing */
    if (blocks_along(desc, d) == 1) /* as if it were dense */
      desc->strides[d] =
          d == desc->rank - 1 ? lamina_block_elements(desc->layout) : desc->strides[d + 1] * blocks_along(desc, d + 1);
  if (lamina_is_output(arg) && overlaps_itself(desc))
    return lamina_problem_error(problem, i, "elements of an output may not overlap");
  return LAMINA_OK;
}

static lamina_status check_alias(const lamina_problem *problem, int i) {
  const lamina_op_def *op = lamina_op_at(problem->op);
  if (!(problem->aliased >> i & 1)) return LAMINA_OK;
  const int with = op->args[i].alias ? lamina_op_arg(op, op->args[i].alias) : -1;
  if (with < 0)
    return lamina_error(LAMINA_INVALID, "%s: %s may not share memory with another argument", op->name,
                        op->args[i].name);
  const lamina_desc *a = &problem->arg[i], *b = &problem->arg[with];
  if (a->dtype != b->dtype || a->rank != b->rank || a->layout != b->layout ||
      memcmp(a->dims, b->dims, sizeof a->dims) != 0 || memcmp(a->strides, b->strides, sizeof a->strides) != 0)
    return lamina_error(LAMINA_INVALID,
                        "%s: %s may share its memory with %s only where both have the same shape, type, strides and "
                        "layout",
                        op->name, op->args[i].name, op->args[with].name);
  return LAMINA_OK;
}

static lamina_status check_options(const lamina_problem *problem) {
  const lamina_op_def *op = lamina_op_at(problem->op);
  if (problem->math < LAMINA_MATH_DEFAULT || problem->math > LAMINA_MATH_F16)
    return lamina_error(LAMINA_INVALID, "%s: math is %d; expected a lamina_math", op->name, problem->math);
  if (problem->flags & ~LAMINA_DETERMINISTIC)
    return lamina_error(LAMINA_INVALID, "%s: flags is 0x%x; expected LAMINA_DETERMINISTIC or 0", op->name,
                        problem->flags);
  if (problem->aliased >> lamina_op_arg_count(op))
    return lamina_error(LAMINA_INVALID, "%s: aliased is 0x%x, but there are %d arguments", op->name, problem->aliased,
                        lamina_op_arg_count(op));
  return LAMINA_OK;
}

lamina_status lamina_problem_infer(lamina_problem *problem) {
  LAMINA_NOT_NULL(problem, "problem");
  const lamina_op_def *op = lamina_op_at(problem->op);
  if (!op) return lamina_error(LAMINA_INVALID, "there is no op number %d", problem->op);
  LAMINA_TRY(check_options(problem));
  memset(problem->attr + op->attr_size, 0, LAMINA_ATTR_BYTES - op->attr_size);
  LAMINA_TRY(lamina_attrs_check(op->name, op->attrs, problem->attr));
  const int count = lamina_op_arg_count(op);
  for (int i = 0; i < count; i++) LAMINA_TRY(check_arg(problem, i));
  LAMINA_TRY(op->infer(problem));
  for (int i = 0; i < count; i++) LAMINA_TRY(normalise_arg(problem, i));
  for (int i = 0; i < count; i++) LAMINA_TRY(check_alias(problem, i));
  return LAMINA_OK;
}
