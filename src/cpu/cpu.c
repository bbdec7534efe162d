/* The CPU as a device: memory of the host, streams that are always done, engines from the table below. */
#include "cpu/cpu.h"

#include <stdio.h>
#ifdef LAMINA_ONEDNN
#include <oneapi/dnnl/dnnl.h>
#endif

#include "core/reference.h"

/* Every engine of the CPU. A new engine adds its row's name here. */
#define ENGINES(X)                                                                                                     \
  X(loop_copy)                                                                                                         \
  X(loop_concat_forward)                                                                                               \
  X(loop_concat_backward)                                                                                              \
  X(loop_split_forward)                                                                                                \
  X(loop_split_backward)                                                                                               \
  X(loop_slice_forward)                                                                                                \
  X(loop_slice_backward)                                                                                               \
  X(loop_pad_forward)                                                                                                  \
  X(loop_pad_backward)                                                                                                 \
  X(loop_transpose_forward)                                                                                            \
  X(loop_transpose_backward)                                                                                           \
  X(loop_resize_forward)                                                                                               \
  X(loop_resize_backward)                                                                                              \
  X(loop_relu_forward)                                                                                                 \
  X(loop_relu_backward)                                                                                                \
  X(loop_leaky_relu_forward)                                                                                           \
  X(loop_leaky_relu_backward)                                                                                          \
  X(loop_prelu_forward)                                                                                                \
  X(loop_prelu_backward)                                                                                               \
  X(loop_sigmoid_forward)                                                                                              \
  X(loop_sigmoid_backward)                                                                                             \
  X(loop_tanh_forward)                                                                                                 \
  X(loop_tanh_backward)                                                                                                \
  X(loop_elu_forward)                                                                                                  \
  X(loop_elu_backward)                                                                                                 \
  X(loop_selu_forward)                                                                                                 \
  X(loop_selu_backward)                                                                                                \
  X(loop_gelu_forward)                                                                                                 \
  X(loop_gelu_backward)                                                                                                \
  X(loop_silu_forward)                                                                                                 \
  X(loop_silu_backward)                                                                                                \
  X(loop_softplus_forward)                                                                                             \
  X(loop_softplus_backward)                                                                                            \
  X(loop_hard_sigmoid_forward)                                                                                         \
  X(loop_hard_sigmoid_backward)                                                                                        \
  X(loop_softsign_forward)                                                                                             \
  X(loop_softsign_backward)                                                                                            \
  X(loop_max_pool_forward)                                                                                             \
  X(loop_max_pool_backward)                                                                                            \
  X(loop_min_pool_forward)                                                                                             \
  X(loop_min_pool_backward)                                                                                            \
  X(loop_avg_pool_forward)                                                                                             \
  X(loop_avg_pool_backward)                                                                                            \
  X(loop_conv_forward)                                                                                                 \
  X(loop_conv_backward_data)                                                                                           \
  X(loop_conv_backward_weights)                                                                                        \
  X(loop_lp_pool_forward)                                                                                              \
  X(loop_lp_pool_backward)                                                                                             \
  X(loop_mixed_pool_forward)                                                                                           \
  X(loop_mixed_pool_backward)                                                                                          \
  X(loop_stochastic_pool_forward)                                                                                      \
  X(loop_stochastic_pool_inference)                                                                                    \
  X(loop_stochastic_pool_backward)                                                                                     \
  X(loop_depthwise_forward)                                                                                            \
  X(loop_depthwise_backward_data)                                                                                      \
  X(loop_depthwise_backward_weights)                                                                                   \
  X(loop_spectral_pool_forward)                                                                                        \
  X(loop_spectral_pool_backward)                                                                                       \
  X(loop_max_unpool_forward)                                                                                           \
  X(loop_max_unpool_backward)                                                                                          \
  X(loop_conv_transpose_forward)                                                                                       \
  X(loop_conv_transpose_backward_data)                                                                                 \
  X(loop_conv_transpose_backward_weights)                                                                              \
  X(loop_conv_transpose_backward_bias)                                                                                 \
  X(loop_depthwise_transpose_forward)                                                                                  \
  X(loop_depthwise_transpose_backward_data)                                                                            \
  X(loop_depthwise_transpose_backward_weights)                                                                         \
  X(loop_local_conv_forward)                                                                                           \
  X(loop_local_conv_backward_data)                                                                                     \
  X(loop_local_conv_backward_weights)                                                                                  \
  X(loop_local_conv_backward_bias)                                                                                     \
  X(loop_conv_matrix)                                                                                                  \
  X(loop_conv_backward_bias)                                                                                           \
  X(loop_fc_forward)                                                                                                   \
  X(loop_fc_backward_data)                                                                                             \
  X(loop_fc_backward_weights)                                                                                          \
  X(loop_fc_backward_bias)                                                                                             \
  X(loop_matmul_forward)                                                                                               \
  X(loop_matmul_backward_a)                                                                                            \
  X(loop_matmul_backward_b)                                                                                            \
  X(loop_gather_forward)                                                                                               \
  X(loop_gather_backward)                                                                                              \
  X(loop_embedding_forward)                                                                                            \
  X(loop_embedding_backward)                                                                                           \
  X(loop_one_hot)                                                                                                      \
  X(loop_softmax_forward)                                                                                              \
  X(loop_softmax_backward)                                                                                             \
  X(loop_log_softmax_forward)                                                                                          \
  X(loop_log_softmax_backward)                                                                                         \
  X(loop_batch_norm_forward)                                                                                           \
  X(loop_batch_norm_inference)                                                                                         \
  X(loop_batch_norm_backward)                                                                                          \
  X(loop_layer_norm_forward)                                                                                           \
  X(loop_layer_norm_backward)                                                                                          \
  X(loop_group_norm_forward)                                                                                           \
  X(loop_group_norm_backward)                                                                                          \
  X(loop_lrn_forward)                                                                                                  \
  X(loop_lrn_backward)                                                                                                 \
  X(loop_add_forward)                                                                                                  \
  X(loop_add_backward)                                                                                                 \
  X(loop_multiply_forward)                                                                                             \
  X(loop_multiply_backward)                                                                                            \
  X(loop_sum_forward)                                                                                                  \
  X(loop_sum_backward)                                                                                                 \
  X(loop_mean_forward)                                                                                                 \
  X(loop_mean_backward)                                                                                                \
  X(loop_max_forward)                                                                                                  \
  X(loop_max_backward)                                                                                                 \
  X(loop_scale_forward)                                                                                                \
  X(loop_scale_backward)                                                                                               \
  X(loop_cast_forward)                                                                                                 \
  X(loop_cast_backward)                                                                                                \
  X(loop_fill)                                                                                                         \
  X(loop_dropout_forward)                                                                                              \
  X(loop_dropout_backward)                                                                                             \
  X(loop_softmax_cross_entropy_forward)                                                                                \
  X(loop_softmax_cross_entropy_backward)                                                                               \
  X(loop_softmax_cross_entropy_target_forward)                                                                         \
  X(loop_softmax_cross_entropy_target_backward)                                                                        \
  X(loop_binary_cross_entropy_forward)                                                                                 \
  X(loop_binary_cross_entropy_backward)                                                                                \
  X(loop_mse_forward)                                                                                                  \
  X(loop_mse_backward)                                                                                                 \
  X(loop_l1_forward)                                                                                                   \
  X(loop_l1_backward)                                                                                                  \
  X(loop_huber_forward)                                                                                                \
  X(loop_huber_backward)                                                                                               \
  X(loop_binary_hinge_forward)                                                                                         \
  X(loop_binary_hinge_backward)                                                                                        \
  X(loop_nll_forward)                                                                                                  \
  X(loop_nll_backward)                                                                                                 \
  X(loop_hinge_forward)                                                                                                \
  X(loop_hinge_backward)                                                                                               \
  X(loop_top_k)                                                                                                        \
  X(loop_sgd)                                                                                                          \
  X(loop_adam)
