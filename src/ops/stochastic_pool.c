/* Stochastic pooling: rows, shapes, the typed calls and the references. */
#include "lamina/stochastic_pool.h"

#include <math.h>

#include "core/draw.h"
#include "core/plan.h"
#include "kernels/philox.h"
#include "ops/pool.h"

enum { X, RNG, Y, INDICES };
enum { INFERENCE_X, INFERENCE_Y };
static const lamina_arg_def forward_args[] = {{"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                              {"rng", LAMINA_IN, false, LAMINA_INTEGER, NULL},
                                              {"y", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                              {"indices", LAMINA_SAVED, true, LAMINA_INTEGER, NULL},
                                              {0}};
static const lamina_arg_def inference_args[] = {
    {"x", LAMINA_IN, false, LAMINA_FLOATING, NULL}, {"y", LAMINA_OUT, false, LAMINA_FLOATING, NULL}, {0}};
static const lamina_arg_def backward_args[] = {{"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                               {"indices", LAMINA_IN, false, LAMINA_INTEGER, NULL},
                                               {"dx", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                               {0}};
LAMINA_CHECK_ARGS(stochastic_pool_forward, forward_args);
LAMINA_CHECK_ARGS(stochastic_pool_inference, inference_args);
LAMINA_CHECK_ARGS(stochastic_pool_backward, backward_args);

static const lamina_attr_def attrs[] = {
    LAMINA_POOL_ATTRS,
    {.name = "stream", .type = LAMINA_ATTR_INT, .offset = offsetof(lamina_stochastic_pool, stream), .most = UINT32_MAX},
    {0}};

static lamina_status infer_forward(lamina_problem *p) {
  const lamina_desc *x = &p->arg[X];
  int64_t y[LAMINA_MAX_RANK];
  LAMINA_TRY(lamina_pool_output_dims(p, X, y));
  LAMINA_TRY(lamina_want_dims(p, RNG, 1, (int64_t[]){2}));
  LAMINA_TRY(lamina_want_dtype(p, RNG, LAMINA_I64));
  LAMINA_TRY(lamina_set_output(p, INDICES, LAMINA_I32, x->rank, y));
  LAMINA_TRY(lamina_pool_check_indices(p, X, INDICES));
  return lamina_set_output(p, Y, (lamina_dtype)x->dtype, x->rank, y);
}

static lamina_status infer_inference(lamina_problem *p) {
  const lamina_desc *x = &p->arg[INFERENCE_X];
  int64_t y[LAMINA_MAX_RANK];
  LAMINA_TRY(lamina_pool_output_dims(p, INFERENCE_X, y));
  memset(p->attr + offsetof(lamina_stochastic_pool, stream), 0, 8); /* nothing is drawn: equal problems, equal bytes */
  return lamina_set_output(p, INFERENCE_Y, (lamina_dtype)x->dtype, x->rank, y);
}

static lamina_status infer_backward(lamina_problem *p) {
  enum { DY = LAMINA_MAX_POOL_BACKWARD_DY, AT = LAMINA_MAX_POOL_BACKWARD_INDICES, DX = LAMINA_MAX_POOL_BACKWARD_DX };
  int64_t y[LAMINA_MAX_RANK];
  LAMINA_TRY(lamina_want_shape(p, DX));
  LAMINA_TRY(lamina_pool_output_dims(p, DX, y));
  memset(p->attr + offsetof(lamina_stochastic_pool, stream), 0, 8);
  LAMINA_TRY(lamina_want_dims(p, DY, p->arg[DX].rank, y));
  LAMINA_TRY(lamina_want_dims(p, AT, p->arg[DX].rank, y));
  return lamina_pool_check_indices(p, DX, AT);
}

/* ---- References -------------------------------------------------------------------------------------------------- */

static double weight(double x) { return x <= 0 ? 0 : x; } /* NaN stays, and shows in the sum */

static void forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_pool_sizes s = lamina_pool_sizes_of(ref, X, arg);
  const double *x = ref->x[X] + index / s.y_plane * s.x_plane;
  const lamina_stochastic_pool *pool = ref->attr;
  const uint32_t word =
      philox_word((uint64_t)ref->i[RNG][0], (uint64_t)index, (uint32_t)pool->stream, (uint32_t)ref->i[RNG][1]);
  int64_t o[3], first[3], end[3], drawn = -1;
  double sum = 0, reached = 0;
  lamina_pool_split(index % s.y_plane, s.y, o);
  lamina_pool_window(&s, o, first, end);
  LAMINA_POOL_EACH(&s, first, end, i) sum += weight(x[i]);
  const double threshold = (double)philox_unit(word) * sum;
  if (isfinite(sum)) LAMINA_POOL_EACH(&s, first, end, i) {
      reached += weight(x[i]);
      if (drawn < 0 && reached > threshold) drawn = i;
    }
  if (drawn < 0) drawn = lamina_pool_extreme(&s, x, o, 1);
  *e = (lamina_expected){.value = arg == Y ? x[drawn] : (double)drawn, .terms = -1};
}

/* A quotient of two sums of K terms that aren't negative: K roundings of the one, with its products, K - 1 of the other
 * and 1 of the quotient. */
static void inference_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_pool_sizes s = lamina_pool_sizes_of(ref, INFERENCE_X, arg);
  const double *x = ref->x[INFERENCE_X] + index / s.y_plane * s.x_plane;
  int64_t o[3], first[3], end[3], terms = 0;
  double sum = 0;
  lamina_pool_split(index % s.y_plane, s.y, o);
  lamina_pool_window(&s, o, first, end);
  LAMINA_POOL_EACH(&s, first, end, i) sum += weight(x[i]), terms++;
  if (!(sum > 0) || !isfinite(sum)) {
    *e = (lamina_expected){.value = x[lamina_pool_extreme(&s, x, o, 1)], .terms = -1};
    return;
  }
  LAMINA_POOL_EACH(&s, first, end, i) e->value += weight(x[i]) / sum * weight(x[i]);
  e->q = 2 * (double)terms * e->value;
}

/* ---- Tests and figures ------------------------------------------------------------------------------------------- */

static bool fills_forward(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  if (exact) lamina_fill_integers(p, fill, -2, 4);
  fill[RNG] = (lamina_fill_def){.kind = LAMINA_FILL_SEED};
  return true;
}

static bool fills_inference(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  (void)p, (void)fill;
  return !exact;
}

static bool fills_backward(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  if (exact) lamina_fill_integers(p, fill, -2, 2);
  fill[LAMINA_MAX_POOL_BACKWARD_INDICES] = lamina_pool_fill_indices(p, LAMINA_MAX_POOL_BACKWARD_DX);
  return true;
}

static void sample(lamina_problem *p, lamina_draw *draw) {
  lamina_stochastic_pool pool = {.stream = LAMINA_PICK(draw, "stream", 0, 1, 77)};
  lamina_pool_sample(p, draw, &pool.window);
  p->arg[RNG] = lamina_dense(LAMINA_I64, 1, (int64_t[]){2});
  memcpy(p->attr, &pool, sizeof pool);
}

static double flops_forward(const lamina_problem *p) { return 2 * lamina_pool_flops(p, Y); }
static double flops_inference(const lamina_problem *p) { return 3 * lamina_pool_flops(p, INFERENCE_Y); }

/* ---- Rows -------------------------------------------------------------------------------------------------------- */

#define ROW(pass)                                                                                                      \
  .name = "stochastic_pool/" #pass, .args = pass##_args, .attrs = attrs, .attr_size = sizeof(lamina_stochastic_pool),  \
  .infer = infer_##pass, .fills = fills_##pass
const lamina_op_def lamina_ops_stochastic_pool[] = {
    {ROW(forward), .element = forward_element, .sample = sample, .flops = flops_forward},
    {ROW(inference), .element = inference_element, .flops = flops_inference},
    {ROW(backward), .scratch = lamina_pool_scatter_scratch, .prepare = lamina_pool_scatter_prepare,
     .element = lamina_pool_scatter_element},
    {0}};

LAMINA_DEFINE_CALLS(stochastic_pool_forward, "stochastic_pool/forward", pool, (x, rng, y, indices),
                    const lamina_stochastic_pool *pool, const lamina_tensor *x, const lamina_tensor *rng,
                    const lamina_tensor *y, const lamina_tensor *indices)
LAMINA_DEFINE_CALLS(stochastic_pool_inference, "stochastic_pool/inference", pool, (x, y),
                    const lamina_stochastic_pool *pool, const lamina_tensor *x, const lamina_tensor *y)
LAMINA_DEFINE_CALLS(stochastic_pool_backward, "stochastic_pool/backward", pool, (dy, indices, dx),
                    const lamina_stochastic_pool *pool, const lamina_tensor *dy, const lamina_tensor *indices,
                    const lamina_tensor *dx)
