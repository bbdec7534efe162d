/* A whole net: a step of training, and inference, on a batch that is made once and lies in memory. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "profile.h"
#include "progress.h"

enum { STEPS_AN_EPOCH = 1000, EPOCHS = 1000000, WARM_UP = 2 };
#define LEAST_SAMPLE 0.02 /* seconds: what a sample of several steps takes at least */
#define RATE         1e-4 /* of learning: so small that it can go on for ever on one batch */

typedef struct subject {
  const bench_net *how;
  bool training;
  lamina_net *net;
  int64_t batch;
  float *x; /* [batch, input…] */
  int32_t *labels;
  void *wide, *y; /* of inference: x as the net takes it, and what comes out */
  lamina_dataset *data;
  lamina_trainer *trainer;
  bench_samples *time;
  size_t before; /* bytes that the device had given */
} subject;

/* ---- The batch ------------------------------------------------------------------------------------------------------- */

/* Uniform numbers of mean 0 and variance 1. */
static double draw(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return sqrt(12.0) * ((double)(*state >> 33) * 0x1p-31 - 0.5);
}

static void *room_of(int64_t count, size_t size) { return calloc((size_t)count + 1, size); }

static lamina_status make_batch(subject *s) {
  uint64_t state = 1;
  const lamina_desc in = lamina_net_input(s->net), out = lamina_net_output(s->net);
  const lamina_training *recipe = lamina_net_training(s->net);
  s->batch = s->how->batch ? s->how->batch : recipe->batch ? recipe->batch : 64;
  const int64_t inputs = lamina_desc_count(&in), outputs = lamina_desc_count(&out);
  const int64_t most = INT64_MAX / 64 / (inputs + outputs + 1);
  const lamina_dtype dtype = (lamina_dtype)in.dtype;
  if (s->batch > most)
    return lamina_error(LAMINA_INVALID, "a batch of %lld examples; expected at most %lld", (long long)s->batch,
                        (long long)most);
  s->x = room_of(s->batch * inputs, sizeof *s->x);
  s->labels = room_of(s->batch, sizeof *s->labels);
  if (!s->training && dtype != LAMINA_F32) s->wide = room_of(s->batch * inputs, lamina_dtype_size(dtype));
  if (!s->training) s->y = room_of(s->batch * outputs, lamina_dtype_size((lamina_dtype)out.dtype));
  if (!s->x || !s->labels || (!s->training && (!s->y || (dtype != LAMINA_F32 && !s->wide))))
    return lamina_error(LAMINA_OUT_OF_MEMORY, "no memory for a batch of %lld examples", (long long)s->batch);
  for (int64_t i = 0; i < s->batch * inputs && dtype != LAMINA_I32; i++) s->x[i] = (float)draw(&state);
  for (int64_t i = 0; i < s->batch; i++) s->labels[i] = (int32_t)(out.rank ? i % out.dims[0] : 0);
  for (int64_t i = 0; i < s->batch * inputs && s->wide; i++) lamina_store(dtype, s->wide, i, (double)s->x[i]);
  if (!s->training && dtype != LAMINA_F32) free(s->x), s->x = NULL;
  return LAMINA_OK;
}

/* A trainer wants data; it never asks these for an example, since each step is given its batch. */
static lamina_status no_example(void *user, int64_t index, float *x, int32_t *label) {
  (void)user, (void)x, (void)label;
  return lamina_error(LAMINA_INVALID, "there is no example %lld", (long long)index);
}

static lamina_status open_trainer(subject *s) {
  const lamina_desc in = lamina_net_input(s->net), out = lamina_net_output(s->net);
  const bool pictures = in.rank == 3 && out.rank == 1;
  const lamina_source source = {.info = {.name = "the batch",
                                         .count = s->batch * STEPS_AN_EPOCH,
                                         .channels = pictures ? in.dims[0] : 1,
                                         .height = pictures ? in.dims[1] : 1,
                                         .width = pictures ? in.dims[2] : 1,
                                         .classes = pictures ? out.dims[0] : 1},
                                .read = no_example};
  lamina_status status = lamina_dataset_wrap(&source, NULL, &s->data);
  const lamina_training training = {
      .train = s->data, .batch = s->batch, .epochs = EPOCHS, .rate = {.rate = RATE}, .evaluate = -1, .threads = -1};
  return status ? status : lamina_trainer_open(s->net, &training, &s->trainer);
}

