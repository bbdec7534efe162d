/* Softmax cross-entropy on the CPU, against labels and against targets.
 *
 * Forward takes 16 examples at a time, one in each lane: their scores are laid side by side, [C][16], so that few
 * classes use whole vectors, too, and spatial axes need no case of their own. Each tile leaves its loss behind, and the
 * tiles are added up in order: the same bits whatever the number of threads.
 *   picked   labels without smoothing: of an example's factors f one isn't 0, and its score is picked
 *   spread   all others: the targets (or ones at the labels) lie in a second tile
 *   workspace: [ loss of each tile, f64 | w, f32[C] | for each thread one or two tiles, f32[C][16] ]
 *
 * Backward goes along rows: an example's classes, or with spatial axes a class's positions.
 *   workspace: [ w, f32[C] ] */
#include <math.h>

#include "core/classes.h"
#include "cpu/exp.h"
#include "cpu/rows.h"
#include "lamina/loss.h"

enum { LANES = 16 };

/* Places in the rows. */
enum { X, TARGET, WEIGHTS, Y, PROB };
enum { B_PROB, B_TARGET, B_WEIGHTS, B_DY, B_DX };

/* A run: what both passes know. */
typedef struct loss {
  lamina_classes s;
  const lamina_desc *arg;
  void *const *p;
  lamina_reduction reduction;
  bool labels, spread;
  int64_t ignore;
  float keep, share; /* f = w (keep t + share) */
  const float *w;    /* ones where there are none */
} loss;

static loss loss_of(const lamina_plan *plan, const lamina_args *args) {
  const void *attr = lamina_attr(&plan->problem);
  const lamina_desc *arg = plan->problem.arg;
  loss l = {.s = lamina_classes_of(&arg[X]), .arg = arg, .ignore = INT64_MIN, .p = args ? args->p : NULL};
  double smoothing;
  l.labels = plan->op->args[TARGET].type == LAMINA_INTEGER;
  if (l.labels) {
    const lamina_softmax_cross_entropy *own = attr;
    l.reduction = (lamina_reduction)own->reduction, l.ignore = own->ignore, smoothing = own->label_smoothing;
  } else {
    const lamina_softmax_cross_entropy_target *own = attr;
    l.reduction = (lamina_reduction)own->reduction, smoothing = own->label_smoothing;
  }
  l.spread = !l.labels || smoothing != 0;
  l.keep = (float)(1 - smoothing), l.share = (float)(smoothing / (double)l.s.C);
  return l;
}

static size_t weights_size(const loss *l) { return lamina_align_up((size_t)l->s.C * sizeof(float), 64); }

static void read_weights(loss *l, float *w) {
  l->w = w;
  for (int64_t c = 0; c < l->s.C; c++)
    w[c] = l->p[WEIGHTS] ? (float)lamina_load((lamina_dtype)l->arg[WEIGHTS].dtype, l->p[WEIGHTS], c) : 1;
}

static int64_t class_of(const loss *l, int64_t m) {
  return lamina_label_at(&l->arg[TARGET], l->p[TARGET], m, l->s.C, l->ignore);
}

/* What a mean divides by. */
static double divisor_of(const loss *l) {
  double by = 0;
  if (!l->labels || (!l->p[WEIGHTS] && l->ignore == INT64_MIN)) return (double)l->s.M;
  for (int64_t m = 0; m < l->s.M; m++) {
    const int64_t label = class_of(l, m);
    by += label >= 0 ? (double)l->w[label] : label == LAMINA_LABEL_BAD;
  }
  return by;
}

/* f32 and bf16, each argument its own: a bf16 net may want its loss in f32. */
static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  const lamina_op_def *op = lamina_op_at(problem->op);
  double flops, bytes;
  (void)engine;
  for (int i = 0; op->args[i].name; i++) {
    const int32_t dtype = problem->arg[i].dtype;
    if (op->args[i].type == LAMINA_FLOATING && dtype && dtype != LAMINA_F32 && dtype != LAMINA_BF16) {
      each(context, NULL, 0, "it takes f32 and bf16");
      return;
    }
  }
  lamina_problem_work(problem, &flops, &bytes);
  each(context, "", 2 * lamina_loop_moving(device, bytes) + 1e-6, "");
}

