/* Engines of spectral pooling. */
#include "lamina/spectral_pool.h"

#include "cuda/cuda.h"
#include "kernels/spectral_pool.h"

/* From argument 0 to argument 1, forward and backward. */
static kernel_spectral_pool pool_of(const lamina_problem *problem, bool backward) {
  const lamina_desc *in = &problem->arg[0], *out = &problem->arg[1];
  kernel_spectral_pool p = {.type = cuda_type(in), .planes = (int)(in->dims[0] * in->dims[1]), .backward = backward};
  for (int a = 0; a < 3; a++) {
    const int d = a + in->rank - 3; /* the last three axes, of which the first may be no spatial ones */
    p.in[a] = d < 2 ? 1 : (int)in->dims[d], p.out[a] = d < 2 ? 1 : (int)out->dims[d];
  }
  return p;
}

static bool is_backward(const char *op) { return strcmp(op, "spectral_pool/backward") == 0; }

/* Four multiplications and additions for each entry of a table, pass by pass. */
static double flops_of(const kernel_spectral_pool *p) {
  double flops = 0, size[3] = {p->in[0], p->in[1], p->in[2]};
  for (int i = 0; i < 3; i++) {
    const int a = p->backward ? i : 2 - i;
    if (p->in[a] == p->out[a]) continue;
    size[a] = p->out[a];
    flops += 8.0 * p->planes * size[0] * size[1] * size[2] * p->in[a];
  }
  return flops;
}

static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  if (!cuda_takes_small(problem, each, context)) return;
  for (int i = 0; i < 2; i++)
    for (int d = 2; d < problem->arg[i].rank; d++)
      if (problem->arg[i].dims[d] > INT32_C(1) << 20) {
        each(context, NULL, 0, "it takes up to 2^20 elements along an axis");
        return;
      }
  const kernel_spectral_pool p = pool_of(problem, is_backward(engine->op));
  const double bytes = cuda_bytes(problem) + 2 * (double)kernel_spectral_pool_workspace(&p);
  each(context, "", cuda_seconds(device, flops_of(&p), bytes), "");
}

static lamina_status prepare(lamina_plan *plan) {
  const kernel_spectral_pool p = pool_of(&plan->problem, is_backward(plan->op->name));
  plan->workspace = kernel_spectral_pool_workspace(&p);
  return LAMINA_OK;
}

static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  const kernel_spectral_pool p = pool_of(&plan->problem, is_backward(plan->op->name));
  return cuda_launched(plan, kernel_spectral_pool_run(&p, args->p[0], args->p[1], workspace, cuda_stream_of(stream)));
}

#define ENGINE(pass)                                                                                                   \
  CUDA_ENGINE("kernel", "spectral_pool/" #pass, LAMINA_STRIDES_DENSE), .candidates = candidates, .prepare = prepare,   \
                                                                       .run = run
const lamina_engine lamina_cuda_spectral_pool_forward = {ENGINE(forward)};
const lamina_engine lamina_cuda_spectral_pool_backward = {ENGINE(backward)};
