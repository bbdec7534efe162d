/* What the pooling loops share. 1-D and 2-D pools are 3-D ones with axes of size 1 in front.
 *
 * Pools are separable: each row of the input is pooled along itself once, and an output row is pooled from such pooled
 * rows, which stay while the windows of successive output rows share them.
 *
 * A stride makes neighbouring windows read elements that don't lie side by side. So a row is first copied into a line
 * with its padding, and the line is split into `phases`: phase p holds the elements p, p + stride, p + 2*stride …
 * Then what all windows read at place c of the kernel lies side by side, from element c / stride of phase c % stride
 * on, and the loops over windows vectorise whatever kernel, stride, padding and type are (with a dilation, place c is
 * c * dilation):
 *
 *   line   # 0 1 2 3 4 5 6 #      kernel 3, stride 2, pad 1      phase 0   # 1 3 5 #
 *          [   ]   [   ]                                         phase 1   0 2 4 6
 *              [   ]   [   ]
 *
 * All loops run over whole vectors: lines, phases and rows are as much longer, and what is beyond is dropped.
 *
 * Where rows are short, the same row of several planes can lie in one line, side by side: its `lanes`. Each has a segment
 * of the line that no window of another lane reads from. */
#ifndef LAMINA_CPU_LOOP_POOL_H
#define LAMINA_CPU_LOOP_POOL_H

#include <math.h>

#include "cpu/loop.h"
#include "lamina/pool.h"

enum { LAMINA_LOOP_VECTOR = 16 }; /* floats: a whole number of vectors on any machine */

/* A pool, as prepared: the plan's state. */
typedef struct lamina_loop_pool {
  size_t size;                      /* bytes of this block, tables included */
  size_t scratch;                   /* bytes that a thread works with */
  int64_t alone;                    /* of fewer elements a thread takes all */
  int64_t planes, x_plane, y_plane; /* N*C; elements of one */
  int64_t x[3], y[3], kernel[3], stride[3], pad[3], pad_after[3], dilation[3];
  bool count_pad, direct;       /* direct: few windows in a row, or long ones; each is read by itself, no tables */
  int64_t lanes, segment;       /* planes side by side; windows from one's first to the next one's */
  int64_t width;                /* windows of all lanes, rounded up to whole vectors */
  int64_t phases, phase_room;   /* floats from one phase to the next */
  int64_t line_room, line_copy; /* floats of a line; elements of a row that windows read */
  int64_t ring;                 /* pooled rows kept of each slice: a power of two, at least a window's extent */
  int64_t *column;              /* [kernel[2]] where the first window finds place c among the phases */
  int32_t *first;               /* [width] how far in each window its first element lies that is in the input */
  int32_t *base;                /* [width] where in its row each window starts, less the padding */
  float *count;                 /* [width] how many elements of a row each window counts in an average */
} lamina_loop_pool;

/* Fills in planes and windows, of the arguments x (the larger one) and y. */
void lamina_loop_pool_sizes(lamina_loop_pool *s, const lamina_problem *p, int x, int y);
/* The engine's prepare and release; `x` and `y` are the places of the larger and the smaller argument. `lanes`: may
 * planes lie side by side? */
lamina_status lamina_loop_pool_open(lamina_plan *plan, int x, int y, bool lanes);
void lamina_loop_pool_close(lamina_plan *plan);
/* Wants workspace: so many bytes for each thread. */
void lamina_loop_pool_scratch(lamina_plan *plan, size_t size);

/* Elements of all windows, of which argument y has one each: what estimates count. */
static inline double lamina_loop_pool_elements(const lamina_problem *p, int y) {
  double elements = (double)lamina_desc_count(&p->arg[y]);
  for (int a = 0; a < p->arg[y].rank - 2; a++) elements *= (double)((const lamina_pool *)lamina_attr(p))->kernel[a];
  return elements;
}

/* How many elements window `o` of an axis counts in an average. */
static inline int64_t lamina_loop_count(const lamina_loop_pool *s, int a, int64_t o) {
  const int64_t size = s->x[a] + (s->count_pad ? s->pad_after[a] : 0);
  int64_t first = o * s->stride[a] - s->pad[a], end = first + s->kernel[a];
  if (end > size) end = size;
  if (first < 0 && !s->count_pad) first = 0;
  return end - first;
}

