// The engine of fully connected layers over a few examples, with every instruction set of this machine: shapes beyond
// those that the oracle's test draws, of several pieces, groups of examples and tasks.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "cpu/dot_kernel.h"
#include "one_engine.h"

namespace {

class Dot : public testing::TestWithParam<const char *> {};

TEST_P(Dot, IsRight) {
  int kernels = 0;
  while (lamina_dot_kernel_at(kernels)) kernels++;
  for (const int threads : {1, 3}) expect_right("dot", GetParam(), threads, kernels);
}

// One example, whose rows are cut before their ends; groups of examples, whose rows are in pieces; tails of vectors,
// lines, pieces and tiles.
INSTANTIATE_TEST_SUITE_P(
    Shapes, Dot,
    testing::Values("fc/forward x=1x1 w=1x1", "fc/forward x=1x617 w=131x617", "fc_relu/forward x=2x272 w=13x272 b=13",
                    "fc/forward x=3x271 w=100x271 b=100:bf16", "fc_relu/forward x=4x1031:bf16 w=61x1031:bf16 b=61",
                    "fc_relu/forward x=5x784 w=67x784 b=67", "fc/forward x=7x2049:bf16 w=17x2049 y=7x17",
                    "fc/forward x=9x1100 w=23x1100:bf16 b=23 y=9x23:bf16", "fc_relu/forward x=16x130 w=7x130:bf16"));

// Runs the case on vectors of f32, which needn't be aligned, without workspace.
void run(int threads, const std::string &line, lamina_args args) {
  const Device device(threads);
  lamina_case c = case_of(line);
  for (lamina_desc &desc : c.problem.arg)
    if (desc.dtype != LAMINA_NONE) desc.align = sizeof(float);
  lamina_plan_options options = {};
  options.engine = "dot";
  lamina_plan *plan = nullptr;
  ASSERT_EQ(lamina_plan_open(device, &c.problem, &options, &plan), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(lamina_plan_workspace(plan), 0U);
  EXPECT_EQ(lamina_plan_run(plan, &args, nullptr, nullptr), LAMINA_OK) << lamina_last_error();
  lamina_plan_close(plan);
}

TEST(DotBits, AreTheSameWithAllThreadsAndExamples) {
  enum { N = 7, K = 1234, O = 257 };
  std::vector<float> x(N * K), w(O * K), b(O), first(N * O), y(N * O);
  for (size_t i = 0; i < x.size(); i++) x[i] = std::sin(static_cast<float>(i));
  for (size_t i = 0; i < w.size(); i++) w[i] = std::cos(static_cast<float>(i));
  run(1, "fc/forward x=7x1234 w=257x1234 b=257", {{x.data(), w.data(), b.data(), first.data()}});
  for (const int threads : {1, 2, 5})
    for (const int examples : {1, 4, 5, 7}) {
      std::fill(y.begin(), y.end(), NAN);
      run(threads, "fc/forward x=" + std::to_string(examples) + "x1234 w=257x1234 b=257",
          {{x.data(), w.data(), b.data(), y.data()}});
      const auto there = static_cast<std::ptrdiff_t>(examples) * O;
      EXPECT_TRUE(std::equal(y.begin(), y.begin() + there, first.begin()))
          << threads << " threads, " << examples << " examples";
    }
}

TEST(DotRelu, LetsNaNPass) {
  float x[] = {1, 1, 1}, w[] = {1, NAN, 1, -1, -1, 1}, y[2];
  run(1, "fc_relu/forward x=1x3 w=2x3", {{x, w, nullptr, y}});
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_EQ(y[1], 0);
}

TEST(DotRefusal, IsOfManyExamples) { expect_refused("dot", "fc/forward x=17x2 w=3x2", "it is for up to 16 examples"); }

} // namespace
