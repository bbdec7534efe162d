// Gather, embedding and one-hot: hand-worked values, indices that lie, and what bad shapes are told.
#include <cmath>
#include <vector>

#include "on_engine.h"
#include "values.h"

namespace {

using Values = Tensor::Values;

const double nan_ = std::nan("");

void expect_same(const Values &got, const Values &want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); i++)
    EXPECT_TRUE(got[i] == want[i] || (std::isnan(got[i]) && std::isnan(want[i])))
        << "element " << i << " is " << got[i] << ", expected " << want[i];
}

class Gather : public OnEngine {
protected:
  Gather() : OnEngine("gather,embedding,one_hot") {}

  template <class T> Values run(const char *op, const T &attr, Tensor one, Tensor two, Tensor out) {
    const lamina_tensor a = one.view(), b = two.view(), c = out.view();
    const lamina_tensor *all[] = {&a, &b, &c};
    EXPECT_OK(lamina_op_run(device, op, &attr, all, nullptr));
    return out.values();
  }
};

const Tensor x(LAMINA_F32, {2, 3, 2}, {0, 1, 10, 11, 20, 21, 100, 101, 110, 111, 120, 121});

TEST_P(Gather, AlongEachAxis) {
  const Tensor picks(LAMINA_I32, {2}, {1, 0}), grid(LAMINA_I64, {2, 2}, {2, 0, 0, 2}), one(LAMINA_U8, {}, {1});
  expect_same(run("gather/forward", lamina_gather{0}, x, picks, Tensor(LAMINA_F32, {2, 3, 2})),
              {100, 101, 110, 111, 120, 121, 0, 1, 10, 11, 20, 21});
  expect_same(run("gather/forward", lamina_gather{1}, x, grid, Tensor(LAMINA_BF16, {2, 2, 2, 2})),
              {20, 21, 0, 1, 0, 1, 20, 21, 120, 121, 100, 101, 100, 101, 120, 121});
  expect_same(run("gather/forward", lamina_gather{-1}, x, picks, Tensor(LAMINA_F32, {2, 3, 2})),
              {1, 0, 11, 10, 21, 20, 101, 100, 111, 110, 121, 120});
  expect_same(run("gather/forward", lamina_gather{-2}, x, one, Tensor(LAMINA_F32, {2, 2})), {10, 11, 110, 111});
}

TEST_P(Gather, BackwardAddsWhatWasPickedOften) {
  const Tensor grid(LAMINA_I64, {2, 2}, {2, 0, 2, 2});
  expect_same(run("gather/backward", lamina_gather{1}, grid, Tensor(LAMINA_F32, {1, 2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8}),
                  Tensor(LAMINA_F32, {1, 3, 2})),
              {3, 4, 0, 0, 13, 16});
  // Sums stay in f32 until they are whole: 256 + 1 + 1 in bf16.
  expect_same(run("gather/backward", lamina_gather{0}, Tensor(LAMINA_I32, {3}, {1, 1, 1}),
                  Tensor(LAMINA_BF16, {3}, {256, 1, 1}), Tensor(LAMINA_BF16, {2})),
              {0, 258});
}

TEST_P(Gather, IndicesThatLie) {
  const Tensor lies(LAMINA_I64, {5}, {-1, 3, 1, 0x1p40, -0x1p62});
  expect_same(
      run("gather/forward", lamina_gather{0}, Tensor(LAMINA_F32, {3}, {5, 6, 7}), lies, Tensor(LAMINA_F32, {5})),
      {nan_, nan_, 6, nan_, nan_});
  expect_same(
      run("gather/backward", lamina_gather{0}, lies, Tensor(LAMINA_F32, {5}, {1, 2, 3, 4, 5}), Tensor(LAMINA_F32, {3})),
      {0, 3, 0});
}

TEST_P(Gather, NothingPickedIsAGradientOfZero) {
  expect_same(run("gather/backward", lamina_gather{0}, Tensor(LAMINA_I32, {0}), Tensor(LAMINA_F32, {0, 2}),
                  Tensor(LAMINA_F32, {2, 2})),
              {0, 0, 0, 0});
}

