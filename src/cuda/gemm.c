/* Matrix products, on the CUDA cores (kernel/gemm) and on tensor cores (kernel/gemm_mma): tiles, splits, and what they
 * cost. */
#include "cuda/gemm.h"

#include <math.h>
#include <stdio.h>

typedef struct tile {
  int rows, columns, bytes, threads, resident; /* bytes of its step in k */
} tile;

static const tile simt_tiles[] = {
#define X(place, rows, columns, depth, threads, resident) [place] = {rows, columns, 4 * (depth), threads, resident},
    KERNEL_GEMM_TILES(X)
#undef X
};
static const tile mma_tiles[] = {
#define X(place, ...) [place] = {__VA_ARGS__},
    KERNEL_GEMM_MMA_TILES(X)
#undef X
};
enum { MOST_SPLITS = 64 };

/* How products are made: on the CUDA cores, or on tensor cores. */
typedef struct kind {
  const tile *tiles;
  int count;
  bool tensor;
  int (*run)(const kernel_gemm *g, const kernel_gemm_pointers *p, kernel_stream stream);
} kind;
static const kind simt = {simt_tiles, sizeof simt_tiles / sizeof *simt_tiles, false, kernel_gemm_run};
static const kind mma = {mma_tiles, sizeof mma_tiles / sizeof *mma_tiles, true, kernel_gemm_mma_run};
static const kind *kind_of(const lamina_engine *engine) {
  return strcmp(engine->name, "kernel/gemm") == 0 ? &simt : &mma;
}

typedef struct state {
  kernel_gemm gemm;
  bool swapped; /* the product is that of the transposes: c = (b' a')' */
} state;

/* ---- The problem ------------------------------------------------------------------------------------------------ */

cuda_gemm_view cuda_gemm_view_of(const lamina_desc *desc, bool swap) {
  const int row = desc->rank - (swap ? 1 : 2), column = desc->rank - (swap ? 2 : 1);
  cuda_gemm_view view = {.rows = desc->dims[row],
                         .columns = desc->dims[column],
                         .steps = {.row = desc->strides[row], .column = desc->strides[column]}};
  for (int i = 0; i < desc->rank - 2; i++)
    view.steps.batch[i] = desc->dims[desc->rank - 3 - i] > 1 ? desc->strides[desc->rank - 3 - i] : 0;
  return view;
}

static int64_t count_of(const kernel_gemm *g, int first, int axes) {
  int64_t count = 1;
  for (int i = first; i < first + axes; i++) count *= g->size[i];
  return count;
}

static int depth_of(const kernel_gemm *g, const tile *t) { return t->bytes / (g->type == KERNEL_F32 ? 4 : 2); }

static int64_t steps_of(const kernel_gemm *g, const tile *t) {
  return ((g->K - 1) / depth_of(g, t) + 1) * count_of(g, g->kept, g->summed);
}

static int64_t tiles_of(const kernel_gemm *g, const tile *t) {
  return (int64_t)((g->M - 1) / t->rows + 1) * ((g->N - 1) / t->columns + 1) * count_of(g, 0, g->kept);
}

static double elements_of(const kernel_gemm *g) { return (double)g->M * g->N * (double)count_of(g, 0, g->kept); }

/* c' = b' a' */
static state transposed(const state *of) {
  state s = {.gemm = of->gemm, .swapped = !of->swapped};
  const kernel_gemm_steps *const from[] = {&of->gemm.b, &of->gemm.a, &of->gemm.c};
  kernel_gemm_steps *const to[] = {&s.gemm.a, &s.gemm.b, &s.gemm.c};
  for (int i = 0; i < 3; i++) {
    *to[i] = *from[i];
    to[i]->row = from[i]->column, to[i]->column = from[i]->row;
  }
  s.gemm.M = of->gemm.N, s.gemm.N = of->gemm.M;
  s.gemm.bias_row = of->gemm.bias_column, s.gemm.bias_column = of->gemm.bias_row;
  return s;
}

/* Rows of c should be neighbours: where its columns are, the transposes are multiplied; and where there is no kernel for
 * the product as it is. */
static state state_of(const kernel_gemm *gemm) {
  state s = {.gemm = *gemm};
  if (gemm->c.column != 1 && gemm->c.row == 1) s = transposed(&s);
  return kernel_gemm_of_transposes(&s.gemm) ? transposed(&s) : s;
}

/* ---- The choice ------------------------------------------------------------------------------------------------- */

/* Seconds. A block's step takes its share of the arithmetic, or its part of the time that loads are under way; blocks
 * take turns on the multiprocessors. */
