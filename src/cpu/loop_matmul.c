/* The batched matrix product on the CPU: pieces of y, da or db go to the threads, each a call of cpu/gemm.h.
 *
 * Every pass is C = L R with views of its arguments:
 *   forward      y  = A B
 *   backward_a   da = dy B^T, or with transpose_a its transpose, B dy^T
 *   backward_b   db = A^T dy, or with transpose_b its transpose, dy^T A
 * A batch axis that R doesn't have joins the rows of L where memory allows; one that C doesn't have joins the depth, or
 * is a sum of several products, in f32.
 *   workspace: for each thread [ panels of gemm.h | a piece of C in f32, where batches add up in a bf16 one ] */
#include "cpu/gemm.h"

#include "cpu/gemm_kernel.h"
#include "cpu/loop.h"
#include "lamina/matmul.h"

enum { AXES = LAMINA_MAX_RANK };

/* A side of the product: row and column steps, and those of the batch axes (0: it has none), last axis first. */
typedef struct side {
  int arg;
  int64_t row, column, batch[AXES];
} side;

typedef struct product {
  int64_t M, N, K;
  side left, right, c;
  int axes;
  int64_t size[AXES];    /* of the batch axes, last one first */
  bool bf16, adds;       /* adds: batches add up in C */
  int64_t rows, columns; /* of a piece of C */
  size_t panels, room;   /* workspace of a thread */
} product;

static side side_of(const lamina_problem *p, int arg, bool swap, int64_t rows, int64_t columns, bool transposed_view) {
  const lamina_desc *x = &p->arg[arg];
  const int64_t ld = swap ? rows : columns; /* rows and columns of the matrix that the attribute speaks of */
  side s = {.arg = arg, .row = swap ? 1 : ld, .column = swap ? ld : 1};
  int64_t step = rows * columns;
  if (transposed_view) {
    const int64_t row = s.row;
    s.row = s.column, s.column = row;
  }
  for (int back = 0; back < x->rank - 2; step *= x->dims[x->rank - 3 - back], back++)
    s.batch[back] = x->dims[x->rank - 3 - back] > 1 ? step : 0;
  return s;
}

/* Joins the innermost axis to the rows, or to the depth, where the steps allow it. */
static bool join_axis(product *g) {
  const int64_t d = g->size[0];
  if (d == 1) { /* an axis of nothing */
  } else if (!g->right.batch[0] && g->left.batch[0] == g->M * g->left.row && g->c.batch[0] == g->M * g->c.row) {
    g->M *= d;
  } else if (!g->c.batch[0] && g->left.batch[0] == g->K * g->left.column && g->right.batch[0] == g->K * g->right.row) {
    g->K *= d;
  } else {
    return false;
  }
  g->axes--;
  for (int i = 0; i < g->axes; i++) {
    g->size[i] = g->size[i + 1];
    side *const sides[] = {&g->left, &g->right, &g->c};
    for (int s = 0; s < 3; s++) sides[s]->batch[i] = sides[s]->batch[i + 1];
  }
  return true;
}

static product product_of(const lamina_problem *p) {
  const lamina_matmul *matmul = lamina_attr(p);
  const char *name = lamina_op_at(p->op)->name;
  const bool forward = strcmp(name, "matmul/forward") == 0, of_a = strcmp(name, "matmul/backward_a") == 0;
  const bool ta = matmul->transpose_a, tb = matmul->transpose_b;
  const lamina_desc *y = &p->arg[forward ? 2 : of_a ? 0 : 1], *x = &p->arg[of_a ? 1 : 0];
  const int64_t M = y->dims[y->rank - 2], N = y->dims[y->rank - 1];
  const int64_t K = x->dims[x->rank - (of_a ? (tb ? 1 : 2) : (ta ? 2 : 1))];
  product g = {.axes = y->rank - 2, .bf16 = p->arg[2].dtype == LAMINA_BF16};
  if (forward) {
    g.M = M, g.N = N, g.K = K;
    g.left = side_of(p, 0, ta, M, K, false), g.right = side_of(p, 1, tb, K, N, false);
    g.c = side_of(p, 2, false, M, N, false);
  } else if (of_a) {
    const side dy = side_of(p, 0, false, M, N, ta), b = side_of(p, 1, tb, K, N, !ta);
    g.M = ta ? K : M, g.N = ta ? M : K, g.K = N;
    g.left = ta ? b : dy, g.right = ta ? dy : b, g.c = side_of(p, 2, false, g.M, g.N, false);
  } else {
    const side a = side_of(p, 0, ta, M, K, !tb), dy = side_of(p, 1, false, M, N, tb);
    g.M = tb ? N : K, g.N = tb ? K : N, g.K = M;
    g.left = tb ? dy : a, g.right = tb ? a : dy, g.c = side_of(p, 2, false, g.M, g.N, false);
  }
  for (int back = 0; back < g.axes; back++) g.size[back] = y->dims[y->rank - 3 - back];
  while (g.axes > 0 && join_axis(&g)) {}
  for (int i = 0; i < g.axes; i++) g.adds |= g.size[i] > 1 && !g.c.batch[i];
  return g;
}

static int64_t pieces_of(int64_t n, int64_t piece) { return (n + piece - 1) / piece; }

/* How many matrices C has. */
static int64_t matrices_of(const product *g) {
  int64_t count = 1;
  for (int i = 0; i < g->axes; i++)
    if (g->c.batch[i]) count *= g->size[i];
  return count;
}

