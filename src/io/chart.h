/* What the two ways to draw a chart share: axes with round ticks, and a series as points of the unit square. */
#ifndef LAMINA_IO_CHART_H
#define LAMINA_IO_CHART_H

#include "core/text.h"
#include "lamina/io.h"

enum { LAMINA_TICKS = 16, LAMINA_STRETCHES = 128 };

typedef struct lamina_axis {
  bool used; /* a series has a value on it */
  bool log;
  double least, most; /* on a logarithmic axis positive */
  int count;
  double ticks[LAMINA_TICKS];
  char labels[LAMINA_TICKS][16];
} lamina_axis;

typedef struct lamina_axes {
  lamina_axis x, left, right;
} lamina_axes;

/* Axes that hold every series, with about so many ticks. INVALID for a chart that makes no sense. */
LAMINA_NODISCARD lamina_status lamina_chart_axes(const lamina_chart *chart, int x_ticks, int y_ticks,
                                                 lamina_axes *axes);
/* Where a value lies on its axis, 0 … 1. */
double lamina_axis_place(const lamina_axis *axis, double value);

/* Called for each point of a series that can be drawn, in order: its place and value; `first`: no line leads to it. */
typedef void lamina_point_fn(void *context, double u, double v, double y, bool first);
/* `mean`: of each LAMINA_STRETCHES-th of the width one point, the mean of the values there. */
void lamina_chart_walk(const lamina_axes *axes, const lamina_series *series, bool mean, lamina_point_fn *each,
                       void *context);
/* The last point, of the means where the series is smooth, as text; "" when there is none. */
const char *lamina_chart_last(const lamina_axes *axes, const lamina_series *series, char *buffer, size_t size);

#endif
