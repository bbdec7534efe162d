/* Depthwise convolution, all passes: every group has one channel of x, and `multiple` filters.
 *
 * There is no sum over channels, so nothing to make a matrix product of; a plane is small and each of its elements is
 * used by every tap. A task takes a plane. It is first copied to f32 with zeros around it, its rows split as a stride
 * needs it: piece p holds the elements p, p + step, p + 2*step …, so that what one tap gives to neighbouring outputs lies
 * side by side:
 *
 *   row of x   # 0 1 2 3 4 5 6 #    filter 3, stride 2, pad 1     piece 0   # 1 3 5 #     taps 0 and 2 (one on)
 *              0 . .   . .   . .                                  piece 1   0 2 4 6       tap 1
 *
 * Then an output row is a sum over taps of weight * copy[offset of the tap + base of the row + j], 32 elements at a time in
 * registers, without a condition inside. The data's gradient is the same with dy's planes, a phase of output positions
 * at a time (see loop_conv.h). The filter's gradient is the sum of dy * copy over all rows, 16 sums side by side.
 *
 * It is bound by loads: two for a multiplication and an addition of a vector. Rows of 14 fill 14 of 16 lanes, those of
 * 7 seven. */
#include "cpu/loop_conv.h"

enum { LANES = 16, LISTS_MOST = 1024, SLACK = 2 * LANES };

typedef float vector __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t mask __attribute__((vector_size(LANES * sizeof(float))));

/* sum += a * b, elements side by side. (A function that gives a vector has another ABI on each machine.) */
LAMINA_INLINE void add_product(vector *sum, float a, const float *b) {
  vector v;
  memcpy(&v, b, sizeof v);
  *sum += a * v;
}
LAMINA_INLINE void multiply(vector *product, const float *a, const float *b) {
  vector v;
  memcpy(product, a, sizeof v);
  memcpy(&v, b, sizeof v);
  *product *= v;
}

typedef struct entry {
  int64_t r, offset; /* of the weight in its filter; of the input from the base of a row */
} entry;

typedef struct list { /* of a phase of output positions: all taps that reach it */
  int64_t first[3], count[3], taps;
  const entry *entry;
} list;

typedef struct state {
  size_t size; /* bytes of this block, tables included */
  lamina_loop_conv c;
  bool forward;
  int64_t planes_in, planes_out; /* of a task: 1 and `multiple`, or the other way round */
  int64_t in[3], out[3], in_area, out_area;
  int64_t step[3], every[3];
  int64_t lead[3], padded[3];  /* zeros before; sizes of the copy, its rows in pieces */
  int64_t piece, volume, base; /* elements of a piece, of a copy; where position 0 is */
  int64_t lists;
  list *list;
  size_t own; /* bytes of workspace of a thread */
} state;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* ---- Preparing -------------------------------------------------------------------------------------------------- */

static int64_t lists_of(const lamina_loop_conv *c, bool forward) {
  double lists = 1;
  for (int a = 0; a < 3; a++) lists *= (double)lamina_loop_phases(c, a, forward);
  return lists > LISTS_MOST ? LISTS_MOST + 1 : (int64_t)lists;
}

/* The copy's extent along an axis: from the least to the largest place that a tap reads. */
static void extent(const lamina_loop_conv *c, int a, bool forward, int64_t *lead, int64_t *padded) {
  const int64_t stride = c->stride[a], reach = (c->w[a] - 1) * c->dilation[a];
  if (forward) {
    *lead = c->pad[a];
    *padded = (c->y[a] - 1) * stride + reach + 1;
  } else { /* offsets are between (-reach) / stride and (pad + stride - 1) / stride */
    *lead = most(0, (reach - c->pad[a] + stride - 1) / stride);
    *padded = *lead + (c->x[a] - 1 + c->pad[a]) / stride + 1;
  }
}

/* Elements of the copy of a plane; -1: too many. */
static double volume_of(const lamina_loop_conv *c, bool forward) {
  double volume = 1;
  for (int a = 0; a < 3; a++) {
    int64_t lead, padded;
    extent(c, a, forward, &lead, &padded);
    volume *= (double)padded;
  }
  return volume;
}

