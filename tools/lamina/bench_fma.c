/* The CPU's peak: multiply-adds in registers, on as many threads as ops use, with the widest vectors that there are.
 * (CMakeLists.txt has the compiler contract products and sums of this file.) */
#include <pthread.h>
#include <stdlib.h>

#include "bench.h"
#include "progress.h"

enum { ROUNDS = 20000 };

/* Enough chains of sums to hide the latency, few enough for the registers. The numbers stay near 1. */
#define BURN(name, target_, bytes, chains)                                                                             \
  typedef float name##_lanes __attribute__((vector_size(bytes)));                                                      \
  target_ static float name(float seed, double *operations) {                                                          \
    name##_lanes sum[chains], factor = {0}, more = {0};                                                                \
    factor += 1 - seed, more += seed;                                                                                  \
    for (int c = 0; c < (chains); c++) sum[c] = more + (float)c;                                                       \
    for (int i = 0; i < ROUNDS; i++)                                                                                   \
      for (int c = 0; c < (chains); c++) sum[c] = sum[c] * factor + more;                                              \
    for (int c = 1; c < (chains); c++) sum[0] += sum[c];                                                               \
    *operations += 2.0 * ROUNDS * (chains) * (double)(sizeof sum[0] / sizeof(float));                                  \
    return sum[0][0];                                                                                                  \
  }

typedef float burn_fn(float seed, double *operations);

#if defined(__x86_64__)
BURN(burn_avx512, __attribute__((target("avx512f"))), 64, 12)
BURN(burn_fma, __attribute__((target("avx2,fma"))), 32, 12)
BURN(burn_any, , 16, 12)

static burn_fn *best(void) {
  return __builtin_cpu_supports("avx512f") ? burn_avx512 : __builtin_cpu_supports("fma") ? burn_fma : burn_any;
}
#else
BURN(burn_any, , 16, 12)

static burn_fn *best(void) { return burn_any; }
#endif

typedef struct worker {
  pthread_t thread;
  double seconds, rate;
  volatile float kept; /* so that nothing is left out */
} worker;

static void *work(void *user) {
  worker *w = user;
  burn_fn *burn = best();
  double operations = 0, now;
  const double start = progress_now();
  do w->kept = burn(0x1p-10f, &operations);
  while ((now = progress_now()) - start < w->seconds);
  w->rate = operations / (now - start);
  return NULL;
}

double bench_fma(int threads, double seconds) {
  double sum = 0;
  int started = 0;
  worker *list = calloc((size_t)threads, sizeof *list);
  if (!list) return 0;
  for (; started < threads; started++) {
    list[started].seconds = seconds;
    if (pthread_create(&list[started].thread, NULL, work, &list[started])) break;
  }
  for (int i = 0; i < started; i++) {
    pthread_join(list[i].thread, NULL);
    sum += list[i].rate;
  }
  free(list);
  return sum;
}
