/* Softmax cross-entropy and top-k hits on the CPU.
 *
 * Forward takes 16 examples at a time, one in each lane: their scores are laid side by side, [C][16], so that few
 * classes use whole vectors, too, and spatial axes need no case of their own. Each tile leaves its loss behind, and the
 * tiles are added up in order: the same bits whatever the number of threads.
 *   workspace: [ loss of each tile, f64 | for each thread a tile, f32[C][16] ] */
#include <math.h>

#include "cpu/exp.h"
#include "cpu/rows.h"
#include "lamina/loss.h"
#include "lamina/metric.h"

enum { LANES = 16 };

/* Classes, positions behind the class axis, examples. */
typedef struct sizes {
  int64_t C, S, M;
} sizes;

static sizes sizes_of(const lamina_desc *x) {
  sizes s = {.C = x->dims[1], .S = 1};
  for (int d = 2; d < x->rank; d++) s.S *= x->dims[d];
  s.M = x->dims[0] * s.S;
  return s;
}

/* Where example m has its first score; the others follow at steps of S. */
static inline int64_t first_score(const sizes *s, int64_t m) { return m / s->S * s->C * s->S + m % s->S; }

/* The label of example m; -1 where it is out of range. */
static int64_t label_at(const lamina_desc *desc, const void *labels, int64_t m, int64_t C) {
  const int64_t label = desc->dtype == LAMINA_I64   ? ((const int64_t *)labels)[m]
                        : desc->dtype == LAMINA_I32 ? ((const int32_t *)labels)[m]
                                                    : ((const uint8_t *)labels)[m];
  return label >= 0 && label < C ? label : -1;
}

static lamina_reduction reduction_of(const lamina_plan *plan) {
  return (lamina_reduction)((const lamina_softmax_cross_entropy *)lamina_attr(&plan->problem))->reduction;
}

/* f32 and bf16, each argument its own: a bf16 net may want its loss in f32. */
static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  const lamina_op_def *op = lamina_op_at(problem->op);
  double flops, bytes;
  (void)device, (void)engine;
  for (int i = 0; op->args[i].name; i++) {
    const int32_t dtype = problem->arg[i].dtype;
    if (op->args[i].type == LAMINA_FLOATING && dtype && dtype != LAMINA_F32 && dtype != LAMINA_BF16) {
      each(context, NULL, 0, "it takes f32 and bf16");
      return;
    }
  }
  lamina_problem_work(problem, &flops, &bytes);
  each(context, "", bytes / 5e9 + 1e-6, "");
}

/* ---- Forward ---------------------------------------------------------------------------------------------------- */

enum { X, LABELS, Y, PROB };

/* Of one tile: the scores' maximum and the sum of exp(score - maximum), lane by lane. The tile becomes exp. */
LAMINA_CLONES static void exponentials(int64_t C, float *restrict tile, float *restrict max, float *restrict sum) {
  for (int j = 0; j < LANES; j++) max[j] = -INFINITY, sum[j] = 0;
  for (int64_t c = 0; c < C; c++)
    for (int j = 0; j < LANES; j++) max[j] = tile[c * LANES + j] > max[j] ? tile[c * LANES + j] : max[j];
  for (int64_t c = 0; c < C; c++)
    for (int j = 0; j < LANES; j++) {
      const float t = lamina_exp_f32(tile[c * LANES + j] - max[j]);
      tile[c * LANES + j] = t;
      sum[j] += t;
    }
}

/* Lanes beyond `n` get zeros. */
LAMINA_INLINE void gather(const sizes *s, const void *x, bool bf16, const int64_t *at, int n, float *tile) {
  for (int64_t c = 0; c < s->C; c++) {
    for (int j = 0; j < n; j++) tile[c * LANES + j] = lamina_loop_get(x, at[j] + c * s->S, bf16);
    for (int j = n; j < LANES; j++) tile[c * LANES + j] = 0;
  }
}
LAMINA_INLINE void scatter(const sizes *s, const float *tile, const float *by, const int64_t *at, int n, void *prob,
                           bool bf16) {
  for (int64_t c = 0; c < s->C; c++)
    for (int j = 0; j < n; j++) lamina_loop_set(prob, at[j] + c * s->S, tile[c * LANES + j] * by[j], bf16);
}

/* The loss of the tile's examples, in loss[0 … n-1]; prob is written where it is wanted. */
static void forward_tile(const lamina_plan *plan, const lamina_args *args, const sizes *s, int64_t m0, int n,
                         float *tile, double *loss) {
  const lamina_desc *arg = plan->problem.arg;
  int64_t at[LANES];
  float max[LANES], sum[LANES], inverse[LANES];
  double score[LANES];
  for (int j = 0; j < n; j++) at[j] = first_score(s, m0 + j);
  if (arg[X].dtype == LAMINA_BF16)
    gather(s, args->p[X], true, at, n, tile);
  else
    gather(s, args->p[X], false, at, n, tile);
  for (int j = 0; j < n; j++) {
    const int64_t label = label_at(&arg[LABELS], args->p[LABELS], m0 + j, s->C);
    score[j] = label < 0 ? (double)NAN : (double)tile[label * LANES + j];
  }
  exponentials(s->C, tile, max, sum);
  for (int j = 0; j < n; j++) {
    loss[j] = log((double)sum[j]) - (score[j] - (double)max[j]);
    inverse[j] = 1 / sum[j];
  }
  if (arg[PROB].dtype == LAMINA_BF16) scatter(s, tile, inverse, at, n, args->p[PROB], true);
  if (arg[PROB].dtype == LAMINA_F32) scatter(s, tile, inverse, at, n, args->p[PROB], false);
}

