// Training from a recipe, end to end.
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "lamina/train.h"

namespace {

class Train : public testing::Test {
protected:
  void SetUp() override { ASSERT_EQ(lamina_device_open("cpu", nullptr, &device), LAMINA_OK) << lamina_last_error(); }
  void TearDown() override { lamina_device_close(device); }

  lamina_net *load(const char *recipe, const char *const *set = nullptr) {
    lamina_net *net = nullptr;
    lamina_load_options options = {};
    options.set = set;
    const std::string path = std::string(LAMINA_SOURCE_DIR "/recipes/") + recipe + ".yaml";
    EXPECT_EQ(lamina_net_load(device, path.c_str(), &options, &net), LAMINA_OK) << lamina_last_error();
    return net;
  }

  lamina_device *device = nullptr;
};

TEST_F(Train, ARecipeLearns) {
  const char *const set[] = {"train.epochs=1", "data.train=\"digits:train,count=320\"",
                             "data.test=\"digits:test,count=50\"", "train.batch=16", nullptr};
  lamina_net *net = load("digits", set);
  ASSERT_NE(net, nullptr);
  EXPECT_EQ(lamina_net_parameter_total(net), 61706);
  lamina_trainer *trainer = nullptr;
  ASSERT_EQ(lamina_trainer_open(net, nullptr, &trainer), LAMINA_OK) << lamina_last_error();
  lamina_progress progress = {};
  ASSERT_EQ(lamina_trainer_step(trainer), LAMINA_OK) << lamina_last_error();
  lamina_trainer_progress(trainer, &progress);
  const double first = progress.loss;
  ASSERT_EQ(lamina_trainer_run(trainer), LAMINA_OK) << lamina_last_error();
  lamina_trainer_progress(trainer, &progress);
  EXPECT_EQ(progress.total, 20);
  EXPECT_LT(progress.loss, first);
  lamina_trainer_close(trainer);
  lamina_net_close(net);
}

} // namespace
