/* Locally connected layers. Each position has weights of its own, K x (channels x taps), which are read once for the
 * whole batch: so all is built around one position. The input that it sees is gathered as rows [images][depth], depth =
 * channels of a group x taps, and then
 *
 *   forward   y[n, k] = row k of the weights · row n of the input          dot products
 *   weights   dw row k = sum over n of dy[n, k] * row n of the input       sums of rows
 *   data      row n of dx = sum over k of dy[n, k] * row k of the weights  sums of rows, added to where they came from
 *   bias      db = sum over n of dy                                        one row for each image
 *
 * Forward and weights divide the positions among threads; the data's gradient, where positions overlap, divides images
 * and channels. It is bound by reading the weights up to some 8 images, then by arithmetic. */
#include "cpu/loop_conv.h"
#include "lamina/local_conv.h"

enum { LANES = 16, IMAGES = 8 }; /* IMAGES: of a task of the data's gradient; the weights are read once for them */

typedef float vector __attribute__((vector_size(LANES * sizeof(float))));

typedef struct local {
  int64_t N, C, K, groups; /* channels and filters of a group */
  int64_t x[3], w[3], y[3], stride[3], dilation[3], pad[3];
  int64_t x_area, taps, positions;
  int64_t depth, room; /* of a row: channels x taps; in whole vectors */
} local;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static local local_of(const lamina_problem *p, int x, int w, int y) {
  const lamina_local_conv *conv = lamina_attr(p);
  const lamina_desc *dx = &p->arg[x], *dw = &p->arg[w], *dy = &p->arg[y];
  const int axes = dx->rank - 2;
  local s = {.N = dx->dims[0],
             .C = dx->dims[1] / conv->groups,
             .K = dy->dims[1] / conv->groups,
             .groups = conv->groups,
             .x_area = 1,
             .taps = 1,
             .positions = 1};
  for (int a = 0; a < 3; a++) s.x[a] = s.w[a] = s.y[a] = s.stride[a] = s.dilation[a] = 1;
  for (int a = 0; a < axes; a++) {
    const int to = 3 - axes + a;
    s.x[to] = dx->dims[2 + a], s.w[to] = dw->dims[axes + 2 + a], s.y[to] = dy->dims[2 + a];
    s.stride[to] = conv->stride[a], s.dilation[to] = conv->dilation[a], s.pad[to] = conv->pad[a][0];
    s.x_area *= s.x[to], s.taps *= s.w[to], s.positions *= s.y[to];
  }
  s.depth = s.C * s.taps;
  s.room = (s.depth + LANES - 1) / LANES * LANES;
  return s;
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

/* The input positions under the taps of output position o: -1 outside. */
static void see(const local *s, int64_t o, int64_t *at) {
  int64_t first[3];
  for (int a = 2; a >= 0; a--) first[a] = o % s->y[a] * s->stride[a] - s->pad[a], o /= s->y[a];
  for (int64_t i = 0; i < s->w[0]; i++)
    for (int64_t j = 0; j < s->w[1]; j++)
      for (int64_t k = 0; k < s->w[2]; k++) {
        const int64_t d = first[0] + i * s->dilation[0], h = first[1] + j * s->dilation[1],
                      w = first[2] + k * s->dilation[2];
        const bool inside = d >= 0 && d < s->x[0] && h >= 0 && h < s->x[1] && w >= 0 && w < s->x[2];
        *at++ = inside ? (d * s->x[1] + h) * s->x[2] + w : -1;
      }
}

/* Row n of the input of group g, [depth], zeros after it up to whole vectors. */
LAMINA_INLINE void gather(const local *s, const void *x, int64_t n, int64_t g, const int64_t *at, float *row,
                          bool bf16) {
  const int64_t from = (n * s->groups + g) * s->C * s->x_area;
  for (int64_t c = 0; c < s->C; c++)
    for (int64_t t = 0; t < s->taps; t++)
      row[c * s->taps + t] = at[t] < 0 ? 0 : lamina_loop_get(x, from + c * s->x_area + at[t], bf16);
  lamina_loop_zero(row + s->depth, s->room - s->depth);
}

/* sum[i] = a · row i of b, for up to 4 rows of `room` elements. */
LAMINA_INLINE void dot(int64_t room, const float *a, const float *b, int rows, float sum[4]) {
  vector total[4] = {{0}}, u, v;
  for (int64_t j = 0; j < room; j += LANES) {
    memcpy(&u, a + j, sizeof u);
    for (int i = 0; i < rows; i++) {
      memcpy(&v, b + i * room + j, sizeof v);
      total[i] += u * v;
    }
  }
  for (int i = 0; i < rows; i++) {
    for (int half = LANES / 2; half; half /= 2)
      for (int lane = 0; lane < half; lane++) total[i][lane] += total[i][lane + half];
    sum[i] = total[i][0];
  }
}

/* to = sum over n rows of factor[i] * row i, two vectors at a time; rows are `room` apart. */
LAMINA_INLINE void combine(int64_t room, int64_t n, const float *factor, const float *rows, float *to) {
  for (int64_t j = 0; j < room; j += 2 * LANES) {
    vector left = {0}, right = {0}, u, v;
    const bool both = j + LANES < room;
    for (int64_t i = 0; i < n; i++) {
      memcpy(&u, rows + i * room + j, sizeof u);
      left += factor[i] * u;
      if (!both) continue;
      memcpy(&v, rows + i * room + j + LANES, sizeof v);
      right += factor[i] * v;
    }
    memcpy(to + j, &left, sizeof left);
    if (both) memcpy(to + j + LANES, &right, sizeof right);
  }
}

LAMINA_CLONES static void dots(const local *s, const float *w, const float *rows, float *y) {
  int64_t n = 0;
  for (; n + 4 <= s->N; n += 4) dot(s->room, w, rows + n * s->room, 4, y + n);
  for (; n < s->N; n++) dot(s->room, w, rows + n * s->room, 1, y + n);
}
LAMINA_CLONES static void combine_rows(int64_t room, int64_t n, const float *factor, const float *rows, float *to) {
  combine(room, n, factor, rows, to);
}

#define TYPES(type, bf16)                                                                                              \
  LAMINA_CLONES static void gather_##type(const local *s, const void *x, int64_t g, const int64_t *at, float *rows) {  \
    for (int64_t n = 0; n < s->N; n++) gather(s, x, n, g, at, rows + n * s->room, bf16);                               \
  }                                                                                                                    \
  LAMINA_CLONES static void read_row_##type(const void *x, int64_t i, int64_t n, float *row) {                         \
    lamina_loop_copy(row, x, i, n, bf16);                                                                              \
  }                                                                                                                    \
  LAMINA_CLONES static void write_row_##type(const float *row, int64_t n, void *y, int64_t i) {                        \
    for (int64_t j = 0; j < n; j++) lamina_loop_set(y, i + j, row[j], bf16);                                           \
  }
