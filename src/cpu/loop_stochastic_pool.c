/* Stochastic pooling on the CPU. Sums are in f64 and in row-major order, as lamina/stochastic_pool.h defines the draw.
 *
 * forward    rows of the input are split into phases (loop_pool.h) and kept while windows share them. All windows of an
 *            output row go through their elements side by side: once for the sums, once until the running sum exceeds
 *            the drawn share of it. y is read at the place that was drawn.
 * inference  separable: each input row gives its windows' sums of w and of w * w, an output row adds such rows up.
 * backward   loop_pool_indices.c
 * Windows without a positive or with an infinite sum, and those that a row has few of, are read one by one. */
#include "cpu/loop_pool.h"
#include "kernels/philox.h"
#include "lamina/stochastic_pool.h"

LAMINA_INLINE double weight(float x) { return x <= 0 ? 0 : (double)x; } /* NaN stays, and shows in the sum */
LAMINA_INLINE bool is_drawable(double sum) { return sum > 0 && sum < (double)INFINITY; }

/* ---- One window at a time --------------------------------------------------------------------------------------- */

typedef struct window {
  int64_t d0, d1, h0, h1, w0, w1;
} window;

static window window_of(const lamina_loop_pool *s, int64_t od, int64_t oh, int64_t ow) {
  window w;
  lamina_loop_window(s, 0, od, &w.d0, &w.d1);
  lamina_loop_window(s, 1, oh, &w.h0, &w.h1);
  lamina_loop_window(s, 2, ow, &w.w0, &w.w1);
  return w;
}

#define EACH(s, w, i)                                                                                                  \
  for (int64_t d_ = (w).d0; d_ < (w).d1; d_++)                                                                         \
    for (int64_t h_ = (w).h0; h_ < (w).h1; h_++)                                                                       \
      for (int64_t i = (d_ * (s)->x[1] + h_) * (s)->x[2] + (w).w0, end_ = i + (w).w1 - (w).w0; i < end_; i++)

/* Where the maximum lies: what is taken where nothing can be drawn. */
LAMINA_INLINE int64_t maximum(const lamina_loop_pool *s, const window *w, const void *x, bool bf16) {
  int64_t at = (w->d0 * s->x[1] + w->h0) * s->x[2] + w->w0;
  float best = lamina_loop_get(x, at, bf16);
  EACH(s, *w, i) {
    const float v = lamina_loop_get(x, i, bf16);
    if (!(v <= best) && best == best) best = v, at = i;
  }
  return at;
}

LAMINA_INLINE int64_t draw_window(const lamina_loop_pool *s, const window *w, const void *x, float share, bool bf16) {
  double sum = 0, reached = 0;
  EACH(s, *w, i) sum += weight(lamina_loop_get(x, i, bf16));
  if (!is_drawable(sum)) return maximum(s, w, x, bf16);
  const double threshold = (double)share * sum;
  EACH(s, *w, i) {
    reached += weight(lamina_loop_get(x, i, bf16));
    if (reached > threshold) return i;
  }
  return maximum(s, w, x, bf16);
}

LAMINA_INLINE float average_window(const lamina_loop_pool *s, const window *w, const void *x, bool bf16) {
  double sum = 0, squares = 0;
  EACH(s, *w, i) {
    const double v = weight(lamina_loop_get(x, i, bf16));
    sum += v, squares += v * v;
  }
  return is_drawable(sum) ? (float)(squares / sum) : lamina_loop_get(x, maximum(s, w, x, bf16), bf16);
}

/* ---- Rows of windows -------------------------------------------------------------------------------------------- */

/* What a thread works with. `kept` is what is kept of an input row: its phases (forward) or its sums (inference). */
typedef struct scratch {
  lamina_loop_line line;
  void *kept;        /* [kernel[0]][ring][room of one] */
  double *sum;       /* [width] */
  double *other;     /* [width] forward: what the running sum has reached; inference: sums of w * w */
  double *threshold; /* [width] */
  uint32_t *word;    /* [width + 8] random numbers */
  int32_t *drawn;    /* [width] places in the plane, of the first window's offset */
} scratch;

/* Bytes that are kept of an input row. */
static size_t kept_size(const lamina_loop_pool *s, bool forward) {
  return forward ? (size_t)(s->phases * s->phase_room) * sizeof(float) : (size_t)s->width * 2 * sizeof(double);
}

