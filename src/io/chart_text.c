/* A chart for a terminal. A character of braille is 2 by 4 dots, so 60 by 9 characters are 120 by 36 dots.
 *
 *   lenet5  ━ train loss 0.0123  ● test accuracy 0.991
 *   2 ┤⡇                                        ├ 1.00
 *   1 ┤⠘⢄⡀
 *   0 ┤  ⠈⠉⠒⠤⠤⠤⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀                     ├ 0.96
 *     └┬──────────┬──────────┬──────────┬───────┘
 *      0          5          10         15  epoch */
#include <math.h>
#include <stdlib.h>

#include "io/chart.h"

enum { COLUMNS = 256, ROWS = 64 };

/* Without colours the first series is a line and the others are marks. */
static const char *const marks[] = {"━", "●", "◆", "▲", "■"};
static const char *const colours[] = {"\x1b[94m", "\x1b[93m", "\x1b[92m", "\x1b[95m", "\x1b[91m", "\x1b[96m"};

typedef struct canvas {
  const lamina_chart *chart;
  lamina_axes axes;
  int left, right;   /* characters beside the plot: labels and the axis */
  int columns, rows; /* of the plot, in characters */
  bool colour;
  int series;                                                             /* that is being drawn */
  long x, y;                                                              /* where its pen is, in dots */
  uint8_t dots[ROWS][COLUMNS], mark[ROWS][COLUMNS], owner[ROWS][COLUMNS]; /* mark: 0 none; owner: series + 1 */
  char *buffer;
  size_t used, size;
  bool full;
} canvas;

/* ---- Dots ---------------------------------------------------------------------------------------------------------- */

