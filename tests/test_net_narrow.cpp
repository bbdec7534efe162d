// Nets of 16-bit numbers: from outside their parameters are f32, data comes in f32, losses are taken in f32.
#include <cmath>
#include <functional>

#include "lamina/io.h"
#include "net/trainer.h"
#include "net_fixture.h"
#include "temporary.h"

namespace {

// What a rounding to bf16 moves a number by, at most, is half of this times it: 8 bits of a number.
const double u = 0x1p-8;

double narrow(double x) { return lamina_round(LAMINA_BF16, x); }
std::vector<double> narrow(std::vector<double> all) {
  for (double &x : all) x = narrow(x);
  return all;
}

std::string first_line(lamina_net *net, bool training = false) {
  const char *text = nullptr;
  EXPECT_OK(lamina_net_explain(net, 2, training, &text));
  const std::string all = text;
  return all.substr(0, all.find('\n'));
}

Net &small(Net &net) { return net.conv(4, 3).add("relu").pool("max_pool", 2).fc(9).add("relu").fc(4); }

TEST(NetNarrow, IsF32FromOutside) {
  Device device;
  for (const lamina_dtype dtype : {LAMINA_BF16, LAMINA_F16}) {
    Net net(device, {1, 8, 8}, dtype), wide(device, {1, 8, 8});
    small(net), small(wide);
    EXPECT_EQ(lamina_net_input(net).dtype, LAMINA_F32);
    EXPECT_EQ(lamina_net_output(net).dtype, dtype);
    ASSERT_OK(lamina_net_init(net, 3));
    ASSERT_OK(lamina_net_init(wide, 3));
    for (int p = 0; p < net.parameters(); p++) {
      EXPECT_EQ(net.desc(p).dtype, LAMINA_F32);
      std::vector<double> rounded = wide.parameter(p);
      for (double &x : rounded) x = lamina_round(dtype, x);
      EXPECT_EQ(net.parameter(p), rounded) << "the start is that of an f32 net, rounded";
    }
    std::vector<double> values = net.parameter_zeros(0);
    for (size_t i = 0; i < values.size(); i++) values[i] = static_cast<float>(std::sin(static_cast<double>(i)));
    net.write(0, values);
    for (double &x : values) x = lamina_round(dtype, x);
    EXPECT_EQ(net.parameter(0), values);
    EXPECT_NE(first_line(net).find("cast/forward"), std::string::npos) << first_line(net);
    EXPECT_EQ(Batch(net, 3).gradients(net) > 0, true);
    net.gradient(0);
  }
}

// A batch that is narrow already, where the net is said to take such.
TEST(NetNarrow, TakesNarrowInputsWhereItIsToldSo) {
  Device device;
  Net cast(device, {1, 8, 8}, LAMINA_BF16), direct(device, {1, 8, 8}, LAMINA_BF16, 0, LAMINA_BF16);
  std::vector<uint16_t> x(2 * 64), y(2 * 4), direct_y(2 * 4);
  std::vector<float> wide(x.size());
  for (size_t i = 0; i < x.size(); i++) {
    wide[i] = static_cast<float>(std::cos(static_cast<double>(i)));
    lamina_store(LAMINA_BF16, x.data(), static_cast<int64_t>(i), static_cast<double>(wide[i]));
  }
  for (Net *net : {&cast, &direct}) ASSERT_OK(lamina_net_init(small(*net), 1));
  EXPECT_EQ(first_line(direct).find("cast/forward"), std::string::npos);
  ASSERT_OK(lamina_net_forward(cast, 2, wide.data(), y.data()));
  ASSERT_OK(lamina_net_forward(direct, 2, x.data(), direct_y.data()));
  EXPECT_EQ(y, direct_y);

  Temporary folder;
  const std::string path = folder / "net.safetensors"; // and it is described so
  ASSERT_OK(lamina_net_save(direct, path.c_str()));
  EXPECT_EQ(lamina_net_input(Net(device, path.c_str())).dtype, LAMINA_BF16);
  lamina_net_options options = {};
  lamina_net *none = nullptr;
  options.rank = 1, options.dims[0] = 3, options.dtype = LAMINA_BF16, options.input_dtype = LAMINA_F16;
  EXPECT_ERROR(lamina_net_open(device, &options, &none), LAMINA_INVALID,
               "a net with an input of dtype f16; expected i32, or the net's own, or f32");
}

// What is told of a net is the same from every side: forward, predictions, evaluation, the confusion matrix.
TEST(NetNarrow, ForwardPredictionsAndEvaluationAgree) {
  Device device;
  const Examples examples(20, 1, 8, 4);
  for (const lamina_dtype dtype : {LAMINA_BF16, LAMINA_F16}) {
    Net net(device, {1, 8, 8}, dtype);
    ASSERT_OK(lamina_net_init(small(net), 5));
    lamina_evaluation result = {};
    std::vector<int64_t> counts(16);
    ASSERT_OK(lamina_net_evaluate(net, examples, nullptr, 8, 2, &result));
    ASSERT_OK(lamina_net_confusion(net, examples, 8, counts.data()));
    int64_t hits = 0;
    for (size_t c = 0; c < 4; c++) hits += counts[5 * c];
    EXPECT_EQ(hits, result.hits);
    lamina_loader *loader = nullptr;
    lamina_loader_options options = {};
    lamina_batch batch = {};
    options.batch = 20;
    ASSERT_OK(lamina_loader_open(examples, &options, &loader));
    ASSERT_OK(lamina_loader_next(loader, &batch));
    std::vector<float> prob(80);
    std::vector<uint16_t> y(80);
    ASSERT_OK(lamina_net_predict(net, 20, batch.x, prob.data()));
    ASSERT_OK(lamina_net_forward(net, 20, batch.x, y.data()));
    double loss = 0;
    for (int64_t i = 0; i < 20; i++) {
      double most = -INFINITY, sum = 0;
      for (int64_t c = 0; c < 4; c++) most = std::max(most, lamina_load(dtype, y.data(), 4 * i + c));
      for (int64_t c = 0; c < 4; c++) sum += std::exp(lamina_load(dtype, y.data(), 4 * i + c) - most);
      for (int64_t c = 0; c < 4; c++)
        EXPECT_NEAR(prob[static_cast<size_t>(4 * i + c)],
                    std::exp(lamina_load(dtype, y.data(), 4 * i + c) - most) / sum, 1e-6);
      loss += most + std::log(sum) - lamina_load(dtype, y.data(), 4 * i + batch.label[i]);
    }
    EXPECT_NEAR(result.loss, loss / 20, 1e-5) << "the loss is taken in f32";
    lamina_loader_close(loader);
  }
}

// One layer, by hand: of scores s (rounded, so off by u/2 |s|) come p = softmax(s), off by at most twice as much as the
// scores are, times p; ds = (p - [label]) / N is rounded; dw = ds' x is summed in f32 and rounded.
TEST(NetNarrow, GradientsAreWithinTheirRoundings) {
  Device device;
  const int64_t N = 6, I = 10, O = 4;
  Net net(device, {I}, LAMINA_BF16);
  ASSERT_OK(lamina_net_init(net.fc(O), 2));
  const Batch batch(net, N);
  double loss = batch.gradients(net), exact = 0, slack = 0;
  const std::vector<double> w = net.parameter(0), b = net.parameter(1), dw = net.gradient(0), db = net.gradient(1);
  std::vector<double> want(w.size()), room(w.size()), want_b(b.size()), room_b(b.size());
  for (int64_t n = 0; n < N; n++) {
    const auto x = [&](int64_t i) { return narrow(lamina_load(LAMINA_F32, batch.x.data(), n * I + i)); };
    double s[4], sum = 0, off = 0;
    for (int64_t o = 0; o < O; o++) {
      s[o] = b[static_cast<size_t>(o)];
      for (int64_t i = 0; i < I; i++) s[o] += w[static_cast<size_t>(o * I + i)] * x(i);
      sum += std::exp(s[o]), off = std::max(off, u / 2 * std::abs(s[o]) * 1.001);
    }
    exact += (std::log(sum) - s[batch.labels[static_cast<size_t>(n)]]) / N, slack += 2 * off / N;
    for (int64_t o = 0; o < O; o++) {
      const double p = std::exp(s[o]) / sum, ds = (p - (o == batch.labels[static_cast<size_t>(n)])) / N;
      const double e = (p * std::expm1(2 * off)) / N, rounded = e + u / 2 * (std::abs(ds) + e);
      want_b[static_cast<size_t>(o)] += ds, room_b[static_cast<size_t>(o)] += rounded;
      for (int64_t i = 0; i < I; i++) {
        want[static_cast<size_t>(o * I + i)] += ds * x(i);
        room[static_cast<size_t>(o * I + i)] += rounded * std::abs(x(i));
      }
    }
  }
  EXPECT_NEAR(loss, exact, slack + 1e-6);
  EXPECT_NE(loss, narrow(loss)); // the loss itself isn't rounded (but by chance)
  for (size_t i = 0; i < w.size(); i++) {
    EXPECT_NEAR(dw[i], want[i], room[i] + u / 2 * (std::abs(want[i]) + room[i]) + 1e-7) << i;
    EXPECT_EQ(dw[i], narrow(dw[i]));
  }
  for (size_t o = 0; o < b.size(); o++)
    EXPECT_NEAR(db[o], want_b[o], room_b[o] + u / 2 * (std::abs(want_b[o]) + room_b[o]) + 1e-7);
}

// A file of one type is a net of the other, where the same layers are asked for in it.
TEST(NetNarrow, CheckpointsGoBothWays) {
  Temporary folder;
  Device device;
  const std::string path = folder / "net.safetensors", back = folder / "back.safetensors";
  Net wide(device, {1, 8, 8});
  ASSERT_OK(lamina_net_init(small(wide), 8));
  ASSERT_OK(lamina_net_save(wide, path.c_str()));
  Net half(device, path.c_str(), {"dtype=bf16"});
  EXPECT_EQ(lamina_net_output(half).dtype, LAMINA_BF16);
  EXPECT_EQ(half.all(), narrow(wide.all()));
  ASSERT_OK(lamina_net_save(half, back.c_str())); // nobody trained it: what it has is what is written
  Net again(device, back.c_str()), single(device, back.c_str(), {"dtype=f32"});
  EXPECT_EQ(lamina_net_output(again).dtype, LAMINA_BF16);
  EXPECT_EQ(lamina_net_output(single).dtype, LAMINA_F32);
  EXPECT_EQ(again.all(), half.all());
  EXPECT_EQ(single.all(), half.all());
}

TEST(NetNarrow, F16IsNotTrained) {
  Device device;
  const Examples examples(20, 1, 8, 4);
  Net net(device, {1, 8, 8}, LAMINA_F16);
  small(net);
  lamina_training training = {};
  lamina_trainer *trainer = nullptr;
  training.train = examples;
  EXPECT_ERROR(
      lamina_trainer_open(net, &training, &trainer), LAMINA_UNSUPPORTED,
      "training in f16: small gradients would become 0, since nothing scales the loss; expected a net of f32, or "
      "of bf16, which has its range");
}

} // namespace
