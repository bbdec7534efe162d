// The batched matrix product: hand-worked values, which batches meet which, and what bad shapes are told.
#include <string>
#include <vector>

#include "on_engine.h"
#include "values.h"

namespace {

using Dims = Tensor::Dims;
using Values = Tensor::Values;

class Matmul : public OnEngine {
protected:
  Matmul() : OnEngine("matmul") {}

  void SetUp() override {
    OnEngine::SetUp();
    if (std::string(GetParam()) == "onednn" &&
        std::string(lamina_device_about(device)).find("oneDNN") == std::string::npos)
      GTEST_SKIP() << "this build has no oneDNN; configure with -DLAMINA_ONEDNN=ON";
  }

  // Any pass: the first two arguments are inputs.
  Values run(const char *op, const lamina_matmul &matmul, Dims first, const Values &one, Dims second, const Values &two,
             Dims out, lamina_dtype type = LAMINA_F32) {
    Tensor a(type, std::move(first), one), b(type, std::move(second), two), c(type, std::move(out));
    const lamina_tensor at = a.view(), bt = b.view(), ct = c.view();
    const lamina_tensor *all[] = {&at, &bt, &ct};
    EXPECT_OK(lamina_op_run(device, op, &matmul, all, nullptr));
    return c.values();
  }
};

const lamina_matmul plain = {0, 0}, ta = {1, 0}, tb = {0, 1}, both = {1, 1};

//  1 2 3     7  8      58  64
//  4 5 6  *  9 10  =  139 154
//           11 12
const Values a = {1, 2, 3, 4, 5, 6}, at = {1, 4, 2, 5, 3, 6}, b = {7, 8, 9, 10, 11, 12}, bt = {7, 9, 11, 8, 10, 12},
             ab = {58, 64, 139, 154};

TEST_P(Matmul, Forward) {
  for (const lamina_dtype type : {LAMINA_F32, LAMINA_BF16}) {
    const Values want = type == LAMINA_F32 ? ab : Values{58, 64, 139, 154};
    EXPECT_EQ(run("matmul/forward", plain, {2, 3}, a, {3, 2}, b, {2, 2}, type), want);
    EXPECT_EQ(run("matmul/forward", ta, {3, 2}, at, {3, 2}, b, {2, 2}, type), want);
    EXPECT_EQ(run("matmul/forward", tb, {2, 3}, a, {2, 3}, bt, {2, 2}, type), want);
    EXPECT_EQ(run("matmul/forward", both, {3, 2}, at, {2, 3}, bt, {2, 2}, type), want);
  }
}

//  dy = 1 0    dA = dy B^T = 7 9 11     dB = A^T dy = 1  8
//       0 2                  16 20 24                 2 10
//                                                     3 12
TEST_P(Matmul, Backward) {
  const Values dy = {1, 0, 0, 2}, da = {7, 9, 11, 16, 20, 24}, dat = {7, 16, 9, 20, 11, 24}, db = {1, 8, 2, 10, 3, 12},
               dbt = {1, 2, 3, 8, 10, 12};
  EXPECT_EQ(run("matmul/backward_a", plain, {2, 2}, dy, {3, 2}, b, {2, 3}), da);
  EXPECT_EQ(run("matmul/backward_a", ta, {2, 2}, dy, {3, 2}, b, {3, 2}), dat);
  EXPECT_EQ(run("matmul/backward_a", tb, {2, 2}, dy, {2, 3}, bt, {2, 3}), da);
  EXPECT_EQ(run("matmul/backward_a", both, {2, 2}, dy, {2, 3}, bt, {3, 2}), dat);
  EXPECT_EQ(run("matmul/backward_b", plain, {2, 3}, a, {2, 2}, dy, {3, 2}), db);
  EXPECT_EQ(run("matmul/backward_b", ta, {3, 2}, at, {2, 2}, dy, {3, 2}), db);
  EXPECT_EQ(run("matmul/backward_b", tb, {2, 3}, a, {2, 2}, dy, {2, 3}), dbt);
  EXPECT_EQ(run("matmul/backward_b", both, {3, 2}, at, {2, 2}, dy, {2, 3}), dbt);
}

// Matrices of one number: which meets which is all there is to see.
TEST_P(Matmul, Batches) {
  EXPECT_EQ(run("matmul/forward", plain, {3, 1, 1}, {1, 2, 3}, {3, 1, 1}, {10, 20, 30}, {3, 1, 1}),
            (Values{10, 40, 90}));
  EXPECT_EQ(run("matmul/forward", plain, {3, 1, 1}, {1, 2, 3}, {1, 1}, {10}, {3, 1, 1}), (Values{10, 20, 30}));
  EXPECT_EQ(run("matmul/forward", plain, {1, 1}, {2}, {3, 1, 1}, {10, 20, 30}, {3, 1, 1}), (Values{20, 40, 60}));
  EXPECT_EQ(run("matmul/forward", plain, {2, 1, 1, 1}, {1, 2}, {3, 1, 1}, {10, 20, 30}, {2, 3, 1, 1}),
            (Values{10, 20, 30, 20, 40, 60}));
  EXPECT_EQ(run("matmul/forward", plain, {2, 3, 1, 1}, {1, 2, 3, 4, 5, 6}, {2, 1, 1, 1}, {1, 10}, {2, 3, 1, 1}),
            (Values{1, 2, 3, 40, 50, 60}));
}

class MatmulSums : public Matmul {}; // of the engines that add up batches: oneDNN's doesn't

TEST_P(MatmulSums, FactorsOfSeveralBatchesGetTheSumOfTheirGradients) {
  for (const lamina_dtype type : {LAMINA_F32, LAMINA_BF16}) {
    const Values dy = {1, 2, 3, 4, 5, 6}; // [2, 3, 1, 1]
    EXPECT_EQ(run("matmul/backward_a", plain, {2, 3, 1, 1}, dy, {3, 1, 1}, {1, 10, 100}, {2, 1, 1, 1}, type),
              (Values{type == LAMINA_F32 ? 321.0 : 320, type == LAMINA_F32 ? 654.0 : 656}));
    EXPECT_EQ(run("matmul/backward_b", plain, {2, 1, 1, 1}, {1, 10}, {2, 3, 1, 1}, dy, {3, 1, 1}, type),
              (Values{41, 52, 63}));
    EXPECT_EQ(run("matmul/backward_b", plain, {2, 3, 1, 1}, {1, 1, 1, 2, 2, 2}, {2, 3, 1, 1}, dy, {1, 1}, type),
              (Values{36}));
    // In f32 until the sum is whole: 256 ones and then some more.
    EXPECT_EQ(run("matmul/backward_b", plain, {2, 257, 1, 1}, Values(514, 1), {2, 257, 1, 1}, Values(514, 1),
                  {2, 1, 1, 1}, type),
              (Values{type == LAMINA_F32 ? 257.0 : 256, type == LAMINA_F32 ? 257.0 : 256}));
  }
}

TEST_P(Matmul, NothingToAddIsZero) {
  EXPECT_EQ(run("matmul/forward", plain, {2, 0}, {}, {0, 3}, {}, {2, 3}), Values(6, 0));
  EXPECT_EQ(run("matmul/backward_a", plain, {2, 0}, {}, {3, 0}, {}, {2, 3}), Values(6, 0));
  EXPECT_EQ(run("matmul/backward_b", plain, {0, 2}, {}, {0, 3}, {}, {2, 3}), Values(6, 0));
  EXPECT_EQ(run("matmul/backward_b", plain, {0, 1, 2}, {}, {0, 1, 3}, {}, {2, 3}), Values(6, 0));
}

// Large enough for several pieces and threads: ones, so that every sum is the depth.
TEST_P(Matmul, Large) {
  const int64_t M = 130, N = 170, K = 600;
  for (const lamina_matmul &how : {plain, both}) {
    const bool t = how.transpose_a;
    const Values y = run("matmul/forward", how, t ? Dims{2, K, M} : Dims{2, M, K}, Values(2 * M * K, 1),
                         t ? Dims{N, K} : Dims{K, N}, Values(N * K, 2), {2, M, N});
    EXPECT_EQ(y, Values(2 * M * N, 2 * K));
  }
}

TEST_P(Matmul, WrongShapesAreNamed) {
  Tensor a(LAMINA_F32, {2, 4, 3}), b(LAMINA_F32, {4, 5}), c(LAMINA_F32, {3, 3, 5}), y(LAMINA_F32, {2, 4, 5}),
      v(LAMINA_F32, {3});
  const lamina_tensor at = a.view(), bt = b.view(), ct = c.view(), yt = y.view(), vt = v.view();
  EXPECT_INVALID(lamina_matmul_forward(device, nullptr, &at, &bt, &yt, nullptr),
                 "matmul/forward: b is f32[4,5]; expected 3 rows, as many as a has columns");
  EXPECT_INVALID(lamina_matmul_forward(device, &both, &at, &at, &yt, nullptr),
                 "matmul/forward: b is f32[2,4,3]; expected 4 columns, as many as a has rows");
  EXPECT_INVALID(lamina_matmul_forward(device, nullptr, &at, &ct, &yt, nullptr),
                 "matmul/forward: b is f32[3,3,5]; expected 2 or 1 on axis 0, as a has 2 there");
  EXPECT_INVALID(lamina_matmul_forward(device, nullptr, &vt, &bt, &yt, nullptr),
                 "matmul/forward: a is f32[3]; expected 2 to 8 axes");
  EXPECT_INVALID(lamina_matmul_forward(device, &ta, &at, &bt, &yt, nullptr),
                 "matmul/forward: y is f32[2,4,5]; expected f32[2,3,5]");
  EXPECT_INVALID(lamina_matmul_backward_a(device, nullptr, &yt, &at, &ct, nullptr),
                 "matmul/backward_a: b is f32[2,4,3]; expected 5 columns, as many as dy has columns");
  EXPECT_INVALID(lamina_matmul_backward_b(device, nullptr, &bt, &yt, &at, nullptr),
                 "matmul/backward_b: db is f32[2,4,3]; expected f32[2,5,5]");
  // One batch would have to be the sum of two that nothing says are one.
  Tensor one(LAMINA_F32, {3, 5}), sum(LAMINA_F32, {4, 3});
  const lamina_tensor ot = one.view(), st = sum.view();
  EXPECT_INVALID(lamina_matmul_backward_a(device, nullptr, &yt, &ot, &st, nullptr),
                 "matmul/backward_a: da is f32[4,3]; expected an axis of 2 before its first");
}

INSTANTIATE_TEST_SUITE_P(Engines, Matmul, testing::Values("ref", "loop", "onednn"));
INSTANTIATE_TEST_SUITE_P(Engines, MatmulSums, testing::Values("ref", "loop"));

} // namespace
