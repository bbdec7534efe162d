/* A small net, batch-parallel: each thread takes its part of the batch through the whole net and back.
 *
 *   thread 0   forward ─ loss ─ backward of examples 0 … 63    ┐         ┌ first half of all gradients, summed ┐
 *   thread 1   forward ─ loss ─ backward of examples 64 … 127  ┘ barrier └ second half                         ┘ update
 *
 * Two barriers a step, where the threads would meet in every op otherwise; for nets of small ops that is most of the time.
 * Each part is an executor of its own, planned for one thread on a device that has one, with its own arena, gradients and
 * results; parameters are shared. The whole graph is there, too: its update nodes run on the summed gradients, and a step
 * whose loss isn't finite is looked into with it.
 *
 * Only where every op goes example by example, and the loss adds examples up: a mean over a part counts as much as the
 * part is of the batch. Sums of gradients are in the order of the parts, so a step's bits depend on the number of threads
 * alone. Whether it is done follows from the engines' times, estimated or tuned. */
#include "net/parts.h"

#include <stdio.h>

#include "core/device.h"
#include "core/plan.h"
#include "core/problem.h"
#include "core/tuning.h"
#include "lamina/loss.h"

typedef struct part {
  lamina_executor *executor; /* of so many examples; equal parts share it */
  int64_t first;
  double share; /* of the batch's mean */
  lamina_step_block step;
  size_t arena, gradients, result; /* where they are in the net's block for parts */
  lamina_status status;
  char error[1024];
} part;

struct lamina_parts {
  lamina_executor *executors[2]; /* of the larger parts, and of the others, if there are such */
  int64_t gradients;             /* bytes; 0: none */
  size_t x_bytes;                /* of an example */
  int64_t labels;                /* of one */
  size_t size;                   /* of the block for all */
  int count;
  part part[];
};

enum { CHUNK = 4096 }; /* gradients that a thread sums at once */

/* ---- Whether ---------------------------------------------------------------------------------------------------- */

/* Does the op take its batch example by example? */
static bool is_by_example(const lamina_op_def *op) {
  for (int i = 0; op->parts && op->parts[i]; i++)
    if (!lamina_op_at(lamina_op_find(op->parts[i]))->by_example) return false;
  return op->by_example || op->parts;
}

/* (Of the loss, adds_up knows.) */
static bool goes_apart(const lamina_executor *executor, const lamina_op_def *op) {
  const size_t length = strcspn(op->name, "/");
  const char *loss = executor->criterion.family;
  return is_by_example(op) || (strlen(loss) == length && strncmp(op->name, loss, length) == 0);
}

/* The mean or the sum over all examples alike? */
static bool adds_up(const lamina_net *net, const lamina_criterion *loss) {
  char name[64];
  int64_t reduction, ignore, has = 0;
  snprintf(name, sizeof name, "%s/forward", loss->family);
  memcpy(&reduction, loss->attr, sizeof reduction); /* every loss's first attribute */
  if (net->block[LAMINA_BUFFER_CLASS_WEIGHTS] || reduction == LAMINA_REDUCTION_NONE) return false;
  for (const lamina_attr_def *attr = lamina_op_at(lamina_op_find(name))->attrs; attr->name; attr++) {
    if (strcmp(attr->name, "ignore") != 0) continue;
    memcpy(&ignore, loss->attr + attr->offset, sizeof ignore);
    if (attr->has) memcpy(&has, loss->attr + attr->has, sizeof has);
    if (ignore != INT64_MIN && (ignore || has)) return false;
  }
  return true;
}

/* Does every op before the update take the batch example by example? */
static bool is_separable(const lamina_executor *executor) {
  const lamina_graph *graph = &executor->graph;
  for (int n = 0; n < graph->node_count; n++) {
    const lamina_node_op *node = &graph->nodes[n];
    const lamina_op_def *op = lamina_op_at(node->op); /* NULL: a view */
    const bool of_step = n >= executor->update && (node->layer < 0 || (op && strstr(op->name, "/update")));
    if (op && !of_step && !goes_apart(executor, op)) return false;
    for (int i = 0; !op && i < 2; i++)
      if (graph->values[node->arg[i]].desc.dims[0] != graph->batch) return false;
  }
  return true;
}