/* Pieces of whole tiles, small enough that every thread gets some. */
static void divide(product *g, int threads) {
  int64_t mr, nr;
  lamina_gemm_tile(&mr, &nr);
  g->rows = g->M, g->columns = g->N;
  while (threads > 1 && matrices_of(g) * pieces_of(g->M, g->rows) * pieces_of(g->N, g->columns) < 4 * threads) {
    if (g->rows / mr >= g->columns / nr && g->rows > 2 * mr)
      g->rows = pieces_of(g->rows / 2, mr) * mr;
    else if (g->columns > 2 * nr)
      g->columns = pieces_of(g->columns / 2, nr) * nr;
    else
      break;
  }
  const lamina_gemm one = {.M = g->rows, .N = g->columns, .K = g->K, .c_bf16 = g->bf16 && !g->adds};
  g->panels = lamina_align_up(lamina_gemm_workspace(&one), 64);
  g->room = g->panels + (g->bf16 && g->adds ? lamina_align_up((size_t)(g->rows * g->columns) * sizeof(float), 64) : 0);
}

static lamina_gemm_matrix matrix_of(const lamina_plan *plan, const lamina_args *args, const side *s, int64_t offset) {
  const bool bf16 = lamina_loop_is_bf16(plan, s->arg);
  return (lamina_gemm_matrix){lamina_loop_at(args->p[s->arg], offset, bf16), s->row, s->column, bf16};
}

LAMINA_CLONES static void write_row(int64_t n, const float *x, uint16_t *y) { lamina_bf16_write(n, x, y); }

/* The piece at (i, j) of the C at batch `at`, last axis first. */
static void run_piece(const lamina_plan *plan, const lamina_args *args, const product *g, int64_t at[AXES], int64_t i,
                      int64_t j, void *workspace) {
  float *const block = (float *)(void *)((char *)workspace + g->panels);
  const bool aside = g->bf16 && g->adds;
  int64_t to = i * g->c.row + j;
  for (int d = 0; d < g->axes; d++) to += at[d] * g->c.batch[d];
  lamina_gemm gemm = {.M = g->M - i < g->rows ? g->M - i : g->rows,
                      .N = g->N - j < g->columns ? g->N - j : g->columns,
                      .K = g->K,
                      .c = aside ? block : lamina_loop_to(args->p[g->c.arg], to, g->bf16),
                      .ldc = aside ? g->columns : g->c.row,
                      .c_bf16 = g->bf16 && !aside};
  for (bool more = true; more; gemm.add = true) {
    int64_t left = i * g->left.row, right = j * g->right.column;
    for (int d = 0; d < g->axes; d++) left += at[d] * g->left.batch[d], right += at[d] * g->right.batch[d];
    gemm.a = matrix_of(plan, args, &g->left, left), gemm.b = matrix_of(plan, args, &g->right, right);
    lamina_gemm_run(&gemm, workspace);
    more = false;
    for (int d = 0; d < g->axes && !more; d++) { /* the next batch that adds to this C */
      if (g->c.batch[d] || g->size[d] == 1) continue;
      more = ++at[d] < g->size[d];
      if (!more) at[d] = 0;
    }
  }
  for (int64_t r = 0; r < gemm.M && aside; r++)
    write_row(gemm.N, block + r * gemm.ldc, (uint16_t *)args->p[g->c.arg] + to + r * g->c.row);
}

static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  double flops, bytes;
  (void)engine;
  for (int i = 0; i < 3; i++)
    if (problem->arg[i].dtype != LAMINA_F32 && problem->arg[i].dtype != LAMINA_BF16) {
      each(context, NULL, 0, "it takes f32 and bf16");
      return;
    }
  lamina_problem_work(problem, &flops, &bytes);
  const double share = lamina_gemm_kernel_at(0)->share;
  each(context, "", lamina_cpu_computing(device, flops, share) + 2.5 * lamina_loop_moving(device, bytes) + 2e-6, "");
}

static lamina_status prepare(lamina_plan *plan) {
  product g = product_of(&plan->problem);
  divide(&g, plan->threads);
  plan->workspace = (size_t)plan->threads * g.room;
  return LAMINA_OK;
}

static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  (void)stream;
  product g = product_of(&plan->problem);
  divide(&g, plan->threads);
  const int64_t down = pieces_of(g.M, g.rows), across = pieces_of(g.N, g.columns),
                count = matrices_of(&g) * down * across;
#pragma omp parallel for schedule(static) if (g.M * g.N * matrices_of(&g) * (g.K + 1) >= 2 * LAMINA_LOOP_PARALLEL)
  for (int64_t piece = 0; piece < count; piece++) {
    int64_t at[AXES] = {0}, matrix = piece / (down * across);
    for (int d = 0; d < g.axes; d++)
      if (g.c.batch[d]) at[d] = matrix % g.size[d], matrix /= g.size[d];
    run_piece(plan, args, &g, at, piece / across % down * g.rows, piece % across * g.columns,
              (char *)workspace + (size_t)lamina_loop_thread() * g.room);
  }
  return LAMINA_OK;
}

#define ENGINE(pass)                                                                                                   \
  LAMINA_LOOP_ENGINE("matmul/" #pass, LAMINA_STRIDES_DENSE), .candidates = candidates, .prepare = prepare, .run = run
const lamina_engine lamina_cpu_loop_matmul_forward = {ENGINE(forward)};
const lamina_engine lamina_cpu_loop_matmul_backward_a = {ENGINE(backward_a)};
const lamina_engine lamina_cpu_loop_matmul_backward_b = {ENGINE(backward_b)};
