/* A network for people and for machines: layers, work, memory, engines. */
#include "info_net.h"

static void print_need(const char *what, const lamina_memory_need *need) {
  const double mib = 0x1p20;
  printf("%-9s %.1f MiB: parameters %.1f", what, (double)need->total / mib, (double)need->parameters / mib);
  if (need->gradients) printf(", gradients %.1f", (double)need->gradients / mib);
  if (need->optimizer) printf(", optimizer %.1f", (double)need->optimizer / mib);
  printf(", activations %.1f (with %.1f of workspace)", (double)need->activations / mib, (double)need->workspace / mib);
  if (need->loader) printf(", batches made ahead %.1f", (double)need->loader / mib);
  printf("\n");
}

static lamina_status print(lamina_net *net, int64_t batch, bool engines) {
  const char *text;
  lamina_memory_need need;
  const lamina_training training = {.batch = batch};
  lamina_status status = lamina_net_summary(net, batch, &text);
  if (status) return status;
  printf("%s\n", text);
  if ((status = lamina_net_memory(net, batch, &need))) return status;
  printf("memory for a batch of %lld\n", (long long)batch);
  print_need("inference", &need);
  if (lamina_training_memory(net, &training, &need)) /* without its data a net can still be looked at */
    printf("training  unknown: %s\n", lamina_last_error());
  else
    print_need("training", &need);
  if (!engines) return LAMINA_OK;
  if ((status = lamina_net_explain(net, batch, true, &text))) return status;
  printf("\nengines for training with a batch of %lld on %s: %s\n%s", (long long)batch,
         lamina_device_name(lamina_net_device(net)), lamina_device_about(lamina_net_device(net)), text);
  return LAMINA_OK;
}

static lamina_status add_layers(lamina_net *net, int64_t batch, lamina_json *json) {
  lamina_json_array(json, "layers");
  for (int i = 0; i < lamina_net_layer_count(net); i++) {
    lamina_layer_info layer;
    const lamina_status status = lamina_net_layer(net, i, batch, &layer);
    if (status) return status;
    lamina_json_object(json, NULL);
    lamina_json_text(json, "name", layer.name);
    lamina_json_array(json, "output");
    for (int a = 0; a < layer.output.rank; a++) lamina_json_int(json, NULL, layer.output.dims[a]);
    lamina_json_end(json);
    lamina_json_int(json, "parameters", layer.parameters);
    lamina_json_real(json, "flops", layer.flops);
    lamina_json_int(json, "activation_bytes", layer.activation_bytes);
    lamina_json_end(json);
  }
  lamina_json_end(json);
  return LAMINA_OK;
}

static void add_need(lamina_json *json, const char *what, const lamina_memory_need *need) {
  lamina_json_object(json, what);
  lamina_json_int(json, "total", (int64_t)need->total);
  lamina_json_int(json, "parameters", (int64_t)need->parameters);
  lamina_json_int(json, "gradients", (int64_t)need->gradients);
  lamina_json_int(json, "optimizer", (int64_t)need->optimizer);
  lamina_json_int(json, "activations", (int64_t)need->activations);
  lamina_json_int(json, "workspace", (int64_t)need->workspace);
  lamina_json_int(json, "loader", (int64_t)need->loader);
  lamina_json_end(json);
}

static lamina_status add_all(lamina_net *net, int64_t batch, lamina_json *json) {
  lamina_memory_need need;
  const lamina_training training = {.batch = batch};
  lamina_json_int(json, "batch", batch);
  lamina_json_int(json, "parameters", lamina_net_parameter_total(net));
  lamina_status status = add_layers(net, batch, json);
  if (!status) status = lamina_net_memory(net, batch, &need);
  if (status) return status;
  add_need(json, "inference_bytes", &need);
  if (lamina_training_memory(net, &training, &need))
    lamina_json_text(json, "training_bytes", NULL);
  else
    add_need(json, "training_bytes", &need);
  return LAMINA_OK;
}

static lamina_status print_json(lamina_net *net, int64_t batch) {
  lamina_json *json;
  const char *line;
  lamina_status status = lamina_json_open(NULL, &json);
  if (status) return status;
  if (!(status = add_all(net, batch, json))) status = lamina_json_line(json, &line);
  if (!status) printf("%s\n", line);
  lamina_json_close(json);
  return status;
}

int info_net(const cli_command *self, const char *word, const cli_place *place, int64_t batch, bool engines,
             bool json) {
  cli_net on;
  int error = cli_net_open(self, word, place, NULL, &on);
  if (!error) {
    const lamina_status status = json ? print_json(on.net, batch) : print(on.net, batch, engines);
    if (status) error = cli_failed(self, status);
  }
  cli_net_close(&on);
  return error;
}
