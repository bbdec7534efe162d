// A batch in parts, one to a thread: it gives what the whole batch gives, in whatever parts, and is as careful with what
// isn't finite; and nets whose examples know of each other stay whole.
#include <cmath>
#include <functional>

#include "lamina/tune.h"
#include "net/trainer.h"
#include "net_fixture.h"
#include "temporary.h"

namespace {

constexpr double kRoundoff = 0x1p-24;
constexpr char cpu[] = "fill/forward:ref"; // on the CPU, whatever device tests run on

// Small whole numbers and four classes: where batch and parts are powers of 2, gradients of squares are whole but for a
// power of 2, and every order of summation gives the same bits.
class Whole {
public:
  explicit Whole(int64_t count) {
    source_.info.name = "whole numbers";
    source_.info.count = count;
    source_.info.channels = 1;
    source_.info.height = source_.info.width = 6;
    source_.info.classes = 4;
    source_.read = [](void *, int64_t index, float *x, int32_t *label) {
      for (int64_t i = 0; i < 36; i++) x[i] = static_cast<float>((index * 7 + i * i * 5) % 4) - 1;
      *label = static_cast<int32_t>(index % 4);
      return LAMINA_OK;
    };
    EXPECT_OK(lamina_dataset_wrap(&source_, nullptr, &dataset_));
  }
  ~Whole() { lamina_dataset_close(dataset_); }
  Whole(const Whole &) = delete;
  Whole &operator=(const Whole &) = delete;
  operator const lamina_dataset *() const { return dataset_; }

private:
  lamina_source source_ = {};
  lamina_dataset *dataset_ = nullptr;
};

Net &build(Net &net) { return net.conv(5, 3, 1).add("relu").pool("max_pool", 2).fc(11).add("relu").fc(4); }

bool in_parts(const Trainer &trainer) { return static_cast<lamina_trainer *>(trainer)->executor->parts != nullptr; }

lamina_training options(const lamina_dataset *data, int64_t batch) {
  lamina_training training = {};
  training.train = data, training.batch = batch, training.epochs = 3, training.rate.rate = 0.05, training.threads = -1;
  training.keep_gradients = true;
  return training;
}

void write_whole_numbers(Net &net) {
  ASSERT_OK(lamina_net_init(net, 1));
  for (int p = 0; p < net.parameters(); p++) {
    std::vector<double> values = net.parameter(p);
    for (size_t i = 0; i < values.size(); i++)
      values[i] = static_cast<double>((i * i + 3 * i + static_cast<size_t>(p)) % 3) - 1;
    net.write(p, values);
  }
}

// One step's gradients and what else it tells, on so many threads.
std::vector<double> step(const lamina_dataset *data, int64_t batch, int threads, lamina_progress *progress) {
  const Device device(cpu, threads);
  Net net(device, {1, 6, 6});
  write_whole_numbers(build(net));
  lamina_training training = options(data, batch);
  training.loss = "mse";
  Trainer trainer(net, training);
  EXPECT_EQ(in_parts(trainer), threads > 1) << batch << " on " << threads;
  trainer.steps(1);
  *progress = trainer.progress();
  return net.all_gradients();
}

// Bit for bit, where parts are of 32, 16, 8, 4 and 1 examples.
TEST(NetParts, GradientsAreThoseOfTheWholeBatch) {
  const int shapes[][2] = {{64, 2}, {64, 3}, {32, 2}, {16, 2}, {16, 4}, {2, 2}, {2, 3}};
  for (const auto &shape : shapes) {
    const Whole data(shape[0]);
    lamina_progress whole = {}, parts = {};
    const std::vector<double> want = step(data, shape[0], 1, &whole);
    EXPECT_EQ(step(data, shape[0], shape[1], &parts), want) << shape[0] << " on " << shape[1];
    EXPECT_EQ(parts.loss, whole.loss);
    EXPECT_EQ(parts.accuracy, whole.accuracy);
  }
}

// Else each side rounds: the factor 2 / (4 n), and each addition. An element is a sum of at most 36 places of each example,
// of sums of at most 60 products; none of the sums on the way is larger than `most`, in whole numbers.
TEST(NetParts, UnequalPartsGiveTheWholeBatchButForRounding) {
  for (const int64_t batch : {37, 48, 7, 3}) {
    const Whole data(batch);
    lamina_progress whole = {}, parts = {};
    const std::vector<double> want = step(data, batch, 1, &whole);
    const double most = 36 * 60 * 11 * 4; // terms below 2 in size, through both layers of units
    const double tolerance = 2 * (static_cast<double>(batch) * 36 + 60) * kRoundoff * most / static_cast<double>(batch);
    double largest = 0;
    for (const double g : want) largest = std::fmax(largest, std::fabs(g));
    EXPECT_GT(largest, 4 * tolerance); // a part that counts too much would be seen
    for (const int threads : {2, 3}) {
      const std::vector<double> got = step(data, batch, threads, &parts);
      ASSERT_EQ(got.size(), want.size());
      for (size_t i = 0; i < got.size(); i++) ASSERT_NEAR(got[i], want[i], tolerance) << batch << " on " << threads;
      EXPECT_EQ(parts.accuracy, whole.accuracy);
    }
  }
}

// Losses aren't below 0, so a mean of n is off by (n + 1) roundings of itself at most, and one of parts by some more: of the
// means, and of their sum.
TEST(NetParts, TheMeanCountsAPartAsMuchAsItIs) {
  const int64_t batch = 37;
  const Examples data(batch, 1, 6, 4);
  double want = 0;
  for (const int threads : {1, 2, 3}) {
    const Device device(cpu, threads);
    Net net(device, {1, 6, 6});
    ASSERT_OK(lamina_net_init(build(net), 3));
    Trainer trainer(net, options(data, batch));
    trainer.steps(1);
    const double loss = trainer.progress().loss;
    if (threads == 1) want = loss;
    // each example's loss has some 40 products, exponentials and sums in its way, on either side
    EXPECT_NEAR(loss, want, 2 * static_cast<double>(batch + 40) * kRoundoff * want) << threads;
  }
}

TEST(NetParts, EvaluationCountsTheSame) {
  const Whole data(45); // the last batch is smaller
  lamina_evaluation want = {};
  for (const int threads : {1, 2, 3}) {
    const Device device(cpu, threads);
    Net net(device, {1, 6, 6});
    write_whole_numbers(build(net));
    lamina_evaluation got = {};
    ASSERT_OK(lamina_net_evaluate(net, data, nullptr, 32, 2, &got));
    if (threads == 1) want = got;
    EXPECT_EQ(got.hits, want.hits);
    EXPECT_EQ(got.hits_k, want.hits_k);
    EXPECT_NEAR(got.loss, want.loss, 2 * (45 + 40) * kRoundoff * want.loss);
  }
}

TEST(NetParts, ATrainingGivesTheSameBitsAgainAndResumed) {
  const Examples data(80, 1, 6, 4);
  const Temporary folder;
  const std::string file = folder.path() + "/run";
  for (const int threads : {2, 3}) {
    const Device device(cpu, threads);
    Net once(device, {1, 6, 6}), again(device, {1, 6, 6}), resumed(device, {1, 6, 6});
    lamina_training training = options(data, 20);
    training.keep_gradients = false;
    for (Net *net : {&once, &again, &resumed}) ASSERT_OK(lamina_net_init(build(*net), 3));
    Trainer trainer(once, training);
    ASSERT_TRUE(in_parts(trainer));
    trainer.steps(9);
    {
      Trainer other(again, training);
      other.steps(5);
      ASSERT_OK(lamina_trainer_save(other, file.c_str()));
      other.steps(4);
    }
    EXPECT_EQ(again.all(), once.all());
    Trainer last(resumed, training);
    ASSERT_OK(lamina_trainer_resume(last, file.c_str()));
    last.steps(4);
    EXPECT_EQ(resumed.all(), once.all());
    EXPECT_EQ(last.progress().loss, trainer.progress().loss);
  }
}

TEST(NetParts, WhatIsNotFiniteIsHeldBackAndNamed) {
  Examples data(40, 1, 6, 4);
  const Device device(cpu, 2);
  Net net(device, {1, 6, 6});
  ASSERT_OK(lamina_net_init(build(net), 3));
  lamina_training training = options(data, 40);
  Trainer trainer(net, training);
  ASSERT_TRUE(in_parts(trainer));
  trainer.steps(1);
  const std::vector<double> before = net.all();
  data.poisoned = 33; // of the second part
  EXPECT_ERROR(lamina_trainer_step(trainer), LAMINA_NOT_FINITE,
               "step 2: the loss is not finite; the first to make it so is the batch: its pictures");
  EXPECT_EQ(net.all(), before);
  data.poisoned = -1;
  ASSERT_OK(lamina_trainer_run(trainer));
  Net clean(device, {1, 6, 6});
  ASSERT_OK(lamina_net_init(build(clean), 3));
  Trainer other(clean, training);
  ASSERT_OK(lamina_trainer_run(other));
  EXPECT_EQ(net.all(), clean.all());
}

// Clipping and weight decay come behind the sum, whatever it is made of.
TEST(NetParts, ClippingSeesTheWholeGradient) {
  const Whole data(32);
  lamina_training training = options(data, 32);
  training.loss = "mse", training.clip_norm = 0.5, training.decay = 0.01;
  std::vector<double> want;
  for (const int threads : {1, 2}) {
    const Device device(cpu, threads);
    Net net(device, {1, 6, 6});
    write_whole_numbers(build(net));
    Trainer trainer(net, training);
    EXPECT_EQ(in_parts(trainer), threads > 1);
    trainer.steps(1);
    if (threads == 1) want = net.all();
    EXPECT_EQ(net.all(), want);
  }
}

// That a batch may be cut is in the rows of the ops, and of a fused one in those of its parts.
TEST(NetParts, AnyOpThatSaysSoGoesInParts) {
  const Examples data(32, 1, 6, 4);
  const Device device(cpu, 2);
  for (const char *activation : {"relu", "gelu", "selu", "softsign"}) {
    Net net(device, {1, 6, 6});
    ASSERT_OK(lamina_net_init(net.conv(4, 3).add(activation).pool("min_pool", 2).fc(9).add(activation).fc(4), 3));
    Trainer trainer(net, options(data, 32));
    EXPECT_TRUE(in_parts(trainer)) << activation;
  }
}

TEST(NetParts, ExamplesThatKnowOfEachOtherStayTogether) {
  const Examples data(32, 1, 6, 4);
  const Device device(cpu, 2);
  const std::function<void(Net &)> kinds[] = {[](Net &net) { net.conv(4, 3).add("batch_norm").fc(4); },
                                              [](Net &net) { net.fc(9).dropout(0.5).fc(4); }};
  for (const auto &kind : kinds) {
    Net net(device, {1, 6, 6});
    kind(net);
    ASSERT_OK(lamina_net_init(net, 3));
    Trainer trainer(net, options(data, 32));
    EXPECT_FALSE(in_parts(trainer));
  }
  Net weighted(device, {1, 6, 6});
  ASSERT_OK(lamina_net_init(build(weighted), 3));
  const float weights[] = {1, 2, 3, 4};
  ASSERT_OK(lamina_net_class_weights(weighted, 4, weights));
  Trainer trainer(weighted, options(data, 32));
  EXPECT_FALSE(in_parts(trainer));
}

TEST(NetParts, AreToldOfWithTheirEngines) {
  const Examples data(64, 1, 6, 4);
  const Device device(cpu, 2);
  Net net(device, {1, 6, 6});
  ASSERT_OK(lamina_net_init(build(net), 3));
  const Trainer trainer(net, options(data, 40));
  ASSERT_TRUE(in_parts(trainer));
  const char *text = nullptr;
  ASSERT_OK(lamina_net_explain(net, 40, true, &text));
  const std::string says = text;
  EXPECT_EQ(says.rfind("in 2 parts, each on a thread of its own; of 32 examples:\n0.conv ", 0), 0u) << says;
  const size_t together = says.find("\nall together:\n");
  ASSERT_NE(together, std::string::npos) << says;
  EXPECT_LT(says.find("fc/backward_weights"), together) << says;
  EXPECT_GT(says.find("sgd/update"), together) << says;
  ASSERT_OK(lamina_net_explain(net, 1, true, &text));
  EXPECT_EQ(std::string(text).rfind("0.conv ", 0), 0u) << "one example is no part\n" << text;
}

// What is found for parts, on one thread, lies beside what is found for the whole batch, and is saved with it. (Whether a
// net goes in parts then is for the times to say; they were tuned to find out.)
TEST(NetParts, AreTuned) {
  const Temporary folder;
  const std::string cache = folder.path() + "/tune.txt", saved = folder.path() + "/saved.txt";
  const Examples data(32, 1, 6, 4);
  lamina_device_options how = {};
  how.engine = cpu, how.threads = 2, how.tune_cache = cache.c_str(), how.tune = true, how.tune_seconds = 1e-3;
  lamina_device *device = nullptr;
  ASSERT_OK(lamina_device_open("cpu", &how, &device));
  {
    Net net(device, {1, 6, 6});
    ASSERT_OK(lamina_net_init(net.fc(4), 3));
    const Trainer trainer(net, options(data, 32));
    ASSERT_OK(lamina_tune_save(device, saved.c_str()));
  }
  lamina_device_close(device);
  for (const std::string &file : {cache, saved})
    for (const char *const of : {"plan\tcpu: 1 thread, ", "plan\tcpu: 2 threads, "}) {
      const std::string found = read_file(file);
      const size_t at = found.find(std::string("\n") + of);
      ASSERT_NE(at, std::string::npos) << file << ": " << of << "\n" << found;
      EXPECT_NE(found.find("\tfc/forward x=" + std::string(of[10] == '1' ? "16" : "32") + "x36 "), std::string::npos)
          << found;
    }
}

TEST(NetParts, TakeTheMemoryThatWasPredicted) {
  const Examples data(64, 1, 6, 4);
  const Device device(cpu, 2);
  Net net(device, {1, 6, 6});
  ASSERT_OK(lamina_net_init(build(net), 3));
  lamina_training training = options(data, 64);
  training.test = data;
  lamina_memory_need need = {};
  ASSERT_OK(lamina_training_memory(net, &training, &need));
  Trainer trainer(net, training);
  ASSERT_TRUE(in_parts(trainer));
  ASSERT_OK(lamina_trainer_run(trainer));
  size_t most = 0;
  lamina_memory_used(device, nullptr, &most);
  EXPECT_LE(most, need.device);
  EXPECT_GE(static_cast<double>(most), 0.95 * static_cast<double>(need.device));
}

} // namespace
