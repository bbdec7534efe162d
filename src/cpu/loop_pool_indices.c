/* Moving by the indices that a pool saved, on the CPU, plane by plane.
 *
 * scatter  max_pool/backward, min_pool/backward, stochastic_pool/backward, max_unpool/forward: a wide plane is cleared,
 *          then each element of the narrow one is added at its index. Sums are in f32, so that bf16 rounds once.
 *          relu_max_pool/backward: only where its gate, what was pooled, is above 0.
 * gather   max_unpool/backward: each element of the narrow plane is read at its index */
#include "cpu/loop.h"

/* The arguments of either: narrow, indices → wide; wide, indices → narrow. A gate comes before them. */
enum { FROM, INDICES, TO };

typedef struct sizes {
  int64_t planes, from, to; /* N*C; elements of a plane */
} sizes;

static sizes sizes_of(const lamina_plan *plan, bool gated) {
  const lamina_desc *from = &plan->problem.arg[gated + FROM], *to = &plan->problem.arg[gated + TO];
  const int64_t planes = to->dims[0] * to->dims[1];
  return (sizes){planes, lamina_desc_count(from) / planes, lamina_desc_count(to) / planes};
}

/* ---- Scatter ---------------------------------------------------------------------------------------------------- */

/* `gate`: NULL for none. */
LAMINA_INLINE void scatter(const sizes *s, const void *gate, const void *from, const int32_t *index, float *sum,
                           bool bf16) {
  memset(sum, 0, (size_t)s->to * sizeof *sum);
  for (int64_t o = 0; o < s->from; o++) {
    const float v = lamina_loop_get(from, o, bf16);
    if ((uint32_t)index[o] < (uint32_t)s->to) sum[index[o]] += !gate || lamina_loop_get(gate, o, bf16) > 0 ? v : 0;
  }
}

static void scatter_f32(const sizes *s, const void *gate, const void *from, const int32_t *index, float *to) {
  if (gate)
    scatter(s, gate, from, index, to, false);
  else
    scatter(s, NULL, from, index, to, false);
}

LAMINA_CLONES static void scatter_bf16(const sizes *s, const void *gate, const void *from, const int32_t *index,
                                       uint16_t *to, float *sum) {
  scatter(s, gate, from, index, sum, true);
  lamina_bf16_write(s->to, sum, to);
}

LAMINA_INLINE lamina_status prepare_any(lamina_plan *plan, bool gated) {
  const sizes s = sizes_of(plan, gated);
  if (lamina_loop_is_bf16(plan, FROM)) plan->workspace = (size_t)plan->threads * (size_t)s.to * sizeof(float);
  return LAMINA_OK;
}
static lamina_status prepare_scatter(lamina_plan *plan) { return prepare_any(plan, false); }
static lamina_status prepare_gated(lamina_plan *plan) { return prepare_any(plan, true); }

static lamina_status run_any(const lamina_plan *plan, const lamina_args *args, void *workspace, bool gated) {
  const sizes s = sizes_of(plan, gated);
  const bool bf16 = lamina_loop_is_bf16(plan, FROM);
#pragma omp parallel for schedule(static) if (s.planes * s.to >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < s.planes; i++) {
    const int32_t *index = (const int32_t *)args->p[gated + INDICES] + i * s.from;
    const void *from = lamina_loop_at(args->p[gated + FROM], i * s.from, bf16);
    const void *gate = gated ? lamina_loop_at(args->p[0], i * s.from, bf16) : NULL;
    void *to = lamina_loop_to(args->p[gated + TO], i * s.to, bf16);
    if (bf16)
      scatter_bf16(&s, gate, from, index, to, (float *)workspace + (int64_t)lamina_loop_thread() * s.to);
    else
      scatter_f32(&s, gate, from, index, to);
  }
  return LAMINA_OK;
}
static lamina_status run_scatter(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  (void)stream;
  return run_any(plan, args, workspace, false);
}
static lamina_status run_gated(const lamina_plan *plan, const lamina_args *args, void *workspace,
                               lamina_stream *stream) {
  (void)stream;
  return run_any(plan, args, workspace, true);
}

#define SCATTER(op, kind)                                                                                              \
  LAMINA_LOOP_ENGINE(op, LAMINA_STRIDES_DENSE), .candidates = lamina_loop_candidates, .prepare = prepare_##kind,       \
                                                .run = run_##kind
const lamina_engine lamina_cpu_loop_max_pool_backward = {SCATTER("max_pool/backward", scatter)};
const lamina_engine lamina_cpu_loop_min_pool_backward = {SCATTER("min_pool/backward", scatter)};
const lamina_engine lamina_cpu_loop_relu_max_pool_backward = {SCATTER("relu_max_pool/backward", gated)};
const lamina_engine lamina_cpu_loop_stochastic_pool_backward = {SCATTER("stochastic_pool/backward", scatter)};
const lamina_engine lamina_cpu_loop_max_unpool_forward = {SCATTER("max_unpool/forward", scatter)};

/* ---- Gather ----------------------------------------------------------------------------------------------------- */

static lamina_status run_gather(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                lamina_stream *stream) {
  const sizes s = sizes_of(plan, false);
  const bool bf16 = lamina_loop_is_bf16(plan, FROM);
  (void)workspace, (void)stream;
#pragma omp parallel for schedule(static) if (s.planes * s.to >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < s.planes; i++) {
    const int32_t *index = (const int32_t *)args->p[INDICES] + i * s.to;
    const void *from = lamina_loop_at(args->p[FROM], i * s.from, bf16);
    void *to = lamina_loop_to(args->p[TO], i * s.to, bf16);
    for (int64_t o = 0; o < s.to; o++) {
      const bool inside = (uint32_t)index[o] < (uint32_t)s.from;
      lamina_loop_set(to, o, inside ? lamina_loop_get(from, index[o], bf16) : 0, bf16);
    }
  }
  return LAMINA_OK;
}

const lamina_engine lamina_cpu_loop_max_unpool_backward = {
    LAMINA_LOOP_ENGINE("max_unpool/backward", LAMINA_STRIDES_DENSE),
    .candidates = lamina_loop_candidates,
    .run = run_gather,
};
