// One engine of the CPU, held against the oracle, and what it refuses.
#ifndef LAMINA_TESTS_ONE_ENGINE_H
#define LAMINA_TESTS_ONE_ENGINE_H

#include <gtest/gtest.h>

#include <string>

#include "case.h"
#include "lamina/lamina.h"

// The CPU, for as long as it lives.
struct Device {
  explicit Device(int threads = 2) {
    lamina_device_options options = {};
    options.threads = threads;
    EXPECT_EQ(lamina_device_open("cpu", &options, &device), LAMINA_OK) << lamina_last_error();
  }
  ~Device() { lamina_device_close(device); }
  Device(const Device &) = delete;
  Device &operator=(const Device &) = delete;
  operator lamina_device *() const { return device; }
  lamina_device *device = nullptr;
};

// So many variants of the engine take the case, and are right, with numbers of any kind and with small integers.
inline void expect_right(const char *engine, const std::string &text, int threads, int variants) {
  const Device device(threads);
  lamina_case c = case_of(text);
  lamina_verify_options how = {};
  how.engine = engine;
  for (const bool exact : {false, true}) {
    lamina_verdict verdicts[4];
    int count = 4;
    c.exact = exact;
    EXPECT_EQ(lamina_verify(device, &c, &how, verdicts, &count), LAMINA_OK) << lamina_last_error();
    EXPECT_EQ(count, variants);
  }
}

// The engine is asked once, and says this reason.
inline void expect_refused(const std::string &engine, const std::string &text, const std::string &reason) {
  const Device device;
  const lamina_case c = case_of(text);
  lamina_candidate list[64];
  int count = 64, found = 0;
  ASSERT_EQ(lamina_candidates(device, &c.problem, nullptr, list, &count), LAMINA_OK) << lamina_last_error();
  for (int i = 0; i < count; i++)
    if (list[i].engine == engine) {
      EXPECT_LT(list[i].seconds, 0) << text;
      EXPECT_EQ(list[i].reason, reason) << text;
      found++;
    }
  EXPECT_EQ(found, 1) << text;
}

#endif
