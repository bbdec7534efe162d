// Updates behind each parameter's gradient: they give what one update of all gives, in less memory, when nobody reads the
// old values any more; and the gate holds them back.
#include <cmath>
#include <map>
#include <set>

#include "lamina/optimizer.h"
#include "net/trainer.h"
#include "net_fixture.h"
#include "temporary.h"

namespace {

class NetUpdate : public testing::Test {
protected:
  Examples examples{24, 1, 8, 4};
  lamina_sgd plain = {}, momentum = {0.9, 0}, nesterov = {0.8, 1};
  lamina_adam adam = {};

  // Filters that a branch reads again, state, and a layer of each kind that has parameters of its own.
  static Net &build(Net &net) {
    net.conv(4, 3, 1).add("batch_norm").add("prelu").link("conv", "side", {"2.prelu"}, &side()).add("relu");
    return net.link("add", "joined", {"2.prelu", "4.relu"}).pool("max_pool", 2).dropout(0.2).fc(19).add("relu").fc(4);
  }
  static lamina_conv_layer &side() {
    static lamina_conv_layer conv = {};
    conv.filters = 4, conv.kernel[0] = conv.kernel[1] = 3;
    for (int a = 0; a < 2; a++) conv.pad[a][0] = conv.pad[a][1] = 1;
    return conv;
  }
  lamina_training options(bool keeps, const char *optimizer = "sgd", const void *attrs = nullptr,
                          double decay = 0) const {
    lamina_training training = {};
    training.train = examples, training.batch = 6, training.epochs = 2, training.rate.rate = 0.05;
    training.optimizer = optimizer, training.optimizer_attrs = attrs, training.decay = decay;
    training.keep_gradients = keeps, training.threads = -1;
    return training;
  }
  static const lamina_executor *executor_of(const Trainer &trainer) {
    return static_cast<lamina_trainer *>(trainer)->executor;
  }
};

// Bit for bit: the same numbers are added in the same order.
TEST_F(NetUpdate, IsTheOneUpdateOfAll) {
  const struct {
    const char *optimizer;
    const void *attrs;
    double decay;
  } kinds[] = {{"sgd", &plain, 0}, {"sgd", &momentum, 0.01}, {"sgd", &nesterov, 0.1}, {"adam", &adam, 0.1}};
  for (const lamina_dtype dtype : {LAMINA_F32, LAMINA_BF16})
    for (const auto &kind : kinds) {
      Device device;
      Net each(device, {1, 8, 8}, dtype), once(device, {1, 8, 8}, dtype);
      Trainer early(build(each), options(false, kind.optimizer, kind.attrs, kind.decay));
      Trainer late(build(once), options(true, kind.optimizer, kind.attrs, kind.decay));
      EXPECT_TRUE(executor_of(early)->early);
      EXPECT_FALSE(executor_of(late)->early);
      early.steps(8), late.steps(8);
      EXPECT_EQ(each.all(), once.all()) << kind.optimizer << ", decay " << kind.decay;
      EXPECT_EQ(early.progress().mean_loss, late.progress().mean_loss);
    }
}

// On paper: once a parameter is updated no node touches it, and it is updated once.
TEST_F(NetUpdate, NobodyReadsWhatIsUpdated) {
  Device device;
  Net net(device, {1, 8, 8});
  Trainer trainer(build(net), options(false));
  const lamina_graph &graph = executor_of(trainer)->graph;
  std::set<int> updated;
  int before_the_last_pass = 0;
  for (int n = 0; n < graph.node_count; n++) {
    const lamina_node_op &node = graph.nodes[n];
    if (node.op < 0) continue;
    const lamina_op_def *op = lamina_op_at(node.op);
    const std::string name = op->name;
    for (int i = 0; op->args[i].name; i++) {
      if (node.arg[i] < 0) continue;
      EXPECT_NE(graph.values[node.arg[i]].buffer, LAMINA_BUFFER_GRADIENTS) << name;
      EXPECT_FALSE(updated.count(graph.values[node.arg[i]].root)) << "node " << n << ", " << name;
    }
    const int w = lamina_op_arg(op, "w");
    if (name.find("/update") != std::string::npos) updated.insert(graph.values[node.arg[w]].root);
    if (name == "conv/backward_weights") before_the_last_pass = static_cast<int>(updated.size());
  }
  lamina_net *inside = net;
  EXPECT_EQ(updated.size(), static_cast<size_t>(inside->params.trained));
  EXPECT_GE(before_the_last_pass, 8); // all but the first convolution's own and its bias's
}

TEST_F(NetUpdate, TakesNoBlockOfGradients) {
  Device device;
  Net net(device, {1, 8, 8}), keeping(device, {1, 8, 8});
  for (Net *each : {&net, &keeping}) each->fc(300).add("relu").fc(300).add("relu").fc(4);
  lamina_memory_need need = {}, kept = {};
  const lamina_training without = options(false, "sgd", &momentum), with = options(true, "sgd", &momentum);
  ASSERT_OK(lamina_training_memory(net, &without, &need));
  ASSERT_OK(lamina_training_memory(keeping, &with, &kept));
  EXPECT_EQ(need.gradients, 0u);
  EXPECT_EQ(kept.gradients, kept.parameters);
  EXPECT_LT(need.activations, kept.activations + 300 * 300 * 4 + 4096); // the largest alone
  const Trainer trainer(net, without);
  size_t now = 0, most = 0;
  lamina_memory_used(device, &now, &most);
  EXPECT_LE(now, need.device);
}

// In host memory large batches are made one ahead, small ones two.
TEST_F(NetUpdate, FewLargeBatchesAreMadeAhead) {
  const Examples large(40, 3, 224, 4);
  Device device;
  Net net(device, {3, 224, 224});
  net.pool("max_pool", 14).fc(4);
  lamina_training training = options(false);
  training.train = large, training.threads = 1, training.evaluate = -1;
  for (const int64_t batch : {2, 32}) {
    lamina_memory_need need = {};
    training.batch = batch;
    ASSERT_OK(lamina_training_memory(net, &training, &need));
    const size_t bytes = static_cast<size_t>(batch) * 3 * 224 * 224 * 4, slots = batch == 2 ? 3 : 2;
    EXPECT_GE(need.loader, slots * bytes);
    EXPECT_LT(need.loader, slots * bytes + 8192);
  }
}

// A gradient of more than 16 MiB never exists whole. Engines may sum in another order for fewer rows.
TEST_F(NetUpdate, MakesLargeGradientsInSlices) {
  Device device;
  Net each(device, {1, 8, 8}), once(device, {1, 8, 8});
  for (Net *net : {&each, &once}) net->fc(70001).add("relu").fc(4);
  Trainer early(each, options(false, "sgd", &momentum, 0.01)), late(once, options(true, "sgd", &momentum, 0.01));
  const lamina_graph &graph = executor_of(early)->graph;
  std::vector<int64_t> rows;
  std::map<int, int> updates; // of parameters
  for (int n = 0; n < graph.node_count; n++) {
    if (graph.nodes[n].op < 0) continue;
    const std::string name = lamina_op_at(graph.nodes[n].op)->name;
    if (name == "sgd/update") updates[graph.values[graph.nodes[n].arg[0]].root]++;
    if (name == "fc/backward_weights") rows.push_back(graph.values[graph.nodes[n].arg[2]].desc.dims[0]);
  }
  EXPECT_EQ(rows, (std::vector<int64_t>{4, 35008, 34993}));
  EXPECT_EQ(updates.size(), 4u);
  EXPECT_LT(graph.arena, size_t{12} << 20);
  for (int step = 0; step < 3; step++) {
    early.steps(1), late.steps(1);
    const std::vector<double> a = each.all(), b = once.all();
    for (size_t i = 0; i < a.size(); i++) ASSERT_NEAR(a[i], b[i], 1e-5 * (std::abs(b[i]) + 0.01)) << i;
  }
  EXPECT_NE(each.parameter(0).back(), 0);
}

// On paper, of narrow numbers: each piece's master and moment are where the piece itself is, twice as far in their blocks,
// and the pieces are all of the parameters.
TEST_F(NetUpdate, SlicesOfNarrowParametersHaveTheirMasters) {
  Device device;
  Net net(device, {1, 8, 8}, LAMINA_BF16);
  net.fc(140001).add("relu").fc(4);
  lamina_memory_need need = {};
  const lamina_training training = options(false, "sgd", &momentum, 0.01);
  ASSERT_OK(lamina_training_memory(net, &training, &need));
  const lamina_graph &graph = static_cast<lamina_net *>(net)->executors->graph;
  const lamina_op_def *op = lamina_op_at(lamina_op_find("sgd/update"));
  int64_t numbers = 0;
  int updates = 0;
  for (int n = 0; n < graph.node_count; n++) {
    if (graph.nodes[n].op < 0 || lamina_op_at(graph.nodes[n].op) != op) continue;
    const auto value = [&](const char *name) { return graph.values[graph.nodes[n].arg[lamina_op_arg(op, name)]]; };
    const lamina_value shadow = value("shadow"), w = value("w"), m = value("m"), g = value("g");
    EXPECT_EQ(shadow.buffer, LAMINA_BUFFER_PARAMETERS);
    EXPECT_EQ(w.buffer, LAMINA_BUFFER_MASTERS);
    EXPECT_EQ(m.buffer, LAMINA_BUFFER_MOMENT1);
    EXPECT_EQ(w.offset, 2 * shadow.offset);
    EXPECT_EQ(m.offset, w.offset);
    for (const lamina_value *each : {&shadow, &g}) EXPECT_EQ(each->desc.dtype, LAMINA_BF16);
    for (const lamina_value *each : {&w, &m}) EXPECT_EQ(each->desc.dtype, LAMINA_F32);
    for (const lamina_value *each : {&w, &m, &g})
      EXPECT_EQ(lamina_desc_count(&each->desc), lamina_desc_count(&shadow.desc));
    numbers += lamina_desc_count(&w.desc), updates++;
  }
  EXPECT_EQ(numbers, lamina_net_parameter_total(net));
  EXPECT_GT(updates, 4);
}

// Gradients that were asked for are there until a step that doesn't keep its own.
TEST_F(NetUpdate, GradientsAreThereWhereTheyAreAskedFor) {
  Device device;
  Net net(device, {1, 8, 8});
  build(net);
  ASSERT_OK(lamina_net_init(net, 3));
  const Batch batch(net, 4);
  batch.gradients(net);
  const std::vector<double> asked = net.all_gradients(), parameters = net.all();
  Trainer trainer(net, options(false));
  EXPECT_EQ(net.all_gradients(), asked);
  EXPECT_EQ(net.all(), parameters);
  trainer.steps(1);
  float number[4096];
  EXPECT_ERROR(
      lamina_net_gradient_read(net, 0, number), LAMINA_INVALID,
      "the net has no gradients; lamina_net_gradients computes some, and a trainer keeps its own with keep_gradients");
  const std::vector<double> after = net.all();
  batch.gradients(net);
  EXPECT_NE(net.all_gradients(), asked);
  EXPECT_EQ(net.all(), after) << "asking for gradients updates nothing";
}

// The gate is what the loss says, before any parameter is touched.
TEST_F(NetUpdate, ALossThatIsNotFiniteHoldsAllBack) {
  Device device;
  Net net(device, {1, 8, 8});
  Trainer trainer(build(net), options(false, "sgd", &momentum, 0.1));
  trainer.steps(2);
  std::vector<double> w = net.parameter(0);
  const std::vector<double> good = w;
  w[0] = NAN;
  net.write(0, w);
  const std::vector<double> before = net.all();
  EXPECT_EQ(lamina_trainer_step(trainer), LAMINA_NOT_FINITE);
  const std::vector<double> after = net.all();
  for (size_t i = 1; i < after.size(); i++) ASSERT_EQ(after[i], before[i]) << i;
  net.write(0, good);
  trainer.steps(1);
  for (const double number : net.all()) ASSERT_TRUE(std::isfinite(number));
}

// A plug-in's engines may fail at any time: then all is updated at the end.
TEST_F(NetUpdate, EnginesFromOutsideAreNotTrusted) {
  lamina_engine engine = {};
  engine.size = sizeof engine, engine.abi = LAMINA_ENGINE_ABI, engine.device = "cpu", engine.name = "mine";
  engine.op = "fc/backward_data";
  engine.candidates = [](lamina_device *, const lamina_problem *, const lamina_engine *, lamina_candidate_fn *each,
                         void *context) { each(context, "", 1e-9, ""); };
  engine.run = [](const lamina_plan *, const lamina_args *, void *, lamina_stream *) {
    return lamina_error(LAMINA_DEVICE, "it fell off the bus");
  };
  Device device;
  ASSERT_OK(lamina_engine_register(device, &engine));
  Net net(device, {1, 8, 8});
  Trainer trainer(net.fc(9).add("relu").fc(4), options(false));
  const std::vector<double> before = net.all();
  EXPECT_FALSE(executor_of(trainer)->early);
  EXPECT_ERROR(lamina_trainer_step(trainer), LAMINA_DEVICE, "2.fc: it fell off the bus");
  EXPECT_EQ(net.all(), before);
}

// A step that fails among its updates: here since an activation's memory is gone.
TEST_F(NetUpdate, AStepThatIsHalfDoneIsNoPlaceToGoOnFrom) {
  const Temporary folder;
  const std::string path = folder / "good.safetensors";
  Device device;
  Net net(device, {1, 8, 8});
  Trainer trainer(build(net), options(false));
  trainer.steps(1);
  ASSERT_OK(lamina_trainer_save(trainer, path.c_str()));
  const std::vector<double> good = net.all();
  lamina_graph &graph = static_cast<lamina_trainer *>(trainer)->executor->graph;
  lamina_node_op &last = graph.nodes[graph.node_count - 1]; // a state's commit
  const int place = last.arg[0];
  last.arg[0] = LAMINA_ABSENT;
  EXPECT_ERROR(lamina_trainer_step(trainer), LAMINA_INVALID, "loss or update: commit/forward: the data of x is NULL");
  last.arg[0] = place;
  EXPECT_NE(net.all(), good);
  const char *const sentence =
      "a step failed when some of the parameters were updated already, so they are of no step; "
      "resume from a checkpoint";
  EXPECT_ERROR(lamina_trainer_step(trainer), LAMINA_INTERNAL, sentence);
  EXPECT_ERROR(lamina_trainer_save(trainer, path.c_str()), LAMINA_INTERNAL, sentence);
  ASSERT_OK(lamina_trainer_resume(trainer, path.c_str()));
  EXPECT_EQ(net.all(), good);
  trainer.steps(1);
}

} // namespace
