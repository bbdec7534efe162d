/* What the device can do at best, measured with what it has: its largest product and its largest copy that the time is
 * enough for, and on the CPU multiply-adds in registers and reads. So a bound can be beaten by a little, but never by
 * much. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "progress.h"

enum { RUNS = 8 }; /* of what the time must be enough for */
#define LIKELY 4   /* a candidate that is estimated to take so many times what the first one takes won't win */

/* What a few runs took at least, and what one of them costs the host. */
typedef struct few {
  double least, cost;
} few;

static lamina_status run_few(bench_job *job, double seconds, few *took) {
  bench_samples *samples = malloc(sizeof *samples);
  const size_t workspace = lamina_plan_workspace(job->plan);
  long runs = 0;
  if (!samples) return lamina_error(LAMINA_OUT_OF_MEMORY, "no memory for samples");
  lamina_status status = lamina_memory_alloc(job->device, workspace, &job->workspace);
  if (!status) status = bench_calibrate(job, samples);
  for (; !status && !bench_enough(samples, seconds); runs += samples->repeats) status = bench_sample(job, samples);
  if (!status) {
    took->cost = samples->spent / (double)runs;
    for (int i = 0; i < samples->count; i++) took->least = fmin(took->least, samples->sample[i]);
  }
  if (job->workspace) lamina_memory_free(job->device, job->workspace, workspace);
  job->workspace = NULL;
  free(samples);
  return status;
}

/* ---- Products ------------------------------------------------------------------------------------------------------- */

static const char *const math_words[] = {"", " math=strict", " math=tf32", " math=bf16", " math=f16"};

enum { LEAST_SIDE = 128, MOST_SIDE = 4096, MOST_CANDIDATES = 64 };

/* Runs the first `most` candidates that might win. */
static lamina_status run_candidates(const bench_peaks *peaks, const lamina_case *c, int most, double seconds,
                                    few *took) {
  lamina_device *device = peaks->device;
  static lamina_candidate list[MOST_CANDIDATES];
  const lamina_plan_options all = {.engine = ""};
  int count = MOST_CANDIDATES;
  lamina_data *data;
  lamina_status status = lamina_candidates(device, &c->problem, &all, list, &count);
  if (!status) status = lamina_data_open(device, c, &data);
  if (status) return status;
  if (count > MOST_CANDIDATES) count = MOST_CANDIDATES;
  for (int i = 0; i < count && most && !status; i++) {
    char name[144];
    lamina_plan *plan;
    if (list[i].seconds < 0 || list[i].seconds > LIKELY * list[0].seconds) continue;
    snprintf(name, sizeof name, "%s%s%s", list[i].engine, *list[i].variant ? "/" : "", list[i].variant);
    status = lamina_plan_open(device, &c->problem, &(lamina_plan_options){.engine = name}, &plan);
    if (status == LAMINA_UNSUPPORTED) status = LAMINA_OK;
    if (status || !plan) continue;
    bench_job job = {.device = device, .clock = peaks->clock, .plan = plan, .args = lamina_data_args(data)};
    status = run_few(&job, seconds, took);
    most--;
    lamina_plan_close(plan);
  }
  lamina_data_close(data);
  return status;
}

static lamina_status square(const char *op, int32_t dtype, int32_t math, int side, lamina_case *c) {
  const bool fc = strcmp(op, "fc/forward") == 0;
  char first[64], second[64], type[32];
  const char *words[] = {op, first, second, type, math_words[math] + 1};
  snprintf(first, sizeof first, "%s=%dx%d", fc ? "x" : "a", side, side);
  snprintf(second, sizeof second, "%s=%dx%d", fc ? "w" : "b", side, side);
  snprintf(type, sizeof type, "dtype=%s", lamina_dtype_name((lamina_dtype)dtype));
  return lamina_case_parse(math ? 5 : 4, words, NULL, c);
}

/* The first candidate on larger and larger squares, while the next one takes little of the time that there is; all
 * candidates on the last one. */
static lamina_status best_product(const bench_peaks *peaks, const char *op, int32_t dtype, int32_t math, double *rate,
                                  int *side) {
  lamina_case c;
  few took = {INFINITY, 0};
  for (*side = LEAST_SIDE;; *side *= 2) {
    took.least = INFINITY;
    lamina_status status = square(op, dtype, math, *side, &c);
    if (!status) status = run_candidates(peaks, &c, 1, 0, &took);
    if (status) return status;
    if (*side >= MOST_SIDE || 8 * RUNS * took.cost > peaks->seconds) break;
  }
  const lamina_status status = run_candidates(peaks, &c, MOST_CANDIDATES, peaks->seconds / RUNS, &took);
  *rate = 2 * pow(*side, 3) / took.least;
  return status;
}

static lamina_status tell(const bench_peaks *peaks, const char *of, const char *unit, double rate) {
  bench_peak peak = {.unit = unit, .rate = rate};
  snprintf(peak.of, sizeof peak.of, "%s", of);
  return peaks->found(peaks->user, &peak);
}

/* Ops that take factors as convolutions and fc do, where a device may round them more than elsewhere. */
static const char *product_like(const lamina_problem *problem) {
  static const char *const layers[] = {"conv/", "fc/", "conv_transpose/", "local_conv/"};
  const char *op = lamina_op_at(problem->op)->name;
  for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
    if (strncmp(op, layers[i], strlen(layers[i])) == 0) return "fc/forward";
  return "matmul/forward";
}

static int32_t dtype_of(const lamina_problem *problem) {
  for (int i = 0; i < LAMINA_MAX_ARGS; i++)
    if (lamina_dtype_is_floating((lamina_dtype)problem->arg[i].dtype)) return problem->arg[i].dtype;
  return LAMINA_F32;
}

