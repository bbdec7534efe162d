/* Top-k hits: the row, reference and typed calls. */
#include <math.h>

#include "core/classes.h"
#include "core/draw.h"
#include "core/plan.h"
#include "lamina/metric.h"

enum { X, LABELS, HITS };
static const lamina_arg_def args[] = {{"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                      {"labels", LAMINA_IN, false, LAMINA_INTEGER, NULL},
                                      {"hits", LAMINA_OUT, false, LAMINA_INTEGER, NULL},
                                      {0}};
static const lamina_attr_def attrs[] = {{.name = "k",
                                         .type = LAMINA_ATTR_INT,
                                         .offset = offsetof(lamina_top_k, k),
                                         .preset = 1,
                                         .least = 1,
                                         .most = 0x1p31},
                                        {0}};
LAMINA_CHECK_ARGS(top_k_forward, args);

static lamina_status infer(lamina_problem *p) {
  LAMINA_TRY(lamina_want_classes(p, X, LABELS));
  return lamina_set_output(p, HITS, LAMINA_I64, 1, (int64_t[]){1});
}

static bool hits(const double *x, const lamina_classes *k, int64_t label, int64_t most) {
  if (label < 0 || label >= k->C) return false;
  const double mine = x[label * k->S];
  int64_t rank = 0;
  for (int64_t c = 0; c < k->C; c++) rank += x[c * k->S] > mine || (x[c * k->S] == mine && c < label);
  return rank < most && !isnan(mine);
}

static void element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg, (void)index;
  const lamina_classes k = lamina_classes_of(&ref->problem->arg[X]);
  const int64_t most = ((const lamina_top_k *)ref->attr)->k;
  int64_t count = 0;
  for (int64_t m = 0; m < k.M; m++) count += hits(ref->x[X] + lamina_classes_at(&k, m), &k, ref->i[LABELS][m], most);
  *e = (lamina_expected){.value = (double)count, .terms = -1};
}

/* Few different scores, so that there are ties. */
static bool fills(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  if (exact) lamina_fill_integers(p, fill, -4, 4);
  fill[LABELS] = (lamina_fill_def){.kind = LAMINA_FILL_INTEGERS, .low = 0, .high = (double)p->arg[X].dims[1] - 1};
  return true;
}

static void sample(lamina_problem *p, lamina_draw *draw) {
  const lamina_top_k top_k = {.k = LAMINA_PICK(draw, "k", 1, 2, 5, 200)};
  const int64_t N = LAMINA_PICK(draw, "batch", 1, 2, 7, 100, 0), C = LAMINA_PICK(draw, "classes", 1, 2, 10, 101);
  const int64_t S = LAMINA_PICK(draw, "size", 1, 2, 5);
  const int rank = (int)LAMINA_PICK(draw, "rank", 2, 2, 3);
  memcpy(p->attr, &top_k, sizeof top_k);
  p->arg[X] = lamina_draw_shape(draw, rank, (int64_t[]){N, C, S});
  p->arg[LABELS] =
      lamina_dense((lamina_dtype)LAMINA_PICK(draw, "labels", LAMINA_I32, LAMINA_I64), rank - 1, (int64_t[]){N, S});
}

const lamina_op_def lamina_ops_top_k[] = {{.name = "top_k/forward",
                                           .by_example = true,
                                           .args = args,
                                           .attrs = attrs,
                                           .attr_size = sizeof(lamina_top_k),
                                           .infer = infer,
                                           .element = element,
                                           .fills = fills,
                                           .sample = sample},
                                          {0}};

LAMINA_DEFINE_CALLS(top_k_forward, "top_k/forward", top_k, (x, labels, hits), const lamina_top_k *top_k,
                    const lamina_tensor *x, const lamina_tensor *labels, const lamina_tensor *hits)
