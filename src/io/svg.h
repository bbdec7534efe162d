/* What all pictures in SVG share: the paper, the style, words. */
#ifndef LAMINA_IO_SVG_H
#define LAMINA_IO_SVG_H

#include "core/text.h"

void lamina_svg_begin(lamina_text *svg, double width, double height);
/* Closes the picture and writes it; the text stays the caller's. */
LAMINA_NODISCARD lamina_status lamina_svg_end(lamina_text *svg, const char *path, const lamina_allocator *allocator);
/* `type`: "title", "name" or "tick"; `anchor`: "start", "middle" or "end". */
void lamina_svg_words(lamina_text *svg, const char *type, const char *anchor, double x, double y, const char *text);
/* About as wide as the text gets in 13 px. */
double lamina_svg_width(const char *text);

#endif