static const char *refusal(const lamina_loop_conv *c, bool forward) {
  if (!lamina_loop_conv_is_depthwise(c)) return "it isn't depthwise: a group has more than one channel";
  if (volume_of(c, forward) > 65536 + 8.0 * (double)(c->x_area + c->y_area))
    return "its padding is many times its planes";
  if (lists_of(c, forward) > LISTS_MOST) return "its stride is too large";
  return NULL;
}

/* Where along a row of the copy place i (from its beginning) lies. */
LAMINA_INLINE int64_t in_row(const state *s, int64_t i) {
  return s->step[2] == 1 ? i : i % s->step[2] * s->piece + i / s->step[2];
}

/* A tap's offset in the copy from the base of a row. */
static int64_t offset_of(const state *s, const lamina_loop_tap *const t[3]) {
  const int64_t along = s->forward ? in_row(s, t[2]->offset + s->lead[2]) : t[2]->offset;
  return ((t[0]->offset + (s->forward ? s->lead[0] : 0)) * s->padded[1] + t[1]->offset +
          (s->forward ? s->lead[1] : 0)) *
             s->padded[2] +
         along;
}

static void list_open(state *s, list *to, const lamina_loop_axis axis[3], const int64_t f[3], entry **e) {
  const lamina_loop_phase *p[3];
  for (int a = 0; a < 3; a++) p[a] = &axis[a].phase[f[a]], to->first[a] = p[a]->first, to->count[a] = p[a]->count;
  to->entry = *e;
  for (int64_t i = 0; i < p[0]->taps; i++)
    for (int64_t j = 0; j < p[1]->taps; j++)
      for (int64_t k = 0; k < p[2]->taps; k++) {
        const lamina_loop_tap *const t[3] = {&p[0]->tap[i], &p[1]->tap[j], &p[2]->tap[k]};
        *(*e)++ = (entry){.r = (t[0]->r * s->c.w[1] + t[1]->r) * s->c.w[2] + t[2]->r, .offset = offset_of(s, t)};
      }
  to->taps = *e - to->entry;
}

static void set_sizes(state *s, const lamina_loop_conv *c, bool forward) {
  const int64_t multiple = c->K / c->groups;
  s->c = *c, s->forward = forward;
  s->planes_in = forward ? 1 : multiple, s->planes_out = forward ? multiple : 1;
  s->in_area = forward ? c->x_area : c->y_area, s->out_area = forward ? c->y_area : c->x_area;
  for (int a = 0; a < 3; a++) {
    s->in[a] = forward ? c->x[a] : c->y[a], s->out[a] = forward ? c->y[a] : c->x[a];
    s->step[a] = forward ? c->stride[a] : 1, s->every[a] = forward ? 1 : c->stride[a];
    extent(c, a, forward, &s->lead[a], &s->padded[a]);
  }
  s->piece = (s->padded[2] + s->step[2] - 1) / s->step[2];
  s->padded[2] = s->piece * s->step[2];
  s->volume = s->padded[0] * s->padded[1] * s->padded[2];
  s->base = forward ? 0 : (s->lead[0] * s->padded[1] + s->lead[1]) * s->padded[2] + s->lead[2];
}

