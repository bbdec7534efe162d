// The SIMT emulation: what kernels get, and that what they do wrong is noticed. Built plain, under sanitizers, and with the
// race detector.
#include <gtest/gtest.h>

#include <numeric>
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

// ---- What kernels get -----------------------------------------------------------------------------------------------
TEST_P(Simt, ShufflesAndReductions) {
  std::vector<int> p(32 * 8);
  ASSERT_EQ(failure(1, 32, warp_values, p.data()), "");
  for (int lane = 0; lane < 32; lane++) {
    const int *got = &p[static_cast<size_t>(lane) * 8];
    const int want[] = {
        30, lane / 8 * 80 + 50, lane % 16 < 3 ? lane : lane - 3, lane > 28 ? lane : lane + 3, lane ^ 5, 2, -16, -16};
    for (int i = 0; i < 8; i++) EXPECT_EQ(got[i], want[i]) << "lane " << lane << ", value " << i;
  }
}

TEST_P(Simt, Votes) {
  std::vector<int> p(32 * 4), q(128);
  ASSERT_EQ(failure(1, 32, votes, p.data()), "");
  for (size_t lane = 0; lane < 32; lane++) {
    EXPECT_EQ(p[lane * 4], 0x49249249);
    EXPECT_EQ(p[lane * 4 + 1], 1);
    EXPECT_EQ(p[lane * 4 + 2], 0);
    EXPECT_EQ(p[lane * 4 + 3], lane < 8 ? 8 : 0);
  }
  ASSERT_EQ(failure(1, 128, barrier_votes, q.data()), "");
  for (int v : q) EXPECT_EQ(v, 32 * 100 + 10);
}

TEST_P(Simt, EveryThreadOfEveryBlockOnce) {
  const dim3 grid(3, 2, 2), block(5, 4, 3);
  std::vector<int> p(3 * 2 * 2 * 5 * 4 * 3);
  ASSERT_EQ(failure(grid, block, coordinates, p.data()), "");
  EXPECT_EQ(p, std::vector<int>(p.size(), 1));
}

TEST_P(Simt, AsynchronousCopies) {
  std::vector<float> from(128), to(256, -1);
  std::iota(from.begin(), from.end(), 1.0f);
  ASSERT_EQ(failure(1, 128, reverse_by_copy, from.data(), to.data()), "");
  for (size_t i = 0; i < 128; i++) {
    EXPECT_EQ(to[i], from[127 - i]);
    EXPECT_EQ(to[128 + i], i % 2 ? from[i] : 0);
  }
}

TEST_P(Simt, Atomics) {
  std::vector<int> i(8);
  unsigned long long u = 0;
  float f = 0;
  double d = 0;
  ASSERT_EQ(failure(2, 64, all_atomics, i.data(), &u, &f, &d), "");
  EXPECT_EQ(i[0], 2 * 63 * 32);
  EXPECT_EQ(i[1], 63);
  EXPECT_EQ(i[2], -63);
  EXPECT_EQ(i[3], 0x7fffffff);
  EXPECT_EQ(i[4], -128);
  EXPECT_EQ(i[5], 7);
  EXPECT_EQ(i[6], i[7]);
  EXPECT_EQ(u, 2ull * 63 * 32 << 32);
  EXPECT_EQ(f, 64);
  EXPECT_EQ(d, 32);
}

TEST_P(Simt, ConversionsRoundAndSaturateAsOnTheGpu) {
  std::vector<float> p(12);
  ASSERT_EQ(failure(1, 1, conversions, p.data()), "");
  const std::vector<float> want = {1.0f, INFINITY, 1.0009765625f, 2, -2, 0, 2147483648.0f, 0, 3, 35, 1, 3};
  EXPECT_EQ(p, want);
}

TEST_P(Simt, GridBarrier) {
  std::vector<float> p(4 * 32);
  ASSERT_EQ(failure(4, 32, 0, true, over_the_grid, p.data()), "");
  EXPECT_EQ(p, std::vector<float>(p.size(), 2));
}

