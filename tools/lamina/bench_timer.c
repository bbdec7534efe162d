/* How long a plan takes, by the device's own clock: the time between two events in its stream, never the host's time of a
 * call that only queues.
 *
 * Where a device says how large its cache is, the cache is emptied before every run: as many bytes as fill it twice are
 * read (and not written, so that the run has nothing to write back), on which the device is busy until the host has queued
 * the run. Each run then lies between two events of its own and is a sample. Elsewhere a sample is as many runs, one after
 * the other, as take 5 ms. Runs are queued together for 5 ms of the host's time, after which the host waits; inputs that a
 * run changes are reset before that. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "progress.h"

enum { QUEUED = 64, ROW = 4096, LEAST_ROWS = 64 };
#define SAMPLE_SECONDS 5e-3

struct bench_clock {
  lamina_device *device;
  lamina_event *from[QUEUED], *to[QUEUED];
  lamina_plan *sweep; /* reads as much as fills the cache twice; NULL: it stays as it is */
  lamina_args args;
  size_t size[2];
  void *workspace;
};

/* ---- The clock ------------------------------------------------------------------------------------------------------ */

static lamina_status alloc_zero(lamina_device *device, size_t size, void **memory) {
  lamina_status status = lamina_memory_alloc(device, size, memory);
  void *zero = status ? NULL : calloc(1, size);
  if (!status && !zero) status = lamina_error(LAMINA_OUT_OF_MEMORY, "no memory for %zu zeros", size);
  if (!status) status = lamina_copy(device, *memory, zero, size, NULL);
  free(zero);
  return status;
}

static lamina_status open_sweep(bench_clock *clock, size_t cache) {
  char shape[64];
  lamina_case c;
  const size_t rows = 2 * cache / (ROW * sizeof(float)) + LEAST_ROWS;
  snprintf(shape, sizeof shape, "x=%zux%d", rows, ROW);
  lamina_status status = lamina_case_parse(3, (const char *const[]){"sum/forward", shape, "axes=1"}, NULL, &c);
  if (!status) status = lamina_plan_open(clock->device, &c.problem, NULL, &clock->sweep);
  if (status == LAMINA_UNSUPPORTED) return LAMINA_OK; /* a device that can't sum is timed with a warm cache */
  if (!status) status = lamina_memory_alloc(clock->device, lamina_plan_workspace(clock->sweep), &clock->workspace);
  clock->size[0] = rows * ROW * sizeof(float), clock->size[1] = rows * sizeof(float);
  for (int i = 0; i < 2 && !status; i++) status = alloc_zero(clock->device, clock->size[i], &clock->args.p[i]);
  return status;
}

lamina_status bench_clock_open(lamina_device *device, bool warm, bench_clock **out) {
  lamina_limits limits;
  bench_clock *clock = calloc(1, sizeof *clock);
  *out = clock;
  if (!clock) return lamina_error(LAMINA_OUT_OF_MEMORY, "no memory for a clock");
  clock->device = device;
  lamina_device_limits(device, &limits);
  lamina_status status = LAMINA_OK;
  for (int i = 0; i < QUEUED && !status; i++) {
    status = lamina_event_open_timed(device, &clock->from[i]);
    if (!status) status = lamina_event_open_timed(device, &clock->to[i]);
  }
  if (!status && limits.cache && !warm) status = open_sweep(clock, limits.cache);
  return status;
}

void bench_clock_close(bench_clock *clock) {
  if (!clock) return;
  for (int i = 0; i < 2; i++) lamina_memory_free(clock->device, clock->args.p[i], clock->size[i]);
  lamina_memory_free(clock->device, clock->workspace, lamina_plan_workspace(clock->sweep));
  lamina_plan_close(clock->sweep);
  for (int i = 0; i < QUEUED; i++) {
    lamina_event_close(clock->from[i]);
    lamina_event_close(clock->to[i]);
  }
  free(clock);
}

bool bench_clock_cold(const bench_clock *clock) { return clock->sweep != NULL; }

/* ---- Runs ---------------------------------------------------------------------------------------------------------- */

static lamina_status queue_one(const bench_job *job, int event, long runs) {
  const bench_clock *clock = job->clock;
  lamina_status status = LAMINA_OK;
  if (clock->sweep) status = lamina_plan_run(clock->sweep, &clock->args, clock->workspace, NULL);
  if (!status) status = lamina_event_record(clock->from[event], NULL);
  for (long i = 0; i < runs && !status; i++) status = lamina_plan_run(job->plan, job->args, job->workspace, NULL);
  return status ? status : lamina_event_record(clock->to[event], NULL);
}

/* Runs the plan `runs` times: in cold samples of one run, or in one warm sample. sample[0 … *count - 1] gets the seconds
 * of a run. */
static lamina_status time_runs(const bench_job *job, long runs, double *sample, int *count) {
  const int samples = job->clock->sweep ? (int)runs : 1;
  *count = 0;
  lamina_status status = job->reset ? lamina_data_reset(job->reset) : LAMINA_OK;
  if (!status) status = lamina_stream_sync(job->device, NULL);
  for (int i = 0; i < samples && !status; i++) status = queue_one(job, i, runs / samples);
  const lamina_status waited = lamina_stream_sync(job->device, NULL);
  if (!status) status = waited;
  for (int i = 0; i < samples && !status; i++) {
    status = lamina_event_seconds(job->clock->from[i], job->clock->to[i], &sample[i]);
    sample[i] /= (double)(runs / samples);
  }
  if (!status) *count = samples;
  return status;
}

/* Warms up, and finds out how many runs are queued together. */
lamina_status bench_calibrate(const bench_job *job, bench_samples *samples) {
  double ignored[QUEUED];
  *samples = (bench_samples){.repeats = 1};
  for (;;) {
    int count;
    const double start = progress_now();
    const lamina_status status = time_runs(job, samples->repeats, ignored, &count);
    const double seconds = progress_now() - start;
    const bool full = job->clock->sweep && samples->repeats == QUEUED;
    if (status || seconds >= SAMPLE_SECONDS / 2 || full) return status;
    const double more = seconds > 0 ? fmin(SAMPLE_SECONDS / seconds, 16) : 16;
    samples->repeats = (long)ceil((double)samples->repeats * more);
    if (job->clock->sweep && samples->repeats > QUEUED) samples->repeats = QUEUED;
  }
}

lamina_status bench_sample(const bench_job *job, bench_samples *samples) {
  double sample[QUEUED];
  int count;
  const double start = progress_now();
  const lamina_status status = time_runs(job, samples->repeats, sample, &count);
  if (status) return status;
  for (int i = 0; i < count && samples->count < BENCH_MOST_SAMPLES; i++) samples->sample[samples->count++] = sample[i];
  samples->spent += progress_now() - start;
  return LAMINA_OK;
}

bool bench_enough(const bench_samples *samples, double seconds) {
  return samples->count == BENCH_MOST_SAMPLES || (samples->spent >= seconds && samples->count >= BENCH_LEAST_SAMPLES);
}

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

void bench_summarise(bench_samples *s) {
  if (!s->count) return;
  const int middle = (s->count - 1) / 2, quarter = (s->count - 1) / 4;
  qsort(s->sample, (size_t)s->count, sizeof *s->sample, by_value);
  s->median = (s->sample[middle] + s->sample[s->count / 2]) / 2;
  s->spread = (s->sample[s->count - 1 - quarter] - s->sample[quarter]) / 2 / s->median;
}
