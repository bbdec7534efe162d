/* The gradient of a convolution's filter, of tensors with the batch in the lanes:
 *
 *   dw[k,c,r] = sum over blocks, places and lanes of x[…, c, place*stride + r*dilation] * dy[…, k, place]
 *
 *   chunk  some blocks of 16 examples: partial sums [K][taps][16] in its part of the workspace, one chunk a thread
 *   tile   `filters` x LAMINA_LANES_TAPS of them in registers, along all places of a block
 *
 * At the end lanes and chunks are added. `taps` are those of all channels of a group, rounded up to whole tiles; what is
 * beyond repeats the first tap and is thrown away. */
#include "cpu/isa.h"
#include "cpu/lanes.h"

typedef struct state {
  size_t size;
  const lamina_lanes_kernel *kernel;
  lamina_loop_conv c;
  int64_t C, K, blocks, chunks, taps, filters; /* C, K of a group; filters: of a tile */
  lamina_lanes_side x, dy;
  int x_arg, dy_arg, dw_arg;
  int64_t x_room, dy_room; /* floats of a block's copy */
  int64_t sums;            /* floats of a chunk's partial sums */
  size_t own;              /* bytes of a thread's copies */
  int64_t *tap;            /* where each is in a block of x */
} state;

static int64_t parts(int64_t n, int64_t of) { return (n + of - 1) / of; }

static void describe(state *s, const lamina_problem *p, const lamina_loop_conv_row *row, int threads) {
  const lamina_loop_conv *c = &s->c;
  s->C = c->C / c->groups, s->K = c->K / c->groups;
  s->blocks = parts(c->N, LAMINA_LANES);
  s->chunks = s->blocks < threads ? s->blocks : threads;
  s->taps = parts(s->C * c->w_area, LAMINA_LANES_TAPS) * LAMINA_LANES_TAPS;
  s->filters = parts(s->K, parts(s->K, s->kernel->filters));
  s->sums = c->K * s->taps * LAMINA_LANES;
  s->x_arg = row->x, s->dy_arg = row->y, s->dw_arg = row->w;
  s->x = lamina_lanes_side_of(&p->arg[row->x], c->N, c->C, c->x);
  s->dy = lamina_lanes_side_of(&p->arg[row->y], c->N, c->K, c->y);
  s->x.padded = 1;
  for (int a = 0; a < 3; a++) {
    const int64_t end = (c->y[a] - 1) * c->stride[a] + (c->w[a] - 1) * c->dilation[a] - c->pad[a];
    s->x.lo[a] = c->pad[a];
    s->x.hi[a] = end >= c->x[a] ? end - c->x[a] + 1 : 0;
    s->x.padded *= s->x.lo[a] + c->x[a] + s->x.hi[a];
  }
  s->x_room = lamina_lanes_in_place(&s->x) ? 0 : lamina_lanes_block(&s->x, s->C);
  s->dy_room = s->dy.lanes ? 0 : lamina_lanes_block(&s->dy, s->K);
  s->own = lamina_align_up((size_t)(s->x_room + s->dy_room) * sizeof(float), 64);
}

/* From one place along each axis to the next, in a block of the side. */
static void steps(const lamina_lanes_side *side, int64_t step[3]) {
  step[2] = LAMINA_LANES;
  for (int a = 1; a >= 0; a--) step[a] = step[a + 1] * (side->lo[a + 1] + side->size[a + 1] + side->hi[a + 1]);
}

static void list_taps(state *s) {
  const lamina_loop_conv *c = &s->c;
  const int64_t area = c->w_area, plane = s->x.padded * LAMINA_LANES;
  int64_t step[3];
  steps(&s->x, step);
  for (int64_t t = 0; t < s->taps; t++) {
    const int64_t place = t < s->C * area ? t % area : 0, r = c->flip ? area - 1 - place : place;
    s->tap[t] = (t < s->C * area ? t / area * plane : 0) + r / (c->w[1] * c->w[2]) * c->dilation[0] * step[0] +
                r / c->w[2] % c->w[1] * c->dilation[1] * step[1] + r % c->w[2] * c->dilation[2] * step[2];
  }
}

static const int data[] = {0, 1, -1}; /* x and dy may have the batch in the lanes */

static lamina_status prepare(lamina_plan *plan) {
  lamina_lanes_settle(&plan->problem, data);
  state shape = {.c = lamina_loop_conv_of(&plan->problem, plan->engine->user),
                 .kernel = lamina_lanes_kernel_at(lamina_isa_index(plan->variant))};
  describe(&shape, &plan->problem, plan->engine->user, plan->threads);
  shape.size = sizeof shape + (size_t)shape.taps * sizeof *shape.tap;
  state *s = lamina_host_alloc(plan->device, shape.size);
  if (!s) return LAMINA_OUT_OF_MEMORY;
  plan->state = s;
  *s = shape;
  s->tap = (int64_t *)(s + 1);
  list_taps(s);
  plan->workspace = (size_t)s->chunks * ((size_t)s->sums * sizeof(float) + s->own);
  return LAMINA_OK;
}

static void release(lamina_plan *plan) {
  state *s = plan->state;
  if (s) lamina_host_free(plan->device, s, s->size);
  plan->state = NULL;
}

/* ---- Running ---------------------------------------------------------------------------------------------------- */

