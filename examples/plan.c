/* One op planned once and run many times: says which engine was chosen and why, and how fast it is.
 *
 *   cc plan.c $(pkg-config --cflags --libs lamina) -o plan && ./plan */
#include <stdio.h>
#include <time.h>

#include <lamina/lamina.h>

enum { N = 8, C = 16, H = 28, W = 28, K = 32, R = 3, RUNS = 10 };

static double now(void) {
  struct timespec t;
  (void)timespec_get(&t, TIME_UTC);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The plan is immutable; what a run reads and writes, its workspace and its stream are given each time. */
static lamina_status measure(lamina_device *device, const lamina_plan *plan, const lamina_conv_forward_args *args,
                             void *workspace, double *best) {
  lamina_status status = LAMINA_OK;
  for (int run = 0; run < RUNS && !status; run++) {
    const double from = now();
    status = lamina_conv_forward_run(plan, args, workspace, NULL);
    if (!status) status = lamina_stream_sync(device, NULL); /* a GPU would still be at it */
    if (run == 0 || now() - from < *best) *best = now() - from;
  }
  return status;
}

static lamina_status run(lamina_device *device) {
  static float picture[N * C * H * W], filter[K * C * R * R], result[N * K * H * W];
  for (int i = 0; i < N * C * H * W; i++) picture[i] = (float)(i % 17) - 8;
  for (int i = 0; i < K * C * R * R; i++) filter[i] = (float)(i % 5) - 2;
  const lamina_tensor x = lamina_nchw(LAMINA_F32, N, C, H, W, picture);
  const lamina_tensor w = lamina_nchw(LAMINA_F32, K, C, R, R, filter);
  const lamina_tensor y = lamina_nchw(LAMINA_F32, N, K, H, W, result);
  const lamina_conv conv = {.pad = {{1, 1}, {1, 1}}};
  const lamina_plan_options options = {.deterministic = true}; /* or .engine = "ref", .workspace_limit = 0x1p20, … */

  lamina_plan *plan = NULL;
  void *workspace = NULL;
  double seconds = 0, flops, bytes;
  lamina_status status = lamina_conv_forward_plan(device, &conv, &x, &w, NULL, &y, &options, &plan);
  if (status) return status;
  status = lamina_memory_alloc(device, lamina_plan_workspace(plan), &workspace);
  const lamina_conv_forward_args args = {.x = picture, .w = filter, .y = result};
  if (!status) status = measure(device, plan, &args, workspace, &seconds);
  lamina_problem_work(lamina_plan_problem(plan), &flops, &bytes);
  if (!status)
    printf("%s\n%s %s: %.3f ms, %.1f GFLOP/s\n", lamina_plan_explain(plan), lamina_plan_engine(plan),
           lamina_plan_variant(plan), 1e3 * seconds, 1e-9 * flops / seconds);
  lamina_memory_free(device, workspace, lamina_plan_workspace(plan));
  lamina_plan_close(plan);
  return status;
}

int main(void) {
  lamina_device *device = NULL;
  lamina_status status = lamina_device_open("cpu", NULL, &device);
  if (!status) status = run(device);
  if (status) fprintf(stderr, "%s\n", lamina_last_error());
  lamina_device_close(device);
  return status ? 1 : 0;
}
