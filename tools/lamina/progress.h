/* One line that tells how far a long task is: drawn again and again on a terminal, a plain line now and then elsewhere. */
#ifndef LAMINA_TOOL_PROGRESS_H
#define LAMINA_TOOL_PROGRESS_H

#include <stdbool.h>
#include <stdio.h>

typedef struct progress {
  FILE *to;
  bool terminal; /* `to` is one, and TERM is not "dumb" */
  int width;     /* columns of the terminal */
  double drawn;  /* when the line was drawn last, by progress_now */
} progress;

/* Seconds of a clock that never jumps. */
double progress_now(void);
progress progress_start(FILE *to);
/* Is it time to draw again? On a terminal ten times a second, elsewhere never. */
bool progress_due(const progress *p);
/* Draws "LEFT  ████▍     37%  RIGHT" over the last line; cut to the terminal's width. */
void progress_draw(progress *p, double done, const char *left, const char *right);
/* Ends the drawn line, so that what is printed next stays; elsewhere prints "LEFT  RIGHT" as a line of its own. */
void progress_keep(progress *p, const char *left, const char *right);
/* Goes to a new line where a drawn one would be written over: before anything else is printed. */
void progress_end(progress *p);

#endif
