/* Direct convolution, forward, alone and with a ReLU, with channels out in the lanes: for few examples as for many.
 *
 *   for some images at a time
 *     x is copied, by all threads     [C][H][phases][pitch], a phase being what a tap sees as it goes from column to
 *                                       column: the stride's remainders; columns of zeros on both sides, rows none
 *     task: a pair of blocks of 16 channels out, an image, some of its rows
 *       for channels in, so many that their weights stay in L1
 *         for rows and tiles of columns            sums come back from where they lie, at first they are b
 *
 * Taps that a row sees above or below x are left out. Weights come as [K/16][C][R][S][16] or are brought to it; the next
 * ones are asked for meanwhile. Data may lie in any way, as long as it has strides; bf16 is widened where x is copied and
 * weights are loaded, and y is narrowed at the end. A sum is one thread's, in an order that depends on the shape only. */
#include "cpu/conv_layout.h"
#include "cpu/direct_kernel.h"
#include "cpu/isa.h"
#include "cpu/loop_conv.h"

enum {
  BLOCK = LAMINA_CONV_BLOCK,
  PAIR = 2,            /* blocks of a task, at most */
  NEAR = 20 << 10,     /* bytes of weights between which sums wait */
  SUMS = 128 << 10,    /* bytes of sums that wait, at most, where a row isn't more */
  TOGETHER = 1 << 20,  /* bytes of copied images */
  PACKING = 16 * BLOCK /* rows of weights in a task */
};

typedef struct state {
  size_t bytes;
  const lamina_direct_kernel *kernel;
  const lamina_lanes_kernel *lanes; /* of the same instructions, for its transposition */
  lamina_conv conv;
  lamina_conv_side x, y;
  lamina_desc w;
  int64_t b_step;
  int64_t N, C, K, groups; /* channels of a group */
  int64_t H, W, R, S, out_h, out_w;
  int64_t phases, pitch, row, plane; /* floats of a phase, a row, a channel that was copied */
  int64_t blocks, pairs;             /* of a group */
  int64_t near;                      /* channels between which sums wait */
  int64_t parts, together;           /* of rows; images */
  bool packs, in_place, relu, w16, b16;
  size_t w_at, own_at, own; /* workspace: packed weights, each thread's sums */
  int32_t tap[];
} state;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t ceiling(int64_t n, int64_t by) { return (n + by - 1) / by; }

/* ---- What it takes ---------------------------------------------------------------------------------------------- */

static const char *refusal(const lamina_problem *p) {
  const lamina_conv *conv = lamina_attr(p);
  const lamina_desc *x = &p->arg[LAMINA_CONV_X], *w = &p->arg[LAMINA_CONV_W], *y = &p->arg[LAMINA_CONV_Y];
  const char *layouts = lamina_conv_layouts_refusal(p);
  int64_t places = (conv->dilation[0] + conv->dilation[1] + 1) * 4;
  for (int i = LAMINA_CONV_X; i <= LAMINA_CONV_Y; i++) {
    const int32_t dtype = p->arg[i].dtype;
    if (dtype != LAMINA_NONE && dtype != LAMINA_F32 && dtype != LAMINA_BF16) return "it takes f32 and bf16";
  }
  if (x->rank > 4) return "it takes one or two spatial axes";
  if (conv->groups > 1 && y->dims[1] / conv->groups % BLOCK != 0)
    return "channels out of a group aren't a multiple of 16, the lanes";
  if (layouts) return layouts;
  for (int a = 2; a < x->rank; a++) {
    places *= x->dims[a] + y->dims[a] * conv->stride[a - 2] + w->dims[a] * conv->dilation[a - 2];
    if (places > INT32_MAX) return "an image is too large for its tables";
  }
  return NULL;
}

/* ---- Sizes ------------------------------------------------------------------------------------------------------ */

/* One row where there is one tap and columns go on from row to row. */
static void make_one_row(state *s, bool padded) {
  const bool alone = s->R == 1 && s->S == 1 && !padded && s->conv.stride[0] == 1 && s->conv.stride[1] == 1;
  if (!alone || s->H == 1 || s->x.row != s->W * s->x.column || s->y.row != s->W * s->y.column) return;
  s->W = s->out_w = s->H * s->W;
  s->H = s->out_h = 1;
}

