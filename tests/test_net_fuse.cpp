// Fused nodes in nets: where there are some, where there must be none, and that the results stay what they are.
#include "net_fixture.h"

#include <sstream>

#include "lamina/engine.h"

namespace {

// Every op on our loops, and a word more, which counts.
std::string loops(const std::string &more = "") { return all_on("loop") + (more.empty() ? "" : ",") + more; }
// Where an engine is asked for that the parts' isn't, the parts stay.
const char *const parts =
    "conv_relu:loop/depthwise,relu_conv:loop/depthwise,fc_relu:loop/depthwise,relu_fc:loop/depthwise";
const char *const all_fused[] = {"conv_relu/forward", "relu_conv/backward_data", "fc_relu/forward",
                                 "relu_fc/backward_data"};

void build(Net &net) { net.conv(4, 3, 1).add("relu").conv(6, 3).add("relu").add("flatten").fc(5).add("relu").fc(3); }

// The ops of a training step, in their order.
std::vector<std::string> ops_of(lamina_net *net) {
  const char *text = nullptr;
  EXPECT_OK(lamina_net_explain(net, 2, true, &text));
  std::vector<std::string> ops;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string layer, op;
    words >> layer >> op;
    ops.push_back(layer + " " + op);
  }
  return ops;
}

int count(const std::vector<std::string> &ops, const std::string &op) {
  int found = 0;
  for (const std::string &line : ops) found += line.substr(line.find(' ') + 1) == op;
  return found;
}

TEST(NetFuse, TakesTheOpsOfItsRowsFromThePartsAndNamesTheFirstOnesLayer) {
  Device device(loops());
  Net net(device, {2, 6, 6});
  build(net);
  const std::vector<std::string> ops = ops_of(net);
  EXPECT_EQ(count(ops, "conv_relu/forward"), 2);
  EXPECT_EQ(count(ops, "fc_relu/forward"), 1);
  EXPECT_EQ(count(ops, "relu_conv/backward_data"), 1); // nobody wants the first convolution's
  EXPECT_EQ(count(ops, "relu_fc/backward_data"), 2);   // one of them through the view that flatten is
  for (const char *op : {"relu/forward", "relu/backward", "conv/forward", "conv/backward_data", "fc/backward_data"})
    EXPECT_EQ(count(ops, op), 0) << op;
  EXPECT_EQ(count(ops, "fc/forward"), 1);
  EXPECT_EQ(ops[0], "0.conv conv_relu/forward");
}

TEST(NetFuse, GivesWhatItsPartsGive) {
  for (const lamina_dtype dtype : {LAMINA_F32, LAMINA_BF16, LAMINA_F64}) {
    std::vector<double> gradients[2];
    double loss[2];
    for (int fused = 0; fused < 2; fused++) {
      const std::string on = all_on(dtype == LAMINA_F64 ? "ref" : "loop");
      Device device(fused ? on : on + "," + parts);
      Net net(device, {2, 6, 6}, dtype);
      build(net);
      ASSERT_OK(lamina_net_init(net, 3));
      const Batch batch(net, 4);
      loss[fused] = batch.gradients(net);
      gradients[fused] = net.all_gradients();
      for (const char *op : all_fused) EXPECT_EQ(count(ops_of(net), op) > 0, fused == 1) << op;
    }
    EXPECT_EQ(loss[0], loss[1]) << lamina_dtype_name(dtype);
    EXPECT_EQ(gradients[0], gradients[1]) << lamina_dtype_name(dtype); // to the bit: only the stores between are gone
  }
}

// What another layer reads must be there, be it before the relu or behind it.
TEST(NetFuse, LeavesWhatOthersRead) {
  Device device(loops());
  for (const bool first : {false, true}) {
    lamina_conv_layer conv = {};
    conv.filters = 2, conv.kernel[0] = 1;
    Net net(device, {2, 4, 4});
    net.link("conv", "stem", {"input"}, &conv);
    net.link(first ? "tanh" : "relu", "one", {"stem"}).link(first ? "relu" : "tanh", "other", {"stem"});
    net.link("add", "sum", {"one", "other"}).add("flatten").fc(3);
    const std::vector<std::string> ops = ops_of(net);
    EXPECT_EQ(count(ops, "conv_relu/forward"), 0);
    EXPECT_EQ(count(ops, "conv/forward"), 1);
    EXPECT_EQ(count(ops, "relu/forward"), 1);
    EXPECT_EQ(count(ops, "relu/backward"), 1); // its gradient comes from the add
  }
}

