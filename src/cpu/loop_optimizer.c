/* SGD and Adam on the CPU: one pass over memory, which is what bounds them (SGD with momentum in f32 moves 20 bytes a
 * parameter, Adam 28). A narrow copy of w is written in the same pass. A segment's weight decay is a constant of its
 * rows, so that one whose ends lie anywhere costs nothing. */
#include <float.h>
#include <math.h>

#include "cpu/rows.h"
#include "lamina/optimizer.h"

/* ---- Segments --------------------------------------------------------------------------------------------------- */

/* Elements up to `end` (from where the piece before ended) and their weight decay. */
typedef struct piece {
  int64_t end;
  float decay;
} piece;

/* Cuts 0 … count-1 by the segments into at most S + 1 pieces, none outside; returns how many. */
static int64_t cut(const lamina_plan *plan, const lamina_args *args, int segments, int decay, int64_t count,
                   piece *to) {
  const lamina_desc *ends = &plan->problem.arg[segments];
  const lamina_dtype type = (lamina_dtype)plan->problem.arg[decay].dtype;
  const int64_t S = ends->dtype ? ends->dims[0] : 0;
  int64_t pieces = 0, at = 0;
  if (type == LAMINA_NONE || !ends->dtype) {
    to[0] = (piece){count, type ? (float)lamina_load(type, args->p[decay], 0) : 0};
    return 1;
  }
  for (int64_t s = 0; s < S; s++) {
    const int64_t end = ((const int64_t *)args->p[segments])[s];
    if (end <= at) continue;
    at = end < count ? end : count;
    to[pieces++] = (piece){at, (float)lamina_load(type, args->p[decay], s)};
  }
  if (at < count) to[pieces++] = (piece){count, 0};
  return pieces;
}

/* Workspace for the pieces. */
static size_t pieces_size(const lamina_plan *plan, int segments) {
  const lamina_desc *ends = &plan->problem.arg[segments];
  return (size_t)((ends->dtype ? ends->dims[0] : 0) + 1) * sizeof(piece);
}

/* The piece that element `i` lies in. */
static const piece *piece_at(const piece *pieces, int64_t count, int64_t i) {
  int64_t low = 0, high = count - 1;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (i < pieces[middle].end)
      high = middle;
    else
      low = middle + 1;
  }
  return &pieces[low];
}

/* Takes state arguments 0 … last and the narrow copy as rows; the numbers beside them may have any type. */
static bool takes(const lamina_problem *p, int last, int shadow, lamina_candidate_fn *each, void *context) {
  bool rows = !p->arg[shadow].dtype || lamina_row_type(p->arg[shadow].dtype);
  for (int i = 0; i <= last && rows; i++) rows = !p->arg[i].dtype || lamina_row_type(p->arg[i].dtype);
  if (!rows) each(context, NULL, 0, LAMINA_ROW_REFUSAL);
  return rows;
}

/* Is the gate there and not finite? Then nothing is updated. */
static bool shut(const lamina_plan *plan, const lamina_args *args, int gate) {
  const lamina_dtype type = (lamina_dtype)plan->problem.arg[gate].dtype;
  return type != LAMINA_NONE && !isfinite(lamina_load(type, args->p[gate], 0));
}

/* ---- The narrow copy --------------------------------------------------------------------------------------------- */

/* Row i of it, from the f32 that w is stored from. */
LAMINA_INLINE void shadow_row(const lamina_desc *shadow, void *to, int64_t i, int64_t n, const float *w) {
  if (shadow->dtype) lamina_row_write(shadow->dtype, to, i, n, w);
}

/* All of it, where the gate is shut. */
static lamina_status shadow_only(const lamina_plan *plan, const lamina_args *args, int w, int shadow) {
  const lamina_desc *arg = plan->problem.arg;
  const int64_t count = lamina_desc_count(&arg[w]);
  if (!arg[shadow].dtype) return LAMINA_OK;
#pragma omp parallel for schedule(static) if (count >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < count; i += LAMINA_ROW) {
    float buffer[LAMINA_ROW];
    const int64_t n = lamina_row_size(count, i);
    shadow_row(&arg[shadow], args->p[shadow], i, n, lamina_row_read(arg[w].dtype, args->p[w], i, n, buffer));
  }
  return LAMINA_OK;
}

/* ---- SGD -------------------------------------------------------------------------------------------------------- */

enum { W, G, M, SGD_RATE, SGD_SEGMENTS, SGD_DECAY, SGD_GATE, SGD_SHADOW };

typedef enum sgd_kind { PLAIN, KEEP, MOMENTUM, NESTEROV } sgd_kind; /* KEEP: no momentum, but m is wanted */

