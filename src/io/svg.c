#include "io/svg.h"

#include "io/file.h"

static const char style[] =
    "text{font-family:Inter,system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;font-size:13px;"
    "fill:#5b6472}"
    ".paper{fill:#ffffff}.title{font-size:18px;font-weight:600;fill:#1b2330}.name{fill:#1b2330}"
    ".grid{stroke:#e6e9ee;stroke-width:1}.base{stroke:#b6bdc8;stroke-width:1}"
    "path{fill:none;stroke-linejoin:round;stroke-linecap:round}"
    "@media(prefers-color-scheme:dark){text{fill:#9aa4b2}.paper{fill:#14181f}.title,.name{fill:#e8ecf2}"
    ".grid{stroke:#262c36}.base{stroke:#4a5362}}";

void lamina_svg_begin(lamina_text *svg, double width, double height) {
  lamina_text_print(
      svg,
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" "
      "role=\"img\">\n<style>%s</style>\n<rect class=\"paper\" width=\"100%%\" height=\"100%%\"/>\n",
      width, height, width, height, style);
}

lamina_status lamina_svg_end(lamina_text *svg, const char *path, const lamina_allocator *allocator) {
  lamina_text_put(svg, "</svg>\n");
  LAMINA_TRY(lamina_text_status(svg));
  return lamina_file_write_whole(path, svg->data, svg->used, allocator);
}

void lamina_svg_words(lamina_text *svg, const char *type, const char *anchor, double x, double y, const char *text) {
  lamina_text_print(svg, "<text class=\"%s\" text-anchor=\"%s\" x=\"%.1f\" y=\"%.1f\">", type, anchor, x, y);
  lamina_text_xml(svg, text);
  lamina_text_put(svg, "</text>\n");
}

double lamina_svg_width(const char *text) {
  double width = 0;
  for (; *text; text++)
    width += (*text & 0xC0) == 0x80               ? 0 /* a byte that begins no character */
             : strchr("ijlt.,:;|!'()[] f", *text) ? 4.5
             : strchr("mwMW", *text)              ? 11.5
                                                  : 7.7;
  return width;
}
