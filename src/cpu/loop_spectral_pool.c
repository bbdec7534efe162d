/* Spectral pooling on the CPU: one matrix product an axis, with tables that prepare makes.
 *
 * Along an axis of size n, of which m is kept, x[h] adds to y[o] the complex number
 *
 *   C[o][h] = P[o][h] + i (-1)^o s[h]
 *
 * with P real, and s (a sine, of the frequency -m/2) only where m is even and less than n: else it is 0. The real part
 * of a product of such numbers is
 *
 *   Re C0 C1 C2 = P0 P1 P2 - (±s0)(±s1) P2 - (±s0) P1 (±s2) - P0 (±s1)(±s2)
 *
 * So a table is P with s as one more row, the three products give one more element along each such axis, and those
 * few, where two indices are beyond, are subtracted with their signs:
 *
 *   forward   x [D][H][W] → [D][H][W'] → [D][H'][W'] → [D'][H'][W'], then y          ' is m, or m + 1 with s
 *   backward  dy, then its signed sums into the elements beyond → … → dx, with the tables turned */
#include <math.h>

#include "cpu/gemm.h"
#include "cpu/loop.h"
#include "lamina/spectral_pool.h"

/* The plan's state. */
typedef struct spectral {
  size_t size; /* bytes of this block, tables included */
  int64_t planes, x[3], y[3];
  int64_t extended[3];              /* y, plus one where the axis has s */
  int64_t x_plane, y_plane, buffer; /* elements; of what lies between two products */
  const float *table[3];            /* [extended][x] */
  size_t gemm;                      /* bytes of a thread's workspace for products */
} spectral;

/* ---- Tables ----------------------------------------------------------------------------------------------------- */

/* sin(pi * a/b), a reduced as an integer. */
static double sine(int64_t a, int64_t b) {
  a %= 2 * b;
  if (a >= b) return -sine(a - b, b);
  return sin(M_PI * ((double)(a <= b - a ? a : b - a) / (double)b));
}

/* The sum over |k| < m/2 of cos(2 pi k (o/m - h/n)) is Dirichlet's kernel; an even m adds the frequency m/2. */
static double entry(int64_t n, int64_t m, int64_t o, int64_t h) {
  const int64_t turn = m * n, terms = m - 1 + m % 2;
  int64_t t = (o * n - h * m) % turn; /* of the circle */
  if (t < 0) t += turn;
  double sum = t == 0 ? (double)terms : sine(terms * t, turn) / sine(t, turn);
  if (m % 2 == 0) sum += (o % 2 ? -1 : 1) * sine(2 * h * m + n, 2 * n); /* cos(pi h m/n) */
  return sum / sqrt((double)turn);
}

static void fill_table(float *table, int64_t n, int64_t m, int64_t extended) {
  for (int64_t o = 0; o < m; o++)
    for (int64_t h = 0; h < n; h++) table[o * n + h] = (float)entry(n, m, o, h);
  for (int64_t h = 0; h < n && extended > m; h++)
    table[m * n + h] = (float)(sine(h * m, n) / sqrt((double)m * (double)n));
}

/* ---- Prepare ---------------------------------------------------------------------------------------------------- */

static lamina_gemm product(int64_t M, int64_t N, int64_t K, lamina_gemm_matrix a, lamina_gemm_matrix b, void *c) {
  return (lamina_gemm){.M = M, .N = N, .K = K, .a = a, .b = b, .c = c, .ldc = N};
}

static int64_t most_of(int64_t a, int64_t b) { return a > b ? a : b; }

static void read_sizes(spectral *s, const lamina_problem *p, int x, int y) {
  const lamina_desc *dx = &p->arg[x], *dy = &p->arg[y];
  const int axes = dx->rank - 2;
  s->planes = dx->dims[0] * dx->dims[1];
  s->x_plane = s->y_plane = 1;
  for (int a = 0; a < 3; a++) s->x[a] = s->y[a] = 1;
  for (int a = 0; a < axes; a++) s->x[3 - axes + a] = dx->dims[2 + a], s->y[3 - axes + a] = dy->dims[2 + a];
  for (int a = 0; a < 3; a++) {
    s->extended[a] = s->y[a] + (s->y[a] % 2 == 0 && s->y[a] < s->x[a]);
    s->x_plane *= s->x[a], s->y_plane *= s->y[a];
  }
  /* between two products an axis has its size of either side */
  s->buffer = 1;
  for (int a = 0; a < 3; a++) s->buffer *= most_of(s->x[a], s->extended[a]);
  s->buffer = (s->buffer + 15) & -16;
}

/* The widest product of any pass and axis; a smaller one needs no more. */
static size_t gemm_room(const spectral *s, bool bf16) {
  int64_t rows = 1, longest = 1;
  for (int a = 0; a < 3; a++) longest = most_of(longest, most_of(s->x[a], s->extended[a]));
  for (int a = 0; a < 2; a++) rows *= most_of(s->x[a], s->extended[a]);
  const int64_t columns = most_of(s->x[1], s->extended[1]) * most_of(s->x[2], s->extended[2]);
  const lamina_gemm_matrix any = {NULL, 1, longest, bf16};
  const lamina_gemm widest = product(most_of(rows, longest), most_of(columns, longest), longest, any, any, NULL);
  return lamina_align_up(lamina_gemm_workspace(&widest), 64);
}