static scratch scratch_of(const lamina_loop_pool *s, bool forward, lamina_loop_room *room) {
  scratch m = {.line = lamina_loop_line_at(s, lamina_loop_part(room, 1, lamina_loop_line_size(s)))};
  m.kept = lamina_loop_part(room, s->kernel[0] * s->ring, kept_size(s, forward));
  m.sum = lamina_loop_part(room, s->width, sizeof(double));
  m.other = lamina_loop_part(room, s->width, sizeof(double));
  if (!forward) return m;
  m.threshold = lamina_loop_part(room, s->width, sizeof(double));
  m.word = lamina_loop_part(room, s->width + 8, sizeof(uint32_t));
  m.drawn = lamina_loop_part(room, s->width, sizeof(int32_t));
  return m;
}

/* What is kept of row h of slice d. */
LAMINA_INLINE void *kept_at(const lamina_loop_pool *s, const scratch *m, const lamina_loop_reach *r, int64_t d,
                            int64_t h, bool forward) {
  return (char *)m->kept + (size_t)((d - r->d0) * s->ring + (h & (s->ring - 1))) * kept_size(s, forward);
}

LAMINA_INLINE void add_weights(int64_t n, const float *restrict x, double *restrict sum) {
  n &= -LAMINA_LOOP_VECTOR;
  for (int64_t o = 0; o < n; o++) sum[o] += weight(x[o]);
}

LAMINA_INLINE void add_weights_and_squares(int64_t n, const float *restrict x, double *restrict sum,
                                           double *restrict squares) {
  n &= -LAMINA_LOOP_VECTOR;
  for (int64_t o = 0; o < n; o++) {
    const double w = weight(x[o]);
    sum[o] += w, squares[o] += w * w;
  }
}

/* A step through all windows: those whose running sum exceeds the threshold here have drawn `here`. */
LAMINA_INLINE void step(int64_t n, const float *restrict x, int32_t here, const double *restrict threshold,
                        double *restrict reached, int32_t *restrict drawn) {
  n &= -LAMINA_LOOP_VECTOR;
  for (int64_t o = 0; o < n; o++) {
    const double before = reached[o], after = before + weight(x[o]);
    const bool not_yet = before <= threshold[o], now = after > threshold[o];
    const int32_t was = drawn[o], next = now ? here : was;
    drawn[o] = not_yet ? next : was;
    reached[o] = after;
  }
}

/* ---- Forward ---------------------------------------------------------------------------------------------------- */

enum { X, RNG, Y, INDICES };

/* Where random numbers come from, and the first element of the plane of y. */
typedef struct generator {
  uint64_t seed, element;
  uint32_t stream, step;
} generator;

static generator generator_at(const lamina_loop_pool *s, const lamina_loop_task *t) {
  generator g = *(const generator *)t->user;
  g.element = (uint64_t)(t->plane * s->y_plane);
  return g;
}

/* The words of elements i … i + n - 1; those of whole blocks are written, so there are up to 7 more. Returns the first
 * one's. */
LAMINA_INLINE const uint32_t *draw_words(const generator *g, uint64_t i, int64_t n, uint32_t *restrict word) {
  const uint64_t block = i / 4;
  const int64_t blocks = (int64_t)((i % 4 + (uint64_t)n + 3) / 4);
  for (int64_t b = 0; b < blocks; b++) {
    const philox_words four = philox_block(g->seed, block + (uint64_t)b, g->stream, g->step);
    for (int k = 0; k < 4; k++) word[4 * b + k] = four.v[k];
  }
  return word + i % 4;
}

/* Draws for the windows of an output row: m->drawn, and m->sum, which says whether that counts. */
LAMINA_INLINE void draw_row(const lamina_loop_pool *s, const lamina_loop_reach *r, const scratch *m,
                            const uint32_t *word) {
  const int64_t n = s->width & -LAMINA_LOOP_VECTOR;
  memset(m->sum, 0, (size_t)n * sizeof(double));
  memset(m->other, 0, (size_t)n * sizeof(double));
  for (int64_t d = r->d0; d < r->d1; d++)
    for (int64_t h = r->h0; h < r->h1; h++)
      for (int64_t c = 0; c < s->kernel[2]; c++)
        add_weights(n, (const float *)kept_at(s, m, r, d, h, true) + s->column[c], m->sum);
  for (int64_t o = 0; o < s->y[2]; o++) m->threshold[o] = (double)philox_unit(word[o]) * m->sum[o];
  for (int64_t d = r->d0; d < r->d1; d++)
    for (int64_t h = r->h0; h < r->h1; h++)
      for (int64_t c = 0; c < s->kernel[2]; c++) {
        const int64_t here = (d * s->x[1] + h) * s->x[2] - s->pad[2] + c;
        step(n, (const float *)kept_at(s, m, r, d, h, true) + s->column[c], (int32_t)here, m->threshold, m->other,
             m->drawn);
      }
}