/* What the engines estimate for nodes from `first` on, and how many there are. */
static double seconds_of(const lamina_graph *graph, int first, int *ops) {
  double seconds = 0;
  *ops = 0;
  for (int n = first; n < graph->node_count; n++) {
    if (!graph->nodes[n].plan) continue;
    seconds += lamina_plan_seconds(graph->nodes[n].plan);
    ++*ops;
  }
  return seconds;
}

/* What threads lose where they meet: to be woken, and to wait for the last one. */
static const double MEETING = 5e-6;
/* Beyond these nobody looks: where ops are large they keep all threads busy, and gradients for each cost memory. */
static const double LONGEST = 50e-3;
enum { MOST_PARAMETERS = 32 << 20 };

static bool is_small(const lamina_net *net, const lamina_executor *executor) {
  int ops;
  return net->params.bytes <= MOST_PARAMETERS && seconds_of(&executor->graph, 0, &ops) <= LONGEST;
}

/* Is it faster? An update at the end is the same in both; early ones, of which nothing is known apart, go through all
 * parameters, gradients and a moment. */
static bool gains(const lamina_net *net, const lamina_executor *whole, const lamina_parts *parts) {
  int whole_ops, ops, update_ops;
  const double params = (double)net->params.bytes / net->device->roofline.copy;
  const double update = whole->early ? 5 * params : seconds_of(&whole->graph, whole->update, &update_ops);
  const double all = seconds_of(&whole->graph, 0, &whole_ops) - update;
  const double one = seconds_of(&parts->executors[0]->graph, 0, &ops);
  const double sums = (double)(parts->gradients * (parts->count + 1)) / net->device->roofline.copy;
  return one + sums + 2 * MEETING < all + whole_ops * MEETING;
}

/* ---- Opening ---------------------------------------------------------------------------------------------------- */

/* A device as the net's, for one thread; what is tuned for it lies beside the net's. */
static lamina_status open_solo(lamina_net *net) {
  lamina_device *device = net->device, *solo;
  const lamina_device_options options = {.threads = 1, .allocator = &device->allocator, .tune_cache = ""};
  if (net->solo) return LAMINA_OK;
  LAMINA_TRY(lamina_device_open(device->name, &options, &solo));
  lamina_free(&solo->allocator, solo->overrides); /* those of the options, too */
  solo->overrides = NULL, solo->override_count = 0;
  solo->log = device->log, solo->log_user = device->log_user;
  const size_t bytes = (size_t)device->override_count * sizeof *device->overrides;
  lamina_status status = lamina_tuning_share(solo, device);
  if (!status && bytes && !(solo->overrides = lamina_alloc(&solo->allocator, bytes))) status = LAMINA_OUT_OF_MEMORY;
  if (status) {
    lamina_device_close(solo);
    return status;
  }
  if (bytes) memcpy(solo->overrides, device->overrides, bytes);
  solo->override_count = device->override_count;
  net->solo = solo;
  return LAMINA_OK;
}

/* Parts of whole blocks of 16 examples where there are enough, which engines like best; the first ones are the larger. */
static void cut(lamina_parts *parts, int64_t batch, int64_t *large, int64_t *small, int *larger) {
  const int64_t unit = batch >= 16 * parts->count ? 16 : 1, units = (batch + unit - 1) / unit;
  *large = (units + parts->count - 1) / parts->count * unit;
  *larger = (int)(batch / *large);
  if (*larger > parts->count) *larger = parts->count;
  *small = batch - *larger * *large;
  parts->count = *larger + (*small > 0);
}

static lamina_status open_parts(lamina_net *net, const lamina_executor *whole, lamina_parts *parts) {
  const lamina_mode mode = whole->mode == LAMINA_MODE_TRAIN ? LAMINA_MODE_GRADIENTS : whole->mode;
  const int64_t batch = whole->graph.batch;
  int64_t sizes[2], first = 0, reduction;
  int larger;
  memcpy(&reduction, whole->criterion.attr, sizeof reduction);
  parts->gradients = mode == LAMINA_MODE_GRADIENTS ? (int64_t)net->params.bytes : 0;
  cut(parts, batch, &sizes[0], &sizes[1], &larger);
  for (int i = 0; i < 2; i++)
    if (sizes[i])
      LAMINA_TRY(lamina_executor_open(net, net->solo, mode, sizes[i], &whole->criterion, whole->k, false,
                                      &parts->executors[i]));
  for (int i = 0; i < parts->count; i++) {
    part *p = &parts->part[i];
    p->executor = parts->executors[i >= larger];
    p->first = first;
    p->share = reduction == LAMINA_REDUCTION_MEAN ? (double)p->executor->graph.batch / (double)batch : 1;
    first += p->executor->graph.batch;
    p->arena = parts->size;
    p->gradients = p->arena + lamina_align_up(p->executor->graph.arena, 64);
    p->result = p->gradients + (size_t)parts->gradients;
    parts->size = p->result + LAMINA_RESULT_BYTES;
  }
  parts->labels = lamina_desc_count(&whole->graph.values[whole->labels].desc) / batch;
  parts->x_bytes = (size_t)(lamina_desc_bytes(&whole->graph.values[0].desc) / batch);
  return LAMINA_OK;
}

