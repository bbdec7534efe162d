/* The gradient of a fully connected layer's weights: a matrix product over the batch,
 *
 *   dw [O, I] = dy [N, O]' * x [N, I]
 *
 * whose sides are packed for the product's kernel (gemm_kernel.h) out of lanes, or row by row where they are plain:
 * both hold the batch's examples one after the other. */
#include "cpu/gemm_kernel.h"
#include "cpu/lanes.h"

enum { X, DY, DW };
enum { PANELS = 4 }; /* of x to a task */
static const int data[] = {X, DY, -1};

typedef struct state {
  const lamina_gemm_kernel *gemm;
  const lamina_lanes_kernel *kernel;
  int64_t N, I, O, columns, rows; /* columns, rows: of x and dy, in whole panels */
  bool x_lanes, dy_lanes;
  size_t own; /* bytes of a thread's sums at the right edge */
} state;

static state state_of(const lamina_problem *p) {
  const lamina_gemm_kernel *gemm = lamina_gemm_kernel_at(0);
  const int64_t I = p->arg[X].dims[1], O = p->arg[DY].dims[1];
  return (state){.gemm = gemm,
                 .kernel = lamina_lanes_kernel_at(0),
                 .N = p->arg[X].dims[0],
                 .I = I,
                 .O = O,
                 .columns = lamina_gemm_round(I, gemm->nr),
                 .rows = lamina_gemm_round(O, gemm->mr),
                 .x_lanes = p->arg[X].layout == LAMINA_LANES_LAYOUT,
                 .dy_lanes = p->arg[DY].layout == LAMINA_LANES_LAYOUT,
                 .own = lamina_align_up((size_t)(lamina_gemm_round(O, gemm->mr) * gemm->nr) * sizeof(float), 64)};
}

/* Columns c … c + width - 1 of [N, C] as a panel [N][width]; what is past C stays as it is. */
static void pack(const state *s, const float *from, bool lanes, int64_t C, int64_t c, int width, float *to) {
  const int n = C - c < width ? (int)(C - c) : width;
  if (!lanes) {
    for (int64_t i = 0; i < s->N; i++) memcpy(to + i * width, from + i * C + c, (size_t)n * sizeof *to);
    return;
  }
  for (int64_t i = 0; i < s->N; i += LAMINA_LANES)
    for (int j = 0; j < n; j += LAMINA_LANES) {
      const int rows = n - j < LAMINA_LANES ? n - j : LAMINA_LANES;
      s->kernel->transpose(rows, LAMINA_LANES, from + (i * C + (c + j) * LAMINA_LANES), LAMINA_LANES,
                           to + i * width + j, width, rows);
    }
}

/* A few panels of x against all of dy. Panels hold all of the batch; the kernel goes through all of it at once. */
static void multiply(const state *s, const float *a, const float *b, int64_t from, int64_t end, float *dw, float *own) {
  const int64_t nr = s->gemm->nr, mr = s->gemm->mr;
  for (int64_t j = from; j < end; j += nr)
    for (int64_t i = 0; i < s->O; i += mr) {
      const int rows = s->O - i < mr ? (int)(s->O - i) : (int)mr;
      const bool whole = j + nr <= s->I;
      float *to = whole ? dw + i * s->I + j : own;
      s->gemm->tile(rows, s->N, a + i * s->N, b + j * s->N, to, whole ? s->I : nr, false);
      for (int r = 0; !whole && r < rows; r++)
        memcpy(dw + (i + r) * s->I + j, own + r * nr, (size_t)(s->I - j) * sizeof *dw);
    }
}

static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  const state s = state_of(&plan->problem);
  const int64_t nr = s.gemm->nr, mr = s.gemm->mr, task = PANELS * nr;
  float *a = workspace, *b = a + s.rows * s.N, *own = b + s.columns * s.N;
  const bool wide = s.N * s.I * s.O >= 1 << 18;
  (void)stream;
#pragma omp parallel if (wide)
  {
#pragma omp for schedule(static)
    for (int64_t i = 0; i < s.rows; i += mr) pack(&s, args->p[DY], s.dy_lanes, s.O, i, (int)mr, a + i * s.N);
#pragma omp for schedule(static)
    for (int64_t j = 0; j < s.columns; j += task) {
      const int64_t end = j + task < s.columns ? j + task : s.columns;
      for (int64_t p = j; p < end; p += nr) pack(&s, args->p[X], s.x_lanes, s.I, p, (int)nr, b + p * s.N);
      multiply(&s, a, b, j, end, args->p[DW], own + (size_t)lamina_loop_thread() * s.own / sizeof *own);
    }
  }
  return LAMINA_OK;
}

static lamina_status prepare(lamina_plan *plan) {
  lamina_lanes_settle(&plan->problem, data);
  const state s = state_of(&plan->problem);
  plan->workspace = (size_t)((s.rows + s.columns) * s.N) * sizeof(float) + (size_t)plan->threads * s.own;
  return LAMINA_OK;
}

static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  lamina_problem settled = *problem;
  double flops, bytes;
  (void)engine;
  lamina_lanes_settle(&settled, data);
  if (!lamina_lanes_takes(&settled, data, each, context)) return;
  lamina_problem_work(&settled, &flops, &bytes);
  const state s = state_of(&settled);
  const double tasks = (double)((s.columns + PANELS * s.gemm->nr - 1) / (PANELS * s.gemm->nr));
  const double threads = lamina_device_threads(device), busy = tasks < threads ? tasks : threads;
  const double rate = s.gemm->share * device->roofline.flops / threads;
  const double tiles = (double)s.columns / (double)s.I * (double)s.rows / (double)s.O;
  const double packed = lamina_lanes_turned(device, (double)((s.rows + s.columns) * s.N));
  each(context, "", (flops * tiles / rate + packed + lamina_lanes_cached(device, bytes)) / busy + 2e-6, "");
}

const lamina_engine lamina_cpu_lanes_fc_backward_weights = {LAMINA_LANES_ENGINE("fc/backward_weights"),
                                                            .candidates = candidates, .prepare = prepare, .run = run};