/* `kind` is a constant where this is inlined. */
LAMINA_INLINE void sgd_row(sgd_kind kind, int64_t n, float *restrict w, const float *restrict g, float *restrict m,
                           float rate, float momentum, float decay) {
  for (int64_t i = 0; i < n; i++) {
    const float decayed = g[i] + decay * w[i], kept = kind >= MOMENTUM ? momentum * m[i] + decayed : decayed;
    if (kind != PLAIN) m[i] = kept;
    w[i] -= rate * (kind == NESTEROV ? decayed + momentum * kept : kept);
  }
}

typedef void sgd_row_fn(int64_t n, float *w, const float *g, float *m, float rate, float momentum, float decay);
#define SGD_ROW(name, kind)                                                                                            \
  LAMINA_CLONES static void name(int64_t n, float *w, const float *g, float *m, float rate, float momentum,            \
                                 float decay) {                                                                        \
    sgd_row(kind, n, w, g, m, rate, momentum, decay);                                                                  \
  }
SGD_ROW(sgd_plain, PLAIN)
SGD_ROW(sgd_keep, KEEP)
SGD_ROW(sgd_momentum, MOMENTUM)
SGD_ROW(sgd_nesterov, NESTEROV)
static sgd_row_fn *const sgd_rows[] = {sgd_plain, sgd_keep, sgd_momentum, sgd_nesterov};

static void sgd_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                           lamina_candidate_fn *each, void *context) {
  (void)engine;
  if (takes(problem, M, SGD_SHADOW, each, context)) lamina_row_offer(device, problem, each, context);
}

static lamina_status sgd_prepare(lamina_plan *plan) {
  plan->workspace = pieces_size(plan, SGD_SEGMENTS);
  return LAMINA_OK;
}

static lamina_status sgd_run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  (void)stream;
  const lamina_desc *arg = plan->problem.arg;
  const lamina_sgd *sgd = lamina_attr(&plan->problem);
  const int64_t count = lamina_desc_count(&arg[W]);
  if (shut(plan, args, SGD_GATE)) return shadow_only(plan, args, W, SGD_SHADOW);
  piece *const pieces = workspace;
  const int64_t last = cut(plan, args, SGD_SEGMENTS, SGD_DECAY, count, pieces);
  const bool has_m = arg[M].dtype != LAMINA_NONE;
  const float rate = (float)lamina_load((lamina_dtype)arg[SGD_RATE].dtype, args->p[SGD_RATE], 0);
  const float momentum = (float)sgd->momentum;
  const bool moved = sgd->momentum != 0; /* without momentum Nesterov's step is the plain one */
  sgd_row_fn *const row = sgd_rows[!has_m ? PLAIN : !moved ? KEEP : sgd->nesterov ? NESTEROV : MOMENTUM];
#pragma omp parallel for schedule(static) if (count >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < count; i += LAMINA_ROW) {
    float ws[LAMINA_ROW], gs[LAMINA_ROW], ms[LAMINA_ROW];
    const int64_t n = lamina_row_size(count, i);
    const float *g = lamina_row_read(arg[G].dtype, args->p[G], i, n, gs);
    float *w = lamina_row_in_place(arg[W].dtype, args->p[W], i, n, ws);
    float *m = has_m ? lamina_row_in_place(arg[M].dtype, args->p[M], i, n, ms) : NULL;
    const piece *p = piece_at(pieces, last, i);
    for (int64_t from = 0, to; from < n; from = to, p++) {
      to = p->end - i < n ? p->end - i : n;
      row(to - from, w + from, g + from, has_m ? m + from : NULL, rate, momentum, p->decay);
    }
    lamina_row_write(arg[W].dtype, args->p[W], i, n, w);
    if (has_m) lamina_row_write(arg[M].dtype, args->p[M], i, n, m);
    shadow_row(&arg[SGD_SHADOW], args->p[SGD_SHADOW], i, n, w);
  }
  return LAMINA_OK;
}

const lamina_engine lamina_cpu_loop_sgd = {
    LAMINA_LOOP_ENGINE("sgd/update", LAMINA_STRIDES_DENSE),
    .candidates = sgd_candidates,
    .prepare = sgd_prepare,
    .run = sgd_run,
};

/* ---- Adam ------------------------------------------------------------------------------------------------------- */

enum { V = M + 1, RATE, STEP, SEGMENTS, DECAY, GATE, SHADOW };

/* What all elements of a segment share. */
typedef struct adam_numbers {
  float beta1, rest1, beta2, rest2; /* rest: 1 - beta */
  float rate;                       /* over 1 - beta1^step */
  float scale;                      /* 1 / sqrt(1 - beta2^step) */
  float epsilon, decay, shrink;
} adam_numbers;

