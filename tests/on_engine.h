// A fixture for tests of ops that every engine must pass: the parameter names the engine.
#ifndef LAMINA_TESTS_ON_ENGINE_H
#define LAMINA_TESTS_ON_ENGINE_H

#include <gtest/gtest.h>

#include <string>

#include "lamina/lamina.h"

// `ops` are the ops and families that run on the engine, "sgd,adam".
class OnEngine : public testing::TestWithParam<const char *> {
protected:
  explicit OnEngine(std::string ops) : ops_(std::move(ops)) {}

  void SetUp() override {
    std::string overrides, op;
    for (const char c : ops_ + ",") {
      if (c != ',') {
        op += c;
        continue;
      }
      overrides += (overrides.empty() ? "" : ",") + op + ":" + GetParam();
      op.clear();
    }
    lamina_device_options options = {};
    options.engine = overrides.c_str();
    options.threads = 2;
    ASSERT_EQ(lamina_device_open("cpu", &options, &device), LAMINA_OK) << lamina_last_error();
  }
  void TearDown() override { lamina_device_close(device); }

  lamina_device *device = nullptr;

private:
  std::string ops_;
};

#define EXPECT_OK(call) EXPECT_EQ(call, LAMINA_OK) << lamina_last_error()
#define EXPECT_INVALID(call, sentence)                                                                                 \
  do {                                                                                                                 \
    EXPECT_EQ(call, LAMINA_INVALID);                                                                                   \
    EXPECT_STREQ(lamina_last_error(), sentence);                                                                       \
  } while (0)

#endif
