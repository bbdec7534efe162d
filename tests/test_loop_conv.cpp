// The matrix product's kernels, each that this machine has, and the convolutions made of it on shapes that take several
// blocks each way: right, and the same bits for any number of threads.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "case.h"
#include "cpu/gemm_kernel.h"

namespace {

// Whole numbers, so that every order of summation gives the same bits.
float number(int64_t i) { return static_cast<float>(i * 7919 % 5 - 2); }

class GemmKernel : public testing::TestWithParam<int> {};

TEST_P(GemmKernel, MultipliesEveryShape) {
  const lamina_gemm_kernel *kernel = lamina_gemm_kernel_at(GetParam());
  if (!kernel) GTEST_SKIP() << "all kernels of this CPU were tested; one with AVX-512 has them all";
  const int64_t mr = kernel->mr, nr = kernel->nr;
  for (int64_t m = 1; m <= 2 * mr + 1; m++)
    for (const int64_t n : {int64_t{1}, nr - 1, nr, 2 * nr + 3})
      for (const int64_t k : {0, 1, 7})
        for (const bool add : {false, true}) {
          const int64_t ldc = lamina_gemm_round(n, nr) + 5, rows = lamina_gemm_round(m, mr);
          std::vector<float> a(static_cast<size_t>(rows * k)), b(static_cast<size_t>((ldc - 5) * k)),
              c(static_cast<size_t>((m + 1) * ldc), 1000);
          for (size_t i = 0; i < a.size(); i++) a[i] = number(static_cast<int64_t>(i));
          for (size_t i = 0; i < b.size(); i++) b[i] = number(static_cast<int64_t>(3 * i + 1));
          lamina_gemm_panels(kernel, m, n, k, a.data(), b.data(), c.data(), ldc, add);
          for (int64_t i = 0; i <= m; i++)
            for (int64_t j = 0; j < ldc; j++) {
              float want = add || i == m || j >= ldc - 5 ? 1000 : 0;
              if (i < m && j < n)
                for (int64_t l = 0; l < k; l++)
                  want += a[static_cast<size_t>((i / mr * k + l) * mr + i % mr)] *
                          b[static_cast<size_t>((j / nr * k + l) * nr + j % nr)];
              if (i < m && j >= n && j < ldc - 5) continue; // of the last panel: anything
              ASSERT_EQ(c[static_cast<size_t>(i * ldc + j)], want) << m << " " << n << " " << k << " " << i << " " << j;
            }
        }
}

INSTANTIATE_TEST_SUITE_P(All, GemmKernel, testing::Values(0, 1, 2));

TEST(GemmKernel, ThereIsOneEverywhere) {
  EXPECT_NE(lamina_gemm_kernel_at(0), nullptr);
  EXPECT_EQ(lamina_gemm_kernel_at(3), nullptr);
}

class LoopConv : public testing::TestWithParam<const char *> {
protected:
  void SetUp() override { ASSERT_EQ(parse_case(GetParam(), &c), LAMINA_OK) << lamina_last_error(); }

  // The bytes of all outputs with so many threads.
  std::vector<char> run(int threads) {
    lamina_device_options options = {};
    options.threads = threads;
    options.engine = engine.c_str();
    lamina_device *device = nullptr;
    lamina_plan *plan = nullptr;
    lamina_data *data = nullptr;
    std::vector<char> bytes;
    EXPECT_EQ(lamina_device_open("cpu", &options, &device), LAMINA_OK) << lamina_last_error();
    EXPECT_EQ(lamina_plan_open(device, &c.problem, nullptr, &plan), LAMINA_OK) << lamina_last_error();
    EXPECT_EQ(lamina_data_open(device, &c, &data), LAMINA_OK) << lamina_last_error();
    std::vector<char> workspace(lamina_plan_workspace(plan) + 64, '\xff'); // NaN
    void *start = workspace.data() + (64 - reinterpret_cast<uintptr_t>(workspace.data()) % 64) % 64;
    EXPECT_EQ(lamina_plan_run(plan, lamina_data_args(data), start, nullptr), LAMINA_OK) << lamina_last_error();
    EXPECT_EQ(lamina_data_fetch(data), LAMINA_OK);
    const lamina_op_def *op = lamina_op_at(c.problem.op);
    for (int i = 0; op->args[i].name; i++) {
      const lamina_tensor *tensor = lamina_data_tensor(data, i);
      if (op->args[i].role == LAMINA_IN || !tensor) continue;
      const char *from = static_cast<const char *>(tensor->data);
      bytes.insert(bytes.end(), from, from + lamina_desc_bytes(&tensor->desc));
    }
    lamina_data_close(data);
    lamina_plan_close(plan);
    lamina_device_close(device);
    return bytes;
  }

