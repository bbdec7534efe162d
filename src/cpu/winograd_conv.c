/* Convolution forward by Winograd's F(2x2, 3x3) (Lavin and Gray, "Fast algorithms for convolutional neural networks",
 * 2015), alone and with a ReLU: 16 products for each 4 places, where the direct sum has 36.
 *
 *   for some rows of tiles at a time
 *     x is transformed, by all threads     v [16 places][panels][C][tiles of a panel], the columns of direct's kernel
 *     task: some blocks of 16 channels out, some of the tiles
 *       for channels in, so many that what belongs to them stays in the cache
 *         their weights are transformed      u [blocks][16 places][channels][16]; never all of them: they'd be 16/9 as many
 *         for each place                     products, sums come back from where they lie
 *       sums are transformed back
 *
 * Weights come as [K/16][C][3][3][16] or are brought to it; data may lie in any way that has strides. A sum is one
 * thread's, in the order of channels. */
#include "cpu/conv_layout.h"
#include "cpu/direct_kernel.h"
#include "cpu/isa.h"
#include "cpu/winograd_kernel.h"

enum {
  BLOCK = LAMINA_CONV_BLOCK,
  PLACES = LAMINA_WINOGRAD_PLACES,
  BLOCKS = 4,                   /* of a task, at most */
  NEAR = 64,                    /* channels between which sums wait */
  SUMS = 208,                   /* blocks times tiles of a task, at most: those sums wait in the cache */
  TOGETHER = 2 << 20,           /* bytes of transformed images, where a row of tiles isn't more */
  FACTORS = (NEAR + 1) * BLOCK, /* from one place of transformed weights to the next: not all in the same sets */
  PANEL = 14,                   /* tiles of a panel, at most */
  PACKING = 16 * 9,             /* rows of weights in a task */
  FEWEST = 16                   /* channels in: see prepare */
};

typedef struct state {
  const lamina_direct_kernel *kernel;
  const lamina_lanes_kernel *lanes; /* of the same instructions, for its transposition */
  lamina_conv_side x, y;
  lamina_desc w;
  int64_t b_step;
  int64_t N, C, K, groups; /* channels of a group */
  int64_t H, W, out_h, out_w, above, left;
  int64_t tall, wide;         /* tiles of an image */
  int64_t rows;               /* of tiles together */
  int64_t panels, width;      /* of these, and tiles of one */
  int64_t blocks, few, parts; /* blocks of a group, of a task; parts of the panels */
  bool flip, relu, packs;
  size_t w_at, own_at, u_at, y_at, own; /* workspace: packed weights; each thread's sums, weights, rows */
  int32_t tap[NEAR];                    /* where channels lie in v */
} state;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t ceiling(int64_t n, int64_t by) { return (n + by - 1) / by; }

/* ---- Sizes -------------------------------------------------------------------------------------------------------- */

/* A task's time, in products of a tile, a block and a channel at all places: those, one more for each call of the kernel,
 * 5 to transform a channel's weights of a block, and 12 to transform a tile's sums of one. */
static double effort(const state *s, int64_t blocks, int64_t tiles) {
  const double calls = (double)ceiling(blocks, s->kernel->blocks) * (double)ceiling(tiles, s->kernel->columns);
  const double sums = (double)(blocks * tiles);
  return (double)s->C * (sums + calls + 5 * (double)blocks) + 12 * sums;
}

/* The blocks and the panels of a task, so that all threads have the same to do; the time of all rounds, with 1.5 to
 * transform a tile of a channel of x. */
static double share_out(state *s, int threads) {
  const double rounds = (double)(s->N * s->tall) / (double)s->rows;
  const int64_t tiles = s->rows * s->wide;
  double best = 1e30;
  for (int64_t few = 1; few <= least(BLOCKS, s->blocks); few++) {
    const int64_t fewest = least(s->panels, ceiling(tiles * few, SUMS)), tasks = s->groups * ceiling(s->blocks, few);
    for (int64_t parts = fewest; parts <= least(s->panels, fewest + threads); parts++) {
      const int64_t longest = least(tiles, ceiling(s->panels, parts) * s->width);
      const double time = (double)ceiling(tasks * parts, threads) * effort(s, few, longest);
      if (time < best * 0.999) best = time, s->few = few, s->parts = parts;
    }
  }
  return rounds * (best + 1.5 * (double)(s->groups * s->C * tiles) / threads);
}

static int64_t plane_of(const state *s) { return s->panels * s->groups * s->C * s->width; } /* of v */
static int64_t tiles_of(const state *s) { return ceiling(s->panels, s->parts) * s->width; }
static int64_t step_of(int64_t tiles) { return tiles | 1; } /* odd, lest places of a tile share their line's set */

