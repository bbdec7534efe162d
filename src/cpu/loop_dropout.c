/* Dropout on the CPU: one pass over memory. Four elements take one Philox block; blocks are drawn side by side. */
#include <math.h>

#include "cpu/rows.h"
#include "kernels/philox.h"
#include "lamina/dropout.h"

/* Where numbers come from, and which are dropped: u < p is word >> 8 < ceil(p * 2^24), u being a multiple of 2^-24. */
typedef struct generator {
  uint64_t seed;
  uint32_t stream, step, threshold;
  float scale; /* 1 / (1 - p) */
} generator;

static generator generator_of(const lamina_plan *plan, const int64_t *rng) {
  const lamina_dropout *dropout = lamina_attr(&plan->problem);
  return (generator){.seed = (uint64_t)rng[0],
                     .stream = (uint32_t)dropout->stream,
                     .step = (uint32_t)rng[1],
                     .threshold = (uint32_t)ceil(dropout->p * 0x1p24),
                     .scale = dropout->p < 1 ? (float)(1 / (1 - dropout->p)) : 0};
}

_Static_assert(LAMINA_ROW % 4 == 0, "a row is whole blocks");

/* The words of elements 4*block … 4*(block + blocks) - 1. */
LAMINA_CLONES static void draw(const generator *from, uint64_t block, int64_t blocks, uint32_t *restrict words) {
  const generator g = *from;
  for (int64_t b = 0; b < blocks; b++) {
    const philox_words four = philox_block(g.seed, block + (uint64_t)b, g.stream, g.step);
    for (int k = 0; k < 4; k++) words[4 * b + k] = four.v[k];
  }
}

LAMINA_CLONES static void drop_row(int64_t n, const generator *from, const uint32_t *words, const float *x, float *y) {
  const uint32_t threshold = from->threshold;
  const float scale = from->scale;
#pragma GCC ivdep
  for (int64_t i = 0; i < n; i++) {
    const float kept = x[i] * scale;
    y[i] = words[i] >> 8 < threshold ? 0.0f : kept;
  }
}

static void run_elements(const lamina_plan *plan, const lamina_args *args, const generator *g) {
  enum { X, RNG, Y };
  const int32_t from = plan->problem.arg[X].dtype, to = plan->problem.arg[Y].dtype;
  const int64_t count = lamina_desc_count(&plan->problem.arg[X]);
#pragma omp parallel for schedule(static) if (count >= LAMINA_LOOP_PARALLEL / 4)
  for (int64_t i = 0; i < count; i += LAMINA_ROW) {
    float xs[LAMINA_ROW], ys[LAMINA_ROW];
    uint32_t words[LAMINA_ROW];
    const int64_t n = lamina_row_size(count, i);
    float *y = lamina_row_for(to, args->p[Y], i, ys);
    draw(g, (uint64_t)i / 4, (n + 3) / 4, words);
    drop_row(n, g, words, lamina_row_read(from, args->p[X], i, n, xs), y);
    lamina_row_write(to, args->p[Y], i, n, y);
  }
}

/* Whole channels: the same word for every element of one. */
static void run_channels(const lamina_plan *plan, const lamina_args *args, const generator *g, int64_t area) {
  enum { X, RNG, Y };
  const int32_t from = plan->problem.arg[X].dtype, to = plan->problem.arg[Y].dtype;
  const int64_t count = lamina_desc_count(&plan->problem.arg[X]);
#pragma omp parallel for schedule(static) if (count >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < count; i += LAMINA_ROW) {
    float xs[LAMINA_ROW], ys[LAMINA_ROW];
    uint32_t words[LAMINA_ROW];
    const int64_t n = lamina_row_size(count, i);
    float *y = lamina_row_for(to, args->p[Y], i, ys);
    for (int64_t k = 0; k < n;) {
      const int64_t channel = (i + k) / area, left = (channel + 1) * area - i, end = left < n ? left : n;
      const uint32_t word = philox_word(g->seed, (uint64_t)channel, g->stream, g->step);
      while (k < end) words[k++] = word;
    }
    drop_row(n, g, words, lamina_row_read(from, args->p[X], i, n, xs), y);
    lamina_row_write(to, args->p[Y], i, n, y);
  }
}

/* Both passes. */
static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  (void)workspace, (void)stream;
  const lamina_desc *x = &plan->problem.arg[0];
  const generator g = generator_of(plan, args->p[1]);
  int64_t area = 1;
  if (((const lamina_dropout *)lamina_attr(&plan->problem))->channels)
    for (int d = 2; d < x->rank; d++) area *= x->dims[d];
  if (area == 1)
    run_elements(plan, args, &g);
  else
    run_channels(plan, args, &g, area);
  return LAMINA_OK;
}

#define ENGINE(pass)                                                                                                   \
  LAMINA_LOOP_ENGINE("dropout/" #pass, LAMINA_STRIDES_DENSE), .candidates = lamina_row_candidates, .run = run
const lamina_engine lamina_cpu_loop_dropout_forward = {ENGINE(forward)};
const lamina_engine lamina_cpu_loop_dropout_backward = {ENGINE(backward)};
