/* Memory and messages under the program's own control: an allocator that counts, and a log.
 *
 *   cc allocator.c $(pkg-config --cflags --libs lamina) -o allocator && ./allocator */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <lamina/lamina.h>

/* Both functions may be called from several threads at once. */
typedef struct counts {
  atomic_size_t calls, bytes;
} counts;

static void *take(void *user, size_t size, size_t align) {
  counts *c = user;
  void *memory = aligned_alloc(align, (size + align - 1) / align * align);
  if (!memory) return NULL; /* the call that wanted it returns LAMINA_OUT_OF_MEMORY */
  c->calls++;
  c->bytes += size;
  return memory;
}

static void give(void *user, void *memory, size_t size) {
  counts *c = user;
  c->bytes -= size;
  free(memory);
}

static void write_log(void *user, lamina_log_level level, const char *message) {
  fprintf(user, "%s: %s\n", level == LAMINA_LOG_WARNING ? "warning" : "lamina", message);
}

/* A net whose parameters are drawn at random and that looks at one picture. */
static lamina_status run(lamina_device *device) {
  static float x[28 * 28], y[10];
  lamina_net *net = NULL;
  lamina_status status = lamina_net_open(device, &(lamina_net_options){.rank = 3, .dims = {1, 28, 28}}, &net);
  if (!status) status = lamina_net_add(net, "conv", &(lamina_conv_layer){.filters = 6, .kernel = {5}});
  if (!status) status = lamina_net_add(net, "relu", NULL);
  if (!status) status = lamina_net_add(net, "fc", &(lamina_fc_layer){.units = 10});
  if (!status) status = lamina_net_init(net, 1);
  if (!status) status = lamina_net_forward(net, 1, x, y);
  lamina_net_close(net);
  return status;
}

int main(void) {
  counts c = {0};
  const lamina_allocator allocator = {.alloc = take, .free = give, .user = &c};
  const lamina_device_options options = {.allocator = &allocator, .log = write_log, .log_user = stdout};
  lamina_device *device = NULL;
  lamina_status status = lamina_device_open("cpu", &options, &device);
  if (!status) status = run(device); /* nets take their memory from their device's allocator */
  if (status) fprintf(stderr, "%s\n", lamina_last_error());
  const size_t held = c.bytes;
  lamina_device_close(device);
  printf("%zu allocations, %zu bytes held by the device at the end, %zu after it was closed\n", (size_t)c.calls, held,
         (size_t)c.bytes);
  return status ? 1 : 0;
}