static size_t room(state *s, int threads) {
  const int64_t tiles = tiles_of(s), packed = s->packs ? s->groups * s->blocks * s->C * 9 * BLOCK : 0;
  s->w_at = lamina_align_up((size_t)(PLACES * plane_of(s)) * sizeof(float), 64);
  s->own_at = s->w_at + (size_t)packed * sizeof(float);
  s->u_at = (size_t)(s->few * PLACES * step_of(tiles) * BLOCK) * sizeof(float);
  s->y_at = s->u_at + (size_t)(s->few * PLACES * FACTORS) * sizeof(float);
  s->own = s->y_at + (size_t)(4 * least(tiles, s->wide) * BLOCK) * sizeof(float);
  return s->own_at + (size_t)threads * s->own;
}

/* Of a settled problem. */
static state state_of(const lamina_problem *p, const lamina_direct_kernel *kernel) {
  const lamina_desc *x = &p->arg[LAMINA_CONV_X], *w = &p->arg[LAMINA_CONV_W], *y = &p->arg[LAMINA_CONV_Y];
  const lamina_conv *conv = lamina_attr(p);
  state s = {.kernel = kernel,
             .lanes = lamina_lanes_kernel_at(lamina_isa_index(kernel->name)),
             .w = *w,
             .x = lamina_conv_side_of(x),
             .y = lamina_conv_side_of(y)};
  s.b_step = p->arg[LAMINA_CONV_B].strides[0];
  s.groups = conv->groups, s.N = x->dims[0], s.C = x->dims[1] / s.groups, s.K = y->dims[1] / s.groups;
  s.H = x->dims[2], s.W = x->dims[3], s.out_h = y->dims[2], s.out_w = y->dims[3];
  s.above = conv->pad[0][0], s.left = conv->pad[1][0];
  s.flip = conv->flip;
  s.relu = strcmp(lamina_op_at(p->op)->name, "conv_relu/forward") == 0;
  s.packs = w->layout == 0;
  s.tall = ceiling(s.out_h, 2), s.wide = ceiling(s.out_w, 2);
  const int64_t row = PLACES * s.groups * s.C * s.wide * (int64_t)sizeof(float);
  const int64_t rounds = ceiling(s.N * s.tall, most(1, TOGETHER / row));
  s.rows = ceiling(s.N * s.tall, rounds);
  s.panels = ceiling(s.rows * s.wide, PANEL / kernel->columns * kernel->columns);
  s.width = ceiling(s.rows * s.wide, s.panels);
  s.blocks = ceiling(s.K, BLOCK);
  for (int64_t c = 0; c < NEAR; c++) s.tap[c] = (int32_t)(c * s.width);
  return s;
}

/* Variances: in one dimension y_a takes A_ia of places i of the product, which vary as |G_i|^2 and those of B_i that see
 * x where it isn't padding. Where all see x they are 5/3 of a direct sum's; where y_1 sees but its first tap's place, 5/2,
 * and this is the most. In two dimensions variances multiply, so that 5/2 is the ratio of the deviations there; rounding
 * in the transforms adds less than a sum's first terms. The bound is 4, a power of two, as the CUDA kernel's. It is of
 * windows whose taps are alike in sum, hence from 16 channels on. */
static lamina_status prepare(lamina_plan *plan) {
  lamina_conv_settle(&plan->problem);
  state *s = lamina_host_alloc(plan->device, sizeof *s);
  if (!s) return LAMINA_OUT_OF_MEMORY;
  *s = state_of(&plan->problem, lamina_direct_kernel_at(lamina_isa_index(plan->variant)));
  (void)share_out(s, plan->threads);
  plan->workspace = room(s, plan->threads);
  plan->numerics.u_acc = 4 * lamina_dtype_roundoff(LAMINA_F32);
  plan->state = s;
  return LAMINA_OK;
}

static void release(lamina_plan *plan) {
  if (plan->state) lamina_host_free(plan->device, plan->state, sizeof(state));
  plan->state = NULL;
}

/* ---- Transforming x ----------------------------------------------------------------------------------------------- */

