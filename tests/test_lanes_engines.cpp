// The engines with the batch in the lanes, with every instruction set of this machine: right in every layout that they
// take, special values included.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "cpu/lanes_kernel.h"
#include "one_engine.h"

namespace {

class LanesEngines : public testing::TestWithParam<const char *> {};

TEST_P(LanesEngines, AreRight) {
  const bool variants = !std::strstr(GetParam(), "bias") && !std::strstr(GetParam(), "fc/backward_weights");
  int kernels = 0;
  while (lamina_lanes_kernel_at(kernels)) kernels++;
  expect_right("lanes", GetParam(), 2, variants ? kernels : 1);
}

// Forward and data: tiles of 2 x 2, of 1 x 4, of 1 x 2 and of single places of several blocks, cut off at the end; strides,
// dilation, asymmetric pads, borders wider than a filter, groups, flips, three axes; each side plain or in lanes; batches
// that fill no block. Filters: rows and taps that are cut off. Fully connected: panels that are.
INSTANTIATE_TEST_SUITE_P(
    Shapes, LanesEngines,
    testing::Values(
        "conv_relu/forward x=32x3x7x6_0x16 w=5x3x3x3 b=5 y=32x5x7x6_0x16 pad=1,1",
        "conv/forward x=48x6x9x8_0x16 w=14x3x3x5 b=14 y=48x14x5x3_0x16 pad=2,1 stride=2,2 dilation=2,1 groups=2",
        "conv/forward x=32x2x9_0x16 w=3x2x4 y=32x3x8_0x16 pad=1",
        "conv/forward x=16x2x5x6x3_0x16 w=7x2x2x3x2 pad=1,0:2,1 flip=1",
        "conv/forward x=19x1x11x7 w=6x1x5x5 b=6 pad=2,2", "conv_relu/forward x=3x2x5 w=8x2x3 b=8 pad=4",
        "conv/forward x=80x5x1x2_0x16 w=13x5x1x1 y=80x13x1x2", "conv/forward x=32x1x9x9 w=2x1x3x3 y=32x2x7x7_0x16",
        "conv/backward_data dy=48x14x5x3_0x16 w=14x3x3x5 dx=48x6x9x8_0x16 pad=2,1 stride=2,2 dilation=2,1 groups=2",
        "conv/backward_data dy=32x5x9x8_0x16 w=5x6x3x2 dx=32x6x5x5 pad=3,2",
        "conv/backward_data dy=7x2x4 w=2x13x1 dx=7x13x11 stride=3",
        "relu_conv/backward_data dy=32x5x7x6_0x16 w=5x3x3x3 x=32x3x7x6_0x16 dx=@x pad=1,1",
        "relu_conv/backward_data dy=32x5x7x6 w=5x3x3x3 x=32x3x7x6 dx=32x3x7x6_0x16 pad=1,1",
        "conv/backward_weights x=48x6x9x8_0x16 dy=48x14x5x3_0x16 dw=14x3x3x5 pad=2,1 stride=2,2 dilation=2,1 groups=2 "
        "flip=1",
        "conv/backward_weights x=40x1x11x12 dy=40x5x12x11 dw=5x1x4x4 pad=2:2,1",
        "conv/backward_weights x=64x4x5_0x16 dy=64x17x5 dw=17x4x1", "conv/backward_bias dy=48x5x13x6_0x16",
        "fc/backward_bias dy=80x37_0x16", "fc_relu/forward x=80x65_0x16 w=37x65 b=37 y=80x37_0x16",
        "fc/forward x=80x65_0x16 w=10x65 b=10 y=80x10", "fc/forward x=7x65 w=10x65",
        "fc/backward_data dy=80x10 w=10x65 dx=80x65_0x16", "fc/backward_data dy=16x31_0x16 w=31x9 dx=16x9",
        "relu_fc/backward_data dy=80x37_0x16 w=37x65 x=80x65_0x16 dx=80x65_0x16",
        "fc/backward_weights x=80x65_0x16 dy=80x37_0x16", "fc/backward_weights x=48x31 dy=48x13_0x16",
        "fc/backward_weights x=9x70 dy=9x3"));

// Windows that tile their plane, with some of it left over, gated or not, and others; each instruction set has its own way.
TEST(LanesPools, GoBackWithEveryInstructionSet) {
  int kernels = 0;
  while (lamina_lanes_kernel_at(kernels)) kernels++;
  for (const char *text : {
           "max_pool/backward dy=32x3x5x4_0x16 indices=32x3x5x4_0x16:i32 dx=32x3x10x9_0x16 kernel=2,2",
           "max_pool/backward dy=2x32x3x4_1x16 indices=2x32x3x4_1x16:i32 dx=2x32x11x9_1x16 kernel=3,2 dtype=bf16",
           "relu_max_pool/backward y=16x2x3x4_0x16 dy=16x2x3x4_0x16 indices=16x2x3x4_0x16:i32 dx=16x2x3x12_0x16 "
           "kernel=1,3",
           "relu_max_pool/backward y=16x2x6_0x16 dy=16x2x6_0x16 indices=16x2x6_0x16:i32 dx=16x2x13_0x16 kernel=2 "
           "dtype=bf16",
           "min_pool/backward dy=16x2x2x3x4_0x16 indices=16x2x2x3x4_0x16:i32 dx=16x2x2x6x8_0x16 kernel=1,2,2",
           "max_pool/backward dy=16x2x2x3x4_0x16 indices=16x2x2x3x4_0x16:i32 dx=16x2x4x6x8_0x16 kernel=2,2,2",
       })
    expect_right("lanes", text, 2, kernels);
}

// What was left open gets the batch in the lanes, or stays plain where that is no multiple of 16.
TEST(LanesEngines, ChooseTheLayout) {
  const Device d;
  for (const int batch : {32, 33}) {
    lamina_case c = case_of("conv/forward x=" + std::to_string(batch) + "x1x9x9 w=6x1x3x3");
    lamina_plan *plan = nullptr;
    lamina_plan_options options = {};
    options.engine = "lanes";
    const lamina_desc before = c.problem.arg[3];
    c.problem.arg[3] = lamina_blocked(LAMINA_F32, before.rank, before.dims, LAMINA_LAYOUT_ANY);
    ASSERT_EQ(lamina_plan_open(d.device, &c.problem, &options, &plan), LAMINA_OK) << lamina_last_error();
    const lamina_desc want = lamina_blocked(LAMINA_F32, before.rank, before.dims, batch % 16 ? 0 : LAMINA_BLOCK(0, 4));
    EXPECT_EQ(lamina_plan_problem(plan)->arg[3].layout, want.layout);
    EXPECT_EQ(std::memcmp(lamina_plan_problem(plan)->arg[3].strides, want.strides, sizeof want.strides), 0);
    lamina_plan_close(plan);
  }
}

TEST(LanesEngines, SayWhatTheyDontTake) {
  const Device d;
  const char *const lines[][2] = {
      {"conv/forward x=16x1x9x9:bf16 w=6x1x3x3", "it takes f32, which its lanes are made of"},
      {"conv/forward x=16x16x9x9_1x16 w=6x16x3x3",
       "it takes data with the batch in the lanes or row-major, all else row-major, without gaps"},
      {"fc/forward x=16x5 w=16x5_0x16",
       "it takes data with the batch in the lanes or row-major, all else row-major, without gaps"},
      {"fc/backward_bias dy=16x5", "it takes dy with the batch in the lanes"}};
  for (const auto &line : lines) {
    const lamina_case c = case_of(line[0]);
    lamina_candidate list[64];
    int count = 64, seen = 0;
    ASSERT_EQ(lamina_candidates(d.device, &c.problem, nullptr, list, &count), LAMINA_OK) << lamina_last_error();
    for (int i = 0; i < count; i++)
      if (std::string(list[i].engine) == "lanes") {
        EXPECT_STREQ(list[i].reason, line[1]) << line[0];
        seen++;
      }
    EXPECT_EQ(seen, 1) << line[0];
  }
}

// Of the kernels themselves: a ReLU lets NaN pass, a gate that is NaN doesn't; transposition of every part of a square.
TEST(LanesKernels, KeepNaNsAsTheReferencesDo) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), x[16] = {nan, -1, 2, 0}, w = 1;
  const lamina_lanes_kernel *kernel;
  for (int k = 0; (kernel = lamina_lanes_kernel_at(k)); k++) {
    lamina_lanes_tile tile = {};
    for (int i = 0; i < 4; i++) tile.count[i] = 1;
    tile.relu = true;
    float y[16];
    kernel->tile(1, &tile, x, &w, nullptr, nullptr, y);
    EXPECT_TRUE(std::isnan(y[0]) && y[1] == 0 && y[2] == 2 && y[3] == 0) << kernel->name;
    tile.relu = false;
    const float two[16] = {2, 2, 2, 2};
    kernel->tile(1, &tile, two, &w, nullptr, x, y);
    EXPECT_TRUE(y[0] == 0 && y[1] == 0 && y[2] == 2 && y[3] == 0) << kernel->name;
  }
}

TEST(LanesKernels, TransposeEveryPartOfASquare) {
  const lamina_lanes_kernel *kernel;
  for (int k = 0; (kernel = lamina_lanes_kernel_at(k)); k++)
    for (int rows = 1; rows <= 16; rows++)
      for (int columns = 1; columns <= 16; columns++)
        for (const int width : {rows, 16}) {
          std::vector<float> from(static_cast<size_t>((rows - 1) * 21 + columns)), to(16 * 19, -1);
          for (size_t i = 0; i < from.size(); i++) from[i] = static_cast<float>(i + 1);
          kernel->transpose(rows, columns, from.data(), 21, to.data(), 19, width);
          for (int j = 0; j < 16; j++)
            for (int i = 0; i < 19; i++) {
              const float want = j >= columns || i >= width ? -1 : i >= rows ? 0 : static_cast<float>(i * 21 + j + 1);
              ASSERT_EQ(to[static_cast<size_t>(j * 19 + i)], want) << kernel->name << " " << rows << " " << columns;
            }
        }
}

} // namespace