// Two gradients meet before the relu: neither is all of what it takes.
TEST(NetFuse, LeavesGradientsThatMeet) {
  Device device(loops());
  lamina_conv_layer conv = {};
  conv.filters = 2, conv.kernel[0] = 1;
  Net net(device, {2, 4, 4});
  net.link("conv", "stem", {"input"}, &conv).link("relu", "gate", {"stem"});
  net.link("conv", "left", {"gate"}, &conv).link("conv", "right", {"gate"}, &conv);
  net.link("add", "sum", {"left", "right"}).add("flatten").fc(3);
  const std::vector<std::string> ops = ops_of(net);
  EXPECT_EQ(count(ops, "conv_relu/forward"), 1);
  EXPECT_EQ(count(ops, "relu_conv/backward_data"), 0);
  EXPECT_EQ(count(ops, "conv/backward_data"), 2);
  EXPECT_EQ(count(ops, "relu/backward"), 1);
}

TEST(NetFuse, LeavesPartsThatAnEngineIsAskedForByName) {
  for (const char *engine : {"conv/forward:ref", "relu/forward:ref", "conv_relu:ref"}) {
    Device device(loops(engine));
    Net net(device, {2, 6, 6});
    build(net);
    const std::vector<std::string> ops = ops_of(net);
    EXPECT_EQ(count(ops, "conv_relu/forward"), 0) << engine;
    EXPECT_EQ(count(ops, "conv/forward"), 2) << engine;
    EXPECT_EQ(count(ops, "relu_fc/backward_data"), 2) << engine;
  }
}

// An engine that is slower than the parts, by its own word, isn't taken; nor is there need for any.
void dear(lamina_device *, const lamina_problem *, const lamina_engine *, lamina_candidate_fn *each, void *context) {
  each(context, "", 1e6, "");
}
void none(lamina_device *, const lamina_problem *, const lamina_engine *, lamina_candidate_fn *each, void *context) {
  each(context, nullptr, 0, "it takes nothing");
}
lamina_status fails(const lamina_plan *, const lamina_args *, void *, lamina_stream *) {
  return lamina_error(LAMINA_DEVICE, "it ran");
}

TEST(NetFuse, LeavesPartsThatAreFasterOrHaveNoFusedEngine) {
  for (const auto candidates : {dear, none}) {
    lamina_engine conv = {}, fused = {}, relu = {};
    conv.size = sizeof conv, conv.abi = LAMINA_ENGINE_ABI, conv.device = "cpu", conv.name = "mine";
    conv.op = "conv/forward", conv.run = fails;
    conv.candidates = [](lamina_device *, const lamina_problem *, const lamina_engine *, lamina_candidate_fn *each,
                         void *context) { each(context, "", 1e-6, ""); };
    fused = relu = conv;
    relu.op = "relu/forward", fused.op = "conv_relu/forward", fused.candidates = candidates;
    Device device("conv/forward:mine,conv_relu:mine,relu/forward:mine");
    for (const lamina_engine *engine : {&conv, &relu, &fused}) ASSERT_OK(lamina_engine_register(device, engine));
    Net net(device, {2, 6, 6});
    build(net);
    const std::vector<std::string> ops = ops_of(net);
    EXPECT_EQ(count(ops, "conv_relu/forward"), 0);
    EXPECT_EQ(count(ops, "conv/forward"), 2);
  }
}

// ---- Max pools behind a ReLU --------------------------------------------------------------------------------------

const char *const relu_and_pool = "relu_max_pool:loop/depthwise"; // asked for by name, the parts aren't: they stay

void build_pools(Net &net) {
  net.conv(4, 3, 1).add("relu").pool("max_pool", 2).conv(6, 3, 1).add("relu").pool("max_pool", 3).fc(3);
}

