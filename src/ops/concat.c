/* Concat and split: rows, references and the typed calls. */
#include "lamina/concat.h"

#include "core/plan.h"
#include "ops/shape.h"

_Static_assert(LAMINA_PARTS <= LAMINA_MAX_RANK, "sizes are LIST attributes");

/* ---- Rows' arguments and attributes ----------------------------------------------------------------------------- */

#define AXIS_ATTR(type_)                                                                                               \
  {                                                                                                                    \
    .name = "axis", .type = LAMINA_ATTR_INT, .offset = offsetof(type_, axis), .preset = 1,                             \
    .has = offsetof(type_, has_axis)                                                                                   \
  }
#define SIZES_ATTR(type_)                                                                                              \
  { .name = "sizes", .type = LAMINA_ATTR_LIST, .offset = offsetof(type_, sizes), .most = 0x1p63 }

static const lamina_attr_def concat_attrs[] = {AXIS_ATTR(lamina_concat), SIZES_ATTR(lamina_concat), {0}};
static const lamina_attr_def split_attrs[] = {
    AXIS_ATTR(lamina_split),
    {.name = "parts", .type = LAMINA_ATTR_INT, .offset = offsetof(lamina_split, parts), .most = LAMINA_PARTS},
    SIZES_ATTR(lamina_split),
    {0}};

#define PART(name, role, optional)                                                                                     \
  { name, role, optional, LAMINA_ANY, NULL }
#define PARTS(prefix, role, optional)                                                                                  \
  PART(prefix "0", role, optional), PART(prefix "1", role, optional), PART(prefix "2", role, true),                    \
      PART(prefix "3", role, true), PART(prefix "4", role, true), PART(prefix "5", role, true),                        \
      PART(prefix "6", role, true), PART(prefix "7", role, true)

/* The whole comes after the parts, or before them. */
enum { PARTS_THEN_WHOLE_PART = 0, PARTS_THEN_WHOLE = LAMINA_PARTS, WHOLE_THEN_PARTS = 0, WHOLE_THEN_PARTS_PART = 1 };

static const lamina_arg_def concat_forward_args[] = {
    PARTS("x", LAMINA_IN, false), {"y", LAMINA_OUT, false, LAMINA_ANY, NULL}, {0}};
static const lamina_arg_def concat_backward_args[] = {
    {"dy", LAMINA_IN, false, LAMINA_ANY, NULL}, PARTS("dx", LAMINA_OUT, true), {0}};
static const lamina_arg_def split_forward_args[] = {
    {"x", LAMINA_IN, false, LAMINA_ANY, NULL}, PARTS("y", LAMINA_OUT, true), {0}};
static const lamina_arg_def split_backward_args[] = {
    PARTS("dy", LAMINA_IN, true), {"dx", LAMINA_OUT, false, LAMINA_ANY, NULL}, {0}};
LAMINA_CHECK_ARGS(concat_forward, concat_forward_args);
LAMINA_CHECK_ARGS(concat_backward, concat_backward_args);
LAMINA_CHECK_ARGS(split_forward, split_forward_args);
LAMINA_CHECK_ARGS(split_backward, split_backward_args);

/* ---- Shapes ----------------------------------------------------------------------------------------------------- */

static bool any(const int64_t *sizes) {
  int64_t bits = 0;
  for (int k = 0; k < LAMINA_PARTS; k++) bits |= sizes[k];
  return bits != 0;
}

static lamina_status total(const lamina_problem *p, const int64_t *sizes, int64_t *sum) {
  *sum = 0;
  for (int k = 0; k < LAMINA_PARTS; k++)
    if (!lamina_sum(*sum, sizes[k], sum))
      return lamina_error(LAMINA_INVALID, "%s: the sum of all sizes overflows", lamina_op_at(p->op)->name);
  return LAMINA_OK;
}

/* Parts that are there have the dims of argument `like` but for the axis, along which they have `sizes`, which come
 * from them where none are given. */
static lamina_status check_parts(lamina_problem *p, int first, int like, int axis, int64_t *sizes) {
  const bool given = any(sizes);
  int64_t dims[LAMINA_MAX_RANK];
  const int rank = p->arg[like].rank;
  memcpy(dims, p->arg[like].dims, sizeof dims);
  for (int k = 0; k < LAMINA_PARTS; k++) {
    const lamina_desc *part = &p->arg[first + k];
    if (!lamina_present(part) || part->rank == LAMINA_RANK_INFER) continue;
    LAMINA_TRY(lamina_want_rank(p, first + k, rank, rank));
    if (!given) sizes[k] = part->dims[axis];
    dims[axis] = sizes[k];
    LAMINA_TRY(lamina_want_dims(p, first + k, rank, dims));
  }
  return LAMINA_OK;
}

