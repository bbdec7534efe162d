/* The engines of convolution by Winograd's F(2x2, 3x3), in strips of images whose products stay in the cache. */
#include "kernels/conv_winograd.h"

#include "cuda/conv.h"
#include "kernels/gemm.h"

/* Bytes of transformed inputs and products that are under way. */
static const int64_t strip_bytes = 64 << 20;

/* The share of the f32 rate that the products reach. */
static const double share = 0.5;

/* A result is a sum of 9 of the 16 products for each channel; with terms of variance 1 these vary as 25 products do
 * where the direct sum has 9. And pairs meet that don't in the direct sum, to cancel out at the end. */
static const double roundoff = 0x1p-22;

typedef struct state {
  kernel_conv c;
  bool forward;
  int64_t images; /* of a strip */
} state;

static bool fits(const kernel_conv *c) {
  if (c->type != KERNEL_F32 || c->groups > 1 || c->x[0] > 1 || c->w[0] > 1 || c->y[0] > 1) return false;
  for (int a = 1; a < 3; a++)
    if (c->w[a] != 3 || c->dilation[a] != 1 || c->stride[a] != 1) return false;
  return true;
}

/* The sizes for N of the problem's images. */
static kernel_winograd winograd_of(const kernel_conv *c, bool forward, int64_t N) {
  kernel_winograd s = {.N = N,
                       .C = forward ? c->C : c->K,
                       .M = forward ? c->K : c->C,
                       .w_m = forward ? (int32_t)c->C * 9 : 9,
                       .w_c = forward ? 9 : (int32_t)c->C * 9,
                       .turned = (c->flip != 0) == forward};
  for (int a = 0; a < 2; a++) {
    s.in[a] = forward ? c->x[a + 1] : c->y[a + 1];
    s.out[a] = forward ? c->y[a + 1] : c->x[a + 1];
    s.before[a] = forward ? c->pad[a + 1] : 2 - c->pad[a + 1];
    s.tiles[a] = s.out[a] / 2 + s.out[a] % 2;
  }
  s.columns = N * s.tiles[0] * s.tiles[1];
  s.row = (s.columns + 3) / 4 * 4;
  return s;
}

/* Images of a strip: as many as the bytes allow, one at least. */
static int64_t images_of(const kernel_conv *c, bool forward) {
  const kernel_winograd one = winograd_of(c, forward, 1);
  const int64_t most = strip_bytes / ((one.C + one.M) * one.row * KERNEL_WINOGRAD_PLACES * (int64_t)sizeof(float));
  return most < 1 ? 1 : most < c->N ? most : c->N;
}

static int64_t floats_of(const kernel_winograd *s) {
  return KERNEL_WINOGRAD_PLACES * (s->M * s->C + (s->C + s->M) * s->row);
}

static int tile_of(const kernel_winograd *s) { return s->M <= 32 ? 2 : s->M <= 64 || s->columns < 4096 ? 1 : 0; }

static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine, bool forward,
                       lamina_candidate_fn *each, void *context) {
  const cuda_conv_row *row = engine->user;
  if (!cuda_conv_takes(problem, row, each, context)) return;
  const kernel_conv c = cuda_conv_of(problem, row);
  if (!fits(&c)) {
    each(context, NULL, 0, "it takes f32, filters of 3 x 3 in one group, stride 1 and dilation 1");
    return;
  }
  const kernel_winograd s = winograd_of(&c, forward, c.N);
  if (floats_of(&s) / c.N > INT32_MAX || c.N * s.tiles[0] * s.tiles[1] > INT32_MAX) {
    each(context, NULL, 0, "it takes images of less than 2^31 transformed elements");
    return;
  }
  const double strips = (double)((c.N - 1) / images_of(&c, forward) + 1), rows = s.M < 32 ? 32 : (double)s.M;
  const double flops = 2.0 * KERNEL_WINOGRAD_PLACES * rows * (double)(s.C + 16) * (double)s.columns;
  const double bytes = 8.0 * KERNEL_WINOGRAD_PLACES * (double)((s.C + s.M) * s.columns);
  each(context, "f2x2_3x3",
       cuda_seconds(device, flops / share, 0) + cuda_seconds(device, 0, bytes + cuda_bytes(problem)) + strips * 9e-6,
       "");
}