/* ---- Forward ---------------------------------------------------------------------------------------------------- */

/* The scores' maximum, lane by lane. */
LAMINA_CLONES static void maxima(int64_t C, const float *tile, float *restrict max) {
  for (int j = 0; j < LANES; j++) max[j] = -INFINITY;
  for (int64_t c = 0; c < C; c++)
    for (int j = 0; j < LANES; j++) max[j] = tile[c * LANES + j] > max[j] ? tile[c * LANES + j] : max[j];
}

/* The tile becomes exp(score - maximum); `sum` over the classes. */
LAMINA_CLONES static void exponentials(int64_t C, float *restrict tile, const float *restrict max,
                                       float *restrict sum) {
  for (int j = 0; j < LANES; j++) sum[j] = 0;
  for (int64_t c = 0; c < C; c++)
    for (int j = 0; j < LANES; j++) {
      const float t = lamina_exp_f32(tile[c * LANES + j] - max[j]);
      tile[c * LANES + j] = t;
      sum[j] += t;
    }
}

/* Sums over the classes of f and of f (score - maximum). */
LAMINA_CLONES static void weigh(int64_t C, float keep, float share, const float *restrict w, const float *restrict t,
                                const float *restrict tile, const float *restrict max, float *restrict f_sum,
                                float *restrict fd_sum) {
  for (int j = 0; j < LANES; j++) f_sum[j] = fd_sum[j] = 0;
  for (int64_t c = 0; c < C; c++)
    for (int j = 0; j < LANES; j++) {
      const float f = w[c] * (keep * t[c * LANES + j] + share), fd = f * (tile[c * LANES + j] - max[j]);
      f_sum[j] += f;
      fd_sum[j] += f == 0 ? 0 : fd;
    }
}

/* Lanes beyond `n` get zeros. */
LAMINA_INLINE void gather(const lamina_classes *s, const void *x, bool bf16, const int64_t *at, int n, float *tile) {
  for (int64_t c = 0; c < s->C; c++) {
    for (int j = 0; j < n; j++) tile[c * LANES + j] = lamina_loop_get(x, at[j] + c * s->S, bf16);
    for (int j = n; j < LANES; j++) tile[c * LANES + j] = 0;
  }
}
LAMINA_INLINE void scatter(const lamina_classes *s, const float *tile, const float *by, const int64_t *at, int n,
                           void *prob, bool bf16) {
  for (int64_t c = 0; c < s->C; c++)
    for (int j = 0; j < n; j++) lamina_loop_set(prob, at[j] + c * s->S, tile[c * LANES + j] * by[j], bf16);
}
static void gather_any(const loss *l, int arg, const int64_t *at, int n, float *tile) {
  if (l->arg[arg].dtype == LAMINA_BF16)
    gather(&l->s, l->p[arg], true, at, n, tile);
  else
    gather(&l->s, l->p[arg], false, at, n, tile);
}

/* The loss of the tile's examples, in out[0 … n-1]; prob is written where it is wanted. `tile` is followed by room for
 * a second one. */
