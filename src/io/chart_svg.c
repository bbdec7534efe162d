/* A chart as SVG.
 *
 *   title
 *   ── train loss 0.0123   ── test accuracy 0.991
 *   loss                              accuracy
 *   2 ┬─────────────────────────────────┬ 1
 *   1 ┼─────────────────────────────────┼ 0.95
 *   0 ┴──┬────────┬────────┬────────┬───┴ 0.9
 *        0        5        10       15
 *                     epoch */
#include <math.h>

#include "io/chart.h"
#include "io/file.h"
#include "io/svg.h"

static const char *const colours[] = {"#2f6fed", "#e8590c", "#2b9348", "#9c36b5",
                                      "#c92a2a", "#0b7285", "#b08900", "#5f6b7a"};

typedef struct picture {
  const lamina_chart *chart;
  lamina_axes axes;
  lamina_text text;
  double width, height, left, right, top, bottom; /* of the picture; of the plot within it */
} picture;

static double widest(const lamina_axis *axis) {
  double width = 0;
  for (int i = 0; i < axis->count; i++) width = fmax(width, lamina_svg_width(axis->labels[i]));
  return width;
}

static void words(picture *p, const char *type, const char *anchor, double x, double y, const char *text) {
  lamina_svg_words(&p->text, type, anchor, x, y, text);
}

static void line(picture *p, const char *type, double x1, double y1, double x2, double y2) {
  lamina_text_print(&p->text, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", type, x1, y1,
                    x2, y2);
}

/* ---- Lines --------------------------------------------------------------------------------------------------------- */

/* One column of pixels: of all its points the first, lowest, highest and last are drawn, in their order. */
typedef struct pen {
  picture *p;
  long column;
  int count;     /* points in this column */
  bool first;    /* the column begins a line */
  size_t points; /* of the whole series */
  double x[4], y[4];
  int order[4]; /* of low and high among the column's points: which came when */
} pen;

enum { FIRST, LOW, HIGH, LAST };

static void flush(pen *pen) {
  if (!pen->count) return;
  lamina_text *text = &pen->p->text;
  lamina_text_print(text, "%c%.1f %.1f", pen->first ? 'M' : 'L', pen->x[FIRST], pen->y[FIRST]);
  const int early = pen->order[LOW] < pen->order[HIGH] ? LOW : HIGH, late = LOW + HIGH - early;
  const int inner[] = {early, late, LAST};
  int done = 0;
  for (int i = 0; i < 3; i++) {
    if (pen->order[inner[i]] == done) continue;
    done = pen->order[inner[i]];
    lamina_text_print(text, "L%.1f %.1f", pen->x[inner[i]], pen->y[inner[i]]);
  }
  if (pen->first && pen->count == 1) lamina_text_put(text, "h0"); /* a lone point becomes a round dot */
  pen->count = 0;
}

static void draw(void *context, double u, double v, double value, bool first) {
  (void)value;
  pen *pen = context;
  const picture *p = pen->p;
  const double x = p->left + u * (p->right - p->left), y = p->bottom - v * (p->bottom - p->top);
  const long column = (long)floor(x);
  if (first || column != pen->column) {
    flush(pen);
    pen->column = column, pen->first = first;
  }
  const int n = pen->count++;
  if (n == 0 || y > pen->y[LOW]) pen->x[LOW] = x, pen->y[LOW] = y, pen->order[LOW] = n;
  if (n == 0 || y < pen->y[HIGH]) pen->x[HIGH] = x, pen->y[HIGH] = y, pen->order[HIGH] = n;
  if (n == 0) pen->x[FIRST] = x, pen->y[FIRST] = y, pen->order[FIRST] = n;
  pen->x[LAST] = x, pen->y[LAST] = y, pen->order[LAST] = n;
  pen->points++;
}

static void dot(void *context, double u, double v, double value, bool first) {
  (void)value, (void)first;
  picture *p = context;
  lamina_text_print(&p->text, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>", p->left + u * (p->right - p->left),
                    p->bottom - v * (p->bottom - p->top));
}

static size_t stroke(picture *p, const lamina_series *series, bool mean, const char *colour, double width,
                     double opacity) {
  pen pen = {.p = p};
  lamina_text_print(&p->text, "<path stroke=\"%s\" stroke-width=\"%.1f\" stroke-opacity=\"%.2f\" d=\"", colour, width,
                    opacity);
  lamina_chart_walk(&p->axes, series, mean, draw, &pen);
  flush(&pen);
  lamina_text_put(&p->text, "\"/>\n");
  return pen.points;
}

static void draw_series(picture *p, int index) {
  const lamina_series *series = &p->chart->series[index];
  const char *colour = colours[(size_t)index % LAMINA_COUNT_OF(colours)];
  if (series->smooth) (void)stroke(p, series, false, colour, 1, 0.3);
  const size_t points = stroke(p, series, series->smooth, colour, 2, 1);
  if (series->smooth || points == 0 || points > 40) return;
  lamina_text_print(&p->text, "<g fill=\"%s\">", colour);
  lamina_chart_walk(&p->axes, series, false, dot, p);
  lamina_text_put(&p->text, "</g>\n");
}

