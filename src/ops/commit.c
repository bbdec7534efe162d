/* Taking over new values: the row, reference and typed call. */
#include "lamina/commit.h"

#include <math.h>

#include "core/draw.h"
#include "core/plan.h"
#include "core/problem.h"

enum { X, GATE, Y };
static const lamina_arg_def args[] = {{"x", LAMINA_IN, false, LAMINA_ANY, NULL},
                                      {"gate", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                      {"y", LAMINA_INOUT, false, LAMINA_ANY, NULL},
                                      {0}};
static const lamina_attr_def attrs[] = {{0}};

LAMINA_CHECK_ARGS(commit_forward, args);

static lamina_status infer(lamina_problem *p) {
  const lamina_desc *x = &p->arg[X];
  LAMINA_TRY(lamina_want_dims(p, GATE, 1, (int64_t[]){1}));
  LAMINA_TRY(lamina_set_output(p, Y, (lamina_dtype)x->dtype, x->rank, x->dims));
  if (x->dtype != p->arg[Y].dtype)
    return lamina_problem_error(p, Y, "expected %s, as x is", lamina_dtype_name((lamina_dtype)x->dtype));
  return LAMINA_OK;
}

static void element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const bool open = isfinite(ref->x[GATE][0]);
  (void)arg;
  *e = (lamina_expected){.value = ref->x[open ? X : Y][index], .terms = -1};
}

static bool fills(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  const bool integers = !lamina_dtype_is_floating((lamina_dtype)p->arg[X].dtype);
  if (exact || integers) fill[X] = fill[Y] = (lamina_fill_def){.kind = LAMINA_FILL_INTEGERS, .low = 0, .high = 100};
  return true;
}

static void sample(lamina_problem *p, lamina_draw *draw) {
  const int64_t type = LAMINA_PICK(draw, "integers", 0, 0, LAMINA_I64, LAMINA_I32, LAMINA_U8), one = 1;
  lamina_draw_alike(p, draw);
  if (type) p->arg[X].dtype = p->arg[Y].dtype = (int32_t)type;
  p->arg[GATE] = lamina_dense(LAMINA_F32, 1, &one);
}

const lamina_op_def lamina_ops_commit[] = {{.name = "commit/forward",
                                            .args = args,
                                            .attrs = attrs,
                                            .infer = infer,
                                            .element = element,
                                            .fills = fills,
                                            .sample = sample},
                                           {0}};

LAMINA_DEFINE_CALLS(commit_forward, "commit/forward", NULL, (x, gate, y), const lamina_tensor *x,
                    const lamina_tensor *gate, const lamina_tensor *y)
