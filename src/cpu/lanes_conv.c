/* Convolution and fully connected layers with the batch in the lanes: forward, alone and with a ReLU, and the data's
 * gradient, alone and gated. Both are the same sums over taps, in phases (loop_conv.h).
 *
 *   task   a few blocks of 16 examples, a group, some of its channels out; of each phase the tiles of 4 places
 *   tile   only its own taps: those that lie inside for none of its places are left out, so that of a border no more is
 *          read than what sticks out of a tile (zeros, in a copy of the block in the workspace) */
#include "cpu/isa.h"
#include "cpu/lanes.h"

/* A tile's extent along an axis: where its taps begin, and how many there are. */
typedef struct span {
  int64_t i, last;      /* its first position in the phase; how far its last one is from there */
  int64_t count, in, r; /* taps; the input that the first one sees from that position; its place in the filter */
  int64_t x, w, y;      /* where they are in a block's input, a filter, a block's output */
} span;

typedef struct line {             /* a phase of an axis */
  int64_t spans, in_step, r_step; /* from one tap to the next */
  int64_t x_tap, w_tap;           /* the same where they lie */
  int64_t x, y;                   /* and from one position to the next */
  span *span;
} line;

typedef struct state {
  size_t size;
  const lamina_lanes_kernel *kernel;
  lamina_loop_conv c;
  int64_t C, M, w_g, w_m, w_c; /* channels of a group, in and out; steps of the filter */
  int64_t w[3], extent[3];     /* its spatial steps; positions of a tile */
  struct {
    int64_t block, row, column;
  } place[LAMINA_LANES_PLACES]; /* of the tile's */
  int64_t together, groups_of;  /* blocks of a tile; how many such there are */
  int64_t rows, splits;         /* channels out of a tile; parts of the channels out for tasks */
  lamina_loop_axis axis[3];
  line *line[3];
  lamina_lanes_side in, out, gate;
  int in_arg, w_arg, b_arg, out_arg, gate_arg; /* gate_arg 0: none */
  bool relu;
  size_t in_room, out_room, gate_room; /* floats of a block's copy */
  size_t own;                          /* bytes of a thread */
} state;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t parts(int64_t n, int64_t of) { return (n + of - 1) / of; }

/* ---- Preparing -------------------------------------------------------------------------------------------------- */

/* Is tap `offset` inside for one of the span's positions? */
static bool reaches(const lamina_loop_axis *axis, int64_t first, int64_t positions, int64_t offset) {
  for (int64_t p = first; p < first + positions; p++)
    if (p * axis->step + offset >= 0 && p * axis->step + offset < axis->in) return true;
  return false;
}

/* Taps of a phase are equally far from each other, in the input and in the filter. */
static void open_spans(const lamina_loop_axis *axis, const lamina_loop_phase *phase, int64_t extent, line *to,
                       int64_t border[2]) {
  const lamina_loop_tap *tap = phase->tap;
  to->spans = parts(phase->count, extent);
  if (phase->taps > 1) to->in_step = tap[1].offset - tap[0].offset, to->r_step = tap[1].r - tap[0].r;
  for (int64_t t = 0; t < to->spans; t++) {
    const int64_t first = t * extent, positions = least(extent, phase->count - first);
    int64_t from = 0, end = phase->taps;
    while (from < end && !reaches(axis, first, positions, tap[from].offset)) from++;
    while (end > from && !reaches(axis, first, positions, tap[end - 1].offset)) end--;
    to->span[t] = (span){.i = first, .last = positions - 1, .count = end - from};
    if (from == end) continue;
    to->span[t].in = first * axis->step + tap[from].offset;
    to->span[t].r = tap[from].r;
    for (int64_t k = from; k < end; k++) {
      const int64_t low = first * axis->step + tap[k].offset, high = low + (positions - 1) * axis->step;
      if (-low > border[0]) border[0] = -low;
      if (high - (axis->in - 1) > border[1]) border[1] = high - (axis->in - 1);
    }
  }
}

/* Where everything of an axis lies, now that the input's border is known. */
static void place_lines(state *s, int a) {
  const lamina_lanes_side *in = &s->in, *out = &s->out;
  int64_t x = LAMINA_LANES, y = LAMINA_LANES;
  for (int b = 2; b > a; b--) x *= in->lo[b] + in->size[b] + in->hi[b], y *= out->size[b];
  for (int64_t f = 0; f < s->axis[a].phases; f++) {
    line *l = &s->line[a][f];
    l->x_tap = l->in_step * x, l->w_tap = l->r_step * s->w[a];
    l->x = s->axis[a].step * x, l->y = s->axis[a].every * y;
    for (span *t = l->span; t < l->span + l->spans; t++)
      t->x = (t->in + in->lo[a]) * x, t->w = t->r * s->w[a], t->y = s->axis[a].phase[f].first * y + t->i * l->y;
  }
}

