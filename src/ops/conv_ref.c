/* The references of convolution: one output element at a time, straight from the formulas in lamina/conv.h.
 * Inputs are dense f64; one- and two-dimensional problems are three-dimensional ones with axes of size 1 in front. */
#include <math.h>

#include "ops/activation.h"
#include "ops/conv.h"

lamina_conv_sizes lamina_conv_sizes_of(const lamina_conv *conv, const lamina_desc *x, const lamina_desc *w,
                                       const lamina_desc *y) {
  lamina_conv_sizes s = {.C = x->dims[1], .K = w->dims[0], .groups = conv->groups, .N = x->dims[0], .flip = conv->flip};
  const int axes = x->rank - 2;
  for (int a = 0; a < 3; a++) s.x[a] = s.w[a] = s.y[a] = s.stride[a] = s.dilation[a] = 1;
  for (int a = 0; a < axes; a++) {
    const int to = 3 - axes + a;
    s.x[to] = x->dims[2 + a], s.w[to] = w->dims[2 + a], s.y[to] = y->dims[2 + a];
    s.stride[to] = conv->stride[a], s.dilation[to] = conv->dilation[a], s.pad[to] = conv->pad[a][0];
  }
  return s;
}

static lamina_conv_sizes sizes_of(const lamina_reference *ref, int x, int w, int y) {
  const lamina_desc *arg = ref->problem->arg;
  return lamina_conv_sizes_of(ref->attr, &arg[x], &arg[w], &arg[y]);
}

/* Splits a flat index of [A, B, s0, s1, s2] into {A, B, s0, s1, s2}. */
static void split(int64_t index, int64_t B, const int64_t s[3], int64_t at[5]) {
  for (int a = 2; a >= 0; a--) at[2 + a] = index % s[a], index /= s[a];
  at[1] = index % B;
  at[0] = index / B;
}

/* The row of x, w or y that starts at [i, j, d, h, 0]. */
static int64_t row(int64_t i, int64_t j, int64_t J, int64_t d, int64_t h, const int64_t s[3]) {
  return (((i * J + j) * s[0] + d) * s[1] + h) * s[2];
}

/* Where along a filter's axis the weight of tap r lies; and the other way round. */
static int64_t tap(const lamina_conv_sizes *s, int axis, int64_t r) { return s->flip ? s->w[axis] - 1 - r : r; }

static void add(lamina_expected *e, double product) {
  e->value += product;
  e->q += product * product;
  e->terms++;
}

void lamina_conv_sum_forward(const lamina_conv_sizes *s, const double *x, const double *w, int64_t index,
                             lamina_expected *e) {
  const int64_t Cg = s->C / s->groups;
  int64_t o[5], i[3]; /* o: n, k, output position; i: input position */
  split(index, s->K, s->y, o);
  const int64_t first = o[1] / (s->K / s->groups) * Cg;
  for (int64_t c = 0; c < Cg; c++)
    for (int64_t r = 0; r < s->w[0]; r++) {
      i[0] = o[2] * s->stride[0] - s->pad[0] + r * s->dilation[0];
      if (i[0] < 0 || i[0] >= s->x[0]) continue;
      for (int64_t t = 0; t < s->w[1]; t++) {
        i[1] = o[3] * s->stride[1] - s->pad[1] + t * s->dilation[1];
        if (i[1] < 0 || i[1] >= s->x[1]) continue;
        const double *xs = x + row(o[0], first + c, s->C, i[0], i[1], s->x),
                     *ws = w + row(o[1], c, Cg, tap(s, 0, r), tap(s, 1, t), s->w);
        for (int64_t u = 0; u < s->w[2]; u++) {
          i[2] = o[4] * s->stride[2] - s->pad[2] + u * s->dilation[2];
          if (i[2] >= 0 && i[2] < s->x[2]) add(e, xs[i[2]] * ws[tap(s, 2, u)]);
        }
      }
    }
}

void lamina_conv_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_conv_sizes s = sizes_of(ref, LAMINA_CONV_FORWARD_X, LAMINA_CONV_FORWARD_W, arg);
  const double *b = ref->x[LAMINA_CONV_FORWARD_B];
  lamina_conv_sum_forward(&s, ref->x[LAMINA_CONV_FORWARD_X], ref->x[LAMINA_CONV_FORWARD_W], index, e);
  if (b) add(e, b[index / (s.y[0] * s.y[1] * s.y[2]) % s.K]);
  e->q = sqrt(e->q);
}

/* The output position whose filter tap `r` lies on input position `i`; -1 when there is none. */
static int64_t output_of(const lamina_conv_sizes *s, int axis, int64_t i, int64_t r) {
  const int64_t at = i + s->pad[axis] - r * s->dilation[axis];
  return at >= 0 && at % s->stride[axis] == 0 && at / s->stride[axis] < s->y[axis] ? at / s->stride[axis] : -1;
}

