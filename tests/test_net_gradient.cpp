// Gradients of whole nets: by central differences in f64, and of fast engines against the reference.
#include <algorithm>
#include <functional>

#include "lamina/lamina.h"
#include "net_fixture.h"

namespace {

struct Case {
  const char *name;
  Dims input;
  std::function<void(Net &)> build;
  lamina_dtype input_dtype = LAMINA_NONE;
};

void PrintTo(const Case &c, std::ostream *out) { *out << c.name; }

lamina_conv_layer conv(int64_t filters, Dims kernel) {
  lamina_conv_layer layer = {};
  layer.filters = filters;
  std::copy(kernel.begin(), kernel.end(), layer.kernel);
  return layer;
}

const lamina_fc_layer *fc_of(int64_t units) {
  static lamina_fc_layer layer = {};
  layer.units = units;
  return &layer;
}

const Case cases[] = {
    {"conv_1d",
     {2, 11},
     [](Net &net) {
       lamina_conv_layer layer = conv(3, {3});
       layer.pad[0][0] = 1, layer.stride[0] = 2;
       net.add("conv", layer).add("tanh").pool("avg_pool", 2).fc(4);
     }},
    {"conv_2d",
     {4, 7, 9},
     [](Net &net) {
       lamina_conv_layer layer = conv(6, {3, 2});
       layer.groups = 2, layer.dilation[0] = 2, layer.dilation[1] = 1, layer.same = 1;
       lamina_pool_layer pool = {};
       pool.kernel[0] = 3, pool.stride[0] = 2, pool.ceil = 1;
       pool.pad[0][0] = pool.pad[0][1] = pool.pad[1][0] = 1;
       lamina_conv_layer last = conv(5, {2});
       last.has_bias = 1;
       net.add("conv", layer).add("relu").add("max_pool", pool).add("conv", last).add("sigmoid").fc(5);
     }},
    {"conv_3d",
     {1, 4, 5, 3},
     [](Net &net) { net.conv(3, 2, 1).add("relu").pool("max_pool", 2).conv(2, 1).add("tanh").fc(3); }},
    {"conv_transpose",
     {4, 3, 4},
     [](Net &net) {
       lamina_conv_transpose_layer layer = {};
       layer.filters = 6, layer.kernel[0] = 3, layer.stride[0] = 2, layer.groups = 2, layer.output_pad[1] = 1;
       layer.pad[0][1] = layer.pad[1][0] = 1;
       net.add("conv_transpose", layer).add("tanh").fc(3);
     }},
    {"local_conv",
     {4, 4, 5},
     [](Net &net) {
       lamina_local_conv_layer layer = {};
       layer.filters = 4, layer.kernel[0] = 2, layer.stride[0] = 1, layer.stride[1] = 2, layer.groups = 2;
       layer.pad[0][1] = layer.pad[1][0] = 1;
       net.add("local_conv", layer).add("tanh").fc(3);
     }},
    {"dropout",
     {3, 5, 5},
     [](Net &net) { net.conv(4, 3).dropout(0.4, true).add("relu").fc(9).add("relu").dropout(0.5).fc(3); }},
    {"average_pools",
     {2, 6, 7},
     [](Net &net) {
       lamina_pool_layer pool = {}, whole = {};
       pool.kernel[0] = 3, pool.kernel[1] = 2, pool.stride[0] = 2, pool.count_pad = 1;
       pool.pad[0][0] = pool.pad[1][1] = 1;
       whole.global = 1;
       net.add("avg_pool", pool).conv(4, 2).add("tanh").add("avg_pool", whole).add("flatten").fc(3);
     }},
    {"pools",
     {2, 8, 9},
     [](Net &net) {
       lamina_pool_layer apart = {}, least = {};
       apart.kernel[0] = 2, apart.stride[0] = 1, apart.dilation[0] = 2;
       least.kernel[0] = 3, least.stride[0] = 2, least.pad[0][0] = 1;
       net.conv(4, 1).add("tanh").add("max_pool", apart).conv(4, 1).add("min_pool", least).conv(5, 1).add("tanh");
       net.add("global_max_pool").fc(3);
     }},
    {"more_pools",
     {2, 8, 9},
     [](Net &net) {
       lamina_lp_pool_layer norm = {};
       norm.window.kernel[0] = 2, norm.window.stride[0] = 1, norm.p = 3;
       lamina_mixed_pool_layer blend = {};
       blend.window.kernel[0] = 3, blend.window.stride[0] = 2, blend.max_share = 0.3;
       lamina_pool_layer drawn = {};
       drawn.kernel[0] = 2, drawn.stride[0] = 1;
       net.conv(4, 1).add("lp_pool", norm).conv(4, 1).add("mixed_pool", blend).conv(4, 1).add("sigmoid");
       net.add("stochastic_pool", drawn).conv(3, 1).add("global_avg_pool").fc(3);
     }},
    {"unpool",
     {2, 6, 6},
     [](Net &net) {
       lamina_pool_layer two = {};
       two.kernel[0] = 2;
       const lamina_spectral_pool_layer low = {{4, 3}};
       net.conv(3, 1).link("max_pool", "pool", {}, &two).conv(3, 1).link("tanh", "middle", {});
       net.link("max_unpool", "", {"middle", "pool"}).conv(2, 1).add("spectral_pool", low).add("tanh").fc(3);
     }},
    {"views",
     {12},
     [](Net &net) {
       lamina_reshape_layer planes = {{3, 2, 2}};
       lamina_scale_layer scale = {1.7, 0};
       net.fc(12).add("reshape", planes).conv(2, 2).add("flatten").add("scale", scale).add("sigmoid").fc(4);
     }},
    {"softmax_inside", {8}, [](Net &net) { net.fc(6).add("softmax").fc(5).add("log_softmax").add("tanh").fc(3); }},
    {"softmax_of_planes",
     {3, 2, 4},
     [](Net &net) { net.conv(4, 1).add("softmax").conv(3, 2).add("log_softmax").fc(2); }},
    {"activations",
     {6},
     [](Net &net) {
       const lamina_leaky_relu leaky = {0.2, 0};
       const lamina_elu elu = {1.5, 0};
       const lamina_gelu gelu = {LAMINA_GELU_TANH};
       const lamina_softplus softplus = {2};
       net.fc(7).add("leaky_relu", leaky).fc(7).add("elu", elu).add("selu").fc(6).add("gelu").add("gelu", gelu).fc(7);
       net.add("silu").add("softplus", softplus).fc(5).add("hard_sigmoid").fc(6).add("softsign").fc(3);
     }},
    {"shapes",
     {2, 5, 6},
     [](Net &net) {
       const lamina_pad edge = {{0, 0, 1, 2}, {0, 0, 0, 1}, LAMINA_PAD_EDGE, 0},
                        reflect = {{0, 0, 1, 1}, {}, LAMINA_PAD_REFLECT, 0};
       const lamina_resize resize = {{7, 5}, 0, LAMINA_RESIZE_LINEAR, 0}, twice = {{}, 2, LAMINA_RESIZE_NEAREST, 0};
       const lamina_transpose transpose = {{0, 2, 3, 1}};
       const lamina_slice slice = {{0, 1}, {}, {0, 0, -2}};
       const lamina_reduce max = {LAMINA_AXIS(-1), 0}, sum = {LAMINA_AXIS(1), 1};
       net.conv(4, 1).add("pad", edge).add("resize", resize).add("tanh").add("transpose", transpose);
       net.add("slice", slice).conv(3, 2).add("pad", reflect).add("resize", twice).add("max", max).add("tanh");
       net.add("sum", sum).fc(6).add("mean", lamina_reduce{0, 1}).add("tanh").fc(4);
     }},
    {"norms",
     {4, 5, 3},
     [](Net &net) {
       lamina_layer_norm_layer layer = {}, rows = {};
       lamina_group_norm_layer group = {};
       lamina_prelu_layer shared = {};
       lamina_conv_layer last = conv(3, {2}); // a bias would be normalised away, its gradient nothing but noise
       last.has_bias = 1;
       const lamina_lrn across = {3, 2, 0.5, 1, 0}, within = {2, 3, 0.75, 2, 1};
       layer.axis = 1, group.groups = 2, shared.shared = 1, rows.has_affine = 1;
       net.conv(4, 2).add("group_norm", group).add("prelu").add("lrn", across).conv(6, 2, 1).add("layer_norm", layer);
       net.add("lrn", within).add("prelu", shared).add("conv", last).add("instance_norm").add("tanh").fc(5);
       net.add("layer_norm", rows).fc(3);
     }},
    {"embedding",
     {2, 3},
     [](Net &net) {
       const lamina_embedding_layer words = {6, 4, 0};
       net.add("embedding", words).add("tanh").conv(3, 2).fc(4);
     },
     LAMINA_I32},
    {"embeddings_that_meet",
     {7},
     [](Net &net) {
       const lamina_embedding_layer words = {5, 3, 0};
       net.link("embedding", "a", {"input"}, &words).link("embedding", "b", {"input"}, &words);
       net.link("multiply", "", {"a", "b"}).fc(3);
     },
     LAMINA_I32},
    {"one_layer", {5}, [](Net &net) { net.fc(3); }},
    {"relu_after_relu", {6}, [](Net &net) { net.fc(7).add("relu").add("relu").add("tanh").add("relu").fc(3); }},
    {"residual",
     {3, 6, 5},
     [](Net &net) {
       lamina_conv_layer main = conv(4, {3}), side = conv(4, {1});
       main.same = 1;
       net.conv(4, 1).link("tanh", "stem", {}).add("conv", main).add("relu").add("conv", main);
       net.link("conv", "side", {"stem"}, &side).link("add", "sum", {"4.conv", "side", "stem"}).add("relu");
       net.link("add", "", {"sum", "7.relu"}).pool("avg_pool", 2).fc(3);
     }},
    {"inception",
     {3, 5, 5},
     [](Net &net) {
       lamina_conv_layer one = conv(2, {1}), three = conv(3, {3});
       three.same = 1;
       lamina_concat_layer rows = {-2};
       net.link("conv", "a", {"input"}, &one).link("conv", "b", {"input"}, &three).link("tanh", "c", {"b"});
       net.link("concat", "all", {"a", "input", "c", "a"}).conv(4, 1).add("relu");
       net.link("concat", "", {"5.relu", "5.relu"}, &rows).conv(2, 2).link("add", "", {"7.conv", "7.conv"}).fc(3);
     }},
    {"gates",
     {3, 4, 4},
     [](Net &net) {
       lamina_conv_layer conv = {};
       conv.filters = 3, conv.kernel[0] = 1;
       lamina_pool_layer whole = {};
       whole.global = 1;
       net.link("conv", "x", {}, &conv).link("avg_pool", "", {"x"}, &whole).conv(3, 1).link("sigmoid", "gate", {});
       net.link("multiply", "", {"x", "gate"}).link("multiply", "", {"4.multiply", "x"}).fc(3);
     }},
    {"batch_norm",
     {2, 3, 4},
     [](Net &net) {
       lamina_batch_norm_layer plain = {};
       plain.has_affine = 1; // affine stays 0
       lamina_conv_layer first = conv(4, {2}), second = conv(3, {1});
       first.has_bias = second.has_bias =
           1; // none: what follows takes any off, so its gradient would be rounding alone
       net.add("conv", first).add("batch_norm").add("relu").add("conv", second).add("batch_norm", plain);
       net.add("tanh").fc(3);
     }},
    {"the_input_twice",
     {7},
     [](Net &net) {
       net.fc(7).add("sigmoid").link("add", "", {"1.sigmoid", "input"}).link("fc", "a", {"input"}, fc_of(3));
       net.link("fc", "b", {"2.add"}, fc_of(3)).link("add", "", {"a", "b", "a"});
     }},
    {"lenet",
     {1, 16, 16},
     [](Net &net) {
       net.conv(3, 5, 2).add("relu").pool("max_pool", 2).conv(4, 5).add("relu").pool("max_pool", 2).fc(10);
       net.add("relu").fc(6).add("relu").fc(4);
     }},
};

class Gradient : public testing::TestWithParam<std::tuple<Case, int64_t>> {
protected:
  const Case &which() const { return std::get<0>(GetParam()); }
  int64_t batch() const { return std::get<1>(GetParam()); }
};

// dL/dw of up to seven elements of every parameter: (L(w + h) - L(w - h)) / 2h, whose error is some h^2 of L''' plus
// 1e-16 / h of rounding.
TEST_P(Gradient, IsTheSlopeOfTheLoss) {
  Device device;
  Net net(device, which().input, LAMINA_F64, 0, which().input_dtype);
  which().build(net);
  ASSERT_OK(lamina_net_init(net, 3));
  const Batch batch(net, this->batch());
  ASSERT_GT(batch.gradients(net), 0);
  const double h = 1e-5;
  std::vector<std::vector<double>> gradients;
  for (int p = 0; p < net.parameters(); p++) gradients.push_back(net.gradient(p));
  for (int p = 0; p < net.parameters(); p++) {
    std::vector<double> w = net.parameter(p);
    const std::vector<double> &g = gradients[static_cast<size_t>(p)];
    for (size_t i = 0; i < w.size(); i += std::max<size_t>(1, w.size() / 6)) {
      const double was = w[i];
      w[i] = was + h, net.write(p, w);
      const double above = batch.gradients(net);
      w[i] = was - h, net.write(p, w);
      const double below = batch.gradients(net);
      w[i] = was, net.write(p, w);
      EXPECT_NEAR(g[i], (above - below) / (2 * h), 1e-8 + 1e-6 * std::abs(g[i]))
          << "parameter " << p << ", element " << i;
    }
  }
}

double norm(const std::vector<double> &x) {
  double sum = 0;
  for (const double v : x) sum += v * v;
  return std::sqrt(sum);
}

double distance(std::vector<double> x, const std::vector<double> &y) {
  for (size_t i = 0; i < x.size(); i++) x[i] -= y[i];
  return norm(x);
}

// Each of a net's ops adds rounding errors of some u sqrt(K) relative to its result, K being the products in a sum.
double tolerance(const lamina_net *net, double products) {
  return 4 * 0x1p-24 * (3 * lamina_net_layer_count(net) + 2) * std::sqrt(products);
}

void expect_same(Net &fast, Net &truth, const Batch &fast_batch, const Batch &true_batch, double products) {
  const double loss = true_batch.gradients(truth), tol = tolerance(fast, products);
  EXPECT_NEAR(fast_batch.gradients(fast), loss, tol * std::abs(loss) + 1e-7);
  for (int p = 0; p < fast.parameters(); p++) {
    const std::vector<double> g = truth.gradient(p);
    EXPECT_LE(distance(fast.gradient(p), g), tol * norm(g) + 1e-7) << "parameter " << p;
  }
}

TEST_P(Gradient, IsTheSameOnEveryEngine) {
  Device fast_device, ref_device(all_on("ref"));
  const lamina_dtype as = which().input_dtype;
  Net fast(fast_device, which().input, LAMINA_F32, 0, as), ref(ref_device, which().input, LAMINA_F32, 0, as);
  Net wide(fast_device, which().input, LAMINA_F64, 0, as);
  for (Net *net : {&fast, &ref, &wide}) {
    which().build(*net);
    ASSERT_OK(lamina_net_init(*net, 3));
  }
  for (int p = 0; p < fast.parameters(); p++) wide.write(p, fast.parameter(p)); // f64 draws more digits
  const Batch batch(fast, this->batch()), wide_batch(wide, this->batch());
  expect_same(fast, ref, batch, batch, 64);
  expect_same(fast, wide, batch, wide_batch, 64);
}

INSTANTIATE_TEST_SUITE_P(Nets, Gradient, testing::Combine(testing::ValuesIn(cases), testing::Values<int64_t>(1, 3)),
                         [](const auto &info) {
                           return std::string(std::get<0>(info.param).name) + "_" +
                                  std::to_string(std::get<1>(info.param));
                         });

// A step on another batch size, then the first again: plans share one arena and one set of parameters.
TEST(GradientOf, ABatchDoesNotDependOnTheOneBefore) {
  Device device;
  Net net(device, {1, 9, 9});
  net.conv(4, 3).add("relu").pool("max_pool", 2).fc(3);
  ASSERT_OK(lamina_net_init(net, 1));
  const Batch small(net, 2), large(net, 13, 2);
  const double loss = small.gradients(net);
  const std::vector<double> before = net.all_gradients();
  large.gradients(net);
  EXPECT_NE(net.all_gradients(), before);
  EXPECT_EQ(small.gradients(net), loss);
  EXPECT_EQ(net.all_gradients(), before);
}

TEST(GradientOf, DropoutDependsOnTheStep) {
  Device device;
  Net net(device, {20});
  net.dropout(0.5).fc(3);
  ASSERT_OK(lamina_net_init(net, 1));
  const Batch batch(net, 3);
  EXPECT_NE(batch.gradients(net, 0), batch.gradients(net, 1));
  EXPECT_EQ(batch.gradients(net, 1), batch.gradients(net, 1));
}

TEST(GradientOf, ABatchCutInTwoIsTheMean) {
  Device device;
  Net net(device, {2, 6, 6}, LAMINA_F64);
  net.conv(3, 3, 1).add("relu").pool("max_pool", 2).fc(4);
  ASSERT_OK(lamina_net_init(net, 5));
  Batch whole(net, 6);
  const double loss = whole.gradients(net);
  const std::vector<double> g = net.all_gradients();
  std::vector<double> mean(g.size());
  double losses = 0;
  for (int half = 0; half < 2; half++) {
    Batch part(net, 3);
    std::copy_n(whole.x.begin() + half * 3 * net.inputs(), 3 * net.inputs(), part.x.begin());
    std::copy_n(whole.labels.begin() + half * 3, 3, part.labels.begin());
    losses += part.gradients(net) / 2;
    const std::vector<double> some = net.all_gradients();
    for (size_t i = 0; i < g.size(); i++) mean[i] += some[i] / 2;
  }
  EXPECT_NEAR(losses, loss, 1e-14);
  EXPECT_LE(distance(mean, g), 1e-13 * norm(g));
}

// The recipe itself, on pictures of 67 x 67 (the last pool gives 1 x 1) and with 96 instead of 4096 units.
const std::vector<const char *> small_alexnet = {"input=[3, 67, 67]", "net[14].fc=96", "net[17].fc=96",
                                                 "net[19].fc=10"};

TEST(GradientOf, AlexnetOnEveryEngine) {
  Device fast_device, ref_device(all_on("ref"));
  Net fast(fast_device, "alexnet", small_alexnet), ref(ref_device, "alexnet", small_alexnet);
  ASSERT_OK(lamina_net_init(fast, 3));
  ASSERT_OK(lamina_net_init(ref, 3));
  const Batch batch(fast, 1);
  expect_same(fast, ref, batch, batch, 3456); // 384 * 9 products are the most in a sum
}

TEST(GradientOf, AlexnetLowersTheLossOfABatchThatIsRepeated) {
  Device device;
  Net net(device, "alexnet", small_alexnet);
  Examples four(4, 3, 67, 10);
  lamina_training training = {};
  training.train = four, training.batch = 4, training.epochs = 12, training.evaluate = -1, training.rate.rate = 0.01;
  Trainer trainer(net, training);
  double first = 0, last = 0; // of three steps each, since dropout makes single losses jump
  for (int step = 0; step < 12; step++) {
    trainer.steps(1);
    if (step < 3) first += trainer.progress().loss;
    if (step >= 9) last += trainer.progress().loss;
  }
  EXPECT_LT(last, 0.7 * first);
}

} // namespace
