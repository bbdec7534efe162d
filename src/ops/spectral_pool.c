/* Spectral pooling: rows, shapes, the typed calls and the references, which sum over frequencies as the formula does. */
#include "lamina/spectral_pool.h"

#include <math.h>

#include "core/draw.h"
#include "core/plan.h"
#include "core/problem.h"

enum { X, Y };
enum { DY, DX };
static const lamina_arg_def forward_args[] = {
    {"x", LAMINA_IN, false, LAMINA_FLOATING, NULL}, {"y", LAMINA_OUT, false, LAMINA_FLOATING, NULL}, {0}};
static const lamina_arg_def backward_args[] = {
    {"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL}, {"dx", LAMINA_OUT, false, LAMINA_FLOATING, NULL}, {0}};
LAMINA_CHECK_ARGS(spectral_pool_forward, forward_args);
LAMINA_CHECK_ARGS(spectral_pool_backward, backward_args);

static const lamina_attr_def attrs[] = {
    {.name = "size", .type = LAMINA_ATTR_AXES, .offset = offsetof(lamina_spectral_pool, size), .most = 0x1p31}, {0}};

/* Gives the dims of y for argument x. */
static lamina_status output_dims(lamina_problem *p, int x, int64_t *y) {
  const lamina_spectral_pool *pool = lamina_attr(p);
  LAMINA_TRY(lamina_want_rank(p, x, 3, 5));
  LAMINA_TRY(lamina_trim_axes(p, p->arg[x].rank - 2));
  memcpy(y, p->arg[x].dims, 2 * sizeof *y);
  for (int a = 0; a < p->arg[x].rank - 2; a++) {
    y[2 + a] = pool->size[a];
    if (pool->size[a] < 1)
      return lamina_error(LAMINA_INVALID, "%s: size is missing for spatial axis %d", lamina_op_at(p->op)->name, a);
    if (p->arg[x].dims[2 + a] < pool->size[a])
      return lamina_problem_error(p, x, "expected spatial axis %d to be at least size, which is %lld", a,
                                  (long long)pool->size[a]);
  }
  return LAMINA_OK;
}

static lamina_status infer_forward(lamina_problem *p) {
  int64_t y[LAMINA_MAX_RANK];
  LAMINA_TRY(output_dims(p, X, y));
  return lamina_set_output(p, Y, (lamina_dtype)p->arg[X].dtype, p->arg[X].rank, y);
}

static lamina_status infer_backward(lamina_problem *p) {
  int64_t y[LAMINA_MAX_RANK];
  LAMINA_TRY(lamina_want_shape(p, DX));
  LAMINA_TRY(output_dims(p, DX, y));
  return lamina_want_dims(p, DY, p->arg[DX].rank, y);
}

/* ---- References -------------------------------------------------------------------------------------------------- */

/* One- and two-dimensional problems are three-dimensional ones with axes of size 1 in front. */
typedef struct sizes {
  int64_t x[3], y[3], x_plane, y_plane;
} sizes;

static sizes sizes_of(const lamina_problem *p, int x, int y) {
  sizes s = {{1, 1, 1}, {1, 1, 1}, 1, 1};
  const int axes = p->arg[x].rank - 2;
  for (int a = 0; a < axes; a++) s.x[3 - axes + a] = p->arg[x].dims[2 + a], s.y[3 - axes + a] = p->arg[y].dims[2 + a];
  for (int a = 0; a < 3; a++) s.x_plane *= s.x[a], s.y_plane *= s.y[a];
  return s;
}

/* Scratch: for each axis, what x[h] adds to y[m], a complex number: [m][h][2]. */
static int64_t scratch_of(const sizes *s) { return 2 * (s->x[0] * s->y[0] + s->x[1] * s->y[1] + s->x[2] * s->y[2]); }
static int64_t forward_scratch(const lamina_problem *p) {
  const sizes s = sizes_of(p, X, Y);
  return scratch_of(&s);
}
static int64_t backward_scratch(const lamina_problem *p) {
  const sizes s = sizes_of(p, DX, DY);
  return scratch_of(&s);
}

/* 1/sqrt(m n) * sum over k of exp(2 pi i * k (o/m - h/n)). The fraction of a turn is reduced as an integer. */
static void fill_entry(int64_t n, int64_t m, int64_t o, int64_t h, double entry[2]) {
  const double turn = (double)m * (double)n, scale = 1 / sqrt(turn);
  entry[0] = entry[1] = 0;
  for (int64_t k = -(m / 2); k < (m + 1) / 2; k++) {
    const double angle = 2 * M_PI * (fmod((double)k * (double)(o * n - h * m), turn) / turn);
    entry[0] += scale * cos(angle);
    entry[1] += scale * sin(angle);
  }
}

static lamina_status prepare(const lamina_reference *ref, const sizes *s) {
  double *entry = ref->scratch;
  for (int a = 0; a < 3; a++)
    for (int64_t o = 0; o < s->y[a]; o++)
      for (int64_t h = 0; h < s->x[a]; h++, entry += 2) fill_entry(s->x[a], s->y[a], o, h, entry);
  return LAMINA_OK;
}
static lamina_status prepare_forward(const lamina_reference *ref) {
  const sizes s = sizes_of(ref->problem, X, Y);
  return prepare(ref, &s);
}
static lamina_status prepare_backward(const lamina_reference *ref) {
  const sizes s = sizes_of(ref->problem, DX, DY);
  return prepare(ref, &s);
}

/* Sums the plane at `in`, of the sizes `of`, for element `at` of the other; `step`: from entry to entry of each table
 * along the sum. A product counts with the magnitude of its complex factor: separate sums add up its parts. */
static void sum_plane(const double *in, const int64_t of[3], const double *const table[3], const int64_t step[3],
                      lamina_expected *e) {
  double squares = 0;
  for (int64_t d = 0; d < of[0]; d++)
    for (int64_t h = 0; h < of[1]; h++) {
      const double *a = table[0] + 2 * d * step[0], *b = table[1] + 2 * h * step[1];
      const double re = a[0] * b[0] - a[1] * b[1], im = a[0] * b[1] + a[1] * b[0];
      for (int64_t w = 0; w < of[2]; w++) {
        const double *c = table[2] + 2 * w * step[2], x = *in++;
        e->value += x * (re * c[0] - im * c[1]);
        squares += x * x * (re * re + im * im) * (c[0] * c[0] + c[1] * c[1]);
      }
    }
  e->q = sqrt(squares);
  e->terms = of[0] * of[1] * of[2];
}

/* Splits a flat index of a plane into one index for each axis. */
static void split(int64_t index, const int64_t size[3], int64_t at[3]) {
  for (int a = 2; a >= 0; a--) at[a] = index % size[a], index /= size[a];
}

static void forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const sizes s = sizes_of(ref->problem, X, arg);
  const double *table[3], *of = ref->scratch;
  int64_t o[3];
  split(index % s.y_plane, s.y, o);
  for (int a = 0; a < 3; of += 2 * s.x[a] * s.y[a], a++) table[a] = of + 2 * o[a] * s.x[a];
  sum_plane(ref->x[X] + index / s.y_plane * s.x_plane, s.x, table, (int64_t[]){1, 1, 1}, e);
}

static void backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const sizes s = sizes_of(ref->problem, arg, DY);
  const double *table[3], *of = ref->scratch;
  int64_t i[3];
  split(index % s.x_plane, s.x, i);
  for (int a = 0; a < 3; of += 2 * s.x[a] * s.y[a], a++) table[a] = of + 2 * i[a];
  sum_plane(ref->x[DY] + index / s.x_plane * s.y_plane, s.y, table, s.x, e);
}