/* On a device of its own: that of the bench has made plans. Other devices than the CPU have no such rates. */
static lamina_status cpu_rates(bench_peaks *peaks) {
  const lamina_device_options options = {.threads = lamina_device_threads(peaks->device)};
  lamina_device *cpu;
  lamina_roofline most;
  if (peaks->read > 0 || strcmp(lamina_device_name(peaks->device), "cpu") != 0) return LAMINA_OK;
  lamina_status status = lamina_device_open("cpu", &options, &cpu);
  if (status) return status;
  status = lamina_roofline_measure(cpu, &most);
  lamina_device_close(cpu);
  if (status) return status;
  peaks->fma = most.flops, peaks->read = most.read;
  status = tell(peaks, "reads", "B/s", peaks->read);
  return status ? status : tell(peaks, "multiply-adds in f32", "FLOP/s", peaks->fma);
}

static lamina_status product_rate(bench_peaks *peaks, const lamina_problem *problem, double *rate) {
  const char *op = product_like(problem);
  const int32_t dtype = dtype_of(problem), math = problem->math;
  char of[96];
  int side = 0;
  for (int i = 0; i < peaks->products; i++) {
    *rate = peaks->product[i].rate;
    if (peaks->product[i].op == op && peaks->product[i].dtype == dtype && peaks->product[i].math == math)
      return LAMINA_OK;
  }
  *rate = 0;
  if (peaks->products == BENCH_MOST_PEAKS || dtype == LAMINA_F64) return LAMINA_OK;
  lamina_status status = best_product(peaks, op, dtype, math, rate, &side);
  snprintf(of, sizeof of, "%s %dx%dx%d dtype=%s%s", op, side, side, side, lamina_dtype_name((lamina_dtype)dtype),
           math_words[math]);
  if (!status) status = tell(peaks, of, "FLOP/s", *rate);
  *rate = fmax(*rate, peaks->fma); /* on the CPU narrower types come to f32 arithmetic, unless a product shows more */
  peaks->product[peaks->products].op = op;
  peaks->product[peaks->products].dtype = dtype, peaks->product[peaks->products].math = math;
  peaks->product[peaks->products++].rate = *rate;
  return status;
}

/* ---- Copies ---------------------------------------------------------------------------------------------------------- */

enum { LEAST_COPY = 1 << 18, MOST_COPY = 1 << 26 };

/* Both sides are written to first: what was never written is no memory yet on a CPU. */
static lamina_status copy_once(const bench_peaks *peaks, int elements, few *took) {
  lamina_device *device = peaks->device;
  const size_t size = (size_t)elements * sizeof(float);
  char first[64];
  lamina_args args = {{NULL}};
  lamina_case c;
  lamina_plan *plan = NULL;
  float *host = malloc(size);
  if (!host) return lamina_error(LAMINA_OUT_OF_MEMORY, "no memory for a copy of %zu bytes", size);
  for (int i = 0; i < elements; i++) host[i] = (float)i;
  snprintf(first, sizeof first, "x=%d", elements);
  lamina_status status = lamina_case_parse(2, (const char *const[]){"copy/forward", first}, NULL, &c);
  if (!status) status = lamina_plan_open(device, &c.problem, NULL, &plan);
  for (int i = 0; i < 2 && !status; i++) {
    status = lamina_memory_alloc(device, size, &args.p[i]);
    if (!status) status = lamina_copy(device, args.p[i], host, size, NULL);
  }
  bench_job job = {.device = device, .clock = peaks->clock, .plan = plan, .args = &args};
  if (!status) status = run_few(&job, peaks->seconds / RUNS, took);
  lamina_plan_close(plan);
  for (int i = 0; i < 2; i++) lamina_memory_free(device, args.p[i], size);
  free(host);
  return status;
}

static lamina_status copy_rate(bench_peaks *peaks) {
  char of[64];
  if (peaks->copy > 0) return LAMINA_OK;
  for (int elements = LEAST_COPY;; elements *= 2) {
    few took = {INFINITY, 0};
    const lamina_status status = copy_once(peaks, elements, &took);
    if (status) return status;
    peaks->copy = 2.0 * sizeof(float) * elements / took.least;
    if (elements < MOST_COPY && 2 * RUNS * took.cost < peaks->seconds) continue;
    snprintf(of, sizeof of, "copy/forward x=%d", elements);
    return tell(peaks, of, "B/s", peaks->copy);
  }
}

/* The bytes that come in at the rate of reads, those that go out as if a copy were a read and a write. */
static double moving(const bench_peaks *peaks, const lamina_problem *problem, double bytes) {
  const lamina_op_def *op = lamina_op_at(problem->op);
  const double read = 1 / fmax(peaks->read, peaks->copy), write = 2 / peaks->copy - read;
  double out = 0;
  for (int i = 0; op->args[i].name; i++)
    if (op->args[i].role != LAMINA_IN && problem->arg[i].dtype != LAMINA_NONE)
      out +=
          (double)lamina_desc_count(&problem->arg[i]) * (double)lamina_dtype_size((lamina_dtype)problem->arg[i].dtype);
  return (bytes - out) * read + out * write;
}

lamina_status bench_bound(bench_peaks *peaks, const lamina_problem *problem, double *seconds, bool *compute) {
  double flops, bytes, rate = 0;
  lamina_problem_work(problem, &flops, &bytes); /* (with fewer operations than bytes, bytes bind on any device) */
  lamina_status status = copy_rate(peaks);
  if (!status) status = cpu_rates(peaks);
  if (!status && flops > bytes) status = product_rate(peaks, problem, &rate);
  if (status) return status;
  *seconds = moving(peaks, problem, bytes);
  *compute = rate > 0 && flops / rate > *seconds;
  if (*compute) *seconds = flops / rate;
  return LAMINA_OK;
}
