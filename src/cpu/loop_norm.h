/* What the normalisations share on the CPU: moments and sums of gradients, in f64.
 *
 * Moments are taken in two passes over a block that stays in the cache, first its mean, then the squares of the
 * distances from it; blocks are merged by the formula of Chan, Golub and LeVeque ("Algorithms for computing the sample
 * variance", 1983). So memory is read once, no large sums are subtracted, and equal numbers have variance 0 exactly. */
#ifndef LAMINA_CPU_LOOP_NORM_H
#define LAMINA_CPU_LOOP_NORM_H

#include "cpu/loop.h"

enum { LAMINA_NORM_LANES = 16, LAMINA_NORM_BLOCK = 2048 }; /* running sums; elements that stay in the cache */

typedef struct lamina_loop_moments {
  double n, mean, squares; /* squares: sum of (x - mean)^2 */
} lamina_loop_moments;

typedef struct lamina_loop_sums {
  double plain, moment; /* sums of dy and of dy * (x - mean) */
} lamina_loop_sums;

LAMINA_INLINE void lamina_loop_merge(lamina_loop_moments *a, const lamina_loop_moments *b) {
  const double n = a->n + b->n, step = b->mean - a->mean;
  if (b->n == 0) return;
  a->mean += step * (b->n / n);
  a->squares += b->squares + step * step * (a->n * (b->n / n));
  a->n = n;
}

LAMINA_INLINE double lamina_loop_lanes(const double *lane) {
  double sum = 0;
  for (int j = 0; j < LAMINA_NORM_LANES; j++) sum += lane[j];
  return sum;
}

/* Merges n elements that lie in one piece. */
LAMINA_INLINE void lamina_loop_moments_run(lamina_loop_moments *m, int64_t n, const void *x, bool bf16) {
  for (int64_t start = 0; start < n; start += LAMINA_NORM_BLOCK) {
    const int64_t end = n - start < LAMINA_NORM_BLOCK ? n : start + LAMINA_NORM_BLOCK;
    double lane[LAMINA_NORM_LANES] = {0}, square[LAMINA_NORM_LANES] = {0};
    int64_t i = start;
    for (; i + LAMINA_NORM_LANES <= end; i += LAMINA_NORM_LANES)
      for (int64_t j = 0; j < LAMINA_NORM_LANES; j++) lane[j] += (double)lamina_loop_get(x, i + j, bf16);
    for (int64_t j = 0; i + j < end; j++) lane[j] += (double)lamina_loop_get(x, i + j, bf16);
    lamina_loop_moments block = {.n = (double)(end - start)};
    const double mean = block.mean = lamina_loop_lanes(lane) / block.n;
    for (i = start; i + LAMINA_NORM_LANES <= end; i += LAMINA_NORM_LANES)
      for (int64_t j = 0; j < LAMINA_NORM_LANES; j++) {
        const double d = (double)lamina_loop_get(x, i + j, bf16) - mean;
        square[j] += d * d;
      }
    for (int64_t j = 0; i + j < end; j++) {
      const double d = (double)lamina_loop_get(x, i + j, bf16) - mean;
      square[j] += d * d;
    }
    block.squares = lamina_loop_lanes(square);
    lamina_loop_merge(m, &block);
  }
}

/* Adds the sums over n elements that lie in one piece. */
LAMINA_INLINE void lamina_loop_sums_run(lamina_loop_sums *s, int64_t n, const void *x, const void *dy, double mean,
                                        bool bf16) {
  double plain[LAMINA_NORM_LANES] = {0}, moment[LAMINA_NORM_LANES] = {0};
  int64_t i = 0;
  for (; i + LAMINA_NORM_LANES <= n; i += LAMINA_NORM_LANES)
    for (int64_t j = 0; j < LAMINA_NORM_LANES; j++) {
      const double g = (double)lamina_loop_get(dy, i + j, bf16);
      plain[j] += g, moment[j] += g * ((double)lamina_loop_get(x, i + j, bf16) - mean);
    }
  for (int64_t j = 0; i + j < n; j++) {
    const double g = (double)lamina_loop_get(dy, i + j, bf16);
    plain[j] += g, moment[j] += g * ((double)lamina_loop_get(x, i + j, bf16) - mean);
  }
  s->plain += lamina_loop_lanes(plain), s->moment += lamina_loop_lanes(moment);
}

/* A mean in two parts, so that x - mean is right where both are large. */
LAMINA_INLINE void lamina_loop_split(double mean, float *high, float *low) {
  *high = (float)mean;
  *low = (float)(mean - (double)*high);
}

/* An optional number of argument `arg`. */
static inline double lamina_loop_number(const lamina_plan *plan, const lamina_args *args, int arg, int64_t i,
                                        double absent) {
  return args->p[arg] ? lamina_load((lamina_dtype)plan->problem.arg[arg].dtype, args->p[arg], i) : absent;
}
static inline void lamina_loop_put(const lamina_plan *plan, const lamina_args *args, int arg, int64_t i, double value) {
  if (args->p[arg]) lamina_store((lamina_dtype)plan->problem.arg[arg].dtype, args->p[arg], i, value);
}

/* One candidate: x, y, dy and dx are all f32 or all bf16, what goes with them is f32 or bf16. */
void lamina_loop_norm_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                                 lamina_candidate_fn *each, void *context);

#endif
