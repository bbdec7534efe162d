/* Convolution forward and its data's gradient, as one thing (loop_conv.h has the formula): each phase is a matrix product,
 * channels out x (taps x channels in) x (images x positions). Its right side is packed from the input piece by piece
 * (im2col that never is whole); the filter is packed beforehand, where more than one block of positions needs it.
 *
 *   task: ROWS x COLUMNS of the product, summed in f32 over blocks of LAMINA_GEMM_DEPTH; then b, ReLU or gate, rounding,
 *         storing */
#include "cpu/loop_conv.h"

#include "cpu/gemm_kernel.h"
#include "lamina/conv_transpose.h"

enum { ROW_PANELS = 16, COLUMN_PANELS = 8 }; /* of a task: some 200 KB of sums with AVX-512 */
enum { PREPACK_MOST = 64 << 20 };            /* bytes */

typedef struct state {
  size_t size; /* bytes of this block, tables included */
  const lamina_gemm_kernel *kernel;
  int64_t N, groups, C, M;   /* channels of a group: in, out */
  int64_t w_g, w_m, w_c;     /* from a group, a channel out, a channel in of the filter to the next */
  int64_t w[3];              /* its spatial steps */
  int64_t in_area, out_area; /* positions of a plane */
  int64_t rows, columns;     /* of a task */
  int64_t blocks;            /* of rows */
  lamina_loop_axis axis[3];
  int in_arg, w_arg, b_arg, out_arg;
  bool relu;
  int gate_arg; /* 0: none */
  /* bytes of workspace: taps of a phase; its packed filter, 0 where each task packs; a thread's own */
  size_t taps, filter, own;
} state;

typedef struct spot { /* a tap of all axes: where in the filter, where from the position times step */
  int64_t r, offset[3];
} spot;

/* One phase: a choice of one phase for each axis. */
typedef struct product {
  const state *s;
  const lamina_loop_phase *p[3];
  const spot *spot;             /* its taps */
  int64_t taps, depth, columns; /* depth: taps x channels in */
} product;

/* ---- Sizes ------------------------------------------------------------------------------------------------------ */

void lamina_loop_conv_transposed(const lamina_problem *problem, lamina_conv *conv) {
  const lamina_conv_transpose *from = lamina_attr(problem);
  memcpy(conv->pad, from->pad, sizeof conv->pad);
  memcpy(conv->stride, from->stride, sizeof conv->stride);
  memcpy(conv->dilation, from->dilation, sizeof conv->dilation);
  conv->groups = from->groups;
}

void lamina_loop_conv_fc(const lamina_problem *problem, lamina_conv *conv) { (void)problem, (void)conv; }

lamina_loop_conv lamina_loop_conv_of(const lamina_problem *problem, const lamina_loop_conv_row *row) {
  const lamina_desc *x = &problem->arg[row->x], *w = &problem->arg[row->w], *y = &problem->arg[row->y];
  const int axes = x->rank - 2;
  lamina_conv conv = {.groups = 1};
  if (row->attributes)
    row->attributes(problem, &conv);
  else
    memcpy(&conv, problem->attr, sizeof conv);
  lamina_loop_conv s = {.N = x->dims[0],
                        .C = x->dims[1],
                        .K = y->dims[1],
                        .groups = conv.groups,
                        .x_area = 1,
                        .w_area = 1,
                        .y_area = 1,
                        .flip = conv.flip,
                        .same = true};
  for (int a = 0; a < 3; a++) s.x[a] = s.w[a] = s.y[a] = s.stride[a] = s.dilation[a] = 1;
  for (int a = 0; a < axes; a++) {
    const int to = 3 - axes + a;
    s.x[to] = x->dims[2 + a], s.w[to] = w->dims[2 + a], s.y[to] = y->dims[2 + a];
    s.stride[to] = conv.stride[a], s.dilation[to] = conv.dilation[a], s.pad[to] = conv.pad[a][0];
    s.x_area *= s.x[to], s.w_area *= s.w[to], s.y_area *= s.y[to];
    s.same &= s.w[to] == 1 && s.pad[to] == 0 && s.x[to] == s.y[to] && (s.stride[to] == 1 || s.x[to] == 1);
  }
  for (int a = 0; s.same && a < 2; a++) s.x[a] = s.y[a] = s.stride[a] = 1;
  if (s.same) s.x[2] = s.y[2] = s.x_area, s.stride[2] = 1;
  return s;
}