/* Parts of rows: so few that sums stay in the cache, and as many as give all threads the same. */
static int64_t parts_of(const state *s, int64_t tasks, int threads) {
  const int64_t rows = most(1, SUMS / (int64_t)(PAIR * BLOCK * sizeof(float)) / s->out_w);
  const int64_t fewest = ceiling(s->out_h, rows);
  int64_t best = fewest;
  double least_idle = 1e30;
  for (int64_t parts = fewest; parts <= s->out_h && least_idle > 1.04; parts++) {
    const int64_t longest = ceiling(s->out_h, parts) * ceiling(tasks * parts, threads); /* rows of a thread */
    const double idle = (double)(longest * threads) / (double)(tasks * s->out_h);
    if (idle < least_idle - 1e-9) least_idle = idle, best = parts;
  }
  return best;
}

static void share_out(state *s, int threads) {
  const int64_t image = s->groups * s->C * s->plane * (int64_t)sizeof(float), weights = s->R * s->S * PAIR * BLOCK * 4;
  s->blocks = ceiling(s->K, BLOCK);
  s->pairs = ceiling(s->blocks, s->kernel->blocks);
  const int64_t chunks = ceiling(s->C, most(1, NEAR / weights));
  s->near = ceiling(s->C, chunks);
  s->together = least(s->N, most(1, TOGETHER / image));
  s->parts = parts_of(s, s->together * s->groups * s->pairs, threads);
}

static size_t room(state *s, int threads) {
  s->w_at = lamina_align_up((size_t)(s->together * s->groups * s->C * s->plane) * sizeof(float), 64);
  s->own_at = s->w_at;
  if (s->packs) s->own_at += (size_t)(s->groups * s->blocks * s->C * s->R * s->S * BLOCK) * sizeof(float);
  s->own =
      s->in_place ? 0 : (size_t)(ceiling(s->out_h, s->parts) * s->out_w * s->kernel->blocks * BLOCK) * sizeof(float);
  return s->own_at + (size_t)threads * s->own;
}

/* Of a settled problem; without its table. */
static state state_of(const lamina_problem *p, const lamina_direct_kernel *kernel, int threads) {
  const lamina_desc *x = &p->arg[LAMINA_CONV_X], *w = &p->arg[LAMINA_CONV_W], *y = &p->arg[LAMINA_CONV_Y];
  state s = {.kernel = kernel,
             .lanes = lamina_lanes_kernel_at(lamina_isa_index(kernel->name)),
             .w = *w,
             .x = lamina_conv_side_of(x),
             .y = lamina_conv_side_of(y)};
  const int axes = x->rank - 2, last = x->rank - 1;
  memcpy(&s.conv, p->attr, sizeof s.conv);
  if (axes == 1) { /* an axis in front */
    s.conv.pad[1][0] = s.conv.pad[0][0], s.conv.pad[0][0] = 0;
    s.conv.pad[1][1] = s.conv.pad[0][1], s.conv.pad[0][1] = 0;
    s.conv.stride[1] = s.conv.stride[0], s.conv.stride[0] = 1;
    s.conv.dilation[1] = s.conv.dilation[0], s.conv.dilation[0] = 1;
  }
  s.groups = s.conv.groups, s.N = x->dims[0], s.C = x->dims[1] / s.groups, s.K = y->dims[1] / s.groups;
  s.H = axes > 1 ? x->dims[2] : 1, s.R = axes > 1 ? w->dims[2] : 1, s.out_h = axes > 1 ? y->dims[2] : 1;
  s.W = x->dims[last], s.S = w->dims[last], s.out_w = y->dims[last];
  make_one_row(&s, s.conv.pad[0][0] || s.conv.pad[0][1] || s.conv.pad[1][0] || s.conv.pad[1][1]);
  const int64_t reach = (s.S - 1) * s.conv.dilation[1];
  s.phases = least(s.conv.stride[1], reach + 1);
  s.pitch = s.out_w + reach / s.conv.stride[1];
  s.row = s.phases * s.pitch, s.plane = s.H * s.row;
  s.w16 = w->dtype == LAMINA_BF16, s.b16 = p->arg[LAMINA_CONV_B].dtype == LAMINA_BF16;
  s.b_step = p->arg[LAMINA_CONV_B].strides[0];
  s.packs = w->layout == 0;
  s.in_place = !s.y.bf16 && y->layout == LAMINA_BLOCK(1, 4) && s.y.column == BLOCK;
  s.relu = strcmp(lamina_op_at(p->op)->name, "conv_relu/forward") == 0;
  share_out(&s, threads);
  return s;
}

