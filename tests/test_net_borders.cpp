// What a net must not let happen: a trainer whose plans go away beneath it, data that doesn't fit, gradients that are
// silently missing, steps that are lost when one fails, checkpoints that can't be opened again.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "lamina/lamina.h"
#include "temporary.h"

namespace {

#define OK(call) ASSERT_EQ(call, LAMINA_OK) << lamina_last_error()

// Examples of 1 x 4 x 4 of two classes; one of them may hold a NaN.
struct Source {
  int64_t count, rows = 4, nan = -1, broken = -1;
  static lamina_status read(void *user, int64_t index, float *x, int32_t *label) {
    const Source *self = static_cast<const Source *>(user);
    for (int64_t i = 0; i < 4 * self->rows; i++) x[i] = static_cast<float>((index * 7 + i * 3) % 11) / 11;
    if (index == self->nan) x[0] = std::numeric_limits<float>::quiet_NaN();
    *label = static_cast<int32_t>(index % 2);
    if (index == self->broken) return lamina_error(LAMINA_IO, "example %d can't be read", static_cast<int>(index));
    return LAMINA_OK;
  }
  lamina_dataset *open() {
    lamina_source source = {};
    source.info.name = "made";
    source.info.count = count, source.info.channels = 1, source.info.height = rows, source.info.width = 4;
    source.info.classes = 2;
    source.read = read, source.user = this;
    lamina_dataset *dataset = nullptr;
    EXPECT_EQ(lamina_dataset_wrap(&source, nullptr, &dataset), LAMINA_OK) << lamina_last_error();
    return dataset;
  }
};

class NetBorders : public testing::Test {
protected:
  void SetUp() override {
    lamina_device_options one = {};
    one.threads = 1; /* the net is tiny */
    OK(lamina_device_open("cpu", &one, &device));
    data = source.open();
    net = small_net();
  }
  void TearDown() override {
    lamina_trainer_close(trainer);
    lamina_net_close(net);
    lamina_dataset_close(data);
    lamina_device_close(device);
  }

  lamina_net *small_net(lamina_dtype dtype = LAMINA_F32) {
    lamina_net_options options = {};
    options.rank = 3, options.dims[0] = 1, options.dims[1] = 4, options.dims[2] = 4, options.dtype = dtype;
    lamina_net *made = nullptr;
    EXPECT_EQ(lamina_net_open(device, &options, &made), LAMINA_OK);
    lamina_conv_layer conv = {};
    conv.filters = 3, conv.kernel[0] = 3, conv.pad[1][1] = 1, conv.stride[1] = 2;
    lamina_fc_layer fc = {};
    fc.units = 2;
    EXPECT_EQ(lamina_net_add(made, "conv", &conv), LAMINA_OK) << lamina_last_error();
    EXPECT_EQ(lamina_net_add(made, "relu", nullptr), LAMINA_OK);
    EXPECT_EQ(lamina_net_add(made, "fc", &fc), LAMINA_OK);
    return made;
  }
  lamina_training training() {
    lamina_sgd sgd = {};
    sgd.momentum = 0.5;
    attrs = sgd;
    lamina_training t = {};
    t.train = data, t.batch = 4, t.epochs = 3, t.threads = -1;
    t.optimizer = "sgd", t.optimizer_attrs = &attrs, t.decay = 0.01;
    return t;
  }
  void open_trainer() {
    const lamina_training t = training();
    OK(lamina_trainer_open(net, &t, &trainer));
  }
  static std::vector<float> parameters(lamina_net *of) {
    std::vector<float> all;
    for (int i = 0; i < lamina_net_parameter_count(of); i++) {
      lamina_parameter p;
      EXPECT_EQ(lamina_net_parameter(of, i, &p), LAMINA_OK);
      std::vector<float> one(static_cast<size_t>(lamina_desc_count(&p.desc)));
      EXPECT_EQ(lamina_net_parameter_read(of, i, one.data()), LAMINA_OK) << lamina_last_error();
      all.insert(all.end(), one.begin(), one.end());
    }
    return all;
  }