static lamina_status open(lamina_plan *plan, bool forward) {
  const lamina_loop_conv c = lamina_loop_conv_of(&plan->problem, plan->engine->user);
  const int64_t lists = lists_of(&c, forward);
  const size_t axes = lamina_loop_axes_size(&c, forward);
  const size_t size = sizeof(state) + (size_t)lists * sizeof(list) + (size_t)c.w_area * sizeof(entry) + axes;
  state *s = lamina_host_alloc(plan->device, size);
  if (!s) return LAMINA_OUT_OF_MEMORY;
  *s = (state){.size = size, .lists = lists, .list = (list *)(s + 1)};
  plan->state = s;
  set_sizes(s, &c, forward);
  entry *e = (entry *)(s->list + lists);
  lamina_loop_axis axis[3];
  lamina_loop_axes_open(axis, &c, forward, e + c.w_area);
  int64_t f[3], n = 0;
  for (f[0] = 0; f[0] < axis[0].phases; f[0]++)
    for (f[1] = 0; f[1] < axis[1].phases; f[1]++)
      for (f[2] = 0; f[2] < axis[2].phases; f[2]++) list_open(s, &s->list[n++], axis, f, &e);
  const int64_t weights = c.w_area * (c.K / c.groups);
  s->own = lamina_align_up((size_t)(s->planes_in * s->volume + SLACK + weights) * sizeof(float), 64);
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

/* ---- Copies ----------------------------------------------------------------------------------------------------- */

/* Every row of a plane of the input to its place in the copy, or of each row every `step`-th element from `first` on to
 * `piece`. */
LAMINA_INLINE void copy_rows(const state *s, const void *in, int64_t plane, int64_t first, int64_t count, float *piece,
                             bool bf16) {
  const int64_t step = s->step[2];
  for (int64_t i = 0; i < least(s->in[0], s->padded[0] - s->lead[0]); i++)
    for (int64_t j = 0; j < least(s->in[1], s->padded[1] - s->lead[1]); j++) {
      const int64_t from = plane * s->in_area + (i * s->in[1] + j) * s->in[2] + first;
      float *restrict to = piece + ((i + s->lead[0]) * s->padded[1] + j + s->lead[1]) * s->padded[2];
      if (step == 1)
        lamina_loop_copy(to, in, from, count, bf16);
      else
        for (int64_t k = 0; k < count; k++) to[k] = lamina_loop_get(in, from + k * step, bf16);
    }
}

/* A plane of the input, with zeros around it. The copy was cleared once, and each plane leaves the zeros alone. */
LAMINA_INLINE void copy_plane(const state *s, const void *in, int64_t plane, float *to, bool bf16) {
  const int64_t step = s->step[2], count = least(s->in[2], s->padded[2] - s->lead[2]);
  for (int64_t first = 0; first < least(step, count); first++) {
    const int64_t at = s->lead[2] + first; /* in the copy's row, were it whole */
    copy_rows(s, in, plane, first, (count - first + step - 1) / step, to + at % step * s->piece + at / step, bf16);
  }
}

/* ---- Forward, and the data's gradient ----------------------------------------------------------------------------- */

/* n neighbouring outputs of a row, at most 32: the sum over planes and taps. */
LAMINA_INLINE void sum_taps(const state *s, const list *l, const float *copy, const float *w, float b, int64_t n,
                            float sum[2 * LANES]) {
  vector left = {0}, right = {0};
  left += b, right += b;
  for (int64_t plane = 0; plane < s->planes_in; plane++, copy += s->volume)
    if (n > LANES)
      for (int64_t t = 0; t < l->taps; t++, w++) {
        const float *from = copy + l->entry[t].offset;
        add_product(&left, *w, from), add_product(&right, *w, from + LANES);
      }
    else
      for (int64_t t = 0; t < l->taps; t++, w++) add_product(&left, *w, copy + l->entry[t].offset);
  memcpy(sum, &left, sizeof left);
  memcpy(sum + LANES, &right, sizeof right);
}

/* The weights of the list's taps, of all planes, in the order in which they are used. */
LAMINA_INLINE void list_weights(const state *s, const list *l, const void *w, int64_t filter, float *to, bool bf16) {
  for (int64_t plane = 0; plane < s->planes_in; plane++)
    for (int64_t t = 0; t < l->taps; t++)
      *to++ = lamina_loop_get(w, (filter + plane) * s->c.w_area + l->entry[t].r, bf16);
}

/* What follows the sums. */
typedef struct after {
  float b;
  bool relu, gate_bf16;
  const void *gate; /* NULL: none; what has one has no b */
} after;

/* An output plane's positions of one list. */
LAMINA_INLINE void put_list(const state *s, const list *l, const float *copy, const float *w, const after *after,
                            void *out, int64_t plane, bool bf16) {
  float sum[2 * LANES];
  for (int64_t i = 0; i < l->count[0]; i++)
    for (int64_t j = 0; j < l->count[1]; j++) {
      const float *from = copy + s->base + (i * s->step[0] * s->padded[1] + j * s->step[1]) * s->padded[2];
      int64_t to = plane * s->out_area + l->first[2] +
                   ((l->first[0] + i * s->every[0]) * s->out[1] + l->first[1] + j * s->every[1]) * s->out[2];
      for (int64_t k = 0; k < l->count[2]; k += 2 * LANES) {
        const int64_t n = least(l->count[2] - k, 2 * LANES);
        sum_taps(s, l, from + k, w, after->b, n, sum);
        for (int64_t m = 0; after->gate && m < n; m++)
          if (!(lamina_loop_get(after->gate, to + m * s->every[2], after->gate_bf16) > 0)) sum[m] = 0;
        for (int64_t m = 0; m < n; m++, to += s->every[2])
          lamina_loop_set(out, to, lamina_loop_held(sum[m], after->relu), bf16);
      }
    }
}

#define TYPES(type, bf16)                                                                                              \
  LAMINA_CLONES static void copy_plane_##type(const state *s, const void *in, int64_t plane, float *to) {              \
    copy_plane(s, in, plane, to, bf16);                                                                                \
  }                                                                                                                    \
  LAMINA_CLONES static void put_list_##type(const state *s, const list *l, const float *copy, const float *w,          \
                                            const after *after, void *out, int64_t plane) {                            \
    put_list(s, l, copy, w, after, out, plane, bf16);                                                                  \
  }