/* Columns j … of row h of 16 channels c …, of which `channels` are there, to [columns][16]; zeros where x isn't. */
static void load_row(const state *s, const float *x, int64_t n, int64_t c, int64_t channels, int64_t h, int64_t j,
                     int64_t columns, float *to) {
  int64_t lo, hi;
  lamina_loop_inside(j, 1, columns, s->W, &lo, &hi);
  if (h < 0 || h >= s->H) lo = hi = columns;
  const lamina_conv_side *side = &s->x;
  const float *from = x + n * side->image + h * side->row + (j + lo) * side->column + lamina_conv_channel_at(side, c);
  memset(to, 0, (size_t)(lo * BLOCK) * sizeof *to);
  memset(to + hi * BLOCK, 0, (size_t)((columns - hi) * BLOCK) * sizeof *to);
  to += lo * BLOCK;
  if (side->inner == 1 && channels == BLOCK && side->column == BLOCK) {
    memcpy(to, from, (size_t)((hi - lo) * BLOCK) * sizeof *to);
    return;
  }
  for (int64_t i = lo, some; i < hi; i += some, from += some * side->column, to += some * BLOCK) {
    some = least(16, hi - i);
    if (side->column == 1) {
      s->lanes->transpose((int)channels, (int)some, from, side->inner, to, BLOCK, BLOCK);
      continue;
    }
    for (int64_t k = 0; k < some; k++) {
      const float *one = from + k * side->column;
      float *const here = to + k * BLOCK;
      if (side->inner == 1 && channels == BLOCK)
        memcpy(here, one, BLOCK * sizeof *here);
      else
        for (int64_t l = 0; l < BLOCK; l++) here[l] = l < channels ? one[l * side->inner] : 0;
    }
  }
}

/* Channels c … of some tiles, one panel at most, from number `tile` of those together on, which begin in row `row` of
 * all; v: of these. */
static void transform(const state *s, const float *x, int64_t row, int64_t tile, int64_t tiles, int64_t c,
                      int64_t channels, float *v) {
  enum { COLUMNS = 2 * PANEL + 2 };
  _Alignas(64) float places[4 * COLUMNS * BLOCK], products[PLACES * PANEL * BLOCK];
  for (int64_t i = 0, some; i < tiles; i += some) {
    const int64_t at = row + (tile + i) / s->wide, j = (tile + i) % s->wide;
    const int64_t n = at / s->tall, h = at % s->tall * 2 - s->above;
    some = least(s->wide - j, tiles - i);
    for (int64_t r = 0; r < 4; r++)
      load_row(s, x, n, c, channels, h + r, 2 * j - s->left, 2 * some + 2, places + r * COLUMNS * BLOCK);
    lamina_winograd_x(some, places, COLUMNS * BLOCK, products + i * BLOCK, PANEL * BLOCK);
  }
  for (int64_t p = 0; p < PLACES; p++)
    s->lanes->transpose((int)tiles, (int)channels, products + p * PANEL * BLOCK, BLOCK, v + p * plane_of(s), s->width,
                        (int)tiles);
}

/* ---- Products ----------------------------------------------------------------------------------------------------- */

/* What a task works on: blocks of a group, from number `block` of all on, and tiles from number `tile` of those together
 * on; the first of these is in row `row` of all. */
typedef struct task {
  const state *s;
  int64_t block, blocks, tile, tiles, row;
  const float *v, *w; /* its group's channels, its blocks */
  float *m, *u, *y;
  int64_t step; /* tiles of a place of m */
} task;

/* What is asked for while it isn't needed yet: weights of so many blocks, `each` lines of `step`. */
typedef struct errand {
  const float *at;
  int64_t blocks, each, step, done; /* done: lines of this block */
  int64_t share;                    /* lines of an errand */
} errand;

static errand errand_of(const task *t, int64_t c, int64_t channels, int64_t calls) {
  const state *s = t->s;
  const bool goes_on = c + channels < s->C;
  const int64_t next = goes_on ? t->block : t->block + t->blocks;
  errand e = {.blocks = t->blocks, .each = channels * 9, .step = s->C * 9 * BLOCK};
  if (next + t->blocks > s->groups * s->blocks) e.blocks = 0;
  e.at = t->w + (e.blocks ? next * e.step + (goes_on ? c + channels : 0) * 9 * BLOCK : 0);
  e.share = ceiling(e.each, calls / most(1, e.blocks));
  return e;
}

static void ask(errand *e, lamina_direct_tile *tile) {
  tile->lines = e->blocks ? (int)least(e->share, e->each - e->done) : 0;
  tile->ahead = (const char *)(e->at + e->done * BLOCK);
  e->done += tile->lines;
  if (e->blocks && e->done == e->each) e->done = 0, e->blocks--, e->at += e->blocks ? e->step : 0;
}

