// Training on the CUDA module: in every order of streams, captured and not, without memory in a step, with a batch that
// isn't finite, and with each of the module's calls failing once.
#include <map>
#include <numeric>
#include <thread>

#include "module_fixture.h"
#include "temporary.h"

namespace {

// ---- Steps --------------------------------------------------------------------------------------------------------

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

TEST_F(Training, MastersAreInOrderToo) {
  const std::vector<double> expected = trained(4, LAMINA_BF16);
  for (const unsigned seed : {1u, 2u}) {
    start(seed);
    EXPECT_EQ(trained(4, LAMINA_BF16), expected) << "seed " << seed;
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

TEST_F(Training, AStepTakesNoMemoryAndOneLaunchAndTheHostWaitsForNothing) {
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
  EXPECT_EQ(after.waits, before.waits);             // but for the event of the step before the last
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

TEST_F(Training, AConfusionMatrixTakesNoMemoryFromBatchToBatch) {
  Examples more(32, 1, 28, 10);
  Device device;
  Net net(device, {1, 28, 28});
  build(net);
  ASSERT_OK(lamina_net_init(net, 3));
  uint64_t allocs[3];
  for (int i = 0; i < 3; i++) { // the first time it is planned
    std::vector<int64_t> counts(100);
    const uint64_t before = control()->counts().allocs;
    ASSERT_OK(lamina_net_confusion(net, i == 2 ? more : examples, 4, counts.data()));
    EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), int64_t{0}), i == 2 ? 32 : 16);
    allocs[i] = control()->counts().allocs - before;
  }
  EXPECT_EQ(allocs[2], allocs[1]);
}

// Whatever was in flight when the loss was found: the parameters are those of the good batches, and the mended batch goes
// on from there.
TEST_F(Training, ABatchThatIsNotFiniteLeavesTheParameters) {
  std::map<int, std::vector<double>> clean; // by steps
  for (const unsigned seed : {0u, 1u, 3u}) {
    start(seed);
    std::vector<double> bad, on;
    int good = 0;
    {
      Device device;
      Net net(device, {1, 28, 28});
      build(net);
      Trainer trainer(net, options());
      trainer.steps(5);
      examples.poisoned = 0;
      lamina_status status = LAMINA_OK;
      for (int i = 0; i < 8 && !status; i++) status = lamina_trainer_step(trainer);
      EXPECT_EQ(status, LAMINA_NOT_FINITE);
      good = static_cast<int>(trainer.progress().total); // steps before the bad one
      EXPECT_TRUE(said("the batch: its pictures")) << lamina_last_error();
      EXPECT_TRUE(said(("step " + std::to_string(good + 1) + ":").c_str())) << lamina_last_error();
      bad = net.all();
      examples.poisoned = -1;
      trainer.steps(5);
      on = net.all();
      EXPECT_EQ(trainer.progress().total, good + 5);
    }
    ASSERT_GE(good, 5);
    ASSERT_LT(good, 13); // every epoch, of four steps, has the bad example
    for (const int steps : {good, good + 5})
      if (clean[steps].empty()) clean[steps] = trained(steps);
    EXPECT_EQ(bad, clean[good]) << "seed " << seed;
    EXPECT_EQ(on, clean[good + 5]) << "seed " << seed;
  }
}

// An evaluation of larger batches moves the activations; what was captured before would write where they were.
TEST_F(Training, AnEvaluationThatMovesTheActivationsChangesNothing) {
  const std::vector<double> expected = trained(6);
  Device device;
  Net net(device, {1, 28, 28});
  build(net);
  Trainer trainer(net, options());
  lamina_evaluation result = {};
  trainer.steps(3);
  ASSERT_OK(lamina_net_evaluate(net, examples, nullptr, 16, 1, &result));
  trainer.steps(3);
  EXPECT_EQ(net.all(), expected);
}

// ---- Memory -------------------------------------------------------------------------------------------------------

// Said before anything is taken, and true: the batch that it names trains in that memory, to the byte.
TEST_F(Training, TooLittleMemoryNamesTheLayerAndTheBatchThatFits) {
  lamina_memory_need five = {}, all = {};
  for (const int64_t batch : {5, 16}) {
    Device device;
    Net net(device, {1, 28, 28});
    build(net);
    const lamina_training training = options(batch);
    lamina_memory_need *const need = batch == 5 ? &five : &all;
    ASSERT_OK(lamina_training_memory(net, &training, need));
    EXPECT_TRUE(batch == 5 || std::string(need->widest) == "2.max_pool") << need->widest;
  }
  start(0, 1, five.device);
  Device device;
  Net net(device, {1, 28, 28});
  build(net);
  lamina_training training = options(16);
  lamina_trainer *none = nullptr;
  char sentence[300];
  snprintf(sentence, sizeof sentence,
           "a batch of 16 needs %.1f MiB on cuda:0 (%.1f of them for activations, most at a time for 2.max_pool), but "
           "%.1f MiB are free; the largest batch that fits is 5",
           static_cast<double>(all.device) / 0x1p20, static_cast<double>(all.activations) / 0x1p20,
           static_cast<double>(five.device) / 0x1p20);
  EXPECT_ERROR(lamina_trainer_open(net, &training, &none), LAMINA_OUT_OF_MEMORY, sentence);
  training = options(5);
  Trainer trainer(net, training);
  trainer.steps(3);
}

// Another program may take it in between.
TEST_F(Training, MemoryThatRunsOutWhileItIsTakenNamesTheLayerToo) {
  bool named = false;
  for (unsigned nth = 1; !named && nth < 20; nth++) {
    start(0);
    Device device;
    Net net(device, {1, 28, 28});
    build(net);
    const lamina_training training = options();
    lamina_trainer *trainer = nullptr;
    control()->fail(EMULATED_ALLOC, nth);
    EXPECT_EQ(lamina_trainer_open(net, &training, &trainer), LAMINA_OUT_OF_MEMORY);
    const std::string sentence = lamina_last_error();
    lamina_memory_need need = {};
    EXPECT_OK(lamina_training_memory(net, &training, &need));
    named = sentence.rfind("a batch of 4, of which most at a time is for " + std::string(need.widest) +
                           ": cuda:0: out of memory: ") == 0 &&
            sentence.find(" are free") != std::string::npos;
    lamina_trainer_close(trainer);
  }
  EXPECT_TRUE(named);
}

// ---- More than one device -----------------------------------------------------------------------------------------

class Devices : public Training {
protected:
  // Parameters after three steps on this device; none where one failed, `why` then says how.
  static std::vector<double> trained_on(const char *name, lamina_status *why = nullptr) {
    Examples own(16, 1, 28, 10);
    lamina_device *device = open(name);
    lamina_status status = LAMINA_OK;
    std::vector<double> parameters;
    {
      Net net(device, {1, 28, 28});
      net.conv(2, 5).add("relu").fc(10);
      lamina_training training = {};
      training.train = own, training.batch = 2, training.rate.rate = 0.05, training.threads = -1;
      Trainer trainer(net, training);
      for (int i = 0; i < 3 && !status; i++) status = lamina_trainer_step(trainer);
      if (!status) status = lamina_stream_sync(device, nullptr);
      if (!status) parameters = net.all();
    }
    lamina_device_close(device);
    if (why) *why = status;
    return parameters;
  }
};

TEST_F(Devices, TwoTrainAtOnce) {
  start(0, 2);
  const std::vector<double> expected = trained_on("cuda:1");
  ASSERT_FALSE(expected.empty());
  for (const unsigned seed : {0u, 1u, 3u, 4u}) {
    start(seed, 2);
    std::vector<double> other;
    std::thread second([&] { other = trained_on("cuda:1"); });
    EXPECT_EQ(trained_on("cuda:0"), expected) << "seed " << seed;
    second.join();
    EXPECT_EQ(other, expected) << "seed " << seed;
  }
}

TEST_F(Devices, OneThatIsLostLeavesTheOthers) {
  start(0, 2);
  const std::vector<double> expected = trained_on("cuda:1"), host = trained_on("cpu");
  start(0, 2);
  control()->fail(EMULATED_LOST, 60);
  lamina_status why = LAMINA_OK;
  EXPECT_TRUE(trained_on("cuda:0", &why).empty());
  EXPECT_EQ(why, LAMINA_DEVICE);
  EXPECT_TRUE(control()->fault_struck());
  EXPECT_EQ(trained_on("cuda:1"), expected);
  EXPECT_EQ(trained_on("cpu"), host);
}

// ---- Faults -------------------------------------------------------------------------------------------------------

struct Fault {
  emulated_fault kind;
  lamina_dtype dtype; // of the net
};

class Faults : public Training, public testing::WithParamInterface<Fault> {
protected:
  enum { STEPS = 3, MORE = 5 }; // in which the fault comes up; after it

