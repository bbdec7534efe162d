/* Using a net on batches in host memory: forward, predictions, gradients, and the memory that takes. */
#include <math.h>
#include <stdio.h>

#include "core/device.h"
#include "net/net.h"

lamina_status lamina_net_memory(lamina_net *net, int64_t batch, lamina_memory_need *need) {
  lamina_executor *executor;
  LAMINA_NOT_NULL(net, "net");
  LAMINA_NOT_NULL(need, "need");
  LAMINA_TRY(lamina_net_executor(net, LAMINA_MODE_INFER, batch, NULL, 0, &executor));
  lamina_executor_need(net, executor, need);
  return LAMINA_OK;
}

static lamina_status forward(lamina_net *net, int64_t n, const void *x, lamina_kept_feed *kept, void *y) {
  lamina_executor *executor;
  LAMINA_TRY(lamina_net_ready(net, LAMINA_MODE_INFER, n, NULL, 0, &executor));
  if (kept->n != n) {
    lamina_feed_close(net, &kept->feed);
    kept->n = 0;
    LAMINA_TRY(lamina_feed_open(net, executor, &kept->feed));
    kept->n = n;
  }
  LAMINA_TRY(lamina_feed_put(net, &kept->feed, x, NULL, NULL));
  LAMINA_TRY(lamina_executor_run(net, executor, 0, executor->graph.node_count, &kept->feed));
  return lamina_executor_read(net, executor, executor->output, &kept->feed, y);
}

lamina_status lamina_net_forward_from(lamina_net *net, int64_t n, const void *x, lamina_kept_feed *kept, void *y) {
  pthread_mutex_lock(&net->turn);
  const lamina_status status = forward(net, n, x, kept, y);
  pthread_mutex_unlock(&net->turn);
  return status;
}

lamina_status lamina_net_forward(lamina_net *net, int64_t n, const void *x, void *y) {
  lamina_kept_feed kept = {0};
  LAMINA_NOT_NULL(net, "net");
  if (n == 0) return LAMINA_OK;
  LAMINA_NOT_NULL(x, "x");
  LAMINA_NOT_NULL(y, "y");
  const lamina_status status = lamina_net_forward_from(net, n, x, &kept, y);
  lamina_feed_close(net, &kept.feed);
  return status;
}

size_t lamina_net_input_room(const lamina_net *net, int64_t n) {
  const lamina_dtype dtype = (lamina_dtype)net->input.dtype;
  return dtype == LAMINA_F32 ? 0 : (size_t)(n * lamina_desc_count(&net->input)) * lamina_dtype_size(dtype);
}

const void *lamina_net_as_input(const lamina_net *net, int64_t n, const float *x, void *room) {
  const lamina_dtype dtype = (lamina_dtype)net->input.dtype;
  if (dtype == LAMINA_F32) return x;
  for (int64_t i = 0; i < n * lamina_desc_count(&net->input); i++) lamina_store(dtype, room, i, (double)x[i]);
  return room;
}

/* Rows of scores become probabilities, in f64 with the largest score taken off first. */
static void softmax_rows(float *rows, int64_t n, int64_t classes) {
  for (int64_t i = 0; i < n; i++, rows += classes) {
    double most = -INFINITY, sum = 0;
    for (int64_t c = 0; c < classes; c++) most = fmax(most, (double)rows[c]);
    for (int64_t c = 0; c < classes; c++) sum += exp((double)rows[c] - most);
    for (int64_t c = 0; c < classes; c++) rows[c] = (float)(exp((double)rows[c] - most) / sum);
  }
}

lamina_status lamina_net_predict(lamina_net *net, int64_t n, const float *x, float *prob) {
  LAMINA_NOT_NULL(net, "net");
  if (n == 0) return LAMINA_OK;
  LAMINA_NOT_NULL(x, "x");
  LAMINA_NOT_NULL(prob, "prob");
  const lamina_desc in = lamina_net_input(net), out = lamina_net_output(net);
  if (out.rank != 1)
    return lamina_error(LAMINA_INVALID, "the net's output has %d axes; expected one of classes", out.rank);
  const lamina_dtype dtype = (lamina_dtype)out.dtype;
  const bool f32 = dtype == LAMINA_F32;
  int64_t in_count, out_count;
  if (!lamina_mul(n, lamina_desc_count(&in), &in_count) || !lamina_mul(n, out.dims[0], &out_count) ||
      in_count > INT64_MAX / 8 || out_count > INT64_MAX / 8)
    return lamina_error(LAMINA_INVALID, "lamina_net_predict: n is %lld; expected 0 to what memory can hold",
                        (long long)n);
  const size_t room = lamina_net_input_room(net, n);
  void *wide_x = room ? lamina_alloc(net->allocator, room) : NULL;
  void *wide_y = f32 ? NULL : lamina_alloc(net->allocator, (size_t)out_count * lamina_dtype_size(dtype));
  lamina_status status = (room && !wide_x) || (!f32 && !wide_y) ? LAMINA_OUT_OF_MEMORY : LAMINA_OK;
  if (!status) status = lamina_net_forward(net, n, lamina_net_as_input(net, n, x, wide_x), f32 ? (void *)prob : wide_y);
  for (int64_t i = 0; !f32 && !status && i < out_count; i++) prob[i] = (float)lamina_load(dtype, wide_y, i);
  const char *last = net->layer_count ? net->layers[net->layer_count - 1].def->name : "";
  if (!status && strcmp(last, "softmax") != 0) softmax_rows(prob, n, out.dims[0]);
  lamina_free(net->allocator, wide_x);
  lamina_free(net->allocator, wide_y);
  return status;
}

