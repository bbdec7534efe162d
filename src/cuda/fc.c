/* Engines of the fully connected product.
 *
 *   forward            y  = x w' + b
 *   backward_data      dx = dy w
 *   backward_weights   dw = dy' x
 *   backward_bias      db = sum over the rows of dy
 *   fc_relu/forward and relu_fc/backward_data are forward and backward_data with an epilogue
 *
 * On a GPU math=default lets factors of f32 be rounded to tf32 here, as the field does; math=strict doesn't. */
#include "lamina/fc.h"

#include "cuda/gemm.h"

/* c = a b of views of three arguments; false where a size is too large, and `each` was told. */
static bool product_of(const cuda_gemm_view *a, const cuda_gemm_view *b, const lamina_desc *c, kernel_gemm *gemm) {
  *gemm = (kernel_gemm){.type = cuda_type(c),
                        .M = (int)a->rows,
                        .N = (int)b->columns,
                        .K = (int)a->columns,
                        .a = a->steps,
                        .b = b->steps,
                        .c = {.row = c->strides[0], .column = c->strides[1]},
                        .splits = 1};
  return a->rows <= INT32_MAX && b->columns <= INT32_MAX && a->columns <= INT32_MAX;
}

static bool describe_forward(const lamina_problem *p, kernel_gemm *gemm) {
  const cuda_gemm_view x = cuda_gemm_view_of(&p->arg[0], false), w = cuda_gemm_view_of(&p->arg[1], true);
  const bool fits = product_of(&x, &w, &p->arg[3], gemm);
  if (cuda_present(&p->arg[2])) gemm->bias_column = p->arg[2].strides[0];
  return fits;
}
static bool describe_backward_data(const lamina_problem *p, kernel_gemm *gemm) {
  const cuda_gemm_view dy = cuda_gemm_view_of(&p->arg[0], false), w = cuda_gemm_view_of(&p->arg[1], false);
  return product_of(&dy, &w, &p->arg[2], gemm);
}
static bool describe_relu(const lamina_problem *p, kernel_gemm *gemm) {
  const bool fits = describe_forward(p, gemm);
  gemm->relu = 1;
  return fits;
}
static bool describe_gated(const lamina_problem *p, kernel_gemm *gemm) {
  const cuda_gemm_view dy = cuda_gemm_view_of(&p->arg[0], false), w = cuda_gemm_view_of(&p->arg[1], false);
  return product_of(&dy, &w, &p->arg[3], gemm);
}
static bool describe_backward_weights(const lamina_problem *p, kernel_gemm *gemm) {
  const cuda_gemm_view x = cuda_gemm_view_of(&p->arg[0], false), dy = cuda_gemm_view_of(&p->arg[1], true);
  return product_of(&dy, &x, &p->arg[2], gemm);
}

#define PRODUCT(pass, a_, b_, bias_, gate_, c_)                                                                        \
  static void candidates_##pass(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,     \
                                lamina_candidate_fn *each, void *context) {                                            \
    kernel_gemm gemm;                                                                                                  \
    if (!cuda_takes(problem, each, context)) return;                                                                   \
    if (describe_##pass(problem, &gemm))                                                                               \
      cuda_gemm_candidates(device, problem, engine, &gemm, true, each, context);                                       \
    else                                                                                                               \
      each(context, NULL, 0, "it takes matrices of up to 2^31 - 1 rows and columns");                                  \
  }                                                                                                                    \
  static lamina_status prepare_##pass(lamina_plan *plan) {                                                             \
    kernel_gemm gemm;                                                                                                  \
    (void)describe_##pass(&plan->problem, &gemm);                                                                      \
    return cuda_gemm_prepare(plan, &gemm);                                                                             \
  }                                                                                                                    \
  static lamina_status run_##pass(const lamina_plan *plan, const lamina_args *args, void *workspace,                   \
                                  lamina_stream *stream) {                                                             \
    const kernel_gemm_pointers p = {                                                                                   \
        .a = args->p[a_], .b = args->p[b_], .bias = bias_, .gate = gate_, .c = args->p[c_]};                           \
    return cuda_gemm_run(plan, &p, workspace, stream);                                                                 \
  }
