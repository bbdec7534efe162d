// What the machine does at best: reckoned the same each time, measured when asked for, and what estimates are shares of.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "core/records.h"
#include "lamina/lamina.h"
#include "temporary.h"

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

// A cache that says the machine is so many times slower than what was measured.
void write_slower(const std::string &measured, double times, const std::string &path) {
  lamina_records all = {}, slower = {};
  all.allocator = slower.allocator = &lamina_malloc;
  ASSERT_EQ(lamina_records_load(measured.c_str(), &all), LAMINA_OK) << lamina_last_error();
  ASSERT_EQ(all.count, 1);
  const lamina_record &record = all.list[0];
  std::vector<std::string> text(record.field, record.field + record.fields);
  for (const int rate : {2, 3, 4, 5}) text[rate] = std::to_string(std::stod(text[rate]) / times);
  const char *field[LAMINA_RECORD_FIELDS];
  for (int i = 0; i < record.fields; i++) field[i] = text[i].c_str();
  ASSERT_EQ(lamina_records_add(&slower, field, record.fields, true), LAMINA_OK);
  ASSERT_EQ(lamina_records_save(path.c_str(), &slower), LAMINA_OK) << lamina_last_error();
  lamina_records_close(&all);
  lamina_records_close(&slower);
}

// By engine; those of the reference and of what packs element by element go by the clock.
std::map<std::string, double> estimates(const std::string &cache, const std::vector<const char *> &words) {
  lamina_device_options options = {};
  lamina_device *device = nullptr;
  lamina_case c;
  lamina_candidate list[64] = {};
  int count = 64;
  std::map<std::string, double> seconds;
  options.threads = 2;
  options.tune_cache = cache.c_str();
  EXPECT_EQ(lamina_device_open("cpu", &options, &device), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(lamina_case_parse(static_cast<int>(words.size()), words.data(), nullptr, &c), LAMINA_OK)
      << lamina_last_error();
  EXPECT_EQ(lamina_candidates(device, &c.problem, nullptr, list, &count), LAMINA_OK) << lamina_last_error();
  for (int i = 0; i < count; i++)
    if (list[i].seconds >= 0 && strcmp(list[i].engine, "ref") != 0 && strcmp(list[i].variant, "gemm") != 0)
      seconds[std::string(list[i].engine) + "/" + list[i].variant] = list[i].seconds;
  lamina_device_close(device);
  return seconds;
}

// An engine that brings a rate of its own says of a faster machine what was true of a slower one, and wins or loses by it.
TEST(Roofline, EstimatesAreSharesOfIt) {
  const std::vector<const char *> problems[] = {
      {"conv/backward_bias", "dy=64x64x32x32_0x16"},
      {"fc/backward_bias", "dy=1024x4096_0x16"},
      {"fc/backward_weights", "x=256x1024_0x16", "dy=256x1024_0x16"},
      {"conv/forward", "x=64x64x32x32", "w=64x64x3x3", "pad=1"},
      {"conv/backward_weights", "x=64x64x32x32_0x16", "dy=64x64x32x32_0x16", "dw=64x64x3x3", "pad=1"},
      {"conv/backward_weights", "x=64x3x224x224", "dy=64x64x55x55", "dw=64x3x11x11", "stride=4", "pad=2"},
      {"sigmoid/forward", "x=1048576"},
      {"tanh/backward", "dy=1048576", "y=1048576"}};
  Temporary folder;
  lamina_device *device = nullptr;
  lamina_device_options options = {};
  options.threads = 2, options.tune = true;
  const std::string measured = folder / "measured", slower = folder / "slower";
  options.tune_cache = measured.c_str();
  ASSERT_EQ(lamina_device_open("cpu", &options, &device), LAMINA_OK);
  ASSERT_EQ(lamina_roofline_measure(device, nullptr), LAMINA_OK) << lamina_last_error();
  lamina_device_close(device);
  write_slower(measured, 100, slower);
  for (const auto &words : problems) {
    const std::map<std::string, double> now = estimates(measured, words), then = estimates(slower, words);
    ASSERT_EQ(now.size(), then.size());
    EXPECT_FALSE(now.empty()) << words[0];
    // Whatever the machine, starting takes 5 us at most, and 3 for each array that an engine turns or reorders.
    const double start = 5e-6 + 3e-6 * (double)(words.size() - 1);
    for (const auto &[engine, seconds] : now)
      EXPECT_NEAR(then.at(engine), 100 * seconds, 100 * start + 1e-4 * then.at(engine)) << words[0] << " by " << engine;
  }
}

} // namespace
