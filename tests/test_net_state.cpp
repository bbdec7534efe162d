// Parameters that aren't trained: batch normalisation's running statistics in training, inference and checkpoints.
#include <cmath>

#include "net_fixture.h"
#include "temporary.h"

namespace {

// [2, 3, 3] → batch norm → 3 classes.
void build(Net &net, double momentum = 0.25) {
  lamina_batch_norm_layer norm = {};
  norm.momentum = momentum, norm.has_momentum = 1;
  net.conv(2, 1).add("batch_norm", norm).add("relu").fc(3);
}

int find(const Net &net, const char *name) { return lamina_net_parameter_find(net, name); }

TEST(NetState, IsAParameterThatIsNotTrained) {
  Device device;
  Net net(device, {2, 3, 3});
  build(net);
  ASSERT_OK(lamina_net_init(net, 1));
  EXPECT_EQ(net.parameter(find(net, "1.batch_norm.w")), (std::vector<double>{1, 1}));
  EXPECT_EQ(net.parameter(find(net, "1.batch_norm.b")), (std::vector<double>{0, 0}));
  EXPECT_EQ(net.parameter(find(net, "1.batch_norm.running_mean")), (std::vector<double>{0, 0}));
  EXPECT_EQ(net.parameter(find(net, "1.batch_norm.running_variance")), (std::vector<double>{1, 1}));
  EXPECT_EQ(lamina_net_parameter_total(net), 2 * 2 + 2 + 2 + 2 + 18 * 3 + 3);
  lamina_parameter parameter = {};
  ASSERT_OK(lamina_net_parameter(net, find(net, "1.batch_norm.running_mean"), &parameter));
  EXPECT_TRUE(parameter.state);
  EXPECT_FALSE(parameter.decay);
  double none[2];
  EXPECT_ERROR(lamina_net_gradient_read(net, find(net, "1.batch_norm.running_mean"), none), LAMINA_INVALID,
               "1.batch_norm.running_mean has no gradient: it isn't trained");
}

// With a convolution that keeps x, rate 0 and momentum m, after k steps on the same batch the running mean is
// (1 - (1-m)^k) of the batch's mean, and the variance goes the same way from 1 to the unbiased one.
TEST(NetState, RunsWithTheBatches) {
  Device device;
  Net net(device, {2, 3, 3});
  build(net);
  ASSERT_OK(lamina_net_init(net, 1));
  net.write(find(net, "0.conv.w"), {1, 0, 0, 1});
  Examples data(8, 2, 3, 3);
  lamina_training training = {};
  training.train = data, training.batch = 8, training.epochs = 5, training.evaluate = -1, training.rate.rate = 1e-30;
  Trainer trainer(net, training);
  double sum[2] = {}, squares[2] = {};
  for (int64_t i = 0; i < 8; i++) {
    float x[18];
    int32_t label;
    ASSERT_OK(lamina_dataset_read(data, 1, &i, x, &label));
    for (int k = 0; k < 18; k++) sum[k / 9] += x[k], squares[k / 9] += static_cast<double>(x[k]) * x[k];
  }
  for (int step = 1; step <= 5; step++) {
    trainer.steps(1);
    const double share = 1 - std::pow(0.75, step);
    const std::vector<double> m = net.parameter(find(net, "1.batch_norm.running_mean"));
    const std::vector<double> v = net.parameter(find(net, "1.batch_norm.running_variance"));
    for (size_t c = 0; c < 2; c++) {
      const double mean = sum[c] / 72, variance = (squares[c] - 72 * mean * mean) / 71;
      EXPECT_NEAR(m[c], share * mean, 1e-5) << step;
      EXPECT_NEAR(v[c], 1 - share + share * variance, 1e-5) << step;
    }
  }
}

TEST(NetState, InferenceUsesIt) {
  Device device;
  Net net(device, {2}), plain(device, {2});
  lamina_batch_norm_layer norm = {};
  net.add("batch_norm", norm).fc(2);
  plain.fc(2);
  ASSERT_OK(lamina_net_init(net, 3));
  ASSERT_OK(lamina_net_init(plain, 3));
  plain.write(0, net.parameter(find(net, "1.fc.w")));
  net.write(find(net, "0.batch_norm.running_mean"), {5, -1});
  net.write(find(net, "0.batch_norm.running_variance"), {4, 0.25});
  const float x[] = {7, -1.5f}, normal[] = {1, -1};
  float y[2], want[2];
  ASSERT_OK(lamina_net_forward(net, 1, x, y));
  ASSERT_OK(lamina_net_forward(plain, 1, normal, want));
  for (int i = 0; i < 2; i++) EXPECT_NEAR(y[i], want[i], 1e-4); // epsilon is 1e-5 of a variance of 0.25
}

// A step that fails leaves parameters and states as they were.
TEST(NetState, AFailedStepLeavesIt) {
  Device device;
  Net net(device, {2, 3, 3});
  build(net);
  Examples data(8, 2, 3, 3);
  lamina_training training = {};
  training.train = data, training.batch = 8, training.epochs = 3, training.evaluate = -1, training.rate.rate = 0.1;
  Trainer trainer(net, training);
  trainer.steps(1);
  const std::vector<double> before = net.all();
  net.write(find(net, "3.fc.b"), {NAN, 0, 0});
  EXPECT_EQ(lamina_trainer_step(trainer), LAMINA_NOT_FINITE);
  net.write(find(net, "3.fc.b"), std::vector<double>(before.end() - 3, before.end()));
  EXPECT_EQ(net.all(), before);
}

TEST(NetState, IsSavedAndResumedBitForBit) {
  Device device;
  Temporary folder;
  const std::string path = folder / "c.safetensors";
  Examples data(20, 2, 3, 3);
  lamina_training training = {};
  training.train = data, training.batch = 5, training.epochs = 4, training.evaluate = -1, training.rate.rate = 0.1;
  std::vector<double> whole, resumed;
  {
    Net net(device, {2, 3, 3});
    build(net);
    Trainer trainer(net, training);
    trainer.steps(7);
    ASSERT_OK(lamina_trainer_save(trainer, path.c_str()));
    trainer.steps(9);
    whole = net.all();
  }
  Net net(device, {2, 3, 3});
  build(net);
  Trainer trainer(net, training);
  ASSERT_OK(lamina_trainer_resume(trainer, path.c_str()));
  trainer.steps(9);
  EXPECT_EQ(net.all(), whole);

  lamina_net *loaded;
  ASSERT_OK(lamina_net_load(device, path.c_str(), nullptr, &loaded));
  Net copy(loaded);
  EXPECT_NE(copy.parameter(find(copy, "1.batch_norm.running_mean")), (std::vector<double>{0, 0}));
}

TEST(NetState, WithoutWeights) {
  Device device;
  Net net(device, {2, 3, 3}, LAMINA_BF16);
  lamina_batch_norm_layer norm = {};
  norm.has_affine = 1; // affine stays 0
  net.add("batch_norm", norm).fc(3);
  EXPECT_EQ(find(net, "0.batch_norm.w"), -1);
  EXPECT_EQ(net.desc(find(net, "0.batch_norm.running_mean")).dtype, LAMINA_F32);
}

} // namespace
