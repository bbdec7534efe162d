/* Fully connected layers over some tens of examples: the weights are as much memory as everything else together and more,
 * and come once.
 *
 *   forward   y' [O, N] = w [O, I] * x' [I, N]         x is transposed once, into panels of N; then, for rows of w,
 *               for I, DEPTH at a time                   their pieces, that of the next turn asked for meanwhile
 *                 for panels of N                          x' [DEPTH, panel]: L1
 *                   tiles of rows                            w from where it lies
 *
 *   data      dx [N, I] = dy [N, O] * w [O, I]         dy is copied once, away from steps that are powers of 2; then, for
 *               for O, DEPTH at a time                   columns of w
 *                 for panels of them                       w [DEPTH, panel] copied: L1; the next asked for meanwhile
 *                   tiles of examples
 *
 * Sums stay with their thread in f32, in an order that depends on I or O only, and leave with bias, ReLU, gate and
 * rounding. w is row-major for both, and so are the others; bf16 is widened where it is copied. */
#include "cpu/isa.h"
#include "cpu/lanes_kernel.h"
#include "cpu/loop.h"
#include "cpu/thin_kernel.h"

enum {
  DEPTH = 64,
  STRIDE = DEPTH + 16, /* of rows that were widened */
  ROWS = 96,           /* of w in a forward task, at most: their sums stay in the cache as x' comes by */
  PANELS = 8,          /* of columns in a task of the other, at most */
  SUMS = 1 << 16,      /* floats of a task's sums, at most */
  MOST = 512,          /* examples */
  AWAY = 16,
  ALONE = 1 << 18 /* products that one thread makes while others would wake up */
};

/* What a pass works on; places in its row, -1: it has none. */
typedef struct state {
  const lamina_thin_kernel *kernel;
  int64_t N, I, O;
  int x, w, b, y, gate; /* x and y: what comes in and goes out, dy and dx in the other pass */
  bool forward, relu;
  int64_t task;       /* rows or columns of w */
  int64_t width;      /* forward: N in whole vectors; else of a task's sums */
  size_t shared, own; /* bytes of workspace: what came in, and each thread's */
  size_t own_at;      /* of the second part of a thread's: widened rows, or the panel */
} state;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t ceiling(int64_t n, int64_t by) { return (n + by - 1) / by; }

/* Tasks that start at multiples of `unit`, so many that each thread has some. */
static int64_t task_of(int64_t n, int64_t unit, int64_t most, int threads) {
  const int64_t wanted = ceiling(ceiling(n, 4 * (int64_t)threads), unit) * unit;
  return least(wanted, most < unit ? unit : most);
}

static void size_forward(state *s, int threads) {
  const int64_t rows = s->kernel->rows;
  s->width = ceiling(s->N, s->kernel->lanes) * s->kernel->lanes;
  s->task = task_of(s->O, rows, least(ROWS, SUMS / s->width) / rows * rows, threads);
  s->shared = lamina_align_up((size_t)(s->width * s->I) * sizeof(float), 64);
  s->own_at = lamina_align_up((size_t)(s->task * s->width) * sizeof(float), 64);
  s->own = s->own_at + (size_t)(s->task * STRIDE) * sizeof(float);
}

static void size_data(state *s, int threads) {
  const int64_t panel = s->kernel->vectors * s->kernel->lanes;
  s->task = s->width = task_of(s->I, panel, least(PANELS, SUMS / s->N / panel) * panel, threads);
  s->shared = lamina_align_up((size_t)(s->N * (s->O + AWAY)) * sizeof(float), 64);
  s->own_at = lamina_align_up((size_t)(s->N * s->width) * sizeof(float), 64);
  s->own = s->own_at + (size_t)(DEPTH * panel) * sizeof(float);
}

static state state_of(const lamina_problem *p, const lamina_thin_kernel *kernel, int threads) {
  const char *name = lamina_op_at(p->op)->name;
  state s = {.kernel = kernel, .x = 0, .w = 1, .b = 2, .y = 3, .gate = -1, .forward = true};
  if (strcmp(name, "fc_relu/forward") == 0)
    s.relu = true;
  else if (strcmp(name, "fc/backward_data") == 0)
    s.b = -1, s.y = 2, s.forward = false;
  else if (strcmp(name, "relu_fc/backward_data") == 0)
    s.b = -1, s.gate = 2, s.forward = false;
  if (s.b >= 0 && p->arg[s.b].dtype == LAMINA_NONE) s.b = -1;
  s.N = p->arg[s.x].dims[0], s.O = p->arg[s.w].dims[0], s.I = p->arg[s.w].dims[1];
  (s.forward ? size_forward : size_data)(&s, threads);
  return s;
}

