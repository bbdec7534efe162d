// The engine of fully connected layers over tens of examples, with every instruction set of this machine: shapes beyond
// those that the oracle's test draws, of several panels, depths and tasks.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cpu/thin_kernel.h"
#include "one_engine.h"

namespace {

class Thin : public testing::TestWithParam<const char *> {};

TEST_P(Thin, IsRight) {
  int kernels = 0;
  while (lamina_thin_kernel_at(kernels)) kernels++;
  for (const int threads : {1, 3}) expect_right("thin", GetParam(), threads, kernels);
}

// Forward: panels of examples, of which the last is cut off; data: panels of columns, several to a task.
INSTANTIATE_TEST_SUITE_P(Shapes, Thin,
                         testing::Values("fc/forward x=70x131 w=121x131", "fc_relu/forward x=131x70 w=13x70 b=13",
                                         "fc_relu/forward x=70x131:bf16 w=121x131:bf16 b=121:bf16 y=70x121:bf16",
                                         "fc/forward x=512x65 w=7x65:bf16", "fc/backward_data dy=70x131 w=131x617",
                                         "fc/backward_data dy=511x7:bf16 w=7x130:bf16 dx=511x130:bf16",
                                         "relu_fc/backward_data dy=19x131 w=131x617 x=19x617",
                                         "relu_fc/backward_data dy=8x67 w=67x617:bf16 x=8x617 dx=@x"));

TEST(Thin, RefusesWhatIsNotThin) {
  expect_refused("thin", "fc/forward x=513x2 w=3x2", "it is for batches of up to 512");
}

} // namespace
