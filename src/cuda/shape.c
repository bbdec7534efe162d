/* Engines of concat, split, slice, transpose and padding: elements move between views of the arguments. */
#include "cuda/cuda.h"
#include "kernels/move.h"
#include "kernels/pad.h"
#include "lamina/concat.h"
#include "lamina/pad.h"
#include "lamina/slice.h"
#include "lamina/transpose.h"

/* ---- Moves ------------------------------------------------------------------------------------------------------ */

/* From element from_at of one argument to element to_at of another one. */
typedef struct step {
  kernel_move move;
  int from, to;
  int64_t from_at, to_at;
} step;

typedef struct steps {
  int count;
  step step[LAMINA_PARTS];
} steps;

/* Adds a move of `dims`; x and y are the arguments as they are seen. */
static void add_step(steps *s, int from, const lamina_desc *x, int64_t from_at, int to, const lamina_desc *y,
                     int64_t to_at, const int64_t *dims) {
  s->step[s->count++] = (step){
      .move = kernel_move_plan((int)cuda_size_of(x->dtype), x->rank, dims, x->strides, y->strides),
      .from = from,
      .to = to,
      .from_at = from_at,
      .to_at = to_at,
  };
}

static const void *element_at(const lamina_desc *desc, const void *x, int64_t i) {
  return (const char *)x + i * (int64_t)cuda_size_of(desc->dtype);
}

static void *element_to(const lamina_desc *desc, void *y, int64_t i) {
  return (char *)y + i * (int64_t)cuda_size_of(desc->dtype);
}

static lamina_status run_steps(const lamina_plan *plan, const lamina_args *args, void *workspace,
                               lamina_stream *stream) {
  const steps *s = plan->state;
  const lamina_desc *arg = plan->problem.arg;
  int error = 0;
  (void)workspace;
  for (int k = 0; k < s->count && !error; k++) {
    const step *at = &s->step[k];
    error = kernel_move_run(&at->move, element_at(&arg[at->from], args->p[at->from], at->from_at),
                            element_to(&arg[at->to], args->p[at->to], at->to_at), cuda_stream_of(stream));
  }
  return cuda_launched(plan, error);
}

/* ---- Concat and split ------------------------------------------------------------------------------------------- */

/* Between the whole (argument `whole`) and its parts (`first` on): each part is a view of the whole. */
static lamina_status prepare_join(lamina_plan *plan, int whole, int first, int64_t axis, const int64_t *sizes) {
  const lamina_desc *arg = plan->problem.arg, *all = &arg[whole];
  steps *s = cuda_state(plan, sizeof *s);
  int64_t before = 0;
  if (!s) return LAMINA_OUT_OF_MEMORY;
  for (int k = 0; k < LAMINA_PARTS; before += sizes[k++]) {
    const lamina_desc *part = &arg[first + k];
    const int64_t at = before * all->strides[axis];
    if (!cuda_present(part) || cuda_count(part) == 0) continue;
    if (whole < first)
      add_step(s, whole, all, at, first + k, part, 0, part->dims);
    else
      add_step(s, first + k, part, 0, whole, all, at, part->dims);
  }
  return LAMINA_OK;
}

static lamina_status prepare_concat_forward(lamina_plan *plan) {
  const lamina_concat *c = cuda_attr(&plan->problem);
  return prepare_join(plan, LAMINA_PARTS, 0, c->axis, c->sizes);
}

static lamina_status prepare_concat_backward(lamina_plan *plan) {
  const lamina_concat *c = cuda_attr(&plan->problem);
  return prepare_join(plan, 0, 1, c->axis, c->sizes);
}

static lamina_status prepare_split_forward(lamina_plan *plan) {
  const lamina_split *s = cuda_attr(&plan->problem);
  return prepare_join(plan, 0, 1, s->axis, s->sizes);
}

static lamina_status prepare_split_backward(lamina_plan *plan) {
  const lamina_split *s = cuda_attr(&plan->problem);
  return prepare_join(plan, LAMINA_PARTS, 0, s->axis, s->sizes);
}

