/* Engines of resizing. */
#include "lamina/resize.h"

#include "cuda/cuda.h"
#include "kernels/resize.h"

/* `x` is what is resized, `y` what comes of it. */
static kernel_resize resize_of(const lamina_problem *problem, int x, int y) {
  const lamina_resize *resize = cuda_attr(problem);
  const lamina_desc *in = &problem->arg[x], *out = &problem->arg[y];
  kernel_resize r = {.type = cuda_type(in),
                     .planes = (int)(in->dims[0] * in->dims[1]),
                     .linear = resize->mode == LAMINA_RESIZE_LINEAR,
                     .align_corners = resize->align_corners};
  const int axes = in->rank - 2;
  for (int a = 0; a < 3; a++) {
    const int d = a + axes < 3 ? -1 : 2 + a + axes - 3;
    r.in[a] = d < 0 ? 1 : (int)in->dims[d], r.out[a] = d < 0 ? 1 : (int)out->dims[d];
  }
  return r;
}

static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  (void)engine;
  if (cuda_takes_small(problem, each, context)) each(context, "", cuda_seconds(device, 0, cuda_bytes(problem)), "");
}

#define RUN(pass, x, y)                                                                                                \
  static lamina_status run_##pass(const lamina_plan *plan, const lamina_args *args, void *workspace,                   \
                                  lamina_stream *stream) {                                                             \
    const kernel_resize r = resize_of(&plan->problem, x, y);                                                           \
    (void)workspace;                                                                                                   \
    return cuda_launched(plan, kernel_resize_##pass(&r, args->p[0], args->p[1], cuda_stream_of(stream)));              \
  }
RUN(forward, 0, 1)
RUN(backward, 1, 0)

#define ENGINE(pass)                                                                                                   \
  CUDA_ENGINE("kernel", "resize/" #pass, LAMINA_STRIDES_DENSE), .candidates = candidates, .run = run_##pass
const lamina_engine lamina_cuda_resize_forward = {ENGINE(forward)};
const lamina_engine lamina_cuda_resize_backward = {ENGINE(backward)};
