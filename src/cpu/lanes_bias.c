/* The gradient of a bias, of dy with the batch in the lanes, [N/16][K][area][16]: for each channel the sums of up to some
 * places in f32 lanes, those in f64. */
#include "cpu/lanes.h"

enum { DY, DB, PLACES = 64, ROWS = 4 }; /* places that are summed in f32, and at once */
static const int data[] = {DY, -1};

typedef struct sizes {
  int64_t blocks, K, area;
} sizes;

static sizes sizes_of(const lamina_desc *dy) {
  sizes s = {.blocks = dy->dims[0] / LAMINA_LANES, .K = dy->dims[1], .area = 1};
  for (int a = 2; a < dy->rank; a++) s.area *= dy->dims[a];
  return s;
}

LAMINA_CLONES static double sum_plane(int64_t area, const float *dy) {
  double sum = 0;
  for (int64_t first = 0; first < area; first += PLACES) {
    const int64_t end = area - first < PLACES ? area : first + PLACES;
    float lane[ROWS * LAMINA_LANES] = {0}; /* sums enough that none waits for the one before */
    int64_t i = first;
    for (; i + ROWS <= end; i += ROWS)
      for (int j = 0; j < ROWS * LAMINA_LANES; j++) lane[j] += dy[i * LAMINA_LANES + j];
    for (; i < end; i++)
      for (int j = 0; j < LAMINA_LANES; j++) lane[j] += dy[i * LAMINA_LANES + j];
    for (int half = ROWS * LAMINA_LANES / 2; half > 0; half /= 2) /* some 10 roundings in all */
      for (int j = 0; j < half; j++) lane[j] += lane[j + half];
    sum += (double)lane[0];
  }
  return sum;
}

static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  const sizes s = sizes_of(&plan->problem.arg[DY]);
  const float *dy = args->p[DY];
  float *db = args->p[DB];
  (void)workspace, (void)stream;
#pragma omp parallel for schedule(static) if (s.blocks * s.K * s.area * LAMINA_LANES >= LAMINA_LOOP_PARALLEL)
  for (int64_t k = 0; k < s.K; k++) {
    double sum = 0;
    for (int64_t n = 0; n < s.blocks; n++) sum += sum_plane(s.area, dy + (n * s.K + k) * s.area * LAMINA_LANES);
    db[k] = (float)sum;
  }
  return LAMINA_OK;
}

static lamina_status prepare(lamina_plan *plan) {
  lamina_lanes_settle(&plan->problem, data);
  return LAMINA_OK;
}

/* A plain dy is the loop engine's. */
static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  lamina_problem settled = *problem;
  double flops, bytes;
  (void)engine;
  lamina_lanes_settle(&settled, data);
  if (!lamina_lanes_takes(&settled, data, each, context)) return;
  if (settled.arg[DY].layout != LAMINA_LANES_LAYOUT) {
    each(context, NULL, 0, "it takes dy with the batch in the lanes");
    return;
  }
  lamina_problem_work(&settled, &flops, &bytes);
  const double threads = lamina_device_threads(device), busy = bytes < LAMINA_LOOP_PARALLEL * 4 ? 1 : threads;
  each(context, "", lamina_lanes_cached(device, bytes) / busy + 1e-6, "");
}

const lamina_engine lamina_cpu_lanes_conv_backward_bias = {LAMINA_LANES_ENGINE("conv/backward_bias"),
                                                           .candidates = candidates, .prepare = prepare, .run = run};
const lamina_engine lamina_cpu_lanes_fc_backward_bias = {LAMINA_LANES_ENGINE("fc/backward_bias"),
                                                         .candidates = candidates, .prepare = prepare, .run = run};