/* Where parts are left out there are zeros. */
static lamina_status run_split_backward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                        lamina_stream *stream) {
  const lamina_desc *dx = &plan->problem.arg[LAMINA_PARTS];
  int64_t gaps = cuda_count(dx);
  for (const lamina_desc *part = plan->problem.arg; part < dx; part++)
    if (cuda_present(part)) gaps -= cuda_count(part);
  if (gaps) {
    const size_t bytes = (size_t)cuda_count(dx) * cuda_size_of(dx->dtype);
    const cudaError_t error = cudaMemsetAsync(args->p[LAMINA_PARTS], 0, bytes, cuda_stream_of(stream));
    if (error) return cuda_launched(plan, (int)error);
  }
  return run_steps(plan, args, workspace, stream);
}

/* ---- Slice ------------------------------------------------------------------------------------------------------ */

/* Where the slice starts along axis d. */
static int64_t start_of(const lamina_slice *s, const lamina_desc *whole, int d) {
  return s->start[d] + (s->start[d] < 0 ? whole->dims[d] : 0);
}

static lamina_status prepare_slice_forward(lamina_plan *plan) {
  enum { X, Y };
  const lamina_slice *slice = cuda_attr(&plan->problem);
  const lamina_desc *x = &plan->problem.arg[X], *y = &plan->problem.arg[Y];
  lamina_desc view = *x;
  int64_t at = 0;
  steps *s = cuda_state(plan, sizeof *s);
  if (!s) return LAMINA_OUT_OF_MEMORY;
  for (int d = 0; d < x->rank; d++) {
    at += start_of(slice, x, d) * x->strides[d];
    view.strides[d] = x->strides[d] * slice->step[d];
  }
  add_step(s, X, &view, at, Y, y, 0, y->dims);
  return LAMINA_OK;
}

/* dx in one pass: an element of dy, or 0 between them. Axes that run backwards are turned around. */
static lamina_status run_slice_backward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                        lamina_stream *stream) {
  enum { DY, DX };
  const lamina_slice *slice = cuda_attr(&plan->problem);
  const lamina_desc *dy = &plan->problem.arg[DY], *dx = &plan->problem.arg[DX];
  kernel_pad p = {.mode = KERNEL_PAD_CONSTANT, .size = (int)cuda_size_of(dx->dtype), .rank = dx->rank};
  int64_t at = 0;
  (void)workspace;
  for (int d = 0; d < dx->rank; d++) {
    const int64_t start = start_of(slice, dx, d), step = slice->step[d], last = dy->dims[d] - 1;
    p.outer[d] = dx->dims[d], p.inner[d] = dy->dims[d];
    p.before[d] = step < 0 ? start + last * step : start;
    p.step[d] = step < 0 ? -step : step;
    p.from[d] = step < 0 ? -dy->strides[d] : dy->strides[d];
    p.to[d] = dx->strides[d];
    if (step < 0) at += last * dy->strides[d];
  }
  return cuda_launched(plan,
                       kernel_pad_forward(&p, element_at(dy, args->p[DY], at), args->p[DX], cuda_stream_of(stream)));
}

/* ---- Transpose -------------------------------------------------------------------------------------------------- */

/* The axes of y (or of dy) are those of x (or of dx) in another order: each is seen in the order of the other one. */
static lamina_status prepare_transpose(lamina_plan *plan, bool forward) {
  const lamina_desc *from = &plan->problem.arg[0], *to = &plan->problem.arg[1];
  const int64_t *perm = ((const lamina_transpose *)cuda_attr(&plan->problem))->perm;
  lamina_desc view = *from;
  steps *s = cuda_state(plan, sizeof *s);
  if (!s) return LAMINA_OUT_OF_MEMORY;
  for (int d = 0; d < to->rank; d++)
    if (forward)
      view.strides[d] = from->strides[perm[d]];
    else
      view.strides[perm[d]] = from->strides[d];
  add_step(s, 0, &view, 0, 1, to, 0, to->dims);
  return LAMINA_OK;
}
static lamina_status prepare_transpose_forward(lamina_plan *plan) { return prepare_transpose(plan, true); }
static lamina_status prepare_transpose_backward(lamina_plan *plan) { return prepare_transpose(plan, false); }

/* ---- Padding ---------------------------------------------------------------------------------------------------- */

