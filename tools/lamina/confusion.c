#include "confusion.h"

#include <stdlib.h>

lamina_status confusion_open(confusion *c, lamina_net *net, const lamina_dataset *data, int64_t batch) {
  const lamina_desc out = lamina_net_output(net);
  const int64_t classes = out.rank == 1 ? out.dims[0] : 0;
  *c = (confusion){.counts = calloc((size_t)(classes * classes) + 1, sizeof *c->counts),
                   .names = calloc((size_t)classes + 1, sizeof *c->names)};
  if (!c->counts || !c->names)
    return lamina_error(LAMINA_OUT_OF_MEMORY, "no memory for a confusion matrix of %lld classes", (long long)classes);
  for (int64_t i = 0; i < classes; i++) c->names[i] = lamina_net_class_name(net, i);
  c->matrix = (lamina_confusion){.names = c->names, .classes = classes, .counts = c->counts};
  return lamina_net_confusion(net, data, batch, c->counts);
}

void confusion_close(confusion *c) {
  free(c->counts);
  free(c->names);
}

static const char *name_of(const confusion *c, int64_t index, char buffer[24]) {
  if (c->names[index]) return c->names[index];
  snprintf(buffer, 24, "%lld", (long long)index);
  return buffer;
}

void confusion_print(const confusion *c, FILE *to) {
  const int64_t n = c->matrix.classes;
  fprintf(to, "%-20s %10s %10s  %s\n", "class", "examples", "right", "most often taken for");
  for (int64_t label = 0; label < n; label++) {
    const int64_t *row = c->counts + label * n;
    int64_t of = 0, worst = -1;
    char name[24];
    for (int64_t answer = 0; answer < n; answer++) {
      of += row[answer];
      if (answer != label && row[answer] && (worst < 0 || row[answer] > row[worst])) worst = answer;
    }
    fprintf(to, "%-20.20s %10lld", name_of(c, label, name), (long long)of);
    if (of)
      fprintf(to, " %9.2f%%", 100 * (double)row[label] / (double)of);
    else
      fprintf(to, " %10s", "-");
    if (worst >= 0) fprintf(to, "  %s (%lld)", name_of(c, worst, name), (long long)row[worst]);
    fprintf(to, "\n");
  }
}

void confusion_json(const confusion *c, lamina_json *json) {
  const int64_t n = c->matrix.classes;
  lamina_json_array(json, "confusion");
  for (int64_t label = 0; label < n; label++) {
    lamina_json_array(json, NULL);
    for (int64_t answer = 0; answer < n; answer++) lamina_json_int(json, NULL, c->counts[label * n + answer]);
    lamina_json_end(json);
  }
  lamina_json_end(json);
}
