// What CUDA documents, asked of the emulated device in every order of its streams that matters, and, built with nvcc, of
// a GPU (cuda_runtime): so that the two can't mean different things.
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "runtime_fixture.h"

namespace {

#ifdef ON_EMULATED_DEVICE
INSTANTIATE_TEST_SUITE_P(Seeds, Runtime, testing::Range(0u, 6u));
#else
INSTANTIATE_TEST_SUITE_P(Gpu, Runtime, testing::Values(0u));
#endif

TEST_P(Runtime, StreamOrderAndSynchronisation) {
  float *d = device(100), h = 0;
  cudaStream_t s = stream();
  fill_value(d, 2, 100, s);
  for (int i = 0; i < 5; ++i) add_one(d, 100, s);
  OK(launch_scale(d, 10, 100, 0, s));
  OK(cudaMemcpyAsync(&h, d + 99, 4, cudaMemcpyDeviceToHost, s)); // pageable: back when it has arrived
  EXPECT_EQ(70, h);
}
TEST_P(Runtime, EventsOrderStreams) {
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
TEST_P(Runtime, LegacyStreamOrdersBlockingStreams) {
  float *d = device(8);
  cudaStream_t a = stream(cudaStreamDefault), b = stream(cudaStreamDefault);
  fill_value(d, 1, 8, a);
  OK(cudaMemset(d, 0, 32)); // after a's work
  add_one(d, 8, b);         // after the memset
  OK(cudaStreamSynchronize(b));
  EXPECT_EQ(1, read(d));
}
TEST_P(Runtime, PollingEnds) {
  float *d = device(8);
  cudaStream_t s = stream();
  cudaEvent_t e = event();
  add_one(d, 8, s);
  OK(cudaEventRecord(e, s));
  int polls = 0;
  cudaError_t r;
  while ((r = cudaEventQuery(e)) == cudaErrorNotReady) ASSERT_LT(++polls, 1 << 24);
  OK(r);
  EXPECT_EQ(polls ? cudaErrorNotReady : cudaSuccess, cudaGetLastError());
}
TEST_P(Runtime, GraphReplay) {
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
TEST_P(Runtime, CaptureErrorsAcrossStreamsAndThreads) {
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
TEST_P(Runtime, ThreadsShareADevice) {
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
TEST_P(Runtime, ElapsedTime) {
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

// A call that a capture in the stream s doesn't allow is the error `want`, and the capture ends with `end`, without a graph.
template <class Call>
void breaks_capture(cudaStream_t s, float *d, Call call, cudaError_t want,
                    cudaError_t end = cudaErrorStreamCaptureInvalidated) {
  cudaGraph_t g = nullptr;
  OK(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
  EXPECT_EQ(cudaSuccess, add_one(d, 8, s));
  EXPECT_EQ(want, call());
  EXPECT_EQ(end, cudaStreamEndCapture(s, &g));
  EXPECT_EQ(nullptr, g);
  cudaGetLastError();
}
TEST_P(Runtime, CaptureErrors) {
  float *d = device(8), *other = device(8);
  void *p;
  cudaStream_t a = stream(), b = stream(cudaStreamDefault), c = stream();
  cudaEvent_t outside = event();
  OK(cudaEventRecord(outside, c));
  const cudaError_t unsupported = cudaErrorStreamCaptureUnsupported;
  breaks_capture(
      a, d, [&] { return cudaMalloc(&p, 16); }, unsupported);
  breaks_capture(
      a, d, [&] { return cudaFree(other); }, unsupported);
  breaks_capture(
      a, d, [&] { return cudaStreamSynchronize(a); }, unsupported);
  breaks_capture(
      a, d, [&] { return cudaDeviceSynchronize(); }, unsupported);
  breaks_capture(
      a, d, [&] { return cudaStreamQuery(a); }, unsupported);
  breaks_capture(
      b, d, [&] { return cudaMemsetAsync(d, 0, 32, nullptr); }, cudaErrorStreamCaptureImplicit);
  breaks_capture(
      a, d, [&] { return cudaStreamWaitEvent(a, outside, 0); }, cudaErrorStreamCaptureIsolation);
}
TEST_P(Runtime, CaptureErrorsOfEvents) {
  float *d = device(8);
  cudaStream_t a = stream(), c = stream();
  cudaEvent_t e = event();
  const auto wait = [&] {
    cudaEventRecord(e, a);
    return cudaEventSynchronize(e);
  };
  breaks_capture(a, d, wait, cudaErrorCapturedEvent);
  const auto fork = [&] {
    cudaEventRecord(e, a);
    cudaStreamWaitEvent(c, e, 0);
    return static_cast<cudaError_t>(add_one(d, 8, c));
  };
  breaks_capture(a, d, fork, cudaSuccess, cudaErrorStreamCaptureUnjoined);
}
TEST_P(Runtime, Errors) {
  float *d = device(8), *host = pinned(8), page[8] = {}, *p = device(1);
  EXPECT_EQ(cudaErrorInvalidValue, cudaMemcpyAsync(d, host, 32, cudaMemcpyDeviceToHost, nullptr));
  EXPECT_EQ(cudaErrorInvalidValue, cudaPeekAtLastError());
  EXPECT_EQ(cudaErrorInvalidValue, cudaGetLastError());
  EXPECT_EQ(cudaSuccess, cudaGetLastError());
  EXPECT_EQ(cudaErrorInvalidMemcpyDirection, cudaMemcpy(page, d, 32, cudaMemcpyKind(9)));
  EXPECT_EQ(cudaErrorInvalidConfiguration, bad_grid(d, nullptr));
  EXPECT_EQ(cudaErrorInvalidConfiguration, cudaGetLastError());
  EXPECT_EQ(cudaErrorMemoryAllocation, cudaMalloc(&p, size_t{1} << 50));
  EXPECT_EQ(nullptr, p);
  EXPECT_EQ(cudaErrorMemoryAllocation, cudaGetLastError());
  EXPECT_STREQ("out of memory", cudaGetErrorString(cudaErrorMemoryAllocation));
  EXPECT_EQ(cudaErrorInvalidDevice, cudaSetDevice(99));
  cudaError_t other = cudaErrorUnknown;
  std::thread([&] { other = cudaGetLastError(); }).join();
  EXPECT_EQ(cudaSuccess, other); // the last error is a thread's own
}
TEST_P(Runtime, PageableCopiesAreStaged) {
  float *d = device(1), page = 5;
  cudaStream_t s = stream();
  OK(cudaMemcpyAsync(d, &page, 4, cudaMemcpyHostToDevice, s));
  page = 6;
  OK(cudaStreamSynchronize(s));
  EXPECT_EQ(5, read(d));
}
TEST_P(Runtime, Copy2D) {
  float *d = device(5 * 8), *h = pinned(5 * 3), page[5 * 3];
  cudaStream_t s = stream();
  for (int i = 0; i < 15; ++i) h[i] = float(i);
  OK(cudaMemsetAsync(d, 0, 5 * 8 * 4, s));
  OK(cudaMemcpy2DAsync(d + 2, 32, h, 12, 12, 5, cudaMemcpyHostToDevice, s));
  OK(cudaMemcpy2DAsync(page, 12, d + 2, 32, 12, 5, cudaMemcpyDeviceToHost, s));
  OK(cudaStreamSynchronize(s));
  for (int i = 0; i < 15; ++i) EXPECT_EQ(float(i), page[i]);
}
TEST_P(Runtime, PointersAreOfAKindOfMemory) {
  float *d = device(8), *h = pinned(8), page = 0;
  cudaPointerAttributes attributes;
  OK(cudaPointerGetAttributes(&attributes, d + 1));
  EXPECT_EQ(cudaMemoryTypeDevice, attributes.type);
  OK(cudaPointerGetAttributes(&attributes, h + 1));
  EXPECT_EQ(cudaMemoryTypeHost, attributes.type);
  OK(cudaPointerGetAttributes(&attributes, &page));
  EXPECT_EQ(cudaMemoryTypeUnregistered, attributes.type);
}
TEST_P(Runtime, StreamOrderedMemory) {
  float *p;
  cudaStream_t a = stream(), b = stream();
  OK(cudaMallocAsync(&p, 32, a));
  fill_value(p, 3, 8, a);
  cudaEvent_t e = event();
  OK(cudaEventRecord(e, a));
  OK(cudaStreamWaitEvent(b, e, 0));
  add_one(p, 8, b);
  OK(cudaStreamSynchronize(b));
  EXPECT_EQ(4, read(p));
  OK(cudaFreeAsync(p, b));
  OK(cudaDeviceSynchronize());
}
TEST_P(Runtime, Pools) {
  cudaMemPool_t pool = nullptr;
  cudaMemPoolProps properties = {};
  properties.allocType = cudaMemAllocationTypePinned;
  properties.location.type = cudaMemLocationTypeDevice;
  OK(cudaMemPoolCreate(&pool, &properties));
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
  OK(cudaFreeAsync(p, s));
  OK(cudaStreamSynchronize(s));
  OK(cudaDeviceGetDefaultMemPool(&pool, 0));
  OK(cudaMemPoolTrimTo(pool, 0));
}
TEST_P(Runtime, SharedMemoryAttribute) {
  float *d = device(32);
  EXPECT_EQ(cudaErrorInvalidValue, launch_scale(d, 1, 1, 64 << 10, nullptr));
  OK(cudaFuncSetAttribute(scale_kernel_address(), cudaFuncAttributeMaxDynamicSharedMemorySize, 64 << 10));
  OK(launch_scale(d, 1, 1, 64 << 10, nullptr));
  EXPECT_EQ(cudaErrorInvalidValue,
            cudaFuncSetAttribute(scale_kernel_address(), cudaFuncAttributeMaxDynamicSharedMemorySize, 228 << 10));
  cudaGetLastError();
  OK(reverse_shared(d, 80 << 10, nullptr)); // LAUNCH opts in
  EXPECT_EQ(31, read(d));
}
TEST_P(Runtime, CooperativeLaunch) {
  float *d = device(4 * 32);
  EXPECT_EQ(cudaSuccess, rotate_blocks(d, 4, nullptr));
  EXPECT_EQ(4, read(d + 3 * 32));
  EXPECT_EQ(cudaErrorCooperativeLaunchTooLarge, rotate_blocks(d, 1 << 20, nullptr));
  EXPECT_EQ(cudaSuccess, nothing(nullptr)); // without arguments
  OK(cudaDeviceSynchronize());
  cudaGetLastError();
}

// An error that stays ends all work of a process, so this has one of its own. How many of the calls answered otherwise.
using RuntimeDeathTest = Runtime;
INSTANTIATE_TEST_SUITE_P(Once, RuntimeDeathTest, testing::Values(0u));

int unexpected(const char *what, cudaError_t want, cudaError_t got) {
  if (got != want) fprintf(stderr, "%s: %s, not %s\n", what, cudaGetErrorName(got), cudaGetErrorName(want));
  return got != want;
}
TEST_P(RuntimeDeathTest, AnIllegalAddressStays) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe"; // a device doesn't outlive a fork
  const auto run = [] {
    float *freed = device(8 << 20), *p = nullptr; // so large that nothing else keeps its pages
    int bad = unexpected("cudaFree", cudaSuccess, cudaFree(freed));
    add_one(freed, 8 << 20, nullptr);
    bad += unexpected("cudaDeviceSynchronize", cudaErrorIllegalAddress, cudaDeviceSynchronize());
    bad += unexpected("cudaGetLastError", cudaErrorIllegalAddress, cudaGetLastError());
    bad += unexpected("cudaGetLastError once more", cudaErrorIllegalAddress, cudaGetLastError());
    bad += unexpected("cudaMalloc", cudaErrorIllegalAddress, cudaMalloc(&p, 4));
    bad += unexpected("cudaFree of NULL", cudaErrorIllegalAddress, cudaFree(nullptr));
    _exit(bad);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0), "");
}

} // namespace
