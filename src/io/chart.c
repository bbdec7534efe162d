/* Axes and points of a chart. */
#include "io/chart.h"

#include <math.h>

/* ---- Ticks --------------------------------------------------------------------------------------------------------- */

/* Adds a tick; `step` says how many decimals tell it from the next one, `scale` is as large as labels get. */
static void add_tick(lamina_axis *axis, double value, double step, double scale) {
  if (axis->count == LAMINA_TICKS) return;
  char *text = axis->labels[axis->count];
  const size_t size = sizeof axis->labels[0];
  const double unit = scale >= 1e15 || scale < 1e4 ? 1 : scale < 1e6 ? 1e3 : 1e6;
  const int decimals = (int)ceil(-log10(step / unit) - 1e-9);
  if (value == 0)
    lamina_format(text, size, "0");
  else if (scale >= 1e15 || step < 1e-5)
    lamina_format(text, size, "%.3g", value);
  else
    lamina_format(text, size, "%.*f%s", decimals > 0 ? decimals : 0, value / unit,
                  unit == 1     ? ""
                  : unit == 1e3 ? "k"
                                : "M");
  axis->ticks[axis->count++] = value;
}

/* 1, 2 or 5 times a power of ten, so that `range` has about `wanted` of it. P. Heckbert, "Nice Numbers for Graph
 * Labels", Graphics Gems, 1990. */
static double round_step(double range, int wanted) {
  const double raw = range / wanted, power = pow(10, floor(log10(raw))), digit = raw / power;
  return power * (digit < 1.5 ? 1 : digit < 3 ? 2 : digit < 7 ? 5 : 10);
}

/* `outward`: the axis grows to whole ticks. */
static void linear_ticks(lamina_axis *axis, int wanted, bool outward) {
  const double step = round_step(axis->most - axis->least, wanted);
  if (outward) {
    axis->least = floor(axis->least / step + 1e-9) * step;
    axis->most = ceil(axis->most / step - 1e-9) * step;
  }
  const double first = ceil(axis->least / step - 1e-9), scale = fmax(fabs(axis->least), fabs(axis->most));
  for (double i = first; i * step <= axis->most + 1e-9 * step && axis->count < LAMINA_TICKS; i++)
    add_tick(axis, i * step, step, scale);
}

/* 1 2 5, 1 3 or 1 of each power of ten, as there is room; as a linear axis where that gives too few. */
static void log_ticks(lamina_axis *axis, int wanted) {
  static const struct { int count, digits[3]; } sets[] = {{3, {1, 2, 5}}, {2, {1, 3}}, {1, {1}}};
  const int low = (int)floor(log10(axis->least)), high = (int)ceil(log10(axis->most));
  const double decades = log10(axis->most / axis->least), room = 1.4 * wanted;
  const int set = 3 * decades <= room ? 0 : 2 * decades <= room ? 1 : 2;
  const int stride = decades <= room ? 1 : (int)ceil(decades / wanted);
  for (int e = low; e <= high; e += stride)
    for (int d = 0; d < sets[set].count; d++) {
      const double value = sets[set].digits[d] * pow(10, e);
      if (value >= axis->least * (1 - 1e-9) && value <= axis->most * (1 + 1e-9)) add_tick(axis, value, value, value);
    }
  if (axis->count >= 3) return;
  axis->count = 0;
  linear_ticks(axis, wanted, false);
}

/* ---- Axes ---------------------------------------------------------------------------------------------------------- */

static double x_of(const lamina_series *series, size_t i) { return series->x ? series->x[i] : (double)i; }

/* Beyond these the arithmetic of an axis could overflow or vanish. */
static const double huge = 1e150, tiny = 1e-150;

static bool drawable(const lamina_axis *axis, double x, double y) {
  return fabs(x) < huge && fabs(y) < huge && (!axis->log || y > tiny);
}

static void include(lamina_axis *axis, double value) {
  if (!axis->used || value < axis->least) axis->least = value;
  if (!axis->used || value > axis->most) axis->most = value;
  axis->used = true;
}