/* Where taps see a copied channel from the first row of their window on. */
static void fill_taps(state *s) {
  const int64_t stride = s->conv.stride[1];
  for (int64_t k = 0; k < s->R * s->S; k++) {
    const int64_t at = s->conv.flip ? s->R * s->S - 1 - k : k;
    const int64_t r = at / s->S * s->conv.dilation[0], q = at % s->S * s->conv.dilation[1];
    s->tap[k] = (int32_t)(r * s->row + q % stride * s->pitch + q / stride);
  }
}

static lamina_status prepare(lamina_plan *plan) {
  lamina_conv_settle(&plan->problem);
  const state shape = state_of(&plan->problem, lamina_direct_kernel_at(lamina_isa_index(plan->variant)), plan->threads);
  const size_t bytes = sizeof shape + (size_t)(shape.R * shape.S) * sizeof *shape.tap;
  state *s = lamina_host_alloc(plan->device, bytes);
  if (!s) return LAMINA_OUT_OF_MEMORY;
  *s = shape;
  s->bytes = bytes;
  fill_taps(s);
  plan->workspace = room(s, plan->threads);
  plan->state = s;
  return LAMINA_OK;
}

static void release(lamina_plan *plan) {
  state *s = plan->state;
  if (s) lamina_host_free(plan->device, s, s->bytes);
  plan->state = NULL;
}

/* ---- Copying x -------------------------------------------------------------------------------------------------- */

/* A row of a channel, `phases` times `pitch`, of every stride-th column each. */
LAMINA_INLINE void spread_row(const state *s, const void *x, int64_t at, float *to, bool bf16) {
  const int64_t stride = s->conv.stride[1], step = stride * s->x.column;
  for (int64_t f = 0; f < s->phases; f++, to += s->pitch) {
    const int64_t first = f - s->conv.pad[1][0];
    int64_t lo, hi;
    lamina_loop_inside(first, stride, s->pitch, s->W, &lo, &hi);
    const int64_t from = at + first * s->x.column;
    lamina_loop_zero(to, lo);
    if (step == 1)
      lamina_loop_copy(to + lo, x, from + lo, hi - lo, bf16);
    else
      for (int64_t i = lo; i < hi; i++) to[i] = lamina_loop_get(x, from + i * step, bf16);
    lamina_loop_zero(to + hi, s->pitch - hi);
  }
}
LAMINA_CLONES static void spread_f32(const state *s, const void *x, int64_t at, float *to) {
  spread_row(s, x, at, to, false);
}
LAMINA_CLONES static void spread_bf16(const state *s, const void *x, int64_t at, float *to) {
  spread_row(s, x, at, to, true);
}

/* A row of `channels`, 16 at most, that lie side by side. */
static void turn_row(const state *s, const void *x, int64_t at, int64_t channels, float *to) {
  float square[16 * 16];
  const int64_t lo = least(s->conv.pad[1][0], s->pitch), n = most(0, least(s->W, s->pitch - lo));
  for (int64_t j = 0; j < n; j += 16) {
    const int columns = (int)least(16, n - j);
    for (int i = 0; i < columns && s->x.bf16; i++)
      lamina_conv_widen(channels, x, at + (j + i) * s->x.column, square + 16 * i);
    s->lanes->transpose(columns, (int)channels, s->x.bf16 ? square : (const float *)x + at + j * s->x.column,
                        s->x.bf16 ? 16 : s->x.column, to + lo + j, s->plane, columns);
  }
  for (int64_t c = 0; c < channels; c++, to += s->plane) {
    lamina_loop_zero(to, lo);
    lamina_loop_zero(to + lo + n, s->pitch - lo - n);
  }
}

/* Row h of channels c … of image n. */
static void copy_row(const state *s, const void *x, int64_t n, int64_t c, int64_t channels, int64_t h, float *to) {
  const int64_t at = n * s->x.image + h * s->x.row;
  if (s->x.inner == 1 && s->conv.stride[1] == 1 && channels > 1) {
    turn_row(s, x, at + lamina_conv_channel_at(&s->x, c), channels, to);
    return;
  }
  for (int64_t i = 0; i < channels; i++)
    (s->x.bf16 ? spread_bf16 : spread_f32)(s, x, at + lamina_conv_channel_at(&s->x, c + i), to + i * s->plane);
}

/* ---- Sums ------------------------------------------------------------------------------------------------------- */

/* What a task works on: `blocks` of a group, from number `block` of all on, rows h … end - 1 of image n. */
typedef struct task {
  const state *s;
  int64_t n, group, block, blocks, h, end;
  const float *x; /* its group's channels */
  const char *w;  /* all of them, as the kernel takes them */
  int64_t element;
  float b[PAIR * BLOCK];
  float *y; /* row h */
  int64_t y_row, y_block;
} task;