/* ---- Tests and figures ------------------------------------------------------------------------------------------- */

static bool fills(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  (void)p, (void)fill;
  return !exact;
}

static void sample(lamina_problem *p, lamina_draw *draw) {
  lamina_spectral_pool pool = {{0}};
  const int axes = (int)LAMINA_PICK(draw, "axes", 1, 2, 2, 3);
  int64_t x[5] = {LAMINA_PICK(draw, "batch", 1, 2, 3, 0), LAMINA_PICK(draw, "channels", 1, 3, 5, 17)};
  for (int a = 0; a < axes; a++) {
    x[2 + a] = LAMINA_PICK(draw, "input", 1, 2, 3, 4, 5, 6, 7, 12);
    pool.size[a] = LAMINA_PICK(draw, "size", 1, 2, 3, 4, 5, 6, 12);
  }
  p->arg[X] = lamina_draw_shape(draw, 2 + axes, x);
  memcpy(p->attr, &pool, sizeof pool);
}

/* One product with a table for each axis, last axis first. */
static double flops_of(const lamina_problem *p, int x, int y) {
  const sizes s = sizes_of(p, x, y);
  double flops = 0, left = (double)s.x_plane, right = 1;
  for (int a = 2; a >= 0; a--) {
    flops += 2 * left * right * (double)s.y[a];
    left /= (double)s.x[a], right *= (double)s.y[a];
  }
  return flops * (double)(p->arg[x].dims[0] * p->arg[x].dims[1]);
}
static double flops_forward(const lamina_problem *p) { return flops_of(p, X, Y); }
static double flops_backward(const lamina_problem *p) { return flops_of(p, DX, DY); }

/* ---- Rows -------------------------------------------------------------------------------------------------------- */

#define ROW(pass)                                                                                                      \
  .name = "spectral_pool/" #pass, .args = pass##_args, .attrs = attrs, .attr_size = sizeof(lamina_spectral_pool),      \
  .infer = infer_##pass, .scratch = pass##_scratch, .prepare = prepare_##pass, .element = pass##_element,              \
  .fills = fills, .flops = flops_##pass
const lamina_op_def lamina_ops_spectral_pool[] = {{ROW(forward), .sample = sample}, {ROW(backward)}, {0}};

LAMINA_DEFINE_CALLS(spectral_pool_forward, "spectral_pool/forward", pool, (x, y), const lamina_spectral_pool *pool,
                    const lamina_tensor *x, const lamina_tensor *y)
LAMINA_DEFINE_CALLS(spectral_pool_backward, "spectral_pool/backward", pool, (dy, dx), const lamina_spectral_pool *pool,
                    const lamina_tensor *dy, const lamina_tensor *dx)