static void forward_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                               lamina_candidate_fn *each, void *context) {
  candidates(device, problem, engine, true, each, context);
}

static void data_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                            lamina_candidate_fn *each, void *context) {
  candidates(device, problem, engine, false, each, context);
}

static lamina_status prepare(lamina_plan *plan, bool forward) {
  state *s = cuda_state(plan, sizeof *s);
  if (!s) return LAMINA_OUT_OF_MEMORY;
  s->c = cuda_conv_of(&plan->problem, plan->engine->user);
  s->forward = forward;
  s->images = images_of(&s->c, forward);
  const kernel_winograd strip = winograd_of(&s->c, forward, s->images);
  plan->workspace = (size_t)floats_of(&strip) * sizeof(float);
  plan->numerics.u_acc = roundoff;
  return LAMINA_OK;
}
static lamina_status prepare_forward(lamina_plan *plan) { return prepare(plan, true); }
static lamina_status prepare_data(lamina_plan *plan) { return prepare(plan, false); }

/* One strip: its images lie at `in` and `out`; u is the filter, room is for the rest. */
static int run_strip(const kernel_winograd *s, const float *in, const float *u, const kernel_conv_after *after,
                     float *out, float *room, cudaStream_t stream) {
  float *v = room, *products = v + KERNEL_WINOGRAD_PLACES * s->C * s->row;
  const kernel_gemm g = {.type = KERNEL_F32,
                         .tile = tile_of(s),
                         .M = (int)s->M,
                         .N = (int)s->columns,
                         .K = (int)s->C,
                         .kept = 1,
                         .size = {KERNEL_WINOGRAD_PLACES},
                         .a = {.row = s->C, .column = 1, .batch = {s->M * s->C}},
                         .b = {.row = s->row, .column = 1, .batch = {s->C * s->row}},
                         .c = {.row = s->row, .column = 1, .batch = {s->M * s->row}},
                         .splits = 1};
  const kernel_gemm_pointers p = {.a = u, .b = v, .c = products};
  int error = kernel_winograd_input(s, in, v, stream);
  if (!error) error = kernel_gemm_run(&g, &p, stream);
  return error ? error : kernel_winograd_output(s, products, after, out, stream);
}

static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  const state *s = plan->state;
  const cuda_conv_row *row = plan->engine->user;
  const float *in = args->p[s->forward ? row->x : row->y];
  const kernel_conv_after all = cuda_conv_after(row, args);
  float *out = args->p[s->forward ? row->y : row->x], *u = workspace;
  kernel_winograd strip = winograd_of(&s->c, s->forward, s->images);
  float *room = u + KERNEL_WINOGRAD_PLACES * strip.M * strip.C;
  int error = kernel_winograd_filter(&strip, args->p[row->w], u, cuda_stream_of(stream));
  for (int64_t n = 0; !error && n < s->c.N; n += s->images) {
    const int64_t left = s->c.N - n, to = n * strip.M * strip.out[0] * strip.out[1];
    kernel_conv_after after = all;
    if (all.gate) after.gate = (const float *)all.gate + to;
    strip = winograd_of(&s->c, s->forward, left < s->images ? left : s->images);
    error = run_strip(&strip, in + n * strip.C * strip.in[0] * strip.in[1], u, &after, out + to, room,
                      cuda_stream_of(stream));
  }
  return cuda_launched(plan, error);
}

#define ENGINE(op, row, candidates_, prepare_)                                                                         \
  CUDA_ENGINE("kernel/winograd", op, LAMINA_STRIDES_DENSE), .user = (void *)&row, .candidates = candidates_,           \
                                                            .prepare = prepare_, .run = run, .release = cuda_release
const lamina_engine lamina_cuda_conv_winograd_forward = {
    ENGINE("conv/forward", cuda_conv_forward, forward_candidates, prepare_forward)};
const lamina_engine lamina_cuda_conv_winograd_data = {
    ENGINE("conv/backward_data", cuda_conv_data, data_candidates, prepare_data)};
const lamina_engine lamina_cuda_conv_relu_winograd = {
    ENGINE("conv_relu/forward", cuda_conv_relu, forward_candidates, prepare_forward)};
const lamina_engine lamina_cuda_relu_conv_winograd = {
    ENGINE("relu_conv/backward_data", cuda_relu_conv, data_candidates, prepare_data)};
