// Layers that move, resize and reduce: from a recipe, and that they leave the batch alone.
#include "net_fixture.h"
#include "temporary.h"

extern "C" {
#include "net/recipe.h"
}

namespace {

using Values = std::vector<float>;

class NetShape : public testing::Test {
protected:
  lamina_status open(const std::string &input, const std::string &layers, lamina_net **net) {
    *net = nullptr;
    return lamina_recipe_parse(device, "net.yaml", ("input: " + input + "\nnet:\n" + layers).c_str(), nullptr, net);
  }
  // Two examples of 0, 1, 2 … through one layer.
  Values through(const std::string &input, const std::string &layer, Dims *dims = nullptr) {
    lamina_net *parsed = nullptr;
    EXPECT_OK(open(input, "  - " + layer + "\n", &parsed));
    if (!parsed) return {};
    Net net(parsed);
    EXPECT_OK(lamina_net_init(net, 1));
    const lamina_desc in = lamina_net_input(net), out = lamina_net_output(net);
    Values x(2 * static_cast<size_t>(lamina_desc_count(&in))), y(2 * static_cast<size_t>(lamina_desc_count(&out)));
    for (size_t i = 0; i < x.size(); i++) x[i] = static_cast<float>(i);
    EXPECT_OK(lamina_net_forward(net, 2, x.data(), y.data()));
    if (dims) *dims = Dims(out.dims, out.dims + out.rank);
    return y;
  }
  std::string refusal(const std::string &layer) {
    lamina_net *net = nullptr;
    EXPECT_NE(open("[2, 3]", "  - " + layer + "\n", &net), LAMINA_OK) << layer;
    lamina_net_close(net);
    return lamina_last_error();
  }

  Device device;
};

TEST_F(NetShape, EachFromARecipe) {
  Dims dims;
  EXPECT_EQ(through("[2, 2]", "slice: {start: [0, 1]}", &dims), (Values{2, 3, 6, 7}));
  EXPECT_EQ(dims, (Dims{1, 2}));
  EXPECT_EQ(through("[3]", "slice: {step: [0, -1]}"), (Values{2, 1, 0, 5, 4, 3}));
  EXPECT_EQ(through("[2]", "pad: {before: [0, 1], after: [0, 2], value: -1}", &dims),
            (Values{-1, 0, 1, -1, -1, -1, 2, 3, -1, -1}));
  EXPECT_EQ(dims, (Dims{5}));
  EXPECT_EQ(through("[3]", "pad: {before: [0, 2], mode: reflect}"), (Values{2, 1, 0, 1, 2, 5, 4, 3, 4, 5}));
  EXPECT_EQ(through("[2, 2]", "transpose: [0, 2, 1]"), (Values{0, 2, 1, 3, 4, 6, 5, 7}));
  EXPECT_EQ(through("[1, 2]", "resize: 4", &dims), (Values{0, 0, 1, 1, 2, 2, 3, 3}));
  EXPECT_EQ(dims, (Dims{1, 4}));
  EXPECT_EQ(through("[1, 2]", "resize: {scale: 2, mode: linear}"), (Values{0, 0.25, 0.75, 1, 2, 2.25, 2.75, 3}));
  EXPECT_EQ(through("[2, 2]", "sum", &dims), (Values{6, 22}));
  EXPECT_EQ(dims, (Dims{}));
  EXPECT_EQ(through("[2, 2]", "mean: {axes: -1, keep: true}", &dims), (Values{0.5, 2.5, 4.5, 6.5}));
  EXPECT_EQ(dims, (Dims{2, 1}));
  EXPECT_EQ(through("[2, 2]", "max: [1]"), (Values{2, 3, 6, 7}));
}

TEST_F(NetShape, TheBatchStays) {
  EXPECT_NE(refusal("slice: {start: [1]}").find("start names axis 0, the batch; expected 0 there"), std::string::npos);
  EXPECT_NE(refusal("slice: {step: [-1]}").find("step names axis 0"), std::string::npos);
  EXPECT_NE(refusal("pad: {after: [1]}").find("after names axis 0"), std::string::npos);
  EXPECT_NE(refusal("transpose: [1, 0, 2]").find("perm must start with 0, the batch"), std::string::npos);
  EXPECT_NE(refusal("transpose").find("perm must start with 0, the batch"), std::string::npos);
  EXPECT_NE(refusal("sum: {axes: [0, 1]}").find("axes names axis 0, the batch; expected others"), std::string::npos);
  EXPECT_NE(refusal("mean: {axes: -3}").find("axes names axis 0, the batch; expected others"), std::string::npos);
}

} // namespace
