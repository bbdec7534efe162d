// Negative log-likelihood and the hinge of many classes: cases by hand, labels that don't count or aren't there.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "lamina/lamina.h"

namespace {

class LabelLoss : public testing::TestWithParam<const char *> {
protected:
  void SetUp() override {
    const std::string engine = std::string("nll:") + GetParam() + ",hinge:" + GetParam();
    lamina_device_options options = {};
    options.engine = engine.c_str();
    ASSERT_EQ(lamina_device_open("cpu", &options, &device), LAMINA_OK) << lamina_last_error();
  }
  void TearDown() override { lamina_device_close(device); }

  lamina_tensor scores(std::vector<float> &x) const {
    return lamina_matrix(LAMINA_F32, static_cast<int64_t>(x.size()) / 3, 3, x.data());
  }
  float nll(const lamina_nll &loss, bool weighted) {
    float y = 0;
    const lamina_tensor ts[] = {scores(x), lamina_vector(LAMINA_I32, 4, labels), lamina_vector(LAMINA_F32, 3, weights),
                                lamina_vector(LAMINA_F32, 1, &y)};
    EXPECT_EQ(lamina_nll_forward(device, &loss, &ts[0], &ts[1], weighted ? &ts[2] : nullptr, &ts[3], nullptr),
              LAMINA_OK)
        << lamina_last_error();
    return y;
  }
  std::vector<float> nll_gradient(const lamina_nll &loss) {
    std::vector<float> dx(12, 5);
    float dy = 2;
    const lamina_tensor ts[] = {lamina_vector(LAMINA_I32, 4, labels), lamina_vector(LAMINA_F32, 3, weights),
                                lamina_vector(LAMINA_F32, 1, &dy), scores(dx)};
    EXPECT_EQ(lamina_nll_backward(device, &loss, &ts[0], &ts[1], &ts[2], &ts[3], nullptr), LAMINA_OK)
        << lamina_last_error();
    return dx;
  }

  lamina_device *device = nullptr;
  std::vector<float> x = {-1, -2, -3, -4, -5, -6, -7, -8, -9, -1, -1, -2};
  int32_t labels[4] = {0, 2, 1, 1};
  float weights[3] = {1, 2, 4};
};

TEST_P(LabelLoss, NllByHand) {
  lamina_nll loss = {};
  EXPECT_FLOAT_EQ(nll(loss, false), (1 + 6 + 8 + 1) / 4.0f);
  EXPECT_FLOAT_EQ(nll(loss, true), (1 + 4 * 6 + 2 * 8 + 2 * 1) / 9.0f); // by the weights of the labels
  loss.reduction = LAMINA_REDUCTION_SUM;
  EXPECT_FLOAT_EQ(nll(loss, true), 43);
  EXPECT_EQ(nll_gradient(loss), (std::vector<float>{-2, 0, 0, 0, 0, -8, 0, -4, 0, 0, -4, 0}));
}

TEST_P(LabelLoss, NllIgnoresALabel) {
  lamina_nll loss = {};
  loss.ignore = 2;
  EXPECT_FLOAT_EQ(nll(loss, false), (1 + 8 + 1) / 3.0f);
  EXPECT_EQ(nll_gradient(loss)[5], 0);
  for (int32_t &label : labels) label = 2;
  EXPECT_TRUE(std::isnan(nll(loss, false))); // none counts
  loss.reduction = LAMINA_REDUCTION_SUM;
  EXPECT_EQ(nll(loss, false), 0);
}

TEST_P(LabelLoss, ALabelThatIsNoClass) {
  lamina_nll loss = {};
  labels[1] = 3;
  EXPECT_TRUE(std::isnan(nll(loss, false)));
  const std::vector<float> dx = nll_gradient(loss);
  for (size_t c = 3; c < 6; c++) EXPECT_TRUE(std::isnan(dx[c]));
  EXPECT_FLOAT_EQ(dx[0], -2 / 6.0f); // the mean divides by the weights of the others, 5, and by 1 for it
  EXPECT_FLOAT_EQ(dx[7], -4 / 6.0f);
  EXPECT_EQ(dx[1], 0);
  EXPECT_EQ(dx[2], 0);
}

// x = (1, 2, 0) with label 0 and margin 1: max(0, 1 - 1 + 2) = 2 and max(0, 1 - 1 + 0) = 0, over 3 classes.
TEST_P(LabelLoss, HingeByHand) {
  x = {1, 2, 0};
  labels[0] = 0;
  std::vector<float> dx(3);
  float y = 0, dy = 3;
  const lamina_tensor t = scores(x), l = lamina_vector(LAMINA_I32, 1, labels), out = lamina_vector(LAMINA_F32, 1, &y),
                      w = lamina_vector(LAMINA_F32, 3, weights), d = lamina_vector(LAMINA_F32, 1, &dy), g = scores(dx);
  lamina_hinge loss = {};
  ASSERT_EQ(lamina_hinge_forward(device, &loss, &t, &l, nullptr, &out, nullptr), LAMINA_OK);
  EXPECT_FLOAT_EQ(y, 2 / 3.0f);
  ASSERT_EQ(lamina_hinge_backward(device, &loss, &t, &l, nullptr, &d, &g, nullptr), LAMINA_OK);
  EXPECT_EQ(dx, (std::vector<float>{-1, 1, 0})); // at the kink 0
  loss.power = 2, loss.margin = 2;
  ASSERT_EQ(lamina_hinge_forward(device, &loss, &t, &l, nullptr, &out, nullptr), LAMINA_OK);
  EXPECT_FLOAT_EQ(y, (9 + 1) / 3.0f);
  ASSERT_EQ(lamina_hinge_backward(device, &loss, &t, &l, nullptr, &d, &g, nullptr), LAMINA_OK);
  EXPECT_EQ(dx, (std::vector<float>{-8, 6, 2}));
  labels[0] = 1; // weighs 2
  loss = {};
  ASSERT_EQ(lamina_hinge_forward(device, &loss, &t, &l, &w, &out, nullptr), LAMINA_OK);
  EXPECT_EQ(y, 0);
}

TEST_P(LabelLoss, ShapesThatDontFit) {
  float y = 0;
  const lamina_tensor t = scores(x), l = lamina_vector(LAMINA_I32, 3, labels), out = lamina_vector(LAMINA_F32, 1, &y);
  const lamina_nll loss = {};
  EXPECT_EQ(lamina_nll_forward(device, &loss, &t, &l, nullptr, &out, nullptr), LAMINA_INVALID);
  EXPECT_NE(std::string(lamina_last_error()).find("labels is i32[3]"), std::string::npos) << lamina_last_error();
  const lamina_hinge cube = {LAMINA_REDUCTION_MEAN, 0, 0, 3};
  const lamina_tensor fine = lamina_vector(LAMINA_I32, 4, labels);
  EXPECT_EQ(lamina_hinge_forward(device, &cube, &t, &fine, nullptr, &out, nullptr), LAMINA_INVALID);
  EXPECT_NE(std::string(lamina_last_error()).find("power is 3; expected 1 to 2"), std::string::npos)
      << lamina_last_error();
}

INSTANTIATE_TEST_SUITE_P(Engines, LabelLoss, testing::Values("ref", "loop"));

} // namespace
