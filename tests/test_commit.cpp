// Taking over new values: the gate, shapes and errors.
#include <cmath>
#include <vector>

#include "lamina/commit.h"
#include "on_engine.h"

namespace {

using Values = std::vector<float>;

class Commit : public OnEngine {
protected:
  Commit() : OnEngine("commit") {}
};

TEST_P(Commit, TakesOverBehindAnOpenGate) {
  for (const float gate : {0.0f, -3.5f, 3e38f, NAN, INFINITY, -INFINITY}) {
    Values x = {1, NAN, 3}, y = {4, 5, 6}, g = {gate};
    const lamina_tensor xt = lamina_vector(LAMINA_F32, 3, x.data()), gt = lamina_vector(LAMINA_F32, 1, g.data()),
                        yt = lamina_vector(LAMINA_F32, 3, y.data());
    EXPECT_OK(lamina_commit_forward(device, &xt, &gt, &yt, nullptr));
    EXPECT_EQ(y[0], std::isfinite(gate) ? 1 : 4);
    EXPECT_EQ(std::isnan(y[1]), std::isfinite(gate));
    EXPECT_EQ(y[2], std::isfinite(gate) ? 3 : 6);
  }
}

TEST_P(Commit, ErrorsNameTheArgument) {
  Values x(3), y(3), g(2);
  const lamina_tensor xt = lamina_vector(LAMINA_F32, 3, x.data()), gt = lamina_vector(LAMINA_F32, 1, g.data()),
                      two = lamina_vector(LAMINA_F32, 2, g.data()), yt = lamina_vector(LAMINA_F32, 3, y.data()),
                      few = lamina_vector(LAMINA_F32, 2, y.data()), other = lamina_vector(LAMINA_I32, 3, y.data());
  EXPECT_INVALID(lamina_commit_forward(device, &xt, &two, &yt, nullptr),
                 "commit/forward: gate is f32[2]; expected f32[1]");
  EXPECT_INVALID(lamina_commit_forward(device, &xt, &gt, &few, nullptr),
                 "commit/forward: y is f32[2]; expected f32[3]");
  EXPECT_INVALID(lamina_commit_forward(device, &xt, &gt, &other, nullptr),
                 "commit/forward: y is i32[3]; expected f32, as x is");
}

INSTANTIATE_TEST_SUITE_P(Engines, Commit, testing::Values("ref", "loop"));

} // namespace