/* Parts run side by side in an OpenMP team. */
static int threads_of(const lamina_device *device) {
#ifdef _OPENMP
  return device->threads;
#else
  (void)device;
  return 1;
#endif
}

lamina_status lamina_parts_open(lamina_net *net, const lamina_executor *whole, lamina_parts **out) {
  const int threads = threads_of(net->device);
  const int most = whole->graph.batch < threads ? (int)whole->graph.batch : threads;
  *out = NULL;
  if (!lamina_net_on_own_engines(net) || most < 2 ||
      (whole->mode != LAMINA_MODE_TRAIN && whole->mode != LAMINA_MODE_EVALUATE))
    return LAMINA_OK;
  if (whole->graph.dtype != LAMINA_F32 || net->params.state_bytes || !adds_up(net, &whole->criterion) ||
      !is_separable(whole) || !is_small(net, whole))
    return LAMINA_OK;
  LAMINA_TRY(open_solo(net));
  lamina_parts *parts = lamina_alloc_zero(net->allocator, sizeof *parts + (size_t)most * sizeof *parts->part);
  if (!parts) return LAMINA_OUT_OF_MEMORY;
  parts->count = most;
  const lamina_status status = open_parts(net, whole, parts);
  if (!status && parts->count > 1 && gains(net, whole, parts)) {
    *out = parts;
    return LAMINA_OK;
  }
  lamina_parts_close(net, parts);
  return status == LAMINA_UNSUPPORTED ? LAMINA_OK : status; /* of another size there may be no engine */
}

void lamina_parts_close(lamina_net *net, lamina_parts *parts) {
  if (!parts) return;
  for (int i = 0; i < 2; i++)
    if (parts->executors[i]) lamina_executor_close(net, parts->executors[i]);
  lamina_free(net->allocator, parts);
}

const lamina_executor *lamina_parts_larger(const lamina_parts *parts, int *count) {
  *count = parts->count;
  return parts->executors[0];
}

/* ---- Memory ----------------------------------------------------------------------------------------------------- */

size_t lamina_parts_size(const lamina_parts *parts) { return parts ? parts->size : 0; }

/* All executors' parts use one block, one executor at a time. */
lamina_status lamina_parts_take(lamina_net *net, const lamina_parts *parts) {
  const size_t size = lamina_parts_size(parts);
  if (size <= net->parts_size) return LAMINA_OK;
  lamina_memory_free(net->device, net->parts_block, net->parts_size);
  net->parts_block = NULL, net->parts_size = 0;
  LAMINA_TRY(lamina_memory_alloc(net->device, size, &net->parts_block));
  net->parts_size = size;
  return LAMINA_OK;
}

/* ---- Running ---------------------------------------------------------------------------------------------------- */

static void *place(const lamina_net *net, const lamina_parts *parts, const part *p, const lamina_value *v,
                   const lamina_feed *feed) {
  const char *base = net->block[v->buffer], *own = net->parts_block;
  switch (v->buffer) {
  case LAMINA_BUFFER_ARENA: base = own + p->arena; break;
  case LAMINA_BUFFER_INPUT: base = (const char *)feed->x + (size_t)p->first * parts->x_bytes; break;
  case LAMINA_BUFFER_LABELS: base = (const char *)((const int32_t *)feed->labels + p->first * parts->labels); break;
  case LAMINA_BUFFER_GRADIENTS: base = own + p->gradients; break;
  case LAMINA_BUFFER_RESULT: base = own + p->result; break;
  case LAMINA_BUFFER_STEP: base = (const char *)&p->step; break;
  default: break;
  }
  return (void *)(uintptr_t)(base + v->offset);
}

