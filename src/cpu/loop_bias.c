/* Gradients of a bias on the CPU: sums of dy over N and the area, in one of two orders of memory.
 *
 *   dy [N, K, area]          row-major: a channel's places lie side by side, and are summed as lamina_loop_sum does
 *   dy [N, K/W, area, W]     W channels side by side: a block of them, or all, where they come last or the area is 1; summed
 *                            beside each other, in f32 over some places, those in f64
 *
 * The batch is cut into chunks, and each chunk gives partial sums [chunks][K] in f64: their number depends on the shape
 * alone, so the result does not on the number of threads. There is a row for what lies row-major, which others are packed
 * to, and one that takes the second order as it is. */
#include "core/blocks.h"
#include "cpu/loop.h"

enum { DY, DB };
enum { STRIP = 256, PLACES = 32 }; /* channels side by side; places that are summed in f32 */

typedef struct sizes {
  int64_t N, K, area, W; /* W 0: places lie side by side */
  int64_t chunks, rows;  /* rows of the batch in a chunk */
} sizes;

static int64_t area_of(const lamina_desc *dy) {
  int64_t area = 1;
  for (int d = 2; d < dy->rank; d++) area *= dy->dims[d];
  return area;
}

/* Do axes of more than one block have these strides? */
static bool has_strides(const lamina_desc *desc, const int64_t *strides) {
  for (int d = 0; d < desc->rank; d++)
    if (desc->dims[d] > lamina_block_of(desc->layout, d) && desc->strides[d] != strides[d]) return false;
  return true;
}

/* Channels side by side; 0 where they don't lie so. */
static int64_t width_of(const lamina_desc *dy) {
  int64_t strides[LAMINA_MAX_RANK], step = dy->dims[1];
  if (dy->layout > 0) {
    const int64_t block = lamina_block_of(dy->layout, 1);
    const lamina_desc whole = lamina_blocked((lamina_dtype)dy->dtype, dy->rank, dy->dims, dy->layout);
    return block == lamina_block_elements(dy->layout) && has_strides(dy, whole.strides) ? block : 0;
  }
  if (dy->layout < 0) return 0;
  if (lamina_desc_is_dense(dy)) return area_of(dy) == 1 ? dy->dims[1] : 0;
  for (int d = dy->rank - 1; d >= 0; d--)
    if (d != 1) strides[d] = step, step *= dy->dims[d];
  strides[1] = 1;
  return has_strides(dy, strides) ? dy->dims[1] : 0;
}

static sizes sizes_of(const lamina_problem *p) {
  const lamina_desc *dy = &p->arg[DY];
  sizes s = {.N = dy->dims[0], .K = dy->dims[1], .area = area_of(dy), .W = width_of(dy)};
  if (s.W == s.K) s.N *= s.area, s.area = 1; /* no channel between places */
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

/* sum [width] += those of `places` places, W channels apart. */
LAMINA_INLINE void sum_places(int64_t places, int64_t W, int64_t width, const void *dy, double *sum, bool bf16) {
  float strip[STRIP];
  for (int64_t first = 0; first < places; first += PLACES) {
    const int64_t end = first + PLACES < places ? first + PLACES : places;
    for (int64_t j = 0; j < width; j++) strip[j] = 0;
    for (int64_t i = first; i < end; i++)
#pragma GCC ivdep
      for (int64_t j = 0; j < width; j++) strip[j] += lamina_loop_get(dy, i * W + j, bf16);
    for (int64_t j = 0; j < width; j++) sum[j] += (double)strip[j];
  }
}

/* The same with W channels side by side; without gaps between their places the rows are one. */
LAMINA_INLINE void sum_channels(const sizes *s, int64_t n, int64_t rows, const void *dy, double *sum, bool bf16) {
  const int64_t together = s->W == s->K ? rows : 1;
  for (int64_t k = 0; k < s->K; k++) sum[k] = 0;
  for (int64_t i = n; i < n + rows; i += together)
    for (int64_t k = 0; k < s->K; k += s->W)
      for (int64_t j = 0; j < s->W; j += STRIP)
        sum_places(together * s->area, s->W, s->W - j < STRIP ? s->W - j : STRIP,
                   lamina_loop_at(dy, (i * s->K + k) * s->area + j, bf16), sum + k + j, bf16);
}

#define SUM(type, bf16)                                                                                                \
  LAMINA_CLONES static void sum_##type(const sizes *s, int64_t n, int64_t rows, const void *dy, double *sum) {         \
    if (s->W)                                                                                                          \
      sum_channels(s, n, rows, dy, sum, bf16);                                                                         \
    else                                                                                                               \
      sum_planes(s, n, rows, dy, sum, bf16);                                                                           \
  }
SUM(f32, false)
SUM(bf16, true)

/* Each of dy and db is f32 or bf16: a net in bf16 keeps its gradients in either. */
static void candidates(lamina_device *device, const lamina_problem *p, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  double flops, bytes;
  lamina_desc db = p->arg[DB];
  lamina_desc_settle(&db, NULL);
  for (int i = DY; i <= DB; i++)
    if (p->arg[i].dtype != LAMINA_F32 && p->arg[i].dtype != LAMINA_BF16) {
      each(context, NULL, 0, "it takes f32 and bf16");
      return;
    }
  if (engine->strides == LAMINA_STRIDES_BLOCKED &&
      (lamina_desc_is_dense(&p->arg[DY]) || !width_of(&p->arg[DY]) || !lamina_desc_is_dense(&db))) {
    each(context, NULL, 0, "it takes dy with channels last or in blocks, and a dense db");
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

#define ENGINE(name_, op_, strides_)                                                                                   \
  .size = sizeof(lamina_engine), .abi = LAMINA_ENGINE_ABI, .device = "cpu", .name = (name_), .op = (op_),              \
  .strides = (strides_), .candidates = candidates, .prepare = prepare, .run = run
#define ROW_MAJOR(family)    ENGINE("loop", #family "/backward_bias", LAMINA_STRIDES_DENSE)
#define SIDE_BY_SIDE(family) ENGINE("channels", #family "/backward_bias", LAMINA_STRIDES_BLOCKED)
const lamina_engine lamina_cpu_loop_conv_backward_bias = {ROW_MAJOR(conv)};
const lamina_engine lamina_cpu_loop_conv_transpose_backward_bias = {ROW_MAJOR(conv_transpose)};
const lamina_engine lamina_cpu_loop_fc_backward_bias = {ROW_MAJOR(fc)};
const lamina_engine lamina_cpu_channels_conv_backward_bias = {SIDE_BY_SIDE(conv)};
const lamina_engine lamina_cpu_channels_conv_transpose_backward_bias = {SIDE_BY_SIDE(conv_transpose)};
