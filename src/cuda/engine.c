/* What the module's engines share. */
#include <math.h>

#include "cuda/cuda.h"

double cuda_bytes(const lamina_problem *problem) {
  double bytes = 0;
  for (int i = 0; i < LAMINA_MAX_ARGS; i++)
    if (cuda_present(&problem->arg[i]))
      bytes += (double)cuda_count(&problem->arg[i]) * (double)cuda_size_of(problem->arg[i].dtype);
  return bytes;
}

double cuda_seconds(lamina_device *device, double flops, double bytes) {
  const cuda_device *cuda = cuda_device_of(device);
  const double launch = 3e-6, compute = flops / cuda->flops, memory = bytes / cuda->bandwidth;
  return launch + fmax(compute, memory);
}

bool cuda_takes(const lamina_problem *problem, lamina_candidate_fn *each, void *context) {
  const lamina_op_def *op = cuda_host->op_at(problem->op);
  int32_t dtype = LAMINA_NONE;
  for (int i = 0; op->args[i].name; i++) {
    const int32_t have = problem->arg[i].dtype;
    if (op->args[i].type != LAMINA_FLOATING || have == LAMINA_NONE) continue;
    if (have != LAMINA_F32 && have != LAMINA_BF16 && have != LAMINA_F16) {
      each(context, NULL, 0, "it takes f32, bf16 and f16");
      return false;
    }
    if (dtype != LAMINA_NONE && have != dtype) {
      each(context, NULL, 0, "it takes one type for all, f32, bf16 or f16");
      return false;
    }
    dtype = have;
  }
  return true;
}

bool cuda_small(const lamina_problem *problem, lamina_candidate_fn *each, void *context) {
  const lamina_op_def *op = cuda_host->op_at(problem->op);
  for (int i = 0; op->args[i].name; i++)
    if (cuda_present(&problem->arg[i]) && cuda_count(&problem->arg[i]) > INT32_MAX) {
      each(context, NULL, 0, "it takes up to 2^31 - 1 elements");
      return false;
    }
  return true;
}

bool cuda_takes_small(const lamina_problem *problem, lamina_candidate_fn *each, void *context) {
  return cuda_takes(problem, each, context) && cuda_small(problem, each, context);
}

void cuda_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                     lamina_candidate_fn *each, void *context) {
  (void)engine;
  if (cuda_takes(problem, each, context)) each(context, "", cuda_seconds(device, 0, cuda_bytes(problem)), "");
}

void cuda_move_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                          lamina_candidate_fn *each, void *context) {
  (void)engine;
  each(context, "", cuda_seconds(device, 0, cuda_bytes(problem)), "");
}

lamina_status cuda_launched(const lamina_plan *plan, int error) {
  if (error == 0) return LAMINA_OK;
  return cuda_check(cuda_device_of(plan->device), (cudaError_t)error, plan->op->name);
}

/* The size in front of the state is what cuda_release gives back. */
typedef union header {
  size_t size;
  char room[64]; /* keeps the state as aligned as the block */
} header;

void *cuda_state(lamina_plan *plan, size_t size) {
  header *block = cuda_host->alloc(plan->device, sizeof *block + size);
  if (!block) return NULL;
  memset(block, 0, sizeof *block + size);
  block->size = sizeof *block + size;
  return plan->state = block + 1;
}

void cuda_release(lamina_plan *plan) {
  header *block = plan->state ? (header *)plan->state - 1 : NULL;
  if (block) cuda_host->free(plan->device, block, block->size);
  plan->state = NULL;
}
