/* Lp pooling: rows, shapes, the typed calls and the references. */
#include "lamina/lp_pool.h"

#include <math.h>

#include "core/draw.h"
#include "core/plan.h"
#include "ops/pool.h"

enum { X, Y };
enum { BACKWARD_X, BACKWARD_Y, BACKWARD_DY, BACKWARD_DX };
static const lamina_arg_def forward_args[] = {
    {"x", LAMINA_IN, false, LAMINA_FLOATING, NULL}, {"y", LAMINA_OUT, false, LAMINA_FLOATING, NULL}, {0}};
static const lamina_arg_def backward_args[] = {{"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                               {"y", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                               {"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                               {"dx", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                               {0}};
LAMINA_CHECK_ARGS(lp_pool_forward, forward_args);
LAMINA_CHECK_ARGS(lp_pool_backward, backward_args);

static const lamina_attr_def attrs[] = {LAMINA_POOL_ATTRS,
                                        {.name = "p",
                                         .type = LAMINA_ATTR_REAL,
                                         .offset = offsetof(lamina_lp_pool, p),
                                         .preset = 2,
                                         .least = 1,
                                         .most = 1000},
                                        {0}};

static double p_of(const lamina_problem *problem) { return ((const lamina_lp_pool *)lamina_attr(problem))->p; }

static lamina_status infer_forward(lamina_problem *p) {
  int64_t y[LAMINA_MAX_RANK];
  LAMINA_TRY(lamina_pool_output_dims(p, X, y));
  return lamina_set_output(p, Y, (lamina_dtype)p->arg[X].dtype, p->arg[X].rank, y);
}

static lamina_status infer_backward(lamina_problem *p) {
  const lamina_desc *x = &p->arg[BACKWARD_X];
  int64_t y[LAMINA_MAX_RANK];
  LAMINA_TRY(lamina_pool_output_dims(p, BACKWARD_X, y));
  LAMINA_TRY(lamina_want_dims(p, BACKWARD_Y, x->rank, y));
  LAMINA_TRY(lamina_want_dims(p, BACKWARD_DY, x->rank, y));
  return lamina_set_output(p, BACKWARD_DX, (lamina_dtype)x->dtype, x->rank, x->dims);
}

/* ---- References -------------------------------------------------------------------------------------------------- */

/* Over the largest magnitude, so that no power overflows. The bound, to first order: a power and the addition each may
 * be off by a few roundings, of K terms K + 1 in all, of which the root keeps a p-th; the root and the product add 2. */
static void forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_pool_sizes s = lamina_pool_sizes_of(ref, X, arg);
  const double *x = ref->x[X] + index / s.y_plane * s.x_plane, p = p_of(ref->problem);
  int64_t o[3], first[3], end[3], terms = 0;
  double most = 0, sum = 0;
  lamina_pool_split(index % s.y_plane, s.y, o);
  lamina_pool_window(&s, o, first, end);
  LAMINA_POOL_EACH(&s, first, end, i)
  if (!(fabs(x[i]) <= most) && !isnan(most)) most = fabs(x[i]);
  e->value = most;
  if (!(most > 0) || isinf(most)) return;
  LAMINA_POOL_EACH(&s, first, end, i) sum += pow(fabs(x[i]) / most, p), terms++;
  e->value = most * pow(sum, 1 / p);
  e->q = ((double)(terms + 1) / p + 2) * e->value;
}

/* The bound: p + 3 roundings of each term (the ratio's grows with the power), and K - 1 of their sum. */
static void backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_pool_sizes s = lamina_pool_sizes_of(ref, arg, BACKWARD_DY);
  const int64_t plane = index / s.x_plane * s.y_plane;
  const double *y = ref->x[BACKWARD_Y] + plane, *dy = ref->x[BACKWARD_DY] + plane, x = ref->x[BACKWARD_X][index];
  const double p = p_of(ref->problem), sign = x < 0 ? -1 : x > 0 ? 1 : x;
  int64_t i[3], first[3], end[3], o[3], terms = 0;
  double magnitudes = 0;
  lamina_pool_split(index % s.x_plane, s.x, i);
  for (int a = 0; a < 3; a++) lamina_pool_windows_over(&s, a, i[a], &first[a], &end[a]);
  for (o[0] = first[0]; o[0] < end[0]; o[0]++)
    for (o[1] = first[1]; o[1] < end[1]; o[1]++)
      for (o[2] = first[2]; o[2] < end[2]; o[2]++) {
        const int64_t at = (o[0] * s.y[1] + o[1]) * s.y[2] + o[2];
        const double term = y[at] == 0 ? 0 : sign * dy[at] * pow(fabs(x) / y[at], p - 1);
        e->value += term;
        magnitudes += fabs(term);
        terms++;
      }
  e->q = ((double)terms + p + 2) * magnitudes;
}

/* ---- Tests and figures ------------------------------------------------------------------------------------------- */

/* Sums of magnitudes are exact. */
static bool fills(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  if (exact) lamina_fill_integers(p, fill, -8, 8);
  return !exact || p_of(p) == 1;
}

static void sample(lamina_problem *p, lamina_draw *draw) {
  lamina_lp_pool pool = {.p = (double)LAMINA_PICK(draw, "p", 0, 2, 2, 4, 6, 5, 16) / 2};
  lamina_pool_sample(p, draw, &pool.window);
  memcpy(p->attr, &pool, sizeof pool);
}

static double flops_forward(const lamina_problem *p) { return 2 * lamina_pool_flops(p, Y); }
static double flops_backward(const lamina_problem *p) { return 2 * lamina_pool_flops(p, BACKWARD_DY); }

/* ---- Rows -------------------------------------------------------------------------------------------------------- */

#define ROW(pass)                                                                                                      \
  .name = "lp_pool/" #pass, .by_example = true, .args = pass##_args, .attrs = attrs,                                   \
  .attr_size = sizeof(lamina_lp_pool), .infer = infer_##pass, .element = pass##_element, .fills = fills,               \
  .flops = flops_##pass
const lamina_op_def lamina_ops_lp_pool[] = {{ROW(forward), .sample = sample}, {ROW(backward)}, {0}};

LAMINA_DEFINE_CALLS(lp_pool_forward, "lp_pool/forward", pool, (x, y), const lamina_lp_pool *pool,
                    const lamina_tensor *x, const lamina_tensor *y)
LAMINA_DEFINE_CALLS(lp_pool_backward, "lp_pool/backward", pool, (x, y, dy, dx), const lamina_lp_pool *pool,
                    const lamina_tensor *x, const lamina_tensor *y, const lamina_tensor *dy, const lamina_tensor *dx)