static int64_t count_spans(const state *s) {
  int64_t count = 0;
  for (int a = 0; a < 3; a++)
    for (int64_t f = 0; f < s->axis[a].phases; f++) count += parts(s->axis[a].phase[f].count, s->extent[a]);
  return count;
}

/* Four places: of a square where there are rows, of a row, or those of several blocks. */
static void choose_extent(const int64_t *count, int64_t extent[3], int64_t *together) {
  extent[0] = 1;
  extent[1] = count[1] > 1 ? 2 : 1;
  extent[2] = count[2] < 2 ? 1 : extent[1] == 1 && count[2] > 2 ? 4 : 2;
  *together = LAMINA_LANES_PLACES / (extent[1] * extent[2]);
}

static void describe(state *s, const lamina_problem *p, const lamina_loop_conv_row *row, bool forward, int threads) {
  const lamina_loop_conv *c = &s->c;
  const int64_t C = c->C / c->groups, K = c->K / c->groups, blocks = parts(c->N, LAMINA_LANES);
  s->C = forward ? C : K;
  s->M = forward ? K : C;
  s->w_g = K * C * c->w_area;
  s->w_m = forward ? C * c->w_area : c->w_area;
  s->w_c = forward ? c->w_area : C * c->w_area;
  s->w[0] = c->w[1] * c->w[2], s->w[1] = c->w[2], s->w[2] = 1;
  s->in_arg = forward ? row->x : row->y, s->out_arg = forward ? row->y : row->x;
  s->w_arg = row->w, s->b_arg = row->b, s->gate_arg = row->gate, s->relu = row->relu;
  s->in = lamina_lanes_side_of(&p->arg[s->in_arg], c->N, forward ? c->C : c->K, forward ? c->x : c->y);
  s->out = lamina_lanes_side_of(&p->arg[s->out_arg], c->N, forward ? c->K : c->C, forward ? c->y : c->x);
  s->gate = lamina_lanes_side_of(&p->arg[s->gate_arg], c->N, s->out.C, s->out.size);
  choose_extent(s->out.size, s->extent, &s->together);
  s->together = least(s->together, blocks);
  s->groups_of = parts(blocks, s->together);
  const int64_t tiles = parts(s->M, s->kernel->rows), tasks = s->groups_of * c->groups;
  s->rows = parts(s->M, tiles);
  s->splits = least(tiles, parts(threads, tasks)); /* only where there is too little work to share else */
}

/* The arguments that may have the batch in the lanes. */
typedef struct list {
  int arg[4];
} list;
static list data_of(const lamina_loop_conv_row *row) {
  return (list){{row->x, row->y, row->gate ? row->gate : -1, -1}};
}

static void add_border(lamina_lanes_side *side) {
  side->padded = 1;
  for (int a = 0; a < 3; a++) side->padded *= side->lo[a] + side->size[a] + side->hi[a];
}

static size_t rooms(state *s) {
  const size_t together = (size_t)s->together;
  s->in_room = lamina_lanes_in_place(&s->in) ? 0 : together * (size_t)lamina_lanes_block(&s->in, s->C);
  s->out_room = s->out.lanes ? 0 : together * (size_t)lamina_lanes_block(&s->out, s->M);
  s->gate_room = !s->gate_arg || s->gate.lanes ? 0 : together * (size_t)lamina_lanes_block(&s->gate, s->M);
  return lamina_align_up((s->in_room + s->out_room + s->gate_room) * sizeof(float), 64);
}