/* ---- What moves ------------------------------------------------------------------------------------------------- */

LAMINA_CLONES static void widen(int64_t n, const uint16_t *x, float *y) { lamina_bf16_read(n, x, y); }
LAMINA_CLONES static void copy(int64_t n, const float *restrict x, float *restrict y) {
  for (int64_t i = 0; i < n; i++) y[i] = x[i];
}

/* n elements from `at` on. */
static void read_row(const void *x, int64_t at, int64_t n, bool bf16, float *y) {
  if (bf16)
    widen(n, (const uint16_t *)x + at, y);
  else
    copy(n, (const float *)x + at, y);
}

/* y [from's rows, n], each row max(·, 0) or gated where that is asked for, and narrowed. */
LAMINA_INLINE void leave(int64_t n, const float *from, const void *gate, void *y, int64_t at, bool gate16, bool y16) {
  for (int64_t i = 0; i < n; i++) {
    const float v = from[i];
    lamina_loop_set(y, at + i, !gate || lamina_loop_get(gate, at + i, gate16) > 0 ? v : 0, y16);
  }
}
LAMINA_CLONES static void leave_f32(int64_t n, const float *from, const void *gate, void *y, int64_t at, bool gate16) {
  leave(n, from, gate, y, at, gate16, false);
}
LAMINA_CLONES static void leave_bf16(int64_t n, const float *from, const void *gate, void *y, int64_t at, bool gate16) {
  leave(n, from, gate, y, at, gate16, true);
}

/* ---- Forward ---------------------------------------------------------------------------------------------------- */

/* The panels that N falls into: vectors up to the first of panel p. */
static int64_t panels_of(const state *s) { return ceiling(s->width / s->kernel->lanes, s->kernel->vectors); }
static int64_t panel_at(const state *s, int64_t p) { return s->width / s->kernel->lanes * p / panels_of(s); }

/* Columns i … i + n - 1 of x, 16 at most, of `lanes` examples, to x' [n][width]. */
static void transpose(const state *s, const lamina_lanes_kernel *kernel, const void *x, bool bf16, int64_t i, int n,
                      int64_t example, float *to, int64_t width) {
  float square[16 * 16];
  const int lanes = s->kernel->lanes, rows = (int)least(lanes, s->N - example);
  const float *from = (const float *)x + example * s->I + i;
  if (bf16)
    for (int r = 0; r < rows; r++) read_row(x, (example + r) * s->I + i, n, true, square + r * 16);
  kernel->transpose(rows, n, bf16 ? square : from, bf16 ? 16 : s->I, to, width, lanes);
}

/* Columns i … of x to all panels. */
static void pack(const state *s, const void *x, bool bf16, int64_t i, int n, float *packed) {
  const lamina_lanes_kernel *kernel = lamina_lanes_kernel_at(lamina_isa_index(s->kernel->name));
  const int64_t lanes = s->kernel->lanes;
  for (int64_t p = 0; p < panels_of(s); p++) {
    const int64_t first = panel_at(s, p), width = (panel_at(s, p + 1) - first) * lanes;
    for (int64_t v = 0; v < width; v += lanes)
      transpose(s, kernel, x, bf16, i, n, first * lanes + v, packed + first * lanes * s->I + i * width + v, width);
  }
}

/* sums [rows][width] (+)= DEPTH columns, at k, of rows o … of w times x'. */
static void add_depth(const state *s, const void *w, bool bf16, int64_t o, int64_t rows, int64_t k, const float *packed,
                      float *sums, float *wide) {
  const lamina_thin_kernel *kernel = s->kernel;
  const int64_t depth = least(DEPTH, s->I - k), lanes = kernel->lanes, element = bf16 ? 2 : 4;
  lamina_thin_tile tile = {.k = depth, .lda = bf16 ? STRIDE : s->I, .ldc = s->width, .add = k > 0};
  tile.ahead_row = s->I * element;
  for (int64_t r = 0; r < rows && bf16; r++) read_row(w, (o + r) * s->I + k, depth, true, wide + r * STRIDE);
  for (int64_t p = 0; p < panels_of(s); p++) {
    const int64_t first = panel_at(s, p), vectors = panel_at(s, p + 1) - first;
    for (int64_t r = 0; r < rows; r += kernel->rows) {
      const int here = (int)least(kernel->rows, rows - r);
      const char *at = (const char *)w + ((o + r) * s->I + k) * element;
      tile.ahead_rows = p == 0 && k + DEPTH < s->I ? here : 0;
      kernel->tile(here, (int)vectors, &tile, bf16 ? wide + r * STRIDE : (const float *)(const void *)at,
                   packed + (first * s->I + k * vectors) * lanes, sums + r * s->width + first * lanes,
                   at + DEPTH * element);
    }
  }
}

