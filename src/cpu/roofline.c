/* What the machine does at best: the numbers that estimates are shares of.
 *
 *   flops        multiply-adds in registers, by the widest vectors there are, on all threads
 *   flops_half   the same of bf16 pairs that are added in f32, where there are instructions for it
 *   read         dot products of rows that are more memory than the caches hold, several at once, as dot_fc.c reads
 *   copy         a pass from one half of so much memory to the other
 *   region       a parallel region in which nothing is done
 *
 * Reckoned from what the CPU says of itself, so that estimates are the same each time; or measured, in some 100 ms, when
 * somebody asks for that. Of rates the best of several runs counts, since neighbours only take away. */
#include "cpu/roofline.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#define X86
#endif

#include "core/text.h"
#include "cpu/dot_kernel.h"
#include "cpu/loop.h"

/* ---- Reckoned ------------------------------------------------------------------------------------------------------ */

#define NOMINAL_CLOCK 2.8e9 /* of a CPU that keeps it to itself, as many virtual ones do */

/* The CPU's name, "" where it tells none. */
static void name_of_cpu(char *text, size_t size) {
  text[0] = 0;
#ifdef X86
  union {
    unsigned word[12];
    char text[49];
  } brand = {{0}};
  if (__get_cpuid_max(0x80000000u, NULL) < 0x80000004u) return;
  for (unsigned i = 0; i < 3; i++)
    __get_cpuid(0x80000002u + i, &brand.word[4 * i], &brand.word[4 * i + 1], &brand.word[4 * i + 2],
                &brand.word[4 * i + 3]);
  brand.text[48] = 0;
  for (const char *from = brand.text; *from && strlen(text) + 1 < size; from++) /* single blanks, none at the ends */
    if (*from != ' ' || (*text && from[1] && from[1] != ' ')) lamina_append(text, size, "%c", *from);
#else
  (void)size;
#endif
}

/* Clocks a second: what the CPU says, else what its name says ("… @ 2.50GHz"). */
static double nominal_clock(const char *name) {
#ifdef X86
  unsigned mhz = 0, b, c, d;
  double ghz;
  if (__get_cpuid_max(0, NULL) >= 0x16 && __get_cpuid(0x16, &mhz, &b, &c, &d) && (mhz & 0xFFFF))
    return (mhz & 0xFFFF) * 1e6;
  const char *at = strstr(name, "@ ");
  char digits[8] = "";
  if (at) snprintf(digits, sizeof digits, "%.*s", (int)strspn(at + 2, "0123456789."), at + 2);
  if (lamina_read_real(digits, &ghz) && ghz > 0.5 && ghz < 10) return ghz * 1e9;
#endif
  (void)name;
  return NOMINAL_CLOCK;
}

/* f32 operations of a core in a clock. */
static double nominal_width(void) {
#ifdef X86
  if (__builtin_cpu_supports("avx512f")) return 64; /* two units of 16 multiply-adds */
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 32;
#endif
  return 8;
}

