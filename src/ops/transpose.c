/* Transpose: rows, references and the typed calls. */
#include "lamina/transpose.h"

#include "core/plan.h"
#include "ops/shape.h"

static const lamina_attr_def attrs[] = {{.name = "perm",
                                         .type = LAMINA_ATTR_LIST,
                                         .offset = offsetof(lamina_transpose, perm),
                                         .least = -LAMINA_MAX_RANK,
                                         .most = LAMINA_MAX_RANK - 1},
                                        {0}};
enum { FROM, TO };
static const lamina_arg_def forward_args[] = {
    {"x", LAMINA_IN, false, LAMINA_ANY, NULL}, {"y", LAMINA_OUT, false, LAMINA_ANY, NULL}, {0}};
static const lamina_arg_def backward_args[] = {
    {"dy", LAMINA_IN, false, LAMINA_ANY, NULL}, {"dx", LAMINA_OUT, false, LAMINA_ANY, NULL}, {0}};
LAMINA_CHECK_ARGS(transpose_forward, forward_args);
LAMINA_CHECK_ARGS(transpose_backward, backward_args);

/* Brings perm to its normal form: no presets, no negative axes. */
static lamina_status normalise(lamina_problem *p, lamina_transpose *t) {
  const int rank = p->arg[FROM].rank;
  unsigned seen = 0;
  bool none = true;
  memcpy(t, p->attr, sizeof *t);
  LAMINA_TRY(lamina_want_list(p, FROM, "perm", t->perm));
  for (int d = 0; d < rank; d++) none &= t->perm[d] == 0;
  for (int d = 0; d < rank; d++) {
    if (none) t->perm[d] = rank - 1 - d;
    if (t->perm[d] < 0) t->perm[d] += rank;
    if (t->perm[d] >= 0 && t->perm[d] < rank) seen |= 1u << t->perm[d];
  }
  if (seen != (1u << rank) - 1) return lamina_problem_error(p, FROM, "perm must name each of its %d axes once", rank);
  memcpy(p->attr, t, sizeof *t);
  return LAMINA_OK;
}

static lamina_status infer(lamina_problem *p, bool forward) {
  const lamina_desc *from = &p->arg[FROM];
  lamina_transpose t;
  int64_t dims[LAMINA_MAX_RANK] = {0};
  LAMINA_TRY(normalise(p, &t));
  for (int d = 0; d < from->rank; d++)
    if (forward)
      dims[d] = from->dims[t.perm[d]];
    else
      dims[t.perm[d]] = from->dims[d];
  LAMINA_TRY(lamina_set_output(p, TO, (lamina_dtype)from->dtype, from->rank, dims));
  return lamina_want_alike(p, FROM);
}
static lamina_status infer_forward(lamina_problem *p) { return infer(p, true); }
static lamina_status infer_backward(lamina_problem *p) { return infer(p, false); }

static void element(const lamina_reference *ref, int64_t index, bool forward, lamina_expected *e) {
  const lamina_desc *from = &ref->problem->arg[FROM], *to = &ref->problem->arg[TO];
  const int64_t *perm = ((const lamina_transpose *)ref->attr)->perm;
  int64_t at[LAMINA_MAX_RANK], source = 0;
  for (int d = to->rank - 1; d >= 0; d--) {
    at[forward ? perm[d] : d] = index % to->dims[d];
    index /= to->dims[d];
  }
  for (int d = 0; d < from->rank; d++) source = source * from->dims[d] + at[forward ? d : perm[d]];
  *e = (lamina_expected){.value = ref->x[FROM][source], .terms = -1};
}
static void element_forward(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg;
  element(ref, index, true, e);
}
static void element_backward(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg;
  element(ref, index, false, e);
}

static void sample(lamina_problem *p, lamina_draw *draw) {
  lamina_transpose t = {{0}};
  int64_t dims[LAMINA_MAX_RANK], left[LAMINA_MAX_RANK];
  const int rank = (int)LAMINA_PICK(draw, "rank", 2, 3, 4, 5, 8, 1, 0);
  lamina_draw_dims(draw, rank, dims);
  for (int d = 0; d < rank; d++) left[d] = d;
  for (int d = 0; d < rank; d++) { /* one of those that are left, from the front or from the back */
    const int64_t n = LAMINA_PICK(draw, "axis", 0, 1, 2, 5) % (rank - d);
    t.perm[d] = left[n];
    for (int64_t i = n; i < rank - 1 - d; i++) left[i] = left[i + 1];
  }
  p->arg[FROM] = lamina_dense(lamina_draw_any(draw), rank, dims);
  memcpy(p->attr, &t, sizeof t);
}

const lamina_op_def lamina_ops_transpose[] = {{.name = "transpose/forward",
                                               .args = forward_args,
                                               .attrs = attrs,
                                               .attr_size = sizeof(lamina_transpose),
                                               .infer = infer_forward,
                                               .element = element_forward,
                                               .fills = lamina_shape_fills,
                                               .sample = sample},
                                              {.name = "transpose/backward",
                                               .args = backward_args,
                                               .attrs = attrs,
                                               .attr_size = sizeof(lamina_transpose),
                                               .infer = infer_backward,
                                               .element = element_backward,
                                               .fills = lamina_shape_fills},
                                              {0}};

LAMINA_DEFINE_CALLS(transpose_forward, "transpose/forward", transpose, (x, y), const lamina_transpose *transpose,
                    const lamina_tensor *x, const lamina_tensor *y)
LAMINA_DEFINE_CALLS(transpose_backward, "transpose/backward", transpose, (dy, dx), const lamina_transpose *transpose,
                    const lamina_tensor *dy, const lamina_tensor *dx)
