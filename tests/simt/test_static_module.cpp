// The CUDA module linked into a program: a device is opened by its entry, with no shared library to be found, and runs ops,
// in streams of the program's own and with its allocator, too.
#include <cuda_runtime.h>

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

// The program copies in and out by CUDA's own calls, and waits by one, in every order that the device may run streams in.
TEST_F(StaticModule, WorkIsInOrderWithTheProgramsOwnInItsStream) {
  for (const unsigned seed : {0u, 1u, 2u, 3u, 4u, 5u}) {
    emulated_device_control()->reset(seed, 1, size_t(1) << 24);
    ASSERT_OK(lamina_device_open("cuda:0", &options, &device));
    cudaStream_t native = nullptr;
    lamina_stream *stream = nullptr;
    void *memory = nullptr, *pinned = nullptr;
    ASSERT_EQ(cudaStreamCreateWithFlags(&native, cudaStreamNonBlocking), cudaSuccess);
    ASSERT_OK(lamina_stream_wrap(device, native, &stream));
    ASSERT_OK(lamina_memory_alloc(device, 16, &memory));
    ASSERT_EQ(cudaMallocHost(&pinned, 128), cudaSuccess);
    float *const in = static_cast<float *>(pinned), *const out = in + 16;
    lamina_tensor x = lamina_vector(LAMINA_F32, 4, memory);
    x.memory = LAMINA_MEMORY_DEVICE;
    for (int i = 0; i < 16; i++) in[i] = static_cast<float>(i % 2 ? i : -i), out[i] = -1;
    for (int i = 0; i < 16; i += 4) {
      ASSERT_EQ(cudaMemcpyAsync(memory, in + i, 16, cudaMemcpyHostToDevice, native), cudaSuccess);
      ASSERT_OK(lamina_relu_forward(device, &x, &x, stream));
      ASSERT_EQ(cudaMemcpyAsync(out + i, memory, 16, cudaMemcpyDeviceToHost, native), cudaSuccess);
    }
    ASSERT_EQ(cudaStreamSynchronize(native), cudaSuccess);
    for (int i = 0; i < 16; i++) EXPECT_EQ(out[i], static_cast<float>(i % 2 ? i : 0)) << "seed " << seed;
    lamina_stream_close(stream);
    EXPECT_EQ(cudaStreamQuery(native), cudaSuccess); // it is the program's still
    EXPECT_EQ(cudaStreamDestroy(native), cudaSuccess);
    EXPECT_EQ(cudaFreeHost(pinned), cudaSuccess);
    lamina_memory_free(device, memory, 16);
    lamina_device_close(device);
    EXPECT_STREQ(emulated_device_control()->take_reports(), "");
    EXPECT_STREQ(emulated_device_control()->leaks(), "");
  }
}

struct Account {
  size_t live = 0, calls = 0;
};

TEST_F(StaticModule, HostMemoryIsOfTheProgramsAllocator) {
  Account account;
  const lamina_allocator allocator = {[](void *user, size_t size, size_t align) {
                                        Account *a = static_cast<Account *>(user);
                                        a->live += size, a->calls++;
                                        return std::aligned_alloc(align, (size + align - 1) / align * align);
                                      },
                                      [](void *user, void *memory, size_t size) {
                                        static_cast<Account *>(user)->live -= size;
                                        std::free(memory);
                                      },
                                      &account};
  options.allocator = &allocator;
  ASSERT_OK(lamina_device_open("cuda:0", &options, &device));
  const size_t opened = account.calls;
  EXPECT_GT(opened, 1u); // the device and, inside of the module, what is its own
  lamina_stream *stream = nullptr;
  ASSERT_OK(lamina_stream_open(device, &stream));
  EXPECT_GE(account.calls, opened + 2); // likewise
  lamina_stream_close(stream);
  lamina_device_close(device);
  EXPECT_EQ(account.live, 0u);
}

TEST_F(StaticModule, IsForItsKindOfDeviceOnly) {
  EXPECT_ERROR(lamina_device_open("metal:0", &options, &device), LAMINA_INVALID,
               "device metal:0: its module is one for \"cuda\" devices");
  EXPECT_EQ(device, nullptr);
  ASSERT_OK(lamina_device_open("cpu", &options, &device)); // which is built in
  lamina_device_close(device);
}

} // namespace
