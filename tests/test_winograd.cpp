// The engine of convolution by Winograd's algorithm, with every instruction set of this machine: shapes beyond those that
// the oracle's test draws, in every layout that it takes, the same bits from any number of threads, and what it refuses.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "cpu/direct_kernel.h"
#include "cpu/winograd_kernel.h"
#include "one_engine.h"

namespace {

class Winograd : public testing::TestWithParam<const char *> {};

TEST_P(Winograd, IsRight) {
  int kernels = 0;
  while (lamina_direct_kernel_at(kernels)) kernels++;
  for (const int threads : {1, 3}) expect_right("winograd", GetParam(), threads, kernels);
}

// Even and odd sizes, single places, more tiles in a row than are transformed at once, in several rounds, of which the
// last has fewer, in several parts; no pads, pads on one side, pads wider than the filter; channels in with a rest, in
// several rounds, channels out with an odd block and with a rest; groups; flips; plain, channels last, with other strides
// and in blocks of 16 and 8; weights in blocks and with strides.
INSTANTIATE_TEST_SUITE_P(
    Shapes, Winograd,
    testing::Values(
        "conv_relu/forward x=1x80x13x13_1x16 w=80x80x3x3_0x16 b=80 y=1x80x13x13_1x16 pad=1,1",
        "conv_relu/forward x=3x70x5x6 w=37x70x3x3 b=37/-2+80 pad=1,1", "conv/forward x=1x17x1x1 w=7x17x3x3 pad=1,1",
        "conv/forward x=2x16x1x1 w=16x16x3x3 b=16 pad=2,2", "conv/forward x=5x16x3x3 w=16x16x3x3",
        "conv/forward x=1x33x4x4 w=19x33x3x3 pad=0:2,1:0 flip=1", "conv/forward x=1x16x1x2 w=3x16x3x3 pad=6,5",
        "conv/forward x=2x32x6x17/3264,1,544,32 w=48x32x3x3 b=48 y=2x48x6x17/4896,1,816,48 pad=1,1",
        "conv_relu/forward x=1x24x5x19_1x8 w=24x24x3x3 b=24 y=1x24x3x17_1x8",
        "conv/forward x=1x60x9x8 w=96x20x3x3 b=96 pad=1,1 groups=3",
        "conv/forward x=2x64x5x5_1x16 w=64x32x3x3_0x16 y=2x64x5x5_1x16 pad=1,1 groups=2 flip=1",
        "conv/forward x=1x16x3x4/384,-24,6,1+360 w=18x16x3x3/160,-9,3,1+135 y=1x18x3x4/600,2,200,40 pad=1,1",
        "conv/forward x=1x20x4x210 w=70x20x3x3 b=70 pad=1,1", "conv/forward x=4x18x61x62 w=4x18x3x3 b=4 pad=1,1",
        "conv/forward x=2x48x30x3 w=16x48x3x3 pad=1,1", "conv/forward x=1x64x14x440 w=2x64x3x3 pad=1,1"));

TEST(WinogradEngine, DoesNotDependOnThreads) {
  std::vector<std::vector<float>> results;
  for (const int threads : {1, 2, 3, 5, 16}) {
    const Device d(threads);
    lamina_case c = case_of("conv/forward x=2x48x13x13 w=112x48x3x3 b=112 pad=1,1");
    lamina_plan *plan = nullptr;
    lamina_plan_options options = {};
    options.engine = "winograd";
    ASSERT_EQ(lamina_plan_open(d, &c.problem, &options, &plan), LAMINA_OK) << lamina_last_error();
    lamina_data *data = nullptr;
    ASSERT_EQ(lamina_data_open(d, &c, &data), LAMINA_OK) << lamina_last_error();
    const size_t size = lamina_plan_workspace(plan);
    void *workspace = nullptr;
    ASSERT_EQ(lamina_memory_alloc(d, size, &workspace), LAMINA_OK) << lamina_last_error();
    EXPECT_EQ(lamina_plan_run(plan, lamina_data_args(data), workspace, nullptr), LAMINA_OK) << lamina_last_error();
    lamina_memory_free(d, workspace, size);
    const lamina_tensor *y = lamina_data_tensor(data, 3);
    const float *from = static_cast<const float *>(y->data);
    results.emplace_back(from, from + lamina_desc_count(&y->desc));
    lamina_data_close(data);
    lamina_plan_close(plan);
  }
  for (const auto &result : results) EXPECT_EQ(result, results[0]);
}

TEST(WinogradEngine, SaysWhatItDoesntTake) {
  const char *const lines[][2] = {
      {"conv/forward x=1x16x9x9:bf16 w=16x16x3x3", "it takes f32"},
      {"conv/forward x=1x16x9 w=16x16x3", "it takes two spatial axes"},
      {"conv/forward x=1x16x9x9 w=16x16x3x2", "it takes filters of 3 x 3, stride 1 and dilation 1"},
      {"conv/forward x=1x16x9x9 w=16x16x3x3 stride=1,2", "it takes filters of 3 x 3, stride 1 and dilation 1"},
      {"conv/forward x=1x16x9x9 w=16x16x3x3 dilation=2,1", "it takes filters of 3 x 3, stride 1 and dilation 1"},
      {"conv/forward x=1x15x9x9 w=16x15x3x3",
       "it takes 16 channels in and more of a group: fewer round worse than it states"},
      {"conv/forward x=1x32x9x9 w=40x16x3x3 groups=2", "channels out of a group aren't a multiple of 16, the lanes"},
      {"conv/forward x=16x16x9x9_0x16 w=16x16x3x3", "it takes data that is strided or has channels in blocks"},
      {"conv/forward x=1x16x9x9 w=16x16x3x3_1x16_0x16",
       "it takes weights that are strided or have channels out in blocks of 16"},
      {"conv/forward x=1x16x9x9 w=16x16x3x3 b=16_0x16", "it takes a bias without blocks"}};
  for (const auto &line : lines) expect_refused("winograd", line[0], line[1]);
}

TEST(WinogradTransforms, LetNaNThroughARelu) {
  float m[16 * 16] = {}, b[16] = {}, y[4 * 16];
  m[0] = std::numeric_limits<float>::quiet_NaN(), m[1] = -1, m[2] = 2;
  lamina_winograd_y(1, m, 16, b, true, y, 32);
  EXPECT_TRUE(std::isnan(y[0]) && y[1] == 0 && y[2] == 2 && y[3] == 0);
}

} // namespace
