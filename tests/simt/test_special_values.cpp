// NaN and infinities on the device that LAMINA_TEST_DEVICE names: they come out where the reference has them, and nowhere
// else. (The oracle test's numbers are all finite.)
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "case.h"

namespace {

using Values = std::vector<std::vector<uint64_t>>; // of each argument, as it lies in memory

class SpecialValues : public testing::TestWithParam<const char *> {
protected:
  void SetUp() override {
    ASSERT_EQ(parse_case(GetParam(), &c), LAMINA_OK) << lamina_last_error();
    ASSERT_EQ(lamina_device_open("cpu", nullptr, &cpu), LAMINA_OK) << lamina_last_error();
    ASSERT_EQ(lamina_device_open(std::getenv("LAMINA_TEST_DEVICE"), nullptr, &device), LAMINA_OK)
        << lamina_last_error();
  }
  void TearDown() override {
    lamina_device_close(device);
    lamina_device_close(cpu);
  }

  bool is_out(int a) const { return op()->args[a].role == LAMINA_OUT || op()->args[a].role == LAMINA_SAVED; }
  const lamina_op_def *op() const { return lamina_op_at(c.problem.op); }
  const lamina_desc &desc(int a) const { return c.problem.arg[a]; }
  lamina_dtype dtype(int a) const { return static_cast<lamina_dtype>(desc(a).dtype); }

  // Small numbers; element `place` of the first argument is `bad`.
  Values inputs(int64_t place, double bad) const {
    Values values;
    for (int a = 0; op()->args[a].name; a++) {
      values.emplace_back(static_cast<size_t>(lamina_desc_bytes(&desc(a))) / 8 + 1);
      for (int64_t i = 0; i < lamina_desc_count(&desc(a)) && dtype(a) != LAMINA_NONE; i++)
        lamina_store(dtype(a), values.back().data(), i, is_out(a) ? -7 : static_cast<double>((i * 7 + a) % 23) / 8 - 1);
    }
    lamina_store(dtype(0), values[0].data(), place, bad);
    return values;
  }

  // What comes out on one device, by the engine named, or the one that it prefers.
  void run(lamina_device *on, const char *engine, Values &values) {
    lamina_plan_options options = {};
    options.engine = engine;
    lamina_plan *plan = nullptr;
    ASSERT_EQ(lamina_plan_open(on, &c.problem, &options, &plan), LAMINA_OK) << lamina_last_error();
    lamina_args args = {};
    void *workspace = nullptr;
    const size_t room = lamina_plan_workspace(plan);
    if (room) { ASSERT_EQ(lamina_memory_alloc(on, room, &workspace), LAMINA_OK); }
    for (size_t a = 0; a < values.size(); a++) {
      if (desc(static_cast<int>(a)).dtype == LAMINA_NONE) continue;
      ASSERT_EQ(lamina_memory_alloc(on, values[a].size() * 8, &args.p[a]), LAMINA_OK) << lamina_last_error();
      ASSERT_EQ(lamina_copy(on, args.p[a], values[a].data(), values[a].size() * 8, nullptr), LAMINA_OK);
    }
    EXPECT_EQ(lamina_plan_run(plan, &args, workspace, nullptr), LAMINA_OK) << lamina_last_error();
    for (size_t a = 0; a < values.size(); a++) {
      if (!args.p[a]) continue;
      EXPECT_EQ(lamina_copy(on, values[a].data(), args.p[a], values[a].size() * 8, nullptr), LAMINA_OK)
          << lamina_last_error();
      lamina_memory_free(on, args.p[a], values[a].size() * 8);
    }
    lamina_memory_free(on, workspace, room);
    lamina_plan_close(plan);
  }

  static std::string kind(double v) {
    return std::isnan(v) ? "NaN" : !std::isinf(v) ? "finite" : v > 0 ? "inf" : "-inf";
  }

  void try_with(int64_t place, double bad) {
    Values want = inputs(place, bad), got = want;
    run(cpu, "ref", want);
    run(device, nullptr, got);
    for (int a = 0; op()->args[a].name && !HasFailure(); a++) {
      if (!is_out(a) || !lamina_dtype_is_floating(dtype(a))) continue;
      for (int64_t i = 0; i < lamina_desc_count(&desc(a)) && !HasFailure(); i++)
        EXPECT_EQ(kind(lamina_load(dtype(a), got[static_cast<size_t>(a)].data(), i)),
                  kind(lamina_load(dtype(a), want[static_cast<size_t>(a)].data(), i)))
            << GetParam() << ": " << op()->args[a].name << " at " << i << ", with " << bad << " at " << place;
    }
  }

