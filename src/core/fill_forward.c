/* Names bind within a family: y is the same in every pass, dy is its gradient. From that follow the shapes of one pass
 * from another's, and what a backward pass takes from the forward pass. */
#include <stdio.h>

#include "core/verify.h"

/* The row of the family's first pass; -1 when `op` is that pass itself or there is none. */
static int first_of(int op) {
  char name[96];
  const char *own = lamina_op_at(op)->name, *slash = strchr(own, '/');
  if (!slash) return -1;
  snprintf(name, sizeof name, "%.*s/forward", (int)(slash - own), own);
  const int first = lamina_op_find(name);
  return first == op ? -1 : first;
}

static int gradient(const lamina_op_def *op, const char *of) {
  char name[64];
  snprintf(name, sizeof name, "d%s", of);
  return lamina_op_arg(op, name);
}

/* The shape alone: dense, no promised alignment. */
static lamina_desc shape_of(const lamina_desc *desc) {
  return lamina_dense((lamina_dtype)desc->dtype, desc->rank, desc->dims);
}

static bool has_shape(const lamina_problem *problem, int arg) {
  return arg >= 0 && problem->arg[arg].rank >= 0 && problem->arg[arg].dtype;
}

bool lamina_first_pass(const lamina_problem *problem, lamina_problem *first) {
  const lamina_op_def *op = lamina_op_at(problem->op);
  const int id = first_of(problem->op);
  const lamina_op_def *row = lamina_op_at(id);
  if (!row || row->attr_size != op->attr_size) return false;
  memset(first, 0, sizeof *first);
  first->op = id;
  memcpy(first->attr, problem->attr, sizeof first->attr);
  for (int i = 0; row->args[i].name; i++) {
    const int same = lamina_op_arg(op, row->args[i].name), grad = gradient(op, row->args[i].name);
    if (has_shape(problem, same))
      first->arg[i] = shape_of(&problem->arg[same]);
    else if (has_shape(problem, grad))
      first->arg[i] = shape_of(&problem->arg[grad]);
    else if (lamina_is_output(&row->args[i]) && (!row->args[i].optional || same >= 0))
      first->arg[i] = lamina_infer(LAMINA_NONE);
    else if (!row->args[i].optional)
      return false;
  }
  return lamina_problem_infer(first) == LAMINA_OK;
}

bool lamina_later_pass(const lamina_problem *first, int op, lamina_problem *later) {
  const lamina_op_def *row = lamina_op_at(op), *from = lamina_op_at(first->op);
  memset(later, 0, sizeof *later);
  later->op = op;
  memcpy(later->attr, first->attr, sizeof later->attr);
  for (int i = 0; row->args[i].name; i++) {
    const char *name = row->args[i].name;
    int source = lamina_op_arg(from, name);
    if (source < 0 && name[0] == 'd') source = lamina_op_arg(from, name + 1);
    if (has_shape(first, source))
      later->arg[i] = shape_of(&first->arg[source]);
    else if (!row->args[i].optional)
      return false;
  }
  return true;
}

/* ---- What a backward pass takes from the forward pass ------------------------------------------------------------- */

/* Does an input of `problem` come out of the pass `first`? */
static bool takes_results(const lamina_case *c, const lamina_problem *first) {
  const lamina_op_def *op = lamina_op_at(c->problem.op), *row = lamina_op_at(first->op);
  for (int i = 0; row->args[i].name; i++) {
    const int arg = lamina_op_arg(op, row->args[i].name);
    if (row->args[i].role != LAMINA_IN && has_shape(&c->problem, arg) && lamina_is_input(&op->args[arg]) &&
        !c->file[arg])
      return true;
  }
  return false;
}

