// What tests of the emulated device share.
#ifndef EMULATED_FIXTURE_H
#define EMULATED_FIXTURE_H

#include <gtest/gtest.h>

#include <string>

#include "emulated.h"
#include "simple.h"

#define OK(call) ASSERT_EQ(cudaSuccess, call)

inline const emulated_control *const control = emulated_device_control();

class Emulated : public testing::TestWithParam<unsigned> {
protected:
  void start(unsigned seed, int devices = 1) { control->reset(seed, devices, 64 << 20); }
  void SetUp() override { start(GetParam()); }
  void TearDown() override {
    EXPECT_STREQ(control->take_reports(), "");
    start(0);
  }
  static float *device(size_t n) {
    float *p = nullptr;
    EXPECT_EQ(cudaSuccess, cudaMalloc(&p, n * 4));
    return p;
  }
  static float *pinned(size_t n) {
    float *p = nullptr;
    EXPECT_EQ(cudaSuccess, cudaMallocHost(&p, n * 4));
    return p;
  }
  static cudaStream_t stream(unsigned flags = cudaStreamNonBlocking) {
    cudaStream_t s = nullptr;
    EXPECT_EQ(cudaSuccess, cudaStreamCreateWithFlags(&s, flags));
    return s;
  }
  static cudaEvent_t event() {
    cudaEvent_t e = nullptr;
    EXPECT_EQ(cudaSuccess, cudaEventCreate(&e));
    return e;
  }
  static float read(const float *d) {
    float v = 0;
    EXPECT_EQ(cudaSuccess, cudaMemcpy(&v, d, 4, cudaMemcpyDeviceToHost));
    return v;
  }
  static bool reported(const char *what) {
    return std::string(control->take_reports()).find(what) != std::string::npos;
  }
};

#endif