static void load_bias(task *t, const void *b) {
  const state *s = t->s;
  memset(t->b, 0, sizeof t->b);
  for (int64_t i = 0, k = t->block * BLOCK; b && i < t->blocks * BLOCK && k + i < s->groups * s->K; i++)
    t->b[i] = lamina_loop_get(b, (k + i) * s->b_step, s->b16);
}

/* Adds channels c … of x to the task's sums; with each tile a part of what comes next is asked for. */
static void add_channels(const task *t, int64_t c, int64_t channels) {
  const state *s = t->s;
  const int64_t taps = s->R * s->S, tiles = ceiling(s->out_w, s->kernel->columns);
  const int64_t line = 64 / t->element, each = channels * taps * BLOCK / line; /* lines of a block's weights */
  const int64_t wanted = t->blocks * each, calls = (t->end - t->h) * tiles * channels;
  lamina_direct_tile tile = {.channels = channels,
                             .x_channel = s->plane,
                             .w_channel = taps * BLOCK,
                             .w_block = s->C * taps * BLOCK,
                             .y_block = t->y_block,
                             .b = c == 0 ? t->b : NULL,
                             .relu = s->relu && c + channels == s->C};
  const bool goes_on = c + channels < s->C;
  const int64_t next = goes_on ? t->block : t->block + t->blocks;
  const char *const w = t->w + (t->block * tile.w_block + c * tile.w_channel) * t->element;
  const char *const ahead = t->w + (next * tile.w_block + (goes_on ? c + channels : 0) * tile.w_channel) * t->element;
  const int64_t share = next + t->blocks > s->groups * s->blocks ? 0 : ceiling(wanted, calls);
  int64_t asked = 0;
  for (int64_t h = t->h; h < t->end; h++) {
    const int64_t first = h * s->conv.stride[0] - s->conv.pad[0][0];
    int64_t lo, hi;
    lamina_loop_inside(first, s->conv.dilation[0], s->R, s->H, &lo, &hi);
    const int64_t from = (s->conv.flip ? s->R - hi : lo) * s->S;
    tile.tap = s->tap + from, tile.taps = (hi - lo) * s->S;
    for (int64_t i = 0; i < tiles; i++, asked += tile.lines * channels) {
      const int64_t j = s->out_w * i / tiles, columns = s->out_w * (i + 1) / tiles - j;
      tile.at = first * s->row + j;
      tile.lines = asked < wanted ? (int)share : 0;
      tile.ahead = ahead + (asked / each * tile.w_block + asked % each * line) * (tile.lines ? t->element : 0);
      float *const y = t->y + (h - t->h) * t->y_row + j * BLOCK;
      const char *const here = w + from * BLOCK * t->element;
      if (t->element == 2)
        s->kernel->tile_bf16((int)t->blocks, (int)columns, &tile, t->x + c * s->plane,
                             (const uint16_t *)(const void *)here, y);
      else
        s->kernel->tile((int)t->blocks, (int)columns, &tile, t->x + c * s->plane, (const float *)(const void *)here, y);
    }
  }
}

/* Task i of images n …: pairs of blocks, in those images, in those rows. */
static void run_task(const state *s, const lamina_args *args, char *workspace, int64_t n, int64_t images, int64_t i) {
  const int64_t part = i % s->parts, image = i / s->parts % images, pair = i / s->parts / images;
  const int64_t group = pair / s->pairs, first = pair % s->pairs * s->kernel->blocks;
  task t = {.s = s,
            .n = n + image,
            .block = group * s->blocks + first,
            .blocks = least(s->kernel->blocks, s->blocks - first)};
  t.h = s->out_h * part / s->parts, t.end = s->out_h * (part + 1) / s->parts;
  t.x = (const float *)(void *)workspace + (image * s->groups + group) * s->C * s->plane;
  t.w = s->packs ? workspace + s->w_at : args->p[LAMINA_CONV_W];
  t.element = s->packs || !s->w16 ? 4 : 2;
  t.y = (float *)(void *)(workspace + s->own_at + (size_t)lamina_loop_thread() * s->own);
  t.y_row = s->out_w * BLOCK, t.y_block = (t.end - t.h) * t.y_row;
  if (s->in_place) {
    t.y = (float *)args->p[LAMINA_CONV_Y] + t.n * s->y.image + lamina_conv_channel_at(&s->y, t.block * BLOCK) +
          t.h * s->y.row;
    t.y_row = s->y.row, t.y_block = s->y.block;
  }
  load_bias(&t, args->p[LAMINA_CONV_B]);
  for (int64_t c = 0; c < s->C; c += s->near) add_channels(&t, c, least(s->near, s->C - c));
  for (int64_t b = 0; b < t.blocks && !s->in_place; b++)
    for (int64_t h = t.h; h < t.end; h++) {
      const int64_t k = (t.block + b) * BLOCK;
      lamina_conv_leave(&s->y, s->lanes, t.y + b * t.y_block + (h - t.h) * t.y_row, t.n, k,
                        least(BLOCK, s->groups * s->K - k), h, 0, s->out_w, args->p[LAMINA_CONV_Y]);
    }
}