static lamina_status open(lamina_plan *plan, bool forward) {
  const lamina_loop_conv_row *row = plan->engine->user;
  lamina_lanes_settle(&plan->problem, data_of(row).arg);
  state shape = {.c = lamina_loop_conv_of(&plan->problem, row),
                 .kernel = lamina_lanes_kernel_at(lamina_isa_index(plan->variant))};
  const size_t axes = lamina_align_up(lamina_loop_axes_size(&shape.c, forward), 16);
  int64_t lines = 0;
  describe(&shape, &plan->problem, row, forward, plan->threads);
  char *tables = lamina_host_alloc(plan->device, axes); /* to count what they make */
  if (!tables) return LAMINA_OUT_OF_MEMORY;
  lamina_loop_axes_open(shape.axis, &shape.c, forward, tables);
  for (int a = 0; a < 3; a++) lines += shape.axis[a].phases;
  const size_t spans = (size_t)count_spans(&shape) * sizeof(span);
  lamina_host_free(plan->device, tables, axes);
  shape.size = sizeof shape + axes + (size_t)lines * sizeof(line) + spans;
  state *s = lamina_host_alloc(plan->device, shape.size);
  if (!s) return LAMINA_OUT_OF_MEMORY;
  *s = shape;
  plan->state = s;
  tables = (char *)(s + 1);
  lamina_loop_axes_open(s->axis, &s->c, forward, tables);
  line *next = (line *)(void *)(tables + axes);
  span *at = (span *)(void *)(next + lines);
  for (int a = 0; a < 3; a++) {
    int64_t border[2] = {0, 0};
    s->line[a] = next;
    for (int64_t f = 0; f < s->axis[a].phases; f++, at += (next++)->spans) {
      *next = (line){.span = at};
      open_spans(&s->axis[a], &s->axis[a].phase[f], s->extent[a], next, border);
    }
    s->in.lo[a] = border[0], s->in.hi[a] = border[1];
  }
  add_border(&s->in);
  for (int a = 0; a < 3; a++) place_lines(s, a);
  for (int p = 0; p < LAMINA_LANES_PLACES; p++) {
    const int64_t plane = p / s->extent[2];
    s->place[p].block = plane / s->extent[1];
    s->place[p].row = plane % s->extent[1], s->place[p].column = p % s->extent[2];
  }
  s->own = rooms(s);
  plan->workspace = (size_t)plan->threads * s->own;
  return LAMINA_OK;
}

static lamina_status open_forward(lamina_plan *plan) { return open(plan, true); }
static lamina_status open_data(lamina_plan *plan) { return open(plan, false); }

static void release(lamina_plan *plan) {
  state *s = plan->state;
  if (s) lamina_host_free(plan->device, s, s->size);
  plan->state = NULL;
}

/* ---- Running ---------------------------------------------------------------------------------------------------- */

/* What a task works on: its blocks of the input, the output and the gate. */
typedef struct task {
  const state *s;
  const float *w, *b; /* of its group; b NULL: none */
  int64_t blocks, m, end;
  const float *x, *gate; /* gate NULL: none */
  float *y;
  int64_t x_block, y_block; /* from one block to the next */
} task;

/* A loop over taps in the tile's nest, which is filled from the innermost loop on. */
static void add_loop(lamina_lanes_tile *tile, int *level, int64_t count, int64_t x, int64_t w) {
  if (count == 1) return;
  tile->count[*level] = count, tile->x[*level] = x, tile->w[*level] = w;
  --*level;
}

static void run_tile(const task *t, const line *const *lines, const span *const *at) {
  const state *s = t->s;
  lamina_lanes_tile tile = {
      .count = {1, 1, 1, 1}, .w_row = s->w_m, .y_row = s->out.area * LAMINA_LANES, .relu = s->relu};
  int level = 3;
  for (int a = 2; a >= 0; a--) add_loop(&tile, &level, at[a]->count, lines[a]->x_tap, lines[a]->w_tap);
  add_loop(&tile, &level, s->C, s->in.padded * LAMINA_LANES, s->w_c);
  for (int p = 0; p < LAMINA_LANES_PLACES; p++) {
    const int64_t n = least(s->place[p].block, t->blocks - 1);
    const int64_t i = least(s->place[p].row, at[1]->last), j = least(s->place[p].column, at[2]->last);
    tile.at[p] = i * lines[1]->x + j * lines[2]->x + n * t->x_block;
    tile.to[p] = i * lines[1]->y + j * lines[2]->y + n * t->y_block;
  }
  const int64_t x = at[0]->x + at[1]->x + at[2]->x, w = at[0]->w + at[1]->w + at[2]->w;
  const int64_t y = at[0]->y + at[1]->y + at[2]->y;
  for (int64_t m = t->m; m < t->end; m += s->rows) {
    const int64_t to = y + m * tile.y_row;
    s->kernel->tile((int)least(s->rows, t->end - m), &tile, t->x + x, t->w + w + m * s->w_m, t->b ? t->b + m : NULL,
                    t->gate ? t->gate + to : NULL, t->y + to);
  }
}

