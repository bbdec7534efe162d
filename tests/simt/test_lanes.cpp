// What each lane gets from kernels/dev.h and from CUDA, worked out here: the same test on the emulated device, in several
// schedules, and built with nvcc on a GPU (cuda_lanes), so that the two can't mean different things.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "lanes.h"
#ifdef ON_EMULATED_DEVICE
#include "emulated.h"
#endif

namespace {

class Lanes : public testing::TestWithParam<unsigned> {
protected:
#ifdef ON_EMULATED_DEVICE
  void SetUp() override { emulated_device_control()->reset(GetParam(), 1, 64 << 20); }
  void TearDown() override { EXPECT_STREQ(emulated_device_control()->take_reports(), ""); }
#endif
  // Runs what launches with the vectors' copies on the device, and reads them back.
  template <class Launch, class... T> static void on_device(Launch launch, std::vector<T> &...v) {
    const auto run = [&](auto *...p) {
      (static_cast<void>(cudaMemcpy(p, v.data(), v.size() * sizeof *p, cudaMemcpyHostToDevice)), ...);
      ASSERT_EQ(launch(p...), cudaSuccess);
      ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess) << cudaGetErrorString(cudaGetLastError());
      (static_cast<void>(cudaMemcpy(v.data(), p, v.size() * sizeof *p, cudaMemcpyDeviceToHost)), ...);
      (static_cast<void>(cudaFree(p)), ...);
    };
    run(memory<T>(v.size())...);
  }
  template <class T> static T *memory(size_t n) {
    void *p = nullptr;
    EXPECT_EQ(cudaMalloc(&p, n * sizeof(T)), cudaSuccess);
    return static_cast<T *>(p);
  }
};
#ifdef ON_EMULATED_DEVICE
INSTANTIATE_TEST_SUITE_P(Schedules, Lanes, testing::Range(0u, 3u));
#else
INSTANTIATE_TEST_SUITE_P(Gpu, Lanes, testing::Values(0u));
#endif

TEST_P(Lanes, Shuffles) {
  std::vector<int> p(32 * 8);
  on_device(lanes_shuffles, p);
  for (int lane = 0; lane < 32; lane++) {
    const int want[] = {30,
                        lane / 8 * 80 + 50,
                        lane % 16 < 3 ? lane : lane - 3,
                        lane > 28 ? lane : lane + 3,
                        lane % 4 == 3 ? lane : lane + 1,
                        lane ^ 5,
                        lane ^ 1,
                        lane < 8 ? 7 - lane : -1};
    for (int i = 0; i < 8; i++) EXPECT_EQ(p[static_cast<size_t>(lane * 8 + i)], want[i]) << lane << ", " << i;
  }
}

TEST_P(Lanes, ShuffledTypes) {
  std::vector<double> p(32 * 5);
  on_device(lanes_shuffled_types, p);
  for (size_t lane = 0; lane < 32; lane++) {
    EXPECT_EQ(p[lane * 5], 2e300);
    EXPECT_EQ(p[lane * 5 + 1], std::ldexp(static_cast<double>(lane ^ 1), 40));
    EXPECT_EQ(p[lane * 5 + 2], 15.5);
    EXPECT_EQ(p[lane * 5 + 3], 9);
    EXPECT_EQ(p[lane * 5 + 4], 8);
  }
}

TEST_P(Lanes, Votes) {
  std::vector<int> p(32 * 4), q(128);
  on_device(lanes_votes, p);
  for (size_t lane = 0; lane < 32; lane++) {
    EXPECT_EQ(p[lane * 4], 0x49249249);
    EXPECT_EQ(p[lane * 4 + 1], 1);
    EXPECT_EQ(p[lane * 4 + 2], 0);
    EXPECT_EQ(p[lane * 4 + 3], lane < 8 ? 8 : 0);
  }
  on_device(lanes_barrier_votes, q);
  EXPECT_EQ(q, std::vector<int>(128, 32 * 100 + 10));
}

TEST_P(Lanes, Reductions) {
  std::vector<int> p(32 * 7);
  on_device(lanes_reductions, p);
  for (size_t lane = 0; lane < 32; lane++) {
    const int want[] = {-16, -16, 15, 0x40000000 + 15, 0x40, 31, 32};
    for (size_t i = 0; i < 7; i++) EXPECT_EQ(p[lane * 7 + i], want[i]) << lane << ", " << i;
  }
}

TEST_P(Lanes, EveryThreadOfEveryBlockOnce) {
  std::vector<int> p(3 * 2 * 2 * 8 * 4 * 3);
  on_device([](int *to) { return lanes_coordinates(to, dim3(3, 2, 2), dim3(8, 4, 3)); }, p);
  EXPECT_EQ(p, std::vector<int>(p.size(), 1));
}

TEST_P(Lanes, SharedMemory) {
  std::vector<int> p(4);
  on_device(lanes_shared, p);
  EXPECT_EQ(p, (std::vector<int>{0, 0, 60, 6}));
}

TEST_P(Lanes, Atomics) {
  std::vector<int> i(8);
  std::vector<unsigned long long> u(1);
  std::vector<float> f(1);
  std::vector<double> d(1);
  on_device(lanes_atomics, i, u, f, d);
  EXPECT_EQ(std::vector<int>(i.begin(), i.begin() + 6), (std::vector<int>{2 * 63 * 32, 63, -63, 0x7fffffff, -128, 7}));
  EXPECT_EQ(i[6], i[7]);
  EXPECT_GT(i[6], 0);
  EXPECT_EQ(u[0], 2ull * 63 * 32 << 32);
  EXPECT_EQ(f[0], 64);
  EXPECT_EQ(d[0], 32);
}

