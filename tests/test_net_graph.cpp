// The graph by itself: gradients where a value is read twice, gradients that there can't be, and places in the arena.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "lamina/lamina.h"
#include "net/graph.h"

namespace {

#define OK(call) ASSERT_EQ(call, LAMINA_OK) << lamina_last_error()

// Numbers at an address that is a multiple of 64.
class Memory {
public:
  void assign(size_t count, double value) {
    lines_.resize(count / 8 + 1);
    for (Line &line : lines_)
      for (double &d : line.d) d = value;
  }
  double *data() { return lines_.data()->d; }

private:
  struct alignas(64) Line {
    double d[8];
  };
  std::vector<Line> lines_;
};

// A graph in f64 with blocks of host memory of its own: x, labels, parameters, and 1 as the loss's gradient.
class NetGraph : public testing::Test {
protected:
  void SetUp() override {
    OK(lamina_device_open("cpu", nullptr, &device));
    graph.dtype = LAMINA_F64, graph.batch = 2, graph.training = true, graph.params = &params;
    graph.rng = LAMINA_ABSENT, graph.layer_name = "test";
    def.params = defs, layer.def = &def, std::strcpy(layer.name, "0.test");
    graph.x = value("x", {2, 3}, LAMINA_BUFFER_INPUT);
  }
  void TearDown() override {
    lamina_graph_close(&graph);
    lamina_free(nullptr, params.list);
    lamina_device_close(device);
  }

  int value(const char *name, std::vector<int64_t> dims, lamina_buffer buffer, lamina_dtype dtype = LAMINA_F64) {
    const lamina_desc desc = lamina_dense(dtype, static_cast<int>(dims.size()), dims.data());
    int made = -1;
    EXPECT_EQ(lamina_graph_value(&graph, name, &desc, buffer, 0, &made), LAMINA_OK);
    return made;
  }
  int weights() { // [3, 3]
    const int64_t dims[] = {3, 3};
    int made = -1;
    EXPECT_EQ(lamina_graph_param(&graph, &layer, 0, 2, dims, 3, 3, &made), LAMINA_OK);
    return made;
  }
  int wide_weights() { // [3, 9]
    const int64_t dims[] = {3, 9};
    int made = -1;
    EXPECT_EQ(lamina_graph_param(&graph, &layer, 0, 2, dims, 9, 3, &made), LAMINA_OK);
    return made;
  }
  int fc(int x, int w) {
    int arg[] = {x, w, LAMINA_ABSENT, LAMINA_FRESH};
    EXPECT_EQ(lamina_graph_emit(&graph, "fc/forward", nullptr, arg), LAMINA_OK) << lamina_last_error();
    return arg[3];
  }
  int unary(const char *op, int x) {
    int arg[] = {x, LAMINA_FRESH};
    EXPECT_EQ(lamina_graph_emit(&graph, op, nullptr, arg), LAMINA_OK) << lamina_last_error();
    return arg[1];
  }
  int add(int a, int b) {
    int arg[] = {a, b, LAMINA_FRESH};
    EXPECT_EQ(lamina_graph_emit(&graph, "add/forward", nullptr, arg), LAMINA_OK) << lamina_last_error();
    return arg[2];
  }
  void add_loss(int scores) {
    int arg[] = {scores, value("labels", {2}, LAMINA_BUFFER_LABELS, LAMINA_I32), LAMINA_ABSENT, LAMINA_FRESH,
                 LAMINA_FRESH};
    OK(lamina_graph_emit(&graph, "softmax_cross_entropy/forward", nullptr, arg));
    loss = arg[3];
    graph.values[loss].kept = true;
    graph.values[loss].gradient = value("one", {1}, LAMINA_BUFFER_STEP);
  }
  void plan() {
    OK(lamina_graph_backward(&graph));
    OK(lamina_graph_plan(&graph, device));
    const double x[] = {0.3, -0.7, 1.1, 0.9, 0.2, -0.4};
    const int32_t labels[] = {2, 0};
    memory[LAMINA_BUFFER_ARENA].assign(graph.arena / 8, -1e30); /* what is read before it is written shows */
    memory[LAMINA_BUFFER_INPUT].assign(6, 0);
    memory[LAMINA_BUFFER_LABELS].assign(1, 0);
    memory[LAMINA_BUFFER_STEP].assign(1, 1);
    memory[LAMINA_BUFFER_PARAMETERS].assign(params.bytes / 8, 0);
    memory[LAMINA_BUFFER_GRADIENTS].assign(params.bytes / 8, 77);
    std::memcpy(memory[LAMINA_BUFFER_INPUT].data(), x, sizeof x);
    std::memcpy(memory[LAMINA_BUFFER_LABELS].data(), labels, sizeof labels);
    for (size_t i = 0; i < params.bytes / 8; i++)
      memory[LAMINA_BUFFER_PARAMETERS].data()[i] = std::sin(static_cast<double>(3 * i + 1));
  }
  double run() {
    for (int n = 0; n < graph.node_count; n++) {
      const lamina_node_op &node = graph.nodes[n];
      lamina_args args = {};
      if (node.op < 0) continue;
      for (int i = 0; i < LAMINA_MAX_ARGS; i++)
        if (node.arg[i] >= 0) args.p[i] = at(node.arg[i]);
      char *arena = reinterpret_cast<char *>(memory[LAMINA_BUFFER_ARENA].data());
      EXPECT_EQ(lamina_plan_run(node.plan, &args, arena + node.workspace_offset, nullptr), LAMINA_OK)
          << lamina_last_error();
    }
    return *static_cast<double *>(at(loss));
  }
  void *at(int v) { return reinterpret_cast<char *>(memory[graph.values[v].buffer].data()) + graph.values[v].offset; }
  // Every gradient against central differences of the loss, whose error is some 1e-10 here.
  void check_gradients() {
    plan();
    run();
    const double *computed = memory[LAMINA_BUFFER_GRADIENTS].data();
    const std::vector<double> gradients(computed, computed + params.bytes / 8);
    for (int p = 0; p < params.count; p++)
      for (int64_t e = 0; e < lamina_desc_count(&params.list[p].desc); e++) {
        const size_t i = params.list[p].offset / 8 + static_cast<size_t>(e);
        double &w = memory[LAMINA_BUFFER_PARAMETERS].data()[i];
        const double kept = w, h = 1e-5;
        w = kept + h;
        const double above = run();
        w = kept - h;
        const double below = run();
        w = kept;
        EXPECT_NEAR(gradients[i], (above - below) / (2 * h), 1e-8) << "parameter " << p << ", element " << e;
      }
  }
  // No two blocks that live at the same time share a byte; everything lies in the arena.
  void check_places() {
    struct Block {
      size_t from, to;
      int first, last;
    };
    std::vector<Block> blocks;
    for (int v = 0; v < graph.value_count; v++) {
      const lamina_value &value = graph.values[v];
      if (value.buffer != LAMINA_BUFFER_ARENA || value.root != v || value.last < 0) continue;
      blocks.push_back(
          {value.offset, value.offset + static_cast<size_t>(lamina_desc_bytes(&value.desc)), value.first, value.last});
    }
    for (int n = 0; n < graph.node_count; n++)
      if (graph.nodes[n].plan && lamina_plan_workspace(graph.nodes[n].plan))
        blocks.push_back({graph.nodes[n].workspace_offset,
                          graph.nodes[n].workspace_offset + lamina_plan_workspace(graph.nodes[n].plan), n, n});
    for (size_t i = 0; i < blocks.size(); i++) {
      EXPECT_LE(blocks[i].to, graph.arena);
      EXPECT_EQ(blocks[i].from % 64, 0u);
      for (size_t j = 0; j < i; j++) {
        const bool together = blocks[i].first <= blocks[j].last && blocks[j].first <= blocks[i].last;
        EXPECT_FALSE(together && blocks[i].from < blocks[j].to && blocks[j].from < blocks[i].to)
            << "blocks " << j << " and " << i;
      }
    }
  }