static void run_tiles(const task *t) {
  const state *s = t->s;
  int64_t f[3], i[3];
  for (f[0] = 0; f[0] < s->axis[0].phases; f[0]++)
    for (f[1] = 0; f[1] < s->axis[1].phases; f[1]++)
      for (f[2] = 0; f[2] < s->axis[2].phases; f[2]++) {
        const line *lines[3] = {&s->line[0][f[0]], &s->line[1][f[1]], &s->line[2][f[2]]};
        for (i[0] = 0; i[0] < lines[0]->spans; i[0]++)
          for (i[1] = 0; i[1] < lines[1]->spans; i[1]++)
            for (i[2] = 0; i[2] < lines[2]->spans; i[2]++) {
              const span *at[3] = {&lines[0]->span[i[0]], &lines[1]->span[i[1]], &lines[2]->span[i[2]]};
              run_tile(t, lines, at);
            }
      }
}

/* Blocks n … of group g, part `split` of its channels out. */
static void run_task(const state *s, const lamina_args *args, int64_t n, int64_t g, int64_t split, float *own) {
  const int64_t tiles = parts(s->M, s->rows), blocks = parts(s->c.N, LAMINA_LANES);
  const int64_t in_block = lamina_lanes_block(&s->in, s->C), out_block = lamina_lanes_block(&s->out, s->M);
  float *x_room = own, *y_room = own + s->in_room, *gate_room = y_room + s->out_room, *y = args->p[s->out_arg];
  task t = {.s = s,
            .w = (const float *)args->p[s->w_arg] + g * s->w_g,
            .b = s->b_arg >= 0 && args->p[s->b_arg] ? (const float *)args->p[s->b_arg] + g * s->M : NULL,
            .blocks = least(s->together, blocks - n),
            .m = tiles * split / s->splits * s->rows,
            .end = least(s->M, tiles * (split + 1) / s->splits * s->rows),
            .x_block = s->in_room ? in_block : s->in.C * s->in.area * LAMINA_LANES,
            .y_block = s->out_room ? out_block : s->out.C * s->out.area * LAMINA_LANES};
  for (int64_t i = t.blocks - 1; i >= 0; i--) { /* the first one's place is the last to be set */
    t.x = lamina_lanes_read(&s->in, s->kernel, args->p[s->in_arg], n + i, g * s->C, s->C, x_room + i * in_block);
    t.y = lamina_lanes_for(&s->out, y, n + i, g * s->M, y_room + i * out_block);
    if (s->gate_arg)
      t.gate = lamina_lanes_read(&s->gate, s->kernel, args->p[s->gate_arg], n + i, g * s->M, s->M,
                                 gate_room + i * out_block);
  }
  run_tiles(&t);
  for (int64_t i = 0; i < t.blocks; i++)
    lamina_lanes_write(&s->out, s->kernel, y, n + i, g * s->M + t.m, t.end - t.m,
                       y_room + i * out_block + t.m * s->out.area * LAMINA_LANES);
}

static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  const state *s = plan->state;
  const int64_t each = s->c.groups * s->splits, tasks = s->groups_of * each;
  (void)stream;
#pragma omp parallel for schedule(static) if (tasks > 1)
  for (int64_t i = 0; i < tasks; i++)
    run_task(s, args, i / each * s->together, i % each / s->splits, i % s->splits,
             (float *)(void *)((char *)workspace + (size_t)lamina_loop_thread() * s->own));
  return LAMINA_OK;
}

/* ---- What it offers --------------------------------------------------------------------------------------------- */

/* The share of the kernel's speed that is left: what a tile reads is read again for each tile of channels, from L1 while
 * it fits there. Measured with AlexNet's layers: 3/4 out of L2, 0.6 beyond. */
static double in_cache(const state *s) {
  double window = (double)(s->together * s->C * LAMINA_LANES) * sizeof(float);
  for (int a = 0; a < 3; a++) window *= (double)(s->c.w[a] + s->extent[a] - 1);
  return window <= 48 << 10 ? 1 : window <= 512 << 10 ? 0.75 : 0.6;
}

/* Bytes of weights of which a tile takes a few of each line, where the lines that it goes through don't stay in L1: the
 * transposed weights of fully connected layers. */
static double scattered(const state *s) {
  const double lines = 64 * (double)s->C;
  const bool alone = s->w_m == 1 && s->w_c >= 16;
  return alone && lines > 48 << 10 ? lines * (double)(parts(s->M, s->rows) * s->groups_of * s->c.groups) : 0;
}

