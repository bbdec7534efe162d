/* The references of pooling, straight from the formulas in lamina/pool.h, and what those of other pools are made of. */
#include <math.h>

#include "ops/pool.h"

/* ---- Windows ---------------------------------------------------------------------------------------------------- */

lamina_pool_sizes lamina_pool_sizes_of(const lamina_reference *ref, int x, int y) {
  const lamina_pool *pool = ref->attr;
  const lamina_desc *dx = &ref->problem->arg[x], *dy = &ref->problem->arg[y];
  lamina_pool_sizes s = {.x_plane = 1, .y_plane = 1, .pool.count_pad = pool->count_pad};
  const int axes = dx->rank - 2;
  for (int a = 0; a < 3; a++) s.x[a] = s.y[a] = s.pool.kernel[a] = s.pool.stride[a] = s.pool.dilation[a] = 1;
  for (int a = 0; a < axes; a++) {
    const int to = 3 - axes + a;
    s.x[to] = dx->dims[2 + a], s.y[to] = dy->dims[2 + a];
    s.pool.kernel[to] = pool->kernel[a], s.pool.stride[to] = pool->stride[a], s.pool.dilation[to] = pool->dilation[a];
    s.pool.pad[to][0] = pool->pad[a][0], s.pool.pad[to][1] = pool->pad[a][1];
  }
  for (int a = 0; a < 3; a++) s.x_plane *= s.x[a], s.y_plane *= s.y[a];
  return s;
}

void lamina_pool_split(int64_t index, const int64_t size[3], int64_t at[3]) {
  for (int a = 2; a >= 0; a--) at[a] = index % size[a], index /= size[a];
}

void lamina_pool_window(const lamina_pool_sizes *s, const int64_t o[3], int64_t first[3], int64_t end[3]) {
  for (int a = 0; a < 3; a++) {
    const int64_t dilation = s->pool.dilation[a];
    first[a] = o[a] * s->pool.stride[a] - s->pool.pad[a][0];
    end[a] = first[a] + (s->pool.kernel[a] - 1) * dilation + 1;
    if (first[a] < 0) first[a] += (dilation - 1 - first[a]) / dilation * dilation;
    if (end[a] > s->x[a]) end[a] = s->x[a];
  }
}

void lamina_pool_windows_over(const lamina_pool_sizes *s, int a, int64_t i, int64_t *first, int64_t *end) {
  const int64_t at = i + s->pool.pad[a][0], kernel = s->pool.kernel[a], stride = s->pool.stride[a];
  *first = at < kernel ? 0 : (at - kernel) / stride + 1;
  *end = at / stride + 1;
  if (*end > s->y[a]) *end = s->y[a];
}

double lamina_pool_count_of(const lamina_pool_sizes *s, const int64_t o[3]) {
  double count = 1;
  for (int a = 0; a < 3; a++) count *= (double)lamina_pool_count(&s->pool, a, s->x[a], o[a]);
  return count;
}

int64_t lamina_pool_extreme(const lamina_pool_sizes *s, const double *x, const int64_t o[3], double sign) {
  int64_t first[3], end[3], best = -1;
  lamina_pool_window(s, o, first, end);
  LAMINA_POOL_EACH(s, first, end, i)
  if (best < 0 || sign * x[i] > sign * x[best] || (isnan(x[i]) && !isnan(x[best]))) best = i;
  return best;
}

/* ---- Max and min ------------------------------------------------------------------------------------------------ */

static void extreme_element(const lamina_reference *ref, int arg, int64_t index, double sign, lamina_expected *e) {
  const lamina_pool_sizes s = lamina_pool_sizes_of(ref, LAMINA_MAX_POOL_FORWARD_X, arg);
  const double *x = ref->x[LAMINA_MAX_POOL_FORWARD_X] + index / s.y_plane * s.x_plane;
  int64_t o[3];
  lamina_pool_split(index % s.y_plane, s.y, o);
  const int64_t best = lamina_pool_extreme(&s, x, o, sign);
  *e = (lamina_expected){.value = arg == LAMINA_MAX_POOL_FORWARD_Y ? x[best] : (double)best, .terms = -1};
}

void lamina_max_pool_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  extreme_element(ref, arg, index, 1, e);
}

void lamina_min_pool_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  extreme_element(ref, arg, index, -1, e);
}

/* Where nothing is above 0 all are equal behind the ReLU, and the first one counts. */
void lamina_relu_max_pool_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_pool_sizes s = lamina_pool_sizes_of(ref, LAMINA_MAX_POOL_FORWARD_X, arg);
  const double *x = ref->x[LAMINA_MAX_POOL_FORWARD_X] + index / s.y_plane * s.x_plane;
  int64_t o[3], first[3], end[3];
  lamina_pool_split(index % s.y_plane, s.y, o);
  lamina_pool_window(&s, o, first, end);
  const int64_t best = lamina_pool_extreme(&s, x, o, 1);
  const bool shut = x[best] <= 0;
  const int64_t at = shut ? (first[0] * s.x[1] + first[1]) * s.x[2] + first[2] : best;
  *e = (lamina_expected){.value = arg != LAMINA_MAX_POOL_FORWARD_Y ? (double)at : shut ? 0 : x[best], .terms = -1};
}