/* The part of window `o` of an axis that lies inside the input; its elements are a dilation apart. */
LAMINA_INLINE void lamina_loop_window(const lamina_loop_pool *s, int a, int64_t o, int64_t *first, int64_t *end) {
  const int64_t dilation = s->dilation[a];
  *first = o * s->stride[a] - s->pad[a];
  *end = *first + (s->kernel[a] - 1) * dilation + 1;
  if (*first < 0) *first += dilation == 1 ? -*first : (dilation - 1 - *first) / dilation * dilation;
  if (*end > s->x[a]) *end = s->x[a];
}

/* The windows without dilation that cover position `i` of an axis. */
LAMINA_INLINE void lamina_loop_windows_over(const lamina_loop_pool *s, int a, int64_t i, int64_t *first, int64_t *end) {
  const int64_t at = i + s->pad[a];
  *first = at < s->kernel[a] ? 0 : (at - s->kernel[a]) / s->stride[a] + 1;
  *end = at / s->stride[a] + 1;
  if (*end > s->y[a]) *end = s->y[a];
}

/* A line and its phases. */
typedef struct lamina_loop_line {
  float *line;    /* [line_room] */
  float *phase;   /* [phases][phase_room] */
  uint16_t *bf16; /* [line_room] the line as it is stored */
} lamina_loop_line;

static inline size_t lamina_loop_line_size(const lamina_loop_pool *s) {
  return (size_t)(s->line_room * 6 + s->phases * s->phase_room * 4);
}
static inline lamina_loop_line lamina_loop_line_at(const lamina_loop_pool *s, void *memory) {
  if (!memory) return (lamina_loop_line){0};
  float *line = memory, *phase = line + s->line_room;
  return (lamina_loop_line){line, phase, (uint16_t *)(phase + s->phases * s->phase_room)};
}

/* Fills the padding, which stays while rows are read. */
LAMINA_INLINE void lamina_loop_line_clear(const lamina_loop_pool *s, const lamina_loop_line *m, float outside,
                                          bool bf16) {
  for (int64_t j = 0; j < s->line_room; j++) m->line[j] = outside;
  if (bf16) lamina_bf16_write(s->line_room, m->line, m->bf16);
}

/* Splits a line into phases; the one of stride 1 is the line. */
LAMINA_INLINE const float *lamina_loop_split(const lamina_loop_pool *s, const lamina_loop_line *m) {
  const int64_t n = s->phase_room & -LAMINA_LOOP_VECTOR;
  const float *restrict line = m->line;
  float *restrict even = m->phase, *restrict odd = even + n;
  if (s->stride[2] == 1) return line;
  if (s->stride[2] == 2 && s->phases == 2) { /* both at once: nothing that is loaded goes unused, so it vectorises */
    for (int64_t j = 0; j < n; j++) even[j] = line[2 * j], odd[j] = line[2 * j + 1];
    return m->phase;
  }
  for (int64_t p = 0; p < s->phases; p++)
    for (int64_t j = 0; j < n; j++) m->phase[p * n + j] = line[s->stride[2] * j + p];
  return m->phase;
}

/* Reads the row at x, of `lanes` planes, and gives the phases. */
LAMINA_INLINE const float *lamina_loop_lanes_read(const lamina_loop_pool *s, const lamina_loop_line *m, const void *x,
                                                  int64_t lanes, bool bf16) {
  const int64_t step = s->segment * s->stride[2];
  char *to = bf16 ? (char *)(m->bf16 + s->pad[2]) : (char *)(m->line + s->pad[2]);
  for (int64_t p = 0; p < lanes; p++)
    memcpy(lamina_loop_to(to, p * step, bf16), lamina_loop_at(x, p * s->x_plane, bf16),
           (size_t)s->line_copy * (bf16 ? 2 : 4));
  if (bf16) lamina_bf16_read(s->line_room & -LAMINA_LOOP_VECTOR, m->bf16, m->line);
  return lamina_loop_split(s, m);
}
LAMINA_INLINE const float *lamina_loop_line_read(const lamina_loop_pool *s, const lamina_loop_line *m, const void *x,
                                                 bool bf16) {
  return lamina_loop_lanes_read(s, m, x, 1, bf16);
}

