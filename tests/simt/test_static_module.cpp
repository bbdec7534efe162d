// The CUDA module linked into a program: a device is opened by its entry, with no shared library to be found, and runs ops.
#include <cstdlib>
#include <vector>

#include "emulated.h"
#include "lamina/lamina.h"
#include "net_fixture.h"

extern "C" lamina_module_open_fn lamina_cuda_module_open;

// What the module's inner names are called, the program may call its own.
extern "C" int cuda_host, cuda_alloc(void);
int cuda_host = 5;
int cuda_alloc(void) { return 7; }

namespace {

class StaticModule : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_EQ(setenv("LAMINA_MODULE_PATH", "/nowhere", 1), 0);
    options.module = lamina_cuda_module_open;
  }
  void TearDown() override {
    EXPECT_STREQ(emulated_device_control()->take_reports(), "");
    EXPECT_STREQ(emulated_device_control()->leaks(), "");
  }
  lamina_device_options options = {};
  lamina_device *device = nullptr;
};

TEST_F(StaticModule, RunsOps) {
  ASSERT_OK(lamina_device_open("cuda:0", &options, &device));
  EXPECT_NE(std::string(lamina_device_about(device)).find("NVIDIA H100 (emulated)"), std::string::npos);
  std::vector<float> host = {-1, 2, -3, 4};
  void *memory = nullptr;
  ASSERT_OK(lamina_memory_alloc(device, 16, &memory));
  ASSERT_OK(lamina_copy(device, memory, host.data(), 16, nullptr));
  lamina_tensor x = lamina_vector(LAMINA_F32, 4, memory);
  x.memory = LAMINA_MEMORY_DEVICE;
  EXPECT_OK(lamina_relu_forward(device, &x, &x, nullptr));
  ASSERT_OK(lamina_copy(device, host.data(), memory, 16, nullptr));
  EXPECT_EQ(host, (std::vector<float>{0, 2, 0, 4}));
  lamina_memory_free(device, memory, 16);
  lamina_device_close(device);
  EXPECT_EQ(cuda_host + cuda_alloc(), 12);
}

TEST_F(StaticModule, IsForItsKindOfDeviceOnly) {
  EXPECT_ERROR(lamina_device_open("metal:0", &options, &device), LAMINA_INVALID,
               "device metal:0: its module is one for \"cuda\" devices");
  EXPECT_EQ(device, nullptr);
  ASSERT_OK(lamina_device_open("cpu", &options, &device)); // which is built in
  lamina_device_close(device);
}

} // namespace
