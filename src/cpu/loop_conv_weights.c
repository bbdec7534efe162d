/* The gradient of a convolution's filter: of each group a matrix product over all images and positions,
 *
 *   dw [filters, channels x taps] = dy [filters, images x positions] * x [images x positions, channels x taps]
 *
 * where the right side is x as each tap sees it (im2col that never is whole). A task makes ROWS x COLUMNS of dw, summed in
 * f32 over blocks of LAMINA_GEMM_DEPTH positions. Where that makes few tasks, the positions are cut into chunks, too; the
 * partial sums [chunks][dw] are added at the end. Their number depends on the shape alone, so the result does not on
 * the number of threads. */
#include "cpu/gemm_kernel.h"
#include "cpu/loop_conv.h"

enum { ROW_PANELS = 16, COLUMN_PANELS = 8, TASKS = 16 };

typedef struct state {
  lamina_loop_conv c;
  const lamina_gemm_kernel *kernel;
  int64_t C, K, width;               /* channels and filters of a group; columns of its dw */
  int64_t positions, depth, chunks;  /* images x positions; of a chunk */
  int64_t rows, columns;             /* of a task */
  int64_t row_blocks, column_blocks; /* of a group */
  size_t part, own;                  /* bytes of workspace: partial sums, a thread's own */
} state;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static void plan_work(state *s, const lamina_loop_conv *c, const lamina_gemm_kernel *kernel) {
  *s = (state){.c = *c, .kernel = kernel, .C = c->C / c->groups, .K = c->K / c->groups};
  s->width = s->C * c->w_area;
  s->positions = c->N * c->y_area;
  s->rows = least(lamina_gemm_round(s->K, kernel->mr), ROW_PANELS * kernel->mr);
  s->columns = least(lamina_gemm_round(s->width, kernel->nr), COLUMN_PANELS * kernel->nr);
  s->row_blocks = (s->K + s->rows - 1) / s->rows;
  s->column_blocks = (s->width + s->columns - 1) / s->columns;
  const int64_t tiles = c->groups * s->row_blocks * s->column_blocks;
  s->chunks = least((TASKS + tiles - 1) / tiles, s->positions / (4 * LAMINA_GEMM_DEPTH));
  if (s->chunks < 1) s->chunks = 1;
  s->depth = lamina_gemm_round((s->positions + s->chunks - 1) / s->chunks, LAMINA_GEMM_DEPTH);
  s->chunks = (s->positions + s->depth - 1) / s->depth;
  if (s->chunks > 1) s->part = lamina_align_up((size_t)(s->chunks * c->K * s->width) * 4, 64);
  const int64_t own = s->rows * s->columns + (s->rows + s->columns) * least(s->depth, LAMINA_GEMM_DEPTH);
  s->own = lamina_align_up((size_t)own * 4, 64);
}

static lamina_status prepare(lamina_plan *plan) {
  const lamina_loop_conv c = lamina_loop_conv_of(&plan->problem, plan->engine->user);
  state *s = lamina_host_alloc(plan->device, sizeof *s);
  if (!s) return LAMINA_OUT_OF_MEMORY;
  plan->state = s;
  plan_work(s, &c, lamina_gemm_kernel_at(0));
  plan->workspace = s->part + (size_t)plan->threads * s->own;
  return LAMINA_OK;
}

static void release(lamina_plan *plan) {
  if (plan->state) lamina_host_free(plan->device, plan->state, sizeof(state));
  plan->state = NULL;
}

/* ---- Packing ---------------------------------------------------------------------------------------------------- */

/* dy of filters k … k + rows - 1 (counted over all groups) at positions p … end - 1, as panels [end - p][mr]. */
LAMINA_INLINE void pack_dy(const state *s, const void *dy, int64_t k, int64_t rows, int64_t p, int64_t end, float *to,
                           bool bf16) {
  const int64_t mr = s->kernel->mr, area = s->c.y_area;
  for (int64_t i = 0; i < rows; i += mr, to += mr * (end - p)) {
    const int64_t height = least(mr, rows - i);
    if (area == 1) { /* filters lie side by side */
      for (int64_t q = p; q < end; q++) lamina_loop_copy(to + (q - p) * mr, dy, q * s->c.K + k + i, height, bf16);
      continue;
    }
    for (int64_t q = p; q < end;) {
      const int64_t n = q / area, first = q % area, count = least(area - first, end - q);
      for (int64_t j = 0; j < height; j++) {
        const int64_t from = (n * s->c.K + k + i + j) * area + first;
        float *restrict lane = to + (q - p) * mr + j;
        for (int64_t o = 0; o < count; o++) lane[o * mr] = lamina_loop_get(dy, from + o, bf16);
      }
      q += count;
    }
  }
}

