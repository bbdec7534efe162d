// The emulated device behaves as CUDA documents, in every order of its streams that matters; and notices what CUDA
// wouldn't.
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

TEST_P(Emulated, StreamOrderAndSynchronisation) {
  float *d = device(100), h = 0;
  cudaStream_t s = stream();
  fill_value(d, 2, 100, s);
  for (int i = 0; i < 5; ++i) add_one(d, 100, s);
  OK(launch_scale(d, 10, 100, 0, s));
  OK(cudaMemcpyAsync(&h, d + 99, 4, cudaMemcpyDeviceToHost, s)); // pageable: back when it has arrived
  EXPECT_EQ(70, h);
}
TEST_P(Emulated, EventsOrderStreams) {
  float *d = device(8);
  cudaStream_t a = stream(), b = stream();
  cudaEvent_t e = event();
  for (int i = 0; i < 4; ++i) {
    fill_value(d, float(i), 8, i % 2 ? a : b);
    OK(cudaEventRecord(e, i % 2 ? a : b));
    OK(cudaStreamWaitEvent(i % 2 ? b : a, e, 0));
  }
  add_one(d, 8, b);
  OK(cudaStreamSynchronize(b));
  EXPECT_EQ(4, read(d));
}
TEST_P(Emulated, LegacyStreamOrdersBlockingStreams) {
  float *d = device(8);
  cudaStream_t a = stream(cudaStreamDefault), b = stream(cudaStreamDefault);
  fill_value(d, 1, 8, a);
  OK(cudaMemset(d, 0, 32)); // after a's work
  add_one(d, 8, b);         // after the memset
  OK(cudaStreamSynchronize(b));
  EXPECT_EQ(1, read(d));
}
TEST_P(Emulated, PollingEnds) {
  float *d = device(8);
  cudaStream_t s = stream();
  cudaEvent_t e = event();
  add_one(d, 8, s);
  OK(cudaEventRecord(e, s));
  int polls = 0;
  cudaError_t r;
  while ((r = cudaEventQuery(e)) == cudaErrorNotReady) ASSERT_LT(++polls, 100);
  OK(r);
  EXPECT_EQ(polls ? cudaErrorNotReady : cudaSuccess, cudaGetLastError());
}
TEST_P(Emulated, GraphReplay) {
  float *d = device(8), *e2 = device(8);
  cudaStream_t a = stream(), b = stream();
  cudaEvent_t fork = event(), join = event();
  cudaGraph_t g;
  cudaGraphExec_t x;
  fill_value(d, 0, 8, a);
  fill_value(e2, 0, 8, a);
  OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal));
  add_one(d, 8, a);
  OK(cudaEventRecord(fork, a));
  OK(cudaStreamWaitEvent(b, fork, 0));
  copy_view({d, 8}, {e2, 8}, b);
  OK(cudaEventRecord(join, b));
  OK(cudaStreamWaitEvent(a, join, 0));
  add_one(d, 8, a);
  OK(cudaStreamEndCapture(a, &g));
  size_t nodes = 0;
  OK(cudaGraphGetNodes(g, nullptr, &nodes));
  EXPECT_EQ(3u, nodes);
  OK(cudaGraphInstantiate(&x, g, 0));
  OK(cudaGraphDestroy(g));
  for (int i = 0; i < 3; ++i) OK(cudaGraphLaunch(x, i == 1 ? b : a)); // a replay waits for the previous one
  OK(cudaDeviceSynchronize());
  EXPECT_EQ(6, read(d));
  EXPECT_EQ(5, read(e2));
  OK(cudaGraphExecDestroy(x));
}
TEST_P(Emulated, CaptureErrors) {
  float *d = device(8), host[8] = {};
  void *p;
  cudaStream_t a = stream(), b = stream(cudaStreamDefault), c = stream();
  cudaEvent_t e = event(), outside = event();
  cudaGraph_t g;
  auto broken = [&](cudaStream_t s, auto call, cudaError_t want, cudaError_t end = cudaErrorStreamCaptureInvalidated) {
    ASSERT_EQ(cudaSuccess, cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    add_one(d, 8, s);
    EXPECT_EQ(want, call());
    EXPECT_EQ(end, cudaStreamEndCapture(s, &g));
    EXPECT_EQ(nullptr, g);
    cudaGetLastError();
  };
  OK(cudaEventRecord(outside, c));
  broken(
      a, [&] { return cudaMalloc(&p, 16); }, cudaErrorStreamCaptureUnsupported);
  broken(
      a, [&] { return cudaFree(d); }, cudaErrorStreamCaptureUnsupported);
  broken(
      a, [&] { return cudaStreamSynchronize(a); }, cudaErrorStreamCaptureUnsupported);
  broken(
      a, [&] { return cudaDeviceSynchronize(); }, cudaErrorStreamCaptureUnsupported);
  broken(
      a, [&] { return cudaStreamQuery(a); }, cudaErrorStreamCaptureUnsupported);
  broken(
      a, [&] { return cudaMemcpyAsync(d, host, 32, cudaMemcpyHostToDevice, a); }, cudaErrorStreamCaptureUnsupported);
  broken(
      b, [&] { return cudaMemsetAsync(d, 0, 32, nullptr); }, cudaErrorStreamCaptureImplicit);
  broken(
      a, [&] { return cudaStreamWaitEvent(a, outside, 0); }, cudaErrorStreamCaptureIsolation);
  broken(
      a,
      [&] {
        cudaEventRecord(e, a);
        return cudaEventSynchronize(e);
      },
      cudaErrorCapturedEvent);
  broken(
      a,
      [&] {
        cudaEventRecord(e, a);
        cudaStreamWaitEvent(c, e, 0);
        add_one(d, 8, c);
        return cudaSuccess;
      },
      cudaSuccess, cudaErrorStreamCaptureUnjoined);
}
TEST_P(Emulated, CaptureErrorsAcrossStreamsAndThreads) {
  float *d = device(8);
  cudaStream_t a = stream(), b = stream(), c = stream();
  cudaEvent_t e = event();
  cudaGraph_t g = nullptr;
  OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeRelaxed));
  OK(cudaStreamBeginCapture(b, cudaStreamCaptureModeRelaxed));
  add_one(d, 8, a);
  OK(cudaEventRecord(e, a));
  EXPECT_EQ(cudaErrorStreamCaptureMerge, cudaStreamWaitEvent(b, e, 0));
  EXPECT_EQ(cudaErrorStreamCaptureInvalidated, cudaStreamEndCapture(a, &g));
  EXPECT_EQ(cudaErrorStreamCaptureInvalidated, cudaStreamEndCapture(b, &g));
  OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeThreadLocal));
  add_one(d, 8, a);
  OK(cudaEventRecord(e, a));
  OK(cudaStreamWaitEvent(c, e, 0));
  EXPECT_EQ(cudaErrorStreamCaptureUnmatched, cudaStreamEndCapture(c, &g));
  cudaError_t other = cudaSuccess;
  std::thread([&] {
    void *p;
    EXPECT_EQ(cudaSuccess, cudaMalloc(&p, 4));
    other = cudaStreamEndCapture(a, &g);
  }).join(); // thread-local: others may allocate
  EXPECT_EQ(cudaErrorStreamCaptureWrongThread, other);
  OK(cudaStreamEndCapture(a, &g));
  EXPECT_EQ(cudaErrorCapturedEvent, cudaEventSynchronize(e));
  cudaStreamCaptureStatus st;
  OK(cudaStreamIsCapturing(c, &st));
  EXPECT_EQ(cudaStreamCaptureStatusNone, st);
  OK(cudaGraphDestroy(g));
  cudaGetLastError();
}
TEST_P(Emulated, Errors) {
  float *d = device(8), *host = pinned(8), page[8] = {};
  cudaStream_t s = stream();
  EXPECT_EQ(cudaErrorInvalidValue, cudaMemcpyAsync(d, host, 32, cudaMemcpyDeviceToHost, s));
  EXPECT_EQ(cudaErrorInvalidValue, cudaPeekAtLastError());
  EXPECT_EQ(cudaErrorInvalidValue, cudaGetLastError());
  EXPECT_EQ(cudaSuccess, cudaGetLastError());
  EXPECT_EQ(cudaErrorInvalidValue, cudaMemcpy(page, host, 32, cudaMemcpyDeviceToHost));
  EXPECT_EQ(cudaErrorInvalidMemcpyDirection, cudaMemcpy(page, d, 32, cudaMemcpyKind(9)));
  EXPECT_EQ(cudaErrorInvalidValue, cudaMemcpy(d + 1, page, 32, cudaMemcpyHostToDevice));
  EXPECT_TRUE(reported("bytes 4..36 of device allocation"));
  bad_grid(d, s);
  EXPECT_EQ(cudaErrorInvalidConfiguration, cudaGetLastError());
  OK(cudaStreamDestroy(s));
  add_one(d, 8, s);
  EXPECT_EQ(cudaErrorInvalidResourceHandle, cudaGetLastError());
  OK(cudaFree(d));
  EXPECT_EQ(cudaErrorInvalidValue, cudaFree(d));
  EXPECT_TRUE(reported("freed device allocation"));
  EXPECT_STREQ("out of memory", cudaGetErrorString(cudaErrorMemoryAllocation));
  cudaError_t other = cudaErrorUnknown;
  cudaSetDevice(99);
  std::thread([&] { other = cudaGetLastError(); }).join();
  EXPECT_EQ(cudaSuccess, other); // the last error is a thread's own
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
TEST_P(Emulated, ThreadsShareADevice) {
  float *d[2] = {device(1000), device(1000)}, sum = 0;
  auto work = [&](int k) {
    cudaStream_t s = stream();
    fill_value(d[k], 0, 1000, s);
    for (int i = 0; i < 20; ++i) {
      add_one(d[k], 1000, s);
      if (i % 5 == 0) { EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(s)); }
    }
    EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(s));
  };
  std::thread a(work, 0), b(work, 1);
  a.join();
  b.join();
  for (float *p : d) sum += read(p + 999);
  EXPECT_EQ(40, sum);
}
TEST_P(Emulated, Copy2D) {
  float *d = device(5 * 8), *h = pinned(5 * 3), page[5 * 3];
  cudaStream_t s = stream();
  for (int i = 0; i < 15; ++i) h[i] = float(i);
  OK(cudaMemsetAsync(d, 0, 5 * 8 * 4, s));
  OK(cudaMemcpy2DAsync(d + 2, 32, h, 12, 12, 5, cudaMemcpyHostToDevice, s));
  OK(cudaMemcpy2DAsync(page, 12, d + 2, 32, 12, 5, cudaMemcpyDeviceToHost, s));
  for (int i = 0; i < 15; ++i) EXPECT_EQ(float(i), page[i]);
  EXPECT_EQ(cudaErrorInvalidValue,
            cudaMemcpy2DAsync(d + 6, 32, h, 12, 12, 5, cudaMemcpyHostToDevice, s)); // past the end in the last row
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
  float *d = device(1), *h = pinned(1), page = 5;
  cudaStream_t s = stream();
  *h = 1;
  OK(cudaMemcpyAsync(d, h, 4, cudaMemcpyHostToDevice, s));
  *h = 2;
  OK(cudaStreamSynchronize(s));
  EXPECT_EQ(2, read(d));
  OK(cudaMemcpyAsync(d, &page, 4, cudaMemcpyHostToDevice, s)); // pageable: staged at the call
  page = 6;
  OK(cudaStreamSynchronize(s));
  EXPECT_EQ(5, read(d));
  float *back = pinned(1);
  OK(cudaMemcpyAsync(back, d, 4, cudaMemcpyDeviceToHost, s));
  EXPECT_TRUE(std::isnan(*back)); // not yet
  OK(cudaStreamSynchronize(s));
  EXPECT_EQ(5, *back);
}
TEST_P(Emulated, StreamOrderedMemory) {
  float *p;
  cudaStream_t a = stream(), b = stream();
  OK(cudaMallocAsync(&p, 32, a));
  fill_value(p, 3, 8, a);
  EXPECT_STRNE(control->leaks(), "");
  cudaEvent_t e = event();
  OK(cudaEventRecord(e, a));
  OK(cudaStreamWaitEvent(b, e, 0));
  add_one(p, 8, b);
  OK(cudaStreamSynchronize(b));
  EXPECT_EQ(4, read(p));
  OK(cudaFreeAsync(p, b));
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
TEST_P(Emulated, SharedMemoryAttribute) {
  float *d = device(32);
  EXPECT_EQ(cudaErrorInvalidValue, launch_scale(d, 1, 1, 64 << 10, nullptr));
  OK(cudaFuncSetAttribute(scale_kernel_address(), cudaFuncAttributeMaxDynamicSharedMemorySize, 64 << 10));
  OK(launch_scale(d, 1, 1, 64 << 10, nullptr));
  EXPECT_EQ(cudaErrorInvalidValue,
            cudaFuncSetAttribute(scale_kernel_address(), cudaFuncAttributeMaxDynamicSharedMemorySize, 228 << 10));
  cudaGetLastError();
  reverse_shared(d, 100 << 10, nullptr); // LAUNCH opts in
  OK(cudaGetLastError());
  EXPECT_EQ(31, read(d));
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
  EXPECT_EQ(nullptr, p);
  EXPECT_EQ(cudaErrorMemoryAllocation, cudaGetLastError());
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
TEST_P(Emulated, ElapsedTime) {
  cudaStream_t s = stream();
  cudaEvent_t a = event(), b = event();
  float *d = device(8), ms = 0;
  EXPECT_EQ(cudaErrorInvalidResourceHandle, cudaEventElapsedTime(&ms, a, b));
  OK(cudaEventRecord(a, s));
  add_one(d, 8, s);
  OK(cudaEventRecord(b, s));
  OK(cudaEventSynchronize(b));
  OK(cudaEventElapsedTime(&ms, a, b));
  EXPECT_GT(ms, 0);
  cudaGetLastError();
}
TEST_P(Emulated, Pools) {
  cudaMemPool_t pool = nullptr, preset = nullptr;
  cudaMemPoolProps properties = {};
  properties.allocType = cudaMemAllocationTypePinned;
  properties.location.type = cudaMemLocationTypeDevice;
  OK(cudaDeviceGetDefaultMemPool(&preset, 0));
  EXPECT_STREQ(control->leaks(), "");
  OK(cudaMemPoolCreate(&pool, &properties));
  EXPECT_STREQ(control->leaks(), "1 memory pool(s)\n");
  uint64_t keep = 1 << 20, kept = 0;
  OK(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep));
  OK(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &kept));
  EXPECT_EQ(keep, kept);
  float *p = nullptr;
  const cudaStream_t s = stream();
  OK(cudaMallocFromPoolAsync(&p, 32, pool, s));
  fill_value(p, 3, 8, s);
  OK(cudaStreamSynchronize(s));
  EXPECT_EQ(3, read(p));
  OK(cudaMemPoolDestroy(pool));
  EXPECT_EQ(3, read(p)); // memory stays when its pool goes
  EXPECT_EQ(cudaErrorInvalidValue, cudaMallocFromPoolAsync(&p, 32, pool, s));
  OK(cudaFreeAsync(p, s));
  OK(cudaMemPoolTrimTo(preset, 0));
  OK(cudaStreamSynchronize(s));
  OK(cudaStreamDestroy(s));
  EXPECT_STREQ(control->leaks(), "");
  EXPECT_EQ(cudaErrorInvalidValue, cudaMemPoolDestroy(preset));
  EXPECT_TRUE(reported("no pool of the caller's"));
}
TEST_P(Emulated, CooperativeLaunch) {
  float *d = device(4 * 32);
  EXPECT_EQ(cudaSuccess, rotate_blocks(d, 4, nullptr));
  EXPECT_EQ(4, read(d + 3 * 32));
  EXPECT_EQ(cudaErrorCooperativeLaunchTooLarge, rotate_blocks(d, 132 * 32 + 1, nullptr));
  EXPECT_EQ(cudaSuccess, nothing(nullptr)); // without arguments
  OK(cudaDeviceSynchronize());
  cudaGetLastError();
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
