/* Concat, split, slice and transpose on the CPU: elements move between views of the arguments. Any type, any strides. */
#include "cpu/move.h"
#include "lamina/concat.h"
#include "lamina/slice.h"
#include "lamina/transpose.h"

static void copy(const lamina_desc *x, const void *from, const lamina_desc *y, void *to) {
  lamina_cpu_move(lamina_dtype_size((lamina_dtype)y->dtype), y->rank, y->dims, from, x->strides, to, y->strides);
}

/* ---- Concat and split ------------------------------------------------------------------------------------------- */

/* Between the whole (argument `whole`) and its parts (`first` on): each part is a view of the whole. */
static lamina_status join(const lamina_plan *plan, const lamina_args *args, int whole, int first, int64_t axis,
                          const int64_t *sizes) {
  static const uint64_t zero = 0;
  const lamina_desc *arg = plan->problem.arg, *all = &arg[whole];
  const bool in = whole == LAMINA_PARTS; /* parts first: they go into the whole */
  int64_t before = 0;
  for (int k = 0; k < LAMINA_PARTS; before += sizes[k++]) {
    const lamina_desc *part = &arg[first + k];
    lamina_desc view = *all;
    view.dims[axis] = sizes[k];
    const int64_t at = before * all->strides[axis];
    if (!in && part->dtype)
      copy(&view, lamina_element_at(all, args->p[whole], at), part, args->p[first + k]);
    else if (in && part->dtype)
      copy(part, args->p[first + k], &view, lamina_element_to(all, args->p[whole], at));
    else if (in)
      lamina_cpu_set(lamina_dtype_size((lamina_dtype)all->dtype), view.rank, view.dims, &zero,
                     lamina_element_to(all, args->p[whole], at), view.strides);
  }
  return LAMINA_OK;
}

static lamina_status concat(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  const lamina_concat *c = lamina_attr(&plan->problem);
  const bool forward = strcmp(plan->op->name, "concat/forward") == 0;
  (void)workspace, (void)stream;
  return join(plan, args, forward ? LAMINA_PARTS : 0, forward ? 0 : 1, c->axis, c->sizes);
}

static lamina_status split(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  const lamina_split *s = lamina_attr(&plan->problem);
  const bool forward = strcmp(plan->op->name, "split/forward") == 0;
  (void)workspace, (void)stream;
  return join(plan, args, forward ? 0 : LAMINA_PARTS, forward ? 1 : 0, s->axis, s->sizes);
}

/* ---- Slice ------------------------------------------------------------------------------------------------------ */

/* The slice of `whole` as a view: its strides, and how far its first element is from that of the whole. */
static int64_t view_of(const lamina_problem *p, const lamina_desc *whole, lamina_desc *view) {
  const lamina_slice *s = lamina_attr(p);
  int64_t offset = 0;
  *view = *whole;
  for (int d = 0; d < whole->rank; d++) {
    const int64_t first = s->start[d] + (s->start[d] < 0 ? whole->dims[d] : 0);
    offset += first * whole->strides[d];
    view->strides[d] = whole->strides[d] * s->step[d];
  }
  return offset;
}

static lamina_status slice_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                   lamina_stream *stream) {
  enum { X, Y };
  const lamina_desc *x = &plan->problem.arg[X], *y = &plan->problem.arg[Y];
  lamina_desc view;
  (void)workspace, (void)stream;
  const int64_t offset = view_of(&plan->problem, x, &view);
  copy(&view, lamina_element_at(x, args->p[X], offset), y, args->p[Y]);
  return LAMINA_OK;
}

/* dx is cleared as a whole where elements between those of the slice must be, too. */
static lamina_status slice_backward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                    lamina_stream *stream) {
  enum { DY, DX };
  const lamina_desc *dy = &plan->problem.arg[DY], *dx = &plan->problem.arg[DX];
  const lamina_slice *s = lamina_attr(&plan->problem);
  static const uint64_t zero = 0;
  lamina_desc view;
  bool gaps = false;
  (void)workspace, (void)stream;
  const int64_t offset = view_of(&plan->problem, dx, &view);
  for (int d = 0; d < dx->rank; d++) gaps |= s->step[d] != 1;
  memcpy(view.dims, dy->dims, sizeof view.dims);
  if (gaps)
    lamina_cpu_set(lamina_dtype_size((lamina_dtype)dx->dtype), dx->rank, dx->dims, &zero, args->p[DX], dx->strides);
  else
    lamina_cpu_set_around(dx, dy->dims, s->start, &zero, args->p[DX]);
  copy(dy, args->p[DY], &view, lamina_element_to(dx, args->p[DX], offset));
  return LAMINA_OK;
}

/* ---- Transpose -------------------------------------------------------------------------------------------------- */

/* The axes of y (or of dy) are those of x (or of dx) in another order: each is seen in the order of the other one. */
static lamina_status transpose(const lamina_plan *plan, const lamina_args *args, void *workspace,
                               lamina_stream *stream) {
  const lamina_desc *from = &plan->problem.arg[0], *to = &plan->problem.arg[1];
  const int64_t *perm = ((const lamina_transpose *)lamina_attr(&plan->problem))->perm;
  const bool forward = strcmp(plan->op->name, "transpose/forward") == 0;
  lamina_desc view = *from;
  (void)workspace, (void)stream;
  for (int d = 0; d < to->rank; d++)
    if (forward)
      view.strides[d] = from->strides[perm[d]];
    else
      view.strides[perm[d]] = from->strides[d];
  copy(&view, args->p[0], to, args->p[1]);
  return LAMINA_OK;
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

#define ENGINE(op, run_) LAMINA_LOOP_ENGINE(op, LAMINA_STRIDES_ANY), .candidates = lamina_move_candidates, .run = (run_)
const lamina_engine lamina_cpu_loop_concat_forward = {ENGINE("concat/forward", concat)};
const lamina_engine lamina_cpu_loop_concat_backward = {ENGINE("concat/backward", concat)};
const lamina_engine lamina_cpu_loop_split_forward = {ENGINE("split/forward", split)};
const lamina_engine lamina_cpu_loop_split_backward = {ENGINE("split/backward", split)};
const lamina_engine lamina_cpu_loop_slice_forward = {ENGINE("slice/forward", slice_forward)};
const lamina_engine lamina_cpu_loop_slice_backward = {ENGINE("slice/backward", slice_backward)};
const lamina_engine lamina_cpu_loop_transpose_forward = {ENGINE("transpose/forward", transpose)};
const lamina_engine lamina_cpu_loop_transpose_backward = {ENGINE("transpose/backward", transpose)};