LAMINA_INLINE void forward_rows(const lamina_loop_pool *s, const lamina_loop_task *t, bool bf16) {
  const scratch m = scratch_of(s, true, &(lamina_loop_room){t->scratch, 0});
  const generator g = generator_at(s, t);
  lamina_loop_reach r = {0};
  lamina_loop_line_clear(s, &m.line, 0, bf16);
  memset(m.threshold, 0, (size_t)s->width * sizeof(double));
  memset(m.drawn, 0, (size_t)s->width * sizeof(int32_t));
  lamina_loop_window(s, 0, t->d, &r.d0, &r.d1);
  for (int64_t oh = t->h; oh < t->end; oh++) {
    const int64_t to = (t->d * s->y[1] + oh) * s->y[2];
    const uint32_t *word = draw_words(&g, g.element + (uint64_t)to, s->y[2], m.word);
    lamina_loop_window(s, 1, oh, &r.h0, &r.h1);
    for (int64_t d = r.d0; d < r.d1; d++)
      for (int64_t h = r.h0 > r.next ? r.h0 : r.next; h < r.h1; h++) {
        const void *row = lamina_loop_at(t->from, (d * s->x[1] + h) * s->x[2], bf16);
        memcpy(kept_at(s, &m, &r, d, h, true), lamina_loop_line_read(s, &m.line, row, bf16), kept_size(s, true));
      }
    r.next = r.h1;
    draw_row(s, &r, &m, word);
    for (int64_t o = 0; o < s->y[2]; o++) {
      int64_t at = m.drawn[o] + o * s->stride[2];
      if (!is_drawable(m.sum[o])) {
        const window w = window_of(s, t->d, oh, o);
        at = maximum(s, &w, t->from, bf16);
      }
      lamina_loop_set(t->to, to + o, lamina_loop_get(t->from, at, bf16), bf16);
      if (t->indices) t->indices[to + o] = (int32_t)at;
    }
  }
}

LAMINA_INLINE void forward_windows(const lamina_loop_pool *s, const lamina_loop_task *t, bool bf16) {
  const generator g = generator_at(s, t);
  for (int64_t oh = t->h; oh < t->end; oh++)
    for (int64_t ow = 0; ow < s->y[2]; ow++) {
      const int64_t o = (t->d * s->y[1] + oh) * s->y[2] + ow;
      const window w = window_of(s, t->d, oh, ow);
      const float share = philox_unit(philox_word(g.seed, g.element + (uint64_t)o, g.stream, g.step));
      const int64_t at = draw_window(s, &w, t->from, share, bf16);
      lamina_loop_set(t->to, o, lamina_loop_get(t->from, at, bf16), bf16);
      if (t->indices) t->indices[o] = (int32_t)at;
    }
}

#define FORWARD(type, bf16)                                                                                            \
  LAMINA_CLONES static void forward_##type(const lamina_loop_pool *s, const lamina_loop_task *t) {                     \
    forward_rows(s, t, bf16);                                                                                          \
  }                                                                                                                    \
  static void forward_direct_##type(const lamina_loop_pool *s, const lamina_loop_task *t) {                            \
    forward_windows(s, t, bf16);                                                                                       \
  }
FORWARD(f32, false)
FORWARD(bf16, true)

static lamina_status prepare_forward(lamina_plan *plan) {
  LAMINA_TRY(lamina_loop_pool_open(plan, X, Y, false));
  lamina_loop_pool *s = plan->state;
  lamina_loop_room room = {0};
  s->alone /= 4; /* random numbers cost more than what is read */
  if (!s->direct) scratch_of(s, true, &room);
  lamina_loop_pool_scratch(plan, room.used);
  return LAMINA_OK;
}

static lamina_status run_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  static lamina_loop_task_fn *const tasks[2][2] = {{forward_f32, forward_bf16},
                                                   {forward_direct_f32, forward_direct_bf16}};
  const lamina_loop_pool *s = plan->state;
  const int64_t *rng = args->p[RNG];
  generator g = {.seed = (uint64_t)rng[0], .step = (uint32_t)rng[1]};
  g.stream = (uint32_t)((const lamina_stochastic_pool *)lamina_attr(&plan->problem))->stream;
  const lamina_loop_pass pass = {.from = args->p[X], .to = args->p[Y], .indices = args->p[INDICES], .user = &g};
  (void)stream;
  return lamina_loop_pool_run(plan, &pass, tasks[s->direct][lamina_loop_is_bf16(plan, X)], workspace);
}

const lamina_engine lamina_cpu_loop_stochastic_pool_forward = {
    LAMINA_LOOP_ENGINE("stochastic_pool/forward", LAMINA_STRIDES_DENSE),
    .candidates = lamina_loop_candidates,
    .prepare = prepare_forward,
    .run = run_forward,
    .release = lamina_loop_pool_close,
};

