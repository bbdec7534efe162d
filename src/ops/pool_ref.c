/* The references of pooling, straight from the formulas in lamina/pool.h. Inputs are dense f64; one- and
 * two-dimensional problems are three-dimensional ones with axes of size 1 in front. */
#include <math.h>

#include "ops/pool.h"

typedef struct sizes {
  int64_t x[3], y[3], x_plane, y_plane;
  lamina_pool pool; /* its axes moved to the back */
} sizes;

static sizes sizes_of(const lamina_reference *ref, int x, int y) {
  const lamina_pool *pool = ref->attr;
  const lamina_desc *dx = &ref->problem->arg[x], *dy = &ref->problem->arg[y];
  sizes s = {.x_plane = 1, .y_plane = 1, .pool.count_pad = pool->count_pad};
  const int axes = dx->rank - 2;
  for (int a = 0; a < 3; a++) s.x[a] = s.y[a] = s.pool.kernel[a] = s.pool.stride[a] = 1;
  for (int a = 0; a < axes; a++) {
    const int to = 3 - axes + a;
    s.x[to] = dx->dims[2 + a], s.y[to] = dy->dims[2 + a];
    s.pool.kernel[to] = pool->kernel[a], s.pool.stride[to] = pool->stride[a];
    s.pool.pad[to][0] = pool->pad[a][0], s.pool.pad[to][1] = pool->pad[a][1];
  }
  for (int a = 0; a < 3; a++) s.x_plane *= s.x[a], s.y_plane *= s.y[a];
  return s;
}

/* Splits a flat index of a plane into one index for each axis. */
static void split(int64_t index, const int64_t size[3], int64_t at[3]) {
  for (int a = 2; a >= 0; a--) at[a] = index % size[a], index /= size[a];
}

/* The part of window `o` that lies inside the input. */
static void window_of(const sizes *s, const int64_t o[3], int64_t first[3], int64_t end[3]) {
  for (int a = 0; a < 3; a++) {
    first[a] = o[a] * s->pool.stride[a] - s->pool.pad[a][0];
    end[a] = first[a] + s->pool.kernel[a];
    if (first[a] < 0) first[a] = 0;
    if (end[a] > s->x[a]) end[a] = s->x[a];
  }
}

static double count_of(const sizes *s, const int64_t o[3]) {
  double count = 1;
  for (int a = 0; a < 3; a++) count *= (double)lamina_pool_count(&s->pool, a, s->x[a], o[a]);
  return count;
}

void lamina_max_pool_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const sizes s = sizes_of(ref, LAMINA_MAX_POOL_FORWARD_X, arg);
  const double *x = ref->x[LAMINA_MAX_POOL_FORWARD_X] + index / s.y_plane * s.x_plane;
  int64_t o[3], first[3], end[3], best = -1;
  split(index % s.y_plane, s.y, o);
  window_of(&s, o, first, end);
  for (int64_t d = first[0]; d < end[0]; d++)
    for (int64_t h = first[1]; h < end[1]; h++)
      for (int64_t w = first[2]; w < end[2]; w++) {
        const int64_t i = (d * s.x[1] + h) * s.x[2] + w;
        if (best < 0 || x[i] > x[best] || (isnan(x[i]) && !isnan(x[best]))) best = i;
      }
  *e = (lamina_expected){.value = arg == LAMINA_MAX_POOL_FORWARD_Y ? x[best] : (double)best, .terms = -1};
}

/* Scratch: for each element of dx the sum of what it receives, of its squares, and the number of terms. */
enum { SUM, SQUARES, TERMS, EACH };

int64_t lamina_max_pool_backward_scratch(const lamina_problem *p) {
  return EACH * lamina_desc_count(&p->arg[LAMINA_MAX_POOL_BACKWARD_DX]);
}

lamina_status lamina_max_pool_backward_prepare(const lamina_reference *ref) {
  const sizes s = sizes_of(ref, LAMINA_MAX_POOL_BACKWARD_DX, LAMINA_MAX_POOL_BACKWARD_DY);
  const int64_t count = lamina_desc_count(&ref->problem->arg[LAMINA_MAX_POOL_BACKWARD_DY]);
  const double *dy = ref->x[LAMINA_MAX_POOL_BACKWARD_DY];
  const int64_t *indices = ref->i[LAMINA_MAX_POOL_BACKWARD_INDICES];
  memset(ref->scratch, 0, (size_t)lamina_max_pool_backward_scratch(ref->problem) * sizeof(double));
  for (int64_t o = 0; o < count; o++) {
    if (indices[o] < 0 || indices[o] >= s.x_plane) continue;
    double *to = ref->scratch + EACH * (o / s.y_plane * s.x_plane + indices[o]);
    to[SUM] += dy[o];
    to[SQUARES] += dy[o] * dy[o];
    to[TERMS]++;
  }
  return LAMINA_OK;
}

void lamina_max_pool_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg;
  const double *from = ref->scratch + EACH * index;
  *e = (lamina_expected){.value = from[SUM], .q = sqrt(from[SQUARES]), .terms = (int64_t)from[TERMS]};
}

void lamina_avg_pool_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const sizes s = sizes_of(ref, LAMINA_AVG_POOL_FORWARD_X, arg);
  const double *x = ref->x[LAMINA_AVG_POOL_FORWARD_X] + index / s.y_plane * s.x_plane;
  int64_t o[3], first[3], end[3];
  double sum = 0, squares = 0;
  split(index % s.y_plane, s.y, o);
  window_of(&s, o, first, end);
  for (int64_t d = first[0]; d < end[0]; d++)
    for (int64_t h = first[1]; h < end[1]; h++)
      for (int64_t w = first[2]; w < end[2]; w++) {
        const double v = x[(d * s.x[1] + h) * s.x[2] + w];
        sum += v;
        squares += v * v;
        e->terms++;
      }
  const double count = count_of(&s, o);
  e->value = sum / count;
  e->q = sqrt(squares) / count;
}

/* The windows that cover position `i` of an axis. */
static void windows_over(const sizes *s, int a, int64_t i, int64_t *first, int64_t *end) {
  const int64_t at = i + s->pool.pad[a][0], kernel = s->pool.kernel[a], stride = s->pool.stride[a];
  *first = at < kernel ? 0 : (at - kernel) / stride + 1;
  *end = at / stride + 1;
  if (*end > s->y[a]) *end = s->y[a];
}

void lamina_avg_pool_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const sizes s = sizes_of(ref, arg, LAMINA_AVG_POOL_BACKWARD_DY);
  const double *dy = ref->x[LAMINA_AVG_POOL_BACKWARD_DY] + index / s.x_plane * s.y_plane;
  int64_t i[3], first[3], end[3], o[3];
  double squares = 0;
  split(index % s.x_plane, s.x, i);
  for (int a = 0; a < 3; a++) windows_over(&s, a, i[a], &first[a], &end[a]);
  for (o[0] = first[0]; o[0] < end[0]; o[0]++)
    for (o[1] = first[1]; o[1] < end[1]; o[1]++)
      for (o[2] = first[2]; o[2] < end[2]; o[2]++) {
        const double product = dy[(o[0] * s.y[1] + o[1]) * s.y[2] + o[2]] / count_of(&s, o);
        e->value += product;
        squares += product * product;
        e->terms++;
      }
  e->q = sqrt(squares);
}