static void set_dot(canvas *c, long x, long y) {
  static const uint8_t bits[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
  c->dots[y / 4][x / 2] |= bits[y % 4][x % 2];
  c->owner[y / 4][x / 2] = (uint8_t)(c->series + 1);
}

/* Bresenham's line. */
static void line_to(canvas *c, long x, long y) {
  const long dx = labs(x - c->x), dy = -labs(y - c->y), sx = c->x < x ? 1 : -1, sy = c->y < y ? 1 : -1;
  long error = dx + dy;
  for (;;) {
    set_dot(c, c->x, c->y);
    if (c->x == x && c->y == y) return;
    const long twice = 2 * error;
    if (twice >= dy) error += dy, c->x += sx;
    if (twice <= dx) error += dx, c->y += sy;
  }
}

static void draw(void *context, double u, double v, double value, bool first) {
  (void)value;
  canvas *c = context;
  const long x = lround(u * (2 * c->columns - 1)), y = lround((1 - v) * (4 * c->rows - 1));
  if (c->series && !c->colour) {
    const size_t kinds = LAMINA_COUNT_OF(marks) - 1;
    c->mark[y / 4][x / 2] = (uint8_t)(1 + (size_t)(c->series - 1) % kinds);
    return;
  }
  if (first) c->x = x, c->y = y;
  line_to(c, x, y);
}

/* ---- Lines of text ------------------------------------------------------------------------------------------------- */

static void put(canvas *c, const char *text) {
  const size_t size = strlen(text);
  if (c->full || c->used + size >= c->size) {
    c->full = true;
    return;
  }
  memcpy(c->buffer + c->used, text, size + 1);
  c->used += size;
}

static int length_of(const char *text) {
  int n = 0;
  for (; *text; text++) n += (*text & 0xC0) != 0x80;
  return n;
}

/* As many characters of the text as fit into `room`, which gets smaller by them. Control characters, which would move
 * the terminal's cursor, and bytes that are no UTF-8 become a question mark. */
static void put_some(canvas *c, const char *text, int *room) {
  for (size_t n, left = strlen(text); left && *room > 0; text += n, left -= n, --*room) {
    char one[5] = "?";
    n = lamina_utf8(text, left);
    if (n && (unsigned char)*text >= 0x20 && *text != 0x7F) memcpy(one, text, n), one[n] = 0;
    if (!n) n = 1;
    put(c, one);
  }
}

static void end_line(canvas *c) {
  while (c->used && c->buffer[c->used - 1] == ' ') c->used--;
  put(c, "\n");
}

static void put_spaces(canvas *c, int n) {
  while (n-- > 0) put(c, " ");
}

static void put_legend(canvas *c) {
  int room = c->left + c->columns + c->right;
  if (c->chart->title) put_some(c, c->chart->title, &room), put_some(c, "  ", &room);
  for (int s = 0; s < c->chart->count && room > 4; s++) {
    const lamina_series *series = &c->chart->series[s];
    char last[32];
    if (c->colour) put(c, colours[(size_t)s % LAMINA_COUNT_OF(colours)]);
    put_some(c, marks[c->colour || s == 0 ? 0 : 1 + (size_t)(s - 1) % (LAMINA_COUNT_OF(marks) - 1)], &room);
    if (c->colour) put(c, "\x1b[0m");
    put_some(c, " ", &room);
    put_some(c, series->name ? series->name : "", &room);
    put_some(c, " ", &room);
    put_some(c, lamina_chart_last(&c->axes, series, last, sizeof last), &room);
    put_some(c, "  ", &room);
  }
  end_line(c);
}

/* The label of the tick in this row of characters; NULL when there is none. */
static const char *label_at(const canvas *c, const lamina_axis *axis, int row) {
  for (int i = 0; i < axis->count; i++)
    if (lround((1 - lamina_axis_place(axis, axis->ticks[i])) * (4 * c->rows - 1)) / 4 == row) return axis->labels[i];
  return NULL;
}

static void put_cell(canvas *c, int row, int column) {
  char cell[4] = " ";
  const unsigned code = 0x2800u + c->dots[row][column];
  const int owner = c->owner[row][column];
  if (c->mark[row][column]) {
    put(c, marks[c->mark[row][column]]);
    return;
  }
  if (code != 0x2800)
    cell[0] = (char)0xE2, cell[1] = (char)(0x80 | (code >> 6 & 63)), cell[2] = (char)(0x80 | (code & 63));
  if (owner && c->colour) put(c, colours[(size_t)(owner - 1) % LAMINA_COUNT_OF(colours)]);
  put(c, cell);
  if (owner && c->colour) put(c, "\x1b[0m");
}

static void put_row(canvas *c, int row) {
  const char *left = c->left ? label_at(c, &c->axes.left, row) : NULL;
  const char *right = c->right ? label_at(c, &c->axes.right, row) : NULL;
  if (c->left) {
    put_spaces(c, c->left - 2 - length_of(left ? left : ""));
    put(c, left ? left : "");
    put(c, left ? " ┤" : " │");
  }
  for (int column = 0; column < c->columns; column++) put_cell(c, row, column);
  if (c->right) {
    put(c, right ? "├ " : "│");
    put(c, right ? right : "");
  }
  end_line(c);
}

/* The line below the plot, and the labels below that: those that don't touch. */
static void put_x_axis(canvas *c) {
  const lamina_axis *axis = &c->axes.x;
  bool tick[COLUMNS] = {false};
  int at[LAMINA_TICKS];
  for (int i = 0; i < axis->count; i++) {
    at[i] = (int)lround(lamina_axis_place(axis, axis->ticks[i]) * (2 * c->columns - 1)) / 2;
    tick[at[i]] = true;
  }
  put_spaces(c, c->left - 1);
  if (c->left) put(c, "└");
  for (int column = 0; column < c->columns; column++) put(c, tick[column] ? "┬" : "─");
  put(c, c->right ? "┘\n" : "\n");
  const int end = c->left + c->columns + c->right;
  int pen = 0;
  for (int i = 0; i < axis->count; i++) {
    const int length = length_of(axis->labels[i]), middle = c->left + at[i] - (length - 1) / 2;
    const int start = middle + length > end ? end - length : middle;
    if (start < (pen ? pen + 1 : 0)) continue;
    put_spaces(c, start - pen);
    put(c, axis->labels[i]);
    pen = start + length;
  }
  if (c->chart->x_label && pen + 2 + length_of(c->chart->x_label) <= end) {
    int room = end;
    put_spaces(c, 2);
    put_some(c, c->chart->x_label, &room);
  }
  end_line(c);
}

static int widest(const lamina_axis *axis) {
  int width = 0;
  for (int i = 0; i < axis->count; i++)
    if (length_of(axis->labels[i]) > width) width = length_of(axis->labels[i]);
  return width;
}

lamina_status lamina_chart_text(const lamina_chart *chart, int columns, int rows, bool colour, char *buffer,
                                size_t size) {
  LAMINA_NOT_NULL(chart, "chart");
  LAMINA_NOT_NULL(buffer, "buffer");
  if (columns < 24 || columns > COLUMNS || rows < 6 || rows > ROWS)
    return lamina_error(LAMINA_INVALID, "chart: %d by %d characters; expected 24 by 6 to %d by %d", columns, rows,
                        COLUMNS, ROWS);
  canvas c = {.chart = chart, .rows = rows - 3, .colour = colour, .buffer = buffer, .size = size};
  LAMINA_TRY(lamina_chart_axes(chart, columns / 12, c.rows / 3 + 1, &c.axes));
  c.left = c.axes.left.used || !c.axes.right.used ? widest(&c.axes.left) + 2 : 0;
  c.right = c.axes.right.used ? widest(&c.axes.right) + 2 : 0;
  c.columns = columns - c.left - c.right;
  if (c.columns < 2) return lamina_error(LAMINA_INVALID, "chart: %d columns leave no room beside the labels", columns);
  for (c.series = 0; c.series < chart->count; c.series++)
    lamina_chart_walk(&c.axes, &chart->series[c.series], chart->series[c.series].smooth, draw, &c);
  put_legend(&c);
  for (int row = 0; row < c.rows; row++) put_row(&c, row);
  put_x_axis(&c);
  if (!c.full) return LAMINA_OK;
  return lamina_error(LAMINA_INVALID, "chart: a buffer of %zu bytes is too small; expected %d", size,
                      columns * rows * (colour ? 24 : 8));
}
