/* Ctrl-C: the first time a wish that the work looks at, the second time the end. */
#ifndef LAMINA_TOOL_STOP_H
#define LAMINA_TOOL_STOP_H

#include <stdbool.h>

/* From now on SIGINT and SIGTERM only set the wish; a second one exits with 130 at once. */
void stop_watch(void);
bool stop_wanted(void);

#endif
