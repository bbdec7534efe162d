/* Convolution and transposed convolution as matrix products, on the CUDA cores and on tensor cores. */
#include "kernels/conv_implicit.h"

#include "cuda/conv.h"

/* The rate that a tile full of work reaches, of the device's f32 rate: f32, tf32, bf16 and f16. */
typedef struct method {
  const char *name;
  bool tensor_cores;
  double f32, narrow;
  kernel_conv_way_fn *way;
  kernel_conv_weights_fn *weights;
} method;

static const method methods[] = {
    {"simt", false, 0.5, 0, kernel_conv_way_simt, kernel_conv_weights_simt},
    {"mma", true, 1.2, 1.6, kernel_conv_way_mma, kernel_conv_weights_mma},
};

typedef struct variant {
  char name[16];
  const method *method;
  int tile, rows, columns;
} variant;

static const variant variants[] = {
#define X(place, rows, columns)                                                                                        \
  {"simt/" #rows "x" #columns, &methods[0], place, rows, columns},                                                     \
      {"mma/" #rows "x" #columns, &methods[1], place, rows, columns},
    KERNEL_CONV_TILES(X)
#undef X
};
enum { VARIANTS = sizeof variants / sizeof *variants };

static const variant *variant_of(const lamina_plan *plan) {
  const variant *v = variants;
  while (v < variants + VARIANTS - 1 && strcmp(plan->variant, v->name) != 0) v++;
  return v;
}

/* Refuses what has no product of its own here. */
static bool takes(const lamina_problem *problem, const cuda_conv_row *row, lamina_candidate_fn *each, void *context) {
  if (!cuda_conv_takes(problem, row, each, context)) return false;
  if (cuda_count(&problem->arg[row->x]) <= INT32_MAX && cuda_count(&problem->arg[row->y]) <= INT32_MAX) return true;
  each(context, NULL, 0, "it takes tensors of less than 2^31 elements");
  return false;
}

/* Tensor cores round f32 to tf32, which the math policy must allow; the CUDA cores' product is for f32 only. */
static bool offers(const lamina_problem *problem, const kernel_conv *c, const method *m) {
  if (!m->tensor_cores) return c->type == KERNEL_F32;
  return c->type != KERNEL_F32 || problem->math != LAMINA_MATH_STRICT;
}

static int64_t blocks_of(int64_t rows, int64_t columns, int64_t products, const variant *v) {
  return (rows + v->rows - 1) / v->rows * ((columns + v->columns - 1) / v->columns) * products;
}

/* Seconds of `blocks` blocks with a tile and `depth` each, one after the other on every multiprocessor. Small tiles load
 * more for a product. */
static double product_seconds(lamina_device *device, const kernel_conv *c, const variant *v, int64_t blocks,
                              double depth, double bytes) {
  const cuda_device *cuda = cuda_device_of(device);
  const double share = (c->type == KERNEL_F32 ? v->method->f32 : v->method->narrow) * (v->rows < 128 ? 0.8 : 1);
  const double rounds = (double)((blocks + cuda->multiprocessors - 1) / cuda->multiprocessors);
  const double each = 2.0 * v->rows * v->columns * (depth + 64) / (cuda->flops / cuda->multiprocessors * share);
  const double alone = rounds > 1 ? 1 : 1.4; /* nothing else runs while a lone block waits */
  return cuda_seconds(device, 0, bytes) + alone * rounds * each;
}

/* Calls `each` for a variant of so many blocks, unless they are too many. */
static void offer(const variant *v, int64_t blocks, double seconds, lamina_candidate_fn *each, void *context) {
  if (blocks <= INT32_MAX)
    each(context, v->name, seconds, "");
  else
    each(context, NULL, 0, "it takes products of less than 2^31 tiles");
}

/* Sums of tensor cores are truncated. */
static void numerics(lamina_plan *plan, const kernel_conv *c) {
  if (variant_of(plan)->method->tensor_cores)
    plan->numerics = (lamina_numerics){.u_acc = 0x1p-23, .u_in = c->type == KERNEL_F32 ? 0x1p-11 : 0, .linear = true};
}

/* ---- From one side to the other ---------------------------------------------------------------------------------- */

static void way_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                           bool forward, lamina_candidate_fn *each, void *context) {
  const cuda_conv_row *row = engine->user;
  if (!takes(problem, row, each, context)) return;
  const kernel_conv c = cuda_conv_of(problem, row);
  int64_t phases = 1, columns = c.N;
  for (int a = 0; a < 3; a++) {
    const int64_t steps = forward ? 1 : c.stride[a], out = forward ? c.y[a] : c.x[a];
    phases *= steps < out ? steps : out;
    columns *= (out + steps - 1) / steps;
  }
  const int64_t rows = (forward ? c.K : c.C) / c.groups, in = (forward ? c.C : c.K) / c.groups;
  const double depth = (double)(in * kernel_conv_area(c.w)) / (double)phases, packing = forward ? 0 : 4e-6;
  for (const variant *v = variants; v < variants + VARIANTS; v++) {
    const int64_t blocks = blocks_of(rows, columns, c.groups * phases, v);
    if (offers(problem, &c, v->method))
      offer(v, blocks, packing + product_seconds(device, &c, v, blocks, depth, cuda_bytes(problem)), each, context);
  }
}

static void forward_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                               lamina_candidate_fn *each, void *context) {
  way_candidates(device, problem, engine, true, each, context);
}

