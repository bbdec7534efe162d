// Clipping in a training: what it makes of the gradients, of the run, and of gradients that aren't finite.
#include <cmath>

#include "lamina/optimizer.h"
#include "net/trainer.h"
#include "net_fixture.h"

namespace {

// Examples of one row of pixels, of which a bad one has another value in all of them.
class Pixels {
public:
  explicit Pixels(std::vector<float> x, int64_t count = 1) : pixels_(std::move(x)) {
    source_.info.name = "pixels";
    source_.info.count = count;
    source_.info.channels = source_.info.height = 1;
    source_.info.width = static_cast<int64_t>(pixels_.size());
    source_.info.classes = 2;
    source_.user = this;
    source_.read = [](void *user, int64_t index, float *to, int32_t *label) {
      const Pixels *self = static_cast<Pixels *>(user);
      for (size_t i = 0; i < self->pixels_.size(); i++) to[i] = index == self->bad ? self->value : self->pixels_[i];
      *label = static_cast<int32_t>(index % 2);
      return LAMINA_OK;
    };
    EXPECT_OK(lamina_dataset_wrap(&source_, nullptr, &dataset_));
  }
  ~Pixels() { lamina_dataset_close(dataset_); }
  Pixels(const Pixels &) = delete;
  Pixels &operator=(const Pixels &) = delete;
  operator const lamina_dataset *() const { return dataset_; }
  int64_t bad = -1;
  float value = 3e38f;

private:
  std::vector<float> pixels_;
  lamina_source source_ = {};
  lamina_dataset *dataset_ = nullptr;
};

lamina_training options(const lamina_dataset *data, double clip_norm, double clip_value = 0) {
  lamina_training training = {};
  training.train = data, training.batch = 1, training.epochs = 4, training.rate.rate = 1, training.threads = -1;
  training.clip_norm = clip_norm, training.clip_value = clip_value, training.keep_gradients = true;
  return training;
}

// Up to four roundings to f32: of the probability, dw, the norm and the product with the factor.
const double four_roundings = 4 * 0x1p-24;
void expect_close(const std::vector<double> &got, const std::vector<double> &want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); i++) EXPECT_NEAR(got[i], want[i], four_roundings * std::abs(want[i])) << i;
}

// Two scores of two pixels, all parameters 0: the probabilities are 1/2, dw = (p - 1) x and p x, db = p - 1 and p.
// The literal numbers are what PyTorch gave in f64, after clip_grad_value_ and clip_grad_norm_.
struct Example {
  double clip_norm, clip_value, norm;
  std::vector<double> gradients;
};
const Example worked[] = {{1,
                           0,
                           3.6055512754639896,
                           {-0.41602503178433836, -0.5547000423791179, 0.41602503178433836, 0.5547000423791179,
                            -0.13867501059477946, 0.13867501059477946}},
                          {0, 1, NAN, {-1, -1, 1, 1, -0.5, 0.5}},
                          {1,
                           1,
                           2.1213203435596424,
                           {-0.47140429856891425, -0.47140429856891425, 0.47140429856891425, 0.47140429856891425,
                            -0.23570214928445712, 0.23570214928445712}},
                          {100, 0, 3.6055512754639896, {-1.5, -2, 1.5, 2, -0.5, 0.5}},
                          {-1, -1, NAN, {-1.5, -2, 1.5, 2, -0.5, 0.5}}};

TEST(NetClip, GradientsOfTheWorkedExample) {
  const Pixels data({3, 4});
  for (const Example &e : worked) {
    SCOPED_TRACE("norm " + std::to_string(e.clip_norm) + ", value " + std::to_string(e.clip_value));
    Device device;
    Net net(device, {1, 1, 2});
    net.fc(2);
    net.write(0, {0, 0, 0, 0}), net.write(1, {0, 0});
    const Trainer trainer(net, options(data, e.clip_norm, e.clip_value));
    ASSERT_OK(lamina_trainer_step(trainer));
    EXPECT_NEAR(trainer.progress().loss, std::log(2), four_roundings);
    if (std::isnan(e.norm))
      EXPECT_TRUE(std::isnan(trainer.progress().grad_norm));
    else
      EXPECT_NEAR(trainer.progress().grad_norm, e.norm, four_roundings * e.norm);
    expect_close(net.all_gradients(), e.gradients);
    std::vector<double> moved = net.all();
    for (double &w : moved) w = -w; // at a rate of 1
    expect_close(moved, e.gradients);
  }
}

// One launch moves all parameters, one sums all squares, and one clips them.
TEST(NetClip, IsOneOpOverAllParameters) {
  const Examples examples(16, 1, 8, 4);
  const lamina_adam adam = {};
  Device device;
  Net net(device, {1, 8, 8});
  net.conv(2, 3).add("relu").fc(5).add("relu").fc(4);
  lamina_training training = options(examples, 0.5, 0.1);
  training.optimizer = "adam", training.optimizer_attrs = &adam;
  const Trainer trainer(net, training);
  lamina_net *raw = net;
  const lamina_graph &graph = raw->executors->graph;
  std::string ops;
  for (int n = raw->executors->update; n < graph.node_count; n++)
    ops += std::string(lamina_op_at(graph.nodes[n].op)->name) + " ";
  EXPECT_EQ(ops, "add/forward clip_value/forward norm2/forward scale/forward add/forward clip_norm/forward "
                 "adam/update ");
}

