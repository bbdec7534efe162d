// The engine of direct convolution, with every instruction set of this machine: shapes beyond those that the oracle's test
// draws, in every layout that it takes, and what it refuses.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "cpu/direct_kernel.h"
#include "one_engine.h"

namespace {

class Direct : public testing::TestWithParam<const char *> {};

TEST_P(Direct, IsRight) {
  int kernels = 0;
  while (lamina_direct_kernel_at(kernels)) kernels++;
  for (const int threads : {1, 3}) expect_right("direct", GetParam(), threads, kernels);
}

// Columns of whole tiles and of parts; channels in of several rounds and with a rest, channels out with an odd block and
// with a rest; strides with all phases and fewer, dilation, flips, pads wider than the filter or on one side, rows that see
// no tap; 1 x 1 whose rows are one, and whose aren't; groups; several images at once; plain, channels last and in blocks of
// 16 and 8; weights in blocks and with strides; bf16.
INSTANTIATE_TEST_SUITE_P(
    Shapes, Direct,
    testing::Values(
        "conv/forward x=1x3x23x67 w=24x3x11x11 b=24 stride=4,4 pad=2,2",
        "conv/forward x=2x48x9x27_1x16 w=48x48x5x5_0x16 b=48 y=2x48x9x27_1x16 pad=2,2",
        "conv_relu/forward x=1x80x13x13_1x16 w=80x80x3x3_0x16 b=80 y=1x80x13x13_1x16 pad=1,1",
        "conv_relu/forward x=3x70x5x6 w=37x70x3x3 b=37 pad=1,1", "conv/forward x=1x5x2x3 w=7x5x3x2 pad=4,5",
        "conv/forward x=2x7x9x31 w=33x7x3x4 b=33 pad=1,2 stride=3,5 dilation=2,3 flip=1",
        "conv/forward x=2x6x9x12 w=16x6x4x3 pad=0:3,2:0 stride=2,2 y=2x16x5x6_1x16 flip=1",
        "conv/forward x=1x4x3x3 w=16x4x3x3 pad=9,1 dilation=4,1", "conv/forward x=2x19x7x7 w=21x19x1x1 b=21/-2+40",
        "conv/forward x=1x16x9x29 w=16x16x1x1_0x16 stride=2,3",
        "conv/forward x=1x4x5x3/60,1,12,4 w=5x4x1x1 y=1x5x5x3/90,18,3,1", "conv/forward x=1x4x5x3/80,20,4,1 w=5x4x1x1",
        "conv/forward x=1x4x5x3 w=5x4x1x1 y=1x5x5x3/100,20,4,1",
        "conv/forward x=2x32x6x17/3264,1,544,32 w=48x32x3x3 b=48 y=2x48x6x17/4896,1,816,48 pad=1,1",
        "conv/forward x=1x32x5x19_1x8 w=24x32x3x2 b=24 y=1x24x3x18_1x8",
        "conv/forward x=1x12x9x8 w=96x4x3x3 b=96 pad=1,1 groups=3",
        "conv/forward x=2x64x5x5_1x16 w=64x32x3x3_0x16 y=2x64x5x5_1x16 pad=1,1 groups=2",
        "conv_relu/forward x=3x5x40 w=19x5x7 b=19 pad=3 stride=2",
        "conv/forward x=1x2x3x3/18,-9,3,1+9 w=3x2x2x2/16,8,4,2", "conv/forward x=1x3x4x210 w=70x3x3x3 b=70 pad=1,1",
        "conv/forward x=30x3x61x61 w=4x3x2x2 stride=8,1",
        "conv_relu/forward x=2x20x6x15:bf16 w=20x20x3x3:bf16 b=20:bf16 y=2x20x6x15:bf16 pad=1,1",
        "conv/forward x=2x32x6x15_1x16:bf16 w=48x32x3x3_0x16:bf16 b=48 y=2x48x6x15_1x16:bf16 pad=1,1",
        "conv/forward x=1x32x3x7/672,1,224,32:bf16 w=32x32x3x3/288,1,96,32:bf16 y=1x32x3x7 pad=1,1"));

TEST(DirectEngine, ChoosesLayouts) {
  const Device d;
  for (const int channels : {32, 36}) {
    const std::string C = std::to_string(channels);
    lamina_case c = case_of("conv/forward x=2x" + C + "x9x9 w=" + C + "x" + C + "x3x3");
    lamina_plan *plan = nullptr;
    lamina_plan_options options = {};
    options.engine = "direct";
    for (const int i : {0, 1, 3}) {
      const lamina_desc before = c.problem.arg[i];
      c.problem.arg[i] = lamina_blocked(LAMINA_F32, before.rank, before.dims, LAMINA_LAYOUT_ANY);
    }
    ASSERT_EQ(lamina_plan_open(d, &c.problem, &options, &plan), LAMINA_OK) << lamina_last_error();
    for (const int i : {0, 1, 3}) {
      const lamina_desc *got = &lamina_plan_problem(plan)->arg[i];
      const lamina_desc want =
          lamina_blocked(LAMINA_F32, got->rank, got->dims, channels % 16 ? 0 : LAMINA_BLOCK(i == 1 ? 0 : 1, 4));
      EXPECT_EQ(got->layout, want.layout);
      EXPECT_EQ(std::memcmp(got->strides, want.strides, sizeof want.strides), 0);
    }
    lamina_plan_close(plan);
  }
}

TEST(DirectEngine, SaysWhatItDoesntTake) {
  const char *const lines[][2] = {
      {"conv/forward x=1x3x9x9:f16 w=16x3x3x3", "it takes f32 and bf16"},
      {"conv/forward x=1x3x9x9x9 w=16x3x3x3x3", "it takes one or two spatial axes"},
      {"conv/forward x=1x6x9x9 w=40x3x3x3 groups=2", "channels out of a group aren't a multiple of 16, the lanes"},
      {"conv/forward x=16x3x9x9_0x16 w=16x3x3x3", "it takes data that is strided or has channels in blocks"},
      {"conv/forward x=1x16x9x9 w=16x16x3x3_1x16_0x16",
       "it takes weights that are strided or have channels out in blocks of 16"},
      {"conv/forward x=1x16x9x9 w=16x16x3x3 b=16_0x16", "it takes a bias without blocks"},
      {"conv/forward x=1x1x65536x65536 w=1x1x1x1", "an image is too large for its tables"}};
  for (const auto &line : lines) expect_refused("direct", line[0], line[1]);
}

TEST(DirectKernels, LetNaNThroughARelu) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), x = 1, b[16] = {};
  const float w[16] = {nan, -1, 2, 0};
  const int32_t tap = 0;
  const lamina_direct_kernel *kernel;
  for (int k = 0; (kernel = lamina_direct_kernel_at(k)); k++) {
    lamina_direct_tile tile = {};
    tile.channels = tile.taps = 1;
    tile.tap = &tap;
    tile.b = b;
    tile.relu = true;
    float y[16];
    kernel->tile(1, 1, &tile, &x, w, y);
    EXPECT_TRUE(std::isnan(y[0]) && y[1] == 0 && y[2] == 2 && y[3] == 0) << kernel->name;
  }
}

} // namespace