  lamina_device *device = nullptr;
  lamina_graph graph = {};
  lamina_params params = {};
  lamina_param_def defs[2] = {{"w", false, 0, true, false}, {nullptr, false, 0, false, false}};
  lamina_layer_def def = {};
  lamina_layer layer = {};
  int loss = -1;
  std::map<lamina_buffer, Memory> memory;
};

TEST_F(NetGraph, GradientsOfAChain) {
  add_loss(fc(unary("sigmoid/forward", fc(graph.x, weights())), weights()));
  check_gradients();
  check_places();
}

TEST_F(NetGraph, GradientsMeetWhereAValueIsReadTwice) {
  const int h = fc(graph.x, weights());
  add_loss(fc(add(unary("sigmoid/forward", h), add(unary("tanh/forward", h), h)), weights()));
  check_gradients();
  check_places();
}

TEST_F(NetGraph, GradientsMeetWhenBothArgumentsAreOneValue) {
  const int h = fc(graph.x, weights());
  add_loss(add(h, h));
  check_gradients();
  check_places();
}

TEST_F(NetGraph, GradientsOfAParameterThatIsUsedTwice) {
  const int w = weights();
  add_loss(fc(unary("tanh/forward", fc(graph.x, w)), w));
  check_gradients();
  check_places();
}

TEST_F(NetGraph, GradientsThroughAView) {
  const int h = fc(graph.x, weights());
  const int64_t row[] = {1, 6}, back[] = {2, 3};
  int seen = -1, again = -1;
  OK(lamina_graph_view(&graph, h, 2, row, &seen));
  OK(lamina_graph_view(&graph, unary("tanh/forward", seen), 2, back, &again));
  add_loss(add(again, h));
  check_gradients();
  check_places();
}

// Both ways through a ReLU are one node with the product beside it, also where it is seen with other dims between.
TEST_F(NetGraph, GradientsThroughFusedNodes) {
  const int h = unary("relu/forward", fc(graph.x, weights())), u = unary("relu/forward", fc(h, weights()));
  const int64_t row[] = {1, 6}, back[] = {2, 3};
  int seen = -1, again = -1;
  OK(lamina_graph_view(&graph, u, 2, row, &seen));
  OK(lamina_graph_view(&graph, seen, 2, back, &again));
  add_loss(fc(again, weights()));
  check_gradients();
  check_places();
  std::map<std::string, int> nodes;
  for (int n = 0; n < graph.node_count; n++)
    if (graph.nodes[n].op >= 0) nodes[lamina_op_at(graph.nodes[n].op)->name]++;
  EXPECT_EQ(nodes["fc_relu/forward"], 2);
  EXPECT_EQ(nodes["relu_fc/backward_data"], 2);
  EXPECT_EQ(nodes["relu/forward"] + nodes["relu/backward"], 0);
}

// The input has no gradient, so only the sizes that forward found say where that of h begins.
TEST_F(NetGraph, GradientsPastAPartThatHasNone) {
  const int h = fc(graph.x, weights());
  int arg[] = {
      graph.x,       h,           unary("tanh/forward", h), LAMINA_ABSENT, LAMINA_ABSENT, LAMINA_ABSENT, LAMINA_ABSENT,
      LAMINA_ABSENT, LAMINA_FRESH};
  OK(lamina_graph_emit(&graph, "concat/forward", nullptr, arg));
  const lamina_split split = {0, 0, 3, {}}; /* of the second part nothing is read */
  int parts[] = {arg[8],        LAMINA_FRESH,  LAMINA_ABSENT, LAMINA_FRESH, LAMINA_ABSENT,
                 LAMINA_ABSENT, LAMINA_ABSENT, LAMINA_ABSENT, LAMINA_ABSENT};
  OK(lamina_graph_emit(&graph, "split/forward", &split, parts));
  add_loss(add(parts[3], fc(arg[8], wide_weights())));
  check_gradients();
  check_places();
}

// copy has no backward pass: a parameter before it would never learn, and nothing would say so.
TEST_F(NetGraph, AGradientThatNoOpGivesIsAnError) {
  add_loss(unary("copy/forward", fc(graph.x, weights())));
  EXPECT_EQ(lamina_graph_backward(&graph), LAMINA_UNSUPPORTED);
  EXPECT_STREQ(lamina_last_error(), "copy/forward has no gradient of its x");
}

TEST_F(NetGraph, NothingIsComputedForTheInput) {
  add_loss(fc(unary("copy/forward", graph.x), weights())); /* nor asked of an op that couldn't */
  OK(lamina_graph_backward(&graph));
  for (int n = 0; n < graph.node_count; n++) EXPECT_STRNE(lamina_op_at(graph.nodes[n].op)->name, "fc/backward_data");
}

// The two arguments of an add are one value that isn't read again: y may not take its place, since b is not alone.
TEST_F(NetGraph, NothingRunsInPlaceOfWhatItReadsTwice) {
  const int h = fc(graph.x, weights());
  add(h, h);
  OK(lamina_graph_plan(&graph, device));
  EXPECT_EQ(graph.nodes[graph.node_count - 1].aliased, 0u);
}

TEST_F(NetGraph, ASumOfSizesThatOverflowsIsAnError) {
  const int64_t most = INT64_MAX / 8 / 4 * 3; /* of bytes: three quarters of what one may have */
  const int a = value("a", {most}, LAMINA_BUFFER_ARENA), b = value("b", {most}, LAMINA_BUFFER_ARENA);
  add(unary("scale/forward", a), unary("scale/forward", b));
  EXPECT_EQ(lamina_graph_plan(&graph, device), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "the size of all activations together overflows");
}

TEST(NetLayers, AnAxisTooManyIsAnError) {
  lamina_device *device = nullptr;
  lamina_net *net = nullptr;
  lamina_net_options options = {};
  options.rank = 3, options.dims[0] = 1, options.dims[1] = options.dims[2] = 9;
  ASSERT_EQ(lamina_device_open("cpu", nullptr, &device), LAMINA_OK);
  ASSERT_EQ(lamina_net_open(device, &options, &net), LAMINA_OK);
  lamina_conv_layer conv = {};
  conv.filters = 2, conv.kernel[0] = conv.kernel[1] = conv.kernel[2] = 3;
  EXPECT_EQ(lamina_net_add(net, "conv", &conv), LAMINA_INVALID);
  EXPECT_TRUE(std::strstr(lamina_last_error(), "kernel is given for 3 axes, but its input has 2 spatial axes"))
      << lamina_last_error();
  lamina_pool_layer pool = {};
  pool.kernel[0] = 2, pool.stride[2] = 1;
  EXPECT_EQ(lamina_net_add(net, "max_pool", &pool), LAMINA_INVALID);
  EXPECT_TRUE(std::strstr(lamina_last_error(), "stride is given for 3 axes")) << lamina_last_error();
  lamina_net_close(net);
  lamina_device_close(device);
}

} // namespace
