// Every candidate against the oracle at sizes that the generated cases don't reach: rows of many vectors, enough work to
// wake the team, sums that are cut into chunks, the layers of real nets.
#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "case.h"

namespace {

const char *const pools[] = {
    "x=2x6x28x28 kernel=2,2",                                             // LeNet-5
    "x=3x16x10x10 kernel=2,2",                                            //
    "x=1x4x55x55 kernel=3,3 stride=2,2",                                  // AlexNet
    "x=1x5x27x27 kernel=3,3 stride=2,2 ceil_mode=1",                      //
    "x=1x2x112x112 kernel=3,3 stride=2,2 pad=1,1",                        // ResNet
    "x=1x5x28x28 kernel=3,3 stride=1,1 pad=1,1",                          // Inception
    "x=2x70x7x7 global=1",                                                //
    "x=1x1x120x301 kernel=3,3 stride=2,2 pad=1,1",                        // a single plane, cut into rows
    "x=1x1x40000 kernel=7 stride=3 pad=3:6 ceil_mode=1",                  // a long row
    "x=1x3x40x47 kernel=5,6 stride=3,4 pad=2:2,1:4 ceil_mode=1",          //
    "x=2x3x33x50 kernel=2,3 stride=3,5 pad=1:1,2:0 ceil_mode=1",          // gaps between windows
    "x=1x2x19x70 kernel=9,13 stride=1,1 pad=4,6",                         //
    "x=1x3x9x15x33 kernel=3,3,3 stride=2,2,2 pad=1,1,1 ceil_mode=1",      //
    "x=1x2x4x6x40 kernel=2,3,9 stride=1,2,3 pad=1:0,1:2,8:3 ceil_mode=1", //
    "x=2x3x8x9x4 kernel=2,2,2",
    "x=1x2x64x64 kernel=32,31 stride=16,16 pad=0,5",
};

const char *const dilated[] = {
    "x=1x3x28x28 kernel=3,3 stride=1,1 pad=2,2 dilation=2,2",                     //
    "x=1x1x90x101 kernel=3,4 stride=2,3 pad=4:1,5:9 dilation=3,5 ceil_mode=1",    //
    "x=1x2x9x15x33 kernel=3,2,3 stride=1,2,1 pad=1:3,0:2,2 dilation=2,4,3",       // a ring that wraps
    "x=1x2x40x5 kernel=3,2 stride=1,1 pad=0,1 dilation=17,1 indices=1x2x6x6:i32", //
};

const struct {
  std::string shape, axis;
} softmaxes[] = {{"128x10", ""},   {"3x1000", ""},        {"2x5001", ""},           {"2x21x7x11", ""},
                 {"1x300x70", ""}, {"70x3x5", " axis=0"}, {"20x5x70x3", " axis=2"}, {"9001", " axis=0"}};

const char *const others[] = {
    "conv/backward_bias dy=65x2x28x28",
    "conv/backward_bias dy=1x3x70x70",
    "conv/backward_bias dy=3x2x9x10x11",
    "conv/backward_bias dy=700x5x1x1",
    "fc/backward_bias dy=300x257",
    "fc/backward_bias dy=70001x1",
    "fc/backward_bias dy=3x9000",
    "fc/forward x=32x400 w=60x400",
    "fc/backward_data dy=32x60 w=60x400",
    "relu/forward x=3x16x28x29",
    "relu/backward y=40009 dy=40009",
    "sigmoid/forward x=40009",
    "sigmoid/backward y=40009 dy=40009",
    "tanh/forward x=40009",
    "tanh/backward y=40009 dy=40009",
    "spectral_pool/forward x=2x17x32x32 size=16,16",
    "spectral_pool/forward x=3x2x45x70 size=30,41",
    "spectral_pool/forward x=1x2x9x20x18 size=4,10,6",
    "spectral_pool/backward dx=2x17x32x32 size=16,16",
    "spectral_pool/backward dx=1x2x9x20x18 size=4,10,6",
    "max_unpool/forward x=2x40x14x15 indices=2x40x14x15:i32 y=2x40x28x31",
    "max_unpool/backward dy=2x40x28x31 indices=2x40x14x15:i32",
    "lp_pool/backward x=1x4x55x55 y=1x4x27x27 dy=1x4x27x27 kernel=3,3 stride=2,2",
    "lp_pool/backward x=1x2x19x70 y=1x2x19x70 dy=1x2x19x70 kernel=9,13 stride=1,1 pad=4,6 p=1",
    "lp_pool/backward x=1x3x9x15x33 y=1x3x5x8x17 dy=1x3x5x8x17 kernel=3,3,3 stride=2,2,2 pad=1,1,1 p=3",
};

std::vector<std::string> lines() {
  std::vector<std::string> all(std::begin(others), std::end(others));
  for (const std::string pool : pools) {
    all.push_back("max_pool/forward " + pool);
    all.push_back("avg_pool/forward " + pool);
    all.push_back("avg_pool/forward " + pool + " count_pad=1");
    for (const char *family : {"max_pool", "avg_pool", "mixed_pool"}) all.push_back(family + ("/backward d" + pool));
    for (const char *p : {"1", "2", "3", "8"}) all.push_back("lp_pool/forward " + pool + " p=" + p);
    all.push_back("mixed_pool/forward " + pool + " count_pad=1 max_share=0.3");
    all.push_back("stochastic_pool/forward " + pool + " rng=2");
    all.push_back("stochastic_pool/inference " + pool);
  }
  for (const std::string pool : dilated)
    for (const char *family : {"max_pool", "min_pool"}) all.push_back(family + ("/forward " + pool));
  for (const auto &[shape, axis] : softmaxes)
    for (const char *family : {"softmax", "log_softmax"}) {
      all.push_back(family + ("/forward x=" + shape + axis));
      all.push_back(family + ("/backward y=" + shape + " dy=" + shape + axis));
    }
  return all;
}

class Sizes : public testing::TestWithParam<const char *> {};

TEST_P(Sizes, EveryCandidateAgrees) {
  lamina_device_options options = {};
  options.threads = 2;
  lamina_device *device = nullptr;
  ASSERT_EQ(lamina_device_open("cpu", &options, &device), LAMINA_OK) << lamina_last_error();
  for (const std::string &line : lines()) {
    lamina_case c;
    ASSERT_EQ(parse_case(line + " dtype=" + GetParam(), &c), LAMINA_OK) << line << ": " << lamina_last_error();
    for (const bool exact : {false, true}) {
      c.exact = exact;
      if (exact && !lamina_case_can_be_exact(&c)) continue;
      int count = 0;
      EXPECT_EQ(lamina_verify(device, &c, nullptr, nullptr, &count), LAMINA_OK) << line << ": " << lamina_last_error();
    }
  }
  lamina_device_close(device);
}

INSTANTIATE_TEST_SUITE_P(Types, Sizes, testing::Values("f32", "bf16"),
                         [](const auto &info) { return std::string(info.param); });

} // namespace