/* Adds channels c … of x to the sums; with each tile a part of the weights that come next is asked for. */
static void multiply(const task *t, int64_t c, int64_t channels) {
  const state *s = t->s;
  static const float zeros[2 * BLOCK];
  const int64_t panel = s->groups * s->C * s->width, plane = plane_of(s), m_place = t->step * BLOCK;
  const int64_t calls = ceiling(t->tiles, s->width) * ceiling(s->width, s->kernel->columns);
  errand e = errand_of(t, c, channels, PLACES * calls * ceiling(t->blocks, s->kernel->blocks));
  lamina_direct_tile tile = {.channels = 1,
                             .taps = channels,
                             .tap = s->tap,
                             .w_block = PLACES * FACTORS,
                             .y_block = PLACES * m_place,
                             .b = c == 0 ? zeros : NULL};
  const float *v = t->v + c * s->width, *u = t->u;
  float *m = t->m;
  for (int64_t p = 0; p < PLACES; p++, v += plane, u += FACTORS, m += m_place) {
    const float *from = v;
    for (int64_t i = 0, columns; i < t->tiles; i += s->width, from += panel)
      for (int64_t j = 0, end = least(s->width, t->tiles - i); j < end; j += columns) {
        columns = least(s->kernel->columns, end - j);
        for (int64_t b = 0; b < t->blocks; b += s->kernel->blocks) {
          ask(&e, &tile);
          s->kernel->tile((int)least(s->kernel->blocks, t->blocks - b), (int)columns, &tile, from + j,
                          u + b * PLACES * FACTORS, m + b * PLACES * m_place + (i + j) * BLOCK);
        }
      }
  }
}

/* Leaves the sums of block b. */
static void leave(const task *t, int64_t b, const float *bias, float *y) {
  const state *s = t->s;
  const int64_t k = (t->block + b) * BLOCK, channels = least(BLOCK, s->groups * s->K - k);
  float *const rows = t->y;
  float with[BLOCK];
  for (int64_t c = 0; c < BLOCK; c++) with[c] = bias && c < channels ? bias[(k + c) * s->b_step] : 0;
  for (int64_t i = 0, some; i < t->tiles; i += some) {
    const int64_t tile = t->tile + i, row = t->row + tile / s->wide, j = tile % s->wide;
    const int64_t n = row / s->tall, h = row % s->tall * 2;
    some = least(s->wide - j, t->tiles - i);
    lamina_winograd_y(some, t->m + (b * PLACES * t->step + i) * BLOCK, t->step * BLOCK, with, s->relu, rows,
                      2 * some * BLOCK);
    for (int64_t r = 0; r < least(2, s->out_h - h); r++)
      lamina_conv_leave(&s->y, s->lanes, rows + r * 2 * some * BLOCK, n, k, channels, h + r, 2 * j,
                        least(2 * some, s->out_w - 2 * j), y);
  }
}

/* Task i of `tiles` that are together from row `row` on. */
static void run_task(const state *s, const lamina_args *args, char *workspace, int64_t row, int64_t tiles, int64_t i) {
  const int64_t part = i % s->parts, some = ceiling(s->blocks, s->few), group = i / s->parts / some;
  const int64_t first = i / s->parts % some * s->few, panel = s->panels * part / s->parts;
  const int64_t from = least(tiles, panel * s->width), end = least(tiles, s->panels * (part + 1) / s->parts * s->width);
  task t = {.s = s,
            .row = row,
            .block = group * s->blocks + first,
            .blocks = least(s->few, s->blocks - first),
            .tile = from,
            .tiles = end - from,
            .v = (const float *)(void *)workspace + (panel * s->groups + group) * s->C * s->width};
  if (t.tiles == 0) return; /* the last rows are fewer */
  char *const own = workspace + s->own_at + (size_t)lamina_loop_thread() * s->own;
  t.w = s->packs ? (const float *)(void *)(workspace + s->w_at) : args->p[LAMINA_CONV_W];
  t.m = (float *)(void *)own, t.u = (float *)(void *)(own + s->u_at), t.y = (float *)(void *)(own + s->y_at);
  t.step = step_of(t.tiles);
  for (int64_t c = 0; c < s->C; c += NEAR) {
    const int64_t channels = least(NEAR, s->C - c);
    for (int64_t b = 0; b < t.blocks; b++)
      lamina_winograd_w(channels, t.w + ((t.block + b) * s->C + c) * 9 * BLOCK, s->flip, t.u + b * PLACES * FACTORS,
                        FACTORS);
    multiply(&t, c, channels);
  }
  for (int64_t b = 0; b < t.blocks; b++) leave(&t, b, args->p[LAMINA_CONV_B], args->p[LAMINA_CONV_Y]);
}

