// Layers of normalisations and PReLU: their parameters, their defaults, and what a recipe may say.
#include <memory>

#include "net_fixture.h"
#include "temporary.h"

namespace {

class NetNorm : public testing::Test {
protected:
  void recipe(const std::string &input, const std::string &layer) {
    const std::string path = folder / "net.yaml";
    write_file(path, "input: " + input + "\nnet:\n  - " + layer + "\n");
    net.reset(new Net(device, path.c_str()));
    ASSERT_OK(lamina_net_init(*net, 1));
  }
  std::vector<float> forward(const std::vector<float> &x) {
    std::vector<float> y(static_cast<size_t>(net->outputs()));
    EXPECT_OK(lamina_net_forward(*net, 1, x.data(), y.data()));
    return y;
  }
  void expect(const std::vector<float> &x, const std::vector<float> &want) {
    const std::vector<float> y = forward(x);
    for (size_t i = 0; i < want.size(); i++) EXPECT_NEAR(y[i], want[i], 2e-5) << i;
  }
  // "w f32[4] b f32[4]", and a ! where weight decay reaches it.
  std::string parameters() {
    std::string text;
    for (int p = 0; p < net->parameters(); p++) {
      lamina_parameter parameter = {};
      EXPECT_OK(lamina_net_parameter(*net, p, &parameter));
      char shape[64];
      text += (p ? " " : "") + std::string(parameter.name) + " " +
              lamina_desc_text(&parameter.desc, shape, sizeof shape) + (parameter.decay ? "!" : "");
    }
    return text;
  }

  Temporary folder;
  Device device;
  std::unique_ptr<Net> net;
};

const float one = 1 / std::sqrt(5.0f); // {1, 3, 5, 7} has mean 4 and variance 5

TEST_F(NetNorm, LayerNorm) {
  recipe("[2, 4]", "layer_norm");
  EXPECT_EQ(parameters(), "0.layer_norm.w f32[4] 0.layer_norm.b f32[4]");
  expect({1, 3, 5, 7, 2, 6, 10, 14}, {-3 * one, -one, one, 3 * one, -3 * one, -one, one, 3 * one});
  net->write(0, {1, 2, 3, 4});
  net->write(1, {0, 0, 0, 10});
  expect({1, 3, 5, 7, 0, 0, 0, 0}, {-3 * one, -2 * one, 3 * one, 10 + 12 * one, 0, 0, 0, 10});
  recipe("[2, 2]", "layer_norm: 1");
  EXPECT_EQ(parameters(), "0.layer_norm.w f32[2,2] 0.layer_norm.b f32[2,2]");
  expect({1, 3, 5, 7}, {-3 * one, -one, one, 3 * one});
  recipe("[2, 2]", "layer_norm: {axis: -2, affine: false, epsilon: 1}");
  EXPECT_EQ(parameters(), "");
  expect({1, 3, 5, 7}, {-3 / std::sqrt(6.0f), -1 / std::sqrt(6.0f)});
}

TEST_F(NetNorm, GroupsAndInstances) {
  recipe("[4, 2]", "group_norm: 2");
  EXPECT_EQ(parameters(), "0.group_norm.w f32[4] 0.group_norm.b f32[4]");
  expect({1, 3, 5, 7, 2, 6, 10, 14}, {-3 * one, -one, one, 3 * one, -3 * one, -one, one, 3 * one});
  recipe("[2, 4]", "instance_norm");
  EXPECT_EQ(parameters(), "0.instance_norm.w f32[2] 0.instance_norm.b f32[2]");
  expect({1, 3, 5, 7, 2, 6, 10, 14}, {-3 * one, -one, one, 3 * one, -3 * one, -one, one, 3 * one});
  recipe("[2, 4]", "instance_norm: {affine: false}");
  EXPECT_EQ(parameters(), "");
}

TEST_F(NetNorm, Lrn) {
  recipe("[4]", "lrn: {size: 3, alpha: 3, beta: 1}");
  EXPECT_EQ(parameters(), "");
  expect({1, 2, 3, 4}, {1 / 6.0f, 2 / 15.0f, 3 / 30.0f, 4 / 26.0f});
  recipe("[1, 4]", "lrn: {size: 3, alpha: 3, beta: 1, k: 2, within: true}");
  expect({1, 2, 3, 4}, {1 / 7.0f, 2 / 16.0f, 3 / 31.0f, 4 / 27.0f});
}

TEST_F(NetNorm, Prelu) {
  recipe("[3, 2]", "prelu");
  EXPECT_EQ(parameters(), "0.prelu.slope f32[3]");
  expect({-4, 4, -8, 0, 1, -2}, {-1, 4, -2, 0, 1, -0.5});
  net->write(0, {1, -1, 0});
  expect({-4, 4, -8, 0, 1, -2}, {-4, 4, 8, 0, 1, 0});
  recipe("[3]", "prelu: {shared: true}");
  EXPECT_EQ(parameters(), "0.prelu.slope f32[1]");
  expect({-4, 4, -8}, {-1, 4, -2});
}

TEST_F(NetNorm, WhatDoesNotFitIsAnError) {
  Net bad(device, {6, 2});
  lamina_layer_norm_layer batch = {};
  lamina_group_norm_layer group = {};
  batch.axis = -3, group.groups = 4;
  EXPECT_EQ(lamina_net_add(bad, "layer_norm", &batch), LAMINA_INVALID);
  EXPECT_TRUE(std::strstr(lamina_last_error(), "axis is -3, but its input has 3 axes, the first of them the batch's"))
      << lamina_last_error();
  EXPECT_EQ(lamina_net_add(bad, "group_norm", &group), LAMINA_INVALID);
  EXPECT_TRUE(std::strstr(lamina_last_error(), "its 6 channels don't make 4 groups")) << lamina_last_error();
  EXPECT_EQ(lamina_net_add(bad, "group_norm", nullptr), LAMINA_INVALID);
  EXPECT_TRUE(std::strstr(lamina_last_error(), "groups is missing")) << lamina_last_error();
}

} // namespace