bool lamina_loop_conv_takes(const lamina_problem *problem, lamina_candidate_fn *each, void *context) {
  for (int i = 0; i < LAMINA_MAX_ARGS; i++) {
    const int32_t dtype = problem->arg[i].dtype;
    if (dtype == LAMINA_NONE || dtype == LAMINA_F32 || dtype == LAMINA_BF16) continue;
    each(context, NULL, 0, "it takes f32 and bf16");
    return false;
  }
  return true;
}

/* ---- Axes ------------------------------------------------------------------------------------------------------- */

int64_t lamina_loop_phases(const lamina_loop_conv *c, int a, bool forward) {
  return forward ? 1 : c->stride[a] < c->x[a] ? c->stride[a] : c->x[a];
}

size_t lamina_loop_axes_size(const lamina_loop_conv *c, bool forward) {
  size_t size = 0;
  for (int a = 0; a < 3; a++)
    size += (size_t)lamina_loop_phases(c, a, forward) * sizeof(lamina_loop_phase) +
            (size_t)c->w[a] * sizeof(lamina_loop_tap);
  return size;
}

/* Fills an axis; its tables come from *p and *t, which move on. */
static void axis_open(lamina_loop_axis *to, const lamina_loop_conv *c, int a, bool forward, lamina_loop_phase **p,
                      lamina_loop_tap **t) {
  const int64_t stride = c->stride[a];
  *to = (lamina_loop_axis){.in = forward ? c->x[a] : c->y[a],
                           .out = forward ? c->y[a] : c->x[a],
                           .step = forward ? stride : 1,
                           .every = forward ? 1 : stride,
                           .phases = lamina_loop_phases(c, a, forward),
                           .phase = *p};
  for (int64_t f = 0; f < to->phases; f++) {
    lamina_loop_phase *now = (*p)++;
    *now = (lamina_loop_phase){.first = f, .count = forward ? to->out : (to->out - f + stride - 1) / stride, .tap = *t};
    for (int64_t r = 0; r < c->w[a]; r++) {
      const int64_t at = forward ? r * c->dilation[a] - c->pad[a] : f + c->pad[a] - r * c->dilation[a];
      if (!forward && at % stride != 0) continue;
      *(*t)++ = (lamina_loop_tap){.r = c->flip ? c->w[a] - 1 - r : r, .offset = forward ? at : at / stride};
      now->taps++;
    }
  }
}

void lamina_loop_axes_open(lamina_loop_axis axis[3], const lamina_loop_conv *c, bool forward, void *memory) {
  lamina_loop_phase *p = memory;
  int64_t phases = 0;
  for (int a = 0; a < 3; a++) phases += lamina_loop_phases(c, a, forward);
  lamina_loop_tap *t = (lamina_loop_tap *)(p + phases);
  for (int a = 0; a < 3; a++) axis_open(&axis[a], c, a, forward, &p, &t);
}

/* ---- Preparing -------------------------------------------------------------------------------------------------- */

