/* Engines of the optimizers. */
#include "lamina/optimizer.h"

#include <float.h>
#include <math.h>

#include "cuda/array.h"
#include "kernels/optimizer.h"

/* Places of what changes from step to step, in SGD's row and in Adam's. */
enum { W, G, M, SGD_RATE, SGD_SEGMENTS, SGD_DECAY, SGD_GATE, SGD_SHADOW };
enum { V = M + 1, RATE, STEP, SEGMENTS, DECAY, GATE, SHADOW };

static kernel_segments segments_of(const lamina_plan *plan, const lamina_args *args, int segments, int decay) {
  const lamina_desc *ends = &plan->problem.arg[segments];
  const bool cut = cuda_present(ends);
  return (kernel_segments){
      .ends = cut ? args->p[segments] : NULL, .decay = cuda_array(plan, args, decay), .count = cut ? ends->dims[0] : 0};
}

/* State 0 … last and the narrow copy as cuda_array_candidates takes them; the numbers between may have any type. */
static void state_candidates(lamina_device *device, const lamina_problem *problem, int last, int shadow,
                             lamina_candidate_fn *each, void *context) {
  if (problem->arg[shadow].dtype == LAMINA_F64)
    each(context, NULL, 0, "it writes a shadow in f32, bf16 or f16");
  else
    cuda_array_candidates(device, problem, last, each, context);
}

/* ---- SGD -------------------------------------------------------------------------------------------------------- */

static void sgd_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                           lamina_candidate_fn *each, void *context) {
  (void)engine;
  state_candidates(device, problem, M, SGD_SHADOW, each, context);
}

static lamina_status sgd_run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  const lamina_sgd *attr = cuda_attr(&plan->problem);
  const kernel_sgd sgd = {.segments = segments_of(plan, args, SGD_SEGMENTS, SGD_DECAY),
                          .w = cuda_array(plan, args, W),
                          .g = cuda_array(plan, args, G),
                          .m = cuda_array(plan, args, M),
                          .rate = cuda_array(plan, args, SGD_RATE),
                          .gate = cuda_array(plan, args, SGD_GATE),
                          .shadow = cuda_array(plan, args, SGD_SHADOW),
                          .n = cuda_count(&plan->problem.arg[W]),
                          .momentum = (float)attr->momentum,
                          .nesterov = attr->nesterov != 0};
  (void)workspace;
  return cuda_launched(plan, kernel_sgd_update(&sgd, cuda_stream_of(stream)));
}

const lamina_engine lamina_cuda_sgd_update = {
    CUDA_ENGINE("kernel", "sgd/update", LAMINA_STRIDES_DENSE),
    .candidates = sgd_candidates,
    .run = sgd_run,
};

/* ---- Adam ------------------------------------------------------------------------------------------------------- */

static void adam_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                            lamina_candidate_fn *each, void *context) {
  const double epsilon = ((const lamina_adam *)cuda_attr(problem))->epsilon;
  (void)engine;
  if (epsilon != 0 && (epsilon < (double)FLT_MIN || epsilon > (double)FLT_MAX))
    each(context, NULL, 0, "it computes in f32, which can't hold this epsilon");
  else
    state_candidates(device, problem, V, SHADOW, each, context);
}

static lamina_status adam_run(const lamina_plan *plan, const lamina_args *args, void *workspace,
                              lamina_stream *stream) {
  const lamina_adam *attr = cuda_attr(&plan->problem);
  const kernel_adam adam = {.segments = segments_of(plan, args, SEGMENTS, DECAY),
                            .w = cuda_array(plan, args, W),
                            .g = cuda_array(plan, args, G),
                            .m = cuda_array(plan, args, M),
                            .v = cuda_array(plan, args, V),
                            .rate = cuda_array(plan, args, RATE),
                            .gate = cuda_array(plan, args, GATE),
                            .shadow = cuda_array(plan, args, SHADOW),
                            .step = args->p[STEP],
                            .n = cuda_count(&plan->problem.arg[W]),
                            .beta1 = (float)attr->beta1,
                            .rest1 = (float)(1 - attr->beta1),
                            .log1 = (float)log(attr->beta1),
                            .beta2 = (float)attr->beta2,
                            .rest2 = (float)(1 - attr->beta2),
                            .log2 = (float)log(attr->beta2),
                            .epsilon = (float)attr->epsilon,
                            .decoupled = attr->decoupled != 0};
  (void)workspace;
  return cuda_launched(plan, kernel_adam_update(&adam, cuda_stream_of(stream)));
}

const lamina_engine lamina_cuda_adam_update = {
    CUDA_ENGINE("kernel", "adam/update", LAMINA_STRIDES_DENSE),
    .candidates = adam_candidates,
    .run = adam_run,
};
