/* Gather, embedding and one-hot on the CPU.
 *
 * Forward copies slices. Backward first sorts the indices by what they name (counting sort, stable), then every thread
 * adds up its own slices of dx in the order of the indices: nothing is written twice, and the bits don't depend on the
 * number of threads.
 *   workspace of backward: [ first place of each slice's indices, i64 | places of the indices in order, i64 ] */
#include <math.h>

#include "core/classes.h"
#include "cpu/rows.h"
#include "lamina/gather.h"

/* Of x, or its gradient: sizes of the axes before the picked one, of it, behind it; how many indices there are. */
typedef struct slices {
  int64_t outer, size, inner, count;
  const lamina_desc *indices;
  int64_t padding;
} slices;

static slices slices_of(const lamina_problem *p, int x, int indices) {
  const bool gather = strcmp(lamina_op_at(p->op)->args[x].name + (x == 2), "x") == 0; /* x or dx, not w or dw */
  const int64_t axis = gather ? ((const lamina_gather *)lamina_attr(p))->axis : 0;
  const lamina_desc *desc = &p->arg[x];
  slices s = {1, desc->dims[axis], 1, lamina_desc_count(&p->arg[indices]), &p->arg[indices], INT64_MIN};
  for (int d = 0; d < desc->rank; d++) *(d < axis ? &s.outer : &s.inner) *= d == axis ? 1 : desc->dims[d];
  if (!gather) s.padding = ((const lamina_embedding *)lamina_attr(p))->padding;
  return s;
}

/* Index j; -1 where it names nothing. */
static int64_t index_at(const slices *s, const void *indices, int64_t j) {
  const int64_t at = lamina_integer_at(s->indices, indices, j);
  return at >= 0 && at < s->size ? at : -1;
}

/* ---- Forward ---------------------------------------------------------------------------------------------------- */

/* n elements of x from `from` on to y; from < 0: NaN. */
static void copy_slice(const lamina_desc *x, const void *from_data, int64_t from, const lamina_desc *y, void *to_data,
                       int64_t to, int64_t n) {
  const int64_t size = (int64_t)lamina_dtype_size((lamina_dtype)y->dtype);
  if (from < 0) {
    for (int64_t i = 0; i < n; i++) lamina_store((lamina_dtype)y->dtype, to_data, to + i, (double)NAN);
  } else if (x->dtype == y->dtype) {
    memcpy((char *)to_data + to * size, (const char *)from_data + from * size, (size_t)(n * size));
  } else {
    for (int64_t i = 0; i < n; i += LAMINA_ROW) {
      float buffer[LAMINA_ROW];
      const int64_t row = lamina_row_size(n, i);
      lamina_row_write(y->dtype, to_data, to + i, row, lamina_row_read(x->dtype, from_data, from + i, row, buffer));
    }
  }
}

static lamina_status forward_run(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  (void)workspace, (void)stream;
  const bool gather = plan->op->args[0].type == LAMINA_FLOATING; /* x, indices, y; else indices, w, y */
  const int x = gather ? 0 : 1, y = 2;
  const lamina_desc *arg = plan->problem.arg;
  const slices s = slices_of(&plan->problem, x, 1 - x);
#pragma omp parallel for schedule(static) if (s.outer * s.count * s.inner >= LAMINA_LOOP_PARALLEL)
  for (int64_t r = 0; r < s.outer * s.count; r++) {
    const int64_t at = index_at(&s, args->p[1 - x], r % s.count);
    copy_slice(&arg[x], args->p[x], at < 0 ? -1 : (r / s.count * s.size + at) * s.inner, &arg[y], args->p[y],
               r * s.inner, s.inner);
  }
  return LAMINA_OK;
}

/* ---- Backward --------------------------------------------------------------------------------------------------- */

enum { INDICES, DY, DX };

static size_t starts_size(const slices *s) { return lamina_align_up((size_t)(s->size + 1) * sizeof(int64_t), 64); }

