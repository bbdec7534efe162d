/* The batched matrix product: rows, shapes, reference and the typed calls. */
#include "lamina/matmul.h"

#include <math.h>

#include "core/draw.h"
#include "core/plan.h"
#include "core/problem.h"

enum { A, B, Y };       /* of forward */
enum { DY, A_B, DA };   /* of backward_a */
enum { B_A, B_DY, DB }; /* of backward_b */
static const lamina_arg_def forward_args[] = {{"a", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                              {"b", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                              {"y", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                              {0}};
static const lamina_arg_def backward_a_args[] = {{"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                                 {"b", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                                 {"da", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                                 {0}};
static const lamina_arg_def backward_b_args[] = {{"a", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                                 {"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                                 {"db", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                                 {0}};
LAMINA_CHECK_ARGS(matmul_forward, forward_args);
LAMINA_CHECK_ARGS(matmul_backward_a, backward_a_args);
LAMINA_CHECK_ARGS(matmul_backward_b, backward_b_args);

static const lamina_attr_def attrs[] = {
    {.name = "transpose_a", .type = LAMINA_ATTR_BOOL, .offset = offsetof(lamina_matmul, transpose_a)},
    {.name = "transpose_b", .type = LAMINA_ATTR_BOOL, .offset = offsetof(lamina_matmul, transpose_b)},
    {0}};

static bool transposed(const lamina_problem *p, bool b) {
  const lamina_matmul *matmul = lamina_attr(p);
  return b ? matmul->transpose_b : matmul->transpose_a;
}

/* ---- Shapes ----------------------------------------------------------------------------------------------------- */

/* Rows and columns of A (or B) as the product takes it; what `swap` says comes from the attribute. */
static int64_t rows_of(const lamina_desc *x, bool swap) { return x->dims[x->rank - (swap ? 1 : 2)]; }
static int64_t columns_of(const lamina_desc *x, bool swap) { return x->dims[x->rank - (swap ? 2 : 1)]; }

/* The size of the batch axis that lies `back` axes before the matrix; 1 where there is none. */
static int64_t batch_of(const lamina_desc *x, int back) { return x->rank - 3 < back ? 1 : x->dims[x->rank - 3 - back]; }

static lamina_status want_matrices(const lamina_problem *p, int one, int other) {
  LAMINA_TRY(lamina_want_rank(p, one, 2, LAMINA_MAX_RANK));
  return lamina_want_rank(p, other, 2, LAMINA_MAX_RANK);
}

static lamina_status infer_forward(lamina_problem *p) {
  const lamina_desc *a = &p->arg[A], *b = &p->arg[B];
  int64_t dims[LAMINA_MAX_RANK];
  LAMINA_TRY(want_matrices(p, A, B));
  const int rank = a->rank > b->rank ? a->rank : b->rank;
  const int64_t K = columns_of(a, transposed(p, false));
  if (rows_of(b, transposed(p, true)) != K)
    return lamina_problem_error(p, B, "expected %lld %s, as many as a has %s", (long long)K,
                                transposed(p, true) ? "columns" : "rows", transposed(p, false) ? "rows" : "columns");
  for (int back = 0; back < rank - 2; back++) {
    const int64_t of_a = batch_of(a, back), of_b = batch_of(b, back);
    if (of_a != of_b && of_a != 1 && of_b != 1)
      return lamina_problem_error(p, B, "expected %lld or 1 on axis %d, as a has %lld there", (long long)of_a,
                                  b->rank - 3 - back, (long long)of_a);
    dims[rank - 3 - back] = of_a == 1 ? of_b : of_a;
  }
  dims[rank - 2] = rows_of(a, transposed(p, false)), dims[rank - 1] = columns_of(b, transposed(p, true));
  return lamina_set_output(p, Y, (lamina_dtype)a->dtype, rank, dims);
}

/* The gradient `dx` [rows, columns] of an input whose partner was `other`: its batches are dy's, or 1 (or no axis) where
 * the partner has dy's. */
static lamina_status infer_gradient(lamina_problem *p, int dx, int dy, int other, int64_t rows, int64_t columns) {
  const lamina_desc *out = &p->arg[dx], *given = &p->arg[dy], *partner = &p->arg[other];
  int64_t dims[LAMINA_MAX_RANK];
  int rank = given->rank;
  for (int back = 0; back < LAMINA_MAX_RANK - 2; back++) {
    const int64_t of_partner = batch_of(partner, back), of_dy = batch_of(given, back);
    if (of_partner != of_dy && of_partner != 1)
      return lamina_problem_error(p, other, "expected %lld or 1 on axis %d, as dy has %lld there", (long long)of_dy,
                                  partner->rank - 3 - back, (long long)of_dy);
  }
  if (out->rank != LAMINA_RANK_INFER) {
    LAMINA_TRY(lamina_want_rank(p, dx, 2, given->rank));
    rank = out->rank;
  }
  for (int d = 0; d < rank - 2; d++) dims[d] = given->dims[d + given->rank - rank];
  for (int back = 0; back < LAMINA_MAX_RANK - 2 && out->rank != LAMINA_RANK_INFER; back++) {
    const int64_t of_dy = batch_of(given, back);
    const bool shared = of_dy != 1 && batch_of(partner, back) == of_dy && batch_of(out, back) == 1;
    if (shared && back < rank - 2) dims[rank - 3 - back] = 1;
    if (!shared && back >= rank - 2 && of_dy != 1)
      return lamina_problem_error(p, dx, "expected an axis of %lld before its first", (long long)of_dy);
  }
  dims[rank - 2] = rows, dims[rank - 1] = columns;
  return lamina_set_output(p, dx, (lamina_dtype)given->dtype, rank, dims);
}

static lamina_status infer_backward_a(lamina_problem *p) {
  const lamina_desc *dy = &p->arg[DY], *b = &p->arg[A_B];
  LAMINA_TRY(want_matrices(p, DY, A_B));
  const bool swap = transposed(p, false);
  const int64_t M = rows_of(dy, false), N = columns_of(dy, false), K = rows_of(b, transposed(p, true));
  if (columns_of(b, transposed(p, true)) != N)
    return lamina_problem_error(p, A_B, "expected %lld %s, as many as dy has columns", (long long)N,
                                transposed(p, true) ? "rows" : "columns");
  return infer_gradient(p, DA, DY, A_B, swap ? K : M, swap ? M : K);
}

static lamina_status infer_backward_b(lamina_problem *p) {
  const lamina_desc *dy = &p->arg[B_DY], *a = &p->arg[B_A];
  LAMINA_TRY(want_matrices(p, B_A, B_DY));
  const bool swap = transposed(p, true);
  const int64_t M = rows_of(dy, false), N = columns_of(dy, false), K = columns_of(a, transposed(p, false));
  if (rows_of(a, transposed(p, false)) != M)
    return lamina_problem_error(p, B_A, "expected %lld %s, as many as dy has rows", (long long)M,
                                transposed(p, false) ? "columns" : "rows");
  return infer_gradient(p, DB, B_DY, B_A, swap ? N : K, swap ? K : N);
}

/* ---- The reference ---------------------------------------------------------------------------------------------- */

/* Where the matrix of `x` begins that belongs to batch `at` (an index for each of `of`'s batch axes, last one first). */
static int64_t matrix_at(const lamina_desc *x, const int64_t at[LAMINA_MAX_RANK]) {
  int64_t step = x->dims[x->rank - 2] * x->dims[x->rank - 1], offset = 0;
  for (int back = 0; back < x->rank - 2; step *= batch_of(x, back), back++)
    if (batch_of(x, back) > 1) offset += at[back] * step;
  return offset;
}

/* A matrix in row-major memory, by its row and column as the product takes them. */
static double entry(const double *x, const lamina_desc *desc, bool swap, int64_t row, int64_t column) {
  return x[swap ? column * desc->dims[desc->rank - 1] + row : row * desc->dims[desc->rank - 1] + column];
}

/* The index of element `index` of `x`: its batch, last axis first, its row and its column. */
static void split_index(const lamina_desc *x, int64_t index, int64_t at[LAMINA_MAX_RANK], int64_t *row,
                        int64_t *column) {
  *column = index % x->dims[x->rank - 1], index /= x->dims[x->rank - 1];
  *row = index % x->dims[x->rank - 2], index /= x->dims[x->rank - 2];
  for (int back = 0; back < LAMINA_MAX_RANK; back++) {
    at[back] = index % batch_of(x, back);
    index /= batch_of(x, back);
  }
}

/* Adds sum over k of left[row, k] * right[k, column] to what `e` holds; *squares is q^2. */
static void add_products(lamina_expected *e, double *squares, int64_t K, const double *left, const lamina_desc *l,
                         bool swap_l, int64_t row, const double *right, const lamina_desc *r, bool swap_r,
                         int64_t column) {
  for (int64_t k = 0; k < K; k++) {
    const double product = entry(left, l, swap_l, row, k) * entry(right, r, swap_r, k, column);
    e->value += product;
    *squares += product * product;
  }
  e->terms += K;
}

static void element_forward(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_problem *p = ref->problem;
  const lamina_desc *a = &p->arg[A], *b = &p->arg[B];
  int64_t at[LAMINA_MAX_RANK], m, n;
  double squares = 0;
  split_index(&p->arg[arg], index, at, &m, &n);
  add_products(e, &squares, columns_of(a, transposed(p, false)), ref->x[A] + matrix_at(a, at), a, transposed(p, false),
               m, ref->x[B] + matrix_at(b, at), b, transposed(p, true), n);
  e->q = sqrt(squares);
}

/* Moves `at` to the next batch of dy that used the same matrix of `x`; false after the last. */
static bool next_batch(const lamina_desc *x, const lamina_desc *dy, int64_t at[LAMINA_MAX_RANK]) {
  for (int back = 0; back < dy->rank - 2; back++) {
    if (batch_of(x, back) == batch_of(dy, back)) continue;
    if (++at[back] < batch_of(dy, back)) return true;
    at[back] = 0;
  }
  return false;
}

/* dA[m,k] = sum over n of dy[m,n] B[k,n] */
static void element_backward_a(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_problem *p = ref->problem;
  const lamina_desc *dy = &p->arg[DY], *b = &p->arg[A_B], *da = &p->arg[arg];
  int64_t at[LAMINA_MAX_RANK], row, column;
  double squares = 0;
  if (lamina_desc_count(dy) == 0) {
    e->terms = -1;
    return;
  }
  split_index(da, index, at, &row, &column);
  const int64_t m = transposed(p, false) ? column : row, k = transposed(p, false) ? row : column;
  do
    add_products(e, &squares, columns_of(dy, false), ref->x[DY] + matrix_at(dy, at), dy, false, m,
                 ref->x[A_B] + matrix_at(b, at), b, !transposed(p, true), k);
  while (next_batch(da, dy, at));
  e->q = sqrt(squares);
}

/* dB[k,n] = sum over m of A[m,k] dy[m,n] */
static void element_backward_b(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_problem *p = ref->problem;
  const lamina_desc *dy = &p->arg[B_DY], *a = &p->arg[B_A], *db = &p->arg[arg];
  int64_t at[LAMINA_MAX_RANK], row, column;
  double squares = 0;
  if (lamina_desc_count(dy) == 0) {
    e->terms = -1;
    return;
  }
  split_index(db, index, at, &row, &column);
  const int64_t n = transposed(p, true) ? row : column, k = transposed(p, true) ? column : row;
  do
    add_products(e, &squares, rows_of(dy, false), ref->x[B_A] + matrix_at(a, at), a, !transposed(p, false), k,
                 ref->x[B_DY] + matrix_at(dy, at), dy, false, n);
  while (next_batch(db, dy, at));
  e->q = sqrt(squares);
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

/* Products of integers up to 2: sums stay exact in f32 for K up to 2^22. */
static bool fills(const lamina_problem *p, bool exact, lamina_fill_def *fill) {
  if (exact) lamina_fill_integers(p, fill, -2, 2);
  return true;
}

/* Batches, those of a and those of b: none, one side's, both sides', and each broadcast. */
static void sample(lamina_problem *p, lamina_draw *draw) {
  static const int64_t batches[][2][3] = {
      /* how many, sizes */
      {{0}, {0}},       {{1, 3}, {0}},          {{0}, {1, 2}},       {{1, 2}, {1, 2}},      {{1, 4}, {1, 1}},
      {{1, 1}, {1, 3}}, {{2, 2, 1}, {2, 1, 3}}, {{2, 2, 3}, {1, 3}}, {{2, 2, 3}, {2, 2, 3}}};
  const lamina_matmul matmul = {.transpose_a = LAMINA_PICK(draw, "transpose_a", 0, 1),
                                .transpose_b = LAMINA_PICK(draw, "transpose_b", 0, 1)};
  const int64_t M = LAMINA_PICK(draw, "M", 1, 2, 13, 40, 0), N = LAMINA_PICK(draw, "N", 1, 3, 16, 35),
                K = LAMINA_PICK(draw, "K", 1, 2, 17, 64, 300, 0);
  const int64_t(*batch)[3] = batches[LAMINA_PICK(draw, "batches", 0, 1, 2, 3, 4, 5, 6, 7, 8)];
  memcpy(p->attr, &matmul, sizeof matmul);
  for (int i = A; i <= B; i++) {
    const int axes = (int)batch[i][0];
    const bool swap = i == A ? matmul.transpose_a : matmul.transpose_b;
    const int64_t rows = i == A ? M : K, columns = i == A ? K : N;
    int64_t dims[LAMINA_MAX_RANK];
    for (int d = 0; d < axes; d++) dims[d] = batch[i][1 + d];
    dims[axes] = swap ? columns : rows, dims[axes + 1] = swap ? rows : columns;
    p->arg[i] = lamina_draw_shape(draw, axes + 2, dims);
  }
}

/* 2 operations for each product: every pass has those of y's elements. */
static double flops_forward(const lamina_problem *p) {
  return 2 * (double)lamina_desc_count(&p->arg[Y]) * (double)columns_of(&p->arg[A], transposed(p, false));
}
static double flops_backward_a(const lamina_problem *p) {
  return 2 * (double)lamina_desc_count(&p->arg[DY]) * (double)rows_of(&p->arg[A_B], transposed(p, true));
}
static double flops_backward_b(const lamina_problem *p) {
  return 2 * (double)lamina_desc_count(&p->arg[B_DY]) * (double)columns_of(&p->arg[B_A], transposed(p, false));
}

#define ROW(pass)                                                                                                      \
  .name = "matmul/" #pass, .args = pass##_args, .attrs = attrs, .attr_size = sizeof(lamina_matmul),                    \
  .infer = infer_##pass, .element = element_##pass, .fills = fills, .flops = flops_##pass
const lamina_op_def lamina_ops_matmul[] = {{ROW(forward), .sample = sample}, {ROW(backward_a)}, {ROW(backward_b)}, {0}};

LAMINA_DEFINE_CALLS(matmul_forward, "matmul/forward", matmul, (a, b, y), const lamina_matmul *matmul,
                    const lamina_tensor *a, const lamina_tensor *b, const lamina_tensor *y)
LAMINA_DEFINE_CALLS(matmul_backward_a, "matmul/backward_a", matmul, (dy, b, da), const lamina_matmul *matmul,
                    const lamina_tensor *dy, const lamina_tensor *b, const lamina_tensor *da)
LAMINA_DEFINE_CALLS(matmul_backward_b, "matmul/backward_b", matmul, (a, dy, db), const lamina_matmul *matmul,
                    const lamina_tensor *a, const lamina_tensor *dy, const lamina_tensor *db)