TYPES(f32, false)
TYPES(bf16, true)

/* Image n, group g, with a copy whose zeros are there. */
static void run_task(const lamina_plan *plan, const lamina_args *args, int64_t n, int64_t g, float *copy) {
  const state *s = plan->state;
  const lamina_loop_conv_row *row = plan->engine->user;
  const int in = s->forward ? row->x : row->y, out = s->forward ? row->y : row->x;
  const bool w_bf16 = lamina_loop_is_bf16(plan, row->w), out_bf16 = lamina_loop_is_bf16(plan, out);
  float *w = copy + s->planes_in * s->volume + SLACK;
  for (int64_t i = 0; i < s->planes_in; i++)
    (lamina_loop_is_bf16(plan, in) ? copy_plane_bf16 : copy_plane_f32)(
        s, args->p[in], (n * s->c.groups + g) * s->planes_in + i, copy + i * s->volume);
  for (int64_t i = 0; i < s->planes_out; i++)
    for (const list *l = s->list; l < s->list + s->lists; l++) {
      const int64_t channel = g * s->planes_out + i;
      const float b = row->b >= 0 && args->p[row->b]
                          ? lamina_loop_get(args->p[row->b], channel, lamina_loop_is_bf16(plan, row->b))
                          : 0;
      list_weights(s, l, args->p[row->w], s->forward ? channel : g * s->planes_in, w, w_bf16);
      const after after = {b, row->relu, lamina_loop_is_bf16(plan, row->gate), row->gate ? args->p[row->gate] : NULL};
      (out_bf16 ? put_list_bf16 : put_list_f32)(s, l, copy, w, &after, args->p[out],
                                                n * s->c.groups * s->planes_out + channel);
    }
}

static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  const state *s = plan->state;
  const int64_t tasks = s->c.N * s->c.groups, floats = s->planes_in * s->volume + SLACK;
  (void)stream;
#pragma omp parallel if (tasks * s->out_area * s->c.w_area >= LAMINA_LOOP_PARALLEL)
  {
    float *copy = (float *)((char *)workspace + (size_t)lamina_loop_thread() * s->own);
    memset(copy, 0, (size_t)floats * sizeof *copy);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < tasks; i++) run_task(plan, args, i / s->c.groups, i % s->c.groups, copy);
  }
  return LAMINA_OK;
}

/* ---- The filter's gradient ---------------------------------------------------------------------------------------- */

static lamina_status open_weights(lamina_plan *plan) {
  LAMINA_TRY(open(plan, true));
  state *s = plan->state;
  const int64_t dy = (s->out[2] + LANES - 1) / LANES * LANES * s->out[0] * s->out[1];
  s->own = lamina_align_up(
      (size_t)(s->volume + SLACK + dy) * sizeof(float) + (size_t)(s->planes_out * s->c.w_area) * sizeof(double), 64);
  plan->workspace = (size_t)plan->threads * s->own;
  return LAMINA_OK;
}