TYPES(f32, false)
TYPES(bf16, true)

typedef void read_fn(const void *x, int64_t i, int64_t n, float *row);
static read_fn *reader(const lamina_plan *plan, int arg) {
  return lamina_loop_is_bf16(plan, arg) ? read_row_bf16 : read_row_f32;
}

/* A row of weights, in whole vectors. */
LAMINA_INLINE void read_weights(const local *s, read_fn *read, const void *w, int64_t row, int64_t from, int64_t n,
                                int64_t room, float *to) {
  read(w, row * s->depth + from, n, to);
  lamina_loop_zero(to + n, room - n);
}

/* ---- Forward ---------------------------------------------------------------------------------------------------- */

enum { X, W, B, Y };
enum { WEIGHTS_X, WEIGHTS_DY, WEIGHTS_DW };
enum { DATA_DY, DATA_W, DATA_DX };

/* Bytes of a thread's workspace: rows of images, one more, factors or results; places of taps. */
static size_t own_of(const local *s) {
  return lamina_align_up(
      (size_t)((s->N + 1) * s->room + s->N + s->K) * sizeof(float) + (size_t)s->taps * sizeof(int64_t), 64);
}

typedef struct scratch {
  int64_t *at;
  float *rows, *row, *few;
} scratch;

static scratch scratch_of(const local *s, void *workspace) {
  char *own = (char *)workspace + (size_t)lamina_loop_thread() * own_of(s);
  float *rows = (float *)(own + (size_t)s->taps * sizeof(int64_t));
  return (scratch){(int64_t *)own, rows, rows + s->N * s->room, rows + (s->N + 1) * s->room};
}

static lamina_status prepare_forward(lamina_plan *plan) {
  const local s = local_of(&plan->problem, X, W, Y);
  plan->workspace = (size_t)plan->threads * own_of(&s);
  return LAMINA_OK;
}