static lamina_status open_subject(subject *s) {
  const lamina_load_options options = {.set = s->how->sets};
  s->time = calloc(1, sizeof *s->time);
  if (!s->time) return lamina_error(LAMINA_OUT_OF_MEMORY, "no memory for samples");
  lamina_status status = lamina_net_load(s->how->device, s->how->path, &options, &s->net);
  if (!status) status = make_batch(s);
  if (!status && s->training) return open_trainer(s);
  const bool set = lamina_safetensors_is(s->how->path); /* a checkpoint has its parameters */
  return status || set ? status : lamina_net_init(s->net, 1);
}

static void close_subject(subject *s) {
  lamina_trainer_close(s->trainer);
  lamina_net_close(s->net);
  lamina_dataset_close(s->data);
  free(s->x);
  free(s->labels);
  free(s->wide);
  free(s->y);
  free(s->time);
}

/* ---- Steps ------------------------------------------------------------------------------------------------------------ */

static lamina_status step(subject *s) {
  if (s->training) return lamina_trainer_step_on(s->trainer, s->x, s->labels);
  return lamina_net_forward(s->net, s->batch, s->wide ? s->wide : s->x, s->y);
}

/* *seconds of so many steps, until the device is done with them. */
static lamina_status time_steps(subject *s, long steps, double *seconds) {
  const double start = progress_now();
  lamina_status status = LAMINA_OK;
  for (long i = 0; i < steps && !status; i++) status = step(s);
  const lamina_status waited = lamina_stream_sync(s->how->device, NULL);
  *seconds = progress_now() - start;
  return status ? status : waited;
}

/* Warms up, and finds out how many steps make a sample. */
static lamina_status calibrate(subject *s) {
  double seconds;
  lamina_status status = time_steps(s, WARM_UP, &seconds);
  for (s->time->repeats = 1; !status;) {
    status = time_steps(s, s->time->repeats, &seconds);
    if (seconds >= LEAST_SAMPLE / 2 || s->how->seconds <= 0) break;
    const double more = seconds > 0 ? fmin(LEAST_SAMPLE / seconds, 16) : 16;
    s->time->repeats = (long)ceil((double)s->time->repeats * more);
  }
  return status;
}

static lamina_status sample(subject *s) {
  double seconds;
  const lamina_status status = time_steps(s, s->time->repeats, &seconds);
  if (status) return status;
  s->time->sample[s->time->count++] = seconds / (double)s->time->repeats;
  s->time->spent += seconds;
  return LAMINA_OK;
}

/* ---- Memory: the most that was resident, as the kernel counts it -------------------------------------------------------- */

static void forget_peak(void) {
  FILE *to = fopen("/proc/self/clear_refs", "w");
  if (!to) return;
  fputs("5", to);
  fclose(to);
}

static size_t peak_memory(void) {
  char line[256];
  unsigned long long kib = 0;
  FILE *from = fopen("/proc/self/status", "r");
  while (from && fgets(line, sizeof line, from))
    if (sscanf(line, "VmHWM: %llu", &kib) == 1) break;
  if (from) fclose(from);
  return (size_t)kib * 1024;
}

/* ---- Rows ------------------------------------------------------------------------------------------------------------- */

/* "alexnet training batch=64 dtype=f32 train.x=y": what two files are compared by. */
static void describe(const subject *s, char *text, size_t size) {
  const lamina_desc out = lamina_net_output(s->net);
  int used = snprintf(text, size, "%s %s batch=%lld dtype=%s", s->how->name, s->training ? "training" : "inference",
                      (long long)s->batch, lamina_dtype_name((lamina_dtype)out.dtype));
  for (int i = 0; s->how->sets[i] && used > 0 && (size_t)used < size; i++)
    if (strncmp(s->how->sets[i], "dtype=", 6) != 0)
      used += snprintf(text + used, size - (size_t)used, " %s", s->how->sets[i]);
}

