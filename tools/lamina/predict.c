/* lamina predict: pictures in, classes and their probabilities out, a line each. */
#include <stdlib.h>

#include "cli.h"

enum { TOP = 3 };

typedef struct predict {
  lamina_net *net;
  lamina_json *json; /* NULL: for people */
  float *x, *prob;
  int64_t classes;
} predict;

typedef struct choice {
  int64_t index;
  float probability;
} choice;

/* The largest probabilities first; returns how many there are. */
static int best(const float *prob, int64_t classes, choice *top) {
  int count = 0;
  for (int64_t c = 0; c < classes; c++) {
    int at = count < TOP ? count++ : TOP;
    for (; at > 0 && prob[c] > top[at - 1].probability; at--)
      if (at < TOP) top[at] = top[at - 1];
    if (at < TOP) top[at] = (choice){c, prob[c]};
  }
  return count;
}

static const char *label(const lamina_net *net, int64_t index, char *buffer, size_t size) {
  const char *name = lamina_net_class_name(net, index);
  if (name)
    snprintf(buffer, size, "%s", name);
  else
    snprintf(buffer, size, "%lld", (long long)index);
  return buffer;
}

static void print(const predict *p, const char *file, const choice *top, int count) {
  char name[128];
  printf("%s  %s  %.2f%%", file, label(p->net, top[0].index, name, sizeof name), 100 * (double)top[0].probability);
  for (int i = 1; i < count; i++)
    printf("%s%s %.2f%%", i == 1 ? "  (then " : ", ", label(p->net, top[i].index, name, sizeof name),
           100 * (double)top[i].probability);
  printf("%s\n", count > 1 ? ")" : "");
}

static lamina_status print_json(const predict *p, const char *file, const choice *top, int count) {
  const char *line;
  char name[128];
  lamina_json_text(p->json, "file", file);
  lamina_json_array(p->json, "top");
  for (int i = 0; i < count; i++) {
    lamina_json_object(p->json, NULL);
    lamina_json_int(p->json, "class", top[i].index);
    lamina_json_text(p->json, "name", label(p->net, top[i].index, name, sizeof name));
    lamina_json_real(p->json, "probability", (double)top[i].probability);
    lamina_json_end(p->json);
  }
  const lamina_status status = lamina_json_line(p->json, &line);
  if (!status) printf("%s\n", line);
  return status;
}

/* Names the file in front of sentences that don't: those of the network. */
static lamina_status of_file(const char *file, lamina_status status) {
  char sentence[1024];
  snprintf(sentence, sizeof sentence, "%s", lamina_last_error());
  return status ? lamina_error(status, "%s: %s", file, sentence) : LAMINA_OK;
}

static lamina_status predict_file(const predict *p, const char *file) {
  lamina_image image = {0};
  choice top[TOP];
  lamina_status status = lamina_image_read(file, NULL, &image);
  if (status) return status;
  status = lamina_net_picture(p->net, &image, p->x);
  lamina_image_free(NULL, &image);
  if (!status) status = lamina_net_predict(p->net, 1, p->x, p->prob);
  if (status) return of_file(file, status);
  const int count = best(p->prob, p->classes, top);
  if (p->json) return print_json(p, file, top, count);
  print(p, file, top, count);
  return LAMINA_OK;
}

static lamina_status open_buffers(predict *p) {
  const lamina_desc in = lamina_net_input(p->net), out = lamina_net_output(p->net);
  if (out.rank != 1)
    return lamina_error(LAMINA_INVALID, "the net's output has %d axes; expected one of classes", out.rank);
  p->classes = out.dims[0];
  p->x = calloc((size_t)lamina_desc_count(&in), sizeof *p->x);
  p->prob = calloc((size_t)p->classes, sizeof *p->prob);
  return p->x && p->prob ? LAMINA_OK : lamina_error(LAMINA_OUT_OF_MEMORY, "no memory for one picture");
}

static int predict_all(const cli_command *self, predict *p, int count, char **files) {
  int error = 0;
  const lamina_status status = open_buffers(p);
  if (status) return cli_failed(self, status);
  for (int i = 0; i < count; i++) {
    const lamina_status one = predict_file(p, files[i]);
    if (one) error = cli_failed(self, one);
  }
  return error;
}

int run_predict(const cli_command *self, int argc, char **argv) {
  bool json = false;
  cli_place place = {0};
  cli_net on;
  const cli_option options[] = {
      CLI_PLACE_OPTIONS(place), {.name = "json", .help = "a JSON object a picture, for machines", .flag = &json}, {0}};
  int error = cli_options(self, options, &argc, argv);
  if (error) return error < 0 ? 0 : error;
  if (argc < 2) return cli_usage(self, "it needs a CHECKPOINT and at least one picture");
  error = cli_checkpoint_open(self, argv[1], &place, NULL, &on);
  predict p = {.net = on.net};
  if (!error && json) {
    const lamina_status status = lamina_json_open(NULL, &p.json);
    if (status) error = cli_failed(self, status);
  }
  if (!error) error = predict_all(self, &p, argc - 1, argv + 2);
  lamina_json_close(p.json);
  free(p.x);
  free(p.prob);
  cli_net_close(&on);
  return error;
}