static int64_t part_count(const int64_t *sizes) {
  int64_t count = LAMINA_PARTS;
  while (count > 0 && !sizes[count - 1]) count--;
  return count;
}

/* Outputs that are parts: those to be inferred get their size. Of size 0 there are only the first `count`. */
static lamina_status infer_parts(lamina_problem *p, int first, int like, int axis, int64_t count,
                                 const int64_t *sizes) {
  int64_t dims[LAMINA_MAX_RANK];
  memcpy(dims, p->arg[like].dims, sizeof dims);
  for (int k = 0; k < LAMINA_PARTS; k++) {
    lamina_desc *part = &p->arg[first + k];
    dims[axis] = sizes[k];
    if (part->rank == LAMINA_RANK_INFER && !sizes[k] && k >= count)
      *part = (lamina_desc){0};
    else if (lamina_present(part))
      LAMINA_TRY(lamina_set_output(p, first + k, (lamina_dtype)p->arg[like].dtype, p->arg[like].rank, dims));
  }
  return LAMINA_OK;
}

/* The whole has the sum of `sizes` along the axis. */
static lamina_status check_sum(const lamina_problem *p, int whole, int axis, const int64_t *sizes) {
  int64_t sum;
  LAMINA_TRY(total(p, sizes, &sum));
  if (p->arg[whole].dims[axis] == sum) return LAMINA_OK;
  return lamina_problem_error(p, whole, "its parts have %lld along axis %d, so `sizes` must be given or corrected",
                              (long long)sum, axis);
}

static lamina_status infer_concat_forward(lamina_problem *p) {
  enum { X0 = PARTS_THEN_WHOLE_PART, Y = PARTS_THEN_WHOLE };
  lamina_concat c;
  int64_t dims[LAMINA_MAX_RANK];
  memcpy(&c, p->attr, sizeof c);
  LAMINA_TRY(lamina_want_axis(p, X0, &c.axis));
  LAMINA_TRY(check_parts(p, X0, X0, (int)c.axis, c.sizes));
  for (int k = 0; k < LAMINA_PARTS; k++)
    if (!lamina_present(&p->arg[X0 + k]) && c.sizes[k])
      return lamina_error(LAMINA_INVALID, "concat/forward: sizes has %lld for x%d, which isn't there",
                          (long long)c.sizes[k], k);
  memcpy(dims, p->arg[X0].dims, sizeof dims);
  LAMINA_TRY(total(p, c.sizes, &dims[c.axis]));
  LAMINA_TRY(lamina_set_output(p, Y, (lamina_dtype)p->arg[X0].dtype, p->arg[X0].rank, dims));
  memcpy(p->attr, &c, sizeof c);
  return lamina_want_alike(p, X0);
}

static lamina_status infer_concat_backward(lamina_problem *p) {
  enum { DY = WHOLE_THEN_PARTS, DX0 = WHOLE_THEN_PARTS_PART };
  lamina_concat c;
  memcpy(&c, p->attr, sizeof c);
  LAMINA_TRY(lamina_want_axis(p, DY, &c.axis));
  for (int k = 0; k < LAMINA_PARTS && !any(c.sizes); k++) LAMINA_TRY(lamina_want_shape(p, DX0 + k));
  LAMINA_TRY(check_parts(p, DX0, DY, (int)c.axis, c.sizes));
  LAMINA_TRY(check_sum(p, DY, (int)c.axis, c.sizes));
  LAMINA_TRY(infer_parts(p, DX0, DY, (int)c.axis, 0, c.sizes));
  memcpy(p->attr, &c, sizeof c);
  return lamina_want_alike(p, DY);
}

/* `parts` become the sizes that they mean, so that equal problems are equal bytes. */
static lamina_status split_sizes(lamina_problem *p, int whole, lamina_split *s) {
  const int64_t size = p->arg[whole].dims[s->axis];
  int64_t sizes[LAMINA_PARTS] = {0};
  if (!s->parts && !any(s->sizes) && size)
    return lamina_error(LAMINA_INVALID, "%s: parts or sizes must be given", lamina_op_at(p->op)->name);
  if (s->parts && size % s->parts)
    return lamina_problem_error(p, whole, "its axis %d can't be split into %lld equal parts", (int)s->axis,
                                (long long)s->parts);
  for (int64_t k = 0; k < s->parts; k++) sizes[k] = size / s->parts;
  if (s->parts && any(s->sizes) && memcmp(sizes, s->sizes, sizeof sizes) != 0)
    return lamina_error(LAMINA_INVALID, "%s: parts and sizes contradict each other; expected one of them",
                        lamina_op_at(p->op)->name);
  if (s->parts) memcpy(s->sizes, sizes, sizeof sizes);
  s->parts = 0;
  return check_sum(p, whole, (int)s->axis, s->sizes);
}

