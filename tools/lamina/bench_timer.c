/* How long a plan takes.
 *
 * A sample is as many runs as take 5 ms, on inputs that are reset before it where a run changes them. Time is the median
 * of the samples, spread half the distance between their quartiles. */
#include <math.h>
#include <stdlib.h>

#include "bench.h"
#include "progress.h"

#define SAMPLE_SECONDS 5e-3

static lamina_status time_runs(const bench_job *job, long runs, double *seconds) {
  lamina_status status = job->reset ? lamina_data_reset(job->reset) : LAMINA_OK;
  if (!status) status = lamina_stream_sync(job->device, NULL);
  const double start = progress_now();
  for (long i = 0; i < runs && !status; i++) status = lamina_plan_run(job->plan, job->args, job->workspace, NULL);
  if (!status) status = lamina_stream_sync(job->device, NULL);
  *seconds = progress_now() - start;
  return status;
}

lamina_status bench_calibrate(const bench_job *job, bench_samples *samples) {
  double seconds = 0;
  *samples = (bench_samples){.repeats = 1};
  lamina_status status = time_runs(job, 1, &seconds);
  while (!status && seconds < SAMPLE_SECONDS / 2) {
    const double more = seconds > 0 ? fmin(SAMPLE_SECONDS / seconds, 16) : 16;
    samples->repeats = (long)ceil((double)samples->repeats * more);
    status = time_runs(job, samples->repeats, &seconds);
  }
  return status;
}

lamina_status bench_sample(const bench_job *job, bench_samples *samples) {
  double seconds;
  const double start = progress_now();
  const lamina_status status = time_runs(job, samples->repeats, &seconds);
  if (status) return status;
  samples->sample[samples->count++] = seconds / (double)samples->repeats;
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