  bool stays() const { return GetParam().kind == EMULATED_RUN || GetParam().kind == EMULATED_LOST; }

  // A call fails once: with a sentence, and done again it is done. False: the device is of no more use.
  template <class Call> bool done(const Call &call) {
    lamina_status status = call();
    if (!status) return true;
    failures_++;
    EXPECT_TRUE(control()->fault_struck()) << lamina_status_name(status) << ": " << lamina_last_error();
    EXPECT_STRNE(lamina_last_error(), "");
    status = call();
    EXPECT_EQ(status, stays() ? LAMINA_DEVICE : LAMINA_OK) << lamina_last_error();
    return !status;
  }

  static Net &build_small(Net &net) {
    lamina_conv_layer conv = {};
    conv.filters = 2, conv.kernel[0] = 5, conv.stride[0] = 4;
    return net.add("conv", conv).add("relu").fc(10);
  }

  bool train(lamina_trainer *trainer) {
    lamina_progress now = {};
    for (int tries = 0; now.total < STEPS && tries < 2 * STEPS; tries++) {
      if (!done([&] { return lamina_trainer_step(trainer); })) return false;
      lamina_trainer_progress(trainer, &now);
    }
    if (!done([&] { return lamina_trainer_save(trainer, path_.c_str()); })) return false;
    control()->fail(GetParam().kind, 0);
    for (int64_t i = now.total; i < STEPS + MORE && !HasFailure(); i++) EXPECT_OK(lamina_trainer_step(trainer));
    return true;
  }