static int64_t tiles_of(const sizes *s) { return (s->M + LANES - 1) / LANES; }
static size_t losses_size(const sizes *s) { return lamina_align_up((size_t)tiles_of(s) * sizeof(double), 64); }

static lamina_status forward_prepare(lamina_plan *plan) {
  const sizes s = sizes_of(&plan->problem.arg[X]);
  plan->workspace = losses_size(&s) + (size_t)plan->threads * (size_t)s.C * LANES * sizeof(float);
  return LAMINA_OK;
}

static lamina_status forward_run(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  (void)stream;
  const sizes s = sizes_of(&plan->problem.arg[X]);
  const lamina_reduction reduction = reduction_of(plan);
  const lamina_dtype type = (lamina_dtype)plan->problem.arg[Y].dtype;
  const int64_t tiles = tiles_of(&s);
  double *const partial = workspace;
  float *const buffers = (float *)(void *)((char *)workspace + losses_size(&s));
#pragma omp parallel for schedule(static) if (s.M * s.C >= LAMINA_LOOP_PARALLEL / 4)
  for (int64_t t = 0; t < tiles; t++) {
    double loss[LANES];
    const int n = s.M - t * LANES < LANES ? (int)(s.M - t * LANES) : LANES;
    forward_tile(plan, args, &s, t * LANES, n, buffers + (int64_t)lamina_loop_thread() * s.C * LANES, loss);
    partial[t] = 0;
    for (int j = 0; j < n; j++) {
      partial[t] += loss[j];
      if (reduction == LAMINA_REDUCTION_NONE) lamina_store(type, args->p[Y], t * LANES + j, loss[j]);
    }
  }
  double total = 0;
  for (int64_t t = 0; t < tiles; t++) total += partial[t];
  if (reduction != LAMINA_REDUCTION_NONE)
    lamina_store(type, args->p[Y], 0, reduction == LAMINA_REDUCTION_MEAN ? total / (double)s.M : total);
  return LAMINA_OK;
}

const lamina_engine lamina_cpu_loop_softmax_cross_entropy_forward = {
    LAMINA_LOOP_ENGINE("softmax_cross_entropy/forward", LAMINA_STRIDES_DENSE),
    .candidates = candidates,
    .prepare = forward_prepare,
    .run = forward_run,
};

/* ---- Backward --------------------------------------------------------------------------------------------------- */

enum { B_PROB, B_LABELS, B_DY, B_DX };

/* Without spatial axes: one example, its classes side by side. */
LAMINA_CLONES static void backward_example(int64_t n, float k, const float *p, float *dx) {
#pragma GCC ivdep
  for (int64_t c = 0; c < n; c++) dx[c] = p[c] * k;
}

/* With spatial axes: class `c` of n positions. */
LAMINA_CLONES static void backward_class(int64_t n, int64_t c, const int64_t *label, const float *k, const float *p,
                                         float *dx) {
#pragma GCC ivdep
  for (int64_t j = 0; j < n; j++) dx[j] = (p[j] - (label[j] == c ? 1.0f : 0.0f)) * k[j];
}

/* What example m's gradient is multiplied by: NaN where its label is none. */
static float gradient_of(const lamina_plan *plan, const lamina_args *args, const sizes *s, int64_t m, int64_t label) {
  const lamina_dtype type = (lamina_dtype)plan->problem.arg[B_DY].dtype;
  const lamina_reduction reduction = reduction_of(plan);
  const double dy = lamina_load(type, args->p[B_DY], reduction == LAMINA_REDUCTION_NONE ? m : 0);
  return label < 0 ? NAN : (float)(reduction == LAMINA_REDUCTION_MEAN ? dy / (double)s->M : dy);
}

static void backward_examples(const lamina_plan *plan, const lamina_args *args, const sizes *s) {
  const lamina_desc *arg = plan->problem.arg;
#pragma omp parallel for schedule(static) if (s->M * s->C >= LAMINA_LOOP_PARALLEL)
  for (int64_t m = 0; m < s->M; m++) {
    float ps[LAMINA_ROW], dxs[LAMINA_ROW];
    const int64_t label = label_at(&arg[B_LABELS], args->p[B_LABELS], m, s->C);
    const float k = gradient_of(plan, args, s, m, label);
    for (int64_t c = 0; c < s->C; c += LAMINA_ROW) {
      const int64_t n = lamina_row_size(s->C, c), i = m * s->C + c;
      const bool here = label >= c && label < c + n;
      const float *p = lamina_row_read(arg[B_PROB].dtype, args->p[B_PROB], i, n, ps);
      const float mine = here ? (p[label - c] - 1) * k : 0; /* before dx, which may be prob, is written */
      float *dx = lamina_row_for(arg[B_DX].dtype, args->p[B_DX], i, dxs);
      backward_example(n, k, p, dx);
      if (here) dx[label - c] = mine;
      lamina_row_write(arg[B_DX].dtype, args->p[B_DX], i, n, dx);
    }
  }
}