static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  const state *s = plan->state;
  const int64_t all = s->groups * s->C, unit = least(16, s->x.size), units = ceiling(all, unit);
  const int64_t depth = s->C * 9, pieces = s->packs ? ceiling(depth, PACKING) : 0, rows = s->N * s->tall;
  const int64_t tasks = s->groups * ceiling(s->blocks, s->few) * s->parts;
  float *const packed = (float *)(void *)((char *)workspace + s->w_at), *const v = workspace;
  (void)stream;
#pragma omp parallel
  {
#pragma omp for schedule(static) nowait
    for (int64_t i = 0; i < s->groups * s->blocks * pieces; i++)
      lamina_conv_pack(&s->w, s->lanes, args->p[LAMINA_CONV_W], i / pieces, i % pieces * PACKING,
                       least(PACKING, depth - i % pieces * PACKING), packed);
    for (int64_t row = 0; row < rows; row += s->rows) {
      const int64_t tiles = least(s->rows, rows - row) * s->wide, panels = ceiling(tiles, s->width);
#pragma omp for schedule(static)
      for (int64_t i = 0; i < units * panels; i++) {
        const int64_t c = i / panels * unit, panel = i % panels, tile = panel * s->width;
        transform(s, args->p[LAMINA_CONV_X], row, tile, least(s->width, tiles - tile), c, least(unit, all - c),
                  v + (panel * all + c) * s->width);
      }
#pragma omp for schedule(static)
      for (int64_t i = 0; i < tasks; i++) run_task(s, args, workspace, row, tiles, i);
    }
  }
  return LAMINA_OK;
}

/* ---- The engine --------------------------------------------------------------------------------------------------- */

static const char *refusal(const lamina_problem *p) {
  const lamina_conv *conv = lamina_attr(p);
  const lamina_desc *x = &p->arg[LAMINA_CONV_X], *w = &p->arg[LAMINA_CONV_W], *y = &p->arg[LAMINA_CONV_Y];
  for (int i = LAMINA_CONV_X; i <= LAMINA_CONV_Y; i++)
    if (p->arg[i].dtype != LAMINA_NONE && p->arg[i].dtype != LAMINA_F32) return "it takes f32";
  if (x->rank != 4) return "it takes two spatial axes";
  for (int a = 0; a < 2; a++)
    if (w->dims[2 + a] != 3 || conv->stride[a] != 1 || conv->dilation[a] != 1)
      return "it takes filters of 3 x 3, stride 1 and dilation 1";
  if (w->dims[1] < FEWEST) return "it takes 16 channels in and more of a group: fewer round worse than it states";
  if (conv->groups > 1 && y->dims[1] / conv->groups % BLOCK != 0)
    return "channels out of a group aren't a multiple of 16, the lanes";
  return lamina_conv_layouts_refusal(p);
}

static double seconds(lamina_device *device, const lamina_problem *problem, state *s, double share) {
  const int threads = lamina_device_threads(device);
  const double products = share_out(s, threads) * (double)threads * PLACES * BLOCK;
  const double sums = lamina_cpu_computing(device, 2 * products, share);
  double flops, bytes;
  lamina_problem_work(problem, &flops, &bytes);
  const double packed = s->packs ? (double)(s->groups * s->blocks * s->C * 9 * BLOCK) * 4 : 0;
  const double w = (double)lamina_desc_bytes(&s->w), weights = lamina_cpu_moving(device, w); /* come meanwhile */
  return (sums > weights ? sums : weights) + lamina_cpu_moving(device, bytes - w) +
         lamina_loop_moving(device, 2 * packed) + 6e-6;
}

static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  lamina_problem settled = *problem;
  lamina_conv_settle(&settled);
  const char *reason = refusal(&settled);
  const lamina_direct_kernel *kernel;
  (void)engine;
  if (reason) each(context, NULL, 0, reason);
  for (int i = 0; !reason && (kernel = lamina_direct_kernel_at(i)); i++) {
    state s = state_of(&settled, kernel);
    each(context, kernel->name, seconds(device, &settled, &s, kernel->share / (1 << i)), "");
  }
}

#define ENGINE(op_)                                                                                                    \
  .size = sizeof(lamina_engine), .abi = LAMINA_ENGINE_ABI, .device = "cpu", .name = "winograd", .op = (op_),           \
  .strides = LAMINA_STRIDES_BLOCKED, .candidates = candidates, .prepare = prepare, .run = run, .release = release
const lamina_engine lamina_cpu_winograd_conv_forward = {ENGINE("conv/forward")};
const lamina_engine lamina_cpu_winograd_conv_relu_forward = {ENGINE("conv_relu/forward")};