void lamina_copy_values(const lamina_desc *from, const void *data, const lamina_desc *to, void *out) {
  const int64_t count = lamina_desc_count(from);
  lamina_walk here = lamina_walk_from(from, 0), there = lamina_walk_from(to, 0);
  for (int64_t i = 0; i < count; i++, lamina_walk_on(&here), lamina_walk_on(&there))
    lamina_store((lamina_dtype)to->dtype, out, there.offset, lamina_load((lamina_dtype)from->dtype, data, here.offset));
}

/* Which input of the case is argument `i` of the first pass; -1: none. */
static int input_of(const lamina_case *c, const lamina_problem *first, int i) {
  const lamina_op_def *op = lamina_op_at(c->problem.op);
  const int arg = lamina_op_arg(op, lamina_op_at(first->op)->args[i].name);
  return has_shape(&c->problem, arg) && lamina_is_input(&op->args[arg]) ? arg : -1;
}

/* Runs the first pass with the inputs that both have, and others filled, and keeps what the case takes from it. */
static lamina_status fill_from_first(const lamina_case *c, lamina_problem *first, const lamina_tensor *const *tensor,
                                     int threads, const lamina_allocator *allocator) {
  const lamina_op_def *row = lamina_op_at(first->op);
  lamina_fill_def fill[LAMINA_MAX_ARGS] = {{0}};
  lamina_args args = {{NULL}};
  lamina_status status = LAMINA_OK;
  if (row->fills && !row->fills(first, c->exact, fill)) return LAMINA_OK; /* no exact ones: the case's own fills stay */
  for (int i = 0; row->args[i].name && !status; i++) {
    const lamina_desc *desc = &first->arg[i];
    if (!has_shape(first, i)) continue;
    args.p[i] = lamina_alloc(allocator, (size_t)lamina_desc_bytes(desc));
    if (!args.p[i]) status = LAMINA_OUT_OF_MEMORY;
    if (status || !lamina_is_input(&row->args[i])) continue;
    const int arg = input_of(c, first, i);
    if (arg >= 0)
      lamina_copy_values(&tensor[arg]->desc, tensor[arg]->data, desc, args.p[i]);
    else
      lamina_fill_values(desc, args.p[i], &fill[i], c->seed, LAMINA_MAX_ARGS + (uint32_t)i, threads);
  }
  if (!status) status = lamina_reference_run(first, &args, NULL, threads, allocator);
  for (int i = 0; row->args[i].name; i++) {
    const int arg = input_of(c, first, i);
    if (!status && args.p[i] && row->args[i].role != LAMINA_IN && arg >= 0 && !c->file[arg])
      lamina_copy_values(&first->arg[i], args.p[i], &tensor[arg]->desc, tensor[arg]->data);
    lamina_free(allocator, args.p[i]);
  }
  return status;
}

lamina_status lamina_fill_inputs(const lamina_case *c, const lamina_tensor *const *tensor, int threads,
                                 const lamina_allocator *allocator) {
  const lamina_op_def *op = lamina_op_at(c->problem.op);
  lamina_fill_def fill[LAMINA_MAX_ARGS] = {{0}};
  lamina_problem first;
  const bool can = op->fills ? op->fills(&c->problem, c->exact, fill) : !c->exact;
  if (!can && c->exact)
    return lamina_error(LAMINA_UNSUPPORTED, "%s: this problem has no exact inputs; use fill=normal", op->name);
  for (int i = 0; op->args[i].name; i++)
    if (tensor[i] && lamina_is_input(&op->args[i]) && !c->file[i])
      lamina_fill_values(&tensor[i]->desc, tensor[i]->data, &fill[i], c->seed, (uint32_t)i, threads);
  if (lamina_first_pass(&c->problem, &first) && takes_results(c, &first))
    return fill_from_first(c, &first, tensor, threads, allocator);
  return LAMINA_OK;
}

bool lamina_case_can_be_exact(const lamina_case *c) {
  const lamina_op_def *op = c ? lamina_op_at(c->problem.op) : NULL;
  lamina_fill_def fill[LAMINA_MAX_ARGS] = {{0}};
  return op && op->fills && op->fills(&c->problem, true, fill);
}
