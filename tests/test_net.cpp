// Nets by themselves: how they are built, what they say of themselves, how they start.
#include <algorithm>

#include "net_fixture.h"

namespace {

struct Described {
  const char *recipe;
  int64_t parameters;
  std::vector<std::pair<const char *, int64_t>> tensors; // name, elements; all of them
};

const Described recipes[] = {
    {"xo",
     696,
     {{"0.conv.w", 72},
      {"0.conv.b", 8},
      {"3.conv.w", 256},
      {"3.conv.b", 8},
      {"5.fc.w", 320},
      {"5.fc.b", 10},
      {"7.fc.w", 20},
      {"7.fc.b", 2}}},
    {"digits",
     61706,
     {{"0.conv.w", 150},
      {"0.conv.b", 6},
      {"3.conv.w", 2400},
      {"3.conv.b", 16},
      {"6.fc.w", 48000},
      {"6.fc.b", 120},
      {"8.fc.w", 10080},
      {"8.fc.b", 84},
      {"10.fc.w", 840},
      {"10.fc.b", 10}}},
    {"lenet5-mnist",
     61706,
     {{"0.conv.w", 150},
      {"0.conv.b", 6},
      {"3.conv.w", 2400},
      {"3.conv.b", 16},
      {"6.fc.w", 48000},
      {"6.fc.b", 120},
      {"8.fc.w", 10080},
      {"8.fc.b", 84},
      {"10.fc.w", 840},
      {"10.fc.b", 10}}},
    {"mnist-convnet",
     1199882,
     {{"0.conv.w", 288},
      {"0.conv.b", 32},
      {"2.conv.w", 18432},
      {"2.conv.b", 64},
      {"6.fc.w", 1179648},
      {"6.fc.b", 128},
      {"9.fc.w", 1280},
      {"9.fc.b", 10}}},
    {"convnetjs-cifar10",
     1216 + 8020 + 10020 + 3210,
     {{"0.conv.w", 1200},
      {"0.conv.b", 16},
      {"3.conv.w", 8000},
      {"3.conv.b", 20},
      {"6.conv.w", 10000},
      {"6.conv.b", 20},
      {"9.fc.w", 3200},
      {"9.fc.b", 10}}},
    {"alexnet",
     61100840,
     {{"0.conv.w", 23232},
      {"0.conv.b", 64},
      {"3.conv.w", 307200},
      {"3.conv.b", 192},
      {"6.conv.w", 663552},
      {"6.conv.b", 384},
      {"8.conv.w", 884736},
      {"8.conv.b", 256},
      {"10.conv.w", 589824},
      {"10.conv.b", 256},
      {"14.fc.w", 37748736},
      {"14.fc.b", 4096},
      {"17.fc.w", 16777216},
      {"17.fc.b", 4096},
      {"19.fc.w", 4096000},
      {"19.fc.b", 1000}}},
};

TEST(NetRecipes, HaveTheParametersThatTheirPapersCount) {
  Device device;
  for (const Described &described : recipes) {
    SCOPED_TRACE(described.recipe);
    Net net(device, described.recipe);
    EXPECT_EQ(lamina_net_parameter_total(net), described.parameters);
    ASSERT_EQ(net.parameters(), static_cast<int>(described.tensors.size()));
    for (int p = 0; p < net.parameters(); p++) {
      lamina_parameter info = {};
      ASSERT_OK(lamina_net_parameter(net, p, &info));
      const auto &[name, elements] = described.tensors[static_cast<size_t>(p)];
      EXPECT_STREQ(info.name, name);
      EXPECT_EQ(lamina_desc_count(&info.desc), elements);
      EXPECT_EQ(lamina_net_parameter_find(net, name), p);
    }
    EXPECT_EQ(lamina_net_parameter_find(net, "0.conv.v"), -1);
  }
}

TEST(Net, ShapesFollowFromLayerToLayer) {
  Device device;
  Net net(device, {3, 32, 32});
  net.conv(16, 5, 2).add("relu").pool("max_pool", 2).fc(10);
  lamina_layer_info info = {};
  ASSERT_OK(lamina_net_layer(net, 0, 7, &info));
  EXPECT_STREQ(info.name, "0.conv");
  EXPECT_STREQ(info.kind->name, "conv");
  EXPECT_EQ(info.parameters, 1216);
  EXPECT_EQ(info.flops, 2.0 * 7 * 16 * 32 * 32 * 3 * 25);
  EXPECT_EQ(info.activation_bytes, 7 * 16 * 32 * 32 * 4);
  char shape[64];
  EXPECT_STREQ(lamina_desc_text(&info.output, shape, sizeof shape), "f32[7,16,32,32]");
  ASSERT_OK(lamina_net_layer(net, 1, 7, &info));
  EXPECT_EQ(info.activation_bytes, 0); // the pool does its work
  ASSERT_OK(lamina_net_layer(net, 2, 7, &info));
  EXPECT_STREQ(lamina_desc_text(&info.output, shape, sizeof shape), "f32[7,16,16,16]");
  EXPECT_ERROR(lamina_net_layer(net, 4, 7, &info), LAMINA_INVALID, "there is no layer 4; the net has 4");
  EXPECT_ERROR(lamina_net_layer(net, 0, 0, &info), LAMINA_INVALID, "a batch of 0 examples; expected at least 1");
  EXPECT_EQ(net.outputs(), 10);

  const char *text = nullptr;
  ASSERT_OK(lamina_net_summary(net, 1, &text));
  EXPECT_NE(
      std::string(text).find("0.conv           f32[1,16,32,32]                  1216         2.46         64.0\n"),
      std::string::npos)
      << text;
  EXPECT_NE(std::string(text).find("total                                            42186"), std::string::npos)
      << text;
  ASSERT_OK(lamina_net_explain(net, 1, true, &text));
  for (const char *op : {"conv/forward", "relu_max_pool/forward", "relu_max_pool/backward", "fc/backward_weights",
                         "softmax_cross_entropy/forward"})
    EXPECT_NE(std::string(text).find(op), std::string::npos) << op;
}

TEST(Net, ALayerThatDoesNotFitNamesItselfTheOneBeforeAndItsShape) {
  Device device;
  Net net(device, {1, 6, 6});
  net.conv(4, 3).pool("max_pool", 2);
  lamina_conv_layer conv = {};
  conv.filters = 2, conv.kernel[0] = 3;
  EXPECT_EQ(lamina_net_add(net, "conv", &conv), LAMINA_INVALID);
  const std::string sentence = lamina_last_error();
  EXPECT_EQ(sentence.rfind("2.conv: conv/forward: ", 0), 0u) << sentence;
  EXPECT_NE(sentence.find("; before it comes 1.max_pool, which gives f32[4,2,2]"), std::string::npos) << sentence;
  conv.kernel[0] = 0;
  EXPECT_ERROR(lamina_net_add(net, "conv", &conv), LAMINA_INVALID,
               "2.conv: kernel is missing; before it comes 1.max_pool, which gives f32[4,2,2]");
  conv.kernel[0] = 1, conv.groups = 3;
  EXPECT_ERROR(lamina_net_add(net, "conv", &conv), LAMINA_INVALID,
               "2.conv: the 4 channels of its input can't be split into 3 groups; before it comes 1.max_pool, which "
               "gives f32[4,2,2]");
  conv.groups = 0, conv.pad[2][1] = 1;
  EXPECT_ERROR(lamina_net_add(net, "conv", &conv), LAMINA_INVALID,
               "2.conv: pad is given for 3 axes, but its input has 2 spatial axes; before it comes 1.max_pool, which "
               "gives f32[4,2,2]");
  EXPECT_ERROR(lamina_net_add(net, "max_pool", nullptr), LAMINA_INVALID,
               "2.max_pool: kernel is missing; before it comes 1.max_pool, which gives f32[4,2,2]");
  EXPECT_ERROR(lamina_net_add(net, "fc", nullptr), LAMINA_INVALID, "2.fc: units is missing; expected 1 to 2147483648");
  EXPECT_ERROR(lamina_net_add(net, "Relu", nullptr), LAMINA_INVALID,
               "there is no layer \"Relu\"; did you mean \"relu\"?");
  EXPECT_EQ(lamina_net_add(net, "q", nullptr), LAMINA_INVALID);
  for (const char *part : {"there is no layer \"q\"; there are ", "relu, ", "conv, ", "embedding"})
    EXPECT_NE(std::string(lamina_last_error()).find(part), std::string::npos) << lamina_last_error();
  lamina_reshape_layer shape = {{3, 5}};
  EXPECT_ERROR(lamina_net_add(net, "reshape", &shape), LAMINA_INVALID,
               "2.reshape: f32[1,4,2,2] can't become f32[1,3,5]: the number of elements differs; before it comes "
               "1.max_pool, which gives f32[4,2,2]");
  EXPECT_EQ(lamina_net_layer_count(net), 2); // as before
  net.fc(3);
  conv = {};
  conv.filters = 2, conv.kernel[0] = 1;
  EXPECT_ERROR(
      lamina_net_add(net, "conv", &conv), LAMINA_INVALID,
      "3.conv: its input has 2 axes; expected [N, C] and 1 to 3 spatial axes; before it comes 2.fc, which gives "
      "f32[3]");
}

TEST(Net, SizesThatOverflow) {
  Device device;
  lamina_net *none = nullptr;
  lamina_net_options options = {};
  options.rank = 3;
  options.dims[0] = options.dims[1] = options.dims[2] = INT64_C(1) << 31;
  EXPECT_ERROR(lamina_net_open(device, &options, &none), LAMINA_INVALID, "the size of the net's input overflows");
  Net net(device, {INT64_C(1) << 31, 4});
  lamina_fc_layer fc = {};
  fc.units = INT64_C(1) << 31;
  EXPECT_EQ(lamina_net_add(net, "fc", &fc), LAMINA_INVALID);
  EXPECT_NE(std::string(lamina_last_error()).find("overflow"), std::string::npos) << lamina_last_error();
  EXPECT_EQ(net.parameters(), 0);
  net.fc(2);
  lamina_memory_need need = {};
  EXPECT_ERROR(lamina_net_memory(net, INT64_MAX / 2, &need), LAMINA_INVALID,
               "a batch of 4611686018427387903 examples overflows");
}

TEST(Net, WantsParametersBeforeItRuns) {
  Device device;
  Net net(device, {4});
  net.fc(2);
  float x[4] = {1, 2, 3, 4}, y[2];
  static const char unset[] = "the net's parameters are not set; lamina_net_init does that";
  EXPECT_ERROR(lamina_net_forward(net, 1, x, y), LAMINA_INVALID, unset);
  EXPECT_ERROR(lamina_net_parameter_read(net, 0, y), LAMINA_INVALID, unset);
  EXPECT_ERROR(
      lamina_net_gradient_read(net, 0, y), LAMINA_INVALID,
      "the net has no gradients; lamina_net_gradients computes some, and a trainer keeps its own with keep_gradients");
  EXPECT_ERROR(lamina_net_save(net, "never"), LAMINA_INVALID,
               "the net's parameters are not set; there is nothing to save");
  EXPECT_ERROR(lamina_net_parameter_read(net, 2, y), LAMINA_INVALID, "there is no parameter 2; the net has 2");
  net.write(0, {1, 0, 0, 0, 0, 1, 0, -1}), net.write(1, {0.5, 0});
  ASSERT_OK(lamina_net_forward(net, 1, x, y));
  EXPECT_EQ(y[0], 1.5f);
  EXPECT_EQ(y[1], -2.0f);
  ASSERT_OK(lamina_net_forward(net, 0, nullptr, nullptr));
  EXPECT_EQ(lamina_net_forward(net, -1, x, y), LAMINA_INVALID);
  EXPECT_ERROR(lamina_net_add(net, "relu", nullptr), LAMINA_INVALID,
               "a net takes no more layers once it has parameters or a trainer");
}

TEST(Net, ANetOfViewsAlone) {
  Device device;
  Net net(device, {2, 3});
  net.add("flatten");
  const float x[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  float y[12] = {};
  ASSERT_OK(lamina_net_init(net, 1));
  ASSERT_OK(lamina_net_forward(net, 2, x, y));
  EXPECT_TRUE(std::equal(x, x + 12, y));
}

TEST(Net, PicturesAndPredictions) {
  Device device;
  Net net(device, "xo", {"data.normalise={mean: 0.5, deviation: 2}"});
  const lamina_dataset *train = nullptr;
  ASSERT_OK(lamina_net_data(net, &train, nullptr));
  EXPECT_EQ(lamina_net_class_name(net, 0), nullptr); // not known before training
  lamina_training training = {};
  training.epochs = 1;
  { Trainer trainer(net, training); }
  EXPECT_STREQ(lamina_net_class_name(net, 0), lamina_dataset_info_of(train)->class_names[0]);
  EXPECT_EQ(lamina_net_class_name(net, 2), nullptr);
  EXPECT_EQ(lamina_net_class_name(net, -1), nullptr);
  std::vector<float> pixels(81), x(81);
  pixels[0] = 1;
  lamina_image image = {};
  image.channels = 1, image.height = image.width = 9, image.x = pixels.data();
  ASSERT_OK(lamina_net_picture(net, &image, x.data()));
  EXPECT_EQ(x[0], (1 - 0.5f) / 2);  // xo's white is 1
  EXPECT_EQ(x[1], (-1 - 0.5f) / 2); // and its black -1
  float prob[2];
  ASSERT_OK(lamina_net_predict(net, 1, x.data(), prob));
  EXPECT_NEAR(prob[0] + prob[1], 1, 1e-6);
  image.width = 8;
  EXPECT_ERROR(lamina_net_picture(net, &image, x.data()), LAMINA_INVALID,
               "the picture has 1 channel, 9 rows and 8 columns, but the net's input is f32[1,9,9]");
}

TEST(Net, PicturesOfOtherColours) {
  Device device;
  Net grey(device, {1, 1, 2}), colour(device, {3, 1, 2});
  float plane[] = {0.25f, 1}, planes[] = {1, 0.5f, 0, 0.5f, 0, 1}, x[6]; // R R, G G, B B
  lamina_image image = {};
  image.channels = 1, image.height = 1, image.width = 2, image.x = plane;
  ASSERT_OK(lamina_net_picture(colour, &image, x));
  EXPECT_EQ(std::vector<float>(x, x + 6), (std::vector<float>{0.25f, 1, 0.25f, 1, 0.25f, 1}));
  image.channels = 3, image.x = planes;
  ASSERT_OK(lamina_net_picture(colour, &image, x));
  EXPECT_EQ(std::vector<float>(x, x + 6), std::vector<float>(planes, planes + 6));
  ASSERT_OK(lamina_net_picture(grey, &image, x));
  EXPECT_FLOAT_EQ(x[0], 0.299f);
  EXPECT_FLOAT_EQ(x[1], 0.5f * (0.299f + 0.587f) + 0.114f);
}

TEST(Net, PredictionsOfANetThatEndsInSoftmax) {
  Device device;
  for (const lamina_dtype dtype : {LAMINA_F32, LAMINA_F64, LAMINA_BF16}) {
    Net raw(device, {3}, dtype), soft(device, {3}, dtype), logs(device, {3}, dtype);
    raw.fc(4), soft.fc(4).add("softmax"), logs.fc(4).add("log_softmax");
    const float x[6] = {1, -2, 0.5f, 0, 3, 1};
    float first[8] = {};
    for (Net *net : {&raw, &soft, &logs}) {
      ASSERT_OK(lamina_net_init(*net, 9));
      float prob[8];
      ASSERT_OK(lamina_net_predict(*net, 2, x, prob));
      if (net == &raw) std::copy(prob, prob + 8, first);
      for (int i = 0; i < 8; i++) EXPECT_NEAR(prob[i], first[i], dtype == LAMINA_BF16 ? 0.03 : 1e-6);
      EXPECT_NEAR(prob[0] + prob[1] + prob[2] + prob[3], 1, dtype == LAMINA_BF16 ? 0.03 : 1e-6);
    }
  }
}

// ---- The start

struct Moments {
  double mean, variance, most;
};

Moments moments_of(const std::vector<double> &x) {
  Moments m = {0, 0, 0};
  for (const double v : x) m.mean += v, m.most = std::max(m.most, std::abs(v));
  m.mean /= static_cast<double>(x.size());
  for (const double v : x) m.variance += (v - m.mean) * (v - m.mean);
  m.variance /= static_cast<double>(x.size());
  return m;
}

TEST(NetInit, VariancesAreTheHeaders) {
  Device device;
  const double fan_in = 12 * 9, fan_out = 40 * 9; // of the convolution
  const struct {
    lamina_initialiser init;
    double variance;
    bool uniform;
  } kinds[] = {{LAMINA_INIT_HE_NORMAL, 2 / fan_in, false},
               {LAMINA_INIT_HE_UNIFORM, 2 / fan_in, true},
               {LAMINA_INIT_XAVIER_NORMAL, 2 / (fan_in + fan_out), false},
               {LAMINA_INIT_XAVIER_UNIFORM, 2 / (fan_in + fan_out), true},
               {LAMINA_INIT_ZERO, 0, true}};
  for (const auto &kind : kinds) {
    SCOPED_TRACE(kind.init);
    Net net(device, {12, 5, 5});
    lamina_conv_layer conv = {};
    conv.filters = 40, conv.kernel[0] = 3, conv.init = kind.init;
    net.add("conv", conv);
    ASSERT_OK(lamina_net_init(net, 11));
    const std::vector<double> w = net.parameter(0); // 4320 numbers
    const Moments m = moments_of(w);
    const double n = static_cast<double>(w.size()), sigma = std::sqrt(kind.variance);
    EXPECT_LE(std::abs(m.mean), 4 * sigma / std::sqrt(n)); // four standard errors
    EXPECT_LE(std::abs(m.variance - kind.variance), 4 * kind.variance * std::sqrt(2 / n));
    if (kind.uniform) {
      EXPECT_LE(m.most, std::sqrt(3) * sigma * (1 + 1e-6));
      EXPECT_GE(m.most, std::sqrt(3) * sigma * 0.99);
    } else {
      EXPECT_GT(m.most, 3 * sigma); // 12 of 4320 lie beyond, at 0.27 %
      EXPECT_EQ(std::count_if(w.begin(), w.end(), [&](double v) { return std::abs(v) > sigma; }) / (n * 0.3173) > 0.93,
                true);
    }
    for (size_t lag = 1; lag <= 5 && sigma > 0; lag++) { // neighbours come from one block of random words
      double sum = 0;
      for (size_t i = lag; i < w.size(); i++) sum += w[i] * w[i - lag];
      EXPECT_LE(std::abs(sum), 4 * kind.variance * std::sqrt(n)) << "lag " << lag;
    }
    for (const double b : net.parameter(1)) EXPECT_EQ(b, 0);
  }
}

// he_normal before a relu, xavier_uniform else: told by how far the numbers reach.
TEST(NetInit, DefaultLooksForTheReluThatFollows) {
  Device device;
  Net net(device, {100});
  net.fc(50).dropout(0.5).add("relu").fc(60).add("tanh").fc(50).add("flatten").fc(30).add("relu");
  ASSERT_OK(lamina_net_init(net, 2));
  const auto reach = [&](const char *name) {
    return moments_of(net.parameter(lamina_net_parameter_find(net, name))).most;
  };
  EXPECT_GT(reach("0.fc.w"), 2.5 * std::sqrt(2.0 / 100));
  EXPECT_LE(reach("3.fc.w"), std::sqrt(6.0 / 110));
  EXPECT_LE(reach("5.fc.w"), std::sqrt(6.0 / 110)); // the relu comes after the next layer with parameters
  EXPECT_GT(reach("7.fc.w"), 2.5 * std::sqrt(2.0 / 50));
}

TEST(NetInit, IsAFunctionOfTheSeed) {
  Device one, two("", 2);
  Net a(one, {5, 6, 6}), b(two, {5, 6, 6}), c(one, {5, 6, 6});
  for (Net *net : {&a, &b, &c}) net->conv(3, 3).add("relu").fc(7);
  ASSERT_OK(lamina_net_init(a, 5));
  ASSERT_OK(lamina_net_init(b, 5));
  ASSERT_OK(lamina_net_init(c, 6));
  EXPECT_EQ(a.all(), b.all());
  EXPECT_NE(a.all(), c.all());
  EXPECT_NE(a.parameter(0), a.parameter(2));
  ASSERT_OK(lamina_net_init(a, 6));
  EXPECT_EQ(a.all(), c.all());
}

} // namespace
