// Training: what a run is made of, from its first step to its evaluation, and what it says when it can't go on.
#include <atomic>
#include <numeric>
#include <set>
#include <thread>

#include "lamina/optimizer.h"
#include "net/trainer.h"
#include "net_fixture.h"
#include "temporary.h"

namespace {

// A few classes that are told apart by where their pixels are brighter.
class Train : public testing::Test {
protected:
  Device device;
  Examples examples{50, 1, 8, 4};

  static Net &build(Net &net) { return net.conv(4, 3).add("relu").pool("max_pool", 2).fc(9).add("relu").fc(4); }
  lamina_training options(int64_t batch = 10, int64_t epochs = 2) {
    lamina_training training = {};
    training.train = examples, training.batch = batch, training.epochs = epochs, training.rate.rate = 0.05;
    return training;
  }
};

TEST_F(Train, ARecipeLearns) {
  Net net(device, "digits",
          {"train.epochs=1", "data.train=\"digits:train,count=320\"", "data.test=\"digits:test,count=50\"",
           "train.batch=16"});
  EXPECT_EQ(lamina_net_parameter_total(net), 61706);
  Trainer trainer(net);
  trainer.steps(1);
  const double first = trainer.progress().loss;
  ASSERT_OK(lamina_trainer_run(trainer));
  EXPECT_EQ(trainer.progress().total, 20);
  EXPECT_LT(trainer.progress().loss, first);
}

// sgd by hand from the gradients: w - rate * (momentum * m + g + decay * w), biases without decay.
TEST_F(Train, AStepIsTheOptimizersOnTheGradients) {
  Net net(device, {1, 8, 8});
  build(net);
  lamina_training training = options(5, 1);
  lamina_sgd sgd = {};
  sgd.momentum = 0.5;
  training.optimizer = "sgd", training.optimizer_attrs = &sgd, training.decay = 0.1;
  training.train = examples, training.keep_gradients = true;
  Trainer trainer(net, training);
  std::vector<std::vector<double>> momentum(static_cast<size_t>(net.parameters()));
  for (int step = 0; step < 3; step++) {
    std::vector<std::vector<double>> before;
    for (int p = 0; p < net.parameters(); p++) before.push_back(net.parameter(p));
    trainer.steps(1);
    EXPECT_EQ(trainer.progress().rate, 0.05);
    for (int p = 0; p < net.parameters(); p++) {
      lamina_parameter info = {};
      ASSERT_OK(lamina_net_parameter(net, p, &info));
      EXPECT_EQ(info.decay, std::string(info.name).back() == 'w') << info.name;
      const std::vector<double> after = net.parameter(p), g = net.gradient(p);
      std::vector<double> &m = momentum[static_cast<size_t>(p)];
      m.resize(after.size());
      for (size_t i = 0; i < after.size(); i++) {
        const double w = before[static_cast<size_t>(p)][i];
        m[i] = 0.5 * m[i] + g[i] + (info.decay ? 0.1 * w : 0);
        EXPECT_NEAR(after[i], w - 0.05 * m[i], 1e-6 * (std::abs(w) + std::abs(m[i])) + 1e-9) << info.name;
      }
    }
  }
}

// At a rate that is 0 in f32 it is what an evaluation says, at an epoch's end over all of its examples. (With the least
// of changes scores that were equal are no more: those of examples that no unit answers to.)
TEST_F(Train, TheAccuracyOfTrainingIsCounted) {
  Net net(device, {1, 8, 8});
  build(net);
  lamina_training training = options(10, 2);
  training.rate.rate = 1e-60;
  Trainer trainer(net, training);
  EXPECT_TRUE(std::isnan(trainer.progress().accuracy));
  lamina_evaluation whole = {};
  for (int epoch = 0; epoch < 2; epoch++) {
    trainer.steps(5);
    ASSERT_OK(lamina_net_evaluate(net, examples, nullptr, 50, 1, &whole));
    EXPECT_GT(whole.hits, 0);
    EXPECT_LT(whole.hits, 50);
    EXPECT_EQ(trainer.progress().accuracy, whole.accuracy) << "epoch " << epoch;
  }
}

TEST_F(Train, ProgressAndCallbacks) {
  struct Log {
    int steps = 0, epochs = 0, tested = 0;
    lamina_progress last = {};
    lamina_evaluation test = {};
  } log;
  Net net(device, {1, 8, 8});
  build(net);
  lamina_training training = options(8, 3); // 6 steps of 8 leave two examples out
  training.test = examples, training.evaluate = 2;
  training.user = &log;
  training.on_step = [](void *user, const lamina_progress *now) {
    Log *l = static_cast<Log *>(user);
    l->steps++, l->last = *now;
    EXPECT_EQ(now->total, l->steps);
    EXPECT_EQ(now->examples, 8 * l->steps);
    EXPECT_EQ(now->step, (l->steps - 1) % 6 + 1);
    EXPECT_EQ(now->epoch, l->steps / 6);
    return LAMINA_OK;
  };
  training.on_epoch = [](void *user, const lamina_progress *now, const lamina_evaluation *test) {
    Log *l = static_cast<Log *>(user);
    l->epochs++;
    EXPECT_EQ(now->epoch, l->epochs);
    EXPECT_EQ(now->step, 6);
    EXPECT_EQ(test != nullptr, l->epochs != 1); // after the second, and the last
    if (test) l->tested++, l->test = *test;
    return LAMINA_OK;
  };
  Trainer trainer(net, training);
  EXPECT_FALSE(lamina_trainer_done(trainer));
  EXPECT_EQ(trainer.progress().steps, 6);
  ASSERT_OK(lamina_trainer_run(trainer));
  EXPECT_TRUE(lamina_trainer_done(trainer));
  EXPECT_EQ(log.steps, 18);
  EXPECT_EQ(log.epochs, 3);
  EXPECT_EQ(log.tested, 2);
  EXPECT_EQ(log.test.examples, 50);
  EXPECT_EQ(log.test.k, 4); // no more than there are classes
  EXPECT_EQ(log.test.hits_k, 50);
  EXPECT_EQ(log.test.accuracy, static_cast<double>(log.test.hits) / 50);
  EXPECT_ERROR(lamina_trainer_step(trainer), LAMINA_INVALID, "all 3 epochs are done");
}

TEST_F(Train, ACallbackMayStopARunThatGoesOnLater) {
  struct Stop {
    int left = 3;
  } stop;
  Net net(device, {1, 8, 8}), whole(device, {1, 8, 8});
  build(net), build(whole);
  lamina_training training = options();
  Trainer uninterrupted(whole, training);
  ASSERT_OK(lamina_trainer_run(uninterrupted));
  training.user = &stop;
  training.on_step = [](void *user, const lamina_progress *) {
    if (--static_cast<Stop *>(user)->left) return LAMINA_OK;
    return lamina_error(LAMINA_INTERRUPTED, "enough");
  };
  Trainer trainer(net, training);
  EXPECT_ERROR(lamina_trainer_run(trainer), LAMINA_INTERRUPTED, "enough");
  EXPECT_EQ(trainer.progress().total, 3);
  ASSERT_OK(lamina_trainer_run(trainer));
  EXPECT_EQ(net.all(), whole.all());
}

// Stops after the last step of the first epoch, and counts what comes at an epoch's end.
struct StopAtTheEnd {
  bool stopped = false;
  int epochs = 0;
  double loss = NAN, mean_loss = NAN, rate = NAN;
  lamina_training training;
  explicit StopAtTheEnd(lamina_training options) : training(options) {
    training.user = this;
    training.on_step = [](void *user, const lamina_progress *now) {
      StopAtTheEnd *self = static_cast<StopAtTheEnd *>(user);
      if (self->stopped || now->step != now->steps) return LAMINA_OK;
      self->stopped = true;
      return lamina_error(LAMINA_INTERRUPTED, "enough");
    };
    training.on_epoch = [](void *user, const lamina_progress *now, const lamina_evaluation *test) {
      StopAtTheEnd *self = static_cast<StopAtTheEnd *>(user);
      EXPECT_EQ(now->epoch, ++self->epochs);
      EXPECT_EQ(now->step, now->steps);
      if (self->epochs == 1) self->loss = test->loss, self->mean_loss = now->mean_loss, self->rate = now->rate;
      return LAMINA_OK;
    };
  }
};

TEST_F(Train, AnEpochsEndThatWasStoppedComesFirstInTheNextCall) {
  Temporary folder;
  const std::string path = folder / "run.safetensors";
  for (const int64_t epochs : {1, 2}) {
    lamina_training training = options(8, epochs);
    training.test = examples;
    training.rate.kind = LAMINA_RATE_COSINE;
    Net whole(device, {1, 8, 8}), net(device, {1, 8, 8}), other(device, {1, 8, 8});
    build(whole), build(net), build(other);
    StopAtTheEnd never(training), stop(training), later(training);
    never.stopped = later.stopped = true;
    Trainer uninterrupted(whole, never.training), trainer(net, stop.training), resumed(other, later.training);
    ASSERT_OK(lamina_trainer_run(uninterrupted));
    EXPECT_ERROR(lamina_trainer_run(trainer), LAMINA_INTERRUPTED, "enough");
    EXPECT_EQ(stop.epochs, 0);
    EXPECT_FALSE(lamina_trainer_done(trainer));
    ASSERT_OK(lamina_trainer_save(trainer, path.c_str()));
    ASSERT_OK(lamina_trainer_run(trainer));
    ASSERT_OK(lamina_trainer_resume(resumed, path.c_str()));
    EXPECT_FALSE(lamina_trainer_done(resumed));
    ASSERT_OK(lamina_trainer_run(resumed));
    for (const StopAtTheEnd *run : {&stop, &later}) {
      EXPECT_EQ(run->epochs, epochs);
      EXPECT_EQ(run->loss, never.loss);
      EXPECT_EQ(run->mean_loss, never.mean_loss);
      EXPECT_EQ(run->rate, never.rate);
    }
    EXPECT_EQ(net.all(), whole.all());
    EXPECT_EQ(other.all(), whole.all());
    EXPECT_ERROR(lamina_trainer_step(resumed), LAMINA_INVALID,
                 epochs == 1 ? "all 1 epochs are done" : "all 2 epochs are done");
  }
}

TEST_F(Train, DropoutTakesTheNumberOfTheStepInTheRunNotInTheEpoch) {
  Examples one(1, 1, 8, 4); // so every step of an epoch, and every epoch, is the same but for dropout
  Net net(device, {1, 8, 8}), same(device, {1, 8, 8});
  for (Net *n : {&net, &same}) {
    n->fc(16).dropout(0.5).fc(4);
    ASSERT_OK(lamina_net_init(*n, 3));
  }
  lamina_training training = options(1, 6);
  training.train = one;
  training.rate.rate = 1e-30; // nothing is learned
  Trainer trainer(net, training);
  const int64_t index = 0;
  float x[64];
  int32_t label;
  ASSERT_OK(lamina_dataset_read(one, 1, &index, x, &label));
  std::set<double> losses;
  const uint64_t seed = lamina_trainer_training(trainer)->seed;
  for (int64_t step = 0; step < 6; step++) {
    double loss = NAN;
    ASSERT_OK(lamina_trainer_step(trainer));
    ASSERT_OK(lamina_net_gradients(same, nullptr, 1, x, &label, seed, step, &loss));
    EXPECT_EQ(trainer.progress().loss, loss) << "step " << step;
    losses.insert(loss);
  }
  EXPECT_EQ(losses.size(), 6u); // one step an epoch: a counter of its steps would give one loss
}

TEST_F(Train, TheBatchIsNoLargerThanTheData) {
  Net net(device, {1, 8, 8});
  build(net);
  lamina_training training = options(1000, 1);
  Trainer trainer(net, training);
  EXPECT_EQ(lamina_trainer_training(trainer)->batch, 50);
  EXPECT_EQ(trainer.progress().steps, 1);
  trainer.steps(1);
  EXPECT_EQ(trainer.progress().examples, 50);
}

TEST_F(Train, DefaultsComeAfterTheRecipeAndBothAfterTheCaller) {
  Net net(device, "xo", {"train.seed=3"});
  lamina_training training = {};
  training.train = examples; // 8 x 8
  lamina_trainer *none = nullptr;
  EXPECT_ERROR(lamina_trainer_open(net, &training, &none), LAMINA_INVALID,
               "examples has pictures of 1 channel, 8 rows and 8 columns, but the net's input is f32[1,9,9]");
  training = {};
  training.batch = 7, training.optimizer = "adam";
  {
    Trainer trainer(net, training);
    const lamina_training *used = lamina_trainer_training(trainer);
    EXPECT_EQ(used->batch, 7);
    EXPECT_EQ(used->seed, 3u);
    EXPECT_STREQ(used->optimizer, "adam");
    EXPECT_STREQ(used->loss, "softmax_cross_entropy");
    EXPECT_EQ(static_cast<const lamina_adam *>(used->optimizer_attrs)->beta2, 0.999);
    EXPECT_STREQ(lamina_dataset_info_of(used->train)->name, "xo:train");
    EXPECT_STREQ(lamina_dataset_info_of(used->test)->name, "xo:test");
  }
  Net bare(device, {1, 8, 8});
  build(bare);
  training = {};
  training.train = examples;
  Trainer trainer(bare, training);
  const lamina_training *used = lamina_trainer_training(trainer);
  EXPECT_EQ(used->batch, 50);
  EXPECT_EQ(used->epochs, 10);
  EXPECT_EQ(used->seed, 1u);
  EXPECT_EQ(used->top_k, 4);
  EXPECT_STREQ(used->optimizer, "sgd");
  EXPECT_EQ(used->rate.rate, 0.01);
  EXPECT_EQ(used->test, nullptr);
}

TEST_F(Train, OptionsThatCantBe) {
  Net net(device, {1, 8, 8});
  build(net);
  lamina_trainer *trainer = nullptr;
  const auto refused = [&](auto change) {
    lamina_training training = options();
    change(training);
    EXPECT_EQ(lamina_trainer_open(net, &training, &trainer), LAMINA_INVALID);
    return std::string(lamina_last_error());
  };
  EXPECT_EQ(refused([](lamina_training &t) { t.batch = -1; }), "a batch of -1 examples; expected at least 1");
  EXPECT_EQ(refused([](lamina_training &t) { t.epochs = -2; }), "-2 epochs; expected at least 1");
  EXPECT_EQ(refused([](lamina_training &t) { t.shift = -1; }), "a shift of -1 pixels; expected 0 or more");
  EXPECT_EQ(refused([](lamina_training &t) { t.optimizer = "agd"; }),
            "there is no optimizer \"agd\"; did you mean \"sgd\"?");
  EXPECT_EQ(refused([](lamina_training &t) { t.optimizer = "lbfgs"; }),
            "there is no optimizer \"lbfgs\"; expected adam or sgd");
  EXPECT_EQ(refused([](lamina_training &t) { t.loss = "quadratic"; }),
            "there is no loss \"quadratic\"; expected nll, hinge, binary_cross_entropy, mse, l1, huber, "
            "softmax_cross_entropy or softmax_cross_entropy_target");
  EXPECT_EQ(refused([](lamina_training &t) { t.loss = "top_k"; }),
            "there is no loss \"top_k\"; expected nll, hinge, binary_cross_entropy, mse, l1, huber, "
            "softmax_cross_entropy or softmax_cross_entropy_target");
  EXPECT_EQ(refused([](lamina_training &t) { t.rate.rate = -0.1; }), "the learning rate is -0.1; expected more than 0");
  EXPECT_EQ(refused([](lamina_training &t) { t.rate.kind = LAMINA_RATE_STEP; }),
            "the rate falls every 0 epochs; expected at least 1");
  EXPECT_EQ(refused([](lamina_training &t) { t.train = nullptr; }), "the net has no recipe that names training data");
  EXPECT_EQ(refused([](lamina_training &t) {
              static const lamina_sgd wild = {2, 0};
              t.optimizer = "sgd", t.optimizer_attrs = &wild;
            }),
            "sgd/update: momentum is 2; expected 0 to 1");
  EXPECT_EQ(trainer, nullptr);
}

TEST_F(Train, DataThatDoesNotFitTheNet) {
  Examples colour(20, 3, 8, 4), classes(20, 1, 8, 9);
  Net net(device, {1, 8, 8}), planes(device, {1, 8, 8}), wide(device, {1, 8, 8}, LAMINA_F64);
  build(net), build(wide);
  planes.conv(4, 3);
  lamina_trainer *trainer = nullptr;
  lamina_evaluation result = {};
  lamina_training training = options();
  training.train = colour;
  static const char three[] =
      "examples has pictures of 3 channels, 8 rows and 8 columns, but the net's input is f32[1,8,8]";
  EXPECT_ERROR(lamina_trainer_open(net, &training, &trainer), LAMINA_INVALID, three);
  training.train = examples, training.test = colour;
  EXPECT_ERROR(lamina_trainer_open(net, &training, &trainer), LAMINA_INVALID, three);
  EXPECT_ERROR(lamina_net_evaluate(net, colour, nullptr, 0, 0, &result), LAMINA_INVALID, three);
  training.test = nullptr;
  EXPECT_ERROR(lamina_trainer_open(planes, &training, &trainer), LAMINA_INVALID,
               "the net's output is f32[4,6,6]; expected one number for each class");
  EXPECT_ERROR(lamina_trainer_open(wide, &training, &trainer), LAMINA_INVALID,
               "the net's numbers are f64; a dataset's are f32");
  EXPECT_ERROR(lamina_net_evaluate(wide, examples, nullptr, 0, 0, &result), LAMINA_INVALID,
               "the net's numbers are f64; a dataset's are f32");
  training.train = classes;
  EXPECT_EQ(lamina_trainer_open(net, &training, &trainer), LAMINA_INVALID);
  EXPECT_NE(std::string(lamina_last_error()).find("9"), std::string::npos) << lamina_last_error();
}

// ---- Evaluation

TEST_F(Train, EvaluationIsTheSameWhateverTheBatch) {
  Net net(device, {1, 8, 8});
  build(net).dropout(0.5);
  ASSERT_OK(lamina_net_init(net, 4));
  lamina_evaluation whole = {};
  ASSERT_OK(lamina_net_evaluate(net, examples, nullptr, 50, 2, &whole));
  EXPECT_EQ(whole.examples, 50);
  EXPECT_EQ(whole.k, 2);
  for (const int64_t batch : {1, 7, 49, 64}) { // 50 = 7 * 7 + 1
    lamina_evaluation part = {};
    ASSERT_OK(lamina_net_evaluate(net, examples, nullptr, batch, 2, &part));
    EXPECT_EQ(part.examples, 50);
    EXPECT_EQ(part.hits, whole.hits);
    EXPECT_EQ(part.hits_k, whole.hits_k);
    EXPECT_NEAR(part.loss, whole.loss, 1e-5 * whole.loss);
  }
}

TEST_F(Train, EvaluationCountsWhatForwardGives) {
  Net net(device, {1, 8, 8});
  build(net);
  ASSERT_OK(lamina_net_init(net, 4));
  std::vector<int64_t> index(50);
  std::iota(index.begin(), index.end(), 0);
  std::vector<float> x(50 * 64), y(50 * 4), prob(50 * 4);
  std::vector<int32_t> labels(50);
  ASSERT_OK(lamina_dataset_read(examples, 50, index.data(), x.data(), labels.data()));
  ASSERT_OK(lamina_net_forward(net, 50, x.data(), y.data()));
  ASSERT_OK(lamina_net_predict(net, 50, x.data(), prob.data()));
  int64_t hits = 0, second = 0;
  double loss = 0;
  for (size_t i = 0; i < 50; i++) {
    const size_t label = static_cast<size_t>(labels[i]);
    double sum = 0;
    int better = 0;
    for (size_t c = 0; c < 4; c++) {
      sum += std::exp(static_cast<double>(y[4 * i + c]));
      better += y[4 * i + c] > y[4 * i + label] || (y[4 * i + c] == y[4 * i + label] && c < label);
    }
    const double p = std::exp(static_cast<double>(y[4 * i + label])) / sum;
    EXPECT_NEAR(prob[4 * i + label], p, 1e-6);
    loss -= std::log(p);
    hits += better == 0, second += better < 2;
  }
  lamina_evaluation result = {};
  ASSERT_OK(lamina_net_evaluate(net, examples, nullptr, 16, 2, &result));
  EXPECT_EQ(result.hits, hits);
  EXPECT_EQ(result.hits_k, second);
  EXPECT_NEAR(result.loss, loss / 50, 1e-5);
}

TEST_F(Train, TheConfusionMatrixCountsAnswers) {
  Net net(device, {1, 4, 4});
  net.fc(3);
  ASSERT_OK(lamina_net_init(net, 4));
  Examples data(50, 1, 4, 3);
  int64_t counts[9], again[9];
  lamina_evaluation result;
  ASSERT_OK(lamina_net_confusion(net, data, 8, counts));
  ASSERT_OK(lamina_net_confusion(net, data, 1000, again));
  ASSERT_OK(lamina_net_evaluate(net, data, nullptr, 8, 1, &result));
  EXPECT_TRUE(std::equal(counts, counts + 9, again));
  EXPECT_EQ(counts[0] + counts[4] + counts[8], result.hits);
  for (int label = 0; label < 3; label++) // 50 examples, whose labels go round
    EXPECT_EQ(counts[3 * label] + counts[3 * label + 1] + counts[3 * label + 2], label < 2 ? 17 : 16);
}

TEST_F(Train, OfEqualScoresTheFirstIsTheAnswerAndOfNoneThereIsNone) {
  Net net(device, {1, 4, 4});
  net.fc(3);
  net.write(0, std::vector<double>(48, 0)), net.write(1, {1, 2, 2});
  Examples data(50, 1, 4, 3);
  int64_t counts[9];
  ASSERT_OK(lamina_net_confusion(net, data, 8, counts));
  EXPECT_EQ(std::vector<int64_t>(counts, counts + 9), (std::vector<int64_t>{0, 17, 0, 0, 17, 0, 0, 16, 0}));
  net.write(1, {NAN, NAN, NAN});
  ASSERT_OK(lamina_net_confusion(net, data, 8, counts));
  EXPECT_EQ(std::vector<int64_t>(counts, counts + 9), std::vector<int64_t>(9, 0));
}

// ---- A loss that is not finite

TEST_F(Train, ANanInThePicturesIsToldAndChangesNothing) {
  examples.poisoned = 17;
  Net net(device, {1, 8, 8});
  build(net);
  lamina_training training = options(10, 1);
  training.threads = -1; // nobody but this thread reads `poisoned`
  Trainer trainer(net, training);
  std::vector<double> before;
  lamina_status status = LAMINA_OK;
  int64_t step = 0;
  for (; !status && step < 5; step++) before = net.all(), status = lamina_trainer_step(trainer);
  const std::string sentence =
      "step " + std::to_string(step) + ": the loss is not finite; the first to make it so is the batch: its pictures";
  EXPECT_ERROR(status, LAMINA_NOT_FINITE, sentence.c_str());
  EXPECT_EQ(net.all(), before);
  EXPECT_EQ(trainer.progress().total, step - 1);
  EXPECT_EQ(lamina_trainer_step(trainer), LAMINA_NOT_FINITE); // the same batch again
  EXPECT_EQ(net.all(), before);
  examples.poisoned = -1; // mended, it goes on as if nothing had been
  ASSERT_OK(lamina_trainer_run(trainer));
  EXPECT_EQ(trainer.progress().total, 5);
  Net clean(device, {1, 8, 8});
  build(clean);
  Trainer again(clean, training);
  ASSERT_OK(lamina_trainer_run(again));
  EXPECT_EQ(net.all(), clean.all());
}

TEST_F(Train, TheFirstLayerThatMakesTheLossInfiniteIsNamed) {
  Net net(device, {1, 8, 8});
  build(net);
  lamina_training training = options(10, 4);
  Trainer trainer(net, training);
  trainer.steps(6);
  const int w = lamina_net_parameter_find(net, "3.fc.w"), b = lamina_net_parameter_find(net, "5.fc.b");
  const std::vector<double> good = net.parameter(w), bias = net.parameter(b);
  net.write(w, std::vector<double>(good.size(), 3e38));
  const std::vector<double> before = net.all();
  EXPECT_ERROR(lamina_trainer_step(trainer), LAMINA_NOT_FINITE,
               "step 7: the loss is not finite; the first to make it so is layer 3.fc");
  EXPECT_EQ(net.all(), before);
  net.write(w, good);
  std::vector<double> nan = bias;
  nan[2] = NAN;
  net.write(b, nan);
  EXPECT_ERROR(lamina_trainer_step(trainer), LAMINA_NOT_FINITE,
               "step 7: the loss is not finite; the first to make it so is the parameter 5.fc.b");
  net.write(b, bias);
  ASSERT_OK(lamina_trainer_run(trainer));
  EXPECT_EQ(trainer.progress().total, 20);
  Net clean(device, {1, 8, 8});
  build(clean);
  Trainer again(clean, training);
  ASSERT_OK(lamina_trainer_run(again));
  EXPECT_EQ(net.all(), clean.all());
}

// ---- Rates

TEST(Rate, IsTheHeadersFormula) {
  lamina_rate constant = {}, step = {}, cosine = {};
  constant.rate = step.rate = cosine.rate = 0.8;
  step.kind = LAMINA_RATE_STEP, step.every = 2;
  cosine.kind = LAMINA_RATE_COSINE;
  for (const int64_t s : {0, 7, 99}) EXPECT_EQ(lamina_rate_at(&constant, s, 100, 10), 0.8);
  EXPECT_EQ(lamina_rate_at(&step, 19, 100, 10), 0.8);
  EXPECT_DOUBLE_EQ(lamina_rate_at(&step, 20, 100, 10), 0.08);
  step.factor = 0.5;
  EXPECT_DOUBLE_EQ(lamina_rate_at(&step, 99, 100, 10), 0.8 / 16);
  EXPECT_EQ(lamina_rate_at(&cosine, 0, 100, 10), 0.8);
  EXPECT_DOUBLE_EQ(lamina_rate_at(&cosine, 50, 100, 10), 0.4);
  EXPECT_NEAR(lamina_rate_at(&cosine, 25, 100, 10), 0.4 * (1 + std::sqrt(0.5)), 1e-15);
  EXPECT_GT(lamina_rate_at(&cosine, 99, 100, 10), 0);
  cosine.final = 0.2;
  EXPECT_DOUBLE_EQ(lamina_rate_at(&cosine, 50, 100, 10), 0.5);
  cosine.warmup = 2; // 20 steps, then 80 of cosine
  EXPECT_DOUBLE_EQ(lamina_rate_at(&cosine, 0, 100, 10), 0.8 / 20);
  EXPECT_DOUBLE_EQ(lamina_rate_at(&cosine, 19, 100, 10), 0.8);
  EXPECT_DOUBLE_EQ(lamina_rate_at(&cosine, 20, 100, 10), 0.8);
  EXPECT_DOUBLE_EQ(lamina_rate_at(&cosine, 60, 100, 10), 0.5);
}

TEST(Rate, OneThatTrainsIsTheOneThatIsShown) {
  Device device;
  Net net(device, {1, 8, 8});
  net.fc(4);
  Examples examples(50, 1, 8, 4);
  lamina_training training = {};
  training.train = examples, training.batch = 25, training.epochs = 3;
  training.rate.kind = LAMINA_RATE_COSINE, training.rate.rate = 0.1;
  Trainer trainer(net, training);
  for (int s = 0; s < 6; s++) {
    trainer.steps(1);
    EXPECT_EQ(trainer.progress().rate, lamina_rate_at(&training.rate, s, 6, 2));
  }
}

// ---- More than one at a time

TEST_F(Train, TwoNetsOnOneDeviceInTurns) {
  Net alone[2] = {{device, {1, 8, 8}}, {device, {1, 8, 8}}}, both[2] = {{device, {1, 8, 8}}, {device, {1, 8, 8}}};
  lamina_training training[2] = {options(), options(7)};
  training[1].optimizer = "adam", training[1].rate.rate = 0.01;
  for (int i = 0; i < 2; i++) {
    build(alone[i]), build(both[i]);
    Trainer trainer(alone[i], training[i]);
    trainer.steps(8);
  }
  Trainer first(both[0], training[0]), second(both[1], training[1]);
  for (int s = 0; s < 8; s++) first.steps(1), second.steps(1);
  EXPECT_EQ(both[0].all(), alone[0].all());
  EXPECT_EQ(both[1].all(), alone[1].all());
}

TEST(TrainThreads, TwoDevicesInTwoThreads) {
  const auto train = [](uint64_t seed) {
    Device device("", 2);
    Net net(device, {1, 8, 8});
    net.conv(4, 3).add("relu").dropout(0.2).pool("max_pool", 2).fc(4);
    Examples examples(60, 1, 8, 4);
    lamina_training training = {};
    training.train = training.test = examples;
    training.seed = seed, training.batch = 12, training.epochs = 2, training.shift = 1, training.rate.rate = 0.05;
    Trainer trainer(net, training);
    EXPECT_OK(lamina_trainer_run(trainer));
    return net.all();
  };
  const std::vector<double> one = train(1), two = train(2);
  EXPECT_NE(one, two);
  std::vector<double> together[2];
  std::thread other([&] { together[1] = train(2); });
  together[0] = train(1);
  other.join();
  EXPECT_EQ(together[0], one);
  EXPECT_EQ(together[1], two);
}

TEST_F(Train, TheLoadersThreadsDontChangeTheResult) {
  std::vector<double> results[3];
  for (const int threads : {-1, 1, 3}) {
    Net net(device, {1, 8, 8});
    build(net).dropout(0);
    lamina_training training = options(6);
    training.threads = threads, training.shift = 1;
    Trainer trainer(net, training);
    ASSERT_OK(lamina_trainer_run(trainer));
    results[threads < 0 ? 0 : (threads + 1) / 2] = net.all();
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

} // namespace