LAMINA_CLONES static void adam_row(int64_t n, float *restrict w, const float *restrict g, float *restrict m,
                                   float *restrict v, const adam_numbers *a) {
  const adam_numbers k = *a;
  for (int64_t i = 0; i < n; i++) {
    const float decayed = g[i] + k.decay * w[i];
    const float m1 = k.beta1 * m[i] + k.rest1 * decayed, v1 = k.beta2 * v[i] + k.rest2 * decayed * decayed;
    m[i] = m1;
    v[i] = v1;
    w[i] = k.shrink * w[i] - k.rate * m1 / (sqrtf(v1) * k.scale + k.epsilon);
  }
}

static void adam_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                            lamina_candidate_fn *each, void *context) {
  const double epsilon = ((const lamina_adam *)lamina_attr(problem))->epsilon;
  (void)engine;
  if (!takes(problem, V, SHADOW, each, context)) return;
  if (epsilon != 0 && (epsilon < FLT_MIN || epsilon > FLT_MAX))
    each(context, NULL, 0, "it computes in f32, which can't hold this epsilon");
  else
    lamina_row_offer(device, problem, each, context);
}

static lamina_status adam_prepare(lamina_plan *plan) {
  plan->workspace = pieces_size(plan, SEGMENTS);
  return LAMINA_OK;
}

static adam_numbers adam_numbers_of(const lamina_plan *plan, double rate, double step) {
  const lamina_adam *adam = lamina_attr(&plan->problem);
  return (adam_numbers){
      .beta1 = (float)adam->beta1,
      .rest1 = (float)(1 - adam->beta1),
      .beta2 = (float)adam->beta2,
      .rest2 = (float)(1 - adam->beta2),
      .rate = (float)(rate / (1 - pow(adam->beta1, step))),
      .scale = (float)(1 / sqrt(1 - pow(adam->beta2, step))),
      .epsilon = (float)adam->epsilon,
  };
}

static lamina_status adam_run(const lamina_plan *plan, const lamina_args *args, void *workspace,
                              lamina_stream *stream) {
  (void)stream;
  const lamina_desc *arg = plan->problem.arg;
  const bool decoupled = ((const lamina_adam *)lamina_attr(&plan->problem))->decoupled != 0;
  const int64_t count = lamina_desc_count(&arg[W]);
  if (shut(plan, args, GATE)) return shadow_only(plan, args, W, SHADOW);
  piece *const pieces = workspace;
  const int64_t last = cut(plan, args, SEGMENTS, DECAY, count, pieces);
  const double rate = lamina_load((lamina_dtype)arg[RATE].dtype, args->p[RATE], 0);
  const adam_numbers common = adam_numbers_of(plan, rate, (double)*(const int64_t *)args->p[STEP]);
#pragma omp parallel for schedule(static) if (count >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < count; i += LAMINA_ROW) {
    float ws[LAMINA_ROW], gs[LAMINA_ROW], ms[LAMINA_ROW], vs[LAMINA_ROW];
    const int64_t n = lamina_row_size(count, i);
    const float *g = lamina_row_read(arg[G].dtype, args->p[G], i, n, gs);
    float *w = lamina_row_in_place(arg[W].dtype, args->p[W], i, n, ws);
    float *m = lamina_row_in_place(arg[M].dtype, args->p[M], i, n, ms);
    float *v = lamina_row_in_place(arg[V].dtype, args->p[V], i, n, vs);
    const piece *p = piece_at(pieces, last, i);
    for (int64_t from = 0, to; from < n; from = to, p++) {
      adam_numbers numbers = common;
      numbers.decay = decoupled ? 0 : p->decay;
      numbers.shrink = decoupled ? (float)(1 - rate * (double)p->decay) : 1;
      to = p->end - i < n ? p->end - i : n;
      adam_row(to - from, w + from, g + from, m + from, v + from, &numbers);
    }
    lamina_row_write(arg[W].dtype, args->p[W], i, n, w);
    lamina_row_write(arg[M].dtype, args->p[M], i, n, m);
    lamina_row_write(arg[V].dtype, args->p[V], i, n, v);
    shadow_row(&arg[SHADOW], args->p[SHADOW], i, n, w);
  }
  return LAMINA_OK;
}

const lamina_engine lamina_cpu_loop_adam = {
    LAMINA_LOOP_ENGINE("adam/update", LAMINA_STRIDES_DENSE),
    .candidates = adam_candidates,
    .prepare = adam_prepare,
    .run = adam_run,
};