static void data_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                            lamina_candidate_fn *each, void *context) {
  way_candidates(device, problem, engine, false, each, context);
}

/* From x to y. */
static lamina_status prepare_forward(lamina_plan *plan) {
  const kernel_conv c = cuda_conv_of(&plan->problem, plan->engine->user);
  numerics(plan, &c);
  return LAMINA_OK;
}

static lamina_status run_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  const cuda_conv_row *row = plan->engine->user;
  const kernel_conv c = cuda_conv_of(&plan->problem, row);
  const kernel_conv_after after = cuda_conv_after(row, args);
  const variant *v = variant_of(plan);
  (void)workspace;
  return cuda_launched(plan, v->method->way(&c, true, v->tile, args->p[row->x], args->p[row->w], &after,
                                            args->p[row->y], cuda_stream_of(stream)));
}

/* From y to x. */
static lamina_status prepare_data(lamina_plan *plan) {
  const kernel_conv c = cuda_conv_of(&plan->problem, plan->engine->user);
  plan->workspace = (size_t)kernel_conv_packed_filter(&c) * cuda_size_of(plan->problem.arg[0].dtype);
  numerics(plan, &c);
  return LAMINA_OK;
}

static lamina_status run_data(const lamina_plan *plan, const lamina_args *args, void *workspace,
                              lamina_stream *stream) {
  const cuda_conv_row *row = plan->engine->user;
  const kernel_conv c = cuda_conv_of(&plan->problem, row);
  const kernel_conv_after after = cuda_conv_after(row, args);
  const variant *v = variant_of(plan);
  int error = kernel_conv_pack_filter(&c, args->p[row->w], workspace, cuda_stream_of(stream));
  if (!error)
    error =
        v->method->way(&c, false, v->tile, args->p[row->y], workspace, &after, args->p[row->x], cuda_stream_of(stream));
  return cuda_launched(plan, error);
}

/* ---- The filter's gradient --------------------------------------------------------------------------------------- */

static int64_t width_of(const kernel_conv *c) { return c->C / c->groups * kernel_conv_area(c->w); }

/* Blocks of a part of the sum. */
static int64_t weights_blocks(const kernel_conv *c, const variant *v) {
  return blocks_of(c->K / c->groups, width_of(c), c->groups, v);
}