static lamina_status run_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  const local s = local_of(&plan->problem, X, W, Y);
  const bool y_bf16 = lamina_loop_is_bf16(plan, Y), x_bf16 = lamina_loop_is_bf16(plan, X);
  read_fn *read = reader(plan, W), *read_b = reader(plan, B);
  (void)stream;
#pragma omp parallel for schedule(static) if (s.positions * s.groups * s.K * s.depth >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < s.positions * s.groups; i++) {
    const int64_t o = i / s.groups, g = i % s.groups;
    const scratch t = scratch_of(&s, workspace);
    see(&s, o, t.at);
    (x_bf16 ? gather_bf16 : gather_f32)(&s, args->p[X], g, t.at, t.rows);
    for (int64_t k = g * s.K; k < (g + 1) * s.K; k++) {
      float b = 0;
      read_weights(&s, read, args->p[W], o * s.groups * s.K + k, 0, s.depth, s.room, t.row);
      if (args->p[B]) read_b(args->p[B], k * s.positions + o, 1, &b);
      dots(&s, t.row, t.rows, t.few);
      for (int64_t n = 0; n < s.N; n++)
        lamina_loop_set(args->p[Y], (n * s.groups * s.K + k) * s.positions + o, t.few[n] + b, y_bf16);
    }
  }
  return LAMINA_OK;
}

/* ---- Gradients -------------------------------------------------------------------------------------------------- */

static lamina_status prepare_weights(lamina_plan *plan) {
  const local s = local_of(&plan->problem, WEIGHTS_X, WEIGHTS_DW, WEIGHTS_DY);
  plan->workspace = (size_t)plan->threads * own_of(&s);
  return LAMINA_OK;
}

static lamina_status run_weights(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  const local s = local_of(&plan->problem, WEIGHTS_X, WEIGHTS_DW, WEIGHTS_DY);
  const bool dw_bf16 = lamina_loop_is_bf16(plan, WEIGHTS_DW), x_bf16 = lamina_loop_is_bf16(plan, WEIGHTS_X);
  read_fn *read = reader(plan, WEIGHTS_DY);
  (void)stream;
#pragma omp parallel for schedule(static) if (s.positions * s.groups * s.K * s.depth >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < s.positions * s.groups; i++) {
    const int64_t o = i / s.groups, g = i % s.groups;
    const scratch t = scratch_of(&s, workspace);
    see(&s, o, t.at);
    (x_bf16 ? gather_bf16 : gather_f32)(&s, args->p[WEIGHTS_X], g, t.at, t.rows);
    for (int64_t k = g * s.K; k < (g + 1) * s.K; k++) {
      for (int64_t n = 0; n < s.N; n++)
        read(args->p[WEIGHTS_DY], (n * s.groups * s.K + k) * s.positions + o, 1, t.few + n);
      combine_rows(s.room, s.N, t.few, t.rows, t.row);
      (dw_bf16 ? write_row_bf16 : write_row_f32)(t.row, s.depth, args->p[WEIGHTS_DW],
                                                 (o * s.groups * s.K + k) * s.depth);
    }
  }
  return LAMINA_OK;
}

/* The data's gradient is made in tasks: some images, some channels of a group. */
typedef struct share {
  int64_t channels, blocks, images, room; /* of a task; of a group; tasks of images; floats of a row */
  size_t own;
} share;

static share share_of(const local *s) {
  share h = {.channels = least(s->C, (4 * LANES + s->taps - 1) / s->taps)};
  h.blocks = (s->C + h.channels - 1) / h.channels;
  h.images = (s->N + IMAGES - 1) / IMAGES;
  h.room = (h.channels * s->taps + LANES - 1) / LANES * LANES;
  h.own = lamina_align_up((size_t)s->taps * sizeof(int64_t) +
                              (size_t)((s->K + 1) * h.room + s->K + IMAGES * h.channels * s->x_area) * sizeof(float),
                          64);
  return h;
}

static lamina_status prepare_data(lamina_plan *plan) {
  const local s = local_of(&plan->problem, DATA_DX, DATA_W, DATA_DY);
  plan->workspace = (size_t)plan->threads * share_of(&s).own;
  return LAMINA_OK;
}