static void backward_positions(const lamina_plan *plan, const lamina_args *args, const sizes *s) {
  const lamina_desc *arg = plan->problem.arg;
  const int64_t rows = (s->S + LAMINA_ROW - 1) / LAMINA_ROW; /* of positions */
#pragma omp parallel for schedule(static) if (s->M * s->C >= LAMINA_LOOP_PARALLEL)
  for (int64_t r = 0; r < s->M / s->S * rows; r++) {
    float ps[LAMINA_ROW], dxs[LAMINA_ROW], k[LAMINA_ROW];
    int64_t label[LAMINA_ROW];
    const int64_t first = r % rows * LAMINA_ROW, n = lamina_row_size(s->S, first);
    const int64_t m = r / rows * s->S + first, i0 = first_score(s, m);
    for (int64_t j = 0; j < n; j++) {
      label[j] = label_at(&arg[B_LABELS], args->p[B_LABELS], m + j, s->C);
      k[j] = gradient_of(plan, args, s, m + j, label[j]);
    }
    for (int64_t c = 0; c < s->C; c++) {
      const int64_t i = i0 + c * s->S;
      float *dx = lamina_row_for(arg[B_DX].dtype, args->p[B_DX], i, dxs);
      backward_class(n, c, label, k, lamina_row_read(arg[B_PROB].dtype, args->p[B_PROB], i, n, ps), dx);
      lamina_row_write(arg[B_DX].dtype, args->p[B_DX], i, n, dx);
    }
  }
}

static lamina_status backward_run(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                  lamina_stream *stream) {
  (void)workspace, (void)stream;
  const sizes s = sizes_of(&plan->problem.arg[B_PROB]);
  if (s.S == 1)
    backward_examples(plan, args, &s);
  else
    backward_positions(plan, args, &s);
  return LAMINA_OK;
}

const lamina_engine lamina_cpu_loop_softmax_cross_entropy_backward = {
    LAMINA_LOOP_ENGINE("softmax_cross_entropy/backward", LAMINA_STRIDES_DENSE),
    .candidates = lamina_row_candidates,
    .run = backward_run,
};

/* ---- Top-k ------------------------------------------------------------------------------------------------------ */

/* How many of n scores come before `mine`: those that are larger, or as large with a lower class. */
LAMINA_INLINE int64_t rank_of(const sizes *s, const void *x, bool bf16, int64_t at, int64_t label) {
  const float mine = lamina_loop_get(x, at + label * s->S, bf16);
  int64_t rank = 0;
  for (int64_t c = 0; c < label; c++) rank += lamina_loop_get(x, at + c * s->S, bf16) >= mine;
  for (int64_t c = label + 1; c < s->C; c++) rank += lamina_loop_get(x, at + c * s->S, bf16) > mine;
  return isnan(mine) ? INT64_MAX : rank;
}

LAMINA_CLONES static int64_t rank_f32(const sizes *s, const void *x, int64_t at, int64_t label) {
  return rank_of(s, x, false, at, label);
}
LAMINA_CLONES static int64_t rank_bf16(const sizes *s, const void *x, int64_t at, int64_t label) {
  return rank_of(s, x, true, at, label);
}

static lamina_status top_k_run(const lamina_plan *plan, const lamina_args *args, void *workspace,
                               lamina_stream *stream) {
  enum { X, LABELS, HITS };
  (void)workspace, (void)stream;
  const lamina_desc *arg = plan->problem.arg;
  const sizes s = sizes_of(&arg[X]);
  const int64_t k = ((const lamina_top_k *)lamina_attr(&plan->problem))->k;
  int64_t hits = 0;
#pragma omp parallel for schedule(static) reduction(+ : hits) if (s.M * s.C >= LAMINA_LOOP_PARALLEL)
  for (int64_t m = 0; m < s.M; m++) {
    const int64_t label = label_at(&arg[LABELS], args->p[LABELS], m, s.C);
    if (label < 0) continue;
    hits += (arg[X].dtype == LAMINA_BF16 ? rank_bf16 : rank_f32)(&s, args->p[X], first_score(&s, m), label) < k;
  }
  lamina_store((lamina_dtype)arg[HITS].dtype, args->p[HITS], 0, (double)hits);
  return LAMINA_OK;
}

const lamina_engine lamina_cpu_loop_top_k = {
    LAMINA_LOOP_ENGINE("top_k/forward", LAMINA_STRIDES_DENSE),
    .candidates = lamina_loop_candidates,
    .run = top_k_run,
};