/* Seconds of the product in so many parts, less those of its launch and its tensors. */
static double parts_seconds(lamina_device *device, const kernel_conv *c, const variant *v, int parts) {
  const double depth = (double)(c->N * kernel_conv_area(c->y)) / parts;
  const double added = parts > 1 ? cuda_seconds(device, 0, 8.0 * parts * (double)cuda_conv_weights_count(c)) : 0;
  return added + product_seconds(device, c, v, weights_blocks(c, v) * parts, depth, 0);
}

/* Parts of the sum: as many as fill the multiprocessors best, of 512 positions at least. */
static int parts_of(lamina_device *device, const kernel_conv *c, const variant *v) {
  const int64_t most = c->N * kernel_conv_area(c->y) / 512;
  int best = 1;
  double least = parts_seconds(device, c, v, 1);
  for (int parts = 2; parts <= 64 && parts <= most; parts++) {
    const double seconds = parts_seconds(device, c, v, parts);
    if (seconds < least) best = parts, least = seconds;
  }
  return best;
}

static void weights_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                               lamina_candidate_fn *each, void *context) {
  const cuda_conv_row *row = engine->user;
  if (!takes(problem, row, each, context)) return;
  const kernel_conv c = cuda_conv_of(problem, row);
  for (const variant *v = variants; v < variants + VARIANTS; v++) {
    const int64_t blocks = weights_blocks(&c, v);
    const int parts = parts_of(device, &c, v);
    if (offers(problem, &c, v->method))
      offer(v, blocks, cuda_seconds(device, 0, cuda_bytes(problem)) + parts_seconds(device, &c, v, parts), each,
            context);
  }
}

static lamina_status prepare_weights(lamina_plan *plan) {
  const kernel_conv c = cuda_conv_of(&plan->problem, plan->engine->user);
  const int parts = parts_of(plan->device, &c, variant_of(plan));
  if (parts > 1) plan->workspace = (size_t)(parts * cuda_conv_weights_count(&c)) * sizeof(float);
  numerics(plan, &c);
  return LAMINA_OK;
}

static lamina_status run_weights(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  const cuda_conv_row *row = plan->engine->user;
  const kernel_conv c = cuda_conv_of(&plan->problem, row);
  const variant *v = variant_of(plan);
  return cuda_launched(plan, v->method->weights(&c, v->tile, args->p[row->x], args->p[row->y], args->p[row->w],
                                                parts_of(plan->device, &c, v), workspace, cuda_stream_of(stream)));
}

#define ENGINE(op, row) CUDA_ENGINE("kernel/implicit_gemm", op, LAMINA_STRIDES_DENSE), .user = (void *)&row
#define FORWARD         .candidates = forward_candidates, .prepare = prepare_forward, .run = run_forward
#define DATA            .candidates = data_candidates, .prepare = prepare_data, .run = run_data
#define WEIGHTS         .candidates = weights_candidates, .prepare = prepare_weights, .run = run_weights
const lamina_engine lamina_cuda_conv_implicit_forward = {ENGINE("conv/forward", cuda_conv_forward), FORWARD};
const lamina_engine lamina_cuda_conv_implicit_data = {ENGINE("conv/backward_data", cuda_conv_data), DATA};
const lamina_engine lamina_cuda_conv_relu_implicit = {ENGINE("conv_relu/forward", cuda_conv_relu), FORWARD};
const lamina_engine lamina_cuda_relu_conv_implicit = {ENGINE("relu_conv/backward_data", cuda_relu_conv), DATA};
const lamina_engine lamina_cuda_conv_implicit_weights = {ENGINE("conv/backward_weights", cuda_conv_weights), WEIGHTS};
const lamina_engine lamina_cuda_conv_transpose_implicit_forward = {
    ENGINE("conv_transpose/forward", cuda_conv_transpose_forward), DATA};
const lamina_engine lamina_cuda_conv_transpose_implicit_data = {
    ENGINE("conv_transpose/backward_data", cuda_conv_transpose_data), FORWARD};
const lamina_engine lamina_cuda_conv_transpose_implicit_weights = {
    ENGINE("conv_transpose/backward_weights", cuda_conv_transpose_weights), WEIGHTS};