#ifdef LAMINA_ONEDNN
#define ONEDNN_ENGINES(X)                                                                                              \
  X(onednn_conv_forward)                                                                                               \
  X(onednn_conv_backward_data)                                                                                         \
  X(onednn_conv_backward_weights)                                                                                      \
  X(onednn_conv_transpose_forward)                                                                                     \
  X(onednn_conv_transpose_backward_data)                                                                               \
  X(onednn_conv_transpose_backward_weights)                                                                            \
  X(onednn_fc_forward)                                                                                                 \
  X(onednn_fc_backward_data)                                                                                           \
  X(onednn_fc_backward_weights)                                                                                        \
  X(onednn_matmul_forward)                                                                                             \
  X(onednn_matmul_backward_a)                                                                                          \
  X(onednn_matmul_backward_b)                                                                                          \
  X(onednn_avg_pool_forward)                                                                                           \
  X(onednn_avg_pool_backward)                                                                                          \
  X(onednn_sigmoid_forward)                                                                                            \
  X(onednn_sigmoid_backward)                                                                                           \
  X(onednn_tanh_forward)                                                                                               \
  X(onednn_tanh_backward)
#else
#define ONEDNN_ENGINES(X)
#endif

#define X(name) extern const lamina_engine lamina_cpu_##name;
ENGINES(X)
ONEDNN_ENGINES(X)
#undef X

