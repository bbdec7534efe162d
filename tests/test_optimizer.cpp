// Optimizers: steps worked by hand, segments and their weight decay, and what bad arguments are told.
#include <vector>

#include "on_engine.h"

namespace {

using Values = std::vector<float>;

class Sgd : public OnEngine {
protected:
  Sgd() : OnEngine("sgd") {}

  // One step with rate 0.5; m, segments and decay are left out where they are empty.
  void step(lamina_sgd sgd, Values &w, Values g, Values &m, std::vector<int64_t> segments = {}, Values decay = {}) {
    float rate = 0.5f;
    const auto vector = [](Values &v) { return lamina_vector(LAMINA_F32, static_cast<int64_t>(v.size()), v.data()); };
    const lamina_tensor wt = vector(w), gt = vector(g), mt = vector(m), rt = lamina_vector(LAMINA_F32, 1, &rate),
                        st = lamina_vector(LAMINA_I64, static_cast<int64_t>(segments.size()), segments.data()),
                        dt = vector(decay);
    EXPECT_OK(lamina_sgd_update(device, &sgd, &wt, &gt, m.empty() ? nullptr : &mt, &rt,
                                segments.empty() ? nullptr : &st, decay.empty() ? nullptr : &dt, nullptr));
  }
};

TEST_P(Sgd, Plain) {
  Values w = {1, 2, 3}, none;
  step({}, w, {2, 0, -4}, none);
  EXPECT_EQ(w, (Values{0, 2, 5}));
}

TEST_P(Sgd, MomentumOverTwoSteps) {
  Values w = {1, 2}, m = {0, 0};
  const lamina_sgd sgd = {0.5, 0};
  step(sgd, w, {2, -4}, m); // m = 2, -4
  EXPECT_EQ(w, (Values{0, 4}));
  EXPECT_EQ(m, (Values{2, -4}));
  step(sgd, w, {1, 8}, m); // m = 1 + 1, -2 + 8
  EXPECT_EQ(w, (Values{-1, 1}));
  EXPECT_EQ(m, (Values{2, 6}));
}

TEST_P(Sgd, Nesterov) {
  Values w = {1, 2}, m = {4, -2};
  step({0.5, 1}, w, {2, -4}, m); // m = 4, -5; step = 2 + 2, -4 - 2.5
  EXPECT_EQ(m, (Values{4, -5}));
  EXPECT_EQ(w, (Values{-1, 5.25f}));
}

TEST_P(Sgd, WithoutMomentumTheOldMIsNotRead) {
  Values w = {1}, m = {__builtin_nanf("")};
  step({}, w, {2}, m);
  EXPECT_EQ(w, (Values{0}));
  EXPECT_EQ(m, (Values{2}));
}

TEST_P(Sgd, EachSegmentHasItsDecay) {
  const Values g = {0, 0, 0, 0, 0, 1};
  Values w = {4, 8, 4, 8, 4, 8}, none;
  step({}, w, g, none, {2, 3, 6}, {1, 0, 0.5f});
  EXPECT_EQ(w, (Values{2, 4, 4, 6, 3, 5.5f}));
  w = {4, 8, 4, 8, 4, 8};
  step({}, w, g, none, {}, {1});
  EXPECT_EQ(w, (Values{2, 4, 2, 4, 2, 3.5f}));
  w = {4, 8, 4, 8, 4, 8};
  step({}, w, g, none, {2, 3, 6});
  EXPECT_EQ(w, (Values{4, 8, 4, 8, 4, 7.5f}));
}

// What the header promises for segments that don't ascend to the end: the first that reaches an element counts, what
// lies past all of them has no decay, and nothing outside of w is touched.
TEST_P(Sgd, StraySegmentsStayInside) {
  const Values g = {0, 0, 0, 0};
  Values w = {4, 8, 4, 8}, none;
  step({}, w, g, none, {1, INT64_MIN, 3}, {1, 1, 0.5f});
  EXPECT_EQ(w, (Values{2, 6, 3, 8}));
  w = {4, 8, 4, 8};
  step({}, w, g, none, {-5, 2, 1, INT64_MAX}, {1, 1, 1, 0.5f});
  EXPECT_EQ(w, (Values{2, 4, 3, 6}));
}

TEST_P(Sgd, MomentumNeedsM) {
  Values w(3), g(3);
  float rate = 1;
  const lamina_sgd sgd = {0.9, 0}, wild = {1.5, 0};
  const lamina_tensor wt = lamina_vector(LAMINA_F32, 3, w.data()), gt = lamina_vector(LAMINA_F32, 3, g.data()),
                      rt = lamina_vector(LAMINA_F32, 1, &rate);
  EXPECT_INVALID(lamina_sgd_update(device, &sgd, &wt, &gt, nullptr, &rt, nullptr, nullptr, nullptr),
                 "sgd/update: a momentum of 0.9 needs m, which is missing");
  EXPECT_INVALID(lamina_sgd_update(device, &wild, &wt, &gt, nullptr, &rt, nullptr, nullptr, nullptr),
                 "sgd/update: momentum is 1.5; expected 0 to 1");
}

TEST_P(Sgd, WrongShapesAreNamed) {
  Values w(3), g(3), decay(2);
  std::vector<int64_t> ends(3);
  float rate = 1;
  const lamina_tensor wt = lamina_vector(LAMINA_F32, 3, w.data()), gt = lamina_vector(LAMINA_F32, 3, g.data()),
                      few = lamina_vector(LAMINA_F32, 2, g.data()), rt = lamina_vector(LAMINA_F32, 1, &rate),
                      st = lamina_vector(LAMINA_I64, 3, ends.data()), si = lamina_vector(LAMINA_I32, 3, ends.data()),
                      dt = lamina_vector(LAMINA_F32, 2, decay.data());
  EXPECT_INVALID(lamina_sgd_update(device, nullptr, &wt, &few, nullptr, &rt, nullptr, nullptr, nullptr),
                 "sgd/update: g is f32[2]; expected f32[3]");
  EXPECT_INVALID(lamina_sgd_update(device, nullptr, &wt, &gt, nullptr, &gt, nullptr, nullptr, nullptr),
                 "sgd/update: rate is f32[3]; expected f32[1]");
  EXPECT_INVALID(lamina_sgd_update(device, nullptr, &wt, &gt, nullptr, &rt, &st, &dt, nullptr),
                 "sgd/update: decay is f32[2]; expected f32[3]");
  EXPECT_INVALID(lamina_sgd_update(device, nullptr, &wt, &gt, nullptr, &rt, nullptr, &dt, nullptr),
                 "sgd/update: decay is f32[2]; expected f32[1]");
  EXPECT_INVALID(lamina_sgd_update(device, nullptr, &wt, &gt, nullptr, &rt, &si, &dt, nullptr),
                 "sgd/update: segments is i32[3]; expected i64");
  EXPECT_INVALID(lamina_sgd_update(device, nullptr, &wt, &wt, nullptr, &rt, nullptr, nullptr, nullptr),
                 "sgd/update: w overlaps g in memory");
}

INSTANTIATE_TEST_SUITE_P(Engines, Sgd, testing::Values("ref"));

} // namespace
