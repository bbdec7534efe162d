/* Files of shapes: one problem a line, in the grammar of `lamina bench`; "#" begins a comment. A comment behind a problem
 * is its name. */
#ifndef LAMINA_TOOL_SHAPES_H
#define LAMINA_TOOL_SHAPES_H

#include "cli.h"

enum { SHAPES_MOST_WORDS = 64 };

typedef struct shapes_line {
  int number;       /* in the file, from 1 */
  const char *name; /* "" where it has none */
  lamina_case c;
} shapes_line;

typedef struct shapes {
  char *text; /* what names point into */
  shapes_line *line;
  int count;
} shapes;

/* Reads a file, "-" for standard input, and understands all of it. `dtype`, if not NULL, is for the problems that don't
 * say their own; `filter` keeps those whose line contains every one of its texts. Returns 0 or an exit code; the reason,
 * with file and line, is said. Close it in either case. */
int shapes_read(const cli_command *self, const char *path, const char *dtype, const char *const *filter, int filters,
                shapes *list);
void shapes_close(shapes *list);

#endif
