// Devices: options, environment, memory, streams, and a module that is loaded at run time.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "lamina/copy.h"
#include "lamina/engine.h"
#include "lamina/tune.h"

namespace {

// Sets an environment variable for one scope.
class Env {
public:
  Env(const char *name, const char *value) : name(name) { setenv(name, value, 1); }
  ~Env() { unsetenv(name); }

private:
  const char *name;
};

struct Counts {
  int blocks = 0;
  long bytes = 0;
};
void *counting_alloc(void *user, size_t size, size_t align) {
  auto *counts = static_cast<Counts *>(user);
  counts->blocks++, counts->bytes += static_cast<long>(size);
  return aligned_alloc(align, (size + align - 1) / align * align);
}
void counting_free(void *user, void *memory, size_t size) {
  auto *counts = static_cast<Counts *>(user);
  counts->blocks--, counts->bytes -= static_cast<long>(size);
  free(memory);
}

void expect_open_fails(const char *name, lamina_status status, const std::string &sentence) {
  lamina_device *device = nullptr;
  EXPECT_EQ(lamina_device_open(name, nullptr, &device), status);
  EXPECT_EQ(device, nullptr);
  EXPECT_NE(std::string(lamina_last_error()).find(sentence), std::string::npos) << lamina_last_error();
}

TEST(Device, EveryAllocationGoesThroughTheUsersAllocator) {
  Counts counts;
  const lamina_allocator allocator = {counting_alloc, counting_free, &counts};
  lamina_device_options options = {};
  options.allocator = &allocator;
  lamina_device *device = nullptr;
  ASSERT_EQ(lamina_device_open("cpu", &options, &device), LAMINA_OK) << lamina_last_error();
  void *memory = nullptr;
  const long before = counts.bytes;
  ASSERT_EQ(lamina_memory_alloc(device, 1000, &memory), LAMINA_OK);
  EXPECT_GE(counts.bytes, before + 1000);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % 64, 0u);
  size_t now = 0, most = 0;
  lamina_memory_used(device, &now, &most);
  EXPECT_EQ(now, 1000u);
  lamina_memory_free(device, memory, 1000);
  lamina_memory_used(device, &now, &most);
  EXPECT_EQ(now, 0u);
  EXPECT_EQ(most, 1000u);
  lamina_device_close(device);
  EXPECT_EQ(counts.blocks, 0);
  EXPECT_EQ(counts.bytes, 0);
}

TEST(Device, BadNamesSayWhatWasExpected) {
  expect_open_fails("", LAMINA_INVALID, "expected cpu, or KIND:INDEX");
  expect_open_fails("../cpu", LAMINA_INVALID, "names no device");
  expect_open_fails("cpu:1", LAMINA_INVALID, "the CPU is one device");
  expect_open_fails("cuda:x", LAMINA_INVALID, "expected a number");
  expect_open_fails("nosuch:0", LAMINA_DEVICE, "there is no module for \"nosuch\" devices");
}

TEST(Device, EnvironmentIsCheckedWhenTheDeviceOpens) {
  {
    Env env("LAMINA_THREADS", "two");
    expect_open_fails("cpu", LAMINA_INVALID, "LAMINA_THREADS is \"two\"");
  }
  {
    Env env("LAMINA_ENGINE", "conv/forwards:ref");
    expect_open_fails("cpu", LAMINA_INVALID, "there is no op \"conv/forwards\"");
  }
  {
    Env env("LAMINA_ENGINE", "conv");
    expect_open_fails("cpu", LAMINA_INVALID, "is not OP:ENGINE");
  }
  Env threads("LAMINA_THREADS", "3");
  lamina_device *device = nullptr;
  ASSERT_EQ(lamina_device_open("cpu", nullptr, &device), LAMINA_OK);
  EXPECT_EQ(lamina_device_threads(device), 3);
  lamina_device_close(device);
}