/* dy's plane to rows of whole vectors. */
LAMINA_INLINE void copy_dy(const state *s, const void *dy, int64_t plane, float *to, bool bf16) {
  const int64_t room = (s->out[2] + LANES - 1) / LANES * LANES;
  for (int64_t row = 0; row < s->out[0] * s->out[1]; row++)
    lamina_loop_copy(to + row * room, dy, plane * s->out_area + row * s->out[2], s->out[2], bf16);
}

/* The sum over a plane of dy times what one tap sees; lanes beyond the row count as 0, whatever is there. */
LAMINA_CLONES static double sum_tap(const state *s, const float *copy, const float *dy) {
  const int64_t width = s->out[2], whole = width / LANES * LANES, room = (width + LANES - 1) / LANES * LANES;
  vector sum = {0}, product;
  mask inside = {0};
  double total = 0;
  for (int lane = 0; lane < LANES; lane++) inside[lane] = lane < width - whole ? -1 : 0;
  for (int64_t i = 0; i < s->out[0]; i++)
    for (int64_t j = 0; j < s->out[1]; j++, dy += room) {
      const float *from = copy + (i * s->step[0] * s->padded[1] + j * s->step[1]) * s->padded[2];
      for (int64_t k = 0; k < whole; k += LANES) multiply(&product, dy + k, from + k), sum += product;
      if (whole == width) continue;
      multiply(&product, dy + whole, from + whole);
      sum += (vector)((mask)product & inside);
    }
  for (int lane = 0; lane < LANES; lane++) total += (double)sum[lane];
  return total;
}

#define COPY_DY(type, bf16)                                                                                            \
  LAMINA_CLONES static void copy_dy_##type(const state *s, const void *dy, int64_t plane, float *to) {                 \
    copy_dy(s, dy, plane, to, bf16);                                                                                   \
  }
COPY_DY(f32, false)
COPY_DY(bf16, true)

/* All filters of a group, over all images. */
static void weights_task(const lamina_plan *plan, const lamina_args *args, int64_t g, double *total, float *copy) {
  const state *s = plan->state;
  const lamina_loop_conv_row *row = plan->engine->user;
  const int64_t taps = s->list->taps, filters = s->planes_out;
  float *dy = copy + s->volume + SLACK;
  memset(total, 0, (size_t)(filters * taps) * sizeof *total);
  for (int64_t n = 0; n < s->c.N; n++) {
    (lamina_loop_is_bf16(plan, row->x) ? copy_plane_bf16 : copy_plane_f32)(s, args->p[row->x], n * s->c.C + g, copy);
    for (int64_t k = 0; k < filters; k++) {
      (lamina_loop_is_bf16(plan, row->y) ? copy_dy_bf16 : copy_dy_f32)(s, args->p[row->y], n * s->c.K + g * filters + k,
                                                                       dy);
      for (int64_t t = 0; t < taps; t++) total[k * taps + t] += sum_tap(s, copy + s->list->entry[t].offset, dy);
    }
  }
  for (int64_t k = 0; k < filters; k++)
    for (int64_t t = 0; t < taps; t++)
      lamina_loop_set(args->p[row->w], (g * filters + k) * taps + s->list->entry[t].r, (float)total[k * taps + t],
                      lamina_loop_is_bf16(plan, row->w));
}

static lamina_status run_weights(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  const state *s = plan->state;
  const size_t totals = (size_t)(s->planes_out * s->c.w_area) * sizeof(double);
  (void)stream;
#pragma omp parallel if (s->c.N * s->c.K * s->out_area * s->c.w_area >= LAMINA_LOOP_PARALLEL)
  {
    double *total = (double *)((char *)workspace + (size_t)lamina_loop_thread() * s->own);
    float *copy = (float *)((char *)total + totals);
    memset(copy, 0, s->own - totals);
#pragma omp for schedule(dynamic)
    for (int64_t g = 0; g < s->c.groups; g++) weights_task(plan, args, g, total, copy);
  }
  return LAMINA_OK;
}

/* ---- Candidates ------------------------------------------------------------------------------------------------- */

