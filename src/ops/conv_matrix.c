/* A convolution as an explicit sparse matrix: row, shapes, reference and the typed calls. */
#include "core/draw.h"
#include "core/plan.h"
#include "ops/conv.h"

enum { W, VALUES, COLUMNS, ROWS };

#define AXES(field, preset_, least_)                                                                                   \
  .type = LAMINA_ATTR_AXES, .offset = offsetof(lamina_conv_matrix_desc, field), .preset = (preset_),                   \
  .least = (least_), .most = 0x1p31
static const lamina_attr_def attrs[] = {
    {.name = "pad", .type = LAMINA_ATTR_PADS, .offset = offsetof(lamina_conv_matrix_desc, conv.pad), .most = 0x1p31},
    {.name = "stride", AXES(conv.stride, 1, 1)},
    {.name = "dilation", AXES(conv.dilation, 1, 1)},
    {.name = "groups",
     .type = LAMINA_ATTR_INT,
     .offset = offsetof(lamina_conv_matrix_desc, conv.groups),
     .preset = 1,
     .least = 1,
     .most = 0x1p31},
    {.name = "flip", .type = LAMINA_ATTR_BOOL, .offset = offsetof(lamina_conv_matrix_desc, conv.flip)},
    {.name = "size", AXES(size, 0, 0)},
    {0}};

