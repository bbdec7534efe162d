// The CUDA module on the emulated device: what it says of devices and memory, streams and events, and of errors.
#include "case.h"
#include "module_fixture.h"

namespace {

// ---- Devices, memory, streams -------------------------------------------------------------------------------------

TEST_F(Emulated, OpensAndSaysWhatItIs) {
  lamina_device *device = open();
  EXPECT_STREQ(lamina_device_about(device), "NVIDIA H100 (emulated), 0 GiB, compute capability 9.0, CUDA 13.0");
  lamina_device_close(device);
}

TEST_F(Emulated, DevicesThatAreNotThereAreListed) {
  lamina_device *device = nullptr;
  EXPECT_ERROR(lamina_device_open("cuda:5", nullptr, &device), LAMINA_INVALID, "there is no cuda:5; there is cuda:0");
  start(0, 3);
  EXPECT_ERROR(lamina_device_open("cuda:3", nullptr, &device), LAMINA_INVALID,
               "there is no cuda:3; there are cuda:0 to cuda:2");
}

TEST_F(Emulated, NoDriverTooOldAOneAndNoGpuAreSentencesOfTheirOwn) {
  lamina_device *device = nullptr;
  {
    const Environment none("EMULATED_DRIVER", "0");
    EXPECT_ERROR(lamina_device_open("cuda:0", nullptr, &device), LAMINA_DEVICE,
                 "there is no NVIDIA driver (libcuda.so.1); install it, or use cpu");
  }
  {
    const Environment old("EMULATED_DRIVER", "11080");
    EXPECT_EQ(lamina_device_open("cuda:0", nullptr, &device), LAMINA_DEVICE);
    EXPECT_TRUE(said("the NVIDIA driver is too old: it has CUDA 11.8, this module was built with "))
        << lamina_last_error();
  }
  start(0, 0);
  EXPECT_ERROR(lamina_device_open("cuda:0", nullptr, &device), LAMINA_DEVICE,
               "there is an NVIDIA driver, but no GPU that it can use");
}

// Then estimates rest on numbers of the module's own: they are finite, and more work takes longer.
TEST_F(Emulated, ADeviceMayKeepItsClocksToItself) {
  const Environment untold("EMULATED_CLOCKS", "0");
  lamina_device *device = open();
  const auto seconds = [&](const char *line) {
    const lamina_case c = case_of(line);
    lamina_candidate first;
    int count = 1;
    EXPECT_OK(lamina_candidates(device, &c.problem, nullptr, &first, &count));
    return first.seconds;
  };
  EXPECT_NEAR(seconds("relu/forward x=1000000"), 11e-6, 1e-6); // 8 MB at 1 TB/s, and 3 us
  EXPECT_NEAR(seconds("spectral_pool/forward x=8x64x64x64 size=32,32"),
              seconds("spectral_pool/forward x=8x32x64x64 size=32,32") * 2, 4e-6);
  EXPECT_LT(seconds("matmul/forward a=1024x1024 b=1024x1024"), 1e-3);
  lamina_device_close(device);
}

TEST_F(Emulated, AVariableThatCannotBeUnderstoodNamesTheChoices) {
  const Environment sync("LAMINA_CUDA_SYNC", "yes");
  lamina_device *device = nullptr;
  EXPECT_ERROR(lamina_device_open("cuda:0", nullptr, &device), LAMINA_INVALID,
               "LAMINA_CUDA_SYNC is \"yes\"; expected 0 or 1");
}

TEST_F(Emulated, MemoryOfTheWrongKindIsRefusedByName) {
  lamina_device *device = open();
  void *memory = nullptr, *pinned = nullptr;
  float host[4] = {};
  ASSERT_OK(lamina_memory_alloc(device, 16, &memory));
  ASSERT_OK(lamina_pinned_alloc(device, 16, &pinned));
  lamina_tensor x = lamina_vector(LAMINA_F32, 4, memory), y = lamina_vector(LAMINA_F32, 4, host);
  x.memory = LAMINA_MEMORY_DEVICE;
  EXPECT_ERROR(lamina_relu_forward(device, &x, &y, nullptr), LAMINA_INVALID,
               "relu/forward: y lies in host memory, but cuda:0 works in device memory");
  y.memory = LAMINA_MEMORY_DEVICE; // which isn't so
  EXPECT_ERROR(lamina_relu_forward(device, &x, &y, nullptr), LAMINA_INVALID,
               "relu/forward: y lies in host memory, but cuda:0 works in device memory");
  y.data = pinned;
  EXPECT_ERROR(lamina_relu_forward(device, &x, &y, nullptr), LAMINA_INVALID,
               "relu/forward: y lies in pinned host memory, but cuda:0 works in device memory");
  lamina_memory_free(device, memory, 16);
  lamina_pinned_free(device, pinned, 16);
  lamina_device_close(device);
}

TEST_F(Emulated, APlanIsHeldToMemoryOfItsDeviceWhereEveryOpIsWaitedFor) {
  const Environment sync("LAMINA_CUDA_SYNC", "1");
  lamina_device *device = open();
  void *memory = nullptr;
  alignas(64) float host[16] = {};
  ASSERT_OK(lamina_memory_alloc(device, 64, &memory));
  lamina_tensor x = lamina_vector(LAMINA_F32, 16, memory);
  x.memory = LAMINA_MEMORY_DEVICE;
  const lamina_tensor *const tensors[] = {&x, &x};
  lamina_plan *plan = nullptr;
  ASSERT_OK(lamina_op_plan(device, "relu/forward", nullptr, tensors, nullptr, &plan));
  lamina_args args = {};
  args.p[0] = args.p[1] = host;
  EXPECT_ERROR(lamina_plan_run(plan, &args, nullptr, nullptr), LAMINA_INVALID,
               "relu/forward: x lies in host memory, but cuda:0 works in device memory");
  lamina_plan_close(plan);
  lamina_memory_free(device, memory, 64);
  lamina_device_close(device);
}

TEST_F(Emulated, MemoryOfADeviceIsRefusedByTheHost) {
  float host[4] = {};
  lamina_device *cpu = open("cpu");
  lamina_tensor x = lamina_vector(LAMINA_F32, 4, host), y = x;
  y.memory = LAMINA_MEMORY_DEVICE;
  EXPECT_ERROR(lamina_relu_forward(cpu, &x, &y, nullptr), LAMINA_INVALID,
               "relu/forward: y lies in device memory, but cpu works in host memory");
  lamina_device_close(cpu);
}

TEST_F(Emulated, APlanSaysWhyAKernelCannotTakeAShape) {
  lamina_device *device = open();
  const int64_t x_dims[] = {2, 3, 9, 9}, w_dims[] = {4, 3, 5, 5}, y_dims[] = {2, 4, 5, 5};
  lamina_tensor x = {}, w = {}, y = {};
  x.desc = lamina_dense(LAMINA_F32, 4, x_dims), w.desc = lamina_dense(LAMINA_F32, 4, w_dims);
  y.desc = lamina_dense(LAMINA_F32, 4, y_dims);
  x.memory = w.memory = y.memory = LAMINA_MEMORY_DEVICE;
  const lamina_op_def *op = lamina_op_at(lamina_op_find("conv/forward"));
  const lamina_tensor *tensors[LAMINA_MAX_ARGS] = {};
  for (int i = 0; op->args[i].name; i++) {
    const std::string name = op->args[i].name;
    tensors[i] = name == "x" ? &x : name == "w" ? &w : name == "y" ? &y : nullptr;
  }
  lamina_plan *plan = nullptr;
  ASSERT_OK(lamina_op_plan(device, "conv/forward", nullptr, tensors, nullptr, &plan));
  const std::string why = lamina_plan_explain(plan);
  EXPECT_NE(why.find("kernel/winograd: no, it takes f32, filters of 3 x 3 in one group, stride 1 and dilation 1"),
            std::string::npos)
      << why;
  EXPECT_NE(why.find("kernel/gemm: no, it takes filters of one tap"), std::string::npos) << why;
  lamina_plan_close(plan);
  lamina_device_close(device);
}

TEST_F(Emulated, OutOfMemorySaysWhatWasWantedAndWhatIsFree) {
  start(0, 1, 1 << 20);
  lamina_device *device = open();
  void *memory = nullptr;
  EXPECT_EQ(lamina_memory_alloc(device, 2 << 20, &memory), LAMINA_OUT_OF_MEMORY);
  EXPECT_TRUE(said("cuda:0: out of memory: 2097152 bytes were wanted, 1048576 of 1048576 are free"))
      << lamina_last_error();
  EXPECT_OK(lamina_memory_alloc(device, 1 << 19, &memory)); // and it goes on
  lamina_memory_free(device, memory, 1 << 19);
  EXPECT_EQ(lamina_memory_alloc(device, 2 << 20, &memory), LAMINA_OUT_OF_MEMORY); // what is on its way back is free
  EXPECT_TRUE(said("1048576 of 1048576 are free")) << lamina_last_error();
  lamina_device_close(device);
}

// What lies between two events takes the device's time, not the host's; the sizes are an H100's.
TEST_F(Emulated, EventsTellTheTime) {
  start(3);
  lamina_device *device = open();
  lamina_event *from = nullptr, *to = nullptr, *untimed = nullptr;
  lamina_limits limits;
  double seconds = 0, more = 0;
  void *memory = nullptr;
  lamina_device_limits(device, &limits);
  EXPECT_NEAR(limits.flops, 66.9e12, 0.1e12);
  EXPECT_NEAR(limits.flops_half, 1070e12, 1e12);
  EXPECT_NEAR(limits.bandwidth, 3.35e12, 0.01e12);
  EXPECT_GT(limits.cache, 1u << 20);
  EXPECT_GT(limits.memory, limits.cache);
  ASSERT_OK(lamina_event_open_timed(device, &from));
  ASSERT_OK(lamina_event_open_timed(device, &to));
  ASSERT_OK(lamina_event_open(device, &untimed));
  ASSERT_OK(lamina_memory_alloc(device, 64, &memory));
  lamina_tensor x = lamina_vector(LAMINA_F32, 16, memory);
  x.memory = LAMINA_MEMORY_DEVICE;
  ASSERT_OK(lamina_fill_forward(device, nullptr, &x, nullptr));
  for (const int runs : {1, 8}) {
    ASSERT_OK(lamina_event_record(from, nullptr));
    for (int i = 0; i < runs; i++) ASSERT_OK(lamina_relu_forward(device, &x, &x, nullptr));
    ASSERT_OK(lamina_event_record(to, nullptr));
    ASSERT_OK(lamina_event_sync(to));
    ASSERT_OK(lamina_event_seconds(from, to, runs == 1 ? &seconds : &more));
  }
  EXPECT_GT(seconds, 0);
  EXPECT_GT(more, 2 * seconds);
  ASSERT_OK(lamina_event_record(untimed, nullptr));
  EXPECT_EQ(lamina_event_seconds(from, untimed, &seconds), LAMINA_INVALID);
  lamina_memory_free(device, memory, 64);
  lamina_event_close(from);
  lamina_event_close(to);
  lamina_event_close(untimed);
  lamina_device_close(device);
  EXPECT_STREQ(control()->take_reports(), "");
  EXPECT_STREQ(control()->leaks(), "");
}

// Two streams, ordered by events, in every order that the device may run them in.
TEST_F(Emulated, EventsOrderStreams) {
  for (const unsigned seed : {0u, 1u, 2u, 3u, 4u, 5u}) {
    start(seed);
    lamina_device *device = open();
    lamina_stream *copies = nullptr;
    lamina_event *ready = nullptr, *used = nullptr;
    void *memory = nullptr, *from = nullptr, *to = nullptr;
    ASSERT_OK(lamina_stream_open(device, &copies));
    ASSERT_OK(lamina_event_open(device, &ready));
    ASSERT_OK(lamina_event_open(device, &used));
    ASSERT_OK(lamina_memory_alloc(device, 16, &memory));
    ASSERT_OK(lamina_pinned_alloc(device, 64, &from));
    ASSERT_OK(lamina_pinned_alloc(device, 64, &to));
    lamina_tensor x = lamina_vector(LAMINA_F32, 4, memory);
    x.memory = LAMINA_MEMORY_DEVICE;
    for (int i = 0; i < 4; i++) {
      float *batch = static_cast<float *>(from) + 4 * i;
      for (int k = 0; k < 4; k++) batch[k] = static_cast<float>(k % 2 ? i : -i);
      ASSERT_OK(lamina_event_wait(used, copies));
      ASSERT_OK(lamina_copy_async(device, memory, batch, 16, copies));
      ASSERT_OK(lamina_event_record(ready, copies));
      ASSERT_OK(lamina_event_wait(ready, nullptr));
      ASSERT_OK(lamina_relu_forward(device, &x, &x, nullptr));
      ASSERT_OK(lamina_copy_async(device, static_cast<float *>(to) + 4 * i, memory, 16, nullptr));
      ASSERT_OK(lamina_event_record(used, nullptr));
    }
    ASSERT_OK(lamina_event_sync(used));
    bool done = false;
    EXPECT_OK(lamina_event_done(used, &done));
    EXPECT_TRUE(done);
    for (int i = 0; i < 16; i++) EXPECT_EQ(static_cast<float *>(to)[i], i % 2 ? i / 4 : 0);
    lamina_memory_free(device, memory, 16);
    lamina_pinned_free(device, from, 64);
    lamina_pinned_free(device, to, 64);
    lamina_event_close(ready);
    lamina_event_close(used);
    lamina_stream_close(copies);
    lamina_device_close(device);
    EXPECT_STREQ(control()->take_reports(), "") << "seed " << seed;
    EXPECT_STREQ(control()->leaks(), "") << "seed " << seed;
  }
}

// What goes wrong on the device is told later, with the ops that it may have been.
TEST_F(Emulated, AnErrorNamesTheOpsSinceTheLastWait) {
  for (const bool sync : {false, true}) {
    start(0);
    if (sync) setenv("LAMINA_CUDA_SYNC", "1", 1);
    lamina_device *device = open();
    unsetenv("LAMINA_CUDA_SYNC");
    void *memory = nullptr;
    ASSERT_OK(lamina_memory_alloc(device, 64, &memory));
    lamina_tensor x = lamina_vector(LAMINA_F32, 16, memory);
    x.memory = LAMINA_MEMORY_DEVICE;
    const std::vector<float> zeros(16);
    ASSERT_OK(lamina_copy(device, memory, zeros.data(), 64, nullptr));
    control()->fail(EMULATED_RUN, 2);
    lamina_status status = lamina_relu_forward(device, &x, &x, nullptr);
    if (!status) status = lamina_sigmoid_forward(device, &x, &x, nullptr);
    if (!status) status = lamina_tanh_forward(device, &x, &x, nullptr);
    if (!status) status = lamina_stream_sync(device, nullptr);
    EXPECT_EQ(status, LAMINA_DEVICE);
    EXPECT_TRUE(
        said(sync ? "cuda:0: sigmoid/forward: "
                  : "cuda:0: one of the 3 ops from relu/forward to tanh/forward (LAMINA_CUDA_SYNC=1 tells which)"))
        << lamina_last_error();
    EXPECT_EQ(lamina_relu_forward(device, &x, &x, nullptr), LAMINA_DEVICE);
    EXPECT_TRUE(said("cuda:0 is lost since an error that stays")) << lamina_last_error();
    lamina_memory_free(device, memory, 64);
    lamina_device_close(device);
  }
}

} // namespace