/* Scratch: for each element of dx the sum of what it receives, of its squares, and the number of terms. */
enum { SUM, SQUARES, TERMS, EACH };

static int64_t scatter_scratch(const lamina_desc *dx) { return EACH * lamina_desc_count(dx); }
int64_t lamina_pool_scatter_scratch(const lamina_problem *p) {
  return scatter_scratch(&p->arg[LAMINA_MAX_POOL_BACKWARD_DX]);
}
int64_t lamina_pool_gated_scratch(const lamina_problem *p) { return scatter_scratch(&p->arg[LAMINA_GATED_POOL_DX]); }

/* What isn't above 0 in `gate`, where there is one, hands nothing on. */
static lamina_status scatter(const lamina_reference *ref, int dy_, int indices_, int dx_, const double *gate) {
  const lamina_desc *of_dx = &ref->problem->arg[dx_], *of_dy = &ref->problem->arg[dy_];
  const int64_t count = lamina_desc_count(of_dy), *indices = ref->i[indices_];
  const double *dy = ref->x[dy_];
  memset(ref->scratch, 0, (size_t)scatter_scratch(of_dx) * sizeof(double));
  if (!count) return LAMINA_OK;
  const int64_t planes = of_dy->dims[0] * of_dy->dims[1];
  const int64_t x_plane = lamina_desc_count(of_dx) / planes, y_plane = count / planes;
  for (int64_t o = 0; o < count; o++) {
    if (indices[o] < 0 || indices[o] >= x_plane || (gate && !(gate[o] > 0))) continue;
    double *to = ref->scratch + EACH * (o / y_plane * x_plane + indices[o]);
    to[SUM] += dy[o];
    to[SQUARES] += dy[o] * dy[o];
    to[TERMS]++;
  }
  return LAMINA_OK;
}

lamina_status lamina_pool_scatter_prepare(const lamina_reference *ref) {
  return scatter(ref, LAMINA_MAX_POOL_BACKWARD_DY, LAMINA_MAX_POOL_BACKWARD_INDICES, LAMINA_MAX_POOL_BACKWARD_DX, NULL);
}

lamina_status lamina_pool_gated_prepare(const lamina_reference *ref) {
  return scatter(ref, LAMINA_GATED_POOL_DY, LAMINA_GATED_POOL_INDICES, LAMINA_GATED_POOL_DX,
                 ref->x[LAMINA_GATED_POOL_Y]);
}

void lamina_pool_scatter_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg;
  const double *from = ref->scratch + EACH * index;
  *e = (lamina_expected){.value = from[SUM], .q = sqrt(from[SQUARES]), .terms = (int64_t)from[TERMS]};
}

/* ---- Average ---------------------------------------------------------------------------------------------------- */

void lamina_avg_pool_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_pool_sizes s = lamina_pool_sizes_of(ref, LAMINA_AVG_POOL_FORWARD_X, arg);
  const double *x = ref->x[LAMINA_AVG_POOL_FORWARD_X] + index / s.y_plane * s.x_plane;
  int64_t o[3], first[3], end[3];
  double sum = 0, squares = 0;
  lamina_pool_split(index % s.y_plane, s.y, o);
  lamina_pool_window(&s, o, first, end);
  LAMINA_POOL_EACH(&s, first, end, i) {
    sum += x[i];
    squares += x[i] * x[i];
    e->terms++;
  }
  const double count = lamina_pool_count_of(&s, o);
  e->value = sum / count;
  e->q = sqrt(squares) / count;
}

void lamina_avg_pool_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_pool_sizes s = lamina_pool_sizes_of(ref, arg, LAMINA_AVG_POOL_BACKWARD_DY);
  const double *dy = ref->x[LAMINA_AVG_POOL_BACKWARD_DY] + index / s.x_plane * s.y_plane;
  int64_t i[3], first[3], end[3], o[3];
  double squares = 0;
  lamina_pool_split(index % s.x_plane, s.x, i);
  for (int a = 0; a < 3; a++) lamina_pool_windows_over(&s, a, i[a], &first[a], &end[a]);
  for (o[0] = first[0]; o[0] < end[0]; o[0]++)
    for (o[1] = first[1]; o[1] < end[1]; o[1]++)
      for (o[2] = first[2]; o[2] < end[2]; o[2]++) {
        const double product = dy[(o[0] * s.y[1] + o[1]) * s.y[2] + o[2]] / lamina_pool_count_of(&s, o);
        e->value += product;
        squares += product * product;
        e->terms++;
      }
  e->q = sqrt(squares);
}
