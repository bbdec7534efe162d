/* Gradients of a bias on the CPU: sums of dy [N, K, area] over N and the area; a fully connected layer has area 1.
 *
 * The batch is cut into chunks, and each chunk gives partial sums [chunks][K] in f64: their number depends on the shape
 * alone, so the result does not on the number of threads. In a chunk, rows are summed as lamina_loop_sum does; where
 * they have one element, columns are summed side by side, in f32 over some rows, those in f64. */
#include "cpu/loop.h"

enum { DY, DB };
enum { STRIP = 256, BLOCK = 32 }; /* columns side by side; rows that are summed in f32 */

typedef struct sizes {
  int64_t N, K, area, chunks, rows; /* rows of the batch in a chunk */
} sizes;

static sizes sizes_of(const lamina_problem *p) {
  const lamina_desc *dy = &p->arg[DY];
  sizes s = {.N = dy->dims[0], .K = dy->dims[1], .area = 1};
  for (int d = 2; d < dy->rank; d++) s.area *= dy->dims[d];
  const int64_t elements = s.N * s.K * s.area, least = (elements + LAMINA_LOOP_PARALLEL - 1) / LAMINA_LOOP_PARALLEL;
  s.chunks = least < 32 ? least : 32;
  if (s.chunks > s.N) s.chunks = s.N;
  s.rows = (s.N + s.chunks - 1) / s.chunks;
  s.chunks = (s.N + s.rows - 1) / s.rows;
  return s;
}

/* sum [K] of the rows n … n + rows - 1 of the batch. */
LAMINA_INLINE void sum_planes(const sizes *s, int64_t n, int64_t rows, const void *dy, double *sum, bool bf16) {
  for (int64_t k = 0; k < s->K; k++) {
    sum[k] = 0;
    for (int64_t i = n; i < n + rows; i++)
      sum[k] += lamina_loop_sum(s->area, lamina_loop_at(dy, (i * s->K + k) * s->area, bf16), bf16);
  }
}

/* The same for an area of 1. */
LAMINA_INLINE void sum_columns(const sizes *s, int64_t n, int64_t rows, const void *dy, double *sum, bool bf16) {
  float strip[STRIP];
  for (int64_t k = 0; k < s->K; k += STRIP) {
    const int64_t width = s->K - k < STRIP ? s->K - k : STRIP;
    for (int64_t j = 0; j < width; j++) sum[k + j] = 0;
    for (int64_t first = n; first < n + rows; first += BLOCK) {
      const int64_t end = first + BLOCK < n + rows ? first + BLOCK : n + rows;
      memset(strip, 0, sizeof strip);
      for (int64_t i = first; i < end; i++)
#pragma GCC ivdep
        for (int64_t j = 0; j < width; j++) strip[j] += lamina_loop_get(dy, i * s->K + k + j, bf16);
      for (int64_t j = 0; j < width; j++) sum[k + j] += (double)strip[j];
    }
  }
}

#define SUM(type, bf16)                                                                                                \
  LAMINA_CLONES static void sum_##type(const sizes *s, int64_t n, int64_t rows, const void *dy, double *sum) {         \
    if (s->area == 1)                                                                                                  \
      sum_columns(s, n, rows, dy, sum, bf16);                                                                          \
    else                                                                                                               \
      sum_planes(s, n, rows, dy, sum, bf16);                                                                           \
  }
SUM(f32, false)
SUM(bf16, true)

/* Each of dy and db is f32 or bf16: a net in bf16 keeps its gradients in either. */
static void candidates(lamina_device *device, const lamina_problem *p, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  double flops, bytes;
  (void)engine;
  for (int i = DY; i <= DB; i++)
    if (p->arg[i].dtype != LAMINA_F32 && p->arg[i].dtype != LAMINA_BF16) {
      each(context, NULL, 0, "it takes f32 and bf16");
      return;
    }
  lamina_problem_work(p, &flops, &bytes);
  each(context, "", lamina_loop_moving(device, bytes) + 1e-6, "");
}

static lamina_status prepare(lamina_plan *plan) {
  const sizes s = sizes_of(&plan->problem);
  plan->workspace = (size_t)(s.chunks * s.K) * sizeof(double);
  return LAMINA_OK;
}

static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  const sizes s = sizes_of(&plan->problem);
  const bool bf16 = lamina_loop_is_bf16(plan, DY);
  double *part = workspace; /* [chunks, K] */
  (void)stream;
#pragma omp parallel for schedule(static) if (s.chunks > 1)
  for (int64_t i = 0; i < s.chunks; i++) {
    const int64_t n = i * s.rows, rows = s.N - n < s.rows ? s.N - n : s.rows;
    (bf16 ? sum_bf16 : sum_f32)(&s, n, rows, args->p[DY], part + i * s.K);
  }
  for (int64_t k = 0; k < s.K; k++) {
    double sum = 0;
    for (int64_t i = 0; i < s.chunks; i++) sum += part[i * s.K + k];
    lamina_store((lamina_dtype)plan->problem.arg[DB].dtype, args->p[DB], k, sum);
  }
  return LAMINA_OK;
}

#define ENGINE(family)                                                                                                 \
  LAMINA_LOOP_ENGINE(#family "/backward_bias", LAMINA_STRIDES_DENSE), .candidates = candidates, .prepare = prepare,    \
                                                                      .run = run
const lamina_engine lamina_cpu_loop_conv_backward_bias = {ENGINE(conv)};
const lamina_engine lamina_cpu_loop_conv_transpose_backward_bias = {ENGINE(conv_transpose)};
const lamina_engine lamina_cpu_loop_fc_backward_bias = {ENGINE(fc)};
