/* Resizing on the CPU. Three axes D, H and W, those that aren't there being of size 1; where each element comes from is
 * looked up in tables that the plan holds. Forward makes a row of y of the (up to four) rows of x that it takes from,
 * mixed as D and H say and then along W. Backward goes the other way, a plane by one thread, so that its sums always
 * come in the same order. */
#include "core/resize.h"
#include "cpu/rows.h"

typedef struct tap {
  int32_t low, high;
  float rest, weight; /* of `low` and of `high`, each rounded by itself: a small one keeps its digits */
} tap;

typedef struct state {
  int64_t planes, in[3], out[3], x_plane, y_plane;
  tap *axis[3];
  size_t size;
} state;

static void release(lamina_plan *plan) {
  if (plan->state) lamina_host_free(plan->device, plan->state, ((state *)plan->state)->size);
}

static lamina_status prepare(lamina_plan *plan, const lamina_desc *x, const lamina_desc *y) {
  const lamina_resize *resize = lamina_attr(&plan->problem);
  const int axes = x->rank - 2;
  state s = {.planes = x->dims[0] * x->dims[1], .in = {1, 1, 1}, .out = {1, 1, 1}};
  for (int a = 0; a < axes; a++) s.in[3 - axes + a] = x->dims[2 + a], s.out[3 - axes + a] = y->dims[2 + a];
  s.x_plane = s.in[0] * s.in[1] * s.in[2], s.y_plane = s.out[0] * s.out[1] * s.out[2];
  s.size = sizeof s + (size_t)(s.out[0] + s.out[1] + s.out[2]) * sizeof(tap);
  state *made = plan->state = lamina_host_alloc(plan->device, s.size);
  if (!made) return LAMINA_OUT_OF_MEMORY;
  *made = s;
  tap *next = (tap *)(made + 1);
  for (int a = 0; a < 3; a++) {
    made->axis[a] = next;
    for (int64_t o = 0; o < s.out[a]; o++, next++) {
      const lamina_tap t = lamina_tap_of(resize, s.in[a], s.out[a], o);
      *next = (tap){(int32_t)t.low, (int32_t)t.low + (t.weight > 0), (float)(1 - t.weight), (float)t.weight};
    }
  }
  return LAMINA_OK;
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

LAMINA_CLONES static void scale_row(int64_t n, float factor, const float *x, float *y) {
  for (int64_t i = 0; i < n; i++) y[i] = factor * x[i];
}
LAMINA_CLONES static void add_row(int64_t n, float factor, const float *x, float *y) {
  for (int64_t i = 0; i < n; i++) y[i] += factor * x[i];
}

/* Where the weight is 0 nothing is taken, be it infinite. */
LAMINA_CLONES static void widen_row(int64_t n, const tap *w, const float *x, float *y) {
  for (int64_t i = 0; i < n; i++)
    y[i] = w[i].high == w[i].low ? x[w[i].low] : w[i].rest * x[w[i].low] + w[i].weight * x[w[i].high];
}
static void narrow_row(int64_t n, const tap *w, const float *dy, float *dx) {
  for (int64_t i = 0; i < n; i++) {
    if (w[i].high == w[i].low) {
      dx[w[i].low] += dy[i];
      continue;
    }
    dx[w[i].low] += w[i].rest * dy[i];
    dx[w[i].high] += w[i].weight * dy[i];
  }
}

/* The rows of x that rows d, h of y take from, with their weights; returns how many. */
static int rows_of(const state *s, int64_t d, int64_t h, int64_t row[4], float weight[4]) {
  const tap td = s->axis[0][d], th = s->axis[1][h];
  int count = 0;
  for (int i = 0; i <= td.high - td.low; i++)
    for (int j = 0; j <= th.high - th.low; j++) {
      row[count] = (td.low + i) * s->in[1] + th.low + j;
      weight[count++] = (i ? td.weight : td.rest) * (j ? th.weight : th.rest);
    }
  return count;
}

/* ---- Passes ----------------------------------------------------------------------------------------------------- */

/* Of each thread: a row of x mixed, one of x converted, one of y. */
static size_t forward_room(const state *s) {
  return lamina_align_up((size_t)(2 * s->in[2] + s->out[2]) * sizeof(float), 64);
}

static lamina_status prepare_forward(lamina_plan *plan) {
  LAMINA_TRY(prepare(plan, &plan->problem.arg[0], &plan->problem.arg[1]));
  plan->workspace = forward_room(plan->state) * (size_t)plan->threads;
  return LAMINA_OK;
}

static lamina_status forward(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  enum { X, Y };
  const lamina_desc *arg = plan->problem.arg;
  const state *s = plan->state;
  const int64_t in = s->in[2], out = s->out[2], rows = s->out[0] * s->out[1];
  (void)stream;
#pragma omp parallel for schedule(static) if (s->planes * s->y_plane >= LAMINA_LOOP_PARALLEL)
  for (int64_t r = 0; r < s->planes * rows; r++) {
    float *mixed = (float *)((char *)workspace + forward_room(s) * (size_t)lamina_loop_thread());
    float *xs = mixed + in, *ys = xs + in, weight[4];
    int64_t from[4];
    const int count = rows_of(s, r % rows / s->out[1], r % rows % s->out[1], from, weight);
    const float *x = NULL;
    for (int i = 0; i < count; i++) {
      x = lamina_row_read(arg[X].dtype, args->p[X], r / rows * s->x_plane + from[i] * in, in, xs);
      if (count > 1) (i ? add_row : scale_row)(in, weight[i], x, mixed);
    }
    float *y = lamina_row_for(arg[Y].dtype, args->p[Y], r * out, ys);
    widen_row(out, s->axis[2], count > 1 ? mixed : x, y);
    lamina_row_write(arg[Y].dtype, args->p[Y], r * out, out, y);
  }
  return LAMINA_OK;
}

/* Of each thread: a plane of dx, a row of dx, one of dy. */
static size_t backward_room(const state *s) {
  return lamina_align_up((size_t)(s->x_plane + s->in[2] + s->out[2]) * sizeof(float), 64);
}

static lamina_status prepare_backward(lamina_plan *plan) {
  LAMINA_TRY(prepare(plan, &plan->problem.arg[1], &plan->problem.arg[0]));
  plan->workspace = backward_room(plan->state) * (size_t)plan->threads;
  return LAMINA_OK;
}

static lamina_status backward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                              lamina_stream *stream) {
  enum { DY, DX };
  const lamina_desc *arg = plan->problem.arg;
  const state *s = plan->state;
  const int64_t in = s->in[2], out = s->out[2], rows = s->out[0] * s->out[1];
  (void)stream;
#pragma omp parallel for schedule(static) if (s->planes * (s->x_plane + s->y_plane) >= LAMINA_LOOP_PARALLEL)
  for (int64_t p = 0; p < s->planes; p++) {
    float *sums = (float *)((char *)workspace + backward_room(s) * (size_t)lamina_loop_thread());
    float *row = sums + s->x_plane, *dys = row + in;
    float *dx = lamina_row_for(arg[DX].dtype, args->p[DX], p * s->x_plane, sums);
    memset(dx, 0, (size_t)s->x_plane * sizeof *dx);
    for (int64_t r = 0; r < rows; r++) {
      float weight[4];
      int64_t to[4];
      const int count = rows_of(s, r / s->out[1], r % s->out[1], to, weight);
      memset(row, 0, (size_t)in * sizeof *row);
      narrow_row(out, s->axis[2], lamina_row_read(arg[DY].dtype, args->p[DY], (p * rows + r) * out, out, dys), row);
      for (int i = 0; i < count; i++) add_row(in, weight[i], row, dx + to[i] * in);
    }
    lamina_row_write(arg[DX].dtype, args->p[DX], p * s->x_plane, s->x_plane, dx);
  }
  return LAMINA_OK;
}

/* ---- The rows of the table -------------------------------------------------------------------------------------- */

#define ENGINE(pass, op_)                                                                                              \
  LAMINA_LOOP_ENGINE(op_, LAMINA_STRIDES_DENSE), .candidates = lamina_row_candidates, .prepare = prepare_##pass,       \
                                                 .run = pass, .release = release
const lamina_engine lamina_cpu_loop_resize_forward = {ENGINE(forward, "resize/forward")};
const lamina_engine lamina_cpu_loop_resize_backward = {ENGINE(backward, "resize/backward")};