/* ---- Rows of windows -------------------------------------------------------------------------------------------- */

LAMINA_INLINE void lamina_loop_add_row(int64_t n, const float *restrict x, float *restrict sum) {
  n &= -LAMINA_LOOP_VECTOR;
  for (int64_t o = 0; o < n; o++) sum[o] += x[o];
}

/* What every element beats that isn't the same: the padding. */
LAMINA_INLINE float lamina_loop_worst(bool min) { return min ? INFINITY : -INFINITY; }

/* Takes x [n] into best [n], whose places are in[o] + place (in NULL: place): the first of equals stays; a NaN wins, and
 * stays. In selects, which vectorise, where one condition of `and` and `or` would not. */
LAMINA_INLINE void lamina_loop_take(int64_t n, const float *restrict x, const int32_t *restrict in, int32_t place,
                                    float *restrict best, int32_t *restrict at, bool indices, bool min) {
  n &= -LAMINA_LOOP_VECTOR;
#pragma GCC ivdep
  for (int64_t o = 0; o < n; o++) {
    const float v = x[o], b = best[o];
    const bool wins = min ? !(v >= b) : !(v <= b), beatable = b == b;
    const float next = wins ? v : b;
    best[o] = beatable ? next : b;
    if (indices) {
      const int32_t was = at[o], here = in ? in[o] + place : place, next_at = wins ? here : was;
      at[o] = beatable ? next_at : was;
    }
  }
}

/* Merges the phases into the line, the reverse of lamina_loop_split. What no window covers stays 0. */
LAMINA_INLINE void lamina_loop_merge(const lamina_loop_pool *s, const lamina_loop_line *m) {
  const int64_t n = s->phase_room & -LAMINA_LOOP_VECTOR;
  const float *restrict even = m->phase, *restrict odd = even + n;
  float *restrict line = m->line;
  if (s->stride[2] == 2 && s->phases == 2) {
    for (int64_t j = 0; j < n; j++) line[2 * j] = even[j], line[2 * j + 1] = odd[j];
    return;
  }
  for (int64_t p = 0; p < s->phases; p++)
    for (int64_t j = 0; j < n; j++) line[s->stride[2] * j + p] = even[p * n + j];
}

/* ---- What a thread works with ----------------------------------------------------------------------------------- */

/* A thread's part of the workspace, handed out piece by piece; without memory, it is counted only. */
typedef struct lamina_loop_room {
  char *memory;
  size_t used;
} lamina_loop_room;

static inline void *lamina_loop_part(lamina_loop_room *room, int64_t count, size_t size) {
  void *part = room->memory ? room->memory + room->used : NULL;
  room->used += lamina_align_up((size_t)count * size, 64);
  return part;
}

/* ---- Tasks ------------------------------------------------------------------------------------------------------ */

/* A pass goes from one argument to another, and both have `planes` planes. */
typedef struct lamina_loop_pass {
  const void *from;
  void *to;
  int32_t *indices; /* as many as there are elements of `to`, or NULL */
  bool backward;    /* `to` is the larger argument, x */
  const void *user; /* for the tasks */
} lamina_loop_pass;

/* A task: rows [h, end) of slice d of `to`, of `lanes` planes from `plane` on. */
typedef struct lamina_loop_task {
  int64_t plane, lanes, d, h, end;
  const void *from; /* this plane, whole */
  void *to;
  int32_t *indices;
  void *scratch; /* the thread's */
  const void *user;
} lamina_loop_task;

typedef void lamina_loop_task_fn(const lamina_loop_pool *s, const lamina_loop_task *t);

/* Runs a pass in tasks: a slice of a plane each, or less where slices are few. */
lamina_status lamina_loop_pool_run(const lamina_plan *plan, const lamina_loop_pass *pass, lamina_loop_task_fn *run,
                                   void *workspace);

/* The slices and rows of the input that an output row is made of, and the first row that isn't pooled yet. */
typedef struct lamina_loop_reach {
  int64_t d0, d1, h0, h1, next;
} lamina_loop_reach;

#endif
