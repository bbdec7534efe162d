// What a net is trained on: losses with attributes, class weights, and targets made from labels.
#include <cmath>

#include "lamina/loss.h"
#include "net_fixture.h"

extern "C" {
#include "net/recipe.h"
}

namespace {

std::string recipe(const std::string &loss) {
  return "input: [1, 4, 4]\nnet:\n  - fc: 3\ntrain: {loss: " + loss + ", batch: 5, epochs: 1}\n";
}

class NetLoss : public testing::Test {
protected:
  lamina_status parse(const std::string &loss, lamina_net **net) {
    *net = nullptr;
    return lamina_recipe_parse(device, "net.yaml", recipe(loss).c_str(), nullptr, net);
  }
  // The probabilities [n, 3] that the net gives the batch.
  static std::vector<double> probabilities(Net &net, const Batch &batch) {
    std::vector<float> x(static_cast<size_t>(batch.n * net.inputs())), prob(static_cast<size_t>(batch.n) * 3);
    for (size_t i = 0; i < x.size(); i++)
      x[i] = static_cast<float>(lamina_load(net.dtype(), batch.x.data(), static_cast<int64_t>(i)));
    EXPECT_OK(lamina_net_predict(net, batch.n, x.data(), prob.data()));
    return {prob.begin(), prob.end()};
  }
  static double loss_of(Net &net, const Batch &batch) {
    double loss = NAN;
    EXPECT_OK(lamina_net_gradients(net, nullptr, batch.n, batch.x.data(), batch.labels.data(), 1, 0, &loss));
    return loss;
  }
  Device device;
};

TEST_F(NetLoss, ClassWeights) {
  lamina_net *parsed;
  ASSERT_OK(parse("{softmax_cross_entropy: {weights: [1, 2, 0.5]}}", &parsed));
  Net net(parsed);
  ASSERT_OK(lamina_net_init(net, 3));
  const Batch batch(net, 20);
  const std::vector<double> p = probabilities(net, batch);
  const double w[] = {1, 2, 0.5};
  double sum = 0, weights = 0;
  for (size_t i = 0; i < 20; i++) {
    const auto label = static_cast<size_t>(batch.labels[i]);
    sum -= w[label] * std::log(p[3 * i + label]), weights += w[label];
  }
  EXPECT_NEAR(loss_of(net, batch), sum / weights, 1e-5);
  ASSERT_OK(lamina_net_class_weights(net, 0, nullptr)); // planned anew without
  double plain = 0;
  for (size_t i = 0; i < 20; i++) plain -= std::log(p[3 * i + static_cast<size_t>(batch.labels[i])]);
  EXPECT_NEAR(loss_of(net, batch), plain / 20, 1e-5);
}

TEST_F(NetLoss, ClassWeightsThatDontFit) {
  Net net(device, {1, 4, 4});
  net.fc(3);
  const float two[] = {1, 2}, bad[] = {1, -1, 1}, none[] = {1, NAN, 1}, good[] = {1, 1, 1};
  EXPECT_ERROR(lamina_net_class_weights(net, 2, two), LAMINA_INVALID, "2 class weights; the net has 3 classes");
  EXPECT_ERROR(lamina_net_class_weights(net, 3, bad), LAMINA_INVALID,
               "the weight of class 1 is -1; expected a number from 0");
  EXPECT_EQ(lamina_net_class_weights(net, 3, none), LAMINA_INVALID);
  Examples data(12, 1, 4, 3);
  lamina_training training = {};
  training.train = data, training.epochs = 1, training.evaluate = -1;
  Trainer trainer(net, training);
  EXPECT_ERROR(lamina_net_class_weights(net, 3, good), LAMINA_INVALID,
               "class weights can't change while a trainer is open");
  lamina_net *parsed;
  EXPECT_ERROR(parse("{softmax_cross_entropy: {weights: [1, 2]}}", &parsed), LAMINA_INVALID,
               "net.yaml:4:49: train.loss.softmax_cross_entropy.weights: 2 class weights; the net has 3 classes");
}

TEST_F(NetLoss, AttributesComeFromTheRecipe) {
  lamina_net *parsed;
  ASSERT_OK(parse("{softmax_cross_entropy: {label_smoothing: 0.3, ignore: 2, reduction: sum}}", &parsed));
  Net net(parsed);
  ASSERT_OK(lamina_net_init(net, 3));
  const Batch batch(net, 20);
  const std::vector<double> p = probabilities(net, batch);
  double sum = 0, count = 0;
  for (size_t i = 0; i < 20; i++)
    for (size_t c = 0; c < 3 && batch.labels[i] != 2; c++) {
      sum -= ((static_cast<size_t>(batch.labels[i]) == c ? 0.7 : 0) + 0.1) * std::log(p[3 * i + c]);
      count += c == 0;
    }
  EXPECT_NEAR(loss_of(net, batch), sum / count, 1e-5); // a step takes the mean, whatever the recipe's reduction
}

TEST_F(NetLoss, AttributesComeFromTheOptions) {
  Net net(device, {1, 4, 4});
  net.fc(3);
  Examples data(10, 1, 4, 3);
  lamina_softmax_cross_entropy loss = {};
  loss.label_smoothing = 1; // every label becomes a third of each class, so all that it learns is to say so
  lamina_training training = {};
  training.train = data, training.test = data, training.epochs = 400, training.batch = 10, training.rate.rate = 0.3;
  training.loss = "softmax_cross_entropy", training.loss_attrs = &loss, training.evaluate = -1;
  Trainer trainer(net, training);
  trainer.steps(400);
  EXPECT_NEAR(trainer.progress().loss, std::log(3), 1e-3);
  loss.label_smoothing = 2;
  Net other(device, {1, 4, 4});
  other.fc(3);
  lamina_trainer *refused;
  EXPECT_ERROR(lamina_trainer_open(other, &training, &refused), LAMINA_INVALID,
               "softmax_cross_entropy/forward: label_smoothing is 2; expected 0 to 1");
}

// A loss of numbers gets 1 for the class of the label and 0 for the others.
TEST_F(NetLoss, TargetsFromLabels) {
  lamina_net *parsed;
  ASSERT_OK(parse("mse", &parsed));
  Net net(parsed);
  ASSERT_OK(lamina_net_init(net, 3));
  const Batch batch(net, 20);
  std::vector<float> x(20 * 16), y(60);
  for (size_t i = 0; i < x.size(); i++)
    x[i] = static_cast<float>(lamina_load(net.dtype(), batch.x.data(), static_cast<int64_t>(i)));
  ASSERT_OK(lamina_net_forward(net, 20, x.data(), y.data()));
  double sum = 0;
  for (size_t i = 0; i < 60; i++) {
    const double d = y[i] - (static_cast<size_t>(batch.labels[i / 3]) == i % 3);
    sum += d * d;
  }
  EXPECT_NEAR(loss_of(net, batch), sum / 60, 1e-5);
}

// Every loss that a recipe may name lowers itself, and its gradient is its slope.
TEST_F(NetLoss, EveryLossLearns) {
  Examples data(30, 1, 4, 3);
  for (const char *name : {"softmax_cross_entropy", "softmax_cross_entropy_target", "binary_cross_entropy", "mse", "l1",
                           "huber", "nll", "hinge"}) {
    SCOPED_TRACE(name);
    Net net(device, {1, 4, 4});
    net.fc(3);
    if (std::string(name) == "nll") net.add("log_softmax");
    lamina_training training = {};
    training.train = data, training.test = data, training.epochs = 40, training.batch = 30, training.rate.rate = 0.1;
    training.loss = name, training.evaluate = -1;
    Trainer trainer(net, training);
    trainer.steps(1);
    const double first = trainer.progress().loss;
    trainer.steps(39);
    EXPECT_LT(trainer.progress().loss, 0.8 * first);
    lamina_evaluation result;
    ASSERT_OK(lamina_net_evaluate(net, data, name, 30, 1, &result));
    EXPECT_LT(result.loss, first);
  }
}

TEST_F(NetLoss, MistakesInRecipes) {
  lamina_net *net;
  EXPECT_ERROR(parse("{softmax_cross_entropy: {label_smothing: 0.3}}", &net), LAMINA_INVALID,
               "net.yaml:4:40: train.loss.softmax_cross_entropy: unknown key \"label_smothing\"; did you mean "
               "\"label_smoothing\"?");
  EXPECT_EQ(parse("{softmax_cross_entropy: {label_smoothing: 3}}", &net), LAMINA_INVALID);
  EXPECT_EQ(parse("softmax", &net), LAMINA_INVALID);
  EXPECT_EQ(parse("embedding", &net), LAMINA_INVALID);    // indices alone make no loss
  EXPECT_EQ(parse("binary_hinge", &net), LAMINA_INVALID); // its targets are 1 and -1
}

} // namespace
