// What a net tells of its ops, and steps on batches of the program's own.
#include "lamina/profile.h"

#include <algorithm>

#include "net_fixture.h"

namespace {

struct Op {
  lamina_run run;
  int64_t number, batch;
  int index, count;
  std::string layer, name, engine;
  double start, seconds;
};

void keep(void *user, const lamina_op_trace *op) {
  const lamina_problem *problem = lamina_plan_problem(op->plan);
  static_cast<std::vector<Op> *>(user)->push_back({op->run, op->number, op->batch, op->index, op->count, op->layer,
                                                   lamina_op_at(problem->op)->name, lamina_plan_engine(op->plan),
                                                   op->start, op->seconds});
}

class Profile : public testing::Test {
protected:
  Device device;
  Examples examples{50, 1, 8, 4};
  std::vector<Op> ops;

  static Net &build(Net &net) { return net.conv(4, 3).add("relu").pool("max_pool", 2).dropout(0.5).fc(4); }
  lamina_training options() const {
    lamina_training training = {};
    training.train = examples, training.batch = 10, training.epochs = 3, training.rate.rate = 0.05, training.seed = 3;
    training.threads = -1;
    return training;
  }
  bool has(const std::string &layer, const std::string &name) const {
    return std::any_of(ops.begin(), ops.end(),
                       [&](const Op &op) { return op.layer == layer && op.name.find(name) != std::string::npos; });
  }
  // Whole runs of ops that follow each other in time.
  void expect_order() const {
    for (size_t i = 0; i < ops.size(); i++) {
      const Op &op = ops[i];
      const bool first = op.index == 0;
      if (i) {
        EXPECT_EQ(op.index, first ? 0 : ops[i - 1].index + 1);
        EXPECT_EQ(op.number, ops[i - 1].number + first);
        EXPECT_GE(op.start, ops[i - 1].start + ops[i - 1].seconds - 1e-9);
        EXPECT_TRUE(!first || ops[i - 1].index == ops[i - 1].count - 1);
      }
      EXPECT_GE(op.seconds, 0);
      EXPECT_FALSE(op.engine.empty());
    }
  }
};

TEST_F(Profile, EveryOpOfAStepIsTold) {
  Net net(device, {1, 8, 8});
  build(net);
  Trainer trainer(net, options());
  trainer.steps(1);
  ASSERT_OK(lamina_net_trace(net, keep, &ops));
  trainer.steps(2);
  ASSERT_FALSE(ops.empty());
  EXPECT_EQ(ops.size(), 2 * static_cast<size_t>(ops[0].count));
  EXPECT_EQ(ops.back().number, 1);
  for (const Op &op : ops) EXPECT_TRUE(op.run == LAMINA_RUN_TRAINING && op.batch == 10);
  expect_order();
  EXPECT_TRUE(has("0.conv", "conv")) << "forward";
  EXPECT_TRUE(has("0.conv", "/backward_weights"));
  EXPECT_TRUE(has("4.fc", "/backward_data"));
  EXPECT_TRUE(has("loss", "softmax_cross_entropy/forward"));
  EXPECT_TRUE(has("update", "sgd/update"));
  EXPECT_FALSE(has("loss", "sgd"));
  const size_t told = ops.size();
  ASSERT_OK(lamina_net_trace(net, nullptr, nullptr));
  trainer.steps(1);
  EXPECT_EQ(ops.size(), told);
}

TEST_F(Profile, RunsSayWhatForAndHowMany) {
  Net net(device, {1, 8, 8});
  build(net);
  ASSERT_OK(lamina_net_init(net, 1));
  ASSERT_OK(lamina_net_trace(net, keep, &ops));
  const Batch batch(net, 6);
  std::vector<float> y(6 * 4);
  ASSERT_OK(lamina_net_forward(net, 6, batch.x.data(), y.data()));
  EXPECT_TRUE(ops[0].run == LAMINA_RUN_INFERENCE && ops[0].batch == 6);
  lamina_evaluation evaluation = {};
  ASSERT_OK(lamina_net_evaluate(net, examples, nullptr, 25, 0, &evaluation));
  EXPECT_TRUE(ops.back().run == LAMINA_RUN_EVALUATION && ops.back().batch == 25 && ops.back().number == 2);
  batch.gradients(net);
  EXPECT_EQ(ops.back().run, LAMINA_RUN_TRAINING);
  EXPECT_FALSE(has("update", "")) << "gradients alone have none";
  expect_order();
  ASSERT_OK(lamina_net_trace(net, keep, &ops)) << "again: it begins anew";
  ASSERT_OK(lamina_net_forward(net, 6, batch.x.data(), y.data()));
  EXPECT_EQ(ops.back().number, 0);
}

TEST_F(Profile, ATraceChangesNothing) {
  std::vector<double> all[2];
  for (const bool traced : {false, true}) {
    Net net(device, {1, 8, 8});
    build(net);
    ASSERT_OK(lamina_net_trace(net, traced ? keep : nullptr, &ops));
    Trainer trainer(net, options());
    ASSERT_OK(lamina_trainer_run(trainer));
    all[traced] = net.all();
  }
  EXPECT_EQ(all[0], all[1]);
  EXPECT_FALSE(ops.empty());
}

// ---- Steps on the program's own batches --------------------------------------------------------------------------------

// The batches that a trainer with these options takes.
class Batches {
public:
  Batches(const lamina_dataset *data, const lamina_training &o) {
    lamina_loader_options options = {};
    options.batch = o.batch, options.seed = o.seed, options.shuffle = true;
    EXPECT_OK(lamina_loader_open(data, &options, &loader_));
  }
  ~Batches() { lamina_loader_close(loader_); }
  Batches(const Batches &) = delete;
  Batches &operator=(const Batches &) = delete;
  lamina_batch next() {
    lamina_batch batch = {};
    EXPECT_OK(lamina_loader_next(loader_, &batch));
    return batch;
  }

private:
  lamina_loader *loader_ = nullptr;
};

TEST_F(Profile, StepsOnTheSameBatchesAreTheSameTraining) {
  std::vector<double> all[2];
  lamina_progress now[2];
  for (const bool given : {false, true}) {
    Net net(device, {1, 8, 8});
    build(net);
    Trainer trainer(net, options());
    Batches batches(examples, options());
    for (int i = 0; i < 12; i++) {
      const lamina_batch batch = batches.next();
      std::vector<float> x(batch.x, batch.x + batch.n * 64);
      std::vector<int32_t> labels(batch.label, batch.label + batch.n);
      if (given && i % 3 != 1)
        ASSERT_OK(lamina_trainer_step_on(trainer, x.data(), labels.data()));
      else
        trainer.steps(1);                 // the loader goes on at its place
      std::fill(x.begin(), x.end(), NAN); // it was read
    }
    now[given] = trainer.progress();
    all[given] = net.all();
  }
  EXPECT_EQ(all[0], all[1]);
  EXPECT_EQ(now[1].epoch, 2);
  EXPECT_EQ(now[1].step, now[0].step);
  EXPECT_EQ(now[1].examples, 120);
}

TEST_F(Profile, ABadBatchIsNoStep) {
  Net net(device, {1, 8, 8});
  build(net);
  Trainer trainer(net, options());
  std::vector<float> x(10 * 64, 0.5f);
  std::vector<int32_t> labels(10, 3);
  labels[7] = 4;
  EXPECT_ERROR(lamina_trainer_step_on(trainer, x.data(), labels.data()), LAMINA_INVALID,
               "label 7 of the batch is 4; expected 0 to 3");
  labels[7] = 3;
  const std::vector<double> before = net.all();
  x[100] = NAN;
  lamina_status status = lamina_trainer_step_on(trainer, x.data(), labels.data());
  for (int later = 0; later < 2 && !status; later++) { // beside the host it is known later
    x[100] = 0;
    status = lamina_trainer_step_on(trainer, x.data(), labels.data());
  }
  EXPECT_EQ(status, LAMINA_NOT_FINITE);
  EXPECT_NE(
      std::string(lamina_last_error()).find("step 1: the loss is not finite; the first to make it so is the batch:"),
      std::string::npos)
      << lamina_last_error();
  EXPECT_EQ(net.all(), before);
  EXPECT_EQ(trainer.progress().total, 0);
  trainer.steps(1);
  EXPECT_EQ(trainer.progress().total, 1);
}

} // namespace