/* Taps of the largest phase. */
static int64_t most_taps(const state *s) {
  int64_t taps = 1;
  for (int a = 0; a < 3; a++) {
    int64_t most = 0;
    for (int64_t f = 0; f < s->axis[a].phases; f++)
      if (s->axis[a].phase[f].taps > most) most = s->axis[a].phase[f].taps;
    taps *= most;
  }
  return taps;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* The floats that a thread has for itself: a block of the left side (where tasks pack it), one of the right, the sums. */
static void plan_memory(state *s, int threads) {
  const int64_t columns = s->N * s->axis[0].phase[0].count * s->axis[1].phase[0].count * s->axis[2].phase[0].count;
  const int64_t depth = s->C * most_taps(s), mr = s->kernel->mr, nr = s->kernel->nr;
  s->rows = least(lamina_gemm_round(s->M, mr), ROW_PANELS * mr);
  s->columns = least(lamina_gemm_round(columns, nr), COLUMN_PANELS * nr);
  while (s->columns > nr && columns * s->M * s->groups < 2 * threads * s->columns * s->rows) /* work for all */
    s->columns = lamina_gemm_round(s->columns / 2, nr);
  s->blocks = (s->M + s->rows - 1) / s->rows;
  const int64_t filter = s->groups * s->blocks * s->rows * depth * 4;
  const int64_t deep = least(depth, LAMINA_GEMM_DEPTH);
  if (columns > s->columns && filter <= PREPACK_MOST) s->filter = lamina_align_up((size_t)filter, 64);
  const int64_t own = (s->filter ? 0 : s->rows * deep) + s->columns * deep + s->rows * s->columns;
  s->own = lamina_align_up((size_t)own * 4, 64);
  s->taps = lamina_align_up((size_t)most_taps(s) * sizeof(spot), 64);
}

static lamina_status open(lamina_plan *plan, bool forward) {
  const lamina_loop_conv_row *row = plan->engine->user;
  const lamina_loop_conv c = lamina_loop_conv_of(&plan->problem, row);
  const size_t size = sizeof(state) + lamina_loop_axes_size(&c, forward);
  state *s = lamina_host_alloc(plan->device, size);
  if (!s) return LAMINA_OUT_OF_MEMORY;
  const int64_t C = c.C / c.groups, K = c.K / c.groups;
  *s = (state){.size = size,
               .kernel = lamina_gemm_kernel_at(0),
               .N = c.N,
               .groups = c.groups,
               .C = forward ? C : K,
               .M = forward ? K : C,
               .w_g = K * C * c.w_area,
               .w_m = forward ? C * c.w_area : c.w_area,
               .w_c = forward ? c.w_area : C * c.w_area,
               .w = {c.w[1] * c.w[2], c.w[2], 1},
               .in_area = forward ? c.x_area : c.y_area,
               .out_area = forward ? c.y_area : c.x_area,
               .in_arg = forward ? row->x : row->y,
               .w_arg = row->w,
               .b_arg = row->b,
               .out_arg = forward ? row->y : row->x,
               .relu = row->relu,
               .gate_arg = row->gate};
  plan->state = s;
  lamina_loop_axes_open(s->axis, &c, forward, s + 1);
  plan_memory(s, plan->threads);
  plan->workspace = s->taps + s->filter + (size_t)plan->threads * s->own;
  return LAMINA_OK;
}

static lamina_status open_forward(lamina_plan *plan) { return open(plan, true); }
static lamina_status open_data(lamina_plan *plan) { return open(plan, false); }

static void release(lamina_plan *plan) {
  state *s = plan->state;
  if (s) lamina_host_free(plan->device, s, s->size);
  plan->state = NULL;
}

/* ---- Packing ---------------------------------------------------------------------------------------------------- */

/* Rows m … m + rows - 1 of group g, depth k … end - 1, as panels. */
LAMINA_INLINE void pack_filter(const product *p, const void *w, int64_t g, int64_t m, int64_t rows, int64_t k,
                               int64_t end, float *to, bool bf16) {
  const state *s = p->s;
  const int64_t mr = s->kernel->mr;
  for (int64_t i = 0; i < rows; i += mr, to += mr * (end - k)) {
    const int64_t height = least(mr, rows - i);
    float *row = to;
    for (int64_t l = k; l < end;) {
      const int64_t from = s->w_g * g + s->w_m * (m + i) + p->spot[l / s->C].r;
      const int64_t last = least(end, (l / s->C + 1) * s->C);
      for (int64_t c = l % s->C; l < last; l++, c++, row += mr)
        for (int64_t j = 0; j < height; j++) row[j] = lamina_loop_get(w, from + s->w_c * c + s->w_m * j, bf16);
    }
  }
}

/* A column of the product: an image and a position of the phase. */
typedef struct place {
  int64_t n, i[3];
} place;

LAMINA_INLINE place place_of(const product *p, int64_t column) {
  place at;
  for (int a = 2; a >= 0; a--) at.i[a] = column % p->p[a]->count, column /= p->p[a]->count;
  at.n = column;
  return at;
}

/* `n` columns from `at` on, of one row of positions: their part of a panel, `to` [end - k][nr]. */
LAMINA_INLINE void pack_piece(const product *p, const void *in, int64_t g, const place *at, int64_t n, int64_t k,
                              int64_t end, float *restrict to, bool bf16) {
  const state *s = p->s;
  const int64_t nr = s->kernel->nr, step = s->axis[2].step, first = (at->n * s->groups + g) * s->C;
  const spot *spot = &p->spot[k / s->C];
  int64_t c = k % s->C;
  for (int64_t l = k; l < end; spot++, c = 0) {
    int64_t i[3], lo, hi;
    for (int a = 0; a < 3; a++) i[a] = at->i[a] * s->axis[a].step + spot->offset[a];
    lamina_loop_inside(i[2], step, n, s->axis[2].in, &lo, &hi);
    if (i[0] < 0 || i[0] >= s->axis[0].in || i[1] < 0 || i[1] >= s->axis[1].in) lo = hi = n;
    const int64_t last = least(end, l + s->C - c);
    int64_t from = (first + c) * s->in_area + (i[0] * s->axis[1].in + i[1]) * s->axis[2].in + i[2];
    for (; l < last; l++, to += nr, from += s->in_area) {
      lamina_loop_zero(to, lo);
      if (step == 1)
        lamina_loop_copy(to + lo, in, from + lo, hi - lo, bf16);
      else
        for (int64_t j = lo; j < hi; j++) to[j] = lamina_loop_get(in, from + j * step, bf16);
      lamina_loop_zero(to + hi, n - hi);
    }
  }
}

/* Columns column … stop - 1, depth k … end - 1, as panels. */
LAMINA_INLINE void pack_columns(const product *p, const void *in, int64_t g, int64_t column, int64_t stop, int64_t k,
                                int64_t end, float *to, bool bf16) {
  const int64_t nr = p->s->kernel->nr, width = p->p[2]->count;
  for (int64_t lane = 0; column < stop;) {
    const place at = place_of(p, column);
    const int64_t n = least(least(width - at.i[2], nr - lane), stop - column);
    pack_piece(p, in, g, &at, n, k, end, to + lane, bf16);
    column += n, lane += n;
    if (lane == nr) lane = 0, to += nr * (end - k);
  }
}

/* n sums in place: where the gate, from `at` on, isn't above 0, they are 0. */
LAMINA_INLINE void let_through(int64_t n, float *sum, const void *gate, int64_t at, int64_t every, bool bf16) {
  for (int64_t j = 0; j < n; j++) sum[j] = lamina_loop_get(gate, at + j * every, bf16) > 0 ? sum[j] : 0;
}
LAMINA_CLONES static void let_through_f32(int64_t n, float *sum, const void *gate, int64_t at, int64_t every) {
  let_through(n, sum, gate, at, every, false);
}
LAMINA_CLONES static void let_through_bf16(int64_t n, float *sum, const void *gate, int64_t at, int64_t every) {
  let_through(n, sum, gate, at, every, true);
}

/* What follows the sums. */
typedef struct after {
  const float *b;   /* of the rows; NULL: none */
  const void *gate; /* NULL: none; what has one has no b */
  bool gate_bf16;
} after;

/* Rows m … m + rows - 1 of the sums, and what follows, to where they belong. */
LAMINA_INLINE void put(const product *p, float *sum, const after *after, void *out, int64_t g, int64_t m, int64_t rows,
                       int64_t column, int64_t stop, bool bf16) {
  const state *s = p->s;
  const bool relu = s->relu;
  const int64_t width = p->p[2]->count, every = s->axis[2].every;
  for (int64_t first = column; column < stop;) {
    const place at = place_of(p, column);
    const int64_t n = least(width - at.i[2], stop - column);
    int64_t o[3];
    for (int a = 0; a < 3; a++) o[a] = p->p[a]->first + at.i[a] * s->axis[a].every;
    int64_t to =
        ((at.n * s->groups + g) * s->M + m) * s->out_area + (o[0] * s->axis[1].out + o[1]) * s->axis[2].out + o[2];
    for (int64_t i = 0; i < rows; i++, to += s->out_area) {
      float *restrict row = sum + i * s->columns + (column - first);
      const float add = after->b ? after->b[i] : 0;
      if (after->gate) (after->gate_bf16 ? let_through_bf16 : let_through_f32)(n, row, after->gate, to, every);
      if (every == 1)
        for (int64_t j = 0; j < n; j++) lamina_loop_set(out, to + j, lamina_loop_held(row[j] + add, relu), bf16);
      else
        for (int64_t j = 0; j < n; j++)
          lamina_loop_set(out, to + j * every, lamina_loop_held(row[j] + add, relu), bf16);
    }
    column += n;
  }
}

#define TYPES(type, bf16)                                                                                              \
  LAMINA_CLONES static void pack_filter_##type(const product *p, const void *w, int64_t g, int64_t m, int64_t rows,    \
                                               int64_t k, int64_t end, float *to) {                                    \
    pack_filter(p, w, g, m, rows, k, end, to, bf16);                                                                   \
  }                                                                                                                    \
  LAMINA_CLONES static void pack_columns_##type(const product *p, const void *in, int64_t g, int64_t column,           \
                                                int64_t stop, int64_t k, int64_t end, float *to) {                     \
    pack_columns(p, in, g, column, stop, k, end, to, bf16);                                                            \
  }                                                                                                                    \
  LAMINA_CLONES static void put_##type(const product *p, float *sum, const after *after, void *out, int64_t g,         \
                                       int64_t m, int64_t rows, int64_t column, int64_t stop) {                        \
    put(p, sum, after, out, g, m, rows, column, stop, bf16);                                                           \
  }
