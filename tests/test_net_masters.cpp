// Training in bf16: parameters are kept in f32, and what ops read is their rounding, after every step.
#include <algorithm>
#include <cmath>

#include "lamina/optimizer.h"
#include "net/trainer.h"
#include "net_fixture.h"
#include "temporary.h"

namespace {

double narrow(double x) { return lamina_round(LAMINA_BF16, x); }

Net &small(Net &net) { return net.conv(4, 3).add("relu").pool("max_pool", 2).fc(9).add("relu").fc(4); }

// A parameter as ops read it, where it lies row-major in the host's memory.
std::vector<double> shadow_of(lamina_net *net, int parameter) {
  const lamina_param &param = net->params.list[parameter];
  EXPECT_EQ(std::memcmp(&param.held, &param.plain, sizeof param.held), 0);
  std::vector<double> values(static_cast<size_t>(lamina_desc_count(&param.desc)));
  const char *at = static_cast<const char *>(net->block[LAMINA_BUFFER_PARAMETERS]) + param.offset;
  for (size_t i = 0; i < values.size(); i++) values[i] = lamina_load(LAMINA_BF16, at, static_cast<int64_t>(i));
  return values;
}

class NetMasters : public testing::Test {
protected:
  Examples examples{24, 1, 8, 4};
  lamina_training options(int64_t batch = 6) const {
    lamina_training training = {};
    training.train = examples, training.batch = batch, training.epochs = 20, training.rate.rate = 0.05;
    training.threads = -1;
    return training;
  }
};

// w - rate * g by hand. No single step moves a weight by as much as would change its rounding, so that bf16 alone would
// stay where it began for ever; the sum of many does.
TEST_F(NetMasters, TakeStepsThatAreLessThanARounding) {
  Device device;
  Net net(device, {1, 8, 8}, LAMINA_BF16);
  net.fc(4);
  std::vector<double> start = net.parameter_zeros(0);
  for (size_t i = 0; i < start.size(); i++)
    start[i] = 1 + static_cast<double>(i % 7) / 8 + 1.0 / 32; // far from powers of 2
  net.write(0, start);
  lamina_training training = options(24);
  training.rate.rate = 2e-3, training.keep_gradients = true, training.epochs = 100;
  Trainer trainer(net, training);
  ASSERT_EQ(net.parameter(0), start);
  std::vector<double> master = start;
  for (int step = 0; step < 100; step++) {
    const std::vector<double> before = shadow_of(net, 0);
    trainer.steps(1);
    const std::vector<double> g = net.gradient(0), after = net.parameter(0), shadow = shadow_of(net, 0);
    for (size_t i = 0; i < g.size(); i++) {
      const float moved = static_cast<float>(master[i]) - static_cast<float>(2e-3) * static_cast<float>(g[i]);
      ASSERT_NEAR(after[i], static_cast<double>(moved), std::ldexp(1, -23)) << "step " << step;
      ASSERT_EQ(shadow[i], narrow(after[i]));
      ASSERT_EQ(narrow(before[i] - 2e-3 * g[i]), before[i]) << "this step alone would have been seen";
    }
    master = after;
  }
  const std::vector<double> end = shadow_of(net, 0);
  size_t moved = 0;
  for (size_t i = 0; i < end.size(); i++) moved += end[i] != start[i];
  EXPECT_GT(moved, end.size() / 2);
}

// A net that a trainer initialises starts from the very numbers of an f32 net.
TEST_F(NetMasters, StartUnrounded) {
  Device device;
  Net net(device, {1, 8, 8}, LAMINA_BF16), wide(device, {1, 8, 8}), set(device, {1, 8, 8}, LAMINA_BF16);
  ASSERT_OK(lamina_net_init(small(set), 1));
  const std::vector<double> rounded = set.all();
  const Trainer one(small(net), options()), two(small(wide), options()), three(set, options());
  EXPECT_EQ(net.all(), wide.all());
  EXPECT_EQ(set.all(), rounded) << "what was set before was rounded";
  EXPECT_NE(rounded, wide.all());
}

// Writing and reading in the middle of a training, and behind it; what is written is what ops read from then on.
TEST_F(NetMasters, AreReadAndWritten) {
  Device device;
  Net net(device, {1, 8, 8}, LAMINA_BF16);
  small(net);
  const std::vector<float> x(64, 0.5f);
  float before[4], after[4], again[4];
  {
    Trainer trainer(net, options());
    trainer.steps(3);
    const std::vector<double> all = net.parameter(4);
    std::vector<double> twice = all;
    EXPECT_NE(all, shadow_of(net, 4));
    ASSERT_OK(lamina_net_predict(net, 1, x.data(), before));
    for (double &w : twice) w = static_cast<double>(static_cast<float>(-w));
    net.write(4, twice);
    EXPECT_EQ(net.parameter(4), twice);
    ASSERT_OK(lamina_net_predict(net, 1, x.data(), after));
    net.write(4, all);
    trainer.steps(1);
    EXPECT_NE(net.parameter(4), all);
    net.write(4, all);
  }
  ASSERT_OK(lamina_net_predict(net, 1, x.data(), again));
  EXPECT_NE(std::vector<float>(before, before + 4), std::vector<float>(after, after + 4));
  lamina_memory_need need = {};
  lamina_training training = options();
  ASSERT_OK(lamina_training_memory(net, &training, &need));
  EXPECT_EQ(need.optimizer, 2 * need.parameters) << "masters, and no moment";
}

// The file of a training has all that f32 has, for a net of either type.
TEST_F(NetMasters, AreSaved) {
  Temporary folder;
  const std::string path = folder / "run.safetensors";
  Device device;
  Net net(device, {1, 8, 8}, LAMINA_BF16);
  Trainer trainer(small(net), options());
  trainer.steps(5);
  ASSERT_OK(lamina_trainer_save(trainer, path.c_str()));
  Net wide(device, path.c_str(), {"dtype=f32"}), half(device, path.c_str());
  EXPECT_EQ(wide.all(), net.all());
  std::vector<double> rounded = net.all();
  for (double &x : rounded) x = narrow(x);
  EXPECT_EQ(half.all(), rounded);
  EXPECT_NE(rounded, net.all());
  Net other(device, {1, 8, 8});
  Trainer refused(small(other), options());
  EXPECT_EQ(lamina_trainer_resume(refused, path.c_str()), LAMINA_INVALID);
  EXPECT_NE(std::string(lamina_last_error()).find("\"dtype: bf16\""), std::string::npos) << lamina_last_error();
}

// Another layout, and back: masters and moments lie as parameters do, in larger elements.
TEST_F(NetMasters, FollowTheLayout) {
  Device device;
  Net net(device, {1, 8, 8}, LAMINA_BF16);
  net.fc(32).add("relu").fc(4);
  const lamina_sgd momentum = {0.9, 0};
  lamina_training training = options();
  training.optimizer = "sgd", training.optimizer_attrs = &momentum;
  { Trainer(net, training).steps(3); }
  lamina_net *inside = net;
  lamina_param &w = inside->params.list[0];
  const lamina_buffer buffers[] = {LAMINA_BUFFER_PARAMETERS, LAMINA_BUFFER_MASTERS, LAMINA_BUFFER_MOMENT1};
  const auto bytes = [&](lamina_buffer b) {
    return std::string(static_cast<const char *>(inside->block[b]), inside->size[b]);
  };
  const auto fetched = [&](lamina_buffer b) {
    std::vector<float> values(32 * 64);
    EXPECT_OK(lamina_net_fetch(net, b, 0, values.data()));
    return values;
  };
  std::string before[3];
  std::vector<float> seen[3];
  for (int b = 0; b < 3; b++) before[b] = bytes(buffers[b]), seen[b] = fetched(buffers[b]);
  const std::vector<double> all = net.all();
  const lamina_desc plain = w.held;
  w.settled = lamina_blocked(LAMINA_BF16, 2, plain.dims, LAMINA_BLOCK(0, 4));
  w.settled.align = plain.align;
  ASSERT_OK(lamina_net_hold(net));
  EXPECT_EQ(net.all(), all);
  for (int b = 0; b < 3; b++) {
    EXPECT_EQ(fetched(buffers[b]), seen[b]);
    EXPECT_NE(bytes(buffers[b]), before[b]);
  }
  net.write(0, net.parameter(0)); // and what is written goes there, too
  EXPECT_EQ(fetched(LAMINA_BUFFER_PARAMETERS), seen[0]);
  w.settled = plain;
  ASSERT_OK(lamina_net_hold(net));
  for (int b = 0; b < 3; b++) EXPECT_EQ(bytes(buffers[b]), before[b]);
}

// ---- LeNet-5

struct Curve {
  std::vector<double> loss; // the mean of each epoch
  double accuracy;
};

Curve train(const char *dtype, int seed) {
  Device device("", 2);
  const std::string type = std::string("dtype=") + dtype, number = "train.seed=" + std::to_string(seed);
  Net net(device, "digits",
          {type.c_str(), number.c_str(), "train.epochs=2", "train.batch=32", "data.train=\"digits:train,count=1024\"",
           "data.test=\"digits:test,count=500\""});
  Curve curve = {{}, 0};
  Trainer trainer(net);
  for (int step = 1; step <= 64; step++) {
    trainer.steps(1);
    if (step % 32 == 0) curve.loss.push_back(trainer.progress().mean_loss);
  }
  const lamina_dataset *train_data = nullptr, *test = nullptr;
  lamina_evaluation result = {};
  EXPECT_OK(lamina_net_data(net, &train_data, &test));
  EXPECT_OK(lamina_net_evaluate(net, test, nullptr, 100, 1, &result));
  curve.accuracy = result.accuracy;
  return curve;
}

struct Spread {
  double mean = 0, deviation = 0;
  explicit Spread(const std::vector<double> &x) {
    for (const double v : x) mean += v / static_cast<double>(x.size());
    for (const double v : x) deviation += (v - mean) * (v - mean) / static_cast<double>(x.size() - 1);
    deviation = std::sqrt(deviation);
  }
};

// The noise is what another seed does in f32: the means of as many runs in bf16 are within three standard errors of
// f32's, epoch by epoch, and so is the accuracy in the end.
TEST(NetMastersLenet, LearnsAsF32DoesWithinTheNoiseOfSeeds) {
  const int runs = 4;
  std::vector<Curve> f32, bf16;
  for (int seed = 1; seed <= runs; seed++) f32.push_back(train("f32", seed)), bf16.push_back(train("bf16", seed));
  const auto compare = [&](const std::string &what, const auto &number) {
    std::vector<double> a, b;
    for (const Curve &curve : f32) a.push_back(number(curve));
    for (const Curve &curve : bf16) b.push_back(number(curve));
    const Spread wide(a), half(b);
    RecordProperty(what + "_f32", std::to_string(wide.mean));
    RecordProperty(what + "_bf16", std::to_string(half.mean));
    EXPECT_NEAR(half.mean, wide.mean, 3 * wide.deviation * std::sqrt(2.0 / runs)) << what;
    EXPECT_LT(half.deviation, 4 * wide.deviation) << what;
  };
  for (size_t epoch = 0; epoch < 2; epoch++)
    compare("loss_" + std::to_string(epoch + 1), [&](const Curve &curve) { return curve.loss[epoch]; });
  compare("accuracy", [](const Curve &curve) { return curve.accuracy; });
  EXPECT_LT(bf16[0].loss[1], 0.8 * bf16[0].loss[0]);
}

} // namespace