static lamina_status infer_split_forward(lamina_problem *p) {
  enum { X = WHOLE_THEN_PARTS, Y0 = WHOLE_THEN_PARTS_PART };
  lamina_split s;
  memcpy(&s, p->attr, sizeof s);
  LAMINA_TRY(lamina_want_axis(p, X, &s.axis));
  const int64_t parts = s.parts;
  LAMINA_TRY(split_sizes(p, X, &s));
  LAMINA_TRY(infer_parts(p, Y0, X, (int)s.axis, parts ? parts : part_count(s.sizes), s.sizes));
  memcpy(p->attr, &s, sizeof s);
  return lamina_want_alike(p, X);
}

static lamina_status infer_split_backward(lamina_problem *p) {
  enum { DY0 = PARTS_THEN_WHOLE_PART, DX = PARTS_THEN_WHOLE };
  lamina_split s;
  memcpy(&s, p->attr, sizeof s);
  if (p->arg[DX].rank == LAMINA_RANK_INFER && any(s.sizes)) { /* as a dy is, but for the axis */
    int k = 0;
    while (k < LAMINA_PARTS && !lamina_present(&p->arg[DY0 + k])) k++;
    if (k < LAMINA_PARTS) {
      int64_t dims[LAMINA_MAX_RANK], axis = s.axis;
      LAMINA_TRY(lamina_want_axis(p, DY0 + k, &axis));
      memcpy(dims, p->arg[DY0 + k].dims, sizeof dims);
      LAMINA_TRY(total(p, s.sizes, &dims[axis]));
      LAMINA_TRY(lamina_set_output(p, DX, (lamina_dtype)p->arg[DY0 + k].dtype, p->arg[DY0 + k].rank, dims));
    }
  }
  LAMINA_TRY(lamina_want_shape(p, DX));
  LAMINA_TRY(lamina_want_axis(p, DX, &s.axis));
  LAMINA_TRY(split_sizes(p, DX, &s));
  for (int k = 0; k < LAMINA_PARTS; k++) {
    int64_t dims[LAMINA_MAX_RANK];
    memcpy(dims, p->arg[DX].dims, sizeof dims);
    dims[s.axis] = s.sizes[k];
    LAMINA_TRY(lamina_want_dims(p, DY0 + k, p->arg[DX].rank, dims));
  }
  memcpy(p->attr, &s, sizeof s);
  return lamina_want_alike(p, DX);
}

/* ---- References ------------------------------------------------------------------------------------------------- */

static void moved(lamina_expected *e, double value) { *e = (lamina_expected){.value = value, .terms = -1}; }

/* Element `index` of the whole, which the parts make up; one that isn't there counts as zeros. */
static double of_whole(const lamina_reference *ref, int whole, int first, int axis, const int64_t *sizes,
                       int64_t index) {
  const lamina_desc *desc = &ref->problem->arg[whole];
  const int64_t inner = lamina_product(desc->dims, axis + 1, desc->rank), step = desc->dims[axis] * inner;
  int64_t at = index / inner % desc->dims[axis];
  int k = 0;
  while (at >= sizes[k]) at -= sizes[k++];
  return ref->x[first + k] ? ref->x[first + k][(index / step * sizes[k] + at) * inner + index % inner] : 0;
}

/* Element `index` of part k. */
static double of_part(const lamina_reference *ref, int whole, int part, int k, int axis, const int64_t *sizes,
                      int64_t index) {
  const lamina_desc *desc = &ref->problem->arg[part];
  const int64_t inner = lamina_product(desc->dims, axis + 1, desc->rank), size = ref->problem->arg[whole].dims[axis];
  const int64_t at = index / inner % desc->dims[axis];
  int64_t before = 0;
  for (int i = 0; i < k; i++) before += sizes[i];
  return ref->x[whole][(index / (desc->dims[axis] * inner) * size + before + at) * inner + index % inner];
}

static void concat_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_concat *c = ref->attr;
  moved(e, of_whole(ref, arg, PARTS_THEN_WHOLE_PART, (int)c->axis, c->sizes, index));
}
static void concat_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_concat *c = ref->attr;
  moved(e, of_part(ref, WHOLE_THEN_PARTS, arg, arg - WHOLE_THEN_PARTS_PART, (int)c->axis, c->sizes, index));
}
static void split_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_split *s = ref->attr;
  moved(e, of_part(ref, WHOLE_THEN_PARTS, arg, arg - WHOLE_THEN_PARTS_PART, (int)s->axis, s->sizes, index));
}
static void split_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_split *s = ref->attr;
  moved(e, of_whole(ref, arg, PARTS_THEN_WHOLE_PART, (int)s->axis, s->sizes, index));
}

