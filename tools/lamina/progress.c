#include "progress.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

double progress_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

progress progress_start(FILE *to) {
  const char *term = getenv("TERM");
  struct winsize size;
  progress p = {.to = to, .width = 80};
  p.terminal = isatty(fileno(to)) && term && strcmp(term, "dumb") != 0;
  if (p.terminal && ioctl(fileno(to), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) p.width = size.ws_col;
  return p;
}

bool progress_due(const progress *p) { return p->terminal && progress_now() - p->drawn > 0.1; }

/* Eighths of a block, so that the bar moves smoothly: each is three bytes of UTF-8. */
static void bar(char *text, size_t size, double done, int cells) {
  static const char *const eighths[] = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};
  const int filled = (int)((done < 0 ? 0 : done > 1 ? 1 : done) * cells * 8);
  size_t used = 0;
  text[0] = 0;
  for (int i = 0; i < cells && used + 4 < size; i++) {
    const int part = filled - 8 * i;
    used += (size_t)snprintf(text + used, size - used, "%s", eighths[part < 0 ? 0 : part > 8 ? 8 : part]);
  }
}

static int columns_of(const char *text) {
  int columns = 0;
  for (; *text; text++) columns += ((unsigned char)*text & 0xC0) != 0x80;
  return columns;
}

/* Bytes of the first `columns` characters of UTF-8. */
static size_t bytes_of(const char *text, int columns) {
  size_t i = 0;
  for (; text[i]; i++)
    if (((unsigned char)text[i] & 0xC0) != 0x80 && columns-- == 0) break;
  return i;
}

void progress_draw(progress *p, double done, const char *left, const char *right) {
  enum { LEAST = 4, MOST = 20, BETWEEN = 9 }; /* cells of the bar; columns of blanks and percents */
  char cells[MOST * 3 + 1], line[1024];
  if (!p->terminal) return;
  const int room = p->width - 1 - columns_of(left) - columns_of(right) - BETWEEN;
  bar(cells, sizeof cells, done, room < LEAST ? LEAST : room > MOST ? MOST : room);
  snprintf(line, sizeof line, "%s  %s %3d%%  %s", left, cells, (int)(100 * done), right);
  fprintf(p->to, "\r%.*s\033[K", (int)bytes_of(line, p->width - 1), line);
  fflush(p->to);
  p->drawn = progress_now();
}

void progress_keep(progress *p, const char *left, const char *right) {
  fprintf(p->to, "%s%s  %s%s\n", p->terminal ? "\r" : "", left, right, p->terminal ? "\033[K" : "");
  fflush(p->to);
  p->drawn = 0;
}

void progress_end(progress *p) {
  if (p->drawn > 0) fputc('\n', p->to);
  fflush(p->to);
  p->drawn = 0;
}
