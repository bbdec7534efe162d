// Which device the tests of ops and nets run on: LAMINA_TEST_DEVICE names it, the CPU where it isn't set. Where
// LAMINA_REQUIRE_CUDA is set that is cuda:0, and no other kind will do: no test runs where it can't be opened, and one that
// skips fails.
#ifndef LAMINA_TESTS_ON_DEVICE_H
#define LAMINA_TESTS_ON_DEVICE_H

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "lamina/device.h"

inline bool cuda_is_required() { return std::getenv("LAMINA_REQUIRE_CUDA") != nullptr; }

inline const char *test_device() {
  const char *name = std::getenv("LAMINA_TEST_DEVICE");
  return name ? name : cuda_is_required() ? "cuda:0" : "cpu";
}

class RequireCuda : public testing::Environment {
public:
  void SetUp() override {
    if (!cuda_is_required()) return;
    lamina_device *device = nullptr;
    if (std::strncmp(test_device(), "cuda:", 5) != 0)
      FAIL() << "LAMINA_REQUIRE_CUDA is set, and LAMINA_TEST_DEVICE is " << test_device();
    if (lamina_device_open(test_device(), nullptr, &device))
      FAIL() << "LAMINA_REQUIRE_CUDA is set, but " << lamina_last_error();
    lamina_device_close(device);
  }
  void TearDown() override {
    const int skipped = testing::UnitTest::GetInstance()->skipped_test_count();
    if (cuda_is_required() && skipped)
      ADD_FAILURE() << "LAMINA_REQUIRE_CUDA is set, and " << skipped << " were skipped";
  }
};
inline testing::Environment *const require_cuda = testing::AddGlobalTestEnvironment(new RequireCuda);

#endif