TEST(Device, StreamsAndEventsOfTheCpuAreAlwaysDone) {
  lamina_device *device = nullptr;
  ASSERT_EQ(lamina_device_open("cpu", nullptr, &device), LAMINA_OK);
  lamina_stream *stream = nullptr;
  ASSERT_EQ(lamina_stream_open(device, &stream), LAMINA_OK);
  const std::vector<float> x = {1, 2, 3};
  std::vector<float> y(3);
  EXPECT_EQ(lamina_copy(device, y.data(), x.data(), 12, stream), LAMINA_OK);
  EXPECT_EQ(y, x);
  EXPECT_EQ(lamina_stream_sync(device, stream), LAMINA_OK);
  lamina_event *event = nullptr;
  bool done = false;
  ASSERT_EQ(lamina_event_open(device, &event), LAMINA_OK);
  EXPECT_EQ(lamina_event_record(event, stream), LAMINA_OK);
  EXPECT_EQ(lamina_event_wait(event, nullptr), LAMINA_OK);
  EXPECT_EQ(lamina_event_done(event, &done), LAMINA_OK);
  EXPECT_TRUE(done);
  EXPECT_EQ(lamina_event_sync(event), LAMINA_OK);
  lamina_limits limits = {1, 1, 1, 1, 1, 1};
  lamina_device_limits(device, &limits);
  EXPECT_EQ(limits.flops + limits.flops_tf32 + limits.flops_half + limits.bandwidth, 0);
  EXPECT_EQ(limits.cache + limits.memory, 0u);
  lamina_roofline most = {1, 1, 1, 1, 1, true, "x"};
  lamina_device_roofline(nullptr, &most);
  EXPECT_EQ(most.flops + most.flops_half + most.read + most.copy + most.region, 0);
  lamina_event *from = nullptr, *to = nullptr;
  double seconds = -1;
  ASSERT_EQ(lamina_event_open_timed(device, &from), LAMINA_OK);
  ASSERT_EQ(lamina_event_open_timed(device, &to), LAMINA_OK);
  ASSERT_EQ(lamina_event_record(from, stream), LAMINA_OK);
  EXPECT_EQ(lamina_event_seconds(from, to, &seconds), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(),
               "lamina_event_seconds: to was not recorded; expected a timed event that was recorded");
  EXPECT_EQ(lamina_event_seconds(from, event, &seconds), LAMINA_INVALID);
  usleep(2000);
  ASSERT_EQ(lamina_event_record(to, stream), LAMINA_OK);
  EXPECT_EQ(lamina_event_seconds(from, to, &seconds), LAMINA_OK);
  EXPECT_GE(seconds, 0.002);
  lamina_event_close(from);
  lamina_event_close(to);
  void *pinned = nullptr;
  ASSERT_EQ(lamina_pinned_alloc(device, 12, &pinned), LAMINA_OK);
  EXPECT_EQ(lamina_copy_async(device, pinned, x.data(), 12, stream), LAMINA_OK);
  EXPECT_EQ(std::memcmp(pinned, x.data(), 12), 0);
  lamina_pinned_free(device, pinned, 12);
  lamina_event_close(event);
  lamina_stream_close(stream);
  lamina_device_close(device);
}

// ---- A module ---------------------------------------------------------------------------------------------------

class Module : public testing::Test {
protected:
  Env path{"LAMINA_MODULE_PATH", LAMINA_BINARY_DIR "/lib"};
};

void remember(void *user, lamina_log_level, const char *message) {
  static_cast<std::string *>(user)->append(message).append("\n");
}

TEST_F(Module, RunsOpsInItsOwnMemory) {
  lamina_device *device = nullptr;
  std::string logged;
  lamina_device_options options = {};
  options.log = remember, options.log_user = &logged;
  ASSERT_EQ(lamina_device_open("fixture:1", &options, &device), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(logged, "fixture opened\nfixture:1: a device for tests\n");
  EXPECT_STREQ(lamina_device_name(device), "fixture:1");
  EXPECT_STREQ(lamina_device_about(device), "a device for tests");
  std::vector<float> host = {1, 2, 3, 4}, back(4);
  void *x = nullptr, *y = nullptr;
  ASSERT_EQ(lamina_memory_alloc(device, 16, &x), LAMINA_OK);
  ASSERT_EQ(lamina_memory_alloc(device, 16, &y), LAMINA_OK);
  ASSERT_EQ(lamina_copy(device, x, host.data(), 16, nullptr), LAMINA_OK);
  lamina_tensor from = lamina_vector(LAMINA_F32, 4, x), to = lamina_vector(LAMINA_F32, 4, y);
  from.memory = to.memory = LAMINA_MEMORY_DEVICE;
  EXPECT_EQ(lamina_copy_forward(device, &from, &to, nullptr), LAMINA_OK) << lamina_last_error();
  ASSERT_EQ(lamina_copy(device, back.data(), y, 16, nullptr), LAMINA_OK);
  EXPECT_EQ(back, host);

  const lamina_tensor on_host = lamina_vector(LAMINA_F32, 4, host.data());
  EXPECT_EQ(lamina_copy_forward(device, &on_host, &to, nullptr), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "copy/forward: x lies in host memory, but fixture:1 works in device memory");

  lamina_tensor wide = lamina_vector(LAMINA_F64, 2, x), wide_to = lamina_vector(LAMINA_F64, 2, y);
  wide.memory = wide_to.memory = LAMINA_MEMORY_DEVICE;
  EXPECT_EQ(lamina_copy_forward(device, &wide, &wide_to, nullptr), LAMINA_UNSUPPORTED);
  EXPECT_STREQ(lamina_last_error(),
               "copy/forward: no engine can run it:\n  fixture: no, the fixture copies f32 only\n"
               "  ref: no, here it only writes what comes of empty inputs; the reference runs on the cpu");

  lamina_tensor gaps = lamina_vector(LAMINA_F32, 2, x), dense = lamina_vector(LAMINA_F32, 2, y);
  gaps.desc.strides[0] = 2;
  gaps.memory = dense.memory = LAMINA_MEMORY_DEVICE;
  EXPECT_EQ(lamina_copy_forward(device, &gaps, &dense, nullptr), LAMINA_UNSUPPORTED);
  EXPECT_NE(std::string(lamina_last_error()).find("packing others is itself a copy"), std::string::npos);
  lamina_memory_free(device, x, 16);
  lamina_memory_free(device, y, 16);
  lamina_device_close(device);
}

TEST_F(Module, FailuresOfItsDevicesAreSentences) {
  expect_open_fails("fixture:2", LAMINA_DEVICE, "there are fixture:0 and fixture:1");
  Env abi("FIXTURE_ABI", "77");
  expect_open_fails("fixture:0", LAMINA_DEVICE, "was built for ABI 77");
}

} // namespace