  std::string engine = std::string(GetParam()).substr(0, std::string(GetParam()).find(' ')) + ":loop";
  lamina_case c = {};
};

TEST_P(LoopConv, IsRight) {
  lamina_device_options options = {};
  options.engine = engine.c_str();
  lamina_device *device = nullptr;
  ASSERT_EQ(lamina_device_open("cpu", &options, &device), LAMINA_OK) << lamina_last_error();
  lamina_verify_options how = {};
  how.sample = 300;
  how.engine = "loop"; // and "loop/depthwise"
  for (const bool exact : {false, true}) {
    lamina_verdict verdicts[4];
    int count = 4;
    c.exact = exact;
    ASSERT_EQ(lamina_verify(device, &c, &how, verdicts, &count), LAMINA_OK) << lamina_last_error();
    ASSERT_GE(count, 1);
  }
  lamina_device_close(device);
}

TEST_P(LoopConv, GivesTheSameBitsOnAnyNumberOfThreads) {
  const std::vector<char> one = run(1);
  ASSERT_FALSE(one.empty());
  EXPECT_TRUE(run(2) == one);
  EXPECT_TRUE(run(5) == one);
}

// Depthwise convolutions, and no others, are offered by a loop of their own.
TEST(LoopDepthwise, HasALoopOfItsOwn) {
  lamina_device *device = nullptr;
  ASSERT_EQ(lamina_device_open("cpu", nullptr, &device), LAMINA_OK);
  const char *const words[] = {"conv/forward", "x=1x6x9x9", "w=12x1x3x3", "groups=6"};
  const char *const grouped[] = {"conv/forward", "x=1x6x9x9", "w=12x3x3x3", "groups=2"};
  for (const bool depthwise : {true, false}) {
    lamina_case c;
    ASSERT_EQ(lamina_case_parse(4, depthwise ? words : grouped, nullptr, &c), LAMINA_OK) << lamina_last_error();
    lamina_candidate list[64];
    int count = 64, offered = 0;
    ASSERT_EQ(lamina_candidates(device, &c.problem, nullptr, list, &count), LAMINA_OK) << lamina_last_error();
    for (int i = 0; i < count; i++) {
      if (std::string(list[i].engine) != "loop/depthwise") continue;
      offered += list[i].seconds >= 0;
      EXPECT_STREQ(list[i].reason, depthwise ? "" : "it isn't depthwise: a group has more than one channel");
    }
    EXPECT_EQ(offered, depthwise);
  }
  lamina_device_close(device);
}

// Several blocks of depth, rows, columns and positions; one and three axes; a filter too large to be packed beforehand,
// and one that needn't be; phases of gradients that no tap reaches; fully connected layers.
INSTANTIATE_TEST_SUITE_P(
    Shapes, LoopConv,
    testing::Values("conv/forward x=2x70x17x19 w=210x70x3x3 b=210 pad=1,1",
                    "conv/forward x=1x6x40x41 w=9x2x5x4 groups=3 stride=2,3 dilation=1,2 pad=2:1,0:3 flip=1 dtype=bf16",
                    "conv/forward x=3x300x7x5 w=33x300x1x1 b=33", "conv/forward x=2x5x9x8x7 w=13x5x3x2x3 pad=1,0,1",
                    "conv/backward_data w=70x210x3x3 dx=2x210x17x19 pad=1,1",
                    "conv/backward_data w=12x7x2x2 dx=1x21x30x29 groups=3 stride=4,3 flip=1 dtype=bf16",
                    "conv/backward_data w=40x5x3 dx=3x5x1001 dilation=3 stride=2 pad=2:0",
                    "conv/backward_weights x=2x70x17x19 dw=210x70x3x3 pad=1,1",
                    "conv/backward_weights x=9x4x33x31 dw=6x2x3x3 groups=2 stride=1,2 pad=1,1 flip=1",
                    "conv/backward_weights x=20x3x50x7 dw=5x3x2x3 dilation=2,1 dtype=bf16",
                    "conv/forward x=2x33x19x40 w=66x1x3x5 b=66 groups=33 stride=1,2 pad=1:2,4 dilation=2,1",
                    "conv/forward x=2x5x9x67 w=5x1x3x3 groups=5 stride=3 pad=1 flip=1 dtype=bf16",
                    "conv/forward x=3x4x5 w=8x1x1 groups=4 pad=3:0 stride=4",
                    "conv/backward_data w=66x1x3x5 dx=2x33x19x40 groups=33 stride=1,2 pad=1:2,4 dilation=2,1",
                    "conv/backward_data w=4x1x3x2x2 dx=2x4x7x8x50 groups=4 stride=2,3,1 pad=2 flip=1 dtype=bf16",
                    "conv/backward_weights x=3x33x19x40 dw=66x1x3x5 groups=33 stride=1,2 pad=1:2,4 dilation=2,1",
                    "conv/backward_weights x=2x5x9x67 dw=5x1x3x3 groups=5 stride=3 pad=1 flip=1 dtype=bf16",
                    "conv_transpose/forward x=2x40x9x8 w=40x30x3x3 b=30 stride=2 pad=1 output_pad=1",
                    "conv_transpose/forward x=2x12x9x20 w=12x1x3x2 b=12 groups=12 stride=2,3",
                    "conv_transpose/backward_data dy=2x30x18x16 w=40x30x3x3 stride=2 pad=1 output_pad=1",
                    "conv_transpose/backward_weights x=2x40x9x8 dy=2x30x18x16 dw=40x30x3x3 stride=2 pad=1 output_pad=1",
                    "local_conv/forward x=13x6x9x8 w=7x6x10x3x3x3 b=10x7x6 groups=2",
                    "local_conv/forward x=1x16x12x12 w=6x6x8x16x3x3 stride=2 pad=1:0 dtype=bf16",
                    "local_conv/backward_data w=7x6x10x3x3x3 dx=13x6x9x8 groups=2",
                    "local_conv/backward_data w=6x6x8x70x3x3 dx=3x70x12x12 stride=2,2 pad=1:0,1:0 dtype=bf16",
                    "local_conv/backward_weights x=13x6x9x8 dw=7x6x10x3x3x3 groups=2",
                    "local_conv/backward_bias dy=20x30x10x9", "fc/forward x=260x700 w=401x700 b=401",
                    "fc/forward x=3x700 w=401x700 dtype=bf16", "fc/backward_data dy=260x401 w=401x700",
                    "fc/backward_weights x=1500x70 dy=1500x40"));

} // namespace