// ---- Fragments: against the layouts that CUTLASS's mma_traits have, as (thread, value) -> (m, k) ----------------------
float entry(int row, int column) { return static_cast<float>((row * 31 + column * 17) % 13 - 6); }
uint16_t bits(float v, int kind) {
  uint16_t u;
  if (kind == 0) {
    const __nv_bfloat16 b = __float2bfloat16(v);
    memcpy(&u, &b, sizeof u);
  } else {
    const __half h = __float2half(v);
    memcpy(&u, &h, sizeof u);
  }
  return u;
}

void check_product(const std::vector<uint32_t> &a, const std::vector<uint32_t> &b, int depth, int kind) {
  std::vector<float> d(128, NAN);
  ASSERT_EQ(failure(1, 32, multiply_fragments, a.data(), b.data(), d.data(), kind), "");
  for (int t = 0; t < 32; t++)
    for (int v = 0; v < 4; v++) { // ((4, 8), (2, 2)) : ((32, 1), (16, 8)) of m + 16 n
      const int at = t % 4 * 32 + t / 4 + (v & 1) * 16 + (v >> 1) * 8, m = at % 16, n = at / 16;
      float sum = 0;
      for (int k = 0; k < depth; k++) sum += entry(m, k) * entry(k + 5, n);
      EXPECT_EQ(d[static_cast<size_t>(t * 4 + v)], sum) << "thread " << t << ", value " << v;
    }
}

TEST_P(Simt, FragmentsOf16Bits) {
  for (int kind = 0; kind < 2; kind++) {
    std::vector<uint32_t> a(128), b(64);
    for (int t = 0; t < 32; t++)
      for (int v = 0; v < 8; v++) { // (T(4, 8), V(2, 2, 2)) : ((32, 1), (16, 8, 128)) of m + 16 k
        const int at = t % 4 * 32 + t / 4 + (v & 1) * 16 + (v >> 1 & 1) * 8 + (v >> 2) * 128;
        a[static_cast<size_t>(t * 4 + v / 2)] |= uint32_t{bits(entry(at % 16, at / 16), kind)} << 16 * (v & 1);
      }
    for (int t = 0; t < 32; t++)
      for (int v = 0; v < 4; v++) { // ((4, 8), (2, 2)) : ((16, 1), (8, 64)) of n + 8 k
        const int at = t % 4 * 16 + t / 4 + (v & 1) * 8 + (v >> 1) * 64;
        b[static_cast<size_t>(t * 2 + v / 2)] |= uint32_t{bits(entry(at / 8 + 5, at % 8), kind)} << 16 * (v & 1);
      }
    check_product(a, b, 16, kind);
  }
}

TEST_P(Simt, FragmentsOfTf32) {
  std::vector<uint32_t> a(128), b(64);
  for (int t = 0; t < 32; t++)
    for (int v = 0; v < 4; v++) {
      const int at = t % 4 * 16 + t / 4 + (v & 1) * 8 + (v >> 1) * 64;
      a[static_cast<size_t>(t * 4 + v)] = __float_as_uint(entry(at % 16, at / 16));
    }
  for (int t = 0; t < 32; t++)
    for (int v = 0; v < 2; v++) {
      const int at = t % 4 * 8 + t / 4 + v * 32;
      b[static_cast<size_t>(t * 2 + v)] = __float_as_uint(entry(at / 8 + 5, at % 8));
    }
  check_product(a, b, 8, 2);
}

// Thread t gets elements 2(t % 4) and the next of row t / 4 of each matrix, whose rows thread 8q + r points to.
TEST_P(Simt, MatricesFromSharedMemory) {
  std::vector<uint16_t> from(32 * 8);
  for (size_t i = 0; i < from.size(); i++) from[i] = static_cast<uint16_t>(i * 7 + 1);
  for (int transposed = 0; transposed < 2; transposed++) {
    std::vector<uint32_t> to(32 * 6);
    ASSERT_EQ(failure(1, 32, load_matrices, from.data(), to.data(), transposed), "");
    for (size_t t = 0; t < 32; t++)
      for (size_t q = 0; q < 6; q++) {
        const auto at = [&](size_t r, size_t c) {
          return uint32_t{transposed ? from[(q % 4 * 8 + c) * 8 + r] : from[(q % 4 * 8 + r) * 8 + c]};
        };
        EXPECT_EQ(to[t * 6 + q], at(t / 4, t % 4 * 2) | at(t / 4, t % 4 * 2 + 1) << 16) << t << ", " << q;
      }
  }
}

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