TEST_P(Lanes, Numbers) {
  std::vector<float> p(24);
  on_device(lanes_numbers, p);
  const std::vector<float> want = {1.0f,
                                   1.015625f,
                                   INFINITY,
                                   0,
                                   1.0009765625f,
                                   -1.0009765625f,
                                   2,
                                   -2,
                                   -3,
                                   3,
                                   0,
                                   2147483648.0f,
                                   0,
                                   0,
                                   3,
                                   -1,
                                   31 + 4 + 4,
                                   1,
                                   3,
                                   -2,
                                   1,
                                   3,
                                   -0.0f,
                                   INFINITY};
  EXPECT_EQ(p, want);
  EXPECT_TRUE(std::signbit(p[22]));
}

TEST_P(Lanes, AsynchronousCopies) {
  std::vector<float> from(128), to(4 * 128);
  std::iota(from.begin(), from.end(), 1.0f);
  on_device(lanes_copies, from, to);
  for (size_t i = 0; i < 128; i++) {
    EXPECT_EQ(to[i], from[127 - i]);
    EXPECT_EQ(to[128 + i], i % 2 ? from[i] : 0);
    EXPECT_EQ(to[256 + i], i % 4 < i / 4 % 4 ? from[i] : 0) << i;
    EXPECT_EQ(to[384 + i], i % 2 < i / 2 % 3 ? from[i] : 0) << i;
  }
}

// Thread t gets elements 2 (t % 4) and the next of row t / 4 of each matrix, to whose rows thread 8 q + r points.
TEST_P(Lanes, MatricesFromSharedMemory) {
  std::vector<uint16_t> from(32 * 8);
  for (size_t i = 0; i < from.size(); i++) from[i] = static_cast<uint16_t>(i * 7 + 1);
  for (int transposed = 0; transposed < 2; transposed++) {
    std::vector<uint32_t> to(32 * 6);
    on_device([=](uint16_t *f, uint32_t *t) { return lanes_matrices(f, t, transposed); }, from, to);
    for (size_t t = 0; t < 32; t++)
      for (size_t q = 0; q < 6; q++) {
        const auto at = [&](size_t r, size_t c) {
          return uint32_t{transposed ? from[(q % 4 * 8 + c) * 8 + r] : from[(q % 4 * 8 + r) * 8 + c]};
        };
        EXPECT_EQ(to[t * 6 + q], at(t / 4, t % 4 * 2) | at(t / 4, t % 4 * 2 + 1) << 16) << t << ", " << q;
      }
  }
}

// ---- Fragments of mma, by the layouts that CUTLASS's mma_traits have: (thread, value) -> (m, k) -----------------------
float entry(int row, int column) { return static_cast<float>((row * 31 + column * 17) % 13 - 6); }

uint16_t bits(float v, int kind) {
  uint16_t u;
  const __nv_bfloat16 b = __float2bfloat16(v);
  const __half h = __float2half(v);
  memcpy(&u, kind == 0 ? static_cast<const void *>(&b) : &h, sizeof u);
  return u;
}
uint32_t bits(float v) {
  uint32_t u;
  memcpy(&u, &v, sizeof u);
  return u;
}

class Products : public Lanes {
protected:
  // c is 1, so that it shows; all are small integers, so sums are exact in any order.
  static void check(std::vector<uint32_t> a, std::vector<uint32_t> b, int depth, int kind) {
    std::vector<float> c(128, 1), d(128, NAN);
    on_device([=](uint32_t *pa, uint32_t *pb, float *pc, float *pd) { return lanes_products(pa, pb, pc, pd, kind); }, a,
              b, c, d);
    for (int t = 0; t < 32; t++)
      for (int v = 0; v < 4; v++) { // ((4, 8), (2, 2)) : ((32, 1), (16, 8)) of m + 16 n
        const int at = t % 4 * 32 + t / 4 + (v & 1) * 16 + (v >> 1) * 8, m = at % 16, n = at / 16;
        float sum = 1;
        for (int k = 0; k < depth; k++) sum += entry(m, k) * entry(k + 5, n);
        EXPECT_EQ(d[static_cast<size_t>(t * 4 + v)], sum) << "thread " << t << ", value " << v;
      }
  }
};
#ifdef ON_EMULATED_DEVICE
INSTANTIATE_TEST_SUITE_P(Schedules, Products, testing::Range(0u, 3u));
#else
INSTANTIATE_TEST_SUITE_P(Gpu, Products, testing::Values(0u));
#endif

TEST_P(Products, Of16Bits) {
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
    check(a, b, 16, kind);
  }
}

TEST_P(Products, OfTf32) {
  std::vector<uint32_t> a(128), b(64);
  for (int t = 0; t < 32; t++)
    for (int v = 0; v < 4; v++) {
      const int at = t % 4 * 16 + t / 4 + (v & 1) * 8 + (v >> 1) * 64;
      a[static_cast<size_t>(t * 4 + v)] = bits(entry(at % 16, at / 16));
    }
  for (int t = 0; t < 32; t++)
    for (int v = 0; v < 2; v++) {
      const int at = t % 4 * 8 + t / 4 + v * 32;
      b[static_cast<size_t>(t * 2 + v)] = bits(entry(at / 8 + 5, at % 8));
    }
  check(a, b, 8, 2);
}

TEST_P(Lanes, GridBarrier) {
  std::vector<float> p(4 * 32);
  on_device([](float *to) { return lanes_grid(to, 4); }, p);
  for (size_t i = 0; i < p.size(); i++) EXPECT_EQ(p[i], static_cast<float>(i / 32 + 1));
}

} // namespace
