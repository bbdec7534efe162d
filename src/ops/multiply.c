/* Products, element by element: rows, references and the typed calls. */
#include <math.h>

#include "core/plan.h"
#include "lamina/arithmetic.h"
#include "ops/binary.h"

static const lamina_attr_def attrs[] = {{0}};
enum { A, B, Y, DY = 2, DA, DB };
static const lamina_arg_def forward_args[] = {{"a", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                              {"b", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                              {"y", LAMINA_OUT, false, LAMINA_FLOATING, "a"},
                                              {0}};
static const lamina_arg_def backward_args[] = {
    {"a", LAMINA_IN, false, LAMINA_FLOATING, NULL},  {"b", LAMINA_IN, false, LAMINA_FLOATING, NULL},
    {"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL}, {"da", LAMINA_OUT, true, LAMINA_FLOATING, "dy"},
    {"db", LAMINA_OUT, true, LAMINA_FLOATING, NULL}, {0}};
LAMINA_CHECK_ARGS(multiply_forward, forward_args);
LAMINA_CHECK_ARGS(multiply_backward, backward_args);

static lamina_status infer_forward(lamina_problem *p) {
  const lamina_desc *a = &p->arg[A];
  LAMINA_TRY(lamina_want_broadcast(p, A, B));
  return lamina_set_output(p, Y, (lamina_dtype)a->dtype, a->rank, a->dims);
}

static lamina_status infer_backward(lamina_problem *p) {
  const lamina_desc *a = &p->arg[A], *b = &p->arg[B], *dy = &p->arg[DY];
  LAMINA_TRY(lamina_want_broadcast(p, A, B));
  LAMINA_TRY(lamina_want_dims(p, DY, a->rank, a->dims));
  LAMINA_TRY(lamina_set_output(p, DA, (lamina_dtype)dy->dtype, a->rank, a->dims));
  return lamina_set_output(p, DB, (lamina_dtype)dy->dtype, b->rank, b->dims);
}

static void element_forward(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_desc *desc = ref->problem->arg;
  const double y = ref->x[A][index] * ref->x[B][lamina_broadcast_index(&desc[arg], &desc[B], index)];
  *e = (lamina_expected){.value = y, .q = fabs(y)}; /* one rounding */
}

static void element_backward(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_desc *a = &ref->problem->arg[A], *b = &ref->problem->arg[B];
  const int64_t count = lamina_broadcast_count(a, b);
  double squares = 0;
  if (arg == DA) {
    const double da = ref->x[DY][index] * ref->x[B][lamina_broadcast_index(a, b, index)];
    *e = (lamina_expected){.value = da, .q = fabs(da)};
    return;
  }
  *e = (lamina_expected){.terms = count};
  for (int64_t n = 0; n < count; n++) {
    const int64_t i = lamina_broadcast_member(a, b, index, n);
    const double term = ref->x[DY][i] * ref->x[A][i];
    e->value += term, squares += term * term;
  }
  e->q = sqrt(squares);
}

static bool fills(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  if (exact) lamina_fill_integers(p, fill, -4, 4);
  return true;
}

static double flops_forward(const lamina_problem *p) { return (double)lamina_desc_count(&p->arg[Y]); }
static double flops_backward(const lamina_problem *p) {
  const double count = (double)lamina_desc_count(&p->arg[DY]);
  return (p->arg[DA].dtype ? count : 0) + (p->arg[DB].dtype ? 2 * count : 0);
}

const lamina_op_def lamina_ops_multiply[] = {{.name = "multiply/forward",
                                              .by_example = true,
                                              .args = forward_args,
                                              .attrs = attrs,
                                              .infer = infer_forward,
                                              .element = element_forward,
                                              .fills = fills,
                                              .sample = lamina_sample_binary,
                                              .flops = flops_forward},
                                             {.name = "multiply/backward",
                                              .by_example = true,
                                              .args = backward_args,
                                              .attrs = attrs,
                                              .infer = infer_backward,
                                              .element = element_backward,
                                              .fills = fills,
                                              .flops = flops_backward},
                                             {0}};

LAMINA_DEFINE_CALLS(multiply_forward, "multiply/forward", NULL, (a, b, y), const lamina_tensor *a,
                    const lamina_tensor *b, const lamina_tensor *y)
LAMINA_DEFINE_CALLS(multiply_backward, "multiply/backward", NULL, (a, b, dy, da, db), const lamina_tensor *a,
                    const lamina_tensor *b, const lamina_tensor *dy, const lamina_tensor *da, const lamina_tensor *db)