/* Vectors of outputs, taps for each, with what a row costs anyhow; and the copies. `tap`: seconds for one vector. */
static void offer(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                  lamina_candidate_fn *each, void *context, bool forward, double tap) {
  const lamina_loop_conv c = lamina_loop_conv_of(problem, engine->user);
  double flops, bytes;
  if (!lamina_loop_conv_takes(problem, each, context)) return;
  const char *no = refusal(&c, forward);
  if (no) {
    each(context, NULL, 0, no);
    return;
  }
  lamina_problem_work(problem, &flops, &bytes);
  const int64_t row = forward ? c.y[2] : (c.x[2] + c.stride[2] - 1) / c.stride[2];
  const double vectors = (double)((row + LANES - 1) / LANES), taps = flops / 2 / (double)row; /* of all rows */
  const double copied = (double)(forward ? c.N * c.C * c.x_area : c.N * c.K * c.y_area);
  const double copies = copied * (forward && c.stride[2] > 1 ? 1.2e-9 : 0.3e-9);
  each(context, "",
       (taps * (vectors * tap + 0.5e-9) + taps / (double)c.w_area * 20e-9 + copies) / lamina_device_threads(device) +
           lamina_loop_moving(device, bytes) + 3e-6,
       "");
}

static void candidates_forward(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                               lamina_candidate_fn *each, void *context) {
  offer(device, problem, engine, each, context, true, 0.6e-9);
}
static void candidates_data(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                            lamina_candidate_fn *each, void *context) {
  offer(device, problem, engine, each, context, false, 0.6e-9);
}
static void candidates_weights(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                               lamina_candidate_fn *each, void *context) {
  offer(device, problem, engine, each, context, true, 0.9e-9);
}

static const lamina_loop_conv_row
    row_forward = {.x = 0, .w = 1, .b = 2, .y = 3},
    row_data = {.y = 0, .w = 1, .x = 2, .b = -1}, row_weights = {.x = 0, .y = 1, .w = 2, .b = -1},
    row_relu = {.x = 0, .w = 1, .b = 2, .y = 3, .relu = true}, row_gated = {.y = 0, .w = 1, .gate = 2, .x = 3, .b = -1},
    transpose_forward = {.y = 0, .w = 1, .b = 2, .x = 3, .attributes = lamina_loop_conv_transposed},
    transpose_data = {.x = 0, .w = 1, .y = 2, .b = -1, .attributes = lamina_loop_conv_transposed},
    transpose_weights = {.y = 0, .x = 1, .w = 2, .b = -1, .attributes = lamina_loop_conv_transposed};

#define ENGINE(op_, row, way, run_)                                                                                    \
  .size = sizeof(lamina_engine), .abi = LAMINA_ENGINE_ABI, .device = "cpu", .name = "loop/depthwise", .op = op_,       \
  .user = (void *)&row, .strides = LAMINA_STRIDES_DENSE, .candidates = candidates_##way, .prepare = open_##way,        \
  .run = run_, .release = release
const lamina_engine lamina_cpu_loop_depthwise_forward = {ENGINE("conv/forward", row_forward, forward, run)};
const lamina_engine lamina_cpu_loop_depthwise_backward_data = {ENGINE("conv/backward_data", row_data, data, run)};
const lamina_engine lamina_cpu_loop_depthwise_backward_weights = {
    ENGINE("conv/backward_weights", row_weights, weights, run_weights)};
const lamina_engine lamina_cpu_loop_depthwise_relu = {ENGINE("conv_relu/forward", row_relu, forward, run)};
const lamina_engine lamina_cpu_loop_depthwise_gated = {ENGINE("relu_conv/backward_data", row_gated, data, run)};
const lamina_engine lamina_cpu_loop_depthwise_transpose_forward = {
    ENGINE("conv_transpose/forward", transpose_forward, data, run)};
const lamina_engine lamina_cpu_loop_depthwise_transpose_backward_data = {
    ENGINE("conv_transpose/backward_data", transpose_data, forward, run)};
const lamina_engine lamina_cpu_loop_depthwise_transpose_backward_weights = {
    ENGINE("conv_transpose/backward_weights", transpose_weights, weights, run_weights)};