/* ---- Inference -------------------------------------------------------------------------------------------------- */

enum { INFERENCE_X, INFERENCE_Y };

LAMINA_INLINE void average_rows(const lamina_loop_pool *s, const lamina_loop_task *t, bool bf16) {
  const int64_t n = s->width & -LAMINA_LOOP_VECTOR;
  const scratch m = scratch_of(s, false, &(lamina_loop_room){t->scratch, 0});
  double *restrict sum = m.sum, *restrict squares = m.other;
  lamina_loop_reach r = {0};
  lamina_loop_line_clear(s, &m.line, 0, bf16);
  lamina_loop_window(s, 0, t->d, &r.d0, &r.d1);
  for (int64_t oh = t->h; oh < t->end; oh++) {
    lamina_loop_window(s, 1, oh, &r.h0, &r.h1);
    memset(sum, 0, (size_t)n * sizeof *sum);
    memset(squares, 0, (size_t)n * sizeof *squares);
    for (int64_t d = r.d0; d < r.d1; d++)
      for (int64_t h = r.h0; h < r.h1; h++) {
        double *restrict row = kept_at(s, &m, &r, d, h, false);
        if (h >= r.next) {
          const void *from = lamina_loop_at(t->from, (d * s->x[1] + h) * s->x[2], bf16);
          const float *phases = lamina_loop_line_read(s, &m.line, from, bf16);
          memset(row, 0, kept_size(s, false));
          for (int64_t c = 0; c < s->kernel[2]; c++) add_weights_and_squares(n, phases + s->column[c], row, row + n);
        }
        for (int64_t o = 0; o < n; o++) sum[o] += row[o], squares[o] += row[n + o];
      }
    r.next = r.h1;
    for (int64_t o = 0; o < s->y[2]; o++) {
      float v = (float)(squares[o] / sum[o]);
      if (!is_drawable(sum[o])) {
        const window w = window_of(s, t->d, oh, o);
        v = lamina_loop_get(t->from, maximum(s, &w, t->from, bf16), bf16);
      }
      lamina_loop_set(t->to, (t->d * s->y[1] + oh) * s->y[2] + o, v, bf16);
    }
  }
}

#define AVERAGE(type, bf16)                                                                                            \
  LAMINA_CLONES static void average_##type(const lamina_loop_pool *s, const lamina_loop_task *t) {                     \
    average_rows(s, t, bf16);                                                                                          \
  }                                                                                                                    \
  static void average_direct_##type(const lamina_loop_pool *s, const lamina_loop_task *t) {                            \
    for (int64_t oh = t->h; oh < t->end; oh++)                                                                         \
      for (int64_t ow = 0; ow < s->y[2]; ow++) {                                                                       \
        const window w = window_of(s, t->d, oh, ow);                                                                   \
        const float v = average_window(s, &w, t->from, bf16);                                                          \
        lamina_loop_set(t->to, (t->d * s->y[1] + oh) * s->y[2] + ow, v, bf16);                                         \
      }                                                                                                                \
  }
AVERAGE(f32, false)
AVERAGE(bf16, true)

static lamina_status prepare_inference(lamina_plan *plan) {
  LAMINA_TRY(lamina_loop_pool_open(plan, INFERENCE_X, INFERENCE_Y, false));
  const lamina_loop_pool *s = plan->state;
  lamina_loop_room room = {0};
  plan->numerics.u_acc = lamina_dtype_roundoff(LAMINA_F64);
  if (!s->direct) scratch_of(s, false, &room);
  lamina_loop_pool_scratch(plan, room.used);
  return LAMINA_OK;
}

static lamina_status run_inference(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                   lamina_stream *stream) {
  static lamina_loop_task_fn *const tasks[2][2] = {{average_f32, average_bf16},
                                                   {average_direct_f32, average_direct_bf16}};
  const lamina_loop_pool *s = plan->state;
  const lamina_loop_pass pass = {.from = args->p[INFERENCE_X], .to = args->p[INFERENCE_Y]};
  (void)stream;
  return lamina_loop_pool_run(plan, &pass, tasks[s->direct][lamina_loop_is_bf16(plan, INFERENCE_X)], workspace);
}

const lamina_engine lamina_cpu_loop_stochastic_pool_inference = {
    LAMINA_LOOP_ENGINE("stochastic_pool/inference", LAMINA_STRIDES_DENSE),
    .candidates = lamina_loop_candidates,
    .prepare = prepare_inference,
    .run = run_inference,
    .release = lamina_loop_pool_close,
};
