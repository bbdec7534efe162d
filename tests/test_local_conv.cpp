// Locally connected layers: a case worked by hand, what it has in common with convolution, and what bad shapes are told.
#include <gtest/gtest.h>

#include "lamina/lamina.h"
#include "values.h"

namespace {

using Values = Tensor::Values;

class LocalConv : public testing::TestWithParam<const char *> {
protected:
  void SetUp() override {
    lamina_device_options options = {};
    options.engine = GetParam();
    ASSERT_EQ(lamina_device_open("cpu", &options, &device), LAMINA_OK) << lamina_last_error();
  }
  void TearDown() override { lamina_device_close(device); }

  lamina_device *device = nullptr;
};

// Two positions, filters 1 10 and 100 1000.
TEST_P(LocalConv, WorkedByHand) {
  Tensor x(LAMINA_F32, {2, 1, 3}, {1, 2, 3, 4, 5, 6}), w(LAMINA_F32, {2, 1, 1, 2}, {1, 10, 100, 1000}),
      b(LAMINA_F32, {1, 2}, {7, 8}), y(LAMINA_F32, {2, 1, 2}), dx(LAMINA_F32, {2, 1, 3}), dw(LAMINA_F32, {2, 1, 1, 2}),
      db(LAMINA_F32, {1, 2}), dy(LAMINA_F32, {2, 1, 2}, {1, 2, 3, 4});
  const lamina_tensor tx = x.view(), tw = w.view(), tb = b.view(), ty = y.view(), tdx = dx.view(), tdw = dw.view(),
                      tdb = db.view(), tdy = dy.view();
  ASSERT_EQ(lamina_local_conv_forward(device, nullptr, &tx, &tw, &tb, &ty, nullptr), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(y.values(), (Values{28, 3208, 61, 6508}));
  ASSERT_EQ(lamina_local_conv_backward_data(device, nullptr, &tdy, &tw, &tdx, nullptr), LAMINA_OK);
  EXPECT_EQ(dx.values(), (Values{1, 10 + 200, 2000, 3, 30 + 400, 4000}));
  ASSERT_EQ(lamina_local_conv_backward_weights(device, nullptr, &tx, &tdy, &tdw, nullptr), LAMINA_OK);
  EXPECT_EQ(dw.values(), (Values{1 + 3 * 4, 2 + 3 * 5, 2 * 2 + 4 * 5, 2 * 3 + 4 * 6}));
  ASSERT_EQ(lamina_local_conv_backward_bias(device, nullptr, &tdy, &tdb, nullptr), LAMINA_OK);
  EXPECT_EQ(db.values(), (Values{4, 6}));
}

// With the same filters everywhere it is a convolution.
TEST_P(LocalConv, WithSharedFiltersIsConvolution) {
  Values picture, filters, all;
  for (int i = 0; i < 2 * 4 * 5 * 6; i++) picture.push_back(i * 7 % 11 - 5);
  for (int i = 0; i < 6 * 2 * 3 * 2; i++) filters.push_back(i * 5 % 7 - 3);
  for (int position = 0; position < 5 * 3; position++) all.insert(all.end(), filters.begin(), filters.end());
  Tensor x(LAMINA_F32, {2, 4, 5, 6}, picture), w(LAMINA_F32, {6, 2, 3, 2}, filters),
      local(LAMINA_F32, {5, 3, 6, 2, 3, 2}, all), y(LAMINA_F32, {2, 6, 5, 3}), want(LAMINA_F32, {2, 6, 5, 3});
  const lamina_tensor tx = x.view(), tw = w.view(), tl = local.view(), ty = y.view(), twant = want.view();
  lamina_conv conv = {};
  lamina_local_conv same = {};
  conv.pad[0][0] = conv.pad[0][1] = conv.stride[0] = same.pad[0][0] = same.pad[0][1] = same.stride[0] = 1;
  conv.stride[1] = same.stride[1] = conv.groups = same.groups = 2;
  ASSERT_EQ(lamina_conv_forward(device, &conv, &tx, &tw, nullptr, &twant, nullptr), LAMINA_OK) << lamina_last_error();
  ASSERT_EQ(lamina_local_conv_forward(device, &same, &tx, &tl, nullptr, &ty, nullptr), LAMINA_OK)
      << lamina_last_error();
  EXPECT_EQ(y.values(), want.values());
}

TEST_P(LocalConv, WhatDoesNotFitIsNamed) {
  Tensor x(LAMINA_F32, {1, 2, 5}), w(LAMINA_F32, {3, 4, 2, 2}), y(LAMINA_F32, {1, 4, 4}), b(LAMINA_F32, {4});
  const lamina_tensor tx = x.view(), tw = w.view(), ty = y.view(), tb = b.view();
  EXPECT_EQ(lamina_local_conv_forward(device, nullptr, &tx, &tw, nullptr, &ty, nullptr), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(),
               "local_conv/forward: w is f32[3,4,2,2]; expected axis 0 to be the 4 output positions");
  Tensor fits(LAMINA_F32, {4, 4, 2, 2});
  const lamina_tensor tfits = fits.view();
  EXPECT_EQ(lamina_local_conv_forward(device, nullptr, &tx, &tfits, &tb, &ty, nullptr), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "local_conv/forward: b is f32[4]; expected f32[4,4]");
  lamina_local_conv conv = {};
  conv.groups = 2;
  EXPECT_EQ(lamina_local_conv_forward(device, &conv, &tx, &tfits, nullptr, &ty, nullptr), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "local_conv/forward: w is f32[4,4,2,2]; expected axis 2 to be the input's 2 "
                                    "channels over 2 groups");
}

INSTANTIATE_TEST_SUITE_P(Engines, LocalConv, testing::Values("", "local_conv:ref,conv:ref"),
                         [](const auto &info) { return std::string(*info.param ? "ref" : "chosen"); });

} // namespace