static const lamina_engine *const engines[] = {
#define X(name) &lamina_cpu_##name,
    ENGINES(X) ONEDNN_ENGINES(X)
#undef X
        & lamina_ref_engine,
    NULL};

static lamina_status cpu_open(lamina_device *device, int index, void **state, char *about, size_t about_size) {
  if (index != 0) return lamina_error(LAMINA_INVALID, "there is no cpu:%d; the CPU is one device, cpu", index);
  *state = device;
  const char *simd = __builtin_cpu_supports("avx512f") ? "AVX-512"
                     : __builtin_cpu_supports("avx2")  ? "AVX2"
                                                       : "baseline SIMD";
  snprintf(about, about_size, "%d thread%s, %s", device->threads, device->threads == 1 ? "" : "s", simd);
#ifdef LAMINA_ONEDNN
  const dnnl_version_t *v = dnnl_version();
  lamina_append(about, about_size, ", oneDNN %d.%d.%d", v->major, v->minor, v->patch);
#endif
  return LAMINA_OK;
}

static void cpu_close(void *state) { (void)state; }

static lamina_status cpu_alloc(void *state, size_t size, void **memory) {
  lamina_device *device = state;
  *memory = device->allocator.alloc(device->allocator.user, size, 64);
  return *memory ? LAMINA_OK : lamina_error(LAMINA_OUT_OF_MEMORY, "out of memory: %zu bytes were wanted", size);
}

static void cpu_free(void *state, void *memory, size_t size) {
  lamina_device *device = state;
  device->allocator.free(device->allocator.user, memory, size);
}

static lamina_status cpu_copy(void *state, void *stream, void *to, const void *from, size_t size) {
  (void)state, (void)stream;
  memmove(to, from, size);
  return LAMINA_OK;
}

static lamina_status cpu_stream_open(void *state, void **stream) {
  *stream = state; /* nothing is ever pending */
  return LAMINA_OK;
}
static void cpu_stream_close(void *state, void *stream) { (void)state, (void)stream; }
static lamina_status cpu_stream_sync(void *state, void *stream) {
  (void)state, (void)stream;
  return LAMINA_OK;
}

/* oneDNN and our loops take their team's width from the calling thread's setting, which is the caller's to keep. */
static lamina_status cpu_run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  const int before = lamina_cpu_width(plan->threads);
  const lamina_status status = plan->engine->run(plan, args, workspace, stream);
  lamina_cpu_width(before);
  return status;
}

lamina_status lamina_cpu_module(const lamina_host *host, lamina_module *module) {
  (void)host;
  *module = (lamina_module){
      .size = sizeof *module,
      .abi = LAMINA_MODULE_ABI,
      .kind = "cpu",
      .memory = LAMINA_MEMORY_HOST,
      .engines = engines,
      .open = cpu_open,
      .close = cpu_close,
      .alloc = cpu_alloc,
      .free = cpu_free,
      .copy = cpu_copy,
      .stream_open = cpu_stream_open,
      .stream_close = cpu_stream_close,
      .stream_sync = cpu_stream_sync,
      .run = cpu_run,
  };
  return LAMINA_OK;
}