TEST_P(Gather, Embedding) {
  const Tensor w(LAMINA_F32, {3, 2}, {1, 2, 3, 4, 5, 6}), words(LAMINA_I32, {2, 2}, {2, 0, 2, 9});
  const Tensor dy(LAMINA_F32, {2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  const lamina_embedding none = {0, 0}, first = {0, 1}, last = {2, 0};
  for (const lamina_embedding &how : {none, first, last})
    expect_same(run("embedding/forward", how, words, w, Tensor(LAMINA_F32, {2, 2, 2})), {5, 6, 1, 2, 5, 6, nan_, nan_});
  expect_same(run("embedding/backward", none, words, dy, Tensor(LAMINA_F32, {3, 2})), {3, 4, 0, 0, 6, 8});
  expect_same(run("embedding/backward", first, words, dy, Tensor(LAMINA_F32, {3, 2})), {0, 0, 0, 0, 6, 8});
  expect_same(run("embedding/backward", last, words, dy, Tensor(LAMINA_F32, {3, 2})), {3, 4, 0, 0, 0, 0});
}

// Long rows and many words: more than one thread, more than one row of the buffers; the same bits whatever they are.
TEST_P(Gather, LongRows) {
  const int64_t V = 20, D = 1500, M = 60;
  Values words, dy, want(static_cast<size_t>(V * D), 0);
  for (int64_t m = 0; m < M; m++) words.push_back(static_cast<double>(m * m % V));
  for (int64_t i = 0; i < M * D; i++) dy.push_back(static_cast<double>(i % 11) - 5);
  for (int64_t i = 0; i < M * D; i++)
    want[static_cast<size_t>(static_cast<int64_t>(words[static_cast<size_t>(i / D)]) * D + i % D)] +=
        dy[static_cast<size_t>(i)];
  expect_same(run("embedding/backward", lamina_embedding{0, 0}, Tensor(LAMINA_I64, {M}, words),
                  Tensor(LAMINA_F32, {M, D}, dy), Tensor(LAMINA_F32, {V, D})),
              want);
}

TEST_P(Gather, OneHot) {
  Tensor labels(LAMINA_I32, {2, 2}, {0, 2, -1, 3}), y(LAMINA_F32, {2, 3, 2});
  const lamina_one_hot three = {3};
  const lamina_tensor lt = labels.view(), yt = y.view();
  EXPECT_OK(lamina_one_hot_forward(device, &three, &lt, &yt, nullptr));
  expect_same(y.values(), {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0});
}

TEST_P(Gather, WrongShapesAreNamed) {
  Tensor t(LAMINA_F32, {2, 3, 2}), y(LAMINA_F32, {2, 2}), i(LAMINA_I32, {2}), f(LAMINA_F32, {2}),
      deep(LAMINA_I32, {1, 1, 1, 1, 1, 1, 1});
  const lamina_tensor tt = t.view(), yt = y.view(), it = i.view(), ft = f.view(), dt = deep.view();
  const lamina_gather far = {3};
  const lamina_one_hot none = {0};
  EXPECT_INVALID(lamina_gather_forward(device, nullptr, &tt, &it, &yt, nullptr),
                 "gather/forward: y is f32[2,2]; expected f32[2,3,2]");
  EXPECT_INVALID(lamina_gather_forward(device, nullptr, &tt, &ft, &yt, nullptr),
                 "gather/forward: indices is f32[2]; expected i64, i32 or u8");
  EXPECT_INVALID(
      lamina_gather_forward(device, nullptr, &tt, &dt, &yt, nullptr),
      "gather/forward: indices is i32[1,1,1,1,1,1,1]; expected at most 6 axes, so that the picked slices have 8");
  EXPECT_EQ(lamina_gather_forward(device, &far, &tt, &it, &yt, nullptr), LAMINA_INVALID);
  EXPECT_INVALID(lamina_embedding_forward(device, nullptr, &it, &tt, &yt, nullptr),
                 "embedding/forward: w is f32[2,3,2]; expected 2 axes");
  EXPECT_INVALID(lamina_embedding_backward(device, nullptr, &it, &tt, &yt, nullptr),
                 "embedding/backward: dy is f32[2,3,2]; expected f32[2,2]");
  EXPECT_INVALID(lamina_one_hot_forward(device, &none, &it, &yt, nullptr),
                 "one_hot/forward: classes is missing; expected 1 to 2147483648");
}

INSTANTIATE_TEST_SUITE_P(Engines, Gather, testing::Values("ref", "loop"));

} // namespace
