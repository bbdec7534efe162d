// Races between launches and copies: what nothing in the queue orders is reported, in whatever order it ran.
#include "emulated_fixture.h"

namespace {

class EmulatedRace : public Emulated {
protected:
  // Two operations, queued to streams of their own.
  template <class First, class Second> static void expect_race(First first, Second second, const char *names) {
    const cudaStream_t a = stream(), b = stream();
    first(a);
    second(b);
    EXPECT_EQ(cudaErrorLaunchFailure, cudaDeviceSynchronize());
    const std::string said = control->take_reports();
    EXPECT_NE(said.find(names), std::string::npos) << said;
    EXPECT_NE(said.find("which nothing in the queue orders"), std::string::npos) << said;
    EXPECT_NE(said.find("device allocation #1"), std::string::npos) << said;
  }
  // The same, where the second waits for an event, and where the host waits for the first.
  template <class First, class Second> static void expect_none(First first, Second second) {
    const cudaStream_t a = stream(), b = stream();
    const cudaEvent_t e = event();
    first(a);
    OK(cudaEventRecord(e, a));
    OK(cudaStreamWaitEvent(b, e, 0));
    second(b);
    OK(cudaStreamSynchronize(b));
    first(a);
    while (cudaStreamQuery(a) == cudaErrorNotReady) cudaGetLastError();
    second(b);
    OK(cudaDeviceSynchronize());
    EXPECT_STREQ(control->take_reports(), "");
  }
};
INSTANTIATE_TEST_SUITE_P(Seeds, EmulatedRace, testing::Range(0u, 6u));

TEST_P(EmulatedRace, LaunchAfterLaunch) {
  float *d = device(8);
  const auto fill = [=](cudaStream_t s) { fill_value(d, 1, 8, s); };
  const auto add = [=](cudaStream_t s) { add_one(d, 8, s); };
  expect_none(fill, add);
  expect_race(fill, add, "fill_kernel");
}
TEST_P(EmulatedRace, ReadWhileWritten) {
  float *d = device(8), *to = device(8);
  fill_value(d, 1, 8, nullptr);
  OK(cudaDeviceSynchronize());
  const auto read_it = [=](cudaStream_t s) { copy_view({d, 8}, {to, 8}, s); };
  const auto write_it = [=](cudaStream_t s) { add_one(d, 8, s); };
  expect_none(read_it, write_it);
  expect_race(read_it, write_it, "view_kernel");
}
TEST_P(EmulatedRace, CopiesTakePart) {
  float *d = device(8), *h = pinned(8);
  const auto copy = [=](cudaStream_t s) { EXPECT_EQ(cudaSuccess, cudaMemcpyAsync(d, h, 32, cudaMemcpyDefault, s)); };
  const auto add = [=](cudaStream_t s) { add_one(d, 8, s); };
  expect_none(copy, add);
  expect_race(copy, add, "cudaMemcpyAsync");
}
TEST_P(EmulatedRace, StreamOrderedMemoryGoesInOrder) {
  for (const bool ordered : {true, false}) {
    start(GetParam());
    float *p = nullptr;
    const cudaStream_t a = stream(), b = stream();
    const cudaEvent_t e = event();
    OK(cudaMallocAsync(&p, 32, a));
    fill_value(p, 1, 8, a);
    OK(cudaEventRecord(e, a));
    OK(cudaStreamWaitEvent(b, e, 0));
    add_one(p, 8, b);
    OK(cudaFreeAsync(p, ordered ? b : a)); // a doesn't wait for b
    EXPECT_EQ(ordered, cudaDeviceSynchronize() == cudaSuccess);
    EXPECT_EQ(ordered, *control->take_reports() == '\0');
  }
}
TEST_P(EmulatedRace, ReadersShare) {
  float *d = device(8), *x = device(8), *y = device(8);
  const cudaStream_t a = stream(), b = stream();
  fill_value(d, 1, 8, nullptr);
  OK(cudaDeviceSynchronize());
  copy_view({d, 8}, {x, 8}, a);
  copy_view({d, 8}, {y, 8}, b);
  OK(cudaDeviceSynchronize());
  EXPECT_STREQ(control->take_reports(), "");
  copy_view({d, 8}, {x, 8}, a); // two readers, of which the writer waits for one
  copy_view({d, 8}, {y, 8}, b);
  add_one(d, 8, b);
  EXPECT_EQ(cudaErrorLaunchFailure, cudaDeviceSynchronize());
  EXPECT_TRUE(reported("view_kernel"));
}
TEST_P(EmulatedRace, BranchesOfAGraph) {
  for (const bool joined : {true, false}) {
    start(GetParam());
    float *d = device(8), *x = device(8);
    const cudaStream_t a = stream(), b = stream();
    const cudaEvent_t fork = event(), join = event();
    cudaGraph_t g = nullptr;
    cudaGraphExec_t exec = nullptr;
    OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal));
    fill_value(d, 1, 8, a);
    OK(cudaEventRecord(fork, a));
    OK(cudaStreamWaitEvent(b, fork, 0));
    copy_view({d, 8}, {x, 8}, b);
    OK(cudaEventRecord(join, b));
    if (!joined) add_one(d, 8, a); // too early
    OK(cudaStreamWaitEvent(a, join, 0));
    if (joined) add_one(d, 8, a);
    OK(cudaStreamEndCapture(a, &g));
    OK(cudaGraphInstantiate(&exec, g, 0));
    for (int i = 0; i < 3; i++) (void)cudaGraphLaunch(exec, a);
    EXPECT_EQ(joined ? cudaSuccess : cudaErrorLaunchFailure, cudaDeviceSynchronize());
    EXPECT_NE(joined, reported("which nothing in the queue orders"));
  }
}

} // namespace
