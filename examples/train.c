/* A net built layer by layer: learns to tell an X from an O, says how often it is right, and saves itself.
 *
 *   cc train.c $(pkg-config --cflags --libs lamina) -o train && ./train [xo.safetensors] */
#include <stdio.h>

#include <lamina/lamina.h>

static lamina_status print_epoch(void *user, const lamina_progress *progress, const lamina_evaluation *test) {
  (void)user;
  printf("epoch %lld  loss %.4f", (long long)progress->epoch, progress->mean_loss);
  if (test) printf("  test accuracy %.1f%%", 100 * test->accuracy);
  printf("\n");
  return LAMINA_OK; /* anything else stops the training with that status */
}

/* 1 x 9 x 9 pictures, two classes. */
static lamina_status build(lamina_device *device, lamina_net **net) {
  lamina_status status = lamina_net_open(device, &(lamina_net_options){.rank = 3, .dims = {1, 9, 9}}, net);
  if (!status) status = lamina_net_add(*net, "conv", &(lamina_conv_layer){.filters = 3, .kernel = {3}});
  if (!status) status = lamina_net_add(*net, "relu", NULL);
  if (!status) status = lamina_net_add(*net, "max_pool", &(lamina_pool_layer){.kernel = {2}});
  if (!status) status = lamina_net_add(*net, "fc", &(lamina_fc_layer){.units = 2});
  return status;
}

static lamina_status train(lamina_net *net, const char *checkpoint) {
  lamina_dataset *data = NULL, *test = NULL;
  lamina_trainer *trainer = NULL;
  lamina_status status = lamina_dataset_open("xo:train", NULL, &data);
  if (!status) status = lamina_dataset_open("xo:test", NULL, &test);
  const lamina_training how = {
      .train = data, .test = test, .batch = 50, .epochs = 3, .rate = {.rate = 0.1}, .on_epoch = print_epoch};
  if (!status) status = lamina_trainer_open(net, &how, &trainer);
  if (!status) status = lamina_trainer_run(trainer);
  if (!status && checkpoint) status = lamina_trainer_save(trainer, checkpoint);
  lamina_trainer_close(trainer);
  lamina_dataset_close(test);
  lamina_dataset_close(data);
  return status;
}

int main(int argc, char **argv) {
  lamina_device *device = NULL;
  lamina_net *net = NULL;
  lamina_status status = lamina_device_open("cpu", NULL, &device);
  if (!status) status = build(device, &net);
  if (!status) status = train(net, argc > 1 ? argv[1] : NULL);
  if (status) fprintf(stderr, "%s\n", lamina_last_error());
  lamina_net_close(net);
  lamina_device_close(device);
  return status ? 1 : 0;
}
