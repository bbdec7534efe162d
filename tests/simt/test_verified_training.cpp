// LeNet-5 trained on the test device with every op of every step held against the oracle, on the inputs that it really
// had: parameters that moved, gradients, dropout's masks, the optimizer's state.
#include <cstdio>
#include <memory>

#include "core/verify.h"
#include "lamina/lamina.h"
#include "net/net.h"
#include "net_fixture.h"

namespace {

using Bytes = std::vector<uint64_t>; // as aligned as any element

class Verified {
public:
  Verified(lamina_net *net, lamina_executor *executor, const lamina_feed *feed)
      : net_(net), executor_(executor), feed_(feed) {}

  // Runs all nodes, each checked.
  void step() {
    for (int n = 0; n < executor_->graph.node_count && !testing::Test::HasFailure(); n++)
      if (executor_->graph.nodes[n].op >= 0) run(n);
  }
  int64_t ops = 0, elements = 0;
  double worst = 0; // error as a share of what is allowed

private:
  Bytes read(int value) const {
    Bytes bytes(static_cast<size_t>(lamina_desc_bytes(&executor_->graph.values[value].desc)) / 8 + 1);
    EXPECT_OK(lamina_executor_read(net_, executor_, value, feed_, bytes.data()));
    return bytes;
  }

  void run(int n) {
    const lamina_node_op &node = executor_->graph.nodes[n];
    const lamina_op_def *op = lamina_op_at(node.op);
    lamina_problem problem;
    lamina_args args = {};
    Bytes before[LAMINA_MAX_ARGS];
    std::vector<lamina_expected> want[LAMINA_MAX_ARGS];
    lamina_expected *pointers[LAMINA_MAX_ARGS] = {};
    ASSERT_OK(lamina_graph_problem(&executor_->graph, &node, &problem));
    for (int i = 0; op->args[i].name; i++) {
      if (node.arg[i] < 0) continue;
      if (op->args[i].role == LAMINA_IN || op->args[i].role == LAMINA_INOUT) {
        before[i] = read(node.arg[i]);
        args.p[i] = before[i].data();
      }
      if (op->args[i].role == LAMINA_IN) continue;
      want[i].resize(static_cast<size_t>(lamina_desc_count(&problem.arg[i])));
      pointers[i] = want[i].data();
    }
    ASSERT_OK(lamina_reference_run(&problem, &args, pointers, 1, nullptr)) << op->name;
    ASSERT_OK(lamina_executor_run(net_, executor_, n, n + 1, feed_)) << op->name;
    for (int i = 0; op->args[i].name; i++)
      if (pointers[i]) compare(n, i, problem.arg[i], want[i]);
    ops++;
  }

  void compare(int n, int arg, const lamina_desc &desc, const std::vector<lamina_expected> &want) {
    const lamina_node_op &node = executor_->graph.nodes[n];
    const Bytes got = read(node.arg[arg]);
    const lamina_dtype dtype = static_cast<lamina_dtype>(desc.dtype);
    for (size_t k = 0; k < want.size(); k++) {
      const double value = lamina_load(dtype, got.data(), lamina_desc_offset(&desc, static_cast<int64_t>(k)));
      const double tolerance = lamina_tolerance(&want[k], dtype, &node.plan->numerics, false);
      double share = 0;
      ASSERT_TRUE(lamina_agrees(&want[k], value, dtype, tolerance, &share))
          << lamina_op_at(node.op)->name << " by " << lamina_plan_engine(node.plan) << ": "
          << lamina_op_at(node.op)->args[arg].name << "[" << k << "] is " << value << "; expected " << want[k].value
          << " to within " << tolerance;
      worst = std::max(worst, share);
    }
    elements += static_cast<int64_t>(want.size());
  }

  lamina_net *net_;
  lamina_executor *executor_;
  const lamina_feed *feed_;
};

class VerifiedTraining : public testing::TestWithParam<lamina_dtype> {};

TEST_P(VerifiedTraining, EveryOpOfEveryStepAgreesWithTheOracle) {
  enum { BATCH = 16 };
  const int STEPS = GetParam() == LAMINA_F32 ? 20 : 4;
  Device device;
  Net net(device, {1, 28, 28}, GetParam());
  net.conv(6, 5, 2).add("relu").pool("max_pool", 2).conv(16, 5).add("relu").pool("max_pool", 2);
  net.fc(120).add("relu").fc(84).add("relu").dropout(0.5).fc(10);
  const Examples examples(64, 1, 28, 10);
  lamina_sgd sgd = {0.9, 0};
  lamina_training training = {};
  training.train = examples, training.batch = BATCH, training.rate.rate = 0.05;
  training.optimizer = "sgd", training.optimizer_attrs = &sgd, training.decay = 0.001;
  training.clip_norm = 0.8, training.clip_value = 0.3;
  lamina_net *raw = net;
  double first = 0, last = 0;
  const Trainer trainer(net, training); // sets the parameters and what the update is
  lamina_executor *executor = raw->executors;
  lamina_feed feed;
  ASSERT_EQ(executor->mode, LAMINA_MODE_TRAIN);
  ASSERT_OK(lamina_feed_open(net, executor, &feed));
  Verified verified(net, executor, &feed);
  const Batch batch(net, BATCH);
  for (int step = 0; step < STEPS && !HasFailure(); step++) {
    const lamina_step_block block = {0.05f, 1, step + 1, {7, step}};
    float loss = 0;
    ASSERT_OK(lamina_feed_put(net, &feed, batch.x.data(), batch.labels.data(), nullptr));
    ASSERT_OK(lamina_net_write_step(net, &block));
    verified.step();
    ASSERT_OK(lamina_executor_read(net, executor, executor->loss, &feed, &loss));
    (step ? last : first) = static_cast<double>(loss);
  }
  lamina_feed_close(net, &feed);
  EXPECT_LT(last, first);
  EXPECT_GE(verified.ops, STEPS * 30);
  std::printf("%lld ops, %lld elements, worst error %.2f of the tolerance\n", static_cast<long long>(verified.ops),
              static_cast<long long>(verified.elements), verified.worst);
}

INSTANTIATE_TEST_SUITE_P(Types, VerifiedTraining, testing::Values(LAMINA_F32, LAMINA_BF16),
                         [](const auto &info) { return lamina_dtype_name(info.param); });

} // namespace
