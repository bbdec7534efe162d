// What tests of CUDA's runtime share, built for the emulated device (ON_EMULATED_DEVICE) and with nvcc for a GPU.
#ifndef RUNTIME_FIXTURE_H
#define RUNTIME_FIXTURE_H

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cstddef>

#ifdef ON_EMULATED_DEVICE
#include "emulated.h"
#endif
#include "simple.h"

#define OK(call) ASSERT_EQ(cudaSuccess, call)

// The parameter is the order of the emulated device's streams; a GPU has its own.
class Runtime : public testing::TestWithParam<unsigned> {
protected:
#ifdef ON_EMULATED_DEVICE
  static void start(unsigned seed, int devices = 1) { emulated_device_control()->reset(seed, devices, 64 << 20); }
  void SetUp() override { start(GetParam()); }
  void TearDown() override {
    EXPECT_STREQ(emulated_device_control()->take_reports(), "");
    start(0);
  }
#else
  void SetUp() override { OK(cudaSetDevice(0)); }
  void TearDown() override {
    EXPECT_EQ(cudaSuccess, cudaDeviceSynchronize());
    cudaGetLastError();
  }
#endif
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
};

#endif
