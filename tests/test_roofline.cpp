// What the machine does at best: reckoned the same each time, measured when asked for, and what estimates are shares of.
#include <gtest/gtest.h>

#include <algorithm>

#include "lamina/lamina.h"

namespace {

lamina_device *device_of(int threads) {
  lamina_device_options options = {};
  options.threads = threads;
  lamina_device *device = nullptr;
  EXPECT_EQ(lamina_device_open("cpu", &options, &device), LAMINA_OK) << lamina_last_error();
  return device;
}

double estimate(lamina_device *device, const char *engine) {
  const lamina_plan_options options = {engine, LAMINA_MATH_DEFAULT, false, 0};
  const char *words[] = {"matmul/forward", "a=512x512", "b=512x512"};
  lamina_case c;
  lamina_candidate first = {};
  int count = 1;
  EXPECT_EQ(lamina_case_parse(3, words, nullptr, &c), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(lamina_candidates(device, &c.problem, &options, &first, &count), LAMINA_OK) << lamina_last_error();
  return first.seconds;
}

TEST(Roofline, IsReckonedTheSameEachTimeAndGrowsWithThreads) {
  lamina_roofline one = {}, again = {}, two = {};
  lamina_device *a = device_of(1), *b = device_of(1), *c = device_of(2);
  lamina_device_roofline(a, &one);
  lamina_device_roofline(b, &again);
  lamina_device_roofline(c, &two);
  EXPECT_EQ(one.flops, again.flops);
  EXPECT_EQ(one.copy, again.copy);
  EXPECT_STREQ(one.cpu, two.cpu);
  EXPECT_FALSE(one.measured);
  EXPECT_GT(one.flops, 1e9);
  EXPECT_GT(one.read, one.copy);
  EXPECT_GT(one.region, 0);
  EXPECT_GE(two.flops, one.flops);
  EXPECT_GE(two.copy, one.copy);
  EXPECT_EQ(estimate(a, "loop"), estimate(b, "loop")) << "the choice of engines must not change by chance";
  for (lamina_device *device : {a, b, c}) lamina_device_close(device);
}

TEST(Roofline, IsMeasuredBeforeTheFirstPlanAndEstimatesRestOnIt) {
  lamina_device *device = device_of(1), *plain = device_of(1);
  lamina_roofline measured = {}, now = {}, reckoned = {};
  ASSERT_EQ(lamina_roofline_measure(device, &measured), LAMINA_OK) << lamina_last_error();
  lamina_device_roofline(device, &now);
  lamina_device_roofline(plain, &reckoned);
  EXPECT_TRUE(now.measured);
  EXPECT_STREQ(now.cpu, reckoned.cpu);
  EXPECT_EQ(now.flops, measured.flops);
  EXPECT_GT(measured.flops, 1e8);
  EXPECT_GT(measured.read, 1e7);
  EXPECT_GT(measured.copy, 1e7);
  EXPECT_GT(measured.region, 0);
  EXPECT_EQ(measured.flops_half > 0, reckoned.flops_half > 0) << "it has the instructions, or it hasn't";
  const double slower = estimate(device, "loop") / estimate(plain, "loop"); // between the ratios of its parts
  EXPECT_LE(slower, 1.01 * std::max({1.0, reckoned.flops / measured.flops, reckoned.copy / measured.copy}));
  EXPECT_GE(slower, 0.99 * std::min({1.0, reckoned.flops / measured.flops, reckoned.copy / measured.copy}));
  EXPECT_EQ(lamina_roofline_measure(device, nullptr), LAMINA_INVALID) << "candidates were listed";
  lamina_device_close(plain);
  lamina_device_close(device);
}

} // namespace