/* ---- Tests ------------------------------------------------------------------------------------------------------ */

/* The dims of a whole, its axis and the sizes of its parts: at least `least` of them. */
static int draw_parts(lamina_draw *draw, int64_t *dims, int64_t *axis, int64_t *sizes) {
  const int rank = (int)LAMINA_PICK(draw, "rank", 1, 2, 3, 4, 8);
  const int64_t count = LAMINA_PICK(draw, "parts", 2, 2, 3, 8);
  lamina_draw_dims(draw, rank, dims);
  *axis = LAMINA_PICK(draw, "axis", 0, 1, 2, -1, -2);
  const int64_t at = *axis < 0 ? *axis + rank : *axis;
  if (at < 0 || at >= rank) return rank; /* it is refused and drawn again */
  dims[at] = 0;
  for (int64_t k = 0; k < count; k++) dims[at] += sizes[k] = LAMINA_PICK(draw, "part", 1, 2, 3, 17, 0);
  return rank;
}

static void sample_concat(lamina_problem *p, lamina_draw *draw) {
  lamina_concat c = {.has_axis = 1};
  int64_t dims[LAMINA_MAX_RANK];
  const int rank = draw_parts(draw, dims, &c.axis, c.sizes);
  const lamina_dtype dtype = lamina_draw_any(draw);
  for (int k = 0; k < LAMINA_PARTS && (k < 2 || c.sizes[k]); k++) {
    if (c.axis >= -rank && c.axis < rank) dims[c.axis < 0 ? c.axis + rank : c.axis] = c.sizes[k];
    p->arg[k] = lamina_dense(dtype, rank, dims);
  }
  memset(c.sizes, 0, sizeof c.sizes); /* some of the parts may yet be left out */
  memcpy(p->attr, &c, sizeof c);
}

static void sample_split(lamina_problem *p, lamina_draw *draw) {
  lamina_split s = {.has_axis = 1};
  int64_t dims[LAMINA_MAX_RANK];
  const int rank = draw_parts(draw, dims, &s.axis, s.sizes);
  p->arg[0] = lamina_dense(lamina_draw_any(draw), rank, dims);
  memcpy(p->attr, &s, sizeof s);
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

const lamina_op_def lamina_ops_concat[] = {{.name = "concat/forward",
                                            .args = concat_forward_args,
                                            .attrs = concat_attrs,
                                            .attr_size = sizeof(lamina_concat),
                                            .infer = infer_concat_forward,
                                            .element = concat_forward_element,
                                            .fills = lamina_shape_fills,
                                            .sample = sample_concat},
                                           {.name = "concat/backward",
                                            .args = concat_backward_args,
                                            .attrs = concat_attrs,
                                            .attr_size = sizeof(lamina_concat),
                                            .infer = infer_concat_backward,
                                            .element = concat_backward_element,
                                            .fills = lamina_shape_fills},
                                           {0}};

const lamina_op_def lamina_ops_split[] = {{.name = "split/forward",
                                           .args = split_forward_args,
                                           .attrs = split_attrs,
                                           .attr_size = sizeof(lamina_split),
                                           .infer = infer_split_forward,
                                           .element = split_forward_element,
                                           .fills = lamina_shape_fills,
                                           .sample = sample_split},
                                          {.name = "split/backward",
                                           .args = split_backward_args,
                                           .attrs = split_attrs,
                                           .attr_size = sizeof(lamina_split),
                                           .infer = infer_split_backward,
                                           .element = split_backward_element,
                                           .fills = lamina_shape_fills},
                                          {0}};

#define AT(x, i) ((x) ? (x)[i] : NULL) /* what is missing is said by its name, x0 */
#define ALL(x)   AT(x, 0), AT(x, 1), AT(x, 2), AT(x, 3), AT(x, 4), AT(x, 5), AT(x, 6), AT(x, 7)
LAMINA_DEFINE_CALLS(concat_forward, "concat/forward", concat, (ALL(x), y), const lamina_concat *concat,
                    const lamina_tensor *const *x, const lamina_tensor *y)
LAMINA_DEFINE_CALLS(concat_backward, "concat/backward", concat, (dy, ALL(dx)), const lamina_concat *concat,
                    const lamina_tensor *dy, const lamina_tensor *const *dx)
LAMINA_DEFINE_CALLS(split_forward, "split/forward", split, (x, ALL(y)), const lamina_split *split,
                    const lamina_tensor *x, const lamina_tensor *const *y)
LAMINA_DEFINE_CALLS(split_backward, "split/backward", split, (ALL(dy), dx), const lamina_split *split,
                    const lamina_tensor *const *dy, const lamina_tensor *dx)
