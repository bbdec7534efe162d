/* Fill: its row, reference and typed calls. */
#include "lamina/fill.h"

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

const lamina_op_def lamina_ops_fill[] = {{.name = "fill/forward",
                                          .args = args,
                                          .attrs = attrs,
                                          .attr_size = sizeof(lamina_fill),
                                          .infer = infer,
                                          .element = element,
                                          .fills = fills},
                                         {0}};

LAMINA_DEFINE_CALLS(fill_forward, "fill/forward", fill, (y), const lamina_fill *fill, const lamina_tensor *y)
