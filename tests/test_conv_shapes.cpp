// Convolutions that the engines of a GPU treat apart: each engine and variant, on shapes that fill several of its tiles and
// cut the last one off, with sums in parts. What the oracle test draws is mostly smaller. On the device that
// LAMINA_TEST_DEVICE names: "cpu" where it is not set.
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include "case.h"

namespace {

struct Case {
  const char *line;
  const char *wanted;           // engines, or engines with variants, of a GPU that must have run it
  const char *engine = nullptr; // only this one, where it isn't null; then only on a GPU
  int64_t sample = 0;           // of larger outputs only so many elements
};

const Case cases[] = {
    // a thread's rows and columns, a tile of 8 x 32 positions, 8 or 16 filters; strides that deal the columns out
    {"conv/forward x=2x3x30x81 w=20x3x5x4 b=20 stride=2,3 dilation=1,2 pad=2:1,3:0", "kernel/few_channels"},
    {"conv/forward x=1x4x19x70 w=8x4x3x2 b=8 flip=1 pad=1", "kernel/few_channels"},
    {"conv/forward x=2x2x150 w=5x2x7 stride=4 pad=3 dtype=bf16", "kernel/few_channels"},
    {"conv/forward x=1x1x40x37 w=17x1x11x11 stride=4,1 pad=2 dtype=f16", "kernel/few_channels"},
    {"conv/forward x=2x1x75x9 w=5x1x3x3 b=5 pad=1", "kernel/few_channels"},
    // 2 x 2 outputs a tile; the three tiles of the product; pictures in strips
    {"conv/forward x=2x5x9x12 w=3x5x3x3 b=3 pad=1", "kernel/winograd/f2x2_3x3"},
    {"conv/forward x=2x5x23x6 w=3x5x3x3 b=3 pad=1", "kernel/winograd/f2x2_3x3"},
    {"conv/forward x=3x7x8x7 w=40x7x3x3 b=40 pad=0:2,3:1 flip=1", "kernel/winograd/f2x2_3x3"},
    {"conv/forward x=1x2x129x128 w=66x2x3x3 b=66 pad=1", "kernel/winograd/f2x2_3x3", "kernel/winograd", 3000},
    {"conv/forward x=2x16x210x211 w=32x16x3x3 b=32 pad=1", "kernel/winograd/f2x2_3x3", "kernel/winograd", 3000},
    {"conv/backward_data dx=2x5x9x12 w=3x5x3x3 pad=1", "kernel/winograd/f2x2_3x3"},
    {"conv/backward_data dx=3x40x8x7 w=7x40x3x3 pad=0:2,3:1 flip=1", "kernel/winograd/f2x2_3x3"},
    // tiles of 64 and of 128, on both kinds of cores, with groups, phases of strides, one and three axes
    {"conv/forward x=2x17x9x9 w=130x17x3x3 b=130 pad=1",
     "kernel/implicit_gemm/simt/128x128 kernel/implicit_gemm/mma/64x64"},
    {"conv/forward x=2x24x7x11 w=140x12x2x3 b=140 groups=2 stride=1,2 dilation=2,1 pad=1 dtype=bf16",
     "kernel/implicit_gemm/mma/128x128 kernel/implicit_gemm/mma/64x64"},
    {"conv/forward x=1x9x6x5x8 w=70x9x2x3x1 flip=1 pad=1,0:2,0 dtype=f16", "kernel/implicit_gemm/mma/64x64"},
    {"conv/forward x=3x33x67 w=65x33x4 b=65 pad=1:2", "kernel/implicit_gemm/simt/64x64"},
    {"conv/backward_data dx=2x70x9x10 w=18x70x3x3 stride=2,3 pad=1", "kernel/implicit_gemm/simt/64x64"},
    {"conv/backward_data dx=2x132x8x9 w=34x66x3x2 groups=2 stride=2,1 dilation=1,2 pad=1:0,2 dtype=bf16",
     "kernel/implicit_gemm/mma/128x128"},
    {"conv/backward_data dx=1x66x5x6x7 w=5x66x2x3x2 stride=3,1,2 flip=1 dtype=f16", "kernel/implicit_gemm/mma/64x64"},
    {"conv/backward_weights x=2x8x24x22 dw=65x8x3x3 pad=1",
     "kernel/implicit_gemm/simt/64x64 kernel/implicit_gemm/mma/128x128"},
    {"conv/backward_weights x=2x20x17x15 dw=132x10x3x2 groups=2 stride=1,2 dilation=2,1 pad=1:2,0 dtype=bf16",
     "kernel/implicit_gemm/mma/128x128"},
    {"conv/backward_weights x=1x3x9x11x13 dw=20x3x2x3x2 stride=1,2,1 flip=1 pad=1,0,2 dtype=f16",
     "kernel/implicit_gemm/mma/64x64"},
    {"conv_transpose/forward x=2x18x5x4 w=18x70x3x3 b=70 stride=2,3 pad=1", "kernel/implicit_gemm/simt/64x64"},
    {"conv_transpose/backward_data dx=2x18x5x4 w=18x70x3x3 stride=2,3 pad=1 dtype=bf16",
     "kernel/implicit_gemm/mma/64x64"},
    {"conv_transpose/backward_weights x=2x18x9x12 dw=18x7x3x3 stride=2,1 pad=1", "kernel/implicit_gemm/simt/64x64"},
    // one tap: plain products, sums over pictures and in parts
    {"conv/forward x=2x40x7x19 w=130x40x1x1 b=130", "kernel/gemm kernel/gemm_mma"},
    {"conv/forward x=2x70x5x9 w=33x70x1x1 b=33 dtype=bf16", "kernel/gemm_mma"},
    {"conv/forward x=2x72x5x8 w=40x72x1x1 b=40 dtype=bf16", "kernel/gemm_mma"},
    {"conv/backward_data dx=2x70x5x9 w=33x70x1x1", "kernel/gemm kernel/gemm_mma"},
    {"conv/backward_data dx=2x72x5x8 w=36x72x1x1", "kernel/gemm kernel/gemm_mma"},
    {"conv/backward_weights x=2x40x11x13 dw=33x40x1x1", "kernel/gemm kernel/gemm_mma"},
    {"conv/backward_weights x=2x9x13x11 dw=70x9x1x1 dtype=f16", "kernel/gemm_mma"},
    // strips of 4 positions, planes that share a block, groups of up to 8
    {"conv/forward x=2x12x15x41 w=12x1x3x3 b=12 groups=12 pad=1", "kernel/depthwise", "kernel/depthwise"},
    {"conv/forward x=1x12x20x9 w=24x4x3x5 b=24 groups=3 stride=2,1 dilation=1,2 pad=2 dtype=bf16", "kernel/depthwise",
     "kernel/depthwise"},
    {"conv/backward_data dx=2x12x15x41 w=12x1x3x3 groups=12 stride=2,3 pad=1", "kernel/depthwise", "kernel/depthwise"},
    {"conv/backward_data dx=1x12x20x9 w=24x4x3x5 groups=3 flip=1 pad=2 dtype=bf16", "kernel/depthwise",
     "kernel/depthwise"},
    {"conv_transpose/forward x=2x6x9x23 w=6x2x3x3 b=12 groups=6 stride=2 pad=1", "kernel/depthwise",
     "kernel/depthwise"},
    // straight from the formula: rows of 4 and 8, the filter in pieces, sums in parts
    {"conv/forward x=1x33x12x13 w=11x33x3x3 b=11 dilation=2,1", "kernel/direct", "kernel/direct"},
    {"conv/forward x=2x3x5x6x30 w=3x3x2x3x4 b=3 stride=1,2,1 pad=1", "kernel/direct", "kernel/direct"},
    {"conv/backward_weights x=2x12x40x41 dw=12x1x3x3 groups=12 pad=1", "kernel/direct", "kernel/direct"},
    {"conv/backward_weights x=2x6x40x41 dw=10x3x3x5 groups=2 stride=2,1 pad=1:2,0", "kernel/direct", "kernel/direct"},
    {"conv/backward_bias dy=3x5x60x61", "kernel/direct", "kernel/direct"},
    {"conv/backward_bias dy=2x3x97x101", "kernel/direct", "kernel/direct"},
    {"conv/backward_bias dy=5x70x7 dtype=bf16", "kernel/direct", "kernel/direct"},
    {"local_conv/forward x=3x5x9x11 w=7x9x6x5x3x3 b=6x7x9", "kernel"},
    {"local_conv/backward_data dy=3x6x7x9 w=7x9x6x5x3x3 dx=3x5x9x11", "kernel"},
    {"local_conv/forward x=11x5x4x5 w=2x3x6x5x3x3 b=6x2x3", "kernel"}, // more images than a thread has
    {"local_conv/backward_data dy=11x6x2x3 w=2x3x6x5x3x3 dx=11x5x4x5", "kernel"},
    {"local_conv/backward_weights dy=3x6x7x9 x=3x5x9x11 dw=7x9x6x5x3x3", "kernel"},
};

std::string name_of(const testing::TestParamInfo<Case> &info) { return case_name_of(info.index, info.param.line); }

class ConvShape : public testing::TestWithParam<Case> {};

TEST_P(ConvShape, EveryCandidateAgrees) {
  const char *name = std::getenv("LAMINA_TEST_DEVICE");
  const bool cpu = !name || std::string(name) == "cpu";
  if (cpu && GetParam().engine)
    GTEST_SKIP() << "an engine of GPUs alone: ctest -R emulated_conv_shapes, or scripts/gpu-check, runs it";
  lamina_case c;
  ASSERT_EQ(parse_case(GetParam().line, &c), LAMINA_OK) << lamina_last_error();
  lamina_device *device = nullptr;
  ASSERT_EQ(lamina_device_open(cpu ? "cpu" : name, nullptr, &device), LAMINA_OK) << lamina_last_error();
  lamina_verify_options options = {};
  options.engine = GetParam().engine, options.sample = GetParam().sample;
  std::set<std::string> ran;
  for (const bool exact : {false, true}) {
    c.exact = exact;
    if (exact && (options.sample || !lamina_case_can_be_exact(&c))) continue;
    lamina_verdict verdicts[64];
    int count = 64;
    EXPECT_EQ(lamina_verify(device, &c, &options, verdicts, &count), LAMINA_OK) << lamina_last_error();
    for (int i = 0; i < count && i < 64; i++) {
      if (verdicts[i].status != LAMINA_OK) continue;
      const std::string engine = verdicts[i].engine;
      ran.insert(engine);
      ran.insert(engine + "/" + verdicts[i].variant);
    }
  }
  std::istringstream wanted(cpu ? "" : GetParam().wanted);
  for (std::string engine; wanted >> engine;) EXPECT_TRUE(ran.count(engine)) << engine << " didn't run it";
  lamina_device_close(device);
}

INSTANTIATE_TEST_SUITE_P(All, ConvShape, testing::ValuesIn(cases), name_of);

} // namespace
