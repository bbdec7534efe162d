/* Max unpooling: rows, shapes, the typed calls and the references. Forward is the map that max pooling's backward is. */
#include "core/draw.h"
#include "core/plan.h"
#include "lamina/unpool.h"
#include "ops/pool.h"

/* As the arguments of max_pool/backward lie. */
enum { X, INDICES, Y };
enum { DY, BACKWARD_INDICES, DX };
static const lamina_arg_def forward_args[] = {{"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                              {"indices", LAMINA_IN, false, LAMINA_INTEGER, NULL},
                                              {"y", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                              {0}};
static const lamina_arg_def backward_args[] = {{"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                               {"indices", LAMINA_IN, false, LAMINA_INTEGER, NULL},
                                               {"dx", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                               {0}};
LAMINA_CHECK_ARGS(max_unpool_forward, forward_args);
LAMINA_CHECK_ARGS(max_unpool_backward, backward_args);

static const lamina_attr_def no_attrs[] = {{0}};

/* Checks the wide tensor, whose planes are named, against the narrow one. */
static lamina_status check(const lamina_problem *p, int wide, int narrow) {
  const lamina_desc *y = &p->arg[wide], *x = &p->arg[narrow];
  LAMINA_TRY(lamina_want_rank(p, narrow, 3, 5));
  LAMINA_TRY(lamina_want_rank(p, wide, x->rank, x->rank));
  for (int d = 0; d < 2; d++)
    if (y->dims[d] != x->dims[d])
      return lamina_problem_error(p, wide, "expected axis %d to be %lld, as that of indices", d, (long long)x->dims[d]);
  for (int d = 2; d < y->rank; d++)
    if (y->dims[d] < 1) return lamina_problem_error(p, wide, "expected at least 1 on every spatial axis");
  return lamina_pool_check_indices(p, wide, narrow);
}

static lamina_status infer_forward(lamina_problem *p) {
  LAMINA_TRY(lamina_want_dims(p, X, p->arg[INDICES].rank, p->arg[INDICES].dims));
  LAMINA_TRY(lamina_want_shape(p, Y));
  return check(p, Y, INDICES);
}

static lamina_status infer_backward(lamina_problem *p) {
  const lamina_desc *indices = &p->arg[BACKWARD_INDICES];
  LAMINA_TRY(check(p, DY, BACKWARD_INDICES));
  return lamina_set_output(p, DX, (lamina_dtype)p->arg[DY].dtype, indices->rank, indices->dims);
}

static void backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_desc *dx = &ref->problem->arg[arg], *dy = &ref->problem->arg[DY];
  const int64_t planes = dx->dims[0] * dx->dims[1];
  const int64_t narrow = lamina_desc_count(dx) / planes, wide = lamina_desc_count(dy) / planes;
  const int64_t i = ref->i[BACKWARD_INDICES][index];
  *e = (lamina_expected){.value = i >= 0 && i < wide ? ref->x[DY][index / narrow * wide + i] : 0, .terms = -1};
}

/* Few planes' worth of places, so that some come twice. */
static bool fills_forward(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  if (exact) lamina_fill_integers(p, fill, -2, 2);
  fill[INDICES] = lamina_pool_fill_indices(p, Y);
  return true;
}

static bool fills_backward(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  if (exact) lamina_fill_integers(p, fill, -9, 9);
  fill[BACKWARD_INDICES] = lamina_pool_fill_indices(p, DY);
  return true;
}

static void sample(lamina_problem *p, lamina_draw *draw) {
  const int axes = (int)LAMINA_PICK(draw, "axes", 1, 2, 2, 3);
  int64_t x[5] = {LAMINA_PICK(draw, "batch", 1, 2, 3, 0), LAMINA_PICK(draw, "channels", 1, 3, 5, 17)}, y[5];
  memcpy(y, x, sizeof y);
  for (int a = 0; a < axes; a++) {
    x[2 + a] = LAMINA_PICK(draw, "size", 1, 2, 3, 5, 6);
    y[2 + a] = LAMINA_PICK(draw, "output", 1, 2, 4, 7, 12);
  }
  p->arg[X] = lamina_draw_shape(draw, 2 + axes, x);
  p->arg[INDICES] = lamina_dense(LAMINA_I32, 2 + axes, x);
  p->arg[Y] = lamina_draw_shape(draw, 2 + axes, y);
}

const lamina_op_def lamina_ops_max_unpool[] = {{.name = "max_unpool/forward",
                                                .args = forward_args,
                                                .attrs = no_attrs,
                                                .infer = infer_forward,
                                                .scratch = lamina_pool_scatter_scratch,
                                                .prepare = lamina_pool_scatter_prepare,
                                                .element = lamina_pool_scatter_element,
                                                .fills = fills_forward,
                                                .sample = sample},
                                               {.name = "max_unpool/backward",
                                                .args = backward_args,
                                                .attrs = no_attrs,
                                                .infer = infer_backward,
                                                .element = backward_element,
                                                .fills = fills_backward},
                                               {0}};

LAMINA_DEFINE_CALLS(max_unpool_forward, "max_unpool/forward", NULL, (x, indices, y), const lamina_tensor *x,
                    const lamina_tensor *indices, const lamina_tensor *y)
LAMINA_DEFINE_CALLS(max_unpool_backward, "max_unpool/backward", NULL, (dy, indices, dx), const lamina_tensor *dy,
                    const lamina_tensor *indices, const lamina_tensor *dx)
