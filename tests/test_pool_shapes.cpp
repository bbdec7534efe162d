// Pools of sizes that the oracle test's small cases don't have, and indices that lie in no window, on the device that
// LAMINA_TEST_DEVICE names: "cpu" where it is not set.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "case.h"
#include "lamina/lamina.h"
#include "on_device.h"

namespace {

class PoolShapes : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_EQ(lamina_device_open(test_device(), nullptr, &device), LAMINA_OK) << lamina_last_error();
  }
  void TearDown() override { lamina_device_close(device); }

  // Every candidate, with normal numbers and, where it can be, exactly.
  void verify(const std::string &line) {
    lamina_case c;
    ASSERT_EQ(parse_case(line, &c), LAMINA_OK) << lamina_last_error();
    for (const bool exact : {false, true}) {
      lamina_verdict verdicts[16];
      int count = 16;
      c.exact = exact;
      if (exact && !lamina_case_can_be_exact(&c)) continue;
      EXPECT_EQ(lamina_verify(device, &c, nullptr, verdicts, &count), LAMINA_OK) << lamina_last_error();
    }
  }

  // A copy in the device's memory, as a tensor; `values` row-major, whatever the layout is.
  template <class T> lamina_tensor tensor(const lamina_desc &desc, const std::vector<T> &given) {
    std::vector<T> values(given.size());
    for (size_t i = 0; i < given.size(); i++)
      values[static_cast<size_t>(lamina_desc_offset(&desc, static_cast<int64_t>(i)))] = given[i];
    const size_t size = values.size() * sizeof(T);
    void *memory = nullptr;
    EXPECT_EQ(lamina_memory_alloc(device, size, &memory), LAMINA_OK) << lamina_last_error();
    EXPECT_EQ(lamina_copy(device, memory, values.data(), size, nullptr), LAMINA_OK) << lamina_last_error();
    lamina_tensor t = lamina_tensor_of(desc, memory);
    t.memory = on_device() ? LAMINA_MEMORY_DEVICE : LAMINA_MEMORY_HOST;
    return t;
  }
  bool on_device() const { return std::string(lamina_device_name(device)) != "cpu"; }

  // dx of planes of a pool without overlap, 2 x 2; every `every`-th index behind the first plane is moved elsewhere.
  void scatter(int64_t side, int64_t every, int64_t examples = 1, int64_t channels = 2, int32_t layout = 0,
               int32_t pooled = 0) {
    const int64_t wide = side * side, narrow = wide / 4, planes = examples * channels;
    const int64_t x_dims[] = {examples, channels, side, side}, y_dims[] = {examples, channels, side / 2, side / 2};
    std::vector<float> dy(static_cast<size_t>(planes * narrow)), dx(static_cast<size_t>(planes * wide), -1);
    std::vector<float> want(dx.size(), 0), gated = want, y(dy.size());
    std::vector<int32_t> indices(dy.size());
    for (int64_t o = 0; o < planes * narrow; o++) {
      const int64_t in = o % narrow, row = in / (side / 2), column = in % (side / 2);
      int64_t at = (2 * row + o % 2) * side + 2 * column + o % 3 % 2;
      if (o >= narrow && o % every == 0) at = (7 * o) % (wide + 2) - 1; // and now and then outside the plane
      dy[static_cast<size_t>(o)] = static_cast<float>(o % 17 - 8);
      indices[static_cast<size_t>(o)] = static_cast<int32_t>(at);
      y[static_cast<size_t>(o)] = static_cast<float>(o % 7 - 2);
      if (at < 0 || at >= wide) continue;
      want[static_cast<size_t>(o / narrow * wide + at)] += dy[static_cast<size_t>(o)];
      if (o % 7 > 2) gated[static_cast<size_t>(o / narrow * wide + at)] += dy[static_cast<size_t>(o)];
    }
    const lamina_desc narrows = lamina_blocked(LAMINA_F32, 4, y_dims, pooled);
    const lamina_tensor tensors[] = {tensor(narrows, dy),
                                     tensor(lamina_blocked(LAMINA_I32, 4, y_dims, pooled), indices),
                                     tensor(lamina_blocked(LAMINA_F32, 4, x_dims, layout), dx), tensor(narrows, y)};
    lamina_pool pool = {};
    pool.kernel[0] = pool.kernel[1] = 2;
    const auto expect = [&](const std::vector<float> &wanted) {
      ASSERT_EQ(lamina_copy(device, dx.data(), tensors[2].data, dx.size() * sizeof(float), nullptr), LAMINA_OK);
      for (size_t i = 0; i < wanted.size(); i++)
        ASSERT_EQ(dx[static_cast<size_t>(lamina_desc_offset(&tensors[2].desc, static_cast<int64_t>(i)))], wanted[i])
            << i << ", layout " << layout;
    };
    ASSERT_EQ(lamina_max_pool_backward(device, &pool, &tensors[0], &tensors[1], &tensors[2], nullptr), LAMINA_OK)
        << lamina_last_error();
    expect(want);
    ASSERT_EQ(lamina_relu_max_pool_backward(device, &pool, &tensors[3], &tensors[0], &tensors[1], &tensors[2], nullptr),
              LAMINA_OK)
        << lamina_last_error();
    expect(gated);
    for (const lamina_tensor &t : tensors)
      lamina_memory_free(device, t.data, static_cast<size_t>(lamina_desc_bytes(&t.desc)));
  }

  lamina_device *device = nullptr;
};