static void forward_tile(const loss *l, int64_t m0, int n, float *tile, double *out) {
  const int64_t C = l->s.C;
  float *const t = tile + C * LANES;
  int64_t at[LANES], label[LANES] = {0};
  float max[LANES], sum[LANES], f_sum[LANES], fd_sum[LANES], inverse[LANES];
  for (int j = 0; j < n; j++) at[j] = lamina_classes_at(&l->s, m0 + j);
  gather_any(l, X, at, n, tile);
  maxima(C, tile, max);
  for (int j = 0; j < n && l->labels; j++) label[j] = class_of(l, m0 + j);
  if (l->spread) {
    if (l->labels)
      memset(t, 0, (size_t)(C * LANES) * sizeof *t);
    else
      gather_any(l, TARGET, at, n, t);
    for (int j = 0; j < n && l->labels; j++)
      if (label[j] >= 0) t[label[j] * LANES + j] = 1;
    weigh(C, l->keep, l->share, l->w, t, tile, max, f_sum, fd_sum);
  } else {
    for (int j = 0; j < n; j++) {
      const int64_t c = label[j] < 0 ? 0 : label[j];
      f_sum[j] = l->w[c];
      fd_sum[j] = f_sum[j] == 0 ? 0 : f_sum[j] * (tile[c * LANES + j] - max[j]);
    }
  }
  exponentials(C, tile, max, sum);
  for (int j = 0; j < n; j++) {
    out[j] = (double)f_sum[j] * log((double)sum[j]) - (double)fd_sum[j];
    if (label[j] < 0) out[j] = label[j] == LAMINA_LABEL_BAD ? (double)NAN : 0;
    inverse[j] = 1 / sum[j];
  }
  if (l->arg[PROB].dtype == LAMINA_BF16) scatter(&l->s, tile, inverse, at, n, l->p[PROB], true);
  if (l->arg[PROB].dtype == LAMINA_F32) scatter(&l->s, tile, inverse, at, n, l->p[PROB], false);
}

static int64_t tiles_of(const lamina_classes *s) { return (s->M + LANES - 1) / LANES; }
static size_t losses_size(const lamina_classes *s) { return lamina_align_up((size_t)tiles_of(s) * sizeof(double), 64); }
/* Floats of one thread's tiles. */
static int64_t tile_size(const loss *l) { return l->s.C * LANES * (l->spread ? 2 : 1); }

static lamina_status forward_prepare(lamina_plan *plan) {
  const loss l = loss_of(plan, NULL);
  plan->workspace = losses_size(&l.s) + weights_size(&l) + (size_t)(plan->threads * tile_size(&l)) * sizeof(float);
  return LAMINA_OK;
}

static lamina_status forward_run(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  (void)stream;
  loss l = loss_of(plan, args);
  const lamina_dtype type = (lamina_dtype)l.arg[Y].dtype;
  const int64_t tiles = tiles_of(&l.s), M = l.s.M;
  double *const partial = workspace;
  float *const w = (float *)(void *)((char *)workspace + losses_size(&l.s));
  float *const buffers = (float *)(void *)((char *)w + weights_size(&l));
  read_weights(&l, w);
#pragma omp parallel for schedule(static) if (M * l.s.C >= LAMINA_LOOP_PARALLEL / 4)
  for (int64_t t = 0; t < tiles; t++) {
    double out[LANES];
    const int n = M - t * LANES < LANES ? (int)(M - t * LANES) : LANES;
    forward_tile(&l, t * LANES, n, buffers + lamina_loop_thread() * tile_size(&l), out);
    partial[t] = 0;
    for (int j = 0; j < n; j++) {
      partial[t] += out[j];
      if (l.reduction == LAMINA_REDUCTION_NONE) lamina_store(type, l.p[Y], t * LANES + j, out[j]);
    }
  }
  double total = 0;
  for (int64_t t = 0; t < tiles; t++) total += partial[t];
  if (l.reduction == LAMINA_REDUCTION_MEAN) total /= divisor_of(&l);
  if (l.reduction != LAMINA_REDUCTION_NONE) lamina_store(type, l.p[Y], 0, total);
  return LAMINA_OK;
}

/* ---- Backward --------------------------------------------------------------------------------------------------- */

/* Without spatial axes and with one factor that isn't 0: an example's classes, but the label's own. */
LAMINA_CLONES static void picked_example(int64_t n, float k, const float *p, float *dx) {
#pragma GCC ivdep
  for (int64_t c = 0; c < n; c++) dx[c] = p[c] * k;
}

/* The same with spatial axes: class `c` of n positions. */
LAMINA_CLONES static void picked_class(int64_t n, int64_t c, const int64_t *label, const float *k, const float *p,
                                       float *dx) {
#pragma GCC ivdep
  for (int64_t j = 0; j < n; j++) {
    const float d = (p[j] - (label[j] == c ? 1.0f : 0.0f)) * k[j];
    dx[j] = label[j] == LAMINA_LABEL_IGNORED ? 0 : d;
  }
}

