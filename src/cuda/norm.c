/* What the engines of normalisations offer. */
#include <math.h>

#include "cuda/norm.h"

static bool is_large(const char *name) {
  const size_t length = strlen(name);
  return length <= 2 && (name[length - 1] == 'x' || name[length - 1] == 'y');
}

static bool takes(const lamina_problem *problem, lamina_candidate_fn *each, void *context) {
  const lamina_op_def *op = cuda_host->op_at(problem->op);
  for (int i = 0; op->args[i].name; i++) {
    const int32_t have = problem->arg[i].dtype;
    if (have == LAMINA_NONE) continue;
    if (have != LAMINA_F32 && have != LAMINA_BF16 && have != LAMINA_F16) {
      each(context, NULL, 0, "it takes f32, bf16 and f16");
      return false;
    }
    if (is_large(op->args[i].name) && have != problem->arg[0].dtype) {
      each(context, NULL, 0, "it takes one type, f32, bf16 or f16, for x, y, dy and dx");
      return false;
    }
  }
  return cuda_small(problem, each, context);
}

/* In one kernel a set has one warp or block, and what is read again comes from the cache: good for many sets with long
 * runs. In three kernels all that is read is read twice. */
void cuda_norm_candidates(lamina_device *device, const lamina_problem *problem, const kernel_norm *n, bool variants,
                          lamina_candidate_fn *each, void *context) {
  if (!takes(problem, each, context)) return;
  const double bytes = cuda_bytes(problem), wanted = 2.0 * cuda_device_of(device)->multiprocessors;
  const bool is_long = n->runs * n->length > 1024;
  const double idle = is_long && (double)n->sets < wanted ? wanted / (double)n->sets : 1;
  const double apart = n->runs > 1 ? fmax(8 / (double)n->length, 1) : 1;
  if (!variants) {
    each(context, "", cuda_seconds(device, 0, bytes), "");
    return;
  }
  each(context, "whole", cuda_seconds(device, 0, 1.1 * bytes * idle * apart), "");
  if (is_long || n->by_set)
    each(context, "split", cuda_seconds(device, 0, 1.6 * bytes) + 2 * cuda_seconds(device, 0, 0), "");
}