TEST_F(PoolShapes, LargeWindows) {
  verify("max_pool/forward x=2x3x20x20 indices=2x3x13x13:i32 kernel=8,8 stride=1,1");
  verify("max_pool/forward x=1x2x30x30 indices=1x2x9x12:i32 kernel=7,7 stride=3,2 dilation=2,3 pad=3,5 ceil_mode=1");
  verify("max_pool/forward x=1x2x9x12x13 indices=1x2x4x3x4:i32 kernel=6,5,7 stride=1,3,2");
  verify("avg_pool/forward x=1x2x9x12x13 kernel=6,7,4 stride=1,3,2 pad=2,1,0");
  verify("max_pool/forward x=1x2x66x70 indices=1x2x1x1:i32 global=1");
  verify("min_pool/forward x=1x2x66x70 indices=1x2x1x1:i32 global=1");
  verify("avg_pool/forward x=1x3x20x20 kernel=8,8 stride=1,1 pad=3,3");
  verify("avg_pool/forward x=1x2x64x64 global=1");
  verify("mixed_pool/forward x=1x3x20x20 indices=1x3x8x15:i32 kernel=6,6 stride=2,1");
  verify("mixed_pool/forward x=1x2x66x70 indices=1x2x1x1:i32 global=1");
  verify("lp_pool/forward x=1x3x20x20 kernel=6,6 stride=2,1 p=3");
  verify("lp_pool/forward x=1x2x66x70 global=1");
  verify("stochastic_pool/forward x=1x3x20x20 rng=2:i64 indices=1x3x8x15:i32 kernel=6,6 stride=2,1");
  verify("stochastic_pool/inference x=1x3x20x20 kernel=6,6 stride=2,1");
  verify("stochastic_pool/inference x=1x2x66x70 global=1");
}

TEST_F(PoolShapes, LargePlanes) {
  verify("max_pool/backward dx=1x2x190x190 kernel=2,2");
  verify("max_pool/backward dx=1x2x193x191 kernel=3,3 stride=2,2");
  verify("max_pool/backward dx=1x1x40000 kernel=3 stride=2");
  verify("mixed_pool/backward dx=1x2x193x191 kernel=3,3 stride=2,2");
  // two elements at once: heights that are not widths, padded and not, windows of two and of three
  verify("max_pool/backward dx=2x3x20x9 kernel=2,2");
  verify("max_pool/backward dx=2x3x9x20 kernel=3,3 stride=2,2 pad=1,1");
  verify("max_pool/backward dx=2x3x21x8 kernel=3,2 stride=2,2 pad=1,0 ceil_mode=1");
  verify("max_pool/backward dx=1x2x5x9x20 kernel=1,2,3 stride=1,2,2 pad=0,0,1");
  verify("max_pool/backward dx=2x3x20x18 kernel=4,4 stride=2,2 pad=1,1"); // and what is none of that
  verify("max_pool/backward dx=2x3x20x18 kernel=1,1 stride=2,2");
  verify("max_pool/backward dx=2x3x20x18 kernel=2,3 stride=2,2 dilation=3,1");
  verify("max_pool/backward dx=2x3x20x18 kernel=3,2 stride=2,1");
  verify("max_unpool/forward x=1x2x30x30 indices=1x2x30x30:i32 y=1x2x90x100");
}

TEST_F(PoolShapes, AnyIndexInThePlaneCounts) {
  for (const int64_t side : {6, 60, 200}) {
    scatter(side, 1 << 30);
    scatter(side, 5);
    scatter(side, 1);
  }
}

