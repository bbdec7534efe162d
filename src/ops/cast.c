/* Casts: rows, reference and the typed calls. Both passes are the same function of their first argument. */
#include "lamina/cast.h"

#include "core/draw.h"
#include "core/plan.h"
#include "core/problem.h"

static const lamina_attr_def attrs[] = {{0}};
enum { X, Y };
static const lamina_arg_def forward_args[] = {
    {"x", LAMINA_IN, false, LAMINA_ANY, NULL}, {"y", LAMINA_OUT, false, LAMINA_ANY, NULL}, {0}};
static const lamina_arg_def backward_args[] = {
    {"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL}, {"dx", LAMINA_OUT, false, LAMINA_FLOATING, NULL}, {0}};
LAMINA_CHECK_ARGS(cast_forward, forward_args);
LAMINA_CHECK_ARGS(cast_backward, backward_args);

static lamina_status infer(lamina_problem *p) {
  const lamina_desc *x = &p->arg[X];
  return lamina_set_output(p, Y, (lamina_dtype)x->dtype, x->rank, x->dims);
}

static void element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg;
  *e = (lamina_expected){.value = ref->x[X][index], .terms = -1};
}

/* Integers beyond the range of u8, on both sides. */
static bool fills(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  const lamina_dtype dtype = (lamina_dtype)p->arg[X].dtype;
  if (exact || !lamina_dtype_is_floating(dtype))
    fill[X] = (lamina_fill_def){.kind = LAMINA_FILL_INTEGERS, .low = dtype == LAMINA_U8 ? 0 : -300, .high = 300};
  if (dtype == LAMINA_U8) fill[X].high = 255;
  return true;
}

static void sample(lamina_problem *p, lamina_draw *draw) {
  const int64_t from = LAMINA_PICK(draw, "from", 0, 0, LAMINA_F32, LAMINA_BF16, LAMINA_I64, LAMINA_I32, LAMINA_U8);
  const int64_t to = LAMINA_PICK(draw, "to", 0, LAMINA_F32, LAMINA_F16, LAMINA_BF16, LAMINA_F64, LAMINA_I32, LAMINA_U8);
  lamina_draw_alike(p, draw);
  if (from) p->arg[X].dtype = (int32_t)from;
  p->arg[Y] = lamina_infer((lamina_dtype)to);
}

#define ROW(pass)                                                                                                      \
  .name = "cast/" #pass, .args = pass##_args, .attrs = attrs, .infer = infer, .element = element, .fills = fills
const lamina_op_def lamina_ops_cast[] = {{ROW(forward), .sample = sample}, {ROW(backward)}, {0}};

LAMINA_DEFINE_CALLS(cast_forward, "cast/forward", NULL, (x, y), const lamina_tensor *x, const lamina_tensor *y)
LAMINA_DEFINE_CALLS(cast_backward, "cast/backward", NULL, (dy, dx), const lamina_tensor *dy, const lamina_tensor *dx)
