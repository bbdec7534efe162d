/* The engine of convolutions of few channels, forward. */
#include "kernels/conv_few_channels.h"

#include "cuda/conv.h"

enum { MOST_CHANNELS = 4, MOST_SHARED = 96 << 10 }; /* bytes, so that two blocks fit a multiprocessor */

/* The share of the f32 rate that a tile full of work reaches. */
static const double share = 0.45;

/* Shared memory and blocks in 32 bits? Told in double, since filters may be of any size. */
static const char *refusal(lamina_device *device, const kernel_conv *c) {
  const double tiles = ((double)c->y[1] / KERNEL_FEW_ROWS + 1) * ((double)c->y[2] / KERNEL_FEW_COLUMNS + 1);
  const double high = 8.0 * c->stride[1] + (double)c->w[1] * c->dilation[1];
  const double wide = 33.0 * c->stride[2] + (double)c->w[2] * c->dilation[2];
  const size_t limit = cuda_device_of(device)->shared_memory, most = limit < MOST_SHARED ? limit : MOST_SHARED;
  if (c->groups > 1 || c->C > MOST_CHANNELS) return "it takes up to 4 channels, in one group";
  if (c->x[0] > 1 || c->w[0] > 1 || c->y[0] > 1) return "it takes one and two spatial axes";
  if (high * wide > 1e6 || (double)c->w[1] * c->w[2] > 1e5 || kernel_conv_few_channels_shared(c) > most)
    return "its filters and the picture under a tile don't fit shared memory";
  if ((double)c->N * (double)c->K * tiles > 2e9) return "it takes fewer tiles";
  return NULL;
}

static int64_t whole(int64_t n, int64_t size) { return (n + size - 1) / size * size; }

static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  const cuda_conv_row *row = engine->user;
  if (!cuda_conv_takes(problem, row, each, context)) return;
  const kernel_conv c = cuda_conv_of(problem, row);
  const char *reason = refusal(device, &c);
  if (reason) {
    each(context, NULL, 0, reason);
    return;
  }
  const int64_t filters = c.K > KERNEL_FEW_FILTERS ? 2 * KERNEL_FEW_FILTERS : KERNEL_FEW_FILTERS;
  const double flops = 2.0 * (double)(c.N * whole(c.y[1], KERNEL_FEW_ROWS) * whole(c.y[2], KERNEL_FEW_COLUMNS)) *
                       (double)(whole(c.K, filters) * (c.C * kernel_conv_area(c.w) + 8));
  each(context, "", cuda_seconds(device, flops / share, cuda_bytes(problem)), "");
}

static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  (void)workspace;
  return cuda_conv_run(plan, args, stream, true, kernel_conv_few_channels);
}

#define ENGINE(op, row)                                                                                                \
  CUDA_ENGINE("kernel/few_channels", op, LAMINA_STRIDES_DENSE), .user = (void *)&row, .candidates = candidates,        \
                                                                .run = run
const lamina_engine lamina_cuda_conv_few_channels = {ENGINE("conv/forward", cuda_conv_forward)};
const lamina_engine lamina_cuda_conv_relu_few_channels = {ENGINE("conv_relu/forward", cuda_conv_relu)};
