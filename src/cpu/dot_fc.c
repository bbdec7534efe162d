/* Fully connected layers over one or a few examples: they read the weights, once, and that is all the time they take.
 *
 *   y [N, O] = w [O, I] * x [N, I]        for O, a few rows at a time, all of them read at once
 *                                           for I, one piece if N is small, else pieces that stay in L1
 *                                             for N, some examples at a time: w's rows from memory, then from L1
 *                                               lines of the next piece are asked for meanwhile, each by one of these
 *
 * A sum is a vector until its last piece, in an order that depends on I only, and leaves with bias, ReLU and rounding. w
 * is read as it lies; x, where it is bf16, is widened first, once for all rows. */
#include "cpu/dot_kernel.h"
#include "cpu/isa.h"
#include "cpu/loop.h"

enum {
  MOST = 16,         /* examples */
  AHEAD = 1024,      /* bytes between what is read and what is asked for */
  PIECE = 2048,      /* bytes of each row of w that are read for one group of examples after the other */
  TASKS = 8,         /* for each thread, so that one that is held up has fewer */
  WIDENED = 1 << 12, /* elements of x that a thread widens at a time */
  ALONE = 1 << 17    /* products that one thread makes while others would wake up */
};

/* What a pass works on. */
typedef struct state {
  const lamina_dot_kernel *kernel;
  lamina_dot_fn *tile;
  int64_t N, I, O;
  int64_t groups;  /* that the examples fall into */
  int64_t element; /* of w, in bytes */
  bool alone;      /* one thread; w is in its cache by then, so that nothing is asked for */
  int64_t task;    /* rows of w */
  bool relu, x16, b16, y16;
  const void *w, *b;
  const float *x;
  void *y;
} state;

enum { X, W, B, Y }; /* places in the rows */

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t ceiling(int64_t n, int64_t by) { return (n + by - 1) / by; }

static state state_of(const lamina_problem *p, const lamina_dot_kernel *kernel, int threads) {
  const bool w16 = p->arg[W].dtype == LAMINA_BF16;
  state s = {.kernel = kernel, .tile = w16 ? kernel->bf16 : kernel->f32, .element = w16 ? 2 : 4};
  s.N = p->arg[X].dims[0], s.O = p->arg[W].dims[0], s.I = p->arg[W].dims[1];
  s.groups = ceiling(s.N, kernel->examples);
  s.alone = s.N * s.I * s.O < ALONE;
  s.task = s.alone ? s.O : ceiling(ceiling(s.O, TASKS * (int64_t)threads), LAMINA_DOT_ROWS) * LAMINA_DOT_ROWS;
  s.relu = strcmp(lamina_op_at(p->op)->name, "fc_relu/forward") == 0;
  s.x16 = p->arg[X].dtype == LAMINA_BF16, s.b16 = p->arg[B].dtype == LAMINA_BF16;
  s.y16 = p->arg[Y].dtype == LAMINA_BF16;
  return s;
}

LAMINA_CLONES static void widen(int64_t n, const uint16_t *x, float *y) { lamina_bf16_read(n, x, y); }

/* The first example of group g. */
static int64_t group_at(const state *s, int64_t g) { return s->N * g / s->groups; }

/* sums [N][rows][lanes], a group's examples inside, (+)= columns k … k + n - 1 of `rows` rows of w, from o on; lines of
 * what comes `ahead` bytes later are asked for. */
static void add_piece(const state *s, int64_t o, int rows, int64_t k, int64_t n, int64_t ahead, float *sums) {
  const char *const w = (const char *)s->w + (o * s->I + k) * s->element;
  lamina_dot_tile tile = {.k = n, .ldw = s->I, .ldx = s->I, .add = k > 0, .ahead = ahead};
  for (int64_t g = 0; g < s->groups; g++) {
    const int64_t first = group_at(s, g), examples = group_at(s, g + 1) - first;
    tile.ahead_from = (int)(ahead ? rows * g / s->groups : 0);
    tile.ahead_to = (int)(ahead ? rows * (g + 1) / s->groups : 0);
    s->tile(rows, (int)examples, &tile, w, s->x + first * s->I + k, sums + first * rows * s->kernel->lanes);
  }
}

/* y's columns o … */
static void leave(const state *s, int64_t o, int rows, const float *sums) {
  float totals[MOST * LAMINA_DOT_ROWS];
  s->kernel->total(s->N * rows, sums, totals);
  for (int64_t g = 0; g < s->groups; g++) {
    const int64_t first = group_at(s, g), examples = group_at(s, g + 1) - first;
    for (int64_t n = 0; n < examples; n++)
      for (int64_t r = 0; r < rows; r++) {
        const float v = totals[first * rows + r * examples + n] + (s->b ? lamina_loop_get(s->b, o + r, s->b16) : 0);
        lamina_loop_set(s->y, (first + n) * s->O + o + r, s->relu && v < 0 ? 0 : v, s->y16);
      }
  }
}

