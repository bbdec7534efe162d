// The CUDA module on the emulated device: what it says of devices and memory, streams and events, and whole training
// runs: in every order of streams, captured and not, without memory in a step, and with each of its calls failing once.
#include <dlfcn.h>

#include <cstdlib>
#include <string>

#include "emulated.h"
#include "lamina/lamina.h"
#include "net_fixture.h"

namespace {

const emulated_control *control() {
  static const emulated_control *const found = [] {
    const std::string path = std::string(std::getenv("LAMINA_MODULE_PATH")) + "/liblamina-cuda.so";
    void *module = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    void *symbol = module ? dlsym(module, "emulated_device_control") : nullptr;
    return symbol ? reinterpret_cast<const emulated_control *(*)()>(symbol)() : nullptr;
  }();
  return found;
}

// Starts anew, and nothing was misused or left behind at the end.
class Emulated : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_NE(control(), nullptr) << "LAMINA_MODULE_PATH is the folder of the emulated module";
    start(0);
  }
  void TearDown() override {
    EXPECT_STREQ(control()->take_reports(), "");
    EXPECT_STREQ(control()->leaks(), "");
    start(0);
  }
  static void start(unsigned seed, int devices = 1, size_t memory = size_t(256) << 20) {
    control()->reset(seed, devices, memory);
  }
  static lamina_device *open(const char *name = "cuda:0") {
    lamina_device *device = nullptr;
    EXPECT_OK(lamina_device_open(name, nullptr, &device));
    return device;
  }
};

class Environment {
public:
  Environment(const char *name, const char *value) : name_(name) { setenv(name, value, 1); }
  ~Environment() { unsetenv(name_); }
  Environment(const Environment &) = delete;
  Environment &operator=(const Environment &) = delete;

private:
  const char *name_;
};

bool said(const char *what) { return std::string(lamina_last_error()).find(what) != std::string::npos; }

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