TYPES(f32, false)
TYPES(bf16, true)

/* ---- Running ---------------------------------------------------------------------------------------------------- */

typedef struct running {
  const lamina_plan *plan;
  const void *in, *w, *b, *gate;
  void *out;
  float *filter; /* packed, or NULL */
  char *own;
} running;

/* The left side's block of group g, rows from m, depth from k to `end`. */
static void pack_left(const running *r, const product *p, int64_t g, int64_t m, int64_t k, int64_t end, float *to) {
  const int64_t rows = least(p->s->rows, p->s->M - m);
  (lamina_loop_is_bf16(r->plan, p->s->w_arg) ? pack_filter_bf16 : pack_filter_f32)(p, r->w, g, m, rows, k, end, to);
}

/* Where it lies when it is packed beforehand. */
static float *left_at(const running *r, const product *p, int64_t g, int64_t m, int64_t k) {
  return r->filter + (g * p->s->blocks * p->s->rows + m) * p->depth + k * p->s->rows;
}

/* Packs all of the filter that a phase needs. */
static void pack_ahead(const running *r, const product *p) {
  const state *s = p->s;
  const int64_t depths = (p->depth + LAMINA_GEMM_DEPTH - 1) / LAMINA_GEMM_DEPTH, tasks = s->groups * s->blocks * depths;
#pragma omp parallel for schedule(static) if (s->groups * s->M * p->depth >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < tasks; i++) {
    const int64_t k = i % depths * LAMINA_GEMM_DEPTH, g = i / depths / s->blocks, m = i / depths % s->blocks * s->rows;
    pack_left(r, p, g, m, k, least(p->depth, k + LAMINA_GEMM_DEPTH), left_at(r, p, g, m, k));
  }
}

