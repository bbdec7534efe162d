// The matrix product that our engines share: every kernel that this machine has, at shapes around its tiles and blocks.
#include "cpu/gemm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "lamina/tensor.h"

namespace {

uint32_t state = 1;
double draw() { // -1 … 1
  state = state * 1664525u + 1013904223u;
  return static_cast<double>(state >> 8) / 8388608 - 1;
}

// A matrix with room between its rows (or columns), poisoned there.
struct Matrix {
  Matrix(int64_t rows, int64_t columns, bool transposed, bool bf16, bool whole)
      : type(bf16 ? LAMINA_BF16 : LAMINA_F32) {
    const int64_t ld = (transposed ? rows : columns) + 3;
    row = transposed ? 1 : ld, column = transposed ? ld : 1;
    const int64_t count = (transposed ? columns : rows) * ld + 1;
    words.resize(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; i++) lamina_store(type, data(), i, NAN);
    for (int64_t i = 0; i < rows; i++)
      for (int64_t j = 0; j < columns; j++)
        lamina_store(type, data(), i * row + j * column, whole ? std::rint(3 * draw()) : draw());
  }
  double at(int64_t i, int64_t j) { return lamina_load(type, data(), i * row + j * column); }
  void *data() { return words.data(); }
  lamina_gemm_matrix view() { return {data(), row, column, type == LAMINA_BF16}; }

  lamina_dtype type;
  int64_t row, column;
  std::vector<float> words;
};

struct Case {
  int64_t M, N, K;
  bool transpose_a, transpose_b, a_bf16, b_bf16, c_bf16, add, whole;
};

void check(const Case &t, int kernel) {
  Matrix a(t.M, t.K, t.transpose_a, t.a_bf16, t.whole), b(t.K, t.N, t.transpose_b, t.b_bf16, t.whole),
      c(t.M, t.N, false, t.c_bf16, t.whole), before = c;
  lamina_gemm gemm = {};
  gemm.M = t.M, gemm.N = t.N, gemm.K = t.K, gemm.a = a.view(), gemm.b = b.view();
  gemm.c = c.data(), gemm.ldc = c.row, gemm.c_bf16 = t.c_bf16, gemm.add = t.add, gemm.kernel = kernel;
  const size_t size = lamina_gemm_workspace(&gemm) / 64 + 1;
  struct alignas(64) Line {
    float f[16];
  };
  std::vector<Line> workspace(size + 1);
  for (Line &line : workspace)
    for (float &f : line.f) f = NAN;
  lamina_gemm_run(&gemm, workspace.data());
  for (const float f : workspace.back().f) ASSERT_TRUE(std::isnan(f)) << "it wrote past its workspace";

  for (int64_t i = 0; i < t.M; i++) {
    for (int64_t j = 0; j < t.N; j++) {
      double sum = t.add ? before.at(i, j) : 0, square = sum * sum;
      for (int64_t k = 0; k < t.K; k++) {
        const double p = a.at(i, k) * b.at(k, j);
        sum += p, square += p * p;
      }
      const double u = t.c_bf16 ? 0x1p-8 : 0,
                   allowed = u * std::fabs(sum) + 4 * 0x1p-24 * std::sqrt(static_cast<double>(t.K + 1)) *
                                                      (std::sqrt(square) + std::fabs(sum));
      const double off = std::fabs(c.at(i, j) - sum);
      ASSERT_TRUE(t.whole && !t.c_bf16 ? off == 0 : off <= allowed)
          << "C[" << i << "," << j << "] is " << c.at(i, j) << ", expected " << sum << " ± " << allowed;
    }
    for (int64_t j = t.N; j < t.N + 3; j++) ASSERT_TRUE(std::isnan(c.at(i, j))) << "beyond row " << i;
  }
}

class Gemm : public testing::TestWithParam<int> {};

TEST_P(Gemm, ShapesAroundTheTiles) {
  int n = 0;
  for (const int64_t M : {1, 3, 4, 6, 7, 12, 13, 24, 25})
    for (const int64_t N : {1, 7, 8, 9, 16, 31, 32, 33, 65})
      for (const int64_t K : {1, 2, 15, 16, 17, 40}) {
        n++;
        check({M, N, K, (n & 1) != 0, (n & 2) != 0, (n & 4) != 0, (n & 8) != 0, (n & 16) != 0, (n & 32) != 0,
               (n & 64) != 0},
              GetParam());
        if (HasFatalFailure()) FAIL() << M << " x " << N << " x " << K << ", case " << n;
      }
}

TEST_P(Gemm, EveryKindOfMatrix) {
  for (int n = 0; n < 128; n++) {
    check({20, 45, 37, (n & 1) != 0, (n & 2) != 0, (n & 4) != 0, (n & 8) != 0, (n & 16) != 0, (n & 32) != 0,
           (n & 64) != 0},
          GetParam());
    if (HasFatalFailure()) FAIL() << "case " << n;
  }
}

// More than one block of rows, of columns, and of the depth.
TEST_P(Gemm, SeveralBlocks) {
  for (const bool bf16 : {false, true}) {
    check({200, 39, 390, false, true, false, bf16, bf16, bf16, !bf16}, GetParam());
    check({13, 780, 193, true, false, bf16, false, bf16, !bf16, !bf16}, GetParam());
    check({195, 770, 9, false, false, bf16, bf16, bf16, bf16, !bf16}, GetParam());
  }
}

TEST_P(Gemm, NothingToAddIsZeroAndNothingToMakeTouchesNothing) {
  for (const bool bf16 : {false, true}) {
    check({5, 7, 0, false, false, bf16, bf16, bf16, false, true}, GetParam());
    check({5, 7, 0, false, false, bf16, bf16, bf16, true, true}, GetParam());
    check({0, 7, 3, false, false, bf16, bf16, bf16, false, true}, GetParam());
    check({5, 0, 3, false, false, bf16, bf16, bf16, false, true}, GetParam());
  }
}

// A piece of C has the bits that it has within the whole.
TEST_P(Gemm, PiecesHaveTheBitsOfTheWhole) {
  const int64_t M = 30, N = 70, K = 400;
  Matrix a(M, K, false, false, false), b(K, N, true, false, false), whole(M, N, false, false, false), pieces = whole;
  lamina_gemm gemm = {};
  gemm.M = M, gemm.N = N, gemm.K = K, gemm.a = a.view(), gemm.b = b.view();
  gemm.c = whole.data(), gemm.ldc = whole.row, gemm.kernel = GetParam();
  std::vector<float> room(lamina_gemm_workspace(&gemm) / 4 + 16);
  void *workspace = room.data() + (64 - reinterpret_cast<uintptr_t>(room.data()) % 64) % 64 / 4;
  lamina_gemm_run(&gemm, workspace);
  for (int64_t i = 0; i < M; i += 11)
    for (int64_t j = 0; j < N; j += 9) {
      lamina_gemm part = gemm;
      part.M = std::min<int64_t>(11, M - i), part.N = std::min<int64_t>(9, N - j);
      part.a.data = static_cast<float *>(a.data()) + i * a.row;
      part.b.data = static_cast<float *>(b.data()) + j * b.column;
      part.c = static_cast<float *>(pieces.data()) + i * pieces.row + j;
      lamina_gemm_run(&part, workspace);
    }
  for (int64_t i = 0; i < M; i++)
    for (int64_t j = 0; j < N; j++) ASSERT_EQ(whole.at(i, j), pieces.at(i, j)) << i << "," << j;
}

INSTANTIATE_TEST_SUITE_P(Kernels, Gemm, testing::Range(0, lamina_gemm_kernels()));

} // namespace