static lamina_status run_part(const lamina_net *net, const lamina_parts *parts, const part *p,
                              const lamina_feed *feed) {
  const lamina_graph *graph = &p->executor->graph;
  for (int n = 0; n < graph->node_count; n++) {
    const lamina_node_op *node = &graph->nodes[n];
    lamina_args args = {{NULL}};
    if (node->op < 0) continue;
    for (int i = 0; i < LAMINA_MAX_ARGS; i++)
      if (node->arg[i] >= 0) args.p[i] = place(net, parts, p, &graph->values[node->arg[i]], feed);
    char *workspace = (char *)net->parts_block + p->arena + node->workspace_offset;
    const lamina_status status = lamina_plan_run(node->plan, &args, workspace, NULL);
    if (status) return lamina_error_at(status, "%s: ", node->layer >= 0 ? net->layers[node->layer].name : "loss");
  }
  return LAMINA_OK;
}

/* What no op writes of a part's gradients: the gaps behind parameters, which an update of all goes over. */
static void clear_gaps(const lamina_net *net, char *gradients) {
  size_t end = 0;
  for (int i = 0; i <= net->params.count; i++) {
    const lamina_param *param = i < net->params.count ? &net->params.list[i] : NULL;
    const size_t next = param ? param->offset : net->params.bytes;
    memset(gradients + end, 0, next - end);
    if (param) end = next + (size_t)lamina_desc_bytes(&param->desc);
  }
}

static const float *gradients_of(const lamina_net *net, const part *p) {
  return (const float *)(const void *)((const char *)net->parts_block + p->gradients);
}

/* Gradients from `from` on, summed in the order of the parts. */
static void add_gradients(const lamina_net *net, const lamina_parts *parts, int64_t from, int64_t end) {
  const float *first = gradients_of(net, &parts->part[0]), *second = gradients_of(net, &parts->part[1]);
  float *to = net->block[LAMINA_BUFFER_GRADIENTS];
  for (int64_t i = from; i < end; i++) to[i] = first[i] + second[i];
  for (int p = 2; p < parts->count; p++) {
    const float *next = gradients_of(net, &parts->part[p]);
    for (int64_t i = from; i < end; i++) to[i] += next[i];
  }
}

/* Loss and hits, where the whole graph would leave them. */
static void add_results(const lamina_net *net, const lamina_parts *parts) {
  char *to = net->block[LAMINA_BUFFER_RESULT];
  double loss = 0;
  int64_t hits[2] = {0, 0};
  for (int i = 0; i < parts->count; i++) {
    const part *p = &parts->part[i];
    const char *result = (const char *)net->parts_block + p->result;
    loss += p->share * lamina_load(LAMINA_F32, result + LAMINA_RESULT_LOSS, 0);
    for (int k = 0; k < 2; k++)
      if (p->executor->hits[k] >= 0) hits[k] += *(const int64_t *)(const void *)(result + LAMINA_RESULT_HITS + 64 * k);
  }
  lamina_store(LAMINA_F32, to + LAMINA_RESULT_LOSS, 0, loss);
  for (int k = 0; k < 2; k++)
    if (parts->part[0].executor->hits[k] >= 0) *(int64_t *)(void *)(to + LAMINA_RESULT_HITS + 64 * k) = hits[k];
}

lamina_status lamina_parts_run(const lamina_net *net, lamina_parts *parts, const lamina_feed *feed) {
  const lamina_step_block *step = feed->step ? feed->step : net->block[LAMINA_BUFFER_STEP];
  const int64_t numbers = parts->gradients / (int64_t)sizeof(float);
  const int count = parts->count;
#pragma omp parallel num_threads(count)
  {
#pragma omp for schedule(static, 1)
    for (int i = 0; i < count; i++) {
      part *p = &parts->part[i];
      if (parts->gradients) {
        p->step = *step;
        p->step.loss_gradient = (float)(p->share * (double)step->loss_gradient);
        clear_gaps(net, (char *)net->parts_block + p->gradients);
      }
      p->status = run_part(net, parts, p, feed);
      if (p->status) snprintf(p->error, sizeof p->error, "%s", lamina_last_error()); /* it is the thread's own */
    }
#pragma omp for schedule(static)
    for (int64_t i = 0; i < numbers; i += CHUNK)
      add_gradients(net, parts, i, numbers - i < CHUNK ? numbers : i + CHUNK);
  }
  for (int i = 0; i < count; i++)
    if (parts->part[i].status) return lamina_error(parts->part[i].status, "%s", parts->part[i].error);
  add_results(net, parts);
  return LAMINA_OK;
}
