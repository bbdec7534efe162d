/* Sums: rows, references and the typed calls. */
#include <math.h>

#include "core/plan.h"
#include "lamina/arithmetic.h"
#include "ops/binary.h"

static const lamina_attr_def attrs[] = {{0}};
enum { A, B, Y };
static const lamina_arg_def forward_args[] = {{"a", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                              {"b", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                              {"y", LAMINA_OUT, false, LAMINA_FLOATING, "a"},
                                              {0}};
enum { DY, DA, DB };
static const lamina_arg_def backward_args[] = {{"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                               {"da", LAMINA_OUT, true, LAMINA_FLOATING, "dy"},
                                               {"db", LAMINA_OUT, true, LAMINA_FLOATING, NULL},
                                               {0}};
LAMINA_CHECK_ARGS(add_forward, forward_args);
LAMINA_CHECK_ARGS(add_backward, backward_args);

static lamina_status infer_forward(lamina_problem *p) {
  const lamina_desc *a = &p->arg[A];
  LAMINA_TRY(lamina_want_broadcast(p, A, B));
  return lamina_set_output(p, Y, (lamina_dtype)a->dtype, a->rank, a->dims);
}

static lamina_status infer_backward(lamina_problem *p) {
  const lamina_desc *dy = &p->arg[DY];
  LAMINA_TRY(lamina_set_output(p, DA, (lamina_dtype)dy->dtype, dy->rank, dy->dims));
  if (p->arg[DB].rank != LAMINA_RANK_INFER) return lamina_want_broadcast(p, DY, DB);
  return lamina_set_output(p, DB, (lamina_dtype)dy->dtype, dy->rank, dy->dims);
}

/* One rounding. */
static void element_forward(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_desc *desc = ref->problem->arg;
  const double y = ref->x[A][index] + ref->x[B][lamina_broadcast_index(&desc[arg], &desc[B], index)];
  *e = (lamina_expected){.value = y, .q = fabs(y)};
}

/* A sum over the elements that b met. */
static void element_backward(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_desc *dy = &ref->problem->arg[DY], *dx = &ref->problem->arg[arg];
  const int64_t count = lamina_broadcast_count(dy, dx);
  double squares = 0;
  *e = (lamina_expected){.terms = count > 1 ? count : -1};
  for (int64_t n = 0; n < count; n++) {
    const double term = ref->x[DY][lamina_broadcast_member(dy, dx, index, n)];
    e->value += term, squares += term * term;
  }
  e->q = sqrt(squares);
}

static bool fills(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  if (exact) lamina_fill_integers(p, fill, -9, 9);
  return true;
}

static double flops_forward(const lamina_problem *p) { return (double)lamina_desc_count(&p->arg[Y]); }

const lamina_op_def lamina_ops_add[] = {{.name = "add/forward",
                                         .by_example = true,
                                         .args = forward_args,
                                         .attrs = attrs,
                                         .infer = infer_forward,
                                         .element = element_forward,
                                         .fills = fills,
                                         .sample = lamina_sample_binary,
                                         .flops = flops_forward},
                                        {.name = "add/backward",
                                         .by_example = true,
                                         .args = backward_args,
                                         .attrs = attrs,
                                         .infer = infer_backward,
                                         .element = element_backward,
                                         .fills = fills},
                                        {0}};

LAMINA_DEFINE_CALLS(add_forward, "add/forward", NULL, (a, b, y), const lamina_tensor *a, const lamina_tensor *b,
                    const lamina_tensor *y)
LAMINA_DEFINE_CALLS(add_backward, "add/backward", NULL, (dy, da, db), const lamina_tensor *dy, const lamina_tensor *da,
                    const lamina_tensor *db)