// A bound that is never reached changes nothing; one that always is bounds every step.
TEST(NetClip, OfEveryOptimizer) {
  const Examples examples(40, 1, 8, 4);
  const lamina_sgd plain = {}, momentum = {0.9, 0};
  const lamina_adam adam = {};
  const struct {
    const char *name;
    const void *attrs;
  } optimizers[] = {{"sgd", &plain}, {"sgd", &momentum}, {"adam", &adam}};
  for (const auto &optimizer : optimizers) {
    Device device;
    Net net(device, {1, 8, 8}), free(device, {1, 8, 8}), bound(device, {1, 8, 8});
    for (Net *each : {&net, &free, &bound}) each->conv(4, 3).add("relu").pool("max_pool", 2).fc(4);
    lamina_training training = options(examples, 0);
    training.batch = 8, training.rate.rate = 0.01;
    training.optimizer = optimizer.name, training.optimizer_attrs = optimizer.attrs;
    Trainer as_it_is(net, training);
    training.clip_norm = 1e6, training.clip_value = 1e6;
    Trainer loose(free, training);
    training.clip_norm = 0.01, training.clip_value = 0;
    Trainer tight(bound, training);
    for (int step = 0; step < 10; step++) {
      as_it_is.steps(1), loose.steps(1), tight.steps(1);
      ASSERT_OK(lamina_trainer_settle(tight));
      double squares = 0;
      for (const double g : bound.all_gradients()) squares += g * g;
      EXPECT_LE(std::sqrt(squares), 0.01);
      EXPECT_GT(std::sqrt(squares), 0.01 * 0.9999);
    }
    EXPECT_EQ(net.all(), free.all());
    EXPECT_NE(net.all(), bound.all());
  }
}

// ---- What isn't finite --------------------------------------------------------------------------------------------

// 3e38: the loss is finite, since all that these pixels meet is next to 0, and so are the gradients, each for itself; the
// norm of these leaves f32. NaN: the norm is one, too, and must not stay anywhere, as between the parameters.
TEST(NetClip, ANormThatIsNotFiniteLeavesTheParameters) {
  const std::pair<float, const char *> bad[] = {
      {3e38f,
       "step 3: the norm of the gradients is not finite, but all that it is made of was when the step ran again"},
      {NAN, "step 3: the loss is not finite; the first to make it so is the batch: its pictures"}};
  for (const auto &[value, sentence] : bad) {
    Pixels data({1, 2, 3, 4, 5}, 6);
    Device device;
    Net net(device, {1, 1, 5}), clean(device, {1, 1, 5});
    for (Net *each : {&net, &clean}) {
      each->fc(2);
      each->write(0, std::vector<double>(10, 0)), each->write(1, {0, 0});
    }
    lamina_training training = options(data, 1);
    training.rate.rate = 1e-30;
    data.bad = 3, data.value = value;
    Trainer trainer(net, training), again(clean, training);
    lamina_status status = LAMINA_OK;
    for (int step = 0; step < 12 && !status; step++) status = lamina_trainer_step(trainer);
    EXPECT_ERROR(status, LAMINA_NOT_FINITE, sentence);
    EXPECT_EQ(trainer.progress().total, 2);
    data.bad = -1;
    trainer.steps(3); // mended, it goes on
    again.steps(5);
    ASSERT_OK(lamina_trainer_settle(trainer));
    ASSERT_OK(lamina_trainer_settle(again));
    EXPECT_EQ(net.all(), clean.all());
  }
}

// A filter's gradient is the sum over all pixels, 5 * 3e38 / 2.
TEST(NetClip, TheLayerIsNamed) {
  Pixels data({1, 2, 3, 4, 5}, 6);
  data.bad = 3;
  Device device;
  Net net(device, {1, 1, 5});
  net.conv(1, 1).fc(2);
  net.write(0, {0}), net.write(1, {0}), net.write(2, {0, 0, 0, 0, 0, 1, 1, 1, 1, 1}), net.write(3, {0, 0});
  lamina_training training = options(data, 1);
  training.rate.rate = 1e-30;
  const Trainer trainer(net, training);
  lamina_status status = LAMINA_OK;
  for (int step = 0; step < 12 && !status; step++) status = lamina_trainer_step(trainer);
  EXPECT_EQ(status, LAMINA_NOT_FINITE);
  EXPECT_NE(std::string(lamina_last_error())
                .find("the norm of the gradients is not finite; the first to make it so is layer 0.conv"),
            std::string::npos)
      << lamina_last_error();
  for (const double w : net.all()) EXPECT_TRUE(std::isfinite(w)); // 0 times infinity came nowhere
}

// ---- Options ------------------------------------------------------------------------------------------------------

TEST(NetClip, RecipesSayIt) {
  Device device;
  Net net(device, "digits",
          {"train.clip_norm=0.25", "train.clip_value=0.5", "data.train=\"digits:train,count=32\"",
           "data.test=\"digits:test,count=8\"", "train.batch=8"});
  {
    const Trainer trainer(net);
    EXPECT_EQ(lamina_trainer_training(trainer)->clip_norm, 0.25);
    EXPECT_EQ(lamina_trainer_training(trainer)->clip_value, 0.5);
  }
  lamina_training training = {};
  training.clip_norm = 2, training.clip_value = -1;
  const Trainer trainer(net, training);
  EXPECT_EQ(lamina_trainer_training(trainer)->clip_norm, 2);
  lamina_net *raw = net;
  EXPECT_EQ(raw->update.clip_norm, 2);
  EXPECT_EQ(raw->update.clip_value, 0);
}

} // namespace