/* One column: x of channel c (counted over all groups) as tap r sees it, at positions p … end - 1. */
LAMINA_INLINE void pack_column(const state *s, const void *x, int64_t c, int64_t r, int64_t p, int64_t end,
                               float *restrict to, bool bf16) {
  const lamina_loop_conv *v = &s->c;
  const int64_t nr = s->kernel->nr, step = v->stride[2];
  int64_t offset[3], o[3], n = p;
  for (int a = 2; a >= 0; a--) {
    const int64_t place = r % v->w[a];
    offset[a] = (v->flip ? v->w[a] - 1 - place : place) * v->dilation[a] - v->pad[a];
    r /= v->w[a];
  }
  for (int a = 2; a >= 0; a--) o[a] = n % v->y[a], n /= v->y[a];
  while (p < end) {
    const int64_t count = least(v->y[2] - o[2], end - p), first = o[2] * step + offset[2];
    const int64_t i0 = o[0] * v->stride[0] + offset[0], i1 = o[1] * v->stride[1] + offset[1];
    int64_t lo, hi;
    lamina_loop_inside(first, step, count, v->x[2], &lo, &hi);
    if (i0 < 0 || i0 >= v->x[0] || i1 < 0 || i1 >= v->x[1]) lo = hi = count;
    const int64_t from = (n * v->C + c) * v->x_area + (i0 * v->x[1] + i1) * v->x[2] + first;
    for (int64_t j = 0; j < lo; j++) to[j * nr] = 0;
    for (int64_t j = lo; j < hi; j++) to[j * nr] = lamina_loop_get(x, from + j * step, bf16);
    for (int64_t j = hi; j < count; j++) to[j * nr] = 0;
    p += count, to += count * nr;
    o[2] = 0;
    if (++o[1] == v->y[1]) o[1] = 0, o[0]++;
    if (o[0] == v->y[0]) o[0] = 0, n++;
  }
}

/* Columns from `column` of group g, at positions p … end - 1, as panels [end - p][nr]. */
LAMINA_INLINE void pack_x(const state *s, const void *x, int64_t g, int64_t column, int64_t columns, int64_t p,
                          int64_t end, float *to, bool bf16) {
  const int64_t nr = s->kernel->nr, taps = s->c.w_area;
  for (int64_t i = 0; i < columns; i += nr, to += nr * (end - p)) {
    const int64_t lanes = least(nr, columns - i);
    if (s->c.same && s->c.x_area == 1) { /* channels lie side by side */
      for (int64_t q = p; q < end; q++)
        lamina_loop_copy(to + (q - p) * nr, x, q * s->c.C + g * s->C + column + i, lanes, bf16);
      continue;
    }
    for (int64_t j = 0; j < lanes; j++)
      pack_column(s, x, g * s->C + (column + i + j) / taps, (column + i + j) % taps, p, end, to + j, bf16);
  }
}

#define TYPES(type, bf16)                                                                                              \
  LAMINA_CLONES static void pack_dy_##type(const state *s, const void *dy, int64_t k, int64_t rows, int64_t p,         \
                                           int64_t end, float *to) {                                                   \
    pack_dy(s, dy, k, rows, p, end, to, bf16);                                                                         \
  }                                                                                                                    \
  LAMINA_CLONES static void pack_x_##type(const state *s, const void *x, int64_t g, int64_t column, int64_t columns,   \
                                          int64_t p, int64_t end, float *to) {                                         \
    pack_x(s, x, g, column, columns, p, end, to, bf16);                                                                \
  }
TYPES(f32, false)
TYPES(bf16, true)

/* ---- Running ---------------------------------------------------------------------------------------------------- */

typedef struct running {
  const state *s;
  const void *x, *dy;
  void *dw;
  bool x_bf16, dy_bf16, dw_bf16;
  float *part;
  char *own;
} running;

static void run_task(const running *r, int64_t chunk, int64_t g, int64_t row, int64_t column, float *own) {
  const state *s = r->s;
  const int64_t rows = least(s->rows, s->K - row), columns = least(s->columns, s->width - column);
  const int64_t stop = least(s->positions, (chunk + 1) * s->depth), block = least(s->depth, LAMINA_GEMM_DEPTH);
  float *sum = own, *left = sum + s->rows * s->columns, *right = left + s->rows * block;
  for (int64_t p = chunk * s->depth; p < stop; p += LAMINA_GEMM_DEPTH) {
    const int64_t end = least(stop, p + LAMINA_GEMM_DEPTH);
    (r->dy_bf16 ? pack_dy_bf16 : pack_dy_f32)(s, r->dy, g * s->K + row, rows, p, end, left);
    (r->x_bf16 ? pack_x_bf16 : pack_x_f32)(s, r->x, g, column, columns, p, end, right);
    lamina_gemm_panels(s->kernel, rows, columns, end - p, left, right, sum, s->columns, p > chunk * s->depth);
  }
  for (int64_t i = 0; i < rows; i++) {
    const int64_t to = (g * s->K + row + i) * s->width + column;
    if (s->chunks > 1)
      memcpy(r->part + chunk * s->c.K * s->width + to, sum + i * s->columns, (size_t)columns * sizeof *sum);
    else
      for (int64_t j = 0; j < columns; j++) lamina_loop_set(r->dw, to + j, sum[i * s->columns + j], r->dw_bf16);
  }
}

