/* Mixed pooling: rows, shapes, the typed calls and the references, which blend those of max and average pooling. */
#include "lamina/mixed_pool.h"

#include <math.h>

#include "core/draw.h"
#include "core/plan.h"
#include "ops/pool.h"

/* The arguments lie as those of max pooling, and so do x, y and dy as those of average pooling. */
enum { X, Y, INDICES };
enum { DY, BACKWARD_INDICES, DX };
static const lamina_arg_def forward_args[] = {{"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                              {"y", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                              {"indices", LAMINA_SAVED, true, LAMINA_INTEGER, NULL},
                                              {0}};
static const lamina_arg_def backward_args[] = {{"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                               {"indices", LAMINA_IN, false, LAMINA_INTEGER, NULL},
                                               {"dx", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                               {0}};
LAMINA_CHECK_ARGS(mixed_pool_forward, forward_args);
LAMINA_CHECK_ARGS(mixed_pool_backward, backward_args);

static const lamina_attr_def attrs[] = {LAMINA_POOL_ATTRS,
                                        LAMINA_POOL_COUNT_PAD,
                                        {.name = "max_share",
                                         .type = LAMINA_ATTR_REAL,
                                         .offset = offsetof(lamina_mixed_pool, max_share),
                                         .preset = 0.5,
                                         .has = offsetof(lamina_mixed_pool, has_max_share),
                                         .most = 1},
                                        {0}};

static double share_of(const lamina_problem *p) { return ((const lamina_mixed_pool *)lamina_attr(p))->max_share; }

static lamina_status infer_forward(lamina_problem *p) {
  const lamina_desc *x = &p->arg[X];
  int64_t y[LAMINA_MAX_RANK];
  LAMINA_TRY(lamina_pool_output_dims(p, X, y));
  LAMINA_TRY(lamina_set_output(p, INDICES, LAMINA_I32, x->rank, y));
  LAMINA_TRY(lamina_pool_check_indices(p, X, INDICES));
  return lamina_set_output(p, Y, (lamina_dtype)x->dtype, x->rank, y);
}

static lamina_status infer_backward(lamina_problem *p) {
  int64_t y[LAMINA_MAX_RANK];
  LAMINA_TRY(lamina_want_shape(p, DX));
  LAMINA_TRY(lamina_pool_output_dims(p, DX, y));
  LAMINA_TRY(lamina_want_dims(p, DY, p->arg[DX].rank, y));
  LAMINA_TRY(lamina_want_dims(p, BACKWARD_INDICES, p->arg[DX].rank, y));
  return lamina_pool_check_indices(p, DX, BACKWARD_INDICES);
}

/* A sum of the products of both. */
static lamina_expected blend(double share, const lamina_expected *max, const lamina_expected *avg) {
  return (lamina_expected){.value = share * max->value + (1 - share) * avg->value,
                           .q = hypot(share * max->q, (1 - share) * avg->q),
                           .terms = max->terms + avg->terms};
}

static void forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  lamina_expected max, avg = {0};
  lamina_max_pool_forward_element(ref, arg, index, &max);
  if (arg == Y) {
    lamina_avg_pool_forward_element(ref, arg, index, &avg);
    max.q = fabs(max.value), max.terms = 1;
    max = blend(share_of(ref->problem), &max, &avg);
  }
  *e = max;
}

static void backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  lamina_expected max, avg = {0};
  lamina_pool_scatter_element(ref, arg, index, &max);
  lamina_avg_pool_backward_element(ref, arg, index, &avg);
  *e = blend(share_of(ref->problem), &max, &avg);
}

/* Exact where the shares are eighths and every window counts the same power of two. */
static bool can_be_exact(const lamina_problem *p, int x, int y) {
  return fmod(share_of(p) * 8, 1) == 0 && lamina_pool_counts_a_power_of_two(p, x, y);
}

static bool fills_forward(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  if (exact) lamina_fill_integers(p, fill, -8, 8);
  return !exact || can_be_exact(p, X, Y);
}

static bool fills_backward(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  if (exact) lamina_fill_integers(p, fill, -8, 8);
  fill[BACKWARD_INDICES] = lamina_pool_fill_indices(p, DX);
  return !exact || can_be_exact(p, DX, DY);
}

static void sample(lamina_problem *p, lamina_draw *draw) {
  lamina_mixed_pool pool = {.max_share = (double)LAMINA_PICK(draw, "max_share", 0, 2, 3, 4, 8) / 8, .has_max_share = 1};
  if (LAMINA_PICK(draw, "round share", 1, 1, 0) == 0) pool.max_share *= 0.7;
  lamina_pool_sample(p, draw, &pool.window);
  memcpy(p->attr, &pool, sizeof pool);
}

static double flops_forward(const lamina_problem *p) { return lamina_pool_flops(p, Y); }
static double flops_backward(const lamina_problem *p) { return lamina_pool_flops(p, DY); }

#define ROW(pass)                                                                                                      \
  .name = "mixed_pool/" #pass, .args = pass##_args, .attrs = attrs, .attr_size = sizeof(lamina_mixed_pool),            \
  .infer = infer_##pass, .element = pass##_element, .fills = fills_##pass, .flops = flops_##pass
const lamina_op_def lamina_ops_mixed_pool[] = {
    {ROW(forward), .sample = sample},
    {ROW(backward), .scratch = lamina_pool_scatter_scratch, .prepare = lamina_pool_scatter_prepare},
    {0}};

LAMINA_DEFINE_CALLS(mixed_pool_forward, "mixed_pool/forward", pool, (x, y, indices), const lamina_mixed_pool *pool,
                    const lamina_tensor *x, const lamina_tensor *y, const lamina_tensor *indices)
LAMINA_DEFINE_CALLS(mixed_pool_backward, "mixed_pool/backward", pool, (dy, indices, dx), const lamina_mixed_pool *pool,
                    const lamina_tensor *dy, const lamina_tensor *indices, const lamina_tensor *dx)