/* Pixel i of channel `c` of `channels`: grey counts for every colour, and colours become grey by their luma (ITU-R
 * BT.601). */
static float sample_of(const lamina_image *image, int64_t channels, int64_t c, int64_t i) {
  const int64_t plane = image->height * image->width;
  if (image->channels == channels) return image->x[c * plane + i];
  if (image->channels == 1) return image->x[i];
  return 0.299f * image->x[i] + 0.587f * image->x[plane + i] + 0.114f * image->x[2 * plane + i];
}

lamina_status lamina_net_picture(const lamina_net *net, const lamina_image *image, float *x) {
  LAMINA_NOT_NULL(net, "net");
  LAMINA_NOT_NULL(image, "image");
  LAMINA_NOT_NULL(image->x, "image.x");
  LAMINA_NOT_NULL(x, "x");
  const lamina_desc in = lamina_net_input(net);
  const int64_t dims[] = {image->channels, image->height, image->width};
  const bool converts = (dims[0] == 1 && in.dims[0] == 3) || (dims[0] == 3 && in.dims[0] == 1);
  if (in.rank != 3 || (dims[0] != in.dims[0] && !converts) || dims[1] != in.dims[1] || dims[2] != in.dims[2]) {
    char shape[128];
    return lamina_error(LAMINA_INVALID,
                        "the picture has %lld channel%s, %lld rows and %lld columns, but the net's input is %s",
                        (long long)dims[0], dims[0] == 1 ? "" : "s", (long long)dims[1], (long long)dims[2],
                        lamina_desc_text(&in, shape, sizeof shape));
  }
  const int64_t plane = dims[1] * dims[2];
  const float low = net->low, high = net->low == net->high ? 1 : net->high;
  for (int64_t c = 0; c < in.dims[0]; c++)
    for (int64_t i = 0; i < plane; i++) x[c * plane + i] = low + sample_of(image, in.dims[0], c, i) * (high - low);
  return lamina_normalise(&net->defaults.normalise, 1, in.dims[0], plane, x);
}

lamina_status lamina_net_gradients(lamina_net *net, const char *name, int64_t n, const void *x, const int32_t *labels,
                                   uint64_t seed, int64_t step, double *loss) {
  lamina_criterion criterion;
  lamina_executor *e;
  lamina_feed feed;
  char value[8];
  LAMINA_NOT_NULL(net, "net");
  LAMINA_NOT_NULL(x, "x");
  LAMINA_NOT_NULL(labels, "labels");
  LAMINA_NOT_NULL(loss, "loss");
  if (step < 0 || step == INT64_MAX)
    return lamina_error(LAMINA_INVALID, "lamina_net_gradients: step is %lld; expected 0 or more", (long long)step);
  const lamina_step_block block = {.loss_gradient = 1, .step = step + 1, .rng = {(int64_t)seed, step}};
  LAMINA_TRY(lamina_net_criterion(net, name, NULL, &criterion));
  LAMINA_TRY(lamina_net_ready(net, LAMINA_MODE_GRADIENTS, n, &criterion, 0, &e));
  lamina_status status = lamina_feed_open(net, e, &feed);
  if (!status) status = lamina_feed_put(net, &feed, x, labels, NULL);
  if (!status) status = lamina_net_write_step(net, &block);
  if (!status) status = lamina_executor_run(net, e, 0, e->graph.node_count, &feed);
  if (!status) status = lamina_executor_read(net, e, e->loss, &feed, value);
  if (!status) *loss = lamina_load(lamina_net_wide(net), value, 0);
  net->gradients = !status;
  lamina_feed_close(net, &feed);
  return status;
}
