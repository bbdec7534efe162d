// Layers of convolution: what their attributes do, from a recipe and from C.
#include <memory>

#include "net_fixture.h"
#include "temporary.h"

namespace {

class NetConv : public testing::Test {
protected:
  // A net whose layers are the lines of a recipe.
  void recipe(const std::string &input, const std::string &layers) {
    const std::string path = folder / "net.yaml";
    write_file(path, "input: " + input + "\nnet:\n" + layers);
    net.reset(new Net(device, path.c_str()));
  }
  std::vector<float> forward(const std::vector<float> &x) {
    std::vector<float> y(static_cast<size_t>(net->outputs()));
    EXPECT_OK(lamina_net_forward(*net, 1, x.data(), y.data()));
    return y;
  }

  Temporary folder;
  Device device;
  std::unique_ptr<Net> net;
};

TEST_F(NetConv, FlipIsTrueConvolution) {
  recipe("[1, 3]", "  - conv: {filters: 1, kernel: 2, pad: 1, flip: true}\n");
  net->write(0, {4, 5});
  net->write(1, {100});
  EXPECT_EQ(forward({1, 2, 3}), (std::vector<float>{104, 113, 122, 115}));
  recipe("[1, 3]", "  - conv: {filters: 1, kernel: 2, pad: 1}\n");
  net->write(0, {5, 4});
  EXPECT_EQ(forward({1, 2, 3}), (std::vector<float>{4, 13, 22, 15}));
}

} // namespace
