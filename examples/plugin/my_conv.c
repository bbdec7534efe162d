/* A plug-in: an engine for conv/forward in one file. It links nothing of Lamina:
 *
 *   cc -std=c11 -O3 -fopenmp-simd -shared -fPIC $(pkg-config --cflags lamina) my_conv.c -o my_conv.so
 *
 *   lamina verify conv/forward --plugin ./my_conv.so --engine mine dtype=f32 --cases 60
 *   lamina bench conv/forward x=8x16x32x32 w=16x16x3x3 pad=1 --plugin ./my_conv.so
 *   LAMINA_ENGINE=conv/forward:mine lamina train digits --plugin ./my_conv.so
 *
 * It adds up in the order that the formula names: one filter tap after another, along a row of y. */
#include <lamina/lamina.h>

#ifndef MY_NAME
#define MY_NAME       "mine"
#define MY_TAPS(taps) (taps) /* how many of a filter row's taps count; faulty_conv.c has another idea */
#endif

static const lamina_host *host; /* the library's table of functions: all that this file uses of it */

static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  const lamina_desc *x = &problem->arg[0], *y = &problem->arg[3];
  (void)device, (void)engine;
  for (int i = 0; i < 4; i++)
    if (problem->arg[i].dtype && problem->arg[i].dtype != LAMINA_F32) {
      each(context, NULL, 0, "it takes f32 only");
      return;
    }
  if (x->rank != 4 || ((const lamina_conv *)(const void *)problem->attr)->flip) {
    each(context, NULL, 0, "it takes pictures only, x of 4 axes, and doesn't flip the filter");
    return;
  }
  const lamina_desc *w = &problem->arg[1];
  double flops = 2.0 * (double)(w->dims[1] * w->dims[2] * w->dims[3]);
  for (int d = 0; d < 4; d++) flops *= (double)y->dims[d];
  each(context, "", flops / 2e9, "");
}

/* The columns o … end-1 of a row of y for which o*stride + shift lies in 0 … width-1. */
static void inside(int64_t width, int64_t stride, int64_t shift, int64_t *o, int64_t *end) {
  const int64_t last = width - 1 - shift;
  const int64_t most = last < 0 ? 0 : last / stride + 1;
  *o = shift < 0 ? (-shift + stride - 1) / stride : 0;
  if (most < *end) *end = most;
}

/* x: [N, C, H, W], w: [K, C/groups, R, S], b: [K] or NULL, y: [N, K, P, Q], each dense: the row below asks for that. */
static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  const lamina_conv *conv = (const void *)plan->problem.attr;
  const int64_t *X = plan->problem.arg[0].dims, *F = plan->problem.arg[1].dims, *Y = plan->problem.arg[3].dims;
  const int64_t C = X[1], H = X[2], W = X[3], R = F[2], S = F[3], K = Y[1], P = Y[2], Q = Y[3], D = F[1];
  const float *x = args->p[0], *w = args->p[1], *b = args->p[2];
  float *y = args->p[3];
  (void)workspace, (void)stream;
  for (int64_t nk = 0; nk < Y[0] * K; nk++)
    for (int64_t p = 0; p < P; p++) {
      const int64_t n = nk / K, k = nk % K, group = k / (K / conv->groups);
      float *row = y + (nk * P + p) * Q;
      for (int64_t q = 0; q < Q; q++) row[q] = b ? b[k] : 0;
      for (int64_t c = 0; c < D; c++)
        for (int64_t r = 0; r < R; r++) {
          const int64_t h = p * conv->stride[0] - conv->pad[0][0] + r * conv->dilation[0];
          if (h < 0 || h >= H) continue;
          const float *in = x + ((n * C + group * D + c) * H + h) * W;
          for (int64_t s = 0; s < MY_TAPS(S); s++) {
            const int64_t stride = conv->stride[1], shift = s * conv->dilation[1] - conv->pad[1][0];
            const float tap = w[((k * D + c) * R + r) * S + s];
            int64_t q = 0, end = Q;
            inside(W, stride, shift, &q, &end);
            for (; q < end; q++) row[q] += tap * in[q * stride + shift];
          }
        }
    }
  return LAMINA_OK;
}

static const lamina_engine engine = {
    .size = sizeof(lamina_engine),
    .abi = LAMINA_ENGINE_ABI,
    .device = "cpu",
    .name = MY_NAME,
    .op = "conv/forward",
    .strides = LAMINA_STRIDES_DENSE, /* the library packs all others */
    .candidates = candidates,
    .run = run,
};

LAMINA_API lamina_plugin_open_fn lamina_plugin_open;
lamina_status lamina_plugin_open(const lamina_host *core, lamina_device *device) {
  if (core->abi != LAMINA_MODULE_ABI || core->size < sizeof *core)
    return core->error(LAMINA_UNSUPPORTED, "it was built for ABI %u of Lamina, not %u", LAMINA_MODULE_ABI, core->abi);
  host = core;
  return host->engine_register(device, &engine);
}
