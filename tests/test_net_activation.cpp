// Layers of activations: from a recipe, with attributes and without.
#include <memory>

#include "net_fixture.h"
#include "temporary.h"

namespace {

class NetActivation : public testing::Test {
protected:
  // Three numbers through one layer.
  std::vector<float> through(const std::string &layer, const std::vector<float> &x) {
    const std::string path = folder / "net.yaml";
    write_file(path, "input: [3]\nnet:\n  - " + layer + "\n");
    Net net(device, path.c_str());
    std::vector<float> y(3);
    EXPECT_OK(lamina_net_forward(net, 1, x.data(), y.data()));
    return y;
  }
  void expect(const std::string &layer, const std::vector<float> &x, const std::vector<float> &want) {
    const std::vector<float> y = through(layer, x);
    for (size_t i = 0; i < 3; i++) EXPECT_NEAR(y[i], want[i], 2e-6) << layer << " of " << x[i];
  }

  Temporary folder;
  Device device;
};

TEST_F(NetActivation, EachWithItsDefaults) {
  expect("leaky_relu", {-2, 0, 3}, {-0.02f, 0, 3});
  expect("elu", {-1, 0, 3}, {-0.6321206f, 0, 3});
  expect("selu", {-1, 0, 3}, {-1.1113307f, 0, 3.152103f});
  expect("gelu", {-1, 0, 3}, {-0.1586553f, 0, 2.9959503f});
  expect("silu", {-1, 0, 3}, {-0.2689414f, 0, 2.8577224f});
  expect("softplus", {-1, 0, 3}, {0.3132617f, 0.6931472f, 3.0485873f});
  expect("hard_sigmoid", {-4, 0, 1.5}, {0, 0.5, 0.75});
  expect("softsign", {-1, 0, 3}, {-0.5, 0, 0.75});
}

TEST_F(NetActivation, Attributes) {
  expect("leaky_relu: 0.5", {-2, 0, 3}, {-1, 0, 3});
  expect("leaky_relu: 0", {-2, 0, 3}, {0, 0, 3});
  expect("elu: {alpha: 2}", {-1, 0, 3}, {-1.2642411f, 0, 3});
  expect("gelu: tanh", {-1, 0, 3}, {-0.1588080f, 0, 2.9963627f});
  expect("gelu: {form: erf}", {-1, 0, 3}, {-0.1586553f, 0, 2.9959503f});
  expect("softplus: {beta: 2}", {-1, 0, 3}, {0.0634640f, 0.3465736f, 3.0012378f});
}

} // namespace