static bool has_dot(void) {
#ifdef X86
  return __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

void lamina_cpu_reckon(int threads, lamina_roofline *roofline) {
  cpu_set_t usable;
  const int cores = sched_getaffinity(0, sizeof usable, &usable) == 0 ? CPU_COUNT(&usable) : 1;
  const int working = threads < cores ? threads : cores, lanes = working < 16 ? working : 16;
  *roofline = (lamina_roofline){.copy = 10e9 + 6e9 * (lanes - 1), /* one core nearly fills a channel or two */
                                .region = threads > 1 ? 2e-6 : 1e-7};
  name_of_cpu(roofline->cpu, sizeof roofline->cpu);
  roofline->flops = working * nominal_clock(roofline->cpu) * nominal_width();
  if (has_dot()) roofline->flops_half = 1.85 * roofline->flops; /* as measured on a Zen 5 */
  roofline->read = 1.2 * roofline->copy;
}

/* ---- Arithmetic ---------------------------------------------------------------------------------------------------- */

/* CHAINS: enough sums to hide the latency, few enough for the registers. */
enum { LEAST_RUNS = 32, ROUNDS = 4096, CHAINS = 12 };

/* Each does ROUNDS * CHAINS vectors of work and returns what came out, so that nothing is left out. */
typedef float burn_fn(float seed);

#ifdef X86
/* (No two sums begin with the same number: the compiler would do them as one.) */
#define BURN(name, target_, vector, set, fma, first)                                                                   \
  __attribute__((target(target_))) static float name(float seed) {                                                     \
    vector sum[CHAINS], factor = set(1 - seed), more = set(seed);                                                      \
    float out = 0;                                                                                                     \
    _Pragma("GCC unroll 12") for (int c = 0; c < CHAINS; c++) sum[c] = set((float)c);                                  \
    for (int i = 0; i < ROUNDS; i++)                                                                                   \
      _Pragma("GCC unroll 12") for (int c = 0; c < CHAINS; c++) sum[c] = fma(sum[c], factor, more);                    \
    _Pragma("GCC unroll 12") for (int c = 0; c < CHAINS; c++) out += first(sum[c]);                                    \
    return out;                                                                                                        \
  }
BURN(burn_avx512, "avx512f", __m512, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_cvtss_f32)
BURN(burn_avx2, "avx2,fma", __m256, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_cvtss_f32)

__attribute__((target("avx512f,avx512bf16"))) static float burn_dot(float seed) {
  __m512 sum[CHAINS];
  const __m512bh factor = _mm512_cvtne2ps_pbh(_mm512_set1_ps(seed), _mm512_set1_ps(-seed));
  float out = 0;
  _Pragma("GCC unroll 12") for (int c = 0; c < CHAINS; c++) sum[c] = _mm512_set1_ps((float)c);
  for (int i = 0; i < ROUNDS; i++)
    _Pragma("GCC unroll 12") for (int c = 0; c < CHAINS; c++) sum[c] = _mm512_dpbf16_ps(sum[c], factor, factor);
  _Pragma("GCC unroll 12") for (int c = 0; c < CHAINS; c++) out += _mm512_cvtss_f32(sum[c]);
  return out;
}
#endif

static float burn_plain(float seed) {
  float sum[4 * CHAINS], out = 0;
  for (int c = 0; c < 4 * CHAINS; c++) sum[c] = (float)c;
  for (int i = 0; i < ROUNDS; i++)
    for (int c = 0; c < 4 * CHAINS; c++) sum[c] = sum[c] * (1 - seed) + seed;
  for (int c = 0; c < 4 * CHAINS; c++) out += sum[c];
  return out;
}

/* The widest there is, and the operations that one vector of it is. */
static burn_fn *widest(double *operations) {
#ifdef X86
  if (__builtin_cpu_supports("avx512f")) return *operations = 32, burn_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return *operations = 16, burn_avx2;
#endif
  *operations = 8;
  return burn_plain;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Operations a second on all threads, in `seconds` of time; so many runs at least that on a busy machine one of them has
 * the cores for itself. */
static double burn_rate(burn_fn *burn, double operations, int threads, double seconds) {
  double best = 0;
  const double end = now() + seconds;
  for (int run = 0; run < LEAST_RUNS || now() < end; run++) {
    const double start = now();
#pragma omp parallel num_threads(threads)
    for (int i = 0; i < 8; i++) {
      volatile float kept = burn(0x1p-10f);
      (void)kept;
    }
    best = fmax(best, 8.0 * ROUNDS * CHAINS * operations * threads / (now() - start));
  }
  return best;
}

/* ---- Memory -------------------------------------------------------------------------------------------------------- */

enum { LEAST_BYTES = 64 << 20, MOST_BYTES = 512 << 20, PIECE = 1 << 14 /* elements */, AHEAD = 1024 /* bytes */ };

LAMINA_CLONES static void fill_piece(int64_t n, float *y) {
  for (int64_t i = 0; i < n; i++) y[i] = 1;
}

LAMINA_CLONES static void copy_piece(int64_t n, const float *x, float *y) {
  for (int64_t i = 0; i < n; i++) y[i] = x[i] + 1;
}

/* Rows, each in its order, with the first of them in the place of the examples. */
static float read_rows(const float *x) {
  const lamina_dot_kernel *kernel = lamina_dot_kernel_at(0);
  const lamina_dot_tile tile = {.k = PIECE, .ldw = PIECE, .ldx = PIECE, .ahead_to = LAMINA_DOT_ROWS, .ahead = AHEAD};
  float sums[LAMINA_DOT_ROWS * LAMINA_DOT_LANES];
  kernel->f32(LAMINA_DOT_ROWS, 1, &tile, x, x, sums);
  return sums[0];
}

/* Two halves of one block: `read` goes over both, `copy` from the first to the second. */
static void memory_rates(float *x, int64_t elements, int threads, double seconds, lamina_roofline *roofline) {
  const int64_t half = elements / 2, pieces = elements / PIECE;
  (void)threads;
  roofline->read = roofline->copy = 0;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t p = 0; p < pieces; p++) fill_piece(PIECE, x + p * PIECE); /* the first touch makes it memory */
  const double end = now() + seconds;
  do {
    const double start = now();
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t p = 0; p < pieces; p += LAMINA_DOT_ROWS) {
      volatile float kept = read_rows(x + p * PIECE);
      (void)kept;
    }
    const double middle = now();
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t p = 0; p < pieces / 2; p++) copy_piece(PIECE, x + p * PIECE, x + half + p * PIECE);
    roofline->read = fmax(roofline->read, (double)elements * sizeof *x / (middle - start));
    roofline->copy = fmax(roofline->copy, (double)elements * sizeof *x / (now() - middle));
  } while (now() < end);
}