/* Columns o … of y. */
LAMINA_INLINE void write_columns(const state *s, const float *sums, const void *b, void *y, int64_t o, int64_t rows,
                                 bool b16, bool y16) {
  for (int64_t n = 0; n < s->N; n++)
    for (int64_t r = 0; r < rows; r++) {
      const float v = sums[r * s->width + n] + (b ? lamina_loop_get(b, o + r, b16) : 0);
      lamina_loop_set(y, n * s->O + o + r, s->relu && v < 0 ? 0 : v, y16);
    }
}

static void run_forward(const lamina_plan *plan, const state *s, const lamina_args *args, void *workspace) {
  const bool x16 = lamina_loop_is_bf16(plan, s->x), w16 = lamina_loop_is_bf16(plan, s->w),
             y16 = lamina_loop_is_bf16(plan, s->y), b16 = s->b >= 0 && lamina_loop_is_bf16(plan, s->b);
  const void *x = args->p[s->x], *w = args->p[s->w], *b = s->b >= 0 ? args->p[s->b] : NULL;
  float *const packed = workspace;
#pragma omp parallel if (s->N * s->I * s->O >= ALONE)
  {
    char *const own = (char *)workspace + s->shared + (size_t)lamina_loop_thread() * s->own;
    float *const sums = (float *)(void *)own, *const widened = (float *)(void *)(own + s->own_at);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < s->I; i += 16) pack(s, x, x16, i, (int)least(16, s->I - i), packed);
#pragma omp for schedule(dynamic)
    for (int64_t o = 0; o < s->O; o += s->task) {
      const int64_t rows = least(s->task, s->O - o);
      for (int64_t k = 0; k < s->I; k += DEPTH) add_depth(s, w, w16, o, rows, k, packed, sums, widened);
      write_columns(s, sums, b, args->p[s->y], o, rows, b16, y16);
    }
  }
}

/* ---- Backward, data --------------------------------------------------------------------------------------------- */

/* sums [N][width] (+)= DEPTH columns, at k, of dy times rows of w, its columns i … */
static void add_rows(const state *s, const void *w, bool bf16, int64_t i, int64_t columns, int64_t k, const float *dy,
                     float *sums, float *panel) {
  const lamina_thin_kernel *kernel = s->kernel;
  const int64_t depth = least(DEPTH, s->O - k), most = kernel->vectors * kernel->lanes, element = bf16 ? 2 : 4;
  const int64_t share = ceiling(DEPTH, ceiling(s->N, kernel->rows)); /* rows of w that a tile asks for */
  lamina_thin_tile tile = {.k = depth, .lda = s->O + AWAY, .ldc = s->width, .add = k > 0};
  tile.ahead_row = s->I * element;
  for (int64_t j = 0; j < columns; j += most) {
    const int64_t here = least(most, columns - j), vectors = ceiling(here, kernel->lanes);
    const int64_t width = vectors * kernel->lanes;
    const bool last = j + most >= columns; /* of this depth */
    const int64_t row = last ? k + DEPTH : k, rows = least(DEPTH, s->O - row), column = last ? i : i + j + most;
    for (int64_t r = 0; r < depth; r++) /* (what fills the last vector up reaches sums that nobody reads) */
      read_row(w, (k + r) * s->I + i + j, here, bf16, panel + r * width);
    for (int64_t n = 0, asked = 0; n < s->N; n += kernel->rows, asked += share) {
      tile.ahead_rows = asked < rows ? (int)least(share, rows - asked) : 0;
      const int64_t at = tile.ahead_rows ? (row + asked) * s->I + column : 0;
      kernel->tile((int)least(kernel->rows, s->N - n), (int)vectors, &tile, dy + n * tile.lda + k, panel,
                   sums + n * s->width + j, (const char *)w + at * element);
    }
  }
}

