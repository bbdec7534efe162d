/* Dropout: rows, reference and the typed calls. Both passes are the same function of their first argument. */
#include "lamina/dropout.h"

#include <math.h>

#include "core/draw.h"
#include "core/plan.h"
#include "core/problem.h"
#include "kernels/philox.h"

enum { X, RNG, Y };
static const lamina_arg_def forward_args[] = {{"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                              {"rng", LAMINA_IN, false, LAMINA_INTEGER, NULL},
                                              {"y", LAMINA_OUT, false, LAMINA_FLOATING, "x"},
                                              {0}};
static const lamina_arg_def backward_args[] = {{"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                               {"rng", LAMINA_IN, false, LAMINA_INTEGER, NULL},
                                               {"dx", LAMINA_OUT, false, LAMINA_FLOATING, "dy"},
                                               {0}};
LAMINA_CHECK_ARGS(dropout_forward, forward_args);
LAMINA_CHECK_ARGS(dropout_backward, backward_args);

static const lamina_attr_def attrs[] = {
    {.name = "p", .type = LAMINA_ATTR_REAL, .offset = offsetof(lamina_dropout, p), .most = 1},
    {.name = "channels", .type = LAMINA_ATTR_BOOL, .offset = offsetof(lamina_dropout, channels)},
    {.name = "stream", .type = LAMINA_ATTR_INT, .offset = offsetof(lamina_dropout, stream), .most = UINT32_MAX},
    {0}};

static lamina_status infer(lamina_problem *p) {
  const lamina_desc *x = &p->arg[X];
  const lamina_dropout *dropout = lamina_attr(p);
  if (dropout->channels) LAMINA_TRY(lamina_want_rank(p, X, 2, LAMINA_MAX_RANK));
  LAMINA_TRY(lamina_want_dims(p, RNG, 1, (int64_t[]){2}));
  LAMINA_TRY(lamina_want_dtype(p, RNG, LAMINA_I64));
  return lamina_set_output(p, Y, (lamina_dtype)x->dtype, x->rank, x->dims);
}

/* Elements that share one draw: a channel's, or the element alone. */
static int64_t group_of(const lamina_problem *p) {
  int64_t group = 1;
  if (((const lamina_dropout *)lamina_attr(p))->channels)
    for (int d = 2; d < p->arg[X].rank; d++) group *= p->arg[X].dims[d];
  return group;
}

/* What is kept is multiplied by a rounded 1/(1-p): two roundings, none when that is 1. */
static void element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg;
  const lamina_dropout *dropout = ref->attr;
  const uint64_t i = (uint64_t)(index / group_of(ref->problem));
  const uint32_t word = philox_word((uint64_t)ref->i[RNG][0], i, (uint32_t)dropout->stream, (uint32_t)ref->i[RNG][1]);
  const double x = ref->x[X][index], y = x / (1 - dropout->p);
  if ((double)philox_unit(word) < dropout->p)
    *e = (lamina_expected){.value = 0, .terms = -1};
  else
    *e = (lamina_expected){.value = y, .q = 2 * fabs(y), .terms = dropout->p == 0 ? -1 : 0};
}

/* Integers stay exact when 1/(1-p) is a power of two. */
static bool fills(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  const double keep = 1 - ((const lamina_dropout *)lamina_attr(p))->p;
  int exponent;
  if (exact) lamina_fill_integers(p, fill, -9, 9);
  fill[RNG] = (lamina_fill_def){.kind = LAMINA_FILL_SEED};
  return !exact || keep == 0 || frexp(keep, &exponent) == 0.5;
}

static void sample(lamina_problem *p, lamina_draw *draw) {
  const lamina_dropout dropout = {.p = (double)LAMINA_PICK(draw, "p", 0, 1, 2, 3, 10) / 10,
                                  .channels = LAMINA_PICK(draw, "channels", 0, 1),
                                  .stream = LAMINA_PICK(draw, "stream", 0, 1, 77)};
  lamina_draw_alike(p, draw);
  p->arg[RNG] = lamina_dense(LAMINA_I64, 1, (int64_t[]){2});
  memcpy(p->attr, &dropout, sizeof dropout);
}

static double flops(const lamina_problem *p) { return (double)lamina_desc_count(&p->arg[X]); }

#define ROW(pass)                                                                                                      \
  .name = "dropout/" #pass, .args = pass##_args, .attrs = attrs, .attr_size = sizeof(lamina_dropout), .infer = infer,  \
  .element = element, .fills = fills, .flops = flops
const lamina_op_def lamina_ops_dropout[] = {{ROW(forward), .sample = sample}, {ROW(backward)}, {0}};

LAMINA_DEFINE_CALLS(dropout_forward, "dropout/forward", dropout, (x, rng, y), const lamina_dropout *dropout,
                    const lamina_tensor *x, const lamina_tensor *rng, const lamina_tensor *y)
LAMINA_DEFINE_CALLS(dropout_backward, "dropout/backward", dropout, (dy, rng, dx), const lamina_dropout *dropout,
                    const lamina_tensor *dy, const lamina_tensor *rng, const lamina_tensor *dx)