/* Seconds until the weights of a fully connected layer are here that no cache holds. Of one block of examples they are
 * what takes the time; the sums of more hide them. */
static double from_memory(const lamina_device *device, const lamina_problem *p, const lamina_loop_conv_row *row) {
  const double bytes = (double)lamina_desc_bytes(&p->arg[row->w]);
  const bool fc = row->attributes == lamina_loop_conv_fc, one = p->arg[0].dims[0] <= LAMINA_LANES;
  return fc && one && bytes > 4 << 20 ? lamina_cpu_moving(device, bytes) : 0;
}

static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  const lamina_loop_conv_row *row = engine->user;
  const list data = data_of(row);
  const bool forward = strstr(engine->op, "forward") != NULL;
  const lamina_lanes_kernel *kernel;
  lamina_problem settled = *problem;
  double flops, bytes;
  lamina_lanes_settle(&settled, data.arg);
  if (!lamina_lanes_takes(&settled, data.arg, each, context)) return;
  lamina_problem_work(&settled, &flops, &bytes);
  for (int i = 0; (kernel = lamina_lanes_kernel_at(i)); i++) {
    const double threads = lamina_device_threads(device);
    state s = {.c = lamina_loop_conv_of(&settled, row), .kernel = kernel};
    describe(&s, &settled, row, forward, (int)threads);
    const double tasks = (double)(s.groups_of * s.c.groups * s.splits);
    const double lanes = (double)(s.groups_of * s.together * LAMINA_LANES) / (double)s.c.N, rows = (double)s.rows;
    const double busy = tasks < threads ? tasks : threads;
    const double sums = flops * lanes * (rows + 1) / rows / (lamina_lanes_rate(device, i) * in_cache(&s));
    const double packed = lamina_lanes_moving(device, &s.in) + lamina_lanes_moving(device, &s.out) +
                          (s.gate_arg ? lamina_lanes_moving(device, &s.gate) : 0);
    const double read = lamina_lanes_cached(device, bytes + scattered(&s));
    each(context, kernel->name, (sums + packed + read) / busy + from_memory(device, &settled, row) + 2e-6, "");
  }
}

#define ROW(name, ...) static const lamina_loop_conv_row name = {__VA_ARGS__};
ROW(conv_y, .x = 0, .w = 1, .b = 2, .y = 3)
ROW(conv_dx, .y = 0, .w = 1, .b = -1, .x = 2)
ROW(conv_relu_y, .x = 0, .w = 1, .b = 2, .y = 3, .relu = true)
ROW(relu_conv_dx, .y = 0, .w = 1, .b = -1, .x = 3, .gate = 2)
ROW(fc_y, .x = 0, .w = 1, .b = 2, .y = 3, .attributes = lamina_loop_conv_fc)
ROW(fc_dx, .y = 0, .w = 1, .b = -1, .x = 2, .attributes = lamina_loop_conv_fc)
ROW(fc_relu_y, .x = 0, .w = 1, .b = 2, .y = 3, .relu = true, .attributes = lamina_loop_conv_fc)
ROW(relu_fc_dx, .y = 0, .w = 1, .b = -1, .x = 3, .gate = 2, .attributes = lamina_loop_conv_fc)

#define ENGINE(op, row, prepare_)                                                                                      \
  LAMINA_LANES_ENGINE(op), .user = (void *)&row, .candidates = candidates, .prepare = prepare_, .run = run,            \
                           .release = release
const lamina_engine lamina_cpu_lanes_conv_forward = {ENGINE("conv/forward", conv_y, open_forward)};
const lamina_engine lamina_cpu_lanes_conv_backward_data = {ENGINE("conv/backward_data", conv_dx, open_data)};
const lamina_engine lamina_cpu_lanes_conv_relu_forward = {ENGINE("conv_relu/forward", conv_relu_y, open_forward)};
const lamina_engine lamina_cpu_lanes_relu_conv_backward_data = {
    ENGINE("relu_conv/backward_data", relu_conv_dx, open_data)};
const lamina_engine lamina_cpu_lanes_fc_forward = {ENGINE("fc/forward", fc_y, open_forward)};
const lamina_engine lamina_cpu_lanes_fc_backward_data = {ENGINE("fc/backward_data", fc_dx, open_data)};
const lamina_engine lamina_cpu_lanes_fc_relu_forward = {ENGINE("fc_relu/forward", fc_relu_y, open_forward)};
const lamina_engine lamina_cpu_lanes_relu_fc_backward_data = {ENGINE("relu_fc/backward_data", relu_fc_dx, open_data)};