/* Columns in the piece at k. The last one asks for the next tile's. */
static int64_t piece_of(const state *s, int64_t k) {
  const int64_t line = LAMINA_DOT_LINE / s->element, ahead = AHEAD / s->element, rest = s->I - k;
  if (s->groups > 1) return least(PIECE / s->element, rest);
  return k == 0 && rest >= ahead + line ? (rest - ahead) / line * line : rest;
}

/* Rows o … o + rows - 1 of w; `next`: there is a tile behind. */
static void run_tile(const state *s, int64_t o, int rows, bool next) {
  float sums[MOST * LAMINA_DOT_ROWS * LAMINA_DOT_LANES];
  const int64_t ahead = s->groups > 1 ? PIECE : AHEAD;
  for (int64_t k = 0, n; k < s->I; k += n) {
    n = piece_of(s, k);
    const int64_t jump = next ? (rows * s->I - k) * s->element : 0;
    add_piece(s, o, rows, k, n, s->alone ? 0 : k + n < s->I ? ahead : jump, sums);
  }
  leave(s, o, rows, sums);
}

static void run_task(const state *s, int64_t from, int64_t to) {
  for (int64_t o = from; o < to; o += LAMINA_DOT_ROWS)
    run_tile(s, o, (int)least(LAMINA_DOT_ROWS, to - o), o + LAMINA_DOT_ROWS < to);
}

/* ---- The engine ------------------------------------------------------------------------------------------------- */

static const char *refusal(const lamina_problem *p) {
  for (int i = X; i <= Y; i++) {
    const int32_t dtype = p->arg[i].dtype;
    if (dtype != LAMINA_NONE && dtype != LAMINA_F32 && dtype != LAMINA_BF16) return "it takes f32 and bf16";
  }
  return p->arg[X].dims[0] > MOST ? "it is for up to 16 examples" : NULL;
}

/* What is reckoned hides behind what is read, until it takes more than half as long. */
static double seconds(lamina_device *device, const lamina_problem *problem, double share) {
  double flops, bytes;
  lamina_problem_work(problem, &flops, &bytes);
  const double reading = lamina_cpu_reading(device, bytes);
  const double both = reading / 2 + lamina_cpu_computing(device, flops, share);
  return (both > reading ? both : reading) + 2e-6;
}

static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  const char *reason = refusal(problem);
  const lamina_dot_kernel *kernel;
  (void)engine;
  if (reason) each(context, NULL, 0, reason);
  for (int i = 0; !reason && (kernel = lamina_dot_kernel_at(i)); i++)
    each(context, kernel->name, seconds(device, problem, kernel->share / (1 << i)), "");
}

static lamina_status prepare(lamina_plan *plan) {
  const state s = state_of(&plan->problem, lamina_dot_kernel_at(lamina_isa_index(plan->variant)), plan->threads);
  plan->workspace = s.x16 ? (size_t)(s.N * s.I) * sizeof(float) : 0;
  return LAMINA_OK;
}

static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  state s = state_of(&plan->problem, lamina_dot_kernel_at(lamina_isa_index(plan->variant)), plan->threads);
  (void)stream;
  s.x = s.x16 ? workspace : args->p[X];
  s.w = args->p[W], s.b = args->p[B], s.y = args->p[Y];
#pragma omp parallel if (!s.alone)
  {
    if (s.x16) {
#pragma omp for schedule(static)
      for (int64_t i = 0; i < s.N * s.I; i += WIDENED)
        widen(least(WIDENED, s.N * s.I - i), (const uint16_t *)args->p[X] + i, (float *)workspace + i);
    }
#pragma omp for schedule(dynamic)
    for (int64_t o = 0; o < s.O; o += s.task) run_task(&s, o, least(s.O, o + s.task));
  }
  return LAMINA_OK;
}

#define ENGINE(op_)                                                                                                    \
  .size = sizeof(lamina_engine), .abi = LAMINA_ENGINE_ABI, .device = "cpu", .name = "dot", .op = (op_),                \
  .strides = LAMINA_STRIDES_DENSE, .candidates = candidates, .prepare = prepare, .run = run
const lamina_engine lamina_cpu_dot_fc_forward = {ENGINE("fc/forward")};
const lamina_engine lamina_cpu_dot_fc_relu_forward = {ENGINE("fc_relu/forward")};