/* A range with room in it, even where all values are one or there is none. */
static void widen(lamina_axis *axis) {
  if (!axis->used) axis->least = axis->log ? 0.1 : 0, axis->most = 1;
  const double middle = (axis->least + axis->most) / 2, half = (axis->most - axis->least) / 2;
  if (axis->log) {
    if (axis->most / axis->least < 1.01) axis->least /= 1.5, axis->most *= 1.5;
  } else if (half <= 1e-9 * fabs(middle) + tiny) {
    const double room = fabs(middle) < 1e-100 ? 1 : 0.05 * fabs(middle);
    axis->least = middle - room, axis->most = middle + room;
  }
}

lamina_status lamina_chart_axes(const lamina_chart *chart, int x_ticks, int y_ticks, lamina_axes *axes) {
  *axes = (lamina_axes){.left.log = chart->log_left};
  if (chart->count < 0 || (chart->count && !chart->series))
    return lamina_error(LAMINA_INVALID, "chart: %d series; expected an array of them", chart->count);
  for (int s = 0; s < chart->count; s++) {
    const lamina_series *series = &chart->series[s];
    lamina_axis *y = series->right ? &axes->right : &axes->left;
    if (series->count && !series->y)
      return lamina_error(LAMINA_INVALID, "chart: series %d (%s) has no values", s, series->name ? series->name : "");
    for (size_t i = 0; i < series->count; i++) {
      const double x = x_of(series, i);
      if (!drawable(y, x, series->y[i])) continue;
      include(&axes->x, x);
      include(y, series->y[i]);
    }
  }
  widen(&axes->x), widen(&axes->left), widen(&axes->right);
  linear_ticks(&axes->x, x_ticks, false);
  linear_ticks(&axes->right, y_ticks, true);
  if (axes->left.log)
    log_ticks(&axes->left, y_ticks);
  else
    linear_ticks(&axes->left, y_ticks, true);
  return LAMINA_OK;
}

double lamina_axis_place(const lamina_axis *axis, double value) {
  const double place = axis->log ? log(value / axis->least) / log(axis->most / axis->least)
                                 : (value - axis->least) / (axis->most - axis->least);
  return place < 0 ? 0 : place > 1 ? 1 : place;
}

/* ---- Points -------------------------------------------------------------------------------------------------------- */

typedef struct stretch {
  int number;
  double u, y, count; /* sums */
  bool first;
} stretch;

static void end_stretch(const lamina_axis *axis, stretch *s, lamina_point_fn *each, void *context) {
  if (s->count > 0) {
    const double y = s->y / s->count;
    each(context, s->u / s->count, lamina_axis_place(axis, y), y, s->first);
  }
  *s = (stretch){0};
}

void lamina_chart_walk(const lamina_axes *axes, const lamina_series *series, bool mean, lamina_point_fn *each,
                       void *context) {
  const lamina_axis *axis = series->right ? &axes->right : &axes->left;
  stretch s = {0};
  bool first = true;
  for (size_t i = 0; i < series->count; i++) {
    const double x = x_of(series, i), y = series->y[i];
    if (!drawable(axis, x, y)) {
      first = true;
      continue;
    }
    const double u = lamina_axis_place(&axes->x, x);
    if (mean) {
      const int number = u < 1 ? (int)(u * LAMINA_STRETCHES) : LAMINA_STRETCHES - 1;
      if (first || number != s.number) end_stretch(axis, &s, each, context), s.first = first;
      s.number = number, s.u += u, s.y += y, s.count++;
    } else
      each(context, u, lamina_axis_place(axis, y), y, first);
    first = false;
  }
  end_stretch(axis, &s, each, context);
}

static void keep(void *context, double u, double v, double y, bool first) {
  (void)u, (void)v, (void)first;
  *(double *)context = y;
}

const char *lamina_chart_last(const lamina_axes *axes, const lamina_series *series, char *buffer, size_t size) {
  double last = (double)NAN;
  lamina_chart_walk(axes, series, series->smooth, keep, &last);
  lamina_format(buffer, size, isnan(last) ? "" : "%.4g", last);
  return buffer;
}
