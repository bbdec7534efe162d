/* Fill: its row, reference and typed calls. */
#include "lamina/fill.h"

#include "core/draw.h"
#include "core/plan.h"
#include "core/problem.h"

enum { Y };
static const lamina_arg_def args[] = {{"y", LAMINA_OUT, false, LAMINA_ANY, NULL}, {0}};
static const lamina_attr_def attrs[] = {
    {.name = "value", .type = LAMINA_ATTR_REAL, .offset = offsetof(lamina_fill, value)}, {0}};
LAMINA_CHECK_ARGS(fill_forward, args);

static lamina_status infer(lamina_problem *p) { return lamina_want_shape(p, Y); }

static void element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg, (void)index;
  *e = (lamina_expected){.value = ((const lamina_fill *)ref->attr)->value, .terms = -1};
}

static bool fills(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  (void)p, (void)exact, (void)fill;
  return true;
}

static void sample(lamina_problem *p, lamina_draw *draw) {
  const lamina_fill fill = {.value = (double)LAMINA_PICK(draw, "value", 0, 1, -7, 300) / 2};
  const int rank = (int)LAMINA_PICK(draw, "rank", 1, 2, 3);
  const int64_t dims[] = {LAMINA_PICK(draw, "first", 1, 2, 7, 0), LAMINA_PICK(draw, "second", 1, 3, 8),
                          LAMINA_PICK(draw, "third", 1, 5, 40009)};
  memcpy(p->attr, &fill, sizeof fill);
  p->arg[Y] = lamina_draw_shape(draw, rank, dims);
  const int64_t type = LAMINA_PICK(draw, "integers", 0, 0, LAMINA_I64, LAMINA_I32, LAMINA_U8);
  if (type) p->arg[Y].dtype = (int32_t)type;
}

const lamina_op_def lamina_ops_fill[] = {{.name = "fill/forward",
                                          .args = args,
                                          .attrs = attrs,
                                          .attr_size = sizeof(lamina_fill),
                                          .infer = infer,
                                          .element = element,
                                          .fills = fills,
                                          .sample = sample},
                                         {0}};

LAMINA_DEFINE_CALLS(fill_forward, "fill/forward", fill, (y), const lamina_fill *fill, const lamina_tensor *y)
