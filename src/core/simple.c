/* The simple path: from tensors to a problem, a cached plan, the stream's workspace and a run. */
#include <stdio.h>

#include "core/blocks.h"
#include "core/plan.h"
#include "core/problem.h"

/* The addresses that a tensor covers. */
static void range_of(const lamina_tensor *tensor, uintptr_t *low, uintptr_t *high) {
  const lamina_desc *desc = &tensor->desc;
  const int64_t size = (int64_t)lamina_dtype_size((lamina_dtype)desc->dtype);
  *low = (uintptr_t)tensor->data - (uintptr_t)(lamina_desc_below(desc) * size);
  *high = *low + (uintptr_t)lamina_desc_bytes(desc);
}

/* Do they share elements? Two views with gaps may lie between each other, so only a dense one is held to its range. */
static bool overlap(const lamina_tensor *a, const lamina_tensor *b) {
  uintptr_t a0, a1, b0, b1;
  if (!a->data || !b->data || lamina_desc_bytes(&a->desc) <= 0 || lamina_desc_bytes(&b->desc) <= 0) return false;
  range_of(a, &a0, &a1);
  range_of(b, &b0, &b1);
  return a0 < b1 && b0 < a1 && (a->data == b->data || lamina_desc_is_dense(&a->desc) || lamina_desc_is_dense(&b->desc));
}

/* Sets the bits of outputs that lie on their input; any other overlap with an output is an error. */
static lamina_status find_aliases(lamina_problem *problem, const lamina_op_def *op,
                                  const lamina_tensor *const *tensor) {
  for (int i = 0; op->args[i].name; i++) {
    if (!tensor[i] || !lamina_is_output(&op->args[i])) continue;
    for (int j = 0; op->args[j].name; j++) {
      if (i == j || !tensor[j] || (lamina_is_output(&op->args[j]) && j > i) || !overlap(tensor[i], tensor[j])) continue;
      const char *allowed = op->args[i].alias;
      if (!allowed || strcmp(allowed, op->args[j].name) != 0 || tensor[i]->data != tensor[j]->data)
        return lamina_error(LAMINA_INVALID, "%s: %s overlaps %s in memory", op->name, op->args[i].name,
                            op->args[j].name);
      problem->aliased |= 1u << i;
    }
  }
  return LAMINA_OK;
}

static const char *const memory_names[] = {"host", "pinned host", "device"};

/* Is the memory of the kind that the tensor says, and one that the device works in? The driver is asked, too. */
static lamina_status check_memory(const lamina_device *device, const char *op, const char *name,
                                  const lamina_tensor *tensor) {
  const bool wants_device = device->module.memory == LAMINA_MEMORY_DEVICE;
  lamina_memory memory = tensor->memory;
  if ((size_t)memory >= LAMINA_COUNT_OF(memory_names))
    return lamina_error(LAMINA_INVALID, "%s: %s lies in memory of kind %d; expected a lamina_memory", op, name,
                        (int)memory);
  if ((memory == LAMINA_MEMORY_DEVICE) == wants_device && tensor->data && device->module.memory_of)
    LAMINA_TRY(device->module.memory_of(device->state, tensor->data, &memory));
  if ((memory == LAMINA_MEMORY_DEVICE) == wants_device) return LAMINA_OK;
  return lamina_error(LAMINA_INVALID, "%s: %s lies in %s memory, but %s works in %s memory", op, name,
                      memory_names[memory], device->name, memory_names[device->module.memory]);
}

static lamina_status from_tensors(const lamina_device *device, const char *op_name, const void *descriptor,
                                  const lamina_tensor *const *tensor, lamina_problem *problem, lamina_args *args) {
  const int id = lamina_op_find(op_name);
  const lamina_op_def *op = lamina_op_at(id);
  const lamina_desc *shape[LAMINA_MAX_ARGS] = {NULL};
  if (!op) return lamina_error(LAMINA_INVALID, "there is no op \"%s\"", op_name);
  *args = (lamina_args){{NULL}};
  for (int i = 0; op->args[i].name; i++) {
    if (!tensor[i]) continue;
    LAMINA_TRY(check_memory(device, op_name, op->args[i].name, tensor[i]));
    shape[i] = &tensor[i]->desc;
    args->p[i] = tensor[i]->data;
  }
  LAMINA_TRY(lamina_problem_init(problem, id, descriptor, shape));
  return find_aliases(problem, op, tensor);
}

/* The typed calls come through here, too, so the sentence names the op. */
static lamina_status check_call(const lamina_device *device, const char *op, const lamina_tensor *const *tensor) {
  if (device && tensor) return LAMINA_OK;
  return lamina_error(LAMINA_INVALID, "%s: %s is NULL", op, device ? "tensor" : "device");
}

lamina_status lamina_op_plan(lamina_device *device, const char *op, const void *descriptor,
                             const lamina_tensor *const *tensor, const lamina_plan_options *options,
                             lamina_plan **plan) {
  lamina_problem problem;
  lamina_args args;
  LAMINA_NOT_NULL(op, "op");
  if (!plan) return lamina_error(LAMINA_INVALID, "%s: plan is NULL", op);
  *plan = NULL;
  LAMINA_TRY(check_call(device, op, tensor));
  LAMINA_TRY(from_tensors(device, op, descriptor, tensor, &problem, &args));
  return lamina_plan_open(device, &problem, options, plan);
}

/* Runs with the stream's workspace, which grows as needed; a second thread on the same stream gets memory of its own.
 */
static lamina_status run_with_workspace(const lamina_plan *plan, const lamina_args *args, lamina_stream *stream) {
  lamina_device *device = stream->device;
  const size_t needs = lamina_plan_workspace(plan);
  if (!needs) return lamina_plan_run(plan, args, NULL, stream);
  const bool mine = !atomic_flag_test_and_set(&stream->busy);
  void *workspace = mine ? stream->workspace : NULL;
  lamina_status status = LAMINA_OK;
  if (mine && needs > stream->workspace_size) {
    status = lamina_stream_sync(device, stream); /* work that still runs may use the old one */
    lamina_memory_free(device, stream->workspace, stream->workspace_size);
    stream->workspace = workspace = NULL, stream->workspace_size = 0;
  }
  if (!status && !workspace) status = lamina_memory_alloc(device, needs, &workspace);
  if (mine && !stream->workspace && workspace) stream->workspace = workspace, stream->workspace_size = needs;
  if (!status) status = lamina_plan_run(plan, args, workspace, stream);
  if (mine) {
    atomic_flag_clear(&stream->busy);
  } else {
    const lamina_status synced = lamina_stream_sync(device, stream);
    if (!status) status = synced;
    lamina_memory_free(device, workspace, needs);
  }
  return status;
}

lamina_status lamina_op_run(lamina_device *device, const char *op, const void *descriptor,
                            const lamina_tensor *const *tensor, lamina_stream *stream) {
  lamina_problem problem;
  lamina_args args;
  lamina_plan *plan;
  LAMINA_NOT_NULL(op, "op");
  LAMINA_TRY(check_call(device, op, tensor));
  LAMINA_TRY(lamina_stream_check(device, stream, op));
  LAMINA_TRY(from_tensors(device, op, descriptor, tensor, &problem, &args));
  LAMINA_TRY(lamina_want_layouts(&problem));
  LAMINA_TRY(lamina_plan_open(device, &problem, NULL, &plan));
  const lamina_status status = run_with_workspace(plan, &args, stream ? stream : &device->stream);
  lamina_plan_close(plan);
  return status;
}
