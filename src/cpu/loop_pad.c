/* Padding on the CPU. Forward moves x into the middle of y, and then, axis by axis, planes of y to where they are
 * repeated; what was repeated along one axis is in the planes of the next. Backward adds the planes up, the other way
 * round, in a copy of dy. */
#include "cpu/move.h"
#include "cpu/rows.h"
#include "lamina/pad.h"

/* The part of `outer` that is neither before nor after; returns where it starts, in elements. */
static int64_t middle(const lamina_pad *pad, const lamina_desc *outer, lamina_desc *view) {
  int64_t offset = 0;
  *view = *outer;
  for (int d = 0; d < outer->rank; d++) {
    offset += pad->before[d] * outer->strides[d];
    view->dims[d] = outer->dims[d] - pad->before[d] - pad->after[d];
  }
  return offset;
}

/* ---- Forward ---------------------------------------------------------------------------------------------------- */

/* Repeats planes of y along axis d. `done` is y as far as it is filled, from `at` on. */
static void repeat(const lamina_pad *pad, const lamina_desc *y, void *data, const lamina_desc *done, int64_t at,
                   int d) {
  const size_t size = lamina_dtype_size((lamina_dtype)y->dtype);
  const bool reflect = pad->mode == LAMINA_PAD_REFLECT;
  const int64_t step = y->strides[d], last = done->dims[d] - 1;
  lamina_desc from = *done, to = *done;
  from.strides[d] = reflect ? -step : 0;
  to.strides[d] = step;
  to.dims[d] = pad->before[d]; /* its last plane is next to the first one of x */
  if (pad->before[d])
    lamina_cpu_move(size, y->rank, to.dims, lamina_element_to(y, data, at + (reflect ? pad->before[d] * step : 0)),
                    from.strides, lamina_element_to(y, data, at - pad->before[d] * step), to.strides);
  to.dims[d] = pad->after[d];
  if (pad->after[d])
    lamina_cpu_move(size, y->rank, to.dims, lamina_element_to(y, data, at + (last - reflect) * step), from.strides,
                    lamina_element_to(y, data, at + (last + 1) * step), to.strides);
}

static lamina_status forward(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  enum { X, Y };
  const lamina_desc *x = &plan->problem.arg[X], *y = &plan->problem.arg[Y];
  const lamina_pad *pad = lamina_attr(&plan->problem);
  lamina_desc done;
  uint64_t value = 0;
  (void)workspace, (void)stream;
  int64_t at = middle(pad, y, &done);
  lamina_cpu_move(lamina_dtype_size((lamina_dtype)x->dtype), x->rank, x->dims, args->p[X], x->strides,
                  lamina_element_to(y, args->p[Y], at), y->strides);
  if (pad->mode == LAMINA_PAD_CONSTANT) {
    lamina_store((lamina_dtype)y->dtype, &value, 0, pad->value);
    lamina_cpu_set_around(y, x->dims, pad->before, &value, args->p[Y]);
    return LAMINA_OK;
  }
  for (int d = y->rank - 1; d >= 0; d--) {
    repeat(pad, y, args->p[Y], &done, at, d);
    at -= pad->before[d] * y->strides[d];
    done.dims[d] = y->dims[d];
  }
  return LAMINA_OK;
}

const lamina_engine lamina_cpu_loop_pad_forward = {
    LAMINA_LOOP_ENGINE("pad/forward", LAMINA_STRIDES_ANY),
    .candidates = lamina_move_candidates,
    .run = forward,
};

/* ---- Backward --------------------------------------------------------------------------------------------------- */

LAMINA_CLONES static void add_row(int64_t n, const float *x, int64_t step, float *y) {
  if (step == 1)
    for (int64_t i = 0; i < n; i++) y[i] += x[i];
  else
    for (int64_t i = 0; i < n; i++) y[i * step] += x[i * step];
}

