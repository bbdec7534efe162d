// Layouts of nets: which are chosen, that nothing but their speed is seen from outside, and the way there and back.
#include <sstream>

#include "core/base.h"
#include "failing_allocator.h"
#include "lamina/engine.h"
#include "lamina/optimizer.h"
#include "net/net.h"
#include "net_fixture.h"
#include "temporary.h"

namespace {

// ---- An engine that says how it likes its tensors. It computes by the reference, so its numbers don't depend on it.

struct Taste {
  int32_t data, forward, backward; // layouts of pictures, and of filters in the forward pass and in the others
  double more = 1e-2;              // seconds for each that lies otherwise
  int *asked = nullptr;            // counts the questions about a layout other than row-major
};
const Taste none = {0, 0, 0};
constexpr int32_t channels = LAMINA_BLOCK(1, 4), lanes = LAMINA_BLOCK(0, 4);
const Taste blocked = {channels, LAMINA_BLOCK(1, 4) << 8 | LAMINA_BLOCK(0, 4),
                       LAMINA_BLOCK(0, 4) << 8 | LAMINA_BLOCK(1, 4)};
const Taste in_lanes = {lanes, LAMINA_BLOCK(0, 3), LAMINA_BLOCK(0, 3)};

bool is_filter(const lamina_op_def *op, int arg) { return std::strchr(op->args[arg].name, 'w') != nullptr; }

int32_t liked(const lamina_problem *problem, const lamina_engine *engine, int arg) {
  const Taste *taste = static_cast<const Taste *>(engine->user);
  const lamina_op_def *op = lamina_op_at(problem->op);
  const lamina_desc &desc = problem->arg[arg];
  const int32_t layout = !is_filter(op, arg)            ? taste->data
                         : strstr(op->name, "/forward") ? taste->forward
                                                        : taste->backward;
  if (is_filter(op, arg) && taste->data == lanes && problem->arg[0].dims[0] % 16) return 0; // as for the pictures
  const lamina_desc would = lamina_blocked(static_cast<lamina_dtype>(desc.dtype), desc.rank, desc.dims, layout);
  return desc.rank > 1 && lamina_desc_bytes(&would) > 0 ? layout : 0;
}

void candidates(lamina_device *, const lamina_problem *problem, const lamina_engine *engine, lamina_candidate_fn *each,
                void *context) {
  const Taste *taste = static_cast<const Taste *>(engine->user);
  double seconds = 1e-6;
  for (int i = 0; lamina_op_at(problem->op)->args[i].name; i++) {
    const int32_t is = problem->arg[i].layout;
    if (problem->arg[i].dtype && is != LAMINA_LAYOUT_ANY && is != liked(problem, engine, i)) seconds += taste->more;
    if (problem->arg[i].dtype && is && taste->asked) ++*taste->asked;
  }
  each(context, "", seconds, "");
}

lamina_status prepare(lamina_plan *plan) {
  for (int i = 0; plan->op->args[i].name; i++) {
    lamina_desc &desc = plan->problem.arg[i];
    if (desc.dtype && desc.layout == LAMINA_LAYOUT_ANY)
      desc = lamina_blocked(static_cast<lamina_dtype>(desc.dtype), desc.rank, desc.dims,
                            liked(&plan->problem, plan->engine, i));
  }
  plan->numerics.u_acc = 0x1p-53;
  return LAMINA_OK;
}

lamina_status run(const lamina_plan *plan, const lamina_args *args, void *, lamina_stream *) {
  return lamina_reference_run(&plan->problem, args, nullptr, 1, nullptr);
}

const char *const passes[] = {"conv/forward", "conv/backward_data", "conv/backward_weights"};

// All on our loops but convolutions, by an engine of this taste, and what sums in another order for another layout.
class TasteDevice : public Device {
public:
  explicit TasteDevice(const Taste &taste, const lamina_allocator *allocator = nullptr)
      : Device(all_on("loop") +
                   ",conv/forward:mine,conv/backward_data:mine,conv/backward_weights:mine,conv/backward_bias:ref",
               1, allocator) {
    for (int p = 0; p < 3; p++) {
      lamina_engine &row = rows_[p];
      row.size = sizeof row, row.abi = LAMINA_ENGINE_ABI, row.device = "cpu", row.name = "mine", row.op = passes[p];
      row.user = const_cast<Taste *>(&taste), row.strides = LAMINA_STRIDES_BLOCKED;
      row.candidates = candidates, row.prepare = prepare, row.run = run;
      EXPECT_OK(lamina_engine_register(*this, &row));
    }
  }

private:
  lamina_engine rows_[3] = {};
};

struct Line {
  std::string layer, op, rest;
};
std::vector<Line> explain(lamina_net *net, int64_t batch, bool training) {
  const char *text = nullptr;
  EXPECT_OK(lamina_net_explain(net, batch, training, &text));
  std::vector<Line> lines;
  std::istringstream all(text);
  for (std::string one; std::getline(all, one);) {
    std::istringstream words(one);
    Line line;
    words >> line.layer >> line.op;
    std::getline(words, line.rest);
    lines.push_back(line);
  }
  return lines;
}
int count(const std::vector<Line> &lines, const std::string &op, const std::string &part) {
  int found = 0;
  for (const Line &line : lines) found += (op.empty() || line.op == op) && line.rest.find(part) != std::string::npos;
  return found;
}

void build(Net &net) { net.conv(16, 3, 1).add("relu").conv(32, 3, 1).add("relu").conv(16, 3).add("relu").fc(5); }
const Dims input = {16, 4, 4};

const lamina_param &param(lamina_net *net, int index) { return net->params.list[index]; }

// ---- What is chosen

TEST(NetLayout, IsWhatEnginesLikeAndNothingIsConvertedBetweenThoseThatAgree) {
  TasteDevice device(blocked);
  Net net(device, input);
  build(net);
  const std::vector<Line> lines = explain(net, 4, true);
  EXPECT_EQ(count(lines, "conv/forward", "_1x16"), 2);
  EXPECT_EQ(count(lines, "relu/forward", "_1x16"), 2);
  EXPECT_EQ(count(lines, "relu/backward", "_1x16"), 2);
  EXPECT_EQ(count(lines, "conv/backward_data", "_1x16"), 2);
  EXPECT_EQ(count(lines, "relu/forward", "packed"), 0);
  EXPECT_EQ(count(lines, "relu/backward", "packed"), 0);
}

// The last relu's output is seen as a matrix, so it is row-major, and with it what goes through the relu.
TEST(NetLayout, WhatIsSeenWithOtherDimsIsRowMajor) {
  TasteDevice device(blocked);
  Net net(device, input);
  net.conv(16, 3, 1).add("relu").conv(16, 3, 1).add("flatten").fc(3);
  const std::vector<Line> lines = explain(net, 4, false);
  EXPECT_EQ(count(lines, "conv/forward", "_1x16"), 1);
  EXPECT_EQ(count(lines, "conv/forward", "_0x"), 0);
}

// A search takes longer than a net of microseconds could gain by it.
TEST(NetLayout, IsNotLookedForWhereAllIsDoneInMicroseconds) {
  for (const double more : {1e-6, 1e-4}) {
    int asked = 0;
    Taste taste = blocked;
    taste.more = more, taste.asked = &asked;
    TasteDevice device(taste);
    Net net(device, input);
    net.conv(16, 3, 1).add("relu").conv(16, 3, 1);
    EXPECT_EQ(count(explain(net, 1, false), "conv/forward", "_1x16") > 0, more > 1e-5);
    EXPECT_EQ(asked > 0, more > 1e-5) << asked;
  }
}

// Examples side by side stay so where each of them is seen as a vector.
TEST(NetLayout, PutsExamplesSideBySideThroughViews) {
  TasteDevice device(in_lanes);
  Net net(device, {3, 6, 6});
  net.conv(5, 3).add("relu").add("flatten").add("tanh").fc(3);
  EXPECT_EQ(count(explain(net, 32, false), "", "_0x16"), 3);
  EXPECT_EQ(count(explain(net, 24, false), "", "_0x16"), 0); // no multiple
}

TEST(NetLayout, IsRowMajorWhereItGainsNothingOrDoesNotFit) {
  TasteDevice indifferent(none), device(blocked);
  Net plain(indifferent, input), odd(device, {5, 6, 6});
  build(plain);
  odd.conv(6, 3).add("relu").conv(7, 3).fc(3);
  for (Net *net : {&plain, &odd}) {
    EXPECT_EQ(count(explain(*net, 4, true), "", "x16"), 0);
    for (int p = 0; p < net->parameters(); p++) EXPECT_TRUE(lamina_param_is_plain(&param(*net, p)));
  }
}

TEST(NetLayout, GoesThroughBranchesThatMeet) {
  TasteDevice device(blocked);
  lamina_conv_layer conv = {};
  conv.filters = 16, conv.kernel[0] = 1;
  Net net(device, input);
  net.link("conv", "stem", {"input"}, &conv).link("relu", "gate", {"stem"});
  net.link("conv", "left", {"gate"}, &conv).link("conv", "right", {"gate"}, &conv);
  net.link("add", "sum", {"left", "right"}).link("concat", "all", {"sum", "gate"});
  net.link("conv", "last", {"all"}, &conv).add("flatten").fc(3);
  const std::vector<Line> lines = explain(net, 4, true);
  EXPECT_EQ(count(lines, "add/forward", "_1x16"), 3); // of both branches, and of the gate's three gradients
  EXPECT_EQ(count(lines, "add/forward", "packed"), 0);
}

// ---- What is seen from outside

const lamina_sgd momentum = {0.9, 0};

lamina_training training_on(const Examples &examples) {
  lamina_training training = {};
  training.train = training.test = examples;
  training.optimizer = "sgd", training.optimizer_attrs = &momentum, training.decay = 0.01;
  training.batch = 4, training.epochs = 1, training.seed = 3, training.rate.rate = 0.05;
  training.keep_gradients = true;
  return training;
}

struct Outcome {
  std::vector<double> before, after, gradients, scores;
  std::string checkpoint, run;
  bool plain = true;
};

Outcome outcome_of(const Taste &taste, const Temporary &folder) {
  const Examples examples(40, 16, 4, 5);
  const std::string path = folder / "file";
  TasteDevice device(taste);
  Net net(device, input);
  build(net);
  Outcome o;
  EXPECT_OK(lamina_net_init(net, 5));
  o.before = net.all();
  {
    Trainer trainer(net, training_on(examples));
    EXPECT_EQ(net.all(), o.before);
    trainer.steps(4);
    o.after = net.all();
    o.gradients = net.all_gradients();
    EXPECT_OK(lamina_trainer_save(trainer, path.c_str()));
    o.run = read_file(path);
  }
  for (int p = 0; p < net.parameters(); p++) o.plain &= lamina_param_is_plain(&param(net, p));
  const Batch batch(net, 3);
  std::vector<float> y(15);
  EXPECT_OK(lamina_net_forward(net, 3, batch.x.data(), y.data()));
  o.scores.assign(y.begin(), y.end());
  EXPECT_OK(lamina_net_save(net, path.c_str()));
  o.checkpoint = read_file(path);
  return o;
}

TEST(NetLayout, IsNotSeenFromOutside) {
  const Temporary folder = Temporary::in_memory();
  const Outcome plain = outcome_of(none, folder), other = outcome_of(blocked, folder);
  EXPECT_TRUE(plain.plain);
  EXPECT_FALSE(other.plain);
  EXPECT_EQ(plain.before, other.before);
  EXPECT_EQ(plain.after, other.after);
  EXPECT_EQ(plain.gradients, other.gradients);
  EXPECT_EQ(plain.scores, other.scores);
  EXPECT_EQ(plain.run, other.run); // to the byte
  EXPECT_EQ(plain.checkpoint, other.checkpoint);
}

// A run that was stopped under one layout goes on under another.
TEST(NetLayout, IsNotInCheckpoints) {
  const Temporary folder = Temporary::in_memory();
  const std::string path = folder / "run";
  const Examples examples(40, 16, 4, 5);
  std::vector<std::vector<double>> ends;
  for (const Taste *first : {&none, &blocked})
    for (const Taste *second : {&none, &blocked}) {
      TasteDevice device(*first), other(*second);
      Net net(device, input), resumed(other, input);
      build(net), build(resumed);
      {
        Trainer trainer(net, training_on(examples));
        trainer.steps(2);
        ASSERT_OK(lamina_trainer_save(trainer, path.c_str()));
      }
      Trainer trainer(resumed, training_on(examples));
      ASSERT_OK(lamina_trainer_resume(trainer, path.c_str()));
      EXPECT_EQ(resumed.all(), net.all());
      trainer.steps(2);
      ends.push_back(resumed.all());
    }
  for (const std::vector<double> &end : ends) EXPECT_EQ(end, ends[0]);
}

TEST(NetLayout, LeavesWrittenParametersWhatTheyAre) {
  TasteDevice device(blocked);
  Net net(device, input);
  build(net);
  explain(net, 4, true); // settles the layouts before there are any parameters
  ASSERT_OK(lamina_net_init(net, 2));
  const Batch batch(net, 4);
  batch.gradients(net);
  ASSERT_FALSE(lamina_param_is_plain(&param(net, 0)));
  std::vector<double> values = net.parameter(0);
  for (size_t i = 0; i < values.size(); i++) values[i] = static_cast<double>(i);
  net.write(0, values);
  EXPECT_EQ(net.parameter(0), values);
  const float *block = reinterpret_cast<const float *>(static_cast<lamina_net *>(net)->block[LAMINA_BUFFER_PARAMETERS]);
  const lamina_desc &held = param(net, 0).held;
  for (size_t i = 0; i < values.size(); i++)
    ASSERT_EQ(block[lamina_desc_offset(&held, static_cast<int64_t>(i))], static_cast<float>(i));
}

// ---- From one layout to another

// Prediction likes one layout of filters, training another: what is there follows.
TEST(NetLayout, IsSettledAnewByTraining) {
  TasteDevice device(blocked), reference(none);
  Net net(device, input), plain(reference, input);
  std::vector<double> gradients[2];
  for (Net *n : {&net, &plain}) {
    build(*n);
    ASSERT_OK(lamina_net_init(*n, 2));
    const Batch batch(*n, 4);
    std::vector<float> before(20), after(20);
    ASSERT_OK(lamina_net_forward(*n, 4, batch.x.data(), before.data()));
    if (n == &net) { EXPECT_EQ(param(net, 2).held.layout, blocked.forward); }
    const std::vector<double> all = n->all();
    batch.gradients(*n);
    if (n == &net) { // two passes of three
      EXPECT_EQ(param(net, 2).held.layout, blocked.backward);
    }
    EXPECT_EQ(n->all(), all);
    gradients[n == &plain] = n->all_gradients();
    ASSERT_OK(lamina_net_forward(*n, 4, batch.x.data(), after.data()));
    if (n == &net) { // and stays
      EXPECT_EQ(param(net, 2).held.layout, blocked.backward);
    }
    EXPECT_EQ(before, after);
    EXPECT_EQ(n->all_gradients(), gradients[n == &plain]);
  }
  EXPECT_EQ(gradients[0], gradients[1]);
}

// What was planned before a trainer is opened doesn't decide its layouts, so that equal trainings are equal.
TEST(NetLayout, OfATrainingIsItsOwn) {
  TasteDevice device(in_lanes);
  const Examples examples(40, 16, 4, 5);
  Net net(device, input);
  build(net);
  ASSERT_OK(lamina_net_init(net, 2));
  Batch(net, 16).gradients(net); // a batch that fits the lanes, unlike that of the training
  EXPECT_FALSE(lamina_param_is_plain(&param(net, 0)));
  const std::vector<double> before = net.all();
  const Trainer trainer(net, training_on(examples));
  EXPECT_TRUE(lamina_param_is_plain(&param(net, 0)));
  EXPECT_EQ(net.all(), before);
}

// Memory that lacks on the way leaves the net as it was.
TEST(NetLayout, ThatCannotBeTakenLeavesTheNet) {
  bool failed = false, done = false;
  for (int calls = 0; !done; calls += 5) {
    FailingAllocator failing(1 << 30);
    {
      TasteDevice device(blocked, &failing.allocator);
      Net net(device, input);
      net.conv(16, 1).conv(16, 1).fc(5);
      ASSERT_OK(lamina_net_init(net, 2));
      const Batch batch(net, 2);
      std::vector<float> before(10), after(10);
      ASSERT_OK(lamina_net_forward(net, 2, batch.x.data(), before.data()));
      const std::vector<double> all = net.all();
      failing.left = calls;
      double loss;
      const lamina_status status =
          lamina_net_gradients(net, nullptr, 2, batch.x.data(), batch.labels.data(), 1, 0, &loss);
      failing.left = 1 << 30;
      ASSERT_TRUE(status == LAMINA_OK || status == LAMINA_OUT_OF_MEMORY) << lamina_last_error();
      failed |= status != LAMINA_OK, done = status == LAMINA_OK;
      ASSERT_EQ(net.all(), all) << calls;
      ASSERT_OK(lamina_net_forward(net, 2, batch.x.data(), after.data()));
      ASSERT_EQ(before, after) << calls;
    }
    ASSERT_EQ(failing.open, 0);
    ASSERT_LT(calls, 2000);
  }
  EXPECT_TRUE(failed);
}

// ---- The engines that there are

// Sums of small integers are exact in any order, so all layouts must give the very same scores. (Winograd's, which aren't,
// are for filters of 3x3.)
TEST(NetLayout, GivesTheSameScoresOnEveryEngine) {
  for (const int64_t batch : {16, 32, 5}) {
    std::vector<float> scores[2];
    for (int fast = 0; fast < 2; fast++) {
      Device device(fast ? "" : all_on("ref"), 2);
      Net net(device, {3, 12, 12});
      net.conv(16, 5, 2).add("relu").pool("max_pool", 2).conv(32, 5, 2).add("relu").conv(32, 5, 2).add("relu");
      net.pool("max_pool", 2).fc(16).add("relu").fc(4);
      std::mt19937 dice(7);
      for (int p = 0; p < net.parameters(); p++) {
        std::vector<double> values = net.parameter_zeros(p);
        for (double &v : values) v = dice() % 8 == 0 ? static_cast<double>(dice() % 3) - 1 : 0;
        net.write(p, values);
      }
      std::vector<float> x(static_cast<size_t>(batch * net.inputs()));
      for (float &v : x) v = static_cast<float>(dice() % 5) - 2;
      scores[fast].resize(static_cast<size_t>(batch) * 4);
      ASSERT_OK(lamina_net_forward(net, batch, x.data(), scores[fast].data()));
    }
    EXPECT_EQ(scores[0], scores[1]) << batch;
  }
}

} // namespace