/* All factors: an example's classes with the example's F and dy; n positions of a class with its w. */
LAMINA_CLONES static void spread_example(int64_t n, float keep, float share, const float *w, const float *t, float f,
                                         float dy, const float *p, float *dx) {
#pragma GCC ivdep
  for (int64_t c = 0; c < n; c++) dx[c] = (p[c] * f - w[c] * (keep * t[c] + share)) * dy;
}
LAMINA_CLONES static void spread_class(int64_t n, float keep, float share, float w, const float *t, const float *f,
                                       const float *dy, const float *p, float *dx) {
#pragma GCC ivdep
  for (int64_t j = 0; j < n; j++) dx[j] = (p[j] * f[j] - w * (keep * t[j] + share)) * dy[j];
}
/* F of n positions grows by a class; the sum over n classes of f. */
LAMINA_CLONES static void add_class(int64_t n, float keep, float share, float w, const float *t, float *f) {
#pragma GCC ivdep
  for (int64_t j = 0; j < n; j++) f[j] += w * (keep * t[j] + share);
}
LAMINA_CLONES static float sum_example(int64_t n, float keep, float share, const float *w, const float *t) {
  float lane[LANES] = {0}, sum = 0;
  int64_t c = 0;
  for (; c + LANES <= n; c += LANES)
    for (int j = 0; j < LANES; j++) lane[j] += w[c + j] * (keep * t[c + j] + share);
  for (int j = 0; c < n; c++, j++) lane[j] += w[c] * (keep * t[c] + share);
  for (int j = 0; j < LANES; j++) sum += lane[j];
  return sum;
}

/* What example m's gradient is multiplied by: NaN where its label is none. */
static float gradient_of(const loss *l, double by, int64_t m, int64_t label) {
  const lamina_dtype type = (lamina_dtype)l->arg[B_DY].dtype;
  const double dy = lamina_load(type, l->p[B_DY], l->reduction == LAMINA_REDUCTION_NONE ? m : 0);
  return label == LAMINA_LABEL_BAD ? NAN : (float)(dy / by);
}

/* n targets from element `i` on: those of class c … of example m, or of class c of the positions m … */
static const float *target_row(const loss *l, const int64_t *label, int64_t c, int64_t i, int64_t n, float *buffer) {
  if (!l->labels) return lamina_row_read(l->arg[B_TARGET].dtype, l->p[B_TARGET], i, n, buffer);
  if (l->s.S == 1) {
    memset(buffer, 0, (size_t)n * sizeof *buffer);
    if (*label >= c && *label < c + n) buffer[*label - c] = 1;
  } else {
    for (int64_t j = 0; j < n; j++) buffer[j] = label[j] == c;
  }
  return buffer;
}

static void backward_example(const loss *l, double by, int64_t m) {
  float ps[LAMINA_ROW], ts[LAMINA_ROW], dxs[LAMINA_ROW], f = 0;
  const int64_t C = l->s.C, label = l->labels ? class_of(l, m) : 0;
  const float dy = gradient_of(l, by, m, label), k = l->spread || label < 0 ? dy : dy * l->w[label];
  for (int64_t c = 0; c < C && l->spread; c += LAMINA_ROW) {
    const int64_t n = lamina_row_size(C, c);
    f += sum_example(n, l->keep, l->share, l->w + c, target_row(l, &label, c, m * C + c, n, ts));
  }
  for (int64_t c = 0; c < C; c += LAMINA_ROW) {
    const int64_t n = lamina_row_size(C, c), i = m * C + c;
    const float *p = lamina_row_read(l->arg[B_PROB].dtype, l->p[B_PROB], i, n, ps);
    float *dx = lamina_row_for(l->arg[B_DX].dtype, l->p[B_DX], i, dxs);
    if (label == LAMINA_LABEL_IGNORED) {
      memset(dx, 0, (size_t)n * sizeof *dx);
    } else if (l->spread) {
      spread_example(n, l->keep, l->share, l->w + c, target_row(l, &label, c, i, n, ts), f, dy, p, dx);
    } else {
      const bool here = label >= c && label < c + n;
      const float mine = here ? (p[label - c] - 1) * k : 0; /* before dx, which may be prob, is written */
      picked_example(n, k, p, dx);
      if (here) dx[label - c] = mine;
    }
    lamina_row_write(l->arg[B_DX].dtype, l->p[B_DX], i, n, dx);
  }
}

