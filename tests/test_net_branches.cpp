// Nets that branch and join: names, inputs, what a recipe says of them, and what is wrong with others.
#include <algorithm>
#include <cstdio>
#include <fstream>

#include "net_fixture.h"
#include "temporary.h"

extern "C" {
#include "net/recipe.h"
}

namespace {

lamina_status parse(lamina_device *device, const std::string &layers, lamina_net **net) {
  *net = nullptr;
  return lamina_recipe_parse(device, "net.yaml", ("input: [2, 6, 6]\nnet:\n" + layers).c_str(), nullptr, net);
}

std::string described(const lamina_net *net) {
  lamina_text text = {};
  EXPECT_OK(lamina_net_describe(net, &text));
  const std::string copy = text.data;
  lamina_text_free(&text);
  return copy;
}

// x + relu(x) twice, worked by hand.
TEST(NetBranches, AddAndInput) {
  Device device;
  Net net(device, {3});
  net.link("relu", "positive", {})
      .link("add", "sum", {"positive", "input"})
      .link("add", "", {"sum", "positive", "input"});
  ASSERT_OK(lamina_net_init(net, 1));
  const float x[] = {-1, 0.5f, 3, 2, -4, 0};
  float y[6];
  ASSERT_OK(lamina_net_forward(net, 2, x, y));
  for (int i = 0; i < 6; i++) EXPECT_EQ(y[i], x[i] > 0 ? 4 * x[i] : 2 * x[i]) << i;
}

TEST(NetBranches, ConcatAlongChannelsAndRows) {
  Device device;
  lamina_net *parsed;
  ASSERT_OK(parse(
      device, "  - relu: {name: a}\n  - concat: input\n  - concat: {from: [1.concat, 1.concat], axis: -2}\n", &parsed));
  Net net(parsed);
  ASSERT_OK(lamina_net_init(net, 1));
  const lamina_desc out = lamina_net_output(net);
  ASSERT_EQ(Dims(out.dims, out.dims + out.rank), (Dims{4, 12, 6}));
  std::vector<float> x(72), y(288);
  for (size_t i = 0; i < x.size(); i++) x[i] = static_cast<float>(i % 7) - 3;
  ASSERT_OK(lamina_net_forward(net, 1, x.data(), y.data()));
  for (size_t c = 0; c < 4; c++)
    for (size_t h = 0; h < 12; h++)
      for (size_t w = 0; w < 6; w++) {
        const float from = x[(c % 2 * 6 + h % 6) * 6 + w];
        EXPECT_EQ(y[(c * 12 + h) * 6 + w], c < 2 ? std::max(from, 0.0f) : from);
      }
}

TEST(NetBranches, ARecipeSaysTheSame) {
  Device device;
  lamina_net *parsed;
  ASSERT_OK(parse(device,
                  "  - conv: {filters: 4, kernel: 3, pad: 1, name: stem}\n"
                  "  - relu\n"
                  "  - conv: {filters: 4, kernel: 1}\n"
                  "  - add: stem\n"
                  "  - relu: {name: last, from: stem}\n"
                  "  - add: [3.add, last, 1.relu]\n"
                  "  - add: {from: [5.add, last], name: end}\n",
                  &parsed));
  Net first(parsed), second(device, {2, 6, 6});
  lamina_conv_layer stem = {}, inner = {};
  stem.filters = 4, stem.kernel[0] = 3, stem.same = 0;
  stem.pad[0][0] = stem.pad[0][1] = stem.pad[1][0] = stem.pad[1][1] = 1;
  inner.filters = 4, inner.kernel[0] = 1;
  second.link("conv", "stem", {}, &stem).add("relu").add("conv", inner).link("add", "", {"2.conv", "stem"});
  second.link("relu", "last", {"stem"})
      .link("add", "", {"3.add", "last", "1.relu"})
      .link("add", "end", {"5.add", "last"});
  for (Net *net : {&first, &second}) ASSERT_OK(lamina_net_init(*net, 5));
  const Batch batch(first, 2);
  std::vector<float> y[2];
  for (int i = 0; i < 2; i++) {
    y[i].resize(static_cast<size_t>(2 * first.outputs()));
    ASSERT_OK(lamina_net_forward(i ? second : first, 2, batch.x.data(), y[i].data()));
  }
  EXPECT_EQ(y[0], y[1]);
  EXPECT_EQ(lamina_net_parameter_find(first, "stem.w"), 0);
  EXPECT_EQ(lamina_net_parameter_find(first, "2.conv.b"), 3);

  lamina_net *again;
  const std::string text = described(second);
  ASSERT_OK(lamina_recipe_parse(device, "described", text.c_str(), nullptr, &again));
  EXPECT_EQ(described(Net(again)), text);
}

TEST(NetBranches, ACheckpointKnowsThem) {
  Device device;
  Temporary folder;
  const std::string path = folder / "net.safetensors";
  Net net(device, {4});
  net.fc(4).link("tanh", "a", {}).link("add", "b", {"a", "input"}).fc(3);
  ASSERT_OK(lamina_net_init(net, 2));
  ASSERT_OK(lamina_net_save(net, path.c_str()));
  lamina_net *loaded;
  ASSERT_OK(lamina_net_load(device, path.c_str(), nullptr, &loaded));
  Net copy(loaded);
  EXPECT_EQ(copy.all(), net.all());
  const Batch batch(net, 3);
  std::vector<float> y(9), z(9);
  ASSERT_OK(lamina_net_forward(net, 3, batch.x.data(), y.data()));
  ASSERT_OK(lamina_net_forward(copy, 3, batch.x.data(), z.data()));
  EXPECT_EQ(y, z);
}

// A convolution starts for the relu that follows, across what lies between; of a branch, for its first layer.
TEST(NetBranches, TheInitialiserLooksAlongTheBranch) {
  Device device;
  Net net(device, {2, 8, 8});
  lamina_conv_layer conv = {};
  conv.filters = 600, conv.kernel[0] = 3, conv.same = 1;
  net.link("conv", "a", {}, &conv).link("conv", "b", {"input"}, &conv).link("tanh", "t", {"a"});
  net.link("relu", "r", {"b"}).link("add", "", {"t", "r"});
  ASSERT_OK(lamina_net_init(net, 1));
  const auto most = [&](const char *name) {
    const std::vector<double> w = net.parameter(lamina_net_parameter_find(net, name));
    return *std::max_element(w.begin(), w.end());
  };
  const double bound = std::sqrt(6.0 / (2 * 9 + 600 * 9)); // of xavier_uniform; he_normal's deviation is a third
  EXPECT_LE(most("a.w"), bound);
  EXPECT_GT(most("b.w"), 3 * bound);
}

struct Mistake {
  const char *name, *layers, *sentence;
};
void PrintTo(const Mistake &m, std::ostream *out) { *out << m.name; }

class Mistakes : public testing::TestWithParam<Mistake> {};

TEST_P(Mistakes, AreNamed) {
  Device device;
  lamina_net *net;
  EXPECT_ERROR(parse(device, GetParam().layers, &net), LAMINA_INVALID, GetParam().sentence);
}

const Mistake mistakes[] = {
    {"unknown", "  - relu: {name: left}\n  - add: [left, lefft]\n",
     "net.yaml:4:5: net[1]: there is no layer \"lefft\" before this one; did you mean \"left\"?"},
    {"later", "  - relu: {from: late}\n  - relu: {name: late}\n",
     "net.yaml:3:5: net[0]: there is no layer \"late\" before this one"},
    {"taken", "  - relu: {name: a}\n  - relu: {name: a}\n", "net.yaml:4:5: net[1]: the name \"a\" is taken"},
    {"input", "  - relu: {name: input}\n", "net.yaml:3:5: net[0]: the name \"input\" is taken"},
    {"form", "  - relu: {name: 1.relu}\n",
     "net.yaml:3:5: net[0]: \"1.relu\" can't name a layer; expected a letter, then letters, digits, _ and -, 31 at "
     "most"},
    {"two_for_one", "  - relu: {name: a}\n  - relu: {from: [a, input]}\n", "net.yaml:4:5: net[1]: relu takes 1 input"},
    {"nine", "  - relu: {name: a}\n  - add: [a, a, a, a, a, a, a, a, a]\n",
     "net.yaml:4:5: net[1]: add takes at most 8 inputs"},
    {"one_for_two", "  - relu\n  - add\n", "net.yaml:4:5: net[1]: add joins two or more layers; expected their names"},
    {"alone", "  - relu\n  - add: [0.relu]\n",
     "net.yaml:4:5: net[1]: add joins two or more layers; expected their names"},
    {"shapes", "  - conv: {filters: 3, kernel: 1}\n  - add: input\n",
     "net.yaml:4:5: net[1]: 1.add: add/forward: b is f32[1,2,6,6]; expected f32[1,3,6,6], or 1 in place of any size, "
     "or one number for each channel; before it comes 0.conv, "
     "which "
     "gives f32[3,6,6], and the input, which gives f32[2,6,6]"},
    {"map", "  - add: {from: {a: b}}\n",
     "net.yaml:3:17: net[0].add.from: expected the name of a layer, or a list of names"},
    {"key", "  - add: {form: [a, b]}\n", "net.yaml:3:11: net[0].add: unknown key \"form\"; did you mean \"from\"?"},
};
INSTANTIATE_TEST_SUITE_P(NetBranches, Mistakes, testing::ValuesIn(mistakes),
                         [](const auto &info) { return std::string(info.param.name); });

TEST(NetBranches, AnOutputThatNobodyTakesIsNamed) {
  Device device;
  Net net(device, {3});
  net.fc(3).link("relu", "dead", {}).link("tanh", "end", {"0.fc"});
  ASSERT_OK(lamina_net_init(net, 1));
  const float x[3] = {};
  float y[3];
  EXPECT_ERROR(lamina_net_forward(net, 1, x, y), LAMINA_INVALID,
               "dead: no layer takes its output; the net's output is that of the last layer, end");
}

TEST(NetBranches, ASummarySaysWhatIsTaken) {
  Device device;
  Net net(device, {3});
  net.fc(3).link("tanh", "curve", {}).link("add", "", {"curve", "0.fc", "input"});
  const char *text;
  ASSERT_OK(lamina_net_summary(net, 1, &text));
  EXPECT_NE(std::string(text).find("KiB  takes\n"), std::string::npos) << text;
  EXPECT_NE(std::string(text).find("0.0  curve, 0.fc, input\n"), std::string::npos) << text;
  lamina_layer_info info;
  ASSERT_OK(lamina_net_layer(net, 2, 1, &info));
  EXPECT_EQ(info.inputs, 3);
  EXPECT_EQ(info.from[0], 1);
  EXPECT_EQ(info.from[2], -1);
}

// A layer that fails leaves the net as it was, and the next one takes what it would have taken.
TEST(NetBranches, AFailedLayerLeavesNothing) {
  Device device;
  Net net(device, {4, 4, 4});
  const char *from[] = {"input", "0.relu", nullptr};
  lamina_layer_options options = {};
  options.name = "joined", options.from = from;
  lamina_pool_layer pool = {};
  pool.kernel[0] = 2;
  net.add("relu").add("max_pool", pool);
  from[1] = "1.max_pool";
  EXPECT_EQ(lamina_net_add_layer(net, "add", nullptr, &options), LAMINA_INVALID);
  EXPECT_EQ(lamina_net_layer_count(net), 2);
  from[1] = "0.relu";
  net.fc(2);
  EXPECT_EQ(net.outputs(), 2);
}

} // namespace
