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

TEST_F(NetConv, ConvTransposeSpreads) {
  recipe("[1, 2]", "  - conv_transpose: {filters: 1, kernel: 3, stride: 2, output_pad: 1, pad: [[1, 0]]}\n");
  net->write(0, {1, 10, 100});
  net->write(1, {1000});
  // 1 at 0, 2 at 2: 1 10 100 + . . 2 20 200, one more after, the first cut off
  EXPECT_EQ(forward({1, 2}), (std::vector<float>{1010, 1102, 1020, 1200, 1000}));
  recipe("[4, 3, 3]", "  - conv_transpose: {filters: 6, kernel: [2, 3], stride: 2, groups: 2, bias: false}\n");
  const lamina_desc w = net->desc(0), y = lamina_net_output(*net);
  EXPECT_EQ(Dims(w.dims, w.dims + 4), (Dims{4, 3, 2, 3}));
  EXPECT_EQ(Dims(y.dims, y.dims + 3), (Dims{6, 6, 7}));
  lamina_conv_transpose_layer layer = {};
  layer.filters = 5, layer.kernel[0] = 2, layer.groups = 2;
  EXPECT_ERROR(
      lamina_net_add(*net, "conv_transpose", &layer), LAMINA_INVALID,
      "1.conv_transpose: its 5 filters can't be split into 2 groups; before it comes 0.conv_transpose, which gives "
      "f32[6,6,7]");
}

TEST_F(NetConv, LocalConvHasFiltersForEachPosition) {
  recipe("[1, 3]", "  - local_conv: {filters: 1, kernel: 2}\n");
  net->write(0, {1, 10, 100, 1000});
  net->write(1, {0.5, 0.25});
  EXPECT_EQ(forward({1, 2, 3}), (std::vector<float>{21.5, 3200.25}));
  recipe("[4, 5, 6]", "  - local_conv: {filters: 6, kernel: [2, 3], stride: [1, 2], groups: 2}\n");
  const lamina_desc w = net->desc(0), b = net->desc(1), y = lamina_net_output(*net);
  EXPECT_EQ(Dims(w.dims, w.dims + w.rank), (Dims{4, 2, 6, 2, 2, 3}));
  EXPECT_EQ(Dims(b.dims, b.dims + b.rank), (Dims{6, 4, 2}));
  EXPECT_EQ(Dims(y.dims, y.dims + 3), (Dims{6, 4, 2}));
  lamina_local_conv_layer layer = {};
  layer.filters = 2, layer.kernel[0] = 5;
  EXPECT_ERROR(lamina_net_add(*net, "local_conv", &layer), LAMINA_INVALID,
               "1.local_conv: its filter needs 5 elements on spatial axis 0, and its input has 4; before it comes "
               "0.local_conv, which gives f32[6,4,2]");
}

} // namespace
