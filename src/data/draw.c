/* Strokes and noise for the drawn datasets. */
#include "data/draw.h"

#include <math.h>

void lamina_add_noise(lamina_dice *dice, float amplitude, float low, float high, int64_t n, float *x) {
  uint8_t bytes[1024];
  const float step = amplitude / 127.5f;
  for (int64_t at = 0; at < n; at += (int64_t)sizeof bytes) {
    const int64_t part = n - at < (int64_t)sizeof bytes ? n - at : (int64_t)sizeof bytes;
    for (int64_t i = 0; i < part; i += 16) {
      const philox_words words = lamina_roll_block(dice);
      for (int k = 0; k < 16; k++) bytes[i + k] = (uint8_t)(words.v[k / 4] >> 8 * (k % 4));
    }
    for (int64_t i = 0; i < part; i++) {
      float value = x[at + i] + ((float)bytes[i] - 127.5f) * step;
      value = value < low ? low : value;
      x[at + i] = value > high ? high : value;
    }
  }
}

/* Taylor's series up to the 11th power on a quarter turn either way. */
float lamina_sin_turns(float t) {
  double u = (double)t;
  u -= floor(u + 0.5); /* -0.5 … 0.5 */
  if (u > 0.25) u = 0.5 - u;
  if (u < -0.25) u = -0.5 - u;
  const double a = u * 6.283185307179586, s = a * a;
  return (float)(a * (1 - s / 6 * (1 - s / 20 * (1 - s / 42 * (1 - s / 72 * (1 - s / 110))))));
}

float lamina_cos_turns(float t) { return lamina_sin_turns(t + 0.25f); }

void lamina_canvas_clear(lamina_canvas *canvas) {
  for (int i = 0; i < canvas->height * canvas->width; i++) canvas->near[i] = canvas->reach * canvas->reach;
}

/* The pixels whose centres may lie within reach of low … high: [*from, *to). */
static void span(float low, float high, float reach, int size, int *from, int *to) {
  const float first = ceilf(low - reach), last = floorf(high + reach);
  *from = first < 0 ? 0 : first > (float)size ? size : (int)first;
  *to = last < 0 ? 0 : last >= (float)size ? size : (int)last + 1;
}

void lamina_draw_line(lamina_canvas *canvas, lamina_point a, lamina_point b) {
  int top, bottom, left, right;
  span(fminf(a.y, b.y), fmaxf(a.y, b.y), canvas->reach, canvas->height, &top, &bottom);
  span(fminf(a.x, b.x), fmaxf(a.x, b.x), canvas->reach, canvas->width, &left, &right);
  const float dx = b.x - a.x, dy = b.y - a.y, square = dx * dx + dy * dy;
  const float inverse = square > 0 ? 1 / square : 0;
  for (int i = top; i < bottom; i++) {
    float *row = canvas->near + i * canvas->width;
    const float py = (float)i - a.y;
    for (int j = left; j < right; j++) {
      const float px = (float)j - a.x;
      float t = (px * dx + py * dy) * inverse; /* the nearest point is a + t (b - a) */
      t = t < 0 ? 0 : t;
      t = t > 1 ? 1 : t;
      const float ex = px - t * dx, ey = py - t * dy, distance = ex * ex + ey * ey;
      row[j] = distance < row[j] ? distance : row[j];
    }
  }
}

/* Point t of the spline's piece from b to c. */
static lamina_point spline(lamina_point a, lamina_point b, lamina_point c, lamina_point d, float t) {
  const float t2 = t * t, t3 = t2 * t;
  const float wa = -0.5f * t3 + t2 - 0.5f * t, wb = 1.5f * t3 - 2.5f * t2 + 1;
  const float wc = -1.5f * t3 + 2 * t2 + 0.5f * t, wd = 0.5f * t3 - 0.5f * t2;
  return (lamina_point){wa * a.x + wb * b.x + wc * c.x + wd * d.x, wa * a.y + wb * b.y + wc * c.y + wd * d.y};
}

void lamina_draw_curve(lamina_canvas *canvas, const lamina_point *point, int n, bool closed, int pieces) {
  const int last = closed ? n : n - 1;
  lamina_point from = point[0];
  for (int i = 0; i < last; i++) {
    /* An open curve's ends stand in for the neighbours that are missing. */
    const lamina_point a = point[i > 0 ? i - 1 : closed ? n - 1 : 0], b = point[i];
    const lamina_point c = point[(i + 1) % n], d = point[i + 2 < n || closed ? (i + 2) % n : n - 1];
    for (int k = 1; k <= pieces; k++) {
      const lamina_point to = spline(a, b, c, d, (float)k / (float)pieces);
      lamina_draw_line(canvas, from, to);
      from = to;
    }
  }
}