  lamina_case c = {};
  lamina_device *cpu = nullptr, *device = nullptr;
};

TEST_P(SpecialValues, ComeOutWhereTheReferenceHasThem) {
  const int64_t count = lamina_desc_count(&desc(0));
  for (const double bad : {static_cast<double>(NAN), static_cast<double>(INFINITY), -static_cast<double>(INFINITY)})
    for (const int64_t place : {int64_t(0), int64_t(1), count / 2 + 1, count - 1}) try_with(place, bad);
}

// -0 is no less than 0: of equals the first one wins, whichever of a team's threads found it.
class ZerosOfBothSigns : public SpecialValues {};

TEST_P(ZerosOfBothSigns, TheFirstOneIsTheLargest) {
  const int64_t count = lamina_desc_count(&desc(0));
  for (const int64_t place : {int64_t(1), count / 2 + 1, count - 1}) {
    Values want = inputs(0, -0.0);
    for (int64_t i = 0; i < count; i++) lamina_store(dtype(0), want[0].data(), i, i == place ? 0.0 : -0.0);
    Values got = want;
    run(cpu, "ref", want);
    run(device, nullptr, got);
    for (int a = 0; op()->args[a].name; a++)
      for (int64_t i = 0; is_out(a) && i < lamina_desc_count(&desc(a)); i++)
        ASSERT_EQ(lamina_load(dtype(a), got[static_cast<size_t>(a)].data(), i),
                  lamina_load(dtype(a), want[static_cast<size_t>(a)].data(), i))
            << op()->args[a].name << " at " << i << ", with 0 at " << place;
  }
}

// By a thread, a warp and a block to a window.
INSTANTIATE_TEST_SUITE_P(All, ZerosOfBothSigns,
                         testing::Values("max_pool/forward x=2x3x9x11 indices=2x3x3x3:i32 kernel=3",
                                         "max_pool/forward x=1x2x9x9 indices=1x2x1x1:i32 global=1",
                                         "max_pool/forward x=1x2x40x40 indices=1x2x1x1:i32 global=1",
                                         "min_pool/forward x=1x2x40x40 indices=1x2x1x1:i32 global=1"),
                         case_name);

// Numbers far from 0, which are exact: what norms make of them is as near as it is of their distances, a few sums off.
class FarFromZero : public SpecialValues {};

TEST_P(FarFromZero, NormsLoseNothing) {
  Values want = inputs(0, -1);
  const int64_t count = lamina_desc_count(&desc(0));
  for (int64_t i = 0; i < count; i++)
    lamina_store(dtype(0), want[0].data(), i, 16384 + static_cast<double>(i * 7 % 23) / 16);
  Values got = want;
  run(cpu, "ref", want);
  run(device, nullptr, got);
  for (int a = 0; op()->args[a].name; a++) {
    if (std::string(op()->args[a].name) != "y") continue;
    for (int64_t i = 0; i < count; i++) {
      const double y = lamina_load(dtype(a), want[static_cast<size_t>(a)].data(), i);
      ASSERT_NEAR(lamina_load(dtype(a), got[static_cast<size_t>(a)].data(), i), y,
                  8 * std::sqrt(static_cast<double>(count)) * 0x1p-24 * (1 + std::fabs(y)))
          << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, FarFromZero,
                         testing::Values("batch_norm/forward x=4x3x16x16", "batch_norm/forward x=3x2x61x61",
                                         "batch_norm/forward x=900x5", "layer_norm/forward x=6x70",
                                         "layer_norm/forward x=3x512", "group_norm/forward x=2x4x40x41 groups=2"),
                         case_name);

// Sets that a warp, a block and several blocks have; with vectors and without.
INSTANTIATE_TEST_SUITE_P(
    All, SpecialValues,
    testing::Values("batch_norm/forward x=2x3x7 mean=3 deviation=3", "batch_norm/forward x=4x3x16x16",
                    "batch_norm/forward x=3x2x61x61", "batch_norm/forward x=900x5",
                    "batch_norm/forward x=8x16 dtype=bf16", "layer_norm/forward x=6x7 mean=6 deviation=6",
                    "layer_norm/forward x=3x512", "layer_norm/forward x=2x5001",
                    "layer_norm/forward x=2x4096 dtype=f16", "group_norm/forward x=2x6x5x5 groups=3",
                    "group_norm/forward x=2x4x40x41 groups=2", "softmax/forward x=5x7", "softmax/forward x=3x1000",
                    "softmax/forward x=2x40x9", "log_softmax/forward x=3x5003", "max/forward x=5x700",
                    "max/forward x=3x70x65 axes=1", "sum/forward x=3x5000", "relu/forward x=77", "gelu/forward x=40",
                    "max_pool/forward x=2x3x9x11 kernel=3", "max_pool/forward x=1x2x40x40 global=1",
                    "avg_pool/forward x=2x3x9x11 kernel=3 pad=1", "lrn/forward x=2x9x3x5"),
    case_name);

} // namespace