static lamina_status measure_memory(lamina_device *device, double seconds, lamina_roofline *roofline) {
  const long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
  size_t size = cache > 0 ? 2 * (size_t)cache : LEAST_BYTES;
  size = size < LEAST_BYTES ? LEAST_BYTES : size > MOST_BYTES ? MOST_BYTES : size;
  const size_t whole = 2 * LAMINA_DOT_ROWS * PIECE * sizeof(float);
  size = size / whole * whole;
  float *x = lamina_alloc(&device->allocator, size);
  if (!x) return LAMINA_OUT_OF_MEMORY;
  memory_rates(x, (int64_t)(size / sizeof *x), device->threads, seconds, roofline);
  lamina_free(&device->allocator, x);
  return LAMINA_OK;
}

/* ---- Regions ------------------------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

/* The median: what a region costs is what it mostly costs. */
static double region_seconds(int threads) {
  enum { TIMES = 101 };
  double took[TIMES];
  volatile int kept = 0;
  (void)threads;
  for (int i = 0; i < TIMES; i++) {
    const double start = now();
#pragma omp parallel num_threads(threads)
    if (lamina_loop_thread() == 0) kept = i;
    took[i] = now() - start;
  }
  (void)kept;
  qsort(took, TIMES, sizeof *took, by_value);
  return took[TIMES / 2];
}

lamina_status lamina_cpu_measure(void *state, lamina_roofline *roofline) {
  lamina_device *device = state;
  double operations;
  burn_fn *burn = widest(&operations);
  *roofline = (lamina_roofline){.measured = true};
  roofline->flops = burn_rate(burn, operations, device->threads, 25e-3);
#ifdef X86
  if (has_dot()) roofline->flops_half = burn_rate(burn_dot, 64, device->threads, 15e-3);
#endif
  roofline->region = region_seconds(device->threads);
  return measure_memory(device, 30e-3, roofline);
}