TEST_F(PoolShapes, AnyIndexInThePlaneCountsInBlocks) {
  for (const int32_t layout : {LAMINA_BLOCK(1, 4), LAMINA_BLOCK(1, 3), LAMINA_BLOCK(0, 4), LAMINA_BLOCK(0, 2)})
    for (const int64_t every : {5, 97, 1000000}) {
      scatter(12, every, 16, 16, layout, layout);
      scatter(12, every, 16, 16, layout, 0);
    }
}

// The first element behind a plane is the next one's, and behind the last one there is none.
TEST_F(PoolShapes, UnpoolingLeavesOutWhatIsOutsideThePlane) {
  const int64_t narrow[] = {1, 3, 2, 2}, wide[] = {1, 3, 3, 3};
  const std::vector<int32_t> indices = {9, 0, -1, 8, 10, 3, INT32_MAX, 9, 4, INT32_MIN, 8, 9};
  std::vector<float> x(12), y(27, -1), want_y(27, 0), dy(27), dx(12, -1), want_dx(12, 0);
  for (size_t i = 0; i < dy.size(); i++) dy[i] = static_cast<float>(i + 1);
  for (size_t o = 0; o < x.size(); o++) {
    x[o] = static_cast<float>(o) + 0.5F;
    if (indices[o] < 0 || indices[o] >= 9) continue;
    const size_t at = o / 4 * 9 + static_cast<size_t>(indices[o]);
    want_y[at] = x[o], want_dx[o] = dy[at];
  }
  const lamina_desc small = lamina_dense(LAMINA_F32, 4, narrow), large = lamina_dense(LAMINA_F32, 4, wide);
  const lamina_tensor it = tensor(lamina_dense(LAMINA_I32, 4, narrow), indices), xt = tensor(small, x);
  const lamina_tensor yt = tensor(large, y), dyt = tensor(large, dy), dxt = tensor(small, dx);
  ASSERT_EQ(lamina_max_unpool_forward(device, &xt, &it, &yt, nullptr), LAMINA_OK) << lamina_last_error();
  ASSERT_EQ(lamina_max_unpool_backward(device, &dyt, &it, &dxt, nullptr), LAMINA_OK) << lamina_last_error();
  ASSERT_EQ(lamina_copy(device, y.data(), yt.data, y.size() * sizeof(float), nullptr), LAMINA_OK);
  ASSERT_EQ(lamina_copy(device, dx.data(), dxt.data, dx.size() * sizeof(float), nullptr), LAMINA_OK);
  EXPECT_EQ(y, want_y);
  EXPECT_EQ(dx, want_dx);
  for (const lamina_tensor &t : {it, xt, yt, dyt, dxt})
    lamina_memory_free(device, t.data, static_cast<size_t>(lamina_desc_bytes(&t.desc)));
}

// Lanes that don't fill vectors, fewer of them than a vector has, row-major behind a pool in blocks, and many planes.
TEST_F(PoolShapes, Lanes) {
  verify("relu_max_pool/forward x=2x20x9x11/1980,1,220,20 y=2x20x4x5/400,1,100,20 indices=2x20x4x5/400,1,100,20:i32 "
         "kernel=3 stride=2");
  verify("max_pool/forward x=2x3x9x11/297,1,33,3 y=2x3x4x5/60,1,15,3 kernel=3 stride=2");
  verify("max_pool/forward x=16x6x13x13_0x16 y=16x6x6x6 indices=16x6x6x6_0x16:i32 kernel=3 stride=2");
  verify("min_pool/forward x=4x32x13x13_1x16 y=4x32x7x7 indices=4x32x7x7:i32 kernel=3 stride=2 pad=1 dtype=bf16");
  verify("relu_max_pool/backward y=4x32x6x6 dy=4x32x6x6 indices=4x32x6x6:i32 dx=4x32x13x13_1x16 kernel=3 stride=2");
  verify(
      "relu_max_pool/backward y=4x32x6x6_1x16 dy=4x32x6x6_1x16 indices=4x32x6x6_1x16:i32 dx=4x32x13x13_1x16 kernel=3 "
      "stride=2 dtype=bf16");
  verify("avg_pool/forward x=16x6x13x13_0x16 y=16x6x1x1_0x16 global=1");
  verify("avg_pool/backward dy=2x20x4x5/400,1,100,20 dx=2x20x9x11/1980,1,220,20 kernel=3 stride=2");
}

TEST_F(PoolShapes, LongLines) {
  verify("lrn/forward x=2x96x5x5");
  verify("lrn/backward x=2x96x5x5");
  verify("lrn/backward x=2x64x3x5 size=3 beta=0.6");
  verify("resize/forward x=1x1x50000 size=100001 mode=linear");
  verify("resize/forward x=1x1x50000 size=40000");
}

} // namespace