static lamina_status backward_prepare(lamina_plan *plan) {
  const slices s = slices_of(&plan->problem, DX, INDICES);
  plan->workspace = starts_size(&s) + (size_t)s.count * sizeof(int64_t);
  return LAMINA_OK;
}

/* place[start[v]] … place[start[v + 1] - 1]: where v stands among the indices. */
static void sort_indices(const slices *s, const void *indices, int64_t *start, int64_t *place) {
  memset(start, 0, (size_t)(s->size + 1) * sizeof *start);
  for (int64_t j = 0; j < s->count; j++) {
    const int64_t at = index_at(s, indices, j);
    if (at >= 0 && at != s->padding) start[at]++;
  }
  for (int64_t v = 0, before = 0; v <= s->size; v++) {
    before += start[v];
    start[v] = before; /* where v's end: it moves down to where they begin */
  }
  for (int64_t j = s->count - 1; j >= 0; j--) {
    const int64_t at = index_at(s, indices, j);
    if (at >= 0 && at != s->padding) place[--start[at]] = j;
  }
}

LAMINA_CLONES static void add_row(int64_t n, const float *x, float *sum) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; i++) sum[i] += x[i];
}

static lamina_status backward_run(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                  lamina_stream *stream) {
  (void)stream;
  const lamina_desc *dx = &plan->problem.arg[DX], *dy = &plan->problem.arg[DY];
  const slices s = slices_of(&plan->problem, DX, INDICES);
  int64_t *const start = workspace, *const place = (int64_t *)(void *)((char *)workspace + starts_size(&s));
  sort_indices(&s, args->p[INDICES], start, place);
#pragma omp parallel for schedule(static) if (s.outer * (s.count + s.size) * s.inner >= LAMINA_LOOP_PARALLEL)
  for (int64_t r = 0; r < s.outer * s.size; r++) {
    const int64_t v = r % s.size, first = r / s.size * s.count;
    for (int64_t i = 0; i < s.inner; i += LAMINA_ROW) {
      float sums[LAMINA_ROW] = {0}, row[LAMINA_ROW];
      const int64_t n = lamina_row_size(s.inner, i);
      for (int64_t j = start[v]; j < start[v + 1]; j++)
        add_row(n, lamina_row_read(dy->dtype, args->p[DY], (first + place[j]) * s.inner + i, n, row), sums);
      lamina_row_write(dx->dtype, args->p[DX], r * s.inner + i, n, sums);
    }
  }
  return LAMINA_OK;
}

/* ---- One-hot ---------------------------------------------------------------------------------------------------- */

static lamina_status one_hot_run(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  (void)workspace, (void)stream;
  const lamina_desc *labels = &plan->problem.arg[0], *y = &plan->problem.arg[1];
  const lamina_classes s = lamina_classes_of(y);
  memset(args->p[1], 0, (size_t)lamina_desc_count(y) * lamina_dtype_size((lamina_dtype)y->dtype));
  for (int64_t m = 0; m < s.M; m++) {
    const int64_t label = lamina_label_at(labels, args->p[0], m, s.C, INT64_MIN);
    if (label >= 0) lamina_store((lamina_dtype)y->dtype, args->p[1], lamina_classes_at(&s, m) + label * s.S, 1);
  }
  return LAMINA_OK;
}

#define ENGINE(op, ...) LAMINA_LOOP_ENGINE(op, LAMINA_STRIDES_DENSE), .candidates = lamina_row_candidates, __VA_ARGS__
const lamina_engine lamina_cpu_loop_gather_forward = {ENGINE("gather/forward", .run = forward_run)};
const lamina_engine lamina_cpu_loop_gather_backward = {
    ENGINE("gather/backward", .prepare = backward_prepare, .run = backward_run)};
const lamina_engine lamina_cpu_loop_embedding_forward = {ENGINE("embedding/forward", .run = forward_run)};
const lamina_engine lamina_cpu_loop_embedding_backward = {
    ENGINE("embedding/backward", .prepare = backward_prepare, .run = backward_run)};
const lamina_engine lamina_cpu_loop_one_hot = {ENGINE("one_hot/forward", .run = one_hot_run)};