/* n positions from example m on, all in one picture. */
static void backward_positions(const loss *l, double by, int64_t m, int64_t n) {
  float ps[LAMINA_ROW], ts[LAMINA_ROW], dxs[LAMINA_ROW], k[LAMINA_ROW], f[LAMINA_ROW] = {0};
  int64_t label[LAMINA_ROW] = {0};
  const int64_t i0 = lamina_classes_at(&l->s, m);
  for (int64_t j = 0; j < n; j++) {
    if (l->labels) label[j] = class_of(l, m + j);
    k[j] = gradient_of(l, by, m + j, label[j]);
    if (!l->spread && label[j] >= 0) k[j] *= l->w[label[j]];
  }
  for (int64_t c = 0; c < l->s.C && l->spread; c++)
    add_class(n, l->keep, l->share, l->w[c], target_row(l, label, c, i0 + c * l->s.S, n, ts), f);
  for (int64_t c = 0; c < l->s.C; c++) {
    const int64_t i = i0 + c * l->s.S;
    const float *p = lamina_row_read(l->arg[B_PROB].dtype, l->p[B_PROB], i, n, ps);
    float *dx = lamina_row_for(l->arg[B_DX].dtype, l->p[B_DX], i, dxs);
    if (!l->spread) {
      picked_class(n, c, label, k, p, dx);
    } else {
      spread_class(n, l->keep, l->share, l->w[c], target_row(l, label, c, i, n, ts), f, k, p, dx);
      for (int64_t j = 0; j < n && l->ignore != INT64_MIN; j++)
        if (label[j] == LAMINA_LABEL_IGNORED) dx[j] = 0;
    }
    lamina_row_write(l->arg[B_DX].dtype, l->p[B_DX], i, n, dx);
  }
}

static lamina_status backward_prepare(lamina_plan *plan) {
  const loss l = loss_of(plan, NULL);
  plan->workspace = weights_size(&l);
  return LAMINA_OK;
}

static lamina_status backward_run(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                  lamina_stream *stream) {
  (void)stream;
  loss l = loss_of(plan, args);
  const int64_t row = l.s.S == 1 ? 1 : LAMINA_ROW, rows = (l.s.S + row - 1) / row; /* of positions */
  read_weights(&l, workspace);
  const double by = l.reduction == LAMINA_REDUCTION_MEAN ? divisor_of(&l) : 1;
#pragma omp parallel for schedule(static) if (l.s.M * l.s.C >= LAMINA_LOOP_PARALLEL)
  for (int64_t r = 0; r < l.s.M / l.s.S * rows; r++) {
    const int64_t first = r % rows * row, m = r / rows * l.s.S + first;
    if (l.s.S == 1)
      backward_example(&l, by, m);
    else
      backward_positions(&l, by, m, lamina_row_size(l.s.S, first));
  }
  return LAMINA_OK;
}

#define FORWARD(family)                                                                                                \
  LAMINA_LOOP_ENGINE(#family "/forward", LAMINA_STRIDES_DENSE), .candidates = candidates, .prepare = forward_prepare,  \
                                                                .run = forward_run
#define BACKWARD(family)                                                                                               \
  LAMINA_LOOP_ENGINE(#family "/backward", LAMINA_STRIDES_DENSE), .candidates = lamina_row_candidates,                  \
                                                                 .prepare = backward_prepare, .run = backward_run
const lamina_engine lamina_cpu_loop_softmax_cross_entropy_forward = {FORWARD(softmax_cross_entropy)};
const lamina_engine lamina_cpu_loop_softmax_cross_entropy_backward = {BACKWARD(softmax_cross_entropy)};
const lamina_engine lamina_cpu_loop_softmax_cross_entropy_target_forward = {FORWARD(softmax_cross_entropy_target)};
const lamina_engine lamina_cpu_loop_softmax_cross_entropy_target_backward = {BACKWARD(softmax_cross_entropy_target)};