/* ---- What is around them ------------------------------------------------------------------------------------------- */

/* y of a tick. */
static double height_of(const picture *p, const lamina_axis *axis, int tick) {
  return p->bottom - lamina_axis_place(axis, axis->ticks[tick]) * (p->bottom - p->top);
}

static void draw_axes(picture *p) {
  const lamina_axes *axes = &p->axes;
  const lamina_axis *across = axes->left.used || !axes->right.used ? &axes->left : &axes->right;
  for (int i = 0; i < across->count; i++) {
    const double y = height_of(p, across, i);
    line(p, "grid", p->left, y, p->right, y);
  }
  for (int i = 0; i < axes->left.count && across == &axes->left; i++)
    words(p, "tick", "end", p->left - 10, height_of(p, &axes->left, i) + 4.5, axes->left.labels[i]);
  for (int i = 0; i < axes->right.count && axes->right.used; i++) {
    const double y = height_of(p, &axes->right, i);
    line(p, "base", p->right, y, p->right + 5, y);
    words(p, "tick", "start", p->right + 10, y + 4.5, axes->right.labels[i]);
  }
  line(p, "base", p->left, p->bottom, p->right, p->bottom);
  for (int i = 0; i < axes->x.count; i++) {
    const double x = p->left + lamina_axis_place(&axes->x, axes->x.ticks[i]) * (p->right - p->left);
    line(p, "base", x, p->bottom, x, p->bottom + 5);
    words(p, "tick", "middle", x, p->bottom + 21, axes->x.labels[i]);
  }
}

static void draw_texts(picture *p) {
  const lamina_chart *chart = p->chart;
  double x = 24, y = 34;
  if (chart->title) words(p, "title", "start", x, y, chart->title), y += 26;
  for (int s = 0; s < chart->count; s++) {
    char last[32];
    const char *name = chart->series[s].name ? chart->series[s].name : "";
    lamina_chart_last(&p->axes, &chart->series[s], last, sizeof last);
    lamina_text_print(&p->text, "<rect x=\"%.1f\" y=\"%.1f\" width=\"16\" height=\"3\" rx=\"1.5\" fill=\"%s\"/>\n", x,
                      y - 6, colours[(size_t)s % LAMINA_COUNT_OF(colours)]);
    lamina_text_print(&p->text, "<text x=\"%.1f\" y=\"%.1f\"><tspan class=\"name\">", x + 23, y);
    lamina_text_xml(&p->text, name);
    lamina_text_print(&p->text, "</tspan><tspan dx=\"7\">%s</tspan></text>\n", last);
    x += 23 + lamina_svg_width(name) + 7 + lamina_svg_width(last) + 26;
  }
  const lamina_axes *axes = &p->axes;
  if (chart->left_label && (axes->left.used || !axes->right.used))
    words(p, "tick", "start", 24, p->top - 16, chart->left_label);
  if (chart->right_label && axes->right.used) words(p, "tick", "end", p->width - 24, p->top - 16, chart->right_label);
  if (chart->x_label) words(p, "tick", "middle", (p->left + p->right) / 2, p->height - 16, chart->x_label);
  if (!axes->left.used && !axes->right.used)
    words(p, "tick", "middle", (p->left + p->right) / 2, (p->top + p->bottom) / 2, "no values yet");
}

static void lay_out(picture *p) {
  const lamina_chart *chart = p->chart;
  const bool left = p->axes.left.used || !p->axes.right.used, right = p->axes.right.used;
  p->left = left ? fmax(24 + widest(&p->axes.left) + 10, 48) : 40;
  p->right = p->width - (right ? fmax(24 + widest(&p->axes.right) + 10, 48) : 32);
  p->top = 24 + (chart->title ? 26 : 0) + (chart->count ? 26 : 0) + (chart->left_label || chart->right_label ? 26 : 8);
  p->bottom = p->height - (chart->x_label ? 62 : 40);
}

lamina_status lamina_chart_svg(const lamina_chart *chart, const char *path, const lamina_allocator *allocator) {
  LAMINA_NOT_NULL(chart, "chart");
  LAMINA_NOT_NULL(path, "path");
  LAMINA_TRY(lamina_allocator_check(allocator, __func__));
  picture p = {.chart = chart, .text.allocator = allocator};
  p.width = chart->width ? chart->width : 960;
  p.height = chart->height ? chart->height : 540;
  if (p.width < 240 || p.width > 16384 || p.height < 200 || p.height > 16384)
    return lamina_error(LAMINA_INVALID, "chart: %d by %d pixels; expected 240 by 200 to 16384 by 16384", chart->width,
                        chart->height);
  LAMINA_TRY(lamina_chart_axes(chart, (int)(p.width / 110), (int)(p.height / 90), &p.axes));
  lay_out(&p);
  lamina_svg_begin(&p.text, p.width, p.height);
  draw_axes(&p);
  for (int s = 0; s < chart->count; s++) draw_series(&p, s);
  draw_texts(&p);
  const lamina_status status = lamina_svg_end(&p.text, path, allocator);
  lamina_text_free(&p.text);
  return status;
}
