// What the emulated device notices that CUDA wouldn't, in every order of its streams that matters, and what a test may ask
// of it. (test_runtime has what CUDA documents.)
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "emulated_fixture.h"

namespace {

INSTANTIATE_TEST_SUITE_P(Seeds, Emulated, testing::Range(0u, 6u));

// What only shows where nothing runs before it must.
using Latest = Emulated;
INSTANTIATE_TEST_SUITE_P(Seed, Latest, testing::Values(0u));

TEST_P(Emulated, CaptureRefusesPageableMemory) {
  float *d = device(8), host[8] = {};
  cudaStream_t a = stream();
  cudaGraph_t g = nullptr;
  OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal));
  EXPECT_EQ(cudaErrorStreamCaptureUnsupported, cudaMemcpyAsync(d, host, 32, cudaMemcpyHostToDevice, a));
  EXPECT_EQ(cudaErrorStreamCaptureInvalidated, cudaStreamEndCapture(a, &g));
  EXPECT_EQ(nullptr, g);
  cudaGetLastError();
}
TEST_P(Emulated, WrongUsesAreTold) {
  float *d = device(8), *host = pinned(8), page[8] = {};
  cudaStream_t s = stream();
  EXPECT_EQ(cudaErrorInvalidValue, cudaMemcpy(page, host, 32, cudaMemcpyDeviceToHost));
  EXPECT_EQ(cudaErrorInvalidValue, cudaMemcpy(d + 1, page, 32, cudaMemcpyHostToDevice));
  EXPECT_TRUE(reported("bytes 4..36 of device allocation"));
  OK(cudaStreamDestroy(s));
  add_one(d, 8, s);
  EXPECT_EQ(cudaErrorInvalidResourceHandle, cudaGetLastError());
  OK(cudaFree(d));
  EXPECT_EQ(cudaErrorInvalidValue, cudaFree(d));
  EXPECT_TRUE(reported("freed device allocation"));
}
TEST_P(Emulated, WhatIsOnlyRecordedDoesNotRun) {
  float *const nowhere = reinterpret_cast<float *>(uintptr_t(1) << 40);
  control->only_record();
  EXPECT_EQ(0, add_one(nowhere, 1000, nullptr));
  EXPECT_EQ(0, rotate_blocks(nowhere, 5, nullptr));
  OK(cudaMemcpyAsync(nowhere, nowhere + 8, 24, cudaMemcpyDeviceToDevice, nullptr));
  OK(cudaMemsetAsync(nowhere, 0, 20, nullptr));
  EXPECT_EQ(0, reverse_shared(nowhere, 128, nullptr));
  EXPECT_STREQ(control->take_records(), "add_kernel <<<16, 64, 0>>>(1000)\nrotate_kernel <<<5, 32, 0>>>()\ncopy 24\n"
                                        "fill 20\nshared_kernel <<<1, 32, 128>>>()\n");
  EXPECT_STREQ(control->take_records(), "");
  const auto view = [&](float *p, int64_t n) {
    EXPECT_EQ(0, copy_long_view({p, n}, {nowhere, n}, nullptr));
    return std::string(control->take_records());
  };
  EXPECT_EQ(view(nowhere, 9), view(nowhere, 9));
  EXPECT_NE(view(nowhere, 9), view(nowhere, 8));
  EXPECT_NE(view(nowhere, 9), view(nowhere + 1, 9));
}
TEST_P(Emulated, BlocksAreWholeWarps) {
  EXPECT_EQ(0, half_a_warp(nullptr));
  EXPECT_TRUE(reported("48 threads are not made of whole warps"));
}
TEST_P(Emulated, StickyHostPointerInKernel) {
  std::vector<float> v(8);
  float *d = device(8);
  add_one(v.data(), 8, nullptr);
  EXPECT_EQ(cudaErrorIllegalAddress, cudaDeviceSynchronize());
  EXPECT_EQ(cudaErrorIllegalAddress, cudaGetLastError());
  EXPECT_EQ(cudaErrorIllegalAddress, cudaGetLastError());
  EXPECT_EQ(cudaErrorIllegalAddress, cudaMalloc(&d, 4));
  EXPECT_TRUE(reported("argument 1 is a host pointer"));
}
// (The lower half of such a pointer must not be small as a number's: ASan's heap has those, other places hardly.)
TEST_P(Emulated, HostPointerInStruct) {
  static float fixed[8];
  float local[8] = {};
  float *host = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(fixed)) >> 24 ? fixed : local;
  float *d = device(8);
  copy_view({host, 8}, {d, 8}, nullptr);
  EXPECT_EQ(cudaErrorIllegalAddress, cudaDeviceSynchronize());
  EXPECT_TRUE(reported("argument 1 (byte 0) is a host pointer"));
}
TEST_P(Emulated, NumbersAndPaddingOfAStructAreNoPointers) {
  int local = 0;
  const uintptr_t high = reinterpret_cast<uintptr_t>(&local) >> 32,
                  high_of_device = reinterpret_cast<uintptr_t>(device(8)) >> 32;
  for (const uintptr_t above : {high, high_of_device, uintptr_t{0x7fff}}) {
    View to = {device(8), 8};
    const uint32_t padding = static_cast<uint32_t>(above);
    memcpy(reinterpret_cast<char *>(&to) + 12, &padding, sizeof padding);
    EXPECT_EQ(cudaSuccess, copy_view({device(8), 8}, to, nullptr));
  }
  OK(cudaDeviceSynchronize());
}
TEST_P(Emulated, Copy2DPastTheEndOfTheLastRow) {
  float *d = device(5 * 8), *h = pinned(5 * 3);
  EXPECT_EQ(cudaErrorInvalidValue, cudaMemcpy2DAsync(d + 6, 32, h, 12, 12, 5, cudaMemcpyHostToDevice, stream()));
  EXPECT_TRUE(reported("of device allocation"));
}
TEST_P(Emulated, KernelFailureIsSticky) {
  float *d = device(8);
  divergent(d, nullptr);
  EXPECT_EQ(cudaErrorLaunchFailure, cudaDeviceSynchronize());
  EXPECT_TRUE(reported("divergent"));
}
TEST_P(Latest, FreedWhileQueued) {
  float *d = device(8);
  cudaStream_t s = stream();
  add_one(d, 8, s);
  OK(cudaFree(d));
  EXPECT_EQ(cudaErrorIllegalAddress, cudaStreamSynchronize(s));
  EXPECT_TRUE(reported("runs on freed device allocation"));
}
TEST_P(Latest, PinnedIsReadWhenTheCopyRuns) {
  float *d = device(1), *h = pinned(1);
  cudaStream_t s = stream();
  *h = 1;
  OK(cudaMemcpyAsync(d, h, 4, cudaMemcpyHostToDevice, s));
  *h = 2;
  OK(cudaStreamSynchronize(s));
  EXPECT_EQ(2, read(d));
  float *back = pinned(1);
  OK(cudaMemcpyAsync(back, d, 4, cudaMemcpyDeviceToHost, s));
  EXPECT_TRUE(std::isnan(*back)); // not yet
  OK(cudaStreamSynchronize(s));
  EXPECT_EQ(2, *back);
}
TEST_P(Emulated, StreamOrderedMemoryIsCounted) {
  float *p;
  cudaStream_t a = stream();
  OK(cudaMallocAsync(&p, 32, a));
  EXPECT_STRNE(control->leaks(), "");
  OK(cudaFreeAsync(p, a));
  OK(cudaDeviceSynchronize());
  size_t f, t;
  OK(cudaMemGetInfo(&f, &t));
  EXPECT_EQ(t, f);
}
TEST_P(Latest, StreamOrderedMemoryUsedWithoutOrder) {
  float *p;
  cudaStream_t a = stream(), b = stream();
  OK(cudaMallocAsync(&p, 32, a));
  fill_value(p, 3, 8, b);
  EXPECT_EQ(cudaErrorIllegalAddress, cudaStreamSynchronize(b));
  EXPECT_TRUE(reported("not yet allocated"));
}
static void CUDART_CB calls_cuda(void *p) { *static_cast<cudaError_t *>(p) = cudaStreamCreate(nullptr); }
TEST_P(Emulated, HostFunctionsMayNotCallCuda) {
  cudaError_t e = cudaSuccess;
  cudaStream_t s = stream();
  OK(cudaLaunchHostFunc(s, calls_cuda, &e));
  OK(cudaStreamSynchronize(s));
  EXPECT_EQ(cudaErrorNotPermitted, e);
  EXPECT_TRUE(reported("inside a host function"));
}
TEST_P(Emulated, Occupancy) {
  int n;
  OK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&n, scale_kernel_address(), 256, 0));
  EXPECT_EQ(4, n);
}
TEST_P(Emulated, Devices) {
  start(GetParam(), 2);
  int n, v;
  cudaDeviceProp p;
  OK(cudaGetDeviceCount(&n));
  EXPECT_EQ(2, n);
  OK(cudaGetDeviceProperties(&p, 1));
  EXPECT_EQ(132, p.multiProcessorCount);
  OK(cudaDeviceGetAttribute(&v, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0));
  EXPECT_EQ(232448, v);
  float *a = device(8);
  cudaStream_t s0 = stream();
  OK(cudaSetDevice(1));
  float *b = device(8);
  add_one(b, 8, s0);
  EXPECT_EQ(cudaErrorInvalidResourceHandle, cudaGetLastError());
  fill_value(b, 9, 8, nullptr);
  OK(cudaMemcpy(a, b, 32, cudaMemcpyDefault));
  OK(cudaDeviceSynchronize());
  EXPECT_EQ(9, read(a));
  OK(cudaDeviceEnablePeerAccess(0, 0));
  copy_view({a, 8}, {b, 8}, nullptr);
  OK(cudaDeviceSynchronize());
  OK(cudaSetDevice(0));
  copy_view({b, 8}, {a, 8}, nullptr); // the other way was not enabled
  EXPECT_EQ(cudaErrorIllegalAddress, cudaDeviceSynchronize());
  EXPECT_TRUE(reported("another device"));
  OK(cudaSetDevice(1)); // the other device lives on
  OK(cudaDeviceSynchronize());
}
TEST_P(Emulated, FaultsAndLimit) {
  float *p, *q = device(8), h;
  EXPECT_EQ(cudaErrorMemoryAllocation, cudaMalloc(&p, 65 << 20));
  cudaGetLastError();
  control->fail(EMULATED_ALLOC, 2);
  OK(cudaMalloc(&p, 4));
  EXPECT_EQ(cudaErrorMemoryAllocation, cudaMalloc(&p, 4));
  OK(cudaMalloc(&p, 4));
  cudaGetLastError();
  control->fail(EMULATED_LAUNCH, 1);
  add_one(q, 8, nullptr);
  EXPECT_EQ(cudaErrorLaunchOutOfResources, cudaGetLastError());
  control->fail(EMULATED_COPY, 1);
  EXPECT_EQ(cudaErrorUnknown, cudaMemcpy(&h, q, 4, cudaMemcpyDeviceToHost));
  cudaGetLastError();
  control->fail(EMULATED_LOST, 1);
  add_one(q, 8, nullptr);
  EXPECT_EQ(cudaErrorUnknown, cudaDeviceSynchronize());
  EXPECT_EQ(cudaErrorUnknown, cudaFree(q));
  EXPECT_TRUE(control->fault_struck());
}
TEST_P(Emulated, PoolsAreCounted) {
  cudaMemPool_t pool = nullptr, preset = nullptr;
  cudaMemPoolProps properties = {};
  properties.allocType = cudaMemAllocationTypePinned;
  properties.location.type = cudaMemLocationTypeDevice;
  OK(cudaDeviceGetDefaultMemPool(&preset, 0));
  EXPECT_STREQ(control->leaks(), "");
  OK(cudaMemPoolCreate(&pool, &properties));
  EXPECT_STREQ(control->leaks(), "1 memory pool(s)\n");
  OK(cudaMemPoolDestroy(pool));
  EXPECT_STREQ(control->leaks(), "");
  float *p = nullptr;
  EXPECT_EQ(cudaErrorInvalidValue, cudaMallocFromPoolAsync(&p, 32, pool, nullptr));
  EXPECT_EQ(cudaErrorInvalidValue, cudaMemPoolDestroy(preset));
  EXPECT_TRUE(reported("no pool of the caller's"));
}
using EmulatedDeathTest = Emulated;
INSTANTIATE_TEST_SUITE_P(Seed, EmulatedDeathTest, testing::Values(0u));

TEST_P(EmulatedDeathTest, HostTouchesDeviceMemory) {
  float *d = device(8);
  OK(cudaDeviceSynchronize());
  EXPECT_DEATH(
      {
        volatile float f = d[2];
        (void)f;
      },
      "host code touched device memory at .*device allocation #1 of 32 bytes, byte 8");
  EXPECT_DEATH({ d[2] = 1; }, "host code touched device memory");
}
TEST_P(EmulatedDeathTest, KernelWritesPastTheEnd) {
  float *d = device(9);
  const auto run = [=] {
    write_past(d, 9, nullptr);
    const cudaError_t e = cudaDeviceSynchronize();
    fputs(control->take_reports(), stderr);
    _exit(e == cudaSuccess ? 0 : 3);
  };
  EXPECT_DEATH(run(), "a write 1 bytes past the end of device allocation|use-after-poison");
}

} // namespace