static void run_task(const running *r, const product *p, int64_t g, int64_t m, int64_t column, float *own) {
  const state *s = p->s;
  const int64_t rows = least(s->rows, s->M - m), stop = least(p->columns, column + s->columns);
  const int64_t deep = least(p->depth, LAMINA_GEMM_DEPTH);
  float *sum = own, *right = sum + s->rows * s->columns, *left = right + s->columns * deep;
  float b[ROW_PANELS * 16];
  const bool in_bf16 = lamina_loop_is_bf16(r->plan, s->in_arg);
  int64_t k = 0;
  do { /* once even where there is no tap at all */
    const int64_t end = least(p->depth, k + LAMINA_GEMM_DEPTH);
    (in_bf16 ? pack_columns_bf16 : pack_columns_f32)(p, r->in, g, column, stop, k, end, right);
    if (r->filter)
      left = left_at(r, p, g, m, k);
    else
      pack_left(r, p, g, m, k, end, left);
    lamina_gemm_panels(s->kernel, rows, stop - column, end - k, left, right, sum, s->columns, k > 0);
    k = end;
  } while (k < p->depth);
  for (int64_t i = 0; r->b && i < rows; i++)
    b[i] = lamina_loop_get(r->b, g * s->M + m + i, lamina_loop_is_bf16(r->plan, s->b_arg));
  const after after = {r->b ? b : NULL, r->gate, lamina_loop_is_bf16(r->plan, s->gate_arg)};
  (lamina_loop_is_bf16(r->plan, s->out_arg) ? put_bf16 : put_f32)(p, sum, &after, r->out, g, m, rows, column, stop);
}