TEST_F(Emulated, OutOfMemorySaysWhatWasWantedAndWhatIsFree) {
  start(0, 1, 1 << 20);
  lamina_device *device = open();
  void *memory = nullptr;
  EXPECT_EQ(lamina_memory_alloc(device, 2 << 20, &memory), LAMINA_OUT_OF_MEMORY);
  EXPECT_TRUE(said("cuda:0: out of memory: 2097152 bytes were wanted, 1048576 of 1048576 are free"))
      << lamina_last_error();
  EXPECT_OK(lamina_memory_alloc(device, 1 << 19, &memory)); // and it goes on
  lamina_memory_free(device, memory, 1 << 19);
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

// ---- Training -----------------------------------------------------------------------------------------------------

class Training : public Emulated {
protected:
  Examples examples{16, 1, 28, 10};

  lamina_training options(int64_t batch = 4) const {
    lamina_training training = {};
    training.train = examples, training.batch = batch, training.epochs = 100, training.rate.rate = 0.05;
    training.optimizer = "sgd", training.optimizer_attrs = &sgd, training.decay = 0.001;
    training.clip_norm = 1, training.threads = -1;
    return training;
  }
  lamina_sgd sgd = {0.9, 0};

  // LeNet-5's layers, narrower, and dropout before the last.
  static Net &build(Net &net) {
    net.conv(2, 5, 2).add("relu").pool("max_pool", 2).conv(4, 5).add("relu").pool("max_pool", 2);
    return net.fc(20).add("relu").fc(12).add("relu").dropout(0.5).fc(10);
  }

  // The parameters after some steps.
  std::vector<double> trained(int steps) {
    Device device;
    Net net(device, {1, 28, 28});
    build(net);
    Trainer trainer(net, options());
    trainer.steps(steps);
    EXPECT_TRUE(std::isfinite(trainer.progress().loss));
    return net.all();
  }
};

// Waits that are missing show as other numbers in one order or another.
TEST_F(Training, EveryOrderOfStreamsGivesTheSameBits) {
  const std::vector<double> expected = trained(6);
  for (const unsigned seed : {1u, 2u, 3u, 4u, 5u}) {
    start(seed);
    EXPECT_EQ(trained(6), expected) << "seed " << seed;
    EXPECT_STREQ(control()->take_reports(), "") << "seed " << seed;
    EXPECT_STREQ(control()->leaks(), "") << "seed " << seed;
  }
}

TEST_F(Training, ACapturedStepGivesTheBitsOfPlainLaunches) {
  const std::vector<double> captured = trained(6);
  const uint64_t launches = control()->counts().launches;
  start(0);
  const Environment sync("LAMINA_CUDA_SYNC", "1");
  EXPECT_EQ(trained(6), captured);
  EXPECT_GT(control()->counts().launches, 2 * launches); // six steps' against one for each slot, and their recording
}

TEST_F(Training, AStepTakesNoMemoryAndOneLaunch) {
  Device device;
  Net net(device, {1, 28, 28});
  build(net);
  Trainer trainer(net, options());
  trainer.steps(8); // two epochs: all is warm
  const emulated_counts before = control()->counts();
  trainer.steps(12);
  const emulated_counts after = control()->counts();
  EXPECT_EQ(after.allocs, before.allocs);
  EXPECT_EQ(after.launches - before.launches, 12u);
  EXPECT_EQ(after.copies - before.copies, 12u * 4); // pictures, labels, the step's numbers; back: the loss
}

// An evaluation is queued as steps are; its last batch is smaller.
TEST_F(Training, EveryOrderOfStreamsGivesTheSameEvaluation) {
  lamina_evaluation expected = {};
  for (const unsigned seed : {0u, 1u, 2u, 4u}) {
    start(seed);
    {
      Device device;
      Net net(device, {1, 28, 28});
      build(net);
      ASSERT_OK(lamina_net_init(net, 3));
      lamina_evaluation result = {};
      ASSERT_OK(lamina_net_evaluate(net, examples, nullptr, 3, 2, &result));
      if (seed == 0) expected = result;
      EXPECT_EQ(result.examples, 16);
      EXPECT_EQ(result.loss, expected.loss) << "seed " << seed;
      EXPECT_EQ(result.hits, expected.hits) << "seed " << seed;
      EXPECT_EQ(result.hits_k, expected.hits_k) << "seed " << seed;
    }
    EXPECT_STREQ(control()->take_reports(), "") << "seed " << seed;
    EXPECT_STREQ(control()->leaks(), "") << "seed " << seed;
  }
}

TEST_F(Training, AnEvaluationTakesNoMemoryFromBatchToBatch) {
  Examples more(32, 1, 28, 10);
  Device device;
  Net net(device, {1, 28, 28});
  build(net);
  ASSERT_OK(lamina_net_init(net, 3));
  uint64_t allocs[3], copies[3];
  for (int i = 0; i < 3; i++) { // the first time it is planned
    lamina_evaluation result = {};
    const emulated_counts before = control()->counts();
    ASSERT_OK(lamina_net_evaluate(net, i == 2 ? more : examples, nullptr, 4, 2, &result));
    EXPECT_EQ(result.examples, i == 2 ? 32 : 16);
    const emulated_counts after = control()->counts();
    allocs[i] = after.allocs - before.allocs, copies[i] = after.copies - before.copies;
  }
  EXPECT_EQ(allocs[2], allocs[1]);
  EXPECT_EQ(copies[1], 4u * 3); // pictures, labels; back: loss and counts
  EXPECT_EQ(copies[2], 8u * 3);
}

TEST_F(Training, ABatchThatIsNotFiniteLeavesTheParameters) {
  for (const unsigned seed : {0u, 1u, 3u}) {
    start(seed);
    Device device;
    Net net(device, {1, 28, 28});
    build(net);
    Trainer trainer(net, options());
    trainer.steps(5);
    ASSERT_OK(lamina_trainer_save(trainer, (testing::TempDir() + "before.safetensors").c_str())); // waits for them
    const std::vector<double> before = net.all();
    examples.poisoned = 0;
    lamina_status status = LAMINA_OK;
    for (int i = 0; i < 8 && !status; i++) status = lamina_trainer_step(trainer);
    EXPECT_EQ(status, LAMINA_NOT_FINITE);
    EXPECT_TRUE(said("the batch: its pictures")) << lamina_last_error();
    const int64_t good = trainer.progress().total - 5; // steps before the bad one
    examples.poisoned = -1;
    if (good == 0) { EXPECT_EQ(net.all(), before); }
    EXPECT_OK(lamina_trainer_step(trainer)); // and it goes on
    EXPECT_EQ(trainer.progress().total, 5 + good + 1);
  }
}

// ---- Faults -------------------------------------------------------------------------------------------------------

class Faults : public Training, public testing::WithParamInterface<emulated_fault> {
protected:
  // Opens a device, trains three steps, trains on after a failure that doesn't stay, and closes. True: the fault came up.
  bool run(unsigned nth) {
    const emulated_fault fault = GetParam();
    const bool stays = fault == EMULATED_RUN || fault == EMULATED_LOST;
    start(nth % 4);
    control()->fail(fault, nth);
    if (fault == EMULATED_LAUNCH) setenv("LAMINA_CUDA_SYNC", "1", 1); // no captures, so that each launch comes up
    lamina_device *device = nullptr;
    lamina_status status = lamina_device_open("cuda:0", nullptr, &device);
    unsetenv("LAMINA_CUDA_SYNC");
    lamina_net *net = nullptr;
    lamina_trainer *trainer = nullptr;
    if (!status) {
      lamina_net_options shape = {};
      shape.rank = 3, shape.dims[0] = 1, shape.dims[1] = shape.dims[2] = 28;
      EXPECT_OK(lamina_net_open(device, &shape, &net));
      lamina_fc_layer fc = {};
      fc.units = 10;
      lamina_conv_layer conv = {};
      conv.filters = 2, conv.kernel[0] = 5, conv.stride[0] = 4;
      EXPECT_OK(lamina_net_add(net, "conv", &conv));
      EXPECT_OK(lamina_net_add(net, "relu", nullptr));
      EXPECT_OK(lamina_net_add(net, "fc", &fc));
      const lamina_training training = options(2);
      status = lamina_trainer_open(net, &training, &trainer);
      for (int i = 0; i < 3 && !status; i++) status = lamina_trainer_step(trainer);
      if (!status) status = lamina_trainer_save(trainer, path().c_str());
    }
    const bool struck =
        control()->fault_struck() != 0; // (a capture that fails is no failure: ops are launched plainly)
    EXPECT_TRUE(struck || !status) << lamina_status_name(status) << ": " << lamina_last_error();
    failures_ += status != LAMINA_OK;
    if (status) { EXPECT_STRNE(lamina_last_error(), ""); }
    if (status && trainer && struck) {
      const lamina_status again = lamina_trainer_step(trainer);
      EXPECT_EQ(again, stays ? LAMINA_DEVICE : LAMINA_OK) << lamina_last_error();
    }
    lamina_trainer_close(trainer);
    lamina_net_close(net);
    lamina_device_close(device);
    EXPECT_STREQ(control()->take_reports(), "") << "at " << nth;
    EXPECT_STREQ(control()->leaks(), "") << "at " << nth;
    return struck;
  }
  static std::string path() { return testing::TempDir() + "faults.safetensors"; }
  unsigned failures_ = 0;
};

TEST_P(Faults, EachEndsInAStatus) {
  unsigned nth = 1;
  while (nth < 2000 && run(nth) && !HasFailure()) nth++;
  EXPECT_GT(failures_, 10u) << "hardly any fault was tried";
  std::printf("%u faults, %u of them failures\n", nth - 1, failures_);
}

std::string name_of(const testing::TestParamInfo<emulated_fault> &info) {
  static const char *const names[] = {"alloc", "launch", "copy", "run", "lost"};
  return names[info.param];
}

INSTANTIATE_TEST_SUITE_P(Of, Faults,
                         testing::Values(EMULATED_ALLOC, EMULATED_LAUNCH, EMULATED_COPY, EMULATED_RUN, EMULATED_LOST),
                         name_of);

// What goes wrong on the device is told later, with the ops that it may have been.
TEST_F(Training, AnErrorNamesTheOpsSinceTheLastWait) {
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
