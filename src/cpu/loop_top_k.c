/* Top-k hits on the CPU: a label's rank is counted, nothing is sorted. */
#include <math.h>

#include "core/classes.h"
#include "cpu/loop.h"
#include "lamina/metric.h"

/* How many of n scores come before `mine`: those that are larger, or as large with a lower class. */
LAMINA_INLINE int64_t rank_of(const lamina_classes *s, const void *x, bool bf16, int64_t at, int64_t label) {
  const float mine = lamina_loop_get(x, at + label * s->S, bf16);
  int64_t rank = 0;
  for (int64_t c = 0; c < label; c++) rank += lamina_loop_get(x, at + c * s->S, bf16) >= mine;
  for (int64_t c = label + 1; c < s->C; c++) rank += lamina_loop_get(x, at + c * s->S, bf16) > mine;
  return isnan(mine) ? INT64_MAX : rank;
}

LAMINA_CLONES static int64_t rank_f32(const lamina_classes *s, const void *x, int64_t at, int64_t label) {
  return rank_of(s, x, false, at, label);
}
LAMINA_CLONES static int64_t rank_bf16(const lamina_classes *s, const void *x, int64_t at, int64_t label) {
  return rank_of(s, x, true, at, label);
}

static lamina_status top_k_run(const lamina_plan *plan, const lamina_args *args, void *workspace,
                               lamina_stream *stream) {
  enum { X, LABELS, HITS };
  (void)workspace, (void)stream;
  const lamina_desc *arg = plan->problem.arg;
  const lamina_classes s = lamina_classes_of(&arg[X]);
  const int64_t k = ((const lamina_top_k *)lamina_attr(&plan->problem))->k;
  int64_t hits = 0;
#pragma omp parallel for schedule(static) reduction(+ : hits) if (s.M * s.C >= LAMINA_LOOP_PARALLEL)
  for (int64_t m = 0; m < s.M; m++) {
    const int64_t label = lamina_label_at(&arg[LABELS], args->p[LABELS], m, s.C, INT64_MIN);
    if (label < 0) continue;
    hits += (arg[X].dtype == LAMINA_BF16 ? rank_bf16 : rank_f32)(&s, args->p[X], lamina_classes_at(&s, m), label) < k;
  }
  lamina_store((lamina_dtype)arg[HITS].dtype, args->p[HITS], 0, (double)hits);
  return LAMINA_OK;
}

const lamina_engine lamina_cpu_loop_top_k = {
    LAMINA_LOOP_ENGINE("top_k/forward", LAMINA_STRIDES_DENSE),
    .candidates = lamina_loop_candidates,
    .run = top_k_run,
};