static void run_phase(const running *r, const product *p) {
  const state *s = p->s;
  const int64_t tasks = (p->columns + s->columns - 1) / s->columns * s->groups * s->blocks;
  if (r->filter) pack_ahead(r, p);
#pragma omp parallel for schedule(dynamic) if (tasks > 1 && p->columns * p->depth * s->M * s->groups >= 1 << 20)
  for (int64_t i = 0; i < tasks; i++)
    run_task(r, p, i / s->blocks % s->groups, i % s->blocks * s->rows, i / s->blocks / s->groups * s->columns,
             (float *)(r->own + (size_t)lamina_loop_thread() * s->own));
}

/* All taps of a phase, the last axis fastest. */
static void list_taps(const product *p, spot *to) {
  const lamina_loop_phase *a = p->p[0], *b = p->p[1], *c = p->p[2];
  for (const lamina_loop_tap *i = a->tap; i < a->tap + a->taps; i++)
    for (const lamina_loop_tap *j = b->tap; j < b->tap + b->taps; j++)
      for (const lamina_loop_tap *k = c->tap; k < c->tap + c->taps; k++)
        *to++ = (spot){.r = i->r * p->s->w[0] + j->r * p->s->w[1] + k->r * p->s->w[2],
                       .offset = {i->offset, j->offset, k->offset}};
}

static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  const state *s = plan->state;
  const running r = {.plan = plan,
                     .in = args->p[s->in_arg],
                     .w = args->p[s->w_arg],
                     .b = s->b_arg >= 0 ? args->p[s->b_arg] : NULL,
                     .gate = s->gate_arg ? args->p[s->gate_arg] : NULL,
                     .out = args->p[s->out_arg],
                     .filter = s->filter ? (float *)((char *)workspace + s->taps) : NULL,
                     .own = (char *)workspace + s->taps + s->filter};
  (void)stream;
  for (int64_t i = 0; i < s->axis[0].phases; i++)
    for (int64_t j = 0; j < s->axis[1].phases; j++)
      for (int64_t k = 0; k < s->axis[2].phases; k++) {
        product p = {
            .s = s, .spot = workspace, .p = {&s->axis[0].phase[i], &s->axis[1].phase[j], &s->axis[2].phase[k]}};
        p.taps = p.p[0]->taps * p.p[1]->taps * p.p[2]->taps;
        p.depth = p.taps * s->C;
        p.columns = s->N * p.p[0]->count * p.p[1]->count * p.p[2]->count;
        list_taps(&p, workspace);
        run_phase(&r, &p);
      }
  return LAMINA_OK;
}

/* ---- Candidates ------------------------------------------------------------------------------------------------- */

/* A tile with few rows waits for its right side; packing costs by element, and more by piece; so does every column of
 * the product, however short. */
