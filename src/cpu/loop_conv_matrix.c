/* A convolution as a sparse matrix: row after row, the taps that lie on the input. */
#include "cpu/loop_conv.h"

enum { W, VALUES, COLUMNS, ROWS };

/* Of one position along an axis: its taps [lo, hi), the input's place under tap 0. */
typedef struct reach {
  int64_t lo, hi, first;
} reach;

static reach reach_of(const lamina_loop_conv *s, int a, int64_t o) {
  reach r = {.first = o * s->stride[a] - s->pad[a]};
  lamina_loop_inside(r.first, s->dilation[a], s->w[a], s->x[a], &r.lo, &r.hi);
  return r;
}

static lamina_loop_conv sizes_of(const lamina_problem *p) {
  const lamina_conv_matrix_desc *attr = lamina_attr(p);
  const lamina_desc *w = &p->arg[W];
  const int axes = w->rank - 2;
  lamina_loop_conv s = {.C = w->dims[1], .K = w->dims[0], .groups = attr->conv.groups, .flip = attr->conv.flip};
  for (int a = 0; a < 3; a++) s.x[a] = s.w[a] = s.y[a] = s.stride[a] = s.dilation[a] = 1;
  for (int a = 0; a < axes; a++) {
    const int to = 3 - axes + a;
    s.x[to] = attr->size[a], s.w[to] = w->dims[2 + a];
    s.stride[to] = attr->conv.stride[a], s.dilation[to] = attr->conv.dilation[a], s.pad[to] = attr->conv.pad[a][0];
    s.y[to] =
        (attr->size[a] + s.pad[to] + attr->conv.pad[a][1] - s.dilation[to] * (s.w[to] - 1) - 1) / s.stride[to] + 1;
  }
  s.x_area = s.x[0] * s.x[1] * s.x[2], s.w_area = s.w[0] * s.w[1] * s.w[2], s.y_area = s.y[0] * s.y[1] * s.y[2];
  return s;
}

static void put_index(const lamina_plan *plan, const lamina_args *args, int arg, int64_t i, int64_t value) {
  if (plan->problem.arg[arg].dtype == LAMINA_I64)
    ((int64_t *)args->p[arg])[i] = value;
  else
    ((int32_t *)args->p[arg])[i] = (int32_t)value;
}

/* The row of filter k at one position: its entries from number `n` on; returns the next number. */
static int64_t put_row(const lamina_plan *plan, const lamina_args *args, const lamina_loop_conv *s, int64_t k,
                       const reach at[3], int64_t n) {
  const size_t size = lamina_dtype_size((lamina_dtype)plan->problem.arg[W].dtype);
  const int64_t first = k / (s->K / s->groups) * s->C;
  for (int64_t c = 0; c < s->C; c++)
    for (int64_t i = at[0].lo; i < at[0].hi; i++)
      for (int64_t j = at[1].lo; j < at[1].hi; j++)
        for (int64_t l = at[2].lo; l < at[2].hi; l++, n++) {
          const int64_t tap = (i * s->w[1] + j) * s->w[2] + l, d = at[0].first + i * s->dilation[0],
                        h = at[1].first + j * s->dilation[1], v = at[2].first + l * s->dilation[2];
          const int64_t weight = (k * s->C + c) * s->w_area + (s->flip ? s->w_area - 1 - tap : tap);
          memcpy((char *)args->p[VALUES] + (size_t)n * size, (const char *)args->p[W] + (size_t)weight * size, size);
          put_index(plan, args, COLUMNS, n, (((first + c) * s->x[0] + d) * s->x[1] + h) * s->x[2] + v);
        }
  return n;
}

static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  const lamina_loop_conv s = sizes_of(&plan->problem);
  const int64_t each = s.K ? lamina_desc_count(&plan->problem.arg[VALUES]) / s.K : 0; /* entries of a filter */
  (void)workspace, (void)stream;
#pragma omp parallel for schedule(static) if (s.K * each >= LAMINA_LOOP_PARALLEL)
  for (int64_t k = 0; k < s.K; k++) {
    int64_t n = k * each, row = k * s.y_area;
    for (int64_t i = 0; i < s.y[0]; i++)
      for (int64_t j = 0; j < s.y[1]; j++)
        for (int64_t l = 0; l < s.y[2]; l++) {
          const reach at[3] = {reach_of(&s, 0, i), reach_of(&s, 1, j), reach_of(&s, 2, l)};
          put_index(plan, args, ROWS, row++, n);
          n = put_row(plan, args, &s, k, at, n);
        }
  }
  put_index(plan, args, ROWS, s.K * s.y_area, s.K * each);
  return LAMINA_OK;
}

static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  (void)device, (void)engine;
  if (problem->arg[W].dtype != problem->arg[VALUES].dtype) {
    each(context, NULL, 0, "it takes w and values of one type");
    return;
  }
  each(context, "", (double)lamina_desc_count(&problem->arg[VALUES]) * 3e-9 + 1e-6, "");
}

const lamina_engine lamina_cpu_loop_conv_matrix = {
    LAMINA_LOOP_ENGINE("conv/matrix", LAMINA_STRIDES_DENSE),
    .candidates = candidates,
    .run = run,
};
