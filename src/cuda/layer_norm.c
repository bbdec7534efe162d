/* Engines of layer and group normalisation. Rows are sets of one run; dw and db are sums over the channels' sets, whose
 * runs are the examples, or the rows. */
#include "lamina/layer_norm.h"

#include "cuda/norm.h"

enum { X, W, B, Y, MEAN, DEVIATION };
enum { BACK_X, BACK_W, BACK_MEAN, BACK_DEVIATION, BACK_DY, BACK_DX, BACK_DW, BACK_DB };

typedef struct state {
  kernel_norm rows, channels;
  bool parameters;       /* dw or db is wanted */
  size_t rows_workspace; /* of the two, which follow each other */
} state;

static kernel_norm rows_of(const lamina_problem *problem) {
  const lamina_desc *x = &problem->arg[X];
  kernel_norm n = {.type = cuda_type(x), .runs = 1, .mean_each = 1};
  if (cuda_host->op_at(problem->op)->name[0] == 'g') {
    const lamina_group_norm *norm = cuda_attr(problem);
    n.groups = norm->groups, n.each = x->dims[1] / norm->groups, n.area = cuda_span(x, 2, x->rank);
    n.sets = x->dims[0] * n.groups, n.epsilon = (float)norm->epsilon;
  } else {
    const lamina_layer_norm *norm = cuda_attr(problem);
    n.groups = 1, n.each = cuda_span(x, (int)norm->axis, x->rank), n.area = 1;
    n.sets = cuda_span(x, 0, (int)norm->axis), n.epsilon = (float)norm->epsilon;
  }
  n.length = n.each * n.area;
  return n;
}

/* The same elements by channels. */
static kernel_norm channels_of(const kernel_norm *rows) {
  return (kernel_norm){.type = rows->type,
                       .runs = rows->sets / rows->groups,
                       .sets = rows->groups * rows->each,
                       .length = rows->area,
                       .by_set = true,
                       .mean_runs = rows->groups,
                       .mean_each = rows->each,
                       .split = true};
}

static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  const kernel_norm n = rows_of(problem);
  (void)engine;
  cuda_norm_candidates(device, problem, &n, true, each, context);
}

static state *prepare(lamina_plan *plan) {
  state *s = cuda_state(plan, sizeof *s);
  if (!s) return NULL;
  s->rows = rows_of(&plan->problem);
  s->rows.split = strcmp(plan->variant, "split") == 0;
  s->rows_workspace = (kernel_norm_plan(&s->rows) + 63) / 64 * 64;
  plan->workspace = s->rows_workspace;
  return s;
}

static lamina_status prepare_forward(lamina_plan *plan) { return prepare(plan) ? LAMINA_OK : LAMINA_OUT_OF_MEMORY; }

static lamina_status prepare_backward(lamina_plan *plan) {
  const lamina_desc *arg = plan->problem.arg;
  state *s = prepare(plan);
  if (!s) return LAMINA_OUT_OF_MEMORY;
  s->parameters = cuda_present(&arg[BACK_DW]) || cuda_present(&arg[BACK_DB]);
  if (!s->parameters) return LAMINA_OK;
  s->channels = channels_of(&s->rows);
  plan->workspace += kernel_norm_plan(&s->channels);
  return LAMINA_OK;
}

static lamina_status run_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  const kernel_norm_forward_numbers numbers = {.w = cuda_numbers(plan, args, W),
                                               .b = cuda_numbers(plan, args, B),
                                               .mean = cuda_numbers(plan, args, MEAN),
                                               .deviation = cuda_numbers(plan, args, DEVIATION)};
  return cuda_launched(plan, kernel_norm_forward(&((const state *)plan->state)->rows, args->p[X], args->p[Y], &numbers,
                                                 workspace, cuda_stream_of(stream)));
}

/* dw and db come first: dx may lie on dy. */
static lamina_status run_backward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                  lamina_stream *stream) {
  const state *s = plan->state;
  const void *x = args->p[BACK_X], *dy = args->p[BACK_DY];
  kernel_norm_backward_numbers numbers = {.mean = cuda_numbers(plan, args, BACK_MEAN),
                                          .deviation = cuda_numbers(plan, args, BACK_DEVIATION),
                                          .dw = cuda_numbers(plan, args, BACK_DW),
                                          .db = cuda_numbers(plan, args, BACK_DB)};
  if (s->parameters) {
    void *room = (char *)workspace + s->rows_workspace;
    const int error = kernel_norm_backward(&s->channels, x, dy, NULL, &numbers, room, cuda_stream_of(stream));
    if (error) return cuda_launched(plan, error);
  }
  numbers.w = cuda_numbers(plan, args, BACK_W);
  numbers.dw = numbers.db = (kernel_numbers){0};
  return cuda_launched(
      plan, kernel_norm_backward(&s->rows, x, dy, args->p[BACK_DX], &numbers, workspace, cuda_stream_of(stream)));
}

#define ENGINE(family, pass)                                                                                           \
  CUDA_ENGINE("kernel", #family "/" #pass, LAMINA_STRIDES_DENSE), .candidates = candidates, .prepare = prepare_##pass, \
                                                                  .run = run_##pass, .release = cuda_release
const lamina_engine lamina_cuda_layer_norm_forward = {ENGINE(layer_norm, forward)};
const lamina_engine lamina_cuda_layer_norm_backward = {ENGINE(layer_norm, backward)};
const lamina_engine lamina_cuda_group_norm_forward = {ENGINE(group_norm, forward)};
const lamina_engine lamina_cuda_group_norm_backward = {ENGINE(group_norm, backward)};
