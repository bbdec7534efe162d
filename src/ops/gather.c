/* Gather, embedding and one-hot: rows, shapes, references and the typed calls. */
#include "lamina/gather.h"

#include <math.h>

#include "core/draw.h"
#include "core/plan.h"
#include "core/problem.h"
#include "ops/shape.h"

enum { X, X_INDICES, Y };   /* of gather/forward */
enum { W_INDICES, W, W_Y }; /* of embedding/forward */
enum { INDICES, DY, DX };   /* of both backward passes */
enum { LABELS, HOT };       /* of one_hot/forward */
static const lamina_arg_def gather_forward_args[] = {{"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                                     {"indices", LAMINA_IN, false, LAMINA_INTEGER, NULL},
                                                     {"y", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                                     {0}};
static const lamina_arg_def gather_backward_args[] = {{"indices", LAMINA_IN, false, LAMINA_INTEGER, NULL},
                                                      {"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                                      {"dx", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                                      {0}};
static const lamina_arg_def embedding_forward_args[] = {{"indices", LAMINA_IN, false, LAMINA_INTEGER, NULL},
                                                        {"w", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                                        {"y", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                                        {0}};
static const lamina_arg_def embedding_backward_args[] = {{"indices", LAMINA_IN, false, LAMINA_INTEGER, NULL},
                                                         {"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                                         {"dw", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                                         {0}};
static const lamina_arg_def one_hot_forward_args[] = {
    {"labels", LAMINA_IN, false, LAMINA_INTEGER, NULL}, {"y", LAMINA_OUT, false, LAMINA_FLOATING, NULL}, {0}};
LAMINA_CHECK_ARGS(gather_forward, gather_forward_args);
LAMINA_CHECK_ARGS(gather_backward, gather_backward_args);
LAMINA_CHECK_ARGS(embedding_forward, embedding_forward_args);
LAMINA_CHECK_ARGS(embedding_backward, embedding_backward_args);
LAMINA_CHECK_ARGS(one_hot_forward, one_hot_forward_args);

static const lamina_attr_def gather_attrs[] = {
    {.name = "axis", .type = LAMINA_ATTR_INT, .offset = offsetof(lamina_gather, axis)}, {0}};
static const lamina_attr_def embedding_attrs[] = {{.name = "padding",
                                                   .type = LAMINA_ATTR_INT,
                                                   .offset = offsetof(lamina_embedding, padding),
                                                   .preset = -0x1p63,
                                                   .has = offsetof(lamina_embedding, has_padding)},
                                                  {0}};
static const lamina_attr_def one_hot_attrs[] = {{.name = "classes",
                                                 .type = LAMINA_ATTR_INT,
                                                 .offset = offsetof(lamina_one_hot, classes),
                                                 .least = 1,
                                                 .most = 0x1p31},
                                                {0}};

/* ---- Shapes ----------------------------------------------------------------------------------------------------- */

/* Axis `axis` of x replaced by those of the indices; fails where these are more than fit. */
static lamina_status picked_dims(const lamina_problem *p, const lamina_desc *x, int indices, int64_t axis,
                                 int64_t dims[LAMINA_MAX_RANK], int *rank) {
  const lamina_desc *by = &p->arg[indices];
  *rank = x->rank - 1 + by->rank;
  if (*rank > LAMINA_MAX_RANK)
    return lamina_problem_error(p, indices, "expected at most %d axes, so that the picked slices have %d",
                                LAMINA_MAX_RANK + 1 - x->rank, LAMINA_MAX_RANK);
  for (int d = 0; d < *rank; d++)
    dims[d] = d < axis ? x->dims[d] : d < axis + by->rank ? by->dims[d - axis] : x->dims[d - by->rank + 1];
  return LAMINA_OK;
}

static lamina_status infer_gather_forward(lamina_problem *p) {
  lamina_gather gather = *(const lamina_gather *)lamina_attr(p);
  const lamina_desc *x = &p->arg[X];
  int64_t dims[LAMINA_MAX_RANK];
  int rank;
  LAMINA_TRY(lamina_want_rank(p, X, 1, LAMINA_MAX_RANK));
  LAMINA_TRY(lamina_want_axis(p, X, &gather.axis));
  memcpy(p->attr, &gather, sizeof gather);
  LAMINA_TRY(picked_dims(p, x, X_INDICES, gather.axis, dims, &rank));
  return lamina_set_output(p, Y, (lamina_dtype)x->dtype, rank, dims);
}

static lamina_status infer_gather_backward(lamina_problem *p) {
  lamina_gather gather = *(const lamina_gather *)lamina_attr(p);
  const lamina_desc *dx = &p->arg[DX];
  int64_t dims[LAMINA_MAX_RANK];
  int rank;
  LAMINA_TRY(lamina_want_shape(p, DX));
  LAMINA_TRY(lamina_want_rank(p, DX, 1, LAMINA_MAX_RANK));
  LAMINA_TRY(lamina_want_axis(p, DX, &gather.axis));
  memcpy(p->attr, &gather, sizeof gather);
  LAMINA_TRY(picked_dims(p, dx, INDICES, gather.axis, dims, &rank));
  return lamina_want_dims(p, DY, rank, dims);
}

static lamina_status infer_embedding_forward(lamina_problem *p) {
  const lamina_desc *w = &p->arg[W];
  int64_t dims[LAMINA_MAX_RANK];
  int rank;
  LAMINA_TRY(lamina_want_rank(p, W, 2, 2));
  LAMINA_TRY(picked_dims(p, w, W_INDICES, 0, dims, &rank));
  return lamina_set_output(p, W_Y, (lamina_dtype)w->dtype, rank, dims);
}

static lamina_status infer_embedding_backward(lamina_problem *p) {
  int64_t dims[LAMINA_MAX_RANK];
  int rank;
  LAMINA_TRY(lamina_want_shape(p, DX));
  LAMINA_TRY(lamina_want_rank(p, DX, 2, 2));
  LAMINA_TRY(picked_dims(p, &p->arg[DX], INDICES, 0, dims, &rank));
  return lamina_want_dims(p, DY, rank, dims);
}

static lamina_status infer_one_hot(lamina_problem *p) {
  const lamina_desc *labels = &p->arg[LABELS];
  int64_t dims[LAMINA_MAX_RANK];
  LAMINA_TRY(lamina_want_rank(p, LABELS, 1, LAMINA_MAX_RANK - 1));
  dims[0] = labels->dims[0], dims[1] = ((const lamina_one_hot *)lamina_attr(p))->classes;
  for (int d = 1; d < labels->rank; d++) dims[d + 1] = labels->dims[d];
  return lamina_set_output(p, HOT, LAMINA_F32, labels->rank + 1, dims);
}

/* ---- References ------------------------------------------------------------------------------------------------- */

/* Sizes of the axes before `axis`, of it, and behind it. */
typedef struct slices {
  int64_t outer, size, inner;
} slices;

static slices slices_of(const lamina_desc *x, int64_t axis) {
  slices s = {1, x->dims[axis], 1};
  for (int d = 0; d < x->rank; d++) *(d < axis ? &s.outer : &s.inner) *= d == axis ? 1 : x->dims[d];
  return s;
}

/* Element `index` of y: a copy. */
static void pick(const slices *s, const double *x, const int64_t *indices, int64_t count, int64_t index,
                 lamina_expected *e) {
  const int64_t at = indices[index / s->inner % count];
  const double *slice = x + (index / (s->inner * count) * s->size) * s->inner;
  e->value = at >= 0 && at < s->size ? slice[at * s->inner + index % s->inner] : (double)NAN;
  e->terms = -1;
}

/* Element `index` of dx: the sum over all that was picked from it. */
static void collect(const slices *s, const double *dy, const int64_t *indices, int64_t count, int64_t padding,
                    int64_t index, lamina_expected *e) {
  const int64_t at = index / s->inner % s->size;
  const double *slice = dy + index / (s->inner * s->size) * count * s->inner + index % s->inner;
  double squares = 0;
  for (int64_t j = 0; j < count && at != padding; j++) {
    if (indices[j] != at) continue;
    e->value += slice[j * s->inner];
    squares += slice[j * s->inner] * slice[j * s->inner];
    e->terms++;
  }
  e->q = sqrt(squares);
  if (e->terms <= 1) e->terms = -1;
}

static void element_gather_forward(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg;
  const slices s = slices_of(&ref->problem->arg[X], ((const lamina_gather *)ref->attr)->axis);
  pick(&s, ref->x[X], ref->i[X_INDICES], lamina_desc_count(&ref->problem->arg[X_INDICES]), index, e);
}
static void element_embedding_forward(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg;
  const slices s = slices_of(&ref->problem->arg[W], 0);
  pick(&s, ref->x[W], ref->i[W_INDICES], lamina_desc_count(&ref->problem->arg[W_INDICES]), index, e);
}
static void element_gather_backward(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const slices s = slices_of(&ref->problem->arg[arg], ((const lamina_gather *)ref->attr)->axis);
  collect(&s, ref->x[DY], ref->i[INDICES], lamina_desc_count(&ref->problem->arg[INDICES]), INT64_MIN, index, e);
}
static void element_embedding_backward(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const slices s = slices_of(&ref->problem->arg[arg], 0);
  collect(&s, ref->x[DY], ref->i[INDICES], lamina_desc_count(&ref->problem->arg[INDICES]),
          ((const lamina_embedding *)ref->attr)->padding, index, e);
}
static void element_one_hot(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const slices s = slices_of(&ref->problem->arg[arg], 1);
  const int64_t label = ref->i[LABELS][index / (s.inner * s.size) * s.inner + index % s.inner];
  *e = (lamina_expected){.value = label == index / s.inner % s.size, .terms = -1};
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

/* Integers below `size`; for an exact test some just beyond it, too, whose NaN and zeros any order gives. (There y has no
 * slope.) */
static void fill_indices(const lamina_problem *p, int indices, int64_t size, bool exact, lamina_fill_def *fill) {
  const bool below = exact && p->arg[indices].dtype != LAMINA_U8;
  if (exact) lamina_fill_integers(p, fill, -4, 4);
  fill[indices] =
      (lamina_fill_def){.kind = LAMINA_FILL_INTEGERS, .low = below ? -1 : 0, .high = (double)(exact ? size : size - 1)};
}
static bool fills_gather_forward(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  fill_indices(p, X_INDICES, p->arg[X].dims[((const lamina_gather *)lamina_attr(p))->axis], exact, fill);
  return true;
}
static bool fills_gather_backward(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  fill_indices(p, INDICES, p->arg[DX].dims[((const lamina_gather *)lamina_attr(p))->axis], exact, fill);
  return true;
}
/* The gradient of the padding isn't y's slope, either: only exact tests have it. */
static void fill_words(const lamina_problem *p, int indices, int64_t words, bool exact, lamina_fill_def *fill) {
  const int64_t padding = ((const lamina_embedding *)lamina_attr(p))->padding;
  fill_indices(p, indices, words, exact, fill);
  if (exact) return;
  if (padding == 0) fill[indices].low = 1;
  if (padding > 0 && padding < words) fill[indices].high = (double)padding - 1;
}
static bool fills_embedding_forward(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  fill_words(p, W_INDICES, p->arg[W].dims[0], exact, fill);
  return true;
}
static bool fills_embedding_backward(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  fill_words(p, INDICES, p->arg[DX].dims[0], exact, fill);
  return true;
}
static bool fills_one_hot(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  fill_indices(p, LABELS, ((const lamina_one_hot *)lamina_attr(p))->classes, exact, fill);
  return true;
}

static lamina_desc sample_indices(lamina_draw *draw) {
  const int64_t dims[] = {LAMINA_PICK(draw, "indices", 1, 2, 7, 30, 0), LAMINA_PICK(draw, "indices", 1, 3)};
  const int rank = (int)LAMINA_PICK(draw, "rank of indices", 0, 1, 1, 2);
  return lamina_dense((lamina_dtype)LAMINA_PICK(draw, "labels", LAMINA_I32, LAMINA_I64), rank, dims);
}

static void sample_gather(lamina_problem *p, lamina_draw *draw) {
  const int rank = (int)LAMINA_PICK(draw, "rank", 1, 2, 3, 4);
  const lamina_gather gather = {.axis = LAMINA_PICK(draw, "axis", 0, 1, 2, -1)};
  int64_t x[4];
  for (int d = 0; d < rank; d++) x[d] = LAMINA_PICK(draw, "size", 1, 2, 5, 9);
  memcpy(p->attr, &gather, sizeof gather);
  p->arg[X] = lamina_draw_shape(draw, rank, x);
  p->arg[X_INDICES] = sample_indices(draw);
}

static void sample_embedding(lamina_problem *p, lamina_draw *draw) {
  const int64_t padding = LAMINA_PICK(draw, "padding", 0, 1, 2);
  const lamina_embedding embedding = {.padding = padding == 2 ? 3 : 0, .has_padding = padding == 1};
  const int64_t w[] = {LAMINA_PICK(draw, "words", 2, 4, 50), LAMINA_PICK(draw, "width", 1, 3, 64, 1500)};
  memcpy(p->attr, &embedding, sizeof embedding);
  p->arg[W] = lamina_draw_shape(draw, 2, w);
  p->arg[W_INDICES] = sample_indices(draw);
}

static void sample_one_hot(lamina_problem *p, lamina_draw *draw) {
  const lamina_one_hot one_hot = {.classes = LAMINA_PICK(draw, "classes", 1, 2, 10, 101)};
  const int64_t dims[] = {LAMINA_PICK(draw, "batch", 1, 2, 33, 0), LAMINA_PICK(draw, "size", 1, 3, 5)};
  memcpy(p->attr, &one_hot, sizeof one_hot);
  p->arg[LABELS] = lamina_dense((lamina_dtype)LAMINA_PICK(draw, "labels", LAMINA_I32, LAMINA_I64),
                                (int)LAMINA_PICK(draw, "rank", 1, 2), dims);
}

static double flops_backward(const lamina_problem *p) { return (double)lamina_desc_count(&p->arg[DY]); }

#define ROW(family, pass)                                                                                              \
  .name = #family "/" #pass, .args = family##_##pass##_args, .attrs = family##_attrs,                                  \
  .attr_size = sizeof(lamina_##family)
const lamina_op_def lamina_ops_gather[] = {
    {ROW(gather, forward), .infer = infer_gather_forward, .element = element_gather_forward,
     .fills = fills_gather_forward, .sample = sample_gather},
    {ROW(gather, backward), .infer = infer_gather_backward, .element = element_gather_backward,
     .fills = fills_gather_backward, .flops = flops_backward},
    {0}};
const lamina_op_def lamina_ops_embedding[] = {
    {ROW(embedding, forward), .infer = infer_embedding_forward, .element = element_embedding_forward,
     .fills = fills_embedding_forward, .sample = sample_embedding},
    {ROW(embedding, backward), .infer = infer_embedding_backward, .element = element_embedding_backward,
     .fills = fills_embedding_backward, .flops = flops_backward},
    {0}};
const lamina_op_def lamina_ops_one_hot[] = {{ROW(one_hot, forward), .by_example = true, .infer = infer_one_hot,
                                             .element = element_one_hot, .fills = fills_one_hot,
                                             .sample = sample_one_hot},
                                            {0}};

LAMINA_DEFINE_CALLS(gather_forward, "gather/forward", gather, (x, indices, y), const lamina_gather *gather,
                    const lamina_tensor *x, const lamina_tensor *indices, const lamina_tensor *y)
LAMINA_DEFINE_CALLS(gather_backward, "gather/backward", gather, (indices, dy, dx), const lamina_gather *gather,
                    const lamina_tensor *indices, const lamina_tensor *dy, const lamina_tensor *dx)
LAMINA_DEFINE_CALLS(embedding_forward, "embedding/forward", embedding, (indices, w, y),
                    const lamina_embedding *embedding, const lamina_tensor *indices, const lamina_tensor *w,
                    const lamina_tensor *y)
LAMINA_DEFINE_CALLS(embedding_backward, "embedding/backward", embedding, (indices, dy, dw),
                    const lamina_embedding *embedding, const lamina_tensor *indices, const lamina_tensor *dy,
                    const lamina_tensor *dw)
LAMINA_DEFINE_CALLS(one_hot_forward, "one_hot/forward", one_hot, (labels, y), const lamina_one_hot *one_hot,
                    const lamina_tensor *labels, const lamina_tensor *y)
