/* lamina tune: measures what the machine does at best and, for a network, which engine is the fastest for each of its
 * problems. All that is found out is kept for whoever plans the same later. */
#include "cli.h"

/* All that a training plans: forward, backward, loss, updates. Without its data, the network alone. */
static lamina_status plan_all(lamina_net *net, long long batch) {
  const lamina_training training = {.batch = batch};
  lamina_trainer *trainer;
  const char *text;
  if (!lamina_trainer_open(net, &training, &trainer)) {
    lamina_trainer_close(trainer);
    return LAMINA_OK;
  }
  fprintf(stderr, "without its training: %s\n", lamina_last_error());
  return lamina_net_explain(net, batch ? batch : 1, true, &text);
}

static int tune_net(const cli_command *self, const char *word, long long batch, const cli_place *place,
                    const char *const *sets) {
  cli_net on;
  int error = cli_net_open(self, word, place, sets, &on);
  if (!error) {
    const lamina_status status = plan_all(on.net, batch);
    if (status) error = cli_failed(self, status);
  }
  cli_net_close(&on);
  return error;
}

static int tune_machine(const cli_command *self, const cli_place *place) {
  lamina_device *device;
  lamina_roofline r;
  const int error = cli_device(self, place, &device);
  if (error) return error;
  lamina_device_roofline(device, &r);
  if (r.measured)
    printf("%s: %.4g GFLOP/s, reads %.3g GB/s, copies %.3g GB/s\n", lamina_device_name(device), r.flops / 1e9,
           r.read / 1e9, r.copy / 1e9);
  else
    printf("%s: what it does at best is reckoned from its clocks, not measured; lamina tune RECIPE times its engines\n",
           lamina_device_name(device));
  lamina_device_close(device);
  return 0;
}

enum { MOST_SETS = 64 };

typedef struct set_list {
  const char *set[MOST_SETS + 1];
  int count;
} set_list;

static void add_set(void *user, const char *value) {
  set_list *sets = user;
  if (sets->count < MOST_SETS) sets->set[sets->count] = value;
  sets->count++;
}

int run_tune(const cli_command *self, int argc, char **argv) {
  cli_place place = {.tune = true};
  set_list sets = {.count = 0};
  long long batch = 0;
  const cli_option options[] = {{.name = "batch",
                                 .value = "N",
                                 .help = "instead of the recipe's",
                                 .number = &batch,
                                 .least = 1,
                                 .most = INT32_MAX},
                                {.name = "set",
                                 .value = "KEY=VALUE",
                                 .help = "changes the recipe, as for train; may come often",
                                 .each = add_set,
                                 .user = &sets},
                                CLI_PLACE_OPTIONS(place),
                                {0}};
  const int error = cli_options(self, options, &argc, argv);
  if (error) return error < 0 ? 0 : error;
  if (argc > 1) return cli_usage(self, "\"%s\" is one word too many", argv[2]);
  if (sets.count > MOST_SETS) return cli_usage(self, "%d assignments are too many; expected at most 64", sets.count);
  return argc ? tune_net(self, argv[1], batch, &place, sets.set) : tune_machine(self, &place);
}