static double seconds_of(lamina_device *device, const kernel_gemm *g, const kind *k, const tile *t, int splits,
                         double bytes) {
  const cuda_device *cuda = cuda_device_of(device);
  const double latency = k->tensor ? 0.3e-6 : 0.8e-6, ends = 2e-6; /* tensor cores' loads are three steps ahead */
  /* what a tile reads for a product falls with its sides; small ones wait more for shared memory, and for L2, which is
   * what tensor cores soon wait for */
  const int sides = t->rows + t->columns;
  const double share = k->tensor ? (sides > 256   ? 0.9
                                    : sides > 128 ? 0.75
                                                  : 0.4)
                                 : (sides > 128  ? 0.85
                                    : sides > 64 ? 0.7
                                                 : 0.4);
  const double rate = cuda->flops * share * (!k->tensor ? 1 : g->type == KERNEL_F32 ? 4 : 8);
  const double blocks = (double)tiles_of(g, t) * splits, steps = (double)((steps_of(g, t) - 1) / splits + 1);
  const double step = 2.0 * t->rows * t->columns * depth_of(g, t) * cuda->multiprocessors / rate;
  const double turns = (double)(int64_t)((blocks - 1) / cuda->multiprocessors + 1);
  const double waves = (double)(int64_t)((blocks - 1) / (cuda->multiprocessors * (double)t->resident) + 1);
  const double alone = turns > 1 || t->resident == 1 ? 1 : 1.4; /* nothing else runs while a lone block waits */
  const double compute = alone * turns * steps * step, waiting = waves * steps * latency;
  const double parts = splits > 1 ? 2.0 * sizeof(float) * splits * elements_of(g) : 0;
  const double memory = cuda_seconds(device, 0, bytes + parts) + (splits > 1 ? cuda_seconds(device, 0, 0) : 0);
  return memory + ends + fmax(compute, waiting);
}

/* Into how many parts a sum is best divided, each of two steps or more; 1 where it is too short. */
static int splits_of(lamina_device *device, const kernel_gemm *g, const kind *k, const tile *t, double bytes) {
  int best = 1;
  double least = INFINITY;
  for (int splits = 2; splits <= MOST_SPLITS && steps_of(g, t) >= 2 * splits; splits++) {
    const double seconds = seconds_of(device, g, k, t, splits, bytes);
    if (seconds < least) best = splits, least = seconds;
  }
  return best;
}

static const char *name_of(const kernel_gemm *g, const kind *k, const tile *t, bool split, char name[64]) {
  const char *factors = !k->tensor ? "" : g->type == KERNEL_F32 ? "tf32_" : g->type == KERNEL_F16 ? "f16_" : "bf16_";
  snprintf(name, 64, "%s%dx%d%s", factors, t->rows, t->columns, split ? "_split" : "");
  return name;
}

/* The larger tiles of tensor cores are made of whole chunks. */
static bool has_tile(const kernel_gemm *g, const kind *k, int tile) {
  return !k->tensor || tile == KERNEL_GEMM_MMA_ANY_TILE || kernel_gemm_in_chunks(g);
}

void cuda_gemm_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                          const kernel_gemm *gemm, bool tf32, lamina_candidate_fn *each, void *context) {
  const kernel_gemm g = state_of(gemm).gemm;
  const kind *k = kind_of(engine);
  const double bytes = cuda_bytes(problem);
  bool any = false;
  if (!k->tensor && g.type != KERNEL_F32) {
    each(context, NULL, 0, "it takes f32; tensor cores are for bf16 and f16");
    return;
  }
  if (k->tensor && g.type == KERNEL_F32 &&
      (problem->math == LAMINA_MATH_DEFAULT ? !tf32 : problem->math == LAMINA_MATH_STRICT)) {
    each(context, NULL, 0, "tensor cores round f32 factors to tf32, which this problem's math doesn't allow");
    return;
  }
  for (int i = 0; i < k->count; i++) {
    const tile *t = &k->tiles[i];
    char name[64];
    if (!has_tile(&g, k, i) || tiles_of(&g, t) > INT32_MAX / MOST_SPLITS || steps_of(&g, t) > INT32_MAX) continue;
    each(context, name_of(&g, k, t, false, name), seconds_of(device, &g, k, t, 1, bytes), "");
    const int splits = splits_of(device, &g, k, t, bytes);
    if (splits > 1) each(context, name_of(&g, k, t, true, name), seconds_of(device, &g, k, t, splits, bytes), "");
    any = true;
  }
  if (!any) each(context, NULL, 0, "it takes up to 2^25 tiles, and 2^31 - 1 steps of a sum");
}

lamina_status cuda_gemm_prepare(lamina_plan *plan, const kernel_gemm *gemm) {
  const kind *k = kind_of(plan->engine);
  state *s = cuda_state(plan, sizeof *s);
  if (!s) return LAMINA_OUT_OF_MEMORY;
  *s = state_of(gemm);
  for (int i = 0; i < k->count; i++) {
    const tile *t = &k->tiles[i];
    char name[64];
    const bool split = strcmp(plan->variant, name_of(&s->gemm, k, t, true, name)) == 0;
    if (!split && strcmp(plan->variant, name_of(&s->gemm, k, t, false, name)) != 0) continue;
    s->gemm.tile = i;
    if (split) s->gemm.splits = splits_of(plan->device, &s->gemm, k, t, cuda_bytes(&plan->problem));
  }
  if (s->gemm.splits > 1) snprintf(plan->note, sizeof plan->note, "sums in %d parts", s->gemm.splits);
  plan->workspace = kernel_gemm_workspace(&s->gemm);
  /* Tensor cores truncate their sums. */
  if (k->tensor)
    plan->numerics =
        (lamina_numerics){.u_acc = 0x1p-23, .u_in = s->gemm.type == KERNEL_F32 ? 0x1p-11 : 0, .linear = true};
  return LAMINA_OK;
}

lamina_status cuda_gemm_run(const lamina_plan *plan, const kernel_gemm_pointers *p, void *workspace,
                            lamina_stream *stream) {
  const state *s = plan->state;
  kernel_gemm_pointers q = *p;
  if (s->swapped) q.a = p->b, q.b = p->a;
  q.partial = workspace;
  return cuda_launched(plan, kind_of(plan->engine)->run(&s->gemm, &q, cuda_stream_of(stream)));
}
