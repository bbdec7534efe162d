/* Gradient descent: its row, reference and typed calls. */
#include <math.h>

#include "core/draw.h"
#include "core/plan.h"
#include "ops/optimizer.h"

enum { W, G, M, RATE, SEGMENTS, DECAY, GATE, SHADOW };
static const lamina_arg_def args[] = {{"w", LAMINA_INOUT, false, LAMINA_FLOATING, NULL},
                                      {"g", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                      {"m", LAMINA_INOUT, true, LAMINA_FLOATING, NULL},
                                      {"rate", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                      {"segments", LAMINA_IN, true, LAMINA_INTEGER, NULL},
                                      {"decay", LAMINA_IN, true, LAMINA_FLOATING, NULL},
                                      {"gate", LAMINA_IN, true, LAMINA_FLOATING, NULL},
                                      {"shadow", LAMINA_OUT, true, LAMINA_FLOATING, NULL},
                                      {0}};
LAMINA_CHECK_ARGS(sgd_update, args);

static const lamina_attr_def attrs[] = {
    {.name = "momentum", .type = LAMINA_ATTR_REAL, .offset = offsetof(lamina_sgd, momentum), .most = 1},
    {.name = "nesterov", .type = LAMINA_ATTR_BOOL, .offset = offsetof(lamina_sgd, nesterov)},
    {0}};

static lamina_status infer(lamina_problem *p) {
  const lamina_desc *w = &p->arg[W];
  const lamina_sgd *sgd = lamina_attr(p);
  LAMINA_TRY(lamina_want_shape(p, W));
  LAMINA_TRY(lamina_want_dims(p, G, w->rank, w->dims));
  if (sgd->momentum != 0 && !lamina_present(&p->arg[M]))
    return lamina_error(LAMINA_INVALID, "sgd/update: a momentum of %g needs m, which is missing", sgd->momentum);
  LAMINA_TRY(lamina_set_output(p, M, (lamina_dtype)w->dtype, w->rank, w->dims));
  LAMINA_TRY(lamina_set_shadow(p, W, SHADOW));
  LAMINA_TRY(lamina_want_one(p, RATE));
  LAMINA_TRY(lamina_want_dims(p, GATE, 1, (int64_t[]){1}));
  return lamina_want_segments(p, SEGMENTS, DECAY);
}

/* First-order error bounds, per unit roundoff; constants are rounded to f32, so each product has two roundings:
 *   g'    2|decay w| + |g'|
 *   m     2|momentum m| + |m'| + that of g'
 *   step  that of m; Nesterov's: 2|momentum m'| + |step| + momentum times that of m + that of g'
 *   w     2|rate step| + |w'| + |rate| times that of the step
 * The narrow copy is w before it is stored: the same bound, and the rounding to its own type. */
static void element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_sgd *sgd = ref->attr;
  if (lamina_gate_shut(ref, GATE)) {
    *e = lamina_unchanged(ref, arg, W, SHADOW, index);
    return;
  }
  const double w = ref->x[W][index], rate = ref->x[RATE][0], mu = sgd->momentum;
  const double decayed = lamina_decay_of(ref, SEGMENTS, DECAY, index) * w, g = ref->x[G][index] + decayed;
  const double eg = decayed != 0 ? 2 * fabs(decayed) + fabs(g) : 0;
  const double kept = mu != 0 ? mu * ref->x[M][index] : 0, m = kept + g;
  const double em = mu != 0 ? 2 * fabs(kept) + fabs(m) + eg : eg;
  if (arg == M) {
    *e = (lamina_expected){.value = m, .q = em};
    return;
  }
  const double step = sgd->nesterov ? g + mu * m : m;
  const double es = sgd->nesterov ? eg + mu * em + 2 * fabs(mu * m) + fabs(step) : em;
  const double next = w - rate * step;
  *e = (lamina_expected){.value = next, .q = 2 * fabs(rate * step) + fabs(next) + fabs(rate) * es};
}

/* Rates as they are in use. Small integers stay exact when momentum is a whole number of quarters. */
static bool fills(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  const lamina_sgd *sgd = lamina_attr(p);
  fill[RATE] = fill[DECAY] = (lamina_fill_def){.kind = LAMINA_FILL_UNIFORM, .low = 0.01, .high = 0.2};
  if (exact) lamina_fill_integers(p, fill, -3, 3);
  lamina_fill_segments(p, W, SEGMENTS, fill);
  lamina_fill_gate(p, GATE, fill);
  return !exact || sgd->momentum * 4 == floor(sgd->momentum * 4);
}

static void sample(lamina_problem *p, lamina_draw *draw) {
  const lamina_sgd sgd = {.momentum = (double)LAMINA_PICK(draw, "momentum", 0, 1, 3) / 4,
                          .nesterov = LAMINA_PICK(draw, "nesterov", 0, 1)};
  lamina_draw_weights(p, draw, W, G);
  p->arg[M] = p->arg[W];
  lamina_draw_rates(p, draw, RATE, SEGMENTS, DECAY, GATE);
  lamina_draw_shadow(p, draw, W, SHADOW);
  memcpy(p->attr, &sgd, sizeof sgd);
}

/* w += rate*g, and two more for each of decay, momentum and Nesterov's step. */
static double flops(const lamina_problem *p) {
  const lamina_sgd *sgd = lamina_attr(p);
  const int terms = 1 + lamina_present(&p->arg[DECAY]) + (sgd->momentum != 0) + (sgd->nesterov != 0);
  return 2.0 * terms * (double)lamina_desc_count(&p->arg[W]);
}

const lamina_op_def lamina_ops_sgd[] = {{.name = "sgd/update",
                                         .args = args,
                                         .attrs = attrs,
                                         .attr_size = sizeof(lamina_sgd),
                                         .infer = infer,
                                         .element = element,
                                         .fills = fills,
                                         .sample = sample,
                                         .flops = flops},
                                        {0}};

LAMINA_DEFINE_CALLS(sgd_update, "sgd/update", sgd, (w, g, m, rate, segments, decay, gate, shadow),
                    const lamina_sgd *sgd, const lamina_tensor *w, const lamina_tensor *g, const lamina_tensor *m,
                    const lamina_tensor *rate, const lamina_tensor *segments, const lamina_tensor *decay,
                    const lamina_tensor *gate, const lamina_tensor *shadow)