static lamina_status prepare(lamina_plan *plan, int x, int y) {
  spectral s = {0};
  read_sizes(&s, &plan->problem, x, y);
  const size_t head = lamina_align_up(sizeof s, 64);
  s.size = head;
  for (int a = 0; a < 3; a++) s.size += (size_t)(s.extended[a] * s.x[a]) * sizeof(float);
  char *memory = lamina_host_alloc(plan->device, s.size);
  if (!memory) return LAMINA_OUT_OF_MEMORY;
  float *table = (void *)(memory + head);
  for (int a = 0; a < 3; table += s.extended[a] * s.x[a], a++) {
    fill_table(table, s.x[a], s.y[a], s.extended[a]);
    s.table[a] = table;
  }
  s.gemm = gemm_room(&s, lamina_loop_is_bf16(plan, x));
  memcpy(memory, &s, sizeof s);
  plan->state = memory;
  plan->workspace = (size_t)plan->threads * (s.gemm + 2 * (size_t)s.buffer * sizeof(float));
  return LAMINA_OK;
}

static void release(lamina_plan *plan) {
  const spectral *s = plan->state;
  if (s) lamina_host_free(plan->device, plan->state, s->size);
}

/* What a thread works with. */
typedef struct scratch {
  void *gemm;
  float *a, *b; /* [buffer] */
} scratch;

static scratch scratch_of(const spectral *s, void *workspace) {
  char *mine = (char *)workspace + (size_t)lamina_loop_thread() * (s->gemm + 2 * (size_t)s->buffer * sizeof(float));
  float *a = (void *)(mine + s->gemm);
  return (scratch){mine, a, a + s->buffer};
}

/* ---- Products ---------------------------------------------------------------------------------------------------- */

/* from[0] … from[2] → to[0] … to[2], one axis after the other, the last one first: `in` into m->b by way of m->a, or
 * into `out`. Each table is [to][from] (forward) or [from][to] (turned). */
static void multiply(const spectral *s, const int64_t from[3], const int64_t to[3], bool turned, const void *in,
                     bool in_bf16, float *out, const scratch *m) {
  lamina_gemm_matrix table[3];
  for (int a = 0; a < 3; a++)
    table[a] = turned ? (lamina_gemm_matrix){s->table[a], 1, to[a], false}
                      : (lamina_gemm_matrix){s->table[a], from[a], 1, false}; /* rows: to, columns: from */
  const lamina_gemm_matrix across = {table[2].data, table[2].col, table[2].row, false};
  lamina_gemm gemm =
      product(from[0] * from[1], to[2], from[2], (lamina_gemm_matrix){in, from[2], 1, in_bf16}, across, m->a);
  lamina_gemm_run(&gemm, m->gemm);
  const bool last = from[0] == 1 && to[0] == 1; /* the table of the first axis is 1 */
  float *second = last ? out : m->b;
  for (int64_t d = 0; d < from[0]; d++) {
    gemm = product(to[1], to[2], from[1], table[1], (lamina_gemm_matrix){m->a + d * from[1] * to[2], to[2], 1, false},
                   second + d * to[1] * to[2]);
    lamina_gemm_run(&gemm, m->gemm);
  }
  if (last) return;
  const int64_t columns = to[1] * to[2];
  gemm = product(to[0], columns, from[0], table[0], (lamina_gemm_matrix){m->b, columns, 1, false}, out);
  lamina_gemm_run(&gemm, m->gemm);
}

/* ---- Forward ---------------------------------------------------------------------------------------------------- */

enum { X, Y };

LAMINA_INLINE float sign_of(int64_t i) { return i % 2 ? -1.0f : 1.0f; }

/* What lies beyond two axes at once is subtracted from the rest, `e` [extended], which becomes y. */
LAMINA_INLINE void fold(const spectral *s, const float *restrict e, void *y, bool bf16) {
  const int64_t *m = s->y, *n = s->extended;
  const bool has0 = n[0] > m[0], has1 = n[1] > m[1], has2 = n[2] > m[2];
  for (int64_t o0 = 0, at = 0; o0 < m[0]; o0++)
    for (int64_t o1 = 0; o1 < m[1]; o1++, at += m[2]) {
      const float *row = e + (o0 * n[1] + o1) * n[2], *both = e + (m[0] * n[1] + m[1]) * n[2];
      float alternating = 0;
      if (has1 && has2) alternating += sign_of(o1) * e[(o0 * n[1] + m[1]) * n[2] + m[2]];
      if (has0 && has2) alternating += sign_of(o0) * e[(m[0] * n[1] + o1) * n[2] + m[2]];
      for (int64_t o2 = 0; o2 < m[2]; o2++) {
        const float beyond = has0 && has1 ? sign_of(o0 + o1) * both[o2] : 0;
        lamina_loop_set(y, at + o2, row[o2] - sign_of(o2) * alternating - beyond, bf16);
      }
    }
}