static void run_data(const lamina_plan *plan, const state *s, const lamina_args *args, void *workspace) {
  const bool dy16 = lamina_loop_is_bf16(plan, s->x), w16 = lamina_loop_is_bf16(plan, s->w),
             gate16 = s->gate >= 0 && lamina_loop_is_bf16(plan, s->gate), dx16 = lamina_loop_is_bf16(plan, s->y);
  const void *dy = args->p[s->x], *w = args->p[s->w], *gate = s->gate >= 0 ? args->p[s->gate] : NULL;
  float *const away = workspace;
#pragma omp parallel if (s->N * s->I * s->O >= ALONE)
  {
    char *const own = (char *)workspace + s->shared + (size_t)lamina_loop_thread() * s->own;
    float *const sums = (float *)(void *)own, *const panel = (float *)(void *)(own + s->own_at);
#pragma omp for schedule(static)
    for (int64_t n = 0; n < s->N; n++) read_row(dy, n * s->O, s->O, dy16, away + n * (s->O + AWAY));
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < s->I; i += s->task) {
      const int64_t columns = least(s->task, s->I - i);
      for (int64_t k = 0; k < s->O; k += DEPTH) add_rows(s, w, w16, i, columns, k, away, sums, panel);
      for (int64_t n = 0; n < s->N; n++)
        (dx16 ? leave_bf16 : leave_f32)(columns, sums + n * s->width, gate, args->p[s->y], n * s->I + i, gate16);
    }
  }
}

/* ---- The engine ------------------------------------------------------------------------------------------------- */

static const char *refusal(const lamina_problem *p) {
  const lamina_op_def *op = lamina_op_at(p->op);
  for (int i = 0; op->args[i].name; i++) {
    const int32_t dtype = p->arg[i].dtype;
    if (dtype != LAMINA_NONE && dtype != LAMINA_F32 && dtype != LAMINA_BF16) return "it takes f32 and bf16";
  }
  return p->arg[0].dims[0] > MOST ? "it is for batches of up to 512" : NULL;
}

/* Instructions for each multiply-add: a row's element is spread for all vectors, and a vector is loaded for all rows. */
static double instructions(double rows, double vectors) { return 1 + 1 / vectors + 1 / rows; }

/* Multiply-adds, some of which fill vectors up, in tiles that few examples make small. */
static double seconds(lamina_device *device, const lamina_problem *problem, const state *s, double share) {
  const lamina_thin_kernel *kernel = s->kernel;
  const double N = (double)s->N, rows = N < kernel->rows ? N : kernel->rows;
  const int64_t threads = lamina_device_threads(device), tasks = ceiling(s->forward ? s->O : s->I, s->task);
  const double idle = (double)(ceiling(tasks, threads) * threads) / (double)tasks;
  double flops, bytes,
      each = instructions(rows, kernel->vectors) + 2 / N; /* a vector of w is loaded and stored first */
  lamina_problem_work(problem, &flops, &bytes);
  if (s->forward) {
    flops *= (double)s->width / N;
    each = instructions(kernel->rows, (double)(s->width / kernel->lanes) / (double)panels_of(s));
  }
  each /= instructions(kernel->rows, kernel->vectors); /* share is of whole tiles */
  const double w = (double)lamina_desc_bytes(&problem->arg[s->w]);
  const double reading =
      s->forward ? lamina_cpu_moving(device, w) : lamina_loop_moving(device, w); /* in short pieces */
  return idle * each * lamina_cpu_computing(device, flops, share) + reading +
         lamina_cpu_moving(device, bytes - w + 2 * (double)s->shared) + 2e-6;
}

static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  const char *reason = refusal(problem);
  const lamina_thin_kernel *kernel;
  (void)engine;
  if (reason) each(context, NULL, 0, reason);
  for (int i = 0; !reason && (kernel = lamina_thin_kernel_at(i)); i++) {
    const state s = state_of(problem, kernel, lamina_device_threads(device));
    each(context, kernel->name, seconds(device, problem, &s, kernel->share / (1 << i)), "");
  }
}

static lamina_status prepare(lamina_plan *plan) {
  const state s = state_of(&plan->problem, lamina_thin_kernel_at(lamina_isa_index(plan->variant)), plan->threads);
  plan->workspace = s.shared + (size_t)plan->threads * s.own;
  return LAMINA_OK;
}

static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  const state s = state_of(&plan->problem, lamina_thin_kernel_at(lamina_isa_index(plan->variant)), plan->threads);
  (void)stream;
  (s.forward ? run_forward : run_data)(plan, &s, args, workspace);
  return LAMINA_OK;
}

#define ENGINE(op_)                                                                                                    \
  .size = sizeof(lamina_engine), .abi = LAMINA_ENGINE_ABI, .device = "cpu", .name = "thin", .op = (op_),               \
  .strides = LAMINA_STRIDES_DENSE, .candidates = candidates, .prepare = prepare, .run = run
const lamina_engine lamina_cpu_thin_fc_forward = {ENGINE("fc/forward")};
const lamina_engine lamina_cpu_thin_fc_relu_forward = {ENGINE("fc_relu/forward")};
const lamina_engine lamina_cpu_thin_fc_backward_data = {ENGINE("fc/backward_data")};
const lamina_engine lamina_cpu_thin_relu_fc_backward_data = {ENGINE("relu_fc/backward_data")};