static void add_parts(const running *r) {
  const int64_t count = r->s->c.K * r->s->width;
#pragma omp parallel for schedule(static) if (count >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < count; i++) {
    double sum = 0;
    for (int64_t chunk = 0; chunk < r->s->chunks; chunk++) sum += (double)r->part[chunk * count + i];
    lamina_loop_set(r->dw, i, (float)sum, r->dw_bf16);
  }
}

static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  const state *s = plan->state;
  const lamina_loop_conv_row *row = plan->engine->user;
  const running r = {.s = s,
                     .x = args->p[row->x],
                     .dy = args->p[row->y],
                     .dw = args->p[row->w],
                     .x_bf16 = lamina_loop_is_bf16(plan, row->x),
                     .dy_bf16 = lamina_loop_is_bf16(plan, row->y),
                     .dw_bf16 = lamina_loop_is_bf16(plan, row->w),
                     .part = workspace,
                     .own = (char *)workspace + s->part};
  const int64_t blocks = s->row_blocks * s->column_blocks, tasks = s->chunks * s->c.groups * blocks;
  (void)stream;
#pragma omp parallel for schedule(dynamic) if (tasks > 1 && s->positions * s->c.K * s->width >= 1 << 20)
  for (int64_t i = 0; i < tasks; i++) {
    const int64_t block = i % blocks, g = i / blocks % s->c.groups, chunk = i / blocks / s->c.groups;
    run_task(&r, chunk, g, block / s->column_blocks * s->rows, block % s->column_blocks * s->columns,
             (float *)(r.own + (size_t)lamina_loop_thread() * s->own));
  }
  if (s->chunks > 1) add_parts(&r);
  return LAMINA_OK;
}

/* Both sides are transposed on their way, an element at a time, once for each block of the other side. */
static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  const lamina_loop_conv c = lamina_loop_conv_of(problem, engine->user);
  const double threads = lamina_device_threads(device);
  double flops, bytes;
  state s;
  if (!lamina_loop_conv_takes(problem, each, context)) return;
  plan_work(&s, &c, lamina_gemm_kernel_at(0));
  lamina_problem_work(problem, &flops, &bytes);
  const double rows = (double)least(s.K, s.kernel->mr), short_row = 1 + 4 / (double)c.y[2];
  const double packed =
      (double)(s.positions * c.groups) * (double)(s.K * s.column_blocks + s.width * s.row_blocks) * 1.2e-9 * short_row;
  const double lanes = (double)lamina_gemm_round(s.width, s.kernel->nr) / (double)s.width;
  const double parts = (double)(s.chunks * c.K * s.width) * 8e-10;
  each(context, "gemm",
       lamina_cpu_computing(device, flops * lanes * (1 + 2 / rows), s.kernel->share) + packed / threads + parts +
           lamina_loop_moving(device, bytes) + 3e-6,
       "");
}

static const lamina_loop_conv_row conv_weights = {.x = 0, .y = 1, .w = 2, .b = -1},
                                  transpose_weights = {.y = 0,
                                                       .x = 1,
                                                       .w = 2,
                                                       .b = -1,
                                                       .attributes = lamina_loop_conv_transposed},
                                  fc_weights = {.x = 0, .y = 1, .w = 2, .b = -1, .attributes = lamina_loop_conv_fc};

#define ENGINE(op, row_)                                                                                               \
  LAMINA_LOOP_ENGINE(op, LAMINA_STRIDES_DENSE), .user = (void *)&row_, .candidates = candidates, .prepare = prepare,   \
                                                .run = run, .release = release
const lamina_engine lamina_cpu_loop_conv_backward_weights = {ENGINE("conv/backward_weights", conv_weights)};
const lamina_engine lamina_cpu_loop_conv_transpose_backward_weights = {
    ENGINE("conv_transpose/backward_weights", transpose_weights)};
const lamina_engine lamina_cpu_loop_fc_backward_weights = {ENGINE("fc/backward_weights", fc_weights)};