void lamina_conv_sum_data(const lamina_conv_sizes *s, const double *dy, const double *w, int64_t index,
                          lamina_expected *e) {
  const int64_t Cg = s->C / s->groups, Kg = s->K / s->groups;
  int64_t i[5], o[3]; /* i: n, c, input position; o: output position */
  split(index, s->C, s->x, i);
  const int64_t group = i[1] / Cg, c = i[1] % Cg;
  for (int64_t k = group * Kg; k < (group + 1) * Kg; k++)
    for (int64_t r = 0; r < s->w[0]; r++) {
      if ((o[0] = output_of(s, 0, i[2], r)) < 0) continue;
      for (int64_t t = 0; t < s->w[1]; t++) {
        if ((o[1] = output_of(s, 1, i[3], t)) < 0) continue;
        const double *dys = dy + row(i[0], k, s->K, o[0], o[1], s->y),
                     *ws = w + row(k, c, Cg, tap(s, 0, r), tap(s, 1, t), s->w);
        for (int64_t u = 0; u < s->w[2]; u++)
          if ((o[2] = output_of(s, 2, i[4], u)) >= 0) add(e, dys[o[2]] * ws[tap(s, 2, u)]);
      }
    }
}

void lamina_conv_backward_data_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_conv_sizes s = sizes_of(ref, arg, LAMINA_CONV_DATA_W, LAMINA_CONV_DATA_DY);
  lamina_conv_sum_data(&s, ref->x[LAMINA_CONV_DATA_DY], ref->x[LAMINA_CONV_DATA_W], index, e);
  e->q = sqrt(e->q);
}

void lamina_conv_relu_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  lamina_conv_forward_element(ref, arg, index, e);
  lamina_expected_relu(e);
}

void lamina_relu_conv_backward_data_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  lamina_conv_backward_data_element(ref, arg, index, e);
  lamina_expected_gate(e, ref->x[LAMINA_CONV_GATED_X][index]);
}

void lamina_conv_sum_weights(const lamina_conv_sizes *s, const double *x, const double *dy, int64_t index,
                             lamina_expected *e) {
  const int64_t Cg = s->C / s->groups;
  int64_t r[5], i[3]; /* r: k, c, filter position; i: input position */
  split(index, Cg, s->w, r);
  for (int a = 0; a < 3; a++) r[2 + a] = tap(s, a, r[2 + a]);
  const int64_t c = r[0] / (s->K / s->groups) * Cg + r[1];
  for (int64_t n = 0; n < s->N; n++)
    for (int64_t o0 = 0; o0 < s->y[0]; o0++) {
      i[0] = o0 * s->stride[0] - s->pad[0] + r[2] * s->dilation[0];
      if (i[0] < 0 || i[0] >= s->x[0]) continue;
      for (int64_t o1 = 0; o1 < s->y[1]; o1++) {
        i[1] = o1 * s->stride[1] - s->pad[1] + r[3] * s->dilation[1];
        if (i[1] < 0 || i[1] >= s->x[1]) continue;
        const double *xs = x + row(n, c, s->C, i[0], i[1], s->x), *dys = dy + row(n, r[0], s->K, o0, o1, s->y);
        for (int64_t o2 = 0; o2 < s->y[2]; o2++) {
          i[2] = o2 * s->stride[2] - s->pad[2] + r[4] * s->dilation[2];
          if (i[2] >= 0 && i[2] < s->x[2]) add(e, xs[i[2]] * dys[o2]);
        }
      }
    }
}

void lamina_conv_backward_weights_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  const lamina_conv_sizes s = sizes_of(ref, LAMINA_CONV_WEIGHTS_X, arg, LAMINA_CONV_WEIGHTS_DY);
  lamina_conv_sum_weights(&s, ref->x[LAMINA_CONV_WEIGHTS_X], ref->x[LAMINA_CONV_WEIGHTS_DY], index, e);
  e->q = sqrt(e->q);
}

void lamina_conv_backward_bias_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e) {
  (void)arg;
  const lamina_desc *desc = &ref->problem->arg[LAMINA_CONV_BIAS_DY];
  const double *dy = ref->x[LAMINA_CONV_BIAS_DY];
  int64_t area = 1;
  for (int a = 2; a < desc->rank; a++) area *= desc->dims[a];
  for (int64_t n = 0; n < desc->dims[0]; n++)
    for (int64_t o = 0; o < area; o++) add(e, dy[(n * desc->dims[1] + index) * area + o]);
  e->q = sqrt(e->q);
}