  // Opens a device and trains, with the nth event of its kind failing. Gives the parameters, none where that stays.
  std::vector<double> run(unsigned nth) {
    start(nth % 4);
    control()->fail(GetParam().kind, nth);
    if (GetParam().kind == EMULATED_LAUNCH)
      setenv("LAMINA_CUDA_SYNC", "1", 1); // no captures, so that each launch comes up
    lamina_device *device = nullptr;
    lamina_trainer *trainer = nullptr;
    std::vector<double> parameters;
    const lamina_training training = options(2);
    const bool on = done([&] { return lamina_device_open("cuda:0", nullptr, &device); });
    unsetenv("LAMINA_CUDA_SYNC");
    if (on) {
      Net net(device, {1, 28, 28}, GetParam().dtype);
      build_small(net);
      if (done([&] { return lamina_trainer_open(net, &training, &trainer); }) && train(trainer)) parameters = net.all();
      lamina_trainer_close(trainer);
    }
    struck_ = control()->fault_struck() != 0;
    lamina_device_close(device);
    EXPECT_STREQ(control()->take_reports(), "") << "at " << nth;
    EXPECT_STREQ(control()->leaks(), "") << "at " << nth;
    return parameters;
  }
  const Temporary folder_;
  const std::string path_ = folder_ / "faults.safetensors";
  unsigned failures_ = 0;
  bool struck_ = false;
};

// What fails and doesn't stay leaves no trace: five more steps, and the bits are those of a run in which all went well.
TEST_P(Faults, EachEndsInAStatus) {
  const std::vector<double> expected = run(0);
  unsigned nth = 1;
  ASSERT_FALSE(expected.empty());
  for (; nth < 2000 && !HasFailure(); nth++) {
    const std::vector<double> got = run(nth);
    if (!got.empty() || !stays()) { EXPECT_TRUE(got == expected) << "at " << nth; }
    if (!struck_) break;
  }
  EXPECT_GT(failures_, 10u) << "hardly any fault was tried";
  std::printf("%u faults, %u of them failures\n", nth - 1, failures_);
}

std::string name_of(const testing::TestParamInfo<Fault> &info) {
  static const char *const names[] = {"alloc", "launch", "copy", "run", "lost"};
  return names[info.param.kind] + std::string(info.param.dtype == LAMINA_BF16 ? "_bf16" : "");
}

INSTANTIATE_TEST_SUITE_P(Of, Faults,
                         testing::Values(Fault{EMULATED_ALLOC, LAMINA_F32}, Fault{EMULATED_LAUNCH, LAMINA_F32},
                                         Fault{EMULATED_COPY, LAMINA_F32}, Fault{EMULATED_RUN, LAMINA_F32},
                                         Fault{EMULATED_LOST, LAMINA_F32}, Fault{EMULATED_ALLOC, LAMINA_BF16}),
                         name_of);

} // namespace