static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context, bool forward) {
  const lamina_loop_conv c = lamina_loop_conv_of(problem, engine->user);
  const lamina_gemm_kernel *kernel = lamina_gemm_kernel_at(0);
  const double threads = lamina_device_threads(device);
  const double rate = kernel->share * device->roofline.flops / threads;
  double flops, bytes, phases = 1;
  if (!lamina_loop_conv_takes(problem, each, context)) return;
  lamina_problem_work(problem, &flops, &bytes);
  for (int a = 0; a < 3; a++) phases *= (double)lamina_loop_phases(&c, a, forward);
  const double M = (double)((forward ? c.K : c.C) / c.groups), rows = M < kernel->mr ? M : kernel->mr;
  const double width = (double)(forward ? c.y[2] : c.x[2] / lamina_loop_phases(&c, 2, forward));
  const double packed = flops / 2 / M * (double)((int64_t)M / (ROW_PANELS * kernel->mr) + 1); /* elements */
  const double filter = (double)(c.K * (c.C / c.groups) * c.w_area);
  const double columns = flops / 2 / filter;
  const double compute =
      flops * (1 + 2 / rows) / rate + packed * (0.8e-9 + 20e-9 / width) + columns * 50e-9 + filter * 0.5e-9;
  each(context, "gemm", compute / threads + lamina_loop_moving(device, bytes) + phases * 1e-6 + 2e-6, "");
}

static void candidates_forward(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                               lamina_candidate_fn *each, void *context) {
  candidates(device, problem, engine, each, context, true);
}
static void candidates_data(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                            lamina_candidate_fn *each, void *context) {
  candidates(device, problem, engine, each, context, false);
}

static const lamina_loop_conv_row
    conv_forward = {.x = 0, .w = 1, .b = 2, .y = 3},
    conv_data = {.y = 0, .w = 1, .x = 2, .b = -1},
    transpose_forward = {.y = 0, .w = 1, .b = 2, .x = 3, .attributes = lamina_loop_conv_transposed},
    transpose_data = {.x = 0, .w = 1, .y = 2, .b = -1, .attributes = lamina_loop_conv_transposed},
    fc_forward = {.x = 0, .w = 1, .b = 2, .y = 3, .attributes = lamina_loop_conv_fc},
    fc_data = {.y = 0, .w = 1, .x = 2, .b = -1, .attributes = lamina_loop_conv_fc},
    conv_relu = {.x = 0, .w = 1, .b = 2, .y = 3, .relu = true},
    relu_conv = {.y = 0, .w = 1, .gate = 2, .x = 3, .b = -1},
    fc_relu = {.x = 0, .w = 1, .b = 2, .y = 3, .relu = true, .attributes = lamina_loop_conv_fc},
    relu_fc = {.y = 0, .w = 1, .gate = 2, .x = 3, .b = -1, .attributes = lamina_loop_conv_fc};

#define ENGINE(op, row_, way)                                                                                          \
  LAMINA_LOOP_ENGINE(op, LAMINA_STRIDES_DENSE), .user = (void *)&row_, .candidates = candidates_##way,                 \
                                                .prepare = open_##way, .run = run, .release = release
const lamina_engine lamina_cpu_loop_conv_forward = {ENGINE("conv/forward", conv_forward, forward)};
const lamina_engine lamina_cpu_loop_conv_backward_data = {ENGINE("conv/backward_data", conv_data, data)};
const lamina_engine lamina_cpu_loop_conv_transpose_forward = {
    ENGINE("conv_transpose/forward", transpose_forward, data)};
const lamina_engine lamina_cpu_loop_conv_transpose_backward_data = {
    ENGINE("conv_transpose/backward_data", transpose_data, forward)};
const lamina_engine lamina_cpu_loop_fc_forward = {ENGINE("fc/forward", fc_forward, forward)};
const lamina_engine lamina_cpu_loop_fc_backward_data = {ENGINE("fc/backward_data", fc_data, data)};
const lamina_engine lamina_cpu_loop_conv_relu = {ENGINE("conv_relu/forward", conv_relu, forward)};
const lamina_engine lamina_cpu_loop_relu_conv = {ENGINE("relu_conv/backward_data", relu_conv, data)};
const lamina_engine lamina_cpu_loop_fc_relu = {ENGINE("fc_relu/forward", fc_relu, forward)};
const lamina_engine lamina_cpu_loop_relu_fc = {ENGINE("relu_fc/backward_data", relu_fc, data)};
