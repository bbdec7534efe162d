// Max unpooling through its typed calls: by hand, and back and forth with max pooling.
#include "on_engine.h"
#include "values.h"

namespace {

using Values = Tensor::Values;

class MaxUnpool : public OnEngine {
protected:
  MaxUnpool() : OnEngine("max_unpool,max_pool") {}

  Values forward(Tensor x, Tensor index, Tensor::Dims y_dims) {
    Tensor y(LAMINA_F32, y_dims);
    const lamina_tensor xt = x.view(), it = index.view(), yt = y.view();
    EXPECT_OK(lamina_max_unpool_forward(device, &xt, &it, &yt, nullptr));
    return y.values();
  }
};

TEST_P(MaxUnpool, PutsBackAndAddsUp) {
  const Tensor x(LAMINA_F32, {1, 2, 3}, {1, 2, 3, 4, 5, 6}), index(LAMINA_I32, {1, 2, 3}, {3, 0, 3, 1, -1, 4});
  EXPECT_EQ(forward(x, index, {1, 2, 4}), (Values{2, 0, 0, 4, 0, 4, 0, 0})); // 3 twice; -1 and 4 are outside
}

TEST_P(MaxUnpool, GradientIsReadAtTheIndices) {
  Tensor dy(LAMINA_F32, {1, 2, 4}, {1, 2, 3, 4, 5, 6, 7, 8}), index(LAMINA_I32, {1, 2, 3}, {3, 0, 3, 1, -1, 4}),
      dx(LAMINA_F32, {1, 2, 3});
  const lamina_tensor dyt = dy.view(), it = index.view(), dxt = dx.view();
  EXPECT_OK(lamina_max_unpool_backward(device, &dyt, &it, &dxt, nullptr));
  EXPECT_EQ(dx.values(), (Values{4, 1, 4, 6, 0, 0}));
}

// The pooled maxima of a map of the lectures, put back.
TEST_P(MaxUnpool, UndoesAPool) {
  Tensor x(LAMINA_F32, {1, 1, 4, 4}, {3, -1, -3, -1, -3, 1, 0, -3, -3, -3, 0, 1, 3, -2, -2, -1});
  Tensor y(LAMINA_F32, {1, 1, 2, 2}), index(LAMINA_I32, {1, 1, 2, 2});
  lamina_pool pool = {};
  pool.kernel[0] = pool.kernel[1] = 2;
  const lamina_tensor xt = x.view(), yt = y.view(), it = index.view();
  EXPECT_OK(lamina_max_pool_forward(device, &pool, &xt, &yt, &it, nullptr));
  EXPECT_EQ(y.values(), (Values{3, 0, 3, 1}));
  EXPECT_EQ(forward(y, index, {1, 1, 4, 4}), (Values{3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 0, 0, 0}));
}

TEST_P(MaxUnpool, RefusesShapesThatDontFit) {
  Tensor x(LAMINA_F32, {1, 2, 3}), index(LAMINA_I32, {1, 2, 4}), y(LAMINA_F32, {1, 3, 4}), wide(LAMINA_I64, {1, 2, 3}),
      right(LAMINA_I32, {1, 2, 3});
  const lamina_tensor xt = x.view(), it = index.view(), yt = y.view(), wt = wide.view(), rt = right.view();
  EXPECT_INVALID(lamina_max_unpool_forward(device, &xt, &it, &yt, nullptr),
                 "max_unpool/forward: x is f32[1,2,3]; expected f32[1,2,4]");
  EXPECT_INVALID(lamina_max_unpool_forward(device, &xt, &rt, &yt, nullptr),
                 "max_unpool/forward: y is f32[1,3,4]; expected axis 1 to be 2, as that of indices");
  Tensor fits(LAMINA_F32, {1, 2, 4});
  const lamina_tensor ft = fits.view();
  EXPECT_INVALID(lamina_max_unpool_forward(device, &xt, &wt, &ft, nullptr),
                 "max_unpool/forward: indices is i64[1,2,3]; expected i32");
}

INSTANTIATE_TEST_SUITE_P(Engines, MaxUnpool, testing::Values("loop", "ref"));

} // namespace
