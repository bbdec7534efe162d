/* A confusion matrix as SVG: a row for each label, a column for each answer.
 *
 *   title
 *   99.1 % of 10,000 right
 *          cat  dog       answer
 *    cat  [ 98 |  2 ]     right ones blue, wrong ones orange, the stronger the larger their share of the row
 *    dog  [  5 | 95 ]
 *   label                                                                                                        */
#include <math.h>
#include <stdio.h>

#include "io/svg.h"
#include "lamina/io.h"

typedef struct picture {
  const lamina_confusion *matrix;
  lamina_text text;
  double cell, left, top; /* pixels of a cell's side; where the cells begin */
  bool named, counted;    /* there is room for the classes' names, for the counts */
} picture;

static int64_t at(const lamina_confusion *m, int64_t label, int64_t answer) {
  return m->counts[label * m->classes + answer];
}

static const char *name_of(const lamina_confusion *m, int64_t index, char buffer[24]) {
  if (m->names && m->names[index]) return m->names[index];
  snprintf(buffer, 24, "%lld", (long long)index);
  return buffer;
}

static void lay_out(picture *p) {
  const lamina_confusion *m = p->matrix;
  double widest = 0;
  char number[24];
  p->cell = fmin(44, fmax(1, 720 / (double)m->classes));
  p->named = p->cell >= 14;
  p->counted = p->cell >= 30;
  for (int64_t i = 0; p->named && i < m->classes; i++) widest = fmax(widest, lamina_svg_width(name_of(m, i, number)));
  p->left = 24 + 26 + fmin(widest, 160);
  p->top = 24 + (m->title ? 26 : 0) + 26 + 26 + (p->named ? fmin(widest, 160) : 0) + 8;
}

static void draw_cell(picture *p, int64_t label, int64_t answer, int64_t of) {
  const int64_t count = at(p->matrix, label, answer);
  const double x = p->left + (double)answer * p->cell, y = p->top + (double)label * p->cell;
  const double share = (double)count / (double)of;
  char text[24];
  if (!count) return;
  lamina_text_print(&p->text,
                    "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\" fill-opacity=\"%.3f\"/>\n",
                    x, y, p->cell, p->cell, label == answer ? "#2f6fed" : "#e8590c", 0.12 + 0.68 * sqrt(share));
  snprintf(text, sizeof text, "%lld", (long long)count);
  if (p->counted && lamina_svg_width(text) <= p->cell)
    lamina_svg_words(&p->text, "name", "middle", x + p->cell / 2, y + p->cell / 2 + 4.5, text);
}

static void draw_grid(picture *p) {
  const double size = p->cell * (double)p->matrix->classes;
  lamina_text_print(&p->text,
                    "<rect class=\"base\" fill=\"none\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
                    p->left, p->top, size, size);
}

static void draw_names(picture *p) {
  const lamina_confusion *m = p->matrix;
  for (int64_t i = 0; p->named && i < m->classes; i++) {
    char number[24];
    const double middle = ((double)i + 0.5) * p->cell;
    const char *name = name_of(m, i, number);
    lamina_svg_words(&p->text, "tick", "end", p->left - 8, p->top + middle + 4.5, name);
    lamina_text_print(&p->text, "<g transform=\"translate(%.1f %.1f) rotate(-90)\">", p->left + middle + 4.5,
                      p->top - 8);
    lamina_svg_words(&p->text, "tick", "start", 0, 0, name);
    lamina_text_put(&p->text, "</g>\n");
  }
}

static lamina_status check(const lamina_confusion *m) {
  if (!m->counts || m->classes < 1 || m->classes > LAMINA_CONFUSION_CLASSES)
    return lamina_error(LAMINA_INVALID, "a confusion matrix of %lld classes; expected counts of 1 to %d",
                        (long long)m->classes, LAMINA_CONFUSION_CLASSES);
  for (int64_t i = 0; i < m->classes * m->classes; i++)
    if (m->counts[i] < 0)
      return lamina_error(LAMINA_INVALID, "a confusion matrix with a count of %lld; expected 0 or more",
                          (long long)m->counts[i]);
  return LAMINA_OK;
}

/* Draws every row; returns how many examples there are, and how many were answered right. */
static int64_t draw_cells(picture *p, int64_t *right) {
  const lamina_confusion *m = p->matrix;
  int64_t total = 0;
  *right = 0;
  for (int64_t label = 0; label < m->classes; label++) {
    int64_t of = 0;
    for (int64_t answer = 0; answer < m->classes; answer++) of += at(m, label, answer);
    for (int64_t answer = 0; answer < m->classes; answer++) draw_cell(p, label, answer, of);
    total += of, *right += at(m, label, label);
  }
  return total;
}

static void draw_texts(picture *p, int64_t total, int64_t right) {
  char text[96];
  double y = 34;
  const double size = p->cell * (double)p->matrix->classes;
  if (p->matrix->title) lamina_svg_words(&p->text, "title", "start", 24, y, p->matrix->title), y += 26;
  lamina_format(text, sizeof text, "%.2f %% of %lld right", total ? 100 * (double)right / (double)total : 0.0,
                (long long)total);
  lamina_svg_words(&p->text, "tick", "start", 24, y, text);
  lamina_svg_words(&p->text, "name", "middle", p->left + size / 2, y + 26, "answer");
  lamina_text_print(&p->text, "<g transform=\"translate(34 %.1f) rotate(-90)\">", p->top + size / 2);
  lamina_svg_words(&p->text, "name", "middle", 0, 0, "label");
  lamina_text_put(&p->text, "</g>\n");
}

lamina_status lamina_confusion_svg(const lamina_confusion *matrix, const char *path,
                                   const lamina_allocator *allocator) {
  picture p = {.matrix = matrix, .text.allocator = allocator};
  int64_t right;
  LAMINA_NOT_NULL(matrix, "matrix");
  LAMINA_NOT_NULL(path, "path");
  LAMINA_TRY(lamina_allocator_check(allocator, __func__));
  LAMINA_TRY(check(matrix));
  lay_out(&p);
  const double size = p.cell * (double)matrix->classes;
  lamina_svg_begin(&p.text, fmax(p.left + size + 24, 260), p.top + size + 24);
  const int64_t total = draw_cells(&p, &right);
  draw_grid(&p);
  draw_names(&p);
  draw_texts(&p, total, right);
  const lamina_status status = lamina_svg_end(&p.text, path, allocator);
  lamina_text_free(&p.text);
  return status;
}