PRODUCT(forward, 0, 1, args->p[2], NULL, 3)
PRODUCT(relu, 0, 1, args->p[2], NULL, 3)
PRODUCT(backward_data, 0, 1, NULL, NULL, 2)
PRODUCT(gated, 0, 1, NULL, args->p[2], 3)
PRODUCT(backward_weights, 1, 0, NULL, NULL, 2)

/* ---- The bias ----------------------------------------------------------------------------------------------------- */

static kernel_column_sum sum_of(lamina_device *device, const lamina_problem *p) {
  const lamina_desc *dy = &p->arg[0];
  const int64_t blocks = (dy->dims[1] - 1) / 64 + 1, wanted = 4 * cuda_device_of(device)->multiprocessors;
  int64_t parts = wanted / blocks, most = dy->dims[0] / 128; /* a block's part is worth its launch from 128 rows on */
  if (parts > most) parts = most;
  return (kernel_column_sum){.type = cuda_type(dy),
                             .rows = dy->dims[0],
                             .columns = dy->dims[1],
                             .row = dy->strides[0],
                             .column = dy->strides[1],
                             .step = p->arg[1].strides[0],
                             .parts = parts > 1 ? (int)parts : 1};
}

static lamina_status prepare_backward_bias(lamina_plan *plan) {
  const kernel_column_sum sum = sum_of(plan->device, &plan->problem);
  if (sum.parts > 1) plan->workspace = (size_t)sum.parts * (size_t)sum.columns * sizeof(float);
  return LAMINA_OK;
}

static lamina_status run_backward_bias(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                       lamina_stream *stream) {
  const kernel_column_sum sum = sum_of(plan->device, &plan->problem);
  return cuda_launched(plan,
                       kernel_column_sum_run(&sum, args->p[0], args->p[1], (float *)workspace, cuda_stream_of(stream)));
}

#define RUN(pass)          .candidates = candidates_##pass, .prepare = prepare_##pass, .run = run_##pass, .release = cuda_release
#define ENGINE(name, pass) CUDA_ENGINE(name, "fc/" #pass, LAMINA_STRIDES_ANY), RUN(pass)
#define RELU(name)         CUDA_ENGINE(name, "fc_relu/forward", LAMINA_STRIDES_ANY), RUN(relu)
#define GATED(name)        CUDA_ENGINE(name, "relu_fc/backward_data", LAMINA_STRIDES_DENSE), RUN(gated) /* x as dx */
const lamina_engine lamina_cuda_fc_forward = {ENGINE("kernel/gemm", forward)};
const lamina_engine lamina_cuda_fc_forward_mma = {ENGINE("kernel/gemm_mma", forward)};
const lamina_engine lamina_cuda_fc_backward_data = {ENGINE("kernel/gemm", backward_data)};
const lamina_engine lamina_cuda_fc_backward_data_mma = {ENGINE("kernel/gemm_mma", backward_data)};
const lamina_engine lamina_cuda_fc_backward_weights = {ENGINE("kernel/gemm", backward_weights)};
const lamina_engine lamina_cuda_fc_backward_weights_mma = {ENGINE("kernel/gemm_mma", backward_weights)};
const lamina_engine lamina_cuda_fc_relu = {RELU("kernel/gemm")};
const lamina_engine lamina_cuda_fc_relu_mma = {RELU("kernel/gemm_mma")};
const lamina_engine lamina_cuda_relu_fc = {GATED("kernel/gemm")};
const lamina_engine lamina_cuda_relu_fc_mma = {GATED("kernel/gemm_mma")};
const lamina_engine lamina_cuda_fc_backward_bias = {CUDA_ENGINE("kernel", "fc/backward_bias", LAMINA_STRIDES_ANY),
                                                    .candidates = cuda_candidates, .prepare = prepare_backward_bias,
                                                    .run = run_backward_bias};