static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  const state *s = plan->state;
  const int64_t all = s->groups * s->C, unit = least(16, s->x.size), units = ceiling(all, unit);
  const int64_t depth = s->C * s->R * s->S, pieces = s->packs ? ceiling(depth, PACKING) : 0;
  const int64_t pairs = s->groups * s->pairs;
  float *const packed = (float *)(void *)((char *)workspace + s->w_at), *const room = workspace;
  (void)stream;
#pragma omp parallel
  {
#pragma omp for schedule(static) nowait
    for (int64_t i = 0; i < s->groups * s->blocks * pieces; i++)
      lamina_conv_pack(&s->w, s->lanes, args->p[LAMINA_CONV_W], i / pieces, i % pieces * PACKING,
                       least(PACKING, depth - i % pieces * PACKING), packed);
    for (int64_t n = 0; n < s->N; n += s->together) {
      const int64_t images = least(s->together, s->N - n);
#pragma omp for schedule(static)
      for (int64_t i = 0; i < images * units * s->H; i++) {
        const int64_t h = i % s->H, c = i / s->H % units * unit, image = i / s->H / units;
        copy_row(s, args->p[LAMINA_CONV_X], n + image, c, least(unit, all - c), h,
                 room + (image * all + c) * s->plane + h * s->row);
      }
#pragma omp for schedule(static)
      for (int64_t i = 0; i < pairs * images * s->parts; i++) run_task(s, args, workspace, n, images, i);
    }
  }
  return LAMINA_OK;
}

/* ---- The engine ------------------------------------------------------------------------------------------------- */

/* Instructions of a step for each multiply-add of a tile: weights are loaded for all columns, columns for all blocks. */
static double steps(const state *s, double columns) {
  const double blocks = (double)s->blocks / (double)s->pairs;
  return 1 + 1 / columns + 1 / (blocks * 4);
}

static double seconds(lamina_device *device, const lamina_problem *problem, const state *s, double share) {
  const int64_t threads = lamina_device_threads(device), tasks = s->together * s->groups * s->pairs * s->parts;
  const double idle = (double)(ceiling(tasks, threads) * threads) / (double)tasks;
  const double tiles = (double)ceiling(s->out_w, s->kernel->columns), columns = (double)s->out_w / tiles;
  const double lanes = (double)(s->blocks * BLOCK) / (double)s->K;
  double flops, bytes;
  lamina_problem_work(problem, &flops, &bytes);
  const double copied = (double)(s->N * s->groups * s->C * s->plane) * 4;
  const double packed = s->packs ? (double)(s->groups * s->blocks * s->C * s->R * s->S * BLOCK) * 4 : 0;
  const double left = s->in_place ? 0 : (double)(s->N * s->groups * s->K * s->out_h * s->out_w) * 4;
  const double each = steps(s, columns) / steps(s, s->kernel->columns), w = (double)lamina_desc_bytes(&s->w);
  const double sums = idle * each * lanes * lamina_cpu_computing(device, flops, share);
  const double weights = lamina_cpu_moving(device, w); /* come meanwhile */
  return (sums > weights ? sums : weights) + lamina_cpu_moving(device, bytes - w) +
         lamina_loop_moving(device, 2 * (copied + packed + left)) + 4e-6;
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
    const state s = state_of(&settled, kernel, lamina_device_threads(device));
    each(context, kernel->name, seconds(device, &settled, &s, kernel->share / (1 << i)), "");
  }
}

#define ENGINE(op_)                                                                                                    \
  .size = sizeof(lamina_engine), .abi = LAMINA_ENGINE_ABI, .device = "cpu", .name = "direct", .op = (op_),             \
  .strides = LAMINA_STRIDES_BLOCKED, .candidates = candidates, .prepare = prepare, .run = run, .release = release
const lamina_engine lamina_cpu_direct_conv_forward = {ENGINE("conv/forward")};
const lamina_engine lamina_cpu_direct_conv_relu_forward = {ENGINE("conv_relu/forward")};