/* Between the padded tensor and the one inside it. */
static kernel_pad pad_of(const lamina_problem *problem, const lamina_desc *outer, const lamina_desc *inner) {
  const lamina_pad *pad = cuda_attr(problem);
  kernel_pad p = {.size = (int)cuda_size_of(outer->dtype),
                  .rank = outer->rank,
                  .value = kernel_element_of(cuda_element(outer), pad->value),
                  .mode = pad->mode == LAMINA_PAD_EDGE      ? KERNEL_PAD_EDGE
                          : pad->mode == LAMINA_PAD_REFLECT ? KERNEL_PAD_REFLECT
                                                            : KERNEL_PAD_CONSTANT};
  for (int d = 0; d < outer->rank; d++) {
    p.outer[d] = outer->dims[d], p.inner[d] = inner->dims[d], p.before[d] = pad->before[d], p.step[d] = 1;
    p.from[d] = inner->strides[d], p.to[d] = outer->strides[d];
  }
  return p;
}

static lamina_status run_pad_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                     lamina_stream *stream) {
  enum { X, Y };
  const kernel_pad p = pad_of(&plan->problem, &plan->problem.arg[Y], &plan->problem.arg[X]);
  (void)workspace;
  return cuda_launched(plan, kernel_pad_forward(&p, args->p[X], args->p[Y], cuda_stream_of(stream)));
}

/* Of constant padding only the middle of dy is moved. */
static lamina_status run_pad_backward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                      lamina_stream *stream) {
  enum { DY, DX };
  const lamina_desc *dy = &plan->problem.arg[DY], *dx = &plan->problem.arg[DX];
  const kernel_pad p = pad_of(&plan->problem, dy, dx);
  const cudaStream_t queue = cuda_stream_of(stream);
  int64_t at = 0;
  (void)workspace;
  if (p.mode != KERNEL_PAD_CONSTANT)
    return cuda_launched(plan, kernel_pad_backward(&p, cuda_type(dy), args->p[DY], args->p[DX], queue));
  const kernel_move middle = kernel_move_plan(p.size, p.rank, dx->dims, dy->strides, dx->strides);
  for (int d = 0; d < p.rank; d++) at += p.before[d] * dy->strides[d];
  return cuda_launched(plan, kernel_move_run(&middle, element_at(dy, args->p[DY], at), args->p[DX], queue));
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

static void few_move_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                                lamina_candidate_fn *each, void *context) {
  if (cuda_small(problem, each, context)) cuda_move_candidates(device, problem, engine, each, context);
}

static void few_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                           lamina_candidate_fn *each, void *context) {
  if (cuda_small(problem, each, context)) cuda_candidates(device, problem, engine, each, context);
}

#define ENGINE(op, strides, candidates_, ...)                                                                          \
  CUDA_ENGINE("kernel", op, LAMINA_STRIDES_##strides), .candidates = (candidates_), __VA_ARGS__
#define MOVES(family, pass, run_)                                                                                      \
  ENGINE(#family "/" #pass, ANY, cuda_move_candidates, .prepare = prepare_##family##_##pass, .run = (run_),            \
         .release = cuda_release)
const lamina_engine lamina_cuda_concat_forward = {MOVES(concat, forward, run_steps)};
const lamina_engine lamina_cuda_concat_backward = {MOVES(concat, backward, run_steps)};
const lamina_engine lamina_cuda_split_forward = {MOVES(split, forward, run_steps)};
const lamina_engine lamina_cuda_split_backward = {ENGINE("split/backward", DENSE, cuda_move_candidates,
                                                         .prepare = prepare_split_backward, .run = run_split_backward,
                                                         .release = cuda_release)};
const lamina_engine lamina_cuda_slice_forward = {MOVES(slice, forward, run_steps)};
const lamina_engine lamina_cuda_slice_backward = {
    ENGINE("slice/backward", ANY, few_move_candidates, .run = run_slice_backward)};
const lamina_engine lamina_cuda_transpose_forward = {MOVES(transpose, forward, run_steps)};
const lamina_engine lamina_cuda_transpose_backward = {MOVES(transpose, backward, run_steps)};
const lamina_engine lamina_cuda_pad_forward = {ENGINE("pad/forward", ANY, few_move_candidates, .run = run_pad_forward)};
const lamina_engine lamina_cuda_pad_backward = {ENGINE("pad/backward", DENSE, few_candidates, .run = run_pad_backward)};