static const lamina_arg_def args[] = {{"w", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                      {"values", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                      {"columns", LAMINA_OUT, false, LAMINA_INTEGER, NULL},
                                      {"rows", LAMINA_OUT, false, LAMINA_INTEGER, NULL},
                                      {0}};
LAMINA_CHECK_ARGS(conv_matrix, args);

/* ---- Geometry --------------------------------------------------------------------------------------------------- */

/* The taps [lo, hi) of output position o that lie on the input, along an axis. */
static void taps_at(const lamina_conv_sizes *s, int a, int64_t o, int64_t *lo, int64_t *hi) {
  const int64_t first = o * s->stride[a] - s->pad[a], step = s->dilation[a];
  *lo = first < 0 ? (step - 1 - first) / step : 0;
  *hi = first < s->x[a] ? (s->x[a] - 1 - first) / step + 1 : 0;
  if (*hi > s->w[a]) *hi = s->w[a];
  if (*hi < *lo) *hi = *lo;
}

static int64_t count_at(const lamina_conv_sizes *s, int a, int64_t o) {
  int64_t lo, hi;
  taps_at(s, a, o, &lo, &hi);
  return hi - lo;
}

/* Taps of the positions 0 … o - 1 of an axis. */
static int64_t count_before(const lamina_conv_sizes *s, int a, int64_t o) {
  int64_t count = 0;
  for (int64_t i = 0; i < o; i++) count += count_at(s, a, i);
  return count;
}

/* Taps of all positions before o, in row-major order; o = {y[0], 0, 0}: of all. */
static int64_t taps_before(const lamina_conv_sizes *s, const int64_t o[3]) {
  const int64_t second = count_before(s, 1, s->y[1]), third = count_before(s, 2, s->y[2]);
  int64_t count = count_before(s, 0, o[0]) * second * third;
  if (o[0] == s->y[0]) return count;
  return count +
         count_at(s, 0, o[0]) * (count_before(s, 1, o[1]) * third + count_at(s, 1, o[1]) * count_before(s, 2, o[2]));
}

static lamina_conv_sizes sizes_of(const lamina_problem *p, const lamina_conv_matrix_desc *attr, const int64_t *y) {
  const lamina_desc *w = &p->arg[W];
  int64_t x[LAMINA_MAX_RANK] = {1, w->dims[1] * attr->conv.groups};
  for (int a = 0; a < w->rank - 2; a++) x[2 + a] = attr->size[a];
  const lamina_desc in = lamina_dense(LAMINA_F64, w->rank, x), out = lamina_dense(LAMINA_F64, w->rank, y);
  return lamina_conv_sizes_of(&attr->conv, &in, w, &out);
}

/* dims of y from the filter and the input's spatial shape. */
static lamina_status output_dims(const lamina_problem *p, const lamina_conv_matrix_desc *attr, int64_t *y) {
  const lamina_desc *w = &p->arg[W];
  y[0] = 1, y[1] = w->dims[0];
  for (int a = 0; a < w->rank - 2; a++) {
    const int64_t padded = attr->size[a] + attr->conv.pad[a][0] + attr->conv.pad[a][1];
    int64_t reach;
    if (w->dims[2 + a] < 1) return lamina_problem_error(p, W, "expected at least 1 on every spatial axis");
    if (attr->size[a] < 1)
      return lamina_problem_error(p, W, "size, the input's spatial shape, is missing on spatial axis %d", a);
    if (!lamina_mul(w->dims[2 + a] - 1, attr->conv.dilation[a], &reach) || padded <= reach)
      return lamina_problem_error(p, W,
                                  "with padding the input's spatial axis %d has %lld elements, fewer than the "
                                  "filter needs",
                                  a, (long long)padded);
    y[2 + a] = (padded - reach - 1) / attr->conv.stride[a] + 1;
  }
  return LAMINA_OK;
}

/* i64, or i32 where the numbers fit. */
static lamina_status set_index(lamina_problem *p, int arg, int64_t count, int64_t most) {
  LAMINA_TRY(lamina_set_output(p, arg, LAMINA_I64, 1, &count));
  const int32_t dtype = p->arg[arg].dtype;
  if (dtype != LAMINA_I64 && dtype != LAMINA_I32) return lamina_problem_error(p, arg, "expected i64 or i32");
  if (dtype == LAMINA_I32 && most > INT32_MAX)
    return lamina_problem_error(p, arg, "its numbers go up to %lld; expected i64", (long long)most);
  return LAMINA_OK;
}

static lamina_status infer(lamina_problem *p) {
  const lamina_desc *w = &p->arg[W];
  int64_t y[LAMINA_MAX_RANK], C, height, width, stored;
  LAMINA_TRY(lamina_want_rank(p, W, 3, 5));
  LAMINA_TRY(lamina_trim_axes(p, w->rank - 2));
  const lamina_conv_matrix_desc *attr = lamina_attr(p);
  if (w->dims[0] % attr->conv.groups)
    return lamina_problem_error(p, W, "its %lld filters can't be split into %lld groups", (long long)w->dims[0],
                                (long long)attr->conv.groups);
  LAMINA_TRY(output_dims(p, attr, y));
  bool fits = lamina_mul(w->dims[1], attr->conv.groups, &C);
  height = y[1], width = C;
  for (int a = 0; a < w->rank - 2; a++)
    fits = fits && lamina_mul(height, y[2 + a], &height) && lamina_mul(width, attr->size[a], &width);
  stored = height; /* of all taps, a bound */
  for (int a = 1; a < w->rank; a++) fits = fits && lamina_mul(stored, w->dims[a], &stored);
  if (!fits || height > INT64_MAX / 16 || stored > INT64_MAX / 16)
    return lamina_problem_error(p, W, "the matrix has too many elements");
  const lamina_conv_sizes s = sizes_of(p, attr, y);
  const int64_t count = s.K * (s.C / s.groups) * taps_before(&s, (int64_t[]){s.y[0], 0, 0});
  LAMINA_TRY(lamina_set_output(p, VALUES, (lamina_dtype)w->dtype, 1, &count));
  LAMINA_TRY(set_index(p, COLUMNS, count, width - 1));
  return set_index(p, ROWS, height + 1, count);
}

/* ---- The reference ---------------------------------------------------------------------------------------------- */

/* The position of an axis that entry `*index` belongs to, where each tap of it has `each` entries; *index becomes the
 * place among them. */
static int64_t find(const lamina_conv_sizes *s, int a, int64_t each, int64_t *index) {
  int64_t o = 0;
  for (int64_t here; *index >= (here = count_at(s, a, o) * each); o++) *index -= here;
  return o;
}

/* Stored entry `index`: its weight's flat index in w, and its column. */
static void entry_at(const lamina_conv_sizes *s, int64_t index, int64_t *weight, int64_t *column) {
  const int64_t Cg = s->C / s->groups, second = count_before(s, 1, s->y[1]), third = count_before(s, 2, s->y[2]);
  const int64_t each = Cg * count_before(s, 0, s->y[0]) * second * third, k = index / each;
  int64_t o[3], lo[3], hi[3], i[3], r[3];
  index %= each;
  o[0] = find(s, 0, Cg * second * third, &index);
  o[1] = find(s, 1, Cg * count_at(s, 0, o[0]) * third, &index);
  o[2] = find(s, 2, Cg * count_at(s, 0, o[0]) * count_at(s, 1, o[1]), &index);
  for (int a = 0; a < 3; a++) taps_at(s, a, o[a], &lo[a], &hi[a]);
  for (int a = 2; a >= 0; a--) {
    r[a] = lo[a] + index % (hi[a] - lo[a]), index /= hi[a] - lo[a];
    i[a] = o[a] * s->stride[a] - s->pad[a] + r[a] * s->dilation[a];
    if (s->flip) r[a] = s->w[a] - 1 - r[a];
  }
  const int64_t c = k / (s->K / s->groups) * Cg + index; /* what is left of it is the channel */
  *weight = (((k * Cg + index) * s->w[0] + r[0]) * s->w[1] + r[1]) * s->w[2] + r[2];
  *column = ((c * s->x[0] + i[0]) * s->x[1] + i[1]) * s->x[2] + i[2];
}

static void element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_conv_matrix_desc *attr = ref->attr;
  int64_t y[LAMINA_MAX_RANK], weight, column;
  if (output_dims(ref->problem, attr, y)) return; /* infer has seen that it is right */
  const lamina_conv_sizes s = sizes_of(ref->problem, attr, y);
  e->terms = -1;
  if (arg == ROWS) {
    int64_t o[3], rest = index;
    for (int a = 2; a >= 0; a--) o[a] = rest % s.y[a], rest /= s.y[a];
    const int64_t all = taps_before(&s, (int64_t[]){s.y[0], 0, 0});
    e->value = (double)(s.C / s.groups * (rest * all + taps_before(&s, o)));
    return;
  }
  entry_at(&s, index, &weight, &column);
  e->value = arg == VALUES ? ref->x[W][weight] : (double)column;
}

static bool fills(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  if (exact) lamina_fill_integers(p, fill, -2, 2);
  return true;
}

static void sample(lamina_problem *p, lamina_draw *draw) {
  lamina_conv_matrix_desc attr = {
      .conv = {.groups = LAMINA_PICK(draw, "groups", 1, 1, 2), .flip = LAMINA_PICK(draw, "flip", 0, 0, 1)}};
  const int axes = (int)LAMINA_PICK(draw, "axes", 1, 2, 2, 3);
  int64_t w[5] = {attr.conv.groups * LAMINA_PICK(draw, "filters", 1, 2, 3, 0), LAMINA_PICK(draw, "channels", 1, 2, 3)};
  for (int a = 0; a < axes; a++) {
    attr.size[a] = LAMINA_PICK(draw, "size", 1, 2, 3, 5, 7);
    w[2 + a] = LAMINA_PICK(draw, "filter", 1, 2, 3, 5);
    attr.conv.stride[a] = LAMINA_PICK(draw, "stride", 1, 1, 2, 3);
    attr.conv.dilation[a] = LAMINA_PICK(draw, "dilation", 1, 1, 2);
    for (int side = 0; side < 2; side++) attr.conv.pad[a][side] = LAMINA_PICK(draw, "pad", 0, 1, 2, 3);
  }
  memcpy(p->attr, &attr, sizeof attr);
  p->arg[W] = lamina_draw_shape(draw, 2 + axes, w);
}

const lamina_op_def lamina_ops_conv_matrix[] = {{.name = "conv/matrix",
                                                 .args = args,
                                                 .attrs = attrs,
                                                 .attr_size = sizeof(lamina_conv_matrix_desc),
                                                 .infer = infer,
                                                 .element = element,
                                                 .fills = fills,
                                                 .sample = sample},
                                                {0}};

LAMINA_DEFINE_CALLS(conv_matrix, "conv/matrix", conv, (w, values, columns, rows), const lamina_conv_matrix_desc *conv,
                    const lamina_tensor *w, const lamina_tensor *values, const lamina_tensor *columns,
                    const lamina_tensor *rows)