/* Adds the plane at x to the one at y: all axes of `part` but d. */
static void add_plane(const lamina_desc *part, int d, const float *x, float *y) {
  int axes[LAMINA_MAX_RANK], count = 0;
  int64_t rows = 1;
  for (int a = 0; a < part->rank; a++)
    if (a != d) axes[count++] = a;
  const int last = count ? axes[count - 1] : -1;
  const int64_t n = count ? part->dims[last] : 1, step = count ? part->strides[last] : 1;
  for (int a = 0; a < count - 1; a++) rows *= part->dims[axes[a]];
#pragma omp parallel for schedule(static) if (rows > 1 && rows * n >= LAMINA_LOOP_PARALLEL)
  for (int64_t row = 0; row < rows; row++) {
    int64_t offset = 0, index = row;
    for (int a = count - 2; a >= 0; a--) {
      offset += index % part->dims[axes[a]] * part->strides[axes[a]];
      index /= part->dims[axes[a]];
    }
    add_row(n, x + offset, step, y + offset);
  }
}

/* Adds what was repeated along axis d to where it came from. `part` starts at `data` and has its padding along d. */
static void fold(const lamina_pad *pad, const lamina_desc *part, float *data, int d) {
  const bool reflect = pad->mode == LAMINA_PAD_REFLECT;
  const int64_t step = part->strides[d], first = pad->before[d], last = part->dims[d] - 1 - pad->after[d];
  for (int64_t i = 0; i < first; i++)
    add_plane(part, d, data + i * step, data + (reflect ? 2 * first - i : first) * step);
  for (int64_t i = last + 1; i < part->dims[d]; i++)
    add_plane(part, d, data + i * step, data + (reflect ? 2 * last - i : last) * step);
}

static bool only_moves(const lamina_plan *plan) {
  return ((const lamina_pad *)lamina_attr(&plan->problem))->mode == LAMINA_PAD_CONSTANT &&
         plan->problem.arg[0].dtype == plan->problem.arg[1].dtype;
}

static lamina_status prepare_backward(lamina_plan *plan) {
  if (!only_moves(plan)) plan->workspace = (size_t)lamina_desc_count(&plan->problem.arg[0]) * sizeof(float);
  return LAMINA_OK;
}

static lamina_status backward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                              lamina_stream *stream) {
  enum { DY, DX };
  const lamina_desc *dy = &plan->problem.arg[DY], *dx = &plan->problem.arg[DX];
  const lamina_pad *pad = lamina_attr(&plan->problem);
  const int64_t count = lamina_desc_count(dy), n = dx->rank ? dx->dims[dx->rank - 1] : 1;
  float *sums = workspace;
  lamina_desc part;
  (void)stream;
  int64_t at = middle(pad, dy, &part);
  if (only_moves(plan)) {
    lamina_cpu_move(lamina_dtype_size((lamina_dtype)dx->dtype), dx->rank, dx->dims,
                    lamina_element_at(dy, args->p[DY], at), dy->strides, args->p[DX], dx->strides);
    return LAMINA_OK;
  }
#pragma omp parallel for schedule(static) if (count >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < count; i += LAMINA_ROW) {
    const int64_t size = lamina_row_size(count, i);
    const float *row = lamina_row_read(dy->dtype, args->p[DY], i, size, sums + i);
    if (row != sums + i) memcpy(sums + i, row, (size_t)size * sizeof *row);
  }
  part = *dy;
  at = 0;
  for (int d = 0; d < dy->rank; d++) { /* the last to be repeated is the first to be added up */
    if (pad->mode != LAMINA_PAD_CONSTANT) fold(pad, &part, sums + at, d);
    part.dims[d] = dx->dims[d];
    at += pad->before[d] * dy->strides[d];
  }
#pragma omp parallel for schedule(static) if (count >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < lamina_desc_count(dx); i += n) {
    int64_t offset = at, index = i / n;
    for (int d = dx->rank - 2; d >= 0; d--) {
      offset += index % dx->dims[d] * dy->strides[d];
      index /= dx->dims[d];
    }
    lamina_row_write(dx->dtype, args->p[DX], i, n, sums + offset);
  }
  return LAMINA_OK;
}

const lamina_engine lamina_cpu_loop_pad_backward = {
    LAMINA_LOOP_ENGINE("pad/backward", LAMINA_STRIDES_DENSE),
    .candidates = lamina_row_candidates,
    .prepare = prepare_backward,
    .run = backward,
};