TEST(NetFuse, PoolsTakeTheReluBeforeThemInBothPasses) {
  Device device(loops());
  Net net(device, {2, 12, 12});
  build_pools(net);
  const std::vector<std::string> ops = ops_of(net);
  EXPECT_EQ(count(ops, "relu_max_pool/forward"), 2);
  EXPECT_EQ(count(ops, "relu_max_pool/backward"), 2);
  for (const char *op : {"relu/forward", "relu/backward", "max_pool/forward", "max_pool/backward", "conv_relu/forward"})
    EXPECT_EQ(count(ops, op), 0) << op;
  EXPECT_EQ(ops[1], "2.max_pool relu_max_pool/forward");
}

TEST(NetFuse, PoolsBehindAReluGiveWhatTheirPartsGive) {
  for (const lamina_dtype dtype : {LAMINA_F32, LAMINA_BF16, LAMINA_F64}) {
    std::vector<double> gradients[2];
    double loss[2];
    for (int fused = 0; fused < 2; fused++) {
      const std::string on = all_on(dtype == LAMINA_F64 ? "ref" : "loop");
      Device device(fused ? on : on + "," + relu_and_pool);
      Net net(device, {2, 12, 12}, dtype);
      build_pools(net);
      ASSERT_OK(lamina_net_init(net, 3));
      const Batch batch(net, 4);
      loss[fused] = batch.gradients(net);
      gradients[fused] = net.all_gradients();
      EXPECT_EQ(count(ops_of(net), "relu_max_pool/backward"), fused ? 2 : 0);
    }
    EXPECT_EQ(loss[0], loss[1]) << lamina_dtype_name(dtype);
    EXPECT_EQ(gradients[0], gradients[1]) << lamina_dtype_name(dtype); // to the bit
  }
}

// Somebody else reads what the ReLU gives; the pool takes it in another shape; the ReLU is the first of all.
TEST(NetFuse, PoolsLeaveAReluThatOthersReadAndTakeOneOfTheInput) {
  Device device(loops());
  lamina_pool_layer two = {};
  two.kernel[0] = 2;
  Net shared(device, {2, 4, 4});
  shared.link("relu", "gate", {"input"}).link("max_pool", "most", {"gate"}, &two);
  shared.link("avg_pool", "mean", {"gate"}, &two).link("add", "sum", {"most", "mean"}).add("flatten").fc(3);
  EXPECT_EQ(count(ops_of(shared), "relu_max_pool/forward"), 0);
  EXPECT_EQ(count(ops_of(shared), "relu/forward"), 1);
  Net first(device, {2, 4, 4});
  first.add("relu").pool("max_pool", 2).fc(3);
  EXPECT_EQ(count(ops_of(first), "relu_max_pool/forward"), 1);
  EXPECT_EQ(count(ops_of(first), "relu_max_pool/backward"), 0); // nobody wants the input's gradient
}

TEST(NetFuse, PoolsLeaveTheReluWhereItsEstimateIsLess) {
  lamina_engine fused = {};
  fused.size = sizeof fused, fused.abi = LAMINA_ENGINE_ABI, fused.device = "cpu", fused.name = "mine";
  fused.op = "relu_max_pool/backward", fused.run = fails;
  for (const auto candidates : {dear, none}) {
    fused.candidates = candidates;
    lamina_engine relu = fused, pool = fused;
    relu.op = "relu/backward", pool.op = "max_pool/backward";
    relu.candidates = pool.candidates = [](lamina_device *, const lamina_problem *, const lamina_engine *,
                                           lamina_candidate_fn *each, void *context) { each(context, "", 1e-6, ""); };
    Device device("relu/backward:mine,max_pool/backward:mine,relu_max_pool/backward:mine");
    for (const lamina_engine *engine : {&fused, &relu, &pool}) ASSERT_OK(lamina_engine_register(device, engine));
    Net net(device, {2, 12, 12});
    build_pools(net);
    EXPECT_EQ(count(ops_of(net), "relu_max_pool/forward"), 0);
    EXPECT_EQ(count(ops_of(net), "max_pool/backward"), 2);
  }
}

} // namespace