/* Images n … n + images - 1, channels c … c + channels - 1 of group g. */
static void data_task(const lamina_plan *plan, const lamina_args *args, const local *s, const share *h, int64_t n,
                      int64_t g, int64_t c, void *own) {
  const int64_t images = least(IMAGES, s->N - n), channels = least(h->channels, s->C - c), width = channels * s->taps;
  read_fn *read = reader(plan, DATA_W), *read_dy = reader(plan, DATA_DY);
  int64_t *at = own;
  float *rows = (float *)(at + s->taps), *row = rows + s->K * h->room, *factor = row + h->room, *dx = factor + s->K;
  memset(dx, 0, (size_t)(images * channels * s->x_area) * sizeof *dx);
  for (int64_t o = 0; o < s->positions; o++) {
    see(s, o, at);
    for (int64_t k = 0; k < s->K; k++)
      read_weights(s, read, args->p[DATA_W], (o * s->groups + g) * s->K + k, c * s->taps, width, h->room,
                   rows + k * h->room);
    for (int64_t i = 0; i < images; i++) {
      for (int64_t k = 0; k < s->K; k++)
        read_dy(args->p[DATA_DY], (((n + i) * s->groups + g) * s->K + k) * s->positions + o, 1, factor + k);
      combine_rows(h->room, s->K, factor, rows, row);
      float *to = dx + i * channels * s->x_area;
      for (int64_t j = 0; j < width; j++)
        if (at[j % s->taps] >= 0) to[j / s->taps * s->x_area + at[j % s->taps]] += row[j];
    }
  }
  for (int64_t i = 0; i < images; i++)
    (lamina_loop_is_bf16(plan, DATA_DX) ? write_row_bf16 : write_row_f32)(
        dx + i * channels * s->x_area, channels * s->x_area, args->p[DATA_DX],
        (((n + i) * s->groups + g) * s->C + c) * s->x_area);
}

static lamina_status run_data(const lamina_plan *plan, const lamina_args *args, void *workspace,
                              lamina_stream *stream) {
  const local s = local_of(&plan->problem, DATA_DX, DATA_W, DATA_DY);
  const share h = share_of(&s);
  const int64_t tasks = h.images * s.groups * h.blocks;
  (void)stream;
#pragma omp parallel for schedule(dynamic) if (s.positions * s.groups * s.K * s.depth >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < tasks; i++)
    data_task(plan, args, &s, &h, i / s.groups / h.blocks * IMAGES, i / h.blocks % s.groups, i % h.blocks * h.channels,
              (char *)workspace + (size_t)lamina_loop_thread() * h.own);
  return LAMINA_OK;
}

/* db = sum over n of dy, in chunks of a row that stay in the cache. */
static lamina_status run_bias(const lamina_plan *plan, const lamina_args *args, void *workspace,
                              lamina_stream *stream) {
  enum { DY, DB, CHUNK = 1024 };
  const int64_t N = plan->problem.arg[DY].dims[0], count = lamina_desc_count(&plan->problem.arg[DB]);
  read_fn *read = reader(plan, DY);
  (void)workspace, (void)stream;
#pragma omp parallel for schedule(static) if (N * count >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < count; i += CHUNK) {
    float row[CHUNK], sum[CHUNK] = {0};
    const int64_t n = least(CHUNK, count - i);
    for (int64_t image = 0; image < N; image++) {
      read(args->p[DY], image * count + i, n, row);
      for (int64_t j = 0; j < n; j++) sum[j] += row[j];
    }
    (lamina_loop_is_bf16(plan, DB) ? write_row_bf16 : write_row_f32)(sum, n, args->p[DB], i);
  }
  return LAMINA_OK;
}

/* ---- Rows of the table ------------------------------------------------------------------------------------------ */

static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  double flops, bytes;
  (void)engine;
  if (!lamina_loop_conv_takes(problem, each, context)) return;
  lamina_problem_work(problem, &flops, &bytes);
  each(context, "", lamina_cpu_computing(device, flops, 0.08) + lamina_loop_moving(device, bytes) + 2e-6, "");
}

#define ENGINE(pass, prepare_, run_)                                                                                   \
  LAMINA_LOOP_ENGINE("local_conv/" #pass, LAMINA_STRIDES_DENSE), .candidates = candidates, .prepare = prepare_,        \
                                                                 .run = run_
const lamina_engine lamina_cpu_loop_local_conv_forward = {ENGINE(forward, prepare_forward, run_forward)};
const lamina_engine lamina_cpu_loop_local_conv_backward_data = {ENGINE(backward_data, prepare_data, run_data)};
const lamina_engine lamina_cpu_loop_local_conv_backward_weights = {
    ENGINE(backward_weights, prepare_weights, run_weights)};
const lamina_engine lamina_cpu_loop_local_conv_backward_bias = {ENGINE(backward_bias, NULL, run_bias)};