/* Block n of group g: sum [K of the group][taps][16]. */
static void run_block(const state *s, const lamina_args *args, int64_t n, int64_t g, float *own, float *sum, bool add) {
  const float *x = lamina_lanes_read(&s->x, s->kernel, args->p[s->x_arg], n, g * s->C, s->C, own);
  const float *dy = lamina_lanes_read(&s->dy, s->kernel, args->p[s->dy_arg], n, g * s->K, s->K, own + s->x_room);
  lamina_lanes_places places = {.count = {s->c.y[0], s->c.y[1], s->c.y[2]}, .dy_row = s->dy.area * LAMINA_LANES};
  steps(&s->x, places.x);
  steps(&s->dy, places.dy);
  for (int a = 0; a < 3; a++) places.x[a] *= s->c.stride[a];
  for (int64_t k = 0; k < s->K; k += s->filters) {
    const int rows = (int)(s->K - k < s->filters ? s->K - k : s->filters);
    for (int64_t t = 0; t < s->taps; t += LAMINA_LANES_TAPS)
      s->kernel->filter(rows, &places, x, s->tap + t, dy + k * places.dy_row, sum + (k * s->taps + t) * LAMINA_LANES,
                        s->taps * LAMINA_LANES, add);
  }
}

/* dw of 16 taps of one filter: lanes, then chunks. */
static void add_lanes(const state *s, const float *sum, int64_t k, int64_t t, float *dw) {
  const int64_t width = s->C * s->c.w_area;
  const int n = width - t < LAMINA_LANES ? (int)(width - t) : LAMINA_LANES;
  float lane[LAMINA_LANES][LAMINA_LANES], total[LAMINA_LANES] = {0};
  for (int64_t chunk = 0; chunk < s->chunks; chunk++) {
    s->kernel->transpose(n, LAMINA_LANES, sum + chunk * s->sums + (k * s->taps + t) * LAMINA_LANES, LAMINA_LANES,
                         lane[0], LAMINA_LANES, LAMINA_LANES);
    for (int half = LAMINA_LANES / 2; half > 0; half /= 2)
      for (int i = 0; i < half; i++)
        for (int j = 0; j < LAMINA_LANES; j++) lane[i][j] += lane[i + half][j];
    for (int j = 0; j < LAMINA_LANES; j++) total[j] += lane[0][j];
  }
  memcpy(dw + k * width + t, total, (size_t)n * sizeof *dw);
}

static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  const state *s = plan->state;
  float *sums = workspace;
  (void)stream;
#pragma omp parallel for schedule(static) if (s->chunks > 1)
  for (int64_t chunk = 0; chunk < s->chunks; chunk++) {
    float *own = sums + s->chunks * s->sums + chunk * (int64_t)(s->own / sizeof(float));
    const int64_t first = s->blocks * chunk / s->chunks, end = s->blocks * (chunk + 1) / s->chunks;
    for (int64_t n = first; n < end; n++)
      for (int64_t g = 0; g < s->c.groups; g++)
        run_block(s, args, n, g, own, sums + chunk * s->sums + g * s->K * s->taps * LAMINA_LANES, n > first);
  }
  const int64_t width = s->C * s->c.w_area, pieces = parts(width, LAMINA_LANES), all = s->c.K * pieces;
#pragma omp parallel for schedule(static) if (all * s->chunks >= 256)
  for (int64_t i = 0; i < all; i++) add_lanes(s, sums, i / pieces, i % pieces * LAMINA_LANES, args->p[s->dw_arg]);
  return LAMINA_OK;
}

static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  const lamina_loop_conv_row *row = engine->user;
  const lamina_lanes_kernel *kernel;
  lamina_problem settled = *problem;
  double flops, bytes;
  lamina_lanes_settle(&settled, data);
  if (!lamina_lanes_takes(&settled, data, each, context)) return;
  lamina_problem_work(&settled, &flops, &bytes);
  for (int i = 0; (kernel = lamina_lanes_kernel_at(i)); i++) {
    state s = {.c = lamina_loop_conv_of(&settled, row), .kernel = kernel};
    describe(&s, &settled, row, lamina_device_threads(device));
    const double lanes = (double)(s.blocks * LAMINA_LANES) / (double)s.c.N, rows = (double)s.filters;
    const double taps = (double)s.taps / (double)(s.C * s.c.w_area);
    /* each tile goes through its places of a block again: out of a cache, or, as AlexNet's first layer, out of memory,
     * where a byte is enough for 1.5 operations */
    const double block = (double)(lamina_lanes_block(&s.x, s.C) + lamina_lanes_block(&s.dy, s.K)) * sizeof(float);
    const double most = lamina_lanes_rate(device, i), far = 1.5 * device->roofline.read / device->threads;
    const double rate = block <= 1 << 20 || most < far ? most : far;
    const double sums = flops * lanes * taps * (rows + 1) / rows / rate;
    const double packed = lamina_lanes_moving(device, &s.x) + lamina_lanes_moving(device, &s.dy);
    /* each block's tiles begin and end in memory */
    const double kept = lamina_lanes_cached(device, (double)(s.blocks + s.chunks) * (double)s.sums * 8);
    each(context, kernel->name, (sums + packed + kept + lamina_lanes_cached(device, bytes)) / (double)s.chunks + 2e-6,
         "");
  }
}

static const lamina_loop_conv_row weights = {.x = 0, .y = 1, .w = 2, .b = -1};
const lamina_engine lamina_cpu_lanes_conv_backward_weights = {LAMINA_LANES_ENGINE("conv/backward_weights"),
                                                              .user = (void *)&weights,
                                                              .candidates = candidates,
                                                              .prepare = prepare,
                                                              .run = run,
                                                              .release = release};
