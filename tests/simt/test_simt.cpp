// The SIMT emulation: what kernels do wrong is noticed. Built plain, under sanitizers, and with the race detector. What
// they get, test_lanes shows.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "planted.h"

namespace {

using simt::Async;
using simt::Order;

// What running a kernel throws; "" for nothing.
template <class... P, class... A>
std::string failure(dim3 grid, dim3 block, size_t smem, bool cooperative, void (*kernel)(P...), A... args) {
  try {
    simt::run("kernel", grid, block, smem, cooperative, kernel, args...);
  } catch (const simt::Error &e) { return e.what(); }
  return "";
}
template <class... P, class... A> std::string failure(dim3 grid, dim3 block, void (*kernel)(P...), A... args) {
  return failure(grid, block, 0, false, kernel, args...);
}

#define EXPECT_FAILURE(part, ...)                                                                                      \
  do {                                                                                                                 \
    const std::string said = failure(__VA_ARGS__);                                                                     \
    EXPECT_NE(said.find(part), std::string::npos) << "said: " << said;                                                 \
  } while (0)

struct Schedule {
  Order order;
  Async async;
};

class Simt : public testing::TestWithParam<Schedule> {
protected:
  void SetUp() override {
    simt::config.order = GetParam().order;
    simt::config.async = GetParam().async;
  }
};

std::string name_of(const testing::TestParamInfo<Schedule> &info) {
  const char *const orders[] = {"forward", "reverse", "random"}, *const asyncs[] = {"late", "early", "random"};
  return std::string(orders[static_cast<int>(info.param.order)]) + "_" + asyncs[static_cast<int>(info.param.async)];
}
INSTANTIATE_TEST_SUITE_P(Schedules, Simt,
                         testing::Values(Schedule{Order::forward, Async::late}, Schedule{Order::reverse, Async::early},
                                         Schedule{Order::random, Async::random}),
                         name_of);

// ---- Planted bugs: noticed in every build ---------------------------------------------------------------------------
TEST_P(Simt, BarriersAndMasks) {
  std::vector<int> p(40);
  std::vector<float> f(40);
  EXPECT_FAILURE("divergent __syncthreads", 1, 32, divergent, p.data());
  EXPECT_FAILURE("deadlock", 1, 32, half_barrier, p.data());
  EXPECT_NE(failure(1, 32, exited_lane, p.data()), "");
  EXPECT_FAILURE("lacks the calling lane", 1, 32, mask_lacks_caller, p.data());
  EXPECT_FAILURE("disagree", 1, 32, lanes_disagree, p.data());
  EXPECT_FAILURE("never existed", 1, 40, partial_warp, f.data());
  EXPECT_FAILURE("LAUNCH_COOP", 2, 32, grid_sync_alone, 1);
}

TEST_P(Simt, LaunchesAndSharedMemory) {
  std::vector<float> p(32);
  uint32_t u = 0;
  EXPECT_FAILURE("bad grid", 0, 32, nothing, 1);
  EXPECT_FAILURE("bad grid", dim3(1, 70000), 32, nothing, 1);
  EXPECT_FAILURE("bad block", 1, 2048, nothing, 1);
  EXPECT_FAILURE("dynamic shared memory", 1, 32, 228 * 1024, false, nothing, 1);
  EXPECT_FAILURE("64 bytes of dynamic shared memory are asked for, and not used", 2, 32, 64, false, nothing, 1);
  EXPECT_FAILURE("48 KiB", 1, 32, too_much_static, p.data());
  EXPECT_FAILURE("227 KiB", 1, 32, 227 * 1024, false, uninitialised, p.data());
  EXPECT_FAILURE("not an address of shared memory", 1, 1, host_as_shared, &u);
  EXPECT_EQ(failure(1, 32, uninitialised, p.data()), "");
  EXPECT_TRUE(std::isnan(p[31]));
  EXPECT_EQ(p[30], 1);
  if (simt::config.async == Async::late) EXPECT_FAILURE("never waited", 1, 32, never_waited, p.data());
}

TEST_P(Simt, WorksAgainAfterErrors) {
  std::vector<int> p(2);
  std::vector<float> f(128);
  for (int i = 0; i < 20; i++) {
    EXPECT_NE(failure(1, 32, divergent, p.data()), "");
    EXPECT_EQ(failure(4, 32, 0, true, over_the_grid, f.data()), "");
  }
}

// ---- What sanitizers notice -----------------------------------------------------------------------------------------
#ifdef __SANITIZE_ADDRESS__
template <class... P, class... A> void run_here(size_t smem, unsigned threads, void (*kernel)(P...), A... args) {
  simt::run("kernel", 1, threads, smem, false, kernel, args...);
}

TEST(SimtDeathTest, OutOfBounds) {
  std::vector<float> p(32), q(31);
  std::vector<uint32_t> u(32);
  EXPECT_DEATH(run_here(0, 32, past_static, p.data(), 1), "use-after-poison");
  EXPECT_DEATH(run_here(64, 32, past_static, p.data(), -1), "use-after-poison");
  EXPECT_DEATH(run_here(0, 8, past_inner, p.data(), 1), "out of bounds for type 'float \\[8\\]'");
  EXPECT_DEATH(run_here(31 * 4, 32, past_dynamic, p.data()), "use-after-poison");
  EXPECT_DEATH(run_here(128, 32, past_dynamic, q.data()), "heap-buffer-overflow");
  EXPECT_DEATH(run_here(0, 32, past_ldmatrix, u.data()), "use-after-poison");
  EXPECT_DEATH(run_here(0, 32, past_local, p.data(), 4), "out of bounds|stack-buffer-overflow");
}

TEST(SimtDeathTest, AlignmentAndStacks) {
  alignas(16) float p[64] = {};
  int i = 0;
  EXPECT_DEATH(run_here(0, 32, misaligned, p, p + 32), "misaligned address");
  EXPECT_DEATH(run_here(0, 1, deep, &i, 100000), "stack-overflow|SEGV");
}
#endif

// ---- What the race detector notices ---------------------------------------------------------------------------------
#ifdef SIMT_RACE
TEST_P(Simt, Races) {
  std::vector<float> p(128), q(64);
  EXPECT_FAILURE("race", 1, 32, no_syncwarp, p.data());
  EXPECT_FAILURE("race", 1, 64, syncwarp_across_warps, p.data());
  EXPECT_FAILURE("another block", 2, 32, between_blocks, p.data());
  EXPECT_FAILURE("race", 2, 64, atomic_against_store, p.data());
  EXPECT_FAILURE("read-write race", 1, 64, write_after_read, p.data());
  EXPECT_FAILURE("race", 1, 64, copy_without_barrier, q.data(), p.data());
  EXPECT_FAILURE("another block", 4, 32, 0, true, over_the_grid_unordered, p.data());
}

TEST_P(Simt, RacesAreNamedByTheirLines) {
  std::vector<float> p(32);
  EXPECT_FAILURE("on 's' byte", 1, 32, no_syncwarp, p.data());
  EXPECT_FAILURE("planted.cu:", 1, 32, no_syncwarp, p.data());
}

TEST_P(Simt, NoRaces) {
  std::vector<float> p(128);
  std::vector<unsigned char> bytes(64);
  EXPECT_EQ(failure(1, 64, with_syncwarp, p.data()), "");
  EXPECT_EQ(failure(4, 64, atomics, p.data()), "");
  EXPECT_EQ(failure(1, 64, neighbours, bytes.data()), "");
  EXPECT_EQ(failure(4, 32, 0, true, over_the_grid, p.data()), "");
}
#endif

} // namespace
