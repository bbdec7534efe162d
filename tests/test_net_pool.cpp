// Layers of pooling: what their attributes do, from a recipe.
#include <memory>

#include "net_fixture.h"
#include "temporary.h"

namespace {

class NetPool : public testing::Test {
protected:
  // A net whose layers are the lines of a recipe, on an example: what it gives.
  std::vector<float> run(const std::string &input, const std::string &layers, const std::vector<float> &x) {
    const std::string path = folder / "net.yaml";
    write_file(path, "input: " + input + "\nnet:\n" + layers);
    const Net net(device, path.c_str());
    EXPECT_EQ(net.inputs(), static_cast<int64_t>(x.size()));
    std::vector<float> y(static_cast<size_t>(net.outputs()));
    EXPECT_OK(lamina_net_forward(net, 1, x.data(), y.data()));
    return y;
  }

  Temporary folder;
  Device device;
};

using Floats = std::vector<float>;

const Floats picture = {1, 2, 3, 4, /* */ 8, 7, 6, 5, /* */ 0, -1, -2, -3, /* */ 9, -9, 9, -9};

TEST_F(NetPool, MaxAndMin) {
  EXPECT_EQ(run("[1, 4, 4]", "  - max_pool: 2\n", picture), (Floats{8, 6, 9, 9}));
  EXPECT_EQ(run("[1, 4, 4]", "  - min_pool: 2\n", picture), (Floats{1, 3, -9, -9}));
}

TEST_F(NetPool, Dilation) {
  EXPECT_EQ(run("[1, 4, 4]", "  - max_pool: {kernel: 2, stride: 1, dilation: 2}\n", picture), (Floats{3, 4, 9, 7}));
  EXPECT_EQ(run("[1, 4, 4]", "  - min_pool: {kernel: 2, stride: 1, dilation: [2, 1]}\n", picture),
            (Floats{-1, -2, -3, -9, -9, -9}));
}

TEST_F(NetPool, Norms) {
  const Floats x = {3, -4, 0, 0, -1, 0, 6, 8};
  EXPECT_EQ(run("[1, 8]", "  - lp_pool: 2\n", x), (Floats{5, 0, 1, 10}));
  EXPECT_EQ(run("[1, 8]", "  - lp_pool: {kernel: 2, p: 1}\n", x), (Floats{7, 0, 1, 14}));
  EXPECT_EQ(run("[1, 8]", "  - lp_pool: {global: true, p: 1}\n", x), (Floats{22}));
}

TEST_F(NetPool, Blends) {
  EXPECT_EQ(run("[1, 4, 4]", "  - mixed_pool: 2\n", picture), (Floats{6.25, 5.25, 4.375, 3.875}));
  EXPECT_EQ(run("[1, 4, 4]", "  - mixed_pool: {kernel: 2, max_share: 0.25}\n", picture),
            (Floats{5.375, 4.875, 2.0625, 1.3125}));
  EXPECT_EQ(run("[1, 4, 4]", "  - mixed_pool: {kernel: 2, max_share: 0}\n", picture), (Floats{4.5, 4.5, -0.25, -1.25}));
}

TEST_F(NetPool, StochasticAveragesOutsideTraining) {
  EXPECT_EQ(run("[1, 6]", "  - stochastic_pool: 2\n", {1, 3, 4, 4, -5, 2}), (Floats{2.5, 4, 2}));
}

TEST_F(NetPool, GlobalPools) {
  const Floats x = {1, 2, 3, 6, -4, -3, -2, -1};
  EXPECT_EQ(run("[2, 2, 2]", "  - global_max_pool\n", x), (Floats{6, -1}));
  EXPECT_EQ(run("[2, 2, 2]", "  - global_avg_pool\n", x), (Floats{3, -2.5}));
  EXPECT_EQ(run("[2, 2, 2]", "  - max_pool: {global: true}\n", x), (Floats{6, -1}));
  EXPECT_EQ(run("[2, 4]", "  - global_avg_pool\n", x), (Floats{3, -2.5}));
}

TEST_F(NetPool, LowFrequencies) {
  // Two rows of a square: the mean of each, times sqrt(2) for the axis that is halved.
  const Floats y = run("[1, 2, 2]", "  - spectral_pool: {size: [2, 1]}\n", {1, 3, -2, -6});
  EXPECT_NEAR(y[0], 2 * std::sqrt(2.0), 1e-6);
  EXPECT_NEAR(y[1], -4 * std::sqrt(2.0), 1e-6);
  EXPECT_EQ(run("[1, 4, 4]", "  - spectral_pool: 1\n", picture).size(), 1u);
}

TEST_F(NetPool, UnpoolingPutsBack) {
  const std::string pool = "  - max_pool: {kernel: 2, name: pool}\n  - scale: 10\n";
  const Floats want = {0, 0, 0, 0, /* */ 80, 0, 60, 0, /* */ 0, 0, 0, 0, /* */ 90, 0, 90, 0};
  EXPECT_EQ(run("[1, 4, 4]", pool + "  - max_unpool: pool\n", picture), want);
  EXPECT_EQ(run("[1, 4, 4]", pool + "  - max_unpool: {from: [1.scale, pool]}\n", picture), want);
}

TEST_F(NetPool, UnpoolingWantsAPool) {
  Net net(device, Dims{1, 4, 4});
  lamina_pool_layer two = {};
  two.kernel[0] = 2;
  net.link("relu", "first", {}).link("max_pool", "pool", {}, &two).add("relu");
  const char *const other[] = {"2.relu", "first", nullptr};
  const lamina_layer_options wrong = {nullptr, other};
  EXPECT_EQ(lamina_net_add_layer(net, "max_unpool", nullptr, &wrong), LAMINA_INVALID);
  EXPECT_TRUE(std::strstr(lamina_last_error(), "3.max_unpool: the second layer that it takes must be a pool"))
      << lamina_last_error();
  net.link("max_unpool", "", {"2.relu", "pool"});
  const lamina_desc y = lamina_net_output(net);
  EXPECT_EQ(y.dims[1], 4);
}

} // namespace