/* The work of a step, op by op, from what was seen of one; and the least that it takes, where that is asked for. */
static lamina_status add_work(const subject *s, const profile *seen, bool bounds, bench_row *row) {
  double sums[2] = {0, 0}, seconds;
  const profile_row *op;
  for (int i = 0; (op = profile_at(seen, i)); i++) {
    bool compute = false;
    row->flops += op->flops, row->bytes += op->bytes;
    if (!bounds) continue;
    const lamina_status status = bench_bound(s->how->peaks, &op->problem, &seconds, &compute);
    if (status) return status;
    sums[compute] += seconds;
  }
  row->least = sums[0] + sums[1];
  if (bounds) row->bound = sums[1] > sums[0] ? "compute" : "memory";
  return LAMINA_OK;
}

static lamina_status report(const subject *s, const profile *seen, bool bounds) {
  char text[1024];
  size_t now;
  describe(s, text, sizeof text);
  bench_summarise(s->time);
  lamina_memory_used(s->how->device, &now, NULL);
  bench_row row = {.name = "",
                   .problem = text,
                   .device = lamina_device_name(s->how->device),
                   .engine = "net",
                   .variant = "",
                   .skipped = "",
                   .checked = "no",
                   .bound = "",
                   .chosen = true,
                   .samples = s->time->count,
                   .seconds = s->time->median,
                   .spread = s->time->spread,
                   .images = (double)s->batch,
                   .memory = peak_memory(),
                   .workspace = now - s->before};
  lamina_status status = add_work(s, seen, bounds, &row);
  return status ? status : bench_report_rows(s->how->report, &row, 1);
}

/* ---- A mode ------------------------------------------------------------------------------------------------------------ */

/* What one step does. */
static lamina_status watch_step(subject *s, profile **seen) {
  double seconds;
  lamina_status status = profile_open(s->net, seen);
  if (!status) status = time_steps(s, 1, &seconds);
  return status ? status : profile_stop(*seen);
}

/* A block of steps for each line of standard input, so that another program can take turns with this one. */
static lamina_status take_turns(subject *s, const profile *seen) {
  char line[64];
  lamina_status status = LAMINA_OK;
  while (!status && fgets(line, sizeof line, stdin)) {
    char *end;
    const double seconds = strtod(line, &end);
    if (end == line || strspn(end, " \r\n") != strlen(end) || !(seconds >= 0 && seconds <= 86400))
      return lamina_error(LAMINA_INVALID, "standard input: \"%.*s\"; expected the seconds of a turn, 0 to 86400",
                          (int)strcspn(line, "\r\n"), line);
    s->time->count = 0, s->time->spent = 0;
    do status = sample(s);
    while (!status && s->time->spent < seconds && s->time->count < BENCH_MOST_SAMPLES);
    if (!status) status = report(s, seen, false);
  }
  return status;
}

static lamina_status profile_steps(subject *s) {
  enum { STEPS = 4 };
  double seconds;
  int64_t runs = 0;
  profile *p = NULL;
  const bench_net *how = s->how;
  lamina_status status = profile_open(s->net, &p);
  if (!status) status = time_steps(s, STEPS, &seconds);
  if (!status) status = profile_stop(p);
  if (!status && how->report->table) status = profile_print(p, stdout);
  if (!status && how->trace) status = profile_write(p, how->trace, &runs);
  profile_close(p);
  return status;
}

static lamina_status run_mode(const bench_net *how, bool training) {
  subject s = {.how = how, .training = training};
  profile *seen = NULL;
  forget_peak();
  lamina_memory_used(how->device, &s.before, NULL);
  lamina_status status = open_subject(&s);
  if (!status) status = calibrate(&s);
  if (!status) status = watch_step(&s, &seen);
  if (!status && how->turns) status = take_turns(&s, seen);
  while (!status && !how->turns && !bench_enough(s.time, how->seconds)) status = sample(&s);
  if (!status && !how->turns) status = report(&s, seen, true);
  if (!status && how->profile) status = profile_steps(&s);
  profile_close(seen);
  close_subject(&s);
  return status;
}

lamina_status bench_run_net(const bench_net *how) {
  lamina_status status = how->inference ? run_mode(how, false) : LAMINA_OK;
  return !status && how->training ? run_mode(how, true) : status;
}