LAMINA_CLONES static void fold_f32(const spectral *s, const float *e, float *y) { fold(s, e, y, false); }
LAMINA_CLONES static void fold_bf16(const spectral *s, const float *e, uint16_t *y) { fold(s, e, y, true); }

static lamina_status prepare_forward(lamina_plan *plan) { return prepare(plan, X, Y); }

static lamina_status run_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  const spectral *s = plan->state;
  const bool bf16 = lamina_loop_is_bf16(plan, X);
  (void)stream;
#pragma omp parallel for schedule(static) if (s->planes * s->x_plane >= LAMINA_LOOP_PARALLEL / 8)
  for (int64_t i = 0; i < s->planes; i++) {
    const scratch m = scratch_of(s, workspace);
    const bool flat = s->x[0] == 1; /* the last product then reads m->a, so its result can lie in m->b */
    float *e = flat ? m.b : m.a;
    multiply(s, s->x, s->extended, false, lamina_loop_at(args->p[X], i * s->x_plane, bf16), bf16, e, &m);
    if (bf16)
      fold_bf16(s, e, lamina_loop_to(args->p[Y], i * s->y_plane, true));
    else
      fold_f32(s, e, lamina_loop_to(args->p[Y], i * s->y_plane, false));
  }
  return LAMINA_OK;
}

const lamina_engine lamina_cpu_loop_spectral_pool_forward = {
    LAMINA_LOOP_ENGINE("spectral_pool/forward", LAMINA_STRIDES_DENSE),
    .candidates = lamina_loop_candidates,
    .prepare = prepare_forward,
    .run = run_forward,
    .release = release,
};

/* ---- Backward --------------------------------------------------------------------------------------------------- */

enum { DY, DX };

/* The transpose of fold: dy [y] becomes e [extended]. */
LAMINA_INLINE void unfold(const spectral *s, const void *dy, float *restrict e, bool bf16) {
  const int64_t *m = s->y, *n = s->extended;
  const bool has0 = n[0] > m[0], has1 = n[1] > m[1], has2 = n[2] > m[2];
  memset(e, 0, (size_t)(n[0] * n[1] * n[2]) * sizeof *e);
  for (int64_t o0 = 0, at = 0; o0 < m[0]; o0++)
    for (int64_t o1 = 0; o1 < m[1]; o1++, at += m[2]) {
      float *row = e + (o0 * n[1] + o1) * n[2], *both = e + (m[0] * n[1] + m[1]) * n[2];
      float alternating = 0;
      for (int64_t o2 = 0; o2 < m[2]; o2++) {
        const float v = lamina_loop_get(dy, at + o2, bf16);
        row[o2] = v;
        alternating += sign_of(o2) * v;
        if (has0 && has1) both[o2] -= sign_of(o0 + o1) * v;
      }
      if (has1 && has2) e[(o0 * n[1] + m[1]) * n[2] + m[2]] -= sign_of(o1) * alternating;
      if (has0 && has2) e[(m[0] * n[1] + o1) * n[2] + m[2]] -= sign_of(o0) * alternating;
    }
}

LAMINA_CLONES static void unfold_f32(const spectral *s, const float *dy, float *e) { unfold(s, dy, e, false); }
LAMINA_CLONES static void unfold_bf16(const spectral *s, const uint16_t *dy, float *e) { unfold(s, dy, e, true); }

static lamina_status prepare_backward(lamina_plan *plan) { return prepare(plan, DX, DY); }

static lamina_status run_backward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                  lamina_stream *stream) {
  const spectral *s = plan->state;
  const bool bf16 = lamina_loop_is_bf16(plan, DY);
  (void)stream;
#pragma omp parallel for schedule(static) if (s->planes * s->x_plane >= LAMINA_LOOP_PARALLEL / 8)
  for (int64_t i = 0; i < s->planes; i++) {
    const scratch m = scratch_of(s, workspace);
    if (bf16) {
      unfold_bf16(s, lamina_loop_at(args->p[DY], i * s->y_plane, true), m.b);
      float *sum = s->x[0] == 1 ? m.b : m.a;
      multiply(s, s->extended, s->x, true, m.b, false, sum, &m);
      lamina_bf16_write(s->x_plane, sum, lamina_loop_to(args->p[DX], i * s->x_plane, true));
    } else {
      unfold_f32(s, lamina_loop_at(args->p[DY], i * s->y_plane, false), m.b);
      multiply(s, s->extended, s->x, true, m.b, false, lamina_loop_to(args->p[DX], i * s->x_plane, false), &m);
    }
  }
  return LAMINA_OK;
}

const lamina_engine lamina_cpu_loop_spectral_pool_backward = {
    LAMINA_LOOP_ENGINE("spectral_pool/backward", LAMINA_STRIDES_DENSE),
    .candidates = lamina_loop_candidates,
    .prepare = prepare_backward,
    .run = run_backward,
    .release = release,
};
