/* lamina eval: how good a trained network is on its test data, or on other data. */
#include "cli.h"
#include "confusion.h"

static lamina_status print(const lamina_dataset *data, const lamina_evaluation *e, const confusion *c) {
  char examples[32], hits[32];
  printf("data      %s: %s examples\n", lamina_dataset_info_of(data)->name,
         cli_count(e->examples, examples, sizeof examples));
  printf("loss      %.4f\n", e->loss);
  if (e->k > 1) printf("top-%-5lld %.2f%%\n", (long long)e->k, 100 * e->accuracy_k);
  printf("accuracy  %.2f%% (%s of %s)\n", 100 * e->accuracy, cli_count(e->hits, hits, sizeof hits), examples);
  if (c) printf("\n"), confusion_print(c, stdout);
  return LAMINA_OK;
}

static lamina_status print_json(const lamina_dataset *data, const lamina_evaluation *e, const confusion *c) {
  lamina_json *json;
  const char *line;
  lamina_status status = lamina_json_open(NULL, &json);
  if (status) return status;
  lamina_json_text(json, "data", lamina_dataset_info_of(data)->name);
  lamina_json_int(json, "examples", e->examples);
  lamina_json_real(json, "loss", e->loss);
  lamina_json_real(json, "accuracy", e->accuracy);
  lamina_json_int(json, "hits", e->hits);
  lamina_json_int(json, "k", e->k);
  lamina_json_real(json, "accuracy_k", e->accuracy_k);
  if (c) confusion_json(c, json);
  if (!(status = lamina_json_line(json, &line))) printf("%s\n", line);
  lamina_json_close(json);
  return status;
}

/* `picture`: the file that the confusion matrix is drawn into; NULL: none is wanted. */
static lamina_status evaluate(lamina_net *net, int64_t batch, bool json, const char *picture) {
  const lamina_dataset *test = NULL;
  lamina_evaluation evaluation;
  lamina_status status = lamina_net_data(net, NULL, &test);
  if (status) return status;
  if (!test) return lamina_error(LAMINA_INVALID, "the recipe names no test data; give some with --data SPEC");
  status = lamina_net_evaluate(net, test, NULL, batch, 0, &evaluation);
  if (status) return status;
  if (!picture) return json ? print_json(test, &evaluation, NULL) : print(test, &evaluation, NULL);
  confusion matrix;
  status = confusion_open(&matrix, net, test, batch);
  if (!status) status = lamina_confusion_svg(&matrix.matrix, picture, NULL);
  if (!status) status = json ? print_json(test, &evaluation, &matrix) : print(test, &evaluation, &matrix);
  confusion_close(&matrix);
  return status;
}

int run_eval(const cli_command *self, int argc, char **argv) {
  const char *spec = NULL, *picture = NULL;
  bool json = false;
  long long batch = 0;
  char set[1100];
  cli_place place = {0};
  cli_net on;
  const cli_option options[] = {
      {.name = "data", .value = "SPEC", .help = "other data than the recipe's test data", .text = &spec},
      {.name = "batch",
       .value = "N",
       .help = "examples at a time; the recipe's",
       .number = &batch,
       .least = 1,
       .most = INT32_MAX},
      {.name = "confusion",
       .value = "FILE.svg",
       .help = "also which class was taken for which, and a picture of it",
       .text = &picture},
      CLI_PLACE_OPTIONS(place),
      {.name = "json", .help = "one JSON object, for machines", .flag = &json},
      {0}};
  int error = cli_options(self, options, &argc, argv);
  if (error) return error < 0 ? 0 : error;
  if (argc < 1) return cli_usage(self, "it needs a CHECKPOINT");
  if (argc > 1) return cli_usage(self, "\"%s\" is one word too many", argv[2]);
  snprintf(set, sizeof set, "data.test=%s", spec ? spec : "");
  if (cli_output(picture)) return cli_failed(self, LAMINA_IO);
  error = cli_checkpoint_open(self, argv[1], &place, (const char *const[]){spec ? set : NULL, NULL}, &on);
  if (!error) {
    const lamina_status status = evaluate(on.net, batch, json, picture);
    if (status) error = cli_failed(self, status);
  }
  cli_net_close(&on);
  return error;
}
