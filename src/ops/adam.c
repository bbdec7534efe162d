/* Adam and AdamW: the row, reference and typed calls. */
#include <math.h>

#include "core/draw.h"
#include "core/plan.h"
#include "ops/optimizer.h"

enum { W, G, M, V, RATE, STEP, SEGMENTS, DECAY, GATE, SHADOW };
static const lamina_arg_def args[] = {{"w", LAMINA_INOUT, false, LAMINA_FLOATING, NULL},
                                      {"g", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                      {"m", LAMINA_INOUT, false, LAMINA_FLOATING, NULL},
                                      {"v", LAMINA_INOUT, false, LAMINA_FLOATING, NULL},
                                      {"rate", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                      {"step", LAMINA_IN, false, LAMINA_INTEGER, NULL},
                                      {"segments", LAMINA_IN, true, LAMINA_INTEGER, NULL},
                                      {"decay", LAMINA_IN, true, LAMINA_FLOATING, NULL},
                                      {"gate", LAMINA_IN, true, LAMINA_FLOATING, NULL},
                                      {"shadow", LAMINA_OUT, true, LAMINA_FLOATING, NULL},
                                      {0}};
LAMINA_CHECK_ARGS(adam_update, args);

#define REAL(field, value, top)                                                                                        \
  {                                                                                                                    \
    .name = #field, .type = LAMINA_ATTR_REAL, .offset = offsetof(lamina_adam, field), .preset = value,                 \
    .has = offsetof(lamina_adam, has_##field), .most = top                                                             \
  }
static const lamina_attr_def attrs[] = {
    REAL(beta1, 0.9, 1),
    REAL(beta2, 0.999, 1),
    REAL(epsilon, 1e-8, 1e300),
    {.name = "decoupled", .type = LAMINA_ATTR_BOOL, .offset = offsetof(lamina_adam, decoupled)},
    {0}};

static lamina_status infer(lamina_problem *p) {
  const lamina_desc *w = &p->arg[W];
  const lamina_adam *adam = lamina_attr(p);
  if (adam->beta1 == 1 || adam->beta2 == 1)
    return lamina_error(LAMINA_INVALID, "adam/update: %s is 1; expected less", adam->beta1 == 1 ? "beta1" : "beta2");
  LAMINA_TRY(lamina_want_shape(p, W));
  LAMINA_TRY(lamina_want_dims(p, G, w->rank, w->dims));
  LAMINA_TRY(lamina_set_output(p, M, (lamina_dtype)w->dtype, w->rank, w->dims));
  LAMINA_TRY(lamina_set_output(p, V, (lamina_dtype)w->dtype, w->rank, w->dims));
  LAMINA_TRY(lamina_set_shadow(p, W, SHADOW));
  LAMINA_TRY(lamina_want_one(p, RATE));
  LAMINA_TRY(lamina_want_one(p, STEP));
  LAMINA_TRY(lamina_want_dtype(p, STEP, LAMINA_I64));
  LAMINA_TRY(lamina_want_dims(p, GATE, 1, (int64_t[]){1}));
  return lamina_want_segments(p, SEGMENTS, DECAY);
}

/* First-order error bounds, per unit roundoff; constants are rounded to f32, so each product has two roundings:
 *   g'    2|decay w| + |g'|                        w0    2|w0| where it shrank
 *   m     2|beta1 m| + 2|(1-beta1) g'| + |m'| + (1-beta1) times that of g'
 *   v     2|beta2 v| + 3(1-beta2) g'^2 + |v'| + 2(1-beta2)|g'| times that of g'
 *   s     sqrt(v'): half the relative error of v', + 1; then 2 for the product with 1/sqrt(1 - beta2^step)
 *   D     s + epsilon: that of s, + epsilon + D
 *   move  a m'/D with a = rate/(1 - beta1^step): those of m' and D carried through, + 3|move|
 *   w     that of w0 and of the move, + |w'|
 * The narrow copy is w before it is stored: the same bound, and the rounding to its own type. */
static void element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_adam *adam = ref->attr;
  if (lamina_gate_shut(ref, GATE)) {
    *e = lamina_unchanged(ref, arg, W, SHADOW, index);
    return;
  }
  const double b1 = adam->beta1, b2 = adam->beta2, step = ref->x[STEP][0], rate = ref->x[RATE][0];
  const double decay = lamina_decay_of(ref, SEGMENTS, DECAY, index), w = ref->x[W][index];
  const double added = adam->decoupled ? 0 : decay * w, shrink = adam->decoupled ? 1 - rate * decay : 1;

  const double g = ref->x[G][index] + added, eg = added != 0 ? 2 * fabs(added) + fabs(g) : 0;
  const double m_old = b1 * ref->x[M][index], m = m_old + (1 - b1) * g;
  const double em = 2 * fabs(m_old) + 2 * fabs((1 - b1) * g) + fabs(m) + (1 - b1) * eg;
  const double v_old = b2 * ref->x[V][index], v = v_old + (1 - b2) * g * g;
  const double ev = 2 * fabs(v_old) + 3 * (1 - b2) * g * g + fabs(v) + 2 * (1 - b2) * fabs(g) * eg;
  if (arg == M) {
    *e = (lamina_expected){.value = m, .q = em};
    return;
  }
  if (arg == V) {
    *e = (lamina_expected){.value = v, .q = ev};
    return;
  }
  const double s = sqrt(v) / sqrt(1 - pow(b2, step)), es = s > 0 ? s * (ev / (2 * v) + 3) : 0;
  const double D = s + adam->epsilon, eD = es + adam->epsilon + D;
  const double a = rate / (1 - pow(b1, step)), move = a * m / D;
  const double emove = fabs(a) * em / D + fabs(move) * eD / D + 3 * fabs(move);
  const double w0 = w * shrink, next = w0 - move, e0 = shrink != 1 ? 2 * fabs(w0) : 0;
  *e = (lamina_expected){.value = next, .q = e0 + emove + fabs(next)};
}

/* Rates as they are in use; steps from the first on; v is a mean of squares. */
static bool fills(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  fill[V] = (lamina_fill_def){.kind = LAMINA_FILL_UNIFORM, .low = 0, .high = 2};
  fill[RATE] = fill[DECAY] = (lamina_fill_def){.kind = LAMINA_FILL_UNIFORM, .low = 0.01, .high = 0.2};
  fill[STEP] = (lamina_fill_def){.kind = LAMINA_FILL_INTEGERS, .low = 1, .high = 1000};
  lamina_fill_segments(p, W, SEGMENTS, fill);
  lamina_fill_gate(p, GATE, fill);
  return !exact;
}

static void sample(lamina_problem *p, lamina_draw *draw) {
  const lamina_adam adam = {.beta1 = (double)LAMINA_PICK(draw, "beta1", 0, 1, 3) / 4,
                            .has_beta1 = LAMINA_PICK(draw, "has_beta1", 0, 1),
                            .decoupled = LAMINA_PICK(draw, "decoupled", 0, 1)};
  lamina_draw_weights(p, draw, W, G);
  p->arg[M] = p->arg[V] = p->arg[W];
  p->arg[STEP] = lamina_dense(LAMINA_I64, 1, (int64_t[]){1});
  lamina_draw_rates(p, draw, RATE, SEGMENTS, DECAY, GATE);
  lamina_draw_shadow(p, draw, W, SHADOW);
  memcpy(p->attr, &adam, sizeof adam);
}

/* m 3, v 4, w 5, decay 2. */
static double flops(const lamina_problem *p) {
  return (12 + 2 * lamina_present(&p->arg[DECAY])) * (double)lamina_desc_count(&p->arg[W]);
}

const lamina_op_def lamina_ops_adam[] = {{.name = "adam/update",
                                          .args = args,
                                          .attrs = attrs,
                                          .attr_size = sizeof(lamina_adam),
                                          .infer = infer,
                                          .element = element,
                                          .fills = fills,
                                          .sample = sample,
                                          .flops = flops},
                                         {0}};

LAMINA_DEFINE_CALLS(adam_update, "adam/update", adam, (w, g, m, v, rate, step, segments, decay, gate, shadow),
                    const lamina_adam *adam, const lamina_tensor *w, const lamina_tensor *g, const lamina_tensor *m,
                    const lamina_tensor *v, const lamina_tensor *rate, const lamina_tensor *step,
                    const lamina_tensor *segments, const lamina_tensor *decay, const lamina_tensor *gate,
                    const lamina_tensor *shadow)