  Source source = {16};
  lamina_sgd attrs = {};
  lamina_device *device = nullptr;
  lamina_dataset *data = nullptr;
  lamina_net *net = nullptr;
  lamina_trainer *trainer = nullptr;
};

// Everything that plans anew (a prediction of memory, too large a batch) between two steps, against a run without it.
TEST_F(NetBorders, ATrainerKeepsItsPlans) {
  open_trainer();
  for (int i = 0; i < 4; i++) OK(lamina_trainer_step(trainer));
  const std::vector<float> undisturbed = parameters(net);
  lamina_trainer_close(trainer);
  lamina_net_close(net);
  net = small_net(), trainer = nullptr;
  open_trainer();
  std::vector<float> x(64 * 16, 0.5f), y(64 * 2);
  lamina_training other = training();
  lamina_memory_need need;
  other.optimizer = "adam", other.optimizer_attrs = nullptr, other.decay = 0.5;
  for (int i = 0; i < 4; i++) {
    OK(lamina_trainer_step(trainer));
    OK(lamina_training_memory(net, &other, &need));
    EXPECT_EQ(lamina_net_forward(net, int64_t(1) << 40, x.data(), y.data()), LAMINA_OUT_OF_MEMORY);
    OK(lamina_net_forward(net, 64, x.data(), y.data()));
    double loss;
    const std::vector<int32_t> labels(64);
    OK(lamina_net_gradients(net, nullptr, 64, x.data(), labels.data(), 1, 1, &loss));
  }
  EXPECT_EQ(parameters(net), undisturbed);
}

TEST_F(NetBorders, ANetHasOneTrainer) {
  open_trainer();
  const lamina_training t = training();
  lamina_trainer *second = nullptr;
  EXPECT_EQ(lamina_trainer_open(net, &t, &second), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "the net has a trainer already; close that first");
  lamina_trainer_close(trainer);
  OK(lamina_trainer_open(net, &t, &trainer));
}

TEST_F(NetBorders, EvaluationChecksItsData) {
  Source tall = {16, 5};
  lamina_dataset *other = tall.open();
  lamina_evaluation result;
  OK(lamina_net_init(net, 1));
  EXPECT_EQ(lamina_net_evaluate(net, other, nullptr, 4, 1, &result), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(),
               "made has pictures of 1 channel, 5 rows and 4 columns, but the net's input is f32[1,4,4]");
  lamina_dataset_close(other);
  lamina_net_close(net);
  net = small_net(LAMINA_F64);
  OK(lamina_net_init(net, 1));
  EXPECT_EQ(lamina_net_evaluate(net, data, nullptr, 4, 1, &result), LAMINA_INVALID);
}

TEST_F(NetBorders, AnUnknownLossOrOptimizerIsAnError) {
  lamina_training t = training();
  t.loss = "softmax_cross_entropi";
  EXPECT_EQ(lamina_trainer_open(net, &t, &trainer), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(),
               "there is no loss \"softmax_cross_entropi\"; did you mean \"softmax_cross_entropy\"?");
  t.loss = nullptr, t.optimizer = "adamm";
  EXPECT_EQ(lamina_trainer_open(net, &t, &trainer), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "there is no optimizer \"adamm\"; did you mean \"adam\"?");
}

// The loss of the third batch is NaN: parameters stay, and the same step comes again.
TEST_F(NetBorders, AFailedStepIsNotSkipped) {
  lamina_progress before, after;
  source.nan = 3;
  open_trainer();
  lamina_status status = LAMINA_OK;
  std::vector<float> kept;
  while (!status) {
    kept = parameters(net);
    status = lamina_trainer_step(trainer);
  }
  ASSERT_EQ(status, LAMINA_NOT_FINITE);
  EXPECT_EQ(parameters(net), kept);
  lamina_trainer_progress(trainer, &before);
  ASSERT_EQ(lamina_trainer_step(trainer), LAMINA_NOT_FINITE);
  lamina_trainer_progress(trainer, &after);
  EXPECT_EQ(after.total, before.total);
  source.nan = -1;
  OK(lamina_trainer_run(trainer));
  const std::vector<float> repeated = parameters(net);
  lamina_trainer_close(trainer);
  lamina_net_close(net);
  net = small_net(), trainer = nullptr;
  open_trainer();
  OK(lamina_trainer_run(trainer));
  EXPECT_EQ(parameters(net), repeated);
}

TEST_F(NetBorders, ANetBuiltInCComesBackFromItsCheckpoint) {
  Temporary folder;
  const std::string path = folder / "net.safetensors";
  OK(lamina_net_init(net, 3));
  OK(lamina_net_save(net, path.c_str()));
  lamina_net *again = nullptr;
  OK(lamina_net_load(device, path.c_str(), nullptr, &again));
  EXPECT_EQ(parameters(again), parameters(net));
  std::vector<float> x(16, 0.25f), y(2), z(2);
  OK(lamina_net_forward(net, 1, x.data(), y.data()));
  OK(lamina_net_forward(again, 1, x.data(), z.data()));
  EXPECT_EQ(y, z);
  lamina_net_close(again);
}

// A pad on one side of the second axis and a stride of the second axis alone are what a list could lose.
TEST_F(NetBorders, EveryFieldOfALayerComesBackFromItsCheckpoint) {
  Temporary folder;
  const std::string path = folder / "net.safetensors";
  lamina_net_options options = {};
  options.rank = 3, options.dims[0] = 2, options.dims[1] = 9, options.dims[2] = 11;
  lamina_net *odd = nullptr, *again = nullptr;
  OK(lamina_net_open(device, &options, &odd));
  lamina_conv_layer conv = {};
  conv.filters = 4, conv.kernel[0] = 3, conv.kernel[1] = 2, conv.stride[1] = 2, conv.pad[1][1] = 1, conv.groups = 2;
  conv.has_bias = 1, conv.init = LAMINA_INIT_XAVIER_NORMAL;
  lamina_pool_layer pool = {};
  pool.kernel[0] = 2, pool.stride[0] = 1, pool.ceil = 1;
  lamina_dropout_layer dropout = {};
  dropout.has_p = 1, dropout.channels = 1;
  lamina_reshape_layer reshape = {};
  reshape.shape[0] = 8;
  OK(lamina_net_add(odd, "conv", &conv));
  OK(lamina_net_add(odd, "avg_pool", &pool));
  OK(lamina_net_add(odd, "dropout", &dropout));
  pool = {};
  pool.global = 1;
  OK(lamina_net_add(odd, "max_pool", &pool));
  lamina_fc_layer fc = {};
  fc.units = 8;
  OK(lamina_net_add(odd, "fc", &fc));
  OK(lamina_net_add(odd, "reshape", &reshape));
  OK(lamina_net_init(odd, 3));
  OK(lamina_net_save(odd, path.c_str()));
  OK(lamina_net_load(device, path.c_str(), nullptr, &again));
  std::vector<float> x(3 * 2 * 9 * 11), y(3 * 8), z(3 * 8);
  for (size_t i = 0; i < x.size(); i++) x[i] = std::sin(static_cast<float>(i));
  OK(lamina_net_forward(odd, 3, x.data(), y.data()));
  OK(lamina_net_forward(again, 3, x.data(), z.data()));
  EXPECT_EQ(y, z);
  lamina_net_close(again);
  lamina_net_close(odd);
}

// The recipe doesn't say its input, so the data told it; the checkpoint must do without that data.
TEST_F(NetBorders, ACheckpointNeedsNoData) {
  Temporary folder;
  const std::string recipe = folder / "recipe.yaml", path = folder / "net.safetensors", key = "data.train=idx:gone";
  const char *const gone[] = {key.c_str(), nullptr};
  write_file(recipe, "data: {train: \"xo:train,count=8\"}\nnet: [{fc: 2}]\n");
  lamina_load_options options = {};
  lamina_net *told = nullptr, *again = nullptr;
  OK(lamina_net_load(device, recipe.c_str(), nullptr, &told));
  OK(lamina_net_init(told, 1));
  OK(lamina_net_save(told, path.c_str()));
  lamina_net_close(told);
  options.set = gone;
  OK(lamina_net_load(device, path.c_str(), &options, &again));
  const lamina_desc input = lamina_net_input(again);
  EXPECT_EQ(input.dims[1], 9);
  lamina_net_close(again);
}

// Once the example can be read again, training goes on where it was.
TEST_F(NetBorders, AnExampleThatCantBeReadStopsNothingForEver) {
  source.broken = 5;
  open_trainer();
  lamina_status status = LAMINA_OK;
  while (!status) status = lamina_trainer_step(trainer);
  ASSERT_EQ(status, LAMINA_IO);
  EXPECT_STREQ(lamina_last_error(), "dataset \"made\", example 5: example 5 can't be read");
  source.broken = -1;
  OK(lamina_trainer_run(trainer));
  lamina_progress progress;
  lamina_trainer_progress(trainer, &progress);
  EXPECT_EQ(progress.total, 3 * 4);
}

TEST(NetPlans, AnOpWithoutAnEngineNamesItsLayer) {
  lamina_device *device = nullptr;
  lamina_net *net = nullptr;
  lamina_net_options options = {};
  lamina_device_options engines = {};
  engines.engine = "relu:onednn/none";
  options.rank = 1, options.dims[0] = 4;
  ASSERT_EQ(lamina_device_open("cpu", &engines, &device), LAMINA_OK) << lamina_last_error();
  ASSERT_EQ(lamina_net_open(device, &options, &net), LAMINA_OK);
  ASSERT_EQ(lamina_net_add(net, "tanh", nullptr), LAMINA_OK);
  ASSERT_EQ(lamina_net_add(net, "relu", nullptr), LAMINA_OK);
  lamina_memory_need need;
  EXPECT_EQ(lamina_net_memory(net, 2, &need), LAMINA_UNSUPPORTED);
  EXPECT_EQ(std::string(lamina_last_error()).substr(0, 21), "1.relu: relu/forward:") << lamina_last_error();
  lamina_net_close(net);
  lamina_device_close(device);
}

} // namespace
